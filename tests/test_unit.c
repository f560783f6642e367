/* test_unit.c - units of effective fields in maps of either layout and in sequences of tokens, and
 * what masks keep them from. */
#include "convmodel.h"

static void picture_last(void **state) {
    (void)state;
    double map[2][9 * 8];
    for (int last = 0; last < 2; last++) {
        model *m = last ? begin(9, 8, 3) : begin(3, 9, 8);
        for (int y = 0; y < 9; y++)
            for (int x = 0; x < 8; x++)
                for (int c = 0; c < 3; c++)
                    ((float *)m->image.data)[last ? (y * 8 + x) * 3 + c : (c * 9 + y) * 8 + x] =
                        (float)(y * 100 + x * 10 + c) * 1e-3f;
        if (last) add_shape(m, "Transpose", (int64_t[]){0, 3, 1, 2}, 4);
        m->state = 5;
        const char *name = add_conv(m, (conv){3, 4, 3, 1, 1, 1, 0});
        omma_effective *e = made(m, name, 2, 6, OMMA_RECIPE_DEFAULT);
        add(e, m);
        read_map(e, OMMA_SCALE_RAW, map[last], NULL);
        const omma_effective_measures x = measures(e);
        assert_true(x.height == 9 && x.width == 8 && x.centre_y == 2 && x.centre_x == 6);
        omma_effective_free(e);
        finish(m);
    }
    assert_memory_equal(map[0], map[1], sizeof map[0]);
}

typedef struct tokens {
    const char *map, *list, *all; /* [1,5,3,4], [1,12,5], [1,14,5]: one token before, one behind */
} tokens;

static model *with_tokens(tokens *t) {
    model *m = begin(3, 6, 8);
    const float more[5] = {1, 2, 3, 4, 5};
    t->map = add_conv(m, (conv){3, 5, 2, 2, 1, 0, 0});
    add_shape(m, "Reshape", (int64_t[]){1, 5, 12}, 3);
    add_shape(m, "Transpose", (int64_t[]){0, 2, 1}, 3);
    t->list = m->last->name;
    for (int k = 0; k < 2; k++) {
        add_with(m, "Concat", more, 3, (int64_t[]){1, 1, 5}, k == 0);
        omma_attr *axis = omma_arena_array(&m->arena, 1, sizeof *axis);
        *axis = (omma_attr){.name = "axis", .kind = OMMA_ATTR_INT, .i = 1, .s = ""};
        m->last->producer->attrs = axis, m->last->producer->n_attrs = 1;
    }
    t->all = m->last->name;
    fill(m);
    return m;
}

static omma_effective *of_unit(const model *m, omma_unit u, double *map) {
    omma_effective *e;
    omma_error err;
    const omma_effective_what what = {.unit = u, .seed = 3};
    if (omma_effective_new(&e, m->g, "test", &what, NULL, &err)) fail_msg("%s", err.message);
    add(e, m);
    read_map(e, OMMA_SCALE_RAW, map, NULL);
    return e;
}

/* A cell of a map, the same cell of the sequence of its tokens, and the same token by its number.
 */
static void cells_and_tokens(void **state) {
    (void)state;
    tokens t;
    double map[5][6 * 8];
    model *m = with_tokens(&t);
    const omma_unit unit[] = {{.value = t.map, .y = 1, .x = 3},
                              {.value = t.list, .y = 1, .x = 3},
                              {.value = t.list, .by_token = true, .token = 7},
                              {.value = t.all, .y = 1, .x = 3},
                              {.value = t.all, .by_token = true, .token = 8}};
    for (int k = 0; k < 5; k++) {
        omma_effective *e = of_unit(m, unit[k], map[k]);
        const omma_unit_field *u = omma_effective_unit(e);
        assert_memory_equal(map[0], map[k], sizeof map[0]);
        assert_true(u->rows == 3 && u->columns == 4 && u->y == 1 && u->x == 3);
        assert_true(u->channels == 5 && u->n_seen == 4 && !u->adrift);
        assert_true(u->centre_y == 2.5 && u->centre_x == 6.5);
        omma_effective_free(e);
    }
    finish(m);
}

/* Tokens that stand for no cell; these see nothing of the picture. */
static void other_tokens(void **state) {
    (void)state;
    static const int64_t which[] = {0, 13};
    tokens t;
    double map[6 * 8];
    model *m = with_tokens(&t);
    for (int k = 0; k < 2; k++) {
        const omma_unit unit = {.value = t.all, .by_token = true, .token = which[k]};
        omma_effective *e = of_unit(m, unit, map);
        const omma_unit_field *u = omma_effective_unit(e);
        const omma_effective_measures x = measures(e);
        assert_true(u->adrift && u->rows == 0 && u->y == -1 && u->n_seen == 0);
        assert_true(u->centre_y == 2.5 && u->centre_x == 3.5); /* the picture's */
        assert_true(x.is.sum == 0 && isnan(x.is.sigma) && isnan(x.ratio));
        omma_effective_free(e);
    }
    finish(m);
}

/* Four tokens in two windows: attention between these is blocked, or nearly. */
static void masks(void **state) {
    (void)state;
    static const float mask[] = {-INFINITY, -70};
    for (int soft = 0; soft < 2; soft++) {
        double map[4];
        float both[4][4];
        model *m = begin(1, 1, 4);
        for (int i = 0; i < 16; i++) both[i / 4][i % 4] = i / 8 == i % 4 / 2 ? 0 : mask[soft];
        add_shape(m, "Reshape", (int64_t[]){4, 1}, 2);
        omma_value *x = m->last;
        add_shape(m, "Transpose", (int64_t[]){1, 0}, 2);
        omma_value *turned = m->last;
        m->last = x;
        layer(m, "MatMul", 2)->producer->in[1] = turned;
        add_with(m, "Add", both[0], 2, (int64_t[]){4, 4}, false);
        layer(m, "Softmax", 1);
        layer(m, "MatMul", 2)->producer->in[1] = x;
        fill(m);
        const omma_unit unit = {.value = m->last->name, .by_token = true, .token = 1};
        omma_effective *e = of_unit(m, unit, map);
        const omma_unit_field *u = omma_effective_unit(e);
        assert_true(u->n_seen == 2 && *u->seen == 3 && *u->nearly == (soft ? 15 : 3));
        assert_int_equal(u->met & OMMA_MET_SOFT, soft ? OMMA_MET_SOFT : 0);
        assert_true(map[0] > 1e-3 && map[1] > 1e-3 && map[2] < 1e-25 && map[3] < 1e-25);
        assert_true((map[2] > 0) == soft); /* it is not blocked to the last bit */
        omma_effective_free(e);
        finish(m);
    }
}

static void pictures(void **state) {
    (void)state;
    omma_picture p;
    omma_error err;
    omma_tensor t = {.dtype = OMMA_F32, .rank = 4, .dims = {1, 3, 20, 30}};
    assert_int_equal(omma_picture_find(&p, &t, "x", &err), OMMA_OK);
    assert_true(p.rows == 2 && p.columns == 3 && p.channels == 3 && p.height == 20);
    assert_true(p.width == 30 && p.step_c == 600 && p.step_y == 30 && p.step_x == 1);
    t.dims[1] = 20, t.dims[2] = 30, t.dims[3] = 3;
    assert_int_equal(omma_picture_find(&p, &t, "x", &err), OMMA_OK);
    assert_true(p.rows == 1 && p.columns == 2 && p.channels == 3 && p.height == 20);
    assert_true(p.width == 30 && p.step_c == 1 && p.step_y == 90 && p.step_x == 3);
    t.dims[3] = 5;
    assert_int_equal(omma_picture_find(&p, &t, "x", &err), OMMA_E_SHAPE);
    t.dims[3] = 3, t.dims[0] = 2;
    assert_int_equal(omma_picture_find(&p, &t, "x", &err), OMMA_E_SHAPE);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(pictures), cmocka_unit_test(picture_last),
                                       cmocka_unit_test(cells_and_tokens),
                                       cmocka_unit_test(other_tokens), cmocka_unit_test(masks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

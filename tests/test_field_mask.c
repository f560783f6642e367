/* test_field_mask.c - what a mask blocks and what it does not: in front of a softmax, lifted again,
 * without a softmax, and behind one that more is added to. Scores are a map of 4 x 4 numbers, of
 * which the mask keeps the lower triangle. */
#include "randomwide_make.h"

#include "fieldprobe.h"

enum { SIDE = 4 };

/* x: the image as [4, 4]; m: the mask of that number. */
typedef struct masks {
    wide w;
    omma_value *x, *m;
} masks;

static masks begin(float block) {
    masks k = {.w = {.turn = -1, .type = OMMA_F32}};
    wide *w = &k.w;
    omma_arena_init(&w->arena, NULL);
    w->g = omma_graph_new(&w->arena, "masks");
    w->b = (omma_build){.arena = &w->arena, .err = &w->err, .kern = omma_kernels_best()};
    w->image = k.x = omma_graph_value(w->g, "image");
    k.x->is_input = true, k.x->dtype = OMMA_F32, k.x->rank = 2;
    k.x->dims[0] = k.x->dims[1] = SIDE;
    w->g->inputs = omma_arena_array(&w->arena, 1, sizeof *w->g->inputs);
    w->g->inputs[w->g->n_inputs++] = k.x;
    float mask[SIDE * SIDE];
    for (int i = 0; i < SIDE * SIDE; i++) mask[i] = i % SIDE > i / SIDE ? block : 0;
    k.m = constant(w, OMMA_F32, DIMS(SIDE, SIDE), mask);
    return k;
}

static omma_value *softmax(masks *k, omma_value *x) {
    wide_int(&k->w, "axis", -1);
    return put(&k->w, "Softmax", 13, x);
}

/* Row 1, column `column` of y sees these columns of row 1 of the image (as bits), and of the rows
 * below anything. What it sees it depends on: fieldprobe.h looks into that. */
static void sees(masks *k, omma_value *y, int column, unsigned want, unsigned met) {
    static const float numbers[SIDE * SIDE] = {.5f, -.2f, .9f,  .1f, .3f, -.7f, .6f, .8f,
                                               -1,  .4f,  -.3f, .2f, .7f, -.6f, 1,   -.9f};
    const omma_tensor in = {OMMA_F32, 2, {SIDE, SIDE}, (void *)(uintptr_t)numbers};
    probe p = {.g = k->w.g, .what = "masks", .in = &in, .n_in = 1, .unit = &y->name, .n = 1};
    const int64_t at[] = {1, column};
    y->is_output = true;
    k->w.g->outputs = &y;
    k->w.g->n_outputs = 1;
    if (probe_open(&p)) fail_msg("%s", p.err.message);
    assert_int_equal(probe_set(&p, p.shape, 0, at, OMMA_FOV_STRUCTURAL, p.set) & OMMA_MET_SOFT,
                     met);
    const unsigned got = (unsigned)(p.set[0][0] >> SIDE & 15);
    if (got != want) fail_msg("column %d sees %x of its row, not %x", column, got, want);
    probe_unit(&p, 0, at, &(probe_how){.trials = 3, .pairs = 8});
    probe_close(&p);
    omma_arena_free(&k->w.arena);
}

static const float blocks[] = {-INFINITY, -1e9f, -100};
enum { BLOCKS = 3 };

static void in_front(void **state) {
    (void)state;
    for (int i = 0; i < BLOCKS; i++)
        for (int column = 0; column < SIDE; column++) {
            masks k = begin(blocks[i]);
            omma_value *y = softmax(&k, put(&k.w, "Add", 13, k.x, k.m));
            sees(&k, y, column, column < 2 ? 3 : 0, i ? OMMA_MET_SOFT : 0);
        }
}

static void moved(void **state) {
    (void)state;
    masks k = begin(-100);
    omma_value *y = put(&k.w, "Transpose", 13, put(&k.w, "Add", 13, k.m, k.x));
    y = softmax(&k, put(&k.w, "Transpose", 13, y));
    sees(&k, y, 0, 3, OMMA_MET_SOFT);
}

/* A constant that brings them back; a small one does not. */
static void lifted(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        masks k = begin(-100);
        omma_value *y = put(&k.w, "Add", 13, k.x, k.m);
        y = softmax(&k, put(&k.w, "Add", 13, y, number(&k.w, i ? 100 : 0.5)));
        sees(&k, y, 0, i ? 15 : 3, i ? 0 : OMMA_MET_SOFT);
    }
}

/* Some of a row that is blocked all along are lifted a little: none is above the others. */
static void all_along(void **state) {
    (void)state;
    masks k = begin(0);
    const float low[] = {0, -100, 0, 0}, more[] = {0.5f, -0.5f, 0.25f, 0};
    omma_value *y = put(&k.w, "Add", 13, k.x, constant(&k.w, OMMA_F32, DIMS(SIDE, 1), low));
    y = softmax(&k, put(&k.w, "Add", 13, y, constant(&k.w, OMMA_F32, DIMS(SIDE), more)));
    sees(&k, y, 1, 15, 0);
}

/* What a scaled mask left low may be lower than the next, which then blocks nothing. */
static void lost(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        masks k = begin(i ? -INFINITY : -100);
        omma_value *y =
            put(&k.w, "Add", 13, k.x, constant(&k.w, OMMA_F32, DIMS(1), &(float){-1e5f}));
        y = put(&k.w, "Mul", 13, y, number(&k.w, 0.5));
        y = softmax(&k, put(&k.w, "Add", 13, y, k.m));
        sees(&k, y, 0, i ? 3 : 15, 0);
    }
}

/* The last column is blocked all along but for the last row; a softmax down the columns of the
 * first three rows finds it blocked all along, one along the rows does not. */
static void two_ways(void **state) {
    (void)state;
    masks k = begin(-100);
    omma_value *x = put(&k.w, "Add", 13, k.x, k.m), *down, *along;
    x = put(&k.w, "Slice", 13, x, list(&k.w, 1, (int64_t[]){0}), list(&k.w, 1, (int64_t[]){3}));
    wide_int(&k.w, "axis", 0);
    down = put(&k.w, "Softmax", 13, x);
    along = softmax(&k, x);
    sees(&k, put(&k.w, "Add", 13, along, put(&k.w, "Mul", 13, down, number(&k.w, 0))), 0, 3,
         OMMA_MET_SOFT);
}

static void without_softmax(void **state) {
    (void)state;
    masks k = begin(-100);
    omma_value *y = put(&k.w, "Add", 13, k.x, k.m);
    y = put(&k.w, "MatMul", 13, y, floats(&k.w, 0.5, 1, DIMS(SIDE, SIDE)));
    sees(&k, y, 0, 15, 0);
}

/* Zeros behind a softmax are neither low for the next nor zero once something is added. */
static void behind(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        masks k = begin(-INFINITY);
        omma_value *y = softmax(&k, put(&k.w, "Add", 13, k.x, k.m));
        if (i & 1) y = put(&k.w, "Add", 13, y, k.x);
        if (i & 2) y = softmax(&k, y);
        else y = put(&k.w, "MatMul", 13, y, floats(&k.w, 0.5, 1, DIMS(SIDE, SIDE)));
        sees(&k, y, 0, i & 1 ? 15 : 3, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_front),        cmocka_unit_test(moved), cmocka_unit_test(lifted),
        cmocka_unit_test(all_along),       cmocka_unit_test(lost),  cmocka_unit_test(two_ways),
        cmocka_unit_test(without_softmax), cmocka_unit_test(behind)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_field_index.c - the fields of operators that read and write by index, or choose elements,
 * against what changes: with constant indices, with those of a run at hand, and with indices nobody
 * knows. */
#include "fieldcheck.h"

/* More bytes of indices than a graph is specialised by: nobody knows them, unless told. */
enum { MANY = 70 };

/* How the indices come: constants; an input not known; the same, known. */
enum { CONSTANT, UNKNOWN, KNOWN, KINDS };
static const int kind_how[KINDS] = {FIELDCHECK_EXACT, 0, FIELDCHECK_EXACT | FIELDCHECK_KNOWN};

static gradcheck_in *indices(gradcheck *c, int kind, int64_t dim, int rank, const int64_t *dims) {
    int64_t list[GRADCHECK_MOST], n = 1;
    for (int d = 0; d < rank; d++) n *= dims[d];
    for (int64_t i = 0; i < n; i++)
        list[i] = (int64_t)floor(gradcheck_random(0, 0.9999) * (double)(2 * dim)) - dim;
    gradcheck_in *in = gradcheck_whole(c, list, rank, dims);
    in->fixed = kind == CONSTANT;
    return in;
}

static void gather(void **state) {
    (void)state;
    for (int kind = 0; kind < KINDS; kind++)
        for (int64_t axis = 0; axis < 3; axis++) {
            int64_t dims[] = {2, 3, 2};
            dims[axis] = 5;
            gradcheck *c = gradcheck_new("Gather", 13, 1);
            gradcheck_float(c, -1, 1, 3, dims);
            indices(c, kind, 5, 2, (int64_t[]){2, kind ? MANY / 2 : 4});
            gradcheck_int(c, "axis", axis);
            fieldcheck_run(c, kind_how[kind]);
            dims[axis] = kind ? MANY : 7;
            c = gradcheck_new("GatherElements", 13, 1);
            gradcheck_float(c, -1, 1, 3, (int64_t[]){axis ? 3 : 5, axis == 1 ? 5 : 3, 5});
            indices(c, kind, axis == 2 ? 5 : 3, 3, dims);
            gradcheck_int(c, "axis", axis - 3);
            fieldcheck_run(c, kind_how[kind]);
        }
    gradcheck *c = gradcheck_new("Gather", 13, 1); /* one, and evenly */
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(3, 4));
    indices(c, CONSTANT, 4, 0, NULL);
    gradcheck_int(c, "axis", -1);
    fieldcheck_run(c, FIELDCHECK_EXACT);
    c = gradcheck_new("Gather", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(7));
    gradcheck_list(c, (int64_t[]){-1, 4, 2}, 3);
    fieldcheck_run(c, FIELDCHECK_EXACT);
}

static void gather_nd(void **state) {
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        gradcheck *c = gradcheck_new("GatherND", 13, 1);
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(3, 3, 2));
        indices(c, kind, 3, 2, (int64_t[]){kind ? MANY : 4, 2});
        fieldcheck_run(c, kind_how[kind]);
        c = gradcheck_new("GatherND", 13, 1);
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3, 2, 2));
        indices(c, kind, 2, 4, (int64_t[]){2, 3, kind ? MANY / 6 : 4, 1});
        gradcheck_int(c, "batch_dims", 2);
        fieldcheck_run(c, kind_how[kind]);
        c = gradcheck_new("GatherND", 13, 1);
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 1, 2, 1, 2, 1, 2, 3));
        indices(c, kind, 1, 2, (int64_t[]){kind ? MANY : 2, 2});
        fieldcheck_run(c, kind_how[kind]);
    }
}

static void scatter(void **state) {
    (void)state;
    static const char *const reductions[] = {"none", "add", "mul", "max"};
    for (int kind = 0; kind < KINDS; kind++)
        for (int red = 0; red < 4; red++) {
            for (int64_t axis = 0; axis < 2; axis++) {
                int64_t some[] = {2, 3};
                some[axis] = kind ? MANY / 2 : 4;
                gradcheck *c = gradcheck_new("ScatterElements", 18, 1);
                gradcheck_float(c, 0.5, 1.5, GRADCHECK_DIMS(3, 3));
                indices(c, kind, 3, 2, some);
                gradcheck_float(c, 0.5, 1.5, 2, some);
                gradcheck_int(c, "axis", axis);
                gradcheck_text(c, "reduction", reductions[red]);
                fieldcheck_run(c, kind_how[kind]);
            }
            gradcheck *c = gradcheck_new("ScatterND", 18, 1);
            gradcheck_float(c, 0.5, 1.5, GRADCHECK_DIMS(3, 3, 2));
            indices(c, kind, 3, 2, (int64_t[]){kind ? MANY / 2 : 4, 2});
            gradcheck_float(c, 0.5, 1.5, GRADCHECK_DIMS(kind ? MANY / 2 : 4, 2));
            gradcheck_text(c, "reduction", reductions[red]);
            fieldcheck_run(c, kind_how[kind]);
            c = gradcheck_new("ScatterND", 18, 1);
            gradcheck_float(c, 0.5, 1.5, GRADCHECK_DIMS(4, 2, 2));
            indices(c, kind, 4, 2, (int64_t[]){kind ? MANY : 3, 1});
            gradcheck_float(c, 0.5, 1.5, GRADCHECK_DIMS(kind ? MANY : 3, 2, 2));
            gradcheck_text(c, "reduction", reductions[red]);
            fieldcheck_run(c, kind_how[kind]);
        }
}

static void sequences(void **state) {
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        const int64_t batch = kind ? MANY : 3, n = batch < 3 ? batch : 3;
        int64_t at[MANY], lens[MANY];
        for (int64_t i = 0; i < batch; i++) at[i] = i % 2, lens[i] = i % n;
        for (int circular = 0; circular < 2; circular++)
            for (int64_t axis = 1; axis < 3; axis++) {
                int64_t dims[] = {batch, 2, 2, 1}, more[] = {batch, 2, 2, 1};
                dims[axis] = 3;
                gradcheck *c = gradcheck_new("TensorScatter", 24, 1);
                gradcheck_float(c, -1, 1, 4, dims);
                gradcheck_float(c, -1, 1, 4, more);
                for (int64_t i = 0; i < batch; i++) at[i] = i % (circular ? 4 : 2);
                if (kind || axis == 1) gradcheck_whole(c, at, 1, &batch)->fixed = kind == CONSTANT;
                gradcheck_text(c, "mode", circular ? "circular" : "linear");
                gradcheck_int(c, "axis", axis);
                fieldcheck_run(c, kind_how[kind]);
            }
        for (int64_t time = 0; time < 2; time++) {
            int64_t dims[] = {batch, batch, 2};
            dims[time] = 3;
            gradcheck *c = gradcheck_new("ReverseSequence", 10, 1);
            gradcheck_float(c, -1, 1, 3, dims);
            gradcheck_whole(c, lens, 1, &batch)->fixed = kind == CONSTANT;
            gradcheck_int(c, "time_axis", time);
            gradcheck_int(c, "batch_axis", 1 - time);
            fieldcheck_run(c, kind_how[kind]);
        }
    }
}

static void choices(void **state) {
    (void)state;
    for (int64_t axis = 0; axis < 3; axis++)
        for (int how = 0; how <= FIELDCHECK_KNOWN; how += FIELDCHECK_KNOWN) {
            for (int64_t keep = 0; keep < 2; keep++) {
                gradcheck *c = gradcheck_new(keep ? "ArgMax" : "ArgMin", 13, 1);
                gradcheck_float(c, -1, 1, GRADCHECK_DIMS(3, 2, 4));
                gradcheck_int(c, "axis", axis);
                gradcheck_int(c, "keepdims", keep);
                fieldcheck_run(c, how | FIELDCHECK_EXACT);
                c = gradcheck_new("TopK", 11, 2);
                gradcheck_float(c, -1, 1, GRADCHECK_DIMS(3, 4, 3));
                gradcheck_list(c, (int64_t[]){2}, 1);
                gradcheck_int(c, "axis", axis);
                gradcheck_int(c, "largest", keep);
                fieldcheck_run(c, how | FIELDCHECK_EXACT);
            }
            gradcheck *c = gradcheck_new("OneHot", 11, 1);
            gradcheck_whole(c, (int64_t[]){0, 3, -1, 5, -7, 2}, GRADCHECK_DIMS(2, 3));
            gradcheck_list(c, (int64_t[]){4}, 1);
            gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2));
            gradcheck_int(c, "axis", axis);
            fieldcheck_run(c, how | FIELDCHECK_EXACT);
            c = gradcheck_new("OneHot", 11, 1);
            gradcheck_float(c, -4, 4, GRADCHECK_DIMS(2, 3));
            gradcheck_list(c, (int64_t[]){4}, 1);
            gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2));
            gradcheck_int(c, "axis", axis);
            fieldcheck_run(c, how);
        }
}

/* Where the data decides a size the harness needs all of it: nothing is left out here. */
static void sizes(void **state) {
    (void)state;
    unsigned char when[600];
    memset(when, 1, sizeof when);
    for (int kind = 0; kind < KINDS; kind++) {
        gradcheck *c = gradcheck_new("Compress", 11, 1);
        const int64_t len = kind ? 600 : 9;
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(len));
        if (!kind) when[2] = when[5] = when[6] = 0;
        gradcheck_bool(c, when, 1, &len)->fixed = kind == CONSTANT;
        if (kind) gradcheck_int(c, "axis", 0);
        fieldcheck_run(c, kind_how[kind]);
        when[2] = when[5] = when[6] = 1;
    }
    gradcheck *c = gradcheck_new("Compress", 11, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(3, 4, 2));
    gradcheck_bool(c, (unsigned char[]){1, 0, 1}, GRADCHECK_DIMS(3));
    gradcheck_int(c, "axis", -2);
    fieldcheck_run(c, FIELDCHECK_EXACT);
    for (int64_t axis = -1; axis < 2; axis++) {
        c = gradcheck_new("Unique", 11, 4);
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(3, 4));
        if (axis >= 0) gradcheck_int(c, "axis", axis);
        fieldcheck_run(c, 0);
    }
    c = gradcheck_new("NonZero", 13, 1);
    gradcheck_float(c, 0.5, 1, GRADCHECK_DIMS(3, 4));
    fieldcheck_run(c, 0);
}

/* --- what is a value, and what is only true here -------------------------------------------- */

/* The content field of output element e: these n elements of input `in`; what the walk met. */
static void content_is(gradcheck *c, int how, int64_t e, int in, const int64_t *want, int n,
                       unsigned met) {
    fieldcheck k = {0};
    gradcheck_build(&k.s, c, OMMA_F64);
    omma_arena_init(&k.arena, NULL);
    const omma_specialise_how all = {.reading = OMMA_READ_FIELD};
    assert_false(omma_specialise(&k.sp, k.s.g, k.s.in, &all, &k.arena, &k.s.err));
    const void **numbers =
        omma_arena_array(&k.arena, (size_t)k.sp.graph->n_values + 1, sizeof *numbers);
    for (int i = 0; i < k.s.g->n_inputs && how & FIELDCHECK_KNOWN; i++)
        numbers[fieldcheck_value(&k, k.s.g->inputs[i]->name)->index] = k.s.in[i].data;
    assert_false(omma_fields_new(&k.f, k.sp.graph, numbers, NULL, &k.s.err));
    const omma_value *y = fieldcheck_value(&k, "out0"),
                     *x = fieldcheck_value(&k, k.s.g->inputs[in]->name);
    int64_t at[OMMA_MAX_RANK];
    omma_walk w;
    omma_set one;
    fieldcheck_at(y, e, at);
    assert_false(omma_walk_begin(&w, &k.f, OMMA_FIELD_CONTENT, &k.s.err));
    assert_true(omma_set_one(&w.arena, &one, y->rank, y->dims, at));
    assert_false(omma_walk_add(&w, y, &one, &k.s.err));
    assert_false(omma_walk_back(&w, &k.s.err));
    const omma_set *set = w.at[x->index];
    assert_int_equal(set ? omma_set_count(set) : 0, n);
    for (int i = 0; i < n; i++) {
        fieldcheck_at(x, want[i], at);
        if (!omma_set_has(set, at)) fail_msg("%s: without %lld", c->what, (long long)want[i]);
    }
    assert_int_equal(w.met, met);
    omma_walk_free(&w);
    omma_fields_free(&k.f);
    gradcheck_drop(&k.s);
    omma_arena_free(&k.arena);
    omma_arena_free(&c->arena);
    test_free(c);
}

static gradcheck *some_top_k(void) {
    gradcheck *c = gradcheck_new("TopK", 11, 2);
    gradcheck_data(c, (double[]){3, 1, 4, 1.5, 9, 2, 6, 5}, GRADCHECK_DIMS(2, 4));
    gradcheck_list(c, (int64_t[]){2}, 1);
    return c;
}

static gradcheck *some_gather(void) {
    int64_t list[MANY];
    for (int i = 0; i < MANY; i++) list[i] = i % 3 - 1;
    gradcheck *c = gradcheck_new("Gather", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(3, 2));
    gradcheck_whole(c, list, GRADCHECK_DIMS(MANY));
    return c;
}

static void content(void **state) {
    (void)state;
    content_is(some_top_k(), 0, 1, 0, (int64_t[]){0, 1, 2, 3}, 4, OMMA_MET_BOUND);
    content_is(some_top_k(), FIELDCHECK_KNOWN, 0, 0, (int64_t[]){2}, 1, OMMA_MET_DATA);
    content_is(some_top_k(), FIELDCHECK_KNOWN, 3, 0, (int64_t[]){6}, 1, OMMA_MET_DATA);
    content_is(some_gather(), 0, 1, 0, (int64_t[]){1, 3, 5}, 3, OMMA_MET_BOUND);
    content_is(some_gather(), FIELDCHECK_KNOWN, 0, 0, (int64_t[]){4}, 1, OMMA_MET_DATA);
    content_is(some_gather(), FIELDCHECK_KNOWN, 0, 1, NULL, 0, OMMA_MET_DATA);
    gradcheck *c = gradcheck_new("Gather", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(3, 2));
    gradcheck_list(c, (int64_t[]){-1, 0, 0}, 3);
    content_is(c, 0, 0, 0, (int64_t[]){4}, 1, 0);
    c = gradcheck_new("ScatterElements", 18, 1); /* the last of two, and none of the data */
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(3));
    gradcheck_list(c, (int64_t[]){1, 2, 1}, 3);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(3));
    content_is(c, 0, 1, 1, (int64_t[]){2}, 1, 0);
    c = gradcheck_new("OneHot", 11, 1);
    gradcheck_data(c, (double[]){1, 0}, GRADCHECK_DIMS(2));
    gradcheck_list(c, (int64_t[]){2}, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2));
    content_is(c, FIELDCHECK_KNOWN, 1, 1, (int64_t[]){1}, 1, OMMA_MET_DATA);
}

/* An operator of `ins` inputs of these dims, the one of whole numbers filled with v. */
static gradcheck *unknown(const char *op, int opset, int64_t v, int whole, int rank,
                          const int64_t *dims, int ins) {
    int64_t list[GRADCHECK_MOST];
    for (int i = 0; i < GRADCHECK_MOST; i++) list[i] = v;
    gradcheck *c = gradcheck_new(op, opset, 1);
    for (int i = 0; i < ins; i++)
        if (i == whole) gradcheck_whole(c, list, rank, dims + (ptrdiff_t)i * rank);
        else gradcheck_float(c, -1, 1, rank, dims + (ptrdiff_t)i * rank);
    return c;
}

/* Bounds are no wider than they must be: what the axes that no index moves along say is kept. */
static void tight(void **state) {
    (void)state;
    content_is(unknown("GatherElements", 13, 1, 1, 2, (int64_t[]){3, 2, 40, 2}, 2), 0, 1, 0,
               (int64_t[]){1, 3, 5}, 3, OMMA_MET_BOUND);
    gradcheck *c = unknown("GatherND", 13, 1, 1, 3, (int64_t[]){2, 2, 2, 2, 40, 1}, 2);
    gradcheck_int(c, "batch_dims", 1);
    content_is(c, 0, 81, 0, (int64_t[]){5, 7}, 2, OMMA_MET_BOUND);
    const int64_t dims[] = {3, 2, 40, 2, 40, 2};
    c = unknown("ScatterElements", 18, 1, 1, 2, dims, 3);
    content_is(c, 0, 3, 0, (int64_t[]){3}, 1, OMMA_MET_BOUND);
    int64_t odd[40];
    for (int i = 0; i < 40; i++) odd[i] = 2 * i + 1;
    content_is(unknown("ScatterElements", 18, 1, 1, 2, dims, 3), 0, 3, 1 + 1, odd, 40,
               OMMA_MET_BOUND);
    for (int i = 0; i < 2; i++) {
        int64_t list[MANY] = {0};
        c = gradcheck_new(i ? "TensorScatter" : "ReverseSequence", 24, 1);
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(MANY, 3, 2));
        if (i) gradcheck_float(c, -1, 1, GRADCHECK_DIMS(MANY, 2, 2));
        gradcheck_whole(c, list, GRADCHECK_DIMS(MANY));
        if (!i) gradcheck_int(c, "time_axis", 1), gradcheck_int(c, "batch_axis", 0);
        if (i) content_is(c, 0, 6, 1, (int64_t[]){4, 6}, 2, OMMA_MET_BOUND);
        else content_is(c, 0, 7, 0, (int64_t[]){7, 9, 11}, 3, OMMA_MET_BOUND);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(gather),  cmocka_unit_test(gather_nd),
                                       cmocka_unit_test(scatter), cmocka_unit_test(sequences),
                                       cmocka_unit_test(choices), cmocka_unit_test(sizes),
                                       cmocka_unit_test(content), cmocka_unit_test(tight)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

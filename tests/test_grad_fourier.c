/* test_grad_fourier.c - the gradients and fields of DFT and STFT against central differences and
 * what changes. */
#include "fieldcheck.h"

/* --- DFT ---------------------------------------------------------------------------------- */

typedef struct transform {
    int rank, axis;
    int64_t dims[5], length; /* 0: the axis' own */
    int inverse, onesided;
} transform;

static const transform transforms[] = {
    {3, 1, {2, 8, 1}, 0, 0, 0},     {3, 1, {1, 5, 2}, 0, 0, 0},    {3, 1, {2, 6, 1}, 0, 0, 1},
    {3, 1, {1, 7, 1}, 0, 0, 1},     {3, 1, {1, 6, 2}, 0, 1, 0},    {3, 1, {2, 5, 1}, 0, 1, 0},
    {3, 1, {1, 5, 2}, 0, 1, 1},     {3, 1, {1, 4, 2}, 7, 1, 1},    {3, 1, {1, 4, 1}, 6, 1, 1},
    {3, 1, {1, 6, 2}, 4, 0, 0},     {3, 1, {1, 3, 2}, 7, 0, 0},    {3, 1, {1, 5, 1}, 8, 0, 1},
    {3, 1, {1, 9, 1}, 4, 0, 1},     {3, 1, {1, 6, 2}, 5, 1, 1},    {3, 1, {2, 2, 2}, 9, 1, 1},
    {4, -3, {2, 4, 3, 2}, 0, 0, 0}, {4, 0, {6, 2, 2, 1}, 0, 0, 1}, {5, 2, {1, 2, 3, 2, 2}, 4, 1, 0},
    {2, 0, {4, 2}, 0, 0, 0},        {3, 1, {2, 1, 1}, 0, 0, 0},    {3, 1, {2, 1, 2}, 1, 1, 1},
    {3, 1, {1, 6, 1}, 5, 0, 0}};

static gradcheck *dft(const transform *t, int opset) {
    gradcheck *c = gradcheck_new("DFT", opset, 1);
    gradcheck_float(c, -1, 1, t->rank, t->dims);
    if (t->length) gradcheck_list(c, &t->length, 1);
    else gradcheck_skip(c);
    if (opset >= 20) gradcheck_list(c, (const int64_t[]){t->axis}, 1);
    else gradcheck_int(c, "axis", t->axis);
    gradcheck_int(c, "inverse", t->inverse);
    gradcheck_int(c, "onesided", t->onesided);
    return c;
}

static void dft_grad(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof transforms / sizeof *transforms; i++) {
        gradcheck_run(dft(&transforms[i], 17));
        gradcheck_run(dft(&transforms[i], 20));
    }
}

static void dft_field(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof transforms / sizeof *transforms; i++)
        fieldcheck_run(dft(&transforms[i], 20), 0);
}

/* --- STFT --------------------------------------------------------------------------------- */

/* kind 0: a window that is learned, 1: a constant whose ends are 0, 2: none. */
static gradcheck *stft(int kind, int64_t length, int64_t frame, int64_t step, int parts,
                       int onesided) {
    gradcheck *c = gradcheck_new("STFT", 17, 1);
    static const double taper[] = {0, 0.5, 1, 0.5, 0, 0};
    gradcheck_float(c, 0.1, 1, GRADCHECK_DIMS(2, length, parts));
    gradcheck_list(c, &step, 1);
    if (kind == 0) gradcheck_float(c, 0.1, 1, GRADCHECK_DIMS(frame));
    else if (kind == 1) gradcheck_data(c, taper, GRADCHECK_DIMS(frame))->fixed = true;
    else gradcheck_skip(c), gradcheck_list(c, &frame, 1);
    gradcheck_int(c, "onesided", onesided);
    return c;
}

static void stft_both(void **state) {
    (void)state;
    for (int kind = 0; kind < 3; kind++)
        for (int pass = 0; pass < 2; pass++) {
            gradcheck *c[] = {stft(kind, 11, 4, 3, 1, 1), stft(kind, 10, 5, 2, 2, 0),
                              stft(kind, 6, 6, 1, 1, 0)};
            for (int i = 0; i < 3; i++)
                if (pass) fieldcheck_run(c[i], 0);
                else gradcheck_run(c[i]);
        }
}

/* How many numbers a frame of 6 reads through the window with zeros at its ends: those from 1 to
 * 3, of both frames at hand. */
static void stft_window(void **state) {
    (void)state;
    gradcheck *c = stft(1, 9, 6, 3, 1, 1);
    gradcheck_side s;
    omma_fields f;
    omma_specialised sp;
    omma_arena arena;
    omma_arena_init(&arena, NULL);
    gradcheck_build(&s, c, OMMA_F64);
    const omma_specialise_how how = {.reading = OMMA_READ_FIELD};
    assert_int_equal(omma_specialise(&sp, s.g, s.in, &how, &arena, &s.err), OMMA_OK);
    assert_int_equal(omma_fields_new(&f, sp.graph, NULL, NULL, &s.err), OMMA_OK);
    for (int64_t frame = 0; frame < 2; frame++) {
        omma_walk w;
        omma_set one;
        const omma_value *y = sp.graph->outputs[0], *x = sp.graph->inputs[0];
        assert_int_equal(omma_walk_begin(&w, &f, OMMA_FIELD_STRUCTURAL, &s.err), OMMA_OK);
        assert_true(omma_set_one(&w.arena, &one, 4, y->dims, (const int64_t[]){1, frame, 2, 0}));
        assert_int_equal(omma_walk_add(&w, y, &one, &s.err), OMMA_OK);
        assert_int_equal(omma_walk_back(&w, &s.err), OMMA_OK);
        assert_int_equal(w.met, OMMA_MET_BOUND);
        for (int64_t i = 0; i < 9; i++)
            assert_int_equal(omma_set_has(w.at[x->index], (const int64_t[]){1, i, 0}),
                             i >= 3 * frame + 1 && i <= 3 * frame + 3);
        omma_walk_free(&w);
    }
    omma_fields_free(&f);
    omma_arena_free(&arena);
    gradcheck_drop(&s);
    omma_arena_free(&c->arena);
    test_free(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(dft_grad), cmocka_unit_test(dft_field),
                                       cmocka_unit_test(stft_both), cmocka_unit_test(stft_window)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* partscheck.h - do the plainer operators that a node stands for give the numbers of its own run?
 * One node, in float64 and in float32, beside the graph of its parts.
 *
 *     gradcheck *c = gradcheck_new("Attention", 23, 1);  // the operators at work of gradcheck.h
 *     gradcheck_float(c, -1, 1, GRADCHECK_DIMS(1, 2, 3, 4));
 *     partscheck_run(c);                                 // checks, frees nothing */
#ifndef OMMA_TESTS_PARTSCHECK_H
#define OMMA_TESTS_PARTSCHECK_H

#include "gradcheck.h"

#include "run/specialised.h"

static inline void partscheck_compare(const gradcheck *c, int k, const omma_tensor *want,
                                      const omma_tensor *is, double tolerance) {
    double largest = 1;
    const int64_t n = gradcheck_count(want);
    assert_int_equal(want->dtype, is->dtype);
    assert_int_equal(want->rank, is->rank);
    assert_memory_equal(want->dims, is->dims, (size_t)want->rank * sizeof *want->dims);
    for (int64_t i = 0; i < n; i++)
        if (isfinite(gradcheck_number(want, i)))
            largest = fmax(largest, fabs(gradcheck_number(want, i)));
    for (int64_t i = 0; i < n; i++) {
        const double a = gradcheck_number(want, i), b = gradcheck_number(is, i);
        if (a != b && !(fabs(a - b) <= tolerance * largest))
            fail_msg("%s: output %d, number %lld: %.9g by its run, %.9g by its parts", c->what, k,
                     (long long)i, a, b);
    }
}

static inline void partscheck_type(const gradcheck *c, omma_dtype t, double tolerance) {
    gradcheck_side s;
    omma_arena arena;
    omma_specialised sp;
    omma_session *session = NULL;
    const omma_specialise_how how = {.reading = OMMA_READ_FIELD};
    gradcheck_build(&s, c, t);
    omma_arena_init(&arena, NULL);
    if (omma_specialise(&sp, s.g, s.in, &how, &arena, &s.err)) fail_msg("%s", s.err.message);
    for (int i = 0; i < sp.graph->n_nodes; i++)
        if (sp.graph->nodes[i]->op == c->op) fail_msg("%s did not give way", c->what);
    if (omma_graph_verify(sp.graph, &s.err) ||
        omma_session_on_graph(&session, sp.graph, "parts", NULL, &s.err) ||
        omma_session_run(session, s.in, s.g->n_inputs, &s.err))
        fail_msg("%s: %s", c->what, s.err.message);
    for (int k = 0; k < s.g->n_outputs; k++)
        partscheck_compare(c, k, omma_session_output(s.session, k), omma_session_output(session, k),
                           tolerance);
    omma_session_free(session);
    omma_arena_free(&arena);
    gradcheck_drop(&s);
}

static inline void partscheck_run(const gradcheck *c) {
    partscheck_type(c, OMMA_F64, 1e-12);
    partscheck_type(c, OMMA_F32, 2e-5);
}

/* The same of 16-bit floats, which the parts compute in float32 as the run does. */
static inline void partscheck_halves(const gradcheck *c) {
    partscheck_type(c, OMMA_F16, 2e-3);
    partscheck_type(c, OMMA_BF16, 1.6e-2);
}

static inline void partscheck_free(gradcheck *c) {
    omma_arena_free(&c->arena);
    test_free(c);
}

#endif

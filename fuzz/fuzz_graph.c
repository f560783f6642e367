/* fuzz_graph.c - graphs grown from the bytes, computed in two ways: node by node with the
 * plain kernels, and by a session with every pass or none, the kernels the bytes name, work cut
 * at odd places, threads, and values watched. What must agree to the bit does, and the rest
 * within what rounding explains. See graphmaker.h.
 *
 * The linker's --wrap lets us choose the kernels and where work is cut. With OMMA_FUZZ_SHOW
 * set the graph is printed; with OMMA_FUZZ_ONNX=FILE it is written as ONNX. */
#include "base/pool.h"
#include "graphsteps.h"
#include "graphwrite.h"
#include "run/session.h"

const omma_kernels *__real_omma_kernels_best(void);
const omma_kernels *__wrap_omma_kernels_best(void);
void __real_omma_parallel(int threads, int64_t n, int64_t grain, omma_chunk fn, void *arg);
void __wrap_omma_parallel(int threads, int64_t n, int64_t grain, omma_chunk fn, void *arg);

static const omma_kernels *chosen;

/* How work is cut: as it comes, in small pieces from the end, or in small pieces by threads. */
static enum { CUT_AS_IT_COMES, CUT_BACKWARDS, CUT_SMALL } cutting;

const omma_kernels *__wrap_omma_kernels_best(void) {
    return chosen ? chosen : __real_omma_kernels_best();
}

void __wrap_omma_parallel(int threads, int64_t n, int64_t grain, omma_chunk fn, void *arg) {
    int64_t piece = n / 7 + 1 < grain ? n / 7 + 1 : grain;
    if (cutting == CUT_AS_IT_COMES || n <= 0) __real_omma_parallel(threads, n, grain, fn, arg);
    else if (cutting == CUT_SMALL) __real_omma_parallel(threads, n, piece, fn, arg);
    else
        for (int64_t from = (n - 1) / piece * piece; from >= 0; from -= piece)
            fn(arg, from, from + piece < n ? from + piece : n, 0);
}

/* --- the graph ---------------------------------------------------------------------------- */

enum { OUTPUTS = 6, INPUTS = 2 };

static omma_value *inputs[INPUTS], *outputs[OUTPUTS];
static int n_inputs, n_outputs;
static omma_tensor given[INPUTS];

static void grow(maker *m) {
    static const int64_t sides[] = {5, 8, 4, 9, 12, 1, 16, 7}, channels[] = {4, 3, 8, 1, 2, 16};
    n_inputs = 0;
    inputs[n_inputs++] = maker_input(
        m, OMMA_F32, DIMS(1 + chance(m, 4), CHOOSE(channels), CHOOSE(sides), CHOOSE(sides)));
    if (chance(m, 2))
        inputs[n_inputs++] =
            maker_input(m, OMMA_F32, DIMS(1 + chance(m, 4), 1 + take(m, 12), 1 + take(m, 12)));
    while (m->p < m->end && m->g->n_nodes < 40) { /* new steps leave old bytes their meaning */
        size_t k = take(m, 64);
        if (k < sizeof steps / sizeof *steps) steps[k](m);
    }
}

/* What nobody reads, and a few more, late ones first. */
static void choose_outputs(maker *m, unsigned more) {
    n_outputs = 0;
    for (int i = m->g->n_values - 1; i >= 0 && n_outputs < OUTPUTS; i--) {
        omma_value *v = m->g->values[i];
        bool wanted = !of(m, v)->reads || (more >> i % 8 & 1 && n_outputs < 2);
        if (v->producer && wanted) outputs[n_outputs++] = v;
    }
}

/* --- comparing ------------------------------------------------------------------------------ */

/* How far off two ways of computing may be: by what a little noise makes of it. */
static double tolerance(const made *x) {
    double off = 0;
    int64_t n = omma_tensor_count(&x->a);
    for (int64_t i = 0; i < n && !x->same; i++)
        off = fmax(off, fabs(at(&x->a, i) - omma_get_number(x->a.dtype, x->b, i)));
    return x->same ? 0 : 200 * off + 1e-6 * fmax(x->most, 1e-3);
}

static void compare_to(const made *want, const omma_tensor *got, const char *what) {
    FUZZ_CHECK(got, "%s is not there", what);
    FUZZ_CHECK(got->dtype == want->a.dtype && got->rank == want->a.rank &&
                   !memcmp(got->dims, want->a.dims, (size_t)got->rank * sizeof *got->dims),
               "%s has another type or shape", what);
    double off = tolerance(want);
    int64_t n = omma_tensor_count(got);
    for (int64_t i = 0; i < n; i++) {
        double x = at(got, i), y = at(&want->a, i);
        if (off > want->most && (isnan(x) || isnan(y))) continue; /* a root or log of noise */
        FUZZ_CHECK(fabs(x - y) <= off, "%s: element %lld is %.9g, not %.9g; %.3g is allowed, %s",
                   what, (long long)i, x, y, off, chosen->isa);
    }
}

static size_t bytes_of(const omma_tensor *t) {
    return (size_t)omma_tensor_count(t) * omma_dtype_size(t->dtype);
}

/* --- running --------------------------------------------------------------------------------- */

static omma_session *open_session(maker *m, int threads) {
    const omma_options opt = {.threads = threads, .max_memory = 256 << 20};
    omma_session *s;
    omma_error err = {0};
    omma_status status = omma_session_on_graph(&s, m->g, "fuzz", &opt, &err);
    FUZZ_CHECK(!status, "%s", err.message);
    return s;
}

static void run(omma_session *s) {
    omma_error err = {0};
    omma_status status = omma_session_run(s, given, n_inputs, &err);
    FUZZ_CHECK(!status, "%s", err.message);
}

static void same_outputs(const omma_session *s, void *const *first, const char *what) {
    for (int i = 0; i < n_outputs; i++) {
        const omma_tensor *t = omma_session_output(s, i);
        FUZZ_CHECK(t && (!bytes_of(t) || !memcmp(t->data, first[i], bytes_of(t))),
                   "output '%s' changes %s, %s", outputs[i]->name, what, chosen->isa);
    }
}

static void watch(omma_session *s, maker *m, unsigned which) {
    omma_error err = {0};
    for (int i = 0; i < m->g->n_values; i++)
        if (m->g->values[i]->producer && (which >> i % 8 & 1))
            FUZZ_CHECK(!omma_session_watch(s, m->g->values[i]->name, &err), "%s", err.message);
}

static void compare_watched(omma_session *s, maker *m, unsigned which) {
    for (int i = 0; i < m->g->n_values; i++) {
        const omma_value *v = m->g->values[i];
        if (v->producer && (which >> i % 8 & 1))
            compare_to(&m->v[i], omma_session_watched(s, v->name), v->name);
    }
}

/* The session's way, in all its ways. */
static void run_and_compare(maker *m, unsigned isa, unsigned which, bool threads) {
    void *first[OUTPUTS];
    chosen = omma_kernels_at((int)isa);
    if (!chosen) chosen = __real_omma_kernels_best();
    cutting = CUT_AS_IT_COMES;
    omma_session *s = open_session(m, 1);
    run(s);
    for (int i = 0; i < n_outputs; i++) {
        const omma_tensor *t = omma_session_output(s, i);
        compare_to(of(m, outputs[i]), t, outputs[i]->name);
        FUZZ_CHECK((first[i] = malloc(bytes_of(t) + 1)), "no memory");
        if (bytes_of(t)) memcpy(first[i], t->data, bytes_of(t));
    }
    run(s);
    same_outputs(s, first, "when run again");
    omma_session_free(s);

    setenv("OMMA_PASSES", "-all", 1);
    s = open_session(m, 1);
    run(s);
    for (int i = 0; i < n_outputs; i++)
        compare_to(of(m, outputs[i]), omma_session_output(s, i), outputs[i]->name);
    omma_session_free(s);
    unsetenv("OMMA_PASSES");

    cutting = CUT_BACKWARDS;
    s = open_session(m, 3);
    watch(s, m, which);
    run(s);
    same_outputs(s, first, "when watched and cut elsewhere");
    compare_watched(s, m, which);
    omma_session_free(s);

    cutting = CUT_SMALL;
    if (threads) {
        s = open_session(m, 3);
        run(s);
        same_outputs(s, first, "with threads");
        omma_session_free(s);
    }
    cutting = CUT_AS_IT_COMES, chosen = NULL;
    for (int i = 0; i < n_outputs; i++) free(first[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 8) return 0;
    maker *m = malloc(sizeof *m);
    FUZZ_CHECK(m, "no memory");
    unsigned isa = data[0] % 4, which = data[1], more = data[2], open = data[3];
    maker_begin(m, data + 4, size - 4);
    grow(m);
    choose_outputs(m, more);
    for (int i = 0; i < n_inputs; i++) {
        given[i] = of(m, inputs[i])->a;
        for (int k = 0; k < inputs[i]->rank; k++)
            if (open >> k & 1) inputs[i]->dims[k] = -1;
    }
    maker_end(m, inputs, n_inputs, outputs, n_outputs);
    if (n_outputs) {
        graph_show(m->g, given);
        run_and_compare(m, isa, which, open >> 7);
    }
    maker_free(m);
    free(m);
    return 0;
}

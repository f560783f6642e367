/* test_pass_bands.c - convolutions in bands of rows, on random models of inverted residuals whose
 * maps are large enough: the bits are those without the pass, for any number of threads, watched or
 * not; what is read elsewhere, or is small, or bfloat16, is left alone. */
#define _DEFAULT_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "planned.h"
#include "randomblocks.h"
#include "run/session.h"

/* v0: [n, 4, h, w] -> n blocks; *fork: a value that is an output, too, or -1. */
static mk make(random_graph *r, int64_t n, int64_t h, int64_t w, int *fork) {
    *r = (random_graph){0};
    const int64_t d[4] = {n, 4, h, w};
    int x = value(r, 4, d);
    mk_port(&r->g, MK_INPUT, name_of(r, x), OMMA_F32, MK_DIMS(n, 4, h, w));
    *fork = -1;
    for (int i = 1 + rnd(2); i >= 0; i--) {
        const char *act = block_acts[rnd(5)];
        const int64_t wide = 32 + rnd(17), k = 3 + 2 * rnd(2), stride = 1 + (rnd(3) == 0);
        const int64_t c = r->v[x].d[1];
        int y = act_of(r, conv_of(r, x, wide, 1, 1, 1), act);
        if (*fork < 0 && rnd(4) == 0) *fork = y;
        y = act_of(r, conv_of(r, y, wide, k, stride, wide), act);
        y = conv_of(r, y, stride == 1 ? c : 6, 1, 1, 1);
        r->v[y].d[0] = n;
        x = stride == 1 && rnd(2) ? add_of(r, y, x) : y;
    }
    if (*fork >= 0) mk_port(&r->g, MK_OUTPUT, name_of(r, *fork), OMMA_F32, -1, NULL);
    mk_port(&r->g, MK_OUTPUT, name_of(r, x), OMMA_F32, -1, NULL);
    return mk_model(&r->g, 17);
}

typedef struct subject {
    omma_model *m;
    omma_tensor in;
    const char *watch; /* or NULL */
    bool bf16;
} subject;

/* The last output; the caller frees it. */
static float *answer(const subject *s, const char *passes, int threads) {
    omma_session *x;
    omma_error err;
    const omma_options opt = {.threads = threads, .bf16 = s->bf16};
    if (passes) setenv("OMMA_PASSES", passes, 1);
    else unsetenv("OMMA_PASSES");
    if (omma_session_new(&x, s->m, &opt, &err) ||
        (s->watch && omma_session_watch(x, s->watch, &err)) || omma_session_run(x, &s->in, 1, &err))
        fail_msg("%s", err.message);
    const omma_tensor *y = omma_session_output(x, s->m->graph->n_outputs - 1);
    const size_t bytes = (size_t)omma_tensor_count(y) * 4;
    float *out = malloc(bytes + sizeof bytes);
    assert_non_null(out);
    memcpy(out, &bytes, sizeof bytes);
    memcpy((char *)out + sizeof bytes, y->data, bytes);
    omma_session_free(x);
    unsetenv("OMMA_PASSES");
    return out;
}

static void same(const subject *s, const float *want, const char *passes, int threads,
                 uint32_t seed) {
    float *got = answer(s, passes, threads);
    size_t bytes;
    memcpy(&bytes, want, sizeof bytes);
    if (memcmp(got, want, bytes + sizeof bytes))
        fail_msg("seed %u: other bits (passes %s, %d threads, watched: %s)", seed,
                 passes ? passes : "all", threads, s->watch ? s->watch : "nothing");
    free(got);
}

/* How many ConvChain the plan has. */
static int chains(const subject *s, const char *watch) {
    const omma_bf16_how how = {.on = s->bf16, .all = s->bf16};
    planned p;
    plan_open(&p, s->m, &s->in, &how, 1, &watch, watch != NULL);
    const int n = plan_count(&p, "ConvChain", OMMA_NONE);
    plan_close(&p);
    return n;
}

static void subject_new(subject *s, const mk *bytes, int64_t n, int64_t h, int64_t w) {
    omma_error err;
    *s = (subject){.in = {OMMA_F32, 4, {n, 4, h, w}, NULL}};
    if (mk_open(&s->m, bytes, NULL, &err)) fail_msg("%s", err.message);
    float *pixels = malloc((size_t)(n * 4 * h * w) * sizeof *pixels);
    assert_non_null(pixels);
    for (int64_t i = 0; i < n * 4 * h * w; i++) pixels[i] = real();
    s->in.data = pixels;
}

static void subject_end(subject *s) {
    free(s->in.data);
    omma_model_free(s->m);
}

static void random_models(void **state) {
    (void)state;
    int joined = 0, forked = 0;
    for (uint32_t seed = 1; seed <= 16; seed++) {
        random_graph r;
        subject s;
        int fork;
        random_seed = seed * 2654435761u + 1;
        const int64_t n = 1 + (rnd(3) == 0), h = 70 + rnd(60), w = 70 + rnd(60);
        mk bytes = make(&r, n, h, w, &fork);
        subject_new(&s, &bytes, n, h, w);
        mk_free(&bytes);
        joined += chains(&s, NULL), forked += fork >= 0;
        float *want = answer(&s, "-bands", 1);
        same(&s, want, NULL, 1, seed);
        same(&s, want, NULL, 2, seed);
        same(&s, want, NULL, 5, seed);
        same(&s, want, "-memory", 2, seed);
        s.watch = r.v[1 + rnd(r.n - 1)].name;
        assert_true(chains(&s, s.watch) >= chains(&s, NULL)); /* it has no say in the others */
        same(&s, want, NULL, 2, seed);
        free(want);
        subject_end(&s);
    }
    assert_in_range(joined, 16, 16 * 3);
    assert_in_range(forked, 1, 15);
}

/* 4 -> 48 -> depthwise -> 6 channels at w x w pixels; between: whether the map of 48 is read
 * elsewhere. */
static int chains_of(int64_t w, bool between, bool bf16) {
    random_graph r = {0};
    subject s;
    random_seed = 7;
    int x = value(&r, 4, (const int64_t[]){1, 4, w, w});
    mk_port(&r.g, MK_INPUT, name_of(&r, x), OMMA_F32, MK_DIMS(1, 4, w, w));
    const int a = conv_of(&r, x, 48, 1, 1, 1);
    int y = conv_of(&r, a, 48, 3, 1, 48);
    y = conv_of(&r, y, 6, 1, 1, 1);
    if (between) mk_port(&r.g, MK_OUTPUT, name_of(&r, a), OMMA_F32, -1, NULL);
    mk_port(&r.g, MK_OUTPUT, name_of(&r, y), OMMA_F32, -1, NULL);
    mk bytes = mk_model(&r.g, 17);
    subject_new(&s, &bytes, 1, w, w);
    mk_free(&bytes);
    s.bf16 = bf16;
    const int n = chains(&s, NULL);
    subject_end(&s);
    return n;
}

static void what_is_joined(void **state) {
    (void)state;
    assert_int_equal(chains_of(100, false, false), 1);
    assert_int_equal(chains_of(100, true, false), 1); /* without the first */
    assert_int_equal(chains_of(40, false, false), 0); /* 0.3 MB */
    assert_int_equal(chains_of(100, false, true), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_models),
                                       cmocka_unit_test(what_is_joined)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

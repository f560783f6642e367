/* test_run_allocs.c - not one allocation in a run, by anybody: malloc and its kin are counted in
 * the whole process while prepared sessions run, on one thread and on several. On random models of
 * vision's blocks, and on OMMA_SHARED/models/deimv2_atto where it is there. */
#define _DEFAULT_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/arena.h"
#include "model/model.h"
#include "randomblocks.h"
#include "shared.h"

enum { RUNS = 4, MODELS = 40 };

static _Atomic bool counting;
static _Atomic long allocations;

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);

static void note(void) { allocations += counting; }

void *malloc(size_t n) { return note(), __libc_malloc(n); }
void *calloc(size_t n, size_t size) { return note(), __libc_calloc(n, size); }
void *realloc(void *p, size_t n) { return note(), __libc_realloc(p, n); }
void *aligned_alloc(size_t align, size_t n) { return note(), __libc_memalign(align, n); }
enum { OURS = 1 };
#else
enum { OURS = 0 }; /* the sanitizer has malloc: omma's own requests are counted */
#endif

/* The first run makes the plan and starts the threads. */
static void check(const omma_model *m, const omma_tensor *in, int n, const char *what) {
    for (int threads = 1; threads <= 4; threads *= 2) {
        omma_session *s;
        omma_error err;
        if (omma_session_new(&s, m, &(omma_options){.threads = threads}, &err) ||
            omma_session_run(s, in, n, &err))
            fail_msg("%s: %s", what, err.message);
        const uint64_t requests = omma_mem_calls();
        allocations = 0;
        counting = true;
        for (int i = 0; i < RUNS; i++)
            if (omma_session_run(s, in, n, &err)) fail_msg("%s: %s", what, err.message);
        counting = false;
        if (allocations || omma_mem_calls() != requests)
            fail_msg("%s, %d threads: %ld allocations, %ld requests in %d runs", what, threads,
                     (long)allocations, (long)(omma_mem_calls() - requests), (int)RUNS);
        omma_session_free(s);
    }
}

/* The counter counts, or the rest says nothing. */
static void allocations_are_seen(void **state) {
    (void)state;
    if (!OURS) skip();
    void *volatile p;
    allocations = 0;
    counting = true;
    p = malloc(100);
    free(p);
    p = aligned_alloc(64, 128);
    free(p);
    counting = false;
    assert_int_equal(allocations, 2);
}

static void random_models(void **state) {
    (void)state;
    static float pixels[3 * 32 * 32];
    for (size_t i = 0; i < sizeof pixels / sizeof *pixels; i++) pixels[i] = real();
    for (int i = 0; i < MODELS; i++) {
        random_graph r;
        omma_model *m;
        omma_error err;
        random_seed = (uint32_t)i * 40503u + 3;
        mk bytes = random_blocks(&r);
        if (mk_open(&m, &bytes, NULL, &err)) fail_msg("model %d: %s", i, err.message);
        mk_free(&bytes);
        const omma_tensor in = {OMMA_F32, 4, {1, 3, r.h, r.w}, pixels};
        check(m, &in, 1, text("model %d", i));
        omma_model_free(m);
    }
}

static void a_detector(void **state) {
    (void)state;
    char path[1024];
    omma_model *m;
    omma_error err;
    if (!shared_path(path, sizeof path, "models/deimv2_atto/deimv2_hgnetv2_atto_coco.onnx")) {
        print_message("SKIPPED: needs shared/models/deimv2_atto\n");
        skip();
    }
    if (omma_model_open(&m, path, NULL, &err)) fail_msg("%s", err.message);
    omma_tensor in[4] = {0};
    const int n = omma_model_input_count(m);
    assert_in_range(n, 1, 4);
    for (int i = 0; i < n; i++) {
        const omma_port *p = omma_model_input(m, i);
        in[i] = (omma_tensor){.dtype = p->dtype, .rank = p->rank};
        for (int d = 0; d < p->rank; d++) in[i].dims[d] = p->dims[d] > 0 ? p->dims[d] : 1;
        in[i].data = test_calloc((size_t)omma_tensor_count(&in[i]), omma_dtype_size(p->dtype));
    }
    check(m, in, n, "the detector");
    for (int i = 0; i < n; i++) test_free(in[i].data);
    omma_model_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(allocations_are_seen),
                                       cmocka_unit_test(random_models),
                                       cmocka_unit_test(a_detector)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

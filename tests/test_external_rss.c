/* test_external_rss.c - the promise of docs/security.md on memory: a model whose weights are in a
 * file of their own is opened and run within the size of that file and the plan. Weights that
 * are packed take the place of the file's pages; the others are read where they lie.
 *
 * Makes a chain of MatMul layers and their weights file in a folder of its own, then opens
 * and runs it in a fresh process and prints the sizes and the peak. OMMA_TEST_BIG=N makes
 * N MiB of weights (`make test-big`: 2048). */
#define _DEFAULT_SOURCE
#include <fcntl.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "model/inspect.h"
#include "onnxmake.h"

enum { SIDE = 2048, ROWS = 128, LAYER = SIDE * SIDE * 4, MIB = 1 << 20 };
enum { SLACK = 2 * MIB }; /* the graph, stacks, the slice of the file being packed */

static char folder[64], model[96], weights[96];
static int layers = 6; /* of 16 MiB */

/* The numbers of a layer; free them. */
static float *make_layer(void) {
    float *row = malloc(LAYER);
    uint32_t x = 1;
    assert_non_null(row);
    for (int i = 0; i < SIDE * SIDE; i++) {
        x = x * 1664525 + 1013904223;
        row[i] = (float)(int32_t)x * 0x1p-37f;
    }
    return row;
}

static void write_weights(void) {
    FILE *f = fopen(weights, "wb");
    assert_non_null(f);
    float *row = make_layer();
    for (int i = 0; i < layers; i++) assert_int_equal(fwrite(row, LAYER, 1, f), 1);
    free(row);
    assert_int_equal(fclose(f), 0);
}

/* Say of tensor t that it is layer i of the weights file. */
static void refer(mk *t, int i) {
    char text[32];
    for (int k = 0; k < 3; k++) {
        mk e = {0};
        snprintf(text, sizeof text, "%lld", k == 1 ? (long long)i * LAYER : (long long)LAYER);
        mk_str(&e, 1, k == 0 ? "location" : k == 1 ? "offset" : "length");
        mk_str(&e, 2, k == 0 ? "weights.bin" : text);
        mk_sub(t, 13, &e);
    }
    mk_int(t, 14, 1);
}

/* x [ROWS, SIDE] through MatMul and, every other time, Gemm with its weights transposed: both
 * orders of packing. The weights are in the other file, or inside. */
static void write_model(bool inside) {
    mk g = {0};
    char in[80], out[32] = "x", w[32];
    float *row = inside ? make_layer() : NULL;
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(ROWS, SIDE));
    for (int i = 0; i < layers; i++) {
        snprintf(w, sizeof w, "w%d", i);
        mk t = mk_tensor(w, OMMA_F32, MK_DIMS(SIDE, SIDE));
        if (inside) mk_bytes(&t, 9, row, LAYER);
        else refer(&t, i);
        mk_sub(&g, MK_INIT, &t);
        snprintf(in, sizeof in, "%s,%s", out, w);
        snprintf(out, sizeof out, "y%d", i);
        mk attrs = {0};
        if (i % 2) mk_attr_int(&attrs, "transB", 1);
        mk_op(&g, i % 2 ? "Gemm" : "MatMul", in, out, i % 2 ? &attrs : NULL);
    }
    mk_port(&g, MK_OUTPUT, out, OMMA_F32, MK_DIMS(ROWS, SIDE));
    mk m = mk_model(&g, 17);
    FILE *f = fopen(model, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(m.data, m.size, 1, f), 1);
    fclose(f);
    mk_free(&m);
    free(row);
}

static size_t peak(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (size_t)u.ru_maxrss * 1024;
}

/* What is in memory of mappings of the files in the folder [bytes], and whether the system was
 * asked not to use huge pages for each (the flag nh). */
static size_t mapped(bool *plain) {
    char line[512];
    size_t sum = 0, kib;
    bool ours = false;
    FILE *f = fopen("/proc/self/smaps", "r");
    if (!f) abort();
    *plain = true;
    while (fgets(line, sizeof line, f)) {
        unsigned long long begin, end;
        if (sscanf(line, "%llx-%llx ", &begin, &end) == 2) ours = strstr(line, folder);
        if (ours && sscanf(line, "Rss: %zu", &kib) == 1) sum += kib * 1024;
        if (ours && !strncmp(line, "VmFlags:", 8)) *plain &= strstr(line, " nh") != NULL;
    }
    fclose(f);
    return sum;
}

/* In a process of its own: what it reports to the parent. */
typedef struct report {
    bool good;
    char message[256];
    size_t before, opened, after; /* peak resident memory [bytes] */
    size_t mapped;                /* of the files, after the run [bytes] */
    bool plain;                   /* and never by huge pages */
    float y;
} report;

/* Run a small model first, so that what any process needs (code, threads) is there before. */
static void warm_up(void) {
    mk g = {0};
    static float w[64 * 64], x[64 * 64];
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(64, 64));
    mk_floats(&g, "w", w, MK_DIMS(64, 64));
    mk_op(&g, "MatMul", "x,w", "y", NULL);
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, MK_DIMS(64, 64));
    mk bytes = mk_model(&g, 17);
    omma_model *m;
    omma_session *s;
    omma_tensor in = {OMMA_F32, 2, {64, 64}, x};
    if (mk_open(&m, &bytes, NULL, NULL) || omma_session_new(&s, m, NULL, NULL) ||
        omma_session_run(s, &in, 1, NULL))
        abort();
    omma_session_free(s);
    omma_model_free(m);
    mk_free(&bytes);
}

static void run_it(report *r) {
    warm_up();
    const omma_options opt = {.allow_external = 1, .threads = 2};
    omma_model *m = NULL;
    omma_session *s = NULL;
    omma_error err = {0};
    float *x = malloc((size_t)ROWS * SIDE * sizeof *x);
    for (int i = 0; i < ROWS * SIDE; i++) x[i] = (float)(i % 7) - 3;
    omma_tensor in = {OMMA_F32, 2, {ROWS, SIDE}, x};
    r->before = peak();
    omma_status status = omma_model_open(&m, model, &opt, &err);
    r->opened = peak();
    if (!status) status = omma_session_new(&s, m, &opt, &err);
    if (!status) status = omma_session_run(s, &in, 1, &err);
    r->after = peak();
    r->mapped = mapped(&r->plain);
    r->good = !status;
    if (!status) r->y = *(float *)omma_session_output(s, 0)->data;
    memcpy(r->message, err.message, sizeof r->message - 1);
    omma_session_free(s);
    omma_model_free(m);
    free(x);
}

static void measure(report *r) {
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        report mine = {0};
        run_it(&mine);
        ssize_t n = write(ends[1], &mine, sizeof mine);
        _exit(n == sizeof mine ? 0 : 1);
    }
    close(ends[1]);
    ssize_t n = read(ends[0], r, sizeof *r);
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (n != sizeof *r || status) fail_msg("the process ended with status %d", status);
    if (!r->good) fail_msg("%s", r->message);
}

static void check_peak(bool inside) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    print_message("SKIPPED: a sanitizer's memory is not the model's\n");
    skip();
#endif
    strcpy(folder, "/tmp/omma-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(model, sizeof model, "%s/model.onnx", folder);
    snprintf(weights, sizeof weights, "%s/weights.bin", folder);
    report r;
    if (!inside) write_weights();
    write_model(inside);
    measure(&r);
    omma_model *m;
    omma_inspection x;
    omma_error err;
    omma_options opt = {.allow_external = 1};
    assert_int_equal(omma_model_open(&m, model, &opt, &err), 0);
    if (omma_inspect(&x, m, NULL, &err)) fail_msg("%s", err.message);
    const size_t file = (size_t)layers * LAYER, plan = x.plan_bytes, packed = x.packed_bytes;
    omma_inspection_free(&x);
    omma_model_free(m);
    unlink(model), unlink(weights), rmdir(folder);
    print_message(
        "weights file %.1f MiB, plan %.1f MiB, packed weights %.1f MiB; resident: %.1f MiB "
        "before opening, %.1f MiB opened, peak %.1f MiB after a run (%.1f MiB more than "
        "before; file + plan: %.1f MiB)\n",
        (double)file / MIB, (double)plan / MIB, (double)packed / MIB, (double)r.before / MIB,
        (double)r.opened / MIB, (double)r.after / MIB, (double)(r.after - r.before) / MIB,
        (double)(file + plan) / MIB);
    /* stepping over a weight inside may map a large page of the file at its end */
    const size_t large = inside ? 2 * MIB : 0;
    assert_true(r.opened - r.before < MIB + (size_t)layers * large);
    assert_true(r.after - r.before <= file + plan + SLACK + large);
    assert_int_equal(r.mapped, 0);
    assert_true(r.plain);
}

static void weights_in_a_file_of_their_own(void **state) {
    (void)state;
    const char *big = getenv("OMMA_TEST_BIG");
    if (big && atoi(big) > 0) layers = atoi(big) / (LAYER / MIB);
    check_peak(false);
}

static void weights_in_the_model_s_file(void **state) {
    (void)state;
    layers = 6;
    check_peak(true);
}

int main(void) {
    mallopt(M_MMAP_THRESHOLD, MIB); /* what is freed before the fork is gone */
    const struct CMUnitTest tests[] = {cmocka_unit_test(weights_in_a_file_of_their_own),
                                       cmocka_unit_test(weights_in_the_model_s_file)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* nodetest.h - one case of a conformance suite in the ONNX project's layout, through the public
 * interface: <folder>/<name>/model.onnx and test_data_set_K/{input_N,output_N}.pb, every K.
 *
 *     char folder[NODETEST_PATH], why[NODETEST_WHY];
 *     if (!nodetest_unpack(folder, "cases.tgz")) ...skip or fail...
 *     if (nodetest_run(folder, "test_abs", why)) ...why...
 *     nodetest_remove(folder);
 *
 * The suite numbers input files over the inputs the graph has: an optional input that a node
 * leaves out is no input of the graph, so the files are 0, 1, 2... without gaps, and as many
 * as the model's inputs. Outputs likewise. */
#ifndef OMMA_TESTS_NODETEST_H
#define OMMA_TESTS_NODETEST_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/model.h"
#include "op/op.h"

enum { NODETEST_PATH = 1024, NODETEST_WHY = 2400 };

typedef enum nodetest_result {
    NODETEST_PASSED,
    NODETEST_WRONG,  /* it ran, and an output has other numbers, another type or shape */
    NODETEST_REFUSED /* omma or the reader of the test's files said no; why is the message */
} nodetest_result;

/* |got - want| <= atol + rtol |want|: the tolerances of the ONNX project's own runner, unless a
 * program sets others. */
static double nodetest_rtol = 1e-3, nodetest_atol = 1e-7;

/* --- suites ---------------------------------------------------------------------- */

/* Unpack an archive into a new folder, below which its cases lie. Returns 1, or 0 when there is
 * no such archive or it does not unpack. */
static inline int nodetest_unpack(char *folder, const char *archive) {
    char command[3 * NODETEST_PATH];
    struct stat st;
    if (stat(archive, &st)) return 0;
    snprintf(folder, NODETEST_PATH, "/tmp/omma-nodetest-XXXXXX");
    if (!mkdtemp(folder)) return 0;
    snprintf(command, sizeof command, "tar xzf '%s' -C '%s'", archive, folder);
    return !system(command);
}

static inline void nodetest_remove(const char *folder) {
    char command[2 * NODETEST_PATH];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command)) fprintf(stderr, "%s stays behind\n", folder);
}

/* --- comparing ------------------------------------------------------------------- */

static inline int nodetest_is_real(omma_dtype t) {
    return t == OMMA_F32 || t == OMMA_F64 || t == OMMA_F16 || t == OMMA_BF16;
}

static inline int nodetest_near(double got, double want) {
    if (isnan(got) || isnan(want)) return isnan(got) && isnan(want);
    return got == want || fabs(got - want) <= nodetest_atol + nodetest_rtol * fabs(want);
}

/* The same type, shape and numbers: real ones within the tolerance, others exactly. Returns 1,
 * or 0 and why not. */
static inline int nodetest_same(const omma_tensor *got, const omma_tensor *want, char *why,
                                size_t size) {
    if (got->dtype != want->dtype || got->rank != want->rank) {
        snprintf(why, size, "is %s of rank %d, not %s of rank %d", omma_dtype_name(got->dtype),
                 got->rank, omma_dtype_name(want->dtype), want->rank);
        return 0;
    }
    for (int d = 0; d < got->rank; d++)
        if (got->dims[d] != want->dims[d]) {
            snprintf(why, size, "dimension %d is %lld, not %lld", d, (long long)got->dims[d],
                     (long long)want->dims[d]);
            return 0;
        }
    int64_t n = omma_tensor_count(want);
    size_t bytes = omma_dtype_size(want->dtype);
    for (int64_t i = 0; i < n; i++) {
        const char *p = (const char *)got->data + (size_t)i * bytes,
                   *q = (const char *)want->data + (size_t)i * bytes;
        if (!memcmp(p, q, bytes)) continue;
        double a = omma_get_number(got->dtype, got->data, i),
               b = omma_get_number(want->dtype, want->data, i);
        if (nodetest_is_real(want->dtype) && nodetest_near(a, b)) continue;
        snprintf(why, size, "element %lld is %.9g, not %.9g", (long long)i, a, b);
        return 0;
    }
    return 1;
}

/* --- running --------------------------------------------------------------------- */

/* Read set/what_i.pb. Returns 0, 1 when there is no such file, -1 when it cannot be read. */
static inline int nodetest_load(omma_tensor *t, const char *set, const char *what, int i,
                                omma_arena *arena, omma_error *err) {
    char path[NODETEST_PATH + 400];
    snprintf(path, sizeof path, "%s/%s_%d.pb", set, what, i);
    struct stat st;
    if (stat(path, &st)) return 1;
    return omma_onnx_tensor_file(t, path, arena, err) ? -1 : 0;
}

/* Run one data set; the session is of the case's model. */
static inline nodetest_result nodetest_set(omma_session *s, const omma_model *m, const char *set,
                                           char *why) {
    omma_error err = {.message = "a file of the test's data is missing"};
    omma_arena arena;
    omma_arena_init(&arena, NULL);
    omma_tensor in[64], want;
    int n = 0, got = 0;
    nodetest_result result = NODETEST_REFUSED;
    while (n < 64 && (got = nodetest_load(&in[n], set, "input", n, &arena, &err)) == 0) n++;
    if (got < 0 || omma_session_run(s, in, n, &err)) goto done;
    for (int i = 0; i < omma_model_output_count(m); i++) {
        char detail[256];
        if (nodetest_load(&want, set, "output", i, &arena, &err)) goto done;
        if (nodetest_same(omma_session_output(s, i), &want, detail, sizeof detail)) continue;
        result = NODETEST_WRONG;
        snprintf(why, NODETEST_WHY, "%s: output %d (%s): %s", strrchr(set, '/') + 1, i,
                 omma_model_output(m, i)->name, detail);
        goto done;
    }
    result = NODETEST_PASSED;
done:
    if (result == NODETEST_REFUSED) snprintf(why, NODETEST_WHY, "%s", err.message);
    omma_arena_free(&arena);
    return result;
}

/* Run every data set of folder/name; the first that does not pass decides. why has room for
 * NODETEST_WHY bytes. */
static inline nodetest_result nodetest_run(const char *folder, const char *name, char *why) {
    omma_error err = {0};
    omma_model *m = NULL;
    omma_session *s = NULL;
    struct stat st;
    char path[NODETEST_PATH + 320];
    nodetest_result result = NODETEST_REFUSED;
    why[0] = 0;
    snprintf(path, sizeof path, "%s/%s/model.onnx", folder, name);
    if (omma_model_open(&m, path, NULL, &err) || omma_session_new(&s, m, NULL, &err)) {
        snprintf(why, NODETEST_WHY, "%s", err.message);
    } else {
        for (int k = 0;; k++) {
            snprintf(path, sizeof path, "%s/%s/test_data_set_%d", folder, name, k);
            if (k && stat(path, &st)) break;
            if ((result = nodetest_set(s, m, path, why)) != NODETEST_PASSED) break;
        }
    }
    omma_session_free(s);
    omma_model_free(m);
    return result;
}

#endif

/* test_onnx_nodes.c - the ONNX project's node tests, through the public interface.
 *
 * Needs OMMA_SHARED/onnx: node_tests.tgz and vision_node_tests.txt; skipped without. With an
 * argument it runs only the tests whose name contains it and prints every failure:
 *     build/tests/test_onnx_nodes resize */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "model/model.h"
#include "op/op.h"
#include "shared.h"

static const char *only;
static char folder[64];

/* |got - want| <= atol + rtol |want|, as the ONNX project's own runner asks. */
static int same(const omma_tensor *got, const omma_tensor *want, char *why, size_t size) {
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
    for (int64_t i = 0; i < n; i++) {
        double a = omma_get_number(got->dtype, got->data, i),
               b = omma_get_number(want->dtype, want->data, i);
        if (isnan(a) && isnan(b)) continue;
        if (a == b || fabs(a - b) <= 1e-7 + 1e-3 * fabs(b)) continue;
        snprintf(why, size, "element %lld is %.9g, not %.9g", (long long)i, a, b);
        return 0;
    }
    return 1;
}

static int load(omma_tensor *t, const char *test, const char *what, int i, omma_arena *arena,
                omma_error *err) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s/test_data_set_0/%s_%d.pb", folder, test, what, i);
    struct stat st;
    if (stat(path, &st)) return 1;
    return omma_onnx_tensor_file(t, path, arena, err) ? -1 : 0;
}

/* 0 passed, 1 wrong, 2 refused */
static int run_one(const char *name, char *why, size_t size) {
    omma_error err = {0};
    omma_model *m = NULL;
    omma_session *s = NULL;
    omma_arena arena;
    omma_arena_init(&arena, NULL);
    char path[1024];
    snprintf(path, sizeof path, "%s/%s/model.onnx", folder, name);
    int result = 2;
    omma_tensor in[32];
    int n = 0, got = 0;
    if (omma_model_open(&m, path, NULL, &err) || omma_session_new(&s, m, NULL, &err)) goto refused;
    while (n < 32 && (got = load(&in[n], name, "input", n, &arena, &err)) == 0) n++;
    if (got < 0 || omma_session_run(s, in, n, &err)) goto refused;
    result = 0;
    for (int i = 0; i < omma_model_output_count(m) && !result; i++) {
        omma_tensor want;
        char detail[256];
        if (load(&want, name, "output", i, &arena, &err)) goto refused;
        if (!same(omma_session_output(s, i), &want, detail, sizeof detail)) {
            snprintf(why, size, "output %d: %s", i, detail);
            result = 1;
        }
    }
    goto done;
refused:
    snprintf(why, size, "%s", err.message);
done:
    omma_session_free(s);
    omma_model_free(m);
    omma_arena_free(&arena);
    return result;
}

static void node_tests(void **state) {
    (void)state;
    char command[1400], list[600], archive[600];
    shared_path(list, sizeof list, "onnx/vision_node_tests.txt");
    shared_path(archive, sizeof archive, "onnx/node_tests.tgz");
    FILE *f = fopen(list, "r");
    if (!f) {
        print_message("SKIPPED: no %s\n", list);
        skip();
        return;
    }
    snprintf(folder, sizeof folder, "/tmp/omma-node-tests-%ld", (long)getpid());
    snprintf(command, sizeof command,
             "mkdir -p '%s' && tar xzf '%s' -C '%s' && cd '%s' && d=$(find . -maxdepth 3 -type d "
             "-name test_abs -printf '%%h') && [ \"$d\" = . ] || mv \"$d\"/* .",
             folder, archive, folder, folder);
    assert_int_equal(system(command), 0);
    char line[256], why[2100];
    int counts[3] = {0}, total = 0;
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\r\n\t ")] = 0;
        if (!*line || (only && !strstr(line, only))) continue;
        total++;
        int r = run_one(line, why, sizeof why);
        counts[r]++;
        if (r == 1 || (r && only))
            print_message("%s: %s: %s\n", r == 1 ? "WRONG" : "refused", line, why);
    }
    fclose(f);
    print_message("node tests: %d of %d pass, %d wrong, %d refused\n", counts[0], total, counts[1],
                  counts[2]);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    assert_int_equal(system(command), 0);
    if (only) return;
    assert_int_equal(counts[1], 0);
    assert_true(counts[0] >= 793); /* of 804; never fewer */
}

int main(int argc, char **argv) {
    if (argc > 1) only = argv[1];
    const struct CMUnitTest tests[] = {cmocka_unit_test(node_tests)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

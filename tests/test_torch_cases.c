/* test_torch_cases.c - our own conformance cases, whose numbers come from PyTorch and numpy.
 *
 * tests/golden/torch/cases.tgz, made by make_cases.py beside it, has the layout of the ONNX
 * project's node tests and goes through the same runner. Every case must pass but for those
 * of tests/golden/torch/not_supported.txt, which must be refused: a line there that passes is
 * a fault too. With an argument only the cases whose name contains it run:
 *
 *     build/tests/test_torch_cases resize */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "nodemanifest.h"
#include "nodetest.h"

#define CASES OMMA_TREE "/tests/golden/torch/"

static const char *only; /* part of a name */
static manifest refused;

/* The case's own tolerance, or the usual one. */
static void set_tolerance(const char *folder, const char *name) {
    char path[NODETEST_PATH + 300];
    snprintf(path, sizeof path, "%s/%s/tolerance.txt", folder, name);
    FILE *f = fopen(path, "r");
    nodetest_rtol = 1e-3, nodetest_atol = 1e-7;
    if (!f) return;
    assert_int_equal(fscanf(f, "%lf %lf", &nodetest_rtol, &nodetest_atol), 2);
    /* The sums of some cases are exact, and Winograd's convolution is not: see kernel/winograd.c.
     * The numbers of these are of the order of 10. */
    if (!strncmp(name, "conv_2d", 7)) nodetest_atol = fmax(nodetest_atol, 1e-4);
    fclose(f);
}

/* What is wrong with this result, or NULL. */
static const char *fault_of(const manifest_line *l, nodetest_result r) {
    if (r == NODETEST_WRONG) return "wrong";
    if (r == NODETEST_REFUSED && !l) return "refused";
    if (r == NODETEST_PASSED && l) return "it passes, and not_supported.txt lists it";
    return NULL;
}

static void torch_cases(void **state) {
    (void)state;
    char folder[NODETEST_PATH], why[NODETEST_WHY];
    int total = 0, passed = 0, faults = 0;
    struct dirent **names;
    assert_true(nodetest_unpack(folder, CASES "cases.tgz"));
    int n = scandir(folder, &names, NULL, alphasort);
    assert_true(n > 2);
    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;
        if (*name != '.' && (!only || strstr(name, only))) {
            set_tolerance(folder, name);
            nodetest_result r = nodetest_run(folder, name, why);
            manifest_line *l = manifest_find(&refused, name);
            if (l) l->seen = true;
            const char *fault = fault_of(l, r);
            if (fault) print_message("%s: %s%s%s\n", name, fault, *why ? ": " : "", why);
            total++, passed += r == NODETEST_PASSED, faults += fault != NULL;
        }
        free(names[i]);
    }
    free(names);
    nodetest_remove(folder);
    for (size_t i = 0; i < refused.count; i++)
        if (!refused.lines[i].seen && !only) {
            print_message("%s: not_supported.txt lists it, and there is no such case\n",
                          refused.lines[i].name);
            faults++;
        }
    print_message("COUNTED: cases against PyTorch: %d of %d pass\n", passed, total);
    assert_int_equal(faults, 0);
}

int main(int argc, char **argv) {
    if (argc > 1) only = argv[1];
    if (!manifest_read(&refused, CASES "not_supported.txt")) {
        fprintf(stderr, "%s\n", refused.fault);
        return 1;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(torch_cases)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(refused.lines);
    return failed;
}

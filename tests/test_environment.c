/* test_environment.c - variables that ask for what cannot be had are told, not ignored. */
#define _DEFAULT_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "model/inspect.h"
#include "onnxmake.h"

static omma_model *model;

static int set_up(void **state) {
    (void)state;
    mk g = {0};
    mk_small(&g);
    mk m = mk_small_end(&g);
    omma_status s = mk_open(&model, &m, NULL, NULL);
    mk_free(&m);
    return (int)s;
}

static int tear_down(void **state) {
    (void)state;
    omma_model_free(model);
    return 0;
}

static void with(const char *name, const char *value, omma_status want) {
    omma_session *s = NULL;
    omma_inspection x;
    omma_error err = {0};
    setenv(name, value, 1);
    omma_status got = omma_session_new(&s, model, NULL, &err);
    if (got != want) fail_msg("%s=%s: status %d '%s'", name, value, (int)got, err.message);
    if (want && (!strstr(err.message, name) || s))
        fail_msg("%s=%s: '%s'", name, value, err.message);
    omma_session_free(s);
    got = omma_inspect(&x, model, NULL, &err);
    if (got != want) fail_msg("inspect, %s=%s: status %d", name, value, (int)got);
    omma_inspection_free(&x);
    unsetenv(name);
}

static void threads(void **state) {
    (void)state;
    static const char *const good[] = {"1", "2", "256", ""};
    static const char *const bad[] = {"0", "-1", "257", "two", "2x", "1.5", "99999999999999999999"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) with("OMMA_THREADS", good[i], OMMA_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        with("OMMA_THREADS", bad[i], OMMA_E_USAGE);
}

static void cpu(void **state) {
    (void)state;
    static const char *const good[] = {"c", "avx2", "avx512", "neon", ""};
    static const char *const bad[] = {"AVX2", "avx", "sse9", "NEON", "c "};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) with("OMMA_CPU", good[i], OMMA_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) with("OMMA_CPU", bad[i], OMMA_E_USAGE);
}

int main(void) {
    unsetenv("OMMA_THREADS");
    unsetenv("OMMA_CPU");
    const struct CMUnitTest tests[] = {cmocka_unit_test(threads), cmocka_unit_test(cpu)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

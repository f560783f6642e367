/* test_environment.c - variables that ask for what cannot be had are told, not ignored. */
#define _DEFAULT_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "model/inspect.h"
#include "onnxmake.h"
#include "pass/passes.h"

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

static void passes(void **state) {
    (void)state;
    static const char *const good[] = {"-fuse", "-all,+gelu", "+all", "-layout,-in-place",
                                       "",      "-constants"};
    static const char *const bad[] = {
        "fuse", "-", "-fused", "-fuse,nonsense", "-fuse, -layout", "-fuse,,-layout", "--fuse"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) with("OMMA_PASSES", good[i], OMMA_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) with("OMMA_PASSES", bad[i], OMMA_E_USAGE);
}

static void what_the_words_do(void **state) {
    (void)state;
    static const struct {
        const char *list, *pass;
        bool on;
    } t[] = {{"", "gelu", true},
             {"-fuse", "gelu", false},
             {"-fuse", "layout", true},
             {"-all,+gelu", "gelu", true},
             {"-all,+gelu", "silu", false},
             {"-all,+gelu", "fuse", true},
             {"-gelu,+all", "gelu", true},
             {"-memory", "in-place", false},
             {"-memory,+reuse", "reuse", true}};
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        setenv("OMMA_PASSES", t[i].list, 1);
        if (omma_pass_on(t[i].pass) != t[i].on)
            fail_msg("OMMA_PASSES=%s: %s", t[i].list, t[i].pass);
    }
    unsetenv("OMMA_PASSES");
    omma_pass_row row;
    int n = 0;
    for (; omma_pass_row_at(&row, n); n++) assert_true(omma_pass_on(row.name));
    assert_true(n >= 10);
    assert_false(omma_pass_row_at(&row, -1));
}

int main(void) {
    unsetenv("OMMA_THREADS");
    unsetenv("OMMA_PASSES");
    unsetenv("OMMA_CPU");
    const struct CMUnitTest tests[] = {cmocka_unit_test(threads), cmocka_unit_test(cpu),
                                       cmocka_unit_test(passes),
                                       cmocka_unit_test(what_the_words_do)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

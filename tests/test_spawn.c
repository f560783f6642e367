/* test_spawn.c - running programs: their status and words come back, limits on time and
 * size hold, a stop ends them with their helpers, and a tarball's members come out without
 * its names touching the disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "file/bytes.h"
#include "file/fetch.h"
#include "file/spawn.h"

static char scratch[] = "/tmp/omma-spawn-XXXXXX";

static const char *in_scratch(const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", scratch, name);
    return path;
}

static omma_status shell(omma_ending *end, const char *script, omma_spawn s, omma_error *err) {
    const char *argv[] = {"sh", "-c", script, NULL};
    s.argv = argv;
    return omma_spawn_run(end, &s, err);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void status_and_words_come_back(void **state) {
    (void)state;
    omma_ending end;
    omma_error err;
    assert_int_equal(shell(&end, "echo out; echo oh dear >&2; exit 3", (omma_spawn){0}, &err),
                     OMMA_OK);
    assert_int_equal(end.status, 3);
    assert_string_equal(end.said, "oh dear\n");
    assert_int_equal(shell(&end, "kill -9 $$", (omma_spawn){0}, &err), OMMA_OK);
    assert_int_equal(end.status, 128 + 9);
    assert_int_equal(
        shell(&end, "cat; pwd", (omma_spawn){.folder = "/", .out = in_scratch("pwd")}, &err),
        OMMA_OK);
    omma_bytes b;
    assert_int_equal(omma_bytes_read(&b, in_scratch("pwd"), 100, &err), OMMA_OK);
    assert_memory_equal(b.data, "/\n", 2);
    omma_bytes_free(&b);
    unlink(in_scratch("pwd"));
}

static void the_end_of_many_words_is_kept(void **state) {
    (void)state;
    omma_ending end;
    omma_error err;
    const char *script = "i=0; while [ $i -lt 5000 ]; do echo line $i >&2; i=$((i+1)); done";
    assert_int_equal(shell(&end, script, (omma_spawn){0}, &err), OMMA_OK);
    assert_true(strlen(end.said) > 1000);
    assert_non_null(strstr(end.said, "line 4999\n"));
    assert_null(strstr(end.said, "line 100\n"));
}

static void a_missing_program_is_named(void **state) {
    (void)state;
    const char *argv[] = {"omma-no-such-program", NULL};
    omma_spawn s = {.argv = argv};
    omma_ending end;
    omma_error err;
    assert_int_equal(omma_spawn_run(&end, &s, &err), OMMA_E_NOTFOUND);
    assert_non_null(strstr(err.message, "omma-no-such-program"));
}

static void time_and_stop_end_helpers_too(void **state) {
    (void)state;
    omma_ending end;
    omma_error err;
    double began = now();
    const char *script = "sleep 60 & sleep 60; wait";
    assert_int_equal(shell(&end, script, (omma_spawn){.seconds = 1}, &err), OMMA_E_IO);
    assert_non_null(strstr(err.message, "took too long"));
    volatile sig_atomic_t stop = 1;
    assert_int_equal(shell(&end, script, (omma_spawn){.stop = &stop}, &err), OMMA_E_IO);
    assert_non_null(strstr(err.message, "was stopped"));
    const char *deaf = "trap '' TERM; while :; do sleep 1; done";
    assert_int_equal(shell(&end, deaf, (omma_spawn){.stop = &stop}, &err), OMMA_E_IO);
    assert_true(now() - began < 20);
}

/* A helper that goes on after its parent must not hold us up, though it holds the pipe. */
static void a_helper_left_behind_does_not_hold_us_up(void **state) {
    (void)state;
    omma_ending end;
    omma_error err;
    double began = now();
    assert_int_equal(shell(&end, "sleep 5 & exit 0", (omma_spawn){0}, &err), OMMA_OK);
    assert_true(now() - began < 3);
}

static void files_cannot_grow_beyond_the_limit(void **state) {
    (void)state;
    omma_ending end;
    omma_error err;
    omma_spawn s = {.out = in_scratch("big"), .max_file = 1000};
    assert_int_equal(shell(&end, "head -c 100000 /dev/zero", s, &err), OMMA_OK);
    assert_int_not_equal(end.status, 0);
    struct stat st;
    assert_int_equal(stat(in_scratch("big"), &st), 0);
    assert_true(st.st_size <= 1000);
    /* what is there already is never overwritten */
    assert_int_equal(shell(&end, "echo", s, &err), OMMA_E_IO);
    unlink(in_scratch("big"));
}

static void only_https_without_a_mirror(void **state) {
    (void)state;
    omma_error err;
    unsetenv("OMMA_MIRROR");
    omma_status status = omma_fetch_url(in_scratch("x"), "file:///etc/passwd", 1000, NULL, &err);
    assert_int_not_equal(status, OMMA_OK);
    assert_int_not_equal(access(in_scratch("x"), F_OK), 0);
}

static void hostile_tarballs_give_no_more_than_bytes(void **state) {
    (void)state;
    omma_ending end;
    omma_error err;
    omma_spawn in = {.folder = scratch};
    const char *make =
        "mkdir p && echo right > p/a && ln -s /etc/passwd p/link && head -c 5000 /dev/zero "
        "> p/big && tar -czf - p > t:1.tgz && rm -r p";
    assert_int_equal(shell(&end, make, in, &err), OMMA_OK);
    assert_int_equal(end.status, 0);
    char tarball[256], out[256];
    snprintf(tarball, sizeof tarball, "%s/t:1.tgz", scratch); /* a colon: no other machine */
    snprintf(out, sizeof out, "%s/out", scratch);
    assert_int_equal(omma_fetch_unpack(out, tarball, "p/a", 100, NULL, &err), OMMA_OK);
    omma_bytes b;
    assert_int_equal(omma_bytes_read(&b, out, 100, &err), OMMA_OK);
    assert_int_equal(b.size, 6);
    omma_bytes_free(&b);
    unlink(out);
    struct stat st;
    omma_fetch_unpack(out, tarball, "p/link", 100, NULL, &err); /* a link has no bytes of its own */
    assert_int_equal(lstat(out, &st), 0);
    assert_true(S_ISREG(st.st_mode) && st.st_size == 0);
    unlink(out);
    assert_int_equal(omma_fetch_unpack(out, tarball, "p/big", 1000, NULL, &err), OMMA_E_FORMAT);
    unlink(out);
    assert_int_equal(omma_fetch_unpack(out, tarball, "p/none", 1000, NULL, &err), OMMA_E_FORMAT);
    unlink(out);
    unlink(tarball);
    assert_int_equal(omma_fetch_unpack(out, tarball, "p/a", 1000, NULL, &err), OMMA_E_IO);
    unlink(out);
}

int main(void) {
    if (!mkdtemp(scratch)) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_and_words_come_back),
        cmocka_unit_test(the_end_of_many_words_is_kept),
        cmocka_unit_test(a_missing_program_is_named),
        cmocka_unit_test(time_and_stop_end_helpers_too),
        cmocka_unit_test(a_helper_left_behind_does_not_hold_us_up),
        cmocka_unit_test(files_cannot_grow_beyond_the_limit),
        cmocka_unit_test(only_https_without_a_mirror),
        cmocka_unit_test(hostile_tarballs_give_no_more_than_bytes),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(scratch);
    return failed;
}

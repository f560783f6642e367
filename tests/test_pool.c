/* test_pool.c - the threading layer: every item once, worker numbers in range and never
 * shared, nested calls, callers at the same time, growth, many small jobs; sleep without work;
 * limits of control groups. */
#define _DEFAULT_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/cpus.h"
#include "base/pool.h"

enum { ITEMS = 10007 };

typedef struct job {
    int threads;
    _Atomic int wrong;
    _Atomic int busy[OMMA_MAX_THREADS];
    int64_t grain;
    unsigned char seen[ITEMS]; /* written by one chunk each, without atomics: for TSan */
    _Atomic int64_t sum;
} job;

static void count(void *arg, int64_t begin, int64_t end, int worker) {
    job *j = arg;
    if (worker < 0 || worker >= j->threads || begin < 0 || end > ITEMS || begin >= end ||
        end - begin > j->grain)
        j->wrong++;
    if (atomic_fetch_add(&j->busy[worker], 1)) j->wrong++;
    int64_t s = 0;
    for (int64_t i = begin; i < end; i++) j->seen[i]++, s += i;
    j->sum += s;
    atomic_fetch_sub(&j->busy[worker], 1);
}

static void check(int threads, int64_t n, int64_t grain) {
    job *j = calloc(1, sizeof *j);
    assert_non_null(j);
    j->threads = threads;
    j->grain = grain;
    omma_parallel(threads, n, grain, count, j);
    assert_int_equal(j->wrong, 0);
    assert_int_equal(j->sum, n * (n - 1) / 2);
    for (int64_t i = 0; i < ITEMS; i++) assert_int_equal(j->seen[i], i < n);
    free(j);
}

static void test_every_item_once(void **state) {
    (void)state;
    static const int threads[] = {1, 2, 3, 8, 1, 2, 17, 2, 64, 3};
    static const int64_t grains[] = {1, 3, 64, 5000, ITEMS, INT64_MAX / 2};
    for (size_t t = 0; t < sizeof threads / sizeof *threads; t++)
        for (size_t g = 0; g < sizeof grains / sizeof *grains; g++) {
            check(threads[t], ITEMS, grains[g]);
            check(threads[t], 1, grains[g]);
            check(threads[t], 5, grains[g]);
        }
}

static void never(void *arg, int64_t begin, int64_t end, int worker) {
    (void)begin, (void)end, (void)worker;
    *(int *)arg = 1;
}

static void test_nothing_to_do(void **state) {
    (void)state;
    int called = 0;
    omma_parallel(4, 0, 1, never, &called);
    omma_parallel(4, -3, 1, never, &called);
    assert_int_equal(called, 0);
}

static void test_many_small_jobs(void **state) {
    (void)state;
    job *j = calloc(1, sizeof *j);
    assert_non_null(j);
    enum { JOBS = 20000 };
    for (int r = 0; r < JOBS; r++) {
        j->threads = 2 + r % 3;
        j->grain = 1;
        omma_parallel(j->threads, 6, 1, count, j);
        if (r % 5000 == 0)
            nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL); /* let them sleep */
    }
    assert_int_equal(j->wrong, 0);
    assert_int_equal(j->sum, (int64_t)JOBS * 15);
    free(j);
}

static void nested(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        job *j = calloc(1, sizeof *j);
        if (!j) {
            (*(_Atomic int *)arg) += 1000;
            continue;
        }
        j->threads = 1; /* inside a chunk all is done by worker 0 */
        j->grain = 10;
        omma_parallel(4, 100, 10, count, j);
        if (j->wrong || j->sum != 4950) (*(_Atomic int *)arg)++;
        free(j);
    }
}

static void test_nested_calls_run_here(void **state) {
    (void)state;
    _Atomic int wrong = 0;
    omma_parallel(4, 40, 1, nested, &wrong);
    assert_int_equal(wrong, 0);
}

static void *caller(void *arg) {
    for (int i = 0; i < 300; i++) {
        job *j = calloc(1, sizeof *j);
        if (!j) return arg;
        j->threads = 3;
        j->grain = 7;
        omma_parallel(3, 500, 7, count, j);
        if (j->wrong || j->sum != 500 * 499 / 2) ++*(_Atomic int *)arg;
        free(j);
    }
    return NULL;
}

static void test_callers_at_the_same_time(void **state) {
    (void)state;
    _Atomic int wrong = 0;
    pthread_t t[4];
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&t[i], NULL, caller, &wrong), 0);
    for (int i = 0; i < 4; i++) {
        void *failed;
        pthread_join(t[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(wrong, 0);
}

static void test_default_threads(void **state) {
    (void)state;
    unsetenv("OMMA_THREADS");
    const int n = omma_threads_default();
    assert_in_range(n, 1, OMMA_MAX_THREADS);
    static const char *const bad[] = {"", "0", "-1", "257", "x", "3x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        setenv("OMMA_THREADS", bad[i], 1);
        assert_int_equal(omma_threads_default(), n);
    }
    setenv("OMMA_THREADS", "7", 1);
    assert_int_equal(omma_threads_default(), 7);
    unsetenv("OMMA_THREADS");
}

static char folder[] = "/tmp/omma-cpus-XXXXXX";

static void put(const char *name, const char *text) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int granted(const char *membership) {
    char path[128];
    put("membership", membership);
    snprintf(path, sizeof path, "%s/membership", folder);
    return omma_cpus_granted(path, folder);
}

static void test_control_groups(void **state) {
    (void)state;
    char command[256];
    assert_non_null(mkdtemp(folder));
    snprintf(command, sizeof command, "mkdir -p %s/a/b", folder);
    assert_int_equal(system(command), 0);
    assert_int_equal(granted("0::/a/b\n"), 0); /* no limits at all */
    put("a/cpu.max", "max 100000\n");
    assert_int_equal(granted("0::/a/b\n"), 0);
    put("a/b/cpu.max", "350000 100000\n"); /* three and a half: four are kept busy */
    assert_int_equal(granted("7:cpu,cpuacct:/x\n0::/a/b\n"), 4);
    put("a/cpu.max", "200000 100000\n"); /* what holds above holds below */
    assert_int_equal(granted("0::/a/b\n"), 2);
    assert_int_equal(granted("0::/a\n"), 2);
    assert_int_equal(granted("0::/\n"), 0);
    put("cpu.max", "50000 100000\n"); /* a container's own view: it is the root */
    assert_int_equal(granted("0::/\n"), 1);
    assert_int_equal(granted(""), 1);
    assert_int_equal(granted("0::/gone/away\n"), 1);
    static const char *const odd[] = {"", "max", "-1 100000", "5 0", "x y", "10"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        put("cpu.max", odd[i]);
        assert_int_equal(granted("0::/\n"), 0);
    }
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
    assert_in_range(omma_cpus(), 1, 1 << 20);
}

static void *runner(void *arg) { /* a run: jobs with pauses between them */
    for (int i = 0; i < 60; i++) {
        job *j = calloc(1, sizeof *j);
        if (!j) return arg;
        j->threads = 2 + i % 4;
        j->grain = 11;
        omma_pool_begin();
        for (int k = 0; k < 5; k++) {
            omma_parallel(j->threads, 500, 11, count, j);
            if (k == 2) nanosleep(&(struct timespec){.tv_nsec = 400000}, NULL);
        }
        omma_pool_end();
        if (j->wrong || j->sum != 5 * (500 * 499 / 2)) ++*(_Atomic int *)arg;
        free(j);
    }
    return NULL;
}

/* More callers than the pool has places for. */
static void test_runs_at_the_same_time(void **state) {
    (void)state;
    _Atomic int wrong = 0;
    pthread_t t[20];
    for (int i = 0; i < 20; i++) assert_int_equal(pthread_create(&t[i], NULL, runner, &wrong), 0);
    for (int i = 0; i < 20; i++) {
        void *failed;
        pthread_join(t[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(wrong, 0);
}

/* Threads of this process that do not sleep, as Linux tells it. */
static int awake(void) {
    int n = 0;
    DIR *d = opendir("/proc/self/task");
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        char path[300], name[64], state = 'S';
        snprintf(path, sizeof path, "/proc/self/task/%s/stat", e->d_name);
        FILE *f = e->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (f && fscanf(f, "%*d %63s %c", name, &state) != 2) state = 'S';
        if (f) fclose(f);
        n += state != 'S';
    }
    closedir(d);
    return n;
}

/* Who has no work sleeps: soon after a run nobody but this thread is awake. */
static void test_idle_workers_sleep(void **state) {
    (void)state;
    job *j = calloc(1, sizeof *j);
    assert_non_null(j);
    j->threads = 8;
    j->grain = 1;
    omma_pool_begin();
    for (int i = 0; i < 10; i++) omma_parallel(8, 16, 1, count, j);
    omma_pool_end();
    int tries = 0;
    while (awake() > 1 && tries++ < 2000) nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    assert_true(tries < 2000);
    free(j);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_item_once),
        cmocka_unit_test(test_nothing_to_do),
        cmocka_unit_test(test_many_small_jobs),
        cmocka_unit_test(test_nested_calls_run_here),
        cmocka_unit_test(test_callers_at_the_same_time),
        cmocka_unit_test(test_default_threads),
        cmocka_unit_test(test_control_groups),
        cmocka_unit_test(test_runs_at_the_same_time),
        cmocka_unit_test(test_idle_workers_sleep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

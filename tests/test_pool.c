/* test_pool.c - the threading layer: every item once, worker numbers in range and never
 * shared, nested calls, callers at the same time, growth, many small jobs. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_item_once),
        cmocka_unit_test(test_nothing_to_do),
        cmocka_unit_test(test_many_small_jobs),
        cmocka_unit_test(test_nested_calls_run_here),
        cmocka_unit_test(test_callers_at_the_same_time),
        cmocka_unit_test(test_default_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

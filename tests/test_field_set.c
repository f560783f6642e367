/* test_field_set.c - sets as products of parts against sets as plain bits: chains of random
 * unions, shapes, permutations, maps, restrictions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "field/set.h"

enum { MOST = 16384 };

static uint32_t seed = 1;
static int rnd(int n) {
    seed = seed * 1664525u + 1013904223u;
    return (int)((seed >> 8) % (uint32_t)n);
}

/* The plain set: dims and a byte for each element. */
typedef struct plain {
    int rank;
    int64_t dims[OMMA_MAX_RANK];
    unsigned char in[MOST];
} plain;

static int64_t count(const plain *p) {
    int64_t n = 1;
    for (int d = 0; d < p->rank; d++) n *= p->dims[d];
    return n;
}

static void at_of(const plain *p, int64_t i, int64_t *at) {
    for (int d = p->rank - 1; d >= 0; d--) at[d] = i % p->dims[d], i /= p->dims[d];
}

static int64_t of_at(const plain *p, const int64_t *at) {
    int64_t i = 0;
    for (int d = 0; d < p->rank; d++) i = i * p->dims[d] + at[d];
    return i;
}

static void same(omma_arena *a, const omma_set *s, const plain *p, const char *what) {
    int64_t at[OMMA_MAX_RANK], n = 0, size = 1;
    uint64_t *bits = omma_arena_array(a, MOST / 64 + 1, 8);
    assert_int_equal(s->rank, p->rank);
    assert_true(omma_set_to_bits(a, s, bits));
    for (int k = 0, axes = 0; k < s->n && !s->empty; k++) {
        axes += s->part[k].axes;
        size *= s->part[k].size;
        if (k == s->n - 1) assert_int_equal(axes, s->rank);
    }
    if (!s->empty) assert_int_equal(size, count(p));
    for (int64_t i = 0; i < count(p); i++) {
        at_of(p, i, at);
        if (omma_set_has(s, at) != p->in[i] || omma_bit(bits, i) != p->in[i])
            fail_msg("%s: element %lld is %d", what, (long long)i, omma_set_has(s, at));
        n += p->in[i];
    }
    assert_int_equal(omma_set_count(s), n);
    assert_int_equal(omma_set_is_all(s), n == count(p) && n);
}

/* A random set: a product, or any bits. */
static void random_set(omma_arena *a, omma_set *s, plain *p, int rank, const int64_t *dims) {
    uint64_t *bits = omma_arena_array(a, MOST / 64 + 1, 8);
    unsigned char keep[OMMA_MAX_RANK][MOST];
    const int loose = rnd(3) == 0;
    *p = (plain){.rank = rank};
    memcpy(p->dims, dims, (size_t)rank * sizeof *dims);
    for (int d = 0; d < rank; d++)
        for (int64_t i = 0, all = rnd(2); i < dims[d]; i++) keep[d][i] = all || rnd(3);
    for (int64_t i = 0; i < count(p); i++) {
        int64_t at[OMMA_MAX_RANK];
        at_of(p, i, at);
        p->in[i] = !loose || rnd(2);
        for (int d = 0; d < rank && !loose; d++) p->in[i] &= keep[d][at[d]];
        if (p->in[i]) omma_bit_set(bits, i);
    }
    assert_true(omma_set_of_bits(a, s, rank, dims, bits));
    same(a, s, p, "a set of bits");
}

static void unite(omma_arena *a, omma_set *s, plain *p) {
    static plain q;
    omma_set t;
    random_set(a, &t, &q, p->rank, p->dims);
    bool holds = true;
    for (int64_t i = 0; i < count(p); i++) holds &= !q.in[i] || p->in[i];
    assert_int_equal(omma_set_holds(a, s, &t), holds);
    assert_true(omma_set_unite(a, s, &t));
    for (int64_t i = 0; i < count(p); i++) p->in[i] |= q.in[i];
    same(a, s, p, "unite");
}

static void restrict_(omma_arena *a, omma_set *s, plain *p) {
    uint64_t *bits = omma_arena_array(a, MOST / 64 + 1, 8);
    for (int64_t i = 0; i < count(p); i++) {
        if (rnd(4)) omma_bit_set(bits, i);
        p->in[i] &= omma_bit(bits, i);
    }
    assert_true(omma_set_restrict(a, s, bits));
    same(a, s, p, "restrict");
}

static void permute(omma_arena *a, omma_set *s, plain *p) {
    static plain q;
    int perm[OMMA_MAX_RANK];
    for (int d = 0; d < p->rank; d++) perm[d] = d;
    for (int d = p->rank - 1; d > 0; d--) {
        const int e = rnd(d + 1), t = perm[d];
        perm[d] = perm[e], perm[e] = t;
    }
    q = (plain){.rank = p->rank};
    for (int d = 0; d < p->rank; d++) q.dims[d] = p->dims[perm[d]];
    for (int64_t i = 0; i < count(p); i++) {
        int64_t at[OMMA_MAX_RANK], to[OMMA_MAX_RANK];
        at_of(p, i, at);
        for (int d = 0; d < p->rank; d++) to[d] = at[perm[d]];
        q.in[of_at(&q, to)] = p->in[i];
    }
    *p = q;
    assert_true(omma_set_permute(a, s, perm));
    same(a, s, p, "permute");
}

/* Other dims of the same product: two neighbours joined, one axis parted, or an axis of one. */
static void reshape(omma_arena *a, omma_set *s, plain *p) {
    const int kind = rnd(3), d = rnd(p->rank);
    int64_t dims[OMMA_MAX_RANK];
    int rank = p->rank;
    memcpy(dims, p->dims, sizeof dims);
    if (kind == 0 && d + 1 < rank) {
        dims[d] *= dims[d + 1];
        memmove(dims + d + 1, dims + d + 2, (size_t)(--rank - d - 1) * 8);
    } else if (rank < OMMA_MAX_RANK - 2) {
        int64_t f = 1;
        for (int64_t k = 2; k <= dims[d] && kind == 1; k++)
            if (dims[d] % k == 0 && rnd(2)) f = k;
        memmove(dims + d + 1, dims + d, (size_t)(rank++ - d) * 8);
        dims[d] = f, dims[d + 1] /= f;
    }
    p->rank = rank;
    memcpy(p->dims, dims, sizeof dims);
    assert_true(omma_set_reshape(a, s, rank, dims));
    same(a, s, p, "reshape");
}

static void drop(omma_arena *a, omma_set *s, plain *p) {
    static plain q;
    const int axis = rnd(p->rank);
    if (p->rank < 2) return;
    q = (plain){.rank = p->rank - 1};
    for (int d = 0; d < q.rank; d++) q.dims[d] = p->dims[d + (d >= axis)];
    for (int64_t i = 0; i < count(p); i++) {
        int64_t at[OMMA_MAX_RANK];
        at_of(p, i, at);
        memmove(at + axis, at + axis + 1, (size_t)(q.rank - axis) * 8);
        q.in[of_at(&q, at)] |= p->in[i];
    }
    *p = q;
    assert_true(omma_set_drop(a, s, axis));
    same(a, s, p, "drop");
}

static void insert(omma_arena *a, omma_set *s, plain *p) {
    static plain q;
    const int axis = rnd(p->rank + 1);
    const int64_t n = 1 + rnd(3), first = rnd(2), step = 1 + rnd(2), k = 1 + rnd(3);
    if (p->rank >= 6 || count(p) * n > MOST) return;
    q = (plain){.rank = p->rank + 1};
    for (int d = 0; d < q.rank; d++)
        q.dims[d] = d < axis ? p->dims[d] : d == axis ? n : p->dims[d - 1];
    for (int64_t i = 0; i < count(&q); i++) {
        int64_t at[OMMA_MAX_RANK];
        at_of(&q, i, at);
        const int64_t j = at[axis];
        memmove(at + axis, at + axis + 1, (size_t)(p->rank - axis) * 8);
        bool there = false;
        for (int64_t t = 0; t < k; t++) there |= first + t * step == j;
        q.in[i] = there && p->in[of_at(p, at)];
    }
    *p = q;
    assert_true(omma_set_insert(a, s, axis, n, first, step, k));
    same(a, s, p, "insert");
}

static void map(omma_arena *a, omma_set *s, plain *p) {
    static plain q;
    const int axis = rnd(p->rank), back = rnd(2);
    const int64_t n = 1 + rnd(9);
    if (count(p) / p->dims[axis] * n > MOST) return;
    omma_map m = omma_map_window(axis, 1 + rnd(2), rnd(4) - 2, 1 + rnd(2), 1 + rnd(3));
    if (rnd(4) == 0) m.div = 2;
    if (rnd(4) == 0) m.stride = -1, m.first = (back ? n : p->dims[axis]) - 1;
    q = *p;
    memset(q.in, 0, sizeof q.in);
    q.dims[axis] = n;
    for (int64_t i = 0; i < count(p); i++) {
        int64_t at[OMMA_MAX_RANK], to[OMMA_MAX_RANK];
        at_of(p, i, at);
        if (!p->in[i]) continue;
        for (int64_t j = 0; j < n; j++) {
            const int64_t o = back ? at[axis] : j, x = back ? j : at[axis];
            bool linked = false;
            for (int64_t t = 0; t < m.count; t++)
                linked |= o / m.div * m.stride + m.first + t * m.dilation == x;
            memcpy(to, at, sizeof to);
            to[axis] = j;
            if (linked) q.in[of_at(&q, to)] = 1;
        }
    }
    *p = q;
    assert_true(omma_set_map(a, s, axis, &m, n, back));
    same(a, s, p, "map");
}

static void chains(void **state) {
    (void)state;
    static plain p;
    static void (*const steps[])(omma_arena *, omma_set *, plain *) = {
        unite, unite, restrict_, permute, permute, reshape, reshape, drop, insert, map, map};
    for (int t = 0; t < 4000; t++) {
        omma_arena a;
        omma_set s;
        int64_t dims[4];
        const int rank = 1 + rnd(4);
        omma_arena_init(&a, NULL);
        for (int d = 0; d < rank; d++) dims[d] = 1 + rnd(7);
        seed = (uint32_t)t * 7919u + 1;
        random_set(&a, &s, &p, rank, dims);
        for (int k = 0; k < 8; k++) steps[rnd(11)](&a, &s, &p);
        omma_arena_free(&a);
    }
}

/* 64 and more in an axis: rows that begin anywhere in a word. */
static void long_rows(void **state) {
    (void)state;
    static plain p;
    for (int t = 0; t < 300; t++) {
        omma_arena a;
        omma_set s;
        omma_arena_init(&a, NULL);
        seed = (uint32_t)t + 5;
        const int64_t dims[] = {1 + rnd(5), 50 + rnd(100), 1 + rnd(6)};
        random_set(&a, &s, &p, 3, dims);
        unite(&a, &s, &p);
        permute(&a, &s, &p);
        map(&a, &s, &p);
        reshape(&a, &s, &p);
        drop(&a, &s, &p);
        omma_arena_free(&a);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(chains), cmocka_unit_test(long_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

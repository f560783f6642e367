/* test_kernel_attention.c - attention over strided heads: every table this CPU can run against a
 * loop in double, with guard bands around the output and the working memory; layouts, tails, masks
 * of every kind, rows that see nothing, numbers at the ends of their range, the same bits for any
 * number of threads, and memory that grows with the tokens and not with their square. */
#include "guard.h"

#include <math.h>

#include "kernel/attend.h"

static const int thread_counts[] = {1, 2, 3, 8};
enum { N_THREADS = sizeof thread_counts / sizeof *thread_counts };

/* --- a case ------------------------------------------------------------------------------- */

typedef struct tensor {
    float *p;
    int64_t count;
} tensor;

typedef struct attend_case {
    omma_attention p;
    omma_attention_data x;
    tensor q, k, v;
    void *mask[OMMA_ATTENTION_MASKS];
    int64_t *valid;
    int64_t heads;
} attend_case;

static tensor floats(int64_t count) {
    tensor t = {malloc((size_t)count * 4 + 4), count};
    assert_non_null(t.p);
    rng_fill(t.p, (size_t)count);
    return t;
}

enum { PLAIN, JOINT, TOKENS, TURNED, SPARSE, LAYOUTS };

/* Strides of rows by cols numbers a head; returns how many numbers that spans. */
static int64_t lay_out(int kind, const int64_t *outer, int64_t rows, int64_t cols, int parts,
                       omma_attention_at *at) {
    const int64_t b0 = outer[0], b1 = outer[1], h = outer[2];
    switch (kind) {
    case JOINT: /* [b0, b1, rows, parts, h, cols] */
        at->col = 1, at->row = parts * h * cols;
        at->outer[2] = cols, at->outer[1] = rows * at->row, at->outer[0] = b1 * at->outer[1];
        return b0 * at->outer[0];
    case TOKENS: /* [rows, b0, b1, h, cols] */
        at->col = 1, at->outer[2] = cols, at->outer[1] = h * cols, at->outer[0] = b1 * h * cols;
        at->row = b0 * at->outer[0];
        return rows * at->row;
    case TURNED: /* [b0, b1, h, cols, rows] */ at->row = 1, at->col = rows; break;
    case SPARSE: /* [b0, b1, h, rows, cols] of every other number */
        at->col = 2, at->row = 2 * cols;
        at->outer[2] = rows * at->row;
        at->outer[1] = h * at->outer[2], at->outer[0] = b1 * at->outer[1];
        return b0 * at->outer[0];
    default: at->col = 1, at->row = cols; break;
    }
    at->outer[2] = rows * cols, at->outer[1] = h * rows * cols, at->outer[0] = b1 * at->outer[1];
    return b0 * at->outer[0];
}

static attend_case make_case(const int64_t *outer, int64_t m, int64_t n, int64_t d, int64_t dv) {
    attend_case c = {.p = {.m = m, .n = n, .d = d, .dv = dv, .scale = 1 / sqrtf((float)d)}};
    memcpy(c.p.outer, outer, sizeof c.p.outer);
    c.heads = outer[0] * outer[1] * outer[2];
    const bool joint = m == n && d == dv && rng_int(0, 1);
    if (joint) {
        const int64_t count = lay_out(JOINT, outer, m, d, 3, &c.p.q);
        c.p.k = c.p.v = c.p.q;
        c.q = floats(count);
        c.x.q = c.q.p, c.x.k = c.q.p + outer[2] * d, c.x.v = c.q.p + 2 * outer[2] * d;
    } else {
        c.q = floats(lay_out(rng_int(0, LAYOUTS - 1), outer, m, d, 1, &c.p.q));
        c.k = floats(lay_out(rng_int(0, LAYOUTS - 1), outer, n, d, 2, &c.p.k));
        c.v = floats(lay_out(rng_int(0, LAYOUTS - 1), outer, n, dv, 1, &c.p.v));
        c.x.q = c.q.p, c.x.k = c.k.p, c.x.v = c.v.p;
    }
    return c;
}

static void free_case(attend_case *c) {
    free(c->q.p), free(c->k.p), free(c->v.p), free(c->mask[0]), free(c->mask[1]), free(c->valid);
}

/* A mask with some axes repeated; hide: that part of 8 numbers is hidden. */
static void add_mask(attend_case *c, int i, bool as_bool, int hide) {
    const int64_t dims[5] = {c->p.outer[0], c->p.outer[1], c->p.outer[2], c->p.m, c->p.n};
    int64_t *const step[5] = {&c->p.mask[i].outer[0], &c->p.mask[i].outer[1],
                              &c->p.mask[i].outer[2], &c->p.mask[i].row, &c->p.mask[i].col};
    int64_t count = 1;
    for (int a = 4; a >= 0; a--) {
        const bool repeat = rng_int(0, 2) == 0;
        *step[a] = repeat ? 0 : count;
        if (!repeat) count *= dims[a];
    }
    uint8_t *b = c->mask[i] = malloc((size_t)count * 4);
    assert_non_null(b);
    for (int64_t e = 0; e < count; e++) {
        const bool hidden = rng_int(0, 7) < hide;
        const float v = hidden ? -INFINITY : 2 * rng_float();
        if (as_bool) b[e] = (uint8_t)!hidden;
        else memcpy(b + 4 * e, &v, 4);
    }
    c->p.mask_is_bool[i] = as_bool;
    c->x.mask[i] = b;
}

/* --- the loop ----------------------------------------------------------------------------- */

static int64_t at_of(const omma_attention_at *l, const int64_t *o, int64_t row, int64_t col) {
    return o[0] * l->outer[0] + o[1] * l->outer[1] + o[2] * l->outer[2] + row * l->row +
           col * l->col;
}

static double mask_of(const attend_case *c, const int64_t *o, int64_t i, int64_t k, double s) {
    for (int m = 0; m < OMMA_ATTENTION_MASKS; m++) {
        if (!c->x.mask[m]) continue;
        const int64_t e = at_of(&c->p.mask[m], o, i, k);
        if (c->p.mask_is_bool[m]) s = ((const uint8_t *)c->x.mask[m])[e] ? s : -INFINITY;
        else s += (double)float_at(c->x.mask[m], e);
    }
    return s;
}

static int64_t seen_of(const attend_case *c, const int64_t *o, int64_t i) {
    const int64_t *step = c->p.valid_step;
    int64_t end = c->p.n, offset = c->p.causal_offset;
    if (c->x.valid) {
        end = c->x.valid[o[0] * step[0] + o[1] * step[1] + o[2] * step[2]];
        offset = end - c->p.m;
    }
    if (c->p.causal && i + offset + 1 < end) end = i + offset + 1;
    return end < 0 ? 0 : end;
}

/* Row i of one head into want: [dv]; returns the largest sum of absolute products of a score. */
static double plain_row(const attend_case *c, const int64_t *o, int64_t i, double *s,
                        double *want) {
    const omma_attention *p = &c->p;
    double top = -INFINITY, sum = 0, mass = 0;
    for (int64_t k = 0; k < p->n; k++) {
        double all = 0;
        s[k] = 0;
        for (int64_t e = 0; e < p->d; e++) {
            const double v = (double)c->x.q[at_of(&p->q, o, i, e)] *
                             (double)c->x.k[at_of(&p->k, o, k, e)] * (double)p->scale;
            s[k] += v;
            all += fabs(v);
        }
        if (all > mass) mass = all;
        if (p->softcap > 0) s[k] = tanh(s[k] / (double)p->softcap) * (double)p->softcap;
        s[k] = k < seen_of(c, o, i) ? mask_of(c, o, i, k, s[k]) : -INFINITY;
        if (s[k] > top) top = s[k];
    }
    for (int64_t k = 0; k < p->n; k++) sum += s[k] = exp(s[k] - top);
    const bool nothing = top == -INFINITY;
    for (int64_t e = 0; e < p->dv; e++) {
        want[e] = nothing && p->hidden_is_zero ? 0 : nothing ? (double)NAN : 0;
        for (int64_t k = 0; k < p->n && !nothing; k++)
            want[e] += s[k] / sum * (double)c->x.v[at_of(&p->v, o, k, e)];
    }
    return mass;
}

static void check_rows(const attend_case *c, const omma_kernels *kern, const char *what) {
    const omma_attention *p = &c->p;
    double *s = malloc((size_t)p->n * sizeof *s), *want = malloc((size_t)p->dv * sizeof *want);
    assert_true(s && want);
    const int64_t step = c->heads * p->m * p->n * p->d > 2000000 ? 7 : 1; /* large: some rows */
    for (int64_t r = 0; r < c->heads * p->m; r += step) {
        const int64_t i = r % p->m, h = r / p->m;
        const int64_t o[] = {h / p->outer[2] / p->outer[1], h / p->outer[2] % p->outer[1],
                             h % p->outer[2]};
        const double mass = plain_row(c, o, i, s, want);
        for (int64_t e = 0; e < p->dv; e++) {
            const double got = (double)c->x.o[at_of(&p->o, o, i, e)];
            if (isnan(want[e]) ? isnan(got) : fabs(got - want[e]) <= 3e-7 * (8 + mass)) continue;
            fail_msg("%s %s: %dx%dx%d, d %d %d: head %d row %d column %d: %g, not %g", kern->isa,
                     what, (int)c->heads, (int)p->m, (int)p->n, (int)p->d, (int)p->dv, (int)h,
                     (int)i, (int)e, got, want[e]);
        }
    }
    free(s), free(want);
}

/* --- a run -------------------------------------------------------------------------------- */

static void check(attend_case *c, const omma_kernels *kern, const char *what) {
    guarded go, gs;
    omma_attention *p = &c->p;
    const int64_t count = lay_out(rng_int(0, 2), p->outer, p->m, p->dv, 1, &p->o);
    float *o = guard_new(&go, (size_t)count * 4, 0), *first = malloc((size_t)count * 4);
    assert_non_null(first);
    c->x.o = o;
    for (int t = 0; t < N_THREADS; t++) {
        size_t bytes, more;
        assert_true(omma_attention_scratch(kern, p, thread_counts[t], &bytes));
        void *work = guard_new(&gs, bytes, 0);
        memset(o, 0xA5, (size_t)count * 4);
        omma_attention_run(kern, thread_counts[t], p, &c->x, work);
        if (!t) memcpy(first, o, (size_t)count * 4);
        else if (memcmp(first, o, (size_t)count * 4))
            fail_msg("%s %s: other bits with %d threads", kern->isa, what, thread_counts[t]);
        guard_end(&gs);
        /* memory for many must do for fewer */
        assert_true(omma_attention_scratch(kern, p, 8, &more));
        work = guard_new(&gs, more, 0);
        omma_attention_run(kern, thread_counts[t], p, &c->x, work);
        guard_end(&gs);
        assert_memory_equal(first, o, (size_t)count * 4);
    }
    check_rows(c, kern, what);
    guard_end(&go);
    free(first);
}

/* --- tests -------------------------------------------------------------------------------- */

static attend_case random_case(void) {
    const int64_t outer[] = {rng_int(1, 2), rng_int(1, 2), rng_int(1, 5)};
    const int64_t m = rng_int(1, 70), n = rng_int(0, 1) ? m : rng_int(1, 90);
    const int64_t d = rng_int(1, 70), dv = rng_int(0, 1) ? d : rng_int(1, 70);
    return make_case(outer, m, n, d, dv);
}

static void test_shapes(void **state) {
    (void)state;
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++)
        for (int i = 0; i < rounds(40); i++) {
            attend_case c = random_case();
            if (rng_int(0, 4) == 0) c.p.scale = -c.p.scale;
            if (rng_int(0, 2) == 0) c.p.scale *= 8; /* weights far below the largest */
            if (rng_int(0, 4) == 0) c.p.softcap = 0.7f;
            check(&c, kern, "plain");
            free_case(&c);
        }
}

static void test_masks(void **state) {
    (void)state;
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++)
        for (int i = 0; i < rounds(60); i++) {
            attend_case c = random_case();
            const int hide = rng_int(0, 2) ? rng_int(0, 4) : 8;
            add_mask(&c, 0, rng_int(0, 3) == 0, hide);
            if (rng_int(0, 1)) add_mask(&c, 1, rng_int(0, 3) == 0, 1);
            c.p.hidden_is_zero = rng_int(0, 1);
            if (rng_int(0, 4) == 0) c.p.softcap = 0.7f;
            check(&c, kern, "masked");
            free_case(&c);
        }
}

static void test_order(void **state) {
    (void)state;
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++)
        for (int i = 0; i < rounds(40); i++) {
            attend_case c = random_case();
            c.p.causal = rng_int(0, 3) > 0;
            c.p.causal_offset = rng_int(-5, 20);
            c.p.hidden_is_zero = rng_int(0, 1);
            if (rng_int(0, 1)) add_mask(&c, 0, false, 1);
            if (!c.p.causal || rng_int(0, 1)) {
                c.valid = malloc((size_t)c.p.outer[0] * sizeof *c.valid);
                assert_non_null(c.valid);
                for (int64_t b = 0; b < c.p.outer[0]; b++) c.valid[b] = rng_int(0, (int)c.p.n);
                c.x.valid = c.valid;
                c.p.valid_step[0] = 1;
            }
            check(&c, kern, "in order");
            free_case(&c);
        }
}

/* Several blocks of keys, some of them all hidden. */
static void test_many_keys(void **state) {
    (void)state;
    const int64_t keys[] = {511, 512, 513, 1100, 2050};
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++)
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
            for (int way = 0; way < 4; way++) {
                attend_case c = make_case((int64_t[]){1, 1, rng_int(1, 2)}, rng_int(1, 40), keys[i],
                                          rng_int(1, 9), rng_int(1, 40));
                if (way) add_mask(&c, 0, false, 0);
                if (way == 2) { /* the first keys are hidden from all */
                    c.p.mask[0] = (omma_attention_at){.col = 1};
                    free(c.mask[0]);
                    float *m = c.mask[0] = malloc((size_t)keys[i] * 4);
                    assert_non_null(m);
                    for (int64_t k = 0; k < keys[i]; k++) m[k] = k < 500 ? -INFINITY : 0;
                    c.x.mask[0] = m;
                }
                c.p.causal = way == 3;
                c.p.causal_offset = rng_int(0, (int)keys[i]);
                check(&c, kern, "many keys");
                free_case(&c);
            }
}

/* Heads that share keys and values, packed once. */
static void test_shared_keys(void **state) {
    (void)state;
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++)
        for (int i = 0; i < rounds(12); i++) {
            attend_case c = make_case((int64_t[]){2, 3, 4}, rng_int(1, 30), rng_int(31, 60),
                                      rng_int(1, 20), rng_int(1, 20));
            const int axis = rng_int(0, 2);
            c.p.k.outer[axis] = c.p.v.outer[axis] = 0;
            if (rng_int(0, 1)) c.p.k.outer[(axis + 1) % 3] = 0; /* keys only: nothing is shared */
            check(&c, kern, "shared keys");
            free_case(&c);
        }
}

/* One head, two keys with the scores q * 1 and q * 0, values 1 and 2. */
static float two_keys(const omma_kernels *kern, float q, float mask0, float mask1, bool masked) {
    const float k[] = {1, 0}, v[] = {1, 2}, mask[] = {mask0, mask1};
    float o = 0;
    omma_attention p = {.outer = {1, 1, 1}, .m = 1, .n = 2, .d = 1, .dv = 1, .scale = 1};
    p.k.row = p.v.row = p.mask[0].col = p.o.col = p.q.col = p.k.col = p.v.col = 1;
    const omma_attention_data x = {
        .q = &q, .k = k, .v = v, .mask = {masked ? mask : NULL}, .o = &o};
    size_t bytes;
    assert_true(omma_attention_scratch(kern, &p, 1, &bytes));
    void *work = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
    assert_non_null(work);
    omma_attention_run(kern, 1, &p, &x, work);
    free(work);
    return o;
}

static void test_extremes(void **state) {
    (void)state;
    const omma_kernels *kern;
    const float most = 3.4028234e38f;
    for (int t = 0; (kern = omma_kernels_at(t)); t++) {
        assert_true(fabsf(two_keys(kern, 0, 0, 0, false) - 1.5f) < 1e-6f);
        assert_true(two_keys(kern, 80, 0, 0, false) == 1);
        assert_true(two_keys(kern, -200, 0, 0, false) == 2);
        assert_true(two_keys(kern, most, 0, 0, false) == 1);
        assert_true(two_keys(kern, -most, 0, 0, false) == 2);
        assert_true(isnan(two_keys(kern, NAN, 0, 0, false)));
        assert_true(isnan(two_keys(kern, INFINITY, 0, 0, false)));
        /* all hidden by the least number there is: still a softmax */
        assert_true(fabsf(two_keys(kern, 0, -most, -most, true) - 1.5f) < 1e-6f);
        assert_true(two_keys(kern, 0, -most, 0, true) == 2);
        assert_true(two_keys(kern, 5, 0, -INFINITY, true) == 1);
        assert_true(isnan(two_keys(kern, 5, -INFINITY, -INFINITY, true)));
        assert_true(isnan(two_keys(kern, 0, INFINITY, 0, true)));
        assert_true(isnan(two_keys(kern, 0, NAN, 0, true)));
    }
}

static size_t scratch_of(const omma_kernels *kern, int64_t tokens, int threads) {
    omma_attention p = {
        .outer = {1, 1, 8}, .m = tokens, .n = tokens, .d = 64, .dv = 64, .scale = 1};
    size_t bytes;
    lay_out(PLAIN, p.outer, tokens, 64, 1, &p.q);
    p.k = p.v = p.o = p.q;
    assert_true(omma_attention_scratch(kern, &p, threads, &bytes));
    return bytes;
}

/* 16,384 tokens have 1 GiB of scores a head. */
static void test_memory(void **state) {
    (void)state;
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++) {
        for (int64_t tokens = 1024; tokens < 16384; tokens *= 2)
            assert_true(scratch_of(kern, 2 * tokens, 1) <= 2 * scratch_of(kern, tokens, 1));
        /* keys and values of a head, and a MiB */
        assert_true(scratch_of(kern, 16384, 1) < (2 * 16384 * 64 * 4) + (1 << 20));
        /* of all heads, for threads that share them */
        assert_true(scratch_of(kern, 16384, 8) < 8 * (2 * 16384 * 64 * 4) + 8 * (1 << 20));
    }
    size_t bytes;
    omma_attention p = {.outer = {1, 1, 1}, .m = 1, .n = INT64_MAX / 4, .d = 64, .dv = 64};
    assert_false(omma_attention_scratch(omma_kernels_best(), &p, 1, &bytes));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),      cmocka_unit_test(test_masks),
        cmocka_unit_test(test_order),       cmocka_unit_test(test_many_keys),
        cmocka_unit_test(test_shared_keys), cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

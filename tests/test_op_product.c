/* test_op_product.c - MatMul, Gemm and Einsum against loops written from their
 * definitions, over random shapes; what must be refused; the same bits for 1, 2 and 8
 * threads. */
#include <math.h>
#include <stdlib.h>

#include "optest.h"

static uint32_t seed = 7;

static uint32_t rnd(uint32_t n) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

/* n small numbers, exact in every type. */
static double *noise(int64_t n) {
    double *x = test_malloc((size_t)(n ? n : 1) * sizeof *x);
    for (int64_t i = 0; i < n; i++) x[i] = (double)rnd(33) / 8 - 2;
    return x;
}

static double *wholes(int64_t n) {
    double *x = test_malloc((size_t)(n ? n : 1) * sizeof *x);
    for (int64_t i = 0; i < n; i++) x[i] = (double)rnd(21);
    return x;
}

static int64_t product(const int64_t *dims, int rank) {
    int64_t n = 1;
    for (int i = 0; i < rank; i++) n *= dims[i];
    return n;
}

static void put(optest *t, bool constant, omma_dtype type, const double *x, int rank,
                const int64_t *dims) {
    int64_t n = product(dims, rank);
    void *copy = test_calloc((size_t)n + 1, 8);
    for (int64_t i = 0; i < n; i++) omma_set_number(type, copy, i, x[i]);
    optest_put(t, constant, type, copy, rank, dims);
    test_free(copy);
}

static void run_all(optest *t) {
    omma_tensor first = {0};
    for (int threads = 1; threads <= 8; threads = threads == 1 ? 2 : threads * 4) {
        omma_status s = optest_try(t, 1, threads);
        if (s) fail_msg("%s: %s", t->op, t->err.message);
        size_t bytes = (size_t)omma_tensor_count(&t->out[0]) * omma_dtype_size(t->out[0].dtype);
        if (threads == 1) first = t->out[0];
        else if (bytes) assert_memory_equal(first.data, t->out[0].data, bytes);
    }
}

static void compare(const optest *t, const double *want, int64_t n, double tolerance) {
    assert_int_equal(omma_tensor_count(&t->out[0]), n);
    for (int64_t i = 0; i < n; i++) {
        double got = omma_get_number(t->out[0].dtype, t->out[0].data, i);
        if (!(fabs(got - want[i]) <= tolerance * (1 + fabs(want[i]))))
            fail_msg("%s: number %lld is %.9g, not %.9g", t->op, (long long)i, got, want[i]);
    }
}

static void refused(optest *t) {
    assert_int_not_equal(optest_try(t, 1, 1), OMMA_OK);
    assert_true(t->err.message[0] != 0);
    optest_free(t);
}

/* Constant input i as a plan leaves it when the room packs it: anywhere in the file, and
 * nowhere else. */
static void from_file(optest *t, int i) {
    omma_value *v = t->in[i];
    char *odd = omma_arena_alloc(&t->arena, omma_value_bytes(v) + 1);
    assert_non_null(odd);
    memcpy(odd + 1, v->data, omma_value_bytes(v));
    v->data = odd + 1;
    v->mem = NULL;
}

/* --- MatMul ------------------------------------------------------------------------------ */

static const omma_dtype types[] = {OMMA_F32,  OMMA_F32, OMMA_F32, OMMA_F64, OMMA_F16,
                                   OMMA_BF16, OMMA_I32, OMMA_I64, OMMA_U32, OMMA_U64};

/* Batch axes: each is there for a, for b, or has length 1 in one of them. */
static void matmul_case(int batch_axes, int64_t m, int64_t k, int64_t n, omma_dtype type,
                        bool constant) {
    int64_t full[8], da[8], db[8], ra = 0, rb = 0;
    int skip_a = (int)rnd((uint32_t)batch_axes + 1),
        skip_b = skip_a ? 0 : (int)rnd((uint32_t)batch_axes + 1);
    for (int d = 0; d < batch_axes; d++) {
        int64_t len = 1 + rnd(3), la = rnd(3) ? len : 1, lb = la == len && rnd(3) == 0 ? 1 : len;
        full[d] = d < skip_a ? lb : d < skip_b ? la : la > lb ? la : lb;
        if (d >= skip_a) da[ra++] = la;
        if (d >= skip_b) db[rb++] = lb;
    }
    da[ra++] = m, da[ra++] = k, db[rb++] = k, db[rb++] = n;
    int64_t na = product(da, (int)ra), nb = product(db, (int)rb), batch = product(full, batch_axes);
    bool whole = type == OMMA_I32 || type == OMMA_I64 || type == OMMA_U32 || type == OMMA_U64;
    double *a = whole ? wholes(na) : noise(na), *b = whole ? wholes(nb) : noise(nb);
    double *want = test_calloc((size_t)(batch * m * n) + 1, sizeof *want);
    for (int64_t i = 0; i < batch; i++) {
        int64_t rest = i, at_a = 0, at_b = 0, step_a = 1, step_b = 1;
        for (int d = batch_axes - 1, p = (int)ra - 3, q = (int)rb - 3; d >= 0; d--, p--, q--) {
            int64_t at = rest % full[d];
            rest /= full[d];
            if (p >= 0) at_a += (da[p] == 1 ? 0 : at) * step_a, step_a *= da[p];
            if (q >= 0) at_b += (db[q] == 1 ? 0 : at) * step_b, step_b *= db[q];
        }
        for (int64_t r = 0; r < m; r++)
            for (int64_t c = 0; c < n; c++)
                for (int64_t s = 0; s < k; s++)
                    want[(i * m + r) * n + c] +=
                        a[(at_a * m + r) * k + s] * b[(at_b * k + s) * n + c];
    }
    optest *t = optest_new("MatMul", 13);
    put(t, false, type, a, (int)ra, da), put(t, constant, type, b, (int)rb, db);
    if (constant && type == OMMA_F32 && m && k && n) from_file(t, 1);
    run_all(t);
    assert_int_equal(t->out[0].rank, batch_axes + 2);
    compare(t, want, batch * m * n, type == OMMA_F16 ? 2e-3 : type == OMMA_BF16 ? 1e-2 : 1e-6);
    test_free(a), test_free(b), test_free(want);
    optest_free(t);
}

static void matmul_random(void **state) {
    (void)state;
    for (int i = 0; i < 300; i++)
        matmul_case((int)rnd(4), 1 + rnd(9), 1 + rnd(9), 1 + rnd(40), types[rnd(10)], rnd(2));
    for (int i = 0; i < 6; i++)
        matmul_case(i % 3, 70 + rnd(60), 100 + rnd(60), 33 + rnd(100), OMMA_F32, i % 2);
    matmul_case(1, 3, 0, 4, OMMA_F32, false);
    matmul_case(2, 0, 3, 4, OMMA_F32, false);
    matmul_case(1, 3, 5, 0, OMMA_F32, true);
}

static void matmul_vectors(void **state) {
    (void)state;
    const float x[] = {1, 2, 3, 4, 5, 6}, v[] = {1, 10, 100};
    optest *t = optest_new("MatMul", 13);
    optest_f32(t, x, OPTEST_DIMS(2, 3)), optest_f32(t, v, OPTEST_DIMS(3));
    run_all(t);
    assert_int_equal(t->out[0].rank, 1);
    compare(t, (const double[]){321, 654}, 2, 0);
    optest_free(t);
    t = optest_new("MatMul", 13);
    optest_f32(t, v, OPTEST_DIMS(3)), optest_f32(t, x, OPTEST_DIMS(3, 2));
    run_all(t);
    assert_int_equal(t->out[0].rank, 1);
    compare(t, (const double[]){531, 642}, 2, 0);
    optest_free(t);
    t = optest_new("MatMul", 13);
    optest_f32(t, v, OPTEST_DIMS(3)), optest_f32(t, v, OPTEST_DIMS(3));
    run_all(t);
    assert_int_equal(t->out[0].rank, 0);
    compare(t, (const double[]){10101}, 1, 0);
    optest_free(t);
}

static void matmul_fused(void **state) {
    (void)state;
    optest *t = optest_new("MatMul", 13);
    optest_f32(t, (const float[]){1, -2}, OPTEST_DIMS(2, 1)),
        optest_f32(t, (const float[]){1, 2}, OPTEST_DIMS(1, 2));
    optest_int(t, "omma.act", OMMA_ACT_RELU);
    run_all(t);
    compare(t, (const double[]){1, 2, 0, 0}, 4, 0);
    optest_free(t);
    for (int scaled = 0; scaled < 2; scaled++) {
        t = optest_new("Gemm", 13);
        optest_f32(t, (const float[]){1, -2}, OPTEST_DIMS(2, 1)),
            optest_f32(t, (const float[]){1, 2}, OPTEST_DIMS(1, 2));
        optest_f32(t, (const float[]){1, 1}, OPTEST_DIMS(2));
        if (scaled) optest_float(t, "alpha", 2);
        optest_int(t, "omma.act", OMMA_ACT_CLIP), optest_float(t, "omma.lo", -2),
            optest_float(t, "omma.hi", 2.5f);
        run_all(t);
        compare(t, scaled ? (const double[]){2.5, 2.5, -2, -2} : (const double[]){2, 2.5, -1, -2},
                4, 0);
        optest_free(t);
    }
}

static void matmul_refuses(void **state) {
    (void)state;
    static const float x[24];
    const struct {
        int64_t a[3], b[3];
        int ra, rb;
    } cases[] = {{{2, 3}, {4, 2}, 2, 2},
                 {{2, 3}, {2}, 2, 1},
                 {{2, 2, 2}, {3, 2, 2}, 3, 3},
                 {{0}, {2, 2}, 0, 2},
                 {{3}, {2, 3}, 1, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        optest *t = optest_new("MatMul", 13);
        optest_f32(t, x, cases[i].a, cases[i].ra), optest_f32(t, x, cases[i].b, cases[i].rb);
        refused(t);
    }
    optest *t = optest_new("MatMul", 13);
    optest_f32(t, x, OPTEST_DIMS(2, 2));
    optest_put(t, false, OMMA_F64, x, 2, (const int64_t[]){2, 2});
    refused(t);
    t = optest_new("MatMul", 13);
    optest_put(t, false, OMMA_BOOL, x, 2, (const int64_t[]){2, 2}),
        optest_put(t, false, OMMA_BOOL, x, 2, (const int64_t[]){2, 2});
    refused(t);
}

/* --- Gemm ----------------------------------------------------------------------------------- */

static void gemm_case(omma_dtype type) {
    int64_t m = 1 + rnd(20), k = 1 + rnd(20), n = 1 + rnd(40), ta = rnd(2), tb = rnd(2);
    const int64_t da[] = {ta ? k : m, ta ? m : k}, db[] = {tb ? n : k, tb ? k : n};
    const int64_t shapes[][2] = {{m, n}, {1, n}, {m, 1}, {1, 1}, {n, 0}, {1, 0}};
    int form = (int)rnd(8), rank = form >= 4 ? 1 : 2; /* 6: a scalar; 7: none */
    double *a = wholes(m * k), *b = wholes(k * n), *c = wholes(m * n);
    double *want = test_calloc((size_t)(m * n), sizeof *want);
    bool plain = rnd(2), real = type == OMMA_F32 || type == OMMA_F64;
    double alpha = plain ? 1 : real ? 0.5 : 3, beta = plain ? 1 : 2;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t s = 0; s < k; s++)
                sum += a[ta ? s * m + i : i * k + s] * b[tb ? j * k + s : s * n + j];
            int64_t at = form == 0 ? i * n + j : form == 1 || form == 4 ? j : form == 2 ? i : 0;
            want[i * n + j] = alpha * sum + (form == 7 ? 0 : beta * c[at]);
        }
    optest *t = optest_new("Gemm", 13);
    put(t, false, type, a, 2, da), put(t, rnd(2), type, b, 2, db);
    if (t->in[1]->data && type == OMMA_F32) from_file(t, 1);
    if (form < 6) put(t, rnd(2), type, c, rank, shapes[form]);
    else if (form == 6) put(t, false, type, c, 0, NULL);
    optest_int(t, "transA", ta), optest_int(t, "transB", tb);
    optest_float(t, "alpha", (float)alpha), optest_float(t, "beta", (float)beta);
    run_all(t);
    compare(t, want, m * n, 1e-6);
    test_free(a), test_free(b), test_free(c), test_free(want);
    optest_free(t);
}

static void gemm_random(void **state) {
    (void)state;
    const omma_dtype some[] = {OMMA_F32, OMMA_F32, OMMA_F64, OMMA_I32, OMMA_U64};
    for (int i = 0; i < 400; i++) gemm_case(some[i % 5]);
}

static void gemm_refuses(void **state) {
    (void)state;
    static const float x[24];
    const struct {
        int64_t a[3], b[3], c[3];
        int ra, rb, rc;
    } cases[] = {{{2, 3}, {2, 3}, {3}, 2, 2, 1},    {{2, 3}, {3, 4}, {3}, 2, 2, 1},
                 {{2, 3}, {3, 4}, {4, 2}, 2, 2, 2}, {{2, 3}, {3, 4}, {1, 2, 4}, 2, 2, 3},
                 {{1, 2, 3}, {3, 4}, {4}, 3, 2, 1}, {{2, 3}, {3, 4}, {0}, 2, 2, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        optest *t = optest_new("Gemm", 13);
        optest_f32(t, x, cases[i].a, cases[i].ra), optest_f32(t, x, cases[i].b, cases[i].rb),
            optest_f32(t, x, cases[i].c, cases[i].rc);
        refused(t);
    }
}

/* --- Einsum ------------------------------------------------------------------------------------
 */

/* Sum over all letters, for equations of lower-case letters alone with an explicit result.
 * len: by letter. */
static double *naive_einsum(const char *equation, const int64_t *len, double *const *x,
                            int64_t *count) {
    const char *arrow = strstr(equation, "->") + 2;
    int64_t total = 1, out = 1;
    for (int l = 0; l < 26; l++) total *= len[l];
    for (const char *s = arrow; *s; s++) out *= len[*s - 'a'];
    double *y = test_calloc((size_t)out + 1, sizeof *y);
    for (int64_t i = 0; i < total; i++) {
        int64_t at[26], rest = i, to = 0;
        for (int l = 0; l < 26; l++) at[l] = rest % len[l], rest /= len[l];
        for (const char *s = arrow; *s; s++) to = to * len[*s - 'a'] + at[*s - 'a'];
        double v = 1;
        int k = 0;
        for (const char *s = equation; s < arrow - 2; s++, k++) {
            int64_t from = 0;
            for (; *s >= 'a' && *s <= 'z'; s++) from = from * len[*s - 'a'] + at[*s - 'a'];
            v *= x[k][from];
            if (*s != ',') break;
        }
        y[to] += v;
    }
    *count = out;
    return y;
}

static void einsum_case(const char *equation, omma_dtype type) {
    int64_t len[26], count;
    double *x[4];
    int k = 0;
    for (int l = 0; l < 26; l++) len[l] = strchr(equation, 'a' + l) ? 1 + rnd(5) : 1;
    optest *t = optest_new("Einsum", 12);
    for (const char *s = equation; *s != '-'; k++) {
        int64_t dims[8];
        int rank = 0;
        for (; *s >= 'a' && *s <= 'z'; s++) dims[rank++] = len[*s - 'a'];
        if (*s == ',') s++;
        x[k] = wholes(product(dims, rank));
        put(t, rnd(2), type, x[k], rank, dims);
    }
    optest_string(t, "equation", equation);
    run_all(t);
    double *want = naive_einsum(equation, len, x, &count);
    compare(t, want, count, 1e-6);
    while (k) test_free(x[--k]);
    test_free(want);
    optest_free(t);
}

static void einsum_random(void **state) {
    (void)state;
    const char *const equations[] = {"ij,jk->ik",
                                     "bij,bjk->bik",
                                     "bhid,bhjd->bhij",
                                     "bhij,bhjd->bihd",
                                     "bqnc,bnchw->bqnhw",
                                     "ij,kj->ki",
                                     "bij,bik->bjk",
                                     "ij->ji",
                                     "ii->i",
                                     "ii->",
                                     "iij->ji",
                                     "i,j->ij",
                                     "i,i->",
                                     "ij,ij->ij",
                                     "ijk->",
                                     "abc,cd,def->abf",
                                     "i,i,i->i",
                                     "bchw,bkc->bkhw",
                                     "bchw,ck->bkhw",
                                     "ab,ab->a",
                                     "abc,bad->cd",
                                     "ijj,jk->ik",
                                     "ij,k->kij",
                                     ",ij->ji",
                                     "ab,bc->ca"};
    for (int i = 0; i < 20; i++)
        for (size_t e = 0; e < sizeof equations / sizeof *equations; e++)
            einsum_case(equations[e], i % 4 == 3
                                          ? (const omma_dtype[]){OMMA_F64, OMMA_I32, OMMA_I64,
                                                                 OMMA_F64}[i / 4 % 4]
                                          : OMMA_F32);
}

typedef struct forms {
    const char *equation;
    int64_t a[3], b[3];
    int ra, rb;
    int64_t out[4];
    int rank;
    double want[12];
} forms;

/* a = 1, 2, 3, ...; b = 1, 10, 100, ... */
static void einsum_forms(void **state) {
    (void)state;
    const forms cases[] = {
        {"ij,jk", {2, 3}, {3, 1}, 2, 2, {2, 1}, 2, {321, 654}},
        {" ij , jk ", {2, 3}, {3, 1}, 2, 2, {2, 1}, 2, {321, 654}},
        {"ba", {2, 3}, {0}, 2, -1, {3, 2}, 2, {1, 4, 2, 5, 3, 6}}, /* alphabetical */
        {"Ba", {2, 3}, {0}, 2, -1, {2, 3}, 2, {1, 2, 3, 4, 5, 6}}, /* capitals first */
        {"ii", {3, 3}, {0}, 2, -1, {0}, 0, {15}},
        {"...ii->...i", {2, 2, 2}, {0}, 3, -1, {2, 2}, 2, {1, 4, 5, 8}},
        {"...i->i...", {2, 3}, {0}, 2, -1, {3, 2}, 2, {1, 4, 2, 5, 3, 6}},
        {"...j,j", {2, 3}, {3}, 2, 1, {2}, 1, {321, 654}},
        {"...,...->...", {2, 3}, {3}, 2, 1, {2, 3}, 2, {1, 20, 300, 4, 50, 600}},
        {"...i,i...->...", {2, 2}, {2, 2}, 2, 2, {2}, 1, {201, 4030}},
        {"...i->i", {2, 3}, {0}, 2, -1, {3}, 1, {5, 7, 9}},
        {"ij,ij->i", {2, 3}, {1, 3}, 2, 2, {2}, 1, {321, 654}}, /* 1 broadcasts */
        {"->", {0}, {0}, 0, -1, {0}, 0, {1}}};
    const float a[] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, b[] = {1, 10, 100, 1000, 10000};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const forms *c = &cases[i];
        optest *t = optest_new("Einsum", 12);
        optest_f32(t, a, c->a, c->ra);
        if (c->rb >= 0) optest_f32(t, b, c->b, c->rb);
        optest_string(t, "equation", c->equation);
        run_all(t);
        assert_int_equal(t->out[0].rank, c->rank);
        for (int d = 0; d < c->rank; d++) assert_int_equal(t->out[0].dims[d], c->out[d]);
        compare(t, c->want, product(c->out, c->rank), 1e-6);
        optest_free(t);
    }
}

static void einsum_refuses(void **state) {
    (void)state;
    static const float x[64];
    const char *const equations[] = {"",
                                     "ij",
                                     "ij,jk->ikl",
                                     "ij,jk->ii",
                                     "ij,jk,kl",
                                     "i1,jk",
                                     "ij,jk->i,k",
                                     "ij,jk->ik->",
                                     "ij,.jk",
                                     "ij,jk-",
                                     "ij,j..k",
                                     "ij,jkl",
                                     "ij,...j...k",
                                     "ij,kj->z",
                                     "ij;jk",
                                     "ij,jk>ik",
                                     "iiiiiiiiiiiiiiiiii,jk"};
    for (size_t i = 0; i < sizeof equations / sizeof *equations; i++) {
        optest *t = optest_new("Einsum", 12);
        optest_f32(t, x, OPTEST_DIMS(2, 3)), optest_f32(t, x, OPTEST_DIMS(3, 4));
        optest_string(t, "equation", equations[i]);
        refused(t);
    }
    optest *t = optest_new("Einsum", 12);
    optest_f32(t, x, OPTEST_DIMS(2, 3)), optest_f32(t, x, OPTEST_DIMS(4, 3));
    optest_string(t, "equation", "ij,ij->j");
    refused(t);
}

int main(void) {
    setenv("OMMA_THREADS", "8", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matmul_random), cmocka_unit_test(matmul_vectors),
        cmocka_unit_test(matmul_fused),  cmocka_unit_test(matmul_refuses),
        cmocka_unit_test(gemm_random),   cmocka_unit_test(gemm_refuses),
        cmocka_unit_test(einsum_random), cmocka_unit_test(einsum_forms),
        cmocka_unit_test(einsum_refuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_op_reduce.c - the rooms reduce, scan, softmax and norm: against plain loops in double
 * over random shapes and axes, against hand-computed values, on every type, on empty and
 * scalar tensors, with any number of threads, and what must fail. */
#include <math.h>
#include <stdio.h>

#include "optest.h"

static const omma_dtype floats[] = {OMMA_F32, OMMA_F64, OMMA_F16, OMMA_BF16};
static const omma_dtype ints[] = {OMMA_I8, OMMA_I16, OMMA_I32, OMMA_I64,
                                  OMMA_U8, OMMA_U16, OMMA_U32, OMMA_U64};

static double unit(omma_dtype t) {
    return t == OMMA_F64    ? 0x1p-40
           : t == OMMA_F32  ? 0x1p-20
           : t == OMMA_F16  ? 0x1p-9
           : t == OMMA_BF16 ? 0x1p-6
                            : 0;
}

static void same(const char *what, omma_dtype t, int64_t i, double got, double want) {
    if (isnan(want) ? isnan(got) : got == want || fabs(got - want) <= unit(t) * fmax(1, fabs(want)))
        return;
    fail_msg("%s on %s, number %lld: %.9g, not %.9g", what, omma_dtype_name(t), (long long)i, got,
             want);
}

static uint32_t seed = 1;
static int rnd(int n) {
    seed = seed * 1664525u + 1013904223u;
    return (int)(seed >> 16) % n;
}

static int64_t product(int rank, const int64_t *dims) {
    int64_t n = 1;
    for (int d = 0; d < rank; d++) n *= dims[d];
    return n;
}

/* Quarters in [-3, 3] for floats, small whole numbers for integers. */
static void put_random(optest *t, omma_dtype type, int rank, const int64_t *dims) {
    const int64_t n = product(rank, dims);
    char *raw = test_malloc((size_t)n * omma_dtype_size(type) + 1);
    const bool whole = unit(type) == 0;
    for (int64_t i = 0; i < n; i++)
        omma_set_number(type, raw, i, whole ? rnd(4) : (rnd(25) - 12) / 4.0);
    optest_put(t, false, type, raw, rank, dims);
    test_free(raw);
}

static void put(optest *t, omma_dtype type, const double *v, int rank, const int64_t *dims) {
    uint64_t raw[256];
    for (int64_t i = 0; i < product(rank, dims); i++) omma_set_number(type, raw, i, v[i]);
    optest_put(t, false, type, raw, rank, dims);
}

static double in_at(const optest *t, int k, int64_t i) {
    return omma_get_number(t->in[k]->dtype, t->in[k]->mem, i);
}
static double out_at(const optest *t, int k, int64_t i) {
    return omma_get_number(t->out[k].dtype, t->out[k].data, i);
}

/* A random shape of the rank with at most a few thousand numbers, now and then a long side. */
static void random_dims(int rank, int64_t *dims) {
    for (int d = 0; d < rank; d++) dims[d] = 1 + rnd(rank > 5 ? 3 : 4);
    if (rank && rank < 5 && !rnd(3)) dims[rnd(rank)] = 30 + rnd(300);
    if (rank == 2 && !rnd(4)) dims[rnd(2)] = 1000 + rnd(2000);
}

/* --- Reduce ------------------------------------------------------------------- */

enum { L1, L2, LOG_SUM, LOG_SUM_EXP, MAX, MEAN, MIN, PROD, SUM, SUM_SQUARE, N_REDUCE };
static const char *const reduces[N_REDUCE] = {
    "ReduceL1",   "ReduceL2",  "ReduceLogSum", "ReduceLogSumExp", "ReduceMax",
    "ReduceMean", "ReduceMin", "ReduceProd",   "ReduceSum",       "ReduceSumSquare"};

static double identity(int op) {
    return op == PROD ? 1 : op == MAX || op == LOG_SUM_EXP ? -INFINITY : op == MIN ? INFINITY : 0;
}

static double fold(int op, double acc, double x) {
    switch (op) {
    case L1: return acc + fabs(x);
    case L2:
    case SUM_SQUARE: return acc + x * x;
    case LOG_SUM_EXP: return x == -INFINITY ? acc : fmax(acc, x) + log1p(exp(-fabs(acc - x)));
    case MAX: return fmax(acc, x);
    case MIN: return fmin(acc, x);
    case PROD: return acc * x;
    default: return acc + x;
    }
}

static double finish(int op, double acc, int64_t n) {
    return op == L2 ? sqrt(acc) : op == LOG_SUM ? log(acc) : op == MEAN ? acc / (double)n : acc;
}

/* The place in the output that number i of x goes to. */
static int64_t target(const omma_value *x, unsigned mask, int64_t i) {
    int64_t at = 0, step = 1;
    for (int d = x->rank - 1; d >= 0; d--) {
        const int64_t c = i % x->dims[d];
        i /= x->dims[d];
        if (mask >> d & 1) continue;
        at += c * step;
        step *= x->dims[d];
    }
    return at;
}

static void check_reduce(const optest *t, int op, unsigned mask) {
    const omma_value *x = t->in[0];
    const int64_t outs = omma_tensor_count(&t->out[0]), n = omma_value_count(x);
    double *want = test_malloc((size_t)outs * sizeof *want);
    for (int64_t i = 0; i < outs; i++) want[i] = identity(op);
    for (int64_t i = 0; i < n; i++) {
        const int64_t to = target(x, mask, i);
        want[to] = fold(op, want[to], in_at(t, 0, i));
    }
    for (int64_t i = 0; i < outs; i++) {
        double w = finish(op, want[i], outs ? n / outs : 0);
        if (unit(x->dtype) == 0) w = trunc(w);
        if (x->dtype == OMMA_I8) w = (int8_t)(int64_t)w;
        if (x->dtype == OMMA_U8) w = (uint8_t)(int64_t)w;
        if (x->dtype == OMMA_F16 && fabs(w) > 65504) continue;
        same(t->op, x->dtype, i, out_at(t, 0, i), w);
    }
    test_free(want);
}

static void reduce_random(void **state) {
    (void)state;
    for (int round = 0; round < 1500; round++) {
        const int op = rnd(N_REDUCE), rank = rnd(9), opset = rnd(2) ? 18 : op == SUM ? 11 : 13;
        const omma_dtype type = round % 3    ? OMMA_F32
                                : rnd(2)     ? floats[rnd(4)]
                                : op == PROD ? OMMA_I64
                                             : ints[rnd(8)];
        unsigned mask = 0;
        int64_t dims[OMMA_MAX_RANK], axes[OMMA_MAX_RANK];
        int n_axes = 0;
        const bool keep = rnd(2);
        random_dims(rank, dims);
        for (int d = 0; d < rank; d++)
            if (rnd(2)) mask |= 1u << d, axes[n_axes++] = rnd(2) ? d : d - rank;
        optest *t = optest_new(reduces[op], opset);
        put_random(t, type, rank, dims);
        if (op == PROD && type != OMMA_I64) /* stay in range */
            for (int64_t i = 0; i < omma_value_count(t->in[0]); i++)
                omma_set_number(type, t->in[0]->mem, i, rnd(200) ? rnd(2) * 2 - 1 : 1.5);
        if (op == LOG_SUM || (unit(type) == 0 && op == LOG_SUM_EXP))
            for (int64_t i = 0; i < omma_value_count(t->in[0]); i++)
                omma_set_number(type, t->in[0]->mem, i, 1 + rnd(3));
        if (!n_axes) mask = (1u << rank) - 1;
        else if (opset == 18) optest_list(t, axes, n_axes);
        else optest_ints(t, "axes", axes, n_axes);
        optest_int(t, "keepdims", keep);
        optest_run(t, 1);
        int left = 0;
        for (int d = 0; d < rank; d++)
            if (!(mask >> d & 1)) assert_int_equal(t->out[0].dims[keep ? d : left++], dims[d]);
            else if (keep) assert_int_equal(t->out[0].dims[d], 1);
        assert_int_equal(t->out[0].rank, keep ? rank : left);
        if (!(unit(type) == 0 && (op == LOG_SUM || op == LOG_SUM_EXP || op == L2)))
            check_reduce(t, op, mask);
        optest_free(t);
    }
}

static void reduce_values(void **state) {
    (void)state;
    const double x[] = {5, 1, 20, 2, 30, 1, 40, 2, 55, 1, 60, 2}; /* [3,2,2], over axis 1 */
    const double want[N_REDUCE][6] = {
        {25, 3, 70, 3, 115, 3},
        {20.61552813, 2.23606798, 50, 2.23606798, 81.39410298, 2.23606798},
        {3.21887582, 1.09861229, 4.24849524, 1.09861229, 4.74493213, 1.09861229},
        {20.00000031, 2.31326169, 40.00004578, 2.31326169, 60.00671387, 2.31326169},
        {20, 2, 40, 2, 60, 2},
        {12.5, 1.5, 35, 1.5, 57.5, 1.5},
        {5, 1, 30, 1, 55, 1},
        {100, 2, 1200, 2, 3300, 2},
        {25, 3, 70, 3, 115, 3},
        {425, 5, 2500, 5, 6625, 5}};
    for (int op = 0; op < N_REDUCE; op++)
        for (int f = 0; f < 2; f++)
            for (int turned = 0; turned < 2; turned++) { /* reduced inside as well */
                double y[12];
                for (int i = 0; i < 12; i++)
                    y[turned ? i / 4 * 4 + i % 2 * 2 + i / 2 % 2 : i] = x[i];
                optest *t = optest_new(reduces[op], 18);
                put(t, floats[f], y, 3, (int64_t[]){3, 2, 2});
                optest_list(t, (int64_t[]){turned ? -1 : 1}, 1);
                optest_run(t, 1);
                for (int i = 0; i < 6; i++) {
                    const double got = out_at(t, 0, i);
                    if (fabs(got - want[op][i]) > 1e-6 * want[op][i])
                        fail_msg("%s: %.9g, not %.9g", t->op, got, want[op][i]);
                }
                optest_free(t);
            }
}

static void reduce_empty(void **state) {
    (void)state;
    for (int op = 0; op < N_REDUCE; op++) {
        const double want = op == PROD                                        ? 1
                            : op == MAX || op == LOG_SUM || op == LOG_SUM_EXP ? -INFINITY
                            : op == MIN                                       ? INFINITY
                            : op == MEAN                                      ? NAN
                                                                              : 0;
        for (int f = 0; f < 4; f++) {
            optest *t = optest_new(reduces[op], 20);
            optest_put(t, false, floats[f], "", 3, (int64_t[]){2, 0, 3});
            optest_list(t, (int64_t[]){1}, 1);
            optest_run(t, 1);
            assert_int_equal(omma_tensor_count(&t->out[0]), 6);
            for (int i = 0; i < 6; i++) same(reduces[op], floats[f], i, out_at(t, 0, i), want);
            optest_free(t);
            t = optest_new(reduces[op], 20); /* nothing out */
            optest_put(t, false, floats[f], "", 3, (int64_t[]){2, 0, 3});
            optest_list(t, (int64_t[]){2}, 1);
            assert_int_equal(omma_tensor_count(optest_run(t, 1)), 0);
            optest_free(t);
        }
        for (int f = 0; f < 8; f++) {
            optest *t = optest_new(reduces[op], 20);
            optest_put(t, false, ints[f], "", 1, (int64_t[]){0});
            assert_int_equal(optest_run(t, 1)->dims[0], 1);
            if (op == MEAN || op == SUM) assert_true(out_at(t, 0, 0) == 0);
            if (op == MAX && f < 4) assert_true(out_at(t, 0, 0) < -100);
            if (op == MIN) assert_true(out_at(t, 0, 0) > 100);
            optest_free(t);
        }
    }
    /* no axes: all, or none */
    for (int noop = 0; noop < 2; noop++) {
        optest *t = optest_new("ReduceSumSquare", 18);
        optest_f32(t, (float[]){1, 2, 3}, OPTEST_DIMS(3));
        optest_int(t, "noop_with_empty_axes", noop);
        optest_list(t, (int64_t[]){0}, 0);
        optest_run(t, 1);
        assert_int_equal(t->out[0].dims[0], noop ? 3 : 1);
        assert_true(noop ? out_at(t, 0, 2) == 9 : out_at(t, 0, 0) == 14);
        optest_free(t);
    }
    optest *t = optest_new("ReduceMax", 20);
    put(t, OMMA_BOOL, (double[]){0, 1, 0, 0}, 2, (int64_t[]){2, 2});
    optest_list(t, (int64_t[]){1}, 1);
    assert_memory_equal(optest_run(t, 1)->data, ((uint8_t[]){1, 0}), 2);
    optest_free(t);
}

static void reduce_edges(void **state) {
    (void)state;
    for (int op = 0; op < N_REDUCE; op++) /* NaN in the middle, either way of reducing */
        for (int f = 0; f < 2; f++)
            for (int axis = 0; axis < 2; axis++) {
                optest *t = optest_new(reduces[op], 18);
                put(t, floats[f], (double[]){1, 2, 3, 4, NAN, 6, 7, 8, 9}, 2, (int64_t[]){3, 3});
                optest_list(t, (int64_t[]){axis}, 1);
                optest_run(t, 1);
                for (int i = 0; i < 3; i++) assert_int_equal(isnan(out_at(t, 0, i)) != 0, i == 1);
                optest_free(t);
            }
    for (int f = 0; f < 2; f++)
        for (int axis = 0; axis < 2; axis++) { /* LogSumExp of infinities, of huge numbers */
            optest *t = optest_new("ReduceLogSumExp", 18);
            double x[9] = {-INFINITY, -INFINITY, -INFINITY, 1,   INFINITY,
                           -INFINITY, 1000,      1000,      1000};
            if (!axis)
                for (int i = 0; i < 3; i++)
                    for (int k = 0; k < i; k++) {
                        const double v = x[i * 3 + k];
                        x[i * 3 + k] = x[k * 3 + i], x[k * 3 + i] = v;
                    }
            put(t, floats[f], x, 2, (int64_t[]){3, 3});
            optest_list(t, (int64_t[]){axis}, 1);
            optest_run(t, 1);
            same(t->op, floats[f], 0, out_at(t, 0, 0), -INFINITY);
            same(t->op, floats[f], 1, out_at(t, 0, 1), INFINITY);
            same(t->op, floats[f], 2, out_at(t, 0, 2), 1000 + log(3));
            optest_free(t);
        }
    /* a long sum keeps its last digits */
    enum { N = 1 << 20 };
    float *x = test_malloc(N * sizeof *x);
    for (int i = 0; i < N; i++) x[i] = 0.1f;
    for (int how = 0; how < 2; how++) {
        optest *t = optest_new("ReduceSum", 13);
        optest_put(t, false, OMMA_F32, x, 2, how ? (int64_t[]){N / 2, 2} : (int64_t[]){2, N / 2});
        optest_list(t, (int64_t[]){!how}, 1);
        optest_run(t, 1);
        assert_true(fabs(out_at(t, 0, 1) - N / 2 * (double)0.1f) < 0.05);
        optest_free(t);
    }
    test_free(x);
    optest *t = optest_new("ReduceSum", 13); /* exact and wrapping in 64 bits */
    optest_i64(t, (int64_t[]){INT64_MAX, 1, INT64_MAX, -1}, OPTEST_DIMS(2, 2));
    optest_list(t, (int64_t[]){1}, 1);
    assert_memory_equal(optest_run(t, 1)->data, ((int64_t[]){INT64_MIN, INT64_MAX - 1}), 16);
    optest_free(t);
    t = optest_new("ReduceMax", 13);
    optest_put(t, false, OMMA_U64, (uint64_t[]){1, UINT64_MAX}, 1, (int64_t[]){2});
    assert_memory_equal(optest_run(t, 1)->data, ((uint64_t[]){UINT64_MAX}), 8);
    optest_free(t);
    const struct {
        int opset;
        int64_t axis;
        bool as_input;
    } bad[] = {{13, 2, true}, {13, -3, true}, {11, 2, false}, {11, 0, true}};
    for (int k = 0; k < 4; k++) {
        t = optest_new("ReduceSum", bad[k].opset);
        optest_f32(t, (float[4]){0}, OPTEST_DIMS(2, 2));
        if (bad[k].as_input) optest_list(t, &bad[k].axis, 1);
        else optest_ints(t, "axes", &bad[k].axis, 1);
        assert_int_equal(optest_try(t, 1, 1), OMMA_E_SHAPE);
        optest_free(t);
    }
}

/* --- ArgMax, ArgMin, CumSum --------------------------------------------------- */

static void args(void **state) {
    (void)state;
    for (int round = 0; round < 400; round++) {
        const int rank = 1 + rnd(5), axis = rnd(rank);
        const bool min = rnd(2), last = rnd(2), keep = rnd(2);
        const omma_dtype type = round % 2 ? OMMA_F32 : rnd(2) ? floats[rnd(4)] : ints[rnd(8)];
        int64_t dims[OMMA_MAX_RANK];
        random_dims(rank, dims);
        optest *t = optest_new(min ? "ArgMin" : "ArgMax", 13);
        put_random(t, type, rank, dims);
        optest_int(t, "axis", rnd(2) ? axis : axis - rank);
        optest_int(t, "keepdims", keep);
        optest_int(t, "select_last_index", last);
        const omma_tensor *y = optest_run(t, 1);
        assert_int_equal(y->dtype, OMMA_I64);
        assert_int_equal(y->rank, keep ? rank : rank - 1);
        const int64_t inner = product(rank - axis - 1, dims + axis + 1), len = dims[axis];
        for (int64_t i = 0; i < omma_tensor_count(y); i++) {
            const int64_t base = i / inner * len * inner + i % inner;
            int64_t want = 0;
            for (int64_t k = 1; k < len; k++) {
                const double a = in_at(t, 0, base + want * inner),
                             b = in_at(t, 0, base + k * inner);
                if (min ? b < a : b > a) want = k;
                if (b == a && last) want = k;
            }
            assert_int_equal(((const int64_t *)y->data)[i], want);
        }
        optest_free(t);
    }
    for (int f = 0; f < 4; f++)
        for (int how = 0; how < 4; how++) { /* NaN wins: the first, or the last */
            optest *t = optest_new(how & 1 ? "ArgMin" : "ArgMax", 13);
            put(t, floats[f], (double[]){1, NAN, 9, NAN, -9}, 1, (int64_t[]){5});
            optest_int(t, "select_last_index", how >> 1);
            assert_int_equal(*(const int64_t *)optest_run(t, 1)->data, how >> 1 ? 3 : 1);
            optest_free(t);
        }
    optest *t = optest_new("ArgMax", 13);
    optest_put(t, false, OMMA_U64, (uint64_t[]){1, UINT64_MAX}, 1, (int64_t[]){2});
    assert_int_equal(*(const int64_t *)optest_run(t, 1)->data, 1);
    optest_free(t);
    t = optest_new("ArgMax", 13);
    optest_put(t, false, OMMA_F32, "", 2, (int64_t[]){2, 0});
    optest_int(t, "axis", 1);
    assert_int_equal(optest_try(t, 1, 1), OMMA_E_SHAPE);
    optest_free(t);
    t = optest_new("ArgMax", 13);
    optest_put(t, false, OMMA_F32, "", 2, (int64_t[]){0, 3});
    optest_int(t, "axis", 1);
    assert_int_equal(omma_tensor_count(optest_run(t, 1)), 0);
    optest_free(t);
    t = optest_new("ArgMin", 13);
    optest_put(t, false, OMMA_F32, (float[]){3}, 0, NULL);
    assert_int_equal(*(const int64_t *)optest_run(t, 1)->data, 0);
    optest_free(t);
}

static void cumsum(void **state) {
    (void)state;
    const double want[4][5] = {
        {1, 3, 6, 10, 15}, {0, 1, 3, 6, 10}, {15, 14, 12, 9, 5}, {14, 12, 9, 5, 0}};
    for (int f = 0; f < 12; f++)
        for (int how = 0; how < 4; how++)
            for (int inner = 1; inner < 4; inner++) {
                const omma_dtype type = f < 4 ? floats[f] : ints[f - 4];
                double x[15];
                for (int i = 0; i < 5; i++)
                    for (int k = 0; k < inner; k++) x[i * inner + k] = i + 1;
                optest *t = optest_new("CumSum", 14);
                put(t, type, x, 2, (int64_t[]){5, inner});
                optest_put(t, false, inner == 2 ? OMMA_I64 : OMMA_I32,
                           inner == 2 ? (const void *)(int64_t[]){0} : (int32_t[]){-2}, 0, NULL);
                optest_int(t, "exclusive", how & 1);
                optest_int(t, "reverse", how >> 1);
                optest_run(t, 1);
                for (int i = 0; i < 5 * inner; i++)
                    assert_true(out_at(t, 0, i) == want[how][i / inner]);
                optest_free(t);
            }
    for (int constant = 0; constant < 2; constant++) {
        optest *t = optest_new("CumSum", 14);
        optest_f32(t, (float[4]){0}, OPTEST_DIMS(4));
        optest_put(t, constant, OMMA_I64, (int64_t[]){1}, 0, NULL);
        assert_int_equal(optest_try(t, 1, 1), constant ? OMMA_E_SHAPE : OMMA_E_RANGE);
        optest_free(t);
    }
}

/* --- Softmax ------------------------------------------------------------------ */

static void softmax(void **state) {
    (void)state;
    for (int round = 0; round < 400; round++) {
        const bool is_log = rnd(2);
        const int opset = rnd(2) ? 13 : 11, rank = 1 + rnd(5), axis = rnd(rank);
        const omma_dtype type = round % 2 ? OMMA_F32 : floats[rnd(4)];
        int64_t dims[OMMA_MAX_RANK];
        random_dims(rank, dims);
        optest *t = optest_new(is_log ? "LogSoftmax" : "Softmax", opset);
        put_random(t, type, rank, dims);
        optest_int(t, "axis", rnd(2) ? axis : axis - rank);
        optest_run(t, 1);
        const int64_t inner = opset < 13 ? 1 : product(rank - axis - 1, dims + axis + 1);
        const int64_t len = opset < 13 ? product(rank - axis, dims + axis) : dims[axis];
        for (int64_t i = 0; i < omma_tensor_count(&t->out[0]); i++) {
            const int64_t base = i / (len * inner) * len * inner + i % inner;
            double sum = 0;
            for (int64_t k = 0; k < len; k++) sum += exp(in_at(t, 0, base + k * inner));
            const double x = in_at(t, 0, i);
            same(t->op, type, i, out_at(t, 0, i), is_log ? x - log(sum) : exp(x) / sum);
            if (i > 50) i += len * inner / 7 + rnd(10);
        }
        optest_free(t);
    }
}

static void softmax_edges(void **state) {
    (void)state;
    for (int f = 0; f < 4; f++)
        for (int is_log = 0; is_log < 2; is_log++)
            for (int axis = 0; axis < 2; axis++) { /* huge numbers, a mask, and a lane of nothing */
                const double rows[3][3] = {
                    {10000, 10000, -10000}, {0, -INFINITY, 0}, {-INFINITY, -INFINITY, -INFINITY}};
                double x[9];
                for (int i = 0; i < 3; i++)
                    for (int k = 0; k < 3; k++) x[axis ? i * 3 + k : k * 3 + i] = rows[i][k];
                optest *t = optest_new(is_log ? "LogSoftmax" : "Softmax", 13);
                put(t, floats[f], x, 2, (int64_t[]){3, 3});
                optest_int(t, "axis", axis);
                optest_run(t, 1);
                const int up = axis ? 1 : 3, over = axis ? 3 : 1;
                const double half = is_log ? -log(2) : .5, none = is_log ? -INFINITY : 0;
                same(t->op, floats[f], 0, out_at(t, 0, 0), half);
                if (!is_log) same(t->op, floats[f], 2, out_at(t, 0, 2 * up), 0);
                same(t->op, floats[f], 3, out_at(t, 0, over), half);
                same(t->op, floats[f], 4, out_at(t, 0, over + up), none);
                for (int k = 0; k < 3; k++) assert_true(isnan(out_at(t, 0, 2 * over + k * up)));
                optest_free(t);
            }
    const struct {
        int opset;
        int64_t axis;
        omma_status s;
    } c[] = {
        {13, 2, OMMA_E_SHAPE}, {13, -3, OMMA_E_SHAPE}, {11, 3, OMMA_E_SHAPE}, {11, 2, OMMA_OK}};
    for (int k = 0; k < 4; k++) {
        optest *t = optest_new("Softmax", c[k].opset);
        optest_f32(t, (float[]){1, 2, 3, 4}, OPTEST_DIMS(2, 2));
        optest_int(t, "axis", c[k].axis);
        assert_int_equal(optest_try(t, 1, 1), c[k].s);
        if (!c[k].s) assert_true(out_at(t, 0, 3) == 1);
        optest_free(t);
    }
    for (int opset = 7; opset < 14; opset += 6) {
        optest *t = optest_new("Softmax", opset); /* the default axis: rows of 4, and of 2 */
        optest_f32(t, (float[8]){0}, OPTEST_DIMS(2, 2, 2));
        optest_run(t, 1);
        assert_true(out_at(t, 0, 0) == (opset < 13 ? .25 : .5));
        optest_free(t);
        t = optest_new("LogSoftmax", opset);
        optest_put(t, false, OMMA_F32, "", 2, (int64_t[]){3, 0});
        assert_int_equal(omma_tensor_count(optest_run(t, 1)), 0);
        optest_free(t);
    }
    optest *t = optest_new("Softmax", 13);
    optest_put(t, false, OMMA_F32, (float[]){5}, 0, NULL);
    optest_run(t, 1);
    assert_true(out_at(t, 0, 0) == 1);
    optest_free(t);
}

/* --- normalisations ----------------------------------------------------------- */

static void moments(const optest *t, int64_t begin, int64_t n, double *mean, double *var) {
    *mean = *var = 0;
    for (int64_t i = 0; i < n; i++) *mean += in_at(t, 0, begin + i) / (double)n;
    for (int64_t i = 0; i < n; i++)
        *var += (in_at(t, 0, begin + i) - *mean) * (in_at(t, 0, begin + i) - *mean) / (double)n;
}

static void by_channel(void **state) {
    (void)state;
    for (int round = 0; round < 300; round++) {
        const int kind = rnd(4); /* 0 batch, 1 instance, 2 and 3 group before and since opset 21 */
        const int64_t groups = 1 + rnd(3), c = kind >= 2 ? groups * (1 + rnd(3)) : 1 + rnd(5);
        const int64_t dims[] = {1 + rnd(3), c, 1 + rnd(40), 1 + rnd(40)};
        const int rank = kind == 0 ? 2 + rnd(3) : 4;
        const omma_dtype type = round % 2 ? OMMA_F32 : floats[rnd(4)];
        optest *t = optest_new(((const char *[]){"BatchNormalization", "InstanceNormalization",
                                                 "GroupNormalization", "GroupNormalization"})[kind],
                               kind == 2   ? 18
                               : kind == 3 ? 21
                               : rnd(2)    ? 9
                                           : 15);
        put_random(t, type, rank, dims);
        const int64_t vec = kind == 2 ? groups : c;
        for (int k = 0; k < (kind ? 2 : 4); k++)
            put_random(t, kind == 0 && t->opset == 15 ? OMMA_F32 : type, 1, &vec);
        for (int64_t i = 0; kind == 0 && i < c; i++)
            omma_set_number(t->in[4]->dtype, t->in[4]->mem, i, 0.5 + (double)i);
        optest_float(t, "epsilon", 0.01f);
        optest_int(t, "num_groups", groups);
        optest_run(t, 1);
        const int64_t plane = product(rank - 2, dims + 2), each = kind >= 2 ? c / groups : 1;
        for (int64_t i = 0; i < omma_tensor_count(&t->out[0]); i++) {
            const int64_t ch = i / plane % c, p = kind == 2 ? ch / each : ch;
            double mean, var;
            if (kind) moments(t, i / (plane * each) * plane * each, plane * each, &mean, &var);
            else mean = in_at(t, 3, ch), var = in_at(t, 4, ch);
            same(t->op, type, i, out_at(t, 0, i),
                 (in_at(t, 0, i) - mean) / sqrt(var + (double)0.01f) * in_at(t, 1, p) +
                     in_at(t, 2, p));
            if (i > 50) i += plane * each / 7 + rnd(10);
        }
        optest_free(t);
    }
}

static void layer(void **state) {
    (void)state;
    for (int round = 0; round < 300; round++) {
        const int rank = 1 + rnd(4), axis = rnd(rank),
                  how = rnd(4); /* scale: whole, 1, any broadcast */
        const bool bias = rnd(2);
        const omma_dtype type = round % 2 ? OMMA_F32 : floats[rnd(4)];
        int64_t dims[OMMA_MAX_RANK], sdims[OMMA_MAX_RANK];
        random_dims(rank, dims);
        optest *t = optest_new("LayerNormalization", 17);
        put_random(t, type, rank, dims);
        const int own = how < 2 ? rank - axis : how == 2 ? 0 : rank;
        for (int d = 0; d < own; d++) sdims[d] = how == 3 && rnd(2) ? 1 : dims[rank - own + d];
        for (int k = 0; k < 1 + bias; k++) put_random(t, type, own, sdims);
        optest_int(t, "axis", rnd(2) ? axis : axis - rank);
        optest_run(t, 3);
        const int64_t len = product(rank - axis, dims + axis);
        assert_int_equal(t->out[1].dtype, OMMA_F32);
        assert_int_equal(t->out[2].rank, rank);
        assert_int_equal(omma_tensor_count(&t->out[1]) * len, omma_value_count(t->in[0]));
        for (int64_t i = 0; i < omma_value_count(t->in[0]); i++) {
            double mean, var;
            moments(t, i / len * len, len, &mean, &var);
            const double inv = 1 / sqrt(var + 1e-5f);
            int64_t at = 0, step = 1, rest = i;
            for (int d = rank - 1; d >= rank - own; d--) {
                if (sdims[d - rank + own] > 1) at += rest % dims[d] * step;
                step *= sdims[d - rank + own];
                rest /= dims[d];
            }
            if (i % len == 0)
                same("mean", type == OMMA_F64 ? OMMA_F32 : type, i, out_at(t, 1, i / len), mean);
            if (i % len == 0 && len > 8)
                same("inverse", type == OMMA_F64 ? OMMA_F32 : type, i, out_at(t, 2, i / len), inv);
            same(t->op, type, i, out_at(t, 0, i),
                 (in_at(t, 0, i) - mean) * inv * in_at(t, 1, at) + (bias ? in_at(t, 2, at) : 0));
            if (i > 50) i += len / 7 + rnd(10);
        }
        optest_free(t);
    }
}

static void norm_faults(void **state) {
    (void)state;
    const struct {
        const char *op;
        int opset, vectors;
        int64_t len;
        const char *attr;
        int64_t value;
        omma_status s;
    } c[] = {{"BatchNormalization", 15, 4, 3, "training_mode", 1, OMMA_OK},
             {"BatchNormalization", 15, 4, 3, "training_mode", 0, OMMA_OK},
             {"BatchNormalization", 7, 4, 3, "spatial", 0, OMMA_E_SHAPE},
             {"BatchNormalization", 7, 4, 12, "spatial", 0, OMMA_OK},
             {"BatchNormalization", 9, 4, 2, "spatial", 1, OMMA_E_SHAPE},
             {"InstanceNormalization", 6, 2, 4, "x", 0, OMMA_E_SHAPE},
             {"GroupNormalization", 18, 2, 3, "num_groups", 0, OMMA_E_SHAPE},
             {"GroupNormalization", 18, 2, 3, "num_groups", -3, OMMA_E_SHAPE},
             {"GroupNormalization", 18, 2, 2, "num_groups", 2, OMMA_E_SHAPE},
             {"GroupNormalization", 21, 2, 1, "num_groups", 1, OMMA_E_SHAPE},
             {"GroupNormalization", 18, 2, 1, "num_groups", 1, OMMA_OK},
             {"LayerNormalization", 17, 1, 5, "axis", 1, OMMA_E_SHAPE},
             {"LayerNormalization", 17, 1, 4, "axis", 3, OMMA_E_SHAPE},
             {"LayerNormalization", 17, 1, 4, "stash_type", 7, OMMA_E_UNSUPPORTED},
             {"LayerNormalization", 17, 1, 4, "stash_type", 1, OMMA_OK}};
    for (size_t k = 0; k < sizeof c / sizeof *c; k++) {
        optest *t = optest_new(c[k].op, c[k].opset);
        optest_f32(t, (float[24]){0}, OPTEST_DIMS(2, 3, 4));
        for (int i = 0; i < c[k].vectors; i++) optest_f32(t, (float[12]){0}, &c[k].len, 1);
        optest_int(t, c[k].attr, c[k].value);
        const omma_status s = optest_try(t, 1, 1);
        if (s != c[k].s) fail_msg("case %zu, %s: status %d: %s", k, c[k].op, s, t->err.message);
        optest_free(t);
    }
    const char *ops[] = {"BatchNormalization", "InstanceNormalization", "GroupNormalization",
                         "LayerNormalization"};
    for (int k = 0; k < 4; k++)
        for (int empty = 0; empty < 3; empty++) {
            int64_t dims[4] = {2, 3, 2, 2}, w = k == 3 ? 2 : empty == 1 ? 0 : 3;
            dims[empty] = 0;
            optest *t = optest_new(ops[k], 21);
            optest_put(t, false, OMMA_F32, "", 4, dims);
            for (int i = 0; i < (k ? 2 : 4); i++) optest_f32(t, (float[3]){0}, &w, 1);
            optest_int(t, "num_groups", 3);
            assert_int_equal(omma_tensor_count(optest_run(t, 1)), 0);
            optest_free(t);
        }
}

/* --- the same bits with any number of threads --------------------------------- */

static void threads(void **state) {
    (void)state;
    const struct {
        const char *op;
        int axis, vectors;
    } c[] = {{"ReduceSum", 0, 0},
             {"ReduceSum", 1, 0},
             {"ReduceMean", 1, 0},
             {"ReduceMean", 2, 0},
             {"ReduceLogSumExp", 1, 0},
             {"ReduceL2", 2, 0},
             {"ArgMax", 1, 0},
             {"Softmax", 1, 0},
             {"Softmax", 2, 0},
             {"LogSoftmax", 0, 0},
             {"LayerNormalization", 2, 2},
             {"InstanceNormalization", 0, 2},
             {"BatchNormalization", 0, 4}};
    for (size_t k = 0; k < sizeof c / sizeof *c; k++) {
        optest *t[3];
        for (int i = 0; i < 3; i++) {
            t[i] = optest_new(c[k].op, 13);
            seed = 5;
            const int64_t axis = c[k].axis, len = axis == 2 ? 131 : 37;
            put_random(t[i], OMMA_F32, 3, (int64_t[]){41, 37, 131});
            float *x = t[i]->in[0]->mem; /* sums are rounded, so that their order shows */
            for (int j = 0; j < 41 * 37 * 131; j++) x[j] *= 0.1f;
            for (int v = 0; v < c[k].vectors; v++) put_random(t[i], OMMA_F32, 1, &len);
            if (!strcmp(c[k].op, "ReduceSum")) optest_list(t[i], &axis, 1);
            else optest_ints(t[i], "axes", &axis, 1);
            optest_int(t[i], "axis", axis);
            assert_int_equal(optest_try(t[i], 1, i == 0 ? 1 : i == 1 ? 2 : 9), OMMA_OK);
            const omma_tensor *y = &t[i]->out[0];
            assert_memory_equal(t[0]->out[0].data, y->data,
                                (size_t)omma_tensor_count(y) * omma_dtype_size(y->dtype));
        }
        for (int i = 0; i < 3; i++) optest_free(t[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reduce_random), cmocka_unit_test(reduce_values),
        cmocka_unit_test(reduce_empty),  cmocka_unit_test(reduce_edges),
        cmocka_unit_test(args),          cmocka_unit_test(cumsum),
        cmocka_unit_test(softmax),       cmocka_unit_test(softmax_edges),
        cmocka_unit_test(by_channel),    cmocka_unit_test(layer),
        cmocka_unit_test(norm_faults),   cmocka_unit_test(threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

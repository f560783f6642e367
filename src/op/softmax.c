/* softmax.c - Softmax, LogSoftmax and Hardmax along an axis.
 *
 *     y = exp(x - max) / sum exp(x - max)        y = x - max - log sum exp(x - max)
 *
 * Hardmax is 1 at the first of the largest numbers (the first NaN, if any) and 0 elsewhere.
 *
 * Since opset 13 along one axis (default -1); before, x is seen as a matrix cut at the axis
 * (default 1) and its rows are normalised. So x is [outer, len, inner] with inner = 1 for old
 * opsets. float32 rows (inner = 1) run on the softmax kernel; float32 with inner > 1 takes
 * COLS lanes side by side; other floats go number by number in double. A lane of -inf gives
 * NaN, as the definition does. */
#include <math.h>

#include "base/pool.h"
#include "op/element.h"

enum { COLS = 256, BLOCK = 1024 };

typedef struct soft {
    int64_t outer, len, inner;
    bool log;
} soft;

static omma_status infer(omma_build *b, omma_node *n, bool log) {
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_FLOAT));
    const omma_value *x = n->in[0];
    const bool matrix = n->opset < 13;
    const int64_t given = omma_node_int(n, "axis", matrix ? 1 : -1);
    const int rank = x->rank ? x->rank : 1;
    int axis = rank;
    if (!(matrix && given == rank)) OMMA_TRY(omma_axis(b, n, given, rank, &axis));
    soft *s = omma_param(b, n, sizeof *s);
    if (!s) return omma_nomem(b, n);
    *s = (soft){1, 1, 1, log};
    for (int d = 0; d < x->rank; d++) {
        int64_t *part = d < axis ? &s->outer : d == axis || matrix ? &s->len : &s->inner;
        *part *= x->dims[d];
    }
    return omma_out_like(b, n, 0, x);
}

typedef struct job {
    const omma_kernels *kern;
    const soft *s;
    omma_dtype type;
    const void *x;
    void *y;
} job;

/* --- float32 ------------------------------------------------------------------ */

static void log_row(const omma_kernels *k, int64_t n, const float *x, float *y) {
    const float max = k->max(n, x);
    double sum = 0;
    float t[BLOCK];
    for (int64_t at = 0; at < n; at += BLOCK) {
        const int64_t m = n - at < BLOCK ? n - at : BLOCK;
        k->binary[OMMA_BIN_SUB](m, x + at, 1, &max, 0, t);
        k->unary[OMMA_UN_EXP](m, t, t);
        sum += (double)k->sum(m, t);
    }
    const float log_sum = (float)log(sum);
    k->binary[OMMA_BIN_SUB](n, x, 1, &max, 0, y);
    k->binary[OMMA_BIN_SUB](n, y, 1, &log_sum, 0, y);
}

static void rows_f32(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const int64_t n = j->s->len;
    for (int64_t i = begin; i < end; i++) {
        const float *x = (const float *)j->x + i * n;
        float *y = (float *)j->y + i * n;
        if (j->s->log) log_row(j->kern, n, x, y);
        else j->kern->softmax(n, x, y);
    }
}

static void columns_f32(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const omma_kernels *k = j->kern;
    const int64_t len = j->s->len, inner = j->s->inner, blocks = (inner + COLS - 1) / COLS;
    float max[COLS], sum[COLS], t[COLS];
    for (int64_t item = begin; item < end; item++) {
        const int64_t col = item % blocks * COLS, n = inner - col < COLS ? inner - col : COLS;
        const float *x = (const float *)j->x + item / blocks * len * inner + col;
        float *y = (float *)j->y + item / blocks * len * inner + col;
        for (int64_t i = 0; i < n; i++) max[i] = x[i], sum[i] = 0;
        for (int64_t r = 1; r < len; r++) k->binary[OMMA_BIN_MAX](n, max, 1, x + r * inner, 1, max);
        for (int64_t r = 0; r < len; r++) {
            float *e = j->s->log ? t : y + r * inner;
            k->binary[OMMA_BIN_SUB](n, x + r * inner, 1, max, 1, e);
            k->unary[OMMA_UN_EXP](n, e, e);
            k->binary[OMMA_BIN_ADD](n, sum, 1, e, 1, sum);
        }
        if (j->s->log) k->unary[OMMA_UN_LOG](n, sum, sum);
        for (int64_t r = 0; r < len; r++) {
            float *row = y + r * inner;
            if (j->s->log) k->binary[OMMA_BIN_SUB](n, x + r * inner, 1, max, 1, row);
            k->binary[j->s->log ? OMMA_BIN_SUB : OMMA_BIN_DIV](n, row, 1, sum, 1, row);
        }
    }
}

/* --- other types -------------------------------------------------------------- */

static void lanes(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const int64_t len = j->s->len, inner = j->s->inner;
    for (int64_t item = begin; item < end; item++) {
        const int64_t base = item / inner * len * inner + item % inner;
        double max = -INFINITY, sum = 0;
        for (int64_t r = 0; r < len; r++) {
            const double v = omma_get_number(j->type, j->x, base + r * inner);
            if (v > max || v != v) max = v;
        }
        for (int64_t r = 0; r < len; r++)
            sum += exp(omma_get_number(j->type, j->x, base + r * inner) - max);
        const double log_sum = log(sum);
        for (int64_t r = 0; r < len; r++) {
            const double v = omma_get_number(j->type, j->x, base + r * inner) - max;
            omma_set_number(j->type, j->y, base + r * inner,
                            j->s->log ? v - log_sum : exp(v) / sum);
        }
    }
}

static omma_status run(const omma_exec *x, const omma_node *n) {
    if (!omma_wanted(n, 0) || !omma_value_count(n->in[0])) return OMMA_OK;
    const soft *s = n->param;
    job j = {x->kern, s, n->in[0]->dtype, n->in[0]->mem, n->out[0]->mem};
    int64_t items = s->outer * s->inner, work = s->len;
    omma_chunk fn = lanes;
    if (j.type == OMMA_F32) {
        fn = s->inner == 1 ? rows_f32 : columns_f32;
        items = s->outer * ((s->inner + COLS - 1) / COLS);
        work = s->len > OMMA_GRAIN ? s->len : s->len * (s->inner < COLS ? s->inner : COLS);
    }
    omma_parallel(x->threads, items, work >= OMMA_GRAIN / 4 ? 1 : OMMA_GRAIN / 4 / (work + 1), fn,
                  &j);
    return OMMA_OK;
}

static double flops(const omma_node *n) { return 5 * (double)omma_value_count(n->in[0]); }

/* --- Hardmax ------------------------------------------------------------------ */

static void hard_lanes(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const int64_t len = j->s->len, inner = j->s->inner;
    for (int64_t item = begin; item < end; item++) {
        const int64_t base = item / inner * len * inner + item % inner;
        double max = -INFINITY;
        int64_t where = 0;
        for (int64_t r = 0; r < len; r++) {
            const double v = omma_get_number(j->type, j->x, base + r * inner);
            if (v > max || (v != v && max == max)) max = v, where = r;
        }
        for (int64_t r = 0; r < len; r++)
            omma_set_number(j->type, j->y, base + r * inner, r == where);
    }
}

static omma_status hard_run(const omma_exec *x, const omma_node *n) {
    if (!omma_wanted(n, 0) || !omma_value_count(n->in[0])) return OMMA_OK;
    const soft *s = n->param;
    job j = {x->kern, s, n->in[0]->dtype, n->in[0]->mem, n->out[0]->mem};
    omma_parallel(x->threads, s->outer * s->inner, 1 + OMMA_GRAIN / 4 / (s->len + 1), hard_lanes,
                  &j);
    return OMMA_OK;
}

#define ROW(Name, log, run_)                                                                  \
    static omma_status Name##_infer(omma_build *b, omma_node *n) { return infer(b, n, log); } \
    const omma_op omma_op_##Name = {.name = #Name,                                            \
                                    .min_in = 1,                                              \
                                    .max_in = 1,                                              \
                                    .min_out = 1,                                             \
                                    .max_out = 1,                                             \
                                    .infer = Name##_infer,                                    \
                                    .run = run_,                                              \
                                    .flops = flops,                                           \
                                    .no_grad = OMMA_NOT_YET,                                  \
                                    .no_field = OMMA_NOT_YET};
ROW(Softmax, false, run)
ROW(LogSoftmax, true, run)
ROW(Hardmax, false, hard_run)

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
 * NaN, as the definition does.
 *
 * Softmax's gradient is an operator of its own, as it works on the largest maps attention has:
 * omma.SoftmaxGrad, dx = y (dy - sum y dy), is one pass where products and sums would be four. */
#include <math.h>

#include "base/pool.h"
#include "op/activation_grad.h"
#include "op/element.h"
#include "op/field.h"
#include "op/grad.h"
#include "op/last_ops.h"

enum { COLS = 256, BLOCK = 1024 };

typedef struct soft {
    int64_t outer, len, inner;
    bool log;
    int axis, end; /* the axes [axis, end) are normalised together */
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
    *s = (soft){1, 1, 1, log, axis, matrix ? x->rank : axis + 1};
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
    const void *x, *soft; /* soft: SoftmaxGrad's second input */
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

/* Rows or columns of float32, or lanes of any floats, to the threads. */
static void share_out(const omma_exec *x, job *j, omma_chunk any, omma_chunk rows,
                      omma_chunk columns) {
    const soft *s = j->s;
    int64_t items = s->outer * s->inner, work = s->len;
    omma_chunk fn = any;
    if (j->type == OMMA_F32) {
        fn = s->inner == 1 ? rows : columns;
        items = s->outer * ((s->inner + COLS - 1) / COLS);
        work = s->len > OMMA_GRAIN ? s->len : s->len * (s->inner < COLS ? s->inner : COLS);
    }
    omma_parallel(x->threads, items, work >= OMMA_GRAIN / 4 ? 1 : OMMA_GRAIN / 4 / (work + 1), fn,
                  j);
}

static omma_status run(const omma_exec *x, const omma_node *n) {
    if (!omma_wanted(n, 0) || !omma_value_count(n->in[0])) return OMMA_OK;
    job j = {x->kern, n->param, n->in[0]->dtype, n->in[0]->mem, NULL, n->out[0]->mem};
    share_out(x, &j, lanes, rows_f32, columns_f32);
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
    job j = {x->kern, s, n->in[0]->dtype, n->in[0]->mem, NULL, n->out[0]->mem};
    omma_parallel(x->threads, s->outer * s->inner, 1 + OMMA_GRAIN / 4 / (s->len + 1), hard_lanes,
                  &j);
    return OMMA_OK;
}

/* --- SoftmaxGrad: x is dy, soft the softmax -------------------------------------- */

static void back_rows_f32(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const omma_kernels *k = j->kern;
    const int64_t n = j->s->len;
    float t[BLOCK];
    for (int64_t i = begin; i < end; i++) {
        const float *dy = (const float *)j->x + i * n, *p = (const float *)j->soft + i * n;
        float *dx = (float *)j->y + i * n;
        double sum = 0;
        for (int64_t at = 0; at < n; at += BLOCK) {
            const int64_t m = n - at < BLOCK ? n - at : BLOCK;
            k->binary[OMMA_BIN_MUL](m, dy + at, 1, p + at, 1, t);
            sum += (double)k->sum(m, t);
        }
        const float dot = (float)sum;
        for (int64_t at = 0; at < n; at += BLOCK) {
            const int64_t m = n - at < BLOCK ? n - at : BLOCK;
            k->binary[OMMA_BIN_SUB](m, dy + at, 1, &dot, 0, t);
            k->binary[OMMA_BIN_MUL](m, t, 1, p + at, 1, dx + at);
        }
    }
}

static void back_columns_f32(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const omma_kernels *k = j->kern;
    const int64_t len = j->s->len, inner = j->s->inner, blocks = (inner + COLS - 1) / COLS;
    float sum[COLS], t[COLS];
    for (int64_t item = begin; item < end; item++) {
        const int64_t col = item % blocks * COLS, n = inner - col < COLS ? inner - col : COLS;
        const int64_t at = item / blocks * len * inner + col;
        const float *dy = (const float *)j->x + at, *p = (const float *)j->soft + at;
        for (int64_t i = 0; i < n; i++) sum[i] = 0;
        for (int64_t r = 0; r < len; r++) {
            k->binary[OMMA_BIN_MUL](n, dy + r * inner, 1, p + r * inner, 1, t);
            k->binary[OMMA_BIN_ADD](n, sum, 1, t, 1, sum);
        }
        for (int64_t r = 0; r < len; r++) {
            k->binary[OMMA_BIN_SUB](n, dy + r * inner, 1, sum, 1, t);
            k->binary[OMMA_BIN_MUL](n, t, 1, p + r * inner, 1, (float *)j->y + at + r * inner);
        }
    }
}

static void back_lanes(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const int64_t len = j->s->len, inner = j->s->inner;
    for (int64_t item = begin; item < end; item++) {
        const int64_t base = item / inner * len * inner + item % inner;
        double sum = 0;
        for (int64_t r = 0; r < len; r++)
            sum += omma_get_number(j->type, j->x, base + r * inner) *
                   omma_get_number(j->type, j->soft, base + r * inner);
        for (int64_t r = 0; r < len; r++) {
            const int64_t at = base + r * inner;
            omma_set_number(j->type, j->y, at,
                            omma_get_number(j->type, j->soft, at) *
                                (omma_get_number(j->type, j->x, at) - sum));
        }
    }
}

static omma_status back_infer(omma_build *b, omma_node *n) {
    OMMA_TRY(omma_want_same(b, n, 1));
    if (omma_value_count(n->in[0]) != omma_value_count(n->in[1]))
        return omma_bad(b, n, "'%s' and '%s' differ in shape", n->in[0]->name, n->in[1]->name);
    return infer(b, n, false);
}

static omma_status back_prepare(omma_build *b, omma_node *n) {
    (void)b;
    n->in_place = 3;
    return OMMA_OK;
}

static omma_status back_run(const omma_exec *x, const omma_node *n) {
    if (!omma_wanted(n, 0) || !omma_value_count(n->in[0])) return OMMA_OK;
    const soft *s = n->param;
    job j = {x->kern, s, n->in[0]->dtype, n->in[0]->mem, n->in[1]->mem, n->out[0]->mem};
    share_out(x, &j, back_lanes, back_rows_f32, back_columns_f32);
    return OMMA_OK;
}

const omma_op omma_op_SoftmaxGrad = {.name = "omma.SoftmaxGrad",
                                     .min_in = 2,
                                     .max_in = 2,
                                     .min_out = 1,
                                     .max_out = 1,
                                     .infer = back_infer,
                                     .prepare = back_prepare,
                                     .run = back_run,
                                     .flops = flops,
                                     .no_grad = OMMA_NO_SECOND,
                                     .no_field = OMMA_MADE_LATE};

/* --- the readings in reverse ------------------------------------------------------ */

static omma_status Softmax_grad(omma_grad *g, const omma_node *n) {
    const omma_attr axis = OMMA_A_INT("axis", omma_node_int(n, "axis", n->opset < 13 ? 1 : -1));
    omma_value *in[] = {omma_grad_out(g, n, 0), n->out[0]};
    const omma_node *d = omma_make_node(&g->m, &omma_op_SoftmaxGrad, n->opset, in, 2, &axis, 1, 1);
    return omma_grad_add(g, n, 0, d ? d->out[0] : NULL);
}

/* dy - e^y sum dy */
static omma_status LogSoftmax_grad(omma_grad *g, const omma_node *n) {
    omma_maker *m = &g->m;
    const soft *s = n->param;
    omma_value *dy = omma_grad_out(g, n, 0), *p = omma_make_1(m, "Exp", n->out[0]);
    unsigned axes = 0;
    for (int d = s->axis; d < s->end && d < dy->rank; d++) axes |= 1u << d;
    p = omma_make_2(m, "Mul", p, omma_make_sum(m, dy, axes, true));
    return omma_grad_add(g, n, 0, omma_make_2(m, "Sub", dy, p));
}

/* The elements that are not in bits. */
static const uint64_t *others(omma_field *f, const uint64_t *bits, int64_t count) {
    const int64_t words = (count + 63) / 64;
    uint64_t *rest = omma_arena_array(f->b->arena, (size_t)words, sizeof *rest);
    if (!rest) {
        f->status = omma_nomem(f->b, f->n);
        return NULL;
    }
    for (int64_t i = 0; i < words; i++) rest[i] = ~bits[i];
    if (count % 64) rest[words - 1] &= ((uint64_t)1 << count % 64) - 1;
    return rest;
}

static omma_status lane_field(omma_field *f, const omma_node *n) {
    const soft *s = n->param;
    omma_relation *r = omma_field_relate(f, 0, 0);
    for (int d = 0; r && d < r->in_rank; d++)
        if (d < s->axis || d >= s->end) omma_relation_same(r, d, d);
    return f->status;
}

/* What a mask of -inf blocks is not read, and is 0 behind. */
static omma_status Softmax_field(omma_field *f, const omma_node *n) {
    const uint64_t *dead = omma_field_dead(f, n->in[0]);
    OMMA_TRY(lane_field(f, n));
    if (!dead || !f->count) return f->status;
    omma_relation *r = f->relation[0];
    r->in_only = r->out_only = others(f, dead, omma_value_count(n->in[0]));
    return f->status;
}

#define ROW(Name, log, run_, grad_, field_)                                                   \
    static omma_status Name##_infer(omma_build *b, omma_node *n) { return infer(b, n, log); } \
    const omma_op omma_op_##Name = {.name = #Name,                                            \
                                    .min_in = 1,                                              \
                                    .max_in = 1,                                              \
                                    .min_out = 1,                                             \
                                    .max_out = 1,                                             \
                                    .infer = Name##_infer,                                    \
                                    .run = run_,                                              \
                                    .flops = flops,                                           \
                                    .grad = grad_,                                            \
                                    .field = field_};
ROW(Softmax, false, run, Softmax_grad, Softmax_field)
ROW(LogSoftmax, true, run, LogSoftmax_grad, lane_field)
ROW(Hardmax, false, hard_run, omma_grad_zero, lane_field) /* a choice: piecewise constant */

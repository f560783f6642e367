/* scan.c - operators that go along one axis in order: ArgMax, ArgMin, CumSum, CumProd.
 *
 * x is seen as [outer, len, inner]; COLS numbers of inner side by side walk along the axis, so
 * memory is read in order. Traps: NaN counts as the largest (ArgMax) and the smallest (ArgMin)
 * number, as in NumPy; uint64 must be compared unsigned; the axis of CumSum and CumProd is an input
 * that may be computed, so the shape is cut up while running. */
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "op/element.h"

enum { COLS = 256 };

typedef struct lanes {
    int64_t outer, len, inner;
} lanes;

static lanes lanes_of(const omma_value *x, int axis) {
    lanes l = {1, x->rank ? x->dims[axis] : 1, 1};
    for (int d = 0; d < axis; d++) l.outer *= x->dims[d];
    for (int d = axis + 1; d < x->rank; d++) l.inner *= x->dims[d];
    return l;
}

/* Run fn over blocks of at most COLS lanes: item = outer index * blocks + block. */
static void each_block(const omma_exec *x, const lanes *l, omma_chunk fn, void *job) {
    const int64_t width = l->inner < COLS ? l->inner : COLS;
    const int64_t work = l->len > OMMA_GRAIN ? l->len : l->len * width;
    omma_parallel(x->threads, l->outer * ((l->inner + COLS - 1) / COLS),
                  work >= OMMA_GRAIN ? 1 : OMMA_GRAIN / (work + 1), fn, job);
}

/* --- ArgMax, ArgMin ----------------------------------------------------------- */

typedef struct arg {
    lanes l;
    bool min, last;
} arg;

static omma_status arg_infer(omma_build *b, omma_node *n, bool min) {
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_NUMBER));
    const omma_value *x = n->in[0];
    int axis = 0, rank = 0;
    int64_t dims[OMMA_MAX_RANK];
    OMMA_TRY(omma_axis(b, n, omma_node_int(n, "axis", 0), x->rank ? x->rank : 1, &axis));
    arg *a = omma_param(b, n, sizeof *a);
    if (!a) return omma_nomem(b, n);
    *a = (arg){lanes_of(x, axis), min, omma_node_int(n, "select_last_index", 0) != 0};
    if (!a->l.len && a->l.outer && a->l.inner)
        return omma_bad(b, n, "axis %d is empty: nothing to choose from", axis);
    for (int d = 0; d < x->rank; d++)
        if (d != axis) dims[rank++] = x->dims[d];
        else if (omma_node_int(n, "keepdims", 1)) dims[rank++] = 1;
    return omma_out(b, n, 0, OMMA_I64, rank, dims);
}

typedef struct arg_job {
    const omma_kernels *kern;
    const arg *a;
    omma_dtype type;
    const void *x;
    int64_t *y;
} arg_job;

/* GET(i) is element i; IS_NAN and LESS its order. best[i] is the best number of lane i so far. */
#define ARG(tag, T, GET, IS_NAN, LESS)                                                           \
    static void arg_##tag(void *p, int64_t begin, int64_t end, int worker) {                     \
        (void)worker;                                                                            \
        const arg_job *j = p;                                                                    \
        const lanes l = j->a->l;                                                                 \
        const int64_t blocks = (l.inner + COLS - 1) / COLS;                                      \
        T best[COLS];                                                                            \
        for (int64_t item = begin; item < end; item++) {                                         \
            const int64_t col = item % blocks * COLS,                                            \
                          m = l.inner - col < COLS ? l.inner - col : COLS;                       \
            const int64_t base = item / blocks * l.len * l.inner + col;                          \
            int64_t *y = j->y + item / blocks * l.inner + col;                                   \
            for (int64_t i = 0; i < m; i++) best[i] = GET(base + i), y[i] = 0;                   \
            for (int64_t k = 1; k < l.len; k++)                                                  \
                for (int64_t i = 0; i < m; i++) {                                                \
                    const T v = GET(base + k * l.inner + i), w = best[i];                        \
                    const bool worse = j->a->min ? LESS(w, v) : LESS(v, w),                      \
                               better = j->a->min ? LESS(v, w) : LESS(w, v);                     \
                    const bool take = IS_NAN(w) ? IS_NAN(v) && j->a->last                        \
                                                : IS_NAN(v) || better || (j->a->last && !worse); \
                    if (take) best[i] = v, y[i] = k;                                             \
                }                                                                                \
        }                                                                                        \
    }
#define GET_F32(i) ((const float *)j->x)[i]
#define GET_NUMBER(i) omma_get_number(j->type, j->x, i)
#define GET_INT(i) omma_get_int(j->type, j->x, i)
#define NEVER(v) false
#define LESS(v, w) ((v) < (w))
#define LESS_INT(v, w) omma_int_less(j->type, v, w)
ARG(f32, float, GET_F32, isnan, LESS)
ARG(number, double, GET_NUMBER, isnan, LESS)
ARG(int, int64_t, GET_INT, NEVER, LESS_INT)

/* The first maximum of float32, the case that matters: class scores and masks. */
static void arg_max_f32(void *p, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const arg_job *j = p;
    const lanes l = j->a->l;
    const int64_t blocks = (l.inner + COLS - 1) / COLS;
    float best[COLS];
    for (int64_t item = begin; item < end; item++) {
        const int64_t col = item % blocks * COLS, m = l.inner - col < COLS ? l.inner - col : COLS;
        const float *x = (const float *)j->x + item / blocks * l.len * l.inner + col;
        int64_t *y = j->y + item / blocks * l.inner + col;
        if (l.inner == 1) {
            const float max = j->kern->max(l.len, x);
            int64_t k = 0;
            while (k < l.len - 1 && (isnan(max) ? !isnan(x[k]) : x[k] != max)) k++;
            *y = k;
            continue;
        }
        for (int64_t i = 0; i < m; i++) best[i] = x[i], y[i] = 0;
        for (int64_t k = 1; k < l.len; k++) {
            x += l.inner;
            for (int64_t i = 0; i < m; i++)
                if (!(x[i] <= best[i]) && !isnan(best[i])) best[i] = x[i], y[i] = k;
        }
    }
}

static omma_status arg_run(const omma_exec *x, const omma_node *n) {
    if (!omma_wanted(n, 0)) return OMMA_OK;
    const arg *a = n->param;
    arg_job j = {x->kern, a, n->in[0]->dtype, n->in[0]->mem, n->out[0]->mem};
    omma_chunk fn = omma_type_in(j.type, OMMA_IN_INT) ? arg_int : arg_number;
    if (j.type == OMMA_F32) fn = a->min || a->last ? arg_f32 : arg_max_f32;
    if (a->l.len) each_block(x, &a->l, fn, &j);
    return OMMA_OK;
}

static double in_flops(const omma_node *n) { return (double)omma_value_count(n->in[0]); }

static omma_status ArgMax_infer(omma_build *b, omma_node *n) { return arg_infer(b, n, false); }
static omma_status ArgMin_infer(omma_build *b, omma_node *n) { return arg_infer(b, n, true); }

#define ROW(Name, infer_, run_, n_in, no_grad_)          \
    const omma_op omma_op_##Name = {.name = #Name,       \
                                    .min_in = n_in,      \
                                    .max_in = n_in,      \
                                    .min_out = 1,        \
                                    .max_out = 1,        \
                                    .infer = infer_,     \
                                    .run = run_,         \
                                    .flops = in_flops,   \
                                    .no_grad = no_grad_, \
                                    .no_field = OMMA_NOT_YET};
ROW(ArgMax, ArgMax_infer, arg_run, 1, "integer output: nothing to differentiate")
ROW(ArgMin, ArgMin_infer, arg_run, 1, "integer output: nothing to differentiate")

/* --- CumSum ------------------------------------------------------------------- */

typedef struct cum {
    bool exclusive, reverse, product;
} cum;

static omma_status CumSum_infer(omma_build *b, omma_node *n) {
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_NUMBER));
    OMMA_TRY(omma_want(b, n, 1, OMMA_BIT(OMMA_I32) | OMMA_BIT(OMMA_I64)));
    if (omma_value_count(n->in[1]) != 1) return omma_bad(b, n, "the axis must be one number");
    if (n->in[1]->data) {
        double axis;
        int at;
        bool found;
        OMMA_TRY(omma_number_in(b, n, 1, &axis, &found));
        OMMA_TRY(omma_axis(b, n, (int64_t)axis, n->in[0]->rank, &at));
    }
    cum *c = omma_param(b, n, sizeof *c);
    if (!c) return omma_nomem(b, n);
    *c = (cum){omma_node_int(n, "exclusive", 0) != 0, omma_node_int(n, "reverse", 0) != 0,
               !strcmp(n->op->name, "CumProd")};
    return omma_out_like(b, n, 0, n->in[0]);
}

typedef struct cum_job {
    lanes l;
    cum c;
    omma_dtype type;
    const void *x;
    void *y;
} cum_job;

#define CUM(tag, T, GET, SET)                                                                   \
    static void cum_##tag(void *p, int64_t begin, int64_t end, int worker) {                    \
        (void)worker;                                                                           \
        const cum_job *j = p;                                                                   \
        const lanes l = j->l;                                                                   \
        const int64_t blocks = (l.inner + COLS - 1) / COLS;                                     \
        for (int64_t item = begin; item < end; item++) {                                        \
            T acc[COLS];                                                                        \
            const int64_t col = item % blocks * COLS,                                           \
                          m = l.inner - col < COLS ? l.inner - col : COLS;                      \
            for (int64_t i = 0; i < m; i++) acc[i] = j->c.product;                              \
            for (int64_t k = 0; k < l.len; k++) {                                               \
                const int64_t row = item / blocks * l.len + (j->c.reverse ? l.len - 1 - k : k); \
                for (int64_t i = 0; i < m; i++) {                                               \
                    const int64_t at = row * l.inner + col + i;                                 \
                    const T before = acc[i];                                                    \
                    if (j->c.product) acc[i] *= (T)GET(at);                                     \
                    else acc[i] += (T)GET(at);                                                  \
                    SET(at, j->c.exclusive ? before : acc[i]);                                  \
                }                                                                               \
            }                                                                                   \
        }                                                                                       \
    }
#define SET_F32(i, v) ((float *)j->y)[i] = (float)(v)
#define SET_NUMBER(i, v) omma_set_number(j->type, j->y, i, v)
#define SET_INT(i, v) omma_set_int(j->type, j->y, i, (int64_t)(v))
CUM(f32, double, GET_F32, SET_F32)
CUM(number, double, GET_NUMBER, SET_NUMBER)
CUM(int, uint64_t, GET_INT, SET_INT)

static omma_status CumSum_run(const omma_exec *x, const omma_node *n) {
    if (!omma_wanted(n, 0)) return OMMA_OK;
    const omma_value *v = n->in[0];
    int64_t axis = omma_get_int(n->in[1]->dtype, n->in[1]->mem, 0);
    if (axis < -v->rank || axis >= v->rank)
        return omma_run_bad(x, n, "axis %lld is outside a tensor of rank %d", (long long)axis,
                            v->rank);
    const lanes l = lanes_of(v, (int)(axis < 0 ? axis + v->rank : axis));
    cum_job j = {l, *(const cum *)n->param, v->dtype, v->mem, n->out[0]->mem};
    each_block(x, &l,
               v->dtype == OMMA_F32                  ? cum_f32
               : omma_type_in(v->dtype, OMMA_IN_INT) ? cum_int
                                                     : cum_number,
               &j);
    return OMMA_OK;
}
ROW(CumSum, CumSum_infer, CumSum_run, 2, OMMA_NOT_YET)
ROW(CumProd, CumSum_infer, CumSum_run, 2, OMMA_NOT_YET)

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
#include "op/grad.h"
#include "op/index_map.h"
#include "op/move.h"

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

/* Every number along the axis is compared. */
static omma_status arg_field(omma_field *f, const omma_node *n) {
    const arg *a = n->param;
    const omma_value *x = n->in[0];
    omma_relation *r = omma_field_relate(f, 0, 0);
    if (!r || !x->rank) return f->status;
    const int64_t dims[] = {a->l.outer, 1, a->l.inner}, from[] = {a->l.outer, a->l.len, a->l.inner};
    omma_relation_view_out(r, 3, dims);
    omma_relation_view_in(r, 3, from);
    omma_relation_same(r, 0, 0);
    omma_relation_same(r, 2, 2);
    return f->status;
}

#define ROW(Name)                                                               \
    const omma_op omma_op_##Name = {.name = #Name,                              \
                                    .min_in = 1,                                \
                                    .max_in = 1,                                \
                                    .min_out = 1,                               \
                                    .max_out = 1,                               \
                                    .infer = Name##_infer,                      \
                                    .run = arg_run,                             \
                                    .flops = in_flops,                          \
                                    .no_grad = "the output is a whole number, " \
                                               "which has none",                \
                                    .field = arg_field};
ROW(ArgMax)
ROW(ArgMin)
#undef ROW

/* --- CumSum, CumProd ---------------------------------------------------------- */

typedef struct cum {
    bool exclusive, reverse, product;
} cum;

static omma_status cum_infer(omma_build *b, omma_node *n) {
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

/* v cut up along the axis that at says. */
static omma_status cum_lanes(const omma_exec *x, const omma_node *n, const omma_value *v,
                             const omma_value *at, lanes *l) {
    const int64_t axis = omma_get_int(at->dtype, at->mem, 0);
    if (axis < -v->rank || axis >= v->rank)
        return omma_run_bad(x, n, "axis %lld is outside a tensor of rank %d", (long long)axis,
                            v->rank);
    *l = lanes_of(v, (int)(axis < 0 ? axis + v->rank : axis));
    return OMMA_OK;
}

static omma_status cum_run(const omma_exec *x, const omma_node *n) {
    if (!omma_wanted(n, 0)) return OMMA_OK;
    const omma_value *v = n->in[0];
    lanes l;
    OMMA_TRY(cum_lanes(x, n, v, n->in[1], &l));
    cum_job j = {l, *(const cum *)n->param, v->dtype, v->mem, n->out[0]->mem};
    each_block(x, &l,
               v->dtype == OMMA_F32                  ? cum_f32
               : omma_type_in(v->dtype, OMMA_IN_INT) ? cum_int
                                                     : cum_number,
               &j);
    return OMMA_OK;
}
/* The sum the other way around. */
static omma_status CumSum_grad(omma_grad *g, const omma_node *n) {
    const cum *c = n->param;
    const omma_attr attrs[] = {OMMA_A_INT("exclusive", c->exclusive),
                               OMMA_A_INT("reverse", !c->reverse)};
    omma_value *in[] = {omma_grad_out(g, n, 0), n->in[1]};
    return omma_grad_add(g, n, 0, omma_make(&g->m, "CumSum", in, 2, attrs, 2));
}

/* --- the gradient of CumProd ------------------------------------------------------------------ */

/* dy, x, axis -> dx. In the order of the walk, with an inclusive product,
 *
 *     dx[k] = x[0] ... x[k-1] * (dy[k] + x[k+1] (dy[k+1] + x[k+2] (dy[k+2] + ...)))
 *
 * and with an exclusive one without the dy[k]. Two walks, there and back, and no division, so zeros
 * are no special case; a formula of rows of the table would divide, or cost len squared. */
typedef struct cum_back_job {
    cum_job j; /* y: dx */
    const void *dy;
} cum_back_job;

/* One lane whose first number, in the order of the walk, is at place first. */
static void cum_back_lane(const cum_back_job *b, int64_t first, int64_t step) {
    const cum_job *j = &b->j;
    double before = 1, behind = 0;
    for (int64_t k = 0, at = first; k < j->l.len; k++, at += step) {
        omma_set_number(j->type, j->y, at, before);
        before *= omma_get_number(j->type, j->x, at);
    }
    for (int64_t k = j->l.len - 1, at = first + k * step; k >= 0; k--, at -= step) {
        const double dy = omma_get_number(j->type, b->dy, at), with = behind + dy;
        const double x = omma_get_number(j->type, j->x, at);
        const double slope = j->c.exclusive ? behind : with;
        omma_set_number(j->type, j->y, at, omma_get_number(j->type, j->y, at) * slope);
        behind = j->c.exclusive ? dy + x * behind : x * with;
    }
}

static void cum_back(void *p, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const cum_back_job *b = p;
    const lanes l = b->j.l;
    for (int64_t i = begin; i < end; i++) {
        const int64_t first = i / l.inner * l.len * l.inner + i % l.inner;
        if (b->j.c.reverse) cum_back_lane(b, first + (l.len - 1) * l.inner, -l.inner);
        else cum_back_lane(b, first, l.inner);
    }
}

static omma_status cum_back_infer(omma_build *b, omma_node *n) {
    cum *c = omma_param(b, n, sizeof *c);
    if (!c) return omma_nomem(b, n);
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_FLOAT));
    OMMA_TRY(omma_want_same(b, n, 1));
    *c = (cum){omma_node_int(n, "exclusive", 0) != 0, omma_node_int(n, "reverse", 0) != 0, true};
    return omma_out_like(b, n, 0, n->in[0]);
}

static omma_status cum_back_run(const omma_exec *x, const omma_node *n) {
    const omma_value *v = n->in[1];
    lanes l;
    if (!omma_wanted(n, 0) || !omma_value_count(v)) return OMMA_OK;
    OMMA_TRY(cum_lanes(x, n, v, n->in[2], &l));
    cum_back_job j = {{l, *(const cum *)n->param, v->dtype, v->mem, n->out[0]->mem}, n->in[0]->mem};
    omma_parallel(x->threads, l.outer * l.inner, OMMA_GRAIN / (l.len + 1) + 1, cum_back, &j);
    return OMMA_OK;
}

static const omma_op cum_prod_grad = {.name = "omma.CumProdGrad",
                                      .min_in = 3,
                                      .max_in = 3,
                                      .min_out = 1,
                                      .max_out = 1,
                                      .infer = cum_back_infer,
                                      .run = cum_back_run,
                                      .flops = in_flops,
                                      .no_grad = "the gradient of a gradient is not built",
                                      .no_field = "it is made after this reading"};

static omma_status CumProd_grad(omma_grad *g, const omma_node *n) {
    omma_value *in[] = {omma_grad_out(g, n, 0), n->in[0], n->in[1]};
    const omma_node *back =
        omma_make_node(&g->m, &cum_prod_grad, n->opset, in, 3, n->attrs, n->n_attrs, 1);
    return omma_grad_add(g, n, 0, back ? back->out[0] : NULL);
}

/* --- the field of both ------------------------------------------------------------------------ */

/* All up to the output's own place, which begins and ends where the axis does: a window as long as
 * the axis, of which what lies outside is not there. */
static omma_relation *cum_line(omma_field *f, const omma_node *n, int axis) {
    const cum *c = n->param;
    omma_relation *r = omma_field_relate_same(f, 0, 0);
    if (!r) return NULL;
    const int64_t len = r->in_dims[axis];
    const int64_t first = c->reverse ? c->exclusive : 1 - len - c->exclusive;
    r->axis[axis] = omma_map_window(axis, 1, first, 1, len);
    return r;
}

/* Where the axis is not known it may be any. */
static omma_status cum_field(omma_field *f, const omma_node *n) {
    const int rank = n->in[0]->rank;
    const void *numbers = omma_field_numbers(f, n->in[1]);
    const int64_t known = numbers ? omma_index_of(n->in[1]->dtype, numbers, 0, rank) : -1;
    for (int axis = 0; axis < rank; axis++) {
        if (known >= 0 && axis != known) continue;
        omma_relation *r = cum_line(f, n, axis);
        if (r) r->bound = known < 0, r->data = known >= 0 && !n->in[1]->data;
    }
    return omma_field_control(f, 0, 1);
}

#define ROW(Name)                                        \
    const omma_op omma_op_##Name = {.name = #Name,       \
                                    .min_in = 2,         \
                                    .max_in = 2,         \
                                    .min_out = 1,        \
                                    .max_out = 1,        \
                                    .infer = cum_infer,  \
                                    .run = cum_run,      \
                                    .flops = in_flops,   \
                                    .grad = Name##_grad, \
                                    .field = cum_field};
ROW(CumSum)
ROW(CumProd)

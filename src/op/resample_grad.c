/* resample_grad.c - the way back through Resize. It is linear, and the product of one linear map
 * for each axis: y[o] = sum of w[o,i] x[i]. So is its gradient, of the maps turned around, and an
 * axis is a node:
 *
 *   omma.ResizeGrad   dy: [outer, out, inner] of float32 or float64
 *                     dx: [outer, in, inner], dx[i] = sum over the outputs o that read i of
 *                     w[o,i] dy[o]
 *
 * It carries the attributes and inputs of the Resize, with dy in the place of x; "omma.dims" are
 * x's and "omma.axis" says which axis goes back: those before it have gone already. Outputs that
 * take the extrapolation value read nothing. */
#include <string.h>

#include "base/pool.h"
#include "op/element.h"
#include "op/resample.h"

typedef struct back {
    omma_resample map;
    int axis;
    int64_t outer, in, out, inner;
    /* by input i of the axis: from start[i] to start[i + 1], the outputs [in rows of inner
     * numbers] that read it, and their weights */
    int64_t *start, *from;
    double *w;
    float *w32;
} back;

static omma_status infer(omma_build *b, omma_node *n) {
    const omma_value *dy = n->in[0];
    int64_t dims[OMMA_MAX_RANK];
    int rank;
    back *p = omma_param(b, n, sizeof *p);
    if (!p) return omma_nomem(b, n);
    OMMA_TRY(omma_want(b, n, 0, OMMA_BIT(OMMA_F32) | OMMA_BIT(OMMA_F64)));
    OMMA_TRY(omma_ints_attr(b, n, "omma.dims", dims, OMMA_MAX_RANK, &rank));
    if (rank != dy->rank) return omma_bad(b, n, "omma.dims are not those of the input");
    OMMA_TRY(omma_axis(b, n, omma_node_int(n, "omma.axis", 0), rank, &p->axis));
    OMMA_TRY(omma_resample_read(b, n, rank, dims, n->opset < 11, &p->map));
    p->outer = p->inner = 1;
    for (int d = 0; d < rank; d++) {
        const omma_resample_axis *a = &p->map.axes[d];
        if (dy->dims[d] != (d < p->axis ? a->in : a->out))
            return omma_bad(b, n, "axis %d of the cotangent is of length %lld", d,
                            (long long)dy->dims[d]);
        if (d < p->axis) p->outer *= dy->dims[d];
        if (d > p->axis) p->inner *= dy->dims[d];
    }
    memcpy(dims, dy->dims, sizeof dims);
    p->out = dims[p->axis];
    p->in = dims[p->axis] = p->map.axes[p->axis].in;
    return omma_out(b, n, 0, dy->dtype, rank, dims);
}

static bool counts(const omma_resample_axis *a, int64_t tap) {
    return a->w[tap] != 0 && !(a->outside && a->outside[tap / a->taps]);
}

/* Sort the table by inputs. */
static void turn(const omma_resample_axis *a, back *p) {
    const int64_t taps = a->out * a->taps;
    for (int64_t t = 0; t < taps; t++)
        if (counts(a, t)) p->start[a->at[t] + 2]++;
    for (int64_t i = 0; i < a->in; i++) p->start[i + 2] += p->start[i + 1];
    for (int64_t t = 0; t < taps; t++) { /* start[i + 1] moves from the list's begin to its end */
        if (!counts(a, t)) continue;
        const int64_t k = p->start[a->at[t] + 1]++;
        p->from[k] = t / a->taps * p->inner;
        p->w[k] = a->w[t], p->w32[k] = (float)a->w[t];
    }
}

static omma_status prepare(omma_build *b, omma_node *n) {
    back *p = (back *)n->param;
    omma_resample_axis *a = &p->map.axes[p->axis];
    OMMA_TRY(omma_resample_table(b, n, &p->map, a));
    const size_t taps = (size_t)(a->out * a->taps);
    p->start = omma_arena_array(b->arena, (size_t)a->in + 2, sizeof *p->start);
    p->from = omma_arena_array(b->arena, taps + 1, sizeof *p->from);
    p->w = omma_arena_array(b->arena, taps + 1, sizeof *p->w);
    p->w32 = omma_arena_array(b->arena, taps + 1, sizeof *p->w32);
    if (!p->start || !p->from || !p->w || !p->w32) return omma_nomem(b, n);
    turn(a, p);
    return OMMA_OK;
}

typedef struct job {
    const omma_exec *x;
    const back *p;
    const void *dy;
    void *dx;
} job;

/* Items are rows of inner numbers of dx. */
static void rows_f32(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const back *p = j->p;
    (void)worker;
    for (int64_t r = begin; r < end; r++) {
        const float *dy = (const float *)j->dy + r / p->in * p->out * p->inner;
        const int64_t first = p->start[r % p->in], count = p->start[r % p->in + 1] - first;
        j->x->kern->taps(p->inner, (int)count, p->w32 + first, dy, p->from + first, 1,
                         (float *)j->dx + r * p->inner);
    }
}

/* The last axis; items are its lines. */
static void lines_f32(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const back *p = j->p;
    (void)worker;
    for (int64_t r = begin; r < end; r++) {
        const float *dy = (const float *)j->dy + r * p->out;
        float *dx = (float *)j->dx + r * p->in;
        for (int64_t i = 0, k = 0; i < p->in; i++) {
            float sum = 0;
            for (const int64_t stop = p->start[i + 1]; k < stop; k++)
                sum += p->w32[k] * dy[p->from[k]];
            dx[i] = sum;
        }
    }
}

/* Items are lines of in * inner numbers. */
static void lines_f64(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const back *p = j->p;
    (void)worker;
    for (int64_t i = begin * p->in; i < end * p->in; i++) {
        const double *dy = (const double *)j->dy + i / p->in * p->out * p->inner;
        double *dx = (double *)j->dx + i * p->inner;
        for (int64_t c = 0; c < p->inner; c++) {
            double sum = 0;
            for (int64_t k = p->start[i % p->in]; k < p->start[i % p->in + 1]; k++)
                sum += p->w[k] * dy[p->from[k] + c];
            dx[c] = sum;
        }
    }
}

static omma_status run(const omma_exec *x, const omma_node *n) {
    const back *p = n->param;
    const omma_value *dx = n->out[0];
    if (!dx || !omma_value_count(dx)) return OMMA_OK;
    job j = {x, p, n->in[0]->mem, dx->mem};
    const bool rows = dx->dtype == OMMA_F32 && p->inner > 1;
    const int64_t terms = p->start[p->in] > p->in ? p->start[p->in] : p->in; /* of a line */
    const int64_t each = rows ? terms / p->in * p->inner : terms * p->inner;
    omma_parallel(x->threads, rows ? p->outer * p->in : p->outer,
                  each < OMMA_GRAIN ? OMMA_GRAIN / (each + 1) : 1,
                  rows                    ? rows_f32
                  : dx->dtype == OMMA_F32 ? lines_f32
                                          : lines_f64,
                  &j);
    return OMMA_OK;
}

static double flops(const omma_node *n) {
    const back *p = n->param;
    const int taps = p->map.mode == OMMA_RESIZE_NEAREST  ? 1
                     : p->map.mode == OMMA_RESIZE_LINEAR ? 2
                                                         : 4;
    return 2.0 * taps * (double)omma_value_count(n->in[0]);
}

const omma_op omma_op_ResizeGrad = {.name = "omma.ResizeGrad",
                                    .min_in = 1,
                                    .max_in = 4,
                                    .min_out = 1,
                                    .max_out = 1,
                                    .infer = infer,
                                    .prepare = prepare,
                                    .run = run,
                                    .flops = flops,
                                    .no_grad = "the gradient of a gradient is not built",
                                    .no_field = "it is made after this reading"};

/* --- the nodes ------------------------------------------------------------------------------- */

static omma_value *back_along(omma_maker *m, const omma_node *n, const omma_resample *p, int axis,
                              omma_value *dy) {
    int64_t dims[OMMA_MAX_RANK];
    omma_attr *attrs = omma_arena_array(m->g->arena, (size_t)n->n_attrs + 2, sizeof *attrs);
    if (!attrs) {
        m->status = omma_nomem(m->b, n);
        return NULL;
    }
    for (int d = 0; d < p->rank; d++) dims[d] = p->axes[d].in;
    if (n->n_attrs) memcpy(attrs, n->attrs, (size_t)n->n_attrs * sizeof *attrs);
    attrs[n->n_attrs] = OMMA_A_INTS("omma.dims", dims, p->rank);
    attrs[n->n_attrs + 1] = OMMA_A_INT("omma.axis", axis);
    omma_value *in[] = {dy, omma_in(n, 1), omma_in(n, 2), omma_in(n, 3)};
    /* Upsample always goes by the rules of old */
    const int opset = !strcmp(n->op->name, "Upsample") && n->opset > 10 ? 10 : n->opset;
    const omma_node *made =
        omma_make_node(m, &omma_op_ResizeGrad, opset, in, 4, attrs, n->n_attrs + 2, 1);
    return made ? made->out[0] : NULL;
}

omma_value *omma_resample_back(omma_maker *m, const omma_node *n, const omma_resample *p,
                               omma_value *dy) {
    if (!dy) return NULL;
    if (!omma_value_count(dy)) return omma_make_full(m, n->in[0], 0);
    if (dy->dtype != OMMA_F64) dy = omma_make_cast(m, dy, OMMA_F32);
    for (int d = 0; d < p->rank; d++) {
        omma_resample_axis a = p->axes[d];
        if (!m->status) m->status = omma_resample_table(m->b, n, p, &a);
        if (!m->status && a.active) dy = back_along(m, n, p, d, dy);
    }
    return dy;
}

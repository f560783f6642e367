/* clip.c - Clip: y = min(max(x, lo), hi), NaN kept.
 *
 *   x, y: any shape; floats, since opset 12 also integers   lo, hi: one number each
 *
 * Bounds are attributes up to opset 10, inputs (perhaps computed) since 11; either may be left out.
 * The gradient by x is PyTorch's of hardtanh and relu6: 0 at a bound too, so that y tells it; by a
 * bound it is the sum over what was moved there. Source: ONNX Clip 6, 11, 12, 13. Trap: y may be
 * x. */
#include <math.h>

#include "base/pool.h"
#include "op/activation_grad.h"
#include "op/element.h"
#include "op/field.h"
#include "op/grad.h"

typedef struct clip {
    float lo, hi; /* the attributes */
} clip;

static omma_status Clip_infer(omma_build *b, omma_node *n) {
    const bool as_inputs = n->opset >= 11;
    OMMA_TRY(omma_want(b, n, 0, as_inputs ? OMMA_IN_NUMBER : OMMA_IN_FLOAT));
    for (int i = 1; i < n->n_in; i++) {
        if (!as_inputs)
            return omma_bad(b, n, "opset %d gives bounds as attributes, not as inputs", n->opset);
        if (!n->in[i]) continue;
        OMMA_TRY(omma_want_same(b, n, i));
        if (omma_value_count(n->in[i]) != 1)
            return omma_bad(b, n, "bound '%s' must be one number", n->in[i]->name);
    }
    clip *c = omma_param(b, n, sizeof *c);
    if (!c) return omma_nomem(b, n);
    c->lo = as_inputs ? -INFINITY : omma_node_float(n, "min", -INFINITY);
    c->hi = as_inputs ? INFINITY : omma_node_float(n, "max", INFINITY);
    return omma_out_like(b, n, 0, n->in[0]);
}

typedef struct clip_job {
    const omma_kernels *kern;
    omma_dtype type;
    double lo, hi;    /* bounds for float types */
    int64_t ilo, ihi; /* for integers; uint64 as its bits */
    const void *x;
    void *y;
} clip_job;

#define CLIP_LOOP(T, lo_, hi_)                                     \
    {                                                              \
        const T lo = (T)(lo_), hi = (T)(hi_);                      \
        for (int64_t i = begin; i < end; i++) {                    \
            const T x = ((const T *)j->x)[i], v = x < lo ? lo : x; \
            ((T *)j->y)[i] = v > hi ? hi : v;                      \
        }                                                          \
        return;                                                    \
    }

static void clip_part(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const clip_job *j = arg;
    switch (j->type) {
#define X(tag, T, min) \
    case OMMA_##tag: CLIP_LOOP(T, j->ilo, j->ihi)
        OMMA_SIGNED_LIST(X)
        OMMA_UNSIGNED_LIST(X)
#undef X
    case OMMA_F32:
        j->kern->clip(end - begin, (const float *)j->x + begin, (float)j->lo, (float)j->hi,
                      (float *)j->y + begin);
        return;
    case OMMA_F64: CLIP_LOOP(double, j->lo, j->hi)
    default: break;
    }
    const uint16_t *x = j->x;
    uint16_t *y = j->y;
    for (int64_t i = begin; i < end; i++) {
        float v;
        omma_load_halves(j->type, x + i, 1, &v);
        v = v < (float)j->lo ? (float)j->lo : v;
        v = v > (float)j->hi ? (float)j->hi : v;
        omma_store_halves(j->type, &v, 1, y + i);
    }
}

static omma_status Clip_run(const omma_exec *x, const omma_node *n) {
    if (!omma_wanted(n, 0)) return OMMA_OK;
    const clip *c = n->param;
    const omma_dtype t = n->in[0]->dtype;
    clip_job j = {x->kern, t, c->lo, c->hi, 0, 0, n->in[0]->mem, n->out[0]->mem};
    const omma_value *lo = omma_in(n, 1), *hi = omma_in(n, 2);
    omma_int_limits(t, &j.ilo, &j.ihi);
    if (lo) j.lo = omma_get_number(t, lo->mem, 0), j.ilo = omma_get_int(t, lo->mem, 0);
    if (hi) j.hi = omma_get_number(t, hi->mem, 0), j.ihi = omma_get_int(t, hi->mem, 0);
    omma_parallel(x->threads, omma_value_count(n->in[0]), OMMA_GRAIN, clip_part, &j);
    return OMMA_OK;
}

/* dy summed where mask is true, as a bound. */
static omma_value *sum_where(omma_maker *m, omma_value *mask, omma_value *dy,
                             const omma_value *bound) {
    if (!mask || !dy) return NULL;
    omma_value *part = omma_make_3(m, "Where", mask, dy, omma_make_number(m, dy, 0));
    return omma_make_shaped(m, omma_make_sum(m, part, (1u << dy->rank) - 1, false), bound);
}

/* What lies below lo goes there, unless hi is lower still. */
static omma_status bounds_grad(omma_grad *g, const omma_node *n) {
    omma_maker *m = &g->m;
    omma_value *x = n->in[0], *lo = omma_in(n, 1), *hi = omma_in(n, 2),
               *dy = omma_grad_out(g, n, 0);
    const bool by_lo = omma_grad_wants(g, n, 1), by_hi = omma_grad_wants(g, n, 2);
    if (lo) lo = omma_make_reshape(m, lo, 0, NULL);
    if (hi) hi = omma_make_reshape(m, hi, 0, NULL);
    omma_value *above =
        hi ? omma_make_2(m, "Greater", lo ? omma_make_2(m, "Max", x, lo) : x, hi) : NULL;
    if (by_hi) OMMA_TRY(omma_grad_add(g, n, 2, sum_where(m, above, dy, n->in[2])));
    if (!by_lo) return m->status;
    omma_value *below = omma_make_2(m, "Less", x, lo);
    if (hi) below = omma_make_2(m, "And", below, omma_make_1(m, "Not", above));
    return omma_grad_add(g, n, 1, sum_where(m, below, dy, n->in[1]));
}

static omma_status Clip_grad(omma_grad *g, const omma_node *n) {
    omma_maker *m = &g->m;
    const clip *c = n->param;
    omma_value *y = n->out[0], *lo = omma_in(n, 1), *hi = omma_in(n, 2);
    if (omma_grad_wants(g, n, 1) || omma_grad_wants(g, n, 2)) OMMA_TRY(bounds_grad(g, n));
    if (!omma_grad_wants(g, n, 0)) return m->status;
    if (!lo && !isinf(c->lo)) lo = omma_make_number(m, y, (double)c->lo);
    if (!hi && !isinf(c->hi)) hi = omma_make_number(m, y, (double)c->hi);
    return omma_grad_add(g, n, 0, omma_clip_grad(m, omma_grad_out(g, n, 0), y, lo, hi, 0));
}

static omma_status Clip_field(omma_field *f, const omma_node *n) {
    for (int i = 1; i < n->n_in; i++) { /* one number for all places */
        omma_relation *r = omma_field_relate(f, 0, i);
        if (r && omma_value_count(n->out[0]) > 1) r->path = OMMA_PATH_STATISTIC;
    }
    return omma_field_broadcast(f, 0, 0, OMMA_PATH_VALUE);
}

const omma_op omma_op_Clip = {.name = "Clip",
                              .min_in = 1,
                              .max_in = 3,
                              .min_out = 1,
                              .max_out = 1,
                              .flags = OMMA_OP_ELEMENTWISE,
                              .infer = Clip_infer,
                              .run = Clip_run,
                              .grad = Clip_grad,
                              .field = Clip_field};

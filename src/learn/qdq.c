/* qdq.c - see qdq.h. */
#include "learn/qdq.h"

#include <math.h>
#include <string.h>

#include "op/op.h"

static bool is(const omma_node *n, const char *op) { return n && !strcmp(n->op->name, op); }

static bool plain_gemm(const omma_node *n) {
    return !omma_node_int(n, "transA", 0) && omma_node_float(n, "alpha", 1) == 1 &&
           omma_node_float(n, "beta", 1) == 1;
}

int omma_qdq_axis(const omma_node *n) {
    if (n->n_in < 2 || n->n_out != 1 || !n->in[0] || n->in[0]->data || !n->in[1]) return -1;
    const omma_value *w = n->in[1], *bias = omma_in(n, 2);
    if (!w->data || w->dtype != OMMA_F32 || !omma_value_count(w)) return -1;
    if (bias && (!bias->data || bias->dtype != OMMA_F32)) return -1;
    if (is(n, "Conv") && w->rank == 4 && omma_node_int(n, "group", 1) == 1) return 0;
    if (is(n, "MatMul") && w->rank == 2) return 1;
    if (is(n, "Gemm") && w->rank == 2 && plain_gemm(n) &&
        (!bias || (bias->rank == 1 && omma_value_count(bias) > 1)))
        return omma_node_int(n, "transB", 0) ? 0 : 1;
    return -1;
}

/* --- building ---------------------------------------------------------------------- */

typedef struct rewrite {
    const omma_graph *from;
    omma_graph *g;
    const bool *chosen;
    const omma_steps *steps;
    const float *const *means;
    omma_value **read; /* by value of g: the dequantised one, NULL: none */
    omma_node **order; /* g's nodes in their new order */
    int count;
    omma_error *err;
} rewrite;

static omma_value *constant(rewrite *r, const char *of, const char *what, omma_dtype t, int rank,
                            const int64_t *dims, const void *data) {
    const char *name = omma_arena_printf(r->g->arena, "%s_q8_%s", of, what);
    return name && data ? omma_graph_constant(r->g, name, t, rank, dims, data) : NULL;
}

/* A node of one output with three inputs, at the end of the order; NULL when out of memory. */
static omma_value *make(rewrite *r, const char *op, const char *of, const char *what, int opset,
                        omma_value *x, omma_value *scale, omma_value *zero, int64_t axis) {
    const char *name = omma_arena_printf(r->g->arena, "%s_q8_%s", of, what);
    omma_node *n =
        name && x && scale ? omma_graph_node(r->g, omma_op_find(op), name, zero ? 3 : 2, 1) : NULL;
    omma_value *y = n ? omma_graph_value(r->g, name) : NULL;
    omma_attr *a = y ? omma_arena_alloc(r->g->arena, sizeof *a) : NULL;
    if (!a) return NULL;
    n->in[0] = x, n->in[1] = scale;
    if (zero) n->in[2] = zero;
    n->opset = opset;
    if (axis >= 0) {
        *a = (omma_attr){.name = "axis", .kind = OMMA_ATTR_INT, .i = axis, .s = ""};
        n->attrs = a, n->n_attrs = 1;
    }
    omma_node_set_output(n, 0, y);
    r->order[r->count++] = n;
    return y;
}

/* Quantise and dequantise value v. */
static bool through_8_bits(rewrite *r, omma_value *v, int opset) {
    const omma_steps s = r->steps[v->index];
    float *scale = omma_arena_alloc(r->g->arena, sizeof *scale);
    uint8_t *zero = omma_arena_alloc(r->g->arena, sizeof *zero);
    if (!scale || !zero) return false;
    *scale = s.scale, *zero = s.zero;
    omma_value *vs = constant(r, v->name, "scale", OMMA_F32, 0, NULL, scale);
    omma_value *vz = constant(r, v->name, "zero", OMMA_U8, 0, NULL, zero);
    if (!vs || !vz) return false;
    omma_value *q = make(r, "QuantizeLinear", v->name, "quantized", opset, v, vs, vz, -1);
    r->read[v->index] = make(r, "DequantizeLinear", v->name, "dequantized", opset, q, vs, vz, -1);
    return r->read[v->index] != NULL;
}

/* --- weights ----------------------------------------------------------------------- */

/* What the channels of a node's weights are: element (channel c, place i) lies at
 * c*c_step + i/inner*outer + i%inner. */
typedef struct channels {
    int64_t count, places, c_step, inner, outer;
} channels;

static channels channels_of(const omma_value *w, int axis) {
    const int64_t all = omma_value_count(w), m = w->dims[axis];
    if (axis == 0) return (channels){m, all / m, all / m, all / m, 0};
    return (channels){m, all / m, 1, 1, m};
}

static float at(const omma_value *w, const channels *ch, int64_t c, int64_t i) {
    float v;
    memcpy(&v,
           (const char *)w->data +
               (size_t)(c * ch->c_step + i / ch->inner * ch->outer + i % ch->inner) * 4,
           4);
    return v;
}

/* The scale of a channel: its largest weight is 127 steps; no smaller than lets the bias, in steps
 * of both scales together, fit an int32. */
static float scale_of(const omma_value *w, const channels *ch, int64_t c, float bias, float x) {
    float most = 0;
    for (int64_t i = 0; i < ch->places; i++) most = fmaxf(most, fabsf(at(w, ch, c, i)));
    const float least = fabsf(bias) / (x * 0x1p30f);
    float s = fmaxf(most / 127, least);
    return s > 1e-30f && isfinite(s) ? s : 1e-6f;
}

static int64_t place(const channels *ch, int64_t c, int64_t i) {
    return c * ch->c_step + i / ch->inner * ch->outer + i % ch->inner;
}

/* Neighbouring pixels are alike, so what counts most of the taps on one input channel is their
 * sum: each is rounded, then those that were rounded furthest are rounded the other way until the
 * sum is off by no more than half a step. */
static void round_taps(const omma_value *w, const channels *ch, int64_t c, float scale,
                       int64_t from, int64_t taps, int8_t *q) {
    double off = 0;
    for (int64_t i = from; i < from + taps; i++) {
        const float v = at(w, ch, c, i) / scale, r = rintf(v);
        q[place(ch, c, i)] = (int8_t)(r < -127 ? -127 : r > 127 ? 127 : r);
        off += (double)v - (double)q[place(ch, c, i)];
    }
    for (int64_t n = 0; fabs(off) > 0.5 && n < taps; n++) {
        const int step = off > 0 ? 1 : -1;
        int64_t best = -1;
        double most = 0;
        for (int64_t i = from; i < from + taps; i++) {
            const int8_t have = q[place(ch, c, i)];
            const double left = ((double)(at(w, ch, c, i) / scale) - have) * step;
            if (left > most && have * step < 127) most = left, best = i;
        }
        if (best < 0) return;
        q[place(ch, c, best)] = (int8_t)(q[place(ch, c, best)] + step);
        off -= step;
    }
}

/* What rounding took from the mean of an output channel; places are [input channel][tap]. */
static double lost_mean(const omma_value *w, const channels *ch, int64_t c, float scale,
                        int64_t taps, const int8_t *q, const float *mean) {
    double sum = 0;
    for (int64_t i = 0; i < ch->places; i++)
        sum +=
            ((double)at(w, ch, c, i) - (double)scale * q[place(ch, c, i)]) * (double)mean[i / taps];
    return sum;
}

static bool quantise_weights(rewrite *r, omma_node *n, int axis, float x_scale, const float *mean) {
    const omma_value *w = n->in[1], *bias = omma_in(n, 2);
    const channels ch = channels_of(w, axis);
    omma_arena *a = r->g->arena;
    float *scale = omma_arena_array(a, (size_t)ch.count, sizeof *scale);
    float *both = omma_arena_array(a, (size_t)ch.count, sizeof *both);
    int8_t *q = omma_arena_alloc(a, (size_t)omma_value_count(w));
    int8_t *zeros = omma_arena_alloc(a, (size_t)ch.count);
    int32_t *qb = omma_arena_array(a, (size_t)ch.count, sizeof *qb);
    const int64_t taps = w->rank == 4 ? w->dims[2] * w->dims[3] : 1;
    if (!scale || !both || !q || !zeros || !qb) return false;
    for (int64_t c = 0; c < ch.count; c++) {
        float b = 0;
        if (bias) memcpy(&b, (const char *)bias->data + c * 4, 4);
        const float s = scale_of(w, &ch, c, b, x_scale);
        for (int64_t i = 0; i < ch.places; i += taps) round_taps(w, &ch, c, s, i, taps, q);
        if (bias && mean) b += (float)lost_mean(w, &ch, c, s, taps, q, mean);
        scale[c] = s, both[c] = s * x_scale;
        qb[c] = (int32_t)rint((double)b / (double)both[c]);
    }
    omma_value *ws = constant(r, n->out[0]->name, "weight_scale", OMMA_F32, 1, &ch.count, scale);
    omma_value *wz = constant(r, n->out[0]->name, "weight_zero", OMMA_I8, 1, &ch.count, zeros);
    omma_value *wq = constant(r, n->out[0]->name, "weight_quantized", OMMA_I8, w->rank, w->dims, q);
    if (!ws || !wz || !wq) return false;
    n->in[1] = make(r, "DequantizeLinear", n->out[0]->name, "weight", n->opset, wq, ws, wz, axis);
    if (!n->in[1] || !bias) return n->in[1] != NULL;
    omma_value *bs = constant(r, n->out[0]->name, "bias_scale", OMMA_F32, 1, &ch.count, both);
    omma_value *bq = constant(r, n->out[0]->name, "bias_quantized", OMMA_I32, 1, &ch.count, qb);
    if (!bs || !bq) return false;
    n->in[2] = make(r, "DequantizeLinear", n->out[0]->name, "bias", n->opset, bq, bs, NULL, 0);
    return n->in[2] != NULL;
}

/* --- the whole --------------------------------------------------------------------- */

/* A sum of a chosen convolution's result and v: a residual, which may as well read what the next
 * convolution reads. */
static bool is_residual(const rewrite *r, const omma_node *add, const omma_value *v) {
    if (!is(add, "Add") || add->n_in != 2 || !add->in[0] || !add->in[1]) return false;
    const omma_value *other = add->in[0] == v ? add->in[1] : add->in[0];
    const omma_node *conv = other == v ? NULL : other->producer;
    return conv && is(conv, "Conv") && r->chosen[conv->index];
}

/* Which values are quantised: marks by value. */
static bool *marks(const rewrite *r, omma_arena *arena) {
    bool *m = omma_arena_array(arena, (size_t)r->from->n_values, sizeof *m);
    for (int i = 0; m && i < r->from->n_nodes; i++)
        if (r->chosen[i]) m[r->from->nodes[i]->in[0]->index] = true;
    return m;
}

static bool rewrite_node(rewrite *r, const omma_node *old, omma_node *n) {
    const bool chosen = r->chosen[old->index];
    if (chosen) {
        const float x = r->steps[old->in[0]->index].scale;
        n->in[0] = r->read[old->in[0]->index];
        const float *mean = r->means ? r->means[old->in[0]->index] : NULL;
        if (!quantise_weights(r, n, omma_qdq_axis(old), x, mean)) return false;
    }
    for (int k = 0; !chosen && k < n->n_in; k++)
        if (n->in[k] && n->in[k]->index < r->from->n_values && r->read[n->in[k]->index] &&
            is_residual(r, old, old->in[k]))
            n->in[k] = r->read[n->in[k]->index];
    r->order[r->count++] = n;
    return true;
}

static bool rewrite_all(rewrite *r) {
    const int n_old = r->g->n_nodes;
    int opset = 0;
    omma_arena *a = r->g->arena;
    bool *quantised = marks(r, a);
    r->read = omma_arena_array(a, (size_t)r->from->n_values, sizeof *r->read);
    r->order = omma_arena_array(a, (size_t)n_old * 5 + (size_t)r->from->n_values * 2 + 1,
                                sizeof *r->order);
    if (!quantised || !r->read || !r->order) return false;
    for (int i = 0; i < n_old; i++)
        if (r->chosen[i]) opset = r->from->nodes[i]->opset;
    for (int i = 0; i < r->from->n_inputs; i++) {
        omma_value *v = r->g->inputs[i];
        if (quantised[v->index] && !through_8_bits(r, v, opset)) return false;
    }
    for (int i = 0; i < n_old; i++) {
        omma_node *n = r->g->nodes[i];
        if (!rewrite_node(r, r->from->nodes[i], n)) return false;
        for (int k = 0; k < n->n_out; k++)
            if (n->out[k] && quantised[n->out[k]->index] && !through_8_bits(r, n->out[k], opset))
                return false;
    }
    if (r->count != r->g->n_nodes) return false;
    for (int i = 0; i < r->count; i++) {
        r->g->nodes[i] = r->order[i];
        r->g->nodes[i]->index = i;
    }
    return true;
}

omma_status omma_qdq_graph(omma_graph **out, const omma_graph *g, const bool *chosen,
                           const omma_steps *steps, const float *const *means, omma_arena *arena,
                           omma_error *err) {
    rewrite r = {.from = g, .chosen = chosen, .steps = steps, .means = means, .err = err};
    r.g = *out = omma_graph_clone(g, arena);
    if (!r.g || !rewrite_all(&r))
        return omma_fail(err, OMMA_E_NOMEM, "no memory for a quantised graph");
    omma_graph_sweep(r.g);
    return OMMA_OK;
}

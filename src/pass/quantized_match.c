/* quantized_match.c - products between DequantizeLinear and QuantizeLinear:
 *
 *   Quantize -> Dequantize(u8 | s8) -+
 *               Dequantize(s8 const)-+-> Conv | MatMul | Gemm
 *     -> Add bias (behind MatMul) -> Add residual (behind Conv)
 *     -> Relu | Clip | HardSwish | Gelu | x * Sigmoid(x)
 *     -> Mul number -> Add number
 *     -> Quantize
 *
 * All behind the product may be missing; without the last Quantize the result is float. Nothing is
 * read of shapes, which are not known yet: where an addend broadcasts the operator copes. */
#include "kernel/int8.h"
#include "pass/quantized.h"

omma_node *omma_q8_reader(const omma_graph *g, const int *uses, const omma_value *v) {
    if (!v || v->is_output || uses[v->index] != 1) return NULL;
    for (int i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i]->n_in; k++)
            if (g->nodes[i]->in[k] == v) {
                const omma_node *n = g->nodes[i];
                bool live = false;
                for (int o = 0; o < n->n_out; o++) live |= n->out[o] && uses[n->out[o]->index];
                if (live) return g->nodes[i];
            }
    return NULL;
}

/* --- 8 bits with one scale --------------------------------------------------------- */

bool omma_q8_read(const omma_node *n, omma_q8 *q) {
    if (!omma_is(n, "QuantizeLinear") && !omma_is(n, "DequantizeLinear")) return false;
    const omma_value *s = omma_in(n, 1), *z = omma_in(n, 2);
    if (!omma_const_f32(s, 1) || omma_node_attr(n, "output_dtype") ||
        omma_node_attr(n, "precision"))
        return false;
    q->scale = omma_load_f32(s->data, 0);
    q->zero = 0;
    if (!(q->scale > 1e-30f) || !(q->scale < 1e30f)) return false;
    if (!z) return omma_is(n, "QuantizeLinear"); /* what is read may be of other bits */
    if (!z->data || omma_value_count(z) != 1) return false;
    if (z->dtype == OMMA_U8) q->zero = *(const uint8_t *)z->data;
    else if (z->dtype == OMMA_I8) q->zero = *(const int8_t *)z->data + 128;
    else return false;
    return true;
}

static bool same(const omma_q8 *a, const omma_q8 *b) {
    return a->scale == b->scale && a->zero == b->zero;
}

/* The 8-bit value a float value stands for, one that a Quantize writes. */
static omma_value *source_of(const omma_value *v, omma_q8 *q) {
    const omma_node *dq = v->producer;
    omma_q8 made;
    if (!omma_is(dq, "DequantizeLinear") || !omma_q8_read(dq, q)) return NULL;
    const omma_node *from = dq->in[0] ? dq->in[0]->producer : NULL;
    if (!omma_is(from, "QuantizeLinear") || !omma_q8_read(from, &made) || !same(q, &made))
        return NULL;
    const omma_value *a = omma_in(dq, 2), *b = omma_in(from, 2);
    return a && b && a->dtype == b->dtype ? dq->in[0] : NULL;
}

/* --- weights ----------------------------------------------------------------------- */

static bool all_zero(const omma_value *z) {
    const char *p = z->data;
    for (int64_t i = 0; p && i < omma_value_count(z); i++)
        if (p[i]) return false;
    return p != NULL;
}

/* Constant s8 weights with one scale, or one for each place along axis. */
static bool read_weights(const omma_value *v, int axis, int rank, omma_q8_match *m) {
    const omma_node *dq = v ? v->producer : NULL;
    if (!omma_is(dq, "DequantizeLinear") || omma_node_int(dq, "block_size", 0)) return false;
    omma_value *w = dq->in[0], *s = omma_in(dq, 1), *z = omma_in(dq, 2);
    if (!w || !w->data || w->dtype != OMMA_I8 || w->rank != rank ||
        omma_node_attr(dq, "output_dtype"))
        return false;
    if (!s || !s->data || s->dtype != OMMA_F32 || (z && !all_zero(z))) return false;
    const int64_t n = omma_value_count(s), at = omma_node_int(dq, "axis", 1);
    if (n != 1 && (n != w->dims[axis] || s->rank != 1 || (at != axis && at != axis - rank)))
        return false;
    m->w = w, m->w_scale = s;
    return omma_value_count(w) / (w->dims[axis] ? w->dims[axis] : 1) <= OMMA_INT8_MOST;
}

/* float32 by channel, constant or about to be. */
static bool is_bias(const omma_value *v, int64_t channels) {
    if (v->data) return v->rank == 1 && omma_const_f32(v, channels);
    const omma_node *dq = v->producer;
    const omma_value *q = omma_is(dq, "DequantizeLinear") ? dq->in[0] : NULL,
                     *s = q ? omma_in(dq, 1) : NULL, *z = q ? omma_in(dq, 2) : NULL;
    return q && q->data && q->dtype == OMMA_I32 && q->rank == 1 && q->dims[0] == channels && s &&
           s->data && s->dtype == OMMA_F32 && (!z || z->data) &&
           !omma_node_attr(dq, "output_dtype");
}

/* --- the product ------------------------------------------------------------------- */

static bool plain_gemm(const omma_node *n) {
    return !omma_node_int(n, "transA", 0) && omma_node_float(n, "alpha", 1) == 1 &&
           omma_node_float(n, "beta", 1) == 1;
}

static bool read_product(const omma_node *n, omma_q8_match *m) {
    const bool gemm = omma_is(n, "Gemm");
    m->conv = omma_is(n, "Conv");
    if ((!m->conv && !gemm && !omma_is(n, "MatMul")) || n->n_in < 2 || !n->in[0] || !n->out[0])
        return false;
    if (gemm && !plain_gemm(n)) return false;
    if (m->conv && omma_node_int(n, "group", 1) != 1) return false;
    m->transposed = gemm && omma_node_int(n, "transB", 0);
    const int axis = m->conv || m->transposed ? 0 : 1;
    if (!read_weights(n->in[1], axis, m->conv ? 4 : 2, m)) return false;
    m->bias = omma_in(n, 2);
    if (m->bias && !is_bias(m->bias, m->w->dims[axis])) return false;
    m->x = source_of(n->in[0], &m->x_q);
    m->product = m->last = n;
    return m->x != NULL;
}

/* --- what follows ------------------------------------------------------------------ */

typedef struct walk {
    const omma_graph *g;
    const int *uses;
    bool *claimed;
    omma_q8_match *m;
    const omma_value *at; /* the value so far */
    bool acted;
} walk;

static void step(walk *w, const omma_node *n) {
    w->claimed[n->index] = true;
    w->m->last = n;
    w->at = n->out[0];
}

/* Is v a map of rank 4 for certain? Shapes are not known yet. */
static bool is_map(const omma_value *v, int depth) {
    static const char *const keep[] = {
        "Relu",      "Clip",        "QuantizeLinear",     "DequantizeLinear",
        "MaxPool",   "AveragePool", "GlobalAveragePool",  "Sigmoid",
        "HardSwish", "HardSigmoid", "BatchNormalization", "Resize"};
    const omma_node *n = v->producer;
    if (v->rank >= 0) return v->rank == 4;
    if (!n || !depth || !n->in[0]) return false;
    if (omma_is(n, "Conv")) {
        const omma_value *w = n->in[1], *from = w && w->producer ? w->producer->in[0] : w;
        return from && from->data && from->rank == 4;
    }
    if (omma_is(n, "Add") || omma_is(n, "Mul"))
        return is_map(n->in[0], depth - 1) || (n->in[1] && is_map(n->in[1], depth - 1));
    for (size_t i = 0; i < sizeof keep / sizeof *keep; i++)
        if (omma_is(n, keep[i])) return is_map(n->in[0], depth - 1);
    return false;
}

static bool step_bias(walk *w, const omma_node *n) {
    omma_value *c = omma_other(n, w->at);
    if (w->m->conv || w->m->bias || w->acted || w->m->post || !c) return false;
    if (!c->data || !is_bias(c, w->m->w->dims[!w->m->transposed])) return false;
    w->m->bias = c;
    return true;
}

static bool step_residual(walk *w, const omma_node *n) {
    omma_q8_match *m = w->m;
    omma_value *c = omma_other(n, w->at);
    if (!m->conv || m->add || w->acted || m->post || !c || c->data || !is_map(c, 12)) return false;
    omma_value *source = source_of(c, &m->add_q);
    m->add_8bit = source != NULL;
    m->add = source ? source : c;
    return true;
}

/* Times a number, or plus one, of all numbers. */
static bool step_number(walk *w, const omma_node *n) {
    omma_q8_match *m = w->m;
    const omma_value *c = omma_other(n, w->at);
    const bool times = omma_is(n, "Mul");
    if (!c || !omma_const_f32(c, 1) || c->rank > 1 || (times && m->post)) return false;
    const float v = omma_load_f32(c->data, 0);
    if (times) m->post_scale = v;
    else m->post_shift += v;
    m->post = true;
    return true;
}

static bool step_act(walk *w, const omma_node *n) {
    omma_q8_match *m = w->m;
    if (w->acted || m->post) return false;
    if (omma_is(n, "Relu")) m->act = OMMA_ACT_RELU;
    else if (omma_is(n, "HardSwish")) m->act = OMMA_ACT_HSWISH;
    else if (omma_is(n, "Gelu") && !strcmp(omma_node_string(n, "approximate", "none"), "none"))
        m->act = OMMA_ACT_GELU;
    else if (omma_is(n, "Clip") && omma_clip_bounds(n, &m->lo, &m->hi)) m->act = OMMA_ACT_CLIP;
    else return false;
    return w->acted = true;
}

/* x * Sigmoid(x): read twice. */
static bool step_silu(walk *w) {
    const omma_node *sigmoid = NULL, *mul = NULL;
    if (w->acted || w->m->post || w->uses[w->at->index] != 2 || w->at->is_output) return false;
    for (int i = 0; i < w->g->n_nodes; i++) {
        const omma_node *n = w->g->nodes[i];
        if (omma_is(n, "Sigmoid") && n->in[0] == w->at && n->out[0]) sigmoid = n;
    }
    mul = sigmoid ? omma_q8_reader(w->g, w->uses, sigmoid->out[0]) : NULL;
    if (!omma_is(mul, "Mul") || omma_other(mul, w->at) != sigmoid->out[0]) return false;
    w->claimed[sigmoid->index] = true;
    w->m->act = OMMA_ACT_SILU;
    w->acted = true;
    step(w, mul);
    return true;
}

static bool step_on(walk *w) {
    const omma_node *n = omma_q8_reader(w->g, w->uses, w->at);
    if (!n) return step_silu(w);
    if (w->claimed[n->index] || n->n_out != 1) return false;
    bool fits = step_act(w, n);
    if (omma_is(n, "Add")) fits = step_bias(w, n) || step_residual(w, n) || step_number(w, n);
    if (omma_is(n, "Mul")) fits = step_number(w, n);
    if (omma_is(n, "QuantizeLinear")) fits = w->m->to_u8 = omma_q8_read(n, &w->m->y_q);
    if (fits) step(w, n);
    return fits && !w->m->to_u8;
}

bool omma_q8_find(const omma_graph *g, const int *uses, const omma_node *n, bool *claimed,
                  omma_q8_match *m) {
    *m = (omma_q8_match){.post_scale = 1};
    if (!read_product(n, m)) return false;
    walk w = {g, uses, claimed, m, n->out[0], false};
    step(&w, n);
    while (step_on(&w)) {
    }
    return true;
}

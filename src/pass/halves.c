/* halves.c - a plan in bfloat16. Big products read bfloat16 and weigh it with bfloat16 weights,
 * summed in float32; what lies between them stays bfloat16 in memory, half the bytes. The pass
 * walks a specialised graph once, in order, and writes its nodes anew, as layout.c does: a value
 * may have a twin of bfloat16, and is itself the twin made float32 for whoever still asks for it:
 *
 *   x --Conv--> y --Relu--> z --Softmax--> s
 *
 *   x --Cast--> x' --Conv--> y' --Relu--> z' --Cast--> z --Softmax--> s        Cast     y
 *                             |                                                (nobody: swept)
 *
 *   product   always reads twins; its result is one if all who read it do so as such, else float32:
 *             coordinates and scores, which are answers too, are not rounded on their way
 *   through   what only moves numbers or does little to them: on twins, between products
 *   float     all others, and the nodes that shall be; products that no product comes before: of
 *             all they suffer most from rounding, since what they tell apart are differences of
 *             pixels; and products too small to gain anything, like those that detectors compute
 *             coordinates by
 *
 * Inputs and outputs keep their types; a watched value is the float32 one. Nodes that are there for
 * watched values alone have no say in which form the others take. */
#include <string.h>

#include "op/half_ops.h"
#include "op/last_ops.h"
#include "pass/layout.h"

typedef struct halves halves;

/* Which inputs of a node on twins are twins. */
typedef enum kind { FLOAT, PRODUCT, ALL, FIRST } kind;

/* Small is a product with less of the graph's arithmetic than this share, less of it at all [FLOP]
 * and fewer weights. */
#define SMALL_SHARE 3e-3
#define SMALL_FLOPS 16e6
enum { SMALL_WEIGHTS = (64 << 10) + 1, FEW_CHANNELS = 64 };

struct halves {
    omma_relayout l;
    double flops; /* of all products */
    const omma_bf16_how *how;
    bool *half;      /* by node: on twins, if its inputs are */
    bool *behind;    /* by value: a product comes before it */
    bool *wanted[2]; /* by value: read by such a node; [1]: by those for watched values alone */
    bool *wide;      /* by value: read by another node, which is not for watched values alone */
};

/* --- what nodes are ------------------------------------------------------------------------- */

static const char *const moves[] = {"Transpose", "Reshape", "Slice",  "Squeeze",      "Unsqueeze",
                                    "Flatten",   "Split",   "Expand", "DepthToSpace", "Gather"};
static const char *const numbers[] = {"Add",       "Sub",       "Mul",  "Max",     "Min",
                                      "Relu",      "LeakyRelu", "Gelu", "Sigmoid", "HardSigmoid",
                                      "HardSwish", "Tanh",      "Clip", "Concat",  "Pad"};

static bool listed(const char *name, const char *const *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!strcmp(name, list[i])) return true;
    return false;
}

/* Is the node named in the text of those that stay? */
static bool kept(const char *text, const char *name) {
    const size_t n = strlen(name);
    for (const char *at = text; at && *at; at += strcspn(at, "\n"), at += *at != 0) {
        const size_t line = strcspn(at, "\r\n");
        if (line == n && !memcmp(at, name, n)) return true;
    }
    return false;
}

static bool is_weights(const omma_value *w, int rank) {
    return w->data && w->dtype == OMMA_F32 && w->rank == rank && omma_value_count(w);
}

static bool is_depthwise(const omma_node *n) {
    return n->op == &omma_op_ConvLast && is_weights(n->in[1], 4) && n->in[1]->dims[1] == 1 &&
           n->in[1]->dims[0] == omma_node_int(n, "group", 1);
}

/* With the mean or the deviation asked for, or a row too long, it would go number by number. */
static bool is_row_norm(const omma_node *n) {
    return !strcmp(n->op->name, "LayerNormalization") && n->n_out == 1 &&
           n->in[1]->dtype == OMMA_F32 && omma_value_count(n->in[1]) <= 4096;
}

static bool is_nearest(const omma_node *n) {
    return !strcmp(n->op->name, "Resize") && n->in[0]->rank == 4 && n->in[0]->dims[3] % 2 == 0 &&
           !strcmp(omma_node_string(n, "mode", "nearest"), "nearest");
}

static bool is_conv(const omma_node *n) {
    return !is_depthwise(n) && n->op == &omma_op_ConvLast && is_weights(n->in[1], 4) &&
           (omma_node_int(n, "group", 1) == 1 || n->in[1]->dims[1] % 2 == 0);
}

static bool is_matmul(const omma_node *n) {
    const bool named = n->op == &omma_op_Linear || !strcmp(n->op->name, "MatMul");
    return named && is_weights(n->in[1], 2) && n->in[0]->rank > 1 && n->in[1]->dims[0] % 2 == 0;
}

static bool is_gemm(const omma_node *n) {
    const bool named = n->op == &omma_op_GemmAdd || !strcmp(n->op->name, "Gemm");
    if (!named || !is_weights(n->in[1], 2)) return false;
    const omma_value *c = omma_in(n, 2);
    const bool trans_b = omma_node_int(n, "transB", 0) != 0;
    const float alpha = omma_node_float(n, "alpha", 1), beta = omma_node_float(n, "beta", 1);
    return !omma_node_int(n, "transA", 0) && alpha == 1 && (!c || beta == 1) &&
           (!c || omma_value_count(c) == n->in[1]->dims[!trans_b]) &&
           (!c || c->rank == 1 || c->dims[0] == 1) && n->in[1]->dims[trans_b] % 2 == 0;
}

static bool all_f32(const omma_node *n) {
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] && n->out[i]->dtype != OMMA_F32) return false;
    return n->n_out && n->out[0] && n->n_in && n->in[0] && n->in[0]->dtype == OMMA_F32;
}

static bool is_product(const omma_node *n) { return is_conv(n) || is_matmul(n) || is_gemm(n); }

/* Are all constants among the numbers a node reads such that bfloat16 holds them? A scale that is
 * rounded is wrong for every pixel in the same way, which costs more than rounding the pixels. */
static bool exact_constants(const omma_node *n) {
    for (int i = 0; i < n->n_in; i++) {
        const omma_value *v = n->in[i];
        if (!v || !v->data || v->dtype != OMMA_F32) continue;
        if (v->scaled) return false;
        for (int64_t k = 0; k < omma_value_count(v); k++) {
            uint32_t bits;
            memcpy(&bits, (const char *)v->data + k * 4, 4);
            if (bits & 0xffff) return false;
        }
    }
    return true;
}

static double flops_of(const omma_node *n) { return n->op->flops ? n->op->flops(n) : 0; }

/* A narrow convolution is near the pixels: it suffers like the first and has little to gain. */
static bool is_small(const halves *h, const omma_node *n) {
    if (n->op == &omma_op_ConvLast && n->in[0]->dims[3] < FEW_CHANNELS) return true;
    const double flops = flops_of(n);
    return flops < SMALL_SHARE * h->flops && flops < SMALL_FLOPS &&
           omma_value_count(n->in[1]) < SMALL_WEIGHTS;
}

static kind kind_of(const halves *h, const omma_node *n) {
    if (!all_f32(n) || kept(h->how->keep, n->name)) return FLOAT;
    if (omma_node_int(n, OMMA_CONV_PLANES, 0)) return FLOAT; /* they are float32's */
    if (is_product(n))
        return h->how->all || (h->behind[n->in[0]->index] && !is_small(h, n)) ? PRODUCT : FLOAT;
    if (listed(n->op->name, moves, sizeof moves / sizeof *moves) || is_depthwise(n) ||
        is_row_norm(n) || is_nearest(n))
        return FIRST;
    return listed(n->op->name, numbers, sizeof numbers / sizeof *numbers) && exact_constants(n)
               ? ALL
               : FLOAT;
}

static bool needed(const halves *h, const omma_node *n) {
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k] && h->l.uses[n->out[k]->index]) return true;
    return false;
}

/* Is output v of a node read, and by nodes on twins alone? */
static bool wants_half(const halves *h, const omma_value *v, bool watched) {
    return !h->wide[v->index] && !v->is_output &&
           (h->wanted[0][v->index] || (watched && h->wanted[1][v->index]));
}

/* From the first node to the last. */
static void find_behind(halves *h, omma_node **nodes, int count) {
    for (int i = 0; i < count; i++) {
        const omma_node *n = nodes[i];
        bool any = all_f32(n) && is_product(n);
        if (any) h->flops += flops_of(n);
        for (int j = 0; j < n->n_in; j++) any |= n->in[j] && h->behind[n->in[j]->index];
        for (int j = 0; j < n->n_out; j++)
            if (n->out[j]) h->behind[n->out[j]->index] = any;
    }
}

/* From the last node to the first: which of them are on twins. */
static void find_halves(halves *h, omma_node **nodes, int count) {
    for (int i = count - 1; i >= 0; i--) {
        const omma_node *n = nodes[i];
        const bool watched = !needed(h, n);
        const kind k = kind_of(h, n);
        h->half[i] = k > PRODUCT;
        for (int j = 0; j < n->n_out && k > PRODUCT; j++)
            if (n->out[j] && !wants_half(h, n->out[j], watched)) h->half[i] = false;
        if (k == PRODUCT) h->half[i] = true;
        for (int j = 0; j < n->n_in && h->half[i]; j++)
            if (n->in[j] && (k == ALL || !j || (k == PRODUCT && j == 3)))
                h->wanted[watched][n->in[j]->index] = true;
        for (int j = 0; j < n->n_in && !h->half[i] && !watched; j++)
            if (n->in[j]) h->wide[n->in[j]->index] = true;
    }
}

/* --- twins ------------------------------------------------------------------------------------ */

/* A node of one input, at the end of the graph. */
static omma_status put_cast(omma_relayout *l, const omma_op *op, const char *attr, int64_t value,
                            const char *name, omma_value *from, omma_value *to) {
    omma_node *n = omma_graph_node(l->g, op, name, 1, 1);
    if (!n || !omma_layout_attr(l, n, attr, &value, -1))
        return omma_fail(l->b->err, OMMA_E_NOMEM, "no memory for a graph in bfloat16");
    n->opset = 13;
    n->offset = -1;
    n->in[0] = from;
    omma_node_set_output(n, 0, to);
    return op->infer(l->b, n);
}

static omma_value *half_constant(omma_relayout *l, const omma_value *v) {
    const int64_t count = omma_value_count(v);
    uint16_t *data = omma_arena_array(l->b->arena, (size_t)count, sizeof *data);
    const char *name = omma_arena_printf(l->b->arena, "%s:%d", l->of, l->made++);
    if (!data || !name) return NULL;
    for (int64_t i = 0; i < count; i++) {
        float f;
        memcpy(&f, (const char *)v->data + (size_t)i * sizeof f, sizeof f);
        data[i] = omma_bf16_round(f);
    }
    return omma_graph_constant(l->g, name, OMMA_BF16, v->rank, v->dims, data);
}

/* v's twin, made if there is none; channels: of v's last dim, with zeros beyond v's. NULL when out
 * of memory. */
static omma_value *need_half(omma_relayout *l, omma_value *v, int64_t channels) {
    const bool padded = v->rank && channels != v->dims[v->rank - 1];
    omma_value *t = padded ? NULL : omma_twin(l, v);
    if (t) return t;
    if (v->data && !padded) t = half_constant(l, v);
    else {
        t = omma_layout_value(l);
        if (!t || put_cast(l, &omma_op_Narrow, "channels", channels, v->name, v, t)) return NULL;
    }
    return t && (padded || omma_set_twin(l, v, t)) ? t : NULL;
}

static omma_value *twin_of(omma_relayout *l, omma_value *v) {
    return need_half(l, v, v->rank ? v->dims[v->rank - 1] : 1);
}

/* Put fresh, whose outputs are twins of n's, which are made of them. */
static omma_status give(omma_relayout *l, const omma_node *n, omma_node *fresh) {
    OMMA_TRY(omma_layout_put(l, fresh));
    for (int i = 0; i < n->n_out; i++) {
        if (!n->out[i]) continue;
        if (!omma_set_twin(l, n->out[i], fresh->out[i])) return omma_nomem(l->b, n);
        OMMA_TRY(
            put_cast(l, omma_op_find("Cast"), "to", OMMA_F32, n->name, fresh->out[i], n->out[i]));
    }
    return OMMA_OK;
}

/* --- nodes ------------------------------------------------------------------------------------ */

static omma_status put_product(halves *h, const omma_node *n) {
    omma_relayout *l = &h->l;
    const bool conv = n->op == &omma_op_ConvLast, wide = !wants_half(h, n->out[0], l->watched);
    omma_value *x = n->in[0], *add = omma_in(n, 3);
    omma_node *fresh = omma_layout_node(l, n, conv ? n->op : &omma_op_HalfLinear, 4);
    const int64_t f32 = OMMA_F32, last = x->dims[x->rank - 1];
    if (!fresh) return omma_nomem(l->b, n);
    fresh->in[0] = need_half(l, x, last + (conv && !is_depthwise(n) && last % 2));
    fresh->in[1] = n->in[1], fresh->in[2] = omma_in(n, 2);
    fresh->in[3] = add && omma_twin(l, add) ? omma_twin(l, add) : add;
    if (!fresh->in[0] || (wide && !omma_layout_attr(l, fresh, OMMA_HALF_OUT, &f32, -1)))
        return omma_nomem(l->b, n);
    return wide ? omma_take_over(l, n, fresh) : give(l, n, fresh);
}

static omma_status put_through(halves *h, const omma_node *n, bool all) {
    omma_relayout *l = &h->l;
    omma_node *fresh = omma_layout_node(l, n, n->op, n->n_in);
    if (!fresh) return omma_nomem(l->b, n);
    for (int i = 0; i < n->n_in; i++) {
        omma_value *v = fresh->in[i] = n->in[i];
        if (!v || v->dtype != OMMA_F32 || (i && !all)) continue;
        if (!(fresh->in[i] = twin_of(l, v))) return omma_nomem(l->b, n);
    }
    return give(l, n, fresh);
}

static omma_status walk(halves *h, omma_node **old, int count) {
    omma_relayout *l = &h->l;
    for (int i = 0; i < count; i++) {
        const kind k = kind_of(h, old[i]);
        l->watched = !needed(h, old[i]);
        const bool twins = h->half[i] && (k == PRODUCT || omma_any_twin(l, old[i]));
        if (twins && (k == PRODUCT || is_depthwise(old[i]))) OMMA_TRY(put_product(h, old[i]));
        else if (twins) OMMA_TRY(put_through(h, old[i], k == ALL));
        else if (!omma_graph_append(l->g, old[i])) return omma_nomem(l->b, old[i]);
    }
    return OMMA_OK;
}

omma_status omma_pass_bf16(omma_build *b, omma_graph *g, const omma_bf16_how *how) {
    const int count = g->n_nodes;
    omma_arena *a = b->arena;
    halves h = {.l = {.b = b, .g = g, .uses = omma_graph_uses(g, a), .of = "omma:bf16"},
                .how = how};
    omma_node **old = omma_arena_array(a, (size_t)count, sizeof *old);
    h.half = omma_arena_array(a, (size_t)count, sizeof *h.half);
    h.behind = omma_arena_array(a, (size_t)g->n_values, sizeof *h.behind);
    for (int i = 0; i < 2; i++)
        h.wanted[i] = omma_arena_array(a, (size_t)g->n_values, sizeof *h.wanted[i]);
    h.wide = omma_arena_array(a, (size_t)g->n_values, sizeof *h.wide);
    if (!old || !h.l.uses || !h.wide || !h.half || !h.behind || !h.wanted[0] || !h.wanted[1])
        return omma_fail(b->err, OMMA_E_NOMEM, "no memory for a graph in bfloat16");
    if (count) memcpy(old, g->nodes, (size_t)count * sizeof *old);
    find_behind(&h, old, count);
    find_halves(&h, old, count);
    g->n_nodes = 0;
    OMMA_TRY(walk(&h, old, count));
    omma_graph_sweep(g);
    return OMMA_OK;
}

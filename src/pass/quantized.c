/* quantized.c - graphs with QuantizeLinear and DequantizeLinear (QDQ) compute in integers.
 *
 * Every product that quantized_match.c finds is done by one ConvInt8 or LinearInt8. Between them
 * maps are u8, channels last: beside each Quantize whose value a convolution reads there is one of
 * the turned map, and where a convolution's own result is quantised it writes that map at once.
 * What else reads a quantised or float value gets it turned back, so nothing outside notices but by
 * the last bits; the sweep removes what nobody needed. It runs before constants are folded, since
 * that would make float weights of the int8 ones. */
#include "pass/quantized.h"

typedef struct rewrite {
    omma_build *b;
    omma_graph *g;
    omma_q8_match *match; /* by node index of their last node; product NULL: none */
    omma_value **last;    /* by value: the same map u8, channels last (or as it is for products) */
    omma_value **turned;  /* by value: the same float map, channels last */
    bool *wants_map, *wants_rows; /* by value of 8 bits: a Conv, a product reads it */
    omma_node **order;
    int n_order, cap, made, n_old;
    bool failed;
} rewrite;

/* --- small parts ------------------------------------------------------------------- */

static omma_value *new_value(rewrite *r, const char *what) {
    const char *name = omma_arena_printf(r->b->arena, "omma:int8:%d:%s", r->made++, what);
    omma_value *v = name ? omma_graph_value(r->g, name) : NULL;
    if (!v) r->failed = true;
    return v;
}

static void put(rewrite *r, omma_node *n) {
    if (!n || r->n_order == r->cap) r->failed = true;
    else r->order[r->n_order++] = n;
}

static omma_node *new_node(rewrite *r, const omma_op *op, const omma_node *like, int n_in,
                           omma_value *y) {
    omma_node *n = y && op ? omma_graph_node(r->g, op, like->name, n_in, 1) : NULL;
    if (!n) {
        r->failed = true;
        return NULL;
    }
    n->opset = like->opset;
    n->offset = like->offset;
    omma_node_set_output(n, 0, y);
    put(r, n);
    return n;
}

/* y = x with its axes in another order. */
static void transpose(rewrite *r, const omma_node *like, omma_value *x, omma_value *y, bool back) {
    static const int64_t to[] = {0, 2, 3, 1}, from[] = {0, 3, 1, 2};
    omma_attr *a = omma_arena_alloc(r->b->arena, sizeof *a);
    omma_node *n = a ? new_node(r, omma_op_find("Transpose"), like, 1, y) : NULL;
    if (!n) {
        r->failed = true;
        return;
    }
    *a = (omma_attr){
        .name = "perm", .kind = OMMA_ATTR_INTS, .count = 4, .ints = back ? from : to, .s = ""};
    n->attrs = a, n->n_attrs = 1;
    n->in[0] = x;
}

static omma_value *constant(rewrite *r, omma_dtype t, const void *number, size_t size) {
    const char *name = omma_arena_printf(r->b->arena, "omma:int8:%d:number", r->made++);
    void *data = omma_arena_alloc(r->b->arena, size);
    if (!name || !data) {
        r->failed = true;
        return NULL;
    }
    memcpy(data, number, size);
    return omma_graph_constant(r->g, name, t, 0, NULL, data);
}

/* y = x to or from u8. */
static void linear(rewrite *r, const char *op, const omma_node *like, omma_value *x, omma_q8 q,
                   omma_value *y) {
    const uint8_t zero = (uint8_t)q.zero;
    omma_value *s = constant(r, OMMA_F32, &q.scale, sizeof q.scale),
               *z = constant(r, OMMA_U8, &zero, 1);
    omma_node *n = s && z ? new_node(r, omma_op_find(op), like, 3, y) : NULL;
    if (n) n->in[0] = x, n->in[1] = s, n->in[2] = z;
}

/* The float map v, channels last. */
static omma_value *turn(rewrite *r, const omma_node *like, omma_value *v) {
    if (r->turned[v->index]) return r->turned[v->index];
    omma_value *y = new_value(r, "map");
    if (y) transpose(r, like, v, y, false);
    return y;
}

/* --- the integer product ----------------------------------------------------------- */

static void add_attr(omma_attr *list, int *n, const char *name, omma_attr_kind kind, double v) {
    list[(*n)++] = (omma_attr){.name = name,
                               .kind = kind,
                               .f = (float)v,
                               .i = kind == OMMA_ATTR_INT ? (int64_t)v : 0,
                               .s = ""};
}

static bool set_attrs(rewrite *r, const omma_q8_match *m, omma_node *n) {
    const omma_node *p = m->product;
    omma_attr *a = omma_arena_array(r->b->arena, (size_t)p->n_attrs + 16, sizeof *a);
    int k = m->conv ? p->n_attrs : 0;
    if (!a) return false;
    if (k) memcpy(a, p->attrs, (size_t)k * sizeof *a);
    add_attr(a, &k, OMMA_INT8_X_SCALE, OMMA_ATTR_FLOAT, (double)m->x_q.scale);
    add_attr(a, &k, OMMA_INT8_X_ZERO, OMMA_ATTR_INT, m->x_q.zero);
    add_attr(a, &k, OMMA_FUSED_ACT, OMMA_ATTR_INT, m->act);
    add_attr(a, &k, OMMA_FUSED_LO, OMMA_ATTR_FLOAT, (double)m->lo);
    add_attr(a, &k, OMMA_FUSED_HI, OMMA_ATTR_FLOAT, (double)m->hi);
    if (m->transposed) add_attr(a, &k, OMMA_INT8_TRANSPOSED, OMMA_ATTR_INT, 1);
    if (m->add_8bit) {
        add_attr(a, &k, OMMA_INT8_ADD_SCALE, OMMA_ATTR_FLOAT, (double)m->add_q.scale);
        add_attr(a, &k, OMMA_INT8_ADD_ZERO, OMMA_ATTR_INT, m->add_q.zero);
    }
    if (m->post) {
        add_attr(a, &k, OMMA_INT8_POST_SCALE, OMMA_ATTR_FLOAT, (double)m->post_scale);
        add_attr(a, &k, OMMA_INT8_POST_SHIFT, OMMA_ATTR_FLOAT, (double)m->post_shift);
    }
    if (m->to_u8) {
        add_attr(a, &k, OMMA_INT8_Y_SCALE, OMMA_ATTR_FLOAT, (double)m->y_q.scale);
        add_attr(a, &k, OMMA_INT8_Y_ZERO, OMMA_ATTR_INT, m->y_q.zero);
    }
    n->attrs = a, n->n_attrs = k;
    return true;
}

/* The product at the place of its last node, writing y. */
static void product(rewrite *r, const omma_q8_match *m, omma_value *y) {
    omma_value *add = NULL;
    if (m->add) add = m->add_8bit ? r->last[m->add->index] : turn(r, m->last, m->add);
    if (!r->last[m->x->index] || (m->add && !add)) r->failed = true;
    omma_node *n = new_node(r, m->conv ? &omma_op_ConvInt8 : &omma_op_LinearInt8, m->last,
                            OMMA_INT8_INPUTS, y);
    if (!n || !set_attrs(r, m, n)) {
        r->failed = true;
        return;
    }
    n->in[OMMA_INT8_X] = r->last[m->x->index];
    n->in[OMMA_INT8_W] = m->w, n->in[OMMA_INT8_W_SCALE] = m->w_scale;
    n->in[OMMA_INT8_BIAS] = m->bias, n->in[OMMA_INT8_ADD] = add;
    n->n_in = add ? OMMA_INT8_INPUTS : m->bias ? OMMA_INT8_ADD : OMMA_INT8_BIAS;
    if (m->conv) n->opset = m->product->opset;
}

/* Old values keep their place: the integer ones are written beside them. */
static void replace(rewrite *r, const omma_q8_match *m, omma_node *last) {
    omma_value *out = last->out[0];
    if (!m->conv && !m->to_u8) {
        product(r, m, out);
        return;
    }
    omma_value *y = new_value(r, m->to_u8 ? "u8" : "map");
    if (!y) return;
    product(r, m, y);
    if (m->to_u8) {
        r->last[out->index] = y;
        put(r, last); /* for whoever watches its value */
    } else {
        r->turned[out->index] = y;
        transpose(r, last, y, out, true);
    }
}

/* --- the nodes around -------------------------------------------------------------- */

/* A Quantize that no product takes in: beside it the map that products read. */
static void beside_quantize(rewrite *r, omma_node *n) {
    omma_value *q = n->out[0], *from = n->in[0];
    omma_q8 how;
    put(r, n);
    if (!q || !from || !omma_q8_read(n, &how) ||
        (!r->wants_map[q->index] && !r->wants_rows[q->index]))
        return;
    omma_value *y = new_value(r, "u8");
    if (!y) return;
    if (r->wants_map[q->index]) from = turn(r, n, from);
    if (from) linear(r, "QuantizeLinear", n, from, how, y);
    r->last[q->index] = y;
}

/* A Dequantize of what only exists channels last, or as u8. */
static void from_last(rewrite *r, omma_node *n) {
    omma_value *last = n->in[0] ? r->last[n->in[0]->index] : NULL;
    omma_q8 how;
    if (!last || !n->out[0] || !omma_q8_read(n, &how)) {
        put(r, n);
        return;
    }
    if (!r->wants_map[n->in[0]->index]) {
        linear(r, "DequantizeLinear", n, last, how, n->out[0]);
        return;
    }
    omma_value *map = new_value(r, "map");
    if (!map) return;
    linear(r, "DequantizeLinear", n, last, how, map);
    r->turned[n->out[0]->index] = map;
    transpose(r, n, map, n->out[0], true);
}

static void rewrite_node(rewrite *r, omma_node *n) {
    const omma_q8_match *m = &r->match[n->index];
    if (m->product) replace(r, m, n);
    else if (omma_is(n, "QuantizeLinear")) beside_quantize(r, n);
    else if (omma_is(n, "DequantizeLinear")) from_last(r, n);
    else put(r, n);
}

/* --- the whole --------------------------------------------------------------------- */

/* Is all that reads this value Dequantize nodes of its own scale? Then it need not exist as it is.
 */
static bool only_dequantized(const omma_graph *g, const omma_value *v, const omma_q8 *q) {
    omma_q8 other;
    if (v->is_output) return false;
    for (int i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i]->n_in; k++) {
            if (g->nodes[i]->in[k] != v) continue;
            if (k || !omma_is(g->nodes[i], "DequantizeLinear") ||
                !omma_q8_read(g->nodes[i], &other) || other.scale != q->scale ||
                other.zero != q->zero)
                return false;
        }
    return true;
}

/* Find all matches; their number. A result that is read as 8 bits by others too stays float. */
static int find_all(rewrite *r, const int *uses, bool *claimed) {
    int found = 0;
    for (int i = 0; i < r->n_old; i++) {
        const omma_node *n = r->g->nodes[i];
        omma_q8_match m;
        if (claimed[i] || !n->n_out || !n->out[0] || !uses[n->out[0]->index]) continue;
        if (!omma_q8_find(r->g, uses, n, claimed, &m)) continue;
        if (m.to_u8 && !only_dequantized(r->g, m.last->out[0], &m.y_q)) {
            m.last = m.last->in[0]->producer;
            m.to_u8 = false;
        }
        r->match[m.last->index] = m;
        (m.conv ? r->wants_map : r->wants_rows)[m.x->index] = true;
        if (m.add_8bit) r->wants_map[m.add->index] = true;
        if (m.to_u8) (m.conv ? r->wants_map : r->wants_rows)[m.last->out[0]->index] = true;
        found++;
    }
    return found;
}

/* A value that is read both as a map and as rows has one form only: no product reads the other. */
static bool clashes(const rewrite *r, const omma_q8_match *m) {
    const int x = m->x->index;
    if (r->wants_map[x] && r->wants_rows[x]) return true;
    if (m->add_8bit && r->wants_rows[m->add->index]) return true;
    return m->to_u8 && r->wants_map[m->last->out[0]->index] &&
           r->wants_rows[m->last->out[0]->index];
}

static omma_status apply(rewrite *r, omma_arena *tmp) {
    omma_graph *g = r->g;
    const size_t values = (size_t)g->n_values, nodes = (size_t)g->n_nodes;
    r->n_old = g->n_nodes;
    r->cap = r->n_old * 6 + 8;
    /* at most four values for a node join those there are */
    const size_t room = values + nodes * 8 + 8;
    int *uses = omma_graph_uses(g, tmp);
    bool *claimed = omma_arena_array(tmp, nodes, sizeof *claimed);
    r->match = omma_arena_array(tmp, nodes, sizeof *r->match);
    r->last = omma_arena_array(tmp, room, sizeof *r->last);
    r->turned = omma_arena_array(tmp, room, sizeof *r->turned);
    r->wants_map = omma_arena_array(tmp, room, sizeof *r->wants_map);
    r->wants_rows = omma_arena_array(tmp, room, sizeof *r->wants_rows);
    r->order = omma_arena_array(g->arena, (size_t)r->cap, sizeof *r->order);
    if (!uses || !claimed || !r->match || !r->last || !r->turned || !r->wants_map ||
        !r->wants_rows || !r->order)
        return omma_fail(r->b->err, OMMA_E_NOMEM, "no memory to rewrite a quantised graph");
    if (!find_all(r, uses, claimed)) return OMMA_OK;
    for (int i = 0; i < r->n_old; i++)
        if (r->match[i].product && clashes(r, &r->match[i])) return OMMA_OK;
    for (int i = 0; i < r->n_old && !r->failed; i++) rewrite_node(r, g->nodes[i]);
    if (r->failed)
        return omma_fail(r->b->err, OMMA_E_NOMEM, "no memory to rewrite a quantised graph");
    g->nodes = r->order;
    g->n_nodes = r->n_order;
    g->cap_nodes = r->cap;
    for (int i = 0; i < g->n_nodes; i++) g->nodes[i]->index = i;
    omma_graph_sweep(g);
    return OMMA_OK;
}

omma_status omma_pass_quantized(omma_build *b, omma_graph *g) {
    bool any = false;
    for (int i = 0; i < g->n_nodes && !any; i++) any = omma_is(g->nodes[i], "DequantizeLinear");
    if (!any) return OMMA_OK;
    omma_arena tmp;
    omma_arena_init(&tmp, b->arena->budget);
    rewrite r = {.b = b, .g = g};
    omma_status s = apply(&r, &tmp);
    omma_arena_free(&tmp);
    return s;
}

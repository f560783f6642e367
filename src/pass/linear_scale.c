/* linear_scale.c - a factor for each unit of a linear layer goes into its weights:
 *
 *   Linear -> Mul by a row                                      a layer scale on tokens
 *   Linear -> Transpose 0,3,1,2 -> Mul by a number a channel    the same, channels first (ConvNeXt)
 */
#include "graph/scaled.h"
#include "pass/rule.h"

/* Is v a constant with `count` numbers along the axis that is `behind` axes before its last? */
static bool factors_for(const omma_value *v, int64_t count, int behind) {
    return count > 1 && omma_const_f32(v, count) && v->rank > behind && v->rank <= 4 &&
           v->dims[v->rank - 1 - behind] == count;
}

static bool brings_channels_forward(const omma_node *n) {
    const omma_attr *perm = omma_is(n, "Transpose") ? omma_node_attr(n, "perm") : NULL;
    const int64_t want[4] = {0, 3, 1, 2};
    return perm && perm->kind == OMMA_ATTR_INTS && perm->count == 4 &&
           !memcmp(perm->ints, want, sizeof want);
}

static omma_value *constant(omma_fuse *f, const omma_value *like, const float *data) {
    const char *name = omma_arena_printf(f->b->arena, "omma:scaled:%d", f->made++);
    return name && data ? omma_graph_constant(f->g, name, OMMA_F32, like->rank, like->dims, data)
                        : NULL;
}

/* w: [K, M] and bias: [M] times s: [M]. */
static bool scale(omma_fuse *f, const omma_node *linear, const omma_value *s, omma_value **w,
                  omma_value **bias) {
    const omma_value *old = linear->in[1];
    const int64_t m = old->dims[1];
    float *row = omma_arena_array(f->b->arena, (size_t)m, sizeof *row);
    double *by = omma_arena_array(f->b->arena, (size_t)m, sizeof *by);
    if (!row || !by) return false;
    for (int64_t i = 0; i < m; i++) {
        by[i] = (double)omma_load_f32(s->data, i);
        row[i] = omma_load_f32(linear->in[2]->data, i) * omma_load_f32(s->data, i);
    }
    omma_scaled_keep(old); /* if it is such a constant itself */
    omma_scaled *scaled = omma_scaled_new(f->b->arena, old->data, omma_value_count(old), by, m, 1);
    *w = constant(f, old, scaled ? scaled->data : NULL);
    if (*w) (*w)->scaled = scaled;
    *bias = constant(f, linear->in[2], row);
    return *w && *bias;
}

/* mul is `linear`, scaled, behind `move` if that is not NULL. */
static omma_status take(omma_fuse *f, omma_node *mul, const omma_node *move,
                        const omma_node *linear, const omma_value *s) {
    const int at = mul->index, first = f->g->n_nodes;
    omma_value *w, *bias, *v = mul->out[0];
    if (!scale(f, linear, s, &w, &bias)) return omma_nomem(f->b, mul);
    omma_node *n = omma_graph_node(f->g, linear->op, linear->name, 3, 1);
    if (!n) return omma_nomem(f->b, mul);
    n->in[0] = linear->in[0], n->in[1] = w, n->in[2] = bias;
    n->attrs = linear->attrs, n->n_attrs = linear->n_attrs;
    n->opset = linear->opset, n->offset = linear->offset;
    if (move) {
        const char *name = omma_arena_printf(f->b->arena, "omma:scaled:%d", f->made++);
        omma_value *between = name ? omma_graph_value(f->g, name) : NULL;
        omma_node *m = between ? omma_graph_node(f->g, move->op, mul->name, 1, 1) : NULL;
        if (!m) return omma_nomem(f->b, mul);
        omma_node_set_output(n, 0, between);
        m->in[0] = between;
        m->attrs = move->attrs, m->n_attrs = move->n_attrs;
        m->opset = move->opset, m->offset = mul->offset;
        n = m;
    }
    omma_node_set_output(n, 0, v);
    f->changed = true;
    return omma_graph_replace(f->g, at, first) ? OMMA_OK : omma_nomem(f->b, mul);
}

omma_status omma_rule_linear_scale(omma_fuse *f, omma_node *mul) {
    for (int i = 0; omma_is(mul, "Mul") && i < 2; i++) {
        const omma_node *n = omma_only(f, mul->in[i]), *move = NULL;
        const omma_value *s = mul->in[1 - i];
        if (brings_channels_forward(n)) move = n, n = omma_only(f, n->in[0]);
        if (!omma_is(n, omma_op_Linear.name) || omma_node_attr(n, OMMA_FUSED_ACT)) continue;
        if (!move && s->rank != 1) continue; /* more dims could broadcast the result */
        if (factors_for(s, n->in[1]->dims[1], move ? 2 : 0)) return take(f, mul, move, n, s);
    }
    return OMMA_OK;
}

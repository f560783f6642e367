/* layout.c - feature maps channels last. Files keep channels first, [N, C, H, W]; kernels are at
 * their best where the channels of a pixel lie side by side, [N, H, W, C], which is also the matrix
 * of its tokens. The pass walks a specialised graph once, in order, and writes its nodes anew:
 *
 *   x --Conv--> y --Relu--> z --Transpose 0,2,3,1--> t
 *
 *   x --Transpose--> x' --ConvLast--> y' --Relu--> z' = t        y', z' are twins of y and z
 *                                      |             |
 *                                  Transpose     Transpose        for whoever asks for y or z
 *                                      y             z            (nobody: they are swept)
 *
 * So transposes are made at the edges alone, those of the file between are cancelled, and a
 * watched value stays what it was. layout_rules.c says what becomes of each operator; one without
 * a rule reads and writes what it always did. */
#include "pass/layout.h"

#include <string.h>

#include "base/checked.h"

/* --- twins ------------------------------------------------------------------------- */

omma_value *omma_twin(const omma_relayout *l, const omma_value *v) {
    omma_value *t = NULL;
    for (int i = 0; v && i <= l->watched && !t; i++)
        if (v->index < l->cap[i]) t = l->twin[i][v->index];
    return t;
}

bool omma_any_twin(const omma_relayout *l, const omma_node *n) {
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] && !n->in[i]->data && omma_twin(l, n->in[i])) return true;
    return false;
}

bool omma_set_twin(omma_relayout *l, const omma_value *v, omma_value *twin) {
    omma_value ***list = &l->twin[l->watched];
    int *cap = &l->cap[l->watched];
    if (v->index >= *cap) {
        const int bigger = 2 * v->index + 64;
        omma_value **more = omma_arena_array(l->b->arena, (size_t)bigger, sizeof *more);
        if (!more) return false;
        if (*cap) memcpy(more, *list, (size_t)*cap * sizeof *more);
        *list = more, *cap = bigger;
    }
    (*list)[v->index] = twin;
    return true;
}

omma_value *omma_layout_value(omma_relayout *l) {
    const char *name = omma_arena_printf(l->b->arena, "%s:%d", l->of, l->made++);
    return name ? omma_graph_value(l->g, name) : NULL;
}

/* perm[d]: which dim of a value becomes dim d of its twin. */
static void to_last(int rank, int64_t *perm) {
    for (int d = 0; d < rank; d++) perm[omma_twin_axis(d, rank)] = d;
}

static void to_first(int rank, int64_t *perm) {
    for (int d = 0; d < rank; d++) perm[d] = omma_twin_axis(d, rank);
}

/* --- constants --------------------------------------------------------------------- */

omma_value *omma_layout_ints(omma_relayout *l, const int64_t *list, int count) {
    int64_t *copy = omma_arena_array(l->b->arena, (size_t)count, sizeof *copy);
    const char *name = omma_arena_printf(l->b->arena, "%s:%d", l->of, l->made++);
    if (!copy || !name) return NULL;
    if (count) memcpy(copy, list, (size_t)count * sizeof *copy);
    return omma_graph_constant(l->g, name, OMMA_I64, 1, (int64_t[]){count}, copy);
}

omma_value *omma_layout_floats(omma_relayout *l, const float *list, int64_t count) {
    const char *name = omma_arena_printf(l->b->arena, "%s:%d", l->of, l->made++);
    return name ? omma_graph_constant(l->g, name, OMMA_F32, 1, &count, list) : NULL;
}

/* Numbers of `size` bytes, dims in the order perm, copied one by one. */
static void permute(const omma_value *from, const int64_t *dims, int rank, const int64_t *perm,
                    char *to) {
    const size_t size = omma_dtype_size(from->dtype);
    const int64_t count = omma_value_count(from);
    int64_t strides[OMMA_MAX_RANK], at[OMMA_MAX_RANK] = {0};
    omma_strides(dims, rank, strides);
    for (int64_t i = 0; i < count; i++, to += size) {
        int64_t offset = 0;
        for (int d = 0; d < rank; d++) offset += at[d] * strides[perm[d]];
        memcpy(to, (const char *)from->data + (size_t)offset * size, size);
        for (int d = rank - 1; d >= 0 && ++at[d] == dims[perm[d]]; d--) at[d] = 0;
    }
}

/* Does taking dims in the order perm leave all numbers where they are? */
static bool is_view(const int64_t *dims, int rank, const int64_t *perm) {
    int64_t last = -1;
    for (int d = 0; d < rank; d++) {
        if (dims[perm[d]] == 1) continue;
        if (perm[d] < last) return false;
        last = perm[d];
    }
    return true;
}

omma_value *omma_twin_constant(omma_relayout *l, omma_value *v, int rank) {
    int64_t dims[OMMA_MAX_RANK], perm[OMMA_MAX_RANK], out[OMMA_MAX_RANK];
    for (int d = 0; d < rank; d++) dims[d] = d < rank - v->rank ? 1 : v->dims[d - (rank - v->rank)];
    to_last(rank, perm);
    for (int d = 0; d < rank; d++) out[d] = dims[perm[d]];
    const void *data = v->data;
    if (!is_view(dims, rank, perm)) {
        char *moved = omma_arena_alloc(l->b->arena, omma_value_bytes(v));
        if (!moved) return NULL;
        permute(v, dims, rank, perm, moved);
        data = moved;
    }
    const char *name = omma_arena_printf(l->b->arena, "%s:%d", l->of, l->made++);
    return name ? omma_graph_constant(l->g, name, v->dtype, rank, out, data) : NULL;
}

/* --- nodes ------------------------------------------------------------------------- */

omma_node *omma_layout_node(omma_relayout *l, const omma_node *n, const omma_op *op, int n_in) {
    int n_out = n->n_out; /* another operator has no outputs behind the last that is wanted */
    while (op != n->op && n_out > 1 && !n->out[n_out - 1]) n_out--;
    omma_node *fresh = omma_graph_node(l->g, op, n->name, n_in, n_out);
    if (!fresh) return NULL;
    l->g->n_nodes--; /* what it reads may still have to be made */
    fresh->attrs = n->attrs, fresh->n_attrs = n->n_attrs;
    fresh->opset = n->opset;
    fresh->offset = n->offset;
    for (int i = 0; i < n_out; i++) {
        if (!n->out[i]) continue;
        omma_value *v = omma_layout_value(l);
        if (!v) return NULL;
        omma_node_set_output(fresh, i, v);
    }
    return fresh;
}

bool omma_layout_attr(omma_relayout *l, omma_node *n, const char *name, const int64_t *list,
                      int count) {
    const int many = count < 0 ? 1 : count;
    omma_attr *attrs = omma_arena_array(l->b->arena, (size_t)n->n_attrs + 1, sizeof *attrs);
    int64_t *ints = omma_arena_array(l->b->arena, (size_t)many, sizeof *ints);
    if (!attrs || !ints) return false;
    if (many) memcpy(ints, list, (size_t)many * sizeof *ints);
    int k = 0;
    for (int i = 0; i < n->n_attrs; i++)
        if (strcmp(n->attrs[i].name, name)) attrs[k++] = n->attrs[i];
    attrs[k++] =
        count < 0 ? (omma_attr){.name = name, .kind = OMMA_ATTR_INT, .i = list[0]}
                  : (omma_attr){.name = name, .kind = OMMA_ATTR_INTS, .count = count, .ints = ints};
    n->attrs = attrs, n->n_attrs = k;
    return true;
}

/* An output is `from` moved: a view if that is enough. */
static omma_status add_move(omma_relayout *l, const omma_node *n, omma_value *from,
                            const int64_t *perm, const int64_t *dims, int rank, omma_value *v) {
    if (!perm || is_view(from->dims, rank, perm))
        return omma_view_node(l->b, l->g, n, from, rank, dims, v);
    omma_node *m = omma_graph_node(l->g, omma_op_find("Transpose"), n->name, 1, 1);
    if (!m || !omma_layout_attr(l, m, "perm", perm, rank)) return omma_nomem(l->b, n);
    m->opset = 13;
    m->offset = n->offset;
    m->in[0] = from;
    omma_node_set_output(m, 0, v);
    return m->op->infer(l->b, m);
}

omma_status omma_layout_move(omma_relayout *l, const omma_node *n, omma_value *from,
                             const int64_t *perm, omma_value *v) {
    return add_move(l, n, from, perm, v->dims, v->rank, v);
}

omma_value *omma_need_twin(omma_relayout *l, omma_value *v) {
    omma_value *t = omma_twin(l, v);
    if (t) return t;
    int64_t perm[OMMA_MAX_RANK], dims[OMMA_MAX_RANK];
    if (v->data) t = omma_twin_constant(l, v, v->rank);
    else {
        const omma_node like = {.name = v->name, .op = omma_op_find("Transpose"), .offset = -1};
        to_last(v->rank, perm);
        for (int d = 0; d < v->rank; d++) dims[d] = v->dims[perm[d]];
        t = omma_layout_value(l);
        if (!t || add_move(l, &like, v, perm, dims, v->rank, t)) return NULL;
    }
    return t && omma_set_twin(l, v, t) ? t : NULL;
}

omma_status omma_layout_put(omma_relayout *l, omma_node *fresh) {
    if (!omma_graph_append(l->g, fresh)) return omma_nomem(l->b, fresh);
    return fresh->op->infer(l->b, fresh);
}

omma_status omma_give_twins(omma_relayout *l, const omma_node *n, omma_node *fresh) {
    OMMA_TRY(omma_layout_put(l, fresh));
    for (int i = 0; i < n->n_out; i++) {
        omma_value *v = n->out[i];
        int64_t perm[OMMA_MAX_RANK];
        if (!v) continue;
        if (!omma_set_twin(l, v, fresh->out[i])) return omma_nomem(l->b, n);
        to_first(v->rank, perm);
        OMMA_TRY(omma_layout_move(l, n, fresh->out[i], perm, v));
    }
    return OMMA_OK;
}

omma_status omma_layout_view(omma_relayout *l, const omma_node *n, omma_value *twin,
                             omma_value *v) {
    int64_t dims[OMMA_MAX_RANK], perm[OMMA_MAX_RANK];
    omma_value *t = omma_layout_value(l);
    if (!t) return omma_nomem(l->b, n);
    for (int d = 0; d < v->rank; d++) dims[omma_twin_axis(d, v->rank)] = v->dims[d];
    OMMA_TRY(omma_view_node(l->b, l->g, n, twin, v->rank, dims, t));
    if (!omma_set_twin(l, v, t)) return omma_nomem(l->b, n);
    to_first(v->rank, perm);
    return omma_layout_move(l, n, t, perm, v);
}

omma_status omma_take_over(omma_relayout *l, const omma_node *n, omma_node *fresh) {
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i]) omma_node_set_output(fresh, i, n->out[i]);
    return omma_layout_put(l, fresh);
}

/* --- the walk ---------------------------------------------------------------------- */

static bool needed(const omma_relayout *l, const omma_node *n) {
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k] && l->uses[n->out[k]->index]) return true;
    return false;
}

static omma_status walk(omma_relayout *l, omma_node **old, int count) {
    for (int i = 0; i < count; i++) {
        l->watched = !needed(l, old[i]);
        omma_layout_rule *rule = omma_layout_rule_of(old[i]);
        bool done = false;
        if (rule) OMMA_TRY(rule(l, old[i], &done));
        if (!done && !omma_graph_append(l->g, old[i])) return omma_nomem(l->b, old[i]);
    }
    return OMMA_OK;
}

/* What reads a value under the very dims it has reads the value itself. */
static void forward(omma_graph *g) {
    for (int i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i]->n_in; k++) {
            omma_value **v = &g->nodes[i]->in[k];
            while (*v && (*v)->producer && !strcmp((*v)->producer->op->name, "Reshape")) {
                omma_value *from = (*v)->producer->in[0];
                if (from->rank != (*v)->rank ||
                    memcmp(from->dims, (*v)->dims, (size_t)from->rank * sizeof *from->dims))
                    break;
                *v = from;
            }
        }
}

omma_status omma_pass_layout(omma_build *b, omma_graph *g) {
    omma_relayout l = {.b = b, .g = g, .uses = omma_graph_uses(g, b->arena), .of = "omma:last"};
    const int count = g->n_nodes;
    omma_node **old = omma_arena_array(b->arena, (size_t)count, sizeof *old);
    if (!old || !l.uses) return omma_fail(b->err, OMMA_E_NOMEM, "no memory to lay out a graph");
    if (count) memcpy(old, g->nodes, (size_t)count * sizeof *old);
    g->n_nodes = 0;
    OMMA_TRY(walk(&l, old, count));
    forward(g);
    omma_graph_sweep(g);
    return OMMA_OK;
}

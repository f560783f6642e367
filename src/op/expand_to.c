/* expand_to.c - see expand_to.h. */
#include "op/expand_to.h"

#include <string.h>

static const omma_attr *one_attr(const omma_expansion *x, const char *name, int64_t i) {
    omma_attr *a = omma_arena_alloc(x->b->arena, sizeof *a);
    int64_t *list = omma_arena_alloc(x->b->arena, sizeof *list);
    if (!a || !list) return NULL;
    *list = i;
    if (!strcmp(name, "axes"))
        *a = (omma_attr){.name = name, .kind = OMMA_ATTR_INTS, .count = 1, .ints = list, .s = ""};
    else *a = (omma_attr){.name = name, .kind = OMMA_ATTR_INT, .i = i, .s = ""};
    return a;
}

omma_status omma_expand_node(const omma_expansion *x, const char *op, omma_value *const *in, int k,
                             const char *attr, int64_t i, omma_value *out) {
    omma_node *n = omma_graph_node(x->g, omma_op_find(op), x->n->name, k, 1);
    if (!n || !out) return omma_nomem(x->b, x->n);
    for (int j = 0; j < k; j++) n->in[j] = in[j];
    n->opset = 11;
    n->offset = x->n->offset;
    if (attr) {
        n->attrs = one_attr(x, attr, i);
        n->n_attrs = 1;
        if (!n->attrs) return omma_nomem(x->b, x->n);
    }
    omma_node_set_output(n, 0, out);
    return OMMA_OK;
}

omma_value *omma_expand_value(const omma_expansion *x, const char *what) {
    const char *of = x->n->name;
    for (int k = x->n->n_out - 1; k >= 0; k--)
        if (x->n->out[k]) of = x->n->out[k]->name;
    const char *name = omma_arena_printf(x->b->arena, "%s~%s", of, what);
    return name ? omma_graph_value(x->g, name) : NULL;
}

omma_value *omma_expand_number(const omma_expansion *x, const char *what, omma_dtype type, int rank,
                               int64_t number) {
    int64_t *data = omma_arena_alloc(x->b->arena, sizeof *data);
    omma_value *v = data ? omma_expand_value(x, what) : NULL;
    if (!v) return NULL;
    if (type == OMMA_BOOL) *(unsigned char *)data = number != 0;
    else *data = number;
    v->dtype = type;
    v->rank = rank;
    v->dims[0] = 1;
    v->data = data;
    return v;
}

omma_status omma_expand_output(const omma_expansion *x, int k, omma_value *v) {
    omma_value *out = k < x->n->n_out ? x->n->out[k] : NULL;
    if (!out) return OMMA_OK;
    if (v->list) return omma_expand_list(x, k, v->list->item, v->list->count);
    return omma_expand_node(x, "Identity", &v, 1, NULL, 0, out);
}

omma_status omma_expand_list(const omma_expansion *x, int k, omma_value *const *item, int count) {
    omma_value *out = k < x->n->n_out ? x->n->out[k] : NULL;
    if (!out) return OMMA_OK;
    if (out->is_output || out->kept)
        return omma_unsupported(x->b, x->n, "'%s' is a sequence; omma hands out tensors",
                                out->name);
    omma_list *list = omma_arena_alloc(x->b->arena, sizeof *list);
    omma_value **own = omma_arena_array(x->b->arena, (size_t)count, sizeof *own);
    if (!list || !own) return omma_nomem(x->b, x->n);
    if (count) memcpy(own, item, (size_t)count * sizeof *own);
    *list = (omma_list){.count = count, .item = own};
    out->list = list;
    out->producer = NULL;
    return OMMA_OK;
}

omma_status omma_expand_stack(const omma_expansion *x, omma_value *const *item, int count,
                              int64_t axis, bool fresh, const char *what, omma_value *out) {
    omma_value **part = omma_arena_array(x->b->arena, (size_t)count, sizeof *part);
    if (!part) return omma_nomem(x->b, x->n);
    for (int i = 0; i < count; i++) {
        part[i] = item[i];
        if (!fresh) continue;
        const char *name = omma_arena_printf(x->b->arena, "%s.%d", what, i);
        part[i] = name ? omma_expand_value(x, name) : NULL;
        OMMA_TRY(omma_expand_node(x, "Unsqueeze", &item[i], 1, "axes", axis, part[i]));
    }
    return omma_expand_node(x, "Concat", part, count, "axis", axis, out);
}

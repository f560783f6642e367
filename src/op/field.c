/* field.c - see field.h. */
#include "op/field.h"

#include <string.h>

static bool grow(omma_field *f) {
    if (f->count < f->cap) return true;
    const int bigger = f->cap ? 2 * f->cap : 8;
    omma_relation **list = omma_arena_array(f->b->arena, (size_t)bigger, sizeof *list);
    if (!list) return false;
    if (f->count) memcpy(list, f->relation, (size_t)f->count * sizeof *list);
    f->relation = list;
    f->cap = bigger;
    return true;
}

omma_relation *omma_field_relate(omma_field *f, int k, int i) {
    const omma_value *y = k < f->n->n_out ? f->n->out[k] : NULL, *x = omma_in(f->n, i);
    if (f->status || !x || !y || x->data || !omma_value_count(x) || !omma_value_count(y))
        return NULL;
    omma_relation *r = omma_arena_alloc(f->b->arena, sizeof *r);
    if (!r || !grow(f)) {
        f->status = omma_nomem(f->b, f->n);
        return NULL;
    }
    *r = (omma_relation){.out = k, .in = i};
    omma_relation_view_out(r, y->rank, y->dims);
    omma_relation_view_in(r, x->rank, x->dims);
    f->relation[f->count++] = r;
    return r;
}

void omma_relation_view_out(omma_relation *r, int rank, const int64_t *dims) {
    r->out_rank = rank;
    memcpy(r->out_dims, dims, (size_t)rank * sizeof *dims);
}

void omma_relation_view_in(omma_relation *r, int rank, const int64_t *dims) {
    r->in_rank = rank;
    memcpy(r->in_dims, dims, (size_t)rank * sizeof *dims);
    for (int a = 0; a < rank; a++) r->axis[a] = omma_map_all(dims[a]);
}

omma_map omma_map_window(int from, int64_t stride, int64_t first, int64_t dilation, int64_t count) {
    return (omma_map){.from = from,
                      .div = 1,
                      .stride = stride,
                      .first = first,
                      .dilation = dilation,
                      .count = count};
}

omma_map omma_map_range(int64_t first, int64_t count) {
    return omma_map_window(-1, 0, first, 1, count);
}
omma_map omma_map_all(int64_t count) { return omma_map_range(0, count); }
omma_map omma_map_moved(int from, int64_t first, int64_t stride) {
    return omma_map_window(from, stride, first, 1, 1);
}
omma_map omma_map_same(int from) { return omma_map_moved(from, 0, 1); }

omma_map omma_map_blocks(int from, int64_t div, int64_t count) {
    omma_map m = omma_map_window(from, count, 0, 1, count);
    m.div = div;
    return m;
}

void omma_relation_same(omma_relation *r, int axis, int from) {
    r->axis[axis] = omma_map_same(from);
}

bool omma_map_list(omma_field *f, omma_map *map, int from, int64_t outs, int64_t items,
                   int32_t **start, int32_t **item) {
    *start = outs < INT32_MAX ? omma_arena_array(f->b->arena, (size_t)outs + 1, 4) : NULL;
    *item = items < INT32_MAX ? omma_arena_array(f->b->arena, (size_t)items + 1, 4) : NULL;
    *map = (omma_map){.from = from, .start = *start, .item = *item};
    if (*start && *item) return true;
    f->status = omma_nomem(f->b, f->n);
    return false;
}

/* --- shared rows ------------------------------------------------------------------------- */

omma_status omma_field_broadcast(omma_field *f, int k, int i, omma_path path) {
    omma_relation *r = omma_field_relate(f, k, i);
    if (!r) return f->status;
    r->path = path;
    const int extra = r->out_rank - r->in_rank;
    for (int a = 0; a < r->in_rank; a++)
        if (r->in_dims[a] == r->out_dims[a + extra]) omma_relation_same(r, a, a + extra);
    return f->status;
}

/* Is x repeated along axes of y, behind the batch and channels, that another input has? */
static bool gates(const omma_node *n, int i) {
    const omma_value *x = n->in[i], *y = n->out[0];
    bool repeated = false, other = false;
    for (int d = 2; d < y->rank; d++) {
        const int a = d - (y->rank - x->rank);
        repeated |= y->dims[d] > 1 && (a < 0 || x->dims[a] == 1);
    }
    for (int k = 0; k < n->n_in; k++)
        other |= k != i && n->in[k] && !n->in[k]->data &&
                 omma_value_count(n->in[k]) == omma_value_count(y);
    return repeated && other;
}

omma_status omma_field_elementwise(omma_field *f, const omma_node *n) {
    for (int i = 0; i < n->n_in && n->out[0]; i++)
        if (n->in[i])
            OMMA_TRY(
                omma_field_broadcast(f, 0, i, gates(n, i) ? OMMA_PATH_STATISTIC : OMMA_PATH_VALUE));
    return f->status;
}

omma_status omma_field_reshape(omma_field *f, const omma_node *n) {
    omma_relation *r = omma_field_relate(f, 0, 0);
    (void)n;
    if (!r) return f->status;
    omma_relation_view_out(r, r->in_rank, r->in_dims);
    for (int a = 0; a < r->in_rank; a++) omma_relation_same(r, a, a);
    return f->status;
}

omma_status omma_field_whole(omma_field *f, const omma_node *n) {
    for (int k = 0; k < n->n_out; k++)
        for (int i = 0; i < n->n_in; i++) (void)omma_field_relate(f, k, i);
    return f->status;
}

omma_status omma_field_none(omma_field *f, const omma_node *n) {
    (void)n;
    return f->status;
}

omma_status omma_field_control(omma_field *f, int k, int i) {
    omma_relation *r = omma_field_relate(f, k, i);
    if (r) r->path = OMMA_PATH_CONTROL;
    return f->status;
}

const void *omma_field_numbers(omma_field *f, const omma_value *v) {
    const size_t size = omma_dtype_size(v->dtype), bytes = omma_value_bytes(v);
    if (!v->data) return f->numbers ? f->numbers(f, v) : NULL;
    if (!size || (uintptr_t)v->data % size == 0) return v->data;
    void *copy = omma_arena_alloc(f->b->arena, bytes); /* files have constants at any address */
    if (!copy) f->status = omma_nomem(f->b, f->n);
    else memcpy(copy, v->data, bytes);
    return copy;
}

const uint64_t *omma_field_dead(const omma_field *f, const omma_value *v) {
    return f->dead ? f->dead(f, v, false) : NULL;
}

const uint64_t *omma_field_zero(const omma_field *f, const omma_value *v) {
    return f->dead ? f->dead(f, v, true) : NULL;
}

/* gather.c - operators that read by index: Gather, GatherElements, GatherND.
 *
 * Indices are data, so they are checked while running: all of them first, in order, then the
 * copy is shared out over threads. A negative index counts from the end.
 * Backward each is a scatter that adds, in the order of the indices: what is read twice gets two
 * cotangents, the same sum whatever the number of threads.
 * Source: the ONNX operator specification. */
#include "base/checked.h"
#include "base/pool.h"
#include "op/grad.h"
#include "op/index_map.h"
#include "op/move.h"
#include "op/move_back.h"

enum { GRAIN = 1 << 15 }; /* bytes of one chunk */

/* What the three share; each uses some of it. Sizes in elements but block, in bytes. */
typedef struct gather_param {
    int64_t outer; /* Gather: rows above the axis. GatherND: batches */
    int64_t count; /* Gather: indices. GatherND: index tuples per batch */
    int64_t dim;   /* of data along the axis; GatherND: blocks per batch */
    size_t block;  /* bytes copied at once */
    int rank, axis, depth, batch;
    int64_t dims[OMMA_MAX_RANK], strides[OMMA_MAX_RANK];
} gather_param;

typedef struct job {
    const gather_param *p;
    const omma_value *index;
    const char *src;
    char *dst;
} job;

static omma_status out_of_range(const omma_exec *x, const omma_node *n, int64_t at, int64_t dim) {
    return omma_run_bad(x, n, "index %lld (number %lld of '%s') is outside an axis of %lld",
                        (long long)omma_index_raw(n->in[1], at), (long long)at, n->in[1]->name,
                        (long long)dim);
}

/* All count indices lie in [-dim, dim). */
static omma_status check_all(const omma_exec *x, const omma_node *n, int64_t count, int64_t dim) {
    for (int64_t i = 0; i < count; i++)
        if (omma_index(n->in[1], i, dim) < 0) return out_of_range(x, n, i, dim);
    return OMMA_OK;
}

static void share(const omma_exec *x, const omma_node *n, int64_t items, size_t bytes,
                  omma_chunk fn) {
    job j = {n->param, n->in[1], n->in[0]->mem, n->out[0]->mem};
    omma_parallel(x->threads, items, bytes < GRAIN ? GRAIN / (int64_t)bytes : 1, fn, &j);
}

/* Axis `axis` of data, read from axis `from` of the output at these indices. */
static omma_status read_by_index(omma_field *f, omma_relation *r, int axis, int from,
                                 const omma_value *index, const void *numbers) {
    const int64_t n = omma_value_count(index);
    r->bound = !numbers;
    r->data = numbers && !index->data;
    if (!numbers) return f->status;
    int64_t *item = omma_arena_array(f->b->arena, (size_t)n + 1, sizeof *item);
    if (!item) return f->status = omma_nomem(f->b, f->n);
    for (int64_t i = 0; i < n; i++)
        item[i] = omma_index_of(index->dtype, numbers, i, r->in_dims[axis]);
    r->axis[axis] = omma_map_picked(f, from, item, n);
    return f->status;
}

/* --- Gather -------------------------------------------------------------------- */

/* out: data.dims[:axis] + indices.dims + data.dims[axis+1:]. */
static omma_status gather_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0], *index = n->in[1];
    int64_t dims[2 * OMMA_MAX_RANK];
    int axis, rank = 0;
    OMMA_TRY(omma_index_type(b, n, 1));
    OMMA_TRY(omma_axis(b, n, omma_node_int(n, "axis", 0), x->rank, &axis));
    for (int d = 0; d < axis; d++) dims[rank++] = x->dims[d];
    for (int d = 0; d < index->rank; d++) dims[rank++] = index->dims[d];
    for (int d = axis + 1; d < x->rank; d++) dims[rank++] = x->dims[d];
    OMMA_TRY(omma_out(b, n, 0, x->dtype, rank, dims));
    gather_param *p = omma_param(b, n, sizeof *p);
    if (!p) return omma_nomem(b, n);
    p->axis = axis;
    p->dim = x->dims[axis];
    p->count = omma_value_count(index);
    if (!omma_dims_count(x->dims, axis, &p->outer) ||
        !omma_dims_bytes(x->dims + axis + 1, x->rank - axis - 1, omma_dtype_size(x->dtype),
                         &p->block))
        return omma_bad(b, n, "the size overflows");
    return OMMA_OK;
}

static void gather_chunk(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const gather_param *p = j->p;
    for (int64_t i = begin; i < end; i++) {
        const int64_t k = omma_index(j->index, i % p->count, p->dim);
        omma_move_bytes(j->dst + (size_t)i * p->block,
                        j->src + (size_t)(i / p->count * p->dim + k) * p->block, p->block);
    }
}

static omma_status gather_run(const omma_exec *x, const omma_node *n) {
    const gather_param *p = n->param;
    OMMA_TRY(check_all(x, n, p->count, p->dim));
    if (n->out[0] && omma_value_count(n->out[0]))
        share(x, n, p->outer * p->count, p->block, gather_chunk);
    return OMMA_OK;
}

static omma_status gather_grad(omma_grad *g, const omma_node *n) {
    const gather_param *p = n->param;
    if (!omma_grad_wants(g, n, 0)) return OMMA_OK;
    return omma_grad_add(
        g, n, 0, omma_move_scattered(&g->m, omma_grad_out(g, n, 0), n->in[1], n->in[0], p->axis));
}

/* out is seen with one axis for all indices: the rank of data. */
static omma_status gather_field(omma_field *f, const omma_node *n) {
    const gather_param *p = n->param;
    const omma_value *x = n->in[0], *index = n->in[1];
    const void *numbers = omma_field_numbers(f, index);
    int64_t dims[OMMA_MAX_RANK];
    memcpy(dims, x->dims, sizeof dims);
    dims[p->axis] = p->count;
    omma_relation *r = omma_field_relate(f, 0, 0);
    if (r) {
        omma_relation_view_out(r, x->rank, dims);
        for (int d = 0; d < x->rank; d++)
            if (d != p->axis) omma_relation_same(r, d, d);
        OMMA_TRY(read_by_index(f, r, p->axis, p->axis, index, numbers));
    }
    r = omma_field_relate(f, 0, 1);
    if (!r) return f->status;
    r->path = OMMA_PATH_CONTROL;
    omma_relation_view_out(r, x->rank, dims);
    omma_relation_view_in(r, 1, &p->count);
    omma_relation_same(r, 0, p->axis);
    return f->status;
}

/* --- GatherElements ------------------------------------------------------------ */

/* out[i][j][k] = data[i][index[i][j][k]][k] for axis 1; out has the dims of index, which off
 * the axis may be shorter than data's. */
static omma_status elements_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0], *index = n->in[1];
    int axis;
    OMMA_TRY(omma_index_type(b, n, 1));
    OMMA_TRY(omma_axis(b, n, omma_node_int(n, "axis", 0), x->rank, &axis));
    if (index->rank != x->rank)
        return omma_bad(b, n, "indices of rank %d for data of rank %d", index->rank, x->rank);
    for (int d = 0; d < x->rank; d++)
        if (d != axis && index->dims[d] > x->dims[d])
            return omma_bad(b, n, "indices are longer than the data along axis %d", d);
    OMMA_TRY(omma_out(b, n, 0, x->dtype, index->rank, index->dims));
    gather_param *p = omma_param(b, n, sizeof *p);
    if (!p) return omma_nomem(b, n);
    p->rank = x->rank;
    p->axis = axis;
    p->dim = x->dims[axis];
    p->block = omma_dtype_size(x->dtype);
    p->count = omma_value_count(index);
    memcpy(p->dims, index->dims, sizeof p->dims);
    omma_strides(x->dims, x->rank, p->strides);
    return OMMA_OK;
}

static void elements_chunk(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const gather_param *p = j->p;
    int64_t at[OMMA_MAX_RANK], left = begin, base = 0; /* base: place in data, the axis left out */
    for (int d = p->rank - 1; d >= 0; d--) {
        at[d] = left % p->dims[d];
        left /= p->dims[d];
        if (d != p->axis) base += at[d] * p->strides[d];
    }
    for (int64_t i = begin; i < end; i++) {
        const int64_t k = omma_index(j->index, i, p->dim);
        omma_move_bytes(j->dst + (size_t)i * p->block,
                        j->src + (size_t)(base + k * p->strides[p->axis]) * p->block, p->block);
        for (int d = p->rank - 1; d >= 0; d--) {
            const int64_t stride = d == p->axis ? 0 : p->strides[d];
            base += stride;
            if (++at[d] < p->dims[d]) break;
            base -= at[d] * stride;
            at[d] = 0;
        }
    }
}

static omma_status elements_run(const omma_exec *x, const omma_node *n) {
    const gather_param *p = n->param;
    OMMA_TRY(check_all(x, n, p->count, p->dim));
    if (n->out[0] && p->count) share(x, n, p->count, p->block, elements_chunk);
    return OMMA_OK;
}

static omma_status elements_grad(omma_grad *g, const omma_node *n) {
    const gather_param *p = n->param;
    if (!omma_grad_wants(g, n, 0)) return OMMA_OK;
    const omma_attr attrs[] = {OMMA_A_INT("axis", p->axis), OMMA_A_STRING("reduction", "add")};
    omma_value *in[] = {omma_make_full(&g->m, n->in[0], 0), n->in[1], omma_grad_out(g, n, 0)};
    return omma_grad_add(g, n, 0, omma_make(&g->m, "ScatterElements", in, 3, attrs, 2));
}

/* Every output has its index, so there is no map by axis: one by the place in the whole tensor. */
static omma_status elements_field(omma_field *f, const omma_node *n) {
    const gather_param *p = n->param;
    const omma_value *x = n->in[0], *index = n->in[1];
    const void *numbers = omma_field_numbers(f, index);
    omma_relation *r = omma_field_relate(f, 0, 0);
    if (r && numbers) {
        const int64_t all = omma_value_count(x);
        int64_t *place = omma_index_places(f->b->arena, x, index, numbers, p->axis);
        if (!place) return omma_nomem(f->b, n);
        omma_relation_view_out(r, 1, &p->count);
        omma_relation_view_in(r, 1, &all);
        r->axis[0] = omma_map_picked(f, 0, place, p->count);
        r->data = !index->data;
    } else if (r) {
        r->bound = true;
        for (int d = 0; d < x->rank; d++)
            if (d != p->axis) omma_relation_same(r, d, d);
    }
    r = omma_field_relate_same(f, 0, 1);
    if (r) r->path = OMMA_PATH_CONTROL;
    return f->status;
}

/* --- GatherND ------------------------------------------------------------------ */

/* data: batch dims B + D + rest, indices: B + I + [depth] with depth numbers pointing into
 * D; out: B + I + rest. */
static omma_status nd_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0], *index = n->in[1];
    const int64_t batch = omma_node_int(n, "batch_dims", 0);
    int64_t dims[2 * OMMA_MAX_RANK];
    int rank = 0;
    OMMA_TRY(omma_index_type(b, n, 1));
    if (x->rank < 1 || index->rank < 1)
        return omma_bad(b, n, "data and indices need one dimension or more");
    if (batch < 0 || batch >= x->rank || batch >= index->rank)
        return omma_bad(b, n, "batch_dims is %lld for data of rank %d and indices of rank %d",
                        (long long)batch, x->rank, index->rank);
    const int64_t depth = index->dims[index->rank - 1];
    if (depth < 1 || depth > x->rank - batch)
        return omma_bad(b, n, "index tuples of %lld numbers for data of rank %d", (long long)depth,
                        x->rank);
    for (int d = 0; d < batch; d++)
        if (x->dims[d] != index->dims[d]) return omma_bad(b, n, "batch dimension %d differs", d);
    for (int d = 0; d < index->rank - 1; d++) dims[rank++] = index->dims[d];
    for (int d = (int)(batch + depth); d < x->rank; d++) dims[rank++] = x->dims[d];
    OMMA_TRY(omma_out(b, n, 0, x->dtype, rank, dims));
    gather_param *p = omma_param(b, n, sizeof *p);
    if (!p) return omma_nomem(b, n);
    const int tail = (int)(batch + depth);
    p->depth = (int)depth;
    p->batch = (int)batch;
    memcpy(p->dims, x->dims + batch, (size_t)depth * sizeof *p->dims);
    omma_strides(p->dims, p->depth, p->strides);
    if (!omma_dims_count(x->dims, (int)batch, &p->outer) ||
        !omma_dims_count(p->dims, p->depth, &p->dim) ||
        !omma_dims_count(index->dims + batch, index->rank - 1 - (int)batch, &p->count) ||
        !omma_dims_bytes(x->dims + tail, x->rank - tail, omma_dtype_size(x->dtype), &p->block))
        return omma_bad(b, n, "the size overflows");
    return OMMA_OK;
}

static void nd_chunk(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const gather_param *p = j->p;
    for (int64_t i = begin; i < end; i++) {
        int64_t from = i / p->count * p->dim;
        for (int d = 0; d < p->depth; d++)
            from += omma_index(j->index, i * p->depth + d, p->dims[d]) * p->strides[d];
        omma_move_bytes(j->dst + (size_t)i * p->block, j->src + (size_t)from * p->block, p->block);
    }
}

static omma_status nd_run(const omma_exec *x, const omma_node *n) {
    const gather_param *p = n->param;
    const int64_t count = omma_value_count(n->in[1]);
    for (int64_t i = 0; i < count; i++)
        if (omma_index(n->in[1], i, p->dims[i % p->depth]) < 0)
            return out_of_range(x, n, i, p->dims[i % p->depth]);
    if (n->out[0] && omma_value_count(n->out[0]))
        share(x, n, p->outer * p->count, p->block, nd_chunk);
    return OMMA_OK;
}

/* Tuples that begin with their batch, [outer, I..., 1 + depth]: ScatterND knows no batches. */
static omma_value *nd_numbered(omma_maker *m, const omma_node *n, omma_value *index) {
    const gather_param *p = n->param;
    int64_t dims[OMMA_MAX_RANK + 1] = {p->outer}, *number;
    const int rank = index->rank - p->batch + 1;
    memcpy(dims + 1, index->dims + p->batch, (size_t)(rank - 1) * sizeof *dims);
    index = omma_make_reshape(m, omma_make_cast(m, index, OMMA_I64), rank, dims);
    number = omma_arena_array(m->b->arena, (size_t)p->outer + 1, sizeof *number);
    if (!number || p->outer > INT32_MAX) {
        m->status = omma_nomem(m->b, n);
        return NULL;
    }
    for (int64_t i = 0; i < p->outer; i++) number[i] = i;
    omma_value *batch = omma_make_ints(m, number, (int)p->outer);
    int64_t ones[OMMA_MAX_RANK + 1] = {p->outer};
    for (int d = 1; d < rank; d++) ones[d] = 1;
    dims[rank - 1] = 1;
    batch = omma_make_reshape(m, batch, rank, ones);
    batch = omma_make_2(m, "Expand", batch, omma_make_ints(m, dims, rank));
    return omma_make_concat(m, (omma_value *[]){batch, index}, 2, rank - 1);
}

static omma_status nd_grad(omma_grad *g, const omma_node *n) {
    const gather_param *p = n->param;
    const omma_value *x = n->in[0];
    omma_value *index = n->in[1], *dy = omma_grad_out(g, n, 0);
    int64_t dims[OMMA_MAX_RANK], more[OMMA_MAX_RANK] = {p->outer};
    int rank = x->rank;
    if (!omma_grad_wants(g, n, 0)) return OMMA_OK;
    if (!omma_value_count(dy)) return omma_grad_add(g, n, 0, omma_make_full(&g->m, x, 0));
    memcpy(dims, x->dims, sizeof dims);
    if (p->batch) { /* batches as one axis of data and of the cotangent */
        rank = x->rank - p->batch + 1;
        dims[0] = p->outer;
        memcpy(dims + 1, x->dims + p->batch, (size_t)(rank - 1) * sizeof *dims);
        memcpy(more + 1, dy->dims + p->batch, (size_t)(dy->rank - p->batch) * sizeof *more);
        index = nd_numbered(&g->m, n, index);
        dy = omma_make_reshape(&g->m, dy, dy->rank - p->batch + 1, more);
    }
    const omma_attr add = OMMA_A_STRING("reduction", "add");
    omma_value *in[] = {omma_move_zeros(&g->m, x->dtype, rank, dims), index, dy};
    omma_value *dx = omma_make(&g->m, "ScatterND", in, 3, &add, 1);
    return omma_grad_add(g, n, 0, omma_make_shaped(&g->m, dx, x));
}

/* A tuple decides where all of its block comes from. */
static omma_status nd_control(omma_field *f, const omma_node *n) {
    const gather_param *p = n->param;
    omma_relation *r = omma_field_relate(f, 0, 1);
    if (!r) return f->status;
    const int64_t tuples[] = {p->outer * p->count, p->depth};
    const int64_t blocks[] = {tuples[0], omma_value_count(n->out[0]) / tuples[0]};
    r->path = OMMA_PATH_CONTROL;
    omma_relation_view_out(r, 2, blocks);
    omma_relation_view_in(r, 2, tuples);
    omma_relation_same(r, 0, 0);
    return f->status;
}

/* Data is seen as [batches * places, rest...], the output as [batches * tuples, rest...]; where
 * the indices are not known, batches are an axis of their own. */
static omma_status nd_field(omma_field *f, const omma_node *n) {
    const gather_param *p = n->param;
    const omma_value *x = n->in[0], *index = n->in[1];
    const void *numbers = omma_field_numbers(f, index);
    const bool apart = !numbers && p->batch;
    const int tail = p->batch + p->depth, lead = apart ? 2 : 1, rest = x->rank - tail;
    int64_t from[OMMA_MAX_RANK], to[OMMA_MAX_RANK];
    omma_relation *r = omma_field_relate(f, 0, 0);
    if (!r) return nd_control(f, n);
    from[0] = to[0] = p->outer;
    from[lead - 1] = apart ? p->dim : p->outer * p->dim;
    to[lead - 1] = apart ? p->count : p->outer * p->count;
    for (int d = 0; d < rest; d++) from[lead + d] = to[lead + d] = x->dims[tail + d];
    omma_relation_view_out(r, lead + rest, to);
    omma_relation_view_in(r, lead + rest, from);
    for (int d = 0; d < rest; d++) omma_relation_same(r, lead + d, lead + d);
    if (apart) omma_relation_same(r, 0, 0);
    r->bound = !numbers;
    r->data = numbers && !index->data;
    if (numbers) {
        int64_t *place =
            omma_index_tuples(f->b->arena, p->dims, p->depth, index, numbers, p->count);
        if (!place) return omma_nomem(f->b, n);
        r->axis[0] = omma_map_picked(f, 0, place, to[0]);
    }
    return nd_control(f, n);
}

/* --- rows ---------------------------------------------------------------------- */

const omma_op omma_op_Gather = {.name = "Gather",
                                .min_in = 2,
                                .max_in = 2,
                                .min_out = 1,
                                .max_out = 1,
                                .infer = gather_infer,
                                .run = gather_run,
                                .flops = omma_move_flops,
                                .grad = gather_grad,
                                .field = gather_field};

const omma_op omma_op_GatherElements = {.name = "GatherElements",
                                        .min_in = 2,
                                        .max_in = 2,
                                        .min_out = 1,
                                        .max_out = 1,
                                        .infer = elements_infer,
                                        .run = elements_run,
                                        .flops = omma_move_flops,
                                        .grad = elements_grad,
                                        .field = elements_field};

const omma_op omma_op_GatherND = {.name = "GatherND",
                                  .min_in = 2,
                                  .max_in = 2,
                                  .min_out = 1,
                                  .max_out = 1,
                                  .infer = nd_infer,
                                  .run = nd_run,
                                  .flops = omma_move_flops,
                                  .grad = nd_grad,
                                  .field = nd_field};

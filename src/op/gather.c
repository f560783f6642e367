/* gather.c - operators that read by index: Gather, GatherElements, GatherND.
 *
 * Indices are data, so they are checked while running: all of them first, in order, then the
 * copy is shared out over threads. A negative index counts from the end.
 * Source: the ONNX operator specification. */
#include "base/checked.h"
#include "base/pool.h"
#include "op/move.h"

enum { GRAIN = 1 << 15 }; /* bytes of one chunk */

/* What the three share; each uses some of it. Sizes in elements but block, in bytes. */
typedef struct gather_param {
    int64_t outer; /* Gather: rows above the axis. GatherND: batches */
    int64_t count; /* Gather: indices. GatherND: index tuples per batch */
    int64_t dim;   /* of data along the axis; GatherND: blocks per batch */
    size_t block;  /* bytes copied at once */
    int rank, axis, depth;
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

/* --- rows ---------------------------------------------------------------------- */

const omma_op omma_op_Gather = {.name = "Gather",
                                .min_in = 2,
                                .max_in = 2,
                                .min_out = 1,
                                .max_out = 1,
                                .infer = gather_infer,
                                .run = gather_run,
                                .flops = omma_move_flops,
                                .no_grad = OMMA_NOT_YET,
                                .no_field = OMMA_NOT_YET};

const omma_op omma_op_GatherElements = {.name = "GatherElements",
                                        .min_in = 2,
                                        .max_in = 2,
                                        .min_out = 1,
                                        .max_out = 1,
                                        .infer = elements_infer,
                                        .run = elements_run,
                                        .flops = omma_move_flops,
                                        .no_grad = OMMA_NOT_YET,
                                        .no_field = OMMA_NOT_YET};

const omma_op omma_op_GatherND = {.name = "GatherND",
                                  .min_in = 2,
                                  .max_in = 2,
                                  .min_out = 1,
                                  .max_out = 1,
                                  .infer = nd_infer,
                                  .run = nd_run,
                                  .flops = omma_move_flops,
                                  .no_grad = OMMA_NOT_YET,
                                  .no_field = OMMA_NOT_YET};

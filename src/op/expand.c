/* expand.c - operators that repeat: Expand (broadcast to a shape) and Tile.
 *
 * Both are one strided move. Expand reads repeated dims with stride 0; Tile sees output dim d
 * as [repeats, dim], the first with stride 0, hence a box of twice the rank.
 * Source: the ONNX operator specification. Trap: Expand broadcasts both ways, so a 1 in the
 * shape keeps the input's dimension. */
#include "op/grad.h"
#include "op/index_map.h"
#include "op/move.h"

static omma_status move_run(const omma_exec *x, const omma_node *n) {
    if (n->out[0]) omma_move_run(x, n->param, n->in[0]->mem, n->out[0]->mem);
    return OMMA_OK;
}

static omma_status expand_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0];
    omma_value want = {.name = "shape"};
    omma_value *both[2] = {n->in[0], &want};
    int64_t dims[OMMA_MAX_RANK], strides[OMMA_MAX_RANK];
    int rank;
    OMMA_TRY(omma_ints_in(b, n, 1, want.dims, OMMA_MAX_RANK, &want.rank));
    for (int d = 0; d < want.rank; d++)
        if (want.dims[d] < 0)
            return omma_bad(b, n, "the shape holds %lld", (long long)want.dims[d]);
    OMMA_TRY(omma_broadcast(b, n, both, 2, &rank, dims));
    OMMA_TRY(omma_out(b, n, 0, x->dtype, rank, dims));
    if (!n->out[0]) return OMMA_OK; /* unwanted: its size was not checked */
    omma_move *m = omma_param(b, n, sizeof *m);
    if (!m) return omma_nomem(b, n);
    m->size = omma_dtype_size(x->dtype);
    m->rank = rank;
    omma_strides(x->dims, x->rank, strides);
    omma_strides(dims, rank, m->dst);
    for (int d = 0; d < rank; d++) {
        const int from = d - (rank - x->rank);
        m->dims[d] = dims[d];
        m->src[d] = from < 0 || x->dims[from] == 1 ? 0 : strides[from];
    }
    omma_move_ready(m);
    return OMMA_OK;
}

static omma_status expand_grad(omma_grad *g, const omma_node *n) {
    return omma_grad_add(g, n, 0, omma_make_fitted(&g->m, omma_grad_out(g, n, 0), n->in[0]));
}

static omma_status expand_field(omma_field *f, const omma_node *n) {
    (void)n;
    return omma_field_broadcast(f, 0, 0, OMMA_PATH_VALUE);
}

/* Tile 1: `tiles` copies along `axis`, both of the data's type. */
static omma_status one_axis(omma_build *b, const omma_node *n, int64_t *repeats, int *count) {
    int64_t tiles, axis;
    int given[2], at;
    OMMA_TRY(omma_wholes_in(b, n, 1, &tiles, 1, &given[0]));
    OMMA_TRY(omma_wholes_in(b, n, 2, &axis, 1, &given[1]));
    if (given[0] != 1 || given[1] != 1)
        return omma_bad(b, n, "opset %d takes one number of tiles and one axis", n->opset);
    OMMA_TRY(omma_axis(b, n, axis, n->in[0]->rank, &at));
    *count = n->in[0]->rank;
    for (int d = 0; d < *count; d++) repeats[d] = d == at ? tiles : 1;
    return OMMA_OK;
}

static omma_status tile_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0];
    int64_t repeats[OMMA_MAX_RANK], dims[OMMA_MAX_RANK], in[OMMA_MAX_RANK], out[OMMA_MAX_RANK];
    int count;
    if (n->opset < 6) OMMA_TRY(one_axis(b, n, repeats, &count));
    else OMMA_TRY(omma_ints_in(b, n, 1, repeats, OMMA_MAX_RANK, &count));
    if (count != x->rank)
        return omma_bad(b, n, "%d repeats for a tensor of rank %d", count, x->rank);
    for (int d = 0; d < count; d++)
        if (repeats[d] < 0 || __builtin_mul_overflow(x->dims[d], repeats[d], &dims[d]))
            return omma_bad(b, n, "%lld repeats along axis %d", (long long)repeats[d], d);
    OMMA_TRY(omma_out(b, n, 0, x->dtype, count, dims));
    if (!n->out[0]) return OMMA_OK; /* unwanted: its size was not checked */
    omma_move *m = omma_param(b, n, sizeof *m);
    if (!m) return omma_nomem(b, n);
    m->size = omma_dtype_size(x->dtype);
    m->rank = 2 * count;
    omma_strides(x->dims, count, in);
    omma_strides(dims, count, out);
    for (int d = 0; d < count; d++) {
        m->dims[2 * d] = repeats[d];
        m->dims[2 * d + 1] = x->dims[d];
        m->src[2 * d] = 0;
        m->src[2 * d + 1] = in[d];
        m->dst[2 * d] = dims[d] ? out[d] * x->dims[d] : 0;
        m->dst[2 * d + 1] = out[d];
    }
    omma_move_ready(m);
    return OMMA_OK;
}

/* Copies are summed axis by axis: all at once would need twice the rank. */
static omma_status tile_grad(omma_grad *g, const omma_node *n) {
    const omma_value *x = n->in[0];
    omma_value *c = omma_grad_out(g, n, 0);
    int64_t dims[OMMA_MAX_RANK], outer = 1;
    if (!omma_value_count(c)) return omma_grad_add(g, n, 0, omma_make_full(&g->m, x, 0));
    memcpy(dims, c->dims, sizeof dims);
    for (int d = 0; d < x->rank; outer *= dims[d++]) {
        int64_t apart[3] = {outer, dims[d] / x->dims[d], x->dims[d]};
        if (apart[1] == 1) continue;
        dims[d] = x->dims[d];
        for (int e = d + 1; e < x->rank; e++) apart[2] *= dims[e];
        c = omma_make_sum(&g->m, omma_make_reshape(&g->m, c, 3, apart), 1u << 1, false);
        c = omma_make_reshape(&g->m, c, x->rank, dims);
    }
    return omma_grad_add(g, n, 0, c);
}

static omma_status tile_field(omma_field *f, const omma_node *n) {
    (void)n;
    omma_relation *r = omma_field_relate(f, 0, 0);
    for (int d = 0; r && d < r->in_rank; d++) {
        const int64_t dim = r->in_dims[d], outs = r->out_dims[d];
        omma_relation_same(r, d, d);
        if (dim == outs) continue;
        int64_t *item = omma_arena_array(f->b->arena, (size_t)outs, sizeof *item);
        if (!item) return omma_nomem(f->b, n);
        for (int64_t o = 0; o < outs; o++) item[o] = o % dim;
        r->axis[d] = omma_map_picked(f, d, item, outs);
    }
    return f->status;
}

const omma_op omma_op_Expand = {.name = "Expand",
                                .min_in = 2,
                                .max_in = 2,
                                .min_out = 1,
                                .max_out = 1,
                                .infer = expand_infer,
                                .run = move_run,
                                .flops = omma_move_flops,
                                .grad = expand_grad,
                                .field = expand_field};

const omma_op omma_op_Tile = {.name = "Tile",
                              .min_in = 2,
                              .max_in = 3, /* before opset 6 */
                              .min_out = 1,
                              .max_out = 1,
                              .infer = tile_infer,
                              .run = move_run,
                              .flops = omma_move_flops,
                              .grad = tile_grad,
                              .field = tile_field};

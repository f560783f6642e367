/* transpose.c - operators that reorder dims: Transpose, DepthToSpace, SpaceToDepth.
 *
 * All three are one strided move, made by infer: DepthToSpace and SpaceToDepth are a
 * Transpose of the input seen with rank 6. Source: the ONNX operator specification. */
#include "op/field.h"
#include "op/grad.h"
#include "op/move.h"

static omma_status move_run(const omma_exec *x, const omma_node *n) {
    if (n->out[0]) omma_move_run(x, n->param, n->in[0]->mem, n->out[0]->mem);
    return OMMA_OK;
}

/* The move that takes dims in the order of perm, from a dense tensor of rank dims. */
static omma_status permute(omma_build *b, omma_node *n, int rank, const int64_t *dims,
                           const int *perm) {
    int64_t strides[OMMA_MAX_RANK];
    omma_move *m = omma_param(b, n, sizeof *m);
    if (!m) return omma_nomem(b, n);
    m->size = omma_dtype_size(n->in[0]->dtype);
    m->rank = rank;
    omma_strides(dims, rank, strides);
    for (int d = 0; d < rank; d++) {
        m->dims[d] = dims[perm[d]];
        m->src[d] = strides[perm[d]];
    }
    omma_strides(m->dims, rank, m->dst);
    omma_move_ready(m);
    return OMMA_OK;
}

static omma_status transpose_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0];
    int64_t list[OMMA_MAX_RANK], dims[OMMA_MAX_RANK];
    int perm[OMMA_MAX_RANK], count;
    unsigned seen = 0;
    OMMA_TRY(omma_ints_attr(b, n, "perm", list, OMMA_MAX_RANK, &count));
    if (count >= 0 && count != x->rank)
        return omma_bad(b, n, "perm has %d places, the input %d", count, x->rank);
    for (int d = 0; d < x->rank; d++) {
        const int64_t from = count < 0 ? x->rank - 1 - d : list[d];
        if (from < 0 || from >= x->rank || seen >> from & 1)
            return omma_bad(b, n, "perm is not an order of %d dimensions", x->rank);
        seen |= 1u << from;
        perm[d] = (int)from;
        dims[d] = x->dims[from];
    }
    OMMA_TRY(omma_out(b, n, 0, x->dtype, x->rank, dims));
    if (!n->out[0]) return OMMA_OK; /* unwanted: its size was not checked */
    return permute(b, n, x->rank, x->dims, perm);
}

/* The block size, in 1..2^31. */
static omma_status block_size(omma_build *b, const omma_node *n, int64_t *block) {
    *block = omma_node_int(n, "blocksize", 0);
    if (*block < 1 || *block > INT32_MAX)
        return omma_bad(b, n, "a block size of %lld", (long long)*block);
    if (n->in[0]->rank != 4)
        return omma_bad(b, n, "the input must be [N,C,H,W], not of rank %d", n->in[0]->rank);
    return OMMA_OK;
}

/* The input seen with rank 6, and which of its axes is axis d of the output seen so. */
typedef struct blocks {
    int64_t dims[6];
    int perm[6];
} blocks;

/* DCR takes the channel as [s, s, C/s^2], CRD as [C/s^2, s, s]. An empty tensor is seen with s = 1:
 * any block will do, and none overflows. */
static blocks depth_blocks(const omma_node *n) {
    const int64_t *x = n->in[0]->dims, s = x[1] ? omma_node_int(n, "blocksize", 1) : 1;
    const int64_t c = x[1] / (s * s);
    if (!strcmp(omma_node_string(n, "mode", "DCR"), "CRD"))
        return (blocks){{x[0], c, s, s, x[2], x[3]}, {0, 1, 4, 2, 5, 3}};
    return (blocks){{x[0], s, s, c, x[2], x[3]}, {0, 3, 4, 1, 5, 2}};
}

static blocks space_blocks(const omma_node *n) {
    const int64_t *x = n->in[0]->dims, s = x[2] && x[3] ? omma_node_int(n, "blocksize", 1) : 1;
    return (blocks){{x[0], x[1], x[2] / s, s, x[3] / s, s}, {0, 3, 5, 1, 2, 4}};
}

/* x: [N, C, H, W] -> [N, C/s^2, H*s, W*s], s the block size. */
static omma_status depth_to_space_infer(omma_build *b, omma_node *n) {
    const int64_t *x = n->in[0]->dims;
    const char *mode = omma_node_string(n, "mode", "DCR");
    int64_t s, high, wide;
    OMMA_TRY(block_size(b, n, &s));
    if (strcmp(mode, "CRD") && strcmp(mode, "DCR"))
        return omma_bad(b, n, "mode '%s' is neither DCR nor CRD", mode);
    if (x[1] % (s * s))
        return omma_bad(b, n, "%lld channels are not a multiple of %lld squared", (long long)x[1],
                        (long long)s);
    if (__builtin_mul_overflow(x[2], s, &high) || __builtin_mul_overflow(x[3], s, &wide))
        return omma_bad(b, n, "the output's size overflows");
    const int64_t c = x[1] / (s * s);
    OMMA_TRY(omma_out(b, n, 0, n->in[0]->dtype, 4, (int64_t[]){x[0], c, high, wide}));
    if (!n->out[0]) return OMMA_OK; /* unwanted: its size was not checked */
    const blocks v = depth_blocks(n);
    return permute(b, n, 6, v.dims, v.perm);
}

/* x: [N, C, H, W] -> [N, s^2*C, H/s, W/s]: the inverse of DepthToSpace's DCR. */
static omma_status space_to_depth_infer(omma_build *b, omma_node *n) {
    const int64_t *x = n->in[0]->dims;
    int64_t s, c;
    OMMA_TRY(block_size(b, n, &s));
    if (x[2] % s || x[3] % s)
        return omma_bad(b, n, "%lld by %lld is not a multiple of the block size %lld",
                        (long long)x[2], (long long)x[3], (long long)s);
    if (__builtin_mul_overflow(x[1], s * s, &c))
        return omma_bad(b, n, "the output's size overflows");
    const int64_t high = x[2] / s, wide = x[3] / s;
    OMMA_TRY(omma_out(b, n, 0, n->in[0]->dtype, 4, (int64_t[]){x[0], c, high, wide}));
    if (!n->out[0]) return OMMA_OK; /* unwanted: its size was not checked */
    const blocks v = space_blocks(n);
    return permute(b, n, 6, v.dims, v.perm);
}

/* --- the readings in reverse ------------------------------------------------------ */

static omma_status perm_of(omma_build *b, const omma_node *n, int64_t *perm) {
    const int rank = n->in[0]->rank;
    int count;
    OMMA_TRY(omma_ints_attr(b, n, "perm", perm, OMMA_MAX_RANK, &count));
    for (int d = 0; d < rank && count < 0; d++) perm[d] = rank - 1 - d;
    return OMMA_OK;
}

static omma_status transpose_grad(omma_grad *g, const omma_node *n) {
    int64_t perm[OMMA_MAX_RANK], back[OMMA_MAX_RANK];
    OMMA_TRY(perm_of(g->m.b, n, perm));
    for (int d = 0; d < n->in[0]->rank; d++) back[perm[d]] = d;
    return omma_grad_add(g, n, 0, omma_make_transpose(&g->m, omma_grad_out(g, n, 0), back));
}

static omma_status transpose_field(omma_field *f, const omma_node *n) {
    int64_t perm[OMMA_MAX_RANK];
    omma_relation *r = omma_field_relate(f, 0, 0);
    OMMA_TRY(perm_of(f->b, n, perm));
    for (int d = 0; r && d < r->in_rank; d++) omma_relation_same(r, (int)perm[d], d);
    return f->status;
}

static omma_status blocks_grad(omma_grad *g, const omma_node *n, blocks v) {
    int64_t dims[6], back[6];
    omma_value *dy = omma_grad_out(g, n, 0);
    for (int d = 0; d < 6; d++) {
        dims[d] = v.dims[v.perm[d]];
        back[v.perm[d]] = d;
    }
    if (omma_value_count(n->in[0]))
        dy = omma_make_transpose(&g->m, omma_make_reshape(&g->m, dy, 6, dims), back);
    return omma_grad_add(g, n, 0, omma_make_shaped(&g->m, dy, n->in[0]));
}

static omma_status blocks_field(omma_field *f, blocks v) {
    int64_t dims[6];
    omma_relation *r = omma_field_relate(f, 0, 0);
    if (!r) return f->status;
    for (int d = 0; d < 6; d++) dims[d] = v.dims[v.perm[d]];
    omma_relation_view_out(r, 6, dims);
    omma_relation_view_in(r, 6, v.dims);
    for (int d = 0; d < 6; d++) omma_relation_same(r, v.perm[d], d);
    return f->status;
}

static omma_status depth_to_space_grad(omma_grad *g, const omma_node *n) {
    return blocks_grad(g, n, depth_blocks(n));
}
static omma_status depth_to_space_field(omma_field *f, const omma_node *n) {
    return blocks_field(f, depth_blocks(n));
}
static omma_status space_to_depth_grad(omma_grad *g, const omma_node *n) {
    return blocks_grad(g, n, space_blocks(n));
}
static omma_status space_to_depth_field(omma_field *f, const omma_node *n) {
    return blocks_field(f, space_blocks(n));
}

const omma_op omma_op_Transpose = {.name = "Transpose",
                                   .min_in = 1,
                                   .max_in = 1,
                                   .min_out = 1,
                                   .max_out = 1,
                                   .infer = transpose_infer,
                                   .run = move_run,
                                   .flops = omma_move_flops,
                                   .grad = transpose_grad,
                                   .field = transpose_field};

const omma_op omma_op_DepthToSpace = {.name = "DepthToSpace",
                                      .min_in = 1,
                                      .max_in = 1,
                                      .min_out = 1,
                                      .max_out = 1,
                                      .infer = depth_to_space_infer,
                                      .run = move_run,
                                      .flops = omma_move_flops,
                                      .grad = depth_to_space_grad,
                                      .field = depth_to_space_field};

const omma_op omma_op_SpaceToDepth = {.name = "SpaceToDepth",
                                      .min_in = 1,
                                      .max_in = 1,
                                      .min_out = 1,
                                      .max_out = 1,
                                      .infer = space_to_depth_infer,
                                      .run = move_run,
                                      .flops = omma_move_flops,
                                      .grad = space_to_depth_grad,
                                      .field = space_to_depth_field};

/* half_linear.c - omma.HalfLinear and omma.Narrow; see half_ops.h. */
#include "op/half_ops.h"

#include "base/pool.h"
#include "graph/scaled.h"
#include "op/last_ops.h"

/* --- HalfLinear ---------------------------------------------------------------------------- */

typedef struct linear {
    int64_t m, n, k;
    int workers; /* threads the working memory is for */
    bool trans_b;
    omma_epilogue act;
} linear;

static omma_status linear_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0], *w = n->in[1], *bias = omma_in(n, 2);
    int64_t dims[OMMA_MAX_RANK], count;
    omma_dtype t = OMMA_NONE;
    linear *p = omma_param(b, n, sizeof *p);
    if (!p) return omma_nomem(b, n);
    if (x->dtype != OMMA_BF16 || w->dtype != OMMA_F32 || !w->data || x->rank < 1 || w->rank != 2)
        return omma_unsupported(b, n, "these inputs");
    p->trans_b = omma_node_int(n, "transB", 0) != 0;
    p->k = x->dims[x->rank - 1], p->n = w->dims[!p->trans_b];
    if (w->dims[p->trans_b] != p->k || !p->k || p->k % 2)
        return omma_bad(b, n, "weights of another size, or an odd one");
    if (bias && (bias->dtype != OMMA_F32 || omma_value_count(bias) != p->n))
        return omma_bad(b, n, "a bias of another size than the product has columns");
    memcpy(dims, x->dims, sizeof dims);
    dims[x->rank - 1] = p->n;
    if (!omma_dims_count(dims, x->rank, &count)) return omma_bad(b, n, "its size overflows");
    p->m = p->n ? count / p->n : 0;
    OMMA_TRY(omma_half_check(b, n, count, &t));
    OMMA_TRY(omma_fused_read(b, n, OMMA_F32, &p->act));
    return omma_out(b, n, 0, t, x->rank, dims);
}

static omma_status linear_prepare(omma_build *b, omma_node *n) {
    linear *p = (linear *)n->param;
    const omma_value *w = n->in[1];
    const char *form =
        omma_arena_printf(b->arena, "bf16 linear%s %lld %lld", p->trans_b ? " transposed" : "",
                          (long long)p->k, (long long)p->n);
    size_t bytes;
    const void *from;
    if (!omma_packed_bytes(b->kern, p->k, p->n, &bytes)) /* twice as much would fit */
        return omma_bad(b, n, "its packed weights overflow");
    bytes = omma_bf16_packed_bytes(b->kern, p->k, p->n);
    void *packed = form ? omma_pack(b, w, form, bytes, &from) : NULL;
    if (!packed) return omma_nomem(b, n);
    if (from) {
        omma_bf16_pack(b->kern, packed, from, p->trans_b ? 1 : p->n, p->trans_b ? p->k : 1, p->k,
                       p->n, omma_workers(b));
        omma_pack_done(w);
    }
    n->packed = packed;
    n->packed_in |= 1u << 1;
    if (omma_in(n, 3)) n->in_place |= 1u << 3;
    p->workers = omma_workers(b);
    n->scratch = omma_bf16_gemm_room(b->kern, p->workers, p->m, p->n, p->k, p->k);
    return OMMA_OK;
}

static omma_status linear_run(const omma_exec *x, const omma_node *n) {
    const linear *p = n->param;
    if (!n->out[0]) return OMMA_OK;
    const omma_bf16_out o = omma_half_out(n, &p->act, p->n);
    omma_bf16_gemm(x->kern, x->threads < p->workers ? x->threads : p->workers, p->m, p->n, p->k,
                   n->in[0]->mem, p->k, n->packed, n->out[0]->mem, p->n, &o, n->work);
    return OMMA_OK;
}

static double linear_flops(const omma_node *n) {
    const linear *p = n->param;
    return 2.0 * (double)p->m * (double)p->n * (double)p->k;
}

const omma_op omma_op_HalfLinear = {.name = "omma.HalfLinear",
                                    .min_in = 2,
                                    .max_in = 4,
                                    .min_out = 1,
                                    .max_out = 1,
                                    .infer = linear_infer,
                                    .prepare = linear_prepare,
                                    .run = linear_run,
                                    .flops = linear_flops,
                                    .no_grad = OMMA_MADE_LATE,
                                    .no_field = OMMA_MADE_LATE};

/* --- Narrow ---------------------------------------------------------------------------------- */

static omma_status narrow_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0];
    int64_t dims[OMMA_MAX_RANK];
    if (x->dtype != OMMA_F32 || x->rank < 1) return omma_unsupported(b, n, "this input");
    memcpy(dims, x->dims, sizeof dims);
    int64_t *last = &dims[x->rank - 1];
    const int64_t channels = omma_node_int(n, "channels", *last);
    if (channels < *last) return omma_bad(b, n, "fewer channels than there are");
    *last = channels;
    return omma_out(b, n, 0, OMMA_BF16, x->rank, dims);
}

typedef struct narrow_job {
    const omma_kernels *kern;
    const float *x;
    uint16_t *y;
    int64_t from, to; /* channels */
} narrow_job;

static void narrow_rows(void *arg, int64_t begin, int64_t end, int worker) {
    const narrow_job *j = arg;
    (void)worker;
    if (j->from == j->to) {
        j->kern->bf16_narrow((end - begin) * j->from, j->x + begin * j->from, j->y + begin * j->to);
        return;
    }
    for (int64_t i = begin; i < end; i++)
        for (int64_t c = 0; c < j->to; c++)
            j->y[i * j->to + c] = c < j->from ? omma_bf16_round(j->x[i * j->from + c]) : 0;
}

static omma_status narrow_run(const omma_exec *x, const omma_node *n) {
    if (!n->out[0] || !omma_value_count(n->in[0])) return OMMA_OK;
    const int last = n->in[0]->rank - 1;
    narrow_job j = {x->kern, n->in[0]->mem, n->out[0]->mem, n->in[0]->dims[last],
                    n->out[0]->dims[last]};
    omma_parallel(x->threads, omma_value_count(n->in[0]) / j.from, 1 + 16384 / j.to, narrow_rows,
                  &j);
    return OMMA_OK;
}

const omma_op omma_op_Narrow = {.name = "omma.Narrow",
                                .min_in = 1,
                                .max_in = 1,
                                .min_out = 1,
                                .max_out = 1,
                                .infer = narrow_infer,
                                .run = narrow_run,
                                .no_grad = OMMA_MADE_LATE,
                                .no_field = OMMA_MADE_LATE};

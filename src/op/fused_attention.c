/* fused_attention.c - omma.Attention, which the passes make of two products with a softmax between
 * them, and of the transposes around: y = softmax(scale * q kT + masks) v for many heads that are
 * read and written where they lie.
 *
 *   inputs  0 q, 1 k, 2 v: f32 of any shape, often one and the same value; 3, 4 masks: f32, added
 *   sizes   [outer 0, outer 1, outer 2, m, n, d, dv] as in kernel/attend.h
 *   q, k, v, mask0, mask1, y
 *           [offset, outer 0, outer 1, outer 2, row, column]: strides in elements
 *   dims    the output's shape; every element of it is written
 *   scale   of the scores
 *
 * Not in the table, so no file can ask for it. Still every number is checked against the inputs'
 * sizes: a rule that errs must not become a read out of bounds. */
#include "kernel/attend.h"
#include "op/fused.h"
#include "op/last_ops.h"

enum { Q, K, V, MASK };                              /* inputs */
enum { AT_OUTER = 1, AT_ROW = 4, AT_COL, AT_COUNT }; /* in a list of strides */
enum { M = 3, N, D, DV, SIZES };                     /* in the sizes, behind the outer axes */

typedef struct fused {
    omma_attention p;
    int64_t offset[MASK + OMMA_ATTENTION_MASKS], y_offset;
    int workers; /* threads the working memory is for */
} fused;

static omma_status read_list(omma_build *b, const omma_node *n, const char *name, int count,
                             int64_t *out) {
    int found;
    OMMA_TRY(omma_ints_attr(b, n, name, out, OMMA_MAX_RANK, &found));
    if (found != count) return omma_bad(b, n, "attribute '%s' has %d numbers", name, found);
    for (int i = 0; i < count; i++)
        if (out[i] < 0) return omma_bad(b, n, "attribute '%s' holds a negative number", name);
    return OMMA_OK;
}

/* The strides of an operand of rows by cols numbers a head, which lie within v. */
static omma_status read_at(omma_build *b, const omma_node *n, const char *name, const omma_value *v,
                           const omma_attention *p, int64_t rows, int64_t cols, int64_t *offset,
                           omma_attention_at *at) {
    int64_t s[OMMA_MAX_RANK];
    OMMA_TRY(read_list(b, n, name, AT_COUNT, s));
    const int64_t dims[] = {p->outer[0], p->outer[1], p->outer[2], rows, cols};
    int64_t last = s[0], far;
    for (int i = 0; i < 5; i++)
        if (__builtin_mul_overflow(dims[i] - 1, s[i + 1], &far) ||
            __builtin_add_overflow(last, far, &last))
            return omma_bad(b, n, "attribute '%s' overflows", name);
    if (v->dtype != OMMA_F32) return omma_unsupported(b, n, "of %s", omma_dtype_name(v->dtype));
    if (last >= omma_value_count(v)) return omma_bad(b, n, "'%s' reaches beyond its tensor", name);
    *offset = s[0];
    *at =
        (omma_attention_at){{s[AT_OUTER], s[AT_OUTER + 1], s[AT_OUTER + 2]}, s[AT_ROW], s[AT_COL]};
    return OMMA_OK;
}

static omma_status attention_infer(omma_build *b, omma_node *n) {
    static const char *const masks[] = {"mask0", "mask1"};
    int64_t sizes[OMMA_MAX_RANK], dims[OMMA_MAX_RANK], count;
    int rank;
    fused *f = omma_param(b, n, sizeof *f);
    if (!f) return omma_nomem(b, n);
    omma_attention *p = &f->p;
    OMMA_TRY(read_list(b, n, "sizes", SIZES, sizes));
    if (!omma_dims_count(sizes, D, &count)) return omma_bad(b, n, "its size overflows");
    for (int i = 0; i < SIZES; i++)
        if (!sizes[i]) return omma_bad(b, n, "a size of 0");
    for (int i = 0; i < OMMA_ATTENTION_OUTER; i++) p->outer[i] = sizes[i];
    p->m = sizes[M], p->n = sizes[N], p->d = sizes[D], p->dv = sizes[DV];
    p->scale = omma_node_float(n, "scale", 1);
    OMMA_TRY(omma_ints_attr(b, n, "dims", dims, OMMA_MAX_RANK, &rank));
    if (rank < 0) return omma_bad(b, n, "attribute 'dims' is missing");
    OMMA_TRY(omma_out(b, n, 0, OMMA_F32, rank, dims));
    if (!n->out[0]) return OMMA_OK;
    OMMA_TRY(read_at(b, n, "q", n->in[Q], p, p->m, p->d, &f->offset[Q], &p->q));
    OMMA_TRY(read_at(b, n, "k", n->in[K], p, p->n, p->d, &f->offset[K], &p->k));
    OMMA_TRY(read_at(b, n, "v", n->in[V], p, p->n, p->dv, &f->offset[V], &p->v));
    OMMA_TRY(read_at(b, n, "y", n->out[0], p, p->m, p->dv, &f->y_offset, &p->o));
    for (int i = 0; i < OMMA_ATTENTION_MASKS; i++)
        if (omma_in(n, MASK + i))
            OMMA_TRY(read_at(b, n, masks[i], n->in[MASK + i], p, p->m, p->n, &f->offset[MASK + i],
                             &p->mask[i]));
    if (p->o.col != 1 && p->dv != 1) return omma_bad(b, n, "rows of the output with gaps");
    return OMMA_OK;
}

static omma_status attention_prepare(omma_build *b, omma_node *n) {
    fused *f = (fused *)(uintptr_t)n->param;
    f->workers = omma_workers(b);
    if (!n->out[0]) return OMMA_OK;
    if (!omma_attention_scratch(b->kern, &f->p, f->workers, &n->scratch))
        return omma_bad(b, n, "its working memory overflows");
    return OMMA_OK;
}

static omma_status attention_run(const omma_exec *x, const omma_node *n) {
    const fused *f = n->param;
    omma_attention_data d = {0};
    if (!n->out[0]) return OMMA_OK;
    d.q = (const float *)n->in[Q]->mem + f->offset[Q];
    d.k = (const float *)n->in[K]->mem + f->offset[K];
    d.v = (const float *)n->in[V]->mem + f->offset[V];
    d.o = (float *)n->out[0]->mem + f->y_offset;
    for (int i = 0; i < OMMA_ATTENTION_MASKS; i++)
        if (omma_in(n, MASK + i))
            d.mask[i] = (const float *)n->in[MASK + i]->mem + f->offset[MASK + i];
    omma_attention_run(x->kern, x->threads < f->workers ? x->threads : f->workers, &f->p, &d,
                       n->work);
    return OMMA_OK;
}

static double attention_flops(const omma_node *n) {
    const omma_attention *p = &((const fused *)n->param)->p;
    return (double)p->outer[0] * (double)p->outer[1] * (double)p->outer[2] * (double)p->m *
           (double)p->n * (2 * (double)(p->d + p->dv) + 5);
}

const omma_op omma_op_FusedAttention = {.name = "omma.Attention",
                                        .min_in = 3,
                                        .max_in = 5,
                                        .min_out = 1,
                                        .max_out = 1,
                                        .infer = attention_infer,
                                        .prepare = attention_prepare,
                                        .run = attention_run,
                                        .flops = attention_flops,
                                        .no_grad = OMMA_MADE_LATE,
                                        .no_field = OMMA_MADE_LATE};

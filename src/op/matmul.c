/* matmul.c - MatMul and Gemm.
 *
 *   MatMul: a [..., M, K] x b [..., K, N] = y [..., M, N], leading axes broadcast; a vector
 *           on the left is a row, on the right a column, and its axis vanishes.
 *   Linear: MatMul with a bias of [N] added, and a value like y, which the passes make.
 *   Gemm:   y [M, N] = alpha * op(a) x op(b) + beta * c, op may transpose, c broadcasts.
 *
 * f32 goes to omma_gemm, which wants b packed: a constant b is packed once per session, any
 * other at run into working memory. Many small products (the heads of an attention) are
 * shared out whole, each with its own working memory; the bits are the same either way.
 * Other types take a plain loop, integers modulo 2^32 or 2^64. Sources: ONNX MatMul 1, 9,
 * 13; Gemm 7, 9, 11, 13; numpy.matmul. */
#include <string.h>

#include "base/checked.h"
#include "base/pages.h"
#include "base/pool.h"
#include "graph/scaled.h"
#include "op/fused.h"
#include "op/last_ops.h"
#include "op/product_grad.h"
#include "op/window.h"

/* What both operators come to: `batch` products. */
typedef struct product {
    int64_t m, n, k;
    int64_t batch;                 /* products, after a's rows were merged */
    int rank;                      /* of the batch shape */
    int64_t dims[OMMA_MAX_RANK];   /* the batch shape */
    int64_t a_step[OMMA_MAX_RANK]; /* strides over the batch [elements], 0 where broadcast */
    int64_t b_step[OMMA_MAX_RANK];
    int64_t b_batches;     /* different b */
    bool trans_a, trans_b; /* Gemm */
    float alpha, beta;     /* Gemm */
    int64_t c_row, c_col;  /* Gemm: strides of c, 0 where broadcast */
    omma_epilogue act;
    bool apart;           /* one whole product for a chunk */
    int workers;          /* threads the working memory is for */
    size_t panel, a_at;   /* bytes of one packed b; where the transposed a is */
    size_t room, room_at; /* working memory of one product, and where it begins */
} product;

static bool multiplies(omma_dtype t) {
    return omma_is_float(t) || t == OMMA_I32 || t == OMMA_I64 || t == OMMA_U32 || t == OMMA_U64;
}

static omma_status check_types(omma_build *b, const omma_node *n) {
    const omma_value *c = omma_in(n, 2);
    omma_dtype t = n->in[0]->dtype;
    if (!multiplies(t)) return omma_unsupported(b, n, "type %s", omma_dtype_name(t));
    if (n->in[1]->dtype != t || (c && c->dtype != t))
        return omma_bad(b, n, "its inputs must be of one type");
    return OMMA_OK;
}

/* --- shapes of MatMul ----------------------------------------------------------------- */

/* Strides of v over the batch shape; v's last two axes are a matrix of `size` numbers. */
static void batch_steps(const omma_value *v, int64_t size, const product *p, int64_t *step) {
    int own = v->rank > 2 ? v->rank - 2 : 0;
    int64_t s = size;
    for (int d = p->rank - 1, o = own - 1; d >= 0; d--, o--) {
        int64_t len = o >= 0 ? v->dims[o] : 1;
        step[d] = len == 1 ? 0 : s;
        s *= len;
    }
}

static omma_status broadcast_batch(omma_build *b, const omma_node *n, product *p) {
    const omma_value *v[2] = {n->in[0], n->in[1]};
    for (int i = 0; i < 2; i++)
        if (v[i]->rank - 2 > p->rank) p->rank = v[i]->rank - 2;
    for (int d = 0; d < p->rank; d++) {
        p->dims[d] = 1;
        for (int i = 0; i < 2; i++) {
            int own = d - (p->rank - (v[i]->rank - 2));
            int64_t len = own >= 0 && v[i]->rank > 2 ? v[i]->dims[own] : 1;
            if (len == 1) continue;
            if (p->dims[d] != 1 && p->dims[d] != len)
                return omma_bad(b, n, "the leading axes do not broadcast: %lld against %lld",
                                (long long)p->dims[d], (long long)len);
            p->dims[d] = len;
        }
    }
    return OMMA_OK;
}

/* Does a's memory hold its batches one after the other, all against the same b? */
static bool rows_merge(const product *p) {
    int64_t expect = p->m * p->k;
    for (int d = p->rank - 1; d >= 0; d--) {
        if (p->dims[d] == 1) continue;
        if (p->b_step[d] || p->a_step[d] != expect) return false;
        expect *= p->dims[d];
    }
    return true;
}

static omma_status matmul_shape(omma_build *b, const omma_node *n, product *p) {
    const omma_value *l = n->in[0], *r = n->in[1];
    if (l->rank < 1 || r->rank < 1)
        return omma_bad(b, n, "a scalar cannot be multiplied as a matrix");
    p->m = l->rank > 1 ? l->dims[l->rank - 2] : 1;
    p->k = l->dims[l->rank - 1];
    p->n = r->rank > 1 ? r->dims[r->rank - 1] : 1;
    int64_t k = r->rank > 1 ? r->dims[r->rank - 2] : r->dims[0];
    if (k != p->k)
        return omma_bad(b, n, "the inner sizes differ: %lld in '%s', %lld in '%s'", (long long)p->k,
                        l->name, (long long)k, r->name);
    OMMA_TRY(broadcast_batch(b, n, p));
    int64_t dims[OMMA_MAX_RANK + 2];
    int rank = p->rank;
    memcpy(dims, p->dims, (size_t)rank * sizeof *dims);
    if (l->rank > 1) dims[rank++] = p->m;
    if (r->rank > 1) dims[rank++] = p->n;
    int64_t all;
    if (!omma_dims_count(p->dims, p->rank, &p->batch) || !omma_dims_count(dims, rank, &all))
        return omma_bad(b, n, "the output's size overflows");
    return omma_out(b, n, 0, l->dtype, rank, dims);
}

static omma_status matmul_infer(omma_build *b, omma_node *n) {
    product *p = omma_param(b, n, sizeof *p);
    if (!p) return omma_nomem(b, n);
    OMMA_TRY(check_types(b, n));
    OMMA_TRY(matmul_shape(b, n, p));
    batch_steps(n->in[0], p->m * p->k, p, p->a_step);
    batch_steps(n->in[1], p->k * p->n, p, p->b_step);
    p->b_batches = 1;
    for (int d = 0; d < p->rank; d++)
        if (p->b_step[d]) p->b_batches *= p->dims[d];
    if (p->batch > 1 && rows_merge(p)) {
        p->m *= p->batch;
        p->batch = 1, p->rank = 0;
    }
    p->alpha = 1;
    return omma_fused_read(b, n, n->in[0]->dtype, &p->act);
}

/* MatMul, a bias for each column or NULL, and what else is added. */
static omma_status linear_infer(omma_build *b, omma_node *n) {
    const omma_value *c = n->in[2], *add = omma_in(n, 3);
    OMMA_TRY(matmul_infer(b, n));
    product *p = (product *)(uintptr_t)n->param;
    if (n->in[1]->rank < 2 || (c && (c->rank != 1 || c->dims[0] != p->n)))
        return omma_bad(b, n, "a bias of another size than the product has columns");
    if (add && (p->batch != 1 || add->dtype != OMMA_F32 ||
                omma_value_count(add) != omma_value_count(n->out[0])))
        return omma_bad(b, n, "'%s', which is added, is not of the product's size", add->name);
    p->beta = 1, p->c_col = 1;
    return OMMA_OK;
}

/* --- shapes of Gemm -------------------------------------------------------------------- */

static omma_status gemm_infer(omma_build *b, omma_node *n) {
    const omma_value *l = n->in[0], *r = n->in[1], *c = omma_in(n, 2);
    product *p = omma_param(b, n, sizeof *p);
    if (!p) return omma_nomem(b, n);
    OMMA_TRY(check_types(b, n));
    if (l->rank != 2 || r->rank != 2)
        return omma_bad(b, n, "matrices are needed, not ranks %d and %d", l->rank, r->rank);
    p->trans_a = omma_node_int(n, "transA", 0) != 0;
    p->trans_b = omma_node_int(n, "transB", 0) != 0;
    p->alpha = omma_node_float(n, "alpha", 1), p->beta = omma_node_float(n, "beta", 1);
    p->m = l->dims[p->trans_a], p->k = l->dims[!p->trans_a], p->n = r->dims[!p->trans_b];
    p->batch = p->b_batches = 1;
    if (r->dims[p->trans_b] != p->k)
        return omma_bad(b, n, "the inner sizes differ: %lld in '%s', %lld in '%s'", (long long)p->k,
                        l->name, (long long)r->dims[p->trans_b], r->name);
    if (c) {
        int64_t row = c->rank == 2 ? c->dims[0] : 1, col = c->rank ? c->dims[c->rank - 1] : 1;
        if (c->rank > 2 || (row != 1 && row != p->m) || (col != 1 && col != p->n))
            return omma_bad(b, n, "'%s' does not broadcast to [%lld, %lld]", c->name,
                            (long long)p->m, (long long)p->n);
        p->c_row = row == 1 ? 0 : col, p->c_col = col == 1 ? 0 : 1;
    }
    OMMA_TRY(omma_fused_read(b, n, l->dtype, &p->act));
    return omma_out(b, n, 0, l->dtype, 2, (int64_t[]){p->m, p->n});
}

static omma_status gemm_add_infer(omma_build *b, omma_node *n) {
    const omma_value *add = omma_in(n, 3);
    OMMA_TRY(gemm_infer(b, n));
    const product *p = n->param;
    if (add && (add->dtype != OMMA_F32 || omma_value_count(add) != p->m * p->n))
        return omma_bad(b, n, "'%s', which is added, is not of the product's size", add->name);
    return OMMA_OK;
}

/* --- f32 --------------------------------------------------------------------------------- */

/* Fewer multiplications than this are not worth sharing out one product. */
enum { SMALL_PRODUCT = 1 << 21 };
enum { SLICE = 256 << 10 }; /* [bytes] of a constant packed at a time */

static void pack_b(const omma_kernels *kern, const product *p, float *dst, const void *b,
                   int threads) {
    int64_t row = p->trans_b ? 1 : p->n, col = p->trans_b ? p->k : 1;
    omma_gemm_pack(kern, dst, b, row, col, p->k, p->n, threads);
}

/* As pack_b for a constant, in slices that are read from the file: the packed weights take the
 * place of the file's in memory and never stand beside them. Slices are whole panels where a
 * panel is one run of the file, else rows. The bits are pack_b's. */
typedef struct slices {
    const omma_kernels *kern;
    const product *p;
    float *dst;
    const char *b;
    int64_t line, end; /* a line of the file, and how many there are */
    int64_t step;      /* lines of a slice */
    char *room;        /* for a slice of each worker; NULL: they are read where they are */
} slices;

static size_t slice_bytes(const slices *s) { return (size_t)(s->step * s->line) * sizeof *s->dst; }

static void pack_slice(const slices *s, int64_t begin, int64_t end, int worker) {
    const product *p = s->p;
    const int64_t nr = s->kern->nr, lines = end - begin;
    const size_t bytes = (size_t)(lines * s->line) * sizeof *s->dst;
    const char *from = s->b + (size_t)(begin * s->line) * sizeof *s->dst, *at = from;
    if (s->room) {
        char *room = s->room + (size_t)worker * slice_bytes(s);
        omma_pages_copy(room, from, bytes);
        at = room;
    }
    if (p->trans_b) omma_gemm_pack(s->kern, s->dst + begin * p->k, at, 1, p->k, p->k, lines, 1);
    for (int64_t j = 0; j < p->n && !p->trans_b; j += nr)
        omma_gemm_pack(s->kern, s->dst + j * p->k + begin * nr, at + (size_t)j * sizeof *s->dst,
                       p->n, 1, lines, p->n - j < nr ? p->n - j : nr, 1);
    if (!s->room) omma_pages_give_back(from, bytes);
}

/* Items are slices. */
static void pack_some(void *arg, int64_t begin, int64_t end, int worker) {
    const slices *s = arg;
    for (int64_t i = begin; i < end; i++)
        pack_slice(s, i * s->step, s->end - i * s->step < s->step ? s->end : (i + 1) * s->step,
                   worker);
}

static slices cut_slices(const omma_build *b, const product *p) {
    slices s = {.kern = b->kern, .p = p};
    const int64_t nr = b->kern->nr;
    s.line = p->trans_b ? p->k : p->n, s.end = p->trans_b ? p->n : p->k;
    s.step = SLICE / (int64_t)sizeof *s.dst / s.line + 1;
    if (p->trans_b) s.step = (s.step + nr - 1) / nr * nr;
    if (s.step > s.end) s.step = s.end;
    return s;
}

static omma_status pack_constant(omma_build *b, omma_node *n, const product *p) {
    const omma_value *w = n->in[1];
    const char *form =
        omma_arena_printf(b->arena, "matmul%s %lld %lld", p->trans_b ? " transposed" : "",
                          (long long)p->k, (long long)p->n);
    size_t bytes;
    const void *from;
    slices s = cut_slices(b, p);
    if (!omma_mul(p->panel, (size_t)p->b_batches, &bytes))
        return omma_bad(b, n, "its packed weights overflow");
    if (b->staging && omma_pages_of_file(w->data)) {
        s.room = omma_staging_room(b->staging, (size_t)omma_workers(b) * slice_bytes(&s));
        if (!s.room) return omma_nomem(b, n);
    }
    char *packed = form ? omma_pack(b, w, form, bytes, &from) : NULL;
    if (!packed) return omma_nomem(b, n);
    for (int64_t i = 0; from && i < p->b_batches; i++) {
        s.dst = (float *)(void *)(packed + (size_t)i * p->panel);
        s.b = (const char *)from + (size_t)(i * p->k * p->n) * sizeof(float);
        omma_parallel(omma_workers(b), (s.end - 1) / s.step + 1, 1, pack_some, &s);
    }
    if (from) omma_pack_done(w);
    n->packed = packed;
    n->packed_in |= 1u << 1;
    return OMMA_OK;
}

static omma_status product_prepare(omma_build *b, omma_node *n) {
    product *p = (product *)n->param;
    size_t a_bytes = 0;
    if (n->in[0]->dtype != OMMA_F32 || !p->batch || !p->m || !p->n || !p->k) return OMMA_OK;
    if (!omma_packed_bytes(b->kern, p->k, p->n, &p->panel))
        return omma_bad(b, n, "its working memory overflows");
    p->workers = omma_workers(b);
    if (omma_in(n, 3)) n->in_place |= 1u << 3;
    p->apart = p->batch >= 4 * (int64_t)p->workers ||
               (p->batch > 1 && (double)p->m * (double)p->n * (double)p->k < SMALL_PRODUCT);
    size_t own = p->apart ? (size_t)p->workers : 1, bytes = 0;
    if (n->in[1]->data) OMMA_TRY(pack_constant(b, n, p));
    else if (!omma_mul(p->panel, own, &bytes))
        return omma_bad(b, n, "its working memory overflows");
    p->a_at = bytes;
    if (p->trans_a && !omma_dims_bytes((int64_t[]){p->m, p->k}, 2, sizeof(float), &a_bytes))
        return omma_bad(b, n, "its working memory overflows");
    p->room = omma_gemm_room(b->kern, p->apart ? 1 : p->workers, p->m, p->n, p->k, p->k);
    if (!omma_add(bytes, a_bytes, &bytes) || !omma_align_up(bytes, 64, &p->room_at) ||
        !omma_mul(p->room, own, &bytes) || !omma_add(p->room_at, bytes, &n->scratch))
        return omma_bad(b, n, "its working memory overflows");
    return OMMA_OK;
}

typedef struct product_job {
    const omma_exec *x;
    const product *p;
    const float *a, *b;
    const char *packed; /* all b packed, or NULL */
    char *work;
    float *y;
    omma_epilogue e;
} product_job;

static void one_product(const product_job *j, int64_t i, int threads, int worker) {
    const product *p = j->p;
    int64_t at[OMMA_MAX_RANK], a = 0, b = 0;
    omma_unravel(i, p->dims, p->rank, at);
    for (int d = 0; d < p->rank; d++) a += at[d] * p->a_step[d], b += at[d] * p->b_step[d];
    const float *panel;
    char *room = p->room ? j->work + p->room_at + (size_t)worker * p->room : NULL;
    if (j->packed) {
        panel = (const float *)(const void *)(j->packed + (size_t)(b / (p->k * p->n)) * p->panel);
    } else {
        float *own = (float *)(void *)(j->work + (size_t)worker * p->panel);
        pack_b(j->x->kern, p, own, j->b + b, threads);
        panel = own;
    }
    omma_gemm(j->x->kern, threads, p->m, p->n, p->k, j->a + a, p->k, panel, j->y + i * p->m * p->n,
              p->n, &j->e, room);
}

/* Items are whole products. */
static void whole_products(void *arg, int64_t begin, int64_t end, int worker) {
    for (int64_t i = begin; i < end; i++) one_product(arg, i, 1, worker);
}

static void run_products(product_job *j) {
    const product *p = j->p;
    const int threads = j->x->threads < p->workers ? j->x->threads : p->workers;
    if (p->apart) {
        omma_parallel(threads, p->batch, 1, whole_products, j);
        return;
    }
    for (int64_t i = 0; i < p->batch; i++) one_product(j, i, threads, 0);
}

/* y = act(alpha*y + beta*c) by rows, for what the epilogue of the product cannot do. */
typedef struct finish_job {
    const product *p;
    const float *c;
    float *y;
} finish_job;

static void finish_rows(void *arg, int64_t begin, int64_t end, int worker) {
    const finish_job *j = arg;
    const product *p = j->p;
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        for (int64_t k = 0; k < p->n; k++) {
            float v = p->alpha * j->y[i * p->n + k];
            if (j->c) v += p->beta * j->c[i * p->c_row + k * p->c_col];
            j->y[i * p->n + k] = omma_act_apply(&p->act, v);
        }
}

/* --- the plain loop ------------------------------------------------------------------------ */

typedef struct plain_job {
    const product *p;
    omma_dtype t;
    const void *a, *b, *c; /* c or NULL */
    void *y;
} plain_job;

static uint64_t get_whole(omma_dtype t, const void *p, int64_t i) {
    if (t == OMMA_I32 || t == OMMA_U32) return ((const uint32_t *)p)[i];
    return ((const uint64_t *)p)[i];
}

static void set_whole(omma_dtype t, void *p, int64_t i, uint64_t v) {
    if (t == OMMA_I32 || t == OMMA_U32) ((uint32_t *)p)[i] = (uint32_t)v;
    else ((uint64_t *)p)[i] = v;
}

/* Result at `out` from the dot product of a's and b's runs. */
static void plain_whole(const plain_job *j, int64_t out, int64_t a, int64_t sa, int64_t b,
                        int64_t sb, int64_t c) {
    const product *p = j->p;
    uint64_t sum = 0;
    for (int64_t i = 0; i < p->k; i++)
        sum += get_whole(j->t, j->a, a + i * sa) * get_whole(j->t, j->b, b + i * sb);
    set_whole(j->t, j->y, out, sum);
    if (p->alpha == 1 && (!j->c || p->beta == 1)) {
        if (j->c) set_whole(j->t, j->y, out, sum + get_whole(j->t, j->c, c));
        return;
    }
    double v = (double)p->alpha * omma_get_number(j->t, j->y, out);
    if (j->c) v += (double)p->beta * omma_get_number(j->t, j->c, c);
    omma_set_number(j->t, j->y, out, v);
}

static void plain_float(const plain_job *j, int64_t out, int64_t a, int64_t sa, int64_t b,
                        int64_t sb, int64_t c) {
    const product *p = j->p;
    double sum = 0;
    for (int64_t i = 0; i < p->k; i++)
        sum += omma_number(j->t, j->a, a + i * sa) * omma_number(j->t, j->b, b + i * sb);
    if (p->alpha != 1) sum *= (double)p->alpha;
    if (j->c) sum += (double)p->beta * omma_number(j->t, j->c, c);
    if (p->act.act) sum = (double)omma_act_apply(&p->act, (float)sum);
    omma_set_number(j->t, j->y, out, sum);
}

/* Items are rows of all products. */
static void plain_rows(void *arg, int64_t begin, int64_t end, int worker) {
    const plain_job *j = arg;
    const product *p = j->p;
    (void)worker;
    for (int64_t r = begin; r < end; r++) {
        int64_t at[OMMA_MAX_RANK], i = r % p->m, a = 0, b = 0;
        omma_unravel(r / p->m, p->dims, p->rank, at);
        for (int d = 0; d < p->rank; d++) a += at[d] * p->a_step[d], b += at[d] * p->b_step[d];
        a += p->trans_a ? i : i * p->k;
        for (int64_t k = 0; k < p->n; k++) {
            int64_t bk = b + (p->trans_b ? k * p->k : k), c = i * p->c_row + k * p->c_col;
            int64_t sa = p->trans_a ? p->m : 1, sb = p->trans_b ? 1 : p->n;
            if (omma_is_float(j->t)) plain_float(j, r * p->n + k, a, sa, bk, sb, c);
            else plain_whole(j, r * p->n + k, a, sa, bk, sb, c);
        }
    }
}

/* --- running --------------------------------------------------------------------------------- */

static const float *transposed_a(const product *p, const float *a, float *dst) {
    for (int64_t k = 0; k < p->k; k++)
        for (int64_t m = 0; m < p->m; m++) dst[m * p->k + k] = a[k * p->m + m];
    return dst;
}

static void run_f32(const omma_exec *x, const omma_node *n, const float *c) {
    const product *p = n->param;
    product_job j = {x,
                     p,
                     n->in[0]->mem,
                     n->in[1]->mem,
                     n->packed_in & 1u << 1 ? n->packed : NULL,
                     n->work,
                     n->out[0]->mem,
                     p->act};
    if (omma_in(n, 3)) j.e.add = n->in[3]->mem, j.e.add_ld = p->n;
    bool in_place = p->alpha == 1 && (!c || (p->beta == 1 && (!p->c_row || !p->c_col)));
    if (p->trans_a) j.a = transposed_a(p, j.a, (float *)(void *)(j.work + p->a_at));
    if (in_place && c && p->c_col) j.e.col_bias = c;
    else if (in_place && c && p->c_row) j.e.row_bias = c;
    else if (c || !in_place) in_place = false, j.e = (omma_epilogue){.act = OMMA_ACT_NONE};
    run_products(&j);
    finish_job f = {p, c, j.y};
    if (!in_place) omma_parallel(x->threads, p->m, 1 + 16384 / p->n, finish_rows, &f);
}

static omma_status product_run(const omma_exec *x, const omma_node *n) {
    const product *p = n->param;
    const omma_value *c = omma_in(n, 2);
    omma_value *y = n->out[0];
    if (!y || !omma_value_count(y)) return OMMA_OK;
    if (y->dtype == OMMA_F32 && p->k) {
        run_f32(x, n, c ? c->mem : NULL);
        return OMMA_OK;
    }
    plain_job j = {p, y->dtype, n->in[0]->mem, n->in[1]->mem, c ? c->mem : NULL, y->mem};
    omma_parallel(x->threads, p->batch * p->m, 1, plain_rows, &j);
    return OMMA_OK;
}

static double product_flops(const omma_node *n) {
    const product *p = n->param;
    return 2.0 * (double)p->batch * (double)p->m * (double)p->n * (double)p->k;
}

/* --- the readings in reverse ------------------------------------------------------------------ */

static omma_status check_plain(omma_build *b, const omma_node *n) {
    const product *p = n->param;
    if (p->act.act)
        return omma_unsupported(b, n, "a fused activation is differentiated before it is fused");
    return OMMA_OK;
}

static omma_status matmul_grad(omma_grad *g, const omma_node *n) {
    omma_value *dy = omma_grad_out(g, n, 0), *a = n->in[0], *b = n->in[1];
    OMMA_TRY(check_plain(g->m.b, n));
    if (omma_grad_wants(g, n, 0))
        OMMA_TRY(omma_grad_add(g, n, 0, omma_product_grad_left(&g->m, dy, b, a)));
    if (!omma_grad_wants(g, n, 1)) return OMMA_OK;
    return omma_grad_add(g, n, 1, omma_product_grad_right(&g->m, dy, a, b));
}

/* alpha * op(l) x op(r) */
static omma_value *scaled_product(omma_maker *m, float alpha, omma_value *l, bool turn_l,
                                  omma_value *r, bool turn_r) {
    const omma_attr attrs[] = {OMMA_A_FLOAT("alpha", alpha), OMMA_A_INT("transA", turn_l),
                               OMMA_A_INT("transB", turn_r)};
    return omma_make(m, "Gemm", (omma_value *[]){l, r}, 2, attrs, 3);
}

/* With a and b as they are: da = alpha dy bT and db = alpha aT dy; one that is turned has the
 * turned gradient. */
static omma_status gemm_grad(omma_grad *g, const omma_node *n) {
    const product *p = n->param;
    omma_maker *m = &g->m;
    omma_value *dy = omma_grad_out(g, n, 0), *a = n->in[0], *b = n->in[1];
    OMMA_TRY(check_plain(m->b, n));
    if (omma_grad_wants(g, n, 0))
        OMMA_TRY(omma_grad_add(g, n, 0,
                               p->trans_a
                                   ? scaled_product(m, p->alpha, b, p->trans_b, dy, true)
                                   : scaled_product(m, p->alpha, dy, false, b, !p->trans_b)));
    if (omma_grad_wants(g, n, 1))
        OMMA_TRY(omma_grad_add(g, n, 1,
                               p->trans_b
                                   ? scaled_product(m, p->alpha, dy, true, a, p->trans_a)
                                   : scaled_product(m, p->alpha, a, !p->trans_a, dy, false)));
    if (!omma_grad_wants(g, n, 2)) return OMMA_OK;
    omma_value *dc = omma_make_fitted(m, dy, n->in[2]);
    return omma_grad_add(g, n, 2, p->beta == 1 ? dc : omma_make_scaled(m, dc, (double)p->beta));
}

static omma_status gemm_field(omma_field *f, const omma_node *n) {
    const product *p = n->param;
    omma_relation *r = omma_field_relate(f, 0, 0);
    if (r) omma_relation_same(r, p->trans_a, 0);
    r = omma_field_relate(f, 0, 1);
    if (r) omma_relation_same(r, !p->trans_b, 1);
    return omma_field_broadcast(f, 0, 2, OMMA_PATH_VALUE);
}

const omma_op omma_op_MatMul = {.name = "MatMul",
                                .min_in = 2,
                                .max_in = 2,
                                .min_out = 1,
                                .max_out = 1,
                                .infer = matmul_infer,
                                .prepare = product_prepare,
                                .run = product_run,
                                .flops = product_flops,
                                .grad = matmul_grad,
                                .field = omma_product_field};

const omma_op omma_op_Linear = {.name = "omma.Linear",
                                .min_in = 2,
                                .max_in = 4,
                                .min_out = 1,
                                .max_out = 1,
                                .infer = linear_infer,
                                .prepare = product_prepare,
                                .run = product_run,
                                .flops = product_flops,
                                .no_grad = OMMA_MADE_LATE,
                                .no_field = OMMA_MADE_LATE};

const omma_op omma_op_Gemm = {.name = "Gemm",
                              .min_in = 2,
                              .max_in = 3,
                              .min_out = 1,
                              .max_out = 1,
                              .infer = gemm_infer,
                              .prepare = product_prepare,
                              .run = product_run,
                              .flops = product_flops,
                              .grad = gemm_grad,
                              .field = gemm_field};

const omma_op omma_op_GemmAdd = {.name = "omma.GemmAdd",
                                 .min_in = 2,
                                 .max_in = 4,
                                 .min_out = 1,
                                 .max_out = 1,
                                 .infer = gemm_add_infer,
                                 .prepare = product_prepare,
                                 .run = product_run,
                                 .flops = product_flops,
                                 .no_grad = OMMA_MADE_LATE,
                                 .no_field = OMMA_MADE_LATE};

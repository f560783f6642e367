/* det.c - Det: the determinant of every matrix of a stack.
 *
 *   x: [..., M, M] of floats   y: [...]
 *
 * By elimination with the largest pivot of a column, in double. Of no rows it is 1.
 * Source: ONNX Det 11, 22. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "op/element.h"
#include "op/field.h"
#include "op/grad.h"

typedef struct det {
    int64_t m, count;
    size_t each; /* bytes of working memory of a worker */
    int workers;
} det;

static omma_status infer_matrices(omma_build *b, omma_node *n) {
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_FLOAT));
    const omma_value *x = n->in[0];
    if (x->rank < 2 || x->dims[x->rank - 1] != x->dims[x->rank - 2])
        return omma_bad(b, n, "'%s' holds no square matrices", x->name);
    det *d = omma_param(b, n, sizeof *d);
    if (!d) return omma_nomem(b, n);
    d->m = x->dims[x->rank - 1];
    if (!omma_dims_count(x->dims, x->rank - 2, &d->count))
        return omma_bad(b, n, "the size overflows");
    return OMMA_OK;
}

static omma_status infer(omma_build *b, omma_node *n) {
    OMMA_TRY(infer_matrices(b, n));
    return omma_out(b, n, 0, n->in[0]->dtype, n->in[0]->rank - 2, n->in[0]->dims);
}

static omma_status prepare(omma_build *b, omma_node *n) {
    det *d = (det *)n->param;
    d->workers = omma_workers(b);
    if (!d->count) return OMMA_OK;
    if (!omma_dims_bytes((int64_t[]){d->m, d->m}, 2, sizeof(double), &d->each) ||
        !omma_align_up(d->each, 64, &d->each) ||
        !omma_mul(d->each, (size_t)d->workers, &n->scratch))
        return omma_bad(b, n, "its working memory overflows");
    return OMMA_OK;
}

/* a: [m, m], overwritten. */
static double eliminate(double *a, int64_t m) {
    double product = 1;
    for (int64_t c = 0; c < m; c++) {
        int64_t pivot = c;
        for (int64_t r = c + 1; r < m; r++)
            if (fabs(a[r * m + c]) > fabs(a[pivot * m + c])) pivot = r;
        if (pivot != c) {
            product = -product;
            for (int64_t k = c; k < m; k++) {
                const double t = a[c * m + k];
                a[c * m + k] = a[pivot * m + k], a[pivot * m + k] = t;
            }
        }
        const double top = a[c * m + c];
        product *= top;
        if (top == 0) return product;
        for (int64_t r = c + 1; r < m; r++) {
            const double by = a[r * m + c] / top;
            for (int64_t k = c + 1; k < m; k++) a[r * m + k] -= by * a[c * m + k];
        }
    }
    return product;
}

/* Items are matrices. */
static void matrices(void *arg, int64_t begin, int64_t end, int worker) {
    const omma_node *n = arg;
    const det *d = n->param;
    const omma_value *x = n->in[0], *y = n->out[0];
    double *a = (double *)(void *)((char *)n->work + (size_t)worker * d->each);
    for (int64_t i = begin; i < end; i++) {
        for (int64_t k = 0; k < d->m * d->m; k++)
            a[k] = omma_get_number(x->dtype, x->mem, i * d->m * d->m + k);
        omma_set_number(y->dtype, y->mem, i, eliminate(a, d->m));
    }
}

static omma_status run(const omma_exec *x, const omma_node *n) {
    const det *d = n->param;
    if (omma_wanted(n, 0))
        omma_parallel(x->threads < d->workers ? x->threads : d->workers, d->count, 1, matrices,
                      (void *)(uintptr_t)n);
    return OMMA_OK;
}

static double flops(const omma_node *n) {
    const det *d = n->param;
    return (double)d->count * (double)d->m * (double)d->m * (double)d->m * 2 / 3;
}

/* --- cofactors ------------------------------------------------------------------------------ */

/* The derivative of det(A) by A: its cofactors, det(A) A^-T where there is an inverse. They exist
 * where there is none, so nothing is divided by the last pivot: with the largest pivot of what is
 * left chosen each time, P A Q = L U, and with the last column and row of U apart,
 *
 *     U = [V b; 0 e]   adj(U) = det(V) [e V^-1, -V^-1 b; 0, 1]   adj(A) = +-Q adj(U) L^-1 P
 *
 * A matrix whose rank is less by two or more has none but zeros. */
typedef struct elimination {
    int64_t m;
    double *a, *adj;       /* [m, m]: L and U in one; adj(U) L^-1 */
    int64_t *row, *column; /* which of A's are at a place */
} elimination;

static void swap(double *x, double *y) {
    const double t = *x;
    *x = *y, *y = t;
}

/* Bring the largest number of what is left to place c; returns the sign. */
static double choose(const elimination *w, int64_t c) {
    const int64_t m = w->m;
    int64_t r = c, k = c;
    for (int64_t i = c; i < m; i++)
        for (int64_t j = c; j < m; j++)
            if (fabs(w->a[i * m + j]) > fabs(w->a[r * m + k])) r = i, k = j;
    for (int64_t j = 0; j < m && r != c; j++) swap(&w->a[r * m + j], &w->a[c * m + j]);
    for (int64_t i = 0; i < m && k != c; i++) swap(&w->a[i * m + k], &w->a[i * m + c]);
    const int64_t row = w->row[r], column = w->column[k];
    w->row[r] = w->row[c], w->row[c] = row;
    w->column[k] = w->column[c], w->column[c] = column;
    return (r != c) == (k != c) ? 1 : -1;
}

/* L U in place; returns +-det(V), 0 where V has no inverse. */
static double factor(const elimination *w) {
    const int64_t m = w->m;
    double product = 1;
    for (int64_t c = 0; c < m; c++) {
        product *= choose(w, c);
        const double top = w->a[c * m + c];
        if (c == m - 1) break;
        product *= top;
        if (top == 0) return 0;
        for (int64_t r = c + 1; r < m; r++) {
            const double by = w->a[r * m + c] /= top;
            for (int64_t k = c + 1; k < m; k++) w->a[r * m + k] -= by * w->a[c * m + k];
        }
    }
    return product;
}

/* Column j of adj(U) / det(V). */
static void adjoint_column(const elimination *w, int64_t j) {
    const int64_t m = w->m, last = m - 1;
    const double e = w->a[last * m + last];
    for (int64_t i = last; i >= 0; i--) {
        double *x = &w->adj[i * m + j];
        if (i == last) {
            *x = j == last;
            continue;
        }
        *x = j == last ? -w->a[i * m + last] : i == j ? e : 0;
        for (int64_t k = i + 1; k < last; k++) *x -= w->a[i * m + k] * w->adj[k * m + j];
        *x /= w->a[i * m + i];
    }
}

/* adj = adj(U) L^-1: its columns from the last, each less what the ones behind give. */
static void adjoint(const elimination *w) {
    const int64_t m = w->m;
    for (int64_t j = 0; j < m; j++) adjoint_column(w, j);
    for (int64_t j = m - 1; j >= 0; j--)
        for (int64_t k = j + 1; k < m; k++)
            for (int64_t i = 0; i < m; i++)
                w->adj[i * m + j] -= w->adj[i * m + k] * w->a[k * m + j];
}

static elimination work_of(const omma_node *n, int worker) {
    const det *d = n->param;
    double *a = (double *)(void *)((char *)n->work + (size_t)worker * d->each);
    int64_t *places = (int64_t *)(void *)(a + 2 * d->m * d->m);
    return (elimination){d->m, a, a + d->m * d->m, places, places + d->m};
}

/* Items are matrices. */
static void cofactors(void *arg, int64_t begin, int64_t end, int worker) {
    const omma_node *n = arg;
    const omma_value *x = n->in[0], *y = n->out[0];
    const elimination w = work_of(n, worker);
    const int64_t m = w.m;
    for (int64_t i = begin * m * m; i < end * m * m; i += m * m) {
        for (int64_t k = 0; k < m * m; k++) w.a[k] = omma_get_number(x->dtype, x->mem, i + k);
        for (int64_t k = 0; k < m; k++) w.row[k] = w.column[k] = k;
        const double det_v = factor(&w);
        if (det_v != 0) adjoint(&w);
        for (int64_t r = 0; r < m; r++) /* adj is the cofactors turned */
            for (int64_t c = 0; c < m; c++)
                omma_set_number(y->dtype, y->mem, i + w.row[r] * m + w.column[c],
                                det_v != 0 ? det_v * w.adj[c * m + r] : 0);
    }
}

static omma_status cofactors_infer(omma_build *b, omma_node *n) {
    OMMA_TRY(infer_matrices(b, n));
    return omma_out_like(b, n, 0, n->in[0]);
}

static omma_status cofactors_prepare(omma_build *b, omma_node *n) {
    det *d = (det *)n->param;
    d->workers = omma_workers(b);
    if (!d->count) return OMMA_OK;
    if (!omma_dims_bytes((int64_t[]){2, d->m, d->m + 1}, 3, sizeof(double), &d->each) ||
        !omma_align_up(d->each, 64, &d->each) ||
        !omma_mul(d->each, (size_t)d->workers, &n->scratch))
        return omma_bad(b, n, "its working memory overflows");
    return OMMA_OK;
}

static omma_status cofactors_run(const omma_exec *x, const omma_node *n) {
    const det *d = n->param;
    if (omma_wanted(n, 0) && d->m)
        omma_parallel(x->threads < d->workers ? x->threads : d->workers, d->count, 1, cofactors,
                      (void *)(uintptr_t)n);
    return OMMA_OK;
}

static double cofactors_flops(const omma_node *n) { return 3 * flops(n); }

static const omma_op omma_op_Cofactors = {.name = "omma.Cofactors",
                                          .min_in = 1,
                                          .max_in = 1,
                                          .min_out = 1,
                                          .max_out = 1,
                                          .infer = cofactors_infer,
                                          .prepare = cofactors_prepare,
                                          .run = cofactors_run,
                                          .flops = cofactors_flops,
                                          .no_grad = "the gradient of a gradient is not built",
                                          .no_field = "the gradient of a gradient is not built"};

/* --- the readings in reverse ------------------------------------------------------------------ */

static omma_status grad(omma_grad *g, const omma_node *n) {
    omma_maker *m = &g->m;
    omma_value *x = n->in[0], *dy = omma_grad_out(g, n, 0);
    int64_t dims[OMMA_MAX_RANK];
    const omma_node *made = omma_make_node(m, &omma_op_Cofactors, n->opset, &x, 1, NULL, 0, 1);
    memcpy(dims, x->dims, sizeof dims);
    dims[x->rank - 1] = dims[x->rank - 2] = 1;
    dy = omma_make_reshape(m, dy, x->rank, dims);
    return omma_grad_add(g, n, 0, omma_make_2(m, "Mul", dy, made ? made->out[0] : NULL));
}

static omma_status field(omma_field *f, const omma_node *n) {
    omma_relation *r = omma_field_relate(f, 0, 0);
    (void)n;
    for (int d = 0; r && d < r->in_rank - 2; d++) omma_relation_same(r, d, d);
    return f->status;
}

const omma_op omma_op_Det = {.name = "Det",
                             .min_in = 1,
                             .max_in = 1,
                             .min_out = 1,
                             .max_out = 1,
                             .infer = infer,
                             .prepare = prepare,
                             .run = run,
                             .flops = flops,
                             .grad = grad,
                             .field = field};

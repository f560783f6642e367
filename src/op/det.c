/* det.c - Det: the determinant of every matrix of a stack.
 *
 *   x: [..., M, M] of floats   y: [...]
 *
 * By elimination with the largest pivot of a column, in double. Of no rows it is 1.
 * Source: ONNX Det 11, 22. */
#include <math.h>

#include "base/checked.h"
#include "base/pool.h"
#include "op/element.h"

typedef struct det {
    int64_t m, count;
    size_t each; /* bytes of working memory of a worker */
    int workers;
} det;

static omma_status infer(omma_build *b, omma_node *n) {
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_FLOAT));
    const omma_value *x = n->in[0];
    if (x->rank < 2 || x->dims[x->rank - 1] != x->dims[x->rank - 2])
        return omma_bad(b, n, "'%s' holds no square matrices", x->name);
    det *d = omma_param(b, n, sizeof *d);
    if (!d) return omma_nomem(b, n);
    d->m = x->dims[x->rank - 1];
    if (!omma_dims_count(x->dims, x->rank - 2, &d->count))
        return omma_bad(b, n, "the size overflows");
    return omma_out(b, n, 0, x->dtype, x->rank - 2, x->dims);
}

static omma_status prepare(omma_build *b, omma_node *n) {
    det *d = (det *)n->param;
    d->workers = omma_workers(b);
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

const omma_op omma_op_Det = {.name = "Det",
                             .min_in = 1,
                             .max_in = 1,
                             .min_out = 1,
                             .max_out = 1,
                             .infer = infer,
                             .prepare = prepare,
                             .run = run,
                             .flops = flops,
                             .no_grad = OMMA_NOT_YET,
                             .no_field = OMMA_NOT_YET};

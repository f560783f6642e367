/* dense.c - see dense.h. */
#include "field/dense.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/pool.h"

enum { ROWS = 16, DEPTH = 64 }; /* of a chunk; of what of b stays in the cache meanwhile */

/* c += sum_k a_k b_k of `depth` rows of b, [n] each, from the first to the last: four at a time,
 * which is the same sum with c read and written less often. */
static void row(double *c, const double *a, int64_t step, const double *b, int64_t depth,
                int64_t n) {
    int64_t k = 0;
    for (; k + 4 <= depth; k += 4) {
        const double a0 = a[k * step], a1 = a[(k + 1) * step], a2 = a[(k + 2) * step],
                     a3 = a[(k + 3) * step];
        const double *b0 = b + k * n, *b1 = b0 + n, *b2 = b1 + n, *b3 = b2 + n;
        for (int64_t j = 0; j < n; j++)
            c[j] = c[j] + a0 * b0[j] + a1 * b1[j] + a2 * b2[j] + a3 * b3[j];
    }
    for (; k < depth; k++)
        for (int64_t j = 0; j < n; j++) c[j] += a[k * step] * b[k * n + j];
}

/* Every element is a sum over k from 0 up, whatever the chunks. */
static void rows(void *arg, int64_t begin, int64_t end, int worker) {
    const omma_product *p = arg;
    const int64_t down = p->turned ? 1 : p->k, along = p->turned ? p->m : 1;
    (void)worker;
    if (!p->add) memset(p->c + begin * p->n, 0, (size_t)((end - begin) * p->n) * sizeof *p->c);
    for (int64_t k = 0; k < p->k; k += DEPTH)
        for (int64_t i = begin; i < end; i++)
            row(p->c + i * p->n, p->a + i * down + k * along, along, p->b + k * p->n,
                p->k - k < DEPTH ? p->k - k : DEPTH, p->n);
}

void omma_dense_product(const omma_product *p) {
    const bool small = (double)p->m * (double)p->k * (double)p->n < 1e5;
    omma_product job = *p;
    if (p->m > 0) omma_parallel(small ? 1 : omma_threads_default(), p->m, ROWS, rows, &job);
}

void omma_dense_identity(double *a, int64_t n) {
    memset(a, 0, (size_t)(n * n) * sizeof *a);
    for (int64_t i = 0; i < n; i++) a[i * n + i] = 1;
}

omma_status omma_dense_alloc(double **out, omma_arena *arena, const int64_t *dims, int rank,
                             const char *name, omma_error *err) {
    int64_t count;
    for (int i = 0; i < rank; i++)
        if (dims[i] < 1)
            return omma_fail(err, OMMA_E_RANGE, "%s: a size is %lld, it must be 1 or more", name,
                             (long long)dims[i]);
    if (!omma_dims_count(dims, rank, &count))
        return omma_fail(err, OMMA_E_RANGE, "%s: the product of its sizes is too large", name);
    *out = omma_arena_array(arena, (size_t)count, sizeof **out);
    return *out ? OMMA_OK : omma_fail(err, OMMA_E_NOMEM, "%s: no memory", name);
}

/* --- singular values -------------------------------------------------------------------------- */

typedef struct bidiagonal {
    double *a; /* [m, n] */
    int64_t m, n;
    double *off;  /* [2 n - 1]: diagonal and what is right of it, in turn: the off-diagonal of
                     the tridiagonal matrix */
    double *v;    /* [m] the reflection at hand, I - v v^T */
    double *sums; /* [n] */
} bidiagonal;

/* v becomes the reflection (|v|^2 = 2, or all zero) that takes n numbers to (the result, 0, 0, ..).
 */
static double reflection(double *v, int64_t n) {
    double square = 0;
    for (int64_t i = 0; i < n; i++) square += v[i] * v[i];
    if (square < 1e-280) return 0; /* of a matrix of norm 1: nothing, and no scale would do */
    const double to = v[0] > 0 ? -sqrt(square) : sqrt(square);
    v[0] -= to;
    const double scale = 1 / sqrt(square - to * (v[0] + to)); /* |v|^2 / 2 = |x|^2 - to x0 */
    for (int64_t i = 0; i < n; i++) v[i] *= scale;
    return to;
}

/* Column k to zero below the diagonal, by a reflection of rows from k. */
static void from_left(bidiagonal *b, int64_t k) {
    const int64_t n = b->n, count = b->m - k, first = k + 1;
    double *a = b->a + k * n;
    for (int64_t i = 0; i < count; i++) b->v[i] = a[i * n + k];
    b->off[2 * k] = reflection(b->v, count);
    for (int64_t j = first; j < n; j++) b->sums[j] = 0;
    for (int64_t i = 0; i < count; i++)
        for (int64_t j = first; j < n; j++) b->sums[j] += b->v[i] * a[i * n + j];
    for (int64_t i = 0; i < count; i++)
        for (int64_t j = first; j < n; j++) a[i * n + j] -= b->v[i] * b->sums[j];
}

/* Row k to zero behind the number right of the diagonal. */
static void from_right(bidiagonal *b, int64_t k) {
    const int64_t n = b->n, count = n - k - 1;
    memcpy(b->v, b->a + k * n + k + 1, (size_t)count * sizeof *b->v);
    b->off[2 * k + 1] = reflection(b->v, count);
    for (int64_t i = k + 1; i < b->m; i++) {
        double sum = 0, *a = b->a + i * n + k + 1;
        for (int64_t j = 0; j < count; j++) sum += b->v[j] * a[j];
        for (int64_t j = 0; j < count; j++) a[j] -= b->v[j] * sum;
    }
}

/* How many singular values lie below x > 0: n eigenvalues are their negatives. */
static int64_t below(const bidiagonal *b, double x) {
    int64_t count = 0;
    double q = -x;
    for (int64_t i = 0; i < 2 * b->n; i++) {
        if (i > 0) q = -x - b->off[i - 1] * b->off[i - 1] / q;
        if (fabs(q) < 1e-290) q = -1e-290;
        count += q < 0;
    }
    return count - b->n;
}

/* The k-th from below, k from 0, of numbers in [0, 1]. */
static double bisect(const bidiagonal *b, int64_t k) {
    double low = 0, high = 1 + 1e-12;
    for (int i = 0; i < 56; i++) {
        const double mid = (low + high) / 2;
        if (below(b, mid) > k) high = mid;
        else low = mid;
    }
    return (low + high) / 2;
}

static omma_status singular(double *s, bidiagonal *b, omma_arena *tmp, omma_error *err) {
    const int64_t all = b->m * b->n;
    double most = 0, square = 0;
    OMMA_TRY(omma_dense_alloc(&b->off, tmp, (int64_t[]){2 * b->n}, 1, "singular values", err));
    OMMA_TRY(omma_dense_alloc(&b->v, tmp, &b->m, 1, "singular values", err));
    OMMA_TRY(omma_dense_alloc(&b->sums, tmp, &b->n, 1, "singular values", err));
    for (int64_t i = 0; i < all; i++) most = fmax(most, fabs(b->a[i]));
    for (int64_t i = 0; i < all && most > 0; i++) square += (b->a[i] / most) * (b->a[i] / most);
    const double size = most * sqrt(square); /* none is larger */
    for (int64_t i = 0; i < all && size > 0; i++) b->a[i] /= size;
    for (int64_t k = 0; k < b->n; k++) {
        from_left(b, k);
        if (k + 1 < b->n) from_right(b, k);
    }
    for (int64_t k = 0; k < b->n; k++) s[b->n - 1 - k] = size * bisect(b, k);
    return OMMA_OK;
}

omma_status omma_dense_singular(double *s, double *a, int64_t m, int64_t n, omma_arena *arena,
                                omma_error *err) {
    omma_arena tmp;
    omma_arena_init(&tmp, arena->budget);
    bidiagonal b = {.a = a, .m = m, .n = n};
    const omma_status status = singular(s, &b, &tmp, err);
    omma_arena_free(&tmp);
    return status;
}

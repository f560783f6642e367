/* fourier.c - DFT and STFT: the discrete Fourier transform along an axis, and of frames of a
 * signal.
 *
 *   DFT   x: [..., L, ..., 1 or 2], the last axis real numbers or (real, imaginary)
 *         y: [..., N or N/2+1, ..., 2]; with inverse and onesided [..., N, ..., 1]
 *   STFT  x: [B, L, 1 or 2]   step, frame length: one integer   window: [N], optional
 *         y: [B, frames, N or N/2+1, 2]
 *
 *     Y[k] = sum_i X[i] exp(-2 pi i k i / N), inverse: with +, over N
 *
 * N is dft_length, by default L: x is cut or filled up with zeros. onesided gives (inverse: takes)
 * the first N/2+1 numbers, which tell the others of real data; N is then 2 (L - 1) by default.
 *
 * A transform of N numbers is split by its smallest prime factor, again and again; a prime one
 * is summed up. In double. Source: ONNX DFT 17, 20; STFT 17; Cooley and Tukey, 1965. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "op/element.h"

enum { MOST = 1 << 24 }; /* numbers of a transform: their table must not eat the machine */

typedef struct complex_number {
    double re, im;
} number;

typedef struct fourier {
    bool inverse, real_out;
    int64_t n, give;      /* length of a transform; its numbers that are given out */
    int64_t take;         /* numbers read */
    bool mirrored;        /* the others are their mirror image, not zeros */
    int64_t parts;        /* 1 or 2: the last axis of x */
    int64_t lines, inner; /* DFT: transforms; numbers (of parts) under the axis */
    int64_t len;          /* of the axis in x */
    int64_t frames, step; /* STFT */
    const number *root;   /* [n], exp(-2 pi i k / n), or + for the inverse */
    size_t each;          /* bytes of a worker's three arrays of n */
    int workers;
} fourier;

static int64_t smallest_factor(int64_t n) {
    if (n % 2 == 0) return 2;
    for (int64_t p = 3; p <= n / p; p += 2)
        if (n % p == 0) return p;
    return n;
}

static number product(number a, number b) {
    return (number){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

/* y = the transform of every stride-th of n numbers of x; root k of it is f->root[k * stride].
 * t: room for a factor of n. */
static void transform(const fourier *f, int64_t n, int64_t stride, const number *x, number *y,
                      number *t) {
    if (n == 1) {
        *y = *x;
        return;
    }
    const int64_t p = smallest_factor(n), m = n / p;
    for (int64_t r = 0; r < p; r++) transform(f, m, stride * p, x + r * stride, y + r * m, t);
    for (int64_t k = 0; k < m; k++) {
        for (int64_t r = 0; r < p; r++) t[r] = y[r * m + k];
        for (int64_t q = 0; q < p; q++) {
            number sum = t[0];
            int64_t turn = 0; /* r (k + q m) mod n */
            for (int64_t r = 1; r < p; r++) {
                turn += k + q * m;
                if (turn >= n) turn -= n;
                const number v = product(t[r], f->root[turn * stride]);
                sum.re += v.re, sum.im += v.im;
            }
            y[q * m + k] = sum;
        }
    }
}

/* --- shapes ------------------------------------------------------------------- */

/* One integer, constant; *found false when it is left out. */
static omma_status one_integer(omma_build *b, const omma_node *n, int i, int64_t *out,
                               bool *found) {
    int count;
    OMMA_TRY(omma_ints_in(b, n, i, out, 1, &count));
    *found = count == 1;
    return count ? OMMA_OK : omma_bad(b, n, "input %d holds no number", i);
}

static omma_status check_parts(omma_build *b, const omma_node *n, fourier *f) {
    const omma_value *x = n->in[0];
    f->parts = x->rank ? x->dims[x->rank - 1] : 0;
    if (x->rank < 2 || (f->parts != 1 && f->parts != 2))
        return omma_bad(b, n, "the last axis of '%s' must hold 1 or 2 numbers", x->name);
    return OMMA_OK;
}

static omma_status DFT_infer(omma_build *b, omma_node *n) {
    int64_t axis = n->opset < 20 ? omma_node_int(n, "axis", 1) : -2, dims[OMMA_MAX_RANK], length;
    int at;
    bool given = false;
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_FLOAT));
    const omma_value *x = n->in[0];
    fourier *f = omma_param(b, n, sizeof *f);
    if (!f) return omma_nomem(b, n);
    OMMA_TRY(check_parts(b, n, f));
    if (n->opset >= 20 && omma_in(n, 2)) OMMA_TRY(one_integer(b, n, 2, &axis, &given));
    OMMA_TRY(omma_axis(b, n, axis, x->rank, &at));
    if (at == x->rank - 1) return omma_bad(b, n, "the last axis holds the parts of a number");
    const bool onesided = omma_node_int(n, "onesided", 0) != 0;
    f->inverse = omma_node_int(n, "inverse", 0) != 0;
    f->len = x->dims[at];
    length = onesided && f->inverse ? 2 * (f->len - 1) : f->len;
    if (omma_in(n, 1)) OMMA_TRY(one_integer(b, n, 1, &length, &given));
    if (length < 1) return omma_bad(b, n, "a transform of %lld numbers", (long long)length);
    if (onesided && !f->inverse && f->parts == 2)
        return omma_bad(b, n, "onesided is for real numbers");
    f->n = length;
    f->real_out = f->mirrored = onesided && f->inverse;
    f->give = onesided && !f->inverse ? length / 2 + 1 : length;
    f->take = f->mirrored ? length / 2 + 1 : length;
    if (f->take > f->len) f->take = f->len;
    memcpy(dims, x->dims, sizeof dims);
    dims[at] = f->give, dims[x->rank - 1] = f->real_out ? 1 : 2;
    int64_t outer;
    if (!omma_dims_count(x->dims, at, &outer) ||
        !omma_dims_count(x->dims + at + 1, x->rank - at - 2, &f->inner) ||
        !omma_dims_count((int64_t[]){outer, f->inner}, 2, &f->lines))
        return omma_bad(b, n, "the size overflows");
    return omma_out(b, n, 0, x->dtype, x->rank, dims);
}

static omma_status STFT_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0], *window = omma_in(n, 2);
    bool given = false;
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_FLOAT));
    fourier *f = omma_param(b, n, sizeof *f);
    if (!f) return omma_nomem(b, n);
    OMMA_TRY(check_parts(b, n, f));
    if (x->rank != 3) return omma_bad(b, n, "a signal [B, L, 1 or 2] is needed");
    OMMA_TRY(one_integer(b, n, 1, &f->step, &given));
    if (window) OMMA_TRY(omma_want_same(b, n, 2));
    if (window && window->rank != 1) return omma_bad(b, n, "the window must be a list");
    f->n = window ? window->dims[0] : 0;
    if (omma_in(n, 3)) OMMA_TRY(one_integer(b, n, 3, &f->n, &given));
    f->len = x->dims[1];
    if (f->n < 1 || f->n > f->len || f->step < 1 || (window && window->dims[0] != f->n))
        return omma_bad(b, n, "frames of %lld every %lld in a signal of %lld", (long long)f->n,
                        (long long)f->step, (long long)f->len);
    const bool onesided = omma_node_int(n, "onesided", 1) != 0;
    if (onesided && f->parts == 2) return omma_bad(b, n, "onesided is for real numbers");
    f->take = f->n;
    f->give = onesided ? f->n / 2 + 1 : f->n;
    f->frames = (f->len - f->n) / f->step + 1;
    if (!omma_dims_count((int64_t[]){x->dims[0], f->frames}, 2, &f->lines))
        return omma_bad(b, n, "the size overflows");
    return omma_out(b, n, 0, x->dtype, 4, (int64_t[]){x->dims[0], f->frames, f->give, 2});
}

static omma_status prepare(omma_build *b, omma_node *n) {
    fourier *f = (fourier *)n->param;
    if (!f->lines) return OMMA_OK;
    f->workers = omma_workers(b);
    if (f->n > MOST) return omma_unsupported(b, n, "a transform of more than %d numbers", MOST);
    if (!omma_dims_bytes((int64_t[]){3, f->n}, 2, sizeof(number), &f->each) ||
        !omma_align_up(f->each, 64, &f->each) ||
        !omma_mul(f->each, (size_t)f->workers, &n->scratch))
        return omma_bad(b, n, "its working memory overflows");
    number *root = omma_arena_array(b->arena, (size_t)f->n, sizeof *root);
    if (!root) return omma_nomem(b, n);
    for (int64_t k = 0; k < f->n; k++) {
        const double angle = 2 * 3.14159265358979323846 * (double)k / (double)f->n;
        root[k] = (number){cos(angle), f->inverse ? sin(angle) : -sin(angle)};
    }
    f->root = root;
    return OMMA_OK;
}

/* --- run ---------------------------------------------------------------------- */

static double at(const omma_value *v, int64_t i) { return omma_get_number(v->dtype, v->mem, i); }

/* The numbers of a transform, every inner-th from `from`, times the window. */
static void read_line(const omma_node *n, const fourier *f, int64_t from, int64_t inner,
                      const omma_value *window, number *x) {
    const omma_value *v = n->in[0];
    for (int64_t i = 0; i < f->n; i++) {
        x[i] = (number){0, 0};
        if (i >= f->take) continue;
        const int64_t k = (from + i * inner) * f->parts;
        const double by = window ? at(window, i) : 1;
        x[i] = (number){at(v, k) * by, f->parts == 2 ? at(v, k + 1) * by : 0};
    }
    for (int64_t i = f->n / 2 + 1; f->mirrored && i < f->n; i++)
        x[i] = (number){x[f->n - i].re, -x[f->n - i].im};
}

static void write_line(const omma_node *n, const fourier *f, int64_t to, int64_t inner,
                       const number *y) {
    const omma_value *v = n->out[0];
    const double by = f->inverse ? 1 / (double)f->n : 1;
    const int64_t parts = f->real_out ? 1 : 2;
    for (int64_t i = 0; i < f->give; i++) {
        omma_set_number(v->dtype, v->mem, (to + i * inner) * parts, y[i].re * by);
        if (parts == 2) omma_set_number(v->dtype, v->mem, (to + i * inner) * 2 + 1, y[i].im * by);
    }
}

/* Items are transforms: lines of DFT, frames of STFT. */
static void lines(void *arg, int64_t begin, int64_t end, int worker) {
    const omma_node *n = arg;
    const fourier *f = n->param;
    number *x = (number *)(void *)((char *)n->work + (size_t)worker * f->each);
    number *y = x + f->n, *t = y + f->n;
    for (int64_t i = begin; i < end; i++) {
        const bool framed = f->frames > 0;
        const int64_t inner = framed ? 1 : f->inner;
        if (framed)
            read_line(n, f, i / f->frames * f->len + i % f->frames * f->step, 1, omma_in(n, 2), x);
        else read_line(n, f, i / inner * f->len * inner + i % inner, inner, NULL, x);
        transform(f, f->n, 1, x, y, t);
        write_line(n, f, i / inner * f->give * inner + i % inner, inner, y);
    }
}

static omma_status run(const omma_exec *x, const omma_node *n) {
    const fourier *f = n->param;
    if (omma_wanted(n, 0) && f->lines)
        omma_parallel(x->threads < f->workers ? x->threads : f->workers, f->lines,
                      1 + OMMA_GRAIN / 16 / f->n, lines, (void *)(uintptr_t)n);
    return OMMA_OK;
}

static double flops(const omma_node *n) {
    const fourier *f = n->param;
    return 5 * (double)f->lines * (double)f->n * log2((double)f->n);
}

#define ROW(Name, least, most)                               \
    const omma_op omma_op_##Name = {.name = #Name,           \
                                    .min_in = least,         \
                                    .max_in = most,          \
                                    .min_out = 1,            \
                                    .max_out = 1,            \
                                    .infer = Name##_infer,   \
                                    .prepare = prepare,      \
                                    .run = run,              \
                                    .flops = flops,          \
                                    .no_grad = OMMA_NOT_YET, \
                                    .no_field = OMMA_NOT_YET};
ROW(DFT, 1, 3)
ROW(STFT, 2, 4)

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
 * is summed up. In double. Source: ONNX DFT 17, 20; STFT 17; Cooley and Tukey, 1965.
 *
 * Both are linear, and their gradients are transforms the other way around. The field says that
 * each number of a transform is made from all that it takes, which is more than is true: the
 * imaginary part of Y[0], say, is made from no real number. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "op/element.h"
#include "op/field.h"
#include "op/grad.h"

enum { MOST = 1 << 24 }; /* numbers of a transform: their table must not eat the machine */

typedef struct complex_number {
    double re, im;
} number;

typedef struct fourier {
    bool inverse, real_out;
    int axis;             /* of x: what is transformed */
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
    f->axis = at;
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

/* --- the readings in reverse -------------------------------------------------- */

/* The transform of n numbers along axis, with + (inverse, over n) or -. */
static omma_value *transformed(omma_maker *m, omma_value *x, int axis, int64_t n, bool inverse,
                               bool onesided) {
    const int64_t where = axis;
    omma_value *in[] = {x, omma_make_ints(m, &n, 1), omma_make_ints(m, &where, 1)};
    const omma_attr attrs[] = {OMMA_A_INT("inverse", inverse), OMMA_A_INT("onesided", onesided)};
    const omma_node *made = omma_make_node(m, omma_op_find("DFT"), 20, in, 3, attrs, 2, 1);
    return made ? made->out[0] : NULL;
}

/* Let the numbers of x that have a mirror image count twice: all but the first and, of an even
 * number, the middle one. */
static omma_value *doubled(omma_maker *m, omma_value *x, const fourier *f) {
    const int64_t middle = (f->n + 1) / 2, end = middle < f->take ? middle : f->take;
    if (end <= 1) return x;
    omma_value *part[] = {omma_make_slice(m, x, f->axis, 0, 1, 1),
                          omma_make_scaled(m, omma_make_slice(m, x, f->axis, 1, end, 1), 2),
                          omma_make_slice(m, x, f->axis, end, f->take, 1)};
    return omma_make_concat(m, part, end < f->take ? 3 : 2, f->axis);
}

/* The real parts alone, where x had no others. */
static omma_value *as_parts(omma_maker *m, omma_value *x, const fourier *f) {
    return x && f->parts == 1 ? omma_make_slice(m, x, x->rank - 1, 0, 1, 1) : x;
}

/* Zeros for what of axis was not read. */
static omma_value *filled(omma_maker *m, omma_value *x, const fourier *f) {
    int64_t pads[2 * OMMA_MAX_RANK] = {0};
    if (!x || f->take == f->len) return x;
    pads[x->rank + f->axis] = f->len - f->take;
    return omma_make_2(m, "Pad", x, omma_make_ints(m, pads, 2 * x->rank));
}

/* Y[k] = s sum_i X[i] r^(k i), |r| = 1: dX[i] = s sum_k dY[k] r^(-k i), where s is 1 or 1/N. */
static omma_status DFT_grad(omma_grad *g, const omma_node *n) {
    const fourier *f = n->param;
    omma_maker *m = &g->m;
    omma_value *dy = omma_grad_out(g, n, 0);
    if (!omma_grad_wants(g, n, 0)) return OMMA_OK;
    if (!f->lines || !f->take) return omma_grad_add(g, n, 0, omma_make_full(m, n->in[0], 0));
    if (dy->dtype != OMMA_F64) dy = omma_make_cast(m, dy, OMMA_F32);
    omma_value *dx = transformed(m, dy, f->axis, f->n, !f->inverse, f->mirrored);
    dx = omma_make_slice(m, dx, f->axis, 0, f->take, 1);
    dx = omma_make_scaled(m, dx, f->inverse ? 1 / (double)f->n : (double)f->n);
    if (f->mirrored) dx = doubled(m, dx, f);
    return omma_grad_add(g, n, 0, filled(m, as_parts(m, dx, f), f));
}

/* d: [B, frames, N, parts] to [B, L, parts], adding up where frames overlap. */
static omma_value *overlapped(omma_maker *m, omma_value *d, const fourier *f, int64_t batch) {
    const int64_t rows[] = {batch, f->parts * f->n, f->frames};
    const omma_attr strides = OMMA_A_INTS("strides", &f->step, 1);
    d = omma_make_transpose(m, d, (const int64_t[]){0, 3, 2, 1});
    omma_value *in[] = {omma_make_reshape(m, d, 3, rows), omma_make_ints(m, &f->len, 1),
                        omma_make_ints(m, &f->n, 1)};
    return omma_make_turned(m, omma_make(m, "Col2Im", in, 3, &strides, 1));
}

/* x: [B, L, parts] to its frames, [B, frames, N, parts]. */
static omma_value *frames_of(omma_maker *m, omma_value *x, const fourier *f) {
    size_t count;
    if (!x) return NULL;
    const int64_t dims[] = {x->dims[0], f->frames, f->n, f->parts};
    int64_t *at = NULL;
    if (omma_mul((size_t)f->frames, (size_t)f->n, &count) && count <= INT32_MAX)
        at = omma_arena_array(m->g->arena, count, sizeof *at);
    if (!at) {
        m->status = omma_nomem(m->b, m->of);
        return NULL;
    }
    for (int64_t i = 0; i < (int64_t)count; i++) at[i] = i / f->n * f->step + i % f->n;
    const omma_attr axis = OMMA_A_INT("axis", 1);
    omma_value *in[] = {x, omma_make_ints(m, at, (int)count)};
    return omma_make_reshape(m, omma_make(m, "Gather", in, 2, &axis, 1), 4, dims);
}

/* A frame times the window, transformed: dF = N times the inverse transform, as above. */
static omma_status STFT_grad(omma_grad *g, const omma_node *n) {
    const fourier *f = n->param;
    omma_maker *m = &g->m;
    omma_value *x = n->in[0], *window = omma_in(n, 2), *dy = omma_grad_out(g, n, 0);
    if (!f->lines) return omma_grad_zero(g, n);
    if (dy->dtype != OMMA_F64) dy = omma_make_cast(m, dy, OMMA_F32);
    omma_value *d = transformed(m, dy, 2, f->n, true, false);
    d = as_parts(m, omma_make_scaled(m, d, (double)f->n), f);
    if (omma_grad_wants(g, n, 0)) {
        omma_value *dx = d;
        window = omma_make_reshape(m, window, 2, (int64_t[]){f->n, 1});
        if (window) dx = omma_make_2(m, "Mul", dx, omma_make_cast(m, window, dy->dtype));
        OMMA_TRY(omma_grad_add(g, n, 0, overlapped(m, dx, f, x->dims[0])));
    }
    if (!omma_grad_wants(g, n, 2)) return m->status;
    d = omma_make_2(m, "Mul", d, frames_of(m, omma_make_cast(m, x, dy->dtype), f));
    return omma_grad_add(g, n, 2, omma_make_sum(m, d, 1u << 0 | 1u << 1 | 1u << 3, false));
}

static omma_status DFT_field(omma_field *f, const omma_node *n) {
    const fourier *p = n->param;
    omma_relation *r = omma_field_relate(f, 0, 0);
    if (!r) return f->status;
    for (int d = 0; d < r->in_rank - 1; d++) omma_relation_same(r, d, d);
    r->axis[p->axis] = omma_map_range(0, p->take);
    r->bound = true;
    return OMMA_OK;
}

static omma_status STFT_field(omma_field *f, const omma_node *n) {
    const fourier *p = n->param;
    const omma_value *window = omma_in(n, 2);
    int64_t first = 0, end = p->n; /* of a frame, without the window's ends of 0 */
    const void *taper = window && window->data ? omma_field_numbers(f, window) : NULL;
    while (taper && end > first && omma_get_number(window->dtype, taper, end - 1) == 0) end--;
    while (taper && first < end && omma_get_number(window->dtype, taper, first) == 0) first++;
    omma_relation *r = omma_field_relate(f, 0, 0);
    if (r) {
        omma_relation_same(r, 0, 0);
        r->axis[1] = omma_map_window(1, p->step, first, 1, end - first);
        r->bound = true;
    }
    r = omma_field_relate(f, 0, 2);
    if (r) r->bound = true;
    return f->status;
}

#define ROW(Name, least, most)                             \
    const omma_op omma_op_##Name = {.name = #Name,         \
                                    .min_in = least,       \
                                    .max_in = most,        \
                                    .min_out = 1,          \
                                    .max_out = 1,          \
                                    .infer = Name##_infer, \
                                    .prepare = prepare,    \
                                    .run = run,            \
                                    .flops = flops,        \
                                    .grad = Name##_grad,   \
                                    .field = Name##_field};
ROW(DFT, 1, 3)
ROW(STFT, 2, 4)

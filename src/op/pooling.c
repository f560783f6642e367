/* pooling.c - MaxPool, AveragePool, LpPool.
 *
 *   x: [N, C, spatial...]   y: [N, C, out...]   MaxPool's Indices: i64, as y
 *   Lp: (sum |x|^p)^(1/p)
 *
 * f32 with one or two spatial axes works plane by plane: the rows of a window are joined
 * by the row kernels into one row of the input's width; the columns of whole windows by
 * the same kernels, shifted, of which every stride-th number is kept; cut windows one by
 * one. Everything else takes the plain loop. Sources: ONNX MaxPool 1..22, AveragePool
 * 1..22, LpPool 1..22. Traps: padding never counts as a number; AveragePool
 * divides by the taps inside the input, or with count_include_pad inside the input and its declared
 * padding, but never by those beyond it that ceil_mode adds (what version 19 made clear). */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "op/pooling.h"

typedef struct pool_param {
    omma_window win;
    int64_t planes, out_count;
    bool average, include_pad, column_major, fast;
    double power;             /* Lp's p, else 0 */
    int workers;              /* threads the working memory is for */
    omma_span *columns;       /* of the last axis, by output, when fast */
    int64_t whole, whole_end; /* its outputs whose windows lie in the input */
} pool_param;

/* --- windows ----------------------------------------------------------------------------- */

omma_span omma_span_at(const omma_window *w, bool include_pad, int d, int64_t o) {
    int64_t start = o * w->stride[d] - w->pad[d], dil = w->dilation[d], kernel = w->kernel[d];
    int64_t from = start < 0 ? (-start + dil - 1) / dil : 0;
    int64_t to = start >= w->in[d] ? 0 : (w->in[d] - 1 - start) / dil + 1;
    int64_t padded = w->in[d] + w->pad_end[d] - start;
    int64_t declared = padded <= 0 ? 0 : (padded - 1) / dil + 1;
    if (to > kernel) to = kernel;
    if (declared > kernel) declared = kernel;
    omma_span s = {0, 0, declared};
    if (to > from) s.first = start + from * dil, s.taps = to - from;
    if (!include_pad) s.count = s.taps;
    return s;
}

omma_box omma_box_at(const omma_window *w, bool include_pad, const int64_t *at) {
    omma_box x = {.taps = 1, .count = 1};
    for (int d = 0; d < w->k; d++) {
        x.axis[d] = omma_span_at(w, include_pad, d, at[d]);
        x.len[d] = x.axis[d].taps;
        x.taps *= x.len[d];
        x.count *= (double)x.axis[d].count;
    }
    return x;
}

int64_t omma_box_offset(const omma_window *w, const omma_box *x, int64_t tap) {
    int64_t t[OMMA_MAX_SPATIAL], offset = 0;
    omma_unravel(tap, x->len, w->k, t);
    for (int d = 0; d < w->k; d++)
        offset = offset * w->in[d] + x->axis[d].first + t[d] * w->dilation[d];
    return offset;
}

omma_status omma_pool_window(omma_build *b, const omma_node *n, const omma_value *x,
                             omma_window *w) {
    int64_t kernel[OMMA_MAX_SPATIAL];
    bool found;
    if (x->rank < 3)
        return omma_bad(b, n, "input '%s' has rank %d; [N, C, spatial...] is needed", x->name,
                        x->rank);
    OMMA_TRY(omma_window_kernel(b, n, x->rank - 2, kernel, &found));
    if (!found) return omma_bad(b, n, "kernel_shape is missing");
    OMMA_TRY(omma_window_read(b, n, x, kernel, w));
    return omma_window_slide(b, n, omma_node_int(n, "ceil_mode", 0) != 0, w);
}

/* --- infer and prepare -------------------------------------------------------------------- */

static bool pools(omma_dtype t, bool average) {
    return omma_is_float(t) || (!average && (t == OMMA_U8 || t == OMMA_I8));
}

static omma_status pool_infer(omma_build *b, omma_node *n, bool average) {
    const omma_value *x = n->in[0];
    pool_param *p = omma_param(b, n, sizeof *p);
    int64_t dims[OMMA_MAX_RANK];
    if (!p) return omma_nomem(b, n);
    if (!pools(x->dtype, average))
        return omma_unsupported(b, n, "type %s", omma_dtype_name(x->dtype));
    OMMA_TRY(omma_pool_window(b, n, x, &p->win));
    p->average = average;
    p->include_pad = omma_node_int(n, "count_include_pad", 0) != 0;
    p->column_major = omma_node_int(n, "storage_order", 0) != 0;
    dims[0] = x->dims[0], dims[1] = x->dims[1];
    memcpy(dims + 2, p->win.out, (size_t)p->win.k * sizeof *dims);
    if (!omma_dims_count(dims, 2, &p->planes) ||
        !omma_dims_count(p->win.out, p->win.k, &p->out_count))
        return omma_bad(b, n, "the output's size overflows");
    p->fast = x->dtype == OMMA_F32 && p->win.k <= 2 && !(n->n_out > 1 && n->out[1]) &&
              p->win.in_count > 0 && p->planes > 0;
    OMMA_TRY(omma_out(b, n, 0, x->dtype, x->rank, dims));
    return average ? OMMA_OK : omma_out(b, n, 1, OMMA_I64, x->rank, dims);
}

static omma_status max_infer(omma_build *b, omma_node *n) { return pool_infer(b, n, false); }
static omma_status average_infer(omma_build *b, omma_node *n) { return pool_infer(b, n, true); }

static omma_status lp_infer(omma_build *b, omma_node *n) {
    OMMA_TRY(pool_infer(b, n, true));
    pool_param *p = (pool_param *)n->param;
    p->fast = false;
    p->power = omma_pool_power(n);
    return omma_pool_check_power(b, n);
}

static omma_status pool_prepare(omma_build *b, omma_node *n) {
    pool_param *p = (pool_param *)n->param;
    size_t row;
    if (!p->fast) return OMMA_OK;
    p->workers = omma_workers(b);
    if (!omma_mul((size_t)p->win.in[p->win.k - 1], sizeof(float), &row) ||
        !omma_align_up(row, 64, &row) || !omma_mul(row, 2 * (size_t)p->workers, &n->scratch))
        return omma_bad(b, n, "its working memory overflows");
    const int d = p->win.k - 1;
    p->columns = omma_arena_array(b->arena, (size_t)p->win.out[d], sizeof *p->columns);
    if (!p->columns) return omma_nomem(b, n);
    for (int64_t o = 0; o < p->win.out[d]; o++) {
        p->columns[o] = omma_span_at(&p->win, p->include_pad, d, o);
        if (p->columns[o].taps != p->win.kernel[d]) continue;
        if (p->whole_end == 0) p->whole = o;
        p->whole_end = o + 1;
    }
    return OMMA_OK;
}

/* --- f32, one or two spatial axes ---------------------------------------------------- */

typedef struct pool_job {
    const omma_exec *x;
    const pool_param *p;
    const float *src;
    float *dst, *rows; /* rows: two rows of working memory for each worker */
    size_t row_pitch;  /* floats of one */
} pool_job;

static float larger(float a, float v) { return v > a || v != v ? v : a; }

/* Outputs [from, to) one by one; v is the span of rows that were joined. */
static void cut_windows(const pool_param *p, const float *row, const omma_span *v, int64_t from,
                        int64_t to, float *y) {
    const int64_t dil = p->win.dilation[p->win.k - 1];
    for (int64_t o = from; o < to; o++) {
        const omma_span s = p->columns[o];
        float sum = 0, best = -INFINITY;
        for (int64_t i = 0; v->taps && i < s.taps; i++) {
            if (p->average) sum += row[s.first + i * dil];
            else best = larger(best, row[s.first + i * dil]);
        }
        if (p->average) y[o] = v->taps && s.taps ? sum / (float)(v->count * s.count) : 0;
        else y[o] = best;
    }
}

/* The outputs whose windows lie in the input. */
static void whole_windows(const pool_job *j, const float *row, const omma_span *v, float *wide,
                          float *y) {
    const pool_param *p = j->p;
    const int d = p->win.k - 1;
    const int64_t stride = p->win.stride[d], first = p->columns[p->whole].first;
    const int64_t n = (p->whole_end - 1 - p->whole) * stride + 1;
    const float *joined = row + first;
    for (int64_t i = 1; i < p->win.kernel[d]; i++) {
        j->x->kern->binary[p->average ? OMMA_BIN_ADD : OMMA_BIN_MAX](
            n, joined, 1, row + first + i * p->win.dilation[d], 1, wide);
        joined = wide;
    }
    const float count = (float)(v->count * p->columns[p->whole].count);
    y += p->whole;
    if (!p->average)
        for (int64_t o = 0; o < p->whole_end - p->whole; o++) y[o] = joined[o * stride];
    else
        for (int64_t o = 0; o < p->whole_end - p->whole; o++) y[o] = joined[o * stride] / count;
}

/* One output row; plane is the input plane, work two rows. */
static void pool_row(const pool_job *j, const float *plane, int64_t o, float *work, float *y) {
    const pool_param *p = j->p;
    const int64_t w = p->win.in[p->win.k - 1];
    const omma_binary op = p->average ? OMMA_BIN_ADD : OMMA_BIN_MAX;
    omma_span v = {0, 1, 1};
    if (p->win.k == 2) v = omma_span_at(&p->win, p->include_pad, 0, o);
    const float *joined = plane + v.first * w;
    for (int64_t i = 1; i < v.taps; i++) {
        j->x->kern->binary[op](w, joined, 1, plane + (v.first + i * p->win.dilation[0]) * w, 1,
                               work);
        joined = work;
    }
    bool any = v.taps && p->whole_end;
    int64_t end = p->win.out[p->win.k - 1];
    cut_windows(p, joined, &v, 0, any ? p->whole : end, y);
    if (!any) return;
    whole_windows(j, joined, &v, work + j->row_pitch, y);
    cut_windows(p, joined, &v, p->whole_end, end, y);
}

/* Items are planes. */
static void pool_planes(void *arg, int64_t begin, int64_t end, int worker) {
    const pool_job *j = arg;
    const pool_param *p = j->p;
    const int64_t oh = p->win.k == 2 ? p->win.out[0] : 1, ow = p->win.out[p->win.k - 1];
    for (int64_t i = begin; i < end; i++)
        for (int64_t o = 0; o < oh; o++)
            pool_row(j, j->src + i * p->win.in_count, o,
                     j->rows + (size_t)worker * 2 * j->row_pitch,
                     j->dst + i * p->out_count + o * ow);
}

/* --- the plain loop -------------------------------------------------------------------- */

typedef struct plain_job {
    const pool_param *p;
    omma_dtype t;
    const void *x;
    void *y;          /* or NULL */
    int64_t *indices; /* or NULL */
} plain_job;

/* The offset in a plane as MaxPool reports it. */
static int64_t reported(const pool_param *p, int64_t offset) {
    int64_t at[OMMA_MAX_SPATIAL], r = 0;
    if (!p->column_major) return offset;
    omma_unravel(offset, p->win.in, p->win.k, at);
    for (int d = p->win.k - 1; d >= 0; d--) r = r * p->win.in[d] + at[d];
    return r;
}

static void plain_max(const plain_job *j, int64_t plane, const omma_box *x, int64_t out) {
    const pool_param *p = j->p;
    double best = -INFINITY;
    int64_t where = -1;
    for (int64_t tap = 0; tap < x->taps; tap++) {
        int64_t offset = omma_box_offset(&p->win, x, tap);
        double v = omma_number(j->t, j->x, plane * p->win.in_count + offset);
        if (where < 0 || v > best || (v != v && best == best)) best = v, where = offset;
    }
    if (j->y) omma_set_number(j->t, j->y, out, best);
    if (j->indices) j->indices[out] = where < 0 ? 0 : plane * p->win.in_count + reported(p, where);
}

static void plain_average(const plain_job *j, int64_t plane, const omma_box *x, int64_t out) {
    const pool_param *p = j->p;
    double sum = 0;
    for (int64_t tap = 0; tap < x->taps; tap++)
        sum += omma_number(j->t, j->x, plane * p->win.in_count + omma_box_offset(&p->win, x, tap));
    omma_set_number(j->t, j->y, out, x->taps ? sum / x->count : 0);
}

static void plain_lp(const plain_job *j, int64_t plane, const omma_box *x, int64_t out) {
    const pool_param *p = j->p;
    double sum = 0;
    for (int64_t tap = 0; tap < x->taps; tap++)
        sum += omma_raised(
            omma_number(j->t, j->x, plane * p->win.in_count + omma_box_offset(&p->win, x, tap)),
            p->power);
    omma_set_number(j->t, j->y, out, omma_root(sum, p->power));
}

static void plain_planes(void *arg, int64_t begin, int64_t end, int worker) {
    const plain_job *j = arg;
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        for (int64_t o = 0; o < j->p->out_count; o++) {
            int64_t at[OMMA_MAX_SPATIAL];
            omma_unravel(o, j->p->win.out, j->p->win.k, at);
            const omma_box x = omma_box_at(&j->p->win, j->p->include_pad, at);
            if (j->p->power > 0) plain_lp(j, i, &x, i * j->p->out_count + o);
            else if (j->p->average) plain_average(j, i, &x, i * j->p->out_count + o);
            else plain_max(j, i, &x, i * j->p->out_count + o);
        }
}

static omma_status pool_run(const omma_exec *x, const omma_node *n) {
    const pool_param *p = n->param;
    void *y = n->out[0] ? n->out[0]->mem : NULL;
    int64_t *indices = n->n_out > 1 && n->out[1] ? n->out[1]->mem : NULL;
    if ((!y && !indices) || !p->planes || !p->out_count) return OMMA_OK;
    if (p->fast) {
        size_t row = (size_t)p->win.in[p->win.k - 1] * sizeof(float);
        if (!omma_align_up(row, 64, &row)) return OMMA_E_INTERNAL;
        pool_job j = {x, p, n->in[0]->mem, y, n->work, row / sizeof(float)};
        omma_parallel(x->threads < p->workers ? x->threads : p->workers, p->planes, 1, pool_planes,
                      &j);
        return OMMA_OK;
    }
    plain_job j = {p, n->in[0]->dtype, n->in[0]->mem, y, indices};
    omma_parallel(x->threads, p->planes, 1, plain_planes, &j);
    return OMMA_OK;
}

static double pool_flops(const omma_node *n) {
    const pool_param *p = n->param;
    return (double)p->planes * (double)p->out_count * (double)p->win.kernel_count;
}

/* --- the readings in reverse --------------------------------------------------------------- */

static omma_status max_grad(omma_grad *g, const omma_node *n) {
    omma_value *dy = omma_grad_out(g, n, 0);
    return omma_grad_add(g, n, 0,
                         omma_make_max_back(&g->m, n->in[0], n->out[0], dy, n->attrs, n->n_attrs));
}

static omma_status average_grad(omma_grad *g, const omma_node *n) {
    omma_value *dy = omma_grad_out(g, n, 0);
    return omma_grad_add(g, n, 0,
                         omma_make_spread_back(&g->m, dy, n->in[0], true, n->attrs, n->n_attrs));
}

omma_value *omma_lp_grad_of_root(omma_maker *m, omma_value *dy, omma_value *y, double p) {
    if (p == 1 || !dy) return dy;
    omma_value *zero = omma_make_number(m, y, 0);
    omma_value *q =
        p == 2 ? omma_make_2(m, "Div", dy, y)
               : omma_make_2(m, "Mul", dy, omma_make_2(m, "Pow", y, omma_make_number(m, y, 1 - p)));
    return omma_make_3(m, "Where", omma_make_2(m, "Equal", y, zero), zero, q);
}

omma_value *omma_lp_grad_of_powers(omma_maker *m, omma_value *s, omma_value *x, double p) {
    if (p == 2) return omma_make_2(m, "Mul", s, x);
    omma_value *d = omma_make_2(m, "Mul", s, omma_make_1(m, "Sign", x));
    if (p == 1) return d;
    omma_value *zero = omma_make_number(m, x, 0), *size = omma_make_1(m, "Abs", x);
    d = omma_make_2(m, "Mul", d, omma_make_2(m, "Pow", size, omma_make_number(m, x, p - 1)));
    return p > 1 ? d : omma_make_3(m, "Where", omma_make_2(m, "Equal", x, zero), zero, d);
}

static omma_status lp_grad(omma_grad *g, const omma_node *n) {
    omma_maker *m = &g->m;
    omma_value *x = n->in[0];
    const double p = omma_pool_power(n);
    omma_value *s = omma_lp_grad_of_root(m, omma_grad_out(g, n, 0), n->out[0], p);
    s = omma_make_spread_back(m, s, x, false, n->attrs, n->n_attrs);
    return omma_grad_add(g, n, 0, omma_lp_grad_of_powers(m, s, x, p));
}

static omma_status pool_field(omma_field *f, const omma_node *n) {
    const pool_param *p = n->param;
    for (int k = 0; k < n->n_out; k++) {
        omma_relation *r = omma_field_relate(f, k, 0);
        if (!r) continue;
        omma_relation_same(r, 0, 0);
        omma_relation_same(r, 1, 1);
        for (int d = 0; d < p->win.k; d++) r->axis[2 + d] = omma_window_map(&p->win, d, 2 + d);
    }
    return f->status;
}

const omma_op omma_op_MaxPool = {.name = "MaxPool",
                                 .min_in = 1,
                                 .max_in = 1,
                                 .min_out = 1,
                                 .max_out = 2,
                                 .infer = max_infer,
                                 .prepare = pool_prepare,
                                 .run = pool_run,
                                 .flops = pool_flops,
                                 .grad = max_grad,
                                 .field = pool_field};

const omma_op omma_op_AveragePool = {.name = "AveragePool",
                                     .min_in = 1,
                                     .max_in = 1,
                                     .min_out = 1,
                                     .max_out = 1,
                                     .infer = average_infer,
                                     .prepare = pool_prepare,
                                     .run = pool_run,
                                     .flops = pool_flops,
                                     .grad = average_grad,
                                     .field = pool_field};

const omma_op omma_op_LpPool = {.name = "LpPool",
                                .min_in = 1,
                                .max_in = 1,
                                .min_out = 1,
                                .max_out = 1,
                                .infer = lp_infer,
                                .prepare = pool_prepare,
                                .run = pool_run,
                                .flops = pool_flops,
                                .grad = lp_grad,
                                .field = pool_field};

/* pooling_back.c - the way back through a pooling: MaxPoolGrad and PoolSpread (pooling.h), which
 * the gradients of pooling.c and pooling_global.c make.
 *
 *   x, dx: [N, C, spatial...]   y, dy: [N, C, out...]
 *
 * Planes are shared out whole and walked in order, so sums do not depend on the threads. f32 with
 * one or two spatial axes walks rows; everything else goes number by number. */
#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "op/element.h"
#include "op/pooling.h"

typedef struct back {
    omma_window win; /* in: dx's */
    bool mean, include_pad, fast;
    int64_t planes, out_count;
    int workers;        /* threads the working memory is for */
    omma_span *columns; /* of the last axis, by output, when fast */
    size_t row;         /* floats of a row of working memory */
} back;

/* --- infer and prepare ------------------------------------------------------------------- */

static omma_status read_back(omma_build *b, omma_node *n, const omma_value *image,
                             const omma_value *dy) {
    back *p = omma_param(b, n, sizeof *p);
    if (!p) return omma_nomem(b, n);
    OMMA_TRY(omma_pool_window(b, n, image, &p->win));
    p->include_pad = omma_node_int(n, "count_include_pad", 0) != 0;
    p->mean = omma_node_int(n, OMMA_SPREAD_MEAN, 0) != 0;
    if (dy->rank != image->rank || memcmp(dy->dims, image->dims, 2 * sizeof *dy->dims) ||
        memcmp(dy->dims + 2, p->win.out, (size_t)p->win.k * sizeof *dy->dims))
        return omma_bad(b, n, "a cotangent of another shape than the pooling's");
    p->planes = dy->dims[0] * dy->dims[1];
    p->out_count = p->planes ? omma_value_count(dy) / p->planes : 0;
    p->fast = dy->dtype == OMMA_F32 && p->win.k <= 2;
    return omma_out(b, n, 0, dy->dtype, image->rank, image->dims);
}

static omma_status max_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0], *y = n->in[1];
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_FLOAT));
    OMMA_TRY(omma_want_same(b, n, 1));
    OMMA_TRY(omma_want_same(b, n, 2));
    if (y->rank != n->in[2]->rank ||
        memcmp(y->dims, n->in[2]->dims, (size_t)y->rank * sizeof *y->dims))
        return omma_bad(b, n, "a cotangent of another shape than the pooling's");
    return read_back(b, n, x, n->in[2]);
}

static omma_status spread_infer(omma_build *b, omma_node *n) {
    const omma_value *dy = n->in[0];
    omma_value image = *dy;
    int count;
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_FLOAT));
    if (dy->rank < 3) return omma_bad(b, n, "[N, C, spatial...] is needed");
    OMMA_TRY(omma_ints_attr(b, n, OMMA_SPREAD_IMAGE, image.dims + 2, OMMA_MAX_SPATIAL, &count));
    if (count != dy->rank - 2) return omma_bad(b, n, "the image's dims are needed");
    for (int d = 2; d < dy->rank; d++)
        if (image.dims[d] < 0) return omma_bad(b, n, "the image has a negative dim");
    return read_back(b, n, &image, dy);
}

static omma_status back_prepare(omma_build *b, omma_node *n) {
    back *p = (back *)n->param;
    const int d = p->win.k - 1;
    size_t row;
    if (!p->fast) return OMMA_OK;
    p->workers = omma_workers(b);
    if (!omma_dims_bytes(&p->win.in[d], 1, sizeof(float), &row) || !omma_align_up(row, 64, &row) ||
        !omma_mul(row, (size_t)p->workers, &n->scratch))
        return omma_bad(b, n, "its working memory overflows");
    p->row = row / sizeof(float);
    p->columns = omma_arena_array(b->arena, (size_t)p->win.out[d], sizeof *p->columns);
    if (!p->columns) return omma_nomem(b, n);
    for (int64_t o = 0; o < p->win.out[d]; o++)
        p->columns[o] = omma_span_at(&p->win, p->include_pad, d, o);
    return OMMA_OK;
}

/* --- f32, one or two spatial axes ---------------------------------------------------------- */

typedef struct job {
    const omma_exec *exec;
    const omma_node *n;
    const back *p;
    omma_dtype t;
    const void *x, *y, *dy; /* x, y: of MaxPoolGrad */
    void *dx;
} job;

/* The rows that output row o sees. */
static omma_span rows_at(const back *p, int64_t o) {
    return p->win.k == 2 ? omma_span_at(&p->win, p->include_pad, 0, o) : (omma_span){0, 1, 1};
}

/* Where the first NaN of a window lies in the plane, or -1. */
static int64_t first_nan(const float *x, int64_t down, int64_t step, omma_span v, omma_span h) {
    for (int64_t i = 0; i < v.taps; i++)
        for (int64_t k = 0; k < h.taps; k++)
            if (isnan(x[i * down + k * step])) return i * down + k * step;
    return -1;
}

/* Where the first number of a window that is y lies in the plane, or -1. From the last to the
 * first, so that nothing waits for where it was: a branch would be guessed wrong every time. */
static int64_t first_of(const back *p, const float *plane, omma_span v, omma_span h, float y) {
    const int64_t w = p->win.in[p->win.k - 1], step = p->win.dilation[p->win.k - 1];
    const int64_t down = p->win.k == 2 ? p->win.dilation[0] * w : 0, from = v.first * w + h.first;
    const float *x = plane + from;
    int64_t at = -1;
    if (isnan(y)) at = first_nan(x, down, step, v, h);
    for (int64_t i = v.taps - 1; i >= 0; i--)
        for (int64_t k = h.taps - 1; k >= 0; k--)
            at = x[i * down + k * step] == y ? i * down + k * step : at;
    return at < 0 ? -1 : from + at;
}

/* Items are planes. */
static void max_planes(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const back *p = j->p;
    const int64_t ow = p->win.out[p->win.k - 1], oh = p->out_count / ow;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const float *x = (const float *)j->x + i * p->win.in_count;
        const float *y = (const float *)j->y + i * p->out_count,
                    *dy = (const float *)j->dy + i * p->out_count;
        float *dx = (float *)j->dx + i * p->win.in_count;
        memset(dx, 0, (size_t)p->win.in_count * sizeof *dx);
        for (int64_t r = 0; r < oh; r++) {
            const omma_span v = rows_at(p, r);
            for (int64_t o = 0; o < ow; o++, y++, dy++) {
                const int64_t at = first_of(p, x, v, p->columns[o], *y);
                if (at >= 0) dx[at] += *dy;
            }
        }
    }
}

/* One row of dy, spread along the columns into row, which has the image's width. */
static void spread_row(const back *p, const float *dy, omma_span v, float *row) {
    const int d = p->win.k - 1;
    const int64_t step = p->win.dilation[d];
    memset(row, 0, (size_t)p->win.in[d] * sizeof *row);
    for (int64_t o = 0; o < p->win.out[d]; o++) {
        const omma_span h = p->columns[o];
        const float a = p->mean && h.taps ? dy[o] / (float)(v.count * h.count) : dy[o];
        for (int64_t k = 0; k < h.taps; k++) row[h.first + k * step] += a;
    }
}

static void spread_planes(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const back *p = j->p;
    const int64_t w = p->win.in[p->win.k - 1], ow = p->win.out[p->win.k - 1];
    float *row = (float *)j->n->work + (size_t)worker * p->row;
    for (int64_t i = begin; i < end; i++) {
        float *dx = (float *)j->dx + i * p->win.in_count;
        memset(dx, 0, (size_t)p->win.in_count * sizeof *dx);
        for (int64_t r = 0; r < p->out_count / ow; r++) {
            const omma_span v = rows_at(p, r);
            if (!v.taps) continue;
            spread_row(p, (const float *)j->dy + i * p->out_count + r * ow, v, row);
            for (int64_t k = 0; k < v.taps; k++) {
                const int64_t down = p->win.k == 2 ? p->win.dilation[0] : 0;
                float *to = dx + (v.first + k * down) * w;
                j->exec->kern->binary[OMMA_BIN_ADD](w, to, 1, row, 1, to);
            }
        }
    }
}

/* --- any float, any rank --------------------------------------------------------------------- */

static void add_number(const job *j, int64_t at, double v) {
    omma_set_number(j->t, j->dx, at, omma_number(j->t, j->dx, at) + v);
}

static void plain_max(const job *j, int64_t plane, const omma_box *x, int64_t out) {
    const back *p = j->p;
    const double y = omma_number(j->t, j->y, out);
    for (int64_t tap = 0; tap < x->taps; tap++) {
        const int64_t at = plane * p->win.in_count + omma_box_offset(&p->win, x, tap);
        const double a = omma_number(j->t, j->x, at);
        if (a != y && (y == y || a == a)) continue;
        add_number(j, at, omma_number(j->t, j->dy, out));
        return;
    }
}

static void plain_spread(const job *j, int64_t plane, const omma_box *x, int64_t out) {
    const back *p = j->p;
    const double a = omma_number(j->t, j->dy, out) / (p->mean && x->taps ? x->count : 1);
    for (int64_t tap = 0; tap < x->taps; tap++)
        add_number(j, plane * p->win.in_count + omma_box_offset(&p->win, x, tap), a);
}

/* Items are planes. */
static void plain_planes(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const back *p = j->p;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        for (int64_t k = 0; k < p->win.in_count; k++)
            omma_set_number(j->t, j->dx, i * p->win.in_count + k, 0);
        for (int64_t o = 0; o < p->out_count; o++) {
            int64_t at[OMMA_MAX_SPATIAL];
            omma_unravel(o, p->win.out, p->win.k, at);
            const omma_box x = omma_box_at(&p->win, p->include_pad, at);
            if (j->x) plain_max(j, i, &x, i * p->out_count + o);
            else plain_spread(j, i, &x, i * p->out_count + o);
        }
    }
}

static omma_status back_run(const omma_exec *x, job *j, omma_chunk fast) {
    const back *p = j->p;
    if (!j->dx || !p->planes || !p->win.in_count) return OMMA_OK;
    const int threads = p->fast && x->threads > p->workers ? p->workers : x->threads;
    omma_parallel(threads, p->planes, 1, p->fast && p->out_count ? fast : plain_planes, j);
    return OMMA_OK;
}

static omma_status max_run(const omma_exec *x, const omma_node *n) {
    void *dx = n->out[0] ? n->out[0]->mem : NULL;
    job j = {x, n, n->param, n->in[0]->dtype, n->in[0]->mem, n->in[1]->mem, n->in[2]->mem, dx};
    return back_run(x, &j, max_planes);
}

static omma_status spread_run(const omma_exec *x, const omma_node *n) {
    void *dx = n->out[0] ? n->out[0]->mem : NULL;
    job j = {x, n, n->param, n->in[0]->dtype, NULL, NULL, n->in[0]->mem, dx};
    return back_run(x, &j, spread_planes);
}

static double back_flops(const omma_node *n) {
    const back *p = n->param;
    return (double)p->planes * (double)p->out_count * (double)p->win.kernel_count;
}

/* --- making them ---------------------------------------------------------------------------------
 */

omma_value *omma_make_max_back(omma_maker *m, omma_value *x, omma_value *y, omma_value *dy,
                               const omma_attr *attrs, int n_attrs) {
    omma_value *in[] = {x, y, dy};
    const omma_node *n =
        omma_make_node(m, &omma_op_MaxPoolGrad, m->of->opset, in, 3, attrs, n_attrs, 1);
    return n ? n->out[0] : NULL;
}

omma_value *omma_make_spread_back(omma_maker *m, omma_value *dy, const omma_value *x, bool mean,
                                  const omma_attr *attrs, int n_attrs) {
    omma_attr *more = omma_arena_array(m->g->arena, (size_t)n_attrs + 2, sizeof *more);
    if (!more) m->status = omma_nomem(m->b, m->of);
    if (!more || !dy) return NULL;
    if (n_attrs) memcpy(more, attrs, (size_t)n_attrs * sizeof *more);
    more[n_attrs] = OMMA_A_INTS(OMMA_SPREAD_IMAGE, x->dims + 2, x->rank - 2);
    more[n_attrs + 1] = OMMA_A_INT(OMMA_SPREAD_MEAN, mean);
    const omma_node *n =
        omma_make_node(m, &omma_op_PoolSpread, m->of->opset, &dy, 1, more, n_attrs + 2, 1);
    return n ? n->out[0] : NULL;
}

#define ONLY_BACK "the gradient of a gradient is not built"

const omma_op omma_op_MaxPoolGrad = {.name = "omma.MaxPoolGrad",
                                     .min_in = 3,
                                     .max_in = 3,
                                     .min_out = 1,
                                     .max_out = 1,
                                     .infer = max_infer,
                                     .prepare = back_prepare,
                                     .run = max_run,
                                     .flops = back_flops,
                                     .no_grad = ONLY_BACK,
                                     .no_field = ONLY_BACK};

const omma_op omma_op_PoolSpread = {.name = "omma.PoolSpread",
                                    .min_in = 1,
                                    .max_in = 1,
                                    .min_out = 1,
                                    .max_out = 1,
                                    .infer = spread_infer,
                                    .prepare = back_prepare,
                                    .run = spread_run,
                                    .flops = back_flops,
                                    .no_grad = ONLY_BACK,
                                    .no_field = ONLY_BACK};

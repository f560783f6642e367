/* resample.c - Resize and Upsample.
 *
 * Along each axis output o reads a few inputs ("taps") about a coordinate x(o) of the
 * input; what lies outside is read at the edge. There is one table per axis that
 * changes, [out] rows of taps and weights (resample_axes.c), and the axes are independent: the
 * gradient goes back axis by axis (resample_grad.c), and the field is a list per axis. f32 that
 * changes in its last two axes works plane by plane, columns first, rows by the row kernels; f32
 * that changes in two axes before the last, as maps with channels last do, pixel by pixel
 * (resample_pixels.c); all else takes the plain loop over products of taps. Integers are rounded
 * to nearest, where ONNX says nothing. */
#include "op/resample.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "op/window.h"

typedef omma_resample_axis axis;

typedef struct resize_param {
    omma_resample map;
    bool fast;
    int64_t planes;              /* of the fast way */
    omma_resample_pixels pixels; /* planes 0: not this way */
    int workers;                 /* threads the working memory is for */
    size_t pitch;                /* bytes of it for each */
} resize_param;

static omma_status resize_common(omma_build *b, omma_node *n, bool old) {
    const omma_value *x = n->in[0];
    resize_param *p = omma_param(b, n, sizeof *p);
    int64_t dims[OMMA_MAX_RANK];
    if (!p) return omma_nomem(b, n);
    if (!omma_dtype_size(x->dtype))
        return omma_unsupported(b, n, "type %s", omma_dtype_name(x->dtype));
    OMMA_TRY(omma_resample_read(b, n, x->rank, x->dims, old, &p->map));
    for (int d = 0; d < x->rank; d++) dims[d] = p->map.axes[d].out;
    return omma_out(b, n, 0, x->dtype, x->rank, dims);
}

static omma_status resize_infer(omma_build *b, omma_node *n) {
    return resize_common(b, n, n->opset < 11);
}
static omma_status upsample_infer(omma_build *b, omma_node *n) { return resize_common(b, n, true); }

/* Set p->pixels when what changes are at most two axes, neighbours, before the last. Pixels that
 * are only copied may be of pairs of bfloat16, too. */
static void find_pixels(const omma_node *n, resize_param *p) {
    static const axis one = {.in = 1, .out = 1};
    int last = p->map.rank - 1;
    omma_resample_pixels q = {
        .rows = &one, .nearest = p->map.mode == OMMA_RESIZE_NEAREST, .planes = 1, .unit = 1};
    const bool pairs = n->in[0]->dtype == OMMA_BF16 && q.nearest;
    if ((n->in[0]->dtype != OMMA_F32 && !pairs) || p->map.coordinate == OMMA_RESIZE_TF_CROP) return;
    for (; last >= 0 && !p->map.axes[last].active; last--) q.unit *= p->map.axes[last].in;
    if (last < 0 || last == p->map.rank - 1 || (pairs && q.unit % 2)) return;
    if (pairs) q.unit /= 2;
    q.cols = &p->map.axes[last];
    if (last) q.rows = &p->map.axes[last - 1];
    for (int d = 0; d < last - 1; d++) {
        if (p->map.axes[d].active) return;
        q.planes *= p->map.axes[d].in;
    }
    if (omma_resample_pixels_fit(&q)) p->pixels = q;
}

static omma_status resize_prepare(omma_build *b, omma_node *n) {
    resize_param *p = (resize_param *)n->param;
    const int r = p->map.rank;
    if (!n->out[0] || !omma_value_count(n->out[0])) return OMMA_OK;
    p->fast = n->in[0]->dtype == OMMA_F32 && p->map.coordinate != OMMA_RESIZE_TF_CROP && r >= 2;
    p->planes = 1;
    for (int d = 0; d < r; d++) {
        OMMA_TRY(omma_resample_table(b, n, &p->map, &p->map.axes[d]));
        if (d < r - 2 && p->map.axes[d].active) p->fast = false;
        if (d < r - 2) p->planes *= p->map.axes[d].in;
    }
    if (!p->fast) {
        find_pixels(n, p);
        return OMMA_OK;
    }
    axis *rows = &p->map.axes[r - 2], *cols = &p->map.axes[r - 1];
    for (int64_t i = 0; i < rows->out * rows->taps; i++) rows->at[i] *= cols->out;
    p->workers = omma_workers(b);
    if (p->map.mode == OMMA_RESIZE_NEAREST || !rows->active || !cols->active) return OMMA_OK;
    if (!omma_dims_bytes((int64_t[]){rows->in, cols->out}, 2, sizeof(float), &p->pitch) ||
        !omma_align_up(p->pitch, 64, &p->pitch) ||
        !omma_mul(p->pitch, (size_t)p->workers, &n->scratch))
        return omma_bad(b, n, "its working memory overflows");
    return OMMA_OK;
}

/* --- f32 planes ------------------------------------------------------------------------------- */

typedef struct plane_job {
    const omma_exec *x;
    const resize_param *p;
    const float *src;
    float *dst;
    char *work;
} plane_job;

static void row_of(const axis *a, const float *src, float *dst) {
    if (a->taps == 1) {
        for (int64_t o = 0; o < a->out; o++) dst[o] = src[a->at[o]];
    } else if (a->taps == 2) {
        for (int64_t o = 0; o < a->out; o++)
            dst[o] = a->w32[2 * o] * src[a->at[2 * o]] + a->w32[2 * o + 1] * src[a->at[2 * o + 1]];
    } else {
        for (int64_t o = 0; o < a->out; o++) {
            float sum = 0;
            for (int64_t i = o * a->taps; i < (o + 1) * a->taps; i++)
                sum += a->w32[i] * src[a->at[i]];
            dst[o] = sum;
        }
    }
}

/* Rows repeat: an output row like the one before is copied. */
static void nearest_plane(const resize_param *p, const float *src, float *dst) {
    const axis *rows = &p->map.axes[p->map.rank - 2], *cols = &p->map.axes[p->map.rank - 1];
    for (int64_t o = 0; o < rows->out; o++) {
        float *y = dst + o * cols->out;
        const float *x = src + rows->at[o] / cols->out * cols->in;
        if (o && rows->at[o] == rows->at[o - 1])
            memcpy(y, y - cols->out, (size_t)cols->out * sizeof *y);
        else if (!cols->active) memcpy(y, x, (size_t)cols->out * sizeof *y);
        else row_of(cols, x, y);
    }
}

static void smooth_plane(const plane_job *j, const float *src, float *dst, float *work) {
    const axis *rows = &j->p->map.axes[j->p->map.rank - 2],
               *cols = &j->p->map.axes[j->p->map.rank - 1];
    if (cols->active) {
        float *wide = rows->active ? work : dst;
        for (int64_t i = 0; i < rows->in; i++)
            row_of(cols, src + i * cols->in, wide + i * cols->out);
        src = wide;
    } else if (!rows->active) {
        memcpy(dst, src, (size_t)(rows->in * cols->in) * sizeof *dst);
    }
    if (!rows->active) return;
    for (int64_t o = 0; o < rows->out; o++)
        j->x->kern->taps(cols->out, (int)rows->taps, rows->w32 + o * rows->taps, src,
                         rows->at + o * rows->taps, 1, dst + o * cols->out);
}

static void planes(void *arg, int64_t begin, int64_t end, int worker) {
    const plane_job *j = arg;
    const axis *rows = &j->p->map.axes[j->p->map.rank - 2],
               *cols = &j->p->map.axes[j->p->map.rank - 1];
    for (int64_t i = begin; i < end; i++) {
        const float *src = j->src + i * rows->in * cols->in;
        float *dst = j->dst + i * rows->out * cols->out;
        if (j->p->map.mode == OMMA_RESIZE_NEAREST) nearest_plane(j->p, src, dst);
        else smooth_plane(j, src, dst, (float *)(void *)(j->work + (size_t)worker * j->p->pitch));
    }
}

/* --- the plain loop ------------------------------------------------------------------------------
 */

typedef struct plain_job {
    const resize_param *p;
    omma_dtype t;
    const void *src;
    void *dst;
    int64_t out_dims[OMMA_MAX_RANK], in_strides[OMMA_MAX_RANK];
} plain_job;

/* Sum over the taps of axes d and on. */
static double plain_sum(const plain_job *j, int d, int64_t offset, const int64_t *at) {
    if (d == j->p->map.rank) return omma_number(j->t, j->src, offset);
    const axis *a = &j->p->map.axes[d];
    if (!a->active) return plain_sum(j, d + 1, offset + at[d] * j->in_strides[d], at);
    double sum = 0;
    for (int64_t i = at[d] * a->taps; i < (at[d] + 1) * a->taps; i++)
        if (a->w[i] != 0)
            sum += a->w[i] * plain_sum(j, d + 1, offset + a->at[i] * j->in_strides[d], at);
    return sum;
}

static void plain_items(void *arg, int64_t begin, int64_t end, int worker) {
    const plain_job *j = arg;
    const resize_param *p = j->p;
    const size_t size = omma_dtype_size(j->t);
    (void)worker;
    for (int64_t o = begin; o < end; o++) {
        int64_t at[OMMA_MAX_RANK], offset = 0;
        bool outside = false;
        omma_unravel(o, j->out_dims, p->map.rank, at);
        for (int d = 0; d < p->map.rank; d++) {
            if (p->map.axes[d].outside && p->map.axes[d].outside[at[d]]) outside = true;
            if (p->map.mode == OMMA_RESIZE_NEAREST)
                offset += p->map.axes[d].at[at[d]] * j->in_strides[d];
        }
        if (outside) {
            omma_set_number(j->t, j->dst, o, p->map.extrapolation);
        } else if (p->map.mode == OMMA_RESIZE_NEAREST) {
            memcpy((char *)j->dst + (size_t)o * size, (const char *)j->src + (size_t)offset * size,
                   size);
        } else {
            double v = plain_sum(j, 0, 0, at);
            omma_set_number(j->t, j->dst, o, omma_is_float(j->t) ? v : nearbyint(v));
        }
    }
}

static omma_status resize_run(const omma_exec *x, const omma_node *n) {
    const resize_param *p = n->param;
    omma_value *y = n->out[0];
    if (!y || !omma_value_count(y)) return OMMA_OK;
    if (p->fast) {
        plane_job j = {x, p, n->in[0]->mem, y->mem, n->work};
        omma_parallel(x->threads < p->workers ? x->threads : p->workers, p->planes, 1, planes, &j);
        return OMMA_OK;
    }
    if (p->pixels.planes) {
        omma_resample_pixels_run(x, &p->pixels, n->in[0]->mem, y->mem);
        return OMMA_OK;
    }
    plain_job j = {.p = p, .t = y->dtype, .src = n->in[0]->mem, .dst = y->mem};
    memcpy(j.out_dims, y->dims, sizeof j.out_dims);
    omma_strides(n->in[0]->dims, p->map.rank, j.in_strides);
    omma_parallel(x->threads, omma_value_count(y), 1024, plain_items, &j);
    return OMMA_OK;
}

static double resize_flops(const omma_node *n) {
    const resize_param *p = n->param;
    double f = n->out[0] ? (double)omma_value_count(n->out[0]) : 0;
    return p->map.mode == OMMA_RESIZE_NEAREST ? 0 : f * (p->map.mode == OMMA_RESIZE_CUBIC ? 16 : 8);
}

/* --- the readings in reverse ----------------------------------------------------------------- */

static omma_status resize_grad(omma_grad *g, const omma_node *n) {
    const resize_param *p = n->param;
    omma_value *dy = omma_grad_out(g, n, 0);
    if (!omma_grad_wants(g, n, 0)) return OMMA_OK; /* the others decide the shape */
    return omma_grad_add(g, n, 0, omma_resample_back(&g->m, n, &p->map, dy));
}

/* The inputs output o reads with a weight that is not zero, into item; how many. */
static int32_t read_by(const axis *a, int64_t o, int32_t *item) {
    int32_t n = 0;
    if (a->outside && a->outside[o]) return 0;
    for (int64_t i = o * a->taps, end = i + a->taps; i < end;) {
        const int64_t at = a->at[i];
        double w = 0;
        for (; i < end && a->at[i] == at; i++) w += a->w[i]; /* several at an edge */
        if (w != 0) item[n++] = (int32_t)at;
    }
    return n;
}

static omma_status axis_map(omma_field *f, const omma_resample *p, int d, omma_map *map) {
    axis a = p->axes[d];
    int32_t *start, *item;
    f->status = omma_resample_table(f->b, f->n, p, &a);
    if (f->status) return f->status;
    *map = omma_map_same(d);
    if (!a.active || !omma_map_list(f, map, d, a.out, a.out * a.taps, &start, &item))
        return f->status;
    for (int64_t o = 0; o < a.out; o++) start[o + 1] = start[o] + read_by(&a, o, item + start[o]);
    omma_resample_reach(p, &a, &map->slope, &map->low, &map->high);
    return OMMA_OK;
}

static omma_status resize_field(omma_field *f, const omma_node *n) {
    const resize_param *p = n->param;
    omma_relation *r = omma_field_relate(f, 0, 0);
    for (int d = 0; r && d < p->map.rank; d++) OMMA_TRY(axis_map(f, &p->map, d, &r->axis[d]));
    return f->status;
}

const omma_op omma_op_Resize = {.name = "Resize",
                                .min_in = 1,
                                .max_in = 4,
                                .min_out = 1,
                                .max_out = 1,
                                .infer = resize_infer,
                                .prepare = resize_prepare,
                                .run = resize_run,
                                .flops = resize_flops,
                                .grad = resize_grad,
                                .field = resize_field};

const omma_op omma_op_Upsample = {.name = "Upsample",
                                  .min_in = 1,
                                  .max_in = 2,
                                  .min_out = 1,
                                  .max_out = 1,
                                  .infer = upsample_infer,
                                  .prepare = resize_prepare,
                                  .run = resize_run,
                                  .flops = resize_flops,
                                  .grad = resize_grad,
                                  .field = resize_field};

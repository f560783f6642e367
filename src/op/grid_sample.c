/* grid_sample.c - GridSample: y[n,c,p] = x[n,c] read at the place grid[n,p] names.
 *
 *   x: [N, C, H, W] or [N, C, D, H, W]   grid: [N, out..., 2 or 3], last axis (x, y[, z])
 *   y: [N, C, out...]
 *
 * Places run from -1 to 1: with align_corners from the centre of the first pixel to that
 * of the last, else from edge to edge. One place becomes a short list of taps (offset in a
 * plane, weight), which all channels share. Sources: ONNX GridSample 16 and 20, PyTorch
 * grid_sample. Traps: nearest rounds half to even; padding applies to the place and again
 * to each tap; a place that is NaN or infinite reads nothing with zeros, else pixel 0 or an
 * edge; the cubic's a is -0.75. */
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "op/window.h"

typedef enum sampling { NEAREST, LINEAR, CUBIC } sampling;
typedef enum padding { ZEROS, BORDER, REFLECTION } padding;

enum { MAX_AXES = 3, MAX_TAPS = 16 };

typedef struct sample_param {
    sampling how;
    padding padding;
    bool align;
    int k;                       /* spatial axes, 2 or 3 */
    int64_t in[MAX_AXES];        /* [D,] H, W */
    int64_t n, c, plane, points; /* points: of one image */
} sample_param;

/* The taps of one place along one axis. */
typedef struct line {
    int n;
    int64_t at[4];
    double w[4];
} line;

typedef struct taps {
    int n;
    int64_t at[MAX_TAPS];
    double w[MAX_TAPS];
} taps;

static omma_status read_attributes(omma_build *b, const omma_node *n, sample_param *p) {
    const char *how = omma_node_string(n, "mode", "linear");
    const char *pad = omma_node_string(n, "padding_mode", "zeros");
    if (!strcmp(how, "linear") || !strcmp(how, "bilinear")) p->how = LINEAR;
    else if (!strcmp(how, "cubic") || !strcmp(how, "bicubic")) p->how = CUBIC;
    else if (!strcmp(how, "nearest")) p->how = NEAREST;
    else return omma_bad(b, n, "mode '%s' is unknown", how);
    if (!strcmp(pad, "zeros")) p->padding = ZEROS;
    else if (!strcmp(pad, "border")) p->padding = BORDER;
    else if (!strcmp(pad, "reflection")) p->padding = REFLECTION;
    else return omma_bad(b, n, "padding_mode '%s' is unknown", pad);
    p->align = omma_node_int(n, "align_corners", 0) != 0;
    return OMMA_OK;
}

static omma_status sample_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0], *grid = n->in[1];
    sample_param *p = omma_param(b, n, sizeof *p);
    int64_t dims[OMMA_MAX_RANK];
    if (!p) return omma_nomem(b, n);
    OMMA_TRY(read_attributes(b, n, p));
    p->k = x->rank - 2;
    if (p->k < 2 || p->k > 3 || (p->k == 3 && p->how == CUBIC))
        return omma_unsupported(
            b, n, "an input of rank %d with this mode; 4, and 5 but for cubic, are there", x->rank);
    if (!omma_dtype_size(x->dtype) || !omma_is_float(grid->dtype))
        return omma_unsupported(b, n, "types %s and %s", omma_dtype_name(x->dtype),
                                omma_dtype_name(grid->dtype));
    if (grid->rank != x->rank || grid->dims[x->rank - 1] != p->k || grid->dims[0] != x->dims[0])
        return omma_bad(
            b, n,
            "the grid '%s' must be of rank %d, with %lld images and %d numbers for each place",
            grid->name, x->rank, (long long)x->dims[0], p->k);
    p->n = dims[0] = x->dims[0], p->c = dims[1] = x->dims[1];
    p->plane = p->points = 1;
    for (int d = 0; d < p->k; d++) {
        p->in[d] = x->dims[d + 2];
        dims[d + 2] = grid->dims[d + 1];
        if (p->in[d] < 1 || p->in[d] > INT32_MAX)
            return omma_unsupported(b, n, "spatial axis %d of length %lld", d, (long long)p->in[d]);
        p->plane *= p->in[d];
    }
    OMMA_TRY(omma_out(b, n, 0, x->dtype, x->rank, dims));
    for (int d = 0; d < p->k; d++) p->points *= dims[d + 2];
    return OMMA_OK;
}

/* --- taps ---------------------------------------------------------------------------------- */

/* Fold v back and forth into [lo, hi]. */
static double reflect(double v, double lo, double hi) {
    double span = hi - lo;
    if (!(span > 0)) return lo;
    double t = fmod(fabs(v - lo), 2 * span);
    return t > span ? hi - (t - span) : lo + t;
}

/* A place in pixels, brought into the map where the padding says so and near it otherwise,
 * so that it fits an integer. */
static double place(const sample_param *p, double g, int64_t n) {
    const double len = (double)n, lo = p->align ? 0 : -0.5, hi = len - 1 - lo;
    double v = p->align ? (g + 1) / 2 * (len - 1) : ((g + 1) * len - 1) / 2;
    if (p->how == NEAREST) v = nearbyint(v);
    if (!(v >= lo && v <= hi)) {
        if (p->padding == BORDER) v = v > 0 ? fmin(v, len - 1) : 0;
        if (p->padding == REFLECTION) v = reflect(v, lo, hi);
    }
    if (!(v > -8)) return p->padding == ZEROS ? -8 : 0; /* NaN comes here */
    return v < len + 8 ? v : len + 8;
}

/* The pixel tap i reads, or -1. */
static int64_t pixel(const sample_param *p, int64_t i, int64_t n) {
    if (i >= 0 && i < n) return i;
    if (p->padding == ZEROS) return -1;
    if (p->padding == REFLECTION)
        i = (int64_t)nearbyint(p->align ? reflect((double)i, 0, (double)n - 1)
                                        : reflect((double)i, -0.5, (double)n - 0.5));
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

static double cubic(double t) {
    const double a = -0.75;
    t = fabs(t);
    if (t <= 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
    return ((t - 5) * t + 8) * t * a - 4 * a;
}

static line line_at(const sample_param *p, double g, int64_t n) {
    line l = {.n = 0};
    double v = place(p, g, n);
    int64_t base = (int64_t)floor(v), first = p->how == CUBIC ? -1 : 0;
    int count = p->how == NEAREST ? 1 : p->how == LINEAR ? 2 : 4;
    double part = v - (double)base;
    for (int i = 0; i < count; i++) {
        int64_t at = pixel(p, base + first + i, n);
        double d = part - (double)(first + i);
        if (at < 0) continue;
        l.at[l.n] = at;
        l.w[l.n++] = p->how == NEAREST ? 1 : p->how == LINEAR ? 1 - fabs(d) : cubic(d);
    }
    return l;
}

/* g: the place, x first, as the grid has it. */
static taps taps_at(const sample_param *p, const double *g) {
    taps t = {.n = 1, .at = {0}, .w = {1}};
    for (int d = 0; d < p->k; d++) {
        line l = line_at(p, g[p->k - 1 - d], p->in[d]);
        taps next = {.n = 0};
        for (int i = 0; i < t.n; i++)
            for (int k = 0; k < l.n; k++) {
                next.at[next.n] = t.at[i] * p->in[d] + l.at[k];
                next.w[next.n++] = t.w[i] * l.w[k];
            }
        t = next;
    }
    return t;
}

/* --- run ------------------------------------------------------------------------------------ */

typedef struct sample_job {
    const sample_param *p;
    omma_dtype t, grid_t;
    const void *x, *grid;
    void *y;
} sample_job;

static void channels_f32(const sample_job *j, const taps *t, const float *x, float *y) {
    const sample_param *p = j->p;
    float w[MAX_TAPS];
    for (int i = 0; i < t->n; i++) w[i] = (float)t->w[i];
    for (int64_t c = 0; c < p->c; c++, x += p->plane, y += p->points) {
        float sum = 0;
        for (int i = 0; i < t->n; i++) sum += w[i] * x[t->at[i]];
        *y = sum;
    }
}

static void channels_plain(const sample_job *j, const taps *t, int64_t x, int64_t y) {
    const sample_param *p = j->p;
    for (int64_t c = 0; c < p->c; c++, x += p->plane, y += p->points) {
        double sum = 0;
        for (int i = 0; i < t->n; i++) sum += t->w[i] * omma_number(j->t, j->x, x + t->at[i]);
        omma_set_number(j->t, j->y, y, omma_is_float(j->t) ? sum : nearbyint(sum));
    }
}

static void one_place(const sample_job *j, const double *g, int64_t image, int64_t i) {
    const sample_param *p = j->p;
    taps t = taps_at(p, g);
    int64_t x = image * p->c * p->plane, y = image * p->c * p->points + i;
    if (j->t == OMMA_F32) channels_f32(j, &t, (const float *)j->x + x, (float *)j->y + y);
    else channels_plain(j, &t, x, y);
}

/* What a place of a linear map reads: up to four pixels and their weights. */
typedef struct quad {
    int64_t point, at[4];
    float w[4];
    int n;
} quad;

enum { BLOCK = 256 };

/* Without zeros around the map only a place between four pixels is found. */
static bool find_quad(const sample_param *p, const double *g, quad *q) {
    const double h = (double)p->in[0], w = (double)p->in[1];
    const double x = p->align ? (g[0] + 1) / 2 * (w - 1) : ((g[0] + 1) * w - 1) / 2;
    const double y = p->align ? (g[1] + 1) / 2 * (h - 1) : ((g[1] + 1) * h - 1) / 2;
    const bool between = x >= 0 && x < w - 1 && y >= 0 && y < h - 1;
    q->n = 0;
    if (!between && p->padding != ZEROS) return false;
    if (!(x > -1 && x < w && y > -1 && y < h)) return true; /* reads nothing; NaN comes here too */
    const int64_t x0 = (int64_t)x - (x < 0), y0 = (int64_t)y - (y < 0); /* both are above -1 */
    const double fx = x - (double)x0, fy = y - (double)y0;
    for (int i = 0; i < 4; i++) {
        const int64_t ix = x0 + i % 2, iy = y0 + i / 2;
        if (!between && (ix < 0 || ix >= p->in[1] || iy < 0 || iy >= p->in[0])) continue;
        q->at[q->n] = iy * p->in[1] + ix;
        q->w[q->n++] = (float)((i / 2 ? fy : 1 - fy) * (i % 2 ? fx : 1 - fx));
    }
    return true;
}

static void quads(const sample_job *j, const quad *q, int n, int64_t image) {
    const sample_param *p = j->p;
    for (int64_t c = image * p->c; c < (image + 1) * p->c; c++) {
        const float *x = (const float *)j->x + c * p->plane;
        float *y = (float *)j->y + c * p->points;
        for (int i = 0; i < n; i++) {
            const float *w = q[i].w;
            const int64_t *at = q[i].at;
            float sum = 0;
            if (q[i].n == 4)
                sum = w[0] * x[at[0]] + w[1] * x[at[1]] + w[2] * x[at[2]] + w[3] * x[at[3]];
            else
                for (int k = 0; k < q[i].n; k++) sum += w[k] * x[at[k]];
            y[q[i].point] = sum;
        }
    }
}

/* Items are places of all images. Those of an f32 map that are found at once, most of them, go
 * together, channel by channel. */
static void places(void *arg, int64_t begin, int64_t end, int worker) {
    const sample_job *j = arg;
    const sample_param *p = j->p;
    const bool quick = j->t == OMMA_F32 && p->k == 2 && p->how == LINEAR;
    quad q[BLOCK];
    int n = 0;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        double g[MAX_AXES];
        for (int d = 0; d < p->k; d++)
            g[d] = j->grid_t == OMMA_F32 ? (double)((const float *)j->grid)[i * p->k + d]
                                         : omma_number(j->grid_t, j->grid, i * p->k + d);
        if (quick && find_quad(p, g, &q[n])) q[n++].point = i % p->points;
        else one_place(j, g, i / p->points, i % p->points);
        if (n == BLOCK || (n && (i + 1 == end || (i + 1) % p->points == 0))) {
            quads(j, q, n, i / p->points);
            n = 0;
        }
    }
}

static omma_status sample_run(const omma_exec *x, const omma_node *n) {
    const sample_param *p = n->param;
    omma_value *y = n->out[0];
    if (!y || !omma_value_count(y)) return OMMA_OK;
    sample_job j = {p, y->dtype, n->in[1]->dtype, n->in[0]->mem, n->in[1]->mem, y->mem};
    omma_parallel(x->threads, p->n * p->points, BLOCK, places, &j);
    return OMMA_OK;
}

static double sample_flops(const omma_node *n) {
    const sample_param *p = n->param;
    double each = p->how == NEAREST ? 1 : p->how == CUBIC ? 16 : p->k == 2 ? 4 : 8;
    return 2 * each * (double)p->n * (double)p->c * (double)p->points;
}

const omma_op omma_op_GridSample = {.name = "GridSample",
                                    .min_in = 2,
                                    .max_in = 2,
                                    .min_out = 1,
                                    .max_out = 1,
                                    .infer = sample_infer,
                                    .run = sample_run,
                                    .flops = sample_flops,
                                    .no_grad = OMMA_NOT_YET,
                                    .no_field = OMMA_NOT_YET};

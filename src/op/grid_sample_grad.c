/* grid_sample_grad.c - the gradient of GridSample, for both inputs.
 *
 *   omma.GridSampleGrad   x: [N, C, in...]   grid: [N, out..., 2 or 3]   dy: [N, C, out...]
 *                         dx: as x   dgrid: as grid, both of dy's type
 *
 *     dx[n,c,i]    = sum over places p and taps of theirs that read i of w dy[n,c,p]
 *     dgrid[n,p,d] = sum over c and taps i of p of (w's slope along d) x[n,c,i] dy[n,c,p]
 *
 * dx is made plane by plane, the places in their order, and dgrid place by place, so no sum is
 * split among threads. Traps: outside a border, and outside everything with zeros, the place may
 * move without effect: slope 0; a reflection turns the slope around; at a whole pixel a linear map
 * has the slope of what lies behind it. */
#include <string.h>

#include "base/pool.h"
#include "op/element.h"
#include "op/grid_taps.h"

enum { BLOCK = 32 }; /* places found at a time, for all channels of a chunk */

static omma_status infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0], *grid = n->in[1], *dy = n->in[2];
    int64_t dims[OMMA_MAX_RANK];
    omma_grid *p = omma_param(b, n, sizeof *p);
    if (!p) return omma_nomem(b, n);
    OMMA_TRY(omma_want(b, n, 2, OMMA_BIT(OMMA_F32) | OMMA_BIT(OMMA_F64)));
    OMMA_TRY(omma_grid_read(b, n, x, grid, p, dims));
    if (dy->rank != x->rank || memcmp(dims, dy->dims, (size_t)x->rank * sizeof *dims))
        return omma_bad(b, n, "the cotangent is not of the output's shape");
    p->points = 1;
    for (int d = 0; d < p->k; d++) p->points *= dims[d + 2];
    OMMA_TRY(omma_out(b, n, 0, dy->dtype, x->rank, x->dims));
    return omma_out(b, n, 1, dy->dtype, grid->rank, grid->dims);
}

typedef struct job {
    const omma_grid *p;
    omma_dtype t, x_t, grid_t; /* t: of the cotangents */
    const void *x, *grid, *dy;
    void *out;
} job;

/* --- by the map ---------------------------------------------------------------------------- */

/* n places of plane c, from point on; nearly all of them have four taps. */
#define SCATTER(T)                                                                   \
    static void scatter_##T(const job *j, const omma_grid_taps *t, int n, int64_t c, \
                            int64_t point) {                                         \
        const T *dy = (const T *)j->dy + c * j->p->points + point;                   \
        T *dx = (T *)j->out + c * j->p->plane;                                       \
        for (int i = 0; i < n; i++, t++, dy++)                                       \
            if (t->n == 4) {                                                         \
                dx[t->at[0]] += (T)t->w[0] * *dy, dx[t->at[1]] += (T)t->w[1] * *dy;  \
                dx[t->at[2]] += (T)t->w[2] * *dy, dx[t->at[3]] += (T)t->w[3] * *dy;  \
            } else {                                                                 \
                for (int k = 0; k < t->n; k++) dx[t->at[k]] += (T)t->w[k] * *dy;     \
            }                                                                        \
    }
SCATTER(float)
SCATTER(double)

/* Planes [c, end), all of one image. */
static void image_planes(const job *j, int64_t c, int64_t end) {
    const omma_grid *p = j->p;
    const size_t size = omma_dtype_size(j->t), bytes = (size_t)p->plane * size;
    const int64_t first = c / p->c * p->points; /* place of the image */
    memset((char *)j->out + (size_t)c * bytes, 0, (size_t)(end - c) * bytes);
    for (int64_t point = 0; point < p->points; point += BLOCK) {
        omma_grid_taps t[BLOCK];
        const int n = (int)(p->points - point < BLOCK ? p->points - point : BLOCK);
        for (int i = 0; i < n; i++) {
            double g[OMMA_GRID_AXES];
            omma_grid_place(p, j->grid_t, j->grid, first + point + i, g);
            t[i] = omma_grid_taps_at(p, g);
        }
        for (int64_t q = c; q < end; q++)
            if (j->t == OMMA_F32) scatter_float(j, t, n, q, point);
            else scatter_double(j, t, n, q, point);
    }
}

/* Items are planes (n, c). */
static void planes(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    (void)worker;
    for (int64_t next; begin < end; begin = next) {
        next = (begin / j->p->c + 1) * j->p->c;
        if (next > end) next = end;
        image_planes(j, begin, next);
    }
}

/* --- by the grid --------------------------------------------------------------------------- */

/* A place, and by tap the sum over channels of x dy. */
typedef struct spot {
    omma_grid_line line[OMMA_GRID_AXES];
    int n;
    int64_t at[OMMA_GRID_TAPS];
    double sum[OMMA_GRID_TAPS];
} spot;

static void find(const job *j, int64_t place, spot *s) {
    const omma_grid *p = j->p;
    double g[OMMA_GRID_AXES];
    omma_grid_place(p, j->grid_t, j->grid, place, g);
    s->n = 1;
    for (int d = 0; d < p->k; d++) {
        s->line[d] = omma_grid_line_at(p, g, d);
        s->n *= s->line[d].n;
    }
    for (int t = 0; t < s->n; t++) {
        int64_t rest = t, step = 1;
        s->at[t] = 0, s->sum[t] = 0;
        for (int d = p->k - 1; d >= 0; step *= p->in[d--]) {
            s->at[t] += s->line[d].at[rest % s->line[d].n] * step;
            rest /= s->line[d].n;
        }
    }
}

/* All channels of an image, of n places from point on. */
static void sum_plain(const job *j, spot *s, int n, int64_t image, int64_t point) {
    const omma_grid *p = j->p;
    for (int64_t c = image * p->c; c < (image + 1) * p->c; c++)
        for (int i = 0; i < n; i++) {
            const double dy = omma_number(j->t, j->dy, c * p->points + point + i);
            for (int t = 0; t < s[i].n; t++)
                s[i].sum[t] += dy * omma_number(j->x_t, j->x, c * p->plane + s[i].at[t]);
        }
}

static void sum_f32(const job *j, spot *s, int n, int64_t image, int64_t point) {
    const omma_grid *p = j->p;
    for (int64_t c = image * p->c; c < (image + 1) * p->c; c++) {
        const float *x = (const float *)j->x + c * p->plane;
        const float *dy = (const float *)j->dy + c * p->points + point;
        for (int i = 0; i < n; i++) {
            double *sum = s[i].sum;
            const int64_t *at = s[i].at;
            if (s[i].n == 4) {
                sum[0] += (double)(dy[i] * x[at[0]]), sum[1] += (double)(dy[i] * x[at[1]]);
                sum[2] += (double)(dy[i] * x[at[2]]), sum[3] += (double)(dy[i] * x[at[3]]);
            } else {
                for (int t = 0; t < s[i].n; t++) sum[t] += (double)(dy[i] * x[at[t]]);
            }
        }
    }
}

/* Along axis d: the other axes' weights, and d's slopes. */
static double slope_along(const omma_grid *p, const spot *s, int along) {
    double sum = 0;
    for (int t = 0; t < s->n; t++) {
        int rest = t;
        double w = s->sum[t];
        for (int d = p->k - 1; d >= 0; d--) {
            const omma_grid_line *l = &s->line[d];
            w *= d == along ? l->slope[rest % l->n] : l->w[rest % l->n];
            rest /= l->n;
        }
        sum += w;
    }
    return sum;
}

/* Items are places of all images. */
static void places(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const omma_grid *p = j->p;
    const bool plain = j->t != OMMA_F32 || j->x_t != OMMA_F32;
    (void)worker;
    for (int64_t next; begin < end; begin = next) {
        spot s[BLOCK];
        const int64_t image = begin / p->points;
        next = begin + BLOCK < end ? begin + BLOCK : end;
        if (next > (image + 1) * p->points) next = (image + 1) * p->points;
        for (int64_t i = begin; i < next; i++) find(j, i, &s[i - begin]);
        (plain ? sum_plain : sum_f32)(j, s, (int)(next - begin), image, begin - image * p->points);
        for (int64_t i = begin; i < next; i++)
            for (int d = 0; d < p->k; d++)
                omma_set_number(j->t, j->out, i * p->k + (p->k - 1 - d),
                                slope_along(p, &s[i - begin], d));
    }
}

/* ------------------------------------------------------------------------------------------- */

static omma_status run(const omma_exec *x, const omma_node *n) {
    const omma_grid *p = n->param;
    const omma_value *dx = omma_wanted(n, 0), *dgrid = omma_wanted(n, 1);
    job j = {p,
             n->in[2]->dtype,
             n->in[0]->dtype,
             n->in[1]->dtype,
             n->in[0]->mem,
             n->in[1]->mem,
             n->in[2]->mem,
             NULL};
    const int64_t n_planes = p->n * p->c, n_places = p->n * p->points;
    const int64_t each = n_planes / (4 * (int64_t)x->threads); /* places are found once a chunk */
    if (dx && n_planes) {
        j.out = dx->mem;
        omma_parallel(x->threads, n_planes, each > 1 ? each : 1, planes, &j);
    }
    if (dgrid && n_places) {
        j.out = dgrid->mem;
        omma_parallel(x->threads, n_places, 4 * (int64_t)BLOCK, places, &j);
    }
    return OMMA_OK;
}

static double flops(const omma_node *n) {
    const omma_grid *p = n->param;
    const int outs = (omma_wanted(n, 0) != NULL) + (omma_wanted(n, 1) != NULL);
    return 2 * outs * omma_grid_most(p) * (double)p->n * (double)p->c * (double)p->points;
}

const omma_op omma_op_GridSampleGrad = {.name = "omma.GridSampleGrad",
                                        .min_in = 3,
                                        .max_in = 3,
                                        .min_out = 1,
                                        .max_out = 2,
                                        .infer = infer,
                                        .run = run,
                                        .flops = flops,
                                        .no_grad = "the gradient of a gradient is not built",
                                        .no_field = "it is made after this reading"};

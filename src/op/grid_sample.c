/* grid_sample.c - GridSample: y[n,c,p] = x[n,c] read at the place grid[n,p] names.
 *
 *   x: [N, C, H, W] or [N, C, D, H, W]   grid: [N, out..., 2 or 3], last axis (x, y[, z])
 *   y: [N, C, out...]
 *
 * Places run from -1 to 1: with align_corners from the centre of the first pixel to that
 * of the last, else from edge to edge. One place becomes a short list of taps (offset in a
 * plane, weight), which all channels share (grid_taps.c). Sources: ONNX GridSample 16 and 20,
 * PyTorch grid_sample.
 *
 * The gradient is a row of its own, of both inputs; the field is what the grid at hand reads. */
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "op/grad.h"
#include "op/grid_taps.h"

static omma_status sample_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0];
    omma_grid *p = omma_param(b, n, sizeof *p);
    int64_t dims[OMMA_MAX_RANK];
    if (!p) return omma_nomem(b, n);
    OMMA_TRY(omma_grid_read(b, n, x, n->in[1], p, dims));
    OMMA_TRY(omma_out(b, n, 0, x->dtype, x->rank, dims));
    p->points = 1;
    for (int d = 0; d < p->k; d++) p->points *= dims[d + 2];
    return OMMA_OK;
}

/* --- run ------------------------------------------------------------------------------------ */

typedef struct sample_job {
    const omma_grid *p;
    omma_dtype t, grid_t;
    const void *x, *grid;
    void *y;
} sample_job;

static void channels_f32(const sample_job *j, const omma_grid_taps *t, const float *x, float *y) {
    const omma_grid *p = j->p;
    float w[OMMA_GRID_TAPS];
    for (int i = 0; i < t->n; i++) w[i] = (float)t->w[i];
    for (int64_t c = 0; c < p->c; c++, x += p->plane, y += p->points) {
        float sum = 0;
        for (int i = 0; i < t->n; i++) sum += w[i] * x[t->at[i]];
        *y = sum;
    }
}

static void channels_plain(const sample_job *j, const omma_grid_taps *t, int64_t x, int64_t y) {
    const omma_grid *p = j->p;
    for (int64_t c = 0; c < p->c; c++, x += p->plane, y += p->points) {
        double sum = 0;
        for (int i = 0; i < t->n; i++) sum += t->w[i] * omma_number(j->t, j->x, x + t->at[i]);
        omma_set_number(j->t, j->y, y, omma_is_float(j->t) ? sum : nearbyint(sum));
    }
}

static void one_place(const sample_job *j, const double *g, int64_t image, int64_t i) {
    const omma_grid *p = j->p;
    const omma_grid_taps t = omma_grid_taps_at(p, g);
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
static bool find_quad(const omma_grid *p, const double *g, quad *q) {
    const double h = (double)p->in[0], w = (double)p->in[1];
    const double x = p->align ? (g[0] + 1) / 2 * (w - 1) : ((g[0] + 1) * w - 1) / 2;
    const double y = p->align ? (g[1] + 1) / 2 * (h - 1) : ((g[1] + 1) * h - 1) / 2;
    const bool between = x >= 0 && x < w - 1 && y >= 0 && y < h - 1;
    q->n = 0;
    if (!between && p->padding != OMMA_GRID_ZEROS) return false;
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
    const omma_grid *p = j->p;
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
    const omma_grid *p = j->p;
    const bool quick = j->t == OMMA_F32 && p->k == 2 && p->how == OMMA_GRID_LINEAR;
    quad q[BLOCK];
    int n = 0;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        double g[OMMA_GRID_AXES];
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
    const omma_grid *p = n->param;
    omma_value *y = n->out[0];
    if (!y || !omma_value_count(y)) return OMMA_OK;
    sample_job j = {p, y->dtype, n->in[1]->dtype, n->in[0]->mem, n->in[1]->mem, y->mem};
    omma_parallel(x->threads, p->n * p->points, BLOCK, places, &j);
    return OMMA_OK;
}

static double sample_flops(const omma_node *n) {
    const omma_grid *p = n->param;
    return 2 * omma_grid_most(p) * (double)p->n * (double)p->c * (double)p->points;
}

/* --- the readings in reverse ----------------------------------------------------------------- */

static omma_status sample_grad(omma_grad *g, const omma_node *n) {
    const omma_grid *p = n->param;
    omma_value *dy = omma_grad_out(g, n, 0);
    if (dy->dtype != OMMA_F64) dy = omma_make_cast(&g->m, dy, OMMA_F32);
    const omma_node *d =
        omma_make_node(&g->m, &omma_op_GridSampleGrad, n->opset,
                       (omma_value *[]){n->in[0], n->in[1], dy}, 3, n->attrs, n->n_attrs, 2);
    if (!d) return g->m.status;
    OMMA_TRY(omma_grad_add(g, n, 0, d->out[0]));
    if (p->how == OMMA_GRID_NEAREST) return OMMA_OK; /* steps */
    return omma_grad_add(g, n, 1, d->out[1]);
}

/* Put the pixels a place reads with a weight that is not zero into item; how many. */
static int32_t pixels_of(const omma_grid_taps *t, int32_t *item) {
    int32_t n = 0;
    for (int i = 0; i < t->n; i++) {
        double w = 0;
        bool known = false;
        for (int k = 0; k < t->n; k++) { /* an edge may be read by several taps */
            if (t->at[k] != t->at[i]) continue;
            known |= k < i;
            w += t->w[k];
        }
        if (!known && w != 0) item[n++] = (int32_t)t->at[i];
    }
    return n;
}

/* The list of one image: from places to pixels. */
static bool image_list(omma_field *f, const omma_grid *p, int64_t image, omma_map *map) {
    int32_t *start, *item;
    const omma_value *grid = f->n->in[1];
    const void *numbers = omma_field_numbers(f, grid);
    if (!omma_map_list(f, map, 2, p->points, p->points * omma_grid_most(p), &start, &item))
        return false;
    for (int64_t i = 0; i < p->points; i++) {
        double g[OMMA_GRID_AXES];
        omma_grid_place(p, grid->dtype, numbers, image * p->points + i, g);
        const omma_grid_taps t = omma_grid_taps_at(p, g);
        start[i + 1] = start[i] + pixels_of(&t, item + start[i]);
    }
    return true;
}

/* A relation from the map to output, seen as [N, C, pixels] and [N, C, places]. */
static omma_relation *from_map(omma_field *f, const omma_grid *p) {
    omma_relation *r = omma_field_relate(f, 0, 0);
    if (!r) return NULL;
    omma_relation_view_out(r, 3, (const int64_t[]){p->n, p->c, p->points});
    omma_relation_view_in(r, 3, (const int64_t[]){p->n, p->c, p->plane});
    omma_relation_same(r, 0, 0);
    omma_relation_same(r, 1, 1);
    return r;
}

static omma_status sample_field(omma_field *f, const omma_node *n) {
    const omma_grid *p = n->param;
    const bool known = omma_field_numbers(f, n->in[1]) != NULL;
    for (int64_t image = 0; image < (known ? p->n : 1); image++) {
        omma_relation *r = from_map(f, p);
        if (!r) break;
        r->data = known && !n->in[1]->data;
        r->bound = !known;
        if (!known) continue;
        /* only this image: n moves the others out of the batch */
        r->axis[0] = omma_map_moved(0, image - image * p->n, p->n);
        if (!image_list(f, p, image, &r->axis[2])) break;
    }
    omma_relation *r = omma_field_relate(f, 0, 1);
    if (!r) return f->status;
    r->path = OMMA_PATH_CONTROL; /* a place decides what is read for it */
    omma_relation_view_out(r, 3, (const int64_t[]){p->n, p->c, p->points});
    omma_relation_view_in(r, 3, (const int64_t[]){p->n, p->points, p->k});
    omma_relation_same(r, 0, 0);
    omma_relation_same(r, 1, 2);
    return OMMA_OK;
}

const omma_op omma_op_GridSample = {.name = "GridSample",
                                    .min_in = 2,
                                    .max_in = 2,
                                    .min_out = 1,
                                    .max_out = 1,
                                    .infer = sample_infer,
                                    .run = sample_run,
                                    .flops = sample_flops,
                                    .grad = sample_grad,
                                    .field = sample_field};

/* affine_grid.c - AffineGrid: the places an affine map sends the pixels of an image to, as
 * GridSample reads them.
 *
 *   theta: [N, 2, 3] or [N, 3, 4] of floats   size: int64 [N, C, H, W] or [N, C, D, H, W]
 *   y: [N, H, W, 2] or [N, D, H, W, 3], theta times (x, y, 1) or (x, y, z, 1)
 *
 * Coordinates run from -1 to 1 between the centres of the corner pixels with align_corners,
 * else between the image's edges; of a single pixel with align_corners it is 0.
 * Source: ONNX AffineGrid 20. Trap: x comes first, the last axis of the image. */
#include "base/pool.h"
#include "op/element.h"
#include "op/field.h"
#include "op/grad.h"

typedef struct affine {
    int k; /* spatial axes, 2 or 3 */
    int64_t len[3];
    bool corners;
} affine;

static omma_status infer(omma_build *b, omma_node *n) {
    int64_t size[5], dims[5];
    int count;
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_FLOAT));
    OMMA_TRY(omma_ints_in(b, n, 1, size, 5, &count));
    const omma_value *theta = n->in[0];
    affine *a = omma_param(b, n, sizeof *a);
    if (!a) return omma_nomem(b, n);
    a->k = count - 2;
    if ((a->k != 2 && a->k != 3) || theta->rank != 3 || theta->dims[0] != size[0] ||
        theta->dims[1] != a->k || theta->dims[2] != a->k + 1)
        return omma_bad(b, n,
                        "theta [N, 2, 3] and a size [N, C, H, W], or [N, 3, 4] and "
                        "[N, C, D, H, W], are needed");
    a->corners = omma_node_int(n, "align_corners", 0) != 0;
    dims[0] = size[0];
    for (int d = 0; d < a->k; d++) dims[d + 1] = a->len[d] = size[d + 2];
    dims[a->k + 1] = a->k;
    return omma_out(b, n, 0, theta->dtype, a->k + 2, dims);
}

static double coordinate(const affine *a, int64_t i, int64_t len) {
    if (!a->corners) return (double)(2 * i + 1) / (double)len - 1;
    return len == 1 ? 0 : 2 * (double)i / (double)(len - 1) - 1;
}

/* (x, y, 1) of a place, numbered as in an image. Returns the image. */
static int64_t coordinates(const affine *a, int64_t place, double *at) {
    for (int d = 0; d < a->k; d++) {
        const int64_t len = a->len[a->k - 1 - d];
        at[d] = coordinate(a, place % len, len);
        place /= len;
    }
    at[a->k] = 1;
    return place;
}

/* Items are places of all images. */
static void places(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const omma_node *n = arg;
    const affine *a = n->param;
    const omma_value *theta = n->in[0], *y = n->out[0];
    for (int64_t i = begin; i < end; i++) {
        double at[4] = {0, 0, 0, 0};
        const int64_t image = coordinates(a, i, at);
        for (int r = 0; r < a->k; r++) {
            double sum = 0;
            for (int c = 0; c <= a->k; c++)
                sum += at[c] * omma_get_number(theta->dtype, theta->mem,
                                               (image * a->k + r) * (a->k + 1) + c);
            omma_set_number(y->dtype, y->mem, i * a->k + r, sum);
        }
    }
}

static omma_status run(const omma_exec *x, const omma_node *n) {
    const affine *a = n->param;
    if (omma_wanted(n, 0))
        omma_parallel(x->threads, omma_value_count(n->out[0]) / a->k, OMMA_GRAIN / 16, places,
                      (void *)(uintptr_t)n);
    return OMMA_OK;
}

static double flops(const omma_node *n) {
    return 8 * (n->out[0] ? (double)omma_value_count(n->out[0]) : 0);
}

/* --- the readings in reverse ----------------------------------------------------------------- */

/* (x, y, 1) of every place: [places, k + 1]. An AffineGrid of the unit matrix, folded later. */
static omma_value *base_of(omma_maker *m, const omma_node *n, const omma_value *like) {
    const affine *a = n->param;
    int64_t size[5] = {1, 1}, places = 1;
    for (int d = 0; d < a->k; d++) size[d + 2] = a->len[d], places *= a->len[d];
    const int64_t unit[] = {1, a->k, a->k + 1}, rows[] = {places, a->k}, column[] = {places, 1};
    omma_value *one = omma_make_number(m, like, 1);
    omma_value *theta =
        omma_make_1(m, "EyeLike", omma_make_2(m, "Expand", one, omma_make_ints(m, unit + 1, 2)));
    omma_value *in[] = {omma_make_reshape(m, theta, 3, unit), omma_make_ints(m, size, a->k + 2)};
    const omma_attr corners = OMMA_A_INT("align_corners", a->corners);
    const omma_node *g = omma_make_node(m, n->op, n->opset, in, 2, &corners, 1, 1);
    omma_value *both[] = {omma_make_reshape(m, g ? g->out[0] : NULL, 2, rows),
                          omma_make_2(m, "Expand", one, omma_make_ints(m, column, 2))};
    return omma_make_concat(m, both, 2, 1);
}

/* dtheta[n] = dy[n]T (x, y, 1) */
static omma_status grad(omma_grad *g, const omma_node *n) {
    const affine *a = n->param;
    omma_maker *m = &g->m;
    omma_value *dy = omma_grad_out(g, n, 0);
    if (!omma_grad_wants(g, n, 0)) return OMMA_OK;
    if (!omma_value_count(dy)) return omma_grad_add(g, n, 0, omma_make_full(m, n->in[0], 0));
    if (dy->dtype != OMMA_F64) dy = omma_make_cast(m, dy, OMMA_F32);
    int64_t dims[3] = {n->in[0]->dims[0], 1, a->k};
    for (int d = 0; d < a->k; d++) dims[1] *= a->len[d];
    dy = omma_make_turned(m, omma_make_reshape(m, dy, 3, dims));
    return omma_grad_add(g, n, 0, omma_make_2(m, "MatMul", dy, base_of(m, n, dy)));
}

/* Number r of a place is made from row r of theta, but for what stands by a coordinate of 0. */
static omma_status field(omma_field *f, const omma_node *n) {
    const affine *a = n->param;
    omma_relation *q = omma_field_relate(f, 0, 0);
    int64_t images = n->in[0]->dims[0], places = 1;
    int32_t *start, *item;
    if (!q) return f->status;
    for (int d = 0; d < a->k; d++) places *= a->len[d];
    omma_relation_view_out(q, 3, (const int64_t[]){images, places, a->k});
    omma_relation_same(q, 0, 0);
    omma_relation_same(q, 1, 2);
    if (!omma_map_list(f, &q->axis[2], 1, places, places * (a->k + 1), &start, &item))
        return f->status;
    for (int64_t i = 0; i < places; i++) {
        double at[4];
        (void)coordinates(a, i, at);
        start[i + 1] = start[i];
        for (int c = 0; c <= a->k; c++)
            if (at[c] != 0) item[start[i + 1]++] = c;
    }
    return OMMA_OK;
}

const omma_op omma_op_AffineGrid = {.name = "AffineGrid",
                                    .min_in = 2,
                                    .max_in = 2,
                                    .min_out = 1,
                                    .max_out = 1,
                                    .infer = infer,
                                    .run = run,
                                    .flops = flops,
                                    .grad = grad,
                                    .field = field};

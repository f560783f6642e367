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

/* Items are places of all images. */
static void places(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const omma_node *n = arg;
    const affine *a = n->param;
    const omma_value *theta = n->in[0], *y = n->out[0];
    for (int64_t i = begin; i < end; i++) {
        double at[4] = {0, 0, 0, 0};
        int64_t rest = i;
        for (int d = 0; d < a->k; d++) {
            const int64_t len = a->len[a->k - 1 - d];
            at[d] = coordinate(a, rest % len, len);
            rest /= len;
        }
        at[a->k] = 1;
        for (int r = 0; r < a->k; r++) {
            double sum = 0;
            for (int c = 0; c <= a->k; c++)
                sum += at[c] * omma_get_number(theta->dtype, theta->mem,
                                               (rest * a->k + r) * (a->k + 1) + c);
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

const omma_op omma_op_AffineGrid = {.name = "AffineGrid",
                                    .min_in = 2,
                                    .max_in = 2,
                                    .min_out = 1,
                                    .max_out = 1,
                                    .infer = infer,
                                    .run = run,
                                    .flops = flops,
                                    .no_grad = OMMA_NOT_YET,
                                    .no_field = OMMA_NOT_YET};

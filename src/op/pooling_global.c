/* pooling_global.c - poolings of the whole map: GlobalAveragePool, GlobalMaxPool, GlobalLpPool.
 *
 *   x: [N, C, spatial...]   y: [N, C, 1...]   Lp: (sum |x|^p)^(1/p)
 *
 * f32 takes the row kernels, other floats are computed in double. Sources: ONNX GlobalAveragePool
 * 1, 22, GlobalMaxPool 1, 22, GlobalLpPool 1..22. */
#include "base/pool.h"
#include "op/pooling.h"

static omma_status global_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0];
    int64_t dims[OMMA_MAX_RANK];
    if (!omma_is_float(x->dtype))
        return omma_unsupported(b, n, "type %s", omma_dtype_name(x->dtype));
    if (x->rank < 2)
        return omma_bad(b, n, "input '%s' has rank %d; [N, C, spatial...] is needed", x->name,
                        x->rank);
    for (int d = 0; d < x->rank; d++) dims[d] = d < 2 ? x->dims[d] : 1;
    return omma_out(b, n, 0, x->dtype, x->rank, dims);
}

typedef struct global_job {
    const omma_exec *x;
    omma_dtype t;
    bool average;
    double power; /* Lp's p, else 0 */
    int64_t plane;
    const void *src;
    void *dst;
} global_job;

static float global_f32(const global_job *j, const float *x) {
    if (j->average) return j->x->kern->sum(j->plane, x) / (float)j->plane;
    return j->x->kern->max(j->plane, x);
}

static double global_plain(const global_job *j, int64_t i) {
    double v = j->average ? 0 : -INFINITY;
    for (int64_t k = i * j->plane; k < (i + 1) * j->plane; k++) {
        double a = omma_number(j->t, j->src, k);
        if (j->power > 0) v += omma_raised(a, j->power);
        else if (j->average) v += a;
        else if (a > v || a != a) v = a;
    }
    if (j->power > 0) return omma_root(v, j->power);
    return j->average ? v / (double)j->plane : v;
}

static void global_planes(void *arg, int64_t begin, int64_t end, int worker) {
    const global_job *j = arg;
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        if (j->t == OMMA_F32 && j->plane && j->power <= 0)
            ((float *)j->dst)[i] = global_f32(j, (const float *)j->src + i * j->plane);
        else omma_set_number(j->t, j->dst, i, global_plain(j, i));
}

static omma_status global_run(const omma_exec *x, const omma_node *n, bool average, double power) {
    const omma_value *in = n->in[0];
    const omma_value *y = n->out[0];
    if (!y || !omma_value_count(y)) return OMMA_OK;
    int64_t planes = omma_value_count(y), plane = omma_value_count(in) / planes;
    global_job j = {x, in->dtype, average, power, plane, in->mem, y->mem};
    omma_parallel(x->threads, planes, plane < 4096 ? 4096 / (plane + 1) + 1 : 1, global_planes, &j);
    return OMMA_OK;
}

static omma_status global_average_run(const omma_exec *x, const omma_node *n) {
    return global_run(x, n, true, 0);
}
static omma_status global_max_run(const omma_exec *x, const omma_node *n) {
    return global_run(x, n, false, 0);
}
static omma_status global_lp_infer(omma_build *b, omma_node *n) {
    OMMA_TRY(omma_pool_check_power(b, n));
    return global_infer(b, n);
}
static omma_status global_lp_run(const omma_exec *x, const omma_node *n) {
    return global_run(x, n, true, omma_pool_power(n));
}
static double global_flops(const omma_node *n) { return (double)omma_value_count(n->in[0]); }

/* --- the readings in reverse ---------------------------------------------------------------- */

static omma_status average_grad(omma_grad *g, const omma_node *n) {
    const omma_value *x = n->in[0];
    omma_value *dy = omma_grad_out(g, n, 0);
    const int64_t planes = omma_value_count(dy);
    if (!omma_value_count(x)) return OMMA_OK;
    dy = omma_make_scaled(&g->m, dy, 1 / ((double)omma_value_count(x) / (double)planes));
    return omma_grad_add(g, n, 0, omma_make_spread(&g->m, dy, x));
}

/* As of a MaxPool whose window is the whole map. */
static omma_status max_grad(omma_grad *g, const omma_node *n) {
    omma_value *x = n->in[0], *dy = omma_grad_out(g, n, 0);
    if (!omma_value_count(x)) return OMMA_OK;
    if (x->rank < 3) return omma_grad_add(g, n, 0, dy);
    const omma_attr kernel = OMMA_A_INTS("kernel_shape", x->dims + 2, x->rank - 2);
    return omma_grad_add(g, n, 0, omma_make_max_back(&g->m, x, n->out[0], dy, &kernel, 1));
}

static omma_status lp_grad(omma_grad *g, const omma_node *n) {
    omma_value *x = n->in[0];
    const double p = omma_pool_power(n);
    omma_value *s = omma_lp_grad_of_root(&g->m, omma_grad_out(g, n, 0), n->out[0], p);
    s = omma_make_spread(&g->m, s, x);
    return omma_grad_add(g, n, 0, omma_lp_grad_of_powers(&g->m, s, x, p));
}

static omma_status global_field(omma_field *f, const omma_node *n) {
    omma_relation *r = omma_field_relate(f, 0, 0);
    (void)n;
    for (int d = 0; r && d < 2; d++) omma_relation_same(r, d, d);
    return f->status;
}

const omma_op omma_op_GlobalAveragePool = {.name = "GlobalAveragePool",
                                           .min_in = 1,
                                           .max_in = 1,
                                           .min_out = 1,
                                           .max_out = 1,
                                           .infer = global_infer,
                                           .run = global_average_run,
                                           .flops = global_flops,
                                           .grad = average_grad,
                                           .field = global_field};

const omma_op omma_op_GlobalMaxPool = {.name = "GlobalMaxPool",
                                       .min_in = 1,
                                       .max_in = 1,
                                       .min_out = 1,
                                       .max_out = 1,
                                       .infer = global_infer,
                                       .run = global_max_run,
                                       .flops = global_flops,
                                       .grad = max_grad,
                                       .field = global_field};

const omma_op omma_op_GlobalLpPool = {.name = "GlobalLpPool",
                                      .min_in = 1,
                                      .max_in = 1,
                                      .min_out = 1,
                                      .max_out = 1,
                                      .infer = global_lp_infer,
                                      .run = global_lp_run,
                                      .flops = global_flops,
                                      .grad = lp_grad,
                                      .field = global_field};

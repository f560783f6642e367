/* test_grad_threads.c - gradients of windows and products: the same bits for any number of threads,
 * and in 16-bit floats what they are in double, roughly. */
#include "gradcheck.h"

typedef gradcheck *maker(void);

static gradcheck *pool(const char *op) {
    gradcheck *c = gradcheck_new(op, 12, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 8, 15, 16));
    gradcheck_ints(c, "kernel_shape", GRADCHECK_DIMS(3, 3));
    gradcheck_ints(c, "strides", GRADCHECK_DIMS(2, 2));
    gradcheck_ints(c, "pads", GRADCHECK_DIMS(1, 1, 1, 1));
    return c;
}
static gradcheck *max_pool(void) { return pool("MaxPool"); }
static gradcheck *average_pool(void) { return pool("AveragePool"); }
static gradcheck *lp_pool(void) { return pool("LpPool"); }

static gradcheck *deform(void) {
    gradcheck *c = gradcheck_new("DeformConv", 19, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(1, 36, 10, 10));
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(6, 18, 2, 2));
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(1, 16, 10, 10));
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(6));
    gradcheck_float(c, 0, 1, GRADCHECK_DIMS(1, 8, 10, 10));
    gradcheck_ints(c, "pads", GRADCHECK_DIMS(0, 0, 1, 1));
    gradcheck_int(c, "group", 2);
    gradcheck_int(c, "offset_group", 2);
    return c;
}

/* With strides and constant weights, by the image. */
static gradcheck *conv(void) {
    gradcheck *c = gradcheck_new("Conv", 11, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(1, 16, 16, 16));
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(20, 16, 3, 3))->fixed = true;
    gradcheck_ints(c, "strides", GRADCHECK_DIMS(2, 2));
    gradcheck_ints(c, "pads", GRADCHECK_DIMS(1, 1, 1, 1));
    return c;
}

static gradcheck *conv_transpose(void) {
    gradcheck *c = gradcheck_new("ConvTranspose", 11, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 8, 9, 11));
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(8, 6, 3, 3));
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(6));
    gradcheck_ints(c, "strides", GRADCHECK_DIMS(2, 2));
    return c;
}

static gradcheck *matmul(void) {
    gradcheck *c = gradcheck_new("MatMul", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(3, 40, 30));
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(30, 70));
    return c;
}

static gradcheck *gemm(void) {
    gradcheck *c = gradcheck_new("Gemm", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(30, 50));
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(60, 30));
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(50, 1));
    gradcheck_int(c, "transA", 1);
    gradcheck_int(c, "transB", 1);
    return c;
}

static gradcheck *einsum(void) {
    gradcheck *c = gradcheck_new("Einsum", 12, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3, 20, 8));
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3, 25, 8));
    gradcheck_text(c, "equation", "bhid,bhjd->bhij");
    return c;
}

static gradcheck *det(void) {
    gradcheck *c = gradcheck_new("Det", 22, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(40, 5, 5));
    return c;
}

static gradcheck *col2im(void) {
    gradcheck *c = gradcheck_new("Col2Im", 18, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 18, 64));
    gradcheck_list(c, (int64_t[]){10, 10}, 2);
    gradcheck_list(c, (int64_t[]){3, 3}, 2);
    return c;
}

static maker *const makers[] = {max_pool, average_pool, lp_pool, deform, conv,  conv_transpose,
                                matmul,   gemm,         einsum,  det,    col2im};
enum { N_MAKERS = sizeof makers / sizeof *makers };

static void end(gradcheck *c) {
    omma_arena_free(&c->arena);
    test_free(c);
}

/* --- threads ------------------------------------------------------------------------------- */

static void differentiate(gradcheck_side *s, const gradcheck *c, int threads) {
    const omma_gradient_how how = {
        .of = s->of, .n_of = s->n_of, .by = s->by, .n_by = s->n_by, .seeded = 1};
    const omma_options opt = {.threads = threads};
    omma_gradient_free(s->gradient);
    if (omma_gradient_on_graph(&s->gradient, s->g, "check", &how, &opt, &s->err) ||
        omma_gradient_run(s->gradient, s->in, s->g->n_inputs, s->seed, &s->err))
        fail_msg("%s: %s", c->what, s->err.message);
}

static void same_bits(void **state) {
    (void)state;
    static const int threads[] = {1, 2, 5};
    for (int i = 0; i < N_MAKERS; i++) {
        gradcheck *c = makers[i]();
        gradcheck_side s;
        void *first[GRADCHECK_IN] = {0};
        gradcheck_build(&s, c, OMMA_F32);
        gradcheck_back(&s, c); /* the seeds */
        for (int t = 0; t < 3; t++) {
            differentiate(&s, c, threads[t]);
            for (int k = 0; k < s.n_by; k++) {
                const omma_tensor *dx = omma_gradient_result(s.gradient, k);
                const size_t bytes = (size_t)gradcheck_count(dx) * sizeof(float);
                if (!t) memcpy(first[k] = omma_arena_alloc(&s.arena, bytes), dx->data, bytes);
                else if (memcmp(first[k], dx->data, bytes))
                    fail_msg("%s: other bits by input %d with %d threads", c->what, s.which[k],
                             threads[t]);
            }
        }
        gradcheck_drop(&s);
        end(c);
    }
}

/* --- types ----------------------------------------------------------------------------------- */

/* Numbers a 16-bit float holds exactly, so that both sides see the same. */
static void coarsen(gradcheck *c) {
    for (int i = 0; i < c->n_in; i++)
        for (int64_t k = 0; c->in[i].type == OMMA_F64 && !c->in[i].absent && k < c->in[i].count;
             k++) {
            double *x = (double *)c->in[i].data + k;
            *x = nearbyint(*x * 64) / 64 + (k % 2 ? 0.0078125 : 0);
        }
}

static void sixteen_bits(void **state) {
    (void)state;
    static const omma_dtype types[] = {OMMA_F16, OMMA_BF16};
    for (int i = 0; i < N_MAKERS; i++)
        for (int t = 0; t < 2; t++) {
            gradcheck *c = makers[i]();
            gradcheck_side wide, narrow;
            if (!strcmp(c->what, "MaxPool")) { /* ties are broken alike: nothing to coarsen */
                for (int64_t k = 0; k < c->in[0].count; k++)
                    ((double *)c->in[0].data)[k] = (double)((k * 37) % 251) / 128 - 1;
            } else coarsen(c);
            c->tolerance32 = t ? 0.05 : 0.01;
            gradcheck_build(&wide, c, OMMA_F64);
            gradcheck_build(&narrow, c, types[t]);
            gradcheck_back(&wide, c);
            gradcheck_back(&narrow, c);
            for (int k = 0; k < wide.n_by; k++) gradcheck_compare(c, &wide, &narrow, k);
            gradcheck_drop(&wide);
            gradcheck_drop(&narrow);
            end(c);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_bits), cmocka_unit_test(sixteen_bits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_pass_bf16.c - plans in bfloat16: which nodes become so, casts at the edges alone, names that
 * stay in float32, the switch; random models (randomblocks.h) with every product in bfloat16 are as
 * far from the float ones as rounding takes them, the same on any number of threads, and the same
 * whatever is watched. */
#define _DEFAULT_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>

#include "planned.h"
#include "randomblocks.h"
#include "run/session.h"

/* --- a plan ---------------------------------------------------------------------------------- */

static void plan_run(planned *p, const omma_tensor *in, int threads) {
    omma_error err;
    if (omma_plan_run(p->plan, in, threads, &err)) fail_msg("%s", err.message);
}

/* --- what becomes of a small model --------------------------------------------------------------
 */

enum { C = 64, SIDE = 6 };
static float weights[C * C * 9], pixels[C * SIDE * SIDE];

/* Two convolutions with a sum around the second, a third, and a softmax behind. */
static omma_model *small_model(void) {
    mk g = {0}, a = {0};
    omma_model *m;
    omma_error err;
    random_seed = 5;
    for (size_t i = 0; i < sizeof weights / 4; i++) weights[i] = real() * 0.1f;
    for (size_t i = 0; i < sizeof pixels / 4; i++) pixels[i] = real();
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(1, C, SIDE, SIDE));
    mk_floats(&g, "w", weights, MK_DIMS(C, C, 1, 1)),
        mk_floats(&g, "k", weights, MK_DIMS(C, C, 3, 3));
    mk_op(&g, "Conv", "x,w", "c0", NULL), mk_op(&g, "Relu", "c0", "r0", NULL);
    mk_attr_ints(&a, "pads", (int64_t[]){1, 1, 1, 1}, 4), mk_op(&g, "Conv", "r0,k", "c1", &a);
    mk_op(&g, "Add", "c1,r0", "s", NULL), mk_op(&g, "Relu", "s", "r1", NULL);
    mk_op(&g, "Conv", "r1,w", "c2", NULL);
    mk_attr_int(&a, "axis", 1), mk_op(&g, "Softmax", "c2", "y", &a);
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, -1, NULL);
    mk bytes = mk_model(&g, 17);
    if (mk_open(&m, &bytes, NULL, &err)) fail_msg("%s", err.message);
    mk_free(&bytes);
    return m;
}

static void patterns(void **state) {
    (void)state;
    omma_model *m = small_model();
    const omma_tensor in = {OMMA_F32, 4, {1, C, SIDE, SIDE}, pixels};
    const omma_bf16_how off = {0}, on = {.on = true}, all = {.on = true, .all = true};
    const char *name = NULL;
    planned p;
    plan_open(&p, m, &in, &off, 1, NULL, 0);
    assert_int_equal(plan_count(&p, "ConvLast", OMMA_F32), 3);
    for (int i = 0; i < p.plan->graph->n_nodes; i++) /* the middle one, as the plan calls it */
        if (!strcmp(p.plan->graph->nodes[i]->op->name, "ConvLast") &&
            p.plan->graph->nodes[i]->n_in > 3 && p.plan->graph->nodes[i]->in[3])
            name = p.plan->graph->nodes[i]->name;
    assert_non_null(name);
    char keep[100];
    snprintf(keep, sizeof keep, "nothing\n%s\n", name);
    plan_close(&p);

    /* the first stays; the others are, and nothing is cast between them: the sum is in the
     * convolution, and the softmax is given float32 at once */
    plan_open(&p, m, &in, &on, 1, NULL, 0);
    assert_int_equal(plan_count(&p, "ConvLast", OMMA_F32), 1);
    assert_int_equal(plan_count(&p, "ConvLast", OMMA_BF16), 2);
    assert_int_equal(plan_count(&p, "omma.Narrow", OMMA_NONE), 1);
    assert_int_equal(plan_count(&p, "Cast", OMMA_NONE), 0);
    assert_int_equal(plan_count(&p, "Softmax", OMMA_F32), 1);
    assert_int_equal(p.plan->graph->outputs[0]->dtype, OMMA_F32);
    plan_close(&p);

    plan_open(&p, m, &in, &all, 1, NULL, 0);
    assert_int_equal(plan_count(&p, "ConvLast", OMMA_BF16), 3);
    plan_close(&p);

    const omma_bf16_how kept = {.on = true, .keep = keep};
    plan_open(&p, m, &in, &kept, 1, NULL, 0);
    assert_int_equal(plan_count(&p, "ConvLast", OMMA_BF16), 1);
    plan_close(&p);

    setenv("OMMA_PASSES", "-bf16", 1);
    plan_open(&p, m, &in, &on, 1, NULL, 0);
    assert_int_equal(plan_count(&p, "ConvLast", OMMA_BF16), 0);
    plan_close(&p);
    unsetenv("OMMA_PASSES");
    omma_model_free(m);
}

/* What reads a picture's planes is a product like others, before which none comes: it stays in
 * float32, asked for or not, and those behind it are in bfloat16. */
static void pictures(void **state) {
    (void)state;
    enum { TALL = 18 };
    static float picture[3 * TALL * TALL];
    mk g = {0}, a = {0};
    omma_model *m;
    omma_error err;
    planned p;
    random_seed = 6;
    for (size_t i = 0; i < sizeof picture / 4; i++) picture[i] = real();
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(1, 3, TALL, TALL));
    mk_floats(&g, "s", weights, MK_DIMS(C, 3, 3, 3));
    mk_floats(&g, "w", weights, MK_DIMS(C, C, 1, 1));
    mk_attr_ints(&a, "pads", (int64_t[]){1, 1, 1, 1}, 4), mk_op(&g, "Conv", "x,s", "c0", &a);
    mk_op(&g, "Relu", "c0", "r0", NULL), mk_op(&g, "Conv", "r0,w", "y", NULL);
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, -1, NULL);
    mk bytes = mk_model(&g, 17);
    if (mk_open(&m, &bytes, NULL, &err)) fail_msg("%s", err.message);
    mk_free(&bytes);
    const omma_tensor in = {OMMA_F32, 4, {1, 3, TALL, TALL}, picture};
    for (int all = 0; all < 2; all++) {
        plan_open(&p, m, &in, &(omma_bf16_how){.on = true, .all = all}, 1, NULL, 0);
        assert_int_equal(plan_count(&p, "Transpose", OMMA_F32), 1); /* of the answer alone */
        assert_int_equal(plan_count(&p, "ConvLast", OMMA_F32), 1);
        assert_int_equal(plan_count(&p, "ConvLast", OMMA_BF16), 1);
        plan_close(&p);
    }
    omma_model_free(m);
}

/* Through the public options; a watched value is of float32 and is what the float model has. */
static void session_options(void **state) {
    (void)state;
    omma_model *m = small_model();
    const omma_tensor in = {OMMA_F32, 4, {1, C, SIDE, SIDE}, pixels};
    const omma_options opts[2] = {{.threads = 1}, {.threads = 1, .bf16 = 1}};
    omma_session *s[2];
    omma_error err;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(omma_session_new(&s[i], m, &opts[i], &err), OMMA_OK);
        assert_int_equal(omma_session_watch(s[i], "r1", &err), OMMA_OK);
        assert_int_equal(omma_session_run(s[i], &in, 1, &err), OMMA_OK);
    }
    const omma_tensor *f = omma_session_watched(s[0], "r1"), *h = omma_session_watched(s[1], "r1");
    assert_int_equal(h->dtype, OMMA_F32);
    double off = 0, most = 0;
    for (int i = 0; i < C * SIDE * SIDE; i++) {
        const double a = (double)((const float *)f->data)[i],
                     b = (double)((const float *)h->data)[i];
        off = fmax(off, fabs(a - b)), most = fmax(most, fabs(a));
    }
    assert_true(off > 0 && off < 0.02 * most);
    for (int i = 0; i < 2; i++) omma_session_free(s[i]);
    omma_model_free(m);
}

/* --- random models ------------------------------------------------------------------------------
 */

/* Energy of the difference over that of the numbers. */
static double distance(const omma_plan *a, const omma_plan *b, int i) {
    const float *x = a->outputs[i].data, *y = b->outputs[i].data;
    double off = 0, all = 0;
    for (int64_t k = 0; k < omma_tensor_count(&a->outputs[i]); k++) {
        off += ((double)x[k] - (double)y[k]) * ((double)x[k] - (double)y[k]);
        all += (double)x[k] * (double)x[k];
    }
    return sqrt(off / (all + 1e-12));
}

static void same(const omma_plan *a, const omma_plan *b, const char *what) {
    for (int i = 0; i < a->n_outputs; i++)
        if (memcmp(a->outputs[i].data, b->outputs[i].data,
                   (size_t)omma_tensor_count(&a->outputs[i]) * sizeof(float)))
            fail_msg("output %d has other bits %s", i, what);
}

/* Each number up or down by at most a hundredth. */
static void disturb(const omma_tensor *in, float *to) {
    const float *x = in->data;
    for (int64_t i = 0; i < omma_tensor_count(in); i++) to[i] = x[i] * (1 + 0.01f * real());
}

static long one_model(uint32_t number_, double *mean) {
    const omma_bf16_how off = {0}, all = {.on = true, .all = true};
    random_graph r;
    omma_model *m;
    omma_error err;
    planned f, d, h, t, w;
    random_seed = number_ * 2654435761u + 3;
    mk bytes = random_blocks(&r);
    if (mk_open(&m, &bytes, NULL, &err)) fail_msg("model %u: %s", number_, err.message);
    mk_free(&bytes);
    omma_tensor in = {OMMA_F32, 4, {1, 3, r.h, r.w}, NULL}, near = in;
    in.data = malloc((size_t)(3 * r.h * r.w) * 4), near = in;
    near.data = malloc((size_t)(3 * r.h * r.w) * 4);
    assert_true(in.data && near.data);
    for (int64_t i = 0; i < 3 * r.h * r.w; i++) ((float *)in.data)[i] = real();
    disturb(&in, near.data);
    const char *watch[6];
    for (int i = 0; i < 6; i++) watch[i] = m->graph->values[rnd(m->graph->n_values)]->name;
    plan_open(&f, m, &in, &off, 1, NULL, 0), plan_run(&f, &in, 1);
    plan_open(&d, m, &in, &off, 1, NULL, 0), plan_run(&d, &near, 1);
    plan_open(&h, m, &in, &all, 1, NULL, 0), plan_run(&h, &in, 1);
    plan_open(&t, m, &in, &all, 4, NULL, 0), plan_run(&t, &in, 4);
    plan_open(&w, m, &in, &all, 2, watch, 6), plan_run(&w, &in, 2);
    for (int i = 0; i < f.plan->n_outputs; i++) {
        const double noise = distance(f.plan, d.plan, i), got = distance(f.plan, h.plan, i);
        *mean += got;
        if (!(got < 0.05 + 10 * noise))
            fail_msg("model %u: output %d is off by %.3g of its energy, noise makes %.3g", number_,
                     i, got, noise);
    }
    same(h.plan, t.plan, "with 4 threads");
    same(h.plan, w.plan, "when values are watched");
    for (int i = 0; i < 6; i++) assert_int_equal(w.plan->watched[i].dtype, w.plan->watch[i]->dtype);
    long n = plan_count(&h, "ConvLast", OMMA_BF16) + plan_count(&h, "omma.HalfLinear", OMMA_BF16);
    plan_close(&f), plan_close(&d), plan_close(&h), plan_close(&t), plan_close(&w);
    free(in.data), free(near.data);
    omma_model_free(m);
    return n;
}

static void random_models(void **state) {
    const char *s = getenv("OMMA_RANDOM_GRAPHS");
    const long most = s && *s ? strtol(s, NULL, 10) : 150;
    long halves = 0;
    double mean = 0;
    (void)state;
    for (long i = 0; i < most; i++) halves += one_model((uint32_t)i, &mean);
    assert_true(halves > 2 * most);
    print_message("%ld models, %ld nodes in bfloat16, mean distance %.3g\n", most, halves,
                  mean / (double)most);
}

int main(void) {
    unsetenv("OMMA_THREADS");
    unsetenv("OMMA_PASSES");
    const struct CMUnitTest tests[] = {cmocka_unit_test(patterns), cmocka_unit_test(pictures),
                                       cmocka_unit_test(session_options),
                                       cmocka_unit_test(random_models)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

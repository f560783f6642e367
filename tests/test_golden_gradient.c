/* test_golden_gradient.c - gradients of whole models (tests/golden/gradients) against PyTorch's: by
 * the picture and by every parameter, with the weights as inputs, and with the weights as
 * constants, so that norms are folded and weights packed.
 *
 * How far float32 may be from the record, which is PyTorch's float64: some of PyTorch's own noise
 * in float32, and what lies below any rounding of the largest number of the tensor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "gradgold.h"
#include "model/model.h"
#include "run/gradient.h"

static const double NOISES = 8, ROUNDING = 4e-6;

typedef struct opened {
    const char *name;
    omma_model *model;
    omma_arena arena;
    gradgold gold;
} opened;

static opened *open_model(const char *name) {
    static opened o;
    omma_error err;
    char path[GRADGOLD_PATH];
    o.name = name;
    omma_arena_init(&o.arena, NULL);
    if (omma_model_open(&o.model, gradgold_model_path(path, name), NULL, &err))
        fail_msg("%s", err.message);
    if (!gradgold_open(&o.gold, name, o.model)) fail_msg("%s: %s", name, o.gold.fault);
    return &o;
}

static void close_model(opened *o) {
    gradgold_close(&o->gold);
    omma_arena_free(&o->arena);
    omma_model_free(o->model);
}

static double largest_of(const omma_tensor *t) {
    double largest = 0;
    for (int64_t i = 0; i < omma_tensor_count(t); i++)
        largest = fmax(largest, fabs((double)((const float *)t->data)[i]));
    return largest;
}

static void picture_is(const opened *o, const omma_tensor *got) {
    const omma_tensor *want = &o->gold.picture_grad;
    assert_int_equal(omma_tensor_count(got), omma_tensor_count(want));
    const double off =
        gradgold_far(got->data, want->data, omma_tensor_count(want)) / largest_of(want);
    print_message("%s: by the picture, off by %.2g of the largest\n", o->name, off);
    assert_true(off <= ROUNDING);
}

static double parameter_is(const opened *o, const gradgold_grad *r, const omma_tensor *got) {
    assert_non_null(got);
    assert_int_equal(omma_tensor_count(got), r->count);
    const gradgold_off off = gradgold_compare(r, got->data);
    const double most = NOISES * r->noise + ROUNDING * r->largest;
    if (!(off.element <= most))
        fail_msg("%s, %s: off by %g, largest %g, noise %g", o->name, r->name, off.element,
                 r->largest, r->noise);
    /* where mathematics say zero there is noise in every element */
    if (!r->whole && !(off.norm <= 1e-5 * r->norm + NOISES * r->noise * sqrt((double)r->count)))
        fail_msg("%s, %s: norm off by %g of %g", o->name, r->name, off.norm, r->norm);
    return r->largest > 1e-12 ? off.element / r->largest : 0;
}

/* Weights as the inputs they are. */
static void by_everything(void **state) {
    opened *o = open_model(*state);
    omma_gradient *g;
    omma_error err;
    const omma_gradient_how how = {.seeded = 1};
    if (omma_gradient_new(&g, o->model, &how, NULL, &err) ||
        omma_gradient_run(g, o->gold.inputs, o->gold.input_count, o->gold.seed, &err))
        fail_msg("%s", err.message);
    for (int i = 0; i < o->gold.output_count; i++)
        assert_true(gradgold_far(omma_gradient_value(g, i)->data, o->gold.output[i].data,
                                 omma_tensor_count(&o->gold.output[i])) <=
                    1e-5 * largest_of(&o->gold.output[i]));
    double worst = 0;
    int seen = 0;
    for (int i = 0; i < omma_gradient_count(g); i++) {
        const gradgold_grad *r = gradgold_find(&o->gold, omma_gradient_name(g, i));
        if (i == 0) picture_is(o, omma_gradient_result(g, i));
        if (!r) continue;
        worst = fmax(worst, parameter_is(o, r, omma_gradient_result(g, i)));
        seen++;
    }
    assert_int_equal(seen, o->gold.grad_count);
    print_message("%s: by %d parameters, off by %.2g of a largest\n", o->name, seen, worst);
    omma_gradient_free(g);
    close_model(o);
}

/* The graph whose only input is the picture. */
static omma_graph *closed(opened *o) {
    omma_graph *g = omma_graph_clone(o->model->graph, &o->arena);
    for (int i = 1; i < g->n_inputs; i++) {
        g->inputs[i]->is_input = false;
        g->inputs[i]->data = o->gold.inputs[i].data;
    }
    g->n_inputs = 1;
    return g;
}

static void by_constants(void **state) {
    opened *o = open_model(*state);
    const omma_graph *graph = closed(o);
    omma_error err;
    omma_gradient *g;
    const char *by[GRADGOLD_MAX + 1] = {graph->inputs[0]->name};
    for (int some = 0; some < 2; some++) { /* by the picture alone; by every third parameter too */
        int n = 1;
        for (int k = 0; some && k < o->gold.grad_count; k += 3) by[n++] = o->gold.grads[k].name;
        const omma_gradient_how how = {.by = by, .n_by = n, .seeded = 1};
        if (omma_gradient_on_graph(&g, graph, o->name, &how, NULL, &err) ||
            omma_gradient_run(g, o->gold.inputs, 1, o->gold.seed, &err))
            fail_msg("%s", err.message);
        picture_is(o, omma_gradient_result(g, 0));
        for (int k = 1; k < n; k++)
            parameter_is(o, gradgold_find(&o->gold, by[k]), omma_gradient_result(g, k));
        omma_gradient_free(g);
    }
    close_model(o);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(by_everything, (char[]){"resnet"}),
        cmocka_unit_test_prestate(by_everything, (char[]){"vit"}),
        cmocka_unit_test_prestate(by_everything, (char[]){"detr"}),
        cmocka_unit_test_prestate(by_constants, (char[]){"resnet"}),
        cmocka_unit_test_prestate(by_constants, (char[]){"vit"}),
        cmocka_unit_test_prestate(by_constants, (char[]){"detr"}),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

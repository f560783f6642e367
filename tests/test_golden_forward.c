/* test_golden_forward.c - the models of tests/golden/gradients, run forward: omma's outputs
 * against PyTorch's, and PyTorch's gradients against how omma's outputs move.
 *
 * Weights are inputs of these models, so nothing is folded or packed beforehand. A move of a
 * parameter along its recorded gradient must raise the loss, the sum of seed * output, by the move
 * times the gradient; that ties names, positions and numbers of the records to the model before any
 * gradient of omma's. */
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include "gradgold.h"

#include <cmocka.h>

enum { GROUP = 8 }; /* parameters moved at once */

typedef struct opened {
    omma_model *model;
    omma_session *session;
    gradgold gold;
} opened;

static opened *open_model(const char *name) {
    static opened o;
    omma_error err;
    char path[GRADGOLD_PATH];
    if (omma_model_open(&o.model, gradgold_model_path(path, name), NULL, &err) ||
        omma_session_new(&o.session, o.model, NULL, &err))
        fail_msg("%s", err.message);
    if (!gradgold_open(&o.gold, name, o.model)) fail_msg("%s: %s", name, o.gold.fault);
    return &o;
}

static void close_model(opened *o) {
    gradgold_close(&o->gold);
    omma_session_free(o->session);
    omma_model_free(o->model);
}

static void run(opened *o) {
    omma_error err;
    if (omma_session_run(o->session, o->gold.inputs, o->gold.input_count, &err))
        fail_msg("%s", err.message);
}

static double largest_of(const omma_tensor *t) {
    double largest = 0;
    const float *p = t->data;
    for (int64_t i = 0; i < omma_tensor_count(t); i++) largest = fmax(largest, fabs((double)p[i]));
    return largest;
}

static void outputs_are_pytorchs(void **state) {
    const char *name = *state;
    opened *o = open_model(name);
    run(o);
    for (int i = 0; i < o->gold.output_count; i++) {
        const omma_tensor *got = omma_session_output(o->session, i), *want = &o->gold.output[i];
        assert_int_equal(got->dtype, OMMA_F32);
        assert_int_equal(got->rank, want->rank);
        for (int d = 0; d < got->rank; d++) assert_int_equal(got->dims[d], want->dims[d]);
        double off =
            gradgold_far(got->data, want->data, omma_tensor_count(want)) / largest_of(want);
        print_message("%s: %s off by %.2g of its largest\n", name,
                      omma_model_output(o->model, i)->name, off);
        assert_true(off <= 1e-5);
    }
    close_model(o);
}

/* What a record says of itself: its largest element is among a whole one's and above all of a
 * sampled one's, whose norm is not below what is recorded of it. */
static void records_are_whole(void **state) {
    opened *o = open_model(*state);
    for (int k = 0; k < o->gold.grad_count; k++) {
        const gradgold_grad *r = &o->gold.grads[k];
        const omma_tensor t = {.dtype = OMMA_F32,
                               .rank = 1,
                               .dims = {r->recorded},
                               .data = (void *)(uintptr_t)r->values};
        double largest = largest_of(&t);
        assert_ptr_equal(gradgold_find(&o->gold, r->name), r);
        assert_true(largest <= r->largest * 1.01);
        if (r->whole) assert_true(largest >= r->largest * .99);
        else
            assert_true(r->norm >= r->largest * .99 &&
                        r->norm * r->norm >= r->sum * r->sum / (double)r->count * .99);
    }
    assert_null(gradgold_find(&o->gold, "no such parameter"));
    close_model(o);
}

/* A gradient that has the recorded numbers where they belong is no way off; one that differs in one
 * of them is, and by how much; one that is no number is infinitely far. */
static void comparing_sees_differences(void **state) {
    opened *o = open_model(*state);
    for (int k = 0; k < o->gold.grad_count; k++) {
        const gradgold_grad *r = &o->gold.grads[k];
        float *got = test_calloc((size_t)r->count, sizeof *got);
        for (int64_t j = 0; j < r->recorded; j++) got[gradgold_position(r, j)] = r->values[j];
        float *last = &got[gradgold_position(r, r->recorded - 1)];
        assert_true(gradgold_compare(r, got).element == 0);
        *last += 1;
        assert_true(fabs(gradgold_compare(r, got).element - 1) < 1e-4);
        *last = NAN;
        assert_true(isinf(gradgold_compare(r, got).element));
        assert_true(r->whole || isinf(gradgold_compare(r, got).sum));
        test_free(got);
    }
    close_model(o);
}

static double loss(opened *o) {
    double sum = 0;
    run(o);
    for (int i = 0; i < o->gold.output_count; i++) {
        const float *y = omma_session_output(o->session, i)->data, *seed = o->gold.seed[i].data;
        for (int64_t j = 0; j < omma_tensor_count(&o->gold.seed[i]); j++)
            sum += (double)seed[j] * y[j];
    }
    return sum;
}

/* The unit of moves: what the loss would be if the terms of its sum had random signs. Moves of
 * 1e-4 to 1e-3 of it give slopes within .005; smaller ones drown in rounding, and larger ones
 * take ResNet over many a kink. */
static double size_of_loss(const gradgold *g) {
    double squares = 0;
    for (int i = 0; i < g->output_count; i++) {
        const float *y = g->output[i].data, *seed = g->seed[i].data;
        for (int64_t j = 0; j < omma_tensor_count(&g->seed[i]); j++)
            squares += (double)seed[j] * y[j] * seed[j] * y[j];
    }
    return sqrt(squares);
}

/* Move a parameter along its gradient, so that the loss should rise by about rise. Returns by how
 * much it should, rounding and positions that come twice considered. */
static double move(gradgold *g, const gradgold_grad *r, double rise) {
    double squares = 0, sum = 0;
    float *p = g->inputs[r->weight].data;
    for (int64_t j = 0; j < r->recorded; j++) squares += (double)r->values[j] * r->values[j];
    for (int64_t j = 0; j < r->recorded; j++) {
        int64_t i = gradgold_position(r, j);
        float was = gradgold_value(g, r->weight, i);
        if (p[i] != was) continue;
        p[i] = (float)(was + rise / squares * r->values[j]);
        sum += ((double)p[i] - was) * r->values[j];
    }
    return sum;
}

static void restore(gradgold *g, const gradgold_grad *r) {
    float *p = g->inputs[r->weight].data;
    for (int64_t j = 0; j < r->recorded; j++) {
        int64_t i = gradgold_position(r, j);
        p[i] = gradgold_value(g, r->weight, i);
    }
}

/* Parameters first, first + step, ... moved together: the loss as it should rise and as it does. */
static double rise_of(opened *o, int first, int step, double rise, double *loss_there) {
    gradgold *g = &o->gold;
    double due = 0;
    for (int k = first; k < g->grad_count; k += step)
        if (g->grads[k].largest > 1e-12) due += move(g, &g->grads[k], rise);
    *loss_there = loss(o);
    for (int k = first; k < g->grad_count; k += step) restore(g, &g->grads[k]);
    return due;
}

static void gradients_are_slopes(void **state) {
    const char *name = *state;
    opened *o = open_model(name);
    double rise = size_of_loss(&o->gold) * 2e-4, worst = 0;
    int groups = (o->gold.grad_count + GROUP - 1) / GROUP;
    for (int k = 0; k < groups; k++) {
        double up, down, due = rise_of(o, k, groups, rise, &up);
        due -= rise_of(o, k, groups, -rise, &down);
        double off = fabs((up - down) / due - 1);
        if (off > .01)
            print_message("%s: from %s on: %g, not %g\n", name, o->gold.grads[k].name, up - down,
                          due);
        worst = fmax(worst, off);
    }
    print_message("%s: slopes off by %.2g\n", name, worst);
    assert_true(worst <= .01);
    close_model(o);
}

static void picture_gradient_is_a_slope(void **state) {
    opened *o = open_model(*state);
    gradgold *g = &o->gold;
    const float *grad = g->picture_grad.data, *was = g->picture.data;
    float *p = g->inputs[0].data;
    double squares = 0, due = 0, up_down[2], rise = size_of_loss(g) * 1e-3;
    int64_t n = omma_tensor_count(&g->picture);
    assert_int_equal(omma_tensor_count(&g->picture_grad), n);
    for (int64_t i = 0; i < n; i++) squares += (double)grad[i] * grad[i];
    for (int side = 0; side < 2; side++) {
        double step = (side ? -rise : rise) / squares;
        for (int64_t i = 0; i < n; i++) {
            p[i] = (float)(was[i] + step * grad[i]);
            due += fabs(((double)p[i] - was[i]) * grad[i]);
        }
        up_down[side] = loss(o);
    }
    double off = fabs((up_down[0] - up_down[1]) / due - 1);
    print_message("%s: slope of the picture off by %.2g\n", (const char *)*state, off);
    assert_true(off <= .01);
    close_model(o);
}

#define EACH(test)                                                                            \
    {#test " resnet", test, NULL, NULL, "resnet"}, {#test " vit", test, NULL, NULL, "vit"}, { \
#test " detr", test, NULL, NULL, "detr"                                               \
    }

int main(void) {
    const struct CMUnitTest tests[] = {EACH(outputs_are_pytorchs), EACH(records_are_whole),
                                       EACH(comparing_sees_differences), EACH(gradients_are_slopes),
                                       EACH(picture_gradient_is_a_slope)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

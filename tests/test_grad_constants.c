/* test_grad_constants.c - what a gradient makes of constant weights alone, such as a kernel turned
 * around, is made once: no node of a run reads constants only. */
#include "gradcheck.h"

#include "op/conv_grad.h"
#include "op/product_grad.h"

typedef struct check {
    omma_arena arena;
    omma_error err;
    omma_build b;
    omma_graph *g;
    omma_maker m;
    omma_node of;
    omma_value *out; /* the input, whose name new values take theirs from */
    omma_tensor in;
    int nodes;
} check;

static void begin(check *c) {
    *c = (check){0};
    omma_arena_init(&c->arena, NULL);
    c->g = omma_graph_new(&c->arena, "constants");
    c->g->inputs = omma_arena_array(&c->arena, 1, sizeof *c->g->inputs);
    c->g->outputs = omma_arena_array(&c->arena, 1, sizeof *c->g->outputs);
    c->b = (omma_build){.arena = &c->arena, .err = &c->err, .kern = omma_kernels_best()};
    c->of = (omma_node){.name = "of", .op = omma_op_find("Conv"), .n_out = 1, .out = &c->out};
    c->m = (omma_maker){.b = &c->b, .g = c->g, .of = &c->of, .tag = "t"};
}

static omma_value *floats(check *c, const char *name, int rank, const int64_t *dims) {
    omma_value v = {.rank = rank};
    memcpy(v.dims, dims, (size_t)rank * sizeof *dims);
    float *x = omma_arena_array(&c->arena, (size_t)omma_value_count(&v), sizeof *x);
    for (int64_t i = 0; i < omma_value_count(&v); i++) x[i] = (float)gradcheck_random(-1, 1);
    return omma_graph_constant(c->g, name, OMMA_F32, rank, dims, x);
}

static omma_value *input(check *c, int rank, const int64_t *dims) {
    omma_value *v = c->out = floats(c, "dy", rank, dims);
    c->in = omma_value_tensor(v);
    v->data = NULL;
    v->is_input = true;
    c->g->inputs[c->g->n_inputs++] = v;
    return v;
}

static void told(void *user, const omma_node *n, double start, double end) {
    check *c = user;
    bool reads = false;
    (void)start, (void)end;
    for (int i = 0; i < n->n_in; i++) reads |= n->in[i] && !n->in[i]->data;
    if (!reads) fail_msg("a %s of constants is run", n->op->name);
    c->nodes++;
}

/* y is made from the input; run it. */
static void end(check *c, omma_value *y) {
    const omma_observer o = {told, c};
    omma_session *s;
    if (!y || c->m.status) fail_msg("%s", c->err.message);
    y->is_output = true;
    c->g->outputs[c->g->n_outputs++] = y;
    if (omma_session_on_graph(&s, c->g, "constants", NULL, &c->err)) fail_msg("%s", c->err.message);
    for (int i = 0; i < 2; i++) {
        omma_session_observe(s, &o);
        if (omma_session_run(s, &c->in, 1, &c->err)) fail_msg("%s", c->err.message);
    }
    assert_true(c->nodes >= 2);
    omma_session_free(s);
    omma_arena_free(&c->arena);
}

static void conv(void **state) {
    (void)state;
    for (int i = 0; i < 8; i++) {
        const int64_t k = i & 1 ? 1 : 3, s = i & 2 ? 2 : 1, group = i & 4 ? 2 : 1;
        check c;
        begin(&c);
        omma_window w = {.k = 2, .in_count = 64, .kernel_count = k * k};
        for (int d = 0; d < 2; d++) {
            w.kernel[d] = k, w.in[d] = 8, w.out[d] = 8 / s, w.stride[d] = s, w.dilation[d] = 1;
            w.pad[d] = k / 2, w.pad_end[d] = (8 / s - 1) * s + k - 8 - k / 2;
            if (w.pad_end[d] < 0) w.pad_end[d] = 0;
        }
        const omma_value x = {.rank = 4, .dims = {1, 4, 8, 8}};
        omma_value *dy = input(&c, 4, (int64_t[]){1, 6, 8 / s, 8 / s});
        omma_value *weights = floats(&c, "w", 4, (int64_t[]){6, 4 / group, k, k});
        end(&c, omma_conv_grad_input(&c.m, dy, weights, &x, &w, group));
    }
}

static void products(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) { /* a matrix, and a batch of them */
        check c;
        begin(&c);
        const omma_value a = {.rank = 3, .dims = {2, 3, 4}};
        omma_value *dy = input(&c, 3, (int64_t[]){2, 3, 5});
        omma_value *b =
            i ? floats(&c, "b", 3, (int64_t[]){2, 4, 5}) : floats(&c, "b", 2, (int64_t[]){4, 5});
        end(&c, omma_product_grad_left(&c.m, dy, b, &a));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(conv), cmocka_unit_test(products)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

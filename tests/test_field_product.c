/* test_field_product.c - the fields of matrix products and Einsum against what changes, and of a
 * masked attention's last product. */
#include "fieldcheck.h"

typedef struct operand {
    int rank;
    int64_t dims[5];
} operand;

static void matmul(void **state) {
    (void)state;
    static const operand pairs[][2] = {{{2, {3, 4}}, {2, {4, 2}}},
                                       {{3, {2, 3, 4}}, {2, {4, 2}}},
                                       {{3, {2, 3, 2}}, {3, {2, 2, 3}}},
                                       {{4, {2, 1, 2, 3}}, {3, {2, 3, 2}}},
                                       {{2, {3, 2}}, {4, {2, 1, 2, 2}}},
                                       {{4, {1, 3, 2, 2}}, {4, {2, 1, 2, 3}}},
                                       {{1, {4}}, {1, {4}}},
                                       {{1, {4}}, {2, {4, 3}}},
                                       {{2, {3, 4}}, {1, {4}}},
                                       {{1, {4}}, {3, {2, 4, 3}}},
                                       {{5, {2, 1, 2, 1, 2}}, {1, {2}}},
                                       {{2, {1, 1}}, {2, {1, 1}}}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        gradcheck *c = gradcheck_new("MatMul", 13, 1);
        for (int k = 0; k < 2; k++) gradcheck_float(c, 0.1, 1, pairs[i][k].rank, pairs[i][k].dims);
        fieldcheck_run(c, FIELDCHECK_EXACT);
    }
}

static void gemm(void **state) {
    (void)state;
    static const operand biases[] = {{-1, {0}},   {0, {0}},    {1, {5}},
                                     {2, {3, 5}}, {2, {3, 1}}, {2, {1, 5}}};
    for (size_t i = 0; i < sizeof biases / sizeof *biases; i++)
        for (int turn = 0; turn < 4; turn++) {
            gradcheck *c = gradcheck_new("Gemm", 13, 1);
            const int64_t a[2][2] = {{3, 4}, {4, 3}}, b[2][2] = {{4, 5}, {5, 4}};
            gradcheck_float(c, 0.1, 1, 2, a[turn & 1]);
            gradcheck_float(c, 0.1, 1, 2, b[turn >> 1]);
            if (biases[i].rank >= 0) gradcheck_float(c, -1, 1, biases[i].rank, biases[i].dims);
            gradcheck_int(c, "transA", turn & 1);
            gradcheck_int(c, "transB", turn >> 1);
            fieldcheck_run(c, FIELDCHECK_EXACT);
        }
}

typedef struct equation {
    const char *text;
    int n_in;
    operand in[3];
} equation;

static void einsum(void **state) {
    (void)state;
    static const equation equations[] = {
        {"ij,jk->ik", 2, {{2, {3, 4}}, {2, {4, 2}}}},
        {"bhid,bhjd->bhij", 2, {{4, {1, 2, 3, 2}}, {4, {1, 2, 3, 2}}}},
        {"i,j->ji", 2, {{1, {3}}, {1, {4}}}},
        {"ij->", 1, {{2, {3, 4}}}},
        {"ij,k->i", 2, {{2, {3, 4}}, {1, {2}}}},
        {"ii->i", 1, {{2, {4, 4}}}},
        {"ii->", 1, {{2, {4, 4}}}},
        {"iij->j", 1, {{3, {3, 3, 2}}}},
        {"iii->i", 1, {{3, {3, 3, 3}}}},
        {"iijj->ij", 1, {{4, {2, 2, 3, 3}}}},
        {"jiji->ij", 1, {{4, {2, 3, 2, 3}}}},
        {"ii,ij->j", 2, {{2, {3, 3}}, {2, {3, 4}}}},
        {"ab,bc,cd->ad", 3, {{2, {2, 3}}, {2, {3, 2}}, {2, {2, 2}}}},
        {"...ij,...jk->...ik", 2, {{4, {2, 1, 2, 3}}, {3, {2, 3, 2}}}},
        {"...ii->...i", 1, {{3, {2, 3, 3}}}},
        {"ij,ij->ij", 2, {{2, {3, 4}}, {2, {3, 1}}}},
        {"ij,ij->j", 2, {{2, {1, 4}}, {2, {3, 4}}}},
        {"ii->i", 1, {{2, {1, 4}}}}};
    for (size_t i = 0; i < sizeof equations / sizeof *equations; i++) {
        const equation *e = &equations[i];
        gradcheck *c = gradcheck_new("Einsum", 12, 1);
        c->what = e->text;
        gradcheck_text(c, "equation", e->text);
        for (int k = 0; k < e->n_in; k++) gradcheck_float(c, 0.1, 1, e->in[k].rank, e->in[k].dims);
        fieldcheck_run(c, FIELDCHECK_EXACT);
    }
}

/* --- attention ------------------------------------------------------------------------------- */

/* softmax(x + mask) v, x: [B, I, J], mask: [I, J], v: [b, J, D], b = B or 1. */
enum { B = 2, I = 3, J = 5, D = 2 };

typedef struct attention {
    omma_arena arena;
    omma_graph *g;
    omma_value *x, *v, *y;
    omma_fields f;
} attention;

static const double mask[I * J] = {0, 0,         -INFINITY, -INFINITY, 0, 1, -INFINITY, 0,
                                   0, -INFINITY, 0,         0,         0, 0, 0};

static omma_value *input(attention *a, const char *name, int rank, const int64_t *dims) {
    omma_value *v = omma_graph_value(a->g, name);
    v->dtype = OMMA_F64, v->rank = rank, v->is_input = true;
    memcpy(v->dims, dims, (size_t)rank * sizeof *dims);
    return a->g->inputs[a->g->n_inputs++] = v;
}

static omma_value *node(attention *a, const char *op, omma_value *l, omma_value *r) {
    omma_node *n = omma_graph_node(a->g, omma_op_find(op), op, r ? 2 : 1, 1);
    omma_value *out = omma_graph_value(a->g, omma_arena_printf(&a->arena, "out of %s", op));
    omma_error err;
    omma_build b = {.arena = &a->arena, .err = &err, .kern = omma_kernels_best()};
    n->opset = 13, n->in[0] = l;
    if (r) n->in[1] = r;
    omma_node_set_output(n, 0, out);
    if (n->op->infer(&b, n)) fail_msg("%s", err.message);
    return out;
}

static void build(attention *a, int64_t batch) {
    omma_error err;
    omma_arena_init(&a->arena, NULL);
    a->g = omma_graph_new(&a->arena, "attention");
    a->g->inputs = omma_arena_array(&a->arena, 2, sizeof *a->g->inputs);
    a->x = input(a, "x", 3, (int64_t[]){B, I, J});
    a->v = input(a, "v", 3, (int64_t[]){batch, J, D});
    omma_value *m = omma_graph_constant(a->g, "mask", OMMA_F64, 2, (int64_t[]){I, J}, mask);
    a->y = node(a, "MatMul", node(a, "Softmax", node(a, "Add", a->x, m), NULL), a->v);
    if (omma_fields_new(&a->f, a->g, NULL, NULL, &err)) fail_msg("%s", err.message);
}

/* Every output's field is just the row of x, but for what is masked, and as many rows of v. */
static void masked(void **state) {
    (void)state;
    for (int64_t batch = 1; batch <= B; batch++) {
        attention a = {.g = NULL};
        build(&a, batch);
        for (int64_t o = 0; o < B * I * D; o++) {
            omma_error err;
            omma_walk w;
            omma_set one;
            const int64_t b = o / D / I, i = o / D % I, d = o % D;
            assert_int_equal(omma_walk_begin(&w, &a.f, OMMA_FIELD_STRUCTURAL, &err), OMMA_OK);
            assert_true(omma_set_one(&w.arena, &one, 3, a.y->dims, (int64_t[]){b, i, d}));
            assert_int_equal(omma_walk_add(&w, a.y, &one, &err), OMMA_OK);
            assert_int_equal(omma_walk_back(&w, &err), OMMA_OK);
            for (int64_t k = 0; k < B * I * J; k++) {
                const int64_t at[] = {k / J / I, k / J % I, k % J};
                assert_int_equal(omma_set_has(w.at[a.x->index], at),
                                 at[0] == b && at[1] == i && !isinf(mask[i * J + at[2]]));
            }
            for (int64_t k = 0; k < batch * J * D; k++) {
                const int64_t at[] = {k / D / J, k / D % J, k % D};
                assert_int_equal(omma_set_has(w.at[a.v->index], at),
                                 (batch == 1 || at[0] == b) && at[2] == d &&
                                     !isinf(mask[i * J + at[1]]));
            }
            assert_int_equal(w.met, 0);
            omma_walk_free(&w);
        }
        omma_fields_free(&a.f);
        omma_arena_free(&a.arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(matmul), cmocka_unit_test(gemm),
                                       cmocka_unit_test(einsum), cmocka_unit_test(masked)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

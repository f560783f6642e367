/* test_grad_einsum.c - the gradients of Einsum against central differences: products, diagonals,
 * letters that are summed alone, "...", and indices of length 1. */
#include "gradcheck.h"

typedef struct equation {
    const char *text;
    int n_in;
    struct {
        int rank;
        int64_t dims[5];
    } in[3];
} equation;

static const equation equations[] = {
    {"ij,jk->ik", 2, {{2, {3, 4}}, {2, {4, 2}}}},
    {"bij,bjk->bik", 2, {{3, {2, 3, 4}}, {3, {2, 4, 2}}}},
    {"bhid,bhjd->bhij", 2, {{4, {1, 2, 3, 4}}, {4, {1, 2, 5, 4}}}},
    {"bnqc,bnchw->bqnhw", 2, {{4, {1, 2, 3, 2}}, {5, {1, 2, 2, 2, 3}}}},
    {"i,i->", 2, {{1, {5}}, {1, {5}}}},
    {"i,j->ij", 2, {{1, {3}}, {1, {4}}}},
    {"i,j->ji", 2, {{1, {3}}, {1, {4}}}},
    {"ij->ji", 1, {{2, {3, 4}}}},
    {"ij->i", 1, {{2, {3, 4}}}}, /* j is summed alone */
    {"ij->", 1, {{2, {3, 4}}}},
    {"ij,k->i", 2, {{2, {3, 4}}, {1, {2}}}}, /* j and k are */
    {"ii->i", 1, {{2, {4, 4}}}},             /* a diagonal */
    {"ii->", 1, {{2, {4, 4}}}},              /* a trace */
    {"iij->j", 1, {{3, {3, 3, 2}}}},
    {"iii->i", 1, {{3, {3, 3, 3}}}},
    {"iijj->ij", 1, {{4, {2, 2, 3, 3}}}},
    {"ii,ij->j", 2, {{2, {3, 3}}, {2, {3, 4}}}},
    {"ij,ij,i->j", 3, {{2, {3, 4}}, {2, {3, 4}}, {1, {3}}}},
    {"ab,bc,cd->ad", 3, {{2, {2, 3}}, {2, {3, 2}}, {2, {2, 4}}}},
    {"...ij,...jk->...ik", 2, {{4, {2, 1, 2, 3}}, {3, {2, 3, 2}}}},
    {"...i->...", 1, {{3, {2, 2, 3}}}},
    {"...ii->...", 1, {{3, {2, 3, 3}}}},
    {"ij,jk", 2, {{2, {3, 4}}, {2, {4, 2}}}}, /* the result is implied */
    {"ba", 1, {{2, {3, 4}}}},
    {"ij,ij->ij", 2, {{2, {3, 4}}, {2, {3, 1}}}}, /* an index of length 1 is repeated */
    {"ij,ij->j", 2, {{2, {1, 4}}, {2, {3, 4}}}},
    {"ij,ij->i", 2, {{2, {3, 1}}, {2, {3, 4}}}},
    {"ij,jk->ik", 2, {{2, {3, 1}}, {2, {4, 2}}}},
    {"ij,ij->", 2, {{2, {3, 4}}, {2, {1, 1}}}},
    {"ii->i", 1, {{2, {1, 4}}}},
    {",ij->i", 2, {{0, {0}}, {2, {2, 3}}}}, /* a number */
};

static void equation_by_equation(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof equations / sizeof *equations; i++) {
        const equation *e = &equations[i];
        gradcheck *c = gradcheck_new("Einsum", 12, 1);
        c->what = e->text;
        gradcheck_text(c, "equation", e->text);
        for (int k = 0; k < e->n_in; k++) gradcheck_float(c, -1, 1, e->in[k].rank, e->in[k].dims);
        gradcheck_run(c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(equation_by_equation)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

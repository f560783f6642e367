/* test_op_types.c - every operator with every element type: it runs, and agrees with what
 * float64 (int64 where the operator takes integers only, or rounds) gives for the same numbers,
 * rounded to the type. A row names the types, inputs and attributes; see opcase.h. */
#include "opcase.h"

enum {
    FL = OMMA_IN_FLOAT,
    IN = OMMA_IN_INT,
    UN = OMMA_IN_UNSIGNED,
    NUM = OMMA_IN_NUMBER,
    ANY = OMMA_IN_ANY,
    SI = OMMA_IN_SIGNED | OMMA_IN_FLOAT,
    BO = OMMA_IN_BOOL,
    F3 = OMMA_BIT(OMMA_F32),
    WIDE = OMMA_IN_FLOAT | OMMA_BIT(OMMA_I32) | OMMA_BIT(OMMA_I64) | OMMA_BIT(OMMA_U32) |
           OMMA_BIT(OMMA_U64),
    Q8 = OMMA_BIT(OMMA_I8) | OMMA_BIT(OMMA_U8),
    QUANT = OMMA_BIT(OMMA_I8) | OMMA_BIT(OMMA_U8) | OMMA_BIT(OMMA_I16) | OMMA_BIT(OMMA_U16)
};

/* What integers are compared with. */
typedef enum against { REAL, WHOLE, NOTHING } against;

typedef struct row {
    const char *op;
    int opset;
    unsigned types;
    const char *inputs, *attrs;
    int outs;
    against how;
} row;

#include "optypes_rows.h"

enum { ROWS = sizeof rows / sizeof *rows };

/* The distance from 1 to the next number of a float type. */
static double grain_of(omma_dtype t) {
    return t == OMMA_F64 ? 0x1p-52 : t == OMMA_F32 ? 0x1p-23 : t == OMMA_F16 ? 0x1p-10 : 0x1p-7;
}

/* False, and said why, when two outputs differ. */
static bool agree(const row *r, omma_dtype t, const omma_tensor *got, const omma_tensor *want) {
    if (got->rank != want->rank || memcmp(got->dims, want->dims, (size_t)got->rank * 8)) {
        print_error("%s-%d of %s (%s; %s): the shape differs\n", r->op, r->opset,
                    omma_dtype_name(t), r->inputs, r->attrs);
        return false;
    }
    for (int64_t i = 0; i < omma_tensor_count(want); i++) {
        const double a = omma_get_number(got->dtype, got->data, i);
        double b = omma_get_number(want->dtype, want->data, i);
        if (got->dtype != want->dtype) {
            char rounded[8];
            omma_set_number(got->dtype, rounded, 0, b);
            b = omma_get_number(got->dtype, rounded, 0);
        }
        if (a == b || (isnan(a) && isnan(b))) continue;
        const bool real = omma_type_in(got->dtype, FL);
        if (real && fabs(a - b) <= 4 * grain_of(t) * (fabs(b) + 4)) continue;
        print_error("%s-%d of %s (%s; %s): number %lld is %.9g, not %.9g\n", r->op, r->opset,
                    omma_dtype_name(t), r->inputs, r->attrs, (long long)i, a, b);
        return false;
    }
    return true;
}

/* The row run, or NULL. */
static optest *run_row(const row *r, omma_dtype t, omma_dtype like) {
    optest *o = opcase_new(r->op, r->opset, r->inputs, r->attrs, t, like);
    if (!optest_try(o, r->outs ? r->outs : 1, 2)) return o;
    print_error("%s-%d of %s (%s; %s): %s\n", r->op, r->opset, omma_dtype_name(t), r->inputs,
                r->attrs, o->err.message);
    optest_free(o);
    return NULL;
}

static omma_dtype whole_type(const row *r) {
    return omma_type_in(OMMA_I64, r->types) ? OMMA_I64 : OMMA_U64;
}

/* Run a row with a type, and with the reference's. */
static bool right(const row *r, omma_dtype t) {
    const int outs = r->outs ? r->outs : 1;
    const bool whole = r->how == WHOLE && !omma_type_in(t, FL);
    optest *got = run_row(r, t, t), *want = NULL;
    bool ok = got != NULL;
    if (ok && r->how != NOTHING) want = run_row(r, whole ? whole_type(r) : OMMA_F64, t);
    if (ok && r->how != NOTHING) ok = want != NULL;
    for (int i = 0; i < outs && ok && want; i++) ok = agree(r, t, &got->out[i], &want->out[i]);
    if (got) optest_free(got);
    if (want) optest_free(want);
    return ok;
}

static void every_type(void **state) {
    (void)state;
    int runs = 0, wrong = 0;
    for (const row *r = rows; r < rows + ROWS; r++)
        for (int t = 1; t < 32; t++)
            if (omma_type_in((omma_dtype)t, r->types)) runs++, wrong += !right(r, (omma_dtype)t);
    print_message("%d rows, %d runs\n", (int)ROWS, runs);
    assert_int_equal(wrong, 0);
    assert_true(runs > 1000);
}

/* Operators on graphs and on sequences, and those without a tensor of numbers. */
static bool apart(const char *op) {
    static const char *const names[] = {"If",       "Loop",   "Scan",           "Sequence",
                                        "Optional", "Concat", "SplitToSequence"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strncmp(op, names[i], strlen(names[i])) && strcmp(op, "Concat")) return true;
    return false;
}

static void every_operator(void **state) {
    (void)state;
    int n;
    const omma_op *const *ops = omma_op_all(&n);
    for (int i = 0; i < n; i++) {
        bool found = apart(ops[i]->name);
        for (const row *r = rows; r < rows + ROWS && !found; r++)
            found = !strcmp(r->op, ops[i]->name);
        if (!found) fail_msg("%s has no row here", ops[i]->name);
    }
}

/* Strings, and numbers that are none of omma's types, are refused, not misread. */
static void refused(void **state) {
    (void)state;
    for (const row *r = rows; r < rows + ROWS; r++) {
        if (r->how == NOTHING || !strchr(r->inputs, 'T')) continue;
        optest *o = opcase_new(r->op, r->opset, r->inputs, r->attrs, OMMA_F32, OMMA_F32);
        for (int i = 0; i < o->n_in; i++)
            if (o->in[i] && o->in[i]->dtype == OMMA_F32) o->in[i]->dtype = OMMA_STRING;
        const omma_op *op = omma_op_find(r->op);
        omma_node *n = omma_graph_node(o->g, op, "node", o->n_in, 1);
        n->opset = r->opset;
        n->attrs = o->attrs;
        n->n_attrs = o->n_attrs;
        for (int i = 0; i < o->n_in; i++) n->in[i] = o->in[i];
        omma_node_set_output(n, 0, omma_graph_value(o->g, "out"));
        omma_build b = {.arena = &o->arena, .err = &o->err, .kern = omma_kernels_best()};
        const bool shape_only = op->flags & OMMA_OP_SHAPE_ONLY;
        if (!op->infer(&b, n) && !shape_only && n->out[0]->dtype != OMMA_BOOL)
            fail_msg("%s takes strings", r->op);
        optest_free(o);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_type),
                                       cmocka_unit_test(every_operator), cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_field_types.c - the fields of operators on booleans, integers and quantised numbers against
 * what changes: as fieldcheck.h, which moves floats only, with changes for every type. */
#include "fieldcheck.h"

/* Change t of element j; the tries are such that one of them shows. */
static bool change(omma_tensor *v, int64_t j, int t) {
    static const double factor[] = {1.5, -1, 0.01, 40, 0, 3};
    if (v->dtype == OMMA_F32) {
        float *x = (float *)v->data + j;
        *x = t == 4 ? (float)NAN : t == 5 ? INFINITY : *x * (float)factor[t];
        return true;
    }
    if (v->dtype == OMMA_BOOL) {
        ((uint8_t *)v->data)[j] ^= 1;
        return t == 0;
    }
    static const uint8_t flip[] = {0xff, 1, 2, 0x80, 0x55, 7};
    for (size_t k = 0; k < (t ? 1 : omma_dtype_size(v->dtype)); k++)
        ((uint8_t *)v->data)[(size_t)j * omma_dtype_size(v->dtype) + k] ^= flip[t];
    return true;
}

static void outputs(fieldcheck *k, double *all) {
    for (int o = 0, r = 0; o < k->s.n_of; o++) {
        const omma_tensor *y = omma_session_output(k->s.session, o);
        for (int64_t e = 0, n = gradcheck_count(y); e < n; e++) all[r++] = gradcheck_number(y, e);
    }
}

static void move(fieldcheck *k, const gradcheck *c) {
    gradcheck_side *s = &k->s;
    double *base = omma_arena_array(&k->arena, (size_t)k->outs + 1, sizeof *base),
           *now = omma_arena_array(&k->arena, (size_t)k->outs + 1, sizeof *now);
    assert_int_equal(omma_session_run(s->session, s->in, s->g->n_inputs, &s->err), OMMA_OK);
    outputs(k, base);
    for (int i = 0, column = 0; i < s->g->n_inputs; i++)
        for (int64_t j = 0, n = gradcheck_count(&s->in[i]); j < n; j++, column++)
            for (int t = 0; t < FIELDCHECK_TRIALS && fieldcheck_changes(k, c, i); t++) {
                const size_t size = omma_dtype_size(s->in[i].dtype);
                char old[8], *at = (char *)s->in[i].data + (size_t)j * size;
                memcpy(old, at, size);
                const bool does = change(&s->in[i], j, t) &&
                                  !omma_session_run(s->session, s->in, s->g->n_inputs, &s->err);
                memcpy(at, old, size);
                if (!does) continue;
                outputs(k, now);
                for (int64_t r = 0; r < k->outs; r++)
                    if (now[r] != base[r] && !(isnan(now[r]) && isnan(base[r])))
                        k->moved[r * k->ins + column] = true;
            }
}

static void check(gradcheck *c, int how) {
    fieldcheck k = {0};
    gradcheck_build(&k.s, c, OMMA_F64);
    for (int i = 0; i < c->n_in; i++) c->in[i].type = OMMA_F64; /* all are changed */
    omma_arena_init(&k.arena, NULL);
    const omma_specialise_how all = {.reading = OMMA_READ_FIELD};
    omma_tensor unknown[GRADCHECK_IN]; /* small ones of whole numbers would become constants */
    memcpy(unknown, k.s.in, sizeof unknown);
    for (int i = 0; i < GRADCHECK_IN; i++) unknown[i].data = NULL;
    if (omma_specialise(&k.sp, k.s.g, unknown, &all, &k.arena, &k.s.err) ||
        omma_fields_new(&k.f, k.sp.graph, NULL, NULL, &k.s.err))
        fail_msg("%s: %s", c->what, k.s.err.message);
    for (int i = 0; i < k.s.g->n_inputs; i++) k.ins += gradcheck_count(&k.s.in[i]);
    for (int i = 0; i < k.s.n_of; i++)
        k.outs += gradcheck_count(omma_session_output(k.s.session, i));
    const size_t cells = (size_t)(k.ins * k.outs) + 1;
    k.set = omma_arena_array(&k.arena, cells, 1);
    k.moved = omma_arena_array(&k.arena, cells, 1);
    bool *forth = omma_arena_array(&k.arena, cells, 1);
    fieldcheck_sets(&k, c, true, k.set);
    fieldcheck_sets(&k, c, false, forth);
    move(&k, c);
    fieldcheck_judge(&k, c, how, forth);
    omma_fields_free(&k.f);
    gradcheck_drop(&k.s);
    omma_arena_free(&k.arena);
    omma_arena_free(&c->arena);
    test_free(c);
}

/* --- inputs -------------------------------------------------------------------------------- */

/* Odd numbers, and even ones for zero points, so that no difference is 0. */
static void bytes(gradcheck *c, int rank, const int64_t *dims) {
    gradcheck_in *in = gradcheck_put(c, OMMA_U8, rank, dims);
    for (int64_t i = 0; i < in->count; i++) ((uint8_t *)in->data)[i] = (uint8_t)(3 + 14 * i % 90);
}

static void zeros(gradcheck *c, int rank, const int64_t *dims) {
    gradcheck_in *in = gradcheck_put(c, OMMA_U8, rank, dims);
    for (int64_t i = 0; i < in->count; i++) ((uint8_t *)in->data)[i] = (uint8_t)(4 + 6 * i);
}

static void floats(gradcheck *c, double lo, double hi, int rank, const int64_t *dims) {
    gradcheck_in *in = gradcheck_put(c, OMMA_F32, rank, dims);
    for (int64_t i = 0; i < in->count; i++)
        ((float *)in->data)[i] = (float)gradcheck_random(lo, hi);
}

static void wholes(gradcheck *c, int rank, const int64_t *dims) {
    gradcheck_in *in = gradcheck_put(c, OMMA_I32, rank, dims);
    for (int64_t i = 0; i < in->count; i++) ((int32_t *)in->data)[i] = (int32_t)(5 + 11 * i % 50);
}

static void bools(gradcheck *c, bool v, int rank, const int64_t *dims) {
    gradcheck_in *in = gradcheck_put(c, OMMA_BOOL, rank, dims);
    memset(in->data, v, (size_t)in->count);
}

/* --- tests ----------------------------------------------------------------------------------- */

static void logic(void **state) {
    (void)state;
    static const char *const ops[] = {"And", "Or", "Xor"};
    for (int i = 0; i < 3; i++)
        for (int old = 0; old < 2; old++) {
            gradcheck *c = gradcheck_new(ops[i], old ? 6 : 13, 1);
            bools(c, i == 0, GRADCHECK_DIMS(2, 2, 3)); /* so that the other one decides */
            if (old) bools(c, i == 0, GRADCHECK_DIMS(2));
            else bools(c, i == 0, GRADCHECK_DIMS(2, 1));
            if (old) gradcheck_int(c, "broadcast", 1), gradcheck_int(c, "axis", 0);
            check(c, FIELDCHECK_EXACT);
        }
    gradcheck *c = gradcheck_new("Not", 13, 1);
    bools(c, true, GRADCHECK_DIMS(2, 3));
    check(c, FIELDCHECK_EXACT);
    static const char *const asked[] = {"IsNaN", "IsInf"};
    for (int i = 0; i < 2; i++) {
        c = gradcheck_new(asked[i], 13, 1);
        floats(c, 1, 2, GRADCHECK_DIMS(2, 3));
        check(c, FIELDCHECK_EXACT);
    }
}

static void bits(void **state) {
    (void)state;
    static const char *const ops[] = {"BitwiseXor", "Add", "Sub", "Equal"};
    for (int i = 0; i < 4; i++) {
        gradcheck *c = gradcheck_new(ops[i], 18, 1);
        wholes(c, GRADCHECK_DIMS(2, 3));
        wholes(c, GRADCHECK_DIMS(2, 1, 3));
        check(c, i < 3 ? FIELDCHECK_EXACT : 0);
    }
    static const char *const less[] = {"BitwiseAnd", "BitwiseOr"};
    for (int i = 0; i < 2; i++) {
        gradcheck *c = gradcheck_new(less[i], 18, 1);
        wholes(c, GRADCHECK_DIMS(2, 3));
        wholes(c, GRADCHECK_DIMS(3));
        check(c, FIELDCHECK_EXACT);
    }
    gradcheck *c = gradcheck_new("BitwiseNot", 18, 1);
    wholes(c, GRADCHECK_DIMS(2, 3));
    check(c, FIELDCHECK_EXACT);
    c = gradcheck_new("BitShift", 11, 1);
    bytes(c, GRADCHECK_DIMS(2, 3));
    bytes(c, GRADCHECK_DIMS(3));
    gradcheck_text(c, "direction", "LEFT");
    check(c, 0);
}

/* A condition that is computed decides, and either choice can be made. */
static void where(void **state) {
    (void)state;
    gradcheck *c = gradcheck_new("Where", 16, 1);
    bools(c, true, GRADCHECK_DIMS(3));
    floats(c, 1, 2, GRADCHECK_DIMS(2, 3));
    floats(c, 3, 4, GRADCHECK_DIMS(2, 1));
    check(c, 0);
}

static void quantize(void **state) {
    (void)state;
    for (int kind = 0; kind < 3; kind++) /* one scale, one along axis 1, blocks along axis 1 */
        for (int back = 0; back < 2; back++) {
            gradcheck *c =
                gradcheck_new(back ? "DequantizeLinear" : "QuantizeLinear", kind == 2 ? 21 : 13, 1);
            if (back) bytes(c, GRADCHECK_DIMS(2, 3, 4));
            else floats(c, 10, 200, GRADCHECK_DIMS(2, 3, 4));
            for (int i = 0; i < 2; i++) {
                const int rank = kind == 2 ? 3 : kind;
                const int64_t *dims = kind == 2 ? (int64_t[]){2, 2, 4} : (int64_t[]){3};
                if (i == 0) floats(c, 0.9, 1.1, rank, dims);
                else zeros(c, rank, dims);
            }
            if (kind) gradcheck_int(c, "axis", kind == 1 ? -2 : 1);
            if (kind == 2) gradcheck_int(c, "block_size", 2);
            check(c, FIELDCHECK_EXACT);
        }
    gradcheck *c = gradcheck_new("DynamicQuantizeLinear", 11, 3);
    floats(c, -3, 100, GRADCHECK_DIMS(2, 3));
    check(c, 0);
}

static void convolutions(void **state) {
    (void)state;
    for (int lists = 0; lists < 2; lists++)
        for (int group = 1; group < 3; group++) {
            gradcheck *c = gradcheck_new("ConvInteger", 10, 1);
            bytes(c, GRADCHECK_DIMS(1, 2, 4, 3));
            bytes(c, GRADCHECK_DIMS(2, 2 / group, 2, 2));
            zeros(c, 0, NULL);
            zeros(c, lists, (int64_t[]){2});
            gradcheck_int(c, "group", group);
            gradcheck_ints(c, "pads", GRADCHECK_DIMS(1, 0, 0, 0));
            check(c, FIELDCHECK_EXACT);
            c = gradcheck_new("QLinearConv", 10, 1);
            bytes(c, GRADCHECK_DIMS(1, 2, 4, 3));
            floats(c, 0.9, 1.1, 0, NULL);
            zeros(c, 0, NULL);
            bytes(c, GRADCHECK_DIMS(2, 2 / group, 2, 2));
            floats(c, 0.9, 1.1, lists, (int64_t[]){2});
            zeros(c, lists, (int64_t[]){2});
            floats(c, 30, 40, 0, NULL);
            zeros(c, 0, NULL);
            wholes(c, GRADCHECK_DIMS(2));
            gradcheck_int(c, "group", group);
            gradcheck_ints(c, "strides", GRADCHECK_DIMS(2, 1));
            check(c, 0);
        }
}

static void products(void **state) {
    (void)state;
    static const struct {
        int ra, rb;
        int64_t a[3], b[3];
    } of[] = {{2, 2, {3, 4}, {4, 2}}, {3, 3, {2, 3, 2}, {1, 2, 2}}, {1, 2, {3}, {3, 2}},
              {2, 1, {2, 3}, {3}},    {3, 2, {2, 2, 3}, {3, 2}},    {2, 3, {2, 3}, {2, 3, 2}}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++)
        for (int linear = 0; linear < 2; linear++) {
            gradcheck *c = gradcheck_new(linear ? "QLinearMatMul" : "MatMulInteger", 10, 1);
            for (int right = 0; right < 2; right++) {
                if (right) bytes(c, of[i].rb, of[i].b);
                else bytes(c, of[i].ra, of[i].a);
                if (linear) floats(c, 0.9, 1.1, 0, NULL);
                if (linear) zeros(c, 0, NULL);
            }
            if (linear) floats(c, 100, 200, 0, NULL);
            zeros(c, 0, NULL);
            if (!linear) zeros(c, 0, NULL);
            check(c, linear ? 0 : FIELDCHECK_EXACT);
        }
}

/* Zero points and scales for every row and column, as lists and as matrices. */
static void product_lists(void **state) {
    (void)state;
    gradcheck *c = gradcheck_new("MatMulInteger", 10, 1);
    bytes(c, GRADCHECK_DIMS(3, 2));
    bytes(c, GRADCHECK_DIMS(2, 4));
    zeros(c, GRADCHECK_DIMS(3));
    zeros(c, GRADCHECK_DIMS(4));
    check(c, FIELDCHECK_EXACT);
    c = gradcheck_new("MatMulInteger", 10, 1);
    bytes(c, GRADCHECK_DIMS(2, 3, 2));
    bytes(c, GRADCHECK_DIMS(2, 2, 4));
    zeros(c, GRADCHECK_DIMS(2, 3, 1));
    zeros(c, GRADCHECK_DIMS(2, 1, 4));
    check(c, FIELDCHECK_EXACT);
    c = gradcheck_new("QLinearMatMul", 10, 1);
    bytes(c, GRADCHECK_DIMS(3, 2));
    floats(c, 0.9, 1.1, GRADCHECK_DIMS(3));
    zeros(c, GRADCHECK_DIMS(3, 1));
    bytes(c, GRADCHECK_DIMS(2, 4));
    floats(c, 0.9, 1.1, GRADCHECK_DIMS(1, 4));
    zeros(c, GRADCHECK_DIMS(4));
    floats(c, 20, 30, GRADCHECK_DIMS(1));
    zeros(c, GRADCHECK_DIMS(1));
    check(c, 0);
}

/* Labels that nobody knows yet. */
static void losses(void **state) {
    (void)state;
    static const char *const ops[] = {"NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"};
    static const char *const reductions[] = {"none", "sum", "mean"};
    for (int op = 0; op < 2; op++)
        for (int r = 0; r < 3; r++)
            for (int ignores = 0; ignores < 2; ignores++) {
                gradcheck *c = gradcheck_new(ops[op], 13, 1 + op);
                floats(c, 0.2, 1, GRADCHECK_DIMS(2, 4, 3));
                gradcheck_whole(c, (int64_t[]){1, 0, 3, 1, 2, 2}, GRADCHECK_DIMS(2, 3));
                floats(c, 0.2, 2, GRADCHECK_DIMS(4));
                gradcheck_text(c, "reduction", reductions[r]);
                if (ignores) gradcheck_int(c, "ignore_index", 2);
                check(c, 0);
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(logic),         cmocka_unit_test(bits),
                                       cmocka_unit_test(where),         cmocka_unit_test(quantize),
                                       cmocka_unit_test(convolutions),  cmocka_unit_test(products),
                                       cmocka_unit_test(product_lists), cmocka_unit_test(losses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_op_movement_hostile.c - the operators that move elements or go by index, given random
 * inputs and attributes, extremes among them: each must be refused or run, never crash,
 * overflow, or read or write outside (run it under the sanitizers). What runs must give the
 * same bytes with one thread and with three. Arguments: rounds, seed. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "optest.h"

static uint32_t seed = 3;

static uint32_t rnd(uint32_t n) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

/* Mostly small and useful. */
static int64_t number(void) {
    static const int64_t v[] = {INT32_MAX,     INT32_MIN,     INT64_MAX,        INT64_MIN,
                                INT64_MAX - 1, INT64_MIN + 1, (int64_t)1 << 40, (int64_t)1 << 62};
    return rnd(20) ? (int64_t)rnd(7) - 2 : v[rnd(8)];
}

static int64_t dim(void) { return rnd(12) ? 1 + rnd(4) : rnd(40) ? 0 : number(); }

/* A tensor of rank dims, false when there is no memory for it (or none has such a shape). */
static bool tensor(optest *t, bool constant, omma_dtype type, int rank, const int64_t *dims,
                   const int64_t *numbers) {
    omma_value v = {.dtype = type, .rank = rank};
    int64_t count = 1;
    for (int d = 0; d < rank; d++) {
        v.dims[d] = dims[d];
        if (dims[d] < 0 || (dims[d] && __builtin_mul_overflow(count, dims[d], &count)))
            return false;
    }
    if (count > INT64_MAX / 8 || omma_value_count(&v) > 1 << 16) return false;
    char *data = test_calloc(omma_value_bytes(&v) + 8, 1);
    for (int64_t i = 0; i < omma_value_count(&v); i++) {
        if (numbers && type == OMMA_I64) ((int64_t *)(void *)data)[i] = numbers[i];
        else
            omma_set_number(type, data, i,
                            numbers   ? (double)numbers[i]
                            : rnd(30) ? (double)rnd(5) - 1
                                      : NAN);
    }
    optest_put(t, constant, type, data, rank, dims);
    test_free(data);
    return true;
}

/* What operators read as data. Later inputs often have the type and the dims of the first. */
static bool data(optest *t) {
    static const omma_dtype types[] = {OMMA_F32, OMMA_I64,  OMMA_U8,  OMMA_F16,
                                       OMMA_F64, OMMA_BOOL, OMMA_I32, OMMA_STRING};
    int64_t dims[OMMA_MAX_RANK];
    omma_dtype type = types[rnd(rnd(10) ? 4 : 8)];
    int rank = rnd(30) ? (int)rnd(5) : OMMA_MAX_RANK;
    if (t->n_in && t->in[0] && rnd(6)) {
        type = t->in[0]->dtype;
        const omma_value *like = t->n_in > 1 && t->in[1] && rnd(2) ? t->in[1] : t->in[0];
        rank = like->rank;
        memcpy(dims, like->dims, sizeof dims);
        if (rank && rnd(3) == 0) dims[rnd((uint32_t)rank)] = dim();
    } else
        for (int d = 0; d < rank; d++) dims[d] = dim();
    return tensor(t, rnd(2), type, rank, dims, NULL);
}

/* What operators read as a list of integers, or as indices. */
static bool list(optest *t, bool constant) {
    int64_t numbers[64], dims[3];
    const omma_value *x = t->n_in ? t->in[0] : NULL;
    const bool alike = !constant && x && x->rank <= 3 && rnd(2); /* indices in the data's form */
    const int rank = alike ? x->rank : constant ? rnd(12) ? 1 : (int)rnd(3) : (int)rnd(4);
    int64_t count = 1;
    for (int d = 0; d < rank; d++) {
        dims[d] = alike && x->dims[d] < 4 && rnd(4) ? x->dims[d] : rnd(20) ? 1 + rnd(4) : 0;
        count *= dims[d];
    }
    if (constant && rank == 1 && x && rnd(6)) count = dims[0] = x->rank * (rnd(3) ? 1 : 2);
    for (int i = 0; i < count; i++)
        numbers[i] = constant || rnd(12) == 0 ? number() : (int64_t)rnd(2) - 1;
    return tensor(t, constant ? rnd(30) != 0 : rnd(2), rnd(6) ? OMMA_I64 : OMMA_I32, rank, dims,
                  numbers);
}

static void attributes(optest *t) {
    static const char *const ints[] = {"axis",       "start",       "end",     "allowzero",
                                       "batch_dims", "blocksize",   "upper",   "k",
                                       "dtype",      "num_outputs", "largest", "value_int"};
    static const char *const lists[] = {"axes", "perm",  "starts",    "ends",
                                        "pads", "split", "value_ints"};
    static const char *const modes[] = {"constant", "reflect", "edge", "wrap", "DCR", "CRD", "?"};
    static const char *const reductions[] = {"none", "add", "mul", "min", "max", "?"};
    for (int i = 0; i < 12; i++)
        if (rnd(3) == 0)
            optest_int(t, ints[i], rnd(8) || strcmp(ints[i], "dtype") ? number() : 1 + rnd(16));
    if (t->n_attrs > OPTEST_MAX - 4) t->n_attrs = OPTEST_MAX - 4;
    if (rnd(2)) {
        const int n =
            rnd(4) && t->n_in && t->in[0] ? t->in[0]->rank * (rnd(2) ? 1 : 2) : (int)rnd(6);
        int64_t *v = omma_arena_array(&t->arena, (size_t)n + 1, sizeof *v);
        for (int i = 0; i < n; i++) v[i] = number();
        optest_ints(t, lists[rnd(7)], v, n);
    }
    if (rnd(3)) optest_string(t, "mode", modes[rnd(7)]);
    if (rnd(3)) optest_string(t, "reduction", reductions[rnd(6)]);
    if (rnd(2) && t->n_in && t->in[0])
        t->attrs[t->n_attrs++] = (omma_attr){
            .name = "value", .kind = OMMA_ATTR_TENSOR, .tensor = t->in[rnd((uint32_t)t->n_in)]};
}

/* Inputs in the places where the operator of that name wants what; d data, l a constant
 * list, i indices. */
static bool inputs(optest *t, const char *places) {
    for (int i = 0; places[i]; i++) {
        if (i && rnd(8) == 0) {
            if (rnd(2)) return true;
            optest_skip(t);
        } else if (!(places[i] == 'd' || rnd(60) == 0 ? data(t) : list(t, places[i] == 'l')))
            return false;
    }
    return true;
}

/* Each output in memory of its own, so that a write outside is seen; the bytes of all. */
static omma_status execute(const omma_op *op, omma_node *n, int threads, omma_error *err,
                           char *out[4]) {
    for (int i = 0; i < n->n_out; i++) {
        if (!n->out[i]) continue;
        out[i] = test_calloc(omma_value_bytes(n->out[i]) + 1, 1);
        n->out[i]->mem = out[i];
    }
    n->work = n->scratch ? test_calloc(n->scratch, 1) : NULL;
    const omma_exec x = {.threads = threads, .kern = omma_kernels_best(), .err = err};
    const omma_status s = op->run(&x, n);
    if (n->work) test_free(n->work);
    return s;
}

/* 0 refused, 1 failed while running, 2 ran */
static int work(optest *t, const omma_op *op) {
    const int n_out = op->max_out < 0
                          ? 1 + (int)rnd(3)
                          : op->min_out + (int)rnd((uint32_t)(op->max_out - op->min_out + 1));
    omma_node *n = omma_graph_node(t->g, op, "node", t->n_in, n_out);
    n->opset = 7 + (int)rnd(17);
    n->attrs = t->attrs;
    n->n_attrs = t->n_attrs;
    for (int i = 0; i < t->n_in; i++) n->in[i] = t->in[i];
    for (int i = 0; i < op->min_in; i++)
        if (i >= t->n_in || !n->in[i]) return 0; /* the verifier's to refuse */
    for (int i = 0; i < n_out; i++)
        if (rnd(15)) omma_node_set_output(n, i, omma_graph_value(t->g, "out"));
    omma_build b = {.arena = &t->arena, .err = &t->err};
    if (op->infer(&b, n) || (op->prepare && op->prepare(&b, n))) return 0;
    if (n->scratch > 1 << 20) return 0;
    for (int i = 0; i < n_out; i++)
        if (n->out[i] && (!omma_value_known(n->out[i]) || omma_value_bytes(n->out[i]) > 1 << 20))
            return 0;
    char *one[4] = {0}, *three[4] = {0};
    const omma_status s = execute(op, n, 1, &t->err, one);
    assert_int_equal(execute(op, n, 3, &t->err, three), s);
    for (int i = 0; i < n_out; i++) {
        if (one[i] && !s) assert_memory_equal(one[i], three[i], omma_value_bytes(n->out[i]) + 1);
        if (one[i]) test_free(one[i]);
        if (three[i]) test_free(three[i]);
    }
    return s ? 1 : 2;
}

static int rounds = 1000;

static void hostile(void **state) {
    (void)state;
    static const struct {
        const char *op, *inputs;
    } cases[] = {{"Shape", "d"},
                 {"Size", "d"},
                 {"Reshape", "dl"},
                 {"Flatten", "d"},
                 {"Squeeze", "dl"},
                 {"Unsqueeze", "dl"},
                 {"Constant", ""},
                 {"ConstantOfShape", "l"},
                 {"Range", "ddd"},
                 {"EyeLike", "d"},
                 {"OneHot", "dld"},
                 {"Expand", "dl"},
                 {"Tile", "dl"},
                 {"Transpose", "d"},
                 {"DepthToSpace", "d"},
                 {"SpaceToDepth", "d"},
                 {"Concat", "ddd"},
                 {"Split", "dl"},
                 {"Slice", "dllll"},
                 {"Pad", "dldl"},
                 {"Trilu", "dl"},
                 {"Gather", "di"},
                 {"GatherElements", "di"},
                 {"GatherND", "di"},
                 {"ScatterElements", "did"},
                 {"ScatterND", "did"},
                 {"TopK", "dl"}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const omma_op *op = omma_op_find(cases[c].op);
        int seen[3] = {0};
        assert_non_null(op);
        for (int i = 0; i < rounds; i++) {
            optest *t = optest_new(cases[c].op, 13);
            if (inputs(t, cases[c].inputs)) {
                attributes(t);
                seen[work(t, op)]++;
            }
            optest_free(t);
        }
        print_message("%-16s %d ran, %d failed while running, %d refused\n", cases[c].op, seen[2],
                      seen[1], seen[0]);
    }
}

int main(int argc, char **argv) {
    if (argc > 1) rounds = atoi(argv[1]);
    if (argc > 2) seed = (uint32_t)strtoul(argv[2], NULL, 0);
    const struct CMUnitTest tests[] = {cmocka_unit_test(hostile)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

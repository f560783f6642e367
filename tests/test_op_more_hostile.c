/* test_op_more_hostile.c - models that are almost right: for each operator a sound node, of
 * which a few things are made wrong (a dimension, a rank, a type, an attribute, an input
 * left out, wild numbers). Each must be refused or run, on one thread and on three with the
 * same bits, and never crash, overflow or write where it should not (run it under the
 * sanitizers). Arguments: rounds, seed. */
#include <math.h>
#include <stdlib.h>

#include "optest.h"

static uint32_t seed = 17;

static uint32_t rnd(uint32_t n) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

typedef enum fill {
    REAL,
    INDEX,
    SHAPE,
    UNSURE
} fill; /* SHAPE: constant; UNSURE: perhaps constant */

/* A sound input; rank -1 ends the list. */
typedef struct input {
    omma_dtype type;
    int rank;
    int64_t dims[5];
    fill fill;
    int64_t values[5]; /* of SHAPE */
} input;

typedef struct model {
    const char *op;
    int opset, n_out;
    input in[9];
    const char *ints[8]; /* attributes */
    int64_t values[8];
    const char *lists[4];
    int64_t list[4]; /* two numbers like this */
    const char *floats[4];
    const char *text[4]; /* name and value, twice */
} model;

#define END                  \
    {                        \
        0, -1, {0}, 0, { 0 } \
    }
#define F32(...)                                                                   \
    {                                                                              \
        OMMA_F32, sizeof((int64_t[]){__VA_ARGS__}) / 8, {__VA_ARGS__}, REAL, { 0 } \
    }
#define IDX(...)                                                                    \
    {                                                                               \
        OMMA_I64, sizeof((int64_t[]){__VA_ARGS__}) / 8, {__VA_ARGS__}, INDEX, { 0 } \
    }
#define GIVEN(...)                                                                  \
    {                                                                               \
        OMMA_I64, 1, {sizeof((int64_t[]){__VA_ARGS__}) / 8}, SHAPE, { __VA_ARGS__ } \
    }
#define NONE                 \
    {                        \
        0, -2, {0}, 0, { 0 } \
    }

static const model models[] = {
    {"Attention",
     24,
     4,
     {F32(2, 4, 3, 5), F32(2, 2, 6, 5), F32(2, 2, 6, 4), F32(2, 1, 3, 6), NONE, NONE, IDX(2), END},
     {"is_causal", "q_num_heads", "kv_num_heads", "qk_matmul_output_mode", "softmax_precision"},
     {1, 4, 2, 1, 1},
     {0},
     {0},
     {"scale", "softcap"},
     {0}},
    {"Attention",
     23,
     4,
     {F32(2, 3, 8),
      F32(2, 6, 4),
      F32(2, 6, 6),
      {OMMA_BOOL, 2, {3, 8}, INDEX, {0}},
      F32(2, 2, 2, 2),
      F32(2, 2, 2, 3),
      END},
     {"is_causal", "q_num_heads", "kv_num_heads", "qk_matmul_output_mode"},
     {1, 4, 2, 3},
     {0},
     {0},
     {"scale", "softcap"},
     {0}},
    {"RMSNormalization",
     23,
     1,
     {F32(2, 3, 4), F32(4), END},
     {"axis", "stash_type"},
     {-1, 1},
     {0},
     {0},
     {"epsilon"},
     {0}},
    {"LpNormalization", 22, 1, {F32(2, 3, 4), END}, {"axis", "p"}, {1, 2}, {0}, {0}, {0}, {0}},
    {"LRN", 13, 1, {F32(2, 5, 3, 2), END}, {"size"}, {3}, {0}, {0}, {"alpha", "beta", "bias"}, {0}},
    {"LSTM",
     14,
     3,
     {F32(3, 2, 4),
      {OMMA_F32, 3, {2, 12, 4}, UNSURE, {0}},
      {OMMA_F32, 3, {2, 12, 3}, UNSURE, {0}},
      F32(2, 24),
      {OMMA_I32, 1, {2}, INDEX, {0}},
      F32(2, 2, 3),
      F32(2, 2, 3),
      F32(2, 9),
      END},
     {"hidden_size", "layout", "input_forget"},
     {3, 0, 0},
     {0},
     {0},
     {"clip"},
     {"direction", "bidirectional"}},
    {"GRU",
     14,
     2,
     {F32(2, 3, 4),
      {OMMA_F32, 3, {1, 9, 4}, UNSURE, {0}},
      {OMMA_F32, 3, {1, 9, 3}, UNSURE, {0}},
      F32(1, 18),
      {OMMA_I32, 1, {2}, INDEX, {0}},
      F32(2, 1, 3),
      END},
     {"hidden_size", "layout", "linear_before_reset"},
     {3, 1, 1},
     {0},
     {0},
     {"clip"},
     {"direction", "reverse"}},
    {"RoiAlign",
     16,
     1,
     {F32(2, 3, 5, 6), F32(4, 4), IDX(4), END},
     {"output_height", "output_width", "sampling_ratio"},
     {2, 3, 2},
     {0},
     {0},
     {"spatial_scale"},
     {"mode", "avg"}},
    {"RoiAlign",
     10,
     1,
     {F32(2, 3, 5, 6), F32(4, 4), IDX(4), END},
     {"output_height", "output_width", "sampling_ratio"},
     {2, 3, 0},
     {0},
     {0},
     {"spatial_scale"},
     {"mode", "max"}},
    {"DeformConv",
     19,
     1,
     {F32(1, 4, 5, 6),
      {OMMA_F32, 4, {6, 2, 2, 2}, UNSURE, {0}},
      F32(1, 16, 4, 5),
      F32(6),
      F32(1, 8, 4, 5),
      END},
     {"group", "offset_group"},
     {2, 2},
     {"strides", "dilations", "kernel_shape"},
     {1, 1, 2},
     {0},
     {0}},
    {"Col2Im",
     18,
     1,
     {F32(2, 8, 12), GIVEN(4, 5), GIVEN(2, 2), END},
     {0},
     {0},
     {"strides", "dilations"},
     {1, 1},
     {0},
     {0}},
    {"CenterCropPad", 18, 1, {F32(4, 5), GIVEN(2, 7), END}, {0}, {0}, {0}, {0}, {0}, {0}},
    {"Scatter", 9, 1, {F32(4, 5), IDX(2, 5), F32(2, 5), END}, {"axis"}, {0}, {0}, {0}, {0}, {0}},
    {"Swish", 24, 1, {F32(4, 5), END}, {0}, {0}, {0}, {0}, {"alpha"}, {0}},
    {"Asin", 22, 1, {F32(4, 5), END}, {0}, {0}, {0}, {0}, {0}, {0}},
    {"Atan", 22, 1, {F32(4, 5), END}, {0}, {0}, {0}, {0}, {0}, {0}},
    {"NonZero", 13, 1, {IDX(3, 4, 5), END}, {0}, {0}, {0}, {0}, {0}, {0}},
    {"Compress",
     11,
     1,
     {F32(3, 4, 5), {OMMA_BOOL, 1, {3}, UNSURE, {0}}, END},
     {"axis"},
     {1},
     {0},
     {0},
     {0},
     {0}},
    {"NonMaxSuppression",
     11,
     1,
     {F32(2, 6, 4), F32(2, 3, 6), {OMMA_I64, 1, {1}, UNSURE, {0}}, F32(1), F32(1), END},
     {"center_point_box"},
     {0},
     {0},
     {0},
     {0},
     {0}},
};

static int64_t extreme(void) {
    static const int64_t v[] = {0,         -1,
                                1,         2,
                                INT32_MAX, (int64_t)INT32_MAX + 1,
                                INT64_MAX, INT64_MIN,
                                65536,     (int64_t)1 << 40};
    return v[rnd(sizeof v / sizeof *v)];
}

static double number(fill f) {
    static const double wild[] = {NAN, INFINITY, -INFINITY, 1e30, -1e30, 1e-40, -0.0, 1e6};
    if (rnd(60) == 0) return wild[rnd(8)];
    if (f == INDEX) return rnd(30) ? (double)rnd(2) : -1;
    return ((double)rnd(4000) - 1500) / 500;
}

/* Is one thing in so many to be made wrong? */
static uint32_t odds;
static bool wrong(void) { return rnd(odds) == 0; }

static bool put(optest *t, const input *in) {
    omma_value v = {.dtype = in->type, .rank = in->rank};
    int64_t dims[8], count = 1;
    memcpy(dims, in->dims, sizeof in->dims);
    if (wrong()) v.dtype = (omma_dtype)(1 + rnd(16));
    if (!omma_dtype_size(v.dtype)) return false;
    if (wrong()) {
        v.rank = (int)rnd(7);
        for (int d = 0; d < v.rank; d++) dims[d] = 1 + rnd(3);
    }
    for (int d = 0; d < v.rank; d++) {
        if (wrong()) dims[d] = rnd(2) ? dims[d] + 1 - 2 * (int64_t)rnd(2) : (int64_t)rnd(3);
        count *= dims[d];
    }
    if (count > 1 << 14) return false;
    char *data = test_calloc((size_t)count * 8 + 8, 1);
    for (int64_t i = 0; i < count; i++)
        if (in->fill == SHAPE)
            omma_set_number(v.dtype, data, i,
                            (double)(wrong() ? extreme()
                                     : i < 5 ? in->values[i]
                                             : 1));
        else omma_set_number(v.dtype, data, i, number(in->fill));
    optest_put(t, in->fill == SHAPE ? !wrong() : in->fill == UNSURE && rnd(2), v.dtype, data,
               v.rank, dims);
    test_free(data);
    return true;
}

static bool build(optest *t, const model *m) {
    for (int i = 0; m->in[i].rank != -1; i++) {
        if (m->in[i].rank == -2 || (i > 2 && rnd(3) == 0) || wrong()) optest_skip(t);
        else if (!put(t, &m->in[i])) return false;
    }
    while (t->n_in && !t->in[t->n_in - 1]) t->n_in--;
    for (int i = 0; i < 8 && m->ints[i]; i++)
        optest_int(t, m->ints[i], wrong() ? rnd(2) ? extreme() : (int64_t)rnd(5) : m->values[i]);
    for (int i = 0; i < 4 && m->lists[i]; i++) {
        int64_t *v = omma_arena_array(&t->arena, 4, sizeof *v);
        const int n = wrong() ? (int)rnd(5) : 2;
        for (int k = 0; k < 4; k++) v[k] = wrong() ? extreme() : m->list[i];
        if (rnd(3)) optest_ints(t, m->lists[i], v, n);
    }
    for (int i = 0; i < 4 && m->floats[i]; i++)
        if (rnd(2)) optest_float(t, m->floats[i], wrong() ? (float)number(REAL) : 0.5f);
    for (int i = 0; i < 4 && m->text[i]; i += 2)
        if (rnd(3)) optest_string(t, m->text[i], wrong() ? "?" : m->text[i + 1]);
    return true;
}

/* Each output in memory of its own, so that a write outside is seen. */
static omma_status execute(const omma_op *op, omma_node *n, int threads, omma_error *err,
                           char *out[4]) {
    for (int i = 0; i < n->n_out; i++) {
        if (!n->out[i]) continue;
        out[i] = test_calloc(omma_value_bytes(n->out[i]) + 1, 1);
        n->out[i]->mem = out[i];
    }
    n->work = n->scratch ? aligned_alloc(64, (n->scratch + 63) & ~(size_t)63) : NULL;
    if (n->work) memset(n->work, 0xA5, n->scratch);
    const omma_exec x = {.threads = threads, .kern = omma_kernels_best(), .err = err};
    const omma_status s = op->run(&x, n);
    free(n->work);
    return s;
}

/* 0 refused, 1 failed while running, 2 ran */
static int work(optest *t, const model *m, const omma_op *op) {
    omma_node *n = omma_graph_node(t->g, op, "node", t->n_in, m->n_out);
    n->opset = m->opset, n->attrs = t->attrs, n->n_attrs = t->n_attrs;
    for (int i = 0; i < t->n_in; i++) n->in[i] = t->in[i];
    for (int i = 0; i < op->min_in; i++)
        if (i >= t->n_in || !n->in[i]) return 0; /* the verifier's to refuse */
    for (int i = 0; i < m->n_out; i++)
        if (rnd(6)) omma_node_set_output(n, i, omma_graph_value(t->g, "out"));
    omma_build b = {.arena = &t->arena, .err = &t->err, .kern = omma_kernels_best(), .threads = 3};
    if (op->infer(&b, n) || (op->prepare && op->prepare(&b, n))) return 0;
    if (n->scratch > 1 << 24 || (op->flops && op->flops(n) > 1e7)) return 0;
    int64_t largest[4][OMMA_MAX_RANK];
    for (int i = 0; i < m->n_out; i++) {
        if (!n->out[i]) continue;
        if (!omma_value_known(n->out[i]) || omma_value_bytes(n->out[i]) > 1 << 20) return 0;
        memcpy(largest[i], n->out[i]->dims, sizeof largest[i]);
    }
    char *one[4] = {0}, *three[4] = {0};
    const omma_status s = execute(op, n, 1, &t->err, one);
    for (int i = 0; i < m->n_out; i++)
        if (n->out[i]) memcpy(n->out[i]->dims, largest[i], sizeof largest[i]);
    assert_int_equal(execute(op, n, 3, &t->err, three), s);
    for (int i = 0; i < m->n_out; i++) {
        if (one[i] && !s) assert_memory_equal(one[i], three[i], omma_value_bytes(n->out[i]));
        if (one[i]) test_free(one[i]);
        if (three[i]) test_free(three[i]);
    }
    return s ? 1 : 2;
}

static int rounds = 1500;

static void hostile(void **state) {
    (void)state;
    for (size_t c = 0; c < sizeof models / sizeof *models; c++) {
        const omma_op *op = omma_op_find(models[c].op);
        int seen[3] = {0};
        assert_non_null(op);
        for (int i = 0; i < rounds; i++) {
            optest *t = optest_new(models[c].op, models[c].opset);
            odds = 8 + 24 * rnd(8);
            if (build(t, &models[c])) seen[work(t, &models[c], op)]++;
            optest_free(t);
        }
        print_message("%-18s %d ran, %d failed while running, %d refused\n", models[c].op, seen[2],
                      seen[1], seen[0]);
        assert_true(seen[2] > rounds / 20);
    }
}

int main(int argc, char **argv) {
    if (argc > 1) rounds = atoi(argv[1]);
    if (argc > 2) seed = (uint32_t)strtoul(argv[2], NULL, 0);
    const struct CMUnitTest tests[] = {cmocka_unit_test(hostile)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_pass_attention.c - what becomes of attention as exporters write it: torch's
 * MultiheadAttention, windows with two masks, the heads of language models, splits, one head; that
 * the moves around it are gone; what only looks like it and must stay; and that numbers are those
 * of the plain graph, whatever is watched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "model/model.h"
#include "naive.h"
#include "onnxmake.h"
#include "run/plan.h"

#define I(...) ((const int64_t[]){__VA_ARGS__}), (int)(sizeof((const int64_t[]){__VA_ARGS__}) / 8)

/* --- making graphs ------------------------------------------------------------------------ */

static void reshape(mk *g, const char *in, const char *out, const int64_t *dims, int rank) {
    char name[64], both[128];
    snprintf(name, sizeof name, "shape of %s", out);
    snprintf(both, sizeof both, "%s,%s", in, name);
    mk_ints(g, name, dims, rank);
    mk_op(g, "Reshape", both, out, NULL);
}

static void transpose(mk *g, const char *in, const char *out, const int64_t *perm, int rank) {
    mk a = {0};
    mk_attr_ints(&a, "perm", perm, rank);
    mk_op(g, "Transpose", in, out, &a);
}

static void slice(mk *g, const char *in, const char *out, int64_t from, int64_t to, int64_t axis) {
    char names[4][64], all[320];
    const int64_t v[] = {from, to, axis, 1};
    for (int i = 0; i < 4; i++) {
        snprintf(names[i], sizeof names[i], "%s %d", out, i);
        mk_ints(g, names[i], v + i, 1);
    }
    snprintf(all, sizeof all, "%s,%s,%s,%s,%s", in, names[0], names[1], names[2], names[3]);
    mk_op(g, "Slice", all, out, NULL);
}

static void pick(mk *g, const char *in, const char *out, int64_t index) {
    char name[64], both[128];
    snprintf(name, sizeof name, "index of %s", out);
    snprintf(both, sizeof both, "%s,%s", in, name);
    mk_raw(g, name, OMMA_I64, &index, 0, NULL);
    mk_op(g, "Gather", both, out, NULL);
}

static void number(mk *g, const char *name, float v) { mk_raw(g, name, OMMA_F32, &v, 0, NULL); }

static void numbers(mk *g, const char *name, const int64_t *dims, int rank) {
    float v[4096];
    int64_t n = 1;
    for (int i = 0; i < rank; i++) n *= dims[i];
    assert_true(n <= 4096);
    for (int64_t i = 0; i < n; i++) v[i] = (float)((i * 37 + rank) % 101 - 50) / 50;
    mk_floats(g, name, v, rank, dims);
}

static void softmax(mk *g, const char *in, const char *out, int64_t axis) {
    mk a = {0};
    mk_attr_int(&a, "axis", axis);
    mk_op(g, "Softmax", in, out, &a);
}

static void end(mk *g, const char *out) { mk_port(g, MK_OUTPUT, out, OMMA_F32, -1, NULL); }

/* --- what exporters write ------------------------------------------------------------------ */

enum { T = 5, B = 2, H = 3, D = 4, C = H * D };

/* MultiheadAttention: tokens first, heads beside the batch, q divided before the product. */
static void torch_mha(mk *g) {
    mk_port(g, MK_INPUT, "x", OMMA_F32, MK_DIMS(T, B, 3 * C));
    number(g, "two", 2);
    slice(g, "x", "q0", 0, C, 2), slice(g, "x", "k0", C, 2 * C, 2);
    slice(g, "x", "v0", 2 * C, 3 * C, 2);
    reshape(g, "q0", "q1", I(T, B * H, D)), reshape(g, "k0", "k1", I(T, B * H, D));
    reshape(g, "v0", "v1", I(T, B * H, D));
    transpose(g, "q1", "q2", I(1, 0, 2)), transpose(g, "v1", "v2", I(1, 0, 2));
    transpose(g, "k1", "k2", I(1, 2, 0));
    mk_op(g, "Div", "q2,two", "q3", NULL), mk_op(g, "MatMul", "q3,k2", "s", NULL);
    softmax(g, "s", "a", -1), mk_op(g, "MatMul", "a,v2", "y0", NULL);
    transpose(g, "y0", "y1", I(1, 0, 2)), reshape(g, "y1", "y", I(T * B, C));
    end(g, "y");
}

/* Swin: windows W of two pictures, one mask by head and one by window, through five axes. */
static void swin(mk *g) {
    enum { W = 4, P = 2 };
    mk a = {0};
    mk_port(g, MK_INPUT, "x", OMMA_F32, MK_DIMS(P * W, T, 3 * C));
    number(g, "scale", 0.3f), number(g, "ratio", 0.5f);
    mk_raw(g, "no", OMMA_BOOL, "\0", 0, NULL);
    numbers(g, "bias", I(1, H, T, T)), numbers(g, "shift", I(1, W, 1, T, T));
    reshape(g, "x", "x5", I(P * W, T, 3, H, D)), transpose(g, "x5", "qkv", I(2, 0, 3, 1, 4));
    pick(g, "qkv", "q", 0), pick(g, "qkv", "k", 1), pick(g, "qkv", "v", 2);
    mk_op(g, "Mul", "scale,q", "qs", NULL), transpose(g, "k", "kt", I(0, 1, 3, 2));
    mk_op(g, "MatMul", "qs,kt", "s0", NULL), mk_op(g, "Add", "s0,bias", "s1", NULL);
    reshape(g, "s1", "s2", I(P, W, H, T, T)), mk_op(g, "Add", "shift,s2", "s3", NULL);
    reshape(g, "s3", "s4", I(P * W, H, T, T)), softmax(g, "s4", "a0", 3);
    mk_op(g, "Dropout", "a0,ratio,no", "a", NULL), mk_op(g, "MatMul", "a,v", "y0", NULL);
    mk_attr_ints(&a, "perm", (int64_t[]){0, 2, 1, 3}, 4), mk_op(g, "Transpose", "y0", "y1", &a);
    reshape(g, "y1", "y", I(P * W, T, C));
    end(g, "y");
}

/* BERT and ViT of the transformers: scores are divided, a mask of keys comes in. */
static void language(mk *g) {
    mk_port(g, MK_INPUT, "x", OMMA_F32, MK_DIMS(B, T, C));
    mk_port(g, MK_INPUT, "mask", OMMA_F32, MK_DIMS(B, 1, 1, T));
    number(g, "two", 2);
    numbers(g, "wq", I(C, C)), numbers(g, "wk", I(C, C)), numbers(g, "wv", I(C, C));
    mk_op(g, "MatMul", "x,wq", "q0", NULL), mk_op(g, "MatMul", "x,wk", "k0", NULL);
    mk_op(g, "MatMul", "x,wv", "v0", NULL);
    reshape(g, "q0", "q1", I(0, 0, H, D)), reshape(g, "k0", "k1", I(0, 0, H, D));
    reshape(g, "v0", "v1", I(0, 0, H, D));
    transpose(g, "q1", "q", I(0, 2, 1, 3)), transpose(g, "k1", "k", I(0, 2, 3, 1));
    transpose(g, "v1", "v", I(0, 2, 1, 3));
    mk_op(g, "MatMul", "q,k", "s0", NULL), mk_op(g, "Div", "s0,two", "s1", NULL);
    mk_op(g, "Add", "s1,mask", "s", NULL), softmax(g, "s", "a", -1);
    mk_op(g, "MatMul", "a,v", "y0", NULL), transpose(g, "y0", "y1", I(0, 2, 1, 3));
    reshape(g, "y1", "y", I(0, 0, -1));
    end(g, "y");
}

/* A Split along the channels, both factors scaled, keys for all heads alike, the result as it is.
 */
static void split(mk *g) {
    mk a = {0};
    mk_port(g, MK_INPUT, "x", OMMA_F32, MK_DIMS(B, T, C + 2 * D));
    mk_ints(g, "sizes", (int64_t[]){C, D, D}, 3);
    number(g, "root", 0.8f);
    mk_attr_int(&a, "axis", 2), mk_op(g, "Split", "x,sizes", "q0,k0,v0", &a);
    reshape(g, "q0", "q1", I(B, T, H, D)), transpose(g, "q1", "q", I(0, 2, 1, 3));
    mk_ints(g, "one", (int64_t[]){1}, 1);
    mk_op(g, "Unsqueeze", "k0,one", "k", NULL), mk_op(g, "Unsqueeze", "v0,one", "v", NULL);
    transpose(g, "k", "kt", I(0, 1, 3, 2));
    mk_op(g, "Mul", "q,root", "qs", NULL), mk_op(g, "Mul", "kt,root", "ks", NULL);
    mk_op(g, "MatMul", "qs,ks", "s", NULL), softmax(g, "s", "a", -1);
    mk_op(g, "MatMul", "a,v", "y", NULL);
    end(g, "y");
}

/* Matrices: one head, keys given as columns, values of another width. */
static void one_head(mk *g) {
    mk_port(g, MK_INPUT, "q", OMMA_F32, MK_DIMS(T, D));
    mk_port(g, MK_INPUT, "k", OMMA_F32, MK_DIMS(D, 7));
    mk_port(g, MK_INPUT, "v", OMMA_F32, MK_DIMS(7, 9));
    mk_op(g, "MatMul", "q,k", "s", NULL), softmax(g, "s", "a", 1);
    mk_op(g, "MatMul", "a,v", "y", NULL);
    end(g, "y");
}

/* --- what only looks like it --------------------------------------------------------------- */

typedef enum near_miss {
    NO_MISS,
    OTHER_AXIS,
    SCORES_WANTED,
    WEIGHTS_WANTED,
    WEIGHTS_READ,
    SCALED_MASK,
    WIDER_MASK,
    THREE_MASKS,
    ACTIVATION,
    TRAINING,
    DOUBLES,
    CONSTANT_KEYS,
    MISSES
} near_miss;

static void looks_like(mk *g, near_miss miss) {
    const omma_dtype t = miss == DOUBLES ? OMMA_F64 : OMMA_F32;
    mk_port(g, MK_INPUT, "q", t, MK_DIMS(1, T, T)), mk_port(g, MK_INPUT, "v", t, MK_DIMS(1, T, T));
    if (miss == CONSTANT_KEYS) numbers(g, "k", I(1, T, T));
    else mk_op(g, "Neg", "q", "k", NULL);
    number(g, "two", 2), number(g, "ratio", 0.5f), mk_raw(g, "yes", OMMA_BOOL, "\1", 0, NULL);
    numbers(g, "mask", I(T, T)), numbers(g, "wide", I(2, T, T));
    mk_op(g, "MatMul", "q,k", "s0", NULL);
    mk_op(g, "Identity", "s0", "s1", NULL);
    const char *s = "s1", *a = "a";
    if (miss == SCALED_MASK)
        mk_op(g, "Add", "s1,mask", "s2", NULL), mk_op(g, "Mul", "s2,two", "s3", NULL), s = "s3";
    if (miss == WIDER_MASK) mk_op(g, "Add", "s1,wide", "s3", NULL), s = "s3";
    if (miss == THREE_MASKS)
        mk_op(g, "Add", "s1,mask", "m1", NULL), mk_op(g, "Add", "m1,mask", "m2", NULL),
            mk_op(g, "Add", "m2,mask", "s3", NULL), s = "s3";
    if (miss == ACTIVATION) mk_op(g, "Relu", "s1", "s3", NULL), s = "s3";
    softmax(g, s, "a", miss == OTHER_AXIS ? 1 : -1);
    if (miss == TRAINING) mk_op(g, "Dropout", "a,ratio,yes", "drop", NULL), a = "drop";
    char both[32];
    snprintf(both, sizeof both, "%s,v", a);
    mk_op(g, "MatMul", both, "y", NULL);
    mk_port(g, MK_OUTPUT, "y", t, -1, NULL);
    if (miss == SCORES_WANTED) end(g, "s0");
    if (miss == WEIGHTS_WANTED) end(g, "a");
    if (miss == WEIGHTS_READ) mk_op(g, "Neg", "a", "n", NULL), end(g, "n");
}

/* --- moves --------------------------------------------------------------------------------- */

/* Some that move nothing, and with miss one of them that does. */
enum { MOVES = 4 };
static void moves(mk *g, int miss) {
    mk_port(g, MK_INPUT, "x", OMMA_F32, MK_DIMS(2, 3, 1, 4));
    number(g, "ratio", 0.5f), mk_raw(g, "yes", OMMA_BOOL, miss == 4 ? "\1" : "\0", 0, NULL);
    mk_op(g, "Neg", "x", "n", NULL);
    if (miss == 1) transpose(g, "n", "t0", I(0, 2, 3, 1));
    else transpose(g, "n", "t0", I(2, 0, 1, 3));
    reshape(g, "t0", "t1", I(2, 3, 4));
    slice(g, "t1", "s", miss == 2 ? 1 : 0, 9, 1);
    mk_ints(g, "pads", (int64_t[]){0, miss == 3 ? 1 : 0, 0, 0, miss == 3 ? -1 : 0, 0}, 6);
    mk_op(g, "Pad", "s,pads", "p", NULL), mk_op(g, "Dropout", "p,ratio,yes", "d", NULL);
    reshape(g, "d", "d1", I(1, 2, -1, 4)), pick(g, "d1", "k", 0);
    mk_op(g, "Neg", "k", "y", NULL);
    end(g, "y");
}

/* --- running them -------------------------------------------------------------------------- */

typedef struct under_test {
    omma_model *m;
    omma_tensor in[3];
    double data[3][2048];
} under_test;

/* g becomes a model, with numbers for its inputs. */
static under_test *open_graph(mk *g) {
    under_test *u = test_calloc(1, sizeof *u);
    omma_error err;
    mk bytes = mk_model(g, 17);
    if (mk_open(&u->m, &bytes, NULL, &err)) fail_msg("%s", err.message);
    mk_free(&bytes);
    for (int i = 0; i < u->m->graph->n_inputs; i++) {
        u->in[i] = omma_value_tensor(u->m->graph->inputs[i]);
        const int64_t n = omma_tensor_count(&u->in[i]);
        assert_in_range(n, 1, 2048);
        u->in[i].data = u->data[i];
        for (int64_t k = 0; k < n; k++)
            omma_set_number(u->in[i].dtype, u->data[i], k,
                            (double)((k * 53 + i * 7) % 97 - 48) / 30);
    }
    return u;
}

static void close_graph(under_test *u) {
    omma_model_free(u->m);
    test_free(u);
}

typedef struct counts {
    int fused, softmax, moves, nodes;
} counts;

/* What a plan of the graph is made of, with these values watched. */
static counts count_nodes(const under_test *u, const char *const *keep, int n) {
    omma_arena arena;
    omma_arena_init(&arena, NULL);
    omma_graph *base;
    omma_plan *p;
    omma_error err;
    omma_packs packs = {.arena = &arena};
    bool by_value[3] = {false};
    counts c = {0};
    if (omma_base_graph(&base, u->m->graph, keep, n, &arena, &err)) fail_msg("%s", err.message);
    const omma_plan_options o = {
        .packs = &packs, .watch = keep, .n_watch = n, .by_value = by_value};
    if (omma_plan_new(&p, base, u->in, &o, &err)) fail_msg("%s", err.message);
    if (omma_graph_verify(p->graph, &err)) fail_msg("%s", err.message);
    for (int i = 0; i < p->graph->n_nodes; i++) {
        const char *op = p->graph->nodes[i]->op->name;
        c.fused += !strcmp(op, "omma.Attention");
        c.softmax += !strcmp(op, "Softmax");
        c.nodes += !(p->graph->nodes[i]->op->flags & OMMA_OP_VIEW);
        c.moves += !strcmp(op, "Transpose") || !strcmp(op, "Slice") || !strcmp(op, "Gather") ||
                   !strcmp(op, "Split") || !strcmp(op, "Mul") || !strcmp(op, "Div");
    }
    omma_plan_free(p);
    omma_arena_free(&arena);
    return c;
}

/* Outputs are those of the plain graph; watching every value changes no bit of them, and what is
 * watched is right too. */
static void check_numbers(const under_test *u, const char *what) {
    omma_session *s, *watching;
    omma_error err;
    naive x;
    const omma_graph *g = u->m->graph;
    naive_run(&x, g, u->in);
    if (omma_session_new(&s, u->m, NULL, &err) || omma_session_new(&watching, u->m, NULL, &err))
        fail_msg("%s", err.message);
    for (int i = 0; i < g->n_values; i++)
        if (omma_session_watch(watching, g->values[i]->name, &err)) fail_msg("%s", err.message);
    if (omma_session_run(s, u->in, g->n_inputs, &err) ||
        omma_session_run(watching, u->in, g->n_inputs, &err))
        fail_msg("%s: %s", what, err.message);
    for (int i = 0; i < g->n_outputs; i++) {
        const omma_tensor want = omma_value_tensor(x.g->outputs[i]), *a = omma_session_output(s, i),
                          *b = omma_session_output(watching, i);
        naive_compare(a, &want, 1e-5, what);
        assert_memory_equal(a->data, b->data, omma_value_bytes(x.g->outputs[i]));
    }
    for (int i = 0; i < g->n_values; i++) {
        const char *name = g->values[i]->name;
        const omma_tensor want = omma_value_tensor(omma_graph_find(x.g, name));
        naive_compare(omma_session_watched(watching, name), &want, 1e-5, name);
    }
    omma_session_free(s), omma_session_free(watching);
    naive_free(&x);
}

/* --- tests --------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*make)(mk *g);
} exports[] = {{"torch", torch_mha},
               {"swin", swin},
               {"language", language},
               {"split", split},
               {"one head", one_head}};
enum { EXPORTS = sizeof exports / sizeof *exports };

static void fuses(void **state) {
    (void)state;
    for (int i = 0; i < EXPORTS; i++) {
        mk g = {0};
        exports[i].make(&g);
        under_test *u = open_graph(&g);
        const counts c = count_nodes(u, NULL, 0);
        if (c.fused != 1 || c.softmax || c.moves)
            fail_msg("%s: %d fused, %d softmax, %d moves", exports[i].name, c.fused, c.softmax,
                     c.moves);
        check_numbers(u, exports[i].name);
        close_graph(u);
    }
}

/* Watched weights keep the nodes that make them, beside the fused one. */
static void watched_weights(void **state) {
    (void)state;
    mk g = {0};
    torch_mha(&g);
    under_test *u = open_graph(&g);
    counts c = count_nodes(u, (const char *[]){"a"}, 1);
    assert_int_equal(c.fused, 1);
    assert_int_equal(c.softmax, 1);
    c = count_nodes(u, (const char *[]){"y0"}, 1); /* computed once more, where it is watched */
    assert_int_equal(c.fused, 2);
    assert_int_equal(c.softmax, 0);
    close_graph(u);
}

static void near_misses(void **state) {
    (void)state;
    for (int i = NO_MISS; i < MISSES; i++) {
        mk g = {0};
        looks_like(&g, (near_miss)i);
        under_test *u = open_graph(&g);
        const counts c = count_nodes(u, NULL, 0);
        if (c.fused != (i == NO_MISS)) fail_msg("near miss %d: %d fused", i, c.fused);
        assert_int_equal(c.softmax, i != NO_MISS);
        check_numbers(u, "near miss");
        close_graph(u);
    }
}

static void idle_moves(void **state) {
    (void)state;
    for (int miss = 0; miss <= MOVES; miss++) {
        mk g = {0};
        moves(&g, miss);
        under_test *u = open_graph(&g);
        const counts c = count_nodes(u, NULL, 0);
        if (c.nodes != 2 + !!miss) fail_msg("moves but %d: %d nodes do something", miss, c.nodes);
        check_numbers(u, "moves");
        close_graph(u);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(fuses), cmocka_unit_test(watched_weights),
                                       cmocka_unit_test(near_misses), cmocka_unit_test(idle_moves)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

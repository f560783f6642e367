/* test_pass.c - the passes: random graphs run with everything folded, fused and laid out,
 * watched in every value, and the plain way; a checker of memory layouts that plays a run
 * through and knows what lies in every byte; what fuses and what must not; and a verifier
 * that catches each kind of damage. Argument: how many graphs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "model/model.h"
#include "naive.h"
#include "onnxmake.h"
#include "pass/pass.h"
#include "randomgraph.h"
#include "run/plan.h"

static long graphs = 300;

/* How far numbers may be from the plain way's: the softmax of large scores and the norm of rows
 * that hardly vary magnify what rounding leaves in them. */
static const double TOLERANCE = 2e-4;

/* --- layouts ------------------------------------------------------------------------------- */

/* Play a run of the plan through, 64 bytes at a time: whose numbers lie where. Whatever is
 * read must still be there, and what a node writes must not lie on what it reads, but for
 * views and operators that may work in place. */
typedef struct played {
    const omma_plan *p;
    int *owner; /* by 64 bytes of the plan's memory */
    int *tag;   /* by value: what it writes there; views have their root's */
} played;

static bool inside(const played *x, const void *mem) {
    return (const char *)mem >= (const char *)x->p->memory &&
           (const char *)mem < (const char *)x->p->memory + x->p->bytes;
}

static void mark(const played *x, const void *mem, size_t bytes, int tag) {
    size_t at = (size_t)((const char *)mem - (const char *)x->p->memory);
    assert_int_equal(at % 64, 0);
    assert_true(at <= x->p->bytes && bytes <= x->p->bytes - at);
    for (size_t i = 0; i < bytes; i += 64) x->owner[(at + i) / 64] = tag;
}

static void look(const played *x, const omma_value *v, const char *who) {
    if (!inside(x, v->mem)) return;
    size_t at = (size_t)((const char *)v->mem - (const char *)x->p->memory);
    for (size_t i = 0; i < omma_value_bytes(v); i += 64)
        if (x->owner[(at + i) / 64] != x->tag[v->index])
            fail_msg("%s reads '%s', which was overwritten", who, v->name);
}

static bool overlap(const void *a, size_t na, const void *b, size_t nb) {
    return (const char *)a < (const char *)b + nb && (const char *)b < (const char *)a + na;
}

static bool bound(const omma_plan *p, const omma_value *v) {
    for (int i = 0; i < p->n_bound; i++)
        if (p->bound[i].value == v) return true;
    return false;
}

static void play_node(const played *x, const omma_node *n) {
    for (int k = 0; k < n->n_in; k++) {
        const omma_value *v = n->in[k];
        if (!v || (k < 32 && n->packed_in >> k & 1)) continue;
        if (!v->mem && !bound(x->p, v)) fail_msg("'%s' lies nowhere", v->name);
        look(x, v, n->name);
        if (inside(x, v->mem))
            assert_false(overlap(v->mem, omma_value_bytes(v), n->work, n->scratch));
    }
    if (n->scratch) mark(x, n->work, n->scratch, -2 - n->index);
    for (int k = 0; k < n->n_out; k++) {
        const omma_value *y = n->out[k];
        if (!y) continue;
        x->tag[y->index] = y->index;
        if (!inside(x, y->mem)) {
            if (!bound(x->p, y)) fail_msg("'%s' lies nowhere", y->name);
            continue;
        }
        for (int i = 0; i < n->n_in; i++) {
            const omma_value *v = n->in[i];
            if (!v || !v->mem || !overlap(v->mem, omma_value_bytes(v), y->mem, omma_value_bytes(y)))
                continue;
            bool view = n->op->flags & OMMA_OP_VIEW && i == 0,
                 works = n->op->flags & OMMA_OP_ELEMENTWISE || (i < 32 && n->in_place >> i & 1);
            if (k || v->mem != y->mem || omma_value_bytes(v) != omma_value_bytes(y) ||
                !(view || (works && v->dtype == y->dtype)))
                fail_msg("%s writes '%s' on '%s'", n->name, y->name, v->name);
            if (view) x->tag[y->index] = x->tag[v->index];
        }
        for (int i = 0; i < k; i++)
            if (n->out[i])
                assert_false(overlap(n->out[i]->mem, omma_value_bytes(n->out[i]), y->mem,
                                     omma_value_bytes(y)));
        assert_false(overlap(y->mem, omma_value_bytes(y), n->work, n->scratch));
        mark(x, y->mem, omma_value_bytes(y), x->tag[y->index]);
    }
}

static void play(const omma_plan *p) {
    const omma_graph *g = p->graph;
    played x = {p, test_calloc(p->bytes / 64 + 1, sizeof *x.owner),
                test_calloc((size_t)g->n_values, sizeof *x.tag)};
    for (size_t i = 0; i <= p->bytes / 64; i++) x.owner[i] = -1;
    for (int i = 0; i < g->n_inputs; i++) {
        x.tag[g->inputs[i]->index] = g->inputs[i]->index;
        if (inside(&x, g->inputs[i]->mem))
            mark(&x, g->inputs[i]->mem, omma_value_bytes(g->inputs[i]), g->inputs[i]->index);
    }
    for (int i = 0; i < g->n_nodes; i++) play_node(&x, g->nodes[i]);
    for (int i = 0; i < g->n_values; i++)
        if (g->values[i]->is_output || g->values[i]->kept) {
            assert_true(g->values[i]->mem != NULL); /* never in the caller's tensor */
            look(&x, g->values[i], "the caller");
        }
    test_free(x.owner);
    test_free(x.tag);
}

static void check_layout(const omma_graph *model, const omma_tensor *in, const char *const *keep,
                         int n) {
    omma_arena arena;
    omma_arena_init(&arena, NULL);
    omma_graph *base;
    omma_plan *p;
    omma_error err;
    omma_packs packs = {.arena = &arena};
    if (omma_base_graph(&base, model, keep, n, &arena, &err)) fail_msg("%s", err.message);
    if (omma_graph_verify(base, &err)) fail_msg("%s", err.message);
    bool by_value[64] = {false};
    assert_true(base->n_inputs <= 64);
    omma_plan_options o = {.packs = &packs, .watch = keep, .n_watch = n, .by_value = by_value};
    if (omma_plan_new(&p, base, in, &o, &err)) fail_msg("%s", err.message);
    if (omma_graph_verify(p->graph, &err)) fail_msg("%s", err.message);
    play(p);
    omma_plan_free(p);
    omma_arena_free(&arena);
}

/* By hand: types that change in place, views of views, a value read twice by one node. */
static void layouts(void **state) {
    (void)state;
    mk g = {0}, a = {0};
    omma_model *m;
    omma_error err;
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(4, -1));
    mk_ints(&g, "flat", (int64_t[]){-1}, 1);
    mk_op(&g, "Neg", "x", "n", NULL), mk_attr_int(&a, "to", OMMA_I32),
        mk_op(&g, "Cast", "n", "i", &a);
    mk_op(&g, "Reshape", "i,flat", "v1", NULL), mk_op(&g, "Identity", "v1", "v2", NULL),
        mk_op(&g, "Neg", "v2", "j", NULL);
    mk_op(&g, "Add", "j,j", "jj", NULL), mk_op(&g, "Add", "jj,v1", "k", NULL),
        mk_op(&g, "Identity", "k", "v3", NULL);
    mk_op(&g, "Neg", "k", "l", NULL), mk_op(&g, "Mul", "l,v3", "o", NULL),
        mk_attr_int(&a, "to", OMMA_F32), mk_op(&g, "Cast", "o", "y", &a);
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, -1, NULL);
    mk bytes = mk_model(&g, 17);
    if (mk_open(&m, &bytes, NULL, &err)) fail_msg("%s", err.message);
    mk_free(&bytes);
    float x[24];
    const omma_tensor in = {OMMA_F32, 2, {4, 6}, x};
    for (int i = 0; i < 24; i++) x[i] = (float)i;
    check_layout(m->graph, &in, NULL, 0);
    for (int i = 0; i < m->graph->n_values; i++)
        check_layout(m->graph, &in, (const char *[]){m->graph->values[i]->name}, 1);
    omma_model_free(m);
}

/* --- all three ways ------------------------------------------------------------------------ */

static void compare_outputs(const omma_session *s, const naive *x, long number_) {
    for (int i = 0; i < x->g->n_outputs; i++) {
        omma_tensor want = omma_value_tensor(x->g->outputs[i]);
        naive_compare(omma_session_output(s, i), &want, TOLERANCE,
                      text("graph %ld: output '%s'", number_, x->g->outputs[i]->name));
    }
}

static void one_size(omma_session *s, omma_session *watching, const omma_model *m,
                     const omma_tensor *in, long number_) {
    omma_error err;
    naive x;
    naive_run(&x, m->graph, in);
    if (omma_session_run(s, in, 1, &err) || omma_session_run(watching, in, 1, &err))
        fail_msg("graph %ld: %s", number_, err.message);
    compare_outputs(s, &x, number_);
    for (int i = 0; i < x.g->n_outputs; i++) {
        const omma_tensor *a = omma_session_output(s, i), *b = omma_session_output(watching, i);
        if (memcmp(a->data, b->data, omma_value_bytes(x.g->outputs[i])))
            fail_msg("graph %ld: watching changes output %d", number_, i);
    }
    for (int i = 0; i < m->graph->n_values; i++) {
        const char *name = m->graph->values[i]->name;
        omma_tensor want = omma_value_tensor(omma_graph_find(x.g, name));
        naive_compare(omma_session_watched(watching, name), &want, TOLERANCE,
                      text("graph %ld: watched '%s'", number_, name));
    }
    const char *keep[8];
    int n = 0;
    while (n < rnd(8)) keep[n++] = m->graph->values[rnd(m->graph->n_values)]->name;
    check_layout(m->graph, in, NULL, 0);
    check_layout(m->graph, in, keep, n);
    naive_free(&x);
}

static void random_graphs(void **state) {
    (void)state;
    static float pixels[4 * 32 * 32];
    long nodes = 0, left = 0;
    for (long i = 0; i < graphs; i++) {
        random_seed = (uint32_t)i * 7919u + 1;
        random_graph r;
        mk bytes = random_model(&r);
        omma_model *m;
        omma_session *s, *watching;
        omma_error err;
        if (mk_open(&m, &bytes, NULL, &err)) fail_msg("graph %ld: %s", i, err.message);
        mk_free(&bytes);
        for (size_t k = 0; k < sizeof pixels / sizeof *pixels; k++) pixels[k] = real();
        omma_options opt = {.threads = 1 + rnd(3)};
        if (omma_session_new(&s, m, &opt, &err) || omma_session_new(&watching, m, &opt, &err))
            fail_msg("graph %ld: %s", i, err.message);
        for (int k = 0; k < m->graph->n_values; k++)
            assert_int_equal(omma_session_watch(watching, m->graph->values[k]->name, &err),
                             OMMA_OK);
        omma_tensor in = {OMMA_F32, 4, {1, 4, r.h, r.w}, pixels};
        one_size(s, watching, m, &in, i);
        if (r.open) {
            in.dims[2] += 8, in.dims[3] += 4;
            one_size(s, watching, m, &in, i);
        }
        omma_arena arena;
        omma_arena_init(&arena, NULL);
        omma_graph *base;
        assert_int_equal(omma_base_graph(&base, m->graph, NULL, 0, &arena, &err), OMMA_OK);
        nodes += m->graph->n_nodes, left += base->n_nodes;
        omma_arena_free(&arena);
        omma_session_free(s), omma_session_free(watching);
        omma_model_free(m);
    }
    print_message("%ld graphs of %ld nodes, %ld after folding and fusing\n", graphs, nodes, left);
}

/* --- what fuses ---------------------------------------------------------------------------- */

typedef struct base {
    omma_model *m;
    omma_arena arena;
    omma_graph *g;
} base;

/* The base graph of these bytes, which are freed. */
static void base_open(base *b, mk *g, const char *keep) {
    omma_error err;
    mk bytes = mk_model(g, 17);
    if (mk_open(&b->m, &bytes, NULL, &err)) fail_msg("%s", err.message);
    mk_free(&bytes);
    omma_arena_init(&b->arena, NULL);
    if (omma_base_graph(&b->g, b->m->graph, &keep, keep != NULL, &b->arena, &err))
        fail_msg("%s", err.message);
    if (omma_graph_verify(b->g, &err)) fail_msg("%s", err.message);
}

static void base_free(base *b) {
    omma_arena_free(&b->arena);
    omma_model_free(b->m);
}

static void conv_bn_relu(mk *g) {
    static const float ones[64] = {1, 1, 1, 1, 1, 1, 1, 1};
    mk_port(g, MK_INPUT, "x", OMMA_F32, MK_DIMS(1, 2, -1, -1));
    mk_floats(g, "w", ones, MK_DIMS(2, 2, 1, 1)), mk_floats(g, "one", ones, MK_DIMS(2));
    mk_op(g, "Conv", "x,w", "c", NULL),
        mk_op(g, "BatchNormalization", "c,one,one,one,one", "b", NULL),
        mk_op(g, "Relu", "b", "y", NULL);
    mk_port(g, MK_OUTPUT, "y", OMMA_F32, -1, NULL);
}

static void fusions(void **state) {
    (void)state;
    mk g = {0};
    base b;
    conv_bn_relu(&g), base_open(&b, &g, NULL);
    assert_int_equal(b.g->n_nodes, 1);
    base_free(&b);
    conv_bn_relu(&g), base_open(&b, &g, "b"); /* a watched value's nodes stay beside */
    assert_int_equal(b.g->n_nodes, 2);
    base_free(&b);
    conv_bn_relu(&g), mk_port(&g, MK_OUTPUT, "c", OMMA_F32, -1, NULL),
        base_open(&b, &g, NULL); /* wanted: nothing fuses over it */
    assert_int_equal(b.g->n_nodes, 3);
    base_free(&b);
    conv_bn_relu(&g), mk_op(&g, "Neg", "b", "n", NULL),
        mk_port(&g, MK_OUTPUT, "n", OMMA_F32, -1, NULL), base_open(&b, &g, NULL);
    assert_int_equal(b.g->n_nodes, 3); /* the norm goes into the weights, Relu and Neg stay */
    base_free(&b);
    conv_bn_relu(&g), mk_op(&g, "Neg", "b", "n", NULL),
        base_open(&b, &g, NULL); /* what nobody needs does not count */
    assert_int_equal(b.g->n_nodes, 1);
    base_free(&b);
}

/* A frozen norm as exporters write it, y = relu(conv(x) * s + t), with s and t of that shape:
 * how many nodes are left. The numbers are the same whether they fuse or not. */
static int frozen_norm_nodes(int rank, const int64_t *dims) {
    static const float w[6] = {1, -2, 3, 0.5f, -1, 2}, s[3] = {2, -1, 0.5f}, t[3] = {1, 2, -3};
    static float x[2 * 9] = {1, -1, 2, 0.5f, 3, -2, 1, 0, 2, 4, 1, -3, 2, 1, 0, -1, 2, 1};
    mk g = {0};
    base b;
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(1, 2, -1, -1));
    mk_floats(&g, "w", w, MK_DIMS(3, 2, 1, 1)), mk_floats(&g, "b", t, MK_DIMS(3));
    mk_floats(&g, "s", s, rank, dims), mk_floats(&g, "t", t, rank, dims);
    mk_op(&g, "Conv", "x,w,b", "c", NULL), mk_op(&g, "Mul", "s,c", "m", NULL);
    mk_op(&g, "Add", "m,t", "a", NULL), mk_op(&g, "Relu", "a", "y", NULL);
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, -1, NULL);
    base_open(&b, &g, NULL);
    omma_session *session;
    omma_error err;
    const omma_tensor in = {OMMA_F32, 4, {1, 2, 3, 3}, x};
    if (omma_session_new(&session, b.m, NULL, &err) || omma_session_run(session, &in, 1, &err))
        fail_msg("%s", err.message);
    const float *y = omma_session_output(session, 0)->data;
    const bool columns = rank && dims[rank - 1] == 3; /* numbers along the rows of the picture */
    for (int k = 0; k < 27; k++) {
        const int m = k / 9, at = k % 9, i = columns ? k % 3 : m;
        const float c = w[m * 2] * x[at] + w[m * 2 + 1] * x[9 + at] + t[m], v = c * s[i] + t[i];
        assert_float_equal(y[k], v < 0 ? 0 : v, 1e-5);
    }
    omma_session_free(session);
    int n = b.g->n_nodes;
    base_free(&b);
    return n;
}

static void frozen_norms(void **state) {
    (void)state;
    assert_int_equal(frozen_norm_nodes(3, (const int64_t[]){3, 1, 1}), 1);
    assert_int_equal(frozen_norm_nodes(4, (const int64_t[]){1, 3, 1, 1}), 1);
    assert_int_equal(frozen_norm_nodes(1, (const int64_t[]){3}), 4); /* by column, not channel */
    assert_int_equal(frozen_norm_nodes(4, (const int64_t[]){1, 1, 1, 3}), 4);
}

/* ConvTranspose, BatchNormalization, Mul and Add by channel: nodes left; numbers as one by one. */
static int back_norm_nodes(int64_t groups) {
    static const float s[4] = {2, -1, 0.5f, 3}, t[4] = {1, 2, -3, 0}, v[4] = {4, 1, 0.25f, 9};
    static float x[4 * 6], w[4 * 4 * 6];
    mk g = {0}, a = {0};
    base b;
    for (int i = 0; i < 24; i++) x[i] = (float)(i * 7 % 11) - 5;
    for (int i = 0; i < 96; i++) w[i] = (float)(i * 5 % 13) * 0.25f - 1;
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(1, 4, 2, 3));
    mk_floats(&g, "w", w, MK_DIMS(4, 4 / groups, 2, 3)), mk_floats(&g, "s", s, MK_DIMS(4));
    mk_floats(&g, "t", t, MK_DIMS(4)), mk_floats(&g, "v", v, MK_DIMS(4));
    mk_floats(&g, "m", t, MK_DIMS(1, 4, 1, 1)), mk_floats(&g, "p", s, MK_DIMS(4, 1, 1));
    mk_attr_ints(&a, "strides", (const int64_t[]){2, 2}, 2), mk_attr_int(&a, "group", groups);
    mk_op(&g, "ConvTranspose", "x,w,t", "c", &a);
    mk_op(&g, "BatchNormalization", "c,s,t,t,v", "n", NULL);
    mk_op(&g, "Mul", "n,m", "q", NULL), mk_op(&g, "Add", "p,q", "y", NULL);
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, -1, NULL);
    mk_free(&a);
    base_open(&b, &g, NULL);
    omma_session *session;
    omma_error err;
    naive plain;
    const omma_tensor in = {OMMA_F32, 4, {1, 4, 2, 3}, x};
    if (omma_session_new(&session, b.m, NULL, &err) || omma_session_run(session, &in, 1, &err))
        fail_msg("%s", err.message);
    naive_run(&plain, b.m->graph, &in);
    const omma_tensor want = omma_value_tensor(omma_graph_find(plain.g, "y"));
    naive_compare(omma_session_output(session, 0), &want, 1e-5, "behind a ConvTranspose");
    naive_free(&plain);
    omma_session_free(session);
    const int n = b.g->n_nodes;
    base_free(&b);
    return n;
}

static void back_norms(void **state) {
    (void)state;
    assert_int_equal(back_norm_nodes(1), 1);
    assert_int_equal(back_norm_nodes(2), 4); /* the weights of groups lie in another order */
}

/* A learned line before and behind an activation, by numbers of that rank: nodes left. */
static int line_nodes(const char *act, int rank) {
    static float x[2 * 12], w[3 * 2 * 9];
    mk g = {0};
    base b;
    for (int i = 0; i < 24; i++) x[i] = (float)(i * 7 % 11) - 5;
    for (int i = 0; i < 54; i++) w[i] = (float)(i * 5 % 13) * 0.25f - 1;
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(1, 2, 3, 4));
    mk_floats(&g, "w", w, MK_DIMS(3, 2, 3, 3));
    mk_floats(&g, "s", (float[]){0.75f}, rank, (const int64_t[]){1, 1, 1, 1, 1});
    mk_floats(&g, "t", (float[]){-2}, rank, (const int64_t[]){1, 1, 1, 1, 1});
    mk_op(&g, "Conv", "x,w", "c", NULL), mk_op(&g, "Mul", "s,c", "m", NULL);
    mk_op(&g, "Add", "m,t", "a", NULL), mk_op(&g, act, "a", "r", NULL);
    mk_op(&g, "Mul", "r,t", "n", NULL), mk_op(&g, "Add", "s,n", "y", NULL);
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, -1, NULL);
    base_open(&b, &g, NULL);
    omma_session *session;
    omma_error err;
    naive plain;
    const omma_tensor in = {OMMA_F32, 4, {1, 2, 3, 4}, x};
    if (omma_session_new(&session, b.m, NULL, &err) || omma_session_run(session, &in, 1, &err))
        fail_msg("%s", err.message);
    naive_run(&plain, b.m->graph, &in);
    const omma_tensor want = omma_value_tensor(omma_graph_find(plain.g, "y"));
    naive_compare(omma_session_output(session, 0), &want, 1e-5, "a line about an activation");
    naive_free(&plain);
    omma_session_free(session);
    const int n = b.g->n_nodes;
    base_free(&b);
    return n;
}

static void lines(void **state) {
    (void)state;
    assert_int_equal(line_nodes("Relu", 0), 1);
    assert_int_equal(line_nodes("HardSwish", 1), 1);
    assert_int_equal(line_nodes("Sigmoid", 1), 4); /* which goes into no product */
    assert_int_equal(line_nodes("Relu", 5), 6);    /* such numbers make a rank of 5 */
}

/* x * clip(x + 3, 0, 6) / 6 with numbers of the given rank, on a scalar or a picture. */
static int hard_swish_nodes(int x_rank, bool conv_first, int rank, float *y) {
    mk g = {0};
    base b;
    mk_port(&g, MK_INPUT, "in", OMMA_F32, x_rank, (const int64_t[]){1, 1, 1, 1});
    mk_floats(&g, "w", (float[]){1}, MK_DIMS(1, 1, 1, 1));
    mk_op(&g, conv_first ? "Conv" : "Neg", conv_first ? "in,w" : "in", "x", NULL);
    mk_floats(&g, "three", (float[]){3}, rank, (const int64_t[]){1, 1, 1, 1, 1}),
        mk_floats(&g, "six", (float[]){6}, rank, (const int64_t[]){1, 1, 1, 1, 1});
    mk_floats(&g, "lo", (float[]){0}, MK_SCALAR), mk_floats(&g, "hi", (float[]){6}, MK_SCALAR);
    mk_op(&g, "Add", "x,three", "a", NULL), mk_op(&g, "Clip", "a,lo,hi", "c", NULL);
    mk_op(&g, "Mul", "x,c", "m", NULL), mk_op(&g, "Div", "m,six", "y", NULL);
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, -1, NULL);
    base_open(&b, &g, NULL);
    omma_session *s;
    omma_error err;
    float v = conv_first ? 1.5f : -1.5f;
    const omma_tensor t = {OMMA_F32, x_rank, {1, 1, 1, 1}, &v};
    if (omma_session_new(&s, b.m, NULL, &err) || omma_session_run(s, &t, 1, &err))
        fail_msg("%s", err.message);
    assert_int_equal(omma_session_output(s, 0)->rank, rank > x_rank ? rank : x_rank);
    *y = *(const float *)omma_session_output(s, 0)->data;
    omma_session_free(s);
    int n = b.g->n_nodes;
    base_free(&b);
    return n;
}

static void fused_ranks(void **state) {
    (void)state;
    float y;
    assert_int_equal(hard_swish_nodes(4, true, 0, &y), 1);
    assert_float_equal(y, 1.125, 1e-6);
    assert_int_equal(hard_swish_nodes(4, true, 1, &y), 1);
    assert_int_equal(hard_swish_nodes(4, false, 0, &y), 2);
    for (int rank = 0; rank < 6; rank++) { /* numbers of a higher rank than x make the result's */
        hard_swish_nodes(0, false, rank, &y);
        assert_float_equal(y, 1.125, 1e-6);
        hard_swish_nodes(4, true, rank, &y);
        assert_float_equal(y, 1.125, 1e-6);
    }
}

/* What exporters take to pieces: a block of a transformer, x [2,3,8], with one thing changed.
 *   order  of the three factors of GELU, 0..3
 *   miss   1..8: something that only looks like the pattern; 0: nothing
 * Numbers must be those of formulas either way. Returns how many nodes are left. */
static int block_nodes(int order, int miss, double *off) {
    mk g = {0}, a = {0};
    base b;
    static float w[64], v[48];
    for (int i = 0; i < 64; i++) w[i] = (float)(i * 29 % 17 - 8) / 16;
    for (int i = 0; i < 48; i++) v[i] = (float)(i * 31 % 23 - 11) / 8;
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(2, -1, 8));
    mk_floats(&g, "two", (float[]){miss == 1 ? 3 : 2}, MK_SCALAR);
    mk_floats(&g, "eps", (float[]){0.01f}, MK_SCALAR);
    mk_floats(&g, "gamma", w + 5, MK_DIMS(8)), mk_floats(&g, "beta", w + 9, MK_DIMS(8));
    mk_floats(&g, "w", w, MK_DIMS(8, 8)), mk_floats(&g, "c", w + 20, MK_DIMS(miss == 2 ? 1 : 8));
    mk_floats(&g, "root", (float[]){miss == 3 ? 1.4f : 1.41421356f}, MK_SCALAR);
    mk_floats(&g, "one", (float[]){miss == 4 ? 2 : 1}, MK_SCALAR);
    mk_floats(&g, "half", (float[]){miss == 5 ? 0.25f : 0.5f}, MK_SCALAR);
    mk_attr_ints(&a, "axes", (int64_t[]){-1}, 1), mk_op(&g, "ReduceMean", "x", "mean", &a);
    mk_op(&g, "Sub", miss == 6 ? "mean,x" : "x,mean", "d", NULL);
    mk_op(&g, "Pow", "d,two", "sq", NULL);
    mk_attr_ints(&a, "axes", (int64_t[]){miss == 7 ? -2 : -1}, 1);
    mk_op(&g, "ReduceMean", "sq", "var", &a), mk_op(&g, "Add", "eps,var", "ve", NULL);
    mk_op(&g, "Sqrt", "ve", "dev", NULL), mk_op(&g, "Div", "d,dev", "n", NULL);
    mk_op(&g, "Mul", "n,gamma", "ng", NULL), mk_op(&g, "Add", "ng,beta", "ln", NULL);
    mk_op(&g, "MatMul", "ln,w", "p", NULL), mk_op(&g, "Add", "c,p", "q", NULL);
    mk_op(&g, "Div", "q,root", "s", NULL), mk_op(&g, "Erf", "s", "e", NULL);
    mk_op(&g, "Add", "one,e", "gate", NULL);
    static const char *const first[] = {"q,gate", "q,half", "half,gate", "gate,q"},
                             *const second[] = {"t,half", "gate,t", "q,t", "half,t"};
    mk_op(&g, "Mul", first[order], "t", NULL);
    mk_op(&g, "Mul", miss == 8 ? "t,t" : second[order], "y", NULL);
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, -1, NULL);
    base_open(&b, &g, NULL);
    omma_session *s;
    omma_error err;
    const omma_tensor t = {OMMA_F32, 3, {2, 3, 8}, v};
    if (omma_session_new(&s, b.m, NULL, &err) || omma_session_run(s, &t, 1, &err))
        fail_msg("%s", err.message);
    const float *y = omma_session_output(s, 0)->data;
    *off = 0;
    for (int r = 0; r < 6; r++) {
        double m = 0, var = 0, ln[8];
        for (int i = 0; i < 8; i++) m += (double)v[r * 8 + i] / 8;
        for (int i = 0; i < 8; i++) var += pow((double)v[r * 8 + i] - m, 2) / 8;
        for (int i = 0; i < 8; i++)
            ln[i] =
                ((double)v[r * 8 + i] - m) / sqrt(var + 0.01) * (double)w[5 + i] + (double)w[9 + i];
        for (int k = 0; k < 8; k++) {
            double q = (double)w[20 + k];
            for (int i = 0; i < 8; i++) q += ln[i] * (double)w[i * 8 + k];
            *off = fmax(*off, fabs((double)y[r * 8 + k] - q / 2 * (1 + erf(q / sqrt(2)))));
        }
    }
    omma_session_free(s);
    int n = b.g->n_nodes;
    base_free(&b);
    return n;
}

static void patterns(void **state) {
    (void)state;
    double off;
    for (int order = 0; order < 4; order++) {
        assert_int_equal(block_nodes(order, 0, &off), 2); /* norm; product, bias and GELU */
        assert_true(off < 1e-5);
    }
    for (int miss = 1; miss <= 8; miss++)
        for (int order = 0; order < 4; order++) {
            int n = block_nodes(order, miss, &off);
            if (n < 4) fail_msg("near miss %d fused, %d nodes are left", miss, n);
            assert_true(miss == 2 || off > 1e-3); /* it is a miss: the numbers are others */
        }
}

/* --- what folds ---------------------------------------------------------------------------- */

/* A few bytes of a file do not become gigabytes while it is folded: what is large is left
 * to the run, where the budget refuses it. */
static void large_constants(void **state) {
    (void)state;
    mk g = {0};
    omma_model *m;
    omma_session *s;
    omma_error err;
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(1));
    mk_ints(&g, "shape", (int64_t[]){30000, 30000}, 2), mk_ints(&g, "no", (int64_t[]){0}, 1),
        mk_ints(&g, "one", (int64_t[]){1}, 1);
    mk_op(&g, "ConstantOfShape", "shape", "huge", NULL), mk_op(&g, "Neg", "huge", "more", NULL);
    mk_op(&g, "Slice", "more,no,one", "row", NULL), mk_op(&g, "Add", "row,x", "y", NULL);
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, -1, NULL);
    mk bytes = mk_model(&g, 17);
    if (mk_open(&m, &bytes, NULL, &err)) fail_msg("%s", err.message);
    mk_free(&bytes);
    if (omma_session_new(&s, m, &(omma_options){.max_memory = 64 << 20}, &err))
        fail_msg("%s", err.message);
    const omma_tensor t = {OMMA_F32, 1, {1}, (float[]){1}};
    assert_int_equal(omma_session_run(s, &t, 1, &err), OMMA_E_NOMEM);
    omma_session_free(s);
    omma_model_free(m);
}

/* --- the verifier -------------------------------------------------------------------------- */

typedef struct damaged {
    omma_arena arena;
    omma_graph *g;
    omma_value *x, *c, *y, *z;
    omma_node *add, *relu;
} damaged;

/* y = x + c, z = relu(y). */
static void sound(damaged *d) {
    omma_arena_init(&d->arena, NULL);
    omma_graph *g = d->g = omma_graph_new(&d->arena, "sound");
    d->x = omma_graph_value(g, "x"), d->x->is_input = true;
    d->c = omma_graph_constant(g, "c", OMMA_F32, 1, (int64_t[]){1}, "abcd");
    d->y = omma_graph_value(g, "y"), d->z = omma_graph_value(g, "z"), d->z->is_output = true;
    d->add = omma_graph_node(g, omma_op_find("Add"), "add", 2, 1),
    d->relu = omma_graph_node(g, omma_op_find("Relu"), "relu", 1, 1);
    d->add->in[0] = d->x, d->add->in[1] = d->c, d->relu->in[0] = d->y;
    omma_node_set_output(d->add, 0, d->y), omma_node_set_output(d->relu, 0, d->z);
    g->inputs = omma_arena_array(&d->arena, 1, sizeof *g->inputs),
    g->outputs = omma_arena_array(&d->arena, 1, sizeof *g->outputs);
    g->inputs[0] = d->x, g->outputs[0] = d->z, g->n_inputs = g->n_outputs = 1;
}

static omma_value *stranger(damaged *d) {
    omma_value *v = omma_arena_alloc(&d->arena, sizeof *v);
    *v = *d->y;
    v->name = "stranger";
    return v;
}

static void b_value_index(damaged *d) { d->y->index = 0; }
static void b_node_index(damaged *d) { d->relu->index = 0; }
static void b_same_name(damaged *d) { d->z->name = "x"; }
static void b_rank(damaged *d) { d->y->rank = OMMA_MAX_RANK + 1; }
static void b_constant_shape(damaged *d) { d->c->dims[0] = -1; }
static void b_constant_type(damaged *d) { d->c->dtype = OMMA_NONE; }
static void b_constant_made(damaged *d) {
    d->y->data = "abcd", d->y->rank = 0, d->y->dtype = OMMA_F32;
}
static void b_input_made(damaged *d) { d->y->is_input = true; }
static void b_few(damaged *d) { d->add->n_in = 1; }
static void b_many(damaged *d) { d->relu->in = d->add->in, d->relu->n_in = 2; }
static void b_outputs(damaged *d) { d->relu->n_out = 0; }
static void b_left_out(damaged *d) { d->add->in[0] = NULL; }
static void b_dangling(damaged *d) { d->relu->in[0] = omma_graph_value(d->g, "new"); }
static void b_itself(damaged *d) { d->relu->in[0] = d->z; }
static void b_order(damaged *d) {
    d->g->nodes[0] = d->relu, d->g->nodes[1] = d->add;
    d->relu->index = 0, d->add->index = 1;
}
static void b_gone(damaged *d) { d->g->nodes[0] = d->relu, d->relu->index = 0, d->g->n_nodes = 1; }
static void b_two_writers(damaged *d) { d->add->out[0] = d->z; }
static void b_output(damaged *d) {
    d->g->outputs[0] = omma_graph_value(d->g, "new"), d->g->outputs[0]->is_output = true;
}
static void b_foreign_in(damaged *d) { d->relu->in[0] = stranger(d); }
static void b_foreign_out(damaged *d) { d->add->out[0] = stranger(d); }
static void b_foreign_output(damaged *d) {
    d->g->outputs[0] = stranger(d), d->g->outputs[0]->is_output = true;
}
static void b_foreign_input(damaged *d) { d->g->inputs[0] = stranger(d); }
static void b_output_mark(damaged *d) { d->z->is_output = false; }

static void verifier(void **state) {
    (void)state;
    static const struct {
        void (*fn)(damaged *d);
        const char *says;
    } rows[] = {{b_value_index, "its index is out of step"},
                {b_node_index, "its index is out of step"},
                {b_same_name, "this name is given to two tensors"},
                {b_rank, "too many dimensions"},
                {b_constant_shape, "a constant without a shape"},
                {b_constant_type, "a constant without a shape"},
                {b_constant_made, "a constant that a node also computes"},
                {b_input_made, "a graph input that a node also computes"},
                {b_few, "has 1 inputs; 2 to 2"},
                {b_many, "has 2 inputs; 1 to 1"},
                {b_outputs, "has 0 outputs; 1 to 1"},
                {b_left_out, "input 0 is required but left out"},
                {b_dangling, "reads 'new', which nothing writes"},
                {b_itself, "reads 'z' before it is written"},
                {b_order, "reads 'y' before it is written"},
                {b_gone, "before it is written"},
                {b_two_writers, "writes 'z', which another node writes too"},
                {b_output, "'new': is a graph output that nothing writes"},
                {b_foreign_in, "reads 'stranger', no value of the graph"},
                {b_foreign_out, "writes 'stranger', no value of the graph"},
                {b_foreign_output, "'stranger': is a graph output but no value of the graph"},
                {b_foreign_input, "'stranger': is a graph input but no value of the graph"},
                {b_output_mark, "'z': is a graph output but no value of the graph"}};
    damaged d;
    omma_error err = {0};
    sound(&d);
    assert_int_equal(omma_graph_verify(d.g, &err), OMMA_OK);
    omma_arena_free(&d.arena);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        sound(&d);
        rows[i].fn(&d);
        assert_int_equal(omma_graph_verify(d.g, &err), OMMA_E_FORMAT);
        if (!strstr(err.message, rows[i].says)) fail_msg("row %zu: %s", i, err.message);
        omma_arena_free(&d.arena);
    }
}

int main(int argc, char **argv) {
    if (argc > 1) graphs = strtol(argv[1], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_graphs),   cmocka_unit_test(layouts),
        cmocka_unit_test(fusions),         cmocka_unit_test(fused_ranks),
        cmocka_unit_test(frozen_norms),    cmocka_unit_test(back_norms),
        cmocka_unit_test(lines),           cmocka_unit_test(patterns),
        cmocka_unit_test(large_constants), cmocka_unit_test(verifier)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

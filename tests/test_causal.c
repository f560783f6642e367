/* test_causal.c - runs with tokens shut off. Attention in all forms that graphs give it
 * (anatomynets.h), the golden models and a Swin against what the weights of the full run say
 * (causalcheck.h); a small ViT of two blocks against the same written out by hand in double
 * precision, where what is shut in one block is missed in the next; rows that lose everything;
 * what can go wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "anatomynets.h"
#include "causalcheck.h"
#include "fieldnets.h"
#include "gradgold.h"
#include "model/model.h"

static const double TOLERANCE = 1e-5;

typedef struct subject {
    const char *name;
    omma_model *model;
    omma_arena arena;
    omma_tensor in;
    omma_sight *sight;
    const omma_anatomy *a;
    omma_causal *c;
    omma_error err;
} subject;

static void ok(subject *s, omma_status status) {
    if (status) fail_msg("%s: %s", s->name, s->err.message);
}

/* Look at a model that a test has made. */
static void look(subject *s, const char *name, mk bytes) {
    *s = (subject){.name = name};
    omma_arena_init(&s->arena, NULL);
    ok(s, mk_open(&s->model, &bytes, NULL, &s->err));
    mk_free(&bytes);
    s->in = (omma_tensor){.dtype = OMMA_F32, .rank = 4};
    memcpy(s->in.dims, omma_model_input(s->model, 0)->dims, sizeof s->in.dims);
    const int64_t n = omma_tensor_count(&s->in);
    float *x = omma_arena_array(&s->arena, (size_t)n, sizeof *x);
    for (int64_t i = 0; i < n; i++) x[i] = (float)(i * 7919 % 1009) / 1009 - 0.5f;
    s->in.data = x;
    ok(s, omma_sight_new(&s->sight, s->model, &s->in, 1, NULL, &s->err));
    s->a = omma_sight_anatomy(s->sight);
}

static void leave(subject *s) {
    omma_causal_free(s->c);
    omma_sight_free(s->sight);
    omma_arena_free(&s->arena);
    omma_model_free(s->model);
}

static bool same(const omma_tensor *a, const omma_tensor *b) {
    return a && b && omma_tensor_count(a) == omma_tensor_count(b) &&
           !memcmp(a->data, b->data, (size_t)omma_tensor_count(a) * omma_dtype_size(a->dtype));
}

static double off_by(const omma_tensor *a, const omma_tensor *b) {
    double off = 0, largest = 1e-9;
    assert_true(a && b && omma_tensor_count(a) == omma_tensor_count(b));
    for (int64_t i = 0; i < omma_tensor_count(a); i++) {
        const double x = (double)((const float *)a->data)[i],
                     d = fabs(x - (double)((const float *)b->data)[i]);
        largest = fmax(largest, fabs(x));
        off = d <= off ? off : d;
    }
    return off / largest;
}

/* Nothing shut: the sight's run. Returns whether it is so to the bit. */
static bool begin(subject *s, const omma_tensor *inputs) {
    bool bits = true;
    ok(s, omma_causal_new(&s->c, s->sight, inputs, NULL, &s->err));
    for (int i = 0; omma_sight_output(s->sight, i); i++) {
        const omma_tensor *a = omma_sight_output(s->sight, i),
                          *b = omma_causal_output(s->c, i, true);
        bits &= same(a, b);
        if (a->dtype == OMMA_F32 && !(off_by(a, b) <= TOLERANCE))
            fail_msg("%s: output %d is off by %g", s->name, i, off_by(a, b));
        assert_true(same(b, omma_causal_output(s->c, i, false)));
    }
    for (int k = 0; k < s->a->n_attention; k++) {
        const omma_value *v = s->a->attention[k].out;
        if (v)
            assert_true(off_by(omma_sight_tensor(s->sight, v), omma_causal_tensor(s->c, v, true)) <=
                        TOLERANCE);
    }
    return bits;
}

/* --- one attention ---------------------------------------------------------------------------- */

/* Shut in attention k alone, and count anew. */
static double one(subject *s, int k, omma_shut what) {
    const omma_attention *a = &s->a->attention[k];
    omma_causal_change d;
    int64_t pairs;
    what.attention = k, what.here = true;
    omma_causal_clear(s->c);
    ok(s, omma_causal_shut(s->c, &what, &pairs, &s->err));
    ok(s, omma_causal_run(s->c, &s->err));
    for (int i = 0; omma_causal_output(s->c, i, false); i++)
        if (omma_causal_output_change(&d, s->c, i)) assert_true(d.change >= 0); /* no NaN */
    if (!a->out || !strcmp(s->name, "parallel")) return 0; /* another part joins the branch there */
    const double off = causal_check(s->sight, k, &what, s->c, pairs);
    if (!(off <= TOLERANCE)) fail_msg("%s, %s: off by %g", s->name, a->label, off);
    /* Who is not shut off stays as it is, to the bit. */
    if (what.n_token == 1 && omma_causal_token_change(&d, s->c, a->out, &a->query, 0))
        for (int64_t t = 0; t < a->query.count; t++) {
            assert_true(omma_causal_token_change(&d, s->c, a->out, &a->query, t));
            if (t != what.token[0]) assert_true(d.largest == 0 && d.change == 0);
        }
    return off;
}

/* Every token alone; some tokens for everybody; radii. */
static double all_of(subject *s, int k) {
    const omma_attention *a = &s->a->attention[k];
    double off = 0;
    const int64_t ends[] = {0, a->key.count - 1};
    for (int64_t t = 0; t < a->query.count; t += 1 + a->query.count / 40)
        off = fmax(off, one(s, k, (omma_shut){.token = &t, .n_token = 1}));
    for (int64_t t = 0; t < a->key.count; t += 1 + a->key.count / 5)
        off = fmax(off, one(s, k, (omma_shut){.source = &t, .n_source = 1}));
    off = fmax(off, one(s, k, (omma_shut){.source = ends, .n_source = 2}));
    off = fmax(off, one(s, k, (omma_shut){.radius = 12}));
    off = fmax(off, one(s, k,
                        (omma_shut){
                            .token = (int64_t[]){a->query.count / 2}, .n_token = 1, .radius = 17}));
    return fmax(off, one(s, k, (omma_shut){0}));
}

static void forms(void **state) {
    (void)state;
    for (int i = 0; i < (int)(sizeof an_entries / sizeof *an_entries); i++)
        for (int batch = 1; batch <= 2; batch++) {
            subject s;
            double off = 0;
            look(&s, an_entries[i].name, anatomynet(an_entries[i].name, batch));
            if (!s.a->n_attention) {
                assert_int_equal(omma_causal_new(&s.c, s.sight, &s.in, NULL, &s.err),
                                 OMMA_E_UNSUPPORTED);
                assert_null(s.c);
            } else {
                const bool bits = begin(&s, &s.in);
                for (int k = 0; k < s.a->n_attention; k++) {
                    assert_true(omma_causal_can(s.c, k));
                    off = fmax(off, all_of(&s, k));
                }
                omma_causal_clear(s.c);
                ok(&s, omma_causal_run(s.c, &s.err));
                assert_true(
                    same(omma_causal_output(s.c, 0, true), omma_causal_output(s.c, 0, false)));
                print_message("%s: %d attentions, off by %.2g%s\n", s.name, s.a->n_attention, off,
                              bits ? "; nothing shut: to the bit" : "");
            }
            leave(&s);
        }
}

/* A token that may not see itself and is shut off from all others mixes nothing; one that sees
 * nothing anyway stays. */
static net_map an_blind(net *n, net_map x, net_map m, int t, int s) {
    const net_map q = an_heads(n, x, t), k = AN_TURN(n, an_heads(n, m, s), 0, 1, 3, 2);
    net_map w = an_scaled(n, an_matmul(n, q, k), 0.5f);
    float mask[AN_HEADS * AN_T * AN_T];
    for (int i = 0; i < AN_HEADS * t * s; i++) /* one head only */
        mask[i] = i < t * s && i % s == i / s % t ? -INFINITY : 0;
    mk_floats(&n->g, "blind", mask, 4, (const int64_t[]){1, AN_HEADS, t, s});
    w = an_softmax(n, net_pair(n, "Add", w, "blind"), -1);
    return an_join(n, an_matmul(n, w, an_heads(n, m, s)), t);
}

static void blind(void **state) {
    (void)state;
    static net n;
    subject s;
    const net_map x = net_begin(&n, (net_options){.batch = 1, .h = 32, .w = 32}, 3);
    net_keep(&n, an_block(&n, an_tokens(&n, x), an_blind), "y");
    look(&s, "blind", mk_model(&n.g, 17));
    assert_int_equal(s.a->n_attention, 1);
    begin(&s, &s.in);
    print_message("blind: off by %.2g\n", all_of(&s, 0));
    leave(&s);
}

/* --- two blocks by hand ------------------------------------------------------------------------
 */

enum { T = AN_T + 1, C = AN_C, HIDDEN = 4 * AN_C };

typedef double rows[T][HIDDEN];

/* The model's constants, in the order in which its nodes read them. */
typedef struct weights {
    const omma_graph *g;
    int node, in;
} weights;

/* In the file they may lie at any address: valid until four more are taken. */
static const float *next(weights *w) {
    static float room[4][2048];
    static int at;
    for (; w->node < w->g->n_nodes; w->node++, w->in = 0)
        while (w->in < w->g->nodes[w->node]->n_in) {
            const omma_value *v = w->g->nodes[w->node]->in[w->in++];
            if (!v->data || v->dtype != OMMA_F32 || v->rank < 1) continue;
            assert_true(omma_value_bytes(v) <= sizeof *room);
            return memcpy(room[++at % 4], v->data, omma_value_bytes(v));
        }
    fail_msg("no more weights");
    return NULL;
}

static void linear(rows y, rows x, weights *w, int from, int to) {
    const float *m = next(w), *b = next(w);
    for (int t = 0; t < T; t++)
        for (int j = 0; j < to; j++) {
            y[t][j] = (double)b[j];
            for (int i = 0; i < from; i++) y[t][j] += x[t][i] * (double)m[i * to + j];
        }
}

static void norm(rows y, rows x, weights *w) {
    const float *scale = next(w), *bias = next(w);
    for (int t = 0; t < T; t++) {
        double mean = 0, var = 0;
        for (int c = 0; c < C; c++) mean += x[t][c] / C;
        for (int c = 0; c < C; c++) var += (x[t][c] - mean) * (x[t][c] - mean) / C;
        for (int c = 0; c < C; c++)
            y[t][c] = (x[t][c] - mean) / sqrt(var + 1e-5) * (double)scale[c] + (double)bias[c];
    }
}

typedef bool seen[T][T];

static void attend(rows mix, rows q, rows k, rows v, seen sees) {
    for (int h = 0; h < AN_HEADS; h++)
        for (int i = 0; i < T; i++) {
            double e[T], sum = 0;
            for (int j = 0; j < T; j++) {
                double score = 0;
                for (int c = h * AN_D; c < (h + 1) * AN_D; c++) score += q[i][c] * k[j][c];
                sum += e[j] = sees[i][j] ? exp(score / 2) : 0;
            }
            for (int c = h * AN_D; c < (h + 1) * AN_D; c++) {
                mix[i][c] = 0;
                for (int j = 0; j < T; j++) mix[i][c] += e[j] / sum * v[j][c];
            }
        }
}

static void add(rows x, rows y) {
    for (int t = 0; t < T; t++)
        for (int c = 0; c < C; c++) x[t][c] += y[t][c];
}

/* sum: x behind the attention; x: behind the block. */
static void block(rows x, rows sum, weights *w, seen sees) {
    static rows n, q, k, v, mix, y;
    norm(n, x, w);
    linear(q, n, w, C, C), linear(k, n, w, C, C);
    linear(v, n, w, C, C);
    attend(mix, q, k, v, sees);
    linear(y, mix, w, C, C);
    add(x, y);
    memcpy(sum, x, sizeof(rows));
    norm(n, x, w);
    linear(y, n, w, C, HIDDEN);
    for (int t = 0; t < T; t++)
        for (int j = 0; j < HIDDEN; j++) y[t][j] *= 0.5 * (1 + erf(y[t][j] / sqrt(2)));
    linear(n, y, w, HIDDEN, C);
    add(x, n);
}

static void patches(rows x, const float *image, weights *w) {
    const float *m = next(w), *class = next(w);
    for (int c = 0; c < C; c++) {
        x[0][c] = (double)class[c];
        for (int t = 0; t < AN_T; t++) {
            double sum = 0;
            for (int i = 0; i < 3 * 64; i++)
                sum += (double)m[c * 192 + i] *
                       (double)
                           image[i / 64 * 1024 + (t / 4 * 8 + i % 64 / 8) * 32 + t % 4 * 8 + i % 8];
            x[t + 1][c] = sum;
        }
    }
}

static void is_near(const char *what, const omma_tensor *is, rows due) {
    double off = 0, largest = 0;
    for (int t = 0; t < T; t++)
        for (int c = 0; c < C; c++) {
            const double d = fabs((double)((const float *)is->data)[t * C + c] - due[t][c]);
            off = d <= off ? off : d;
            largest = fmax(largest, fabs(due[t][c]));
        }
    if (!(off <= TOLERANCE * largest)) fail_msg("%s: off by %g of %g", what, off, largest);
}

static void by_hand(subject *s, const char *what, seen *sees) {
    static rows x, sum;
    weights w = {s->model->graph, 0, 0};
    patches(x, s->in.data, &w);
    for (int b = 0; b < 2; b++) {
        block(x, sum, &w, sees[b]);
        is_near(what, omma_causal_tensor(s->c, s->a->attention[b].out, false), sum);
        is_near(what, omma_causal_tensor(s->c, s->a->feed_forward[b].out, false), x);
    }
    is_near(what, omma_causal_output(s->c, 0, false), x);
}

static void shut_and_run(subject *s, omma_shut what, int64_t pairs) {
    int64_t met;
    ok(s, omma_causal_shut(s->c, &what, &met, &s->err));
    assert_int_equal(met, pairs);
    ok(s, omma_causal_run(s->c, &s->err));
}

static void all_seen(subject *s, seen *sees) {
    memset(sees, true, 2 * sizeof *sees);
    omma_causal_clear(s->c);
}

/* A class token in front of the patches, two blocks. */
static mk toy(void) {
    static net n;
    const net_map x = net_begin(&n, (net_options){.batch = 1, .h = 32, .w = 32}, 3);
    const net_map t = an_tokens(&n, x);
    mk attrs = {0};
    mk_attr_int(&attrs, "axis", 1);
    const char *class = an_numbers(&n, 1, 3, (const int64_t[]){1, 1, AN_C});
    net_map y = net_node(&n, "Concat", net_text("%s,%s", class, t.name), AN_C, &attrs);
    for (int b = 0; b < 2; b++) {
        const net_map z = net_layer_norm(&n, y);
        y = an_feed_forward(&n, net_add(&n, y, an_plain(&n, z, z, T, T)));
    }
    net_keep(&n, y, "y");
    return mk_model(&n.g, 17);
}

static void hand(void **state) {
    (void)state;
    static seen sees[2];
    subject s;
    const int64_t six = 6, group[] = {2, 7, 16};
    look(&s, "toy", toy());
    assert_int_equal(s.a->n_attention, 2);
    assert_int_equal(s.a->n_feed_forward, 2);
    begin(&s, &s.in);
    all_seen(&s, sees);
    by_hand(&s, "nothing shut", sees);
    for (int b = 0; b < 2; b++)
        for (int j = 0; j < T; j++) sees[b][6][j] = j == 6;
    shut_and_run(&s, (omma_shut){.token = &six, .n_token = 1}, 2 * (T - 1));
    by_hand(&s, "a token alone", sees);
    all_seen(&s, sees);
    for (int j = 0; j < T; j++) sees[1][6][j] = j == 6;
    shut_and_run(&s, (omma_shut){.attention = 1, .here = true, .token = &six, .n_token = 1}, T - 1);
    by_hand(&s, "a token alone in the second block", sees);
    all_seen(&s, sees);
    for (int b = 0; b < 2; b++)
        for (int i = 0; i < T; i++) sees[b][i][6] = i == 6;
    shut_and_run(&s, (omma_shut){.attention = 1, .source = &six, .n_source = 1}, 2 * (T - 1));
    by_hand(&s, "a silenced token", sees);
    for (int b = 0; b < 2; b++) /* and beside it, a few for a few */
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 3; j++) sees[b][group[i]][group[j]] = i == j;
    shut_and_run(&s, (omma_shut){.token = group, .n_token = 3, .source = group, .n_source = 3}, 12);
    by_hand(&s, "a group", sees);
    all_seen(&s, sees);
    int64_t pairs = 0;
    for (int i = 0; i < T; i++)
        for (int j = 0; j < T; j++) {
            const double y = (i - 1) / 4 * 8 - (j - 1) / 4 * 8,
                         x = (i - 1) % 4 * 8 - (j - 1) % 4 * 8;
            sees[0][i][j] = sees[1][i][j] = i == j || (i && j && y * y + x * x <= 12 * 12);
            pairs += 2 * !sees[0][i][j];
        }
    shut_and_run(&s, (omma_shut){.radius = 12}, pairs);
    by_hand(&s, "within a radius", sees);
    leave(&s);
}

/* What is said of a change: against the same counted here. */
static void changes(void **state) {
    (void)state;
    subject s;
    const int64_t five = 5;
    float moved[T];
    omma_causal_change d;
    double full = 0, now = 0, dot = 0, off = 0, largest = 0;
    look(&s, "toy", toy());
    begin(&s, &s.in);
    shut_and_run(&s, (omma_shut){.token = &five, .n_token = 1}, 2 * (T - 1));
    const omma_value *v = s.a->feed_forward[1].out;
    const omma_tokens *t = &s.a->attention[1].query;
    const float *x = omma_causal_tensor(s.c, v, true)->data,
                *y = omma_causal_tensor(s.c, v, false)->data;
    for (int c = 5 * C; c < 6 * C; c++) {
        const double p = (double)x[c], q = (double)y[c];
        full += p * p, now += q * q, dot += p * q, off += (p - q) * (p - q);
        largest = fmax(largest, fabs(p - q));
    }
    assert_true(omma_causal_token_change(&d, s.c, v, t, 5));
    assert_true(fabs(d.full - sqrt(full)) < 1e-12 && fabs(d.now - sqrt(now)) < 1e-12);
    assert_true(fabs(d.change - sqrt(off / full)) < 1e-12 && d.change > 0.01);
    assert_true(fabs(d.cosine - dot / sqrt(full * now)) < 1e-12 && d.largest == largest);
    assert_true(d.at / C == 5 && fabs((double)(x[d.at] - y[d.at])) >= largest * (1 - 1e-6));
    assert_true(omma_causal_moved(moved, s.c, v, t));
    assert_true(moved[5] == (float)d.change && moved[3] > 0); /* it is seen in the second block */
    assert_true(omma_causal_moved(moved, s.c, s.a->attention[0].out, t));
    assert_true(moved[5] > 0 && moved[3] == 0);
    assert_false(omma_causal_token_change(&d, s.c, v, t, T));
    assert_false(omma_causal_token_change(&d, s.c, s.a->attention[0].mix, t, 0));
    assert_false(omma_causal_output_change(&d, s.c, 1));
    assert_null(omma_causal_output(s.c, 1, true));
    assert_null(omma_causal_tensor(s.c, s.a->attention[0].q, false));
    leave(&s);
}

/* --- models ------------------------------------------------------------------------------------
 */

static void golden(void **state) {
    static gradgold gold;
    subject s = {.name = *state};
    char path[GRADGOLD_PATH];
    double off = 0;
    omma_arena_init(&s.arena, NULL);
    ok(&s, omma_model_open(&s.model, gradgold_model_path(path, s.name), NULL, &s.err));
    if (!gradgold_open(&gold, s.name, s.model)) fail_msg("%s", gold.fault);
    omma_graph *g = omma_graph_clone(s.model->graph, &s.arena);
    for (int i = 1; i < g->n_inputs; i++)
        g->inputs[i]->is_input = false, g->inputs[i]->data = gold.inputs[i].data;
    g->n_inputs = 1;
    ok(&s, omma_sight_on_graph(&s.sight, g, s.name, gold.inputs, 1, NULL, &s.err));
    s.a = omma_sight_anatomy(s.sight);
    const bool bits = begin(&s, gold.inputs);
    for (int k = 0; k < s.a->n_attention; k++) off = fmax(off, all_of(&s, k));
    print_message("%s: off by %.2g%s\n", s.name, off, bits ? "; nothing shut: to the bit" : "");
    leave(&s);
    gradgold_close(&gold);
}

/* An encoder's token that is silenced is silent in the decoder too, and only there if that is
 * asked; a query that sees nothing of the picture is told nothing of it. */
static void decoder(void **state) {
    (void)state;
    static gradgold gold;
    subject s = {.name = "detr"};
    char path[GRADGOLD_PATH];
    const int64_t token = 77, query = 3;
    int64_t pairs;
    omma_causal_change d;
    omma_arena_init(&s.arena, NULL);
    ok(&s, omma_model_open(&s.model, gradgold_model_path(path, s.name), NULL, &s.err));
    if (!gradgold_open(&gold, s.name, s.model)) fail_msg("%s", gold.fault);
    ok(&s, omma_sight_new(&s.sight, s.model, gold.inputs, s.model->graph->n_inputs, NULL, &s.err));
    s.a = omma_sight_anatomy(s.sight);
    begin(&s, gold.inputs);
    const int64_t pictures = s.a->attention[0].batch; /* 6 attentions: 2 encode, 2 of 4 are cross */
    ok(&s, omma_causal_shut(s.c, &(omma_shut){.source = &token, .n_source = 1}, &pairs, &s.err));
    assert_int_equal(pairs, pictures * (2 * 191 + 2 * 8));
    omma_causal_clear(s.c);
    ok(&s, omma_causal_shut(s.c, &(omma_shut){.token = &token, .n_token = 1}, &pairs, &s.err));
    assert_int_equal(pairs, pictures * 2 * 191);
    omma_causal_clear(s.c);
    assert_int_equal(s.a->attention[3].kind, OMMA_ATTENTION_CROSS);
    const omma_shut deaf = {.attention = 3, .token = &query, .n_token = 1};
    ok(&s, omma_causal_shut(s.c, &deaf, &pairs, &s.err));
    assert_int_equal(pairs, pictures * 2 * 192);
    ok(&s, omma_causal_run(s.c, &s.err));
    assert_true(
        omma_causal_token_change(&d, s.c, s.a->attention[3].out, &s.a->attention[3].query, query));
    assert_true(d.change > 0);
    assert_true(
        omma_causal_token_change(&d, s.c, s.a->attention[1].out, &s.a->attention[1].query, token));
    assert_true(d.change == 0);
    leave(&s);
    gradgold_close(&gold);
}

/* Shifted windows: a token sees those of its window, one in two blocks and others in the next. */
static void swin(void **state) {
    (void)state;
    subject s;
    int64_t pairs;
    double off = 0;
    const int64_t token = 56 * 20 + 31;
    look(&s, "swin_t", fieldnet("swin_t", (net_options){.h = 224, .w = 224}));
    assert_int_equal(s.a->n_attention, 12);
    const bool bits = begin(&s, &s.in);
    off = fmax(off, one(&s, 0, (omma_shut){.token = &token, .n_token = 1}));
    off = fmax(off, one(&s, 1, (omma_shut){.token = &token, .n_token = 1}));
    off = fmax(off, one(&s, 1, (omma_shut){.source = &token, .n_source = 1}));
    off = fmax(off, one(&s, 1, (omma_shut){.radius = 9}));
    off = fmax(off, one(&s, 5, (omma_shut){.radius = 20}));
    off = fmax(off, one(&s, 11, (omma_shut){0}));
    omma_causal_clear(s.c);
    ok(&s, omma_causal_shut(s.c, &(omma_shut){.token = &token, .n_token = 1}, &pairs, &s.err));
    assert_int_equal(pairs, 2 * 48); /* of the stage's two blocks, and no other's */
    print_message("swin_t: off by %.2g%s\n", off, bits ? "; nothing shut: to the bit" : "");
    leave(&s);
}

/* --- what can go wrong -------------------------------------------------------------------------
 */

static void faults(void **state) {
    (void)state;
    subject s;
    const int64_t none = T, minus = -1;
    int64_t pairs = 7;
    look(&s, "toy", toy());
    begin(&s, &s.in);
    const omma_shut wrong[] = {{.attention = -1},
                               {.attention = 2},
                               {.token = &none, .n_token = 1},
                               {.token = &minus, .n_token = 1},
                               {.source = &none, .n_source = 1}};
    for (int i = 0; i < 5; i++)
        assert_int_equal(omma_causal_shut(s.c, &wrong[i], &pairs, &s.err), OMMA_E_RANGE);
    ok(&s, omma_causal_shut(s.c, &(omma_shut){.token = &none, .n_token = 0}, &pairs, &s.err));
    assert_int_equal(pairs, 0);
    ok(&s, omma_causal_run(s.c, &s.err));
    assert_true(same(omma_causal_output(s.c, 0, true), omma_causal_output(s.c, 0, false)));
    omma_causal *c;
    const omma_options little = {.max_memory = 1 << 12};
    assert_int_equal(omma_causal_new(&c, s.sight, &s.in, &little, &s.err), OMMA_E_NOMEM);
    assert_null(c);
    uint64_t calls = omma_mem_calls();
    ok(&s, omma_causal_new(&c, s.sight, &s.in, NULL, &s.err));
    calls = omma_mem_calls() - calls;
    omma_causal_free(c);
    for (uint64_t k = 1; k <= calls; k++) {
        omma_mem_fail_at(k);
        assert_int_equal(omma_causal_new(&c, s.sight, &s.in, NULL, &s.err), OMMA_E_NOMEM);
        omma_mem_fail_at(0);
        assert_null(c);
    }
    leave(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms),
        cmocka_unit_test(blind),
        cmocka_unit_test(hand),
        cmocka_unit_test(changes),
        cmocka_unit_test_prestate(golden, (char[]){"vit"}),
        cmocka_unit_test_prestate(golden, (char[]){"detr"}),
        cmocka_unit_test(decoder),
        cmocka_unit_test(swin),
        cmocka_unit_test(faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

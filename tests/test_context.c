/* test_context.c - attention followed through the layers of whole models, relevance by their own
 * gradients, mixing ratios and what blocks did to all tokens: against PyTorch's numbers
 * (tests/golden/context), against the rules as matrices, and on models whose tokens change in
 * number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "field/change.h"
#include "field/context.h"
#include "field/dense.h"
#include "field/ledger.h"
#include "field/relevance.h"
#include "anatomynets.h"
#include "attentiongold.h"
#include "fieldnets.h"
#include "gradgold.h"
#include "model/model.h"

static const double TOLERANCE = 1e-5;

enum { MOST = 4096 };

typedef struct subject {
    const char *name;
    omma_model *model;
    omma_arena arena;
    gradgold gold;
    const omma_graph *graph;
    omma_sight *sight;
    const omma_anatomy *a;
    omma_context c;
    omma_error err;
} subject;

/* --- the record ------------------------------------------------------------------------------- */

/* The numbers recorded under a name; there must be as many. */
static const float *recorded(subject *s, const char *name, int64_t count) {
    char path[GRADGOLD_PATH], line[128], word[64];
    omma_tensor t;
    snprintf(path, sizeof path, "%s/tests/golden/context/%s.npy", OMMA_TREE, s->name);
    if (omma_npy_read(&t, &s->arena, path, &s->err)) fail_msg("%s", s->err.message);
    snprintf(path, sizeof path, "%s/tests/golden/context/%s.txt", OMMA_TREE, s->name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        int64_t n, first;
        if (sscanf(line, "%63s %" SCNd64 " %" SCNd64, word, &n, &first) != 3 || strcmp(word, name))
            continue;
        fclose(f);
        if (n != count) fail_msg("%s has %d numbers, not %d", name, (int)n, (int)count);
        assert_true(first + n <= omma_tensor_count(&t));
        return (const float *)t.data + first;
    }
    fail_msg("%s: nothing is recorded as %s", s->name, name);
    return NULL;
}

/* The largest difference, as a fraction of the largest number. */
static void matches(subject *s, const char *name, const double *is, int64_t count) {
    const float *want = recorded(s, name, count);
    double off = 0, largest = 0;
    for (int64_t i = 0; i < count; i++) {
        const double d = fabs(is[i] - (double)want[i]);
        off = d >= off || isnan(d) ? d : off;
        largest = fmax(largest, fabs((double)want[i]));
    }
    print_message("  %s %s: %d numbers to %.3g, off by %.2g of it\n", s->name, name, (int)count,
                  largest, off / largest);
    if (!(off <= TOLERANCE * largest)) fail_msg("%s: off by %g of %g", name, off, largest);
}

/* Each to its own size: numbers of different kinds. */
static void matches_each(subject *s, const char *name, const double *is, int64_t count) {
    const float *want = recorded(s, name, count);
    for (int64_t i = 0; i < count; i++)
        if (!(fabs(is[i] - (double)want[i]) <= TOLERANCE * fabs((double)want[i])))
            fail_msg("%s %s: number %d is %.9g, not %.9g", s->name, name, (int)i, is[i],
                     (double)want[i]);
}

/* --- subjects --------------------------------------------------------------------------------- */

static const omma_graph *closed(subject *s) {
    omma_graph *g = omma_graph_clone(s->model->graph, &s->arena);
    assert_non_null(g);
    for (int i = 1; i < g->n_inputs; i++) {
        g->inputs[i]->is_input = false;
        g->inputs[i]->data = s->gold.inputs[i].data;
    }
    g->n_inputs = 1;
    return g;
}

static subject *open_subject(const char *name, bool open_weights) {
    static subject s;
    char path[GRADGOLD_PATH];
    memset(&s, 0, sizeof s);
    s.name = name;
    omma_arena_init(&s.arena, NULL);
    if (omma_model_open(&s.model, gradgold_model_path(path, name), NULL, &s.err))
        fail_msg("%s", s.err.message);
    if (!gradgold_open(&s.gold, name, s.model)) fail_msg("%s: %s", name, s.gold.fault);
    s.graph = open_weights ? s.model->graph : closed(&s);
    if (omma_sight_on_graph(&s.sight, s.graph, name, s.gold.inputs, s.graph->n_inputs, NULL,
                            &s.err))
        fail_msg("%s", s.err.message);
    s.a = omma_sight_anatomy(s.sight);
    if (omma_context_find(&s.c, s.sight, &s.arena, &s.err)) fail_msg("%s", s.err.message);
    return &s;
}

static void close_subject(subject *s) {
    omma_sight_free(s->sight);
    gradgold_close(&s->gold);
    omma_arena_free(&s->arena);
    omma_model_free(s->model);
}

#define OK(call) \
    if (call) fail_msg("%s", s->err.message)

/* --- rollout ---------------------------------------------------------------------------------- */

static double *numbers(subject *s, int64_t n) {
    double *v = omma_arena_array(&s->arena, (size_t)n, sizeof *v);
    assert_non_null(v);
    return v;
}

/* Rows of all tokens are the matrix that omma_rollout_layer makes; flows are never below it. */
static void rows_are_the_matrix(subject *s, int stack) {
    const omma_stack *t = &s->c.stack[stack];
    const int64_t n = t->tokens->count;
    double *rows = numbers(s, n * n), *r = numbers(s, n * n), *fused = numbers(s, n * n);
    int64_t *all = omma_arena_array(&s->arena, (size_t)n, sizeof *all);
    for (int64_t i = 0; i < n; i++) all[i] = i;
    const omma_context_ask ask = {
        .stack = stack, .token = all, .n_token = n, .alpha = OMMA_ROLLOUT_ALPHA};
    OK(omma_context_rollout(rows, &s->c, &ask, &s->arena, &s->err));
    omma_dense_identity(r, n);
    for (int i = 0; i < t->n_step; i++) {
        if (t->step[i].source != stack) continue;
        OK(omma_context_fuse(fused, &s->c, t->step[i].attention, 0, OMMA_HEADS_MEAN, &s->arena,
                             &s->err));
        OK(omma_rollout_layer(r, n, fused, n, OMMA_ROLLOUT_ALPHA, &s->arena, &s->err));
    }
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int64_t j = 0; j < n; j++) {
            sum += rows[i * n + j];
            NEAR(rows[i * n + j], r[i * n + j], 1e-13);
        }
        NEAR(sum, 1, 1e-12);
    }
    const int64_t from[] = {0}, to[] = {0, n / 2, n - 1};
    const omma_context_ask few = {
        .stack = stack, .token = from, .n_token = 1, .alpha = OMMA_ROLLOUT_ALPHA};
    double flow[3];
    OK(omma_context_flow(flow, &s->c, &few, to, 3, &s->arena, &s->err));
    for (int i = 0; i < 3; i++) assert_true(flow[i] >= rows[to[i]] - 1e-12 && flow[i] <= 1 + 1e-12);
}

/* --- relevance -------------------------------------------------------------------------------- */

/* Asks for a target and compares the row of the source; own: that of the queries among each other.
 */
static void relevance_is(subject *s, omma_slopes *l, const omma_target *t, omma_relevance_ask ask,
                         const char *name) {
    int64_t rows;
    const int64_t n = s->c.stack[ask.source].tokens->count;
    double *row = numbers(s, n);
    OK(omma_slopes_take(l, t, &s->err));
    OK(omma_context_relevance(row, &rows, l, &ask, &s->arena, &s->err));
    assert_int_equal(rows, 1);
    matches(s, name, row, n);
}

static void vit(void **state) {
    (void)state;
    const omma_target_term terms[] = {{{1, 3}, 1}, {{1, 7}, -1}};
    const omma_target logit = {OMMA_TARGET_ELEMENT, .value = "logits", .at = {1, 3}},
                      margin = {OMMA_TARGET_SUM, .value = "logits", .term = terms, .n_terms = 2};
    const omma_relevance_ask ask = {.picture = 1, .token = -1};
    for (int open_weights = 0; open_weights < 2; open_weights++) {
        subject *s = open_subject("vit", open_weights);
        assert_int_equal(s->c.n_stack, 1);
        assert_int_equal(s->c.stack[0].n_step, 3);
        assert_int_equal(s->c.stack[0].n_self, 3);
        const int64_t tokens[] = {0, 20};
        double rows[2 * 65];
        const omma_context_ask two = {
            .picture = 1, .token = tokens, .n_token = 2, .alpha = OMMA_ROLLOUT_ALPHA};
        OK(omma_context_rollout(rows, &s->c, &two, &s->arena, &s->err));
        matches(s, "rollout", rows, 2 * 65);
        rows_are_the_matrix(s, 0);
        omma_slopes l;
        omma_slopes_begin(&l, &s->c, s->gold.inputs, 0, NULL);
        relevance_is(s, &l, &logit, ask, "relevance_logit");
        const omma_gradient *made = l.gradient;
        relevance_is(s, &l, &margin, ask, "relevance_margin");
        assert_ptr_equal(made, l.gradient); /* the same graph serves both */
        omma_slopes_free(&l);
        close_subject(s);
    }
}

static int stack_with(const subject *s, int64_t count) {
    for (int i = 0; i < s->c.n_stack; i++)
        if (s->c.stack[i].tokens->count == count) return i;
    fail_msg("%s: no stack has %d tokens", s->name, (int)count);
    return -1;
}

static void cross_rollouts(subject *s, int queries) {
    const int64_t tokens[] = {2, 5};
    double rows[2 * 192];
    char name[32];
    int layer = 0;
    const omma_context_ask two = {
        .stack = queries, .token = tokens, .n_token = 2, .alpha = OMMA_ROLLOUT_ALPHA};
    for (int i = 0; i < s->c.stack[queries].n_step; i++) {
        if (s->c.stack[queries].step[i].source == queries) {
            assert_int_equal(omma_context_rollout_cross(rows, &s->c, &two, i, &s->arena, &s->err),
                             OMMA_E_USAGE);
            continue;
        }
        snprintf(name, sizeof name, "rollout_cross%d", layer++);
        OK(omma_context_rollout_cross(rows, &s->c, &two, i, &s->arena, &s->err));
        matches(s, name, rows, 2 * 192);
    }
    assert_int_equal(layer, 2);
}

/* Relevance of queries to the picture, through both stacks. With weights that are inputs even the
 * first self-attention of the queries is part of the model. */
static void detr(void **state) {
    (void)state;
    const omma_target score = {OMMA_TARGET_ELEMENT, .value = "logits", .at = {0, 5, 2}},
                      edge = {OMMA_TARGET_EDGE, .value = "boxes", .at = {0, 2},
                              .format = OMMA_BOX_CENTRE, .edge = 2};
    for (int open_weights = 0; open_weights < 2; open_weights++) {
        subject *s = open_subject("detr", open_weights);
        assert_int_equal(s->c.n_stack, 2);
        const int picture = stack_with(s, 192), queries = stack_with(s, 8);
        assert_int_equal(s->c.stack[picture].n_self, 2);
        assert_int_equal(s->c.stack[queries].n_step, open_weights ? 4 : 3);
        const int64_t tokens[] = {7, 100};
        double rows[2 * 192];
        const omma_context_ask two = {
            .stack = picture, .token = tokens, .n_token = 2, .alpha = OMMA_ROLLOUT_ALPHA};
        OK(omma_context_rollout(rows, &s->c, &two, &s->arena, &s->err));
        matches(s, "rollout", rows, 2 * 192);
        rows_are_the_matrix(s, picture);
        cross_rollouts(s, queries);
        omma_slopes l;
        omma_slopes_begin(&l, &s->c, s->gold.inputs, 0, NULL);
        omma_relevance_ask ask = {.stack = queries, .source = picture, .token = -1};
        relevance_is(s, &l, &score, ask,
                     open_weights ? "relevance_score" : "relevance_closed_score");
        if (open_weights) {
            ask.source = queries;
            ask.token = 5;
            relevance_is(s, &l, &score, ask, "relevance_queries_score");
            ask.source = picture;
            ask.token = -1;
        }
        relevance_is(s, &l, &edge, ask, open_weights ? "relevance_edge" : "relevance_closed_edge");
        omma_slopes_free(&l);
        close_subject(s);
    }
}

/* --- before and after ------------------------------------------------------------------------- */

static void state_is(subject *s, const omma_state *t, const char *name) {
    const double is[] = {t->norm, t->z, t->alike, t->rank, t->variance, t->high};
    matches_each(s, name, is, 6);
}

static void change_is(subject *s, const omma_change *c, const char *name) {
    const double is[] = {c->change, c->cosine, c->cka};
    matches_each(s, name, is, 3);
}

static void vit_blocks(void **state) {
    (void)state;
    subject *s = open_subject("vit", false);
    omma_changes all;
    char name[32];
    double ratio[3 * 65], *norm = numbers(s, 65 * 65), some[5 * 65];
    OK(omma_changes_measure(&all, s->sight, 1, OMMA_CHANGES_WORK, &s->arena, &s->err));
    assert_int_equal(all.n_state, 7);
    assert_int_equal(all.n_change, 6);
    assert_string_equal(all.missing, "");
    for (int i = 0; i < 7; i++) {
        snprintf(name, sizeof name, "state%d", i);
        state_is(s, &all.state[i], name);
    }
    for (int i = 0; i < 6; i++) {
        const omma_change *c = &all.change[i];
        snprintf(name, sizeof name, "change%d", i);
        assert_true(c->before == i && c->after == i + 1 && c->block == i / 2);
        change_is(s, c, name);
        assert_int_equal(c->attention, i % 2 ? -1 : i / 2);
        if (i % 2) continue;
        omma_token_mixing m;
        OK(omma_sight_mixing(&m, s->sight, i / 2, 1, &s->arena, &s->err));
        double mean = 0;
        for (int t = 0; t < 65; t++) {
            ratio[t] = m.by_weights[t], ratio[65 + t] = m.mixing[t];
            ratio[130 + t] = m.residual[t];
            mean += m.residual[t] / 65;
            assert_true(isnan(m.normed[t]));
        }
        NEAR(c->residual, mean, 1e-12);
        snprintf(name, sizeof name, "mixing%d", i / 2);
        matches(s, name, ratio, 3 * 65);
    }
    OK(omma_sight_norms(norm, s->sight, 1, 1, true, false, &s->arena, &s->err));
    for (int i = 0; i < 5; i++)
        memcpy(some + i * 65, norm + (int64_t)i * 16 * 65, 65 * sizeof *norm);
    matches(s, "norms1", some, 5 * 65);
    assert_int_equal(omma_sight_norms(norm, s->sight, 1, 1, true, true, &s->arena, &s->err),
                     OMMA_E_UNSUPPORTED);
    OK(omma_changes_measure(&all, s->sight, 1, 1, &s->arena, &s->err));
    assert_true(all.spared && isnan(all.state[0].rank) && isnan(all.change[0].cka));
    state_is(s,
             &(omma_state){.norm = all.state[0].norm,
                           .z = all.state[0].z,
                           .alike = all.state[0].alike,
                           .rank = (double)recorded(s, "state0", 6)[3],
                           .variance = all.state[0].variance,
                           .high = all.state[0].high},
             "state0");
    assert_int_equal(omma_changes_measure(&all, s->sight, 2, 1, &s->arena, &s->err), OMMA_E_USAGE);
    close_subject(s);
}

/* Norms behind the additions. */
static void detr_blocks(void **state) {
    (void)state;
    subject *s = open_subject("detr", false);
    omma_changes all;
    omma_token_mixing m;
    double ratio[4 * 64], *norm = numbers(s, 192 * 192), some[2 * 192];
    OK(omma_changes_measure(&all, s->sight, 0, OMMA_CHANGES_WORK, &s->arena, &s->err));
    assert_int_equal(all.n_change, 9);
    assert_string_equal(all.missing, "");
    state_is(s, &all.state[all.change[0].before], "state0");
    change_is(s, &all.change[0], "change0");
    OK(omma_sight_mixing(&m, s->sight, 0, 0, &s->arena, &s->err));
    const double *const of[] = {m.by_weights, m.mixing, m.residual, m.normed};
    for (int i = 0; i < 4 * 64; i++) ratio[i] = of[i / 64][i % 64 * 3];
    matches(s, "mixing0", ratio, 4 * 64);
    OK(omma_sight_norms(norm, s->sight, 0, 0, true, true, &s->arena, &s->err));
    memcpy(some, norm + (size_t)3 * 192, 192 * sizeof *norm);
    memcpy(some + 192, norm + (size_t)150 * 192, 192 * sizeof *norm);
    matches(s, "norms0", some, 2 * 192);
    for (int i = 0; i < all.n_change; i++) {
        const omma_change *c = &all.change[i];
        const bool cross =
            c->attention >= 0 && s->a->attention[c->attention].kind == OMMA_ATTENTION_CROSS;
        assert_true(isnan(c->mixing) == (cross || c->attention < 0));
        assert_true(isnan(c->normed) == (c->attention < 0));
    }
    close_subject(s);
}

/* --- windows, and stages with other numbers of tokens ----------------------------------------- */

static void swin(void **state) {
    (void)state;
    static const int64_t count[] = {3136, 784, 196, 49};
    static const int layers[] = {2, 2, 6, 2};
    static subject its;
    subject *s = &its;
    memset(s, 0, sizeof *s);
    s->name = "swin_t";
    omma_arena_init(&s->arena, NULL);
    mk bytes = fieldnet("swin_t", (net_options){.h = 224, .w = 224});
    if (mk_open(&s->model, &bytes, NULL, &s->err)) fail_msg("%s", s->err.message);
    omma_tensor in = {.dtype = OMMA_F32, .rank = 4};
    memcpy(in.dims, omma_model_input(s->model, 0)->dims, sizeof in.dims);
    float *x = omma_arena_array(&s->arena, (size_t)omma_tensor_count(&in), sizeof *x);
    for (int64_t i = 0; i < omma_tensor_count(&in); i++) x[i] = (float)(i * 7919 % 1009) / 1009;
    in.data = x;
    OK(omma_sight_new(&s->sight, s->model, &in, 1, NULL, &s->err));
    OK(omma_context_find(&s->c, s->sight, &s->arena, &s->err));
    s->a = omma_sight_anatomy(s->sight);
    assert_int_equal(s->c.n_stack, 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(s->c.stack[i].tokens->count, count[i]);
        assert_int_equal(s->c.stack[i].n_self, layers[i]);
    }
    /* Behind a window and a shifted one a token has of its own window's and the next ones' tokens,
     * and of no others. */
    double *row = numbers(s, 3136);
    const int64_t token[] = {0};
    const omma_context_ask one = {.token = token, .n_token = 1, .alpha = OMMA_ROLLOUT_ALPHA};
    OK(omma_context_rollout(row, &s->c, &one, &s->arena, &s->err));
    for (int64_t i = 0; i < 3136; i++) assert_int_equal(row[i] > 0, i / 56 < 7 && i % 56 < 7);
    rows_are_the_matrix(s, 2);

    omma_slopes l;
    int64_t rows;
    const omma_target pooled = {OMMA_TARGET_ELEMENT, .value = "s4b1", .at = {0, -1, -1, 3}},
                      below = {OMMA_TARGET_ELEMENT, .value = "s1b0", .at = {0, -1, -1, 3}};
    omma_slopes_begin(&l, &s->c, &in, 0, NULL);
    OK(omma_slopes_take(&l, &pooled, &s->err));
    /* All tokens are pooled, so the answer has a row in each. */
    const omma_relevance_ask last = {.stack = 3, .source = 3, .token = -1};
    OK(omma_context_relevance(row, &rows, &l, &last, &s->arena, &s->err));
    assert_int_equal(rows, 49);
    double sum = 0;
    for (int i = 0; i < 49; i++) sum += row[i];
    assert_true(sum > 0);
    OK(omma_slopes_take(&l, &below, &s->err));
    assert_int_equal(omma_context_relevance(row, &rows, &l, &last, &s->arena, &s->err),
                     OMMA_E_UNSUPPORTED);
    omma_slopes_free(&l);

    omma_changes all;
    OK(omma_changes_measure(&all, s->sight, 0, OMMA_CHANGES_WORK, &s->arena, &s->err));
    assert_int_equal(all.n_change, 24);
    assert_string_equal(all.missing, "");
    for (int i = 0; i < 24; i++) {
        assert_true(all.change[i].cka > 0 && all.change[i].cosine > -1);
        assert_true(isnan(all.change[i].mixing) == (all.change[i].attention < 0));
    }
    omma_sight_free(s->sight);
    omma_arena_free(&s->arena);
    omma_model_free(s->model);
    mk_free(&bytes);
}

/* --- keys that are made from several tokens each -----------------------------------------------
 */

/* Their numbers are not the queries': they are a sequence of their own, here 4 of 16 tokens. */
static void reduced(void **state) {
    (void)state;
    static subject its;
    subject *s = &its;
    memset(s, 0, sizeof *s);
    omma_arena_init(&s->arena, NULL);
    mk bytes = anatomynet("reduced", 1);
    if (mk_open(&s->model, &bytes, NULL, &s->err)) fail_msg("%s", s->err.message);
    omma_tensor in = {.dtype = OMMA_F32, .rank = 4};
    memcpy(in.dims, omma_model_input(s->model, 0)->dims, sizeof in.dims);
    float *x = omma_arena_array(&s->arena, (size_t)omma_tensor_count(&in), sizeof *x);
    for (int64_t i = 0; i < omma_tensor_count(&in); i++) x[i] = (float)(i * 7919 % 1009) / 1009;
    in.data = x;
    OK(omma_sight_new(&s->sight, s->model, &in, 1, NULL, &s->err));
    OK(omma_context_find(&s->c, s->sight, &s->arena, &s->err));
    const omma_attention *a = &omma_sight_anatomy(s->sight)->attention[0];
    assert_true(a->kind == OMMA_ATTENTION_SELF && !omma_attention_same_tokens(a));
    assert_int_equal(a->query.count, 16);
    assert_int_equal(a->key.count, 4);
    const omma_stack *own = &s->c.stack[0];
    assert_int_equal(own->n_self, 0);
    assert_int_equal(own->step[0].source, 1);
    assert_int_equal(s->c.stack[1].tokens->count, 4);

    double row[16], sum = 0;
    const int64_t token[] = {2};
    const omma_context_ask ask = {.token = token, .n_token = 1, .alpha = OMMA_ROLLOUT_ALPHA};
    OK(omma_context_rollout(row, &s->c, &ask, &s->arena, &s->err));
    for (int i = 0; i < 16; i++) assert_true(row[i] == (i == 2));
    OK(omma_context_rollout_cross(row, &s->c, &ask, 0, &s->arena, &s->err));
    for (int i = 0; i < 4; i++) sum += row[i];
    assert_true(fabs(sum - 1) < 1e-6);

    omma_slopes l;
    omma_slopes_begin(&l, &s->c, &in, 0, NULL);
    OK(omma_slopes_take(&l, &(omma_target){.value = "y", .at = {0, 2, 0}}, &s->err));
    const omma_relevance_ask last = {.stack = 0, .source = 1, .token = -1};
    OK(omma_context_relevance(row, NULL, &l, &last, &s->arena, &s->err));
    for (int i = 0; i < 4; i++) assert_true(row[i] >= 0 && isfinite(row[i]));
    omma_slopes_free(&l);

    /* Key 2 is not token 2: nothing of the account is what the token gave itself. */
    omma_ledger account;
    OK(omma_ledger_attention(&account, s->sight, a, 2, &s->arena, &s->err));
    assert_true(account.own == 0 && account.sources == 4);
    omma_sight_free(s->sight);
    omma_arena_free(&s->arena);
    omma_model_free(s->model);
    mk_free(&bytes);
}

/* --- what can go wrong ------------------------------------------------------------------------ */

static void faults(void **state) {
    (void)state;
    subject *s = open_subject("detr", false);
    const int picture = stack_with(s, 192), queries = stack_with(s, 8);
    double row[192];
    omma_slopes l;
    omma_slopes_begin(&l, &s->c, s->gold.inputs, 0, NULL);
    omma_relevance_ask ask = {.stack = queries, .source = picture, .token = -1};
    omma_target t = {OMMA_TARGET_ELEMENT, .value = "logits", .at = {0, 5, 2}};
    assert_int_equal(omma_context_relevance(row, NULL, &l, &ask, &s->arena, &s->err), OMMA_E_USAGE);
    t.value = "nothing";
    assert_int_equal(omma_slopes_take(&l, &t, &s->err), OMMA_E_NOTFOUND);
    t.value = "logits";
    t.at[1] = 8;
    assert_int_equal(omma_slopes_take(&l, &t, &s->err), OMMA_E_RANGE);
    t.at[1] = 5;
    OK(omma_slopes_take(&l, &t, &s->err));
    ask.stack = picture, ask.source = queries;
    assert_int_equal(omma_context_relevance(row, NULL, &l, &ask, &s->arena, &s->err), OMMA_E_USAGE);
    assert_non_null(strstr(s->err.message, "reads from"));
    ask.source = picture, ask.token = 192;
    assert_int_equal(omma_context_relevance(row, NULL, &l, &ask, &s->arena, &s->err), OMMA_E_USAGE);
    ask.token = -1, ask.picture = 1;
    assert_int_equal(omma_context_relevance(row, NULL, &l, &ask, &s->arena, &s->err), OMMA_E_USAGE);
    omma_context_ask rollout = {.stack = 2, .alpha = 0.5};
    assert_int_equal(omma_context_rollout(row, &s->c, &rollout, &s->arena, &s->err), OMMA_E_USAGE);
    const int64_t none[] = {192};
    rollout = (omma_context_ask){.stack = picture, .token = none, .n_token = 1, .alpha = 0.5};
    assert_int_equal(omma_context_rollout(row, &s->c, &rollout, &s->arena, &s->err), OMMA_E_USAGE);
    omma_slopes_free(&l);
    close_subject(s);
}

/* Memory that ends at any point. */
static void memory(void **state) {
    (void)state;
    subject *s = open_subject("detr", false);
    const int picture = stack_with(s, 192), queries = stack_with(s, 8);
    const omma_target t = {OMMA_TARGET_ELEMENT, .value = "logits", .at = {0, 5, 2}};
    const omma_relevance_ask ask = {.stack = queries, .source = picture, .token = -1};
    double row[192];
    omma_slopes l;
    omma_changes all;
    omma_arena arena;
    omma_arena_init(&arena, NULL);
    omma_slopes_begin(&l, &s->c, s->gold.inputs, 0, NULL);
    for (int what = 0; what < 3; what++) {
        uint64_t calls = 1;
        for (uint64_t k = 0; k <= calls; k += 1 + calls / 40) {
            const uint64_t before = omma_mem_calls();
            omma_mem_fail_at(k);
            const omma_status got =
                what == 0 ? omma_slopes_take(&l, &t, &s->err)
                : what == 1
                    ? omma_context_relevance(row, NULL, &l, &ask, &arena, &s->err)
                    : omma_changes_measure(&all, s->sight, 0, OMMA_CHANGES_WORK, &arena, &s->err);
            omma_mem_fail_at(0);
            if (!k) calls = omma_mem_calls() - before;
            if (what != 2 || !k) assert_int_equal(got, k ? OMMA_E_NOMEM : OMMA_OK);
            else assert_true(got == OMMA_E_NOMEM || got == OMMA_OK);
            if (what == 0) omma_slopes_free(&l);
            omma_arena_free(&arena);
        }
        print_message("%d: %d requests for memory\n", what, (int)calls);
        if (what == 0) OK(omma_slopes_take(&l, &t, &s->err));
    }
    omma_slopes_free(&l);
    close_subject(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vit),         cmocka_unit_test(detr),   cmocka_unit_test(vit_blocks),
        cmocka_unit_test(detr_blocks), cmocka_unit_test(swin),   cmocka_unit_test(reduced),
        cmocka_unit_test(faults),      cmocka_unit_test(memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

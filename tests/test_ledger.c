/* test_ledger.c - the account of how context changed a token adds up: the ViT and the detector of
 * tests/golden/gradients, and a Swin, whose tokens lie in shifted windows. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "field/ledger.h"
#include "fieldnets.h"
#include "gradgold.h"
#include "model/model.h"

static const double ADDS_UP = 1e-5;

static void is_sound(const char *name, const char *label, const omma_ledger *l) {
    double shares = l->kept + l->bias, last = INFINITY;
    for (int64_t i = 0; i < l->sources; i++) {
        shares += l->entry[i].share;
        assert_true(l->entry[i].norm <= last);
        last = l->entry[i].norm;
    }
    if (!(l->error <= ADDS_UP))
        fail_msg("%s, %s, token %lld: off by %g", name, label, (long long)l->token, l->error);
    if (!(fabs(shares - 1) <= 1e-4))
        fail_msg("%s, %s, token %lld: shares add up to %g", name, label, (long long)l->token,
                 shares);
    assert_true(l->cosine <= 1 + 1e-9 && l->cosine >= -1 - 1e-9);
    assert_true(fabs(omma_ledger_beyond(l, -2) - (l->own + l->context)) < 1e-9);
}

/* Every attention and feed-forward block, a few tokens of each; returns how many accounts. */
static int all_accounts(const char *name, omma_sight *s, double *worst) {
    const omma_anatomy *a = omma_sight_anatomy(s);
    omma_error err;
    int n = 0;
    for (int i = 0; i < a->n_attention + a->n_feed_forward; i++) {
        const bool attends = i < a->n_attention;
        const omma_attention *at = attends ? &a->attention[i] : NULL;
        const omma_feed_forward *ff = attends ? NULL : &a->feed_forward[i - a->n_attention];
        if (attends ? !at->addition : ff->after < 0) continue;
        const int64_t count = attends ? at->query.count : a->attention[ff->after].query.count;
        const int64_t tokens[] = {0, count / 2 + 1, count - 1};
        for (int k = 0; k < 3; k++) {
            omma_arena arena;
            omma_ledger l;
            omma_arena_init(&arena, NULL);
            if (attends ? omma_ledger_attention(&l, s, at, tokens[k], &arena, &err)
                        : omma_ledger_feed_forward(&l, s, ff, tokens[k], &arena, &err))
                fail_msg("%s, %s: %s", name, attends ? at->label : ff->label, err.message);
            is_sound(name, attends ? at->label : ff->label, &l);
            double weights = 0;
            for (int64_t e = 0; attends && e < l.sources; e++) weights += l.entry[e].weight;
            if (attends) assert_true(fabs(weights - 1) < 1e-4);
            *worst = fmax(*worst, l.error);
            n++;
            omma_arena_free(&arena);
        }
    }
    return n;
}

static omma_graph *closed(const gradgold *g, const omma_model *m, omma_arena *arena) {
    omma_graph *q = omma_graph_clone(m->graph, arena);
    for (int i = 1; i < q->n_inputs; i++) {
        q->inputs[i]->is_input = false;
        q->inputs[i]->data = g->inputs[i].data;
    }
    q->n_inputs = 1;
    return q;
}

static void golden(void **state) {
    static gradgold gold;
    const char *name = *state;
    char path[GRADGOLD_PATH];
    omma_model *m;
    omma_sight *s;
    omma_error err;
    omma_arena arena;
    double worst = 0;
    omma_arena_init(&arena, NULL);
    if (omma_model_open(&m, gradgold_model_path(path, name), NULL, &err))
        fail_msg("%s", err.message);
    if (!gradgold_open(&gold, name, m)) fail_msg("%s", gold.fault);
    omma_graph *g = closed(&gold, m, &arena);
    if (omma_sight_on_graph(&s, g, name, gold.inputs, 1, NULL, &err)) fail_msg("%s", err.message);
    const int n = all_accounts(name, s, &worst);
    print_message("%s: %d accounts, off by %.2g at most\n", name, n, worst);
    assert_true(n >= 15);
    omma_sight_free(s);
    gradgold_close(&gold);
    omma_arena_free(&arena);
    omma_model_free(m);
}

static void swin(void **state) {
    (void)state;
    omma_model *m;
    omma_sight *s;
    omma_error err;
    double worst = 0;
    mk bytes = fieldnet("swin_t", (net_options){.h = 224, .w = 224});
    if (mk_open(&m, &bytes, NULL, &err)) fail_msg("%s", err.message);
    omma_tensor in = {.dtype = OMMA_F32, .rank = 4};
    memcpy(in.dims, omma_model_input(m, 0)->dims, sizeof in.dims);
    const int64_t pixels = omma_tensor_count(&in);
    float *x = test_calloc((size_t)pixels, sizeof *x);
    for (int64_t i = 0; i < pixels; i++) x[i] = (float)(i * 7919 % 1009) / 1009;
    in.data = x;
    if (omma_sight_new(&s, m, &in, 1, NULL, &err)) fail_msg("%s", err.message);
    const int n = all_accounts("swin_t", s, &worst);
    print_message("swin_t: %d accounts, off by %.2g at most\n", n, worst);
    assert_true(n >= 36);
    omma_sight_free(s);
    test_free(x);
    omma_model_free(m);
    mk_free(&bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(golden, (char[]){"vit"}),
        cmocka_unit_test_prestate(golden, (char[]){"detr"}),
        cmocka_unit_test(swin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

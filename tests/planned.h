/* planned.h - a plan of a model, for tests that look at its nodes. */
#ifndef OMMA_TESTS_PLANNED_H
#define OMMA_TESTS_PLANNED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "model/model.h"
#include "run/plan.h"

typedef struct planned {
    omma_arena arena;
    omma_packs packs;
    omma_plan *plan;
} planned;

/* how: NULL for float32. watch: n names. */
static inline void plan_open(planned *p, const omma_model *m, const omma_tensor *in,
                             const omma_bf16_how *how, int threads, const char *const *watch,
                             int n) {
    omma_error err;
    omma_graph *base;
    bool by_value[16] = {false};
    omma_arena_init(&p->arena, NULL);
    p->packs = (omma_packs){.arena = &p->arena};
    if (omma_base_graph(&base, m->graph, watch, n, &p->arena, &err)) fail_msg("%s", err.message);
    const omma_plan_options o = {.packs = &p->packs,
                                 .watch = watch,
                                 .n_watch = n,
                                 .threads = threads,
                                 .bf16 = how ? *how : (omma_bf16_how){0},
                                 .by_value = by_value};
    if (omma_plan_new(&p->plan, base, in, &o, &err)) fail_msg("%s", err.message);
    if (omma_graph_verify(p->plan->graph, &err)) fail_msg("%s", err.message);
}

static inline void plan_close(planned *p) {
    omma_plan_free(p->plan);
    omma_arena_free(&p->arena);
}

/* Nodes of that operator whose first input is of type t, or of any when t is OMMA_NONE. */
static inline int plan_count(const planned *p, const char *op, omma_dtype t) {
    int n = 0;
    for (int i = 0; i < p->plan->graph->n_nodes; i++) {
        const omma_node *node = p->plan->graph->nodes[i];
        n += !strcmp(node->op->name, op) && (!t || node->in[0]->dtype == t);
    }
    return n;
}

#endif

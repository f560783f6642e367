/* shared.c - see shared.h. */
#include "run/shared.h"

#include "run/plan.h"

omma_shared *omma_shared_new(const omma_graph *graph) {
    omma_shared *s = omma_mem_alloc(sizeof *s);
    if (!s) return NULL;
    if (pthread_mutex_init(&s->lock, NULL)) {
        omma_mem_free(s);
        return NULL;
    }
    s->graph = graph;
    omma_arena_init(&s->arena, &s->budget);
    omma_arena_init(&s->base_arena, &s->budget);
    s->packs.arena = &s->arena;
    return s;
}

void omma_shared_free(omma_shared *s) {
    if (!s) return;
    omma_arena_free(&s->arena);
    omma_arena_free(&s->base_arena);
    pthread_mutex_destroy(&s->lock);
    omma_mem_free(s);
}

void omma_shared_enter(omma_shared *s, const omma_budget *own) {
    pthread_mutex_lock(&s->lock);
    s->budget.limit = own->limit;
    s->budget.beside = own;
}

void omma_shared_leave(omma_shared *s) {
    s->budget.beside = NULL;
    pthread_mutex_unlock(&s->lock);
}

omma_status omma_shared_base(omma_shared *s, const omma_graph **out, omma_error *err) {
    if (!s->base) {
        omma_graph *g;
        omma_status status = omma_base_graph(&g, s->graph, NULL, 0, &s->base_arena, err);
        if (status) {
            omma_arena_free(&s->base_arena);
            return status;
        }
        for (int i = 0; i < g->n_values; i++) g->values[i]->shared = g->values[i]->data != NULL;
        s->base = g;
    }
    *out = s->base;
    return OMMA_OK;
}

/* plan.h - a graph specialised to given input shapes and laid out in memory. Running it
 * allocates nothing. A plan belongs to one session and is run by one thread at a time. */
#ifndef OMMA_RUN_PLAN_H
#define OMMA_RUN_PLAN_H

#include "op/op.h"

typedef struct omma_plan {
    omma_arena arena;
    omma_graph *graph;      /* values' mem is set, but for callers' inputs and their views */
    void *memory;           /* the block of all values and working memory */
    size_t bytes;           /* its size */
    struct omma_plan *next; /* in the session's cache, latest used first */
    omma_tensor *outputs;   /* by graph output */
    omma_tensor *watched;   /* by watched name */
    omma_value **watch;
    int n_watched;
    bool by_value;
    struct omma_bound { /* values that lie in a caller's tensor */
        omma_value *value;
        int input;
    } * bound;
    int n_bound;
} omma_plan;

/* An input of this many bytes may be taken by value: its contents then belong to the plan. */
enum { OMMA_BY_VALUE_MAX = 512 };

typedef struct omma_plan_options {
    omma_packs *packs;        /* the session's packed weights; its arena outlives the plan */
    omma_budget *budget;      /* what the plan is charged to */
    const char *const *watch; /* n_watch names of values that base keeps */
    int n_watch;
    int threads;   /* the most a run will use */
    bool by_value; /* small inputs are constants of the plan: for graphs in which the
                      contents of an input decide a shape */
} omma_plan_options;

/* Specialise base to inputs' shapes (n = base's inputs; data is read only with by_value).
 * Returns OMMA_OK, OMMA_E_SHAPE, OMMA_E_UNSUPPORTED, OMMA_E_RANGE or OMMA_E_NOMEM; on error
 * *out is NULL. Free with omma_plan_free. */
omma_status omma_plan_new(omma_plan **out, const omma_graph *base, const omma_tensor *inputs,
                          const omma_plan_options *o, omma_error *err);
void omma_plan_free(omma_plan *p);

/* Does the plan fit these shapes (and contents, where it was made for them)? */
bool omma_plan_fits(const omma_plan *p, const omma_tensor *inputs);

/* Run on these tensors (checked before), then fill p->outputs and p->watched. */
omma_status omma_plan_run(omma_plan *p, const omma_tensor *inputs, int threads, omma_error *err);

/* The shape-independent part, done once per session: a copy of a model's graph on arena
 * with constants folded and nodes fused. Values named in keep (n of them) are kept. */
omma_status omma_base_graph(omma_graph **out, const omma_graph *model, const char *const *keep,
                            int n, omma_arena *arena, omma_error *err);

#endif

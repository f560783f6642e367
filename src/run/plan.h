/* plan.h - a graph specialised to given input shapes and laid out in memory. Running it
 * allocates nothing. Where a part of the graph must wait for numbers or sizes that only a
 * run gives, the plan is of the part before it, and the rest is a stage behind it. A plan belongs
 * to one session and is run by one thread at a time. */
#ifndef OMMA_RUN_PLAN_H
#define OMMA_RUN_PLAN_H

#include "pass/pass.h"
#include "run/observe.h"
#include "run/shared.h"

typedef struct omma_stage omma_stage; /* run/stage.h */

typedef struct omma_plan {
    omma_arena arena;
    omma_graph *graph;      /* values' mem is set, but for callers' inputs and their views */
    void *memory;           /* the block of all values and working memory */
    size_t bytes;           /* its size */
    struct omma_plan *next; /* in its stage's cache, latest used first */
    const bool *by_value;   /* by input: its contents belong to the plan */
    struct omma_bound {     /* values that lie in a caller's tensor */
        omma_value *value;
        int input;
    } * bound;
    int n_bound;
    omma_stage *tail;      /* the rest of the graph, which waits for this part; NULL: none */
    omma_cut cut;          /* how the two hang together */
    omma_tensor *crossing; /* by the tail's inputs */
    omma_tensor *outputs;  /* by the whole graph's outputs */
    omma_tensor *watched;  /* by watched name */
    omma_value **watch;    /* NULL: in the tail */
    int n_outputs, n_watched;
    const omma_observer *observer; /* of the next run; set by the stage; NULL: none */
} omma_plan;

/* An input of at most this many bytes may be taken by value. */
enum { OMMA_BY_VALUE_MAX = 512 };

typedef struct omma_plan_options {
    omma_packs *packs;        /* packed weights; their arenas outlive the plan */
    omma_shared *shared;      /* for the tail; NULL: nothing is shared */
    omma_budget *budget;      /* what the plan is charged to */
    const char *const *watch; /* n_watch names of values that base keeps */
    int n_watch;
    int depth;   /* how many cuts lie before this part of the graph */
    int threads; /* the most a run will use */
    omma_bf16_how bf16;
    bool *by_value; /* by input of base: its contents belong to the plan, since they decide a
                       shape; omma_plan_new adds to it what it finds */
} omma_plan_options;

/* Specialise base to inputs' shapes (n = base's inputs; data is read only of those by value).
 * Returns OMMA_OK, OMMA_E_SHAPE, OMMA_E_UNSUPPORTED, OMMA_E_RANGE or OMMA_E_NOMEM; on error
 * *out is NULL. Free with omma_plan_free. */
omma_status omma_plan_new(omma_plan **out, const omma_graph *base, const omma_tensor *inputs,
                          const omma_plan_options *o, omma_error *err);
void omma_plan_free(omma_plan *p);

/* Does the plan fit these shapes (and contents, where it was made for them)? */
bool omma_plan_fits(const omma_plan *p, const omma_tensor *inputs);

/* Run on these tensors (checked before), the tail too, then fill p->outputs and
 * p->watched. */
omma_status omma_plan_run(omma_plan *p, const omma_tensor *inputs, int threads, omma_error *err);

/* The shape-independent part, done once per session: a copy of a model's graph on arena
 * with constants folded and nodes fused. Values named in keep (n of them) are kept. */
omma_status omma_base_graph(omma_graph **out, const omma_graph *model, const char *const *keep,
                            int n, omma_arena *arena, omma_error *err);

#endif

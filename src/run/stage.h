/* stage.h - a graph and its plans, by the shapes of its inputs: the whole graph of a
 * session, or the rest of one behind a cut. */
#ifndef OMMA_RUN_STAGE_H
#define OMMA_RUN_STAGE_H

#include "run/plan.h"

struct omma_stage {
    const omma_graph *base; /* what the plans are made of; outlives the stage */
    omma_packs packs;       /* packed weights of what is not the model's, shared by the plans */
    omma_shared *shared;    /* entered while a plan is made; NULL: nothing is shared */
    omma_budget *budget;
    const char *const *watch; /* n_watch names of values that base keeps */
    int n_watch;
    int threads;
    omma_bf16_how bf16;
    int depth;                     /* how many cuts lie before it */
    const omma_observer *observer; /* of runs, those of tails too; NULL: none */
    bool *by_value;   /* by input of base: plans are made for its contents; NULL at first */
    omma_plan *plans; /* latest used first */
};

/* Bring a plan for these tensors to the front of s->plans: one that fits, or a new one.
 * Contents are read only of inputs of at most OMMA_BY_VALUE_MAX bytes. Returns as
 * omma_plan_new. */
omma_status omma_stage_plan(omma_stage *s, const omma_tensor *inputs, omma_error *err);

/* Run on these tensors (n = base's inputs), with a plan that fits or a new one; s->plans is
 * then the plan that ran. Returns as omma_session_run. */
omma_status omma_stage_run(omma_stage *s, const omma_tensor *inputs, omma_error *err);

/* Free the plans. */
void omma_stage_drop(omma_stage *s);

#endif

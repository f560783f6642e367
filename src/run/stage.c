/* stage.c - see stage.h. */
#include "run/stage.h"

enum { PLANS_MAX = 16 };

void omma_stage_drop(omma_stage *s) {
    for (omma_plan *p = s->plans, *next; p; p = next) {
        next = p->next;
        omma_plan_free(p);
    }
    s->plans = NULL;
}

static omma_status new_plan(omma_stage *s, omma_plan **out, const omma_tensor *inputs,
                            omma_error *err) {
    if (!s->by_value)
        s->by_value =
            omma_arena_array(s->packs.arena, (size_t)s->base->n_inputs, sizeof *s->by_value);
    if (!s->by_value) return omma_fail(err, OMMA_E_NOMEM, "no memory for a plan");
    omma_plan_options o = {.packs = &s->packs,
                           .shared = s->shared,
                           .budget = s->budget,
                           .watch = s->watch,
                           .n_watch = s->n_watch,
                           .depth = s->depth,
                           .threads = s->threads,
                           .bf16 = s->bf16,
                           .by_value = s->by_value};
    if (s->shared) omma_shared_enter(s->shared, s->budget);
    omma_status status = omma_plan_new(out, s->base, inputs, &o, err);
    if (s->shared) omma_shared_leave(s->shared);
    return status;
}

omma_status omma_stage_plan(omma_stage *s, const omma_tensor *inputs, omma_error *err) {
    int n = 0;
    omma_plan **p = &s->plans, **oldest = p;
    for (; *p && !omma_plan_fits(*p, inputs); p = &(*p)->next, n++) oldest = p;
    if (*p) {
        omma_plan *plan = *p;
        *p = plan->next;
        plan->next = s->plans;
        s->plans = plan;
        return OMMA_OK;
    }
    if (n == PLANS_MAX) {
        omma_plan_free(*oldest);
        *oldest = NULL;
    }
    omma_plan *fresh;
    omma_status status = new_plan(s, &fresh, inputs, err);
    if (status == OMMA_E_NOMEM && s->plans) { /* those kept make room */
        omma_stage_drop(s);
        status = new_plan(s, &fresh, inputs, err);
    }
    if (status) return status;
    fresh->next = s->plans;
    s->plans = fresh;
    return OMMA_OK;
}

omma_status omma_stage_run(omma_stage *s, const omma_tensor *inputs, omma_error *err) {
    OMMA_TRY(omma_stage_plan(s, inputs, err));
    s->plans->observer = s->observer;
    return omma_plan_run(s->plans, inputs, s->threads, err);
}

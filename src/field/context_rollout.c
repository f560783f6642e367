/* context_rollout.c - rollout and flow in context.h. A row of M_L .. M_1 is a row of the identity
 * times M_L, times the next, and so on down. */
#include <string.h>

#include "field/context.h"
#include "field/dense.h"

/* --- what was asked for ----------------------------------------------------------------------- */

static omma_status check(const omma_context *c, const omma_context_ask *ask, omma_error *err) {
    if (ask->stack < 0 || ask->stack >= c->n_stack)
        return omma_fail(err, OMMA_E_USAGE, "there are %d stacks of layers, and no number %d",
                         c->n_stack, ask->stack);
    const omma_tokens *t = c->stack[ask->stack].tokens;
    if (ask->picture < 0 || ask->picture >= t->batch)
        return omma_fail(err, OMMA_E_USAGE, "there are %lld pictures, and no number %lld",
                         (long long)t->batch, (long long)ask->picture);
    for (int64_t i = 0; i < ask->n_token; i++)
        if (ask->token[i] < 0 || ask->token[i] >= t->count)
            return omma_fail(err, OMMA_E_USAGE, "there are %lld tokens, and no number %lld",
                             (long long)t->count, (long long)ask->token[i]);
    return OMMA_OK;
}

/* --- rollout ---------------------------------------------------------------------------------- */

/* Rows [n, tokens] through the self-attentions of a stack that come before attention `before`, from
 * the last down. */
static omma_status go_down(double *rows, const omma_context *c, const omma_context_ask *ask,
                           int stack, int before, omma_arena *tmp, omma_error *err) {
    const omma_stack *s = &c->stack[stack];
    const int64_t n = s->tokens->count, dims[] = {n, n};
    double *mixed, *above;
    OMMA_TRY(omma_dense_alloc(&mixed, tmp, dims, 2, "rollout", err));
    OMMA_TRY(omma_dense_alloc(&above, tmp, (int64_t[]){ask->n_token, n}, 2, "rollout", err));
    for (int i = s->n_step - 1; i >= 0; i--) {
        const omma_stack_step *p = &s->step[i];
        if (p->source != stack || p->attention >= before) continue;
        OMMA_TRY(omma_context_fuse(mixed, c, p->attention, ask->picture, ask->heads, tmp, err));
        OMMA_TRY(omma_rollout_mix(mixed, mixed, n, ask->alpha, err));
        memcpy(above, rows, (size_t)(ask->n_token * n) * sizeof *rows);
        omma_rollout_cross(rows, above, ask->n_token, mixed, n, n);
    }
    return OMMA_OK;
}

static int attentions(const omma_context *c) { return omma_sight_anatomy(c->sight)->n_attention; }

omma_status omma_context_rollout(double *out, const omma_context *c, const omma_context_ask *ask,
                                 omma_arena *arena, omma_error *err) {
    OMMA_TRY(check(c, ask, err));
    const int64_t n = c->stack[ask->stack].tokens->count;
    omma_arena tmp;
    memset(out, 0, (size_t)(ask->n_token * n) * sizeof *out);
    for (int64_t i = 0; i < ask->n_token; i++) out[i * n + ask->token[i]] = 1;
    omma_arena_init(&tmp, arena->budget);
    const omma_status s = go_down(out, c, ask, ask->stack, attentions(c), &tmp, err);
    omma_arena_free(&tmp);
    return s;
}

static omma_status cross(double *out, const omma_context *c, const omma_context_ask *ask,
                         const omma_stack_step *p, omma_arena *tmp, omma_error *err) {
    const int64_t rows = c->stack[ask->stack].tokens->count, n = c->stack[p->source].tokens->count;
    double *fused;
    OMMA_TRY(omma_dense_alloc(&fused, tmp, (int64_t[]){rows, n}, 2, "rollout", err));
    OMMA_TRY(omma_context_fuse(fused, c, p->attention, ask->picture, ask->heads, tmp, err));
    for (int64_t i = 0; i < ask->n_token; i++)
        memcpy(out + i * n, fused + ask->token[i] * n, (size_t)n * sizeof *out);
    return go_down(out, c, ask, p->source, p->attention, tmp, err);
}

omma_status omma_context_rollout_cross(double *out, const omma_context *c,
                                       const omma_context_ask *ask, int step, omma_arena *arena,
                                       omma_error *err) {
    OMMA_TRY(check(c, ask, err));
    const omma_stack *s = &c->stack[ask->stack];
    if (step < 0 || step >= s->n_step || s->step[step].source == ask->stack)
        return omma_fail(err, OMMA_E_USAGE, "step %d of these tokens is no cross-attention", step);
    omma_arena tmp;
    omma_arena_init(&tmp, arena->budget);
    const omma_status status = cross(out, c, ask, &s->step[step], &tmp, err);
    omma_arena_free(&tmp);
    return status;
}

/* --- flow ------------------------------------------------------------------------------------- */

static omma_status flow_of(double *flow, const omma_context *c, const omma_context_ask *ask,
                           const int64_t *to, int64_t n_to, omma_arena *tmp, omma_error *err) {
    const omma_stack *s = &c->stack[ask->stack];
    const int64_t n = s->tokens->count, dims[] = {s->n_self, n, n};
    const double **fused = omma_arena_array(tmp, (size_t)s->n_self + 1, sizeof *fused);
    double *all;
    int64_t layers = 0;
    if (!fused) return omma_fail(err, OMMA_E_NOMEM, "no memory for flows");
    OMMA_TRY(omma_dense_alloc(&all, tmp, dims, 3, "flow", err));
    for (int i = 0; i < s->n_step; i++) {
        if (s->step[i].source != ask->stack) continue;
        double *layer = all + layers * n * n;
        OMMA_TRY(
            omma_context_fuse(layer, c, s->step[i].attention, ask->picture, ask->heads, tmp, err));
        fused[layers++] = layer;
    }
    const omma_flow_ask flows = {.fused = fused,
                                 .layers = layers,
                                 .n = n,
                                 .alpha = ask->alpha,
                                 .from = ask->token,
                                 .to = to,
                                 .n_from = ask->n_token,
                                 .n_to = n_to};
    return omma_flow(flow, &flows, tmp, err);
}

omma_status omma_context_flow(double *flow, const omma_context *c, const omma_context_ask *ask,
                              const int64_t *to, int64_t n_to, omma_arena *arena, omma_error *err) {
    OMMA_TRY(check(c, ask, err));
    omma_arena tmp;
    omma_arena_init(&tmp, arena->budget);
    const omma_status s = flow_of(flow, c, ask, to, n_to, &tmp, err);
    omma_arena_free(&tmp);
    return s;
}

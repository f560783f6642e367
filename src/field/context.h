/* context.h - attention followed through the layers of a model that ran (sight.h): of what a token
 * at the top is made, and what in it an answer rests on.
 *
 *     omma_context_find(&c, sight, &arena, &err)
 *     c.stack[i]                              the layers that work on the same tokens
 *     omma_context_rollout(rows, &c, &ask, &arena, &err)      attention and residuals alone
 *     omma_slopes_begin(&s, &c, inputs, image, &opt, &err)
 *     omma_slopes_take(&s, &target, &err)     gradients of one target by all weights
 *     omma_context_relevance(row, &s, &ask, &arena, &err)     Chefer et al. 2021
 *     omma_slopes_free(&s)
 *
 * A stack is a sequence of tokens with the attentions that change them, in order: a ViT has one,
 * Swin one for each stage (between stages tokens are merged, and no matrix of attention leads
 * across: what is found holds within the stage), DETR two, the picture's and the queries', the
 * latter with cross-attention to the former. What a token at the top takes from tokens at the
 * bottom is a row of a matrix that is a product over layers; only the rows asked for are made,
 * from the last layer down, so a layer costs its weights once, and windows no more.
 *
 * An attention that depends on no picture (the first of DETR's queries among each other) is a
 * constant of the graph, no part of it, and left out here: in that layer queries mix what does not
 * come from the picture. Keys that are made from several tokens each are a stack of their own, and
 * their attention one between stacks, as cross-attention is. Of two stacks that read from each
 * other in turn (SAM) what the source's tokens took from queries before is not followed. */
#ifndef OMMA_FIELD_CONTEXT_H
#define OMMA_FIELD_CONTEXT_H

#include "field/rollout.h"
#include "field/sight.h"
#include "field/target.h"

typedef struct omma_stack_step {
    int attention; /* of the anatomy */
    int source;    /* the stack its keys are: this one, or another */
} omma_stack_step;

typedef struct omma_stack {
    const omma_tokens *tokens;
    omma_stack_step *step; /* in order */
    int n_step, n_self;    /* how many; how many of them are self-attentions */
    const omma_value *end; /* what the last step made of the tokens */
} omma_stack;

typedef struct omma_context {
    omma_sight *sight;
    omma_stack *stack;
    int n_stack;
} omma_context;

/* Find the stacks; they are on arena. Returns OMMA_OK (a model without attention has none) or
 * OMMA_E_NOMEM. */
omma_status omma_context_find(omma_context *out, omma_sight *s, omma_arena *arena, omma_error *err);

/* The weights of attention k, of one picture, heads fused, of whole sequences: fused f64 [tokens of
 * the query, tokens of the key], 0 where no window has both. Returns as omma_windows_fuse or
 * OMMA_E_NOMEM. arena, here and below: what working memory is charged to; none of it remains. */
omma_status omma_context_fuse(double *fused, const omma_context *c, int k, int64_t picture,
                              omma_head_fusion heads, omma_arena *arena, omma_error *err);

/* --- rollout and flow ------------------------------------------------------------------------- */

typedef struct omma_context_ask {
    int stack;
    int64_t picture;
    const int64_t *token; /* n_token of them, whose rows are wanted */
    int64_t n_token;
    omma_head_fusion heads;
    double alpha; /* OMMA_ROLLOUT_ALPHA; read as it is */
} omma_context_ask;

/* Rollout through all self-attentions of a stack: out f64 [n_token, tokens], of the tokens as they
 * were below the first layer. Rows sum to 1. Returns as omma_rollout_mix, OMMA_E_USAGE (no such
 * stack, picture or token) or OMMA_E_NOMEM. */
omma_status omma_context_rollout(double *out, const omma_context *c, const omma_context_ask *ask,
                                 omma_arena *arena, omma_error *err);

/* From queries to the picture: rows of step `step`, a cross-attention, times the rollout of its
 * source up to there: out f64 [n_token, tokens of the source]. Times what each of these can see
 * (fields.h) that is what a query has of the pixels. Returns as omma_context_rollout. */
omma_status omma_context_rollout_cross(double *out, const omma_context *c,
                                       const omma_context_ask *ask, int step, omma_arena *arena,
                                       omma_error *err);

/* Maximum flows from ask's tokens at the top to tokens at the bottom of a stack: flow f64 [n_token,
 * n_to]. Each pair is a problem of its own of layers x tokens^2 pipes. Returns as omma_flow. */
omma_status omma_context_flow(double *flow, const omma_context *c, const omma_context_ask *ask,
                              const int64_t *to, int64_t n_to, omma_arena *arena, omma_error *err);

/* --- relevance -------------------------------------------------------------------------------- */

/* The gradients of one target by the weights of all attentions. */
typedef struct omma_slopes {
    const omma_context *c;
    const omma_tensor *inputs;
    int image;
    omma_options opt;
    omma_gradient *gradient;
    omma_arena made; /* what goes with the gradient: names */
    omma_arena arena;
    const char *of[OMMA_TARGET_VALUES]; /* of the gradient's graph */
    int n_of;
    const float **slope; /* by attention: [windows][heads][queries][keys] */
    double target;       /* its number */
    const char *says;    /* the target's */
} omma_slopes;

/* Begin; inputs are those of the sight's run and are read until omma_slopes_free. image: which is
 * the picture. opt may be NULL. omma_slopes_free is the caller's in any case. */
void omma_slopes_begin(omma_slopes *s, const omma_context *c, const omma_tensor *inputs, int image,
                       const omma_options *opt);
void omma_slopes_free(omma_slopes *s);

/* Take a target: an output, or a value that the sight keeps. Targets of the same values one after
 * the other share the graph of the gradient. Returns what omma_aim_take, omma_aim_look and
 * omma_gradient_run return, or OMMA_E_UNSUPPORTED (a value that the sight does not keep, a target
 * of whole numbers). */
omma_status omma_slopes_take(omma_slopes *s, const omma_target *target, omma_error *err);

typedef struct omma_relevance_ask {
    int stack;  /* where the answer is read: the class token's, the queries' */
    int source; /* whose tokens it is asked of: the same stack, or that of a cross-attention */
    int64_t picture;
    int64_t token; /* the row; -1: the mean of those rows of the last attention that the gradient
                      reaches: the class token's, the answer's query's, or all where all are
                      pooled */
} omma_relevance_ask;

/* Which tokens of source the target rests on: out f64 [tokens of source]; of the same stack the row
 * of R_ss - I, of another that of R_qi (relevance.h). *rows (may be NULL) receives how many rows it
 * is the mean of. Returns OMMA_OK, OMMA_E_USAGE (no such stack, picture, token, no attention leads
 * there), OMMA_E_UNSUPPORTED (the target does not depend on these weights), OMMA_E_RANGE (a number
 * that is not finite) or OMMA_E_NOMEM. */
omma_status omma_context_relevance(double *out, int64_t *rows, const omma_slopes *s,
                                   const omma_relevance_ask *ask, omma_arena *arena,
                                   omma_error *err);

#endif

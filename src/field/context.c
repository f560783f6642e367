/* context.c - see context.h: which attentions work on the same tokens, in which order. Two do when
 * their tokens are as many, lie in the same places, and the later one's queries are made from what
 * the earlier one left. */
#include "field/context.h"

#include <string.h>

static omma_status no_memory(omma_error *err) {
    return omma_fail(err, OMMA_E_NOMEM, "no memory to follow attention");
}

/* --- what is made from what ------------------------------------------------------------------- */

typedef struct finding {
    omma_context *c;
    const omma_graph *g;
    const omma_anatomy *a;
    bool **from; /* by stack: values that are made from its end */
    omma_arena *arena;
    omma_error *err;
} finding;

/* The values made from v, itself among them. */
static void mark_from(bool *from, const omma_graph *g, const omma_value *v) {
    memset(from, 0, (size_t)g->n_values * sizeof *from);
    from[v->index] = true;
    for (int i = 0; i < g->n_nodes; i++) {
        const omma_node *n = g->nodes[i];
        bool any = false;
        for (int k = 0; k < n->n_in && !any; k++) any = n->in[k] && from[n->in[k]->index];
        for (int k = 0; k < n->n_out && any; k++)
            if (n->out[k]) from[n->out[k]->index] = true;
    }
}

static bool same_tokens(const omma_tokens *a, const omma_tokens *b) {
    return a->count == b->count && a->placed == b->placed && a->special == b->special &&
           a->rows.mod == b->rows.mod && a->columns.mod == b->columns.mod && a->jump_y == b->jump_y;
}

/* --- stacks ----------------------------------------------------------------------------------- */

static omma_status new_stack(finding *f, const omma_tokens *t, int *index) {
    const size_t steps = (size_t)f->a->n_attention + 1;
    omma_stack *s = &f->c->stack[f->c->n_stack];
    *s = (omma_stack){.tokens = t, .end = t->value};
    s->step = omma_arena_array(f->arena, steps, sizeof *s->step);
    bool *from = f->from[f->c->n_stack] =
        omma_arena_array(f->arena, (size_t)f->g->n_values + 1, sizeof *from);
    if (!s->step || !from) return no_memory(f->err);
    mark_from(from, f->g, s->end);
    *index = f->c->n_stack++;
    return OMMA_OK;
}

/* The stack of these tokens, of which v is made; the latest if there are several. */
static omma_status stack_of(finding *f, const omma_tokens *t, const omma_value *v, int *index) {
    for (int i = f->c->n_stack - 1; i >= 0; i--)
        if (same_tokens(f->c->stack[i].tokens, t) && f->from[i][v->index]) {
            *index = i;
            return OMMA_OK;
        }
    return new_stack(f, t, index);
}

static omma_status add_step(finding *f, int k) {
    const omma_attention *a = &f->a->attention[k];
    int to, from;
    OMMA_TRY(stack_of(f, &a->query, a->q, &to));
    if (omma_attention_same_tokens(a)) from = to;
    else OMMA_TRY(stack_of(f, &a->key, a->k, &from));
    omma_stack *s = &f->c->stack[to];
    s->step[s->n_step++] = (omma_stack_step){k, from};
    s->n_self += from == to;
    s->end = a->out ? a->out : a->mix;
    mark_from(f->from[to], f->g, s->end);
    return OMMA_OK;
}

omma_status omma_context_find(omma_context *out, omma_sight *s, omma_arena *arena,
                              omma_error *err) {
    const omma_anatomy *a = omma_sight_anatomy(s);
    const size_t most = 2 * (size_t)a->n_attention + 1;
    finding f = {
        .c = out, .g = omma_sight_fov(s)->specialised.graph, .a = a, .arena = arena, .err = err};
    *out = (omma_context){.sight = s};
    out->stack = omma_arena_array(arena, most, sizeof *out->stack);
    f.from = omma_arena_array(arena, most, sizeof *f.from);
    if (!out->stack || !f.from) return no_memory(err);
    for (int k = 0; k < a->n_attention; k++) OMMA_TRY(add_step(&f, k));
    return OMMA_OK;
}

/* --- windows of one picture ------------------------------------------------------------------- */

static omma_status fuse(double *fused, const omma_context *c, int k, int64_t picture,
                        omma_head_fusion heads, omma_arena *tmp, omma_error *err) {
    const omma_attention *a = &omma_sight_anatomy(c->sight)->attention[k];
    const omma_fov *f = omma_sight_fov(c->sight);
    const float *weights;
    const int64_t n = a->windows / a->batch, first = picture * n;
    int64_t *query = omma_arena_array(tmp, (size_t)(n * a->queries) + 1, sizeof *query);
    int64_t *key = omma_arena_array(tmp, (size_t)(n * a->keys) + 1, sizeof *key);
    if (!query || !key) return no_memory(err);
    OMMA_TRY(omma_sight_read_weights(&weights, c->sight, k, err));
    for (int64_t i = 0; i < n * a->queries; i++)
        query[i] = omma_attention_token(a, f, false, first + i / a->queries, i % a->queries);
    for (int64_t i = 0; i < n * a->keys; i++)
        key[i] = omma_attention_token(a, f, true, first + i / a->keys, i % a->keys);
    const omma_windows w = {.weights = weights + first * a->heads * a->queries * a->keys,
                            .windows = n,
                            .heads = a->heads,
                            .queries = a->queries,
                            .keys = a->keys,
                            .query = query,
                            .key = key,
                            .rows = a->query.count,
                            .columns = a->key.count};
    return omma_windows_fuse(fused, &w, heads, err);
}

omma_status omma_context_fuse(double *fused, const omma_context *c, int k, int64_t picture,
                              omma_head_fusion heads, omma_arena *arena, omma_error *err) {
    omma_arena tmp;
    omma_arena_init(&tmp, arena->budget);
    const omma_status s = fuse(fused, c, k, picture, heads, &tmp, err);
    omma_arena_free(&tmp);
    return s;
}

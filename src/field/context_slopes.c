/* context_slopes.c - omma_slopes in context.h: a target's gradients by the weights of every
 * attention, behind the softmax. What makes the first weights is not differentiated. */
#include <string.h>

#include "field/context.h"
#include "run/gradient.h"

static omma_status no_memory(omma_error *err) {
    return omma_fail(err, OMMA_E_NOMEM, "no memory for gradients of attention");
}

void omma_slopes_begin(omma_slopes *s, const omma_context *c, const omma_tensor *inputs, int image,
                       const omma_options *opt) {
    *s = (omma_slopes){.c = c, .inputs = inputs, .image = image};
    if (opt) s->opt = *opt;
    omma_arena_init(&s->made, omma_sight_fov(c->sight)->arena.budget);
    omma_arena_init(&s->arena, s->made.budget);
}

static void drop_gradient(omma_slopes *s) {
    omma_gradient_free(s->gradient);
    omma_arena_free(&s->made);
    s->gradient = NULL;
    s->n_of = 0;
}

void omma_slopes_free(omma_slopes *s) {
    drop_gradient(s);
    omma_arena_free(&s->arena);
    s->slope = NULL;
}

static bool floats(omma_dtype t) {
    return t == OMMA_F32 || t == OMMA_F64 || t == OMMA_F16 || t == OMMA_BF16;
}

/* --- the target ------------------------------------------------------------------------------- */

typedef struct taking {
    omma_aim aim;
    const omma_tensor *value[OMMA_TARGET_VALUES];
    omma_tensor seed[OMMA_TARGET_VALUES];
} taking;

static omma_status aim_at(omma_slopes *s, taking *t, const omma_target *target, omma_error *err) {
    const omma_graph *g = omma_sight_graph(s->c->sight);
    OMMA_TRY(omma_aim_take(&t->aim, target, g, &s->arena, err));
    for (int i = 0; i < t->aim.n; i++) {
        t->value[i] = omma_sight_named(s->c->sight, t->aim.name[i]);
        if (!t->value[i])
            return omma_fail_node(err, OMMA_E_UNSUPPORTED, t->aim.name[i], NULL,
                                  "its numbers were not kept in the run");
    }
    OMMA_TRY(omma_aim_look(&t->aim, t->value, g, s->inputs, s->image, &s->arena, err));
    OMMA_TRY(omma_aim_value(&t->aim, &s->target, t->value, err));
    s->says = t->aim.says;
    for (int i = 0; i < t->aim.n_seeded; i++) {
        omma_tensor *seed = &t->seed[i];
        *seed = t->aim.shape[i];
        if (!floats(seed->dtype))
            return omma_fail_node(err, OMMA_E_UNSUPPORTED, t->aim.name[i], NULL,
                                  "it is of whole numbers and has no gradient");
        seed->data = omma_arena_array(&s->arena, (size_t)omma_tensor_count(seed) + 1,
                                      omma_dtype_size(seed->dtype));
        if (!seed->data) return no_memory(err);
    }
    omma_aim_seed(&t->aim, t->seed, t->value);
    return OMMA_OK;
}

/* --- the gradient ----------------------------------------------------------------------------- */

static bool serves(const omma_slopes *s, const omma_aim *a) {
    if (!s->gradient || s->n_of != a->n_seeded) return false;
    for (int i = 0; i < s->n_of; i++)
        if (strcmp(s->of[i], a->name[i])) return false;
    return true;
}

static omma_status make(omma_slopes *s, const omma_aim *a, omma_error *err) {
    const omma_anatomy *all = omma_sight_anatomy(s->c->sight);
    if (serves(s, a)) return OMMA_OK;
    drop_gradient(s);
    const char **by = omma_arena_array(&s->made, (size_t)all->n_attention + 1, sizeof *by);
    if (!by) return no_memory(err);
    for (int k = 0; k < all->n_attention; k++) by[k] = all->attention[k].weights->name;
    for (int i = 0; i < a->n_seeded; i++) {
        s->of[i] = omma_arena_strndup(&s->made, a->name[i], strlen(a->name[i]));
        if (!s->of[i]) return no_memory(err);
    }
    s->n_of = a->n_seeded;
    const omma_gradient_how how = {
        .of = s->of, .n_of = s->n_of, .by = by, .n_by = all->n_attention, .seeded = 1};
    return omma_gradient_on_graph(&s->gradient, omma_sight_graph(s->c->sight),
                                  omma_sight_fov(s->c->sight)->name, &how, &s->opt, err);
}

static omma_status read_slopes(omma_slopes *s, omma_error *err) {
    const omma_anatomy *all = omma_sight_anatomy(s->c->sight);
    s->slope = omma_arena_array(&s->arena, (size_t)all->n_attention + 1, sizeof *s->slope);
    if (!s->slope) return no_memory(err);
    for (int k = 0; k < all->n_attention; k++) {
        s->slope[k] = omma_sight_in_order(&all->attention[k], omma_gradient_result(s->gradient, k),
                                          &s->arena);
        if (!s->slope[k]) return no_memory(err);
    }
    return OMMA_OK;
}

omma_status omma_slopes_take(omma_slopes *s, const omma_target *target, omma_error *err) {
    taking t = {0};
    omma_arena_free(&s->arena);
    s->slope = NULL;
    if (!omma_sight_anatomy(s->c->sight)->n_attention)
        return omma_fail(err, OMMA_E_UNSUPPORTED, "the model has no attention");
    OMMA_TRY(aim_at(s, &t, target, err));
    OMMA_TRY(make(s, &t.aim, err));
    OMMA_TRY(omma_gradient_run(s->gradient, s->inputs, omma_sight_graph(s->c->sight)->n_inputs,
                               t.seed, err));
    return read_slopes(s, err);
}

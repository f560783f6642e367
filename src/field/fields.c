/* fields.c - see fields.h. */
#include "field/fields.h"

#include <string.h>

#include "field/carry.h"
#include "field/mask.h"

static omma_status no_memory(omma_error *err) {
    return omma_fail(err, OMMA_E_NOMEM, "no memory for a field");
}

/* --- relations ----------------------------------------------------------------------------- */

static const void *numbers_of(const omma_field *f, const omma_value *v) {
    omma_fields *all = f->reader;
    all->asked[v->index] = true;
    return all->number[v->index];
}

static const uint64_t *dead_of(const omma_field *f, const omma_value *v, bool zero) {
    const omma_fields *all = f->reader;
    if (all->zero[v->index] != zero || !all->dead[v->index]) return NULL;
    all->node[f->n->index].soft |= all->soft[v->index];
    return all->dead[v->index];
}

static bool reads_any(const omma_fields *f, const omma_node *n) {
    bool any = false;
    for (int i = 0; i < n->n_in; i++) any |= n->in[i] && f->depends[n->in[i]->index];
    return any && !(n->op->flags & OMMA_OP_SHAPE_ONLY);
}

static omma_status ask(omma_fields *f, omma_node *n, omma_error *err) {
    omma_build b = {.arena = &f->arena, .err = err, .kern = omma_kernels_best()};
    omma_field room = {.b = &b, .n = n, .numbers = numbers_of, .dead = dead_of, .reader = f};
    if (!n->op->field)
        return omma_fail_node(err, OMMA_E_UNSUPPORTED, n->name, n->op->name,
                              "the field ends here: %s",
                              n->op->no_field ? n->op->no_field : "this operator has none");
    const omma_value *x = omma_in(n, 0);
    uint64_t *const dead = x ? f->dead[x->index] : NULL;
    OMMA_TRY(omma_field_soften(f, n, err));
    OMMA_TRY(n->op->field(&room, n));
    if (x) f->dead[x->index] = dead; /* as others have it */
    f->node[n->index].relation = room.relation;
    f->node[n->index].count = room.count;
    return omma_field_mask(f, n, err);
}

static omma_status fields_new(omma_fields *f, const omma_graph *g, const void *const *number,
                              bool hard, omma_budget *budget, omma_error *err) {
    const size_t n = (size_t)g->n_values;
    *f = (omma_fields){.g = g, .hard = hard};
    omma_arena_init(&f->arena, budget);
    f->node = omma_arena_array(&f->arena, (size_t)g->n_nodes, sizeof *f->node);
    f->depends = omma_arena_array(&f->arena, n, sizeof *f->depends);
    f->dead = omma_arena_array(&f->arena, n, sizeof *f->dead);
    f->zero = omma_arena_array(&f->arena, n, sizeof *f->zero);
    f->soft = omma_arena_array(&f->arena, n, sizeof *f->soft);
    f->lost = omma_arena_array(&f->arena, n, sizeof *f->lost);
    f->number = omma_arena_array(&f->arena, n, sizeof *f->number);
    f->asked = omma_arena_array(&f->arena, n, sizeof *f->asked);
    if (!f->node || !f->depends || !f->dead || !f->zero || !f->soft || !f->lost || !f->number ||
        !f->asked)
        return no_memory(err);
    if (number && n) memcpy(f->number, number, n * sizeof *f->number);
    for (int i = 0; i < g->n_inputs; i++) f->depends[g->inputs[i]->index] = !g->inputs[i]->data;
    for (int i = 0; i < g->n_nodes; i++) {
        omma_node *m = g->nodes[i];
        if (!reads_any(f, m)) continue;
        for (int k = 0; k < m->n_out; k++)
            if (m->out[k]) f->depends[m->out[k]->index] = true;
        OMMA_TRY(ask(f, m, err));
    }
    return OMMA_OK;
}

omma_status omma_fields_new(omma_fields *f, const omma_graph *g, const void *const *number,
                            omma_budget *budget, omma_error *err) {
    return fields_new(f, g, number, false, budget, err);
}

omma_status omma_fields_new_hard(omma_fields *f, const omma_graph *g, omma_budget *budget,
                                 omma_error *err) {
    return fields_new(f, g, NULL, true, budget, err);
}

void omma_fields_free(omma_fields *f) { omma_arena_free(&f->arena); }

/* --- walks ----------------------------------------------------------------------------------- */

omma_status omma_walk_begin(omma_walk *w, const omma_fields *f, unsigned paths, omma_error *err) {
    *w = (omma_walk){.f = f, .paths = paths};
    omma_arena_init(&w->arena, f->arena.budget);
    w->at = omma_arena_array(&w->arena, (size_t)f->g->n_values, sizeof *w->at);
    return w->at ? OMMA_OK : no_memory(err);
}

void omma_walk_free(omma_walk *w) { omma_arena_free(&w->arena); }

omma_status omma_walk_add(omma_walk *w, const omma_value *v, const omma_set *s, omma_error *err) {
    if (s->empty) return OMMA_OK;
    omma_set **at = &w->at[v->index];
    if (*at) return omma_set_unite(&w->arena, *at, s) ? OMMA_OK : no_memory(err);
    *at = omma_arena_alloc(&w->arena, sizeof **at);
    if (!*at) return no_memory(err);
    **at = *s;
    return OMMA_OK;
}

static omma_status along(omma_walk *w, const omma_node *n, const omma_relation *r, bool back,
                         omma_error *err) {
    const omma_value *x = n->in[r->in], *y = n->out[r->out];
    const omma_value *from = back ? y : x, *to = back ? x : y;
    omma_set s;
    if (!w->at[from->index] || !w->f->depends[x->index]) return OMMA_OK;
    if (!(w->paths >> r->path & 1)) return OMMA_OK;
    if (w->at[to->index] && omma_set_is_all(w->at[to->index])) return OMMA_OK;
    if (!(back ? omma_carry_back : omma_carry_forth)(&w->arena, &s, w->at[from->index], r, to))
        return no_memory(err);
    w->met |= w->f->node[n->index].soft ? OMMA_MET_SOFT : 0u; /* also where it left nothing */
    if (s.empty) return OMMA_OK;
    w->met |= (r->bound ? OMMA_MET_BOUND : 0u) | (r->data ? OMMA_MET_DATA : 0u);
    return omma_walk_add(w, to, &s, err);
}

omma_status omma_walk_node(omma_walk *w, const omma_node *n, bool back, omma_error *err) {
    const struct omma_node_field *nf = &w->f->node[n->index];
    for (int k = 0; k < nf->count; k++) OMMA_TRY(along(w, n, nf->relation[k], back, err));
    return OMMA_OK;
}

omma_status omma_walk_back(omma_walk *w, omma_error *err) {
    for (int i = w->f->g->n_nodes - 1; i >= 0; i--)
        OMMA_TRY(omma_walk_node(w, w->f->g->nodes[i], true, err));
    return OMMA_OK;
}

omma_status omma_walk_forth(omma_walk *w, omma_error *err) {
    for (int i = 0; i < w->f->g->n_nodes; i++)
        OMMA_TRY(omma_walk_node(w, w->f->g->nodes[i], false, err));
    return OMMA_OK;
}

/* fov.c - see fov.h. */
#include "field/fov.h"

#include <string.h>

#include "base/pool.h"
#include "model/model.h"
#include "run/session.h"

static omma_status no_memory(omma_error *err) {
    return omma_fail(err, OMMA_E_NOMEM, "no memory for a field");
}

/* --- the numbers of the image at hand ------------------------------------------------------ */

/* Run the model and keep what the rooms asked for. */
static omma_status run(omma_fov *f, const omma_tensor *inputs, const void **number,
                       const omma_options *opt, omma_error *err) {
    const omma_graph *g = f->specialised.graph;
    OMMA_TRY(omma_session_on_graph(&f->session, g, f->name, opt, err));
    for (int i = 0; i < g->n_values; i++)
        if (f->fields.asked[i] && !g->values[i]->is_input)
            OMMA_TRY(omma_session_watch(f->session, g->values[i]->name, err));
    OMMA_TRY(omma_session_run(f->session, inputs, g->n_inputs, err));
    for (int i = 0; i < g->n_values; i++) {
        const omma_tensor *t = NULL;
        if (!f->fields.asked[i]) continue;
        if (!g->values[i]->is_input) t = omma_session_watched(f->session, g->values[i]->name);
        for (int k = 0; k < g->n_inputs; k++)
            if (g->inputs[k] == g->values[i]) t = &inputs[k];
        number[i] = t ? t->data : NULL;
    }
    return OMMA_OK;
}

static omma_status look(omma_fov *f, const omma_tensor *inputs, const omma_options *opt,
                        omma_error *err) {
    const omma_graph *g = f->specialised.graph;
    bool asked = false, given = true;
    OMMA_TRY(omma_fields_new(&f->fields, g, NULL, &f->budget, err));
    for (int i = 0; i < g->n_values; i++) asked |= f->fields.asked[i];
    for (int i = 0; i < g->n_inputs; i++) given &= inputs[i].data != NULL;
    if (!asked || !given) return OMMA_OK;
    const void **number = omma_arena_array(&f->arena, (size_t)g->n_values, sizeof *number);
    if (!number) return no_memory(err);
    OMMA_TRY(run(f, inputs, number, opt, err));
    omma_fields_free(&f->fields);
    return omma_fields_new(&f->fields, g, number, &f->budget, err);
}

omma_status omma_fov_on_graph(omma_fov **out, const omma_graph *graph, const char *name,
                              const omma_tensor *inputs, const omma_options *opt, omma_error *err) {
    *out = NULL;
    omma_fov *f = omma_mem_alloc(sizeof *f);
    if (!f) return no_memory(err);
    f->name = name;
    f->budget.limit = opt && opt->max_memory ? opt->max_memory : omma_memory_default();
    omma_arena_init(&f->arena, &f->budget);
    const omma_specialise_how how = {.reading = OMMA_READ_FIELD, .may_cut = true};
    omma_status s = omma_specialise(&f->specialised, graph, inputs, &how, &f->arena, err);
    if (!s) s = look(f, inputs, opt, err);
    if (s) {
        omma_error_in_file(err, name);
        omma_fov_free(f);
        return s;
    }
    *out = f;
    return OMMA_OK;
}

omma_status omma_fov_new(omma_fov **out, const omma_model *m, const omma_tensor *inputs, int n,
                         const omma_options *opt, omma_error *err) {
    *out = NULL;
    if (n != m->graph->n_inputs)
        return omma_fail(err, OMMA_E_USAGE, "%s has %d inputs, not %d", m->path, m->graph->n_inputs,
                         n);
    return omma_fov_on_graph(out, m->graph, m->path, inputs, opt, err);
}

void omma_fov_free(omma_fov *f) {
    if (!f) return;
    omma_session_free(f->session);
    omma_fields_free(&f->fields);
    omma_arena_free(&f->arena);
    omma_mem_free(f);
}

/* --- questions ------------------------------------------------------------------------------ */

omma_status omma_fov_find(const omma_value **out, const omma_fov *f, const char *name,
                          omma_error *err) {
    *out = omma_graph_find(f->specialised.graph, name);
    if (*out && !(*out)->data) return OMMA_OK;
    return omma_fail_node(err, OMMA_E_NOTFOUND, name, NULL,
                          *out ? "this value is a constant, nothing influences it"
                               : "the model has no value of that name, or it is a constant here");
}

omma_status omma_fov_shape(const omma_fov *f, const char *value, int *rank, int64_t *dims,
                           omma_error *err) {
    const omma_value *v;
    OMMA_TRY(omma_fov_find(&v, f, value, err));
    *rank = v->rank;
    memcpy(dims, v->dims, (size_t)v->rank * sizeof *dims);
    return OMMA_OK;
}

omma_status omma_fov_set(omma_set *s, omma_arena *a, const omma_value *v, const int64_t *at,
                         omma_error *err) {
    int64_t first[OMMA_MAX_RANK];
    for (int d = 0; d < v->rank; d++) {
        if (at[d] < -1 || at[d] >= v->dims[d])
            return omma_fail_node(err, OMMA_E_RANGE, v->name, NULL,
                                  "index %lld of axis %d, which has %lld places", (long long)at[d],
                                  d, (long long)v->dims[d]);
        first[d] = at[d] < 0 ? 0 : at[d];
    }
    if (!omma_set_one(a, s, v->rank, v->dims, first)) return no_memory(err);
    for (int d = 0; d < v->rank; d++)
        if (at[d] < 0) s->part[d].bits = NULL;
    return OMMA_OK;
}

omma_status omma_fov_walk(omma_walk *w, const omma_fov *f, const omma_value *v, const int64_t *at,
                          unsigned paths, bool back, omma_error *err) {
    omma_set s;
    OMMA_TRY(omma_walk_begin(w, &f->fields, paths, err));
    OMMA_TRY(omma_fov_set(&s, &w->arena, v, at, err));
    OMMA_TRY(omma_walk_add(w, v, &s, err));
    return back ? omma_walk_back(w, err) : omma_walk_forth(w, err);
}

omma_fov_status omma_fov_judge(const omma_walk *w, const omma_value *v) {
    if (w->at[v->index] && omma_set_is_all(w->at[v->index])) return OMMA_FOV_WHOLE;
    if (w->met & OMMA_MET_BOUND) return OMMA_FOV_UPPER_BOUND;
    return w->met & OMMA_MET_DATA ? OMMA_FOV_DATA : OMMA_FOV_EXACT;
}

static omma_status question(omma_fov *f, const char *from, const int64_t *at, unsigned paths,
                            bool back, const char *to, uint64_t *bits, omma_fov_status *status,
                            omma_error *err) {
    const omma_value *v, *x;
    omma_walk w;
    OMMA_TRY(omma_fov_find(&v, f, from, err));
    OMMA_TRY(omma_fov_find(&x, f, to, err));
    omma_status s = omma_fov_walk(&w, f, v, at, paths, back, err);
    if (!s) {
        memset(bits, 0, (size_t)omma_bit_words(omma_value_count(x)) * sizeof *bits);
        if (w.at[x->index] && !omma_set_to_bits(&w.arena, w.at[x->index], bits)) s = no_memory(err);
        if (status) *status = omma_fov_judge(&w, x);
    }
    omma_walk_free(&w);
    return s;
}

omma_status omma_fov_back(omma_fov *f, const char *value, const int64_t *at, unsigned paths,
                          const char *input, uint64_t *bits, omma_fov_status *status,
                          omma_error *err) {
    return question(f, value, at, paths, true, input, bits, status, err);
}

omma_status omma_fov_forth(omma_fov *f, const char *input, const int64_t *at, unsigned paths,
                           const char *value, uint64_t *bits, omma_fov_status *status,
                           omma_error *err) {
    return question(f, input, at, paths, false, value, bits, status, err);
}

const omma_value *omma_fov_image(const omma_fov *f, int *down, int *across) {
    const omma_graph *g = f->specialised.graph;
    const omma_value *best = NULL;
    for (int i = 0; i < f->specialised.n_inputs; i++) {
        const omma_value *v = g->inputs[i];
        if (v->data || v->rank != 4 || (best && omma_value_count(v) <= omma_value_count(best)))
            continue;
        const bool last = v->dims[3] <= 4 && v->dims[1] > 4;
        best = v;
        *down = last ? 1 : 2;
        *across = last ? 2 : 3;
    }
    return best;
}

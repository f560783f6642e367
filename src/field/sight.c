/* sight.c - see sight.h. The session runs the specialised graph, whose values the anatomy names; of
 * a model that is cut where the data decide, what follows the cut is not in that graph, and the
 * model itself runs. */
#include "field/sight.h"

#include <string.h>

#include "model/model.h"
#include "op/op.h"
#include "run/session.h"

struct omma_sight {
    omma_budget budget;
    omma_arena arena;
    omma_fov *fov;
    omma_anatomy anatomy;
    const omma_graph *graph; /* that the session runs */
    omma_decoder decoder;
    omma_session *session;
    const float **weights;  /* by attention; NULL: not asked for yet */
    omma_tensor **constant; /* by value index */
};

static omma_status no_memory(omma_error *err) {
    return omma_fail(err, OMMA_E_NOMEM, "no memory to see a model's parts");
}

/* --- what is watched ------------------------------------------------------------------------- */

/* A constant is kept here: sessions watch none. */
static omma_status keep_constant(omma_sight *s, const omma_value *v, omma_error *err) {
    const size_t bytes = omma_value_bytes(v);
    omma_tensor *t = omma_arena_alloc(&s->arena, sizeof *t);
    void *data = omma_arena_alloc(&s->arena, bytes);
    if (!t || !data) return no_memory(err);
    if (bytes) memcpy(data, v->data, bytes);
    *t = omma_value_tensor(v);
    t->data = data;
    s->constant[v->index] = t;
    return OMMA_OK;
}

static omma_status watch(omma_sight *s, const omma_value *v, omma_error *err) {
    if (!v || s->constant[v->index]) return OMMA_OK;
    if (v->data && !v->is_input) return keep_constant(s, v, err);
    /* Of a cut model an operator that stands for others runs as it is. */
    if (s->graph != s->fov->specialised.graph && !omma_graph_find(s->graph, v->name))
        return OMMA_OK;
    return omma_session_watch(s->session, v->name, err);
}

static omma_status watch_all(omma_sight *s, const omma_value *const *list, int n, omma_error *err) {
    for (int i = 0; i < n; i++) OMMA_TRY(watch(s, list[i], err));
    return OMMA_OK;
}
#define WATCH(...)                                    \
    watch_all(s, (const omma_value *[]){__VA_ARGS__}, \
              (int)(sizeof((const omma_value *[]){__VA_ARGS__}) / sizeof(void *)), err)

static omma_status watch_parts(omma_sight *s, omma_error *err) {
    const omma_anatomy *a = &s->anatomy;
    for (int i = 0; i < a->n_attention; i++) {
        const omma_attention *p = &a->attention[i];
        OMMA_TRY(WATCH(p->q, p->k, p->v, p->weights, p->mix, p->in, p->branch, p->out,
                       p->query.value, p->key.value));
    }
    for (int i = 0; i < a->n_feed_forward; i++) {
        const omma_feed_forward *p = &a->feed_forward[i];
        OMMA_TRY(WATCH(p->in, p->branch, p->out));
    }
    for (int i = 0; i < a->n_sampling; i++) {
        const omma_sampling *p = &a->sampling[i];
        OMMA_TRY(WATCH(p->map, p->where, p->node->out[0], p->in, p->branch, p->out));
    }
    for (int i = 0; i < a->n_answer; i++) OMMA_TRY(watch(s, a->answer[i].value, err));
    OMMA_TRY(watch_all(s, s->decoder.needed, s->decoder.n_needed, err));
    return watch_all(s, a->map, a->n_map, err);
}

/* --- a sight --------------------------------------------------------------------------------- */

static omma_status look(omma_sight *s, const omma_graph *model, const char *name,
                        const omma_tensor *inputs, const omma_options *opt, omma_error *err) {
    OMMA_TRY(omma_fov_on_graph(&s->fov, model, name, inputs, opt, err));
    const omma_specialised *sp = &s->fov->specialised;
    OMMA_TRY(omma_anatomy_find(&s->anatomy, s->fov, &s->arena, err));
    OMMA_TRY(omma_decoder_find(&s->decoder, s->fov, &s->anatomy, &s->arena, err));
    s->constant = omma_arena_array(&s->arena, (size_t)sp->graph->n_values + 1, sizeof *s->constant);
    s->weights =
        omma_arena_array(&s->arena, (size_t)s->anatomy.n_attention + 1, sizeof *s->weights);
    if (!s->constant || !s->weights) return no_memory(err);
    s->graph = sp->cut ? model : sp->graph;
    OMMA_TRY(omma_session_on_graph(&s->session, s->graph, name, opt, err));
    OMMA_TRY(watch_parts(s, err));
    return omma_session_run(s->session, inputs, model->n_inputs, err);
}

omma_status omma_sight_on_graph(omma_sight **out, const omma_graph *graph, const char *name,
                                const omma_tensor *inputs, int n, const omma_options *opt,
                                omma_error *err) {
    *out = NULL;
    if (n != graph->n_inputs)
        return omma_fail(err, OMMA_E_USAGE, "%s has %d inputs, not %d", name, graph->n_inputs, n);
    for (int i = 0; i < n; i++)
        if (!inputs[i].data)
            return omma_fail_node(err, OMMA_E_USAGE, graph->inputs[i]->name, NULL,
                                  "the tensor given for this input has no data");
    omma_sight *s = omma_mem_alloc(sizeof *s);
    if (!s) return no_memory(err);
    s->budget.limit = opt && opt->max_memory ? opt->max_memory : omma_memory_default();
    omma_arena_init(&s->arena, &s->budget);
    const omma_status bad = look(s, graph, name, inputs, opt, err);
    if (bad) {
        omma_error_in_file(err, name);
        omma_sight_free(s);
        return bad;
    }
    *out = s;
    return OMMA_OK;
}

omma_status omma_sight_new(omma_sight **out, const omma_model *m, const omma_tensor *inputs, int n,
                           const omma_options *opt, omma_error *err) {
    return omma_sight_on_graph(out, m->graph, m->path, inputs, n, opt, err);
}

void omma_sight_free(omma_sight *s) {
    if (!s) return;
    omma_session_free(s->session);
    omma_fov_free(s->fov);
    omma_arena_free(&s->arena);
    omma_mem_free(s);
}

const omma_fov *omma_sight_fov(const omma_sight *s) { return s->fov; }

const omma_anatomy *omma_sight_anatomy(const omma_sight *s) { return &s->anatomy; }

const omma_graph *omma_sight_graph(const omma_sight *s) { return s->graph; }
const omma_decoder *omma_sight_decoder(const omma_sight *s) { return &s->decoder; }

/* --- numbers --------------------------------------------------------------------------------- */

const omma_tensor *omma_sight_tensor(const omma_sight *s, const omma_value *v) {
    if (!v) return NULL;
    if (s->constant[v->index]) return s->constant[v->index];
    return omma_session_watched(s->session, v->name);
}

const omma_tensor *omma_sight_output(const omma_sight *s, int i) {
    return omma_session_output(s->session, i);
}

const omma_tensor *omma_sight_named(const omma_sight *s, const char *name) {
    for (int i = 0; i < s->graph->n_outputs; i++)
        if (!strcmp(s->graph->outputs[i]->name, name)) return omma_sight_output(s, i);
    const omma_value *v = omma_graph_find(s->fov->specialised.graph, name);
    return v ? omma_sight_tensor(s, v) : NULL;
}

const float *omma_sight_in_order(const omma_attention *a, const omma_tensor *t, omma_arena *arena) {
    if (t->dtype == OMMA_F32 && omma_attention_row_major(a)) return t->data;
    const size_t n = (size_t)omma_tensor_count(t);
    float *w = omma_arena_array(arena, n + 1, sizeof *w), *to = w;
    if (!w) return NULL;
    for (int64_t i = 0; i < a->windows * a->heads * a->queries; i++) {
        const int64_t query = i % a->queries, head = i / a->queries;
        const int64_t at =
            omma_heads_at(&a->at_weights, head / a->heads, head % a->heads, query, 0);
        for (int64_t k = 0; k < a->keys; k++)
            *to++ = (float)omma_get_number(t->dtype, t->data, at + k * a->at_weights.column);
    }
    return w;
}

omma_status omma_sight_read_weights(const float **out, omma_sight *s, int attention,
                                    omma_error *err) {
    *out = NULL;
    if (attention < 0 || attention >= s->anatomy.n_attention)
        return omma_fail(err, OMMA_E_RANGE, "attention %d: the model has %d", attention,
                         s->anatomy.n_attention);
    const omma_attention *a = &s->anatomy.attention[attention];
    const omma_tensor *t = omma_sight_tensor(s, a->weights);
    const float **w = &s->weights[attention];
    if (!t)
        return omma_fail(err, OMMA_E_UNSUPPORTED,
                         "%s: its weights are inside of an operator that ran whole", a->label);
    if (!*w) *w = omma_sight_in_order(a, t, &s->arena);
    *out = *w;
    return *w ? OMMA_OK : no_memory(err);
}

const float *omma_sight_weights(omma_sight *s, int attention) {
    const float *w;
    return omma_sight_read_weights(&w, s, attention, NULL) ? NULL : w;
}

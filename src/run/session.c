/* session.c - the public session: a base graph, plans by input shape, watched values. */
#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "run/debug.h"
#include "run/session.h"
#include "run/stage.h"

struct omma_session {
    omma_shared *shared; /* with the other sessions on the graph */
    bool alone;          /* there are none: shared is the session's own */
    const char *name;    /* the model's, for messages */
    omma_budget budget;
    int threads;
    omma_arena arena;       /* of a base graph of its own, and its packed weights */
    const omma_graph *base; /* NULL until the first run after a change */
    omma_stage stage;       /* its plans */
    const omma_plan *last;  /* of the last successful run */
    omma_arena names;       /* of watched values */
    const char **watched;
    int n_watched, cap_watched;
    bool stale; /* a watch was added: the next run makes the base graph anew */
};

static void drop_base(omma_session *s) {
    omma_stage_drop(&s->stage);
    omma_arena_free(&s->arena);
    memset(s->stage.packs.head, 0, sizeof s->stage.packs.head);
    s->stage.by_value = NULL;
    s->base = NULL;
    s->last = NULL;
}

/* Who watches nothing takes the one that all share. */
static omma_status make_base(omma_session *s, omma_error *err) {
    if (s->base) return OMMA_OK;
    omma_graph *own = NULL;
    omma_shared_enter(s->shared, &s->budget);
    omma_status status = s->n_watched ? omma_base_graph(&own, s->shared->graph, s->watched,
                                                        s->n_watched, &s->arena, err)
                                      : omma_shared_base(s->shared, &s->base, err);
    omma_shared_leave(s->shared);
    if (own) s->base = own;
    if (status) drop_base(s);
    return status;
}

static omma_status set_up(omma_session *s, const omma_options *opt, omma_error *err) {
    s->budget.limit = opt && opt->max_memory ? opt->max_memory : omma_memory_default();
    s->budget.beside = &s->shared->budget;
    s->threads = opt && opt->threads > 0 ? opt->threads : omma_threads_default();
    if (s->threads > OMMA_MAX_THREADS) s->threads = OMMA_MAX_THREADS;
    omma_arena_init(&s->arena, &s->budget);
    omma_arena_init(&s->names, &s->budget);
    s->stage.packs.arena = &s->arena;
    s->stage.packs.shared = &s->shared->packs;
    s->stage.shared = s->shared;
    s->stage.budget = &s->budget;
    s->stage.threads = s->threads;
    s->stage.observer = omma_debug_tracer();
    s->stage.bf16.on = opt && opt->bf16;
    if (s->stage.bf16.on && opt->keep_float) {
        s->stage.bf16.keep =
            omma_arena_strndup(&s->names, opt->keep_float, strlen(opt->keep_float));
        if (!s->stage.bf16.keep) return omma_fail(err, OMMA_E_NOMEM, "no memory for a session");
    }
    return make_base(s, err);
}

omma_status omma_session_on_shared(omma_session **out, omma_shared *shared, const char *name,
                                   const omma_options *opt, omma_error *err) {
    *out = NULL;
    OMMA_TRY(omma_debug_environment(err));
    omma_session *s = omma_mem_alloc(sizeof *s);
    if (!s) return omma_fail(err, OMMA_E_NOMEM, "no memory for a session");
    s->shared = shared;
    s->name = name;
    omma_status status = set_up(s, opt, err);
    if (status) {
        omma_error_in_file(err, name);
        omma_session_free(s);
        return status;
    }
    *out = s;
    return OMMA_OK;
}

omma_status omma_session_on_graph(omma_session **out, const omma_graph *graph, const char *name,
                                  const omma_options *opt, omma_error *err) {
    *out = NULL;
    omma_shared *shared = omma_shared_new(graph);
    if (!shared) return omma_fail(err, OMMA_E_NOMEM, "no memory for a session");
    omma_status status = omma_session_on_shared(out, shared, name, opt, err);
    if (status) omma_shared_free(shared);
    else (*out)->alone = true;
    return status;
}

void omma_session_free(omma_session *s) {
    if (!s) return;
    drop_base(s);
    omma_arena_free(&s->names);
    if (s->alone) omma_shared_free(s->shared);
    omma_mem_free(s);
}

void omma_session_observe(omma_session *s, const omma_observer *o) {
    s->stage.observer = o ? o : omma_debug_tracer();
}

omma_session_size omma_session_measure(const omma_session *s) {
    omma_session_size size = {0,
                              atomic_load(&s->budget.used) + atomic_load(&s->shared->budget.used)};
    for (const omma_plan *p = s->last; p; p = p->tail ? p->tail->plans : NULL)
        size.plans += p->bytes;
    return size;
}

/* --- watching ------------------------------------------------------------------ */

omma_status omma_session_watch(omma_session *s, const char *value, omma_error *err) {
    const omma_value *v = omma_graph_find(s->shared->graph, value);
    if (!v || (!v->producer && !v->data && !v->is_input && !v->list))
        return omma_fail_node(err, OMMA_E_NOTFOUND, value, NULL,
                              v ? "nothing in the model computes this value"
                                : "the model has no value of that name");
    for (int i = 0; i < s->n_watched; i++)
        if (!strcmp(s->watched[i], value)) return OMMA_OK;
    if (s->n_watched == s->cap_watched) {
        int cap = s->cap_watched ? s->cap_watched * 2 : 16;
        const char **bigger = omma_arena_array(&s->names, (size_t)cap, sizeof *bigger);
        if (!bigger) return omma_fail(err, OMMA_E_NOMEM, "no memory to watch a value");
        if (s->n_watched) memcpy(bigger, s->watched, (size_t)s->n_watched * sizeof *bigger);
        s->watched = bigger;
        s->cap_watched = cap;
    }
    const char *name = omma_arena_strndup(&s->names, value, strlen(value));
    if (!name) return omma_fail(err, OMMA_E_NOMEM, "no memory to watch a value");
    s->watched[s->n_watched++] = name;
    s->stale = true;
    return OMMA_OK;
}

const omma_tensor *omma_session_watched(const omma_session *s, const char *value) {
    for (int i = 0; s->last && i < s->last->n_watched; i++)
        if (!strcmp(s->watched[i], value)) return &s->last->watched[i];
    return NULL;
}

const omma_tensor *omma_session_output(const omma_session *s, int i) {
    return s->last && i >= 0 && i < s->last->n_outputs ? &s->last->outputs[i] : NULL;
}

/* --- running ------------------------------------------------------------------- */

/* Inputs of more than `unread` bytes need no data. */
static omma_status check_input(const omma_session *s, const omma_tensor *inputs, int i,
                               size_t unread, omma_error *err) {
    const omma_value *port = s->shared->graph->inputs[i];
    const omma_tensor *t = &inputs[i];
    if (t->dtype != port->dtype && port->dtype != OMMA_NONE)
        return omma_fail_node(err, OMMA_E_SHAPE, port->name, NULL,
                              "this input must be of %s, not %s", omma_dtype_name(port->dtype),
                              omma_dtype_name(t->dtype));
    size_t bytes;
    if (t->rank < 0 || t->rank > OMMA_MAX_RANK || !omma_dtype_size(t->dtype) ||
        !omma_dims_bytes(t->dims, t->rank, omma_dtype_size(t->dtype), &bytes))
        return omma_fail_node(err, OMMA_E_SHAPE, port->name, NULL,
                              "the tensor given for this input has no sound shape");
    if (bytes && bytes <= unread && !t->data)
        return omma_fail_node(err, OMMA_E_USAGE, port->name, NULL,
                              "the tensor given for this input has no data");
    if (port->rank < 0) return OMMA_OK;
    if (t->rank != port->rank)
        return omma_fail_node(err, OMMA_E_SHAPE, port->name, NULL,
                              "this input has %d dimensions, not %d", port->rank, t->rank);
    for (int d = 0; d < t->rank; d++)
        if (port->dims[d] >= 0 && port->dims[d] != t->dims[d])
            return omma_fail_node(err, OMMA_E_SHAPE, port->name, NULL,
                                  "dimension %d of this input is %lld, not %lld", d,
                                  (long long)port->dims[d], (long long)t->dims[d]);
    return OMMA_OK;
}

/* Check the inputs and make the base graph, so that the stage may plan or run. */
static omma_status get_ready(omma_session *s, const omma_tensor *inputs, int n, size_t unread,
                             omma_error *err) {
    const omma_graph *g = s->shared->graph;
    s->last = NULL;
    if (n != g->n_inputs)
        return omma_fail(err, OMMA_E_USAGE, "%s has %d inputs, not %d", s->name, g->n_inputs, n);
    for (int i = 0; i < n; i++) OMMA_TRY(check_input(s, inputs, i, unread, err));
    if (s->stale) drop_base(s);
    s->stale = false;
    OMMA_TRY(make_base(s, err));
    s->stage.base = s->base;
    s->stage.watch = s->watched;
    s->stage.n_watch = s->n_watched;
    return OMMA_OK;
}

omma_status omma_session_prepare(omma_session *s, const omma_tensor *inputs, int n,
                                 omma_error *err) {
    OMMA_TRY(get_ready(s, inputs, n, OMMA_BY_VALUE_MAX, err));
    return omma_stage_plan(&s->stage, inputs, err);
}

omma_status omma_session_run(omma_session *s, const omma_tensor *inputs, int n, omma_error *err) {
    OMMA_TRY(get_ready(s, inputs, n, SIZE_MAX, err));
    OMMA_TRY(omma_stage_run(&s->stage, inputs, err));
    s->last = s->stage.plans;
    return OMMA_OK;
}

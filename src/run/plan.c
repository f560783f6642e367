/* plan.c - specialise, lay out, execute; see plan.h. */
#include "run/plan.h"

#include <string.h>

#include "base/checked.h"
#include "base/pages.h"
#include "base/pool.h"
#include "graph/scaled.h"
#include "pass/passes.h"
#include "run/debug.h"
#include "run/stage.h"

enum {
    DEPTH_MAX = 256,   /* cuts one behind the other */
    COPY_MAX = 1 << 20 /* [bytes] constants of a file that runs read from a copy */
};

/* --- the shape-independent part ------------------------------------------------ */

omma_status omma_base_graph(omma_graph **out, const omma_graph *model, const char *const *keep,
                            int n, omma_arena *arena, omma_error *err) {
    omma_graph *g = *out = omma_graph_clone(model, arena);
    if (!g) return omma_fail(err, OMMA_E_NOMEM, "no memory for a copy of the graph");
    for (int i = 0; i < n; i++) {
        omma_value *v = omma_graph_find(g, keep[i]);
        if (!v)
            return omma_fail(err, OMMA_E_NOTFOUND, "the model has no value named '%s'", keep[i]);
        v->kept = true;
    }
    for (int i = 0; i < g->n_values; i++) g->values[i]->shared = g->values[i]->data;
    omma_build b = {.arena = arena, .err = err, .kern = omma_kernels_best()};
    OMMA_TRY(omma_pass_quantized(&b, g));
    OMMA_TRY(omma_debug_pass(g, "quantized", err));
    OMMA_TRY(omma_pass_fold(&b, g, false, NULL));
    OMMA_TRY(omma_debug_pass(g, "constants", err));
    OMMA_TRY(omma_pass_fuse(&b, g));
    return omma_debug_pass(g, "fuse", err);
}

/* --- specialise ---------------------------------------------------------------- */

static bool small(const omma_value *v) { return omma_value_bytes(v) <= OMMA_BY_VALUE_MAX; }

static omma_status set_input(omma_build *b, omma_value *v, const omma_tensor *t, bool by_value) {
    v->dtype = t->dtype;
    v->rank = t->rank;
    memcpy(v->dims, t->dims, sizeof v->dims);
    size_t bytes;
    if (!omma_dims_bytes(v->dims, v->rank, omma_dtype_size(v->dtype), &bytes))
        return omma_fail_node(b->err, OMMA_E_SHAPE, v->name, NULL,
                              "the size of this input overflows");
    if (!by_value) return OMMA_OK;
    void *copy = omma_arena_alloc(b->arena, omma_value_bytes(v));
    if (!copy) return omma_fail(b->err, OMMA_E_NOMEM, "no memory for a plan");
    if (omma_value_bytes(v)) memcpy(copy, t->data, omma_value_bytes(v));
    v->data = copy;
    return OMMA_OK;
}

static omma_status prepare(omma_build *b, omma_graph *g) {
    for (int i = 0; i < g->n_nodes; i++) {
        omma_node *n = g->nodes[i];
        n->packed = NULL;
        n->packed_in = 0;
        n->in_place = 0;
        n->scratch = 0;
        if (n->op->prepare) OMMA_TRY(n->op->prepare(b, n));
    }
    return OMMA_OK;
}

/* Constants that nodes read while running, and outputs that are constants, must lie aligned. Small
 * ones are scattered over the file, and a page of each would bring megabytes around it. Such get an
 * aligned copy, once a session. Large ones stay where they are: a table may be read here and there.
 */
static omma_status place_constant(omma_build *b, omma_value *v) {
    size_t size = omma_dtype_size(v->dtype), bytes = omma_value_bytes(v);
    omma_scaled_keep(v);
    v->mem = (void *)(uintptr_t)v->data;
    const bool aligned = !size || (uintptr_t)v->data % size == 0;
    if (!bytes || (aligned && (bytes > COPY_MAX || !omma_pages_of_file(v->data)))) return OMMA_OK;
    const void *from;
    v->mem = omma_pack(b, v, "copy", bytes, &from);
    if (!v->mem) return omma_fail_node(b->err, OMMA_E_NOMEM, v->name, NULL, "no memory for a copy");
    if (from) memcpy(v->mem, from, bytes), omma_pack_done(v);
    return OMMA_OK;
}

static omma_status place_constants(omma_build *b, omma_graph *g) {
    for (int i = 0; i < g->n_values; i++) {
        g->values[i]->mem = NULL;
        if (g->values[i]->data && (g->values[i]->is_output || g->values[i]->kept))
            OMMA_TRY(place_constant(b, g->values[i]));
    }
    for (int i = 0; i < g->n_nodes; i++) {
        const omma_node *n = g->nodes[i];
        for (int k = 0; k < n->n_in; k++) {
            omma_value *v = n->in[k];
            bool packed = k < 32 && n->packed_in >> k & 1;
            if (v && v->data && !v->mem && !packed) OMMA_TRY(place_constant(b, v));
        }
    }
    return OMMA_OK;
}

static omma_status place_values(omma_plan *p, omma_error *err) {
    omma_graph *g = p->graph;
    omma_layout layout;
    OMMA_TRY(omma_pass_memory(&layout, g, &p->arena, err));
    OMMA_TRY(omma_budget_take(p->arena.budget, layout.bytes, err));
    p->bytes = layout.bytes;
    p->memory = omma_mem_alloc_raw(p->bytes);
    p->bound = omma_arena_array(&p->arena, (size_t)g->n_values, sizeof *p->bound);
    if (!p->memory || !p->bound)
        return omma_fail(err, OMMA_E_NOMEM, "no memory for a plan of %.1f MiB",
                         (double)p->bytes / 1048576.0);
    for (int i = 0; i < g->n_values; i++) {
        omma_value *v = g->values[i];
        if (layout.value[i].kind == OMMA_PLACE_PLAN)
            v->mem = (char *)p->memory + layout.value[i].at;
        if (layout.value[i].kind == OMMA_PLACE_INPUT)
            p->bound[p->n_bound++] = (struct omma_bound){v, (int)layout.value[i].at};
    }
    for (int i = 0; i < g->n_nodes; i++) g->nodes[i]->work = (char *)p->memory + layout.work[i];
    return OMMA_OK;
}

/* The rest of the graph becomes a stage. Its constants may be this plan's, so it has packed
 * weights of its own, which live as long as the plan. */
static omma_status cut(omma_plan *p, int at, const omma_plan_options *o, omma_error *err) {
    if (o->depth == DEPTH_MAX)
        return omma_fail(err, OMMA_E_UNSUPPORTED,
                         "more than %d times the data decides how the model goes on", DEPTH_MAX);
    OMMA_TRY(omma_pass_cut(&p->cut, p->graph, at, &p->arena, err));
    OMMA_TRY(omma_debug_pass(p->cut.tail, "tail", err));
    p->tail = omma_arena_alloc(&p->arena, sizeof *p->tail);
    p->crossing = omma_arena_array(&p->arena, (size_t)p->cut.tail->n_inputs, sizeof *p->crossing);
    if (!p->tail || !p->crossing) return omma_fail(err, OMMA_E_NOMEM, "no memory for a plan");
    *p->tail = (omma_stage){.base = p->cut.tail,
                            .packs = {.arena = &p->arena, .shared = o->packs->shared},
                            .shared = o->shared,
                            .budget = o->budget,
                            .threads = o->threads,
                            .bf16 = o->bf16,
                            .depth = o->depth + 1};
    return OMMA_OK;
}

/* --- inputs whose contents decide a shape ---------------------------------------------- */

/* Mark the graph inputs that v's numbers come from. */
static void mark_sources(const omma_graph *g, const omma_value *v, bool *marked) {
    marked[v->index] = true;
    for (int i = v->producer ? v->producer->index : -1; i >= 0; i--) {
        const omma_node *n = g->nodes[i];
        bool leads = false;
        for (int k = 0; k < n->n_out; k++) leads |= n->out[k] && marked[n->out[k]->index];
        for (int k = 0; k < n->n_in && leads; k++)
            if (n->in[k]) marked[n->in[k]->index] = true;
    }
}

/* What is wanted is known at once if it comes from small inputs: they are taken by value,
 * and the plan is made again. Numbers made from anything but whole numbers change with
 * every run, so there a cut is better where one can be made. */
static omma_status take_by_value(omma_plan *p, const omma_value *wanted, bool can_cut,
                                 bool *by_value, bool *more, omma_error *err) {
    const omma_graph *g = p->graph;
    bool *marked = omma_arena_array(&p->arena, (size_t)g->n_values, sizeof *marked);
    *more = false;
    if (!marked) return omma_fail(err, OMMA_E_NOMEM, "no memory for a plan");
    mark_sources(g, wanted, marked);
    for (int i = 0; i < g->n_inputs; i++) {
        const omma_value *v = g->inputs[i];
        if (!marked[v->index] || v->data) continue;
        bool whole = v == wanted || (v->dtype != OMMA_F32 && v->dtype != OMMA_F64 &&
                                     v->dtype != OMMA_F16 && v->dtype != OMMA_BF16);
        if (!small(v) || (can_cut && !whole)) {
            *more = false;
            return OMMA_OK;
        }
        *more = true;
    }
    for (int i = 0; i < g->n_inputs && *more; i++)
        if (marked[g->inputs[i]->index]) by_value[i] = true;
    return OMMA_OK;
}

static bool *copy_marks(omma_plan *p, const bool *by_value, int n) {
    bool *copy = omma_arena_array(&p->arena, (size_t)n, sizeof *copy);
    if (copy && n) memcpy(copy, by_value, (size_t)n * sizeof *copy);
    return copy;
}

/* The passes over a graph whose shapes are known. */
static omma_status improve(omma_build *b, omma_graph *g, const omma_bf16_how *bf16) {
    OMMA_TRY(omma_debug_pass(g, "specialise", b->err));
    OMMA_TRY(omma_pass_fuse_known(b, g));
    OMMA_TRY(omma_debug_pass(g, "fuse-known", b->err));
    if (omma_pass_on("layout")) OMMA_TRY(omma_pass_layout(b, g));
    OMMA_TRY(omma_debug_pass(g, "layout", b->err));
    OMMA_TRY(omma_pass_fuse_last(b, g));
    OMMA_TRY(omma_debug_pass(g, "fuse-last", b->err));
    if (bf16->on && omma_pass_on("bf16")) {
        OMMA_TRY(omma_pass_bf16(b, g, bf16));
        OMMA_TRY(omma_debug_pass(g, "bf16", b->err));
    }
    OMMA_TRY(omma_pass_bands(b, g));
    return omma_debug_pass(g, "bands", b->err);
}

/* Constants into the form that nodes read. */
static omma_status ready(omma_build *b, omma_graph *g) {
    omma_staging staging = {.budget = b->arena->budget};
    for (int i = 0; i < g->n_values; i++) {
        const omma_value *v = g->values[i];
        const size_t bytes = v->scaled && !v->scaled->held ? omma_value_bytes(v) : 0;
        if (bytes > staging.most) staging.most = bytes;
    }
    b->staging = &staging;
    omma_status s = prepare(b, g);
    if (!s) s = place_constants(b, g);
    omma_staging_free(&staging);
    b->staging = NULL;
    omma_pages_leave();
    return s;
}

/* *again: more inputs were taken by value, and the plan must be made anew. */
static omma_status build(omma_plan *p, const omma_graph *base, const omma_tensor *inputs,
                         const omma_plan_options *o, bool *again, omma_error *err) {
    omma_graph *g = p->graph = omma_graph_clone(base, &p->arena);
    p->by_value = copy_marks(p, o->by_value, base->n_inputs);
    if (!g || !p->by_value) return omma_fail(err, OMMA_E_NOMEM, "no memory for a plan");
    omma_build b = {.arena = &p->arena,
                    .err = err,
                    .kern = omma_kernels_best(),
                    .threads = o->threads,
                    .packs = o->packs};
    for (int i = 0; i < g->n_values; i++) g->values[i]->lasting = g->values[i]->data;
    for (int i = 0; i < g->n_inputs; i++)
        OMMA_TRY(set_input(&b, g->inputs[i], &inputs[i], p->by_value[i]));
    int at;
    omma_status s = omma_pass_fold(&b, g, true, &at);
    if (b.wanted && at >= 0) {
        omma_error why; /* err keeps what the node said */
        omma_status taken = take_by_value(p, b.wanted, at > 0, o->by_value, again, &why);
        if (taken && err) *err = why;
        if (taken || *again) return taken;
    }
    if (s && at <= 0) return s;
    p->n_outputs = g->n_outputs;
    if (at > 0) OMMA_TRY(cut(p, at, o, err));
    OMMA_TRY(improve(&b, g, &o->bf16));
    OMMA_TRY(ready(&b, g));
    return place_values(p, err);
}

/* Where the watched values are: here, or in the tail, which is told their names. */
static omma_status find_watched(omma_plan *p, const char *const *names, int n, omma_error *err) {
    p->watch = omma_arena_array(&p->arena, (size_t)n, sizeof *p->watch);
    p->watched = omma_arena_array(&p->arena, (size_t)n, sizeof *p->watched);
    const char **later = omma_arena_array(&p->arena, (size_t)n, sizeof *later);
    p->outputs = omma_arena_array(&p->arena, (size_t)p->n_outputs, sizeof *p->outputs);
    if (!p->watch || !p->watched || !later || !p->outputs)
        return omma_fail(err, OMMA_E_NOMEM, "no memory to watch values");
    int n_later = 0;
    for (p->n_watched = 0; p->n_watched < n; p->n_watched++) {
        const char *name = names[p->n_watched];
        omma_value *v = p->watch[p->n_watched] = omma_graph_find(p->graph, name);
        if (!v && (!p->tail || !omma_graph_find(p->tail->base, name)))
            return omma_fail_node(err, OMMA_E_INTERNAL, name, NULL, "a watched value was lost");
        if (!v) later[n_later++] = name;
    }
    if (p->tail) p->tail->watch = later, p->tail->n_watch = n_later;
    return OMMA_OK;
}

static omma_status try_plan(omma_plan **out, const omma_graph *base, const omma_tensor *inputs,
                            const omma_plan_options *o, bool *again, omma_error *err) {
    omma_plan *p = omma_mem_alloc(sizeof *p);
    if (!p) return omma_fail(err, OMMA_E_NOMEM, "no memory for a plan");
    omma_arena_init(&p->arena, o->budget);
    omma_status s = build(p, base, inputs, o, again, err);
    if (!s && !*again) s = find_watched(p, o->watch, o->n_watch, err);
    if (s || *again) omma_plan_free(p);
    else *out = p;
    return s;
}

omma_status omma_plan_new(omma_plan **out, const omma_graph *base, const omma_tensor *inputs,
                          const omma_plan_options *o, omma_error *err) {
    bool again;
    *out = NULL;
    do { /* each time another input is taken by value, so there is an end */
        again = false;
        OMMA_TRY(try_plan(out, base, inputs, o, &again, err));
    } while (again);
    return OMMA_OK;
}

void omma_plan_free(omma_plan *p) {
    if (!p) return;
    if (p->tail) omma_stage_drop(p->tail);
    omma_mem_free(p->memory);
    omma_budget_give(p->arena.budget, p->bytes);
    omma_arena_free(&p->arena);
    omma_mem_free(p);
}

bool omma_plan_fits(const omma_plan *p, const omma_tensor *inputs) {
    for (int i = 0; i < p->graph->n_inputs; i++) {
        const omma_value *v = p->graph->inputs[i];
        if (v->dtype != inputs[i].dtype || v->rank != inputs[i].rank) return false;
        if (memcmp(v->dims, inputs[i].dims, (size_t)v->rank * sizeof *v->dims)) return false;
        size_t bytes = p->by_value[i] ? omma_value_bytes(v) : 0;
        if (bytes && memcmp(v->data, inputs[i].data, bytes)) return false;
    }
    return true;
}

/* --- execute ------------------------------------------------------------------- */

static void bind_inputs(omma_plan *p, const omma_tensor *inputs) {
    for (int i = 0; i < p->n_bound; i++) p->bound[i].value->mem = inputs[p->bound[i].input].data;
    for (int i = 0; i < p->graph->n_inputs;
         i++) { /* inputs that are outputs or watched are copied */
        omma_value *v = p->graph->inputs[i];
        size_t bytes = omma_value_bytes(v);
        if (v->mem && v->mem != inputs[i].data && bytes) memcpy(v->mem, inputs[i].data, bytes);
    }
}

static omma_status run_node(const omma_exec *x, const omma_node *n) {
    if (!(n->op->flags & OMMA_OP_VIEW) || n->n_out != 1) return n->op->run(x, n);
    void *from = n->in[0]->mem, *to = n->out[0]->mem;
    size_t bytes = omma_value_bytes(n->out[0]);
    if (from != to && bytes) memcpy(to, from, bytes);
    return OMMA_OK;
}

static omma_status run_observed(const omma_exec *x, const omma_node *n, const omma_observer *o) {
    const double start = omma_debug_clock();
    OMMA_TRY(run_node(x, n));
    o->node(o->user, n, start, omma_debug_clock());
    return OMMA_OK;
}

static omma_status run_tail(omma_plan *p, omma_error *err) {
    for (int i = 0; i < p->tail->base->n_inputs; i++)
        p->crossing[i] = omma_value_tensor(p->cut.crossing[i]);
    p->tail->observer = p->observer;
    return omma_stage_run(p->tail, p->crossing, err);
}

/* Hand out the outputs and watched values, the tail's among them. */
static void give(omma_plan *p) {
    const omma_plan *tail = p->tail ? p->tail->plans : NULL;
    for (int i = 0; i < p->n_outputs; i++) {
        const omma_value *v = tail ? p->cut.output[i].here : p->graph->outputs[i];
        p->outputs[i] = v ? omma_value_tensor(v) : tail->outputs[p->cut.output[i].there];
    }
    for (int i = 0, k = 0; i < p->n_watched; i++)
        p->watched[i] = p->watch[i] ? omma_value_tensor(p->watch[i]) : tail->watched[k++];
}

static omma_status run_nodes(omma_plan *p, const omma_exec *x) {
    const omma_graph *g = p->graph;
    const omma_observer *o = p->observer;
    for (int i = 0; i < g->n_nodes; i++)
        OMMA_TRY(o ? run_observed(x, g->nodes[i], o) : run_node(x, g->nodes[i]));
    return OMMA_OK;
}

omma_status omma_plan_run(omma_plan *p, const omma_tensor *inputs, int threads, omma_error *err) {
    const omma_exec x = {.threads = threads, .kern = omma_kernels_best(), .err = err};
    bind_inputs(p, inputs);
    if (threads > 1) omma_pool_begin();
    const omma_status s = run_nodes(p, &x);
    if (threads > 1) omma_pool_end();
    OMMA_TRY(s);
    if (p->tail) OMMA_TRY(run_tail(p, err));
    give(p);
    return OMMA_OK;
}

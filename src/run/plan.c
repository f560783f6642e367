/* plan.c - specialise, lay out, execute; see plan.h. */
#include "run/plan.h"

#include <string.h>

#include "base/checked.h"
#include "pass/pass.h"
#include "run/debug.h"

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
    omma_build b = {.arena = arena, .err = err, .kern = omma_kernels_best()};
    OMMA_TRY(omma_pass_fold(&b, g, false));
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
    if (!by_value || !small(v)) return OMMA_OK;
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
        n->scratch = 0;
        if (n->op->prepare) OMMA_TRY(n->op->prepare(b, n));
    }
    return OMMA_OK;
}

/* Constants that nodes read while running, and outputs that are constants, must lie
 * aligned: an aligned copy is made once a session. */
static omma_status align(omma_build *b, omma_value *v) {
    size_t size = omma_dtype_size(v->dtype), bytes = omma_value_bytes(v);
    v->mem = (void *)(uintptr_t)v->data;
    if (!size || (uintptr_t)v->data % size == 0) return OMMA_OK;
    bool fresh;
    v->mem = omma_pack(b, v, "aligned", bytes, &fresh);
    if (!v->mem)
        return omma_fail_node(b->err, OMMA_E_NOMEM, v->name, NULL, "no memory for an aligned copy");
    if (fresh && bytes) memcpy(v->mem, v->data, bytes);
    return OMMA_OK;
}

static omma_status place_constants(omma_build *b, omma_graph *g) {
    for (int i = 0; i < g->n_values; i++) {
        g->values[i]->mem = NULL;
        if (g->values[i]->data && (g->values[i]->is_output || g->values[i]->kept))
            OMMA_TRY(align(b, g->values[i]));
    }
    for (int i = 0; i < g->n_nodes; i++) {
        const omma_node *n = g->nodes[i];
        for (int k = 0; k < n->n_in; k++) {
            omma_value *v = n->in[k];
            bool packed = k < 32 && n->packed_in >> k & 1;
            if (v && v->data && !v->mem && !packed) OMMA_TRY(align(b, v));
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
    p->outputs = omma_arena_array(&p->arena, (size_t)g->n_outputs, sizeof *p->outputs);
    if (!p->memory || !p->bound || !p->outputs)
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

static omma_status build(omma_plan *p, const omma_graph *base, const omma_tensor *inputs,
                         const omma_plan_options *o, omma_error *err) {
    omma_graph *g = p->graph = omma_graph_clone(base, &p->arena);
    if (!g) return omma_fail(err, OMMA_E_NOMEM, "no memory for a plan");
    omma_build b = {.arena = &p->arena,
                    .err = err,
                    .kern = omma_kernels_best(),
                    .threads = o->threads,
                    .packs = o->packs};
    for (int i = 0; i < g->n_values; i++) g->values[i]->lasting = g->values[i]->data;
    for (int i = 0; i < g->n_inputs; i++)
        OMMA_TRY(set_input(&b, g->inputs[i], &inputs[i], o->by_value));
    OMMA_TRY(omma_pass_fold(&b, g, true));
    OMMA_TRY(omma_debug_pass(g, "specialise", err));
    OMMA_TRY(prepare(&b, g));
    OMMA_TRY(place_constants(&b, g));
    return place_values(p, err);
}

static omma_status find_watched(omma_plan *p, const char *const *names, int n, omma_error *err) {
    p->watch = omma_arena_array(&p->arena, (size_t)n, sizeof *p->watch);
    p->watched = omma_arena_array(&p->arena, (size_t)n, sizeof *p->watched);
    if (!p->watch || !p->watched) return omma_fail(err, OMMA_E_NOMEM, "no memory to watch values");
    for (p->n_watched = 0; p->n_watched < n; p->n_watched++) {
        p->watch[p->n_watched] = omma_graph_find(p->graph, names[p->n_watched]);
        if (!p->watch[p->n_watched])
            return omma_fail_node(err, OMMA_E_INTERNAL, names[p->n_watched], NULL,
                                  "a watched value was lost");
    }
    return OMMA_OK;
}

omma_status omma_plan_new(omma_plan **out, const omma_graph *base, const omma_tensor *inputs,
                          const omma_plan_options *o, omma_error *err) {
    *out = NULL;
    omma_plan *p = omma_mem_alloc(sizeof *p);
    if (!p) return omma_fail(err, OMMA_E_NOMEM, "no memory for a plan");
    omma_arena_init(&p->arena, o->budget);
    p->by_value = o->by_value;
    omma_status s = build(p, base, inputs, o, err);
    if (!s) s = find_watched(p, o->watch, o->n_watch, err);
    if (s) omma_plan_free(p);
    else *out = p;
    return s;
}

void omma_plan_free(omma_plan *p) {
    if (!p) return;
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
        if (p->by_value && small(v) && omma_value_bytes(v) &&
            memcmp(v->data, inputs[i].data, omma_value_bytes(v)))
            return false;
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

static void trace(FILE *f, const omma_node *n, double seconds) {
    const omma_value *v = n->out[0];
    fprintf(f, "%.1f us\t%s\t%s\t", seconds * 1e6, n->op->name, n->name);
    for (int i = 0; v && i < v->rank; i++)
        fprintf(f, "%s%lld", i ? "x" : "", (long long)v->dims[i]);
    fputc('\n', f);
}

omma_status omma_plan_run(omma_plan *p, const omma_tensor *inputs, int threads, omma_error *err) {
    omma_graph *g = p->graph;
    omma_exec x = {.threads = threads, .kern = omma_kernels_best(), .err = err};
    FILE *f = omma_debug_trace();
    bind_inputs(p, inputs);
    for (int i = 0; i < g->n_nodes; i++) {
        double start = f ? omma_debug_clock() : 0;
        OMMA_TRY(run_node(&x, g->nodes[i]));
        if (f) trace(f, g->nodes[i], omma_debug_clock() - start);
    }
    for (int i = 0; i < g->n_outputs; i++) p->outputs[i] = omma_value_tensor(g->outputs[i]);
    for (int i = 0; i < p->n_watched; i++) p->watched[i] = omma_value_tensor(p->watch[i]);
    return OMMA_OK;
}

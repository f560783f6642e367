/* inspect.c - see inspect.h. */
#include "model/inspect.h"

#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "run/cost.h"
#include "run/debug.h"
#include "run/stage.h"

const int64_t omma_inspect_sizes[OMMA_INSPECT_SIZES] = {224, 320, 640, 256, 512};

omma_status omma_inspect_shapes(omma_tensor **out, const omma_model *m, int64_t open_size,
                                bool *open, omma_arena *arena, omma_error *err) {
    int n = omma_model_input_count(m);
    omma_tensor *t = *out = omma_arena_array(arena, (size_t)n, sizeof *t);
    if (!t) return omma_fail(err, OMMA_E_NOMEM, "no memory for shapes");
    *open = false;
    for (int i = 0; i < n; i++) {
        const omma_port *p = omma_model_input(m, i);
        if (p->rank < 0)
            return omma_fail_node(err, OMMA_E_UNSUPPORTED, p->name, NULL,
                                  "this input's number of dimensions is not declared");
        t[i] = (omma_tensor){.dtype = p->dtype, .rank = p->rank};
        for (int d = 0; d < p->rank; d++) {
            t[i].dims[d] = p->dims[d] >= 0          ? p->dims[d]
                           : d == 0                 ? 1
                           : d == 1 && p->rank == 4 ? 3
                                                    : open_size;
            if (p->dims[d] < 0 && d > 0) *open = true;
        }
    }
    return OMMA_OK;
}

static bool small(const omma_tensor *t) {
    size_t bytes;
    return omma_dims_bytes(t->dims, t->rank, omma_dtype_size(t->dtype), &bytes) &&
           bytes <= OMMA_BY_VALUE_MAX;
}

/* Contents for small inputs, in case they decide shapes: zeros. */
static omma_status zeros(omma_inspection *x, const omma_model *m, const omma_tensor *shapes,
                         omma_error *err) {
    int n = omma_model_input_count(m);
    x->inputs = omma_arena_array(&x->arena, (size_t)n, sizeof *x->inputs);
    if (!x->inputs) return omma_fail(err, OMMA_E_NOMEM, "no memory for shapes");
    for (int i = 0; i < n; i++) {
        x->inputs[i] = shapes[i];
        if (!small(&shapes[i])) continue;
        x->inputs[i].data = omma_arena_alloc(&x->arena, OMMA_BY_VALUE_MAX);
        if (!x->inputs[i].data) return omma_fail(err, OMMA_E_NOMEM, "no memory for shapes");
    }
    return OMMA_OK;
}

/* The tail of a plan that is cut is specialised when it runs: its outputs have no shape yet
 * (rank -1) and its arithmetic does not count. */
static omma_status measure(omma_inspection *x, const omma_plan *p, omma_error *err) {
    const omma_graph *g = p->graph;
    x->outputs = omma_arena_array(&x->arena, (size_t)p->n_outputs, sizeof *x->outputs);
    if (!x->outputs) return omma_fail(err, OMMA_E_NOMEM, "no memory for shapes");
    for (int i = 0; i < p->n_outputs; i++) {
        const omma_value *v = p->tail ? p->cut.output[i].here : g->outputs[i];
        x->outputs[i] = v ? omma_value_tensor(v) : (omma_tensor){.rank = -1};
        x->outputs[i].data = NULL;
    }
    x->cut = p->tail != NULL;
    x->nodes = g->n_nodes + (p->tail ? p->tail->base->n_nodes : 0);
    x->plan_bytes = p->bytes;
    x->flops = 0;
    for (int i = 0; i < g->n_nodes; i++) x->flops += omma_cost_flops(g->nodes[i]);
    return OMMA_OK;
}

static omma_status at_shapes(omma_inspection *x, const omma_model *m, const omma_graph *base,
                             omma_arena *arena, const omma_tensor *shapes, omma_error *err) {
    OMMA_TRY(zeros(x, m, shapes, err));
    omma_budget budget = {.limit = m->budget.limit};
    omma_stage stage = {.base = base,
                        .packs = {.arena = arena},
                        .budget = &budget,
                        .threads = omma_threads_default()};
    omma_status s = omma_stage_plan(&stage, x->inputs, err);
    if (!s) s = measure(x, stage.plans, err);
    omma_stage_drop(&stage);
    return s;
}

static omma_status at_common_sizes(omma_inspection *x, const omma_model *m, const omma_graph *base,
                                   omma_arena *arena, omma_error *err) {
    omma_status first = OMMA_OK;
    for (size_t i = 0; i < OMMA_INSPECT_SIZES; i++) {
        omma_tensor *shapes;
        bool open;
        OMMA_TRY(omma_inspect_shapes(&shapes, m, omma_inspect_sizes[i], &open, &x->arena, err));
        omma_status s = at_shapes(x, m, base, arena, shapes, i ? NULL : err);
        if (!s) return OMMA_OK;
        if (!i) first = s;
        if (!open) break;
    }
    return first;
}

omma_status omma_inspect(omma_inspection *x, const omma_model *m, const omma_tensor *shapes,
                         omma_error *err) {
    *x = (omma_inspection){0};
    omma_arena_init(&x->arena, NULL);
    OMMA_TRY(omma_debug_environment(err));
    omma_budget budget = {.limit = m->budget.limit};
    omma_arena arena;
    omma_arena_init(&arena, &budget);
    omma_graph *base;
    omma_status s = omma_base_graph(&base, m->graph, NULL, 0, &arena, err);
    size_t before = atomic_load(&budget.used);
    if (!s)
        s = shapes ? at_shapes(x, m, base, &arena, shapes, err)
                   : at_common_sizes(x, m, base, &arena, err);
    x->packed_bytes = atomic_load(&budget.used) - before;
    omma_arena_free(&arena);
    if (s) omma_error_in_file(err, m->path);
    return s;
}

void omma_inspection_free(omma_inspection *x) {
    omma_arena_free(&x->arena);
    x->inputs = x->outputs = NULL;
}

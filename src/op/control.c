/* control.c - If, Loop, Scan: the operators that hold graphs of their own. None of them runs:
 * when a graph is specialised the branch that is taken stands in If's place, and a loop is
 * written out, iteration after iteration. So every reading of the graph (run, gradient, field)
 * and every pass sees plain operators. Where a condition or a trip count is computed from the
 * data the plan is cut before the node, and its rest is specialised when they are known.
 *
 *     y = Loop(3, x){ body }      becomes      body ; body ; body
 *
 * The body's graphs take values from outside by capture: they are inputs of the node from
 * attribute capture_at on. Source: the ONNX operator specification. */
#include <string.h>

#include "op/expand_to.h"

/* A few bytes of a file can ask for any number of iterations, also of loops in loops. */
enum {
    ITERATIONS_MAX = 1 << 16, /* of one loop */
    VALUES_MAX = 1 << 18,     /* of a graph in which loops are written out */
    WAITING_MAX = 1 << 14     /* collected by a loop whose condition must be waited for each time */
};

static omma_status find_body(const omma_expansion *x, const char *name, const omma_attr **out) {
    const omma_attr *a = *out = omma_node_attr(x->n, name);
    if (!a || a->kind != OMMA_ATTR_GRAPH || !a->graph)
        return omma_bad(x->b, x->n, "lacks its graph '%s'", name);
    if (a->capture_at + a->graph->n_inputs - a->graph->n_formal > x->n->n_in)
        return omma_bad(x->b, x->n, "the graph '%s' has lost what it takes from outside", name);
    return OMMA_OK;
}

static omma_status splice(const omma_expansion *x, const omma_graph *body,
                          omma_value *const *actual, omma_value **result, const char *what) {
    const omma_value *name = omma_expand_value(x, what);
    const char *prefix = name ? omma_arena_printf(x->b->arena, "%s/", name->name) : NULL;
    if (!prefix || !omma_graph_splice(x->g, body, actual, result, prefix))
        return omma_nomem(x->b, x->n);
    return OMMA_OK;
}

/* --- If ------------------------------------------------------------------------ */

static omma_status If_expand(omma_build *b, omma_graph *g, omma_node *n, bool *done) {
    const omma_expansion x = {b, g, n};
    double condition;
    bool found;
    const omma_attr *a;
    OMMA_TRY(omma_number_in(b, n, 0, &condition, &found));
    const char *branch = condition != 0 ? "then_branch" : "else_branch";
    OMMA_TRY(find_body(&x, branch, &a));
    if (a->graph->n_formal)
        return omma_bad(b, n, "the graph '%s' has inputs; a branch has none", branch);
    if (a->graph->n_outputs < n->n_out)
        return omma_bad(b, n, "the graph '%s' has %d outputs, the node %d", branch,
                        a->graph->n_outputs, n->n_out);
    omma_value **result = omma_arena_array(b->arena, (size_t)a->graph->n_outputs, sizeof *result);
    if (!result) return omma_nomem(b, n);
    OMMA_TRY(splice(&x, a->graph, n->in + a->capture_at, result, condition != 0 ? "then" : "else"));
    for (int k = 0; k < n->n_out; k++) OMMA_TRY(omma_expand_output(&x, k, result[k]));
    *done = true;
    return OMMA_OK;
}

/* --- what Loop and Scan share ---------------------------------------------------- */

/* A loop being written out. */
typedef struct unrolling {
    omma_expansion x;
    const omma_attr *body;
    int states, scans;    /* values carried on; values collected */
    int64_t done;         /* iterations so far */
    omma_value **actual;  /* by the body's inputs */
    omma_value **result;  /* by the body's outputs */
    omma_value **state;   /* what is carried */
    omma_value **element; /* [done][scans], what is collected */
    int64_t cap;          /* of element, in iterations */
} unrolling;

static omma_status begin(unrolling *u, const char *attr, omma_build *b, omma_graph *g,
                         omma_node *n) {
    *u = (unrolling){.x = {b, g, n}};
    OMMA_TRY(find_body(&u->x, attr, &u->body));
    const omma_graph *body = u->body->graph;
    u->actual = omma_arena_array(b->arena, (size_t)body->n_inputs, sizeof *u->actual);
    u->result = omma_arena_array(b->arena, (size_t)body->n_outputs, sizeof *u->result);
    u->state = omma_arena_array(b->arena, (size_t)body->n_formal, sizeof *u->state);
    if (!u->actual || !u->result || !u->state) return omma_nomem(b, n);
    for (int i = body->n_formal; i < body->n_inputs; i++)
        u->actual[i] = n->in[u->body->capture_at + i - body->n_formal];
    return OMMA_OK;
}

static omma_status make_room(unrolling *u) {
    if (u->done >= ITERATIONS_MAX)
        return omma_unsupported(u->x.b, u->x.n, "runs more than %d times", ITERATIONS_MAX);
    if (u->x.g->n_values > VALUES_MAX)
        return omma_unsupported(u->x.b, u->x.n, "written out, the graph has more than %d values",
                                VALUES_MAX);
    if (u->done < u->cap) return OMMA_OK;
    int64_t cap = u->cap ? u->cap * 2 : 16;
    size_t row = (size_t)u->scans * sizeof *u->element;
    omma_value **bigger = omma_arena_alloc(u->x.b->arena, (size_t)cap * row);
    if (!bigger) return omma_nomem(u->x.b, u->x.n);
    if (u->done && row) memcpy(bigger, u->element, (size_t)u->done * row);
    u->element = bigger;
    u->cap = cap;
    return OMMA_OK;
}

/* One iteration more: u->actual is set; the outputs from `first` on are states and scans. */
static omma_status iterate(unrolling *u, int first) {
    OMMA_TRY(make_room(u));
    const char *what = omma_arena_printf(u->x.b->arena, "%lld", (long long)u->done);
    if (!what) return omma_nomem(u->x.b, u->x.n);
    OMMA_TRY(splice(&u->x, u->body->graph, u->actual, u->result, what));
    for (int k = 0; k < u->states; k++) u->state[k] = u->result[first + k];
    for (int k = 0; k < u->scans; k++)
        u->element[u->done * u->scans + k] = u->result[first + u->states + k];
    u->done++;
    return OMMA_OK;
}

/* A scan output of no iterations: an empty tensor of the declared type. */
static omma_status nothing(const unrolling *u, const omma_port *port, int64_t axis,
                           omma_value *out) {
    int rank = port->rank > 0 ? port->rank + 1 : 1;
    if (!omma_dtype_size(port->dtype) || rank > OMMA_MAX_RANK)
        return omma_unsupported(u->x.b, u->x.n,
                                "no iteration, and the body does not declare a type for '%s'",
                                port->name);
    if (axis < -rank || axis >= rank)
        return omma_bad(u->x.b, u->x.n, "axis %lld of a scan output of rank %d", (long long)axis,
                        rank);
    out->dtype = port->dtype;
    out->rank = rank;
    for (int d = 0, from = 0; d < rank; d++)
        out->dims[d] = d == (axis < 0 ? axis + rank : axis) ? 0
                       : port->dims[from++] < 0             ? 0
                                                            : port->dims[from - 1];
    out->data = omma_arena_alloc(u->x.b->arena, 0);
    return out->data ? OMMA_OK : omma_nomem(u->x.b, u->x.n);
}

/* Scan k of all iterations in one tensor. port: how the body declares it. */
static omma_status collect(const unrolling *u, int k, const omma_port *port, int64_t axis,
                           bool backward, const char *what, omma_value **out) {
    omma_build *b = u->x.b;
    const char *name = omma_arena_printf(b->arena, "%s%d", what, k);
    *out = name ? omma_expand_value(&u->x, name) : NULL;
    omma_value **item = omma_arena_array(b->arena, (size_t)u->done, sizeof *item);
    if (!*out || !item) return omma_nomem(b, u->x.n);
    if (!u->done) return nothing(u, port, axis, *out);
    for (int64_t i = 0; i < u->done; i++) {
        item[i] = u->element[(backward ? u->done - 1 - i : i) * u->scans + k];
        if (item[i]->list) return omma_unsupported(b, u->x.n, "collects a sequence");
    }
    return omma_expand_stack(&u->x, item, (int)u->done, axis, true, name, *out);
}

/* --- Loop ---------------------------------------------------------------------- */

/* What a Loop keeps in n->param once some of its iterations are written out: the elements
 * they gave are its inputs behind the captured ones. */
typedef struct loop_state {
    int64_t done;
} loop_state;

/* 1, 0, or -1 while it is not known. */
static int truth(const omma_value *v) {
    if (!v) return 1;
    if (!v->data || omma_value_count(v) != 1) return -1;
    char copy[8];
    memcpy(copy, v->data, omma_dtype_size(v->dtype));
    return omma_get_number(v->dtype, copy, 0) != 0;
}

/* Through copies and casts to what v holds. */
static omma_value *origin(omma_value *v) {
    while (v->producer && v->producer->n_in == 1 && v->producer->in[0] &&
           (!strcmp(v->producer->op->name, "Identity") || !strcmp(v->producer->op->name, "Cast")))
        v = v->producer->in[0];
    return v;
}

static omma_status loop_begin(unrolling *u, omma_build *b, omma_graph *g, omma_node *n) {
    OMMA_TRY(begin(u, "body", b, g, n));
    const omma_graph *body = u->body->graph;
    u->states = body->n_formal - 2;
    u->scans = body->n_outputs - 1 - u->states;
    if (u->states < 0 || u->scans < 0)
        return omma_bad(b, n,
                        "a body of %d inputs and %d outputs; it needs the iteration, the "
                        "condition, and an output for the condition and each carried value",
                        body->n_formal, body->n_outputs);
    if (n->n_out > u->states + u->scans)
        return omma_bad(b, n, "%d outputs of a body that gives %d", n->n_out, u->states + u->scans);
    if (u->states && u->body->capture_at != u->states + 2)
        return omma_bad(b, n, "%d inputs for a body that carries %d values", u->body->capture_at,
                        u->states);
    for (int k = 0; k < u->states; k++) {
        u->state[k] = n->in[2 + k];
        if (!u->state[k]) return omma_bad(b, n, "carried value %d has no beginning", k);
    }
    const loop_state *so_far = n->param;
    if (!so_far) return OMMA_OK;
    u->done = u->cap = so_far->done;
    u->element = n->in + u->body->capture_at + body->n_inputs - body->n_formal;
    return OMMA_OK;
}

/* The rest of the loop waits for the condition: a Loop that has come so far. */
static omma_status loop_later(const unrolling *u, omma_value *trip, omma_value *condition) {
    omma_build *b = u->x.b;
    const omma_node *n = u->x.n;
    const omma_graph *body = u->body->graph;
    int captures = body->n_inputs - body->n_formal, at = 2 + u->states;
    if (u->done * u->scans > WAITING_MAX)
        return omma_unsupported(
            b, n, "collects more than %d values while its condition is computed", WAITING_MAX);
    int elements = (int)u->done * u->scans;
    omma_node *rest = omma_graph_node(u->x.g, n->op, n->name, at + captures + elements, n->n_out);
    omma_attr *attr = omma_arena_alloc(b->arena, sizeof *attr);
    loop_state *state = omma_arena_alloc(b->arena, sizeof *state);
    if (!rest || !attr || !state) return omma_nomem(b, n);
    *attr = *u->body;
    attr->capture_at = at;
    state->done = u->done;
    rest->attrs = attr;
    rest->n_attrs = 1;
    rest->param = state;
    rest->opset = n->opset;
    rest->offset = n->offset;
    rest->in[0] = trip;
    rest->in[1] = condition;
    for (int k = 0; k < u->states; k++) rest->in[2 + k] = u->state[k];
    for (int k = 0; k < captures; k++) rest->in[at + k] = u->actual[body->n_formal + k];
    for (int k = 0; k < elements; k++) rest->in[at + captures + k] = u->element[k];
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k]) omma_node_set_output(rest, k, n->out[k]);
    return OMMA_OK;
}

static omma_status loop_end(const unrolling *u) {
    const omma_port *ports = u->body->graph->ports + 1 + u->states;
    for (int k = 0; k < u->states; k++) OMMA_TRY(omma_expand_output(&u->x, k, u->state[k]));
    for (int k = 0; k < u->scans; k++) {
        omma_value *all;
        if (u->states + k >= u->x.n->n_out || !u->x.n->out[u->states + k]) continue;
        OMMA_TRY(collect(u, k, &ports[k], 0, false, "scan", &all));
        OMMA_TRY(omma_expand_output(&u->x, u->states + k, all));
    }
    return OMMA_OK;
}

/* The iteration's number, true, and what is carried. */
static omma_status loop_inputs(unrolling *u) {
    omma_value *const *formal = u->body->graph->inputs;
    const char *i = omma_arena_printf(u->x.b->arena, "%lld.i", (long long)u->done);
    const char *c = omma_arena_printf(u->x.b->arena, "%lld.c", (long long)u->done);
    if (!i || !c) return omma_nomem(u->x.b, u->x.n);
    u->actual[0] = omma_expand_number(&u->x, i, OMMA_I64, formal[0]->rank == 1, u->done);
    u->actual[1] = omma_expand_number(&u->x, c, OMMA_BOOL, formal[1]->rank == 1, 1);
    if (!u->actual[0] || !u->actual[1]) return omma_nomem(u->x.b, u->x.n);
    for (int k = 0; k < u->states; k++) u->actual[2 + k] = u->state[k];
    return OMMA_OK;
}

static omma_status Loop_expand(omma_build *b, omma_graph *g, omma_node *n, bool *done) {
    unrolling u;
    int64_t trips = INT64_MAX;
    int given = 0;
    OMMA_TRY(loop_begin(&u, b, g, n));
    omma_value *trip = u.body->capture_at > 0 ? n->in[0] : NULL;
    omma_value *condition = u.body->capture_at > 1 ? n->in[1] : NULL;
    if (trip) OMMA_TRY(omma_ints_in(b, n, 0, &trips, 1, &given));
    /* A count without a condition is a for loop: the text has what the body says ignored. */
    const bool counted = trip && !condition;
    const int64_t before = u.done;
    *done = true;
    while (u.done < trips) {
        int go = truth(condition);
        if (go < 0 && u.done > before) return loop_later(&u, trip, condition);
        if (go < 0) { /* not yet: say what is wanted */
            double number;
            bool found;
            *done = false;
            return omma_number_in(b, n, 1, &number, &found);
        }
        if (!go) break;
        OMMA_TRY(loop_inputs(&u));
        OMMA_TRY(iterate(&u, 1));
        if (!counted) condition = origin(u.result[0]);
    }
    return loop_end(&u);
}

/* --- Scan ---------------------------------------------------------------------- */

/* Integer k of a list attribute, or fallback. */
static int64_t listed(const omma_node *n, const char *attr, int k, int64_t fallback) {
    const omma_attr *a = omma_node_attr(n, attr);
    return a && a->kind == OMMA_ATTR_INTS && k < a->count ? a->ints[k] : fallback;
}

/* Slice i of v along an axis, which goes. */
static omma_status pick(const omma_expansion *x, omma_value *v, int64_t axis, int64_t i,
                        const char *what, omma_value **out) {
    const char *at = omma_arena_printf(x->b->arena, "%s.at", what);
    *out = omma_expand_value(x, what);
    omma_value *in[2] = {v, at ? omma_expand_number(x, at, OMMA_I64, 0, i) : NULL};
    if (!*out || !in[1]) return omma_nomem(x->b, x->n);
    return omma_expand_node(x, "Gather", in, 2, "axis", axis, *out);
}

/* What a Scan is given: from operator set 9 on; before that, for one item of the batch. */
typedef struct scanning {
    unrolling u;
    int inputs;         /* that are scanned */
    omma_value **input; /* them */
    int64_t length;
    const char *directions; /* the attribute of the inputs' directions */
    const char *tag;        /* makes names */
} scanning;

static omma_status scan_inputs(scanning *s, int64_t t) {
    unrolling *u = &s->u;
    for (int k = 0; k < u->states; k++) u->actual[k] = u->state[k];
    for (int k = 0; k < s->inputs; k++) {
        const char *what = omma_arena_printf(u->x.b->arena, "%s%lld.in%d", s->tag, (long long)t, k);
        if (!what) return omma_nomem(u->x.b, u->x.n);
        bool back = listed(u->x.n, s->directions, k, 0) != 0;
        OMMA_TRY(pick(&u->x, s->input[k], listed(u->x.n, "scan_input_axes", k, 0),
                      back ? s->length - 1 - t : t, what, &u->actual[u->states + k]));
    }
    return OMMA_OK;
}

static omma_status scan_length(scanning *s, int shift) {
    omma_build *b = s->u.x.b;
    const omma_node *n = s->u.x.n;
    s->length = -1;
    for (int k = 0; k < s->inputs; k++) {
        const omma_value *v = s->input[k];
        int axis;
        if (v->list) return omma_bad(b, n, "scans a sequence");
        OMMA_TRY(omma_axis(b, n, listed(n, "scan_input_axes", k, 0) + shift, v->rank, &axis));
        if (s->length >= 0 && v->dims[axis] != s->length)
            return omma_bad(b, n, "'%s' is of length %lld, another input of %lld", v->name,
                            (long long)v->dims[axis], (long long)s->length);
        s->length = v->dims[axis];
    }
    return OMMA_OK;
}

/* Check the node against its body; `first` formal inputs come before the states. */
static omma_status scan_begin(scanning *s, omma_build *b, omma_graph *g, omma_node *n, int first) {
    unrolling *u = &s->u;
    OMMA_TRY(begin(u, "body", b, g, n));
    const omma_graph *body = u->body->graph;
    int64_t inputs = omma_node_int(n, "num_scan_inputs", 0);
    if (inputs < 1 || inputs > body->n_formal || u->body->capture_at != first + body->n_formal)
        return omma_bad(b, n, "num_scan_inputs = %lld, %d inputs, and a body of %d",
                        (long long)inputs, u->body->capture_at, body->n_formal);
    s->inputs = (int)inputs;
    u->states = body->n_formal - s->inputs;
    u->scans = body->n_outputs - u->states;
    if (u->scans < 0 || n->n_out > body->n_outputs)
        return omma_bad(b, n, "%d outputs of a body that gives %d and carries %d", n->n_out,
                        body->n_outputs, u->states);
    for (int k = first; k < u->body->capture_at; k++)
        if (!n->in[k]) return omma_bad(b, n, "input %d is left out", k);
    s->input = n->in + first + u->states;
    for (int k = 0; k < u->states; k++) u->state[k] = n->in[first + k];
    return OMMA_OK;
}

static omma_status scan_9(omma_build *b, omma_graph *g, omma_node *n) {
    scanning s = {.directions = "scan_input_directions", .tag = ""};
    unrolling *u = &s.u;
    OMMA_TRY(scan_begin(&s, b, g, n, 0));
    OMMA_TRY(scan_length(&s, 0));
    for (int64_t t = 0; t < s.length; t++) {
        OMMA_TRY(scan_inputs(&s, t));
        OMMA_TRY(iterate(u, 0));
    }
    for (int k = 0; k < u->states; k++) OMMA_TRY(omma_expand_output(&u->x, k, u->state[k]));
    for (int k = 0; k < u->scans; k++) {
        omma_value *all;
        if (u->states + k >= n->n_out || !n->out[u->states + k]) continue;
        OMMA_TRY(collect(u, k, &u->body->graph->ports[u->states + k],
                         listed(n, "scan_output_axes", k, 0),
                         listed(n, "scan_output_directions", k, 0) != 0, "scan", &all));
        OMMA_TRY(omma_expand_output(&u->x, u->states + k, all));
    }
    return OMMA_OK;
}

/* Operator set 8: everything has a batch axis before it, and each item is scanned alone. */
static omma_status scan_8(omma_build *b, omma_graph *g, omma_node *n) {
    scanning s = {.directions = "directions"};
    unrolling *u = &s.u;
    OMMA_TRY(scan_begin(&s, b, g, n, 1));
    if (n->in[0]) return omma_unsupported(b, n, "sequence_lens");
    OMMA_TRY(scan_length(&s, 1));
    int outputs = u->body->graph->n_outputs;
    int64_t batch = s.input[0]->dims[0];
    if (batch < 1 || batch > ITERATIONS_MAX)
        return omma_unsupported(b, n, "a batch of %lld", (long long)batch);
    omma_value **item = omma_arena_array(b->arena, (size_t)(batch * outputs), sizeof *item);
    omma_value **whole =
        omma_arena_array(b->arena, (size_t)u->body->graph->n_formal, sizeof *whole);
    if (!item || !whole) return omma_nomem(b, n);
    memcpy(whole, n->in + 1, (size_t)u->body->graph->n_formal * sizeof *whole);
    s.input = omma_arena_array(b->arena, (size_t)s.inputs, sizeof *s.input);
    if (!s.input) return omma_nomem(b, n);
    for (int64_t i = 0; i < batch; i++) {
        s.tag = omma_arena_printf(b->arena, "b%lld.", (long long)i);
        for (int k = 0; k < u->body->graph->n_formal; k++) {
            const char *what = omma_arena_printf(b->arena, "%sof%d", s.tag ? s.tag : "", k);
            if (!s.tag || !what) return omma_nomem(b, n);
            OMMA_TRY(pick(&u->x, whole[k], 0, i, what,
                          k < u->states ? &u->state[k] : &s.input[k - u->states]));
        }
        int64_t before = u->done;
        for (int64_t t = 0; t < s.length; t++) {
            OMMA_TRY(scan_inputs(&s, t));
            OMMA_TRY(iterate(u, 0));
        }
        unrolling mine = *u; /* this item's iterations alone */
        mine.done = u->done - before;
        mine.element = u->element + before * u->scans;
        for (int k = 0; k < u->states; k++) item[k * batch + i] = u->state[k];
        for (int k = 0; k < u->scans; k++)
            OMMA_TRY(collect(&mine, k, &u->body->graph->ports[u->states + k], 0, false,
                             omma_arena_printf(b->arena, "%sscan", s.tag),
                             &item[(u->states + k) * batch + i]));
    }
    for (int k = 0; k < n->n_out; k++) {
        const char *what = omma_arena_printf(b->arena, "batch%d", k);
        omma_value *all = what ? omma_expand_value(&u->x, what) : NULL;
        if (!all) return omma_nomem(b, n);
        OMMA_TRY(omma_expand_stack(&u->x, item + k * batch, (int)batch, 0, true, what, all));
        OMMA_TRY(omma_expand_output(&u->x, k, all));
    }
    return OMMA_OK;
}

static omma_status Scan_expand(omma_build *b, omma_graph *g, omma_node *n, bool *done) {
    *done = true;
    return n->opset < 9 ? scan_8(b, g, n) : scan_9(b, g, n);
}

/* --- rows ---------------------------------------------------------------------- */

#define GIVES_WAY "it gives way to plain operators before anything is read backwards"
#define ROW(op, ins)                                     \
    const omma_op omma_op_##op = {.name = #op,           \
                                  .min_in = ins,         \
                                  .max_in = -1,          \
                                  .min_out = 0,          \
                                  .max_out = -1,         \
                                  .expand = op##_expand, \
                                  .no_grad = GIVES_WAY,  \
                                  .no_field = GIVES_WAY};
ROW(If, 1)
ROW(Loop, 0)
ROW(Scan, 0)

/* onnx_write.c - see onnx_write.h. Field numbers are onnx.proto's. */
#include "model/onnx_write.h"

#include <string.h>

#include "file/protobuf_write.h"
#include "omma/omma.h"
#include "op/op.h"

enum { M_IR = 1, M_PRODUCER = 2, M_VERSION = 3, M_GRAPH = 7, M_OPSET = 8 };
enum { G_NODE = 1, G_NAME = 2, G_INIT = 5, G_INPUT = 11, G_OUTPUT = 12 };
enum { N_INPUT = 1, N_OUTPUT = 2, N_NAME = 3, N_OP = 4, N_ATTR = 5 };
enum { A_NAME = 1, A_F, A_I, A_S, A_T, A_G, A_FLOATS, A_INTS, A_STRINGS, A_TYPE = 20 };
enum { T_DIMS = 1, T_TYPE = 2, T_NAME = 8, T_RAW = 9 };
enum { IR_LEAST = 7 }; /* weights need not be inputs; operator sets up to 12 and beyond */

/* A graph being written; of a body also the node that holds it, whose inputs from capture_at on
 * are the values its own inputs beyond n_formal stand for. */
typedef struct scope {
    const omma_graph *g;
    const struct scope *outer;
    const omma_node *holder;
    int capture_at;
    int opset;
    omma_arena *arena;
    omma_error *err;
} scope;

/* The name of v in the file; NULL when out of memory. */
static const char *name_of(const scope *s, const omma_value *v) {
    for (int i = s->g->n_formal; s->outer && i < s->g->n_inputs; i++)
        if (s->g->inputs[i] == v)
            return name_of(s->outer, s->holder->in[s->capture_at + i - s->g->n_formal]);
    if (strncmp(v->name, "omma:", 5)) return v->name;
    return omma_arena_printf(s->arena, "omma_%s", v->name + 5);
}

static omma_status no_memory(const scope *s) {
    return omma_fail(s->err, OMMA_E_NOMEM, "no memory for a file that is written");
}

static omma_status put_name(const scope *s, omma_pb_out *o, uint32_t field, const omma_value *v) {
    const char *name = v ? name_of(s, v) : "";
    if (!name) return no_memory(s);
    omma_pb_put_text(o, field, name);
    return OMMA_OK;
}

/* --- tensors and ports ------------------------------------------------------------- */

static omma_pb_out tensor(const scope *s, const omma_value *v, const char *name) {
    omma_pb_out t = {.arena = s->arena};
    for (int d = 0; d < v->rank; d++) omma_pb_put_int(&t, T_DIMS, v->dims[d]);
    omma_pb_put_int(&t, T_TYPE, (int64_t)v->dtype);
    if (name) omma_pb_put_text(&t, T_NAME, name);
    omma_pb_put_lent(&t, T_RAW, v->data, omma_value_bytes(v));
    return t;
}

/* ValueInfoProto { name 1, type 2 { tensor 1 { element 1, shape 2 { dim 1 { size 1 | name 2 }}}}}
 */
static void put_port(const scope *s, omma_pb_out *o, uint32_t field, const omma_port *p) {
    omma_pb_out info = {.arena = s->arena}, type = info, tens = info, shape = info;
    omma_pb_put_text(&info, 1, p->name);
    if (p->dtype) omma_pb_put_int(&tens, 1, (int64_t)p->dtype);
    for (int d = 0; d < p->rank; d++) {
        omma_pb_out dim = {.arena = s->arena};
        if (p->dims[d] >= 0) omma_pb_put_int(&dim, 1, p->dims[d]);
        else if (p->symbol[d]) omma_pb_put_text(&dim, 2, p->symbol[d]);
        omma_pb_put_message(&shape, 1, &dim);
    }
    if (p->rank >= 0) omma_pb_put_message(&tens, 2, &shape);
    omma_pb_put_message(&type, 1, &tens);
    if (p->dtype) omma_pb_put_message(&info, 2, &type);
    omma_pb_put_message(o, field, &info);
}

/* --- nodes ------------------------------------------------------------------------- */

static omma_status put_graph(const scope *s, omma_pb_out *out);

static omma_status put_attr(const scope *s, omma_pb_out *o, const omma_node *n,
                            const omma_attr *a) {
    omma_pb_out m = {.arena = s->arena};
    omma_pb_put_text(&m, A_NAME, a->name);
    omma_pb_put_int(&m, A_TYPE, (int64_t)a->kind);
    switch (a->kind) {
    case OMMA_ATTR_FLOAT: omma_pb_put_float(&m, A_F, a->f); break;
    case OMMA_ATTR_INT: omma_pb_put_int(&m, A_I, a->i); break;
    case OMMA_ATTR_STRING: omma_pb_put_text(&m, A_S, a->s); break;
    case OMMA_ATTR_TENSOR: {
        omma_pb_out t = tensor(s, a->tensor, NULL);
        omma_pb_put_message(&m, A_T, &t);
        break;
    }
    case OMMA_ATTR_GRAPH: {
        const scope body = {a->graph, s, n, a->capture_at, s->opset, s->arena, s->err};
        omma_pb_out g = {.arena = s->arena};
        OMMA_TRY(put_graph(&body, &g));
        omma_pb_put_message(&m, A_G, &g);
        break;
    }
    case OMMA_ATTR_FLOATS:
        for (int i = 0; i < a->count; i++) omma_pb_put_float(&m, A_FLOATS, a->floats[i]);
        break;
    case OMMA_ATTR_INTS:
        for (int i = 0; i < a->count; i++) omma_pb_put_int(&m, A_INTS, a->ints[i]);
        break;
    case OMMA_ATTR_STRINGS:
        for (int i = 0; i < a->count; i++) omma_pb_put_text(&m, A_STRINGS, a->strings[i]);
        break;
    }
    omma_pb_put_message(o, N_ATTR, &m);
    return OMMA_OK;
}

static omma_status check_node(const scope *s, const omma_node *n) {
    if (omma_op_find(n->op->name) != n->op)
        return omma_fail_node(s->err, OMMA_E_UNSUPPORTED, n->name, n->op->name,
                              "is an operator of omma's own, which no file can hold");
    if (n->opset != s->opset)
        return omma_fail_node(s->err, OMMA_E_UNSUPPORTED, n->name, n->op->name,
                              "is of operator set %d, the model of %d; a file has one", n->opset,
                              s->opset);
    return OMMA_OK;
}

/* An output that nobody wants has a name all the same: other runtimes hold some operators to all
 * their outputs. */
static omma_status put_outputs(const scope *s, omma_pb_out *m, const omma_node *n) {
    for (int i = 0; i < n->n_out; i++) {
        if (n->out[i]) {
            OMMA_TRY(put_name(s, m, N_OUTPUT, n->out[i]));
            continue;
        }
        const char *name = omma_arena_printf(s->arena, "%s_omma_unused_%d", n->name, i);
        if (!name) return no_memory(s);
        omma_pb_put_text(m, N_OUTPUT, name);
    }
    return OMMA_OK;
}

static omma_status put_node(const scope *s, omma_pb_out *o, const omma_node *n) {
    omma_pb_out m = {.arena = s->arena};
    int n_in = n->n_in; /* what its graphs take from outside is not among its own inputs */
    OMMA_TRY(check_node(s, n));
    for (int i = 0; i < n->n_attrs; i++)
        if (n->attrs[i].kind == OMMA_ATTR_GRAPH && n->attrs[i].capture_at < n_in)
            n_in = n->attrs[i].capture_at;
    for (int i = 0; i < n_in; i++) OMMA_TRY(put_name(s, &m, N_INPUT, n->in[i]));
    OMMA_TRY(put_outputs(s, &m, n));
    omma_pb_put_text(&m, N_NAME, n->name);
    omma_pb_put_text(&m, N_OP, n->op->name);
    for (int i = 0; i < n->n_attrs; i++) OMMA_TRY(put_attr(s, &m, n, &n->attrs[i]));
    omma_pb_put_message(o, G_NODE, &m);
    return OMMA_OK;
}

/* --- graphs ------------------------------------------------------------------------ */

/* A body's inputs and outputs: names suffice, and all that its values know. */
static omma_status put_body_port(const scope *s, omma_pb_out *o, uint32_t field,
                                 const omma_value *v) {
    omma_port p = {.name = name_of(s, v), .dtype = v->dtype, .rank = v->rank};
    if (!p.name) return no_memory(s);
    for (int d = 0; d < v->rank; d++) p.dims[d] = v->dims[d], p.symbol[d] = v->symbol[d];
    put_port(s, o, field, &p);
    return OMMA_OK;
}

static bool captured(const scope *s, const omma_value *v) {
    for (int i = s->g->n_formal; s->outer && i < s->g->n_inputs; i++)
        if (s->g->inputs[i] == v) return true;
    return false;
}

static omma_status put_graph(const scope *s, omma_pb_out *o) {
    const omma_graph *g = s->g;
    omma_pb_put_text(o, G_NAME, g->name && *g->name ? g->name : "graph");
    for (int i = 0; i < g->n_values; i++) {
        const omma_value *v = g->values[i];
        if (!v->data || v->is_input || captured(s, v)) continue;
        const char *name = name_of(s, v);
        if (!name) return no_memory(s);
        omma_pb_out t = tensor(s, v, name);
        omma_pb_put_message(o, G_INIT, &t);
    }
    for (int i = 0; i < g->n_nodes; i++) OMMA_TRY(put_node(s, o, g->nodes[i]));
    for (int i = 0; s->outer && i < g->n_formal; i++)
        OMMA_TRY(put_body_port(s, o, G_INPUT, g->inputs[i]));
    for (int i = 0; s->outer && i < g->n_outputs; i++)
        OMMA_TRY(put_body_port(s, o, G_OUTPUT, g->outputs[i]));
    return OMMA_OK;
}

omma_status omma_onnx_write(const char *path, const omma_graph *g, const omma_model *like,
                            omma_error *err) {
    omma_arena arena;
    omma_arena_init(&arena, NULL);
    const scope s = {.g = g, .opset = like->opset, .arena = &arena, .err = err};
    omma_pb_out model = {.arena = &arena}, graph = model, set = model;
    omma_bytes *parts;
    size_t count;
    omma_pb_put_int(&model, M_IR, like->ir_version > IR_LEAST ? like->ir_version : IR_LEAST);
    omma_pb_put_text(&model, M_PRODUCER, "omma");
    omma_pb_put_text(&model, M_VERSION, omma_version());
    omma_pb_put_text(&set, 1, "");
    omma_pb_put_int(&set, 2, like->opset);
    omma_status status = put_graph(&s, &graph);
    for (int i = 0; i < g->n_inputs; i++) put_port(&s, &graph, G_INPUT, &like->inputs[i]);
    for (int i = 0; i < g->n_outputs; i++) put_port(&s, &graph, G_OUTPUT, &like->outputs[i]);
    omma_pb_put_message(&model, M_GRAPH, &graph);
    omma_pb_put_message(&model, M_OPSET, &set);
    if (!status && model.size > INT32_MAX)
        status = omma_fail_at(err, OMMA_E_RANGE, path, -1,
                              "would be %.2f GB long; an ONNX file is at most 2 GiB",
                              (double)model.size * 1e-9);
    if (!status) status = omma_pb_parts(&model, &parts, &count, err);
    if (!status) status = omma_bytes_write_parts(path, parts, count, err);
    omma_arena_free(&arena);
    return status;
}

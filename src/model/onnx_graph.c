/* onnx_graph.c - GraphProto to a graph: the model's own, and the bodies of branches and loops.
 * A body is a graph of its own whose inputs are those it declares and, behind them, the
 * values it takes from the graphs around it (captures). */
#include <string.h>

#include "base/checked.h"
#include "model/onnx_reader.h"

enum { G_NODE = 1, G_NAME = 2, G_INIT = 5, G_INPUT = 11, G_OUTPUT = 12, G_SPARSE = 15 };

/* --- values by name -------------------------------------------------------------- */

static omma_value absent; /* what a function's scope holds for an argument that is left out */

omma_status omma_onnx_value_bind(omma_onnx *o, const char *name, omma_value *v) {
    return omma_map_set(&o->values, name, v ? v : &absent);
}

omma_status omma_onnx_value(omma_onnx *o, const omma_pb *m, const omma_pb_field *f,
                            const char *name, omma_value **out) {
    *out = omma_map_get(&o->values, name);
    if (*out == &absent)
        return omma_pb_fail(m, f, OMMA_E_FORMAT, "a function writes its own argument '%s'", name);
    if (*out) return OMMA_OK;
    if (!strncmp(name, "omma:", 5)) /* what the passes name their own values */
        return omma_pb_fail(m, f, OMMA_E_UNSUPPORTED,
                            "names that begin with 'omma:' are kept for omma's own tensors: '%s'",
                            name);
    const char *full = *o->prefix ? omma_arena_printf(o->arena, "%s%s", o->prefix, name) : name;
    *out = full ? omma_graph_value(o->graph, full) : NULL;
    if (!*out || omma_map_set(&o->values, name, *out))
        return omma_pb_fail(m, f, OMMA_E_NOMEM, "no memory for tensor '%s'", name);
    return OMMA_OK;
}

/* Look a name up in o and around it, taking it in from scope to scope. *out NULL: nowhere. */
static omma_status look_up(omma_onnx *o, const omma_pb *m, const omma_pb_field *f, const char *name,
                           omma_value **out) {
    omma_value *outside;
    *out = omma_map_get(&o->values, name);
    if (*out || !o->outer) return OMMA_OK;
    OMMA_TRY(look_up(o->outer, m, f, name, &outside));
    if (!outside || outside == &absent) {
        *out = outside;
        return OMMA_OK;
    }
    OMMA_TRY(omma_onnx_value(o, m, f, name, out));
    omma_onnx_capture *c = omma_arena_alloc(o->arena, sizeof *c);
    if (!c) return omma_pb_fail(m, f, OMMA_E_NOMEM, "no memory for tensor '%s'", name);
    *c = (omma_onnx_capture){.outside = outside, .inside = *out};
    (*out)->is_input = true;
    *o->captures_end = c;
    o->captures_end = &c->next;
    o->n_captures++;
    return OMMA_OK;
}

omma_status omma_onnx_value_read(omma_onnx *o, const omma_pb *m, const omma_pb_field *f,
                                 const char *name, omma_value **out) {
    OMMA_TRY(look_up(o, m, f, name, out));
    if (*out == &absent) *out = NULL;
    else if (!*out) return omma_onnx_value(o, m, f, name, out);
    return OMMA_OK;
}

omma_status omma_onnx_settle(omma_onnx *o, const omma_pb *m, const omma_pb_field *f, omma_value *v,
                             const omma_value *tensor) {
    if (v->data || v->producer || v->is_input)
        return omma_pb_fail(m, f, OMMA_E_FORMAT, "'%s' is given a value twice", v->name);
    v->dtype = tensor->dtype;
    v->rank = tensor->rank;
    memcpy(v->dims, tensor->dims, sizeof v->dims);
    v->data = tensor->data;
    v->offset = tensor->offset;
    int64_t count = omma_value_count(v);
    if (count > 1) {
        o->model->parameters += count;
        o->model->parameter_bytes += omma_value_bytes(v);
    }
    return OMMA_OK;
}

static omma_status read_initializer(omma_onnx *o, const omma_pb *m, const omma_pb_field *f) {
    omma_value t, *v;
    OMMA_TRY(omma_onnx_tensor(o, m, f, &t));
    if (!*t.name) return omma_pb_fail(m, f, OMMA_E_FORMAT, "a weight without a name");
    OMMA_TRY(omma_onnx_value(o, m, f, t.name, &v));
    return omma_onnx_settle(o, m, f, v, &t);
}

/* --- inputs and outputs -------------------------------------------------------- */

/* TensorShapeProto.Dimension: a size (1) or a name (2). */
static omma_status read_dim(omma_onnx *o, const omma_pb *outer, const omma_pb_field *field,
                            omma_value *v) {
    omma_pb m;
    OMMA_TRY(omma_pb_enter(outer, field, &m));
    if (v->rank == OMMA_MAX_RANK)
        return omma_pb_fail(outer, field, OMMA_E_UNSUPPORTED, "'%s' has more than %d dimensions",
                            v->name, OMMA_MAX_RANK);
    int d = v->rank++;
    v->dims[d] = -1;
    v->symbol[d] = NULL;
    for (;;) {
        omma_pb_field f;
        bool more;
        OMMA_TRY(omma_pb_next(&m, &f, &more));
        if (!more) return OMMA_OK;
        if (f.number == 1) {
            OMMA_TRY(omma_pb_expect(&m, &f, OMMA_PB_VARINT));
            v->dims[d] = (int64_t)f.value >= 0 ? (int64_t)f.value : -1;
        }
        if (f.number == 2) OMMA_TRY(omma_onnx_string(o, &m, &f, OMMA_ONNX_NAME_MAX, &v->symbol[d]));
    }
}

/* Find field `number` in a message and enter it; *found false when it is not there. */
static omma_status descend(const omma_pb *m, uint32_t number, omma_pb *inner, bool *found) {
    omma_pb scan = *m;
    *found = false;
    for (;;) {
        omma_pb_field f;
        bool more;
        OMMA_TRY(omma_pb_next(&scan, &f, &more));
        if (!more) return OMMA_OK;
        if (f.number != number) continue;
        OMMA_TRY(omma_pb_enter(m, &f, inner));
        *found = true;
    }
}

/* TypeProto.Tensor: element type (1), shape (2). */
static omma_status read_tensor_type(omma_onnx *o, omma_pb m, omma_value *v) {
    for (;;) {
        omma_pb_field f;
        bool more;
        OMMA_TRY(omma_pb_next(&m, &f, &more));
        if (!more) return OMMA_OK;
        if (f.number == 1) {
            OMMA_TRY(omma_pb_expect(&m, &f, OMMA_PB_VARINT));
            v->dtype = f.value < 64 ? (omma_dtype)f.value : OMMA_NONE;
            if (!omma_dtype_size(v->dtype))
                return omma_pb_fail(&m, &f, OMMA_E_UNSUPPORTED,
                                    "'%s' is of element type %llu, which omma does not have",
                                    v->name, (unsigned long long)f.value);
        }
        if (f.number == 2) {
            omma_pb shape;
            OMMA_TRY(omma_pb_enter(&m, &f, &shape));
            v->rank = 0;
            for (;;) {
                omma_pb_field d;
                OMMA_TRY(omma_pb_next(&shape, &d, &more));
                if (!more) break;
                if (d.number == 1) OMMA_TRY(read_dim(o, &shape, &d, v));
            }
        }
    }
}

/* ValueInfoProto: name (1), type (2). An output that is declared shares its value with the
 * node that writes it, so the declared shape is kept apart, in *port. */
static omma_status read_port(omma_onnx *o, const omma_pb *outer, const omma_pb_field *field,
                             omma_value *port) {
    omma_pb m, type, tensor;
    bool found;
    OMMA_TRY(omma_pb_enter(outer, field, &m));
    *port = (omma_value){.name = "", .rank = -1};
    omma_pb scan = m;
    for (;;) {
        omma_pb_field f;
        bool more;
        OMMA_TRY(omma_pb_next(&scan, &f, &more));
        if (!more) break;
        if (f.number == 1)
            OMMA_TRY(omma_onnx_string(o, &scan, &f, OMMA_ONNX_NAME_MAX, &port->name));
    }
    if (!*port->name)
        return omma_pb_fail(outer, field, OMMA_E_FORMAT, "a graph input or output without a name");
    OMMA_TRY(descend(&m, 2, &type, &found));
    if (!found) return OMMA_OK;
    OMMA_TRY(descend(&type, 1, &tensor, &found));
    if (!found && o->outer) return OMMA_OK; /* inside, it may be a sequence */
    if (!found)
        return omma_pb_fail(outer, field, OMMA_E_UNSUPPORTED,
                            "'%s' is not a tensor (a sequence, map or optional)", port->name);
    return read_tensor_type(o, tensor, port);
}

static void set_port(omma_port *p, const omma_value *v) {
    *p = (omma_port){.name = v->name, .dtype = v->dtype, .rank = v->rank};
    for (int i = 0; i < v->rank; i++) p->dims[i] = v->dims[i], p->symbol[i] = v->symbol[i];
}

static omma_status read_input(omma_onnx *o, const omma_pb *m, const omma_pb_field *f) {
    omma_value port, *v;
    OMMA_TRY(read_port(o, m, f, &port));
    OMMA_TRY(omma_onnx_value(o, m, f, port.name, &v));
    if (v->data) return OMMA_OK; /* before IR 4 weights are listed as inputs too */
    if (v->is_input)
        return omma_pb_fail(m, f, OMMA_E_FORMAT, "the input '%s' is declared twice", port.name);
    if (v->producer)
        return omma_pb_fail(m, f, OMMA_E_FORMAT, "the input '%s' is also written by a node",
                            port.name);
    size_t bytes;
    if (omma_value_known(&port) &&
        !omma_dims_bytes(port.dims, port.rank, omma_dtype_size(port.dtype), &bytes))
        return omma_pb_fail(m, f, OMMA_E_FORMAT, "the size of the input '%s' overflows", port.name);
    int index = v->index;
    *v = port;
    v->index = index;
    v->offset = f->at - m->base;
    v->is_input = true;
    set_port(&o->inputs[o->graph->n_inputs], v);
    o->graph->inputs[o->graph->n_inputs++] = v;
    return OMMA_OK;
}

static omma_status read_output(omma_onnx *o, const omma_pb *m, const omma_pb_field *f) {
    omma_value port, *v;
    OMMA_TRY(read_port(o, m, f, &port));
    OMMA_TRY(omma_onnx_value_read(o, m, f, port.name, &v));
    if (!v)
        return omma_pb_fail(m, f, OMMA_E_FORMAT, "'%s' is given out but left out by the call",
                            port.name);
    if (v->is_output && !o->outer)
        return omma_pb_fail(m, f, OMMA_E_FORMAT, "the output '%s' is declared twice", port.name);
    v->is_output = true;
    set_port(&o->outputs[o->graph->n_outputs], &port);
    o->graph->outputs[o->graph->n_outputs++] = v;
    return OMMA_OK;
}

/* --- graphs -------------------------------------------------------------------- */

typedef omma_status (*field_reader)(omma_onnx *o, const omma_pb *m, const omma_pb_field *f);

/* Call fn for every field of that number. */
static omma_status each(omma_onnx *o, omma_pb m, uint32_t number, field_reader fn) {
    for (;;) {
        omma_pb_field f;
        bool more;
        OMMA_TRY(omma_pb_next(&m, &f, &more));
        if (!more) return OMMA_OK;
        if (f.number == number) OMMA_TRY(fn(o, &m, &f));
    }
}

static omma_status count_ports(omma_onnx *o, omma_pb m) {
    size_t in = 0, out = 0;
    const unsigned char *at = m.p;
    for (;;) {
        omma_pb_field f;
        bool more;
        OMMA_TRY(omma_pb_next(&m, &f, &more));
        if (!more) break;
        in += f.number == G_INPUT;
        out += f.number == G_OUTPUT;
        if (f.number == G_NAME) OMMA_TRY(omma_onnx_string(o, &m, &f, SIZE_MAX, &o->graph->name));
        if (f.number == G_SPARSE)
            return omma_pb_fail(&m, &f, OMMA_E_UNSUPPORTED,
                                "sparse weights; omma reads dense ones");
    }
    o->inputs = omma_arena_array(o->arena, in, sizeof(omma_port));
    o->outputs = omma_arena_array(o->arena, out, sizeof(omma_port));
    o->graph->inputs = omma_arena_array(o->arena, in, sizeof(omma_value *));
    o->graph->outputs = omma_arena_array(o->arena, out, sizeof(omma_value *));
    if (!o->inputs || !o->outputs || !o->graph->inputs || !o->graph->outputs)
        return omma_fail_at(m.err, OMMA_E_NOMEM, m.path, at - m.base, "no memory for the inputs");
    return OMMA_OK;
}

omma_status omma_onnx_graph(omma_onnx *o, omma_pb m) {
    OMMA_TRY(count_ports(o, m));
    OMMA_TRY(each(o, m, G_INIT, read_initializer));
    OMMA_TRY(each(o, m, G_INPUT, read_input));
    OMMA_TRY(each(o, m, G_NODE, omma_onnx_node));
    return each(o, m, G_OUTPUT, read_output);
}

/* The captured values become inputs behind the declared ones. */
static omma_status add_captures(omma_onnx *o, const omma_pb *m, const omma_pb_field *f) {
    omma_graph *g = o->graph;
    size_t n = (size_t)g->n_inputs;
    omma_value **inputs = omma_arena_array(o->arena, n + (size_t)o->n_captures, sizeof *inputs);
    if (!inputs) return omma_pb_fail(m, f, OMMA_E_NOMEM, "no memory for a graph");
    if (n) memcpy(inputs, g->inputs, n * sizeof *inputs);
    g->inputs = inputs;
    g->n_formal = g->n_inputs;
    for (const omma_onnx_capture *c = o->captures; c; c = c->next)
        g->inputs[g->n_inputs++] = c->inside;
    g->ports = o->outputs;
    return OMMA_OK;
}

omma_status omma_onnx_body(omma_onnx *o, const omma_pb *m, const omma_pb_field *f, omma_graph **out,
                           const omma_onnx_capture **captures) {
    omma_pb message;
    if (o->depth == OMMA_ONNX_DEPTH_MAX)
        return omma_pb_fail(m, f, OMMA_E_FORMAT, "graphs in graphs, more than %d deep",
                            OMMA_ONNX_DEPTH_MAX);
    omma_onnx inner = {.model = o->model,
                       .arena = o->arena,
                       .file = o->file,
                       .graph = omma_graph_new(o->arena, ""),
                       .prefix = "",
                       .opset = o->opset,
                       .depth = o->depth + 1,
                       .outer = o,
                       .call = o->call};
    inner.captures_end = &inner.captures;
    omma_map_init(&inner.values, o->arena);
    *out = inner.graph;
    if (!inner.graph) return omma_pb_fail(m, f, OMMA_E_NOMEM, "no memory for a graph");
    OMMA_TRY(omma_pb_enter(m, f, &message));
    OMMA_TRY(omma_onnx_graph(&inner, message));
    OMMA_TRY(add_captures(&inner, m, f));
    *captures = inner.captures;
    if (inner.file->missing) return OMMA_OK; /* what is missing is told first, all at once */
    omma_status s = omma_graph_verify(inner.graph, m->err);
    if (s) omma_error_in_file(m->err, m->path);
    return s;
}

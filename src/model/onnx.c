/* onnx.c - the ONNX door: ModelProto and GraphProto to a graph. The file is read through
 * the bounded reader of file/protobuf.h; weights stay where they lie. Every fault is told
 * with its byte offset. Source: the ONNX IR specification, onnx.proto's field numbers. */
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "model/onnx_reader.h"

enum {
    M_IR = 1,
    M_PRODUCER = 2,
    M_PRODUCER_VERSION = 3,
    M_GRAPH = 7,
    M_OPSET = 8,
    M_FUNCTIONS = 25
};
enum { G_NODE = 1, G_NAME = 2, G_INIT = 5, G_INPUT = 11, G_OUTPUT = 12, G_SPARSE = 15 };
enum { OPSET_MIN = 7, OPSET_MAX = 28 };

/* --- operators omma lacks ------------------------------------------------------ */

struct omma_onnx_missing {
    const char *op;
    int nodes;
    const char *first[4];
    struct omma_onnx_missing *next;
};

omma_status omma_onnx_miss(omma_onnx *o, const char *op, const char *node) {
    struct omma_onnx_missing *x = omma_map_get(&o->unknown, op);
    if (!x) {
        x = omma_arena_alloc(o->arena, sizeof *x);
        if (!x || omma_map_set(&o->unknown, op, x)) return OMMA_E_NOMEM;
        x->op = op;
        *o->missing_end = x;
        o->missing_end = &x->next;
    }
    if (x->nodes < 4) x->first[x->nodes] = node;
    x->nodes++;
    o->n_missing++;
    return OMMA_OK;
}

omma_status omma_onnx_missing_report(const omma_onnx *o, omma_error *err) {
    if (!o->missing) return OMMA_OK;
    char text[1800];
    size_t used = 0;
    int kinds = 0;
    for (const struct omma_onnx_missing *x = o->missing; x; x = x->next, kinds++) {
        char one[512];
        int n = snprintf(one, sizeof one, "%s%.100s (", kinds ? "; " : "", x->op);
        for (int i = 0; i < x->nodes && i < 4; i++)
            n += snprintf(one + n, sizeof one - (size_t)n, "%s'%.80s'", i ? ", " : "", x->first[i]);
        if (x->nodes > 4)
            n += snprintf(one + n, sizeof one - (size_t)n, " and %d more", x->nodes - 4);
        n += snprintf(one + n, sizeof one - (size_t)n, ")");
        if (used + (size_t)n + 8 < sizeof text) {
            memcpy(text + used, one, (size_t)n + 1);
            used += (size_t)n;
        } else if (used + 5 < sizeof text) {
            memcpy(text + used, "; ...", 6);
            used = sizeof text;
        }
    }
    return omma_fail_at(err, OMMA_E_UNSUPPORTED, o->model->path, -1,
                        "uses %d operator%s omma does not have: %s", kinds, kinds == 1 ? "" : "s",
                        text);
}

/* --- values -------------------------------------------------------------------- */

omma_status omma_onnx_value(omma_onnx *o, const omma_pb *m, const omma_pb_field *f,
                            const char *name, omma_value **out) {
    *out = omma_map_get(&o->values, name);
    if (*out) return OMMA_OK;
    if (!strncmp(name, "omma:", 5)) /* what the passes name their own values */
        return omma_pb_fail(m, f, OMMA_E_UNSUPPORTED,
                            "names that begin with 'omma:' are kept for omma's own tensors: '%s'",
                            name);
    *out = omma_graph_value(o->graph, name);
    if (!*out || omma_map_set(&o->values, name, *out))
        return omma_pb_fail(m, f, OMMA_E_NOMEM, "no memory for tensor '%s'", name);
    return OMMA_OK;
}

omma_status omma_onnx_constant(omma_onnx *o, const omma_pb *m, const omma_pb_field *f,
                               const char *name, const omma_value *tensor) {
    omma_value *v;
    if (!*name) return omma_pb_fail(m, f, OMMA_E_FORMAT, "a weight without a name");
    OMMA_TRY(omma_onnx_value(o, m, f, name, &v));
    if (v->data || v->producer)
        return omma_pb_fail(m, f, OMMA_E_FORMAT, "'%s' is given a value twice", name);
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
    omma_value t;
    OMMA_TRY(omma_onnx_tensor(o, m, f, &t));
    return omma_onnx_constant(o, m, f, t.name, &t);
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
    set_port(&o->model->inputs[o->graph->n_inputs], v);
    o->graph->inputs[o->graph->n_inputs++] = v;
    return OMMA_OK;
}

static omma_status read_output(omma_onnx *o, const omma_pb *m, const omma_pb_field *f) {
    omma_value port, *v;
    OMMA_TRY(read_port(o, m, f, &port));
    OMMA_TRY(omma_onnx_value(o, m, f, port.name, &v));
    if (v->is_output)
        return omma_pb_fail(m, f, OMMA_E_FORMAT, "the output '%s' is declared twice", port.name);
    v->is_output = true;
    set_port(&o->model->outputs[o->graph->n_outputs], &port);
    o->graph->outputs[o->graph->n_outputs++] = v;
    return OMMA_OK;
}

/* --- graph and model ----------------------------------------------------------- */

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
    o->model->inputs = omma_arena_array(o->arena, in, sizeof(omma_port));
    o->model->outputs = omma_arena_array(o->arena, out, sizeof(omma_port));
    o->graph->inputs = omma_arena_array(o->arena, in, sizeof(omma_value *));
    o->graph->outputs = omma_arena_array(o->arena, out, sizeof(omma_value *));
    if (!o->model->inputs || !o->model->outputs || !o->graph->inputs || !o->graph->outputs)
        return omma_fail_at(m.err, OMMA_E_NOMEM, m.path, at - m.base, "no memory for the inputs");
    return OMMA_OK;
}

static omma_status read_graph(omma_onnx *o, omma_pb m, omma_error *err) {
    OMMA_TRY(count_ports(o, m));
    OMMA_TRY(each(o, m, G_INIT, read_initializer));
    OMMA_TRY(each(o, m, G_INPUT, read_input));
    OMMA_TRY(each(o, m, G_NODE, omma_onnx_node));
    OMMA_TRY(each(o, m, G_OUTPUT, read_output));
    OMMA_TRY(omma_onnx_missing_report(o, err));
    if (!o->graph->n_outputs)
        return omma_fail_at(err, OMMA_E_FORMAT, m.path, -1, "the graph has no outputs");
    omma_status s = omma_graph_verify(o->graph, err);
    if (s) omma_error_in_file(err, m.path);
    return s;
}

/* OperatorSetIdProto: domain (1), version (2). */
static omma_status read_opset(omma_onnx *o, const omma_pb *outer, const omma_pb_field *field) {
    omma_pb m;
    OMMA_TRY(omma_pb_enter(outer, field, &m));
    const char *domain = "";
    uint64_t version = 0;
    for (;;) {
        omma_pb_field f;
        bool more;
        OMMA_TRY(omma_pb_next(&m, &f, &more));
        if (!more) break;
        if (f.number == 1) OMMA_TRY(omma_onnx_string(o, &m, &f, OMMA_ONNX_NAME_MAX, &domain));
        if (f.number == 2) {
            OMMA_TRY(omma_pb_expect(&m, &f, OMMA_PB_VARINT));
            version = f.value;
        }
    }
    if (*domain && strcmp(domain, "ai.onnx")) return OMMA_OK;
    if (version < OPSET_MIN || version > OPSET_MAX)
        return omma_pb_fail(outer, field, OMMA_E_UNSUPPORTED,
                            "operator set %llu; omma reads %d to %d", (unsigned long long)version,
                            OPSET_MIN, OPSET_MAX);
    o->model->opset = (int)version;
    return OMMA_OK;
}

static omma_status no_functions(omma_onnx *o, const omma_pb *m, const omma_pb_field *f) {
    (void)o;
    return omma_pb_fail(m, f, OMMA_E_UNSUPPORTED,
                        "the model defines functions of its own; omma does not inline them yet");
}

static omma_status read_head(omma_onnx *o, omma_pb m, omma_pb_field *graph) {
    omma_model *model = o->model;
    graph->data = NULL;
    for (;;) {
        omma_pb_field f;
        bool more;
        OMMA_TRY(omma_pb_next(&m, &f, &more));
        if (!more) return OMMA_OK;
        if (f.number == M_IR) {
            OMMA_TRY(omma_pb_expect(&m, &f, OMMA_PB_VARINT));
            model->ir_version = (int64_t)f.value;
        }
        if (f.number == M_PRODUCER)
            OMMA_TRY(omma_onnx_string(o, &m, &f, OMMA_ONNX_NAME_MAX, &model->producer));
        if (f.number == M_OPSET) OMMA_TRY(read_opset(o, &m, &f));
        if (f.number == M_GRAPH) {
            OMMA_TRY(omma_pb_expect(&m, &f, OMMA_PB_BYTES));
            if (graph->data)
                return omma_pb_fail(&m, &f, OMMA_E_FORMAT, "the model holds two graphs");
            *graph = f;
        }
    }
}

omma_status omma_onnx_read(omma_model *model, omma_error *err) {
    const unsigned char *data = model->file.data;
    if (!model->file.size) return omma_fail_at(err, OMMA_E_FORMAT, model->path, -1, "is empty");
    omma_onnx o = {.model = model, .arena = &model->arena};
    o.missing_end = &o.missing;
    o.graph = omma_graph_new(&model->arena, "");
    if (!o.graph)
        return omma_fail_at(err, OMMA_E_NOMEM, model->path, -1, "no memory for the graph");
    omma_map_init(&o.values, &model->arena);
    omma_map_init(&o.unknown, &model->arena);
    model->graph = o.graph;
    model->producer = "";
    omma_pb m = {data, data + model->file.size, data, model->path, err}, inner;
    omma_pb_field graph;
    omma_status s = read_head(&o, m, &graph);
    if (s == OMMA_E_FORMAT && !model->ir_version && err) { /* a picture, a text, ... */
        const omma_error why = *err;
        size_t prefix = strlen(why.file) + 2;
        omma_fail_at(err, s, model->path, -1,
                     "not an ONNX model, or its first bytes are damaged: %s",
                     strlen(why.message) > prefix ? why.message + prefix : why.message);
        err->offset = why.offset;
        return s;
    }
    if (s) return s;
    if (!graph.data)
        return omma_fail_at(err, OMMA_E_FORMAT, model->path, -1,
                            "holds no graph: it is not an ONNX model");
    if (!model->opset)
        return omma_fail_at(
            err, OMMA_E_FORMAT, model->path, -1,
            "does not say which operator set it uses: it is not an ONNX model, or a damaged one");
    OMMA_TRY(each(&o, m, M_FUNCTIONS, no_functions));
    OMMA_TRY(omma_pb_enter(&m, &graph, &inner));
    return read_graph(&o, inner, err);
}

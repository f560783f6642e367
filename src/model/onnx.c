/* onnx.c - the ONNX door: ModelProto to a model. The file is read through the bounded reader
 * of file/protobuf.h; weights stay where they lie. Every fault is told with its byte offset.
 * Source: the ONNX IR specification, onnx.proto's field numbers. */
#include <stdio.h>
#include <string.h>

#include "model/onnx_reader.h"

enum {
    M_IR = 1,
    M_PRODUCER = 2,
    M_PRODUCER_VERSION = 3,
    M_GRAPH = 7,
    M_OPSET = 8,
    M_FUNCTIONS = 25
};
enum { OPSET_MIN = 1, OPSET_MAX = 28 };

/* --- operators omma lacks ------------------------------------------------------ */

struct omma_onnx_missing {
    const char *op;
    int nodes;
    const char *first[4];
    struct omma_onnx_missing *next;
};

omma_status omma_onnx_miss(omma_onnx *o, const char *op, const char *node) {
    omma_onnx_file *file = o->file;
    struct omma_onnx_missing *x = omma_map_get(&file->unknown, op);
    if (!x) {
        x = omma_arena_alloc(o->arena, sizeof *x);
        if (!x || omma_map_set(&file->unknown, op, x)) return OMMA_E_NOMEM;
        x->op = op;
        *file->missing_end = x;
        file->missing_end = &x->next;
    }
    if (x->nodes < 4) x->first[x->nodes] = node;
    x->nodes++;
    file->n_missing++;
    return OMMA_OK;
}

omma_status omma_onnx_missing_report(const omma_onnx *o, omma_error *err) {
    if (!o->file->missing) return OMMA_OK;
    char text[1800];
    size_t used = 0;
    int kinds = 0;
    for (const struct omma_onnx_missing *x = o->file->missing; x; x = x->next, kinds++) {
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

/* OperatorSetIdProto: domain (1), version (2). */
omma_status omma_onnx_opset(omma_onnx *o, const omma_pb *outer, const omma_pb_field *field,
                            int *opset) {
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
    *opset = (int)version;
    return OMMA_OK;
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
        if (f.number == M_OPSET) OMMA_TRY(omma_onnx_opset(o, &m, &f, &model->opset));
        if (f.number == M_FUNCTIONS) OMMA_TRY(omma_onnx_function_note(o, &m, &f));
        if (f.number == M_GRAPH) {
            OMMA_TRY(omma_pb_expect(&m, &f, OMMA_PB_BYTES));
            if (graph->data)
                return omma_pb_fail(&m, &f, OMMA_E_FORMAT, "the model holds two graphs");
            *graph = f;
        }
    }
}

static omma_status read_graph(omma_onnx *o, omma_pb m, omma_error *err) {
    omma_status s = omma_onnx_graph(o, m);
    o->model->inputs = o->inputs;
    o->model->outputs = o->outputs;
    OMMA_TRY(s);
    OMMA_TRY(omma_onnx_missing_report(o, err));
    if (!o->graph->n_outputs)
        return omma_fail_at(err, OMMA_E_FORMAT, m.path, -1, "the graph has no outputs");
    s = omma_graph_verify(o->graph, err);
    if (s) omma_error_in_file(err, m.path);
    return s;
}

omma_status omma_onnx_read(omma_model *model, omma_error *err) {
    const unsigned char *data = model->file.data;
    if (!model->file.size) return omma_fail_at(err, OMMA_E_FORMAT, model->path, -1, "is empty");
    omma_onnx_file file = {0};
    omma_onnx o = {.model = model, .arena = &model->arena, .file = &file, .prefix = ""};
    file.missing_end = &file.missing;
    o.captures_end = &o.captures;
    o.graph = omma_graph_new(&model->arena, "");
    if (!o.graph)
        return omma_fail_at(err, OMMA_E_NOMEM, model->path, -1, "no memory for the graph");
    omma_map_init(&o.values, &model->arena);
    omma_map_init(&file.unknown, &model->arena);
    omma_map_init(&file.functions, &model->arena);
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
    o.opset = model->opset;
    OMMA_TRY(omma_pb_enter(&m, &graph, &inner));
    return read_graph(&o, inner, err);
}

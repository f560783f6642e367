/* onnx_node.c - NodeProto and AttributeProto to nodes of the graph. A Constant node with
 * a tensor becomes a constant of the graph: exporters that keep their weights in such
 * nodes (PP-OCR's) then look like all others. */
#include <stdio.h>
#include <string.h>

#include "model/onnx_reader.h"
#include "op/op.h"

/* Fields of NodeProto and AttributeProto. */
enum { N_INPUT = 1, N_OUTPUT = 2, N_NAME = 3, N_OP = 4, N_ATTR = 5, N_DOMAIN = 7 };
enum { ATTRS_MAX = 64 }; /* of a node; no operator has half as many */
enum {
    A_NAME = 1,
    A_F = 2,
    A_I = 3,
    A_S = 4,
    A_T = 5,
    A_G = 6,
    A_FLOATS = 7,
    A_INTS = 8,
    A_STRINGS = 9,
    A_REF = 21
};

/* How many of each a node has: counted first, allocated once. */
typedef struct parts {
    int inputs, outputs, attrs;
    const char *name, *op, *domain;
    const unsigned char *inputs_end;
} parts;

omma_status omma_onnx_string(omma_onnx *o, const omma_pb *m, const omma_pb_field *f, size_t max,
                             const char **out) {
    OMMA_TRY(omma_pb_expect(m, f, OMMA_PB_BYTES));
    if (f->size > max)
        return omma_pb_fail(m, f, OMMA_E_FORMAT, "a name of %zu bytes; %zu are allowed", f->size,
                            max);
    if (f->size && memchr(f->data, 0, f->size))
        return omma_pb_fail(m, f, OMMA_E_FORMAT, "a name with a zero byte in it");
    *out = omma_arena_strndup(o->arena, (const char *)f->data, f->size);
    return *out ? OMMA_OK : omma_pb_fail(m, f, OMMA_E_NOMEM, "no memory for a name");
}

static omma_status count_parts(omma_onnx *o, omma_pb m, parts *n) {
    *n = (parts){.name = "", .op = "", .domain = ""};
    for (;;) {
        omma_pb_field f;
        bool more;
        OMMA_TRY(omma_pb_next(&m, &f, &more));
        if (!more) return OMMA_OK;
        switch (f.number) {
        case N_INPUT: n->inputs++; break;
        case N_OUTPUT: n->outputs++; break;
        case N_ATTR: n->attrs++; break;
        case N_NAME: OMMA_TRY(omma_onnx_string(o, &m, &f, OMMA_ONNX_NAME_MAX, &n->name)); break;
        case N_OP: OMMA_TRY(omma_onnx_string(o, &m, &f, OMMA_ONNX_NAME_MAX, &n->op)); break;
        case N_DOMAIN: OMMA_TRY(omma_onnx_string(o, &m, &f, OMMA_ONNX_NAME_MAX, &n->domain)); break;
        default: break;
        }
    }
}

/* --- attributes ---------------------------------------------------------------- */

static size_t list_length(const omma_pb_field *f, uint32_t number) {
    if (f->wire != OMMA_PB_BYTES || number == A_STRINGS) return 1;
    if (number == A_FLOATS) return f->size / 4;
    size_t n = 0;
    for (size_t i = 0; i < f->size; i++) n += !(f->data[i] & 128);
    return n;
}

/* Append one occurrence of a list (packed or not) to the attribute. */
static omma_status append_list(omma_onnx *o, const omma_pb *m, const omma_pb_field *f,
                               omma_attr *a) {
    if (f->number == A_STRINGS) return omma_onnx_string(o, m, f, SIZE_MAX, &a->strings[a->count++]);
    float *floats = (float *)(uintptr_t)a->floats;
    int64_t *ints = (int64_t *)(uintptr_t)a->ints;
    if (f->number == A_FLOATS && f->wire == OMMA_PB_BYTES) {
        if (f->size % 4)
            return omma_pb_fail(m, f, OMMA_E_FORMAT, "a list of floats of %zu bytes", f->size);
        if (f->size) memcpy(floats + a->count, f->data, f->size);
        a->count += (int)(f->size / 4);
        return OMMA_OK;
    }
    if (f->number == A_FLOATS) {
        OMMA_TRY(omma_pb_expect(m, f, OMMA_PB_FIXED32));
        memcpy(floats + a->count++, &f->value, 4);
        return OMMA_OK;
    }
    if (f->wire == OMMA_PB_VARINT) {
        ints[a->count++] = (int64_t)f->value;
        return OMMA_OK;
    }
    omma_pb list;
    OMMA_TRY(omma_pb_enter(m, f, &list));
    for (;;) {
        uint64_t v;
        bool more;
        OMMA_TRY(omma_pb_packed(&list, &v, &more));
        if (!more) return OMMA_OK;
        ints[a->count++] = (int64_t)v;
    }
}

/* Allocate the attribute's list for everything the message holds of it. */
static omma_status reserve(omma_onnx *o, omma_pb m, omma_attr *a) {
    size_t floats = 0, ints = 0, strings = 0;
    const omma_pb whole = m;
    for (;;) {
        omma_pb_field f;
        bool more;
        OMMA_TRY(omma_pb_next(&m, &f, &more));
        if (!more) break;
        if (f.number == A_FLOATS) floats += list_length(&f, A_FLOATS);
        if (f.number == A_INTS) ints += list_length(&f, A_INTS);
        if (f.number == A_STRINGS) strings += 1;
    }
    if (floats > INT32_MAX || ints > INT32_MAX || strings > INT32_MAX)
        return omma_fail_at(m.err, OMMA_E_RANGE, m.path, whole.p - m.base,
                            "an attribute with too many numbers");
    if ((floats > 0) + (ints > 0) + (strings > 0) > 1) /* they share one count */
        return omma_fail_at(m.err, OMMA_E_FORMAT, m.path, whole.p - m.base,
                            "an attribute with lists of two kinds");
    a->floats = floats ? omma_arena_array(o->arena, floats, sizeof(float)) : NULL;
    a->ints = ints ? omma_arena_array(o->arena, ints, sizeof(int64_t)) : NULL;
    a->strings = strings ? omma_arena_array(o->arena, strings, sizeof(char *)) : NULL;
    if ((floats && !a->floats) || (ints && !a->ints) || (strings && !a->strings))
        return omma_fail_at(m.err, OMMA_E_NOMEM, m.path, whole.p - m.base,
                            "no memory for an attribute");
    return OMMA_OK;
}

static omma_status tensor_attr(omma_onnx *o, const omma_pb *m, const omma_pb_field *f,
                               omma_attr *a) {
    omma_value *v = omma_arena_alloc(o->arena, sizeof *v);
    if (!v) return omma_pb_fail(m, f, OMMA_E_NOMEM, "no memory for a tensor");
    a->tensor = v;
    return omma_onnx_tensor(o, m, f, v);
}

static omma_status read_attr(omma_onnx *o, const omma_pb *outer, const omma_pb_field *field,
                             omma_attr *a) {
    omma_pb m;
    OMMA_TRY(omma_pb_enter(outer, field, &m));
    *a = (omma_attr){.name = "", .s = ""};
    OMMA_TRY(reserve(o, m, a));
    for (;;) {
        omma_pb_field f;
        bool more;
        OMMA_TRY(omma_pb_next(&m, &f, &more));
        if (!more) break;
        switch (f.number) {
        case A_NAME: OMMA_TRY(omma_onnx_string(o, &m, &f, OMMA_ONNX_NAME_MAX, &a->name)); break;
        case A_F:
            OMMA_TRY(omma_pb_expect(&m, &f, OMMA_PB_FIXED32));
            memcpy(&a->f, &f.value, 4);
            a->kind = OMMA_ATTR_FLOAT;
            break;
        case A_I:
            OMMA_TRY(omma_pb_expect(&m, &f, OMMA_PB_VARINT));
            a->i = (int64_t)f.value;
            a->kind = OMMA_ATTR_INT;
            break;
        case A_S:
            OMMA_TRY(omma_onnx_string(o, &m, &f, SIZE_MAX, &a->s));
            a->kind = OMMA_ATTR_STRING;
            break;
        case A_T:
            OMMA_TRY(tensor_attr(o, &m, &f, a));
            a->kind = OMMA_ATTR_TENSOR;
            break;
        case A_G: a->kind = OMMA_ATTR_GRAPH; break;
        case A_FLOATS:
            a->kind = OMMA_ATTR_FLOATS;
            OMMA_TRY(append_list(o, &m, &f, a));
            break;
        case A_INTS:
            a->kind = OMMA_ATTR_INTS;
            OMMA_TRY(append_list(o, &m, &f, a));
            break;
        case A_STRINGS:
            a->kind = OMMA_ATTR_STRINGS;
            OMMA_TRY(append_list(o, &m, &f, a));
            break;
        case A_REF:
            return omma_pb_fail(&m, &f, OMMA_E_FORMAT,
                                "an attribute that refers to a function's, outside a function");
        case 20: /* type: tells an empty list from an empty string */
            if (!a->kind && f.value <= OMMA_ATTR_STRINGS) a->kind = (omma_attr_kind)f.value;
            break;
        default: break;
        }
    }
    if (a->kind == OMMA_ATTR_TENSOR && !a->tensor)
        return omma_pb_fail(outer, field, OMMA_E_FORMAT,
                            "attribute '%s' is said to be a tensor but holds none", a->name);
    return OMMA_OK;
}

/* --- nodes --------------------------------------------------------------------- */

static omma_status read_output(omma_onnx *o, const omma_pb *m, const omma_pb_field *f, omma_node *n,
                               int i) {
    const char *name;
    OMMA_TRY(omma_onnx_string(o, m, f, OMMA_ONNX_NAME_MAX, &name));
    if (!*name) return OMMA_OK;
    omma_value *v;
    OMMA_TRY(omma_onnx_value(o, m, f, name, &v));
    if (v->producer || v->data || v->is_input)
        return omma_pb_fail(m, f, OMMA_E_FORMAT, "node '%s' writes '%s', which already has a value",
                            n->name, name);
    omma_node_set_output(n, i, v);
    return OMMA_OK;
}

static omma_status read_input(omma_onnx *o, const omma_pb *m, const omma_pb_field *f, omma_node *n,
                              int i) {
    const char *name;
    OMMA_TRY(omma_onnx_string(o, m, f, OMMA_ONNX_NAME_MAX, &name));
    return *name ? omma_onnx_value(o, m, f, name, &n->in[i]) : OMMA_OK;
}

static omma_status fill_node(omma_onnx *o, omma_pb m, omma_node *n, int n_attrs) {
    omma_attr *attrs = omma_arena_array(o->arena, (size_t)n_attrs, sizeof *attrs);
    if (!attrs) return omma_fail_at(m.err, OMMA_E_NOMEM, m.path, n->offset, "no memory for a node");
    n->attrs = attrs;
    int in = 0, out = 0;
    for (;;) {
        omma_pb_field f;
        bool more;
        OMMA_TRY(omma_pb_next(&m, &f, &more));
        if (!more) break;
        if (f.number == N_INPUT) OMMA_TRY(read_input(o, &m, &f, n, in++));
        if (f.number == N_OUTPUT) OMMA_TRY(read_output(o, &m, &f, n, out++));
        if (f.number == N_ATTR) {
            OMMA_TRY(read_attr(o, &m, &f, &attrs[n->n_attrs]));
            for (int k = 0; k < n->n_attrs; k++)
                if (!strcmp(attrs[k].name, attrs[n->n_attrs].name))
                    return omma_pb_fail(&m, &f, OMMA_E_FORMAT,
                                        "node '%s' has the attribute '%s' twice", n->name,
                                        attrs[k].name);
            n->n_attrs++;
        }
    }
    while (n->n_in && !n->in[n->n_in - 1]) n->n_in--;
    return OMMA_OK;
}

/* Replace a Constant node that holds a tensor by the constant itself. */
static omma_status unwrap_constant(omma_onnx *o, const omma_pb *m, const omma_pb_field *f,
                                   omma_node *n) {
    const omma_attr *a = omma_node_attr(n, "value");
    if (strcmp(n->op->name, "Constant") || !a || a->kind != OMMA_ATTR_TENSOR || n->n_in ||
        n->n_out != 1 || !n->out[0])
        return OMMA_OK;
    omma_value *v = n->out[0];
    v->producer = NULL;
    o->graph->n_nodes--;
    return omma_onnx_constant(o, m, f, v->name, a->tensor);
}

omma_status omma_onnx_node(omma_onnx *o, const omma_pb *outer, const omma_pb_field *field) {
    omma_pb m;
    parts p;
    OMMA_TRY(omma_pb_enter(outer, field, &m));
    OMMA_TRY(count_parts(o, m, &p));
    if (p.attrs > ATTRS_MAX)
        return omma_pb_fail(outer, field, OMMA_E_FORMAT, "node '%s' has more than %d attributes",
                            p.name, ATTRS_MAX);
    if (!*p.name)
        p.name = omma_arena_printf(o->arena, "%s_%d", p.op, o->graph->n_nodes + o->n_missing);
    if (!p.name) return omma_pb_fail(outer, field, OMMA_E_NOMEM, "no memory for a name");
    bool standard = !*p.domain || !strcmp(p.domain, "ai.onnx");
    const omma_op *op = standard ? omma_op_find(p.op) : NULL;
    if (!op) {
        const char *full = standard ? p.op : omma_arena_printf(o->arena, "%s.%s", p.domain, p.op);
        return full ? omma_onnx_miss(o, full, p.name)
                    : omma_pb_fail(outer, field, OMMA_E_NOMEM, "no memory");
    }
    omma_node *n = omma_graph_node(o->graph, op, p.name, p.inputs, p.outputs);
    if (!n) return omma_pb_fail(outer, field, OMMA_E_NOMEM, "no memory for a node");
    n->offset = field->at - outer->base;
    n->opset = o->model->opset;
    OMMA_TRY(fill_node(o, m, n, p.attrs));
    return unwrap_constant(o, outer, field, n);
}

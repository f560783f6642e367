/* onnx_node.c - NodeProto and AttributeProto to nodes of the graph. A Constant node with
 * a tensor becomes a constant of the graph: exporters that keep their weights in such
 * nodes (PP-OCR's) then look like all others. */
#include <stdio.h>
#include <string.h>

#include "model/onnx_reader.h"
#include "op/op.h"

/* Fields of NodeProto and AttributeProto. */
enum { N_INPUT = 1, N_OUTPUT = 2, N_NAME = 3, N_OP = 4, N_ATTR = 5, N_DOMAIN = 7, N_OVERLOAD = 8 };
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
    const char *name, *op, *domain, *overload;
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
    *n = (parts){.name = "", .op = "", .domain = "", .overload = ""};
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
        case N_OVERLOAD:
            OMMA_TRY(omma_onnx_string(o, &m, &f, OMMA_ONNX_NAME_MAX, &n->overload));
            break;
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

/* What an attribute of a function's body refers to takes its place, under its own name. */
static omma_status resolve(const omma_onnx *o, const omma_pb *m, const omma_pb_field *f,
                           const char *ref, omma_attr *a, bool *absent) {
    const omma_onnx_call *c = o->call;
    if (!c)
        return omma_pb_fail(m, f, OMMA_E_FORMAT,
                            "an attribute that refers to a function's, outside a function");
    const omma_attr *found = NULL;
    for (int i = 0; i < c->n_fallback; i++)
        if (!strcmp(c->fallback[i].name, ref)) found = &c->fallback[i];
    for (int i = 0; i < c->n_given; i++)
        if (!strcmp(c->given[i].name, ref)) found = &c->given[i];
    *absent = !found;
    if (!found) return OMMA_OK;
    if (found->kind == OMMA_ATTR_GRAPH)
        return omma_pb_fail(m, f, OMMA_E_UNSUPPORTED, "a function that is given a graph, '%s'",
                            ref);
    const char *name = a->name;
    *a = *found;
    a->name = name;
    return OMMA_OK;
}

/* As omma_onnx_attr; captures: what a graph takes from outside. */
static omma_status read_attr(omma_onnx *o, const omma_pb *outer, const omma_pb_field *field,
                             omma_attr *a, const omma_onnx_capture **captures, bool *absent) {
    omma_pb m;
    const char *ref = NULL;
    *captures = NULL;
    *absent = false;
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
        case A_G:
            if (a->graph)
                return omma_pb_fail(&m, &f, OMMA_E_FORMAT, "an attribute that holds two graphs");
            OMMA_TRY(omma_onnx_body(o, &m, &f, &a->graph, captures));
            a->kind = OMMA_ATTR_GRAPH;
            break;
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
        case A_REF: OMMA_TRY(omma_onnx_string(o, &m, &f, OMMA_ONNX_NAME_MAX, &ref)); break;
        case 20: /* type: tells an empty list from an empty string */
            if (!a->kind && f.value <= OMMA_ATTR_STRINGS) a->kind = (omma_attr_kind)f.value;
            break;
        default: break;
        }
    }
    if (ref && *ref) OMMA_TRY(resolve(o, outer, field, ref, a, absent));
    if ((a->kind == OMMA_ATTR_TENSOR && !a->tensor) || (a->kind == OMMA_ATTR_GRAPH && !a->graph))
        return omma_pb_fail(outer, field, OMMA_E_FORMAT,
                            "attribute '%s' is said to be a %s but holds none", a->name,
                            a->kind == OMMA_ATTR_GRAPH ? "graph" : "tensor");
    return OMMA_OK;
}

omma_status omma_onnx_attr(omma_onnx *o, const omma_pb *m, const omma_pb_field *f, omma_attr *a,
                           bool *absent) {
    const omma_onnx_capture *captures;
    OMMA_TRY(read_attr(o, m, f, a, &captures, absent));
    if (captures)
        return omma_pb_fail(m, f, OMMA_E_FORMAT, "the graph '%s' reads what is not there: '%s'",
                            a->name, captures->outside->name);
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
    return *name ? omma_onnx_value_read(o, m, f, name, &n->in[i]) : OMMA_OK;
}

/* What an attribute's graph takes from outside is read by the node, behind its own inputs. */
static omma_status take_captures(omma_onnx *o, const omma_pb *m, const omma_pb_field *f,
                                 omma_node *n, omma_attr *a, const omma_onnx_capture *captures) {
    size_t more = 0;
    a->capture_at = n->n_in;
    for (const omma_onnx_capture *c = captures; c; c = c->next) more++;
    if (!more) return OMMA_OK;
    omma_value **in = omma_arena_array(o->arena, (size_t)n->n_in + more, sizeof *in);
    if (!in) return omma_pb_fail(m, f, OMMA_E_NOMEM, "no memory for a node");
    if (n->n_in) memcpy(in, n->in, (size_t)n->n_in * sizeof *in);
    n->in = in;
    for (const omma_onnx_capture *c = captures; c; c = c->next) n->in[n->n_in++] = c->outside;
    return OMMA_OK;
}

static omma_status fill_attr(omma_onnx *o, const omma_pb *m, const omma_pb_field *f, omma_node *n,
                             omma_attr *a) {
    const omma_onnx_capture *captures;
    bool absent;
    OMMA_TRY(read_attr(o, m, f, a, &captures, &absent));
    if (absent) return OMMA_OK;
    for (int k = 0; k < n->n_attrs; k++)
        if (!strcmp(n->attrs[k].name, a->name))
            return omma_pb_fail(m, f, OMMA_E_FORMAT, "node '%s' has the attribute '%s' twice",
                                n->name, a->name);
    n->n_attrs++;
    return a->kind == OMMA_ATTR_GRAPH ? take_captures(o, m, f, n, a, captures) : OMMA_OK;
}

static omma_status fill_node(omma_onnx *o, const omma_pb whole, omma_node *n, int n_attrs) {
    omma_attr *attrs = omma_arena_array(o->arena, (size_t)n_attrs, sizeof *attrs);
    if (!attrs)
        return omma_fail_at(whole.err, OMMA_E_NOMEM, whole.path, n->offset, "no memory for a node");
    n->attrs = attrs;
    int in = 0, out = 0;
    omma_pb_field f;
    bool more;
    for (omma_pb m = whole;;) {
        OMMA_TRY(omma_pb_next(&m, &f, &more));
        if (!more) break;
        if (f.number == N_INPUT) OMMA_TRY(read_input(o, &m, &f, n, in++));
        if (f.number == N_OUTPUT) OMMA_TRY(read_output(o, &m, &f, n, out++));
    }
    while (n->n_in && !n->in[n->n_in - 1]) n->n_in--;
    for (omma_pb m = whole;;) { /* what their graphs take from outside comes last */
        OMMA_TRY(omma_pb_next(&m, &f, &more));
        if (!more) return OMMA_OK;
        if (f.number == N_ATTR) OMMA_TRY(fill_attr(o, &m, &f, n, &attrs[n->n_attrs]));
    }
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
    return omma_onnx_settle(o, m, f, v, a->tensor);
}

/* A call of a function of the file: its body is read in the call's place. */
static omma_status read_call(omma_onnx *o, const omma_pb *outer, const omma_pb_field *field,
                             omma_pb m, const parts *p, const struct omma_onnx_function *fn) {
    omma_node call = {.name = p->name,
                      .offset = field->at - outer->base,
                      .in = omma_arena_array(o->arena, (size_t)p->inputs, sizeof(omma_value *)),
                      .n_in = p->inputs,
                      .out = omma_arena_array(o->arena, (size_t)p->outputs, sizeof(omma_value *)),
                      .n_out = p->outputs};
    if (!call.in || !call.out)
        return omma_pb_fail(outer, field, OMMA_E_NOMEM, "no memory for a call");
    OMMA_TRY(fill_node(o, m, &call, p->attrs));
    for (int i = 0; i < call.n_out; i++)
        if (call.out[i]) call.out[i]->producer = NULL; /* the body's nodes will be */
    return omma_onnx_inline(o, outer, field, fn, &call);
}

static omma_status find_operator(omma_onnx *o, const omma_pb *outer, const omma_pb_field *field,
                                 const parts *p, const omma_op **op) {
    bool standard = !*p->domain || !strcmp(p->domain, "ai.onnx");
    *op = standard ? omma_op_find(p->op) : NULL;
    if (*op) return OMMA_OK;
    const char *full = standard ? p->op : omma_arena_printf(o->arena, "%s.%s", p->domain, p->op);
    return full ? omma_onnx_miss(o, full, p->name)
                : omma_pb_fail(outer, field, OMMA_E_NOMEM, "no memory");
}

omma_status omma_onnx_node(omma_onnx *o, const omma_pb *outer, const omma_pb_field *field) {
    omma_pb m;
    parts p;
    const omma_op *op;
    OMMA_TRY(omma_pb_enter(outer, field, &m));
    OMMA_TRY(count_parts(o, m, &p));
    if (p.attrs > ATTRS_MAX)
        return omma_pb_fail(outer, field, OMMA_E_FORMAT, "node '%s' has more than %d attributes",
                            p.name, ATTRS_MAX);
    if (!*p.name)
        p.name = omma_arena_printf(o->arena, "%s_%d", p.op, o->graph->n_nodes + o->file->n_missing);
    if (p.name && *o->prefix) p.name = omma_arena_printf(o->arena, "%s%s", o->prefix, p.name);
    if (!p.name) return omma_pb_fail(outer, field, OMMA_E_NOMEM, "no memory for a name");
    const struct omma_onnx_function *fn = omma_onnx_function_find(o, p.domain, p.op, p.overload);
    if (fn) return read_call(o, outer, field, m, &p, fn);
    OMMA_TRY(find_operator(o, outer, field, &p, &op));
    if (!op) return OMMA_OK; /* told when all are known */
    omma_node *n = omma_graph_node(o->graph, op, p.name, p.inputs, p.outputs);
    if (!n) return omma_pb_fail(outer, field, OMMA_E_NOMEM, "no memory for a node");
    n->offset = field->at - outer->base;
    n->opset = o->opset;
    OMMA_TRY(fill_node(o, m, n, p.attrs));
    return unwrap_constant(o, outer, field, n);
}

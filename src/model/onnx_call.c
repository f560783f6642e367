/* onnx_call.c - functions that a file defines (FunctionProto): read where they are called, as
 * if the caller had written their nodes itself. A function sees its arguments and nothing
 * else; attributes of its nodes may refer to those of the call. */
#include <stdio.h>
#include <string.h>

#include "model/onnx_reader.h"
#include "op/op.h"

/* Fields of FunctionProto. */
enum {
    F_NAME = 1,
    F_INPUT = 4,
    F_OUTPUT = 5,
    F_NODE = 7,
    F_OPSET = 9,
    F_DOMAIN = 10,
    F_ATTR = 11,
    F_OVERLOAD = 13
};
enum { FALLBACKS_MAX = 64 };

typedef struct omma_onnx_function {
    omma_pb message;
    const char *name;
} omma_onnx_function;

enum { KEY_MAX = 3 * OMMA_ONNX_NAME_MAX + 3 };

static void make_key(char key[KEY_MAX], const char *domain, const char *name,
                     const char *overload) {
    snprintf(key, KEY_MAX, "%s:%s:%s", strcmp(domain, "ai.onnx") ? domain : "", name, overload);
}

omma_status omma_onnx_function_note(omma_onnx *o, const omma_pb *outer,
                                    const omma_pb_field *field) {
    const char *name = "", *domain = "", *overload = "";
    omma_onnx_function *fn = omma_arena_alloc(o->arena, sizeof *fn);
    if (!fn) return omma_pb_fail(outer, field, OMMA_E_NOMEM, "no memory for a function");
    OMMA_TRY(omma_pb_enter(outer, field, &fn->message));
    for (omma_pb m = fn->message;;) {
        omma_pb_field f;
        bool more;
        OMMA_TRY(omma_pb_next(&m, &f, &more));
        if (!more) break;
        if (f.number == F_NAME) OMMA_TRY(omma_onnx_string(o, &m, &f, OMMA_ONNX_NAME_MAX, &name));
        if (f.number == F_DOMAIN)
            OMMA_TRY(omma_onnx_string(o, &m, &f, OMMA_ONNX_NAME_MAX, &domain));
        if (f.number == F_OVERLOAD)
            OMMA_TRY(omma_onnx_string(o, &m, &f, OMMA_ONNX_NAME_MAX, &overload));
    }
    if (!*name) return omma_pb_fail(outer, field, OMMA_E_FORMAT, "a function without a name");
    fn->name = name;
    char key[KEY_MAX];
    make_key(key, domain, name, overload);
    if (omma_map_get(&o->file->functions, key))
        return omma_pb_fail(outer, field, OMMA_E_FORMAT, "the function '%s' is defined twice", key);
    const char *kept = omma_arena_strndup(o->arena, key, strlen(key));
    if (!kept || omma_map_set(&o->file->functions, kept, fn))
        return omma_pb_fail(outer, field, OMMA_E_NOMEM, "no memory for a function");
    o->file->n_functions++;
    return OMMA_OK;
}

const omma_onnx_function *omma_onnx_function_find(const omma_onnx *o, const char *domain,
                                                  const char *name, const char *overload) {
    char key[KEY_MAX];
    if (!o->file->n_functions) return NULL;
    make_key(key, domain, name, overload);
    return omma_map_get(&o->file->functions, key);
}

/* The function's operator set and its own values for attributes. */
static omma_status read_head(omma_onnx *o, const omma_onnx_function *fn, omma_onnx_call *call) {
    omma_attr *fallback = omma_arena_array(o->arena, FALLBACKS_MAX, sizeof *fallback);
    if (!fallback)
        return omma_fail_at(fn->message.err, OMMA_E_NOMEM, fn->message.path, -1,
                            "no memory for a function");
    call->fallback = fallback;
    for (omma_pb m = fn->message;;) {
        omma_pb_field f;
        bool more, absent;
        OMMA_TRY(omma_pb_next(&m, &f, &more));
        if (!more) return OMMA_OK;
        if (f.number == F_OPSET) OMMA_TRY(omma_onnx_opset(o, &m, &f, &o->opset));
        if (f.number != F_ATTR) continue;
        if (call->n_fallback == FALLBACKS_MAX)
            return omma_pb_fail(&m, &f, OMMA_E_FORMAT, "'%s' has more than %d attributes", fn->name,
                                FALLBACKS_MAX);
        OMMA_TRY(omma_onnx_attr(o, &m, &f, &fallback[call->n_fallback++], &absent));
    }
}

/* Let the names of the inputs mean the call's arguments, and those of the outputs what it
 * writes. */
static omma_status bind(omma_onnx *o, const omma_onnx_function *fn, const omma_node *n,
                        uint32_t number) {
    int i = 0;
    for (omma_pb m = fn->message;;) {
        omma_pb_field f;
        bool more;
        const char *name;
        OMMA_TRY(omma_pb_next(&m, &f, &more));
        if (!more) break;
        if (f.number != number) continue;
        OMMA_TRY(omma_onnx_string(o, &m, &f, OMMA_ONNX_NAME_MAX, &name));
        omma_value *v = number == F_INPUT ? omma_in(n, i) : i < n->n_out ? n->out[i] : NULL;
        i++;
        if (number == F_OUTPUT && (!v || omma_map_get(&o->values, name))) continue;
        if (omma_onnx_value_bind(o, name, v))
            return omma_pb_fail(&m, &f, OMMA_E_NOMEM, "no memory for a function");
    }
    int given = number == F_INPUT ? n->n_in : n->n_out;
    if (given > i)
        return omma_fail_at(fn->message.err, OMMA_E_FORMAT, fn->message.path, n->offset,
                            "node '%s' gives the function '%s' %d %s; it has %d", n->name, fn->name,
                            given, number == F_INPUT ? "inputs" : "outputs", i);
    return OMMA_OK;
}

static omma_status copy_output(omma_onnx *o, const omma_pb *m, const omma_pb_field *f,
                               const omma_node *call, omma_value *from, omma_value *to) {
    if (!from)
        return omma_pb_fail(m, f, OMMA_E_FORMAT, "node '%s' leaves out what '%s' is a copy of",
                            call->name, to->name);
    omma_node *n = omma_graph_node(o->graph, omma_op_find("Identity"), call->name, 1, 1);
    if (!n) return omma_pb_fail(m, f, OMMA_E_NOMEM, "no memory for a function");
    n->opset = o->opset;
    n->offset = call->offset;
    n->in[0] = from;
    omma_node_set_output(n, 0, to);
    return OMMA_OK;
}

/* Outputs the body's nodes do not write themselves: an input handed on, a value given twice. */
static omma_status finish(omma_onnx *o, const omma_onnx_function *fn, const omma_node *call) {
    int i = 0;
    for (omma_pb m = fn->message;;) {
        omma_pb_field f;
        bool more;
        const char *name;
        omma_value *v;
        OMMA_TRY(omma_pb_next(&m, &f, &more));
        if (!more) return OMMA_OK;
        if (f.number != F_OUTPUT) continue;
        omma_value *to = i < call->n_out ? call->out[i] : NULL;
        i++;
        if (!to) continue;
        OMMA_TRY(omma_onnx_string(o, &m, &f, OMMA_ONNX_NAME_MAX, &name));
        OMMA_TRY(omma_onnx_value_read(o, &m, &f, name, &v));
        if (v != to) OMMA_TRY(copy_output(o, &m, &f, call, v, to));
        else if (!v->producer && !v->data && !o->file->missing)
            return omma_pb_fail(&m, &f, OMMA_E_FORMAT, "the function '%s' does not write '%s'",
                                fn->name, name);
    }
}

omma_status omma_onnx_inline(omma_onnx *o, const omma_pb *outer, const omma_pb_field *field,
                             const omma_onnx_function *fn, const omma_node *n) {
    const char *of = NULL;
    for (int k = n->n_out - 1; k >= 0; k--)
        if (n->out[k]) of = n->out[k]->name;
    if (!of) return OMMA_OK; /* nobody wants it */
    if (o->depth == OMMA_ONNX_DEPTH_MAX)
        return omma_pb_fail(outer, field, OMMA_E_FORMAT,
                            "the function '%s' calls others, or itself, more than %d deep",
                            fn->name, OMMA_ONNX_DEPTH_MAX);
    omma_onnx_call call = {.given = n->attrs, .n_given = n->n_attrs};
    omma_onnx inner = {.model = o->model,
                       .arena = o->arena,
                       .file = o->file,
                       .graph = o->graph,
                       .prefix = omma_arena_printf(o->arena, "%s/", of),
                       .opset = o->model->opset,
                       .depth = o->depth + 1,
                       .call = &call};
    if (!inner.prefix) return omma_pb_fail(outer, field, OMMA_E_NOMEM, "no memory for a name");
    inner.captures_end = &inner.captures;
    omma_map_init(&inner.values, o->arena);
    OMMA_TRY(read_head(&inner, fn, &call));
    OMMA_TRY(bind(&inner, fn, n, F_INPUT));
    OMMA_TRY(bind(&inner, fn, n, F_OUTPUT));
    for (omma_pb m = fn->message;;) {
        omma_pb_field f;
        bool more;
        OMMA_TRY(omma_pb_next(&m, &f, &more));
        if (!more) break;
        if (f.number != F_NODE) continue;
        if (o->file->inlined++ == OMMA_ONNX_INLINED_MAX)
            return omma_pb_fail(outer, field, OMMA_E_UNSUPPORTED,
                                "its functions, written out, have more than %d nodes",
                                OMMA_ONNX_INLINED_MAX);
        OMMA_TRY(omma_onnx_node(&inner, &m, &f));
    }
    return finish(&inner, fn, n);
}

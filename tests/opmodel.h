/* opmodel.h - the node of an optest as a model of its own, so that it also goes through the
 * reader, the passes and a plan. Inputs that are not constant come from a node before, so that
 * an operator that may write onto its inputs does. */
#ifndef OMMA_TESTS_OPMODEL_H
#define OMMA_TESTS_OPMODEL_H

#include "onnxmake.h"
#include "op/element.h"
#include "optest.h"

static inline void opmodel_attr(mk *list, const omma_attr *a) {
    mk v = {0};
    switch (a->kind) {
    case OMMA_ATTR_INT: mk_attr_int(list, a->name, a->i); return;
    case OMMA_ATTR_FLOAT: mk_attr_float(list, a->name, a->f); return;
    case OMMA_ATTR_STRING: mk_attr_str(list, a->name, a->s); return;
    case OMMA_ATTR_INTS: mk_attr_ints(list, a->name, a->ints, a->count); return;
    case OMMA_ATTR_FLOATS:
        for (int i = 0; i < a->count; i++) mk_float(&v, 7, a->floats[i]);
        mk_attr(list, a->name, 6, &v);
        return;
    case OMMA_ATTR_TENSOR:
        v = mk_tensor(NULL, (int)a->tensor->dtype, a->tensor->rank, a->tensor->dims);
        mk_bytes(&v, 9, a->tensor->data, omma_value_bytes(a->tensor));
        mk_attr_tensor(list, a->name, &v);
        return;
    default: fail_msg("attribute '%s' of kind %d", a->name, (int)a->kind);
    }
}

/* Input i of the node into the graph; its name to name. */
static inline void opmodel_input(mk *g, const omma_value *v, int i, char *name, size_t size) {
    char raw[16], one[16], both[40];
    snprintf(raw, sizeof raw, "in%d", i);
    snprintf(one, sizeof one, "one%d", i);
    snprintf(name, size, "in%d", i);
    if (v->data) {
        mk_raw(g, raw, v->dtype, v->data, v->rank, v->dims);
        return;
    }
    const bool logic = v->dtype == OMMA_BOOL;
    mk attrs = {0};
    char number[8];
    omma_set_number(v->dtype, number, 0, 1);
    mk_port(g, MK_INPUT, raw, v->dtype, v->rank, v->dims);
    mk_raw(g, one, v->dtype, number, 0, NULL);
    snprintf(name, size, "v%d", i);
    snprintf(both, sizeof both, "%s,%s", raw, one);
    mk_attr_int(&attrs, "broadcast", 1); /* before opset 7 nothing broadcasts without */
    mk_op(g, logic ? "And" : "Mul", both, name, &attrs);
}

/* Run t's node, which optest_try has run with these outputs, as a model, and require the same
 * types, shapes and bits. Returns false, and says why, when they differ. */
static inline bool opmodel_agrees(optest *t, int outs) {
    mk g = {0}, attrs = {0}, m;
    char in[256] = "", out[128] = "", name[16];
    omma_tensor given[OPTEST_MAX];
    int n = 0;
    for (int i = 0; i < t->n_in; i++) {
        if (i) strcat(in, ",");
        if (!t->in[i]) continue;
        opmodel_input(&g, t->in[i], i, name, sizeof name);
        strcat(in, name);
        if (!t->in[i]->data) given[n++] = omma_value_tensor(t->in[i]);
    }
    for (int i = 0; i < outs; i++) snprintf(out + strlen(out), 16, "%sout%d", i ? "," : "", i);
    for (int i = 0; i < t->n_attrs; i++) opmodel_attr(&attrs, &t->attrs[i]);
    mk_op(&g, t->op, in, out, &attrs);
    for (int i = 0; i < outs; i++) {
        snprintf(name, sizeof name, "out%d", i);
        mk_port(&g, MK_OUTPUT, name, OMMA_NONE, -1, NULL);
    }
    m = mk_model(&g, t->opset);
    omma_model *model = NULL;
    omma_session *s = NULL;
    omma_error err = {0};
    bool ok = !mk_open(&model, &m, NULL, &err) && !omma_session_new(&s, model, NULL, &err) &&
              !omma_session_run(s, given, n, &err);
    if (!ok) print_error("%s-%d as a model: %s\n", t->op, t->opset, err.message);
    for (int i = 0; i < outs && ok; i++) {
        const omma_tensor *x = &t->out[i], *y = omma_session_output(s, i);
        const size_t bytes = (size_t)omma_tensor_count(x) * omma_dtype_size(x->dtype);
        ok = x->dtype == y->dtype && x->rank == y->rank &&
             !memcmp(x->dims, y->dims, (size_t)x->rank * 8) &&
             (!bytes || !memcmp(x->data, y->data, bytes));
        if (!ok) print_error("%s-%d: output %d differs in a model\n", t->op, t->opset, i);
    }
    omma_session_free(s);
    omma_model_free(model);
    mk_free(&m);
    return ok;
}

#endif

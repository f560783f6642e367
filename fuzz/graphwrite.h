/* graphwrite.h - a graph of fuzz_graph.c for people: printed, or as an ONNX file. */
#ifndef OMMA_FUZZ_GRAPHWRITE_H
#define OMMA_FUZZ_GRAPHWRITE_H

#include "graph/graph.h"
#include "onnxmake.h"

static void graphwrite_node(mk *g, const omma_node *n) {
    mk m = {0}, list = {0};
    for (int i = 0; i < n->n_in; i++) mk_str(&m, 1, n->in[i] ? n->in[i]->name : "");
    for (int i = 0; i < n->n_out; i++) mk_str(&m, 2, n->out[i] ? n->out[i]->name : "");
    mk_str(&m, 4, n->op->name);
    for (int i = 0; i < n->n_attrs; i++) {
        const omma_attr *a = &n->attrs[i];
        if (a->kind == OMMA_ATTR_INT) mk_attr_int(&list, a->name, a->i);
        if (a->kind == OMMA_ATTR_FLOAT) mk_attr_float(&list, a->name, a->f);
        if (a->kind == OMMA_ATTR_STRING) mk_attr_str(&list, a->name, a->s);
        if (a->kind == OMMA_ATTR_INTS) mk_attr_ints(&list, a->name, a->ints, a->count);
    }
    mk_put(&m, list.data, list.size);
    mk_free(&list);
    mk_sub(g, MK_NODE, &m);
}

static mk graphwrite_onnx(const omma_graph *g) {
    mk m = {0};
    int opset = 1;
    for (int i = 0; i < g->n_nodes; i++) {
        graphwrite_node(&m, g->nodes[i]);
        if (g->nodes[i]->opset > opset) opset = g->nodes[i]->opset;
    }
    for (int i = 0; i < g->n_values; i++) {
        const omma_value *v = g->values[i];
        if (v->data && !v->producer) mk_raw(&m, v->name, v->dtype, v->data, v->rank, v->dims);
    }
    for (int i = 0; i < g->n_inputs; i++) {
        const omma_value *v = g->inputs[i];
        mk_port(&m, MK_INPUT, v->name, v->dtype, v->rank, v->dims);
    }
    for (int i = 0; i < g->n_outputs; i++)
        mk_port(&m, MK_OUTPUT, g->outputs[i]->name, OMMA_NONE, -1, NULL);
    return mk_model(&m, opset);
}

static void graph_show(const omma_graph *g, const omma_tensor *given) {
    if (getenv("OMMA_FUZZ_SHOW")) {
        for (int i = 0; i < g->n_inputs; i++) {
            fprintf(stderr, "%s:", g->inputs[i]->name);
            for (int k = 0; k < given[i].rank; k++)
                fprintf(stderr, " %lld", (long long)given[i].dims[k]);
            fputc('\n', stderr);
        }
        omma_graph_print(g, stderr);
    }
    const char *path = getenv("OMMA_FUZZ_ONNX");
    FILE *f = path ? fopen(path, "wb") : NULL;
    if (!f) return;
    mk m = graphwrite_onnx(g);
    fwrite(m.data, 1, m.size, f);
    mk_free(&m);
    fclose(f);
}

#endif

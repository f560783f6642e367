/* print.c - a graph for people: as text, one node a line, and as Graphviz DOT. Names come
 * from files: everything that could break the line or the quoting is replaced. */
#include <inttypes.h>
#include <string.h>

#include "graph/graph.h"

static void put_name(FILE *f, const char *s) {
    for (; *s; s++)
        fputc((unsigned char)*s < 0x20 || *s == '"' || *s == '\\' || *s == 0x7f ? '?' : *s, f);
}

static void put_shape(FILE *f, const omma_value *v) {
    fprintf(f, "%s", omma_dtype_name(v->dtype));
    if (v->rank < 0) return;
    fputc('[', f);
    for (int i = 0; i < v->rank; i++) {
        if (i) fputc(',', f);
        if (v->dims[i] >= 0) fprintf(f, "%" PRId64, v->dims[i]);
        else if (v->symbol[i]) put_name(f, v->symbol[i]);
        else fputc('?', f);
    }
    fputc(']', f);
}

static void put_attr(FILE *f, const omma_attr *a) {
    put_name(f, a->name);
    fputc('=', f);
    switch (a->kind) {
    case OMMA_ATTR_FLOAT: fprintf(f, "%g", (double)a->f); break;
    case OMMA_ATTR_INT: fprintf(f, "%" PRId64, a->i); break;
    case OMMA_ATTR_STRING: fputc('"', f), put_name(f, a->s), fputc('"', f); break;
    case OMMA_ATTR_INTS:
        for (int i = 0; i < a->count; i++) fprintf(f, "%s%" PRId64, i ? "," : "[", a->ints[i]);
        fputs(a->count ? "]" : "[]", f);
        break;
    case OMMA_ATTR_FLOATS:
        for (int i = 0; i < a->count; i++) fprintf(f, "%s%g", i ? "," : "[", (double)a->floats[i]);
        fputs(a->count ? "]" : "[]", f);
        break;
    case OMMA_ATTR_TENSOR:
    case OMMA_ATTR_GRAPH:
    case OMMA_ATTR_STRINGS: fputs("...", f); break;
    }
}

static void put_values(FILE *f, omma_value *const *v, int n, bool shapes) {
    for (int i = 0; i < n; i++) {
        if (i) fputs(", ", f);
        if (!v[i]) {
            fputc('-', f);
            continue;
        }
        put_name(f, v[i]->name);
        if (shapes) fputc(':', f), put_shape(f, v[i]);
    }
}

void omma_graph_print(const omma_graph *g, FILE *f) {
    fputs("graph ", f), put_name(f, g->name ? g->name : "");
    fputs("\n  in  ", f), put_values(f, g->inputs, g->n_inputs, true);
    fputs("\n  out ", f), put_values(f, g->outputs, g->n_outputs, true);
    fputc('\n', f);
    for (int i = 0; i < g->n_values; i++) {
        const omma_value *v = g->values[i];
        if (!v->data) continue;
        fputs("  ", f), put_name(f, v->name), fputc(':', f), put_shape(f, v),
            fputs(" constant\n", f);
    }
    for (int i = 0; i < g->n_nodes; i++) {
        const omma_node *n = g->nodes[i];
        fputs("  ", f), put_values(f, n->out, n->n_out, true);
        fprintf(f, " = %s(", n->op->name), put_values(f, n->in, n->n_in, false);
        fputs(") \"", f), put_name(f, n->name), fputc('"', f);
        for (int k = 0; k < n->n_attrs; k++) fputs(k ? ", " : " {", f), put_attr(f, &n->attrs[k]);
        fputs(n->n_attrs ? "}\n" : "\n", f);
    }
}

void omma_graph_print_dot(const omma_graph *g, FILE *f) {
    fputs("digraph omma {\n  node [shape=box, fontname=\"sans-serif\"];\n", f);
    for (int i = 0; i < g->n_inputs; i++) {
        fprintf(f, "  v%d [shape=ellipse, label=\"", g->inputs[i]->index);
        put_name(f, g->inputs[i]->name), fputs("\\n", f), put_shape(f, g->inputs[i]),
            fputs("\"];\n", f);
    }
    for (int i = 0; i < g->n_nodes; i++) {
        const omma_node *n = g->nodes[i];
        fprintf(f, "  n%d [label=\"%s\\n", i, n->op->name), put_name(f, n->name),
            fputs("\"];\n", f);
        for (int k = 0; k < n->n_in; k++) {
            const omma_value *v = n->in[k];
            if (!v || v->data) continue;
            if (v->producer) fprintf(f, "  n%d -> n%d [label=\"", v->producer->index, i);
            else fprintf(f, "  v%d -> n%d [label=\"", v->index, i);
            put_shape(f, v), fputs("\"];\n", f);
        }
    }
    for (int i = 0; i < g->n_outputs; i++) {
        const omma_value *v = g->outputs[i];
        fprintf(f, "  o%d [shape=ellipse, label=\"", i), put_name(f, v->name), fputs("\"];\n", f);
        if (v->producer) fprintf(f, "  n%d -> o%d;\n", v->producer->index, i);
    }
    fputs("}\n", f);
}

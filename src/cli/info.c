/* info.c - `omma info`: what a model is. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "file/json.h"
#include "op/op.h"
#include "model/inspect.h"
#include "task/guess.h"

static const char help_text[] =
    "omma info: what a model is.\n\n"
    "usage: omma info MODEL [--input NAME=SIZES]... [--json | --graph | --dot]\n\n"
    "Prints inputs, outputs, operators, parameters, arithmetic and memory.\n\n"
    "  -i, --input NAME=SIZES   sizes for an input with open dimensions, like x=1x3x640x640;\n"
    "                           NAME= may be left out when the model has one input\n"
    "      --json               the same for programs\n"
    "      --graph              print the graph as text, one node a line\n"
    "      --dot                print the graph for Graphviz\n"
    "  -h, --help               this text\n" OMMA_CLI_MODEL_HELP "\n"
    "FLOP counts a multiply-add as two. Memory is what a run needs beside the mapped file.\n\n"
    "examples:\n"
    "  omma info model.onnx\n"
    "  omma info text.onnx -i 1x3x736x1280\n"
    "  omma info model.onnx --dot | dot -Tsvg > model.svg\n";

typedef struct job {
    const char *path;
    omma_cli_list inputs;
    int json, graph, dot;
    omma_options opt;
    omma_model *model;
    omma_inspection x;
    bool known;     /* x holds figures */
    omma_error why; /* when not */
} job;

static omma_status inspect(job *j, omma_error *err) {
    if (!j->inputs.count) {
        j->known = !omma_inspect(&j->x, j->model, NULL, &j->why);
        return OMMA_OK;
    }
    omma_arena arena;
    omma_arena_init(&arena, NULL);
    omma_tensor *shapes;
    bool open;
    omma_status s = omma_inspect_shapes(&shapes, j->model, 224, &open, &arena, err);
    for (int i = 0; i < j->inputs.count && !s; i++)
        s = omma_cli_sizes(shapes, j->model, j->path, j->inputs.items[i], err);
    if (!s) s = omma_inspect(&j->x, j->model, shapes, err);
    j->known = !s;
    omma_arena_free(&arena);
    return s;
}

/* --- operators ----------------------------------------------------------------- */

typedef struct count {
    const char *op;
    int n;
} count;

static int by_count(const void *a, const void *b) {
    const count *x = a, *y = b;
    return x->n != y->n ? (x->n < y->n ? 1 : -1) : strcmp(x->op, y->op);
}

/* Rows of the operators in use, most frequent first; *n receives their number. */
static count *operators(const omma_graph *g, int *n) {
    int all;
    const omma_op *const *ops = omma_op_all(&all);
    count *c = calloc((size_t)all, sizeof *c);
    *n = 0;
    for (int k = 0; c && k < all; k++) {
        count x = {ops[k]->name, 0};
        for (int i = 0; i < g->n_nodes; i++) x.n += g->nodes[i]->op == ops[k];
        if (x.n) c[(*n)++] = x;
    }
    if (c) qsort(c, (size_t)*n, sizeof *c, by_count);
    return c;
}

static const char *last_op(const omma_graph *g) {
    const omma_value *v = g->n_outputs ? g->outputs[0] : NULL;
    return v && v->producer ? v->producer->op->name : "";
}

/* --- for people ---------------------------------------------------------------- */

static void put_port(const omma_port *p, const omma_tensor *used) {
    printf("  ");
    omma_cli_put_name(p->name, 28);
    printf(" %s [%s", omma_dtype_name(p->dtype), p->rank < 0 ? "not declared" : "");
    for (int i = 0; i < p->rank; i++) {
        if (i) printf(", ");
        if (p->dims[i] >= 0) printf("%" PRId64, p->dims[i]);
        else omma_cli_put_name(p->symbol[i] ? p->symbol[i] : "?", 0);
    }
    printf("]");
    bool open = p->rank < 0;
    for (int i = 0; i < p->rank; i++) open |= p->dims[i] < 0;
    if (used && used->rank < 0) {
        printf("  here only a run can tell");
    } else if (used && open) {
        printf("  here [");
        for (int i = 0; i < used->rank; i++) printf("%s%" PRId64, i ? ", " : "", used->dims[i]);
        printf("]");
    }
    printf("\n");
}

static void print_text(const job *j) {
    const omma_model *m = j->model;
    const omma_inspection *x = j->known ? &j->x : NULL;
    omma_cli_put_name(j->path, 0);
    printf("\n");
    printf("seems to be    %s\n", omma_guess_purpose(m, x ? x->outputs : NULL, last_op(m->graph)));
    printf("made by        ");
    omma_cli_put_name(*m->producer ? m->producer : "(the file does not say)", 0);
    printf(", ONNX operator set %d\n", m->opset);
    printf("parameters     %" PRId64 " (%.1f MB)\n", m->parameters,
           (double)m->parameter_bytes / 1e6);
    if (x) {
        printf("arithmetic     %.3f GFLOP a run%s\n", x->flops / 1e9,
               x->cut ? ", up to where the data decides how it goes on" : "");
        printf(
            "memory         %.1f MB for values, %.1f MB of packed weights, file mapped (%.1f MB)\n",
            (double)x->plan_bytes / 1e6, (double)x->packed_bytes / 1e6, (double)m->file.size / 1e6);
    } else {
        printf("arithmetic     not known: %s\n", j->why.message);
    }
    printf("inputs\n");
    for (int i = 0; i < omma_model_input_count(m); i++)
        put_port(omma_model_input(m, i), x ? &x->inputs[i] : NULL);
    printf("outputs\n");
    for (int i = 0; i < omma_model_output_count(m); i++)
        put_port(omma_model_output(m, i), x ? &x->outputs[i] : NULL);
    int n;
    count *c = operators(m->graph, &n);
    printf("operators      %d nodes", m->graph->n_nodes);
    if (x) printf(", %d left to run", x->nodes);
    printf("\n ");
    for (int i = 0, col = 1; c && i < n; i++) {
        char text[80];
        int len = snprintf(text, sizeof text, " %s %d%s", c[i].op, c[i].n, i + 1 < n ? "," : "");
        if (col + len > 92) printf("\n "), col = 1;
        printf("%s", text);
        col += len;
    }
    printf("\n");
    free(c);
}

/* --- for programs -------------------------------------------------------------- */

static void json_port(omma_json_writer *w, const omma_port *p, const omma_tensor *used) {
    omma_json_begin_object(w);
    omma_json_key(w, "name"), omma_json_put_text(w, p->name);
    omma_json_key(w, "type"), omma_json_put_text(w, omma_dtype_name(p->dtype));
    omma_json_key(w, "declared");
    if (p->rank < 0) {
        omma_json_put_null(w);
    } else {
        omma_json_begin_array(w);
        for (int i = 0; i < p->rank; i++) {
            if (p->dims[i] >= 0) omma_json_put_int(w, p->dims[i]);
            else omma_json_put_text(w, p->symbol[i]);
        }
        omma_json_end_array(w);
    }
    if (used && used->rank >= 0) {
        omma_json_key(w, "shape");
        omma_json_begin_array(w);
        for (int i = 0; i < used->rank; i++) omma_json_put_int(w, used->dims[i]);
        omma_json_end_array(w);
    }
    omma_json_end_object(w);
}

static int print_json(const job *j) {
    const omma_model *m = j->model;
    const omma_inspection *x = j->known ? &j->x : NULL;
    omma_json_writer w;
    omma_json_writer_file(&w, stdout, true);
    omma_json_begin_object(&w);
    omma_json_key(&w, "file"), omma_json_put_text(&w, j->path);
    omma_json_key(&w, "purpose"),
        omma_json_put_text(&w, omma_guess_purpose(m, x ? x->outputs : NULL, last_op(m->graph)));
    omma_json_key(&w, "producer"), omma_json_put_text(&w, m->producer);
    omma_json_key(&w, "opset"), omma_json_put_int(&w, m->opset);
    omma_json_key(&w, "parameters"), omma_json_put_int(&w, m->parameters);
    omma_json_key(&w, "parameter_bytes"), omma_json_put_int(&w, (int64_t)m->parameter_bytes);
    if (x) {
        omma_json_key(&w, "flops"), omma_json_put_double(&w, x->flops);
        omma_json_key(&w, "plan_bytes"), omma_json_put_int(&w, (int64_t)x->plan_bytes);
        omma_json_key(&w, "packed_bytes"), omma_json_put_int(&w, (int64_t)x->packed_bytes);
    }
    omma_json_key(&w, "inputs"), omma_json_begin_array(&w);
    for (int i = 0; i < omma_model_input_count(m); i++)
        json_port(&w, omma_model_input(m, i), x ? &x->inputs[i] : NULL);
    omma_json_end_array(&w);
    omma_json_key(&w, "outputs"), omma_json_begin_array(&w);
    for (int i = 0; i < omma_model_output_count(m); i++)
        json_port(&w, omma_model_output(m, i), x ? &x->outputs[i] : NULL);
    omma_json_end_array(&w);
    int n;
    count *c = operators(m->graph, &n);
    omma_json_key(&w, "operators"), omma_json_begin_object(&w);
    for (int i = 0; c && i < n; i++) omma_json_key(&w, c[i].op), omma_json_put_int(&w, c[i].n);
    omma_json_end_object(&w);
    free(c);
    omma_json_end_object(&w);
    return omma_cli_json_end("info", &w);
}

static omma_status work(job *j, omma_error *err) {
    OMMA_TRY(omma_model_open(&j->model, j->path, &j->opt, err));
    if (j->graph) {
        omma_graph_print(j->model->graph, stdout);
        return OMMA_OK;
    }
    if (j->dot) {
        omma_graph_print_dot(j->model->graph, stdout);
        return OMMA_OK;
    }
    OMMA_TRY(inspect(j, err));
    if (!j->json) print_text(j);
    return OMMA_OK;
}

int omma_cli_info(int argc, char **argv) {
    job j = {0};
    omma_error err;
    omma_cli_list args;
    int want_help;
    const omma_cli_option options[] = {{'i', "input", 'm', &j.inputs},
                                       {0, "json", 'b', &j.json},
                                       {0, "graph", 'b', &j.graph},
                                       {0, "dot", 'b', &j.dot},
                                       OMMA_CLI_MODEL_OPTIONS(j.opt)};
    int status =
        omma_cli_parse(argc, argv, options, sizeof options / sizeof *options, &args, &want_help);
    if (want_help) fputs(help_text, stdout);
    else if (!status && args.count != 1)
        status = omma_cli_misused("info", args.count ? "one model at a time" : "no model given");
    else if (!status && j.json + j.graph + j.dot > 1)
        status = omma_cli_misused("info", "one of --json, --graph and --dot");
    else if (!status) {
        j.path = args.items[0];
        if (work(&j, &err)) status = omma_cli_failed("info", &err);
        else if (j.json) status = print_json(&j);
        omma_inspection_free(&j.x);
        omma_model_free(j.model);
    }
    free(args.items);
    free(j.inputs.items);
    return omma_cli_finish("info", status);
}

/* diff.c - `omma diff`: given another runtime's tensors, the first node that differs.
 *
 * The model runs once with every value watched that has a reference, and the nodes are walked
 * in the graph's order. Or, with --isolate, each node runs by itself on the reference's own
 * inputs, so that a fault early in the model does not hide one behind it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/diff.h"
#include "run/alone.h"

static const char help_text[] =
    "omma diff: compare every value inside a model with another runtime's.\n\n"
    "usage: omma diff MODEL --ref DIR [-i NAME=FILE.npy]...\n\n"
    "      --ref DIR          the reference: a file VALUE.npy or VALUE.pb (TensorProto) for any\n"
    "                         values of the model, its inputs among them; in the names '/' is '_'\n"
    "  -i, --input NAME=FILE  the tensor for an input that is not in DIR\n"
    "      --rtol R           how far a number may be off, as a part of the largest magnitude\n"
    "                         of its tensor; default 0.001\n"
    "      --atol A           and in itself; default 1e-6. Integers and booleans: only A\n"
    "      --isolate          give each node the reference's inputs instead of omma's: which\n"
    "                         operators differ by themselves?\n"
    "      --all              a line for every value compared\n"
    "      --json             for programs\n"
    "      --threads N        threads to use; the numbers do not depend on it\n"
    "  -h, --help             this text\n\n"
    "Names the first node, in the model's order, whose output differs, by how much and where,\n"
    "and whether what it was given agreed. Exit status 0: all agree; 1: something differs, or\n"
    "failed. 'man omma-diff' tells how to write a reference with onnxruntime or PyTorch.\n\n"
    "example:\n"
    "  omma diff vit.onnx --ref dump/ --all\n";

typedef struct job {
    const char *path, *folder;
    omma_cli_list inputs;
    double rtol, atol;
    int isolate, all, json, threads;
    omma_model *model;
    omma_session *session;
    omma_arena arena; /* the whole run */
    omma_tensor *tensors;
    omma_reference reference;
    diff_report report;
} job;

static const char *file_of(const job *j, const omma_value *v) {
    return j->reference.by_value[v->index];
}

/* --- inputs ---------------------------------------------------------------------- */

static omma_status missing_input(const job *j, const char *name, omma_error *err) {
    char *stem = strdup(name);
    for (char *p = stem; p && *p; p++)
        if (*p == '/') *p = '_';
    const omma_reference *r = &j->reference;
    omma_status s =
        r->n_files
            ? omma_fail(err, OMMA_E_USAGE,
                        "the input '%s' is missing: %s has no file %s.npy, nor is there -i "
                        "%s=FILE.npy; it has %s%s%s%s",
                        name, j->folder, stem ? stem : name, name, r->files[0].name,
                        r->n_files > 1 ? ", " : "", r->n_files > 1 ? r->files[1].name : "",
                        r->n_files > 2 ? ", ..." : "")
            : omma_fail(err, OMMA_E_USAGE,
                        "%s holds no .npy and no .pb file; a reference for the input '%s' would "
                        "be %s.npy",
                        j->folder, name, stem ? stem : name);
    free(stem);
    return s;
}

static omma_status all_inputs(job *j, omma_error *err) {
    OMMA_TRY(omma_cli_inputs(&j->tensors, &j->arena, j->model, j->path, &j->inputs, err));
    const omma_graph *g = j->model->graph;
    for (int i = 0; i < g->n_inputs; i++) {
        const omma_value *v = g->inputs[i];
        if (j->tensors[i].dtype) continue;
        if (!file_of(j, v)) return missing_input(j, v->name, err);
        OMMA_TRY(omma_reference_read(&j->tensors[i], &j->reference, v, &j->arena, err));
    }
    return OMMA_OK;
}

/* --- comparing ------------------------------------------------------------------- */

static omma_status compare(job *j, const omma_value *v, const omma_node *node,
                           const omma_tensor *got, omma_error *err) {
    diff_report *r = &j->report;
    diff_finding *f = &r->findings[r->count];
    omma_arena brief;
    omma_arena_init(&brief, j->arena.budget);
    omma_tensor want;
    omma_status s = omma_reference_read(&want, &j->reference, v, &brief, err);
    if (!s) {
        *f = (diff_finding){.value = v, .node = node, .got = *got, .want = want};
        omma_compare(&f->d, got, &want, &r->tolerance);
        f->got.data = f->want.data = NULL;
        r->by_value[v->index] = f;
        r->count++;
        r->differ += !f->d.agrees;
    }
    omma_arena_free(&brief);
    return s;
}

static omma_status compare_constants(job *j, omma_error *err) {
    const omma_graph *g = j->model->graph;
    for (int i = 0; i < g->n_values; i++) {
        const omma_value *v = g->values[i];
        if (!v->data || !file_of(j, v)) continue;
        omma_tensor t = omma_value_tensor(v);
        OMMA_TRY(compare(j, v, NULL, &t, err));
    }
    return OMMA_OK;
}

/* Output i of a node, if it has a reference. */
static const omma_value *referred(const job *j, const omma_node *n, int i) {
    const omma_value *v = n->out[i];
    return v && !v->data && file_of(j, v) ? v : NULL;
}

static omma_status watch_all(job *j, omma_error *err) {
    const omma_graph *g = j->model->graph;
    for (int i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i]->n_out; k++) {
            const omma_value *v = referred(j, g->nodes[i], k);
            if (v) OMMA_TRY(omma_session_watch(j->session, v->name, err));
        }
    return OMMA_OK;
}

static omma_status run_whole(job *j, const omma_options *opt, omma_error *err) {
    const omma_graph *g = j->model->graph;
    OMMA_TRY(omma_session_new(&j->session, j->model, opt, err));
    OMMA_TRY(watch_all(j, err));
    OMMA_TRY(omma_session_run(j->session, j->tensors, g->n_inputs, err));
    for (int i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i]->n_out; k++) {
            const omma_value *v = referred(j, g->nodes[i], k);
            const omma_tensor *got = v ? omma_session_watched(j->session, v->name) : NULL;
            if (got) OMMA_TRY(compare(j, v, g->nodes[i], got, err));
        }
    return OMMA_OK;
}

/* --- one node by itself ------------------------------------------------------------ */

static bool has_reference(const job *j, const omma_node *n) {
    for (int k = 0; k < n->n_out; k++)
        if (referred(j, n, k)) return true;
    return false;
}

static int input_of(const omma_graph *g, const omma_value *v) {
    for (int i = 0; i < g->n_inputs; i++)
        if (g->inputs[i] == v) return i;
    return -1;
}

/* A node's inputs, the reference's or omma's own of the run before; *found false when one has no
 * reference. */
static omma_status take_inputs(const job *j, const omma_node *n, bool own, omma_tensor *in,
                               bool *found, omma_arena *arena, omma_error *err) {
    for (int i = 0; i < n->n_in; i++) {
        const omma_value *v = n->in[i];
        if (!v || v->data) continue;
        if (v->is_input) in[i] = j->tensors[input_of(j->model->graph, v)];
        else if (!file_of(j, v)) *found = false;
        else if (own) in[i] = *omma_session_watched(j->session, v->name);
        else OMMA_TRY(omma_reference_read(&in[i], &j->reference, v, arena, err));
        if (!*found) return OMMA_OK;
    }
    return OMMA_OK;
}

static bool runs_alone(const omma_node *n) {
    for (int i = 0; i < n->n_attrs; i++)
        if (n->attrs[i].kind == OMMA_ATTR_GRAPH) return false;
    return !(n->op->flags & OMMA_OP_RANDOM);
}

/* Run a node on the reference's inputs or omma's own; *ran false when it cannot be. */
static omma_status run_node(omma_alone *a, bool *ran, const job *j, const omma_node *n, bool own,
                            omma_error *err) {
    *ran = runs_alone(n);
    if (!*ran) return OMMA_OK;
    omma_arena arena;
    omma_arena_init(&arena, j->arena.budget);
    omma_tensor *in = omma_arena_array(&arena, (size_t)n->n_in, sizeof *in);
    omma_status s = in ? take_inputs(j, n, own, in, ran, &arena, err)
                       : omma_fail(err, OMMA_E_NOMEM, "no memory for a node's inputs");
    if (!s && *ran) s = omma_alone_run(a, n, in, &(omma_options){.threads = j->threads}, err);
    omma_arena_free(&arena);
    return s;
}

static omma_status compare_alone(job *j, const omma_node *n, omma_error *err) {
    omma_alone a = {0};
    bool ran;
    omma_status s = run_node(&a, &ran, j, n, false, err);
    for (int k = 0; k < n->n_out && !s && ran; k++)
        if (referred(j, n, k)) s = compare(j, n->out[k], n, omma_alone_output(&a, n, k), err);
    omma_alone_free(&a);
    j->report.lone += !s && ran;
    return s;
}

static omma_status run_alone(job *j, omma_error *err) {
    const omma_graph *g = j->model->graph;
    for (int i = 0; i < g->n_nodes; i++) {
        if (!has_reference(j, g->nodes[i])) continue;
        j->report.nodes++;
        OMMA_TRY(compare_alone(j, g->nodes[i], err));
    }
    return OMMA_OK;
}

/* Does the node agree by itself? Returns 1 or 0, -1 when that cannot be tried. */
static int agrees_alone(const job *j, const diff_finding *f, const omma_tensor *want, bool own) {
    omma_alone a = {0};
    bool ran;
    int agrees = -1;
    omma_difference d;
    if (!run_node(&a, &ran, j, f->node, own, NULL) && ran)
        for (int k = 0; k < f->node->n_out; k++) {
            if (f->node->out[k] != f->value) continue;
            omma_compare(&d, omma_alone_output(&a, f->node, k), want, &j->report.tolerance);
            agrees = d.agrees;
        }
    omma_alone_free(&a);
    return agrees;
}

/* The first that differs once more, by itself: where does it come from? What fails here is no
 * fault of the comparison that was made. */
static void try_again(job *j) {
    diff_report *r = &j->report;
    const diff_finding *f = omma_diff_first(r);
    if (!f || !f->node || r->alone) return;
    omma_arena brief;
    omma_arena_init(&brief, j->arena.budget);
    omma_tensor want;
    if (!omma_reference_read(&want, &j->reference, f->value, &brief, NULL)) {
        int theirs = agrees_alone(j, f, &want, false);
        int ours = theirs > 0 ? agrees_alone(j, f, &want, true) : -1;
        if (!theirs) r->retrial = DIFF_STILL;
        else if (ours >= 0) r->retrial = ours ? DIFF_FUSED : DIFF_AMPLIFIED;
    }
    omma_arena_free(&brief);
}

/* --- the verb ---------------------------------------------------------------------- */

static omma_status start_report(job *j, omma_error *err) {
    const omma_graph *g = j->model->graph;
    diff_report *r = &j->report;
    *r = (diff_report){.model = j->path,
                       .folder = j->folder,
                       .graph = g,
                       .reference = &j->reference,
                       .tolerance = {j->rtol, j->atol},
                       .alone = j->isolate};
    size_t room = (size_t)g->n_values + 1;
    r->findings = omma_arena_array(&j->arena, room, sizeof *r->findings);
    r->by_value = omma_arena_array(&j->arena, room, sizeof *r->by_value);
    return r->findings && r->by_value ? OMMA_OK
                                      : omma_fail(err, OMMA_E_NOMEM, "no memory to compare");
}

/* Nothing was compared: say what the folder has, and what it might have meant. */
static omma_status nothing(const job *j, omma_error *err) {
    const omma_reference *r = &j->reference;
    for (int i = 0; i < r->n_files; i++) {
        if (r->files[i].value) continue;
        const omma_value *near = omma_reference_near(j->model->graph, r->files[i].name);
        if (near)
            return omma_fail(err, OMMA_E_NOTFOUND,
                             "no file in %s has the name of a value inside %s; %s is near to '%s'",
                             j->folder, j->path, r->files[i].name, near->name);
    }
    const omma_graph *g = j->model->graph;
    return omma_fail(
        err, OMMA_E_NOTFOUND,
        "%s in %s is of a value inside %s: its values have names like '%s' ('omma info "
        "--graph' lists them)",
        r->n_unused ? "no file" : "nothing but inputs", j->folder, j->path,
        g->n_nodes && g->nodes[0]->n_out && g->nodes[0]->out[0] ? g->nodes[0]->out[0]->name
                                                                : g->outputs[0]->name);
}

static omma_status work(job *j, omma_error *err) {
    omma_options opt = {.threads = j->threads};
    OMMA_TRY(omma_model_open(&j->model, j->path, &opt, err));
    OMMA_TRY(omma_reference_open(&j->reference, j->model->graph, j->folder, &j->arena, err));
    OMMA_TRY(all_inputs(j, err));
    OMMA_TRY(start_report(j, err));
    OMMA_TRY(compare_constants(j, err));
    OMMA_TRY(j->isolate ? run_alone(j, err) : run_whole(j, &opt, err));
    try_again(j);
    return j->report.count ? OMMA_OK : nothing(j, err);
}

static int diff(job *j) {
    omma_error err;
    int status = 0;
    omma_arena_init(&j->arena, NULL);
    if (work(j, &err)) status = omma_cli_failed("diff", &err);
    else if (j->json) status = omma_diff_json(&j->report, j->all);
    else omma_diff_print(&j->report, j->all);
    if (j->report.differ) status = OMMA_EXIT_FAILED;
    omma_session_free(j->session);
    omma_model_free(j->model);
    omma_arena_free(&j->arena);
    return status;
}

int omma_cli_diff(int argc, char **argv) {
    job j = {.rtol = 1e-3, .atol = 1e-6};
    omma_cli_list args;
    int want_help;
    const omma_cli_option options[] = {
        {0, "ref", 's', &j.folder},      {'i', "input", 'm', &j.inputs}, {0, "rtol", 'f', &j.rtol},
        {0, "atol", 'f', &j.atol},       {0, "all", 'b', &j.all},        {0, "json", 'b', &j.json},
        {0, "isolate", 'b', &j.isolate}, {0, "threads", 't', &j.threads}};
    int status = omma_cli_parse(argc, argv, options, 8, &args, &want_help);
    if (want_help) fputs(help_text, stdout);
    else if (status) goto done;
    else if (args.count != 1)
        status = omma_cli_misused("diff", args.count ? "one model at a time" : "no model given");
    else if (!j.folder)
        status = omma_cli_misused("diff", "no reference given; --ref wants its folder");
    else if (j.rtol < 0 || j.atol < 0)
        status = omma_cli_misused("diff", "--%s may not be negative", j.rtol < 0 ? "rtol" : "atol");
    else {
        j.path = args.items[0];
        status = diff(&j);
    }
done:
    free(args.items);
    free(j.inputs.items);
    return omma_cli_finish("diff", status);
}

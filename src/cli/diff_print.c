/* diff_print.c - what `omma diff` found, for people and as JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/diff.h"

/* --- who may be at fault ----------------------------------------------------------- */

const diff_finding *omma_diff_first(const diff_report *r) {
    for (int i = 0; i < r->count; i++)
        if (!r->findings[i].d.agrees) return &r->findings[i];
    return NULL;
}

/* Is it known what went into a node here: a constant, an input, or a value that was compared? */
static bool is_known(const diff_report *r, const omma_value *v) {
    return v->data || v->is_input || !v->producer || r->by_value[v->index] ||
           (r->alone && r->reference->by_value[v->index]);
}

int omma_diff_suspects(const omma_node **out, int max, const diff_report *r,
                       const diff_finding *f) {
    if (!f->node) return 0;
    bool *seen = calloc((size_t)r->graph->n_nodes, sizeof *seen);
    if (!seen) return -1;
    seen[f->node->index] = true;
    int count = 0;
    for (int i = f->node->index; i >= 0; i--) { /* nodes stand behind those they read from */
        const omma_node *n = r->graph->nodes[i];
        if (!seen[i]) continue;
        if (count < max) out[count] = n;
        count++;
        for (int k = 0; k < n->n_in; k++)
            if (n->in[k] && !is_known(r, n->in[k])) seen[n->in[k]->producer->index] = true;
    }
    free(seen);
    return count;
}

/* --- pieces ------------------------------------------------------------------------ */

static void put_quoted(const char *name) {
    putchar('\'');
    omma_cli_put_name(name, 0);
    putchar('\'');
}

static void put_list(const int64_t *x, int n) {
    putchar('[');
    for (int i = 0; i < n; i++) printf("%s%lld", i ? ", " : "", (long long)x[i]);
    putchar(']');
}

static void put_type(const omma_tensor *t) {
    printf("%s ", omma_dtype_name(t->dtype));
    put_list(t->dims, t->rank);
}

static void put_node(const omma_node *n) {
    put_quoted(n->name);
    printf(" (%s)", n->op->name);
}

/* --- for people -------------------------------------------------------------------- */

enum { NAMED = 8 };

static const char *plural(int n) { return n == 1 ? "" : "s"; }

/* How far a value that agrees is off. */
static void put_off(const omma_difference *d) {
    if (d->largest > 0) printf(" (off by %.2g of its largest magnitude)", d->relative);
    else printf(" exactly");
}

static void put_numbers(const diff_finding *f) {
    const omma_difference *d = &f->d;
    int64_t at[OMMA_MAX_RANK];
    if (d->shape || d->type) {
        printf("  reference  ");
        put_type(&f->want);
        printf(": another %s\n", d->shape && d->type ? "type and shape"
                                 : d->type           ? "type"
                                                     : "shape");
    }
    if (!d->count) return;
    omma_coordinates(at, f->want.dims, f->want.rank, d->at);
    printf("  %s  %.9g, reference %.9g, at ", d->odd ? "first odd" : "furthest ", d->got, d->want);
    put_list(at, f->want.rank);
    printf(
        "\n  largest    difference %.4g, which is %.3g of the reference's largest magnitude %.4g\n",
        d->largest, d->relative, d->magnitude);
    printf("  mean       difference %.3g; cosine %.7f\n", d->mean, d->cosine);
    printf("  numbers    %lld of %lld differ", (long long)d->beyond, (long long)d->count);
    if (d->odd) printf(", %lld of them NaN or infinite on one side only", (long long)d->odd);
    printf("\n");
}

/* What a node was given, and whether that agreed. */
static void put_inputs(const diff_report *r, const omma_node *n) {
    for (int i = 0; i < n->n_in && i < NAMED; i++) {
        const omma_value *v = n->in[i];
        if (!v) continue;
        printf("  %s  ", i ? "         " : "inputs   ");
        put_quoted(v->name);
        const diff_finding *f = r->by_value[v->index];
        if (r->alone && !v->data) printf(" from the reference");
        else if (f && !f->d.agrees) printf(" differs");
        else if (f) printf(" agrees"), put_off(&f->d);
        else if (v->data) printf(" is a constant of the model");
        else if (v->is_input) printf(" is an input of the model");
        else printf(" has no reference");
        printf("\n");
    }
    if (n->n_in > NAMED) printf("             and %d more\n", n->n_in - NAMED);
}

static void put_verdict(const diff_report *r, const diff_finding *f) {
    const omma_node *who[NAMED];
    int n = omma_diff_suspects(who, NAMED, r, f);
    if (!f->node) {
        printf("so the reference is of a model with other weights\n");
    } else if (r->alone) {
        printf("so this operator is what the two compute differently\n");
    } else if (r->retrial == DIFF_STILL) {
        printf("given the reference's own inputs it differs too: this operator is what the two "
               "compute\ndifferently\n");
    } else if (r->retrial == DIFF_AMPLIFIED) {
        printf("given the reference's own inputs it agrees: no fault of this operator, which makes "
               "much of\nlittle differences before it (near equals in another order, rounding, "
               "cancellation).\n--isolate looks for operators that differ by themselves\n");
    } else if (r->retrial == DIFF_FUSED) {
        printf("run by itself it agrees: the fault is in the fused form of it and its neighbours "
               "that omma\nran, and so in omma; please report it\n");
    } else if (n == 1) {
        printf("so the difference begins in this node\n");
    } else if (n > 1) {
        printf("so the difference begins in one of these %d nodes, between which there is no "
               "reference:\n",
               n);
        for (int i = n < NAMED ? n : NAMED; i-- > 0;) {
            printf("  ");
            put_node(who[i]);
            printf("\n");
        }
        if (n > NAMED) printf("  and %d before them\n", n - NAMED);
    }
}

static void put_first(const diff_report *r, const diff_finding *f) {
    printf("the first that differs: ");
    put_quoted(f->value->name);
    putchar(' ');
    put_type(&f->got);
    printf("\n");
    if (f->node) {
        printf("  node       ");
        put_node(f->node);
        printf(", %d of %d\n", f->node->index + 1, r->graph->n_nodes);
    } else printf("  it is a constant of the model\n");
    put_numbers(f);
    if (f->node) put_inputs(r, f->node);
    put_verdict(r, f);
}

static void put_table(const diff_report *r) {
    printf("          largest    relative   cosine     operator            value\n");
    for (int i = 0; i < r->count; i++) {
        const diff_finding *f = &r->findings[i];
        const omma_difference *d = &f->d;
        printf("%-8s  %-9.3g  %-9.3g  %.7f  ", d->agrees ? "agrees" : "DIFFERS", d->largest,
               d->relative, d->cosine);
        omma_cli_put_name(f->node ? f->node->op->name : "(constant)", 18);
        printf("  ");
        omma_cli_put_name(f->value->name, 0);
        if (d->shape || d->type) {
            printf(" ");
            put_type(&f->got);
            printf(", reference ");
            put_type(&f->want);
        } else if (d->odd) {
            printf(" (%lld NaN or infinite on one side)", (long long)d->odd);
        }
        printf("\n");
    }
}

/* The value that is furthest off though all agree. */
static void put_furthest(const diff_report *r) {
    const diff_finding *most = &r->findings[0];
    for (int i = 1; i < r->count; i++)
        if (r->findings[i].d.relative > most->d.relative) most = &r->findings[i];
    if (!(most->d.largest > 0)) {
        printf("every number is the same\n");
        return;
    }
    printf("furthest off: ");
    put_quoted(most->value->name);
    printf(" (%s), by %.3g, which is %.2g of its largest magnitude\n",
           most->node ? most->node->op->name : "constant", most->d.largest, most->d.relative);
}

static void put_unused(const diff_report *r) {
    const omma_reference *ref = r->reference;
    int told = 0;
    if (!ref->n_unused) return;
    printf("%d file%s of no value of the model:", ref->n_unused,
           ref->n_unused == 1 ? " is" : "s are");
    for (int i = 0; i < ref->n_files && told < NAMED; i++) {
        if (ref->files[i].value) continue;
        printf("%s ", told++ ? "," : "");
        omma_cli_put_name(ref->files[i].name, 0);
        const omma_value *near = omma_reference_near(r->graph, ref->files[i].name);
        if (near) printf(" (near to "), put_quoted(near->name), printf(")");
    }
    printf("%s\n", ref->n_unused > told ? ", ..." : "");
}

static int without_reference(const diff_report *r) {
    int n = 0;
    for (int i = 0; i < r->graph->n_values; i++)
        n += r->graph->values[i]->producer && !r->by_value[i];
    return n;
}

void omma_diff_print(const diff_report *r, bool all) {
    if (all) put_table(r);
    omma_cli_put_name(r->model, 0);
    printf(" against ");
    omma_cli_put_name(r->folder, 0);
    printf(": %d value%s compared, ", r->count, plural(r->count));
    if (r->differ) printf("%d differ%s", r->differ, r->differ == 1 ? "s" : "");
    else printf("all agree");
    int left = without_reference(r);
    if (r->alone) printf("; %d of %d nodes ran by themselves", r->lone, r->nodes);
    else if (left) printf("; %d without a reference", left);
    printf("\n");
    const diff_finding *first = omma_diff_first(r);
    if (first) put_first(r, first);
    else put_furthest(r);
    put_unused(r);
}

/* --- for programs ------------------------------------------------------------------ */

static void json_tensor(omma_json_writer *w, const char *key, const omma_tensor *t) {
    omma_json_key(w, key);
    omma_json_begin_object(w);
    omma_json_key(w, "type");
    omma_json_put_text(w, omma_dtype_name(t->dtype));
    omma_json_key(w, "shape");
    omma_json_begin_array(w);
    for (int i = 0; i < t->rank; i++) omma_json_put_int(w, t->dims[i]);
    omma_json_end_array(w);
    omma_json_end_object(w);
}

static void json_double(omma_json_writer *w, const char *key, double v) {
    omma_json_key(w, key);
    omma_json_put_double(w, v);
}

static void json_int(omma_json_writer *w, const char *key, int64_t v) {
    omma_json_key(w, key);
    omma_json_put_int(w, v);
}

static void json_text(omma_json_writer *w, const char *key, const char *v) {
    omma_json_key(w, key);
    omma_json_put_text(w, v);
}

static void json_numbers(omma_json_writer *w, const diff_finding *f) {
    const omma_difference *d = &f->d;
    int64_t at[OMMA_MAX_RANK];
    json_int(w, "numbers", d->count);
    json_int(w, "beyond", d->beyond);
    json_int(w, "odd", d->odd);
    json_double(w, "largest", d->largest);
    json_double(w, "relative", d->relative);
    json_double(w, "mean", d->mean);
    json_double(w, "magnitude", d->magnitude);
    json_double(w, "cosine", d->cosine);
    if (d->at < 0) return;
    omma_coordinates(at, f->want.dims, f->want.rank, d->at);
    omma_json_key(w, "at");
    omma_json_begin_array(w);
    for (int i = 0; i < f->want.rank; i++) omma_json_put_int(w, at[i]);
    omma_json_end_array(w);
    json_double(w, "got", d->got);
    json_double(w, "want", d->want);
}

static void json_finding(omma_json_writer *w, const diff_finding *f) {
    omma_json_begin_object(w);
    json_text(w, "value", f->value->name);
    json_text(w, "node", f->node ? f->node->name : NULL);
    json_text(w, "operator", f->node ? f->node->op->name : NULL);
    omma_json_key(w, "agrees");
    omma_json_put_bool(w, f->d.agrees);
    json_tensor(w, "omma", &f->got);
    json_tensor(w, "reference", &f->want);
    json_numbers(w, f);
    omma_json_end_object(w);
}

static void json_suspects(omma_json_writer *w, const diff_report *r, const diff_finding *first) {
    const omma_node *who[64];
    int n = first ? omma_diff_suspects(who, 64, r, first) : 0;
    omma_json_key(w, "suspects");
    omma_json_begin_array(w);
    for (int i = 0; i < n && i < 64; i++) omma_json_put_text(w, who[i]->name);
    omma_json_end_array(w);
}

static void json_unused(omma_json_writer *w, const omma_reference *ref) {
    omma_json_key(w, "unused_files");
    omma_json_begin_array(w);
    for (int i = 0; i < ref->n_files; i++)
        if (!ref->files[i].value) omma_json_put_text(w, ref->files[i].name);
    omma_json_end_array(w);
}

int omma_diff_json(const diff_report *r, bool all) {
    omma_json_writer w;
    omma_json_writer_file(&w, stdout, true);
    omma_json_begin_object(&w);
    json_text(&w, "model", r->model);
    json_text(&w, "reference", r->folder);
    json_double(&w, "rtol", r->tolerance.rtol);
    json_double(&w, "atol", r->tolerance.atol);
    json_int(&w, "compared", r->count);
    json_int(&w, "differ", r->differ);
    json_int(&w, "without_reference", without_reference(r));
    const diff_finding *first = omma_diff_first(r);
    omma_json_key(&w, "first");
    if (first) json_finding(&w, first);
    else omma_json_put_null(&w);
    json_suspects(&w, r, first);
    static const char *const causes[] = {NULL, "operator", "inputs", "fusion"};
    json_text(&w, "cause", causes[r->retrial]);
    json_unused(&w, r->reference);
    if (all) {
        omma_json_key(&w, "values");
        omma_json_begin_array(&w);
        for (int i = 0; i < r->count; i++) json_finding(&w, &r->findings[i]);
        omma_json_end_array(&w);
    }
    omma_json_end_object(&w);
    return omma_cli_json_end("diff", &w);
}

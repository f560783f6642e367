/* test_field_nodes.c - containment on the ONNX project's node tests: every operator in every way
 * that project thought of, branches, loops and sequences among them, on its own numbers. What
 * fieldprobe.h asks is asked of elements of all floating outputs; a model without a field or
 * gradient must have a reason for it.
 *
 *     test_field_nodes PART       only the tests whose name contains PART */
#define _DEFAULT_SOURCE
#include "fieldprobe.h"

#include <dirent.h>

#include "guard.h"
#include "nodetest.h"
#include "shared.h"

enum { PICKS = 6, TRIALS = 2, LARGEST = 1 << 16 };

static const char *only; /* part of a name */
static struct { int cases, opened, refused, cut, integers, large; } seen;

static bool has_op(const omma_graph *g, const char *name) {
    for (int i = 0; i < g->n_nodes; i++)
        if (!strcmp(g->nodes[i]->op->name, name)) return true;
    return false;
}

/* Places that are read at have gradients, or the numbers differ from run to run. */
static bool steers(const omma_graph *g) {
    return has_op(g, "GridSample") || has_op(g, "DeformConv") || has_op(g, "RoiAlign");
}

/* The floating outputs, those that are tensors and not empty. */
static int floating_outputs(const omma_session *s, const omma_graph *g, const char **unit) {
    int n = 0;
    for (int i = 0; i < g->n_outputs && n < 3; i++) {
        const omma_tensor *t = omma_session_output(s, i);
        if (t && probe_floats(t->dtype) && omma_tensor_count(t) > 0 && !g->outputs[i]->is_input &&
            !g->outputs[i]->data && omma_tensor_count(t) < LARGEST)
            unit[n++] = g->outputs[i]->name;
    }
    return n;
}

/* Does a size depend on numbers? What is behind it is another graph, and it is read to be as large
 * as it can be. */
static bool is_cut(const probe *p) {
    if (!p->shape) return false;
    for (int i = 0; i < p->n; i++) {
        const omma_value *v = omma_graph_find(p->shape->specialised.graph, p->unit[i]);
        if (v && memcmp(v->dims, p->base[i].dims, (size_t)v->rank * sizeof *v->dims)) return true;
    }
    return p->shape->specialised.cut != NULL;
}

static omma_status probe_case(const char *name, const omma_graph *g, const omma_tensor *in,
                              const char *const *unit, int n, bool last) {
    probe p = {.g = g, .what = name, .in = in, .n_in = g->n_inputs, .unit = unit, .n = n};
    const omma_status s = probe_open(&p);
    const probe_how how = {.trials = TRIALS, .steers = steers(g), .pairs = 2};
    const bool cut = s && is_cut(&p);
    seen.opened += !s;
    seen.cut += cut;
    if (s && !cut && last) {
        print_message("%s: %s\n", name, p.err.message);
        assert_true(s == OMMA_E_UNSUPPORTED);
        seen.refused++;
    }
    for (int i = 0; i < PICKS * n && !s && p.n_by; i++) {
        int64_t at[OMMA_MAX_RANK];
        probe_pick(&p, i % n, at);
        probe_unit(&p, i % n, at, &how);
    }
    probe_close(&p);
    return cut ? OMMA_OK : s;
}

/* The same with all inputs but the first fixed: some decide shapes, or are not to be known. */
static void probe_fixed(const char *name, const omma_graph *g, const omma_tensor *in,
                        const char *const *unit, int n) {
    omma_arena arena;
    omma_arena_init(&arena, NULL);
    omma_graph *fixed = omma_graph_clone(g, &arena);
    for (int i = 1; i < fixed->n_inputs; i++) {
        omma_value *v = fixed->inputs[i];
        v->dtype = in[i].dtype, v->rank = in[i].rank, v->data = in[i].data, v->is_input = false;
        memcpy(v->dims, in[i].dims, sizeof v->dims);
    }
    fixed->n_inputs = 1;
    (void)probe_case(name, fixed, in, unit, n, true);
    omma_arena_free(&arena);
}

/* A model and one set of its inputs. */
static void one_set(const char *name, const omma_model *m, const char *set) {
    const omma_graph *g = m->graph;
    omma_arena arena;
    omma_error err;
    omma_session *s = NULL;
    omma_tensor in[64];
    const char *unit[3];
    int n = 0, outs;
    omma_arena_init(&arena, NULL);
    while (n < 64 && !nodetest_load(&in[n], set, "input", n, &arena, &err)) n++;
    if (n == g->n_inputs && n <= PROBE_IN && !omma_session_on_graph(&s, g, name, NULL, &err) &&
        !omma_session_run(s, in, n, &err)) {
        outs = floating_outputs(s, g, unit);
        seen.integers += !outs;
        if (outs && probe_case(name, g, in, unit, outs, n < 2) && n > 1)
            probe_fixed(name, g, in, unit, outs);
    }
    omma_session_free(s);
    omma_arena_free(&arena);
}

static void one_case(const char *folder, const char *name) {
    char path[NODETEST_PATH + 320];
    omma_model *m;
    omma_error err;
    seen.cases++;
    dice_seed = (uint64_t)seen.cases;
    snprintf(path, sizeof path, "%s/%s/model.onnx", folder, name);
    if (omma_model_open(&m, path, NULL, &err)) return;
    snprintf(path, sizeof path, "%s/%s/test_data_set_0", folder, name);
    one_set(name, m, path);
    omma_model_free(m);
}

static void every_case(const char *folder) {
    struct dirent **names;
    const int n = scandir(folder, &names, NULL, alphasort), part = n / rounds(n);
    memset(&seen, 0, sizeof seen);
    memset(&probe_seen, 0, sizeof probe_seen);
    assert_true(n > 2);
    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;
        if (*name != '.' && (only ? strstr(name, only) != NULL : i % part == 0))
            one_case(folder, name);
        free(names[i]);
    }
    free(names);
    print_message(
        "%d cases, %d opened, %d without floating outputs, %d cut where the data decide a "
        "size, %d refused\n",
        seen.cases, seen.opened, seen.integers, seen.cut, seen.refused);
    probe_report();
}

static void last_state(void **state) {
    (void)state;
    char archive[600], folder[NODETEST_PATH];
    if (!shared_path(archive, sizeof archive, "onnx/node_tests.tgz")) {
        print_message("SKIPPED: no %s\n", archive);
        skip();
    }
    assert_true(nodetest_unpack(folder, archive));
    every_case(folder);
    nodetest_remove(folder);
}

int main(int argc, char **argv) {
    if (argc > 1) only = argv[1];
    const struct CMUnitTest tests[] = {cmocka_unit_test(last_state)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

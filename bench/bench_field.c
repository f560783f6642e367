/* bench_field.c - what fields cost: the relations of a model, the field of every cell of every
 * layer at once, and one unit walked back (units of the last layers, and of others), in
 * milliseconds of processor time, medians of rounds.
 *
 *     bench_field MODEL.onnx [--input HxW] [--rounds N]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "field/field_table.h"
#include "model/inspect.h"

enum { MOST = 201, UNITS = 40 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *t, int n) {
    qsort(t, (size_t)n, sizeof *t, by_value);
    return t[n / 2];
}

static int fail(const omma_error *err) {
    fprintf(stderr, "bench_field: %s\n", err->message);
    return 1;
}

static double one_unit(const omma_fov *f, const omma_value *v, omma_error *err, int *bad) {
    int64_t at[OMMA_MAX_RANK];
    omma_walk w;
    for (int d = 0; d < v->rank; d++) at[d] = v->dims[d] / 2;
    const double t0 = now();
    *bad |= omma_fov_walk(&w, f, v, at, OMMA_FIELD_STRUCTURAL, true, err) != OMMA_OK;
    const double t1 = now();
    omma_walk_free(&w);
    return t1 - t0;
}

/* The slowest of units spread over the graph, and one of the last value. */
static int units(const omma_fov *f, int rounds, omma_error *err) {
    const omma_graph *g = f->specialised.graph;
    double last[MOST], worst = 0, t[MOST];
    const char *where = "";
    int bad = 0;
    for (int u = 0; u < UNITS; u++) {
        const omma_node *n = g->nodes[(int64_t)(g->n_nodes - 1) * (u + 1) / UNITS];
        const omma_value *v = n->out[0];
        if (!v || !f->fields.depends[v->index] || !omma_value_count(v)) continue;
        for (int r = 0; r < rounds; r++) t[r] = one_unit(f, v, err, &bad);
        const double m = median(t, rounds);
        if (m > worst) worst = m, where = v->name;
    }
    for (int r = 0; r < rounds; r++) last[r] = one_unit(f, g->outputs[0], err, &bad);
    printf("one unit       %8.3f ms of the first output; %.3f ms the slowest of %d (%s)\n",
           median(last, rounds), worst, UNITS, where);
    return bad;
}

int main(int argc, char **argv) {
    int rounds = 21, h = 0, w = 0, down, across;
    omma_error err;
    omma_model *m;
    omma_tensor *in;
    bool open;
    omma_arena arena;
    double made[MOST], cells[MOST];
    for (int i = 2; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--rounds")) rounds = atoi(argv[i + 1]);
        if (!strcmp(argv[i], "--input")) sscanf(argv[i + 1], "%dx%d", &h, &w);
    }
    if (argc < 2 || rounds < 1 || rounds > MOST) return 2;
    omma_arena_init(&arena, NULL);
    if (omma_model_open(&m, argv[1], NULL, &err)) return fail(&err);
    if (omma_inspect_shapes(&in, m, 224, &open, &arena, &err)) return fail(&err);
    if (h > 0 && w > 0) in[0].dims[2] = h, in[0].dims[3] = w;
    omma_fov *f = NULL;
    for (int r = 0; r < rounds; r++) {
        omma_fov_free(f);
        const double t0 = now();
        if (omma_fov_new(&f, m, in, omma_model_input_count(m), NULL, &err)) return fail(&err);
        made[r] = now() - t0;
    }
    const omma_value *image = omma_fov_image(f, &down, &across);
    if (!image) return fprintf(stderr, "bench_field: no picture\n"), 1;
    for (int r = 0; r < rounds; r++) {
        omma_arena a;
        omma_arena_init(&a, NULL);
        const double t0 = now();
        if (!omma_cells(&f->fields, image, down, across, OMMA_FIELD_STRUCTURAL, &a)) return 1;
        cells[r] = now() - t0;
        omma_arena_free(&a);
    }
    printf("graph and relations %8.3f ms, %d nodes\n", median(made, rounds),
           f->specialised.graph->n_nodes);
    printf("every cell     %8.3f ms\n", median(cells, rounds));
    const int bad = units(f, rounds, &err);
    omma_fov_free(f);
    omma_model_free(m);
    omma_arena_free(&arena);
    return bad;
}

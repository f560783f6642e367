/* gradgold.h - one model of tests/golden/gradients: PyTorch's outputs and gradients, and the
 * weights they belong to, which a generator makes here as make.py did there.
 *
 *     gradgold g;
 *     omma_model_open(&m, gradgold_model_path(path, "vit"), NULL, &err);
 *     if (!gradgold_open(&g, "vit", m)) ...g.fault...
 *     omma_session_run(s, g.inputs, g.input_count, &err);   picture, then weights
 *     const gradgold_grad *want = gradgold_find(&g, "blocks.0.qkv.weight");
 *     gradgold_off off = gradgold_compare(want, got);       got: want->count floats
 *     gradgold_close(&g);
 *
 * The loss is the sum of seed * output over all outputs and elements: seed[i] is the cotangent
 * of output i. README.md beside the data says what each file holds. Whatever differs between the
 * tables, the arrays and the model's inputs is a fault, so a test need not look again. */
#ifndef OMMA_TESTS_GRADGOLD_H
#define OMMA_TESTS_GRADGOLD_H

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "file/npy.h"
#include "omma/omma.h"

enum {
    GRADGOLD_MAX = 128,     /* weights of a model */
    GRADGOLD_OUTPUTS = 4,   /* outputs of a model */
    GRADGOLD_NAME = 96,     /* bytes of a name */
    GRADGOLD_SAMPLES = 256, /* elements recorded of a large gradient */
    GRADGOLD_PATH = 1024
};

/* A parameter or buffer; weight t of the table, from 1, is input t of the model. */
typedef struct gradgold_weight {
    char name[GRADGOLD_NAME];
    int64_t count;
    float scale, shift;
    uint32_t bits; /* the sum of the elements' bits, modulo 2^32 */
} gradgold_weight;

/* What is recorded of a parameter's gradient: element gradgold_position(r, j) is values[j], for j
 * below recorded. A whole one has all elements, a sampled one GRADGOLD_SAMPLES of them (some may
 * come twice), its sum and its L2 norm. */
typedef struct gradgold_grad {
    char name[GRADGOLD_NAME];
    int weight; /* t: the model's input whose gradient it is */
    int64_t count, recorded;
    bool whole;
    double sum, norm; /* of all elements; 0 of a whole one */
    double largest;   /* the largest |element|; below 1e-12 where mathematics say zero */
    double noise;     /* how far PyTorch's float32 is from its float64, at the worst element */
    double sum_noise; /* and in the sum */
    const float *values;
} gradgold_grad;

typedef struct gradgold {
    char fault[GRADGOLD_PATH + 300];
    omma_arena arena; /* owns every array */
    int weight_count, grad_count, output_count, input_count;
    gradgold_weight weights[GRADGOLD_MAX]; /* weight t is weights[t - 1] */
    gradgold_grad grads[GRADGOLD_MAX];
    omma_tensor inputs[1 + GRADGOLD_MAX]; /* picture and weights; may be written to */
    omma_tensor picture, picture_grad;    /* as recorded */
    omma_tensor output[GRADGOLD_OUTPUTS], seed[GRADGOLD_OUTPUTS];
} gradgold;

/* --- the generator ----------------------------------------------------------------- */

/* Murmur3's finaliser. */
static inline uint32_t gradgold_hash(int t, int64_t i) {
    uint32_t h = (uint32_t)t * 0x9E3779B9u + (uint32_t)i;
    h ^= h >> 16, h *= 0x85EBCA6Bu;
    h ^= h >> 13, h *= 0xC2B2AE35u;
    return h ^ (h >> 16);
}

/* Element i of weight t: a multiple of 2^-23 in [-1, 1), scaled and shifted in float32. */
static inline float gradgold_value(const gradgold *g, int t, int64_t i) {
    float u = (float)((int32_t)(gradgold_hash(t, i) >> 8) - (1 << 23)) * 0x1p-23f;
    return g->weights[t - 1].scale * u + g->weights[t - 1].shift;
}

static inline int64_t gradgold_position(const gradgold_grad *r, int64_t j) {
    return r->whole ? j : gradgold_hash(r->weight, j) % (uint32_t)r->count;
}

/* --- reading ----------------------------------------------------------------------- */

static inline const char *gradgold_path(char path[GRADGOLD_PATH], const char *model,
                                        const char *file) {
    snprintf(path, GRADGOLD_PATH, "%s/tests/golden/gradients/%s/%s", OMMA_TREE, model, file);
    return path;
}

static inline const char *gradgold_model_path(char path[GRADGOLD_PATH], const char *model) {
    return gradgold_path(path, model, "model.onnx");
}

__attribute__((format(printf, 2, 3))) static inline bool gradgold_fail(gradgold *g, const char *fmt,
                                                                       ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(g->fault, sizeof g->fault, fmt, ap);
    va_end(ap);
    return false;
}

/* A table's lines but for the first, which names the columns: row(g, line) of each. */
static inline bool gradgold_table(gradgold *g, const char *model, const char *file,
                                  bool (*row)(gradgold *, const char *)) {
    char path[GRADGOLD_PATH], line[512];
    FILE *f = fopen(gradgold_path(path, model, file), "r");
    if (!f) return gradgold_fail(g, "%s: cannot be opened", path);
    bool ok = fgets(line, sizeof line, f) && *line == '#';
    while (ok && fgets(line, sizeof line, f)) ok = row(g, line);
    fclose(f);
    return ok || gradgold_fail(g, "%s: wrong at: %s", path, line);
}

static inline bool gradgold_weight_row(gradgold *g, const char *line) {
    if (g->weight_count == GRADGOLD_MAX) return false;
    gradgold_weight *w = &g->weights[g->weight_count++];
    return sscanf(line, "%95s %" SCNd64 " %f %f %" SCNx32, w->name, &w->count, &w->scale, &w->shift,
                  &w->bits) == 5;
}

/* Weight t of this name, or 0. */
static inline int gradgold_weight_of(const gradgold *g, const char *name) {
    for (int t = 1; t <= g->weight_count; t++)
        if (!strcmp(g->weights[t - 1].name, name)) return t;
    return 0;
}

static inline bool gradgold_grad_row(gradgold *g, const char *line) {
    char form[16];
    int64_t first = 0, due = 0;
    if (g->grad_count == GRADGOLD_MAX) return false;
    gradgold_grad *r = &g->grads[g->grad_count];
    if (sscanf(line, "%95s %" SCNd64 " %15s %" SCNd64 " %lf %lf %lf", r->name, &r->count, form,
               &first, &r->largest, &r->noise, &r->sum_noise) != 7)
        return false;
    r->weight = gradgold_weight_of(g, r->name);
    r->whole = !strcmp(form, "whole");
    r->recorded = r->whole ? r->count : GRADGOLD_SAMPLES;
    for (const gradgold_grad *p = g->grads; p < r; p++) due += p->recorded + (p->whole ? 0 : 2);
    g->grad_count++;
    return (r->whole || !strcmp(form, "sampled")) && first == due && r->weight &&
           r->count == g->weights[r->weight - 1].count;
}

static inline bool gradgold_array(gradgold *g, omma_tensor *t, const char *model, const char *file,
                                  int number) {
    char name[64], path[GRADGOLD_PATH];
    omma_error err;
    snprintf(name, sizeof name, number < 0 ? "%s.npy" : "%s_%d.npy", file, number);
    if (omma_npy_read(t, &g->arena, gradgold_path(path, model, name), &err))
        return gradgold_fail(g, "%s", err.message);
    return t->dtype == OMMA_F32 || gradgold_fail(g, "%s: not float32", path);
}

/* grads.npy, handed out to the rows of grads.txt: a sampled one begins with sum and norm. */
static inline bool gradgold_numbers(gradgold *g, const char *model) {
    omma_tensor t;
    if (!gradgold_array(g, &t, model, "grads", -1)) return false;
    const float *p = t.data, *end = p + omma_tensor_count(&t);
    for (gradgold_grad *r = g->grads; r < g->grads + g->grad_count; r++) {
        if (end - p < r->recorded + (r->whole ? 0 : 2)) return gradgold_fail(g, "grads.npy: short");
        if (!r->whole) r->sum = p[0], r->norm = p[1], p += 2;
        r->values = p, p += r->recorded;
    }
    return p == end || gradgold_fail(g, "grads.npy: more than grads.txt names");
}

/* Input t of the model: its shape is the model's, its numbers are generated. */
static inline bool gradgold_generate(gradgold *g, const omma_port *port, int t) {
    const gradgold_weight *w = &g->weights[t - 1];
    omma_tensor *in = &g->inputs[t];
    uint32_t bits = 0, b;
    *in = (omma_tensor){.dtype = OMMA_F32, .rank = port->rank};
    for (int d = 0; d < port->rank; d++) in->dims[d] = port->dims[d];
    if (strcmp(port->name, w->name) || port->dtype != OMMA_F32 || port->rank < 0 ||
        omma_tensor_count(in) != w->count)
        return gradgold_fail(g, "input %d, %s, is not %s of weights.txt", t, port->name, w->name);
    float *p = in->data = omma_arena_array(&g->arena, (size_t)w->count, sizeof *p);
    if (!p) return gradgold_fail(g, "out of memory");
    for (int64_t i = 0; i < w->count; i++) {
        p[i] = gradgold_value(g, t, i);
        memcpy(&b, &p[i], sizeof b);
        bits += b;
    }
    return bits == w->bits || gradgold_fail(g, "%s: not the numbers of make.py", w->name);
}

static inline bool gradgold_inputs(gradgold *g, const omma_model *m) {
    g->input_count = omma_model_input_count(m);
    if (g->input_count != 1 + g->weight_count)
        return gradgold_fail(g, "%d inputs, and %d weights", g->input_count, g->weight_count);
    size_t bytes = (size_t)omma_tensor_count(&g->picture) * sizeof(float);
    g->inputs[0] = g->picture;
    g->inputs[0].data = omma_arena_alloc(&g->arena, bytes);
    if (!g->inputs[0].data) return gradgold_fail(g, "out of memory");
    memcpy(g->inputs[0].data, g->picture.data, bytes);
    for (int t = 1; t < g->input_count; t++)
        if (!gradgold_generate(g, omma_model_input(m, t), t)) return false;
    return true;
}

/* Read a folder and make the inputs of its model. Returns false and g->fault if anything is
 * missing or does not fit; close g in any case. */
static inline bool gradgold_open(gradgold *g, const char *model, const omma_model *m) {
    memset(g, 0, sizeof *g);
    omma_arena_init(&g->arena, NULL);
    g->output_count = omma_model_output_count(m);
    if (g->output_count > GRADGOLD_OUTPUTS) return gradgold_fail(g, "too many outputs");
    if (!gradgold_array(g, &g->picture, model, "picture", -1) ||
        !gradgold_array(g, &g->picture_grad, model, "picture_grad", -1))
        return false;
    for (int i = 0; i < g->output_count; i++)
        if (!gradgold_array(g, &g->output[i], model, "output", i) ||
            !gradgold_array(g, &g->seed[i], model, "seed", i))
            return false;
    return gradgold_table(g, model, "weights.txt", gradgold_weight_row) &&
           gradgold_table(g, model, "grads.txt", gradgold_grad_row) && gradgold_numbers(g, model) &&
           gradgold_inputs(g, m);
}

static inline void gradgold_close(gradgold *g) { omma_arena_free(&g->arena); }

/* --- comparing --------------------------------------------------------------------- */

/* The record of a parameter's gradient, or NULL: no such name, or a buffer's. */
static inline const gradgold_grad *gradgold_find(const gradgold *g, const char *name) {
    for (const gradgold_grad *r = g->grads; r < g->grads + g->grad_count; r++)
        if (!strcmp(r->name, name)) return r;
    return NULL;
}

/* The largest |got - want| of n elements; infinite where one of them is no number. */
static inline double gradgold_far(const float *got, const float *want, int64_t n) {
    double worst = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)got[i] - (double)want[i]);
        worst = isnan(d) ? INFINITY : fmax(worst, d);
    }
    return worst;
}

/* How far a gradient is from its record, each as |got - want|. */
typedef struct gradgold_off {
    double element;   /* at the worst of the recorded elements */
    double sum, norm; /* 0 of a whole one */
} gradgold_off;

/* got: r->count elements. */
static inline gradgold_off gradgold_compare(const gradgold_grad *r, const float *got) {
    gradgold_off off = {0};
    double sum = 0, squares = 0;
    for (int64_t j = 0; j < r->recorded; j++)
        off.element =
            fmax(off.element, gradgold_far(got + gradgold_position(r, j), r->values + j, 1));
    if (r->whole) return off;
    for (int64_t i = 0; i < r->count; i++) sum += got[i], squares += (double)got[i] * got[i];
    off.sum = fabs(sum - r->sum), off.norm = fabs(sqrt(squares) - r->norm);
    if (isnan(off.sum)) off.sum = off.norm = INFINITY;
    return off;
}

#endif

/* nodemanifest.h - tests/node_tests.txt: what omma says of each conformance test. A line is
 *
 *     NAME pass
 *     NAME not-supported: REASON
 *     NAME faulty-test: REASON          the test asks for what its own model does not give
 *
 * Names of a suite other than the last state of the ONNX project's begin with the suite's name
 * and a slash. Writing it anew takes reasons from a table of patterns over omma's own messages,
 * so that they stay few and plain. */
#ifndef OMMA_TESTS_NODEMANIFEST_H
#define OMMA_TESTS_NODEMANIFEST_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MANIFEST_MAX = 8000, MANIFEST_NAME = 192, MANIFEST_REASON = 160 };

/* In the order of nodetest_result: what a test of this verdict comes to. */
typedef enum manifest_verdict { MANIFEST_PASS, MANIFEST_FAULTY, MANIFEST_NOT } manifest_verdict;

typedef struct manifest_line {
    char name[MANIFEST_NAME];
    manifest_verdict verdict;
    char reason[MANIFEST_REASON]; /* why it does not pass */
    bool seen;                    /* in a suite that was run */
} manifest_line;

typedef struct manifest {
    manifest_line *lines;
    size_t count;
    char fault[256]; /* why it could not be read */
} manifest;

static inline manifest_line *manifest_find(const manifest *m, const char *name) {
    for (size_t i = 0; i < m->count; i++)
        if (!strcmp(m->lines[i].name, name)) return &m->lines[i];
    return NULL;
}

/* Add a line, or NULL when there is no room for it. */
static inline manifest_line *manifest_add(manifest *m, const char *name) {
    if (m->count == MANIFEST_MAX || strlen(name) >= MANIFEST_NAME) return NULL;
    manifest_line *l = &m->lines[m->count++];
    memset(l, 0, sizeof *l);
    strcpy(l->name, name);
    return l;
}

static inline bool manifest_read_line(manifest *m, char *text) {
    char *verdict = strchr(text, ' ');
    if (!verdict) return false;
    *verdict++ = 0;
    if (manifest_find(m, text)) return false;
    manifest_line *l = manifest_add(m, text);
    if (!l) return false;
    if (!strcmp(verdict, "pass")) return true;
    l->verdict = MANIFEST_NOT;
    if (sscanf(verdict, "not-supported: %159[^\n]", l->reason) == 1) return true;
    l->verdict = MANIFEST_FAULTY;
    return sscanf(verdict, "faulty-test: %159[^\n]", l->reason) == 1;
}

/* Read the manifest. Returns 1, or 0 and says why in m->fault. */
static inline int manifest_read(manifest *m, const char *path) {
    char text[512], copy[512];
    m->count = 0;
    m->lines = calloc(MANIFEST_MAX, sizeof *m->lines);
    snprintf(m->fault, sizeof m->fault, "%.200s cannot be read", path);
    FILE *f = m->lines ? fopen(path, "r") : NULL;
    if (!f) return 0;
    bool sound = true;
    while (sound && fgets(text, sizeof text, f)) {
        text[strcspn(text, "\r\n")] = 0;
        strcpy(copy, text);
        if (*text && *text != '#') sound = manifest_read_line(m, text);
    }
    if (!sound) snprintf(m->fault, sizeof m->fault, "a wrong or a second line: %.200s", copy);
    fclose(f);
    return sound;
}

static inline int manifest_order(const void *a, const void *b) {
    return strcmp(((const manifest_line *)a)->name, ((const manifest_line *)b)->name);
}

/* Write it, sorted. Returns 1, or 0 when it cannot be written. */
static inline int manifest_write(manifest *m, const char *path) {
    FILE *f = fopen(path, "w");
    if (!f) return 0;
    fputs("# What omma says of each conformance test; tests/test_onnx_nodes.c checks every line.\n"
          "# A wrong line fails the build in both directions. Names with a slash are of the\n"
          "# suites that Debian's libonnx-testdata installs, where they differ.\n"
          "# Written by scripts/node-manifest.sh.\n",
          f);
    qsort(m->lines, m->count, sizeof *m->lines, manifest_order);
    for (size_t i = 0; i < m->count; i++) {
        const manifest_line *l = &m->lines[i];
        const char *word = l->verdict == MANIFEST_FAULTY ? "faulty-test" : "not-supported";
        if (l->verdict == MANIFEST_PASS) fprintf(f, "%s pass\n", l->name);
        else fprintf(f, "%s %s: %s\n", l->name, word, l->reason);
    }
    return !fclose(f);
}

/* --- reasons --------------------------------------------------------------------- */

/* What omma says -> what the manifest says. The first pattern found decides. */
static const struct manifest_pattern {
    const char *said, *reason;
} manifest_patterns[] = {
    {"of element type 8,", "string tensors"},
    {"of string type", "string tensors"},
    {"of element type 14,", "complex numbers"},
    {"of element type 15,", "complex numbers"},
    {"of element type 17,", "float8"},
    {"of element type 18,", "float8"},
    {"of element type 19,", "float8"},
    {"of element type 20,", "float8"},
    {"of element type 21,", "4-bit integers"},
    {"of element type 22,", "4-bit integers"},
    {"of element type 23,", "float4"},
    {"of element type 24,", "float8"},
    {"of element type 25,", "2-bit integers"},
    {"of element type 26,", "2-bit integers"},
    {"is not a tensor (a sequence", "sequences and optional values"},
    {"does not say which operator set", "operators of ai.onnx.ml or of training"},
    {"training_mode", "training mode"},
    {"; omma reads 7 to", "operator sets before 7"},
    {"must be of bfloat16, not uint16", "the test's data call bfloat16 numbers uint16"},
    {"is bfloat16 of rank", "the test's data call bfloat16 numbers uint16"},
};

/* What operators omma lacks are for. */
static const struct manifest_use {
    const char *op, *use;
} manifest_uses[] = {
    {"STFT", "audio"},
    {"DFT", "audio"},
    {"HannWindow", "audio"},
    {"HammingWindow", "audio"},
    {"BlackmanWindow", "audio"},
    {"MelWeightMatrix", "audio"},
    {"SoftmaxCrossEntropyLoss", "training loss"},
    {"NegativeLogLikelihoodLoss", "training loss"},
    {"Bernoulli", "random numbers"},
    {"RandomNormal", "random numbers"},
    {"RandomNormalLike", "random numbers"},
    {"RandomUniform", "random numbers"},
    {"RandomUniformLike", "random numbers"},
    {"Multinomial", "random numbers"},
    {"TfIdfVectorizer", "text"},
    {"StringNormalizer", "text"},
    {"ImageDecoder", "encoded pictures"},
    {"LinearAttention", "language models"},
    {"CausalConvWithState", "language models"},
    {"ai.onnx.preview.FlexAttention", "a preview of ONNX"},
    {"BitShift", "bits"},
    {"BitCast", "bits"},
};

/* "... does not have: Scan ('a', 'b'); If ('c')" -> "operators Scan, If: what for". */
static inline int manifest_operators(char *reason, const char *said) {
    static const char before[] = "omma does not have: ";
    char list[MANIFEST_REASON] = "", name[64];
    const char *use = NULL, *p = strstr(said, before);
    int count = 0;
    if (!p) return 0;
    for (p += sizeof before - 1; sscanf(p, "%63[A-Za-z0-9_.]", name) == 1; count++) {
        size_t at = strlen(list);
        snprintf(list + at, sizeof list - at, "%s%s", at ? ", " : "", name);
        for (size_t i = 0; !use && i < sizeof manifest_uses / sizeof *manifest_uses; i++)
            if (!strcmp(manifest_uses[i].op, name)) use = manifest_uses[i].use;
        if (!(p = strstr(p, "); "))) break;
        p += 3;
    }
    snprintf(reason, MANIFEST_REASON, "operator%s %.100s%s%s", count ? "s" : "", list,
             use ? ": " : "", use ? use : "");
    return 1;
}

/* The reason for what omma said; the old one, or the message itself, where no pattern fits. */
static inline void manifest_reason(char *reason, const char *said) {
    if (manifest_operators(reason, said)) return;
    for (size_t i = 0; i < sizeof manifest_patterns / sizeof *manifest_patterns; i++)
        if (strstr(said, manifest_patterns[i].said)) {
            strcpy(reason, manifest_patterns[i].reason);
            return;
        }
    if (*reason) return;
    const char *p = strstr(said, "model.onnx: ");
    snprintf(reason, MANIFEST_REASON, "%.150s", p ? p + 12 : said);
}

#endif

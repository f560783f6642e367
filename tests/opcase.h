/* opcase.h - one operator at work, written in a line: for tables of tests of the rooms.
 *
 *     opcase_run("Concat", 13, "T2x3 T2x1", "axis=1", OMMA_F16, 1)
 *
 * Inputs are words: a letter, dims, and numbers, of which one may be left out.
 *     T2x3      type under test, [2,3], small numbers of either sign (never negative for
 *               unsigned types, 0 and 1 for bool)
 *     P2x3      the same, all at least 1/2
 *     T2x2=1,0,0,1    given numbers; T=1,2 a list, t=1 a scalar
 *     F f  float32   D d  float64   I i  int64   J j  int32   B b  bool   C c  uint8   -  left out
 * Inputs with given numbers are constant. Attributes are words too:
 *     axis=1   alpha=0.5   pads=[1,1]   scales=[1.0,2.0]   mode=edge   value=T (one number) */
#ifndef OMMA_TESTS_OPCASE_H
#define OMMA_TESTS_OPCASE_H

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "op/element.h"
#include "optest.h"

static inline omma_dtype opcase_type(char letter, omma_dtype t) {
    switch (letter) {
    case 'F': return OMMA_F32;
    case 'D': return OMMA_F64;
    case 'I': return OMMA_I64;
    case 'J': return OMMA_I32;
    case 'B': return OMMA_BOOL;
    case 'C': return OMMA_U8;
    default: return t;
    }
}

/* Number i of input k: halves for floats, whole ones else. like: the type whose numbers they
 * are to be, which is not the type they are stored in for a reference. */
static inline double opcase_number(omma_dtype like, bool positive, int k, int64_t i) {
    double v = (double)((i * 7 + k * 5 + 3) % 11 - 5);
    if (like == OMMA_BOOL) return (int64_t)v & 1;
    if (positive) v = fabs(v) + 1;
    if (omma_type_in(like, OMMA_IN_UNSIGNED)) v = fabs(v);
    return omma_type_in(like, OMMA_IN_FLOAT) ? v / 2 : v;
}

static inline void opcase_put(optest *t, const char *word, omma_dtype type, omma_dtype like) {
    if (*word == '-') {
        optest_skip(t);
        return;
    }
    const char letter = (char)toupper(*word);
    const omma_dtype own = opcase_type(letter, type);
    if (own != type || letter != 'T') like = letter == 'T' || letter == 'P' ? like : own;
    int64_t dims[OMMA_MAX_RANK], count = 1;
    int rank = 0;
    char *p = (char *)(uintptr_t)(word + 1);
    while (isdigit(*p)) {
        dims[rank] = strtoll(p, &p, 10);
        count *= dims[rank++];
        if (*p == 'x') p++;
    }
    const bool given = *p == '=';
    if (given && !rank && isupper(*word)) {
        count = 1;
        for (char *q = p; *q; q++) count += *q == ',';
        dims[rank++] = count;
    }
    char *data = test_calloc((size_t)count + 1, 8);
    for (int64_t i = 0; i < count; i++) {
        double v = opcase_number(like, letter == 'P', t->n_in, i);
        if (given) v = strtod(p + 1, &p);
        omma_set_number(own, data, i, v);
    }
    optest_put(t, given, own, data, rank, dims);
    test_free(data);
}

/* The attribute's word after '='. */
static inline void opcase_attr(optest *t, char *name, char *word, omma_dtype type) {
    name = omma_arena_strndup(&t->arena, name, strlen(name));
    const bool list = *word == '[', real = strchr(word, '.') != NULL;
    char *p = word + list;
    if (!strcmp(word, "T")) {
        omma_value *v = omma_arena_alloc(&t->arena, sizeof *v);
        void *data = omma_arena_alloc(&t->arena, 8);
        v->dtype = type;
        v->rank = 1;
        v->dims[0] = 1;
        v->data = data;
        omma_set_number(type, data, 0, 1);
        t->attrs[t->n_attrs++] = (omma_attr){.name = name, .kind = OMMA_ATTR_TENSOR, .tensor = v};
        return;
    }
    if (!list && !isdigit(*p) && *p != '-') {
        optest_string(t, name, omma_arena_strndup(&t->arena, p, strlen(p)));
        return;
    }
    int n = 0;
    float *f = omma_arena_array(&t->arena, 16, sizeof *f);
    int64_t *v = omma_arena_array(&t->arena, 16, sizeof *v);
    while (*p && *p != ']' && n < 16) {
        char *begin = p;
        f[n] = (float)strtod(begin, &p);
        v[n] = (int64_t)f[n];
        n++;
        if (*p == ',') p++;
    }
    if (!list && real) optest_float(t, name, f[0]);
    else if (!list) optest_int(t, name, v[0]);
    else if (real)
        t->attrs[t->n_attrs++] =
            (omma_attr){.name = name, .kind = OMMA_ATTR_FLOATS, .floats = f, .count = n};
    else optest_ints(t, name, v, n);
}

/* The operator set up; type for T, numbers like those of `like`. */
static inline optest *opcase_new(const char *op, int opset, const char *inputs, const char *attrs,
                                 omma_dtype type, omma_dtype like) {
    optest *t = optest_new(op, opset);
    char line[512], *rest = line, *word;
    snprintf(line, sizeof line, "%s", inputs);
    while ((word = strtok_r(rest, " ", &rest))) opcase_put(t, word, type, like);
    snprintf(line, sizeof line, "%s", attrs ? attrs : "");
    rest = line;
    while ((word = strtok_r(rest, " ", &rest))) {
        char *equal = strchr(word, '=');
        *equal = 0;
        opcase_attr(t, word, equal + 1, type);
    }
    return t;
}

#endif

/* randomwide_make.h - what random graphs of every operator (randomwide.h) are made with: nodes of
 * any row of the table with random attributes. A node is inferred at once, so its shape is known to
 * whoever goes on from it; one that its room refuses is taken back, and NULL comes out.
 *
 *     wide_ints(w, "strides", 2, (int64_t[]){1, 2});              // for the next node
 *     omma_value *y = put(w, "Conv", 11, x, weights(w, 27, DIMS(4, 3, 3, 3)));
 *     push(w, y);                                                 // others may go on from it
 */
#ifndef OMMA_TESTS_RANDOMWIDE_MAKE_H
#define OMMA_TESTS_RANDOMWIDE_MAKE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "dice.h"
#include "op/op.h"

enum { WIDE_VALUES = 256, WIDE_ATTRS = 12, WIDE_MOST = 3000 };

typedef struct wide {
    omma_arena arena;
    omma_graph *g;
    omma_build b;
    omma_error err;
    omma_attr attrs[WIDE_ATTRS]; /* of the next node */
    int n_attrs;
    omma_dtype type;            /* of all that is written as float32 here */
    omma_value *v[WIDE_VALUES]; /* of that type, to go on from */
    int n;
    omma_value *image; /* the input */
    int made, refused;
    int turn;              /* which variant of a step is due; -1: any */
    bool positive;         /* every derivative is */
    bool hostile;          /* attributes and lists have odd numbers in them now and then */
    omma_value *chosen[2]; /* made by the step and the plain operator the caller chose */
} wide;

#define DIMS(...) \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), ((int64_t[]){__VA_ARGS__})

/* One of a step's n variants. */
static inline int variant(const wide *w, int n) { return w->turn < 0 ? roll(n) : w->turn % n; }

/* --- attributes of the next node ------------------------------------------------------------ */

static inline void wide_attr(wide *w, omma_attr a) {
    assert_true(w->n_attrs < WIDE_ATTRS);
    w->attrs[w->n_attrs++] = a;
}
static inline void wide_int(wide *w, const char *name, int64_t v) {
    wide_attr(w, (omma_attr){.name = name, .kind = OMMA_ATTR_INT, .i = v, .s = ""});
}
static inline void wide_real(wide *w, const char *name, double v) {
    wide_attr(w, (omma_attr){.name = name, .kind = OMMA_ATTR_FLOAT, .f = (float)v, .s = ""});
}
static inline void wide_text(wide *w, const char *name, const char *v) {
    wide_attr(w, (omma_attr){.name = name, .kind = OMMA_ATTR_STRING, .s = v});
}
static inline void *wide_copy(wide *w, const void *p, size_t n) {
    void *copy = omma_arena_alloc(&w->arena, n + 8);
    return n ? memcpy(copy, p, n) : copy;
}
static inline void wide_ints(wide *w, const char *name, int n, const int64_t *v) {
    wide_attr(w, (omma_attr){.name = name,
                             .kind = OMMA_ATTR_INTS,
                             .ints = wide_copy(w, v, (size_t)n * sizeof *v),
                             .count = n,
                             .s = ""});
}
static inline void wide_reals(wide *w, const char *name, int n, const float *v) {
    wide_attr(w, (omma_attr){.name = name,
                             .kind = OMMA_ATTR_FLOATS,
                             .floats = wide_copy(w, v, (size_t)n * sizeof *v),
                             .count = n,
                             .s = ""});
}
static inline void wide_texts(wide *w, const char *name, int n, const char *const *v) {
    wide_attr(w, (omma_attr){.name = name,
                             .kind = OMMA_ATTR_STRINGS,
                             .strings = wide_copy(w, v, (size_t)n * sizeof *v),
                             .count = n,
                             .s = ""});
}

/* --- values and nodes ------------------------------------------------------------------------ */

static inline omma_value *wide_value(wide *w) {
    return omma_graph_value(w->g, omma_arena_printf(&w->arena, "v%d", w->made++));
}

static inline int64_t count(const omma_value *v) { return omma_value_count(v); }

static inline int64_t odd_whole(int64_t v) {
    static const int64_t odd[] = {
        0, -1, 1, 2, 5, -3, 64, 100, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, INT64_C(1) << 32};
    return rare() ? (int64_t)((uint64_t)v + (uint64_t)between(-2, 2)) : odd[roll(13)];
}

/* Something else in one attribute; a list may lose its last number. */
static inline void spoil(wide *w, omma_node *n) {
    static const float odd[] = {0, -1, INFINITY, NAN, 1e30f, -1e-30f};
    omma_attr *attrs = wide_copy(w, n->attrs, (size_t)n->n_attrs * sizeof *attrs);
    omma_attr *a = &attrs[roll(n->n_attrs)];
    n->attrs = attrs;
    if (a->kind == OMMA_ATTR_INT) a->i = odd_whole(a->i);
    if (a->kind == OMMA_ATTR_FLOAT) a->f = odd[roll(6)];
    if (a->kind != OMMA_ATTR_INTS || !a->count) return;
    int64_t *list = wide_copy(w, a->ints, (size_t)a->count * sizeof *list),
            *v = &list[roll(a->count)];
    *v = odd_whole(*v);
    a->ints = list;
    a->count -= roll(6) == 0;
}

/* A node of this row with the attributes set before; its outputs are out[0], ... NULL when the room
 * will not have it. in: entries may be NULL. */
static inline omma_node *put_node(wide *w, const char *name, int opset, int ins,
                                  omma_value *const *in, int outs) {
    const omma_op *op = omma_op_find(name);
    const int values = w->g->n_values, nodes = w->g->n_nodes;
    if (!op) fail_msg("no operator '%s'", name);
    omma_node *n = omma_graph_node(w->g, op, omma_arena_printf(&w->arena, "n%d", nodes), ins, outs);
    n->opset = opset;
    n->attrs = wide_copy(w, w->attrs, (size_t)w->n_attrs * sizeof *w->attrs);
    n->n_attrs = w->n_attrs;
    w->n_attrs = 0;
    if (w->hostile && n->n_attrs && coin()) spoil(w, n);
    bool good = ins >= op->min_in && outs >= op->min_out;
    for (int i = 0; i < ins; i++) n->in[i] = in[i], good &= in[i] || i >= op->min_in;
    for (int i = 0; i < outs; i++) omma_node_set_output(n, i, wide_value(w));
    good = good && !op->infer(&w->b, n);
    for (int i = 0; i < outs && good; i++) good = count(n->out[i]) <= 4 * WIDE_MOST;
    if (good) return n;
    w->g->n_values = values, w->g->n_nodes = nodes;
    w->refused++;
    return NULL;
}

#define COUNT_OF(...) (int)(sizeof((omma_value *[]){__VA_ARGS__}) / sizeof(omma_value *))

/* The first output of a node of these inputs. */
#define put(w, op, opset, ...) \
    put_first(w, op, opset, COUNT_OF(__VA_ARGS__), (omma_value *[]){__VA_ARGS__})

static inline omma_value *put_first(wide *w, const char *op, int opset, int ins,
                                    omma_value *const *in) {
    omma_node *n = put_node(w, op, opset, ins, in, 1);
    return n ? n->out[0] : NULL;
}

/* Others may go on from v: of the graph's type, not large, and unless it is hostile not empty. */
static inline void push(wide *w, omma_value *v) {
    if (!v || v->dtype != w->type || v->rank > 6 || w->n == WIDE_VALUES) return;
    if (count(v) > (w->hostile ? -1 : 0) && count(v) <= WIDE_MOST) w->v[w->n++] = v;
}

static inline void push_all(wide *w, omma_node *n) {
    for (int i = 0; n && i < n->n_out; i++) push(w, n->out[i]);
}

/* --- constants ------------------------------------------------------------------------------- */

static inline omma_value *constant(wide *w, omma_dtype t, int rank, const int64_t *dims,
                                   const void *data) {
    const omma_dtype to = t == OMMA_F32 ? w->type : t;
    size_t n = 1;
    for (int i = 0; i < rank; i++) n *= (size_t)dims[i];
    void *copy = omma_arena_alloc(&w->arena, n * omma_dtype_size(to) + 8);
    for (size_t i = 0; i < n && to != t; i++)
        omma_set_number(to, copy, (int64_t)i, omma_get_number(t, data, (int64_t)i));
    if (n && to == t) memcpy(copy, data, n * omma_dtype_size(t));
    return omma_graph_constant(w->g, omma_arena_printf(&w->arena, "c%d", w->made++), to, rank, dims,
                               copy);
}

/* Random numbers in a range. */
static inline omma_value *floats(wide *w, double lo, double hi, int rank, const int64_t *dims) {
    static float data[1 << 16];
    int64_t n = 1;
    for (int i = 0; i < rank; i++) n *= dims[i];
    assert_true(n <= 1 << 16);
    for (int64_t i = 0; i < n; i++) data[i] = (float)real(lo, hi);
    return constant(w, OMMA_F32, rank, dims, data);
}

/* Weights of sums of so many numbers. */
static inline omma_value *weights(wide *w, int64_t terms, int rank, const int64_t *dims) {
    const double s = w->positive ? 1 / (double)(terms ? terms : 1) : 1.7 / sqrt((double)terms + 1);
    return floats(w, w->positive ? 0.6 * s : -s, w->positive ? 1.4 * s : s, rank, dims);
}

static inline omma_value *number(wide *w, double x) {
    return constant(w, OMMA_F32, 0, NULL, &(float){(float)x});
}
static inline omma_value *list(wide *w, int n, const int64_t *v) {
    if (w->hostile && n && roll(8) == 0) {
        int64_t *odd = wide_copy(w, v, (size_t)n * sizeof *v), *one = &odd[roll(n)];
        *one = odd_whole(*one);
        v = odd;
    }
    return constant(w, OMMA_I64, 1, (int64_t[]){n}, v);
}
static inline omma_value *whole(wide *w, int64_t v) { return constant(w, OMMA_I64, 0, NULL, &v); }

/* Factors: of a sum of one. */
static inline omma_value *factors(wide *w, int rank, const int64_t *dims) {
    return floats(w, w->positive ? 0.5 : -1, w->positive ? 1.5 : 1, rank, dims);
}

/* Random indices into an axis of length n, some from its end. */
static inline omma_value *indices(wide *w, int64_t n, int rank, const int64_t *dims) {
    static int64_t data[1 << 13];
    int64_t all = 1;
    for (int i = 0; i < rank; i++) all *= dims[i];
    if (n < 1 || all > 1 << 13) return NULL;
    for (int64_t i = 0; i < all; i++) data[i] = between(rare() ? -n : 0, n - 1);
    return constant(w, OMMA_I64, rank, dims, data);
}

static inline omma_value *bools(wide *w, int rank, const int64_t *dims) {
    static unsigned char data[1 << 14];
    int64_t n = 1;
    for (int i = 0; i < rank; i++) n *= dims[i];
    if (n > 1 << 14) return NULL;
    for (int64_t i = 0; i < n; i++) data[i] = (unsigned char)coin();
    return constant(w, OMMA_BOOL, rank, dims, data);
}

/* --- values that are there already ------------------------------------------------------------ */

/* Any, a late one more often. */
static inline omma_value *any(const wide *w) {
    return roll(3) ? w->v[w->n - 1 - roll(w->n < 4 ? w->n : 4)] : w->v[roll(w->n)];
}

static inline omma_value *under(wide *w, omma_value *v, int rank, const int64_t *dims) {
    return v ? put(w, "Reshape", 13, v, list(w, rank, dims)) : NULL;
}

/* v under dims of that rank: axes are joined, cut, or ones put in. */
static inline omma_value *ranked_as(wide *w, omma_value *v, int rank) {
    int64_t d[OMMA_MAX_RANK + 1];
    int n = v->rank;
    memcpy(d, v->dims, sizeof v->dims);
    while (n > rank) {
        const int at = roll(n - 1);
        if (n == 1) n = 0;
        if (!n) break;
        d[at] *= d[at + 1];
        for (int i = at + 1; i + 1 < n; i++) d[i] = d[i + 1];
        n--;
    }
    while (n < rank) {
        const int at = roll(n + 1), from = n ? (at < n ? at : n - 1) : 0;
        int64_t by = 1;
        for (int64_t f = 2; n && f <= 5 && by == 1; f++)
            if (d[from] % f == 0 && d[from] > f && roll(3)) by = f;
        if (n) d[from] /= by;
        for (int i = n; i > at; i--) d[i] = d[i - 1];
        d[at] = by;
        n++;
    }
    return under(w, v, n, d);
}

/* One of that rank. */
static inline omma_value *ranked(wide *w, int rank) {
    for (int t = 0; t < 6; t++) {
        omma_value *v = any(w);
        if (v->rank == rank) return v;
    }
    return ranked_as(w, any(w), rank);
}

/* Numbers of the graph in this shape: from somewhere in a row-major order, repeated if there are
 * too few. */
static inline omma_value *shaped(wide *w, int rank, const int64_t *dims) {
    int64_t need = 1;
    for (int i = 0; i < rank; i++) need *= dims[i];
    omma_value *v = any(w);
    for (int t = 0; t < 5 && count(v) < need; t++) v = any(w);
    if (need > WIDE_MOST || need < 0) return NULL;
    if (!count(v)) v = w->image;
    v = under(w, v, 1, (int64_t[]){-1});
    if (v && count(v) < need)
        v = put(w, "Tile", 13, v, list(w, 1, (int64_t[]){(need + count(v) - 1) / count(v)}));
    if (v && count(v) > need) {
        const int64_t from = between(0, count(v) - need);
        v = put(w, "Slice", 13, v, list(w, 1, &from), list(w, 1, (int64_t[]){from + need}));
    }
    return v && need ? under(w, v, rank, dims) : NULL;
}

/* Something that broadcasts with x: fewer axes, some of length one; computed or constant. */
static inline omma_value *fellow(wide *w, const omma_value *x, double lo, double hi) {
    int64_t d[OMMA_MAX_RANK];
    if (!x) return NULL;
    const int skip = rare() ? roll(x->rank + 1) : 0, rank = x->rank - skip;
    for (int i = 0; i < rank; i++) d[i] = rare() ? 1 : x->dims[i + skip];
    if (roll(3)) return shaped(w, rank, d);
    return floats(w, lo, hi, rank, d);
}

/* A map [N,C,H,W] with at least so many rows and columns. */
static inline omma_value *map_of(wide *w, int64_t least) {
    for (int t = 0; t < 8; t++) {
        omma_value *v = any(w);
        if (v->rank == 4 && v->dims[2] >= least && v->dims[3] >= least) return v;
    }
    return w->image;
}

/* [N,C,spatial...] with k spatial axes. */
static inline omma_value *spatial(wide *w, int k) {
    omma_value *x = k == 2 ? map_of(w, 3) : ranked(w, k + 2);
    if (!x || x->dims[1] <= 16) return x;
    return put(w, "Slice", 13, x, list(w, 1, (int64_t[]){0}), list(w, 1, (int64_t[]){8}),
               list(w, 1, (int64_t[]){1}));
}

static inline omma_value *un(wide *w, const char *op, omma_value *x) { return put(w, op, 13, x); }

/* Numbers about -1..1; above 0. */
static inline omma_value *tame(wide *w, omma_value *x) { return x ? un(w, "Tanh", x) : NULL; }
static inline omma_value *above(wide *w, omma_value *x, double least) {
    return x ? put(w, "Add", 13, un(w, "Abs", x), number(w, least)) : NULL;
}

static inline omma_value *cast(wide *w, omma_value *x, omma_dtype t) {
    wide_int(w, "to", t == OMMA_F32 ? w->type : t);
    return put(w, "Cast", 13, x);
}

/* Computed whole numbers in [0, n), shaped as x. */
static inline omma_value *index_of(wide *w, omma_value *x, int64_t n, omma_dtype t) {
    if (!x) return NULL;
    x = put(w, "Mul", 13, un(w, "Abs", tame(w, x)), number(w, 0.999 * (double)n));
    return x ? cast(w, x, t) : NULL;
}

/* Random axes of a rank, each named once, maybe from the end; how many. */
static inline int some_axes(int rank, int64_t *axes, int most) {
    int n = 0;
    for (int d = 0; d < rank && n < most; d++)
        if (coin()) axes[n++] = coin() ? d : d - rank;
    if (!n && rank) axes[n++] = between(-rank, rank - 1);
    return n;
}

static inline int64_t an_axis(int rank) { return between(-rank, rank - 1); }

static inline const char *one_of(int n, const char *const *words) { return words[roll(n)]; }
#define ONE_OF(...)                                                                  \
    one_of((int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)), \
           (const char *const[]){__VA_ARGS__})
#define VARIANT(...)                              \
    ((const char *const[]){__VA_ARGS__})[variant( \
        w, (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)))]

#endif

/* randomgraph.h - random models of convolutions and attention, for the tests of the passes:
 * chains and branches with the patterns that fuse, views, moves and shape arithmetic.
 *
 *     random_seed = 7;
 *     random_graph r;
 *     mk bytes = random_model(&r);   // one input v0: f32 [1,4,r.h,r.w]; open when r.open
 */
#ifndef OMMA_TESTS_RANDOMGRAPH_H
#define OMMA_TESTS_RANDOMGRAPH_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <cmocka.h>

#include "onnxmake.h"

static uint32_t random_seed = 1;

static int rnd(int n) {
    random_seed = random_seed * 1664525u + 1013904223u;
    return (int)((random_seed >> 8) % (uint32_t)n);
}

static float real(void) { return (float)rnd(20001) / 10000 - 1; }

enum { VALUES = 400, WEIGHT_MAX = 1 << 16 };

/* A graph being made: its values so far, of rank 4 [1,C,H,W], 3 [1,T,C] or 2 [1,N]. */
typedef struct random_graph {
    mk g;
    int n, consts;
    struct {
        char name[16];
        int rank, reads,
            shape;  /* shape: the first value of this shape, whatever the input's size */
        bool apart; /* channels are not where steps look for them */
        int64_t d[4];
    } v[VALUES];
    int64_t h, w; /* of the input */
    bool open;
} random_graph;

static char *text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static char *text(const char *fmt, ...) { /* good for the next sixteen calls */
    static char buf[16][128];
    static int k;
    char *s = buf[k++ % 16];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(s, sizeof buf[0], fmt, ap);
    va_end(ap);
    return s;
}

static const char *weight(random_graph *r, float scale, float shift, int rank,
                          const int64_t *dims) {
    static float data[WEIGHT_MAX];
    int64_t n = 1;
    for (int i = 0; i < rank; i++) n *= dims[i];
    assert_true(n <= WEIGHT_MAX);
    for (int64_t i = 0; i < n; i++) data[i] = real() * scale + shift;
    char *name = text("w%d", r->consts++);
    mk_floats(&r->g, name, data, rank, dims);
    return name;
}

static const char *list(random_graph *r, const int64_t *v, int n) {
    char *name = text("w%d", r->consts++);
    mk_ints(&r->g, name, v, n);
    return name;
}

/* One number, under rank 0..most. */
static const char *number(random_graph *r, float x, int most) {
    char *name = text("w%d", r->consts++);
    mk_floats(&r->g, name, &x, rnd(most + 1), (const int64_t[]){1, 1, 1, 1});
    return name;
}

/* A new value; returns its number. */
static int value(random_graph *r, int rank, const int64_t *d) {
    int i = r->n++;
    assert_true(i < VALUES);
    snprintf(r->v[i].name, sizeof r->v[i].name, "v%d", i);
    r->v[i].rank = rank;
    r->v[i].reads = 0;
    r->v[i].shape = i;
    r->v[i].apart = false;
    for (int k = 0; k < rank; k++) r->v[i].d[k] = d[k];
    return i;
}

static int like(random_graph *r, int i) {
    int y = value(r, r->v[i].rank, r->v[i].d);
    r->v[y].apart = r->v[i].apart;
    r->v[y].shape = r->v[i].shape;
    return y;
}

static int apart(random_graph *r, int rank, const int64_t *d) {
    int y = value(r, rank, d);
    r->v[y].apart = true;
    return y;
}
static const char *name_of(random_graph *r, int i) { return r->v[i].name; }

static const char *use(random_graph *r, int i) {
    r->v[i].reads++;
    return r->v[i].name;
}

/* A value of that rank (0: any), a late one more often; -1 when there is none. */
static int pick(random_graph *r, int rank) {
    for (int t = 0; t < 40; t++) {
        int i = rnd(3) ? r->n - 1 - rnd(r->n < 6 ? r->n : 6) : rnd(r->n);
        if (!rank || (r->v[i].rank == rank && !r->v[i].apart)) return i;
    }
    return -1;
}

static int unary(random_graph *r, const char *op, int x, mk *attrs) {
    int y = like(r, x);
    mk_op(&r->g, op, use(r, x), name_of(r, y), attrs);
    return y;
}

static void conv(random_graph *r) {
    int x = pick(r, 4), kind = rnd(4);
    if (x < 0) return;
    const int64_t *d = r->v[x].d, c = d[1], m = kind == 2 ? c : 4 + 4 * rnd(3), k = kind ? 3 : 1;
    if (kind == 3 && (d[2] < 3 || d[3] < 3)) return;
    mk a = {0};
    int64_t stride = kind == 3 ? 2 : 1,
            out[4] = {1, m, (d[2] - 1) / stride + 1, (d[3] - 1) / stride + 1};
    if (kind) mk_attr_ints(&a, "pads", (int64_t[]){1, 1, 1, 1}, 4);
    if (kind == 3) mk_attr_ints(&a, "strides", (int64_t[]){2, 2}, 2);
    if (kind == 2) mk_attr_int(&a, "group", c);
    const char *w = weight(r, 1.7f / sqrtf((float)((kind == 2 ? 1 : c) * k * k)), 0,
                           MK_DIMS(m, kind == 2 ? 1 : c, k, k));
    const char *in = rnd(2) ? text("%s,%s", use(r, x), w)
                            : text("%s,%s,%s", use(r, x), w, weight(r, 0.5f, 0, MK_DIMS(m)));
    mk_op(&r->g, "Conv", in, name_of(r, value(r, 4, out)), &a);
}

static void batch_norm(random_graph *r) {
    int x = pick(r, 4);
    if (x < 0) return;
    int64_t c = r->v[x].d[1];
    const char *s = weight(r, 0.4f, 1, MK_DIMS(c)), *b = weight(r, 0.5f, 0, MK_DIMS(c));
    const char *m = weight(r, 0.5f, 0, MK_DIMS(c)), *v = weight(r, 0.4f, 1, MK_DIMS(c));
    mk a = {0};
    if (rnd(2)) mk_attr_float(&a, "epsilon", 1e-3f);
    const char *in = text("%s,%s,%s,%s,%s", use(r, x), s, b, m, v);
    mk_op(&r->g, "BatchNormalization", in, name_of(r, like(r, x)), &a);
}

static void activation(random_graph *r) {
    static const char *const ops[] = {"Relu",     "Sigmoid", "Tanh", "HardSwish", "HardSigmoid",
                                      "Identity", "Neg",     "Abs",  "LeakyRelu", "Relu",
                                      "Clip",     "Clip",    "Cast"};
    int x = pick(r, 0), k = rnd(13);
    mk a = {0};
    if (k == 12) mk_attr_int(&a, "to", OMMA_F32);
    if (k == 10 || k == 11) {
        const char *lo = number(r, -0.5f, 0), *hi = number(r, 1, 0);
        const char *in =
            k == 10 ? text("%s,%s,%s", use(r, x), lo, hi) : text("%s,%s", use(r, x), lo);
        mk_op(&r->g, "Clip", in, name_of(r, like(r, x)), NULL);
    } else unary(r, ops[k], x, &a);
}

static void hard_swish(random_graph *r) {
    int x = pick(r, 0), most = r->v[x].rank, add = like(r, x), clip = like(r, x), mul = like(r, x),
        div = like(r, x);
    const char *three = number(r, 3, most), *zero = number(r, 0, 0), *six = number(r, 6, 0),
               *by = number(r, 6, most);
    mk_op(&r->g, "Add", rnd(2) ? text("%s,%s", use(r, x), three) : text("%s,%s", three, use(r, x)),
          name_of(r, add), NULL);
    mk_op(&r->g, "Clip", text("%s,%s,%s", use(r, add), zero, six), name_of(r, clip), NULL);
    mk_op(&r->g, "Mul",
          rnd(2) ? text("%s,%s", use(r, x), use(r, clip)) : text("%s,%s", use(r, clip), use(r, x)),
          name_of(r, mul), NULL);
    mk_op(&r->g, "Div", text("%s,%s", use(r, mul), by), name_of(r, div), NULL);
}

static void silu(random_graph *r) {
    int x = pick(r, 0), s = unary(r, "Sigmoid", x, NULL), y = like(r, x);
    mk_op(&r->g, "Mul",
          rnd(2) ? text("%s,%s", use(r, x), use(r, s)) : text("%s,%s", use(r, s), use(r, x)),
          name_of(r, y), NULL);
}

static bool same_shape(const random_graph *r, int a, int b) {
    if (r->open) return r->v[a].shape == r->v[b].shape;
    return r->v[a].rank == r->v[b].rank && !memcmp(r->v[a].d, r->v[b].d, (size_t)r->v[a].rank * 8);
}

static void pair(random_graph *r) {
    static const char *const ops[] = {"Add", "Sub", "Max", "Mean"};
    int x = pick(r, 0), z = -1;
    for (int t = 0; t < 20 && z < 0; t++) {
        int i = pick(r, 0);
        if (same_shape(r, x, i)) z = i;
    }
    const char *other = z >= 0 ? use(r, z) : number(r, real(), r->v[x].rank);
    const char *in = rnd(2) ? text("%s,%s", use(r, x), other) : text("%s,%s", other, use(r, x));
    mk_op(&r->g, ops[rnd(4)], in, name_of(r, like(r, x)), NULL);
}

static void gate(random_graph *r) { /* squeeze and excite */
    int x = pick(r, 4);
    if (x < 0) return;
    int64_t c = r->v[x].d[1];
    int p = value(r, 4, (const int64_t[]){1, c, 1, 1});
    mk_op(&r->g, "GlobalAveragePool", use(r, x), name_of(r, p), NULL);
    int s = unary(r, "Sigmoid", p, NULL);
    mk_op(&r->g, "Mul", text("%s,%s", use(r, x), use(r, s)), name_of(r, like(r, x)), NULL);
}

/* [1,C,H,W] to [1,HW,C], the shape given or asked for. */
static void tokens(random_graph *r) {
    int x = pick(r, 4);
    if (x < 0) return;
    int64_t c = r->v[x].d[1], t = r->v[x].d[2] * r->v[x].d[3];
    const char *shape;
    if (rnd(2)) {
        int k = r->consts++;
        const char *from = list(r, (int64_t[]){0}, 1), *to = list(r, (int64_t[]){2}, 1),
                   *rest = list(r, (int64_t[]){-1}, 1);
        mk a = {0};
        mk_op(&r->g, "Shape", use(r, x), text("s%d", k), NULL);
        mk_op(&r->g, "Slice", text("s%d,%s,%s", k, from, to), text("t%d", k), NULL);
        mk_attr_int(&a, "axis", 0);
        mk_op(&r->g, "Concat", text("t%d,%s", k, rest), text("u%d", k), &a);
        shape = text("u%d", k);
    } else shape = list(r, (int64_t[]){0, c, -1}, 3);
    int flat = apart(r, 3, (const int64_t[]){1, c, t}), y = value(r, 3, (const int64_t[]){1, t, c});
    mk a = {0};
    mk_op(&r->g, "Reshape", text("%s,%s", use(r, x), shape), name_of(r, flat), NULL);
    mk_attr_ints(&a, "perm", (int64_t[]){0, 2, 1}, 3);
    mk_op(&r->g, "Transpose", use(r, flat), name_of(r, y), &a);
}

static void linear(random_graph *r) {
    int x = pick(r, 3);
    if (x < 0 || r->v[x].d[2] > 64) return;
    int64_t c = r->v[x].d[2], m = 4 + 4 * rnd(3);
    int y = value(r, 3, (const int64_t[]){1, r->v[x].d[1], m});
    mk_op(&r->g, "MatMul",
          text("%s,%s", use(r, x), weight(r, 1.7f / sqrtf((float)c), 0, MK_DIMS(c, m))),
          name_of(r, y), NULL);
    if (rnd(2)) return;
    mk_op(&r->g, "Add", text("%s,%s", use(r, y), weight(r, 0.5f, 0, MK_DIMS(m))),
          name_of(r, like(r, y)), NULL);
}

static void attention(random_graph *r) {
    int q = pick(r, 3);
    if (q < 0) return;
    int64_t t = r->v[q].d[1], c = r->v[q].d[2];
    if (c > 64) return;
    /* bounded, or the exponential makes the rounding of large scores larger still */
    q = unary(r, "Tanh", q, NULL);
    int k = apart(r, 3, (const int64_t[]){1, c, t}), s = apart(r, 3, (const int64_t[]){1, t, t}),
        y = value(r, 3, r->v[q].d);
    mk a = {0};
    mk_attr_ints(&a, "perm", (int64_t[]){0, 2, 1}, 3),
        mk_op(&r->g, "Transpose", use(r, q), name_of(r, k), &a);
    mk_op(&r->g, "MatMul", text("%s,%s", use(r, q), use(r, k)), name_of(r, s), NULL);
    int scaled = like(r, s);
    mk_op(&r->g, "Mul", text("%s,%s", use(r, s), number(r, 0.1f, 1)), name_of(r, scaled), NULL);
    mk_attr_int(&a, "axis", -1);
    int p = unary(r, "Softmax", scaled, &a);
    mk_op(&r->g, "MatMul", text("%s,%s", use(r, p), use(r, q)), name_of(r, y), NULL);
}

static void concat(random_graph *r) {
    int x = pick(r, 4), z = pick(r, 4);
    if (x < 0 || z < 0) return;
    if (r->open ? !same_shape(r, x, z) : memcmp(r->v[x].d + 2, r->v[z].d + 2, 16) != 0)
        z = x; /* the same twice */
    if (r->v[x].d[1] + r->v[z].d[1] > 32) return;
    mk a = {0};
    mk_attr_int(&a, "axis", rnd(2) ? 1 : -3);
    int64_t d[4] = {1, r->v[x].d[1] + r->v[z].d[1], r->v[x].d[2], r->v[x].d[3]};
    mk_op(&r->g, "Concat", text("%s,%s", use(r, x), use(r, z)), name_of(r, value(r, 4, d)), &a);
}

static void slice(random_graph *r) {
    int x = pick(r, 4);
    if (x < 0) return;
    int axis = 1 + rnd(3);
    int64_t d[4], len = r->v[x].d[axis];
    memcpy(d, r->v[x].d, sizeof d);
    if (r->open && axis > 1) axis = 1, len = d[1];
    int64_t from = rnd((int)len), to = from + 1 + rnd((int)(len - from));
    d[axis] = to - from;
    const char *f = list(r, &from, 1), *t = list(r, &to, 1), *ax = list(r, (int64_t[]){axis}, 1);
    mk_op(&r->g, "Slice", text("%s,%s,%s,%s", use(r, x), f, t, ax), name_of(r, value(r, 4, d)),
          NULL);
}

static void split(random_graph *r) {
    int x = pick(r, 4);
    if (x < 0 || r->v[x].d[1] % 2) return;
    int64_t d[4] = {1, r->v[x].d[1] / 2, r->v[x].d[2], r->v[x].d[3]};
    mk a = {0};
    mk_attr_int(&a, "axis", 1);
    int y = value(r, 4, d), z = value(r, 4, d);
    mk_op(&r->g, "Split", use(r, x), text("%s,%s", name_of(r, y), name_of(r, z)), &a);
    if (rnd(2)) r->v[z].reads++; /* nobody may want it */
}

static void turn(random_graph *r) { /* views and moves that come back */
    int x = pick(r, 4), kind = rnd(3);
    if (x < 0) return;
    int64_t *d = r->v[x].d, t[4] = {1, d[2], d[3], d[1]};
    mk a = {0};
    if (kind == 0) {
        int y = apart(r, 4, t);
        mk_attr_ints(&a, "perm", (int64_t[]){0, 2, 3, 1}, 4),
            mk_op(&r->g, "Transpose", use(r, x), name_of(r, y), &a);
        int b = rnd(2) ? y : unary(r, "Relu", y, NULL);
        mk_attr_ints(&a, "perm", (int64_t[]){0, 3, 1, 2}, 4),
            mk_op(&r->g, "Transpose", use(r, b), name_of(r, like(r, x)), &a);
    } else if (kind == 1) {
        char *mid = text("q%d", r->consts++);
        const char *axes = list(r, (int64_t[]){2}, 1);
        mk_op(&r->g, "Unsqueeze", text("%s,%s", use(r, x), axes), mid, NULL);
        mk_op(&r->g, "Squeeze", text("%s,%s", mid, axes), name_of(r, like(r, x)), NULL);
    } else {
        int y = value(r, 2, (const int64_t[]){1, d[1] * d[2] * d[3]});
        mk_op(&r->g, "Flatten", use(r, x), name_of(r, y), NULL);
    }
}

static void pool(random_graph *r) {
    int x = pick(r, 4);
    if (x < 0 || r->v[x].d[2] < 2 || r->v[x].d[3] < 2) return;
    mk a = {0};
    mk_attr_ints(&a, "kernel_shape", (int64_t[]){2, 2}, 2),
        mk_attr_ints(&a, "strides", (int64_t[]){2, 2}, 2);
    int64_t d[4] = {1, r->v[x].d[1], r->v[x].d[2] / 2, r->v[x].d[3] / 2};
    mk_op(&r->g, rnd(2) ? "MaxPool" : "AveragePool", use(r, x), name_of(r, value(r, 4, d)), &a);
}

static void layer_norm(random_graph *r) {
    int x = pick(r, 3);
    if (x < 0 || r->v[x].d[2] < 2) return;
    int64_t c = r->v[x].d[2];
    const char *s = weight(r, 0.4f, 1, MK_DIMS(c)), *b = weight(r, 0.4f, 0, MK_DIMS(c));
    mk_op(&r->g, "LayerNormalization", text("%s,%s,%s", use(r, x), s, b), name_of(r, like(r, x)),
          NULL);
}

typedef void random_step(random_graph *r);

/* Some of the last values and of those nobody reads become outputs. */
static mk random_end(random_graph *r) {
    for (int i = r->n - 1, outs = 0; i >= 0; i--)
        if (outs < 1 || (outs < 6 && (!r->v[i].reads || rnd(8) == 0))) {
            mk_port(&r->g, MK_OUTPUT, r->v[i].name, OMMA_F32, -1, NULL);
            outs++;
        }
    return mk_model(&r->g, 17);
}

/* The second run's shapes differ when the input is open, so only ops whose attributes do
 * not mention H and W are made; r->open says so. */
static inline mk random_model(random_graph *r) {
    static random_step *const steps[] = {conv,       conv,       conv,       batch_norm, batch_norm,
                                         activation, activation, activation, activation, hard_swish,
                                         hard_swish, silu,       silu,       pair,       pair,
                                         pair,       gate,       tokens,     tokens,     linear,
                                         linear,     attention,  concat,     slice,      split,
                                         turn,       turn,       pool,       layer_norm};
    *r = (random_graph){.h = 4 + rnd(9), .w = 4 + rnd(9), .open = rnd(2)};
    value(r, 4, (const int64_t[]){1, 4, r->h, r->w});
    mk_port(&r->g, MK_INPUT, "v0", OMMA_F32,
            MK_DIMS(1, 4, r->open ? -1 : r->h, r->open ? -2 : r->w));
    for (int n = 5 + rnd(30); r->n < 110 && n > 0; n--)
        steps[(size_t)rnd(sizeof steps / sizeof *steps)](r);
    return random_end(r);
}

#endif

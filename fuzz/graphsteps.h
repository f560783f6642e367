/* graphsteps.h - the steps by which graphmaker.h's graphs grow: a function for each family of
 * operators, which asks the bytes for its operands and attributes. Asking for what does not
 * fit is fine: it is left out. */
#ifndef OMMA_FUZZ_GRAPHSTEPS_H
#define OMMA_FUZZ_GRAPHSTEPS_H

#include "graphmaker.h"

#define DIMS(...) \
    (int)(sizeof((const int64_t[]){__VA_ARGS__}) / 8), ((const int64_t[]){__VA_ARGS__})

typedef enum wish { ANY, FLOATS, SAME, BOOLS, WHOLES } wish; /* WHOLES: of whole-number type */

static bool fits(maker *m, const omma_value *v, wish w) {
    const made *x = of(m, v);
    switch (w) {
    case FLOATS: return v->dtype == OMMA_F32;
    case SAME: return v->dtype == OMMA_F32 && x->same;
    case BOOLS: return v->dtype == OMMA_BOOL;
    case WHOLES: return v->dtype == OMMA_I64 || v->dtype == OMMA_I32;
    case ANY: break;
    }
    return true;
}

/* A value of that rank (-1: any), late ones more often; NULL when there is none. */
static omma_value *pick(maker *m, int rank, wish w) {
    omma_graph *g = m->g;
    int start = (int)take(m, 4) ? g->n_values - 1 - (int)take(m, 12) : (int)take(m, 256);
    if (start < 0) start = 0;
    for (int i = 0; i < g->n_values; i++) {
        omma_value *v = g->values[((start - i) % g->n_values + g->n_values) % g->n_values];
        bool is_constant = v->data && !v->producer;
        if (!is_constant && (rank < 0 || v->rank == rank) && fits(m, v, w)) return v;
    }
    return NULL;
}

static bool whole(maker *m, const omma_value *v) { return of(m, v)->whole && of(m, v)->same; }

/* A constant that broadcasts with v: some dimensions are 1, leading ones gone. */
static omma_value *beside(maker *m, const omma_value *v, float scale, float shift) {
    int64_t d[OMMA_MAX_RANK];
    int drop = v->rank ? (int)take(m, (unsigned)v->rank + 1) : 0, n = v->rank - drop;
    unsigned ones = take(m, 256);
    for (int i = 0; i < n; i++) d[i] = ones >> i & 1 ? 1 : v->dims[i + drop];
    return numbers(m, whole(m, v) && chance(m, 2), scale, shift, n, d);
}

#define CHOOSE(list) (list)[take(m, sizeof(list) / sizeof *(list))]

static omma_value *one(maker *m, const char *name_, omma_value *x, manner how) {
    step s = op(name_);
    put(&s, x);
    return emit(m, &s, how);
}

static omma_value *two(maker *m, const char *name_, omma_value *x, omma_value *y, manner how) {
    step s = op(name_);
    put(&s, x), put(&s, y);
    return emit(m, &s, how);
}

/* --- convolutions, pools --------------------------------------------------------------- */

static void window_attrs(maker *m, step *s, int n, bool pads) {
    int64_t v[8];
    if (chance(m, 2)) {
        for (int i = 0; i < n; i++) v[i] = 1 + take(m, 3);
        attr_ints(m, s, "strides", v, n);
    }
    if (chance(m, 4)) {
        for (int i = 0; i < n; i++) v[i] = 1 + take(m, 3);
        attr_ints(m, s, "dilations", v, n);
    }
    if (pads && chance(m, 6)) {
        static const char *const autos[] = {"SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"};
        attr_str(s, "auto_pad", CHOOSE(autos));
    } else if (pads && take(m, 3)) {
        int64_t all = take(m, 3);
        for (int i = 0; i < 2 * n; i++) v[i] = chance(m, 3) ? take(m, 3) : all;
        attr_ints(m, s, "pads", v, 2 * n);
    }
}

static omma_value *conv_on(maker *m, omma_value *x) {
    if (!x || x->rank < 3 || x->rank > 5) return NULL;
    static const int64_t sizes[] = {1, 3, 1, 3, 2, 5, 7, 4};
    int n = x->rank - 2;
    int64_t c = x->dims[1], group = 1, d[5];
    unsigned kind = take(m, 6);
    if (kind == 0) group = c;
    if (kind == 1 && c % 2 == 0) group = 2;
    static const int64_t channels[] = {4, 8, 1, 16, 3, 17, 32, 5};
    int64_t mult = group > 1 ? 1 + take(m, 2) : 1,
            out = group > 1 ? group * mult : CHOOSE(channels);
    if (group == 0) return NULL;
    d[0] = out, d[1] = c / group;
    if (d[1] < 1) return NULL;
    float scale = 1.7f;
    for (int i = 0; i < n; i++)
        d[2 + i] = i ? (chance(m, 4) ? CHOOSE(sizes) : d[1 + i]) : CHOOSE(sizes);
    for (int i = 1; i < n + 2; i++) scale /= sqrtf((float)d[i]);
    step s = op("Conv");
    bool ones = whole(m, x) && chance(m, 2);
    put(&s, x), put(&s, numbers(m, ones, scale, 0, x->rank, d));
    if (chance(m, 2)) put(&s, numbers(m, ones, 0.5f, 0, 1, d));
    if (group != 1) attr_int(&s, "group", group);
    window_attrs(m, &s, n, true);
    return emit(m, &s, ADDS);
}

static void conv(maker *m) { conv_on(m, pick(m, 4, FLOATS)); }

static void conv_other(maker *m) { conv_on(m, pick(m, chance(m, 2) ? 3 : 5, FLOATS)); }

static void conv_transpose(maker *m) {
    omma_value *x = pick(m, chance(m, 4) ? 3 : 4, FLOATS);
    if (!x) return;
    int n = x->rank - 2;
    int64_t c = x->dims[1], group = chance(m, 3) && c % 2 == 0 && c ? 2 : 1, d[4],
            k = 1 + take(m, 4);
    d[0] = c, d[1] = 1 + take(m, 8);
    for (int i = 0; i < n; i++) d[2 + i] = chance(m, 4) ? 1 + take(m, 4) : k;
    step s = op("ConvTranspose");
    bool ones = whole(m, x) && chance(m, 2);
    put(&s, x), put(&s, numbers(m, ones, 1.7f / sqrtf((float)(c + 1)), 0, x->rank, d));
    d[1] *= group;
    if (chance(m, 2)) put(&s, numbers(m, ones, 0.5f, 0, 1, d + 1));
    if (group != 1) attr_int(&s, "group", group);
    window_attrs(m, &s, n, true);
    if (chance(m, 3)) attr_ints(m, &s, "output_padding", (int64_t[]){take(m, 2), take(m, 2)}, n);
    emit(m, &s, ADDS);
}

static void pool(maker *m) {
    static const char *const ops[] = {"MaxPool",       "AveragePool", "GlobalAveragePool",
                                      "GlobalMaxPool", "MaxPool",     "AveragePool"};
    omma_value *x = pick(m, chance(m, 4) ? 3 : 4, FLOATS);
    const char *name_ = CHOOSE(ops);
    if (!x) return;
    bool max = strstr(name_, "Max"), global = name_[0] == 'G';
    step s = op(name_);
    put(&s, x);
    if (!global) {
        int64_t k[2] = {1 + take(m, 4), 1 + take(m, 4)};
        attr_ints(m, &s, "kernel_shape", k, x->rank - 2);
        window_attrs(m, &s, x->rank - 2, true);
        if (chance(m, 3)) attr_int(&s, "ceil_mode", 1);
        if (!max && chance(m, 2)) attr_int(&s, "count_include_pad", 1);
    }
    emit(m, &s, max ? MOVES : ROUNDS);
}

/* --- products --------------------------------------------------------------------------- */

static omma_value *linear_on(maker *m, omma_value *x, int64_t out) {
    if (!x || x->rank < 2) return NULL;
    int64_t k = x->dims[x->rank - 1];
    bool ones = whole(m, x) && chance(m, 2);
    omma_value *w = numbers(m, ones, 1.7f / sqrtf((float)(k + 1)), 0, DIMS(k, out));
    omma_value *y = two(m, "MatMul", x, w, ADDS);
    if (y && chance(m, 2)) y = two(m, "Add", y, numbers(m, ones, 0.5f, 0, DIMS(out)), ADDS);
    return y;
}

static void linear(maker *m) {
    static const int64_t outs[] = {4, 8, 1, 16, 3, 17, 33, 64};
    linear_on(m, pick(m, -1, FLOATS), CHOOSE(outs));
}

static omma_value *turned(maker *m, omma_value *x) { /* the last two axes */
    if (!x || x->rank < 2) return NULL;
    int64_t perm[OMMA_MAX_RANK];
    for (int i = 0; i < x->rank; i++) perm[i] = i;
    perm[x->rank - 1] = x->rank - 2, perm[x->rank - 2] = x->rank - 1;
    step s = op("Transpose");
    put(&s, x);
    attr_ints(m, &s, "perm", perm, x->rank);
    return emit(m, &s, MOVES);
}

static void matmul(maker *m) {
    omma_value *x = pick(m, -1, FLOATS), *y = pick(m, -1, FLOATS);
    if (chance(m, 2)) y = turned(m, y);
    if (x && y) two(m, "MatMul", x, y, ADDS);
}

static void gemm(maker *m) {
    omma_value *x = pick(m, 2, FLOATS);
    if (!x) return;
    int64_t ta = take(m, 2), tb = take(m, 2), n = 1 + take(m, 20), k = x->dims[ta ? 0 : 1],
            rows = x->dims[ta ? 1 : 0];
    step s = op("Gemm");
    bool ones = whole(m, x) && chance(m, 2);
    put(&s, x), put(&s, numbers(m, ones, 1, 0, 2, tb ? (int64_t[]){n, k} : (int64_t[]){k, n}));
    unsigned c = take(m, 4);
    if (c == 1) put(&s, numbers(m, ones, 1, 0, DIMS(n)));
    if (c == 2) put(&s, numbers(m, ones, 1, 0, DIMS(rows, n)));
    if (c == 3) put(&s, numbers(m, ones, 1, 0, DIMS(rows, 1)));
    attr_int(&s, "transA", ta), attr_int(&s, "transB", tb);
    bool scaled = chance(m, 3);
    if (scaled) attr_float(&s, "alpha", 0.3f), attr_float(&s, "beta", 1.7f);
    emit(m, &s, scaled ? ROUNDS : ADDS);
}

static void einsum(maker *m) {
    static const char *const same[] = {"ij,jk->ik",          "bij,bjk->bik",    "bchw,ck->bkhw",
                                       "...ij,...kj->...ik", "bij,kj->bik",     "ij,ij->ij",
                                       "bchw,bkhw->bck",     "bij,bij->b",      "ij,ij->",
                                       "bhwc,hkc->bhwk",     "bchw,bchw->bhwc", "i,j->ij"};
    static const char *const alone[] = {"ij->ji", "bchw->bhwc", "bij->bj",
                                        "ii->i",  "...i->...",  "bchw->cb"};
    step s = op("Einsum");
    omma_value *x = pick(m, -1, FLOATS);
    put(&s, x);
    if (chance(m, 4)) attr_str(&s, "equation", CHOOSE(alone));
    else {
        put(&s, chance(m, 2) ? x : pick(m, -1, FLOATS));
        attr_str(&s, "equation", CHOOSE(same));
    }
    emit(m, &s, ADDS);
}

/* softmax(q k' / s + mask) v, as exporters write it, with one to three heads. */
static omma_value *heads(maker *m, omma_value *x, int64_t h) {
    int64_t t = x->dims[1], c = x->dims[2] / h;
    step s = op("Reshape");
    put(&s, x), put(&s, ints(m, 4, (int64_t[]){x->dims[0], t, h, c}));
    omma_value *y = emit(m, &s, MOVES);
    if (!y) return NULL;
    s = op("Transpose");
    put(&s, y);
    attr_ints(m, &s, "perm", (int64_t[]){0, 2, 1, 3}, 4);
    return emit(m, &s, MOVES);
}

static omma_value *softmax(maker *m, omma_value *x, int64_t axis) {
    step s = op("Softmax");
    put(&s, x);
    attr_int(&s, "axis", axis);
    return emit(m, &s, ROUNDS);
}

static void attention(maker *m) {
    omma_value *x = pick(m, 3, FLOATS);
    int64_t h = 1 + take(m, 3), c = h * (1 + take(m, 9));
    if (!x || x->dims[1] > 64) return;
    omma_value *q = linear_on(m, x, c), *k = linear_on(m, x, c), *v = linear_on(m, x, c);
    if (!q || !k || !v || !(q = heads(m, q, h)) || !(k = heads(m, k, h)) || !(v = heads(m, v, h)))
        return;
    bool early = chance(m, 2);
    if (early) q = two(m, "Mul", q, scalar(m, 0.3f), ROUNDS);
    omma_value *y = two(m, "MatMul", q, turned(m, k), ADDS);
    if (y && !early) y = two(m, chance(m, 2) ? "Div" : "Mul", y, scalar(m, 0.7f), ROUNDS);
    if (y && chance(m, 2)) y = two(m, "Add", y, beside(m, y, 1, 0), ADDS);
    if (!y || !(y = softmax(m, y, -1)) || !(y = two(m, "MatMul", y, v, ADDS))) return;
    step s = op("Transpose");
    put(&s, y);
    attr_ints(m, &s, "perm", (int64_t[]){0, 2, 1, 3}, 4);
    if (!(y = emit(m, &s, MOVES))) return;
    s = op("Reshape");
    put(&s, y), put(&s, ints(m, 3, (int64_t[]){0, 0, -1}));
    emit(m, &s, MOVES);
}

static void attention_op(maker *m) {
    omma_value *x = pick(m, chance(m, 2) ? 3 : 4, FLOATS);
    if (!x) return;
    step s = op("Attention");
    put(&s, x), put(&s, chance(m, 2) ? x : pick(m, x->rank, FLOATS)), put(&s, s.in[1]);
    s.opset = 23;
    if (x->rank == 3) {
        int64_t h = 1 + take(m, 4);
        attr_int(&s, "q_num_heads", h), attr_int(&s, "kv_num_heads", h);
    }
    if (chance(m, 3)) attr_int(&s, "is_causal", 1);
    emit(m, &s, ROUNDS);
}

/* --- elementwise --------------------------------------------------------------------- */

static void unary(maker *m) {
    static const char *const moves[] = {"Relu", "Neg", "Abs", "Identity", "Dropout", "Relu"};
    static const char *const rounds[] = {"Sigmoid",  "Tanh",  "Erf",       "Exp",  "HardSwish",
                                         "Softplus", "Sin",   "Cos",       "Mish", "HardSigmoid",
                                         "Softsign", "Elu",   "LeakyRelu", "Selu", "Gelu",
                                         "Atan",     "Swish", "Celu"};
    static const char *const jumps[] = {"Floor",           "Ceil",  "Round", "Sign",
                                        "ThresholdedRelu", "IsNaN", "IsInf"};
    unsigned kind = take(m, 8);
    if (kind < 2) one(m, CHOOSE(moves), pick(m, -1, FLOATS), MOVES);
    else if (kind < 6) one(m, CHOOSE(rounds), pick(m, -1, FLOATS), ROUNDS);
    else if (kind == 6) one(m, CHOOSE(jumps), pick(m, -1, SAME), JUMPS);
    else { /* where they are tame */
        static const char *const positive[] = {"Sqrt", "Log", "Reciprocal"};
        omma_value *x = pick(m, -1, FLOATS);
        if (x && (x = one(m, "Abs", x, MOVES)) && (x = two(m, "Add", x, scalar(m, 1), ADDS)))
            one(m, CHOOSE(positive), x, ROUNDS);
    }
}

static void clip(maker *m) {
    omma_value *x = pick(m, -1, FLOATS);
    step s = op("Clip");
    put(&s, x);
    unsigned kind = take(m, 4);
    if (kind == 1) put_none(&s);
    else put(&s, scalar(m, kind == 2 ? 0 : -0.5f));
    if (kind) put(&s, scalar(m, kind == 2 ? 6 : 1));
    emit(m, &s, MOVES);
}

static void binary(maker *m) {
    static const char *const ops[] = {"Add",  "Sub", "Mul", "Max",   "Min", "Sum",
                                      "Mean", "Div", "Pow", "PRelu", "Add", "Mul"};
    omma_value *x = pick(m, -1, FLOATS), *y = NULL;
    const char *name_ = CHOOSE(ops);
    if (!x) return;
    manner how = !strcmp(name_, "Max") || !strcmp(name_, "Min")    ? MOVES
                 : !strcmp(name_, "Mean") || !strcmp(name_, "Div") ? ROUNDS
                                                                   : ADDS;
    if (!strcmp(name_, "Pow")) {
        two(m, name_, x, scalar(m, chance(m, 2) ? 2 : 3), ROUNDS);
        return;
    }
    bool div = !strcmp(name_, "Div");
    if (chance(m, 2) && !div) y = pick(m, -1, FLOATS);
    else y = beside(m, x, div ? 0.3f : 1, div ? 1.5f : 0.1f);
    if (!strcmp(name_, "PRelu")) two(m, name_, x, beside(m, x, 0.4f, 0.1f), ROUNDS);
    else if (chance(m, 2) && !div) two(m, name_, y, x, how);
    else two(m, name_, x, y, how);
}

static void compare(maker *m) {
    static const char *const ops[] = {"Greater", "Less", "Equal", "GreaterOrEqual", "LessOrEqual"};
    static const char *const logic[] = {"And", "Or", "Xor"};
    unsigned kind = take(m, 6);
    if (kind == 4) one(m, "Not", pick(m, -1, BOOLS), JUMPS);
    else if (kind == 5) two(m, CHOOSE(logic), pick(m, -1, BOOLS), pick(m, -1, BOOLS), JUMPS);
    else {
        omma_value *x = pick(m, -1, SAME);
        if (x) two(m, CHOOSE(ops), x, chance(m, 2) ? pick(m, -1, SAME) : beside(m, x, 1, 0), JUMPS);
    }
}

static void where(maker *m) {
    omma_value *c = pick(m, -1, BOOLS), *x = pick(m, -1, FLOATS);
    if (!x) return;
    step s = op("Where");
    put(&s, c), put(&s, x), put(&s, chance(m, 2) ? pick(m, -1, FLOATS) : beside(m, x, 1, 0));
    emit(m, &s, MOVES);
}

static void cast(maker *m) {
    static const omma_dtype to[] = {OMMA_I64, OMMA_I32, OMMA_BOOL, OMMA_F32,
                                    OMMA_F64, OMMA_U8,  OMMA_I8,   OMMA_F32};
    omma_dtype t = CHOOSE(to);
    omma_value *x = pick(m, -1, is_float(t) ? ANY : SAME);
    if (t == OMMA_F32 && chance(m, 2)) x = pick(m, -1, WHOLES);
    step s = op("Cast");
    put(&s, x);
    attr_int(&s, "to", (int64_t)t);
    emit(m, &s, is_float(t) ? MOVES : JUMPS);
}

static void whole_numbers(maker *m) {
    static const char *const ops[] = {"Add", "Sub", "Mul", "Div", "Max", "Min", "Mod"};
    omma_value *x = pick(m, -1, WHOLES), *y = pick(m, -1, WHOLES);
    const char *name_ = CHOOSE(ops);
    if (!x) return;
    if (chance(m, 2)) {
        const int64_t v = 1 + take(m, 5);
        const int32_t w = (int32_t)v;
        y = constant(m, x->dtype, 0, NULL, x->dtype == OMMA_I64 ? (const void *)&v : &w);
    }
    if (y) two(m, name_, x, y, JUMPS);
}

/* --- shapes ------------------------------------------------------------------------------ */

static void reshape(maker *m) {
    omma_value *x = pick(m, -1, ANY);
    if (!x) return;
    int64_t d[6];
    int n = 0;
    unsigned kind = take(m, 5);
    if (kind == 0) d[n++] = -1;
    if (kind == 1) d[n++] = 0, d[n++] = -1;
    if (kind == 2) d[n++] = 0, d[n++] = 0, d[n++] = -1;
    if (kind == 3) d[n++] = -1, d[n++] = 1 + take(m, 8);
    if (kind == 4)
        for (n = 0; n < x->rank && n < 5; n++) d[n] = n == 1 ? -1 : x->dims[x->rank - 1 - n];
    step s = op("Reshape");
    put(&s, x), put(&s, ints(m, n, d));
    emit(m, &s, MOVES);
}

static void transpose(maker *m) {
    omma_value *x = pick(m, -1, ANY);
    if (!x || x->rank < 2) return;
    int64_t perm[OMMA_MAX_RANK];
    for (int i = 0; i < x->rank; i++) perm[i] = i;
    for (int i = x->rank - 1; i > 0; i--) {
        int k = (int)take(m, (unsigned)i + 1);
        int64_t t = perm[i];
        perm[i] = perm[k], perm[k] = t;
    }
    step s = op("Transpose");
    put(&s, x);
    attr_ints(m, &s, "perm", perm, x->rank);
    emit(m, &s, MOVES);
}

static void views(maker *m) {
    omma_value *x = pick(m, -1, ANY);
    unsigned kind = take(m, 8);
    if (!x) return;
    step s = op(kind == 0   ? "Flatten"
                : kind == 1 ? "Unsqueeze"
                : kind == 2 ? "Squeeze"
                : kind == 3 ? "Expand"
                : kind == 4 ? "Tile"
                : kind == 5 ? "DepthToSpace"
                : kind == 6 ? "SpaceToDepth"
                            : "Identity");
    put(&s, x);
    int64_t d[OMMA_MAX_RANK];
    if (kind == 0) attr_int(&s, "axis", take(m, (unsigned)x->rank + 1));
    if (kind == 1) put(&s, ints(m, 1, (int64_t[]){take(m, (unsigned)x->rank + 1)}));
    if (kind == 2) {
        int n = 0;
        for (int i = 0; i < x->rank; i++)
            if (x->dims[i] == 1 && chance(m, 2)) d[n++] = i;
        if (n || chance(m, 2)) put(&s, ints(m, n, d));
    }
    if (kind == 3 || kind == 4) {
        for (int i = 0; i < x->rank; i++)
            d[i] = kind == 3 && x->dims[i] != 1 ? x->dims[i] : 1 + take(m, 3);
        put(&s, ints(m, x->rank, d));
    }
    if (kind == 5 || kind == 6) attr_int(&s, "blocksize", 2);
    if (kind == 5 && chance(m, 2)) attr_str(&s, "mode", "CRD");
    emit(m, &s, MOVES);
}

static void concat(maker *m) {
    omma_value *x = pick(m, -1, ANY);
    step s = op("Concat");
    put(&s, x);
    if (!x) return;
    for (unsigned k = 1 + take(m, 3); k > 0; k--)
        put(&s, chance(m, 2) ? x : pick(m, x->rank, x->dtype == OMMA_F32 ? FLOATS : ANY));
    attr_int(&s, "axis", (int64_t)take(m, (unsigned)x->rank * 2 + 1) - x->rank);
    emit(m, &s, MOVES);
}

static void slice(maker *m) {
    omma_value *x = pick(m, -1, ANY);
    if (!x || !x->rank) return;
    int64_t from[2], to[2], axes[2], steps[2];
    int n = chance(m, 3) && x->rank > 1 ? 2 : 1, first = (int)take(m, (unsigned)x->rank);
    for (int i = 0; i < n; i++) {
        axes[i] = (first + i) % x->rank;
        from[i] = (int64_t)take(m, 16) - 4,
        to[i] = chance(m, 3) ? INT64_MAX : (int64_t)take(m, 24) - 6;
        steps[i] = chance(m, 4) ? 2 : 1;
        if (chance(m, 6)) steps[i] = -1, to[i] = INT64_MIN, from[i] = -1;
    }
    step s = op("Slice");
    put(&s, x), put(&s, ints(m, n, from)), put(&s, ints(m, n, to)), put(&s, ints(m, n, axes));
    put(&s, ints(m, n, steps));
    emit(m, &s, MOVES);
}

static void split(maker *m) {
    omma_value *x = pick(m, -1, ANY);
    if (!x || !x->rank) return;
    int axis = (int)take(m, (unsigned)x->rank);
    step s = op("Split");
    put(&s, x);
    attr_int(&s, "axis", axis);
    s.n_out = 2 + (int)take(m, 2);
    if (chance(m, 2)) {
        int64_t d[3], left = x->dims[axis];
        for (int i = 0; i < s.n_out; i++) {
            d[i] = i == s.n_out - 1 ? left : (int64_t)take(m, (unsigned)left + 1);
            left -= d[i];
        }
        put(&s, ints(m, s.n_out, d));
    } else attr_int(&s, "num_outputs", s.n_out);
    emit(m, &s, MOVES);
}

static void pad(maker *m) {
    static const char *const modes[] = {"constant", "reflect", "edge", "wrap", "constant"};
    omma_value *x = pick(m, -1, FLOATS);
    if (!x) return;
    int64_t d[2 * OMMA_MAX_RANK];
    for (int i = 0; i < 2 * x->rank; i++) d[i] = chance(m, 3) ? (int64_t)take(m, 5) - 1 : 0;
    step s = op("Pad");
    put(&s, x), put(&s, ints(m, 2 * x->rank, d));
    if (chance(m, 2)) put(&s, scalar(m, 2));
    attr_str(&s, "mode", CHOOSE(modes));
    emit(m, &s, MOVES);
}

static void resize(maker *m) {
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    static const char *const coords[] = {"half_pixel", "asymmetric", "align_corners",
                                         "pytorch_half_pixel"};
    static const char *const nearest[] = {"floor", "round_prefer_floor", "ceil",
                                          "round_prefer_ceil"};
    omma_value *x = pick(m, 4, FLOATS);
    if (!x) return;
    const char *mode = CHOOSE(modes);
    step s = op("Resize");
    put(&s, x), put_none(&s);
    if (chance(m, 2)) {
        static const float scales[] = {2, 0.5f, 1.5f, 1, 3};
        float f[4] = {1, 1, CHOOSE(scales), CHOOSE(scales)};
        put(&s, constant(m, OMMA_F32, DIMS(4), f));
    } else {
        put_none(&s);
        int64_t d[4] = {x->dims[0], x->dims[1], 1 + take(m, 20), 1 + take(m, 20)};
        put(&s, ints(m, 4, d));
    }
    attr_str(&s, "mode", mode);
    attr_str(&s, "coordinate_transformation_mode", CHOOSE(coords));
    if (mode[0] == 'n') attr_str(&s, "nearest_mode", CHOOSE(nearest));
    else if (chance(m, 4)) attr_int(&s, "antialias", 1);
    emit(m, &s, mode[0] == 'n' ? MOVES : ROUNDS);
}

static void grid_sample(maker *m) {
    omma_value *x = pick(m, 4, FLOATS);
    if (!x) return;
    step s = op("GridSample");
    put(&s, x);
    put(&s, numbers(m, false, 1.3f, 0, DIMS(x->dims[0], 1 + take(m, 6), 1 + take(m, 6), 2)));
    attr_str(&s, "mode", chance(m, 2) ? "nearest" : "linear");
    if (chance(m, 2)) attr_str(&s, "padding_mode", chance(m, 2) ? "border" : "reflection");
    attr_int(&s, "align_corners", take(m, 2));
    s.opset = 20;
    emit(m, &s, ROUNDS);
}

/* --- reductions, norms -------------------------------------------------------------------- */

static omma_value *reduce_on(maker *m, const char *name_, omma_value *x, int64_t axis, int keep,
                             manner how) {
    step s = op(name_);
    put(&s, x), put(&s, ints(m, 1, &axis));
    attr_int(&s, "keepdims", keep);
    return emit(m, &s, how);
}

static void reduce(maker *m) {
    static const char *const ops[] = {
        "ReduceSum", "ReduceMean",      "ReduceMax",       "ReduceMin", "ReduceProd", "ReduceL1",
        "ReduceL2",  "ReduceSumSquare", "ReduceLogSumExp", "ReduceSum", "ReduceMean"};
    const char *name_ = CHOOSE(ops);
    omma_value *x = pick(m, -1, FLOATS);
    if (!x || !x->rank) return;
    manner how = !strcmp(name_, "ReduceMax") || !strcmp(name_, "ReduceMin")  ? MOVES
                 : !strcmp(name_, "ReduceSum") || !strcmp(name_, "ReduceL1") ? ADDS
                                                                             : ROUNDS;
    step s = op(name_);
    put(&s, x);
    int64_t axes[2] = {(int64_t)take(m, (unsigned)x->rank), -1};
    unsigned n = take(m, 3);
    if (n) put(&s, ints(m, (int)n, axes));
    attr_int(&s, "keepdims", take(m, 2));
    emit(m, &s, how);
}

static void arg_reduce(maker *m) {
    omma_value *x = pick(m, -1, SAME);
    if (!x || !x->rank) return;
    step s = op(chance(m, 2) ? "ArgMax" : "ArgMin");
    put(&s, x);
    attr_int(&s, "axis", take(m, (unsigned)x->rank));
    attr_int(&s, "keepdims", take(m, 2)), attr_int(&s, "select_last_index", take(m, 2));
    emit(m, &s, JUMPS);
}

static void cumsum(maker *m) {
    omma_value *x = pick(m, -1, FLOATS);
    if (!x || !x->rank) return;
    int64_t axis = take(m, (unsigned)x->rank);
    step s = op("CumSum");
    put(&s, x), put(&s, constant(m, OMMA_I64, 0, NULL, &axis));
    attr_int(&s, "exclusive", take(m, 2)), attr_int(&s, "reverse", take(m, 2));
    emit(m, &s, ADDS);
}

static omma_value *batch_norm_on(maker *m, omma_value *x) {
    if (!x || x->rank < 2) return NULL;
    int64_t c = x->dims[1];
    step s = op("BatchNormalization");
    put(&s, x), put(&s, numbers(m, false, 0.4f, 1, 1, &c)),
        put(&s, numbers(m, false, 0.5f, 0, 1, &c));
    put(&s, numbers(m, false, 0.5f, 0, 1, &c)), put(&s, numbers(m, false, 0.4f, 1, 1, &c));
    if (chance(m, 2)) attr_float(&s, "epsilon", 1e-3f);
    return emit(m, &s, ROUNDS);
}

static void batch_norm(maker *m) { batch_norm_on(m, pick(m, -1, FLOATS)); }

static void norm(maker *m) {
    static const char *const ops[] = {"LayerNormalization",
                                      "InstanceNormalization",
                                      "GroupNormalization",
                                      "RMSNormalization",
                                      "LRN",
                                      "LpNormalization",
                                      "LayerNormalization"};
    const char *name_ = CHOOSE(ops);
    omma_value *x = pick(m, -1, !strcmp(name_, "LpNormalization") ? SAME : FLOATS);
    if (!x || x->rank < 2) return;
    step s = op(name_);
    put(&s, x);
    int64_t c = x->dims[1], last = x->dims[x->rank - 1];
    if (name_[0] == 'L' && name_[1] == 'a') {
        put(&s, numbers(m, false, 0.4f, 1, 1, &last));
        if (chance(m, 2)) put(&s, numbers(m, false, 0.4f, 0, 1, &last));
    } else if (name_[0] == 'R') {
        put(&s, numbers(m, false, 0.4f, 1, 1, &last)), s.opset = 23;
    } else if (name_[0] == 'L' && name_[1] == 'R') attr_int(&s, "size", 1 + take(m, 5));
    else if (name_[0] == 'L') {
        attr_int(&s, "axis", take(m, (unsigned)x->rank));
        if (chance(m, 2)) attr_int(&s, "p", 1);
    } else {
        put(&s, numbers(m, false, 0.4f, 1, 1, &c)), put(&s, numbers(m, false, 0.4f, 0, 1, &c));
        if (name_[0] == 'G') attr_int(&s, "num_groups", 1 + take(m, 4));
        if (name_[0] == 'I' || name_[0] == 'G') attr_float(&s, "epsilon", 1e-3f);
    }
    emit(m, &s, ROUNDS);
}

static void softmaxes(maker *m) {
    omma_value *x = pick(m, -1, FLOATS);
    if (!x || !x->rank) return;
    step s = op(chance(m, 3) ? "LogSoftmax" : "Softmax");
    put(&s, x);
    attr_int(&s, "axis", (int64_t)take(m, (unsigned)x->rank * 2) - x->rank);
    if (chance(m, 4)) s.opset = 11;
    emit(m, &s, ROUNDS);
}

/* --- indices -------------------------------------------------------------------------------- */

static omma_value *indices(maker *m, int64_t below, int rank, const int64_t *dims) {
    int64_t v[64], n = 1;
    for (int i = 0; i < rank; i++) n *= dims[i];
    if (n > 64 || below < 1) return NULL;
    for (int64_t i = 0; i < n; i++)
        v[i] = (int64_t)take(m, 256) % below - (chance(m, 8) ? below : 0);
    return constant(m, OMMA_I64, rank, dims, v);
}

static void gather(maker *m) {
    omma_value *x = pick(m, -1, ANY);
    if (!x || !x->rank) return;
    int64_t axis = take(m, (unsigned)x->rank), d[2] = {1 + take(m, 5), 1 + take(m, 3)};
    step s = op("Gather");
    put(&s, x), put(&s, indices(m, x->dims[axis], (int)take(m, 3), d));
    attr_int(&s, "axis", axis);
    emit(m, &s, MOVES);
}

static void gather_more(maker *m) {
    omma_value *x = pick(m, -1, FLOATS);
    if (!x || !x->rank) return;
    bool nd = chance(m, 2);
    int64_t d[OMMA_MAX_RANK], axis = take(m, (unsigned)x->rank), least = x->dims[0];
    step s = op(nd ? "GatherND" : "GatherElements");
    put(&s, x);
    if (nd) {
        int64_t depth = 1 + take(m, (unsigned)x->rank);
        for (int i = 0; i < depth; i++) least = x->dims[i] < least ? x->dims[i] : least;
        put(&s, indices(m, least, DIMS(1 + take(m, 6), depth)));
    } else {
        for (int i = 0; i < x->rank; i++) d[i] = x->dims[i] < 3 ? x->dims[i] : 3;
        d[axis] = 1 + take(m, 3);
        put(&s, indices(m, x->dims[axis], x->rank, d));
        attr_int(&s, "axis", axis);
    }
    emit(m, &s, MOVES);
}

static void scatter(maker *m) {
    static const char *const how[] = {"none", "add", "max", "min", "mul"};
    omma_value *x = pick(m, -1, FLOATS);
    if (!x || !x->rank) return;
    int64_t d[OMMA_MAX_RANK], axis = take(m, (unsigned)x->rank);
    const char *red = CHOOSE(how);
    bool nd = chance(m, 2);
    step s = op(nd ? "ScatterND" : "ScatterElements");
    put(&s, x);
    if (nd) {
        d[0] = 1 + take(m, 5);
        for (int i = 1; i < x->rank; i++) d[i] = x->dims[i];
        put(&s, indices(m, x->dims[0], DIMS(d[0], 1)));
    } else {
        for (int i = 0; i < x->rank; i++) d[i] = x->dims[i] < 3 ? x->dims[i] : 3;
        put(&s, indices(m, x->dims[axis], x->rank, d));
        attr_int(&s, "axis", axis);
    }
    put(&s, numbers(m, chance(m, 2), 1, 0, x->rank, d));
    attr_str(&s, "reduction", red);
    emit(m, &s, red[0] == 'a' || red[1] == 'u' ? ADDS : MOVES);
}

static void topk(maker *m) {
    omma_value *x = pick(m, -1, SAME);
    if (!x || !x->rank) return;
    step s = op("TopK");
    put(&s, x), put(&s, ints(m, 1, (int64_t[]){1 + take(m, 6)}));
    s.n_out = 2;
    attr_int(&s, "axis", take(m, (unsigned)x->rank));
    attr_int(&s, "largest", take(m, 2)), attr_int(&s, "sorted", 1);
    emit(m, &s, JUMPS);
}

static void data_sized(maker *m) {
    omma_value *x = pick(m, -1, chance(m, 2) ? BOOLS : SAME);
    if (!x) return;
    if (chance(m, 2)) {
        one(m, "NonZero", x, JUMPS);
        return;
    }
    omma_value *c = pick(m, 1, BOOLS);
    step s = op("Compress");
    put(&s, x), put(&s, c);
    if (x->rank && chance(m, 2)) attr_int(&s, "axis", take(m, (unsigned)x->rank));
    emit(m, &s, JUMPS);
}

static void one_hot(maker *m) {
    omma_value *x = pick(m, -1, WHOLES);
    int64_t depth = 2 + take(m, 6);
    step s = op("OneHot");
    put(&s, x), put(&s, constant(m, OMMA_I64, 0, NULL, &depth));
    put(&s, constant(m, OMMA_F32, DIMS(2), (float[]){0.25f, 3}));
    attr_int(&s, "axis", -1);
    emit(m, &s, MOVES);
}

static void trilu(maker *m) {
    step s = op("Trilu");
    int64_t k = (int64_t)take(m, 7) - 3;
    put(&s, pick(m, -1, FLOATS)), put(&s, constant(m, OMMA_I64, 0, NULL, &k));
    attr_int(&s, "upper", take(m, 2));
    emit(m, &s, MOVES);
}

/* --- shapes computed in the graph ------------------------------------------------------- */

static void shape_arithmetic(maker *m) {
    omma_value *x = pick(m, -1, FLOATS), *y = NULL;
    if (!x || x->rank < 2) return;
    omma_value *shape = one(m, "Shape", x, MOVES);
    if (!shape) return;
    unsigned kind = take(m, 4);
    int64_t at = take(m, (unsigned)x->rank);
    step s = op("Gather");
    put(&s, shape), put(&s, ints(m, 1, &at));
    omma_value *d = emit(m, &s, MOVES);
    if (!d) return;
    if (kind == 0) {
        s = op("Concat"), put(&s, d), put(&s, ints(m, 1, (int64_t[]){-1}));
        attr_int(&s, "axis", 0);
        if ((y = emit(m, &s, MOVES))) two(m, "Reshape", x, y, MOVES);
    } else if (kind == 1) one(m, "ConstantOfShape", shape, MOVES);
    else if (kind == 2) two(m, "Reshape", x, shape, MOVES);
    else {
        omma_value *c = ints(m, 1, (int64_t[]){2});
        if ((y = two(m, "Mul", d, c, JUMPS))) {
            s = op("Slice");
            put(&s, x), put(&s, ints(m, 1, (int64_t[]){0})), put(&s, d), put(&s, ints(m, 1, &at));
            emit(m, &s, MOVES);
            one(m, "ConstantOfShape", y, MOVES);
        }
    }
}

static void range(maker *m) {
    step s = op("Range");
    for (int i = 0; i < 3; i++) {
        int64_t v = i == 1 ? take(m, 20) : i == 2 ? 1 + take(m, 3) : take(m, 3);
        put(&s, constant(m, OMMA_I64, 0, NULL, &v));
    }
    emit(m, &s, MOVES);
}

/* --- quantized, recurrent ---------------------------------------------------------------- */

static omma_value *quantize_on(maker *m, omma_value *x, bool is_signed) {
    const int8_t zero = is_signed ? 0 : 100;
    step s = op("QuantizeLinear");
    put(&s, x), put(&s, scalar(m, 0.25f));
    put(&s, constant(m, is_signed ? OMMA_I8 : OMMA_U8, 0, NULL, &zero));
    return emit(m, &s, JUMPS);
}

static void quantize(maker *m) {
    omma_value *x = pick(m, -1, SAME), *q;
    bool is_signed = chance(m, 2);
    if (!x || !(q = quantize_on(m, x, is_signed))) return;
    unsigned kind = take(m, 4);
    if (kind == 0) {
        const int8_t zero = is_signed ? 0 : 100;
        step s = op("DequantizeLinear");
        put(&s, q), put(&s, scalar(m, 0.3f));
        put(&s, constant(m, is_signed ? OMMA_I8 : OMMA_U8, 0, NULL, &zero));
        emit(m, &s, ROUNDS);
    } else if (kind == 1 && x->rank > 1) {
        int8_t w[256];
        int64_t k = x->dims[x->rank - 1], n = 1 + take(m, 5);
        for (size_t i = 0; i < sizeof w; i++) w[i] = (int8_t)(noise(m) % 255 - 127);
        if (k * n <= 256) two(m, "MatMulInteger", q, constant(m, OMMA_I8, DIMS(k, n), w), JUMPS);
    } else if (kind == 2 && x->rank == 4) {
        int8_t w[512];
        int64_t c = x->dims[1], n = 1 + take(m, 4);
        for (size_t i = 0; i < sizeof w; i++) w[i] = (int8_t)(noise(m) % 255 - 127);
        if (c * n * 4 <= 512)
            two(m, "ConvInteger", q, constant(m, OMMA_I8, DIMS(n, c, 2, 2), w), JUMPS);
    } else {
        step s = op("DynamicQuantizeLinear");
        put(&s, x);
        s.n_out = 3;
        emit(m, &s, JUMPS);
    }
}

static void recurrent(maker *m) {
    omma_value *x = pick(m, 3, FLOATS);
    if (!x) return;
    bool lstm = chance(m, 2), both = chance(m, 2);
    int64_t d = both ? 2 : 1, h = 1 + take(m, 6), gates = lstm ? 4 : 3, in = x->dims[2];
    step s = op(lstm ? "LSTM" : "GRU");
    put(&s, x), put(&s, numbers(m, false, 0.5f, 0, DIMS(d, gates * h, in)));
    put(&s, numbers(m, false, 0.5f, 0, DIMS(d, gates * h, h)));
    if (chance(m, 2)) put(&s, numbers(m, false, 0.5f, 0, DIMS(d, 2 * gates * h)));
    attr_int(&s, "hidden_size", h);
    if (both) attr_str(&s, "direction", "bidirectional");
    else if (chance(m, 3)) attr_str(&s, "direction", "reverse");
    if (!lstm) attr_int(&s, "linear_before_reset", take(m, 2));
    s.n_out = 1 + (int)take(m, lstm ? 3 : 2);
    emit(m, &s, ROUNDS);
}

/* Operators that are not met often. */
static void rare(maker *m) {
    static const char *const rounds[] = {"MeanVarianceNormalization",
                                         "GlobalLpPool",
                                         "LpPool",
                                         "Det",
                                         "CumProd",
                                         "DFT",
                                         "SwiGLU",
                                         "ReduceLogSum"};
    static const char *const jumps[] = {"Hardmax", "Shrink", "Unique", "ReverseSequence"};
    const char *name_ = chance(m, 3) ? CHOOSE(jumps) : CHOOSE(rounds);
    bool jump =
        strchr("HSUR", name_[0]) && strcmp(name_, "SwiGLU") && strcmp(name_, "ReduceLogSum");
    omma_value *x = pick(m, -1, jump ? SAME : FLOATS);
    if (!x || !x->rank) return;
    step s = op(name_);
    put(&s, x);
    s.opset = 24;
    int64_t axis = take(m, (unsigned)x->rank), v[16];
    if (!strcmp(name_, "SwiGLU")) put(&s, chance(m, 2) ? x : pick(m, x->rank, FLOATS));
    if (!strcmp(name_, "LpPool")) {
        attr_ints(m, &s, "kernel_shape", (int64_t[]){1 + take(m, 3), 1 + take(m, 3)},
                  x->rank - 2 == 1 ? 1 : 2);
        window_attrs(m, &s, x->rank - 2 == 1 ? 1 : 2, true);
    } else if (!strcmp(name_, "CumProd")) put(&s, constant(m, OMMA_I64, 0, NULL, &axis));
    else if (!strcmp(name_, "Unique")) {
        s.n_out = 1 + (int)take(m, 4);
        if (chance(m, 2)) attr_int(&s, "axis", axis);
    } else if (!strcmp(name_, "ReverseSequence")) {
        attr_int(&s, "batch_axis", take(m, 2)), attr_int(&s, "time_axis", take(m, 2));
        for (int i = 0; i < 16; i++) v[i] = 1 + take(m, 4);
        if (x->rank > 1 && x->dims[0] < 16 && x->dims[1] < 16)
            put(&s, ints(m, (int)(s.attrs[0].i ? x->dims[1] : x->dims[0]), v));
    } else if (!strcmp(name_, "Hardmax")) attr_int(&s, "axis", axis);
    emit(m, &s, jump ? JUMPS : ROUNDS);
}

static void bits(maker *m) {
    static const char *const ops[] = {"BitwiseAnd", "BitwiseOr", "BitwiseXor"};
    omma_value *x = pick(m, -1, WHOLES);
    if (chance(m, 4)) one(m, "BitwiseNot", x, JUMPS);
    else two(m, CHOOSE(ops), x, pick(m, -1, WHOLES), JUMPS);
}

static void rotary(maker *m) {
    omma_value *x = pick(m, 4, FLOATS);
    if (!x || x->dims[3] % 2) return;
    int64_t d[3] = {x->dims[0], x->dims[2], x->dims[3] / 2};
    step s = op("RotaryEmbedding");
    s.opset = 23;
    put(&s, x), put(&s, numbers(m, false, 1, 0, 3, d)), put(&s, numbers(m, false, 1, 0, 3, d));
    attr_int(&s, "interleaved", take(m, 2));
    emit(m, &s, ROUNDS);
}

/* --- patterns that fuse --------------------------------------------------------------------- */

static omma_value *activation_on(maker *m, omma_value *x) {
    omma_value *y;
    if (!x) return NULL;
    float odd = chance(m, 6) ? 0.9f : 1; /* what nearly is a pattern must not become one */
    switch (take(m, 7)) {
    case 0: return one(m, "Relu", x, MOVES);
    case 1: return (y = one(m, "Sigmoid", x, ROUNDS)) ? two(m, "Mul", x, y, ROUNDS) : NULL;
    case 2: return (y = one(m, "HardSigmoid", x, ROUNDS)) ? two(m, "Mul", y, x, ROUNDS) : NULL;
    case 3: { /* x * clip(x + 3, 0, 6) / 6 */
        step s = op("Clip");
        put(&s, two(m, "Add", x, scalar(m, 3 * odd), ROUNDS));
        put(&s, scalar(m, 0)), put(&s, scalar(m, chance(m, 8) ? 5 : 6));
        y = emit(m, &s, MOVES);
        return y && (y = two(m, "Mul", x, y, ROUNDS)) ? two(m, "Div", y, scalar(m, 6 * odd), ROUNDS)
                                                      : NULL;
    }
    case 4: { /* x * (1 + erf(x / sqrt 2)) / 2 */
        y = two(m, "Div", x, scalar(m, 1.41421356f * odd), ROUNDS);
        if (!y || !(y = one(m, "Erf", y, ROUNDS)) || !(y = two(m, "Add", y, scalar(m, 1), ROUNDS)))
            return NULL;
        y = two(m, "Mul", x, y, ROUNDS);
        return y ? two(m, "Mul", y, scalar(m, 0.5f), ROUNDS) : NULL;
    }
    case 5: return two(m, "Add", x, beside(m, x, 1, 0), ADDS);
    default: return x;
    }
}

static void block(maker *m) {
    omma_value *x = pick(m, 4, FLOATS), *y = conv_on(m, x);
    if (y && chance(m, 2)) y = batch_norm_on(m, y);
    if (y && chance(m, 3)) y = two(m, "Mul", y, beside(m, y, 0.4f, 1), ROUNDS);
    y = activation_on(m, y);
    if (y && chance(m, 2)) two(m, "Add", y, x, ADDS);
}

static void activation(maker *m) { activation_on(m, pick(m, -1, FLOATS)); }

/* (x - mean) / sqrt(var + e) * scale + shift, node by node. */
static void layer_norm(maker *m) {
    omma_value *x = pick(m, -1, FLOATS), *mean, *d, *v;
    if (!x || x->rank < 2) return;
    int64_t last = x->dims[x->rank - 1];
    if (!(mean = reduce_on(m, "ReduceMean", x, -1, 1, ROUNDS))) return;
    if (!(d = two(m, "Sub", x, mean, ROUNDS))) return;
    v = chance(m, 2) ? two(m, "Mul", d, d, ROUNDS) : two(m, "Pow", d, scalar(m, 2), ROUNDS);
    if (!v || !(v = reduce_on(m, "ReduceMean", v, -1, 1, ROUNDS))) return;
    if (!(v = two(m, "Add", v, scalar(m, 1e-3f), ROUNDS))) return;
    if (!(v = one(m, "Sqrt", v, ROUNDS)) || !(v = two(m, "Div", d, v, ROUNDS))) return;
    if ((v = two(m, "Mul", v, numbers(m, false, 0.4f, 1, 1, &last), ROUNDS)))
        two(m, "Add", v, numbers(m, false, 0.4f, 0, 1, &last), ROUNDS);
}

/* [1,C,H,W] to [1,HW,C] */
static void tokens(maker *m) {
    omma_value *x = pick(m, 4, FLOATS);
    if (!x) return;
    step s = op("Reshape");
    put(&s, x), put(&s, ints(m, 3, (int64_t[]){0, x->dims[1], -1}));
    turned(m, emit(m, &s, MOVES));
}

static void (*const steps[])(maker *) = {conv,        block,          unary,
                                         binary,      linear,         attention,
                                         reshape,     transpose,      views,
                                         concat,      slice,          split,
                                         pad,         pool,           matmul,
                                         gemm,        einsum,         attention_op,
                                         clip,        compare,        where,
                                         cast,        whole_numbers,  resize,
                                         grid_sample, reduce,         arg_reduce,
                                         cumsum,      batch_norm,     norm,
                                         softmaxes,   gather,         gather_more,
                                         scatter,     topk,           data_sized,
                                         one_hot,     trilu,          shape_arithmetic,
                                         range,       quantize,       recurrent,
                                         activation,  layer_norm,     tokens,
                                         conv_other,  conv_transpose, block,
                                         binary,      rare,           bits,
                                         rotary};

#endif

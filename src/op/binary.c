/* binary.c - operators on two or more tensors number by number, with ONNX's multidirectional
 * broadcasting: arithmetic, comparison, logic, PRelu, Where, and Max, Min, Sum, Mean of any
 * number of inputs.
 *
 * infer collapses the shapes: neighbouring dimensions along which every operand moves alike
 * become one, so most cases end as one or two dimensions whose innermost stride is 0 or 1.
 * The output is then cut into pieces of at most PIECE numbers:
 *
 *     rows at least ROW_MIN long    a piece is a part of one row; operands are read in place
 *     shorter rows                  a piece spans rows; broadcast operands are gathered first
 *
 * and each piece is one call of a loop over two operands of stride 0 or 1. Pieces do not
 * depend on the number of threads.
 *
 * Traps: the output may lie on an input of its own type and shape, so every number is read
 * before the same place is written and Sum(a, b, out) must not write out early: variadic
 * operators accumulate on the stack. Integer division by zero and INT_MIN / -1 fail the run;
 * other integer arithmetic wraps around. Max and Min hand NaN on. */
#include <math.h>
#include <stdatomic.h>
#include <string.h>
#include <tgmath.h>

#include "base/checked.h"
#include "base/pool.h"
#include "op/element.h"

enum { PIECE = 1024, ROW_MIN = 32 };

/* y[i] = a[i*sa] op b[i*sb]; false when a number has no answer (division by zero). */
typedef bool (*pair_fn)(int64_t n, const void *a, int sa, const void *b, int sb, void *y);

typedef struct binary {
    unsigned types;
    int kernel; /* omma_binary for f32, or -1 */
    bool is_bool;
    const pair_fn *fn; /* by omma_dtype; the 16-bit floats use F32's */
} binary;

/* n->param: the collapsed output shape and each operand's strides in it. */
typedef struct operand {
    int64_t stride[OMMA_MAX_RANK];
    bool dense; /* laid out as the output is */
} operand;

typedef struct plan {
    const binary *op;
    int rank; /* >= 1 */
    int64_t dims[OMMA_MAX_RANK];
    int64_t count, pieces, per_row; /* per_row 0: pieces span rows */
    int64_t grain;
    int n_op;
    operand in[];
} plan;

/* --- infer -------------------------------------------------------------------- */

/* Strides of v in the output's dims, 0 where it is broadcast. */
static void spread(const omma_value *v, int rank, int64_t *stride) {
    int64_t own[OMMA_MAX_RANK];
    omma_strides(v->dims, v->rank, own);
    for (int d = 0; d < rank; d++) {
        const int e = d - (rank - v->rank);
        stride[d] = e < 0 || v->dims[e] == 1 ? 0 : own[e];
    }
}

static bool fits(const plan *p, int64_t full[][OMMA_MAX_RANK], int d, int g) {
    for (int i = 0; i < p->n_op; i++)
        if (full[i][d] != p->in[i].stride[g] * p->dims[g]) return false;
    return true;
}

/* Collapse dims into p, innermost first, then turn p around. */
static void collapse(plan *p, int rank, const int64_t *dims, int64_t full[][OMMA_MAX_RANK]) {
    for (int d = rank - 1; d >= 0; d--) {
        if (dims[d] == 1) continue;
        if (p->rank && fits(p, full, d, p->rank - 1)) {
            p->dims[p->rank - 1] *= dims[d];
            continue;
        }
        for (int i = 0; i < p->n_op; i++) p->in[i].stride[p->rank] = full[i][d];
        p->dims[p->rank++] = dims[d];
    }
    if (!p->rank) {
        p->dims[p->rank++] = 1;
        for (int i = 0; i < p->n_op; i++) p->in[i].stride[0] = 1;
    }
    for (int a = 0, z = p->rank - 1; a < z; a++, z--) {
        const int64_t dim = p->dims[a];
        p->dims[a] = p->dims[z], p->dims[z] = dim;
        for (int i = 0; i < p->n_op; i++) {
            int64_t *s = p->in[i].stride, t = s[a];
            s[a] = s[z], s[z] = t;
        }
    }
}

/* Broadcast all inputs, make the plan, set output 0 to type t. */
static omma_status lay_out(omma_build *b, omma_node *n, const binary *op, omma_dtype t) {
    int rank;
    int64_t dims[OMMA_MAX_RANK], dense[OMMA_MAX_RANK];
    OMMA_TRY(omma_broadcast(b, n, n->in, n->n_in, &rank, dims));
    OMMA_TRY(omma_out(b, n, 0, t, rank, dims));
    plan *p = omma_param(b, n, sizeof *p + (size_t)n->n_in * sizeof *p->in);
    int64_t(*full)[OMMA_MAX_RANK] = omma_arena_array(b->arena, (size_t)n->n_in, sizeof *full);
    if (!p || !full) return omma_nomem(b, n);
    p->op = op;
    p->n_op = n->n_in;
    if (!omma_dims_count(dims, rank, &p->count))
        return omma_bad(b, n, "the size of the output overflows");
    if (!p->count) return OMMA_OK;
    for (int i = 0; i < p->n_op; i++) spread(n->in[i], rank, full[i]);
    collapse(p, rank, dims, full);
    omma_strides(p->dims, p->rank, dense);
    for (int i = 0; i < p->n_op; i++)
        p->in[i].dense = !memcmp(p->in[i].stride, dense, (size_t)p->rank * sizeof *dense);
    const int64_t row = p->dims[p->rank - 1];
    if (p->rank == 1 || row >= ROW_MIN) {
        p->per_row = (row + PIECE - 1) / PIECE;
        p->pieces = p->count / row * p->per_row;
        p->grain = OMMA_GRAIN / (row < PIECE ? row : PIECE);
    } else {
        p->pieces = (p->count + PIECE - 1) / PIECE;
        p->grain = OMMA_GRAIN / PIECE;
    }
    if (p->grain < 1) p->grain = 1;
    return OMMA_OK;
}

/* Inputs of one type out of op->types. */
static omma_status infer(omma_build *b, omma_node *n, const binary *op) {
    OMMA_TRY(omma_want(b, n, 0, op->types));
    for (int i = 1; i < n->n_in; i++) OMMA_TRY(omma_want_same(b, n, i));
    return lay_out(b, n, op, op->is_bool ? OMMA_BOOL : n->in[0]->dtype);
}

/* --- the walk over pieces ----------------------------------------------------- */

/* A piece: n output numbers from number at; index is the place of its row in rows mode. */
typedef struct piece {
    int64_t at, n, col;
    int64_t index[OMMA_MAX_RANK];
} piece;

/* Room for a piece of any type. */
typedef union room {
    _Alignas(64) char c[8 * PIECE];
    float f[PIECE];
} room;

typedef struct job job;
typedef bool (*piece_fn)(const job *j, const piece *w);

struct job {
    const omma_exec *x;
    const omma_node *n;
    const plan *p;
    piece_fn fn;
    _Atomic bool fault;
};

/* Copy a piece of a broadcast operand together, row by row. */
#define GATHER(T)                                                                             \
    for (int64_t i = 0; i < w->n;) {                                                          \
        int64_t off = 0, m = inner - index[last];                                             \
        for (int d = 0; d <= last; d++) off += index[d] * o->stride[d];                       \
        if (m > w->n - i) m = w->n - i;                                                       \
        for (int64_t k = 0; k < m; k++)                                                       \
            memcpy((T *)tmp + i + k, (const T *)base + off + k * o->stride[last], sizeof(T)); \
        i += m;                                                                               \
        index[last] = 0;                                                                      \
        for (int d = last - 1; d >= 0 && ++index[d] == p->dims[d]; d--) index[d] = 0;         \
    }

static void gather(const plan *p, const operand *o, const piece *w, const void *base, size_t size,
                   void *tmp) {
    const int last = p->rank - 1;
    const int64_t inner = p->dims[last];
    int64_t index[OMMA_MAX_RANK], rest = w->at;
    for (int d = last; d >= 0; d--) {
        index[d] = rest % p->dims[d];
        rest /= p->dims[d];
    }
    switch (size) {
    case 1: GATHER(uint8_t) return;
    case 2: GATHER(uint16_t) return;
    case 4: GATHER(uint32_t) return;
    default: GATHER(uint64_t) return;
    }
}

/* Operand i's numbers of a piece, with stride 0 or 1; tmp has room for PIECE of them. */
static const void *fetch(const job *j, const piece *w, int i, void *tmp, int *stride) {
    const plan *p = j->p;
    const omma_value *v = j->n->in[i];
    const operand *o = &p->in[i];
    *stride = 1;
    if (o->dense) return omma_at(v->mem, v->dtype, w->at);
    if (!p->per_row) {
        gather(p, o, w, v->mem, omma_dtype_size(v->dtype), tmp);
        return tmp;
    }
    const int last = p->rank - 1;
    *stride = (int)o->stride[last];
    int64_t off = w->col * o->stride[last];
    for (int d = 0; d < last; d++) off += w->index[d] * o->stride[d];
    return omma_at(v->mem, v->dtype, off);
}

static void part(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    job *j = arg;
    const plan *p = j->p;
    const int last = p->rank - 1;
    const int64_t inner = p->dims[last];
    piece w = {0};
    if (!p->per_row) {
        for (int64_t i = begin; i < end; i++) {
            w.at = i * PIECE;
            w.n = p->count - w.at < PIECE ? p->count - w.at : PIECE;
            if (!j->fn(j, &w)) j->fault = true;
        }
        return;
    }
    int64_t row = begin / p->per_row, rest = row;
    w.col = begin % p->per_row * PIECE;
    for (int d = last - 1; d >= 0; d--) {
        w.index[d] = rest % p->dims[d];
        rest /= p->dims[d];
    }
    for (int64_t i = begin; i < end; i++) {
        w.at = row * inner + w.col;
        w.n = inner - w.col < PIECE ? inner - w.col : PIECE;
        if (!j->fn(j, &w)) j->fault = true;
        w.col += PIECE;
        if (w.col < inner) continue;
        w.col = 0;
        row++;
        for (int d = last - 1; d >= 0 && ++w.index[d] == p->dims[d]; d--) w.index[d] = 0;
    }
}

static omma_status walk(const omma_exec *x, const omma_node *n, piece_fn fn) {
    if (!omma_wanted(n, 0)) return OMMA_OK;
    job j = {.x = x, .n = n, .p = n->param, .fn = fn};
    omma_parallel(x->threads, j.p->pieces, j.p->grain, part, &j);
    if (j.fault)
        return omma_run_bad(x, n, "an integer division by zero, or of the smallest number by -1");
    return OMMA_OK;
}

static void *place(const job *j, const piece *w) {
    const omma_value *y = j->n->out[0];
    return (char *)y->mem + (size_t)w->at * omma_dtype_size(y->dtype);
}

/* One operation on numbers of type t. */
static bool apply(const job *j, omma_dtype t, int64_t n, const void *a, int sa, const void *b,
                  int sb, void *y) {
    const binary *op = j->p->op;
    if (t != OMMA_F32 || op->kernel < 0) return op->fn[t](n, a, sa, b, sb, y);
    j->x->kern->binary[op->kernel](n, a, sa, b, sb, y);
    return true;
}

/* The numbers of operand i as float when they are 16 bits wide, else as they are. */
static const void *fetch_wide(const job *j, const piece *w, int i, void *tmp, float *wide,
                              int *stride) {
    const omma_dtype t = j->n->in[i]->dtype;
    const void *x = fetch(j, w, i, tmp, stride);
    if (t != OMMA_F16 && t != OMMA_BF16) return x;
    omma_load_halves(t, x, *stride ? w->n : 1, wide);
    return wide;
}

static bool pair_piece(const job *j, const piece *w) {
    room ta, tb;
    float fa[PIECE], fb[PIECE];
    int sa, sb;
    const omma_dtype t = j->n->in[0]->dtype;
    const bool half = t == OMMA_F16 || t == OMMA_BF16;
    const void *a = fetch_wide(j, w, 0, &ta, fa, &sa), *b = fetch_wide(j, w, 1, &tb, fb, &sb);
    if (!half || j->p->op->is_bool)
        return apply(j, half ? OMMA_F32 : t, w->n, a, sa, b, sb, place(j, w));
    const bool ok = apply(j, OMMA_F32, w->n, a, sa, b, sb, ta.f);
    omma_store_halves(t, ta.f, w->n, place(j, w));
    return ok;
}

static omma_status pair_run(const omma_exec *x, const omma_node *n) {
    return walk(x, n, pair_piece);
}

/* --- the loops: x and z the numbers, ok to be cleared on a fault -------------- */

#define PAIR(Name, tag, T, W, O, low, expr)                                             \
    static bool Name##_##tag(int64_t n, const void *pa, int sa, const void *pb, int sb, \
                             void *py) {                                                \
        const T *a = pa, *b = pb;                                                       \
        O *y = py;                                                                      \
        bool ok = true;                                                                 \
        const W lowest = (W)(low);                                                      \
        (void)lowest;                                                                   \
        for (int64_t i = 0; i < n; i++) {                                               \
            const W x = (W)a[i * sa], z = (W)b[i * sb];                                 \
            (void)z;                                                                    \
            y[i] = (O)(expr);                                                           \
        }                                                                               \
        return ok;                                                                      \
    }
#define PAIRS_FLOAT(Name, expr) \
    PAIR(Name, F32, float, float, float, 0, expr) PAIR(Name, F64, double, double, double, 0, expr)
#define PAIRS_INT(Name, sexpr, uexpr)                            \
    PAIR(Name, I8, int8_t, int64_t, int8_t, INT8_MIN, sexpr)     \
    PAIR(Name, I16, int16_t, int64_t, int16_t, INT16_MIN, sexpr) \
    PAIR(Name, I32, int32_t, int64_t, int32_t, INT32_MIN, sexpr) \
    PAIR(Name, I64, int64_t, int64_t, int64_t, INT64_MIN, sexpr) \
    PAIR(Name, U8, uint8_t, uint64_t, uint8_t, 0, uexpr)         \
    PAIR(Name, U16, uint16_t, uint64_t, uint16_t, 0, uexpr)      \
    PAIR(Name, U32, uint32_t, uint64_t, uint32_t, 0, uexpr)      \
    PAIR(Name, U64, uint64_t, uint64_t, uint64_t, 0, uexpr)
#define SET_INT(Name)                                                        \
    [OMMA_I8] = Name##_I8, [OMMA_I16] = Name##_I16, [OMMA_I32] = Name##_I32, \
    [OMMA_I64] = Name##_I64, [OMMA_U8] = Name##_U8, [OMMA_U16] = Name##_U16, \
    [OMMA_U32] = Name##_U32, [OMMA_U64] = Name##_U64
#define SET_FLOAT(Name) [OMMA_F32] = Name##_F32, [OMMA_F64] = Name##_F64
#define ARITHMETIC(Name, fexpr, sexpr, uexpr) \
    PAIRS_FLOAT(Name, fexpr)                  \
    PAIRS_INT(Name, sexpr, uexpr)             \
    static const pair_fn Name##_fn[] = {SET_FLOAT(Name), SET_INT(Name)};

#define SIGNED_FAULT (z == 0 || (z == -1 && x == lowest))

static inline int64_t cut_mod(int64_t x, int64_t z) { return z == -1 ? 0 : x % z; }
static inline int64_t floor_mod(int64_t x, int64_t z) {
    const int64_t r = cut_mod(x, z);
    return r && (r < 0) != (z < 0) ? r + z : r;
}

ARITHMETIC(Add, x + z, (uint64_t)x + (uint64_t)z, x + z)
ARITHMETIC(Sub, x - z, (uint64_t)x - (uint64_t)z, x - z)
ARITHMETIC(Mul, (x * z), ((uint64_t)x * (uint64_t)z), (x * z))
ARITHMETIC(Div, x / z, SIGNED_FAULT ? (ok = false, 0) : x / z, z == 0 ? (ok = false, 0u) : x / z)
ARITHMETIC(Max, x > z || x != x ? x : z, x > z ? x : z, x > z ? x : z)
ARITHMETIC(Min, x < z || x != x ? x : z, x < z ? x : z, x < z ? x : z)
ARITHMETIC(PRelu, x < 0 ? x * z : x, x < 0 ? (uint64_t)x * (uint64_t)z : (uint64_t)x, x)
PAIRS_INT(Mod, z == 0 ? (ok = false, 0) : floor_mod(x, z), z == 0 ? (ok = false, 0u) : x % z)
static const pair_fn Mod_fn[] = {SET_INT(Mod)};
ARITHMETIC(FMod, fmod(x, z), z == 0 ? (ok = false, 0) : cut_mod(x, z),
           z == 0 ? (ok = false, 0u) : x % z)

#define COMPARE(Name, op)                                   \
    PAIR(Name, F32, float, float, uint8_t, 0, x op z)       \
    PAIR(Name, F64, double, double, uint8_t, 0, x op z)     \
    PAIR(Name, BOOL, uint8_t, bool, uint8_t, 0, x op z)     \
    PAIR(Name, I8, int8_t, int8_t, uint8_t, 0, x op z)      \
    PAIR(Name, I16, int16_t, int16_t, uint8_t, 0, x op z)   \
    PAIR(Name, I32, int32_t, int32_t, uint8_t, 0, x op z)   \
    PAIR(Name, I64, int64_t, int64_t, uint8_t, 0, x op z)   \
    PAIR(Name, U8, uint8_t, uint8_t, uint8_t, 0, x op z)    \
    PAIR(Name, U16, uint16_t, uint16_t, uint8_t, 0, x op z) \
    PAIR(Name, U32, uint32_t, uint32_t, uint8_t, 0, x op z) \
    PAIR(Name, U64, uint64_t, uint64_t, uint8_t, 0, x op z) \
    static const pair_fn Name##_fn[] = {SET_FLOAT(Name), SET_INT(Name), [OMMA_BOOL] = Name##_BOOL};
COMPARE(Equal, ==)
COMPARE(Greater, >)
COMPARE(GreaterOrEqual, >=)
COMPARE(Less, <)
COMPARE(LessOrEqual, <=)

#define LOGIC(Name, expr)                             \
    PAIR(Name, BOOL, uint8_t, bool, uint8_t, 0, expr) \
    static const pair_fn Name##_fn[] = {[OMMA_BOOL] = Name##_BOOL};
LOGIC(And, (x && z))
LOGIC(Or, x || z)
LOGIC(Xor, x != z)

/* --- rows --------------------------------------------------------------------- */

#define NO_BOOL_GRAD "boolean output: nothing to differentiate"
#define ROW(Name, infer_, run_, min_in_, max_in_, flops_, no_grad_) \
    const omma_op omma_op_##Name = {.name = #Name,                  \
                                    .min_in = min_in_,              \
                                    .max_in = max_in_,              \
                                    .min_out = 1,                   \
                                    .max_out = 1,                   \
                                    .flags = OMMA_OP_ELEMENTWISE,   \
                                    .infer = infer_,                \
                                    .run = run_,                    \
                                    .flops = flops_,                \
                                    .no_grad = no_grad_,            \
                                    .no_field = OMMA_NOT_YET};

/* name, types, f32 kernel, result is bool, why no gradient */
#define BINARY_LIST(X)                                        \
    X(Add, OMMA_IN_NUMBER, OMMA_BIN_ADD, false, OMMA_NOT_YET) \
    X(Sub, OMMA_IN_NUMBER, OMMA_BIN_SUB, false, OMMA_NOT_YET) \
    X(Mul, OMMA_IN_NUMBER, OMMA_BIN_MUL, false, OMMA_NOT_YET) \
    X(Div, OMMA_IN_NUMBER, OMMA_BIN_DIV, false, OMMA_NOT_YET) \
    X(And, OMMA_IN_BOOL, -1, true, NO_BOOL_GRAD)              \
    X(Or, OMMA_IN_BOOL, -1, true, NO_BOOL_GRAD)               \
    X(Xor, OMMA_IN_BOOL, -1, true, NO_BOOL_GRAD)              \
    X(Equal, OMMA_IN_ANY, -1, true, NO_BOOL_GRAD)             \
    X(Greater, OMMA_IN_NUMBER, -1, true, NO_BOOL_GRAD)        \
    X(GreaterOrEqual, OMMA_IN_NUMBER, -1, true, NO_BOOL_GRAD) \
    X(Less, OMMA_IN_NUMBER, -1, true, NO_BOOL_GRAD)           \
    X(LessOrEqual, OMMA_IN_NUMBER, -1, true, NO_BOOL_GRAD)
#define X(Name, types_, kernel_, is_bool_, no_grad_)                     \
    static omma_status Name##_infer(omma_build *b, omma_node *n) {       \
        static const binary op = {types_, kernel_, is_bool_, Name##_fn}; \
        return infer(b, n, &op);                                         \
    }                                                                    \
    ROW(Name, Name##_infer, pair_run, 2, 2, NULL, no_grad_)
BINARY_LIST(X)
#undef X

/* PRelu: the slope broadcasts to x, x never to the slope. */
static omma_status PRelu_infer(omma_build *b, omma_node *n) {
    static const binary op = {OMMA_IN_NUMBER, -1, false, PRelu_fn};
    OMMA_TRY(infer(b, n, &op));
    const omma_value *x = n->in[0];
    const plan *p = n->param;
    if (n->in[1]->rank > x->rank || p->count != omma_value_count(x))
        return omma_bad(b, n, "the slope '%s' does not broadcast to '%s'", n->in[1]->name, x->name);
    return OMMA_OK;
}
ROW(PRelu, PRelu_infer, pair_run, 2, 2, NULL, OMMA_NOT_YET)

/* Mod: with fmod = 0 integers only, sign of the divisor; with 1 as C's fmod and %. */
static omma_status Mod_infer(omma_build *b, omma_node *n) {
    static const binary by_floor = {OMMA_IN_INT, -1, false, Mod_fn},
                        by_cut = {OMMA_IN_NUMBER, -1, false, FMod_fn};
    if (omma_node_int(n, "fmod", 0)) return infer(b, n, &by_cut);
    if (omma_in(n, 0) && omma_type_in(n->in[0]->dtype, OMMA_IN_FLOAT))
        return omma_bad(b, n, "floating point needs the attribute fmod = 1");
    return infer(b, n, &by_floor);
}
ROW(Mod, Mod_infer, pair_run, 2, 2, NULL, OMMA_NOT_YET)

/* --- Pow: the base decides the type; the exponent may have another ------------ */

static omma_status Pow_infer(omma_build *b, omma_node *n) {
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_NUMBER));
    OMMA_TRY(omma_want(b, n, 1, OMMA_IN_NUMBER));
    return lay_out(b, n, NULL, n->in[0]->dtype);
}

/* x to the power of e by squaring; wraps around. */
static uint64_t int_pow(uint64_t x, uint64_t e) {
    uint64_t y = 1;
    for (; e; e >>= 1, x *= x)
        if (e & 1) y *= x;
    return y;
}

/* Integers: exact with an integer exponent; a negative one leaves 1, -1 or 0. */
static bool pow_ints(omma_dtype t, omma_dtype te, int64_t n, const void *a, int sa, const void *e,
                     int se, void *y) {
    bool ok = true;
    for (int64_t i = 0; i < n; i++) {
        const int64_t x = omma_get_int(t, a, i * sa);
        if (!omma_type_in(te, OMMA_IN_INT)) {
            omma_set_number(t, y, i,
                            pow(omma_get_number(t, a, i * sa), omma_get_number(te, e, i * se)));
            continue;
        }
        const int64_t k = omma_get_int(te, e, i * se);
        if (k >= 0 || te == OMMA_U64)
            omma_set_int(t, y, i, (int64_t)int_pow((uint64_t)x, (uint64_t)k));
        else if (x == 1 || (x == -1 && omma_type_in(t, OMMA_IN_SIGNED)))
            omma_set_int(t, y, i, k % 2 ? x : 1);
        else ok = ok && x, omma_set_int(t, y, i, 0);
    }
    return ok;
}

static void pow_floats(const omma_kernels *k, int64_t n, const float *a, int sa, const float *e,
                       int se, float *y) {
    if (!se && *e == 2) k->binary[OMMA_BIN_MUL](n, a, sa, a, sa, y);
    else
        for (int64_t i = 0; i < n; i++) y[i] = powf(a[i * sa], e[i * se]);
}

static bool pow_piece(const job *j, const piece *w) {
    room ta, te;
    float fa[PIECE], fe[PIECE];
    int sa, se;
    const omma_dtype t = j->n->in[0]->dtype, type_e = j->n->in[1]->dtype;
    const void *a = fetch_wide(j, w, 0, &ta, fa, &sa), *e = fetch_wide(j, w, 1, &te, fe, &se);
    const omma_dtype wide_e = type_e == OMMA_F16 || type_e == OMMA_BF16 ? OMMA_F32 : type_e;
    void *y = place(j, w);
    if (omma_type_in(t, OMMA_IN_INT)) return pow_ints(t, wide_e, w->n, a, sa, e, se, y);
    if (t == OMMA_F64) {
        for (int64_t i = 0; i < w->n; i++)
            ((double *)y)[i] = pow(((const double *)a)[i * sa], omma_get_number(wide_e, e, i * se));
        return true;
    }
    if (wide_e != OMMA_F32) {
        for (int64_t i = 0; i < (se ? w->n : 1); i++) fe[i] = (float)omma_get_number(wide_e, e, i);
        e = fe;
    }
    pow_floats(j->x->kern, w->n, a, sa, e, se, t == OMMA_F32 ? y : ta.f);
    if (t != OMMA_F32) omma_store_halves(t, ta.f, w->n, y);
    return true;
}

static omma_status Pow_run(const omma_exec *x, const omma_node *n) { return walk(x, n, pow_piece); }
ROW(Pow, Pow_infer, Pow_run, 2, 2, NULL, OMMA_NOT_YET)

/* --- Where -------------------------------------------------------------------- */

static omma_status Where_infer(omma_build *b, omma_node *n) {
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_BOOL));
    OMMA_TRY(omma_want(b, n, 1, OMMA_IN_ANY));
    OMMA_TRY(omma_want(b, n, 2, OMMA_IN_ANY));
    if (n->in[1]->dtype != n->in[2]->dtype)
        return omma_bad(b, n, "the choices are of types %s and %s",
                        omma_dtype_name(n->in[1]->dtype), omma_dtype_name(n->in[2]->dtype));
    return lay_out(b, n, NULL, n->in[1]->dtype);
}

#define CHOOSE(T)                      \
    for (int64_t i = 0; i < w->n; i++) \
        memcpy((T *)y + i, c[i * sc] ? (const T *)a + i * sa : (const T *)b + i * sb, sizeof(T));

static bool where_piece(const job *j, const piece *w) {
    room tc, ta, tb;
    int sc, sa, sb;
    const uint8_t *c = fetch(j, w, 0, &tc, &sc);
    const void *a = fetch(j, w, 1, &ta, &sa), *b = fetch(j, w, 2, &tb, &sb);
    void *y = place(j, w);
    switch (omma_dtype_size(j->n->out[0]->dtype)) {
    case 1: CHOOSE(uint8_t) break;
    case 2: CHOOSE(uint16_t) break;
    case 4: CHOOSE(uint32_t) break;
    default: CHOOSE(uint64_t) break;
    }
    return true;
}

static omma_status Where_run(const omma_exec *x, const omma_node *n) {
    return walk(x, n, where_piece);
}
ROW(Where, Where_infer, Where_run, 3, 3, NULL, OMMA_NOT_YET)

/* --- Max, Min, Sum, Mean of any number of inputs ------------------------------ */

static bool gather_piece(const job *j, const piece *w, bool mean) {
    room tmp, acc;
    float wide[PIECE];
    const omma_dtype t = j->n->in[0]->dtype;
    const bool half = t == OMMA_F16 || t == OMMA_BF16;
    const omma_dtype tw = half ? OMMA_F32 : t;
    const size_t size = omma_dtype_size(tw);
    int s;
    const void *a = fetch_wide(j, w, 0, &tmp, wide, &s);
    for (int64_t i = 0; i < w->n; i++)
        memcpy(acc.c + (size_t)i * size, (const char *)a + (size_t)(i * s) * size, size);
    for (int k = 1; k < j->n->n_in; k++) {
        a = fetch_wide(j, w, k, &tmp, wide, &s);
        apply(j, tw, w->n, &acc, 1, a, s, &acc);
    }
    if (mean && t == OMMA_F64) {
        const double k = j->n->n_in;
        Div_F64(w->n, &acc, 1, &k, 0, &acc);
    } else if (mean) {
        const float k = (float)j->n->n_in;
        Div_F32(w->n, &acc, 1, &k, 0, &acc);
    }
    if (half) omma_store_halves(t, acc.f, w->n, place(j, w));
    else memcpy(place(j, w), &acc, (size_t)w->n * size);
    return true;
}

static bool many_piece(const job *j, const piece *w) { return gather_piece(j, w, false); }
static bool mean_piece(const job *j, const piece *w) { return gather_piece(j, w, true); }
static omma_status many_run(const omma_exec *x, const omma_node *n) {
    return walk(x, n, n->n_in == 2 ? pair_piece : many_piece);
}
static omma_status Mean_run(const omma_exec *x, const omma_node *n) {
    return walk(x, n, mean_piece);
}
static double many_flops(const omma_node *n) {
    return n->out[0] ? (double)omma_value_count(n->out[0]) * n->n_in : 0;
}

#define MANY(Name, types_, kernel_, fn_, run_)                     \
    static omma_status Name##_infer(omma_build *b, omma_node *n) { \
        static const binary op = {types_, kernel_, false, fn_};    \
        return infer(b, n, &op);                                   \
    }                                                              \
    ROW(Name, Name##_infer, run_, 1, -1, many_flops, OMMA_NOT_YET)
MANY(Max, OMMA_IN_NUMBER, OMMA_BIN_MAX, Max_fn, many_run)
MANY(Min, OMMA_IN_NUMBER, OMMA_BIN_MIN, Min_fn, many_run)
MANY(Sum, OMMA_IN_FLOAT, OMMA_BIN_ADD, Add_fn, many_run)
MANY(Mean, OMMA_IN_FLOAT, OMMA_BIN_ADD, Add_fn, Mean_run)

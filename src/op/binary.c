/* binary.c - operators on two or more tensors number by number: arithmetic, comparison, logic,
 * bits, PRelu, and Max, Min, Sum, Mean of any number of inputs. How they broadcast is in
 * broadcast.h; a piece is one call of a loop over two operands of stride 0 or 1.
 *
 * Before opset 7 shapes must be equal unless the attribute `broadcast` is set; then input 1 lies
 * along the last axes of input 0, or along `axis` and on. PRelu's slope then is one number or
 * one for each channel.
 *
 * Traps: Sum(a, b, out) must not write out early: variadic operators accumulate on the stack.
 * Integer division by zero and INT_MIN / -1 fail the run; other integer arithmetic wraps
 * around. Max and Min hand NaN on. A shift by all of a number's bits or more gives 0. */
#include <math.h>
#include <string.h>
#include <tgmath.h>

#include "base/pool.h"
#include "op/broadcast.h"

/* y[i] = a[i*sa] op b[i*sb]; false when a number has no answer (division by zero). */
typedef bool (*pair_fn)(int64_t n, const void *a, int sa, const void *b, int sb, void *y);

typedef struct binary {
    unsigned types;
    int kernel; /* omma_binary for f32, or -1 */
    bool is_bool;
    const pair_fn *fn; /* by omma_dtype; the 16-bit floats use F32's */
} binary;

/* Inputs of one type out of op->types. */
static omma_status want_types(omma_build *b, const omma_node *n, const binary *op) {
    OMMA_TRY(omma_want(b, n, 0, op->types));
    for (int i = 1; i < n->n_in; i++) OMMA_TRY(omma_want_same(b, n, i));
    return OMMA_OK;
}

static omma_status infer_pair(omma_build *b, omma_node *n, const binary *op) {
    OMMA_TRY(want_types(b, n, op));
    return omma_broadcast_pair(b, n, op, op->is_bool ? OMMA_BOOL : n->in[0]->dtype);
}

/* One operation on numbers of type t. */
static bool apply(const omma_piece_job *j, omma_dtype t, int64_t n, const void *a, int sa,
                  const void *b, int sb, void *y) {
    const binary *op = j->p->op;
    if (t != OMMA_F32 || op->kernel < 0) return op->fn[t](n, a, sa, b, sb, y);
    j->x->kern->binary[op->kernel](n, a, sa, b, sb, y);
    return true;
}

static bool pair_piece(const omma_piece_job *j, const omma_piece *w) {
    omma_piece_room ta, tb;
    float fa[OMMA_PIECE], fb[OMMA_PIECE];
    int sa, sb;
    const omma_dtype t = j->n->in[0]->dtype;
    const bool half = t == OMMA_F16 || t == OMMA_BF16;
    const void *a = omma_piece_wide(j, w, 0, &ta, fa, &sa),
               *b = omma_piece_wide(j, w, 1, &tb, fb, &sb);
    if (!half || ((const binary *)j->p->op)->is_bool)
        return apply(j, half ? OMMA_F32 : t, w->n, a, sa, b, sb, omma_piece_out(j, w));
    const bool ok = apply(j, OMMA_F32, w->n, a, sa, b, sb, ta.f);
    omma_store_halves(t, ta.f, w->n, omma_piece_out(j, w));
    return ok;
}

/* Rows of float32 short enough that a call for each would cost: the two innermost dimensions at
 * once, some rows of a call. Narrow ones are made one long row first. */
enum { ROW_MAX = 4096, ROWS_COUNT = 8192, ROWS_MIN = 64, NARROW = 8 };

typedef struct rows_job {
    const omma_exec *x;
    const omma_node *n;
    int64_t block, blocks; /* rows of a call, calls for a position of the outer dimensions */
} rows_job;

/* An operand of rows x inner numbers, laid out as they are: in place if it is, else in t. */
static const float *laid_out(const float *x, int64_t rows, int64_t inner, int64_t row_stride,
                             int64_t stride, float *t) {
    if (row_stride == inner && stride == 1) return x;
    const int64_t once = row_stride ? rows : 1, n = rows * inner;
    for (int64_t r = 0; r < once; r++)
        for (int64_t i = 0; i < inner; i++) t[r * inner + i] = x[r * row_stride + i * stride];
    for (int64_t have = once * inner; have < n;) {
        const int64_t more = have < n - have ? have : n - have;
        memcpy(t + have, t, (size_t)more * sizeof *t);
        have += more;
    }
    return t;
}

static void pair_rows(void *arg, int64_t begin, int64_t end, int worker) {
    const rows_job *j = arg;
    const omma_spread *p = j->n->param;
    const int last = p->rank - 1;
    const int64_t inner = p->dims[last], rows = p->dims[last - 1];
    const float *in[2] = {j->n->in[0]->mem, j->n->in[1]->mem};
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t row = i % j->blocks * j->block, outer = i / j->blocks;
        int64_t off[2] = {row * p->in[0].stride[last - 1], row * p->in[1].stride[last - 1]};
        for (int64_t d = last - 2, rest = outer; d >= 0; rest /= p->dims[d], d--)
            for (int k = 0; k < 2; k++) off[k] += rest % p->dims[d] * p->in[k].stride[d];
        const int64_t m = rows - row < j->block ? rows - row : j->block;
        const int kernel = ((const binary *)p->op)->kernel;
        float *y = (float *)j->n->out[0]->mem + (outer * rows + row) * inner;
        const omma_operand *u = &p->in[0], *v = &p->in[1];
        if (inner >= NARROW) {
            j->x->kern->binary_rows[kernel](m, inner, in[0] + off[0], u->stride[last - 1],
                                            (int)u->stride[last], in[1] + off[1],
                                            v->stride[last - 1], (int)v->stride[last], y);
            continue;
        }
        float ta[OMMA_PIECE], tb[OMMA_PIECE];
        j->x->kern->binary[kernel](
            m * inner, laid_out(in[0] + off[0], m, inner, u->stride[last - 1], u->stride[last], ta),
            1, laid_out(in[1] + off[1], m, inner, v->stride[last - 1], v->stride[last], tb), 1, y);
    }
}

static omma_status pair_run(const omma_exec *x, const omma_node *n) {
    const omma_spread *p = n->param;
    const int last = p->rank - 1;
    if (n->in[0]->dtype != OMMA_F32 || ((const binary *)p->op)->kernel < 0 || !p->count ||
        p->rank < 2 || p->dims[last] > ROW_MAX)
        return omma_broadcast_walk(x, n, pair_piece);
    if (p->rank > 2 && p->dims[last - 1] * p->dims[last] < ROWS_MIN)
        return omma_broadcast_walk(x, n, pair_piece);
    if (!omma_wanted(n, 0)) return OMMA_OK;
    const int64_t rows = p->dims[last - 1], inner = p->dims[last],
                  fit = (inner < NARROW ? OMMA_PIECE : ROWS_COUNT) / inner;
    rows_job j = {x, n, fit < 1 ? 1 : fit < rows ? fit : rows, 0};
    j.blocks = (rows - 1) / j.block + 1;
    const int64_t each = j.block * p->dims[last];
    omma_parallel(x->threads, p->count / (rows * p->dims[last]) * j.blocks,
                  each < OMMA_GRAIN ? OMMA_GRAIN / each : 1, pair_rows, &j);
    return OMMA_OK;
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

#define BITS(Name, sexpr, uexpr)  \
    PAIRS_INT(Name, sexpr, uexpr) \
    static const pair_fn Name##_fn[] = {SET_INT(Name)};
BITS(BitwiseAnd, x &z, x &z)
BITS(BitwiseOr, x | z, x | z)
BITS(BitwiseXor, x ^ z, x ^ z)
BITS(ShiftLeft, x, z > 63 ? 0 : x << z)
BITS(ShiftRight, x, z > 63 ? 0 : x >> z)

/* --- gradients ------------------------------------------------------------------ */

static omma_status Add_grad(omma_grad *g, const omma_node *n) {
    omma_value *dy = omma_grad_out(g, n, 0);
    for (int i = 0; i < n->n_in; i++)
        if (omma_grad_wants(g, n, i)) OMMA_TRY(omma_broadcast_back(g, n, i, dy));
    return g->m.status;
}

static omma_status Sub_grad(omma_grad *g, const omma_node *n) {
    omma_maker *m = &g->m;
    omma_value *dy = omma_grad_out(g, n, 0);
    if (omma_grad_wants(g, n, 0)) OMMA_TRY(omma_broadcast_back(g, n, 0, dy));
    if (!omma_grad_wants(g, n, 1)) return m->status;
    return omma_broadcast_back(g, n, 1, omma_make_1(m, "Neg", dy));
}

static omma_status Mul_grad(omma_grad *g, const omma_node *n) {
    omma_maker *m = &g->m;
    omma_value *dy = omma_grad_out(g, n, 0);
    for (int i = 0; i < 2; i++)
        if (omma_grad_wants(g, n, i)) {
            omma_value *other = omma_broadcast_lined(m, n, 1 - i);
            OMMA_TRY(omma_broadcast_back(g, n, i, omma_make_2(m, "Mul", dy, other)));
        }
    return m->status;
}

/* d (x / z) / dz = -y / z. */
static omma_status Div_grad(omma_grad *g, const omma_node *n) {
    omma_maker *m = &g->m;
    omma_value *c = omma_make_2(m, "Div", omma_grad_out(g, n, 0), omma_broadcast_lined(m, n, 1));
    if (omma_grad_wants(g, n, 0)) OMMA_TRY(omma_broadcast_back(g, n, 0, c));
    if (!omma_grad_wants(g, n, 1)) return m->status;
    c = omma_make_1(m, "Neg", omma_make_2(m, "Mul", c, n->out[0]));
    return omma_broadcast_back(g, n, 1, c);
}

/* y = x - q z with the whole number q = (x - y) / z. */
static omma_status Mod_grad(omma_grad *g, const omma_node *n) {
    omma_maker *m = &g->m;
    omma_value *dy = omma_grad_out(g, n, 0), *x = n->in[0], *z = omma_broadcast_lined(m, n, 1);
    if (omma_grad_wants(g, n, 0)) OMMA_TRY(omma_broadcast_back(g, n, 0, dy));
    if (!omma_grad_wants(g, n, 1)) return m->status;
    omma_value *q = omma_make_2(m, "Div", omma_make_2(m, "Sub", n->out[0], x), z);
    return omma_broadcast_back(g, n, 1, omma_make_2(m, "Mul", dy, omma_make_1(m, "Round", q)));
}

/* At x = 0 the slope's side. */
static omma_status PRelu_grad(omma_grad *g, const omma_node *n) {
    omma_maker *m = &g->m;
    omma_value *dy = omma_grad_out(g, n, 0), *x = n->in[0], *none = omma_make_number(m, x, 0);
    if (omma_grad_wants(g, n, 0)) {
        omma_value *less = omma_make_2(m, "Mul", dy, omma_broadcast_lined(m, n, 1));
        omma_value *above = omma_make_2(m, "Greater", x, none);
        OMMA_TRY(omma_broadcast_back(g, n, 0, omma_make_3(m, "Where", above, dy, less)));
    }
    if (!omma_grad_wants(g, n, 1)) return m->status;
    omma_value *below = omma_make_2(m, "Min", x, none);
    return omma_broadcast_back(g, n, 1, omma_make_2(m, "Mul", dy, below));
}

static omma_status Mean_grad(omma_grad *g, const omma_node *n) {
    omma_value *dy = omma_make_scaled(&g->m, omma_grad_out(g, n, 0), 1.0 / n->n_in);
    for (int i = 0; i < n->n_in; i++)
        if (omma_grad_wants(g, n, i)) OMMA_TRY(omma_broadcast_back(g, n, i, dy));
    return g->m.status;
}

/* Max and Min. Inputs that tie have equal shares, as with PyTorch's maximum and amax. */
static omma_status extreme_grad(omma_grad *g, const omma_node *n) {
    omma_maker *m = &g->m;
    omma_value *dy = omma_grad_out(g, n, 0), *y = n->out[0], *count = NULL;
    if (n->n_in == 1) return omma_grad_add(g, n, 0, dy);
    omma_value **is = omma_arena_array(m->g->arena, (size_t)n->n_in, sizeof(*is));
    if (!is) return m->status = omma_nomem(m->b, n);
    for (int i = 0; i < n->n_in; i++) {
        is[i] = omma_make_cast(m, omma_make_2(m, "Equal", n->in[i], y), y->dtype);
        count = i ? omma_make_2(m, "Add", count, is[i]) : is[i];
    }
    omma_value *share = omma_make_2(m, "Div", dy, count);
    for (int i = 0; i < n->n_in; i++)
        if (omma_grad_wants(g, n, i))
            OMMA_TRY(omma_broadcast_back(g, n, i, omma_make_2(m, "Mul", share, is[i])));
    return m->status;
}

/* --- rows --------------------------------------------------------------------- */

#define NO_BOOL_GRAD "boolean output: nothing to differentiate"
#define NO_BIT_GRAD "bits of integers: nothing to differentiate"
#define ROW(Name, infer_, run_, min_in_, max_in_, flops_, grad_, no_grad_) \
    const omma_op omma_op_##Name = {.name = #Name,                         \
                                    .min_in = min_in_,                     \
                                    .max_in = max_in_,                     \
                                    .min_out = 1,                          \
                                    .max_out = 1,                          \
                                    .flags = OMMA_OP_ELEMENTWISE,          \
                                    .infer = infer_,                       \
                                    .run = run_,                           \
                                    .flops = flops_,                       \
                                    .grad = grad_,                         \
                                    .no_grad = no_grad_,                   \
                                    .field = omma_broadcast_field};

/* name, types, f32 kernel, result is bool, gradient, or why there is none */
#define BINARY_LIST(X)                                              \
    X(Add, OMMA_IN_NUMBER, OMMA_BIN_ADD, false, Add_grad, NULL)     \
    X(Sub, OMMA_IN_NUMBER, OMMA_BIN_SUB, false, Sub_grad, NULL)     \
    X(Mul, OMMA_IN_NUMBER, OMMA_BIN_MUL, false, Mul_grad, NULL)     \
    X(Div, OMMA_IN_NUMBER, OMMA_BIN_DIV, false, Div_grad, NULL)     \
    X(And, OMMA_IN_BOOL, -1, true, NULL, NO_BOOL_GRAD)              \
    X(Or, OMMA_IN_BOOL, -1, true, NULL, NO_BOOL_GRAD)               \
    X(Xor, OMMA_IN_BOOL, -1, true, NULL, NO_BOOL_GRAD)              \
    X(Equal, OMMA_IN_ANY, -1, true, NULL, NO_BOOL_GRAD)             \
    X(Greater, OMMA_IN_NUMBER, -1, true, NULL, NO_BOOL_GRAD)        \
    X(GreaterOrEqual, OMMA_IN_NUMBER, -1, true, NULL, NO_BOOL_GRAD) \
    X(Less, OMMA_IN_NUMBER, -1, true, NULL, NO_BOOL_GRAD)           \
    X(LessOrEqual, OMMA_IN_NUMBER, -1, true, NULL, NO_BOOL_GRAD)    \
    X(BitwiseAnd, OMMA_IN_INT, -1, false, NULL, NO_BIT_GRAD)        \
    X(BitwiseOr, OMMA_IN_INT, -1, false, NULL, NO_BIT_GRAD)         \
    X(BitwiseXor, OMMA_IN_INT, -1, false, NULL, NO_BIT_GRAD)
#define X(Name, types_, kernel_, is_bool_, grad_, no_grad_)              \
    static omma_status Name##_infer(omma_build *b, omma_node *n) {       \
        static const binary op = {types_, kernel_, is_bool_, Name##_fn}; \
        return infer_pair(b, n, &op);                                    \
    }                                                                    \
    ROW(Name, Name##_infer, pair_run, 2, 2, NULL, grad_, no_grad_)
BINARY_LIST(X)
#undef X

/* BitShift: unsigned numbers by unsigned amounts. */
static omma_status BitShift_infer(omma_build *b, omma_node *n) {
    static const binary left = {OMMA_IN_UNSIGNED, -1, false, ShiftLeft_fn},
                        right = {OMMA_IN_UNSIGNED, -1, false, ShiftRight_fn};
    const char *way = omma_node_string(n, "direction", "");
    if (strcmp(way, "LEFT") && strcmp(way, "RIGHT"))
        return omma_bad(b, n, "direction '%s' is neither LEFT nor RIGHT", way);
    return infer_pair(b, n, strcmp(way, "LEFT") ? &right : &left);
}
ROW(BitShift, BitShift_infer, pair_run, 2, 2, NULL, NULL, NO_BIT_GRAD)

/* PRelu: the slope broadcasts to x, x never to the slope. */
static omma_status PRelu_infer(omma_build *b, omma_node *n) {
    static const binary op = {OMMA_IN_NUMBER, -1, false, PRelu_fn};
    OMMA_TRY(want_types(b, n, &op));
    const omma_value *x = n->in[0], *slope = n->in[1];
    if (n->opset < 7 && slope->rank == 1 && slope->dims[0] != 1 && x->rank > 1)
        return omma_broadcast_along(b, n, &op, x->dtype, 1);
    OMMA_TRY(omma_broadcast_plan(b, n, &op, x->dtype));
    const omma_spread *p = n->param;
    if (slope->rank > x->rank || p->count != omma_value_count(x))
        return omma_bad(b, n, "the slope '%s' does not broadcast to '%s'", slope->name, x->name);
    return OMMA_OK;
}
ROW(PRelu, PRelu_infer, pair_run, 2, 2, NULL, PRelu_grad, NULL)

/* Mod: with fmod = 0 integers only, sign of the divisor; with 1 as C's fmod and %. */
static omma_status Mod_infer(omma_build *b, omma_node *n) {
    static const binary by_floor = {OMMA_IN_INT, -1, false, Mod_fn},
                        by_cut = {OMMA_IN_NUMBER, -1, false, FMod_fn};
    if (omma_node_int(n, "fmod", 0)) return infer_pair(b, n, &by_cut);
    if (omma_in(n, 0) && omma_type_in(n->in[0]->dtype, OMMA_IN_FLOAT))
        return omma_bad(b, n, "floating point needs the attribute fmod = 1");
    return infer_pair(b, n, &by_floor);
}
ROW(Mod, Mod_infer, pair_run, 2, 2, NULL, Mod_grad, NULL)

/* --- Max, Min, Sum, Mean of any number of inputs ------------------------------ */

static bool gather_piece(const omma_piece_job *j, const omma_piece *w, bool mean) {
    omma_piece_room tmp, acc;
    float wide[OMMA_PIECE];
    const omma_dtype t = j->n->in[0]->dtype;
    const bool half = t == OMMA_F16 || t == OMMA_BF16;
    const omma_dtype tw = half ? OMMA_F32 : t;
    const size_t size = omma_dtype_size(tw);
    int s;
    const void *a = omma_piece_wide(j, w, 0, &tmp, wide, &s);
    for (int64_t i = 0; i < w->n; i++)
        memcpy(acc.c + (size_t)i * size, (const char *)a + (size_t)(i * s) * size, size);
    for (int k = 1; k < j->n->n_in; k++) {
        a = omma_piece_wide(j, w, k, &tmp, wide, &s);
        apply(j, tw, w->n, &acc, 1, a, s, &acc);
    }
    if (mean && t == OMMA_F64) {
        const double k = j->n->n_in;
        Div_F64(w->n, &acc, 1, &k, 0, &acc);
    } else if (mean) {
        const float k = (float)j->n->n_in;
        Div_F32(w->n, &acc, 1, &k, 0, &acc);
    }
    if (half) omma_store_halves(t, acc.f, w->n, omma_piece_out(j, w));
    else memcpy(omma_piece_out(j, w), &acc, (size_t)w->n * size);
    return true;
}

static bool many_piece(const omma_piece_job *j, const omma_piece *w) {
    return gather_piece(j, w, false);
}
static bool mean_piece(const omma_piece_job *j, const omma_piece *w) {
    return gather_piece(j, w, true);
}
static omma_status many_run(const omma_exec *x, const omma_node *n) {
    return omma_broadcast_walk(x, n, n->n_in == 2 ? pair_piece : many_piece);
}
static omma_status Mean_run(const omma_exec *x, const omma_node *n) {
    return omma_broadcast_walk(x, n, mean_piece);
}
static double many_flops(const omma_node *n) {
    return n->out[0] ? (double)omma_value_count(n->out[0]) * n->n_in : 0;
}

#define MANY(Name, types_, kernel_, fn_, run_, grad_)              \
    static omma_status Name##_infer(omma_build *b, omma_node *n) { \
        static const binary op = {types_, kernel_, false, fn_};    \
        OMMA_TRY(want_types(b, n, &op));                           \
        return omma_broadcast_plan(b, n, &op, n->in[0]->dtype);    \
    }                                                              \
    ROW(Name, Name##_infer, run_, 1, -1, many_flops, grad_, NULL)
MANY(Max, OMMA_IN_NUMBER, OMMA_BIN_MAX, Max_fn, many_run, extreme_grad)
MANY(Min, OMMA_IN_NUMBER, OMMA_BIN_MIN, Min_fn, many_run, extreme_grad)
MANY(Sum, OMMA_IN_FLOAT, OMMA_BIN_ADD, Add_fn, many_run, Add_grad)
MANY(Mean, OMMA_IN_FLOAT, OMMA_BIN_ADD, Add_fn, Mean_run, Mean_grad)

/* cast.c - Cast and CastLike: numbers of one type as numbers of another, named by an attribute
 * (before opset 6 by a word such as "FLOAT") or by an input of which nothing but the type counts.
 * BitCast takes the same bytes for numbers of another type of that size.
 *
 * Every source type is widened without loss to one of three carriers, int64_t, uint64_t or
 * double, and narrowed from there: to integers by wrapping around (integers) or by cutting
 * toward zero and saturating (floating point; NaN gives 0), to floating point by rounding
 * once to nearest even, to bool by "is not zero" (NaN is true). No strings. */
#include <string.h>

#include "base/pool.h"
#include "op/element.h"
#include "op/field.h"
#include "op/grad.h"

/* v rounded to odd, as omma_odd_f32: a double has too few bits for all of v, so of those that
 * 24 cannot hold the last sixteen count as one. */
static float odd_integer(uint64_t v) {
    if (v < (uint64_t)1 << 48) return omma_odd_f32((double)v);
    return omma_odd_f32(0x1p16 * (double)(v >> 16 | ((v & 0xFFFF) != 0)));
}

/* --- narrowing: from carrier i (int64_t), u (uint64_t) or d (double) to a type --- */

#define FROM_INTEGERS(to, T, iexpr, uexpr)                   \
    static inline T i_##to(int64_t v) { return (T)(iexpr); } \
    static inline T u_##to(uint64_t v) { return (T)(uexpr); }

#define NARROW_INT(tag, T, min)                                                        \
    FROM_INTEGERS(tag, T, v, v)                                                        \
    static inline T d_##tag(double v) {                                                \
        const double end = (min) < 0 ? -(double)(min) : 2.0 * (double)((T)-1 / 2 + 1); \
        const T max = (T)((min) < 0 ? -((min) + 1) : -1);                              \
        return v != v ? 0 : v >= end ? max : v <= (double)(min) ? (T)(min) : (T)v;     \
    }
OMMA_SIGNED_LIST(NARROW_INT)
OMMA_UNSIGNED_LIST(NARROW_INT)

FROM_INTEGERS(BOOL, uint8_t, v != 0, v != 0)
FROM_INTEGERS(F32, float, v, v)
FROM_INTEGERS(F64, double, v, v)
FROM_INTEGERS(F16, uint16_t, omma_f32_to_f16((float)v), omma_f32_to_f16((float)v))
FROM_INTEGERS(BF16, uint16_t,
              omma_f32_to_bf16(v < 0 ? -odd_integer(0 - (uint64_t)v) : odd_integer((uint64_t)v)),
              omma_f32_to_bf16(odd_integer(v)))
static inline uint8_t d_BOOL(double v) { return v != 0; }
static inline float d_F32(double v) { return (float)v; }
static inline double d_F64(double v) { return v; }
static inline uint16_t d_F16(double v) { return omma_f32_to_f16(omma_odd_f32(v)); }
static inline uint16_t d_BF16(double v) { return omma_f32_to_bf16(omma_odd_f32(v)); }

/* --- loops: one function per source type, a case per destination -------------- */

#define TO(c, tag, T, widen)                                            \
    case OMMA_##tag:                                                    \
        for (int64_t i = 0; i < n; i++) ((T *)y)[i] = c##_##tag(widen); \
        return;
#define FROM(name, S, c, widen)                                                  \
    static void from_##name(omma_dtype to, int64_t n, const void *px, void *y) { \
        const S *x = px;                                                         \
        switch (to) {                                                            \
            TO(c, F32, float, widen)                                             \
            TO(c, F64, double, widen)                                            \
            TO(c, F16, uint16_t, widen)                                          \
            TO(c, BF16, uint16_t, widen)                                         \
            TO(c, BOOL, uint8_t, widen)                                          \
            TO(c, I8, int8_t, widen)                                             \
            TO(c, I16, int16_t, widen)                                           \
            TO(c, I32, int32_t, widen)                                           \
            TO(c, I64, int64_t, widen)                                           \
            TO(c, U8, uint8_t, widen)                                            \
            TO(c, U16, uint16_t, widen)                                          \
            TO(c, U32, uint32_t, widen)                                          \
            TO(c, U64, uint64_t, widen)                                          \
        case OMMA_NONE:                                                          \
        case OMMA_STRING: return;                                                \
        }                                                                        \
    }
FROM(F32, float, d, (double)x[i])
FROM(F64, double, d, x[i])
FROM(F16, uint16_t, d, (double)omma_f16_to_f32(x[i]))
FROM(BF16, uint16_t, d, (double)omma_bf16_to_f32(x[i]))
FROM(BOOL, uint8_t, i, x[i] != 0)
FROM(I8, int8_t, i, x[i])
FROM(I16, int16_t, i, x[i])
FROM(I32, int32_t, i, x[i])
FROM(I64, int64_t, i, x[i])
FROM(U8, uint8_t, i, x[i])
FROM(U16, uint16_t, i, x[i])
FROM(U32, uint32_t, i, x[i])
FROM(U64, uint64_t, u, x[i])

typedef void (*cast_fn)(omma_dtype to, int64_t n, const void *x, void *y);
static const cast_fn from[] = {
#define X(tag) [OMMA_##tag] = from_##tag,
    X(F32) X(F64) X(F16) X(BF16) X(BOOL) X(I8) X(I16) X(I32) X(I64) X(U8) X(U16) X(U32) X(U64)
#undef X
};

/* --- the operator ------------------------------------------------------------- */

/* The type of a word; OMMA_NONE when it is none of omma's. */
static omma_dtype type_named(const char *word) {
    static const struct {
        const char *word;
        omma_dtype type;
    } names[] = {{"FLOAT", OMMA_F32}, {"DOUBLE", OMMA_F64},    {"FLOAT16", OMMA_F16},
                 {"BOOL", OMMA_BOOL}, {"BFLOAT16", OMMA_BF16}, {"INT8", OMMA_I8},
                 {"INT16", OMMA_I16}, {"INT32", OMMA_I32},     {"INT64", OMMA_I64},
                 {"UINT8", OMMA_U8},  {"UINT16", OMMA_U16},    {"UINT32", OMMA_U32},
                 {"UINT64", OMMA_U64}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(word, names[i].word)) return names[i].type;
    return OMMA_NONE;
}

static omma_status Cast_infer(omma_build *b, omma_node *n) {
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_ANY));
    const omma_attr *a = omma_node_attr(n, "to");
    if (a && a->kind == OMMA_ATTR_STRING) {
        const omma_dtype named = type_named(a->s);
        if (!named) return omma_unsupported(b, n, "a cast to type '%s'", a->s);
        return omma_out(b, n, 0, named, n->in[0]->rank, n->in[0]->dims);
    }
    const int64_t to = omma_node_int(n, "to", OMMA_NONE);
    if (to <= 0 || to >= 32 || !omma_type_in((omma_dtype)to, OMMA_IN_ANY))
        return omma_unsupported(b, n, "a cast to type %lld (%s)", (long long)to,
                                to == OMMA_STRING ? "string" : "not one of omma's");
    return omma_out(b, n, 0, (omma_dtype)to, n->in[0]->rank, n->in[0]->dims);
}

static omma_status CastLike_infer(omma_build *b, omma_node *n) {
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_ANY));
    OMMA_TRY(omma_want(b, n, 1, OMMA_IN_ANY));
    return omma_out(b, n, 0, n->in[1]->dtype, n->in[0]->rank, n->in[0]->dims);
}

typedef struct job {
    omma_dtype from, to;
    const void *x;
    void *y;
} job;

static void part(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const void *x = omma_at(j->x, j->from, begin);
    void *y = (char *)j->y + (size_t)begin * omma_dtype_size(j->to);
    if (j->from == OMMA_F32 && j->to == OMMA_BF16) omma_store_halves(OMMA_BF16, x, end - begin, y);
    else if (j->from == OMMA_BF16 && j->to == OMMA_F32)
        omma_load_halves(OMMA_BF16, x, end - begin, y);
    else if (j->from != j->to) from[j->from](j->to, end - begin, x, y);
    else if (x != y) memcpy(y, x, (size_t)(end - begin) * omma_dtype_size(j->to));
}

static omma_status Cast_run(const omma_exec *x, const omma_node *n) {
    if (!omma_wanted(n, 0)) return OMMA_OK;
    job j = {n->in[0]->dtype, n->out[0]->dtype, n->in[0]->mem, n->out[0]->mem};
    omma_parallel(x->threads, omma_value_count(n->in[0]), OMMA_GRAIN, part, &j);
    return OMMA_OK;
}

/* The cotangent in the type of the input, which omma_grad_add sees to. */
static omma_status Cast_grad(omma_grad *g, const omma_node *n) {
    return omma_grad_add(g, n, 0, omma_grad_out(g, n, 0));
}

/* Of CastLike's second input nothing but the type counts. */
static omma_status same_place(omma_field *f, const omma_node *n) {
    (void)n;
    return omma_field_broadcast(f, 0, 0, OMMA_PATH_VALUE);
}

#define ROW(Name, inputs)                                         \
    const omma_op omma_op_##Name = {.name = #Name,                \
                                    .min_in = inputs,             \
                                    .max_in = inputs,             \
                                    .min_out = 1,                 \
                                    .max_out = 1,                 \
                                    .flags = OMMA_OP_ELEMENTWISE, \
                                    .infer = Name##_infer,        \
                                    .run = Cast_run,              \
                                    .grad = Cast_grad,            \
                                    .field = same_place};
ROW(Cast, 1)
ROW(CastLike, 2)

static omma_status BitCast_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0];
    const int64_t to = omma_node_int(n, "to", OMMA_NONE);
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_ANY));
    if (to <= 0 || to >= 32 || !omma_type_in((omma_dtype)to, OMMA_IN_ANY))
        return omma_unsupported(b, n, "a cast to type %lld", (long long)to);
    if (omma_dtype_size((omma_dtype)to) != omma_dtype_size(x->dtype))
        return omma_bad(b, n, "%s and %s differ in size", omma_dtype_name(x->dtype),
                        omma_dtype_name((omma_dtype)to));
    return omma_out(b, n, 0, (omma_dtype)to, x->rank, x->dims);
}

static omma_status BitCast_run(const omma_exec *x, const omma_node *n) {
    (void)x;
    const size_t bytes = omma_value_bytes(n->in[0]);
    if (bytes && omma_wanted(n, 0)) memmove(n->out[0]->mem, n->in[0]->mem, bytes);
    return OMMA_OK;
}

const omma_op omma_op_BitCast = {.name = "BitCast",
                                 .min_in = 1,
                                 .max_in = 1,
                                 .min_out = 1,
                                 .max_out = 1,
                                 .infer = BitCast_infer,
                                 .run = BitCast_run,
                                 .no_grad = "the bits of numbers: nothing to differentiate",
                                 .field = same_place};

/* element.h - element types for the rooms that compute number by number: sets of types,
 * the check of an input against one, and loops over types.
 *
 * Integers of every width travel as int64_t; uint64 travels as its bits, so that only a
 * comparison or a division must know. float16 and bfloat16 are computed in float, a block
 * at a time. */
#ifndef OMMA_OP_ELEMENT_H
#define OMMA_OP_ELEMENT_H

#include "op/op.h"

#define OMMA_SIGNED_LIST(X)    \
    X(I8, int8_t, INT8_MIN)    \
    X(I16, int16_t, INT16_MIN) \
    X(I32, int32_t, INT32_MIN) \
    X(I64, int64_t, INT64_MIN)
#define OMMA_UNSIGNED_LIST(X) \
    X(U8, uint8_t, 0)         \
    X(U16, uint16_t, 0)       \
    X(U32, uint32_t, 0)       \
    X(U64, uint64_t, 0)

/* Sets of types, a bit each. */
#define OMMA_BIT(t) (1u << (t))
enum {
    OMMA_IN_BOOL = OMMA_BIT(OMMA_BOOL),
    OMMA_IN_FLOAT =
        OMMA_BIT(OMMA_F16) | OMMA_BIT(OMMA_BF16) | OMMA_BIT(OMMA_F32) | OMMA_BIT(OMMA_F64),
    OMMA_IN_SIGNED =
        OMMA_BIT(OMMA_I8) | OMMA_BIT(OMMA_I16) | OMMA_BIT(OMMA_I32) | OMMA_BIT(OMMA_I64),
    OMMA_IN_UNSIGNED =
        OMMA_BIT(OMMA_U8) | OMMA_BIT(OMMA_U16) | OMMA_BIT(OMMA_U32) | OMMA_BIT(OMMA_U64),
    OMMA_IN_INT = OMMA_IN_SIGNED | OMMA_IN_UNSIGNED,
    OMMA_IN_NUMBER = OMMA_IN_FLOAT | OMMA_IN_INT,
    OMMA_IN_ANY = OMMA_IN_NUMBER | OMMA_IN_BOOL
};

enum { OMMA_GRAIN = 16384 }; /* elements a thread takes at a time in cheap loops */

static inline bool omma_type_in(omma_dtype t, unsigned set) { return t < 32 && (set >> t & 1); }

/* Input i must be there and of a type of the set. */
static inline omma_status omma_want(omma_build *b, const omma_node *n, int i, unsigned set) {
    const omma_value *v = omma_in(n, i);
    if (!v) return omma_bad(b, n, "input %d is missing", i);
    if (!omma_type_in(v->dtype, set))
        return omma_unsupported(b, n, "input %d ('%s') is of type %s", i, v->name,
                                omma_dtype_name(v->dtype));
    return OMMA_OK;
}

/* Input i must be there and of input 0's type. */
static inline omma_status omma_want_same(omma_build *b, const omma_node *n, int i) {
    const omma_value *v = omma_in(n, i);
    if (!v) return omma_bad(b, n, "input %d is missing", i);
    if (v->dtype != n->in[0]->dtype)
        return omma_bad(b, n, "input %d ('%s') is of type %s, input 0 of %s", i, v->name,
                        omma_dtype_name(v->dtype), omma_dtype_name(n->in[0]->dtype));
    return OMMA_OK;
}

/* Output i, or NULL when nobody wants it. */
static inline omma_value *omma_wanted(const omma_node *n, int i) {
    return i < n->n_out ? n->out[i] : NULL;
}

static inline const void *omma_at(const void *p, omma_dtype t, int64_t i) {
    return (const char *)p + (size_t)i * omma_dtype_size(t);
}

/* n numbers of a 16-bit float type to float and back. */
static inline void omma_load_halves(omma_dtype t, const uint16_t *x, int64_t n, float *y) {
    if (t == OMMA_F16)
        for (int64_t i = 0; i < n; i++) y[i] = omma_f16_to_f32(x[i]);
    else omma_kernels_best()->bf16_widen(n, x, y);
}

static inline void omma_store_halves(omma_dtype t, const float *x, int64_t n, uint16_t *y) {
    if (t == OMMA_F16)
        for (int64_t i = 0; i < n; i++) y[i] = omma_f32_to_f16(x[i]);
    else omma_kernels_best()->bf16_narrow(n, x, y);
}

/* Element i of an integer type or bool; uint64 as its bits. Storing wraps around. */
static inline int64_t omma_get_int(omma_dtype t, const void *p, int64_t i) {
    switch (t) {
#define X(tag, T, min) \
    case OMMA_##tag: return (int64_t)((const T *)p)[i];
        OMMA_SIGNED_LIST(X)
        OMMA_UNSIGNED_LIST(X)
#undef X
    case OMMA_BOOL: return ((const uint8_t *)p)[i] != 0;
    default: return 0;
    }
}

static inline void omma_set_int(omma_dtype t, void *p, int64_t i, int64_t v) {
    switch (t) {
#define X(tag, T, min) \
    case OMMA_##tag: ((T *)p)[i] = (T)v; return;
        OMMA_SIGNED_LIST(X)
        OMMA_UNSIGNED_LIST(X)
#undef X
    case OMMA_BOOL: ((uint8_t *)p)[i] = v != 0; return;
    default: return;
    }
}

/* The smallest and largest number of an integer type or bool; uint64 as its bits. */
static inline void omma_int_limits(omma_dtype t, int64_t *lo, int64_t *hi) {
    *lo = 0;
    *hi = 1;
    switch (t) {
#define X(tag, T, min) \
    case OMMA_##tag: *lo = min, *hi = -((int64_t)min + 1); return;
        OMMA_SIGNED_LIST(X)
#undef X
#define X(tag, T, min) \
    case OMMA_##tag: *hi = (int64_t)(T)-1; return;
        OMMA_UNSIGNED_LIST(X)
#undef X
    default: return;
    }
}

/* a < b as numbers of type t. */
static inline bool omma_int_less(omma_dtype t, int64_t a, int64_t b) {
    return t == OMMA_U64 ? (uint64_t)a < (uint64_t)b : a < b;
}

#endif

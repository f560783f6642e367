/* op.c - the helpers every room uses; see op.h. */
#include "op/op.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/pages.h"
#include "graph/scaled.h"

omma_status omma_out(omma_build *b, const omma_node *n, int i, omma_dtype t, int rank,
                     const int64_t *dims) {
    if (i >= n->n_out || !n->out[i]) return OMMA_OK;
    if (rank < 0 || rank > OMMA_MAX_RANK)
        return omma_unsupported(b, n, "an output of rank %d; omma goes up to %d", rank,
                                OMMA_MAX_RANK);
    size_t bytes;
    if (!omma_dtype_size(t))
        return omma_unsupported(b, n, "an output of type %s", omma_dtype_name(t));
    if (!omma_dims_bytes(dims, rank, omma_dtype_size(t), &bytes))
        return omma_bad(b, n, "the size of output %d overflows or is negative", i);
    omma_value *v = n->out[i];
    v->dtype = t;
    v->rank = rank;
    for (int d = 0; d < OMMA_MAX_RANK; d++) v->dims[d] = d < rank ? dims[d] : 0;
    return OMMA_OK;
}

omma_status omma_out_like(omma_build *b, const omma_node *n, int i, const omma_value *v) {
    return omma_out(b, n, i, v->dtype, v->rank, v->dims);
}

/* The numbers of input i; any says that floating ones, if whole, will do as well. */
static omma_status list_in(omma_build *b, const omma_node *n, int i, bool any, int64_t *out,
                           int max, int *count) {
    const omma_value *v = omma_in(n, i);
    *count = -1;
    if (!v) return OMMA_OK;
    if (v->dtype != OMMA_I64 && v->dtype != OMMA_I32 && !any)
        return omma_bad(b, n, "input %d ('%s') must hold integers, not %s", i, v->name,
                        omma_dtype_name(v->dtype));
    if (v->rank > 1)
        return omma_bad(b, n, "input %d ('%s') must be a list, not of rank %d", i, v->name,
                        v->rank);
    int64_t k = omma_value_count(v);
    if (k > max)
        return omma_bad(b, n, "input %d ('%s') holds %lld numbers, at most %d make sense", i,
                        v->name, (long long)k, max);
    if (!v->data && k) {
        b->wanted = v;
        return omma_unsupported(b, n,
                                "input %d ('%s') decides a shape but is computed from the data; "
                                "omma needs it to follow from the input shapes",
                                i, v->name);
    }
    for (int64_t j = 0; j < k; j++) {
        const char *p = (const char *)v->data + (size_t)j * omma_dtype_size(v->dtype);
        char copy[8];
        memcpy(copy, p, omma_dtype_size(v->dtype));
        if (v->dtype == OMMA_I64) memcpy(&out[j], copy, 8);
        else {
            const double x = omma_get_number(v->dtype, copy, 0);
            if (!(fabs(x) < 0x1p53) || x != nearbyint(x))
                return omma_bad(b, n, "input %d ('%s') holds %g, no whole number", i, v->name, x);
            out[j] = (int64_t)x;
        }
    }
    *count = (int)k;
    return OMMA_OK;
}

omma_status omma_ints_in(omma_build *b, const omma_node *n, int i, int64_t *out, int max,
                         int *count) {
    return list_in(b, n, i, false, out, max, count);
}

omma_status omma_wholes_in(omma_build *b, const omma_node *n, int i, int64_t *out, int max,
                           int *count) {
    return list_in(b, n, i, true, out, max, count);
}

omma_status omma_ints_attr(omma_build *b, const omma_node *n, const char *attr, int64_t *out,
                           int max, int *count) {
    const omma_attr *a = omma_node_attr(n, attr);
    *count = -1;
    if (!a) return OMMA_OK;
    if (a->kind == OMMA_ATTR_INT) {
        out[0] = a->i;
        *count = 1;
        return OMMA_OK;
    }
    if (a->kind != OMMA_ATTR_INTS)
        return omma_bad(b, n, "attribute '%s' must be a list of integers", attr);
    if (a->count > max)
        return omma_bad(b, n, "attribute '%s' holds %d numbers, at most %d make sense", attr,
                        a->count, max);
    for (int i = 0; i < a->count; i++) out[i] = a->ints[i];
    *count = a->count;
    return OMMA_OK;
}

omma_status omma_ints_arg(omma_build *b, const omma_node *n, int i, const char *attr, int64_t *out,
                          int max, int *count) {
    if (omma_in(n, i)) return omma_ints_in(b, n, i, out, max, count);
    return omma_ints_attr(b, n, attr, out, max, count);
}

omma_status omma_number_in(omma_build *b, const omma_node *n, int i, double *out, bool *found) {
    const omma_value *v = omma_in(n, i);
    *found = false;
    if (!v) return OMMA_OK;
    if (v->list) return omma_bad(b, n, "input %d ('%s') is a sequence, not a number", i, v->name);
    if (!v->data) {
        b->wanted = v;
        return omma_unsupported(b, n, "input %d ('%s') must be constant", i, v->name);
    }
    if (omma_value_count(v) != 1)
        return omma_bad(b, n, "input %d ('%s') must be one number", i, v->name);
    char copy[8];
    memcpy(copy, v->data, omma_dtype_size(v->dtype));
    *out = omma_get_number(v->dtype, copy, 0);
    *found = true;
    return OMMA_OK;
}

omma_status omma_axis(omma_build *b, const omma_node *n, int64_t axis, int rank, int *out) {
    if (axis < -rank || axis >= rank)
        return omma_bad(b, n, "axis %lld is outside a tensor of rank %d", (long long)axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return OMMA_OK;
}

omma_status omma_broadcast(omma_build *b, const omma_node *n, omma_value *const *v, int k,
                           int *rank, int64_t *dims) {
    *rank = 0;
    for (int i = 0; i < k; i++)
        if (v[i]->rank > *rank) *rank = v[i]->rank;
    for (int d = 0; d < *rank; d++) dims[d] = 1;
    for (int i = 0; i < k; i++) {
        int shift = *rank - v[i]->rank;
        for (int d = 0; d < v[i]->rank; d++) {
            int64_t have = dims[d + shift], want = v[i]->dims[d];
            if (have == want || want == 1) continue;
            if (have != 1)
                return omma_bad(b, n,
                                "input '%s' does not broadcast: %lld against %lld along axis %d",
                                v[i]->name, (long long)want, (long long)have, d + shift);
            dims[d + shift] = want;
        }
    }
    return OMMA_OK;
}

void *omma_param(omma_build *b, omma_node *n, size_t size) {
    void *p = omma_arena_alloc(b->arena, size);
    n->param = p;
    return p;
}

void omma_strides(const int64_t *dims, int rank, int64_t *strides) {
    int64_t s = 1;
    for (int d = rank - 1; d >= 0; d--) {
        strides[d] = s;
        s *= dims[d];
    }
}

/* --- packed weights ------------------------------------------------------------ */

typedef struct omma_packed {
    struct omma_packed *next;
    const void *data;
    const char *form;
    const omma_kernels *kern;
    size_t bytes;
    void *mem;
} packed;

static packed **find(omma_packs *in, const omma_build *b, const omma_value *v, const char *form,
                     size_t bytes, void **mem) {
    const size_t heads = sizeof in->head / sizeof *in->head;
    packed **head = &in->head[((uintptr_t)v->data * 0x9e3779b97f4a7c15u >> 32) % heads];
    *mem = NULL;
    for (packed *p = *head; p && !*mem; p = p->next)
        if (p->data == v->data && p->bytes == bytes && p->kern == b->kern && !strcmp(p->form, form))
            *mem = p->mem;
    return head;
}

/* Room for another, which all find from now on. */
static void *make(omma_packs *in, packed **head, const omma_build *b, const omma_value *v,
                  const char *form, size_t bytes) {
    packed *p = omma_arena_alloc(in->arena, sizeof *p);
    if (!p) return NULL;
    *p = (packed){.next = *head, .data = v->data, .kern = b->kern, .bytes = bytes};
    p->form = omma_arena_strndup(in->arena, form, strlen(form));
    p->mem = omma_arena_alloc(in->arena, bytes);
    if (!p->form || !p->mem) return NULL;
    *head = p;
    return p->mem;
}

void *omma_pack(omma_build *b, const omma_value *v, const char *form, size_t bytes,
                const void **from) {
    omma_packs *in = b->packs && v->lasting ? b->packs : NULL;
    packed **head = NULL;
    void *mem = NULL;
    *from = NULL;
    if (in && v->shared && in->shared) in = in->shared;
    if (in) head = find(in, b, v, form, bytes, &mem);
    if (mem) return mem;
    const void *numbers = omma_staging_read(b->staging, v);
    if (!numbers) return NULL;
    mem = in ? make(in, head, b, v, form, bytes) : omma_arena_alloc(b->arena, bytes);
    if (!mem) return NULL;
    omma_pages_expect(mem, bytes, omma_workers(b));
    *from = numbers;
    return mem;
}

void omma_pack_done(const omma_value *v) { omma_pages_give_back(v->data, omma_value_bytes(v)); }

/* --- numbers ------------------------------------------------------------------- */

static float bits_f32(uint32_t u) {
    float f;
    memcpy(&f, &u, 4);
    return f;
}

static uint32_t f32_bits(float f) {
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}

float omma_f16_to_f32(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, e = (h >> 10) & 31, m = h & 1023;
    if (e == 31) return bits_f32(sign | 0x7f800000u | m << 13);
    if (e) return bits_f32(sign | (e + 112) << 23 | m << 13);
    float f = (float)m * 0x1p-24f;
    return sign ? -f : f;
}

uint16_t omma_f32_to_f16(float f) {
    uint32_t u = f32_bits(f), sign = (u >> 16) & 0x8000, a = u & 0x7fffffff;
    if (a > 0x7f800000) return (uint16_t)(sign | 0x7e00);
    if (a >= 0x477ff000) return (uint16_t)(sign | 0x7c00); /* rounds to 65536 or is inf */
    if (a < 0x38800000) {                                  /* subnormal: count in 2^-24 */
        float r = bits_f32(a) * 0x1p24f;
        return (uint16_t)(sign | (uint32_t)lrintf(r));
    }
    uint32_t r = a + 0xfff + ((a >> 13) & 1);
    return (uint16_t)(sign | (r - 0x38000000u) >> 13);
}

float omma_bf16_to_f32(uint16_t h) { return bits_f32((uint32_t)h << 16); }

uint16_t omma_f32_to_bf16(float f) {
    uint32_t u = f32_bits(f);
    if ((u & 0x7fffffff) > 0x7f800000) return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}

/* Element i of p, which need not be aligned: constants lie in the file as they lie. */
#define AT(type) \
    (*(type *)memcpy(&(type){0}, (const char *)p + i * (int64_t)sizeof(type), sizeof(type)))

double omma_get_number(omma_dtype t, const void *p, int64_t i) {
    switch (t) {
    case OMMA_F32: return AT(float);
    case OMMA_F64: return AT(double);
    case OMMA_U8:
    case OMMA_BOOL: return AT(uint8_t);
    case OMMA_I8: return AT(int8_t);
    case OMMA_U16: return AT(uint16_t);
    case OMMA_I16: return AT(int16_t);
    case OMMA_I32: return AT(int32_t);
    case OMMA_U32: return AT(uint32_t);
    case OMMA_I64: return (double)AT(int64_t);
    case OMMA_U64: return (double)AT(uint64_t);
    case OMMA_F16: return omma_f16_to_f32(AT(uint16_t));
    case OMMA_BF16: return omma_bf16_to_f32(AT(uint16_t));
    case OMMA_NONE:
    case OMMA_STRING: break;
    }
    return 0;
}

float omma_odd_f32(double d) {
    const float f = (float)d;
    const double back = (double)f;
    if (back == d || d != d) return f;
    uint32_t u = f32_bits(f);
    if (!(u & 1)) u = (back > d) == (d > 0) ? u - 1 : u + 1;
    return bits_f32(u);
}

/* v cut toward zero into [lo, hi]; NaN gives 0. hi must be exactly representable or be
 * the next power of two, which then maps to max. */
static int64_t to_signed(double v, int bits) {
    double lim = ldexp(1, bits - 1);
    if (!(v == v)) return 0;
    int64_t max = bits == 64 ? INT64_MAX : ((int64_t)1 << (bits - 1)) - 1;
    if (v >= lim) return max;
    if (v < -lim) return -max - 1;
    return (int64_t)v;
}

static uint64_t to_unsigned(double v, int bits) {
    if (!(v == v) || v <= 0) return 0;
    if (v >= ldexp(1, bits)) return bits == 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
    return (uint64_t)v;
}

void omma_set_number(omma_dtype t, void *p, int64_t i, double v) {
    switch (t) {
    case OMMA_F32: ((float *)p)[i] = (float)v; return;
    case OMMA_F64: ((double *)p)[i] = v; return;
    case OMMA_BOOL: ((uint8_t *)p)[i] = v != 0; return;
    case OMMA_U8: ((uint8_t *)p)[i] = (uint8_t)to_unsigned(v, 8); return;
    case OMMA_I8: ((int8_t *)p)[i] = (int8_t)to_signed(v, 8); return;
    case OMMA_U16: ((uint16_t *)p)[i] = (uint16_t)to_unsigned(v, 16); return;
    case OMMA_I16: ((int16_t *)p)[i] = (int16_t)to_signed(v, 16); return;
    case OMMA_I32: ((int32_t *)p)[i] = (int32_t)to_signed(v, 32); return;
    case OMMA_U32: ((uint32_t *)p)[i] = (uint32_t)to_unsigned(v, 32); return;
    case OMMA_I64: ((int64_t *)p)[i] = to_signed(v, 64); return;
    case OMMA_U64: ((uint64_t *)p)[i] = to_unsigned(v, 64); return;
    case OMMA_F16: ((uint16_t *)p)[i] = omma_f32_to_f16(omma_odd_f32(v)); return;
    case OMMA_BF16: ((uint16_t *)p)[i] = omma_f32_to_bf16(omma_odd_f32(v)); return;
    case OMMA_NONE:
    case OMMA_STRING: return;
    }
}

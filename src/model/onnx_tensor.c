/* onnx_tensor.c - TensorProto to constant. Raw data, and packed lists of floats and
 * doubles, are used where they lie in the file; the rest (one varint per number) is
 * decoded into the arena. Numbers in a file of their own are external.c's. The bytes must be
 * exactly product(dims) * element size. */
#include <string.h>

#include "base/checked.h"
#include "model/external.h"

/* Number of TensorProto's fields. */
enum {
    DIMS = 1,
    DATA_TYPE = 2,
    FLOATS = 4,
    INT32S = 5,
    STRINGS = 6,
    INT64S = 7,
    NAME = 8,
    RAW = 9,
    DOUBLES = 10,
    UINT64S = 11,
    EXTERNAL = 13,
    LOCATION = 14
};

/* One reading: where the numbers are and of what kind. */
typedef struct tensor {
    omma_value *v;
    bool has_raw, has_ref, external; /* has_ref: a place in another file is named */
    omma_external_ref ref;
    omma_pb_field raw;
    uint32_t list;      /* the typed field in use, 0: none */
    int64_t count;      /* its numbers so far */
    omma_pb_field only; /* the single packed run, if there is just one */
    int runs;
} tensor;

static omma_status add_dim(const omma_pb *m, const omma_pb_field *f, tensor *t, uint64_t d) {
    if (t->v->rank >= OMMA_MAX_RANK)
        return omma_pb_fail(m, f, OMMA_E_UNSUPPORTED, "a tensor of more than %d dimensions",
                            OMMA_MAX_RANK);
    if (d > INT64_MAX)
        return omma_pb_fail(m, f, OMMA_E_FORMAT, "a tensor with a negative dimension");
    t->v->dims[t->v->rank++] = (int64_t)d;
    return OMMA_OK;
}

static omma_status read_dims(const omma_pb *m, const omma_pb_field *f, tensor *t) {
    if (f->wire == OMMA_PB_VARINT) return add_dim(m, f, t, f->value);
    omma_pb list;
    OMMA_TRY(omma_pb_enter(m, f, &list));
    for (;;) {
        uint64_t d;
        bool more;
        OMMA_TRY(omma_pb_packed(&list, &d, &more));
        if (!more) return OMMA_OK;
        OMMA_TRY(add_dim(m, f, t, d));
    }
}

static size_t fixed_size(uint32_t list) { return list == FLOATS ? 4 : list == DOUBLES ? 8 : 0; }

/* Count the numbers of one occurrence of a typed list. */
static omma_status count_list(const omma_pb *m, const omma_pb_field *f, tensor *t) {
    if (t->list && t->list != f->number)
        return omma_pb_fail(m, f, OMMA_E_FORMAT,
                            "a tensor whose numbers are in two different fields");
    t->list = f->number;
    t->runs++;
    t->only = *f;
    size_t size = fixed_size(f->number);
    if (f->wire != OMMA_PB_BYTES) {
        omma_pb_wire want = size == 4   ? OMMA_PB_FIXED32
                            : size == 8 ? OMMA_PB_FIXED64
                                        : OMMA_PB_VARINT;
        t->count++;
        return omma_pb_expect(m, f, want);
    }
    if (size) {
        if (f->size % size)
            return omma_pb_fail(m, f, OMMA_E_FORMAT,
                                "a list of numbers of %zu bytes that is %zu bytes long", size,
                                f->size);
        t->count += (int64_t)(f->size / size);
        return OMMA_OK;
    }
    for (size_t i = 0; i < f->size; i++) t->count += !(f->data[i] & 128);
    return OMMA_OK;
}

/* Which typed field holds this element type. */
static uint32_t list_of(omma_dtype t) {
    switch (t) {
    case OMMA_F32: return FLOATS;
    case OMMA_F64: return DOUBLES;
    case OMMA_I64: return INT64S;
    case OMMA_U32:
    case OMMA_U64: return UINT64S;
    case OMMA_I32:
    case OMMA_I16:
    case OMMA_U16:
    case OMMA_I8:
    case OMMA_U8:
    case OMMA_BOOL:
    case OMMA_F16:
    case OMMA_BF16: return INT32S;
    case OMMA_NONE:
    case OMMA_STRING: break;
    }
    return 0;
}

/* Store the low bytes of each number; message is rewound to its beginning. */
static omma_status decode_list(omma_pb message, const tensor *t, unsigned char *dst, size_t size) {
    int64_t k = 0;
    for (;;) {
        omma_pb_field f;
        bool more;
        OMMA_TRY(omma_pb_next(&message, &f, &more));
        if (!more) return OMMA_OK;
        if (f.number != t->list) continue;
        if (f.wire != OMMA_PB_BYTES) {
            memcpy(dst + (size_t)k++ * size, &f.value, size);
            continue;
        }
        if (fixed_size(t->list)) {
            if (f.size) memcpy(dst + (size_t)k * size, f.data, f.size);
            k += (int64_t)(f.size / size);
            continue;
        }
        omma_pb list;
        OMMA_TRY(omma_pb_enter(&message, &f, &list));
        for (;;) {
            uint64_t v;
            OMMA_TRY(omma_pb_packed(&list, &v, &more));
            if (!more || k == t->count) break;
            memcpy(dst + (size_t)k++ * size, &v, size);
        }
    }
}

/* Numbers in raw_data, where they lie. */
static omma_status settle_raw(omma_onnx *o, const omma_pb *m, tensor *t, size_t bytes) {
    omma_value *v = t->v;
    if (t->raw.size != bytes)
        return omma_pb_fail(m, &t->raw, OMMA_E_FORMAT,
                            "tensor '%s' should be %zu bytes by its shape but is %zu bytes",
                            v->name, bytes, t->raw.size);
    v->data = bytes ? t->raw.data : omma_arena_alloc(o->arena, 0);
    v->offset = t->raw.data - m->base;
    return OMMA_OK;
}

/* Numbers in a typed list, where they lie if they do so in one piece. */
static omma_status settle_list(omma_onnx *o, const omma_pb *m, const omma_pb_field *f,
                               omma_pb message, tensor *t, size_t bytes) {
    omma_value *v = t->v;
    int64_t count = omma_value_count(v);
    if (t->count != count || (count && t->list != list_of(v->dtype)))
        return omma_pb_fail(
            m, f, OMMA_E_FORMAT,
            "tensor '%s' should hold %lld numbers of type %s by its shape but holds %lld", v->name,
            (long long)count, omma_dtype_name(v->dtype), (long long)t->count);
    if (t->runs == 1 && fixed_size(t->list) && t->only.wire == OMMA_PB_BYTES) {
        v->data = t->only.data;
        return OMMA_OK;
    }
    unsigned char *dst = omma_arena_alloc(o->arena, bytes);
    if (!dst)
        return omma_pb_fail(m, f, OMMA_E_NOMEM, "no memory for tensor '%s' of %zu bytes", v->name,
                            bytes);
    if (count) OMMA_TRY(decode_list(message, t, dst, omma_dtype_size(v->dtype)));
    v->data = dst;
    return OMMA_OK;
}

static omma_status settle(omma_onnx *o, const omma_pb *m, const omma_pb_field *f, omma_pb message,
                          tensor *t) {
    omma_value *v = t->v;
    size_t size = omma_dtype_size(v->dtype), bytes;
    if (!size)
        return omma_pb_fail(m, f, OMMA_E_UNSUPPORTED, "tensor '%s' is of %s type %d", v->name,
                            v->dtype == OMMA_STRING ? "string" : "unknown", (int)v->dtype);
    if (!omma_dims_bytes(v->dims, v->rank, size, &bytes))
        return omma_pb_fail(m, f, OMMA_E_FORMAT, "the size of tensor '%s' overflows", v->name);
    if (t->has_raw + (t->runs > 0) + t->external > 1)
        return omma_pb_fail(m, f, OMMA_E_FORMAT,
                            "tensor '%s' has its numbers in two different fields", v->name);
    if (t->has_ref && !t->external)
        return omma_pb_fail(m, f, OMMA_E_FORMAT,
                            "tensor '%s' names another file but does not say that its numbers "
                            "are there (data_location)",
                            v->name);
    if (t->external) return omma_external_data(o, m, f, v, &t->ref, bytes);
    OMMA_TRY(t->has_raw ? settle_raw(o, m, t, bytes) : settle_list(o, m, f, message, t, bytes));
    return v->data ? OMMA_OK
                   : omma_pb_fail(m, f, OMMA_E_NOMEM, "no memory for tensor '%s'", v->name);
}

omma_status omma_onnx_tensor(omma_onnx *o, const omma_pb *m, const omma_pb_field *field,
                             omma_value *v) {
    omma_pb in;
    OMMA_TRY(omma_pb_enter(m, field, &in));
    const omma_pb message = in;
    *v = (omma_value){.name = "", .rank = 0, .offset = field->at - m->base};
    tensor t = {.v = v};
    for (;;) {
        omma_pb_field f;
        bool more;
        OMMA_TRY(omma_pb_next(&in, &f, &more));
        if (!more) break;
        switch (f.number) {
        case DIMS: OMMA_TRY(read_dims(&in, &f, &t)); break;
        case DATA_TYPE:
            OMMA_TRY(omma_pb_expect(&in, &f, OMMA_PB_VARINT));
            v->dtype = f.value < 64 ? (omma_dtype)f.value : OMMA_NONE;
            break;
        case FLOATS:
        case DOUBLES:
        case INT32S:
        case INT64S:
        case UINT64S: OMMA_TRY(count_list(&in, &f, &t)); break;
        case NAME: OMMA_TRY(omma_onnx_string(o, &in, &f, OMMA_ONNX_NAME_MAX, &v->name)); break;
        case RAW:
            OMMA_TRY(omma_pb_expect(&in, &f, OMMA_PB_BYTES));
            t.has_raw = true;
            t.raw = f;
            break;
        case EXTERNAL:
            OMMA_TRY(omma_external_entry(o, &in, &f, &t.ref));
            t.has_ref = true;
            break;
        case LOCATION:
            OMMA_TRY(omma_pb_expect(&in, &f, OMMA_PB_VARINT));
            if (f.value > 1)
                return omma_pb_fail(&in, &f, OMMA_E_FORMAT, "a tensor in an unknown place (%llu)",
                                    (unsigned long long)f.value);
            t.external = f.value == 1;
            break;
        default: break;
        }
    }
    return settle(o, m, field, message, &t);
}

omma_status omma_onnx_tensor_file(omma_tensor *out, const char *path, omma_arena *arena,
                                  omma_error *err) {
    omma_bytes file;
    OMMA_TRY(omma_bytes_map(&file, path, err));
    omma_pb m = {file.data, file.data + file.size, file.data, path, err};
    omma_pb_field whole = {
        .wire = OMMA_PB_BYTES, .data = file.data, .size = file.size, .at = file.data};
    omma_onnx o = {.arena = arena};
    omma_value v;
    omma_status s = omma_onnx_tensor(&o, &m, &whole, &v);
    if (!s) {
        v.mem = omma_arena_alloc(arena, omma_value_bytes(&v));
        if (!v.mem) s = omma_fail_at(err, OMMA_E_NOMEM, path, -1, "no memory for the tensor");
        else if (omma_value_bytes(&v)) memcpy(v.mem, v.data, omma_value_bytes(&v));
    }
    if (!s) *out = omma_value_tensor(&v);
    omma_bytes_free(&file);
    return s;
}

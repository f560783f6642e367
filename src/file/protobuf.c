/* protobuf.c - see protobuf.h. */
#include "file/protobuf.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "weights are read in place, little-endian");

static omma_status bad(const omma_pb *m, const unsigned char *at, const char *what) {
    return omma_fail_at(m->err, OMMA_E_FORMAT, m->path, at - m->base, "%s", what);
}

static omma_status varint(omma_pb *m, uint64_t *out) {
    const unsigned char *at = m->p;
    uint64_t v = 0;
    for (int shift = 0; shift < 70; shift += 7) {
        if (m->p == m->end) return bad(m, at, "the file ends inside a number");
        unsigned char c = *m->p++;
        if (shift == 63 && c > 1) return bad(m, at, "a number is longer than 64 bits");
        v |= (uint64_t)(c & 127) << shift;
        if (!(c & 128)) {
            *out = v;
            return OMMA_OK;
        }
    }
    return bad(m, at, "a number is longer than 10 bytes");
}

static omma_status fixed(omma_pb *m, const omma_pb_field *f, size_t n, uint64_t *out) {
    if ((size_t)(m->end - m->p) < n)
        return bad(m, f->at, "the file ends inside a fixed-size number");
    uint64_t v = 0;
    memcpy(&v, m->p, n);
    m->p += n;
    *out = v;
    return OMMA_OK;
}

omma_status omma_pb_next(omma_pb *m, omma_pb_field *f, bool *more) {
    *f = (omma_pb_field){.at = m->p};
    *more = m->p < m->end;
    if (!*more) return OMMA_OK;
    uint64_t key;
    OMMA_TRY(varint(m, &key));
    if (key >> 3 == 0 || key >> 3 > 0x1fffffff)
        return bad(m, f->at, "not a field of a protobuf message (field number out of range)");
    f->number = (uint32_t)(key >> 3);
    f->wire = (omma_pb_wire)(key & 7);
    switch (f->wire) {
    case OMMA_PB_VARINT: return varint(m, &f->value);
    case OMMA_PB_FIXED64: return fixed(m, f, 8, &f->value);
    case OMMA_PB_FIXED32: return fixed(m, f, 4, &f->value);
    case OMMA_PB_BYTES: {
        uint64_t size;
        OMMA_TRY(varint(m, &size));
        if (size > (uint64_t)(m->end - m->p))
            return omma_fail_at(m->err, OMMA_E_FORMAT, m->path, f->at - m->base,
                                "field %u claims %llu bytes, but only %llu are left: the file is "
                                "cut short or damaged",
                                f->number, (unsigned long long)size,
                                (unsigned long long)(m->end - m->p));
        f->data = m->p;
        f->size = (size_t)size;
        m->p += size;
        return OMMA_OK;
    }
    }
    return bad(m, f->at, "not a field of a protobuf message (unknown wire type)");
}

omma_status omma_pb_expect(const omma_pb *m, const omma_pb_field *f, omma_pb_wire wire) {
    if (f->wire == wire) return OMMA_OK;
    return omma_pb_fail(m, f, OMMA_E_FORMAT, "field %u has wire type %d, not %d as it should",
                        f->number, (int)f->wire, (int)wire);
}

omma_status omma_pb_enter(const omma_pb *m, const omma_pb_field *f, omma_pb *inner) {
    OMMA_TRY(omma_pb_expect(m, f, OMMA_PB_BYTES));
    *inner = (omma_pb){f->data, f->data + f->size, m->base, m->path, m->err};
    return OMMA_OK;
}

omma_status omma_pb_packed(omma_pb *m, uint64_t *value, bool *more) {
    *more = m->p < m->end;
    return *more ? varint(m, value) : OMMA_OK;
}

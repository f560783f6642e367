/* protobuf.h - a bounded reader of the protobuf wire format, without copies.
 *
 * A message is a run of fields; each field is a number, a wire type and a value. Nothing
 * is trusted: varints are at most 10 bytes, lengths stay inside the message, groups are
 * refused, unknown fields are skipped by the caller ignoring them. Errors carry the byte
 * offset in the file. Source: the Protocol Buffers encoding guide. */
#ifndef OMMA_FILE_PROTOBUF_H
#define OMMA_FILE_PROTOBUF_H

#include <stdbool.h>

#include "base/error.h"

typedef enum omma_pb_wire {
    OMMA_PB_VARINT = 0,
    OMMA_PB_FIXED64 = 1,
    OMMA_PB_BYTES = 2,
    OMMA_PB_FIXED32 = 5
} omma_pb_wire;

/* A message being read: [p, end) inside the file that starts at base. */
typedef struct omma_pb {
    const unsigned char *p, *end, *base;
    const char *path; /* for messages */
    omma_error *err;
} omma_pb;

typedef struct omma_pb_field {
    uint32_t number;
    omma_pb_wire wire;
    uint64_t value;            /* varint or fixed */
    const unsigned char *data; /* bytes */
    size_t size;
    const unsigned char *at; /* where the field begins */
} omma_pb_field;

/* The next field; *more false at the end of the message. Returns OMMA_OK or
 * OMMA_E_FORMAT. */
omma_status omma_pb_next(omma_pb *m, omma_pb_field *f, bool *more);

/* The message inside a bytes field; OMMA_E_FORMAT when it is of another wire type. */
omma_status omma_pb_enter(const omma_pb *m, const omma_pb_field *f, omma_pb *inner);

/* Fail at a field of this message. */
#define omma_pb_fail(m, f, status, ...) \
    omma_fail_at((m)->err, status, (m)->path, (f)->at - (m)->base, __VA_ARGS__)

/* Fail unless the field has that wire type. */
omma_status omma_pb_expect(const omma_pb *m, const omma_pb_field *f, omma_pb_wire wire);

/* The next varint of a packed list held in *m; as omma_pb_next. */
omma_status omma_pb_packed(omma_pb *m, uint64_t *value, bool *more);

#endif

/* protobuf_write.h - the protobuf wire format, written.
 *
 * A message grows as a list of pieces. Small fields are copied into pieces of their own; large
 * bytes (weights) are only pointed to and never copied, so they go from where they lie to the
 * file. A message becomes a field of another by handing over its pieces. The calls need no checks
 * one by one: out of memory is kept, and told by omma_pb_parts.
 *
 *     omma_pb_out inner = {.arena = a}, outer = {.arena = a};
 *     omma_pb_put_int(&inner, 1, 8);
 *     omma_pb_put_message(&outer, 7, &inner);
 *     OMMA_TRY(omma_pb_parts(&outer, &parts, &count, err));
 *     OMMA_TRY(omma_bytes_write_parts(path, parts, count, err));
 *
 * Source: the Protocol Buffers encoding guide. Test: tests/test_onnx_write.c. */
#ifndef OMMA_FILE_PROTOBUF_WRITE_H
#define OMMA_FILE_PROTOBUF_WRITE_H

#include "file/bytes.h"

/* A message being written; starts as {.arena = arena}, which owns what is copied. */
typedef struct omma_pb_out {
    omma_arena *arena;
    struct omma_pb_piece *first, *last;
    size_t room;   /* bytes left in last, when it is our own */
    size_t size;   /* of the message so far [bytes] */
    size_t pieces; /* their number */
    bool failed;   /* out of memory, or a size that overflows */
} omma_pb_out;

void omma_pb_put_int(omma_pb_out *o, uint32_t field, int64_t v);
void omma_pb_put_float(omma_pb_out *o, uint32_t field, float v);
void omma_pb_put_text(omma_pb_out *o, uint32_t field, const char *s);
void omma_pb_put_bytes(omma_pb_out *o, uint32_t field, const void *data, size_t size);

/* As omma_pb_put_bytes without a copy: data outlives the message. */
void omma_pb_put_lent(omma_pb_out *o, uint32_t field, const void *data, size_t size);

/* Put a message into another on the same arena; inner is empty afterwards. */
void omma_pb_put_message(omma_pb_out *o, uint32_t field, omma_pb_out *inner);

/* The whole message as pieces one behind the other, on its arena. Returns OMMA_OK or
 * OMMA_E_NOMEM. */
omma_status omma_pb_parts(const omma_pb_out *o, omma_bytes **parts, size_t *count, omma_error *err);

#endif

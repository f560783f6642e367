/* protobuf_write.c - see protobuf_write.h. */
#include "file/protobuf_write.h"

#include <string.h>

#include "base/checked.h"
#include "file/protobuf.h"

enum { FIRST = 192, NEXT = 4032 }; /* bytes in a message's first piece and in the others */

struct omma_pb_piece {
    unsigned char *data;
    size_t size;
    struct omma_pb_piece *next;
};

static struct omma_pb_piece *add_piece(omma_pb_out *o, const void *data, size_t size) {
    struct omma_pb_piece *p = o->failed ? NULL : omma_arena_alloc(o->arena, sizeof *p);
    if (!p || !omma_add(o->size, size, &o->size)) {
        o->failed = true;
        return NULL;
    }
    *p = (struct omma_pb_piece){(unsigned char *)(uintptr_t)data, size, NULL};
    if (o->last) o->last->next = p;
    else o->first = p;
    o->last = p;
    o->pieces++;
    o->room = 0;
    return p;
}

static void copy(omma_pb_out *o, const void *data, size_t n) {
    if (o->failed || !n) return;
    if (o->room < n) {
        const size_t least = o->first ? NEXT : FIRST, bytes = n > least ? n : least;
        void *own = omma_arena_alloc(o->arena, bytes);
        if (!own) o->failed = true;
        if (!own || !add_piece(o, own, 0)) return;
        o->room = bytes;
    }
    memcpy(o->last->data + o->last->size, data, n);
    o->last->size += n;
    o->room -= n;
    if (!omma_add(o->size, n, &o->size)) o->failed = true;
}

static void varint(omma_pb_out *o, uint64_t v) {
    unsigned char c[10];
    size_t n = 0;
    for (; v >= 128; v >>= 7) c[n++] = (unsigned char)(v | 128);
    c[n++] = (unsigned char)v;
    copy(o, c, n);
}

static void key(omma_pb_out *o, uint32_t field, omma_pb_wire wire) {
    varint(o, (uint64_t)field << 3 | (uint64_t)wire);
}

void omma_pb_put_int(omma_pb_out *o, uint32_t field, int64_t v) {
    key(o, field, OMMA_PB_VARINT);
    varint(o, (uint64_t)v);
}

void omma_pb_put_float(omma_pb_out *o, uint32_t field, float v) {
    key(o, field, OMMA_PB_FIXED32);
    copy(o, &v, sizeof v);
}

void omma_pb_put_bytes(omma_pb_out *o, uint32_t field, const void *data, size_t size) {
    key(o, field, OMMA_PB_BYTES);
    varint(o, size);
    copy(o, data, size);
}

void omma_pb_put_text(omma_pb_out *o, uint32_t field, const char *s) {
    omma_pb_put_bytes(o, field, s, strlen(s));
}

void omma_pb_put_lent(omma_pb_out *o, uint32_t field, const void *data, size_t size) {
    key(o, field, OMMA_PB_BYTES);
    varint(o, size);
    if (size) add_piece(o, data, size);
}

void omma_pb_put_message(omma_pb_out *o, uint32_t field, omma_pb_out *inner) {
    key(o, field, OMMA_PB_BYTES);
    varint(o, inner->size);
    if (inner->failed || !omma_add(o->size, inner->size, &o->size)) o->failed = true;
    if (inner->first && !o->failed) {
        o->last->next = inner->first; /* the key lies in a piece */
        o->last = inner->last;
        o->pieces += inner->pieces;
        o->room = inner->room;
    }
    *inner = (omma_pb_out){.arena = inner->arena};
}

omma_status omma_pb_parts(const omma_pb_out *o, omma_bytes **parts, size_t *count,
                          omma_error *err) {
    omma_bytes *list = o->failed ? NULL : omma_arena_array(o->arena, o->pieces, sizeof *list);
    if (!list) return omma_fail(err, OMMA_E_NOMEM, "no memory for a file that is written");
    size_t n = 0;
    for (const struct omma_pb_piece *p = o->first; p; p = p->next)
        list[n++] = (omma_bytes){.data = p->data, .size = p->size};
    *parts = list;
    *count = n;
    return OMMA_OK;
}

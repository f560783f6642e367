/* onnxmake.h - ONNX files made by the tests: a writer of the protobuf wire format and, on
 * top of it, the few messages of a model. It checks nothing, so broken files are as easy to
 * make as sound ones.
 *
 *     mk g = {0};                                   // a GraphProto being written
 *     mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(1, -1));
 *     mk_floats(&g, "w", (float[]){1, 2}, MK_DIMS(2));
 *     mk_op(&g, "Add", "x,w", "y", NULL);
 *     mk_port(&g, MK_OUTPUT, "y", OMMA_F32, MK_DIMS(1, -1));
 *     mk m = mk_model(&g, 17);                      // takes g's bytes
 *     omma_status s = mk_open(&model, &m, NULL, &err);
 *     mk_free(&m);
 *
 * A message is put into another by mk_sub, which frees it. Comments name the field numbers'
 * messages as onnx.proto does. */
#ifndef OMMA_TESTS_ONNXMAKE_H
#define OMMA_TESTS_ONNXMAKE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "omma/omma.h"

/* --- the wire format --------------------------------------------------------------- */

typedef struct mk {
    unsigned char *data;
    size_t size, cap;
} mk;

static inline void mk_free(mk *b) {
    free(b->data);
    *b = (mk){0};
}

static inline void mk_put(mk *b, const void *p, size_t n) {
    if (b->cap - b->size < n) {
        b->cap = (b->size + n) * 2;
        b->data = realloc(b->data, b->cap);
        if (!b->data) abort();
    }
    if (n) memcpy(b->data + b->size, p, n);
    b->size += n;
}

static inline void mk_varint(mk *b, uint64_t v) {
    unsigned char c[10];
    size_t n = 0;
    for (; v >= 128; v >>= 7) c[n++] = (unsigned char)(v | 128);
    c[n++] = (unsigned char)v;
    mk_put(b, c, n);
}

static inline void mk_key(mk *b, uint32_t field, unsigned wire) {
    mk_varint(b, (uint64_t)field << 3 | wire);
}

static inline void mk_int(mk *b, uint32_t field, int64_t v) {
    mk_key(b, field, 0);
    mk_varint(b, (uint64_t)v);
}

static inline void mk_float(mk *b, uint32_t field, float v) {
    mk_key(b, field, 5);
    mk_put(b, &v, 4);
}

static inline void mk_bytes(mk *b, uint32_t field, const void *p, size_t n) {
    mk_key(b, field, 2);
    mk_varint(b, n);
    mk_put(b, p, n);
}

static inline void mk_str(mk *b, uint32_t field, const char *s) {
    mk_bytes(b, field, s, strlen(s));
}

/* Put a message into another as a field; it is freed. */
static inline void mk_sub(mk *b, uint32_t field, mk *inner) {
    mk_bytes(b, field, inner->data, inner->size);
    mk_free(inner);
}

/* --- tensors ----------------------------------------------------------------------- */

#define MK_DIMS(...) \
    (int)(sizeof((const int64_t[]){__VA_ARGS__}) / 8), ((const int64_t[]){__VA_ARGS__})
#define MK_SCALAR 0, NULL

/* Fields of GraphProto that hold what these functions make. */
enum { MK_NODE = 1, MK_INIT = 5, MK_INPUT = 11, MK_OUTPUT = 12 };

/* A TensorProto without its numbers. */
static inline mk mk_tensor(const char *name, int dtype, int rank, const int64_t *dims) {
    mk t = {0};
    for (int i = 0; i < rank; i++) mk_int(&t, 1, dims[i]);
    mk_int(&t, 2, dtype);
    if (name) mk_str(&t, 8, name);
    return t;
}

/* An initializer with raw_data. */
static inline void mk_raw(mk *g, const char *name, omma_dtype t, const void *data, int rank,
                          const int64_t *dims) {
    mk m = mk_tensor(name, (int)t, rank, dims);
    size_t n = omma_dtype_size(t);
    for (int i = 0; i < rank; i++) n *= (size_t)dims[i];
    mk_bytes(&m, 9, data, n);
    mk_sub(g, MK_INIT, &m);
}

static inline void mk_floats(mk *g, const char *name, const float *data, int rank,
                             const int64_t *dims) {
    mk_raw(g, name, OMMA_F32, data, rank, dims);
}

static inline void mk_ints(mk *g, const char *name, const int64_t *data, int n) {
    mk_raw(g, name, OMMA_I64, data, 1, (const int64_t[]){n});
}

/* --- inputs and outputs -------------------------------------------------------------- */

/* A ValueInfoProto of a tensor; a negative dimension becomes the symbol "s<-dim>". dtype
 * OMMA_NONE leaves the type out, rank -1 the shape. */
static inline mk mk_value_info(const char *name, omma_dtype dtype, int rank, const int64_t *dims) {
    mk info = {0}, type = {0}, tensor = {0}, shape = {0};
    mk_str(&info, 1, name);
    if (dtype == OMMA_NONE && rank < 0) return info;
    if (dtype != OMMA_NONE) mk_int(&tensor, 1, (int64_t)dtype);
    for (int i = 0; i < rank; i++) {
        mk dim = {0};
        char symbol[32];
        snprintf(symbol, sizeof symbol, "s%lld", (long long)-dims[i]);
        if (dims[i] < 0) mk_str(&dim, 2, symbol);
        else mk_int(&dim, 1, dims[i]);
        mk_sub(&shape, 1, &dim);
    }
    if (rank >= 0) mk_sub(&tensor, 2, &shape);
    mk_sub(&type, 1, &tensor);
    mk_sub(&info, 2, &type);
    return info;
}

static inline void mk_port(mk *g, uint32_t field, const char *name, omma_dtype dtype, int rank,
                           const int64_t *dims) {
    mk info = mk_value_info(name, dtype, rank, dims);
    mk_sub(g, field, &info);
}

/* --- nodes --------------------------------------------------------------------------- */

/* AttributeProtos, appended to a list that mk_op takes: fields 5 of NodeProto. */
static inline void mk_attr(mk *list, const char *name, int type, mk *value) {
    mk a = {0};
    mk_str(&a, 1, name);
    mk_put(&a, value->data, value->size);
    if (type) mk_int(&a, 20, type);
    mk_free(value);
    mk_sub(list, 5, &a);
}

static inline void mk_attr_int(mk *list, const char *name, int64_t v) {
    mk a = {0};
    mk_int(&a, 3, v);
    mk_attr(list, name, 2, &a);
}

static inline void mk_attr_float(mk *list, const char *name, float v) {
    mk a = {0};
    mk_float(&a, 2, v);
    mk_attr(list, name, 1, &a);
}

static inline void mk_attr_str(mk *list, const char *name, const char *v) {
    mk a = {0};
    mk_str(&a, 4, v);
    mk_attr(list, name, 3, &a);
}

static inline void mk_attr_ints(mk *list, const char *name, const int64_t *v, int n) {
    mk a = {0};
    for (int i = 0; i < n; i++) mk_int(&a, 8, v[i]);
    mk_attr(list, name, 7, &a);
}

static inline void mk_attr_tensor(mk *list, const char *name, mk *tensor) {
    mk a = {0};
    mk_sub(&a, 5, tensor);
    mk_attr(list, name, 4, &a);
}

/* graph, a GraphProto, is freed. */
static inline void mk_attr_graph(mk *list, const char *name, mk *graph) {
    mk a = {0};
    mk_sub(&a, 6, graph);
    mk_attr(list, name, 5, &a);
}

static inline void mk_names(mk *n, uint32_t field, const char *names) {
    while (*names) {
        size_t k = strcspn(names, ",");
        mk_bytes(n, field, names, k);
        names += k;
        if (*names == ',' && !*++names) mk_bytes(n, field, "", 0);
    }
}

/* A node named "OP:OUT". in and out are names with commas between; "a,,b" leaves the second
 * out. attrs, a list or NULL, is freed. */
static inline void mk_op(mk *g, const char *op, const char *in, const char *out, mk *attrs) {
    mk n = {0};
    char name[128];
    mk_names(&n, 1, in);
    mk_names(&n, 2, out);
    snprintf(name, sizeof name, "%s:%.*s", op, (int)strcspn(out, ","), out);
    mk_str(&n, 3, name);
    mk_str(&n, 4, op);
    if (attrs) mk_put(&n, attrs->data, attrs->size), mk_free(attrs);
    mk_sub(g, MK_NODE, &n);
}

/* A Constant node that holds a tensor; tensor is freed. */
static inline void mk_constant(mk *g, const char *out, mk *tensor) {
    mk attrs = {0};
    mk_attr_tensor(&attrs, "value", tensor);
    mk_op(g, "Constant", "", out, &attrs);
}

/* --- models -------------------------------------------------------------------------- */

/* Everything of a ModelProto but the graph. */
static inline mk mk_head(int64_t opset) {
    mk m = {0}, set = {0};
    mk_int(&m, 1, 8);
    mk_str(&m, 2, "onnxmake");
    mk_str(&set, 1, "");
    mk_int(&set, 2, opset);
    mk_sub(&m, 8, &set);
    return m;
}

/* A whole ModelProto; the graph is freed. */
static inline mk mk_model(mk *graph, int64_t opset) {
    mk m = mk_head(opset);
    mk_str(graph, 2, "made");
    mk_sub(&m, 7, graph);
    return m;
}

/* --- the smallest useful model: y = x + w with x: f32 [2, n], w = [[10], [20]] --------- */

static inline void mk_small(mk *g) {
    mk_port(g, MK_INPUT, "x", OMMA_F32, MK_DIMS(2, -1));
    mk_floats(g, "w", (float[]){10, 20}, MK_DIMS(2, 1));
    mk_op(g, "Add", "x,w", "y", NULL);
}

static inline mk mk_small_end(mk *g) {
    mk_port(g, MK_OUTPUT, "y", OMMA_F32, MK_DIMS(2, -1));
    return mk_model(g, 17);
}

/* --- files ---------------------------------------------------------------------------- */

/* A new temporary file with these bytes; its path, at least 32 bytes, goes to path. */
static inline void mk_write(char *path, const mk *m) {
    strcpy(path, "/tmp/omma-test-XXXXXX");
    int fd = mkstemp(path);
    size_t done = 0;
    while (fd >= 0 && done < m->size) {
        ssize_t n = write(fd, m->data + done, m->size - done);
        if (n <= 0) break;
        done += (size_t)n;
    }
    if (fd < 0 || done < m->size) {
        perror(path);
        abort();
    }
    close(fd);
}

/* Open the bytes as a model, through a temporary file that is gone afterwards. */
static inline omma_status mk_open(omma_model **out, const mk *m, const omma_options *opt,
                                  omma_error *err) {
    char path[64];
    mk_write(path, m);
    omma_status s = omma_model_open(out, path, opt, err);
    unlink(path);
    return s;
}

#endif

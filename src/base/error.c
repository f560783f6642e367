/* error.c - fills omma_error; the texts of statuses and element types. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *omma_status_text(omma_status status) {
    switch (status) {
#define OMMA_X(name, value, text) \
    case name: return text;
        OMMA_STATUS_LIST(OMMA_X)
#undef OMMA_X
    }
    return "unknown status";
}

#define STR2(x) #x
#define STR(x) STR2(x)
const char *omma_version(void) {
    return STR(OMMA_VERSION_MAJOR) "." STR(OMMA_VERSION_MINOR) "." STR(OMMA_VERSION_PATCH);
}

/* Copy a string of any length into a fixed field, made safe to print. */
static void put(char *dst, size_t size, const char *src) {
    size_t i = 0;
    for (; src && src[i] && i + 1 < size; i++) {
        unsigned char c = (unsigned char)src[i];
        dst[i] = (char)(c < 0x20 || c == 0x7f ? '?' : c);
    }
    dst[i] = 0;
}

static void clean(char *s) {
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f) *s = '?';
}

static omma_status fill(omma_error *err, omma_status status, const char *prefix, const char *fmt,
                        va_list ap) {
    if (!err) return status;
    err->status = status;
    size_t used = strlen(prefix);
    if (used >= sizeof err->message) used = sizeof err->message - 1;
    memcpy(err->message, prefix, used);
    vsnprintf(err->message + used, sizeof err->message - used, fmt, ap);
    clean(err->message);
    return status;
}

omma_status omma_fail(omma_error *err, omma_status status, const char *fmt, ...) {
    if (err) err->offset = -1, err->file[0] = 0, err->node[0] = 0;
    va_list ap;
    va_start(ap, fmt);
    fill(err, status, "", fmt, ap);
    va_end(ap);
    return status;
}

omma_status omma_fail_at(omma_error *err, omma_status status, const char *file, int64_t offset,
                         const char *fmt, ...) {
    if (!err) return status;
    char prefix[320] = "";
    put(err->file, sizeof err->file, file);
    err->node[0] = 0;
    err->offset = offset;
    if (offset >= 0)
        snprintf(prefix, sizeof prefix, "%s%sbyte %lld: ", err->file, file ? ": " : "",
                 (long long)offset);
    else if (file) snprintf(prefix, sizeof prefix, "%s: ", err->file);
    va_list ap;
    va_start(ap, fmt);
    fill(err, status, prefix, fmt, ap);
    va_end(ap);
    return status;
}

omma_status omma_fail_node(omma_error *err, omma_status status, const char *node, const char *op,
                           const char *fmt, ...) {
    if (!err) return status;
    char prefix[256];
    put(err->node, sizeof err->node, node);
    err->offset = -1;
    err->file[0] = 0;
    if (op) snprintf(prefix, sizeof prefix, "node '%s' (%s): ", err->node, op);
    else snprintf(prefix, sizeof prefix, "'%s': ", err->node);
    va_list ap;
    va_start(ap, fmt);
    fill(err, status, prefix, fmt, ap);
    va_end(ap);
    return status;
}

void omma_error_in_file(omma_error *err, const char *file) {
    if (!err || err->file[0] || !file) return;
    put(err->file, sizeof err->file, file);
    char text[sizeof err->message];
    memcpy(text, err->message, sizeof text);
    size_t used = strlen(err->file);
    memcpy(err->message, err->file, used);
    snprintf(err->message + used, sizeof err->message - used, ": %s", text);
}

size_t omma_dtype_size(omma_dtype t) {
    switch (t) {
    case OMMA_U8:
    case OMMA_I8:
    case OMMA_BOOL: return 1;
    case OMMA_U16:
    case OMMA_I16:
    case OMMA_F16:
    case OMMA_BF16: return 2;
    case OMMA_F32:
    case OMMA_I32:
    case OMMA_U32: return 4;
    case OMMA_I64:
    case OMMA_F64:
    case OMMA_U64: return 8;
    case OMMA_NONE:
    case OMMA_STRING: break;
    }
    return 0;
}

const char *omma_dtype_name(omma_dtype t) {
    switch (t) {
    case OMMA_F32: return "float32";
    case OMMA_U8: return "uint8";
    case OMMA_I8: return "int8";
    case OMMA_U16: return "uint16";
    case OMMA_I16: return "int16";
    case OMMA_I32: return "int32";
    case OMMA_I64: return "int64";
    case OMMA_STRING: return "string";
    case OMMA_BOOL: return "bool";
    case OMMA_F16: return "float16";
    case OMMA_F64: return "float64";
    case OMMA_U32: return "uint32";
    case OMMA_U64: return "uint64";
    case OMMA_BF16: return "bfloat16";
    case OMMA_NONE: break;
    }
    return "unknown";
}

int64_t omma_tensor_count(const omma_tensor *t) {
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] < 0 || __builtin_mul_overflow(n, t->dims[i], &n)) return -1;
    return n;
}

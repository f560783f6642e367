/* json.c - trees of small JSON documents, and the only file that knows jansson. The text
 * goes through the scanner first, so jansson never meets deep nesting; what is left for it
 * to refuse is bad UTF-8, lone surrogates, zero bytes in texts, names given twice and
 * numbers beyond a double. */
#include "file/json.h"

#include <jansson.h>
#include <math.h>

#include "file/bytes.h"
#include "file/json_scan.h"

static json_t *tree_of(omma_json *v) { return (json_t *)v; }
static const json_t *node_of(const omma_json *v) { return (const json_t *)v; }
static const omma_json *value_of(const json_t *t) { return (const omma_json *)t; }

omma_status omma_json_build(omma_json **out, const void *data, size_t size, const char *file,
                            size_t base, omma_error *err) {
    size_t flags = JSON_DECODE_ANY | JSON_REJECT_DUPLICATES;
    json_error_t e;
    json_t *t = json_loadb(data, size, flags, &e);
    if (!t && json_error_code(&e) == json_error_numeric_overflow)
        t = json_loadb(data, size, flags | JSON_DECODE_INT_AS_REAL, &e);
    *out = (omma_json *)t;
    if (t) return OMMA_OK;
    if (json_error_code(&e) == json_error_out_of_memory)
        return omma_fail_at(err, OMMA_E_NOMEM, file, -1, "out of memory reading JSON");
    size_t at = base + (e.position > 0 ? (size_t)e.position : 0);
    return omma_fail_at(err, OMMA_E_FORMAT, file, (int64_t)at, "not sound JSON: %s", e.text);
}

omma_status omma_json_parse(omma_json **out, const void *data, size_t size, const char *file,
                            omma_error *err) {
    omma_json_scan s = {.data = data, .size = size, .file = file, .err = err};
    *out = NULL;
    OMMA_TRY(omma_json_skip(&s));
    OMMA_TRY(omma_json_finish(&s));
    return omma_json_build(out, data, size, file, 0, err);
}

omma_status omma_json_read(omma_json **out, const char *path, size_t max, omma_error *err) {
    omma_bytes b;
    *out = NULL;
    OMMA_TRY(omma_bytes_read(&b, path, max, err));
    omma_status status = omma_json_parse(out, b.data, b.size, path, err);
    omma_bytes_free(&b);
    return status;
}

void omma_json_free(omma_json *root) { json_decref(tree_of(root)); }

omma_json_kind omma_json_type(const omma_json *v) {
    if (!v) return OMMA_JSON_NONE;
    switch (json_typeof(node_of(v))) {
    case JSON_OBJECT: return OMMA_JSON_OBJECT;
    case JSON_ARRAY: return OMMA_JSON_ARRAY;
    case JSON_STRING: return OMMA_JSON_STRING;
    case JSON_INTEGER:
    case JSON_REAL: return OMMA_JSON_NUMBER;
    case JSON_TRUE:
    case JSON_FALSE: return OMMA_JSON_BOOL;
    case JSON_NULL: break;
    }
    return OMMA_JSON_NULL;
}

const char *omma_json_kind_name(omma_json_kind kind) {
    switch (kind) {
    case OMMA_JSON_NONE: return "nothing";
    case OMMA_JSON_NULL: return "null";
    case OMMA_JSON_BOOL: return "true or false";
    case OMMA_JSON_NUMBER: return "a number";
    case OMMA_JSON_STRING: return "a text";
    case OMMA_JSON_ARRAY: return "an array";
    case OMMA_JSON_OBJECT: return "an object";
    }
    return "unknown";
}

const omma_json *omma_json_get(const omma_json *v, const char *name) {
    return value_of(json_object_get(node_of(v), name));
}

size_t omma_json_count(const omma_json *v) {
    const json_t *t = node_of(v);
    return json_is_object(t) ? json_object_size(t) : json_array_size(t);
}

const omma_json *omma_json_at(const omma_json *v, size_t i) {
    return value_of(json_array_get(node_of(v), i));
}

/* jansson's iterator takes a pointer that is not const, and changes nothing. */
bool omma_json_next(const omma_json *object, void **iter, const char **name,
                    const omma_json **value) {
    json_t *t = (json_t *)(uintptr_t)object;
    *iter = *iter ? json_object_iter_next(t, *iter) : json_object_iter(t);
    if (!*iter) return false;
    *name = json_object_iter_key(*iter);
    *value = value_of(json_object_iter_value(*iter));
    return true;
}

bool omma_json_as_int(const omma_json *v, int64_t *out) {
    const json_t *t = node_of(v);
    if (json_is_integer(t)) {
        *out = (int64_t)json_integer_value(t);
        return true;
    }
    double d = json_real_value(t); /* 0 when t is no real */
    if (!json_is_real(t) || d != floor(d) || fabs(d) > 0x1p53) return false;
    *out = (int64_t)d;
    return true;
}

bool omma_json_as_double(const omma_json *v, double *out) {
    if (!json_is_number(node_of(v))) return false;
    *out = json_number_value(node_of(v));
    return true;
}

bool omma_json_as_bool(const omma_json *v, bool *out) {
    if (!json_is_boolean(node_of(v))) return false;
    *out = json_is_true(node_of(v));
    return true;
}

const char *omma_json_as_text(const omma_json *v) { return json_string_value(node_of(v)); }

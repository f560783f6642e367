/* safetensors.c - see safetensors.h. The header is walked with the scanner and only one entry at
 * a time becomes a tree, so that a header of 100 MB does not become gigabytes of it. */
#include "file/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/map.h"
#include "file/json_scan.h"

#define METADATA "__metadata__"
enum { LENGTH = 8, ENTRY_MIN = 40 }; /* [bytes] no sound entry of the header is shorter */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are used as they lie");

static const struct type {
    const char *name;
    omma_dtype dtype;
} types[] = {{"F64", OMMA_F64},  {"F32", OMMA_F32}, {"F16", OMMA_F16}, {"BF16", OMMA_BF16},
             {"I64", OMMA_I64},  {"I32", OMMA_I32}, {"I16", OMMA_I16}, {"I8", OMMA_I8},
             {"U64", OMMA_U64},  {"U32", OMMA_U32}, {"U16", OMMA_U16}, {"U8", OMMA_U8},
             {"BOOL", OMMA_BOOL}};
enum { TYPES = sizeof types / sizeof *types };

/* A tensor as the header has it. */
typedef struct entry {
    omma_safetensor item;
    uint64_t begin, end; /* in the numbers */
    size_t at;           /* of its name in the file */
} entry;

/* One reading. */
typedef struct reading {
    omma_safetensors *out;
    omma_json_scan scan; /* over the file up to the header's end */
    const unsigned char *numbers;
    size_t n_numbers;
    entry *entries;
    int count;
    omma_map seen;
    const char *file;
    omma_error *err;
} reading;

#define FAULT(r, at, status, ...) \
    omma_fail_at((r)->err, status, (r)->file, (int64_t)(at), __VA_ARGS__)

/* --- one entry -------------------------------------------------------------------------- */

static omma_status read_type(reading *r, entry *e, const omma_json *v) {
    const char *name = omma_json_as_text(v);
    if (!name) return FAULT(r, e->at, OMMA_E_FORMAT, "tensor '%s' has no dtype", e->item.name);
    for (int i = 0; i < TYPES; i++)
        if (!strcmp(name, types[i].name)) e->item.t.dtype = types[i].dtype;
    if (e->item.t.dtype) return OMMA_OK;
    return FAULT(r, e->at, OMMA_E_UNSUPPORTED, "tensor '%s' is of type '%.40s', which omma lacks",
                 e->item.name, name);
}

static omma_status read_shape(reading *r, entry *e, const omma_json *v) {
    const size_t rank = omma_json_count(v);
    if (omma_json_type(v) != OMMA_JSON_ARRAY)
        return FAULT(r, e->at, OMMA_E_FORMAT, "tensor '%s' has no shape", e->item.name);
    if (rank > OMMA_MAX_RANK)
        return FAULT(r, e->at, OMMA_E_UNSUPPORTED,
                     "tensor '%s' has %zu dimensions; omma goes up to %d", e->item.name, rank,
                     (int)OMMA_MAX_RANK);
    e->item.t.rank = (int)rank;
    for (size_t i = 0; i < rank; i++) {
        int64_t d;
        if (!omma_json_as_int(omma_json_at(v, i), &d) || d < 0)
            return FAULT(r, e->at, OMMA_E_FORMAT, "tensor '%s' has a dimension that is no size",
                         e->item.name);
        e->item.t.dims[i] = d;
    }
    return OMMA_OK;
}

static omma_status read_offsets(reading *r, entry *e, const omma_json *v) {
    int64_t begin, end;
    size_t bytes;
    const omma_tensor *t = &e->item.t;
    if (omma_json_type(v) != OMMA_JSON_ARRAY || omma_json_count(v) != 2 ||
        !omma_json_as_int(omma_json_at(v, 0), &begin) ||
        !omma_json_as_int(omma_json_at(v, 1), &end) || begin < 0 || end < begin)
        return FAULT(r, e->at, OMMA_E_FORMAT, "tensor '%s' has no data_offsets [begin, end]",
                     e->item.name);
    if ((uint64_t)end > r->n_numbers)
        return FAULT(r, e->at, OMMA_E_FORMAT,
                     "tensor '%s' ends at byte %" PRId64 " of the numbers; the file has %zu",
                     e->item.name, end, r->n_numbers);
    if (!omma_dims_bytes(t->dims, t->rank, omma_dtype_size(t->dtype), &bytes))
        return FAULT(r, e->at, OMMA_E_FORMAT, "the size of tensor '%s' overflows", e->item.name);
    if ((uint64_t)(end - begin) != bytes)
        return FAULT(r, e->at, OMMA_E_FORMAT,
                     "tensor '%s' should be %zu bytes by its shape but is %" PRId64, e->item.name,
                     bytes, end - begin);
    e->begin = (uint64_t)begin, e->end = (uint64_t)end;
    return OMMA_OK;
}

static omma_status read_tensor(reading *r, entry *e, const omma_json *v) {
    if (omma_json_type(v) != OMMA_JSON_OBJECT || omma_json_count(v) != 3)
        return FAULT(r, e->at, OMMA_E_FORMAT,
                     "tensor '%s' is not given by dtype, shape and data_offsets", e->item.name);
    OMMA_TRY(read_type(r, e, omma_json_get(v, "dtype")));
    OMMA_TRY(read_shape(r, e, omma_json_get(v, "shape")));
    return read_offsets(r, e, omma_json_get(v, "data_offsets"));
}

static omma_status read_notes(reading *r, size_t at, const omma_json *v) {
    omma_safetensors *out = r->out;
    if (omma_json_type(v) != OMMA_JSON_OBJECT)
        return FAULT(r, at, OMMA_E_FORMAT, METADATA " is %s, not an object",
                     omma_json_kind_name(omma_json_type(v)));
    out->notes = omma_arena_array(&out->arena, omma_json_count(v), sizeof *out->notes);
    if (!out->notes) return FAULT(r, at, OMMA_E_NOMEM, "no memory for " METADATA);
    void *iter = NULL;
    const char *key;
    for (const omma_json *item; omma_json_next(v, &iter, &key, &item);) {
        const char *text = omma_json_as_text(item);
        if (!text)
            return FAULT(r, at, OMMA_E_FORMAT, METADATA " has '%.80s', which is no text", key);
        omma_safetensors_note *n = &out->notes[out->n_notes++];
        n->key = omma_arena_strndup(&out->arena, key, strlen(key));
        n->text = omma_arena_strndup(&out->arena, text, strlen(text));
        if (!n->key || !n->text) return FAULT(r, at, OMMA_E_NOMEM, "no memory for " METADATA);
    }
    return OMMA_OK;
}

/* --- the header ------------------------------------------------------------------------- */

/* The name in the quotes at a span, on the arena, seen for the first time. */
static omma_status read_name(reading *r, omma_json_span span, const char **out) {
    omma_json *tree;
    if (span.to - span.from > 6 * OMMA_SAFETENSORS_NAME + 2)
        return FAULT(r, span.from, OMMA_E_RANGE, "a name of more than %d bytes",
                     (int)OMMA_SAFETENSORS_NAME);
    OMMA_TRY(omma_json_build(&tree, r->scan.data + span.from, span.to - span.from, r->file,
                             span.from, r->err));
    const char *text = omma_json_as_text(tree);
    const size_t n = text ? strlen(text) : 0;
    omma_status s = OMMA_OK;
    *out = NULL;
    if (n > OMMA_SAFETENSORS_NAME)
        s = FAULT(r, span.from, OMMA_E_RANGE, "a name of %zu bytes; %d are allowed", n,
                  (int)OMMA_SAFETENSORS_NAME);
    else if (text) *out = omma_arena_strndup(&r->out->arena, text, n);
    omma_json_free(tree);
    if (s) return s;
    if (*out && omma_map_get(&r->seen, *out))
        return FAULT(r, span.from, OMMA_E_FORMAT, "the name '%s' occurs twice", *out);
    if (!*out || omma_map_set(&r->seen, *out, r))
        return FAULT(r, span.from, OMMA_E_NOMEM, "no memory for a name");
    return OMMA_OK;
}

static omma_status read_member(reading *r) {
    omma_json_span name, value;
    omma_json *tree;
    entry e = {0};
    OMMA_TRY(omma_json_name(&r->scan, &name));
    omma_json_peek(&r->scan);
    value.from = r->scan.at;
    OMMA_TRY(omma_json_skip(&r->scan));
    value.to = r->scan.at;
    e.at = name.from;
    OMMA_TRY(read_name(r, name, &e.item.name));
    OMMA_TRY(omma_json_build(&tree, r->scan.data + value.from, value.to - value.from, r->file,
                             value.from, r->err));
    const bool notes = !strcmp(e.item.name, METADATA);
    omma_status s = notes ? read_notes(r, e.at, tree) : read_tensor(r, &e, tree);
    omma_json_free(tree);
    if (!s && !notes) r->entries[r->count++] = e;
    return s;
}

/* The members of the header are counted first: no more memory is taken than they can need. */
static omma_status count_members(reading *r, size_t *count) {
    omma_json_scan scan = r->scan;
    bool first = true, more;
    omma_json_span name;
    const size_t begin = scan.at;
    OMMA_TRY(omma_json_enter(&scan, '{'));
    for (*count = 0;; ++*count) {
        OMMA_TRY(omma_json_item(&scan, '}', &first, &more));
        if (!more) break;
        OMMA_TRY(omma_json_name(&scan, &name));
        OMMA_TRY(omma_json_skip(&scan));
    }
    OMMA_TRY(omma_json_finish(&scan));
    if (*count > (scan.size - begin) / ENTRY_MIN + 2 || *count > INT32_MAX)
        return FAULT(r, begin, OMMA_E_FORMAT, "%zu entries in a header of %zu bytes are too many",
                     *count, scan.size - begin);
    return OMMA_OK;
}

static omma_status read_header(reading *r, omma_arena *tmp) {
    size_t count;
    bool first = true, more;
    if (r->scan.at == r->scan.size || r->scan.data[r->scan.at] != '{')
        return FAULT(r, r->scan.at, OMMA_E_FORMAT, "the header does not begin with '{'");
    OMMA_TRY(count_members(r, &count));
    r->entries = omma_arena_array(tmp, count, sizeof *r->entries);
    if (!r->entries) return FAULT(r, r->scan.at, OMMA_E_NOMEM, "no memory for %zu tensors", count);
    OMMA_TRY(omma_json_enter(&r->scan, '{'));
    for (;;) {
        OMMA_TRY(omma_json_item(&r->scan, '}', &first, &more));
        if (!more) return OMMA_OK;
        OMMA_TRY(read_member(r));
    }
}

/* --- the numbers ------------------------------------------------------------------------ */

static int by_offset(const void *a, const void *b) {
    const entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* In the order of their offsets, each tensor begins where the one before ends. */
static omma_status check_tiling(reading *r) {
    uint64_t at = 0;
    if (r->count) qsort(r->entries, (size_t)r->count, sizeof *r->entries, by_offset);
    for (int i = 0; i < r->count; i++) {
        const entry *e = &r->entries[i];
        if (e->begin != at)
            return FAULT(r, e->at, OMMA_E_FORMAT,
                         "tensor '%s' begins at byte %" PRIu64 " of the numbers; %s at %" PRIu64,
                         e->item.name, e->begin,
                         e->begin > at ? "there is a hole before it, beginning"
                                       : "it overlaps the one before, which ends",
                         at);
        at = e->end;
    }
    if (at == r->n_numbers) return OMMA_OK;
    return FAULT(r, r->scan.size + at, OMMA_E_FORMAT, "%" PRIu64 " bytes behind the last tensor",
                 r->n_numbers - at);
}

static omma_status give_items(reading *r) {
    omma_safetensors *out = r->out;
    out->items = omma_arena_array(&out->arena, (size_t)r->count, sizeof *out->items);
    if (!out->items) return FAULT(r, -1, OMMA_E_NOMEM, "no memory for %d tensors", r->count);
    for (int i = 0; i < r->count; i++) {
        const entry *e = &r->entries[i];
        const unsigned char *p = r->numbers + e->begin;
        const size_t bytes = (size_t)(e->end - e->begin);
        omma_safetensor *item = &out->items[i];
        *item = e->item;
        item->t.data = (void *)(uintptr_t)p;
        if (bytes && (uintptr_t)p % omma_dtype_size(item->t.dtype) == 0) continue;
        item->t.data = omma_arena_alloc(&out->arena, bytes);
        if (!item->t.data)
            return FAULT(r, e->at, OMMA_E_NOMEM, "no memory for tensor '%s' of %zu bytes",
                         item->name, bytes);
        if (bytes) memcpy(item->t.data, p, bytes);
    }
    out->count = r->count;
    return OMMA_OK;
}

static omma_status read_all(omma_safetensors *out, const unsigned char *p, size_t size,
                            const char *file, omma_arena *tmp, omma_error *err) {
    uint64_t length;
    reading r = {.out = out, .file = file, .err = err};
    if (size < LENGTH) return FAULT(&r, size, OMMA_E_FORMAT, "is too short for a safetensors file");
    memcpy(&length, p, LENGTH);
    if (length > OMMA_SAFETENSORS_HEADER)
        return FAULT(&r, 0, OMMA_E_RANGE,
                     "not a safetensors file, or its header of %" PRIu64
                     " bytes is longer than the %d allowed",
                     length, (int)OMMA_SAFETENSORS_HEADER);
    if (length > size - LENGTH)
        return FAULT(&r, 0, OMMA_E_FORMAT,
                     "the header should be %" PRIu64
                     " bytes, but only %zu are left: the file is cut "
                     "short, or not a safetensors file",
                     length, size - LENGTH);
    const size_t head = LENGTH + (size_t)length;
    r.scan = (omma_json_scan){.data = p, .size = head, .at = LENGTH, .file = file, .err = err};
    r.numbers = p + head;
    r.n_numbers = size - head;
    omma_map_init(&r.seen, tmp);
    OMMA_TRY(read_header(&r, tmp));
    OMMA_TRY(check_tiling(&r));
    return give_items(&r);
}

omma_status omma_safetensors_decode(omma_safetensors *out, const void *data, size_t size,
                                    const char *name, omma_budget *budget, omma_error *err) {
    omma_arena tmp;
    *out = (omma_safetensors){0};
    omma_arena_init(&out->arena, budget);
    omma_arena_init(&tmp, budget);
    omma_status s = read_all(out, data, size, name, &tmp, err);
    omma_arena_free(&tmp);
    if (s) omma_safetensors_free(out);
    return s;
}

/* A copy of a file was charged to the budget. */
static void free_file(omma_bytes *file, omma_budget *budget) {
    if (!file->mapped) omma_budget_give(budget, file->size);
    omma_bytes_free(file);
}

omma_status omma_safetensors_open(omma_safetensors *out, const char *path, omma_budget *budget,
                                  omma_error *err) {
    omma_bytes file;
    *out = (omma_safetensors){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return omma_fail_at(err, OMMA_E_IO, path, -1, "cannot open: %s", strerror(errno));
    OMMA_TRY(omma_bytes_hold(&file, fd, budget, 0, path, err));
    omma_status s = omma_safetensors_decode(out, file.data, file.size, path, budget, err);
    if (s) free_file(&file, budget);
    else out->file = file;
    return s;
}

void omma_safetensors_free(omma_safetensors *s) {
    omma_arena_free(&s->arena);
    free_file(&s->file, s->arena.budget);
    *s = (omma_safetensors){0};
}

const omma_tensor *omma_safetensors_find(const omma_safetensors *s, const char *name) {
    for (int i = 0; i < s->count; i++)
        if (!strcmp(s->items[i].name, name)) return &s->items[i].t;
    return NULL;
}

const char *omma_safetensors_text(const omma_safetensors *s, const char *key) {
    for (int i = 0; i < s->n_notes; i++)
        if (!strcmp(s->notes[i].key, key)) return s->notes[i].text;
    return NULL;
}

/* --- writing ---------------------------------------------------------------------------- */

static const char *type_name(omma_dtype t) {
    for (int i = 0; i < TYPES; i++)
        if (types[i].dtype == t) return types[i].name;
    return NULL;
}

/* The largest elements first, so that all lie aligned; then by name. */
static int by_size(const void *a, const void *b) {
    const omma_safetensor *x = *(omma_safetensor *const *)a, *y = *(omma_safetensor *const *)b;
    const size_t sx = omma_dtype_size(x->t.dtype), sy = omma_dtype_size(y->t.dtype);
    return sx != sy ? (sx > sy ? -1 : 1) : strcmp(x->name, y->name);
}

static omma_status check_items(const omma_safetensor *items, int count, omma_arena *tmp,
                               omma_error *err) {
    omma_map seen;
    omma_map_init(&seen, tmp);
    for (int i = 0; i < count; i++) {
        const omma_safetensor *x = &items[i];
        size_t bytes;
        if (!type_name(x->t.dtype))
            return omma_fail_node(err, OMMA_E_UNSUPPORTED, x->name, NULL,
                                  "a safetensors file cannot hold %s", omma_dtype_name(x->t.dtype));
        if (strlen(x->name) > OMMA_SAFETENSORS_NAME ||
            !omma_dims_bytes(x->t.dims, x->t.rank, omma_dtype_size(x->t.dtype), &bytes))
            return omma_fail_node(err, OMMA_E_RANGE, x->name, NULL,
                                  "its name is too long or its shape overflows");
        if (omma_map_get(&seen, x->name) || !strcmp(x->name, METADATA))
            return omma_fail_node(err, OMMA_E_USAGE, x->name, NULL, "this name is taken already");
        if (omma_map_set(&seen, x->name, &seen)) return omma_fail(err, OMMA_E_NOMEM, "no memory");
    }
    return OMMA_OK;
}

static void put_tensor(omma_json_writer *w, const omma_safetensor *x, size_t begin, size_t bytes) {
    omma_json_key(w, x->name);
    omma_json_begin_object(w);
    omma_json_key(w, "dtype"), omma_json_put_text(w, type_name(x->t.dtype));
    omma_json_key(w, "shape"), omma_json_begin_array(w);
    for (int i = 0; i < x->t.rank; i++) omma_json_put_int(w, x->t.dims[i]);
    omma_json_end_array(w);
    omma_json_key(w, "data_offsets"), omma_json_begin_array(w);
    omma_json_put_int(w, (int64_t)begin), omma_json_put_int(w, (int64_t)(begin + bytes));
    omma_json_end_array(w);
    omma_json_end_object(w);
}

/* The header of items in that order; parts[i + 2] receives the numbers of item i. */
static omma_status make_header(omma_json_writer *w, omma_bytes *parts,
                               const omma_safetensor *const *items, int count,
                               const omma_safetensors_note *notes, int n_notes, omma_error *err) {
    size_t at = 0;
    omma_json_begin_object(w);
    if (n_notes) omma_json_key(w, METADATA), omma_json_begin_object(w);
    for (int i = 0; i < n_notes; i++)
        omma_json_key(w, notes[i].key), omma_json_put_text(w, notes[i].text);
    if (n_notes) omma_json_end_object(w);
    for (int i = 0; i < count; i++) {
        const omma_tensor *t = &items[i]->t;
        size_t bytes, end;
        if (!omma_dims_bytes(t->dims, t->rank, omma_dtype_size(t->dtype), &bytes) ||
            !omma_add(at, bytes, &end) || end > INT64_MAX / 2)
            return omma_fail(err, OMMA_E_RANGE, "the tensors are too large together");
        put_tensor(w, items[i], at, bytes);
        parts[i + 2] = (omma_bytes){.data = t->data, .size = bytes};
        at = end;
    }
    omma_json_end_object(w);
    return omma_json_writer_end(w, err);
}

static omma_status write_all(const char *path, const omma_safetensor *items, int count,
                             const omma_safetensors_note *notes, int n_notes, omma_arena *tmp,
                             omma_json_writer *w, omma_error *err) {
    const omma_safetensor **order = omma_arena_array(tmp, (size_t)count, sizeof *order);
    omma_bytes *parts = omma_arena_array(tmp, (size_t)count + 2, sizeof *parts);
    if (!order || !parts) return omma_fail(err, OMMA_E_NOMEM, "no memory for a header");
    OMMA_TRY(check_items(items, count, tmp, err));
    for (int i = 0; i < count; i++) order[i] = &items[i];
    if (count) qsort(order, (size_t)count, sizeof *order, by_size);
    OMMA_TRY(make_header(w, parts, order, count, notes, n_notes, err));
    const size_t length = (w->size + 7) / 8 * 8;
    if (length > OMMA_SAFETENSORS_HEADER)
        return omma_fail(err, OMMA_E_RANGE, "a header of %zu bytes is too long", length);
    unsigned char *head = omma_arena_alloc(tmp, length);
    const uint64_t coded = length;
    if (!head) return omma_fail(err, OMMA_E_NOMEM, "no memory for a header");
    memcpy(head, w->text, w->size);
    memset(head + w->size, ' ', length - w->size);
    parts[0] = (omma_bytes){.data = (const unsigned char *)&coded, .size = LENGTH};
    parts[1] = (omma_bytes){.data = head, .size = length};
    return omma_bytes_write_parts(path, parts, (size_t)count + 2, err);
}

omma_status omma_safetensors_write(const char *path, const omma_safetensor *items, int count,
                                   const omma_safetensors_note *notes, int n_notes,
                                   omma_error *err) {
    omma_arena tmp;
    omma_json_writer w;
    omma_arena_init(&tmp, NULL);
    omma_json_writer_memory(&w, false);
    omma_status s = write_all(path, items, count, notes, n_notes, &tmp, &w, err);
    omma_json_writer_free(&w);
    omma_arena_free(&tmp);
    if (s) omma_error_in_file(err, path);
    return s;
}

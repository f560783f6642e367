/* json_stream.c - the arrays of a document of any size, one element at a time. COCO's
 * training annotations are 448 MB of which the outlines of the objects are nine tenths:
 * the members nobody wants are stepped over by the scanner, the text of the others is
 * gathered into one small object, and only that becomes a tree.
 *
 * A name spelled with escapes is always kept in an element (the tree then decides), and
 * never matches an array's name. */
#include <string.h>

#include "base/arena.h"
#include "base/checked.h"
#include "file/json_scan.h"

enum { ELEMENT_MAX = 16 << 20 }; /* [bytes] */

typedef struct walk {
    omma_json_scan s;
    unsigned char *text; /* the members gathered of one element */
    size_t used, capacity;
} walk;

static omma_status too_large(walk *w, size_t at) {
    return omma_fail_at(w->s.err, OMMA_E_RANGE, w->s.file, (int64_t)at,
                        "an element holds more than %d MiB", ELEMENT_MAX >> 20);
}

static omma_status reserve(walk *w, size_t n) {
    size_t need;
    if (!omma_add(w->used, n, &need) || need > ELEMENT_MAX) return too_large(w, w->s.at);
    if (need <= w->capacity) return OMMA_OK;
    size_t capacity = need < 4096 ? 4096 : 2 * need;
    unsigned char *text = omma_mem_alloc(capacity);
    if (!text) return omma_fail(w->s.err, OMMA_E_NOMEM, "out of memory reading JSON");
    if (w->used) memcpy(text, w->text, w->used);
    omma_mem_free(w->text);
    w->text = text;
    w->capacity = capacity;
    return OMMA_OK;
}

static omma_status gather(walk *w, const void *data, size_t n) {
    OMMA_TRY(reserve(w, n));
    memcpy(w->text + w->used, data, n);
    w->used += n;
    return OMMA_OK;
}

static bool same(const walk *w, omma_json_span name, const char *want) {
    size_t n = strlen(want);
    return name.to - name.from == n + 2 && !memcmp(w->s.data + name.from + 1, want, n);
}

static bool wanted(const walk *w, omma_json_span name, const char *const *keep) {
    for (; *keep; keep++)
        if (same(w, name, *keep)) return true;
    return memchr(w->s.data + name.from, '\\', name.to - name.from);
}

/* Gather the wanted members of the object that is next, as an object of their own. */
static omma_status gather_object(walk *w, const char *const *keep) {
    w->used = 0;
    OMMA_TRY(gather(w, "{", 1));
    OMMA_TRY(omma_json_enter(&w->s, '{'));
    for (bool first = true, more;;) {
        omma_json_span name;
        OMMA_TRY(omma_json_item(&w->s, '}', &first, &more));
        if (!more) return gather(w, "}", 1);
        OMMA_TRY(omma_json_name(&w->s, &name));
        OMMA_TRY(omma_json_skip(&w->s));
        if (!wanted(w, name, keep)) continue;
        if (w->used > 1) OMMA_TRY(gather(w, ",", 1));
        OMMA_TRY(gather(w, w->s.data + name.from, w->s.at - name.from));
    }
}

/* The tree of the element that is next, without the members nobody wants. A fault in the
 * gathered text is looked for again in the file's own, for its place there. */
static omma_status element(walk *w, omma_json **out, const char *const *keep) {
    omma_json_scan *s = &w->s;
    bool partly = omma_json_peek(s) == '{' && keep;
    size_t start = s->at;
    if (!partly) {
        OMMA_TRY(omma_json_skip(s));
        if (s->at - start > ELEMENT_MAX) return too_large(w, start);
        return omma_json_build(out, s->data + start, s->at - start, s->file, start, s->err);
    }
    OMMA_TRY(gather_object(w, keep));
    omma_status status = omma_json_build(out, w->text, w->used, s->file, start, s->err);
    if (status != OMMA_E_FORMAT || s->at - start > ELEMENT_MAX) return status;
    omma_json *whole = NULL;
    omma_json_build(&whole, s->data + start, s->at - start, s->file, start, s->err);
    omma_json_free(whole);
    return status;
}

static omma_status walk_array(walk *w, omma_json_array *a) {
    omma_json_place place = {.file = w->s.file, .array = a->name ? a->name : ""};
    OMMA_TRY(omma_json_enter(&w->s, '['));
    a->found = true;
    for (bool first = true, more;; place.index++) {
        OMMA_TRY(omma_json_item(&w->s, ']', &first, &more));
        if (!more) return OMMA_OK;
        omma_json_peek(&w->s);
        place.offset = (int64_t)w->s.at;
        omma_json *value;
        OMMA_TRY(element(w, &value, a->keep));
        omma_status status = a->each(a->user, value, &place, w->s.err);
        omma_json_free(value);
        if (status) return status;
    }
}

static omma_status walk_member(walk *w, omma_json_span name, omma_json_array *arrays, int n) {
    for (int i = 0; i < n; i++) {
        omma_json_array *a = &arrays[i];
        if (!a->name || !same(w, name, a->name)) continue;
        if (a->found)
            return omma_fail_at(w->s.err, OMMA_E_FORMAT, w->s.file, (int64_t)name.from,
                                "'%s' is there twice", a->name);
        if (omma_json_peek(&w->s) != '[')
            return omma_fail_at(w->s.err, OMMA_E_FORMAT, w->s.file, (int64_t)w->s.at,
                                "'%s' is not an array", a->name);
        return walk_array(w, a);
    }
    return omma_json_skip(&w->s);
}

static omma_status walk_object(walk *w, omma_json_array *arrays, int n) {
    OMMA_TRY(omma_json_enter(&w->s, '{'));
    for (bool first = true, more;;) {
        omma_json_span name;
        OMMA_TRY(omma_json_item(&w->s, '}', &first, &more));
        if (!more) return OMMA_OK;
        OMMA_TRY(omma_json_name(&w->s, &name));
        OMMA_TRY(walk_member(w, name, arrays, n));
    }
}

static omma_status walk_document(walk *w, omma_json_array *arrays, int n) {
    bool array = n && !arrays[0].name;
    int c = omma_json_peek(&w->s);
    if (c >= 0 && c != (array ? '[' : '{'))
        return omma_fail_at(w->s.err, OMMA_E_FORMAT, w->s.file, (int64_t)w->s.at,
                            "the document is not a JSON %s", array ? "array" : "object");
    OMMA_TRY(array ? walk_array(w, arrays) : walk_object(w, arrays, n));
    return omma_json_finish(&w->s);
}

omma_status omma_json_stream(omma_json_array *arrays, int n, const void *data, size_t size,
                             const char *file, omma_error *err) {
    walk w = {.s = {.data = data, .size = size, .file = file, .err = err}};
    for (int i = 0; i < n; i++) arrays[i].found = false;
    omma_status status = walk_document(&w, arrays, n);
    omma_mem_free(w.text);
    return status;
}

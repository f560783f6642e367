/* fuzz_json.c - JSON, as a tree and as a stream. What a tree is written as must read back as
 * the same text, and what the tree's reader takes the stream's must take too. */
#include "file/json.h"
#include "fuzz.h"

static void write_value(omma_json_writer *w, const omma_json *v);

static void write_object(omma_json_writer *w, const omma_json *v) {
    void *iter = NULL;
    const char *name;
    const omma_json *member;
    omma_json_begin_object(w);
    while (omma_json_next(v, &iter, &name, &member)) {
        FUZZ_CHECK(omma_json_get(v, name) == member, "member '%s' is not found", name);
        omma_json_key(w, name);
        write_value(w, member);
    }
    omma_json_end_object(w);
}

static void write_number(omma_json_writer *w, const omma_json *v) {
    int64_t i;
    double d;
    if (omma_json_as_int(v, &i)) omma_json_put_int(w, i);
    else if (omma_json_as_double(v, &d)) omma_json_put_double(w, d);
    else FUZZ_CHECK(0, "a number that is neither");
}

static void write_value(omma_json_writer *w, const omma_json *v) {
    bool b = false;
    switch (omma_json_type(v)) {
    case OMMA_JSON_NONE: FUZZ_CHECK(0, "a value that is not there");
    case OMMA_JSON_NULL: omma_json_put_null(w); break;
    case OMMA_JSON_BOOL: omma_json_as_bool(v, &b), omma_json_put_bool(w, b); break;
    case OMMA_JSON_NUMBER: write_number(w, v); break;
    case OMMA_JSON_STRING: omma_json_put_text(w, omma_json_as_text(v)); break;
    case OMMA_JSON_ARRAY:
        omma_json_begin_array(w);
        for (size_t i = 0; i < omma_json_count(v); i++) write_value(w, omma_json_at(v, i));
        omma_json_end_array(w);
        break;
    case OMMA_JSON_OBJECT: write_object(w, v); break;
    }
}

/* The document as omma writes it; NULL when data is none. */
static char *rewrite(const void *data, size_t size, size_t *out_size) {
    omma_json *root;
    omma_error err = {0};
    if (fuzz_status(omma_json_parse(&root, data, size, "fuzz", &err), &err)) return NULL;
    omma_json_writer w;
    omma_json_writer_memory(&w, true);
    write_value(&w, root);
    omma_json_free(root);
    omma_status s = omma_json_writer_end(&w, &err);
    FUZZ_CHECK(!s, "%s", err.message);
    char *text = malloc(w.size + 1);
    FUZZ_CHECK(text, "no memory");
    memcpy(text, w.text, w.size);
    *out_size = w.size;
    omma_json_writer_free(&w);
    return text;
}

static omma_status each(void *user, const omma_json *v, const omma_json_place *place,
                        omma_error *err) {
    int64_t *next = user, offset = place->offset;
    (void)err;
    FUZZ_CHECK(place->index == *next, "element %lld, not %lld", (long long)place->index,
               (long long)*next);
    FUZZ_CHECK(offset >= 0 && omma_json_type(v) != OMMA_JSON_NONE, "nothing at %lld",
               (long long)offset);
    ++*next;
    return OMMA_OK;
}

static omma_status stream(const void *data, size_t size, bool outermost) {
    static const char *const keep[] = {"id", "bbox", NULL};
    int64_t seen[3] = {0};
    omma_json_array arrays[] = {{.name = "images", .keep = keep, .each = each, .user = &seen[0]},
                                {.name = "annotations", .each = each, .user = &seen[1]}},
                    whole = {.each = each, .user = &seen[2]};
    omma_error err = {0};
    omma_status s = outermost ? omma_json_stream(&whole, 1, data, size, "fuzz", &err)
                              : omma_json_stream(arrays, 2, data, size, "fuzz", &err);
    return fuzz_status(s, &err);
}

/* Is a member that the stream asks for something else than an array? Then it says so. */
static bool asks_in_vain(const void *data, size_t size) {
    omma_json *root;
    omma_error err;
    if (omma_json_parse(&root, data, size, "fuzz", &err)) return true;
    omma_json_kind images = omma_json_type(omma_json_get(root, "images")),
                   boxes = omma_json_type(omma_json_get(root, "annotations"));
    omma_json_free(root);
    return (images != OMMA_JSON_NONE && images != OMMA_JSON_ARRAY) ||
           (boxes != OMMA_JSON_NONE && boxes != OMMA_JSON_ARRAY);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t once_size = 0, twice_size = 0;
    char *once = rewrite(data, size, &once_size);
    omma_status object = stream(data, size, false), array = stream(data, size, true);
    if (!once) return 0;
    size_t first = 0;
    while (first < size && strchr(" \t\r\n", data[first])) first++;
    if (data[first] == '{' && !asks_in_vain(data, size))
        FUZZ_CHECK(!object, "the tree takes it, the stream does not");
    if (data[first] == '[') FUZZ_CHECK(!array, "the tree takes it, the stream does not");
    char *twice = rewrite(once, once_size, &twice_size);
    FUZZ_CHECK(twice, "what omma wrote it does not read");
    FUZZ_CHECK(once_size == twice_size && !memcmp(once, twice, once_size),
               "what omma wrote reads differently:\n%.*s\n%.*s", (int)once_size, once,
               (int)twice_size, twice);
    free(once), free(twice);
    return 0;
}

/* json.h - JSON in and out; the one wrapper of jansson.
 *
 * Three ways:
 *   tree    a small document whole: omma_json_read, then omma_json_get and omma_json_as_*.
 *   stream  the arrays of a large document, one element at a time: omma_json_stream. It
 *           holds one element in memory, whatever the size of the file.
 *   writer  results out, compact or for people: omma_json_put_*.
 *
 * Reading follows RFC 8259 and takes files as hostile: nesting is at most
 * OMMA_JSON_DEPTH, a name may appear once in an object, NaN and infinities (which
 * Python writes) are refused, and every fault carries its byte offset. Trap: a tree
 * with an integer beyond 64 bits is read again with all its numbers as doubles.
 *
 * Source: RFC 8259; https://jansson.readthedocs.io. Test: tests/test_json.c. */
#ifndef OMMA_FILE_JSON_H
#define OMMA_FILE_JSON_H

#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"

enum { OMMA_JSON_DEPTH = 64 };

/* --- tree -------------------------------------------------------------------- */

/* A value of a tree. It belongs to the tree's root. */
typedef struct omma_json omma_json;

typedef enum omma_json_kind {
    OMMA_JSON_NONE, /* a NULL pointer: nothing there */
    OMMA_JSON_NULL,
    OMMA_JSON_BOOL,
    OMMA_JSON_NUMBER,
    OMMA_JSON_STRING,
    OMMA_JSON_ARRAY,
    OMMA_JSON_OBJECT
} omma_json_kind;

/* Read a file into a tree.
 *   out   receives the root; free it with omma_json_free. NULL on error.
 *   max   the largest file to take [bytes]; a tree needs up to 30 times as much.
 * Returns OMMA_OK, OMMA_E_IO, OMMA_E_RANGE (larger than max), OMMA_E_FORMAT (with the
 * byte) or OMMA_E_NOMEM. Thread-safe. */
omma_status omma_json_read(omma_json **out, const char *path, size_t max, omma_error *err);

/* As omma_json_read, from size bytes at data; file names them in messages and may be
 * NULL. */
omma_status omma_json_parse(omma_json **out, const void *data, size_t size, const char *file,
                            omma_error *err);

/* Free a tree by its root; NULL is allowed. */
void omma_json_free(omma_json *root);

/* What v is; OMMA_JSON_NONE when v is NULL, so look-ups can be chained. */
omma_json_kind omma_json_type(const omma_json *v);

/* "an object", "a number", ..., "nothing": for messages. A static string. */
const char *omma_json_kind_name(omma_json_kind kind);

/* A member of an object, or NULL when it is not there or v is no object. */
const omma_json *omma_json_get(const omma_json *v, const char *name);

/* Elements of an array or members of an object; 0 for anything else. */
size_t omma_json_count(const omma_json *v);

/* Element i of an array, or NULL when i is too large or v is no array. */
const omma_json *omma_json_at(const omma_json *v, size_t i);

/* Walk the members of an object in the file's order: start with *iter = NULL. *name and
 * *value receive the member. Returns false when there is none left. */
bool omma_json_next(const omma_json *object, void **iter, const char **name,
                    const omma_json **value);

/* The value as a C type; false, and *out untouched, when v is NULL or does not fit. A
 * number with no fraction is an integer (5.0), up to 2^53 when it was written so. */
bool omma_json_as_int(const omma_json *v, int64_t *out);
bool omma_json_as_double(const omma_json *v, double *out);
bool omma_json_as_bool(const omma_json *v, bool *out);

/* The text of a string, valid UTF-8 without zero bytes, alive as long as the tree; NULL
 * when v is no string. */
const char *omma_json_as_text(const omma_json *v);

/* --- stream ------------------------------------------------------------------ */

/* Where an element stands, for messages. */
typedef struct omma_json_place {
    const char *file;  /* may be NULL */
    const char *array; /* its array's name, "" for the outermost */
    int64_t index;     /* in its array, from 0 */
    int64_t offset;    /* [bytes] */
} omma_json_place;

/* Called for each element; value lives until it returns. An error ends the walk. */
typedef omma_status (*omma_json_element)(void *user, const omma_json *value,
                                         const omma_json_place *place, omma_error *err);

/* An array wanted from a document.
 *   name   the member of the outermost object that holds it, or NULL when the document
 *          itself is the array.
 *   keep   the members wanted of an element that is an object, NULL at the end; the
 *          others are checked for syntax and skipped. NULL keeps all.
 *   each, user   called for each element in order.
 *   found  set to whether the array was there. */
typedef struct omma_json_array {
    const char *name;
    const char *const *keep;
    omma_json_element each;
    void *user;
    bool found;
} omma_json_array;

/* Walk a document and hand out the elements of the arrays asked for.
 *   arrays  n of them with distinct names, or one with the name NULL.
 *   data    size bytes; a mapped file.
 *   file    names it in messages; may be NULL.
 * The whole document is checked for syntax; texts in what is skipped are not checked for
 * UTF-8. Returns OMMA_OK, OMMA_E_FORMAT (with the byte), OMMA_E_RANGE (an element keeps
 * more than 16 MiB), OMMA_E_NOMEM, or what a callback returned. Thread-safe. */
omma_status omma_json_stream(omma_json_array *arrays, int n, const void *data, size_t size,
                             const char *file, omma_error *err);

/* --- writer ------------------------------------------------------------------ */

/* Writes a document to a file or to memory. The calls need no checks one by one: the
 * first fault (out of memory, disk full, a value where a key belongs) is kept, silences
 * the calls after it and comes out of omma_json_writer_end.
 *
 *     omma_json_writer w;
 *     omma_json_writer_file(&w, stdout, true);
 *     omma_json_begin_object(&w);
 *     omma_json_key(&w, "score");
 *     omma_json_put_float(&w, 0.9f);
 *     omma_json_end_object(&w);
 *     status = omma_json_writer_end(&w, &err);
 *     omma_json_writer_free(&w);
 *
 * One thread at a time per writer. */
typedef struct omma_json_writer {
    FILE *file;      /* NULL: into memory */
    char *text;      /* memory: zero-terminated after omma_json_writer_end */
    size_t size;     /* [bytes] written to text, without the zero */
    size_t capacity; /* [bytes] */
    bool pretty;
    bool has_key; /* a key waits for its value */
    bool done;    /* the outermost value is complete */
    int depth;    /* open objects and arrays */
    struct {
        char close; /* '}' or ']' */
        bool any;   /* something was written inside */
        bool lines; /* one item per line */
    } open[OMMA_JSON_DEPTH];
    omma_status status;
    const char *fault; /* what status is about */
} omma_json_writer;

/* Start a document.
 *   pretty  two spaces of indent and a line per item, arrays of plain numbers and texts
 *           on one line, and a final newline; else everything on one line. */
void omma_json_writer_file(omma_json_writer *w, FILE *file, bool pretty);
void omma_json_writer_memory(omma_json_writer *w, bool pretty);

void omma_json_begin_object(omma_json_writer *w);
void omma_json_end_object(omma_json_writer *w);
void omma_json_begin_array(omma_json_writer *w);
void omma_json_end_array(omma_json_writer *w);

/* The name of the next value in an object. The caller keeps names distinct. */
void omma_json_key(omma_json_writer *w, const char *name);

/* A text; bytes that are not UTF-8 become U+FFFD. NULL writes null. */
void omma_json_put_text(omma_json_writer *w, const char *text);
void omma_json_put_int(omma_json_writer *w, int64_t v);
void omma_json_put_bool(omma_json_writer *w, bool v);
void omma_json_put_null(omma_json_writer *w);

/* A number with the fewest digits that read back as the same double or float; NaN and
 * infinities, which JSON lacks, become null. */
void omma_json_put_double(omma_json_writer *w, double v);
void omma_json_put_float(omma_json_writer *w, float v);

/* End the document. Returns OMMA_OK, OMMA_E_IO, OMMA_E_NOMEM or OMMA_E_USAGE (something
 * is still open, or was out of place). The file is neither flushed nor closed. */
omma_status omma_json_writer_end(omma_json_writer *w, omma_error *err);

/* Free the memory; text is gone. */
void omma_json_writer_free(omma_json_writer *w);

#endif

/* npy.c - reads and writes .npy arrays; see npy.h.
 *
 *     \x93NUMPY  major minor  length      header                       data
 *     6 bytes    1     1      u16 or u32  "{'descr': '<f4', ...}  \n"
 *
 * The header is a Python dictionary of three known keys; a bounded parser reads just
 * that. Trap: its size is padded so that the data starts at a multiple of 64. */
#include "file/npy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "file/bytes.h"

#define MAGIC "\x93NUMPY"
enum { MAGIC_SIZE = 6, HEADER_MAX = 64 << 10, ALIGN = 64, GROWTH_DIGITS = 21 };

static const struct type {
    char code[3];
    omma_dtype dtype;
} types[] = {{"f4", OMMA_F32}, {"u1", OMMA_U8},  {"i1", OMMA_I8},  {"u2", OMMA_U16},
             {"i2", OMMA_I16}, {"i4", OMMA_I32}, {"i8", OMMA_I64}, {"b1", OMMA_BOOL},
             {"f2", OMMA_F16}, {"f8", OMMA_F64}, {"u4", OMMA_U32}, {"u8", OMMA_U64}};
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "arrays are written as they lie");
enum { TYPES = sizeof types / sizeof *types };

/* --- the header ----------------------------------------------------------------- */

/* A cursor over the header's text; base is where the text starts in the file. */
typedef struct text {
    const char *p;
    size_t at, end, base;
    omma_error *err;
} text;

typedef struct header {
    omma_dtype dtype;
    bool big, fortran;
    int rank;
    int64_t dims[OMMA_MAX_RANK];
    bool has_descr, has_order, has_shape;
} header;

static omma_status fault(const text *t, omma_status status, const char *what) {
    return omma_fail_at(t->err, status, NULL, (int64_t)(t->base + t->at), "npy header: %s", what);
}

static char peek(text *t) {
    while (t->at < t->end && (t->p[t->at] == ' ' || t->p[t->at] == '\n' || t->p[t->at] == '\t'))
        t->at++;
    return t->at < t->end ? t->p[t->at] : 0;
}

static bool accept(text *t, char c) {
    if (peek(t) != c) return false;
    t->at++;
    return true;
}

static omma_status expect(text *t, char c) {
    char what[] = "expected ' '";
    what[sizeof what - 3] = c;
    return accept(t, c) ? OMMA_OK : fault(t, OMMA_E_FORMAT, what);
}

static bool accept_word(text *t, const char *word) {
    size_t n = strlen(word);
    peek(t);
    if (t->end - t->at < n || memcmp(t->p + t->at, word, n)) return false;
    t->at += n;
    return true;
}

/* A quoted string without escapes, of fewer than size characters. */
static omma_status quoted(text *t, char *out, size_t size) {
    char quote = peek(t);
    if (quote != '\'' && quote != '"') return fault(t, OMMA_E_FORMAT, "expected a string");
    size_t n = 0;
    for (t->at++; t->at < t->end && t->p[t->at] != quote; t->at++) {
        if (t->p[t->at] == '\\' || n + 1 >= size)
            return fault(t, OMMA_E_FORMAT, "a string that does not belong here");
        out[n++] = t->p[t->at];
    }
    out[n] = 0;
    return t->at++ < t->end ? OMMA_OK : fault(t, OMMA_E_FORMAT, "a string without its end");
}

static omma_status dimension(text *t, int64_t *out) {
    char c = peek(t);
    if (c < '0' || c > '9') return fault(t, OMMA_E_FORMAT, "expected a dimension");
    int64_t v = 0;
    for (; t->at < t->end && t->p[t->at] >= '0' && t->p[t->at] <= '9'; t->at++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, t->p[t->at] - '0', &v))
            return fault(t, OMMA_E_RANGE, "a dimension that is too large");
    accept(t, 'L'); /* Python 2 wrote 3L */
    *out = v;
    return OMMA_OK;
}

static omma_status shape(text *t, header *h) {
    OMMA_TRY(expect(t, '('));
    while (!accept(t, ')')) {
        if (h->rank == OMMA_MAX_RANK) return fault(t, OMMA_E_RANGE, "more than 8 dimensions");
        OMMA_TRY(dimension(t, &h->dims[h->rank++]));
        if (!accept(t, ',') && peek(t) != ')') return fault(t, OMMA_E_FORMAT, "expected ','");
    }
    return OMMA_OK;
}

static omma_status descr(text *t, header *h) {
    if (peek(t) == '[') return fault(t, OMMA_E_UNSUPPORTED, "an array of records");
    char s[32];
    OMMA_TRY(quoted(t, s, sizeof s));
    h->big = s[0] == '>';
    bool marked = s[0] && strchr("<>|=", s[0]);
    for (int i = 0; i < TYPES; i++)
        if (!strcmp(s + marked, types[i].code)) h->dtype = types[i].dtype;
    if (h->dtype) return OMMA_OK;
    return omma_fail(t->err, OMMA_E_UNSUPPORTED,
                     "the array's type '%s' is not one omma has: booleans, integers and floats", s);
}

static omma_status order(text *t, header *h) {
    h->fortran = accept_word(t, "True");
    if (h->fortran || accept_word(t, "False")) return OMMA_OK;
    return fault(t, OMMA_E_FORMAT, "expected True or False");
}

static omma_status entry(text *t, header *h) {
    static const struct {
        const char *key;
        omma_status (*read)(text *, header *);
        size_t seen;
    } keys[] = {{"descr", descr, offsetof(header, has_descr)},
                {"fortran_order", order, offsetof(header, has_order)},
                {"shape", shape, offsetof(header, has_shape)}};
    char key[16];
    OMMA_TRY(quoted(t, key, sizeof key));
    OMMA_TRY(expect(t, ':'));
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (strcmp(key, keys[i].key)) continue;
        bool *seen = (bool *)((char *)h + keys[i].seen);
        if (*seen) return fault(t, OMMA_E_FORMAT, "a key that occurs twice");
        *seen = true;
        return keys[i].read(t, h);
    }
    return fault(t, OMMA_E_FORMAT, "a key other than descr, fortran_order and shape");
}

static omma_status dictionary(text *t, header *h) {
    OMMA_TRY(expect(t, '{'));
    while (!accept(t, '}')) {
        OMMA_TRY(entry(t, h));
        if (!accept(t, ',') && peek(t) != '}') return fault(t, OMMA_E_FORMAT, "expected ','");
    }
    if (peek(t)) return fault(t, OMMA_E_FORMAT, "text after its end");
    if (!h->has_descr || !h->has_order || !h->has_shape)
        return fault(t, OMMA_E_FORMAT, "needs descr, fortran_order and shape");
    return OMMA_OK;
}

/* Find the header's text; *data_at is the first byte of the data. */
static omma_status open_header(text *t, size_t *data_at, const unsigned char *p, size_t size,
                               omma_error *err) {
    if (size < MAGIC_SIZE + 6 || memcmp(p, MAGIC, MAGIC_SIZE))
        return omma_fail(err, OMMA_E_FORMAT, "is not a .npy array");
    unsigned major = p[6];
    if (major < 1 || major > 3)
        return omma_fail(err, OMMA_E_UNSUPPORTED, ".npy version %u.%u; omma reads 1.0 to 3.0",
                         major, (unsigned)p[7]);
    size_t length = (size_t)p[8] | (size_t)p[9] << 8;
    if (major > 1) length |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
    size_t base = major > 1 ? 12 : 10;
    if (length > size - base || length > HEADER_MAX)
        return omma_fail_at(err, OMMA_E_FORMAT, NULL, 8, "npy header: %zu bytes do not fit",
                            length);
    *t = (text){(const char *)p + base, 0, length, base, err};
    *data_at = base + length;
    return OMMA_OK;
}

/* --- the data ------------------------------------------------------------------- */

/* Copy one element of size bytes, reversing its bytes when they are big-endian. */
static void put(unsigned char *to, const unsigned char *from, size_t size, bool reverse) {
    if (!reverse) {
        memcpy(to, from, size);
        return;
    }
    for (size_t i = 0; i < size; i++) to[i] = from[size - 1 - i];
}

/* Walk the array in C order while the file is in Fortran order: the first index varies
 * fastest there. */
static void copy_fortran(unsigned char *to, const unsigned char *from, const header *h,
                         size_t count, size_t size) {
    size_t stride[OMMA_MAX_RANK], index[OMMA_MAX_RANK] = {0}, at = 0;
    size_t step = 1;
    for (int i = 0; i < h->rank; i++) {
        stride[i] = step;
        step *= (size_t)h->dims[i];
    }
    for (size_t n = 0; n < count; n++) {
        put(to + n * size, from + at * size, size, h->big);
        for (int i = h->rank - 1; i >= 0; i--) {
            at += stride[i];
            if (++index[i] < (size_t)h->dims[i]) break;
            at -= stride[i] * index[i];
            index[i] = 0;
        }
    }
}

static void copy(unsigned char *to, const unsigned char *from, const header *h, size_t count,
                 size_t size) {
    if (h->fortran && h->rank > 1) copy_fortran(to, from, h, count, size);
    else if (h->big && size > 1)
        for (size_t i = 0; i < count; i++) put(to + i * size, from + i * size, size, true);
    else if (count) memcpy(to, from, count * size);
    if (h->dtype == OMMA_BOOL)
        for (size_t i = 0; i < count; i++) to[i] = to[i] != 0;
}

static omma_status decode(omma_tensor *out, omma_arena *arena, const unsigned char *p, size_t size,
                          omma_error *err) {
    text t;
    size_t at = 0, bytes;
    header h = {0};
    OMMA_TRY(open_header(&t, &at, p, size, err));
    OMMA_TRY(dictionary(&t, &h));
    size_t each = omma_dtype_size(h.dtype);
    if (!omma_dims_bytes(h.dims, h.rank, each, &bytes))
        return omma_fail(err, OMMA_E_RANGE, "the array's shape overflows");
    if (bytes != size - at)
        return omma_fail_at(err, OMMA_E_FORMAT, NULL, (int64_t)at,
                            "the array's shape needs %zu bytes, the file has %zu", bytes,
                            size - at);
    unsigned char *data = omma_arena_alloc(arena, bytes);
    if (!data) return omma_fail(err, OMMA_E_NOMEM, "no memory for an array of %zu bytes", bytes);
    copy(data, p + at, &h, bytes / each, each);
    *out = (omma_tensor){.dtype = h.dtype, .rank = h.rank, .data = data};
    memcpy(out->dims, h.dims, sizeof h.dims);
    return OMMA_OK;
}

omma_status omma_npy_decode(omma_tensor *out, omma_arena *arena, const void *data, size_t size,
                            const char *name, omma_error *err) {
    omma_status status = decode(out, arena, data, size, err);
    if (status) omma_error_in_file(err, name);
    return status;
}

omma_status omma_npy_read(omma_tensor *out, omma_arena *arena, const char *path, omma_error *err) {
    omma_bytes file;
    OMMA_TRY(omma_bytes_map(&file, path, err));
    omma_status status = omma_npy_decode(out, arena, file.data, file.size, path, err);
    omma_bytes_free(&file);
    return status;
}

/* --- writing -------------------------------------------------------------------- */

static const char *code_of(omma_dtype t) {
    for (int i = 0; i < TYPES; i++)
        if (types[i].dtype == t) return types[i].code;
    return NULL;
}

/* The header's dictionary into s; returns its length. numpy leaves room for the first
 * dimension to grow to 21 digits in place. */
static size_t describe(char *s, size_t size, const omma_tensor *t, const char *code) {
    int n = snprintf(s, size, "{'descr': '%c%s', 'fortran_order': False, 'shape': (",
                     omma_dtype_size(t->dtype) == 1 ? '|' : '<', code);
    int first = 0;
    for (int i = 0; i < t->rank; i++) {
        int digits = snprintf(s + n, size - (size_t)n, "%" PRId64, t->dims[i]);
        if (i == 0) first = digits;
        n += digits;
        const char *after = i + 1 < t->rank ? ", " : t->rank == 1 ? "," : "";
        n += snprintf(s + n, size - (size_t)n, "%s", after);
    }
    n += snprintf(s + n, size - (size_t)n, "), }%*s", t->rank ? GROWTH_DIGITS - first : 0, "");
    return (size_t)n;
}

omma_status omma_npy_encode(unsigned char **out, size_t *size, omma_arena *arena,
                            const omma_tensor *t, omma_error *err) {
    const char *code = code_of(t->dtype);
    if (!code)
        return omma_fail(err, OMMA_E_UNSUPPORTED, ".npy cannot hold %s", omma_dtype_name(t->dtype));
    char words[512]; /* 8 dimensions of 19 digits and the words: at most 250 */
    size_t used = describe(words, sizeof words, t, code);
    size_t head = (MAGIC_SIZE + 4 + used + 1 + ALIGN - 1) / ALIGN * ALIGN, bytes, total;
    if (!omma_dims_bytes(t->dims, t->rank, omma_dtype_size(t->dtype), &bytes) ||
        !omma_add(head, bytes, &total))
        return omma_fail(err, OMMA_E_RANGE, "the array's shape overflows");
    unsigned char *p = omma_arena_alloc(arena, total);
    if (!p) return omma_fail(err, OMMA_E_NOMEM, "no memory for an array of %zu bytes", total);
    size_t length = head - MAGIC_SIZE - 4;
    memcpy(p, MAGIC "\1\0", MAGIC_SIZE + 2);
    p[8] = (unsigned char)(length & 255);
    p[9] = (unsigned char)(length >> 8);
    memset(p + 10, ' ', length);
    memcpy(p + 10, words, used);
    p[head - 1] = '\n';
    if (bytes) memcpy(p + head, t->data, bytes);
    *out = p;
    *size = total;
    return OMMA_OK;
}

omma_status omma_npy_write(const omma_tensor *t, const char *path, omma_error *err) {
    omma_arena arena;
    omma_arena_init(&arena, NULL);
    unsigned char *data;
    size_t size;
    omma_status status = omma_npy_encode(&data, &size, &arena, t, err);
    if (status) omma_error_in_file(err, path);
    else status = omma_bytes_write(path, data, size, err);
    omma_arena_free(&arena);
    return status;
}

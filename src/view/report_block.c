/* report_block.c - numbers and sets as blocks of bytes of a report: quantised, as runs, packed, and
 * written as base64 into elements of their own. What the bytes mean: docs/report-format.md. */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/checked.h"
#include "view/shrink.h"
#include "view/report_write.h"

enum { TAG = 64 }; /* bytes around a block, and more */

static omma_status take(unsigned char **out, int64_t n, size_t each, omma_error *err) {
    size_t bytes;
    if (n < 0 || !omma_mul((size_t)n, each, &bytes)) return omma_report_wrong("a count", err);
    *out = omma_mem_alloc_raw(bytes ? bytes : 1);
    return *out ? OMMA_OK : omma_fail(err, OMMA_E_NOMEM, "no memory for a part of the report");
}

void omma_report_drop(omma_report_block *b) {
    omma_mem_free(b->bytes);
    omma_mem_free(b->floats);
    *b = (omma_report_block){0};
}

omma_status omma_report_pack(omma_report_block *b, omma_error *err) {
    unsigned char *packed;
    size_t size;
    const omma_status status = omma_shrink(&packed, &size, b->bytes, b->unpacked, err);
    b->size = b->unpacked;
    if (status) omma_report_drop(b);
    if (status || !packed) return status;
    omma_mem_free(b->bytes);
    b->bytes = packed;
    b->size = size;
    b->packed = true;
    return OMMA_OK;
}

/* --- quantised -------------------------------------------------------------------------- */

static void find_range(omma_report_block *b, const float *v, int64_t n, bool both_ways) {
    double least = INFINITY, most = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(v[i])) continue;
        if (v[i] < least) least = v[i];
        if (v[i] > most) most = v[i];
    }
    if (!(least <= most)) least = most = 0;
    if (both_ways && least < 0) {
        most = most > -least ? most : -least;
        least = -most;
        b->levels -= b->levels % 2;
        b->power = 1;
    }
    b->min = least;
    b->max = most;
}

static unsigned level(const omma_report_block *b, double v) {
    double t = b->max > b->min ? (v - b->min) / (b->max - b->min) : 0;
    if (!(t > 0)) return 0;
    if (t > 1) t = 1;
    if (b->power == 2) t = sqrt(t);
    return (unsigned)(t * b->levels + 0.5);
}

omma_status omma_report_quantise(omma_report_block *b, const float *v, int64_t n, int levels,
                                 int power, bool both_ways, omma_error *err) {
    const bool wide = levels > 255;
    *b = (omma_report_block){
        .type = wide ? "u16" : "u8", .count = n, .levels = levels, .power = power};
    OMMA_TRY(take(&b->bytes, n, wide ? 2 : 1, err));
    b->floats = omma_mem_alloc_raw(n ? (size_t)n * sizeof *v : 1);
    if (!b->floats) {
        omma_report_drop(b);
        return omma_fail(err, OMMA_E_NOMEM, "no memory for a part of the report");
    }
    if (n) memcpy(b->floats, v, (size_t)n * sizeof *v);
    b->unpacked = (size_t)n * (wide ? 2 : 1);
    find_range(b, v, n, both_ways);
    for (int64_t i = 0; i < n; i++) {
        const unsigned q = level(b, v[i]);
        b->bytes[i] = (unsigned char)(q & 255);
        if (wide) b->bytes[n + i] = (unsigned char)(q >> 8);
    }
    return omma_report_pack(b, err);
}

omma_status omma_report_bytes(omma_report_block *b, const unsigned char *v, int64_t n,
                              omma_error *err) {
    *b = (omma_report_block){.type = "u8", .count = n};
    OMMA_TRY(take(&b->bytes, n, 1, err));
    b->unpacked = (size_t)n;
    if (n) memcpy(b->bytes, v, (size_t)n);
    return omma_report_pack(b, err);
}

/* --- runs ------------------------------------------------------------------------------- */

/* Where numbers go; without memory it only counts. */
typedef struct sink {
    unsigned char *to;
    size_t n;
} sink;

/* Seven bits a byte, lowest first, the top bit says that more follow. */
static void put_number(sink *s, uint64_t v) {
    do {
        const unsigned char byte = (unsigned char)((v & 127) | (v > 127 ? 128 : 0));
        if (s->to) s->to[s->n] = byte;
        s->n++;
        v >>= 7;
    } while (v);
}

static int64_t run_end(const uint64_t *v, int64_t from, int64_t n) {
    while (from < n) {
        const int64_t k = n - from < 64 ? n - from : 64;
        const uint64_t gone = ~omma_bits_get(v, from, k) & omma_bit_mask(k);
        if (gone) return from + __builtin_ctzll(gone);
        from += k;
    }
    return n;
}

static int64_t count_runs(const uint64_t *v, int64_t n) {
    int64_t runs = 0;
    for (int64_t at = omma_bits_next(v, 0, n); at < n; runs++)
        at = omma_bits_next(v, run_end(v, at, n), n);
    return runs;
}

/* One line: how many runs; the start of the first as a difference to that of the line before,
 * with its sign in the lowest bit; then lengths and gaps in turn. */
static void put_line(sink *s, const uint64_t *v, int64_t n, int64_t *before) {
    put_number(s, (uint64_t)count_runs(v, n));
    int64_t at = omma_bits_next(v, 0, n), end = 0;
    for (bool first = true; at < n; first = false) {
        const int64_t step = at - *before;
        if (first) put_number(s, step < 0 ? (uint64_t)-step * 2 - 1 : (uint64_t)step * 2);
        else put_number(s, (uint64_t)(at - end));
        if (first) *before = at;
        end = run_end(v, at, n);
        put_number(s, (uint64_t)(end - at));
        at = omma_bits_next(v, end, n);
    }
}

static void put_lines(sink *s, const uint64_t *v, int64_t lines, int64_t words, int64_t bits) {
    int64_t before = 0;
    for (int64_t i = 0; i < lines; i++) {
        if (v) put_line(s, v + i * words, bits, &before);
        else put_number(s, 0);
    }
}

omma_status omma_report_runs(omma_report_block *b, const uint64_t *v, int64_t lines, int64_t words,
                             int64_t bits, omma_error *err) {
    *b = (omma_report_block){
        .type = "runs", .count = lines, .bits = v, .words = words, .n_bits = bits};
    sink count = {0}, s = {0};
    put_lines(&count, v, lines, words, bits);
    OMMA_TRY(take(&s.to, (int64_t)count.n, 1, err));
    put_lines(&s, v, lines, words, bits);
    b->bytes = s.to;
    b->unpacked = s.n;
    return omma_report_pack(b, err);
}

/* --- into the file ---------------------------------------------------------------------- */

size_t omma_report_cost(const omma_report_block *b, int n) {
    size_t cost = 0;
    for (int i = 0; i < n; i++)
        if (b[i].bytes) cost += (b[i].size + 2) / 3 * 4 + TAG;
    return cost;
}

/* A script element of a type that browsers leave alone: its text is neither run nor laid out. */
static omma_status put_bytes(omma_report *r, const omma_report_block *b, omma_error *err) {
    const int head = fprintf(r->file, "<script type=\"omma/block\" id=\"b%d\">", r->blocks);
    if (head < 0) return omma_fail(err, OMMA_E_IO, "the report cannot be written");
    size_t text;
    OMMA_TRY(omma_report_base64(r->file, b->bytes, b->size, &text, err));
    if (fputs("</script>\n", r->file) < 0)
        return omma_fail(err, OMMA_E_IO, "the report cannot be written");
    r->written += (size_t)head + text + 10;
    return OMMA_OK;
}

static void put_reference(omma_report *r, const char *key, const omma_report_block *b) {
    omma_json_key(&r->json, key);
    omma_json_begin_object(&r->json);
    omma_report_say_int(r, "block", r->blocks);
    omma_report_say(r, "type", b->type);
    omma_report_say(r, "coding", b->packed ? "huffman" : "raw");
    omma_report_say_int(r, "count", b->count);
    omma_report_say_int(r, "bytes", (int64_t)b->unpacked);
    if (b->levels) {
        omma_report_say_int(r, "levels", b->levels);
        omma_report_say_number(r, "min", b->min);
        omma_report_say_number(r, "max", b->max);
        omma_report_say_int(r, "power", b->power);
    }
    omma_json_end_object(&r->json);
}

omma_status omma_report_put(omma_report *r, const char *key, omma_report_block *b,
                            omma_error *err) {
    if (!b->bytes) return OMMA_OK;
    omma_status status = OMMA_OK;
    if (r->plain) omma_report_put_plain(r, key, b);
    else status = put_bytes(r, b, err);
    if (!status && !r->plain) put_reference(r, key, b);
    r->blocks++;
    omma_report_drop(b);
    return status;
}

omma_status omma_report_base64(FILE *file, const void *data, size_t size, size_t *written,
                               omma_error *err) {
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = data;
    char text[4096];
    size_t n = 0;
    *written = 0;
    for (size_t i = 0; i < size; i += 3) {
        const size_t left = size - i;
        const unsigned v = (unsigned)p[i] << 16 | (left > 1 ? (unsigned)p[i + 1] << 8 : 0) |
                           (left > 2 ? (unsigned)p[i + 2] : 0);
        text[n++] = digit[v >> 18];
        text[n++] = digit[v >> 12 & 63];
        text[n++] = left > 1 ? digit[v >> 6 & 63] : '=';
        text[n++] = left > 2 ? digit[v & 63] : '=';
        if (n < sizeof text && left > 3) continue;
        if (fwrite(text, 1, n, file) != n)
            return omma_fail(err, OMMA_E_IO, "the report cannot be written");
        *written += n;
        n = 0;
    }
    return OMMA_OK;
}

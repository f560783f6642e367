/* lookread.h - a report read back as docs/report-format.md describes it, for tests: the JSON, and
 * the blocks with their bytes unpacked. Written from that page, not from the writer. */
#ifndef OMMA_TESTS_LOOKREAD_H
#define OMMA_TESTS_LOOKREAD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file/json.h"

typedef struct look_page {
    char *text;
    size_t size;
    omma_json *json;
} look_page;

static inline void look_fail(const char *what) {
    fprintf(stderr, "report: %s\n", what);
    abort();
}

static inline look_page look_read(FILE *f) {
    look_page p = {0};
    fseek(f, 0, SEEK_END);
    p.size = (size_t)ftell(f);
    rewind(f);
    p.text = calloc(p.size + 1, 1);
    if (fread(p.text, 1, p.size, f) != p.size) look_fail("cannot be read");
    static const char mark[] = "<script type=\"application/json\" id=\"omma-data\">";
    char *from = strstr(p.text, mark);
    if (!from) look_fail("has no data");
    from += sizeof mark - 1;
    char *to = strstr(from, "</script>");
    if (!to || omma_json_parse(&p.json, from, (size_t)(to - from), NULL, NULL))
        look_fail("its JSON is not sound");
    return p;
}

static inline void look_page_free(look_page *p) {
    omma_json_free(p->json);
    free(p->text);
}

/* Part number i of a kind, over all models; NULL: there is none. */
static inline const omma_json *look_part(const look_page *p, const char *kind, int i) {
    const omma_json *parts = omma_json_get(p->json, "parts");
    for (size_t k = 0; k < omma_json_count(parts); k++) {
        const omma_json *part = omma_json_at(parts, k);
        if (!strcmp(omma_json_as_text(omma_json_get(part, "part")), kind) && i-- == 0) return part;
    }
    return NULL;
}

static inline int64_t look_int(const omma_json *v, const char *key) {
    int64_t n;
    if (!omma_json_as_int(omma_json_get(v, key), &n)) look_fail(key);
    return n;
}

static inline double look_number(const omma_json *v, const char *key) {
    double n;
    if (!omma_json_as_double(omma_json_get(v, key), &n)) look_fail(key);
    return n;
}

static inline unsigned char *look_base64(const char *text, size_t n, size_t *size) {
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char *out = malloc(n);
    unsigned held = 0;
    int bits = 0;
    *size = 0;
    for (size_t i = 0; i < n && text[i] != '='; i++) {
        const char *d = strchr(digit, text[i]);
        if (!d || !*d) look_fail("a letter that is not base64");
        held = held << 6 | (unsigned)(d - digit);
        for (bits += 6; bits >= 8; bits -= 8) out[(*size)++] = (unsigned char)(held >> (bits - 8));
    }
    return out;
}

typedef struct look_bits {
    const unsigned char *p;
    size_t at, n;
} look_bits;

static inline unsigned look_bit(look_bits *b) {
    if (b->at / 8 >= b->n) look_fail("a packed block ends early");
    const unsigned bit = b->p[b->at / 8] >> (7 - b->at % 8) & 1;
    b->at++;
    return bit;
}

/* Bit by bit, by the definition of a canonical code. */
static inline int look_symbol(look_bits *b, const int *length) {
    unsigned code = 0, first = 0;
    for (int l = 1; l <= 15; l++) {
        code = code << 1 | look_bit(b);
        unsigned count = 0;
        for (int s = 0; s < 272; s++) count += length[s] == l;
        if (code < first + count) {
            for (int s = 0;; s++)
                if (length[s] == l && first++ == code) return s;
        }
        first = (first + count) << 1;
    }
    look_fail("a code that is none");
    return 0;
}

static inline unsigned char *look_unpack(const unsigned char *packed, size_t n, size_t size) {
    int length[272];
    if (n < 136) look_fail("a packed block without a head");
    for (int s = 0; s < 272; s++) length[s] = packed[s / 2] >> s % 2 * 4 & 15;
    look_bits b = {packed + 136, 0, n - 136};
    unsigned char *out = calloc(size ? size : 1, 1);
    for (size_t at = 0; at < size;) {
        const int s = look_symbol(&b, length);
        if (s < 256) {
            out[at++] = (unsigned char)s;
            continue;
        }
        size_t run = 0;
        for (int i = 0; i < s - 256; i++) run = run << 1 | look_bit(&b);
        at += ((size_t)1 << (s - 256)) + run;
        if (at > size) look_fail("a run beyond the end");
    }
    return out;
}

/* The bytes of a block, on the heap. */
static inline unsigned char *look_block(const look_page *p, const omma_json *ref, size_t *size) {
    char mark[80];
    snprintf(mark, sizeof mark, "<script type=\"omma/block\" id=\"b%d\">",
             (int)look_int(ref, "block"));
    const char *from = strstr(p->text, mark);
    if (!from) look_fail("a block is missing");
    from += strlen(mark);
    size_t n;
    unsigned char *raw = look_base64(from, (size_t)(strstr(from, "</script>") - from), &n);
    *size = (size_t)look_int(ref, "bytes");
    if (!strcmp(omma_json_as_text(omma_json_get(ref, "coding")), "raw")) {
        if (n != *size) look_fail("a raw block of another size");
        return raw;
    }
    unsigned char *out = look_unpack(raw, n, *size);
    free(raw);
    return out;
}

/* A block's numbers by its scale, on the heap. */
static inline float *look_numbers(const look_page *p, const omma_json *ref) {
    size_t size;
    unsigned char *b = look_block(p, ref, &size);
    const int64_t n = look_int(ref, "count"), levels = look_int(ref, "levels");
    const double min = look_number(ref, "min"), max = look_number(ref, "max");
    float *out = malloc((size_t)n * sizeof *out + 1);
    for (int64_t i = 0; i < n; i++) {
        unsigned q = 0;
        for (size_t k = 0; k < size / (size_t)n; k++)
            q |= (unsigned)b[k * (size_t)n + (size_t)i] << 8 * k;
        double t = (double)q / (double)levels;
        if (look_int(ref, "power") == 2) t *= t;
        out[i] = (float)(min + (max - min) * t);
    }
    free(b);
    return out;
}

static inline uint64_t look_varint(const unsigned char *b, size_t n, size_t *at) {
    uint64_t v = 0;
    for (int shift = 0;; shift += 7) {
        if (*at >= n) look_fail("runs end early");
        v |= (uint64_t)(b[*at] & 127) << shift;
        if (!(b[(*at)++] & 128)) return v;
    }
}

/* Lines of runs as a byte for each place: [lines, bits], on the heap. */
static inline unsigned char *look_runs(const look_page *p, const omma_json *ref, int64_t bits) {
    size_t size, at = 0;
    unsigned char *b = look_block(p, ref, &size);
    const int64_t lines = look_int(ref, "count");
    unsigned char *out = calloc((size_t)(lines * bits) + 1, 1);
    int64_t before = 0;
    for (int64_t i = 0; i < lines; i++) {
        int64_t end = 0;
        const int64_t runs = (int64_t)look_varint(b, size, &at);
        for (int64_t k = 0; k < runs; k++) {
            const uint64_t v = look_varint(b, size, &at);
            const int64_t from = k       ? end + (int64_t)v
                                 : v & 1 ? before - (int64_t)(v / 2) - 1
                                         : before + (int64_t)(v / 2);
            if (!k) before = from;
            end = from + (int64_t)look_varint(b, size, &at);
            if (from < 0 || end > bits) look_fail("a run beyond its line");
            memset(out + i * bits + from, 1, (size_t)(end - from));
        }
    }
    if (at != size) look_fail("more bytes than runs");
    free(b);
    return out;
}

#endif

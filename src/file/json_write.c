/* json_write.c - JSON out, token by token, to a file or to memory. Needs no tree and no
 * library. Numbers are written with the fewest digits that read back the same, with a
 * point whatever the locale; texts leave as valid UTF-8 whatever came in. */
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/checked.h"
#include "file/json.h"

typedef omma_json_writer writer;

static void fault(writer *w, omma_status status, const char *what) {
    if (w->status) return;
    w->status = status;
    w->fault = what;
}

/* Room for n bytes and a final zero. */
static bool reserve(writer *w, size_t n) {
    size_t need;
    if (!omma_add(w->size, n, &need) || !omma_add(need, 1, &need)) return false;
    if (need <= w->capacity) return true;
    size_t capacity = need < 512 ? 1024 : need;
    if (!omma_mul(capacity, 2, &capacity)) return false;
    char *text = omma_mem_alloc(capacity);
    if (!text) return false;
    if (w->size) memcpy(text, w->text, w->size);
    omma_mem_free(w->text);
    w->text = text;
    w->capacity = capacity;
    return true;
}

static void put(writer *w, const char *s, size_t n) {
    if (w->status) return;
    if (w->file) {
        if (fwrite(s, 1, n, w->file) != n) fault(w, OMMA_E_IO, "writing JSON failed");
    } else if (!reserve(w, n)) {
        fault(w, OMMA_E_NOMEM, "out of memory writing JSON");
    } else {
        memcpy(w->text + w->size, s, n);
        w->size += n;
    }
}

static void put_line(writer *w, int depth) {
    static const char spaces[2 * OMMA_JSON_DEPTH + 1] =
        "                                                                "
        "                                                                ";
    put(w, "\n", 1);
    put(w, spaces, 2 * (size_t)depth);
}

/* What stands between the item before and this one: comma, space, line. In an array the
 * first item decides: objects and arrays get lines, numbers and texts share one. */
static void separate(writer *w, bool container) {
    if (!w->depth) return;
    bool object = w->open[w->depth - 1].close == '}', any = w->open[w->depth - 1].any;
    if (!any) w->open[w->depth - 1].lines = w->pretty && (object || container);
    w->open[w->depth - 1].any = true;
    if (any) put(w, ",", 1);
    if (w->open[w->depth - 1].lines) put_line(w, w->depth);
    else if (any && w->pretty) put(w, " ", 1);
}

/* Before any value: is one allowed here? */
static bool begin_value(writer *w, bool container) {
    bool in_object = w->depth && w->open[w->depth - 1].close == '}';
    if (w->done) fault(w, OMMA_E_USAGE, "a JSON value after the end of the document");
    if (in_object && !w->has_key) fault(w, OMMA_E_USAGE, "a JSON value without a key");
    if (w->status) return false;
    if (!in_object) separate(w, container);
    w->has_key = false;
    return true;
}

static void end_value(writer *w) { w->done = !w->depth; }

static void put_value(writer *w, const char *s, size_t n) {
    if (!begin_value(w, false)) return;
    put(w, s, n);
    end_value(w);
}

static void begin(writer *w, const char *open, char close) {
    if (!begin_value(w, true)) return;
    if (w->depth == OMMA_JSON_DEPTH) {
        fault(w, OMMA_E_USAGE, "JSON nested deeper than 64");
        return;
    }
    put(w, open, 1);
    w->open[w->depth].close = close;
    w->open[w->depth].any = false;
    w->open[w->depth].lines = false;
    w->depth++;
}

static void end(writer *w, char close) {
    if (w->status) return;
    if (!w->depth || w->open[w->depth - 1].close != close || w->has_key) {
        fault(w, OMMA_E_USAGE, "an end that does not fit what is open in JSON");
        return;
    }
    w->depth--;
    if (w->open[w->depth].lines) put_line(w, w->depth);
    put(w, &close, 1);
    end_value(w);
}

void omma_json_begin_object(writer *w) { begin(w, "{", '}'); }
void omma_json_end_object(writer *w) { end(w, '}'); }
void omma_json_begin_array(writer *w) { begin(w, "[", ']'); }
void omma_json_end_array(writer *w) { end(w, ']'); }

/* --- texts ------------------------------------------------------------------- */

/* Length of the UTF-8 sequence at s (Unicode 15, table 3-7), 0 when it is not sound. The
 * final zero of the text stops every look ahead. */
static size_t utf8_length(const unsigned char *s) {
    unsigned char lo = 0x80, hi = 0xbf;
    size_t n;
    if (s[0] < 0x80) return 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf) n = 2;
    else if (s[0] >= 0xe0 && s[0] <= 0xef) n = 3;
    else if (s[0] >= 0xf0 && s[0] <= 0xf4) n = 4;
    else return 0;
    if (s[0] == 0xe0) lo = 0xa0;
    if (s[0] == 0xed) hi = 0x9f;
    if (s[0] == 0xf0) lo = 0x90;
    if (s[0] == 0xf4) hi = 0x8f;
    if (s[1] < lo || s[1] > hi) return 0;
    for (size_t i = 2; i < n; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    return n;
}

static void put_escape(writer *w, unsigned char c) {
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *known = c ? strchr(from, c) : NULL;
    char s[8] = {'\\'};
    size_t n = 2;
    if (known) s[1] = to[known - from];
    else n = (size_t)snprintf(s, sizeof s, "\\u%04x", (unsigned)c);
    put(w, s, n);
}

static void put_text(writer *w, const char *text) {
    const unsigned char *s = (const unsigned char *)text;
    put(w, "\"", 1);
    while (*s) {
        const unsigned char *plain = s;
        while (*s >= 0x20 && *s < 0x7f && *s != '"' && *s != '\\') s++;
        put(w, (const char *)plain, (size_t)(s - plain));
        if (!*s) break;
        size_t n = utf8_length(s);
        if (n > 1) put(w, (const char *)s, n);
        else if (n) put_escape(w, *s);
        else put(w, "\xef\xbf\xbd", 3);
        s += n ? n : 1;
    }
    put(w, "\"", 1);
}

void omma_json_key(writer *w, const char *name) {
    bool in_object = w->depth && w->open[w->depth - 1].close == '}';
    if (!in_object || w->has_key) fault(w, OMMA_E_USAGE, "a JSON key where none belongs");
    if (w->status) return;
    separate(w, false);
    put_text(w, name);
    put(w, w->pretty ? ": " : ":", w->pretty ? 2 : 1);
    w->has_key = true;
}

void omma_json_put_text(writer *w, const char *text) {
    if (!text) {
        omma_json_put_null(w);
    } else if (begin_value(w, false)) {
        put_text(w, text);
        end_value(w);
    }
}

/* --- numbers and words ------------------------------------------------------- */

void omma_json_put_int(writer *w, int64_t v) {
    char s[32];
    put_value(w, s, (size_t)snprintf(s, sizeof s, "%lld", (long long)v));
}

/* A number printed in any locale, with its decimal point made a point. */
static void put_number(writer *w, char *s) {
    const char *point = localeconv()->decimal_point;
    char *p = *point && strcmp(point, ".") ? strstr(s, point) : NULL;
    if (p) {
        size_t n = strlen(point);
        memmove(p + 1, p + n, strlen(p + n) + 1);
        *p = '.';
    }
    put_value(w, s, strlen(s));
}

void omma_json_put_double(writer *w, double v) {
    char s[40];
    if (!isfinite(v)) {
        omma_json_put_null(w);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(s, sizeof s, "%.*g", digits, v);
        if (strtod(s, NULL) == v) break;
    }
    put_number(w, s);
}

void omma_json_put_float(writer *w, float v) {
    char s[40];
    if (!isfinite(v)) {
        omma_json_put_null(w);
        return;
    }
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(s, sizeof s, "%.*g", digits, (double)v);
        if (strtof(s, NULL) == v) break;
    }
    put_number(w, s);
}

void omma_json_put_bool(writer *w, bool v) { put_value(w, v ? "true" : "false", v ? 4 : 5); }
void omma_json_put_null(writer *w) { put_value(w, "null", 4); }

/* --- begin and end ----------------------------------------------------------- */

void omma_json_writer_file(writer *w, FILE *file, bool pretty) {
    memset(w, 0, sizeof *w);
    w->file = file;
    w->pretty = pretty;
}

void omma_json_writer_memory(writer *w, bool pretty) { omma_json_writer_file(w, NULL, pretty); }

omma_status omma_json_writer_end(writer *w, omma_error *err) {
    if (!w->done) fault(w, OMMA_E_USAGE, "a JSON document is not complete");
    if (w->pretty) put(w, "\n", 1);
    if (!w->status && !w->file) w->text[w->size] = 0;
    return w->status ? omma_fail(err, w->status, "%s", w->fault) : OMMA_OK;
}

void omma_json_writer_free(writer *w) {
    omma_mem_free(w->text);
    w->text = NULL;
    w->size = w->capacity = 0;
}

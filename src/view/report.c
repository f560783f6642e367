/* report.c - see report.h: the file from its first byte to its last, and what all parts share. The
 * page comes from look_page.h with three marks in it; the picture stands early in the file, so a
 * browser shows it while it reads the rest. The parts' JSON is held in memory to the end, where it
 * goes behind the blocks; their bytes go into the file at once. */
#include "view/report.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "view/look_page.h"
#include "view/report_write.h"

enum {
    VERSION = 1,
    SPARE = 4096,    /* bytes that every part may take in the JSON without having asked */
    TEXT_MAX = 1024, /* bytes of a text; what is longer is cut */
    ANGLE_GROWS = 5, /* a '<' becomes six characters */
    PLAIN_LIMIT = 1 << 30
};

static const char mark_title[] = "@TITLE@", mark_picture[] = "@PICTURE@", mark_data[] = "@DATA@";

omma_status omma_report_wrong(const char *what, omma_error *err) {
    return omma_fail(err, OMMA_E_RANGE, "the report was given %s that makes no sense", what);
}

static omma_status unwritable(omma_error *err) {
    return omma_fail(err, OMMA_E_IO, "the report cannot be written");
}

static omma_status put(omma_report *r, const void *text, size_t n, omma_error *err) {
    if (fwrite(text, 1, n, r->file) != n) return unwritable(err);
    r->written += n;
    return OMMA_OK;
}

/* --- the page --------------------------------------------------------------------------- */

static size_t find_mark(const char *mark) {
    const size_t n = strlen(mark);
    for (size_t i = 0; i + n <= omma_look_page_size; i++)
        if (!memcmp(omma_look_page + i, mark, n)) return i;
    return omma_look_page_size;
}

/* The page from behind one mark (NULL: its beginning) to another (NULL: its end). */
static omma_status put_page(omma_report *r, const char *from, const char *to, omma_error *err) {
    const size_t begin = from ? find_mark(from) + strlen(from) : 0;
    const size_t end = to ? find_mark(to) : omma_look_page_size;
    return put(r, omma_look_page + begin, end - begin, err);
}

/* A text as HTML shows it. */
static omma_status put_escaped(omma_report *r, const char *text, omma_error *err) {
    for (size_t i = 0; text[i] && i < TEXT_MAX; i++) {
        const char c = text[i], *as = c == '<'   ? "&lt;"
                                      : c == '>' ? "&gt;"
                                      : c == '&' ? "&amp;"
                                      : c == '"' ? "&quot;"
                                                 : NULL;
        OMMA_TRY(put(r, as ? as : &c, as ? strlen(as) : 1, err));
    }
    return OMMA_OK;
}

static const char *picture_type(const unsigned char *p, size_t n) {
    if (n >= 3 && !memcmp(p, "\xff\xd8\xff", 3)) return "image/jpeg";
    if (n >= 8 && !memcmp(p, "\x89PNG\r\n\x1a\n", 8)) return "image/png";
    if (n >= 12 && !memcmp(p, "RIFF", 4) && !memcmp(p + 8, "WEBP", 4)) return "image/webp";
    return NULL;
}

static omma_status put_picture(omma_report *r, const omma_report_about *a, omma_error *err) {
    const char *type = picture_type(a->picture, a->picture_size);
    if (!type) return omma_report_wrong("a picture that is no PNG, JPEG or WebP file", err);
    OMMA_TRY(put(r, "data:", 5, err));
    OMMA_TRY(put(r, type, strlen(type), err));
    OMMA_TRY(put(r, ";base64,", 8, err));
    size_t n;
    OMMA_TRY(omma_report_base64(r->file, a->picture, a->picture_size, &n, err));
    r->written += n;
    return OMMA_OK;
}

static void begin_json(omma_report *r, const omma_report_about *a) {
    omma_json_writer_memory(&r->json, false);
    omma_json_begin_object(&r->json);
    omma_report_say(r, "format", "omma look");
    omma_report_say_int(r, "version", VERSION);
    omma_report_say_int(r, "limit", (int64_t)r->limit);
    omma_report_say(r, "command", a->command);
    omma_json_key(&r->json, "picture");
    omma_json_begin_object(&r->json);
    omma_report_say(r, "name", a->name);
    omma_report_say_int(r, "width", a->width);
    omma_report_say_int(r, "height", a->height);
    omma_json_end_object(&r->json);
    omma_json_key(&r->json, "parts");
    omma_json_begin_array(&r->json);
}

static omma_status begin(omma_report *r, const omma_report_about *a, omma_error *err) {
    if (r->plain) {
        begin_json(r, a);
        return OMMA_OK;
    }
    OMMA_TRY(put_page(r, NULL, mark_title, err));
    OMMA_TRY(put_escaped(r, a->name ? a->name : "picture", err));
    OMMA_TRY(put_page(r, mark_title, mark_picture, err));
    OMMA_TRY(put_picture(r, a, err));
    OMMA_TRY(put_page(r, mark_picture, mark_data, err));
    begin_json(r, a);
    return OMMA_OK;
}

omma_status omma_report_begin(omma_report **out, FILE *file, const omma_report_about *about,
                              omma_error *err) {
    *out = NULL;
    if (about->width < 1 || about->height < 1) return omma_report_wrong("a picture's size", err);
    omma_report *r = omma_mem_alloc(sizeof *r);
    if (!r) return omma_fail(err, OMMA_E_NOMEM, "no memory for a report");
    r->file = file;
    r->plain = about->plain;
    r->limit = about->limit ? about->limit : r->plain ? PLAIN_LIMIT : OMMA_REPORT_LIMIT;
    r->rest = r->plain ? 0 : omma_look_page_size - find_mark(mark_data);
    r->width = about->width;
    r->height = about->height;
    const omma_status status = begin(r, about, err);
    if (status) omma_report_free(r);
    else *out = r;
    return status;
}

/* The JSON inside of an element: no '<' in it may end that. */
static omma_status put_json(omma_report *r, omma_error *err) {
    static const char open[] = "<script type=\"application/json\" id=\"omma-data\">";
    OMMA_TRY(put(r, open, sizeof open - 1, err));
    const char *text = r->json.text, *end = text + r->json.size;
    while (text < end) {
        const char *angle = memchr(text, '<', (size_t)(end - text));
        OMMA_TRY(put(r, text, (size_t)((angle ? angle : end) - text), err));
        if (!angle) break;
        OMMA_TRY(put(r, "\\u003c", 6, err));
        text = angle + 1;
    }
    return put(r, "</script>\n", 10, err);
}

static omma_status finish(omma_report *r, omma_error *err) {
    omma_json_end_array(&r->json);
    omma_report_say_int(r, "left_out", r->left_out);
    omma_json_end_object(&r->json);
    OMMA_TRY(omma_json_writer_end(&r->json, err));
    if (r->plain) {
        OMMA_TRY(put(r, r->json.text, r->json.size, err));
        OMMA_TRY(put(r, "\n", 1, err));
        return ferror(r->file) ? unwritable(err) : OMMA_OK;
    }
    OMMA_TRY(put_json(r, err));
    OMMA_TRY(put_page(r, mark_data, NULL, err));
    return ferror(r->file) ? unwritable(err) : OMMA_OK;
}

omma_status omma_report_end(omma_report *r, omma_error *err) {
    const omma_status status = finish(r, err);
    omma_report_free(r);
    return status;
}

void omma_report_free(omma_report *r) {
    if (!r) return;
    omma_json_writer_free(&r->json);
    omma_mem_free(r->tokens);
    omma_mem_free(r);
}

/* --- room ------------------------------------------------------------------------------- */

size_t omma_report_room(const omma_report *r) {
    const size_t used = r->written + r->json.size + r->angles * ANGLE_GROWS + r->rest + 2 * SPARE;
    return used < r->limit ? r->limit - used : 0;
}

bool omma_report_fits(const omma_report *r, size_t cost) {
    return cost + SPARE <= omma_report_room(r);
}

static void count_angles(omma_report *r) {
    for (; r->counted < r->json.size; r->counted++) r->angles += r->json.text[r->counted] == '<';
}

omma_status omma_report_left_out(omma_report *r, int about, const char *what, const char *label,
                                 size_t cost, int *index, omma_error *err) {
    if (index) *index = -1;
    r->left_out++;
    if (omma_report_room(r) < SPARE) return OMMA_OK; /* the page says how many were left out */
    char text[256];
    snprintf(text, sizeof text,
             "Left out, since the file would pass its limit: %s%s%.120s, %.2f MB.", what,
             label ? " of " : "", label ? label : "", (double)cost / 1e6);
    return omma_report_note(r, about, text, err);
}

/* --- parts ------------------------------------------------------------------------------ */

omma_status omma_report_part(omma_report *r, const char *name, omma_report_kind kind, int *index,
                             omma_error *err) {
    if (!r->models && kind != OMMA_PARTS) return omma_report_wrong("a part before a model", err);
    if (kind != OMMA_PARTS) {
        if (index) *index = r->count[kind];
        r->count[kind]++;
    }
    omma_json_begin_object(&r->json);
    omma_report_say(r, "part", name);
    return OMMA_OK;
}

omma_status omma_report_part_end(omma_report *r, omma_error *err) {
    omma_json_end_object(&r->json);
    count_angles(r);
    if (r->json.status) return omma_fail(err, r->json.status, "%s", r->json.fault);
    return OMMA_OK;
}

omma_status omma_report_note(omma_report *r, int about, const char *text, omma_error *err) {
    OMMA_TRY(omma_report_part(r, "note", OMMA_PARTS, NULL, err));
    omma_report_say_int(r, "about", about);
    omma_report_say(r, "text", text);
    return omma_report_part_end(r, err);
}

omma_status omma_report_model(omma_report *r, const omma_report_about_model *m, omma_error *err) {
    OMMA_TRY(omma_report_part(r, "model", OMMA_PARTS, NULL, err));
    r->models++;
    memset(r->count, 0, sizeof r->count);
    omma_report_say(r, "name", m->name);
    if (m->file_bytes > 0) omma_report_say_int(r, "bytes", m->file_bytes);
    if (m->parameters > 0) omma_report_say_int(r, "parameters", m->parameters);
    omma_report_say(r, "input", m->input);
    if (m->width > 0 && m->height > 0) r->width = m->width, r->height = m->height;
    omma_report_say_int(r, "width", r->width);
    omma_report_say_int(r, "height", r->height);
    omma_report_say_number(r, "seconds", m->seconds);
    return omma_report_part_end(r, err);
}

static const struct {
    const char *name;
    omma_report_kind kind;
} units[] = {[OMMA_REPORT_NOTHING] = {"nothing", OMMA_PARTS},
             [OMMA_REPORT_PIXEL] = {"pixel", OMMA_PARTS},
             [OMMA_REPORT_CELL] = {"cell", OMMA_PART_LAYER},
             [OMMA_REPORT_TOKEN] = {"token", OMMA_PART_TOKENS},
             [OMMA_REPORT_QUERY] = {"query", OMMA_PARTS},
             [OMMA_REPORT_ANSWER] = {"answer", OMMA_PART_ANSWER}};

omma_status omma_report_check_unit(const omma_report *r, const omma_report_unit *u,
                                   omma_error *err) {
    if ((unsigned)u->what > OMMA_REPORT_ANSWER) return omma_report_wrong("a unit", err);
    const omma_report_kind kind = units[u->what].kind;
    if (kind != OMMA_PARTS && u->part >= r->count[kind])
        return omma_report_wrong("a unit of a part", err);
    return OMMA_OK;
}

omma_status omma_report_start(omma_report *r, const omma_report_unit *unit, omma_error *err) {
    OMMA_TRY(omma_report_check_unit(r, unit, err));
    if (!r->models) return omma_report_wrong("a unit before a model", err);
    OMMA_TRY(omma_report_part(r, "start", OMMA_PARTS, NULL, err));
    omma_report_say_int(r, "model", r->models - 1);
    omma_report_say_unit(r, unit);
    return omma_report_part_end(r, err);
}

/* --- members of objects ------------------------------------------------------------------- */

/* The longest start of a text that is not too long and ends with a whole character. */
static void put_text(omma_json_writer *w, const char *text) {
    char cut[TEXT_MAX + 4];
    size_t n = strnlen(text, TEXT_MAX + 1);
    if (n <= TEXT_MAX) {
        omma_json_put_text(w, text);
        return;
    }
    n = TEXT_MAX;
    while (n && ((unsigned char)text[n] & 0xc0) == 0x80) n--;
    memcpy(cut, text, n);
    memcpy(cut + n, "...", 4);
    omma_json_put_text(w, cut);
}

void omma_report_say(omma_report *r, const char *key, const char *text) {
    if (!text) return;
    omma_json_key(&r->json, key);
    put_text(&r->json, text);
}

void omma_report_say_int(omma_report *r, const char *key, int64_t v) {
    omma_json_key(&r->json, key);
    omma_json_put_int(&r->json, v);
}

void omma_report_say_bool(omma_report *r, const char *key, bool v) {
    omma_json_key(&r->json, key);
    omma_json_put_bool(&r->json, v);
}

void omma_report_say_number(omma_report *r, const char *key, double v) {
    if (isnan(v)) return;
    omma_json_key(&r->json, key);
    if (isinf(v)) omma_json_put_text(&r->json, v > 0 ? "whole" : "-whole");
    else omma_json_put_float(&r->json, (float)v);
}

void omma_report_say_numbers(omma_report *r, const char *key, const double *v, int64_t n) {
    if (!v) return;
    omma_json_key(&r->json, key);
    omma_json_begin_array(&r->json);
    for (int64_t i = 0; i < n; i++) omma_json_put_float(&r->json, (float)v[i]);
    omma_json_end_array(&r->json);
}

void omma_report_say_floats(omma_report *r, const char *key, const float *v, int64_t n) {
    omma_json_key(&r->json, key);
    omma_json_begin_array(&r->json);
    for (int64_t i = 0; i < n; i++) omma_json_put_float(&r->json, v[i]);
    omma_json_end_array(&r->json);
}

void omma_report_say_unit(omma_report *r, const omma_report_unit *u) {
    omma_json_key(&r->json, "unit");
    omma_json_begin_object(&r->json);
    omma_report_say(r, "what", units[u->what].name);
    if (units[u->what].kind != OMMA_PARTS) omma_report_say_int(r, "part", u->part);
    omma_report_say_int(r, "y", u->y);
    omma_report_say_int(r, "x", u->x);
    omma_report_say(r, "edge", u->edge);
    omma_json_end_object(&r->json);
}

void omma_report_say_list(omma_report *r, const omma_report_number *v, int n) {
    omma_json_key(&r->json, "numbers");
    omma_json_begin_array(&r->json);
    for (int i = 0; i < n; i++) {
        omma_json_begin_object(&r->json);
        omma_report_say(r, "name", v[i].name);
        omma_report_say_number(r, "value", v[i].value);
        omma_report_say(r, "unit", v[i].unit);
        omma_report_say(r, "says", v[i].says);
        omma_json_end_object(&r->json);
    }
    omma_json_end_array(&r->json);
}

/* look_draw.c - one unit of a report as a picture (--png): drawn from the plain report that --json
 * prints, so a picture and the numbers beside it cannot differ. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/look_job.h"
#include "field/bits.h"
#include "file/json.h"
#include "view/overlay.h"

typedef struct drawing {
    const omma_look_job *j;
    const omma_json *parts;
    const omma_json *unit; /* the one to draw */
    const char *show;
    omma_overlay o;
    omma_arena arena;
    char title[200];
} drawing;

/* --- reading the report ----------------------------------------------------------------------- */

static int64_t whole(const omma_json *v, const char *name, int64_t otherwise) {
    int64_t out = otherwise;
    (void)omma_json_as_int(omma_json_get(v, name), &out);
    return out;
}

static double real(const omma_json *v, const char *name) {
    double out = NAN;
    (void)omma_json_as_double(omma_json_get(v, name), &out);
    return out;
}

static bool text_is(const omma_json *v, const char *name, const char *want) {
    const char *s = omma_json_as_text(omma_json_get(v, name));
    return s ? want && !strcmp(s, want) : !want;
}

static bool same_unit(const omma_json *a, const omma_json *b) {
    static const char *const key[] = {"part", "y", "x"};
    if (!a || !b || !text_is(a, "what", omma_json_as_text(omma_json_get(b, "what")))) return false;
    for (size_t i = 0; i < sizeof key / sizeof *key; i++)
        if (whole(a, key[i], -1) != whole(b, key[i], -1)) return false;
    return text_is(a, "edge", omma_json_as_text(omma_json_get(b, "edge")));
}

/* Part number k of a kind (k -1: the last), of the first model. */
static const omma_json *part(const drawing *d, const char *kind, int64_t k) {
    const omma_json *found = NULL;
    int models = 0;
    for (size_t i = 0; i < omma_json_count(d->parts); i++) {
        const omma_json *p = omma_json_at(d->parts, i);
        models += text_is(p, "part", "model");
        if (models > 1 || !text_is(p, "part", kind)) continue;
        found = p;
        if (k-- == 0) return p;
    }
    return k < -1 ? found : NULL;
}

static omma_status nothing(const drawing *d, omma_error *err) {
    return omma_fail(err, OMMA_E_NOTFOUND, "the report has nothing to show as %s for this unit",
                     d->show);
}

/* --- sets ---------------------------------------------------------------------------------------
 */

static void fill(uint64_t *bits, const omma_json *runs) {
    for (size_t i = 0; i < omma_json_count(runs); i++) {
        int64_t from = 0, to = -1;
        (void)omma_json_as_int(omma_json_at(omma_json_at(runs, i), 0), &from);
        (void)omma_json_as_int(omma_json_at(omma_json_at(runs, i), 1), &to);
        for (; from <= to; from++) bits[from >> 6] |= 1ull << (from & 63);
    }
}

/* The line of an axis for cell i: all see the same where there is one. */
static const omma_json *line_of(const omma_json *axis, int64_t i) {
    const omma_json *lines = omma_json_get(axis, "lines");
    return omma_json_at(lines, omma_json_count(lines) == 1 ? 0 : (size_t)i);
}

static omma_status draw_product(drawing *d, const omma_json *layer, int64_t y, int64_t x,
                                omma_error *err) {
    const int64_t h = d->o.height, w = d->o.width;
    uint64_t *rows = omma_arena_array(&d->arena, (size_t)omma_bit_words(h), 8);
    uint64_t *columns = omma_arena_array(&d->arena, (size_t)omma_bit_words(w), 8);
    uint64_t *plane = omma_arena_array(&d->arena, (size_t)omma_bit_words(h * w), 8);
    if (!rows || !columns || !plane) return omma_fail(err, OMMA_E_NOMEM, "no memory for a picture");
    fill(rows, line_of(omma_json_get(layer, "y"), y));
    fill(columns, line_of(omma_json_get(layer, "x"), x));
    for (int64_t i = 0; i < h * w; i++)
        if (omma_bit(rows, i / w) && omma_bit(columns, i % w)) plane[i >> 6] |= 1ull << (i & 63);
    omma_overlay_set(&d->o, plane);
    return OMMA_OK;
}

static omma_status draw_cell(drawing *d, int64_t number, int64_t y, int64_t x, omma_error *err) {
    const omma_json *layer = part(d, "layer", number);
    const omma_json *ay = omma_json_get(layer, "y"), *ax = omma_json_get(layer, "x");
    if (!layer) return nothing(d, err);
    const omma_json *set = NULL;
    for (int64_t i = 0; !set && part(d, "set", i); i++)
        if (same_unit(omma_json_get(part(d, "set", i), "unit"), d->unit)) set = part(d, "set", i);
    if (set) {
        const int64_t n = omma_bit_words(d->o.height * d->o.width);
        uint64_t *plane = omma_arena_array(&d->arena, (size_t)n, 8);
        if (!plane) return omma_fail(err, OMMA_E_NOMEM, "no memory for a picture");
        fill(plane, omma_json_at(omma_json_get(set, "pixels"), 0));
        omma_overlay_set(&d->o, omma_json_get(set, "pixels") ? plane : NULL);
    } else OMMA_TRY(draw_product(d, layer, y, x, err));
    omma_overlay_cross(&d->o, real(ay, "first") + real(ay, "jump") * (double)y,
                       real(ax, "first") + real(ax, "jump") * (double)x);
    snprintf(d->title, sizeof d->title, "%.100s: cell %lld,%lld",
             omma_json_as_text(omma_json_get(layer, "label")), (long long)y, (long long)x);
    return OMMA_OK;
}

/* Where token t of a sequence lies: its grid, row and column. */
static const omma_json *grid_of(const omma_json *tokens, int64_t t, int64_t *r, int64_t *c) {
    const omma_json *grids = omma_json_get(tokens, "grids");
    for (size_t i = 0; i < omma_json_count(grids); i++) {
        const omma_json *g = omma_json_at(grids, i);
        const int64_t rs = whole(g, "row_step", 1), cs = whole(g, "column_step", 1),
                      n = t - whole(g, "from", 0), rows = whole(g, "rows", 0),
                      columns = whole(g, "columns", 0);
        if (n < 0) continue;
        *r = rs > cs ? n / rs : n % cs / rs;
        *c = rs > cs ? n % rs / cs : n / cs;
        if (*r < rows && *c < columns && *r * rs + *c * cs == n) return g;
    }
    return NULL;
}

static omma_status draw_field(drawing *d, omma_error *err) {
    int64_t r, c;
    if (text_is(d->unit, "what", "cell"))
        return draw_cell(d, whole(d->unit, "part", 0), whole(d->unit, "y", 0),
                         whole(d->unit, "x", 0), err);
    const omma_json *tokens = part(d, "tokens", whole(d->unit, "part", 0));
    const omma_json *g = grid_of(tokens, whole(d->unit, "y", 0), &r, &c);
    return g ? draw_cell(d, whole(g, "layer", -1), r, c, err) : nothing(d, err);
}

/* --- maps --------------------------------------------------------------------------------------
 */

/* A cell with a number, drawn as a rectangle around its centre; where there is only one row or
 * column of cells it is as high or wide as the picture. */
static void spread(const drawing *d, double *map, double v, double cy, double cx, double jy,
                   double jx) {
    const double ry = jy > 0 ? jy / 2 : (double)d->o.height,
                 rx = jx > 0 ? jx / 2 : (double)d->o.width;
    for (int64_t y = (int64_t)fmax(0, ceil(cy - ry)); y < d->o.height && (double)y < cy + ry; y++)
        for (int64_t x = (int64_t)fmax(0, ceil(cx - rx)); x < d->o.width && (double)x < cx + rx;
             x++)
            map[y * d->o.width + x] = v;
}

/* With the range of its colours in the title. */
static void draw_map(drawing *d, const double *map) {
    const int64_t n = d->o.height * d->o.width;
    double least = 0, most = 0;
    for (int64_t i = 0; i < n; i++) least = fmin(least, map[i]), most = fmax(most, map[i]);
    omma_overlay_map(&d->o, map);
    const size_t used = strlen(d->title);
    snprintf(d->title + used, sizeof d->title - used, ": %.3g to %.3g", least, most);
}

static double *new_map(drawing *d) {
    return omma_arena_array(&d->arena, (size_t)(d->o.height * d->o.width), sizeof(double));
}

static double number_at(const omma_json *list, size_t i) {
    double v = 0;
    (void)omma_json_as_double(omma_json_at(list, i), &v);
    return v;
}

static omma_status draw_heat(drawing *d, omma_error *err) {
    const omma_json *h = NULL;
    for (int64_t i = 0; !h && part(d, "heat", i); i++) {
        const omma_json *p = part(d, "heat", i);
        if (text_is(p, "family", d->show) && same_unit(omma_json_get(p, "unit"), d->unit)) h = p;
    }
    if (!h) return nothing(d, err);
    double *map = new_map(d);
    if (!map) return omma_fail(err, OMMA_E_NOMEM, "no memory for a picture");
    const int64_t rows = whole(h, "rows", 0), columns = whole(h, "columns", 0);
    for (int64_t i = 0; i < rows * columns; i++)
        spread(d, map, number_at(omma_json_get(h, "map"), (size_t)i),
               real(h, "first_y") + real(h, "jump_y") * (double)(i / columns),
               real(h, "first_x") + real(h, "jump_x") * (double)(i % columns), real(h, "jump_y"),
               real(h, "jump_x"));
    snprintf(d->title, sizeof d->title, "%s: %.100s", d->show,
             omma_json_as_text(omma_json_get(h, "method")));
    draw_map(d, map);
    return OMMA_OK;
}

/* Numbers by token of a sequence, as a map. */
static omma_status draw_tokens(drawing *d, int64_t sequence, const double *v, omma_error *err) {
    const omma_json *tokens = part(d, "tokens", sequence);
    const int64_t n = whole(tokens, "count", 0);
    double *map = new_map(d);
    bool any = false;
    if (!map) return omma_fail(err, OMMA_E_NOMEM, "no memory for a picture");
    for (int64_t t = 0; t < n; t++) {
        int64_t r, c;
        const omma_json *g = grid_of(tokens, t, &r, &c);
        if (!g) continue;
        any = true;
        spread(d, map, v[t], real(g, "first_y") + real(g, "jump_y") * (double)r,
               real(g, "first_x") + real(g, "jump_x") * (double)c, real(g, "jump_y"),
               real(g, "jump_x"));
    }
    if (!any)
        return omma_fail(err, OMMA_E_UNSUPPORTED, "these tokens have no place in the picture");
    draw_map(d, map);
    return OMMA_OK;
}

/* The lines of an attention for the unit; NULL: it has none. */
static const omma_json *looks_of(const drawing *d, const omma_json *attention, const char *way) {
    const omma_json *looks = omma_json_get(attention, "looks");
    for (size_t i = 0; i < omma_json_count(looks); i++) {
        const omma_json *l = omma_json_at(looks, i);
        const bool query = text_is(d->unit, "what", "query") &&
                           whole(omma_json_get(l, "unit"), "y", -1) == whole(d->unit, "y", -2);
        if (query || same_unit(omma_json_get(l, "unit"), d->unit)) return omma_json_get(l, way);
    }
    return NULL;
}

static omma_status draw_looks(drawing *d, omma_error *err) {
    const bool by = !strcmp(d->show, "looked-at-by");
    const omma_json *a = NULL, *heads = NULL;
    int64_t number = 0;
    for (int64_t i = 0; part(d, "attention", i); i++) {
        const omma_json *p = part(d, "attention", i);
        const omma_json *l = looks_of(d, p, by ? "looked_at_by" : "looks_at");
        if (l && (d->j->layer < 0 || d->j->layer == i)) a = p, heads = l, number = i;
    }
    if (!a) return nothing(d, err);
    const int64_t sequence = whole(a, by ? "query" : "key", -1);
    const int64_t n = whole(part(d, "tokens", sequence), "count", 0);
    const size_t count = omma_json_count(heads);
    if (d->j->head >= (int)count)
        return omma_fail(err, OMMA_E_RANGE, "--head %d: the attention has %zu heads", d->j->head,
                         count);
    double *v = omma_arena_array(&d->arena, (size_t)n, sizeof *v);
    if (!v) return omma_fail(err, OMMA_E_NOMEM, "no memory for a picture");
    for (size_t h = 0; h < count; h++)
        for (int64_t i = 0; i < n && (d->j->head < 0 || (size_t)d->j->head == h); i++)
            v[i] +=
                number_at(omma_json_at(heads, h), (size_t)i) / (d->j->head < 0 ? (double)count : 1);
    char head[32] = "mean of heads";
    if (d->j->head >= 0) snprintf(head, sizeof head, "head %d", d->j->head);
    snprintf(d->title, sizeof d->title, "%s: attention %lld, %s", d->show, (long long)number, head);
    return draw_tokens(d, sequence, v, err);
}

/* What a ledger says came from each token: the last one of the unit, or that of block --layer. */
static omma_status draw_sources(drawing *d, omma_error *err) {
    const omma_json *l = NULL;
    for (int64_t i = 0; part(d, "ledger", i); i++) {
        const omma_json *p = part(d, "ledger", i);
        if (omma_json_get(p, "from") && whole(p, "tokens", -1) == whole(d->unit, "part", -2) &&
            whole(p, "token", -1) == whole(d->unit, "y", -2) &&
            (d->j->layer < 0 || d->j->layer == whole(p, "block", -1)))
            l = p;
    }
    if (!l) return nothing(d, err);
    const omma_json *from = omma_json_get(l, "from");
    const size_t n = omma_json_count(from);
    double *v = omma_arena_array(&d->arena, n, sizeof *v);
    if (!v) return omma_fail(err, OMMA_E_NOMEM, "no memory for a picture");
    for (size_t i = 0; i < n; i++) v[i] = number_at(from, i);
    snprintf(d->title, sizeof d->title, "sources: %.100s",
             omma_json_as_text(omma_json_get(l, "label")));
    return draw_tokens(d, whole(l, "tokens", 0), v, err);
}

/* --- boxes -------------------------------------------------------------------------------------
 */

static bool read_box(const omma_json *list, double box[4]) {
    for (size_t i = 0; i < 4; i++) box[i] = number_at(list, i);
    return omma_json_count(list) == 4;
}

/* A query's box behind each layer of the decoder. */
static omma_status draw_steps(drawing *d, omma_error *err) {
    for (int64_t i = 0; part(d, "query", i); i++) {
        const omma_json *q = part(d, "query", i), *steps = omma_json_get(q, "steps");
        if (whole(q, "number", -1) != whole(d->unit, "y", -2)) continue;
        for (size_t s = 0; s < omma_json_count(steps); s++) {
            const omma_json *step = omma_json_at(steps, s);
            const char *name = omma_json_as_text(omma_json_get(step, "name"));
            double box[4];
            char label[96];
            snprintf(label, sizeof label, "%zu %.60s %.2f", s + 1, name ? name : "",
                     real(step, "score"));
            if (read_box(omma_json_get(step, "box"), box))
                omma_overlay_box(&d->o, box, (int)s, label);
        }
        snprintf(d->title, sizeof d->title, "query %lld, layer by layer",
                 (long long)whole(q, "number", 0));
        return OMMA_OK;
    }
    return nothing(d, err);
}

/* From the first cell's edge to the last one's, along an axis of a layer [px]. */
static void stretch(const omma_json *axis, double first, double last, double *from, double *to) {
    const double jump = real(axis, "jump"), at = real(axis, "first") + 0.5;
    *from = at + jump * (first - 0.5);
    *to = at + jump * (last + 0.5);
}

/* The cells of a layer that the pixel reaches: each run of rows and columns, or what holds them
 * all.
 */
static void draw_cells(drawing *d, const omma_json *at, const omma_json *layer, bool hull,
                       int colour) {
    const omma_json *rows = omma_json_get(at, "rows"), *columns = omma_json_get(at, "columns");
    const size_t nr = omma_json_count(rows), nc = omma_json_count(columns);
    char label[96];
    snprintf(label, sizeof label, "%.90s", omma_json_as_text(omma_json_get(layer, "label")));
    for (size_t i = 0; i < (hull && nr ? 1 : nr); i++)
        for (size_t k = 0; k < (hull && nc ? 1 : nc); k++) {
            double box[4];
            stretch(omma_json_get(layer, "y"), number_at(omma_json_at(rows, i), 0),
                    number_at(omma_json_at(rows, hull ? nr - 1 : i), 1), &box[1], &box[3]);
            stretch(omma_json_get(layer, "x"), number_at(omma_json_at(columns, k), 0),
                    number_at(omma_json_at(columns, hull ? nc - 1 : k), 1), &box[0], &box[2]);
            omma_overlay_box(&d->o, box, colour, hull ? label : NULL);
        }
}

/* The cells that a pixel reaches, of layer --layer or, as boxes that hold them, of all stages. */
static omma_status draw_reached(drawing *d, omma_error *err) {
    const omma_json *list = omma_json_get(part(d, "reached", 0), "layers");
    int drawn = 0;
    for (size_t i = omma_json_count(list); i-- > 0;) {
        const omma_json *at = omma_json_at(list, i);
        const int64_t number = whole(at, "layer", -1);
        const omma_json *layer = part(d, "layer", number);
        bool stage = false;
        (void)omma_json_as_bool(omma_json_get(layer, "stage"), &stage);
        if (d->j->layer < 0 ? !stage : number != d->j->layer) continue;
        draw_cells(d, at, layer, d->j->layer < 0, drawn++);
    }
    if (!drawn) return nothing(d, err);
    omma_overlay_cross(&d->o, real(d->unit, "y"), real(d->unit, "x"));
    snprintf(d->title, sizeof d->title, "cells that pixel %lld,%lld reaches",
             (long long)whole(d->unit, "y", 0), (long long)whole(d->unit, "x", 0));
    return OMMA_OK;
}

/* --- the picture ---------------------------------------------------------------------------------
 */

static const struct {
    const char *name;
    omma_status (*draw)(drawing *d, omma_error *err);
} views[] = {{"reached", draw_reached},    {"field", draw_field},     {"effective", draw_heat},
             {"attribution", draw_heat},   {"relevance", draw_heat},  {"looks-at", draw_looks},
             {"looked-at-by", draw_looks}, {"sources", draw_sources}, {"steps", draw_steps}};

bool omma_look_is_view(const char *name) {
    for (size_t i = 0; i < sizeof views / sizeof *views; i++)
        if (!strcmp(views[i].name, name)) return true;
    return false;
}

/* The view of a unit that is not asked for one. */
static const char *usual(const omma_json *unit) {
    static const char *const by[][2] = {{"pixel", "reached"},
                                        {"cell", "field"},
                                        {"token", "looks-at"},
                                        {"query", "steps"},
                                        {"answer", "attribution"}};
    for (size_t i = 0; i < sizeof by / sizeof *by; i++)
        if (text_is(unit, "what", by[i][0])) return by[i][1];
    return "field";
}

static omma_status draw(drawing *d, omma_error *err) {
    const omma_json *model = part(d, "model", 0);
    d->unit = omma_json_get(part(d, "start", 0), "unit");
    if (!d->unit) return omma_fail(err, OMMA_E_NOTFOUND, "the model has nothing to point at");
    d->show = d->j->show ? d->j->show : usual(d->unit);
    OMMA_TRY(omma_overlay_new(&d->o, d->j->image, whole(model, "height", 0),
                              whole(model, "width", 0), err));
    omma_status s = OMMA_OK;
    for (size_t i = 0; i < sizeof views / sizeof *views && !s; i++)
        if (!strcmp(views[i].name, d->show)) s = views[i].draw(d, err);
    if (!s) omma_overlay_title(&d->o, d->title);
    if (!s) s = omma_image_write(&d->o.img, d->j->png, err);
    omma_overlay_free(&d->o);
    return s;
}

omma_status omma_look_draw(const omma_look_job *j, const char *plain, size_t size,
                           omma_error *err) {
    omma_json *root;
    OMMA_TRY(omma_json_parse(&root, plain, size, NULL, err));
    drawing d = {.j = j, .parts = omma_json_get(root, "parts")};
    omma_arena_init(&d.arena, NULL);
    const omma_status s = draw(&d, err);
    omma_arena_free(&d.arena);
    omma_json_free(root);
    return s;
}

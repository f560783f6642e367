/* look_unit.c - what a report goes into: the units asked for by --unit, or a few of each kind. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/look_job.h"

enum { ANSWERS = 3 }; /* that are gone into unasked */

static const char *const edges[] = {"left edge", "top edge", "right edge", "bottom edge"};

/* --- reading ----------------------------------------------------------------------------------
 */

/* One number, all of s. */
static bool number(const char *s, int64_t *out) {
    long long a;
    char rest;
    const bool whole = sscanf(s, "%lld%c", &a, &rest) == 1 && a >= 0;
    if (whole) *out = a;
    return whole;
}

/* "y,x", all of s. */
static bool pair(const char *s, int64_t *y, int64_t *x) {
    long long a, b;
    char rest;
    const bool whole = sscanf(s, "%lld,%lld%c", &a, &b, &rest) == 2 && a >= 0 && b >= 0;
    if (whole) *y = a, *x = b;
    return whole;
}

/* What stands behind "kind:"; NULL: it is another kind. */
static const char *behind(const char *text, const char *kind) {
    const size_t n = strlen(kind);
    return strncmp(text, kind, n) == 0 && text[n] == ':' ? text + n + 1 : NULL;
}

/* LAYER or LAYER:y,x; without numbers y is -1. */
static bool read_cell(omma_report_unit *u, const char *s) {
    const char *at = strrchr(s, ':');
    u->y = u->x = -1;
    return at && pair(at + 1, &u->y, &u->x) ? at > s : *s != 0;
}

/* N or N:left. */
static bool read_answer(omma_report_unit *u, const char *s) {
    char digits[16];
    int64_t n;
    const size_t end = strcspn(s, ":");
    const size_t word = s[end] ? strlen(s + end + 1) : 0;
    for (size_t i = 0; word && i < sizeof edges / sizeof *edges; i++)
        if (!strncmp(s + end + 1, edges[i], word) && edges[i][word] == ' ') u->edge = edges[i];
    if ((s[end] && !u->edge) || end >= sizeof digits) return false;
    memcpy(digits, s, end), digits[end] = 0;
    if (!number(digits, &n) || n >= INT32_MAX) return false;
    u->part = (int)n;
    return true;
}

/* A unit by its form; parts are not known yet. rest: what names the layer or the sequence. */
static bool read_unit(omma_report_unit *u, const char **rest, const char *text) {
    const char *s;
    *u = (omma_report_unit){.part = -1};
    *rest = NULL;
    if ((s = behind(text, "cell"))) {
        u->what = OMMA_REPORT_CELL;
        *rest = s;
        return read_cell(u, s);
    }
    if ((s = behind(text, "pixel"))) {
        u->what = OMMA_REPORT_PIXEL;
        return pair(s, &u->y, &u->x);
    }
    if ((s = behind(text, "token"))) {
        const char *dot = strchr(s, '.');
        u->what = OMMA_REPORT_TOKEN;
        *rest = dot ? s : NULL;
        return number(dot ? dot + 1 : s, &u->y);
    }
    if ((s = behind(text, "query"))) {
        u->what = OMMA_REPORT_QUERY;
        return number(s, &u->y);
    }
    if (!(s = behind(text, "answer"))) return false;
    u->what = OMMA_REPORT_ANSWER;
    return read_answer(u, s);
}

bool omma_look_is_unit(const char *text) {
    omma_report_unit u;
    const char *rest;
    return read_unit(&u, &rest, text);
}

/* --- finding ------------------------------------------------------------------------------------
 */

static omma_status missing(const char *text, const char *what, long long has, omma_error *err) {
    return omma_fail(err, OMMA_E_RANGE, "--unit %s: the model has %lld %s here", text, has, what);
}

static omma_status find_pixel(const omma_look_job *j, const omma_report_unit *u, const char *text,
                              omma_error *err) {
    const int64_t h = j->table.image->dims[j->table.down],
                  w = j->table.image->dims[j->table.across];
    if (u->y < h && u->x < w) return OMMA_OK;
    return omma_fail(err, OMMA_E_RANGE, "--unit %s: the model got %lldx%lld pixels", text,
                     (long long)h, (long long)w);
}

static const omma_field_row *find_layer(const omma_look_job *j, const char *name, size_t n) {
    for (int i = j->table.count - 1; i >= 0; i--) {
        const omma_field_row *r = &j->table.row[i];
        const char *const known[] = {r->label, r->value->name, r->node ? r->node->name : NULL};
        for (int k = 0; k < 3; k++)
            if (known[k] && strlen(known[k]) == n && !strncmp(known[k], name, n) &&
                j->part[r->value->index] >= 0)
                return r;
    }
    return NULL;
}

static omma_status find_cell(const omma_look_job *j, omma_report_unit *u, const char *name,
                             const char *text, omma_error *err) {
    const size_t n = u->y < 0 ? strlen(name) : (size_t)(strrchr(name, ':') - name);
    const omma_field_row *r = find_layer(j, name, n);
    if (!r)
        return omma_fail(err, OMMA_E_NOTFOUND,
                         "--unit %s: no layer of cells has this name (omma field lists them)",
                         text);
    u->part = j->part[r->value->index];
    if (u->y < 0) u->y = r->y.cells / 2, u->x = r->x.cells / 2;
    if (u->y >= r->y.cells || u->x >= r->x.cells)
        return omma_fail(err, OMMA_E_RANGE, "--unit %s: the layer has %lldx%lld cells", text,
                         (long long)r->y.cells, (long long)r->x.cells);
    return OMMA_OK;
}

/* In the sequence named in front of the dot, else in the first with places, else in the first. */
static omma_status find_token(const omma_look_job *j, omma_report_unit *u, const char *rest,
                              const char *text, omma_error *err) {
    if (rest) u->part = atoi(rest);
    for (int i = 0; i < j->n_sequence && u->part < 0; i++)
        if (j->sequence[i].tokens->placed) u->part = i;
    if (u->part < 0) u->part = 0;
    if (u->part >= j->n_sequence) return missing(text, "sequences of tokens", j->n_sequence, err);
    const int64_t n = j->sequence[u->part].tokens->count;
    return u->y < n ? OMMA_OK : missing(text, "tokens", n, err);
}

static omma_status find(const omma_look_job *j, omma_report_unit *u, const char *text,
                        omma_error *err) {
    const char *rest;
    if (!read_unit(u, &rest, text))
        return omma_fail(err, OMMA_E_USAGE, "--unit %s: not a unit", text);
    const int64_t queries = omma_sight_anatomy(j->sight)->object_queries;
    switch (u->what) {
    case OMMA_REPORT_PIXEL: return find_pixel(j, u, text, err);
    case OMMA_REPORT_CELL: return find_cell(j, u, rest, text, err);
    case OMMA_REPORT_TOKEN: return find_token(j, u, rest, text, err);
    case OMMA_REPORT_QUERY:
        return u->y < queries ? OMMA_OK : missing(text, "object queries", queries, err);
    default: return u->part < j->n_answer ? OMMA_OK : missing(text, "answers", j->n_answer, err);
    }
}

/* --- choosing -------------------------------------------------------------------------------- */

static void add(omma_look_job *j, omma_report_unit u) {
    if (j->n_unit < OMMA_LOOK_UNITS) j->unit[j->n_unit++] = u;
}

/* The middle cell of the last stage that sees less than a fifth of the picture; of the first one,
 * if all see more. */
static void choose_cell(omma_look_job *j) {
    omma_report_unit u = {.what = OMMA_REPORT_CELL, .part = -1};
    for (int i = 0; i < j->table.count; i++) {
        const omma_field_row *r = &j->table.row[i];
        const int part = j->part[r->value->index];
        if (!r->stage || part < 0 || (u.part >= 0 && r->share >= 0.2)) continue;
        u.part = part, u.y = r->y.cells / 2, u.x = r->x.cells / 2;
    }
    if (u.part >= 0) add(j, u);
}

/* The token nearest to the middle of the picture, or the first where none has a place. */
static void choose_token(omma_look_job *j, int part) {
    const omma_tokens *t = j->sequence[part].tokens;
    const double my = (double)j->table.image->dims[j->table.down] / 2,
                 mx = (double)j->table.image->dims[j->table.across] / 2;
    omma_report_unit u = {.what = OMMA_REPORT_TOKEN, .part = part};
    double y, x, least = INFINITY;
    for (int64_t i = 0; i < t->count; i++) {
        if (!omma_tokens_place(t, i, &y, &x) || !(hypot(y - my, x - mx) < least)) continue;
        least = hypot(y - my, x - mx);
        u.y = i;
    }
    add(j, u);
}

static void choose_answers(omma_look_job *j) {
    for (int i = 0; i < j->n_answer && i < ANSWERS; i++) {
        const int64_t query = j->answer[i].query;
        add(j, (omma_report_unit){.what = OMMA_REPORT_ANSWER, .part = i});
        if (query >= 0) add(j, (omma_report_unit){.what = OMMA_REPORT_QUERY, .y = query});
    }
}

omma_status omma_look_choose(omma_look_job *j, omma_error *err) {
    j->n_unit = 0;
    j->unit = omma_arena_array(&j->arena, OMMA_LOOK_UNITS, sizeof *j->unit);
    if (!j->unit) return omma_fail(err, OMMA_E_NOMEM, "no memory for a report");
    for (int i = 0; i < j->units.count; i++) {
        omma_report_unit u;
        OMMA_TRY(find(j, &u, j->units.items[i], err));
        add(j, u);
    }
    if (!j->units.count) {
        choose_cell(j);
        for (int i = 0; i < j->n_sequence; i++) choose_token(j, i);
        choose_answers(j);
    }
    return j->n_unit ? omma_report_start(j->report, &j->unit[0], err) : OMMA_OK;
}

int omma_look_chosen_tokens(const omma_look_job *j, int sequence, int64_t *token) {
    int n = 0;
    for (int i = 0; i < j->n_unit && sequence >= 0; i++) {
        const omma_report_unit *u = &j->unit[i];
        const bool query = u->what == OMMA_REPORT_QUERY && j->sequence[sequence].queries;
        if (query || (u->what == OMMA_REPORT_TOKEN && u->part == sequence)) token[n++] = u->y;
    }
    return n;
}

/* report_layers.c - see report_layers.h. */
#include "view/report_layers.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "view/report_write.h"

typedef struct adding {
    omma_report *r;
    const omma_field_table *t;
    const omma_cell_field *cells;
    int *part;   /* by value index */
    bool *bound; /* by value index; NULL: not wanted */
    bool opened; /* has a layer seen everything, or what no window describes? */
    omma_error *err;
} adding;

/* --- in words --------------------------------------------------------------------------- */

static void say_shape(char *out, size_t size, const omma_value *v) {
    size_t n = 0;
    out[0] = 0;
    for (int d = 0; d < v->rank && n < size; d++)
        n += (size_t)snprintf(out + n, size - n, "%s%lld", d ? "x" : "", (long long)v->dims[d]);
}

/* A list of an attribute's numbers, "3x3"; nothing where all are `usual`. */
static size_t say_numbers(char *out, size_t size, const omma_node *n, const char *name,
                          const char *before, int64_t usual) {
    const omma_attr *a = omma_node_attr(n, name);
    bool plain = true;
    size_t at = 0;
    for (int i = 0; a && a->kind == OMMA_ATTR_INTS && i < a->count; i++)
        plain = plain && a->ints[i] == usual;
    if (plain) return 0;
    for (int i = 0; i < a->count && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%lld", i ? "x" : before,
                               (long long)a->ints[i]);
    return at < size ? at : size - 1;
}

/* "Conv 3x3, stride 2x2" */
static void say_made_by(char *out, size_t size, const omma_node *n) {
    size_t at = (size_t)snprintf(out, size, "%s", n->op->name);
    if (at >= size) return;
    at += say_numbers(out + at, size - at, n, "kernel_shape", " ", 0);
    at += say_numbers(out + at, size - at, n, "strides", ", stride ", 1);
    say_numbers(out + at, size - at, n, "dilations", ", dilation ", 1);
}

/* The row of a value; NULL: nothing of the picture reaches it. */
static const omma_field_row *row_of(const omma_field_table *t, const omma_value *v) {
    for (int i = 0; i < t->count; i++)
        if (t->row[i].value == v) return &t->row[i];
    return NULL;
}

/* A path of it sees more than a window: everything, or what attention in windows sees. */
static bool is_open(const omma_field_row *row) { return row->whole || row->odd; }

/* A softmax, or a product of two things that are computed: what attention is made of. */
static bool is_attention(const omma_node *n) {
    if (!strcmp(n->op->name, "Softmax")) return true;
    const bool product = !strcmp(n->op->name, "MatMul") || !strcmp(n->op->name, "Einsum");
    return product && n->n_in > 1 && !n->in[0]->data && !n->in[1]->data;
}

/* What opened the picture for a row, which may only add or multiply what a gate or a mean brings:
 * the first operator on the way to it that sees more than a window. */
static const char *whole_by(const omma_field_table *t, const omma_field_row *row) {
    if (!is_open(row)) return "the growing window";
    bool attends = false;
    for (const omma_field_row *next = row; next;) {
        row = next;
        next = NULL;
        attends |= is_attention(row->node);
        for (int i = 0; i < row->node->n_in && !next; i++) {
            const omma_field_row *in = row->node->in[i] ? row_of(t, row->node->in[i]) : NULL;
            if (in && is_open(in)) next = in;
        }
    }
    /* windows are cut out before attention works in them: that alone shows nothing new */
    return is_attention(row->node) || (attends && !row->whole) ? "attention" : row->node->op->name;
}

/* --- layers ----------------------------------------------------------------------------- */

static omma_report_axis axis_of(const omma_field_row *row, const omma_field_axis *a,
                                const omma_lines *lines) {
    omma_report_axis out = {.cells = a->cells,
                            .jump = a->jump,
                            .first = a->first,
                            .size = row->odd && !isinf(a->size) ? NAN : a->size,
                            .least = a->least,
                            .most = a->most};
    if (lines->cells == 1 || lines->cells == a->cells) out.lines = lines;
    return out;
}

/* Does every line of cells see every line of the picture? */
static bool sees_all(const omma_lines *l, int64_t pixels) {
    if (!l->bits) return false;
    for (int64_t i = 0; i < l->cells; i++)
        if (omma_bits_count(l->bits + i * l->words, pixels) < pixels) return false;
    return true;
}

static omma_fov_status status_of(const adding *a, const omma_field_row *row,
                                 const omma_cell_field *c) {
    const omma_value *image = a->t->image;
    if (row->status == OMMA_FOV_DATA) return OMMA_FOV_DATA;
    if (c->bound) return OMMA_FOV_UPPER_BOUND;
    if (sees_all(&c->rows, image->dims[a->t->down]) &&
        sees_all(&c->columns, image->dims[a->t->across]))
        return OMMA_FOV_WHOLE;
    return OMMA_FOV_EXACT;
}

static omma_status add_layer(adding *a, const omma_field_row *row) {
    const omma_cell_field *c = &a->cells[row->value->index];
    char shape[128], made_by[128];
    say_shape(shape, sizeof shape, row->value);
    say_made_by(made_by, sizeof made_by, row->node);
    const omma_fov_status status = status_of(a, row, c);
    const bool whole = row->whole || status == OMMA_FOV_WHOLE, opened = whole || row->odd;
    const omma_report_layer_info l = {.label = row->label,
                                      .made_by = made_by,
                                      .shape = shape,
                                      .stage = row->stage,
                                      .whole = whole,
                                      .whole_by = opened && !a->opened ? whole_by(a->t, row) : NULL,
                                      .mixed = c->mixed,
                                      .bound = c->bound,
                                      .status = status,
                                      .y = axis_of(row, &row->y, &c->rows),
                                      .x = axis_of(row, &row->x, &c->columns)};
    a->opened |= opened;
    return omma_report_layer(a->r, &l, &a->part[row->value->index], a->err);
}

static bool same_lines(const omma_lines *a, const omma_lines *b) {
    if (a->cells != b->cells || a->words != b->words || !a->bits != !b->bits) return false;
    return !a->bits || !memcmp(a->bits, b->bits, (size_t)(a->cells * a->words) * sizeof *a->bits);
}

/* Where lines are no more than bounds, what joins two layers may see more than either. */
static bool joins(const adding *a, const omma_node *n) {
    int part = -1;
    for (int i = 0; i < n->n_in; i++) {
        const int in = n->in[i] ? a->part[n->in[i]->index] : -1;
        if (in >= 0 && part >= 0 && in != part) return true;
        if (in >= 0) part = in;
    }
    return false;
}

/* The layer that a row only repeats: its operator changes no place, and an input has its cells. */
static int repeats(const adding *a, const omma_field_row *row) {
    const omma_node *n = row->node;
    if (row->stage || !(n->op->flags & (OMMA_OP_VIEW | OMMA_OP_ELEMENTWISE))) return -1;
    const omma_cell_field *mine = &a->cells[row->value->index];
    if (mine->bound && joins(a, n)) return -1;
    for (int i = 0; i < n->n_in; i++) {
        if (!n->in[i] || a->part[n->in[i]->index] < 0) continue;
        const omma_cell_field *its = &a->cells[n->in[i]->index];
        if (same_lines(&its->rows, &mine->rows) && same_lines(&its->columns, &mine->columns))
            return a->part[n->in[i]->index];
    }
    return -1;
}

static omma_status add_all(adding *a) {
    for (int i = 0; i < a->t->count; i++) {
        const omma_field_row *row = &a->t->row[i];
        if (!row->y.cells || !row->x.cells || !a->cells[row->value->index].rows.bits) continue;
        if (a->bound) a->bound[row->value->index] = a->cells[row->value->index].bound;
        const int same = repeats(a, row);
        if (same >= 0) a->part[row->value->index] = same;
        else OMMA_TRY(add_layer(a, row));
    }
    return OMMA_OK;
}

omma_status omma_report_layers(omma_report *r, const omma_fov *f, int *part, bool *bound,
                               omma_error *err) {
    omma_budget budget = {.limit = f->budget.limit};
    omma_arena arena;
    omma_field_table t;
    const int n = f->specialised.graph->n_values;
    omma_arena_init(&arena, &budget);
    omma_status s = omma_field_table_make(&t, f, OMMA_FOV_STRUCTURAL, false, &arena, err);
    adding a = {.r = r, .t = &t, .part = part, .bound = bound, .err = err};
    if (!s) {
        a.cells = omma_cells(&f->fields, t.image, t.down, t.across, OMMA_FOV_STRUCTURAL, &arena);
        if (!part) a.part = omma_arena_array(&arena, (size_t)n + 1, sizeof *a.part);
        if (!a.cells || !a.part) s = omma_fail(err, OMMA_E_NOMEM, "no memory for a report");
    }
    for (int i = 0; i < n && !s; i++) a.part[i] = -1;
    if (!s) s = add_all(&a);
    omma_arena_free(&arena);
    return s;
}

/* --- the other way ------------------------------------------------------------------------ */

/* The lines of cells that see line i of the picture. */
static void put_seeing(omma_report *r, const char *key, const omma_lines *l, int64_t i,
                       uint64_t *line) {
    memset(line, 0, (size_t)omma_bit_words(l->cells) * sizeof *line);
    for (int64_t c = 0; c < l->cells; c++)
        if (l->bits && omma_bit(l->bits + c * l->words, i)) line[c >> 6] |= 1ull << (c & 63);
    omma_json_key(&r->json, key);
    omma_report_put_runs(&r->json, line, l->cells);
}

static omma_status put_reached(omma_report *r, const omma_cell_field *cells,
                               const omma_field_table *t, const int *part,
                               const omma_report_unit *u, uint64_t *line, omma_error *err) {
    OMMA_TRY(omma_report_part(r, "reached", OMMA_PARTS, NULL, err));
    omma_report_say_unit(r, u);
    omma_json_key(&r->json, "layers");
    omma_json_begin_array(&r->json);
    for (int i = 0, last = -1; i < t->count; i++) {
        const int value = t->row[i].value->index;
        if (part[value] <= last) continue; /* no layer, or one that is only repeated */
        last = part[value];
        omma_json_begin_object(&r->json);
        omma_report_say_int(r, "layer", last);
        put_seeing(r, "rows", &cells[value].rows, u->y, line);
        put_seeing(r, "columns", &cells[value].columns, u->x, line);
        omma_json_end_object(&r->json);
    }
    omma_json_end_array(&r->json);
    return omma_report_part_end(r, err);
}

omma_status omma_report_reached(omma_report *r, const omma_fov *f, const int *part, int64_t y,
                                int64_t x, omma_error *err) {
    const omma_report_unit u = {.what = OMMA_REPORT_PIXEL, .y = y, .x = x};
    omma_budget budget = {.limit = f->budget.limit};
    const int n = f->specialised.graph->n_values;
    omma_arena arena;
    omma_field_table t;
    omma_arena_init(&arena, &budget);
    omma_status s = omma_field_table_make(&t, f, OMMA_FOV_STRUCTURAL, false, &arena, err);
    if (!s && (y < 0 || x < 0 || y >= t.image->dims[t.down] || x >= t.image->dims[t.across]))
        s = omma_fail(err, OMMA_E_RANGE, "pixel %lld,%lld: the picture has %lldx%lld", (long long)y,
                      (long long)x, (long long)t.image->dims[t.down],
                      (long long)t.image->dims[t.across]);
    if (!s) {
        const omma_cell_field *c =
            omma_cells(&f->fields, t.image, t.down, t.across, OMMA_FOV_STRUCTURAL, &arena);
        int64_t most = 1;
        for (int i = 0; i < n && c; i++) {
            if (c[i].rows.cells > most) most = c[i].rows.cells;
            if (c[i].columns.cells > most) most = c[i].columns.cells;
        }
        uint64_t *line = omma_arena_array(&arena, (size_t)omma_bit_words(most), sizeof *line);
        if (!c || !line) s = omma_fail(err, OMMA_E_NOMEM, "no memory for a report");
        else s = put_reached(r, c, &t, part, &u, line, err);
    }
    omma_arena_free(&arena);
    return s;
}

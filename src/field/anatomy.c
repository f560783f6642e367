/* anatomy.c - one look for a model's parts: see anatomy.h, and anatomist.h for how the work is
 * shared. */
#include "field/anatomy.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "field/anatomist.h"
#include "field/field_table.h"

/* --- attentions ------------------------------------------------------------------------------ */

static omma_status add_residuals(omma_anatomist *s) {
    for (int k = 0; k < s->out->n_attention; k++) {
        omma_attention *a = &s->out->attention[k];
        omma_residual r;
        OMMA_TRY(omma_residual_behind(s, &r, a->product, (const omma_value *[]){a->q, a->v}, 2));
        if (!r.addition) continue;
        a->addition = r.addition;
        a->skip = r.skip;
        a->in = r.addition->in[r.skip], a->branch = r.addition->in[1 - r.skip];
        a->out = r.addition->out[0];
        s->skip_of[a->out->index] = a->in;
    }
    return OMMA_OK;
}

/* Tokens and layouts; attentions that have none are left out. */
static omma_status look_into(omma_anatomist *s, int *left_out) {
    omma_anatomy *out = s->out;
    int n = 0;
    for (int k = 0; k < out->n_attention; k++) {
        bool found;
        OMMA_TRY(omma_anatomist_tokens(s, k, &found));
        if (!found || !omma_anatomist_layout(s, k)) {
            if (out->attention[k].out) s->skip_of[out->attention[k].out->index] = NULL;
            continue;
        }
        out->attention[n] = out->attention[k];
        s->path[n++] = s->path[k];
    }
    *left_out = out->n_attention - n;
    out->n_attention = n;
    return OMMA_OK;
}

int64_t omma_attention_token(const omma_attention *a, const omma_fov *f, bool key, int64_t window,
                             int64_t q) {
    const int32_t *token = key ? a->key_token : a->query_token;
    (void)f;
    return token ? token[window * (key ? a->keys : a->queries) + q] : q;
}

/* --- maps ------------------------------------------------------------------------------------ */

/* Does v lie inside a block, behind x and in front of the end? */
static omma_status is_inside(omma_anatomist *s, const omma_value *v, const omma_value *x,
                             const omma_value *end, bool *inside) {
    bool leads = false;
    *inside = false;
    if (!x || v == x || !v->producer || !s->depends[x->index]) return OMMA_OK;
    omma_arena tmp;
    omma_arena_init(&tmp, s->tmp.budget);
    const bool *on = omma_nodes_between(s, &tmp, x, end, &leads);
    *inside = on && on[v->producer->index];
    omma_arena_free(&tmp);
    return on ? OMMA_OK : omma_anatomist_nomem(s);
}

static bool same_cells(const omma_anatomist *s, const omma_value *a, const omma_value *b) {
    return s->rows[a->index].digit.axis >= 0 && s->columns[a->index].digit.axis >= 0 &&
           s->rows[a->index].digit.mod == s->rows[b->index].digit.mod &&
           s->columns[a->index].digit.mod == s->columns[b->index].digit.mod;
}

/* A value inside of an attention or a feed-forward block is no map: what goes in is. */
static omma_status step_out(omma_anatomist *s, const omma_value **v) {
    const omma_anatomy *out = s->out;
    bool inside;
    for (int k = 0; k < out->n_attention; k++) {
        const omma_attention *a = &out->attention[k];
        const omma_value *from[] = {a->in, a->key.value};
        for (int i = 0; i < 2; i++) {
            OMMA_TRY(is_inside(s, *v, from[i], a->out ? a->branch : a->mix, &inside));
            if (inside && same_cells(s, from[i], *v)) *v = from[i];
        }
    }
    for (int k = 0; k < out->n_feed_forward; k++) {
        const omma_feed_forward *b = &out->feed_forward[k];
        OMMA_TRY(is_inside(s, *v, b->in, b->branch, &inside));
        if (inside && same_cells(s, b->in, *v)) *v = b->in;
    }
    return OMMA_OK;
}

static bool same_grid(const omma_anatomist *s, const omma_value *a, const omma_value *b) {
    return same_cells(s, a, b) && s->rows[a->index].stride == s->rows[b->index].stride &&
           s->columns[a->index].stride == s->columns[b->index].stride;
}

/* Of maps with the same cells that follow each other, the first (before context, where the stage
 * has attention) and the last. */
static void add_map(omma_anatomist *s, const omma_value *v) {
    omma_anatomy *out = s->out;
    int same = 0;
    while (same < out->n_map && same < 2 && same_grid(s, out->map[out->n_map - 1 - same], v))
        same++;
    if (same && out->map[out->n_map - 1] == v) return;
    if (same == 2) out->n_map--;
    out->map[out->n_map++] = v;
}

static omma_status find_maps(omma_anatomist *s) {
    omma_field_table t;
    omma_anatomy *out = s->out;
    if (!s->image) return OMMA_OK;
    OMMA_TRY(omma_field_table_make(&t, s->f, OMMA_FIELD_STRUCTURAL, false, &s->tmp, s->err));
    out->map = omma_arena_array(s->keep, (size_t)t.count + 1, sizeof *out->map);
    if (!out->map) return omma_anatomist_nomem(s);
    for (int i = 0; i < t.count; i++) {
        const omma_field_row *r = &t.row[i];
        const omma_value *v = r->value;
        if (!r->stage || v->rank < 3 || r->y.cells < 1 || r->x.cells < 1 ||
            r->y.cells * r->x.cells < 2)
            continue;
        OMMA_TRY(step_out(s, &v));
        add_map(s, v);
    }
    return OMMA_OK;
}

/* --- what is missing ------------------------------------------------------------------------- */

static int count_unplaced(const omma_anatomy *out) {
    int n = 0;
    for (int k = 0; k < out->n_attention; k++)
        n += !out->attention[k].query.placed && !out->attention[k].decoder;
    return n;
}

static int count_without_addition(const omma_anatomy *out) {
    int n = 0;
    for (int k = 0; k < out->n_attention; k++) n += !out->attention[k].addition;
    return n;
}

/* One sentence more, where it is wanted. */
static void say(omma_anatomist *s, bool wanted, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void say(omma_anatomist *s, bool wanted, const char *fmt, ...) {
    const char *before = s->out->missing;
    char sentence[256];
    va_list ap;
    if (!wanted || !before) return;
    va_start(ap, fmt);
    vsnprintf(sentence, sizeof sentence, fmt, ap);
    va_end(ap);
    s->out->missing = omma_arena_printf(s->keep, "%s%s%s", before, *before ? " " : "", sentence);
}

static omma_status tell_missing(omma_anatomist *s, int left_out) {
    const omma_anatomy *out = s->out;
    const int unplaced = count_unplaced(out), bare = count_without_addition(out);
    s->out->missing = "";
    say(s, !s->image, "No input is a picture, so nothing has a place in one.");
    say(s, !out->n_attention, "There is no attention: no softmax between two products of data.");
    say(s, left_out > 0,
        "%d more products around a softmax mix no tokens that could be told apart.", left_out);
    say(s, s->image && unplaced > 0, "The tokens of %d attentions have no known places.", unplaced);
    say(s, bare > 0, "No residual addition was found behind %d attentions.", bare);
    say(s, !out->n_feed_forward, "There are no feed-forward blocks.");
    say(s, !out->object_queries, "There are no object queries.");
    say(s, out->object_queries && !out->n_answer,
        "No value was found that answers the object queries one by one.");
    say(s, s->f->specialised.cut != NULL,
        "What waits for numbers that only a run gives was not looked at.");
    return out->missing ? OMMA_OK : omma_anatomist_nomem(s);
}

/* --- the whole ------------------------------------------------------------------------------- */

static omma_status begin(omma_anatomist *s) {
    const omma_fields *f = &s->f->fields;
    if (!omma_anatomist_read(s)) return omma_anatomist_nomem(s);
    s->image = omma_fov_image(s->f, &s->down, &s->across);
    s->pictures = s->image && s->image->dims[0] > 0 ? s->image->dims[0] : 1;
    if (!s->image) return OMMA_OK;
    s->rows = omma_reaches(f, s->image, s->down, OMMA_FIELD_CONTENT, &s->tmp);
    s->columns = omma_reaches(f, s->image, s->across, OMMA_FIELD_CONTENT, &s->tmp);
    s->batch = omma_reaches(f, s->image, 0, OMMA_FIELD_CONTENT, &s->tmp);
    return s->rows && s->columns && s->batch ? OMMA_OK : omma_anatomist_nomem(s);
}

static omma_status find_all(omma_anatomist *s) {
    int left_out;
    OMMA_TRY(begin(s));
    OMMA_TRY(omma_anatomist_attentions(s));
    OMMA_TRY(add_residuals(s));
    OMMA_TRY(look_into(s, &left_out));
    OMMA_TRY(omma_anatomist_samplings(s));
    OMMA_TRY(omma_anatomist_feed_forwards(s));
    OMMA_TRY(omma_anatomist_answers(s));
    OMMA_TRY(find_maps(s));
    return tell_missing(s, left_out);
}

omma_status omma_anatomy_find(omma_anatomy *out, const omma_fov *f, omma_arena *arena,
                              omma_error *err) {
    *out = (omma_anatomy){.missing = ""};
    omma_anatomist s = {.f = f,
                        .g = f->specialised.graph,
                        .depends = f->fields.depends,
                        .out = out,
                        .keep = arena,
                        .err = err};
    omma_arena_init(&s.tmp, arena->budget);
    const omma_status bad = find_all(&s);
    omma_arena_free(&s.tmp);
    return bad;
}

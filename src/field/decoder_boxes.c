/* decoder_boxes.c - what the layers of a decoder say: the answers, boxes that the model refines
 * from layer to layer, queries that were chosen. See decoder.h. */
#include <string.h>

#include "field/decoder.h"
#include "op/op.h"

enum { ALIKE = 4 }; /* nodes that values must be made by alike to be counterparts */

static int64_t count_of(const omma_value *v) {
    int64_t n = 1;
    for (int d = 0; d < v->rank; d++) n *= v->dims[d];
    return n;
}

/* --- answers --------------------------------------------------------------------------------- */

/* Does every query of every picture have one entry, and no more than one? */
static bool one_each(const omma_decoder_search *s, const omma_answer *a) {
    const omma_value *v = a->value;
    const int64_t width = a->axis + 1 < v->rank ? v->dims[v->rank - 1] : 1;
    return count_of(v) == s->a->attention[0].batch * s->out->queries * width;
}

/* Of several scores those of most classes. */
static void find_answers(omma_decoder_search *s) {
    omma_decoder *d = s->out;
    int64_t most = 0;
    for (int i = 0; i < s->a->n_answer; i++) {
        const omma_answer *a = &s->a->answer[i];
        if (a->masks || !one_each(s, a)) continue;
        if (a->boxes && !d->box) d->box = a;
        if (a->boxes || count_of(a->value) <= most) continue;
        d->score = a;
        most = count_of(a->value);
    }
}

/* --- boxes of layers ----------------------------------------------------------------------- */

static bool fours(const omma_decoder_search *s, const omma_value *v) {
    return v->dtype == OMMA_F32 && v->rank >= 2 && v->dims[v->rank - 1] == 4 && !v->data &&
           s->f->fields.depends[v->index] &&
           count_of(v) == s->a->attention[0].batch * s->out->queries * 4;
}

/* Values of four numbers a query from which the layer's samplings take their places, but not those
 * that come from the queries' own stream in it. [values]: bits; NULL: no memory. */
static bool *read_by(omma_decoder_search *s, const omma_decoder_layer *l) {
    bool *at = omma_arena_array(&s->tmp, (size_t)s->g->n_values + 1, sizeof *at);
    for (int i = 0; i < l->n_sampling && at; i++) {
        const omma_sampling *p = &s->a->sampling[l->sampling[i]];
        const bool *ahead = omma_decoder_ahead(s, p->where),
                   *stream = p->in ? omma_decoder_behind(s, p->in) : NULL;
        if (!ahead || (p->in && !stream)) return NULL;
        for (int v = 0; v < s->g->n_values && stream; v++)
            at[v] |= ahead[v] && !stream[v] && fours(s, s->g->values[v]);
    }
    return at;
}

/* Of the values marked, that most alike to v; of several the last. *best: by how many nodes. */
static const omma_value *most_alike(const omma_decoder_search *s, const bool *at,
                                    const omma_value *v, const omma_value *const a[2], int *best) {
    const omma_value *found = NULL;
    for (int i = 0; i < s->g->n_values; i++) {
        const int n = at[i] ? omma_decoder_alike(s->g->values[i], v, a) : 0;
        if (n >= ALIKE && n >= *best) *best = n, found = s->g->values[i];
    }
    return found;
}

/* The last value on the way to the answers that is made as boxes behind the layer before are. */
static omma_status find_last_box(omma_decoder_search *s) {
    omma_decoder *d = s->out;
    const omma_decoder_layer *last = &d->layer[d->n_layer - 1];
    const omma_value *const a[2] = {last[-1].out, last->out};
    const bool *at = read_by(s, last), *made = omma_decoder_behind(s, last[-1].out);
    const bool *ahead = omma_decoder_ahead(s, d->box->value),
               *own = omma_decoder_behind(s, last->out);
    bool *now = omma_arena_array(&s->tmp, (size_t)s->g->n_values + 1, sizeof *now);
    int best = 0;
    if (!at || !made || !ahead || !own || !now) return omma_decoder_nomem(s);
    for (int i = 0; i < s->g->n_values; i++) now[i] = at[i] && made[i];
    for (int i = 0; i < s->g->n_values; i++) {
        const omma_value *v = s->g->values[i];
        if (!ahead[i] || !own[i] || !fours(s, v)) continue;
        const int before = best;
        (void)most_alike(s, now, v, a, &best);
        if (best > before) d->last_box = v;
    }
    return OMMA_OK;
}

static omma_status find_layer_box(omma_decoder_search *s, int i) {
    omma_decoder *d = s->out;
    const omma_value *const a[2] = {d->layer[i].out, d->layer[d->n_layer - 1].out};
    bool *at = read_by(s, &d->layer[i + 1]);
    const bool *made = omma_decoder_behind(s, d->layer[i].out);
    int best = 0;
    if (!at || !made) return omma_decoder_nomem(s);
    for (int k = 0; k < s->g->n_values; k++) at[k] &= made[k];
    d->layer[i].box = most_alike(s, at, d->last_box, a, &best);
    return OMMA_OK;
}

/* The value that v shows under other dims. */
static const omma_value *before_views(const omma_value *v) {
    while (v->producer && (v->producer->op->flags & OMMA_OP_VIEW)) v = v->producer->in[0];
    return v;
}

static const omma_value *last_of(const omma_decoder_search *s, const bool *at) {
    for (int i = s->g->n_nodes - 1; i >= 0; i--) {
        const omma_node *n = s->g->nodes[i];
        for (int k = 0; k < n->n_out; k++)
            if (n->out[k] && at[n->out[k]->index]) return n->out[k];
    }
    return NULL;
}

/* The first layer reads boxes at the place where the second reads those behind the first. */
static omma_status find_start(omma_decoder_search *s) {
    omma_decoder *d = s->out;
    const bool *first = read_by(s, &d->layer[0]), *second = read_by(s, &d->layer[1]);
    if (!first || !second) return omma_decoder_nomem(s);
    const omma_value *v = last_of(s, second);
    if (v && d->layer[0].box && before_views(v) == before_views(d->layer[0].box))
        d->start = last_of(s, first);
    return OMMA_OK;
}

/* --- rows ------------------------------------------------------------------------------------ */

/* An output of boxes that are the answers' at chosen indices. */
static void find_rows(omma_decoder_search *s) {
    omma_decoder *d = s->out;
    for (int i = 0; i < s->g->n_outputs && d->box && !d->row; i++) {
        const omma_value *v = before_views(s->g->outputs[i]);
        const omma_node *n = v->producer;
        if (!n || v->rank < 2 || v->dims[v->rank - 1] != 4) continue;
        const bool each = !strcmp(n->op->name, "GatherElements"),
                   some = !strcmp(n->op->name, "Gather");
        if ((!each && !some) || before_views(n->in[0]) != before_views(d->box->value)) continue;
        const int64_t axis = omma_node_int(n, "axis", 0), rank = n->in[0]->rank;
        if ((axis < 0 ? axis + rank : axis) != rank - 2) continue;
        d->row = n->in[1];
        d->row_step = each ? 4 : 1;
        d->rows = v->dims[v->rank - 2];
    }
}

omma_status omma_decoder_find_boxes(omma_decoder_search *s) {
    omma_decoder *d = s->out;
    find_answers(s);
    find_rows(s);
    if (d->box && d->n_layer > 1) {
        OMMA_TRY(find_last_box(s));
        for (int i = 0; i + 1 < d->n_layer && d->last_box; i++) OMMA_TRY(find_layer_box(s, i));
        if (d->last_box) OMMA_TRY(find_start(s));
    }
    return OMMA_OK;
}

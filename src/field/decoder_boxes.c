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

/* The value that v shows under other dims. */
static const omma_value *before_views(const omma_value *v) {
    while (v->producer && (v->producer->op->flags & OMMA_OP_VIEW)) v = v->producer->in[0];
    return v;
}

/* --- answers --------------------------------------------------------------------------------- */

/* Does every query of every picture have one entry, and no more than one? */
static bool one_each(const omma_decoder_search *s, const omma_answer *a) {
    const omma_value *v = a->value;
    const int64_t width = a->axis + 1 < v->rank ? v->dims[v->rank - 1] : 1;
    return count_of(v) == s->a->attention[0].batch * s->out->queries * width;
}

/* Products between the last layer's out and v. */
static omma_status count_products(omma_decoder_search *s, const omma_value *v, int *count) {
    const bool *behind = omma_decoder_behind(s, s->out->layer[s->out->n_layer - 1].out),
               *ahead = omma_decoder_ahead(s, v);
    if (!behind || !ahead) return omma_decoder_nomem(s);
    *count = 0;
    for (int i = 0; i < s->g->n_nodes; i++) {
        const omma_node *n = s->g->nodes[i];
        const omma_value *y = n->out[0];
        const bool product = !strcmp(n->op->name, "MatMul") || !strcmp(n->op->name, "Gemm");
        *count += product && y && behind[y->index] && ahead[y->index];
    }
    return OMMA_OK;
}

/* Four numbers of each query may be classes too: boxes come from the deeper heads. */
static omma_status find_box(omma_decoder_search *s) {
    omma_decoder *d = s->out;
    int most = -1, n = 0;
    for (int i = 0; i < s->a->n_answer; i++) {
        const omma_answer *a = &s->a->answer[i];
        if (!a->boxes || !one_each(s, a)) continue;
        OMMA_TRY(count_products(s, a->value, &n));
        if (n > most) most = n, d->box = a;
    }
    return OMMA_OK;
}

/* Of several scores those of most classes. */
static const omma_answer *most_classes(const omma_decoder_search *s) {
    const omma_answer *best = NULL;
    for (int i = 0; i < s->a->n_answer; i++) {
        const omma_answer *a = &s->a->answer[i];
        if (a == s->out->box || a->masks || !one_each(s, a)) continue;
        if (!best || count_of(a->value) > count_of(best->value)) best = a;
    }
    return best;
}

/* One number a query that is the largest of several: those are the scores. */
static omma_status find_score(omma_decoder_search *s) {
    omma_decoder *d = s->out;
    const omma_answer *a = d->score = most_classes(s);
    const omma_node *n = a ? before_views(a->value)->producer : NULL;
    if (!n || strcmp(n->op->name, "ReduceMax") || a->axis + 1 < a->value->rank) return OMMA_OK;
    const omma_value *v = n->in[0];
    if (v->rank != a->axis + 2 || v->dims[a->axis] != d->queries ||
        count_of(v) != count_of(a->value) * v->dims[a->axis + 1])
        return OMMA_OK;
    omma_answer *all = omma_arena_alloc(s->keep, sizeof *all);
    if (!all) return omma_decoder_nomem(s);
    *all = (omma_answer){.value = v, .axis = a->axis};
    d->score = all;
    return OMMA_OK;
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
static const omma_value *most_alike(omma_decoder_search *s, const bool *at, const omma_value *v,
                                    const omma_decoder_ends *e, int *best) {
    const omma_value *found = NULL;
    for (int i = 0; i < s->g->n_values; i++) {
        const int n = at[i] && e->made[i] ? omma_decoder_alike(s, s->g->values[i], v, e) : 0;
        if (n >= ALIKE && n >= *best) *best = n, found = s->g->values[i];
    }
    return found;
}

/* The value on the way to the answers that is made as boxes behind the layer before are. */
static omma_status find_last_box(omma_decoder_search *s) {
    omma_decoder *d = s->out;
    const omma_decoder_layer *last = &d->layer[d->n_layer - 1];
    const omma_decoder_ends e = {{last[-1].out, last->out}, omma_decoder_behind(s, last[-1].out)};
    const bool *at = read_by(s, last), *ahead = omma_decoder_ahead(s, d->box->value),
               *own = omma_decoder_behind(s, last->out);
    int best = 0;
    if (!at || !e.made || !ahead || !own) return omma_decoder_nomem(s);
    for (int i = 0; i < s->g->n_values; i++) {
        const omma_value *v = s->g->values[i];
        const int before = best;
        if (!ahead[i] || !own[i] || !fours(s, v)) continue;
        (void)most_alike(s, at, v, &e, &best);
        if (best > before) d->last_box = v;
    }
    return OMMA_OK;
}

static omma_status find_layer_box(omma_decoder_search *s, int i) {
    omma_decoder *d = s->out;
    const omma_decoder_ends e = {{d->layer[i].out, d->layer[d->n_layer - 1].out},
                                 omma_decoder_behind(s, d->layer[i].out)};
    const bool *at = read_by(s, &d->layer[i + 1]);
    int best = 0;
    if (!at || !e.made) return omma_decoder_nomem(s);
    d->layer[i].box = most_alike(s, at, d->last_box, &e, &best);
    return OMMA_OK;
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
    OMMA_TRY(find_box(s));
    OMMA_TRY(find_score(s));
    find_rows(s);
    if (d->box && d->n_layer > 1) {
        OMMA_TRY(find_last_box(s));
        for (int i = 0; i + 1 < d->n_layer && d->last_box; i++) OMMA_TRY(find_layer_box(s, i));
        if (d->last_box) OMMA_TRY(find_start(s));
    }
    return OMMA_OK;
}

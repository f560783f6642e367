/* anatomy_answers.c - what is known once all residual additions are: which layer an attention is
 * in, which queries are object queries, and which values have one entry for each of them. See
 * anatomist.h. */
#include <string.h>

#include "field/anatomist.h"

/* --- layers and decoders --------------------------------------------------------------------- */

static bool has_feed_forward(const omma_anatomist *s, int attention) {
    for (int i = 0; i < s->out->n_feed_forward; i++)
        if (s->out->feed_forward[i].after == attention) return true;
    return false;
}

/* Attentions of one layer: a self-attention and the cross-attentions behind it, on one stream. */
static void number_layers(omma_anatomist *s) {
    omma_attention *a = s->out->attention;
    for (int k = 1; k < s->out->n_attention; k++) {
        const bool same = a[k].kind == OMMA_ATTENTION_CROSS &&
                          a[k].query.count == a[k - 1].query.count && !has_feed_forward(s, k - 1) &&
                          (a[k - 1].kind == OMMA_ATTENTION_SELF || a[k - 1].decoder);
        a[k].block = a[k - 1].block + !same;
    }
}

static void find_decoders(omma_anatomist *s) {
    for (int k = 0; k < s->out->n_attention; k++) {
        omma_attention *a = &s->out->attention[k];
        const omma_value *from = a->in ? a->in : a->query.value;
        a->decoder = !a->query.placed && from && omma_origin_of(s, from) != OMMA_ORIGIN_PLACE;
        if (a->decoder) s->out->object_queries = a->query.count;
    }
}

/* --- answers --------------------------------------------------------------------------------- */

/* By value: where the number of the object query is that an element belongs to. */
typedef struct entry {
    bool knows;   /* is it made from the queries at all? */
    omma_digit g; /* axis -1: its elements are made from several */
} entry;

/* The last sum of the decoder's stream. */
static const omma_value *last_sum(const omma_anatomist *s, int *axis) {
    const omma_anatomy *out = s->out;
    const omma_tokens *t = NULL;
    const omma_value *last = NULL;
    for (int k = 0; k < out->n_attention; k++)
        if (out->attention[k].decoder && out->attention[k].out) {
            t = &out->attention[k].query;
            last = out->attention[k].out;
        }
    if (!last) return NULL;
    for (int i = 0; i < s->g->n_nodes; i++) {
        const omma_value *v = s->g->nodes[i]->out[0], *x = v ? s->skip_of[v->index] : NULL;
        while (x && x != last)
            x = s->skip_of[x->index] ? s->skip_of[x->index] : omma_value_before(s, x);
        if (x) last = v;
    }
    *axis = t->axis;
    return t->axes == 1 && last->rank == t->value->rank && last->dims[*axis] == t->count ? last
                                                                                         : NULL;
}

static bool is_whole(omma_digit g, const omma_value *v) {
    return g.axis >= 0 && !g.off && g.div == 1 && g.mod == v->dims[g.axis];
}

static bool same_digit(omma_digit a, omma_digit b) {
    return a.axis == b.axis && (a.axis < 0 || (a.div == b.div && a.mod == b.mod));
}

/* What relation r makes of the queries' digit in its input. */
static omma_digit carry(const omma_relation *r, const omma_value *x, const omma_value *y,
                        omma_digit g) {
    const omma_map *map = NULL;
    omma_digit to = {.axis = -1};
    if (g.axis < 0) return g;
    const omma_step step = omma_digit_along(r, x, y, g, &to, &map);
    const bool even =
        step == OMMA_STEP_SAME || (step == OMMA_STEP_MAP && !map->item && !map->first &&
                                   map->stride == 1 && map->div == 1 && map->count == 1);
    if (!even || to.off || to.mod != g.mod) to.axis = -1;
    return to;
}

/* By value index, from v's axis on. NULL: no memory. */
static entry *follow_queries(omma_anatomist *s, const omma_value *v, int axis) {
    entry *at = omma_arena_array(&s->tmp, (size_t)s->g->n_values, sizeof *at);
    if (!at) return NULL;
    at[v->index] = (entry){true, {axis, 0, 1, v->dims[axis]}};
    for (int i = 0; i < s->g->n_nodes; i++) {
        const omma_node *n = s->g->nodes[i];
        const struct omma_node_field *nf = &s->f->fields.node[i];
        for (int k = 0; k < nf->count; k++) {
            const omma_relation *r = nf->relation[k];
            const omma_value *x = n->in[r->in], *y = n->out[r->out];
            entry *to = &at[y->index];
            if (!at[x->index].knows || y == v || r->path == OMMA_PATH_STATISTIC || r->data)
                continue; /* what chooses for the image at hand may choose anything */
            const omma_digit g = carry(r, x, y, at[x->index].g);
            if (to->knows && !same_digit(to->g, g)) to->g.axis = -1;
            if (!to->knows) *to = (entry){true, g};
        }
    }
    return at;
}

static bool is_entry(const entry *at, const omma_value *v) {
    return at[v->index].knows && is_whole(at[v->index].g, v);
}

/* Mark the values at an end: of which a node makes something with no entry for each query, at once
 * or by moves that only hide the entries. By value index; NULL: no memory. */
static bool *find_ends(omma_anatomist *s, const entry *at) {
    bool *end = omma_arena_array(&s->tmp, (size_t)s->g->n_values, sizeof *end);
    for (int i = s->g->n_nodes - 1; i >= 0 && end; i--) {
        const omma_node *n = s->g->nodes[i];
        bool ends = false;
        for (int k = 0; k < n->n_out; k++) {
            const omma_value *y = n->out[k];
            if (!y || !at[y->index].knows || is_entry(at, y)) continue;
            ends |= at[y->index].g.axis < 0 || end[y->index];
        }
        for (int k = 0; k < n->n_in; k++)
            if (n->in[k] && ends) end[n->in[k]->index] = true;
    }
    return end;
}

static bool is_real(const omma_value *v) {
    return v->dtype == OMMA_F32 || v->dtype == OMMA_F64 || v->dtype == OMMA_F16 ||
           v->dtype == OMMA_BF16;
}

/* end: by value; NULL: outputs are taken. */
static void add_answers(omma_anatomist *s, const entry *at, const bool *end) {
    omma_anatomy *out = s->out;
    for (int i = 0; i < s->g->n_values; i++) {
        const omma_value *v = s->g->values[i];
        if (!is_entry(at, v) || !is_real(v) || (end ? !end[i] : !v->is_output)) continue;
        const int axis = at[i].g.axis, behind = v->rank - 1 - axis;
        out->answer[out->n_answer++] =
            (omma_answer){v, axis, behind == 1 && v->dims[v->rank - 1] == 4, behind == 2};
    }
}

omma_status omma_anatomist_answers(omma_anatomist *s) {
    int axis = 0;
    find_decoders(s);
    number_layers(s);
    s->out->answer = omma_arena_array(s->keep, (size_t)s->g->n_values + 1, sizeof *s->out->answer);
    if (!s->out->answer) return omma_anatomist_nomem(s);
    const omma_value *last = last_sum(s, &axis);
    if (!last) return OMMA_OK;
    const entry *at = follow_queries(s, last, axis);
    if (!at) return omma_anatomist_nomem(s);
    add_answers(s, at, NULL);
    if (s->out->n_answer) return OMMA_OK;
    const bool *end = find_ends(s, at);
    if (!end) return omma_anatomist_nomem(s);
    add_answers(s, at, end);
    return OMMA_OK;
}

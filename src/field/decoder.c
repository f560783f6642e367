/* decoder.c - layers of a decoder. See decoder.h. */
#include "field/decoder.h"

#include <stdio.h>
#include <string.h>

#include "field/field_table.h"
#include "op/op.h"

enum { DEEP = 200, VISITS = 200 }; /* nodes */

/* --- what is made from what ---------------------------------------------------------------- */

bool *omma_decoder_behind(omma_decoder_search *s, const omma_value *v) {
    bool *at = omma_arena_array(&s->tmp, (size_t)s->g->n_values + 1, sizeof *at);
    if (!at) return NULL;
    at[v->index] = true;
    for (int i = 0; i < s->g->n_nodes; i++) {
        const omma_node *n = s->g->nodes[i];
        bool any = false;
        for (int k = 0; k < n->n_in; k++) any |= n->in[k] && at[n->in[k]->index];
        for (int k = 0; k < n->n_out; k++)
            if (n->out[k] && any) at[n->out[k]->index] = true;
    }
    return at;
}

bool *omma_decoder_ahead(omma_decoder_search *s, const omma_value *v) {
    bool *at = omma_arena_array(&s->tmp, (size_t)s->g->n_values + 1, sizeof *at);
    if (!at) return NULL;
    at[v->index] = true;
    for (int i = s->g->n_nodes - 1; i >= 0; i--) {
        const omma_node *n = s->g->nodes[i];
        bool any = false;
        for (int k = 0; k < n->n_out; k++) any |= n->out[k] && at[n->out[k]->index];
        for (int k = 0; k < n->n_in; k++)
            if (n->in[k] && any) at[n->in[k]->index] = true;
    }
    return at;
}

/* --- what is made alike ---------------------------------------------------------------------- */

static bool same_shape(const omma_value *u, const omma_value *v) {
    return u->dtype == v->dtype && u->rank == v->rank &&
           !memcmp(u->dims, v->dims, (size_t)(u->rank > 0 ? u->rank : 0) * sizeof *u->dims);
}

static int place_among(const omma_node *n, const omma_value *v) {
    int k = 0;
    while (n->out[k] != v) k++;
    return k;
}

/* The same operator, with the same numbers of everything? */
static bool same_node(const omma_value *u, const omma_value *v) {
    const omma_node *a = u->producer, *b = v->producer;
    return a && b && same_shape(u, v) && a->op == b->op && a->n_in == b->n_in &&
           a->n_out == b->n_out && place_among(a, u) == place_among(b, v);
}

static int alike(omma_decoder_search *s, const omma_value *u, const omma_value *v,
                 const omma_decoder_ends *e, int deep) {
    if (!u || !v || u == v || u == e->at[0] || v == e->at[1] || !e->made[u->index] || deep > DEEP ||
        s->seen[u->index] == s->search || !same_node(u, v))
        return 0;
    int n = 1;
    s->seen[u->index] = s->search;
    for (int k = 0; k < u->producer->n_in; k++)
        n += alike(s, u->producer->in[k], v->producer->in[k], e, deep + 1);
    return n;
}

int omma_decoder_alike(omma_decoder_search *s, const omma_value *u, const omma_value *v,
                       const omma_decoder_ends *e) {
    s->search++;
    return alike(s, u, v, e, 0);
}

/* Is v made from a[1] as u is from a[0], in every node? */
static bool twins(const omma_value *u, const omma_value *v, const omma_value *const a[2],
                  int *visits) {
    if (u == a[0] || v == a[1]) return u == a[0] && v == a[1];
    if (u == v) return true;
    if (!u || !v || ++*visits > VISITS) return false;
    if (u->data && v->data) return same_shape(u, v);
    if (!same_node(u, v)) return false;
    for (int k = 0; k < u->producer->n_in; k++)
        if (!twins(u->producer->in[k], v->producer->in[k], a, visits)) return false;
    return true;
}

bool omma_decoder_moves(const omma_node *n) {
    static const char *const names[] = {"Reshape", "Transpose", "Unsqueeze", "Squeeze",
                                        "Flatten", "Identity",  "Concat",    "Split",
                                        "Slice",   "Gather",    "Expand",    "Tile"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(n->op->name, names[i])) return true;
    return false;
}

/* --- layers ---------------------------------------------------------------------------------- */

static bool is_decoders(const omma_decoder_search *s, const omma_attention *a) {
    return a->decoder && a->query.count == s->out->queries;
}

static int place_of(const omma_value *sum) {
    return sum && sum->producer ? sum->producer->index : -1;
}

/* The later of the two becomes the layer's sum. */
static void take_sum(omma_decoder_layer *l, const omma_value *sum) {
    if (place_of(sum) > place_of(l->sum)) l->sum = sum;
}

static omma_decoder_layer *layer_of(omma_decoder *d, int block) {
    for (int i = 0; i < d->n_layer; i++)
        if (d->layer[i].block == block) return &d->layer[i];
    return NULL;
}

static void take_attentions(omma_decoder_search *s) {
    omma_decoder *d = s->out;
    for (int k = 0; k < s->a->n_attention; k++) {
        const omma_attention *a = &s->a->attention[k];
        if (!is_decoders(s, a)) continue;
        omma_decoder_layer *l = layer_of(d, a->block);
        if (!l) {
            l = &d->layer[d->n_layer++];
            *l = (omma_decoder_layer){.block = a->block, .self = -1, .cross = -1};
        }
        *(a->kind == OMMA_ATTENTION_CROSS ? &l->cross : &l->self) = k;
        take_sum(l, a->out);
    }
}

static void take_feed_forwards(omma_decoder_search *s) {
    for (int i = 0; i < s->a->n_feed_forward; i++) {
        const omma_feed_forward *b = &s->a->feed_forward[i];
        if (b->after < 0 || !is_decoders(s, &s->a->attention[b->after])) continue;
        omma_decoder_layer *l = layer_of(s->out, s->a->attention[b->after].block);
        if (l) take_sum(l, b->out);
    }
}

/* Reads of queries come behind the first sum of their layer; so do those of no known addition. */
static void take_samplings(omma_decoder_search *s) {
    omma_decoder *d = s->out;
    for (int i = 0; i < s->a->n_sampling; i++) {
        const omma_sampling *p = &s->a->sampling[i];
        const omma_value *w = p->where;
        omma_decoder_layer *l = NULL;
        const int at = p->out ? place_of(p->out) : p->node->index;
        if (strcmp(p->node->op->name, "GridSample") || w->rank != 4 || w->dims[1] != d->queries ||
            w->dims[3] != 2)
            continue;
        for (int k = 0; k < s->a->n_attention; k++)
            if (is_decoders(s, &s->a->attention[k]) && place_of(s->a->attention[k].out) < at)
                l = layer_of(d, s->a->attention[k].block);
        if (!l || l->n_sampling == OMMA_DECODER_SAMPLINGS) continue;
        l->sampling[l->n_sampling++] = i;
        take_sum(l, p->out);
    }
}

/* What the attention that begins a layer takes the queries from. */
static const omma_value *begins_with(const omma_decoder_search *s, int block) {
    for (int k = 0; k < s->a->n_attention; k++)
        if (is_decoders(s, &s->a->attention[k]) && s->a->attention[k].block == block)
            return s->a->attention[k].in;
    return NULL;
}

/* The value made of `sum` as the out of the layer before is made of its own; NULL: none. */
static const omma_value *counterpart(omma_decoder_search *s, const omma_decoder_layer *before,
                                     const omma_value *sum) {
    const omma_value *const a[2] = {before->sum, sum};
    const bool *made = omma_decoder_behind(s, sum);
    for (int i = 0; i < s->g->n_values && made; i++) {
        int visits = 0;
        if (made[i] && twins(before->out, s->g->values[i], a, &visits)) return s->g->values[i];
    }
    return NULL;
}

static void find_outs(omma_decoder_search *s) {
    omma_decoder *d = s->out;
    omma_decoder_layer *last = &d->layer[d->n_layer - 1];
    bool fine = true;
    for (int i = 0; i + 1 < d->n_layer; i++) {
        d->layer[i].out = begins_with(s, d->layer[i + 1].block);
        fine &= d->layer[i].out && same_shape(d->layer[i].out, last->sum);
    }
    if (fine && d->n_layer > 1) last->out = counterpart(s, last - 1, last->sum);
    for (int i = 0; i < d->n_layer && !last->out; i++)
        if (i + 1 == d->n_layer || !fine) d->layer[i].out = d->layer[i].sum;
}

static void name_layers(omma_decoder_search *s) {
    for (int i = 0; i < s->out->n_layer; i++) {
        omma_decoder_layer *l = &s->out->layer[i];
        omma_field_label(l->label, sizeof l->label, l->sum);
    }
}

static omma_status find_layers(omma_decoder_search *s) {
    omma_decoder *d = s->out;
    d->layer = omma_arena_array(s->keep, (size_t)s->a->n_attention + 1, sizeof *d->layer);
    s->seen = omma_arena_array(&s->tmp, (size_t)s->g->n_values + 1, sizeof *s->seen);
    if (!d->layer || !s->seen) return omma_decoder_nomem(s);
    take_attentions(s);
    take_feed_forwards(s);
    take_samplings(s);
    for (int i = 0; i < d->n_layer; i++)
        if (!d->layer[i].sum) d->n_layer = 0;
    if (!d->n_layer) return OMMA_OK;
    find_outs(s);
    name_layers(s);
    OMMA_TRY(omma_decoder_find_boxes(s));
    OMMA_TRY(omma_decoder_find_reads(s));
    return omma_decoder_find_needs(s);
}

omma_status omma_decoder_find(omma_decoder *out, const omma_fov *f, const omma_anatomy *a,
                              omma_arena *arena, omma_error *err) {
    *out = (omma_decoder){.queries = a->object_queries};
    if (!a->object_queries) return OMMA_OK;
    omma_decoder_search s = {
        .out = out, .f = f, .g = f->specialised.graph, .a = a, .keep = arena, .err = err};
    omma_arena_init(&s.tmp, arena->budget);
    const omma_status bad = find_layers(&s);
    omma_arena_free(&s.tmp);
    return bad;
}

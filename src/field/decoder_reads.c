/* decoder_reads.c - what the samplings of a decoder read: the weights of their points, where the
 * maps lie in the picture; and which values of a run all of a decoder's numbers need. See
 * decoder.h. */
#include <math.h>
#include <string.h>

#include "field/decoder.h"
#include "field/way.h"
#include "op/op.h"

/* --- weights of points ----------------------------------------------------------------------- */

/* Follow what was read through moves to the product with what depends on data besides. */
static omma_status find_weight(omma_decoder_search *s, const omma_value *read,
                               omma_decoder_reading *out) {
    bool *at = omma_arena_array(&s->tmp, (size_t)s->g->n_values + 1, sizeof *at);
    if (!at) return omma_decoder_nomem(s);
    at[read->index] = true;
    for (int i = read->producer->index + 1; i < s->g->n_nodes; i++) {
        const omma_node *n = s->g->nodes[i];
        for (int k = 0; k < n->n_in; k++) {
            if (!n->in[k] || !at[n->in[k]->index]) continue;
            if (omma_decoder_moves(n))
                for (int o = 0; o < n->n_out; o++)
                    if (n->out[o]) at[n->out[o]->index] = true;
            if (strcmp(n->op->name, "Mul") || out->read) continue;
            const omma_value *w = n->in[1 - k];
            if (s->f->fields.depends[w->index] && !at[w->index])
                out->read = n->in[k], out->weight = w;
        }
    }
    return OMMA_OK;
}

/* --- places of maps -------------------------------------------------------------------------- */

typedef struct reaches {
    const omma_reach *rows, *columns; /* by value index */
    const omma_value *image;
    int down, across;
} reaches;

static bool find_reaches(omma_decoder_search *s, reaches *r) {
    r->image = omma_fov_image(s->f, &r->down, &r->across);
    if (!r->image) return true;
    r->rows = omma_reaches(&s->f->fields, r->image, r->down, OMMA_FIELD_CONTENT, &s->tmp);
    r->columns = omma_reaches(&s->f->fields, r->image, r->across, OMMA_FIELD_CONTENT, &s->tmp);
    return r->rows && r->columns;
}

static bool has_cells(const omma_reach *r, int64_t cells) {
    return r->any && r->digit.axis >= 0 && r->digit.mod == cells;
}

/* Where rows x columns cells lie that share a picture evenly. */
static void share_evenly(omma_decoder_reading *out, const reaches *r, int64_t rows,
                         int64_t columns) {
    out->jump_y = (double)r->image->dims[r->down] / (double)rows;
    out->jump_x = (double)r->image->dims[r->across] / (double)columns;
    out->first_y = (out->jump_y - 1) / 2;
    out->first_x = (out->jump_x - 1) / 2;
}

/* The map's places are those of the first value on the way to it, the one with the smallest
 * windows, that has as many rows and columns: where maps of several sizes are joined, windows have
 * no middle of their own, or one that lies where the coarser map's cells were put. */
static omma_status find_place(omma_decoder_search *s, const reaches *r, const omma_value *map,
                              omma_decoder_reading *out) {
    const bool *ahead = omma_decoder_ahead(s, map);
    double least = INFINITY;
    if (!ahead) return omma_decoder_nomem(s);
    share_evenly(out, r, map->dims[2], map->dims[3]);
    for (int i = 0; i < s->g->n_nodes; i++) {
        const omma_value *v = s->g->nodes[i]->out[0];
        if (!v || !ahead[v->index]) continue;
        const omma_reach *y = &r->rows[v->index], *x = &r->columns[v->index];
        if (!has_cells(y, map->dims[2]) || !has_cells(x, map->dims[3])) continue;
        const double size = omma_reach_size(y) + omma_reach_size(x);
        if (size >= least) continue;
        least = size;
        out->placed = true;
        out->jump_y = y->stride, out->first_y = omma_reach_centre(y, 0);
        out->jump_x = x->stride, out->first_x = omma_reach_centre(x, 0);
    }
    return OMMA_OK;
}

omma_status omma_decoder_find_reads(omma_decoder_search *s) {
    omma_decoder *d = s->out;
    reaches r = {0};
    d->reading = omma_arena_array(s->keep, (size_t)s->a->n_sampling + 1, sizeof *d->reading);
    if (!d->reading) return omma_decoder_nomem(s);
    for (int i = 0; i < d->n_layer; i++)
        for (int k = 0; k < d->layer[i].n_sampling; k++) {
            const int n = d->layer[i].sampling[k];
            const omma_sampling *p = &s->a->sampling[n];
            if (!r.image && !find_reaches(s, &r)) return omma_decoder_nomem(s);
            if (r.image) OMMA_TRY(find_place(s, &r, p->map, &d->reading[n]));
            OMMA_TRY(find_weight(s, p->node->out[0], &d->reading[n]));
        }
    return OMMA_OK;
}

/* --- what is needed -------------------------------------------------------------------------- */

typedef struct needs {
    bool *taken;
    omma_decoder_search *s;
} needs;

static void need(needs *n, const omma_value *v) {
    omma_decoder *d = n->s->out;
    if (!v || n->taken[v->index]) return;
    n->taken[v->index] = true;
    d->needed[d->n_needed++] = v;
}

static omma_status need_sides(needs *n, const omma_value *from, const omma_value *to) {
    const omma_value **side;
    int count;
    OMMA_TRY(omma_way_sides(&side, &count, n->s->g, from, to, &n->s->tmp, n->s->err));
    for (int i = 0; i < count; i++) need(n, side[i]);
    return OMMA_OK;
}

omma_status omma_decoder_find_needs(omma_decoder_search *s) {
    omma_decoder *d = s->out;
    const omma_value *last = d->layer[d->n_layer - 1].out;
    needs n = {omma_arena_array(&s->tmp, (size_t)s->g->n_values + 1, sizeof *n.taken), s};
    d->needed = omma_arena_array(s->keep, (size_t)s->g->n_values + 1, sizeof *d->needed);
    if (!n.taken || !d->needed) return omma_decoder_nomem(s);
    for (int i = 0; i < d->n_layer; i++) need(&n, d->layer[i].out), need(&n, d->layer[i].box);
    need(&n, d->start);
    need(&n, d->last_box);
    need(&n, d->row);
    need(&n, d->score ? d->score->value : NULL);
    for (int i = 0; i < s->a->n_sampling; i++) need(&n, d->reading[i].weight);
    if (d->score) OMMA_TRY(need_sides(&n, last, d->score->value));
    if (d->box) OMMA_TRY(need_sides(&n, last, d->box->value));
    return d->last_box ? need_sides(&n, d->last_box, d->box->value) : OMMA_OK;
}

/* sampled.c - see sampled.h. Which weight belongs to which point is found by sending the points'
 * numbers along the moves between the sampling and the product with the weights. */
#include "field/sampled.h"

#include <string.h>

#include "field/way.h"
#include "op/op.h"

static omma_status no_memory(omma_error *err) {
    return omma_fail(err, OMMA_E_NOMEM, "no memory for sampled points");
}

/* One sampling: its points are [first, first + points) of a head's. */
typedef struct part {
    const omma_sampling *p;
    const omma_decoder_reading *reading;
    int64_t first, points;
} part;

/* --- places ---------------------------------------------------------------------------------- */

static void put_places(omma_sampled *out, const omma_sight *s, const part *at) {
    const omma_tensor *t = omma_sight_tensor(s, at->p->where);
    const omma_decoder_reading *r = at->reading;
    const bool edge = omma_node_int(at->p->node, "align_corners", 0) == 0;
    const double jump[2] = {r->jump_y, r->jump_x}, first[2] = {r->first_y, r->first_x};
    for (int64_t i = 0; i < out->heads * out->queries * at->points; i++) {
        const int64_t point = i % at->points, q = i / at->points % out->queries,
                      head = i / at->points / out->queries;
        float *to = out->place + 2 * ((q * out->heads + head) * out->points + at->first + point);
        for (int k = 0; k < 2; k++) {
            const double g = omma_get_number(t->dtype, t->data, 2 * i + 1 - k) + 1;
            const double cells = (double)at->p->map->dims[2 + k];
            const double cell = edge ? (g * cells - 1) / 2 : g / 2 * (cells - 1);
            to[k] = (float)(first[k] + jump[k] * cell);
        }
    }
}

/* --- weights --------------------------------------------------------------------------------- */

/* What joins the way is no point. */
typedef struct blanks {
    omma_arena *arena;
} blanks;

static const omma_tensor *blank(const void *user, const omma_value *v) {
    const blanks *b = user;
    const int64_t n = (int64_t)(omma_value_bytes(v) / omma_dtype_size(v->dtype));
    omma_tensor *t = omma_arena_alloc(b->arena, sizeof *t);
    float *x = omma_arena_array(b->arena, (size_t)n + 1, sizeof *x);
    if (!t || !x || v->dtype != OMMA_F32) return NULL;
    for (int64_t i = 0; i < n; i++) x[i] = -1;
    *t = omma_value_tensor(v);
    t->data = x;
    return t;
}

/* Element i of a value of dims `of`, in w, which is broadcast to it. */
static int64_t broadcast_at(const omma_tensor *w, const omma_tensor *of, int64_t i) {
    int64_t at = 0, step = 1;
    for (int d = 1; d <= of->rank; d++) {
        const int64_t n = of->dims[of->rank - d], o = i % n;
        i /= n;
        if (d > w->rank) continue;
        const int64_t m = w->dims[w->rank - d];
        at += m == 1 ? 0 : o * step;
        step *= m;
    }
    return at;
}

/* ids: the points' numbers where the weights meet them; the sampling's own are [heads, channels,
 * queries, points]. */
static void put_weights(omma_sampled *out, const omma_tensor *ids, const omma_tensor *w,
                        const part *at) {
    const int64_t channels = at->p->map->dims[1], n = omma_tensor_count(ids);
    const float *id = ids->data;
    for (int64_t i = 0; i < n; i++) {
        const int64_t e = (int64_t)id[i];
        if (e < 0) continue; /* no point */
        const int64_t point = e % at->points, q = e / at->points % out->queries,
                      c = e / at->points / out->queries % channels,
                      head = e / at->points / out->queries / channels;
        if (c || head >= out->heads) continue;
        out->weight[(q * out->heads + head) * out->points + at->first + point] =
            (float)omma_get_number(w->dtype, w->data, broadcast_at(w, ids, i));
    }
}

static omma_status send(omma_sampled *out, omma_sight *s, const part *at, const omma_tensor *w,
                        omma_arena *tmp, omma_error *err) {
    const omma_value *from = at->p->node->out[0];
    const int64_t n = (int64_t)(omma_value_bytes(from) / sizeof(float));
    float *id = omma_arena_array(tmp, (size_t)n + 1, sizeof *id);
    const omma_tensor *ids;
    const blanks b = {tmp};
    omma_way way;
    if (!id) return no_memory(err);
    for (int64_t i = 0; i < n; i++) id[i] = (float)i;
    omma_tensor x = omma_value_tensor(from);
    x.data = id;
    omma_status bad = OMMA_OK;
    if (from == at->reading->read) {
        put_weights(out, &x, w, at);
        return OMMA_OK;
    }
    bad = omma_way_new(&way, omma_sight_fov(s)->specialised.graph, from, at->reading->read, blank,
                       &b, err);
    if (!bad) bad = omma_way_run(&way, &x, &ids, err);
    if (!bad) put_weights(out, ids, w, at);
    omma_way_free(&way);
    return bad;
}

/* Whole numbers above 2^24 have no float of their own. */
static bool can_send(const part *at) {
    const omma_value *v = at->p->node->out[0];
    return at->reading->read && v->dtype == OMMA_F32 && omma_value_bytes(v) < (size_t)4 << 24;
}

static omma_status find_weights(omma_sampled *out, omma_sight *s, const part *list, int n,
                                omma_arena *arena, omma_error *err) {
    omma_arena tmp;
    omma_status bad = OMMA_OK;
    for (int i = 0; i < n; i++)
        if (!can_send(&list[i]) || !omma_sight_tensor(s, list[i].reading->weight)) return OMMA_OK;
    out->weight = omma_arena_array(arena, (size_t)(out->queries * out->heads * out->points) + 1,
                                   sizeof *out->weight);
    if (!out->weight) return no_memory(err);
    omma_arena_init(&tmp, arena->budget);
    for (int i = 0; i < n && !bad; i++)
        bad = send(out, s, &list[i], omma_sight_tensor(s, list[i].reading->weight), &tmp, err);
    omma_arena_free(&tmp);
    if (bad == OMMA_E_UNSUPPORTED) out->weight = NULL, bad = OMMA_OK;
    return bad;
}

/* --- a layer --------------------------------------------------------------------------------- */

omma_status omma_sampled_look(omma_sampled *out, omma_sight *s, int layer, omma_arena *arena,
                              omma_error *err) {
    const omma_decoder *d = omma_sight_decoder(s);
    const omma_anatomy *a = omma_sight_anatomy(s);
    const omma_decoder_layer *l = &d->layer[layer];
    part list[OMMA_DECODER_SAMPLINGS];
    *out = (omma_sampled){.queries = d->queries, .n_level = l->n_sampling, .placed = true};
    if (!l->n_sampling)
        return omma_fail_node(err, OMMA_E_NOTFOUND, l->label, NULL, "it samples nothing");
    for (int i = 0; i < l->n_sampling; i++) {
        const omma_sampling *p = &a->sampling[l->sampling[i]];
        const int64_t heads = p->where->dims[0] / a->attention[0].batch;
        list[i] = (part){p, &d->reading[l->sampling[i]], out->points, p->where->dims[2]};
        if ((i && heads != out->heads) || heads < 1 || !omma_sight_tensor(s, p->where))
            return omma_fail_node(err, OMMA_E_UNSUPPORTED, l->label, NULL,
                                  "its samplings have different heads, or no numbers");
        out->heads = heads;
        out->points += out->level[i] = p->where->dims[2];
        out->placed &= list[i].reading->placed;
    }
    out->place = omma_arena_array(arena, (size_t)(2 * out->queries * out->heads * out->points) + 1,
                                  sizeof *out->place);
    if (!out->place) return no_memory(err);
    for (int i = 0; i < l->n_sampling; i++) put_places(out, s, &list[i]);
    return find_weights(out, s, list, l->n_sampling, arena, err);
}

/* reverse.c - operators that write rows of a batch to places of their own along one axis:
 * ReverseSequence and TensorScatter.
 *
 *   ReverseSequence  x: any   lens: int64 [B]: of sequence b the first lens[b] steps in reverse,
 *                    the others as they are; batch_axis and time_axis are 0 and 1 in some order
 *   TensorScatter    past: [B, ..., S, ...]   update: the same but L for S along `axis`
 *                    at: int64 [B], default 0: of a copy of past, the L places from at[b] on are
 *                    overwritten by update, counted round and round with mode circular
 *
 * Source: ONNX ReverseSequence 10; TensorScatter 24. */
#include <string.h>

#include "base/checked.h"
#include "op/element.h"
#include "op/grad.h"
#include "op/index_map.h"
#include "op/move.h"

/* --- ReverseSequence ---------------------------------------------------------- */

typedef struct reversal {
    bool time_first;
    int64_t steps, batch;
    size_t block; /* bytes of a step of a sequence */
} reversal;

static omma_status ReverseSequence_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0], *lens = n->in[1];
    const int64_t time = omma_node_int(n, "time_axis", 0),
                  batch = omma_node_int(n, "batch_axis", 1);
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_ANY));
    OMMA_TRY(omma_want(b, n, 1, OMMA_BIT(OMMA_I64)));
    if (time < 0 || time > 1 || batch != 1 - time || x->rank < 2)
        return omma_bad(b, n, "time_axis and batch_axis must be 0 and 1 of a tensor that has both");
    reversal *r = omma_param(b, n, sizeof *r);
    if (!r) return omma_nomem(b, n);
    *r = (reversal){.time_first = time == 0, .steps = x->dims[time], .batch = x->dims[batch]};
    if (!omma_dims_bytes(x->dims + 2, x->rank - 2, omma_dtype_size(x->dtype), &r->block))
        return omma_bad(b, n, "the size overflows");
    if (lens->rank != 1 || lens->dims[0] != r->batch)
        return omma_bad(b, n, "'%s' must hold a number for each sequence", lens->name);
    return omma_out_like(b, n, 0, x);
}

static omma_status ReverseSequence_run(const omma_exec *x, const omma_node *n) {
    const reversal *r = n->param;
    const int64_t *lens = n->in[1]->mem;
    for (int64_t i = 0; i < r->batch; i++)
        if (lens[i] < 0 || lens[i] > r->steps)
            return omma_run_bad(x, n, "sequence_lens says %lld of %lld steps", (long long)lens[i],
                                (long long)r->steps);
    if (!omma_wanted(n, 0) || !r->block) return OMMA_OK;
    for (int64_t i = 0; i < r->batch; i++)
        for (int64_t t = 0; t < r->steps; t++) {
            const int64_t from = t < lens[i] ? lens[i] - 1 - t : t;
            const int64_t step = r->time_first ? r->batch : 1, seq = r->time_first ? 1 : r->steps;
            omma_move_bytes(
                (char *)n->out[0]->mem + (size_t)(i * seq + t * step) * r->block,
                (const char *)n->in[0]->mem + (size_t)(i * seq + from * step) * r->block, r->block);
        }
    return OMMA_OK;
}

/* It is its own inverse. */
static omma_status ReverseSequence_grad(omma_grad *g, const omma_node *n) {
    omma_value *in[] = {omma_grad_out(g, n, 0), n->in[1]};
    const omma_node *back = omma_make_node(&g->m, n->op, n->opset, in, 2, n->attrs, n->n_attrs, 1);
    return omma_grad_add(g, n, 0, back ? back->out[0] : NULL);
}

/* The place [time, batch] or [batch, time], row-major, that each is read from. */
static int64_t *reversed_places(omma_field *f, const reversal *r, const int64_t *lens) {
    int64_t *place = omma_arena_array(f->b->arena, (size_t)(r->batch * r->steps), sizeof *place);
    const int64_t step = r->time_first ? r->batch : 1, seq = r->time_first ? 1 : r->steps;
    if (!place) f->status = omma_nomem(f->b, f->n);
    for (int64_t i = 0; place && i < r->batch; i++)
        for (int64_t t = 0; t < r->steps; t++) {
            const int64_t from = t < lens[i] && lens[i] <= r->steps ? lens[i] - 1 - t : t;
            place[i * seq + t * step] = i * seq + from * step;
        }
    return place;
}

static omma_status ReverseSequence_field(omma_field *f, const omma_node *n) {
    const reversal *v = n->param;
    const omma_value *x = n->in[0];
    const int64_t *lens = omma_field_numbers(f, n->in[1]);
    const int time = v->time_first ? 0 : 1;
    omma_relation *r = omma_field_relate_same(f, 0, 0);
    if (r && lens) {
        int64_t dims[OMMA_MAX_RANK] = {v->batch * v->steps}, *place = reversed_places(f, v, lens);
        if (!place) return f->status;
        memcpy(dims + 1, x->dims + 2, (size_t)(x->rank - 2) * sizeof *dims);
        omma_relation_view_out(r, x->rank - 1, dims);
        omma_relation_view_in(r, x->rank - 1, dims);
        r->axis[0] = omma_map_picked(f, 0, place, dims[0]);
        for (int d = 1; d < x->rank - 1; d++) omma_relation_same(r, d, d);
    } else if (r) {
        r->axis[time] = omma_map_all(v->steps);
    }
    if (r) r->bound = !lens;
    if (r) r->data = lens && !n->in[1]->data;
    r = omma_field_relate(f, 0, 1);
    if (!r) return f->status;
    r->path = OMMA_PATH_CONTROL;
    omma_relation_same(r, 0, 1 - time);
    return f->status;
}

/* --- TensorScatter ------------------------------------------------------------ */

typedef struct cache {
    bool circular;
    int axis;
    int64_t batch, outer; /* outer: rows of an image above the axis */
    int64_t len, more;    /* S and L */
    size_t block;         /* bytes under the axis */
} cache;

static omma_status TensorScatter_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0], *update = n->in[1], *places = omma_in(n, 2);
    const char *mode = omma_node_string(n, "mode", "linear");
    int axis;
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_ANY));
    OMMA_TRY(omma_want_same(b, n, 1));
    OMMA_TRY(omma_axis(b, n, omma_node_int(n, "axis", -2), x->rank, &axis));
    if (axis == 0) return omma_bad(b, n, "the axis is the batch's");
    if (strcmp(mode, "linear") && strcmp(mode, "circular"))
        return omma_bad(b, n, "mode '%s' is neither linear nor circular", mode);
    for (int d = 0; d < x->rank || d < update->rank; d++)
        if (x->rank != update->rank || (d != axis && x->dims[d] != update->dims[d]))
            return omma_bad(b, n, "the update does not fit along axis %d", d);
    cache *c = omma_param(b, n, sizeof *c);
    if (!c) return omma_nomem(b, n);
    *c = (cache){.circular = *mode == 'c',
                 .axis = axis,
                 .batch = x->dims[0],
                 .len = x->dims[axis],
                 .more = update->dims[axis]};
    if (c->more > c->len) return omma_bad(b, n, "an update longer than the cache");
    if (!omma_dims_count(x->dims + 1, axis - 1, &c->outer) ||
        !omma_dims_bytes(x->dims + axis + 1, x->rank - axis - 1, omma_dtype_size(x->dtype),
                         &c->block))
        return omma_bad(b, n, "the size overflows");
    if (places) OMMA_TRY(omma_want(b, n, 2, OMMA_BIT(OMMA_I64)));
    if (places && (places->rank != 1 || places->dims[0] != c->batch))
        return omma_bad(b, n, "'%s' must hold a place for each batch", places->name);
    return omma_out_like(b, n, 0, x);
}

static bool may_begin(const cache *c, int64_t at) {
    return at >= 0 && at <= (c->circular ? c->len : c->len - c->more);
}

static omma_status TensorScatter_run(const omma_exec *x, const omma_node *n) {
    const cache *c = n->param;
    const int64_t *places = omma_in(n, 2) ? n->in[2]->mem : NULL;
    const size_t bytes = omma_value_bytes(n->in[0]);
    for (int64_t i = 0; places && i < c->batch; i++)
        if (!may_begin(c, places[i]))
            return omma_run_bad(x, n, "place %lld of a cache of %lld", (long long)places[i],
                                (long long)c->len);
    if (!omma_wanted(n, 0) || !bytes) return OMMA_OK;
    memcpy(n->out[0]->mem, n->in[0]->mem, bytes);
    for (int64_t r = 0; r < c->batch * c->outer; r++)
        for (int64_t i = 0; i < c->more; i++) {
            const int64_t to = ((places ? places[r / c->outer] : 0) + i) % c->len;
            omma_move_bytes((char *)n->out[0]->mem + (size_t)(r * c->len + to) * c->block,
                            (const char *)n->in[1]->mem + (size_t)(r * c->more + i) * c->block,
                            c->block);
        }
    return OMMA_OK;
}

/* Where each element of the update goes along the axis: int64, in the update's shape. */
static omma_value *cache_indices(omma_maker *m, const omma_node *n) {
    const cache *c = n->param;
    const omma_value like = {.name = "number", .dtype = OMMA_I64};
    omma_value *at =
        omma_make_3(m, "Range", omma_make_number(m, &like, 0),
                    omma_make_number(m, &like, (double)c->more), omma_make_number(m, &like, 1));
    int64_t dims[OMMA_MAX_RANK];
    const int rank = n->in[1]->rank;
    for (int d = 0; d < rank; d++) dims[d] = d == c->axis ? c->more : 1;
    at = omma_make_reshape(m, at, rank, dims);
    if (omma_in(n, 2)) {
        dims[c->axis] = 1, dims[0] = c->batch;
        at = omma_make_2(m, "Add", at, omma_make_reshape(m, n->in[2], rank, dims));
    }
    at = omma_make_2(m, "Mod", at, omma_make_number(m, &like, (double)c->len));
    return omma_make_spread(m, at, n->in[1]);
}

static omma_status TensorScatter_grad(omma_grad *g, const omma_node *n) {
    omma_value *dy = omma_grad_out(g, n, 0);
    const cache *c = n->param;
    if (!omma_value_count(n->in[1])) return omma_grad_add(g, n, 0, dy);
    if (omma_grad_wants(g, n, 0)) {
        omma_value *in[] = {dy, omma_make_full(&g->m, n->in[1], 0), omma_in(n, 2)};
        const omma_node *over =
            omma_make_node(&g->m, n->op, n->opset, in, 3, n->attrs, n->n_attrs, 1);
        OMMA_TRY(omma_grad_add(g, n, 0, over ? over->out[0] : NULL));
    }
    if (!omma_grad_wants(g, n, 1)) return OMMA_OK;
    const omma_attr axis = OMMA_A_INT("axis", c->axis);
    omma_value *in[] = {dy, cache_indices(&g->m, n)};
    return omma_grad_add(g, n, 1, omma_make(&g->m, "GatherElements", in, 2, &axis, 1));
}

/* By every step of the update in every row above the axis: the step of the cache it goes to. */
static int64_t *cache_places(omma_field *f, const cache *c, const int64_t *at) {
    const int64_t rows = c->batch * c->outer;
    int64_t *place = omma_arena_array(f->b->arena, (size_t)(rows * c->more), sizeof *place);
    if (!place) f->status = omma_nomem(f->b, f->n);
    for (int64_t r = 0; place && r < rows; r++) {
        const int64_t first = at ? at[r / c->outer] : 0;
        const bool fits = may_begin(c, first);
        for (int64_t i = 0; i < c->more; i++)
            place[r * c->more + i] = fits ? r * c->len + (first + i) % c->len : -1;
    }
    return place;
}

/* All is seen as [rows above the axis * steps, what lies under the axis]. */
static omma_status cache_known(omma_field *f, const omma_node *n, const int64_t *at, bool data) {
    const cache *c = n->param;
    const int64_t rows = c->batch * c->outer, count = omma_value_count(n->in[0]);
    const int64_t steps = rows * c->len, under = steps ? count / steps : 0, *place;
    omma_relation *r = omma_field_relate_same(f, 0, 0);
    if (!(place = cache_places(f, c, at))) return f->status;
    if (r) {
        uint64_t *only = omma_field_bits(f, count);
        for (int64_t i = 0; only && i < rows * c->more; i++)
            if (place[i] >= 0)
                omma_field_bits_clear(only, place[i] * under, (place[i] + 1) * under);
        r->out_only = only;
        r->data = data;
    }
    r = omma_field_relate(f, 0, 1);
    if (!r) return f->status;
    omma_relation_view_out(r, 2, (int64_t[]){steps, under});
    omma_relation_view_in(r, 2, (int64_t[]){rows * c->more, under});
    r->axis[0] = omma_map_placed(f, 0, steps, place, rows * c->more, true);
    r->data = data;
    omma_relation_same(r, 1, 1);
    return f->status;
}

static omma_status TensorScatter_field(omma_field *f, const omma_node *n) {
    const cache *c = n->param;
    const omma_value *places = omma_in(n, 2);
    const int64_t *at = places ? omma_field_numbers(f, places) : NULL;
    if (!places || at) {
        OMMA_TRY(cache_known(f, n, at, places && !places->data));
    } else {
        omma_relation *r = omma_field_relate_same(f, 0, 0);
        if (r) r->bound = true;
        r = omma_field_relate_same(f, 0, 1);
        if (r) r->bound = true;
        if (r) r->axis[c->axis] = omma_map_all(c->more);
    }
    omma_relation *r = omma_field_relate(f, 0, 2);
    if (!r) return f->status;
    r->path = OMMA_PATH_CONTROL;
    omma_relation_same(r, 0, 0);
    return f->status;
}

#define ROW(Name, most)                                       \
    const omma_op omma_op_##Name = {.name = #Name,            \
                                    .min_in = 2,              \
                                    .max_in = most,           \
                                    .min_out = 1,             \
                                    .max_out = 1,             \
                                    .infer = Name##_infer,    \
                                    .run = Name##_run,        \
                                    .flops = omma_move_flops, \
                                    .grad = Name##_grad,      \
                                    .field = Name##_field};
ROW(ReverseSequence, 2)
ROW(TensorScatter, 3)

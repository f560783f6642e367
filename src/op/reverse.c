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

/* --- TensorScatter ------------------------------------------------------------ */

typedef struct cache {
    bool circular;
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

static omma_status TensorScatter_run(const omma_exec *x, const omma_node *n) {
    const cache *c = n->param;
    const int64_t *places = omma_in(n, 2) ? n->in[2]->mem : NULL;
    const size_t bytes = omma_value_bytes(n->in[0]);
    for (int64_t i = 0; places && i < c->batch; i++)
        if (places[i] < 0 || places[i] > c->len || (!c->circular && places[i] > c->len - c->more))
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

#define ROW(Name, most)                                       \
    const omma_op omma_op_##Name = {.name = #Name,            \
                                    .min_in = 2,              \
                                    .max_in = most,           \
                                    .min_out = 1,             \
                                    .max_out = 1,             \
                                    .infer = Name##_infer,    \
                                    .run = Name##_run,        \
                                    .flops = omma_move_flops, \
                                    .no_grad = OMMA_NOT_YET,  \
                                    .no_field = OMMA_NOT_YET};
ROW(ReverseSequence, 2)
ROW(TensorScatter, 3)

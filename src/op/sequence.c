/* sequence.c - sequences and optionals, and Identity, which copies whatever it is given. A
 * sequence never exists while a graph runs: how long it is and which values it holds is known
 * when the graph is specialised, so each operator here is resolved to lists of values
 * (omma_value.list) and to plain operators on them. Where the data decide (a position that is
 * computed), the plan is cut before the node. Source: the ONNX operator specification. */
#include <string.h>

#include "op/element.h"
#include "op/expand_to.h"
#include "op/field.h"
#include "op/grad.h"

enum { ITEMS_MAX = 1 << 14 }; /* each insertion copies the list */

static omma_status list_in(omma_build *b, const omma_node *n, int i, const omma_list **out) {
    const omma_value *v = omma_in(n, i);
    *out = v ? v->list : NULL;
    if (*out) return OMMA_OK;
    return omma_bad(b, n, "input %d ('%s') is not a sequence", i, v ? v->name : "");
}

/* The number in input i as a position of [-count, count + extra); fallback when left out. */
static omma_status position_in(omma_build *b, const omma_node *n, int i, int count, int extra,
                               int fallback, int *out) {
    int64_t at;
    int given;
    *out = fallback;
    OMMA_TRY(omma_ints_in(b, n, i, &at, 1, &given));
    if (given == 1) {
        if (at < -count || at >= count + extra)
            return omma_bad(b, n, "position %lld of a sequence of %d", (long long)at, count);
        *out = (int)(at < 0 ? at + count : at);
        return OMMA_OK;
    }
    if (fallback < 0 || fallback >= count + extra)
        return omma_bad(b, n, "a position in an empty sequence");
    return OMMA_OK;
}

static omma_status SequenceEmpty_expand(omma_build *b, omma_graph *g, omma_node *n, bool *done) {
    *done = true;
    return omma_expand_list(&(omma_expansion){b, g, n}, 0, NULL, 0);
}

static omma_status SequenceConstruct_expand(omma_build *b, omma_graph *g, omma_node *n,
                                            bool *done) {
    *done = true;
    for (int i = 0; i < n->n_in; i++)
        if (!n->in[i]) return omma_bad(b, n, "input %d is left out", i);
    return omma_expand_list(&(omma_expansion){b, g, n}, 0, n->in, n->n_in);
}

static omma_status SequenceInsert_expand(omma_build *b, omma_graph *g, omma_node *n, bool *done) {
    const omma_list *list;
    int at;
    OMMA_TRY(list_in(b, n, 0, &list));
    OMMA_TRY(position_in(b, n, 2, list->count, 1, list->count, &at));
    if (list->count == ITEMS_MAX) return omma_unsupported(b, n, "more than %d items", ITEMS_MAX);
    omma_value **item = omma_arena_array(b->arena, (size_t)list->count + 1, sizeof *item);
    if (!item) return omma_nomem(b, n);
    for (int i = 0; i <= list->count; i++) item[i] = i == at ? n->in[1] : list->item[i - (i > at)];
    *done = true;
    return omma_expand_list(&(omma_expansion){b, g, n}, 0, item, list->count + 1);
}

static omma_status SequenceErase_expand(omma_build *b, omma_graph *g, omma_node *n, bool *done) {
    const omma_list *list;
    int at;
    OMMA_TRY(list_in(b, n, 0, &list));
    OMMA_TRY(position_in(b, n, 1, list->count, 0, list->count - 1, &at));
    omma_value **item = omma_arena_array(b->arena, (size_t)list->count, sizeof *item);
    if (!item) return omma_nomem(b, n);
    for (int i = 0; i < list->count - 1; i++) item[i] = list->item[i + (i >= at)];
    *done = true;
    return omma_expand_list(&(omma_expansion){b, g, n}, 0, item, list->count - 1);
}

static omma_status SequenceAt_expand(omma_build *b, omma_graph *g, omma_node *n, bool *done) {
    const omma_list *list;
    int at;
    OMMA_TRY(list_in(b, n, 0, &list));
    OMMA_TRY(position_in(b, n, 1, list->count, 0, list->count, &at));
    *done = true;
    return omma_expand_output(&(omma_expansion){b, g, n}, 0, list->item[at]);
}

static omma_status SequenceLength_expand(omma_build *b, omma_graph *g, omma_node *n, bool *done) {
    const omma_expansion x = {b, g, n};
    const omma_list *list;
    OMMA_TRY(list_in(b, n, 0, &list));
    omma_value *length = omma_expand_number(&x, "length", OMMA_I64, 0, list->count);
    if (!length) return omma_nomem(b, n);
    *done = true;
    return omma_expand_output(&x, 0, length);
}

static omma_status ConcatFromSequence_expand(omma_build *b, omma_graph *g, omma_node *n,
                                             bool *done) {
    const omma_expansion x = {b, g, n};
    const omma_list *list;
    OMMA_TRY(list_in(b, n, 0, &list));
    if (!list->count) return omma_bad(b, n, "an empty sequence has no shape");
    if (!omma_node_attr(n, "axis")) return omma_bad(b, n, "lacks its axis");
    for (int i = 0; i < list->count; i++)
        if (list->item[i]->list) return omma_bad(b, n, "a sequence of sequences");
    omma_value *all = omma_expand_value(&x, "all");
    if (!all) return omma_nomem(b, n);
    *done = true;
    OMMA_TRY(omma_expand_stack(&x, list->item, list->count, omma_node_int(n, "axis", 0),
                               omma_node_int(n, "new_axis", 0) != 0, "item", all));
    return omma_expand_output(&x, 0, all);
}

/* Lengths of the pieces: `split` may be one length, a list of them, or left out for ones. */
static omma_status piece_lengths(omma_build *b, const omma_node *n, int64_t length,
                                 int64_t **lengths, int *count) {
    const omma_value *split = omma_in(n, 1);
    int64_t room = split && split->rank > 0 ? omma_value_count(split) : length;
    if (room > ITEMS_MAX) return omma_unsupported(b, n, "more than %d pieces", ITEMS_MAX);
    int max = (int)room, given = -1;
    *lengths = omma_arena_array(b->arena, (size_t)max, sizeof **lengths);
    if (!*lengths) return omma_nomem(b, n);
    int64_t *each = *lengths, one = 1, sum = 0;
    if (split && split->rank == 0) OMMA_TRY(omma_ints_in(b, n, 1, &one, 1, &given));
    else if (split) {
        OMMA_TRY(omma_ints_in(b, n, 1, each, max, count));
        for (int i = 0; i < *count; i++) {
            if (each[i] < 0 || each[i] > length - sum)
                return omma_bad(b, n, "the pieces do not add up to %lld", (long long)length);
            sum += each[i];
        }
        if (sum != length)
            return omma_bad(b, n, "the pieces do not add up to %lld", (long long)length);
        return OMMA_OK;
    }
    if (one < 1) return omma_bad(b, n, "pieces of length %lld", (long long)one);
    *count = 0;
    for (; sum < length; sum += each[*count - 1])
        each[(*count)++] = one < length - sum ? one : length - sum;
    return OMMA_OK;
}

static omma_status split_node(const omma_expansion *x, omma_value *in, int axis,
                              const int64_t *lengths, omma_value **piece, int count) {
    omma_node *n = omma_graph_node(x->g, omma_op_find("Split"), x->n->name, 1, count);
    omma_attr *a = omma_arena_array(x->b->arena, 2, sizeof *a);
    if (!n || !a) return omma_nomem(x->b, x->n);
    a[0] = (omma_attr){.name = "axis", .kind = OMMA_ATTR_INT, .i = axis, .s = ""};
    a[1] = (omma_attr){
        .name = "split", .kind = OMMA_ATTR_INTS, .count = count, .ints = lengths, .s = ""};
    n->attrs = a;
    n->n_attrs = 2;
    n->opset = 11;
    n->offset = x->n->offset;
    n->in[0] = in;
    for (int i = 0; i < count; i++) {
        const char *what = omma_arena_printf(x->b->arena, "piece%d", i);
        piece[i] = what ? omma_expand_value(x, what) : NULL;
        if (!piece[i]) return omma_nomem(x->b, x->n);
        omma_node_set_output(n, i, piece[i]);
    }
    return OMMA_OK;
}

static omma_status SplitToSequence_expand(omma_build *b, omma_graph *g, omma_node *n, bool *done) {
    const omma_expansion x = {b, g, n};
    omma_value *in = n->in[0];
    int axis, count = 0;
    int64_t *lengths = NULL;
    if (in->list) return omma_bad(b, n, "splits a sequence");
    OMMA_TRY(omma_axis(b, n, omma_node_int(n, "axis", 0), in->rank, &axis));
    OMMA_TRY(piece_lengths(b, n, in->dims[axis], &lengths, &count));
    omma_value **piece = omma_arena_array(b->arena, (size_t)count, sizeof *piece);
    if (!piece) return omma_nomem(b, n);
    *done = true;
    if (count) OMMA_TRY(split_node(&x, in, axis, lengths, piece, count));
    bool squeeze = !omma_in(n, 1) && !omma_node_int(n, "keepdims", 1);
    for (int i = 0; i < count && squeeze; i++) {
        const char *what = omma_arena_printf(b->arena, "flat%d", i);
        omma_value *flat = what ? omma_expand_value(&x, what) : NULL;
        OMMA_TRY(omma_expand_node(&x, "Squeeze", &piece[i], 1, "axes", axis, flat));
        piece[i] = flat;
    }
    return omma_expand_list(&x, 0, piece, count);
}

/* --- optionals: a list of one item or none --------------------------------------------- */

static omma_status Optional_expand(omma_build *b, omma_graph *g, omma_node *n, bool *done) {
    *done = true;
    return omma_expand_list(&(omma_expansion){b, g, n}, 0, n->in, omma_in(n, 0) ? 1 : 0);
}

/* Since operator set 18 a tensor may be given in an optional's place; a sequence then cannot
 * be told from an optional, and is taken for one when it has at most one item. */
static omma_status OptionalGetElement_expand(omma_build *b, omma_graph *g, omma_node *n,
                                             bool *done) {
    const omma_list *list = n->in[0]->list;
    if (list && list->count != 1) return omma_bad(b, n, "the optional is empty");
    *done = true;
    return omma_expand_output(&(omma_expansion){b, g, n}, 0, list ? list->item[0] : n->in[0]);
}

static omma_status OptionalHasElement_expand(omma_build *b, omma_graph *g, omma_node *n,
                                             bool *done) {
    const omma_expansion x = {b, g, n};
    const omma_value *in = omma_in(n, 0);
    bool has = in && (!in->list || in->list->count);
    omma_value *answer = omma_expand_number(&x, "has", OMMA_BOOL, 0, has);
    if (!answer) return omma_nomem(b, n);
    *done = true;
    return omma_expand_output(&x, 0, answer);
}

/* --- Identity ------------------------------------------------------------------ */

static omma_status Identity_expand(omma_build *b, omma_graph *g, omma_node *n, bool *done) {
    const omma_list *list = n->in[0] ? n->in[0]->list : NULL;
    *done = list != NULL;
    if (!list) return OMMA_OK;
    return omma_expand_list(&(omma_expansion){b, g, n}, 0, list->item, list->count);
}

static omma_status Identity_infer(omma_build *b, omma_node *n) {
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_ANY));
    return omma_out_like(b, n, 0, n->in[0]);
}

static omma_status Identity_run(const omma_exec *x, const omma_node *n) {
    (void)x;
    (void)n; /* a view */
    return OMMA_OK;
}

static omma_status Identity_grad(omma_grad *g, const omma_node *n) {
    return omma_grad_add(g, n, 0, omma_grad_out(g, n, 0));
}

const omma_op omma_op_Identity = {.name = "Identity",
                                  .min_in = 1,
                                  .max_in = 1,
                                  .min_out = 1,
                                  .max_out = 1,
                                  .flags = OMMA_OP_VIEW,
                                  .expand = Identity_expand,
                                  .infer = Identity_infer,
                                  .run = Identity_run,
                                  .grad = Identity_grad,
                                  .field = omma_field_reshape};

#define GIVES_WAY "it gives way to plain operators before anything is read backwards"
#define ROW(op, least, most)                             \
    const omma_op omma_op_##op = {.name = #op,           \
                                  .min_in = least,       \
                                  .max_in = most,        \
                                  .min_out = 1,          \
                                  .max_out = 1,          \
                                  .expand = op##_expand, \
                                  .no_grad = GIVES_WAY,  \
                                  .no_field = GIVES_WAY};
ROW(SequenceEmpty, 0, 0)
ROW(SequenceConstruct, 1, -1)
ROW(SequenceInsert, 2, 3)
ROW(SequenceErase, 1, 2)
ROW(SequenceAt, 2, 2)
ROW(SequenceLength, 1, 1)
ROW(ConcatFromSequence, 1, 1)
ROW(SplitToSequence, 1, 2)
ROW(Optional, 0, 1)
ROW(OptionalGetElement, 1, 1)
ROW(OptionalHasElement, 0, 1)

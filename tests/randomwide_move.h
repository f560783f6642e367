/* randomwide_move.h - steps of random graphs (randomwide.h): operators that move numbers, take some
 * of them, or go along an axis. */
#ifndef OMMA_TESTS_RANDOMWIDE_MOVE_H
#define OMMA_TESTS_RANDOMWIDE_MOVE_H

#include "randomwide_make.h"

/* --- views ------------------------------------------------------------------------------------ */

static void view_step(wide *w) {
    omma_value *x = any(w);
    int64_t d[OMMA_MAX_RANK];
    if (roll(3) == 0) {
        push(w, ranked_as(w, x, 1 + roll(5)));
        return;
    }
    if (coin()) { /* the first dims kept, the rest in one */
        const int keep = roll(x->rank);
        for (int i = 0; i < keep; i++) d[i] = 0;
        d[keep] = -1;
        push(w, under(w, x, keep + 1, d));
        return;
    }
    wide_int(w, "axis", between(-x->rank, x->rank));
    push(w, put(w, "Flatten", 13, x));
}

static void squeeze_step(wide *w) {
    omma_value *x = any(w);
    if (x->rank > 4) return;
    const int64_t axes[] = {between(-x->rank - 2, x->rank + 1), roll(x->rank + 2)};
    const int n = 1 + coin();
    x = put(w, "Unsqueeze", 13, x, list(w, n, axes));
    if (x && coin()) push(w, x);
    if (!x) return;
    if (coin()) push(w, put(w, "Squeeze", 13, x, NULL));
    else push(w, put(w, "Squeeze", 13, x, list(w, 1, axes + n - 1)));
}

/* --- places -------------------------------------------------------------------------------------
 */

static void transpose_step(wide *w) {
    omma_value *x = any(w);
    int64_t perm[OMMA_MAX_RANK];
    for (int i = 0; i < x->rank; i++) perm[i] = i;
    for (int i = x->rank - 1; i > 0; i--) {
        const int k = roll(i + 1);
        const int64_t t = perm[i];
        perm[i] = perm[k], perm[k] = t;
    }
    if (roll(6)) wide_ints(w, "perm", x->rank, perm);
    push(w, put(w, "Transpose", 13, x));
}

static void concat_step(wide *w) {
    omma_value *x = any(w), *in[4] = {x};
    const int n = 1 + roll(3), axis = roll(x->rank);
    if (!x->rank) return;
    for (int i = 1; i < n; i++) {
        int64_t d[OMMA_MAX_RANK];
        memcpy(d, x->dims, sizeof d);
        d[axis] = 1 + roll(4);
        in[i] = rare() ? floats(w, -1, 1, x->rank, d) : shaped(w, x->rank, d);
        if (!in[i]) return;
    }
    if (coin()) in[n] = in[0], in[0] = x;
    wide_int(w, "axis", coin() ? axis : axis - x->rank);
    push(w, put_first(w, "Concat", 13, n, in));
}

static void slice_step(wide *w) {
    omma_value *x = any(w);
    int64_t axes[OMMA_MAX_RANK], from[OMMA_MAX_RANK], to[OMMA_MAX_RANK], step[OMMA_MAX_RANK];
    const int n = some_axes(x->rank, axes, 3);
    for (int i = 0; i < n; i++) {
        const int64_t len = x->dims[axes[i] < 0 ? axes[i] + x->rank : axes[i]];
        const bool back = rare();
        step[i] = (back ? -1 : 1) * between(1, 3);
        from[i] = roll(len), to[i] = between(from[i] + 1, len + 3);
        if (back) from[i] = rare() ? len + 5 : roll(len), to[i] = rare() ? -len - 1 : INT64_MIN;
        if (!back && coin()) from[i] -= len;
        if (!back && rare()) to[i] = INT64_MAX;
    }
    if (rare()) {
        wide_ints(w, "axes", n, axes), wide_ints(w, "starts", n, from), wide_ints(w, "ends", n, to);
        push(w, put(w, "Slice", 9, x));
    } else
        push(w, put(w, "Slice", 13, x, list(w, n, from), list(w, n, to), list(w, n, axes),
                    list(w, n, step)));
}

static void split_step(wide *w) {
    omma_value *x = any(w), *in[2] = {x};
    const int axis = roll(x->rank), n = 2 + roll(2);
    if (!x->rank || x->dims[axis] < n) return;
    const int64_t first = between(1, x->dims[axis] - n + 1);
    const int64_t sizes[] = {first, n == 2 ? x->dims[axis] - first : 1, x->dims[axis] - first - 1};
    const bool even = coin();
    if (!even) in[1] = list(w, n, sizes);
    wide_int(w, "axis", coin() ? axis : axis - x->rank);
    if (even && rare() && x->dims[axis] % n == 0) push_all(w, put_node(w, "Split", 13, 1, in, n));
    else {
        if (even) wide_int(w, "num_outputs", n);
        push_all(w, put_node(w, "Split", 18, even ? 1 : 2, in, n));
    }
}

static void pad_step(wide *w) {
    static const char *const modes[] = {"constant", "reflect", "edge", "wrap"};
    omma_value *x = any(w);
    int64_t pads[2 * OMMA_MAX_RANK] = {0}, axes[OMMA_MAX_RANK];
    const int mode = variant(w, 4), n = coin() ? some_axes(x->rank, axes, 2) : 0,
              all = n ? n : x->rank;
    for (int i = 0; i < 2 * all; i++) {
        const int64_t a = n ? axes[i % all] : i % all, len = x->dims[a < 0 ? a + x->rank : a];
        const int64_t most = mode == 1 ? len - 1 : len;
        if (coin()) pads[i] = between(rare() && len > 4 ? -2 : 0, most < 3 ? most : 3);
    }
    omma_value *v = mode || coin() ? NULL : coin() ? number(w, real(-1, 1)) : shaped(w, 0, NULL);
    if (mode || coin()) wide_text(w, "mode", modes[mode]);
    push(w, put(w, "Pad", 19, x, list(w, 2 * all, pads), v, n ? list(w, n, axes) : NULL));
}

static void expand_step(wide *w) {
    omma_value *x = any(w);
    int64_t d[OMMA_MAX_RANK];
    if (coin() && x->rank) { /* something to expand along */
        const int axis = roll(x->rank);
        x = put(w, "Slice", 13, x, list(w, 1, (int64_t[]){0}), list(w, 1, (int64_t[]){1}),
                list(w, 1, (int64_t[]){axis}));
        if (!x) return;
    }
    const int more = rare() && x->rank < 5;
    d[0] = 2;
    for (int i = 0; i < x->rank; i++)
        d[i + more] = x->dims[i] == 1 && coin() ? between(1, 4) : coin() ? 1 : x->dims[i];
    push(w, put(w, "Expand", 13, x, list(w, x->rank + more, d)));
}

static void tile_step(wide *w) {
    omma_value *x = any(w);
    int64_t d[OMMA_MAX_RANK];
    for (int i = 0; i < x->rank; i++) d[i] = roll(3) ? 1 : between(1, 3);
    push(w, put(w, "Tile", 13, x, list(w, x->rank, d)));
}

static void depth_step(wide *w) {
    omma_value *x = map_of(w, 2);
    const int64_t s = between(1, 3);
    if (coin()) {
        if (x->dims[2] % s || x->dims[3] % s) return;
        wide_int(w, "blocksize", s);
        push(w, put(w, "SpaceToDepth", 13, x));
        return;
    }
    if (x->dims[1] % (s * s)) {
        x = shaped(w, 4, (int64_t[]){1, s * s * between(1, 2), between(2, 6), between(2, 6)});
        if (!x) return;
    }
    wide_int(w, "blocksize", s);
    if (coin()) wide_text(w, "mode", ONE_OF("DCR", "CRD"));
    push(w, put(w, "DepthToSpace", 13, x));
}

static void crop_step(wide *w) {
    if (rare()) {
        omma_value *x = map_of(w, 3);
        const int64_t border[] = {roll(2), roll(2), roll(2), roll(2)};
        wide_ints(w, "border", 4, border);
        if (coin()) wide_ints(w, "scale", 2, (int64_t[]){1 + roll(2), 1 + roll(2)});
        push(w, put(w, "Crop", 7, x));
        return;
    }
    omma_value *x = any(w);
    int64_t axes[OMMA_MAX_RANK], d[OMMA_MAX_RANK];
    const int n = some_axes(x->rank, axes, 3);
    for (int i = 0; i < n; i++) {
        const int64_t len = x->dims[axes[i] < 0 ? axes[i] + x->rank : axes[i]];
        d[i] = between(len > 3 ? len - 3 : 1, len + 3);
    }
    wide_ints(w, "axes", n, axes);
    push(w, put(w, "CenterCropPad", 18, x, list(w, n, d)));
}

static void triangle_step(wide *w) {
    omma_value *x = ranked(w, 2 + roll(3)), *k = coin() ? whole(w, between(-4, 4)) : NULL;
    wide_int(w, "upper", roll(2));
    push(w, put(w, "Trilu", 14, x, k));
}

/* --- sums and choices along axes ----------------------------------------------------------------
 */

static void reduce_step(wide *w) {
    static const char *const ops[] = {
        "ReduceL1",   "ReduceL2",  "ReduceLogSum", "ReduceLogSumExp", "ReduceMax",
        "ReduceMean", "ReduceMin", "ReduceProd",   "ReduceSum",       "ReduceSumSquare"};
    const char *op = w->positive ? VARIANT("ReduceMean", "ReduceSum") : ops[variant(w, 10)];
    omma_value *x = any(w);
    int64_t axes[OMMA_MAX_RANK];
    const int n = some_axes(x->rank, axes, rare() ? 4 : 1);
    if (!strcmp(op, "ReduceLogSum")) x = above(w, x, 0.2);
    if (!strcmp(op, "ReduceLogSumExp") || !strcmp(op, "ReduceProd")) x = tame(w, x);
    if (coin()) wide_int(w, "keepdims", roll(2));
    if (coin()) { /* axes as an attribute */
        if (roll(5)) wide_ints(w, "axes", n, axes);
        push(w, put(w, op, 11, x));
        return;
    }
    if (rare()) wide_int(w, "noop_with_empty_axes", 1);
    push(w, put(w, op, 18, x, roll(5) ? list(w, n, axes) : NULL));
}

static void cumulate_step(wide *w) {
    omma_value *x = any(w);
    const bool product = !w->positive && coin();
    if (!x->rank) return;
    if (product) x = tame(w, x);
    if (coin()) wide_int(w, "exclusive", 1);
    if (coin()) wide_int(w, "reverse", 1);
    omma_value *axis = whole(w, an_axis(x ? x->rank : 1));
    push(w, put(w, product ? "CumProd" : "CumSum", product ? 26 : 14, x, axis));
}

static void hard_step(wide *w) {
    omma_value *x = any(w);
    if (!x->rank) return;
    wide_int(w, "axis", an_axis(x->rank));
    if (coin()) {
        push(w, put(w, "Hardmax", coin() ? 13 : 11, x));
        return;
    }
    if (coin()) wide_int(w, "keepdims", roll(2));
    if (coin()) wide_int(w, "select_last_index", roll(2));
    omma_value *y = put(w, ONE_OF("ArgMax", "ArgMin"), 13, x);
    push(w, y ? put(w, "Mul", 13, cast(w, y, OMMA_F32), number(w, 0.1)) : NULL);
}

/* --- shapes and settings
 * -------------------------------------------------------------------------- */

/* Numbers that no input decides, and something that does. */
static void shape_step(wide *w) {
    omma_value *x = any(w), *y = NULL;
    switch (variant(w, 7)) {
    case 0: y = cast(w, put(w, "Shape", 15, x), OMMA_F32); break;
    case 1: y = cast(w, put(w, "Size", 13, x), OMMA_F32); break;
    case 2: y = put(w, "ConstantOfShape", 9, list(w, x->rank, x->dims)); break;
    case 3: y = put(w, "Range", 11, number(w, 0), number(w, 3), number(w, 0.5)); break;
    case 4:
        y = put(w, VARIANT("HannWindow", "HammingWindow", "BlackmanWindow"), 17, whole(w, 6));
        break;
    case 5:
        wide_reals(w, "value_floats", 3, (float[]){0.5f, -1, 2});
        y = put_first(w, "Constant", 13, 0, NULL);
        break;
    default:
        if (x->rank != 2) x = ranked_as(w, x, 2);
        if (coin()) wide_int(w, "k", between(-2, 2));
        y = put(w, "EyeLike", 9, x);
    }
    if (!y) return;
    x = y->rank ? shaped(w, 1, y->dims + y->rank - 1) : any(w);
    push(w, put(w, w->positive ? "Add" : ONE_OF("Add", "Mul"), 13, y, x));
}

/* --- sequences: they give way to plain operators, so nothing infers them here -------------------
 */

static inline omma_node *put_blind(wide *w, const char *op, int opset, int ins,
                                   omma_value *const *in) {
    omma_node *n = omma_graph_node(w->g, omma_op_find(op),
                                   omma_arena_printf(&w->arena, "n%d", w->g->n_nodes), ins, 1);
    n->opset = opset;
    n->attrs = wide_copy(w, w->attrs, (size_t)w->n_attrs * sizeof *w->attrs);
    n->n_attrs = w->n_attrs;
    w->n_attrs = 0;
    for (int i = 0; i < ins; i++) n->in[i] = in[i];
    omma_node_set_output(n, 0, wide_value(w));
    return n;
}

/* Cut along an axis, and joined again; or one of two. */
static void sequence_step(wide *w) {
    omma_value *x = any(w), *y;
    if (!x->rank) return;
    if (coin()) {
        omma_value *two[] = {x, shaped(w, x->rank, x->dims)}, *at[2];
        if (!two[1]) return;
        at[0] = put_blind(w, "SequenceConstruct", 11, 2, two)->out[0];
        at[1] = whole(w, between(-2, 1));
        y = put_blind(w, "SequenceAt", 11, 2, at)->out[0];
    } else {
        const int axis = roll(x->rank);
        omma_value *in[] = {x, whole(w, 1 + roll(2))};
        wide_int(w, "axis", axis);
        omma_value *list_of = put_blind(w, "SplitToSequence", 11, 2, in)->out[0];
        wide_int(w, "axis", axis);
        y = put_blind(w, "ConcatFromSequence", 11, 1, &list_of)->out[0];
    }
    y->dtype = x->dtype, y->rank = x->rank;
    memcpy(y->dims, x->dims, sizeof y->dims);
    push(w, y);
}

#endif

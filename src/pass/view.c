/* view.c - chains of nodes that move numbers, as strides; see view.h. */
#include "pass/view.h"

static void push(omma_view *w, int64_t dim, int64_t step) {
    if (dim > 1) w->f[w->n++] = (omma_factor){dim, step};
}

void omma_view_self(omma_view *w, omma_value *v) {
    *w = (omma_view){.src = v};
    int64_t step = omma_value_count(v);
    for (int i = 0; i < v->rank && step; i++) push(w, v->dims[i], step /= v->dims[i]);
}

bool omma_view_group(omma_view *w, int rank, const int64_t *dims, int *first) {
    omma_factor back[OMMA_VIEW_MAX]; /* the factors in reverse */
    int n = 0, at[OMMA_MAX_RANK + 1];
    for (int i = rank - 1; i >= 0; i--) {
        at[i + 1] = n;
        for (int64_t left = dims[i]; left > 1;) {
            if (!w->n || n == OMMA_VIEW_MAX) return false;
            omma_factor *f = &w->f[w->n - 1];
            if (f->dim <= left) {
                if (left % f->dim) return false;
                left /= f->dim;
                back[n++] = *f;
                w->n--;
            } else {
                if (f->dim % left) return false;
                back[n++] = (omma_factor){left, f->step};
                *f = (omma_factor){f->dim / left, f->step * left};
                left = 1;
            }
        }
    }
    at[0] = n;
    if (w->n) return false;
    for (int i = 0; i < n; i++) w->f[i] = back[n - 1 - i];
    w->n = n;
    for (int i = 0; i <= rank; i++) first[i] = n - at[i];
    return true;
}

void omma_view_merge(omma_view *w) {
    int n = 0;
    for (int i = 0; i < w->n; i++) {
        omma_factor *last = n ? &w->f[n - 1] : NULL;
        if (last && last->step == w->f[i].step * w->f[i].dim)
            *last = (omma_factor){last->dim * w->f[i].dim, w->f[i].step};
        else w->f[n++] = w->f[i];
    }
    w->n = n;
}

bool omma_view_broadcast(omma_view *w, int from_rank, const int64_t *from, int rank,
                         const int64_t *to) {
    int first[OMMA_MAX_RANK + 1];
    omma_view all = {.src = w->src, .offset = w->offset};
    if (rank < from_rank || !omma_view_group(w, from_rank, from, first)) return false;
    for (int i = 0; i < rank; i++) {
        const int k = i - (rank - from_rank);
        const int more = k >= 0 && from[k] == to[i] ? first[k + 1] - first[k] : 1;
        if (all.n + more > OMMA_VIEW_MAX) return false;
        if (k < 0 || from[k] != to[i]) push(&all, to[i], 0);
        else
            for (int j = first[k]; j < first[k + 1]; j++) all.f[all.n++] = w->f[j];
    }
    *w = all;
    return true;
}

/* --- the nodes that are seen through -------------------------------------------------- */

/* Keep len elements of axis `axis` of dims, from start on, by steps. */
static bool cut_axis(omma_view *w, int rank, const int64_t *dims, int axis, int64_t start,
                     int64_t step, int64_t len) {
    int first[OMMA_MAX_RANK + 1];
    if (start == 0 && step == 1 && len == dims[axis]) return true;
    if (!omma_view_group(w, rank, dims, first)) return false;
    const int at = first[axis], count = first[axis + 1] - at;
    if (count != 1) return false;
    w->offset += start * w->f[at].step;
    w->f[at] = (omma_factor){len, w->f[at].step * step};
    if (len > 1) return true;
    for (int i = at + 1; i < w->n; i++) w->f[i - 1] = w->f[i];
    w->n--;
    return true;
}

static bool through_transpose(omma_view *w, const omma_node *n) {
    const omma_value *x = n->in[0];
    const omma_attr *perm = omma_node_attr(n, "perm");
    int first[OMMA_MAX_RANK + 1];
    if (!omma_view_group(w, x->rank, x->dims, first)) return false;
    omma_view moved = {.src = w->src, .offset = w->offset};
    for (int i = 0; i < x->rank; i++) {
        const int from = perm ? (int)perm->ints[i] : x->rank - 1 - i;
        for (int k = first[from]; k < first[from + 1]; k++) moved.f[moved.n++] = w->f[k];
    }
    *w = moved;
    return true;
}

/* The node was inferred, so its arguments are in order; n->out tells how much is kept. */
static bool through_slice(omma_view *w, omma_build *b, const omma_node *n) {
    const omma_value *x = n->in[0], *y = n->out[0];
    int64_t start[OMMA_MAX_RANK], axes[OMMA_MAX_RANK], step[OMMA_MAX_RANK], dims[OMMA_MAX_RANK];
    int n_start, n_axes, n_step;
    if (omma_ints_arg(b, n, 1, "starts", start, OMMA_MAX_RANK, &n_start) ||
        omma_ints_arg(b, n, 3, "axes", axes, OMMA_MAX_RANK, &n_axes) ||
        omma_ints_in(b, n, 4, step, OMMA_MAX_RANK, &n_step))
        return false;
    memcpy(dims, x->dims, sizeof dims);
    for (int i = 0; i < n_start; i++) {
        const int64_t given = n_axes < 0 ? i : axes[i], by = n_step < 0 ? 1 : step[i];
        const int d = (int)(given < 0 ? given + x->rank : given);
        int64_t from = start[i] < 0 ? start[i] + x->dims[d] : start[i];
        if (from < 0) from = 0;
        if (by < 1 || !cut_axis(w, x->rank, dims, d, from, y->dims[d] > 1 ? by : 1, y->dims[d]))
            return false;
        dims[d] = y->dims[d];
    }
    return true;
}

static bool through_gather(omma_view *w, omma_build *b, const omma_node *n) {
    const omma_value *x = n->in[0];
    const int64_t given = omma_node_int(n, "axis", 0);
    const int axis = (int)(given < 0 ? given + x->rank : given);
    int64_t at;
    int count;
    if (!n->in[1]->data || omma_value_count(n->in[1]) != 1 || n->in[1]->rank > 1 ||
        omma_ints_in(b, n, 1, &at, 1, &count) || count != 1)
        return false;
    if (at < 0) at += x->dims[axis];
    return at >= 0 && at < x->dims[axis] && cut_axis(w, x->rank, x->dims, axis, at, 1, 1);
}

static bool through_split(omma_view *w, const omma_node *n, const omma_value *y) {
    const omma_value *x = n->in[0];
    const int64_t given = omma_node_int(n, "axis", 0);
    const int axis = (int)(given < 0 ? given + x->rank : given);
    int64_t from = 0;
    for (int i = 0; n->out[i] != y; i++) {
        if (!n->out[i]) return false; /* an output nobody wants has no size */
        from += n->out[i]->dims[axis];
    }
    return cut_axis(w, x->rank, x->dims, axis, from, 1, y->dims[axis]);
}

bool omma_is_idle_dropout(const omma_node *n) {
    const omma_value *ratio = omma_in(n, 1), *training = omma_in(n, 2);
    bool on = false;
    if (!omma_is(n, "Dropout")) return false;
    if (ratio && omma_equals(ratio, 0, OMMA_MAX_RANK)) return true;
    if (training && !training->data) return false;
    if (training) memcpy(&on, training->data, sizeof on);
    return !on;
}

bool omma_view_through(omma_view *w, omma_build *b, const omma_node *n, const omma_value *y) {
    if (n->op->flags & OMMA_OP_VIEW) return true;
    if (omma_is(n, "Transpose")) return through_transpose(w, n);
    if (omma_is(n, "Slice")) return through_slice(w, b, n);
    if (omma_is(n, "Gather")) return through_gather(w, b, n);
    if (omma_is(n, "Split")) return through_split(w, n, y);
    return omma_is_idle_dropout(n) && n->out[0] == y;
}

/* --- chains ---------------------------------------------------------------------------- */

omma_value *omma_scaled(const omma_node *n, double *by) {
    const bool div = omma_is(n, "Div");
    for (int i = 1; (div || omma_is(n, "Mul")) && i >= (div ? 1 : 0); i--) {
        const omma_value *c = n->in[i];
        if (!omma_const_f32(c, 1) || c->rank > n->in[1 - i]->rank) continue;
        const double v = (double)omma_load_f32(c->data, 0);
        *by = div ? 1 / v : v;
        return n->in[1 - i];
    }
    return NULL;
}

static void trace(omma_view *w, omma_build *b, omma_value *v, double *scale, int depth) {
    const omma_node *n = v->producer;
    double by = 1;
    omma_value *x = scale && n ? omma_scaled(n, &by) : NULL;
    omma_view_self(w, v);
    if (!n || !depth || !n->n_in || !n->in[0] || !omma_value_known(n->in[0])) return;
    double above = 1;
    omma_view w0 = {0};
    trace(&w0, b, x ? x : n->in[0], scale ? &above : NULL, depth - 1);
    if (!x && !omma_view_through(&w0, b, n, v)) return;
    *w = w0;
    if (scale) *scale *= above * by;
}

void omma_view_trace(omma_view *w, omma_build *b, omma_value *v, double *scale) {
    enum { DEPTH = 16 };
    trace(w, b, v, scale, DEPTH);
}

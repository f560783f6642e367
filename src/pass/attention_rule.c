/* attention_rule.c - softmax(scale * q kT + masks) v, and the transposes around it:
 *
 *   q, k, v -> [x scale] -> MatMul -> [x scale] -> [+ mask] -> [+ mask] -> Softmax -> MatMul -> y
 *
 * becomes omma.Attention, which reads q, k and v in the projection they were cut from, be it
 * through Reshape, Transpose, Slice, Split or Gather (view.h), and writes y where the Transpose
 * behind it would put it. Between the products there may be views and a Dropout that is idle.
 *
 * The heads are the axes before the last two, which each operand may split in its own way: they are
 * cut wherever one of them is, and joined again where all agree. Runs at plan time. */
#include "kernel/attend.h"
#include "pass/view.h"

enum { Q, K, V, MASK0, MASK1, Y, OPERANDS };

typedef struct pattern {
    const omma_node *first, *second; /* the products */
    double scale;
    omma_view of[OPERANDS]; /* over [heads, rows, columns] */
    bool there[OPERANDS];
    int masks;
} pattern;

/* --- from the softmax back to the first product ---------------------------------------- */

/* The mask of an Add, as a view of all scores; one that is scaled after the sum is left alone. */
static bool take_mask(omma_fuse *f, pattern *p, const omma_node *add, omma_value *mask,
                      double scale) {
    if (p->masks == OMMA_ATTENTION_MASKS || mask->dtype != OMMA_F32 || scale != 1) return false;
    omma_view *w = &p->of[MASK0 + p->masks];
    omma_view_trace(w, f->b, mask, NULL);
    p->there[MASK0 + p->masks++] = true;
    return omma_view_broadcast(w, mask->rank, mask->dims, add->out[0]->rank, add->out[0]->dims);
}

static bool find_scores(omma_fuse *f, pattern *p, const omma_value *v, double scale, int depth) {
    const omma_node *n = omma_only(f, v);
    double by;
    if (!n || !depth) return false;
    if (omma_is(n, "MatMul")) {
        p->first = n;
        p->scale = scale;
        return !omma_node_attr(n, OMMA_FUSED_ACT);
    }
    if (n->op->flags & OMMA_OP_VIEW) return find_scores(f, p, n->in[0], scale, depth - 1);
    const omma_value *x = omma_scaled(n, &by);
    if (x) return find_scores(f, p, x, scale * by, depth - 1);
    for (int i = 0; omma_is(n, "Add") && i < 2; i++) {
        const pattern before = *p;
        if (omma_value_count(n->in[i]) == omma_value_count(v) &&
            take_mask(f, p, n, n->in[1 - i], scale) &&
            find_scores(f, p, n->in[i], scale, depth - 1))
            return true;
        *p = before;
    }
    return false;
}

/* --- operands ---------------------------------------------------------------------------- */

static int64_t dim(const omma_value *v, int from_end) { return v->dims[v->rank - from_end]; }

/* Is v of f32, and a matrix at least? */
static bool is_matrix(const omma_value *v) {
    return v->dtype == OMMA_F32 && v->rank >= 2 && omma_value_known(v) && omma_value_count(v) > 0;
}

/* Operand i of the product n, as a view over [all its heads, rows, columns]. */
static bool take_factor(omma_fuse *f, pattern *p, int which, const omma_node *n, int i) {
    omma_value *v = n->in[i];
    int64_t to[OMMA_MAX_RANK];
    if (!is_matrix(v) || n->out[0]->rank < v->rank) return false;
    const int rank = n->out[0]->rank;
    memcpy(to, n->out[0]->dims, sizeof to);
    to[rank - 2] = dim(v, 2), to[rank - 1] = dim(v, 1);
    omma_view_trace(&p->of[which], f->b, v, which == V ? NULL : &p->scale);
    p->there[which] = true;
    if (which != Q && p->of[which].src->data) return false; /* a product packs it once a session */
    return omma_view_broadcast(&p->of[which], v->rank, v->dims, rank, to);
}

static void turn(omma_view *w, const int *first) {
    omma_factor row[OMMA_VIEW_MAX];
    const int at = first[1], rows = first[2] - at, cols = w->n - first[2];
    memcpy(row, w->f + at, (size_t)rows * sizeof *row);
    memmove(w->f + at, w->f + at + rows, (size_t)cols * sizeof *row);
    memcpy(w->f + at + cols, row, (size_t)rows * sizeof *row);
}

/* Make k, seen as [heads, d, n], one of [heads, n, d]. */
static bool turn_keys(omma_view *w, int64_t heads, int64_t d, int64_t n) {
    int first[4];
    if (!omma_view_group(w, 3, (int64_t[]){heads, d, n}, first)) return false;
    turn(w, first);
    return true;
}

/* --- heads ------------------------------------------------------------------------------- */

typedef struct heads {
    int n;
    int64_t dims[OMMA_VIEW_MAX];
    int64_t step[OPERANDS][OMMA_VIEW_MAX + 2]; /* by outer axis, then of a row and a column */
} heads;

/* Rows and columns must each be one run of steps. */
static bool take_matrix(omma_view *w, int64_t all, int64_t rows, int64_t cols, int64_t *step) {
    int first[4];
    omma_view part = {0};
    omma_view_merge(w);
    if (!omma_view_group(w, 3, (int64_t[]){all, rows, cols}, first)) return false;
    for (int axis = 1; axis < 3; axis++) {
        part.n = first[axis + 1] - first[axis];
        memcpy(part.f, w->f + first[axis], (size_t)part.n * sizeof *part.f);
        omma_view_merge(&part);
        if (part.n > 1) return false;
        step[axis - 1] = part.n ? part.f[0].step : 0;
    }
    w->n = first[1];
    return true;
}

/* Cut the outer axes of all operands alike: wherever one of them ends an axis. */
static bool cut_heads(pattern *p, int64_t all, heads *h) {
    h->n = 0;
    int64_t left = all;
    int end[OPERANDS];
    for (int i = 0; i < OPERANDS; i++) end[i] = p->of[i].n;
    /* from the last axis on: the smallest factor left decides, and must divide the others */
    while (left > 1) {
        int64_t least = left;
        for (int i = 0; i < OPERANDS; i++)
            if (p->there[i] && end[i] && p->of[i].f[end[i] - 1].dim < least)
                least = p->of[i].f[end[i] - 1].dim;
        if (h->n == OMMA_VIEW_MAX) return false;
        for (int i = 0; i < OPERANDS; i++) {
            if (!p->there[i]) continue;
            omma_factor *x = end[i] ? &p->of[i].f[end[i] - 1] : NULL;
            if (!x || x->dim % least) return false;
            h->step[i][h->n] = x->step;
            *x = (omma_factor){x->dim / least, x->step * least};
            if (x->dim == 1) end[i]--;
        }
        h->dims[h->n++] = least;
        left /= least;
    }
    return true;
}

/* Join neighbours (axis 0 is the innermost) where every operand goes on by the same steps. */
static void join_heads(const pattern *p, heads *h) {
    int n = 0;
    for (int a = 0; a < h->n; a++) {
        bool joins = n > 0;
        for (int i = 0; i < OPERANDS && joins; i++)
            joins = !p->there[i] || h->step[i][a] == h->step[i][n - 1] * h->dims[n - 1];
        if (joins) {
            h->dims[n - 1] *= h->dims[a];
            continue;
        }
        h->dims[n] = h->dims[a];
        for (int i = 0; i < OPERANDS; i++) h->step[i][n] = h->step[i][a];
        n++;
    }
    h->n = n;
}

/* --- the node ---------------------------------------------------------------------------- */

typedef struct numbers { /* an attribute's list */
    int64_t i[OMMA_MAX_RANK];
} numbers;

static const char *const names[OPERANDS] = {"q", "k", "v", "mask0", "mask1", "y"};

static bool put_ints(omma_fuse *f, omma_attr *a, const char *name, int count, const int64_t *from) {
    int64_t *list = omma_arena_array(f->b->arena, OMMA_MAX_RANK, sizeof *list);
    if (!list) return false;
    memcpy(list, from, (size_t)count * sizeof *list);
    *a = (omma_attr){.name = name, .kind = OMMA_ATTR_INTS, .count = count, .ints = list};
    return true;
}

/* Put an omma.Attention in place of `last` that writes its output. */
static omma_status put_node(omma_fuse *f, omma_node *last, omma_value *const *in, int n_in,
                            const int64_t *sizes, const numbers *at, const bool *there,
                            float scale) {
    const omma_value *y = last->out[0];
    omma_attr *attrs = omma_arena_array(f->b->arena, OPERANDS + 3, sizeof *attrs);
    omma_node *n = attrs ? omma_graph_substitute(f->g, last, &omma_op_FusedAttention, n_in) : NULL;
    if (!n) return omma_nomem(f->b, last);
    int k = 0;
    bool ok = put_ints(f, &attrs[k++], "sizes", OMMA_ATTENTION_OUTER + 4, sizes) &&
              put_ints(f, &attrs[k++], "dims", y->rank, y->dims);
    for (int i = 0; i < OPERANDS && ok; i++)
        if (there[i]) ok = put_ints(f, &attrs[k++], names[i], OMMA_ATTENTION_OUTER + 3, at[i].i);
    if (!ok) return omma_nomem(f->b, n);
    attrs[k++] = (omma_attr){.name = "scale", .kind = OMMA_ATTR_FLOAT, .f = scale};
    memcpy(n->in, in, (size_t)n_in * sizeof *in);
    n->attrs = attrs;
    n->n_attrs = k;
    f->changed = true;
    return n->op->infer(f->b, n);
}

static omma_status fuse(omma_fuse *f, omma_node *last, const pattern *p, const heads *h,
                        const int64_t *sizes) {
    omma_value *in[OPERANDS - 1];
    numbers at[OPERANDS] = {0};
    for (int i = 0; i < OPERANDS; i++) {
        if (!p->there[i]) continue;
        at[i].i[0] = p->of[i].offset;
        for (int a = 0; a < h->n; a++) at[i].i[OMMA_ATTENTION_OUTER - a] = h->step[i][a];
        at[i].i[OMMA_ATTENTION_OUTER + 1] = h->step[i][OMMA_VIEW_MAX];
        at[i].i[OMMA_ATTENTION_OUTER + 2] = h->step[i][OMMA_VIEW_MAX + 1];
        if (i < Y) in[i] = p->of[i].src;
    }
    return put_node(f, last, in, MASK0 + p->masks, sizes, at, p->there, (float)p->scale);
}

static const omma_node *find_softmax(const omma_fuse *f, const omma_value *v) {
    const omma_node *n = omma_only(f, v);
    for (int depth = 0; n && depth < 4; depth++) {
        if (omma_is(n, "Softmax")) break;
        if (!(n->op->flags & OMMA_OP_VIEW) && !omma_is_idle_dropout(n)) return NULL;
        n = omma_only(f, n->in[0]);
    }
    if (!omma_is(n, "Softmax") || n->in[0]->rank < 2) return NULL;
    const int64_t axis = omma_node_int(n, "axis", n->opset < 13 ? 1 : -1);
    return axis == -1 || axis == n->in[0]->rank - 1 ? n : NULL;
}

/* All operands as views over [heads, rows, columns]; sizes: m, n, d, dv behind the outer axes. */
static bool take_operands(omma_fuse *f, pattern *p, omma_node *last, int64_t *all, int64_t *sizes) {
    const omma_value *s = p->first->out[0], *y = last->out[0];
    const int64_t m = dim(y, 2), n = dim(last->in[0], 1), dv = dim(y, 1),
                  d = dim(p->first->in[0], 1);
    *all = omma_value_count(y) / (m * dv);
    if (s->rank < 2 || dim(s, 2) != m || dim(s, 1) != n || omma_value_count(s) != *all * m * n)
        return false;
    const int64_t found[] = {m, n, d, dv};
    memcpy(sizes + OMMA_ATTENTION_OUTER, found, sizeof found);
    omma_view_self(&p->of[Y], last->out[0]);
    p->there[Y] = true;
    return take_factor(f, p, Q, p->first, 0) && take_factor(f, p, K, p->first, 1) &&
           take_factor(f, p, V, last, 1) && turn_keys(&p->of[K], *all, d, n);
}

/* The heads' axes, as many as the operator has. */
static bool take_heads(pattern *p, int64_t all, int64_t *sizes, heads *h) {
    const int64_t *s = sizes + OMMA_ATTENTION_OUTER, m = s[0], n = s[1], d = s[2], dv = s[3];
    const int64_t rows[OPERANDS] = {m, n, n, m, m, m}, cols[OPERANDS] = {d, d, dv, n, n, dv};
    for (int i = 0; i < OPERANDS; i++)
        if (p->there[i] &&
            !take_matrix(&p->of[i], all, rows[i], cols[i], &h->step[i][OMMA_VIEW_MAX]))
            return false;
    if (!cut_heads(p, all, h)) return false;
    join_heads(p, h);
    if (h->n > OMMA_ATTENTION_OUTER) return false;
    for (int a = 0; a < OMMA_ATTENTION_OUTER; a++)
        sizes[OMMA_ATTENTION_OUTER - 1 - a] = a < h->n ? h->dims[a] : 1;
    return true;
}

omma_status omma_rule_attention(omma_fuse *f, omma_node *last) {
    pattern p = {0};
    heads h = {0};
    int64_t all, sizes[OMMA_ATTENTION_OUTER + 4];
    if (!omma_is(last, "MatMul") || omma_node_attr(last, OMMA_FUSED_ACT) || !last->out[0] ||
        !is_matrix(last->in[0]) || !is_matrix(last->in[1]))
        return OMMA_OK;
    const omma_node *softmax = find_softmax(f, last->in[0]);
    if (!softmax || dim(softmax->in[0], 1) != dim(last->in[0], 1) ||
        !find_scores(f, &p, softmax->in[0], 1, 8) || !is_matrix(p.first->in[0]) ||
        !take_operands(f, &p, last, &all, sizes) || !take_heads(&p, all, sizes, &h))
        return OMMA_OK;
    return fuse(f, last, &p, &h, sizes);
}

/* --- what follows ------------------------------------------------------------------------- */

/* Where the operand's axes, which fill a value of old's shape, lie once n moved that value. */
static bool move_output(const omma_node *n, const int64_t *sizes, numbers *y) {
    const omma_value *old = n->in[0];
    const int64_t axes[] = {sizes[0], sizes[1], sizes[2], sizes[3], sizes[6]};
    const omma_attr *perm = omma_node_attr(n, "perm");
    int order[5], count = 0, first[OMMA_MAX_RANK + 1];
    int64_t dims[5], step[OMMA_MAX_RANK], s = 1;
    for (int i = 0; i < 5; i++) { /* the axes by falling steps are the value, row-major */
        int k = count;
        if (axes[i] == 1) continue;
        for (; k > 0 && y->i[1 + order[k - 1]] < y->i[1 + i]; k--) order[k] = order[k - 1];
        order[k] = i;
        count++;
    }
    for (int i = count - 1; i >= 0; i--) {
        if (y->i[1 + order[i]] != s) return false;
        s *= dims[i] = axes[order[i]];
    }
    omma_view w = {0};
    for (int i = old->rank - 1, to = 0; i >= 0;
         i--, to = 0) { /* the step of each old axis in n's */
        while ((perm ? (int)perm->ints[to] : old->rank - 1 - to) != i) to++;
        step[i] = 1;
        for (int k = to + 1; k < old->rank; k++) step[i] *= n->out[0]->dims[k];
    }
    for (int i = 0; i < old->rank; i++)
        if (old->dims[i] > 1) w.f[w.n++] = (omma_factor){old->dims[i], step[i]};
    omma_view_merge(&w);
    if (!omma_view_group(&w, count, dims, first)) return false;
    for (int i = 0; i < count; i++) {
        if (first[i + 1] - first[i] != 1) return false;
        y->i[1 + order[i]] = w.f[first[i]].step;
    }
    return y->i[5] == 1 || sizes[6] == 1;
}

/* A view of the output only has another shape; a Transpose moves its rows. */
omma_status omma_rule_attention_output(omma_fuse *f, omma_node *n) {
    const bool moves = omma_is(n, "Transpose");
    const omma_node *a = moves || n->op->flags & OMMA_OP_VIEW ? omma_only(f, omma_in(n, 0)) : NULL;
    if (!a || a->op != &omma_op_FusedAttention || !n->out[0]) return OMMA_OK;
    const omma_attr *sizes = omma_node_attr(a, "sizes");
    numbers at[OPERANDS] = {0};
    bool there[OPERANDS] = {0};
    for (int i = 0; i < OPERANDS; i++) {
        const omma_attr *list = omma_node_attr(a, names[i]);
        there[i] = list != NULL;
        if (list) memcpy(at[i].i, list->ints, (size_t)list->count * sizeof *at[i].i);
    }
    if (moves && !move_output(n, sizes->ints, &at[Y])) return OMMA_OK;
    return put_node(f, n, a->in, a->n_in, sizes->ints, at, there, omma_node_float(a, "scale", 1));
}

/* slice.c - operators that take or leave parts of a box: Slice, Trilu.
 *
 * Slice is one strided move. Trilu copies a run of each row and zeroes the rest.
 * Source: the ONNX operator specification. Trap: a negative step ends before index 0, which
 * an end of -1 cannot say (INT64_MIN is what exporters write). */
#include "base/pool.h"
#include "op/grad.h"
#include "op/index_map.h"
#include "op/move.h"
#include "op/move_back.h"

enum { GRAIN = 1 << 15 }; /* bytes of one chunk */

static int64_t clamp(int64_t v, int64_t lo, int64_t hi) { return v < lo ? lo : v > hi ? hi : v; }

/* --- Slice --------------------------------------------------------------------- */

typedef struct slice_param {
    omma_move move;
    int64_t start[OMMA_MAX_RANK], step[OMMA_MAX_RANK]; /* of each axis of the input */
} slice_param;

/* How many elements start, start+step, ... before end there are in a dim; start is brought
 * into it. step != 0, any values. */
static int64_t slice_count(int64_t dim, int64_t *start, int64_t end, int64_t *step) {
    if (!dim) return *start = 0;
    if (*start < 0) *start += dim;
    if (end < 0) end += dim;
    *step = clamp(*step, -dim, dim); /* a longer step takes one element too */
    if (*step > 0) {
        *start = clamp(*start, 0, dim);
        end = clamp(end, 0, dim);
        return end <= *start ? 0 : (end - *start - 1) / *step + 1;
    }
    *start = clamp(*start, 0, dim - 1);
    end = clamp(end, -1, dim - 1);
    return end >= *start ? 0 : (*start - end - 1) / -*step + 1;
}

static omma_status slice_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0];
    int64_t start[OMMA_MAX_RANK], end[OMMA_MAX_RANK], axes[OMMA_MAX_RANK], step[OMMA_MAX_RANK];
    int64_t dims[OMMA_MAX_RANK], strides[OMMA_MAX_RANK];
    int n_start, n_end, n_axes, n_step;
    unsigned seen = 0;
    OMMA_TRY(omma_ints_arg(b, n, 1, "starts", start, OMMA_MAX_RANK, &n_start));
    OMMA_TRY(omma_ints_arg(b, n, 2, "ends", end, OMMA_MAX_RANK, &n_end));
    OMMA_TRY(omma_ints_arg(b, n, 3, "axes", axes, OMMA_MAX_RANK, &n_axes));
    OMMA_TRY(omma_ints_in(b, n, 4, step, OMMA_MAX_RANK, &n_step));
    if (n_start < 0 || n_end < 0) return omma_bad(b, n, "starts or ends are missing");
    if (n_end != n_start || (n_axes >= 0 && n_axes != n_start) ||
        (n_step >= 0 && n_step != n_start))
        return omma_bad(b, n, "starts, ends, axes and steps differ in number");
    slice_param *p = omma_param(b, n, sizeof *p);
    if (!p) return omma_nomem(b, n);
    omma_move *m = &p->move;
    m->size = omma_dtype_size(x->dtype);
    m->rank = x->rank;
    omma_strides(x->dims, x->rank, strides);
    for (int d = 0; d < x->rank; d++) {
        dims[d] = x->dims[d];
        m->src[d] = strides[d];
        p->step[d] = 1;
    }
    const bool empty = !omma_value_count(x);
    for (int i = 0; i < n_start; i++) {
        int d;
        OMMA_TRY(omma_axis(b, n, n_axes < 0 ? i : axes[i], x->rank, &d));
        if (seen >> d & 1) return omma_bad(b, n, "axis %d is named twice", d);
        seen |= 1u << d;
        int64_t by = n_step < 0 ? 1 : step[i];
        if (!by) return omma_bad(b, n, "a step of 0 along axis %d", d);
        dims[d] = slice_count(x->dims[d], &start[i], end[i], &by);
        if (empty || !dims[d]) continue; /* nothing to move */
        p->start[d] = start[i];
        p->step[d] = by;
        m->src_at += start[i] * strides[d];
        m->src[d] = by * strides[d];
    }
    OMMA_TRY(omma_out(b, n, 0, x->dtype, x->rank, dims));
    if (!n->out[0]) return OMMA_OK; /* unwanted: its size was not checked */
    memcpy(m->dims, dims, sizeof dims);
    omma_strides(dims, x->rank, m->dst);
    omma_move_ready(m);
    return OMMA_OK;
}

static omma_status slice_run(const omma_exec *x, const omma_node *n) {
    const slice_param *p = n->param;
    if (n->out[0]) omma_move_run(x, &p->move, n->in[0]->mem, n->out[0]->mem);
    return OMMA_OK;
}

/* Axes with steps are spaced out one by one, all others get their zeros at once. */
static omma_status slice_grad(omma_grad *g, const omma_node *n) {
    const slice_param *p = n->param;
    const omma_value *x = n->in[0], *y = n->out[0];
    omma_value *dx = omma_grad_out(g, n, 0);
    int64_t before[OMMA_MAX_RANK] = {0}, after[OMMA_MAX_RANK] = {0};
    if (!omma_value_count(y)) return omma_grad_add(g, n, 0, omma_make_full(&g->m, x, 0));
    for (int d = 0; d < x->rank; d++) {
        if (p->step[d] != 1)
            dx = omma_move_spaced(&g->m, dx, d, p->start[d], p->step[d], x->dims[d]);
        if (p->step[d] != 1) continue;
        before[d] = p->start[d];
        after[d] = x->dims[d] - p->start[d] - y->dims[d];
    }
    return omma_grad_add(g, n, 0, omma_move_padded(&g->m, dx, before, after));
}

static omma_status slice_field(omma_field *f, const omma_node *n) {
    const slice_param *p = n->param;
    omma_relation *r = omma_field_relate(f, 0, 0);
    for (int d = 0; r && d < r->in_rank; d++)
        r->axis[d] = omma_map_moved(d, p->start[d], p->step[d]);
    return f->status;
}

/* --- Trilu --------------------------------------------------------------------- */

typedef struct trilu_job {
    const char *src;
    char *dst;
    int64_t rows, cols, k;
    size_t size;
    bool upper;
} trilu_job;

static omma_status trilu_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0], *k = omma_in(n, 1);
    if (x->rank < 2)
        return omma_bad(b, n, "the input must have two dimensions or more, not %d", x->rank);
    if (k && (k->dtype != OMMA_I64 || omma_value_count(k) != 1))
        return omma_bad(b, n, "k must be one int64");
    return omma_out_like(b, n, 0, x);
}

/* The upper part keeps columns >= row + k, the lower those <= row + k: in both, where one of them
 * begins. */
static int64_t trilu_edge(int64_t row, int64_t k, bool upper, int64_t cols) {
    return clamp(row + k + !upper, 0, cols);
}

static void trilu_rows(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const trilu_job *j = arg;
    const size_t size = j->size, row = (size_t)j->cols * size;
    for (int64_t r = begin; r < end; r++) {
        const size_t cut = (size_t)trilu_edge(r % j->rows, j->k, j->upper, j->cols) * size;
        const char *src = j->src + (size_t)r * row;
        char *dst = j->dst + (size_t)r * row;
        if (j->upper) {
            memset(dst, 0, cut);
            memcpy(dst + cut, src + cut, row - cut);
        } else {
            memcpy(dst, src, cut);
            memset(dst + cut, 0, row - cut);
        }
    }
}

static omma_status trilu_run(const omma_exec *x, const omma_node *n) {
    const omma_value *v = n->in[0], *k = omma_in(n, 1);
    const int64_t count = omma_value_count(v);
    if (!count || !n->out[0]) return OMMA_OK;
    trilu_job j = {.src = v->mem,
                   .dst = n->out[0]->mem,
                   .rows = v->dims[v->rank - 2],
                   .cols = v->dims[v->rank - 1],
                   .size = omma_dtype_size(v->dtype)};
    j.upper = omma_node_int(n, "upper", 1) != 0;
    if (k) j.k = clamp(*(const int64_t *)k->mem, -j.rows - 1, j.cols + 1);
    const int64_t row = j.cols * (int64_t)j.size;
    omma_parallel(x->threads, count / j.cols, row < GRAIN ? GRAIN / row : 1, trilu_rows, &j);
    return OMMA_OK;
}

static omma_status trilu_grad(omma_grad *g, const omma_node *n) {
    omma_value *in[] = {omma_grad_out(g, n, 0), omma_in(n, 1)};
    const omma_node *back = omma_make_node(&g->m, n->op, n->opset, in, 2, n->attrs, n->n_attrs, 1);
    return omma_grad_add(g, n, 0, back ? back->out[0] : NULL);
}

/* What is not kept is made from nothing. A k that is not known keeps everything. */
static omma_status trilu_field(omma_field *f, const omma_node *n) {
    const omma_value *x = n->in[0], *k = omma_in(n, 1);
    const void *numbers = k ? omma_field_numbers(f, k) : NULL;
    const bool upper = omma_node_int(n, "upper", 1) != 0;
    omma_relation *r = omma_field_relate_same(f, 0, 0);
    if (r) r->data = k && !k->data && numbers;
    if (r) r->bound = k && !numbers;
    if (r && !r->bound) {
        const int64_t rows = x->dims[x->rank - 2], cols = x->dims[x->rank - 1];
        const int64_t all = omma_value_count(x);
        int64_t by = 0;
        uint64_t *only = omma_field_bits(f, all);
        if (!only) return f->status;
        if (k) memcpy(&by, numbers, sizeof by);
        by = clamp(by, -rows - 1, cols + 1);
        for (int64_t i = 0; i < all / cols; i++) {
            const int64_t edge = trilu_edge(i % rows, by, upper, cols), at = i * cols;
            omma_field_bits_clear(only, upper ? at : at + edge, upper ? at + edge : at + cols);
        }
        r->out_only = only;
    }
    return omma_field_control(f, 0, 1);
}

/* --- rows ---------------------------------------------------------------------- */

const omma_op omma_op_Slice = {.name = "Slice",
                               .min_in = 1,
                               .max_in = 5,
                               .min_out = 1,
                               .max_out = 1,
                               .infer = slice_infer,
                               .run = slice_run,
                               .flops = omma_move_flops,
                               .grad = slice_grad,
                               .field = slice_field};

const omma_op omma_op_Trilu = {.name = "Trilu",
                               .min_in = 1,
                               .max_in = 2,
                               .min_out = 1,
                               .max_out = 1,
                               .infer = trilu_infer,
                               .run = trilu_run,
                               .flops = omma_move_flops,
                               .grad = trilu_grad,
                               .field = trilu_field};

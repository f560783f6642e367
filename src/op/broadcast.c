/* broadcast.c - the walk over broadcast tensors; see broadcast.h. */
#include "op/broadcast.h"

#include <string.h>

#include "base/checked.h"
#include "base/pool.h"

enum { ROW_MIN = 32 };

/* --- infer -------------------------------------------------------------------- */

/* Strides of v in the output's dims, 0 where it is broadcast. */
static void spread(const omma_value *v, int rank, int64_t *stride) {
    int64_t own[OMMA_MAX_RANK];
    omma_strides(v->dims, v->rank, own);
    for (int d = 0; d < rank; d++) {
        const int e = d - (rank - v->rank);
        stride[d] = e < 0 || v->dims[e] == 1 ? 0 : own[e];
    }
}

static bool fits(const omma_spread *p, int64_t full[][OMMA_MAX_RANK], int d, int g) {
    for (int i = 0; i < p->n_op; i++)
        if (full[i][d] != p->in[i].stride[g] * p->dims[g]) return false;
    return true;
}

/* Collapse dims into p, innermost first, then turn p around. */
static void collapse(omma_spread *p, int rank, const int64_t *dims, int64_t full[][OMMA_MAX_RANK]) {
    for (int d = rank - 1; d >= 0; d--) {
        if (dims[d] == 1) continue;
        if (p->rank && fits(p, full, d, p->rank - 1)) {
            p->dims[p->rank - 1] *= dims[d];
            continue;
        }
        for (int i = 0; i < p->n_op; i++) p->in[i].stride[p->rank] = full[i][d];
        p->dims[p->rank++] = dims[d];
    }
    if (!p->rank) {
        p->dims[p->rank++] = 1;
        for (int i = 0; i < p->n_op; i++) p->in[i].stride[0] = 1;
    }
    for (int a = 0, z = p->rank - 1; a < z; a++, z--) {
        const int64_t dim = p->dims[a];
        p->dims[a] = p->dims[z], p->dims[z] = dim;
        for (int i = 0; i < p->n_op; i++) {
            int64_t *s = p->in[i].stride, t = s[a];
            s[a] = s[z], s[z] = t;
        }
    }
}

/* The plan for operands of these shapes. */
static omma_status lay_out(omma_build *b, omma_node *n, omma_value *const *v, const void *op,
                           omma_dtype t) {
    int rank;
    int64_t dims[OMMA_MAX_RANK], dense[OMMA_MAX_RANK];
    OMMA_TRY(omma_broadcast(b, n, v, n->n_in, &rank, dims));
    OMMA_TRY(omma_out(b, n, 0, t, rank, dims));
    omma_spread *p = omma_param(b, n, sizeof *p + (size_t)n->n_in * sizeof *p->in);
    int64_t(*full)[OMMA_MAX_RANK] = omma_arena_array(b->arena, (size_t)n->n_in, sizeof *full);
    if (!p || !full) return omma_nomem(b, n);
    p->op = op;
    p->n_op = n->n_in;
    p->along = v != n->in;
    if (p->along) memcpy(p->wide, v[1]->dims, sizeof p->wide);
    if (!omma_dims_count(dims, rank, &p->count))
        return omma_bad(b, n, "the size of the output overflows");
    if (!p->count) return OMMA_OK;
    for (int i = 0; i < p->n_op; i++) spread(v[i], rank, full[i]);
    collapse(p, rank, dims, full);
    omma_strides(p->dims, p->rank, dense);
    for (int i = 0; i < p->n_op; i++)
        p->in[i].dense = !memcmp(p->in[i].stride, dense, (size_t)p->rank * sizeof *dense);
    const int64_t row = p->dims[p->rank - 1];
    if (p->rank == 1 || row >= ROW_MIN) {
        p->per_row = (row + OMMA_PIECE - 1) / OMMA_PIECE;
        p->pieces = p->count / row * p->per_row;
        p->grain = OMMA_GRAIN / (row < OMMA_PIECE ? row : OMMA_PIECE);
    } else {
        p->pieces = (p->count + OMMA_PIECE - 1) / OMMA_PIECE;
        p->grain = OMMA_GRAIN / OMMA_PIECE;
    }
    if (p->grain < 1) p->grain = 1;
    return OMMA_OK;
}

omma_status omma_broadcast_plan(omma_build *b, omma_node *n, const void *op, omma_dtype t) {
    return lay_out(b, n, n->in, op, t);
}

omma_status omma_broadcast_along(omma_build *b, omma_node *n, const void *op, omma_dtype t,
                                 int axis) {
    const omma_value *x = n->in[0], *v = n->in[1];
    omma_value wide = {.name = v->name, .rank = x->rank}; /* v's shape, ones behind and before */
    if (axis < 0 || axis + v->rank > x->rank)
        return omma_bad(b, n, "input '%s' of rank %d does not lie along axis %d of '%s'", v->name,
                        v->rank, axis, x->name);
    for (int d = 0; d < x->rank; d++) {
        const bool own = d >= axis && d < axis + v->rank;
        wide.dims[d] = own ? v->dims[d - axis] : 1;
        if (wide.dims[d] != 1 && wide.dims[d] != x->dims[d])
            return omma_bad(b, n, "input '%s' does not broadcast: %lld against %lld along axis %d",
                            v->name, (long long)wide.dims[d], (long long)x->dims[d], d);
    }
    return lay_out(b, n, (omma_value *[]){n->in[0], &wide}, op, t);
}

static bool same_shape(const omma_value *x, const omma_value *z) {
    return x->rank == z->rank && !memcmp(x->dims, z->dims, (size_t)x->rank * sizeof *x->dims);
}

omma_status omma_broadcast_pair(omma_build *b, omma_node *n, const void *op, omma_dtype t) {
    const omma_value *x = n->in[0], *z = n->in[1];
    if (n->opset >= 7 || same_shape(x, z)) return omma_broadcast_plan(b, n, op, t);
    if (!omma_node_int(n, "broadcast", 0))
        return omma_bad(b, n, "'%s' and '%s' differ in shape, and broadcast is not set", x->name,
                        z->name);
    int axis = x->rank - z->rank;
    if (omma_node_attr(n, "axis") && z->rank)
        OMMA_TRY(omma_axis(b, n, omma_node_int(n, "axis", 0), x->rank, &axis));
    return omma_broadcast_along(b, n, op, t, axis);
}

/* --- the walk over pieces ----------------------------------------------------- */

/* Copy n numbers of a broadcast operand together, row by row; off: the row's first number. */
#define GATHER(T)                                                                             \
    for (int64_t i = 0;;) {                                                                   \
        int64_t m = inner - index[last];                                                      \
        if (m > n - i) m = n - i;                                                             \
        const T *from = (const T *)base + off + index[last] * step;                           \
        for (int64_t k = 0; k < m; k++) memcpy((T *)tmp + i + k, from + k * step, sizeof(T)); \
        if ((i += m) >= n) return;                                                            \
        index[last] = 0;                                                                      \
        for (int d = last - 1; d >= 0; d--) {                                                 \
            off += o->stride[d];                                                              \
            if (++index[d] < p->dims[d]) break;                                               \
            off -= o->stride[d] * p->dims[d];                                                 \
            index[d] = 0;                                                                     \
        }                                                                                     \
    }

static void gather(const omma_spread *p, const omma_operand *o, int64_t at, int64_t n,
                   const void *base, size_t size, void *tmp) {
    const int last = p->rank - 1;
    const int64_t inner = p->dims[last], step = o->stride[last];
    int64_t index[OMMA_MAX_RANK], rest = at, off = 0;
    for (int d = last; d >= 0; d--) {
        index[d] = rest % p->dims[d];
        rest /= p->dims[d];
        if (d < last) off += index[d] * o->stride[d];
    }
    switch (size) {
    case 1: GATHER(uint8_t)
    case 2: GATHER(uint16_t)
    case 4: GATHER(uint32_t)
    default: GATHER(uint64_t)
    }
}

/* A piece of an operand. One that is the same for all places of the outer dimensions repeats
 * itself: its first period is gathered, the others are copies. */
static void gather_piece(const omma_spread *p, const omma_operand *o, const omma_piece *w,
                         const void *base, size_t size, void *tmp) {
    int64_t period = 1;
    int first = 0;
    while (first < p->rank && !o->stride[first]) first++;
    for (int d = first; d < p->rank && period < w->n; d++) period *= p->dims[d];
    if (period > w->n) period = w->n;
    gather(p, o, w->at, period, base, size, tmp);
    for (int64_t have = period; have < w->n;) {
        const int64_t more = have < w->n - have ? have : w->n - have;
        memcpy((char *)tmp + (size_t)have * size, tmp, (size_t)more * size);
        have += more;
    }
}

/* Operand i's numbers of a piece, with stride 0 or 1; tmp has room for OMMA_PIECE of them. */
const void *omma_piece_get(const omma_piece_job *j, const omma_piece *w, int i, void *tmp,
                           int *stride) {
    const omma_spread *p = j->p;
    const omma_value *v = j->n->in[i];
    const omma_operand *o = &p->in[i];
    *stride = 1;
    if (o->dense) return omma_at(v->mem, v->dtype, w->at);
    if (!p->per_row) {
        gather_piece(p, o, w, v->mem, omma_dtype_size(v->dtype), tmp);
        return tmp;
    }
    const int last = p->rank - 1;
    *stride = (int)o->stride[last];
    int64_t off = w->col * o->stride[last];
    for (int d = 0; d < last; d++) off += w->index[d] * o->stride[d];
    return omma_at(v->mem, v->dtype, off);
}

static void part(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    omma_piece_job *j = arg;
    const omma_spread *p = j->p;
    const int last = p->rank - 1;
    const int64_t inner = p->dims[last];
    omma_piece w = {0};
    if (!p->per_row) {
        for (int64_t i = begin; i < end; i++) {
            w.at = i * OMMA_PIECE;
            w.n = p->count - w.at < OMMA_PIECE ? p->count - w.at : OMMA_PIECE;
            if (!j->fn(j, &w)) j->fault = true;
        }
        return;
    }
    int64_t row = begin / p->per_row, rest = row;
    w.col = begin % p->per_row * OMMA_PIECE;
    for (int d = last - 1; d >= 0; d--) {
        w.index[d] = rest % p->dims[d];
        rest /= p->dims[d];
    }
    for (int64_t i = begin; i < end; i++) {
        w.at = row * inner + w.col;
        w.n = inner - w.col < OMMA_PIECE ? inner - w.col : OMMA_PIECE;
        if (!j->fn(j, &w)) j->fault = true;
        w.col += OMMA_PIECE;
        if (w.col < inner) continue;
        w.col = 0;
        row++;
        for (int d = last - 1; d >= 0 && ++w.index[d] == p->dims[d]; d--) w.index[d] = 0;
    }
}

omma_status omma_broadcast_walk(const omma_exec *x, const omma_node *n, omma_piece_fn fn) {
    if (!omma_wanted(n, 0)) return OMMA_OK;
    omma_piece_job j = {.x = x, .n = n, .p = n->param, .fn = fn};
    omma_parallel(x->threads, j.p->pieces, j.p->grain, part, &j);
    if (j.fault)
        return omma_run_bad(x, n, "an integer division by zero, or of the smallest number by -1");
    return OMMA_OK;
}

/* The numbers of operand i as float when they are 16 bits wide, else as they are. */
const void *omma_piece_wide(const omma_piece_job *j, const omma_piece *w, int i, void *tmp,
                            float *wide, int *stride) {
    const omma_dtype t = j->n->in[i]->dtype;
    const void *x = omma_piece_get(j, w, i, tmp, stride);
    if (t != OMMA_F16 && t != OMMA_BF16) return x;
    omma_load_halves(t, x, *stride ? w->n : 1, wide);
    return wide;
}

/* --- the readings in reverse ------------------------------------------------------------------ */

static bool lies_along(const omma_node *n, int i) {
    return i == 1 && ((const omma_spread *)n->param)->along;
}

omma_value *omma_broadcast_lined(omma_maker *m, const omma_node *n, int i) {
    const omma_spread *p = n->param;
    return lies_along(n, i) ? omma_make_reshape(m, n->in[i], n->out[0]->rank, p->wide) : n->in[i];
}

omma_status omma_broadcast_back(omma_grad *g, const omma_node *n, int i, omma_value *c) {
    const omma_spread *p = n->param;
    if (!lies_along(n, i)) return omma_grad_add(g, n, i, omma_make_fitted(&g->m, c, n->in[i]));
    omma_value wide = {.rank = n->out[0]->rank};
    memcpy(wide.dims, p->wide, sizeof wide.dims);
    c = omma_make_fitted(&g->m, c, &wide);
    return omma_grad_add(g, n, i, omma_make_shaped(&g->m, c, n->in[i]));
}

omma_status omma_broadcast_field(omma_field *f, const omma_node *n) {
    const omma_spread *p = n->param;
    if (!p->along) return omma_field_elementwise(f, n);
    OMMA_TRY(omma_field_broadcast(f, 0, 0, OMMA_PATH_VALUE));
    omma_relation *r = omma_field_relate(f, 0, 1);
    if (!r) return f->status;
    omma_relation_view_in(r, r->out_rank, p->wide);
    for (int d = 0; d < r->out_rank; d++) {
        if (r->in_dims[d] == r->out_dims[d]) omma_relation_same(r, d, d);
        else if (d > 1 && !n->in[0]->data) r->path = OMMA_PATH_STATISTIC; /* a gate */
    }
    return f->status;
}

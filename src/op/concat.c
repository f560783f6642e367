/* concat.c - Concat joins tensors along an axis, Split cuts one along an axis.
 *
 * Both see the joined tensor as outer rows, each made of one run of bytes per part. Work is
 * shared out by bytes of the joined tensor, so a join of two large parts and one of ten
 * thousand small runs are both cut evenly.
 * Source: the ONNX operator specification. Traps: Split's equal parts may be uneven from
 * opset 18 (the last one is smaller) and may not before; a part may be empty; an output of
 * Split nobody wants still takes its place. Before opset 4 Concat's axis is 1 when left out;
 * Split 1 has the sizes as an input of the data's type. */
#include "base/pool.h"
#include "op/field.h"
#include "op/grad.h"
#include "op/move.h"
#include "op/move_back.h"

enum {
    GRAIN = 1 << 16, /* bytes of one chunk */
    ROW_MAX = 4096,  /* bytes of a joined row short enough to be done many at a time */
    BLOCK = 1 << 14  /* bytes of them */
};

typedef struct parts {
    int64_t outer;     /* rows */
    int64_t row;       /* bytes of a joined row */
    const int64_t *at; /* [count + 1]: where each part's run begins in it [bytes] */
    int count;
    bool words; /* the rows are short, and all parts whole words of four bytes */
} parts;

typedef struct job {
    const omma_kernels *kern;
    const parts *p;
    omma_value *const *part;
    char *joined;
    bool join;
} job;

/* Joined bytes [begin, end). */
static void chunk(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const parts *p = j->p;
    int64_t outer = begin / p->row, at = begin % p->row;
    int i = 0;
    while (begin < end) {
        while (at >= p->at[i + 1]) i++;
        const int64_t run = p->at[i + 1] - p->at[i], into = at - p->at[i];
        int64_t take = run - into < end - begin ? run - into : end - begin;
        if (j->part[i]) {
            char *mem = (char *)j->part[i]->mem + outer * run + into, *whole = j->joined + begin;
            omma_move_bytes(j->join ? whole : mem, j->join ? mem : whole, (size_t)take);
        }
        begin += take;
        at += take;
        if (at == p->row) {
            at = 0;
            i = 0;
            outer++;
        }
    }
}

/* Joined rows [begin, end), part by part, a block of rows at a time. */
static void word_rows(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const parts *p = j->p;
    const int64_t block = BLOCK / p->row;
    for (; begin < end; begin += block) {
        const int64_t rows = end - begin < block ? end - begin : block;
        for (int i = 0; i < p->count; i++) {
            const int64_t run = p->at[i + 1] - p->at[i];
            char *whole = j->joined + begin * p->row + p->at[i];
            if (!j->part[i] || !run) continue;
            char *mem = (char *)j->part[i]->mem + begin * run;
            if (j->join) j->kern->copy_rows(rows, run / 4, mem, run / 4, whole, p->row / 4);
            else j->kern->copy_rows(rows, run / 4, whole, p->row / 4, mem, run / 4);
        }
    }
}

static void move_parts(int threads, job *j) {
    const parts *p = j->p;
    if (p->words) omma_parallel(threads, p->outer, GRAIN / p->row, word_rows, j);
    else omma_parallel(threads, p->outer * p->row, GRAIN, chunk, j);
}

/* Make the param from the parts' sizes along axis of a joined tensor of dims. */
static omma_status cut(omma_build *b, omma_node *n, omma_dtype t, int rank, const int64_t *dims,
                       int axis, int count, const int64_t *sizes) {
    int64_t inner = (int64_t)omma_dtype_size(t), total = 1;
    parts *p = omma_param(b, n, sizeof *p);
    int64_t *at = omma_arena_array(b->arena, (size_t)count + 1, sizeof *at);
    if (!p || !at) return omma_nomem(b, n);
    for (int d = 0; d < rank; d++)
        if (!dims[d]) total = 0;
    if (total && inner) {
        p->outer = 1;
        for (int d = 0; d < axis; d++) p->outer *= dims[d];
        for (int d = axis + 1; d < rank; d++) inner *= dims[d];
        for (int i = 0; i < count; i++) at[i + 1] = at[i] + sizes[i] * inner;
        p->row = at[count];
        p->words = p->row <= ROW_MAX && p->outer > 1;
        for (int i = 0; i < count; i++)
            if (at[i + 1] % 4) p->words = false;
    }
    p->at = at;
    p->count = count;
    return OMMA_OK;
}

static omma_status axis_of(omma_build *b, const omma_node *n, const char *name, int64_t fallback,
                           int *axis) {
    return omma_axis(b, n, omma_node_int(n, name, fallback), n->in[0]->rank, axis);
}

static omma_status concat_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0];
    int axis;
    int64_t dims[OMMA_MAX_RANK];
    if (n->opset >= 4 && !omma_node_attr(n, "axis"))
        return omma_bad(b, n, "attribute 'axis' is missing");
    OMMA_TRY(axis_of(b, n, "axis", 1, &axis));
    int64_t *sizes = omma_arena_array(b->arena, (size_t)n->n_in, sizeof *sizes);
    if (!sizes) return omma_nomem(b, n);
    memcpy(dims, x->dims, sizeof dims);
    dims[axis] = 0;
    for (int i = 0; i < n->n_in; i++) {
        const omma_value *v = n->in[i];
        if (!v) return omma_bad(b, n, "input %d is left out", i);
        if (v->dtype != x->dtype || v->rank != x->rank)
            return omma_bad(b, n, "input %d ('%s') differs from the first in type or rank", i,
                            v->name);
        for (int d = 0; d < x->rank; d++)
            if (d != axis && v->dims[d] != x->dims[d])
                return omma_bad(b, n, "input %d ('%s') is %lld long along axis %d, the first %lld",
                                i, v->name, (long long)v->dims[d], d, (long long)x->dims[d]);
        sizes[i] = v->dims[axis];
        if (__builtin_add_overflow(dims[axis], sizes[i], &dims[axis]))
            return omma_bad(b, n, "the output's size overflows");
    }
    OMMA_TRY(omma_out(b, n, 0, x->dtype, x->rank, dims));
    if (!n->out[0]) return OMMA_OK; /* unwanted: its size was not checked */
    return cut(b, n, x->dtype, x->rank, dims, axis, n->n_in, sizes);
}

static omma_status concat_run(const omma_exec *x, const omma_node *n) {
    const parts *p = n->param;
    if (!n->out[0]) return OMMA_OK;
    job j = {x->kern, p, n->in, n->out[0]->mem, true};
    move_parts(x->threads, &j);
    return OMMA_OK;
}

static omma_status concat_grad(omma_grad *g, const omma_node *n) {
    omma_value *dy = omma_grad_out(g, n, 0);
    int64_t at = 0;
    int axis;
    OMMA_TRY(axis_of(g->m.b, n, "axis", 1, &axis));
    for (int i = 0; i < n->n_in; i++) {
        const int64_t end = at + n->in[i]->dims[axis];
        if (omma_grad_wants(g, n, i))
            OMMA_TRY(omma_grad_add(g, n, i, omma_make_slice(&g->m, dy, axis, at, end, 1)));
        at = end;
    }
    return OMMA_OK;
}

/* What other parts wrote lies outside an input. */
static omma_status concat_field(omma_field *f, const omma_node *n) {
    int64_t at = 0;
    int axis;
    OMMA_TRY(axis_of(f->b, n, "axis", 1, &axis));
    for (int i = 0; i < n->n_in; i++) {
        omma_relation *r = omma_field_relate(f, 0, i);
        for (int d = 0; r && d < r->in_rank; d++)
            r->axis[d] = omma_map_moved(d, d == axis ? -at : 0, 1);
        at += n->in[i]->dims[axis];
    }
    return f->status;
}

/* The sizes of Split's outputs along an axis of dim elements. */
static omma_status split_sizes(omma_build *b, const omma_node *n, int64_t dim, int64_t *sizes) {
    const int k = n->n_out;
    int given;
    if (n->opset < 2 && omma_in(n, 1)) OMMA_TRY(omma_wholes_in(b, n, 1, sizes, k, &given));
    else OMMA_TRY(omma_ints_arg(b, n, 1, "split", sizes, k, &given));
    if (given >= 0) {
        int64_t sum = 0;
        if (given != k) return omma_bad(b, n, "%d sizes for %d outputs", given, k);
        for (int i = 0; i < k; i++)
            if (sizes[i] < 0 || __builtin_add_overflow(sum, sizes[i], &sum))
                return omma_bad(b, n, "a part of %lld", (long long)sizes[i]);
        if (sum != dim)
            return omma_bad(b, n, "the parts make %lld, the axis is %lld long", (long long)sum,
                            (long long)dim);
        return OMMA_OK;
    }
    if (omma_node_int(n, "num_outputs", k) != k)
        return omma_bad(b, n, "num_outputs is %lld, but there are %d outputs",
                        (long long)omma_node_int(n, "num_outputs", k), k);
    if (dim % k && n->opset < 18)
        return omma_bad(b, n, "an axis of %lld does not split into %d equal parts", (long long)dim,
                        k);
    const int64_t each = dim / k + (dim % k != 0);
    int64_t left = dim;
    for (int i = 0; i < k; i++) {
        sizes[i] = i + 1 < k ? each : left;
        left -= each;
        if (sizes[i] < 0)
            return omma_bad(b, n, "an axis of %lld is too short for %d parts of %lld",
                            (long long)dim, k, (long long)each);
    }
    return OMMA_OK;
}

static omma_status split_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0];
    int axis;
    int64_t dims[OMMA_MAX_RANK];
    OMMA_TRY(axis_of(b, n, "axis", 0, &axis));
    int64_t *sizes = omma_arena_array(b->arena, (size_t)n->n_out, sizeof *sizes);
    if (!sizes) return omma_nomem(b, n);
    OMMA_TRY(split_sizes(b, n, x->dims[axis], sizes));
    memcpy(dims, x->dims, sizeof dims);
    for (int i = 0; i < n->n_out; i++) {
        dims[axis] = sizes[i];
        OMMA_TRY(omma_out(b, n, i, x->dtype, x->rank, dims));
    }
    return cut(b, n, x->dtype, x->rank, x->dims, axis, n->n_out, sizes);
}

static omma_status split_run(const omma_exec *x, const omma_node *n) {
    const parts *p = n->param;
    job j = {x->kern, p, n->out, n->in[0]->mem, false};
    move_parts(x->threads, &j);
    return OMMA_OK;
}

/* Its axis, and from the arena the sizes of its parts. */
static omma_status split_parts(omma_build *b, const omma_node *n, int *axis, int64_t **sizes) {
    *sizes = omma_arena_array(b->arena, (size_t)n->n_out, sizeof **sizes);
    if (!*sizes) return omma_nomem(b, n);
    OMMA_TRY(axis_of(b, n, "axis", 0, axis));
    return split_sizes(b, n, n->in[0]->dims[*axis], *sizes);
}

static omma_status split_grad(omma_grad *g, const omma_node *n) {
    omma_value **part = omma_arena_array(g->m.b->arena, (size_t)n->n_out, sizeof *part);
    int64_t *sizes, dims[OMMA_MAX_RANK], at = 0;
    int axis, there = 0;
    OMMA_TRY(split_parts(g->m.b, n, &axis, &sizes));
    if (!part) return omma_nomem(g->m.b, n);
    memcpy(dims, n->in[0]->dims, sizeof dims);
    for (int i = 0; i < n->n_out; i++) there += omma_grad_out(g, n, i) != NULL;
    for (int i = 0; i < n->n_out; at += sizes[i++]) {
        omma_value *dy = part[i] = omma_grad_out(g, n, i);
        dims[axis] = sizes[i];
        if (there == 1 && dy)
            return omma_grad_add(g, n, 0,
                                 omma_move_spaced(&g->m, dy, axis, at, 1, n->in[0]->dims[axis]));
        if (there > 1 && !dy)
            part[i] = omma_move_zeros(&g->m, n->in[0]->dtype, n->in[0]->rank, dims);
    }
    return omma_grad_add(g, n, 0, omma_make_concat(&g->m, part, n->n_out, axis));
}

static omma_status split_field(omma_field *f, const omma_node *n) {
    int64_t *sizes, at = 0;
    int axis;
    OMMA_TRY(split_parts(f->b, n, &axis, &sizes));
    for (int i = 0; i < n->n_out; at += sizes[i++]) {
        omma_relation *r = omma_field_relate(f, i, 0);
        for (int d = 0; r && d < r->in_rank; d++)
            r->axis[d] = omma_map_moved(d, d == axis ? at : 0, 1);
    }
    return f->status;
}

const omma_op omma_op_Concat = {.name = "Concat",
                                .min_in = 1,
                                .max_in = -1,
                                .min_out = 1,
                                .max_out = 1,
                                .infer = concat_infer,
                                .run = concat_run,
                                .flops = omma_move_flops,
                                .grad = concat_grad,
                                .field = concat_field};

const omma_op omma_op_Split = {.name = "Split",
                               .min_in = 1,
                               .max_in = 2,
                               .min_out = 1,
                               .max_out = -1,
                               .infer = split_infer,
                               .run = split_run,
                               .flops = omma_move_flops,
                               .grad = split_grad,
                               .field = split_field};

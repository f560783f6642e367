/* create.c - operators that make numbers from settings: Constant, ConstantOfShape, Range,
 * EyeLike, OneHot.
 *
 * All but OneHot depend on attributes, shapes and constants only, so a plan folds them; they
 * still run like any other operator. Source: the ONNX operator specification.
 * Traps: Range's length is a ceiling, and its integers may span more than int64 can subtract;
 * OneHot's indices may be of any numeric type, negative ones count from depth, others outside
 * leave the whole line off. */
#include <math.h>

#include "base/checked.h"
#include "base/pool.h"
#include "op/grad.h"
#include "op/index_map.h"
#include "op/move.h"

enum { GRAIN = 1 << 15 }; /* bytes of one chunk */

/* --- Constant ------------------------------------------------------------------ */

typedef struct constant_param {
    const void *data; /* any alignment */
    size_t bytes;
} constant_param;

/* The number of forms given, and the value of the last. */
static int constant_forms(const omma_node *n, omma_dtype *t, int *rank, int64_t *dims,
                          const void **data) {
    int forms = 0;
    for (int i = 0; i < n->n_attrs; i++) {
        const omma_attr *a = &n->attrs[i];
        const bool list = a->kind == OMMA_ATTR_FLOATS || a->kind == OMMA_ATTR_INTS;
        if (a->kind == OMMA_ATTR_TENSOR && !strcmp(a->name, "value") && a->tensor) {
            *t = a->tensor->dtype;
            *rank = a->tensor->rank;
            memcpy(dims, a->tensor->dims, sizeof a->tensor->dims);
            *data = a->tensor->data;
        } else if ((a->kind == OMMA_ATTR_FLOAT && !strcmp(a->name, "value_float")) ||
                   (a->kind == OMMA_ATTR_FLOATS && !strcmp(a->name, "value_floats"))) {
            *t = OMMA_F32;
            *data = list ? a->floats : &a->f;
        } else if ((a->kind == OMMA_ATTR_INT && !strcmp(a->name, "value_int")) ||
                   (a->kind == OMMA_ATTR_INTS && !strcmp(a->name, "value_ints"))) {
            *t = OMMA_I64;
            *data = list ? (const void *)a->ints : &a->i;
        } else continue;
        if (a->kind != OMMA_ATTR_TENSOR) {
            *rank = list;
            dims[0] = list ? a->count : 0;
        }
        forms++;
    }
    return forms;
}

static omma_status constant_infer(omma_build *b, omma_node *n) {
    omma_dtype t = OMMA_NONE;
    int rank = 0;
    int64_t dims[OMMA_MAX_RANK];
    const void *data = NULL;
    if (constant_forms(n, &t, &rank, dims, &data) != 1)
        return omma_unsupported(b, n, "needs one of value, value_float(s) or value_int(s)");
    OMMA_TRY(omma_out(b, n, 0, t, rank, dims));
    constant_param *p = omma_param(b, n, sizeof *p);
    if (!p) return omma_nomem(b, n);
    p->data = data;
    if (rank < 0 || !omma_dims_bytes(dims, rank, omma_dtype_size(t), &p->bytes) ||
        (p->bytes && !data))
        return omma_bad(b, n, "the value has no numbers");
    return OMMA_OK;
}

static omma_status constant_run(const omma_exec *x, const omma_node *n) {
    (void)x;
    const constant_param *p = n->param;
    if (p->bytes && n->out[0]) memcpy(n->out[0]->mem, p->data, p->bytes);
    return OMMA_OK;
}

/* --- ConstantOfShape ----------------------------------------------------------- */

typedef struct fill_param {
    char value[8];
} fill_param;

static omma_status fill_infer(omma_build *b, omma_node *n) {
    const omma_attr *a = omma_node_attr(n, "value");
    int64_t dims[OMMA_MAX_RANK];
    int rank;
    OMMA_TRY(omma_ints_in(b, n, 0, dims, OMMA_MAX_RANK, &rank));
    fill_param *p = omma_param(b, n, sizeof *p);
    if (!p) return omma_nomem(b, n);
    if (!a) return omma_out(b, n, 0, OMMA_F32, rank, dims);
    if (a->kind != OMMA_ATTR_TENSOR || !a->tensor || omma_value_count(a->tensor) != 1 ||
        !a->tensor->data)
        return omma_bad(b, n, "value must be a tensor of one number");
    memcpy(p->value, a->tensor->data, omma_dtype_size(a->tensor->dtype));
    return omma_out(b, n, 0, a->tensor->dtype, rank, dims);
}

typedef struct fill_job {
    const void *value;
    char *dst;
    size_t size;
} fill_job;

static void fill_chunk(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const fill_job *j = arg;
    omma_move_fill(j->dst + (size_t)begin * j->size, j->value, j->size, end - begin);
}

static void fill(const omma_exec *x, const omma_value *v, const void *value) {
    fill_job j = {value, v->mem, omma_dtype_size(v->dtype)};
    omma_parallel(x->threads, omma_value_count(v), GRAIN / (int64_t)j.size, fill_chunk, &j);
}

static omma_status fill_run(const omma_exec *x, const omma_node *n) {
    const fill_param *p = n->param;
    if (n->out[0]) fill(x, n->out[0], p->value);
    return OMMA_OK;
}

/* --- Range --------------------------------------------------------------------- */

typedef struct range_param {
    double start, delta; /* of the float types */
    uint64_t from, by;   /* of the integers, modulo 2^64 */
    bool whole;
} range_param;

/* ceil((limit - start) / delta) for integers, 0 when it is negative. */
static uint64_t whole_count(int64_t start, int64_t limit, int64_t delta) {
    if (delta > 0 ? limit <= start : limit >= start) return 0;
    const uint64_t span =
        delta > 0 ? (uint64_t)limit - (uint64_t)start : (uint64_t)start - (uint64_t)limit;
    const uint64_t step = delta > 0 ? (uint64_t)delta : 0 - (uint64_t)delta;
    return (span - 1) / step + 1;
}

static omma_status range_infer(omma_build *b, omma_node *n) {
    const omma_dtype t = n->in[0]->dtype;
    double real[3], count;
    int64_t whole[3] = {0, 0, 0};
    bool found;
    range_param *p = omma_param(b, n, sizeof *p);
    if (!p) return omma_nomem(b, n);
    p->whole = t == OMMA_I64 || t == OMMA_I32 || t == OMMA_I16;
    if (!p->whole && t != OMMA_F32 && t != OMMA_F64 && t != OMMA_F16 && t != OMMA_BF16)
        return omma_unsupported(b, n, "a range of %s", omma_dtype_name(t));
    for (int i = 0; i < 3; i++) {
        if (n->in[i]->dtype != t) return omma_bad(b, n, "start, limit and delta differ in type");
        OMMA_TRY(omma_number_in(b, n, i, &real[i], &found));
        if (t == OMMA_I64) memcpy(&whole[i], n->in[i]->data, sizeof whole[i]);
        else if (p->whole) whole[i] = (int64_t)real[i];
    }
    if (p->whole ? !whole[2] : !(real[2] < 0 || real[2] > 0)) return omma_bad(b, n, "a delta of 0");
    if (p->whole) count = (double)whole_count(whole[0], whole[1], whole[2]);
    else count = ceil((real[1] - real[0]) / real[2]);
    if (!(count < 0x1p62)) return omma_bad(b, n, "the range has no end");
    p->start = real[0];
    p->delta = real[2];
    p->from = (uint64_t)whole[0];
    p->by = (uint64_t)whole[2];
    return omma_out(b, n, 0, t, 1, (int64_t[]){count > 0 ? (int64_t)count : 0});
}

static omma_status range_run(const omma_exec *x, const omma_node *n) {
    (void)x;
    const range_param *p = n->param;
    const omma_value *v = n->out[0];
    const int64_t count = v ? v->dims[0] : 0;
    for (int64_t i = 0; i < count; i++) {
        if (v->dtype == OMMA_I64) ((int64_t *)v->mem)[i] = (int64_t)(p->from + (uint64_t)i * p->by);
        else if (p->whole)
            omma_set_number(v->dtype, v->mem, i, (double)(int64_t)(p->from + (uint64_t)i * p->by));
        else omma_set_number(v->dtype, v->mem, i, p->start + (double)i * p->delta);
    }
    return OMMA_OK;
}

/* --- EyeLike ------------------------------------------------------------------- */

static omma_status eye_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0];
    const int64_t t = omma_node_int(n, "dtype", x->dtype);
    if (x->rank != 2) return omma_bad(b, n, "the input must be a matrix, not of rank %d", x->rank);
    if (t < 0 || t > OMMA_BF16) return omma_unsupported(b, n, "type number %lld", (long long)t);
    return omma_out(b, n, 0, (omma_dtype)t, 2, x->dims);
}

/* Element [i, i + k] is 1. */
static omma_status eye_run(const omma_exec *x, const omma_node *n) {
    const omma_value *v = n->out[0];
    if (!v) return OMMA_OK;
    const int64_t rows = v->dims[0], cols = v->dims[1], k = omma_node_int(n, "k", 0);
    fill(x, v, (const char[8]){0});
    if (k <= -rows || k >= cols) return OMMA_OK;
    for (int64_t i = k < 0 ? -k : 0; i < rows && i + k < cols; i++)
        omma_set_number(v->dtype, v->mem, i * cols + i + k, 1);
    return OMMA_OK;
}

/* --- OneHot -------------------------------------------------------------------- */

typedef struct onehot_param {
    int axis;
    int64_t depth, inner; /* inner: indices under the new axis */
} onehot_param;

/* indices: I, depth: one number, values: [off, on]; out: I with depth put in at axis. */
static omma_status onehot_infer(omma_build *b, omma_node *n) {
    const omma_value *index = n->in[0], *values = n->in[2];
    int64_t dims[OMMA_MAX_RANK + 1];
    double depth;
    bool found;
    int axis;
    OMMA_TRY(omma_number_in(b, n, 1, &depth, &found));
    if (!(depth >= 1 && depth < 0x1p53)) return omma_bad(b, n, "a depth of %g", depth);
    if (values->rank != 1 || values->dims[0] != 2)
        return omma_bad(b, n, "values must be [off, on]");
    if (!omma_dtype_size(index->dtype))
        return omma_unsupported(b, n, "indices of type %s", omma_dtype_name(index->dtype));
    OMMA_TRY(omma_axis(b, n, omma_node_int(n, "axis", -1), index->rank + 1, &axis));
    onehot_param *p = omma_param(b, n, sizeof *p);
    if (!p) return omma_nomem(b, n);
    p->axis = axis;
    p->depth = (int64_t)depth;
    for (int d = 0; d <= index->rank; d++)
        dims[d] = d < axis ? index->dims[d] : d == axis ? p->depth : index->dims[d - 1];
    if (!omma_dims_count(index->dims + axis, index->rank - axis, &p->inner))
        return omma_bad(b, n, "the size overflows");
    return omma_out(b, n, 0, values->dtype, index->rank + 1, dims);
}

/* Where index i, of numbers of type t, puts the one; -1: nowhere. */
static int64_t onehot_at(const onehot_param *p, omma_dtype t, const void *index, int64_t i) {
    double k = trunc(omma_get_number(t, index, i));
    if (k < 0) k += (double)p->depth;
    if (!(k >= 0 && k < (double)p->depth)) return -1;
    return (i / p->inner * p->depth + (int64_t)k) * p->inner + i % p->inner;
}

static omma_status onehot_run(const omma_exec *x, const omma_node *n) {
    const onehot_param *p = n->param;
    const omma_value *index = n->in[0], *v = n->out[0];
    if (!v || !omma_value_count(v)) return OMMA_OK;
    const size_t size = omma_dtype_size(v->dtype);
    const char *off = n->in[2]->mem;
    const int64_t count = omma_value_count(index);
    fill(x, v, off);
    for (int64_t i = 0; i < count; i++) {
        const int64_t at = onehot_at(p, index->dtype, index->mem, i);
        if (at >= 0) omma_move_bytes((char *)v->mem + (size_t)at * size, off + size, size);
    }
    return OMMA_OK;
}

/* The sum of c where the output is `on` (or off). */
static omma_value *onehot_sum(omma_maker *m, const omma_node *n, omma_value *c, bool on) {
    omma_value *value[] = {omma_make_number(m, n->in[2], !on), omma_make_number(m, n->in[2], on)};
    for (int i = 0; i < 2; i++) value[i] = omma_make_reshape(m, value[i], 1, (int64_t[]){1});
    omma_value *in[] = {n->in[0], n->in[1], omma_make_concat(m, value, 2, 0)};
    const omma_node *there = omma_make_node(m, n->op, n->opset, in, 3, n->attrs, n->n_attrs, 1);
    c = there ? omma_make_2(m, "Mul", c, there->out[0]) : NULL;
    c = omma_make_sum(m, c, (1u << n->out[0]->rank) - 1, false);
    return omma_make_reshape(m, c, 1, (int64_t[]){1});
}

/* By the values; by indices that are floating numbers it is zero: a step. */
static omma_status onehot_grad(omma_grad *g, const omma_node *n) {
    omma_value *dy = omma_grad_out(g, n, 0);
    if (!omma_grad_wants(g, n, 2)) return g->m.status;
    omma_value *sum[] = {onehot_sum(&g->m, n, dy, false), onehot_sum(&g->m, n, dy, true)};
    return omma_grad_add(g, n, 2, omma_make_concat(&g->m, sum, 2, 0));
}

/* Which of the two values each output is. */
static omma_status onehot_values(omma_field *f, const omma_node *n, omma_relation *r) {
    const onehot_param *p = n->param;
    const omma_value *index = n->in[0];
    const void *numbers = omma_field_numbers(f, index);
    const int64_t count = omma_value_count(n->out[0]), indices = omma_value_count(index);
    r->bound = !numbers;
    r->data = numbers && !index->data;
    if (!numbers) return OMMA_OK;
    int64_t *item = omma_arena_array(f->b->arena, (size_t)count, sizeof *item);
    if (!item) return omma_nomem(f->b, n);
    for (int64_t i = 0; i < indices; i++) {
        const int64_t at = onehot_at(p, index->dtype, numbers, i);
        if (at >= 0) item[at] = 1;
    }
    omma_relation_view_out(r, 1, &count);
    r->axis[0] = omma_map_picked(f, 0, item, count);
    return f->status;
}

static omma_status onehot_field(omma_field *f, const omma_node *n) {
    const onehot_param *p = n->param;
    omma_relation *r = omma_field_relate(f, 0, 2);
    if (r) OMMA_TRY(onehot_values(f, n, r));
    r = omma_field_relate(f, 0, 0);
    if (!r) return f->status;
    r->path = OMMA_PATH_CONTROL;
    for (int d = 0; d < r->in_rank; d++) omma_relation_same(r, d, d < p->axis ? d : d + 1);
    return f->status;
}

/* --- rows ---------------------------------------------------------------------- */

#define NO_INPUT "there is no input"

const omma_op omma_op_Constant = {.name = "Constant",
                                  .min_in = 0,
                                  .max_in = 0,
                                  .min_out = 1,
                                  .max_out = 1,
                                  .infer = constant_infer,
                                  .run = constant_run,
                                  .flops = omma_move_flops,
                                  .no_grad = NO_INPUT,
                                  .field = omma_field_none};

const omma_op omma_op_ConstantOfShape = {.name = "ConstantOfShape",
                                         .min_in = 1,
                                         .max_in = 1,
                                         .min_out = 1,
                                         .max_out = 1,
                                         .infer = fill_infer,
                                         .run = fill_run,
                                         .flops = omma_move_flops,
                                         .no_grad = OMMA_MOVE_NO_DATA,
                                         .field = omma_field_none};

const omma_op omma_op_Range = {.name = "Range",
                               .min_in = 3,
                               .max_in = 3,
                               .min_out = 1,
                               .max_out = 1,
                               .infer = range_infer,
                               .run = range_run,
                               .flops = omma_move_flops,
                               .no_grad =
                                   "its numbers decide its length, so they are constants before "
                                   "anything is read backwards",
                               .field = omma_field_none};

const omma_op omma_op_EyeLike = {.name = "EyeLike",
                                 .min_in = 1,
                                 .max_in = 1,
                                 .min_out = 1,
                                 .max_out = 1,
                                 .flags = OMMA_OP_SHAPE_ONLY,
                                 .infer = eye_infer,
                                 .run = eye_run,
                                 .flops = omma_move_flops,
                                 .no_grad = OMMA_MOVE_NO_DATA,
                                 .field = omma_field_none};

const omma_op omma_op_OneHot = {.name = "OneHot",
                                .min_in = 3,
                                .max_in = 3,
                                .min_out = 1,
                                .max_out = 1,
                                .infer = onehot_infer,
                                .run = onehot_run,
                                .flops = omma_move_flops,
                                .grad = onehot_grad,
                                .field = onehot_field};

/* unique.c - Unique: the different numbers of a tensor, or the different slices along an axis.
 *
 *   x: any   y: without `axis` a list of its numbers, else x with K slices along the axis
 *   indices: int64 [K], where each stands first   inverse: int64 [L], which of y each slice of x
 *   is   counts: int64 [K]
 *
 * In rising order, slices compared number by number, or (sorted = 0) in the order of their first
 * places. infer gives the largest outputs, run the true ones. Source: ONNX Unique 11.
 * Traps: NaN counts as the largest number and equals itself; -0 equals 0. */
#include <math.h>

#include "base/checked.h"
#include "op/element.h"
#include "op/grad.h"
#include "op/index_map.h"
#include "op/move.h"

enum { Y, INDICES, INVERSE, COUNTS }; /* outputs */

typedef struct unique {
    bool sorted;
    int axis; /* of y */
    int64_t outer, len, inner;
} unique;

static omma_status infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0];
    const bool flat = !omma_node_attr(n, "axis");
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_ANY));
    unique *u = omma_param(b, n, sizeof *u);
    if (!u) return omma_nomem(b, n);
    *u = (unique){omma_node_int(n, "sorted", 1) != 0, 0, 1, omma_value_count(x), 1};
    if (!flat) {
        OMMA_TRY(omma_axis(b, n, omma_node_int(n, "axis", 0), x->rank, &u->axis));
        u->len = x->dims[u->axis];
        if (!omma_dims_count(x->dims, u->axis, &u->outer) ||
            !omma_dims_count(x->dims + u->axis + 1, x->rank - u->axis - 1, &u->inner))
            return omma_bad(b, n, "the size overflows");
    }
    for (int i = INDICES; i <= COUNTS; i++) OMMA_TRY(omma_out(b, n, i, OMMA_I64, 1, &u->len));
    return flat ? omma_out(b, n, Y, x->dtype, 1, &u->len) : omma_out_like(b, n, Y, x);
}

/* Four lists of len integers. */
static omma_status prepare(omma_build *b, omma_node *n) {
    const unique *u = n->param;
    if (!omma_dims_bytes((int64_t[]){4, u->len}, 2, sizeof(int64_t), &n->scratch))
        return omma_bad(b, n, "its working memory overflows");
    return OMMA_OK;
}

/* Less than 0, 0, more than 0. */
static int compare_numbers(const omma_value *v, int64_t a, int64_t b) {
    if (!omma_type_in(v->dtype, OMMA_IN_FLOAT)) {
        const int64_t x = omma_get_int(v->dtype, v->mem, a), y = omma_get_int(v->dtype, v->mem, b);
        return omma_int_less(v->dtype, x, y) ? -1 : omma_int_less(v->dtype, y, x);
    }
    const double x = omma_get_number(v->dtype, v->mem, a), y = omma_get_number(v->dtype, v->mem, b);
    if (isnan(x) || isnan(y)) return (int)isnan(x) - (int)isnan(y);
    return x < y ? -1 : x > y;
}

static int compare(const omma_value *v, const unique *u, int64_t a, int64_t b) {
    for (int64_t o = 0; o < u->outer; o++)
        for (int64_t i = 0; i < u->inner; i++) {
            const int c = compare_numbers(v, (o * u->len + a) * u->inner + i,
                                          (o * u->len + b) * u->inner + i);
            if (c) return c;
        }
    return 0;
}

/* Sort order: [len] by merging; equal slices keep their order. */
static void sort(const omma_value *v, const unique *u, int64_t *order, int64_t *other) {
    for (int64_t i = 0; i < u->len; i++) order[i] = i;
    for (int64_t run = 1; run < u->len; run *= 2) {
        for (int64_t at = 0; at < u->len; at += 2 * run) {
            const int64_t mid = at + run < u->len ? at + run : u->len,
                          end = mid + run < u->len ? mid + run : u->len;
            int64_t a = at, b = mid;
            for (int64_t k = at; k < end; k++) {
                const bool left = a < mid && (b >= end || compare(v, u, order[a], order[b]) <= 0);
                other[k] = left ? order[a++] : order[b++];
            }
        }
        memcpy(order, other, (size_t)u->len * sizeof *order);
    }
}

/* group[i] = which of the different slices slice i is, first[g] = its first place; how many. */
static int64_t group_up(const omma_value *v, const unique *u, int64_t *order, int64_t *group,
                        int64_t *first, int64_t *renamed) {
    int64_t count = 0;
    for (int64_t k = 0; k < u->len; k++) {
        if (!k || compare(v, u, order[k - 1], order[k])) first[count++] = order[k];
        group[order[k]] = count - 1;
    }
    if (u->sorted) return count;
    int64_t next = 0;
    for (int64_t i = 0; i < u->len; i++) { /* a first place comes before all others of its group */
        const int64_t g = group[i];
        if (first[g] == i) renamed[g] = next++;
        group[i] = renamed[g];
    }
    for (int64_t i = u->len - 1; i >= 0; i--) first[group[i]] = i;
    return count;
}

static void set_count(omma_value *v, int d, int64_t count) {
    if (v) v->dims[d] = count;
}

static omma_status run(const omma_exec *x, const omma_node *n) {
    (void)x;
    const unique *u = n->param;
    const omma_value *v = n->in[0];
    int64_t *order = n->work, *group = order + u->len, *first = group + u->len,
            *renamed = first + u->len, count = 0;
    if (u->len) {
        sort(v, u, order, group);
        count = group_up(v, u, order, group, first, renamed);
    }
    omma_value *y = omma_wanted(n, Y), *indices = omma_wanted(n, INDICES),
               *inverse = omma_wanted(n, INVERSE), *counts = omma_wanted(n, COUNTS);
    set_count(y, u->axis, count), set_count(indices, 0, count), set_count(counts, 0, count);
    const size_t block = (size_t)u->inner * omma_dtype_size(v->dtype);
    for (int64_t o = 0; y && block && o < u->outer; o++)
        for (int64_t g = 0; g < count; g++)
            omma_move_bytes((char *)y->mem + (size_t)(o * count + g) * block,
                            (const char *)v->mem + (size_t)(o * u->len + first[g]) * block, block);
    for (int64_t g = 0; indices && g < count; g++) ((int64_t *)indices->mem)[g] = first[g];
    for (int64_t g = 0; counts && g < count; g++) ((int64_t *)counts->mem)[g] = 0;
    for (int64_t i = 0; counts && i < u->len; i++) ((int64_t *)counts->mem)[group[i]]++;
    for (int64_t i = 0; inverse && i < u->len; i++) ((int64_t *)inverse->mem)[i] = group[i];
    return OMMA_OK;
}

static double flops(const omma_node *n) { return 8 * (double)omma_value_count(n->in[0]); }

/* Which of y each slice is, from the node or one like it. */
static omma_value *inverse_of(omma_maker *m, const omma_node *n) {
    if (omma_wanted(n, INVERSE)) return n->out[INVERSE];
    const omma_node *again =
        omma_make_node(m, n->op, n->opset, n->in, n->n_in, n->attrs, n->n_attrs, INVERSE + 1);
    return again ? again->out[INVERSE] : NULL;
}

/* y is made from the first slice of each group, which gets its cotangent: no shape here depends on
 * how many groups there are. */
static omma_status grad(omma_grad *g, const omma_node *n) {
    const unique *u = n->param;
    omma_maker *m = &g->m;
    const omma_value number = {.name = "number", .dtype = OMMA_I64};
    omma_value *dy = omma_grad_out(g, n, Y), *inverse = inverse_of(m, n);
    if (!dy || !omma_value_count(n->in[0])) return m->status;
    omma_value *places =
        omma_make_3(m, "Range", omma_make_number(m, &number, 0),
                    omma_make_number(m, &number, (double)u->len), omma_make_number(m, &number, 1));
    const omma_attr least[] = {OMMA_A_STRING("reduction", "min"), OMMA_A_INT("axis", 0)};
    omma_value *in[] = {omma_make_full(m, places, (double)u->len), inverse, places};
    omma_value *first = omma_make(m, "ScatterElements", in, 3, least, 2);
    omma_value *is = omma_make_2(m, "Equal", omma_make_2(m, "Gather", first, inverse), places);
    const omma_attr axis = OMMA_A_INT("axis", 1);
    dy = omma_make_reshape(m, dy, 3, (int64_t[]){u->outer, u->len, u->inner});
    dy = omma_make(m, "Gather", (omma_value *[]){dy, inverse}, 2, &axis, 1);
    is = omma_make_reshape(m, is, 2, (int64_t[]){u->len, 1});
    omma_value *dx = omma_make_3(m, "Where", is, dy, omma_make_number(m, n->in[0], 0));
    return omma_grad_add(g, n, 0, omma_make_shaped(m, dx, n->in[0]));
}

/* A slice of y is one of x, which one all of x decides. The other outputs count and compare. */
static omma_status field(omma_field *f, const omma_node *n) {
    const unique *u = n->param;
    omma_relation *r = omma_field_relate(f, Y, 0);
    if (r && !omma_node_attr(n, "axis")) omma_relation_view_in(r, 1, &u->len);
    for (int d = 0; r && d < r->in_rank; d++)
        if (d != u->axis) omma_relation_same(r, d, d);
    if (r) r->bound = true;
    for (int k = Y; k <= COUNTS; k++) {
        r = omma_field_relate(f, k, 0);
        if (r) r->bound = true;
        if (r && k == Y) r->path = OMMA_PATH_CONTROL;
    }
    return f->status;
}

const omma_op omma_op_Unique = {.name = "Unique",
                                .min_in = 1,
                                .max_in = 1,
                                .min_out = 1,
                                .max_out = 4,
                                .flags = OMMA_OP_DATA_SHAPE,
                                .infer = infer,
                                .prepare = prepare,
                                .run = run,
                                .flops = flops,
                                .grad = grad,
                                .field = field};

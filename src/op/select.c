/* select.c - operators whose output is as long as the data says: NonZero, Compress,
 * NonMaxSuppression.
 *
 *   NonZero   x: any        y: int64 [rank, K], the coordinates of the K numbers that are not 0
 *   Compress  x: any, condition: bool [L]       the slices along `axis` (the numbers, without
 *             one) whose condition holds; what lies beyond L is left out
 *   NonMaxSuppression  boxes: f32 [B, N, 4], scores: f32 [B, C, N], then three single numbers:
 *             most boxes of a class (int64), IoU threshold, score threshold (f32)
 *             y: int64 [K, 3], (batch, class, box)
 *
 * infer gives the largest output, run the true one. Sources: ONNX NonZero 9, 13; Compress 9,
 * 11; NonMaxSuppression 10, 11. Traps: NonZero of a scalar is [0, K]; NMS keeps a box on an
 * IoU equal to the threshold, drops one on a score equal to it, takes equal scores in the
 * order of their boxes, gives nothing when the number of boxes is left out, and takes the
 * corners of a box in any order; its numbers are computed in float, as thresholds expect. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "op/element.h"
#include "op/grad.h"
#include "op/index_map.h"
#include "op/move.h"
#include "op/move_back.h"

#define CHOICE "a choice by comparison: constant almost everywhere"

/* --- NonZero ------------------------------------------------------------------------------------
 */

static omma_status NonZero_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0];
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_ANY));
    return omma_out(b, n, 0, OMMA_I64, 2, (int64_t[]){x->rank, omma_value_count(x)});
}

/* Is number i not 0? The sign of a float does not count. */
static bool is_set(const omma_value *x, int64_t i) {
    const size_t size = omma_dtype_size(x->dtype);
    uint64_t bits = 0;
    uint16_t half;
    uint32_t word;
    const char *p = (const char *)x->mem + (size_t)i * size;
    switch (size) {
    case 1: bits = *(const uint8_t *)p; break;
    case 2: memcpy(&half, p, 2), bits = half; break;
    case 4: memcpy(&word, p, 4), bits = word; break;
    default: memcpy(&bits, p, 8);
    }
    if (omma_type_in(x->dtype, OMMA_IN_FLOAT)) bits &= ~((uint64_t)1 << (8 * size - 1));
    return bits != 0;
}

static omma_status NonZero_run(const omma_exec *x, const omma_node *n) {
    (void)x;
    const omma_value *v = n->in[0];
    omma_value *y = omma_wanted(n, 0);
    const int64_t count = omma_value_count(v);
    int64_t k = 0, at[OMMA_MAX_RANK] = {0};
    if (!y) return OMMA_OK;
    for (int64_t i = 0; i < count; i++) k += is_set(v, i);
    y->dims[1] = k;
    int64_t *out = y->mem;
    for (int64_t i = 0; i < count; i++) {
        if (is_set(v, i)) {
            for (int d = 0; d < v->rank; d++) out[d * k] = at[d];
            out++;
        }
        for (int d = v->rank - 1; d >= 0 && ++at[d] == v->dims[d]; d--) at[d] = 0;
    }
    return OMMA_OK;
}

/* --- Compress -----------------------------------------------------------------------------------
 */

typedef struct compress {
    int axis; /* of the output; 0 without one */
    int64_t outer, dim;
    size_t block; /* bytes under the axis */
} compress;

static int64_t count_true(const uint8_t *c, int64_t n) {
    int64_t k = 0;
    for (int64_t i = 0; i < n; i++) k += c[i] != 0;
    return k;
}

static omma_status Compress_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0], *when = n->in[1];
    const bool flat = !omma_node_attr(n, "axis");
    int64_t dims[OMMA_MAX_RANK];
    OMMA_TRY(omma_want(b, n, 1, OMMA_IN_BOOL));
    compress *c = omma_param(b, n, sizeof *c);
    if (!c) return omma_nomem(b, n);
    *c = (compress){.outer = 1, .dim = omma_value_count(x), .block = omma_dtype_size(x->dtype)};
    if (!flat) {
        OMMA_TRY(omma_axis(b, n, omma_node_int(n, "axis", 0), x->rank, &c->axis));
        c->dim = x->dims[c->axis];
        if (!omma_dims_count(x->dims, c->axis, &c->outer) ||
            !omma_dims_bytes(x->dims + c->axis + 1, x->rank - c->axis - 1,
                             omma_dtype_size(x->dtype), &c->block))
            return omma_bad(b, n, "the size overflows");
    }
    if (when->rank != 1 || when->dims[0] > c->dim)
        return omma_bad(b, n, "the condition '%s' must be a list of at most %lld", when->name,
                        (long long)c->dim);
    for (int d = 0; d < x->rank; d++) dims[d] = x->dims[d];
    dims[c->axis] = when->data ? count_true(when->data, when->dims[0]) : when->dims[0];
    return omma_out(b, n, 0, x->dtype, flat ? 1 : x->rank, dims);
}

static omma_status Compress_run(const omma_exec *x, const omma_node *n) {
    (void)x;
    const compress *c = n->param;
    const uint8_t *when = n->in[1]->mem;
    const int64_t len = n->in[1]->dims[0];
    omma_value *y = omma_wanted(n, 0);
    if (!y) return OMMA_OK;
    char *dst = y->mem;
    y->dims[c->axis] = count_true(when, len);
    for (int64_t o = 0; o < c->outer && c->block; o++)
        for (int64_t i = 0; i < len; i++) {
            if (!when[i]) continue;
            omma_move_bytes(dst, (const char *)n->in[0]->mem + (size_t)(o * c->dim + i) * c->block,
                            c->block);
            dst += c->block;
        }
    return OMMA_OK;
}

/* For every slice along the axis, which of the output it became: counted by the condition, which
 * is as long as the axis then. */
static omma_value *compress_ranks(omma_maker *m, omma_value *when, int64_t most) {
    const omma_value like = {.name = "number", .dtype = OMMA_I64};
    omma_value *first = omma_make_reshape(m, omma_make_number(m, &like, 0), 1, (int64_t[]){1});
    omma_value *axis = omma_make_number(m, &like, 0);
    omma_value *rank = omma_make_2(m, "CumSum", omma_make_cast(m, when, OMMA_I64), axis);
    rank = omma_make_2(m, "Sub", rank, omma_make_number(m, &like, 1));
    rank = omma_make_2(m, "Max", rank, first);
    return omma_make_2(m, "Min", rank, omma_make_number(m, &like, (double)most));
}

/* Each slice that was chosen reads its cotangent: the same nodes whatever the condition, and also
 * where the output is only known to have at most so many slices. */
static omma_status Compress_grad(omma_grad *g, const omma_node *n) {
    const compress *c = n->param;
    omma_maker *m = &g->m;
    const omma_value *x = n->in[0], *y = n->out[0];
    omma_value *when = n->in[1], *dy = omma_grad_out(g, n, 0);
    const int64_t dims[] = {c->outer, c->dim, omma_value_count(x) / (c->outer * c->dim)};
    if (!omma_grad_wants(g, n, 0)) return OMMA_OK;
    if (!omma_value_count(y)) return omma_grad_add(g, n, 0, omma_make_full(m, x, 0));
    when = omma_make_cast(m, when, OMMA_U8);
    when = omma_move_padded_axis(m, when, 0, 0, c->dim - n->in[1]->dims[0]);
    dy = omma_make_reshape(m, dy, 3, (int64_t[]){dims[0], y->dims[c->axis], dims[2]});
    const omma_attr axis = OMMA_A_INT("axis", 1);
    omma_value *in[] = {dy, compress_ranks(m, when, y->dims[c->axis] - 1)};
    omma_value *dx = omma_make(m, "Gather", in, 2, &axis, 1);
    when = omma_make_reshape(m, omma_make_cast(m, when, OMMA_BOOL), 2, (int64_t[]){c->dim, 1});
    dx = omma_make_3(m, "Where", when, dx, omma_make_number(m, dy, 0));
    return omma_grad_add(g, n, 0, omma_make_shaped(m, dx, x));
}

/* The slices a known condition chooses; those of an output that is longer have none. */
static omma_status compress_known(omma_field *f, omma_relation *r, const compress *c,
                                  const uint8_t *when, int64_t len) {
    int64_t slices = 0, *item;
    const int64_t most = r->out_dims[c->axis];
    item = omma_arena_array(f->b->arena, (size_t)most + 1, sizeof *item);
    if (!item) return omma_nomem(f->b, f->n);
    for (int64_t i = 0; i < len && slices < most; i++)
        if (when[i]) item[slices++] = i;
    for (; slices < most; slices++) item[slices] = -1;
    r->axis[c->axis] = omma_map_picked(f, c->axis, item, most);
    return f->status;
}

static omma_status Compress_field(omma_field *f, const omma_node *n) {
    const compress *c = n->param;
    const uint8_t *when = omma_field_numbers(f, n->in[1]);
    omma_relation *r = omma_field_relate(f, 0, 0);
    if (r) {
        if (!omma_node_attr(n, "axis")) omma_relation_view_in(r, 1, &c->dim);
        for (int d = 0; d < r->in_rank; d++)
            if (d != c->axis) omma_relation_same(r, d, d);
        r->bound = !when;
        r->data = when && !n->in[1]->data;
        if (when) OMMA_TRY(compress_known(f, r, c, when, n->in[1]->dims[0]));
    }
    r = omma_field_relate(f, 0, 1);
    if (!r) return f->status;
    r->path = OMMA_PATH_CONTROL;
    r->bound = true; /* only those before a slice, and it, decide where it comes from */
    return f->status;
}

/* --- NonMaxSuppression ------------------------------------------------------------------------ */

enum { BOXES, SCORES, MOST, IOU, SCORE }; /* inputs */

/* A box with x0 <= x1 and y0 <= y1, unless its width or height is negative. */
typedef struct box {
    float x0, y0, x1, y1;
} box;

typedef struct nms {
    int64_t batch, classes, boxes;
    int64_t most;          /* that a class can give at the most */
    bool center;           /* boxes are (x, y, width, height), not (y, x, y, x) */
    int workers;           /* threads the working memory is for */
    size_t kept_at;        /* counts of the classes come first; then each worker's: */
    size_t boxes_at, each; /*   a heap of boxes, and from boxes_at on those kept */
} nms;

static omma_status NonMaxSuppression_infer(omma_build *b, omma_node *n) {
    OMMA_TRY(omma_want(b, n, BOXES, OMMA_BIT(OMMA_F32)));
    OMMA_TRY(omma_want_same(b, n, SCORES));
    const omma_value *boxes = n->in[BOXES], *scores = n->in[SCORES], *most = omma_in(n, MOST);
    if (boxes->rank != 3 || scores->rank != 3 || boxes->dims[2] != 4 ||
        scores->dims[0] != boxes->dims[0] || scores->dims[2] != boxes->dims[1])
        return omma_bad(b, n, "boxes [B, N, 4] and scores [B, C, N] are needed");
    for (int i = MOST; i <= SCORE; i++) {
        if (!omma_in(n, i)) continue;
        OMMA_TRY(omma_want(b, n, i, OMMA_BIT(i == MOST ? OMMA_I64 : OMMA_F32)));
        if (omma_value_count(n->in[i]) != 1)
            return omma_bad(b, n, "'%s' must be one number", n->in[i]->name);
    }
    nms *p = omma_param(b, n, sizeof *p);
    if (!p) return omma_nomem(b, n);
    const int64_t center = omma_node_int(n, "center_point_box", 0);
    if (center < 0 || center > 1)
        return omma_bad(b, n, "center_point_box is %lld, neither 0 nor 1", (long long)center);
    *p = (nms){.batch = boxes->dims[0],
               .classes = scores->dims[1],
               .boxes = boxes->dims[1],
               .center = center};
    if (p->boxes > INT32_MAX) return omma_unsupported(b, n, "%lld boxes", (long long)p->boxes);
    p->most = most ? p->boxes : 0;
    if (most && most->data) {
        int64_t given;
        memcpy(&given, most->data, sizeof given);
        p->most = given < 0 ? 0 : given < p->boxes ? given : p->boxes;
    }
    int64_t rows;
    if (!omma_dims_count((int64_t[]){p->batch, p->classes, p->most}, 3, &rows))
        return omma_bad(b, n, "the output's size overflows");
    return omma_out(b, n, 0, OMMA_I64, 2, (int64_t[]){rows, 3});
}

static omma_status NonMaxSuppression_prepare(omma_build *b, omma_node *n) {
    nms *p = (nms *)n->param;
    size_t kept;
    p->workers = omma_workers(b);
    if (!omma_dims_bytes((int64_t[]){p->batch, p->classes}, 2, sizeof(int64_t), &p->kept_at) ||
        !omma_align_up(p->kept_at, 64, &p->kept_at) ||
        !omma_mul((size_t)p->boxes, sizeof(int32_t), &p->boxes_at) ||
        !omma_align_up(p->boxes_at, 64, &p->boxes_at) ||
        !omma_mul((size_t)p->most, sizeof(box), &kept) || !omma_add(p->boxes_at, kept, &p->each) ||
        !omma_align_up(p->each, 64, &p->each) ||
        !omma_mul(p->each, (size_t)p->workers, &n->scratch) ||
        !omma_add(n->scratch, p->kept_at, &n->scratch))
        return omma_bad(b, n, "its working memory overflows");
    return OMMA_OK;
}

/* The numbers a run is given. */
typedef struct nms_job {
    const omma_node *n;
    const nms *p;
    int64_t most;
    bool by_score;
    float iou, score;
} nms_job;

static box box_at(const nms *p, const float *b) {
    if (p->center) {
        const float w = b[2] / 2, h = b[3] / 2;
        return (box){b[0] - w, b[1] - h, b[0] + w, b[1] + h};
    }
    return (box){fminf(b[1], b[3]), fminf(b[0], b[2]), fmaxf(b[1], b[3]), fmaxf(b[0], b[2])};
}

static bool overlaps(const box *a, const box *b, float threshold) {
    const float w = fminf(a->x1, b->x1) - fmaxf(a->x0, b->x0),
                h = fminf(a->y1, b->y1) - fmaxf(a->y0, b->y0);
    if (!(w > 0 && h > 0)) return false;
    const float inter = w * h, area_a = (a->x1 - a->x0) * (a->y1 - a->y0),
                area_b = (b->x1 - b->x0) * (b->y1 - b->y0);
    const float all = area_a + area_b - inter;
    return inter > 0 && area_a > 0 && area_b > 0 && all > 0 && inter / all > threshold;
}

/* Does box a come before b? NaN comes last. */
static bool before(const float *scores, int32_t a, int32_t b) {
    const float x = scores[a] == scores[a] ? scores[a] : -INFINITY,
                y = scores[b] == scores[b] ? scores[b] : -INFINITY;
    return x > y || (x == y && a < b);
}

/* Let what is at i of a heap of n, the first on top, sink to its place. */
static void sink(const float *scores, int32_t *heap, int64_t n, int64_t i) {
    for (;;) {
        int64_t child = 2 * i + 1;
        if (child >= n) return;
        if (child + 1 < n && before(scores, heap[child + 1], heap[child])) child++;
        if (before(scores, heap[i], heap[child])) return;
        const int32_t t = heap[i];
        heap[i] = heap[child], heap[child] = t;
        i = child;
    }
}

/* The boxes of one class that stay, to out; how many. */
static int64_t suppress(const nms_job *j, const float *boxes, const float *scores, int32_t *heap,
                        box *kept, int64_t *out, int64_t batch, int64_t class) {
    int64_t n = 0, k = 0;
    for (int32_t i = 0; i < (int32_t)j->p->boxes; i++)
        if (!j->by_score || scores[i] > j->score) heap[n++] = i;
    for (int64_t i = n / 2 - 1; i >= 0; i--) sink(scores, heap, n, i);
    while (n && k < j->most) {
        const int32_t best = heap[0];
        const box b = box_at(j->p, boxes + 4 * (int64_t)best);
        heap[0] = heap[--n];
        sink(scores, heap, n, 0);
        bool stays = true;
        for (int64_t i = 0; i < k && stays; i++) stays = !overlaps(&b, &kept[i], j->iou);
        if (!stays) continue;
        kept[k] = b;
        out[3 * k] = batch, out[3 * k + 1] = class, out[3 * k + 2] = best;
        k++;
    }
    return k;
}

/* Items are classes of all batches; each writes where its largest output would begin. */
static void classes(void *arg, int64_t begin, int64_t end, int worker) {
    const nms_job *j = arg;
    const nms *p = j->p;
    int64_t *count = j->n->work, *out = j->n->out[0]->mem;
    char *own = (char *)j->n->work + p->kept_at + (size_t)worker * p->each;
    for (int64_t i = begin; i < end; i++)
        count[i] = suppress(j, (const float *)j->n->in[BOXES]->mem + i / p->classes * p->boxes * 4,
                            (const float *)j->n->in[SCORES]->mem + i * p->boxes,
                            (int32_t *)(void *)own, (box *)(void *)(own + p->boxes_at),
                            out + i * p->most * 3, i / p->classes, i % p->classes);
}

static float number(const omma_value *v) { return v ? *(const float *)v->mem : 0; }

static omma_status NonMaxSuppression_run(const omma_exec *x, const omma_node *n) {
    const nms *p = n->param;
    omma_value *y = omma_wanted(n, 0);
    if (!y) return OMMA_OK;
    const int64_t *most = omma_in(n, MOST) ? n->in[MOST]->mem : NULL;
    nms_job j = {n,
                 p,
                 most && *most < p->most ? *most : p->most,
                 omma_in(n, SCORE) != NULL,
                 number(omma_in(n, IOU)),
                 number(omma_in(n, SCORE))};
    int64_t rows = 0, *out = y->mem;
    const int64_t *count = n->work;
    if (j.most > 0) {
        omma_parallel(x->threads < p->workers ? x->threads : p->workers, p->batch * p->classes, 1,
                      classes, &j);
        for (int64_t i = 0; i < p->batch * p->classes; i++) { /* close the gaps */
            if (count[i])
                memmove(out + rows * 3, out + i * p->most * 3, (size_t)count[i] * 3 * sizeof *out);
            rows += count[i];
        }
    }
    y->dims[0] = rows;
    return OMMA_OK;
}

static double nms_flops(const omma_node *n) {
    const nms *p = n->param;
    return 16 * (double)p->batch * (double)p->classes * (double)p->boxes;
}

/* --- rows ------------------------------------------------------------------------------------- */

const omma_op omma_op_NonZero = {.name = "NonZero",
                                 .min_in = 1,
                                 .max_in = 1,
                                 .min_out = 1,
                                 .max_out = 1,
                                 .flags = OMMA_OP_DATA_SHAPE,
                                 .infer = NonZero_infer,
                                 .run = NonZero_run,
                                 .flops = omma_move_flops,
                                 .no_grad = CHOICE,
                                 .field = omma_field_whole_bound};

const omma_op omma_op_Compress = {.name = "Compress",
                                  .min_in = 2,
                                  .max_in = 2,
                                  .min_out = 1,
                                  .max_out = 1,
                                  .flags = OMMA_OP_DATA_SHAPE,
                                  .infer = Compress_infer,
                                  .run = Compress_run,
                                  .flops = omma_move_flops,
                                  .grad = Compress_grad,
                                  .field = Compress_field};

const omma_op omma_op_NonMaxSuppression = {.name = "NonMaxSuppression",
                                           .min_in = 2,
                                           .max_in = 5,
                                           .min_out = 1,
                                           .max_out = 1,
                                           .flags = OMMA_OP_DATA_SHAPE,
                                           .infer = NonMaxSuppression_infer,
                                           .prepare = NonMaxSuppression_prepare,
                                           .run = NonMaxSuppression_run,
                                           .flops = nms_flops,
                                           .no_grad = CHOICE,
                                           .field = omma_field_whole_bound};

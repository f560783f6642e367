/* eval_voc.c - Pascal VOC's average precision. The boxes found of a class are walked over
 * all images by falling score; each looks at the box to find it overlaps most in its image,
 * and is right when the IoU is enough and that box was not found before. Unlike COCO's
 * rules, a box that comes second to its best target gets no other. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "learn/eval_order.h"

/* The evaluation under way. */
typedef struct eval {
    const omma_coco *truth;
    const omma_coco_results *found;
    omma_eval_order order;
    double iou;
    bool eleven;
    bool *taken;       /* [truth] */
    double *precision; /* [box that counts] */
    int64_t *hits;     /* [box that counts], true positives up to it */
} eval;

/* Pixels from the first to the last, both included, on both axes. */
static double area(const double *b) { return (b[2] + 1) * (b[3] + 1); }

static double iou(const double *a, const double *b) {
    double x0 = fmax(a[0], b[0]), x1 = fmin(a[0] + a[2], b[0] + b[2]);
    double y0 = fmax(a[1], b[1]), y1 = fmin(a[1] + a[3], b[1] + b[3]);
    if (x1 < x0 || y1 < y0) return 0;
    double i = (x1 - x0 + 1) * (y1 - y0 + 1);
    return i / (area(a) + area(b) - i);
}

/* The first of the class's truths whose image is not before `image`. */
static int64_t lower_bound(const omma_eval_item *items, omma_eval_range r, int32_t image) {
    while (r.from < r.to) {
        int64_t middle = r.from + (r.to - r.from) / 2;
        if (items[middle].image < image) r.from = middle + 1;
        else r.to = middle;
    }
    return r.from;
}

/* The truth a box overlaps most, if enough: its place in the order, or -1. */
static int64_t best(const eval *e, const omma_eval_item *item, omma_eval_range truths) {
    const omma_eval_item *ts = e->order.truths;
    int64_t m = -1;
    double most = 0;
    for (int64_t g = lower_bound(ts, truths, item->image);
         g < truths.to && ts[g].image == item->image; g++) {
        double v = iou(e->found->items[item->index].bbox, e->truth->boxes[ts[g].index].bbox);
        if (v > most) most = v, m = g;
    }
    return most >= e->iou ? m : -1;
}

/* Walk the class's boxes: precision and hits after each that counts. Returns how many. */
static int64_t trace(eval *e, omma_eval_range truths, omma_eval_range found) {
    int64_t n = 0, hits = 0;
    for (int64_t d = found.from; d < found.to; d++) {
        int64_t g = best(e, &e->order.found[d], truths);
        if (g >= 0 && e->truth->boxes[e->order.truths[g].index].crowd) continue;
        if (g >= 0 && !e->taken[g]) {
            e->taken[g] = true;
            hits++;
        }
        e->hits[n] = hits;
        e->precision[n] = (double)hits / (double)(n + 1);
        n++;
    }
    return n;
}

/* Area under the curve whose precision is the best at that recall or beyond. */
static double every_point(eval *e, int64_t n, double to_find) {
    double sum = 0, recall = 0;
    for (int64_t i = n - 1; i > 0; i--)
        e->precision[i - 1] = fmax(e->precision[i - 1], e->precision[i]);
    for (int64_t i = 0; i < n; i++) {
        double r = (double)e->hits[i] / to_find;
        sum += (r - recall) * e->precision[i];
        recall = r;
    }
    return sum;
}

static double eleven_points(eval *e, int64_t n, double to_find) {
    double sum = 0;
    for (int r = 0; r <= 10; r++) {
        double most = 0;
        for (int64_t i = 0; i < n; i++)
            if ((double)e->hits[i] / to_find >= r * .1) most = fmax(most, e->precision[i]);
        sum += most;
    }
    return sum / 11;
}

static void score_class(eval *e, omma_eval_class *c, omma_eval_range truths,
                        omma_eval_range found) {
    int64_t n = trace(e, truths, found);
    double to_find = (double)c->truths;
    c->ap = c->ap50 = c->ap75 = c->ar = -1;
    c->hits = n ? e->hits[n - 1] : 0;
    c->misfires = n - c->hits;
    if (!c->truths) return;
    c->ar = (double)c->hits / to_find;
    c->ap = e->eleven ? eleven_points(e, n, to_find) : every_point(e, n, to_find);
}

static omma_status take_memory(eval *e, omma_arena *work, omma_error *err) {
    size_t n = (size_t)e->order.n_found;
    e->taken = omma_arena_array(work, (size_t)e->order.n_truths, sizeof *e->taken);
    e->precision = omma_arena_array(work, n, sizeof *e->precision);
    e->hits = omma_arena_array(work, n, sizeof *e->hits);
    if (e->taken && e->precision && e->hits) return OMMA_OK;
    return omma_fail(err, OMMA_E_NOMEM, "no memory to evaluate %zu boxes", n);
}

static omma_status run(eval *e, omma_eval *out, omma_arena *work, omma_error *err) {
    double sum = 0;
    int64_t count = 0;
    omma_eval_range truths = {0, 0}, found = {0, 0};
    OMMA_TRY(omma_eval_begin(out, &e->order, e->truth, e->found, e->iou, false, work, err));
    OMMA_TRY(take_memory(e, work, err));
    for (int64_t k = 0; k < out->n_classes; k++) {
        omma_eval_class *c = &out->classes[k];
        truths = omma_eval_of_category(e->order.truths, e->order.n_truths, truths.to, c->category);
        found = omma_eval_of_category(e->order.found, e->order.n_found, found.to, c->category);
        score_class(e, c, truths, found);
        if (c->truths) sum += c->ap, count++;
    }
    for (int i = 0; i < OMMA_EVAL_LINES; i++) out->lines[i] = -1;
    if (count) out->lines[0] = sum / (double)count;
    return OMMA_OK;
}

omma_status omma_eval_voc(omma_eval *out, const omma_coco *truth, const omma_coco_results *found,
                          double threshold, bool eleven, omma_budget *budget, omma_error *err) {
    omma_arena work;
    eval e = {.truth = truth, .found = found, .iou = threshold, .eleven = eleven};
    memset(out, 0, sizeof *out);
    omma_arena_init(&work, budget);
    omma_arena_init(&out->arena, budget);
    omma_status status = run(&e, out, &work, err);
    omma_arena_free(&work);
    if (status) omma_eval_free(out);
    return status;
}

/* eval_order.c - sorts boxes for an evaluation and counts them by class. Sorts are total
 * (the last key is the position in the file), which is what COCO's stable sorts come to. */
#include "learn/eval_order.h"

#include <stdlib.h>
#include <string.h>

static int three_way(int64_t x, int64_t y) { return (x > y) - (x < y); }

static int by_score(const omma_eval_item *x, const omma_eval_item *y) {
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return three_way(x->index, y->index);
}

static int by_category_score(const void *a, const void *b) {
    const omma_eval_item *x = a, *y = b;
    if (x->category != y->category) return three_way(x->category, y->category);
    return by_score(x, y);
}

static int by_category_image_score(const void *a, const void *b) {
    const omma_eval_item *x = a, *y = b;
    if (x->category != y->category) return three_way(x->category, y->category);
    if (x->image != y->image) return three_way(x->image, y->image);
    return by_score(x, y);
}

static void list_truths(omma_eval_order *o, const omma_coco *truth) {
    for (int64_t i = 0; i < truth->n_boxes; i++) {
        const omma_coco_box *b = &truth->boxes[i];
        o->truths[o->n_truths++] = (omma_eval_item){0, i, b->category, b->image};
    }
    qsort(o->truths, (size_t)o->n_truths, sizeof *o->truths, by_category_image_score);
}

static void list_found(omma_eval_order *o, const omma_coco_results *found, bool by_image) {
    for (int64_t i = 0; i < found->count; i++) {
        const omma_coco_found *f = &found->items[i];
        if (f->category < 0) continue;
        o->found[o->n_found++] = (omma_eval_item){f->score, i, f->category, f->image};
    }
    qsort(o->found, (size_t)o->n_found, sizeof *o->found,
          by_image ? by_category_image_score : by_category_score);
}

static void count(omma_eval *out, const omma_coco *truth, const omma_eval_order *o) {
    for (int64_t k = 0; k < out->n_classes; k++) out->classes[k].category = (int32_t)k;
    for (int64_t i = 0; i < truth->n_boxes; i++) {
        omma_eval_class *c = &out->classes[truth->boxes[i].category];
        if (truth->boxes[i].crowd) c->crowds++;
        else c->truths++;
    }
    for (int64_t i = 0; i < o->n_found; i++) out->classes[o->found[i].category].found++;
}

omma_status omma_eval_begin(omma_eval *out, omma_eval_order *order, const omma_coco *truth,
                            const omma_coco_results *found, double iou, bool by_image,
                            omma_arena *work, omma_error *err) {
    if (!(iou > 0 && iou <= 1))
        return omma_fail(err, OMMA_E_USAGE, "an IoU threshold is above 0 and at most 1");
    out->n_classes = truth->n_categories;
    out->classes = omma_arena_array(&out->arena, (size_t)out->n_classes, sizeof *out->classes);
    order->n_truths = order->n_found = 0;
    order->truths = omma_arena_array(work, (size_t)truth->n_boxes, sizeof *order->truths);
    order->found = omma_arena_array(work, (size_t)found->count, sizeof *order->found);
    if (!out->classes || !order->truths || !order->found)
        return omma_fail(err, OMMA_E_NOMEM, "no memory to evaluate %lld boxes",
                         (long long)(truth->n_boxes + found->count));
    list_truths(order, truth);
    list_found(order, found, by_image);
    count(out, truth, order);
    return OMMA_OK;
}

omma_eval_range omma_eval_of_category(const omma_eval_item *items, int64_t n, int64_t from,
                                      int32_t category) {
    omma_eval_range r = {from, from};
    while (r.to < n && items[r.to].category == category) r.to++;
    return r;
}

omma_eval_range omma_eval_of_image(const omma_eval_item *items, int64_t from, int64_t to,
                                   int32_t image) {
    omma_eval_range r = {from, from};
    while (r.to < to && items[r.to].image == image) r.to++;
    return r;
}

void omma_eval_free(omma_eval *e) {
    omma_arena_free(&e->arena);
    memset(e, 0, sizeof *e);
}

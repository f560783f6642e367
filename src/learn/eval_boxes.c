/* eval_boxes.c - COCO's evaluation of boxes. A class is evaluated at a time: its boxes are
 * matched image by image for every area range and threshold (`match`), which leaves one
 * verdict per box found; the verdicts, sorted by score, give a precision-recall curve for
 * each threshold (`trace`), and the curves the twelve numbers.
 *
 * What is easy to get wrong, all of it in COCOeval:
 *   - boxes to find are walked with the ignored ones last, and a match with an ordinary
 *     one is never given up for an ignored one;
 *   - a crowd may be matched any number of times, and its IoU is intersection / found;
 *   - a later box of equal IoU wins (the test is "less than");
 *   - a found box that matches nothing and lies outside the area range is ignored;
 *   - the area of a box to find is the file's (the outline's), not width * height;
 *   - classes with nothing to find are left out of every mean. */
#include "learn/eval_boxes.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "learn/eval_order.h"

enum { THRESHOLDS = 10, AREAS = 4, RECALLS = 101, MAX_DETS = 100 };

const omma_eval_line omma_eval_lines[OMMA_EVAL_LINES] = {
    {"AP", false, 0, "all", 100},
    {"AP50", false, .5, "all", 100},
    {"AP75", false, .75, "all", 100},
    {"APsmall", false, 0, "small", 100},
    {"APmedium", false, 0, "medium", 100},
    {"APlarge", false, 0, "large", 100},
    {"AR1", true, 0, "all", 1},
    {"AR10", true, 0, "all", 10},
    {"AR100", true, 0, "all", 100},
    {"ARsmall", true, 0, "small", 100},
    {"ARmedium", true, 0, "medium", 100},
    {"ARlarge", true, 0, "large", 100},
};

static const struct {
    const char *name;
    double from, to; /* [px^2], both included */
} areas[AREAS] = {
    {"all", 0, 1e10}, {"small", 0, 1024}, {"medium", 1024, 9216}, {"large", 9216, 1e10}};

/* What became of a box found: bit t of hit, it matched at threshold t; of drop, it counts
 * for nothing there. One of each per area range. */
typedef struct verdict {
    double score;
    int32_t rank;  /* by score among its image's boxes of the class, from 0 */
    int32_t order; /* position before sorting */
    uint16_t hit[AREAS], drop[AREAS];
} verdict;

/* A box to find while its image is matched. */
typedef struct target {
    const omma_coco_box *box;
    int64_t column; /* in the IoU table */
    bool ignore;
    uint16_t taken; /* bit t: matched at threshold t */
} target;

/* A precision-recall curve summed up: -1 when there is nothing to find. */
typedef struct curve {
    double precision[THRESHOLDS]; /* mean over the 101 recalls */
    double recall[THRESHOLDS];    /* the last one reached */
    int64_t hits, misfires;       /* at the first threshold */
} curve;

/* The evaluation under way. */
typedef struct eval {
    const omma_coco *truth;
    const omma_coco_results *found;
    omma_eval_order order;
    double thresholds[THRESHOLDS];
    int n_thresholds;
    /* one image */
    target *targets, *sorted;
    double *iou; /* [found, to find] */
    /* one class */
    verdict *verdicts;
    int64_t n_verdicts;
    int64_t to_find[AREAS]; /* boxes not ignored */
    double *precision;      /* [box] */
    int64_t *hits;          /* [box], true positives up to it */
} eval;

/* numpy.linspace(.5, .95, 10), to the bit. */
static void set_thresholds(eval *e, double iou) {
    e->n_thresholds = iou > 0 ? 1 : THRESHOLDS;
    for (int t = 0; t < THRESHOLDS; t++) e->thresholds[t] = t * ((.95 - .5) / 9) + .5;
    e->thresholds[THRESHOLDS - 1] = .95;
    if (iou > 0) e->thresholds[0] = iou;
}

/* --- matching one image -------------------------------------------------------- */

static double intersection(const double *a, const double *b) {
    double w = fmin(a[0] + a[2], b[0] + b[2]) - fmax(a[0], b[0]);
    if (w <= 0) return 0;
    double h = fmin(a[1] + a[3], b[1] + b[3]) - fmax(a[1], b[1]);
    return h <= 0 ? 0 : w * h;
}

/* IoU of each found box with each target; of a crowd, the share of the found box in it. */
static void fill_iou(eval *e, const omma_eval_item *found, int64_t n_found, int64_t n_targets) {
    for (int64_t d = 0; d < n_found; d++) {
        const double *a = e->found->items[found[d].index].bbox;
        for (int64_t g = 0; g < n_targets; g++) {
            const omma_coco_box *b = e->targets[g].box;
            double i = intersection(a, b->bbox), area = a[2] * a[3];
            double whole = b->crowd ? area : area + b->bbox[2] * b->bbox[3] - i;
            e->iou[d * n_targets + g] = i > 0 ? i / whole : 0;
        }
    }
}

static bool outside(double area, int range) {
    return area < areas[range].from || area > areas[range].to;
}

/* Put the targets into `sorted`, the ignored ones last, and count the others. */
static void sort_targets(eval *e, int64_t n, int range) {
    int64_t at = 0;
    for (int64_t g = 0; g < n; g++) {
        target *t = &e->targets[g];
        t->ignore = t->box->crowd || outside(t->box->area, range);
        t->taken = 0;
        if (!t->ignore) e->sorted[at++] = *t;
    }
    e->to_find[range] += at;
    for (int64_t g = 0; g < n; g++)
        if (e->targets[g].ignore) e->sorted[at++] = e->targets[g];
}

/* The target a found box takes at threshold t, or NULL. row: its IoUs. */
static target *best(eval *e, const double *row, int64_t n, int t) {
    target *m = NULL;
    double iou = fmin(e->thresholds[t], 1 - 1e-10);
    for (int64_t g = 0; g < n; g++) {
        target *c = &e->sorted[g];
        if (c->taken >> t & 1 && !c->box->crowd) continue;
        if (m && !m->ignore && c->ignore) break;
        if (row[c->column] < iou) continue;
        iou = row[c->column];
        m = c;
    }
    return m;
}

static void match(eval *e, verdict *v, int64_t n_found, int64_t n, int range, const double *area) {
    sort_targets(e, n, range);
    for (int t = 0; t < e->n_thresholds; t++) {
        uint16_t bit = (uint16_t)(1U << t);
        for (int64_t d = 0; d < n_found; d++) {
            target *m = best(e, e->iou + d * n, n, t);
            if (m) m->taken |= bit;
            if (m) v[d].hit[range] |= bit;
            if (m ? m->ignore : outside(area[d], range)) v[d].drop[range] |= bit;
        }
    }
}

/* Match the boxes of one image and class; adds their verdicts. */
static void match_image(eval *e, omma_eval_range truths, omma_eval_range found) {
    int64_t n = truths.to - truths.from, n_found = found.to - found.from;
    const omma_eval_item *items = e->order.found + found.from;
    double area[MAX_DETS];
    verdict *v = e->verdicts + e->n_verdicts;
    if (n_found > MAX_DETS) n_found = MAX_DETS;
    for (int64_t g = 0; g < n; g++) {
        const omma_coco_box *b = &e->truth->boxes[e->order.truths[truths.from + g].index];
        e->targets[g] = (target){.box = b, .column = g};
    }
    for (int64_t d = 0; d < n_found; d++) {
        const double *b = e->found->items[items[d].index].bbox;
        area[d] = b[2] * b[3];
        v[d] = (verdict){
            .score = items[d].score, .rank = (int32_t)d, .order = (int32_t)(e->n_verdicts + d)};
    }
    fill_iou(e, items, n_found, n);
    for (int a = 0; a < AREAS; a++) match(e, v, n_found, n, a, area);
    e->n_verdicts += n_found;
}

/* --- one class ----------------------------------------------------------------- */

static int by_score(const void *a, const void *b) {
    const verdict *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

/* Verdicts of all images of a class, sorted by falling score. */
static void judge_class(eval *e, omma_eval_range truths, omma_eval_range found) {
    const omma_eval_item *ts = e->order.truths, *fs = e->order.found;
    e->n_verdicts = 0;
    memset(e->to_find, 0, sizeof e->to_find);
    while (truths.from < truths.to || found.from < found.to) {
        int32_t image = INT32_MAX;
        if (truths.from < truths.to) image = ts[truths.from].image;
        if (found.from < found.to && fs[found.from].image < image) image = fs[found.from].image;
        omma_eval_range t = omma_eval_of_image(ts, truths.from, truths.to, image);
        omma_eval_range f = omma_eval_of_image(fs, found.from, found.to, image);
        match_image(e, t, f);
        truths.from = t.to;
        found.from = f.to;
    }
    qsort(e->verdicts, (size_t)e->n_verdicts, sizeof *e->verdicts, by_score);
}

/* Precision and true positives after each box that counts. Returns how many do. */
static int64_t trace(eval *e, int range, int max_dets, int t) {
    int64_t n = 0, hits = 0;
    for (int64_t i = 0; i < e->n_verdicts; i++) {
        const verdict *v = &e->verdicts[i];
        if (v->rank >= max_dets || v->drop[range] >> t & 1) continue;
        hits += v->hit[range] >> t & 1;
        e->hits[n] = hits;
        e->precision[n] = (double)hits / ((double)(n + 1) + DBL_EPSILON);
        n++;
    }
    return n;
}

/* Mean over the 101 recalls of the best precision at that recall or beyond. */
static double mean_precision(eval *e, int64_t n, int64_t to_find) {
    double sum = 0;
    for (int64_t i = n - 1; i > 0; i--)
        e->precision[i - 1] = fmax(e->precision[i - 1], e->precision[i]);
    int64_t i = 0;
    for (int r = 0; r < RECALLS; r++) {
        double recall = r < RECALLS - 1 ? r * .01 : 1;
        while (i < n && (double)e->hits[i] / (double)to_find < recall) i++;
        if (i == n) break;
        sum += e->precision[i];
    }
    return sum / RECALLS;
}

static curve sum_up(eval *e, int range, int max_dets) {
    curve c = {.hits = 0};
    int64_t to_find = e->to_find[range];
    for (int t = 0; t < e->n_thresholds; t++) {
        int64_t n = trace(e, range, max_dets, t), hits = n ? e->hits[n - 1] : 0;
        if (!t) c.hits = hits;
        if (!t) c.misfires = n - hits;
        c.recall[t] = to_find ? (double)hits / (double)to_find : -1;
        c.precision[t] = to_find ? mean_precision(e, n, to_find) : -1;
    }
    return c;
}

/* The mean over thresholds, or the value at one; -1 when there is nothing to find or the
 * threshold was not evaluated. */
static double at_iou(const eval *e, const double *values, double iou) {
    double sum = 0;
    if (values[0] < 0) return -1;
    for (int t = 0; t < e->n_thresholds; t++) {
        if (iou > 0 && e->thresholds[t] == iou) return values[t];
        sum += values[t];
    }
    return iou > 0 ? -1 : sum / e->n_thresholds;
}

static int range_of(const char *name) {
    int a = 0;
    while (a < AREAS - 1 && strcmp(areas[a].name, name)) a++;
    return a;
}

/* Curves of the class just judged: its own numbers, and its share in the twelve. */
static void score_class(eval *e, omma_eval_class *c, double *sums, int64_t *counts) {
    for (int i = 0; i < OMMA_EVAL_LINES; i++) {
        const omma_eval_line *line = &omma_eval_lines[i];
        curve v = sum_up(e, range_of(line->area), line->max_dets);
        double value = at_iou(e, line->recall ? v.recall : v.precision, line->iou);
        if (value >= 0) sums[i] += value, counts[i]++;
        if (i == 0) {
            c->ap = value;
            c->ap50 = at_iou(e, v.precision, .5);
            c->ap75 = at_iou(e, v.precision, .75);
            c->ar = at_iou(e, v.recall, 0);
            c->hits = v.hits;
            c->misfires = v.misfires;
        }
    }
}

/* --- all classes --------------------------------------------------------------- */

/* The most targets an image and class have. */
static int64_t most_targets(const omma_eval_order *o) {
    int64_t most = 0;
    for (int64_t i = 0; i < o->n_truths;) {
        int64_t from = i;
        while (i < o->n_truths && o->truths[i].image == o->truths[from].image &&
               o->truths[i].category == o->truths[from].category)
            i++;
        if (i - from > most) most = i - from;
    }
    return most;
}

static int64_t most_found(const omma_eval *out) {
    int64_t most = 0;
    for (int64_t k = 0; k < out->n_classes; k++)
        if (out->classes[k].found > most) most = out->classes[k].found;
    return most;
}

static omma_status take_memory(eval *e, const omma_eval *out, omma_arena *work, omma_error *err) {
    size_t targets = (size_t)most_targets(&e->order), found = (size_t)most_found(out), table;
    if (found > INT32_MAX)
        return omma_fail(err, OMMA_E_RANGE, "more than 2^31 - 1 boxes found of one class");
    if (!omma_mul(targets, MAX_DETS, &table))
        return omma_fail(err, OMMA_E_RANGE, "too many boxes in one image");
    e->targets = omma_arena_array(work, targets, sizeof *e->targets);
    e->sorted = omma_arena_array(work, targets, sizeof *e->sorted);
    e->iou = omma_arena_array(work, table, sizeof *e->iou);
    e->verdicts = omma_arena_array(work, found, sizeof *e->verdicts);
    e->precision = omma_arena_array(work, found, sizeof *e->precision);
    e->hits = omma_arena_array(work, found, sizeof *e->hits);
    if (e->targets && e->sorted && e->iou && e->verdicts && e->precision && e->hits) return OMMA_OK;
    return omma_fail(err, OMMA_E_NOMEM, "no memory to evaluate %zu boxes of one class", found);
}

static omma_status run(eval *e, omma_eval *out, double iou, omma_arena *work, omma_error *err) {
    double sums[OMMA_EVAL_LINES] = {0};
    int64_t counts[OMMA_EVAL_LINES] = {0};
    omma_eval_range truths = {0, 0}, found = {0, 0};
    OMMA_TRY(
        omma_eval_begin(out, &e->order, e->truth, e->found, iou == 0 ? .5 : iou, true, work, err));
    OMMA_TRY(take_memory(e, out, work, err));
    for (int64_t k = 0; k < out->n_classes; k++) {
        int32_t category = (int32_t)k;
        truths = omma_eval_of_category(e->order.truths, e->order.n_truths, truths.to, category);
        found = omma_eval_of_category(e->order.found, e->order.n_found, found.to, category);
        judge_class(e, truths, found);
        score_class(e, &out->classes[k], sums, counts);
    }
    for (int i = 0; i < OMMA_EVAL_LINES; i++)
        out->lines[i] = counts[i] ? sums[i] / (double)counts[i] : -1;
    return OMMA_OK;
}

omma_status omma_eval_coco(omma_eval *out, const omma_coco *truth, const omma_coco_results *found,
                           double iou, omma_budget *budget, omma_error *err) {
    omma_arena work;
    eval e = {.truth = truth, .found = found};
    memset(out, 0, sizeof *out);
    omma_arena_init(&work, budget);
    omma_arena_init(&out->arena, budget);
    set_thresholds(&e, iou);
    omma_status status = run(&e, out, iou, &work, err);
    omma_arena_free(&work);
    if (status) omma_eval_free(out);
    return status;
}

/* look_effects.c - what silence did to the answers of a report: the same number of the full run and
 * of the run at hand, for outputs that are detections, classes or rows of probabilities. Of any
 * other output it is said how like it is to what it was. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/look_silence.h"
#include "field/target.h"
#include "task/coco_names.h"

enum { MOST = 8, TOP = 3 };

typedef struct list {
    omma_report_effect *e;
    int n;
    omma_look_job *j;
    const omma_causal *c;
    bool full; /* memory */
} list;

static const omma_tensor *output(const list *l, int i, bool full) {
    return omma_causal_output(l->c, i, full);
}

static void add(list *l, double before, double after, const char *label) {
    const char *kept = omma_arena_strndup(&l->j->arena, label, strlen(label));
    if (!kept) l->full = true;
    else if (l->n < MOST) l->e[l->n++] = (omma_report_effect){kept, before, after};
}

/* The largest of n numbers. */
static int64_t largest(const float *x, int64_t n) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

/* --- detections --------------------------------------------------------------------------------
 */

/* One run's: labels [1,Q], boxes [1,Q,4], scores [1,Q]. */
typedef struct boxes {
    const omma_tensor *label, *box, *score;
} boxes;

static bool find_boxes(const list *l, boxes *b, bool full) {
    *b = (boxes){0};
    for (int i = 0; output(l, i, full); i++) {
        const omma_tensor *t = output(l, i, full);
        if (t->dtype == OMMA_I64 && t->rank == 2) b->label = t;
        if (t->dtype == OMMA_F32 && t->rank == 3 && t->dims[2] == 4) b->box = t;
        if (t->dtype == OMMA_F32 && t->rank == 2) b->score = t;
    }
    return b->label && b->box && b->score && b->label->dims[0] == 1 &&
           b->label->dims[1] == b->score->dims[1] && b->box->dims[1] == b->score->dims[1];
}

static void box_of(const boxes *b, int64_t i, double box[4]) {
    for (int k = 0; k < 4; k++) box[k] = (double)((const float *)b->box->data)[i * 4 + k];
}

/* The most of score times overlap that any box of the class has: the thing, whatever row it is in.
 */
static double found_again(const boxes *b, int64_t label, const double box[4]) {
    double best = 0, p[4];
    for (int64_t i = 0; i < b->score->dims[1]; i++) {
        if (((const int64_t *)b->label->data)[i] != label) continue;
        box_of(b, i, p);
        best = fmax(best, (double)((const float *)b->score->data)[i] * omma_iou(p, box, NULL));
    }
    return best;
}

static bool add_detections(list *l) {
    boxes full, now;
    if (!find_boxes(l, &full, true) || !find_boxes(l, &now, false)) return false;
    for (int64_t i = 0; i < TOP && i < full.score->dims[1]; i++) {
        const double score = (double)((const float *)full.score->data)[i];
        const int64_t class = ((const int64_t *)full.label->data)[i];
        char label[64];
        double box[4];
        if (score < 0.3) break;
        const char *name = class < OMMA_COCO_CLASSES ? omma_coco_name((int)class) : NULL;
        if (name) snprintf(label, sizeof label, "%s: score x overlap", name);
        else snprintf(label, sizeof label, "class %lld: score x overlap", (long long)class);
        box_of(&full, i, box);
        add(l, score, found_again(&now, class, box), label);
    }
    return true;
}

/* --- classes and rows --------------------------------------------------------------------------
 */

static double share(const float *x, int64_t n, int64_t class) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += exp((double)x[i] - (double)x[class]);
    return 1 / sum;
}

/* [1, classes], as a softmax of them. */
static bool add_classes(list *l) {
    const omma_tensor *t = output(l, 0, true), *u = output(l, 0, false);
    if (!t || t->dtype != OMMA_F32 || t->rank != 2 || t->dims[0] != 1 || t->dims[1] < 2)
        return false;
    const float *x = t->data, *y = u->data;
    const int64_t n = t->dims[1];
    int64_t done[TOP];
    for (int k = 0; k < TOP && k < n; k++) {
        char label[32];
        int64_t best = -1;
        for (int64_t i = 0; i < n; i++) {
            bool out = false;
            for (int d = 0; d < k; d++) out |= done[d] == i;
            if (!out && (best < 0 || x[i] > x[best])) best = i;
        }
        done[k] = best;
        snprintf(label, sizeof label, "class %lld", (long long)best);
        add(l, share(x, n, best), share(y, n, best), label);
    }
    return true;
}

static bool is_distribution(const float *x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!(x[i] >= 0)) return false;
        sum += (double)x[i];
    }
    return fabs(sum - 1) < 1e-3;
}

/* [1, places, classes], probabilities at each place, as of what is read: those of the best classes
 * of the full run, over all places and where it changed most. */
static bool add_places(list *l) {
    const omma_tensor *t = output(l, 0, true), *u = output(l, 0, false);
    if (!t || t->dtype != OMMA_F32 || t->rank != 3 || t->dims[0] != 1 || t->dims[2] < 2)
        return false;
    const int64_t places = t->dims[1], n = t->dims[2];
    int64_t most[2] = {-1, -1};
    double before = 0, after = 0, same = 0, moved[2] = {0, 0};
    char label[96];
    for (int64_t p = 0; p < places; p++) {
        const float *x = (const float *)t->data + p * n, *y = (const float *)u->data + p * n;
        const int64_t best = largest(x, n);
        const double d = fabs((double)x[best] - (double)y[best]);
        if (!is_distribution(x, n)) return false;
        before += (double)x[best], after += (double)y[best];
        same += largest(y, n) == best;
        const int k = d > moved[0] ? 0 : d > moved[1] ? 1 : 2;
        if (!k) most[1] = most[0], moved[1] = moved[0];
        if (k < 2) most[k] = p, moved[k] = d;
    }
    snprintf(label, sizeof label, "probability of the best class, mean over %lld places",
             (long long)places);
    add(l, before / (double)places, after / (double)places, label);
    add(l, 1, same / (double)places, "places whose best class is the same");
    for (int k = 0; k < 2 && most[k] >= 0; k++) {
        const float *x = (const float *)t->data + most[k] * n,
                    *y = (const float *)u->data + most[k] * n;
        const int64_t best = largest(x, n);
        snprintf(label, sizeof label, "place %lld: class %lld", (long long)most[k],
                 (long long)best);
        add(l, (double)x[best], (double)y[best], label);
    }
    return true;
}

/* --- others ------------------------------------------------------------------------------------
 */

static void add_likeness(list *l) {
    omma_causal_change d;
    char label[96];
    for (int i = 0; i < TOP && omma_causal_output_change(&d, l->c, i); i++) {
        snprintf(label, sizeof label, "output %.40s: cosine to the full run",
                 omma_model_output(l->j->model, i)->name);
        if (isfinite(d.cosine)) add(l, 1, d.cosine, label);
    }
}

/* The class that says most of a query, [.., queries, classes], as the model has it. */
static void add_query(list *l, int64_t query) {
    const omma_anatomy *all = omma_sight_anatomy(l->j->sight);
    for (int i = all->n_answer - 1; i >= 0; i--) {
        const omma_answer *a = &all->answer[i];
        const omma_tensor *t = omma_causal_tensor(l->c, a->value, true),
                          *u = omma_causal_tensor(l->c, a->value, false);
        if (a->boxes || a->masks || !t || !u || t->dtype != OMMA_F32 || a->axis != t->rank - 2)
            continue;
        const int64_t n = t->dims[t->rank - 1];
        const float *x = (const float *)t->data + query * n,
                    *y = (const float *)u->data + query * n;
        const int64_t best = largest(x, n);
        char label[64];
        snprintf(label, sizeof label, "query %lld, class %lld, as the model has it",
                 (long long)query, (long long)best);
        add(l, (double)x[best], (double)y[best], label);
        return;
    }
}

omma_status omma_look_effects(omma_report_effect **out, int *n, omma_look_job *j,
                              const omma_causal *c, int64_t query, omma_error *err) {
    list l = {.j = j, .c = c};
    l.e = *out = omma_arena_array(&j->arena, MOST, sizeof **out);
    if (!l.e) return omma_fail(err, OMMA_E_NOMEM, "no memory for a report");
    if (query >= 0) add_query(&l, query);
    if (!add_detections(&l) && !add_classes(&l) && !add_places(&l)) add_likeness(&l);
    *n = l.n;
    return l.full ? omma_fail(err, OMMA_E_NOMEM, "no memory for a report") : OMMA_OK;
}

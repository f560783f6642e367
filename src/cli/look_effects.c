/* look_effects.c - what silence did to the answers of a report: the same number of the full run and
 * of the run at hand, for outputs that are detections, classes or text. Of any other output it is
 * said how like it is to what it was. */
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

/* --- classes and text --------------------------------------------------------------------------
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

/* What the report calls a class; NULL: it does not. */
static const char *name_of(const list *l, int64_t class) {
    for (int i = 0; i < l->j->n_answer; i++)
        if (l->j->answer[i].class_index == class) return l->j->answer[i].name;
    return NULL;
}

/* A character that was read: its best class and its probability in both runs. */
typedef struct character {
    int64_t step, class;
    double before, after;
} character;

static void add_character(list *l, const character *c) {
    const char *name = name_of(l, c->class);
    char label[96];
    if (name) snprintf(label, sizeof label, "\"%.40s\" at step %lld", name, (long long)c->step);
    else
        snprintf(label, sizeof label, "class %lld at step %lld", (long long)c->class,
                 (long long)c->step);
    add(l, c->before, c->after, label);
}

/* [1, steps, classes], probabilities at each step, as of what is read: what becomes of the
 * characters of the full run (steps of class 0 are blank, of the class before are the same one),
 * all together and the two that change most. */
static bool add_text(list *l) {
    const omma_tensor *t = output(l, 0, true), *u = output(l, 0, false);
    if (!t || t->dtype != OMMA_F32 || t->rank != 3 || t->dims[0] != 1 || t->dims[2] < 3)
        return false;
    const int64_t n = t->dims[2];
    int64_t read = 0, same = 0;
    double before = 0, after = 0;
    character most[2] = {0};
    for (int64_t i = 0, last = 0; i < t->dims[1]; i++) {
        const float *x = (const float *)t->data + i * n, *y = (const float *)u->data + i * n;
        const character c = {i, largest(x, n), (double)x[largest(x, n)], (double)y[largest(x, n)]};
        const bool is_new = c.class && c.class != last;
        if (!is_distribution(x, n)) return false;
        last = c.class;
        if (!is_new) continue;
        read++, before += c.before, after += c.after;
        same += largest(y, n) == c.class;
        const double d = fabs(c.after - c.before);
        if (d > fabs(most[0].after - most[0].before)) most[1] = most[0], most[0] = c;
        else if (d > fabs(most[1].after - most[1].before)) most[1] = c;
    }
    char label[96];
    snprintf(label, sizeof label, "mean probability of the %lld characters read", (long long)read);
    if (read) add(l, before / (double)read, after / (double)read, label);
    if (read) add(l, (double)read, (double)same, "characters that are still read at their step");
    for (int k = 0; k < 2; k++)
        if (most[k].class) add_character(l, &most[k]);
    return read > 0;
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
    if (!add_detections(&l) && !add_classes(&l) && !add_text(&l)) add_likeness(&l);
    *n = l.n;
    return l.full ? omma_fail(err, OMMA_E_NOMEM, "no memory for a report") : OMMA_OK;
}

/* look_target.c - see look_target.h. Things a detector found are looked up among the values that
 * have an entry for each object query, else among its outputs, by class, score and box; so it does
 * not matter in which units or format the model writes boxes. */
#include "cli/look_target.h"

#include <math.h>
#include <string.h>

const omma_graph *omma_look_graph(const omma_look_job *j) {
    const omma_specialised *s = &omma_sight_fov(j->sight)->specialised;
    return s->cut ? j->model->graph : s->graph;
}

static double number(const omma_tensor *t, int64_t i) {
    return omma_get_number(t->dtype, t->data, i);
}

/* --- things in boxes --------------------------------------------------------------------------
 */

/* Scores [1, rows, classes], or [1, rows] with as many labels, and boxes [1, rows, 4]. */
typedef struct rows {
    const char *scores_name, *boxes_name, *labels_name;
    const omma_tensor *scores, *boxes, *labels;
    int64_t n, classes;
} rows;

static bool settle(rows *r) {
    if (!r->scores || !r->boxes) return false;
    const omma_tensor *b = r->boxes;
    const int64_t scores = omma_tensor_count(r->scores);
    if (b->rank != 3 || b->dims[0] != 1 || b->dims[2] != 4 || b->dims[1] < 1) return false;
    r->n = b->dims[1];
    r->classes = scores / r->n;
    if (scores % r->n || r->classes < 1) return false;
    return !r->labels || (r->classes == 1 && omma_tensor_count(r->labels) == r->n);
}

/* Are they scores, and not logits? */
static bool are_shares(const omma_tensor *t) {
    for (int64_t i = 0; i < omma_tensor_count(t); i++)
        if (!(number(t, i) >= 0 && number(t, i) <= 1)) return false;
    return true;
}

static bool floats(const omma_tensor *t) {
    return t && (t->dtype == OMMA_F32 || t->dtype == OMMA_F16 || t->dtype == OMMA_BF16);
}

/* Of the object queries themselves, in front of any sorting. */
static bool rows_of_queries(rows *r, const omma_look_job *j) {
    const omma_anatomy *a = omma_sight_anatomy(j->sight);
    *r = (rows){0};
    for (int i = 0; i < a->n_answer; i++) {
        const omma_answer *x = &a->answer[i];
        const omma_tensor *t = omma_sight_tensor(j->sight, x->value);
        if (x->masks || !floats(t) || !omma_graph_find(omma_look_graph(j), x->value->name))
            continue;
        if (x->boxes) r->boxes = t, r->boxes_name = x->value->name;
        else if (are_shares(t)) r->scores = t, r->scores_name = x->value->name;
    }
    return settle(r);
}

static bool rows_of_outputs(rows *r, const omma_look_job *j) {
    *r = (rows){0};
    for (int i = 0; i < omma_model_output_count(j->model); i++) {
        const omma_tensor *t = omma_sight_output(j->sight, i);
        const char *name = omma_model_output(j->model, i)->name;
        if (!t) continue;
        if (t->dtype == OMMA_I64) r->labels = t, r->labels_name = name;
        else if (floats(t) && t->rank == 3 && t->dims[2] == 4) r->boxes = t, r->boxes_name = name;
        else if (floats(t) && are_shares(t)) r->scores = t, r->scores_name = name;
    }
    return settle(r);
}

static void corners(double out[4], const omma_tensor *boxes, int64_t row, omma_box_format f) {
    double v[4];
    for (int k = 0; k < 4; k++) v[k] = number(boxes, 4 * row + k);
    for (int k = 0; k < 2; k++) {
        out[k] = f == OMMA_BOX_CENTRE ? v[k] - v[k + 2] / 2 : v[k];
        out[k + 2] = f == OMMA_BOX_CORNERS ? v[k + 2] : out[k] + v[k + 2];
    }
}

/* How far a box c in other units of each axis is from box a: where its first corner would be if its
 * sides were as long as those of a [px]. */
static double distance(const double c[4], const float a[4]) {
    double most = 0;
    for (int k = 0; k < 2; k++) {
        const double by = (double)(a[k + 2] - a[k]) / (c[k + 2] - c[k]);
        if (!(by > 0)) return INFINITY;
        most = fmax(most, fabs(c[k] * by - (double)a[k]));
    }
    return most;
}

/* The row that is the answer, and how its box is written. */
static bool find_row(const rows *r, const omma_report_answer_info *a, int64_t *row,
                     omma_box_format *format) {
    const double near_score = 1e-3, near_box = 1; /* [px]: another run, rounded otherwise */
    double least = near_box;
    for (int64_t i = 0; i < r->n; i++) {
        const int64_t label = a->class_index;
        if (r->labels ? number(r->labels, i) != (double)label : label >= r->classes) continue;
        const double score = number(r->scores, r->labels ? i : i * r->classes + label);
        if (!(fabs(score - a->score) < near_score)) continue;
        for (int f = 0; f < OMMA_BOX_FORMATS; f++) {
            double c[4];
            corners(c, r->boxes, i, (omma_box_format)f);
            const double d = distance(c, a->corner);
            if (d < least) least = d, *row = i, *format = (omma_box_format)f;
        }
    }
    return least < near_box;
}

static bool find_thing(omma_look_target *t, const omma_look_job *j,
                       const omma_report_answer_info *a, int edge) {
    for (int outputs = 0; outputs < 2; outputs++) {
        rows r;
        int64_t row = 0;
        omma_box_format format = OMMA_BOX_CORNERS;
        if (!(outputs ? rows_of_outputs(&r, j) : rows_of_queries(&r, j))) continue;
        if (!find_row(&r, a, &row, &format)) continue;
        t->ask = edge < 0 ? (omma_target){.kind = OMMA_TARGET_DETECTION,
                                          .value = r.scores_name,
                                          .boxes = r.boxes_name,
                                          .labels = r.labels_name,
                                          .label = a->class_index}
                          : (omma_target){.kind = OMMA_TARGET_EDGE,
                                          .value = r.boxes_name,
                                          .at = {0, row},
                                          .edge = edge};
        t->ask.format = format;
        corners(t->ask.box, r.boxes, row, format);
        return true;
    }
    return false;
}

/* --- classes ----------------------------------------------------------------------------------
 */

static bool find_class(omma_look_target *t, const omma_look_job *j, int64_t class_index) {
    const omma_tensor *y = omma_sight_output(j->sight, 0);
    if (!y || y->rank != 2 || y->dims[0] != 1 || class_index >= y->dims[1]) return false;
    t->ask = (omma_target){.value = omma_model_output(j->model, 0)->name, .at = {0, class_index}};
    return true;
}

/* --- queries ---------------------------------------------------------------------------------
 */

/* The classes' scores of object queries, [1, queries, classes], on whatever scale; NULL: none. */
static const omma_tensor *query_scores(const omma_look_job *j, const char **name) {
    const omma_anatomy *all = omma_sight_anatomy(j->sight);
    for (int i = all->n_answer - 1; i >= 0; i--) {
        const omma_answer *x = &all->answer[i];
        const omma_tensor *y = omma_sight_tensor(j->sight, x->value);
        *name = x->value->name;
        if (!x->masks && !x->boxes && floats(y) && y->rank == 3 && y->dims[0] == 1 &&
            x->axis == 1 && omma_graph_find(omma_look_graph(j), *name))
            return y;
    }
    return NULL;
}

static int64_t best_class(const omma_tensor *y, int64_t query) {
    const int64_t n = y->dims[2];
    int64_t best = 0;
    for (int64_t c = 1; c < n; c++)
        if (number(y, query * n + c) > number(y, query * n + best)) best = c;
    return best;
}

bool omma_look_find_query(omma_look_target *t, const omma_look_job *j, int64_t query,
                          int64_t class_index) {
    const char *name;
    const omma_tensor *y = query_scores(j, &name);
    *t = (omma_look_target){0};
    if (!y || query < 0 || query >= y->dims[1] || class_index >= y->dims[2]) return false;
    if (class_index < 0) class_index = best_class(y, query);
    t->ask = (omma_target){.value = name, .at = {0, query, class_index}};
    return true;
}

int64_t omma_look_best_query(const omma_look_job *j) {
    const char *name;
    const omma_tensor *y = query_scores(j, &name);
    int64_t best = -1, nothing = -1, most = 0;
    double score = -INFINITY;
    for (int64_t q = 0; y && q < y->dims[1]; q++) {
        int64_t n = 0;
        for (int64_t k = 0; k < y->dims[1]; k++) n += best_class(y, k) == best_class(y, q);
        if (n > most) most = n, nothing = best_class(y, q);
    }
    for (int64_t q = 0; y && q < y->dims[1]; q++) {
        const int64_t c = best_class(y, q);
        const double v = number(y, q * y->dims[2] + c);
        if (c != nothing && v > score) score = v, best = q;
    }
    return best < 0 && y ? 0 : best;
}

/* --- text ------------------------------------------------------------------------------------
 */

/* The step of a reader that the answer came from: scores [1, steps, classes]. */
static bool find_step(omma_look_target *t, const omma_look_job *j,
                      const omma_report_answer_info *a) {
    const omma_tensor *y = omma_sight_output(j->sight, 0);
    if (!floats(y) || y->rank != 3 || y->dims[0] != 1 || a->class_index >= y->dims[2]) return false;
    for (int64_t i = 0; i < y->dims[1]; i++) {
        if (number(y, i * y->dims[2] + a->class_index) != a->score) continue;
        t->ask = (omma_target){.value = omma_model_output(j->model, 0)->name,
                               .at = {0, i, a->class_index}};
        return true;
    }
    return false;
}

static bool is_inside(const float *corner, int n, double x, double y) {
    bool in = false;
    for (int i = 0, k = n - 1; i < n; k = i++) {
        const double xi = (double)corner[2 * i], yi = (double)corner[2 * i + 1],
                     xk = (double)corner[2 * k], yk = (double)corner[2 * k + 1];
        if ((yi > y) != (yk > y) && x < xi + (xk - xi) * (y - yi) / (yk - yi)) in = !in;
    }
    return in;
}

/* The sum over a polygon of a map of the picture's size. */
static bool find_region(omma_look_target *t, omma_look_job *j, const omma_report_answer_info *a) {
    const omma_tensor *y = omma_sight_output(j->sight, 0);
    const int64_t h = j->table.image->dims[j->table.down],
                  w = j->table.image->dims[j->table.across];
    if (!floats(y) || y->rank != 4 || y->dims[0] != 1 || y->dims[1] != 1 || y->dims[2] != h ||
        y->dims[3] != w)
        return false;
    unsigned char *in = omma_arena_alloc(&j->arena, (size_t)(h * w));
    if (!in) return false;
    for (int64_t i = 0; i < h * w; i++)
        in[i] = is_inside(a->corner, a->n_corners, (double)(i % w) + 0.5, (double)(i / w) + 0.5);
    t->ask = (omma_target){.kind = OMMA_TARGET_REGION,
                           .value = omma_model_output(j->model, 0)->name,
                           .region = in,
                           .region_h = h,
                           .region_w = w};
    return true;
}

/* --- the whole --------------------------------------------------------------------------------
 */

/* Of "left" or "left edge" and so on. */
static int edge_number(const char *edge) {
    static const char *const names[] = {"left", "top", "right", "bottom"};
    for (int k = 0; edge && k < 4; k++)
        if (!strncmp(edge, names[k], strlen(names[k]))) return k;
    return -1;
}

/* What holds the answer, a box or a polygon. */
static void find_box(omma_look_target *t, const omma_report_answer_info *a) {
    const int corners = a->n_corners;
    t->boxed = corners > 0;
    for (int k = 0; k < 2 && t->boxed; k++) {
        t->box[k] = INFINITY, t->box[k + 2] = -INFINITY;
        for (int i = 0; i < corners; i++) {
            t->box[k] = fmin(t->box[k], (double)a->corner[2 * i + k] - 0.5);
            t->box[k + 2] = fmax(t->box[k + 2], (double)a->corner[2 * i + k] - 0.5);
        }
    }
}

bool omma_look_find_target(omma_look_target *t, omma_look_job *j, int answer, const char *edge) {
    const omma_report_answer_info *a = &j->answer[answer];
    const int side = edge_number(edge);
    *t = (omma_look_target){0};
    if (side < 0) find_box(t, a);
    if (a->n_corners == 2 && find_thing(t, j, a, side)) return true;
    if (side >= 0) return false;
    if (a->query >= 0) return omma_look_find_query(t, j, a->query, a->class_index);
    if (a->n_corners > 2) return find_region(t, j, a);
    return find_class(t, j, a->class_index) || find_step(t, j, a);
}

/* target.c - see target.h. */
#include "field/target.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "op/op.h"

static omma_status no_memory(omma_error *err) {
    return omma_fail(err, OMMA_E_NOMEM, "no memory for a target");
}

/* Corner k (x0, y0, x1, y1) of a box is the sum of corner_of[format][k][j] times its number j. */
static const double corner_of[OMMA_BOX_FORMATS][4][4] = {
    {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, 1}},
    {{1, 0, -.5, 0}, {0, 1, 0, -.5}, {1, 0, .5, 0}, {0, 1, 0, .5}},
    {{1, 0, 0, 0}, {0, 1, 0, 0}, {1, 0, 1, 0}, {0, 1, 0, 1}}};

/* --- taking one in -------------------------------------------------------------------------- */

static omma_status misused(omma_error *err, const omma_target *t, const char *why) {
    return omma_fail_node(err, OMMA_E_USAGE, t->value ? t->value : "target", NULL, "%s", why);
}

static omma_status check(const omma_target *t, omma_error *err) {
    const bool boxed = t->kind == OMMA_TARGET_IOU || t->kind == OMMA_TARGET_DETECTION;
    if (!t->value) return misused(err, t, "a target needs the name of a value");
    if ((unsigned)t->kind >= OMMA_TARGETS)
        return misused(err, t, "there is no such kind of target");
    if (t->kind == OMMA_TARGET_SUM && (t->n_terms < 1 || !t->term))
        return misused(err, t, "a sum of no terms");
    if ((unsigned)t->format >= OMMA_BOX_FORMATS)
        return misused(err, t, "boxes are corners, centre and size, or corner and size");
    if (t->kind == OMMA_TARGET_EDGE && (t->edge < 0 || t->edge > 3))
        return misused(err, t, "an edge is 0 left, 1 top, 2 right or 3 bottom");
    if (boxed && !(t->box[2] > t->box[0] && t->box[3] > t->box[1]))
        return misused(err, t, "the box to compare with is empty: x0, y0, x1, y1 are needed");
    if (t->kind == OMMA_TARGET_REGION && (!t->region || t->region_h < 1 || t->region_w < 1))
        return misused(err, t, "a region needs its mask");
    if (t->kind == OMMA_TARGET_DETECTION && !t->boxes)
        return misused(err, t, "a detection needs the name of the value with boxes");
    return OMMA_OK;
}

static bool copy_string(const char **s, omma_arena *arena) {
    if (*s) *s = omma_arena_strndup(arena, *s, strlen(*s));
    return *s != NULL;
}

/* A copy of count times size bytes at *p. */
static bool copy(const void **p, size_t count, size_t size, omma_arena *arena) {
    void *to = omma_arena_array(arena, count, size);
    if (to && count) memcpy(to, *p, count * size);
    *p = to;
    return to != NULL;
}

static bool own(omma_target *t, omma_arena *arena) {
    const void *term = t->term, *region = t->region;
    if (!copy_string(&t->value, arena)) return false;
    if (t->kind == OMMA_TARGET_SUM && !copy(&term, (size_t)t->n_terms, sizeof *t->term, arena))
        return false;
    if (t->kind == OMMA_TARGET_REGION &&
        !copy(&region, (size_t)t->region_h, (size_t)t->region_w, arena))
        return false;
    t->term = term, t->region = region;
    if (t->kind != OMMA_TARGET_DETECTION) return true;
    return copy_string(&t->boxes, arena) && (!t->labels || copy_string(&t->labels, arena));
}

omma_status omma_aim_take(omma_aim *a, const omma_target *t, const omma_graph *model,
                          omma_arena *arena, omma_error *err) {
    OMMA_TRY(check(t, err));
    *a = (omma_aim){.what = *t, .n = 1, .n_seeded = 1};
    if (!own(&a->what, arena)) return no_memory(err);
    a->name[0] = a->what.value;
    if (t->kind == OMMA_TARGET_DETECTION) {
        a->n = a->n_seeded = 2;
        a->name[1] = a->what.boxes;
        if (t->labels) a->name[a->n++] = a->what.labels;
    }
    a->linear = t->kind != OMMA_TARGET_IOU && t->kind != OMMA_TARGET_NORM &&
                t->kind != OMMA_TARGET_DETECTION;
    for (int i = 0; i < a->n; i++)
        if (!omma_graph_find(model, a->name[i]))
            return omma_fail_node(err, OMMA_E_NOTFOUND, a->name[i], NULL,
                                  "the model has no value of that name");
    return OMMA_OK;
}

/* --- finding its elements ------------------------------------------------------------------- */

static omma_status check_at(const omma_aim *a, const int64_t *at, omma_error *err) {
    const omma_tensor *t = &a->shape[0];
    for (int d = 0; d < t->rank; d++)
        if (at[d] < -1 || at[d] >= t->dims[d])
            return omma_fail_node(err, OMMA_E_RANGE, a->name[0], NULL,
                                  "index %lld of axis %d, which has %lld places", (long long)at[d],
                                  d, (long long)t->dims[d]);
    return OMMA_OK;
}

static int64_t count_at(const omma_tensor *t, const int64_t *at) {
    int64_t n = 1;
    for (int d = 0; d < t->rank; d++) n *= at[d] < 0 ? t->dims[d] : 1;
    return n;
}

static int64_t *list_at(const omma_tensor *t, const int64_t *at, int axis, int64_t base,
                        int64_t *out) {
    if (axis == t->rank) {
        *out = base;
        return out + 1;
    }
    const int64_t n = t->dims[axis], one = at[axis];
    for (int64_t i = one < 0 ? 0 : one; i < (one < 0 ? n : one + 1); i++)
        out = list_at(t, at, axis + 1, base * n + i, out);
    return out;
}

static omma_status make_room(omma_aim *a, int64_t count, omma_arena *arena, omma_error *err) {
    a->element = omma_arena_array(arena, (size_t)count, sizeof *a->element);
    a->by = omma_arena_array(arena, (size_t)count, sizeof *a->by);
    a->count = count;
    for (int64_t i = 0; i < count && a->by; i++) a->by[i] = 1;
    return a->element && a->by ? OMMA_OK : no_memory(err);
}

static omma_status take_at(omma_aim *a, const int64_t *at, omma_arena *arena, omma_error *err) {
    OMMA_TRY(check_at(a, at, err));
    OMMA_TRY(make_room(a, count_at(&a->shape[0], at), arena, err));
    list_at(&a->shape[0], at, 0, 0, a->element);
    return OMMA_OK;
}

static omma_status take_terms(omma_aim *a, omma_arena *arena, omma_error *err) {
    const omma_tensor *t = &a->shape[0];
    int64_t n = 0;
    for (int i = 0; i < a->what.n_terms; i++) {
        OMMA_TRY(check_at(a, a->what.term[i].at, err));
        n += count_at(t, a->what.term[i].at);
    }
    OMMA_TRY(make_room(a, n, arena, err));
    int64_t *to = a->element;
    for (int i = 0; i < a->what.n_terms; i++) {
        int64_t *end = list_at(t, a->what.term[i].at, 0, 0, to);
        for (; to < end; to++) a->by[to - a->element] = a->what.term[i].by;
    }
    return OMMA_OK;
}

static omma_status take_box(omma_aim *a, omma_arena *arena, omma_error *err) {
    const omma_tensor *t = &a->shape[0];
    int64_t at[OMMA_MAX_RANK];
    memcpy(at, a->what.at, sizeof at);
    if (t->rank > 0) at[t->rank - 1] = -1;
    if (t->rank < 1 || t->dims[t->rank - 1] != 4)
        return omma_fail_node(err, OMMA_E_SHAPE, a->name[0], NULL,
                              "these are no boxes: the last axis has not four numbers");
    OMMA_TRY(take_at(a, at, arena, err));
    if (a->count != 4)
        return omma_fail_node(err, OMMA_E_USAGE, a->name[0], NULL,
                              "an index for every axis but the last is needed, for one box");
    for (int j = 0; j < 4 && a->what.kind == OMMA_TARGET_EDGE; j++)
        a->by[j] = corner_of[a->what.format][a->what.edge][j];
    return OMMA_OK;
}

static omma_status take_region(omma_aim *a, omma_arena *arena, omma_error *err) {
    const omma_tensor *t = &a->shape[0];
    const omma_target *w = &a->what;
    const int r = t->rank;
    int64_t at[OMMA_MAX_RANK];
    memcpy(at, w->at, sizeof at);
    if (r < 2 || t->dims[r - 2] != w->region_h || t->dims[r - 1] != w->region_w)
        return omma_fail_node(err, OMMA_E_SHAPE, a->name[0], NULL,
                              "the region is of %lld x %lld, which this value's last two axes are "
                              "not",
                              (long long)w->region_h, (long long)w->region_w);
    at[r - 2] = at[r - 1] = -1;
    OMMA_TRY(take_at(a, at, arena, err));
    int64_t kept = 0;
    for (int64_t i = 0; i < a->count; i++)
        if (w->region[i % (w->region_h * w->region_w)]) a->element[kept++] = a->element[i];
    a->count = kept;
    return OMMA_OK;
}

static omma_status take_unit(omma_aim *a, const omma_graph *model, const omma_tensor *inputs,
                             int image, omma_arena *arena, omma_error *err) {
    omma_unit_field u;
    omma_unit unit = a->what.unit;
    const bool one = a->what.kind == OMMA_TARGET_CHANNEL;
    const int64_t channel = a->what.channel;
    unit.value = a->name[0];
    OMMA_TRY(omma_unit_look(&u, model, &unit, inputs, image, arena, err));
    if (one && (channel < 0 || channel >= u.channels))
        return omma_fail_node(err, OMMA_E_RANGE, a->name[0], NULL,
                              "there is no channel %lld; this unit has %lld", (long long)channel,
                              (long long)u.channels);
    OMMA_TRY(make_room(a, one ? 1 : u.channels, arena, err));
    memcpy(a->element, u.element + (one ? channel : 0), (size_t)a->count * sizeof *a->element);
    return OMMA_OK;
}

static omma_status take_detection(omma_aim *a, omma_arena *arena, omma_error *err) {
    const int64_t rows = omma_tensor_count(&a->shape[1]) / 4;
    const int64_t scores = omma_tensor_count(&a->shape[0]);
    const bool labelled = a->what.labels != NULL;
    const int last = a->shape[1].rank - 1;
    if (last < 0 || a->shape[1].dims[last] != 4 || rows < 1 || scores % rows || scores < rows ||
        (labelled && (scores != rows || omma_tensor_count(&a->shape[2]) != rows)))
        return omma_fail_node(err, OMMA_E_SHAPE, a->name[1], NULL,
                              "%lld scores, %lld boxes: scores [.., rows, classes], or [.., rows] "
                              "with as many labels, and boxes [.., rows, 4] are needed",
                              (long long)scores, (long long)rows);
    if (!labelled && (a->what.label < 0 || a->what.label >= scores / rows))
        return omma_fail_node(err, OMMA_E_RANGE, a->name[0], NULL,
                              "there is no class %lld; the scores are of %lld",
                              (long long)a->what.label, (long long)(scores / rows));
    OMMA_TRY(make_room(a, labelled ? scores : rows, arena, err));
    for (int64_t i = 0; i < a->count; i++)
        a->element[i] = labelled ? i : i * (scores / rows) + a->what.label;
    return OMMA_OK;
}

/* --- what it is called ---------------------------------------------------------------------- */

/* "scores[0, :]"; the last `hidden` axes are not shown. */
static const char *index_text(const omma_aim *a, const int64_t *at, int hidden, omma_arena *arena) {
    char text[OMMA_MAX_RANK * 24] = "";
    size_t n = 0;
    for (int d = 0; d < a->shape[0].rank - hidden; d++) {
        if (at[d] < 0) n += (size_t)snprintf(text + n, sizeof text - n, "%s:", d ? ", " : "");
        else
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%lld", d ? ", " : "",
                                  (long long)at[d]);
    }
    return omma_arena_printf(arena, n ? "%s[%s]" : "%s", a->name[0], text);
}

static const char *unit_text(const omma_aim *a, omma_arena *arena) {
    const omma_unit *u = &a->what.unit;
    char of[96] = "the middle cell";
    if (u->by_token) snprintf(of, sizeof of, "token %lld", (long long)u->token);
    else if (u->y >= 0 || u->x >= 0)
        snprintf(of, sizeof of, "cell %lld, %lld", (long long)u->y, (long long)u->x);
    if (a->what.kind == OMMA_TARGET_NORM)
        return omma_arena_printf(arena, "the length of %s of %s", of, a->name[0]);
    return omma_arena_printf(arena, "channel %lld of %s of %s", (long long)a->what.channel, of,
                             a->name[0]);
}

static const char *text(const omma_aim *a, omma_arena *arena) {
    static const char *const edges[] = {"left", "top", "right", "bottom"};
    const omma_target *w = &a->what;
    const double *b = w->box;
    int hidden = w->kind == OMMA_TARGET_EDGE || w->kind == OMMA_TARGET_IOU;
    if (w->kind == OMMA_TARGET_REGION) hidden = 2;
    if (w->kind == OMMA_TARGET_CHANNEL || w->kind == OMMA_TARGET_NORM) return unit_text(a, arena);
    if (w->kind == OMMA_TARGET_DETECTION)
        return omma_arena_printf(arena, "class %lld in the box %g, %g, %g, %g", (long long)w->label,
                                 b[0], b[1], b[2], b[3]);
    if (w->kind == OMMA_TARGET_SUM)
        return omma_arena_printf(arena, "a sum of %lld numbers of %s", (long long)a->count,
                                 a->name[0]);
    const char *of = index_text(a, w->at, hidden, arena);
    if (!of || w->kind == OMMA_TARGET_ELEMENT) return of;
    if (w->kind == OMMA_TARGET_EDGE)
        return omma_arena_printf(arena, "the %s edge of %s", edges[w->edge], of);
    if (w->kind == OMMA_TARGET_REGION)
        return omma_arena_printf(arena, "%lld places of %s", (long long)a->count, of);
    return omma_arena_printf(arena, "IoU of %s with %g, %g, %g, %g", of, b[0], b[1], b[2], b[3]);
}

omma_status omma_aim_look(omma_aim *a, const omma_tensor *const *value, const omma_graph *model,
                          const omma_tensor *inputs, int image, omma_arena *arena,
                          omma_error *err) {
    omma_status s;
    for (int i = 0; i < a->n; i++) a->shape[i] = *value[i], a->shape[i].data = NULL;
    switch (a->what.kind) {
    case OMMA_TARGET_SUM: s = take_terms(a, arena, err); break;
    case OMMA_TARGET_EDGE:
    case OMMA_TARGET_IOU: s = take_box(a, arena, err); break;
    case OMMA_TARGET_REGION: s = take_region(a, arena, err); break;
    case OMMA_TARGET_CHANNEL:
    case OMMA_TARGET_NORM: s = take_unit(a, model, inputs, image, arena, err); break;
    case OMMA_TARGET_DETECTION: s = take_detection(a, arena, err); break;
    default: s = take_at(a, a->what.at, arena, err);
    }
    if (s) return s;
    if (a->count < 1)
        return omma_fail_node(err, OMMA_E_RANGE, a->name[0], NULL, "the target is of no numbers");
    a->says = text(a, arena);
    return a->says ? OMMA_OK : no_memory(err);
}

/* --- its number, and its derivative --------------------------------------------------------- */

static double number(const omma_tensor *t, int64_t i) {
    return omma_get_number(t->dtype, t->data, i);
}

double omma_iou(const double p[4], const double g[4], double slope[4]) {
    const double w = fmin(p[2], g[2]) - fmax(p[0], g[0]), h = fmin(p[3], g[3]) - fmax(p[1], g[1]);
    const double pw = p[2] - p[0], ph = p[3] - p[1];
    if (slope) memset(slope, 0, 4 * sizeof *slope);
    if (!(w > 0 && h > 0)) return 0;
    const double both = w * h, all = pw * ph + (g[2] - g[0]) * (g[3] - g[1]) - both;
    const double meets[4] = {p[0] > g[0] ? -h : 0, p[1] > g[1] ? -w : 0, p[2] < g[2] ? h : 0,
                             p[3] < g[3] ? w : 0};
    const double area[4] = {-ph, -pw, ph, pw};
    for (int k = 0; slope && k < 4; k++)
        slope[k] = (meets[k] * all - both * (area[k] - meets[k])) / (all * all);
    return both / all;
}

/* Of the box whose numbers are elements e to e + 3 of t; slope, if not NULL, by those. */
static double box_iou(const omma_aim *a, const omma_tensor *t, int64_t e, double *slope) {
    const double(*m)[4] = corner_of[a->what.format];
    double corner[4] = {0}, by_corner[4];
    for (int k = 0; k < 4; k++)
        for (int j = 0; j < 4; j++) corner[k] += m[k][j] * number(t, e + j);
    const double iou = omma_iou(corner, a->what.box, by_corner);
    for (int j = 0; slope && j < 4; j++) {
        slope[j] = 0;
        for (int k = 0; k < 4; k++) slope[j] += by_corner[k] * m[k][j];
    }
    return iou;
}

/* The row that is most; -1: none is of the class. */
static int64_t best_row(const omma_aim *a, const omma_tensor *const *v, double *most) {
    int64_t best = -1;
    *most = 0;
    for (int64_t r = 0; r < a->count; r++) {
        if (a->what.labels && number(v[2], r) != (double)a->what.label) continue;
        const double x = number(v[0], a->element[r]) * box_iou(a, v[1], 4 * r, NULL);
        if (best < 0 || x > *most) *most = x, best = r;
    }
    return best;
}

static double length(const omma_aim *a, const omma_tensor *t) {
    double sum = 0;
    for (int64_t i = 0; i < a->count; i++) {
        const double x = number(t, a->element[i]);
        sum += x * x;
    }
    return sqrt(sum);
}

omma_status omma_aim_value(const omma_aim *a, double *out, const omma_tensor *const *value,
                           omma_error *err) {
    double sum = 0;
    for (int i = 0; i < a->n; i++)
        if (value[i]->rank != a->shape[i].rank ||
            memcmp(value[i]->dims, a->shape[i].dims, (size_t)value[i]->rank * sizeof(int64_t)))
            return omma_fail_node(
                err, OMMA_E_SHAPE, a->name[i], NULL,
                "its size depends on what is in the picture, so a changed picture "
                "cannot be asked for the same target");
    if (a->what.kind == OMMA_TARGET_NORM) sum = length(a, value[0]);
    else if (a->what.kind == OMMA_TARGET_DETECTION) best_row(a, value, &sum);
    else if (a->what.kind == OMMA_TARGET_IOU) sum = box_iou(a, value[0], a->element[0], NULL);
    else
        for (int64_t i = 0; i < a->count; i++) sum += a->by[i] * number(value[0], a->element[i]);
    *out = sum;
    if (isfinite(sum)) return OMMA_OK;
    return omma_fail_node(err, OMMA_E_RANGE, a->name[0], NULL, "%s is %g", a->says, sum);
}

static void add_to(omma_tensor *t, int64_t i, double v) {
    omma_set_number(t->dtype, t->data, i, number(t, i) + v);
}

static void seed_box(const omma_aim *a, omma_tensor *seed, const omma_tensor *value, int64_t e,
                     double by) {
    double slope[4];
    box_iou(a, value, e, slope);
    for (int j = 0; j < 4; j++) add_to(seed, e + j, by * slope[j]);
}

static void seed_detection(const omma_aim *a, omma_tensor *seed, const omma_tensor *const *value) {
    double most;
    const int64_t r = best_row(a, value, &most);
    if (r < 0) return;
    add_to(&seed[0], a->element[r], box_iou(a, value[1], 4 * r, NULL));
    seed_box(a, &seed[1], value[1], 4 * r, number(value[0], a->element[r]));
}

void omma_aim_seed(const omma_aim *a, omma_tensor *seed, const omma_tensor *const *value) {
    for (int i = 0; i < a->n_seeded; i++)
        memset(seed[i].data, 0,
               (size_t)omma_tensor_count(&seed[i]) * omma_dtype_size(seed[i].dtype));
    if (a->what.kind == OMMA_TARGET_IOU) seed_box(a, &seed[0], value[0], a->element[0], 1);
    else if (a->what.kind == OMMA_TARGET_DETECTION) seed_detection(a, seed, value);
    else if (a->what.kind == OMMA_TARGET_NORM) {
        const double n = length(a, value[0]);
        for (int64_t i = 0; i < a->count && n > 0; i++)
            add_to(&seed[0], a->element[i], number(value[0], a->element[i]) / n);
    } else
        for (int64_t i = 0; i < a->count; i++) add_to(&seed[0], a->element[i], a->by[i]);
}

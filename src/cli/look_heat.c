/* look_heat.c - the heat maps of a report. Effective fields: how much each pixel matters to a cell
 * or token. Attributions: what made an answer, each with all its measures of faithfulness beside
 * it. How much is spent on them is decided by counts, so a report is the same on every machine. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/look_target.h"
#include "field/appraise.h"
#include "field/effective.h"

/* What an effort buys. Windows of occlusion: so many lie beside each other along a square's side,
 * each moved by a part of itself. */
typedef struct effort {
    int windows, overlap;              /* occlusion */
    int copies, steps, masks, cells;   /* smoothgrad, integrated, rise */
    int points, squares, moves, falls; /* of the measures: see appraise.h */
    int answers, fields;               /* how many are gone into unasked */
} effort;

enum { EFFORTS = 4 };
static const effort efforts[EFFORTS] = {{4, 1, 2, 4, 16, 4, 4, 8, 0, 0, 1, 3},
                                        {4, 1, 2, 6, 24, 4, 4, 8, 1, 2, 1, 5},
                                        {4, 2, 6, 16, 128, 6, 12, 32, 3, 4, 3, 24},
                                        {8, 2, 16, 32, 512, 8, 32, 64, 8, 8, 8, 64}};

static omma_status no_memory(omma_error *err) {
    return omma_fail(err, OMMA_E_NOMEM, "no memory for a report");
}

/* --- maps and numbers ------------------------------------------------------------------------
 */

enum { NUMBERS = 16 };

typedef struct numbers {
    omma_report_number item[NUMBERS];
    int n;
    omma_arena *arena;
} numbers;

/* says: a format, NULL: nothing. */
__attribute__((format(printf, 5, 6))) static void add(numbers *x, const char *name, double value,
                                                      const char *unit, const char *says, ...) {
    char text[400];
    va_list args;
    va_start(args, says);
    vsnprintf(text, sizeof text, says, args);
    va_end(args);
    x->item[x->n++] =
        (omma_report_number){name, value, unit, omma_arena_strndup(x->arena, text, strlen(text))};
}

static omma_status put_map(omma_look_job *j, omma_report_heat *h, const double *map,
                           const numbers *x, omma_error *err) {
    const int64_t n = h->rows * h->columns;
    float *to = omma_arena_array(x->arena, (size_t)n, sizeof *to);
    if (!to) return no_memory(err);
    for (int64_t i = 0; i < n; i++) to[i] = (float)map[i];
    h->map = to;
    h->jump_y = h->jump_x = 1;
    h->number = x->item, h->n_number = x->n;
    return omma_report_heat_map(j->report, h, NULL, err);
}

/* --- effective fields ------------------------------------------------------------------------
 */

static void count_spread(numbers *x, const omma_effective_measures *m) {
    const omma_spread *s = &m->is;
    if (!(s->sum > 0)) {
        add(x, "sum", 0, NULL,
            "no pixel has a gradient here, though %lld may matter: what lies between is flat for "
            "this picture",
            (long long)m->field);
        return;
    }
    const double pixels = (double)(m->height * m->width);
    add(x, "R50", s->radius[OMMA_SHARE_50], "px",
        "within so far of the true centre, (%.4g, %.4g), lies half of the map", m->centre_y,
        m->centre_x);
    add(x, "R95", s->radius[OMMA_SHARE_95], "px", "and 95 %% of it");
    add(x, "sigma", s->sigma, "px",
        "root of the mean square distance from the centre along an axis; %.4g down, %.4g across",
        s->sigma_y, s->sigma_x);
    add(x, "area of 50 %", 100 * s->area[OMMA_SHARE_50], "%",
        "the fewest pixels that hold half of it are %.0f", s->area[OMMA_SHARE_50] * pixels);
    add(x, "area of 95 %", 100 * s->area[OMMA_SHARE_95], "%",
        "the fewest pixels that hold 95 %% of it are %.0f", s->area[OMMA_SHARE_95] * pixels);
    add(x, "effective ÷ structural", 100 * m->ratio, "%",
        "the area of 95 %%, of the %lld pixels that can matter at all", (long long)m->field);
}

/* of: whose field it is, for people. */
static omma_status put_field(omma_look_job *j, const omma_report_unit *u, const omma_unit *unit,
                             const char *of, omma_arena *arena, omma_error *err) {
    const omma_effective_what what = {.unit = *unit, .image = j->image_input, .seed = 1};
    omma_effective *e;
    omma_effective_measures m;
    numbers x = {.arena = arena};
    OMMA_TRY(omma_effective_new(&e, omma_sight_fov(j->sight)->specialised.graph, j->path, &what,
                                &j->opt, err));
    omma_status s = omma_effective_add(e, j->in, omma_model_input_count(j->model), err);
    if (!s) s = omma_effective_measure(e, OMMA_SCALE_RAW, &m, err);
    if (!s) {
        char settings[256];
        snprintf(settings, sizeof settings, "one picture, signs by seed 1; %.180s", of);
        omma_report_heat h = {.family = OMMA_REPORT_EFFECTIVE,
                              .unit = *u,
                              .method = omma_recipe_name(what.recipe),
                              .settings = settings,
                              .rows = m.height,
                              .columns = m.width,
                              .unit_name = "length of the gradient over colours"};
        count_spread(&x, &m);
        s = put_map(j, &h, omma_effective_last(e), &x, err);
    }
    omma_effective_free(e);
    return s;
}

/* What has no effective field is told once: the first reason. */
typedef struct field_list {
    omma_look_job *j;
    int left; /* how many more may be made */
    int out;  /* how many were not */
    char why[400];
} field_list;

static omma_status add_field(field_list *l, const omma_report_unit *u, const omma_unit *unit,
                             const char *of, omma_error *err) {
    omma_arena arena;
    omma_error why;
    l->out += l->left < 1;
    if (l->left-- < 1) return OMMA_OK;
    omma_arena_init(&arena, NULL);
    const omma_status s = put_field(l->j, u, unit, of, &arena, &why);
    omma_arena_free(&arena);
    if (s == OMMA_E_NOMEM || s == OMMA_E_IO || s == OMMA_E_INTERNAL) {
        if (err) *err = why;
        return s;
    }
    if (s && !*l->why) snprintf(l->why, sizeof l->why, "no effective field: %.360s", why.message);
    return OMMA_OK;
}

static omma_status add_cell(field_list *l, const omma_field_row *r, int64_t y, int64_t x,
                            omma_error *err) {
    const omma_report_unit u = {
        .what = OMMA_REPORT_CELL, .part = l->j->part[r->value->index], .y = y, .x = x};
    const omma_unit unit = {.value = r->value->name, .y = y, .x = x};
    char of[160];
    snprintf(of, sizeof of, "of cell %lld, %lld of %.96s", (long long)y, (long long)x, r->label);
    return add_field(l, &u, &unit, of, err);
}

static const omma_field_row *row_of(const omma_look_job *j, int part) {
    for (int i = 0; i < j->table.count && part >= 0; i++)
        if (j->part[j->table.row[i].value->index] == part) return &j->table.row[i];
    return NULL;
}

/* Behind the last block that these tokens go through. */
static omma_status add_token(field_list *l, int sequence, int64_t token, omma_error *err) {
    const omma_look_job *j = l->j;
    const omma_anatomy *a = omma_sight_anatomy(j->sight);
    const omma_value *v = NULL;
    const char *label = "";
    for (int k = 0; k < a->n_attention; k++)
        if (j->tokens[2 * k] == sequence && a->attention[k].out)
            v = a->attention[k].out, label = a->attention[k].label;
    for (int k = 0; k < a->n_feed_forward; k++) {
        const omma_feed_forward *f = &a->feed_forward[k];
        if (f->after >= 0 && j->tokens[2 * f->after] == sequence && f->out)
            v = f->out, label = f->label;
    }
    if (!v) v = j->sequence[sequence].tokens->value;
    const bool queries = j->sequence[sequence].queries;
    const omma_report_unit u = {
        .what = queries ? OMMA_REPORT_QUERY : OMMA_REPORT_TOKEN, .part = sequence, .y = token};
    const omma_tokens *t = j->sequence[sequence].tokens;
    if (t->axes > 1 && !t->placed) return OMMA_OK; /* on two axes, and of no picture */
    const omma_unit unit = {.value = v->name,
                            .by_token = t->axes < 2,
                            .token = token,
                            .y = t->axes < 2 ? 0 : token / t->columns.mod,
                            .x = t->axes < 2 ? 0 : token % t->columns.mod};
    char of[160];
    snprintf(of, sizeof of, "of %s %lld behind %.96s", queries ? "query" : "token",
             (long long)token, label);
    return add_field(l, &u, &unit, of, err);
}

static omma_status add_chosen(field_list *l, omma_error *err) {
    const omma_look_job *j = l->j;
    for (int i = 0; i < j->n_unit; i++) {
        const omma_report_unit *u = &j->unit[i];
        const omma_field_row *r = u->what == OMMA_REPORT_CELL ? row_of(j, u->part) : NULL;
        if (r) OMMA_TRY(add_cell(l, r, u->y, u->x, err));
    }
    for (int s = 0; s < j->n_sequence; s++) {
        int64_t token[OMMA_LOOK_UNITS];
        int n = omma_look_chosen_tokens(j, s, token), i = 0;
        /* unasked, of object queries that of the surest answer, which is behind the middle one */
        if (!j->units.count && n > 1) i = 1, n = 2;
        for (; i < n; i++) OMMA_TRY(add_token(l, s, token[i], err));
    }
    return OMMA_OK;
}

static bool is_chosen(const omma_look_job *j, int part, int64_t y, int64_t x) {
    for (int i = 0; i < j->n_unit; i++) {
        const omma_report_unit *u = &j->unit[i];
        if (u->what == OMMA_REPORT_CELL && u->part == part && u->y == y && u->x == x) return true;
    }
    return false;
}

/* The middle cells of the stages, the last one first: what they see is the most. */
static omma_status add_stages(field_list *l, omma_error *err) {
    const omma_look_job *j = l->j;
    for (int i = j->table.count - 1; i >= 0; i--) {
        const omma_field_row *r = &j->table.row[i];
        const int part = j->part[r->value->index];
        const int64_t y = r->y.cells / 2, x = r->x.cells / 2;
        if (r->stage && part >= 0 && !is_chosen(j, part, y, x)) OMMA_TRY(add_cell(l, r, y, x, err));
    }
    return OMMA_OK;
}

static omma_status put_fields(omma_look_job *j, const effort *e, omma_error *err) {
    field_list l = {.j = j, .left = j->units.count ? OMMA_LOOK_UNITS : e->fields};
    OMMA_TRY(add_chosen(&l, err));
    if (!j->units.count) OMMA_TRY(add_stages(&l, err));
    if (*l.why) OMMA_TRY(omma_report_note(j->report, OMMA_REPORT_FIELD, l.why, err));
    if (!l.out) return OMMA_OK;
    char note[200];
    snprintf(note, sizeof note,
             "effective fields of %d more stages or tokens were left out; a greater --effort has "
             "them, or name one by --unit",
             l.out);
    return omma_report_note(j->report, OMMA_REPORT_FIELD, note, err);
}

/* --- attributions ----------------------------------------------------------------------------
 */

/* Windows are as many for a strip as for a square. */
static int window_of(const omma_look_job *j, int windows) {
    const double h = (double)j->table.image->dims[j->table.down],
                 w = (double)j->table.image->dims[j->table.across];
    return (int)ceil(fmin(sqrt(h * w) / windows, fmin(h, w)));
}

static omma_attribution_how method_of(const omma_look_job *j, omma_method m, const effort *e) {
    const int side = window_of(j, e->windows);
    return (omma_attribution_how){.method = m,
                                  .seed = 1,
                                  .window = side,
                                  .stride = (side + e->overlap - 1) / e->overlap,
                                  .samples = e->copies,
                                  .steps = e->steps,
                                  .masks = e->masks,
                                  .cells = e->cells};
}

/* strength: the target says how much of something there is, and not where it is. */
static void count_curves(numbers *x, const omma_appraisal *a, bool strength) {
    const char *of = a->heat.f > 0 ? "of the target" : NULL;
    const double random = omma_appraise_share(a, a->blind[OMMA_BLIND_RANDOM]),
                 centre = omma_appraise_share(a, a->blind[OMMA_BLIND_CENTRE]);
    add(x, "deletion AUC", omma_appraise_share(a, a->deletion.auc), of,
        "%s, the hottest pixels first; %s: maps that know nothing of the model have random %.3g, "
        "centre %.3g",
        a->deletion.says, strength ? "low is good" : "an edge moves, and low is no better", random,
        centre);
    add(x, "insertion AUC", omma_appraise_share(a, a->insertion.auc), of,
        "%s, the hottest pixels first%s", a->insertion.says, strength ? "; high is good" : "");
    add(x, "deletion AUC of a random map", random, of, "%s; what chance gets", a->deletion.says);
    add(x, "deletion AUC of the centre", centre, of, "%s; what a Gaussian in the middle gets",
        a->deletion.says);
}

static void count_pointing(numbers *x, const omma_pointing *p) {
    add(x, "pointing", p->hit, NULL, "1: the hottest pixel, (%lld, %lld), is in the answer's box",
        (long long)p->y, (long long)p->x);
    add(x, "inside the box", 100 * p->share, "%", "of what is positive of the map; by chance %.3g",
        100 * p->by_area);
}

static void count_cascade(numbers *x, const omma_appraisal *a) {
    const omma_cascade *c = &a->cascade;
    for (int k = 0; k < c->count; k++) {
        const omma_cascade_step *s = &c->step[k];
        const bool all = s->layers == c->layers;
        if (!all && k) continue; /* the page has room for the ends */
        add(x, all ? "all layers random" : "top layer random", s->correlation, NULL,
            "rank correlation with the map of the model with the weights of %d of %d layers "
            "shuffled; of all near 0 is good%s",
            s->layers, c->layers,
            isnan(s->correlation) ? "; there the map is the same everywhere" : "");
    }
    if (a->no_cascade) add(x, "all layers random", NAN, NULL, "not known: %.300s", a->no_cascade);
}

static void count_faith(numbers *x, const omma_appraisal *a, const omma_look_target *t) {
    count_curves(x, a, t->ask.kind != OMMA_TARGET_EDGE);
    if (t->boxed) count_pointing(x, &a->pointing);
    add(x, "infidelity", a->infidelity.rest, NULL,
        "%s: what the best multiple of the map leaves unexplained of the mean square fall; 0 all "
        "is "
        "said, 1 nothing",
        a->infidelity.says);
    if (a->sensitivity.samples)
        add(x, "max sensitivity", a->sensitivity.max, NULL,
            "%s: the farthest the map moves, as a share of its length; low is good",
            a->sensitivity.says);
    count_cascade(x, a);
    if (a->heat.kind == OMMA_HEAT_SHARE)
        add(x, "gap", a->heat.gap, NULL, "the map's sum %.4g less the target's difference %.4g",
            a->heat.sum, a->heat.difference);
}

static omma_status put_heat(omma_look_job *j, const omma_report_unit *u, const omma_appraisal *a,
                            const omma_look_target *t, omma_arena *arena, omma_error *err) {
    numbers x = {.arena = arena};
    char settings[600];
    const omma_heat *h = &a->heat;
    snprintf(settings, sizeof settings, "%.300s%sof %.180s, which is %.4g; %lld runs with measures",
             h->says, *h->says ? "; " : "", h->target, h->f, (long long)a->runs);
    omma_report_heat part = {.family = OMMA_REPORT_ATTRIBUTION,
                             .unit = *u,
                             .method = h->method,
                             .settings = settings,
                             .rows = h->height,
                             .columns = h->width,
                             .unit_name = h->scale};
    count_faith(&x, a, t);
    return put_map(j, &part, h->map, &x, err);
}

/* One job of attributions: which methods, how, and what went wrong first. */
typedef struct asking {
    omma_look_job *j;
    const effort *effort;
    bool take[OMMA_METHODS];
    int n; /* maps */
    char why[400];
} asking;

static omma_status put_methods(asking *q, const omma_report_unit *u, const omma_look_target *t,
                               omma_attribution *a, omma_error *err) {
    omma_look_job *j = q->j;
    double blind[OMMA_BLINDS];
    bool known = false;
    for (int m = 1; m < OMMA_METHODS; m++) {
        if (!q->take[m]) continue;
        const effort *e = q->effort;
        const omma_appraise_how how = {.method = method_of(j, (omma_method)m, e),
                                       .steps = e->points,
                                       .squares = e->squares,
                                       .moves = e->moves,
                                       .falls = e->falls,
                                       .box = t->boxed ? t->box : NULL,
                                       .blind = known ? blind : NULL,
                                       .seed = 1};
        omma_arena arena;
        omma_appraisal x;
        omma_error why;
        omma_arena_init(&arena, NULL);
        omma_status s =
            omma_appraise(&x, a, j->in, omma_model_input_count(j->model), &how, &arena, &why);
        if (!s) {
            memcpy(blind, x.blind, sizeof blind);
            known = true;
            q->n++;
            s = put_heat(j, u, &x, t, &arena, &why);
        } else if (s != OMMA_E_NOMEM) {
            if (!*q->why)
                snprintf(q->why, sizeof q->why, "no attribution by %s: %.330s",
                         omma_method_name((omma_method)m), why.message);
            s = OMMA_OK;
        }
        omma_arena_free(&arena);
        if (s && err) *err = why;
        if (s) return s;
    }
    return OMMA_OK;
}

static omma_status put_unit(asking *q, const omma_report_unit *u, omma_error *err) {
    omma_look_job *j = q->j;
    omma_look_target t;
    omma_attribution *a;
    omma_error why;
    const bool query = u->what == OMMA_REPORT_QUERY;
    if (query ? !omma_look_find_query(&t, j, u->y, -1)
              : !omma_look_find_target(&t, j, u->part, u->edge)) {
        if (!*q->why)
            snprintf(q->why, sizeof q->why,
                     "no attribution of %.200s: which number of the model it is was not found",
                     query ? "a query" : j->answer[u->part].name);
        return OMMA_OK;
    }
    omma_status s = omma_attribution_new(&a, omma_look_graph(j), j->path, &t.ask, j->image_input,
                                         &j->opt, &why);
    if (s == OMMA_E_NOMEM && err) *err = why;
    if (s && s != OMMA_E_NOMEM) snprintf(q->why, sizeof q->why, "%.390s", why.message);
    if (s) return s == OMMA_E_NOMEM ? s : OMMA_OK;
    s = put_methods(q, u, &t, a, err);
    omma_attribution_free(a);
    return s;
}

/* The methods of a list; false: there is no such method. none: nothing is taken. */
static bool take_methods(bool take[OMMA_METHODS], const char *list) {
    memset(take, 0, OMMA_METHODS * sizeof *take);
    if (!list) list = "occlusion";
    if (!strcmp(list, "none")) return true;
    for (int m = 1; m < OMMA_METHODS && !strcmp(list, "all"); m++) take[m] = true;
    if (!strcmp(list, "all")) return true;
    for (const char *end; *list; list = *end ? end + 1 : end) {
        char name[32];
        end = list + strcspn(list, ",");
        snprintf(name, sizeof name, "%.*s", (int)(end - list), list);
        const omma_method m = omma_method_find(name);
        if (m == OMMA_METHODS) return false;
        take[m ? m : omma_method_find(omma_method_name(m))] = true;
    }
    return true;
}

bool omma_look_are_methods(const char *list) {
    bool take[OMMA_METHODS];
    return take_methods(take, list);
}

/* Answers, and queries that were asked for; where no answer is known, the surest query. */
static omma_status put_units(asking *q, omma_error *err) {
    omma_look_job *j = q->j;
    const bool asked = j->units.count > 0;
    omma_report_unit best = {.what = OMMA_REPORT_QUERY};
    int left = asked ? OMMA_LOOK_UNITS : q->effort->answers;
    for (int i = 0; i < j->n_unit; i++) {
        const int what = j->unit[i].what;
        if (what == OMMA_REPORT_ANSWER || (what == OMMA_REPORT_QUERY && asked)) {
            if (left-- > 0) OMMA_TRY(put_unit(q, &j->unit[i], err));
        }
    }
    if (asked || j->n_answer) return OMMA_OK;
    best.y = omma_look_best_query(j);
    return best.y < 0 ? OMMA_OK : put_unit(q, &best, err);
}

static omma_status put_attributions(omma_look_job *j, const effort *e, bool thorough,
                                    omma_error *err) {
    asking q = {.j = j, .effort = e};
    bool some = false;
    take_methods(q.take, j->attribute);
    for (int m = 1; m < OMMA_METHODS; m++) some |= q.take[m];
    if (!some) return OMMA_OK;
    OMMA_TRY(put_units(&q, err));
    if (*q.why) OMMA_TRY(omma_report_note(j->report, OMMA_REPORT_ANSWERS, q.why, err));
    if (thorough || !q.n) return OMMA_OK;
    return omma_report_note(
        j->report, OMMA_REPORT_ANSWERS,
        e->moves ? "attributions are of few runs of the model and of few answers: --effort 3 is "
                   "thorough, --attribute all has all methods"
                 : "attributions are of few runs of the model, and neither how they move nor what "
                   "random "
                   "weights make of them was measured: --effort 1 does",
        err);
}

/* --- the whole --------------------------------------------------------------------------------
 */

omma_status omma_look_put_heat(omma_look_job *j, omma_error *err) {
    const int n = j->effort >= 0 ? j->effort : j->large ? 0 : 1;
    const effort *e = &efforts[n < EFFORTS ? n : EFFORTS - 1];
    OMMA_TRY(put_attributions(j, e, n + 1 >= EFFORTS, err));
    return put_fields(j, e, err);
}

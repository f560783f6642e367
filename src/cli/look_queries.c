/* look_queries.c - object queries of a report: their way through the decoder, the points they
 * sample, answers that are queries, and which pixels made each edge of the best one's box. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/look_job.h"
#include "field/sampled.h"
#include "op/op.h"
#include "run/gradient.h"

enum { QUERIES = 16, ANSWERS = 20, LEAST = 3, LAYERS = 64 };

static omma_status no_memory(omma_error *err) {
    return omma_fail(err, OMMA_E_NOMEM, "no memory for a report");
}

/* A query whose way cannot be followed is no error of a report. */
omma_status omma_look_find_queries(omma_look_job *j, omma_error *err) {
    omma_error why;
    const omma_status s = omma_queries_look(&j->queries, j->sight, &j->arena, &why);
    if (!s) return OMMA_OK;
    j->queries.n_stage = 0;
    if (s == OMMA_E_NOMEM) return no_memory(err);
    return omma_report_note(j->report, OMMA_REPORT_QUERIES, why.message, err);
}

static const omma_query_stage *last_stage(const omma_look_job *j) {
    return j->queries.n_stage ? &j->queries.stage[j->queries.n_stage - 1] : NULL;
}

/* --- answers that are queries ---------------------------------------------------------------- */

int64_t omma_look_query_of_row(const omma_look_job *j, int64_t row, const float corner[4]) {
    const omma_queries *q = &j->queries;
    const omma_query_stage *last = last_stage(j);
    if (!last || !last->box || row < 0 || row >= q->rows) return -1;
    const int64_t query = q->row ? q->row[row] : row;
    for (int k = 0; k < 4; k++)
        if (!(fabsf(last->step[query].box[k] - corner[k]) < 1)) return -1;
    return query;
}

const char *omma_look_class(const omma_look_job *j, int64_t label, char room[32]) {
    const char *known = j->class_name && label >= 0 ? j->class_name((int)label) : NULL;
    snprintf(room, 32, "class %lld", (long long)label);
    return known ? known : room;
}

/* In front of all others: the score, those of no number last. */
static double key(const omma_look_job *j, int64_t query) {
    const double score = last_stage(j)->step[query].score;
    return isnan(score) ? -INFINITY : score;
}

/* The query with the next lower score: with the same, the next number. -1: none. */
static int64_t next_best(const omma_look_job *j, int64_t than) {
    int64_t best = -1;
    for (int64_t q = 0; q < j->queries.queries; q++) {
        const bool before =
            than >= 0 && (key(j, q) > key(j, than) || (key(j, q) == key(j, than) && q <= than));
        if (!before && (best < 0 || key(j, q) > key(j, best))) best = q;
    }
    return best;
}

omma_status omma_look_put_query_answers(omma_look_job *j, bool *done, omma_error *err) {
    const omma_query_stage *last = last_stage(j);
    *done = last && last->box && last->score && !j->queries.row;
    int64_t q = -1;
    for (int i = 0; i < ANSWERS && *done && (q = next_best(j, q)) >= 0; i++) {
        const omma_query_step *p = &last->step[q];
        char room[32];
        if (i >= LEAST && p->score < 0.3) break;
        const omma_report_answer_info a = {.name = omma_look_class(j, p->label, room),
                                           .score = p->score,
                                           .class_index = (int)p->label,
                                           .n_corners = 2,
                                           .corner = {p->box[0], p->box[1], p->box[2], p->box[3]},
                                           .query = q};
        OMMA_TRY(omma_look_put_answer(j, &a, err));
    }
    return OMMA_OK;
}

/* --- points ---------------------------------------------------------------------------------- */

static int queries_part(const omma_look_job *j) {
    for (int i = 0; i < j->n_sequence; i++)
        if (j->sequence[i].queries) return i;
    return -1;
}

/* Points of one layer take no more than a part of what is left, whatever the model. */
static bool fits(const omma_look_job *j, const omma_sampled *p) {
    const double bytes = 5.0 * (double)p->queries * (double)p->heads * (double)p->points;
    return bytes < (double)omma_report_room(j->report) / 8;
}

/* By layer of the decoder: its part of samples, -1. */
static omma_status put_samples(omma_look_job *j, int *part, omma_error *err) {
    const omma_decoder *d = omma_sight_decoder(j->sight);
    const int tokens = queries_part(j);
    for (int i = 0; i < d->n_layer && i < LAYERS; i++) {
        omma_sampled p;
        part[i] = -1;
        if (!d->layer[i].n_sampling || tokens < 0) continue;
        const omma_status s = omma_sampled_look(&p, j->sight, i, &j->arena, err);
        if (s == OMMA_E_UNSUPPORTED) {
            OMMA_TRY(omma_report_note(j->report, OMMA_REPORT_QUERIES, err->message, err));
            continue;
        }
        if (s) return s;
        if (!fits(j, &p)) {
            OMMA_TRY(omma_report_note(j->report, OMMA_REPORT_QUERIES,
                                      "the sampled points of a layer are too many for this report",
                                      err));
            continue;
        }
        const omma_report_samples_info info = {.label = d->layer[i].label,
                                               .query = tokens,
                                               .block = d->layer[i].block,
                                               .queries = p.queries,
                                               .heads = p.heads,
                                               .points = p.points,
                                               .place = p.place,
                                               .weight = p.weight};
        OMMA_TRY(omma_report_samples(j->report, &info, &part[i], err));
    }
    return OMMA_OK;
}

/* --- ways through the decoder ---------------------------------------------------------------- */

static omma_status put_query(omma_look_job *j, int64_t query, int answer, const int *samples,
                             omma_error *err) {
    const omma_decoder *d = omma_sight_decoder(j->sight);
    const int n = j->queries.n_stage;
    omma_report_step *step = omma_arena_array(&j->arena, (size_t)n + 1, sizeof *step);
    char(*room)[32] = omma_arena_array(&j->arena, (size_t)n + 1, sizeof *room);
    if (!step || !room) return no_memory(err);
    for (int i = 0; i < n; i++) {
        const omma_query_stage *g = &j->queries.stage[i];
        const omma_query_step *p = &g->step[query];
        const omma_decoder_layer *l = g->layer >= 0 ? &d->layer[g->layer] : NULL;
        const bool sampled = g->layer >= 0 && g->layer < LAYERS;
        step[i] =
            (omma_report_step){.label = l ? l->label : "before the decoder",
                               .has_box = g->box != OMMA_QUERY_NONE,
                               .name = g->score ? omma_look_class(j, p->label, room[i]) : NULL,
                               .score = p->score,
                               .cross = l && l->cross >= 0 ? j->attention[l->cross] : -1,
                               .samples = sampled ? samples[g->layer] : -1};
        memcpy(step[i].box, p->box, sizeof p->box);
    }
    const omma_report_query_info info = {
        .number = query, .answer = answer, .step = step, .n_step = n};
    return omma_report_query(j->report, &info, NULL, err);
}

/* The answers' queries, those asked for, then the best of the rest. */
static omma_status put_ways(omma_look_job *j, const int *samples, omma_error *err) {
    const int64_t n = j->queries.queries;
    bool *there = omma_arena_array(&j->arena, (size_t)n + 1, sizeof *there);
    int put = 0;
    if (!there) return no_memory(err);
    for (int i = 0; i < j->n_answer + j->n_unit; i++) {
        const omma_report_unit *u = i < j->n_answer ? NULL : &j->unit[i - j->n_answer];
        const int64_t q = u ? u->what == OMMA_REPORT_QUERY ? u->y : -1 : j->answer[i].query;
        if (q < 0 || q >= n || there[q]) continue;
        there[q] = true, put++;
        OMMA_TRY(put_query(j, q, u ? -1 : i, samples, err));
    }
    for (int64_t q = -1; last_stage(j)->score && put < QUERIES && (q = next_best(j, q)) >= 0;) {
        if (there[q]) continue;
        there[q] = true, put++;
        OMMA_TRY(put_query(j, q, -1, samples, err));
    }
    return OMMA_OK;
}

/* --- which pixels made the edges of a box ---------------------------------------------------- */

static const char *const edge_names[] = {"left edge", "top edge", "right edge", "bottom edge"};

/* The seed of one edge: how the four numbers of the box make it [px]. */
static omma_status sow(const omma_look_job *j, omma_tensor *seed, int64_t query, int edge,
                       omma_error *err) {
    const omma_queries *q = &j->queries;
    const omma_answer *a = omma_sight_decoder(j->sight)->box;
    const int64_t at = omma_answer_at(a, query), *dims = j->table.image->dims;
    const double unit = edge % 2 ? (double)dims[j->table.down] / q->height
                                 : (double)dims[j->table.across] / q->width;
    const bool centre = q->format == OMMA_BOX_CENTRE;
    if (a->value->dtype != OMMA_F32)
        return omma_fail(err, OMMA_E_UNSUPPORTED,
                         "boxes are no float32, and have no gradient here");
    float *x = seed->data;
    memset(x, 0, omma_value_bytes(a->value));
    x[at + (centre ? edge % 2 : edge)] = (float)unit;
    if (centre) x[at + 2 + edge % 2] = (float)(edge < 2 ? -unit / 2 : unit / 2);
    return OMMA_OK;
}

/* Gradient times input, summed over colours. */
static omma_status put_edge(omma_look_job *j, omma_gradient *g, int image, int answer, int edge,
                            float *map, omma_error *err) {
    const omma_tensor *slope = omma_gradient_result(g, 0), *x = &j->in[image];
    const int64_t rows = x->dims[j->table.down], columns = x->dims[j->table.across];
    int64_t step[OMMA_MAX_RANK], n = 1;
    if (!slope || slope->dtype != OMMA_F32 || x->dtype != OMMA_F32)
        return omma_fail(err, OMMA_E_UNSUPPORTED, "the picture is no float32");
    for (int d = x->rank - 1; d >= 0; n *= x->dims[d--]) step[d] = n;
    memset(map, 0, (size_t)(rows * columns) * sizeof *map);
    for (int64_t i = 0; i < n; i++) {
        const int64_t y = i / step[j->table.down] % rows, c = i / step[j->table.across] % columns;
        map[y * columns + c] += ((const float *)x->data)[i] * ((const float *)slope->data)[i];
    }
    const omma_report_heat h = {
        .family = OMMA_REPORT_ATTRIBUTION,
        .unit = {.what = OMMA_REPORT_ANSWER, .part = answer, .edge = edge_names[edge]},
        .method = "gradient-x-input",
        .settings = "zero baseline",
        .rows = rows,
        .columns = columns,
        .jump_y = 1,
        .jump_x = 1,
        .map = map,
        .unit_name = "px of the edge"};
    return omma_report_heat_map(j->report, &h, NULL, err);
}

static omma_status run_edges(omma_look_job *j, omma_gradient *g, int image, int answer,
                             omma_error *err) {
    const omma_answer *a = omma_sight_decoder(j->sight)->box;
    const omma_graph *graph = omma_sight_fov(j->sight)->specialised.graph;
    const int64_t *dims = j->table.image->dims;
    omma_tensor seed = omma_value_tensor(a->value);
    seed.data = omma_arena_alloc(&j->arena, omma_value_bytes(a->value));
    float *map = omma_arena_array(&j->arena, (size_t)(dims[j->table.down] * dims[j->table.across]),
                                  sizeof *map);
    if (!seed.data || !map) return no_memory(err);
    for (int edge = 0; edge < 4; edge++) {
        OMMA_TRY(sow(j, &seed, j->answer[answer].query, edge, err));
        OMMA_TRY(omma_gradient_run(g, j->in, graph->n_inputs, &seed, err));
        OMMA_TRY(put_edge(j, g, image, answer, edge, map, err));
    }
    return OMMA_OK;
}

/* Of the best answer; gradients for four edges cost as much as a dozen runs, so not unasked of a
 * large model. What cannot be differentiated is told. */
static omma_status put_edges(omma_look_job *j, omma_error *err) {
    const omma_answer *a = omma_sight_decoder(j->sight)->box;
    const omma_specialised *s = &omma_sight_fov(j->sight)->specialised;
    const int image = j->image_input;
    omma_gradient *g = NULL;
    omma_error why;
    if (!a || s->cut || !j->n_answer || j->answer[0].query < 0 || j->units.count) return OMMA_OK;
    if (j->large)
        return omma_report_note(j->report, OMMA_REPORT_ANSWERS,
                                "which pixels made the edges of boxes was not asked of a model of "
                                "this size: --unit answer:0:left does",
                                err);
    const omma_gradient_how how = {.of = (const char *[]){a->value->name},
                                   .n_of = 1,
                                   .by = (const char *[]){j->table.image->name},
                                   .n_by = 1,
                                   .seeded = 1};
    omma_status bad = omma_gradient_on_graph(&g, s->graph, j->path, &how, &j->opt, &why);
    if (!bad) bad = run_edges(j, g, image, 0, &why);
    omma_gradient_free(g);
    if (bad == OMMA_E_NOMEM) return no_memory(err);
    return bad ? omma_report_note(j->report, OMMA_REPORT_ANSWERS, why.message, err) : OMMA_OK;
}

/* --- the whole ------------------------------------------------------------------------------- */

omma_status omma_look_put_queries(omma_look_job *j, omma_error *err) {
    int samples[LAYERS];
    if (!j->queries.n_stage)
        return omma_sight_anatomy(j->sight)->object_queries
                   ? omma_report_note(j->report, OMMA_REPORT_QUERIES,
                                      "the layers of the decoder could not be told apart", err)
                   : OMMA_OK;
    OMMA_TRY(put_samples(j, samples, err));
    OMMA_TRY(put_ways(j, samples, err));
    OMMA_TRY(omma_report_note(j->report, OMMA_REPORT_QUERIES, j->queries.says, err));
    return put_edges(j, err);
}

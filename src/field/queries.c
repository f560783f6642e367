/* queries.c - see queries.h. */
#include "field/queries.h"

#include <math.h>
#include <string.h>

#include "field/way.h"
#include "op/op.h"

typedef struct look {
    omma_queries *out;
    omma_sight *s;
    const omma_decoder *d;
    omma_arena *arena;
    omma_error *err;
    double across, down; /* picture pixels of one unit of the model's boxes */
} look;

static omma_status no_memory(omma_error *err) {
    return omma_fail(err, OMMA_E_NOMEM, "no memory for the steps of queries");
}

static const omma_tensor *side(const void *user, const omma_value *v) {
    return omma_sight_tensor(user, v);
}

/* --- boxes ----------------------------------------------------------------------------------- */

/* The corners of four numbers as the model writes them [px]. */
static void corners(const look *l, const double b[4], float box[4]) {
    const bool centre = l->out->format == OMMA_BOX_CENTRE;
    const double w = centre ? b[2] / 2 : 0, h = centre ? b[3] / 2 : 0;
    box[0] = (float)((b[0] - w) * l->across);
    box[1] = (float)((b[1] - h) * l->down);
    box[2] = (float)((centre ? b[0] + w : b[2]) * l->across);
    box[3] = (float)((centre ? b[1] + h : b[3]) * l->down);
}

static void take_boxes(const look *l, omma_query_step *step, const omma_tensor *t) {
    for (int64_t q = 0; q < l->out->queries; q++) {
        double b[4];
        for (int k = 0; k < 4; k++)
            b[k] = omma_get_number(t->dtype, t->data, omma_answer_at(l->d->box, q) + k);
        corners(l, b, step[q].box);
    }
}

/* --- scores ---------------------------------------------------------------------------------- */

static double number(const look *l, const omma_tensor *t, int64_t q, int64_t c) {
    return omma_get_number(t->dtype, t->data, omma_answer_at(l->d->score, q) + c);
}

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

static bool made_by(const omma_value *v, const char *name) {
    while (v->producer && omma_decoder_moves(v->producer)) v = v->producer->in[0];
    return v->producer && !strcmp(v->producer->op->name, name);
}

/* Logits do not say what they are logits of. Where the last class is the likeliest for most
 * queries, it is none, as DETR has it; where a sigmoid leaves nearly nothing of most numbers they
 * are one by one, as with focal losses. */
static omma_score_kind kind_of(const look *l, const omma_tensor *t) {
    const int64_t queries = l->out->queries, classes = l->out->classes;
    const omma_value *v = l->d->score->value;
    double sum = 0;
    int64_t none = 0;
    if (made_by(v, "Sigmoid") || made_by(v, "Softmax")) return OMMA_SCORE_PLAIN;
    if (classes < 2) return OMMA_SCORE_SIGMOID;
    for (int64_t q = 0; q < queries; q++) {
        const double last = number(l, t, q, classes - 1);
        bool most = true;
        for (int64_t c = 0; c < classes; c++) {
            sum += sigmoid(number(l, t, q, c));
            most &= number(l, t, q, c) <= last;
        }
        none += most;
    }
    const bool few = sum < 0.1 * (double)(queries * classes);
    return 2 * none <= queries && few ? OMMA_SCORE_SIGMOID : OMMA_SCORE_SOFTMAX;
}

static void take_score(const look *l, omma_query_step *step, const omma_tensor *t, int64_t q) {
    const bool soft = l->out->kind == OMMA_SCORE_SOFTMAX;
    const int64_t classes = l->out->classes, most = classes - soft;
    int64_t best = 0;
    double sum = 0;
    for (int64_t c = 1; c < most; c++)
        if (number(l, t, q, c) > number(l, t, q, best)) best = c;
    const double x = number(l, t, q, best);
    for (int64_t c = 0; c < classes && soft; c++) sum += exp(number(l, t, q, c) - x);
    step->label = best;
    step->score = soft ? 1 / sum : l->out->kind == OMMA_SCORE_SIGMOID ? sigmoid(x) : x;
}

static void take_scores(const look *l, omma_query_step *step, const omma_tensor *t) {
    for (int64_t q = 0; q < l->out->queries; q++) take_score(l, &step[q], t, q);
}

/* --- stages ---------------------------------------------------------------------------------- */

static omma_query_step *steps_of(const omma_query_stage *g) { return (omma_query_step *)g->step; }

/* Stages without anything in them yet. */
static omma_status make_stages(look *l) {
    omma_queries *o = l->out;
    const int before = l->d->start && l->d->box;
    o->stage = omma_arena_array(l->arena, (size_t)(l->d->n_layer + 1), sizeof *o->stage);
    if (!o->stage) return no_memory(l->err);
    for (int i = -before; i < l->d->n_layer; i++) {
        omma_query_step *step = omma_arena_array(l->arena, (size_t)o->queries + 1, sizeof *step);
        if (!step) return no_memory(l->err);
        for (int64_t q = 0; q < o->queries; q++)
            step[q] = (omma_query_step){.label = -1, .score = NAN};
        o->stage[o->n_stage++] = (omma_query_stage){.layer = i, .step = step};
    }
    return OMMA_OK;
}

static void take_answers(look *l) {
    omma_queries *o = l->out;
    const omma_tensor *box = l->d->box ? omma_sight_tensor(l->s, l->d->box->value) : NULL,
                      *score = l->d->score ? omma_sight_tensor(l->s, l->d->score->value) : NULL;
    omma_query_stage *last = &o->stage[o->n_stage - 1];
    if (box) {
        omma_box_format_find(o, l->s, l->d->box, box);
        l->across /= o->width;
        l->down /= o->height;
        take_boxes(l, steps_of(last), box);
        last->box = OMMA_QUERY_ANSWER;
    }
    if (score) {
        o->classes = omma_answer_width(l->d->score);
        o->kind = kind_of(l, score);
        take_scores(l, steps_of(last), score);
        last->score = OMMA_QUERY_ANSWER;
    }
}

/* The value that stage g's boxes, or its score, are made of, for a way that begins with `from`. */
static const omma_tensor *given(const look *l, const omma_query_stage *g, const omma_value *from) {
    const omma_value *v = g->layer < 0 ? l->d->start : l->d->layer[g->layer].box;
    const omma_tensor *t =
        omma_sight_tensor(l->s, from == l->d->last_box ? v : l->d->layer[g->layer].out);
    const bool fits =
        t && t->dtype == from->dtype && omma_tensor_count(t) == omma_value_count(from);
    return fits ? t : NULL; /* layers may be of different widths */
}

static bool wants(const look *l, const omma_query_stage *g, const omma_value *from, bool boxes) {
    if (g->layer < 0) return from == l->d->last_box;
    if (!boxes) return !g->score;
    return !g->box && (from != l->d->last_box || l->d->layer[g->layer].box);
}

/* Run the way from `from` to an answer for every stage that has none of its own yet. */
static omma_status run_way(look *l, const omma_value *from, const omma_answer *to, bool boxes,
                           omma_query_origin origin) {
    omma_way way;
    const omma_fov *f = omma_sight_fov(l->s);
    omma_status s = omma_way_new(&way, f->specialised.graph, from, to->value, side, l->s, l->err);
    for (int i = 0; i < l->out->n_stage && !s; i++) {
        omma_query_stage *g = &l->out->stage[i];
        const omma_tensor *y, *given_by = wants(l, g, from, boxes) ? given(l, g, from) : NULL;
        if (!given_by) continue;
        omma_tensor x = omma_value_tensor(from);
        x.data = given_by->data;
        s = omma_way_run(&way, &x, &y, l->err);
        if (s) break;
        if (boxes) take_boxes(l, steps_of(g), y), g->box = origin;
        else take_scores(l, steps_of(g), y), g->score = origin;
    }
    omma_way_free(&way);
    return s;
}

static omma_status run_ways(look *l) {
    const omma_decoder *d = l->d;
    const omma_value *last = d->layer[d->n_layer - 1].out;
    if (d->last_box) OMMA_TRY(run_way(l, d->last_box, d->box, true, OMMA_QUERY_OWN));
    if (d->n_layer < 2) return OMMA_OK;
    if (d->box) OMMA_TRY(run_way(l, last, d->box, true, OMMA_QUERY_HEADS));
    return d->score ? run_way(l, last, d->score, false, OMMA_QUERY_HEADS) : OMMA_OK;
}

/* --- rows ------------------------------------------------------------------------------------ */

/* An index that names no query, or another one for another number of the box, is no such index. */
static omma_status take_rows(look *l) {
    const omma_tensor *t = l->d->row ? omma_sight_tensor(l->s, l->d->row) : NULL;
    omma_queries *o = l->out;
    o->rows = o->queries;
    if (!t || omma_tensor_count(t) < l->d->rows * l->d->row_step) return OMMA_OK;
    int64_t *row = omma_arena_array(l->arena, (size_t)l->d->rows + 1, sizeof *row);
    if (!row) return no_memory(l->err);
    for (int64_t r = 0; r < l->d->rows; r++) {
        row[r] = -1;
        for (int64_t k = l->d->row_step - 1; k >= 0; k--) {
            int64_t q = (int64_t)omma_get_number(t->dtype, t->data, r * l->d->row_step + k);
            if (q < 0) q += o->queries;
            if (q < 0 || q >= o->queries || (row[r] >= 0 && row[r] != q)) return OMMA_OK;
            row[r] = q;
        }
    }
    o->row = row;
    o->rows = l->d->rows;
    return OMMA_OK;
}

/* --- what was taken -------------------------------------------------------------------------- */

static omma_status tell(look *l) {
    static const char *const formats[] = {"corners", "centre and size", "corner and size"};
    static const char *const kinds[] = {
        "Scores are probabilities as they stand.", "Scores are logits, taken by sigmoid.",
        "Scores are logits, taken by softmax, the last class being none."};
    omma_queries *o = l->out;
    int own = 0, heads = 0;
    for (int i = 0; i < o->n_stage; i++) {
        own += o->stage[i].box == OMMA_QUERY_OWN;
        heads += o->stage[i].box == OMMA_QUERY_HEADS || o->stage[i].score == OMMA_QUERY_HEADS;
    }
    const char *box =
        omma_arena_printf(l->arena, "Boxes were taken for %s in a picture of %g x %g. ",
                          formats[o->format], o->width, o->height);
    o->says = omma_arena_printf(
        l->arena, "%s%s%s%s", l->d->box ? box : "", l->d->score ? kinds[o->kind] : "",
        own ? " Boxes in front of the last layer are the model's own, which its next layer "
              "samples around."
            : "",
        heads ? own ? " Scores in front of the last layer are what its heads make of earlier "
                      "layers' queries."
                    : " Boxes and scores in front of the last layer are what its norm and heads "
                      "make of earlier layers' queries."
              : "");
    return box && o->says ? OMMA_OK : no_memory(l->err);
}

omma_status omma_queries_look(omma_queries *out, omma_sight *s, omma_arena *arena,
                              omma_error *err) {
    int down, across;
    const omma_decoder *d = omma_sight_decoder(s);
    const omma_value *image = omma_fov_image(omma_sight_fov(s), &down, &across);
    *out = (omma_queries){.queries = d->queries, .says = ""};
    if (!d->n_layer) return OMMA_OK;
    look l = {.out = out, .s = s, .d = d, .arena = arena, .err = err, .across = 1, .down = 1};
    if (image) l.across = (double)image->dims[across], l.down = (double)image->dims[down];
    OMMA_TRY(make_stages(&l));
    take_answers(&l);
    OMMA_TRY(run_ways(&l));
    OMMA_TRY(take_rows(&l));
    return tell(&l);
}

/* --- targets --------------------------------------------------------------------------------- */

bool omma_queries_edge(omma_target *out, const omma_queries *q, const omma_sight *s, int64_t query,
                       int edge) {
    const omma_answer *a = omma_sight_decoder(s)->box;
    if (!a || query < 0 || query >= q->queries) return false;
    *out = (omma_target){
        .kind = OMMA_TARGET_EDGE, .value = a->value->name, .format = q->format, .edge = edge};
    out->at[a->axis] = query;
    return true;
}

bool omma_queries_score(omma_target *out, const omma_queries *q, const omma_sight *s, int64_t query,
                        int64_t label) {
    const omma_answer *a = omma_sight_decoder(s)->score;
    if (!a || query < 0 || query >= q->queries || label < 0 || label >= q->classes) return false;
    *out = (omma_target){.kind = OMMA_TARGET_ELEMENT, .value = a->value->name};
    out->at[a->axis] = query;
    if (a->axis + 1 < a->value->rank) out->at[a->value->rank - 1] = label;
    return true;
}

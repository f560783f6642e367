/* test_decoder.c - the steps of object queries and the points they sample: of small decoders
 * (decodernets.h) that are the same as what the network itself tells when it is asked to; of DEIMv2
 * and, with OMMA_BENCH_MODELS=FOLDER, of a DETR export that end in the model's own answers.
 *
 * OMMA_DECODERNETS=FOLDER writes two of the decoders there, for test_look_queries.sh. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "decodernets.h"
#include "field/attribution.h"
#include "field/queries.h"
#include "field/sampled.h"
#include "field/way.h"
#include "file/image.h"
#include "model/model.h"
#include "op/op.h"
#include "run/session.h"
#include "shared.h"

/* --- a model and what it tells --------------------------------------------------------------- */

typedef struct subject {
    omma_model *model, *teller;
    omma_session *told; /* a run of the network that tells all */
    omma_sight *sight;
    const omma_decoder *d;
    omma_queries q;
    omma_arena arena;
    float *picture;
    omma_tensor in;
} subject;

static omma_model *open_bytes(dn_options o) {
    omma_model *m;
    omma_error err;
    mk bytes = decodernet(o);
    if (mk_open(&m, &bytes, NULL, &err)) fail_msg("%s", err.message);
    mk_free(&bytes);
    return m;
}

static void tell(subject *s, dn_options o) {
    omma_error err;
    o.all = true, o.rows = false;
    s->teller = open_bytes(o);
    if (omma_session_new(&s->told, s->teller, NULL, &err) ||
        omma_session_run(s->told, &s->in, 1, &err))
        fail_msg("%s", err.message);
}

static void look(subject *s) {
    omma_error err;
    s->d = omma_sight_decoder(s->sight);
    omma_arena_init(&s->arena, NULL);
    if (omma_queries_look(&s->q, s->sight, &s->arena, &err)) fail_msg("%s", err.message);
}

static subject open_subject(dn_options o) {
    subject s = {.in = {OMMA_F32, 4, {1, 3, DN_H, DN_W}, NULL}};
    omma_error err;
    s.picture = malloc(3 * DN_H * DN_W * sizeof *s.picture);
    assert_non_null(s.picture);
    for (int i = 0; i < 3 * DN_H * DN_W; i++) s.picture[i] = (float)(i * 7919 % 1009) / 1009 - 0.5f;
    s.in.data = s.picture;
    s.model = open_bytes(o);
    tell(&s, o);
    if (omma_sight_new(&s.sight, s.model, &s.in, 1, NULL, &err)) fail_msg("%s", err.message);
    look(&s);
    return s;
}

static void close_subject(subject *s) {
    omma_sight_free(s->sight);
    omma_session_free(s->told);
    omma_model_free(s->model);
    omma_model_free(s->teller);
    omma_arena_free(&s->arena);
    free(s->picture);
}

/* What the network that tells all has for `what` of a layer. */
static const float *told(const subject *s, const char *what, int layer, int64_t count) {
    char name[32];
    snprintf(name, sizeof name, "%s%d", what, layer);
    for (int i = 0; i < omma_model_output_count(s->teller); i++) {
        const omma_tensor *t = omma_session_output(s->told, i);
        if (strcmp(omma_model_output(s->teller, i)->name, name)) continue;
        assert_int_equal(omma_tensor_count(t), count);
        return t->data;
    }
    fail_msg("the network tells no %s", name);
    return NULL;
}

/* --- boxes and scores ------------------------------------------------------------------------ */

/* The box [px] of four numbers as the network has them. */
static void box_of(const dn_options *o, const float *b, double box[4]) {
    for (int k = 0; k < 4; k++) {
        const double side = k % 2 ? DN_H : DN_W, half = k < 2 ? -0.5 : 0.5;
        box[k] =
            o->corners ? (double)b[k] / 2 : ((double)b[k % 2] + half * (double)b[k % 2 + 2]) * side;
    }
}

static void has_boxes(const subject *s, const dn_options *o, const omma_query_stage *g,
                      const char *what, int layer) {
    const float *b = told(s, what, layer, DN_Q * 4);
    for (int q = 0; q < DN_Q; q++) {
        double box[4];
        box_of(o, b + 4 * q, box);
        for (int k = 0; k < 4; k++)
            if (!(fabs(box[k] - (double)g->step[q].box[k]) < 1e-3))
                fail_msg("layer %d, query %d, side %d: %g, the network says %g", layer, q, k,
                         (double)g->step[q].box[k], box[k]);
    }
}

static double score_of(const float *x, omma_score_kind kind, int *label) {
    const int most = kind == OMMA_SCORE_SOFTMAX ? DN_CLASSES - 1 : DN_CLASSES;
    double sum = 0;
    *label = 0;
    for (int c = 0; c < most; c++)
        if (x[c] > x[*label]) *label = c;
    for (int c = 0; c < DN_CLASSES; c++) sum += exp((double)x[c]);
    const double y = (double)x[*label];
    return kind == OMMA_SCORE_SOFTMAX ? exp(y) / sum
           : kind == OMMA_SCORE_PLAIN ? y
                                      : 1 / (1 + exp(-y));
}

static void has_scores(const subject *s, const omma_query_stage *g, int layer) {
    const float *x = told(s, "score", layer, DN_Q * DN_CLASSES);
    for (int q = 0; q < DN_Q; q++) {
        int label;
        const double score = score_of(x + q * DN_CLASSES, s->q.kind, &label);
        assert_int_equal(g->step[q].label, label);
        if (!(fabs(score - g->step[q].score) < 1e-6))
            fail_msg("layer %d, query %d: score %g, the network says %g", layer, q,
                     g->step[q].score, score);
    }
}

/* Are two layers' boxes different enough to be told apart? */
static void layers_differ(const subject *s) {
    for (int i = 1; i < s->q.n_stage; i++) {
        double most = 0;
        for (int q = 0; q < DN_Q; q++)
            for (int k = 0; k < 4; k++)
                most = fmax(most, fabs((double)(s->q.stage[i].step[q].box[k] -
                                                s->q.stage[i - 1].step[q].box[k])));
        assert_true(most > 0.1);
    }
}

static void shared_heads(dn_options o, omma_score_kind kind) {
    subject s = open_subject(o);
    assert_int_equal(s.d->n_layer, DN_LAYERS);
    assert_int_equal(s.q.n_stage, DN_LAYERS);
    assert_int_equal(s.q.queries, DN_Q);
    assert_null(s.d->last_box);
    assert_int_equal(s.q.kind, kind);
    assert_int_equal(s.q.format, o.corners ? OMMA_BOX_CORNERS : OMMA_BOX_CENTRE);
    for (int i = 0; i < DN_LAYERS; i++) {
        const omma_query_stage *g = &s.q.stage[i];
        const bool last = i == DN_LAYERS - 1;
        assert_true(s.d->layer[i].cross >= 0);
        assert_int_equal(s.d->layer[i].self >= 0, i > 0); /* the first one is a constant */
        assert_int_equal(g->layer, i);
        assert_int_equal(g->box, last ? OMMA_QUERY_ANSWER : OMMA_QUERY_HEADS);
        assert_int_equal(g->score, last ? OMMA_QUERY_ANSWER : OMMA_QUERY_HEADS);
        has_boxes(&s, &o, g, "box", i);
        has_scores(&s, g, i);
    }
    layers_differ(&s);
    close_subject(&s);
}

static void detr(void **state) {
    (void)state;
    shared_heads((dn_options){.none = 9}, OMMA_SCORE_SOFTMAX);
    shared_heads((dn_options){.bias = -9}, OMMA_SCORE_SIGMOID);
    shared_heads((dn_options){.pre = true, .none = 9}, OMMA_SCORE_SOFTMAX);
    shared_heads((dn_options){.pre = true, .corners = true, .probable = true}, OMMA_SCORE_PLAIN);
}

/* --- boxes that are refined, and points ------------------------------------------------------ */

static void check_points(subject *s, int layer) {
    static const double jump[] = {8, 16}, cells[2][2] = {{4, 6}, {2, 3}};
    omma_error err;
    omma_sampled p;
    if (omma_sampled_look(&p, s->sight, layer, &s->arena, &err)) fail_msg("%s", err.message);
    assert_true(p.placed && p.weight);
    assert_int_equal(p.queries, DN_Q);
    assert_int_equal(p.heads, AN_HEADS);
    assert_int_equal(p.points, DN_P);
    assert_int_equal(p.n_level, 2);
    assert_int_equal(p.level[0], DN_NEAR);
    const int n = DN_Q * AN_HEADS * DN_P;
    const float *at = told(s, "at", layer, 2 * n), *w = told(s, "weight", layer, n);
    for (int i = 0; i < n; i++) {
        const int level = i % DN_P >= DN_NEAR;
        assert_true(fabs((double)(p.weight[i] - w[i])) < 1e-6);
        for (int k = 0; k < 2; k++) { /* cell c of either map lies at jump * c */
            const double cell = (double)at[2 * i + 1 - k] * cells[level][k] - 0.5;
            if (!(fabs(jump[level] * cell - (double)p.place[2 * i + k]) < 1e-3))
                fail_msg("layer %d, point %d: at %g, not %g", layer, i, (double)p.place[2 * i + k],
                         jump[level] * cell);
        }
    }
}

static void refined(dn_options o) {
    subject s = open_subject(o);
    assert_int_equal(s.d->n_layer, DN_LAYERS);
    assert_int_equal(s.q.n_stage, DN_LAYERS + 1);
    assert_non_null(s.d->last_box);
    assert_int_equal(s.q.stage[0].layer, -1);
    assert_true(isnan(s.q.stage[0].step[0].score) && s.q.stage[0].step[0].label == -1);
    for (int i = 0; i < DN_LAYERS; i++) {
        const omma_query_stage *g = &s.q.stage[i + 1];
        const bool last = i == DN_LAYERS - 1;
        assert_int_equal(s.d->layer[i].n_sampling, 2);
        assert_int_equal(g->box, last ? OMMA_QUERY_ANSWER : OMMA_QUERY_OWN);
        assert_int_equal(g->score, last ? OMMA_QUERY_ANSWER : OMMA_QUERY_HEADS);
        has_boxes(&s, &o, g, "box", i);
        has_scores(&s, g, i);
        check_points(&s, i);
    }
    const dn_options plain = {0};
    has_boxes(&s, &plain, &s.q.stage[0], "start", 0);
    layers_differ(&s);
    close_subject(&s);
}

static void rtdetr(void **state) {
    (void)state;
    refined((dn_options){.samples = true, .bias = -9});
    refined((dn_options){.samples = true, .corners = true, .probable = true});
    refined((dn_options){.samples = true, .pre = true, .bias = -9});
}

/* Rows of the outputs are the boxes of the queries that they are said to be of. */
static void has_rows(const subject *s, const float *boxes, int64_t rows, double width,
                     double height) {
    const omma_query_stage *last = &s->q.stage[s->q.n_stage - 1];
    assert_int_equal(s->q.rows, rows);
    for (int64_t r = 0; r < rows; r++) {
        const int64_t q = s->q.row ? s->q.row[r] : r;
        assert_in_range(q, 0, s->q.queries - 1);
        for (int k = 0; k < 4; k++) {
            const double is = (double)boxes[4 * r + k] * (k % 2 ? height : width);
            if (!(fabs(is - (double)last->step[q].box[k]) < 1e-3))
                fail_msg("row %lld is not of query %lld", (long long)r, (long long)q);
        }
    }
}

static void rows(void **state) {
    (void)state;
    const dn_options o = {.samples = true, .corners = true, .probable = true, .rows = true};
    subject s = open_subject(o);
    const omma_tensor *t = omma_sight_output(s.sight, 0), *score = omma_sight_output(s.sight, 1);
    const omma_query_stage *last = &s.q.stage[s.q.n_stage - 1];
    bool moved = false;
    assert_non_null(s.q.row);
    has_rows(&s, t->data, DN_Q - 1, 0.5, 0.5);
    for (int r = 0; r < DN_Q - 1; r++) {
        moved |= s.q.row[r] != r;
        assert_true(fabs(last->step[s.q.row[r]].score - (double)((float *)score->data)[r]) < 1e-6);
    }
    assert_true(moved); /* or the test tells nothing */
    has_boxes(&s, &o, last, "box", DN_LAYERS - 1);
    close_subject(&s);
}

/* --- targets --------------------------------------------------------------------------------- */

static double value_of(const subject *s, const omma_target *t) {
    omma_attribution *a;
    omma_error err;
    double f;
    if (omma_attribution_new(&a, s->model->graph, "model", t, 0, NULL, &err) ||
        omma_attribution_value(a, &f, &s->in, 1, &err))
        fail_msg("%s", err.message);
    omma_attribution_free(a);
    return f;
}

static void targets(void **state) {
    (void)state;
    for (int corners = 0; corners < 2; corners++) {
        subject s = open_subject(
            (dn_options){.samples = true, .corners = corners, .probable = true, .rows = corners});
        omma_target t;
        const omma_query_step *p = &s.q.stage[s.q.n_stage - 1].step[3];
        for (int edge = 0; edge < 4; edge++) {
            assert_true(omma_queries_edge(&t, &s.q, s.sight, 3, edge));
            const double unit = edge % 2 ? DN_H / s.q.height : DN_W / s.q.width;
            assert_true(fabs(value_of(&s, &t) * unit - (double)p->box[edge]) < 1e-3);
        }
        assert_true(omma_queries_score(&t, &s.q, s.sight, 3, p->label));
        assert_true(fabs(value_of(&s, &t) - p->score) < 1e-6);
        assert_false(omma_queries_edge(&t, &s.q, s.sight, DN_Q, 0));
        assert_false(omma_queries_score(&t, &s.q, s.sight, 0, DN_CLASSES));
        close_subject(&s);
    }
}

/* A model without queries has no steps. */
static void nothing(void **state) {
    (void)state;
    omma_error err;
    subject s = {.in = {OMMA_F32, 4, {1, 3, 32, 32}, NULL}};
    mk bytes = anatomynet("plain", 1);
    if (mk_open(&s.model, &bytes, NULL, &err)) fail_msg("%s", err.message);
    mk_free(&bytes);
    s.in.data = s.picture = calloc(3 * 32 * 32, sizeof *s.picture);
    if (omma_sight_new(&s.sight, s.model, &s.in, 1, NULL, &err)) fail_msg("%s", err.message);
    look(&s);
    assert_int_equal(s.d->n_layer, 0);
    assert_int_equal(s.q.n_stage, 0);
    close_subject(&s);
}

/* --- real models ----------------------------------------------------------------------------- */

/* The last layer's out through the heads makes the answers: it is the right value. */
static const omma_tensor *side(const void *user, const omma_value *v) {
    return omma_sight_tensor(user, v);
}

static void ends_in(const subject *s, const omma_answer *a) {
    omma_way way;
    omma_error err;
    const omma_value *from = s->d->layer[s->d->n_layer - 1].out;
    const omma_tensor *y, *want = omma_sight_tensor(s->sight, a->value);
    if (omma_way_new(&way, omma_sight_fov(s->sight)->specialised.graph, from, a->value, side,
                     s->sight, &err) ||
        omma_way_run(&way, omma_sight_tensor(s->sight, from), &y, &err))
        fail_msg("%s", err.message);
    for (int64_t i = 0; i < omma_tensor_count(want); i++) {
        const double is = (double)((float *)y->data)[i], was = (double)((float *)want->data)[i];
        if (!(fabs(is - was) <= 1e-4 * fmax(1, fabs(was))))
            fail_msg("%s: number %lld is %g, not %g", a->value->name, (long long)i, is, was);
    }
    omma_way_free(&way);
}

/* The picture at `path`, stretched by nearest pixels. */
static float *planes_of(const char *path, int h, int w, int64_t size[2]) {
    omma_error err;
    omma_image img;
    float *x = malloc((size_t)(3 * h * w) * sizeof *x);
    if (!x || omma_image_load(&img, path, &err)) fail_msg("%s", err.message);
    for (int i = 0; i < 3 * h * w; i++) {
        const int px = i % w * img.width / w, py = i / w % h * img.height / h;
        x[i] = (float)img.rgb[3 * (py * img.width + px) + i / w / h] / 255;
    }
    size[0] = img.width, size[1] = img.height;
    omma_image_free(&img);
    return x;
}

static double overlap(const float *a, const float *b) {
    const double p[4] = {(double)a[0], (double)a[1], (double)a[2], (double)a[3]},
                 g[4] = {(double)b[0], (double)b[1], (double)b[2], (double)b[3]};
    return omma_iou(p, g, NULL);
}

/* Every row is its query's box; the first of a query has its label and score. */
static int check_rows(const subject *s, const int64_t size[2]) {
    const int64_t *label = omma_sight_output(s->sight, 0)->data;
    const float *box = omma_sight_output(s->sight, 1)->data,
                *score = omma_sight_output(s->sight, 2)->data;
    const omma_query_stage *last = &s->q.stage[s->q.n_stage - 1], *before = last - 1;
    bool seen[100] = {false};
    int known = 0;
    has_rows(s, box, 300, 320.0 / (double)size[0], 320.0 / (double)size[1]);
    for (int r = 0; r < 300; r++) {
        const int64_t q = s->q.row[r];
        if (seen[q]) continue;
        seen[q] = true, known++;
        assert_int_equal(last->step[q].label, label[r]);
        assert_true(fabs(last->step[q].score - (double)score[r]) < 1e-6);
        if (score[r] > 0.5f) assert_true(overlap(before->step[q].box, last->step[q].box) > 0.8);
    }
    return known;
}

static void deimv2_picture(omma_model *m, const char *path) {
    omma_error err;
    int64_t size[2];
    subject s = {.model = NULL};
    s.picture = planes_of(path, 320, 320, size);
    const omma_tensor in[2] = {{OMMA_F32, 4, {1, 3, 320, 320}, s.picture},
                               {OMMA_I64, 2, {1, 2}, size}};
    if (omma_sight_new(&s.sight, m, in, 2, NULL, &err)) fail_msg("%s", err.message);
    look(&s);
    assert_int_equal(s.d->n_layer, 3);
    assert_int_equal(s.q.n_stage, 4);
    assert_int_equal(s.q.format, OMMA_BOX_CORNERS);
    assert_true(s.q.width == (double)size[0] && s.q.height == (double)size[1]);
    for (int i = 0; i < 3; i++) assert_int_equal(s.q.stage[i].box, OMMA_QUERY_OWN);
    ends_in(&s, s.d->box);
    ends_in(&s, s.d->score);
    print_message("  %s: %d queries became answers\n", strrchr(path, '/') + 1,
                  check_rows(&s, size));
    for (int layer = 0; layer < 3; layer++) {
        omma_sampled p;
        assert_false(omma_sampled_look(&p, s.sight, layer, &s.arena, &err));
        assert_true(p.placed && p.weight && p.heads == 8 && p.points == 6 && p.level[0] == 4);
        for (int64_t i = 0; i < 100 * 8; i++) {
            double sum = 0;
            for (int k = 0; k < 6; k++) sum += (double)p.weight[6 * i + k];
            assert_true(fabs(sum - 1) < 1e-5);
        }
    }
    omma_sight_free(s.sight);
    omma_arena_free(&s.arena);
    free(s.picture);
}

static void deimv2(void **state) {
    (void)state;
    static const char *const photos[] = {"astronaut.png", "chelsea.png", "coffee.png",
                                         "rocket.jpg"};
    char path[1024];
    omma_model *m;
    omma_error err;
    if (!shared_path(path, sizeof path, "models/deimv2_atto/deimv2_hgnetv2_atto_coco.onnx")) {
        print_message("SKIPPED: no %s\n", path);
        return;
    }
    if (omma_model_open(&m, path, NULL, &err)) fail_msg("%s", err.message);
    for (size_t i = 0; i < sizeof photos / sizeof *photos; i++) {
        char name[64];
        snprintf(name, sizeof name, "photos/%s", photos[i]);
        if (shared_path(path, sizeof path, name)) deimv2_picture(m, path);
    }
    omma_model_free(m);
}

/* The answers are the outputs, sigmoids of centre and size. */
static void detr_export(void **state) {
    (void)state;
    const char *folder = getenv("OMMA_BENCH_MODELS");
    char path[1024], photo[1024];
    int64_t size[2];
    omma_error err;
    subject s = {.in = {OMMA_F32, 4, {1, 3, 512, 512}, NULL}};
    snprintf(path, sizeof path, "%s/detr_r50_512/model.onnx", folder ? folder : "");
    if (!folder || !*folder || !shared_path(photo, sizeof photo, "photos/astronaut.png") ||
        omma_model_open(&s.model, path, NULL, &err)) {
        print_message("SKIPPED: OMMA_BENCH_MODELS has no detr_r50_512\n");
        return;
    }
    s.in.data = s.picture = planes_of(photo, 512, 512, size);
    if (omma_sight_new(&s.sight, s.model, &s.in, 1, NULL, &err)) fail_msg("%s", err.message);
    look(&s);
    assert_int_equal(s.d->n_layer, 6);
    assert_int_equal(s.q.n_stage, 6);
    assert_int_equal(s.q.format, OMMA_BOX_CENTRE);
    assert_true(s.q.width == 1 && s.q.height == 1 && !s.q.row);
    ends_in(&s, s.d->box);
    ends_in(&s, s.d->score);
    const float *b = omma_sight_tensor(s.sight, s.d->box->value)->data;
    for (int q = 0; q < 100; q++)
        for (int k = 0; k < 4; k++) {
            const double at = (double)b[4 * q + k % 2], half = (double)b[4 * q + k % 2 + 2] / 2;
            assert_true(fabs((k < 2 ? at - half : at + half) * 512 -
                             (double)s.q.stage[5].step[q].box[k]) < 1e-3);
        }
    close_subject(&s);
}

static void write_net(const char *folder, const char *name, dn_options o) {
    char path[1024];
    mk bytes = decodernet(o);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes.data, 1, bytes.size, f) != bytes.size || fclose(f))
        perror(path), exit(1);
    mk_free(&bytes);
}

int main(void) {
    const char *folder = getenv("OMMA_DECODERNETS");
    if (folder && *folder) {
        write_net(folder, "detr.onnx", (dn_options){.none = 1});
        write_net(folder, "rtdetr.onnx", (dn_options){.samples = true, .bias = -9});
        return 0;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(detr),       cmocka_unit_test(rtdetr),
                                       cmocka_unit_test(rows),       cmocka_unit_test(targets),
                                       cmocka_unit_test(nothing),    cmocka_unit_test(deimv2),
                                       cmocka_unit_test(detr_export)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_look_heat.c - the heat maps of `omma look` on DEIMv2-Atto: numbers of the report are those
 * that the library says of the same question, and random weights destroy the default attribution.
 * Needs OMMA, the command (else omma in the folder above this program's), and OMMA_SHARED; skipped
 * without. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "field/effective.h"
#include "field/faithfulness.h"
#include "field/sight.h"
#include "file/json.h"
#include "model/model.h"
#include "shared.h"
#include "task/detector.h"

#ifdef __SANITIZE_ADDRESS__
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

enum { SIDE = 320, WINDOW = SIDE / 4, PICTURES = 6 };

static char omma[1024], model_path[2048], folder[2048];

static int set_up(void **state) {
    (void)state;
    const char *given = getenv("OMMA");
    if (given) snprintf(omma, sizeof omma, "%s", given);
    else {
        ssize_t n = readlink("/proc/self/exe", omma, sizeof omma - 8);
        if (n <= 0) return 1;
        omma[n] = 0;
        for (int up = 0; up < 2; up++) *strrchr(omma, '/') = 0;
        strcat(omma, "/omma");
    }
    if (!shared_path(model_path, sizeof model_path,
                     "models/deimv2_atto/deimv2_hgnetv2_atto_coco.onnx") ||
        !shared_path(folder, sizeof folder, "data/coco128/train2017"))
        *model_path = 0;
    return access(omma, X_OK) ? 1 : 0;
}

/* Picture i of the folder, by name. */
static void picture_path(char *out, size_t size, int i) {
    struct dirent **list;
    const int n = scandir(folder, &list, NULL, alphasort);
    int found = 0;
    *out = 0;
    for (int k = 0; k < n; k++) {
        if (strstr(list[k]->d_name, ".jpg") && found++ == i)
            snprintf(out, size, "%s/%s", folder, list[k]->d_name);
        free(list[k]);
    }
    if (n >= 0) free(list);
    assert_true(*out);
}

/* --- the report ----------------------------------------------------------------------------- */

static omma_json *look(const char *picture, const char *more) {
    static char text[1 << 25];
    char command[8192];
    omma_json *root;
    omma_error err;
    snprintf(command, sizeof command, "'%s' look '%s' -m '%s' --json %s 2>&1 </dev/null", omma,
             picture, model_path, more);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    const size_t n = fread(text, 1, sizeof text - 1, f);
    text[n] = 0;
    if (pclose(f)) fail_msg("%.500s", text);
    if (omma_json_parse(&root, text, n, NULL, &err)) fail_msg("%s", err.message);
    return root;
}

static bool text_is(const omma_json *v, const char *key, const char *want) {
    const char *s = omma_json_as_text(omma_json_get(v, key));
    return s && !strcmp(s, want);
}

/* The first map of a family. */
static const omma_json *heat(const omma_json *report, const char *family) {
    const omma_json *parts = omma_json_get(report, "parts");
    for (size_t i = 0; i < omma_json_count(parts); i++) {
        const omma_json *p = omma_json_at(parts, i);
        if (text_is(p, "part", "heat") && text_is(p, "family", family)) return p;
    }
    fail_msg("there is no %s map", family);
    return NULL;
}

static double number_of(const omma_json *part, const char *name) {
    const omma_json *list = omma_json_get(part, "numbers");
    double v;
    for (size_t i = 0; i < omma_json_count(list); i++)
        if (text_is(omma_json_at(list, i), "name", name) &&
            omma_json_as_double(omma_json_get(omma_json_at(list, i), "value"), &v))
            return v;
    fail_msg("%s is not there", name);
    return NAN;
}

static void same(const omma_json *part, const char *name, double want) {
    const double got = number_of(part, name);
    if (!(fabs(got - want) <= 2e-3 * fmax(fabs(want), 0.1)))
        fail_msg("%s: %g in the report, %g is right", name, got, want);
}

/* --- the same by hand ------------------------------------------------------------------------ */

typedef struct subject {
    omma_detector *detector;
    omma_model *model;
    omma_image img;
    omma_tensor in[2];
    int64_t size[2];
    omma_target thing; /* the surest, by the queries' own scores and boxes */
    double box[4];     /* [px] */
    omma_arena arena;
} subject;

static void check(omma_status s, const omma_error *err) {
    if (s) fail_msg("%s", err->message);
}

static void aim(subject *s, const omma_detection *best) {
    omma_sight *sight;
    omma_error err;
    check(omma_sight_new(&sight, s->model, s->in, 2, NULL, &err), &err);
    const omma_anatomy *a = omma_sight_anatomy(sight);
    s->thing = (omma_target){.kind = OMMA_TARGET_DETECTION, .label = best->label};
    for (int i = 0; i < a->n_answer; i++) {
        const char *name = a->answer[i].value->name;
        name = omma_arena_strndup(&s->arena, name, strlen(name));
        if (a->answer[i].boxes) s->thing.boxes = name;
        else s->thing.value = name;
    }
    for (int k = 0; k < 4; k++) {
        s->thing.box[k] = (double)best->box[k];
        s->box[k] = (double)best->box[k] * SIDE / (k % 2 ? s->img.height : s->img.width) - 0.5;
    }
    omma_sight_free(sight);
}

static void open_subject(subject *s, const char *picture) {
    const omma_options one = {.threads = 1};
    const omma_detection *found;
    omma_error err;
    int n;
    *s = (subject){0};
    omma_arena_init(&s->arena, NULL);
    check(omma_detector_new(&s->detector, model_path, &one, &err), &err);
    check(omma_model_open(&s->model, model_path, &one, &err), &err);
    check(omma_image_load(&s->img, picture, &err), &err);
    check(omma_detector_run(s->detector, &found, &n, &s->img, &err), &err);
    const omma_detection best = found[0];
    check(omma_detector_feed(s->detector, s->in, s->size, &s->img, &err), &err);
    aim(s, &best);
}

static void close_subject(subject *s) {
    omma_image_free(&s->img);
    omma_model_free(s->model);
    omma_detector_free(s->detector);
    omma_arena_free(&s->arena);
}

static omma_attribution_how windows(void) {
    return (omma_attribution_how){
        .method = OMMA_METHOD_OCCLUSION, .seed = 1, .window = WINDOW, .stride = WINDOW};
}

static double curve(subject *s, omma_attribution *a, const omma_heat *h, bool insert) {
    omma_curve c;
    omma_error err;
    const omma_curve_how how = {.insert = insert, .steps = 4, .seed = 1};
    check(omma_curve_measure(a, &c, h->map, s->in, 2, &how, &err), &err);
    return c.auc / h->f;
}

/* --- tests --------------------------------------------------------------------------------------
 */

static void measures(void **state) {
    static const char *const blind[] = {"deletion AUC of a random map",
                                        "deletion AUC of the centre"};
    char picture[4096];
    subject s;
    omma_error err;
    omma_attribution *a;
    omma_heat h, b;
    omma_pointing p;
    omma_infidelity q;
    omma_sensitivity v;
    omma_cascade c;
    (void)state;
    if (!*model_path || SANITIZED) skip();
    picture_path(picture, sizeof picture, 0);
    omma_json *report = look(picture, "--unit answer:0");
    const omma_json *x = heat(report, "attribution");
    assert_true(text_is(x, "method", "occlusion"));
    open_subject(&s, picture);
    const omma_attribution_how how = windows();
    check(omma_attribution_new(&a, s.model->graph, "model", &s.thing, 0, NULL, &err), &err);
    check(omma_attribution_run(a, &h, s.in, 2, &how, &s.arena, &err), &err);
    same(x, "deletion AUC", curve(&s, a, &h, false));
    same(x, "insertion AUC", curve(&s, a, &h, true));
    for (int k = 0; k < 2; k++) {
        const omma_attribution_how of = {.method = k ? OMMA_METHOD_CENTRE : OMMA_METHOD_RANDOM,
                                         .seed = 1};
        check(omma_attribution_run(a, &b, s.in, 2, &of, &s.arena, &err), &err);
        same(x, blind[k], curve(&s, a, &b, false));
    }
    check(omma_pointing_box(&p, h.map, SIDE, SIDE, s.box, 0, &err), &err);
    same(x, "pointing", p.hit);
    same(x, "inside the box", 100 * p.share);
    check(omma_infidelity_measure(a, &q, &h, s.in, 2,
                                  &(omma_infidelity_how){.samples = 8, .seed = 1}, &err),
          &err);
    same(x, "infidelity", q.rest);
    check(omma_sensitivity_measure(a, &v, &how, s.in, 2,
                                   &(omma_sensitivity_how){.samples = 1, .seed = 1}, &err),
          &err);
    same(x, "max sensitivity", v.max);
    /* of the graph that the report's is of: what is folded there is shuffled as one */
    check(omma_cascade_measure(&c, s.model->graph, "model", &s.thing, 0, s.in, 2, &how,
                               &(omma_cascade_how){.maps = 2, .seed = 1}, NULL, &s.arena, &err),
          &err);
    assert_true(number_of(x, "top layer random") > 0.8 && c.step[0].correlation > 0.8);
    assert_true(fabs(number_of(x, "all layers random")) < 0.7);
    omma_attribution_free(a);
    close_subject(&s);
    omma_json_free(report);
}

static void effective_field(void **state) {
    const char *const layer = "/model/encoder/input_proj.0/conv/Conv_output_0";
    char picture[4096], unit[256];
    subject s;
    omma_error err;
    omma_effective *e;
    omma_effective_measures m;
    (void)state;
    if (!*model_path) skip();
    picture_path(picture, sizeof picture, 0);
    snprintf(unit, sizeof unit, "--unit 'cell:%s:7,12'", layer);
    omma_json *report = look(picture, unit);
    const omma_json *x = heat(report, "effective");
    assert_true(text_is(x, "method", "default"));
    open_subject(&s, picture);
    const omma_effective_what what = {.unit = {.value = layer, .y = 7, .x = 12}, .seed = 1};
    check(omma_effective_new(&e, s.model->graph, "model", &what, NULL, &err), &err);
    check(omma_effective_add(e, s.in, 2, &err), &err);
    check(omma_effective_measure(e, OMMA_SCALE_RAW, &m, &err), &err);
    same(x, "R50", m.is.radius[OMMA_SHARE_50]);
    same(x, "R95", m.is.radius[OMMA_SHARE_95]);
    same(x, "sigma", m.is.sigma);
    same(x, "area of 50 %", 100 * m.is.area[OMMA_SHARE_50]);
    same(x, "area of 95 %", 100 * m.is.area[OMMA_SHARE_95]);
    same(x, "effective ÷ structural", 100 * m.ratio);
    assert_true(number_of(x, "R50") > 5 && number_of(x, "R95") < 150);
    omma_effective_free(e);
    close_subject(&s);
    omma_json_free(report);
}

/* Rank correlations of the default map (16 windows: by chance +-0.26 each) with that of models of
 * random weights, over pictures. Seen: -0.08 of all layers, 0.98 of the top one alone; a map of
 * edges, which looks at no weight, has 1. */
static void random_weights(void **state) {
    double all = 0, top = 0;
    (void)state;
    if (!*model_path || SANITIZED) skip();
    for (int i = 0; i < PICTURES; i++) {
        char picture[4096];
        picture_path(picture, sizeof picture, i);
        omma_json *report = look(picture, "--unit answer:0");
        all += number_of(heat(report, "attribution"), "all layers random") / PICTURES;
        top += number_of(heat(report, "attribution"), "top layer random") / PICTURES;
        omma_json_free(report);
    }
    print_message("rank correlation: all layers random %.3f, top layer %.3f\n", all, top);
    assert_true(fabs(all) < 0.3 && top > 0.8);
    char picture[4096];
    picture_path(picture, sizeof picture, 0);
    omma_json *report = look(picture, "--unit answer:0 --attribute edges");
    assert_true(number_of(heat(report, "attribution"), "all layers random") > 0.999);
    omma_json_free(report);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(measures),
        cmocka_unit_test(effective_field),
        cmocka_unit_test(random_weights),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}

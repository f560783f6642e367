/* test_attribution_deimv2.c - attributions of a whole detector, DEIMv2-Atto on photographs of
 * OMMA_SHARED: the score that a sorted list begins with has a true gradient, and the default
 * attribution beats maps that know nothing of the model. Skipped without the files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>
#include <math.h>
#include <string.h>

#include "field/chance.h"
#include "field/faithfulness.h"
#include "model/model.h"
#include "shared.h"
#include "task/detector.h"

#ifdef __SANITIZE_ADDRESS__
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

enum { SIDE = 320, SIZE = 3 * SIDE * SIDE, IMAGES = 5 };

typedef struct subject {
    omma_detector *detector;
    omma_model *model;
    omma_attribution *score;
    omma_image img[IMAGES];
    omma_tensor in[2];
    int64_t size[2];
} subject;

static int is_picture(const struct dirent *e) { return omma_image_is_picture_name(e->d_name); }

static bool load_images(subject *s, const char *folder) {
    struct dirent **list;
    char path[4096];
    omma_error err;
    const int n = scandir(folder, &list, is_picture, alphasort);
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, list[i]->d_name);
        if (i < IMAGES && omma_image_load(&s->img[i], path, &err)) fail_msg("%s", err.message);
        free(list[i]);
    }
    if (n >= 0) free(list);
    return n >= IMAGES;
}

static int set_up(void **state) {
    char model[2048], folder[2048];
    omma_error err;
    const omma_options one = {.threads = 1};
    const omma_target t = {.value = "scores"};
    if (!shared_path(model, sizeof model, "models/deimv2_atto/deimv2_hgnetv2_atto_coco.onnx") ||
        !shared_path(folder, sizeof folder, "data/coco128/train2017"))
        return 0;
    subject *s = test_calloc(1, sizeof *s);
    if (!load_images(s, folder) || omma_detector_new(&s->detector, model, &one, &err) ||
        omma_model_open(&s->model, model, &one, &err) ||
        omma_attribution_new(&s->score, s->model->graph, "model", &t, 0, &one, &err))
        fail_msg("%s", err.message);
    *state = s;
    return 0;
}

static int tear_down(void **state) {
    subject *s = *state;
    if (!s) return 0;
    for (int i = 0; i < IMAGES; i++) omma_image_free(&s->img[i]);
    omma_attribution_free(s->score);
    omma_model_free(s->model);
    omma_detector_free(s->detector);
    test_free(s);
    return 0;
}

/* The inputs for picture i; the size it is said to be of is always the input's. */
static void feed(subject *s, int i) {
    omma_error err;
    if (omma_detector_feed(s->detector, s->in, s->size, &s->img[i], &err))
        fail_msg("%s", err.message);
    assert_int_equal(omma_tensor_count(&s->in[0]), SIZE);
    s->size[0] = s->size[1] = SIDE;
}

/* --- the gradient of a sorted list's first -------------------------------------------------------
 */

/* f along a way uphill, against the gradient. Steps are small: the detector takes its queries from
 * sorted lists too, and f jumps where another one is taken. */
static void first_score(void **state) {
    enum { WAYS = 4 };
    const double step = 2e-4;
    subject *s = *state;
    omma_error err;
    omma_arena arena;
    omma_heat h;
    if (!s) skip();
    omma_arena_init(&arena, NULL);
    feed(s, 0);
    float *x = s->in[0].data, *old = omma_arena_array(&arena, SIZE, sizeof *old);
    memcpy(old, x, SIZE * sizeof *old);
    const omma_attribution_how how = {.method = OMMA_METHOD_GRADIENT};
    if (omma_attribution_run(s->score, &h, s->in, 2, &how, &arena, &err))
        fail_msg("%s", err.message);
    assert_true(h.f > 0.2 && h.f < 1);
    for (int k = 0; k < WAYS; k++) {
        double slope = 0, length = 0, f[2];
        for (int i = 0; i < SIZE; i++) {
            const double d = h.element[i] * (0.5 + omma_chance(1, k, i));
            slope += d * h.element[i], length += d * d;
        }
        for (int side = 0; side < 2; side++) {
            for (int i = 0; i < SIZE; i++) {
                const double d = h.element[i] * (0.5 + omma_chance(1, k, i)) / sqrt(length);
                x[i] = (float)(old[i] + (side ? step : -step) * d);
            }
            if (omma_attribution_value(s->score, &f[side], s->in, 2, &err))
                fail_msg("%s", err.message);
        }
        const double found = (f[1] - f[0]) / (2 * step), want = slope / sqrt(length);
        if (!(fabs(found / want - 1) < 0.01)) fail_msg("%g, the gradient says %g", found, want);
    }
    omma_arena_free(&arena);
}

/* --- the default beats blind maps ----------------------------------------------------------------
 */

/* The area under deletion, as a share of the target. */
static double deletion(subject *s, omma_attribution *a, omma_method m) {
    omma_error err;
    omma_arena arena;
    omma_heat h;
    omma_curve c;
    omma_arena_init(&arena, NULL);
    if (omma_attribution_run(a, &h, s->in, 2, &(omma_attribution_how){.method = m, .seed = 1},
                             &arena, &err) ||
        omma_curve_measure(a, &c, h.map, s->in, 2, &(omma_curve_how){.steps = 20}, &err))
        fail_msg("%s", err.message);
    omma_arena_free(&arena);
    return c.auc / h.f;
}

static void default_beats_random_maps(void **state) {
    static const omma_method methods[] = {OMMA_METHOD_DEFAULT, OMMA_METHOD_RANDOM,
                                          OMMA_METHOD_CENTRE};
    subject *s = *state;
    double mean[3] = {0};
    if (!s || SANITIZED) skip(); /* minutes under a sanitizer, and first_score goes the same way */
    for (int i = 0; i < IMAGES; i++) {
        feed(s, i);
        for (int k = 0; k < 3; k++) mean[k] += deletion(s, s->score, methods[k]) / IMAGES;
    }
    print_message("deletion: %s %.3f, random %.3f, centre %.3f\n",
                  omma_method_name(OMMA_METHOD_DEFAULT), mean[0], mean[1], mean[2]);
    /* against the centre a few pictures say nothing: bench_faithfulness takes fifty */
    assert_true(mean[0] < mean[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_score),
        cmocka_unit_test(default_beats_random_maps),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

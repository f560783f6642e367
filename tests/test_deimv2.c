/* test_deimv2.c - DEIMv2-Atto against onnxruntime's outputs on exact 320 x 320 pictures.
 * Every detection with a score above 0.3 must have the reference's label, its score within
 * 1e-3 and its box within 0.5 px; all 300 rows are compared and the differences printed.
 * Needs OMMA_SHARED/models/deimv2_atto. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "file/image.h"
#include "file/json.h"
#include "shared.h"

enum { SIDE = 320, ROWS = 300 };

static omma_model *model;
static omma_session *session;
static int have;

typedef struct reference {
    int64_t size[2], labels[ROWS];
    double scores[ROWS], boxes[ROWS][4];
} reference;

static void read_reference(reference *r, const char *path) {
    omma_error err;
    omma_json *root;
    if (omma_json_read(&root, path, 1 << 20, &err)) fail_msg("%s", err.message);
    const omma_json *labels = omma_json_get(root, "labels"),
                    *scores = omma_json_get(root, "scores");
    const omma_json *boxes = omma_json_get(root, "boxes_xyxy"),
                    *size = omma_json_get(root, "orig_target_sizes_WH");
    assert_int_equal(omma_json_count(labels), ROWS);
    for (size_t i = 0; i < 2; i++)
        assert_true(omma_json_as_int(omma_json_at(size, i), &r->size[i]));
    for (size_t i = 0; i < ROWS; i++) {
        assert_true(omma_json_as_int(omma_json_at(labels, i), &r->labels[i]));
        assert_true(omma_json_as_double(omma_json_at(scores, i), &r->scores[i]));
        for (size_t k = 0; k < 4; k++)
            assert_true(
                omma_json_as_double(omma_json_at(omma_json_at(boxes, i), k), &r->boxes[i][k]));
    }
    omma_json_free(root);
}

static void run_picture(const char *path, const int64_t *size) {
    static float planes[3 * SIDE * SIDE];
    omma_error err;
    omma_image img;
    if (omma_image_load(&img, path, &err)) fail_msg("%s", err.message);
    assert_int_equal(img.width, SIDE);
    assert_int_equal(img.height, SIDE);
    for (int i = 0; i < SIDE * SIDE; i++)
        for (int c = 0; c < 3; c++)
            planes[c * SIDE * SIDE + i] = (float)img.rgb[i * 3 + c] / 255.0f;
    omma_image_free(&img);
    int64_t wh[2] = {size[0], size[1]};
    const omma_tensor in[2] = {{OMMA_F32, 4, {1, 3, SIDE, SIDE}, planes},
                               {OMMA_I64, 2, {1, 2}, wh}};
    if (omma_session_run(session, in, 2, &err)) fail_msg("%s", err.message);
}

/* The row of ours that stands for reference row i: the same label, nearest in score and box,
 * since rows of nearly equal score may change places. */
static int match(const reference *r, int i, const int64_t *labels, const float *scores,
                 const float *boxes) {
    int best = -1;
    double least = INFINITY;
    for (int k = 0; k < ROWS; k++) {
        if (labels[k] != r->labels[i]) continue;
        double d = fabs((double)scores[k] - r->scores[i]) * 1000;
        for (int c = 0; c < 4; c++) d += fabs((double)boxes[k * 4 + c] - r->boxes[i][c]);
        if (d < least) least = d, best = k;
    }
    return best;
}

static void compare(const char *name, const reference *r) {
    const int64_t *labels = omma_session_output(session, 0)->data;
    const float *boxes = omma_session_output(session, 1)->data,
                *scores = omma_session_output(session, 2)->data;
    double score_max = 0, box_max = 0, score_sure = 0, box_sure = 0;
    int in_place = 0, sure = 0, found = 0;
    for (int i = 0; i < ROWS; i++) {
        int k = match(r, i, labels, scores, boxes);
        if (k < 0) {
            assert_true(r->scores[i] <= 0.3);
            continue;
        }
        double ds = fabs((double)scores[k] - r->scores[i]), db = 0;
        for (int c = 0; c < 4; c++) db = fmax(db, fabs((double)boxes[k * 4 + c] - r->boxes[i][c]));
        found += ds <= 1e-3 && db <= 0.5;
        in_place += k == i;
        score_max = fmax(score_max, ds), box_max = fmax(box_max, db);
        if (r->scores[i] > 0.3)
            sure++, score_sure = fmax(score_sure, ds), box_sure = fmax(box_sure, db);
    }
    print_message(
        "%s: above 0.3: %d rows, score within %.2g, box within %.2g px; all 300: %d within the "
        "same bounds, %d in the same row, score within %.2g, box within %.2g px\n",
        name, sure, score_sure, box_sure, found, in_place, score_max, box_max);
    assert_true(sure > 0);
    assert_true(score_sure <= 1e-3);
    assert_true(box_sure <= 0.5);
    assert_true(found >=
                ROWS - 3); /* at the very end of the list the cut among equals may differ */
}

static void picture(const char *name) {
    char path[1024], file[128];
    reference r;
    if (!have) {
        print_message("SKIPPED: no shared/models/deimv2_atto\n");
        skip();
    }
    snprintf(file, sizeof file, "models/deimv2_atto/reference/%s_ort.json", name);
    shared_path(path, sizeof path, file);
    read_reference(&r, path);
    snprintf(file, sizeof file, "models/deimv2_atto/reference/%s_320.png", name);
    shared_path(path, sizeof path, file);
    run_picture(path, r.size);
    compare(name, &r);
}

static void astronaut(void **s) { (void)s, picture("astronaut"); }
static void chelsea(void **s) { (void)s, picture("chelsea"); }
static void coffee(void **s) { (void)s, picture("coffee"); }
static void rocket(void **s) { (void)s, picture("rocket"); }

/* The same bits whatever the number of threads, and watched or not. */
static void same_bits(void **state) {
    (void)state;
    if (!have) skip();
    omma_error err;
    float first[3][ROWS * 4];
    char path[1024];
    const char *watch[] = {NULL, NULL, NULL, NULL,
                           "/model/decoder/decoder/layers.0/self_attn/Softmax_output_0"};
    shared_path(path, sizeof path, "models/deimv2_atto/reference/coffee_320.png");
    omma_session *usual = session;
    for (int i = 0; i < 5; i++) {
        const int threads[] = {1, 2, 3, 8, 2};
        omma_options opt = {.threads = threads[i]};
        assert_int_equal(omma_session_new(&session, model, &opt, &err), OMMA_OK);
        if (watch[i]) assert_int_equal(omma_session_watch(session, watch[i], &err), OMMA_OK);
        run_picture(path, (int64_t[]){600, 400});
        for (int k = 0; k < 3; k++) {
            const omma_tensor *t = omma_session_output(session, k);
            size_t bytes = (size_t)omma_tensor_count(t) * omma_dtype_size(t->dtype);
            if (i == 0) memcpy(first[k], t->data, bytes);
            assert_memory_equal(first[k], t->data, bytes);
        }
        omma_session_free(session);
    }
    session = usual;
}

static int open_model(void **state) {
    (void)state;
    char path[1024];
    omma_error err;
    have = shared_path(path, sizeof path, "models/deimv2_atto/deimv2_hgnetv2_atto_coco.onnx");
    if (!have) return 0;
    if (omma_model_open(&model, path, NULL, &err) ||
        omma_session_new(&session, model, NULL, &err)) {
        print_message("%s\n", err.message);
        return -1;
    }
    return 0;
}

static int close_model(void **state) {
    (void)state;
    omma_session_free(session);
    omma_model_free(model);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(astronaut), cmocka_unit_test(chelsea),
                                       cmocka_unit_test(coffee), cmocka_unit_test(rocket),
                                       cmocka_unit_test(same_bits)};
    return cmocka_run_group_tests(tests, open_model, close_model);
}

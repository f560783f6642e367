/* test_eval.c - COCO files and the evaluation of boxes: the numbers pycocotools and Padilla's
 * evaluator publish for their own examples, cases small enough to work out by hand, and
 * hostile files. The published examples lie in the folder OMMA_SHARED (default ../shared
 * beside the tree); their tests are skipped without it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "learn/eval_boxes.h"

#ifdef __SANITIZE_ADDRESS__
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

/* The path of a shared file; skips the test, saying why, when it is not there. */
static const char *shared(char *path, size_t size, const char *name) {
    const char *base = getenv("OMMA_SHARED");
    snprintf(path, size, "%s/%s", base ? base : OMMA_TREE "/../shared", name);
    if (access(path, R_OK)) {
        print_message("skipped: %s is not there; set OMMA_SHARED\n", path);
        skip();
    }
    return path;
}

/* A data set, results and how they compare. */
typedef struct trial {
    omma_coco truth;
    omma_coco_results found;
    omma_eval eval;
} trial;

static void trial_free(trial *t) {
    omma_eval_free(&t->eval);
    omma_coco_results_free(&t->found);
    omma_coco_free(&t->truth);
}

/* Parse from a copy of the exact size, so that a sanitizer sees reads past the end. */
static omma_status parse_truth(omma_coco *out, const char *text, size_t size, omma_error *err) {
    char *p = malloc(size ? size : 1);
    assert_non_null(p);
    memcpy(p, text, size);
    omma_status status = omma_coco_parse(out, p, size, "gt.json", NULL, err);
    free(p);
    return status;
}

static omma_status parse_found(omma_coco_results *out, const omma_coco *truth, const char *text,
                               size_t size, omma_error *err) {
    char *p = malloc(size ? size : 1);
    assert_non_null(p);
    memcpy(p, text, size);
    omma_status status = omma_coco_results_parse(out, truth, p, size, "dt.json", NULL, err);
    free(p);
    return status;
}

static void trial_parse(trial *t, const char *truth, const char *found) {
    omma_error err;
    memset(t, 0, sizeof *t);
    if (parse_truth(&t->truth, truth, strlen(truth), &err)) fail_msg("%s", err.message);
    if (parse_found(&t->found, &t->truth, found, strlen(found), &err)) fail_msg("%s", err.message);
}

static void trial_coco(trial *t, const char *truth, const char *found) {
    trial_parse(t, truth, found);
    assert_int_equal(omma_eval_coco(&t->eval, &t->truth, &t->found, 0, NULL, NULL), OMMA_OK);
}

static void assert_near(double value, double want, double bound) {
    if (!(value - want < bound && want - value < bound)) fail_msg("%.10g, not %.10g", value, want);
}

/* --- published numbers --------------------------------------------------------- */

static void check_published(const char *truth, const char *found, const double *want,
                            double bound) {
    char a[512], b[512];
    trial t = {.eval = {.n_classes = 0}};
    omma_error err;
    if (omma_coco_read(&t.truth, shared(a, sizeof a, truth), NULL, &err) ||
        omma_coco_results_read(&t.found, &t.truth, shared(b, sizeof b, found), NULL, &err) ||
        omma_eval_coco(&t.eval, &t.truth, &t.found, 0, NULL, &err))
        fail_msg("%s", err.message);
    for (int i = 0; i < OMMA_EVAL_LINES; i++) assert_near(t.eval.lines[i], want[i], bound);
    trial_free(&t);
}

/* cocoapi, PythonAPI/pycocoEvalDemo: its own example of 100 images. */
static void test_cocoapi(void **state) {
    (void)state;
    static const double want[] = {.505, .697, .573, .586, .519, .501,
                                  .387, .594, .595, .640, .566, .564};
    check_published("eval/cocoapi_100/instances_val2014_100.json",
                    "eval/cocoapi_100/instances_val2014_fakebbox100_results.json", want, .0005);
}

/* rafaelpadilla, tests/test_eval_coco.py: the same with areas of boxes, not outlines. */
static void test_padilla_coco(void **state) {
    (void)state;
    static const double want[] = {.503647, .696973, .571667, .593252, .557991, .489363,
                                  .386813, .593680, .595353, .654764, .603130, .553744};
    check_published("eval/padilla/tests/test_coco_eval/gts/sampled_gts_bbox_area.json",
                    "eval/padilla/tests/test_coco_eval/cocoapi_results.json", want, 1e-6);
}

static void put(omma_json_writer *w, const char *key, int64_t value) {
    omma_json_key(w, key);
    omma_json_put_int(w, value);
}

/* Copy Padilla's text files 00001.txt ... 00007.txt, "class [score] x y w h" a line, as
 * COCO records into the open array. */
static void put_texts(omma_json_writer *w, const char *folder, bool scored) {
    int64_t id = 0;
    for (int image = 1; image <= 7; image++) {
        char name[128], path[512], line[128];
        snprintf(name, sizeof name, "eval/padilla/tests/test_case_1/%s/%05d.txt", folder, image);
        FILE *f = fopen(shared(path, sizeof path, name), "r");
        assert_non_null(f);
        while (fgets(line, sizeof line, f)) {
            char *p = strchr(line, ' ');
            if (!p) continue;
            double score = scored ? strtod(p, &p) : 0;
            omma_json_begin_object(w);
            put(w, "id", ++id);
            put(w, "image_id", image);
            put(w, "category_id", 1);
            put(w, "area", 1);
            omma_json_key(w, "score");
            omma_json_put_double(w, score);
            omma_json_key(w, "bbox");
            omma_json_begin_array(w);
            for (int i = 0; i < 4; i++) omma_json_put_double(w, strtod(p, &p));
            omma_json_end_array(w);
            omma_json_end_object(w);
        }
        fclose(f);
    }
}

static void read_padilla_voc(trial *t) {
    omma_json_writer truth, found;
    omma_json_writer_memory(&truth, false);
    omma_json_begin_object(&truth);
    omma_json_key(&truth, "categories");
    omma_json_begin_array(&truth);
    omma_json_begin_object(&truth);
    put(&truth, "id", 1);
    omma_json_end_object(&truth);
    omma_json_end_array(&truth);
    omma_json_key(&truth, "images");
    omma_json_begin_array(&truth);
    for (int i = 1; i <= 7; i++) {
        omma_json_begin_object(&truth);
        put(&truth, "id", i);
        omma_json_end_object(&truth);
    }
    omma_json_end_array(&truth);
    omma_json_key(&truth, "annotations");
    omma_json_begin_array(&truth);
    put_texts(&truth, "gts", false);
    omma_json_end_array(&truth);
    omma_json_end_object(&truth);
    omma_json_writer_memory(&found, true);
    omma_json_begin_array(&found);
    put_texts(&found, "dets", true);
    omma_json_end_array(&found);
    assert_int_equal(omma_json_writer_end(&truth, NULL), OMMA_OK);
    assert_int_equal(omma_json_writer_end(&found, NULL), OMMA_OK);
    trial_parse(t, truth.text, found.text);
    omma_json_writer_free(&truth);
    omma_json_writer_free(&found);
}

/* rafaelpadilla, tests/test_eval_pascal.py, every number of it. */
static void test_padilla_voc(void **state) {
    (void)state;
    static const struct {
        double iou, every, eleven;
    } want[] = {{.1, .3371980676, .3333333333},
                {.3, .2456866804, .2683982683},
                {.5, .0222222222, .0303030303},
                {.75, 0, 0}};
    trial t;
    char path[512];
    shared(path, sizeof path, "eval/padilla/tests/test_case_1/gts/00001.txt");
    read_padilla_voc(&t);
    assert_int_equal(t.truth.n_boxes, 15);
    assert_int_equal(t.found.count, 24);
    for (int i = 0; i < 4; i++) {
        omma_eval e;
        assert_int_equal(omma_eval_voc(&e, &t.truth, &t.found, want[i].iou, false, NULL, NULL), 0);
        assert_near(e.lines[0], want[i].every, 1e-10);
        assert_near(e.classes[0].ap, want[i].every, 1e-10);
        omma_eval_free(&e);
        assert_int_equal(omma_eval_voc(&e, &t.truth, &t.found, want[i].iou, true, NULL, NULL), 0);
        assert_near(e.lines[0], want[i].eleven, 1e-10);
        omma_eval_free(&e);
    }
    trial_free(&t);
}

/* --- by hand -------------------------------------------------------------------- */

enum {
    AP,
    AP50,
    AP75,
    AP_SMALL,
    AP_MEDIUM,
    AP_LARGE,
    AR1,
    AR10,
    AR100,
    AR_SMALL,
    AR_MEDIUM,
    AR_LARGE
};

#define HEAD                                                                                    \
    "{\"images\":[{\"id\":7,\"width\":640,\"height\":480,\"file_name\":\"a.jpg\"},"             \
    "{\"id\":3}],\"categories\":[{\"id\":18,\"name\":\"dog\"},{\"id\":1,\"name\":\"person\"}]," \
    "\"annotations\":["
#define TAIL "]}"
#define BOX(id, image, category, x, y, w, h, area, crowd)                                        \
    "{\"id\":" #id ",\"image_id\":" #image ",\"category_id\":" #category ",\"bbox\":[" #x "," #y \
    "," #w "," #h "],\"area\":" #area ",\"iscrowd\":" #crowd ",\"segmentation\":[[1,2,3,4.5]]}"
#define FOUND(image, category, x, y, w, h, score)                                               \
    "{\"image_id\":" #image ",\"category_id\":" #category ",\"bbox\":[" #x "," #y "," #w "," #h \
    "],\"score\":" #score "}"

static void test_perfect(void **state) {
    (void)state;
    trial t;
    trial_coco(&t,
               HEAD BOX(1, 7, 1, 0, 0, 10, 10, 100, 0) "," BOX(2, 3, 1, 5, 5, 50, 50, 2500, 0) TAIL,
               "[" FOUND(3, 1, 5, 5, 50, 50, 0.5) "," FOUND(7, 1, 0, 0, 10, 10, 0.9) "]");
    for (int i = 0; i < OMMA_EVAL_LINES; i++)
        assert_near(t.eval.lines[i], i == AP_LARGE || i == AR_LARGE ? -1 : 1, 1e-12);
    assert_int_equal(t.truth.images[0].id, 3); /* by id */
    assert_int_equal(t.truth.images[1].first, 1);
    assert_string_equal(t.truth.images[1].file_name, "a.jpg");
    assert_int_equal(t.eval.classes[0].truths, 2); /* category 1 */
    assert_int_equal(t.eval.classes[0].hits, 2);
    assert_near(t.eval.classes[1].ap, -1, 1e-12);
    trial_free(&t);
}

static void test_miss(void **state) {
    (void)state;
    trial t;
    trial_coco(&t, HEAD BOX(1, 7, 1, 0, 0, 200, 100, 20000, 0) TAIL,
               "[" FOUND(7, 1, 300, 0, 200, 100, 0.9) "," FOUND(
                   3, 1, 0, 0, 200, 100, 0.9) "," FOUND(7, 18, 0, 0, 200, 100, 0.9) "]");
    assert_near(t.eval.lines[AP], 0, 1e-12);
    assert_near(t.eval.lines[AR100], 0, 1e-12);
    assert_near(t.eval.lines[AP_LARGE], 0, 1e-12);
    assert_near(t.eval.lines[AP_SMALL], -1, 1e-12);
    assert_int_equal(t.eval.classes[0].misfires, 2);
    trial_free(&t);
}

/* IoU 0.6: found at .50, .55 and .60, so AP is 3/10. */
static void test_thresholds(void **state) {
    (void)state;
    trial t;
    trial_coco(&t, HEAD BOX(1, 7, 1, 0, 0, 10, 10, 100, 0) TAIL,
               "[" FOUND(7, 1, 0, 0, 10, 6, 0.9) "]");
    assert_near(t.eval.lines[AP], .3, 1e-12);
    assert_near(t.eval.lines[AP50], 1, 1e-12);
    assert_near(t.eval.lines[AP75], 0, 1e-12);
    omma_eval e;
    assert_int_equal(omma_eval_coco(&e, &t.truth, &t.found, .6, NULL, NULL), OMMA_OK);
    assert_near(e.lines[AP], 1, 1e-12);
    assert_near(e.lines[AP50], -1, 1e-12);
    omma_eval_free(&e);
    assert_int_equal(omma_eval_coco(&e, &t.truth, &t.found, .61, NULL, NULL), OMMA_OK);
    assert_near(e.lines[AP], 0, 1e-12);
    omma_eval_free(&e);
    assert_int_equal(omma_eval_coco(&e, &t.truth, &t.found, 1.5, NULL, NULL), OMMA_E_USAGE);
    assert_int_equal(omma_eval_coco(&e, &t.truth, &t.found, -1, NULL, NULL), OMMA_E_USAGE);
    trial_free(&t);
}

/* Boxes inside a crowd are neither right nor wrong, however many. */
static void test_crowd(void **state) {
    (void)state;
    trial t;
    trial_coco(
        &t, HEAD BOX(1, 7, 1, 0, 0, 10, 10, 100, 0) "," BOX(2, 7, 1, 100, 0, 300, 300, 9, 1) TAIL,
        "[" FOUND(7, 1, 110, 10, 20, 20, 0.9) "," FOUND(7, 1, 150, 10, 20, 20, 0.8) "," FOUND(
            7, 1, 0, 0, 10, 10, 0.1) "]");
    assert_near(t.eval.lines[AP], 1, 1e-12);
    assert_int_equal(t.eval.classes[0].crowds, 1);
    assert_int_equal(t.eval.classes[0].truths, 1);
    assert_int_equal(t.eval.classes[0].misfires, 0);
    omma_eval e; /* VOC's rule compares with the whole of the difficult box */
    assert_int_equal(omma_eval_voc(&e, &t.truth, &t.found, .5, false, NULL, NULL), OMMA_OK);
    assert_near(e.lines[0], 1. / 3, 1e-12);
    omma_eval_free(&e);
    trial_free(&t);
}

/* Equal scores keep the file's order: right before wrong, then wrong before right. */
static void test_ties(void **state) {
    (void)state;
    trial t;
    trial_coco(&t, HEAD BOX(1, 7, 1, 0, 0, 10, 10, 100, 0) TAIL,
               "[" FOUND(7, 1, 0, 0, 10, 10, 0.5) "," FOUND(7, 1, 50, 0, 10, 10, 0.5) "]");
    assert_near(t.eval.lines[AP], 1, 1e-12);
    trial_free(&t);
    trial_coco(&t, HEAD BOX(1, 7, 1, 0, 0, 10, 10, 100, 0) TAIL,
               "[" FOUND(7, 1, 50, 0, 10, 10, 0.5) "," FOUND(7, 1, 0, 0, 10, 10, 0.5) "]");
    assert_near(t.eval.lines[AP], .5, 1e-12);
    assert_near(t.eval.lines[AR1], 0, 1e-12);
    assert_near(t.eval.lines[AR10], 1, 1e-12);
    trial_free(&t);
}

/* One box to find, the right one the surest but `before`. */
static void check_max_dets(int before, double ar1, double ar10, double ar100) {
    omma_json_writer w;
    trial t;
    omma_json_writer_memory(&w, false);
    omma_json_begin_array(&w);
    omma_coco_result_write(&w, 7, 1, (float[]){0, 0, 10, 10}, .5F);
    for (int i = 0; i < before; i++)
        omma_coco_result_write(&w, 7, 1, (float[]){500, 0, 10, 10}, .6F);
    omma_json_end_array(&w);
    assert_int_equal(omma_json_writer_end(&w, NULL), OMMA_OK);
    trial_coco(&t, HEAD BOX(1, 7, 1, 0, 0, 10, 10, 100, 0) TAIL, w.text);
    assert_near(t.eval.lines[AR1], ar1, 1e-12);
    assert_near(t.eval.lines[AR10], ar10, 1e-12);
    assert_near(t.eval.lines[AR100], ar100, 1e-12);
    assert_near(t.eval.lines[AP], ar100 / (before + 1), 1e-12);
    trial_free(&t);
    omma_json_writer_free(&w);
}

static void test_max_dets(void **state) {
    (void)state;
    check_max_dets(0, 1, 1, 1);
    check_max_dets(1, 0, 1, 1);
    check_max_dets(9, 0, 1, 1);
    check_max_dets(10, 0, 0, 1);
    check_max_dets(99, 0, 0, 1);
    check_max_dets(100, 0, 0, 0);
}

/* An area of exactly 32 * 32 is small and medium; the file's area decides, not the box. */
static void test_areas(void **state) {
    (void)state;
    trial t;
    trial_coco(&t, HEAD BOX(1, 7, 1, 0, 0, 100, 100, 1024, 0) TAIL,
               "[" FOUND(7, 1, 0, 0, 100, 100, 0.9) "]");
    assert_near(t.eval.lines[AP_SMALL], 1, 1e-12);
    assert_near(t.eval.lines[AP_MEDIUM], 1, 1e-12);
    assert_near(t.eval.lines[AP_LARGE], -1, 1e-12);
    trial_free(&t);
}

static void test_nothing(void **state) {
    (void)state;
    trial t;
    trial_coco(&t, HEAD BOX(1, 7, 1, 0, 0, 10, 10, 100, 0) TAIL, "[]");
    assert_near(t.eval.lines[AP], 0, 1e-12);
    assert_near(t.eval.lines[AR_SMALL], 0, 1e-12);
    assert_near(t.eval.lines[AR_LARGE], -1, 1e-12);
    trial_free(&t);
    trial_coco(&t, HEAD TAIL, "[" FOUND(7, 1, 0, 0, 10, 10, 0.9) "]");
    for (int i = 0; i < OMMA_EVAL_LINES; i++) assert_near(t.eval.lines[i], -1, 1e-12);
    omma_eval e;
    assert_int_equal(omma_eval_voc(&e, &t.truth, &t.found, .5, false, NULL, NULL), OMMA_OK);
    assert_near(e.lines[0], -1, 1e-12);
    omma_eval_free(&e);
    trial_free(&t);
    trial_coco(&t, "{\"annotations\":[],\"images\":[],\"categories\":[]}", "[]");
    assert_near(t.eval.lines[AP], -1, 1e-12);
    trial_free(&t);
}

static void test_unknown_category(void **state) {
    (void)state;
    trial t;
    trial_coco(&t, HEAD BOX(1, 7, 1, 0, 0, 10, 10, 100, 0) TAIL,
               "[" FOUND(7, 99, 0, 0, 10, 10, 0.9) "," FOUND(7, 1, 0, 0, 10, 10, 0.1) "]");
    assert_int_equal(t.found.unknown, 1);
    assert_near(t.eval.lines[AP], 1, 1e-12);
    trial_free(&t);
}

/* --- hostile files --------------------------------------------------------------- */

static const char small_truth[] =
    HEAD BOX(1, 7, 1, 0, 0, 10, 10, 100, 0) "," BOX(2, 3, 18, 1, 1, 9, 9, 81, 1) TAIL;
static const char small_found[] =
    "[" FOUND(7, 1, 0, 0, 10, 10, 0.5) "," FOUND(3, 18, 0, 0, 1e1, 9, -2) "]";

static void test_truncated(void **state) {
    (void)state;
    trial t;
    omma_error err;
    trial_parse(&t, small_truth, small_found);
    for (size_t n = 0; n < sizeof small_truth - 1; n++) {
        omma_coco c;
        assert_int_equal(parse_truth(&c, small_truth, n, &err), OMMA_E_FORMAT);
        assert_in_range(err.offset, 0, n);
        assert_int_equal(c.n_boxes, 0);
    }
    for (size_t n = 0; n < sizeof small_found - 1; n++) {
        omma_coco_results r;
        assert_int_equal(parse_found(&r, &t.truth, small_found, n, &err), OMMA_E_FORMAT);
        assert_in_range(err.offset, 0, n);
    }
    trial_free(&t);
}

/* Every byte replaced by each of a few: refused or evaluated, never worse. */
static void test_mutated(void **state) {
    (void)state;
    static const char bytes[] = "0 \"{}[],:.e-9n\\";
    char truth[sizeof small_truth];
    for (size_t at = 0; at < sizeof truth - 1; at++)
        for (size_t b = 0; b < sizeof bytes; b++) {
            trial t = {.eval = {.n_classes = 0}};
            memcpy(truth, small_truth, sizeof truth);
            truth[at] = bytes[b];
            if (!parse_truth(&t.truth, truth, sizeof truth - 1, NULL) &&
                !parse_found(&t.found, &t.truth, small_found, sizeof small_found - 1, NULL))
                omma_eval_coco(&t.eval, &t.truth, &t.found, 0, NULL, NULL);
            trial_free(&t);
        }
}

static void test_refused_truth(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"[]", "not a JSON object"},
        {"{}", "no 'images'"},
        {"{\"images\":[],\"categories\":[]}", "no 'annotations'"},
        {"{\"images\":{}}", "'images' is not an array"},
        {HEAD "5" TAIL, "element 0 is a number, not an object"},
        {HEAD "{}" TAIL, "element 0 of 'annotations': 'id' is not there"},
        {HEAD BOX(1, 8, 1, 0, 0, 1, 1, 1, 0) TAIL, "image 8, which the file does not have"},
        {HEAD BOX(1, 7, 2, 0, 0, 1, 1, 1, 0) TAIL, "category 2, which"},
        {HEAD BOX(1, "7", 1, 0, 0, 1, 1, 1, 0) TAIL, "'image_id' is a text; wanted an integer"},
        {HEAD BOX(1, 7.5, 1, 0, 0, 1, 1, 1, 0) TAIL, "'image_id' is a number; wanted an integer"},
        {HEAD BOX(1, 7, 1, 0, 0, 1, "1", 1, 0) TAIL, "'bbox' holds something else"},
        {HEAD "{\"id\":1,\"image_id\":7,\"category_id\":1,\"bbox\":[1,2,3]}" TAIL,
         "'bbox' has not 4 elements"},
        {HEAD BOX(1, 7, 1, 0, 0, 1, 1, null, 0) TAIL, "'area' is null; wanted a number"},
        {HEAD BOX(1, 7, 1, 0, 0, 1, 1, 1e999, 0) TAIL, "real number overflow"},
        {HEAD BOX(1, 7, 1, 0, 0, NaN, 1, 1, 0) TAIL, "NaN"},
        {HEAD BOX(1, 7, 1, 0, 0, 1, 1, 1, "x") TAIL, "'iscrowd' is a text"},
        {HEAD BOX(1, 7, 1, 0, 0, 1, 1, 1, 0) "," BOX(1, 3, 1, 0, 0, 1, 1, 1, 0) TAIL,
         "annotation 1 is there twice"},
        {"{\"images\":[{\"id\":1},{\"id\":1}],\"categories\":[],\"annotations\":[]}",
         "image 1 is there twice"},
        {"{\"images\":[],\"categories\":[{\"id\":1},{\"id\":1}],\"annotations\":[]}",
         "category 1 is there twice"},
        {"{\"images\":[{\"id\":1,\"width\":-1}]}", "'width' is out of range"},
        {"{\"images\":[{\"id\":1,\"file_name\":3}]}", "'file_name' is a number"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        omma_coco c;
        omma_error err;
        assert_int_equal(parse_truth(&c, bad[i].text, strlen(bad[i].text), &err), OMMA_E_FORMAT);
        if (!strstr(err.message, bad[i].says) || strcmp(err.file, "gt.json"))
            fail_msg("%s: %s", bad[i].text, err.message);
    }
}

static void test_refused_results(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"{}", "not a JSON array"},
        {"[" FOUND(7, 1, 0, 0, 1, 1, 0.5) "," FOUND(9, 1, 0, 0, 1, 1, 0.5) "]", "names image 9"},
        {"[{\"image_id\":7,\"category_id\":1,\"score\":1}]", "'bbox' is not there"},
        {"[{\"image_id\":7,\"category_id\":1,\"bbox\":[1,2,3,4]}]", "'score' is not there"},
        {"[" FOUND(7, 1, 0, 0, 1, 1, "1") "]", "'score' is a text; wanted a number"},
        {"[" FOUND(7, 1, 0, 0, 1, 1, -Infinity) "]", "infinity"},
        {"[[]]", "element 0 is an array, not an object"},
    };
    trial t;
    trial_parse(&t, small_truth, small_found);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        omma_coco_results r;
        omma_error err;
        assert_int_equal(parse_found(&r, &t.truth, bad[i].text, strlen(bad[i].text), &err),
                         OMMA_E_FORMAT);
        if (!strstr(err.message, bad[i].says)) fail_msg("%s: %s", bad[i].text, err.message);
        assert_true(err.offset >= 0);
    }
    trial_free(&t);
}

static omma_status whole_trial(trial *t) {
    memset(t, 0, sizeof *t);
    OMMA_TRY(parse_truth(&t->truth, small_truth, sizeof small_truth - 1, NULL));
    OMMA_TRY(parse_found(&t->found, &t->truth, small_found, sizeof small_found - 1, NULL));
    OMMA_TRY(omma_eval_voc(&t->eval, &t->truth, &t->found, .5, true, NULL, NULL));
    omma_eval_free(&t->eval);
    return omma_eval_coco(&t->eval, &t->truth, &t->found, 0, NULL, NULL);
}

/* Memory runs out at every allocation in turn: an error, and nothing leaks. */
static void test_no_memory(void **state) {
    (void)state;
    omma_status status = OMMA_E_NOMEM;
    for (uint64_t k = 1; status; k++) {
        trial t;
        omma_mem_fail_at(k);
        status = whole_trial(&t);
        omma_mem_fail_at(0);
        if (status) assert_int_equal(status, OMMA_E_NOMEM);
        trial_free(&t);
        assert_in_range(k, 1, 1000);
    }
}

/* --- size ------------------------------------------------------------------------- */

static void put_annotation(omma_json_writer *w, int id, int images) {
    omma_json_begin_object(w);
    omma_json_key(w, "segmentation");
    omma_json_begin_array(w);
    omma_json_begin_array(w);
    for (int i = 0; i < 40; i++) omma_json_put_float(w, (float)(id % 97 + i) + .25F);
    omma_json_end_array(w);
    omma_json_end_array(w);
    put(w, "area", 100);
    put(w, "iscrowd", 0);
    put(w, "image_id", id % images);
    omma_json_key(w, "bbox");
    omma_json_begin_array(w);
    for (int i = 0; i < 4; i++) omma_json_put_int(w, 10 + i);
    omma_json_end_array(w);
    put(w, "category_id", 1);
    put(w, "id", id);
    omma_json_end_object(w);
}

static void put_large(omma_json_writer *w, int boxes, int images) {
    omma_json_begin_object(w);
    omma_json_key(w, "annotations");
    omma_json_begin_array(w);
    for (int i = 0; i < boxes; i++) put_annotation(w, i, images);
    omma_json_end_array(w);
    omma_json_key(w, "images");
    omma_json_begin_array(w);
    for (int i = 0; i < images; i++) {
        omma_json_begin_object(w);
        put(w, "id", i);
        omma_json_end_object(w);
    }
    omma_json_end_array(w);
    omma_json_key(w, "categories");
    omma_json_begin_array(w);
    omma_json_begin_object(w);
    put(w, "id", 1);
    omma_json_end_object(w);
    omma_json_end_array(w);
    omma_json_end_object(w);
}

static long peak_kib(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

/* 10 MB of annotations: no more than 400 bytes a box are taken, and no tree is made. */
static void test_large(void **state) {
    (void)state;
    enum { BOXES = 30000, IMAGES = 3000 };
    omma_json_writer w;
    omma_budget budget = {0};
    omma_coco c;
    omma_json_writer_memory(&w, false);
    put_large(&w, BOXES, IMAGES);
    assert_int_equal(omma_json_writer_end(&w, NULL), OMMA_OK);
    assert_true(w.size > 9 << 20);
    long before = peak_kib();
    assert_int_equal(omma_coco_parse(&c, w.text, w.size, NULL, &budget, NULL), OMMA_OK);
    assert_in_range(budget.peak, 1, 400 * BOXES);
    if (!SANITIZED) assert_in_range(peak_kib() - before, 0, 12 << 10);
    assert_int_equal(c.n_boxes, BOXES);
    for (int64_t i = 0; i < c.n_images; i++)
        for (int64_t b = 0; b < c.images[i].count; b++) {
            assert_int_equal(c.boxes[c.images[i].first + b].image, i);
            assert_int_equal(c.boxes[c.images[i].first + b].id, i + b * IMAGES);
        }
    omma_coco_free(&c);
    assert_int_equal(budget.used, 0);
    budget.limit = 1 << 20;
    assert_int_equal(omma_coco_parse(&c, w.text, w.size, NULL, &budget, NULL), OMMA_E_NOMEM);
    assert_int_equal(budget.used, 0);
    omma_json_writer_free(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cocoapi),       cmocka_unit_test(test_padilla_coco),
        cmocka_unit_test(test_padilla_voc),   cmocka_unit_test(test_perfect),
        cmocka_unit_test(test_miss),          cmocka_unit_test(test_thresholds),
        cmocka_unit_test(test_crowd),         cmocka_unit_test(test_ties),
        cmocka_unit_test(test_max_dets),      cmocka_unit_test(test_areas),
        cmocka_unit_test(test_nothing),       cmocka_unit_test(test_unknown_category),
        cmocka_unit_test(test_truncated),     cmocka_unit_test(test_mutated),
        cmocka_unit_test(test_refused_truth), cmocka_unit_test(test_refused_results),
        cmocka_unit_test(test_no_memory),     cmocka_unit_test(test_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

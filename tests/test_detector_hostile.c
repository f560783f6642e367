/* test_detector_hostile.c - detectors that lie about what they give: the types and numbers that
 * a file declares for its outputs are not those its nodes make. Refused, and nothing is read
 * beyond its end (the sanitizer build sees to that). */
#define _DEFAULT_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "onnxmake.h"
#include "task/detector.h"

enum { SIDE = 8 };

/* One output: an input's sum, cast to `dtype`, expanded to these sizes. */
static void output(mk *g, const char *name, const char *from, omma_dtype dtype, const int64_t *dims,
                   int rank) {
    mk a = {0};
    char cast[16], sum[16], shape[16], in[40];
    snprintf(sum, sizeof sum, "%s_sum", name), snprintf(cast, sizeof cast, "%s_cast", name);
    snprintf(shape, sizeof shape, "%s_to", name);
    mk_ints(g, shape, dims, rank);
    mk_attr_int(&a, "keepdims", 0);
    mk_op(g, "ReduceSum", from, sum, &a);
    mk_attr_int(&a, "to", (int64_t)dtype);
    mk_op(g, "Cast", sum, cast, &a);
    snprintf(in, sizeof in, "%s,%s", cast, shape);
    mk_op(g, "Expand", in, name, NULL);
}

/* Run a detector whose labels, boxes and scores are of these types and number. */
static omma_status run(const omma_dtype *t, int64_t labels, int64_t boxes, int64_t scores,
                       omma_error *err) {
    mk g = {0};
    char path[64];
    mk_port(&g, MK_INPUT, "images", OMMA_F32, MK_DIMS(-1, 3, SIDE, SIDE));
    mk_port(&g, MK_INPUT, "sizes", OMMA_I64, MK_DIMS(-1, 2));
    output(&g, "labels", "sizes", t[0], (int64_t[]){1, labels}, 2);
    output(&g, "boxes", "images", t[1], (int64_t[]){1, boxes, 4}, 3);
    output(&g, "scores", "images", t[2], (int64_t[]){1, scores}, 2);
    mk_port(&g, MK_OUTPUT, "labels", OMMA_I64, MK_DIMS(-1, -1));
    mk_port(&g, MK_OUTPUT, "boxes", OMMA_F32, MK_DIMS(-1, -1, 4));
    mk_port(&g, MK_OUTPUT, "scores", OMMA_F32, MK_DIMS(-1, -1));
    mk m = mk_model(&g, 17);
    mk_write(path, &m);
    mk_free(&m);
    unsigned char rgb[3 * SIDE * SIDE] = {0};
    const omma_image img = {SIDE, SIDE, rgb};
    const omma_detection *found;
    int count = 0;
    omma_detector *d;
    omma_status s = omma_detector_new(&d, path, NULL, err);
    if (s) fail_msg("%s", err->message);
    s = omma_detector_run(d, &found, &count, &img, err);
    if (!s) assert_int_equal(count, labels);
    omma_detector_free(d);
    unlink(path);
    return s;
}

static void types(void **state) {
    (void)state;
    static const omma_dtype any[] = {OMMA_F32, OMMA_I64, OMMA_U8, OMMA_F64, OMMA_I32, OMMA_BOOL};
    const omma_dtype right[3] = {OMMA_I64, OMMA_F32, OMMA_F32};
    omma_error err;
    for (int which = 0; which < 3; which++)
        for (size_t i = 0; i < sizeof any / sizeof *any; i++) {
            omma_dtype t[3] = {right[0], right[1], right[2]};
            t[which] = any[i];
            omma_status s = run(t, 300, 300, 300, &err);
            if (s != (any[i] == right[which] ? OMMA_OK : OMMA_E_SHAPE))
                fail_msg("output %d of %s: status %d, '%s'", which, omma_dtype_name(any[i]), (int)s,
                         s ? err.message : "");
        }
}

static void counts(void **state) {
    (void)state;
    const omma_dtype right[3] = {OMMA_I64, OMMA_F32, OMMA_F32};
    omma_error err;
    assert_int_equal(run(right, 5, 5, 5, &err), OMMA_OK);
    assert_int_equal(run(right, 0, 0, 0, &err), OMMA_OK);
    assert_int_equal(run(right, 6, 5, 5, &err), OMMA_E_SHAPE);
    assert_int_equal(run(right, 5, 4, 5, &err), OMMA_E_SHAPE);
    assert_int_equal(run(right, 5, 5, 1, &err), OMMA_E_SHAPE);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(types), cmocka_unit_test(counts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

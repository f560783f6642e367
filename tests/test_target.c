/* test_target.c - what an attribution asks about: the numbers of targets against closed forms,
 * their seeds against differences, what is told when something is wrong. The models only lay the
 * picture's numbers out anew, so that a target's gradient by the picture is its seed. */
#include "attribmodel.h"

/* --- models ----------------------------------------------------------------------------------- */

/* The picture's numbers under other dims. */
static model *laid_out(int64_t h, int64_t w, const int64_t *dims, int rank) {
    model *m = begin(1, h, w);
    add_shape(m, "Reshape", dims, rank);
    fill(m);
    return m;
}

/* The gradient by the picture, by differences of the target. */
static void check_slope(model *m, omma_target t) {
    float *x = m->image.data;
    omma_attribution *a = asked(m, t);
    const omma_heat h = heated(a, m, (omma_attribution_how){.method = OMMA_METHOD_GRADIENT});
    assert_near(h.f, value_of(a, m), 0);
    double most = 0;
    for (int64_t i = 0; i < omma_tensor_count(&m->image); i++) {
        const float old = x[i], up = old + 0x1p-10f, down = old - 0x1p-10f;
        x[i] = up;
        const double above = value_of(a, m);
        x[i] = down;
        const double below = value_of(a, m);
        x[i] = old;
        assert_near(h.element[i], (above - below) / ((double)up - (double)down), 2e-5);
        assert_near(h.map[i], fabs(h.element[i]), 1e-12);
        most = fmax(most, h.map[i]);
    }
    assert_true(most > 0);
    omma_attribution_free(a);
}

/* --- numbers and sums ------------------------------------------------------------------------- */

static void elements(void **state) {
    (void)state;
    model *m = laid_out(3, 4, (int64_t[]){2, 3, 2}, 3);
    const float *x = m->image.data;
    const char *v = m->last->name;
    const omma_target one = {.value = v, .at = {1, 2, 0}}, row = {.value = v, .at = {0, -1, 1}};
    const omma_target_term terms[] = {{{0, 0, 1}, 2}, {{1, -1, 0}, -0.5}, {{0, 0, 1}, 1}};
    const omma_target sum = {.kind = OMMA_TARGET_SUM, .value = v, .term = terms, .n_terms = 3};
    assert_near(target_of(m, one), x[10], 0);
    assert_near(target_of(m, row), (double)x[1] + x[3] + x[5], 0);
    assert_near(target_of(m, sum), 3.0 * x[1] - 0.5 * ((double)x[6] + x[8] + x[10]), 1e-15);
    check_slope(m, one);
    check_slope(m, row);
    check_slope(m, sum);
    omma_attribution *a = asked(m, row);
    assert_string_equal(heated(a, m, (omma_attribution_how){.method = OMMA_METHOD_RANDOM}).target,
                        "layer0[0, :, 1]");
    omma_attribution_free(a);
    finish(m);
}

static void regions(void **state) {
    (void)state;
    static const unsigned char region[6] = {0, 1, 1, 0, 0, 9};
    model *m = laid_out(3, 4, (int64_t[]){1, 2, 2, 3}, 4);
    const float *x = m->image.data;
    const omma_target t = {.kind = OMMA_TARGET_REGION,
                           .value = m->last->name,
                           .at = {0, 1},
                           .region = region,
                           .region_h = 2,
                           .region_w = 3};
    assert_near(target_of(m, t), (double)x[7] + x[8] + x[11], 0);
    check_slope(m, t);
    finish(m);
}

static void cells(void **state) {
    (void)state;
    model *m = begin(3, 4, 5);
    const char *v = add_conv(m, (conv){3, 4, 3, 1, 1, 1, 0});
    fill(m);
    omma_target t = {
        .kind = OMMA_TARGET_CHANNEL, .value = v, .unit = {.y = 2, .x = 1}, .channel = 3};
    assert_near(target_of(m, t), target_of(m, (omma_target){.value = v, .at = {0, 3, 2, 1}}), 0);
    double square = 0;
    for (t.channel = 0; t.channel < 4; t.channel++) square += pow(target_of(m, t), 2);
    t.kind = OMMA_TARGET_NORM;
    assert_near(target_of(m, t), sqrt(square), 1e-12);
    finish(m);
    m = laid_out(3, 4, (int64_t[]){1, 4, 3}, 3);
    t = (omma_target){
        .kind = OMMA_TARGET_NORM, .value = m->last->name, .unit = {.by_token = true, .token = 2}};
    const float *x = m->image.data;
    assert_near(target_of(m, t),
                sqrt((double)x[6] * x[6] + (double)x[7] * x[7] + (double)x[8] * x[8]), 1e-7);
    check_slope(m, t);
    memset(m->image.data, 0, 12 * sizeof(float)); /* its length has no derivative there: zero */
    omma_attribution *a = asked(m, t);
    const omma_heat h = heated(a, m, (omma_attribution_how){.method = OMMA_METHOD_GRADIENT});
    for (int i = 0; i < 12; i++) assert_true(h.map[i] == 0);
    omma_attribution_free(a);
    finish(m);
}

/* --- boxes ------------------------------------------------------------------------------------ */

static void overlap(void **state) {
    (void)state;
    const double a[4] = {0, 0, 4, 2}, b[4] = {2, 1, 5, 4}, c[4] = {4, 0, 5, 2};
    double slope[4];
    assert_near(omma_iou(a, a, NULL), 1, 0);
    assert_near(omma_iou(a, b, slope), 2.0 / 15, 1e-15); /* 2 of 8 + 9 - 2 */
    assert_near(slope[0], 2 * 2.0 / 225, 1e-15);         /* only the area of both shrinks */
    assert_near(slope[2], (1 * 15 - 2 * (2 - 1)) / 225.0, 1e-15);
    assert_near(omma_iou(a, c, slope), 0, 0); /* they touch */
    for (int k = 0; k < 4; k++) assert_near(slope[k], 0, 0);
}

/* A box as each format writes it, at row 1 of [1, 3, 4]. */
static model *boxes_as(omma_box_format format, const double box[4]) {
    model *m = laid_out(3, 4, (int64_t[]){1, 3, 4}, 3);
    float *x = (float *)m->image.data + 4;
    for (int k = 0; k < 4; k++) x[k] = (float)box[k];
    for (int k = 0; k < 2 && format != OMMA_BOX_CORNERS; k++) {
        x[2 + k] = (float)(box[2 + k] - box[k]);
        if (format == OMMA_BOX_CENTRE) x[k] = (float)(box[k] + box[2 + k]) / 2;
    }
    return m;
}

static void edges_and_overlap(void **state) {
    (void)state;
    static const double box[4] = {0.25, 0.125, 0.75, 0.875};
    for (int format = 0; format < OMMA_BOX_FORMATS; format++) {
        model *m = boxes_as((omma_box_format)format, box);
        omma_target t = {.kind = OMMA_TARGET_EDGE,
                         .value = m->last->name,
                         .at = {0, 1},
                         .format = (omma_box_format)format};
        for (t.edge = 0; t.edge < 4; t.edge++) {
            assert_near(target_of(m, t), box[t.edge], 1e-7);
            check_slope(m, t);
        }
        t.kind = OMMA_TARGET_IOU;
        memcpy(t.box, (double[]){0.5, 0, 1, 0.5}, sizeof t.box);
        assert_near(target_of(m, t), 0.09375 / (0.375 + 0.25 - 0.09375), 1e-7);
        check_slope(m, t);
        finish(m);
    }
}

/* Rows of a box, a score and a class, cut apart. */
static model *detector(omma_value *out[3]) {
    model *m = laid_out(4, 6, (int64_t[]){4, 6}, 2);
    float *x = m->image.data;
    omma_value *all = m->last;
    for (int i = 0; i < 3; i++) {
        m->last = all;
        omma_node *n = add_node(m, "Slice", 1);
        give_ints(m, n, 1, (int64_t[]){i ? 3 + i : 0}, 1);
        give_ints(m, n, 2, (int64_t[]){i ? 4 + i : 4}, 1);
        give_ints(m, n, 3, (int64_t[]){1}, 1);
        if (i == 2) give_int(m, add_node(m, "Cast", 1), "to", OMMA_I64);
        out[i] = m->last;
    }
    set_outputs(m, out, 3);
    static const float rows[4][6] = {{.1f, .1f, .5f, .5f, .9f, 1.5f},
                                     {.4f, .4f, .9f, .9f, .6f, 2.5f},
                                     {.5f, .5f, .9f, .8f, .5f, 2.5f},
                                     {0, 0, .1f, .1f, .8f, 2.5f}};
    memcpy(x, rows, sizeof rows);
    return m;
}

static void detections(void **state) {
    (void)state;
    omma_value *v[3];
    model *m = detector(v);
    omma_target t = {.kind = OMMA_TARGET_DETECTION,
                     .value = v[1]->name,
                     .boxes = v[0]->name,
                     .labels = v[2]->name,
                     .label = 2,
                     .box = {.45, .45, .95, .95}};
    const double all = .25 + .25 - .45 * .45;
    assert_near(target_of(m, t), .6 * (.45 * .45) / all, 1e-7);
    check_slope(m, t);
    t.label = 1;
    assert_near(target_of(m, t), .9 * .0025 / (.16 + .25 - .0025), 1e-7);
    t.label = 7; /* nothing is of that class */
    assert_near(target_of(m, t), 0, 0);
    finish(m);
}

/* Scores of two classes for each of three boxes. */
static void detections_of_classes(void **state) {
    (void)state;
    model *m = laid_out(3, 6, (int64_t[]){3, 6}, 2);
    omma_value *all = m->last, *v[2];
    for (int i = 0; i < 2; i++) {
        m->last = all;
        omma_node *n = add_node(m, "Slice", 1);
        give_ints(m, n, 1, (int64_t[]){i ? 4 : 0}, 1);
        give_ints(m, n, 2, (int64_t[]){i ? 6 : 4}, 1);
        give_ints(m, n, 3, (int64_t[]){1}, 1);
        v[i] = m->last;
    }
    set_outputs(m, v, 2);
    static const float rows[3][6] = {
        {0, 0, 1, 1, .3f, .6f}, {0, 0, 1, .5f, .9f, .5f}, {2, 2, 3, 3, 1, 1}};
    memcpy(m->image.data, rows, sizeof rows);
    omma_target t = {.kind = OMMA_TARGET_DETECTION,
                     .value = v[1]->name,
                     .boxes = v[0]->name,
                     .label = 1,
                     .box = {0.03, 0.02, 0.97, 0.96}};
    assert_near(target_of(m, t), .6 * .94 * .94, 1e-7);
    check_slope(m, t);
    t.label = 0;
    assert_near(target_of(m, t), .9 * .94 * .48 / (.5 + .94 * .94 - .94 * .48), 1e-7);
    t.label = 2;
    refused(m, t, (omma_attribution_how){.method = OMMA_METHOD_RANDOM}, OMMA_E_RANGE,
            "no class 2; the scores are of 2");
    finish(m);
}

/* --- what is told ----------------------------------------------------------------------------- */

static void mistakes(void **state) {
    (void)state;
    const omma_attribution_how how = {.method = OMMA_METHOD_RANDOM};
    omma_value *w[3];
    model *m = detector(w);
    const char *v = w[0]->name;
    refused(m, (omma_target){.value = NULL}, how, OMMA_E_USAGE, "the name of a value");
    refused(m, (omma_target){.kind = OMMA_TARGETS, .value = v}, how, OMMA_E_USAGE, "no such kind");
    refused(m, (omma_target){.value = "logits"}, how, OMMA_E_NOTFOUND, "'logits'");
    refused(m, (omma_target){.value = v, .at = {4, 0}}, how, OMMA_E_RANGE,
            "index 4 of axis 0, which has 4 places");
    refused(m, (omma_target){.value = v, .at = {0, -2}}, how, OMMA_E_RANGE, "index -2 of axis 1");
    refused(m, (omma_target){.kind = OMMA_TARGET_SUM, .value = v}, how, OMMA_E_USAGE, "no terms");
    refused(m, (omma_target){.kind = OMMA_TARGET_EDGE, .value = v, .edge = 4}, how, OMMA_E_USAGE,
            "an edge is 0 left");
    refused(m, (omma_target){.kind = OMMA_TARGET_EDGE, .value = v, .at = {-1}}, how, OMMA_E_USAGE,
            "for one box");
    refused(m, (omma_target){.kind = OMMA_TARGET_EDGE, .value = w[1]->name}, how, OMMA_E_SHAPE,
            "no boxes");
    refused(m, (omma_target){.kind = OMMA_TARGET_IOU, .value = v, .box = {1, 1, 1, 2}}, how,
            OMMA_E_USAGE, "is empty");
    refused(m, (omma_target){.kind = OMMA_TARGET_REGION, .value = v}, how, OMMA_E_USAGE,
            "needs its mask");
    refused(m,
            (omma_target){.kind = OMMA_TARGET_REGION,
                          .value = v,
                          .region = (const unsigned char *)"x",
                          .region_h = 1,
                          .region_w = 1},
            how, OMMA_E_SHAPE, "the region is of 1 x 1");
    refused(m, (omma_target){.kind = OMMA_TARGET_DETECTION, .value = v, .box = {0, 0, 1, 1}}, how,
            OMMA_E_USAGE, "the value with boxes");
    refused(
        m,
        (omma_target){
            .kind = OMMA_TARGET_DETECTION, .value = v, .boxes = w[1]->name, .box = {0, 0, 1, 1}},
        how, OMMA_E_SHAPE, "boxes [.., rows, 4] are needed");
    refused(m, (omma_target){.value = w[2]->name},
            (omma_attribution_how){.method = OMMA_METHOD_GRADIENT}, OMMA_E_UNSUPPORTED,
            "occlusion and rise need none");
    finish(m);
}

static void not_finite(void **state) {
    (void)state;
    model *m = laid_out(2, 2, (int64_t[]){4}, 1);
    ((float *)m->image.data)[3] = NAN;
    refused(m, (omma_target){.value = m->last->name, .at = {3}},
            (omma_attribution_how){.method = OMMA_METHOD_RANDOM}, OMMA_E_RANGE, "layer0[3] is");
    finish(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements),
        cmocka_unit_test(regions),
        cmocka_unit_test(cells),
        cmocka_unit_test(overlap),
        cmocka_unit_test(edges_and_overlap),
        cmocka_unit_test(detections),
        cmocka_unit_test(detections_of_classes),
        cmocka_unit_test(mistakes),
        cmocka_unit_test(not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

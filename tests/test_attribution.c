/* test_attribution.c - heat maps of models whose attribution is known in closed form, what is said
 * of a map, and what is told when something is wrong. */
#include "attribmodel.h"

/* --- linear models ---------------------------------------------------------------------------- */

/* f_k = sum of w_k x over a picture of 3 x h x w: [1, 2, 1, 1]. */
static model *linear(int64_t side) {
    model *m = begin(3, side, side);
    add_conv(m, (conv){3, 2, side, 1, 1, 0, 0});
    fill(m);
    return m;
}

static void gradients_of_linear(void **state) {
    (void)state;
    enum { SIDE = 6, PIXELS = SIDE * SIDE, SIZE = 3 * PIXELS };
    model *m = linear(SIDE);
    const float *w = weights(m) + SIZE, *x = m->image.data;
    omma_attribution *a = asked(m, (omma_target){.value = m->last->name, .at = {0, 1}});
    const omma_heat g = heated(a, m, (omma_attribution_how){.method = OMMA_METHOD_GRADIENT});
    const omma_heat s = heated(a, m, (omma_attribution_how){.method = OMMA_METHOD_SMOOTHGRAD});
    assert_true(g.kind == OMMA_HEAT_SLOPE && s.kind == OMMA_HEAT_SLOPE && isnan(g.gap));
    double f = 0;
    for (int i = 0; i < SIZE; i++) {
        assert_true(g.element[i] == w[i]);
        assert_near(s.element[i], w[i], 1e-12);
        f += (double)w[i] * x[i];
    }
    for (int i = 0; i < PIXELS; i++)
        assert_near(g.map[i],
                    sqrt(pow(w[i], 2) + pow(w[i + PIXELS], 2) + pow(w[i + 2 * PIXELS], 2)), 1e-12);
    assert_near(g.f, f, 1e-5);
    assert_true(g.height == SIDE && g.width == SIDE && g.channels == 3);
    omma_attribution_free(a);
    finish(m);
}

/* Times the input and integrated: exact for every baseline, and they add up. */
static void shares_of_linear(void **state) {
    (void)state;
    enum { SIDE = 6, PIXELS = SIDE * SIDE, SIZE = 3 * PIXELS };
    static const omma_method methods[] = {OMMA_METHOD_GRADIENT_INPUT, OMMA_METHOD_INTEGRATED};
    model *m = linear(SIDE);
    const float *w = weights(m), *x = m->image.data;
    omma_attribution *a = asked(m, (omma_target){.value = m->last->name});
    for (int k = 0; k < 2; k++)
        for (int zero = 0; zero < 2; zero++) {
            omma_attribution_how how = {.method = methods[k]};
            if (!zero) how.baseline = (omma_baseline){OMMA_BASELINE_GREY, {.5, -.25, 2}, 0};
            const omma_heat h = heated(a, m, how);
            double sum = 0;
            for (int i = 0; i < SIZE; i++) {
                const double b = zero ? 0 : how.baseline.grey[i / PIXELS];
                assert_near(h.element[i], w[i] * (x[i] - b), 1e-6);
                sum += w[i] * (x[i] - b);
            }
            for (int i = 0; i < PIXELS; i++)
                assert_near(h.map[i],
                            h.element[i] + h.element[i + PIXELS] + h.element[i + 2 * PIXELS],
                            1e-12);
            assert_near(h.sum, sum, 1e-5);
            assert_near(h.difference, sum, 1e-4);
            assert_near(h.gap, 0, 1e-4);
            assert_true(h.kind == OMMA_HEAT_SHARE);
            assert_non_null(strstr(h.says, zero ? "baseline zero" : "grey 0.5, -0.25, 2"));
        }
    omma_attribution_free(a);
    finish(m);
}

/* --- models that are not ---------------------------------------------------------------------- */

/* Two convolutions with what is positive behind each, and the mean of a class map. */
static model *small_net(int64_t side) {
    model *m = begin(3, side, side);
    add_conv(m, (conv){3, 6, 3, 1, 1, 1, 0});
    layer(m, "Relu", 1);
    add_conv(m, (conv){6, 5, 3, 2, 1, 1, 0});
    layer(m, "Relu", 1);
    layer(m, "GlobalAveragePool", 1);
    add_conv(m, (conv){5, 4, 1, 1, 1, 0, 0});
    fill(m);
    return m;
}

/* The sum misses f(x) - f(b) by what the steps miss. */
static void completeness(void **state) {
    (void)state;
    static const int steps[] = {2, 16, 256};
    static const omma_baseline_kind kinds[] = {OMMA_BASELINE_ZERO, OMMA_BASELINE_MEAN,
                                               OMMA_BASELINE_BLUR};
    model *m = small_net(16);
    omma_attribution *a = asked(m, (omma_target){.value = m->last->name, .at = {0, 2}});
    for (int b = 0; b < 3; b++) {
        double gap[3];
        for (int k = 0; k < 3; k++) {
            const omma_heat h = heated(a, m,
                                       (omma_attribution_how){.method = OMMA_METHOD_INTEGRATED,
                                                              .baseline.kind = kinds[b],
                                                              .steps = steps[k]});
            gap[k] = fabs(h.gap) / fabs(h.difference);
            assert_near(h.gap, h.sum - h.difference, 1e-12);
            assert_true(h.back == steps[k] && h.forward == 2);
        }
        if (b) assert_true(gap[2] < 1e-3 && gap[2] < gap[0] / 10);
        else assert_true(gap[0] < 1e-6 && gap[2] < 1e-6); /* homogeneous: exact from zero on */
    }
    omma_attribution_free(a);
    finish(m);
}

/* f = sum of x^2: the mean of gradients at x with noise is 2 x but for chance. */
static void smoothgrad(void **state) {
    (void)state;
    enum { SIDE = 5, SIZE = SIDE * SIDE, COPIES = 400 };
    model *m = begin(1, SIDE, SIDE);
    layer(m, "Mul", 2);
    m->last->producer->in[1] = m->g->inputs[0];
    add_conv(m, (conv){1, 1, SIDE, 1, 1, 0, 1});
    fill(m);
    const float *x = m->image.data;
    float least = 1, most = -1;
    for (int i = 0; i < SIZE; i++) least = fminf(least, x[i]), most = fmaxf(most, x[i]);
    omma_attribution *a = asked(m, (omma_target){.value = m->last->name});
    const omma_attribution_how how = {
        .method = OMMA_METHOD_SMOOTHGRAD, .samples = COPIES, .sigma = 0.5, .seed = 4};
    const omma_heat h = heated(a, m, how), again = heated(a, m, how);
    const double error = 2 * 0.5 * (most - least) / sqrt(COPIES);
    double square = 0;
    for (int i = 0; i < SIZE; i++) {
        assert_near(h.element[i], 2 * x[i], 4.5 * error);
        square += pow((h.element[i] - 2 * x[i]) / error, 2) / SIZE;
    }
    assert_true(square > 0.3 && square < 2); /* the noise is as strong as it should be */
    assert_memory_equal(h.map, again.map, SIZE * sizeof *h.map);
    omma_attribution_free(a);
    finish(m);
}

/* --- feature maps ----------------------------------------------------------------------------- */

/* What the class map of small_net is at cell i: sum over channels of weight times activation. */
static void class_map(const model *m, double *map, int cells, int cls) {
    omma_session *s;
    omma_error err;
    const float *w = weights(m) + cls * 5;
    if (omma_session_on_graph(&s, m->g, "test", NULL, &err) ||
        omma_session_watch(s, "layer3", &err) || omma_session_run(s, &m->image, 1, &err))
        fail_msg("%s", err.message);
    const float *act = omma_session_watched(s, "layer3")->data;
    for (int i = 0; i < cells; i++) {
        map[i] = 0;
        for (int k = 0; k < 5; k++) map[i] += (double)w[k] * act[k * cells + i];
    }
    omma_session_free(s);
}

/* Behind a mean over cells the gradient of each is the class's weight over their number: the maps
 * are the class map. The default map is the last one; cells lie at twice their number. */
static void cams(void **state) {
    (void)state;
    enum { SIDE = 12, CELLS = SIDE / 2 };
    double want[CELLS * CELLS];
    model *m = small_net(SIDE);
    class_map(m, want, CELLS * CELLS, 3);
    omma_attribution *a = asked(m, (omma_target){.value = m->last->name, .at = {0, 3}});
    const omma_heat g = heated(a, m, (omma_attribution_how){.method = OMMA_METHOD_GRADCAM});
    const omma_heat h = heated(a, m, (omma_attribution_how){.method = OMMA_METHOD_HIRESCAM});
    assert_string_equal(g.feature_map, "layer3");
    assert_true(g.rows == CELLS && g.columns == CELLS && g.back == 1);
    double most = 0;
    for (int i = 0; i < CELLS * CELLS; i++) {
        const int at = i / CELLS * 2 * SIDE + i % CELLS * 2;
        assert_near(h.map[at], want[i] / (CELLS * CELLS), 1e-6);
        assert_near(g.map[at], fmax(want[i], 0) / (CELLS * CELLS), 1e-6);
        most = fmax(most, g.map[at]);
    }
    assert_true(most > 0);
    for (int i = 0; i < CELLS - 1; i++) { /* between cells half of each */
        const double *row = h.map + 4 * SIDE + 2 * i;
        assert_near(row[1], (row[0] + row[2]) / 2, 1e-12);
    }
    assert_near(h.map[SIDE * SIDE - 1], h.map[(SIDE - 2) * SIDE + SIDE - 2], 1e-12);
    omma_attribution_free(a);
    finish(m);
}

/* The formula, by hand, where one gradient stands for all cells of a channel. */
static void gradcam_pp(void **state) {
    (void)state;
    enum { SIDE = 12, CELLS = SIDE / 2, N = CELLS * CELLS };
    omma_session *s;
    omma_error err;
    model *m = small_net(SIDE);
    const float *w = weights(m);
    if (omma_session_on_graph(&s, m->g, "test", NULL, &err) ||
        omma_session_watch(s, "layer3", &err) || omma_session_run(s, &m->image, 1, &err))
        fail_msg("%s", err.message);
    const float *act = omma_session_watched(s, "layer3")->data;
    omma_attribution *a = asked(m, (omma_target){.value = m->last->name});
    const omma_heat h = heated(a, m, (omma_attribution_how){.method = OMMA_METHOD_GRADCAM_PP});
    double want[N] = {0};
    int used = 0;
    for (int k = 0; k < 5; k++) {
        const double g = (double)w[k] / N;
        double all = 0;
        for (int i = 0; i < N; i++) all += act[k * N + i];
        const double weight = g > 0 ? N * g * (g * g / (2 * g * g + all * g * g * g)) : 0;
        for (int i = 0; i < N; i++) want[i] += weight * act[k * N + i];
        used += weight > 0;
    }
    assert_true(used);
    for (int i = 0; i < N; i++)
        assert_near(h.map[i / CELLS * 2 * SIDE + i % CELLS * 2], want[i], 1e-5 * (1 + want[i]));
    omma_attribution_free(a);
    omma_session_free(s);
    finish(m);
}

/* The same cells as tokens [1, 36, 5], behind a class token: named and found. */
static void cams_of_tokens(void **state) {
    (void)state;
    enum { SIDE = 12, CELLS = SIDE / 2, N = CELLS * CELLS };
    model *m = begin(3, SIDE, SIDE), *one = small_net(SIDE);
    add_conv(m, (conv){3, 6, 3, 1, 1, 1, 0});
    layer(m, "Relu", 1);
    add_conv(m, (conv){6, 5, 3, 2, 1, 1, 0});
    layer(m, "Relu", 1);
    add_shape(m, "Reshape", (int64_t[]){1, 5, N}, 3);
    add_shape(m, "Transpose", (int64_t[]){0, 2, 1}, 3);
    float token[5] = {3, 1, 4, 1, 5};
    add_with(m, "Concat", token, 3, (int64_t[]){1, 1, 5}, true);
    give_int(m, m->last->producer, "axis", 1);
    const char *tokens = m->last->name;
    omma_node *mean = add_node(m, "ReduceMean", 1);
    int64_t *axes = omma_arena_array(&m->arena, 1, sizeof *axes);
    *axes = 1;
    omma_attr *at = omma_arena_array(&m->arena, 1, sizeof *at);
    *at = (omma_attr){.name = "axes", .kind = OMMA_ATTR_INTS, .ints = axes, .count = 1, .s = ""};
    mean->attrs = at, mean->n_attrs = 1;
    float w[5 * 4]; /* [5, 4] of the other's [4, 5] */
    for (int i = 0; i < 20; i++) w[i] = weights(one)[i % 4 * 5 + i / 4];
    add_with(m, "MatMul", w, 2, (int64_t[]){5, 4}, false);
    set_outputs(m, &m->last, 1);
    fill(m);
    memcpy(m->image.data, one->image.data, 3 * SIDE * SIDE * sizeof(float));
    omma_attribution *a = asked(m, (omma_target){.value = m->last->name, .at = {0, 0, 1}});
    omma_attribution *b = asked(one, (omma_target){.value = one->last->name, .at = {0, 1}});
    const omma_heat h = heated(a, m, (omma_attribution_how){.method = OMMA_METHOD_HIRESCAM});
    const omma_heat want = heated(b, one, (omma_attribution_how){.method = OMMA_METHOD_HIRESCAM});
    assert_string_equal(h.feature_map, tokens);
    assert_true(h.rows == CELLS && h.columns == CELLS);
    for (int i = 0; i < SIDE * SIDE; i++) assert_near(h.map[i], want.map[i] * N / (N + 1), 1e-6);
    omma_attribution_free(a);
    omma_attribution_free(b);
    finish(m);
    finish(one);
}

/* Layer op of two values. */
static omma_value *two(model *m, const char *op, omma_value *a, omma_value *b) {
    m->last = a;
    layer(m, op, 2)->producer->in[1] = b;
    return m->last;
}

static omma_value *linear_of(model *m, omma_value *x, int64_t from, int64_t to) {
    float w[64];
    for (int i = 0; i < from * to; i++) w[i] = (float)unit_random(m);
    m->last = x;
    add_with(m, "MatMul", w, 2, (int64_t[]){from, to}, false);
    return m->last;
}

/* One layer of a transformer whose class token is read: behind the attention that depends on one
 * token only, and weights are no map, so it is the values that are attended to. */
static void cam_of_a_transformer(void **state) {
    (void)state;
    enum { SIDE = 12, CELLS = 3, N = CELLS * CELLS, C = 4 };
    const float token[C] = {1, 2, 3, 4};
    model *m = begin(3, SIDE, SIDE);
    add_conv(m, (conv){3, C, 4, 4, 1, 0, 0});
    add_shape(m, "Reshape", (int64_t[]){1, C, N}, 3);
    add_shape(m, "Transpose", (int64_t[]){0, 2, 1}, 3);
    add_with(m, "Concat", token, 3, (int64_t[]){1, 1, C}, true);
    give_int(m, m->last->producer, "axis", 1);
    omma_value *x = m->last, *values = linear_of(m, x, C, C), *q = linear_of(m, x, C, C);
    omma_value *k = linear_of(m, x, C, C);
    m->last = k;
    add_shape(m, "Transpose", (int64_t[]){0, 2, 1}, 3);
    two(m, "MatMul", q, m->last);
    add_with(m, "Mul", (float[]){.5f}, 1, (int64_t[]){1}, false);
    omma_value *w = layer(m, "Softmax", 1);
    give_int(m, w->producer, "axis", -1);
    two(m, "Add", x, two(m, "MatMul", w, values));
    omma_node *cls = add_node(m, "Slice", 1);
    give_ints(m, cls, 1, (int64_t[]){0}, 1);
    give_ints(m, cls, 2, (int64_t[]){1}, 1);
    give_ints(m, cls, 3, (int64_t[]){1}, 1);
    linear_of(m, m->last, C, 2);
    set_outputs(m, &m->last, 1);
    fill(m);
    omma_attribution *a = asked(m, (omma_target){.value = m->last->name, .at = {0, 0, 1}});
    const omma_heat h = heated(a, m, (omma_attribution_how){.method = OMMA_METHOD_HIRESCAM});
    assert_string_equal(h.feature_map, values->name);
    assert_true(h.rows == CELLS && h.columns == CELLS);
    const omma_heat named =
        heated(a, m, (omma_attribution_how){.method = OMMA_METHOD_HIRESCAM, .map = x->name});
    assert_string_equal(named.feature_map, x->name);
    assert_memory_not_equal(named.map, h.map, SIDE * SIDE * sizeof *h.map);
    omma_attribution_free(a);
    finish(m);
}

/* Two channels, the picture's halves, of which the target is the right one. */
static void scorecam(void **state) {
    (void)state;
    enum { SIDE = 4, SIZE = SIDE * SIDE };
    float half[2 * SIZE];
    for (int i = 0; i < 2 * SIZE; i++) half[i] = (float)((i % SIDE >= SIDE / 2) == (i >= SIZE));
    model *m = begin(1, SIDE, SIDE);
    add_with(m, "Mul", half, 4, (int64_t[]){1, 2, SIDE, SIDE}, false);
    add_conv(m, (conv){2, 1, SIDE, 1, 1, 0, 0});
    for (int i = 0; i < 2 * SIZE; i++) weights(m)[i] = i < SIZE ? 0 : 0.25f;
    for (int i = 0; i < SIZE; i++) ((float *)m->image.data)[i] = 1;
    omma_attribution *a = asked(m, (omma_target){.value = m->last->name});
    const omma_heat h = heated(a, m,
                               (omma_attribution_how){.method = OMMA_METHOD_SCORECAM,
                                                      .baseline.kind = OMMA_BASELINE_ZERO});
    const double right = exp(2) / (1 + exp(2)); /* f is 2 with the right half, 0 with the left */
    for (int i = 0; i < SIZE; i++)
        assert_near(h.map[i], i % SIDE >= SIDE / 2 ? right : 1 - right, 1e-12);
    assert_string_equal(h.feature_map, "layer0");
    assert_true(h.forward == 4 && h.back == 0);
    omma_attribution_free(a);
    finish(m);
}

/* --- hiding ----------------------------------------------------------------------------------- */

/* f: the sum of one quadrant, the first of four. */
static model *quadrant(int side) {
    model *m = begin(1, side, side);
    add_conv(m, (conv){1, 1, side, 1, 1, 0, 1});
    for (int i = 0; i < side * side; i++)
        weights(m)[i] = i / side < side / 2 && i % side < side / 2;
    fill(m);
    return m;
}

static void occlusion(void **state) {
    (void)state;
    enum { SIDE = 8 };
    model *m = quadrant(SIDE);
    const float *x = m->image.data;
    omma_attribution *a = asked(m, (omma_target){.value = m->last->name});
    const omma_attribution_how how = {.method = OMMA_METHOD_OCCLUSION,
                                      .window = 2,
                                      .stride = 2,
                                      .baseline.kind = OMMA_BASELINE_ZERO};
    omma_heat h = heated(a, m, how);
    for (int i = 0; i < SIDE * SIDE; i++) {
        const int y = i / SIDE & ~1, c = i % SIDE & ~1;
        double want = 0;
        for (int k = 0; k < 4; k++) want += x[(y + k / 2) * SIDE + c + k % 2];
        assert_near(h.map[i], y < 4 && c < 4 ? want : 0, 2e-6);
    }
    assert_true(h.forward == 17 && h.back == 0);
    assert_string_equal(h.says, "window 2 px, stride 2 px, baseline zero");
    omma_attribution_free(a);
    finish(m);
}

/* Windows that overlap, and the last of which sticks out: a mean over those a pixel is in. */
static void occlusion_overlapping(void **state) {
    (void)state;
    model *m = begin(1, 1, 5);
    add_with(m, "Mul", (float[]){1, 2, 4, 8, 16}, 4, (int64_t[]){1, 1, 1, 5}, false);
    for (int i = 0; i < 5; i++) ((float *)m->image.data)[i] = 1;
    omma_attribution *a = asked(m, (omma_target){.value = m->last->name, .at = {0, 0, 0, -1}});
    const omma_heat h = heated(a, m,
                               (omma_attribution_how){.method = OMMA_METHOD_OCCLUSION,
                                                      .window = 4,
                                                      .stride = 3,
                                                      .baseline.kind = OMMA_BASELINE_ZERO});
    static const double want[5] = {15, 15, 15, (15 + 24) / 2.0, 24}; /* 0..3, 3..4 */
    for (int i = 0; i < 5; i++) assert_near(h.map[i], want[i], 0);
    omma_attribution_free(a);
    finish(m);
}

/* By masks that show a pixel, its own number is there and the others by chance. */
static void rise(void **state) {
    (void)state;
    enum { SIDE = 16, SIZE = SIDE * SIDE };
    model *m = quadrant(SIDE);
    for (int i = 0; i < SIZE; i++) ((float *)m->image.data)[i] = 1.0f / 64;
    omma_attribution *a = asked(m, (omma_target){.value = m->last->name});
    omma_attribution_how how = {.method = OMMA_METHOD_RISE,
                                .masks = 2000,
                                .cells = 4,
                                .seed = 3,
                                .baseline.kind = OMMA_BASELINE_ZERO};
    const omma_heat h = heated(a, m, how), again = heated(a, m, how);
    how.seed = 4;
    const omma_heat other = heated(a, m, how);
    assert_memory_equal(h.map, again.map, SIZE * sizeof *h.map);
    assert_memory_not_equal(h.map, other.map, SIZE * sizeof *h.map);
    double in = 0, out = 0, least = INFINITY;
    for (int i = 0; i < SIZE; i++) {
        const bool inside = i / SIDE < 8 && i % SIDE<8, far = i / SIDE> 10 || i % SIDE > 10;
        in += inside ? h.map[i] / 64 : 0, out += far ? h.map[i] / (SIZE - 121) : 0;
        if (inside) least = fmin(least, h.map[i]);
    }
    /* 4 of its cells or so, each shown half of the time; one is the pixel's own. */
    assert_near(out, 0.5, 0.03);
    assert_true(in > 0.54 && in < 0.68 && least > 0.5);
    omma_attribution_free(a);
    finish(m);
}

/* --- maps that know nothing of the model ------------------------------------------------------ */

static void blind(void **state) {
    (void)state;
    enum { SIDE = 8, SIZE = SIDE * SIDE };
    model *m = begin(1, SIDE, SIDE);
    add_conv(m, (conv){1, 1, SIDE, 1, 1, 0, 0});
    for (int i = 0; i < SIZE; i++) ((float *)m->image.data)[i] = i % SIDE >= 4;
    omma_attribution *a = asked(m, (omma_target){.value = m->last->name});
    const omma_heat r = heated(a, m, (omma_attribution_how){.method = OMMA_METHOD_RANDOM});
    const omma_heat c = heated(a, m, (omma_attribution_how){.method = OMMA_METHOD_CENTRE});
    const omma_heat e = heated(a, m, (omma_attribution_how){.method = OMMA_METHOD_EDGES});
    double mean = 0;
    for (int i = 0; i < SIZE; i++) {
        const double y = (i / SIDE - 3.5) / 2, x = (i % SIDE - 3.5) / 2;
        mean += r.map[i] / SIZE;
        assert_true(r.map[i] >= 0 && r.map[i] < 1);
        assert_near(c.map[i], exp(-(x * x + y * y) / 2), 1e-12);
        assert_near(e.map[i], i % SIDE == 3 || i % SIDE == 4 ? 4 : 0, 0);
    }
    assert_near(mean, 0.5, 0.15);
    omma_attribution_free(a);
    finish(m);
}

/* --- what a run chooses ----------------------------------------------------------------------- */

/* The best score of a sorted list has the gradient of the number it is. */
static void best_of_sorted(void **state) {
    (void)state;
    enum { SIDE = 8, SIZE = 3 * SIDE * SIDE };
    model *m = begin(3, SIDE, SIDE);
    add_conv(m, (conv){3, 6, 3, 4, 1, 1, 0});
    const char *plain = m->last->name;
    add_shape(m, "Reshape", (int64_t[]){1, 24}, 2);
    omma_node *top = add_node(m, "TopK", 2);
    give_ints(m, top, 1, (int64_t[]){3}, 1);
    layer(m, "Sigmoid", 1);
    set_outputs(m, &m->last, 1);
    fill(m);
    omma_attribution *a = asked(m, (omma_target){.value = m->last->name, .at = {0, 1}});
    const omma_heat h = heated(a, m, (omma_attribution_how){.method = OMMA_METHOD_GRADIENT});
    int found = 0;
    for (int i = 0; i < 24; i++) {
        const int64_t at[4] = {0, i / 4, i / 2 % 2, i % 2};
        omma_target t = {.value = plain};
        memcpy(t.at, at, sizeof at);
        omma_attribution *b = asked(m, t);
        const omma_heat one = heated(b, m, (omma_attribution_how){.method = OMMA_METHOD_GRADIENT});
        if (fabs(1 / (1 + exp(-one.f)) - h.f) < 1e-6) {
            for (int k = 0; k < SIZE; k++)
                assert_near(h.element[k], h.f * (1 - h.f) * one.element[k], 1e-6);
            found++;
        }
        omma_attribution_free(b);
    }
    assert_int_equal(found, 1);
    omma_attribution_free(a);
    finish(m);
}

/* Pictures of another size, and back. */
static void sizes(void **state) {
    (void)state;
    model *m = begin(3, 12, 12);
    add_conv(m, (conv){3, 4, 3, 2, 1, 1, 0});
    layer(m, "Relu", 1);
    layer(m, "GlobalAveragePool", 1);
    m->g->inputs[0]->dims[2] = m->g->inputs[0]->dims[3] = -1;
    fill(m);
    omma_attribution *a = asked(m, (omma_target){.value = m->last->name});
    const omma_attribution_how how = {.method = OMMA_METHOD_HIRESCAM};
    const omma_heat first = heated(a, m, how);
    m->image.dims[2] = 6;
    const omma_heat other = heated(a, m, how);
    assert_true(other.height == 6 && other.width == 12 && other.rows == 3 && other.columns == 6);
    m->image.dims[2] = 12;
    const omma_heat again = heated(a, m, how);
    assert_memory_equal(first.map, again.map, 144 * sizeof *first.map);
    omma_attribution_free(a);
    finish(m);
}

/* --- what is told ----------------------------------------------------------------------------- */

static void mistakes(void **state) {
    (void)state;
    model *m = small_net(8);
    const omma_target t = {.value = m->last->name};
#define HOW(...) ((omma_attribution_how){__VA_ARGS__})
    refused(m, t, HOW(.method = OMMA_METHODS), OMMA_E_USAGE, "there is no method");
    refused(m, t, HOW(.samples = -1), OMMA_E_USAGE, "samples: -1");
    refused(m, t, HOW(.steps = 2000000), OMMA_E_USAGE, "steps: 2000000");
    refused(m, t, HOW(.sigma = -1), OMMA_E_USAGE, "sigma: -1");
    refused(m, t, HOW(.keep = 1), OMMA_E_USAGE, "keep: 1");
    refused(m, t, HOW(.window = 2, .stride = 3), OMMA_E_USAGE, "leaves holes");
    refused(m, t, HOW(.baseline.kind = OMMA_BASELINES), OMMA_E_USAGE, "no baseline");
    refused(m, t, HOW(.baseline.sigma = NAN), OMMA_E_USAGE, "a blur of");
    refused(m, t, HOW(.method = OMMA_METHOD_GRADCAM, .map = "layer9"), OMMA_E_NOTFOUND, "layer9");
    refused(m, (omma_target){.value = "layer0", .at = {0, 0, 1, 1}},
            HOW(.method = OMMA_METHOD_GRADCAM), OMMA_E_UNSUPPORTED,
            "layer0[0, 0, 1, 1] depends on no feature map");
    m->image.dims[0] = 2;
    refused(m, t, HOW(0), OMMA_E_SHAPE, "not one picture");
    m->image.dims[0] = 1;
    void *data = m->image.data;
    m->image.data = NULL;
    refused(m, t, HOW(0), OMMA_E_USAGE, "no data");
    m->image.data = data;
#undef HOW
    omma_attribution *a;
    omma_error err;
    double f;
    assert_int_equal(omma_attribution_new(&a, m->g, "test", &t, 1, NULL, &err), OMMA_E_USAGE);
    assert_non_null(strstr(err.message, "1 inputs, no input 1"));
    a = asked(m, t);
    assert_int_equal(omma_attribution_value(a, &f, &m->image, 2, &err), OMMA_E_USAGE);
    omma_attribution_free(a);
    finish(m);
}

static void names(void **state) {
    (void)state;
    for (int k = 1; k < OMMA_METHODS; k++)
        assert_int_equal(omma_method_find(omma_method_name((omma_method)k)), k);
    assert_int_equal(omma_method_find("default"), OMMA_METHOD_DEFAULT);
    assert_int_equal(omma_method_find("saliency"), OMMA_METHODS);
    assert_true(omma_method_find(omma_method_name(OMMA_METHOD_DEFAULT)) != OMMA_METHOD_DEFAULT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_of_linear),
        cmocka_unit_test(shares_of_linear),
        cmocka_unit_test(completeness),
        cmocka_unit_test(smoothgrad),
        cmocka_unit_test(cams),
        cmocka_unit_test(gradcam_pp),
        cmocka_unit_test(cams_of_tokens),
        cmocka_unit_test(cam_of_a_transformer),
        cmocka_unit_test(scorecam),
        cmocka_unit_test(occlusion),
        cmocka_unit_test(occlusion_overlapping),
        cmocka_unit_test(rise),
        cmocka_unit_test(blind),
        cmocka_unit_test(best_of_sorted),
        cmocka_unit_test(sizes),
        cmocka_unit_test(mistakes),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

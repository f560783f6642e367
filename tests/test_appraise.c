/* test_appraise.c - a heat map with all its measures is what each of them says by itself; what a
 * model was asked before has no part in it. */
#include "attribmodel.h"
#include "field/appraise.h"

enum { SIDE = 16 };

static model *small(void) {
    model *m = begin(2, SIDE, SIDE);
    add_conv(m, (conv){2, 6, 3, 1, 1, 1, 0});
    layer(m, "Relu", 1);
    add_conv(m, (conv){6, 4, 3, 2, 1, 1, 0});
    layer(m, "Relu", 1);
    layer(m, "GlobalAveragePool", 1);
    add_shape(m, "Reshape", (int64_t[]){1, 4}, 2);
    set_outputs(m, &m->last, 1);
    fill(m);
    return m;
}

static omma_appraisal appraised(omma_attribution *a, model *m, const omma_appraise_how *how) {
    omma_appraisal x;
    omma_error err;
    if (omma_appraise(&x, a, &m->image, 1, how, &m->arena, &err)) fail_msg("%s", err.message);
    return x;
}

static omma_appraise_how usual(omma_method method) {
    return (omma_appraise_how){.method = {.method = method, .seed = 1, .steps = 3, .samples = 2},
                               .steps = 4,
                               .squares = 5,
                               .moves = 2,
                               .falls = 2,
                               .seed = 7};
}

/* Each measure by an attribution of its own. */
static void check(const omma_appraisal *x, model *m, omma_target t, const omma_appraise_how *how) {
    omma_error err;
    omma_curve c;
    omma_infidelity q;
    omma_sensitivity s;
    omma_cascade k;
    omma_attribution *a = asked(m, t);
    const omma_heat h = heated(a, m, how->method);
    assert_memory_equal(h.map, x->heat.map, SIDE * SIDE * sizeof *h.map);
    assert_true(h.f == x->heat.f && h.forward == x->heat.forward && h.back == x->heat.back);
    for (int insert = 0; insert < 2; insert++) {
        const omma_curve_how w = {.insert = insert, .steps = 4, .seed = 7};
        assert_int_equal(omma_curve_measure(a, &c, h.map, &m->image, 1, &w, &err), OMMA_OK);
        const omma_curve *got = insert ? &x->insertion : &x->deletion;
        assert_memory_equal(c.value, got->value, 5 * sizeof *c.value);
        assert_true(c.auc == got->auc);
    }
    const omma_infidelity_how squares = {
        .samples = 5, .baseline.kind = OMMA_BASELINE_MEAN, .seed = 7};
    assert_int_equal(omma_infidelity_measure(a, &q, &h, &m->image, 1, &squares, &err), OMMA_OK);
    assert_true(q.rest == x->infidelity.rest);
    const omma_sensitivity_how moves = {.samples = 2, .seed = 7};
    assert_int_equal(omma_sensitivity_measure(a, &s, &how->method, &m->image, 1, &moves, &err),
                     OMMA_OK);
    assert_true(s.max == x->sensitivity.max && s.max > 0);
    const omma_cascade_how falls = {.maps = 2, .seed = 7};
    assert_int_equal(omma_cascade_measure(&k, m->g, "test", &t, 0, &m->image, 1, &how->method,
                                          &falls, NULL, &m->arena, &err),
                     OMMA_OK);
    for (int i = 0; i < 2; i++)
        assert_true(k.step[i].correlation == x->cascade.step[i].correlation &&
                    k.step[i].layers == 1 + i);
    omma_attribution_free(a);
}

static void is_its_measures(void **state) {
    static const omma_method methods[] = {OMMA_METHOD_OCCLUSION, OMMA_METHOD_GRADIENT,
                                          OMMA_METHOD_INTEGRATED, OMMA_METHOD_GRADCAM};
    (void)state;
    model *m = small();
    const omma_target one = {.value = m->last->name, .at = {0, 1}};
    const omma_target length = {
        .kind = OMMA_TARGET_NORM, .value = "layer2", .unit = {.y = 2, .x = 5}}; /* not linear */
    for (int t = 0; t < 2; t++) {
        omma_attribution *a = asked(m, t ? length : one);
        for (int i = 0; i < 4; i++) {
            const omma_appraise_how how = usual(methods[i]);
            const omma_appraisal x = appraised(a, m, &how);
            check(&x, m, t ? length : one, &how);
        }
        omma_attribution_free(a);
    }
    finish(m);
}

/* Of the blind maps, as these have it by themselves; handed on to the next appraisal as they are.
 */
static void blind(void **state) {
    static const omma_method methods[] = {OMMA_METHOD_RANDOM, OMMA_METHOD_CENTRE};
    (void)state;
    model *m = small();
    omma_attribution *a = asked(m, (omma_target){.value = m->last->name, .at = {0, 2}});
    omma_appraise_how how = usual(OMMA_METHOD_GRADIENT);
    const omma_appraisal x = appraised(a, m, &how);
    for (int k = 0; k < OMMA_BLINDS; k++) {
        omma_curve c;
        omma_error err;
        const omma_heat h = heated(a, m, (omma_attribution_how){.method = methods[k], .seed = 7});
        const omma_curve_how w = {.steps = 4, .seed = 7};
        assert_int_equal(omma_curve_measure(a, &c, h.map, &m->image, 1, &w, &err), OMMA_OK);
        assert_true(x.blind[k] == c.auc);
    }
    const double told[OMMA_BLINDS] = {3, 4};
    how.blind = told;
    const omma_appraisal y = appraised(a, m, &how);
    assert_true(y.blind[0] == 3 && y.blind[1] == 4 && y.runs < x.runs);
    omma_attribution_free(a);
    finish(m);
}

/* What is not wanted is left out, and costs nothing. */
static void left_out(void **state) {
    (void)state;
    model *m = small();
    omma_attribution *a = asked(m, (omma_target){.value = m->last->name, .at = {0, 0}});
    omma_appraise_how how = usual(OMMA_METHOD_OCCLUSION);
    const double box[4] = {2, 3, 9, 12};
    const omma_appraisal all = appraised(a, m, &how);
    assert_true(all.sensitivity.samples == 2 && all.cascade.count == 2 && !all.no_cascade);
    assert_true(all.pointing.by_area == 0);
    how.moves = how.falls = 0;
    how.box = box;
    const omma_appraisal few = appraised(a, m, &how);
    assert_true(few.sensitivity.samples == 0 && few.cascade.count == 0 && !few.no_cascade);
    assert_true(few.runs < all.runs && few.pointing.by_area == 8 * 10 / 256.0);
    assert_true(omma_appraise_share(&few, few.heat.f) == (few.heat.f > 0 ? 1 : few.heat.f));
    omma_attribution_free(a);
    finish(m);
}

/* A model without weights on the way has no cascade, which is no error. */
static void no_weights(void **state) {
    (void)state;
    model *m = begin(1, SIDE, SIDE);
    layer(m, "Sigmoid", 1);
    set_outputs(m, &m->last, 1);
    fill(m);
    omma_attribution *a = asked(m, (omma_target){.value = m->last->name, .at = {0, 0, 4, 5}});
    const omma_appraise_how how = usual(OMMA_METHOD_OCCLUSION);
    const omma_appraisal x = appraised(a, m, &how);
    assert_true(!x.cascade.count && strstr(x.no_cascade, "no layer with weights"));
    assert_true(x.sensitivity.samples == 2);
    omma_attribution_free(a);
    finish(m);
}

/* The same inputs again cost no run; changed ones, in the same memory, are noticed. */
static void in_hand(void **state) {
    (void)state;
    model *m = small();
    const omma_target t = {.value = m->last->name, .at = {0, -1}};
    omma_attribution *a = asked(m, t);
    const double first = value_of(a, m);
    float *x = m->image.data;
    assert_true(value_of(a, m) == first);
    x[37] += 1;
    const double second = value_of(a, m);
    assert_true(second != first && second == target_of(m, t));
    x[37] -= 1;
    assert_true(fabs(value_of(a, m) - first) < 1e-5);
    omma_attribution_free(a);
    finish(m);
}

/* Of several hottest pixels the one in their middle points. */
static void plateau(void **state) {
    (void)state;
    omma_pointing p;
    omma_error err;
    double map[6 * 6] = {0};
    for (int y = 1; y < 4; y++)
        for (int x = 2; x < 5; x++) map[6 * y + x] = 2;
    const double box[4] = {3, 2, 3, 2};
    assert_int_equal(omma_pointing_box(&p, map, 6, 6, box, 0, &err), OMMA_OK);
    assert_true(p.hit && p.y == 2 && p.x == 3);
}

static omma_status all(model *m, omma_method method) {
    omma_error err;
    omma_arena arena;
    omma_appraisal x;
    omma_attribution *a;
    const omma_target t = {.value = m->last->name, .at = {0, 1}};
    const omma_appraise_how how = usual(method);
    omma_arena_init(&arena, NULL);
    omma_status s = omma_attribution_new(&a, m->g, "test", &t, 0, NULL, &err);
    if (!s) s = omma_appraise(&x, a, &m->image, 1, &how, &arena, &err);
    if (s) assert_true(*err.message);
    omma_attribution_free(a);
    omma_arena_free(&arena);
    return s;
}

static void no_memory(void **state) {
    (void)state;
    model *m = small();
    const uint64_t before = omma_mem_calls();
    assert_int_equal(all(m, OMMA_METHOD_GRADIENT), OMMA_OK);
    const uint64_t calls = omma_mem_calls() - before;
    for (uint64_t k = 1; k <= calls; k += 1 + k / 16) {
        omma_mem_fail_at(k);
        const omma_status s = all(m, OMMA_METHOD_GRADIENT);
        omma_mem_fail_at(0);
        if (s != OMMA_E_NOMEM) fail_msg("request %d of %d: %d", (int)k, (int)calls, s);
    }
    finish(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_its_measures), cmocka_unit_test(blind),   cmocka_unit_test(left_out),
        cmocka_unit_test(no_weights),      cmocka_unit_test(in_hand), cmocka_unit_test(plateau),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

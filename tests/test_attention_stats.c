/* test_attention_stats.c - how far and how broadly attention looks: the published numbers of
 * uniform and identical attention, numpy's of random ones, plain formulas at random; special
 * tokens, windows, masks, both directions. */
#include "field/attention_stats.h"

#include "attentiongold.h"

static omma_error err;

static void grid(double *y, double *x, int h, int w, double side) {
    for (int i = 0; i < h * w; i++) {
        y[i] = (i / w + 0.5) * side - 0.5;
        x[i] = (i % w + 0.5) * side - 0.5;
    }
}

static omma_look head_of(const omma_attention_weights *w, omma_direction d, int64_t head) {
    omma_look l;
    if (omma_look_head(&l, w, d, head, &err)) fail_msg("%s", err.message);
    return l;
}

/* --- known numbers ---------------------------------------------------------------------------- */

static void uniform_distances(void **state) {
    (void)state;
    static const struct {
        int h, w;
        double side, distance;
    } known[] = {{14, 14, 16, 116.4922},
                 {16, 16, 14, 116.5651},
                 {7, 7, 32, 115.5029},
                 {24, 24, 16, 200.0480},
                 {25, 34, 32, 494.9026}};
    static double y[850], x[850];
    static float a[850 * 850];
    for (int k = 0; k < 5; k++) {
        const int n = known[k].h * known[k].w;
        grid(y, x, known[k].h, known[k].w, known[k].side);
        for (int i = 0; i < n * n; i++) a[i] = 1 / (float)n;
        const omma_places p = {y, x, NULL};
        const omma_attention_weights w = {a, 1, 1, n, n, p, p, true, NULL};
        for (int d = 0; d < 2; d++) {
            const omma_look l = head_of(&w, (omma_direction)d, 0);
            assert_true(fabs(l.distance - known[k].distance) < 5e-5);
            NEAR(l.uniform, l.distance, 1e-12);
            NEAR(l.distance_raw, l.distance, 1e-6);
            NEAR(l.ratio, 1, 1e-12);
            NEAR(l.entropy, log(n), 1e-12);
            NEAR(l.ceiling, log(n), 1e-12);
            assert_true(l.lines == n && l.placed == n);
        }
        assert_true(fabs(omma_uniform_distance(y, x, n) - known[k].distance) < 5e-5);
    }
}

static void ceilings(void **state) {
    (void)state;
    static float a[197 * 197];
    static uint8_t kind[197];
    static double y[197], x[197];
    grid(y + 1, x + 1, 14, 14, 16);
    omma_token_kinds(kind, 197, 1, 0);
    for (int i = 0; i < 197 * 197; i++) a[i] = 1 / 197.f;
    const omma_places p = {y, x, kind};
    omma_attention_weights w = {a, 1, 1, 197, 197, p, p, true, NULL};
    const omma_look l = head_of(&w, OMMA_LOOKS_AT, 0);
    assert_true(fabs(l.entropy - 5.28320) < 5e-6 && fabs(l.ceiling - 5.28320) < 5e-6);
    assert_true(fabs(l.distance - 116.4922) < 5e-5); /* the class token has no part in it */
    NEAR(l.distance_raw, l.distance * 196 / 197, 1e-6);
    NEAR(l.on_class, 1 / 197., 1e-6);
    assert_true(l.lines == 197 && l.placed == 196 && l.on_registers == 0);
    static float row[850]; /* one query of cross-attention: no places at all */
    for (int i = 0; i < 850; i++) row[i] = 1 / 850.f;
    w = (omma_attention_weights){row, 1, 1, 1, 850, {0}, {0}, false, NULL};
    const omma_look c = head_of(&w, OMMA_LOOKS_AT, 0);
    assert_true(fabs(c.entropy - 6.74524) < 5e-6 && fabs(c.ceiling - 6.74524) < 5e-6);
    assert_true(isnan(c.distance) && isnan(c.ratio) && isnan(c.self) && isnan(c.distance_raw));
    assert_int_equal(c.placed, 0);
}

static void identity(void **state) {
    (void)state;
    float a[36 * 36] = {0};
    double y[36], x[36];
    grid(y, x, 6, 6, 32);
    for (int i = 0; i < 36; i++) a[i * 37] = 1;
    const omma_places p = {y, x, NULL};
    const omma_attention_weights w = {a, 1, 1, 36, 36, p, p, true, NULL};
    const omma_look l = head_of(&w, OMMA_LOOKS_AT, 0);
    assert_true(l.distance == 0 && l.ratio == 0 && l.entropy == 0 && l.self == 1 && l.mass == 1);
    assert_true(!signbit(l.entropy));
}

static void recorded(void **state) {
    (void)state;
    enum { N = 15, SPECIAL = 3 };
    float a[2 * N * N];
    double y[N], x[N];
    uint8_t kind[N];
    noise n = {3};
    fill_attention(&n, a, 2, N, N);
    grid(y + SPECIAL, x + SPECIAL, 3, 4, 16);
    y[0] = x[0] = NAN; /* is not read */
    omma_token_kinds(kind, N, 1, 2);
    const omma_places p = {y, x, kind};
    const omma_attention_weights w = {a, 1, 2, N, N, p, p, true, NULL};
    for (int head = 0; head < 2; head++)
        for (int d = 0; d < 2; d++) {
            char name[32];
            const omma_look l = head_of(&w, (omma_direction)d, head);
            const double is[] = {l.mass,    l.distance, l.distance_raw, l.uniform,  l.ratio,
                                 l.entropy, l.ceiling,  l.self,         l.on_class, l.on_registers};
            snprintf(name, sizeof name, "stats.%s.%d", d ? "by" : "at", head);
            gold_check(name, is, 10, 1e-13);
        }
    assert_string_equal(omma_direction_name(OMMA_LOOKS_AT), "looks at");
    assert_string_equal(omma_direction_name(OMMA_LOOKED_AT_BY), "is looked at by");
}

/* --- one by one ------------------------------------------------------------------------------- */

/* Rows and columns tell different things of a token everybody looks at. */
static void directions_differ(void **state) {
    (void)state;
    const float a[9] = {0, 0, 1, 0, 0, 1, 0, 0, 1};
    const double y[3] = {0, 0, 0}, x[3] = {0, 10, 30};
    const omma_places p = {y, x, NULL};
    const omma_attention_weights w = {a, 1, 1, 3, 3, p, p, true, NULL};
    omma_look l;
    assert_int_equal(omma_look_token(&l, &w, OMMA_LOOKS_AT, 0, 0, 0, &err), OMMA_OK);
    assert_true(l.mass == 1 && l.distance == 30 && l.entropy == 0);
    assert_int_equal(omma_look_token(&l, &w, OMMA_LOOKED_AT_BY, 0, 0, 0, &err), OMMA_OK);
    assert_true(l.mass == 0 && isnan(l.distance) && l.distance_raw == 0 && isnan(l.entropy));
    assert_int_equal(omma_look_token(&l, &w, OMMA_LOOKED_AT_BY, 0, 0, 2, &err), OMMA_OK);
    assert_true(l.mass == 3 && l.self == 1);
    NEAR(l.distance, 50 / 3., 1e-15);
    NEAR(l.entropy, log(3), 1e-15);
    l = head_of(&w, OMMA_LOOKED_AT_BY, 0); /* only one column has a distance */
    assert_true(l.lines == 3 && l.placed == 1 && l.mass == 1);
    NEAR(l.distance, 50 / 3., 1e-15);
    NEAR(l.uniform, 50 / 3., 1e-15);
}

/* All goes to a register: it looks nowhere, and raw tells 0. */
static void sinks(void **state) {
    (void)state;
    const float a[9] = {1, 0, 0, 1, 0, 0, .5f, .25f, .25f};
    const double y[3] = {0, 0, 0}, x[3] = {0, 0, 8};
    uint8_t kind[3];
    omma_token_kinds(kind, 3, 0, 1);
    const omma_places p = {y, x, kind};
    const omma_attention_weights w = {a, 1, 1, 3, 3, p, p, true, NULL};
    const omma_look l = head_of(&w, OMMA_LOOKS_AT, 0);
    assert_true(l.placed == 1 && l.distance == 4 && l.distance_raw == 1 && l.uniform == 4);
    NEAR(l.on_registers, 2.5 / 3, 1e-15);
    assert_true(l.on_class == 0);
}

/* Padding is no partner, and masks narrow the baseline and the ceiling. */
static void padding_and_masks(void **state) {
    (void)state;
    const float a[16] = {.5f, .25f, 0, .25f, 0, .5f, .5f, 0, 0, 1, 0, 0, .25f, .25f, .25f, .25f};
    const double y[4] = {0, 3, 6, INFINITY}, x[4] = {0, 4, 8, 0};
    const uint8_t kind[4] = {0, 0, 0, OMMA_TOKEN_PADDING};
    const uint8_t allowed[16] = {1, 1, 0, 1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1};
    const omma_places p = {y, x, kind};
    const omma_attention_weights w = {a, 1, 1, 4, 4, p, p, true, allowed};
    omma_look l;
    assert_int_equal(omma_look_token(&l, &w, OMMA_LOOKS_AT, 0, 0, 0, &err), OMMA_OK);
    assert_true(l.mass == .75);
    NEAR(l.distance, 5 / 3., 1e-15);
    assert_true(l.distance_raw == 1.25 && l.uniform == 2.5);
    NEAR(l.ceiling, log(2), 1e-15);
    NEAR(l.entropy, log(3) - 2 / 3. * log(2), 1e-14);
    l = head_of(&w, OMMA_LOOKED_AT_BY, 0);
    assert_true(l.lines == 3);
    NEAR(l.mass, 2.75 / 3, 1e-15);
}

/* --- at random -------------------------------------------------------------------------------- */

/* The plain formula for rows, places of each window its own. */
static double plain(const omma_attention_weights *w, int64_t head, bool raw) {
    double sum = 0;
    int64_t lines = 0;
    for (int64_t v = 0; v < w->windows; v++)
        for (int64_t i = 0; i < w->queries; i++) {
            double way = 0, mass = 0;
            const int64_t q = v * w->queries + i;
            if (w->query.kind[q]) continue;
            for (int64_t j = 0; j < w->keys; j++) {
                const int64_t k = v * w->keys + j;
                if (w->key.kind[k]) continue;
                const double a =
                    (double)w->weights[((v * w->heads + head) * w->queries + i) * w->keys + j];
                way += a * hypot(w->query.y[q] - w->key.y[k], w->query.x[q] - w->key.x[k]);
                mass += a;
            }
            sum += raw ? way : way / mass;
            lines++;
        }
    return sum / (double)lines;
}

static void random_windows(void **state) {
    (void)state;
    enum { MOST = 9, WINDOWS = 4, HEADS = 3 };
    static float a[WINDOWS * HEADS * MOST * MOST], turned[WINDOWS * HEADS * MOST * MOST];
    for (int trial = 0; trial < rounds(100); trial++) {
        double y[2][WINDOWS * MOST], x[2][WINDOWS * MOST];
        uint8_t kind[2][WINDOWS * MOST];
        const int windows = rng_int(1, WINDOWS), q = rng_int(2, MOST), k = rng_int(2, MOST);
        noise n = {rng()};
        fill_attention(&n, a, windows * HEADS, q, k);
        for (int m = 0; m < windows * HEADS; m++)
            for (int i = 0; i < q * k; i++)
                turned[m * q * k + i % k * q + i / k] = a[m * q * k + i];
        for (int e = 0; e < 2; e++)
            for (int i = 0; i < windows * MOST; i++) {
                y[e][i] = rng_int(0, 500), x[e][i] = rng_int(0, 500);
                kind[e][i] = (uint8_t)(i % (e ? k : q) ? rng_int(0, 3) : 0);
            }
        const omma_places at = {y[0], x[0], kind[0]}, by = {y[1], x[1], kind[1]};
        const omma_attention_weights w = {a, windows, HEADS, q, k, at, by, false, NULL};
        const omma_attention_weights t = {turned, windows, HEADS, k, q, by, at, false, NULL};
        for (int h = 0; h < HEADS; h++) {
            const omma_look l = head_of(&w, OMMA_LOOKS_AT, h);
            NEAR(l.distance, plain(&w, h, false), 1e-12);
            NEAR(l.distance_raw, plain(&w, h, true), 1e-12);
            const omma_look c = head_of(&w, OMMA_LOOKED_AT_BY, h);
            NEAR(c.distance, plain(&t, h, false), 1e-12);
            NEAR(c.mass, (double)q / k, 1e-6);
            assert_true(l.entropy <= l.ceiling + 1e-12 && l.entropy >= 0 && isnan(l.self));
            const omma_look same = head_of(&t, OMMA_LOOKS_AT, h);
            assert_memory_equal(&same, &c, sizeof c); /* a column is a row of the transpose */
        }
    }
}

static void faults(void **state) {
    (void)state;
    float a[4] = {1, 0, 0, 1};
    double y[2] = {0, 1}, x[2] = {0, 1};
    uint8_t kind[2] = {0, 0};
    const omma_places p = {y, x, kind};
    const omma_attention_weights w = {a, 1, 1, 2, 2, p, p, true, NULL};
    omma_look l;
    assert_int_equal(omma_look_token(&l, &w, OMMA_LOOKS_AT, 0, 0, 2, &err), OMMA_E_USAGE);
    assert_int_equal(omma_look_token(&l, &w, OMMA_LOOKS_AT, 1, 0, 0, &err), OMMA_E_USAGE);
    assert_int_equal(omma_look_head(&l, &w, OMMA_LOOKS_AT, -1, NULL), OMMA_E_USAGE);
    a[1] = NAN;
    assert_int_equal(omma_look_head(&l, &w, OMMA_LOOKS_AT, 0, &err), OMMA_E_RANGE);
    a[1] = -1e-6f;
    assert_int_equal(omma_look_head(&l, &w, OMMA_LOOKED_AT_BY, 0, &err), OMMA_E_RANGE);
    a[1] = 0;
    y[1] = NAN;
    assert_int_equal(omma_look_head(&l, &w, OMMA_LOOKS_AT, 0, &err), OMMA_E_RANGE);
    kind[1] = OMMA_TOKEN_OTHER;
    assert_int_equal(omma_look_head(&l, &w, OMMA_LOOKS_AT, 0, &err), OMMA_OK);
    kind[1] = OMMA_TOKEN_KINDS;
    assert_int_equal(omma_look_head(&l, &w, OMMA_LOOKS_AT, 0, &err), OMMA_E_RANGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(uniform_distances),
                                       cmocka_unit_test(ceilings),
                                       cmocka_unit_test(identity),
                                       cmocka_unit_test(recorded),
                                       cmocka_unit_test(directions_differ),
                                       cmocka_unit_test(sinks),
                                       cmocka_unit_test(padding_and_masks),
                                       cmocka_unit_test(random_windows),
                                       cmocka_unit_test(faults)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_similarity.c - what is measured of features against numpy's numbers, closed forms and what
 * must hold; places of deformable attention. */
#include "field/similarity.h"

#include "attentiongold.h"

static omma_error err;
static omma_arena arena;

static int set_up(void **state) {
    (void)state;
    omma_arena_init(&arena, NULL);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    omma_arena_free(&arena);
    return 0;
}

static void ok(omma_status s) {
    if (s) fail_msg("%s", err.message);
}

static double cka(const float *x, int64_t p, const float *y, int64_t q, int64_t n) {
    double out;
    ok(omma_linear_cka(&out, x, p, y, q, n, &arena, &err));
    return out;
}

static double rank_of(const float *x, int64_t n, int64_t width, bool centred) {
    double out;
    ok(omma_effective_rank(&out, NULL, x, n, width, centred, &arena, &err));
    return out;
}

/* --- CKA, cosines, ranks ---------------------------------------------------------------------- */

static void known_cka(void **state) {
    (void)state;
    const float x[] = {1, 0, 0, 1, 1, 1, 2, 0}, y[] = {1, 2, 3, 5};
    float z[8];
    for (int i = 0; i < 8; i++) z[i] = 3 * x[i] + 7;
    assert_true(fabs(cka(x, 2, y, 1, 4) - 0.399562) < 5e-7);
    assert_true(fabs(cka(y, 1, x, 2, 4) - 0.399562) < 5e-7);
    NEAR(cka(x, 2, z, 2, 4), 1, 1e-14);
    const float same[] = {.1f, .1f, .1f, .1f};
    assert_true(isnan(cka(x, 2, same, 1, 4))); /* it does not vary: no number, not a wrong one */
}

static void recorded(void **state) {
    (void)state;
    float x[10 * 5], y[9 * 4], wide[4 * 11], turned[4 * 11];
    double cosine[81], s[5], z[10], norm[10];
    omma_outliers o;
    noise n = {5};
    noise_fill(&n, x, 45, true);
    noise_fill(&n, y, 36, true);
    noise_fill(&n, wide, 44, true);
    ok(omma_cosine_matrix(cosine, x, 9, 5, &arena, &err));
    gold_check("cosine", cosine, 81, 1e-14);
    double one = cka(x, 5, y, 4, 9);
    gold_check("cka.tall", &one, 1, 1e-14);
    for (int i = 0; i < 44; i++) turned[i] = wide[(3 - i / 11) * 11 + i % 11];
    double squares[44];
    for (int i = 0; i < 44; i++) squares[i] = (double)turned[i] * (double)turned[i];
    for (int i = 0; i < 44; i++) turned[i] = (float)squares[i];
    one = cka(wide, 11, turned, 11, 4);
    gold_check("cka.wide", &one, 1, 1e-7); /* of squares rounded to float */
    const double ranks[] = {rank_of(x, 9, 5, false), rank_of(x, 9, 5, true),
                            rank_of(wide, 4, 11, false), rank_of(wide, 4, 11, true)};
    gold_check("rank", ranks, 4, 1e-13);
    ok(omma_effective_rank(&one, s, x, 9, 5, false, &arena, &err));
    gold_check("singular.tall", s, 5, 1e-14);
    ok(omma_effective_rank(&one, s, wide, 4, 11, false, &arena, &err));
    gold_check("singular.wide", s, 4, 1e-14);
    for (int c = 0; c < 5; c++) x[45 + c] = 20 * x[c];
    ok(omma_outliers_find(&o, norm, z, x, 10, 5, NULL, OMMA_OUTLIER_Z, &arena, &err));
    gold_check("outliers", z, 10, 1e-6); /* 20 x rounded to float */
    assert_true(o.high == 1 && o.low == 0);
}

/* CKA does not see rotations, scales, shifts; by tokens and by features it is the same number. */
static void cka_holds(void **state) {
    (void)state;
    for (int trial = 0; trial < rounds(50); trial++) {
        float x[30 * 8], y[30 * 8], both[60 * 4];
        const int n = rng_int(9, 30);
        rng_fill(x, 240);
        const double c = cos(trial), s = sin(trial);
        for (int i = 0; i < n; i++)
            for (int k = 0; k < 8; k += 2) { /* turned in four planes, scaled, shifted */
                const double a = (double)x[i * 8 + k], b = (double)x[i * 8 + k + 1];
                y[i * 8 + k] = (float)(5 * (c * a - s * b) + 1);
                y[i * 8 + k + 1] = (float)(5 * (s * a + c * b) - 2);
            }
        NEAR(cka(x, 8, y, 8, n), 1, 1e-6);
        rng_fill(both, 240);
        const double tall = cka(x, 8, both, 4, n);
        assert_true(tall > 0 && tall < 1);
        /* the same features four times over are as wide as there are tokens: the other way */
        float many[30 * 32];
        for (int i = 0; i < n * 32; i++) many[i] = x[i / 32 * 8 + i % 8];
        NEAR(cka(many, 32, both, 4, n), tall, 1e-12);
    }
}

static void cosines(void **state) {
    (void)state;
    const float x[] = {1, 0, 1, 1, 0, 0, -3, 0};
    double c[16];
    ok(omma_cosine_matrix(c, x, 4, 2, &arena, &err));
    NEAR(c[1], sqrt(.5), 1e-15);
    assert_true(c[0] == 1 && c[2] == 0 && c[3] == -1 && c[10] == 0 && c[15] == 1 && c[12] == -1);
}

/* Ranks of known singular values: orthogonal columns of lengths 1, 2, 4; one direction; nothing. */
static void ranks(void **state) {
    (void)state;
    const float x[] = {1, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0};
    double s[3], r, h = 0;
    ok(omma_effective_rank(&r, s, x, 4, 3, false, &arena, &err));
    NEAR(s[0], 4, 1e-15);
    NEAR(s[1], 2, 1e-15);
    NEAR(s[2], 1, 1e-15);
    for (int i = 0; i < 3; i++) h -= (1 << i) / 7. * log((1 << i) / 7.);
    NEAR(r, exp(h), 1e-14);
    float same[6 * 40], none[12] = {0}, eye[64] = {0};
    for (int i = 0; i < 240; i++) same[i] = (float)((i / 40 + 1) * (i % 40 - 9)) * .1f;
    ok(omma_effective_rank(&r, NULL, none, 4, 3, false, &arena, &err));
    assert_true(r == 0);
    for (int i = 0; i < 8; i++) eye[i * 9] = 3;
    NEAR(rank_of(eye, 8, 8, false), 8, 1e-13);
    NEAR(rank_of(same, 6, 40, false), 1, 1e-4); /* products of floats are rounded */
    for (int i = 0; i < 240; i++) same[i] = .1f * (float)(i % 40);
    assert_true(rank_of(same, 6, 40, true) == 0); /* every token the same: nothing varies */
    NEAR(rank_of(same, 6, 40, false), 1, 1e-12);
}

/* Sum and sum of squares of squared singular values are traces of the Gram matrix and its square.
 */
static void singular_values(void **state) {
    (void)state;
    static float x[64 * 64];
    for (int trial = 0; trial < rounds(40); trial++) {
        const int n = rng_int(1, 64), w = rng_int(1, 64), few = n < w ? n : w;
        const float size = trial % 3 ? 1 : 1e-18f;
        double s[64], r, two = 0, four = 0, got_two = 0, got_four = 0;
        rng_fill(x, 64 * 64);
        for (int i = 0; i < n * w; i++) x[i] *= size;
        if (trial % 4 == 1)
            for (int i = w; i < n * w; i++) x[i] = x[i % w]; /* rank 1 */
        ok(omma_effective_rank(&r, s, x, n, w, false, &arena, &err));
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++) {
                double d = 0;
                for (int c = 0; c < w; c++) d += (double)x[i * w + c] * (double)x[j * w + c];
                two += i == j ? d : 0, four += d * d;
            }
        for (int i = 0; i < few; i++) {
            if (i) assert_true(s[i] <= s[i - 1]);
            got_two += s[i] * s[i], got_four += pow(s[i], 4);
        }
        assert_true(fabs(got_two / two - 1) < 1e-13 && fabs(got_four / four - 1) < 1e-13);
        assert_true(r >= 1 - 1e-12 && r <= few + 1e-9);
        if (trial % 4 == 1) NEAR(r, 1, 1e-12);
    }
}

/* --- maps ------------------------------------------------------------------------------------- */

static void spectra(void **state) {
    (void)state;
    static const int sizes[2][3] = {{6, 6, 3}, {5, 8, 2}};
    for (int k = 0; k < 2; k++) {
        const int h = sizes[k][0], w = sizes[k][1], c = sizes[k][2];
        float last[108], first[108];
        double out[40], again[40], radial[16], diagonal[3], variance;
        char name[32];
        noise n = {(uint32_t)(6 + k)};
        noise_fill(&n, last, h * w * c, true);
        for (int i = 0; i < h * w * c; i++) first[i % c * h * w + i / c] = last[i];
        const omma_feature_map m = {last, h, w, c, w * c, c, 1};
        ok(omma_fourier_log(out, &m, &arena, &err));
        ok(omma_fourier_log(again, &(omma_feature_map){first, h, w, c, w, 1, h * w}, &arena, &err));
        assert_memory_equal(out, again,
                            (size_t)(h * w) * sizeof *out); /* the layout is no matter */
        snprintf(name, sizeof name, "fourier.%d", 6 + k);
        gold_check(name, out, h * w, 1e-12);
        snprintf(name, sizeof name, "radial.%d", 6 + k);
        omma_fourier_radial(radial, out, h, w);
        gold_check(name, radial, (int)omma_radial_bins(h, w), 1e-12);
        for (int i = 0; i < 3; i++) diagonal[i] = out[i * w + i];
        if (h == w) gold_check("diagonal.6", diagonal, 3, 1e-12);
        ok(omma_feature_variance(&variance, &m, &err));
        snprintf(name, sizeof name, "variance.%d", 6 + k);
        gold_check(name, &variance, 1, 1e-14);
    }
}

/* A wave has one frequency; a map that does not vary has only frequency 0. */
static void waves(void **state) {
    (void)state;
    enum { N = 16 };
    float map[N * N];
    double out[N * N], radial[16], variance;
    const omma_feature_map m = {map, N, N, 1, N, 1, 1};
    for (int i = 0; i < N * N; i++) map[i] = (float)cos(2 * acos(-1) * 3 * (i % N) / N);
    ok(omma_fourier_log(out, &m, &arena, &err));
    for (int i = 0; i < N * N; i++) {
        if (i == 3 || i == N - 3) NEAR(out[i], log(N * N / 2 + 1e-6), 1e-6);
        else assert_true(out[i] < log(1e-4));
    }
    omma_fourier_radial(radial, out, N, N);
    assert_int_equal(omma_radial_bins(N, N), 12); /* the corner: sqrt(2) * 8 = 11.3 */
    for (int k = 0; k < 12; k++) assert_true(k == 3 || radial[k] < radial[3]);
    ok(omma_feature_variance(&variance, &m, &err));
    NEAR(variance, .5 * N * N / (N * N - 1), 1e-6);
    for (int i = 0; i < N * N; i++) map[i] = 2;
    ok(omma_fourier_log(out, &m, &arena, &err));
    NEAR(out[0], log(2 * N * N), 1e-6);
    for (int i = 1; i < N * N; i++) assert_true(out[i] < log(1e-5));
    ok(omma_feature_variance(&variance, &m, &err));
    assert_true(variance == 0);
    const omma_feature_map point = {map, 1, 1, 1, 1, 1, 1};
    ok(omma_feature_variance(&variance, &point, &err));
    assert_true(isnan(variance) && omma_radial_bins(1, 1) == 1);
}

/* --- outliers --------------------------------------------------------------------------------- */

/* Norms 1 2 3 4 100: median 3, MAD 1. */
static void outliers(void **state) {
    (void)state;
    const float x[] = {1, 0, 0, 2, -3, 0, 0, 4, 60, 80};
    const uint8_t counted[] = {1, 1, 1, 1, 0}, none[5] = {0};
    double norm[5], z[10];
    omma_outliers o;
    ok(omma_outliers_find(&o, norm, z, x, 5, 2, NULL, OMMA_OUTLIER_Z, &arena, &err));
    assert_true(o.median == 3 && o.mad == 1 && o.high == 1 && o.low == 0 && norm[4] == 100);
    NEAR(z[0], -2 * .6745, 1e-15);
    NEAR(z[4], 97 * .6745, 1e-15);
    ok(omma_outliers_find(&o, NULL, z, x, 5, 2, counted, 1, &arena, &err));
    assert_true(o.median == 2.5 && o.mad == 1 && o.high == 1 && o.low == 1);
    NEAR(z[4], 97.5 * .6745, 1e-15); /* it has a score, but is not counted */
    assert_int_equal(omma_outliers_find(&o, norm, z, x, 5, 2, none, 1, &arena, &err), OMMA_E_RANGE);
    /* most have one norm: MAD is 0, and yet one sticks out */
    const float most[] = {2, 2, -2, 2, 2, 2, 22, 2, 2, 2};
    ok(omma_outliers_find(&o, NULL, z, most, 10, 1, NULL, OMMA_OUTLIER_Z, &arena, &err));
    assert_true(o.mad == 0 && o.high == 1 && z[0] == 0);
    NEAR(z[6], 20 / (1.2533 * 2), 1e-15);
    ok(omma_outliers_find(&o, NULL, z, most, 6, 1, NULL, OMMA_OUTLIER_Z, &arena, &err));
    assert_true(o.high == 0 && z[5] == 0);
}

/* --- deformable attention --------------------------------------------------------------------- */

static void deformed(void **state) {
    (void)state;
    const int64_t height[] = {2, 4}, width[] = {3, 8}, points[] = {2, 2};
    const float offset[2 * 4 * 2] = {0, 0, 3, -2, 8, 4, -1, 1, .5f, 1, 0, 0, 0, 0, 2, 2};
    const float point[] = {.25f, .5f}, box[] = {.5f, .25f, .5f, .125f};
    double y[8], x[8];
    omma_deformed d = {offset, point, 1, 2, 2, 1, 2, height, width, points};
    ok(omma_deformed_places(y, x, &d, &err));
    assert_true(x[0] == .25 && y[0] == .5 && x[1] == 1.25 && y[1] == -.5);
    assert_true(x[2] == 1.25 && y[2] == 1.5 && x[3] == .125 && y[3] == .75);
    NEAR(x[4], .25 + .5 / 3, 1e-15); /* the second head */
    assert_true(y[4] == 1 && x[7] == .5 && y[7] == 1);
    d.reference = box, d.reference_width = 4;
    ok(omma_deformed_places(y, x, &d, &err)); /* offset / 2 points * (.5, .125) * .5 */
    assert_true(x[1] == .5 + 3 * .125 && y[1] == .25 - 2 * .03125);
    assert_true(x[2] == .5 + 8 * .125 && y[2] == .25 + 4 * .03125);
    const int64_t more[] = {3, 1}; /* points that differ by level */
    d.points = more;
    ok(omma_deformed_places(y, x, &d, &err));
    NEAR(x[1], .5 + 3 * .25 / 3, 1e-15);
    NEAR(x[2], .5 + 8 * .25 / 3, 1e-15);
    assert_true(x[3] == .5 - .25 && y[3] == .25 + .0625);
}

/* A reference of its own for each level and query. */
static void deformed_levels(void **state) {
    (void)state;
    const int64_t size[] = {2, 4}, points[] = {1, 1};
    const float offset[8] = {0, 0, 0, 0, 1, 1, 1, 1};
    const float reference[8] = {.1f, .2f, .3f, .4f, .5f, .6f, .7f, .8f};
    double y[4], x[4];
    omma_deformed d = {offset, reference, 2, 1, 2, 2, 2, size, size, points};
    ok(omma_deformed_places(y, x, &d, &err));
    for (int i = 0; i < 4; i++) {
        const double moved = i < 2 ? 0 : i == 2 ? .5 : .25;
        NEAR(x[i], (double)reference[2 * i] + moved, 1e-15);
        NEAR(y[i], (double)reference[2 * i + 1] + moved, 1e-15);
    }
    d.reference_levels = 3;
    assert_int_equal(omma_deformed_places(y, x, &d, &err), OMMA_E_SHAPE);
    d.reference_levels = 2, d.reference_width = 3;
    assert_int_equal(omma_deformed_places(y, x, &d, &err), OMMA_E_SHAPE);
    d.reference_width = 2, d.heads = 0;
    assert_int_equal(omma_deformed_places(y, x, &d, &err), OMMA_E_RANGE);
}

static void pixels(void **state) {
    (void)state;
    assert_true(omma_place_pixel(.25, 3) == .25 && omma_place_pixel(.5, 2) == .5);
    NEAR(omma_place_pixel(.9, 3), 2.2, 1e-15);
    NEAR(omma_place_pixel(.1, 2), -.3, 1e-15);
    assert_true(omma_place_pixel(0, 224) == -.5 && omma_place_pixel(1, 224) == 223.5);
}

static void faults(void **state) {
    (void)state;
    const float x[4] = {1, NAN, 0, 1};
    double out[4];
    omma_outliers o;
    const omma_feature_map m = {x, 2, 2, 1, 2, 1, 1}, none = {x, 2, 0, 1, 2, 1, 1};
    assert_int_equal(omma_cosine_matrix(out, x, 2, 2, &arena, &err), OMMA_E_RANGE);
    assert_int_equal(omma_cosine_matrix(out, x, 2, 0, &arena, NULL), OMMA_E_RANGE);
    assert_int_equal(omma_linear_cka(out, x, 2, x, 2, 2, &arena, &err), OMMA_E_RANGE);
    assert_int_equal(omma_linear_cka(out, x, 1, x, 1, 4, &arena, &err), OMMA_E_RANGE);
    assert_int_equal(omma_effective_rank(out, NULL, x, 2, 2, true, &arena, &err), OMMA_E_RANGE);
    assert_int_equal(omma_effective_rank(out, NULL, x, 0, 2, true, &arena, &err), OMMA_E_RANGE);
    assert_int_equal(omma_fourier_log(out, &m, &arena, &err), OMMA_E_RANGE);
    assert_int_equal(omma_fourier_log(out, &none, &arena, &err), OMMA_E_RANGE);
    assert_int_equal(omma_feature_variance(out, &m, &err), OMMA_E_RANGE);
    assert_int_equal(omma_feature_variance(out, &none, &err), OMMA_E_RANGE);
    assert_int_equal(omma_outliers_find(&o, out, out, x, 2, 2, NULL, 3, &arena, &err),
                     OMMA_E_RANGE);
    const float y[4] = {1, 2, 0, 1};
    omma_budget budget = {.limit = 64};
    omma_arena small;
    omma_arena_init(&small, &budget);
    assert_int_equal(omma_cosine_matrix(out, y, 2, 2, &small, &err), OMMA_E_NOMEM);
    assert_int_equal(omma_linear_cka(out, y, 2, y, 2, 2, &small, &err), OMMA_E_NOMEM);
    assert_int_equal(omma_effective_rank(out, NULL, y, 2, 2, true, &small, &err), OMMA_E_NOMEM);
    assert_int_equal(omma_outliers_find(&o, out, out, y, 2, 2, NULL, 3, &small, &err),
                     OMMA_E_NOMEM);
    assert_int_equal(budget.used, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_cka),       cmocka_unit_test(recorded),
        cmocka_unit_test(cka_holds),       cmocka_unit_test(cosines),
        cmocka_unit_test(ranks),           cmocka_unit_test(singular_values),
        cmocka_unit_test(spectra),         cmocka_unit_test(waves),
        cmocka_unit_test(outliers),        cmocka_unit_test(deformed),
        cmocka_unit_test(deformed_levels), cmocka_unit_test(pixels),
        cmocka_unit_test(faults)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

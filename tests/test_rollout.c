/* test_rollout.c - rollout and flow: the known matrices, numpy's numbers, and what must hold of
 * any: rows that sum to 1, flow no less than rollout and no more than what leaves or arrives;
 * windows. */
#include "field/dense.h"
#include "field/rollout.h"

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

/* --- known numbers ---------------------------------------------------------------------------- */

static void two_layers(double *r, const float *a1, const float *a2, int n) {
    double fused[9];
    omma_dense_identity(r, n);
    for (int l = 0; l < 2; l++) {
        ok(omma_heads_fuse(fused, l ? a2 : a1, 1, n, n, OMMA_HEADS_MEAN, &err));
        ok(omma_rollout_layer(r, n, fused, n, OMMA_ROLLOUT_ALPHA, &arena, &err));
    }
}

static void known_rollouts(void **state) {
    (void)state;
    const float a1[] = {.5f, .5f, 0, .25f, .5f, .25f, 0, .5f, .5f};
    const float a2[] = {.6f, .2f, .2f, .1f, .8f, .1f, .3f, .3f, .4f};
    const double want[] = {.6125, .3, .0875, .15, .7, .15, .13125, .325, .54375};
    const float b1[] = {.5f, .5f, .25f, .75f}, b2[] = {.8f, .2f, .4f, .6f};
    const double want_b[] = {.6875, .3125, .25, .75};
    double r[9];
    two_layers(r, a1, a2, 3);
    for (int i = 0; i < 9; i++) NEAR(r[i], want[i], 1e-8); /* floats: .6 is none */
    two_layers(r, b1, b2, 2);
    for (int i = 0; i < 4; i++) NEAR(r[i], want_b[i], 1e-8);
    two_layers(r, a2, a1, 3); /* the order counts */
    assert_true(fabs(r[6] - want[6]) > 1e-3);
}

/* Two layers: sum over the middle of min(M2, M1), M = (A + I) / 2. */
static void known_flow(void **state) {
    (void)state;
    const double a1[] = {.5, .5, .25, .75}, a2[] = {.8, .2, .4, .6};
    const double want[] = {.75 + .1, .25 + .1, .2 + .125, .2 + .8};
    const double *const fused[] = {a1, a2};
    const int64_t all[] = {0, 1};
    double flow[4];
    ok(omma_flow(flow, &(omma_flow_ask){fused, 2, 2, .5, all, all, 2, 2}, &arena, &err));
    for (int i = 0; i < 4; i++) NEAR(flow[i], want[i], 1e-15);
}

/* One layer is its matrix. In three, the first way that is found (0-0-0-0) must be taken back in
 * part: 0-0-1-0 and 0-1-0-0 are the two ways that fill everything. */
static void small_nets(void **state) {
    (void)state;
    const double one[] = {.25, .75, .5, .5}, half[] = {.5, .5, .5, .5}, turn[] = {.5, .5, 1, 0};
    const double *const single[] = {one}, *const three[] = {half, turn, half};
    const int64_t all[] = {0, 1};
    double flow[4];
    ok(omma_flow(flow, &(omma_flow_ask){single, 1, 2, 1, all, all, 2, 2}, &arena, &err));
    for (int i = 0; i < 4; i++) assert_true(flow[i] == one[i]);
    ok(omma_flow(flow, &(omma_flow_ask){three, 3, 2, 1, all, all, 2, 2}, &arena, &err));
    for (int i = 0; i < 4; i++) assert_true(flow[i] == 1);
}

static void recorded(void **state) {
    (void)state;
    enum { LAYERS = 4, HEADS = 3, N = 5 };
    float a[LAYERS * HEADS * N * N];
    double fused[LAYERS][N * N], r[N * N], flow[N * N];
    noise n = {2};
    fill_attention(&n, a, LAYERS * HEADS, N, N);
    for (int f = 0; f < OMMA_HEAD_FUSIONS; f++) {
        char name[32];
        omma_dense_identity(r, N);
        for (int l = 0; l < LAYERS; l++) {
            ok(omma_heads_fuse(fused[l], a + l * HEADS * N * N, HEADS, N, N, (omma_head_fusion)f,
                               &err));
            ok(omma_rollout_layer(r, N, fused[l], N, .5, &arena, &err));
        }
        snprintf(name, sizeof name, "rollout.%s", omma_head_fusion_name((omma_head_fusion)f));
        gold_check(name, r, N * N, 1e-14);
    }
    omma_dense_identity(r, N);
    const double *layers[LAYERS];
    const int64_t all[] = {0, 1, 2, 3, 4};
    for (int l = 0; l < LAYERS; l++) {
        ok(omma_heads_fuse(fused[l], a + l * HEADS * N * N, HEADS, N, N, OMMA_HEADS_MEAN, &err));
        for (int i = 0; i < N * N; i++) fused[l][i] *= fused[l][i];
        ok(omma_rollout_layer(r, N, fused[l], N, .7, &arena, &err));
        layers[l] = fused[l];
    }
    gold_check("rollout.alpha", r, N * N, 1e-14);
    ok(omma_flow(flow, &(omma_flow_ask){layers, LAYERS, N, .7, all, all, N, N}, &arena, &err));
    gold_check("flow", flow, N * N, 1e-12);
}

/* --- what must hold --------------------------------------------------------------------------- */

/* The widest way from token i at the top to token j at the bottom. */
static double widest(const double *const *mixed, int layers, int n, int i, int j) {
    double best[16], next[16];
    for (int k = 0; k < n; k++) best[k] = k == i ? 1 : 0;
    for (int l = layers - 1; l >= 0; l--) {
        for (int k = 0; k < n; k++) {
            next[k] = 0;
            for (int m = 0; m < n; m++) next[k] = fmax(next[k], fmin(best[m], mixed[l][m * n + k]));
        }
        memcpy(best, next, sizeof best);
    }
    return best[j];
}

/* By augmenting along any way, on the whole dense matrix. */
typedef struct slow {
    double left[90][90];
    bool seen[90];
    int nodes, sink;
} slow;

static double push(slow *s, int u, double most) {
    if (u == s->sink) return most;
    s->seen[u] = true;
    for (int v = 0; v < s->nodes; v++) {
        if (s->seen[v] || s->left[u][v] <= 1e-13) continue;
        const double sent = push(s, v, fmin(most, s->left[u][v]));
        if (sent == 0) continue;
        s->left[u][v] -= sent;
        s->left[v][u] += sent;
        return sent;
    }
    return 0;
}

static double slow_flow(const double *const *mixed, int layers, int n, int i, int j) {
    static slow s;
    double total = 0, sent;
    memset(&s, 0, sizeof s);
    s.nodes = (layers + 1) * n, s.sink = j;
    for (int l = 0; l < layers; l++)
        for (int k = 0; k < n * n; k++) s.left[(l + 1) * n + k / n][l * n + k % n] = mixed[l][k];
    do {
        memset(s.seen, 0, sizeof s.seen);
        total += sent = push(&s, layers * n + i, INFINITY);
    } while (sent > 0);
    return total;
}

static void random_stacks(void **state) {
    (void)state;
    enum { MOST = 9, LAYERS = 6 };
    static float a[2 * MOST * MOST];
    for (int trial = 0; trial < rounds(200); trial++) {
        double fused[LAYERS][MOST * MOST], mixed[LAYERS][MOST * MOST], r[MOST * MOST], flow[2];
        const double *use[LAYERS], *of[LAYERS];
        const int n = rng_int(2, MOST), layers = rng_int(1, LAYERS);
        const omma_head_fusion how = (omma_head_fusion)rng_int(0, 2);
        const double alpha = rng_int(1, 10) / 10.;
        noise seed = {rng()};
        omma_dense_identity(r, n);
        for (int l = 0; l < layers; l++) {
            fill_attention(&seed, a, 2, n, n);
            for (int i = 0; i < 2 * n * n; i++) /* holes, but never a whole row of min */
                if (i / n % n != i % n && a[i] < .05f) a[i] = 0;
            ok(omma_heads_fuse(fused[l], a, 2, n, n, how, &err));
            ok(omma_rollout_layer(r, n, fused[l], n, alpha, &arena, &err));
            ok(omma_rollout_mix(mixed[l], fused[l], n, alpha, &err));
            use[l] = fused[l], of[l] = mixed[l];
        }
        for (int i = 0; i < n; i++) {
            double sum = 0;
            for (int j = 0; j < n; j++) sum += r[i * n + j];
            NEAR(sum, 1, 1e-13);
        }
        const int64_t from[] = {rng_int(0, n - 1)}, to[] = {rng_int(0, n - 1), rng_int(0, n - 1)};
        ok(omma_flow(flow, &(omma_flow_ask){use, layers, n, alpha, from, to, 1, 2}, &arena, &err));
        for (int k = 0; k < 2; k++) {
            double arrives = 0;
            for (int i = 0; i < n; i++) arrives += mixed[0][i * n + to[k]];
            const int i = (int)from[0], j = (int)to[k];
            assert_true(flow[k] <= fmin(1, arrives) + 1e-12);
            assert_true(flow[k] >= r[i * n + j] - 1e-12);
            assert_true(flow[k] >= widest(of, layers, n, i, j) - 1e-12);
            NEAR(flow[k], slow_flow(of, layers, n, i, j), 1e-10);
        }
    }
}

/* Fusing by max gives attention more against the residual than the mean does. */
static void max_inflates(void **state) {
    (void)state;
    const float a[8] = {1, 0, 0, 1, 0, 1, 1, 0};
    double fused[4], mixed[3][4];
    for (int f = 0; f < 3; f++) {
        ok(omma_heads_fuse(fused, a, 2, 2, 2, (omma_head_fusion)f, &err));
        ok(omma_rollout_mix(mixed[f], fused, 2, .5, &err));
    }
    NEAR(mixed[OMMA_HEADS_MEAN][0], .75, 1e-15);
    NEAR(mixed[OMMA_HEADS_MAX][0], 2 / 3., 1e-15);
    NEAR(mixed[OMMA_HEADS_MIN][0], 1, 1e-15);
}

/* Windows of a shifted row of 6 tokens, one of them padded, against the matrix they stand for. */
static void windows(void **state) {
    (void)state;
    enum { WINDOWS = 3, HEADS = 2, SIDE = 3, N = 7 };
    float a[WINDOWS * HEADS * SIDE * SIDE];
    double fused[N * N], want[N * N] = {0};
    const int64_t token[WINDOWS * SIDE] = {2, 3, 4, 5, 6, 0, 1, -1, -1};
    noise n = {9};
    fill_attention(&n, a, WINDOWS * HEADS, SIDE, SIDE);
    for (int i = 0; i < WINDOWS * SIDE * SIDE; i++) {
        const int w = i / 9, q = i / 3 % 3, k = i % 3;
        const int64_t row = token[w * 3 + q], column = token[w * 3 + k];
        if (row < 0 || column < 0) continue;
        want[row * N + column] =
            ((double)a[(w * 2) * 9 + q * 3 + k] + (double)a[(w * 2 + 1) * 9 + q * 3 + k]) / 2;
    }
    omma_windows w = {a, WINDOWS, HEADS, SIDE, SIDE, token, token, N, N};
    ok(omma_windows_fuse(fused, &w, OMMA_HEADS_MEAN, &err));
    assert_memory_equal(fused, want, sizeof want);
    w.rows = 6;
    assert_int_equal(omma_windows_fuse(fused, &w, OMMA_HEADS_MEAN, &err), OMMA_E_RANGE);
}

/* What queries are made of: A_cross R_enc. */
static void queries(void **state) {
    (void)state;
    const double cross[] = {.25, .75, 0, 1, 0, 0}, r[] = {1, 0, .5, .5, 0, 1};
    double out[4];
    omma_rollout_cross(out, cross, 2, r, 3, 2);
    assert_true(out[0] == .625 && out[1] == .375 && out[2] == 1 && out[3] == 0);
}

/* At the size of a ViT: 12 layers of 197 tokens. */
static void of_a_vit(void **state) {
    (void)state;
    enum { N = 197, LAYERS = 12 };
    static float a[N * N];
    static double fused[LAYERS][N * N], r[N * N];
    const double *use[LAYERS];
    const int64_t from[] = {0}, to[] = {0, 100};
    double flow[2];
    noise seed = {11};
    omma_dense_identity(r, N);
    for (int l = 0; l < LAYERS; l++) {
        fill_attention(&seed, a, 1, N, N);
        ok(omma_heads_fuse(fused[l], a, 1, N, N, OMMA_HEADS_MEAN, &err));
        ok(omma_rollout_layer(r, N, fused[l], N, .5, &arena, &err));
        use[l] = fused[l];
    }
    ok(omma_flow(flow, &(omma_flow_ask){use, LAYERS, N, .5, from, to, 1, 2}, &arena, &err));
    for (int k = 0; k < 2; k++) assert_true(flow[k] > r[to[k]] && flow[k] <= 1 + 1e-12);
}

static void faults(void **state) {
    (void)state;
    const float bad[4] = {1, -1, 0, 1};
    double fused[4] = {0, 0, 0, 1}, mixed[4];
    const double *const layers[] = {fused};
    const int64_t token[] = {2}, none[] = {0};
    assert_int_equal(omma_heads_fuse(mixed, bad, 1, 2, 2, 0, &err), OMMA_E_RANGE);
    assert_int_equal(omma_heads_fuse(mixed, bad, 0, 2, 2, 0, &err), OMMA_E_RANGE);
    assert_int_equal(omma_rollout_mix(mixed, fused, 2, 1, &err), OMMA_E_RANGE);
    assert_int_equal(omma_rollout_mix(mixed, fused, 2, 1.5, &err), OMMA_E_USAGE);
    assert_int_equal(omma_rollout_mix(mixed, fused, 2, NAN, &err), OMMA_E_USAGE);
    assert_int_equal(omma_rollout_mix(mixed, fused, 2, .5, &err), OMMA_OK);
    fused[1] = INFINITY;
    assert_int_equal(omma_rollout_layer(mixed, 2, fused, 2, .5, &arena, NULL), OMMA_E_RANGE);
    fused[1] = 0;
    omma_flow_ask ask = {layers, 1, 2, .5, token, none, 1, 1};
    assert_int_equal(omma_flow(mixed, &ask, &arena, &err), OMMA_E_USAGE);
    ask.from = none, ask.layers = 0;
    assert_int_equal(omma_flow(mixed, &ask, &arena, &err), OMMA_E_RANGE);
    omma_budget budget = {.limit = 64};
    omma_arena small;
    omma_arena_init(&small, &budget);
    ask.layers = 1;
    assert_int_equal(omma_flow(mixed, &ask, &small, &err), OMMA_E_NOMEM);
    assert_int_equal(omma_rollout_layer(mixed, 2, fused, 2, .5, &small, &err), OMMA_E_NOMEM);
    assert_int_equal(budget.used, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_rollouts), cmocka_unit_test(known_flow),
        cmocka_unit_test(small_nets),     cmocka_unit_test(recorded),
        cmocka_unit_test(random_stacks),  cmocka_unit_test(max_inflates),
        cmocka_unit_test(windows),        cmocka_unit_test(queries),
        cmocka_unit_test(of_a_vit),       cmocka_unit_test(faults)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

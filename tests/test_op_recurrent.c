/* test_op_recurrent.c - LSTM and GRU against their equations in plain loops, over random
 * shapes with every option on and off: directions, layouts, lengths, initial states,
 * peepholes, clips, activations, types, constant weights; then broken models. */
#include <math.h>
#include <stdlib.h>

#include "movement.h"

static uint32_t seed = 7;

static uint32_t rnd(uint32_t n) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

static const char *const names[] = {
    "Relu",       "Tanh",        "Sigmoid", "Affine",   "LeakyRelu", "ThresholdedRelu",
    "ScaledTanh", "HardSigmoid", "Elu",     "Softsign", "Softplus"};

typedef struct cell {
    bool gru, linear, coupled, batch_first, bias, lens, init, peep, activations;
    int dirs, first_reversed, n_acts;
    int64_t steps, batch, in, hidden, gates;
    double clip;
    int kind[6];
    float alpha[6], beta[6];
    double *x, *w, *r, *b, *h0, *c0, *p;
    int32_t len[4];
    double *y, *yh, *yc; /* the answer, layout 0 */
} cell;

static double *numbers(int64_t n) {
    double *p = test_malloc((size_t)n * sizeof *p + 1);
    for (int64_t i = 0; i < n; i++) p[i] = ((double)rnd(2001) - 1000) / 3000;
    return p;
}

static cell random_cell(void) {
    cell c = {.gru = rnd(2),
              .linear = rnd(2),
              .coupled = rnd(4) == 0,
              .batch_first = rnd(2),
              .bias = rnd(2),
              .lens = rnd(2),
              .init = rnd(2),
              .peep = rnd(2),
              .activations = rnd(2),
              .steps = 1 + rnd(6),
              .batch = 1 + rnd(4),
              .in = 1 + rnd(20),
              .hidden = 1 + rnd(20),
              .clip = rnd(3) ? 0 : 0.7};
    c.dirs = 1 + (int)rnd(2), c.first_reversed = c.dirs == 1 && rnd(2);
    c.n_acts = c.gru ? 2 : 3;
    c.gates = (c.gru ? 3 : 4) * c.hidden;
    c.coupled = c.coupled && !c.gru, c.peep = c.peep && !c.gru, c.linear = c.linear && c.gru;
    for (int i = 0; i < 6; i++)
        c.kind[i] = (int)rnd(11), c.alpha[i] = (float)rnd(10) / 10, c.beta[i] = (float)rnd(10) / 10;
    if (!c.activations)
        for (int i = 0; i < 6; i++) c.kind[i] = i % c.n_acts ? 1 : 2;
    c.x = numbers(c.steps * c.batch * c.in), c.w = numbers(c.dirs * c.gates * c.in),
    c.r = numbers(c.dirs * c.gates * c.hidden);
    c.b = numbers(c.dirs * 2 * c.gates), c.p = numbers(c.dirs * 3 * c.hidden);
    c.h0 = numbers(c.dirs * c.batch * c.hidden), c.c0 = numbers(c.dirs * c.batch * c.hidden);
    c.y = test_calloc((size_t)(c.steps * c.dirs * c.batch * c.hidden), sizeof *c.y);
    c.yh = test_calloc((size_t)(c.dirs * c.batch * c.hidden), sizeof *c.y),
    c.yc = test_calloc((size_t)(c.dirs * c.batch * c.hidden), sizeof *c.y);
    for (int i = 0; i < 4; i++)
        c.len[i] = c.lens ? (int32_t)rnd((uint32_t)c.steps + 1) : (int32_t)c.steps;
    return c;
}

static void free_cell(cell *c) {
    double *all[] = {c->x, c->w, c->r, c->b, c->h0, c->c0, c->p, c->y, c->yh, c->yc};
    for (int i = 0; i < 10; i++) test_free(all[i]);
}

/* --- the equations ---------------------------------------------------------------------- */

static double act(const cell *c, int dir, int i, double x) {
    const int n = dir * c->n_acts + i;
    const double a = (double)c->alpha[n], b = (double)c->beta[n];
    if (c->clip > 0) x = x < -c->clip ? -c->clip : x > c->clip ? c->clip : x;
    switch (c->kind[n]) {
    case 0: return x < 0 ? 0 : x;
    case 1: return tanh(x);
    case 2: return 1 / (1 + exp(-x));
    case 3: return a * x + b;
    case 4: return x < 0 ? a * x : x;
    case 5: return x > a ? x : 0;
    case 6: return a * tanh(b * x);
    case 7: return fmin(fmax(a * x + b, 0), 1);
    case 8: return x < 0 ? a * (exp(x) - 1) : x;
    case 9: return x / (1 + fabs(x));
    default: return log(1 + exp(x));
    }
}

/* Row g of w, r and the biases: w x + wb (+ r h + rb). */
static double row_w(const cell *c, int d, int64_t g, const double *x) {
    double s = c->bias ? c->b[d * 2 * c->gates + g] : 0;
    for (int64_t i = 0; i < c->in; i++) s += c->w[(d * c->gates + g) * c->in + i] * x[i];
    return s;
}

static double row_r(const cell *c, int d, int64_t g, const double *h) {
    double s = c->bias ? c->b[d * 2 * c->gates + c->gates + g] : 0;
    for (int64_t i = 0; i < c->hidden; i++) s += c->r[(d * c->gates + g) * c->hidden + i] * h[i];
    return s;
}

static void lstm(const cell *c, int d, const double *x, double *h, double *s) {
    const int64_t n = c->hidden;
    double next[32];
    const double *p = c->p + d * 3 * n;
    for (int64_t k = 0; k < n; k++) {
        double g[4];
        for (int i = 0; i < 4; i++) g[i] = row_w(c, d, i * n + k, x) + row_r(c, d, i * n + k, h);
        const double i = act(c, d, 0, g[0] + (c->peep ? p[k] * s[k] : 0));
        const double f =
            c->coupled ? 1 - i : act(c, d, 0, g[2] + (c->peep ? p[2 * n + k] * s[k] : 0));
        s[k] = f * s[k] + i * act(c, d, 1, g[3]);
        next[k] = act(c, d, 0, g[1] + (c->peep ? p[n + k] * s[k] : 0)) * act(c, d, 2, s[k]);
    }
    memcpy(h, next, (size_t)n * sizeof *h);
}

static void gru(const cell *c, int d, const double *x, double *h) {
    const int64_t n = c->hidden;
    double z[32], r[32], rh[32], next[32];
    for (int64_t k = 0; k < n; k++) {
        z[k] = act(c, d, 0, row_w(c, d, k, x) + row_r(c, d, k, h));
        r[k] = act(c, d, 0, row_w(c, d, n + k, x) + row_r(c, d, n + k, h));
        rh[k] = r[k] * h[k];
    }
    for (int64_t k = 0; k < n; k++) {
        const double s = c->linear ? r[k] * row_r(c, d, 2 * n + k, h) : row_r(c, d, 2 * n + k, rh);
        next[k] = (1 - z[k]) * act(c, d, 1, row_w(c, d, 2 * n + k, x) + s) + z[k] * h[k];
    }
    memcpy(h, next, (size_t)n * sizeof *h);
}

static void answer(cell *c) {
    const int64_t n = c->hidden;
    for (int d = 0; d < c->dirs; d++)
        for (int64_t b = 0; b < c->batch; b++) {
            double *h = c->yh + (d * c->batch + b) * n, *s = c->yc + (d * c->batch + b) * n;
            for (int64_t k = 0; k < n && c->init; k++)
                h[k] = c->h0[(d * c->batch + b) * n + k], s[k] = c->c0[(d * c->batch + b) * n + k];
            for (int64_t i = 0; i < c->len[b]; i++) {
                const int64_t t = d || c->first_reversed ? c->len[b] - 1 - i : i;
                const double *x = c->x + (t * c->batch + b) * c->in;
                if (c->gru) gru(c, d, x, h);
                else lstm(c, d, x, h, s);
                memcpy(c->y + ((t * c->dirs + d) * c->batch + b) * n, h, (size_t)n * sizeof *h);
            }
        }
}

/* --- putting it in and looking at what comes out -------------------------------------------- */

/* x of dims [a, b, rest], with the first two axes changed over if asked for. */
static void put(optest *t, omma_dtype type, bool constant, const double *x, int64_t a, int64_t b,
                int64_t rest, bool swap, int rank) {
    char *data = test_malloc((size_t)(a * b * rest) * 8 + 1);
    for (int64_t i = 0; i < a * b * rest; i++) {
        const int64_t k = i % rest, q = i / rest % b, p = i / rest / b;
        omma_set_number(type, data, swap ? (q * a + p) * rest + k : i, x[i]);
    }
    if (rank == 2) optest_put(t, constant, type, data, 2, I(a, rest));
    else optest_put(t, constant, type, data, 3, swap ? I(b, a, rest) : I(a, b, rest));
    test_free(data);
}

static optest *put_cell(const cell *c, omma_dtype type, bool constant) {
    static const char *const directions[] = {"forward", "reverse", "bidirectional"};
    optest *t = optest_new(c->gru ? "GRU" : "LSTM", 14);
    const char **list = omma_arena_alloc(&t->arena, 6 * sizeof *list);
    const int all = c->dirs * c->n_acts;
    for (int i = 0; i < all; i++) list[i] = names[c->kind[i]];
    put(t, type, false, c->x, c->steps, c->batch, c->in, c->batch_first, 3);
    put(t, type, constant, c->w, c->dirs, c->gates, c->in, false, 3);
    put(t, type, constant, c->r, c->dirs, c->gates, c->hidden, false, 3);
    if (c->bias) put(t, type, false, c->b, c->dirs, 1, 2 * c->gates, false, 2);
    else optest_skip(t);
    if (c->lens) optest_put(t, false, OMMA_I32, c->len, 1, I(c->batch));
    else optest_skip(t);
    if (c->init) put(t, type, false, c->h0, c->dirs, c->batch, c->hidden, c->batch_first, 3);
    else optest_skip(t);
    if (!c->gru && c->init)
        put(t, type, false, c->c0, c->dirs, c->batch, c->hidden, c->batch_first, 3);
    if (!c->gru && !c->init) optest_skip(t);
    if (c->peep) put(t, type, false, c->p, c->dirs, 1, 3 * c->hidden, false, 2);
    optest_string(t, "direction", directions[c->dirs == 2 ? 2 : c->first_reversed]);
    if (c->clip > 0) optest_float(t, "clip", (float)c->clip);
    optest_int(t, "layout", c->batch_first), optest_int(t, "hidden_size", c->hidden);
    optest_int(t, "linear_before_reset", c->linear), optest_int(t, "input_forget", c->coupled);
    if (c->activations) {
        t->attrs[t->n_attrs++] = (omma_attr){
            .name = "activations", .kind = OMMA_ATTR_STRINGS, .strings = list, .count = all};
        t->attrs[t->n_attrs++] = (omma_attr){
            .name = "activation_alpha", .kind = OMMA_ATTR_FLOATS, .floats = c->alpha, .count = all};
        t->attrs[t->n_attrs++] = (omma_attr){
            .name = "activation_beta", .kind = OMMA_ATTR_FLOATS, .floats = c->beta, .count = all};
    }
    return t;
}

static void near(const omma_tensor *got, int64_t i, double want, double tolerance) {
    const double v = omma_get_number(got->dtype, got->data, i);
    if (!(fabs(v - want) <= tolerance * fmax(1, fabs(want))))
        fail_msg("number %lld is %g, not %g", (long long)i, v, want);
}

static void check(const cell *c, const omma_tensor *out, double tolerance) {
    for (int64_t i = 0; i < c->steps * c->dirs * c->batch * c->hidden; i++) {
        const int64_t k = i % c->hidden, b = i / c->hidden % c->batch,
                      d = i / c->hidden / c->batch % c->dirs,
                      t = i / c->hidden / c->batch / c->dirs;
        near(&out[0], c->batch_first ? ((b * c->steps + t) * c->dirs + d) * c->hidden + k : i,
             c->y[i], tolerance);
    }
    for (int64_t i = 0; i < c->dirs * c->batch * c->hidden; i++) {
        const int64_t k = i % c->hidden, b = i / c->hidden % c->batch, d = i / c->hidden / c->batch;
        const int64_t at = c->batch_first ? (b * c->dirs + d) * c->hidden + k : i;
        near(&out[1], at, c->yh[i], tolerance);
        if (!c->gru) near(&out[2], at, c->yc[i], tolerance);
    }
}

static void equations(void **state) {
    (void)state;
    static const omma_dtype types[] = {OMMA_F32, OMMA_F32, OMMA_F64, OMMA_F16, OMMA_BF16};
    static const double tolerance[] = {1e-4, 1e-4, 1e-4, 5e-2, 4e-1};
    for (int i = 0; i < 600; i++) {
        cell c = random_cell();
        const int type = c.activations ? i % 3 : i % 5; /* a threshold is no matter for halves */
        answer(&c);
        optest *t = put_cell(&c, types[type], i % 2), *alone = put_cell(&c, types[type], i % 2);
        const int n_out = c.gru ? 2 : 3;
        check(&c, optest_run(t, n_out), tolerance[type]);
        assert_int_equal(optest_try(alone, n_out, 1), OMMA_OK);
        for (int k = 0; k < n_out; k++)
            assert_memory_equal(t->out[k].data, alone->out[k].data,
                                (size_t)omma_tensor_count(&t->out[k]) *
                                    omma_dtype_size(types[type]));
        optest_free(t), optest_free(alone);
        free_cell(&c);
    }
}

/* Alphas fewer than activations go to those that take one. */
static void alphas_in_order(void **state) {
    (void)state;
    static const char *list[] = {"Sigmoid", "LeakyRelu", "ScaledTanh"};
    static const float alpha[] = {0.5f, 2}, beta[] = {3};
    cell c = {.steps = 1,
              .batch = 1,
              .in = 1,
              .hidden = 1,
              .gates = 4,
              .dirs = 1,
              .n_acts = 3,
              .len = {1},
              .kind = {2, 4, 6},
              .alpha = {0, 0.5f, 2},
              .beta = {0, 0, 3}};
    double x[] = {-1}, w[] = {1, 1, 1, 1}, r[] = {0, 0, 0, 0}, y[1], h[1] = {0}, s[1] = {0};
    c.x = x, c.w = w, c.r = r, c.y = y, c.yh = h, c.yc = s;
    answer(&c);
    optest *t = put_cell(&c, OMMA_F32, true);
    t->attrs[t->n_attrs++] =
        (omma_attr){.name = "activations", .kind = OMMA_ATTR_STRINGS, .strings = list, .count = 3};
    t->attrs[t->n_attrs++] = (omma_attr){
        .name = "activation_alpha", .kind = OMMA_ATTR_FLOATS, .floats = alpha, .count = 2};
    t->attrs[t->n_attrs++] = (omma_attr){
        .name = "activation_beta", .kind = OMMA_ATTR_FLOATS, .floats = beta, .count = 1};
    check(&c, optest_run(t, 3), 1e-6);
    optest_free(t);
}

static void refused(void **state) {
    (void)state;
    static const float zeros[64];
    static const char *list[] = {"Sigmoid", "Tanh", "Sine"};
    for (int i = 0; i < 9; i++) {
        optest *t = optest_new("LSTM", 14);
        optest_f32(t, zeros, OPTEST_DIMS(2, 1, 3));
        optest_f32(t, zeros, OPTEST_DIMS(i == 0 ? 2 : 1, i == 1 ? 9 : 8, i == 2 ? 2 : 3));
        optest_f32(t, zeros, OPTEST_DIMS(1, 8, 2));
        if (i == 3) optest_f32(t, zeros, OPTEST_DIMS(1, 8));
        else optest_skip(t);
        if (i == 4) optest_put(t, false, OMMA_I32, (int32_t[]){1, 1}, 1, I(2));
        if (i == 5) optest_string(t, "direction", "sideways");
        if (i == 6) optest_int(t, "hidden_size", 3);
        if (i == 7)
            t->attrs[t->n_attrs++] = (omma_attr){
                .name = "activations", .kind = OMMA_ATTR_STRINGS, .strings = list, .count = 3};
        if (i == 8) optest_float(t, "clip", -1);
        expect_error(t, 3, OMMA_E_SHAPE);
    }
    for (int32_t len = -1; len <= 3; len += 4) { /* lengths come with the data */
        optest *t = optest_new("GRU", 14);
        optest_f32(t, zeros, OPTEST_DIMS(2, 1, 3));
        optest_f32(t, zeros, OPTEST_DIMS(1, 6, 3));
        optest_f32(t, zeros, OPTEST_DIMS(1, 6, 2));
        optest_skip(t);
        optest_put(t, false, OMMA_I32, &len, 1, I(1));
        assert_int_equal(optest_try(t, 2, 2), OMMA_E_RANGE);
        optest_free(t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equations), cmocka_unit_test(alphas_in_order), cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

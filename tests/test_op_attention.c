/* test_op_attention.c - Attention against its definition in plain loops, over random shapes
 * with every option on and off, in every type, on one thread and several; the corners of the
 * definition by hand; and broken models, which must be refused. */
#include <math.h>
#include <stdlib.h>

#include "movement.h"

static uint32_t seed = 5;

static uint32_t rnd(uint32_t n) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

static double real(void) { return (double)rnd(4001) / 1000 - 2; }

/* One case: what goes in, and in the end what comes out. */
typedef struct sdpa {
    int64_t batch, heads, groups, q_len, kv_len, past, d, e;
    bool rank3, causal, has_past, has_mask, mask_bool, has_nonpad;
    float scale, softcap;
    int mode;
    int64_t mask_dims[4];
    int mask_rank;
    double *q, *k, *v, *mask, *past_k, *past_v; /* as [B, heads, rows, numbers] */
    int64_t nonpad[4];
} sdpa;

static double *numbers(int64_t n) {
    double *p = test_malloc((size_t)n * sizeof *p + 1);
    for (int64_t i = 0; i < n; i++) p[i] = real();
    return p;
}

static int64_t total_of(const sdpa *c) { return c->past + c->kv_len; }

static sdpa random_case(void) {
    sdpa c = {.batch = 1 + rnd(3),
              .groups = 1 + rnd(3),
              .q_len = 1 + rnd(20),
              .kv_len = 1 + rnd(20),
              .d = 1 + rnd(20),
              .e = 1 + rnd(20)};
    c.heads = c.groups * (1 + rnd(3));
    c.rank3 = rnd(2), c.causal = rnd(2), c.has_past = rnd(2), c.has_mask = rnd(2),
    c.mask_bool = rnd(2);
    c.has_nonpad = !c.has_past && rnd(2);
    if (c.has_past) c.past = rnd(6);
    c.scale = rnd(2) ? 0 : 0.25f, c.softcap = rnd(2) ? 0 : 1.5f;
    c.mode = (int)rnd(4);
    const int64_t want[4] = {c.batch, c.heads, c.q_len, total_of(&c)};
    c.mask_rank = 1 + (int)rnd(4);
    int64_t count = 1;
    for (int d = 0; d < c.mask_rank; d++) {
        const int axis = 4 - c.mask_rank + d;
        c.mask_dims[d] = axis < 3 && rnd(2) ? 1 : want[axis];
        if (axis == 3 && rnd(3) == 0) c.mask_dims[d] = 1 + rnd((uint32_t)want[3]);
        count *= c.mask_dims[d];
    }
    c.q = numbers(c.batch * c.heads * c.q_len * c.d);
    c.k = numbers(c.batch * c.groups * c.kv_len * c.d),
    c.v = numbers(c.batch * c.groups * c.kv_len * c.e);
    c.past_k = numbers(c.batch * c.groups * c.past * c.d),
    c.past_v = numbers(c.batch * c.groups * c.past * c.e);
    c.mask = numbers(count);
    for (int64_t i = 0; i < count; i++)
        if (c.mask_bool) c.mask[i] = c.mask[i] > -0.5;
        else if (rnd(8) == 0) c.mask[i] = -INFINITY;
    for (int b = 0; b < c.batch; b++) c.nonpad[b] = rnd((uint32_t)c.kv_len + 1);
    return c;
}

static void free_case(sdpa *c) {
    double *all[] = {c->q, c->k, c->v, c->mask, c->past_k, c->past_v};
    for (int i = 0; i < 6; i++) test_free(all[i]);
}

/* x as [B, heads, rows, width], put as it is or as [B, rows, heads * width]. */
static void put(optest *t, omma_dtype type, const double *x, int64_t batch, int64_t heads,
                int64_t rows, int64_t width, bool rank3) {
    char *data = test_malloc((size_t)(batch * heads * rows * width) * 8 + 1);
    for (int64_t b = 0; b < batch; b++)
        for (int64_t h = 0; h < heads; h++)
            for (int64_t r = 0; r < rows; r++)
                for (int64_t i = 0; i < width; i++) {
                    const int64_t from = ((b * heads + h) * rows + r) * width + i;
                    omma_set_number(type, data,
                                    rank3 ? (b * rows + r) * heads * width + h * width + i : from,
                                    x[from]);
                }
    if (rank3) optest_put(t, false, type, data, 3, I(batch, rows, heads * width));
    else optest_put(t, false, type, data, 4, I(batch, heads, rows, width));
    test_free(data);
}

static void put_mask(optest *t, const sdpa *c, omma_dtype type) {
    int64_t count = 1;
    for (int d = 0; d < c->mask_rank; d++) count *= c->mask_dims[d];
    char *data = test_malloc((size_t)count * 8);
    for (int64_t i = 0; i < count; i++)
        omma_set_number(c->mask_bool ? OMMA_BOOL : type, data, i, c->mask[i]);
    optest_put(t, false, c->mask_bool ? OMMA_BOOL : type, data, c->mask_rank, c->mask_dims);
    test_free(data);
}

static optest *put_case(const sdpa *c, omma_dtype type) {
    optest *t = optest_new("Attention", 24);
    put(t, type, c->q, c->batch, c->heads, c->q_len, c->d, c->rank3);
    put(t, type, c->k, c->batch, c->groups, c->kv_len, c->d, c->rank3);
    put(t, type, c->v, c->batch, c->groups, c->kv_len, c->e, c->rank3);
    if (c->has_mask) put_mask(t, c, type);
    else optest_skip(t);
    if (c->has_past) {
        put(t, type, c->past_k, c->batch, c->groups, c->past, c->d, false);
        put(t, type, c->past_v, c->batch, c->groups, c->past, c->e, false);
    } else {
        optest_skip(t), optest_skip(t);
    }
    if (c->has_nonpad) optest_i64(t, c->nonpad, OPTEST_DIMS(c->batch));
    if (c->rank3) optest_int(t, "q_num_heads", c->heads), optest_int(t, "kv_num_heads", c->groups);
    if (c->causal) optest_int(t, "is_causal", 1);
    if (c->scale > 0) optest_float(t, "scale", c->scale);
    if (c->softcap > 0) optest_float(t, "softcap", c->softcap);
    optest_int(t, "qk_matmul_output_mode", c->mode);
    return t;
}

/* --- the definition -------------------------------------------------------------------- */

/* Number i of key (or value) row k of a head: past ones first. */
static double kv_at(const double *past, const double *now, const sdpa *c, int64_t b, int64_t g,
                    int64_t k, int64_t width, int64_t i) {
    const int64_t head = b * c->groups + g;
    if (k < c->past) return past[(head * c->past + k) * width + i];
    return now[(head * c->kv_len + k - c->past) * width + i];
}

static double mask_at(const sdpa *c, int64_t b, int64_t h, int64_t q, int64_t k) {
    const int64_t at[4] = {b, h, q, k};
    int64_t place = 0;
    if (!c->has_mask) return 0;
    for (int d = 0; d < c->mask_rank; d++) {
        const int64_t dim = c->mask_dims[d], i = at[4 - c->mask_rank + d];
        if (d == c->mask_rank - 1 && i >= dim) return -INFINITY; /* shorter than the keys */
        place = place * dim + (dim == 1 ? 0 : i);
    }
    if (c->mask_bool) return c->mask[place] != 0 ? 0 : -INFINITY;
    return c->mask[place];
}

static double order_at(const sdpa *c, int64_t b, int64_t q, int64_t k) {
    const int64_t offset = c->has_past ? c->past : c->has_nonpad ? c->nonpad[b] - c->q_len : 0;
    if (c->has_nonpad && k >= c->nonpad[b]) return -INFINITY;
    return c->causal && k > q + offset ? -INFINITY : 0;
}

/* The weights of one query, and its scores at the stage asked for. */
static void weigh(const sdpa *c, int64_t b, int64_t h, int64_t q, double *w, double *kept) {
    const int64_t total = total_of(c), g = h / (c->heads / c->groups);
    double max = -INFINITY, sum = 0;
    for (int64_t k = 0; k < total; k++) {
        double s = 0;
        for (int64_t i = 0; i < c->d; i++)
            s += c->q[((b * c->heads + h) * c->q_len + q) * c->d + i] *
                 kv_at(c->past_k, c->k, c, b, g, k, c->d, i);
        s *= c->scale > 0 ? (double)c->scale : 1 / sqrt((double)c->d);
        if (c->mode == 0) kept[k] = s;
        if (c->softcap > 0) s = (double)c->softcap * tanh(s / (double)c->softcap);
        if (c->mode == 1) kept[k] = s;
        w[k] = s + mask_at(c, b, h, q, k) + order_at(c, b, q, k);
        if (c->mode == 2) kept[k] = w[k];
        max = fmax(max, w[k]);
    }
    for (int64_t k = 0; k < total; k++) sum += w[k] = max == -INFINITY ? 0 : exp(w[k] - max);
    for (int64_t k = 0; k < total; k++) {
        if (sum > 0) w[k] /= sum;
        if (c->mode == 3) kept[k] = w[k];
    }
}

static void near(double got, double want, double tolerance) {
    if (got == want || fabs(got - want) <= tolerance * fmax(1, fabs(want))) return;
    fail_msg("%g, not %g", got, want);
}

static void check_case(const sdpa *c, const omma_tensor *out, double tolerance) {
    const int64_t total = total_of(c);
    double *w = test_malloc((size_t)total * sizeof *w),
           *kept = test_malloc((size_t)total * sizeof *w);
    for (int64_t i = 0; i < c->batch * c->heads * c->q_len; i++) {
        const int64_t b = i / c->q_len / c->heads, h = i / c->q_len % c->heads, q = i % c->q_len;
        weigh(c, b, h, q, w, kept);
        for (int64_t k = 0; k < total; k++)
            near(omma_get_number(out[3].dtype, out[3].data, i * total + k), kept[k], tolerance);
        for (int64_t n = 0; n < c->e; n++) {
            double y = 0;
            for (int64_t k = 0; k < total; k++)
                y += w[k] * kv_at(c->past_v, c->v, c, b, h / (c->heads / c->groups), k, c->e, n);
            const int64_t at =
                c->rank3 ? (b * c->q_len + q) * c->heads * c->e + h * c->e + n : i * c->e + n;
            near(omma_get_number(out[0].dtype, out[0].data, at), y, tolerance);
        }
    }
    for (int which = 1; which <= 2; which++) {
        const int64_t width = which == 1 ? c->d : c->e;
        for (int64_t i = 0; i < c->batch * c->groups * total * width; i++) {
            const int64_t g = i / width / total;
            near(omma_get_number(out[which].dtype, out[which].data, i),
                 kv_at(which == 1 ? c->past_k : c->past_v, which == 1 ? c->k : c->v, c,
                       g / c->groups, g % c->groups, i / width % total, width, i % width),
                 tolerance);
        }
    }
    test_free(w), test_free(kept);
}

static void same_bits(const omma_tensor *a, const omma_tensor *b) {
    assert_int_equal(omma_tensor_count(a), omma_tensor_count(b));
    if (omma_tensor_count(a))
        assert_memory_equal(a->data, b->data,
                            (size_t)omma_tensor_count(a) * omma_dtype_size(a->dtype));
}

static void definition(void **state) {
    (void)state;
    static const omma_dtype types[] = {OMMA_F32, OMMA_F32, OMMA_F64, OMMA_F16, OMMA_BF16};
    static const double tolerance[] = {1e-5, 1e-5, 1e-6, 1e-2, 1e-1};
    for (int i = 0; i < 400; i++) {
        sdpa c = random_case();
        const int type = i % 5;
        optest *t = put_case(&c, types[type]), *alone = put_case(&c, types[type]),
               *few = put_case(&c, types[type]);
        check_case(&c, optest_run(t, 4), tolerance[type]);
        assert_int_equal(optest_try(alone, 4, 1), OMMA_OK);
        for (int k = 0; k < 4; k++) same_bits(&t->out[k], &alone->out[k]);
        same_bits(&t->out[0], optest_run(few, 1)); /* what is handed out changes nothing */
        optest_free(t), optest_free(alone), optest_free(few);
        free_case(&c);
    }
}

/* More keys and queries than one tile holds, as in a vision transformer. */
static void many_tokens(void **state) {
    (void)state;
    sdpa c = {.batch = 2,
              .heads = 3,
              .groups = 3,
              .q_len = 197,
              .kv_len = 197,
              .d = 64,
              .e = 64,
              .mode = 3,
              .rank3 = true};
    c.q = numbers(2 * 3 * 197 * 64), c.k = numbers(2 * 3 * 197 * 64),
    c.v = numbers(2 * 3 * 197 * 64);
    c.mask = numbers(1), c.past_k = numbers(1), c.past_v = numbers(1);
    for (int rank3 = 0; rank3 < 2; rank3++) {
        c.rank3 = rank3;
        optest *t = put_case(&c, OMMA_F32);
        check_case(&c, optest_run(t, 4), 1e-5);
        optest_free(t);
    }
    free_case(&c);
}

/* --- corners ------------------------------------------------------------------------------ */

/* Two queries, keys and values of one number, so that the scores are 0 and weights even. */
static optest *two(int opset) {
    optest *t = optest_new("Attention", opset);
    optest_f32(t, F(0, 0), OPTEST_DIMS(1, 1, 2, 1));
    optest_f32(t, F(1, 1), OPTEST_DIMS(1, 1, 2, 1));
    optest_f32(t, F(2, 4), OPTEST_DIMS(1, 1, 2, 1));
    return t;
}

static void corners(void **state) {
    (void)state;
    optest *t = two(23); /* a row with every key masked is 0 */
    optest_put(t, false, OMMA_BOOL, "\0\0\1\0", 2, I(2, 2));
    expect(optest_run(t, 1), OMMA_F32, F(0, 2), OPTEST_DIMS(1, 1, 2, 1));
    optest_free(t);
    t = two(23); /* a mask of another type of numbers is added all the same */
    optest_put(t, false, OMMA_I32, (int32_t[]){0, -1000, 0, 0}, 2, I(2, 2));
    expect(optest_run(t, 1), OMMA_F32, F(2, 3), OPTEST_DIMS(1, 1, 2, 1));
    optest_free(t);
    t = two(23); /* one number for all keys */
    optest_f32(t, F(5), OPTEST_DIMS(1, 1));
    expect(optest_run(t, 1), OMMA_F32, F(3, 3), OPTEST_DIMS(1, 1, 2, 1));
    optest_free(t);
    t = two(24); /* since 24 a short mask leaves the other keys out */
    optest_f32(t, F(5), OPTEST_DIMS(1, 1));
    expect(optest_run(t, 1), OMMA_F32, F(2, 2), OPTEST_DIMS(1, 1, 2, 1));
    optest_free(t);
    t = two(23); /* softmax in double */
    optest_int(t, "softmax_precision", OMMA_F64);
    expect(optest_run(t, 1), OMMA_F32, F(3, 3), OPTEST_DIMS(1, 1, 2, 1));
    optest_free(t);
    t = optest_new("Attention", 23); /* no keys at all */
    optest_f32(t, F(1, 2), OPTEST_DIMS(1, 1, 2, 1));
    optest_f32(t, none_f32, OPTEST_DIMS(1, 1, 0, 1));
    optest_f32(t, none_f32, OPTEST_DIMS(1, 1, 0, 3));
    expect(optest_run(t, 1), OMMA_F32, F(0, 0, 0, 0, 0, 0), OPTEST_DIMS(1, 1, 2, 3));
    optest_free(t);
    t = two(24);
    optest_skip(t), optest_skip(t), optest_skip(t);
    optest_i64(t, I(3), OPTEST_DIMS(1));
    assert_int_equal(optest_try(t, 1, 2), OMMA_E_RANGE);
    optest_free(t);
}

static optest *of(int64_t q0, int64_t q1, int64_t k1, int64_t k2, int64_t v2) {
    static const float zeros[64];
    optest *t = optest_new("Attention", 23);
    optest_f32(t, zeros, OPTEST_DIMS(q0, q1, 2, 2));
    optest_f32(t, zeros, OPTEST_DIMS(1, k1, k2, 2));
    optest_f32(t, zeros, OPTEST_DIMS(1, k1, v2, 2));
    return t;
}

static void refused(void **state) {
    (void)state;
    static const float zeros[64];
    static const struct {
        const char *name;
        int64_t v;
    } bad[] = {{"qk_matmul_output_mode", 4},
               {"qk_matmul_output_mode", -1},
               {"softmax_precision", OMMA_I64},
               {"softmax_precision", INT64_MIN}};
    expect_error(of(2, 2, 2, 2, 2), 1, OMMA_E_SHAPE); /* batch */
    expect_error(of(1, 3, 2, 2, 2), 1, OMMA_E_SHAPE); /* heads */
    expect_error(of(1, 2, 0, 2, 2), 1, OMMA_E_SHAPE);
    expect_error(of(1, 2, 2, 2, 3), 1, OMMA_E_SHAPE); /* keys and values */
    for (int i = 0; i < 4; i++) {
        optest *t = of(1, 2, 2, 2, 2);
        optest_int(t, bad[i].name, bad[i].v);
        expect_error(t, 1, OMMA_E_SHAPE);
    }
    optest *t = of(1, 2, 2, 2, 2);
    optest_float(t, "softcap", NAN);
    expect_error(t, 1, OMMA_E_SHAPE);
    t = of(1, 2, 2, 2, 2); /* a mask that does not broadcast */
    optest_f32(t, zeros, OPTEST_DIMS(3, 2));
    expect_error(t, 1, OMMA_E_SHAPE);
    t = of(1, 2, 2, 2, 2); /* shorter, before 24 */
    optest_f32(t, zeros, OPTEST_DIMS(2, 0));
    expect_error(t, 1, OMMA_E_SHAPE);
    t = of(1, 2, 2, 2, 2); /* half a past */
    optest_skip(t);
    optest_f32(t, zeros, OPTEST_DIMS(1, 2, 2, 2));
    expect_error(t, 1, OMMA_E_SHAPE);
    t = of(1, 2, 2, 2, 2); /* too early for nonpad */
    optest_skip(t), optest_skip(t), optest_skip(t);
    optest_i64(t, I(1), OPTEST_DIMS(1));
    expect_error(t, 1, OMMA_E_SHAPE);
    for (int heads = -1; heads <= 3; heads++) { /* 4 numbers a row: 1 and 2 heads are fine */
        t = optest_new("Attention", 23);
        for (int i = 0; i < 3; i++) optest_f32(t, zeros, OPTEST_DIMS(1, 2, 4));
        optest_int(t, "q_num_heads", heads), optest_int(t, "kv_num_heads", heads);
        if (heads == 1 || heads == 2) optest_run(t, 1), optest_free(t);
        else expect_error(t, 1, OMMA_E_SHAPE);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(definition), cmocka_unit_test(many_tokens),
                                       cmocka_unit_test(corners), cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

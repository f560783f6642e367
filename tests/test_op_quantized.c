/* test_op_quantized.c - the quantised operators: vectors by hand (ties, saturation, zero and NaN
 * scales), random shapes against loops written from the definitions, sums that wrap around,
 * the same bits for 1, 2 and 8 threads, what must be refused, and random nodes that must be
 * refused or run, whatever is in them. */
#include <math.h>
#include <stdlib.h>

#include "optest.h"

static uint32_t seed = 5;

static uint32_t rnd(uint32_t n) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

#define PICK(...)           \
    (((const omma_dtype[]){ \
        __VA_ARGS__})[rnd(sizeof((const omma_dtype[]){__VA_ARGS__}) / sizeof(omma_dtype))])

/* An input of random whole numbers of [lo, hi], times unit. */
static omma_value *put(optest *t, bool constant, omma_dtype type, int rank, const int64_t *dims,
                       int lo, int hi, double unit) {
    omma_value v = {.dtype = type, .rank = rank};
    for (int d = 0; d < rank; d++) v.dims[d] = dims[d];
    void *data = test_malloc(omma_value_bytes(&v) + 1);
    for (int64_t i = 0; i < omma_value_count(&v); i++)
        omma_set_number(type, data, i, unit * (lo + (int)rnd((uint32_t)(hi - lo + 1))));
    optest_put(t, constant, type, data, rank, dims);
    test_free(data);
    return t->in[t->n_in - 1];
}

static omma_value *put_full(optest *t, bool constant, omma_dtype type, int rank,
                            const int64_t *dims) {
    return put(t, constant, type, rank, dims, type == OMMA_I8 ? -128 : 0,
               type == OMMA_I8 ? 127 : 255, 1);
}

static void put_one(optest *t, omma_dtype type, double v) {
    char data[8];
    omma_set_number(type, data, 0, v);
    optest_put(t, true, type, data, 0, NULL);
}

static double get(const omma_value *v, int64_t i) { return omma_get_number(v->dtype, v->mem, i); }

/* Run with 1, 2 and 8 threads: the same bits. Leaves the outputs in t->out. */
static void run_all(optest *t, int n_out) {
    omma_tensor first = {0};
    for (int threads = 1; threads <= 8; threads = threads == 1 ? 2 : threads * 4) {
        omma_status s = optest_try(t, n_out, threads);
        if (s) fail_msg("%s: %s", t->op, t->err.message);
        size_t bytes = (size_t)omma_tensor_count(&t->out[0]) * omma_dtype_size(t->out[0].dtype);
        if (threads == 1) first = t->out[0];
        else if (bytes) assert_memory_equal(first.data, t->out[0].data, bytes);
    }
}

static void refused(optest *t, int n_out, const char *why) {
    assert_int_not_equal(optest_try(t, n_out, 1), OMMA_OK);
    if (!strstr(t->err.message, why)) fail_msg("'%s' does not speak of '%s'", t->err.message, why);
    optest_free(t);
}

static void limits(omma_dtype t, double *lo, double *hi) {
    const bool sign = t == OMMA_I8 || t == OMMA_I16;
    const double range = omma_dtype_size(t) == 1 ? 256 : 65536;
    *lo = sign ? -range / 2 : 0, *hi = *lo + range - 1;
}

/* saturate(round(v) + zero), the definition. */
static double to_whole(omma_dtype t, double v, double zero) {
    double lo, hi;
    limits(t, &lo, &hi);
    if (isnan(v)) return lo;
    v = nearbyint(v) + zero;
    return v < lo ? lo : v > hi ? hi : v;
}

static void expect(const optest *t, int64_t i, double want) {
    const double got = omma_get_number(t->out[0].dtype, t->out[0].data, i);
    if (got != want) fail_msg("%s: number %lld is %.9g, not %.9g", t->op, (long long)i, got, want);
}

/* --- by hand -------------------------------------------------------------------------- */

static void quantize_numbers(omma_dtype to, float scale, double zero, const float *x,
                             const double *y, int n) {
    optest *t = optest_new("QuantizeLinear", 13);
    optest_put(t, false, OMMA_F32, x, 1, (int64_t[]){n});
    put_one(t, OMMA_F32, (double)scale);
    put_one(t, to, zero);
    optest_run(t, 1);
    assert_int_equal(t->out[0].dtype, to);
    for (int i = 0; i < n; i++) expect(t, i, y[i]);
    optest_free(t);
}

static void ties_go_to_even(void **state) {
    (void)state;
    const float x[] = {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 0.49999997f, 3.5f};
    quantize_numbers(OMMA_I8, 1, 0, x, (double[]){0, 2, 2, 0, -2, -2, 0, 4}, 8);
    quantize_numbers(OMMA_U8, 1, 7, x, (double[]){7, 9, 9, 7, 5, 5, 7, 11},
                     8); /* before zero is added */
    quantize_numbers(OMMA_I16, 0.5f, -1, x, (double[]){0, 2, 4, -2, -4, -6, 0, 6}, 8);
    quantize_numbers(OMMA_U16, -1, 2, x, (double[]){2, 0, 0, 2, 4, 4, 2, 0}, 8);
}

static void numbers_saturate(void **state) {
    (void)state;
    const float x[] = {1e30f, -1e30f, INFINITY, -INFINITY, NAN, 0, -0.0f, 65535};
    quantize_numbers(OMMA_U8, 1, 3, x, (double[]){255, 0, 255, 0, 0, 3, 3, 255}, 8);
    quantize_numbers(OMMA_I8, 1, -3, x, (double[]){127, -128, 127, -128, -128, -3, -3, 127}, 8);
    quantize_numbers(OMMA_U16, 1, 65535, x, (double[]){65535, 0, 65535, 0, 0, 65535, 65535, 65535},
                     8);
    quantize_numbers(OMMA_I16, 1, -32768, x,
                     (double[]){32767, -32768, 32767, -32768, -32768, -32768, -32768, 32767}, 8);
    quantize_numbers(OMMA_U8, 0, 3, x, (double[]){255, 0, 255, 0, 0, 0, 0, 255},
                     8); /* 0 / 0 is NaN */
    quantize_numbers(OMMA_U8, NAN, 3, x, (double[]){0, 0, 0, 0, 0, 0, 0, 0}, 8);
    quantize_numbers(OMMA_U8, INFINITY, 3, x, (double[]){3, 3, 0, 0, 0, 3, 3, 3}, 8);
}

static void types_of_quantize(void **state) {
    (void)state;
    optest *t = optest_new("QuantizeLinear", 10); /* no zero point: uint8 */
    optest_f32(t, (float[]){-1, 3}, OPTEST_DIMS(2));
    put_one(t, OMMA_F32, 2);
    optest_run(t, 1);
    assert_int_equal(t->out[0].dtype, OMMA_U8);
    expect(t, 0, 0), expect(t, 1, 2);
    optest_free(t);

    t = optest_new("QuantizeLinear", 21);
    optest_put(t, false, OMMA_I32, (int32_t[]){-2147483647, 16777217, -3, 5}, 1, (int64_t[]){4});
    put_one(t, OMMA_I32, 2); /* int32 over int32 is exact */
    optest_int(t, "output_dtype", OMMA_I16);
    optest_run(t, 1);
    assert_int_equal(t->out[0].dtype, OMMA_I16);
    expect(t, 0, -32768), expect(t, 1, 32767), expect(t, 2, -2), expect(t, 3, 2);
    optest_free(t);

    static const struct {
        int precision;
        double y[2];
    } v[] = {{0, {2049, 3}}, {OMMA_F16, {2048, 3}}, {OMMA_BF16, {2048, 3}}};
    for (int i = 0; i < 3; i++) { /* float16 and bfloat16 have no 2049 */
        t = optest_new("QuantizeLinear", 23);
        optest_f32(t, (float[]){2049, 3}, OPTEST_DIMS(2));
        put_one(t, OMMA_F32, 1);
        put_one(t, OMMA_U16, 0);
        optest_int(t, "precision", v[i].precision);
        optest_run(t, 1);
        expect(t, 0, v[i].y[0]), expect(t, 1, v[i].y[1]);
        optest_free(t);
    }
    for (int i = 0; i < 3; i++) { /* nor has the scale */
        t = optest_new("QuantizeLinear", 23);
        optest_f32(t, (float[]){3072}, OPTEST_DIMS(1));
        put_one(t, OMMA_F32, 2049);
        optest_int(t, "precision", v[i].precision);
        optest_run(t, 1);
        expect(t, 0, v[i].precision ? 2 : 1);
        optest_free(t);
    }
    t = optest_new("QuantizeLinear", 21); /* just above a half, but not in float32 */
    optest_put(t, false, OMMA_I32, (int32_t[]){1073741825}, 1, (int64_t[]){1});
    put_one(t, OMMA_I32, 2147483647);
    optest_run(t, 1);
    expect(t, 0, 1);
    optest_free(t);
}

static void dequantize_by_hand(void **state) {
    (void)state;
    optest *t = optest_new("DequantizeLinear", 10); /* int32 has no zero point */
    optest_put(t, false, OMMA_I32, (int32_t[]){-7, 0, 1000000}, 1, (int64_t[]){3});
    put_one(t, OMMA_F32, 0.5);
    optest_run(t, 1);
    assert_int_equal(t->out[0].dtype, OMMA_F32);
    expect(t, 0, -3.5), expect(t, 1, 0), expect(t, 2, 500000);
    optest_free(t);

    t = optest_new("DequantizeLinear",
                   23); /* float16 cannot hold the difference, only the product */
    optest_put(t, false, OMMA_U16, (uint16_t[]){65535, 1}, 1, (int64_t[]){2});
    put_one(t, OMMA_F32, 0.5);
    put_one(t, OMMA_U16, 1);
    optest_int(t, "output_dtype", OMMA_F16);
    optest_run(t, 1);
    assert_int_equal(t->out[0].dtype, OMMA_F16);
    expect(t, 0, 32768), expect(t, 1, 0);
    optest_free(t);
}

static void dynamic_by_hand(void **state) {
    (void)state;
    static const struct {
        float x[6];
        int n;
        float scale;
        int zero;
        double y[6];
    } v[] = {{{0, 2, -3, -2.5f, 1.34f, 0.5f}, 6, 5.0f / 255, 153, {153, 255, 0, 26, 221, 179}},
             {{-1, -2.5f, -3.5f}, 3, 3.5f / 255, 255, {182, 73, 0}},
             {{255, 0.5f, 1.5f}, 3, 1, 0, {255, 0, 2}},
             {{0, 0, 0}, 3, 1, 0, {0, 0, 0}},
             {{0}, 0, 1, 0, {0}},
             {{INFINITY, 1, NAN, -INFINITY}, 4, INFINITY, 0, {0, 0, 0, 0}}};
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        optest *t = optest_new("DynamicQuantizeLinear", 11);
        optest_put(t, false, OMMA_F32, v[i].x, 1, (int64_t[]){v[i].n});
        const omma_tensor *y = optest_run(t, 3);
        assert_true(((const float *)y[1].data)[0] == v[i].scale);
        assert_int_equal(((const uint8_t *)y[2].data)[0], v[i].zero);
        for (int k = 0; k < v[i].n; k++) expect(t, k, v[i].y[k]);
        optest_free(t);
    }
}

/* --- against the definition: quantising ------------------------------------------------- */

/* Random x, and scale and zero for one number, an axis or blocks; where[] gets x's element's
 * place in scale. */
typedef struct grid {
    int rank, axis;
    int64_t dims[4], s_dims[4], block, count;
    int s_rank;
} grid;

static grid random_grid(int kind) {
    grid g = {.rank = 1 + (int)rnd(4), .count = 1};
    for (int d = 0; d < g.rank; d++) g.dims[d] = 1 + rnd(rnd(3) ? 6 : 40), g.count *= g.dims[d];
    g.axis = (int)rnd((uint32_t)g.rank);
    if (kind == 1) g.s_rank = 1, g.s_dims[0] = g.dims[g.axis];
    if (kind < 2) return g;
    g.s_rank = g.rank;
    g.block = 1 + rnd((uint32_t)g.dims[g.axis] + 2);
    for (int d = 0; d < g.rank; d++)
        g.s_dims[d] = d == g.axis ? (g.dims[d] + g.block - 1) / g.block : g.dims[d];
    return g;
}

static int64_t place_in(const grid *g, int64_t i) {
    int64_t at[4] = {0}, p = 0, n = 1;
    for (int d = 0; d < g->s_rank; d++) n *= g->s_dims[d];
    if (n == 1) return 0;
    for (int d = g->rank - 1; d >= 0; d--) at[d] = i % g->dims[d], i /= g->dims[d];
    if (g->s_rank == 1 && !g->block) return at[g->axis];
    for (int d = 0; d < g->rank; d++)
        p = p * g->s_dims[d] + (d == g->axis ? at[d] / g->block : at[d]);
    return p;
}

static void grid_attrs(optest *t, const grid *g) {
    optest_int(t, "axis", rnd(2) ? g->axis : g->axis - g->rank);
    if (g->block) optest_int(t, "block_size", g->block);
}

static double through(omma_dtype t, double v) {
    char data[8];
    omma_set_number(t, data, 0, v);
    return omma_get_number(t, data, 0);
}

static void quantize_random(void **state) {
    (void)state;
    for (int round = 0; round < 400; round++) {
        const grid g = random_grid(round % 3);
        const omma_dtype type = PICK(OMMA_F32, OMMA_F32, OMMA_F16, OMMA_BF16, OMMA_I32);
        const omma_dtype st = type == OMMA_I32 ? PICK(OMMA_I32, OMMA_F32) : PICK(OMMA_F32, type);
        const omma_dtype to = PICK(OMMA_U8, OMMA_I8, OMMA_U16, OMMA_I16);
        double lo, hi;
        limits(to, &lo, &hi);
        optest *t = optest_new("QuantizeLinear", g.block ? 21 : 13);
        const omma_value *x =
            put(t, false, type, g.rank, g.dims, -3000, 3000, type == OMMA_I32 ? 1 : 0.25);
        const omma_value *s =
            put(t, rnd(2), st, g.s_rank, g.s_dims, 1, 32, st == OMMA_I32 ? 1 : 0.125);
        const omma_value *z =
            rnd(4) ? put(t, rnd(2), to, g.s_rank, g.s_dims, (int)lo, (int)hi, 1) : NULL;
        if (!z) optest_int(t, "output_dtype", to);
        grid_attrs(t, &g);
        run_all(t, 1);
        for (int64_t i = 0; i < g.count; i++) {
            const int64_t k = place_in(&g, i);
            const double q =
                st == OMMA_I32
                    ? get(x, i) / get(s, k)
                    : through(st, (double)((float)through(st, get(x, i)) / (float)get(s, k)));
            expect(t, i, to_whole(to, q, z ? get(z, k) : 0));
        }
        optest_free(t);
    }
}

static void dequantize_random(void **state) {
    (void)state;
    for (int round = 0; round < 400; round++) {
        const grid g = random_grid(round % 3);
        const omma_dtype type = PICK(OMMA_U8, OMMA_I8, OMMA_U16, OMMA_I16, OMMA_I32);
        const omma_dtype st = PICK(OMMA_F32, OMMA_F16, OMMA_BF16);
        const omma_dtype to = rnd(2) ? st : PICK(OMMA_F32, OMMA_F16, OMMA_BF16);
        double lo, hi;
        limits(type, &lo, &hi);
        optest *t = optest_new("DequantizeLinear", 23);
        const omma_value *x = put(t, false, type, g.rank, g.dims, (int)lo, (int)hi, 1);
        const omma_value *s = put(t, rnd(2), st, g.s_rank, g.s_dims, 1, 32, 0.01);
        const omma_value *z = type != OMMA_I32 && rnd(4)
                                  ? put(t, rnd(2), type, g.s_rank, g.s_dims, (int)lo, (int)hi, 1)
                                  : NULL;
        if (to != st) optest_int(t, "output_dtype", to);
        grid_attrs(t, &g);
        run_all(t, 1);
        assert_int_equal(t->out[0].dtype, to);
        for (int64_t i = 0; i < g.count; i++) {
            const int64_t k = place_in(&g, i);
            const float v = ((float)get(x, i) - (z ? (float)get(z, k) : 0)) * (float)get(s, k);
            expect(t, i, through(to, (double)v));
        }
        optest_free(t);
    }
}

static void dynamic_random(void **state) {
    (void)state;
    for (int round = 0; round < 40; round++) {
        const int64_t n = 1 + rnd(70000);
        const int lo = -(int)rnd(500);
        optest *t = optest_new("DynamicQuantizeLinear", 11);
        const omma_value *x = put(t, false, OMMA_F32, 1, &n, lo, lo + (int)rnd(1000), 0.01);
        run_all(t, 3);
        float least = 0, most = 0;
        for (int64_t i = 0; i < n; i++)
            least = fminf(least, (float)get(x, i)), most = fmaxf(most, (float)get(x, i));
        const float scale = most > least ? (most - least) / 255 : 1;
        const double zero = to_whole(OMMA_U8, (double)(-least / scale), 0);
        assert_true(((const float *)t->out[1].data)[0] == scale);
        assert_int_equal(((const uint8_t *)t->out[2].data)[0], (int)zero);
        for (int64_t i = 0; i < n; i++)
            expect(t, i, to_whole(OMMA_U8, (double)((float)get(x, i) / scale), zero));
        optest_free(t);
    }
}

/* --- products -------------------------------------------------------------------------------- */

static const omma_dtype BYTES[] = {OMMA_U8, OMMA_I8};

/* The int32 that a sum wraps around to. */
static double wrapped(int64_t sum) { return (double)(int32_t)(uint32_t)(uint64_t)sum; }

static double requantized(omma_dtype t, int64_t sum, float a, float b, float y, double zero) {
    return to_whole(t, wrapped(sum) * (double)(a * b / y), zero);
}

typedef struct shape {
    int64_t a[4], b[4],
        y[4]; /* as [d, e, m, k], [d, e, k, n] and [d, e, m, n], leading 1 where left out */
    int a_rank, b_rank;
} shape;

static shape random_product(int round) {
    shape s;
    const int64_t m = 1 + rnd(round % 7 ? 9 : 40), n = 1 + rnd(round % 5 ? 9 : 300),
                  k = rnd(round % 3 ? 20 : 200);
    const int64_t d = 1 + rnd(3), e = 1 + rnd(3);
    s.a_rank = 1 + (int)rnd(4), s.b_rank = 1 + (int)rnd(4);
    const int64_t a[4] = {rnd(2) ? d : 1, rnd(2) ? e : 1, m, k},
                  b[4] = {rnd(2) ? d : 1, rnd(2) ? e : 1, k, n};
    for (int i = 0; i < 4; i++)
        s.a[i] = i >= 4 - s.a_rank ? a[i] : 1, s.b[i] = i >= 4 - s.b_rank ? b[i] : 1;
    if (s.b_rank == 1) s.b[2] = k, s.b[3] = 1;
    for (int i = 0; i < 4; i++)
        s.y[i] = i < 2 ? (s.a[i] > s.b[i] ? s.a[i] : s.b[i]) : i == 2 ? s.a[2] : s.b[3];
    return s;
}

/* Zero points or scales of matrices v of that rank, one (0), a list (1) or all (2) of them, along
 * axis. */
static const omma_value *put_spread(optest *t, omma_dtype type, const int64_t *v, int rank,
                                    int axis, int form, double unit) {
    int64_t dims[4];
    for (int i = 0; i < 4; i++) dims[i] = i == 5 - axis ? 1 : v[i];
    const int lo = unit != 1 ? 1 : type == OMMA_I8 ? -128 : 0, hi = unit != 1 ? 64 : lo + 255;
    if (form == 0 || rank == 1)
        return put(t, rnd(2), type, (int)rnd(2), (int64_t[]){1}, lo, hi, unit);
    if (form == 1) return put(t, rnd(2), type, 1, &v[axis], lo, hi, unit);
    return put(t, rnd(2), type, rank, dims + 4 - rank, lo, hi, unit);
}

static double spread_at(const omma_value *v, const int64_t *dims, int axis, const int64_t *at) {
    const int64_t n = v ? omma_value_count(v) : 0,
                  own = (dims[0] > 1 ? at[0] : 0) * dims[1] + (dims[1] > 1 ? at[1] : 0);
    if (!n) return 0;
    if (n == 1) return get(v, 0);
    return get(v, v->rank == 1 ? at[axis] : own * dims[axis] + at[axis]);
}

typedef struct operands {
    const omma_value *a, *b, *az, *bz, *as, *bs;
} operands;

static int64_t naive_sum(const shape *s, const operands *o, const int64_t *at) {
    const int64_t k = s->a[3];
    const int64_t ao = (s->a[0] > 1 ? at[0] : 0) * s->a[1] + (s->a[1] > 1 ? at[1] : 0);
    const int64_t bo = (s->b[0] > 1 ? at[0] : 0) * s->b[1] + (s->b[1] > 1 ? at[1] : 0);
    const double az = spread_at(o->az, s->a, 2, at), bz = spread_at(o->bz, s->b, 3, at);
    int64_t sum = 0;
    for (int64_t i = 0; i < k; i++)
        sum += (int64_t)((get(o->a, (ao * s->a[2] + at[2]) * k + i) - az) *
                         (get(o->b, (bo * k + i) * s->b[3] + at[3]) - bz));
    return sum;
}

static void check_product(const optest *t, const shape *s, const operands *o, const omma_value *ys,
                          const omma_value *yz) {
    assert_int_equal(omma_tensor_count(&t->out[0]), s->y[0] * s->y[1] * s->y[2] * s->y[3]);
    for (int64_t i = 0; i < omma_tensor_count(&t->out[0]); i++) {
        int64_t at[4], rest = i;
        for (int d = 3; d >= 0; d--) at[d] = rest % s->y[d], rest /= s->y[d];
        const int64_t sum = naive_sum(s, o, at);
        if (!ys) {
            expect(t, i, wrapped(sum));
            continue;
        }
        expect(t, i,
               requantized(yz->dtype, sum, (float)spread_at(o->as, s->a, 2, at),
                           (float)spread_at(o->bs, s->b, 3, at), (float)get(ys, 0), get(yz, 0)));
    }
}

static void matmul_integer_random(void **state) {
    (void)state;
    for (int round = 0; round < 300; round++) {
        const shape s = random_product(round);
        const omma_dtype ta = BYTES[rnd(2)], tb = BYTES[rnd(2)];
        optest *t = optest_new("MatMulInteger", 10);
        operands o = {.a = put_full(t, rnd(2), ta, s.a_rank, s.a + 4 - s.a_rank)};
        o.b = put_full(t, rnd(2), tb, s.b_rank, s.b_rank == 1 ? &s.b[2] : s.b + 4 - s.b_rank);
        const int forms = (int)rnd(5);
        if (forms) o.az = put_spread(t, ta, s.a, s.a_rank, 2, (int)rnd(3), 1);
        else if (rnd(2)) optest_skip(t);
        if (t->n_in == 3 && rnd(4)) o.bz = put_spread(t, tb, s.b, s.b_rank, 3, (int)rnd(3), 1);
        run_all(t, 1);
        assert_int_equal(t->out[0].dtype, OMMA_I32);
        check_product(t, &s, &o, NULL, NULL);
        optest_free(t);
    }
}

static void qlinear_matmul_random(void **state) {
    (void)state;
    for (int round = 0; round < 300; round++) {
        const shape s = random_product(round);
        const omma_dtype ta = BYTES[rnd(2)], tb = BYTES[rnd(2)], ty = BYTES[rnd(2)];
        const omma_dtype ts = PICK(OMMA_F32, OMMA_F32, OMMA_F16, OMMA_BF16);
        const int fa = (int)rnd(3), fb = (int)rnd(3);
        optest *t = optest_new("QLinearMatMul", ts == OMMA_F32 ? 10 : 21);
        operands o = {.a = put_full(t, rnd(2), ta, s.a_rank, s.a + 4 - s.a_rank)};
        o.as = put_spread(t, ts, s.a, s.a_rank, 2, fa, 0.01);
        o.az = put_spread(t, ta, s.a, s.a_rank, 2, fa, 1);
        o.b = put_full(t, rnd(2), tb, s.b_rank, s.b_rank == 1 ? &s.b[2] : s.b + 4 - s.b_rank);
        o.bs = put_spread(t, ts, s.b, s.b_rank, 3, fb, 0.01);
        o.bz = put_spread(t, tb, s.b, s.b_rank, 3, fb, 1);
        const omma_value *ys = put(t, rnd(2), ts, 0, NULL, 1, 100, (double)(s.a[3] + 1) / 16);
        const omma_value *yz = put_full(t, rnd(2), ty, (int)rnd(2), (int64_t[]){1});
        run_all(t, 1);
        assert_int_equal(t->out[0].dtype, ty);
        check_product(t, &s, &o, ys, yz);
        optest_free(t);
    }
}

/* Longer rows than one part of the inner loop, sums beyond int32. */
static void sums_wrap_around(void **state) {
    (void)state;
    const int64_t k = 70001;
    uint8_t *x = test_malloc((size_t)k);
    memset(x, 255, (size_t)k);
    for (int constant = 0; constant < 2; constant++) {
        optest *t = optest_new("MatMulInteger", 10);
        optest_put(t, false, OMMA_U8, x, 2, (int64_t[]){1, k});
        optest_put(t, constant, OMMA_U8, x, 2, (int64_t[]){k, 1});
        optest_run(t, 1);
        expect(t, 0, wrapped(k * 255 * 255));
        optest_free(t);
    }
    test_free(x);
}

/* --- convolutions ------------------------------------------------------------------------------
 */

typedef struct window {
    int k;
    int64_t n, g, c, m, in[3], kernel[3], stride[3], dilation[3], pads[6], out[3], out_count;
} window;

static window random_window(int round) {
    window w = {.k = 1 + round % 3, .n = 1 + rnd(2), .g = rnd(3) ? 1 : 1 + rnd(5), .out_count = 1};
    w.c = rnd(3) ? 1 + rnd(rnd(3) ? 4 : 20) : 1, w.m = w.g * (1 + rnd(rnd(4) ? 4 : 80));
    for (int d = 0; d < w.k; d++) {
        w.kernel[d] = 1 + rnd(3), w.stride[d] = 1 + rnd(3), w.dilation[d] = 1 + rnd(2);
        w.pads[d] = rnd(3), w.pads[d + w.k] = rnd(3);
        if (rnd(12) == 0) w.pads[d] = rnd(30), w.dilation[d] = 1 + rnd(6);
        const uint32_t more = w.k == 3 ? 3 : d == w.k - 1 && rnd(3) == 0 ? 50 : 9;
        w.in[d] = (w.kernel[d] - 1) * w.dilation[d] + 1 + rnd(more);
        w.out[d] = (w.in[d] + w.pads[d] + w.pads[d + w.k] - (w.kernel[d] - 1) * w.dilation[d] - 1) /
                       w.stride[d] +
                   1;
        w.out_count *= w.out[d];
    }
    return w;
}

static const omma_value *put_x(optest *t, const window *w, omma_dtype type) {
    int64_t dims[5] = {w->n, w->g * w->c};
    memcpy(dims + 2, w->in, sizeof w->in);
    return put_full(t, false, type, w->k + 2, dims);
}

static const omma_value *put_w(optest *t, const window *w, omma_dtype type) {
    int64_t dims[5] = {w->m, w->c};
    memcpy(dims + 2, w->kernel, sizeof w->kernel);
    return put_full(t, rnd(2), type, w->k + 2, dims);
}

static void window_attrs(optest *t, const window *w) {
    if (rnd(2)) optest_ints(t, "kernel_shape", w->kernel, w->k);
    optest_int(t, "group", w->g);
    optest_ints(t, "strides", w->stride, w->k);
    optest_ints(t, "dilations", w->dilation, w->k);
    optest_ints(t, "pads", w->pads, 2 * w->k);
}

static int64_t conv_sum(const window *w, const omma_value *x, const omma_value *f, double xz,
                        double wz, int64_t n, int64_t m, int64_t o) {
    int64_t at[3], taps = 1, plane = 1, sum = 0;
    for (int d = w->k - 1; d >= 0; d--)
        at[d] = o % w->out[d], o /= w->out[d], taps *= w->kernel[d], plane *= w->in[d];
    for (int64_t tap = 0; tap < taps; tap++) {
        int64_t rest = tap, offset = 0, scale = 1;
        bool inside = true;
        for (int d = w->k - 1; d >= 0; d--) {
            const int64_t i =
                at[d] * w->stride[d] - w->pads[d] + rest % w->kernel[d] * w->dilation[d];
            inside = inside && i >= 0 && i < w->in[d];
            offset += i * scale, scale *= w->in[d], rest /= w->kernel[d];
        }
        for (int64_t c = 0; inside && c < w->c; c++)
            sum += (int64_t)((get(x, ((n * w->g + m / (w->m / w->g)) * w->c + c) * plane + offset) -
                              xz) *
                             (get(f, (m * w->c + c) * taps + tap) - wz));
    }
    return sum;
}

static const omma_value *put_channels(optest *t, omma_dtype type, const window *w, double unit) {
    const int lo = unit != 1 ? 1 : type == OMMA_I8 ? -128 : 0;
    if (rnd(2)) return put(t, rnd(2), type, 1, &w->m, lo, unit != 1 ? 64 : lo + 255, unit);
    return put(t, rnd(2), type, (int)rnd(2), (int64_t[]){1}, lo, unit != 1 ? 64 : lo + 255, unit);
}

static double of_channel(const omma_value *v, int64_t m) {
    return v ? get(v, omma_value_count(v) > 1 ? m : 0) : 0;
}

static void conv_integer_random(void **state) {
    (void)state;
    for (int round = 0; round < 240; round++) {
        const window w = random_window(round);
        const omma_dtype tx = BYTES[rnd(2)], tw = BYTES[rnd(2)];
        optest *t = optest_new("ConvInteger", 10);
        const omma_value *x = put_x(t, &w, tx), *f = put_w(t, &w, tw), *xz = NULL, *wz = NULL;
        if (rnd(3)) xz = put_full(t, rnd(2), tx, 0, NULL);
        else optest_skip(t);
        if (rnd(3)) wz = put_channels(t, tw, &w, 1);
        window_attrs(t, &w);
        run_all(t, 1);
        assert_int_equal(omma_tensor_count(&t->out[0]), w.n * w.m * w.out_count);
        for (int64_t i = 0; i < omma_tensor_count(&t->out[0]); i++) {
            const int64_t o = i % w.out_count, m = i / w.out_count % w.m, n = i / w.out_count / w.m;
            expect(t, i,
                   wrapped(conv_sum(&w, x, f, of_channel(xz, 0), of_channel(wz, m), n, m, o)));
        }
        optest_free(t);
    }
}

static void qlinear_conv_random(void **state) {
    (void)state;
    for (int round = 0; round < 240; round++) {
        const window w = random_window(round);
        const omma_dtype tx = BYTES[rnd(2)], tw = BYTES[rnd(2)], ty = BYTES[rnd(2)];
        optest *t = optest_new("QLinearConv", 10);
        const omma_value *x = put_x(t, &w, tx),
                         *xs = put(t, rnd(2), OMMA_F32, 0, NULL, 1, 64, 0.01);
        const omma_value *xz = put_full(t, rnd(2), tx, (int)rnd(2), (int64_t[]){1});
        const omma_value *f = put_w(t, &w, tw), *fs = put_channels(t, OMMA_F32, &w, 0.01),
                         *fz = put_channels(t, tw, &w, 1);
        const omma_value *ys = put(t, rnd(2), OMMA_F32, 0, NULL, 1, 64, 4),
                         *yz = put_full(t, rnd(2), ty, 0, NULL);
        const omma_value *bias =
            rnd(2) ? put(t, rnd(2), OMMA_I32, 1, &w.m, -100000, 100000, 1) : NULL;
        window_attrs(t, &w);
        run_all(t, 1);
        assert_int_equal(t->out[0].dtype, ty);
        for (int64_t i = 0; i < omma_tensor_count(&t->out[0]); i++) {
            const int64_t o = i % w.out_count, m = i / w.out_count % w.m, n = i / w.out_count / w.m;
            int64_t sum = conv_sum(&w, x, f, get(xz, 0), of_channel(fz, m), n, m, o);
            if (bias) sum += (int64_t)get(bias, m);
            expect(t, i,
                   requantized(ty, sum, (float)get(xs, 0), (float)of_channel(fs, m),
                               (float)get(ys, 0), get(yz, 0)));
        }
        optest_free(t);
    }
}

/* 4 wide, kernel 2, stride 1: one more column, before or behind. */
static void same_padding(void **state) {
    (void)state;
    for (int lower = 0; lower < 2; lower++) {
        optest *t = optest_new("ConvInteger", 10);
        optest_put(t, false, OMMA_U8, (uint8_t[]){11, 12, 13, 14}, 3, (int64_t[]){1, 1, 4});
        optest_put(t, true, OMMA_U8, (uint8_t[]){1, 10}, 3, (int64_t[]){1, 1, 2});
        put_one(t, OMMA_U8, 10);
        optest_string(t, "auto_pad", lower ? "SAME_LOWER" : "SAME_UPPER");
        optest_run(t, 1);
        static const double want[2][4] = {{21, 32, 43, 4}, {10, 21, 32, 43}};
        for (int i = 0; i < 4; i++) expect(t, i, want[lower][i]);
        optest_free(t);
    }
}

static void nothing_to_do(void **state) {
    (void)state;
    optest *t = optest_new("MatMulInteger", 10); /* K = 0: sums of nothing */
    optest_put(t, false, OMMA_U8, "", 2, (int64_t[]){2, 0});
    optest_put(t, true, OMMA_I8, "", 2, (int64_t[]){0, 3});
    optest_run(t, 1);
    for (int i = 0; i < 6; i++) expect(t, i, 0);
    optest_free(t);

    t = optest_new("ConvInteger", 10); /* no input channels */
    optest_put(t, false, OMMA_U8, "", 3, (int64_t[]){1, 0, 5});
    optest_put(t, true, OMMA_I8, "", 3, (int64_t[]){2, 0, 3});
    optest_run(t, 1);
    for (int i = 0; i < 6; i++) expect(t, i, 0);
    optest_free(t);

    t = optest_new("QuantizeLinear", 13);
    optest_put(t, false, OMMA_F32, "", 2, (int64_t[]){0, 3});
    optest_put(t, false, OMMA_F32, (float[]){1, 2, 3}, 1, (int64_t[]){3});
    optest_run(t, 1);
    optest_free(t);
}

/* --- what must be refused
 * -------------------------------------------------------------------------- */

static optest *quantize_with(int s_rank, const int64_t *s_dims, int z_rank, const int64_t *z_dims) {
    optest *t = optest_new("QuantizeLinear", 21);
    put(t, false, OMMA_F32, 3, (int64_t[]){2, 5, 3}, 0, 9, 1);
    put(t, false, OMMA_F32, s_rank, s_dims, 1, 9, 1);
    if (z_rank >= 0) put(t, false, OMMA_U8, z_rank, z_dims, 0, 9, 1);
    return t;
}

static optest *with_int(optest *t, const char *name, int64_t v) {
    optest_int(t, name, v);
    return t;
}

static void refuses_scales(void **state) {
    (void)state;
    refused(quantize_with(1, (int64_t[]){4}, -1, NULL), 1, "scale 'in1'");
    refused(quantize_with(1, (int64_t[]){0}, -1, NULL), 1, "scale 'in1'");
    refused(quantize_with(3, (int64_t[]){2, 5, 3}, -1, NULL), 1, "block_size");
    refused(quantize_with(1, (int64_t[]){5}, 0, NULL), 1, "zero point 'in2'");
    refused(quantize_with(1, (int64_t[]){5}, 1, (int64_t[]){4}), 1, "zero point 'in2'");
    refused(quantize_with(0, NULL, 1, (int64_t[]){5}), 1, "zero point 'in2'");
    refused(with_int(quantize_with(1, (int64_t[]){5}, -1, NULL), "axis", 3), 1, "axis 3");
    refused(with_int(quantize_with(1, (int64_t[]){5}, -1, NULL), "axis", INT64_MIN), 1, "axis");
    refused(with_int(quantize_with(3, (int64_t[]){2, 2, 3}, -1, NULL), "block_size", -1), 1,
            "block_size");
    refused(with_int(quantize_with(3, (int64_t[]){2, 2, 3}, -1, NULL), "block_size", 2), 1,
            "along axis 1");
    refused(with_int(quantize_with(3, (int64_t[]){2, 2, 3}, -1, NULL), "block_size", INT64_MAX), 1,
            "along axis 1");
    refused(with_int(quantize_with(1, (int64_t[]){5}, -1, NULL), "block_size", 2), 1, "rank");
    refused(with_int(quantize_with(0, NULL, -1, NULL), "output_dtype", 22), 1, "int4");
    refused(with_int(quantize_with(0, NULL, -1, NULL), "output_dtype", 17), 1, "float8e4m3fn");
    refused(with_int(quantize_with(0, NULL, -1, NULL), "output_dtype", INT64_MAX), 1, "unknown");
    refused(with_int(quantize_with(0, NULL, 0, NULL), "output_dtype", OMMA_I8), 1, "output_dtype");
    refused(with_int(quantize_with(0, NULL, -1, NULL), "precision", OMMA_I32), 1, "precision");
}

static void refuses_types(void **state) {
    (void)state;
    static const struct {
        const char *op;
        int bad, n;
        omma_dtype type[9], instead;
    } v[] = {
        {"QuantizeLinear", 0, 3, {OMMA_F32, OMMA_F32, OMMA_U8}, OMMA_F64},
        {"QuantizeLinear", 1, 3, {OMMA_F32, OMMA_F32, OMMA_U8}, OMMA_U8},
        {"QuantizeLinear", 2, 3, {OMMA_F32, OMMA_F32, OMMA_U8}, OMMA_F32},
        {"DequantizeLinear", 0, 3, {OMMA_U8, OMMA_F32, OMMA_U8}, OMMA_I64},
        {"DequantizeLinear", 1, 3, {OMMA_U8, OMMA_F32, OMMA_U8}, OMMA_I32},
        {"DequantizeLinear", 2, 3, {OMMA_U8, OMMA_F32, OMMA_U8}, OMMA_I8},
        {"DynamicQuantizeLinear", 0, 1, {OMMA_F32}, OMMA_F16},
        {"MatMulInteger", 0, 4, {OMMA_U8, OMMA_U8, OMMA_U8, OMMA_U8}, OMMA_I16},
        {"MatMulInteger", 1, 4, {OMMA_U8, OMMA_U8, OMMA_U8, OMMA_U8}, OMMA_F32},
        {"MatMulInteger", 2, 4, {OMMA_U8, OMMA_U8, OMMA_U8, OMMA_U8}, OMMA_I8},
        {"MatMulInteger", 3, 4, {OMMA_U8, OMMA_U8, OMMA_U8, OMMA_U8}, OMMA_I64},
        {"QLinearMatMul",
         1,
         8,
         {OMMA_U8, OMMA_F32, OMMA_U8, OMMA_U8, OMMA_F32, OMMA_U8, OMMA_F32, OMMA_U8},
         OMMA_I32},
        {"QLinearMatMul",
         7,
         8,
         {OMMA_U8, OMMA_F32, OMMA_U8, OMMA_U8, OMMA_F32, OMMA_U8, OMMA_F32, OMMA_U8},
         OMMA_I32},
    };
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        optest *t = optest_new(v[i].op, 21);
        for (int k = 0; k < v[i].n; k++) {
            const bool matrix = k == 0 || (v[i].n == 4 && k == 1) || (v[i].n == 8 && k == 3);
            put(t, false, k == v[i].bad ? v[i].instead : v[i].type[k], matrix ? 2 : 0,
                (int64_t[]){2, 2}, 1, 2, 1);
        }
        refused(t, v[i].n == 1 ? 3 : 1, "type");
    }
    optest *t = quantize_with(0, NULL, 0, NULL);
    t->in[2]->dtype = (omma_dtype)21;
    refused(t, 1, "uint4");
}

static void refuses_products(void **state) {
    (void)state;
    static const int64_t a[] = {2, 3}, b[] = {3, 4}, wrong[][2] = {{3, 0}, {2, 2}, {1, 4}};
    for (int i = 0; i < 3; i++) { /* zero points of a that do not fit its rows */
        optest *t = optest_new("MatMulInteger", 10);
        put_full(t, false, OMMA_U8, 2, a), put_full(t, false, OMMA_U8, 2, b);
        put_full(t, false, OMMA_U8, wrong[i][1] ? 2 : 1, wrong[i]);
        refused(t, 1, "rows");
    }
    optest *t = optest_new("MatMulInteger", 10);
    put_full(t, false, OMMA_U8, 2, a), put_full(t, false, OMMA_U8, 2, b);
    optest_skip(t), put_full(t, false, OMMA_U8, 1, a + 1);
    refused(t, 1, "columns");
    t = optest_new("MatMulInteger", 10);
    put_full(t, false, OMMA_U8, 2, b), put_full(t, false, OMMA_U8, 2, b);
    refused(t, 1, "inner sizes");
    t = optest_new("MatMulInteger", 10);
    put_full(t, false, OMMA_U8, 0, NULL), put_full(t, false, OMMA_U8, 2, b);
    refused(t, 1, "scalar");
}

static void refuses_convolutions(void **state) {
    (void)state;
    static const struct {
        int64_t x[4], w[4], z, group;
        const char *why;
    } v[] = {{{1, 2, 5, 5}, {4, 2, 3, 3}, 3, 1, "output channel"},
             {{1, 2, 5, 5}, {4, 3, 3, 3}, 1, 1, "channels"},
             {{1, 2, 5, 5}, {4, 2, 3, 3}, 1, 0, "group"},
             {{1, 2, 5, 5}, {3, 1, 3, 3}, 1, 2, "group"},
             {{1, 2, 2, 2}, {4, 2, 3, 3}, 1, 1, "kernel"},
             {{1, 2, 5, 5}, {4, 2, 0, 3}, 1, 1, "kernel"}};
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        optest *t = optest_new("ConvInteger", 10);
        put_full(t, false, OMMA_U8, 4, v[i].x), put_full(t, false, OMMA_U8, 4, v[i].w);
        optest_skip(t), put_full(t, false, OMMA_U8, 1, &v[i].z);
        optest_int(t, "group", v[i].group);
        refused(t, 1, v[i].why);
    }
}

/* --- anything at all
 * ---------------------------------------------------------------------------------- */

static bool random_input(optest *t, omma_dtype usual, int rank, const int64_t *dims) {
    static const int64_t odd[] = {0, -1, 7, INT32_MAX, INT64_MAX, INT64_MIN};
    int64_t d[8], count = 1;
    if (rnd(25) == 0) rank = (int)rnd(6);
    for (int i = 0; i < rank; i++) {
        d[i] = rnd(25) && i < 4 ? dims[i] : odd[rnd(6)];
        if (d[i] < 0 || (d[i] && __builtin_mul_overflow(count, d[i], &count)) || count > 1 << 16)
            return false;
    }
    const omma_dtype type = rnd(25) ? usual
                                    : PICK(OMMA_F32, OMMA_U8, OMMA_I8, OMMA_I32, OMMA_F16, OMMA_I64,
                                           OMMA_BOOL, OMMA_F64);
    static const double wild[] = {0, NAN, INFINITY, -INFINITY, 1e38, -1e-38};
    omma_value *v = put(t, rnd(2), type, rank, d, -300, 300, rnd(2) ? 0.25 : 1);
    for (int64_t i = 0; i < omma_value_count(v); i++)
        if (rnd(6) == 0) omma_set_number(type, v->mem, i, wild[rnd(6)]);
    return true;
}

static void anything(void **state) {
    (void)state;
    static const char *const ops[] = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear",
                                      "MatMulInteger",  "QLinearMatMul",    "ConvInteger",
                                      "QLinearConv"};
    static const omma_dtype f = OMMA_F32, u = OMMA_U8;
    const omma_dtype usual[7][9] = {{f, f, u},
                                    {u, f, u},
                                    {f},
                                    {u, u, u, u},
                                    {u, f, u, u, f, u, f, u},
                                    {u, u, u, u},
                                    {u, f, u, u, f, u, f, u, OMMA_I32}};
    static const int most[] = {3, 3, 1, 4, 8, 4, 9}, least[] = {2, 2, 1, 2, 8, 2, 8};
    int ran = 0;
    for (int round = 0; round < 20000; round++) {
        const int op = (int)rnd(7), n = least[op] + (int)rnd((uint32_t)(most[op] - least[op] + 1));
        const int second = op == 4 || op == 6 ? 3 : 1;
        optest *t = optest_new(ops[op], 10 + (int)rnd(19));
        bool fits = true;
        for (int i = 0; i < n && fits; i++) {
            const bool big = i == 0 || (op > 2 && i == second);
            const int64_t image[] = {1, 2, 5, 5}, kernel[] = {2, 2, 3, 3}, matrix[] = {2, 3, 3, 3},
                          one[] = {1, 1, 1, 1};
            const int rank = op >= 5 && big ? 4 : big ? 1 + (int)rnd(4) : (int)rnd(2);
            if (rnd(40) == 0) optest_skip(t);
            else
                fits = random_input(t, usual[op][i], rank,
                                    op >= 5 && big ? (i ? kernel : image)
                                    : big          ? matrix
                                    : rnd(2)       ? one
                                                   : matrix);
        }
        if (rnd(3) == 0) optest_int(t, "axis", (int)rnd(12) - 6);
        if (rnd(3) == 0) optest_int(t, "block_size", (int)rnd(6) - 1);
        if (rnd(6) == 0) optest_int(t, "output_dtype", rnd(30));
        if (rnd(6) == 0) optest_int(t, "precision", rnd(30));
        if (rnd(6) == 0) optest_int(t, "group", (int)rnd(4) - 1);
        static const int64_t pads[] = {1, 0, 2, 1};
        if (rnd(3) == 0) optest_ints(t, "pads", pads, 4);
        if (fits && !optest_try(t, op == 2 ? 3 : 1, 2)) ran++;
        optest_free(t);
    }
    assert_true(ran > 2000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ties_go_to_even),       cmocka_unit_test(numbers_saturate),
        cmocka_unit_test(types_of_quantize),     cmocka_unit_test(dequantize_by_hand),
        cmocka_unit_test(dynamic_by_hand),       cmocka_unit_test(quantize_random),
        cmocka_unit_test(dequantize_random),     cmocka_unit_test(dynamic_random),
        cmocka_unit_test(matmul_integer_random), cmocka_unit_test(qlinear_matmul_random),
        cmocka_unit_test(sums_wrap_around),      cmocka_unit_test(conv_integer_random),
        cmocka_unit_test(qlinear_conv_random),   cmocka_unit_test(same_padding),
        cmocka_unit_test(nothing_to_do),         cmocka_unit_test(refuses_scales),
        cmocka_unit_test(refuses_types),         cmocka_unit_test(refuses_products),
        cmocka_unit_test(refuses_convolutions),  cmocka_unit_test(anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

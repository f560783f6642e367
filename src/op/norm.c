/* norm.c - normalisations: BatchNormalization, InstanceNormalization, GroupNormalization and
 * LayerNormalization.
 *
 *     y = (x - mean) / sqrt(var + epsilon) * scale + bias
 *
 * They differ in what mean and variance are taken over and in what scale and bias belong to:
 *
 *     Batch     given; in training those of a channel  per channel
 *     Instance  each [D1, D2, ...] of a channel        per channel
 *     Group     a group of channels                    per group (opset 18), channel (since 21)
 *     Layer     the axes from `axis` on                any shape that broadcasts to x
 *
 * x is [N, C, D1, D2, ...] for all but Layer. The variance is of the mean (biased), taken in a
 * second pass about the mean. Sums are taken by blocks and added up in double, so a row's
 * numbers depend on its length only. float32 runs on kernels, other floats in double.
 * Batch trains when training_mode is set, and before opset 14, where outputs said so, when more
 * than the first is asked for; then outputs 1 and 2 are running = given * momentum + current *
 * (1 - momentum), outputs 3 and 4 (before opset 14) the current mean and variance. Opsets 1 and
 * 6 also have is_test, whose default contradicts a node with one output: the outputs count.
 * spatial = 0 (before opset 9) takes every place of an image for a channel of its own.
 * Traps: scale and bias may be of another float type than x (Batch, since opset 15). */
#include <math.h>

#include "base/checked.h"
#include "base/pool.h"
#include "op/element.h"

enum { BLOCK = 1024, HALF_ROW = 4096 };

static double norm_flops(const omma_node *n) { return 8 * (double)omma_value_count(n->in[0]); }

static double at(const omma_value *v, int64_t i) { return omma_get_number(v->dtype, v->mem, i); }

/* Mean and 1 / sqrt(var + eps) of n contiguous numbers from number i of v. */
typedef struct stats {
    double mean, inv;
} stats;

static stats stats_of(const omma_kernels *k, const omma_value *v, int64_t i, int64_t n,
                      double eps) {
    double sum = 0, square = 0;
    const float *x = (const float *)v->mem + (v->dtype == OMMA_F32 ? i : 0);
    if (v->dtype == OMMA_F32)
        for (int64_t j = 0; j < n; j += BLOCK)
            sum += (double)k->sum(n - j < BLOCK ? n - j : BLOCK, x + j);
    else
        for (int64_t j = 0; j < n; j++) sum += at(v, i + j);
    const double mean = sum / (double)n;
    if (v->dtype == OMMA_F32)
        for (int64_t j = 0; j < n; j += BLOCK)
            square += (double)k->sum_sq(n - j < BLOCK ? n - j : BLOCK, x + j, (float)mean);
    else
        for (int64_t j = 0; j < n; j++) square += (at(v, i + j) - mean) * (at(v, i + j) - mean);
    return (stats){mean, 1 / sqrt(square / (double)n + eps)};
}

/* y = (x - mean) * inv * scale + bias for n contiguous numbers from number i. The mean goes
 * first: x * mul + (bias - mean * mul) would lose digits where the variance is small. What
 * rounding the mean to float leaves goes into the shift. */
static void apply(const omma_kernels *k, const omma_value *x, omma_value *y, int64_t i, int64_t n,
                  stats s, double scale, double bias) {
    const float mean = (float)s.mean, mul = (float)(s.inv * scale);
    const float add = (float)(bias + ((double)mean - s.mean) * s.inv * scale);
    if (x->dtype != OMMA_F32) {
        for (int64_t j = i; j < i + n; j++)
            omma_set_number(y->dtype, y->mem, j, (at(x, j) - s.mean) * s.inv * scale + bias);
        return;
    }
    for (int64_t j = i; j < i + n; j += BLOCK) {
        const int64_t m = i + n - j < BLOCK ? i + n - j : BLOCK;
        float *to = (float *)y->mem + j;
        k->binary[OMMA_BIN_SUB](m, (const float *)x->mem + j, 1, &mean, 0, to);
        k->affine(m, to, &mul, &add, 0, to);
    }
}

/* --- Batch, Instance, Group: per channel -------------------------------------- */

typedef struct channels {
    int64_t n, c, plane; /* x as [n, c, plane] */
    int64_t groups;      /* of channels that share mean and variance */
    double eps;
    bool per_group; /* scale and bias */
    bool trains;    /* Batch */
} channels;

/* The float vectors from input first to last must hold count numbers. */
static omma_status want_vectors(omma_build *b, const omma_node *n, int first, int last,
                                int64_t count) {
    for (int i = first; i <= last; i++) {
        OMMA_TRY(omma_want(b, n, i, OMMA_IN_FLOAT));
        const omma_value *v = n->in[i];
        if (v->rank != 1 || v->dims[0] != count)
            return omma_bad(b, n, "input %d ('%s') must hold %lld numbers", i, v->name,
                            (long long)count);
    }
    return OMMA_OK;
}

static omma_status channels_of(omma_build *b, omma_node *n, int min_rank, channels **out) {
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_FLOAT));
    const omma_value *x = n->in[0];
    if (x->rank < min_rank)
        return omma_bad(b, n, "'%s' is of rank %d, at least %d is needed", x->name, x->rank,
                        min_rank);
    channels *c = *out = omma_param(b, n, sizeof *c);
    if (!c) return omma_nomem(b, n);
    *c = (channels){.n = x->dims[0], .c = x->rank > 1 ? x->dims[1] : 1, .plane = 1};
    c->groups = c->c;
    c->eps = (double)omma_node_float(n, "epsilon", 1e-5f);
    for (int d = 2; d < x->rank; d++) c->plane *= x->dims[d];
    return omma_out_like(b, n, 0, x);
}

/* Inputs 1 to 4 of Batch: places apart (spatial = 0) they may have the shape of an image too. */
static omma_status want_channels(omma_build *b, const omma_node *n, const channels *c, bool apart) {
    if (!apart) return want_vectors(b, n, 1, 4, c->c);
    for (int i = 1; i <= 4; i++) {
        OMMA_TRY(omma_want(b, n, i, OMMA_IN_FLOAT));
        if (omma_value_count(n->in[i]) != c->c)
            return omma_bad(b, n, "input %d ('%s') must hold %lld numbers", i, n->in[i]->name,
                            (long long)c->c);
    }
    return OMMA_OK;
}

static omma_status BatchNormalization_infer(omma_build *b, omma_node *n) {
    channels *c;
    bool more = false; /* outputs than the first */
    OMMA_TRY(channels_of(b, n, 1, &c));
    const bool apart = n->opset < 9 && !omma_node_int(n, "spatial", 1);
    if (apart) {
        int64_t all;
        if (!omma_dims_count((int64_t[]){c->c, c->plane}, 2, &all))
            return omma_bad(b, n, "the size overflows");
        c->c = c->groups = all;
        c->plane = 1;
    }
    OMMA_TRY(want_channels(b, n, c, apart));
    for (int i = 1; i < n->n_out; i++)
        if (n->out[i]) more = true;
    c->trains = n->opset >= 14 ? omma_node_int(n, "training_mode", 0) != 0 : more;
    if (more && !c->trains)
        return omma_unsupported(b, n, "more than one output exists in training only");
    if (c->trains && (!c->n || !c->plane))
        return omma_bad(b, n, "training on a batch of no numbers");
    for (int i = 1; i < n->n_out; i++) OMMA_TRY(omma_out_like(b, n, i, n->in[i % 2 ? 3 : 4]));
    return OMMA_OK;
}

static omma_status InstanceNormalization_infer(omma_build *b, omma_node *n) {
    channels *c;
    OMMA_TRY(channels_of(b, n, 2, &c));
    return want_vectors(b, n, 1, 2, c->c);
}

static omma_status GroupNormalization_infer(omma_build *b, omma_node *n) {
    channels *c;
    OMMA_TRY(channels_of(b, n, 2, &c));
    c->groups = omma_node_int(n, "num_groups", 0);
    if (c->groups < 1 || c->c % c->groups)
        return omma_bad(b, n, "num_groups %lld does not divide %lld channels", (long long)c->groups,
                        (long long)c->c);
    c->per_group = n->opset < 21;
    return want_vectors(b, n, 1, 2, c->per_group ? c->groups : c->c);
}

typedef struct job {
    const omma_kernels *kern;
    const omma_node *n;
} job;

/* Item: a channel of an image. */
static void batch(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const channels *c = j->n->param;
    omma_value *const *in = j->n->in;
    for (int64_t i = begin; i < end; i++) {
        const int64_t ch = i % c->c;
        const stats s = {at(in[3], ch), 1 / sqrt(at(in[4], ch) + c->eps)};
        apply(j->kern, in[0], j->n->out[0], i * c->plane, c->plane, s, at(in[1], ch),
              at(in[2], ch));
    }
}

/* Mean and variance of a channel over all images. */
static void batch_stats(const job *j, const channels *c, int64_t ch, double *mean, double *var) {
    const omma_value *x = j->n->in[0];
    const double count = (double)c->n * (double)c->plane;
    double sum = 0, square = 0;
    for (int64_t i = 0; i < c->n; i++)
        for (int64_t k = 0; k < c->plane; k++) sum += at(x, (i * c->c + ch) * c->plane + k);
    *mean = sum / count;
    for (int64_t i = 0; i < c->n; i++)
        for (int64_t k = 0; k < c->plane; k++) {
            const double d = at(x, (i * c->c + ch) * c->plane + k) - *mean;
            square += d * d;
        }
    *var = square / count;
}

/* Item: a channel of all images, in training. */
static void train(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const channels *c = j->n->param;
    omma_value *const *in = j->n->in;
    const double keep = (double)omma_node_float(j->n, "momentum", 0.9f);
    for (int64_t ch = begin; ch < end; ch++) {
        double now[2];
        batch_stats(j, c, ch, &now[0], &now[1]);
        const stats s = {now[0], 1 / sqrt(now[1] + c->eps)};
        const double scale = at(in[1], ch), bias = at(in[2], ch),
                     old[2] = {at(in[3], ch), at(in[4], ch)};
        for (int64_t i = 0; omma_wanted(j->n, 0) && i < c->n; i++)
            apply(j->kern, in[0], j->n->out[0], (i * c->c + ch) * c->plane, c->plane, s, scale,
                  bias);
        for (int i = 1; i < j->n->n_out; i++) {
            omma_value *y = j->n->out[i];
            const double v = now[!(i % 2)];
            if (y)
                omma_set_number(y->dtype, y->mem, ch,
                                i < 3 ? old[!(i % 2)] * keep + v * (1 - keep) : v);
        }
    }
}

/* Item: a group of channels of an image. */
static void group(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const channels *c = j->n->param;
    omma_value *const *in = j->n->in;
    const int64_t each = c->c / c->groups;
    for (int64_t i = begin; i < end; i++) {
        const stats s = stats_of(j->kern, in[0], i * each * c->plane, each * c->plane, c->eps);
        for (int64_t k = 0; k < each; k++) {
            const int64_t g = i % c->groups, p = c->per_group ? g : g * each + k;
            apply(j->kern, in[0], j->n->out[0], (i * each + k) * c->plane, c->plane, s,
                  at(in[1], p), at(in[2], p));
        }
    }
}

static omma_status channels_run(const omma_exec *x, const omma_node *n, omma_chunk fn) {
    const channels *c = n->param;
    if (!omma_wanted(n, 0) || !omma_value_count(n->in[0])) return OMMA_OK;
    job j = {x->kern, n};
    const int64_t work = c->c / c->groups * c->plane;
    omma_parallel(x->threads, c->n * c->groups, work >= OMMA_GRAIN ? 1 : OMMA_GRAIN / (work + 1),
                  fn, &j);
    return OMMA_OK;
}

static omma_status batch_run(const omma_exec *x, const omma_node *n) {
    const channels *c = n->param;
    if (c->trains) {
        job j = {x->kern, n};
        omma_parallel(x->threads, c->c, 1, train, &j);
        return OMMA_OK;
    }
    return channels_run(x, n, batch);
}
static omma_status group_run(const omma_exec *x, const omma_node *n) {
    return channels_run(x, n, group);
}

/* --- LayerNormalization ------------------------------------------------------- */

typedef struct layer {
    int64_t rows, len;
    double eps;
    bool plain; /* float32 and scale (and bias) hold one number for each of a row */
    bool half;  /* bfloat16, scale and bias such rows of float32 */
    int64_t stride[2][OMMA_MAX_RANK]; /* of scale and bias in x's dims, 0 where broadcast */
} layer;

/* Scale or bias as seen from x; *plain is cleared unless it is laid out as a row. */
static omma_status want_spread(omma_build *b, const omma_node *n, int i, int64_t len,
                               int64_t *stride, bool *plain) {
    const omma_value *x = n->in[0], *v = n->in[i];
    const int shift = x->rank - v->rank;
    int64_t own[OMMA_MAX_RANK], row[OMMA_MAX_RANK], inner = 1;
    if (shift < 0) return omma_bad(b, n, "input '%s' does not broadcast to '%s'", v->name, x->name);
    omma_strides(v->dims, v->rank, own);
    omma_strides(x->dims, x->rank, row);
    for (int d = x->rank - 1; d >= 0; d--) {
        const int64_t dim = d < shift ? 1 : v->dims[d - shift];
        if (dim != 1 && dim != x->dims[d])
            return omma_bad(b, n, "input '%s' does not broadcast to '%s' along axis %d", v->name,
                            x->name, d);
        stride[d] = dim == 1 ? 0 : own[d - shift];
        if (inner < len ? dim != x->dims[d] : dim != 1) *plain = false;
        inner *= x->dims[d];
    }
    return OMMA_OK;
}

static omma_status LayerNormalization_infer(omma_build *b, omma_node *n) {
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_FLOAT));
    OMMA_TRY(omma_want(b, n, 1, OMMA_IN_FLOAT));
    if (omma_in(n, 2)) OMMA_TRY(omma_want(b, n, 2, OMMA_IN_FLOAT));
    const omma_value *x = n->in[0];
    int axis = 0;
    OMMA_TRY(omma_axis(b, n, omma_node_int(n, "axis", -1), x->rank, &axis));
    const int64_t stash = omma_node_int(n, "stash_type", OMMA_F32);
    if (stash <= 0 || stash >= 32 || !omma_type_in((omma_dtype)stash, OMMA_IN_FLOAT))
        return omma_unsupported(b, n, "stash_type %lld", (long long)stash);
    layer *l = omma_param(b, n, sizeof *l);
    if (!l) return omma_nomem(b, n);
    *l = (layer){.rows = 1,
                 .len = 1,
                 .eps = (double)omma_node_float(n, "epsilon", 1e-5f),
                 .plain = x->dtype == OMMA_F32};
    int64_t dims[OMMA_MAX_RANK];
    bool rows = true;
    for (int d = 0; d < x->rank; d++) {
        dims[d] = d < axis ? x->dims[d] : 1;
        *(d < axis ? &l->rows : &l->len) *= x->dims[d];
    }
    for (int i = 1; i <= 2; i++)
        if (omma_in(n, i)) {
            OMMA_TRY(want_spread(b, n, i, l->len, l->stride[i - 1], &rows));
            if (!rows) l->plain = false;
            if (n->in[i]->dtype != OMMA_F32) l->plain = rows = false;
        }
    l->half = rows && x->dtype == OMMA_BF16 && l->len <= HALF_ROW;
    OMMA_TRY(omma_out(b, n, 1, (omma_dtype)stash, x->rank, dims));
    OMMA_TRY(omma_out(b, n, 2, (omma_dtype)stash, x->rank, dims));
    return omma_out_like(b, n, 0, x);
}

/* y = x * scale + bias, row by row of len numbers from number i, in place; any shape of scale. */
static void spread_row(const omma_node *n, const layer *l, int64_t i, stats s) {
    const omma_value *x = n->in[0], *scale = n->in[1], *bias = omma_in(n, 2);
    omma_value *y = n->out[0];
    for (int64_t k = i; k < i + l->len; k++) {
        int64_t rest = k, p = 0, q = 0;
        for (int d = x->rank - 1; d >= 0; d--) {
            p += rest % x->dims[d] * l->stride[0][d];
            q += rest % x->dims[d] * l->stride[1][d];
            rest /= x->dims[d];
        }
        omma_set_number(y->dtype, y->mem, k,
                        (at(x, k) - s.mean) * s.inv * at(scale, p) + (bias ? at(bias, q) : 0));
    }
}

/* Rows of bfloat16, some at a time made float32. */
static void half_rows(const job *j, const layer *l, int64_t begin, int64_t end) {
    const omma_node *n = j->n;
    const int64_t most = HALF_ROW / l->len;
    const uint16_t *x = n->in[0]->mem;
    uint16_t *y = n->out[0]->mem;
    float t[HALF_ROW];
    for (int64_t i = begin, rows; i < end; i += rows) {
        rows = end - i < most ? end - i : most;
        j->kern->bf16_widen(rows * l->len, x + i * l->len, t);
        j->kern->layer_norm(rows, l->len, t, n->in[1]->mem, omma_in(n, 2) ? n->in[2]->mem : NULL,
                            l->eps, t);
        j->kern->bf16_narrow(rows * l->len, t, y + i * l->len);
    }
}

static void layer_rows(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const omma_node *n = j->n;
    const layer *l = n->param;
    omma_value *y = omma_wanted(n, 0), *mean = omma_wanted(n, 1), *inv = omma_wanted(n, 2);
    if (y && l->plain && l->len && !mean && !inv) {
        j->kern->layer_norm(end - begin, l->len, (const float *)n->in[0]->mem + begin * l->len,
                            n->in[1]->mem, omma_in(n, 2) ? n->in[2]->mem : NULL, l->eps,
                            (float *)y->mem + begin * l->len);
        return;
    }
    if (y && l->half && l->len && !mean && !inv) {
        half_rows(j, l, begin, end);
        return;
    }
    for (int64_t i = begin; i < end; i++) {
        const stats s = stats_of(j->kern, n->in[0], i * l->len, l->len, l->eps);
        if (mean) omma_set_number(mean->dtype, mean->mem, i, s.mean);
        if (inv) omma_set_number(inv->dtype, inv->mem, i, s.inv);
        if (!y) continue;
        if (!l->plain) {
            spread_row(n, l, i * l->len, s);
            continue;
        }
        float *row = (float *)y->mem + i * l->len;
        apply(j->kern, n->in[0], y, i * l->len, l->len, s, 1, 0);
        if (omma_in(n, 2)) j->kern->affine(l->len, row, n->in[1]->mem, n->in[2]->mem, 1, row);
        else j->kern->binary[OMMA_BIN_MUL](l->len, row, 1, n->in[1]->mem, 1, row);
    }
}

static omma_status layer_run(const omma_exec *x, const omma_node *n) {
    const layer *l = n->param;
    job j = {x->kern, n};
    omma_parallel(x->threads, l->rows, l->len >= OMMA_GRAIN ? 1 : OMMA_GRAIN / (l->len + 1),
                  layer_rows, &j);
    return OMMA_OK;
}

#define ROW(Name, run_, min_in_, max_in_, max_out_)          \
    const omma_op omma_op_##Name = {.name = #Name,           \
                                    .min_in = min_in_,       \
                                    .max_in = max_in_,       \
                                    .min_out = 1,            \
                                    .max_out = max_out_,     \
                                    .infer = Name##_infer,   \
                                    .run = run_,             \
                                    .flops = norm_flops,     \
                                    .no_grad = OMMA_NOT_YET, \
                                    .no_field = OMMA_NOT_YET};
ROW(BatchNormalization, batch_run, 5, 5, 5)
ROW(InstanceNormalization, group_run, 3, 3, 1)
ROW(GroupNormalization, group_run, 3, 3, 1)
ROW(LayerNormalization, layer_run, 2, 3, 3)

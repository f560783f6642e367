/* norm.c - normalisations by channels: BatchNormalization, InstanceNormalization and
 * GroupNormalization.
 *
 *     y = (x - mean) / sqrt(var + epsilon) * scale + bias
 *
 * They differ in what mean and variance are taken over and in what scale and bias belong to:
 *
 *     Batch     given; in training those of a channel  per channel
 *     Instance  each [D1, D2, ...] of a channel        per channel
 *     Group     a group of channels                    per group (opset 18), channel (since 21)
 *
 * x is [N, C, D1, D2, ...]. The variance is of the mean (biased), taken in a
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
#include "op/field.h"
#include "op/norm_grad.h"
#include "op/norm_row.h"

static double norm_flops(const omma_node *n) { return 8 * (double)omma_value_count(n->in[0]); }

static double at(const omma_value *v, int64_t i) { return omma_get_number(v->dtype, v->mem, i); }

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
        const omma_stats s = {at(in[3], ch), 1 / sqrt(at(in[4], ch) + c->eps)};
        omma_norm_row(j->kern, in[0], j->n->out[0], i * c->plane, c->plane, s, at(in[1], ch),
                      at(in[2], ch));
    }
}

/* Mean and variance of a channel over all images. */
static void batch_stats(const job *j, const channels *c, int64_t ch, double *mean, double *var) {
    const omma_value *x = j->n->in[0];
    const double count = (double)c->n * (double)c->plane;
    double sum = 0, square = 0;
    for (int64_t i = 0; i < c->n; i++)
        sum += omma_norm_sum(j->kern, x, (i * c->c + ch) * c->plane, c->plane);
    *mean = sum / count;
    for (int64_t i = 0; i < c->n; i++)
        square += omma_norm_squares(j->kern, x, (i * c->c + ch) * c->plane, c->plane, *mean);
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
        const omma_stats s = {now[0], 1 / sqrt(now[1] + c->eps)};
        const double scale = at(in[1], ch), bias = at(in[2], ch),
                     old[2] = {at(in[3], ch), at(in[4], ch)};
        for (int64_t i = 0; omma_wanted(j->n, 0) && i < c->n; i++)
            omma_norm_row(j->kern, in[0], j->n->out[0], (i * c->c + ch) * c->plane, c->plane, s,
                          scale, bias);
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
        const omma_stats s =
            omma_norm_stats(j->kern, in[0], i * each * c->plane, each * c->plane, c->eps);
        for (int64_t k = 0; k < each; k++) {
            const int64_t g = i % c->groups, p = c->per_group ? g : g * each + k;
            omma_norm_row(j->kern, in[0], j->n->out[0], (i * each + k) * c->plane, c->plane, s,
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

/* --- Batch, Instance, Group: gradients and fields ------------------------------ */

/* How x, a parameter and what means are taken of face each other. */
typedef struct facing {
    int rank;
    int64_t dims[OMMA_MAX_RANK]; /* of x: its own, or [N, groups, C of a group, places] */
    int64_t own[OMMA_MAX_RANK];  /* of a parameter */
    unsigned axes;               /* that mean and variance are taken of, a bit each */
} facing;

static facing face_groups(const omma_node *n) {
    const channels *c = n->param;
    const int64_t each = c->c / c->groups;
    return (facing){.rank = 4,
                    .dims = {c->n, c->groups, each, c->plane},
                    .own = {1, c->groups, c->per_group ? 1 : each, 1},
                    .axes = 12};
}

static facing face_channels(const omma_node *n, bool images_apart) {
    const channels *c = n->param;
    const omma_value *x = n->in[0];
    facing f = {.rank = x->rank};
    if (c->groups < c->c) return face_groups(n);
    const bool places = x->rank > 1 && c->c != x->dims[1]; /* are channels too */
    for (int d = 0; d < x->rank; d++) {
        const bool channel = d == 1 || (places && d > 0);
        f.dims[d] = x->dims[d];
        f.own[d] = channel ? x->dims[d] : 1;
        if (!channel && !(images_apart && !d)) f.axes |= 1u << d;
    }
    return f;
}

static omma_value *look_x(omma_maker *m, const facing *f, const omma_node *n, omma_value *x) {
    return omma_make_reshape(m, omma_norm_cast(m, x, n->in[0]), f->rank, f->dims);
}

static omma_value *look_own(omma_maker *m, const facing *f, const omma_node *n, omma_value *v) {
    return omma_make_reshape(m, omma_norm_cast(m, v, n->in[0]), f->rank, f->own);
}

static omma_status add_own(omma_grad *g, const omma_node *n, int i, omma_value *v) {
    return omma_grad_add(g, n, i, omma_make_shaped(&g->m, v, n->in[i]));
}

/* Sums over what one number of scale and bias is for: of dy, and of dy times off. */
static omma_value *own_sum(omma_maker *m, const facing *f, omma_value *v) {
    unsigned axes = f->axes;
    for (int d = 0; d < f->rank; d++)
        if (f->own[d] != 1) axes &= ~(1u << d);
    return omma_make_sum(m, v, axes, true);
}

/* To scale and bias, from the two sums. */
static omma_status add_affine(omma_grad *g, const omma_node *n, const omma_value *scale,
                              omma_value *sum, omma_value *sum_off, omma_value *inv) {
    omma_maker *m = &g->m;
    if (omma_grad_wants(g, n, 1)) {
        omma_value *part = omma_make_2(m, "Mul", sum_off, inv);
        OMMA_TRY(add_own(g, n, 1, omma_make_fitted(m, part, scale)));
    }
    if (!omma_grad_wants(g, n, 2)) return m->status;
    return add_own(g, n, 2, omma_make_fitted(m, sum, scale));
}

/* To x, scale and bias, where mean and variance are x's. With off = x - mean, and scale the same
 * over a channel's places, whose sums come first:
 *
 *     dx = scale inv dy - off inv^3 mean(scale dy off) - inv mean(scale dy) */
static omma_status own_grad(omma_grad *g, const omma_node *n, const facing *f, omma_value *dmean,
                            omma_value *dvar) {
    omma_maker *m = &g->m;
    omma_value *c = omma_grad_out(g, n, 0), *scale = look_own(m, f, n, n->in[1]), *x, *off, *inv;
    omma_value *dy = look_x(m, f, n, c ? c : omma_make_full(m, n->in[0], 0)), *level, *along;
    x = look_x(m, f, n, n->in[0]);
    off = omma_make_2(m, "Sub", x, omma_norm_mean(m, x, f->axes));
    inv = omma_norm_inverse(m, omma_norm_mean_square(m, off, f->axes),
                            ((const channels *)n->param)->eps);
    omma_value *sum = own_sum(m, f, dy), *sum_off = own_sum(m, f, omma_make_2(m, "Mul", dy, off));
    OMMA_TRY(add_affine(g, n, scale, sum, sum_off, inv));
    if (!omma_grad_wants(g, n, 0)) return m->status;
    const double each = 1 / omma_norm_count(x, f->axes);
    level = omma_make_sum(m, omma_make_2(m, "Mul", scale, sum), f->axes, true);
    along = omma_make_sum(m, omma_make_2(m, "Mul", scale, sum_off), f->axes, true);
    level = omma_make_2(m, "Mul", omma_make_scaled(m, level, each), inv);
    along = omma_make_2(m, "Mul", omma_make_scaled(m, along, each), inv);
    along = omma_make_2(m, "Mul", along, omma_make_2(m, "Mul", inv, inv));
    if (dmean) level = omma_make_2(m, "Sub", level, omma_make_scaled(m, dmean, each));
    if (dvar) along = omma_make_2(m, "Sub", along, omma_make_scaled(m, dvar, 2 * each));
    omma_value *rest = omma_make_2(m, "Add", omma_make_2(m, "Mul", off, along), level);
    omma_value *dx = omma_make_2(m, "Mul", dy, omma_make_2(m, "Mul", scale, inv));
    return omma_grad_add(g, n, 0, omma_make_shaped(m, omma_make_2(m, "Sub", dx, rest), n->in[0]));
}

static omma_status group_grad(omma_grad *g, const omma_node *n) {
    const facing f = face_channels(n, true);
    return own_grad(g, n, &f, NULL, NULL);
}

/* Mean and variance are given: y is x scaled, and so is what goes back. */
static omma_status given_grad(omma_grad *g, const omma_node *n, const facing *f) {
    omma_maker *m = &g->m;
    omma_value *dy = look_x(m, f, n, omma_grad_out(g, n, 0)), *scale = look_own(m, f, n, n->in[1]);
    omma_value *inv =
        omma_norm_inverse(m, look_own(m, f, n, n->in[4]), ((const channels *)n->param)->eps);
    omma_value *slope = omma_make_2(m, "Mul", scale, inv), *sum, *sum_off = NULL;
    if (omma_grad_wants(g, n, 0)) {
        omma_value *dx = omma_make_2(m, "Mul", dy, slope);
        OMMA_TRY(omma_grad_add(g, n, 0, omma_make_shaped(m, dx, n->in[0])));
    }
    sum = own_sum(m, f, dy);
    if (omma_grad_wants(g, n, 1) || omma_grad_wants(g, n, 4)) {
        omma_value *x = look_x(m, f, n, n->in[0]), *mean = look_own(m, f, n, n->in[3]);
        sum_off = own_sum(m, f, omma_make_2(m, "Mul", dy, omma_make_2(m, "Sub", x, mean)));
    }
    OMMA_TRY(add_affine(g, n, scale, sum, sum_off, inv));
    if (omma_grad_wants(g, n, 3))
        OMMA_TRY(add_own(g, n, 3, omma_make_1(m, "Neg", omma_make_2(m, "Mul", sum, slope))));
    if (!omma_grad_wants(g, n, 4)) return m->status;
    slope = omma_make_2(m, "Mul", slope, omma_make_2(m, "Mul", inv, inv));
    return add_own(g, n, 4, omma_make_scaled(m, omma_make_2(m, "Mul", sum_off, slope), -0.5));
}

/* The cotangent of the current mean (which 1) or variance (2) from the outputs that tell it, NULL
 * for none; what the given one has from there is added. */
static omma_value *told_grad(omma_grad *g, const omma_node *n, const facing *f, int which) {
    omma_maker *m = &g->m;
    const double keep = (double)omma_node_float(n, "momentum", 0.9f);
    omma_value *sum = NULL;
    for (int k = which; k < n->n_out; k += 2) {
        omma_value *c = omma_grad_out(g, n, k);
        if (!c) continue;
        c = look_own(m, f, n, c);
        if (k < 3) (void)add_own(g, n, which + 2, omma_make_scaled(m, c, keep));
        if (k < 3) c = omma_make_scaled(m, c, 1 - keep);
        sum = sum ? omma_make_2(m, "Add", sum, c) : c;
    }
    return sum;
}

static omma_status batch_grad(omma_grad *g, const omma_node *n) {
    const facing f = face_channels(n, false);
    if (!((const channels *)n->param)->trains) return given_grad(g, n, &f);
    omma_value *dmean = told_grad(g, n, &f, 1);
    return own_grad(g, n, &f, dmean, told_grad(g, n, &f, 2));
}

/* Output k has mean and variance of x (input 0) in it, or an own parameter. */
static void relate_mean(omma_field *f, const facing *face, int k) {
    omma_relation *r = omma_field_relate(f, k, 0);
    if (!r) return;
    r->path = OMMA_PATH_STATISTIC;
    omma_relation_view_out(r, face->rank, k ? face->own : face->dims);
    omma_relation_view_in(r, face->rank, face->dims);
    for (int d = 0; d < face->rank; d++)
        if (!(face->axes >> d & 1)) omma_relation_same(r, d, d);
}

static void relate_own(omma_field *f, const facing *face, int k, int i, omma_path path) {
    omma_relation *r = omma_field_relate(f, k, i);
    if (!r) return;
    r->path = path;
    omma_relation_view_out(r, face->rank, k ? face->own : face->dims);
    omma_relation_view_in(r, face->rank, face->own);
    for (int d = 0; d < face->rank; d++)
        if (face->own[d] == face->dims[d]) omma_relation_same(r, d, d);
}

static omma_status group_field(omma_field *f, const omma_node *n) {
    const facing face = face_channels(n, true);
    (void)omma_field_broadcast(f, 0, 0, OMMA_PATH_VALUE);
    relate_mean(f, &face, 0);
    for (int i = 1; i <= 2; i++) relate_own(f, &face, 0, i, OMMA_PATH_VALUE);
    return f->status;
}

static omma_status batch_field(omma_field *f, const omma_node *n) {
    const facing face = face_channels(n, false);
    const bool trains = ((const channels *)n->param)->trains;
    (void)omma_field_broadcast(f, 0, 0, OMMA_PATH_VALUE);
    if (trains) relate_mean(f, &face, 0);
    for (int i = 1; i <= 2; i++) relate_own(f, &face, 0, i, OMMA_PATH_VALUE);
    for (int i = 3; i <= 4 && !trains; i++) relate_own(f, &face, 0, i, OMMA_PATH_STATISTIC);
    for (int k = 1; k < n->n_out; k++) {
        relate_mean(f, &face, k);
        if (k < 3) relate_own(f, &face, k, k + 2, OMMA_PATH_VALUE);
    }
    return f->status;
}

#define ROW(Name, kind, n_in, max_out_)                    \
    const omma_op omma_op_##Name = {.name = #Name,         \
                                    .min_in = n_in,        \
                                    .max_in = n_in,        \
                                    .min_out = 1,          \
                                    .max_out = max_out_,   \
                                    .infer = Name##_infer, \
                                    .run = kind##_run,     \
                                    .flops = norm_flops,   \
                                    .grad = kind##_grad,   \
                                    .field = kind##_field};
ROW(BatchNormalization, batch, 5, 5)
ROW(InstanceNormalization, group, 3, 1)
ROW(GroupNormalization, group, 3, 1)

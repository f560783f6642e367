/* recurrent.c - LSTM, GRU and RNN: a state carried along a sequence.
 *
 *   LSTM  i, f, o = f(W x + R h + P c + b)    c~ = g(..)    c' = f c + i c~    h' = o h(c')
 *   GRU   z, r = f(W x + R h + b)   h~ = g(W x + R (r h) + b)   h' = (1 - z) h~ + z h
 *   RNN   h' = f(W x + R h + b)
 *
 *   x: [T, B, I]   w: [D, gates*H, I]   r: [D, gates*H, H]   b: [D, 2*gates*H], w's and r's
 *   sequence_lens: int32 [B]   initial h, c: [D, B, H]   p: [D, 3*H], peepholes i, o, f
 *   y: [T, D, B, H]   y_h, y_c: [D, B, H]      layout 1: [B, T, I], [B, D, H], [B, T, D, H]
 *
 * D is 2 for bidirectional. Gates lie in the order i, o, f, c and z, r, h. W x is one matrix
 * product for the whole sequence; each step adds one with R. Computed in float32: the 16-bit
 * floats are converted on their way in and out, float64 goes a way of its own (recurrent_f64.c).
 * Sources: ONNX LSTM, GRU and RNN 1, 7, 14, 22. Traps: beyond a sequence's length y is 0 and the
 * state stays; a reversed direction begins at the sequence's own end; clip bounds what goes into
 * every activation, h's too; with linear_before_reset r's bias is inside the reset; alphas go to
 * the activations that take one, in order, or to each if there are as many as activations. */
#include <string.h>

#include "base/pool.h"
#include "op/fused.h"
#include "op/recurrent.h"

/* --- attributes ------------------------------------------------------------------------------- */

/* The next alpha or beta for activation number i of `all`. */
static float next_argument(const omma_attr *list, bool takes, int i, int all, int *used,
                           float fallback) {
    if (!list || list->kind != OMMA_ATTR_FLOATS || !takes) return fallback;
    if (list->count == all) return list->floats[i];
    return *used < list->count ? list->floats[(*used)++] : fallback;
}

static omma_status read_activations(omma_build *b, const omma_node *n, omma_recurrent *p) {
    static const char *const usual[OMMA_REC_ACTS] = {"Sigmoid", "Tanh", "Tanh"};
    const omma_attr *names = omma_node_attr(n, "activations");
    const omma_attr *alpha = omma_node_attr(n, "activation_alpha"),
                    *beta = omma_node_attr(n, "activation_beta");
    const int all = p->dirs * p->n_acts;
    int used_a = 0, used_b = 0;
    if (names && (names->kind != OMMA_ATTR_STRINGS || (names->count && names->count != all)))
        return omma_bad(b, n, "attribute 'activations' must name %d", all);
    for (int i = 0; i < all; i++) {
        omma_gate *a = &p->act[i / p->n_acts][i % p->n_acts];
        const char *name = p->kind == OMMA_RNN ? "Tanh" : usual[i % p->n_acts];
        if (names && names->count) name = names->strings[i];
        OMMA_TRY(omma_gate_find(b, n, name, a));
        a->a = next_argument(alpha, omma_gate_takes_a(a->kind), i, all, &used_a, a->a);
        a->b = next_argument(beta, omma_gate_takes_b(a->kind), i, all, &used_b, a->b);
    }
    return OMMA_OK;
}

static omma_status read_attributes(omma_build *b, const omma_node *n, omma_recurrent *p) {
    const char *direction = omma_node_string(n, "direction", "forward");
    p->dirs = 1;
    if (!strcmp(direction, "bidirectional")) p->dirs = 2, p->reversed[1] = true;
    else if (!strcmp(direction, "reverse")) p->reversed[0] = true;
    else if (strcmp(direction, "forward"))
        return omma_bad(b, n, "direction '%s' is unknown", direction);
    p->clip = omma_node_float(n, "clip", 0);
    if (!(p->clip >= 0)) return omma_bad(b, n, "clip %g is negative", (double)p->clip);
    p->batch_first = omma_node_int(n, "layout", 0) != 0;
    p->linear = p->kind == OMMA_GRU && omma_node_int(n, "linear_before_reset", 0) != 0;
    p->coupled = p->kind == OMMA_LSTM && omma_node_int(n, "input_forget", 0) != 0;
    return read_activations(b, n, p);
}

/* --- shapes ----------------------------------------------------------------------------------- */

/* Input i, if it is there, must be of x's type and of these dims. */
static omma_status want(omma_build *b, const omma_node *n, int i, int rank, int64_t d0, int64_t d1,
                        int64_t d2) {
    const omma_value *v = omma_in(n, i);
    const int64_t dims[3] = {d0, d1, d2};
    if (!v) return OMMA_OK;
    OMMA_TRY(omma_want_same(b, n, i));
    if (v->rank != rank || memcmp(v->dims, dims, (size_t)rank * sizeof *dims))
        return omma_bad(b, n, "the shape of '%s' does not fit the others", v->name);
    return OMMA_OK;
}

static omma_status check_shapes(omma_build *b, const omma_node *n, omma_recurrent *p) {
    const omma_value *x = n->in[OMMA_REC_X], *r = n->in[OMMA_REC_R],
                     *lens = omma_in(n, OMMA_REC_LENS);
    int64_t state[3];
    if (x->rank != 3 || r->rank != 3)
        return omma_bad(b, n, "'%s' and '%s' must be of rank 3", x->name, r->name);
    p->steps = x->dims[p->batch_first], p->batch = x->dims[!p->batch_first];
    p->in = x->dims[2], p->hidden = r->dims[2];
    const int64_t gates = p->kind == OMMA_RNN   ? 1
                          : p->kind == OMMA_GRU ? 3
                                                : 4,
                  d = p->dirs, hidden = omma_node_int(n, "hidden_size", p->hidden);
    if (hidden != p->hidden)
        return omma_bad(b, n, "hidden_size is %lld, but '%s' says %lld", (long long)hidden, r->name,
                        (long long)p->hidden);
    if (p->hidden > INT64_MAX / 16 || p->hidden < 1)
        return omma_bad(b, n, "a state of %lld numbers", (long long)p->hidden);
    p->gates = gates * p->hidden;
    p->parts[0] = p->kind == OMMA_GRU ? 2 * p->hidden : p->gates,
    p->parts[1] = p->gates - p->parts[0];
    state[0] = p->batch_first ? p->batch : d, state[1] = p->batch_first ? d : p->batch,
    state[2] = p->hidden;
    OMMA_TRY(want(b, n, OMMA_REC_W, 3, d, p->gates, p->in));
    OMMA_TRY(want(b, n, OMMA_REC_R, 3, d, p->gates, p->hidden));
    OMMA_TRY(want(b, n, OMMA_REC_BIAS, 2, d, 2 * p->gates, 0));
    OMMA_TRY(want(b, n, OMMA_REC_H, 3, state[0], state[1], state[2]));
    OMMA_TRY(want(b, n, OMMA_REC_C, 3, state[0], state[1], state[2]));
    OMMA_TRY(want(b, n, OMMA_REC_PEEP, 2, d, 3 * p->hidden, 0));
    if (lens && (lens->dtype != OMMA_I32 || lens->rank != 1 || lens->dims[0] != p->batch))
        return omma_bad(b, n, "sequence_lens must hold an int32 for each sequence");
    OMMA_TRY(omma_out(b, n, OMMA_REC_Y_H, x->dtype, 3, state));
    OMMA_TRY(omma_out(b, n, OMMA_REC_Y_C, x->dtype, 3, state));
    if (p->batch_first)
        return omma_out(b, n, OMMA_REC_Y, x->dtype, 4,
                        (int64_t[]){p->batch, p->steps, d, p->hidden});
    return omma_out(b, n, OMMA_REC_Y, x->dtype, 4, (int64_t[]){p->steps, d, p->batch, p->hidden});
}

static omma_status infer(omma_build *b, omma_node *n, omma_cell kind) {
    OMMA_TRY(omma_want(b, n, OMMA_REC_X, OMMA_IN_FLOAT));
    OMMA_TRY(omma_want_same(b, n, OMMA_REC_W));
    OMMA_TRY(omma_want_same(b, n, OMMA_REC_R));
    omma_recurrent *p = omma_param(b, n, sizeof *p);
    if (!p) return omma_nomem(b, n);
    p->kind = kind;
    p->n_acts = kind == OMMA_RNN ? 1 : kind == OMMA_GRU ? 2 : 3;
    OMMA_TRY(read_attributes(b, n, p));
    return check_shapes(b, n, p);
}

/* --- working memory --------------------------------------------------------------------------- */

/* Set *at to where count * each floats begin. */
static bool reserve(size_t *end, size_t *at, int64_t count, int64_t each) {
    size_t bytes;
    *at = *end;
    return omma_dims_bytes((int64_t[]){count, each}, 2, sizeof(float), &bytes) &&
           omma_add(*end, bytes, end) && omma_align_up(*end, 64, end);
}

static bool reserve_bytes(size_t *end, size_t *at, size_t count, size_t bytes) {
    size_t all;
    *at = *end;
    return omma_mul(count, bytes, &all) && omma_add(*end, all, end) && omma_align_up(*end, 64, end);
}

static bool lay_out(const omma_kernels *kern, const omma_node *n, omma_recurrent *p, size_t *end) {
    int64_t rows;
    size_t r_bytes;
    if (!omma_dims_count((int64_t[]){p->steps, p->batch}, 2, &rows) ||
        !omma_packed_bytes(kern, p->in, p->gates, &p->w_panel) ||
        !omma_packed_bytes(kern, p->hidden, p->parts[0], &p->r_panel[0]) ||
        !omma_packed_bytes(kern, p->hidden, p->parts[1], &p->r_panel[1]) ||
        !omma_add(p->r_panel[0], p->r_panel[1], &r_bytes))
        return false;
    for (int i = 0; i < OMMA_REC_INPUTS; i++) {
        const omma_value *v = omma_in(n, i);
        const bool known =
            v && v->data && (i == OMMA_REC_W || i == OMMA_REC_R); /* these are packed before */
        if (v && i != OMMA_REC_LENS && v->dtype != OMMA_F32 && !known &&
            !reserve(end, &p->as_f32[i], omma_value_count(v), 1))
            return false;
    }
    return (n->in[OMMA_REC_W]->data || reserve_bytes(end, &p->w_at, (size_t)p->dirs, p->w_panel)) &&
           (n->in[OMMA_REC_R]->data || reserve_bytes(end, &p->r_at, (size_t)p->dirs, r_bytes)) &&
           reserve(end, &p->xw_at, rows, p->gates) && reserve(end, &p->hr_at, p->batch, p->gates) &&
           reserve(end, &p->h_at, p->batch, p->hidden) &&
           reserve(end, &p->c_at, p->batch, p->hidden) &&
           reserve(end, &p->rh_at, p->batch, p->hidden) && reserve(end, &p->bias_at, 2, p->gates);
}

static void to_f32(const omma_value *v, const void *src, int64_t from, int64_t count, float *dst) {
    for (int64_t i = 0; i < count; i++) dst[i] = (float)omma_get_number(v->dtype, src, from + i);
}

/* Pack every direction of w: [D, gates*H, k]; part 1 of R behind part 0. */
static void pack_all(const omma_kernels *kern, const omma_recurrent *p, int which, const void *src,
                     char *dst, int threads) {
    const int64_t k = which == OMMA_REC_W ? p->in : p->hidden;
    for (int d = 0; d < p->dirs; d++) {
        const char *from = (const char *)src + (size_t)(d * p->gates * k) * sizeof(float);
        const int64_t first = which == OMMA_REC_W ? p->gates : p->parts[0];
        omma_gemm_pack(kern, (float *)(void *)dst, from, 1, k, k, first, threads);
        dst += which == OMMA_REC_W ? p->w_panel : p->r_panel[0];
        if (which == OMMA_REC_W || !p->parts[1]) continue;
        omma_gemm_pack(kern, (float *)(void *)dst, from + (size_t)(first * k) * sizeof(float), 1, k,
                       k, p->parts[1], threads);
        dst += p->r_panel[1];
    }
}

/* Pack constant input `which` (W or R); *packed is where. */
static omma_status pack_constant(omma_build *b, omma_node *n, const omma_recurrent *p, int which,
                                 const char **packed) {
    const omma_value *v = n->in[which];
    const char *form = omma_arena_printf(b->arena, "recurrent %d %lld %lld", which,
                                         (long long)p->parts[0], (long long)p->parts[1]);
    size_t bytes;
    const void *from;
    if (!omma_mul(which == OMMA_REC_W ? p->w_panel : p->r_panel[0] + p->r_panel[1], (size_t)p->dirs,
                  &bytes))
        return omma_bad(b, n, "its packed weights overflow");
    const bool narrow = v->dtype != OMMA_F32; /* at any alignment: a copy first */
    const size_t size = narrow ? omma_value_bytes(v) : 0;
    const size_t count = narrow ? (size_t)omma_value_count(v) : 0;
    float *wide = NULL;
    void *aligned = omma_arena_alloc(b->arena, size ? size : 1);
    if (aligned) wide = omma_arena_alloc(b->arena, count * sizeof *wide + 1);
    char *dst = form && wide ? omma_pack(b, v, form, bytes ? bytes : 1, &from) : NULL;
    if (!dst) return omma_nomem(b, n);
    *packed = dst;
    n->packed_in |= 1u << which;
    if (!from) return OMMA_OK;
    if (narrow) {
        if (size) memcpy(aligned, from, size);
        to_f32(v, aligned, 0, omma_value_count(v), wide);
        from = wide;
    }
    pack_all(b->kern, p, which, from, dst, 1);
    omma_pack_done(v);
    return OMMA_OK;
}

static omma_status prepare(omma_build *b, omma_node *n) {
    omma_recurrent *p = (omma_recurrent *)n->param;
    size_t end = 0;
    if (n->in[OMMA_REC_X]->dtype == OMMA_F64) return omma_recurrent_f64_prepare(b, n);
    if (!lay_out(b->kern, n, p, &end)) return omma_bad(b, n, "its working memory overflows");
    n->scratch = end;
    const char **packed = omma_arena_alloc(b->arena, 2 * sizeof *packed);
    if (!packed) return omma_nomem(b, n);
    packed[0] = packed[1] = NULL;
    n->packed = packed;
    for (int which = OMMA_REC_W; which <= OMMA_REC_R; which++)
        if (n->in[which]->data)
            OMMA_TRY(pack_constant(b, n, p, which, &packed[which - OMMA_REC_W]));
    return OMMA_OK;
}

/* --- run -------------------------------------------------------------------------------------- */

/* One direction at work. */
typedef struct job {
    const omma_exec *x;
    const omma_node *n;
    const omma_recurrent *p;
    int dir;
    int64_t step;
    const float *in[OMMA_REC_INPUTS]; /* as float32, NULL when left out */
    const float *w, *r[2];            /* packed */
    float *xw, *hr, *h, *c, *rh, *bias, *reset_bias;
} job;

static int64_t length_of(const job *j, int64_t b) {
    const omma_value *lens = omma_in(j->n, OMMA_REC_LENS);
    return lens ? ((const int32_t *)lens->mem)[b] : j->p->steps;
}

/* Where sequence b is at this step, or -1 behind its end. */
static int64_t time_of(const job *j, int64_t b) {
    const int64_t len = length_of(j, b);
    if (j->step >= len) return -1;
    return j->p->reversed[j->dir] ? len - 1 - j->step : j->step;
}

static void store(const omma_value *v, int64_t row, int64_t n, const float *src) {
    if (!v) return;
    if (v->dtype == OMMA_F32) memcpy((float *)v->mem + row * n, src, (size_t)n * sizeof *src);
    else
        for (int64_t i = 0; i < n; i++)
            omma_set_number(v->dtype, v->mem, row * n + i, (double)src[i]);
}

/* y[i] += a[i] * b[i] */
static void add_product(int64_t n, const float *a, const float *b, float *y) {
    for (int64_t i = 0; i < n; i++) y[i] += a[i] * b[i];
}

/* A step of one sequence; g: its gates i, o, f, c, W x and R h added up. */
static void lstm_cell(const job *j, float *g, float *h, float *c) {
    const omma_recurrent *p = j->p;
    const omma_kernels *k = j->x->kern;
    const omma_gate *act = p->act[j->dir];
    const int64_t n = p->hidden;
    float *i = g, *o = g + n, *f = g + 2 * n, *new = g + 3 * n;
    const float *peep = j->in[OMMA_REC_PEEP] ? j->in[OMMA_REC_PEEP] + j->dir * 3 * n : NULL;
    if (peep) add_product(n, peep, c, i);
    if (peep && !p->coupled) add_product(n, peep + 2 * n, c, f);
    omma_gate_apply(k, &act[0], p->clip, n, i);
    if (!p->coupled) omma_gate_apply(k, &act[0], p->clip, n, f);
    omma_gate_apply(k, &act[1], p->clip, n, new);
    for (int64_t q = 0; q < n; q++) c[q] = (p->coupled ? 1 - i[q] : f[q]) * c[q] + i[q] * new[q];
    if (peep) add_product(n, peep + n, c, o);
    omma_gate_apply(k, &act[0], p->clip, n, o);
    memcpy(h, c, (size_t)n * sizeof *h);
    omma_gate_apply(k, &act[2], p->clip, n, h);
    k->binary[OMMA_BIN_MUL](n, h, 1, o, 1, h);
}

/* Items are sequences. */
static void lstm_step(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const omma_recurrent *p = j->p;
    for (int64_t b = begin; b < end; b++) {
        const int64_t t = time_of(j, b);
        if (t < 0) continue;
        float *g = j->hr + b * p->gates, *h = j->h + b * p->hidden;
        j->x->kern->binary[OMMA_BIN_ADD](p->gates, g, 1, j->xw + omma_rec_x(p, t, b) * p->gates, 1,
                                         g);
        lstm_cell(j, g, h, j->c + b * p->hidden);
        store(omma_wanted(j->n, OMMA_REC_Y), omma_rec_y(p, t, j->dir, b), p->hidden, h);
    }
}

/* z and r, and what R's second product is taken of: h, or r h. */
static void gru_gates(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const omma_recurrent *p = j->p;
    const omma_kernels *k = j->x->kern;
    for (int64_t b = begin; b < end; b++) {
        const int64_t t = time_of(j, b), n = p->hidden;
        float *g = j->hr + b * p->gates, *h = j->h + b * n, *rh = j->rh + b * n;
        memcpy(rh, h, (size_t)n * sizeof *h);
        if (t < 0) continue;
        k->binary[OMMA_BIN_ADD](2 * n, g, 1, j->xw + omma_rec_x(p, t, b) * p->gates, 1, g);
        omma_gate_apply(k, &p->act[j->dir][0], p->clip, 2 * n, g);
        if (!p->linear) k->binary[OMMA_BIN_MUL](n, h, 1, g + n, 1, rh);
    }
}

static void gru_step(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const omma_recurrent *p = j->p;
    const omma_kernels *k = j->x->kern;
    for (int64_t b = begin; b < end; b++) {
        const int64_t t = time_of(j, b), n = p->hidden;
        if (t < 0) continue;
        float *z = j->hr + b * p->gates, *r = z + n, *new = z + 2 * n, *h = j->h + b *n;
        if (p->linear) {
            k->binary[OMMA_BIN_ADD](n, new, 1, j->reset_bias, 1, new);
            k->binary[OMMA_BIN_MUL](n, new, 1, r, 1, new);
        }
        k->binary[OMMA_BIN_ADD](n, new, 1, j->xw + omma_rec_x(p, t, b) * p->gates + 2 * n, 1, new);
        omma_gate_apply(k, &p->act[j->dir][1], p->clip, n, new);
        for (int64_t q = 0; q < n; q++) h[q] = (1 - z[q]) * new[q] + z[q] * h[q];
        store(omma_wanted(j->n, OMMA_REC_Y), omma_rec_y(p, t, j->dir, b), n, h);
    }
}

static void rnn_step(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const omma_recurrent *p = j->p;
    const omma_kernels *k = j->x->kern;
    for (int64_t b = begin; b < end; b++) {
        const int64_t t = time_of(j, b), n = p->hidden;
        if (t < 0) continue;
        float *h = j->h + b * n;
        k->binary[OMMA_BIN_ADD](n, j->hr + b * n, 1, j->xw + omma_rec_x(p, t, b) * n, 1, h);
        omma_gate_apply(k, &p->act[j->dir][0], p->clip, n, h);
        store(omma_wanted(j->n, OMMA_REC_Y), omma_rec_y(p, t, j->dir, b), n, h);
    }
}

static void one_step(job *j) {
    const omma_recurrent *p = j->p;
    const omma_exec *x = j->x;
    const int64_t grain = 1 + OMMA_GRAIN / 8 / p->gates;
    omma_gemm(x->kern, x->threads, p->batch, p->parts[0], p->hidden, j->h, p->hidden, j->r[0],
              j->hr, p->gates, NULL, NULL);
    if (p->kind != OMMA_GRU) {
        omma_parallel(x->threads, p->batch, grain, p->kind == OMMA_RNN ? rnn_step : lstm_step, j);
        return;
    }
    omma_parallel(x->threads, p->batch, grain, gru_gates, j);
    omma_gemm(x->kern, x->threads, p->batch, p->parts[1], p->hidden, j->rh, p->hidden, j->r[1],
              j->hr + p->parts[0], p->gates, NULL, NULL);
    omma_parallel(x->threads, p->batch, grain, gru_step, j);
}

/* The biases of W x: W's and R's together, but R's part inside a linear reset apart. */
static void add_biases(const job *j) {
    const omma_recurrent *p = j->p;
    memset(j->bias, 0, 2 * (size_t)p->gates * sizeof *j->bias);
    if (!j->in[OMMA_REC_BIAS]) return;
    const float *w = j->in[OMMA_REC_BIAS] + j->dir * 2 * p->gates, *r = w + p->gates;
    const int64_t apart = p->linear ? p->parts[0] : p->gates;
    for (int64_t i = 0; i < p->gates; i++) j->bias[i] = i < apart ? w[i] + r[i] : w[i];
    for (int64_t i = apart; i < p->gates; i++) j->reset_bias[i - apart] = r[i];
}

static void begin_state(const job *j, const float *initial, float *state) {
    const omma_recurrent *p = j->p;
    const size_t row = (size_t)p->hidden * sizeof *state;
    for (int64_t b = 0; b < p->batch; b++)
        if (initial)
            memcpy(state + b * p->hidden, initial + omma_rec_state(p, j->dir, b) * p->hidden, row);
        else memset(state + b * p->hidden, 0, row);
}

static void one_direction(job *j) {
    const omma_recurrent *p = j->p;
    const omma_value *y = omma_wanted(j->n, OMMA_REC_Y);
    add_biases(j);
    begin_state(j, j->in[OMMA_REC_H], j->h);
    if (p->kind == OMMA_LSTM) begin_state(j, j->in[OMMA_REC_C], j->c);
    const omma_epilogue e = {.col_bias = j->bias};
    omma_gemm(j->x->kern, j->x->threads, p->steps * p->batch, p->gates, p->in, j->in[OMMA_REC_X],
              p->in, j->w, j->xw, p->gates, &e, NULL);
    for (j->step = 0; j->step < p->steps; j->step++) one_step(j);
    for (int64_t b = 0; b < p->batch; b++) {
        for (int64_t t = length_of(j, b); y && t < p->steps; t++)
            memset((char *)y->mem + (size_t)(omma_rec_y(p, t, j->dir, b) * p->hidden) *
                                        omma_dtype_size(y->dtype),
                   0, (size_t)p->hidden * omma_dtype_size(y->dtype));
        store(omma_wanted(j->n, OMMA_REC_Y_H), omma_rec_state(p, j->dir, b), p->hidden,
              j->h + b * p->hidden);
        if (p->kind == OMMA_LSTM)
            store(omma_wanted(j->n, OMMA_REC_Y_C), omma_rec_state(p, j->dir, b), p->hidden,
                  j->c + b * p->hidden);
    }
}

static float *part(const omma_node *n, size_t at) {
    return (float *)(void *)((char *)n->work + at);
}

/* Inputs as float32, and W and R packed if they were not before. */
static void take_inputs(const omma_exec *x, job *j, const char *packed[2]) {
    const omma_recurrent *p = j->p;
    const char *const *before = j->n->packed;
    for (int i = 0; i < OMMA_REC_INPUTS; i++) {
        const omma_value *v = omma_in(j->n, i);
        if (!v || i == OMMA_REC_LENS || j->n->packed_in >> i & 1) continue;
        j->in[i] = v->mem;
        if (v->dtype == OMMA_F32) continue;
        float *wide = part(j->n, p->as_f32[i]);
        to_f32(v, v->mem, 0, omma_value_count(v), wide);
        j->in[i] = wide;
    }
    for (int which = OMMA_REC_W; which <= OMMA_REC_R; which++) {
        packed[which - OMMA_REC_W] = before[which - OMMA_REC_W];
        if (packed[which - OMMA_REC_W]) continue;
        char *dst = (char *)j->n->work + (which == OMMA_REC_W ? p->w_at : p->r_at);
        pack_all(x->kern, p, which, j->in[which], dst, x->threads);
        packed[which - OMMA_REC_W] = dst;
    }
}

static omma_status run(const omma_exec *x, const omma_node *n) {
    const omma_recurrent *p = n->param;
    if (n->in[OMMA_REC_X]->dtype == OMMA_F64) return omma_recurrent_f64_run(x, n);
    const char *packed[2];
    job j = {.x = x, .n = n, .p = p};
    for (int64_t b = 0; omma_in(n, OMMA_REC_LENS) && b < p->batch; b++)
        if (length_of(&j, b) < 0 || length_of(&j, b) > p->steps)
            return omma_run_bad(x, n, "sequence_lens says %lld of %lld steps",
                                (long long)length_of(&j, b), (long long)p->steps);
    take_inputs(x, &j, packed);
    j.xw = part(n, p->xw_at), j.hr = part(n, p->hr_at), j.h = part(n, p->h_at),
    j.c = part(n, p->c_at);
    j.rh = part(n, p->rh_at), j.bias = part(n, p->bias_at), j.reset_bias = j.bias + p->gates;
    for (j.dir = 0; j.dir < p->dirs; j.dir++) {
        const char *r = packed[1] + (size_t)j.dir * (p->r_panel[0] + p->r_panel[1]);
        j.w = (const float *)(const void *)(packed[0] + (size_t)j.dir * p->w_panel);
        j.r[0] = (const float *)(const void *)r;
        j.r[1] = (const float *)(const void *)(r + p->r_panel[0]);
        one_direction(&j);
    }
    return OMMA_OK;
}

static double flops(const omma_node *n) {
    const omma_recurrent *p = n->param;
    return 2.0 * p->dirs * (double)p->steps * (double)p->batch * (double)p->gates *
           (double)(p->in + p->hidden + 4);
}

static omma_status lstm_infer(omma_build *b, omma_node *n) { return infer(b, n, OMMA_LSTM); }
static omma_status gru_infer(omma_build *b, omma_node *n) { return infer(b, n, OMMA_GRU); }
static omma_status rnn_infer(omma_build *b, omma_node *n) { return infer(b, n, OMMA_RNN); }

const omma_op omma_op_LSTM = {.name = "LSTM",
                              .min_in = 3,
                              .max_in = 8,
                              .min_out = 0,
                              .max_out = 3,
                              .infer = lstm_infer,
                              .prepare = prepare,
                              .run = run,
                              .flops = flops,
                              .parts = omma_recurrent_parts};

const omma_op omma_op_GRU = {.name = "GRU",
                             .min_in = 3,
                             .max_in = 6,
                             .min_out = 0,
                             .max_out = 2,
                             .infer = gru_infer,
                             .prepare = prepare,
                             .run = run,
                             .flops = flops,
                             .parts = omma_recurrent_parts};

const omma_op omma_op_RNN = {.name = "RNN",
                             .min_in = 3,
                             .max_in = 6,
                             .min_out = 0,
                             .max_out = 2,
                             .infer = rnn_infer,
                             .prepare = prepare,
                             .run = run,
                             .flops = flops,
                             .parts = omma_recurrent_parts};

/* attention.c - Attention: every query weighs every key and takes that mixture of the values.
 *
 *     s = softcap(scale * q kT) + mask        a = softmax(s)        y = a v
 *
 *   q: [B, H, Q, D] or [B, Q, H*D]           mask: bool or numbers, broadcast to [B, H, Q, T];
 *   k: [B, G, K, D] or [B, K, G*D]                 its last axis may be shorter (opset 24)
 *   v: [B, G, K, E] or [B, K, G*E]           past k, v: [B, G, P, D] and [B, G, P, E]
 *   y: like q, with E for D                  present k, v: past and new; T = P + K keys
 *
 * H heads of queries share G heads of keys (G divides H): head h reads h / (H/G). Causal: query
 * i sees keys up to i + offset, the offset being P, or with nonpad_kv_seqlen (keys that are
 * no padding, per batch) that number - Q, else 0. Output 3 is s on its way, by
 * qk_matmul_output_mode: 0 scale * q kT, 1 after softcap, 2 after the mask, 3 a.
 *
 * f32 goes to the kernel (kernel/attend.h). Other types, masks of other types, and a softmax asked
 * for in double, go row by row in double; softmax_precision never lowers the precision. Scores that
 * are handed out are always made so, beside the kernel, which keeps none: what is handed out does
 * not change y.
 * Source: ONNX Attention, 23 and 24. Traps: the softcap comes before the mask, so that what is
 * masked stays -inf; a row with every key masked gives zeros, not NaN; a masked key's score
 * is replaced where the mask is bool, added to where it holds numbers. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "op/attention.h"
#include "op/element.h"

/* --- shapes ----------------------------------------------------------------------------------- */

/* Take input i apart: batch must agree with the queries'. */
static omma_status heads_of(omma_build *b, const omma_node *n, int i, int64_t heads, int64_t *len,
                            int64_t *d, int64_t *found, omma_rows_at *l) {
    const omma_value *v = n->in[i];
    if (v->rank != n->in[OMMA_ATT_Q]->rank || v->dims[0] != n->in[OMMA_ATT_Q]->dims[0])
        return omma_bad(b, n, "queries, keys and values differ in rank or batch");
    if (v->rank == 4) {
        *found = v->dims[1], *len = v->dims[2], *d = v->dims[3];
        *l = (omma_rows_at){*found * *len * *d, *len * *d, *d};
    } else {
        if (heads < 1 || v->dims[2] % heads)
            return omma_bad(b, n, "%lld heads do not divide the %lld numbers of a row of '%s'",
                            (long long)heads, (long long)v->dims[2], v->name);
        *found = heads, *len = v->dims[1], *d = v->dims[2] / heads;
        *l = (omma_rows_at){*len * v->dims[2], *d, v->dims[2]};
    }
    return OMMA_OK;
}

static omma_status check_types(omma_build *b, const omma_node *n) {
    for (int i = OMMA_ATT_Q; i <= OMMA_ATT_V; i++) OMMA_TRY(omma_want(b, n, i, OMMA_IN_FLOAT));
    OMMA_TRY(omma_want_same(b, n, OMMA_ATT_K));
    if (omma_in(n, OMMA_ATT_MASK)) OMMA_TRY(omma_want(b, n, OMMA_ATT_MASK, OMMA_IN_ANY));
    if (!omma_in(n, OMMA_ATT_PAST_K) != !omma_in(n, OMMA_ATT_PAST_V))
        return omma_bad(b, n, "past_key and past_value go together");
    if (omma_in(n, OMMA_ATT_PAST_K)) {
        OMMA_TRY(omma_want_same(b, n, OMMA_ATT_PAST_K));
        if (n->in[OMMA_ATT_PAST_V]->dtype != n->in[OMMA_ATT_V]->dtype)
            return omma_bad(b, n, "past_value is not of the values' type");
    }
    if (omma_in(n, OMMA_ATT_NONPAD)) {
        if (n->opset < 24) return omma_bad(b, n, "opset %d has no nonpad_kv_seqlen", n->opset);
        OMMA_TRY(omma_want(b, n, OMMA_ATT_NONPAD, OMMA_BIT(OMMA_I64)));
        if (omma_in(n, OMMA_ATT_PAST_K))
            return omma_bad(b, n, "nonpad_kv_seqlen and past_key exclude each other");
        if (n->in[OMMA_ATT_NONPAD]->rank != 1 ||
            n->in[OMMA_ATT_NONPAD]->dims[0] != n->in[OMMA_ATT_Q]->dims[0])
            return omma_bad(b, n, "nonpad_kv_seqlen must hold a number for each batch");
    }
    return OMMA_OK;
}

static omma_status check_past(omma_build *b, const omma_node *n, omma_attending *p) {
    for (int i = OMMA_ATT_PAST_K; i <= OMMA_ATT_PAST_V && omma_in(n, OMMA_ATT_PAST_K); i++) {
        const omma_value *v = n->in[i];
        const int64_t width = i == OMMA_ATT_PAST_K ? p->d : p->e;
        if (v->rank != 4 || v->dims[0] != p->batch || v->dims[1] != p->groups ||
            v->dims[3] != width || v->dims[2] != n->in[OMMA_ATT_PAST_K]->dims[2])
            return omma_bad(b, n, "'%s' does not continue the keys or values", v->name);
        p->past = v->dims[2];
    }
    if (__builtin_add_overflow(p->past, p->kv_len, &p->total))
        return omma_bad(b, n, "the number of keys overflows");
    return OMMA_OK;
}

/* Strides of the mask over [B, H, Q, T]. */
static omma_status read_mask(omma_build *b, const omma_node *n, omma_attending *p) {
    const omma_value *m = omma_in(n, OMMA_ATT_MASK);
    const int64_t want[4] = {p->batch, p->heads, p->q_len, p->total};
    p->mask_len = p->total;
    if (!m) return OMMA_OK;
    if (m->rank > 4) return omma_bad(b, n, "the mask is of rank %d; at most 4 make sense", m->rank);
    int64_t s = 1;
    for (int d = 3, o = m->rank - 1; o >= 0; d--, o--) {
        const int64_t dim = m->dims[o];
        const bool shorter = d == 3 && n->opset >= 24 && dim < p->total;
        if (shorter) p->mask_len = dim;
        else if (dim != 1 && dim != want[d])
            return omma_bad(b, n, "the mask does not broadcast: %lld against %lld along axis %d",
                            (long long)dim, (long long)want[d], d);
        p->mask_step[d] = dim == 1 ? 0 : s;
        s *= dim;
    }
    return OMMA_OK;
}

static omma_status read_attributes(omma_build *b, const omma_node *n, omma_attending *p) {
    const int64_t precision = omma_node_int(n, "softmax_precision", 0);
    p->causal = omma_node_int(n, "is_causal", 0) != 0;
    p->scale = omma_node_float(n, "scale", (float)(1 / sqrt((double)p->d)));
    p->softcap = omma_node_float(n, "softcap", 0);
    p->mode = omma_node_int(n, "qk_matmul_output_mode", OMMA_ATT_PRODUCT);
    if (!(p->softcap >= 0)) return omma_bad(b, n, "softcap %g is negative", (double)p->softcap);
    if (p->mode < OMMA_ATT_PRODUCT || p->mode > OMMA_ATT_SOFTMAX)
        return omma_bad(b, n, "qk_matmul_output_mode is %lld, not 0..3", (long long)p->mode);
    if (precision &&
        (precision < 0 || precision >= 32 || !omma_type_in((omma_dtype)precision, OMMA_IN_FLOAT)))
        return omma_bad(b, n, "softmax_precision %lld is no floating type", (long long)precision);
    const omma_value *m = omma_in(n, OMMA_ATT_MASK);
    p->fast = n->in[OMMA_ATT_Q]->dtype == OMMA_F32 && n->in[OMMA_ATT_V]->dtype == OMMA_F32 &&
              precision != OMMA_F64 && p->total > 0 && p->mask_len == p->total &&
              (!m || m->dtype == OMMA_F32 || m->dtype == OMMA_BOOL);
    return OMMA_OK;
}

static omma_status set_outputs(omma_build *b, const omma_node *n, omma_attending *p) {
    const omma_dtype t = n->in[OMMA_ATT_Q]->dtype;
    int64_t width, all;
    if (__builtin_mul_overflow(p->heads, p->e, &width) ||
        !omma_dims_count((int64_t[]){p->batch, p->heads, p->q_len, p->total}, 4, &all))
        return omma_bad(b, n, "the output's size overflows");
    if (n->in[OMMA_ATT_Q]->rank == 4) {
        p->y = (omma_rows_at){0, 0, p->e};
        OMMA_TRY(omma_out(b, n, OMMA_ATT_Y, t, 4, (int64_t[]){p->batch, p->heads, p->q_len, p->e}));
    } else {
        p->y = (omma_rows_at){0, p->e, width};
        OMMA_TRY(omma_out(b, n, OMMA_ATT_Y, t, 3, (int64_t[]){p->batch, p->q_len, width}));
    }
    if (omma_wanted(n, OMMA_ATT_Y)) { /* its size is checked by now */
        p->y.batch = p->q_len * width;
        if (n->in[OMMA_ATT_Q]->rank == 4) p->y.head = p->q_len * p->e;
    }
    OMMA_TRY(
        omma_out(b, n, OMMA_ATT_PRESENT_K, t, 4, (int64_t[]){p->batch, p->groups, p->total, p->d}));
    OMMA_TRY(omma_out(b, n, OMMA_ATT_PRESENT_V, n->in[OMMA_ATT_V]->dtype, 4,
                      (int64_t[]){p->batch, p->groups, p->total, p->e}));
    return omma_out(b, n, OMMA_ATT_SCORES, t, 4,
                    (int64_t[]){p->batch, p->heads, p->q_len, p->total});
}

static omma_status attention_infer(omma_build *b, omma_node *n) {
    int64_t d, len, groups;
    omma_attending *p = omma_param(b, n, sizeof *p);
    if (!p) return omma_nomem(b, n);
    OMMA_TRY(check_types(b, n));
    const omma_value *q = n->in[OMMA_ATT_Q];
    if (q->rank != 3 && q->rank != 4)
        return omma_bad(b, n, "queries of rank %d; 3 or 4 are needed", q->rank);
    const int64_t q_heads = omma_node_int(n, "q_num_heads", 0),
                  kv_heads = omma_node_int(n, "kv_num_heads", 0);
    p->batch = q->dims[0];
    OMMA_TRY(heads_of(b, n, OMMA_ATT_Q, q_heads, &p->q_len, &p->d, &p->heads, &p->q));
    OMMA_TRY(heads_of(b, n, OMMA_ATT_K, kv_heads, &p->kv_len, &d, &p->groups, &p->k));
    OMMA_TRY(heads_of(b, n, OMMA_ATT_V, kv_heads, &len, &p->e, &groups, &p->v));
    if (d != p->d || d < 1 || len != p->kv_len || groups != p->groups)
        return omma_bad(b, n, "queries, keys and values do not fit together");
    if (p->groups < 1 || p->heads % p->groups)
        return omma_bad(b, n, "%lld heads of keys do not divide %lld of queries",
                        (long long)p->groups, (long long)p->heads);
    OMMA_TRY(check_past(b, n, p));
    OMMA_TRY(read_mask(b, n, p));
    OMMA_TRY(read_attributes(b, n, p));
    return set_outputs(b, n, p);
}

/* --- working memory --------------------------------------------------------------------------- */

/* Put count pieces of bytes at *at, in whole cache lines. */
static bool reserve(size_t *at, size_t count, size_t bytes) {
    size_t all;
    return omma_mul(count, bytes, &all) && omma_add(*at, all, at) && omma_align_up(*at, 64, at);
}

static bool is_joined(const omma_node *n, int i) {
    return omma_in(n, OMMA_ATT_PAST_K) || omma_wanted(n, i);
}

/* Where keys or values lie: joined ones head by head. */
static omma_rows_at kv_layout(const omma_node *n, const omma_attending *p, int which) {
    const int64_t width = which ? p->e : p->d;
    if (!is_joined(n, OMMA_ATT_PRESENT_K + which)) return which ? p->v : p->k;
    return (omma_rows_at){p->groups * p->total * width, p->total * width, width};
}

/* Over [batch, group, head of the group]. */
static omma_attention_at outer_axes(const omma_rows_at *l, int64_t group, int64_t head) {
    return (omma_attention_at){{l->batch, group, head}, l->row, 1};
}

static void describe(const omma_node *n, omma_attending *p) {
    const int64_t each = p->heads / p->groups;
    const omma_rows_at k = kv_layout(n, p, 0), v = kv_layout(n, p, 1);
    const int64_t *m = p->mask_step;
    p->kernel = (omma_attention){.outer = {p->batch, p->groups, each},
                                 .m = p->q_len,
                                 .n = p->total,
                                 .d = p->d,
                                 .dv = p->e,
                                 .q = outer_axes(&p->q, p->q.head * each, p->q.head),
                                 .k = outer_axes(&k, k.head, 0),
                                 .v = outer_axes(&v, v.head, 0),
                                 .o = outer_axes(&p->y, p->y.head * each, p->y.head),
                                 .mask = {{{m[0], m[1] * each, m[1]}, m[2], m[3]}},
                                 .scale = p->scale,
                                 .softcap = p->softcap,
                                 .causal = p->causal,
                                 .causal_offset = p->past,
                                 .valid_step = {1, 0, 0}};
    p->kernel.mask_is_bool[0] =
        omma_in(n, OMMA_ATT_MASK) && n->in[OMMA_ATT_MASK]->dtype == OMMA_BOOL;
    p->kernel.hidden_is_zero =
        p->causal || omma_in(n, OMMA_ATT_MASK) || omma_in(n, OMMA_ATT_NONPAD);
}

static bool lay_out(const omma_kernels *kern, const omma_node *n, omma_attending *p, size_t *at) {
    const int64_t rows[2] = {p->d, p->e};
    int64_t heads;
    size_t rest;
    if (!omma_dims_count((int64_t[]){p->batch, p->groups}, 2, &heads)) return false;
    for (int i = 0; i < 2; i++) { /* past and new in one piece, unless an output is that already */
        p->join_at[i] = *at;
        const size_t size = omma_dtype_size(n->in[i ? OMMA_ATT_V : OMMA_ATT_K]->dtype);
        size_t bytes;
        if (!is_joined(n, OMMA_ATT_PRESENT_K + i) || omma_wanted(n, OMMA_ATT_PRESENT_K + i))
            continue;
        if (!omma_dims_bytes((int64_t[]){heads, p->total, rows[i]}, 3, size, &bytes) ||
            !reserve(at, 1, bytes))
            return false;
    }
    p->rows_at = *at;
    p->row_bytes = 0;
    if (!p->fast || omma_wanted(n, OMMA_ATT_SCORES)) {
        if (!reserve(&p->row_bytes, (size_t)p->total, sizeof(double)) ||
            !reserve(at, (size_t)p->workers, p->row_bytes))
            return false;
    }
    p->kernel_at = *at;
    if (!p->fast) return true;
    describe(n, p);
    return omma_attention_scratch(kern, &p->kernel, p->workers, &rest) && reserve(at, 1, rest);
}

static omma_status attention_prepare(omma_build *b, omma_node *n) {
    omma_attending *p = (omma_attending *)n->param;
    size_t at = 0;
    p->workers = omma_workers(b);
    if (!lay_out(b->kern, n, p, &at)) return omma_bad(b, n, "its working memory overflows");
    n->scratch = at;
    return OMMA_OK;
}

/* --- run: shared --------------------------------------------------------------------------------
 */

typedef struct job {
    const omma_kernels *kern;
    const omma_node *n;
    const omma_attending *p;
    const void *kv[2];  /* all keys, all values */
    omma_rows_at at[2]; /* of these */
    char *work;
} job;

/* The head of keys or values `which` (0, 1) that is number i of batch and groups. */
static int64_t kv_start(const job *j, int which, int64_t i) {
    return i / j->p->groups * j->at[which].batch + i % j->p->groups * j->at[which].head;
}

/* Items are heads of keys, then of values: past and new copied one behind the other. */
static void join_heads(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const omma_attending *p = j->p;
    const int64_t heads = p->batch * p->groups;
    for (int64_t i = begin; i < end; i++) {
        const int which = i >= heads;
        const int64_t h = which ? i - heads : i, width = which ? p->e : p->d;
        if (!is_joined(j->n, OMMA_ATT_PRESENT_K + which)) continue;
        const omma_value *new = j->n->in[which ? OMMA_ATT_V : OMMA_ATT_K],
                         *past = omma_in(j->n, which ? OMMA_ATT_PAST_V : OMMA_ATT_PAST_K);
        const omma_rows_at *l = which ? &p->v : &p->k;
        const size_t size = omma_dtype_size(new->dtype), row = (size_t)width * size;
        const char *src = (const char *)new->mem +
                          (size_t)(h / p->groups * l->batch + h % p->groups * l->head) * size;
        char *dst = (char *)(uintptr_t)j->kv[which] + (size_t)(h * p->total) * row;
        if (past && p->past)
            memcpy(dst, (const char *)past->mem + (size_t)(h * p->past) * row,
                   (size_t)p->past * row);
        dst += (size_t)p->past * row;
        for (int64_t r = 0; r < p->kv_len; r++)
            memcpy(dst + (size_t)r * row, src + (size_t)(r * l->row) * size, row);
    }
}

/* Where all keys and all values are; joins them with the past first. */
static void gather_kv(const omma_exec *x, job *j) {
    const omma_attending *p = j->p;
    bool any = false;
    for (int i = 0; i < 2; i++) {
        const omma_value *out = omma_wanted(j->n, OMMA_ATT_PRESENT_K + i);
        j->kv[i] = j->n->in[i ? OMMA_ATT_V : OMMA_ATT_K]->mem, j->at[i] = kv_layout(j->n, p, i);
        if (!is_joined(j->n, OMMA_ATT_PRESENT_K + i)) continue;
        any = true;
        j->kv[i] = out ? out->mem : j->work + p->join_at[i];
    }
    if (any) omma_parallel(x->threads, 2 * p->batch * p->groups, 1, join_heads, j);
}

/* How many of the first keys query i of batch b may see, by order and padding alone. */
static int64_t visible(const job *j, int64_t b, int64_t i) {
    const omma_attending *p = j->p;
    const omma_value *nonpad = omma_in(j->n, OMMA_ATT_NONPAD);
    int64_t end = p->total, offset = p->past;
    if (nonpad) {
        const int64_t valid = ((const int64_t *)nonpad->mem)[b];
        offset = valid - p->q_len;
        end = valid;
    }
    if (p->causal && i + offset + 1 < end) end = i + offset + 1;
    return end < 0 ? 0 : end;
}

static int64_t mask_row(const omma_attending *p, int64_t b, int64_t h, int64_t i) {
    return b * p->mask_step[0] + h * p->mask_step[1] + i * p->mask_step[2];
}

static int64_t score_row(const omma_attending *p, int64_t b, int64_t h, int64_t i) {
    return ((b * p->heads + h) * p->q_len + i) * p->total;
}

/* --- run: f32 --------------------------------------------------------------------------------- */

static void run_kernel(const omma_exec *x, const job *j, int threads) {
    const omma_node *n = j->n;
    const omma_value *mask = omma_in(n, OMMA_ATT_MASK), *nonpad = omma_in(n, OMMA_ATT_NONPAD);
    const omma_attention_data d = {.q = n->in[OMMA_ATT_Q]->mem,
                                   .k = j->kv[0],
                                   .v = j->kv[1],
                                   .mask = {mask ? mask->mem : NULL},
                                   .valid = nonpad ? nonpad->mem : NULL,
                                   .o = n->out[OMMA_ATT_Y]->mem};
    omma_attention_run(x->kern, threads, &j->p->kernel, &d, j->work + j->p->kernel_at);
}

/* --- run: any type, row by row ---------------------------------------------------------------- */

static void keep_row(const omma_value *out, const omma_attending *p, int64_t at, const double *s) {
    for (int64_t k = 0; out && k < p->total; k++)
        omma_set_number(out->dtype, out->mem, at + k, s[k]);
}

static void plain_softmax(int64_t n, double *s) {
    double max = -INFINITY, sum = 0;
    for (int64_t k = 0; k < n; k++)
        if (s[k] > max || s[k] != s[k]) max = s[k];
    for (int64_t k = 0; k < n; k++) sum += s[k] = max == -INFINITY ? 0 : exp(s[k] - max);
    for (int64_t k = 0; k < n && sum != 0; k++) s[k] /= sum;
}

static void plain_mask(const job *j, int64_t b, int64_t h, int64_t i, double *s) {
    const omma_attending *p = j->p;
    const omma_value *m = omma_in(j->n, OMMA_ATT_MASK);
    const int64_t at = mask_row(p, b, h, i), end = visible(j, b, i);
    for (int64_t k = 0; m && k < p->mask_len; k++) {
        const double v = omma_get_number(m->dtype, m->mem, at + k * p->mask_step[3]);
        if (m->dtype != OMMA_BOOL) s[k] += v;
        else if (v == 0) s[k] = -INFINITY;
    }
    for (int64_t k = end < p->mask_len ? end : p->mask_len; k < p->total; k++) s[k] = -INFINITY;
}

static void plain_row(const job *j, int64_t b, int64_t h, int64_t i, double *s) {
    const omma_attending *p = j->p;
    const omma_value *q = j->n->in[OMMA_ATT_Q], *out = omma_wanted(j->n, OMMA_ATT_SCORES);
    const omma_value *y = p->fast ? NULL : omma_wanted(j->n, OMMA_ATT_Y);
    const omma_dtype vt = j->n->in[OMMA_ATT_V]->dtype;
    const int64_t kv = b * p->groups + h / (p->heads / p->groups),
                  from = b * p->q.batch + h * p->q.head + i * p->q.row;
    const int64_t k0 = kv_start(j, 0, kv), v0 = kv_start(j, 1, kv);
    for (int64_t k = 0; k < p->total; k++) {
        double sum = 0;
        for (int64_t c = 0; c < p->d; c++)
            sum += omma_get_number(q->dtype, q->mem, from + c) *
                   omma_get_number(q->dtype, j->kv[0], k0 + k * j->at[0].row + c);
        s[k] = sum * (double)p->scale;
    }
    for (int stage = OMMA_ATT_PRODUCT; stage <= OMMA_ATT_SOFTMAX; stage++) {
        if (stage == OMMA_ATT_SOFTCAP && p->softcap > 0)
            for (int64_t k = 0; k < p->total; k++)
                s[k] = tanh(s[k] / (double)p->softcap) * (double)p->softcap;
        if (stage == OMMA_ATT_MASKED) plain_mask(j, b, h, i, s);
        if (stage == OMMA_ATT_SOFTMAX) plain_softmax(p->total, s);
        if (stage == p->mode) keep_row(out, p, score_row(p, b, h, i), s);
    }
    for (int64_t c = 0; y && c < p->e; c++) {
        double sum = 0;
        for (int64_t k = 0; k < p->total; k++)
            sum += s[k] * omma_get_number(vt, j->kv[1], v0 + k * j->at[1].row + c);
        omma_set_number(y->dtype, y->mem, b * p->y.batch + h * p->y.head + i * p->y.row + c, sum);
    }
}

/* Items are queries of all heads. */
static void plain_rows(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const omma_attending *p = j->p;
    double *s = (double *)(void *)(j->work + p->rows_at + (size_t)worker * p->row_bytes);
    for (int64_t i = begin; i < end; i++)
        plain_row(j, i / p->q_len / p->heads, i / p->q_len % p->heads, i % p->q_len, s);
}

static omma_status attention_run(const omma_exec *x, const omma_node *n) {
    const omma_attending *p = n->param;
    const omma_value *nonpad = omma_in(n, OMMA_ATT_NONPAD);
    const int threads = x->threads < p->workers ? x->threads : p->workers;
    job j = {.kern = x->kern, .n = n, .p = p, .work = n->work};
    for (int64_t b = 0; nonpad && b < p->batch; b++) {
        const int64_t v = ((const int64_t *)nonpad->mem)[b];
        if (v < 0 || v > p->total)
            return omma_run_bad(x, n, "nonpad_kv_seqlen says %lld of %lld keys", (long long)v,
                                (long long)p->total);
    }
    gather_kv(x, &j);
    const bool kernel = p->fast && omma_wanted(n, OMMA_ATT_Y);
    if (kernel) run_kernel(x, &j, threads);
    if (omma_wanted(n, OMMA_ATT_SCORES) || (omma_wanted(n, OMMA_ATT_Y) && !kernel))
        omma_parallel(threads, p->batch * p->heads * p->q_len, 1, plain_rows, &j);
    return OMMA_OK;
}

static double attention_flops(const omma_node *n) {
    const omma_attending *p = n->param;
    return (double)p->batch * (double)p->heads * (double)p->q_len * (double)p->total *
           (2 * (double)(p->d + p->e) + 5);
}

const omma_op omma_op_Attention = {.name = "Attention",
                                   .min_in = 3,
                                   .max_in = 7,
                                   .min_out = 1,
                                   .max_out = 4,
                                   .infer = attention_infer,
                                   .prepare = attention_prepare,
                                   .run = attention_run,
                                   .flops = attention_flops,
                                   .parts = omma_attention_parts};

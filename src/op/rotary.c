/* rotary.c - RotaryEmbedding: pairs of numbers of a query or key turned by an angle that grows
 * with the place in the sequence.
 *
 *   x: [B, H, S, D], or [B, S, H*D] with num_heads   position_ids: int64 [B, S], optional
 *   cos, sin: [places, R/2] with position_ids, else [B, S, R/2]      y: like x
 *
 *     (u, v) -> (cos u - sin v, sin u + cos v)
 *
 * R, rotary_embedding_dim, is D when 0; the numbers of a head beyond R are copied. Number i goes
 * with i + R/2, or, interleaved, 2i with 2i + 1.
 * Source: ONNX RotaryEmbedding 23; Su et al., RoFormer. */
#include <string.h>

#include "base/pool.h"
#include "op/element.h"
#include "op/norm_grad.h"

enum { X, COS, SIN, PLACES };

typedef struct rotary {
    int64_t batch, heads, len, d, half; /* half: R/2 */
    int64_t head_step, row_step;        /* elements; a batch is heads * len * d */
    bool interleaved;
} rotary;

static omma_status shapes(omma_build *b, const omma_node *n, rotary *p) {
    const omma_value *x = n->in[X];
    const int64_t heads = omma_node_int(n, "num_heads", 0);
    if (x->rank == 4) {
        p->heads = x->dims[1], p->len = x->dims[2], p->d = x->dims[3];
        p->head_step = p->len * p->d, p->row_step = p->d;
    } else if (x->rank == 3) {
        if (heads < 1 || x->dims[2] < 1 || x->dims[2] % heads)
            return omma_bad(b, n, "%lld heads do not divide a row of %lld numbers",
                            (long long)heads, (long long)x->dims[2]);
        p->heads = heads, p->len = x->dims[1], p->d = x->dims[2] / heads;
        p->head_step = p->d, p->row_step = x->dims[2];
    } else {
        return omma_bad(b, n, "'%s' is of rank %d; 3 or 4 is needed", x->name, x->rank);
    }
    p->batch = x->dims[0];
    return OMMA_OK;
}

static omma_status infer(omma_build *b, omma_node *n) {
    OMMA_TRY(omma_want(b, n, X, OMMA_IN_FLOAT));
    OMMA_TRY(omma_want_same(b, n, COS));
    OMMA_TRY(omma_want_same(b, n, SIN));
    const omma_value *x = n->in[X], *places = omma_in(n, PLACES);
    rotary *p = omma_param(b, n, sizeof *p);
    if (!p) return omma_nomem(b, n);
    OMMA_TRY(shapes(b, n, p));
    const int64_t turned = omma_node_int(n, "rotary_embedding_dim", 0);
    if (turned < 0 || turned > p->d || (turned ? turned : p->d) % 2)
        return omma_bad(b, n, "rotary_embedding_dim %lld of %lld numbers", (long long)turned,
                        (long long)p->d);
    p->half = (turned ? turned : p->d) / 2;
    p->interleaved = omma_node_int(n, "interleaved", 0) != 0;
    if (places) {
        OMMA_TRY(omma_want(b, n, PLACES, OMMA_BIT(OMMA_I64)));
        if (places->rank != 2 || places->dims[0] != p->batch || places->dims[1] != p->len)
            return omma_bad(b, n, "position_ids must hold a number for each row");
    }
    for (int i = COS; i <= SIN; i++) {
        const omma_value *v = n->in[i];
        const bool fits = places ? v->rank == 2 && v->dims[0] == n->in[COS]->dims[0]
                                 : v->rank == 3 && v->dims[0] == p->batch && v->dims[1] == p->len;
        if (!fits || v->dims[v->rank - 1] != p->half)
            return omma_bad(b, n, "the shape of '%s' does not fit", v->name);
    }
    return omma_out_like(b, n, 0, x);
}

static double at(const omma_value *v, int64_t i) { return omma_get_number(v->dtype, v->mem, i); }

/* One row of float32: half pairs, first and second number step apart. */
static void turn_f32(const rotary *p, const float *x, const float *c, const float *s, float *y) {
    const int64_t apart = p->interleaved ? 1 : p->half, step = p->interleaved ? 2 : 1;
    for (int64_t i = 0; i < p->half; i++) {
        const float u = x[i * step], v = x[i * step + apart];
        y[i * step] = c[i] * u - s[i] * v;
        y[i * step + apart] = s[i] * u + c[i] * v;
    }
    if (2 * p->half < p->d)
        memcpy(y + 2 * p->half, x + 2 * p->half, (size_t)(p->d - 2 * p->half) * sizeof *y);
}

/* Items are rows: (batch, head, place). */
static void rows(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const omma_node *n = arg;
    const rotary *p = n->param;
    const omma_value *x = n->in[X], *y = n->out[0], *places = omma_in(n, PLACES);
    for (int64_t r = begin; r < end; r++) {
        const int64_t s = r % p->len, h = r / p->len % p->heads, image = r / p->len / p->heads;
        const int64_t row = image * p->len + s,
                      from = image * p->heads * p->len * p->d + h * p->head_step + s * p->row_step,
                      angle = (places ? ((const int64_t *)places->mem)[row] : row) * p->half;
        if (x->dtype == OMMA_F32) {
            turn_f32(p, (const float *)x->mem + from, (const float *)n->in[COS]->mem + angle,
                     (const float *)n->in[SIN]->mem + angle, (float *)y->mem + from);
            continue;
        }
        for (int64_t i = 0; i < p->half; i++) {
            const int64_t a = from + (p->interleaved ? 2 * i : i),
                          z = p->interleaved ? a + 1 : a + p->half;
            const double u = at(x, a), v = at(x, z), c = at(n->in[COS], angle + i),
                         t = at(n->in[SIN], angle + i);
            omma_set_number(y->dtype, y->mem, a, c * u - t * v);
            omma_set_number(y->dtype, y->mem, z, t * u + c * v);
        }
        for (int64_t i = from + 2 * p->half; i < from + p->d; i++)
            omma_set_number(y->dtype, y->mem, i, at(x, i));
    }
}

static omma_status run(const omma_exec *x, const omma_node *n) {
    const rotary *p = n->param;
    const omma_value *places = omma_in(n, PLACES);
    for (int64_t i = 0; places && i < p->batch * p->len; i++) {
        const int64_t k = ((const int64_t *)places->mem)[i];
        if (k < 0 || k >= n->in[COS]->dims[0])
            return omma_run_bad(x, n, "place %lld is outside a table of %lld", (long long)k,
                                (long long)n->in[COS]->dims[0]);
    }
    if (omma_wanted(n, 0))
        omma_parallel(x->threads, p->batch * p->heads * p->len, 1 + OMMA_GRAIN / 2 / (p->d + 1),
                      rows, (void *)(uintptr_t)n);
    return OMMA_OK;
}

static double flops(const omma_node *n) { return 3 * (double)omma_value_count(n->in[X]); }

/* --- gradient: the angle turned back ---------------------------------------------------------- */

/* v, shaped like x, with heads and pairs as axes of their own: [B, H, S, 2, R/2] or [B, S, H, ...],
 * interleaved with the last two exchanged. *pair: which axis has 2. */
static omma_value *in_pairs(omma_maker *m, const rotary *p, const omma_node *n, omma_value *v,
                            int *pair) {
    const bool apart = n->in[X]->rank == 4;
    int64_t dims[5] = {p->batch, apart ? p->heads : p->len, apart ? p->len : p->heads, p->d};
    v = omma_make_reshape(m, omma_norm_cast(m, v, n->in[X]), 4, dims);
    if (2 * p->half < p->d) v = omma_make_slice(m, v, 3, 0, 2 * p->half, 1);
    *pair = p->interleaved ? 4 : 3;
    dims[3] = dims[4] = p->half;
    dims[*pair] = 2;
    return omma_make_reshape(m, v, 5, dims);
}

/* v: [B, S, R/2] of every row to input i: as it is, or added up by places. */
static omma_status add_angles(omma_grad *g, const omma_node *n, const rotary *p, int i,
                              omma_value *v) {
    omma_maker *m = &g->m;
    const omma_value *table = n->in[i];
    if (!omma_in(n, PLACES)) return omma_grad_add(g, n, i, v);
    const omma_attr add = OMMA_A_STRING("reduction", "add");
    const int64_t rows = p->batch * p->len;
    omma_value *zeros = omma_norm_cast(m, omma_make_full(m, table, 0), n->in[X]);
    omma_value *in[] = {zeros, omma_make_reshape(m, n->in[PLACES], 2, (int64_t[]){rows, 1}),
                        omma_make_reshape(m, v, 2, (int64_t[]){rows, p->half})};
    const omma_node *sum = omma_make_node(m, omma_op_find("ScatterND"), 18, in, 3, &add, 1, 1);
    return omma_grad_add(g, n, i, sum ? sum->out[0] : NULL);
}

/* y = (c u - s v, s u + c v): dc = du u + dv v, ds = dv u - du v, over all heads. */
static omma_status angles_grad(omma_grad *g, const omma_node *n, omma_value *dy) {
    const rotary *p = n->param;
    omma_maker *m = &g->m;
    int pair;
    omma_value *x = in_pairs(m, p, n, n->in[X], &pair), *d = in_pairs(m, p, n, dy, &pair);
    const unsigned sum = 1u << pair | 1u << (n->in[X]->rank == 4 ? 1 : 2);
    OMMA_TRY(add_angles(g, n, p, COS, omma_make_sum(m, omma_make_2(m, "Mul", d, x), sum, false)));
    omma_value *u = omma_make_slice(m, x, pair, 0, 1, 1), *v = omma_make_slice(m, x, pair, 1, 2, 1),
               *du = omma_make_slice(m, d, pair, 0, 1, 1),
               *dv = omma_make_slice(m, d, pair, 1, 2, 1);
    omma_value *across =
        omma_make_2(m, "Sub", omma_make_2(m, "Mul", dv, u), omma_make_2(m, "Mul", du, v));
    return add_angles(g, n, p, SIN, omma_make_sum(m, across, sum, false));
}

static omma_status grad(omma_grad *g, const omma_node *n) {
    omma_maker *m = &g->m;
    omma_value *dy = omma_grad_out(g, n, 0);
    if (omma_grad_wants(g, n, X)) {
        omma_value *in[] = {dy, n->in[COS], omma_make_1(m, "Neg", n->in[SIN]), omma_in(n, PLACES)};
        const omma_node *back = omma_make_node(m, n->op, n->opset, in, 4, n->attrs, n->n_attrs, 1);
        OMMA_TRY(omma_grad_add(g, n, X, back ? back->out[0] : NULL));
    }
    if (!omma_grad_wants(g, n, COS) && !omma_grad_wants(g, n, SIN)) return m->status;
    return angles_grad(g, n, dy);
}

/* --- the plainer operators it stands for ------------------------------------------------------ */

/* The cosines or sines of every row, to be multiplied with pairs' numbers. */
static omma_value *angles(omma_maker *m, const omma_node *n, int i) {
    const rotary *p = n->param;
    const bool apart = n->in[X]->rank == 4;
    const int64_t dims[4] = {p->batch, apart ? 1 : p->len, apart ? p->len : 1, p->half};
    omma_value *v = n->in[i];
    if (omma_in(n, PLACES)) v = omma_make_2(m, "Gather", v, n->in[PLACES]);
    return omma_make_reshape(m, v, 4, dims);
}

static omma_status parts(omma_maker *m, const omma_node *n) {
    const rotary *p = n->param;
    const bool apart = n->in[X]->rank == 4, mixed = p->interleaved;
    const int64_t step = mixed ? 2 : 1, from = mixed ? 1 : p->half, end = 2 * p->half;
    int64_t dims[5] = {p->batch, apart ? p->heads : p->len, apart ? p->len : p->heads, p->d, 1};
    omma_value *x = omma_make_reshape(m, n->in[X], 4, dims);
    omma_value *c = angles(m, n, COS), *s = angles(m, n, SIN), *turned[2];
    omma_value *u = omma_make_slice(m, x, 3, 0, mixed ? end : p->half, step),
               *v = omma_make_slice(m, x, 3, from, end, step);
    turned[0] = omma_make_2(m, "Sub", omma_make_2(m, "Mul", c, u), omma_make_2(m, "Mul", s, v));
    turned[1] = omma_make_2(m, "Add", omma_make_2(m, "Mul", s, u), omma_make_2(m, "Mul", c, v));
    dims[3] = p->half; /* interleaved: side by side along an axis of their own */
    for (int i = 0; i < 2 && mixed; i++) turned[i] = omma_make_reshape(m, turned[i], 5, dims);
    omma_value *y = omma_make_concat(m, turned, 2, mixed ? 4 : 3);
    dims[3] = end;
    y = omma_make_reshape(m, y, 4, dims);
    if (end < p->d) {
        omma_value *all[] = {y, omma_make_slice(m, x, 3, end, p->d, 1)};
        y = omma_make_concat(m, all, 2, 3);
    }
    omma_make_output(m, 0, omma_make_shaped(m, y, n->in[X]));
    return m->status;
}

const omma_op omma_op_RotaryEmbedding = {.name = "RotaryEmbedding",
                                         .min_in = 3,
                                         .max_in = 4,
                                         .min_out = 1,
                                         .max_out = 1,
                                         .infer = infer,
                                         .run = run,
                                         .flops = flops,
                                         .parts = parts,
                                         .grad = grad};

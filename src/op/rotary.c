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
#include "base/pool.h"
#include "op/element.h"

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
        if (heads < 1 || x->dims[2] % heads)
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
        omma_parallel(x->threads, p->batch * p->heads * p->len, 1 + OMMA_GRAIN / 8 / (p->d + 1),
                      rows, (void *)(uintptr_t)n);
    return OMMA_OK;
}

static double flops(const omma_node *n) { return 3 * (double)omma_value_count(n->in[X]); }

const omma_op omma_op_RotaryEmbedding = {.name = "RotaryEmbedding",
                                         .min_in = 3,
                                         .max_in = 4,
                                         .min_out = 1,
                                         .max_out = 1,
                                         .infer = infer,
                                         .run = run,
                                         .flops = flops,
                                         .no_grad = OMMA_NOT_YET,
                                         .no_field = OMMA_NOT_YET};

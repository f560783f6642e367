/* pow.c - Pow: y = x to the power of e, with broadcasting (broadcast.h).
 *
 *   x: any numbers, which decide the type   e: any numbers, perhaps of another type   y: x's type
 *
 * Integers with an integer exponent are exact and wrap around. Source: ONNX Pow 1, 7, 12, 13, 15.
 */
#include <math.h>

#include "op/broadcast.h"

static omma_status Pow_infer(omma_build *b, omma_node *n) {
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_NUMBER));
    OMMA_TRY(omma_want(b, n, 1, OMMA_IN_NUMBER));
    return omma_broadcast_pair(b, n, NULL, n->in[0]->dtype);
}

/* x to the power of e by squaring; wraps around. */
static uint64_t int_pow(uint64_t x, uint64_t e) {
    uint64_t y = 1;
    for (; e; e >>= 1, x *= x)
        if (e & 1) y *= x;
    return y;
}

/* Integers: exact with an integer exponent; a negative one leaves 1, -1 or 0. */
static bool pow_ints(omma_dtype t, omma_dtype te, int64_t n, const void *a, int sa, const void *e,
                     int se, void *y) {
    bool ok = true;
    for (int64_t i = 0; i < n; i++) {
        const int64_t x = omma_get_int(t, a, i * sa);
        if (!omma_type_in(te, OMMA_IN_INT)) {
            omma_set_number(t, y, i,
                            pow(omma_get_number(t, a, i * sa), omma_get_number(te, e, i * se)));
            continue;
        }
        const int64_t k = omma_get_int(te, e, i * se);
        if (k >= 0 || te == OMMA_U64)
            omma_set_int(t, y, i, (int64_t)int_pow((uint64_t)x, (uint64_t)k));
        else if (x == 1 || (x == -1 && omma_type_in(t, OMMA_IN_SIGNED)))
            omma_set_int(t, y, i, k % 2 ? x : 1);
        else ok = ok && x, omma_set_int(t, y, i, 0);
    }
    return ok;
}

static void pow_floats(const omma_kernels *k, int64_t n, const float *a, int sa, const float *e,
                       int se, float *y) {
    if (!se && *e == 2) k->binary[OMMA_BIN_MUL](n, a, sa, a, sa, y);
    else
        for (int64_t i = 0; i < n; i++) y[i] = powf(a[i * sa], e[i * se]);
}

static bool pow_piece(const omma_piece_job *j, const omma_piece *w) {
    omma_piece_room ta, te;
    float fa[OMMA_PIECE], fe[OMMA_PIECE];
    int sa, se;
    const omma_dtype t = j->n->in[0]->dtype, type_e = j->n->in[1]->dtype;
    const void *a = omma_piece_wide(j, w, 0, &ta, fa, &sa),
               *e = omma_piece_wide(j, w, 1, &te, fe, &se);
    const omma_dtype wide_e = type_e == OMMA_F16 || type_e == OMMA_BF16 ? OMMA_F32 : type_e;
    void *y = omma_piece_out(j, w);
    if (omma_type_in(t, OMMA_IN_INT)) return pow_ints(t, wide_e, w->n, a, sa, e, se, y);
    if (t == OMMA_F64) {
        for (int64_t i = 0; i < w->n; i++)
            ((double *)y)[i] = pow(((const double *)a)[i * sa], omma_get_number(wide_e, e, i * se));
        return true;
    }
    if (wide_e != OMMA_F32) {
        for (int64_t i = 0; i < (se ? w->n : 1); i++) fe[i] = (float)omma_get_number(wide_e, e, i);
        e = fe;
    }
    pow_floats(j->x->kern, w->n, a, sa, e, se, t == OMMA_F32 ? y : ta.f);
    if (t != OMMA_F32) omma_store_halves(t, ta.f, w->n, y);
    return true;
}

static omma_status Pow_run(const omma_exec *x, const omma_node *n) {
    return omma_broadcast_walk(x, n, pow_piece);
}

/* --- gradients ----------------------------------------------------------------------------- */

/* e x^(e - 1) for one known exponent, not 0. */
static omma_value *slope_of(omma_maker *m, const omma_node *n, double e) {
    omma_value *x = n->in[0];
    if (e == 1) return omma_make_number(m, x, 1);
    if (e == 2) return omma_make_scaled(m, x, 2);
    if (e == 0.5) return omma_make_2(m, "Div", omma_make_number(m, x, 0.5), n->out[0]);
    return omma_make_scaled(m, omma_make_2(m, "Pow", x, omma_make_number(m, x, e - 1)), e);
}

/* The same for others: 0 where the exponent is. */
static omma_value *slopes_of(omma_maker *m, const omma_node *n, omma_value *e) {
    omma_value *none = omma_make_number(m, e, 0), *x = n->in[0];
    omma_value *rest = omma_make_2(m, "Pow", x, omma_make_shifted(m, e, -1));
    return omma_make_3(m, "Where", omma_make_2(m, "Equal", e, none), none,
                       omma_make_2(m, "Mul", e, rest));
}

/* y ln x, and 0 where x is 0 and e is not less. */
static omma_value *by_exponent(omma_maker *m, const omma_node *n, omma_value *e) {
    omma_value *x = n->in[0], *none = omma_make_number(m, x, 0);
    omma_value *flat = omma_make_2(m, "And", omma_make_2(m, "Equal", x, none),
                                   omma_make_2(m, "GreaterOrEqual", e, none));
    return omma_make_3(m, "Where", flat, none,
                       omma_make_2(m, "Mul", n->out[0], omma_make_1(m, "Log", x)));
}

static omma_status Pow_grad(omma_grad *g, const omma_node *n) {
    omma_maker *m = &g->m;
    omma_value *dy = omma_grad_out(g, n, 0), *slope;
    omma_value *e = omma_make_cast(m, omma_broadcast_lined(m, n, 1), n->in[0]->dtype);
    if (omma_grad_wants(g, n, 0)) {
        const bool known = n->in[1]->data && omma_value_count(n->in[1]) == 1;
        double k = 1;
        bool found;
        if (known) OMMA_TRY(m->status = omma_number_in(m->b, n, 1, &k, &found));
        slope = known ? slope_of(m, n, k) : slopes_of(m, n, e);
        if (k != 0) OMMA_TRY(omma_broadcast_back(g, n, 0, omma_make_2(m, "Mul", dy, slope)));
    }
    if (!omma_grad_wants(g, n, 1)) return m->status;
    return omma_broadcast_back(g, n, 1, omma_make_2(m, "Mul", dy, by_exponent(m, n, e)));
}

const omma_op omma_op_Pow = {.name = "Pow",
                             .min_in = 2,
                             .max_in = 2,
                             .min_out = 1,
                             .max_out = 1,
                             .flags = OMMA_OP_ELEMENTWISE,
                             .infer = Pow_infer,
                             .run = Pow_run,
                             .grad = Pow_grad,
                             .field = omma_broadcast_field};

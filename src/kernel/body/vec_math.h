/* vec_math.h - exp, log, tanh and their kin on one vector of vec_*.h, about 2 ulp each.
 *
 * Ranges are reduced as in any textbook (Cody and Waite); the polynomials are least-maximum
 * fits made for these files, with their error relative to the function beside them. All of
 * them take any float: infinities, NaN (stays) and denormals, results included. v_max and
 * v_min give their second argument when one is NaN: so the variable always comes second. */
#ifndef OMMA_KERNEL_BODY_VEC_MATH_H
#define OMMA_KERNEL_BODY_VEC_MATH_H

/* c[0] + c[1] x + ... + c[n-1] x^(n-1) */
#define V_POLY(x, ...) \
    v_poly(x, (const float[]){__VA_ARGS__}, (int)(sizeof((const float[]){__VA_ARGS__}) / 4))
static inline __attribute__((always_inline)) vf v_poly(vf x, const float *c, int n) {
    vf y = v_set(c[n - 1]);
    UNROLL for (int i = n - 2; i >= 0; i--) y = v_fma(y, x, v_set(c[i]));
    return y;
}

static inline vf v_abs(vf x) { return v_andnot(v_set(-0.0f), x); }
static inline vf v_sign_of(vf s, vf x) { return v_or(v_and(v_set(-0.0f), s), x); } /* x >= 0 */

/* e^x = 2^n e^r, |r| <= ln2/2; e^r = 1 + r + r^2 q(r), error 3e-9. Gives e^r and n. */
static inline vf v_exp_parts(vf x, vf *n) {
    x = v_min(v_set(89), v_max(v_set(-150), x)); /* beyond: inf and 0 all the same */
    *n = v_round(v_mul(x, v_set(1.44269504f)));
    const vf r = v_fnma(*n, v_set(-2.12194440e-4f), v_fnma(*n, v_set(0.693359375f), x));
    const vf q = V_POLY(r, 4.999999404e-01f, 1.666651964e-01f, 4.166839644e-02f, 8.368796669e-03f,
                        1.381443348e-03f);
    return v_add(v_set(1), v_fma(v_mul(r, r), q, r));
}

static inline vf v_exp(vf x) {
    vf n;
    const vf p = v_exp_parts(x, &n);
    return v_scale(p, n);
}

/* log(2^e (1 + f)), f in [-1/4, 1/2); log(1 + f) = f - f^2/2 + f^3 p(f), error 9e-10. */
static inline vf v_log(vf x) {
    vf e;
    const vf f = v_sub(v_split(x, &e), v_set(1)), ff = v_mul(f, f);
    const vf p = V_POLY(f, 3.333334029e-01f, -2.500016391e-01f, 1.999960542e-01f, -1.665529609e-01f,
                        1.427623928e-01f, -1.272777915e-01f, 1.170066148e-01f, -9.116190672e-02f,
                        3.767291829e-02f);
    vf y = v_fma(e, v_set(-2.12194440e-4f), v_mul(v_mul(f, ff), p));
    y = v_add(f, v_fnma(v_set(0.5f), ff, y));
    y = v_fma(e, v_set(0.693359375f), y);
    const vf inf = v_set(__builtin_inff());
    y = v_select(v_less(x, inf), y, x); /* inf and NaN */
    y = v_select(v_equal(x, v_set(0)), v_sub(v_set(0), inf), y);
    return v_select(v_less(x, v_set(0)), v_set(__builtin_nanf("")), y);
}

/* x + x^3 p(x^2), error 5e-9, below 5/8; 1 - 2/(e^2|x| + 1) above. */
static inline vf v_tanh(vf x) {
    const vf a = v_abs(x), z = v_mul(x, x);
    const vf p = V_POLY(z, -3.333327770e-01f, 1.333133131e-01f, -5.373000726e-02f, 2.060617693e-02f,
                        -5.666977260e-03f);
    const vf near = v_fma(v_mul(x, z), p, x);
    const vf far = v_sub(v_set(1), v_div(v_set(2), v_add(v_exp(v_add(a, a)), v_set(1))));
    return v_select(v_less(a, v_set(0.625f)), near, v_sign_of(x, far));
}

/* 1/(1 + e^-x), with e^-|x| so that nothing overflows and small results stay exact. */
static inline vf v_sigmoid(vf x) {
    const vf one = v_set(1), z = v_exp(v_or(v_set(-0.0f), x));
    return v_div(v_select(v_less(x, v_set(0)), z, one), v_add(one, z));
}

/* x/(1 + e^-x), on the left x e^x/(1 + e^x): there x meets e^r before 2^n makes it small. */
static inline vf v_silu(vf x) {
    vf n;
    const vf p = v_exp_parts(v_or(v_set(-0.0f), x), &n);
    const vf left = v_scale(v_mul(v_max(v_set(-200), x), p), n);
    return v_div(v_select(v_less(x, v_set(0)), left, x), v_add(v_set(1), v_scale(p, n)));
}

/* x clip(x + 3, 0, 6)/6: x + 3 is exact near -3, where x/6 + 1/2 is not. */
static inline vf v_hswish(vf x) {
    const vf part = v_min(v_set(6), v_max(v_set(0), v_add(x, v_set(3))));
    return v_mul(v_max(v_set(-3), x), v_mul(part, v_set(1 / 6.0f)));
}

/* e^(a^2/2) Phi(-a), Phi the normal distribution function, for a in [0, 14.6]: a ratio of
 * polynomials, error 6e-9. */
static inline vf v_mills(vf a) {
    const vf p = V_POLY(a, 5.000000030e-01f, 4.384982802e-01f, 1.833859470e-01f, 4.068411332e-02f,
                        4.123875175e-03f);
    const vf q = V_POLY(a, 1.0f, 1.674881547e+00f, 1.203129178e+00f, 4.698687936e-01f,
                        1.019863268e-01f, 1.033690407e-02f);
    return v_mul(p, v_recip(q));
}

/* x + x p(x^2), error 1e-9, below 1; 1 - erfc above, erfc(x) = 2 Phi(-sqrt(2) x). */
static inline vf v_erf(vf x) {
    const vf a = v_min(v_set(5), v_abs(x)), z = v_mul(a, a);
    const vf p = V_POLY(z, 1.283791661e-01f, -3.761262596e-01f, 1.128358543e-01f, -2.685381286e-02f,
                        5.188328680e-03f, -8.010200690e-04f, 7.853883289e-05f);
    const vf near = v_fma(x, p, x);
    const vf far = v_fnma(v_exp(v_sub(v_set(0), z)),
                          v_mul(v_set(2), v_mills(v_mul(a, v_set(1.41421356f)))), v_set(1));
    return v_select(v_less(a, v_set(1)), near, v_sign_of(x, far));
}

/* x Phi(x) = max(x, 0) - |x| Phi(-|x|). a^2/2 is taken in two parts, else its rounding
 * would be magnified a^2/2 times; the small factor comes last, else it would lose bits as a
 * denormal. */
static inline vf v_gelu_far(vf x) {
    const vf a = v_min(v_set(14.5f), v_abs(x)), h = v_mul(a, v_set(0.5f)), top = v_mul(h, a);
    const vf low = v_fma(h, a, v_sub(v_set(0), top));
    const vf g = v_exp(v_sub(v_set(0), top)), part = v_mul(a, v_mills(a));
    return v_fnma(v_fnma(part, low, part), g, v_max(v_set(0), x));
}

#ifdef V_PICK
/* x Phi(x) = max(x, 0) - |x| Phi(-|x|). Of Phi(-a) sixteen pieces, each a polynomial of the
 * distance from its middle, number k from k/2.5625 on, error 5e-11 below 3, 1e-8 below 4.5, 3e-7
 * at 6. Beyond there are none: such numbers are done the long way. */
static inline vf v_gelu(vf x) {
    static const _Alignas(64) float piece[][16] = {
        {5.000000000e-01f, 3.481781003e-01f, 2.175519015e-01f, 1.208533180e-01f, 5.926475288e-02f,
         2.551546941e-02f, 9.604154218e-03f, 3.150354306e-03f, 8.982835201e-04f, 2.222107914e-04f,
         4.761411608e-05f, 8.826350384e-06f, 1.414037412e-06f, 1.956205799e-07f, 2.335309465e-08f,
         2.404376826e-09f},
        {-1.556847924e-01f, -1.442702461e-01f, -1.148070387e-01f, -7.845514311e-02f,
         -4.604001799e-02f, -2.320121411e-02f, -1.004030950e-02f, -3.731166676e-03f,
         -1.190702762e-03f, -3.263046288e-04f, -7.678993049e-05f, -1.551838378e-05f,
         -2.693083935e-06f, -4.013418983e-07f, -5.136181445e-08f, -5.644526444e-09f},
        {6.850372353e-11f, 1.098547911e-02f, 1.748399818e-02f, 1.792193634e-02f, 1.402289698e-02f,
         8.833300095e-03f, 4.587125353e-03f, 1.988771680e-03f, 7.253298758e-04f, 2.236186225e-04f,
         5.847181349e-05f, 1.299815274e-05f, 2.460786511e-06f, 3.972841385e-07f, 5.475359488e-08f,
         6.447097788e-09f},
        {3.951546332e-03f, 3.104165320e-03f, 1.138903755e-03f, -7.380106716e-04f, -1.678826303e-03f,
         -1.653156179e-03f, -1.142309160e-03f, -6.119949945e-04f, -2.643399810e-04f,
         -9.388271538e-05f, -2.773321803e-05f, -6.864228742e-06f, -1.430645680e-06f,
         -2.519853932e-07f, -3.760758136e-08f, -4.765564284e-09f},
        {7.755914345e-09f, -3.970006417e-04f, -5.304844458e-04f, -3.705959993e-04f,
         -1.002637188e-04f, 9.048996644e-05f, 1.445145072e-04f, 1.126250093e-04f, 6.210407192e-05f,
         2.649374449e-05f, 9.074534375e-06f, 2.544671158e-06f, 5.910891297e-07f, 1.146101824e-07f,
         1.864946064e-08f, 2.556680844e-09f},
        {-9.029798014e-05f, -5.881271429e-05f, 6.301624700e-06f, 5.071931822e-05f, 5.056021854e-05f,
         2.397990969e-05f, -3.148717293e-07f, -1.003006958e-05f, -9.092614847e-06f,
         -5.117584561e-06f, -2.130612399e-06f, -6.960021181e-07f, -1.834891007e-07f,
         -3.967118386e-08f, -7.106151947e-09f, -1.061975832e-09f},
        {6.368612525e-08f, 9.468931970e-06f, 1.037820206e-05f, 3.665742534e-06f, -3.048758767e-06f,
         -4.846316082e-06f, -2.884609957e-06f, -5.172390237e-07f, 5.761774823e-07f,
         6.286725270e-07f, 3.572262262e-07f, 1.436322206e-07f, 4.439386751e-08f, 1.093876302e-08f,
         2.191928723e-09f, 3.616185306e-10f},
        {1.578213566e-06f, 8.435385661e-07f, -5.703527051e-07f, -1.147857658e-06f,
         -6.357468741e-07f, 9.951540162e-08f, 3.792397872e-07f, 2.544052439e-07f, 6.086138955e-08f,
         -3.094105708e-08f, -3.841932212e-08f, -2.109082461e-08f, -7.924351604e-09f,
         -2.253685288e-09f, -5.060783582e-10f, -9.178204636e-11f}};
    const float per_piece = 2.5625f, last = 6.0f;
    const vf whole = v_set(0x1.8p23f); /* adding this rounds to whole numbers, in the lowest bits */
    const vf a = v_min(v_set(last), v_abs(x)), k = v_fma(a, v_set(per_piece), whole);
    const vf f = v_fma(a, v_set(per_piece), v_sub(whole, k));
    vf p = v_pick(piece[7], k);
    UNROLL for (int i = 6; i >= 0; i--) p = v_fma(p, f, v_pick(piece[i], k));
    const vf y = v_fnma(a, p, v_max(v_set(0), x));
    const vmask beyond = v_less(x, v_set(-last));
    return v_some(beyond) ? v_select(beyond, v_gelu_far(x), y) : y;
}
#else
static inline vf v_gelu(vf x) { return v_gelu_far(x); }
#endif

/* As omma_act_apply. */
static inline vf v_act(const omma_epilogue *e, vf x) {
    switch (e->act) {
    case OMMA_ACT_NONE: return x;
    case OMMA_ACT_RELU: return v_max(v_set(0), x);
    case OMMA_ACT_CLIP: return v_min(v_set(e->hi), v_max(v_set(e->lo), x));
    case OMMA_ACT_HSWISH: return v_hswish(x);
    case OMMA_ACT_SILU: return v_silu(x);
    case OMMA_ACT_GELU: return v_gelu(x);
    case OMMA_ACT_RELU_LINE: return v_fma(v_max(v_set(0), x), v_set(e->lo), v_set(e->hi));
    case OMMA_ACT_HSWISH_LINE: return v_fma(v_hswish(x), v_set(e->lo), v_set(e->hi));
    case OMMA_ACT_COUNT: break;
    }
    return x;
}

/* The longer activations, each for rows of n numbers, ld apart: four vectors at once, since each is
 * a long chain of operations and one alone would wait for every one of them. The last may be done
 * several times over, from what it was. */
#define V_ROWS(name, f)                                                                      \
    static inline void name(const omma_epilogue *e, int rows, int n, float *y, int64_t ld) { \
        const int wide = (n + VL - 1) / VL, rest = n - (wide - 1) * VL;                      \
        int row = 0, at = 0;                                                                 \
        (void)e;                                                                             \
        for (int i = 0; i < rows * wide; i += 4) {                                           \
            float *p[4];                                                                     \
            int lanes[4];                                                                    \
            vf v[4];                                                                         \
            UNROLL for (int k = 0; k < 4; k++) {                                             \
                p[k] = y + row * ld + at * VL;                                               \
                lanes[k] = at + 1 < wide ? VL : rest;                                        \
                v[k] = v_load_n(p[k], lanes[k]);                                             \
                if (at + 1 < wide) at++;                                                     \
                else if (row + 1 < rows) row++, at = 0;                                      \
            }                                                                                \
            UNROLL for (int k = 0; k < 4; k++) v[k] = f;                                     \
            UNROLL for (int k = 0; k < 4; k++) v_store_n(p[k], v[k], lanes[k]);              \
        }                                                                                    \
    }

#define V_ALL_ROWS                                                                   \
    V_ROWS(rows_gelu, v_gelu(v[k]))                                                  \
    V_ROWS(rows_silu, v_silu(v[k]))                                                  \
    V_ROWS(rows_hswish, v_hswish(v[k]))                                              \
    V_ROWS(rows_relu_line, v_fma(v_max(v_set(0), v[k]), v_set(e->lo), v_set(e->hi))) \
    V_ROWS(rows_hswish_line, v_fma(v_hswish(v[k]), v_set(e->lo), v_set(e->hi)))

#endif

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

/* e^(a^2/2) Phi(-a), Phi the normal distribution function, for a in [0, 14.6]:
 * p(u) s, s = 1/(a + 3), u = 1 - 6s, error 1e-9. */
static inline vf v_mills(vf a) {
    const vf sum = v_add(a, v_set(3)), s = v_div(v_set(1), sum);
    const vf lost = v_sub(a, v_sub(sum, v_set(3)));                    /* from a + 3, */
    const vf ds = v_mul(s, v_fnma(s, lost, v_fnma(s, sum, v_set(1)))); /* and so from s */
    const vf u = v_fnma(ds, v_set(6), v_fnma(s, v_set(6), v_set(1)));
    const vf p = V_POLY(u, 7.290837169e-01f, -5.093320012e-01f, 2.300177068e-01f, -4.726268724e-02f,
                        -1.046251878e-02f, 6.969304290e-03f, 1.024776604e-03f, -1.032536151e-03f,
                        -2.447485458e-04f, 1.312726527e-04f, 5.446343494e-05f);
    return v_fma(p, ds, v_mul(p, s));
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
static inline vf v_gelu(vf x) {
    const vf a = v_min(v_set(14.5f), v_abs(x)), h = v_mul(a, v_set(0.5f)), top = v_mul(h, a);
    const vf low = v_fma(h, a, v_sub(v_set(0), top));
    const vf g = v_exp(v_sub(v_set(0), top)), part = v_mul(a, v_mills(a));
    return v_fnma(v_fnma(part, low, part), g, v_max(v_set(0), x));
}

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

#endif

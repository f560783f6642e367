/* norm_grad.c - see norm_grad.h. Cotangents of mean and variance themselves, where these are
 * outputs, go into the two means that the closed form takes off:
 *
 *     mean(d)       - dmean / (n inv)
 *     mean(d * hat) - dvar * 2 / (n inv^2)       n numbers to each mean */
#include "op/norm_grad.h"

omma_value *omma_norm_cast(omma_maker *m, omma_value *v, const omma_value *x) {
    return omma_make_cast(m, v, x->dtype == OMMA_F64 ? OMMA_F64 : OMMA_F32);
}

static double numbers(const omma_value *x, unsigned axes) {
    double n = 1;
    for (int d = 0; x && d < x->rank; d++)
        if (axes >> d & 1) n *= (double)x->dims[d];
    return n ? n : 1; /* of no numbers there is no cotangent to scale */
}

omma_value *omma_norm_mean(omma_maker *m, omma_value *x, unsigned axes) {
    return omma_make_scaled(m, omma_make_sum(m, x, axes, true), 1 / numbers(x, axes));
}

omma_value *omma_norm_mean_square(omma_maker *m, omma_value *x, unsigned axes) {
    int64_t list[OMMA_MAX_RANK];
    int n = 0;
    for (int d = 0; x && d < x->rank; d++)
        if (axes >> d & 1) list[n++] = d;
    if (!n) return omma_make_2(m, "Mul", x, x); /* no axes would be all */
    const omma_attr a = OMMA_A_INTS("axes", list, n);
    return omma_make_scaled(m, omma_make(m, "ReduceSumSquare", &x, 1, &a, 1), 1 / numbers(x, axes));
}

omma_value *omma_norm_inverse(omma_maker *m, omma_value *v, double eps) {
    omma_value *sum = omma_make_2(m, "Add", v, omma_make_number(m, v, eps));
    return omma_make_1(m, "Reciprocal", omma_make_1(m, "Sqrt", sum));
}

omma_normed omma_norm_of(omma_maker *m, omma_value *x, unsigned axes, double eps) {
    omma_value *off = omma_make_2(m, "Sub", x, omma_norm_mean(m, x, axes));
    omma_value *inv = omma_norm_inverse(m, omma_norm_mean_square(m, off, axes), eps);
    return (omma_normed){omma_make_2(m, "Mul", off, inv), inv, axes};
}

omma_value *omma_norm_back(omma_maker *m, const omma_normed *h, omma_value *dhat, omma_value *dmean,
                           omma_value *dvar) {
    const double n = numbers(h->hat, h->axes);
    omma_value *level = omma_norm_mean(m, dhat, h->axes);
    omma_value *along = omma_norm_mean(m, omma_make_2(m, "Mul", dhat, h->hat), h->axes);
    if (dmean) {
        omma_value *part = omma_make_2(m, "Div", omma_make_scaled(m, dmean, 1 / n), h->inv);
        level = omma_make_2(m, "Sub", level, part);
    }
    if (dvar) {
        omma_value *square = omma_make_2(m, "Mul", h->inv, h->inv);
        omma_value *part = omma_make_2(m, "Div", omma_make_scaled(m, dvar, 2 / n), square);
        along = omma_make_2(m, "Sub", along, part);
    }
    omma_value *rest = omma_make_2(m, "Sub", dhat, level);
    rest = omma_make_2(m, "Sub", rest, omma_make_2(m, "Mul", h->hat, along));
    return omma_make_2(m, "Mul", rest, h->inv);
}

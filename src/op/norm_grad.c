/* norm_grad.c - see norm_grad.h. */
#include "op/norm_grad.h"

omma_value *omma_norm_cast(omma_maker *m, omma_value *v, const omma_value *x) {
    return omma_make_cast(m, v, x->dtype == OMMA_F64 ? OMMA_F64 : OMMA_F32);
}

double omma_norm_count(const omma_value *x, unsigned axes) {
    double n = 1;
    for (int d = 0; x && d < x->rank; d++)
        if (axes >> d & 1) n *= (double)x->dims[d];
    return n ? n : 1; /* of no numbers there is no cotangent to scale */
}

omma_value *omma_norm_mean(omma_maker *m, omma_value *x, unsigned axes) {
    return omma_make_scaled(m, omma_make_sum(m, x, axes, true), 1 / omma_norm_count(x, axes));
}

omma_value *omma_norm_mean_square(omma_maker *m, omma_value *x, unsigned axes) {
    int64_t list[OMMA_MAX_RANK];
    int n = 0;
    for (int d = 0; x && d < x->rank; d++)
        if (axes >> d & 1) list[n++] = d;
    if (!n) return omma_make_2(m, "Mul", x, x); /* no axes would be all */
    const omma_attr a = OMMA_A_INTS("axes", list, n);
    return omma_make_scaled(m, omma_make(m, "ReduceSumSquare", &x, 1, &a, 1),
                            1 / omma_norm_count(x, axes));
}

omma_value *omma_norm_inverse(omma_maker *m, omma_value *v, double eps) {
    omma_value *sum = omma_make_2(m, "Add", v, omma_make_number(m, v, eps));
    return omma_make_1(m, "Reciprocal", omma_make_1(m, "Sqrt", sum));
}

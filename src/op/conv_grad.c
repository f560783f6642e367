/* conv_grad.c - see conv_grad.h. For one spatial axis, with o outputs, i inputs, t taps:
 *
 *     y[o]  = sum_t w[t] x[o s - p + t d]
 *     dx[i] = sum over o, t with o s - p + t d = i of w[t] dy[o]     a transposed convolution
 *     dw[t] = sum_o dy[o] x[o s - p + t d]      a convolution with kernel dy, stride d, dilation s
 */
#include "op/conv_grad.h"

#include <string.h>

/* --- by the input ------------------------------------------------------------------------ */

static omma_value *transposed(omma_maker *m, omma_value *dy, omma_value *w, const omma_window *win,
                              int64_t groups) {
    int64_t pads[2 * OMMA_MAX_SPATIAL], more[OMMA_MAX_SPATIAL];
    for (int d = 0; d < win->k; d++) {
        const int64_t reach = win->dilation[d] * (win->kernel[d] - 1) + 1;
        const int64_t got =
            win->stride[d] * (win->out[d] - 1) + reach - win->pad[d] - win->pad_end[d];
        pads[d] = win->pad[d];
        pads[win->k + d] = win->pad_end[d];
        more[d] = win->in[d] - got; /* places behind the last window's end */
        if (more[d] < 0) pads[win->k + d] -= more[d], more[d] = 0;
    }
    const omma_attr attrs[] = {
        OMMA_A_INTS("strides", win->stride, win->k),
        OMMA_A_INTS("dilations", win->dilation, win->k), OMMA_A_INTS("pads", pads, 2 * win->k),
        OMMA_A_INTS("output_padding", more, win->k), OMMA_A_INT("group", groups)};
    return omma_make(m, "ConvTranspose", (omma_value *[]){dy, w}, 2, attrs, 5);
}

/* w: [M, C, kernel...] to [G*C, M/G, kernel... turned around]. */
static omma_value *turned(omma_maker *m, omma_value *w, const omma_window *win, int64_t groups) {
    int64_t dims[OMMA_MAX_RANK], perm[OMMA_MAX_RANK];
    const int64_t rows = w->dims[0] / groups, columns = w->dims[1];
    for (int d = 0; d < win->k; d++) {
        dims[3 + d] = win->kernel[d], perm[3 + d] = 3 + d;
        if (win->kernel[d] > 1) w = omma_make_slice(m, w, 2 + d, -1, INT64_MIN, -1);
    }
    dims[0] = groups, dims[1] = rows, dims[2] = columns;
    perm[0] = 0, perm[1] = 2, perm[2] = 1;
    if (win->k + 3 > OMMA_MAX_RANK) return NULL;
    w = omma_make_reshape(m, w, 3 + win->k, dims);
    w = omma_make_transpose(m, w, perm);
    dims[1] = groups * columns, dims[2] = rows;
    return omma_make_reshape(m, w, 2 + win->k, dims + 1);
}

static omma_value *straight(omma_maker *m, omma_value *dy, omma_value *w, const omma_window *win,
                            int64_t groups) {
    int64_t pads[2 * OMMA_MAX_SPATIAL];
    for (int d = 0; d < win->k; d++) {
        const int64_t reach = win->dilation[d] * (win->kernel[d] - 1);
        pads[d] = reach - win->pad[d];
        pads[win->k + d] = reach - win->pad_end[d];
    }
    const omma_attr attrs[] = {OMMA_A_INTS("dilations", win->dilation, win->k),
                               OMMA_A_INTS("pads", pads, 2 * win->k), OMMA_A_INT("group", groups)};
    return omma_make(m, "Conv", (omma_value *[]){dy, turned(m, w, win, groups)}, 2, attrs, 3);
}

omma_value *omma_conv_grad_input(omma_maker *m, omma_value *dy, omma_value *w, const omma_value *x,
                                 const omma_window *win, int64_t groups) {
    bool plain = win->k + 3 <= OMMA_MAX_RANK;
    for (int d = 0; d < win->k; d++) {
        const int64_t reach = win->dilation[d] * (win->kernel[d] - 1);
        plain &= win->stride[d] == 1 && win->pad[d] <= reach && win->pad_end[d] <= reach;
    }
    if (!dy || !w) return NULL;
    omma_value *dx = plain ? straight(m, dy, w, win, groups) : transposed(m, dy, w, win, groups);
    return omma_make_shaped(m, dx, x);
}

/* --- by the weights ---------------------------------------------------------------------- */

/* x: [N, G*C, in...] to [C, G*N, in...]: a group's pictures are its channels. */
static omma_value *crossed(omma_maker *m, omma_value *x, const omma_window *win, int64_t groups) {
    int64_t dims[OMMA_MAX_RANK + 1], perm[OMMA_MAX_RANK + 1];
    const int64_t n = x->dims[0], c = x->dims[1] / groups;
    if (groups == 1) {
        for (int d = 0; d < x->rank; d++) perm[d] = d;
        perm[0] = 1, perm[1] = 0;
        return omma_make_transpose(m, x, perm);
    }
    dims[0] = n, dims[1] = groups, dims[2] = c, dims[3] = win->in_count;
    perm[0] = 2, perm[1] = 1, perm[2] = 0, perm[3] = 3;
    x = omma_make_transpose(m, omma_make_reshape(m, x, 4, dims), perm);
    dims[0] = c, dims[1] = groups * n;
    memcpy(dims + 2, win->in, (size_t)win->k * sizeof *dims);
    return omma_make_reshape(m, x, 2 + win->k, dims);
}

omma_value *omma_conv_grad_weights(omma_maker *m, omma_value *dy, omma_value *x,
                                   const omma_value *w, const omma_window *win, int64_t groups) {
    int64_t pads[2 * OMMA_MAX_SPATIAL], perm[OMMA_MAX_RANK], spare[OMMA_MAX_SPATIAL];
    if (!dy || !x) return NULL;
    for (int d = 0; d < x->rank; d++) perm[d] = d;
    perm[0] = 1, perm[1] = 0;
    for (int d = 0; d < win->k; d++) { /* as many results as there are taps */
        const int64_t reach = win->stride[d] * (win->out[d] - 1) + 1;
        const int64_t need = win->dilation[d] * (win->kernel[d] - 1) + reach;
        pads[d] = win->pad[d];
        pads[win->k + d] = need - win->in[d] - win->pad[d];
        spare[d] = pads[win->k + d] < 0 ? -pads[win->k + d] : 0; /* input no tap reaches */
        if (spare[d]) pads[win->k + d] = 0;
        if (spare[d]) x = omma_make_slice(m, x, 2 + d, 0, win->in[d] - spare[d], 1);
    }
    omma_window cut = *win;
    cut.in_count = 1;
    for (int d = 0; d < win->k; d++) cut.in[d] -= spare[d], cut.in_count *= cut.in[d];
    const omma_attr attrs[] = {OMMA_A_INTS("strides", win->dilation, win->k),
                               OMMA_A_INTS("dilations", win->stride, win->k),
                               OMMA_A_INTS("pads", pads, 2 * win->k), OMMA_A_INT("group", groups)};
    omma_value *in[] = {x ? crossed(m, x, &cut, groups) : NULL, omma_make_transpose(m, dy, perm)};
    return omma_make_shaped(m, omma_make_transpose(m, omma_make(m, "Conv", in, 2, attrs, 4), perm),
                            w);
}

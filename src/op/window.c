/* window.c - the attributes of sliding windows, checked; see window.h.
 *
 * Source: ONNX operators Conv, MaxPool, AveragePool. Traps: SAME padding depends on the
 * input size; with ceil_mode the last window may start in the padding behind the input and
 * must then be dropped; a kernel that does not fit gives no output and is an error. */
#include "op/window.h"

#include <string.h>

#include "base/checked.h"

/* A list of k integers in [lo, INT32_MAX], or fallback everywhere when left out. */
static omma_status list(omma_build *b, const omma_node *n, const char *name, int k, int64_t lo,
                        int64_t fallback, int64_t *out) {
    int count;
    int64_t v[2 * OMMA_MAX_SPATIAL];
    OMMA_TRY(omma_ints_attr(b, n, name, v, 2 * OMMA_MAX_SPATIAL, &count));
    if (count >= 0 && count != k)
        return omma_bad(b, n, "attribute '%s' has %d numbers; %d are needed", name, count, k);
    for (int i = 0; i < k; i++) {
        if (count >= 0 && (v[i] < lo || v[i] > INT32_MAX))
            return omma_bad(b, n, "attribute '%s' holds %lld, outside %lld..%d", name,
                            (long long)v[i], (long long)lo, INT32_MAX);
        out[i] = count >= 0 ? v[i] : fallback;
    }
    return OMMA_OK;
}

static omma_status read_auto_pad(omma_build *b, const omma_node *n, omma_auto_pad *out) {
    static const char *const names[] = {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"};
    const char *s = omma_node_string(n, "auto_pad", "NOTSET");
    if (!*s) s = names[0];
    for (int i = 0; i < 4; i++)
        if (!strcmp(s, names[i])) {
            *out = (omma_auto_pad)i;
            return OMMA_OK;
        }
    return omma_bad(b, n, "auto_pad '%s' is none of NOTSET, SAME_UPPER, SAME_LOWER, VALID", s);
}

omma_status omma_window_kernel(omma_build *b, const omma_node *n, int k, int64_t *kernel,
                               bool *found) {
    *found = omma_node_attr(n, "kernel_shape") != NULL;
    return list(b, n, "kernel_shape", k, 1, 1, kernel);
}

omma_status omma_window_read(omma_build *b, const omma_node *n, const omma_value *x,
                             const int64_t *kernel, omma_window *w) {
    int64_t pads[2 * OMMA_MAX_SPATIAL];
    int k = w->k = x->rank - 2;
    if (k < 1 || k > OMMA_MAX_SPATIAL)
        return omma_bad(b, n, "input '%s' has rank %d; [N, C, spatial...] is needed", x->name,
                        x->rank);
    for (int d = 0; d < k; d++) {
        w->in[d] = x->dims[d + 2];
        w->kernel[d] = kernel[d];
        if (w->in[d] > INT32_MAX || kernel[d] > INT32_MAX)
            return omma_unsupported(b, n, "spatial axis %d is longer than %d", d, INT32_MAX);
        if (kernel[d] < 1) return omma_bad(b, n, "the kernel is empty along spatial axis %d", d);
    }
    OMMA_TRY(list(b, n, "strides", k, 1, 1, w->stride));
    OMMA_TRY(list(b, n, "dilations", k, 1, 1, w->dilation));
    OMMA_TRY(list(b, n, "pads", 2 * k, 0, 0, pads));
    OMMA_TRY(read_auto_pad(b, n, &w->auto_pad));
    for (int d = 0; d < k; d++) {
        w->pad[d] = w->auto_pad == OMMA_PAD_GIVEN ? pads[d] : 0;
        w->pad_end[d] = w->auto_pad == OMMA_PAD_GIVEN ? pads[d + k] : 0;
    }
    if (!omma_dims_count(w->kernel, k, &w->kernel_count) ||
        !omma_dims_count(w->in, k, &w->in_count))
        return omma_bad(b, n, "the kernel's or the input's size overflows");
    if (w->kernel_count > INT32_MAX)
        return omma_unsupported(b, n, "a kernel of more than %d taps", INT32_MAX);
    return OMMA_OK;
}

static void pad_same(omma_window *w, int d, int64_t extent) {
    w->out[d] = (w->in[d] + w->stride[d] - 1) / w->stride[d];
    int64_t total = (w->out[d] - 1) * w->stride[d] + extent - w->in[d];
    if (total < 0) total = 0;
    w->pad[d] = w->auto_pad == OMMA_PAD_UPPER ? total / 2 : total - total / 2;
    w->pad_end[d] = total - w->pad[d];
}

omma_status omma_window_slide(omma_build *b, const omma_node *n, bool ceil, omma_window *w) {
    for (int d = 0; d < w->k; d++) {
        int64_t extent = (w->kernel[d] - 1) * w->dilation[d] + 1, stride = w->stride[d];
        if (extent > INT32_MAX)
            return omma_bad(b, n, "the dilated kernel is longer than %d along spatial axis %d",
                            INT32_MAX, d);
        if (w->auto_pad == OMMA_PAD_UPPER || w->auto_pad == OMMA_PAD_LOWER) {
            pad_same(w, d, extent);
            continue;
        }
        int64_t room = w->in[d] + w->pad[d] + w->pad_end[d] - extent;
        if (room < 0)
            return omma_bad(
                b, n, "the kernel covers %lld along spatial axis %d, the padded input only %lld",
                (long long)extent, d, (long long)(room + extent));
        w->out[d] = (room + (ceil ? stride - 1 : 0)) / stride + 1;
        if (ceil && w->out[d] > 1 && (w->out[d] - 1) * stride >= w->in[d] + w->pad[d]) w->out[d]--;
    }
    return OMMA_OK;
}

omma_map omma_window_taps(omma_field *f, const omma_window *w, int d, int from) {
    omma_map map;
    int32_t *start, *item, n = 0;
    const int64_t outs = w->out[d], taps = w->kernel[d];
    if (!omma_map_list(f, &map, from, outs, outs * taps, &start, &item)) return map;
    for (int64_t o = 0; o < outs; o++) {
        for (int64_t t = 0; t < taps; t++) {
            const int64_t i = o * w->stride[d] - w->pad[d] + t * w->dilation[d];
            if (i >= 0 && i < w->in[d]) item[n++] = (int32_t)t;
        }
        start[o + 1] = n;
    }
    return map;
}

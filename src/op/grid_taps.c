/* grid_taps.c - see grid_taps.h. A place is brought into the map where the padding says so, and
 * lies between one, two or four pixels of each axis. Traps: nearest rounds half to even; padding
 * applies to the place and again to each tap; a place that is NaN or infinite reads nothing with
 * zeros, else pixel 0 or an edge; the cubic's a is -0.75. */
#include "op/grid_taps.h"

#include <math.h>
#include <string.h>

static omma_status read_attributes(omma_build *b, const omma_node *n, omma_grid *p) {
    const char *how = omma_node_string(n, "mode", "linear");
    const char *pad = omma_node_string(n, "padding_mode", "zeros");
    if (!strcmp(how, "linear") || !strcmp(how, "bilinear")) p->how = OMMA_GRID_LINEAR;
    else if (!strcmp(how, "cubic") || !strcmp(how, "bicubic")) p->how = OMMA_GRID_CUBIC;
    else if (!strcmp(how, "nearest")) p->how = OMMA_GRID_NEAREST;
    else return omma_bad(b, n, "mode '%s' is unknown", how);
    if (!strcmp(pad, "zeros")) p->padding = OMMA_GRID_ZEROS;
    else if (!strcmp(pad, "border")) p->padding = OMMA_GRID_BORDER;
    else if (!strcmp(pad, "reflection")) p->padding = OMMA_GRID_REFLECTION;
    else return omma_bad(b, n, "padding_mode '%s' is unknown", pad);
    p->align = omma_node_int(n, "align_corners", 0) != 0;
    return OMMA_OK;
}

omma_status omma_grid_read(omma_build *b, const omma_node *n, const omma_value *x,
                           const omma_value *grid, omma_grid *p, int64_t *dims) {
    OMMA_TRY(read_attributes(b, n, p));
    p->k = x->rank - 2;
    if (p->k < 2 || p->k > 3 || (p->k == 3 && p->how == OMMA_GRID_CUBIC))
        return omma_unsupported(
            b, n, "an input of rank %d with this mode; 4, and 5 but for cubic, are there", x->rank);
    if (!omma_dtype_size(x->dtype) || !omma_is_float(grid->dtype))
        return omma_unsupported(b, n, "types %s and %s", omma_dtype_name(x->dtype),
                                omma_dtype_name(grid->dtype));
    if (grid->rank != x->rank || grid->dims[x->rank - 1] != p->k || grid->dims[0] != x->dims[0])
        return omma_bad(
            b, n,
            "the grid '%s' must be of rank %d, with %lld images and %d numbers for each place",
            grid->name, x->rank, (long long)x->dims[0], p->k);
    p->n = dims[0] = x->dims[0], p->c = dims[1] = x->dims[1];
    p->plane = 1;
    for (int d = 0; d < p->k; d++) {
        p->in[d] = x->dims[d + 2];
        dims[d + 2] = grid->dims[d + 1];
        if (p->in[d] < 1 || p->in[d] > INT32_MAX)
            return omma_unsupported(b, n, "spatial axis %d of length %lld", d, (long long)p->in[d]);
        p->plane *= p->in[d];
    }
    return OMMA_OK;
}

/* Fold v back and forth into [lo, hi]. *slope turns with the direction. */
static double reflect(double v, double lo, double hi, double *slope) {
    double span = hi - lo;
    if (!(span > 0)) {
        *slope = 0;
        return lo;
    }
    double t = fmod(fabs(v - lo), 2 * span);
    if ((v < lo) != (t > span)) *slope = -*slope;
    return t > span ? hi - (t - span) : lo + t;
}

/* A place in pixels, brought into the map where the padding says so and near it otherwise,
 * so that it fits an integer. *slope: pixels for a change of g. */
static double place(const omma_grid *p, double g, int64_t n, double *slope) {
    const double len = (double)n, lo = p->align ? 0 : -0.5, hi = len - 1 - lo;
    double v = p->align ? (g + 1) / 2 * (len - 1) : ((g + 1) * len - 1) / 2;
    *slope = (p->align ? len - 1 : len) / 2;
    if (p->how == OMMA_GRID_NEAREST) v = nearbyint(v);
    if (!(v >= lo && v <= hi)) {
        if (p->padding == OMMA_GRID_BORDER) v = v > 0 ? fmin(v, len - 1) : 0, *slope = 0;
        if (p->padding == OMMA_GRID_REFLECTION) v = reflect(v, lo, hi, slope);
    }
    if (p->how == OMMA_GRID_LINEAR && p->padding != OMMA_GRID_ZEROS && (v <= 0 || v >= len - 1))
        *slope = 0; /* at the edge itself, too */
    if (v > -8 && v < len + 8) return v;
    *slope = 0;
    if (!(v > -8)) return p->padding == OMMA_GRID_ZEROS ? -8 : 0; /* NaN comes here */
    return len + 8;
}

/* The pixel tap i reads, or -1. */
static int64_t pixel(const omma_grid *p, int64_t i, int64_t n) {
    double slope = 1;
    if (i >= 0 && i < n) return i;
    if (p->padding == OMMA_GRID_ZEROS) return -1;
    if (p->padding == OMMA_GRID_REFLECTION)
        i = (int64_t)nearbyint(p->align ? reflect((double)i, 0, (double)n - 1, &slope)
                                        : reflect((double)i, -0.5, (double)n - 0.5, &slope));
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

/* Keys' filter at t, -2 to 2, and its slope. */
static double cubic(double t, double *slope) {
    const double a = -0.75, sign = t < 0 ? -1 : 1;
    t = fabs(t);
    if (t <= 1) {
        *slope = sign * (3 * (a + 2) * t - 2 * (a + 3)) * t;
        return ((a + 2) * t - (a + 3)) * t * t + 1;
    }
    *slope = sign * a * ((3 * t - 10) * t + 8);
    return ((t - 5) * t + 8) * t * a - 4 * a;
}

omma_grid_line omma_grid_line_at(const omma_grid *p, const double *g, int d) {
    static const int counts[] = {1, 2, 4};
    omma_grid_line l = {.n = 0};
    double rise;
    const double v = place(p, g[p->k - 1 - d], p->in[d], &rise);
    const int64_t base = (int64_t)floor(v), first = p->how == OMMA_GRID_CUBIC ? -1 : 0;
    const double part = v - (double)base;
    for (int i = 0; i < counts[p->how]; i++) {
        double w = 1, slope = 0;
        if (p->how == OMMA_GRID_LINEAR) w = i ? part : 1 - part, slope = i ? 1 : -1;
        if (p->how == OMMA_GRID_CUBIC) w = cubic(part - (double)(first + i), &slope);
        l.at[l.n] = pixel(p, base + first + i, p->in[d]);
        l.w[l.n] = w;
        l.slope[l.n] = slope * rise;
        if (l.at[l.n] >= 0) l.n++;
    }
    return l;
}

omma_grid_taps omma_grid_taps_at(const omma_grid *p, const double *g) {
    omma_grid_taps t = {.n = 1, .at = {0}, .w = {1}};
    for (int d = 0; d < p->k; d++) {
        const omma_grid_line l = omma_grid_line_at(p, g, d);
        omma_grid_taps next = {.n = 0};
        for (int i = 0; i < t.n; i++)
            for (int k = 0; k < l.n; k++) {
                next.at[next.n] = t.at[i] * p->in[d] + l.at[k];
                next.w[next.n++] = t.w[i] * l.w[k];
            }
        t = next;
    }
    return t;
}

/* masked_maps.c - attributions by hiding parts of the picture and asking for the target again:
 * occlusion by a sliding window, RISE by random masks; and the maps that know nothing of the model.
 * They need no gradient. */
#include <math.h>
#include <string.h>

#include "field/chance.h"
#include "field/methods.h"

static omma_status no_memory(omma_error *err) {
    return omma_fail(err, OMMA_E_NOMEM, "no memory for an attribution");
}

/* --- occlusion ------------------------------------------------------------------------------ */

/* Copy rows [y, y1), columns [x, x1) of one picture into another. */
static void paste(double *to, const double *from, const omma_picture *p, int64_t y, int64_t y1,
                  int64_t x, int64_t x1) {
    for (int64_t c = 0; c < p->channels; c++)
        for (int64_t i = y; i < y1; i++) {
            const int64_t at = (c * p->height + i) * p->width + x;
            memcpy(to + at, from + at, (size_t)(x1 - x) * sizeof *to);
        }
}

/* How many places a window takes along n pixels: the last one reaches the end. */
static int64_t places(int64_t n, int64_t window, int64_t stride) {
    return n <= window ? 1 : (n - window + stride - 1) / stride + 1;
}

static omma_status hide(omma_method_job *j, double *x, double *windows, int64_t y, int64_t left,
                        omma_error *err) {
    omma_ask *k = &j->a->ask;
    const int64_t w = j->h->width, window = j->how->window;
    const int64_t y1 = y + window < j->h->height ? y + window : j->h->height;
    const int64_t x1 = left + window < w ? left + window : w;
    double f;
    paste(x, j->hidden, &k->picture, y, y1, left, x1);
    OMMA_TRY(omma_ask_value(k, &f, x, err));
    paste(x, k->x, &k->picture, y, y1, left, x1);
    for (int64_t i = y; i < y1; i++)
        for (int64_t l = left; l < x1; l++) {
            j->h->map[i * w + l] += j->h->f - f;
            windows[i * w + l]++;
        }
    return OMMA_OK;
}

omma_status omma_occlusion_map(omma_method_job *j, omma_error *err) {
    const omma_ask *k = &j->a->ask;
    const int64_t h = j->h->height, w = j->h->width, stride = j->how->stride;
    const int64_t down = places(h, j->how->window, stride);
    const int64_t across = places(w, j->how->window, stride);
    double *x = omma_arena_array(j->tmp, (size_t)k->size, sizeof *x);
    double *windows = omma_arena_array(j->tmp, (size_t)(h * w), sizeof *windows);
    if (!x || !windows) return no_memory(err);
    memcpy(x, k->x, (size_t)k->size * sizeof *x);
    for (int64_t i = 0; i < down; i++)
        for (int64_t l = 0; l < across; l++)
            OMMA_TRY(hide(j, x, windows, i * stride, l * stride, err));
    for (int64_t i = 0; i < h * w; i++)
        if (windows[i] > 0) j->h->map[i] /= windows[i];
    j->h->scale = "fall of the target when a window around the pixel is hidden";
    return OMMA_OK;
}

/* --- rise ----------------------------------------------------------------------------------- */

/* Mask m: cells that are shown or not, s of them to a side, enlarged bilinearly and moved by a part
 * of a cell. cell: room for [s + 2, s + 2]. */
static void make_mask(double *mask, double *cell, const omma_method_job *j, int64_t m) {
    const int64_t h = j->h->height, w = j->h->width, s = j->how->cells, wide = s + 2;
    const uint64_t seed = j->how->seed;
    const double down = omma_chance(seed, m, 0), across = omma_chance(seed, m, 1);
    for (int64_t i = 0; i < wide * wide; i++) cell[i] = omma_chance(seed, m, 2 + i) < j->how->keep;
    for (int64_t y = 0; y < h; y++)
        for (int64_t x = 0; x < w; x++) {
            const double u = ((double)y + 0.5) * (double)s / (double)h + down,
                         v = ((double)x + 0.5) * (double)s / (double)w + across;
            const int64_t r = (int64_t)u, c = (int64_t)v;
            const double a = u - (double)r, b = v - (double)c, *on = cell + r * wide + c;
            const double top = on[0] + b * (on[1] - on[0]),
                         low = on[wide] + b * (on[wide + 1] - on[wide]);
            mask[y * w + x] = top + a * (low - top);
        }
}

/* The mean of the target over masks, weighted by the pixel's part in each. */
omma_status omma_rise_map(omma_method_job *j, omma_error *err) {
    omma_ask *k = &j->a->ask;
    const int64_t n = j->h->height * j->h->width;
    double *mask = omma_arena_array(j->tmp, (size_t)n, sizeof *mask);
    double *weight = omma_arena_array(j->tmp, (size_t)n, sizeof *weight);
    double *x = omma_arena_array(j->tmp, (size_t)k->size, sizeof *x);
    double *cell = omma_arena_array(
        j->tmp, (size_t)(j->how->cells + 2) * (size_t)(j->how->cells + 2), sizeof *cell);
    if (!mask || !weight || !x || !cell) return no_memory(err);
    for (int m = 0; m < j->how->masks; m++) {
        double f;
        make_mask(mask, cell, j, m);
        for (int64_t i = 0; i < k->size; i++)
            x[i] = j->hidden[i] + mask[i % n] * (k->x[i] - j->hidden[i]);
        OMMA_TRY(omma_ask_value(k, &f, x, err));
        for (int64_t i = 0; i < n; i++) j->h->map[i] += f * mask[i], weight[i] += mask[i];
    }
    for (int64_t i = 0; i < n; i++) j->h->map[i] /= weight[i] > 0 ? weight[i] : 1;
    j->h->scale = "mean of the target over masks that show the pixel";
    return OMMA_OK;
}

/* --- what any attribution must beat --------------------------------------------------------- */

omma_status omma_random_map(omma_method_job *j, omma_error *err) {
    (void)err;
    for (int64_t i = 0; i < j->h->height * j->h->width; i++)
        j->h->map[i] = omma_chance(j->how->seed, 0, i);
    j->h->scale = "a number by chance, 0 to 1";
    return OMMA_OK;
}

/* sigma: a quarter of the side, along each. */
omma_status omma_centre_map(omma_method_job *j, omma_error *err) {
    const double h = (double)j->h->height, w = (double)j->h->width;
    (void)err;
    for (int64_t y = 0; y < j->h->height; y++)
        for (int64_t x = 0; x < j->h->width; x++) {
            const double v = ((double)y - (h - 1) / 2) / (h / 4),
                         u = ((double)x - (w - 1) / 2) / (w / 4);
            j->h->map[y * j->h->width + x] = exp(-(u * u + v * v) / 2);
        }
    j->h->scale = "a Gaussian in the middle of the picture, 0 to 1";
    return OMMA_OK;
}

omma_status omma_edges_map(omma_method_job *j, omma_error *err) {
    static const double smooth[3] = {1, 2, 1};
    const omma_ask *k = &j->a->ask;
    const int64_t h = j->h->height, w = j->h->width;
    (void)err;
    for (int64_t i = 0; i < k->size; i++) {
        const int64_t plane = i / (h * w) * h * w, y = i % (h * w) / w, x = i % w;
        double down = 0, across = 0;
        for (int64_t s = -1; s <= 1; s++)
            for (int64_t t = -1; t <= 1; t++) {
                const int64_t r = y + s < 0    ? 0
                                  : y + s >= h ? h - 1
                                               : y + s,
                              c = x + t < 0    ? 0
                                  : x + t >= w ? w - 1
                                               : x + t;
                const double v = k->x[plane + r * w + c];
                down += (double)s * smooth[t + 1] * v, across += (double)t * smooth[s + 1] * v;
            }
        j->h->map[i % (h * w)] += hypot(down, across);
    }
    j->h->scale = "length of Sobel's gradient of the picture, sum over colours";
    return OMMA_OK;
}

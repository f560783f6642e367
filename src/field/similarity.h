/* similarity.h - features before and after, in numbers: how alike tokens are, how alike two
 * layers' features are, how many directions they use, which spatial frequencies are in them, which
 * tokens stick out; and where deformable attention reads. Features are f32 [n, width], a token a
 * row, as they lie in tensors; sums are made in double. Thread-safe, all of it. */
#ifndef OMMA_FIELD_SIMILARITY_H
#define OMMA_FIELD_SIMILARITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

/* --- tokens and layers ------------------------------------------------------------------------ */

/* Cosines of all pairs: out f64 [n, n], -1 to 1; 0 with a token that is all zero.
 *   arena  what working memory is charged to; none of it remains (as below).
 * Returns OMMA_OK, OMMA_E_RANGE (a size below 1, a number that is not finite) or OMMA_E_NOMEM, as
 * do all that follow. */
omma_status omma_cosine_matrix(double *out, const float *x, int64_t n, int64_t width,
                               omma_arena *arena, omma_error *err);

/* Linear CKA of two layers' features of the same n tokens (or images): columns centred,
 *     |Y^T X|^2 / (|X^T X| |Y^T Y|)      Frobenius norms, 0 to 1
 * the same for rotated, scaled, shifted features. NaN where either does not vary. Kornblith,
 * Norouzi, Lee, Hinton, "Similarity of Neural Network Representations Revisited", 2019; the biased
 * estimate. Trap: with few tokens and wide features it is near 1 for anything. */
omma_status omma_linear_cka(double *out, const float *x, int64_t x_width, const float *y,
                            int64_t y_width, int64_t n, omma_arena *arena, omma_error *err);

/* Effective rank: exp of the entropy of the singular values divided by their sum, 1 to min(n,
 * width); 0 where all is zero. centred: with the columns' means taken away, which else are a
 * direction of their own, often the largest. Roy, Vetterli, "The Effective Rank", 2007 (not
 * centred). singular: f64 [min(n, width)], from large to small; may be NULL. */
omma_status omma_effective_rank(double *out, double *singular, const float *x, int64_t n,
                                int64_t width, bool centred, omma_arena *arena, omma_error *err);

/* --- maps ------------------------------------------------------------------------------------- */

/* A feature map under any layout; steps in elements. A sequence of placed tokens [h w, c] has steps
 * w c, c, 1. */
typedef struct omma_feature_map {
    const float *data;
    int64_t height, width, channels;
    int64_t step_y, step_x, step_c;
} omma_feature_map;

/* Fourier log-amplitudes: out f64 [height, width] = the mean over channels of ln(|F| + 1e-6), F the
 * discrete Fourier transform without a factor; frequency 0 first, row v and height - v are v
 * cycles a picture. The half-diagonal of Park and Kim is out[k width + k], k < (height + 1) / 2, of
 * a square map. Both are shown relative to frequency 0: less out[0]. Park, Kim, "How Do Vision
 * Transformers Work?", 2022. */
omma_status omma_fourier_log(double *out, const omma_feature_map *m, omma_arena *arena,
                             omma_error *err);

/* Their means by radial frequency r = |(f_y, f_x)|, 1 (that is pi) the highest along an axis, so
 * sqrt(2) in the corner: bin k has what is nearest to r = k * 2 / max(height, width).
 *   out  f64 [omma_radial_bins]; NaN: no frequency is that near.
 *   log  f64 [height, width], of omma_fourier_log. */
int64_t omma_radial_bins(int64_t height, int64_t width);
void omma_fourier_radial(double *out, const double *log, int64_t height, int64_t width);

/* Feature variance: over places (divided by places - 1), mean over channels. NaN for one place.
 * Park, Kim 2022. */
omma_status omma_feature_variance(double *out, const omma_feature_map *m, omma_error *err);

/* --- tokens that stick out -------------------------------------------------------------------- */

#define OMMA_OUTLIER_Z 3.5 /* from where on a token is called an outlier */

typedef struct omma_outliers {
    double median, mad; /* of the norms; median absolute deviation from it */
    int64_t high, low;  /* tokens with z > limit, z < -limit */
} omma_outliers;

/* Robust z-scores of the tokens' L2 norms: z = 0.6745 (norm - median) / MAD, so that outliers do
 * not hide themselves. Where MAD is 0, half the tokens or more having one norm: (norm - median) /
 * (1.2533 mean absolute deviation), 0 if that is 0 too. norm, z  f64 [n]; may be NULL. counted  u8
 * [n], 0: no part in median and MAD (class tokens, padding), nor in the counts; NULL: all have. At
 * least one must. Iglewicz, Hoaglin, "How to Detect and Handle Outliers", 1993; what high norms
 * are: Darcet et al., "Vision Transformers Need Registers", 2024. */
omma_status omma_outliers_find(omma_outliers *out, double *norm, double *z, const float *x,
                               int64_t n, int64_t width, const uint8_t *counted, double limit,
                               omma_arena *arena, omma_error *err);

/* --- deformable attention --------------------------------------------------------------------- */

typedef struct omma_deformed {
    const float *offset;    /* [queries, heads, points of all levels, 2] x, y; levels in turn: with
                               equal points the same as [queries, heads, levels, points, 2] */
    const float *reference; /* [queries, reference_levels, reference_width] in the picture, 0 to 1:
                               x, y, or the box cx, cy, w, h */
    int64_t queries, heads, levels;
    int64_t reference_levels;               /* 1, or levels */
    int64_t reference_width;                /* 2 or 4 */
    const int64_t *height, *width, *points; /* [levels]; of the level's map [cells]; each >= 1 */
} omma_deformed;

/* Where each point lies in the picture, 0 to 1 (outside: beyond its edge):
 *     x, y                reference + offset / (width, height) of the level
 *     cx, cy, w, h        reference + offset / points of the level * (w, h) * 0.5
 *   y, x  f64 [queries, heads, points of all levels].
 * Zhu et al., "Deformable DETR", 2021; RT-DETR and D-FINE have the second form, the latter with
 * points that differ by level. Returns OMMA_OK, OMMA_E_RANGE or OMMA_E_SHAPE (reference). */
omma_status omma_deformed_places(double *y, double *x, const omma_deformed *d, omma_error *err);

/* A place 0 to 1 as a pixel of a picture, or a cell of a map, of that size: corners not aligned,
 * centres whole numbers. */
static inline double omma_place_pixel(double place, int64_t size) {
    return place * (double)size - 0.5;
}

#endif

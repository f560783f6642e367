/* lookmodel.h - a made-up model for reports: a stem of convolutions with strides, dilation and
 * holes whose line sets are found by walking; an encoder with windowed and global self-attention
 * over 16 px tokens. Fields are exact for the made-up architecture; everything that weights would
 * decide is invented from the picture's colours by fixed formulas, so the same picture gives the
 * same report. What comes behind it, and the whole report, is in lookreport.h. */
#ifndef OMMA_TESTS_LOOKMODEL_H
#define OMMA_TESTS_LOOKMODEL_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "file/image.h"
#include "view/draw.h"
#include "view/report.h"

enum {
    LOOK_JUMP = 16,
    LOOK_FIRST = 4,
    LOOK_HEADS = 6,
    LOOK_QUERIES = 20,
    LOOK_WIDTH = 96,
    LOOK_WINDOW = 4
};

/* --- a scene, where there is no photo ------------------------------------------------- */

static inline void look_scene(omma_image *img) {
    if (omma_image_new(img, 451, 300, NULL)) abort();
    for (int y = 0; y < img->height; y++)
        for (int x = 0; x < img->width; x++) {
            unsigned char *p = img->rgb + 3 * (y * img->width + x);
            p[0] = (unsigned char)(150 + 60 * y / img->height);
            p[1] = (unsigned char)(170 + 30 * x / img->width);
            p[2] = (unsigned char)(200 - 90 * y / img->height);
        }
    omma_draw_fill(img, 0, 220, 451, 300, (omma_color){90, 130, 80, 255});
    omma_draw_fill(img, 150, 110, 290, 250, (omma_color){200, 120, 70, 255});
    omma_draw_fill(img, 60, 160, 110, 240, (omma_color){120, 60, 110, 255});
    omma_draw_line(img, 360, 250, 380, 90, 14, (omma_color){80, 60, 40, 255});
    omma_draw_line(img, 380, 90, 380, 90, 90, (omma_color){60, 140, 60, 255});
}

/* --- lines ------------------------------------------------------------------------------ */

/* Lines of cells along one axis of n pixels, on the heap. */
static inline omma_lines look_pixels(int64_t n) {
    omma_lines l = {.cells = n, .words = omma_bit_words(n)};
    l.bits = calloc((size_t)(n * l.words), 8);
    for (int64_t i = 0; i < n; i++) omma_bit_set(l.bits + i * l.words, i);
    return l;
}

/* What a convolution makes of them: kernel k, stride s, dilation d, padding p at the beginning and
 * as much as it takes at the end. */
static inline omma_lines look_conv(const omma_lines *in, int k, int s, int d, int p) {
    omma_lines out = {.cells = (in->cells + s - 1) / s, .words = in->words};
    out.bits = calloc((size_t)(out.cells * out.words), 8);
    for (int64_t o = 0; o < out.cells; o++)
        for (int i = 0; i < k; i++) {
            const int64_t from = o * s - p + i * d;
            if (from < 0 || from >= in->cells) continue;
            for (int64_t w = 0; w < in->words; w++)
                out.bits[o * out.words + w] |= in->bits[from * in->words + w];
        }
    return out;
}

/* Windows of w cells, each sees all of its window. */
static inline omma_lines look_window(const omma_lines *in, int w) {
    omma_lines out = {.cells = in->cells, .words = in->words};
    out.bits = calloc((size_t)(out.cells * out.words), 8);
    for (int64_t o = 0; o < out.cells; o++)
        for (int64_t i = o / w * w; i < (o / w + 1) * w && i < in->cells; i++)
            for (int64_t j = 0; j < in->words; j++)
                out.bits[o * out.words + j] |= in->bits[i * in->words + j];
    return out;
}

/* All cells see all. */
static inline omma_lines look_whole(int64_t n) {
    omma_lines l = {.digit = {.axis = -1}, .cells = 1, .words = omma_bit_words(n)};
    l.bits = calloc((size_t)l.words, 8);
    omma_bits_fill(l.bits, 0, n);
    return l;
}

/* --- the model ---------------------------------------------------------------------------- */

typedef struct look_model {
    omma_report *r;
    omma_image img;
    int64_t rows, columns; /* of tokens */
    int layer;             /* whose cells the tokens are */
    int tokens, queries;   /* parts */
    int self[4], cross[3];
    float *colour; /* [tokens, 3] */
    omma_error err;
} look_model;

static inline void look_must(look_model *m, omma_status s) {
    if (!s) return;
    fprintf(stderr, "%s\n", m->err.message);
    abort();
}

typedef struct look_step {
    const char *label, *by;
    int k, s, d;
    bool stage;
} look_step;

/* A chain of convolutions from the picture on; the number of the last layer. */
static inline int look_chain(look_model *m, const look_step *step, int n) {
    omma_lines y = look_pixels(m->img.height), x = look_pixels(m->img.width);
    double jump = 1, size = 1, first = 0;
    int index = -1;
    for (int i = 0; i < n; i++) {
        const look_step *s = &step[i];
        const int extent = s->d * (s->k - 1), pad = extent / 2;
        omma_lines ny = look_conv(&y, s->k, s->s, s->d, pad),
                   nx = look_conv(&x, s->k, s->s, s->d, pad);
        free(y.bits), free(x.bits);
        y = ny, x = nx;
        size += extent * jump;
        first += (extent / 2.0 - pad) * jump;
        jump *= s->s;
        char shape[64];
        snprintf(shape, sizeof shape, "1x%dx%dx%d", 16 << (i / 3), (int)y.cells, (int)x.cells);
        omma_report_layer_info l = {.label = s->label,
                                    .made_by = s->by,
                                    .shape = shape,
                                    .stage = s->stage,
                                    .y = {y.cells, jump, first, size, size, size, &y},
                                    .x = {x.cells, jump, first, size, size, size, &x}};
        look_must(m, omma_report_layer(m->r, &l, &index, &m->err));
    }
    if (jump == LOOK_JUMP) { /* the encoder: windows, then everything */
        m->rows = y.cells, m->columns = x.cells;
        m->layer = index;
        omma_lines wy = look_window(&y, LOOK_WINDOW), wx = look_window(&x, LOOK_WINDOW);
        char shape[64];
        snprintf(shape, sizeof shape, "1x%dx%d", (int)(y.cells * x.cells + 1), LOOK_WIDTH);
        omma_report_layer_info l = {.label = "encoder.0",
                                    .made_by = "windowed self-attention",
                                    .shape = shape,
                                    .y = {y.cells, jump, first, NAN, size, size, &wy},
                                    .x = {x.cells, jump, first, NAN, size, size, &wx}};
        look_must(m, omma_report_layer(m->r, &l, NULL, &m->err));
        omma_lines ay = look_whole(m->img.height), ax = look_whole(m->img.width);
        for (int b = 1; b < 4; b++) {
            char label[32];
            snprintf(label, sizeof label, "encoder.%d", b);
            l = (omma_report_layer_info){
                .label = label,
                .made_by = "self-attention",
                .shape = shape,
                .whole = true,
                .whole_by = b == 1 ? "self-attention" : NULL,
                .status = OMMA_FOV_WHOLE,
                .stage = b == 3,
                .y = {y.cells, jump, first, INFINITY, size, INFINITY, &ay},
                .x = {x.cells, jump, first, INFINITY, size, INFINITY, &ax}};
            look_must(m, omma_report_layer(m->r, &l, NULL, &m->err));
        }
        free(wy.bits), free(wx.bits), free(ay.bits), free(ax.bits);
    }
    free(y.bits), free(x.bits);
    return index;
}

static inline void look_fields(look_model *m) {
    static const look_step step[] = {{"stem.conv1", "Conv 3x3", 3, 1, 1, false},
                                     {"stem.conv2", "Conv 3x3", 3, 1, 1, false},
                                     {"stem.conv3", "Conv 3x3, stride 2", 3, 2, 1, true},
                                     {"stage1.conv1", "Conv 3x3", 3, 1, 1, false},
                                     {"stage1.conv2", "Conv 3x3", 3, 1, 1, true},
                                     {"stage2.down", "Conv 1x1, stride 2", 1, 2, 1, false},
                                     {"stage2.conv1", "Conv 3x3, dilation 2", 3, 1, 2, false},
                                     {"stage2.conv2", "Conv 3x3, dilation 2", 3, 1, 2, true},
                                     {"stage3.down", "Conv 1x1, stride 2", 1, 2, 1, false},
                                     {"stage3.conv1", "Conv 3x3", 3, 1, 1, true},
                                     {"patches", "Conv 2x2, stride 2", 2, 2, 1, true}};
    look_chain(m, step, (int)(sizeof step / sizeof *step));
}

/* --- effective fields -------------------------------------------------------------------- */

/* A bump about a centre, rough as gradients are, zero outside of a box. */
static inline float look_bump(double y, double x, double cy, double cx, double sigma, double half) {
    if (fabs(y - cy) > half || fabs(x - cx) > half) return 0;
    const double d = (y - cy) * (y - cy) + (x - cx) * (x - cx);
    const double rough = 0.65 + 0.35 * sin(y * 1.7 + 3 * sin(x * 0.9)) * cos(x * 1.3 + y);
    return (float)(exp(-d / (2 * sigma * sigma)) * rough);
}

static inline void look_heat(look_model *m, omma_report_heat *h, double cy, double cx, double sigma,
                             double half, double below) {
    float *map = calloc((size_t)(m->img.height * m->img.width), sizeof *map);
    for (int y = 0; y < m->img.height; y++)
        for (int x = 0; x < m->img.width; x++)
            map[y * m->img.width + x] =
                look_bump(y, x, cy, cx, sigma, half) -
                (float)below * look_bump(y, x, cy + sigma, cx - 2 * sigma, sigma, half);
    h->rows = m->img.height, h->columns = m->img.width;
    h->jump_y = h->jump_x = 1;
    h->map = map;
    look_must(m, omma_report_heat_map(m->r, h, NULL, &m->err));
    free(map);
}

static inline void look_effective(look_model *m) {
    static const struct {
        int layer, jump, half;
    } at[] = {{2, 2, 3}, {4, 2, 7}, {7, 4, 15}, {9, 8, 27}, {10, 16, 31}, {12, 16, 300}};
    for (size_t i = 0; i < sizeof at / sizeof *at; i++)
        for (int k = 0; k < 3; k++) {
            const int64_t y = (int64_t)m->img.height * (k + 1) / 4 / at[i].jump,
                          x = (int64_t)m->img.width * (k + 1) / 4 / at[i].jump;
            const double sigma = at[i].half < 100 ? at[i].half / 3.0 : 40;
            omma_report_number n[] = {{"R50", 1.18 * sigma, "px", "half of it lies within"},
                                      {"R95", 2.45 * sigma, "px", "95 % of it lies within"},
                                      {"effective / structural", 0.31, NULL, "areas"}};
            omma_report_heat h = {.family = OMMA_REPORT_EFFECTIVE,
                                  .unit = {OMMA_REPORT_CELL, at[i].layer, y, x, NULL},
                                  .method = "default",
                                  .settings = "1 picture, seed 7",
                                  .unit_name = "|gradient|",
                                  .number = n,
                                  .n_number = 3};
            look_heat(m, &h, (double)(y * at[i].jump), (double)(x * at[i].jump), sigma, at[i].half,
                      0);
        }
}

/* --- tokens and attention ---------------------------------------------------------------- */

static inline int64_t look_count(const look_model *m) { return m->rows * m->columns + 1; }

static inline void look_colours(look_model *m) {
    m->colour = calloc((size_t)look_count(m) * 3, sizeof *m->colour);
    for (int64_t t = 1; t < look_count(m); t++) {
        int64_t y0 = (t - 1) / m->columns * LOOK_JUMP, x0 = (t - 1) % m->columns * LOOK_JUMP;
        for (int c = 0; c < 3; c++) {
            double sum = 0;
            int n = 0;
            for (int64_t y = y0; y < y0 + LOOK_JUMP && y < m->img.height; y++)
                for (int64_t x = x0; x < x0 + LOOK_JUMP && x < m->img.width; x++, n++)
                    sum += m->img.rgb[3 * (y * m->img.width + x) + c];
            m->colour[3 * t + c] = (float)(sum / n / 255);
        }
    }
}

static inline void look_place(const look_model *m, int64_t t, double *y, double *x) {
    *y = LOOK_FIRST + (double)((t - 1) / m->columns * LOOK_JUMP);
    *x = LOOK_FIRST + (double)((t - 1) % m->columns * LOOK_JUMP);
}

static inline double look_apart(const look_model *m, int64_t a, int64_t b) {
    double ay, ax, by, bx;
    look_place(m, a, &ay, &ax);
    look_place(m, b, &by, &bx);
    return hypot(ay - by, ax - bx);
}

static inline double look_unlike(const look_model *m, int64_t a, int64_t b) {
    double d = 0;
    for (int c = 0; c < 3; c++) {
        const double e = m->colour[3 * a + c] - m->colour[3 * b + c];
        d += e * e;
    }
    return d;
}

static inline void look_softmax(float *v, int64_t n) {
    float most = v[0], sum = 0;
    for (int64_t i = 1; i < n; i++) most = v[i] > most ? v[i] : most;
    for (int64_t i = 0; i < n; i++) sum += v[i] = expf(v[i] - most);
    for (int64_t i = 0; i < n; i++) v[i] /= sum;
}

static inline float look_score(const look_model *m, int b, int h, int64_t q, int64_t k) {
    const double sigma = 18.0 * (1 + h) * (1 + 0.7 * b), near = look_apart(m, q, k) / sigma;
    if (!k) return (float)(1.5 + 0.5 * h);
    if (!q) return (float)(3 * m->colour[3 * k + h % 3]);
    return (float)(4 - 0.5 * near * near - (6 + 4 * h + 3 * b) * look_unlike(m, q, k));
}

static inline double look_distance(const look_model *m, const float *w, double *entropy) {
    double all = 0, e = 0;
    const int64_t n = look_count(m);
    for (int64_t q = 1; q < n; q++) {
        double d = 0, sum = 0;
        for (int64_t k = 0; k < n; k++) {
            const double a = w[q * n + k];
            if (a > 0) e -= a * log(a);
            if (k) d += a * look_apart(m, q, k), sum += a;
        }
        all += d / sum;
    }
    *entropy = e / (double)(n - 1);
    return all / (double)(n - 1);
}

static inline void look_self(look_model *m, int b) {
    const int64_t n = look_count(m);
    float *w = calloc((size_t)(LOOK_HEADS * n * n), sizeof *w);
    double distance[LOOK_HEADS], entropy[LOOK_HEADS], self[LOOK_HEADS], special[LOOK_HEADS];
    for (int h = 0; h < LOOK_HEADS; h++) {
        float *head = w + h * n * n;
        self[h] = special[h] = 0;
        for (int64_t q = 0; q < n; q++) {
            for (int64_t k = 0; k < n; k++) head[q * n + k] = look_score(m, b, h, q, k);
            look_softmax(head + q * n, n);
            self[h] += head[q * n + q] / (double)n;
            special[h] += head[q * n] / (double)n;
        }
        distance[h] = look_distance(m, head, &entropy[h]);
    }
    char label[32];
    snprintf(label, sizeof label, "encoder.%d", b);
    omma_report_attention_info a = {.label = label,
                                    .kind = "self",
                                    .stack = "encoder",
                                    .block = b,
                                    .query = m->tokens,
                                    .key = m->tokens,
                                    .windows = 1,
                                    .heads = LOOK_HEADS,
                                    .queries = n,
                                    .keys = n,
                                    .weights = w,
                                    .distance = distance,
                                    .entropy = entropy,
                                    .on_self = self,
                                    .on_special = special,
                                    .uniform = 193.7,
                                    .ceiling = log((double)n)};
    look_must(m, omma_report_attention(m->r, &a, &m->self[b], &m->err));
    free(w);
}

/* Windows of 4 x 4 tokens; the class token is in none, the last ones are filled up. */
static inline void look_windowed(look_model *m) {
    enum { W = LOOK_WINDOW, N = W * W };
    const int64_t down = (m->rows + W - 1) / W, across = (m->columns + W - 1) / W;
    const int64_t windows = down * across;
    float *w = calloc((size_t)(windows * LOOK_HEADS * N * N), sizeof *w);
    int32_t *token = calloc((size_t)(windows * N), sizeof *token);
    for (int64_t i = 0; i < windows * N; i++) {
        const int64_t y = i / N / across * W + i % N / W, x = i / N % across * W + i % N % W;
        token[i] = y < m->rows && x < m->columns ? (int32_t)(1 + y * m->columns + x) : -1;
    }
    for (int64_t i = 0; i < windows * LOOK_HEADS; i++)
        for (int64_t q = 0; q < N; q++) {
            float *row = w + (i * N + q) * N;
            const int32_t *t = token + i / LOOK_HEADS * N;
            for (int64_t k = 0; k < N; k++)
                row[k] = t[k] < 0 || t[q] < 0 ? (t[k] < 0 ? -INFINITY : 0)
                                              : look_score(m, 0, (int)(i % LOOK_HEADS), t[q], t[k]);
            look_softmax(row, N);
        }
    double distance[LOOK_HEADS] = {11.2, 14.5, 17.9, 19.3, 21, 22.4},
           entropy[LOOK_HEADS] = {1.2, 1.6, 1.9, 2.1, 2.3, 2.4};
    omma_report_attention_info a = {.label = "encoder.0",
                                    .kind = "windowed self",
                                    .stack = "encoder",
                                    .block = 0,
                                    .query = m->tokens,
                                    .key = m->tokens,
                                    .windows = windows,
                                    .heads = LOOK_HEADS,
                                    .queries = N,
                                    .keys = N,
                                    .weights = w,
                                    .query_token = token,
                                    .key_token = token,
                                    .distance = distance,
                                    .entropy = entropy,
                                    .uniform = 30.4,
                                    .ceiling = log(N)};
    look_must(m, omma_report_attention(m->r, &a, &m->self[0], &m->err));
    free(w), free(token);
}

static inline void look_tokens(look_model *m) {
    static const char *const special[] = {"class token"};
    omma_report_grid g = {1,          m->rows,    m->columns, m->columns, 1,
                          LOOK_FIRST, LOOK_FIRST, LOOK_JUMP,  LOOK_JUMP,  m->layer};
    omma_report_tokens_info t = {.label = "tokens",
                                 .count = look_count(m),
                                 .grid = &g,
                                 .n_grid = 1,
                                 .special = special,
                                 .n_special = 1};
    look_must(m, omma_report_tokens(m->r, &t, &m->tokens, &m->err));
    omma_report_tokens_info q = {.label = "object queries", .count = LOOK_QUERIES, .queries = true};
    look_must(m, omma_report_tokens(m->r, &q, &m->queries, &m->err));
}

#endif

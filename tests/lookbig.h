/* lookbig.h - a report the size of the DETR export's on a picture of 800 x 1066: 25 x 34 tokens,
 * six layers of encoder and six of decoder with eight heads, a hundred queries. More than fits, so
 * that it is seen what is kept, and that the page stays quick. */
#ifndef OMMA_TESTS_LOOKBIG_H
#define OMMA_TESTS_LOOKBIG_H

#include "file/image_codec.h"
#include "lookmodel.h"

enum {
    BIG_H = 800,
    BIG_W = 1066,
    BIG_ROWS = 25,
    BIG_COLUMNS = 34,
    BIG_HEADS = 8,
    BIG_LAYERS = 6,
    BIG_TOKENS = BIG_ROWS * BIG_COLUMNS,
    BIG_QUERIES = 100
};

/* A picture as a JPEG file in memory. */
static inline unsigned char *big_picture(size_t *size) {
    omma_image img;
    unsigned char *file;
    if (omma_image_new(&img, BIG_W, BIG_H, NULL)) abort();
    for (int y = 0; y < BIG_H; y++)
        for (int x = 0; x < BIG_W; x++) {
            unsigned char *p = img.rgb + 3 * (y * BIG_W + x);
            p[0] = (unsigned char)(128 + 100 * sin(x * 0.011) * cos(y * 0.017));
            p[1] = (unsigned char)(128 + 90 * sin(y * 0.013 + x * 0.005));
            p[2] = (unsigned char)(128 + 80 * cos((x - y) * 0.009));
        }
    if (omma_image_encode_jpeg(&file, size, &img, 90, NULL)) abort();
    omma_image_free(&img);
    return file;
}

/* Weights as trained ones are: sharp and local in some heads, broad in others. */
static inline void big_row(float *row, int layer, int head, double cy, double cx) {
    const double sigma = 0.8 + 0.7 * head + 0.5 * layer;
    for (int k = 0; k < BIG_TOKENS; k++) {
        const double y = k / BIG_COLUMNS - cy, x = k % BIG_COLUMNS - cx;
        const double texture = sin(0.7 * k + head) * sin(0.13 * k * (layer + 1) + cx);
        row[k] = (float)(-(y * y + x * x) / (2 * sigma * sigma) + 1.5 * texture);
    }
    look_softmax(row, BIG_TOKENS);
}

static inline void big_attention(look_model *m, int layer, bool cross, size_t most) {
    const int64_t queries = cross ? BIG_QUERIES : BIG_TOKENS;
    float *w = malloc((size_t)(BIG_HEADS * queries * BIG_TOKENS) * sizeof *w);
    double distance[BIG_HEADS];
    for (int h = 0; h < BIG_HEADS; h++) {
        distance[h] = 32 * (0.8 + 0.7 * h + 0.5 * layer);
        for (int64_t q = 0; q < queries; q++)
            big_row(w + (h * queries + q) * BIG_TOKENS, layer, h,
                    cross ? (double)(q * 7 % BIG_ROWS) : (double)(q / BIG_COLUMNS),
                    cross ? (double)(q * 3 % BIG_COLUMNS) : (double)(q % BIG_COLUMNS));
    }
    char label[40];
    snprintf(label, sizeof label, "%s.%d", cross ? "decoder" : "encoder", layer);
    omma_report_attention_info a = {.label = label,
                                    .kind = cross ? "cross" : "self",
                                    .block = layer,
                                    .query = cross ? m->queries : m->tokens,
                                    .key = m->tokens,
                                    .windows = 1,
                                    .heads = BIG_HEADS,
                                    .queries = queries,
                                    .keys = BIG_TOKENS,
                                    .weights = w,
                                    .distance = cross ? NULL : distance,
                                    .uniform = cross ? NAN : 494.9,
                                    .ceiling = log(BIG_TOKENS),
                                    .most = most};
    look_must(m, omma_report_attention(m->r, &a, NULL, &m->err));
    free(w);
}

/* A backbone's layers: five stages, each halves the map. */
static inline void big_layers(look_model *m) {
    look_step step[50];
    char label[50][40];
    for (int i = 0; i < 50; i++) {
        const bool down = i % 10 == 0;
        snprintf(label[i], sizeof label[i], "layer%d.conv%d", i / 10 + 1, i % 10);
        step[i] = (look_step){
            label[i], down ? "Conv 3x3, stride 2" : "Conv 3x3", 3, down ? 2 : 1, 1, i % 10 == 9};
    }
    m->layer = look_chain(m, step, 50);
}

static inline void look_big(FILE *file) {
    look_model m = {0};
    size_t size;
    unsigned char *picture = big_picture(&size);
    m.img = (omma_image){BIG_W, BIG_H, NULL};
    omma_report_about about = {.picture = picture,
                               .picture_size = size,
                               .width = BIG_W,
                               .height = BIG_H,
                               .name = "big.jpg"};
    look_must(&m, omma_report_begin(&m.r, file, &about, &m.err));
    omma_report_about_model model = {.name = "detr-sized.onnx", .seconds = NAN};
    look_must(&m, omma_report_model(m.r, &model, &m.err));
    big_layers(&m);
    omma_report_grid g = {0, BIG_ROWS, BIG_COLUMNS, BIG_COLUMNS, 1, 0, 0, 32, 32, m.layer};
    omma_report_tokens_info t = {.label = "tokens", .count = BIG_TOKENS, .grid = &g, .n_grid = 1};
    look_must(&m, omma_report_tokens(m.r, &t, &m.tokens, &m.err));
    omma_report_tokens_info q = {.label = "queries", .count = BIG_QUERIES, .queries = true};
    look_must(&m, omma_report_tokens(m.r, &q, &m.queries, &m.err));
    for (int l = BIG_LAYERS - 1; l >= 0; l--) big_attention(&m, l, true, 0);
    for (int l = BIG_LAYERS - 1; l >= 0; l--)
        big_attention(&m, l, false, omma_report_room(m.r) / (size_t)(l + 1));
    const omma_report_unit start = {OMMA_REPORT_TOKEN, m.tokens, 7 * BIG_COLUMNS + 20, 0, NULL};
    look_must(&m, omma_report_start(m.r, &start, &m.err));
    look_must(&m, omma_report_end(m.r, &m.err));
    free(picture);
}

#endif

/* lookreport.h - a report complete in all that one can hold, of the made-up model of lookmodel.h:
 * its object queries through a decoder, ledgers, answers, attributions, a set that is no product;
 * and a second model without any of it. */
#ifndef OMMA_TESTS_LOOKREPORT_H
#define OMMA_TESTS_LOOKREPORT_H

#include "lookmodel.h"

/* --- queries ------------------------------------------------------------------------------ */

static const struct look_thing {
    const char *name;
    float box[4], score; /* shares of the picture */
    int query, class_index;
} look_things[] = {{"cat", {0.02f, 0.01f, 0.84f, 0.98f}, 0.97f, 3, 1},
                   {"eye", {0.29f, 0.27f, 0.47f, 0.51f}, 0.88f, 7, 2},
                   {"eye", {0.64f, 0.35f, 0.78f, 0.56f}, 0.86f, 12, 2},
                   {"nose", {0.52f, 0.71f, 0.66f, 0.89f}, 0.61f, 17, 5}};
enum { LOOK_THINGS = 4, LOOK_LAYERS = 3 };

/* Behind layer l the box is on its way from a start that differs from query to query. */
static inline void look_box(const look_model *m, int q, int l, float box[4]) {
    const struct look_thing *t = &look_things[q % LOOK_THINGS];
    for (int i = 0; i < LOOK_THINGS; i++)
        if (look_things[i].query == q) t = &look_things[i];
    const float way = 1 - powf(0.35f, (float)(l + 1));
    for (int i = 0; i < 4; i++) {
        const float off = 0.16f * sinf((float)(q * 5 + i * 3)), start = i < 2 ? 0.25f : 0.75f;
        const float v = start + off + (t->box[i] - start - off) * way;
        box[i] = v * (float)(i % 2 ? m->img.height : m->img.width);
    }
}

static inline void look_cross(look_model *m, int l) {
    const int64_t n = look_count(m);
    float *w = calloc((size_t)(LOOK_HEADS * LOOK_QUERIES * n), sizeof *w);
    for (int h = 0; h < LOOK_HEADS; h++)
        for (int q = 0; q < LOOK_QUERIES; q++) {
            float *row = w + (h * LOOK_QUERIES + q) * n, box[4];
            look_box(m, q, l, box);
            const double ey = h % 2 ? box[1] : box[3], ex = h % 3 ? box[0] : box[2];
            for (int64_t k = 0; k < n; k++) {
                double y, x;
                look_place(m, k, &y, &x);
                row[k] = k ? (float)(5 - hypot(y - ey, x - ex) / (20 + 6 * h)) : 0;
            }
            look_softmax(row, n);
        }
    char label[32];
    snprintf(label, sizeof label, "decoder.%d cross", l);
    double entropy[LOOK_HEADS] = {3.1, 3.3, 3.6, 3.8, 4.1, 4.3};
    omma_report_attention_info a = {.label = label,
                                    .kind = "cross",
                                    .stack = "decoder",
                                    .block = l,
                                    .query = m->queries,
                                    .key = m->tokens,
                                    .windows = 1,
                                    .heads = LOOK_HEADS,
                                    .queries = LOOK_QUERIES,
                                    .keys = n,
                                    .weights = w,
                                    .entropy = entropy,
                                    .uniform = NAN,
                                    .ceiling = log((double)n)};
    look_must(m, omma_report_attention(m->r, &a, &m->cross[l], &m->err));
    free(w);
}

static inline int look_samples(look_model *m, int l) {
    enum { HEADS = 4, POINTS = 4 };
    float place[LOOK_QUERIES * HEADS * POINTS * 2], weight[LOOK_QUERIES * HEADS * POINTS];
    for (int q = 0; q < LOOK_QUERIES; q++) {
        float box[4];
        look_box(m, q, l, box);
        for (int i = 0; i < HEADS * POINTS; i++) {
            const double a = i * 2.4, r = 0.16 + 0.1 * (i % POINTS);
            float *p = place + (q * HEADS * POINTS + i) * 2;
            p[0] = (float)((box[1] + box[3]) / 2 + r * sin(a) * (box[3] - box[1]));
            p[1] = (float)((box[0] + box[2]) / 2 + r * cos(a) * (box[2] - box[0]));
            weight[q * HEADS * POINTS + i] = 0.1f + 0.05f * (float)(i % 7);
        }
    }
    char label[32];
    snprintf(label, sizeof label, "decoder.%d sampling", l);
    omma_report_samples_info s = {label, m->queries, l, LOOK_QUERIES, HEADS, POINTS, place, weight};
    int index;
    look_must(m, omma_report_samples(m->r, &s, &index, &m->err));
    return index;
}

static inline void look_queries(look_model *m) {
    int samples[LOOK_LAYERS], answer[LOOK_QUERIES];
    for (int l = 0; l < LOOK_LAYERS; l++) {
        look_cross(m, l);
        samples[l] = look_samples(m, l);
    }
    for (int q = 0; q < LOOK_QUERIES; q++) answer[q] = -1;
    for (int i = 0; i < LOOK_THINGS; i++) {
        const struct look_thing *t = &look_things[i];
        omma_report_answer_info a = {.name = t->name,
                                     .score = t->score,
                                     .query = t->query,
                                     .class_index = t->class_index,
                                     .n_corners = 2};
        for (int k = 0; k < 4; k++)
            a.corner[k] = t->box[k] * (float)(k % 2 ? m->img.height : m->img.width);
        look_must(m, omma_report_answer(m->r, &a, &answer[t->query], &m->err));
    }
    for (int q = 0; q < LOOK_QUERIES; q++) {
        omma_report_step step[LOOK_LAYERS];
        char label[LOOK_LAYERS][32];
        for (int l = 0; l < LOOK_LAYERS; l++) {
            snprintf(label[l], sizeof label[l], "decoder.%d", l);
            const int a = answer[q];
            const float s = a < 0 ? 0.04f : look_things[a].score;
            step[l] = (omma_report_step){.label = label[l],
                                         .has_box = true,
                                         .name = a < 0 || (l == 0 && a == 3) ? "nothing"
                                                                             : look_things[a].name,
                                         .score = s * (0.4 + 0.3 * l),
                                         .cross = m->cross[l],
                                         .samples = samples[l]};
            look_box(m, q, l, step[l].box);
        }
        omma_report_query_info info = {q, answer[q], step, LOOK_LAYERS};
        look_must(m, omma_report_query(m->r, &info, NULL, &m->err));
    }
}

/* --- why did it change? -------------------------------------------------------------------- */

static inline void look_ledger(look_model *m, int64_t token, int b) {
    const int64_t n = look_count(m);
    float *from = calloc((size_t)n, sizeof *from), *moved = calloc((size_t)n, sizeof *moved);
    float before[LOOK_WIDTH], after[LOOK_WIDTH];
    const double context = 0.22 + 0.09 * b;
    double far = 0, sum = 0;
    for (int64_t k = 0; k < n; k++) from[k] = look_score(m, b, 2, token, k);
    look_softmax(from, n);
    for (int64_t k = 0; k < n; k++) {
        const float sign = k % 11 == 5 ? -0.3f : 1;
        from[k] *= sign;
        sum += from[k];
    }
    for (int64_t k = 0; k < n; k++) {
        from[k] *= (float)(context / sum);
        moved[k] = fabsf(from[k]) * 0.8f;
        if (look_apart(m, token, k) > 64) far += from[k];
    }
    for (int i = 0; i < LOOK_WIDTH; i++) {
        before[i] = sinf((float)(i * 7 + token)) * (1 + (float)(i % 5));
        after[i] = before[i] * 0.8f + 1.1f * cosf((float)(i * 3 + b));
    }
    omma_report_silenced silenced[8];
    omma_report_effect effect[8][2];
    int count = 0;
    bool *used = calloc((size_t)n, 1);
    for (; count < 6; count++) {
        int64_t best = 0;
        for (int64_t k = 0; k < n; k++)
            if (!used[k] && (used[best] || fabsf(from[k]) > fabsf(from[best]))) best = k;
        used[best] = true;
        silenced[count] = (omma_report_silenced){.cut = OMMA_REPORT_CUT_SOURCE,
                                                 .source = best,
                                                 .change = fabsf(from[best]) * 1.3,
                                                 .cosine = 1 - fabsf(from[best]),
                                                 .moved = moved};
    }
    silenced[count++] = (omma_report_silenced){
        .cut = OMMA_REPORT_CUT_REST, .change = 0.71, .cosine = 0.66, .moved = moved};
    silenced[count++] = (omma_report_silenced){
        .cut = OMMA_REPORT_CUT_FAR, .radius = 64, .change = 0.33, .cosine = 0.91, .moved = moved};
    for (int i = 0; i < count; i++) {
        effect[i][0] = (omma_report_effect){"cat", 0.97, 0.97 - silenced[i].change * 0.7};
        effect[i][1] = (omma_report_effect){"dog", 0.01, 0.01 + silenced[i].change * 0.3};
        silenced[i].effect = effect[i];
        silenced[i].n_effect = 2;
    }
    char label[32];
    snprintf(label, sizeof label, "encoder.%d", b);
    const double forward = 0.17 + 0.02 * b, rest = 0.013;
    omma_report_ledger_info l = {.tokens = m->tokens,
                                 .token = token,
                                 .attention = m->self[b],
                                 .label = label,
                                 .block = b,
                                 .norm_before = 21.4 + b,
                                 .norm_after = 24.9 + b,
                                 .cosine = 0.87 - 0.05 * b,
                                 .own = 1 - context - forward - rest,
                                 .context = context,
                                 .feed_forward = forward,
                                 .rest = rest,
                                 .far = far,
                                 .radius = 64,
                                 .mismatch = 3.1e-7,
                                 .from = from,
                                 .before = before,
                                 .after = after,
                                 .width = LOOK_WIDTH,
                                 .silenced = silenced,
                                 .n_silenced = count};
    look_must(m, omma_report_ledger(m->r, &l, NULL, &m->err));
    free(from), free(moved), free(used);
}

static inline void look_ledgers(look_model *m) {
    const int64_t token[] = {0, 1 + m->rows / 2 * m->columns + m->columns / 2,
                             1 + m->rows / 4 * m->columns + m->columns / 3,
                             1 + m->rows * 3 / 4 * m->columns + m->columns * 3 / 5};
    for (int i = 0; i < 4; i++)
        for (int b = 1; b < 4; b++) look_ledger(m, token[i], b);
}

/* What three blocks did; the first line is of the tokens in front of them. */
static inline void look_blocks(look_model *m) {
    static const omma_report_number column[] = {
        {"changed", 0, "|\xce\x94| / |x|", "how far tokens moved, relative to their length"},
        {"cosine", 0, NULL, "of a token before and after"},
        {"mixed", 0, "%", "what comes from other tokens, by norms"},
        {"length", 0, "L2", "the median token's"},
        {"outliers", 0, "tokens", "robust z-score of the length above 3.5"}};
    enum { COLUMNS = sizeof column / sizeof *column };
    double value[4][COLUMNS];
    omma_report_blocks_row row[4];
    char label[4][32] = {"the first block"};
    for (int b = 0; b < 4; b++) {
        for (int i = 0; i < COLUMNS; i++)
            value[b][i] = b || i > 2 ? (i + 1.25) * (1 + 0.1 * b) : NAN;
        if (b) snprintf(label[b], sizeof label[b], "encoder.%d", b);
        row[b] = (omma_report_blocks_row){.label = label[b],
                                          .kind = b ? "attention" : "before",
                                          .attention = b ? m->self[b] : -1,
                                          .value = value[b]};
    }
    const omma_report_blocks_info info = {m->tokens, column, COLUMNS, row, 4};
    look_must(m, omma_report_blocks(m->r, &info, NULL, &m->err));
}

/* --- attribution ---------------------------------------------------------------------------- */

static inline void look_attribution(look_model *m) {
    static const struct {
        const char *method, *settings;
        double spread, below;
    } how[] = {{"integrated gradients", "20 steps, black baseline", 0.3, 0.6},
               {"occlusion", "patches of 16 px, grey", 0.45, 0}};
    for (int i = 0; i < LOOK_THINGS; i++)
        for (size_t k = 0; k < sizeof how / sizeof *how; k++) {
            const float *b = look_things[i].box;
            const double h = m->img.height, w = m->img.width, side = (b[3] - b[1]) * h;
            omma_report_number n[] = {
                {"deletion AUC", 0.21 + 0.03 * i, NULL, "lower is better; grey baseline"},
                {"insertion AUC", 0.74 - 0.02 * i, NULL, "higher is better"},
                {"random map, deletion AUC", 0.58, NULL, "what a map without knowledge gets"},
                {"infidelity", 0.013, NULL, NULL},
                {"max-sensitivity", 0.22, NULL, NULL},
                {"rank correlation after randomising the weights", 0.04, NULL,
                 "near 0: the map comes from what was learned"}};
            omma_report_heat heat = {.family = OMMA_REPORT_ATTRIBUTION,
                                     .unit = {OMMA_REPORT_ANSWER, i, 0, 0, NULL},
                                     .method = how[k].method,
                                     .settings = how[k].settings,
                                     .unit_name = "share of the score",
                                     .number = n,
                                     .n_number = 6};
            look_heat(m, &heat, (b[1] + b[3]) / 2 * h, (b[0] + b[2]) / 2 * w, side * how[k].spread,
                      2 * side, how[k].below);
        }
    omma_report_heat relevance = {.family = OMMA_REPORT_RELEVANCE,
                                  .unit = {OMMA_REPORT_ANSWER, 1, 0, 0, NULL},
                                  .method = "relevance",
                                  .settings = "Chefer et al. 2021"};
    look_heat(m, &relevance, 120, 180, 40, 90, 0);
    static const char *const edge[] = {"left edge", "top edge", "right edge", "bottom edge"};
    for (int e = 0; e < 4; e++) {
        const float *b = look_things[0].box;
        const double h = m->img.height, w = m->img.width;
        omma_report_heat heat = {.family = OMMA_REPORT_ATTRIBUTION,
                                 .unit = {OMMA_REPORT_ANSWER, 0, 0, 0, edge[e]},
                                 .method = "gradient",
                                 .unit_name = "px per grey level"};
        look_heat(m, &heat, (e % 2 ? b[e] : (b[1] + b[3]) / 2) * h,
                  (e % 2 ? (b[0] + b[2]) / 2 : b[e]) * w, 30, 90, 0);
    }
}

/* A ring: what no product of rows and columns is. */
static inline void look_ring(look_model *m) {
    const int64_t n = (int64_t)m->img.width * m->img.height;
    uint64_t *bits = calloc((size_t)omma_bit_words(n), 8);
    for (int64_t i = 0; i < n; i++) {
        const double y = (double)(i / m->img.width - m->img.height / 2),
                     x = (double)(i % m->img.width - m->img.width / 2), d = hypot(y, x);
        if (d > 40 && d < 90) omma_bit_set(bits, i);
    }
    const omma_report_unit u = {OMMA_REPORT_QUERY, 0, 3, 0, NULL};
    look_must(m, omma_report_set(m->r, &u, bits, OMMA_FOV_DATA, &m->err));
    free(bits);
}

/* --- all of it -------------------------------------------------------------------------------- */

static inline void look_plain_model(look_model *m) {
    static const look_step step[] = {{"conv1", "Conv 3x3", 3, 1, 1, true},
                                     {"down", "Conv 1x1, stride 4", 1, 4, 1, true},
                                     {"conv2", "Conv 3x3, dilation 2", 3, 1, 2, true},
                                     {"pool", "MaxPool 2x2, stride 2", 2, 2, 1, true},
                                     {"conv3", "Conv 3x3, dilation 4", 3, 1, 4, true}};
    omma_report_about_model plain = {.name = "plain-cnn.onnx",
                                     .file_bytes = 1200000,
                                     .parameters = 290000,
                                     .input = "1x3x300x451",
                                     .seconds = 0.004};
    look_must(m, omma_report_model(m->r, &plain, &m->err));
    look_chain(m, step, 5);
    look_must(m, omma_report_note(m->r, OMMA_REPORT_ATTENTION,
                                  "No attention was found in this model: no softmax stands between "
                                  "two products.",
                                  &m->err));
}

static inline void look_report(FILE *file, const void *picture, size_t size, const char *name) {
    look_model m = {0};
    if (omma_image_decode(&m.img, picture, size, name, &m.err)) abort();
    omma_report_about about = {.picture = picture,
                               .picture_size = size,
                               .width = m.img.width,
                               .height = m.img.height,
                               .name = name,
                               .command = "omma look cat.png -m made-up.onnx"};
    look_must(&m, omma_report_begin(&m.r, file, &about, &m.err));
    omma_report_about_model model = {.name = "made-up.onnx",
                                     .file_bytes = 9300000,
                                     .parameters = 2310000,
                                     .input = "1x3x300x451",
                                     .seconds = 0.021};
    look_must(&m, omma_report_model(m.r, &model, &m.err));
    look_must(&m,
              omma_report_note(m.r, OMMA_REPORT_ALL,
                               "This model is made up to test the page: its fields are exact, its "
                               "numbers are invented.",
                               &m.err));
    look_fields(&m);
    look_effective(&m);
    look_colours(&m);
    look_tokens(&m);
    look_windowed(&m);
    for (int b = 1; b < 4; b++) look_self(&m, b);
    look_blocks(&m);
    look_queries(&m);
    look_ledgers(&m);
    look_attribution(&m);
    look_ring(&m);
    look_plain_model(&m);
    look_must(&m, omma_report_end(m.r, &m.err));
    omma_image_free(&m.img);
    free(m.colour);
}

#endif

/* test_report.c - the report of `omma look`, read back from its file: sets to the last bit, numbers
 * within what their levels allow, everything within the limit and what is left out said, hostile
 * texts harmless, faults reported. Writes complete reports for test_look_page.sh into
 * OMMA_LOOK_DIR. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/arena.h"
#include "file/bytes.h"
#include "lookbig.h"
#include "lookread.h"
#include "lookreport.h"
#include "shared.h"
#include "view/report.h"

enum { W = 40, H = 30 };

/* The smallest PNG there is; its size is not the report's business. */
static const unsigned char png[] = {0x89, 'P', 'N', 'G',  '\r', '\n', 0x1a, '\n', 0,    0, 0, 13,
                                    'I',  'H', 'D', 'R',  0,    0,    0,    1,    0,    0, 0, 1,
                                    8,    0,   0,   0,    0,    0x3a, 0x7e, 0x9b, 0x55, 0, 0, 0,
                                    10,   'I', 'D', 'A',  'T',  0x78, 0x9c, 0x63, 0x60, 0, 0, 0,
                                    2,    0,   1,   0x48, 0xaf, 0xa4, 0x71, 0,    0,    0, 0, 'I',
                                    'E',  'N', 'D', 0xae, 0x42, 0x60, 0x82};

typedef struct job {
    FILE *f;
    omma_report *r;
    omma_error err;
} job;

static void begin(job *j, size_t limit) {
    j->f = tmpfile();
    assert_non_null(j->f);
    omma_report_about about = {.picture = png,
                               .picture_size = sizeof png,
                               .width = W,
                               .height = H,
                               .name = "dot.png",
                               .limit = limit};
    assert_int_equal(omma_report_begin(&j->r, j->f, &about, &j->err), OMMA_OK);
    omma_report_about_model m = {.name = "m", .seconds = NAN};
    assert_int_equal(omma_report_model(j->r, &m, &j->err), OMMA_OK);
}

static look_page end(job *j) {
    assert_int_equal(omma_report_end(j->r, &j->err), OMMA_OK);
    fflush(j->f);
    look_page p = look_read(j->f);
    fclose(j->f);
    return p;
}

static unsigned next(unsigned *seed) { return (*seed = *seed * 1664525u + 1013904223u) >> 8; }

/* --- sets --------------------------------------------------------------------------------- */

/* Lines with holes, empty ones, full ones, starts that go back and forth. */
static omma_lines random_lines(int64_t cells, int64_t bits, unsigned *seed) {
    omma_lines l = {.cells = cells, .words = omma_bit_words(bits) + 1};
    l.bits = calloc((size_t)(cells * l.words), 8);
    for (int64_t i = 0; i < cells; i++)
        for (int64_t b = 0; b < bits; b++)
            if (i != 3 && (i == 5 || next(seed) % 7 < (unsigned)i % 7))
                omma_bit_set(l.bits + i * l.words, b);
    return l;
}

static void same_lines(const look_page *p, const omma_json *axis, const omma_lines *l,
                       int64_t bits) {
    unsigned char *got = look_runs(p, omma_json_get(axis, "lines"), bits);
    for (int64_t i = 0; i < l->cells; i++)
        for (int64_t b = 0; b < bits; b++)
            assert_int_equal(got[i * bits + b], omma_bit(l->bits + i * l->words, b));
    free(got);
}

static void lines_come_back(void **state) {
    (void)state;
    unsigned seed = 3;
    job j;
    begin(&j, 0);
    omma_lines y = random_lines(13, H, &seed), x = random_lines(1, W, &seed), none = {.cells = 1};
    omma_report_layer_info a = {.label = "a",
                                .y = {.cells = 13, .jump = 2, .size = INFINITY, .lines = &y},
                                .x = {.cells = 9, .jump = 4, .size = NAN, .lines = &x}};
    omma_report_layer_info b = {.label = "b", .y = {.cells = 13, .lines = &none}};
    int at[2];
    assert_int_equal(omma_report_layer(j.r, &a, &at[0], &j.err), OMMA_OK);
    assert_int_equal(omma_report_layer(j.r, &b, &at[1], &j.err), OMMA_OK);
    assert_int_equal(at[0], 0);
    assert_int_equal(at[1], 1);
    look_page p = end(&j);
    const omma_json *l = look_part(&p, "layer", 0);
    same_lines(&p, omma_json_get(l, "y"), &y, H);
    same_lines(&p, omma_json_get(l, "x"), &x, W);
    assert_string_equal(omma_json_as_text(omma_json_get(omma_json_get(l, "y"), "size")), "whole");
    assert_null(omma_json_get(omma_json_get(l, "x"), "size"));
    unsigned char *got =
        look_runs(&p, omma_json_get(omma_json_get(look_part(&p, "layer", 1), "y"), "lines"), H);
    for (int b2 = 0; b2 < H; b2++) assert_int_equal(got[b2], 0);
    free(got);
    look_page_free(&p);
    free(y.bits), free(x.bits);
}

static void sets_come_back(void **state) {
    (void)state;
    unsigned seed = 5;
    uint64_t bits[(W * H + 63) / 64] = {0};
    for (int i = 0; i < W * H; i++)
        if (next(&seed) % 3) omma_bit_set(bits, i);
    job j;
    begin(&j, 0);
    const omma_report_unit u = {OMMA_REPORT_QUERY, 0, 7, 0, NULL};
    assert_int_equal(omma_report_set(j.r, &u, bits, OMMA_FOV_DATA, &j.err), OMMA_OK);
    assert_int_equal(omma_report_set(j.r, &u, NULL, OMMA_FOV_WHOLE, &j.err), OMMA_OK);
    look_page p = end(&j);
    const omma_json *s = look_part(&p, "set", 0);
    unsigned char *got = look_runs(&p, omma_json_get(s, "pixels"), W * H);
    for (int i = 0; i < W * H; i++) assert_int_equal(got[i], omma_bit(bits, i));
    free(got);
    assert_string_equal(omma_json_as_text(omma_json_get(omma_json_get(s, "unit"), "what")),
                        "query");
    assert_int_equal(look_int(omma_json_get(s, "unit"), "y"), 7);
    assert_null(omma_json_get(look_part(&p, "set", 1), "pixels"));
    look_page_free(&p);
}

/* --- numbers ------------------------------------------------------------------------------ */

static float *random_map(int64_t n, bool both_ways, unsigned *seed) {
    float *v = malloc((size_t)n * sizeof *v);
    for (int64_t i = 0; i < n; i++) {
        const float t = (float)(next(seed) % 100000) / 100000;
        v[i] = t * t * t * 3 * (both_ways && next(seed) % 2 ? -1.0f : 1.0f);
    }
    return v;
}

/* Positive maps keep small numbers finer; in those that go both ways zero stays zero. */
static void maps_come_back(void **state) {
    (void)state;
    unsigned seed = 11;
    for (int both_ways = 0; both_ways < 2; both_ways++) {
        job j;
        begin(&j, 0);
        float *v = random_map(W * H, both_ways, &seed), most = 0;
        v[17] = 0;
        for (int i = 0; i < W * H; i++) most = fmaxf(most, fabsf(v[i]));
        omma_report_heat heat = {
            .rows = H, .columns = W, .jump_y = 1, .jump_x = 1, .map = v, .method = "m"};
        assert_int_equal(omma_report_heat_map(j.r, &heat, NULL, &j.err), OMMA_OK);
        look_page p = end(&j);
        float *got = look_numbers(&p, omma_json_get(look_part(&p, "heat", 0), "map"));
        for (int i = 0; i < W * H; i++) {
            const float step =
                both_ways ? most / 127 / 2 : sqrtf(v[i] * most) / 255 + most / 255 / 255;
            assert_true(fabsf(got[i] - v[i]) <= step * 1.001f);
        }
        assert_true(fabsf(got[17]) <= most * 1e-6f);
        free(got), free(v);
        look_page_free(&p);
    }
}

/* A map that is too large becomes means of squares; what stands beyond the edge does not count. */
static void large_maps_are_means(void **state) {
    (void)state;
    float v[7 * 5];
    for (int i = 0; i < 35; i++) v[i] = (float)i;
    job j;
    begin(&j, 0);
    omma_report_heat heat = {.rows = 7,
                             .columns = 5,
                             .jump_y = 2,
                             .jump_x = 4,
                             .first_y = 1,
                             .map = v,
                             .method = "m",
                             .most = 4};
    assert_int_equal(omma_report_heat_map(j.r, &heat, NULL, &j.err), OMMA_OK);
    look_page p = end(&j);
    const omma_json *h = look_part(&p, "heat", 0);
    assert_int_equal(look_int(h, "rows"), 4);
    assert_int_equal(look_int(h, "columns"), 3);
    assert_int_equal(look_int(h, "means_of"), 2);
    assert_true(look_number(h, "first_y") == 2 && look_number(h, "jump_y") == 4);
    assert_true(look_number(h, "first_x") == 2 && look_number(h, "jump_x") == 8);
    float *got = look_numbers(&p, omma_json_get(h, "map"));
    assert_true(fabsf(got[0] - 3) < 0.2f);   /* 0 1 5 6 */
    assert_true(fabsf(got[11] - 34) < 0.2f); /* the corner alone */
    free(got);
    look_page_free(&p);
}

static void samples_come_back(void **state) {
    (void)state;
    unsigned seed = 8;
    float place[3 * 2 * 4 * 2], weight[3 * 2 * 4];
    for (int i = 0; i < 48; i++) place[i] = (float)(next(&seed) % 4000) / 10 - 50;
    for (int i = 0; i < 24; i++) weight[i] = (float)(next(&seed) % 1000) / 1000;
    job j;
    begin(&j, 0);
    omma_report_samples_info s = {"s", -1, 0, 3, 2, 4, place, weight};
    assert_int_equal(omma_report_samples(j.r, &s, NULL, &j.err), OMMA_OK);
    look_page p = end(&j);
    float *at = look_numbers(&p, omma_json_get(look_part(&p, "samples", 0), "place"));
    float *w = look_numbers(&p, omma_json_get(look_part(&p, "samples", 0), "weight"));
    for (int i = 0; i < 48; i++) assert_true(fabsf(at[i] - place[i]) < 0.01f);
    for (int i = 0; i < 24; i++) assert_true(fabsf(w[i] - weight[i]) < 0.003f);
    free(at), free(w);
    look_page_free(&p);
}

/* --- attention ----------------------------------------------------------------------------- */

typedef struct weights {
    int64_t windows, heads, queries, keys;
    float *v;
} weights;

static weights random_weights(int64_t windows, int64_t heads, int64_t queries, int64_t keys) {
    unsigned seed = 21;
    weights w = {windows, heads, queries, keys, NULL};
    w.v = malloc((size_t)(windows * heads * queries * keys) * sizeof *w.v);
    for (int64_t r = 0; r < windows * heads * queries; r++) {
        for (int64_t k = 0; k < keys; k++)
            w.v[r * keys + k] = (float)(next(&seed) % 1000) / 1000 * (float)(1 + r % 9);
        look_softmax(w.v + r * keys, keys);
    }
    return w;
}

static omma_status add_attention(job *j, const weights *w, size_t most) {
    omma_report_tokens_info t = {.label = "t", .count = 300};
    int tokens;
    assert_int_equal(omma_report_tokens(j->r, &t, &tokens, &j->err), OMMA_OK);
    omma_report_attention_info a = {.label = "a",
                                    .kind = "self",
                                    .query = tokens,
                                    .key = tokens,
                                    .windows = w->windows,
                                    .heads = w->heads,
                                    .queries = w->queries,
                                    .keys = w->keys,
                                    .weights = w->v,
                                    .uniform = NAN,
                                    .ceiling = 3,
                                    .most = most};
    return omma_report_attention(j->r, &a, NULL, &j->err);
}

/* Every weight within half a level of its row's scale; the mean over heads where that was kept. */
static void check_weights(const look_page *p, const weights *w) {
    const omma_json *a = look_part(p, "attention", 0);
    const int64_t kept = look_int(a, "kept_heads"), levels = look_int(a, "kept_levels");
    float *q = look_numbers(p, omma_json_get(a, "weights")),
          *largest = look_numbers(p, omma_json_get(a, "largest"));
    const int64_t map = w->queries * w->keys;
    for (int64_t i = 0; i < w->windows * kept * map; i++) {
        const int64_t window = i / map / kept, row = i / w->keys;
        float want = 0;
        if (kept == w->heads) want = w->v[i];
        else
            for (int64_t h = 0; h < w->heads; h++)
                want += w->v[(window * w->heads + h) * map + i % map] / (float)w->heads;
        const float got = q[i] * largest[row];
        const float step =
            (sqrtf(want * largest[row]) + largest[row] / (float)levels) / (float)levels;
        assert_true(fabsf(got - want) <= step * 1.01f + 1e-4f * largest[row]);
    }
    free(q), free(largest);
}

static void attention_comes_back(void **state) {
    (void)state;
    weights w = random_weights(1, 3, 40, 50);
    job j;
    begin(&j, 0);
    assert_int_equal(add_attention(&j, &w, 0), OMMA_OK);
    look_page p = end(&j);
    const omma_json *a = look_part(&p, "attention", 0);
    assert_int_equal(look_int(a, "kept_levels"), 255);
    assert_null(omma_json_get(a, "uniform"));
    check_weights(&p, &w);
    assert_null(look_part(&p, "note", 0));
    look_page_free(&p);
    free(w.v);
}

/* Less and less room: fewer levels, then the mean of the heads, then nothing; always said. */
static void attention_gives_way(void **state) {
    (void)state;
    weights w = random_weights(1, 4, 100, 100);
    static const struct {
        size_t most;
        int levels, heads;
        const char *says;
    } stage[] = {{50000, 63, 4, "64 are kept"},
                 {35000, 15, 4, "16 are kept"},
                 {15000, 255, 1, "their mean is kept"},
                 {4000, 0, 0, "the weights of all heads"}};
    for (size_t i = 0; i < sizeof stage / sizeof *stage; i++) {
        job j;
        begin(&j, 0);
        assert_int_equal(add_attention(&j, &w, stage[i].most), OMMA_OK);
        look_page p = end(&j);
        const omma_json *a = look_part(&p, "attention", 0), *note = look_part(&p, "note", 0);
        assert_non_null(strstr(omma_json_as_text(omma_json_get(note, "text")), stage[i].says));
        assert_int_equal(look_int(p.json, "left_out"), 1);
        assert_int_equal(omma_json_get(a, "weights") != NULL, stage[i].heads > 0);
        if (stage[i].heads) {
            assert_int_equal(look_int(a, "kept_levels"), stage[i].levels);
            assert_int_equal(look_int(a, "kept_heads"), stage[i].heads);
            check_weights(&p, &w);
        }
        look_page_free(&p);
    }
    free(w.v);
}

static void windows_come_back(void **state) {
    (void)state;
    weights w = random_weights(5, 2, 6, 4);
    int32_t query[30], key[20];
    for (int i = 0; i < 30; i++) query[i] = i % 7 == 3 ? -1 : i * 9;
    for (int i = 0; i < 20; i++) key[i] = i * 14;
    job j;
    begin(&j, 0);
    omma_report_tokens_info t = {.label = "t", .count = 300};
    assert_int_equal(omma_report_tokens(j.r, &t, NULL, &j.err), OMMA_OK);
    omma_report_attention_info a = {.label = "a",
                                    .kind = "windowed self",
                                    .windows = 5,
                                    .heads = 2,
                                    .queries = 6,
                                    .keys = 4,
                                    .weights = w.v,
                                    .query_token = query,
                                    .key_token = key,
                                    .uniform = NAN,
                                    .ceiling = NAN};
    assert_int_equal(omma_report_attention(j.r, &a, NULL, &j.err), OMMA_OK);
    look_page p = end(&j);
    check_weights(&p, &w);
    size_t size;
    unsigned char *b =
        look_block(&p, omma_json_get(look_part(&p, "attention", 0), "query_token"), &size);
    assert_int_equal(size, 120);
    for (int i = 0; i < 30; i++) {
        const unsigned v = b[i] | (unsigned)b[30 + i] << 8 | (unsigned)b[60 + i] << 16;
        assert_int_equal((int)v - 1, query[i]);
    }
    free(b), free(w.v);
    look_page_free(&p);
}

/* --- limits and faults ----------------------------------------------------------------------- */

static void limit_holds(void **state) {
    (void)state;
    unsigned seed = 2;
    job j;
    begin(&j, 400000);
    omma_report_heat heat = {
        .rows = 200, .columns = 200, .jump_y = 1, .jump_x = 1, .method = "<<<<"};
    float *v = random_map(200 * 200, true, &seed);
    heat.map = v;
    int left_out = 0, at = 0;
    for (int i = 0; i < 40; i++) {
        const size_t room = omma_report_room(j.r);
        assert_int_equal(omma_report_heat_map(j.r, &heat, &at, &j.err), OMMA_OK);
        left_out += at < 0;
        assert_true(omma_report_room(j.r) <= room);
    }
    assert_true(left_out > 20 && left_out < 40);
    for (int i = 0; i < 2000; i++) {
        omma_report_answer_info a = {.name = "<script>", .score = 0.5, .query = -1};
        assert_int_equal(omma_report_answer(j.r, &a, &at, &j.err), OMMA_OK);
    }
    assert_int_equal(at, -1);
    look_page p = end(&j);
    assert_true(p.size <= 400000 && p.size > 350000);
    assert_true(look_int(p.json, "left_out") > left_out);
    assert_non_null(
        strstr(omma_json_as_text(omma_json_get(look_part(&p, "note", 0), "text")), "Left out"));
    look_page_free(&p);
    free(v);
}

static int count_of(const char *text, const char *what) {
    int n = 0;
    for (; (text = strstr(text, what)); text++) n++;
    return n;
}

/* Names from hostile files end up as text and nothing else. */
static void hostile_texts(void **state) {
    (void)state;
    static const char evil[] = "</script><img src=x onerror=alert(1)>\"'&\xff\x01";
    job j = {.f = tmpfile()};
    omma_report_about about = {.picture = png,
                               .picture_size = sizeof png,
                               .width = W,
                               .height = H,
                               .name = evil,
                               .command = evil};
    assert_int_equal(omma_report_begin(&j.r, j.f, &about, &j.err), OMMA_OK);
    omma_report_about_model m = {.name = evil, .input = evil, .seconds = NAN};
    assert_int_equal(omma_report_model(j.r, &m, &j.err), OMMA_OK);
    omma_report_layer_info l = {.label = evil, .made_by = evil, .shape = evil, .whole_by = evil};
    assert_int_equal(omma_report_layer(j.r, &l, NULL, &j.err), OMMA_OK);
    char *endless = malloc(1 << 20);
    memset(endless, 0xc3, 1 << 20);
    endless[(1 << 20) - 1] = 0;
    assert_int_equal(omma_report_note(j.r, 0, endless, &j.err), OMMA_OK);
    free(endless);
    look_page p = end(&j);
    assert_null(strstr(p.text, "<img src=x"));
    assert_int_equal(count_of(p.text, "<script"), count_of(p.text, "</script>"));
    assert_true(p.size < 300000);
    assert_memory_equal(omma_json_as_text(omma_json_get(look_part(&p, "layer", 0), "label")), evil,
                        40);
    look_page_free(&p);
}

static void blocks_come_back(void **state) {
    (void)state;
    const omma_report_number column[] = {{.name = "cosine"},
                                         {.name = "length", .unit = "L2", .says = "median"}};
    const double first[] = {NAN, 3.5}, second[] = {0.25, 4.5};
    omma_report_blocks_row row[] = {{"in front", "before", -1, first},
                                    {"layer", "attention", -1, second}};
    omma_report_tokens_info t = {.label = "t", .count = 9};
    omma_report_blocks_info b = {0, column, 2, row, 2};
    job j;
    begin(&j, 0);
    assert_int_equal(omma_report_blocks(j.r, &b, NULL, &j.err), OMMA_E_RANGE); /* no such tokens */
    omma_report_free(j.r);
    fclose(j.f);
    begin(&j, 0);
    assert_int_equal(omma_report_tokens(j.r, &t, NULL, &j.err), OMMA_OK);
    assert_int_equal(omma_report_blocks(j.r, &b, NULL, &j.err), OMMA_OK);
    look_page p = end(&j);
    const omma_json *part = look_part(&p, "blocks", 0);
    const omma_json *columns = omma_json_get(part, "columns"), *rows = omma_json_get(part, "rows");
    assert_string_equal(omma_json_as_text(omma_json_get(omma_json_at(columns, 1), "unit")), "L2");
    const omma_json *values = omma_json_get(omma_json_at(rows, 1), "values");
    double v;
    assert_true(omma_json_as_double(omma_json_at(values, 0), &v) && v == 0.25);
    assert_true(omma_json_as_double(omma_json_at(values, 1), &v) && v == 4.5);
    values = omma_json_get(omma_json_at(rows, 0), "values");
    assert_false(omma_json_as_double(omma_json_at(values, 0), &v)); /* null */
    look_page_free(&p);
}

static void wrong_use(void **state) {
    (void)state;
    job j;
    begin(&j, 0);
    float v[4] = {0};
    const omma_report_unit none = {OMMA_REPORT_CELL, 0, 0, 0, NULL};
    omma_report_heat heat = {.unit = none, .rows = 2, .columns = 2, .map = v};
    assert_int_equal(omma_report_heat_map(j.r, &heat, NULL, &j.err), OMMA_E_RANGE);
    assert_int_equal(omma_report_set(j.r, &none, NULL, OMMA_FOV_EXACT, &j.err), OMMA_E_RANGE);
    const omma_report_unit missing = {OMMA_REPORT_CELL, -1, 0, 0, NULL};
    assert_int_equal(omma_report_set(j.r, &missing, NULL, OMMA_FOV_EXACT, &j.err), OMMA_OK);
    omma_report_grid g = {1, 3, 3, 3, 1, 0, 0, 1, 1, -1};
    omma_report_tokens_info t = {.label = "t", .count = 9, .grid = &g, .n_grid = 1};
    assert_int_equal(omma_report_tokens(j.r, &t, NULL, &j.err), OMMA_E_RANGE);
    omma_report_ledger_info l = {.tokens = 0, .attention = -1};
    assert_int_equal(omma_report_ledger(j.r, &l, NULL, &j.err), OMMA_E_RANGE);
    omma_report_answer_info a = {.n_corners = 9, .query = -1};
    assert_int_equal(omma_report_answer(j.r, &a, NULL, &j.err), OMMA_E_RANGE);
    omma_report_free(j.r);
    fclose(j.f);
    omma_report_about about = {.picture = "GIF89a", .picture_size = 6, .width = 1, .height = 1};
    FILE *f = tmpfile();
    assert_int_equal(omma_report_begin(&j.r, f, &about, &j.err), OMMA_E_RANGE);
    assert_null(j.r);
    fclose(f);
}

static void full_disk(void **state) {
    (void)state;
    FILE *f = fopen("/dev/full", "wb");
    if (!f) skip();
    setvbuf(f, NULL, _IONBF, 0);
    omma_report *r;
    omma_error err;
    omma_report_about about = {.picture = png, .picture_size = sizeof png, .width = W, .height = H};
    assert_int_equal(omma_report_begin(&r, f, &about, &err), OMMA_E_IO);
    assert_null(r);
    fclose(f);
}

/* A few parts of every kind that allocates; the status of the first call that fails. */
static omma_status small_report(omma_error *err) {
    FILE *f = tmpfile();
    omma_report *r;
    omma_report_about about = {.picture = png, .picture_size = sizeof png, .width = W, .height = H};
    omma_status s = omma_report_begin(&r, f, &about, err);
    if (s) {
        fclose(f);
        return s;
    }
    static float v[900];
    omma_lines y = look_pixels(H);
    const omma_report_about_model m = {.name = "m", .seconds = NAN};
    const omma_report_layer_info l = {.label = "l", .y = {.cells = H, .lines = &y}};
    const omma_report_tokens_info t = {.label = "t", .count = 30};
    const omma_report_attention_info a = {.label = "a",
                                          .kind = "k",
                                          .windows = 1,
                                          .heads = 1,
                                          .queries = 30,
                                          .keys = 30,
                                          .weights = v,
                                          .uniform = NAN,
                                          .ceiling = NAN};
    const omma_report_heat h = {.rows = 30, .columns = 30, .map = v, .most = 10, .method = "m"};
    const omma_report_silenced cut = {.moved = v};
    const omma_report_ledger_info g = {.attention = -1,
                                       .label = "g",
                                       .from = v,
                                       .before = v,
                                       .after = v,
                                       .width = 8,
                                       .silenced = &cut,
                                       .n_silenced = 1};
    s = omma_report_model(r, &m, err);
    if (!s) s = omma_report_layer(r, &l, NULL, err);
    if (!s) s = omma_report_tokens(r, &t, NULL, err);
    if (!s) s = omma_report_attention(r, &a, NULL, err);
    if (!s) s = omma_report_heat_map(r, &h, NULL, err);
    if (!s) s = omma_report_ledger(r, &g, NULL, err);
    if (s) omma_report_free(r);
    else s = omma_report_end(r, err);
    free(y.bits);
    fclose(f);
    return s;
}

static void memory_runs_out(void **state) {
    (void)state;
    int faults = 0;
    for (uint64_t k = 1;; k++) {
        omma_error err = {0};
        omma_mem_fail_at(k);
        const omma_status s = small_report(&err);
        omma_mem_fail_at(0);
        if (!s) break;
        assert_int_equal(s, OMMA_E_NOMEM);
        assert_true(err.message[0] != 0);
        faults++;
        assert_true(faults < 1000);
    }
    assert_true(faults > 10);
}

/* --- whole reports ------------------------------------------------------------------------------
 */

/* Where reports go that the page's test opens; NULL: nowhere, a temporary file will do. */
static FILE *open_report(const char *name) {
    const char *dir = getenv("OMMA_LOOK_DIR");
    char path[512];
    if (!dir) return tmpfile();
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return fopen(path, "w+b");
}

/* The photo where there is one, else a drawn scene of the same size; from malloc. */
static unsigned char *find_picture(size_t *size) {
    char path[512];
    omma_bytes b;
    omma_image img;
    unsigned char *file;
    if (shared_path(path, sizeof path, "photos/chelsea.png") &&
        !omma_bytes_read(&b, path, 1 << 24, NULL)) {
        file = malloc(b.size);
        memcpy(file, b.data, *size = b.size);
        omma_bytes_free(&b);
        return file;
    }
    look_scene(&img);
    assert_int_equal(omma_image_encode_png(&file, size, &img, NULL), OMMA_OK);
    omma_image_free(&img);
    return file;
}

static void complete(void **state) {
    (void)state;
    size_t n;
    unsigned char *picture = find_picture(&n);
    FILE *f = open_report("report.html");
    assert_non_null(f);
    look_report(f, picture, n, "chelsea.png");
    fflush(f);
    look_page p = look_read(f);
    fclose(f);
    static const struct {
        const char *part;
        int n;
    } all[] = {{"model", 2},   {"layer", 20}, {"tokens", 2}, {"attention", 7}, {"samples", 3},
               {"ledger", 12}, {"query", 20}, {"answer", 4}, {"set", 1}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        assert_non_null(look_part(&p, all[i].part, all[i].n - 1));
        assert_null(look_part(&p, all[i].part, all[i].n));
    }
    assert_int_equal(look_int(p.json, "left_out"), 0);
    look_page_free(&p);
    free(picture);
}

/* A model in which nothing was found. */
static void bare(void **state) {
    (void)state;
    FILE *f = open_report("bare.html");
    omma_report *r;
    omma_report_about about = {.picture = png, .picture_size = sizeof png, .width = W, .height = H};
    const omma_report_about_model m = {.name = "m", .seconds = NAN};
    assert_int_equal(omma_report_begin(&r, f, &about, NULL), OMMA_OK);
    assert_int_equal(omma_report_model(r, &m, NULL), OMMA_OK);
    assert_int_equal(omma_report_note(r, OMMA_REPORT_ALL, "Nothing was found.", NULL), OMMA_OK);
    const omma_report_unit gone = {OMMA_REPORT_CELL, -1, 0, 0, NULL}; /* of a layer left out */
    assert_int_equal(omma_report_start(r, &gone, NULL), OMMA_OK);
    assert_int_equal(omma_report_end(r, NULL), OMMA_OK);
    fflush(f);
    look_page p = look_read(f);
    assert_null(look_part(&p, "layer", 0));
    look_page_free(&p);
    fclose(f);
}

/* The same report twice is the same bytes. */
static void reproducible(void **state) {
    (void)state;
    size_t n;
    unsigned char *picture = find_picture(&n);
    char *text[2];
    size_t size[2];
    for (int i = 0; i < 2; i++) {
        FILE *f = open_memstream(&text[i], &size[i]);
        look_report(f, picture, n, "chelsea.png");
        fclose(f);
    }
    assert_int_equal(size[0], size[1]);
    assert_memory_equal(text[0], text[1], size[0]);
    free(text[0]), free(text[1]);
    free(picture);
}

static void detr_sized(void **state) {
    (void)state;
    FILE *f = open_report("big.html");
    assert_non_null(f);
    look_big(f);
    fflush(f);
    look_page p = look_read(f);
    fclose(f);
    assert_true(p.size <= OMMA_REPORT_LIMIT);
    int kept[3] = {0};
    for (int i = 0; i < 12; i++) {
        const omma_json *a = look_part(&p, "attention", i);
        assert_non_null(a);
        if (!omma_json_get(a, "weights")) continue;
        kept[look_int(a, "kept_heads") < BIG_HEADS ? 2
             : look_int(a, "kept_levels") < 255    ? 1
                                                   : 0]++;
    }
    print_message(
        "COUNTED: DETR-sized report %.1f MB: %d attentions in 256 steps, %d in fewer, %d as the "
        "mean of heads, %d without weights\n",
        (double)p.size / 1e6, kept[0], kept[1], kept[2], 12 - kept[0] - kept[1] - kept[2]);
    assert_true(kept[0] + kept[1] + kept[2] == 12);
    look_page_free(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(lines_come_back),
                                       cmocka_unit_test(sets_come_back),
                                       cmocka_unit_test(maps_come_back),
                                       cmocka_unit_test(large_maps_are_means),
                                       cmocka_unit_test(samples_come_back),
                                       cmocka_unit_test(attention_comes_back),
                                       cmocka_unit_test(attention_gives_way),
                                       cmocka_unit_test(windows_come_back),
                                       cmocka_unit_test(limit_holds),
                                       cmocka_unit_test(hostile_texts),
                                       cmocka_unit_test(blocks_come_back),
                                       cmocka_unit_test(wrong_use),
                                       cmocka_unit_test(full_disk),
                                       cmocka_unit_test(memory_runs_out),
                                       cmocka_unit_test(complete),
                                       cmocka_unit_test(bare),
                                       cmocka_unit_test(reproducible),
                                       cmocka_unit_test(detr_sized)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

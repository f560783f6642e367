/* test_read.c - the whole text reader: a photographed page upright, turned, in perspective
 * and upside down, a page drawn with omma's own letters, pictures without text, hostile
 * folders, memory that runs out. Needs the models (OMMA_MODELS or the user's data folder)
 * and, for the photograph, OMMA_SHARED/photos/page.png; says what it skipped. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "file/image.h"
#include "shared.h"
#include "task/known.h"
#include "task/reader.h"
#include "task/warp.h"
#include "view/font.h"

static char folder[OMMA_KNOWN_PATH];
static omma_reader *reader; /* NULL: no models */
static omma_image page;     /* empty: no photograph */

static const char *const page_lines[] = {
    "Region-based segmentation",
    "Let us first determine markers of the coins and the",
    "background. These markers are pixels that we can label",
    "unambiguously as either object or background. Here,",
    "the markers are found at the two extreme parts of the",
    "histogram of grey values:",
};
enum { PAGE_LINES = sizeof page_lines / sizeof *page_lines };

static int open_all(void **state) {
    (void)state;
    omma_error err;
    char path[4096];
    const omma_known *k = omma_known_for_task("read");
    if (omma_known_folder(folder, sizeof folder, k, &err) ||
        omma_known_check(k, OMMA_KNOWN_SIZES, &err))
        printf("skipped: reading, for lack of models: %s\n", err.message);
    else if (omma_reader_new(&reader, folder, NULL, &err)) printf("%s\n", err.message);
    if (!shared_path(path, sizeof path, "photos/page.png"))
        printf("skipped: the photographed page, for lack of %s\n", path);
    else if (omma_image_load(&page, path, &err)) printf("%s\n", err.message);
    return 0;
}

static int close_all(void **state) {
    (void)state;
    omma_reader_free(reader);
    omma_image_free(&page);
    return 0;
}

static void need_reader(void) {
    if (!reader) skip();
}

static void need_page(void) {
    if (!reader || !page.rgb) skip();
}

static omma_text_lines read_rgb(const unsigned char *rgb, int w, int h) {
    omma_text_lines lines;
    omma_error err;
    if (omma_reader_run(reader, &lines, rgb, w, h, &err)) fail_msg("%s", err.message);
    return lines;
}

/* Where a text is among the lines, from line from on; -1: not there. */
static int find(const omma_text_lines *lines, const char *text, int from) {
    for (int i = from; i < lines->count; i++)
        if (!strcmp(lines->items[i].text, text)) return i;
    return -1;
}

/* How many of the page's lines were read without a fault; those must come in order. */
static int count_page_lines(const omma_text_lines *lines) {
    int n = 0, last = -1;
    for (int i = 0; i < PAGE_LINES; i++) {
        int at = find(lines, page_lines[i], 0);
        if (at < 0) continue;
        assert_true(at > last);
        last = at;
        n++;
    }
    return n;
}

static void reads_page(void **state) {
    (void)state;
    need_page();
    omma_text_lines lines = read_rgb(page.rgb, page.width, page.height);
    assert_int_equal(count_page_lines(&lines), PAGE_LINES);
    int title = find(&lines, page_lines[0], 0);
    assert_int_equal(title, 0);
    const omma_text_line *l = &lines.items[title];
    assert_true(l->confidence > 0.9f && l->confidence <= 1);
    assert_int_equal(l->turn, 0);
    /* The title's letters span about 7..290 x 15..33. */
    assert_true(fabsf(l->quad[0][0] - 6) < 6 && fabsf(l->quad[0][1] - 13) < 6);
    assert_true(fabsf(l->quad[2][0] - 292) < 6 && fabsf(l->quad[2][1] - 35) < 6);
    omma_text_lines_free(&lines);
}

/* A picture of w x h that shows what lies in quadrilateral q of another, whose border is
 * repeated around it. */
static unsigned char *show(const omma_image *img, const omma_quad *q, int w, int h) {
    unsigned char *rgb = malloc(3 * (size_t)w * (size_t)h);
    assert_non_null(rgb);
    omma_error err;
    if (omma_warp_quad(rgb, w, h, img->rgb, img->width, img->height, q, &err))
        fail_msg("%s", err.message);
    return rgb;
}

/* The page turned clockwise, all of it in the picture. */
static unsigned char *turned_page(double degrees, int *w, int *h) {
    double a = degrees * 3.14159265358979323846 / 180, c = cos(a), s = sin(a);
    double pw = page.width, ph = page.height;
    *w = (int)ceil(fabs(pw * c) + fabs(ph * s) - 1e-6);
    *h = (int)ceil(fabs(pw * s) + fabs(ph * c) - 1e-6);
    omma_quad q;
    for (int k = 0; k < 4; k++) {
        double x = (k == 1 || k == 2 ? *w : 0) - *w / 2.0, y = (k >= 2 ? *h : 0) - *h / 2.0;
        q.at[k] = (omma_point){(float)(pw / 2 + x * c + y * s), (float)(ph / 2 - x * s + y * c)};
    }
    return show(&page, &q, *w, *h);
}

static void reads_turned_page(void **state) {
    (void)state;
    need_page();
    static const struct {
        double degrees;
        int turn, lines;
    } cases[] = {{5, 0, 5},     {20, 0, 4},    {-20, 0, 4},   {44, 0, 4},  {90, 90, 5},
                 {180, 180, 4}, {200, 180, 4}, {270, 270, 5}, {120, 90, 4}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int w, h;
        unsigned char *rgb = turned_page(cases[i].degrees, &w, &h);
        omma_text_lines lines = read_rgb(rgb, w, h);
        int n = count_page_lines(&lines), title = find(&lines, page_lines[0], 0);
        printf("turned by %g degrees: %d of %d lines without a fault\n", cases[i].degrees, n,
               PAGE_LINES);
        assert_true(title >= 0);
        assert_true(n >= cases[i].lines);
        assert_int_equal(lines.items[title].turn, cases[i].turn);
        omma_text_lines_free(&lines);
        free(rgb);
    }
}

/* The page curled: its columns moved down by up to sag pixels in the middle, drawn twice
 * as large. */
static unsigned char *curled_page(double sag, int *w, int *h) {
    enum { COLUMN = 4 };
    *w = 2 * page.width;
    *h = 2 * (page.height + (int)sag);
    unsigned char *rgb = malloc(3 * (size_t)*w * (size_t)*h);
    unsigned char *column = malloc(3 * COLUMN * (size_t)*h);
    assert_non_null(rgb);
    assert_non_null(column);
    for (int x = 0; x + COLUMN <= *w; x += COLUMN) {
        float down = (float)(sag * sin(3.14159265358979323846 * x / *w));
        float x0 = (float)x / 2, x1 = (float)(x + COLUMN) / 2, y1 = (float)*h / 2 - down;
        omma_quad q = {{{x0, -down}, {x1, -down}, {x1, y1}, {x0, y1}}};
        assert_int_equal(
            omma_warp_quad(column, COLUMN, *h, page.rgb, page.width, page.height, &q, NULL),
            OMMA_OK);
        for (int y = 0; y < *h; y++)
            memcpy(rgb + 3 * ((size_t)y * (size_t)*w + (size_t)x), column + 3 * COLUMN * (size_t)y,
                   3 * COLUMN);
    }
    free(column);
    return rgb;
}

/* A sag of 17 px is the distance of the page's lines. */
static void reads_curled_page(void **state) {
    (void)state;
    need_page();
    for (int sag = 10; sag <= 40; sag += 10) {
        int w, h;
        unsigned char *rgb = curled_page(sag, &w, &h);
        omma_text_lines lines = read_rgb(rgb, w, h);
        int n = count_page_lines(&lines);
        printf("curled by %d px: %d of %d lines without a fault\n", sag, n, PAGE_LINES);
        assert_true(find(&lines, page_lines[0], 0) >= 0);
        assert_true(n >= 4);
        omma_text_lines_free(&lines);
        free(rgb);
    }
}

static void reads_perspective(void **state) {
    (void)state;
    need_page();
    static const omma_quad views[] = {
        {{{-10, -20}, {390, 10}, {370, 150}, {10, 180}}},   /* from the right */
        {{{-20, -15}, {400, -15}, {390, 200}, {-60, 190}}}, /* from below */
        {{{-60, -40}, {400, -10}, {380, 120}, {0, 200}}},
    };
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        unsigned char *rgb = show(&page, &views[i], 640, 320);
        omma_text_lines lines = read_rgb(rgb, 640, 320);
        assert_true(find(&lines, page_lines[0], 0) >= 0);
        int n = count_page_lines(&lines);
        printf("perspective %zu: %d of %d lines without a fault\n", i, n, PAGE_LINES);
        assert_true(n >= 3);
        omma_text_lines_free(&lines);
        free(rgb);
    }
}

/* --- drawn text ------------------------------------------------------------------------ */

static void fill(omma_image *img, unsigned char v) {
    memset(img->rgb, v, 3 * (size_t)img->width * (size_t)img->height);
}

static omma_image blank(int w, int h) {
    omma_image img;
    assert_int_equal(omma_image_new(&img, w, h, NULL), OMMA_OK);
    fill(&img, 255);
    return img;
}

static const char *const drawn[] = {"Which pixels can reach it,", "which ones do, and how",
                                    "global context changed it."};

static void reads_drawn_text(void **state) {
    (void)state;
    need_reader();
    static const struct {
        int w, h, px;
    } sizes[] = {{320, 110, 16}, {1200, 500, 60}, {2600, 1600, 24}, {3200, 1500, 220}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int px = sizes[i].px;
        omma_image img = blank(sizes[i].w, sizes[i].h);
        for (int k = 0; k < 3; k++)
            omma_font_draw(&img, px, (k + 1) * px * 3 / 2 + px / 2, drawn[k], -1, px,
                           (omma_color){0, 0, 0, 255});
        omma_text_lines lines = read_rgb(img.rgb, img.width, img.height);
        assert_int_equal(lines.count, 3);
        for (int k = 0; k < 3; k++) assert_string_equal(lines.items[k].text, drawn[k]);
        omma_text_lines_free(&lines);
        omma_image_free(&img);
    }
}

/* A line far longer than the 320 px recognisers were trained on. */
static void reads_long_line(void **state) {
    (void)state;
    need_reader();
    static const char text[] =
        "a convolution sees its kernel's patch; three layers see three, five, seven pixels; "
        "a feature map is a set of tokens, each the account of one patch of the picture";
    omma_image img = blank(omma_font_width(text, -1, 24) + 20, 44);
    omma_font_draw(&img, 10, 30, text, -1, 24, (omma_color){20, 20, 20, 255});
    omma_text_lines lines = read_rgb(img.rgb, img.width, img.height);
    assert_int_equal(lines.count, 1);
    assert_string_equal(lines.items[0].text, text);
    omma_text_lines_free(&lines);
    omma_image_free(&img);
}

static void same_for_all_threads(void **state) {
    (void)state;
    need_page();
    omma_text_lines lines[2];
    for (int i = 0; i < 2; i++) {
        omma_reader *r;
        omma_options opt = {.threads = i ? 3 : 1};
        assert_int_equal(omma_reader_new(&r, folder, &opt, NULL), OMMA_OK);
        assert_int_equal(omma_reader_run(r, &lines[i], page.rgb, page.width, page.height, NULL),
                         OMMA_OK);
        omma_reader_free(r);
    }
    assert_int_equal(lines[0].count, lines[1].count);
    for (int i = 0; i < lines[0].count; i++) {
        const omma_text_line *a = &lines[0].items[i], *b = &lines[1].items[i];
        assert_string_equal(a->text, b->text);
        assert_memory_equal(&a->confidence, &b->confidence, sizeof a->confidence);
        assert_memory_equal(a->quad, b->quad, sizeof a->quad);
    }
    omma_text_lines_free(&lines[0]);
    omma_text_lines_free(&lines[1]);
}

/* --- nothing to read, and faults ------------------------------------------------------------ */

static void reads_nothing(void **state) {
    (void)state;
    need_reader();
    static const int sizes[][2] = {{1, 1}, {1, 300}, {300, 1}, {33, 65}, {9000, 2}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        omma_image img = blank(sizes[i][0], sizes[i][1]);
        fill(&img, 130);
        omma_text_lines lines = read_rgb(img.rgb, img.width, img.height);
        assert_int_equal(lines.count, 0);
        omma_text_lines_free(&lines);
        omma_image_free(&img);
    }
    omma_text_lines lines;
    unsigned char rgb[3] = {0};
    assert_int_equal(omma_reader_run(reader, &lines, rgb, 0, 1, NULL), OMMA_E_RANGE);
    assert_int_equal(omma_reader_run(reader, &lines, rgb, 1, OMMA_IMAGE_MAX_SIDE + 1, NULL),
                     OMMA_E_RANGE);
    assert_int_equal(lines.count, 0);
}

/* Noise may give marks, but no fault. */
static void survives_noise(void **state) {
    (void)state;
    need_reader();
    uint32_t seed = 1;
    omma_image img = blank(300, 200);
    for (int i = 0; i < 3 * 300 * 200; i++) {
        seed = seed * 1664525u + 1013904223u;
        img.rgb[i] = (unsigned char)(seed >> 24);
    }
    omma_text_lines lines = read_rgb(img.rgb, img.width, img.height);
    for (int i = 0; i < lines.count; i++) assert_true(lines.items[i].text[0] != 0);
    omma_text_lines_free(&lines);
    omma_image_free(&img);
}

static void survives_lack_of_memory(void **state) {
    (void)state;
    need_reader();
    omma_image img = blank(320, 110);
    for (int k = 0; k < 3; k++)
        omma_font_draw(&img, 16, k * 24 + 32, drawn[k], -1, 16, (omma_color){0, 0, 0, 255});
    omma_text_lines first = read_rgb(img.rgb, img.width, img.height), again;
    uint64_t before = omma_mem_calls();
    again = read_rgb(img.rgb, img.width, img.height);
    uint64_t calls = omma_mem_calls() - before, failed = 0;
    omma_text_lines_free(&again);
    for (uint64_t k = 1; k <= calls; k += 1 + calls / 40) {
        omma_error err;
        omma_mem_fail_at(k);
        omma_status s = omma_reader_run(reader, &again, img.rgb, img.width, img.height, &err);
        omma_mem_fail_at(0);
        assert_true(s == OMMA_OK || s == OMMA_E_NOMEM);
        if (s) assert_int_equal(again.count, 0);
        failed += s != OMMA_OK;
        omma_text_lines_free(&again);
    }
    assert_true(failed > 10);
    again = read_rgb(img.rgb, img.width, img.height); /* and it is as good as before */
    assert_int_equal(again.count, first.count);
    for (int i = 0; i < first.count; i++)
        assert_string_equal(again.items[i].text, first.items[i].text);
    omma_text_lines_free(&again);
    omma_text_lines_free(&first);
    omma_image_free(&img);
}

static void touch(const char *dir, const char *name) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("no model\n", f);
    fclose(f);
}

static void refuses_folders(void **state) {
    (void)state;
    static const char *const names[] = {"a_det.onnx", "a_cls.onnx", "a_rec.onnx", "keys.txt",
                                        "b_rec.onnx"};
    omma_reader *r;
    omma_error err;
    assert_int_equal(omma_reader_new(&r, "/no such folder", NULL, &err), OMMA_E_NOTFOUND);
    assert_non_null(strstr(err.message, "omma pull ppocrv4"));
    assert_null(r);
    char dir[] = "/tmp/omma-read-XXXXXX";
    assert_non_null(mkdtemp(dir));
    for (int i = 0; i < 5; i++) {
        omma_status s = omma_reader_new(&r, dir, NULL, &err);
        assert_int_equal(s, i < 4 ? OMMA_E_NOTFOUND : OMMA_E_FORMAT);
        assert_null(r);
        touch(dir, names[i]);
    }
    assert_int_equal(omma_reader_new(&r, dir, NULL, &err), OMMA_E_USAGE);
    assert_non_null(strstr(err.message, "b_rec.onnx"));
    for (int i = 0; i < 5; i++) {
        char path[300];
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_page),           cmocka_unit_test(reads_turned_page),
        cmocka_unit_test(reads_curled_page),    cmocka_unit_test(reads_perspective),
        cmocka_unit_test(reads_drawn_text),     cmocka_unit_test(reads_long_line),
        cmocka_unit_test(same_for_all_threads), cmocka_unit_test(reads_nothing),
        cmocka_unit_test(survives_noise),       cmocka_unit_test(survives_lack_of_memory),
        cmocka_unit_test(refuses_folders),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}

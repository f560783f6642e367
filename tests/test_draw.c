/* test_draw.c - marks on pictures: which pixels change and which do not, labels inside the
 * picture and legible, any coordinates survived. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "view/draw.h"
#include "view/font.h"
#include "view/stroke.h"

static const omma_color red = {255, 0, 0, 255}, white = {255, 255, 255, 255};

static omma_image black(int w, int h) {
    omma_image img;
    assert_int_equal(omma_image_new(&img, w, h, NULL), OMMA_OK);
    return img;
}

static int red_at(const omma_image *img, int x, int y) {
    return img->rgb[3 * (y * img->width + x)];
}

/* Sum of the red channel, in whole pixels of 255. */
static double ink(const omma_image *img) {
    double sum = 0;
    for (int i = 0; i < img->width * img->height; i++) sum += img->rgb[3 * i];
    return sum / 255;
}

static void fills_by_area(void **state) {
    (void)state;
    omma_image img = black(20, 10);
    omma_draw_fill(&img, 12.5f, 6.25f, 3, 2, red); /* corners in any order */
    assert_int_equal(red_at(&img, 3, 2), 255);
    assert_int_equal(red_at(&img, 11, 5), 255);
    assert_int_equal(red_at(&img, 12, 3), 128);
    assert_int_equal(red_at(&img, 5, 6), 64);
    assert_int_equal(red_at(&img, 12, 6), 32);
    assert_int_equal(red_at(&img, 2, 3), 0);
    assert_int_equal(red_at(&img, 13, 3), 0);
    assert_int_equal(red_at(&img, 5, 7), 0);
    assert_int_equal(img.rgb[3 * (3 * 20 + 5) + 1], 0); /* green stays */
    assert_true(fabs(ink(&img) - 9.5 * 4.25) < 0.1);
    omma_draw_fill(&img, 0, 0, 20, 10, (omma_color){0, 0, 0, 128});
    assert_int_equal(red_at(&img, 5, 4), 127);
    omma_image_free(&img);
}

static void frames_boxes(void **state) {
    (void)state;
    omma_image img = black(100, 80);
    omma_draw_box(&img, 20, 10, 70, 50, 4, red);
    for (int x = 18; x < 72; x++)
        for (int y = 8; y < 52; y++) {
            bool inside = x >= 22 && x < 68 && y >= 12 && y < 48;
            assert_int_equal(red_at(&img, x, y), inside ? 0 : 255);
        }
    assert_true(fabs(ink(&img) - (54 * 44 - 46 * 36)) < 0.01);
    omma_image_free(&img);

    img = black(100, 80); /* on the picture's edge the frame keeps its thickness */
    omma_draw_box(&img, -5, -5, 100, 80, 3, red);
    assert_true(fabs(ink(&img) - (100 * 80 - 94 * 74)) < 0.01);
    omma_image_free(&img);

    img = black(100, 80); /* fractions of pixels add up to the frame's area */
    omma_draw_box(&img, 10.3f, 10.7f, 60.6f, 40.1f, 1.5f, omma_color_fade(red, 255));
    assert_true(fabs(ink(&img) - (51.8 * 30.9 - 48.8 * 27.9)) < 1);
    omma_image_free(&img);

    img = black(100, 80); /* no area, still a mark; outside, none */
    omma_draw_box(&img, 50, 40, 50, 40, 4, red);
    assert_true(fabs(ink(&img) - 16) < 0.01);
    omma_draw_box(&img, 120, 10, 140, 20, 4, red);
    omma_draw_box(&img, 10, -30, 20, -10, 4, red);
    omma_draw_box(&img, 10, 10, 20, 20, 0, red);
    assert_true(fabs(ink(&img) - 16) < 0.01);
    omma_image_free(&img);
}

static void draws_lines(void **state) {
    (void)state;
    omma_image img = black(60, 40);
    omma_draw_line(&img, 10, 20, 50, 20, 6, red);
    for (int x = 10; x < 50; x++)
        for (int y = 0; y < 40; y++)
            assert_int_equal(red_at(&img, x, y), y >= 17 && y < 23 ? 255 : 0);
    assert_int_equal(red_at(&img, 8, 20), 255); /* the round end */
    assert_int_equal(red_at(&img, 6, 20), 0);
    assert_true(red_at(&img, 7, 17) < 128);
    assert_true(fabs(ink(&img) - (40 * 6 + 3.14159 * 9)) < 1);
    omma_image_free(&img);

    img = black(60, 60);
    omma_draw_line(&img, 10, 10, 40, 50, 4, red); /* length 50 */
    assert_int_equal(red_at(&img, 25, 30), 255);
    assert_int_equal(red_at(&img, 30, 25), 0);
    assert_true(fabs(ink(&img) - (50 * 4 + 3.14159 * 4)) < 2);
    omma_image_free(&img);
}

static void outlines_polygons(void **state) {
    (void)state;
    omma_image img = black(60, 60);
    const float diamond[8] = {30, 5, 55, 30, 30, 55, 5, 30};
    omma_draw_polygon(&img, diamond, 4, 4, omma_color_fade(red, 128));
    assert_int_equal(red_at(&img, 30, 30), 0);
    assert_int_equal(red_at(&img, 5, 5), 0);
    assert_int_equal(red_at(&img, 42, 17), 128);
    assert_int_equal(red_at(&img, 17, 42), 128);
    int most = 0; /* corners are laid on once */
    for (int i = 0; i < 60 * 60; i++) most = img.rgb[3 * i] > most ? img.rgb[3 * i] : most;
    assert_int_equal(most, 128);
    omma_image_free(&img);
}

static void survives_any_coordinates(void **state) {
    (void)state;
    const float odd[] = {NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 1e7f, -1e7f, 0, 1e-38f, 12.5f};
    enum { N = sizeof odd / sizeof *odd };
    omma_image img = black(33, 21);
    for (int a = 0; a < N * N * N * N; a++) {
        float x0 = odd[a % N], y0 = odd[a / N % N];
        float x1 = odd[a / N / N % N], y1 = odd[a / N / N / N];
        omma_draw_fill(&img, x0, y0, x1, y1, red);
        omma_draw_box(&img, x0, y0, x1, y1, 3, red);
        omma_draw_line(&img, x0, y0, x1, y1, 2, red);
        if (a % 7 == 0) omma_draw_box(&img, 1, 2, x0, y0, y1, red);
        if (a % 7 == 0) omma_draw_line(&img, 1, 2, x0, y0, y1, red);
        if (a < N * N) omma_draw_label(&img, x0, y0, "a box", red, 12);
    }
    omma_image_free(&img);
    img = black(33, 21);
    omma_draw_fill(&img, NAN, 0, 5, 5, red);
    omma_draw_box(&img, 0, 0, NAN, 5, 2, red);
    omma_draw_line(&img, 0, 0, 5, INFINITY, 2, red);
    omma_draw_label(&img, NAN, 0, "x", red, 12);
    assert_true(ink(&img) < 1e-9);
    omma_draw_line(&img, -1e9f, 10, 1e9f, 10, 2, red); /* far ends, but it crosses */
    assert_true(fabs(ink(&img) - 66) < 0.5);
    omma_image_free(&img);
}

/* --- text ----------------------------------------------------------------------- */

static void every_letter_has_its_own_shape(void **state) {
    (void)state;
    enum { W = 32, H = 40, COUNT = 127 - 33 };
    omma_image img[COUNT];
    for (int i = 0; i < COUNT; i++) {
        char text[2] = {(char)(33 + i), 0};
        img[i] = black(W, H);
        omma_font_draw(&img[i], 4, 28, text, -1, 24, white);
        assert_true(ink(&img[i]) > 5);
        for (int y = 0; y < H; y++) /* within its own width */
            for (int x = 0; x < W; x++)
                if (x < 4 || x >= 4 + omma_font_width(text, 1, 24) + 1 || y < 6 || y > 35)
                    assert_true(red_at(&img[i], x, y) < 40);
    }
    for (int i = 0; i < COUNT; i++)
        for (int j = 0; j < i; j++) {
            double differs = 0;
            for (int k = 0; k < W * H; k++) differs += abs(img[i].rgb[3 * k] - img[j].rgb[3 * k]);
            if (differs < 4 * 255) fail_msg("'%c' looks like '%c'", 33 + i, 33 + j);
        }
    for (int i = 0; i < COUNT; i++) omma_image_free(&img[i]);
}

/* A capital stands on the line and reaches its height, at every size, on whole pixels. */
static void heights_meet_pixels(void **state) {
    (void)state;
    for (int px = OMMA_FONT_MIN; px <= 64; px++) {
        omma_image img = black(80, 100);
        omma_font_draw(&img, 2, 70, "E", -1, px, white);
        int cap = omma_font_cap(px), rows[100] = {0}; /* the brightest pixel of each */
        for (int y = 0; y < 100; y++)
            for (int x = 0; x < 80; x++) {
                int v = red_at(&img, x, y);
                rows[y] = v > rows[y] ? v : rows[y];
            }
        assert_int_equal(rows[70], 0);
        assert_int_equal(rows[70 - cap - 1], 0);
        assert_true(rows[69] > 240);
        assert_true(rows[70 - cap] > 240);
        omma_image_free(&img);
    }
}

static void measures_utf8(void **state) {
    (void)state;
    int one = omma_font_width("\x01", -1, 20); /* a box */
    assert_int_equal(omma_font_width("", -1, 20), 0);
    assert_int_equal(omma_font_width("\xc3\xa9", -1, 20), one);         /* e acute: one box */
    assert_int_equal(omma_font_width("\xe2\x82\xac", -1, 20), one);     /* euro */
    assert_int_equal(omma_font_width("\xf0\x9f\x98\x80", -1, 20), one); /* beyond 16 bits */
    int two = omma_font_width("\x01\x01", -1, 20);
    assert_int_equal(omma_font_width("\xff\xc3", -1, 20), two); /* two bytes that are none */
    assert_int_equal(omma_font_width("\xe2\x82", -1, 20), two); /* cut short */
    assert_int_equal(omma_font_width("\xc0\x80", -1, 20), two); /* overlong */
    assert_int_equal(omma_font_width("\xf0\x9f\x98\x80", 2, 20), two);
    assert_int_equal(omma_font_width("abcdef", 3, 20), omma_font_width("abc", -1, 20));
    assert_true(omma_font_width("abc", -1, 40) > omma_font_width("abc", -1, 20));
    assert_true(omma_font_width("abc", -1, -5) == omma_font_width("abc", -1, OMMA_FONT_MIN));
    assert_int_equal(omma_font_fit("abcdef", 20, omma_font_width("abc", -1, 20)), 3);
    assert_int_equal(omma_font_fit("abc", 20, 1000), 3);
    assert_int_equal(omma_font_fit("a\xc3\xa9z", 20, omma_font_width("a", -1, 20) + 2), 1);
    assert_int_equal(omma_font_fit("abc", 20, 0), 0);
}

/* --- labels --------------------------------------------------------------------- */

/* The pixels that are not black: first and last column and row. */
static void extent(const omma_image *img, int e[4]) {
    e[0] = img->width, e[1] = img->height, e[2] = e[3] = -1;
    for (int y = 0; y < img->height; y++)
        for (int x = 0; x < img->width; x++) {
            const unsigned char *p = img->rgb + 3 * (y * img->width + x);
            if (!(p[0] | p[1] | p[2])) continue;
            e[0] = x < e[0] ? x : e[0], e[2] = x > e[2] ? x : e[2];
            e[1] = y < e[1] ? y : e[1], e[3] = y > e[3] ? y : e[3];
        }
}

static void expect_label(float x, float y, int left, int top) {
    const omma_color color = {10, 60, 200, 255};
    omma_image img = black(300, 200);
    omma_draw_label(&img, x, y, "dog 0.93", color, 18);
    int e[4], w = omma_draw_label_width("dog 0.93", 18), h = omma_draw_label_height(18);
    extent(&img, e);
    assert_int_equal(e[0], left);
    assert_int_equal(e[1], top);
    assert_int_equal(e[2], left + w - 1);
    assert_int_equal(e[3], top + h - 1);
    int bright = 0, clear = 0;
    for (int i = 0; i < 300 * 200; i++) {
        if (img.rgb[3 * i] > 230) bright++;
        if (img.rgb[3 * i] == 10 && img.rgb[3 * i + 2] == 200) clear++;
    }
    assert_true(bright > 60);       /* white text */
    assert_true(clear > w * h / 2); /* on the colour */
    for (int k = 0; k < w; k++) {   /* with a margin all round */
        assert_int_equal(red_at(&img, left + k, top), 10);
        assert_int_equal(red_at(&img, left + k, top + h - 1), 10);
    }
    omma_image_free(&img);
}

static void labels_stay_inside(void **state) {
    (void)state;
    int w = omma_draw_label_width("dog 0.93", 18), h = omma_draw_label_height(18);
    expect_label(50, 100, 50, 100 - h);
    expect_label(50.7f, 100.2f, 50, 100 - h);
    expect_label(50, 5, 50, 5);               /* no room above */
    expect_label(290, 100, 300 - w, 100 - h); /* nor to the right */
    expect_label(-40, -40, 0, 0);
    expect_label(1e9f, 1e9f, 300 - w, 200 - h);
}

static void long_labels_end_in_dots(void **state) {
    (void)state;
    char text[2000];
    memset(text, 'm', sizeof text - 1);
    text[sizeof text - 1] = 0;
    omma_image img = black(200, 60);
    omma_draw_label(&img, 0, 40, text, (omma_color){255, 255, 0, 255}, 16);
    int e[4];
    extent(&img, e);
    assert_true(e[2] < 200 && e[2] > 160);
    omma_image_free(&img);
    for (int size = 1; size < 40; size += 3) { /* smaller than any label */
        img = black(size, size);
        omma_draw_label(&img, 0, 0, text, red, 16);
        omma_draw_label(&img, 0, 0, "", red, 400);
        omma_draw_label(&img, 0, 0, "a", red, -1);
        omma_draw_label(&img, 0, 0, "a", red, INT32_MAX);
        omma_image_free(&img);
    }
}

/* --- colours -------------------------------------------------------------------- */

static void colours_are_distinct(void **state) {
    (void)state;
    for (int i = 0; i < 20; i++)
        for (int j = 0; j < i; j++) {
            omma_color a = omma_color_of_class(i), b = omma_color_of_class(j);
            int d = abs(a.r - b.r) + abs(a.g - b.g) + abs(a.b - b.b);
            if (d < 40) fail_msg("classes %d and %d differ by %d", i, j, d);
        }
    const int any[] = {-1, INT32_MIN, INT32_MAX, 99999, 100000};
    for (size_t i = 0; i < sizeof any / sizeof *any; i++)
        assert_int_equal(omma_color_of_class(any[i]).a, 255);
    assert_int_equal(omma_color_text_on((omma_color){255, 255, 0, 255}).r, 0);
    assert_int_equal(omma_color_text_on((omma_color){0, 0, 160, 255}).r, 255);
}

static void scale_follows_the_picture(void **state) {
    (void)state;
    omma_image img = {640, 480, NULL};
    assert_true(fabsf(omma_draw_scale(&img) - 1) < 1e-6f);
    img = (omma_image){2560, 1920, NULL};
    assert_true(fabsf(omma_draw_scale(&img) - 4) < 1e-6f);
    img = (omma_image){1, 1, NULL};
    assert_true(omma_draw_scale(&img) > 0.5f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_by_area),
        cmocka_unit_test(frames_boxes),
        cmocka_unit_test(draws_lines),
        cmocka_unit_test(outlines_polygons),
        cmocka_unit_test(survives_any_coordinates),
        cmocka_unit_test(every_letter_has_its_own_shape),
        cmocka_unit_test(heights_meet_pixels),
        cmocka_unit_test(measures_utf8),
        cmocka_unit_test(labels_stay_inside),
        cmocka_unit_test(long_labels_end_in_dots),
        cmocka_unit_test(colours_are_distinct),
        cmocka_unit_test(scale_follows_the_picture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

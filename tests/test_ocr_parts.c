/* test_ocr_parts.c - the geometry and decoding around the text networks, without a model:
 * regions, hulls and rectangles against brute force, unclip numbers, cuts of known
 * pictures, CTC vectors, dictionaries, reading order. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "task/contour.h"
#include "task/ctc.h"
#include "task/dbnet.h"
#include "task/page.h"
#include "task/ribbon.h"
#include "task/strip.h"
#include "task/warp.h"

static const double PI = 3.14159265358979323846;

static uint32_t seed = 12345;
static uint32_t rnd(uint32_t n) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

#define assert_near(a, b, eps)                                         \
    do {                                                               \
        double near_a = (double)(a), near_b = (double)(b);             \
        if (!(fabs(near_a - near_b) <= (eps)))                         \
            fail_msg("%s is %.9g, expected %.9g", #a, near_a, near_b); \
    } while (0)

/* --- regions ------------------------------------------------------------------- */

/* Fill the region of pixel (x, y) with value v, the slow way; returns its area. */
static int64_t flood(int *label, const unsigned char *mask, int w, int h, int x, int y, int v) {
    if (x < 0 || y < 0 || x >= w || y >= h || !mask[y * w + x] || label[y * w + x]) return 0;
    label[y * w + x] = v;
    int64_t area = 1;
    for (int dy = -1; dy <= 1; dy++)
        for (int dx = -1; dx <= 1; dx++) area += flood(label, mask, w, h, x + dx, y + dy, v);
    return area;
}

static void compare_with_flood(const unsigned char *mask, int w, int h) {
    int label[40 * 40] = {0};
    omma_regions r;
    assert_int_equal(omma_regions_find(&r, mask, w, h, NULL), OMMA_OK);
    int count = 0;
    for (int y = 0; y < h; y++) {
        for (int x = 0; x < w; x++) {
            int64_t area = flood(label, mask, w, h, x, y, count + 1);
            if (!area) continue;
            assert_true(count < r.count);
            assert_int_equal(r.items[count].area, area);
            assert_int_equal(r.items[count].y0, y);
            const omma_region *g = &r.items[count++];
            for (int i = 0; i < g->run_count; i++) /* its runs are its pixels */
                for (int at = g->runs[i].x0; at <= g->runs[i].x1; at++, area--)
                    assert_int_equal(label[g->runs[i].y * w + at], count);
            assert_int_equal(area, 0);
        }
    }
    assert_int_equal(r.count, count);
    omma_regions_free(&r);
}

static void regions_random(void **state) {
    (void)state;
    unsigned char mask[40 * 40];
    for (int round = 0; round < 2000; round++) {
        int w = 1 + (int)rnd(40), h = 1 + (int)rnd(40);
        uint32_t density = 1 + rnd(9);
        for (int i = 0; i < w * h; i++) mask[i] = rnd(10) < density;
        compare_with_flood(mask, w, h);
    }
}

static void regions_shapes(void **state) {
    (void)state;
    static const char art[] = "..........#"
                              ".####....#."
                              ".#..#...#.."
                              ".#..#..#..."
                              ".####.#...#";
    unsigned char mask[55];
    for (int i = 0; i < 55; i++) mask[i] = art[i] == '#';
    omma_regions r;
    assert_int_equal(omma_regions_find(&r, mask, 11, 5, NULL), OMMA_OK);
    assert_int_equal(r.count, 3);
    assert_int_equal(r.items[0].area, 5); /* the diagonal: corners connect */
    assert_int_equal(r.items[0].hull_count, 2);
    assert_int_equal(r.items[1].area, 12); /* the ring: its hole gives nothing */
    assert_int_equal(r.items[1].hull_count, 4);
    assert_int_equal(r.items[1].x0, 1);
    assert_int_equal(r.items[1].x1, 4);
    assert_int_equal(r.items[1].y1, 4);
    assert_int_equal(r.items[2].hull_count, 1);
    omma_regions_free(&r);

    memset(mask, 0, sizeof mask);
    assert_int_equal(omma_regions_find(&r, mask, 11, 5, NULL), OMMA_OK);
    assert_int_equal(r.count, 0);
    omma_regions_free(&r);
    assert_int_equal(omma_regions_find(&r, mask, 0, 5, NULL), OMMA_E_RANGE);
    assert_int_equal(omma_regions_find(&r, mask, 1 << 20, 1 << 20, NULL), OMMA_E_RANGE);
}

static void regions_without_memory(void **state) {
    (void)state;
    unsigned char mask[9] = {1, 0, 1, 0, 0, 0, 1, 1, 1};
    omma_error err;
    for (uint64_t k = 1; k <= 6; k++) {
        omma_regions r;
        omma_mem_fail_at(k);
        assert_int_equal(omma_regions_find(&r, mask, 3, 3, &err), OMMA_E_NOMEM);
        assert_null(r.items);
        assert_int_equal(r.count, 0);
    }
    omma_mem_fail_at(0);
}

/* --- hulls and rectangles -------------------------------------------------------- */

static double cross(omma_point o, omma_point a, omma_point b) {
    return (double)(a.x - o.x) * (double)(b.y - o.y) - (double)(a.y - o.y) * (double)(b.x - o.x);
}

/* Every corner turns strictly right, and every point is inside or on the hull. */
static void check_hull(const omma_point *hull, int k, const omma_point *all, int n) {
    for (int i = 0; k > 2 && i < k; i++) {
        omma_point a = hull[i], b = hull[(i + 1) % k];
        assert_true(cross(a, b, hull[(i + 2) % k]) > 0);
        for (int j = 0; j < n; j++) assert_true(cross(a, b, all[j]) >= 0);
    }
    for (int i = 1; i < k; i++) assert_true(hull[i].y >= hull[0].y);
}

static void hull_random(void **state) {
    (void)state;
    for (int round = 0; round < 5000; round++) {
        omma_point p[30], all[30];
        int n = 1 + (int)rnd(30);
        uint32_t side = 1 + rnd(12);
        for (int i = 0; i < n; i++) p[i] = (omma_point){(float)rnd(side), (float)rnd(side)};
        memcpy(all, p, sizeof all);
        int k = omma_hull(p, n);
        assert_true(k >= 1 && k <= n);
        check_hull(p, k, all, n);
        for (int j = 0; k == 2 && j < n; j++) assert_near(cross(p[0], p[1], all[j]), 0, 0);
        for (int j = 0; k == 1 && j < n; j++) assert_near(all[j].x, p[0].x, 0);
    }
}

static void rect_upright(void **state) {
    (void)state;
    omma_point p[] = {{3, 5}, {12, 5}, {12, 9}, {3, 9}, {7, 6}};
    int n = omma_hull(p, 5);
    assert_int_equal(n, 4);
    omma_turned_rect r = omma_min_rect(p, n);
    assert_near(r.w * r.h, 36, 1e-4);
    assert_near(r.cx, 7.5, 1e-5);
    assert_near(r.cy, 7, 1e-5);
    omma_quad q = omma_rect_corners(&r);
    static const float want[4][2] = {{3, 5}, {12, 5}, {12, 9}, {3, 9}};
    for (int i = 0; i < 4; i++) {
        assert_near(q.at[i].x, want[i][0], 1e-5);
        assert_near(q.at[i].y, want[i][1], 1e-5);
    }
}

static void rect_degenerate(void **state) {
    (void)state;
    omma_point one[] = {{4, 4}, {4, 4}}, two[] = {{0, 0}, {3, 4}, {6, 8}};
    assert_int_equal(omma_hull(one, 2), 1);
    omma_turned_rect r = omma_min_rect(one, 1);
    assert_near(r.w, 0, 0);
    assert_near(r.h, 0, 0);
    assert_int_equal(omma_hull(two, 3), 2);
    r = omma_min_rect(two, 2);
    assert_near(fmaxf(r.w, r.h), 10, 1e-5);
    assert_near(fminf(r.w, r.h), 0, 1e-5);
    assert_int_equal(omma_hull(two, 0), 0);
}

/* A 40 x 10 rectangle at any angle comes back, corners in order. */
static void rect_turned(void **state) {
    (void)state;
    for (int degrees = -60; degrees <= 60; degrees += 3) {
        double a = degrees * PI / 180;
        float c = (float)cos(a), s = (float)sin(a);
        omma_turned_rect in = {100, 80, c, s, 40, 10};
        omma_quad q = omma_rect_corners(&in);
        assert_near(q.at[0].x, 100 - 20 * c + 5 * s, 1e-3);
        assert_near(q.at[0].y, 80 - 20 * s - 5 * c, 1e-3);
        omma_point p[4];
        memcpy(p, q.at, sizeof p);
        int n = omma_hull(p, 4);
        omma_turned_rect r = omma_min_rect(p, n);
        assert_near(r.cx, 100, 1e-3);
        assert_near(r.cy, 80, 1e-3);
        assert_near(fmaxf(r.w, r.h), 40, 1e-3);
        assert_near(fminf(r.w, r.h), 10, 1e-3);
        omma_quad back = omma_rect_corners(&r);
        for (int i = 0; i < 4; i++) {
            assert_near(back.at[i].x, q.at[i].x, 1e-3);
            assert_near(back.at[i].y, q.at[i].y, 1e-3);
        }
    }
}

/* No rectangle at any of 1800 angles is smaller, and none of the points lies outside. */
static void rect_is_least(void **state) {
    (void)state;
    for (int round = 0; round < 60; round++) {
        omma_point p[20];
        for (int i = 0; i < 20; i++) p[i] = (omma_point){(float)rnd(50), (float)rnd(30)};
        int n = omma_hull(p, 20);
        omma_turned_rect r = omma_min_rect(p, n);
        for (int i = 0; i < n; i++) {
            float dx = p[i].x - r.cx, dy = p[i].y - r.cy;
            assert_true(fabsf(dx * r.ux + dy * r.uy) <= r.w / 2 + 1e-3f);
            assert_true(fabsf(dy * r.ux - dx * r.uy) <= r.h / 2 + 1e-3f);
        }
        for (int k = 0; k < 1800; k++) {
            double c = cos(k * PI / 3600), s = sin(k * PI / 3600);
            double lo[2] = {1e9, 1e9}, hi[2] = {-1e9, -1e9};
            for (int i = 0; i < n; i++) {
                double at[2] = {(double)p[i].x * c + (double)p[i].y * s,
                                (double)p[i].y * c - (double)p[i].x * s};
                for (int d = 0; d < 2; d++) {
                    lo[d] = fmin(lo[d], at[d]);
                    hi[d] = fmax(hi[d], at[d]);
                }
            }
            assert_true((double)r.w * (double)r.h <= (hi[0] - lo[0]) * (hi[1] - lo[1]) + 1e-2);
        }
    }
}

/* --- differentiable binarisation -------------------------------------------------- */

static void unclip_numbers(void **state) {
    (void)state;
    omma_turned_rect r = {50, 50, 1, 0, 90, 10};
    omma_turned_rect g = omma_dbnet_unclip(r, 1.5f); /* D = 900 * 1.5 / 200 = 6.75 */
    assert_near(g.w, 103.5, 1e-4);
    assert_near(g.h, 23.5, 1e-4);
    assert_near(g.cx, 50, 0);
    r.w = r.h = 0;
    g = omma_dbnet_unclip(r, 1.5f);
    assert_near(g.w, 0, 0);
}

/* Paint a turned rectangle into a map. */
static void paint(float *map, int w, int h, omma_turned_rect r, float v) {
    for (int y = 0; y < h; y++) {
        for (int x = 0; x < w; x++) {
            float dx = (float)x - r.cx, dy = (float)y - r.cy;
            if (fabsf(dx * r.ux + dy * r.uy) <= r.w / 2 && fabsf(dy * r.ux - dx * r.uy) <= r.h / 2)
                map[y * w + x] = v;
        }
    }
}

static void boxes_of_map(void **state) {
    (void)state;
    enum { W = 200, H = 100 };
    static float map[W * H];
    paint(map, W, H, (omma_turned_rect){60, 20, 1, 0, 80, 8}, 0.9f);
    paint(map, W, H, (omma_turned_rect){60, 40, 1, 0, 80, 8}, 0.4f); /* too weak */
    paint(map, W, H, (omma_turned_rect){60, 80, 1, 0, 80, 1}, 0.9f); /* too thin */
    float c = (float)cos(20 * PI / 180), s = (float)sin(20 * PI / 180);
    paint(map, W, H, (omma_turned_rect){140, 70, c, s, 80, 10}, 0.8f);
    map[99 * W + 199] = NAN;
    omma_text_boxes b;
    assert_int_equal(omma_dbnet_boxes(&b, map, W, H, 2 * W, 3 * H, NULL, NULL), OMMA_OK);
    assert_int_equal(b.count, 2);
    assert_false(b.items[0].bends || b.items[1].bends);
    /* Centres 20..100 x 16..24: 80 x 8, D = 640 * 1.8 / 176 = 6.5455. */
    const omma_quad *q = &b.items[0].quad;
    assert_near(b.items[0].score, 0.9, 1e-5);
    assert_near(q->at[0].x, 2 * (20.5 - 6.545455), 1e-3);
    assert_near(q->at[0].y, 3 * (16.5 - 6.545455), 1e-3);
    assert_near(q->at[2].x, 2 * (100.5 + 6.545455), 1e-3);
    assert_near(q->at[2].y, 3 * (24.5 + 6.545455), 1e-3);
    omma_text_boxes_free(&b);

    assert_int_equal(omma_dbnet_boxes(&b, map, W, H, W, H, NULL, NULL), OMMA_OK);
    q = &b.items[1].quad;
    double length = hypot((double)(q->at[1].x - q->at[0].x), (double)(q->at[1].y - q->at[0].y));
    double angle = atan2((double)(q->at[1].y - q->at[0].y), (double)(q->at[1].x - q->at[0].x));
    assert_near(angle * 180 / PI, 20, 1.0);
    assert_near(length, 80 + 2 * 800 * 1.8 / 180, 2.5);
    assert_near((q->at[0].x + q->at[2].x) / 2, 140.5, 0.6);
    omma_text_boxes_free(&b);
    assert_int_equal(omma_dbnet_boxes(&b, map, W, 0, W, H, NULL, NULL), OMMA_E_RANGE);
}

static void boxes_limits(void **state) {
    (void)state;
    enum { W = 64, H = 64 };
    static float map[W * H];
    for (int i = 0; i < 4; i++)
        paint(map, W, H, (omma_turned_rect){32, (float)(8 + 16 * i), 1, 0, 63, 8}, 1.0f);
    omma_dbnet_options opt = omma_dbnet_defaults();
    opt.max_boxes = 3;
    omma_text_boxes b;
    assert_int_equal(omma_dbnet_boxes(&b, map, W, H, W, H, &opt, NULL), OMMA_OK);
    assert_int_equal(b.count, 3);
    for (int i = 0; i < b.count; i++) {
        for (int k = 0; k < 4; k++) { /* clipped to the picture */
            assert_true(b.items[i].quad.at[k].x >= 0 && b.items[i].quad.at[k].x <= W);
            assert_true(b.items[i].quad.at[k].y >= 0 && b.items[i].quad.at[k].y <= H);
        }
    }
    omma_text_boxes_free(&b);
}

/* --- ribbons ----------------------------------------------------------------------- */

/* Where the middle of the bent line lies, and how thick it is there. */
static double bow(double x) { return 40 + 25 * (x - 150) * (x - 150) / 22500; }
static double thick(double x) { return 12 + x / 50; }

static void make_bow(unsigned char *mask, int w, int h) {
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            mask[y * w + x] = x >= 10 && x <= 290 && fabs(y - bow(x)) <= thick(x) / 2;
}

static void ribbon_follows(void **state) {
    (void)state;
    enum { W = 300, H = 90, N = OMMA_RIBBON_PARTS };
    static unsigned char mask[W * H];
    make_bow(mask, W, H);
    omma_regions g;
    assert_int_equal(omma_regions_find(&g, mask, W, H, NULL), OMMA_OK);
    assert_int_equal(g.count, 1);
    omma_turned_rect r = omma_min_rect(g.items[0].hull, g.items[0].hull_count);
    omma_ribbon b;
    assert_true(omma_ribbon_fit(&b, &g.items[0], &r, 0));
    if (b.top[0].x > b.top[N].x) omma_ribbon_reverse(&b);
    for (int k = 0; k <= N; k++) {
        double x = (double)(b.top[k].x + b.bottom[k].x) / 2;
        assert_near(x, 10 + 280.0 * k / N, 4);
        assert_near((b.top[k].y + b.bottom[k].y) / 2, bow(x), 1.2);
        assert_near(b.bottom[k].y - b.top[k].y, thick(x), 2.5);
    }
    omma_ribbon turned = b;
    omma_ribbon_reverse(&turned);
    assert_near(turned.top[0].x, b.bottom[N].x, 0);
    assert_near(turned.bottom[N].y, b.top[0].y, 0);
    omma_regions_free(&g);
}

/* Along a ribbon, the bow comes out straight: white in the middle, black at the edges. */
static void ribbon_straightens(void **state) {
    (void)state;
    enum { W = 300, H = 90 };
    static unsigned char mask[W * H], rgb[W * H * 3];
    make_bow(mask, W, H);
    for (int i = 0; i < W * H * 3; i++) rgb[i] = mask[i / 3] ? 255 : 0;
    static float map[W * H];
    for (int i = 0; i < W * H; i++) map[i] = mask[i];
    omma_text_boxes boxes;
    assert_int_equal(omma_dbnet_boxes(&boxes, map, W, H, W, H, NULL, NULL), OMMA_OK);
    assert_int_equal(boxes.count, 1);
    assert_true(boxes.items[0].bends);
    omma_ribbon b = boxes.items[0].ribbon;
    if (b.top[0].x > b.top[OMMA_RIBBON_PARTS].x) omma_ribbon_reverse(&b);
    omma_strip s;
    assert_int_equal(omma_strip_cut_ribbon(&s, rgb, W, H, &b, NULL), OMMA_OK);
    assert_true(s.width > 250 && s.width < 1000);
    for (int x = s.width / 8; x < s.width * 7 / 8; x++) {
        assert_int_equal(s.rgb[3 * (24 * s.width + x)], 255);
        assert_int_equal(s.rgb[3 * (3 * s.width + x)], 0);
        assert_int_equal(s.rgb[3 * (44 * s.width + x)], 0);
    }
    omma_strip_free(&s);
    omma_text_boxes_free(&boxes);
}

/* --- cuts -------------------------------------------------------------------------- */

/* A picture whose red is the column's centre and whose green is the row's: Keys' cubic
 * gives back such slopes exactly, so a cut shows where each of its pixels came from. */
static void slopes(unsigned char *rgb, int w, int h) {
    for (int y = 0; y < h; y++) {
        for (int x = 0; x < w; x++) {
            unsigned char *c = rgb + 3 * (y * w + x);
            c[0] = (unsigned char)(2 * x);
            c[1] = (unsigned char)(2 * y);
            c[2] = 7;
        }
    }
}

static void warp_identity(void **state) {
    (void)state;
    unsigned char src[100 * 60 * 3], dst[100 * 60 * 3];
    for (size_t i = 0; i < sizeof src; i++) src[i] = (unsigned char)rnd(256);
    omma_quad q = {{{0, 0}, {100, 0}, {100, 60}, {0, 60}}};
    assert_int_equal(omma_warp_quad(dst, 100, 60, src, 100, 60, &q, NULL), OMMA_OK);
    assert_memory_equal(src, dst, sizeof src);
    omma_quad part = {{{10, 20}, {30, 20}, {30, 30}, {10, 30}}};
    assert_int_equal(omma_warp_quad(dst, 20, 10, src, 100, 60, &part, NULL), OMMA_OK);
    for (int y = 0; y < 10; y++)
        assert_memory_equal(dst + 60 * y, src + 3 * ((20 + y) * 100 + 10), 60);
}

static void warp_quarters(void **state) {
    (void)state;
    unsigned char src[5 * 3 * 3], dst[5 * 3 * 3], back[5 * 3 * 3];
    for (size_t i = 0; i < sizeof src; i++) src[i] = (unsigned char)rnd(256);
    omma_quad q = {{{0, 0}, {5, 0}, {5, 3}, {0, 3}}}, t = omma_quad_turn(&q, 1);
    assert_int_equal(omma_warp_quad(dst, 3, 5, src, 5, 3, &t, NULL), OMMA_OK);
    for (int y = 0; y < 5; y++) /* counter-clockwise: the right column becomes the top row */
        for (int x = 0; x < 3; x++)
            assert_memory_equal(dst + 3 * (y * 3 + x), src + 3 * (x * 5 + 4 - y), 3);
    t = omma_quad_turn(&q, -2);
    assert_int_equal(omma_warp_quad(dst, 5, 3, src, 5, 3, &t, NULL), OMMA_OK);
    memcpy(back, src, sizeof src);
    omma_turn_half(back, 5, 3);
    assert_memory_equal(dst, back, sizeof src);
    int w, h;
    t = omma_quad_turn(&q, 3);
    omma_quad_size(&t, &w, &h);
    assert_int_equal(w, 3);
    assert_int_equal(h, 5);
}

static void warp_perspective(void **state) {
    (void)state;
    enum { W = 120, H = 100, N = 16 };
    static unsigned char src[W * H * 3];
    unsigned char dst[N * N * 3];
    slopes(src, W, H);
    omma_quad q = {{{20, 15}, {100, 30}, {90, 85}, {35, 70}}};
    assert_int_equal(omma_warp_quad(dst, N, N, src, W, H, &q, NULL), OMMA_OK);
    /* A projective map keeps lines: the diagonals of the cut lie on those of the
     * quadrilateral, and its middle is where they cross. */
    for (int i = 0; i < N; i++) {
        const unsigned char *c = dst + 3 * (i * N + i), *d = dst + 3 * (i * N + N - 1 - i);
        double x = c[0] / 2.0 + 0.5, y = c[1] / 2.0 + 0.5;
        assert_near((x - 20) * (85 - 15) - (y - 15) * (90 - 20), 0, 60); /* 0.6 px */
        x = d[0] / 2.0 + 0.5;
        y = d[1] / 2.0 + 0.5;
        assert_near((x - 100) * (70 - 30) - (y - 30) * (35 - 100), 0, 50);
        assert_int_equal(c[2], 7);
    }
    omma_quad middle = {{{20, 15}, {100, 30}, {90, 85}, {35, 70}}};
    unsigned char one[3];
    assert_int_equal(omma_warp_quad(one, 1, 1, src, W, H, &middle, NULL), OMMA_OK);
    /* (20,15) + t (70,70) meets (100,30) + s (-65,40) at t = 0.58503, s = 0.60075. */
    double t = (80.0 * 40 + 15 * 65.0) / (70.0 * 40 + 70 * 65.0);
    assert_near(one[0] / 2.0 + 0.5, 20 + 70 * t, 0.3);
    assert_near(one[1] / 2.0 + 0.5, 15 + 70 * t, 0.3);
}

static void warp_refuses(void **state) {
    (void)state;
    unsigned char src[3] = {1, 2, 3}, dst[3] = {9, 9, 9};
    omma_quad ccw = {{{0, 0}, {0, 1}, {1, 1}, {1, 0}}}, flat = {{{0, 0}, {1, 0}, {2, 0}, {3, 0}}},
              bow = {{{0, 0}, {1, 1}, {1, 0}, {0, 1}}}, nan = {{{0, 0}, {1, 0}, {NAN, 1}, {0, 1}}};
    omma_error err;
    assert_int_equal(omma_warp_quad(dst, 1, 1, src, 1, 1, &ccw, &err), OMMA_E_RANGE);
    assert_int_equal(omma_warp_quad(dst, 1, 1, src, 1, 1, &flat, &err), OMMA_E_RANGE);
    assert_int_equal(omma_warp_quad(dst, 1, 1, src, 1, 1, &bow, &err), OMMA_E_RANGE);
    assert_int_equal(omma_warp_quad(dst, 1, 1, src, 1, 1, &nan, &err), OMMA_E_RANGE);
    assert_int_equal(dst[0], 9);
    omma_quad far = {{{-1e6f, -1e6f}, {1e6f, -1e6f}, {1e6f, 1e6f}, {-1e6f, 1e6f}}};
    assert_int_equal(omma_warp_quad(dst, 1, 1, src, 1, 1, &far, &err), OMMA_OK);
    assert_memory_equal(dst, src, 3);
}

/* --- CTC ---------------------------------------------------------------------------- */

static omma_dict *dict_of(const char *text) {
    omma_dict *d;
    assert_int_equal(omma_dict_parse(&d, text, strlen(text), NULL), OMMA_OK);
    return d;
}

/* Decode steps given as class numbers, each with its probability. */
static char *decode(const omma_dict *d, const int *classes, const float *p, int steps, int count,
                    float *confidence) {
    float probs[16 * 8] = {0};
    for (int t = 0; t < steps; t++) probs[t * count + classes[t]] = p[t];
    char *text;
    assert_int_equal(omma_ctc_decode(&text, confidence, probs, steps, count, d, NULL), OMMA_OK);
    return text;
}

static void ctc_vectors(void **state) {
    (void)state;
    omma_dict *d = dict_of("a\nb\n\xe4\xb8\xad\n");
    assert_int_equal(omma_dict_count(d), 3);
    static const struct {
        int steps, classes[8];
        float p[8], confidence;
        const char *text;
    } cases[] = {
        {0, {0}, {0}, 0, ""},
        {3, {0, 0, 0}, {1, 1, 1}, 0, ""},
        {4, {1, 1, 0, 1}, {0.5f, 0.9f, 1, 0.7f}, 0.6f, "aa"}, /* the first of a run counts */
        {5, {1, 2, 2, 3, 0}, {1, 0.5f, 1, 0.6f, 1}, 0.7f, "ab\xe4\xb8\xad"},
        {3, {1, 4, 2}, {0.9f, 0.6f, 0.9f}, 0.8f, "a b"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float confidence;
        char *text = decode(d, cases[i].classes, cases[i].p, cases[i].steps, 5, &confidence);
        assert_string_equal(text, cases[i].text);
        assert_near(confidence, cases[i].confidence, 1e-6);
        omma_mem_free(text);
    }
    omma_dict_free(d);
}

/* Spaces the recogniser doubts: put back between Latin letters, not beside Chinese. */
static void ctc_spaces(void **state) {
    (void)state;
    omma_dict *d = dict_of("a\nb\n\xe4\xb8\xad\n");
    static const int classes[] = {0, 1, 0, 0, 2, 0, 3, 0, 1, 0, 4, 0, 2, 0};
    enum { N = sizeof classes / sizeof *classes };
    float probs[N * 5] = {0}, confidence;
    for (int t = 0; t < N; t++) {
        probs[t * 5 + classes[t]] = 0.8f;
        probs[t * 5 + 4] = classes[t] == 4 ? 0.8f : classes[t] ? 0.0f : 0.1f;
    }
    char *text;
    assert_int_equal(omma_ctc_decode(&text, &confidence, probs, N, 5, d, NULL), OMMA_OK);
    assert_string_equal(text, "a b\xe4\xb8\xad"
                              "a b");
    assert_near(confidence, 0.8, 1e-6);
    omma_mem_free(text);
    for (int t = 0; t < N; t++)
        if (!classes[t]) probs[t * 5 + 4] = 0.04f;
    assert_int_equal(omma_ctc_decode(&text, &confidence, probs, N, 5, d, NULL), OMMA_OK);
    assert_string_equal(text, "ab\xe4\xb8\xad"
                              "a b");
    omma_mem_free(text);
    omma_dict_free(d);
}

static void ctc_odd_numbers(void **state) {
    (void)state;
    omma_dict *d = dict_of("a\nb");
    float nan[6] = {NAN, NAN, NAN, NAN, 0.2f, 0.1f}, confidence;
    char *text;
    omma_error err;
    assert_int_equal(omma_ctc_decode(&text, &confidence, nan, 2, 3, d, NULL), OMMA_OK);
    assert_string_equal(text, "a");
    assert_near(confidence, 0.2, 1e-6);
    omma_mem_free(text);
    assert_int_equal(omma_ctc_decode(&text, &confidence, nan, 1, 5, d, &err), OMMA_E_SHAPE);
    assert_int_equal(omma_ctc_decode(&text, &confidence, nan, 1, 2, d, &err), OMMA_E_SHAPE);
    assert_null(text);
    assert_string_equal(omma_dict_at(d, 0), "");
    assert_string_equal(omma_dict_at(d, 2), "b");
    assert_string_equal(omma_dict_at(d, 3), " ");
    assert_null(omma_dict_at(d, 4));
    assert_null(omma_dict_at(d, -1));
    omma_dict_free(d);
}

static void dict_forms(void **state) {
    (void)state;
    omma_dict *d = dict_of("\xef\xbb\xbfx\r\n\xe3\x80\x80\r\nyz");
    assert_int_equal(omma_dict_count(d), 3);
    assert_string_equal(omma_dict_at(d, 1), "x");
    assert_string_equal(omma_dict_at(d, 2), "\xe3\x80\x80");
    assert_string_equal(omma_dict_at(d, 3), "yz");
    omma_dict_free(d);
}

static void dict_hostile(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        omma_status status;
        int64_t offset;
    } cases[] = {
        {"", 0, OMMA_E_FORMAT, 0},
        {"\xef\xbb\xbf", 3, OMMA_E_FORMAT, 0},
        {"a\n\nb", 4, OMMA_E_FORMAT, 2},
        {"a\nb\0c", 5, OMMA_E_FORMAT, 3},
        {"a\n\x1b", 3, OMMA_E_FORMAT, 2},
        {"a\n\xc0\x80", 4, OMMA_E_FORMAT, 2},        /* not the shortest form */
        {"a\n\xed\xa0\x80", 5, OMMA_E_FORMAT, 2},    /* a surrogate */
        {"a\n\xe4\xb8", 4, OMMA_E_FORMAT, 2},        /* cut off */
        {"ab\xf5\x80\x80\x80", 6, OMMA_E_FORMAT, 2}, /* beyond U+10FFFF */
        {"0123456789012345678901234567890123", 34, OMMA_E_FORMAT, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        omma_dict *d;
        omma_error err;
        assert_int_equal(omma_dict_parse(&d, cases[i].text, cases[i].n, &err), cases[i].status);
        assert_int_equal(err.offset, cases[i].offset);
        assert_null(d);
    }
    omma_dict *d;
    char *many = malloc(1 << 18);
    for (int i = 0; i < 1 << 18; i++) many[i] = i % 2 ? '\n' : 'a';
    assert_int_equal(omma_dict_parse(&d, many, 1 << 18, NULL), OMMA_E_RANGE);
    free(many);
    assert_int_equal(omma_dict_open(&d, OMMA_TREE "/no such dictionary", NULL), OMMA_E_IO);
}

/* --- pages --------------------------------------------------------------------------- */

/* A line from (x, y), w long and h high, on a page turned by some degrees around (0,0). */
static omma_quad line_at(double x, double y, double w, double h, double degrees) {
    double c = cos(degrees * PI / 180), s = sin(degrees * PI / 180);
    double at[4][2] = {{x, y}, {x + w, y}, {x + w, y + h}, {x, y + h}};
    omma_quad q;
    for (int i = 0; i < 4; i++)
        q.at[i] = (omma_point){(float)(at[i][0] * c - at[i][1] * s),
                               (float)(at[i][0] * s + at[i][1] * c)};
    return q;
}

/* Three rows: 0 | 1 2 | 3, rows 20 apart; line 2 sits a little lower than line 1. */
static void make_page(omma_quad q[4], double degrees) {
    q[0] = line_at(10, 10, 200, 14, degrees);
    q[1] = line_at(10, 30, 80, 14, degrees);
    q[2] = line_at(100, 34, 90, 14, degrees);
    q[3] = line_at(10, 50, 150, 14, degrees);
}

static void order_any_angle(void **state) {
    (void)state;
    static const int shuffle[4] = {2, 0, 3, 1}, want[4] = {1, 3, 0, 2};
    for (int degrees = 0; degrees < 360; degrees += 5) {
        omma_quad page[4], q[4];
        make_page(page, degrees);
        for (int i = 0; i < 4; i++) q[i] = page[shuffle[i]];
        omma_point d = omma_page_direction(q, 4);
        assert_near(d.x, cos(degrees * PI / 180), 1e-3);
        assert_near(d.y, sin(degrees * PI / 180), 1e-3);
        int order[4];
        assert_int_equal(omma_page_order(order, q, 4, d, NULL), OMMA_OK);
        for (int i = 0; i < 4; i++) assert_int_equal(order[i], want[i]);
    }
}

/* A row of words that climbs by more than its height is one row. */
static void order_climbing_row(void **state) {
    (void)state;
    enum { N = 12 };
    omma_quad q[2 * N];
    for (int i = 0; i < N; i++) {
        q[2 * N - 1 - i] = line_at(10 + 40 * i, 60 - 3 * i, 30, 14, 0);
        q[N - 1 - i] = line_at(10 + 40 * i, 82 - 3 * i, 30, 14, 0);
    }
    int order[2 * N];
    assert_int_equal(omma_page_order(order, q, 2 * N, (omma_point){1, 0}, NULL), OMMA_OK);
    for (int i = 0; i < 2 * N; i++) assert_int_equal(order[i], 2 * N - 1 - i);
    assert_int_equal(omma_page_order(order, q, 0, (omma_point){1, 0}, NULL), OMMA_OK);
}

/* Whatever corner a box begins with, it comes out the way its text runs, up to a half
 * turn that only the picture can tell; short words follow the page. */
static void upright_from_any_corner(void **state) {
    (void)state;
    for (int degrees = -80; degrees <= 80; degrees += 10) {
        omma_quad q[3] = {line_at(10, 10, 200, 14, degrees), line_at(10, 40, 150, 14, degrees),
                          line_at(170, 40, 15, 17, degrees)};
        for (int i = 0; i < 3; i++) q[i] = omma_quad_turn(&q[i], (int)rnd(4));
        double agreed;
        omma_point axis = omma_page_axis(&agreed, q, 3);
        assert_near(agreed, 1, 0.02);
        bool flipped = degrees < -45;
        double a = (degrees + (flipped ? 180 : 0)) * PI / 180;
        assert_near(axis.x, cos(a), 1e-3);
        assert_near(axis.y, sin(a), 1e-3);
        for (int i = 0; i < 3; i++) {
            omma_quad up = omma_page_upright(&q[i], axis);
            double len =
                hypot((double)(up.at[1].x - up.at[0].x), (double)(up.at[1].y - up.at[0].y));
            assert_near((up.at[1].x - up.at[0].x) / len, cos(a), 1e-3);
            assert_near((up.at[1].y - up.at[0].y) / len, sin(a), 1e-3);
        }
    }
    omma_quad square = line_at(0, 0, 10, 10, 0);
    omma_point axis = omma_page_axis(NULL, &square, 1);
    assert_near(axis.x, 1, 1e-6);
    axis = omma_page_axis(NULL, NULL, 0);
    assert_near(axis.x, 1, 1e-6);
    omma_quad side = line_at(0, 0, 200, 14, -90); /* on an upright page: read downwards */
    side = omma_page_upright(&side, axis);
    assert_true(side.at[1].y > side.at[0].y + 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(regions_random),
        cmocka_unit_test(regions_shapes),
        cmocka_unit_test(regions_without_memory),
        cmocka_unit_test(hull_random),
        cmocka_unit_test(rect_upright),
        cmocka_unit_test(rect_degenerate),
        cmocka_unit_test(rect_turned),
        cmocka_unit_test(rect_is_least),
        cmocka_unit_test(unclip_numbers),
        cmocka_unit_test(boxes_of_map),
        cmocka_unit_test(boxes_limits),
        cmocka_unit_test(ribbon_follows),
        cmocka_unit_test(ribbon_straightens),
        cmocka_unit_test(warp_identity),
        cmocka_unit_test(warp_quarters),
        cmocka_unit_test(warp_perspective),
        cmocka_unit_test(warp_refuses),
        cmocka_unit_test(ctc_vectors),
        cmocka_unit_test(ctc_odd_numbers),
        cmocka_unit_test(ctc_spaces),
        cmocka_unit_test(dict_forms),
        cmocka_unit_test(dict_hostile),
        cmocka_unit_test(order_any_angle),
        cmocka_unit_test(order_climbing_row),
        cmocka_unit_test(upright_from_any_corner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

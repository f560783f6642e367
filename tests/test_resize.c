/* test_resize.c - resizing equals Pillow's, byte for byte, on the cases recorded by
 * tests/golden/resize/make.py, and bad arguments are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "file/bytes.h"
#include "task/resize.h"

#define FOLDER OMMA_TREE "/tests/golden/resize/"

/* The bytes make.py's noise() gives. */
static void noise(unsigned char *p, size_t n, uint32_t x) {
    for (size_t i = 0; i < n; i++) {
        x = 1664525u * x + 1013904223u;
        p[i] = (unsigned char)(x >> 24);
    }
}

static uint32_t crc32_of(const unsigned char *p, size_t n) {
    uint32_t c = 0xffffffffu;
    for (size_t i = 0; i < n; i++) {
        c ^= p[i];
        for (int k = 0; k < 8; k++) c = c >> 1 ^ (c & 1 ? 0xedb88320u : 0);
    }
    return ~c;
}

typedef struct one_case {
    int sw, sh, dw, dh, channels, filter;
    uint32_t crc;
    int kept;
} one_case;

/* Resize the case's input, its rows pad bytes apart; the result is the caller's. */
static unsigned char *resized(const one_case *c, size_t pad) {
    size_t row = (size_t)c->sw * (size_t)c->channels, rows = (size_t)c->sh;
    size_t out = (size_t)c->dw * (size_t)c->dh * (size_t)c->channels;
    unsigned char *dense = malloc(row * rows), *src = calloc(rows, row + pad), *dst = malloc(out);
    assert_true(dense && src && dst);
    noise(dense, row * rows, (uint32_t)c->sw * 65536u + (uint32_t)c->sh);
    for (size_t y = 0; y < rows; y++) memcpy(src + y * (row + pad), dense + y * row, row);
    omma_error err;
    omma_status s = omma_resize_u8(dst, c->dw, c->dh, src, c->sw, c->sh, row + pad, c->channels,
                                   (omma_filter)c->filter, &err);
    assert_int_equal(s, OMMA_OK);
    free(dense);
    free(src);
    return dst;
}

static void check(const one_case *c, const unsigned char *want) {
    size_t n = (size_t)c->dw * (size_t)c->dh * (size_t)c->channels;
    for (size_t pad = 0; pad <= 5; pad += 5) {
        unsigned char *got = resized(c, pad);
        if (c->kept) assert_memory_equal(got, want, n);
        if (crc32_of(got, n) != c->crc)
            fail_msg("%dx%d to %dx%d, %d channels, filter %d", c->sw, c->sh, c->dw, c->dh,
                     c->channels, c->filter);
        free(got);
    }
}

static void equals_pillow(void **state) {
    (void)state;
    omma_error err;
    omma_bytes kept;
    assert_int_equal(omma_bytes_read(&kept, FOLDER "pixels.bin", 1 << 20, &err), OMMA_OK);
    FILE *f = fopen(FOLDER "cases.txt", "r");
    assert_non_null(f);
    one_case c;
    size_t used = 0;
    int cases = 0;
    while (fscanf(f, "%d %d %d %d %d %d %x %d", &c.sw, &c.sh, &c.dw, &c.dh, &c.channels, &c.filter,
                  &c.crc, &c.kept) == 8) {
        check(&c, kept.data + used);
        if (c.kept) used += (size_t)c.dw * (size_t)c.dh * (size_t)c.channels;
        cases++;
    }
    assert_int_equal(used, kept.size);
    assert_true(cases >= 100);
    fclose(f);
    omma_bytes_free(&kept);
}

static void refuses_bad_arguments(void **state) {
    (void)state;
    unsigned char src[12] = {0}, dst[12];
    memset(dst, 77, sizeof dst);
    omma_error err;
    const omma_filter f = OMMA_FILTER_BILINEAR;
    assert_int_equal(omma_resize_u8(dst, 0, 1, src, 2, 2, 6, 3, f, &err), OMMA_E_RANGE);
    assert_int_equal(omma_resize_u8(dst, 1, 65501, src, 2, 2, 6, 3, f, &err), OMMA_E_RANGE);
    assert_int_equal(omma_resize_u8(dst, 1, 1, src, 2, -2, 6, 3, f, &err), OMMA_E_RANGE);
    assert_int_equal(omma_resize_u8(dst, 1, 1, src, 2, 2, 5, 3, f, &err), OMMA_E_RANGE);
    assert_int_equal(omma_resize_u8(dst, 1, 1, src, 2, 2, 6, 2, f, &err), OMMA_E_RANGE);
    omma_filter none = (omma_filter)9;
    assert_int_equal(omma_resize_u8(dst, 1, 1, src, 2, 2, 6, 3, none, NULL), OMMA_E_USAGE);
    for (size_t i = 0; i < sizeof dst; i++) assert_int_equal(dst[i], 77);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_pillow),
        cmocka_unit_test(refuses_bad_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

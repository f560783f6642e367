/* test_image.c - pictures: every kind recorded by tests/golden/image/make.py is read as
 * Pillow reads it, byte for byte; damaged and hostile files are errors, never crashes;
 * what is written is read back. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "file/bytes.h"
#include "file/image.h"
#include "file/npy.h"

#define FOLDER OMMA_TREE "/tests/golden/image/"

static omma_bytes file_of(const char *name) {
    char path[512];
    snprintf(path, sizeof path, FOLDER "%s", name);
    omma_bytes b;
    omma_error err;
    if (omma_bytes_read(&b, path, 1 << 20, &err)) fail_msg("%s", err.message);
    return b;
}

/* Decode a copy that ends where the file does, so that a sanitizer sees reads past it. */
static omma_status decode(omma_image *out, const unsigned char *p, size_t n, omma_error *err) {
    unsigned char *exact = malloc(n ? n : 1);
    assert_non_null(exact);
    if (n) memcpy(exact, p, n);
    omma_status s = omma_image_decode(out, exact, n, "a picture", err);
    free(exact);
    if (s) {
        assert_null(out->rgb);
        assert_non_null(strstr(err->message, "a picture: "));
    }
    return s;
}

static void equals_recorded(const char *name) {
    char path[512];
    omma_error err;
    omma_image img;
    omma_tensor want;
    omma_arena a;
    omma_arena_init(&a, NULL);
    snprintf(path, sizeof path, FOLDER "%s.npy", name);
    if (omma_npy_read(&want, &a, path, &err)) fail_msg("%s", err.message);
    snprintf(path, sizeof path, FOLDER "%s", name);
    if (omma_image_load(&img, path, &err)) fail_msg("%s", err.message);
    if (img.height != want.dims[0] || img.width != want.dims[1])
        fail_msg("%s is %d x %d", name, img.width, img.height);
    if (memcmp(img.rgb, want.data, (size_t)omma_tensor_count(&want)))
        fail_msg("%s: other pixels", name);
    omma_image_free(&img);
    omma_arena_free(&a);
}

static void equals_pillow(void **state) {
    (void)state;
    DIR *d = opendir(FOLDER);
    assert_non_null(d);
    int pictures = 0;
    for (struct dirent *e; (e = readdir(d));) {
        if (!omma_image_is_picture_name(e->d_name) || !strcmp(e->d_name, "animated.webp")) continue;
        equals_recorded(e->d_name);
        pictures++;
    }
    closedir(d);
    assert_true(pictures >= 40);
}

static void refuses_other_files(void **state) {
    (void)state;
    omma_image img;
    omma_error err;
    static const struct {
        const char *bytes;
        size_t size;
        const char *says;
    } rows[] = {{"", 0, "is empty"},
                {"hello, world", 12, "68 65 6c 6c 6f"},
                {"GIF89a", 6, "47 49 46 38 39 61"},
                {"\xff\xd8", 2, "ff d8"},
                {"\xff\xd8\xff", 3, "JPEG"},
                {"\x89PNG\r\n\x1a\n", 8, "PNG"},
                {"RIFF\xff\xff\xff\xffWEBP", 12, "WebP"},
                {"RIFF\x04\0\0\0WEBP", 12, "WebP"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        omma_status s = decode(&img, (const unsigned char *)rows[i].bytes, rows[i].size, &err);
        assert_int_equal(s, OMMA_E_FORMAT);
        if (!strstr(err.message, rows[i].says)) fail_msg("%zu: %s", i, err.message);
    }
    assert_int_equal(omma_image_load(&img, FOLDER "no such.png", &err), OMMA_E_IO);
    assert_non_null(strstr(err.message, "no such.png"));
    assert_int_equal(omma_image_load(&img, FOLDER, &err), OMMA_E_IO);
    assert_int_equal(omma_image_load(&img, FOLDER "animated.webp", &err), OMMA_E_UNSUPPORTED);
}

/* --- claims of size ------------------------------------------------------------- */

static void put32(unsigned char *p, uint32_t v) {
    for (int i = 0; i < 4; i++) p[i] = (unsigned char)(v >> (24 - 8 * i));
}

static uint32_t crc32_of(const unsigned char *p, size_t n) {
    uint32_t c = 0xffffffffu;
    for (size_t i = 0; i < n; i++) {
        c ^= p[i];
        for (int k = 0; k < 8; k++) c = c >> 1 ^ (c & 1 ? 0xedb88320u : 0);
    }
    return ~c;
}

/* rgb8.png with another size in its header, its checksum made right. */
static omma_status png_of_size(uint32_t w, uint32_t h, omma_error *err) {
    omma_bytes b = file_of("rgb8.png");
    unsigned char *p = (unsigned char *)(uintptr_t)b.data;
    put32(p + 16, w);
    put32(p + 20, h);
    put32(p + 29, crc32_of(p + 12, 17));
    omma_image img;
    omma_status s = decode(&img, p, b.size, err);
    omma_image_free(&img);
    omma_bytes_free(&b);
    return s;
}

static void refuses_large_claims(void **state) {
    (void)state;
    omma_error err;
    uint64_t calls = omma_mem_calls();
    assert_int_equal(png_of_size(60000, 60000, &err), OMMA_E_RANGE);
    assert_int_equal(omma_mem_calls() - calls, 1); /* the test's own read */
    assert_non_null(strstr(err.message, "60000 x 60000"));
    assert_int_equal(png_of_size(65501, 1, &err), OMMA_E_RANGE);
    assert_int_equal(png_of_size(13000, 13000, &err), OMMA_E_FORMAT); /* allowed, but no data */
    assert_non_null(strstr(err.message, "13000 x 13000"));
    assert_int_equal(png_of_size(0x7fffffff, 0x7fffffff, &err), OMMA_E_RANGE);
    assert_int_equal(png_of_size(0, 5, &err), OMMA_E_FORMAT);
    assert_int_equal(png_of_size(0xffffffff, 0xffffffff, &err), OMMA_E_RANGE);
    assert_int_equal(png_of_size(23, 18, &err), OMMA_E_FORMAT); /* a row more than there is */
    assert_int_equal(png_of_size(23, 17, &err), OMMA_OK);

    omma_bytes b = file_of("lossy.webp");
    unsigned char *p = (unsigned char *)(uintptr_t)b.data;
    size_t at = 0;
    omma_image img;
    while (memcmp(p + at, "\x9d\x01\x2a", 3)) at++; /* VP8's start code, then its size */
    memcpy(p + at + 3, "\x00\x30\x00\x30", 4);
    assert_int_equal(decode(&img, p, b.size, &err), OMMA_E_FORMAT);
    assert_non_null(strstr(err.message, "12288 x 12288"));
    omma_bytes_free(&b);

    b = file_of("rgb420.jpg");
    p = (unsigned char *)(uintptr_t)b.data;
    at = 0;
    while (at + 9 < b.size && !(p[at] == 0xff && p[at + 1] == 0xc0)) at++;
    for (int side = 0; side < 2; side++) {
        memcpy(p + at + 5, side ? "\xff\xdc\xff\xdc" : "\x30\0\x30\0", 4); /* 65500, 12288 */
        assert_int_equal(decode(&img, p, b.size, &err), side ? OMMA_E_RANGE : OMMA_E_FORMAT);
        assert_non_null(strstr(err.message, side ? "65500 x 65500" : "12288 x 12288"));
    }
    omma_bytes_free(&b);
}

/* --- damage --------------------------------------------------------------------- */

/* Every cut of a file, in 32 steps and near its end, is an error. A PNG may lack the
 * checksum of its empty last chunk: the last 4 bytes. */
static void refuses_cut(const char *name) {
    omma_bytes b = file_of(name);
    size_t needed = b.size - (strstr(name, ".png") ? 4 : 0);
    for (size_t i = 0; i < 32 + 4; i++) {
        size_t n = i < 32 ? needed * i / 32 : needed - (i - 31);
        omma_image img;
        omma_error err;
        omma_status s = decode(&img, b.data, n, &err);
        if (s != OMMA_E_FORMAT) fail_msg("%s cut to %zu of %zu bytes: %d", name, n, b.size, s);
    }
    omma_bytes_free(&b);
}

static void refuses_truncated_files(void **state) {
    (void)state;
    static const char *const names[] = {
        "grey.jpg",         "rgb420.jpg", "rgb444.jpg",    "progressive.jpg", "cmyk.jpg",
        "turned6.jpg",      "rgb8.png",   "grey1.png",     "rgba16.png",      "rgb8_interlaced.png",
        "palette4_key.png", "lossy.webp", "lossless.webp", "alpha.webp",      "turned.webp"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) refuses_cut(names[i]);
}

/* Flip one bit at every step-th byte; returns how many of the files were refused. */
static int flips(const char *name, size_t step) {
    omma_bytes b = file_of(name);
    unsigned char *p = (unsigned char *)(uintptr_t)b.data;
    int refused = 0;
    for (size_t at = 0; at < b.size; at += step) {
        unsigned char old = p[at];
        p[at] ^= (unsigned char)(1u << at % 8);
        omma_image img;
        omma_error err;
        if (decode(&img, p, b.size, &err)) refused++;
        omma_image_free(&img);
        p[at] = old;
    }
    omma_bytes_free(&b);
    return refused;
}

static void survives_flipped_bits(void **state) {
    (void)state;
    DIR *d = opendir(FOLDER);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        if (!omma_image_is_picture_name(e->d_name)) continue;
        int refused = flips(e->d_name, 7);
        assert_true(refused > 0);
    }
    closedir(d);
    omma_bytes b = file_of("rgb16.png"); /* every byte of a PNG is under a checksum */
    assert_int_equal(flips("rgb16.png", 1), b.size);
    omma_bytes_free(&b);
}

/* An EXIF block of any bytes is read within its bounds. */
static void survives_odd_exif(void **state) {
    (void)state;
    omma_bytes b = file_of("turned6.jpg");
    unsigned char *p = (unsigned char *)(uintptr_t)b.data;
    size_t at = 0;
    while (memcmp(p + at, "Exif", 4)) at++;
    for (size_t i = 0; i < 8 * 38; i++) {
        p[at + 6 + i / 8] ^= (unsigned char)(1u << i % 8);
        omma_image img;
        omma_error err;
        assert_int_equal(decode(&img, p, b.size, &err), OMMA_OK);
        omma_image_free(&img);
        p[at + 6 + i / 8] ^= (unsigned char)(1u << i % 8);
    }
    omma_bytes_free(&b);
}

/* The SOS-to-end part of a progressive file, again and again. */
static void refuses_many_scans(void **state) {
    (void)state;
    omma_bytes b = file_of("progressive.jpg");
    size_t scan = 0, next;
    while (!(b.data[scan] == 0xff && b.data[scan + 1] == 0xda)) scan++;
    for (next = scan + 2; !(b.data[next] == 0xff && b.data[next + 1] >= 0xc0); next++) {
    }
    size_t length = next - scan, size = b.size + 200 * length;
    unsigned char *p = malloc(size);
    assert_non_null(p);
    memcpy(p, b.data, scan);
    for (size_t i = 0; i < 200; i++) memcpy(p + scan + i * length, b.data + scan, length);
    memcpy(p + scan + 200 * length, b.data + scan, b.size - scan);
    omma_image img;
    omma_error err;
    omma_status s = decode(&img, p, size, &err);
    assert_true(s == OMMA_E_RANGE || s == OMMA_E_FORMAT);
    free(p);
    omma_bytes_free(&b);
}

static void fails_cleanly_without_memory(void **state) {
    (void)state;
    static const char *const names[] = {"turned6.jpg", "cmyk.jpg", "rgba8.png", "alpha.webp"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        omma_bytes b = file_of(names[i]);
        omma_image img;
        omma_error err;
        omma_mem_fail_at(1);
        assert_int_equal(decode(&img, b.data, b.size, &err), OMMA_E_NOMEM);
        omma_mem_fail_at(0);
        omma_bytes_free(&b);
    }
    omma_bytes b = file_of("turned6.jpg");
    omma_image img;
    omma_error err;
    omma_mem_fail_at(2); /* the upright copy */
    assert_int_equal(decode(&img, b.data, b.size, &err), OMMA_E_NOMEM);
    omma_mem_fail_at(0);
    omma_bytes_free(&b);
}

/* --- writing -------------------------------------------------------------------- */

static omma_image pattern(int w, int h) {
    omma_image img;
    assert_int_equal(omma_image_new(&img, w, h, NULL), OMMA_OK);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            unsigned char *p = img.rgb + 3 * (y * w + x);
            p[0] = (unsigned char)(255 * x / w);
            p[1] = (unsigned char)(255 * y / h);
            p[2] = (unsigned char)((x / 8 + y / 8) % 2 * 200);
        }
    return img;
}

static void write_and_read(const char *ending, int tolerance) {
    char folder[] = "/tmp/omma-image-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/out%s", folder, ending);
    omma_image img = pattern(301, 207), back;
    omma_error err;
    if (omma_image_write(&img, path, &err)) fail_msg("%s", err.message);
    if (omma_image_load(&back, path, &err)) fail_msg("%s", err.message);
    assert_int_equal(back.width, img.width);
    assert_int_equal(back.height, img.height);
    long sum = 0;
    int n = 3 * img.width * img.height;
    for (int i = 0; i < n; i++) {
        int d = abs(img.rgb[i] - back.rgb[i]);
        assert_true(d <= tolerance);
        sum += d;
    }
    assert_true(sum <= 2L * n);
    omma_image_free(&img);
    omma_image_free(&back);
    unlink(path);
    rmdir(folder); /* fails if a part was left beside it */
    assert_int_not_equal(access(folder, F_OK), 0);
}

static void writes_what_it_reads(void **state) {
    (void)state;
    write_and_read(".png", 0);
    write_and_read(".jpg", 40);
    write_and_read(".JPEG", 40);
    omma_image img = pattern(4, 4);
    omma_error err;
    assert_int_equal(omma_image_write(&img, "x.gif", &err), OMMA_E_USAGE);
    assert_int_equal(omma_image_write(&img, ".png", &err), OMMA_E_USAGE);
    assert_int_equal(omma_image_write(&img, "/no/such/folder/x.png", &err), OMMA_E_IO);
    omma_image_free(&img);
}

static void knows_picture_names(void **state) {
    (void)state;
    assert_true(omma_image_is_picture_name("a.jpg"));
    assert_true(omma_image_is_picture_name("b/a.JPeG"));
    assert_true(omma_image_is_picture_name("a.b.png"));
    assert_true(omma_image_is_picture_name("a.webp"));
    assert_false(omma_image_is_picture_name("a.txt"));
    assert_false(omma_image_is_picture_name("jpg"));
    assert_false(omma_image_is_picture_name(""));
}

static void new_pictures_have_limits(void **state) {
    (void)state;
    omma_image img;
    assert_int_equal(omma_image_new(&img, 0, 5, NULL), OMMA_E_RANGE);
    assert_int_equal(omma_image_new(&img, 5, -1, NULL), OMMA_E_RANGE);
    assert_int_equal(omma_image_new(&img, 65501, 1, NULL), OMMA_E_RANGE);
    assert_int_equal(omma_image_new(&img, 13378, 13378, NULL), OMMA_E_RANGE);
    assert_int_equal(omma_image_new(&img, INT64_MAX, INT64_MAX, NULL), OMMA_E_RANGE);
    assert_null(img.rgb);
    assert_int_equal(omma_image_new(&img, 65500, 1, NULL), OMMA_OK);
    omma_image_free(&img);
    omma_image_free(&img);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_pillow),
        cmocka_unit_test(refuses_other_files),
        cmocka_unit_test(refuses_large_claims),
        cmocka_unit_test(refuses_truncated_files),
        cmocka_unit_test(survives_flipped_bits),
        cmocka_unit_test(survives_odd_exif),
        cmocka_unit_test(refuses_many_scans),
        cmocka_unit_test(fails_cleanly_without_memory),
        cmocka_unit_test(writes_what_it_reads),
        cmocka_unit_test(knows_picture_names),
        cmocka_unit_test(new_pictures_have_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_npy.c - .npy files: what numpy writes is read, what omma writes is numpy's to the
 * byte, and hostile headers are refused. */
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
#include "file/npy.h"

/* A file in memory: version, the dictionary padded as numpy does, then the data. */
typedef struct file {
    unsigned char p[4096];
    size_t size;
} file;

static file make(int major, const char *dictionary, const void *data, size_t size) {
    file f = {{0}, 0};
    size_t base = major > 1 ? 12 : 10;
    size_t head = (base + strlen(dictionary) + 1 + 63) / 64 * 64;
    memcpy(f.p, "\x93NUMPY", 6);
    f.p[6] = (unsigned char)major;
    f.p[8] = (unsigned char)((head - base) & 255);
    f.p[9] = (unsigned char)((head - base) >> 8);
    memset(f.p + base, ' ', head - base);
    memcpy(f.p + base, dictionary, strlen(dictionary));
    f.p[head - 1] = '\n';
    if (size) memcpy(f.p + head, data, size);
    f.size = head + size;
    return f;
}

static omma_status decode(omma_tensor *t, omma_arena *a, const file *f, omma_error *err) {
    void *exact = malloc(f->size); /* so that a sanitizer sees reads past the end */
    assert_non_null(exact);
    memcpy(exact, f->p, f->size);
    omma_status s = omma_npy_decode(t, a, exact, f->size, "a.npy", err);
    free(exact);
    return s;
}

static void reads_every_type(void **state) {
    (void)state;
    static const struct {
        const char *descr;
        omma_dtype dtype;
    } rows[] = {{"|b1", OMMA_BOOL}, {"|u1", OMMA_U8},  {"|i1", OMMA_I8},  {"<u2", OMMA_U16},
                {"<i2", OMMA_I16},  {"<u4", OMMA_U32}, {"<i4", OMMA_I32}, {"<u8", OMMA_U64},
                {"<i8", OMMA_I64},  {"<f2", OMMA_F16}, {"<f4", OMMA_F32}, {"<f8", OMMA_F64}};
    unsigned char data[48];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (unsigned char)(i & 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char d[128];
        size_t bytes = 6 * omma_dtype_size(rows[i].dtype);
        snprintf(d, sizeof d, "{'descr': '%s', 'fortran_order': False, 'shape': (2, 3), }",
                 rows[i].descr);
        for (int major = 1; major <= 3; major++) {
            file f = make(major, d, data, bytes);
            omma_arena a;
            omma_arena_init(&a, NULL);
            omma_tensor t;
            omma_error err;
            assert_int_equal(decode(&t, &a, &f, &err), OMMA_OK);
            assert_int_equal(t.dtype, rows[i].dtype);
            assert_int_equal(t.rank, 2);
            assert_int_equal(t.dims[0], 2);
            assert_int_equal(t.dims[1], 3);
            assert_memory_equal(t.data, data, bytes);
            omma_arena_free(&a);
        }
    }
}

static void reads_other_orders(void **state) {
    (void)state;
    omma_arena a;
    omma_arena_init(&a, NULL);
    omma_tensor t;
    omma_error err;
    const unsigned char big[] = {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6};
    file f = make(1, "{'shape': (2, 3), \"fortran_order\": True, 'descr': '>i2'}", big, 12);
    assert_int_equal(decode(&t, &a, &f, &err), OMMA_OK);
    const int16_t want[] = {1, 3, 5, 2, 4, 6};
    assert_memory_equal(t.data, want, sizeof want);

    unsigned char cube[24], turned[24];
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++)
            for (int k = 0; k < 4; k++) {
                turned[(i * 3 + j) * 4 + k] = (unsigned char)(100 * i + 10 * j + k);
                cube[i + 2 * (j + 3 * k)] = (unsigned char)(100 * i + 10 * j + k);
            }
    f = make(2, "{'descr': '|u1', 'fortran_order': True, 'shape': (2L, 3L, 4L)}", cube, 24);
    assert_int_equal(decode(&t, &a, &f, &err), OMMA_OK);
    assert_memory_equal(t.data, turned, 24);

    const unsigned char odd[] = {0, 1, 2, 255};
    f = make(1, "{'descr': '|b1', 'fortran_order': False, 'shape': (4,), }", odd, 4);
    assert_int_equal(decode(&t, &a, &f, &err), OMMA_OK);
    assert_memory_equal(t.data, "\0\1\1\1", 4);
    omma_arena_free(&a);
}

static void writes_as_numpy_does(void **state) {
    (void)state;
    static const struct {
        omma_dtype dtype;
        int rank;
        int64_t dims[OMMA_MAX_RANK];
        const char *want;
    } rows[] = {
        {OMMA_F32, 0, {0}, "{'descr': '<f4', 'fortran_order': False, 'shape': (), }"},
        {OMMA_F64, 1, {3}, "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }"},
        {OMMA_I64, 2, {0, 4}, "{'descr': '<i8', 'fortran_order': False, 'shape': (0, 4), }"},
        {OMMA_BOOL, 3, {1, 2, 3}, "{'descr': '|b1', 'fortran_order': False, 'shape': (1, 2, 3), }"},
    };
    const unsigned char data[24] = {1, 0, 1};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        void *cells = (void *)(uintptr_t)data;
        omma_tensor t = {.dtype = rows[i].dtype, .rank = rows[i].rank, .data = cells};
        memcpy(t.dims, rows[i].dims, sizeof t.dims);
        size_t bytes = (size_t)omma_tensor_count(&t) * omma_dtype_size(t.dtype), size;
        omma_arena a;
        omma_arena_init(&a, NULL);
        unsigned char *p;
        assert_int_equal(omma_npy_encode(&p, &size, &a, &t, NULL), OMMA_OK);
        assert_int_equal(size, 128 + bytes);
        assert_memory_equal(p, "\x93NUMPY\1\0\x76\0", 10);
        assert_memory_equal(p + 10, rows[i].want, strlen(rows[i].want));
        for (size_t k = 10 + strlen(rows[i].want); k < 127; k++) assert_int_equal(p[k], ' ');
        assert_int_equal(p[127], '\n');
        assert_memory_equal(p + 128, data, bytes);
        omma_arena_free(&a);
    }
}

static void survives_a_round_trip(void **state) {
    (void)state;
    char path[] = "/tmp/omma-npy-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    float v[8] = {0.f, -1.5f, 3e38f, 1e-40f, 5, 6, 7, 8};
    omma_tensor t = {.dtype = OMMA_F32, .rank = 8, .dims = {1, 2, 1, 2, 1, 2, 1, 1}, .data = v};
    omma_error err;
    assert_int_equal(omma_npy_write(&t, path, &err), OMMA_OK);
    omma_arena a;
    omma_arena_init(&a, NULL);
    omma_tensor back;
    assert_int_equal(omma_npy_read(&back, &a, path, &err), OMMA_OK);
    assert_int_equal(back.rank, 8);
    assert_memory_equal(back.dims, t.dims, sizeof t.dims);
    assert_memory_equal(back.data, v, sizeof v);
    omma_arena_free(&a);
    unlink(path);

    t.dtype = OMMA_BF16;
    assert_int_equal(omma_npy_write(&t, path, &err), OMMA_E_UNSUPPORTED);
    assert_int_equal(omma_npy_read(&back, &a, path, &err), OMMA_E_IO);
}

#define HEAD "{'descr': '<f4', 'fortran_order': False, 'shape': "

static void refuses_bad_files(void **state) {
    (void)state;
    static const struct {
        const char *dictionary;
        omma_status want;
    } rows[] = {
        {HEAD "(3,), }", OMMA_E_FORMAT}, /* 12 bytes, the file has 8 */
        {HEAD "(1,), }", OMMA_E_FORMAT},
        {HEAD "(4294967296, 4294967296, 4), }", OMMA_E_RANGE},
        {HEAD "(0, 9223372036854775807, 9223372036854775807), }", OMMA_E_RANGE},
        {HEAD "(99999999999999999999,), }", OMMA_E_RANGE},
        {HEAD "(1,1,1,1,1,1,1,1,2), }", OMMA_E_RANGE},
        {HEAD "(-1,), }", OMMA_E_FORMAT},
        {HEAD "(2 3), }", OMMA_E_FORMAT},
        {HEAD "(2,)", OMMA_E_FORMAT},
        {HEAD "(2,), 'x': 1}", OMMA_E_FORMAT},
        {HEAD "(2,), 'descr': '<f4'}", OMMA_E_FORMAT},
        {HEAD "(2,)} 1", OMMA_E_FORMAT},
        {"{'descr': '<f4', 'shape': (2,)}", OMMA_E_FORMAT},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}", OMMA_E_FORMAT},
        {"{'descr': '<U2', 'fortran_order': False, 'shape': (1,)}", OMMA_E_UNSUPPORTED},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", OMMA_E_UNSUPPORTED},
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}", OMMA_E_UNSUPPORTED},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}", OMMA_E_UNSUPPORTED},
        {"{'descr': '<f4", OMMA_E_FORMAT},
        {"{'descr': 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", OMMA_E_FORMAT},
        {"{", OMMA_E_FORMAT},
        {"", OMMA_E_FORMAT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        file f = make(1, rows[i].dictionary, "\0\0\0\0\0\0\0\0", 8);
        omma_arena a;
        omma_arena_init(&a, NULL);
        omma_tensor t;
        omma_error err;
        omma_status got = decode(&t, &a, &f, &err);
        if (got != rows[i].want) fail_msg("%s: %d", rows[i].dictionary, got);
        assert_non_null(strstr(err.message, "a.npy: "));
        omma_arena_free(&a);
    }
}

static void survives_damage(void **state) {
    (void)state;
    const float v[2] = {1, 2};
    const file good = make(1, HEAD "(2,), }", v, sizeof v);
    omma_arena a;
    omma_tensor t;
    omma_error err;
    for (size_t n = 0; n < good.size; n++) {
        file f = good;
        f.size = n;
        omma_arena_init(&a, NULL);
        assert_int_not_equal(decode(&t, &a, &f, &err), OMMA_OK);
        omma_arena_free(&a);
    }
    for (size_t n = 0; n < 8 * good.size; n++) {
        file f = good;
        f.p[n / 8] ^= (unsigned char)(1u << n % 8);
        omma_arena_init(&a, NULL);
        decode(&t, &a, &f, &err);
        omma_arena_free(&a);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_type),     cmocka_unit_test(reads_other_orders),
        cmocka_unit_test(writes_as_numpy_does), cmocka_unit_test(survives_a_round_trip),
        cmocka_unit_test(refuses_bad_files),    cmocka_unit_test(survives_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

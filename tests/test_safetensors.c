/* test_safetensors.c - safetensors files: what other programs wrote, what omma writes, and
 * headers that lie in every way there is. */
#define _DEFAULT_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "file/safetensors.h"
#include "shared.h"

/* A file made of a header, given as text, and n bytes of numbers 0, 1, 2, ...; free it. */
static unsigned char *make(const char *header, size_t n, size_t *size) {
    const uint64_t length = strlen(header);
    *size = 8 + (size_t)length + n;
    unsigned char *p = malloc(*size);
    assert_non_null(p);
    memcpy(p, &length, 8);
    memcpy(p + 8, header, (size_t)length);
    for (size_t i = 0; i < n; i++) p[8 + length + i] = (unsigned char)i;
    return p;
}

static omma_status read_text(omma_safetensors *s, const char *header, size_t n, omma_error *err) {
    size_t size;
    unsigned char *p = make(header, n, &size);
    omma_status status = omma_safetensors_decode(s, p, size, "made", NULL, err);
    if (!status) { /* the numbers go with p */
        for (int i = 0; i < s->count; i++) s->items[i].t.data = NULL;
    }
    free(p);
    return status;
}

/* --- files of others --------------------------------------------------------------------- */

static void golden_files(void **state) {
    (void)state;
    static const char *const names[] = {"golden/detr_loss.safetensors",
                                        "golden/detr_tiny.safetensors",
                                        "golden/rtdetr_tiny.safetensors"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[1024];
        omma_safetensors s;
        omma_error err;
        struct stat st;
        if (!shared_path(path, sizeof path, names[i])) {
            print_message("SKIPPED: needs shared/%s\n", names[i]);
            skip();
        }
        assert_int_equal(stat(path, &st), 0);
        if (omma_safetensors_open(&s, path, NULL, &err)) fail_msg("%s", err.message);
        assert_true(s.count > 0 && s.file.mapped);
        size_t bytes = 0;
        for (int k = 0; k < s.count; k++) {
            const omma_tensor *t = omma_safetensors_find(&s, s.items[k].name);
            assert_ptr_equal(t, &s.items[k].t);
            bytes += (size_t)omma_tensor_count(t) * omma_dtype_size(t->dtype);
            assert_int_equal((uintptr_t)t->data % omma_dtype_size(t->dtype), 0);
        }
        uint64_t header;
        memcpy(&header, s.file.data, 8);
        assert_int_equal(8 + header + bytes, (uint64_t)st.st_size);
        assert_null(omma_safetensors_find(&s, "no such tensor"));
        omma_safetensors_free(&s);
    }
}

/* --- sound headers ----------------------------------------------------------------------- */

static void all_types(void **state) {
    (void)state;
    static const struct {
        const char *name;
        omma_dtype dtype;
    } types[] = {{"F64", OMMA_F64},  {"F32", OMMA_F32}, {"F16", OMMA_F16}, {"BF16", OMMA_BF16},
                 {"I64", OMMA_I64},  {"I32", OMMA_I32}, {"I16", OMMA_I16}, {"I8", OMMA_I8},
                 {"U64", OMMA_U64},  {"U32", OMMA_U32}, {"U16", OMMA_U16}, {"U8", OMMA_U8},
                 {"BOOL", OMMA_BOOL}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        char text[256];
        omma_safetensors s;
        omma_error err;
        const size_t bytes = 6 * omma_dtype_size(types[i].dtype);
        snprintf(text, sizeof text,
                 "{\"a\":{\"dtype\":\"%s\",\"shape\":[2,3],\"data_offsets\":[0,%zu]}}",
                 types[i].name, bytes);
        if (read_text(&s, text, bytes, &err)) fail_msg("%s", err.message);
        assert_int_equal(s.items[0].t.dtype, types[i].dtype);
        assert_int_equal(s.items[0].t.rank, 2);
        assert_int_equal(s.items[0].t.dims[1], 3);
        omma_safetensors_free(&s);
    }
}

static void sound_headers(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        int count;
    } cases[] = {
        {"{}", 0, 0},
        {"{}      ", 0, 0},
        {"{\"__metadata__\":{}}", 0, 0},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", 1, 1},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0, 1},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[0,7],\"data_offsets\":[2,2]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}",
         2, 2},
        {"{\"b\":{\"data_offsets\":[3,5],\"shape\":[2],\"dtype\":\"U8\"},"
         "\"__metadata__\":{\"format\":\"pt\"},"
         "\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}  ",
         5, 2},
        {"{\"\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, 1},
        {"{\"\\u00e4/\\\"\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        omma_safetensors s;
        omma_error err;
        if (read_text(&s, cases[i].text, cases[i].n, &err))
            fail_msg("%s: %s", cases[i].text, err.message);
        assert_int_equal(s.count, cases[i].count);
        omma_safetensors_free(&s);
    }
}

static void order_notes_and_alignment(void **state) {
    (void)state;
    omma_safetensors s;
    omma_error err;
    size_t size;
    /* one byte before a float: it must be copied to be aligned */
    unsigned char *p = make("{\"f\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[1,5]},"
                            "\"__metadata__\":{\"format\":\"pt\",\"by\":\"me\"},"
                            "\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
                            5, &size);
    if (omma_safetensors_decode(&s, p, size, NULL, NULL, &err)) fail_msg("%s", err.message);
    assert_string_equal(s.items[0].name, "b");
    assert_string_equal(s.items[1].name, "f");
    assert_int_equal((uintptr_t)s.items[1].t.data % 4, 0);
    assert_memory_equal(s.items[1].t.data, "\1\2\3\4", 4);
    assert_string_equal(omma_safetensors_text(&s, "format"), "pt");
    assert_string_equal(omma_safetensors_text(&s, "by"), "me");
    assert_null(omma_safetensors_text(&s, "b"));
    omma_safetensors_free(&s);
    free(p);
}

/* --- hostile ones ------------------------------------------------------------------------ */

#define T(name, dtype, shape, from, to)                                                            \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" from "," to "]" \
    "}"
#define FORMAT OMMA_E_FORMAT
#define LACKS OMMA_E_UNSUPPORTED

static void hostile_headers(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        omma_status status;
        const char *says;
    } cases[] = {
        {"", 0, FORMAT, "does not begin with '{'"},
        {" {}", 0, FORMAT, "does not begin with '{'"},
        {"[]", 0, FORMAT, "does not begin with '{'"},
        {"{", 0, FORMAT, ""},
        {"{}x", 0, FORMAT, ""},
        {"{}{}", 0, FORMAT, ""},
        {"{\"a\":1}", 0, FORMAT, "'a' is not given by"},
        {"{\"a\":{}}", 0, FORMAT, "'a' is not given by"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, FORMAT, "'a' is not given by"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"x\":0}}", 1, FORMAT,
         "'a' is not given by"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"dtype\":\"U8\"}}", 1, FORMAT, ""},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"offsets\":[0,1]}}", 1, FORMAT, "data_offsets"},
        {"{" T("a", "F8_E4M3", "[1]", "0", "1") "}", 1, LACKS, "'F8_E4M3'"},
        {"{" T("a", "C64", "[1]", "0", "8") "}", 8, LACKS, "'C64'"},
        {"{" T("a", "f32", "[1]", "0", "4") "}", 4, LACKS, "'f32'"},
        {"{" T("a", "", "[1]", "0", "4") "}", 4, LACKS, "''"},
        {"{\"a\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,1]}}", 1, FORMAT, "no dtype"},
        {"{" T("a", "U8", "1", "0", "1") "}", 1, FORMAT, "no shape"},
        {"{" T("a", "U8", "[-1]", "0", "1") "}", 1, FORMAT, "no size"},
        {"{" T("a", "U8", "[1.5]", "0", "1") "}", 1, FORMAT, "no size"},
        {"{" T("a", "U8", "[\"1\"]", "0", "1") "}", 1, FORMAT, "no size"},
        {"{" T("a", "U8", "[1,1,1,1,1,1,1,1,1]", "0", "1") "}", 1, LACKS, "9 dimensions"},
        {"{" T("a", "U8", "[2]", "0", "1") "}", 1, FORMAT, "should be 2 bytes"},
        {"{" T("a", "F32", "[1]", "0", "3") "}", 3, FORMAT, "should be 4 bytes"},
        {"{" T("a", "U8", "[]", "0", "0") "}", 0, FORMAT, "should be 1 bytes"},
        {"{" T("a", "F64", "[4611686018427387904,4]", "0", "0") "}", 0, FORMAT, "overflows"},
        {"{" T("a", "F64", "[2305843009213693952]", "0", "0") "}", 0, FORMAT, "overflows"},
        {"{" T("a", "U8", "[18446744073709551617]", "0", "1") "}", 1, FORMAT, "no size"},
        {"{" T("a", "U8", "[4294967296,4294967296,0]", "0", "0") "}", 0, FORMAT, "overflows"},
        {"{" T("a", "U8", "[1]", "1", "0") "}", 1, FORMAT, "no data_offsets"},
        {"{" T("a", "U8", "[1]", "-1", "0") "}", 1, FORMAT, "no data_offsets"},
        {"{" T("a", "U8", "[1]", "0", "1,2") "}", 1, FORMAT, "no data_offsets"},
        {"{" T("a", "U8", "[1]", "0", "\"1\"") "}", 1, FORMAT, "no data_offsets"},
        {"{" T("a", "U8", "[1]", "18446744073709551615", "0") "}", 1, FORMAT, "no data_offsets"},
        {"{" T("a", "U8", "[2]", "0", "2") "}", 1, FORMAT, "the file has 1"},
        {"{" T("a", "U8", "[1]", "9223372036854775806", "9223372036854775807") "}", 1, FORMAT,
         "the file has 1"},
        {"{" T("a", "U8", "[1]", "1", "2") "}", 2, FORMAT, "hole"},
        {"{" T("a", "U8", "[1]", "0", "1") "," T("b", "U8", "[1]", "2", "3") "}", 3, FORMAT,
         "hole"},
        {"{" T("a", "U8", "[2]", "0", "2") "," T("b", "U8", "[2]", "1", "3") "}", 3, FORMAT,
         "overlaps"},
        {"{" T("a", "U8", "[2]", "0", "2") "," T("b", "U8", "[2]", "0", "2") "}", 2, FORMAT,
         "overlaps"},
        {"{" T("a", "U8", "[4]", "0", "4") "," T("b", "U8", "[1]", "1", "2") "}", 4, FORMAT,
         "overlaps"},
        {"{" T("a", "U8", "[2]", "0", "2") "," T("b", "U8", "[0]", "1", "1") "}", 2, FORMAT,
         "overlaps"},
        {"{" T("a", "U8", "[1]", "0", "1") "}", 2, FORMAT, "1 bytes behind"},
        {"{}", 1, FORMAT, "1 bytes behind"},
        {"{" T("a", "U8", "[1]", "0", "1") "," T("a", "U8", "[1]", "1", "2") "}", 2, FORMAT,
         "'a' occurs twice"},
        {"{" T("a", "U8", "[1]", "0", "1") "," T("\\u0061", "U8", "[1]", "1", "2") "}", 2, FORMAT,
         "'a' occurs twice"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, FORMAT, "occurs twice"},
        {"{\"__metadata__\":[]}", 0, FORMAT, "not an object"},
        {"{\"__metadata__\":{\"a\":1}}", 0, FORMAT, "'a', which is no text"},
        {"{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0, FORMAT, ""},
        {"{\"a\\u0000b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, FORMAT, ""},
        {"{\"\xff\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, FORMAT, ""},
        {"{\"\\ud800\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, FORMAT, ""},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[NaN],\"data_offsets\":[0,1]}}", 1, FORMAT, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        omma_safetensors s;
        omma_error err = {0};
        omma_status status = read_text(&s, cases[i].text, cases[i].n, &err);
        if (status != cases[i].status || !strstr(err.message, cases[i].says) ||
            err.status != status || !strstr(err.message, "made") || err.offset < 0)
            fail_msg("%s: status %d at %lld, '%s'", cases[i].text, (int)status,
                     (long long)err.offset, err.message);
        assert_true(!s.count && !s.items);
    }
}

static void hostile_lengths(void **state) {
    (void)state;
    static const struct {
        uint64_t length;
        omma_status status;
    } cases[] = {{3, FORMAT},
                 {100000000, FORMAT},
                 {100000001, OMMA_E_RANGE},
                 {UINT64_MAX, OMMA_E_RANGE},
                 {UINT64_MAX - 7, OMMA_E_RANGE},
                 {0, FORMAT}};
    unsigned char p[10] = "________{}";
    omma_safetensors s;
    omma_error err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        memcpy(p, &cases[i].length, 8);
        assert_int_equal(omma_safetensors_decode(&s, p, sizeof p, "made", NULL, &err),
                         cases[i].status);
    }
    for (size_t n = 0; n < 8; n++)
        assert_int_equal(omma_safetensors_decode(&s, p, n, "made", NULL, &err), FORMAT);
    assert_int_equal(omma_safetensors_decode(&s, NULL, 0, NULL, NULL, &err), FORMAT);
}

/* A name of 1024 bytes is read, one of 1025 not; nesting that would overflow a stack not. */
static void long_things(void **state) {
    (void)state;
    static char text[400000];
    omma_safetensors s;
    omma_error err;
    for (int n = 1024; n < 1026; n++) {
        int at = sprintf(text, "{\"");
        memset(text + at, 'n', (size_t)n);
        strcpy(text + at + n, "\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}");
        assert_int_equal(read_text(&s, text, 1, &err), n == 1024 ? OMMA_OK : OMMA_E_RANGE);
        omma_safetensors_free(&s);
    }
    strcpy(text, "{\"a\":");
    memset(text + 5, '[', 200000);
    text[200005] = 0;
    assert_int_equal(read_text(&s, text, 0, &err), FORMAT);
    /* many tiny members: refused before memory is taken for them */
    size_t at = 1;
    for (int i = 0; at < sizeof text - 32; i++)
        at += (size_t)sprintf(text + at, "%s\"%d\":0", i ? "," : "", i);
    strcpy(text + at, "}");
    text[0] = '{';
    assert_int_equal(read_text(&s, text, 0, &err), FORMAT);
    assert_non_null(strstr(err.message, "too many"));
}

/* Cut short anywhere, and with any single byte changed: an answer or a clean error. */
static void damaged(void **state) {
    (void)state;
    const char *header =
        "{" T("a", "F32", "[2,2]", "0", "16") "," T("bc", "I8", "[3]", "16", "19") "}  ";
    size_t size;
    unsigned char *p = make(header, 19, &size);
    omma_safetensors s;
    omma_error err;
    for (size_t n = 0; n < size; n++) {
        unsigned char *cut = malloc(n ? n : 1); /* so that reading on is seen */
        memcpy(cut, p, n);
        assert_int_not_equal(omma_safetensors_decode(&s, cut, n, "cut", NULL, &err), OMMA_OK);
        free(cut);
    }
    for (size_t i = 0; i < size; i++)
        for (int v = 0; v < 256; v++) {
            const unsigned char was = p[i];
            p[i] = (unsigned char)v;
            omma_status status = omma_safetensors_decode(&s, p, size, "changed", NULL, &err);
            if (status) assert_true(err.status == status && *err.message);
            else
                for (int k = 0; k < s.count; k++) {
                    const char *d = s.items[k].t.data;
                    const size_t bytes = (size_t)omma_tensor_count(&s.items[k].t) *
                                         omma_dtype_size(s.items[k].t.dtype);
                    volatile char sum = 0;
                    for (size_t b = 0; b < bytes; b++) sum = (char)(sum + d[b]);
                }
            omma_safetensors_free(&s);
            p[i] = was;
        }
    free(p);
}

/* --- writing ----------------------------------------------------------------------------- */

static void round_trip(void **state) {
    (void)state;
    char path[] = "/tmp/omma-test-XXXXXX";
    close(mkstemp(path));
    float f[6] = {1, 2, 3, 4, 5, -6};
    int64_t big = INT64_MIN;
    unsigned char bytes[3] = {7, 8, 9};
    const omma_safetensor items[] = {
        {"small", {OMMA_U8, 1, {3}, bytes}},
        {"layer.0/\"w\"", {OMMA_F32, 2, {2, 3}, f}},
        {"scalar", {OMMA_I64, 0, {0}, &big}},
        {"none", {OMMA_F16, 2, {0, 5}, NULL}},
    };
    const omma_safetensors_note notes[] = {{"format", "omma"}, {"step", "12"}};
    omma_safetensors s;
    omma_error err;
    if (omma_safetensors_write(path, items, 4, notes, 2, &err)) fail_msg("%s", err.message);
    if (omma_safetensors_open(&s, path, NULL, &err)) fail_msg("%s", err.message);
    assert_int_equal(s.count, 4);
    uint64_t length;
    memcpy(&length, s.file.data, 8);
    assert_int_equal(length % 8, 0);
    for (int i = 0; i < 4; i++) {
        const omma_tensor *want = &items[i].t, *t = omma_safetensors_find(&s, items[i].name);
        assert_non_null(t);
        assert_true(t->dtype == want->dtype && t->rank == want->rank);
        for (int d = 0; d < t->rank; d++) assert_true(t->dims[d] == want->dims[d]);
        const size_t n = (size_t)omma_tensor_count(t) * omma_dtype_size(t->dtype);
        if (!n) continue;
        assert_memory_equal(t->data, want->data, n);
        assert_in_range((uintptr_t)t->data, (uintptr_t)s.file.data,
                        (uintptr_t)s.file.data + s.file.size); /* aligned: not copied */
    }
    assert_string_equal(omma_safetensors_text(&s, "step"), "12");
    omma_safetensors_free(&s);
    if (omma_safetensors_write(path, NULL, 0, NULL, 0, &err)) fail_msg("%s", err.message);
    if (omma_safetensors_open(&s, path, NULL, &err)) fail_msg("%s", err.message);
    assert_int_equal(s.count, 0);
    omma_safetensors_free(&s);
    unlink(path);
}

static void writing_refuses(void **state) {
    (void)state;
    char path[] = "/tmp/omma-test-XXXXXX";
    close(mkstemp(path));
    float f = 1;
    omma_error err;
    omma_safetensor items[] = {{"a", {OMMA_F32, 0, {0}, &f}}, {"a", {OMMA_F32, 0, {0}, &f}}};
    assert_int_equal(omma_safetensors_write(path, items, 2, NULL, 0, &err), OMMA_E_USAGE);
    items[1].name = "__metadata__";
    assert_int_equal(omma_safetensors_write(path, items, 2, NULL, 0, &err), OMMA_E_USAGE);
    items[1].name = "b", items[1].t.dtype = OMMA_STRING;
    assert_int_equal(omma_safetensors_write(path, items, 2, NULL, 0, &err), OMMA_E_UNSUPPORTED);
    items[1].t = (omma_tensor){OMMA_F32, 2, {INT64_MAX, 2}, &f};
    assert_int_equal(omma_safetensors_write(path, items, 2, NULL, 0, &err), OMMA_E_RANGE);
    assert_int_equal(omma_safetensors_write("/nowhere/x", items, 1, NULL, 0, &err), OMMA_E_IO);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 0); /* the old file is as it was */
    unlink(path);
}

/* Every allocation that fails is told, and nothing leaks. */
static void out_of_memory(void **state) {
    (void)state;
    size_t size;
    unsigned char *p = make("{\"__metadata__\":{\"k\":\"v\"}," T("a", "U8", "[1]", "0", "1") "," T(
                                "b", "F32", "[1]", "1", "5") "}",
                            5, &size);
    omma_safetensors s;
    omma_error err;
    for (uint64_t k = 1;; k++) {
        omma_mem_fail_at(k);
        omma_status status = omma_safetensors_decode(&s, p, size, "made", NULL, &err);
        omma_mem_fail_at(0);
        omma_safetensors_free(&s);
        if (!status) {
            assert_true(k > 5);
            break;
        }
        assert_int_equal(status, OMMA_E_NOMEM);
    }
    free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_files),    cmocka_unit_test(all_types),
        cmocka_unit_test(sound_headers),   cmocka_unit_test(order_notes_and_alignment),
        cmocka_unit_test(hostile_headers), cmocka_unit_test(hostile_lengths),
        cmocka_unit_test(long_things),     cmocka_unit_test(damaged),
        cmocka_unit_test(round_trip),      cmocka_unit_test(writing_refuses),
        cmocka_unit_test(out_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

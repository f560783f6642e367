/* test_json.c - JSON in and out: what is sound is read, what is not is refused with its
 * byte, and what the writer writes reads back the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "base/arena.h"
#include "file/json.h"

/* Texts go in through a copy of their exact size, so that a sanitizer sees reads past
 * the end. */
static void *exact(const char *text, size_t size) {
    void *p = malloc(size ? size : 1);
    assert_non_null(p);
    memcpy(p, text, size);
    return p;
}

static omma_status parse(omma_json **out, const char *text, size_t size, omma_error *err) {
    void *p = exact(text, size);
    omma_status status = omma_json_parse(out, p, size, "f.json", err);
    free(p);
    return status;
}

static omma_json *sound(const char *text) {
    omma_json *v;
    omma_error err;
    if (parse(&v, text, strlen(text), &err)) fail_msg("%s", err.message);
    return v;
}

static const char sample[] =
    "{ \"a\": [1, -2.5e3, 0, true, false, null], \"text\": \"\\u00e9\\n\xc3\xa9\",\n"
    "  \"inner\": {\"z\": 1, \"b\": 2, \"a\": []}, \"five\": 5.0, \"big\": 9223372036854775807 }\n";

static void test_tree(void **state) {
    (void)state;
    omma_json *v = sound(sample);
    int64_t i = 7;
    double d;
    bool b;
    assert_int_equal(omma_json_type(v), OMMA_JSON_OBJECT);
    assert_int_equal(omma_json_count(v), 5);
    const omma_json *a = omma_json_get(v, "a");
    assert_int_equal(omma_json_count(a), 6);
    assert_true(omma_json_as_int(omma_json_at(a, 0), &i) && i == 1);
    assert_true(omma_json_as_double(omma_json_at(a, 1), &d) && d == -2500);
    assert_true(omma_json_as_bool(omma_json_at(a, 3), &b) && b);
    assert_true(omma_json_as_bool(omma_json_at(a, 4), &b) && !b);
    assert_int_equal(omma_json_type(omma_json_at(a, 5)), OMMA_JSON_NULL);
    assert_null(omma_json_at(a, 6));
    assert_string_equal(omma_json_as_text(omma_json_get(v, "text")), "\xc3\xa9\n\xc3\xa9");
    assert_true(omma_json_as_int(omma_json_get(v, "five"), &i) && i == 5);
    assert_true(omma_json_as_int(omma_json_get(v, "big"), &i) && i == INT64_MAX);
    assert_false(omma_json_as_int(omma_json_get(v, "text"), &i));
    assert_false(omma_json_as_int(NULL, &i));
    assert_null(omma_json_as_text(omma_json_get(omma_json_get(v, "none"), "deeper")));
    assert_int_equal(omma_json_type(omma_json_get(v, "none")), OMMA_JSON_NONE);
    omma_json_free(v);
}

static void test_walk_members(void **state) {
    (void)state;
    omma_json *v = sound(sample);
    void *iter = NULL;
    const char *name;
    const omma_json *value;
    char names[8] = "";
    while (omma_json_next(omma_json_get(v, "inner"), &iter, &name, &value)) strncat(names, name, 1);
    assert_string_equal(names, "zba");
    omma_json_free(v);
}

/* An integer beyond 64 bits, as Hugging Face's tokenizer_config.json has. */
static void test_huge_integer(void **state) {
    (void)state;
    omma_json *v = sound("{\"max\": 1000000000000000019884624838656, \"n\": 3, \"f\": 0.5}");
    int64_t i;
    double d;
    assert_true(omma_json_as_double(omma_json_get(v, "max"), &d) && d == 1e30);
    assert_false(omma_json_as_int(omma_json_get(v, "max"), &i));
    assert_true(omma_json_as_int(omma_json_get(v, "n"), &i) && i == 3);
    assert_false(omma_json_as_int(omma_json_get(v, "f"), &i));
    omma_json_free(v);
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t offset; /* -1: anywhere */
    } bad[] = {{"", 0},
               {"  ", 2},
               {"{", 1},
               {"[1,]", 3},
               {"{\"a\":1,}", 7},
               {"{\"a\" 1}", 5},
               {"[1 2]", 3},
               {"[1}", 2},
               {"{1:2}", 1},
               {"nul", 0},
               {"truE", 0},
               {"NaN", 0},
               {"[Infinity]", 1},
               {"[-Infinity]", 2},
               {"01", 0},
               {"-", 1},
               {"1.", 2},
               {".5", 0},
               {"1e", 2},
               {"+1", 0},
               {"0x10", 1},
               {"\"a", 2},
               {"\"\\x\"", 2},
               {"\"\\u12g4\"", 5},
               {"\"a\nb\"", 2},
               {"[] []", 3},
               {"'a'", 0},
               {"\"\xff\"", -1},
               {"\"\\ud800\"", -1},
               {"\"a\\u0000b\"", -1},
               {"[1e999]", -1},
               {"[-1e400]", -1},
               {"{\"a\":1,\"a\":2}", -1},
               {"// x\n1", 0},
               {"\xef\xbb\xbf{}", 0}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        omma_error err;
        omma_json *v;
        if (parse(&v, bad[i].text, strlen(bad[i].text), &err) != OMMA_E_FORMAT)
            fail_msg("accepted: %s", bad[i].text);
        assert_null(v);
        if (bad[i].offset >= 0 && err.offset != bad[i].offset)
            fail_msg("%s: byte %lld: %s", bad[i].text, (long long)err.offset, err.message);
        assert_in_range(err.offset, 0, strlen(bad[i].text));
        assert_string_equal(err.file, "f.json");
    }
}

static void test_truncated(void **state) {
    (void)state;
    size_t size = strlen(sample) - 2; /* up to the last brace, excluded */
    for (size_t n = 0; n <= size; n++) {
        omma_json *v;
        omma_error err;
        assert_int_equal(parse(&v, sample, n, &err), OMMA_E_FORMAT);
        assert_in_range(err.offset, 0, n);
    }
}

/* Every byte replaced by every other: refused or read, never worse. */
static void test_mutated(void **state) {
    (void)state;
    char text[sizeof sample];
    for (size_t at = 0; at < sizeof sample - 1; at++)
        for (int c = 0; c < 256; c++) {
            omma_json *v;
            memcpy(text, sample, sizeof sample);
            text[at] = (char)c;
            parse(&v, text, sizeof sample - 1, NULL);
            omma_json_free(v);
        }
}

static omma_status nested(int depth, char open, char close) {
    char text[400];
    size_t n = 0;
    for (int i = 0; i < depth; i++) {
        text[n++] = open;
        if (open == '{' && i + 1 < depth) memcpy(text + n, "\"a\":", 4), n += 4;
    }
    for (int i = 0; i < depth; i++) text[n++] = close;
    omma_json *v;
    omma_status status = parse(&v, text, n, NULL);
    omma_json_free(v);
    return status;
}

static void test_depth(void **state) {
    (void)state;
    assert_int_equal(nested(64, '[', ']'), OMMA_OK);
    assert_int_equal(nested(65, '[', ']'), OMMA_E_FORMAT);
    assert_int_equal(nested(64, '{', '}'), OMMA_OK);
    assert_int_equal(nested(65, '{', '}'), OMMA_E_FORMAT);
    size_t size = 8 << 20;
    char *deep = malloc(size);
    assert_non_null(deep);
    memset(deep, '[', size);
    omma_json *v;
    omma_json_array none = {"x", NULL, NULL, NULL, false};
    assert_int_equal(omma_json_parse(&v, deep, size, NULL, NULL), OMMA_E_FORMAT);
    deep[0] = '{', deep[1] = '"', deep[2] = '"', deep[3] = ':';
    assert_int_equal(omma_json_stream(&none, 1, deep, size, NULL, NULL), OMMA_E_FORMAT);
    free(deep);
}

/* --- stream ------------------------------------------------------------------- */

typedef struct seen {
    int64_t count, sum, last_offset;
    size_t members;
    int64_t stop_at;
} seen;

static omma_status see(void *user, const omma_json *value, const omma_json_place *place,
                       omma_error *err) {
    seen *s = user;
    int64_t n = 0;
    assert_int_equal(place->index, s->count);
    if (s->stop_at && place->index + 1 == s->stop_at)
        return omma_fail(err, OMMA_E_NOTFOUND, "enough");
    omma_json_as_int(omma_json_get(value, "n"), &n);
    s->count++;
    s->sum += n;
    s->members += omma_json_count(value);
    s->last_offset = place->offset;
    return OMMA_OK;
}

static const char *const keep_n[] = {"n", NULL};

static omma_status stream(omma_json_array *arrays, int n, const char *text, omma_error *err) {
    void *p = exact(text, strlen(text));
    omma_status status = omma_json_stream(arrays, n, p, strlen(text), "s.json", err);
    free(p);
    return status;
}

static void test_stream(void **state) {
    (void)state;
    static const char text[] =
        "{\"info\": {\"x\": [[]]}, \"a\": [{\"n\": 1, \"skip\": [1, [2]]}, {\"skip\": {\"n\": 9}, "
        "\"n\": 2}, {}],\n \"b\": [ 5 , {\"n\": 40, \"m\": 1} ], \"c\": 3 } ";
    seen a = {0}, b = {0}, c = {0};
    omma_json_array arrays[] = {
        {"b", NULL, see, &b, false}, {"a", keep_n, see, &a, false}, {"none", NULL, see, &c, true}};
    omma_error err;
    if (stream(arrays, 3, text, &err)) fail_msg("%s", err.message);
    assert_int_equal(a.count, 3);
    assert_int_equal(a.sum, 3);
    assert_int_equal(a.members, 2);
    assert_int_equal(b.count, 2);
    assert_int_equal(b.sum, 40);
    assert_int_equal(b.members, 2);
    assert_int_equal(b.last_offset, strstr(text, "{\"n\": 40") - text);
    assert_true(arrays[0].found && arrays[1].found);
    assert_false(arrays[2].found);
    for (size_t n = 0; n + 2 < sizeof text - 1; n++) {
        a.count = b.count = c.count = 0;
        void *p = exact(text, n);
        assert_int_equal(omma_json_stream(arrays, 3, p, n, NULL, &err), OMMA_E_FORMAT);
        assert_in_range(err.offset, 0, n);
        free(p);
    }
}

static void test_stream_outermost(void **state) {
    (void)state;
    seen s = {0};
    omma_json_array array = {NULL, keep_n, see, &s, false};
    assert_int_equal(stream(&array, 1, " [{\"n\":1,\"n2\":5}, {\"\\u006e\":2}] ", NULL), OMMA_OK);
    assert_int_equal(s.sum, 3); /* a name in escapes is the same name */
    s.count = 0;
    assert_int_equal(stream(&array, 1, "[]", NULL), OMMA_OK);
    assert_true(array.found);
    assert_int_equal(s.count, 0);
}

static void test_stream_refused(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t offset;
        const char *says;
    } bad[] = {
        {"[]", 0, "not a JSON object"},
        {"{\"a\": {}}", 6, "'a' is not an array"},
        {"{\"a\": [], \"a\": []}", 10, "twice"},
        {"{\"a\": []} x", 10, "follows"},
        {"{\"a\": [{\"skip\": [1,]}]}", 19, "a value was expected"},
        {"{\"a\": [{\"skip\": 1, \"n\": \"\xff\"}]}", 25, "decode byte"},
        {"{\"a\": [{\"skip\": 1, \"n\": 1, \"n\": 2}]}", 30, "duplicate"},
        {"{\"a\": [1, 1e999]}", 15, "real number overflow"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        seen s = {0};
        omma_error err;
        omma_json_array array = {"a", keep_n, see, &s, false};
        assert_int_equal(stream(&array, 1, bad[i].text, &err), OMMA_E_FORMAT);
        if (!strstr(err.message, bad[i].says) || llabs(err.offset - bad[i].offset) > 2)
            fail_msg("%s: %s", bad[i].text, err.message);
    }
}

static void test_stream_stops(void **state) {
    (void)state;
    seen s = {.stop_at = 2};
    omma_error err;
    omma_json_array array = {NULL, NULL, see, &s, false};
    assert_int_equal(stream(&array, 1, "[{},{},{}]", &err), OMMA_E_NOTFOUND);
    assert_string_equal(err.message, "enough");
    assert_int_equal(s.count, 1);
}

/* An element that keeps too much is refused; one that skips as much is not. */
static void test_stream_bounded(void **state) {
    (void)state;
    size_t size = 17 << 20;
    char *text = malloc(size);
    assert_non_null(text);
    memset(text, 'x', size);
    memcpy(text, "[{\"m\":\"", 7);
    memcpy(text + size - 3, "\"}]", 3);
    seen s = {0};
    omma_error err;
    omma_json_array array = {NULL, keep_n, see, &s, false};
    uint64_t calls = omma_mem_calls();
    assert_int_equal(omma_json_stream(&array, 1, text, size, "l.json", &err), OMMA_OK);
    assert_in_range(omma_mem_calls() - calls, 0, 1);
    text[3] = 'n';
    s.count = 0;
    assert_int_equal(omma_json_stream(&array, 1, text, size, "l.json", &err), OMMA_E_RANGE);
    array.keep = NULL;
    assert_int_equal(omma_json_stream(&array, 1, text, size, "l.json", &err), OMMA_E_RANGE);
    free(text);
}

/* --- writer ------------------------------------------------------------------- */

static void write_all(omma_json_writer *w) {
    omma_json_begin_object(w);
    omma_json_key(w, "empty");
    omma_json_begin_array(w);
    omma_json_end_array(w);
    omma_json_key(w, "numbers");
    omma_json_begin_array(w);
    omma_json_put_int(w, INT64_MIN);
    omma_json_put_double(w, 0.1);
    omma_json_put_float(w, 0.1f);
    omma_json_put_float(w, NAN);
    omma_json_end_array(w);
    omma_json_key(w, "list");
    omma_json_begin_array(w);
    omma_json_begin_object(w);
    omma_json_key(w, "a\"b");
    omma_json_put_bool(w, true);
    omma_json_end_object(w);
    omma_json_begin_object(w);
    omma_json_end_object(w);
    omma_json_end_array(w);
    omma_json_key(w, "none");
    omma_json_put_text(w, NULL);
    omma_json_end_object(w);
}

static void test_write_layout(void **state) {
    (void)state;
    omma_json_writer w;
    omma_json_writer_memory(&w, false);
    write_all(&w);
    assert_int_equal(omma_json_writer_end(&w, NULL), OMMA_OK);
    assert_string_equal(w.text, "{\"empty\":[],\"numbers\":[-9223372036854775808,0.1,0.1,null],"
                                "\"list\":[{\"a\\\"b\":true},{}],\"none\":null}");
    omma_json_free(sound(w.text));
    omma_json_writer_free(&w);
    omma_json_writer_memory(&w, true);
    write_all(&w);
    assert_int_equal(omma_json_writer_end(&w, NULL), OMMA_OK);
    assert_string_equal(w.text, "{\n  \"empty\": [],\n"
                                "  \"numbers\": [-9223372036854775808, 0.1, 0.1, null],\n"
                                "  \"list\": [\n    {\n      \"a\\\"b\": true\n    },\n    {}\n"
                                "  ],\n"
                                "  \"none\": null\n}\n");
    assert_int_equal(w.size, strlen(w.text));
    omma_json_free(sound(w.text));
    omma_json_writer_free(&w);
}

static void check_text(const char *text, const char *want) {
    omma_json_writer w;
    omma_json_writer_memory(&w, false);
    omma_json_put_text(&w, text);
    assert_int_equal(omma_json_writer_end(&w, NULL), OMMA_OK);
    assert_string_equal(w.text, want);
    omma_json_free(sound(w.text));
    omma_json_writer_free(&w);
}

#define BAD "\xef\xbf\xbd"
static void test_write_text(void **state) {
    (void)state;
    check_text("", "\"\"");
    check_text("a\\\"/\b\f\n\r\t\x01\x7f", "\"a\\\\\\\"/\\b\\f\\n\\r\\t\\u0001\\u007f\"");
    check_text("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
               "\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\"");
    check_text("\xff\xc3", "\"" BAD BAD "\"");
    check_text("\xc0\x80", "\"" BAD BAD "\"");                 /* too long */
    check_text("\xed\xa0\x80", "\"" BAD BAD BAD "\"");         /* a surrogate */
    check_text("\xf4\x90\x80\x80", "\"" BAD BAD BAD BAD "\""); /* beyond 10FFFF */
    check_text("\xe2\x82", "\"" BAD BAD "\"");                 /* cut off */
}

static double read_back(omma_json_writer *w) {
    double d = NAN;
    assert_int_equal(omma_json_writer_end(w, NULL), OMMA_OK);
    omma_json *v = sound(w->text);
    assert_true(omma_json_as_double(v, &d));
    omma_json_free(v);
    omma_json_writer_free(w);
    return d;
}

static void test_write_numbers(void **state) {
    (void)state;
    uint64_t x = 1;
    for (int i = 0; i < 20000; i++) {
        omma_json_writer w;
        double d;
        float f;
        x = x * 6364136223846793005U + 1442695040888963407U;
        memcpy(&d, &x, sizeof d);
        memcpy(&f, (char *)&x + 4, sizeof f);
        omma_json_writer_memory(&w, false);
        if (isfinite(d)) {
            omma_json_put_double(&w, d);
            assert_true(read_back(&w) == d);
        }
        omma_json_writer_memory(&w, false);
        if (isfinite(f)) {
            omma_json_put_float(&w, f);
            assert_true((float)read_back(&w) == f);
        }
    }
}

static void test_write_misused(void **state) {
    (void)state;
    omma_json_writer w;
    omma_error err;
    omma_json_writer_memory(&w, false);
    assert_int_equal(omma_json_writer_end(&w, &err), OMMA_E_USAGE); /* nothing written */
    omma_json_writer_memory(&w, false);
    omma_json_begin_object(&w);
    omma_json_put_int(&w, 1); /* no key */
    assert_int_equal(omma_json_writer_end(&w, &err), OMMA_E_USAGE);
    omma_json_writer_free(&w);
    omma_json_writer_memory(&w, false);
    omma_json_begin_array(&w);
    omma_json_end_object(&w);
    assert_int_equal(omma_json_writer_end(&w, &err), OMMA_E_USAGE);
    omma_json_writer_free(&w);
    omma_json_writer_memory(&w, false);
    for (int i = 0; i < 65; i++) omma_json_begin_array(&w);
    assert_int_equal(omma_json_writer_end(&w, &err), OMMA_E_USAGE);
    omma_json_writer_free(&w);
    omma_json_writer_memory(&w, false);
    omma_json_put_int(&w, 1);
    omma_json_put_int(&w, 2);
    assert_int_equal(omma_json_writer_end(&w, &err), OMMA_E_USAGE);
    omma_json_writer_free(&w);
}

static void test_write_fails(void **state) {
    (void)state;
    omma_json_writer w;
    omma_mem_fail_at(1);
    omma_json_writer_memory(&w, true);
    write_all(&w);
    assert_int_equal(omma_json_writer_end(&w, NULL), OMMA_E_NOMEM);
    omma_json_writer_free(&w);
    omma_mem_fail_at(0);
    FILE *full = fopen("/dev/full", "w");
    if (!full) return;
    setvbuf(full, NULL, _IONBF, 0);
    omma_json_writer_file(&w, full, true);
    write_all(&w);
    assert_int_equal(omma_json_writer_end(&w, NULL), OMMA_E_IO);
    fclose(full);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree),
        cmocka_unit_test(test_walk_members),
        cmocka_unit_test(test_huge_integer),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_mutated),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_stream_outermost),
        cmocka_unit_test(test_stream_refused),
        cmocka_unit_test(test_stream_stops),
        cmocka_unit_test(test_stream_bounded),
        cmocka_unit_test(test_write_layout),
        cmocka_unit_test(test_write_text),
        cmocka_unit_test(test_write_numbers),
        cmocka_unit_test(test_write_misused),
        cmocka_unit_test(test_write_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

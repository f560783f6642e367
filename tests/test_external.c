/* test_external.c - tensors that a model keeps in files of their own: read when asked to, from
 * the model's folder and nowhere else. Every way out of the folder that other readers were
 * fooled by is tried. */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "model/external.h"
#include "onnxmake.h"

/* A folder with weights w.bin: 64 floats 0, 1, 2, ... */
static char folder[64], file[128];

static void put(const char *name, const void *data, size_t n) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    fclose(f);
}

static int set_up(void **state) {
    (void)state;
    strcpy(folder, "/tmp/omma-test-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(file, sizeof file, "%s/model.onnx", folder);
    float w[64];
    for (int i = 0; i < 64; i++) w[i] = (float)i;
    put("w.bin", w, sizeof w);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void say(mk *t, const char *key, const char *value) {
    mk e = {0};
    mk_str(&e, 1, key), mk_str(&e, 2, value);
    mk_sub(t, 13, &e);
}

/* A tensor of two floats whose numbers are elsewhere; NULL leaves a key out. */
static mk elsewhere(const char *name, const char *location, const char *offset,
                    const char *length) {
    mk t = mk_tensor(name, OMMA_F32, MK_DIMS(2));
    if (location) say(&t, "location", location);
    if (offset) say(&t, "offset", offset);
    if (length) say(&t, "length", length);
    mk_int(&t, 14, 1);
    return t;
}

/* y = x + w, with w made before. */
static void write_model(mk *weight, bool constant) {
    mk g = {0};
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(2));
    if (constant) mk_constant(&g, "w", weight);
    else mk_sub(&g, MK_INIT, weight);
    mk_op(&g, "Add", "x,w", "y", NULL);
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, MK_DIMS(2));
    mk m = mk_model(&g, 17);
    put("model.onnx", m.data, m.size);
    mk_free(&m);
}

static omma_status open_model(omma_model **m, omma_error *err) {
    return omma_model_open(m, file, &(omma_options){.allow_external = 1}, err);
}

/* --- what works ------------------------------------------------------------------------- */

static void check_sum(float first, float second) {
    omma_model *m;
    omma_session *s;
    omma_error err;
    float x[2] = {100, 200};
    omma_tensor in = {OMMA_F32, 1, {2}, x};
    if (open_model(&m, &err)) fail_msg("%s", err.message);
    if (omma_session_new(&s, m, NULL, &err)) fail_msg("%s", err.message);
    if (omma_session_run(s, &in, 1, &err)) fail_msg("%s", err.message);
    const float *y = omma_session_output(s, 0)->data;
    assert_true(y[0] == 100 + first && y[1] == 200 + second);
    omma_session_free(s);
    omma_model_free(m);
}

static void weights_elsewhere(void **state) {
    (void)state;
    for (int constant = 0; constant < 2; constant++) {
        mk t = elsewhere("w", "w.bin", "16", "8");
        write_model(&t, constant);
        check_sum(4, 5);
        t = elsewhere("w", "w.bin", NULL, NULL); /* both may be left out */
        write_model(&t, constant);
        check_sum(0, 1);
        t = elsewhere("w", "w.bin", "248", "8"); /* up to the last byte */
        say(&t, "checksum", "0000"), say(&t, "whatever", "../x");
        write_model(&t, constant);
        check_sum(62, 63);
    }
}

static void at_an_odd_byte(void **state) {
    (void)state;
    unsigned char odd[9] = {7};
    memcpy(odd + 1, (float[]){3, -4}, 8);
    put("odd.bin", odd, sizeof odd);
    mk t = elsewhere("w", "odd.bin", "1", "8");
    write_model(&t, false);
    check_sum(3, -4);
}

static void in_a_folder_below(void **state) {
    (void)state;
    char path[256];
    snprintf(path, sizeof path, "%s/deep", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    put("deep/w", (float[]){8, 9}, 8);
    mk t = elsewhere("w", "deep/w", "0", "8");
    write_model(&t, false);
    check_sum(8, 9);
}

/* How often a file of that name is mapped in this process. */
static int mapped(const char *name) {
    FILE *f = fopen("/proc/self/maps", "r");
    char line[1024];
    int n = 0;
    while (f && fgets(line, sizeof line, f))
        if (strstr(line, name)) n++;
    if (f) fclose(f);
    return n;
}

/* Thirty tensors, one map; gone with the model. */
static void mapped_once(void **state) {
    (void)state;
    mk g = {0};
    char name[8] = "x", next[8], weight[8], offset[16];
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(2));
    for (int i = 0; i < 30; i++) {
        snprintf(weight, sizeof weight, "w%d", i), snprintf(next, sizeof next, "y%d", i);
        snprintf(offset, sizeof offset, "%d", 8 * i);
        mk t = elsewhere(weight, "w.bin", offset, "8");
        mk_sub(&g, MK_INIT, &t);
        char in[32];
        snprintf(in, sizeof in, "%s,%s", name, weight);
        mk_op(&g, "Add", in, next, NULL);
        strcpy(name, next);
    }
    mk_port(&g, MK_OUTPUT, "y29", OMMA_F32, MK_DIMS(2));
    mk m = mk_model(&g, 17);
    put("model.onnx", m.data, m.size);
    mk_free(&m);
    omma_model *model;
    omma_error err;
    char full[128];
    snprintf(full, sizeof full, "%s/w.bin", folder);
    if (open_model(&model, &err)) fail_msg("%s", err.message);
    assert_int_equal(mapped(full), 1);
    omma_model_free(model);
    assert_int_equal(mapped(full), 0);
}

/* A file that anybody may write is copied: cut short later, it ends nothing. */
static void unstable_files_are_copied(void **state) {
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s/loose.bin", folder);
    put("loose.bin", (float[]){1, 2}, 8);
    chmod(path, 0666);
    mk t = elsewhere("w", "loose.bin", "0", "8");
    write_model(&t, false);
    chmod(file, 0666);
    omma_model *m;
    omma_error err;
    if (open_model(&m, &err)) fail_msg("%s", err.message);
    assert_int_equal(mapped(folder), 0);
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(truncate(file, 0), 0);
    omma_session *s;
    float x[2] = {0};
    omma_tensor in = {OMMA_F32, 1, {2}, x};
    assert_int_equal(omma_session_new(&s, m, NULL, &err), 0);
    assert_int_equal(omma_session_run(s, &in, 1, &err), 0);
    assert_true(((float *)omma_session_output(s, 0)->data)[1] == 2);
    omma_session_free(s);
    omma_model_free(m);
    remove(file);
}

/* ... within the budget, which holds before memory is taken. */
static void copies_are_charged(void **state) {
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s/big.bin", folder);
    put("big.bin", "", 0);
    assert_int_equal(truncate(path, (off_t)1 << 40), 0); /* a hole */
    chmod(path, 0666);
    mk t = elsewhere("w", "big.bin", "0", "8");
    write_model(&t, false);
    omma_model *m;
    omma_error err;
    assert_int_equal(open_model(&m, &err), OMMA_E_NOMEM);
    assert_non_null(strstr(err.message, "budget"));
    assert_non_null(strstr(err.message, "big.bin"));
}

/* --- what does not ---------------------------------------------------------------------- */

static void off_by_default(void **state) {
    (void)state;
    for (int constant = 0; constant < 2; constant++) {
        mk t = elsewhere("w", "w.bin", "0", "8");
        write_model(&t, constant);
        omma_model *m;
        omma_error err;
        assert_int_equal(omma_model_open(&m, file, NULL, &err), OMMA_E_UNSUPPORTED);
        assert_null(m);
        assert_non_null(strstr(err.message, "'w'"));
        assert_non_null(strstr(err.message, "'w.bin'"));
        assert_non_null(strstr(err.message, "--allow-external"));
        assert_true(err.offset > 0);
    }
}

static void refused(const char *what, mk *t, omma_status status, const char *says) {
    omma_model *m;
    omma_error err = {0};
    write_model(t, false);
    omma_status s = open_model(&m, &err);
    if (s != status || m || !strstr(err.message, says) || !strstr(err.message, "'w'"))
        fail_msg("%s: status %d, '%s'; wanted %d, '%s'", what, (int)s, err.message, (int)status,
                 says);
}

static char long_name[1200];

static void names_that_lead_out(void **state) {
    (void)state;
    memset(long_name, 'a', 1100);
    static const struct {
        const char *name, *says;
        omma_status status;
    } cases[] = {
        {"../w.bin", "part '.' or '..'", OMMA_E_FORMAT},
        {"deep/../../w.bin", "part '.' or '..'", OMMA_E_FORMAT},
        {"deep/../w.bin", "part '.' or '..'", OMMA_E_FORMAT},
        {"w.bin/..", "part '.' or '..'", OMMA_E_FORMAT},
        {"./w.bin", "part '.' or '..'", OMMA_E_FORMAT},
        {"..", "part '.' or '..'", OMMA_E_FORMAT},
        {".", "part '.' or '..'", OMMA_E_FORMAT},
        {"/etc/passwd", "absolute", OMMA_E_FORMAT},
        {"/proc/self/environ", "absolute", OMMA_E_FORMAT},
        {"", "is empty", OMMA_E_FORMAT},
        {"deep//w", "empty part", OMMA_E_FORMAT},
        {"w.bin/", "empty part", OMMA_E_FORMAT},
        {"..\\w.bin", "no plain name", OMMA_E_FORMAT},
        {"w\n.bin", "no plain name", OMMA_E_FORMAT},
        {"w.bin/x", "cannot open", OMMA_E_IO},
        {"missing.bin", "cannot open", OMMA_E_IO},
        {"deep", "is a folder", OMMA_E_IO},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mk t = elsewhere("w", cases[i].name, "0", "8");
        refused(cases[i].name, &t, cases[i].status, cases[i].says);
    }
    mk t = mk_tensor("w", OMMA_F32, MK_DIMS(2));
    say(&t, "location", long_name), mk_int(&t, 14, 1);
    write_model(&t, false);
    omma_model *m;
    assert_int_equal(open_model(&m, NULL), OMMA_E_FORMAT);
}

/* Links of every kind, and things that are no regular files. */
static void files_that_are_not_plain(void **state) {
    (void)state;
    char path[256], to[256];
#define IN(buf, name) (snprintf(buf, sizeof buf, "%s/%s", folder, name), buf)
    assert_int_equal(symlink("w.bin", IN(path, "link")), 0);
    assert_int_equal(symlink("/etc/passwd", IN(path, "away")), 0);
    assert_int_equal(symlink("/etc", IN(path, "parent")), 0);
    assert_int_equal(symlink(".", IN(path, "here")), 0);
    put("two", (float[]){1, 2}, 8);
    assert_int_equal(link(IN(to, "two"), IN(path, "second")), 0);
    assert_int_equal(mkfifo(IN(path, "fifo"), 0600), 0);
    static const struct {
        const char *name, *says;
    } cases[] = {
        {"link", "it is a link"},      {"away", "it is a link"}, {"parent/passwd", "behind one"},
        {"here/w.bin", "behind one"},  {"two", "hard link"},     {"second", "hard link"},
        {"fifo", "not a regular file"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mk t = elsewhere("w", cases[i].name, "0", "8");
        refused(cases[i].name, &t, OMMA_E_IO, cases[i].says);
    }
    int at = open(folder, O_RDONLY | O_DIRECTORY);
    for (int walk = 0; walk < 2; walk++) { /* the same without openat2 */
        for (int i = 0; i < 4; i++) {
            int fd = omma_external_open(at, cases[i].name, walk);
            if (fd >= 0) fail_msg("%s was opened, walk %d", cases[i].name, walk);
        }
        int fd = omma_external_open(at, "deep/w", walk), e = errno;
        if (fd < 0) fail_msg("deep/w: %s", strerror(e));
        close(fd);
        assert_int_equal(omma_external_open(at, "w.bin/x", walk), -1);
    }
    close(at);
}

static void places_outside_the_file(void **state) {
    (void)state;
    static const struct {
        const char *offset, *length, *says;
    } cases[] = {
        {"249", "8", "which is 256 bytes long"},
        {"256", "8", "which is 256 bytes long"},
        {"257", NULL, "which is 256 bytes long"},
        {"18446744073709551615", "8", "which is 256 bytes long"},
        {"18446744073709551608", NULL, "which is 256 bytes long"},
        {"18446744073709551616", "8", "no number"},
        {"-1", "8", "no number"},
        {"", "8", "no number"},
        {"1e1", "8", "no number"},
        {" 1", "8", "no number"},
        {"0x10", "8", "no number"},
        {"0", "7", "should be 8 bytes"},
        {"0", "9", "should be 8 bytes"},
        {"0", "0", "should be 8 bytes"},
        {"0", "18446744073709551615", "should be 8 bytes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mk t = elsewhere("w", "w.bin", cases[i].offset, cases[i].length);
        omma_model *m;
        omma_error err = {0};
        write_model(&t, false);
        omma_status s = open_model(&m, &err);
        if (s != OMMA_E_FORMAT || !strstr(err.message, cases[i].says))
            fail_msg("%s+%s: status %d, '%s'", cases[i].offset, cases[i].length, (int)s,
                     err.message);
    }
}

static void contradictions(void **state) {
    (void)state;
    omma_model *m;
    omma_error err;
    mk t = elsewhere("w", "w.bin", "0", "8");
    mk_bytes(&t, 9, (float[]){1, 2}, 8);
    refused("raw data too", &t, OMMA_E_FORMAT, "two different fields");
    t = elsewhere("w", "w.bin", "0", "8");
    mk_bytes(&t, 4, (float[]){1, 2}, 8);
    refused("a list too", &t, OMMA_E_FORMAT, "two different fields");
    t = elsewhere("w", NULL, "0", "8");
    refused("no name", &t, OMMA_E_FORMAT, "does not name it");
    t = mk_tensor("w", OMMA_F32, MK_DIMS(2));
    say(&t, "location", "w.bin");
    refused("not said", &t, OMMA_E_FORMAT, "data_location");
    const char *keys[] = {"location", "offset", "length"};
    for (int i = 0; i < 3; i++) {
        t = elsewhere("w", "w.bin", "0", "8");
        say(&t, keys[i], i ? "0" : "w.bin");
        write_model(&t, false);
        assert_int_equal(open_model(&m, &err), OMMA_E_FORMAT);
        assert_non_null(strstr(err.message, i ? "twice" : "two locations"));
    }
    t = elsewhere("w", "w.bin", "0", "8");
    mk_int(&t, 14, 2);
    write_model(&t, false);
    assert_int_equal(open_model(&m, &err), OMMA_E_FORMAT);
    /* a shape that overflows is told before any file is looked at */
    t = mk_tensor("w", OMMA_F32, MK_DIMS((int64_t)1 << 40, (int64_t)1 << 40));
    say(&t, "location", "missing"), mk_int(&t, 14, 1);
    refused("overflow", &t, OMMA_E_FORMAT, "overflows");
}

/* A tensor in a file of its own (a test case) has no folder: it cannot point elsewhere. */
static void tensor_files_stay_alone(void **state) {
    (void)state;
    mk t = elsewhere("w", "w.bin", "0", "8");
    omma_tensor out;
    omma_arena arena;
    omma_error err;
    put("t.pb", t.data, t.size);
    mk_free(&t);
    char path[128];
    snprintf(path, sizeof path, "%s/t.pb", folder);
    omma_arena_init(&arena, NULL);
    assert_int_equal(omma_onnx_tensor_file(&out, path, &arena, &err), OMMA_E_UNSUPPORTED);
    omma_arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_elsewhere),
        cmocka_unit_test(at_an_odd_byte),
        cmocka_unit_test(in_a_folder_below),
        cmocka_unit_test(mapped_once),
        cmocka_unit_test(unstable_files_are_copied),
        cmocka_unit_test(copies_are_charged),
        cmocka_unit_test(off_by_default),
        cmocka_unit_test(names_that_lead_out),
        cmocka_unit_test(files_that_are_not_plain),
        cmocka_unit_test(places_outside_the_file),
        cmocka_unit_test(contradictions),
        cmocka_unit_test(tensor_files_stay_alone),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

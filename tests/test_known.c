/* test_known.c - the table of known models is sound, their paths follow the environment by
 * the XDG rules, and SHA-256 gives the published digests. */
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

#include "file/bytes.h"
#include "file/fetch.h"
#include "file/sha256.h"
#include "task/install.h"
#include "task/known.h"

static char scratch[] = "/tmp/omma-known-XXXXXX";

/* --- the table ---------------------------------------------------------------------- */

static void check_file_row(const omma_known *k, const omma_known_file *f) {
    size_t name = strlen(f->name);
    assert_true(name > 0 && !strchr(f->name, '/') && f->name[0] != '.');
    assert_true(f->size > 0);
    assert_int_equal(strlen(f->sha256), 64);
    assert_int_equal(strspn(f->sha256, "0123456789abcdef"), 64);
    assert_true(!f->member == !k->npm);
    assert_true(!f->member != !f->urls);
    if (f->member) {
        assert_true(strlen(f->member) > name);
        assert_string_equal(f->member + strlen(f->member) - name, f->name);
        assert_null(strstr(f->member, ".."));
        assert_true(f->member[0] != '/' && f->member[0] != '-');
    }
    for (int i = 0; f->urls && f->urls[i]; i++) {
        assert_int_equal(strncmp(f->urls[i], "https://", 8), 0);
        assert_true(strlen(f->urls[i]) < OMMA_FETCH_ADDRESS);
    }
    if (f->urls) assert_non_null(f->urls[0]);
}

static void table_is_sound(void **state) {
    (void)state;
    int n;
    const omma_known *all = omma_known_list(&n);
    assert_true(n >= 2);
    for (int i = 0; i < n; i++) {
        const omma_known *k = &all[i];
        assert_int_equal(strspn(k->name, "abcdefghijklmnopqrstuvwxyz0123456789-"), strlen(k->name));
        assert_true(strlen(k->name) > 0 && strlen(k->name) < 100 && k->name[0] != '-');
        assert_ptr_equal(omma_known_find(k->name), k); /* so names are distinct */
        assert_true(!strcmp(k->task, "detect") || !strcmp(k->task, "read"));
        assert_true(*k->what && *k->licence && !strchr(k->what, '\n'));
        assert_int_equal(strncmp(k->source, "https://", 8), 0);
        if (k->npm) assert_true(strrchr(k->npm, '@') > k->npm);
        assert_true(k->file_count > 0);
        for (int j = 0; j < k->file_count; j++) {
            check_file_row(k, &k->files[j]);
            assert_ptr_equal(omma_known_file_of(k, k->files[j].role), &k->files[j]);
        }
    }
}

static void models_are_found(void **state) {
    (void)state;
    assert_null(omma_known_find("nothing"));
    assert_null(omma_known_find(""));
    assert_null(omma_known_for_task("sing"));
    assert_string_equal(omma_known_for_task("read")->name, "ppocrv4");
    assert_string_equal(omma_known_for_task("detect")->name, "deimv2-atto");
    assert_int_equal(omma_known_size(omma_known_find("deimv2-atto")), 2248408);
    assert_null(omma_known_file_of(omma_known_find("ppocrv4"), "model"));
    static const char *const roles[] = {"detector", "angle", "recogniser", "dictionary"};
    for (int i = 0; i < 4; i++)
        assert_non_null(omma_known_file_of(omma_known_find("ppocrv4"), roles[i]));
}

/* --- where they lie ------------------------------------------------------------------ */

static void surround(const char *models, const char *data, const char *home) {
    const char *const names[] = {"OMMA_MODELS", "XDG_DATA_HOME", "HOME"};
    const char *const values[] = {models, data, home};
    for (int i = 0; i < 3; i++) {
        if (values[i]) setenv(names[i], values[i], 1);
        else unsetenv(names[i]);
    }
}

static void root_is(const char *models, const char *data, const char *home, const char *expected) {
    char root[OMMA_KNOWN_PATH];
    omma_error err;
    surround(models, data, home);
    assert_int_equal(omma_known_root(root, sizeof root, &err), OMMA_OK);
    assert_string_equal(root, expected);
}

static void folder_follows_the_rules(void **state) {
    (void)state;
    root_is("/m", "/data", "/home/me", "/m");
    root_is("m/here", "/data", "/home/me", "m/here");
    root_is(NULL, "/data", "/home/me", "/data/omma/models");
    root_is("", "/data", NULL, "/data/omma/models");
    root_is(NULL, "data", "/home/me", "/home/me/.local/share/omma/models"); /* relative: ignored */
    root_is(NULL, "", "/home/me", "/home/me/.local/share/omma/models");
    root_is(NULL, NULL, "/home/me", "/home/me/.local/share/omma/models");
    char path[OMMA_KNOWN_PATH];
    omma_error err;
    surround(NULL, "data", NULL);
    assert_int_equal(omma_known_root(path, sizeof path, &err), OMMA_E_NOTFOUND);
    assert_non_null(strstr(err.message, "OMMA_MODELS"));
    surround(NULL, NULL, "home");
    assert_int_equal(omma_known_root(path, sizeof path, &err), OMMA_E_NOTFOUND);
}

static void paths_are_made(void **state) {
    (void)state;
    char path[OMMA_KNOWN_PATH], little[20];
    omma_error err;
    const omma_known *k = omma_known_find("ppocrv4");
    surround("/m", NULL, NULL);
    assert_int_equal(omma_known_folder(path, sizeof path, k, &err), OMMA_OK);
    assert_string_equal(path, "/m/ppocrv4");
    assert_int_equal(omma_known_path(path, sizeof path, k, "dictionary", &err), OMMA_OK);
    assert_string_equal(path, "/m/ppocrv4/ppocr_keys_v1.txt");
    assert_int_equal(omma_known_path(path, sizeof path, k, "model", &err), OMMA_E_NOTFOUND);
    assert_int_equal(omma_known_path(little, sizeof little, k, "dictionary", &err), OMMA_E_RANGE);
    char *deep = calloc(1, OMMA_KNOWN_PATH + 10);
    assert_non_null(deep);
    memset(deep, 'd', OMMA_KNOWN_PATH);
    surround(deep, NULL, NULL);
    assert_int_equal(omma_known_path(path, sizeof path, k, "dictionary", &err), OMMA_E_RANGE);
    assert_int_equal(omma_known_check(k, OMMA_KNOWN_SIZES, &err), OMMA_E_RANGE);
    free(deep);
}

/* --- is it there ---------------------------------------------------------------------- */

/* A file of that size in the scratch folder, all zero. */
static void put_zeros(const char *path, size_t size) {
    void *zeros = calloc(1, size ? size : 1);
    assert_non_null(zeros);
    assert_int_equal(omma_bytes_write(path, zeros, size, NULL), OMMA_OK);
    free(zeros);
}

static void checks_tell_what_is_wrong(void **state) {
    (void)state;
    const omma_known *k = omma_known_find("deimv2-atto");
    const omma_known_file *f = omma_known_file_of(k, "model");
    char path[OMMA_KNOWN_PATH], folder[OMMA_KNOWN_PATH];
    omma_error err;
    surround(scratch, NULL, NULL);
    assert_int_equal(omma_known_check(k, OMMA_KNOWN_SIZES, &err), OMMA_E_NOTFOUND);
    assert_non_null(strstr(err.message, "omma pull deimv2-atto"));
    assert_int_equal(omma_known_folder(folder, sizeof folder, k, &err), OMMA_OK);
    assert_int_equal(omma_folder_make(folder, &err), OMMA_OK);
    assert_int_equal(omma_known_path(path, sizeof path, k, "model", &err), OMMA_OK);
    put_zeros(path, 100);
    assert_int_equal(omma_known_check(k, OMMA_KNOWN_SIZES, &err), OMMA_E_FORMAT);
    assert_non_null(strstr(err.message, "omma pull deimv2-atto"));
    put_zeros(path, f->size);
    assert_int_equal(omma_known_check(k, OMMA_KNOWN_SIZES, &err), OMMA_OK);
    assert_int_equal(omma_known_check(k, OMMA_KNOWN_DIGESTS, &err), OMMA_E_FORMAT);
    assert_int_equal(omma_known_check_file(f, path, OMMA_KNOWN_DIGESTS, &err), OMMA_E_FORMAT);
    assert_non_null(strstr(err.message, f->name));
    assert_int_equal(omma_known_check(k, OMMA_KNOWN_DIGESTS, NULL), OMMA_E_FORMAT);
    unlink(path);
    assert_int_equal(mkdir(path, 0777), 0);
    assert_int_equal(omma_known_check(k, OMMA_KNOWN_SIZES, &err), OMMA_E_FORMAT);
    rmdir(path);
    rmdir(folder);
}

static void installing_wrong_bytes_leaves_nothing(void **state) {
    (void)state;
    const omma_known *k = omma_known_find("deimv2-atto");
    char wrong[OMMA_KNOWN_PATH], models[OMMA_KNOWN_PATH];
    snprintf(wrong, sizeof wrong, "%s/wrong.onnx", scratch);
    snprintf(models, sizeof models, "%s/models", scratch);
    put_zeros(wrong, k->files[0].size);
    surround(models, NULL, NULL);
    omma_install_options opt = {.from = wrong};
    omma_error err;
    bool fresh = true;
    assert_int_equal(omma_install(&fresh, k, &opt, &err), OMMA_E_FORMAT);
    assert_false(fresh);
    assert_int_equal(rmdir(models), 0); /* it is empty: no lock, no part */
    opt.from = scratch;
    assert_int_equal(omma_install(&fresh, k, &opt, &err), OMMA_E_NOTFOUND);
    volatile sig_atomic_t stop = 1;
    opt.stop = &stop;
    assert_int_equal(omma_install(&fresh, k, &opt, &err), OMMA_E_IO);
    assert_int_equal(rmdir(models), 0);
    unlink(wrong);
}

/* --- addresses --------------------------------------------------------------------------- */

static void address_is(const char *mirror, const char *expected) {
    char out[OMMA_FETCH_ADDRESS];
    omma_error err;
    setenv("OMMA_MIRROR", mirror, 1);
    omma_status status = omma_fetch_address(out, "https://example.org/a/b.onnx", &err);
    unsetenv("OMMA_MIRROR");
    if (!expected) {
        assert_int_equal(status, OMMA_E_USAGE);
        assert_non_null(strstr(err.message, "OMMA_MIRROR"));
    } else {
        assert_int_equal(status, OMMA_OK);
        assert_string_equal(out, expected);
    }
}

static void mirror_takes_the_place_of_the_host(void **state) {
    (void)state;
    address_is("", "https://example.org/a/b.onnx");
    address_is("http://127.0.0.1:8000", "http://127.0.0.1:8000/a/b.onnx");
    address_is("https://mirror.example/omma/", "https://mirror.example/omma/a/b.onnx");
    address_is("ftp://mirror.example", NULL);
    address_is("mirror.example", NULL);
    address_is("https://mirror.example/?q=", NULL);
    address_is("https://a b", NULL);
    address_is("file:///etc", NULL);
}

/* --- SHA-256: the examples of FIPS 180 ------------------------------------------------------ */

static void digest_is(const char *text, const char *expected) {
    char got[OMMA_SHA256_TEXT];
    omma_sha256_bytes(got, text, strlen(text));
    assert_string_equal(got, expected);
}

static void digests_are_the_published_ones(void **state) {
    (void)state;
    digest_is("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    digest_is("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    digest_is("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    char got[OMMA_SHA256_TEXT];
    omma_sha256_bytes(got, NULL, 0);
    assert_memory_equal(got, "e3b0c442", 8);
}

static void files_and_pipes_have_digests(void **state) {
    (void)state;
    char path[OMMA_KNOWN_PATH], got[OMMA_SHA256_TEXT] = "";
    size_t size = 0;
    omma_error err;
    snprintf(path, sizeof path, "%s/million", scratch);
    char *a = malloc(1000000);
    assert_non_null(a);
    memset(a, 'a', 1000000);
    assert_int_equal(omma_bytes_write(path, a, 1000000, &err), OMMA_OK);
    free(a);
    assert_int_equal(omma_sha256_file(got, &size, path, &err), OMMA_OK);
    assert_string_equal(got, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    assert_int_equal(size, 1000000);
    unlink(path);
    assert_int_equal(omma_sha256_file(got, NULL, path, &err), OMMA_E_IO);
    assert_int_equal(omma_sha256_file(got, NULL, scratch, &err), OMMA_E_IO);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "abc", 3), 3);
    close(ends[1]);
    assert_int_equal(omma_sha256_stream(got, &size, ends[0], "pipe", &err), OMMA_OK);
    close(ends[0]);
    assert_memory_equal(got, "ba7816bf", 8);
    assert_int_equal(size, 3);
}

int main(void) {
    if (!mkdtemp(scratch)) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_sound),
        cmocka_unit_test(models_are_found),
        cmocka_unit_test(folder_follows_the_rules),
        cmocka_unit_test(paths_are_made),
        cmocka_unit_test(checks_tell_what_is_wrong),
        cmocka_unit_test(installing_wrong_bytes_leaves_nothing),
        cmocka_unit_test(mirror_takes_the_place_of_the_host),
        cmocka_unit_test(digests_are_the_published_ones),
        cmocka_unit_test(files_and_pipes_have_digests),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(scratch);
    return failed;
}

/* test_output_names.c - a model names its outputs, and `omma run -o DIR` writes files of these
 * names: always in DIR, whatever the names say. */
#define _DEFAULT_SOURCE
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "file/npy.h"
#include "onnxmake.h"

/* What lies in a folder, names sorted by strcmp and joined by spaces; removed on the way. */
static void list(const char *folder, char *out) {
    struct dirent **names;
    int n = scandir(folder, &names, NULL, alphasort);
    assert_true(n >= 0);
    *out = 0;
    for (int i = 0; i < n; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
        if (strcmp(names[i]->d_name, ".") && strcmp(names[i]->d_name, "..")) {
            strcat(strcat(out, names[i]->d_name), " ");
            unlink(path);
        }
        free(names[i]);
    }
    free(names);
}

/* Run a model whose output has this name; what is in the folder then. */
static void files_of(const char *name, char *in_folder, char *beside) {
    char root[] = "/tmp/omma-test-XXXXXX", path[128], out[128], line[1024];
    mk g = {0};
    float one = 1;
    omma_tensor x = {OMMA_F32, 1, {1}, &one};
    assert_non_null(mkdtemp(root));
    snprintf(out, sizeof out, "%s/out", root);
    snprintf(path, sizeof path, "%s/x.npy", root);
    assert_int_equal(omma_npy_write(&x, path, NULL), 0);
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(1));
    mk_op(&g, "Neg", "x", name, NULL);
    mk_port(&g, MK_OUTPUT, name, OMMA_F32, MK_DIMS(1));
    mk m = mk_model(&g, 17);
    snprintf(path, sizeof path, "%s/m.onnx", root);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(m.data, m.size, 1, f), 1);
    fclose(f);
    mk_free(&m);
    snprintf(line, sizeof line, "cd %s && '%s' run m.onnx -i x=x.npy -o out >text 2>&1", root,
             getenv("OMMA"));
    if (system(line)) fail_msg("'%s': the run failed", name);
    list(out, in_folder);
    rmdir(out);
    list(root, beside);
    rmdir(root);
}

static void stay_in_the_folder(void **state) {
    (void)state;
    static const struct {
        const char *name, *file;
    } cases[] = {
        {"y", "y.npy "},
        {"../y", ".._y.npy "},
        {"../../../../tmp/y", ".._.._.._.._tmp_y.npy "},
        {"/tmp/y", "_tmp_y.npy "},
        {"..", "...npy "},
        {".", "..npy "},
        {"a\nb\x1b[2Jc\x7f", "a_b_[2Jc_.npy "},
        {"$(touch z);`touch z`|touch z", "$(touch z);`touch z`|touch z.npy "},
        {"-rf *", "-rf *.npy "},
    };
    if (!getenv("OMMA")) {
        print_message("SKIPPED: needs OMMA, the command\n");
        skip();
    }
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char in_folder[2048], beside[2048];
        files_of(cases[i].name, in_folder, beside);
        assert_string_equal(in_folder, cases[i].file);
        assert_string_equal(beside, "m.onnx text x.npy ");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(stay_in_the_folder)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

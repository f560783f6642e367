/* test_budget.c - the memory budget: --max-memory of the command as a process, whose peak
 * must stay below it, and the ceiling under it for pictures. A failure is one line that says
 * what was too much. */
#define _DEFAULT_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <stdio.h>
#include <cmocka.h>
#include <jpeglib.h>

#include "base/arena.h"
#include "file/image.h"
#include "file/npy.h"
#include "onnxmake.h"

enum { MIB = 1 << 20, PROCESS = 24 * MIB }; /* of a process that does nothing */

static char folder[64], model[96], small[96], column[96], huge[96];

static void put(const char *path, const void *data, size_t n) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    fclose(f);
}

/* y [16384, 8192] = x [16384, 1] + w [1, 8192]: 64 KiB in, 512 MiB out. */
static int set_up(void **state) {
    (void)state;
    static float w[16384];
    strcpy(folder, "/tmp/omma-test-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(model, sizeof model, "%s/large.onnx", folder);
    snprintf(small, sizeof small, "%s/small.onnx", folder);
    snprintf(column, sizeof column, "%s/x.npy", folder);
    snprintf(huge, sizeof huge, "%s/huge.npy", folder);
    for (int i = 0; i < 2; i++) {
        mk g = {0};
        mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(-1, 1));
        mk_floats(&g, "w", w, 2, (const int64_t[]){1, i ? 1 : 8192});
        mk_op(&g, "Add", "x,w", "y", NULL);
        mk_port(&g, MK_OUTPUT, "y", OMMA_F32, MK_DIMS(-1, -1));
        mk m = mk_model(&g, 17);
        put(i ? small : model, m.data, m.size);
        mk_free(&m);
    }
    omma_tensor x = {OMMA_F32, 2, {16384, 1}, w};
    if (omma_npy_write(&x, column, NULL)) return -1;
    /* an array of 1 GiB whose numbers are a hole in its file */
    char head[128];
    memset(head, ' ', sizeof head);
    memcpy(head, "\x93NUMPY\1\0\x76\0", 10);
    const char *dict = "{'descr': '<f4', 'fortran_order': False, 'shape': (268435456, 1), }";
    memcpy(head + 10, dict, strlen(dict));
    head[127] = '\n';
    put(huge, head, sizeof head);
    return truncate(huge, 128 + ((off_t)1 << 30));
}

static int tear_down(void **state) {
    (void)state;
    unlink(model), unlink(small), unlink(column), unlink(huge);
    return rmdir(folder);
}

typedef struct ended {
    int status;
    size_t peak; /* [bytes] */
    char said[4096];
} ended;

static void run(ended *e, const char *const *argv) {
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        dup2(open("/dev/null", O_WRONLY), 1);
        dup2(ends[1], 2);
        close(ends[0]), close(ends[1]);
        execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    close(ends[1]);
    size_t used = 0;
    for (ssize_t n; (n = read(ends[0], e->said + used, sizeof e->said - 1 - used)) > 0;)
        used += (size_t)n;
    e->said[used] = 0;
    close(ends[0]);
    struct rusage usage;
    assert_int_equal(wait4(pid, &status, 0, &usage), pid);
    e->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    e->peak = (size_t)usage.ru_maxrss * 1024;
}

#define RUN(e, ...) run(e, (const char *const[]){getenv("OMMA"), __VA_ARGS__, NULL})

static void need_command(void) {
    if (getenv("OMMA")) return;
    print_message("SKIPPED: needs OMMA, the command\n");
    skip();
}

/* Failed with one line that holds both words, within 64 MiB and the process itself. */
static void failed_below(const ended *e, const char *word, const char *other) {
    const char *end = strchr(e->said, '\n');
    if (e->status != 1 || !end || end[1] || !strstr(e->said, word) || !strstr(e->said, other))
        fail_msg("status %d, '%s'", e->status, e->said);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    if (e->peak > 64 * MIB + PROCESS) fail_msg("peak memory %zu", e->peak);
#endif
}

static void a_plan_too_large(void **state) {
    (void)state;
    need_command();
    char in[128];
    ended e;
    snprintf(in, sizeof in, "x=%s", column);
    RUN(&e, "run", model, "-i", in, "--max-memory", "64M");
    failed_below(&e, "budget is 64.0 MiB", "512.0 MiB");
    RUN(&e, "run", model, "-i", in, "--max-memory", "67108864");
    failed_below(&e, "budget is 64.0 MiB", "512.0 MiB");
    RUN(&e, "run", model, "-i", in, "--max-memory=65536k");
    failed_below(&e, "budget is 64.0 MiB", "512.0 MiB");
    RUN(&e, "info", model, "-i", "16384x1", "--max-memory", "64M");
    failed_below(&e, "budget is 64.0 MiB", "512.0 MiB");
    RUN(&e, "run", small, "-i", in, "--max-memory", "64M");
    if (e.status) fail_msg("a small model: %s", e.said);
    RUN(&e, "check", small, "--max-memory", "64M");
    if (e.status) fail_msg("check: %s", e.said);
    RUN(&e, "check", small, "--max-memory", "1K");
    failed_below(&e, "memory", "--max-memory allows");
}

static void an_input_too_large(void **state) {
    (void)state;
    need_command();
    char in[128];
    ended e;
    snprintf(in, sizeof in, "x=%s", huge);
    RUN(&e, "run", small, "-i", in, "--max-memory", "64M");
    failed_below(&e, "1073741824 bytes", "--max-memory allows 64.0 MiB");
}

static void sizes_that_are_none(void **state) {
    (void)state;
    need_command();
    static const char *const bad[] = {"lots", "0", "-1", "1T", "1MM", "M", "1e99", "nan", "inf"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ended e;
        RUN(&e, "check", small, "--max-memory", bad[i]);
        if (e.status != 2 || !strstr(e.said, "--max-memory wants a size"))
            fail_msg("%s: status %d, '%s'", bad[i], e.status, e.said);
    }
}

/* --- the ceiling ---------------------------------------------------------------------- */

static size_t held(void) {
    omma_mem_ceiling(SIZE_MAX);
    size_t n = SIZE_MAX - omma_mem_room();
    omma_mem_ceiling(0);
    return n;
}

static void ceiling_holds(void **state) {
    (void)state;
    const size_t before = held();
    void *p = omma_mem_alloc(MIB);
    assert_non_null(p);
    assert_in_range(held() - before, MIB, MIB + 4096);
    omma_mem_ceiling(held() + MIB);
    assert_null(omma_mem_alloc(MIB + 4096));
    assert_in_range(omma_mem_room(), MIB, MIB);
    void *q = omma_mem_alloc(MIB / 2);
    assert_non_null(q);
    assert_null(omma_mem_alloc(MIB));
    assert_null(omma_mem_alloc(SIZE_MAX));
    omma_mem_free(p), omma_mem_free(q), omma_mem_free(NULL);
    omma_mem_ceiling(0);
    assert_int_equal(held(), before);
    assert_true(omma_mem_room() == SIZE_MAX);
}

/* Every picture must fail cleanly below what it needs and be read with enough. */
static void pictures(void **state) {
    (void)state;
    static const struct {
        const char *name;
        double needs; /* times its RGB bytes, at least */
    } files[] = {{"rgb420.jpg", 1},
                 {"rgb8.png", 1},
                 {"lossy.webp", 1},
                 {"lossless.webp", 1.3},
                 {"alpha.webp", 1}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[512];
        omma_image img;
        omma_error err;
        struct stat st;
        snprintf(path, sizeof path, "%s/tests/golden/image/%s", OMMA_TREE, files[i].name);
        assert_int_equal(stat(path, &st), 0);
        if (omma_image_load(&img, path, &err)) fail_msg("%s", err.message);
        const size_t rgb = 3 * (size_t)img.width * (size_t)img.height;
        omma_image_free(&img);
        omma_mem_ceiling(held() + (size_t)st.st_size + (size_t)((double)rgb * files[i].needs) - 1);
        omma_status s = omma_image_load(&img, path, &err);
        if (s != OMMA_E_NOMEM) fail_msg("%s: status %d '%s'", files[i].name, (int)s, err.message);
        omma_mem_ceiling(held() + (size_t)st.st_size + 16 * rgb + MIB);
        if (omma_image_load(&img, path, &err)) fail_msg("%s", err.message);
        omma_image_free(&img);
        omma_mem_ceiling(0);
    }
}

/* A progressive JPEG is kept whole inside libjpeg, 2 bytes a sample: that counts too. */
static void progressive_pictures(void **state) {
    (void)state;
    enum { SIDE = 512 };
    static unsigned char row[SIDE * 3];
    unsigned char *file = NULL, *line = row;
    unsigned long size = 0;
    struct jpeg_compress_struct to;
    struct jpeg_error_mgr errors;
    to.err = jpeg_std_error(&errors);
    jpeg_create_compress(&to);
    jpeg_mem_dest(&to, &file, &size);
    to.image_width = to.image_height = SIDE;
    to.input_components = 3;
    to.in_color_space = JCS_RGB;
    jpeg_set_defaults(&to);
    jpeg_simple_progression(&to);
    jpeg_start_compress(&to, TRUE);
    while (to.next_scanline < SIDE) jpeg_write_scanlines(&to, &line, 1);
    jpeg_finish_compress(&to);
    jpeg_destroy_compress(&to);
    const size_t rgb = SIDE * SIDE * 3;
    omma_image img;
    omma_error err;
    omma_mem_ceiling(held() + rgb + 64 * 1024);
    assert_int_equal(omma_image_decode(&img, file, size, "made", &err), OMMA_E_NOMEM);
    omma_mem_ceiling(held() + 4 * rgb);
    if (omma_image_decode(&img, file, size, "made", &err)) fail_msg("%s", err.message);
    omma_mem_ceiling(0);
    omma_image_free(&img);
    free(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_plan_too_large),
                                       cmocka_unit_test(an_input_too_large),
                                       cmocka_unit_test(sizes_that_are_none),
                                       cmocka_unit_test(ceiling_holds),
                                       cmocka_unit_test(pictures),
                                       cmocka_unit_test(progressive_pictures)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

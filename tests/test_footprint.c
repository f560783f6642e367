/* test_footprint.c - the whole command's memory: `omma detect` on one picture, started as a
 * process, must stay below 80 MB at its peak. Needs OMMA_SHARED/models/deimv2_atto. */
#define _DEFAULT_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "shared.h"

static void detect_stays_small(void **state) {
    (void)state;
    char model[1024], picture[1024];
    const char *omma = getenv("OMMA");
#if defined(__SANITIZE_ADDRESS__)
    omma = NULL; /* shadow memory is not the command's */
#endif
    bool have =
        shared_path(model, sizeof model, "models/deimv2_atto/deimv2_hgnetv2_atto_coco.onnx");
    if (!omma || !have || !shared_path(picture, sizeof picture, "photos/coffee.png")) {
        print_message("SKIPPED: needs OMMA, shared/models/deimv2_atto and no sanitizer\n");
        skip();
    }
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        int null = open("/dev/null", O_WRONLY);
        dup2(null, 1);
        execl(omma, omma, "detect", "-m", model, picture, (char *)NULL);
        _exit(127);
    }
    int status;
    struct rusage usage;
    assert_int_equal(wait4(pid, &status, 0, &usage), pid);
    assert_int_equal(status, 0);
    print_message("peak memory %ld KB\n", usage.ru_maxrss);
    assert_true(usage.ru_maxrss < 80 * 1024);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(detect_stays_small)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

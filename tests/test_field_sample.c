/* test_field_sample.c - the fields of Resize, GridSample, RoiAlign and AffineGrid against what
 * changes. */
#include "fieldcheck.h"
#include "resizings.h"

static void exact(gradcheck *c) { fieldcheck_run(c, FIELDCHECK_EXACT); }

static void resize_modes(void **state) {
    (void)state;
    resize_each(exact);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(resize_modes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

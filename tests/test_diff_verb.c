/* test_diff_verb.c - `omma diff` as a user meets it: a model's values dumped by `omma run`, then
 * compared as they are, with one file changed, with files missing or broken. Needs OMMA, the
 * command (else omma in the folder above this program's). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "file/json.h"
#include "file/npy.h"
#include "onnxmake.h"

static char dir[] = "/tmp/omma-diff-XXXXXX"; /* the model, and a reference in ref/ */
static char omma[1024];
static char said[1 << 16]; /* stdout and stderr of the last command */

/* Run a command in dir; its exit status. */
static int sh(const char *fmt, ...) {
    char command[3000], whole[5000];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(command, sizeof command, fmt, ap);
    va_end(ap);
    snprintf(whole, sizeof whole, "cd '%s' && omma() { '%s' \"$@\"; } && (%s) 2>&1 </dev/null", dir,
             omma, command);
    FILE *f = popen(whole, "r");
    assert_non_null(f);
    said[fread(said, 1, sizeof said - 1, f)] = 0;
    int status = pclose(f);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

#define expect(status, ...)                                                          \
    do {                                                                             \
        int got_ = sh(__VA_ARGS__);                                                  \
        if (got_ != (status)) fail_msg("status %d, not %d: %s", got_, status, said); \
    } while (0)

static void says(const char *what) {
    if (!strstr(said, what)) fail_msg("does not say \"%s\": %s", what, said);
}

static void says_not(const char *what) {
    if (strstr(said, what)) fail_msg("says \"%s\": %s", what, said);
}

/* x: f32 [1,1,4,4] -> Conv c -> Relu /act/Relu_0 -> Add a (of itself) -> Sigmoid s -> Flatten y,
 * and TopK of it -> v, i. */
static void write_model(void) {
    mk g = {0}, attrs = {0};
    char path[64], to[128];
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(1, 1, 4, 4));
    mk_floats(&g, "w", (float[]){1, -2, 3, 0.5f}, MK_DIMS(1, 1, 2, 2));
    mk_ints(&g, "k", (int64_t[]){3}, 1);
    mk_op(&g, "Conv", "x,w", "c", NULL);
    mk_op(&g, "Relu", "c", "/act/Relu_0", NULL);
    mk_op(&g, "Add", "/act/Relu_0,/act/Relu_0", "a", NULL);
    mk_op(&g, "Sigmoid", "a", "s", NULL);
    mk_op(&g, "Flatten", "s", "y", NULL);
    mk_attr_int(&attrs, "axis", 1);
    mk_op(&g, "TopK", "y,k", "v,i", &attrs);
    mk_port(&g, MK_OUTPUT, "v", OMMA_F32, MK_DIMS(1, 3));
    mk_port(&g, MK_OUTPUT, "i", OMMA_I64, MK_DIMS(1, 3));
    mk m = mk_model(&g, 17);
    mk_write(path, &m);
    mk_free(&m);
    snprintf(to, sizeof to, "%s/m.onnx", dir);
    char command[300];
    snprintf(command, sizeof command, "mv '%s' '%s'", path, to);
    assert_int_equal(system(command), 0);
}

static void write_floats(const char *name, const float *data, int rank, const int64_t *dims) {
    char path[256];
    omma_error err;
    omma_tensor t = {OMMA_F32, rank, {0}, (void *)data};
    for (int i = 0; i < rank; i++) t.dims[i] = dims[i];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (omma_npy_write(&t, path, &err)) fail_msg("%s", err.message);
}

/* Add to one number of a float file. */
static void nudge(const char *name, int i, float by) {
    char path[256];
    omma_error err;
    omma_tensor t;
    omma_arena arena;
    omma_arena_init(&arena, NULL);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (omma_npy_read(&t, &arena, path, &err)) fail_msg("%s", err.message);
    assert_int_equal(t.dtype, OMMA_F32);
    ((float *)t.data)[i] += by;
    if (omma_npy_write(&t, path, &err)) fail_msg("%s", err.message);
    omma_arena_free(&arena);
}

/* A fresh reference: omma's own values. */
static int dump(void **state) {
    (void)state;
    expect(0, "rm -rf ref && omma run m.onnx -i x.npy -o ref -w c -w /act/Relu_0 -w a -w s -w y && "
              "cp x.npy ref");
    return 0;
}

static int begin(void **state) {
    (void)state;
    const char *given = getenv("OMMA");
    if (given) snprintf(omma, sizeof omma, "%s", given);
    else {
        char self[900];
        ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
        if (n <= 0) return 1;
        self[n] = 0;
        for (int up = 0; up < 2; up++) *strrchr(self, '/') = 0;
        snprintf(omma, sizeof omma, "%s/omma", self);
    }
    if (access(omma, X_OK) || !mkdtemp(dir)) return 1;
    float x[16];
    for (int i = 0; i < 16; i++) x[i] = (float)((i * 7 % 16) - 6) / 10;
    write_model();
    write_floats("x.npy", x, MK_DIMS(1, 1, 4, 4));
    return 0;
}

static int end(void **state) {
    (void)state;
    expect(0, "rm -rf '%s'", dir);
    return 0;
}

/* --- what agrees --------------------------------------------------------------------------- */

static void agrees(void **state) {
    (void)state;
    expect(0, "omma diff m.onnx --ref ref");
    says("m.onnx against ref: 7 values compared, all agree\n");
    says("every number is the same");
    expect(0, "omma diff m.onnx --ref ref --isolate --rtol 0 --atol 0");
    says("7 values compared, all agree; 6 of 6 nodes ran by themselves");
    nudge("ref/s.npy", 2, 1e-5f);
    expect(0, "omma diff m.onnx --ref ref");
    says("furthest off: 's' (Sigmoid)");
    expect(1, "omma diff m.onnx --ref ref --rtol 1e-7");
    expect(0, "omma diff m.onnx --ref ref --rtol 0 --atol 1e-4");
}

static void some_of_the_values(void **state) {
    (void)state;
    expect(0,
           "rm ref/c.npy ref/a.npy ref/s.npy ref/x.npy && omma diff m.onnx --ref ref -i x=x.npy");
    says("4 values compared, all agree; 3 without a reference");
    expect(0, "omma diff m.onnx --ref ref -i x.npy --isolate --all");
    says("agrees"); /* only the node whose inputs are all there: TopK of y */
    says("1 of 3 nodes ran by themselves");
}

/* --- what differs --------------------------------------------------------------------------- */

static void names_the_node(void **state) {
    (void)state;
    nudge("ref/a.npy", 4, 0.5f);
    expect(1, "omma diff m.onnx --ref ref");
    says("7 values compared, 1 differs");
    says("the first that differs: 'a' float32 [1, 1, 3, 3]\n");
    says("node       'Add:a' (Add), 3 of 6\n");
    says("at [0, 0, 1, 1]");
    says("difference 0.5,");
    says("1 of 9 differ");
    says("'/act/Relu_0' agrees exactly");
    says("given the reference's own inputs it differs too");
    /* the reference's own s does not follow from its a either */
    expect(1, "omma diff m.onnx --ref ref --isolate");
    says("2 differ");
    says("so this operator is what the two compute differently");
    says("' from the reference");
}

static void names_the_first(void **state) {
    (void)state;
    nudge("ref/v.npy", 0, 1);
    nudge("ref/_act_Relu_0.npy", 8, -1);
    nudge("ref/s.npy", 0, 1);
    expect(1, "omma diff m.onnx --ref ref --all");
    says("3 differ");
    says("the first that differs: '/act/Relu_0'");
    says("(Relu), 2 of 6");
    says("'c' agrees exactly");
    says("DIFFERS   1  ");
    says("agrees    0  ");
}

static void names_who_may_be(void **state) {
    (void)state;
    nudge("ref/s.npy", 0, 1);
    expect(1, "rm ref/a.npy ref/_act_Relu_0.npy && omma diff m.onnx --ref ref");
    says("the first that differs: 's'");
    says("'a' has no reference");
    says("one of these 3 nodes, between which there is no reference:\n  'Relu:/act/Relu_0' (Relu)\n"
         "  'Add:a' (Add)\n  'Sigmoid:s' (Sigmoid)\n");
}

static void write_ref(const char *name, omma_tensor t) {
    char path[256];
    omma_error err;
    snprintf(path, sizeof path, "%s/ref/%s", dir, name);
    if (omma_npy_write(&t, path, &err)) fail_msg("%s", err.message);
}

/* A choice among near equals goes another way: not the operator's fault. y ends in a tie but
 * for the tolerance, and the reference orders its two largest the other way round. */
static void says_whose_fault(void **state) {
    (void)state;
    char path[256];
    omma_error err;
    omma_arena arena;
    omma_tensor v, i;
    omma_arena_init(&arena, NULL);
    snprintf(path, sizeof path, "%s/ref/v.npy", dir);
    if (omma_npy_read(&v, &arena, path, &err)) fail_msg("%s", err.message);
    snprintf(path, sizeof path, "%s/ref/i.npy", dir);
    if (omma_npy_read(&i, &arena, path, &err)) fail_msg("%s", err.message);
    float *top = v.data, first = top[0];
    int64_t *at = i.data, was = at[0];
    nudge("ref/y.npy", (int)at[1], first * 1.0005f - top[1]); /* the second becomes the first */
    top[0] = first * 1.0005f, top[1] = first;
    at[0] = at[1], at[1] = was;
    write_ref("v.npy", v);
    write_ref("i.npy", i);
    omma_arena_free(&arena);
    expect(1, "omma diff m.onnx --ref ref --rtol 0.9"); /* so wide that only i differs */
    says("the first that differs: 'i' int64 [1, 3]");
    says("no fault of this operator");
    expect(1, "omma diff m.onnx --ref ref --rtol 0.9 --json");
    says("\"cause\": \"inputs\"");
}

static void other_shapes(void **state) {
    (void)state;
    float few[2] = {1, 2};
    write_floats("ref/s.npy", few, MK_DIMS(1, 2));
    expect(1, "omma diff m.onnx --ref ref");
    says("'s' float32 [1, 1, 3, 3]");
    says("reference  float32 [1, 2]: another shape");
    expect(0,
           "cp ref/i.npy keep && omma run m.onnx -i x.npy -w y -o r2 >/dev/null && rm ref/s.npy");
    expect(1, "cp ref/y.npy ref/i.npy && omma diff m.onnx --ref ref");
    says("'i' int64 [1, 3]");
    says("reference  float32 [1, 9]: another type and shape");
}

static void nan_differs(void **state) {
    (void)state;
    nudge("ref/c.npy", 3, NAN);
    expect(1, "omma diff m.onnx --ref ref");
    says("first odd  ");
    says("reference nan, at [0, 0, 1, 0]");
    says("1 of them NaN or infinite on one side only");
}

static void other_weights(void **state) {
    (void)state;
    write_floats("ref/w.npy", (float[]){1, -2, 3, 0.6f}, MK_DIMS(1, 1, 2, 2));
    expect(1, "omma diff m.onnx --ref ref");
    says("the first that differs: 'w'");
    says("other weights");
}

/* --- JSON -------------------------------------------------------------------------------- */

static void json(void **state) {
    (void)state;
    nudge("ref/a.npy", 4, 0.5f);
    expect(1, "touch ref/zzz.npy && omma diff m.onnx --ref ref --json --all");
    omma_error err;
    omma_json *root;
    if (omma_json_parse(&root, said, strlen(said), "out", &err)) fail_msg("%s", err.message);
    const omma_json *first = omma_json_get(root, "first");
    assert_string_equal(omma_json_as_text(omma_json_get(first, "value")), "a");
    assert_string_equal(omma_json_as_text(omma_json_get(first, "node")), "Add:a");
    assert_string_equal(omma_json_as_text(omma_json_get(first, "operator")), "Add");
    double largest;
    assert_true(omma_json_as_double(omma_json_get(first, "largest"), &largest));
    assert_true(largest > 0.4999 && largest < 0.5001);
    assert_int_equal(omma_json_count(omma_json_get(root, "values")), 7);
    assert_int_equal(omma_json_count(omma_json_get(root, "suspects")), 1);
    assert_int_equal(omma_json_count(omma_json_get(root, "unused_files")), 1);
    assert_string_equal(omma_json_as_text(omma_json_get(root, "cause")), "operator");
    omma_json_free(root);
}

/* --- what goes wrong ----------------------------------------------------------------------- */

static void used_wrongly(void **state) {
    (void)state;
    expect(2, "omma diff");
    expect(2, "omma diff m.onnx");
    says("--ref");
    expect(2, "omma diff m.onnx m.onnx --ref ref");
    expect(2, "omma diff m.onnx --ref ref --rtol -1");
    says("--rtol may not be negative");
    expect(2, "omma diff m.onnx --ref ref --rtol x");
    expect(0, "omma diff --help");
    says("usage: omma diff MODEL --ref DIR");
}

static void missing_things(void **state) {
    (void)state;
    expect(1, "omma diff m.onnx --ref nonesuch");
    says("nonesuch: cannot be listed");
    expect(1, "mkdir -p empty && omma diff m.onnx --ref empty");
    says("empty holds no .npy and no .pb file");
    says("x.npy");
    expect(1, "rm ref/x.npy && omma diff m.onnx --ref ref");
    says("the input 'x' is missing: ref has no file x.npy");
    expect(1, "rm -rf only && mkdir only && cp x.npy only && omma diff m.onnx --ref only");
    says("nothing but inputs in only is of a value inside m.onnx");
    expect(1, "cp x.npy only/act_Relu.npy && omma diff m.onnx --ref only");
    says("act_Relu.npy is near to '/act/Relu_0'");
    expect(0, "cp x.npy ref && cp x.npy ref/act_Relu.npy && omma diff m.onnx --ref ref");
    says("1 file is of no value of the model: act_Relu.npy (near to '/act/Relu_0')");
}

static void broken_files(void **state) {
    (void)state;
    expect(1, "echo no array >ref/s.npy && omma diff m.onnx --ref ref");
    says("ref/s.npy");
    says_not("differ");
    expect(1, "rm ref/s.npy && mkdir ref/s.npy && omma diff m.onnx --ref ref");
    says("ref/s.npy");
    expect(1, "rmdir ref/s.npy && head -c 20 /dev/urandom >ref/s.pb && omma diff m.onnx --ref ref");
    says("ref/s.pb");
    write_floats("ref/x.npy", (float[]){1, 2}, MK_DIMS(1, 2));
    expect(1, "rm ref/s.pb && omma diff m.onnx --ref ref");
    says("'x'");
    expect(1, "omma diff x.npy --ref ref");
    says("x.npy");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(agrees, dump),
        cmocka_unit_test_setup(some_of_the_values, dump),
        cmocka_unit_test_setup(names_the_node, dump),
        cmocka_unit_test_setup(names_the_first, dump),
        cmocka_unit_test_setup(names_who_may_be, dump),
        cmocka_unit_test_setup(says_whose_fault, dump),
        cmocka_unit_test_setup(other_shapes, dump),
        cmocka_unit_test_setup(nan_differs, dump),
        cmocka_unit_test_setup(other_weights, dump),
        cmocka_unit_test_setup(json, dump),
        cmocka_unit_test_setup(used_wrongly, dump),
        cmocka_unit_test_setup(missing_things, dump),
        cmocka_unit_test_setup(broken_files, dump),
    };
    return cmocka_run_group_tests(tests, begin, end);
}

/* test_hostile.c - real models, damaged: cut short at many places and with single bytes
 * changed, anywhere and in their structure (what is not numbers of a weight). Whatever
 * comes out must be an answer or a clean error, soon, and within the memory allowed. Needs
 * OMMA_SHARED/models/deimv2_atto and the installed ppocrv4; skipped without. Argument: how
 * many changes of each kind. */
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "file/bytes.h"
#include "model/inspect.h"
#include "onnxmake.h"
#include "shared.h"
#include "task/known.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
enum { SLOW = 1, PATIENCE = 240 };
#else
enum { SLOW = 0, PATIENCE = 60 }; /* [s] */
#endif

enum { BUDGET = 512 << 20, PLACES = 64, SMALL = 32 };

static long changes = 1000;
static char path[64];     /* the temporary file */
static char current[256]; /* what is tried: printed should the process die of it */

/* --- a death is told --------------------------------------------------------------------- */

static void tell(void) {
    ssize_t n = write(2, current, strlen(current));
    (void)n;
}

static void die(int signal_) {
    tell();
    _exit(128 + signal_);
}

static void watch_for_death(void) {
    signal(SIGALRM, die);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_set_death_callback(tell);
#else
    signal(SIGSEGV, die), signal(SIGBUS, die), signal(SIGFPE, die), signal(SIGABRT, die);
#endif
}

/* --- one attempt ------------------------------------------------------------------------- */

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void check_error(omma_status s, const omma_error *err) {
    if (s != err->status || !*err->message || strchr(err->message, '\n') ||
        strlen(err->message) >= sizeof err->message)
        fail_msg("%s: status %d, message '%s'", current, (int)s, err->message);
}

static int64_t whole = 640;    /* what integer inputs hold */
static size_t budget = BUDGET; /* a model's, and a session's */

/* Numbers for the inputs; false when one is too large to bother. */
static bool fill(omma_tensor *in, int n, omma_arena *arena) {
    for (int i = 0; i < n; i++) {
        int64_t count = omma_tensor_count(&in[i]);
        if (count < 0 || count > 1 << 22) return false;
        in[i].data = omma_arena_array(arena, (size_t)count, omma_dtype_size(in[i].dtype));
        assert_non_null(in[i].data);
        for (int64_t k = 0; k < count; k++)
            if (in[i].dtype == OMMA_F32) ((float *)in[i].data)[k] = sinf((float)k * 0.01f);
            else if (in[i].dtype == OMMA_I64) ((int64_t *)in[i].data)[k] = whole;
    }
    return true;
}

/* How far the file gets: 0 not opened, 1 not made ready, 2 ready, 3 run. */
static int attempt_stages(bool run) {
    const omma_options opt = {.max_memory = budget, .threads = 2};
    omma_error err = {0};
    omma_model *m = NULL;
    omma_session *s = NULL;
    omma_inspection x = {0};
    omma_tensor *in = NULL;
    omma_arena arena;
    bool open;
    int stage = 0;
    omma_arena_init(&arena, NULL);
    omma_status status = omma_model_open(&m, path, &opt, &err);
    if (!status) {
        stage = 1;
        status = omma_inspect_shapes(&in, m, SMALL, &open, &arena, &err);
    }
    if (!status && run && fill(in, omma_model_input_count(m), &arena)) {
        status = omma_session_new(&s, m, &opt, &err);
        if (!status) status = omma_session_run(s, in, omma_model_input_count(m), &err);
        if (!status) stage = 3;
    } else if (!status) {
        status = omma_inspect(&x, m, in, &err);
        if (!status) stage = 2;
    }
    if (status) check_error(status, &err);
    if (status && strstr(current, "sound")) print_message("%s\n", err.message);
    omma_inspection_free(&x);
    omma_session_free(s);
    omma_model_free(m);
    omma_arena_free(&arena);
    return stage;
}

static double slowest;

static int attempt(bool run) {
    double start = seconds();
    alarm(PATIENCE * 2);
    int stage = attempt_stages(run);
    alarm(0);
    double took = seconds() - start;
    if (took > PATIENCE) fail_msg("%s: took %.1f s", current, took);
    if (took > slowest) slowest = took;
    return stage;
}

/* --- damage ------------------------------------------------------------------------------ */

static uint32_t seed;

static uint32_t rnd(uint32_t n) {
    seed = seed * 1664525u + 1013904223u;
    uint32_t high = seed >> 16;
    seed = seed * 1664525u + 1013904223u;
    return (high << 16 | seed >> 16) % n;
}

/* Which bytes are numbers of weights. */
static unsigned char *map_numbers(const omma_bytes *file) {
    unsigned char *numbers = test_calloc(file->size, 1);
    omma_model *m;
    omma_error err;
    if (omma_model_open(&m, path, NULL, &err)) fail_msg("%s", err.message);
    for (int i = 0; i < m->graph->n_values; i++) {
        const omma_value *v = m->graph->values[i];
        const unsigned char *p = v->data;
        if (!p || p < m->file.data || p >= m->file.data + m->file.size) continue;
        memset(numbers + (p - m->file.data), 1, omma_value_bytes(v));
    }
    omma_model_free(m);
    return numbers;
}

static void poke(int fd, size_t at, unsigned char c) {
    assert_int_equal(pwrite(fd, &c, 1, (off_t)at), 1);
}

static void cuts(int fd, const omma_bytes *file, const char *name) {
    for (size_t i = 0; i < PLACES; i++) {
        size_t at = file->size / PLACES * i + rnd((uint32_t)(file->size / PLACES));
        if (i < 8) at = i; /* the very first bytes too */
        snprintf(current, sizeof current, "%s, cut after %zu bytes", name, at);
        assert_int_equal(ftruncate(fd, (off_t)at), 0);
        if (attempt(false)) fail_msg("%s: was accepted", current);
    }
    for (size_t done = 0; done < file->size;) {
        ssize_t n = pwrite(fd, file->data + done, file->size - done, (off_t)done);
        assert_true(n > 0);
        done += (size_t)n;
    }
}

/* Change bytes, one at a time; every run_each-th file that opens is run. */
static void flips(int fd, const omma_bytes *file, const unsigned char *numbers, const char *name,
                  int run_each) {
    int stages[4] = {0};
    for (long i = 0; i < 2 * changes; i++) {
        size_t at = rnd((uint32_t)file->size);
        while (i >= changes && numbers[at]) at = rnd((uint32_t)file->size);
        unsigned char c = (unsigned char)(rnd(2) ? file->data[at] ^ 1u << rnd(8) : rnd(256));
        snprintf(current, sizeof current, "%s, byte %zu is %u", name, at, c);
        poke(fd, at, c);
        stages[attempt(i % run_each == 0)]++;
        poke(fd, at, file->data[at]);
    }
    print_message(
        "%s: %d not opened, %d not made ready, %d ready, %d run; the slowest took %.2f s\n", name,
        stages[0], stages[1], stages[2], stages[3], slowest);
}

static void damage(const char *source, const char *name, int run_each) {
    omma_bytes file;
    omma_error err;
    if (omma_bytes_map(&file, source, &err)) fail_msg("%s", err.message);
    strcpy(path, "/tmp/omma-test-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    seed = 1, slowest = 0;
    cuts(fd, &file, name);
    snprintf(current, sizeof current, "%s, sound", name);
    assert_int_equal(attempt(true), 3);
    unsigned char *numbers = map_numbers(&file);
    flips(fd, &file, numbers, name, run_each);
    test_free(numbers);
    close(fd);
    unlink(path);
    omma_bytes_free(&file);
    struct rusage use;
    assert_int_equal(getrusage(RUSAGE_SELF, &use), 0);
    print_message("most memory at a time %ld MiB\n", use.ru_maxrss >> 10);
    if (!SLOW)
        assert_true(use.ru_maxrss < 3 * (BUDGET >> 10)); /* a model's, a session's, and the rest */
}

static void detector(void **state) {
    (void)state;
    char source[1024];
    if (!shared_path(source, sizeof source, "models/deimv2_atto/deimv2_hgnetv2_atto_coco.onnx")) {
        print_message("SKIPPED: no shared/models/deimv2_atto\n");
        skip();
    }
    damage(source, "deimv2_atto", SLOW ? 40 : 4);
}

static void reader(void **state) {
    (void)state;
    char source[OMMA_KNOWN_PATH];
    const omma_known *k = omma_known_find("ppocrv4");
    if (!k || omma_known_path(source, sizeof source, k, "detector", NULL) || access(source, R_OK)) {
        print_message("SKIPPED: ppocrv4 is not installed (omma pull ppocrv4)\n");
        skip();
    }
    damage(source, "ppocrv4", SLOW ? 10 : 2);
}

/* --- every bit of a small model ---------------------------------------------------------- */

/* A node of attributes "name=1,2" (integers), "name=1." (a float), "name='text" or a lone
 * integer "name:1", with ';' between. */
static void node(mk *g, const char *op, const char *in, const char *out, const char *attrs) {
    mk list = {0};
    char part[128];
    for (const char *p = attrs; *p; p += strspn(p, ";")) {
        size_t n = strcspn(p, ";");
        snprintf(part, sizeof part, "%.*s", (int)n, p);
        p += n;
        char *v = strpbrk(part, "=:"), kind = *v;
        *v++ = 0;
        int64_t ints[8];
        int k = 0;
        if (*v == '\'') mk_attr_str(&list, part, v + 1);
        else if (strchr(v, '.')) mk_attr_float(&list, part, strtof(v, NULL));
        else if (kind == ':') mk_attr_int(&list, part, strtoll(v, NULL, 10));
        else {
            for (char *at = v; *at && k < 8; at += *at == ',') ints[k++] = strtoll(at, &at, 10);
            mk_attr_ints(&list, part, ints, k);
        }
    }
    mk_op(g, op, in, out, &list);
    char *name = strdup(out), *save;
    for (char *o = strtok_r(name, ",", &save); o; o = strtok_r(NULL, ",", &save))
        mk_port(g, MK_OUTPUT, o, OMMA_NONE, -1, NULL);
    free(name);
}

/* Operators of every kind on x: f32 [1,4,6,6], m: f32 [3,4] and i: i64 [2]; all of their
 * values are outputs. */
static mk zoo(void) {
    mk g = {0};
    static const float v[128] = {0.5f, -0.25f, 1, 0.75f, -1, 0.125f, 2, -0.5f, 0.3f, 0.6f};
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(1, 4, 6, 6)),
        mk_port(&g, MK_INPUT, "m", OMMA_F32, MK_DIMS(3, 4));
    mk_port(&g, MK_INPUT, "i", OMMA_I64, MK_DIMS(2));
    mk_floats(&g, "w", v, MK_DIMS(4, 1, 3, 3)), mk_floats(&g, "w1", v, MK_DIMS(2, 4, 1, 1)),
        mk_floats(&g, "c", v, MK_DIMS(4));
    mk_floats(&g, "wt", v, MK_DIMS(4, 2, 2, 2)), mk_floats(&g, "mm", v, MK_DIMS(4, 4)),
        mk_floats(&g, "lo", v + 1, MK_SCALAR);
    mk_floats(&g, "hi", v, MK_SCALAR),
        mk_floats(&g, "scales", (float[]){1, 1, 2, 1.5f}, MK_DIMS(4));
    mk_floats(&g, "grid", v, MK_DIMS(1, 2, 2, 2)), mk_floats(&g, "none", NULL, MK_DIMS(0));
    mk_ints(&g, "i0", (int64_t[]){0}, 1), mk_ints(&g, "i1", (int64_t[]){1}, 1),
        mk_ints(&g, "i2", (int64_t[]){2}, 1);
    mk_ints(&g, "pads", (int64_t[]){0, 0, 1, 2, 0, 0, 0, 1}, 8),
        mk_ints(&g, "size", (int64_t[]){1, 4, 3, 9}, 4);
    mk_ints(&g, "flat", (int64_t[]){1, 4, -1}, 3), mk_ints(&g, "full", (int64_t[]){2, 3, 4}, 3),
        mk_ints(&g, "parts", (int64_t[]){1, 3}, 2);
    mk_ints(&g, "twice", (int64_t[]){1, 2}, 2), mk_ints(&g, "back", (int64_t[]){-1}, 1),
        mk_ints(&g, "far", (int64_t[]){-9}, 1);
    mk_raw(&g, "at", OMMA_I64, (int64_t[]){0, 2, 1, 1}, MK_DIMS(2, 2)),
        mk_raw(&g, "d", OMMA_I64, (int64_t[]){3}, MK_SCALAR);
    mk_raw(&g, "start", OMMA_I64, (int64_t[]){1}, MK_SCALAR),
        mk_raw(&g, "limit", OMMA_I64, (int64_t[]){9}, MK_SCALAR);
    mk_raw(&g, "which", OMMA_BOOL, "\1\0\1\0", MK_DIMS(4));
    node(&g, "Conv", "x,w,c", "a1",
         "group:4;pads=1,1,1,1;strides=2,1;dilations=1,1;kernel_shape=3,3");
    node(&g, "Conv", "x,w1", "a2", "auto_pad='SAME_UPPER"), node(&g, "Relu", "a2", "a3", "");
    node(&g, "ConvTranspose", "x,wt", "a4", "strides=2,2;output_padding=1,0"),
        node(&g, "BatchNormalization", "x,c,c,c,c", "a5", "epsilon=2.");
    node(&g, "MaxPool", "x", "a6,a7", "kernel_shape=2,3;strides=2,2;ceil_mode:1"),
        node(&g, "AveragePool", "x", "a8", "kernel_shape=3,3;pads=1,1,0,0");
    node(&g, "GlobalAveragePool", "x", "a9", ""),
        node(&g, "InstanceNormalization", "x,c,c", "b1", "epsilon=1.");
    node(&g, "LayerNormalization", "m,c,c", "b2", "axis:-1"),
        node(&g, "Resize", "x,none,scales", "b3",
             "mode='linear;coordinate_transformation_mode='half_pixel");
    node(&g, "Resize", "x,,,size", "b4", "mode='cubic;cubic_coeff_a=-0.5"),
        node(&g, "Pad", "x,pads", "b5", "mode='reflect");
    node(&g, "Slice", "x,back,far,i2,back", "b6", ""),
        node(&g, "Split", "x,parts", "b7,b8", "axis:1"), node(&g, "Concat", "x,b7", "b9", "axis:1");
    node(&g, "Transpose", "x", "c1", "perm=0,2,3,1"), node(&g, "Reshape", "x,flat", "c2", ""),
        node(&g, "Flatten", "x", "c3", "axis:2");
    node(&g, "Unsqueeze", "m,i1", "c4", ""), node(&g, "Squeeze", "c4,i1", "c5", ""),
        node(&g, "Expand", "m,full", "c6", "");
    node(&g, "Tile", "m,twice", "c7", ""), node(&g, "Gather", "m,i", "c8", "axis:1"),
        node(&g, "GatherElements", "m,at", "c9", "axis:0");
    node(&g, "GatherND", "m,at", "d1", "batch_dims:0"),
        node(&g, "ScatterND", "m,at,lo2", "d2", "reduction='add");
    node(&g, "ScatterElements", "m,at,d3", "d4", "axis:1"),
        node(&g, "TopK", "m,i2", "d5,d6", "axis:1;largest:0");
    node(&g, "ArgMax", "x", "d7", "axis:2;keepdims:0;select_last_index:1"),
        node(&g, "ReduceMean", "x", "d8", "axes=1,-1;keepdims:0");
    node(&g, "ReduceSum", "x,i1", "d9", "keepdims:1"), node(&g, "Softmax", "x", "e1", "axis:1"),
        node(&g, "Einsum", "m,mm", "e2", "equation='ij,jk->ik");
    node(&g, "Gemm", "m,mm,c", "e3", "alpha=0.5;beta=2.;transB:1"),
        node(&g, "MatMul", "m,mm", "e4", ""), node(&g, "Clip", "e4,lo,hi", "e5", "");
    node(&g, "GridSample", "x,grid", "e6", "mode='bilinear;padding_mode='border;align_corners:1"),
        node(&g, "DepthToSpace", "x", "e7", "blocksize:2;mode='CRD");
    node(&g, "SpaceToDepth", "x", "e8", "blocksize:2"),
        node(&g, "CumSum", "m,i1", "e9", "exclusive:1;reverse:1"),
        node(&g, "Where", "which,m,mm2", "f1", "");
    node(&g, "Cast", "m", "f2", "to:7"), node(&g, "OneHot", "i,d,pair", "f3", "axis:0"),
        node(&g, "Range", "start,limit,d", "f4", "");
    node(&g, "ConstantOfShape", "full", "f5", ""), node(&g, "Trilu", "m", "f6", "upper:0"),
        node(&g, "EyeLike", "m", "f7", "dtype:1;k:1");
    node(&g, "PRelu", "m,c", "f8", ""), node(&g, "Mod", "i,i2", "f9", "fmod:0"),
        node(&g, "Pow", "m,c", "g1", ""), node(&g, "Dropout", "m", "g2,g3", "");
    node(&g, "Shape", "x", "g4", "start:1;end:-1"), node(&g, "Size", "x", "g5", ""),
        node(&g, "LeakyRelu", "x", "g6", "alpha=0.1"), node(&g, "Mean", "m,c,hi", "g7", "");
    return g;
}

static mk old_zoo(void) {
    mk g = zoo();
    /* what the nodes above read that is named after them */
    mk_floats(&g, "lo2", (float[]){1, 2}, MK_DIMS(2)),
        mk_floats(&g, "d3", (float[]){1, 2, 3, 4}, MK_DIMS(2, 2));
    mk_floats(&g, "mm2", (float[]){9}, MK_DIMS(1)),
        mk_floats(&g, "pair", (float[]){0, 1}, MK_DIMS(2));
    return mk_model(&g, 17);
}

/* The same for operators of later sets. */
static mk new_zoo(void) {
    mk g = {0};
    static const float v[512] = {0.5f, -0.25f, 1, 0.75f, -1, 0.125f, 2, -0.5f, 0.3f, 0.6f};
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(1, 4, 6, 6)),
        mk_port(&g, MK_INPUT, "m", OMMA_F32, MK_DIMS(3, 4));
    mk_port(&g, MK_INPUT, "q", OMMA_F32, MK_DIMS(1, 2, 3, 4)),
        mk_port(&g, MK_INPUT, "s", OMMA_F32, MK_DIMS(5, 1, 4));
    mk_floats(&g, "c", v, MK_DIMS(4)), mk_floats(&g, "gw", v, MK_DIMS(1, 9, 4)),
        mk_floats(&g, "gr", v, MK_DIMS(1, 9, 3));
    mk_floats(&g, "lw", v, MK_DIMS(1, 12, 4)), mk_floats(&g, "lr", v, MK_DIMS(1, 12, 3)),
        mk_floats(&g, "rois", v, MK_DIMS(2, 4));
    mk_floats(&g, "dw", v, MK_DIMS(2, 4, 2, 2)), mk_floats(&g, "off", v, MK_DIMS(1, 8, 5, 5)),
        mk_floats(&g, "k", v, MK_DIMS(1, 2, 5, 4));
    mk_floats(&g, "mask", v, MK_DIMS(3, 5)), mk_ints(&g, "image", (int64_t[]){4, 3}, 2),
        mk_ints(&g, "block", (int64_t[]){2, 1}, 2);
    mk_floats(&g, "col", v, MK_DIMS(1, 4, 9)), mk_ints(&g, "batch", (int64_t[]){0, 0}, 2),
        mk_ints(&g, "crop", (int64_t[]){3, 8}, 2);
    node(&g, "LRN", "x", "a1", "size:3;alpha=0.1;beta=0.5;bias=1."),
        node(&g, "RoiAlign", "x,rois,batch", "a2",
             "output_height:2;output_width:3;sampling_ratio:2;spatial_scale=0.5");
    node(&g, "GRU", "s,gw,gr", "a3,a4", "hidden_size:3;linear_before_reset:1"),
        node(&g, "LSTM", "s,lw,lr", "a5,a6,a7", "hidden_size:3;direction='forward");
    node(&g, "Col2Im", "col,image,block", "a8", "strides=1,1;pads=0,0,0,0"),
        node(&g, "CenterCropPad", "x,crop", "a9", "axes=2,3");
    node(&g, "DeformConv", "x,dw,off", "b1", "kernel_shape=2,2;strides=1,1"),
        node(&g, "RMSNormalization", "m,c", "b2", "axis:-1;epsilon=0.1");
    node(&g, "Attention", "q,k,k,mask", "b3", "is_causal:1;scale=0.5;softcap=2."),
        node(&g, "GroupNormalization", "x,c,c", "b4", "num_groups:2");
    node(&g, "Swish", "x", "b5", "alpha=2."), node(&g, "Gelu", "x", "b6", "approximate='tanh"),
        node(&g, "LpNormalization", "m", "b7", "axis:1;p:1");
    node(&g, "HardSigmoid", "x", "b8", "alpha=0.5;beta=0.1"),
        node(&g, "ReduceMax", "x,block", "b9", "keepdims:0;noop_with_empty_axes:1");
    return mk_model(&g, 24);
}

static void every_bit(mk m) {
    int stages[4] = {0};
    mk_write(path, &m);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    slowest = 0, whole = 1;
    budget = 4 << 20; /* what is asked for may be large, but not too large to wait for */
    snprintf(current, sizeof current, "the zoo, sound");
    assert_int_equal(attempt(true), 3);
    for (size_t i = 0; i < m.size * 8; i++) {
        unsigned char c = (unsigned char)(m.data[i / 8] ^ 1u << i % 8);
        snprintf(current, sizeof current, "the zoo, byte %zu is %u", i / 8, c);
        poke(fd, i / 8, c);
        stages[attempt(true)]++;
        poke(fd, i / 8, m.data[i / 8]);
    }
    print_message("the zoo of %zu bytes: %d not opened, %d not made ready, %d ready, %d run; the "
                  "slowest took %.2f s\n",
                  m.size, stages[0], stages[1], stages[2], stages[3], slowest);
    whole = 640, budget = BUDGET;
    close(fd);
    unlink(path);
    mk_free(&m);
}

static void every_bit_old(void **state) { (void)state, every_bit(old_zoo()); }
static void every_bit_new(void **state) { (void)state, every_bit(new_zoo()); }

/* --- files that are no models ------------------------------------------------------------ */

static void refused(const char *name, omma_status want, const char *says) {
    omma_error err = {0};
    omma_model *m = NULL;
    double start = seconds();
    snprintf(current, sizeof current, "%s", name);
    alarm(PATIENCE * 2);
    omma_status s = omma_model_open(&m, name, NULL, &err);
    alarm(0);
    if (s != want || !strstr(err.message, says) || !strstr(err.message, name))
        fail_msg("%s: %d: %s", name, (int)s, err.message);
    check_error(s, &err);
    assert_null(m);
    assert_true(seconds() - start < 2);
}

static void no_models(void **state) {
    (void)state;
    char folder[] = "/tmp/omma-test-XXXXXX", file[64];
    assert_non_null(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/x.onnx", folder);
    refused(folder, OMMA_E_IO, "is a folder");
    refused(file, OMMA_E_IO, "cannot open");
    refused("/dev/null", OMMA_E_IO, "is not a regular file");
    refused("/dev/zero", OMMA_E_IO, "is not a regular file");
    assert_int_equal(mkfifo(file, 0600), 0);
    refused(file, OMMA_E_IO, "is not a regular file");
    unlink(file);
    int fd = open(file, O_RDWR | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    refused(file, OMMA_E_FORMAT, "is empty");
    assert_int_equal(write(fd, "Dear reader,\n\nthis is a letter.\n", 32), 32);
    refused(file, OMMA_E_FORMAT, "byte 0");
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(ftruncate(fd, 1000), 0);
    refused(file, OMMA_E_FORMAT, "byte 0");
    assert_int_equal(ftruncate(fd, (off_t)1 << 30), 0); /* a hole */
    refused(file, OMMA_E_FORMAT, "byte 0");
    assert_int_equal(pwrite(fd, "\x3a\xff\xff\xff\xff\x03", 6, 0),
                     6); /* a graph of nearly all of it */
    refused(file, OMMA_E_FORMAT, "byte 0");
    close(fd);
    unlink(file);
    rmdir(folder);
}

int main(int argc, char **argv) {
    if (argc > 1) changes = strtol(argv[1], NULL, 10);
    watch_for_death();
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_models), cmocka_unit_test(every_bit_old),
                                       cmocka_unit_test(every_bit_new), cmocka_unit_test(detector),
                                       cmocka_unit_test(reader)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_onnx_nodes.c - the ONNX project's node tests, every one, against the manifest.
 *
 * tests/node_tests.txt says of each test whether omma passes it, and if not, why not. The
 * manifest must be right in both directions: a test it calls passed that does not pass is a
 * fault of omma's, one it calls not supported that does pass is a fault of the manifest's, and
 * so is a test it does not list or lists in vain. A test that runs and gives wrong numbers
 * always fails.
 *
 * The suites: OMMA_SHARED/onnx/node_tests.tgz, the last state of the ONNX project's; and those
 * of 1.12 that Debian's libonnx-testdata installs, among them whole small models that PyTorch
 * exported. A suite is skipped where it is absent.
 *
 *     test_onnx_nodes            every suite
 *     test_onnx_nodes PART       only the tests whose name contains PART; says of each that
 *                                does not pass why
 *     test_onnx_nodes --write    write the manifest anew from what passes today */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "nodemanifest.h"
#include "nodetest.h"
#include "shared.h"

#define MANIFEST OMMA_TREE "/tests/node_tests.txt"
#define DEBIAN "/usr/share/libonnx-testdata/data"

static manifest lines;
static const char *only; /* part of a name */
static bool writing;

/* One suite: where it is, how its lines begin, what came out. */
typedef struct suite {
    const char *prefix;
    bool shares; /* a test of another state of the main suite: its line holds here too */
    char folder[NODETEST_PATH];
    int total, passed, wrong, faults;
    char *vision; /* the list of the tests of vision operators, or NULL */
    int vision_total, vision_passed;
} suite;

static bool in_vision(const suite *s, const char *name) {
    size_t size = strlen(name);
    for (const char *p = s->vision; p && (p = strstr(p, name)); p++)
        if ((p == s->vision || p[-1] == '\n') && (p[size] == '\n' || !p[size])) return true;
    return false;
}

/* --- one test -------------------------------------------------------------------- */

/* Put into the manifest what came out. A line of its own only where the main suite's is wrong. */
static void correct(suite *s, const char *own, const char *name, nodetest_result r,
                    const char *why) {
    manifest_line *l = manifest_find(&lines, own);
    bool faulty = r == NODETEST_WRONG &&
                  (strstr(why, "is bfloat16 of rank") || (l && l->verdict == MANIFEST_FAULTY));
    manifest_verdict verdict = r == NODETEST_REFUSED ? MANIFEST_NOT
                               : faulty              ? MANIFEST_FAULTY
                                                     : MANIFEST_PASS;
    const manifest_line *general = s->shares ? manifest_find(&lines, name) : NULL;
    if (general && general->verdict == verdict) { /* a line of its own says nothing more */
        if (l) *l = lines.lines[--lines.count];
        return;
    }
    if (!l) l = manifest_add(&lines, own);
    assert_non_null(l);
    l->verdict = verdict;
    l->seen = true;
    if (verdict != MANIFEST_PASS) manifest_reason(l->reason, why);
}

static const char *fault_of(const manifest_line *l, nodetest_result r) {
    if (r == NODETEST_WRONG) return l && l->verdict == MANIFEST_FAULTY ? NULL : "wrong";
    if (!l) return "it is not in the manifest";
    if ((int)r == (int)l->verdict) return NULL;
    return r == NODETEST_PASSED ? "it passes, and the manifest says not: correct the manifest"
                                : "refused, and the manifest says otherwise";
}

static void check(suite *s, const char *name) {
    char own[400], why[NODETEST_WHY];
    snprintf(own, sizeof own, "%s%s", s->prefix, name);
    nodetest_result r = nodetest_run(s->folder, name, why);
    if (writing) correct(s, own, name, r, why);
    manifest_line *l = manifest_find(&lines, own);
    if (!l && s->shares) l = manifest_find(&lines, name);
    if (l) l->seen = true;
    s->total++;
    s->passed += r == NODETEST_PASSED;
    s->wrong += r == NODETEST_WRONG;
    bool vision = in_vision(s, name);
    s->vision_total += vision;
    s->vision_passed += vision && r == NODETEST_PASSED;
    const char *fault = fault_of(l, r);
    s->faults += fault != NULL;
    if (fault) print_message("%s: %s%s%s\n", own, fault, *why ? ": " : "", why);
    else if (only && r) print_message("%s: refused: %s\n", own, why);
}

/* --- one suite ------------------------------------------------------------------- */

static bool is_line_of(const suite *s, const manifest_line *l) {
    size_t size = strlen(s->prefix);
    return size ? !strncmp(l->name, s->prefix, size) : !strchr(l->name, '/');
}

/* Lines whose test is not there: a fault, or dropped when writing. */
static void check_absent(suite *s) {
    for (size_t i = 0; i < lines.count;) {
        manifest_line *l = &lines.lines[i++];
        if (l->seen || !is_line_of(s, l)) continue;
        if (writing) {
            *l = lines.lines[--lines.count];
            i--;
        } else {
            print_message("%s: the manifest lists it, and there is no such test\n", l->name);
            s->faults++;
        }
    }
}

static void run_suite(suite *s) {
    struct dirent **names;
    int n = scandir(s->folder, &names, NULL, alphasort);
    assert_true(n > 2);
    for (size_t i = 0; i < lines.count; i++) lines.lines[i].seen = false;
    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;
        if (*name != '.' && (!only || strstr(name, only))) check(s, name);
        free(names[i]);
    }
    free(names);
    if (!only) check_absent(s);
}

static char *read_text(const char *path) {
    static char text[1 << 17];
    FILE *f = fopen(path, "r");
    if (!f) return NULL;
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    return text;
}

static void last_state(void **state) {
    (void)state;
    char archive[600], list[600];
    suite s = {.prefix = ""};
    shared_path(list, sizeof list, "onnx/vision_node_tests.txt");
    if (!shared_path(archive, sizeof archive, "onnx/node_tests.tgz")) {
        print_message("SKIPPED: no %s\n", archive);
        skip();
    }
    assert_true(nodetest_unpack(s.folder, archive));
    s.vision = read_text(list);
    run_suite(&s);
    nodetest_remove(s.folder);
    if (s.vision)
        print_message("COUNTED: node tests of vision operators: %d of %d pass\n", s.vision_passed,
                      s.vision_total);
    print_message("COUNTED: node tests: %d of %d pass, %d wrong\n", s.passed, s.total, s.wrong);
    assert_int_equal(s.faults, 0);
}

static void debian(const char *folder, const char *prefix, bool shares) {
    struct stat st;
    suite s = {.prefix = prefix, .shares = shares};
    snprintf(s.folder, sizeof s.folder, DEBIAN "/%s", folder);
    if (stat(s.folder, &st)) {
        print_message("SKIPPED: no %s (Debian's libonnx-testdata)\n", s.folder);
        skip();
    }
    run_suite(&s);
    print_message("COUNTED: %s of libonnx-testdata: %d of %d pass, %d wrong\n", folder, s.passed,
                  s.total, s.wrong);
    assert_int_equal(s.faults, 0);
}

static void older_state(void **state) {
    (void)state;
    debian("node", "1.12/", true);
}

static void pytorch_models(void **state) {
    (void)state;
    debian("pytorch-converted", "pytorch-converted/", false);
}

static void pytorch_operators(void **state) {
    (void)state;
    debian("pytorch-operator", "pytorch-operator/", false);
}

static void simple_models(void **state) {
    (void)state;
    debian("simple", "simple/", false);
}

int main(int argc, char **argv) {
    writing = argc > 1 && !strcmp(argv[1], "--write");
    if (argc > 1 && !writing) only = argv[1];
    if (!manifest_read(&lines, MANIFEST) && !(writing && lines.lines)) {
        fprintf(stderr, "%s: %s\n", MANIFEST, lines.fault);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(last_state),     cmocka_unit_test(older_state),
        cmocka_unit_test(pytorch_models), cmocka_unit_test(pytorch_operators),
        cmocka_unit_test(simple_models),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (writing && !manifest_write(&lines, MANIFEST)) failed = 1;
    free(lines.lines);
    return failed;
}

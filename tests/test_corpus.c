/* test_corpus.c - every file of a fuzz target's corpus through the target, without a fuzzer:
 * what once failed does not fail again. Linked with each fuzz/fuzz_NAME.c in turn. A target
 * ends the process when something does not hold; the last file named is then the one.
 * Arguments: files to try instead. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The file in memory of just its size, so that a sanitizer sees a read beyond it. */
static int try_file(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f) return 0;
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    rewind(f);
    uint8_t *data = size < 0 ? NULL : malloc(size ? (size_t)size : 1);
    int ok = data && fread(data, 1, (size_t)size, f) == (size_t)size;
    fclose(f);
    if (ok) {
        printf("# %s\n", path), fflush(stdout);
        LLVMFuzzerTestOneInput(data, (size_t)size);
    }
    free(data);
    return ok;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Everything in the folder in the order of names; returns how many. */
static int try_folder(const char *folder) {
    static char *names[1 << 14];
    int n = 0, done = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d)) && n < 1 << 14;)
        if (e->d_name[0] != '.' && !(names[n++] = strdup(e->d_name))) abort();
    if (d) closedir(d);
    qsort(names, (size_t)n, sizeof *names, by_name);
    for (int i = 0; i < n; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        done += try_file(path);
        free(names[i]);
    }
    return done;
}

int main(int argc, char **argv) {
    int done = 0;
    for (int i = 1; i < argc; i++) done += try_file(argv[i]);
    if (argc < 2) done = try_folder(OMMA_CORPUS);
    const char *name = strrchr(OMMA_CORPUS, '/') + 1;
    printf("%sok 1 - %s: %d files\n1..1\n", done ? "" : "not ", name, done);
    return !done;
}

/* cli.c - what the verbs share: messages, options, lists of pictures, progress. */
#include "cli/cli.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "file/image.h"

int omma_cli_failed(const char *verb, const omma_error *err) {
    fflush(stdout);
    fprintf(stderr, "omma %s: %s\n", verb, err->message);
    return OMMA_EXIT_FAILED;
}

int omma_cli_misused(const char *verb, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    fflush(stdout);
    fprintf(stderr, "omma %s: ", verb);
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, "; try 'omma %s --help'\n", verb);
    va_end(ap);
    return OMMA_EXIT_USAGE;
}

int omma_cli_finish(const char *verb, int status) {
    errno = 0;
    if (!fflush(stdout) && !ferror(stdout)) return status;
    fprintf(stderr, "omma %s: cannot write the answer: %s\n", verb, strerror(errno ? errno : EIO));
    return OMMA_EXIT_FAILED;
}

/* --- options ------------------------------------------------------------------- */

static const char *verb_of(char **argv) { return argv[0]; }

static const omma_cli_option *find_option(const omma_cli_option *o, int n, const char *word, size_t len, char letter) {
    for (int i = 0; i < n; i++) {
        if (word && o[i].word && strlen(o[i].word) == len && !strncmp(o[i].word, word, len)) return &o[i];
        if (letter && o[i].letter == letter) return &o[i];
    }
    return NULL;
}

static int take(char **argv, const omma_cli_option *o, const char *value) {
    char *end;
    errno = 0;
    switch (o->kind) {
    case 'b': *(int *)o->target = 1; return 0;
    case 's': *(const char **)o->target = value; return 0;
    case 'm': {
        omma_cli_list *l = o->target;
        l->items[l->count++] = value;
        return 0;
    }
    case 'i': {
        long v = strtol(value, &end, 10);
        if (end == value || *end || errno || v < INT32_MIN || v > INT32_MAX)
            return omma_cli_misused(verb_of(argv), "--%s wants a whole number, not '%s'", o->word, value);
        *(int *)o->target = (int)v;
        return 0;
    }
    default: {
        double v = strtod(value, &end);
        if (end == value || *end || v != v)
            return omma_cli_misused(verb_of(argv), "--%s wants a number, not '%s'", o->word, value);
        *(double *)o->target = v;
        return 0;
    }
    }
}

/* One argument that begins with a dash. *used counts the arguments it takes. */
static int option(int left, char **argv, char **at, const omma_cli_option *o, int n, int *help, int *used) {
    const char *arg = *at, *value = NULL;
    const omma_cli_option *x;
    *used = 1;
    if (!strcmp(arg, "-h") || !strcmp(arg, "--help")) {
        *help = 1;
        return 0;
    }
    if (arg[1] == '-') {
        size_t len = strcspn(arg + 2, "=");
        x = find_option(o, n, arg + 2, len, 0);
        if (arg[2 + len] == '=') value = arg + 3 + len;
    } else {
        x = find_option(o, n, NULL, 0, arg[1]);
        if (x && arg[2] && x->kind == 'b') x = NULL;
        if (x && arg[2]) value = arg + 2;
    }
    if (!x) return omma_cli_misused(verb_of(argv), "unknown option '%s'", arg);
    if (x->kind == 'b' && value) return omma_cli_misused(verb_of(argv), "--%s takes no value", x->word);
    if (x->kind != 'b' && !value) {
        if (left < 2) return omma_cli_misused(verb_of(argv), "'%s' wants a value after it", arg);
        value = at[1];
        *used = 2;
    }
    return take(argv, x, value);
}

int omma_cli_parse(int argc, char **argv, const omma_cli_option *options, int n, omma_cli_list *rest,
                   int *help) {
    *help = 0;
    *rest = (omma_cli_list){calloc((size_t)argc + 1, sizeof(char *)), 0};
    for (int i = 0; i < n; i++)
        if (options[i].kind == 'm')
            *(omma_cli_list *)options[i].target = (omma_cli_list){calloc((size_t)argc + 1, sizeof(char *)), 0};
    bool ended = false;
    for (int i = 1, used; i < argc; i += used) {
        used = 1;
        if (ended || argv[i][0] != '-' || !argv[i][1]) rest->items[rest->count++] = argv[i];
        else if (!strcmp(argv[i], "--")) ended = true;
        else {
            int bad = option(argc - i, argv, &argv[i], options, n, help, &used);
            if (bad) return bad;
        }
        if (*help) return 0;
    }
    return 0;
}

/* --- many pictures ------------------------------------------------------------- */

static int add_path(omma_cli_files *f, const char *path) {
    char **bigger = realloc(f->paths, ((size_t)f->count + 1) * sizeof *bigger);
    if (!bigger) return -1;
    f->paths = bigger;
    bigger[f->count] = strdup(path);
    return bigger[f->count] ? f->count++, 0 : -1;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void sort_from(omma_cli_files *f, int first) {
    if (f->count - first > 1) qsort(f->paths + first, (size_t)(f->count - first), sizeof *f->paths, by_name);
}

static int add_folder(omma_cli_files *f, const char *folder) {
    DIR *d = opendir(folder);
    if (!d) return -1;
    size_t len = strlen(folder);
    while (len > 1 && folder[len - 1] == '/') len--;
    int bad = 0, first = f->count;
    for (struct dirent *e; !bad && (e = readdir(d));) {
        if (e->d_name[0] == '.' || !omma_image_is_picture_name(e->d_name)) continue;
        char *path = malloc(len + strlen(e->d_name) + 2);
        if (!path) bad = -1;
        else {
            memcpy(path, folder, len);
            path[len] = '/';
            strcpy(path + len + 1, e->d_name);
            bad = add_path(f, path);
        }
        free(path);
    }
    closedir(d);
    sort_from(f, first);
    return bad;
}

static int add_glob(omma_cli_files *f, const char *pattern) {
    glob_t g;
    int bad = glob(pattern, 0, NULL, &g);
    if (bad) return bad == GLOB_NOMATCH ? 0 : -1;
    for (size_t i = 0; i < g.gl_pathc && !bad; i++) bad = add_path(f, g.gl_pathv[i]);
    globfree(&g);
    return bad;
}

int omma_cli_files_expand(omma_cli_files *out, const char *verb, const omma_cli_list *args) {
    *out = (omma_cli_files){0};
    for (int i = 0; i < args->count; i++) {
        const char *arg = args->items[i];
        struct stat st;
        int before = out->count, bad;
        bool there = !stat(arg, &st), folder = there && S_ISDIR(st.st_mode);
        bool pattern = !there && strpbrk(arg, "*?[");
        errno = 0;
        bad = folder ? add_folder(out, arg) : pattern ? add_glob(out, arg) : add_path(out, arg);
        const char *why = bad ? strerror(errno ? errno : ENOMEM)
                              : out->count == before ? (folder ? "holds no pictures (.jpg .png .webp)" : "matches no file") : NULL;
        if (why) {
            fprintf(stderr, "omma %s: %s: %s\n", verb, arg, why);
            omma_cli_files_free(out);
            return OMMA_EXIT_FAILED;
        }
    }
    return 0;
}

void omma_cli_files_free(omma_cli_files *f) {
    for (int i = 0; i < f->count; i++) free(f->paths[i]);
    free(f->paths);
    *f = (omma_cli_files){0};
}

static size_t stem(const char *path, const char **begin) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    *begin = name;
    return dot && dot > name ? (size_t)(dot - name) : strlen(name);
}

void omma_cli_output_path(char *out, size_t size, const char *dir, const omma_cli_files *f, int i,
                          const char *verb) {
    const char *mine, *its;
    size_t len = stem(f->paths[i], &mine);
    int same = 1;
    for (int k = 0; k < i; k++) same += stem(f->paths[k], &its) == len && !strncmp(mine, its, len);
    if (same > 1) snprintf(out, size, "%s/%.*s-%d.%s.png", dir, (int)len, mine, same, verb);
    else snprintf(out, size, "%s/%.*s.%s.png", dir, (int)len, mine, verb);
}

/* --- progress ------------------------------------------------------------------ */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int columns(void) {
    struct winsize w;
    return !ioctl(STDERR_FILENO, TIOCGWINSZ, &w) && w.ws_col > 20 ? w.ws_col : 80;
}

void omma_cli_progress_start(omma_cli_progress *p, const char *what, int total) {
    *p = (omma_cli_progress){what, total, now(), 0};
}

static void bar(const omma_cli_progress *p, int done, double left) {
    char text[80];
    int n = snprintf(text, sizeof text, " %d/%d  %d:%02d left", done, p->total, (int)left / 60, (int)left % 60);
    int width = columns() - n - (int)strlen(p->what) - 6;
    if (width > 40) width = 40;
    fprintf(stderr, "\r%s [", p->what);
    for (int i = 0; i < width; i++) fputc(i < width * done / p->total ? '#' : '.', stderr);
    fprintf(stderr, "]%s ", text);
}

void omma_cli_progress_step(omma_cli_progress *p, int done) {
    if (p->total < 2 || done < 1) return;
    double t = now(), wait = isatty(STDERR_FILENO) ? 0.1 : 5;
    if (t - p->shown < wait && done < p->total) return;
    if (!isatty(STDERR_FILENO) && (p->shown == 0 && t - p->started < wait)) return;
    p->shown = t;
    double left = (t - p->started) / done * (p->total - done);
    if (isatty(STDERR_FILENO)) bar(p, done, left);
    else fprintf(stderr, "%s %d/%d, %.0f s left\n", p->what, done, p->total, left);
}

void omma_cli_progress_end(omma_cli_progress *p) {
    if (p->total > 1 && p->shown > 0 && isatty(STDERR_FILENO)) fprintf(stderr, "\r%*s\r", columns() - 1, "");
}

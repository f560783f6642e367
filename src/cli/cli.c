/* cli.c - what the verbs share: messages, options, lists of pictures, progress. */
#include "cli/cli.h"
#include "file/bytes.h"

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

#include "base/arena.h"
#include "file/image.h"

static int lost;          /* errno of the first flush that failed */
static size_t max_memory; /* --max-memory; 0: not given */

int omma_cli_flush(void) {
    errno = 0;
    if (fflush(stdout) && !lost) lost = errno;
    return lost || ferror(stdout) ? -1 : 0;
}

int omma_cli_failed(const char *verb, const omma_error *err) {
    omma_cli_flush();
    fprintf(stderr, "omma %s: %s", verb, err->message);
    if (err->status == OMMA_E_NOMEM && max_memory)
        fprintf(stderr, " (--max-memory allows %.1f MiB)", (double)max_memory / 1048576.0);
    fputc('\n', stderr);
    return OMMA_EXIT_FAILED;
}

int omma_cli_misused(const char *verb, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    omma_cli_flush();
    fprintf(stderr, "omma %s: ", verb);
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, "; try 'omma %s --help'\n", verb);
    va_end(ap);
    return OMMA_EXIT_USAGE;
}

int omma_cli_finish(const char *verb, int status) {
    if (!omma_cli_flush()) return status;
    fprintf(stderr, "omma %s: cannot write the answer: %s\n", verb,
            lost ? strerror(lost) : "the disk is full, or the reader is gone");
    return OMMA_EXIT_FAILED;
}

int omma_cli_json_end(const char *verb, omma_json_writer *w) {
    omma_error err;
    omma_status s = omma_json_writer_end(w, &err);
    if (!s && !w->pretty) putchar('\n');
    omma_json_writer_free(w);
    return s && !omma_cli_flush() ? omma_cli_failed(verb, &err) : OMMA_EXIT_OK;
}

void omma_cli_put_name(const char *name, int width) {
    int used = 0;
    for (const unsigned char *s = (const unsigned char *)name; *s; s++) {
        putchar(*s < 0x20 || *s == 0x7f ? '?' : *s);
        used += (*s & 0xc0) != 0x80; /* UTF-8: not a byte that continues */
    }
    printf("%*s", used < width ? width - used : 0, "");
}

/* --- options ------------------------------------------------------------------- */

enum { MOST_THREADS = 256 }; /* omma_options.threads */

static const char *verb_of(char **argv) { return argv[0]; }

static const omma_cli_option *find_option(const omma_cli_option *o, int n, const char *word,
                                          size_t len, char letter) {
    for (int i = 0; i < n; i++) {
        if (word && o[i].word && strlen(o[i].word) == len && !strncmp(o[i].word, word, len))
            return &o[i];
        if (letter && o[i].letter == letter) return &o[i];
    }
    return NULL;
}

/* "1000000", "512K", "1.5G": bytes, in powers of 1024. Returns false when it is none. */
static bool parse_size(const char *s, size_t *out) {
    char *end;
    double v = strtod(s, &end);
    if (end == s || !(*s >= '0' && *s <= '9')) return false;
    if (*end == 'K' || *end == 'k') v *= 0x1p10, end++;
    else if (*end == 'M' || *end == 'm') v *= 0x1p20, end++;
    else if (*end == 'G' || *end == 'g') v *= 0x1p30, end++;
    if (*end || !(v >= 1 && v < 0x1p62)) return false;
    *out = (size_t)v;
    return true;
}

/* The text of a small file. */
static int take_text(char **argv, const char *path, const char **out) {
    enum { MOST = 1 << 20 };
    static char *text;
    omma_bytes file;
    omma_error err;
    if (omma_bytes_read(&file, path, MOST, &err)) return omma_cli_failed(verb_of(argv), &err);
    free(text);
    text = malloc(file.size + 1);
    if (text && file.size) memcpy(text, file.data, file.size);
    if (text) text[file.size] = 0;
    omma_bytes_free(&file);
    *out = text;
    return text ? 0 : omma_cli_misused(verb_of(argv), "no memory for %s", path);
}

static int take(char **argv, const omma_cli_option *o, const char *value) {
    char *end;
    errno = 0;
    if (value && !*value)
        return omma_cli_misused(verb_of(argv), "--%s wants a value, not an empty one", o->word);
    switch (o->kind) {
    case 'b': *(int *)o->target = 1; return 0;
    case 's': *(const char **)o->target = value; return 0;
    case 'm': {
        omma_cli_list *l = o->target;
        l->items[l->count++] = value;
        return 0;
    }
    case 't':
    case 'i': {
        long v = strtol(value, &end, 10);
        if (end == value || *end || errno || v < INT32_MIN || v > INT32_MAX)
            return omma_cli_misused(verb_of(argv), "--%s wants a whole number, not '%s'", o->word,
                                    value);
        if (o->kind == 't' && (v < 1 || v > MOST_THREADS))
            return omma_cli_misused(verb_of(argv), "--%s wants 1 to %d", o->word, MOST_THREADS);
        *(int *)o->target = (int)v;
        return 0;
    }
    case 'x': return take_text(argv, value, o->target);
    case 'z':
        if (!parse_size(value, &max_memory))
            return omma_cli_misused(
                verb_of(argv), "--%s wants a size: bytes, or a number with K, M or G, not '%s'",
                o->word, value);
        *(size_t *)o->target = max_memory;
        omma_mem_ceiling(max_memory);
        return 0;
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
static int option(int left, char **argv, char **at, const omma_cli_option *o, int n, int *help,
                  int *used) {
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
    if (x->kind == 'b' && value)
        return omma_cli_misused(verb_of(argv), "--%s takes no value", x->word);
    if (x->kind != 'b' && !value) {
        if (left < 2) return omma_cli_misused(verb_of(argv), "'%s' wants a value after it", arg);
        value = at[1];
        *used = 2;
    }
    return take(argv, x, value);
}

int omma_cli_parse(int argc, char **argv, const omma_cli_option *options, int n,
                   omma_cli_list *rest, int *help) {
    *help = 0;
    *rest = (omma_cli_list){calloc((size_t)argc + 1, sizeof(char *)), 0};
    for (int i = 0; i < n; i++)
        if (options[i].kind == 'm')
            *(omma_cli_list *)options[i].target =
                (omma_cli_list){calloc((size_t)argc + 1, sizeof(char *)), 0};
    bool ended = false;
    for (int i = 1, used; i < argc; i += used) {
        used = 1;
        if (!*argv[i]) return omma_cli_misused(verb_of(argv), "argument %d is empty", i);
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

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_from(omma_cli_files *f, int first) {
    if (f->count - first > 1)
        qsort(f->paths + first, (size_t)(f->count - first), sizeof *f->paths, by_name);
}

/* Drawn by omma, as omma_cli_output_path names it? A folder's pictures may have been drawn
 * into that folder before. */
static bool is_drawing(const char *name) {
    static const char *const ends[] = {".detect.png", ".read.png", ".line.png"};
    size_t n = strlen(name);
    for (int i = 0; i < 3; i++) {
        size_t k = strlen(ends[i]);
        if (n > k && !strcmp(name + n - k, ends[i])) return true;
    }
    return false;
}

static int add_folder(omma_cli_files *f, const char *folder) {
    DIR *d = opendir(folder);
    if (!d) return -1;
    size_t len = strlen(folder);
    while (len > 1 && folder[len - 1] == '/') len--;
    int bad = 0, first = f->count;
    for (struct dirent *e; !bad && (e = readdir(d));) {
        if (e->d_name[0] == '.' || is_drawing(e->d_name)) continue;
        if (!omma_image_is_picture_name(e->d_name)) continue;
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

/* --- the names of drawings: stems, made unique ---------------------------------- */

typedef struct stem {
    const char *text; /* len bytes of a path */
    size_t len;
    int file;
} stem;

static stem stem_of(const char *path, int file) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    return (stem){name, dot && dot > name ? (size_t)(dot - name) : strlen(name), file};
}

static int by_text(const void *a, const void *b) {
    const stem *x = a, *y = b;
    int c = memcmp(x->text, y->text, x->len < y->len ? x->len : y->len);
    return c ? c : (x->len > y->len) - (x->len < y->len);
}

static int by_text_and_file(const void *a, const void *b) {
    int c = by_text(a, b);
    return c ? c : ((const stem *)a)->file - ((const stem *)b)->file;
}

/* The stem with -number behind it, or as it is for number 1. */
static char *numbered(const stem *s, int number) {
    size_t size = s->len + 16;
    char *out = malloc(size);
    if (!out) return NULL;
    if (number > 1) snprintf(out, size, "%.*s-%d", (int)s->len, s->text, number);
    else snprintf(out, size, "%.*s", (int)s->len, s->text);
    return out;
}

/* As numbered, with the first number from *number on that makes it no picture's own stem. */
static char *free_stem(const stem *s, int *number, const stem *all, int n) {
    for (;; ++*number) {
        char *out = numbered(s, *number);
        stem key = {out, out ? strlen(out) : 0, 0};
        if (!out || *number == 1 || !bsearch(&key, all, (size_t)n, sizeof *all, by_text))
            return out;
        free(out);
    }
}

/* f->stems[]: every picture's own, and for a stem's second picture on, -2, -3, ... */
static int name_drawings(omma_cli_files *f) {
    size_t n = (size_t)f->count;
    stem *all = calloc(n + 1, sizeof *all);
    f->stems = calloc(n + 1, sizeof *f->stems);
    int bad = !all || !f->stems ? -1 : 0;
    for (int i = 0; !bad && i < f->count; i++) all[i] = stem_of(f->paths[i], i);
    if (!bad) qsort(all, n, sizeof *all, by_text_and_file);
    for (int i = 0, number = 1; !bad && i < f->count; i++, number++) {
        if (i && by_text(&all[i], &all[i - 1])) number = 1;
        f->stems[all[i].file] = free_stem(&all[i], &number, all, f->count);
        if (!f->stems[all[i].file]) bad = -1;
    }
    free(all);
    return bad;
}

/* Is this the path of one of the pictures? */
static bool is_picture(const omma_cli_files *f, const char *path) {
    struct stat a, b;
    if (stat(path, &a)) return false;
    const char *name = strrchr(path, '/') + 1;
    for (int i = 0; i < f->count; i++) {
        const char *slash = strrchr(f->paths[i], '/');
        if (strcmp(slash ? slash + 1 : f->paths[i], name)) continue;
        if (!stat(f->paths[i], &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino) return true;
    }
    return false;
}

static bool is_stem(const omma_cli_files *f, const char *text) {
    for (int i = 0; i < f->count; i++)
        if (!strcmp(f->stems[i], text)) return true;
    return false;
}

void omma_cli_output_path(char *out, size_t size, const char *dir, const omma_cli_files *f, int i,
                          const char *verb) {
    snprintf(out, size, "%s/%s.%s.png", dir, f->stems[i], verb);
    for (int k = 2; is_picture(f, out); k++) {
        char *other = numbered(&(stem){f->stems[i], strlen(f->stems[i]), i}, k);
        if (!other) return;
        if (!is_stem(f, other)) snprintf(out, size, "%s/%s.%s.png", dir, other, verb);
        free(other);
    }
}

/* --- arguments to pictures ------------------------------------------------------ */

static int add(omma_cli_files *f, const char *arg, const char **why) {
    struct stat st;
    int before = f->count, bad;
    bool there = !stat(arg, &st), folder = there && S_ISDIR(st.st_mode);
    errno = 0;
    if (folder) bad = add_folder(f, arg);
    else bad = !there && strpbrk(arg, "*?[") ? add_glob(f, arg) : add_path(f, arg);
    if (bad) *why = strerror(errno ? errno : ENOMEM);
    else if (f->count > before) return 0;
    else if (!folder) *why = "matches no file";
    else *why = "holds no pictures (.jpg .jpeg .png .webp); folders in it are not searched";
    return -1;
}

int omma_cli_files_expand(omma_cli_files *out, const char *verb, const omma_cli_list *args) {
    omma_error err;
    omma_status s = OMMA_OK;
    *out = (omma_cli_files){0};
    for (int i = 0; i < args->count && !s; i++) {
        const char *why;
        if (add(out, args->items[i], &why))
            s = omma_fail_at(&err, OMMA_E_IO, args->items[i], -1, "%s", why);
    }
    if (!s && name_drawings(out))
        s = omma_fail(&err, OMMA_E_NOMEM, "no memory for a list of files");
    if (!s) return OMMA_EXIT_OK;
    omma_cli_files_free(out);
    return omma_cli_failed(verb, &err);
}

void omma_cli_files_free(omma_cli_files *f) {
    for (int i = 0; i < f->count; i++) {
        free(f->paths[i]);
        if (f->stems) free(f->stems[i]);
    }
    free(f->paths);
    free(f->stems);
    *f = (omma_cli_files){0};
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
    bool mixed = isatty(STDOUT_FILENO) && isatty(STDERR_FILENO);
    *p = (omma_cli_progress){what, mixed ? 0 : total, now(), 0};
}

static void bar(const omma_cli_progress *p, int done, double left) {
    char text[80];
    int n = snprintf(text, sizeof text, " %d/%d  %d:%02d left", done, p->total, (int)left / 60,
                     (int)left % 60);
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
    if (p->total > 1 && p->shown > 0 && isatty(STDERR_FILENO))
        fprintf(stderr, "\r%*s\r", columns() - 1, "");
}

/* reference.c - names of files to names of values; see reference.h for the rules. Each rule is a
 * map from a form of the values' names; a form that two values share stands for neither. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "file/npy.h"
#include "model/model.h"
#include "model/reference.h"

enum { MAX_FILES = 1 << 18 };

/* --- the folder -------------------------------------------------------------------- */

static bool ends_with(const char *s, const char *end) {
    size_t n = strlen(s), k = strlen(end);
    return n > k && !strcmp(s + n - k, end);
}

/* .npy before .pb, then by name. */
static int by_name(const void *a, const void *b) {
    const char *x = ((const omma_reference_file *)a)->name,
               *y = ((const omma_reference_file *)b)->name;
    int first = ends_with(y, ".npy") - ends_with(x, ".npy");
    return first ? first : strcmp(x, y);
}

static omma_status add_file(omma_reference *r, const char *name, omma_arena *arena, int *cap) {
    if (r->n_files == *cap) {
        *cap = *cap ? *cap * 2 : 64;
        omma_reference_file *bigger = omma_arena_array(arena, (size_t)*cap, sizeof *bigger);
        if (!bigger) return OMMA_E_NOMEM;
        if (r->n_files) memcpy(bigger, r->files, (size_t)r->n_files * sizeof *bigger);
        r->files = bigger;
    }
    r->files[r->n_files].name = omma_arena_strndup(arena, name, strlen(name));
    return r->files[r->n_files++].name ? OMMA_OK : OMMA_E_NOMEM;
}

static omma_status list_folder(omma_reference *r, omma_arena *arena, omma_error *err) {
    DIR *d = opendir(r->folder);
    if (!d)
        return omma_fail_at(err, OMMA_E_IO, r->folder, -1, "cannot be listed: %s", strerror(errno));
    omma_status s = OMMA_OK;
    int cap = 0;
    for (struct dirent *e; !s && (e = readdir(d));) {
        if (e->d_name[0] == '.' || !(ends_with(e->d_name, ".npy") || ends_with(e->d_name, ".pb")))
            continue;
        if (r->n_files == MAX_FILES)
            s = omma_fail_at(err, OMMA_E_RANGE, r->folder, -1, "more than %d files", MAX_FILES);
        else if ((s = add_file(r, e->d_name, arena, &cap)))
            omma_fail(err, s, "no memory for the names of files");
    }
    closedir(d);
    if (!s && r->n_files) qsort(r->files, (size_t)r->n_files, sizeof *r->files, by_name);
    return s;
}

/* --- forms of names ------------------------------------------------------------------ */

static void as_written(char *s) {
    for (; *s; s++)
        if (*s == '/') *s = '_';
}

static bool plain(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.';
}

static void loosely(char *s) {
    char *to = s, *begin = s;
    for (; *s; s++)
        if (plain(*s) || to > begin) *to++ = plain(*s) ? *s : '_';
    *to = 0;
}

static int digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static void percent_decoded(char *s) {
    char *to = s;
    for (; *s; s++) {
        if (*s == '%' && digit(s[1]) >= 0 && digit(s[2]) >= 0) {
            *to++ = (char)(digit(s[1]) * 16 + digit(s[2]));
            s += 2;
        } else *to++ = *s;
    }
    *to = 0;
}

static void unchanged(char *s) { (void)s; }

/* How a value's name and a file's stem are brought to the same form. */
static const struct rule {
    void (*name)(char *), (*stem)(char *);
} rules[] = {{as_written, unchanged}, {unchanged, percent_decoded}, {loosely, loosely}};
enum { RULES = sizeof rules / sizeof *rules };

static char *form(const char *s, size_t n, void (*change)(char *), omma_arena *arena) {
    char *copy = omma_arena_strndup(arena, s, n);
    if (copy) change(copy);
    return copy;
}

static size_t stem_size(const char *file) { return (size_t)(strrchr(file, '.') - file); }

/* --- matching ------------------------------------------------------------------------ */

static omma_value shared_form; /* stands for a form that several values have */

static omma_status map_values(omma_map *m, const omma_graph *g, void (*change)(char *)) {
    omma_map_init(m, m->arena);
    for (int i = 0; i < g->n_values; i++) {
        const char *name = g->values[i]->name;
        char *key = form(name, strlen(name), change, m->arena);
        if (!key) return OMMA_E_NOMEM;
        void *item = omma_map_get(m, key) ? &shared_form : g->values[i];
        OMMA_TRY(omma_map_set(m, key, item));
    }
    return OMMA_OK;
}

static void pair(omma_reference *r, omma_reference_file *f, const omma_value *v) {
    if (!v || v == &shared_form || f->value || r->by_value[v->index]) return;
    f->value = v;
    r->by_value[v->index] = f->name;
    r->n_unused--;
}

static omma_status match(omma_reference *r, const omma_graph *g, const struct rule *rule,
                         omma_arena *scratch) {
    omma_map m = {.arena = scratch};
    OMMA_TRY(map_values(&m, g, rule->name));
    for (int i = 0; i < r->n_files; i++) {
        omma_reference_file *f = &r->files[i];
        if (f->value) continue;
        char *key = form(f->name, stem_size(f->name), rule->stem, scratch);
        if (!key) return OMMA_E_NOMEM;
        pair(r, f, omma_map_get(&m, key));
    }
    return OMMA_OK;
}

/* input_N and output_N. */
static void match_numbers(omma_reference *r, const omma_graph *g) {
    for (int i = 0; i < r->n_files; i++) {
        const char *name = r->files[i].name;
        bool in = !strncmp(name, "input_", 6);
        if (!in && strncmp(name, "output_", 7)) continue;
        char *end;
        const char *digits = strchr(name, '_') + 1;
        long k = strtol(digits, &end, 10);
        if (digit(*digits) < 0 || *end != '.' || k < 0) continue;
        if (k < (in ? g->n_inputs : g->n_outputs))
            pair(r, &r->files[i], in ? g->inputs[k] : g->outputs[k]);
    }
}

omma_status omma_reference_open(omma_reference *r, const omma_graph *g, const char *folder,
                                omma_arena *arena, omma_error *err) {
    *r = (omma_reference){.folder = folder};
    OMMA_TRY(list_folder(r, arena, err));
    r->n_unused = r->n_files;
    r->by_value = omma_arena_array(arena, (size_t)g->n_values, sizeof *r->by_value);
    omma_status s = r->by_value ? OMMA_OK : OMMA_E_NOMEM;
    for (int i = 0; !s && i < RULES; i++) {
        omma_arena scratch;
        omma_arena_init(&scratch, arena->budget);
        s = match(r, g, &rules[i], &scratch);
        omma_arena_free(&scratch);
    }
    if (s) return omma_fail(err, s, "no memory to match files with values");
    match_numbers(r, g);
    return OMMA_OK;
}

omma_status omma_reference_read(omma_tensor *out, const omma_reference *r, const omma_value *v,
                                omma_arena *arena, omma_error *err) {
    const char *name = r->by_value[v->index];
    char *path = omma_arena_printf(arena, "%s/%s", r->folder, name);
    if (!path) return omma_fail(err, OMMA_E_NOMEM, "no memory for a file name");
    return ends_with(name, ".npy") ? omma_npy_read(out, arena, path, err)
                                   : omma_onnx_tensor_file(out, path, arena, err);
}

/* --- near names ---------------------------------------------------------------------- */

enum { NEAR_MAX = 255 };

/* Levenshtein's distance of two strings of at most NEAR_MAX bytes. */
static int distance(const char *a, const char *b) {
    int row[NEAR_MAX + 1], n = (int)strlen(b);
    for (int j = 0; j <= n; j++) row[j] = j;
    for (int i = 1; a[i - 1]; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= n; j++) {
            int change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            int drop = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            row[j] = drop < change ? drop : change;
        }
    }
    return row[n];
}

/* For a guess a point is a sign too: modules' names have points where values' have slashes. */
static void guessably(char *s) {
    loosely(s);
    for (; *s; s++)
        if (*s == '.') *s = '_';
}

const omma_value *omma_reference_near(const omma_graph *g, const char *file) {
    char stem[NEAR_MAX + 1], name[NEAR_MAX + 1];
    size_t n = stem_size(file);
    if (n > NEAR_MAX) return NULL;
    memcpy(stem, file, n);
    stem[n] = 0;
    guessably(stem);
    const omma_value *best = NULL;
    int size = (int)strlen(stem), least = size / 2 + 1; /* at most half may change */
    for (int i = 0; i < g->n_values; i++) {
        const omma_value *v = g->values[i];
        size_t k = strlen(v->name);
        if (v->data || k > NEAR_MAX || (int)k + least < size) continue;
        strcpy(name, v->name);
        guessably(name);
        bool within = size > 3 && strstr(name, stem); /* the last such: a module's result */
        int d = within ? 0 : distance(stem, name);
        if (d < least || within) least = d, best = v;
    }
    return best;
}

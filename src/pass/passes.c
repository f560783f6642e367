/* passes.c - which passes OMMA_PASSES leaves on; see passes.h. */
#include "pass/passes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const omma_pass_row rows[] = {
#define OMMA_X(name, group, what) {name, group, what},
    OMMA_PASS_LIST(OMMA_X)
#undef OMMA_X
};
enum { ROWS = sizeof rows / sizeof *rows };

bool omma_pass_row_at(omma_pass_row *out, int i) {
    if (i < 0 || i >= ROWS) return false;
    *out = rows[i];
    return true;
}

static bool same(const char *name, const char *word, size_t n) {
    return strlen(name) == n && !memcmp(name, word, n);
}

static bool means(const omma_pass_row *row, const char *word, size_t n) {
    return same(row->name, word, n) || same(row->group, word, n) || same("all", word, n);
}

/* The next word of a list, sign and all; NULL: no more. *n is its length. */
static const char *next_word(const char **list, size_t *n) {
    const char *word = *list;
    if (!word || !*word) return NULL;
    *n = strcspn(word, ",");
    *list = word[*n] ? word + *n + 1 : word + *n;
    return word;
}

static bool row_on(const omma_pass_row *row, const char *list) {
    bool on = true;
    size_t n;
    for (const char *w; (w = next_word(&list, &n));)
        if (n && means(row, w + 1, n - 1)) on = *w != '-';
    return on;
}

bool omma_pass_on(const char *name) {
    const char *list = getenv("OMMA_PASSES");
    bool known = false, on = false;
    for (int i = 0; i < ROWS; i++) {
        if (strcmp(rows[i].name, name) && strcmp(rows[i].group, name)) continue;
        known = true;
        on |= row_on(&rows[i], list);
    }
    assert(known), (void)known;
    return on;
}

static bool sound(const char *word, size_t n) {
    if (n < 2 || (*word != '-' && *word != '+')) return false;
    for (int i = 0; i < ROWS; i++)
        if (means(&rows[i], word + 1, n - 1)) return true;
    return false;
}

omma_status omma_passes_check(omma_error *err) {
    const char *list = getenv("OMMA_PASSES");
    size_t n;
    for (const char *w; (w = next_word(&list, &n));)
        if (!sound(w, n))
            return omma_fail(err, OMMA_E_USAGE,
                             "OMMA_PASSES in the environment has '%.*s'; it wants words like -fuse "
                             "or +gelu with commas between them: - or + and a pass, a group or all",
                             n < 40 ? (int)n : 40, w);
    return OMMA_OK;
}

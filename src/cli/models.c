/* models.c - omma models: the models omma knows by name, and which of them are here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "file/json.h"
#include "task/known.h"

static const char help[] =
    "Usage: omma models [--json] [NAME...]\n"
    "\n"
    "List the models omma knows by name: the verb that uses each, its licence, its size,\n"
    "whether it is installed, and what it is for. With NAMEs, only those, with their files\n"
    "and where they come from.\n"
    "\n"
    "  --json      one JSON document, with every file's path, size and SHA-256\n"
    "  -h, --help  this page\n"
    "\n"
    "'installed' says yes when every file is there with its size; 'omma pull NAME' reads\n"
    "every byte. Models lie in the first of these folders that is set:\n"
    "  $OMMA_MODELS, $XDG_DATA_HOME/omma/models, ~/.local/share/omma/models\n"
    "\n"
    "Other models need no name: every verb takes the path of an .onnx file.\n"
    "\n"
    "  omma models               what there is\n"
    "  omma models ppocrv4       one of them, to the last file\n"
    "  omma pull ppocrv4         fetch it\n"
    "\n"
    "Exit status: 0 done, 1 failed, 2 used wrongly. See also: omma pull --help\n";

static const char *installed(const omma_known *k) {
    switch (omma_known_check(k, OMMA_KNOWN_SIZES, NULL)) {
    case OMMA_OK: return "yes";
    case OMMA_E_FORMAT: return "broken";
    case OMMA_E_NOTFOUND: return "no";
    default: return "unreadable";
    }
}

static void print_row(const omma_known *k) {
    printf("%-12s  %-6s  %-10.*s  %6.1f MB  %-9s  %s\n", k->name, k->task,
           (int)strcspn(k->licence, " "), k->licence, (double)omma_known_size(k) / 1e6,
           installed(k), k->what);
}

static void print_table(const omma_known *const *models, int n) {
    printf("%-12s  %-6s  %-10s  %9s  %-9s  %s\n", "name", "verb", "licence", "size", "installed",
           "what it does");
    for (int i = 0; i < n; i++) print_row(models[i]);
}

static void print_origin(const omma_known *k) {
    if (k->npm) printf("  from        npm package %s\n", k->npm);
    for (int i = 0; i < k->file_count; i++)
        for (const char *const *url = k->files[i].urls; url && *url; url++)
            printf("  from        %s\n", *url);
}

static void print_one(const omma_known *k) {
    char path[OMMA_KNOWN_PATH];
    printf("%s: %s\n", k->name, k->what);
    printf("  verb        omma %s\n  licence     %s\n  home        %s\n", k->task, k->licence,
           k->source);
    print_origin(k);
    printf("  installed   %s\n", installed(k));
    if (!omma_known_folder(path, sizeof path, k, NULL)) printf("  folder      %s\n", path);
    for (int i = 0; i < k->file_count; i++)
        printf("  %-11s %s, %zu bytes, SHA-256\n              %s\n", k->files[i].role,
               k->files[i].name, k->files[i].size, k->files[i].sha256);
}

static void put_text(omma_json_writer *w, const char *key, const char *text) {
    omma_json_key(w, key);
    omma_json_put_text(w, text);
}

static void put_file(omma_json_writer *w, const omma_known *k, const omma_known_file *f) {
    char path[OMMA_KNOWN_PATH];
    bool placed = !omma_known_path(path, sizeof path, k, f->role, NULL);
    omma_json_begin_object(w);
    put_text(w, "role", f->role);
    put_text(w, "name", f->name);
    put_text(w, "path", placed ? path : NULL);
    omma_json_key(w, "size");
    omma_json_put_int(w, (int64_t)f->size);
    put_text(w, "sha256", f->sha256);
    if (f->urls) {
        omma_json_key(w, "urls");
        omma_json_begin_array(w);
        for (const char *const *url = f->urls; *url; url++) omma_json_put_text(w, *url);
        omma_json_end_array(w);
    }
    omma_json_end_object(w);
}

static void put_model(omma_json_writer *w, const omma_known *k) {
    omma_json_begin_object(w);
    put_text(w, "name", k->name);
    put_text(w, "task", k->task);
    put_text(w, "what", k->what);
    put_text(w, "licence", k->licence);
    put_text(w, "source", k->source);
    put_text(w, "npm", k->npm);
    omma_json_key(w, "size");
    omma_json_put_int(w, (int64_t)omma_known_size(k));
    omma_json_key(w, "installed");
    omma_json_put_bool(w, !omma_known_check(k, OMMA_KNOWN_SIZES, NULL));
    omma_json_key(w, "files");
    omma_json_begin_array(w);
    for (int i = 0; i < k->file_count; i++) put_file(w, k, &k->files[i]);
    omma_json_end_array(w);
    omma_json_end_object(w);
}

static int print_json(const omma_known *const *models, int n) {
    omma_json_writer w;
    omma_json_writer_file(&w, stdout, true);
    omma_json_begin_array(&w);
    for (int i = 0; i < n; i++) put_model(&w, models[i]);
    omma_json_end_array(&w);
    return omma_cli_json_end("models", &w);
}

enum { MOST = 64 };

/* The models asked for, all without names; -1 after a message. */
static int choose(const omma_known *models[MOST], const omma_cli_list *names) {
    int count, n = 0;
    const omma_known *all = omma_known_list(&count);
    for (int i = 0; !names->count && i < count && n < MOST; i++) models[n++] = &all[i];
    for (int i = 0; i < names->count && n < MOST; i++) {
        models[n] = omma_known_find(names->items[i]);
        if (!models[n++]) {
            omma_cli_misused("models", "no model is called '%s'", names->items[i]);
            return -1;
        }
    }
    return n;
}

int omma_cli_models(int argc, char **argv) {
    int json = 0, wants_help = 0;
    const omma_cli_option options[] = {{0, "json", 'b', &json}};
    omma_cli_list names = {0};
    int status = omma_cli_parse(argc, argv, options, 1, &names, &wants_help);
    if (!status && wants_help) {
        fputs(help, stdout);
    } else if (!status) {
        const omma_known *models[MOST];
        int n = choose(models, &names);
        if (n < 0) status = OMMA_EXIT_USAGE;
        else if (json) status = print_json(models, n);
        else if (!names.count) print_table(models, n);
        else
            for (int i = 0; i < n; i++) print_one(models[i]);
    }
    free(names.items);
    return omma_cli_finish("models", status);
}

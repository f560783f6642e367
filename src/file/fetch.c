/* fetch.c - curl, npm and tar with fixed arguments; see fetch.h. Traps: curl before 8.4
 * applies --max-filesize only to a length the server announces, so the size of the file is
 * limited by the system as well; npm keeps its errors in its words, not in its status. */
#include "file/fetch.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file/spawn.h"

static int time_limit(const omma_fetch *opt) { return opt && opt->seconds ? opt->seconds : 3600; }

/* --- addresses ------------------------------------------------------------------ */

static bool starts(const char *s, const char *with) { return !strncmp(s, with, strlen(with)); }

/* What follows scheme and host: "/..." or "". */
static const char *after_host(const char *url) {
    const char *host = strstr(url, "://");
    const char *p = host ? host + 3 : url;
    return p + strcspn(p, "/");
}

omma_status omma_fetch_address(char *out, const char *url, omma_error *err) {
    const char *mirror = getenv("OMMA_MIRROR");
    size_t n = mirror ? strlen(mirror) : 0;
    if (n && ((!starts(mirror, "https://") && !starts(mirror, "http://")) ||
              mirror[strcspn(mirror, " \t\r\n\"\\{}[]?#")]))
        return omma_fail(err, OMMA_E_USAGE,
                         "OMMA_MIRROR is '%s'; set it to https://HOST[:PORT][/FOLDER], or unset it",
                         mirror);
    while (n && mirror[n - 1] == '/') n--;
    int len = n ? snprintf(out, OMMA_FETCH_ADDRESS, "%.*s%s", (int)n, mirror, after_host(url))
                : snprintf(out, OMMA_FETCH_ADDRESS, "%s", url);
    if (len < 0 || len >= OMMA_FETCH_ADDRESS)
        return omma_fail(err, OMMA_E_RANGE, "OMMA_MIRROR makes an address of more than %d bytes",
                         OMMA_FETCH_ADDRESS);
    return OMMA_OK;
}

/* The last line that was said, without the "curl: (N) " before it. */
static const char *last_line(char *said) {
    size_t n = strlen(said);
    while (n && (said[n - 1] == '\n' || said[n - 1] == '\r')) said[--n] = 0;
    char *line = strrchr(said, '\n');
    line = line ? line + 1 : said;
    char *text = starts(line, "curl: (") ? strchr(line, ')') : NULL;
    return text && text[1] == ' ' ? text + 2 : line;
}

/* --- curl ----------------------------------------------------------------------- */

typedef struct watch {
    const char *path;
    const omma_fetch *opt;
} watch;

static void report_size(void *user) {
    const watch *w = user;
    struct stat st;
    if (w->opt && w->opt->step)
        w->opt->step(w->opt->user, stat(w->path, &st) ? 0 : (size_t)st.st_size);
}

/* What curl's exit status means to people; the statuses are those of curl(1). */
static const struct {
    int code;
    omma_status status;
    const char *text;
} curl_faults[] = {
    {5, OMMA_E_IO, "the proxy's name is not known; see https_proxy in the environment"},
    {6, OMMA_E_IO, "the host's name is not known; is this machine online?"},
    {7, OMMA_E_IO, "no connection to the host; is this machine online?"},
    {18, OMMA_E_IO, "the transfer broke off; try again"},
    {23, OMMA_E_IO, "the file cannot be written: the disk is full, or it is larger than expected"},
    {28, OMMA_E_IO, "the transfer stood still for too long; try again"},
    {56, OMMA_E_IO, "the connection broke; try again"},
    {60, OMMA_E_IO, "the host's certificate is not trusted; apt-get install ca-certificates"},
    {63, OMMA_E_IO, "the file there is larger than expected"},
};

static omma_status curl_failed(const char *url, omma_ending *end, omma_error *err) {
    const char *said = last_line(end->said);
    if (end->status == 22) /* an HTTP error; "...returned error: 404" */
        return omma_fail(err,
                         strstr(said, "404") || strstr(said, "410") ? OMMA_E_NOTFOUND : OMMA_E_IO,
                         "%s: the server does not give it (%s)", url, said);
    for (size_t i = 0; i < sizeof curl_faults / sizeof curl_faults[0]; i++)
        if (curl_faults[i].code == end->status)
            return omma_fail(err, curl_faults[i].status, "%s: %s (%s)", url, curl_faults[i].text,
                             said);
    return omma_fail(err, OMMA_E_IO, "%s: curl failed with status %d (%s)", url, end->status, said);
}

omma_status omma_fetch_url(const char *path, const char *url, size_t max_size,
                           const omma_fetch *opt, omma_error *err) {
    char address[OMMA_FETCH_ADDRESS], most[32];
    OMMA_TRY(omma_fetch_address(address, url, err));
    snprintf(most, sizeof most, "%zu", max_size);
    const char *proto = starts(address, "http://") ? "=http,https" : "=https";
    /* clang-format off */
    const char *argv[] = {
        "curl", "--fail", "--location", "--silent", "--show-error", "--globoff",
        "--proto", proto, "--proto-redir", proto, "--max-redirs", "8", "--max-filesize", most,
        "--connect-timeout", "20", "--speed-limit", "1", "--speed-time", "30", "--retry", "1",
        "--output", path, "--url", address, NULL};
    /* clang-format on */
    watch w = {path, opt};
    omma_spawn s = {.argv = argv,
                    .max_file = max_size,
                    .seconds = time_limit(opt),
                    .stop = opt ? opt->stop : NULL,
                    .tick = report_size,
                    .user = &w};
    omma_ending end;
    omma_status status = omma_spawn_run(&end, &s, err);
    if (status == OMMA_E_NOTFOUND)
        return omma_fail(err, status, "curl is missing; install it: apt-get install curl");
    if (status) return status;
    return end.status ? curl_failed(address, &end, err) : OMMA_OK;
}

/* --- npm ------------------------------------------------------------------------ */

static bool says_any(const char *said, const char *const *words) {
    for (; *words; words++)
        if (strstr(said, *words)) return true;
    return false;
}

static omma_status npm_failed(const char *package, omma_ending *end, omma_error *err) {
    static const char *const offline[] = {"ENOTFOUND",   "EAI_AGAIN",  "ECONNREFUSED",
                                          "ENETUNREACH", "ETIMEDOUT",  "ECONNRESET",
                                          "ERR_SOCKET",  "ENOTCACHED", NULL};
    static const char *const absent[] = {"E404", "ETARGET", "ENOVERSIONS", NULL};
    static const char *const disk[] = {"ENOSPC", "EFBIG", "EDQUOT", "EROFS", NULL};
    if (says_any(end->said, absent))
        return omma_fail(err, OMMA_E_NOTFOUND,
                         "npm: the registry has no package %s; see: npm config get registry",
                         package);
    if (says_any(end->said, offline))
        return omma_fail(err, OMMA_E_IO,
                         "npm: the registry cannot be reached for %s; is this machine online? "
                         "see: npm config get registry",
                         package);
    if (says_any(end->said, disk))
        return omma_fail(
            err, OMMA_E_IO,
            "npm: %s cannot be written: the disk is full, or it is larger than expected", package);
    char *log = strstr(end->said, "npm error A complete log"); /* names a file, says no reason */
    if (log) *log = 0;
    return omma_fail(err, OMMA_E_IO, "npm failed with status %d for %s (%s)", end->status, package,
                     last_line(end->said));
}

/* The one file of the folder that ends in .tgz. */
static omma_status find_tarball(char *out, size_t size, const char *folder, omma_error *err) {
    DIR *dir = opendir(folder);
    int len = -1;
    for (struct dirent *e; dir && len < 0 && (e = readdir(dir));) {
        size_t n = strlen(e->d_name);
        if (n > 4 && !strcmp(e->d_name + n - 4, ".tgz"))
            len = snprintf(out, size, "%s/%s", folder, e->d_name);
    }
    if (dir) closedir(dir);
    if (len < 0) return omma_fail_at(err, OMMA_E_IO, folder, -1, "npm has left no tarball here");
    if ((size_t)len >= size) return omma_fail(err, OMMA_E_RANGE, "the tarball's path is too long");
    return OMMA_OK;
}

omma_status omma_fetch_npm(char *out, size_t size, const char *folder, const char *package,
                           size_t max_size, const omma_fetch *opt, omma_error *err) {
    /* clang-format off */
    const char *argv[] = {
        "npm", "pack", package, "--pack-destination", ".", "--loglevel=error", "--ignore-scripts",
        "--no-update-notifier", "--fetch-retries=1", "--fetch-retry-mintimeout=1000",
        "--fetch-retry-maxtimeout=5000", NULL};
    /* clang-format on */
    omma_spawn s = {.argv = argv,
                    .folder = folder,
                    .max_file = max_size,
                    .seconds = time_limit(opt),
                    .stop = opt ? opt->stop : NULL};
    omma_ending end;
    omma_status status = omma_spawn_run(&end, &s, err);
    if (status == OMMA_E_NOTFOUND)
        return omma_fail(err, status, "npm is missing; install it: apt-get install npm");
    if (status) return status;
    if (end.status) return npm_failed(package, &end, err);
    return find_tarball(out, size, folder, err);
}

/* --- tar ------------------------------------------------------------------------ */

omma_status omma_fetch_unpack(const char *path, const char *tarball, const char *member,
                              size_t max_size, const omma_fetch *opt, omma_error *err) {
    /* By standard input: GNU tar takes a name with a colon for another machine's. */
    const char *argv[] = {"tar", "-xzOf", "-", "--", member, NULL};
    omma_spawn s = {.argv = argv,
                    .in = tarball,
                    .out = path,
                    .max_file = max_size,
                    .seconds = time_limit(opt),
                    .stop = opt ? opt->stop : NULL};
    omma_ending end;
    if (access(tarball, R_OK)) return omma_fail_at(err, OMMA_E_IO, tarball, -1, "cannot be read");
    omma_status status = omma_spawn_run(&end, &s, err);
    if (status == OMMA_E_NOTFOUND)
        return omma_fail(err, status, "tar is missing; install it: apt-get install tar");
    if (status) return status;
    if (!end.status) return OMMA_OK;
    end.said[strcspn(end.said, "\n")] = 0; /* the first line has the reason */
    return omma_fail_at(err, OMMA_E_FORMAT, tarball, -1, "tar cannot take %s out of it (%s)",
                        member, end.said);
}

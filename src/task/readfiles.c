/* readfiles.c - find a text reader's files by their names; see readfiles.h.
 *
 * By names, not by a fixed list, so that the recogniser and dictionary of another
 * language can take the place of the ones that come with the model. */
#include "task/readfiles.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *mark, *ending;
} parts[OMMA_READ_PARTS] = {
    {"detector", "det", ".onnx"},
    {"orientation classifier", "cls", ".onnx"},
    {"recogniser", "rec", ".onnx"},
    {"dictionary", "", ".txt"},
};

static bool is_part(const char *name, int part) {
    size_t n = strlen(name), e = strlen(parts[part].ending);
    return name[0] != '.' && n > e && !strcmp(name + n - e, parts[part].ending) &&
           strstr(name, parts[part].mark);
}

static omma_status take(omma_read_files *out, int part, const char *folder, const char *name,
                        omma_error *err) {
    char *path = out->path[part];
    if (path[0])
        return omma_fail(err, OMMA_E_USAGE, "%s: two files could be the %s: %s and %s; remove one",
                         folder, parts[part].name, strrchr(path, '/') + 1, name);
    int n = snprintf(path, OMMA_READ_PATH, "%s/%s", folder, name);
    if (n < 0 || n >= OMMA_READ_PATH)
        return omma_fail(err, OMMA_E_RANGE, "%s: the path is too long", folder);
    return OMMA_OK;
}

static omma_status take_all(omma_read_files *out, DIR *dir, const char *folder, omma_error *err) {
    for (struct dirent *e; (errno = 0, e = readdir(dir));)
        for (int part = 0; part < OMMA_READ_PARTS; part++)
            if (is_part(e->d_name, part)) OMMA_TRY(take(out, part, folder, e->d_name, err));
    if (errno) return omma_fail_at(err, OMMA_E_IO, folder, -1, "cannot list: %s", strerror(errno));
    for (int part = 0; part < OMMA_READ_PARTS; part++)
        if (!out->path[part][0])
            return omma_fail_at(err, OMMA_E_NOTFOUND, folder, -1,
                                "no %s here (*%s*%s); 'omma pull ppocrv4' fetches a whole set",
                                parts[part].name, parts[part].mark, parts[part].ending);
    return OMMA_OK;
}

omma_status omma_read_files_find(omma_read_files *out, const char *folder, omma_error *err) {
    memset(out, 0, sizeof *out);
    DIR *dir = opendir(folder);
    if (!dir && (errno == ENOENT || errno == ENOTDIR))
        return omma_fail_at(err, OMMA_E_NOTFOUND, folder, -1,
                            "no models for reading text here; run 'omma pull ppocrv4'");
    if (!dir) return omma_fail_at(err, OMMA_E_IO, folder, -1, "cannot open: %s", strerror(errno));
    omma_status status = take_all(out, dir, folder, err);
    closedir(dir);
    return status;
}

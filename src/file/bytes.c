/* bytes.c - map, read and atomically write whole files; see bytes.h. */
#include "file/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/pages.h"

/* fstat of a descriptor that must be a regular file; closes it on error. */
static omma_status regular(int fd, struct stat *st, const char *path, omma_error *err) {
    const char *why = NULL;
    if (fstat(fd, st)) why = strerror(errno);
    else if (S_ISDIR(st->st_mode)) why = "is a folder, not a file";
    else if (!S_ISREG(st->st_mode)) why = "is not a regular file";
    if (!why) return OMMA_OK;
    close(fd);
    return omma_fail_at(err, OMMA_E_IO, path, -1, "%s", why);
}

static omma_status open_file(int *fd, const char *path, omma_error *err) {
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return *fd >= 0 ? OMMA_OK
                    : omma_fail_at(err, OMMA_E_IO, path, -1, "cannot open: %s", strerror(errno));
}

/* Map the whole file; the descriptor is no longer the caller's. */
static omma_status map_all(omma_bytes *out, int fd, size_t size, const char *path,
                           omma_error *err) {
    void *p = size ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
    if (p == MAP_FAILED) {
        int e = errno;
        close(fd);
        return omma_fail_at(err, OMMA_E_IO, path, -1, "cannot map: %s", strerror(e));
    }
    if (!size) {
        close(fd);
        return OMMA_OK;
    }
    *out = (omma_bytes){p, size, true};
    omma_pages_add(p, size, fd);
    return OMMA_OK;
}

/* Copy the whole file, a final 0 behind it, and close it. */
static omma_status read_all(omma_bytes *out, int fd, size_t size, const char *path,
                            omma_error *err) {
    unsigned char *p = omma_mem_alloc_raw(size + 1); /* text readers find a final 0 */
    if (!p) {
        close(fd);
        return omma_fail_at(err, OMMA_E_NOMEM, path, -1, "no memory for %zu bytes", size);
    }
    size_t got = 0;
    while (got < size) {
        ssize_t n = read(fd, p + got, size - got);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        got += (size_t)n;
    }
    int e = errno;
    close(fd);
    if (got < size) {
        omma_mem_free(p);
        return omma_fail_at(err, OMMA_E_IO, path, (int64_t)got, "cannot read on: %s", strerror(e));
    }
    p[size] = 0;
    *out = (omma_bytes){p, size, false};
    return OMMA_OK;
}

omma_status omma_bytes_map(omma_bytes *out, const char *path, omma_error *err) {
    *out = (omma_bytes){0};
    int fd;
    OMMA_TRY(open_file(&fd, path, err));
    return omma_bytes_hold(out, fd, NULL, 0, path, err);
}

omma_status omma_bytes_hold(omma_bytes *out, int fd, omma_budget *budget, unsigned links,
                            const char *path, omma_error *err) {
    *out = (omma_bytes){0};
    struct stat st;
    OMMA_TRY(regular(fd, &st, path, err));
    size_t size = (size_t)st.st_size;
    if (links && st.st_nlink > links) {
        close(fd);
        return omma_fail_at(err, OMMA_E_IO, path, -1,
                            "has more than one name (hard link): it may be a file from elsewhere");
    }
    if (!(st.st_mode & S_IWOTH)) return map_all(out, fd, size, path, err);
    omma_status s = omma_budget_take(budget, size, err);
    if (!s) return read_all(out, fd, size, path, err);
    close(fd);
    omma_error_in_file(err, path);
    return s;
}

omma_status omma_bytes_read(omma_bytes *out, const char *path, size_t max, omma_error *err) {
    *out = (omma_bytes){0};
    int fd;
    struct stat st;
    OMMA_TRY(open_file(&fd, path, err));
    OMMA_TRY(regular(fd, &st, path, err));
    size_t size = (size_t)st.st_size;
    if (size <= max) return read_all(out, fd, size, path, err);
    close(fd);
    return omma_fail_at(err, OMMA_E_RANGE, path, -1, "is %zu bytes long, more than the %zu allowed",
                        size, max);
}

void omma_bytes_free(omma_bytes *b) {
    if (b->mapped) {
        omma_pages_drop(b->data);
        munmap((void *)(uintptr_t)b->data, b->size);
    } else omma_mem_free((void *)(uintptr_t)b->data);
    *b = (omma_bytes){0};
}

/* Write everything and close; the reason on failure is in errno. */
static int write_all(int fd, const omma_bytes *parts, size_t n_parts, int sync) {
    int bad = 0;
    for (size_t i = 0; i < n_parts; i++) {
        const unsigned char *p = parts[i].data;
        size_t n = parts[i].size;
        while (n && !bad) {
            ssize_t k = write(fd, p, n);
            if (k < 0 && errno == EINTR) continue;
            if (k < 0) bad = errno;
            else p += k, n -= (size_t)k;
        }
    }
    if (!bad && sync && fsync(fd)) bad = errno;
    if (close(fd) && !bad) bad = errno;
    errno = bad;
    return bad;
}

omma_status omma_bytes_write(const char *path, const void *data, size_t size, omma_error *err) {
    const omma_bytes whole = {.data = data, .size = size};
    return omma_bytes_write_parts(path, &whole, 1, err);
}

/* What a path that is not to be replaced is: written in place, or refused. */
static bool in_place(const char *path, bool *folder) {
    struct stat st;
    const bool other = !stat(path, &st) && !S_ISREG(st.st_mode);
    *folder = other && S_ISDIR(st.st_mode);
    return other;
}

/* A new temporary file beside path, its name on the heap in *tmp; -1 with the reason in errno. */
static int open_beside(const char *path, char **tmp) {
    size_t len = strlen(path);
    *tmp = malloc(len + 16);
    if (!*tmp) return -1;
    memcpy(*tmp, path, len);
    memcpy(*tmp + len, ".part-XXXXXX", 13);
    return mkstemp(*tmp);
}

static omma_status cannot_write(const char *path, int why, omma_error *err) {
    return omma_fail_at(err, OMMA_E_IO, path, -1, "cannot write: %s", strerror(why));
}

omma_status omma_bytes_writable(const char *path, omma_error *err) {
    bool folder;
    char *tmp;
    if (in_place(path, &folder)) return folder ? cannot_write(path, EISDIR, err) : OMMA_OK;
    int fd = open_beside(path, &tmp), bad = fd < 0 ? errno : 0;
    if (!bad) close(fd), unlink(tmp);
    free(tmp);
    return bad ? cannot_write(path, bad, err) : OMMA_OK;
}

omma_status omma_bytes_write_parts(const char *path, const omma_bytes *parts, size_t n,
                                   omma_error *err) {
    bool folder;
    char *tmp;
    if (in_place(path, &folder)) {
        if (folder) return cannot_write(path, EISDIR, err);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        return fd < 0 || write_all(fd, parts, n, 0) ? cannot_write(path, errno, err) : OMMA_OK;
    }
    int fd = open_beside(path, &tmp), bad = fd < 0 ? errno : 0;
    if (!bad) {
        mode_t mask = umask(0);
        umask(mask);
        if (fchmod(fd, 0666 & ~mask)) bad = errno;
        if (write_all(fd, parts, n, 1) && !bad) bad = errno;
        if (!bad && rename(tmp, path)) bad = errno;
        if (bad) unlink(tmp);
    }
    free(tmp);
    return bad ? cannot_write(path, bad, err) : OMMA_OK;
}

omma_status omma_folder_make(const char *path, omma_error *err) {
    size_t len = strlen(path);
    char *p = malloc(len + 1);
    if (!p) return omma_fail_at(err, OMMA_E_NOMEM, path, -1, "no memory for its name");
    memcpy(p, path, len + 1);
    int bad = 0;
    for (size_t i = 1; i <= len && !bad; i++) {
        if (p[i] != '/' && p[i] != 0) continue;
        char c = p[i];
        p[i] = 0;
        struct stat st;
        if (mkdir(p, 0777) && errno != EEXIST && errno != EISDIR && errno != EROFS) bad = errno;
        if (!bad && stat(p, &st)) bad = errno;
        if (!bad && !S_ISDIR(st.st_mode)) bad = ENOTDIR;
        p[i] = c;
    }
    free(p);
    if (bad)
        return omma_fail_at(err, OMMA_E_IO, path, -1, "cannot make the folder: %s", strerror(bad));
    return OMMA_OK;
}

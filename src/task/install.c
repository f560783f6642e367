/* install.c - lock, gather in a folder beside the target, check, rename; see install.h.
 * Trap: closing any descriptor of a file drops a process's fcntl locks on it, so the lock
 * file is opened in one place only. */
#include "task/install.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file/bytes.h"
#include "file/fetch.h"

enum { DEPTH = 6 }; /* folders in folders that a program may leave on the way */

typedef struct job {
    const omma_known *k;
    const omma_install_options *opt;
    char root[OMMA_KNOWN_PATH];   /* the models folder */
    char folder[OMMA_KNOWN_PATH]; /* the model's */
    char temp[OMMA_KNOWN_PATH];   /* what is on its way; "" before it is made */
    char lock_path[OMMA_KNOWN_PATH];
    int lock;     /* descriptor, -1: none */
    size_t total; /* of the file that is fetched [bytes] */
} job;

__attribute__((format(printf, 2, 3))) static void say(const job *j, const char *fmt, ...) {
    if (!j->opt->say) return;
    char line[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    j->opt->say(j->opt->user, line);
}

static bool stopped(const job *j) { return j->opt->stop && *j->opt->stop; }

static omma_status path_in(char out[OMMA_KNOWN_PATH], const char *folder, const char *name,
                           omma_error *err) {
    int n = snprintf(out, OMMA_KNOWN_PATH, "%s/%s", folder, name);
    if (n < 0 || n >= OMMA_KNOWN_PATH)
        return omma_fail(err, OMMA_E_RANGE, "a path in the models folder is longer than %d bytes",
                         OMMA_KNOWN_PATH);
    return OMMA_OK;
}

/* A message without what it begins with, when it does. */
static const char *after(const char *message, const char *head) {
    size_t n = strlen(head);
    return n && !strncmp(message, head, n) ? message + n : message;
}

/* Check a gathered file; the message names where it comes from, not where it lies now. */
static omma_status check(const omma_known_file *f, const char *path, const char *from,
                         omma_error *err) {
    omma_error why;
    omma_status status = omma_known_check_file(f, path, OMMA_KNOWN_DIGESTS, &why);
    if (!status) return OMMA_OK;
    return omma_fail(err, status, "%s: not the right file%s", from, after(why.message, why.file));
}

/* --- one at a time --------------------------------------------------------------- */

/* Is the locked file still the one with that name? Its last holder may have removed it. */
static bool still_named(int fd, const char *path) {
    struct stat a, b;
    return !fstat(fd, &a) && !stat(path, &b) && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

/* 1: held; 0: another process holds it; -1: this file system has no locks. */
static int try_lock(int fd) {
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (!fcntl(fd, F_SETLK, &l)) return 1;
    return errno == EACCES || errno == EAGAIN || errno == EINTR ? 0 : -1;
}

/* Take the lock, waiting for others. Without locks at all it goes on: names of folders
 * on their way are unique and renames are atomic, only leftovers stay. */
static omma_status lock(job *j, omma_error *err) {
    for (bool waited = false; !stopped(j);) {
        int fd = open(j->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (fd < 0)
            return omma_fail_at(err, OMMA_E_IO, j->root, -1, "cannot write in this folder: %s",
                                strerror(errno));
        int got = try_lock(fd);
        if (got > 0 && still_named(fd, j->lock_path)) {
            j->lock = fd;
            return OMMA_OK;
        }
        close(fd);
        if (got < 0) {
            unlink(j->lock_path);
            return OMMA_OK;
        }
        if (!got && !waited) say(j, "%s: waiting for another pull of it", j->k->name);
        waited |= !got;
        if (!got) poll(NULL, 0, 100);
    }
    return omma_fail(err, OMMA_E_IO, "was stopped");
}

static void unlock(job *j) {
    if (j->lock < 0) return;
    unlink(j->lock_path); /* first, while nobody else can hold it */
    close(j->lock);
    j->lock = -1;
}

/* --- the folder on its way --------------------------------------------------------- */

/* Remove a folder, and the folders in it to that depth. A link is removed, never followed:
 * unlink takes it. */
static void remove_folder(const char *folder, int depth) {
    char path[OMMA_KNOWN_PATH];
    DIR *dir = opendir(folder);
    for (struct dirent *e; dir && (e = readdir(dir));)
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") &&
            !path_in(path, folder, e->d_name, NULL) && unlink(path) && depth > 0)
            remove_folder(path, depth - 1);
    if (dir) closedir(dir);
    rmdir(folder);
}

/* Remove what killed processes left. Only under the lock: nobody else is at work. */
static void remove_leftovers(const job *j) {
    char head[160], path[OMMA_KNOWN_PATH];
    int n = snprintf(head, sizeof head, ".%s.part-", j->k->name);
    DIR *dir = opendir(j->root);
    for (struct dirent *e; dir && (e = readdir(dir));)
        if (!strncmp(e->d_name, head, (size_t)n) && !path_in(path, j->root, e->d_name, NULL))
            remove_folder(path, DEPTH);
    if (dir) closedir(dir);
}

static omma_status make_temp(job *j, omma_error *err) {
    for (int i = 0; i < 100; i++) {
        char name[160];
        snprintf(name, sizeof name, ".%s.part-%ld-%d", j->k->name, (long)getpid(), i);
        OMMA_TRY(path_in(j->temp, j->root, name, err));
        if (!mkdir(j->temp, 0777)) return OMMA_OK;
        if (errno != EEXIST) break;
    }
    int why = errno;
    j->temp[0] = 0;
    return omma_fail_at(err, OMMA_E_IO, j->root, -1, "cannot make a folder in it: %s",
                        strerror(why));
}

/* --- gathering the files ------------------------------------------------------------ */

static void step(void *user, size_t done) {
    const job *j = user;
    if (j->opt->step) j->opt->step(j->opt->user, done, j->total);
}

static omma_status from_urls(job *j, const omma_known_file *f, const char *path, omma_error *err) {
    omma_fetch fetch = {.stop = j->opt->stop, .step = step, .user = j};
    omma_error why;
    j->total = f->size;
    for (int i = 0; f->urls[i]; i++) {
        char address[OMMA_FETCH_ADDRESS];
        OMMA_TRY(omma_fetch_address(address, f->urls[i], err));
        say(j, "%s: fetching %.1f MB from %s", j->k->name, (double)f->size / 1e6, address);
        omma_status status = omma_fetch_url(path, f->urls[i], f->size, &fetch, &why);
        if (!status) status = check(f, path, address, &why);
        if (!status) return OMMA_OK;
        unlink(path);
        if (stopped(j) || !f->urls[i + 1]) return omma_fail(err, status, "%s", why.message);
        say(j, "%s%s; trying the next place", j->k->name, after(why.message, address));
    }
    return omma_fail(err, OMMA_E_INTERNAL, "no place is known for %s", f->name);
}

/* All files out of the package's tarball. */
static omma_status from_tarball(job *j, const char *tarball, omma_error *err) {
    omma_fetch fetch = {.stop = j->opt->stop};
    for (int i = 0; i < j->k->file_count; i++) {
        const omma_known_file *f = &j->k->files[i];
        char path[OMMA_KNOWN_PATH];
        OMMA_TRY(path_in(path, j->temp, f->name, err));
        OMMA_TRY(omma_fetch_unpack(path, tarball, f->member, f->size, &fetch, err));
    }
    return OMMA_OK;
}

/* npm works in a folder of its own, so that nothing it leaves is published. */
static omma_status from_npm(job *j, omma_error *err) {
    omma_fetch fetch = {.stop = j->opt->stop};
    char pack[OMMA_KNOWN_PATH], tarball[OMMA_KNOWN_PATH];
    size_t most = 2 * omma_known_size(j->k) + ((size_t)4 << 20); /* compressed: less than this */
    OMMA_TRY(path_in(pack, j->temp, "pack", err));
    if (mkdir(pack, 0777))
        return omma_fail_at(err, OMMA_E_IO, pack, -1, "cannot be made: %s", strerror(errno));
    say(j, "%s: fetching %.1f MB with npm: %s", j->k->name, (double)omma_known_size(j->k) / 1e6,
        j->k->npm);
    OMMA_TRY(omma_fetch_npm(tarball, sizeof tarball, pack, j->k->npm, most, &fetch, err));
    OMMA_TRY(from_tarball(j, tarball, err));
    remove_folder(pack, DEPTH);
    return OMMA_OK;
}

/* Copy a file that is here, after checking it where it lies. */
static omma_status from_file(job *j, const omma_known_file *f, const char *source,
                             omma_error *err) {
    char path[OMMA_KNOWN_PATH];
    omma_bytes b;
    OMMA_TRY(path_in(path, j->temp, f->name, err));
    OMMA_TRY(omma_known_check_file(f, source, OMMA_KNOWN_DIGESTS, err));
    OMMA_TRY(omma_bytes_read(&b, source, f->size, err));
    omma_status status = omma_bytes_write(path, b.data, b.size, err);
    omma_bytes_free(&b);
    return status;
}

/* Find a file below a folder: by its name, or by any tail of its place in the package. */
static omma_status find_below(char path[OMMA_KNOWN_PATH], const char *folder,
                              const omma_known_file *f, omma_error *err) {
    struct stat st;
    for (const char *tail = f->member; tail; tail = strchr(tail, '/')) {
        tail += *tail == '/';
        OMMA_TRY(path_in(path, folder, tail, err));
        if (!stat(path, &st)) return OMMA_OK;
    }
    OMMA_TRY(path_in(path, folder, f->name, err));
    if (!stat(path, &st)) return OMMA_OK;
    return omma_fail_at(err, OMMA_E_NOTFOUND, folder, -1, "there is no file %s in it", f->name);
}

static omma_status from_folder(job *j, const char *folder, omma_error *err) {
    char source[OMMA_KNOWN_PATH];
    for (int i = 0; i < j->k->file_count; i++) {
        OMMA_TRY(find_below(source, folder, &j->k->files[i], err));
        OMMA_TRY(from_file(j, &j->k->files[i], source, err));
    }
    return OMMA_OK;
}

static omma_status from_here(job *j, const char *from, omma_error *err) {
    struct stat st;
    if (stat(from, &st)) return omma_fail_at(err, OMMA_E_NOTFOUND, from, -1, "%s", strerror(errno));
    if (S_ISDIR(st.st_mode)) return from_folder(j, from, err);
    if (j->k->file_count == 1) return from_file(j, &j->k->files[0], from, err);
    if (j->k->npm) return from_tarball(j, from, err);
    return omma_fail_at(err, OMMA_E_USAGE, from, -1, "is one file; '%s' has %d: give their folder",
                        j->k->name, j->k->file_count);
}

static omma_status gather(job *j, omma_error *err) {
    if (j->opt->from) return from_here(j, j->opt->from, err);
    if (j->k->npm) return from_npm(j, err);
    for (int i = 0; i < j->k->file_count; i++) {
        char path[OMMA_KNOWN_PATH];
        OMMA_TRY(path_in(path, j->temp, j->k->files[i].name, err));
        OMMA_TRY(from_urls(j, &j->k->files[i], path, err));
    }
    return OMMA_OK;
}

/* --- checking and publishing ---------------------------------------------------------- */

/* Check a gathered file and bring it to the disk. */
static omma_status seal(const omma_known_file *f, const char *path, omma_error *err) {
    OMMA_TRY(check(f, path, f->name, err));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int bad = fd < 0 || fsync(fd) ? errno : 0;
    if (fd >= 0) close(fd);
    return bad ? omma_fail_at(err, OMMA_E_IO, path, -1, "cannot be kept: %s", strerror(bad))
               : OMMA_OK;
}

/* The model's folder is there: put the files in it one by one, each whole. */
static omma_status publish_files(const job *j, omma_error *err) {
    for (int i = 0; i < j->k->file_count; i++) {
        char source[OMMA_KNOWN_PATH], target[OMMA_KNOWN_PATH];
        OMMA_TRY(path_in(source, j->temp, j->k->files[i].name, err));
        OMMA_TRY(path_in(target, j->folder, j->k->files[i].name, err));
        if (rename(source, target))
            return omma_fail_at(err, OMMA_E_IO, target, -1, "cannot be replaced: %s",
                                strerror(errno));
    }
    return OMMA_OK;
}

static omma_status publish(job *j, omma_error *err) {
    char path[OMMA_KNOWN_PATH];
    for (int i = 0; i < j->k->file_count; i++) {
        OMMA_TRY(path_in(path, j->temp, j->k->files[i].name, err));
        OMMA_TRY(seal(&j->k->files[i], path, err));
    }
    if (stopped(j)) return omma_fail(err, OMMA_E_IO, "was stopped");
    if (!rename(j->temp, j->folder)) {
        j->temp[0] = 0;
        return OMMA_OK;
    }
    int why = errno;
    struct stat st;
    if (!stat(j->folder, &st) && S_ISDIR(st.st_mode)) return publish_files(j, err);
    return omma_fail_at(err, OMMA_E_IO, j->folder, -1, "cannot be made: %s", strerror(why));
}

/* With the lock held. */
static omma_status install_alone(bool *fresh, job *j, omma_error *err) {
    if (!j->opt->force && !omma_known_check(j->k, OMMA_KNOWN_DIGESTS, NULL)) return OMMA_OK;
    OMMA_TRY(make_temp(j, err));
    omma_status status = gather(j, err);
    if (!status) status = publish(j, err);
    if (j->temp[0]) remove_folder(j->temp, DEPTH);
    *fresh = !status;
    return status;
}

omma_status omma_install(bool *fresh, const omma_known *k, const omma_install_options *opt,
                         omma_error *err) {
    static const omma_install_options none = {0};
    job j = {.k = k, .opt = opt ? opt : &none, .lock = -1};
    char name[160];
    bool done = false;
    if (fresh) *fresh = false;
    /* What is there may lie where nobody can write. */
    if (!j.opt->force && !omma_known_check(k, OMMA_KNOWN_DIGESTS, NULL)) return OMMA_OK;
    snprintf(name, sizeof name, ".%s.lock", k->name);
    OMMA_TRY(omma_known_root(j.root, sizeof j.root, err));
    OMMA_TRY(omma_known_folder(j.folder, sizeof j.folder, k, err));
    OMMA_TRY(path_in(j.lock_path, j.root, name, err));
    OMMA_TRY(omma_folder_make(j.root, err));
    OMMA_TRY(lock(&j, err));
    if (j.lock >= 0) remove_leftovers(&j);
    omma_status status = install_alone(&done, &j, err);
    unlock(&j);
    if (fresh) *fresh = done;
    return status;
}

/* external.c - see external.h.
 *
 * Traps that other readers fell into: "../" (CVE-2022-25882), "a/../b" (CVE-2024-27318), a
 * linked parent folder (CVE-2026-27489), a hard link to a file elsewhere, a file exchanged
 * between check and use, and a kind of tensor that goes another way and misses the check. */
#define _GNU_SOURCE /* syscall */
#include "model/external.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef O_PATH
enum { FOLDER = O_PATH | O_DIRECTORY | O_CLOEXEC }; /* needs no right to list it */
#else
enum { FOLDER = O_RDONLY | O_DIRECTORY | O_CLOEXEC };
#endif
enum { ENTRY_KEY = 1, ENTRY_VALUE = 2, FILES_MAX = 4096 };

/* A file that is mapped for a model. */
struct omma_external {
    struct omma_external *next;
    const char *name;
    omma_bytes bytes;
};

/* --- what the tensor says ------------------------------------------------------------ */

/* A number in decimal digits and nothing else. */
static bool number(const char *s, uint64_t *out) {
    uint64_t v = 0;
    if (!*s) return false;
    for (; *s; s++) {
        if (*s < '0' || *s > '9') return false;
        if (__builtin_mul_overflow(v, 10, &v)) return false;
        if (__builtin_add_overflow(v, (uint64_t)(*s - '0'), &v)) return false;
    }
    *out = v;
    return true;
}

static omma_status set_number(const omma_pb *m, const omma_pb_field *f, const char *key,
                              const char *value, bool *has, uint64_t *out) {
    if (*has)
        return omma_pb_fail(m, f, OMMA_E_FORMAT, "external data with the key '%s' twice", key);
    *has = true;
    if (number(value, out)) return OMMA_OK;
    return omma_pb_fail(m, f, OMMA_E_FORMAT, "external data whose %s '%.40s' is no number", key,
                        value);
}

omma_status omma_external_entry(omma_onnx *o, const omma_pb *outer, const omma_pb_field *field,
                                omma_external_ref *ref) {
    omma_pb m;
    const char *key = "", *value = "";
    OMMA_TRY(omma_pb_enter(outer, field, &m));
    for (;;) {
        omma_pb_field f;
        bool more;
        OMMA_TRY(omma_pb_next(&m, &f, &more));
        if (!more) break;
        if (f.number == ENTRY_KEY) OMMA_TRY(omma_onnx_string(o, &m, &f, OMMA_ONNX_NAME_MAX, &key));
        if (f.number == ENTRY_VALUE)
            OMMA_TRY(omma_onnx_string(o, &m, &f, OMMA_ONNX_NAME_MAX, &value));
    }
    if (!strcmp(key, "offset"))
        return set_number(outer, field, key, value, &ref->has_offset, &ref->offset);
    if (!strcmp(key, "length"))
        return set_number(outer, field, key, value, &ref->has_length, &ref->length);
    if (strcmp(key, "location")) return OMMA_OK;
    if (ref->location)
        return omma_pb_fail(outer, field, OMMA_E_FORMAT, "external data with two locations");
    ref->location = value;
    return OMMA_OK;
}

/* --- opening ------------------------------------------------------------------------- */

const char *omma_external_plain(const char *name) {
    if (!*name) return "is empty";
    if (*name == '/') return "is absolute";
    if (strlen(name) > OMMA_ONNX_NAME_MAX) return "is too long";
    for (const char *p = name; *p; p++)
        if (*p == '\\' || (unsigned char)*p < 0x20 || *p == 0x7f)
            return "has a character in it that no plain name has";
    for (const char *p = name;; p++) {
        size_t n = strcspn(p, "/");
        if (!n) return "has an empty part";
        if (p[0] == '.' && (n == 1 || (n == 2 && p[1] == '.')))
            return "has a part '.' or '..'; only names below the model's folder are read";
        p += n;
        if (!*p) return NULL;
    }
}

int omma_external_folder(const char *path, const char **name) {
    const char *slash = strrchr(path, '/');
    *name = slash ? slash + 1 : path;
    if (!**name) *name = "."; /* a folder, which is told later */
    size_t n = slash ? (size_t)(slash - path) : 0;
    char *folder = omma_mem_alloc(n + 2);
    if (!folder) {
        errno = ENOMEM;
        return -1;
    }
    if (n) memcpy(folder, path, n);
    else folder[0] = slash ? '/' : '.';
    int fd = open(folder, FOLDER);
    int e = errno;
    omma_mem_free(folder);
    errno = e;
    return fd;
}

enum { READ = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK };

/* One component after the other, none of them a link. */
static int walk_down(int folder, const char *name) {
    int at = folder;
    for (;;) {
        char part[OMMA_ONNX_NAME_MAX + 1];
        size_t n = strcspn(name, "/");
        memcpy(part, name, n);
        part[n] = 0;
        int next = openat(at, part, name[n] ? FOLDER | O_NOFOLLOW : READ);
        int e = errno;
        if (at != folder) close(at);
        errno = e;
        if (next < 0 || !name[n]) return next;
        at = next;
        name += n + 1;
    }
}

#if defined(__linux__)
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
/* As in linux/openat2.h, which older headers lack. */
struct how {
    uint64_t flags, mode, resolve;
};
enum { NO_MAGICLINKS = 2, NO_SYMLINKS = 4, BENEATH = 8 };

static int open_beneath(int folder, const char *name) {
    struct how how = {.flags = READ, .resolve = BENEATH | NO_SYMLINKS | NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, folder, name, &how, sizeof how);
}
#else
static int open_beneath(int folder, const char *name) {
    (void)folder, (void)name;
    errno = ENOSYS;
    return -1;
}
#endif

int omma_external_open(int folder, const char *name, bool walk) {
    int fd = -1;
    if (!walk) {
        fd = open_beneath(folder, name);
        /* an old kernel, or a sandbox that does not know the call */
        walk = fd < 0 && (errno == ENOSYS || errno == EPERM || errno == EINVAL);
    }
    return walk ? walk_down(folder, name) : fd;
}

/* --- finding ------------------------------------------------------------------------- */

static omma_status open_file(omma_onnx *o, struct omma_external *x, omma_error *err) {
    const char *why = omma_external_plain(x->name);
    if (why) return omma_fail(err, OMMA_E_FORMAT, "its name %s", why);
    int fd = omma_external_open(o->model->folder, x->name, false);
    if (fd >= 0) return omma_bytes_hold(&x->bytes, fd, &o->model->budget, 1, NULL, err);
    if (errno == ELOOP || errno == EXDEV)
        return omma_fail(err, OMMA_E_IO,
                         "it is a link, or behind one; put the file itself beside the model");
    return omma_fail(err, OMMA_E_IO, "cannot open: %s", strerror(errno));
}

/* The file of that name, mapped now or before. */
static omma_status find_file(omma_onnx *o, const char *name, const omma_bytes **out,
                             omma_error *err) {
    int n = 0;
    struct omma_external *x = o->model->external;
    for (; x; x = x->next, n++)
        if (!strcmp(x->name, name)) {
            *out = &x->bytes;
            return OMMA_OK;
        }
    if (n == FILES_MAX) return omma_fail(err, OMMA_E_UNSUPPORTED, "more than %d files", FILES_MAX);
    x = omma_arena_alloc(o->arena, sizeof *x);
    if (!x) return omma_fail(err, OMMA_E_NOMEM, "no memory");
    x->name = name;
    OMMA_TRY(open_file(o, x, err));
    x->next = o->model->external;
    o->model->external = x;
    *out = &x->bytes;
    return OMMA_OK;
}

omma_status omma_external_data(omma_onnx *o, const omma_pb *m, const omma_pb_field *f,
                               omma_value *v, const omma_external_ref *ref, size_t bytes) {
    const omma_bytes *file = NULL;
    omma_error why;
    if (!ref->location)
        return omma_pb_fail(m, f, OMMA_E_FORMAT,
                            "tensor '%s' keeps its numbers in another file but does not name it",
                            v->name);
    if (!o->model || !o->model->allow_external)
        return omma_pb_fail(m, f, OMMA_E_UNSUPPORTED,
                            "tensor '%s' keeps its numbers in another file, '%s'; if you trust "
                            "the model, allow that (--allow-external, omma_options.allow_external)",
                            v->name, ref->location);
    omma_status s = find_file(o, ref->location, &file, &why);
    if (s)
        return omma_pb_fail(m, f, s, "tensor '%s' keeps its numbers in the file '%s': %s", v->name,
                            ref->location, why.message);
    if (ref->has_length && ref->length != bytes)
        return omma_pb_fail(m, f, OMMA_E_FORMAT,
                            "tensor '%s' should be %zu bytes by its shape but is %llu bytes of "
                            "'%s'",
                            v->name, bytes, (unsigned long long)ref->length, ref->location);
    if (ref->offset > file->size || bytes > file->size - ref->offset)
        return omma_pb_fail(m, f, OMMA_E_FORMAT,
                            "tensor '%s' lies at bytes %llu to %llu + %zu of '%s', which is %zu "
                            "bytes long",
                            v->name, (unsigned long long)ref->offset,
                            (unsigned long long)ref->offset, bytes, ref->location, file->size);
    v->data = bytes ? file->data + ref->offset : omma_arena_alloc(o->arena, 0);
    if (v->data) return OMMA_OK;
    return omma_pb_fail(m, f, OMMA_E_NOMEM, "no memory for tensor '%s'", v->name);
}

void omma_external_free(omma_model *m) {
    for (struct omma_external *x = m->external; x; x = x->next) omma_bytes_free(&x->bytes);
    m->external = NULL;
}

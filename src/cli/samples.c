/* samples.c - see samples.h. */
#include "cli/samples.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/checked.h"
#include "file/image.h"
#include "file/npy.h"
#include "task/detector.h"
#include "task/resize.h"

typedef enum kind { PICTURES, ARRAYS, FOLDERS } kind;

typedef struct reading {
    omma_arena *arena;
    const omma_model *m;
    const omma_samples_how *how;
    const char *folder;
    kind kind;
    char **names;
    int n_names;
    omma_detector *detector; /* NULL: none */
    omma_error *err;
} reading;

static omma_status no_memory(const reading *r) {
    return omma_fail(r->err, OMMA_E_NOMEM, "no memory for the samples");
}

/* --- what is in the folder ----------------------------------------------------------- */

static bool ends(const char *name, const char *with) {
    const size_t n = strlen(name), k = strlen(with);
    return n > k && !strcmp(name + n - k, with);
}

static bool is_folder(const reading *r, const char *name) {
    char path[4096];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", r->folder, name);
    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

static bool belongs(const reading *r, kind k, const char *name) {
    if (name[0] == '.') return false;
    if (k == PICTURES) return omma_image_is_picture_name(name);
    return k == ARRAYS ? ends(name, ".npy") : is_folder(r, name);
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static omma_status list(reading *r, kind k) {
    DIR *d = opendir(r->folder);
    int cap = 0;
    r->n_names = 0, r->kind = k;
    if (!d)
        return omma_fail_at(r->err, OMMA_E_IO, r->folder, -1, "cannot open: %s", strerror(errno));
    omma_status s = OMMA_OK;
    for (struct dirent *e; !s && (e = readdir(d));) {
        if (!belongs(r, k, e->d_name)) continue;
        if (r->n_names == cap) {
            cap = cap ? cap * 2 : 64;
            char **more = omma_arena_array(r->arena, (size_t)cap, sizeof *more);
            if (!more) s = no_memory(r);
            else if (r->n_names) memcpy(more, r->names, (size_t)r->n_names * sizeof *more);
            r->names = more;
        }
        if (!s) r->names[r->n_names] = omma_arena_strndup(r->arena, e->d_name, strlen(e->d_name));
        if (!s && !r->names[r->n_names++]) s = no_memory(r);
    }
    closedir(d);
    if (!s && r->n_names > 1) qsort(r->names, (size_t)r->n_names, sizeof *r->names, by_name);
    return s;
}

/* One file stands for a folder that holds nothing else. */
static omma_status take_file(reading *r) {
    const char *slash = strrchr(r->folder, '/'), *name = slash ? slash + 1 : r->folder;
    r->names = omma_arena_array(r->arena, 1, sizeof *r->names);
    if (!r->names) return no_memory(r);
    r->names[0] = omma_arena_strndup(r->arena, name, strlen(name));
    r->n_names = 1;
    r->kind = ends(name, ".npy") ? ARRAYS : PICTURES;
    /* "/x.png" is in "", which with "/x.png" behind it is right */
    r->folder = slash ? omma_arena_strndup(r->arena, r->folder, (size_t)(slash - r->folder)) : ".";
    return r->names[0] && r->folder ? OMMA_OK : no_memory(r);
}

static omma_status look(reading *r) {
    struct stat st;
    if (!stat(r->folder, &st) && S_ISREG(st.st_mode)) return take_file(r);
    const bool one = omma_model_input_count(r->m) == 1;
    OMMA_TRY(list(r, PICTURES));
    if (!r->n_names) OMMA_TRY(list(r, one ? ARRAYS : FOLDERS));
    if (r->n_names) return OMMA_OK;
    return omma_fail_at(r->err, OMMA_E_IO, r->folder, -1,
                        "holds no pictures (.jpg .jpeg .png .webp) and no %s",
                        one ? ".npy files" : "folders of .npy files");
}

/* --- one sample ------------------------------------------------------------------------ */

static omma_status keep(reading *r, omma_tensor *to, const omma_tensor *from) {
    const size_t bytes = (size_t)omma_tensor_count(from) * omma_dtype_size(from->dtype);
    *to = *from;
    to->data = omma_arena_alloc(r->arena, bytes);
    if (!to->data) return no_memory(r);
    if (bytes) memcpy(to->data, from->data, bytes);
    return OMMA_OK;
}

/* f32 [1,3,h,w] = (x / 255 - mean) / std of u8 [h,w,3] */
static omma_status to_planes(reading *r, omma_tensor *to, const unsigned char *rgb, int h, int w) {
    const size_t n = (size_t)h * (size_t)w;
    *to = (omma_tensor){OMMA_F32, 4, {1, 3, h, w}, omma_arena_array(r->arena, n * 3, 4)};
    float *y = to->data;
    if (!y) return no_memory(r);
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < 3; c++)
            y[c * n + i] = (float)((rgb[i * 3 + c] / 255.0 - r->how->mean[c]) / r->how->std[c]);
    return OMMA_OK;
}

static omma_status plain_picture(reading *r, omma_tensor *to, const omma_image *img) {
    const omma_port *p = omma_model_input(r->m, 0);
    const int h = r->how->h ? r->how->h : (int)p->dims[2],
              w = r->how->w ? r->how->w : (int)p->dims[3];
    unsigned char *pixels = omma_mem_alloc((size_t)h * (size_t)w * 3);
    if (!pixels) return no_memory(r);
    omma_status s = omma_resize_u8(pixels, w, h, img->rgb, img->width, img->height,
                                   (size_t)img->width * 3, 3, OMMA_FILTER_BILINEAR, r->err);
    if (!s) s = to_planes(r, to, pixels, h, w);
    omma_mem_free(pixels);
    return s;
}

static omma_status picture(reading *r, omma_tensor *to, const char *path) {
    omma_image img;
    OMMA_TRY(omma_image_load(&img, path, r->err));
    omma_status s;
    if (r->detector) {
        omma_tensor in[2];
        int64_t size[2];
        s = omma_detector_feed(r->detector, in, size, &img, r->err);
        for (int i = 0; i < 2 && !s; i++) s = keep(r, &to[i], &in[i]);
    } else s = plain_picture(r, to, &img);
    omma_image_free(&img);
    return s;
}

static omma_status arrays(reading *r, omma_tensor *to, const char *folder) {
    for (int i = 0; i < omma_model_input_count(r->m); i++) {
        char path[4096];
        const int n = snprintf(path, sizeof path, "%s/", folder);
        if (n < 0 || (size_t)n >= sizeof path)
            return omma_fail(r->err, OMMA_E_RANGE, "the name of a folder is too long");
        snprintf(path + n, sizeof path - (size_t)n, "%s.npy", omma_model_input(r->m, i)->name);
        for (char *c = path + n; *c; c++)
            if (*c == '/') *c = '_';
        OMMA_TRY(omma_npy_read(&to[i], r->arena, path, r->err));
    }
    return OMMA_OK;
}

static omma_status sample(reading *r, omma_tensor *to, const char *name) {
    char path[4096];
    const int n = snprintf(path, sizeof path, "%s/%s", r->folder, name);
    if (n < 0 || (size_t)n >= sizeof path)
        return omma_fail(r->err, OMMA_E_RANGE, "the name of a file is too long");
    if (r->kind == PICTURES) return picture(r, to, path);
    return r->kind == ARRAYS ? omma_npy_read(to, r->arena, path, r->err) : arrays(r, to, path);
}

/* --- the folder ------------------------------------------------------------------------ */

/* Pictures need a detector, or a model with a single input of pictures. */
static omma_status open_door(reading *r) {
    if (r->kind != PICTURES) return OMMA_OK;
    omma_error why;
    const omma_status s = omma_detector_new(&r->detector, r->how->model, &r->how->opt, &why);
    if (s == OMMA_E_NOMEM) return omma_fail(r->err, s, "%s", why.message);
    if (!s) return OMMA_OK;
    const omma_port *p = omma_model_input(r->m, 0);
    if (omma_model_input_count(r->m) != 1 || p->dtype != OMMA_F32 || p->rank != 4 ||
        (p->dims[1] != 3 && p->dims[1] != -1))
        return omma_fail_at(r->err, OMMA_E_UNSUPPORTED, r->how->model, -1,
                            "cannot be given pictures: it wants one input float32 [N,3,H,W], or a "
                            "detector's two; only .npy files can be its samples");
    if ((p->dims[2] < 1 || p->dims[3] < 1) && !r->how->h)
        return omma_fail_at(r->err, OMMA_E_USAGE, r->how->model, -1,
                            "leaves the size of its pictures open; give --size HxW");
    return OMMA_OK;
}

static omma_status read_all(reading *r, const omma_tensor *const **out, int *count) {
    const int n = r->n_names < r->how->most ? r->n_names : r->how->most;
    const size_t inputs = (size_t)omma_model_input_count(r->m);
    omma_tensor **all = omma_arena_array(r->arena, (size_t)n, sizeof *all);
    if (!all) return no_memory(r);
    for (int i = 0; i < n; i++) {
        all[i] = omma_arena_array(r->arena, inputs, sizeof **all);
        if (!all[i]) return no_memory(r);
        OMMA_TRY(sample(r, all[i], r->names[(int64_t)i * r->n_names / n]));
        if (r->how->progress) r->how->progress(r->how->user, "read", i + 1, n);
    }
    *out = (const omma_tensor *const *)all;
    *count = n;
    return OMMA_OK;
}

omma_status omma_samples_read(const omma_tensor *const **out, int *count, omma_arena *arena,
                              const omma_model *m, const char *folder, const omma_samples_how *how,
                              omma_error *err) {
    reading r = {.arena = arena, .m = m, .how = how, .folder = folder, .err = err};
    OMMA_TRY(look(&r));
    omma_status s = open_door(&r);
    if (!s) s = read_all(&r, out, count);
    omma_detector_free(r.detector);
    return s;
}

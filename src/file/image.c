/* image.c - one door for all picture formats: tells them apart, checks sizes, lays alpha
 * over white; see image.h. The formats themselves are image_jpeg.c, image_png.c and
 * image_webp.c. */
#include "file/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/checked.h"
#include "file/bytes.h"
#include "file/image_codec.h"

enum { JPEG_QUALITY = 92 };

omma_status omma_image_check_size(int64_t width, int64_t height, omma_error *err) {
    if (width < 1 || height < 1)
        return omma_fail(err, OMMA_E_RANGE, "a picture cannot be %lld x %lld pixels",
                         (long long)width, (long long)height);
    if (width <= OMMA_IMAGE_MAX_SIDE && height <= OMMA_IMAGE_MAX_SIDE &&
        width * height <= OMMA_IMAGE_MAX_PIXELS)
        return OMMA_OK;
    return omma_fail(err, OMMA_E_RANGE,
                     "a picture of %lld x %lld pixels is too large: the limits are %d a side and "
                     "%d in all",
                     (long long)width, (long long)height, OMMA_IMAGE_MAX_SIDE,
                     OMMA_IMAGE_MAX_PIXELS);
}

omma_status omma_image_room(omma_image *out, int64_t width, int64_t height, int channels,
                            omma_error *err) {
    *out = (omma_image){0};
    OMMA_TRY(omma_image_check_size(width, height, err));
    int64_t dims[3] = {height, width, channels};
    size_t bytes;
    unsigned char *p = omma_dims_bytes(dims, 3, 1, &bytes) ? omma_mem_alloc(bytes) : NULL;
    if (!p)
        return omma_fail(err, OMMA_E_NOMEM, "no memory for a picture of %lld x %lld pixels",
                         (long long)width, (long long)height);
    *out = (omma_image){(int)width, (int)height, p};
    return OMMA_OK;
}

omma_status omma_image_new(omma_image *out, int64_t width, int64_t height, omma_error *err) {
    return omma_image_room(out, width, height, 3, err);
}

void omma_image_free(omma_image *img) {
    omma_mem_free(img->rgb);
    *img = (omma_image){0};
}

/* Exact: (v + 128 + ((v + 128) >> 8)) >> 8 is round(v / 255) for v in 0..255*255. */
static unsigned char over_white(unsigned c, unsigned a) {
    unsigned v = c * a + 255 * (255 - a) + 128;
    return (unsigned char)((v + (v >> 8)) >> 8);
}

void omma_image_flatten(omma_image *img) {
    size_t n = (size_t)img->width * (size_t)img->height;
    const unsigned char *from = img->rgb;
    unsigned char *to = img->rgb; /* never overtakes from */
    for (size_t i = 0; i < n; i++, from += 4, to += 3) {
        unsigned a = from[3];
        for (int c = 0; c < 3; c++) to[c] = over_white(from[c], a);
    }
}

static omma_image_reader *reader_of(const unsigned char *p, size_t n) {
    if (n >= 3 && !memcmp(p, "\xff\xd8\xff", 3)) return omma_image_decode_jpeg;
    if (n >= 8 && !memcmp(p, "\x89PNG\r\n\x1a\n", 8)) return omma_image_decode_png;
    if (n >= 12 && !memcmp(p, "RIFF", 4) && !memcmp(p + 8, "WEBP", 4))
        return omma_image_decode_webp;
    return NULL;
}

static omma_status not_a_picture(const unsigned char *p, size_t n, omma_error *err) {
    if (!n) return omma_fail(err, OMMA_E_FORMAT, "is empty");
    char bytes[3 * 8 + 1] = "";
    for (size_t i = 0; i < n && i < 8; i++) snprintf(bytes + 3 * i, 4, " %02x", p[i]);
    return omma_fail(err, OMMA_E_FORMAT, "is not a JPEG, PNG or WebP picture: it begins with%s",
                     bytes);
}

static omma_status decode(omma_image *out, const unsigned char *data, size_t size,
                          omma_error *err) {
    omma_image_reader *read = reader_of(data, size);
    if (!read) return not_a_picture(data, size, err);
    int orientation = 1;
    OMMA_TRY(read(out, &orientation, data, size, err));
    return omma_image_turn(out, orientation, err);
}

omma_status omma_image_decode(omma_image *out, const void *data, size_t size, const char *name,
                              omma_error *err) {
    *out = (omma_image){0};
    omma_status status = decode(out, data, size, err);
    if (status) {
        omma_image_free(out);
        omma_error_in_file(err, name);
    }
    return status;
}

omma_status omma_image_load(omma_image *out, const char *path, omma_error *err) {
    *out = (omma_image){0};
    omma_bytes file;
    OMMA_TRY(omma_bytes_read(&file, path, OMMA_IMAGE_MAX_FILE, err));
    omma_status status = omma_image_decode(out, file.data, file.size, path, err);
    omma_bytes_free(&file);
    return status;
}

static bool ends_with(const char *name, const char *end) {
    size_t n = strlen(name), k = strlen(end);
    return n > k && !strcasecmp(name + n - k, end);
}

static bool is_jpeg_name(const char *path) {
    return ends_with(path, ".jpg") || ends_with(path, ".jpeg");
}

bool omma_image_is_picture_name(const char *path) {
    return is_jpeg_name(path) || ends_with(path, ".png") || ends_with(path, ".webp");
}

omma_status omma_image_write(const omma_image *img, const char *path, omma_error *err) {
    unsigned char *file = NULL;
    size_t size = 0;
    omma_status status;
    if (is_jpeg_name(path)) status = omma_image_encode_jpeg(&file, &size, img, JPEG_QUALITY, err);
    else if (ends_with(path, ".png")) status = omma_image_encode_png(&file, &size, img, err);
    else status = omma_fail(err, OMMA_E_USAGE, "a picture is written as .png, .jpg or .jpeg");
    if (status) omma_error_in_file(err, path);
    else status = omma_bytes_write(path, file, size, err);
    free(file);
    return status;
}

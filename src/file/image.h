/* image.h - pictures in and out: JPEG, PNG and WebP files to plain RGB and back.
 *
 * A picture is u8 [height, width, 3], RGB, dense, first row at the top, upright: the
 * EXIF orientation of all three formats has been applied. The pixels are those of
 * Pillow's Image.open(...).convert("RGB") after ImageOps.exif_transpose, to the bit,
 * with two differences on purpose:
 *   - alpha and colour keys are laid over white, round((c*a + 255*(255-a)) / 255);
 *     Pillow's conversion drops alpha and shows whatever colour lies beneath;
 *   - 16-bit samples become 8-bit by their high byte in every colour type; Pillow does
 *     that for colour, but clips 16-bit grey at 255, which makes it white.
 * Colour profiles are not applied, nor does Pillow apply them. A file that ends early or
 * fails a checksum is an error, never a half-grey picture.
 *
 * Files are hostile: the size in the header is checked before memory is taken. */
#ifndef OMMA_FILE_IMAGE_H
#define OMMA_FILE_IMAGE_H

#include <stdbool.h>

#include "base/error.h"

#define OMMA_IMAGE_MAX_SIDE 65500        /* [px]; what JPEG can hold */
#define OMMA_IMAGE_MAX_FILE (512u << 20) /* [bytes] */
#ifndef OMMA_IMAGE_MAX_PIXELS
#define OMMA_IMAGE_MAX_PIXELS 178956970 /* [px]; where Pillow too refuses */
#endif

typedef struct omma_image {
    int width, height;  /* 1..OMMA_IMAGE_MAX_SIDE [px] */
    unsigned char *rgb; /* u8 [height, width, 3]; omma_image_free frees it */
} omma_image;

/* Make a black picture.
 *   out            receives it; free with omma_image_free.
 *   width, height  1..OMMA_IMAGE_MAX_SIDE, at most OMMA_IMAGE_MAX_PIXELS together [px].
 * Returns OMMA_OK, OMMA_E_RANGE or OMMA_E_NOMEM; *out is empty on error. Thread-safe. */
omma_status omma_image_new(omma_image *out, int64_t width, int64_t height, omma_error *err);

/* Read a picture file; its kind is told by its first bytes, not by its name.
 *   out   receives the picture; free with omma_image_free.
 *   path  a regular file of at most OMMA_IMAGE_MAX_FILE bytes.
 * Returns OMMA_OK, OMMA_E_IO, OMMA_E_FORMAT (not a picture, truncated, corrupt),
 * OMMA_E_RANGE (too large), OMMA_E_UNSUPPORTED (animated WebP, 12-bit or lossless JPEG)
 * or OMMA_E_NOMEM; the message names the file; *out is empty on error. Thread-safe. */
omma_status omma_image_load(omma_image *out, const char *path, omma_error *err);

/* As omma_image_load, from memory.
 *   data  size bytes; may be NULL when size is 0.
 *   name  what messages call it; may be NULL. */
omma_status omma_image_decode(omma_image *out, const void *data, size_t size, const char *name,
                              omma_error *err);

/* Write a picture, atomically: PNG, or JPEG of quality 92 with full colour resolution
 * (4:4:4, so that thin coloured lines stay clean), by the name's extension.
 *   path  ends in .png, .jpg or .jpeg, in any case.
 * Returns OMMA_OK, OMMA_E_USAGE (another extension), OMMA_E_IO or OMMA_E_NOMEM. */
omma_status omma_image_write(const omma_image *img, const char *path, omma_error *err);

/* Free a picture's pixels and empty it; an empty picture is allowed. */
void omma_image_free(omma_image *img);

/* Whether a name ends like a picture omma reads: .jpg, .jpeg, .png or .webp, any case. */
bool omma_image_is_picture_name(const char *path);

#endif

/* image_codec.h - what image.c and the readers of each format share; for them only.
 *
 * A reader gets the whole file in memory, fills *out with unturned pixels and
 * *orientation with the EXIF orientation (1..8, 1 when there is none). On error it
 * leaves *out empty and a message without the file's name, which image.c adds. An encoder
 * gives memory from malloc. */
#ifndef OMMA_FILE_IMAGE_CODEC_H
#define OMMA_FILE_IMAGE_CODEC_H

#include "file/image.h"

typedef omma_status omma_image_reader(omma_image *out, int *orientation, const unsigned char *data,
                                      size_t size, omma_error *err);
omma_image_reader omma_image_decode_jpeg, omma_image_decode_png, omma_image_decode_webp;

omma_status omma_image_encode_jpeg(unsigned char **out, size_t *size, const omma_image *img,
                                   int quality, omma_error *err);
omma_status omma_image_encode_png(unsigned char **out, size_t *size, const omma_image *img,
                                  omma_error *err);

/* OMMA_OK, or OMMA_E_RANGE with a message that names the size [px] and the limits. */
omma_status omma_image_check_size(int64_t width, int64_t height, omma_error *err);

/* Check a picture's size and take zeroed memory for channels bytes a
 * pixel (3, or 4 for RGBA that omma_image_flatten will pack). */
omma_status omma_image_room(omma_image *out, int64_t width, int64_t height, int channels,
                            omma_error *err);

/* Lay RGBA pixels over white, packing them to RGB in place. */
void omma_image_flatten(omma_image *img);

/* The orientation 1..8 that an EXIF block asks for; 1 when it is absent or not sound.
 *   exif  size bytes of a TIFF structure, with or without "Exif\0\0" before it. */
int omma_exif_orientation(const unsigned char *exif, size_t size);

/* Turn a picture upright by its orientation 1..8. */
omma_status omma_image_turn(omma_image *img, int orientation, omma_error *err);

#endif

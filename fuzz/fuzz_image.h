/* fuzz_image.h - what the targets of the picture formats share: decode, look at every pixel,
 * and write what came out as PNG, which must read back the same. */
#ifndef OMMA_FUZZ_FUZZ_IMAGE_H
#define OMMA_FUZZ_FUZZ_IMAGE_H

#include "file/image_codec.h"
#include "fuzz.h"

static inline void fuzz_image_again(const omma_image *img, size_t bytes) {
    unsigned char *png = NULL;
    size_t size = 0;
    omma_image again;
    omma_error err = {0};
    FUZZ_CHECK(!omma_image_encode_png(&png, &size, img, &err), "%s", err.message);
    FUZZ_CHECK(!omma_image_decode(&again, png, size, "again", &err), "%s", err.message);
    FUZZ_CHECK(again.width == img->width && again.height == img->height &&
                   !memcmp(again.rgb, img->rgb, bytes),
               "what was written reads differently");
    omma_image_free(&again);
    free(png);
}

static inline int fuzz_image(const uint8_t *data, size_t size) {
    omma_image img;
    omma_error err = {0};
    if (fuzz_status(omma_image_decode(&img, data, size, "fuzz", &err), &err)) {
        FUZZ_CHECK(!img.rgb && !img.width && !img.height, "a picture in spite of an error");
        return 0;
    }
    FUZZ_CHECK(img.width > 0 && img.height > 0 && img.width <= OMMA_IMAGE_MAX_SIDE &&
                   img.height <= OMMA_IMAGE_MAX_SIDE &&
                   (int64_t)img.width * img.height <= OMMA_IMAGE_MAX_PIXELS,
               "%d x %d", img.width, img.height);
    size_t bytes = (size_t)img.width * (size_t)img.height * 3;
    fuzz_read(img.rgb, bytes);
    if (bytes < 3 << 12) fuzz_image_again(&img, bytes);
    omma_image_free(&img);
    return 0;
}

#endif

/* image_exif.c - which way up a picture is: reads the orientation from an EXIF block and
 * turns the pixels. EXIF 2.32: a TIFF header, then the first directory, whose tag 0x0112
 * is 1..8. The block is hostile and not worth an error: whatever is not sound counts as
 * upright. */
#include <string.h>

#include "file/image_codec.h"

enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, TYPE_LONG = 4, ENTRY = 12 };

/* A bounded reader: what lies outside the block reads as 0. */
typedef struct tiff {
    const unsigned char *p;
    size_t size;
    bool big; /* byte order */
} tiff;

static uint32_t get(const tiff *t, size_t at, size_t bytes) {
    if (at > t->size || t->size - at < bytes) return 0;
    uint32_t v = 0;
    for (size_t i = 0; i < bytes; i++) v = v << 8 | t->p[t->big ? at + i : at + bytes - 1 - i];
    return v;
}

int omma_exif_orientation(const unsigned char *exif, size_t size) {
    if (size >= 6 && !memcmp(exif, "Exif\0\0", 6)) exif += 6, size -= 6;
    tiff t = {exif, size, size && exif[0] == 'M'};
    if (size < 8 || (memcmp(exif, "II", 2) && memcmp(exif, "MM", 2)) || get(&t, 2, 2) != 42)
        return 1;
    size_t at = get(&t, 4, 4);
    size_t entries = get(&t, at, 2);
    at += 2;
    for (size_t i = 0; i < entries; i++, at += ENTRY) {
        if (get(&t, at, 2) != TAG_ORIENTATION) continue;
        uint32_t type = get(&t, at + 2, 2);
        uint32_t v = get(&t, at + 8, type == TYPE_LONG ? 4 : 2);
        bool sound = (type == TYPE_SHORT || type == TYPE_LONG) && v >= 1 && v <= 8;
        return sound ? (int)v : 1;
    }
    return 1;
}

/* How to walk the stored picture while writing the upright one: which corner to start
 * in, and the step for one pixel to the right and one down, as signs along the stored
 * picture's axes. */
static const struct turn {
    signed char right_x, right_y, down_x, down_y;
} turns[9] = {
    [1] = {1, 0, 0, 1},   /* as it is */
    [2] = {-1, 0, 0, 1},  /* mirrored */
    [3] = {-1, 0, 0, -1}, /* turned by 180 degrees */
    [4] = {1, 0, 0, -1},  /* upside down */
    [5] = {0, 1, 1, 0},   /* transposed */
    [6] = {0, -1, 1, 0},  /* turn by 90 degrees clockwise */
    [7] = {0, -1, -1, 0}, /* transposed at the other diagonal */
    [8] = {0, 1, -1, 0},  /* turn by 90 degrees counterclockwise */
};

omma_status omma_image_turn(omma_image *img, int orientation, omma_error *err) {
    if (orientation <= 1 || orientation > 8) return OMMA_OK;
    const struct turn t = turns[orientation];
    bool swap = t.right_y != 0;
    omma_image out;
    OMMA_TRY(omma_image_room(&out, swap ? img->height : img->width, swap ? img->width : img->height,
                             3, err));
    int64_t w = img->width, right = t.right_x + t.right_y * w, down = t.down_x + t.down_y * w;
    int64_t x = t.right_x + t.down_x < 0 ? w - 1 : 0;
    int64_t y = t.right_y + t.down_y < 0 ? img->height - 1 : 0;
    unsigned char *to = out.rgb;
    for (int64_t r = 0; r < out.height; r++) {
        int64_t from = y * w + x + r * down;
        for (int c = 0; c < out.width; c++, from += right, to += 3)
            memcpy(to, img->rgb + 3 * from, 3);
    }
    omma_image_free(img);
    *img = out;
    return OMMA_OK;
}

/* image_png.c - PNG through libspng: every bit depth and colour type, interlaced or not,
 * palettes, colour keys and alpha (laid over white by omma_image_flatten). 16-bit samples
 * give their high byte; gamma and colour profiles are not applied. Bad checksums, in
 * needed chunks or not, and a missing IEND are errors. PNG 1.2; eXIf of its extensions. */
#include <spng.h>
#include <stdlib.h>

#include "base/arena.h"
#include "file/image_codec.h"

#define CHUNK_MAX ((size_t)64 << 20) /* [bytes] one chunk of metadata, and all together */
#define DEFLATE_MAX 1040             /* deflate shrinks by 1032 to 1 at best */

static omma_status fail(int code, omma_error *err) {
    if (code == SPNG_EMEM) return omma_fail(err, OMMA_E_NOMEM, "no memory for the PNG");
    if (code == SPNG_IO_EOF || code == SPNG_IO_ERROR)
        return omma_fail(err, OMMA_E_FORMAT, "the PNG is truncated");
    return omma_fail(err, OMMA_E_FORMAT, "PNG: %s", spng_strerror(code));
}

/* The limits on size, before libspng sees the header: its own message would not name the
 * size. IHDR is always first: width and height are at bytes 16 and 20, big-endian. */
static omma_status check_size(const unsigned char *data, size_t size, omma_error *err) {
    if (size < 24) return fail(SPNG_IO_EOF, err);
    uint32_t side[2] = {0};
    for (int i = 0; i < 8; i++) side[i / 4] = side[i / 4] << 8 | data[16 + i];
    if (!side[0] || !side[1]) return fail(side[0] ? SPNG_EHEIGHT : SPNG_EWIDTH, err);
    return omma_image_check_size(side[0], side[1], err);
}

/* A header may claim more than its bytes can hold; refuse before memory is taken. */
static omma_status check_claim(const struct spng_ihdr *h, size_t size, omma_error *err) {
    static const unsigned char samples[7] = {1, 0, 3, 1, 2, 0, 4}; /* by colour type */
    uint64_t bits = (uint64_t)h->width * h->height * h->bit_depth * samples[h->color_type];
    if (bits / 8 / DEFLATE_MAX <= size) return OMMA_OK;
    return omma_fail(err, OMMA_E_FORMAT,
                     "the PNG is truncated: %zu bytes cannot hold %u x %u pixels", size, h->width,
                     h->height);
}

/* Whether there is alpha or a colour key; reads all chunks before the pixels. Returns
 * libspng's error. */
static int find_alpha(bool *alpha, spng_ctx *png, const struct spng_ihdr *h) {
    struct spng_trns key;
    int bad = spng_get_trns(png, &key);
    *alpha = !bad || h->color_type == SPNG_COLOR_TYPE_GRAYSCALE_ALPHA ||
             h->color_type == SPNG_COLOR_TYPE_TRUECOLOR_ALPHA;
    return bad == SPNG_ECHUNKAVAIL ? 0 : bad; /* no such chunk */
}

static omma_status read_pixels(omma_image *out, spng_ctx *png, size_t size, omma_error *err) {
    struct spng_ihdr h;
    int bad = spng_get_ihdr(png, &h);
    if (bad) return fail(bad, err);
    OMMA_TRY(check_claim(&h, size, err));
    bool alpha;
    bad = find_alpha(&alpha, png, &h);
    if (bad) return fail(bad, err);
    int channels = alpha ? 4 : 3;
    OMMA_TRY(omma_image_room(out, h.width, h.height, channels, err));
    size_t bytes = (size_t)h.width * h.height * (size_t)channels;
    bad = spng_decode_image(png, out->rgb, bytes, alpha ? SPNG_FMT_RGBA8 : SPNG_FMT_RGB8,
                            alpha ? SPNG_DECODE_TRNS : 0);
    if (!bad) bad = spng_decode_chunks(png); /* to the end: checks it is there */
    if (bad) return fail(bad, err);
    if (alpha) omma_image_flatten(out);
    return OMMA_OK;
}

static int set_up(spng_ctx *png, const unsigned char *data, size_t size) {
    int bad = spng_set_crc_action(png, SPNG_CRC_ERROR, SPNG_CRC_ERROR);
    const size_t room = omma_mem_room(), chunks = room < CHUNK_MAX ? room : CHUNK_MAX;
    if (!bad) bad = spng_set_chunk_limits(png, chunks, chunks);
    if (!bad) bad = spng_set_png_buffer(png, data, size);
    return bad;
}

omma_status omma_image_decode_png(omma_image *out, int *orientation, const unsigned char *data,
                                  size_t size, omma_error *err) {
    OMMA_TRY(check_size(data, size, err));
    spng_ctx *png = spng_ctx_new(0);
    if (!png) return fail(SPNG_EMEM, err);
    int bad = set_up(png, data, size);
    omma_status status = bad ? fail(bad, err) : read_pixels(out, png, size, err);
    struct spng_exif exif;
    if (!status && !spng_get_exif(png, &exif))
        *orientation = omma_exif_orientation((const unsigned char *)exif.data, exif.length);
    spng_ctx_free(png);
    if (status) omma_image_free(out);
    return status;
}

static int encode(spng_ctx *png, const omma_image *img) {
    struct spng_ihdr h = {.width = (uint32_t)img->width,
                          .height = (uint32_t)img->height,
                          .bit_depth = 8,
                          .color_type = SPNG_COLOR_TYPE_TRUECOLOR};
    int bad = spng_set_ihdr(png, &h);
    if (!bad) bad = spng_set_option(png, SPNG_ENCODE_TO_BUFFER, 1);
    size_t bytes = 3 * (size_t)img->width * (size_t)img->height;
    if (!bad) bad = spng_encode_image(png, img->rgb, bytes, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
    return bad;
}

omma_status omma_image_encode_png(unsigned char **out, size_t *size, const omma_image *img,
                                  omma_error *err) {
    spng_ctx *png = spng_ctx_new(SPNG_CTX_ENCODER);
    if (!png) return fail(SPNG_EMEM, err);
    int bad = encode(png, img);
    unsigned char *file = bad ? NULL : spng_get_png_buffer(png, size, &bad);
    spng_ctx_free(png);
    if (bad) {
        free(file);
        return omma_fail(err, bad == SPNG_EMEM ? OMMA_E_NOMEM : OMMA_E_INTERNAL,
                         "cannot write the PNG: %s", spng_strerror(bad));
    }
    *out = file;
    return OMMA_OK;
}

/* image_webp.c - WebP through libwebp: lossy and lossless, with alpha laid over white.
 * An animation is refused. The EXIF chunk is found by a bounded walk over the RIFF
 * container: "RIFF" u32 size "WEBP", then chunks of a four-letter name, u32 size, bytes,
 * padded to even length. RFC 9649. */
#include <string.h>
#include <webp/decode.h>

#include "base/arena.h"
#include "file/image_codec.h"

enum { RIFF_HEADER = 12, CHUNK_HEADER = 8, FORMAT_LOSSY = 1 };

static size_t get32(const unsigned char *p) {
    return (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
}

static int find_orientation(const unsigned char *data, size_t size) {
    size_t at = RIFF_HEADER;
    while (at <= size && size - at >= CHUNK_HEADER) {
        size_t length = get32(data + at + 4);
        const unsigned char *body = data + at + CHUNK_HEADER;
        if (length > size - at - CHUNK_HEADER) break;
        if (!memcmp(data + at, "EXIF", 4)) return omma_exif_orientation(body, length);
        at += CHUNK_HEADER + length + (length & 1);
    }
    return 1;
}

static omma_status fail(VP8StatusCode code, omma_error *err) {
    switch (code) {
    case VP8_STATUS_OUT_OF_MEMORY: return omma_fail(err, OMMA_E_NOMEM, "no memory for the WebP");
    case VP8_STATUS_NOT_ENOUGH_DATA: return omma_fail(err, OMMA_E_FORMAT, "the WebP is truncated");
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return omma_fail(err, OMMA_E_UNSUPPORTED, "the WebP uses a feature libwebp does not read");
    default: return omma_fail(err, OMMA_E_FORMAT, "the WebP is corrupt");
    }
}

/* Every 16x16 block of a lossy picture codes at least the first bit of its mode, at 0.82
 * bits or more, so a header that claims more is refused before memory is taken for it.
 * (A lossless one may truly be all one colour.) */
static omma_status check_claim(const WebPBitstreamFeatures *in, size_t size, omma_error *err) {
    uint64_t pixels = (uint64_t)in->width * (uint64_t)in->height;
    if (in->format != FORMAT_LOSSY || pixels > OMMA_IMAGE_MAX_PIXELS ||
        pixels / (256 * 8 * 2) <= size)
        return OMMA_OK;
    return omma_fail(err, OMMA_E_FORMAT,
                     "the WebP is truncated: %zu bytes cannot hold %d x %d pixels", size, in->width,
                     in->height);
}

/* Inside libwebp a lossless picture is four bytes a pixel, the alpha of a lossy one is one. */
static omma_status check_room(const WebPBitstreamFeatures *in, omma_error *err) {
    const uint64_t pixels = (uint64_t)in->width * (uint64_t)in->height;
    if (pixels * (in->format == FORMAT_LOSSY ? (uint64_t)(in->has_alpha != 0) : 4) <=
        omma_mem_room())
        return OMMA_OK;
    return omma_fail(err, OMMA_E_NOMEM, "no memory to decode a WebP of %d x %d pixels", in->width,
                     in->height);
}

static omma_status decode(omma_image *out, WebPDecoderConfig *config, const unsigned char *data,
                          size_t size, omma_error *err) {
    const WebPBitstreamFeatures *in = &config->input;
    int channels = in->has_alpha ? 4 : 3;
    OMMA_TRY(check_claim(in, size, err));
    OMMA_TRY(omma_image_room(out, in->width, in->height, channels, err));
    OMMA_TRY(check_room(in, err));
    config->output.colorspace = in->has_alpha ? MODE_RGBA : MODE_RGB;
    config->output.is_external_memory = 1;
    config->output.u.RGBA.rgba = out->rgb;
    config->output.u.RGBA.stride = in->width * channels;
    config->output.u.RGBA.size = (size_t)in->width * (size_t)in->height * (size_t)channels;
    VP8StatusCode bad = WebPDecode(data, size, config);
    WebPFreeDecBuffer(&config->output);
    if (bad) return fail(bad, err);
    if (in->has_alpha) omma_image_flatten(out);
    return OMMA_OK;
}

omma_status omma_image_decode_webp(omma_image *out, int *orientation, const unsigned char *data,
                                   size_t size, omma_error *err) {
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config))
        return omma_fail(err, OMMA_E_INTERNAL, "libwebp is of another version than its header");
    VP8StatusCode bad = WebPGetFeatures(data, size, &config.input);
    if (bad) return fail(bad, err);
    if (config.input.has_animation)
        return omma_fail(err, OMMA_E_UNSUPPORTED, "an animated WebP: omma reads still pictures");
    omma_status status = decode(out, &config, data, size, err);
    if (status) omma_image_free(out);
    else *orientation = find_orientation(data, size);
    return status;
}

/* image_jpeg.c - JPEG through libjpeg-turbo: grey, YCbCr, RGB, CMYK and YCCK, baseline
 * and progressive, to RGB as Pillow gives it: exact integer DCT, fancy upsampling, and
 * four-channel files read as Adobe writes them, inverted.
 *
 * Traps: libjpeg reports faults by a call that must not return, hence the jump; it fills
 * what a truncated file lacks with grey and only warns, so its warnings about the data
 * are errors here; a few kilobytes of progressive scans can keep it busy for hours, so
 * scans are counted. */
#include <limits.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

#include "base/arena.h"
#include "file/image_codec.h"

enum { MAX_SCANS = 100, MARKER_EXIF = JPEG_APP0 + 1, MARKER_MAX = 0xffff };

/* Everything a call needs, outside the function that sets the jump, so that nothing it
 * changes is lost by jumping. */
typedef struct job {
    jmp_buf jump;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    struct jpeg_decompress_struct in;
    struct jpeg_compress_struct to;
    omma_status status;
    omma_error *err;
    const unsigned char *data; /* the file, when reading */
    size_t size;
    omma_image *image;
    int orientation;
    const omma_image *source; /* the picture, when writing */
    int quality;
    struct jpeg_destination_mgr sink;
    unsigned char *file; /* from malloc */
    size_t file_size;
} job;

static omma_status status_of(int code) {
    switch (code) {
    case JERR_OUT_OF_MEMORY: return OMMA_E_NOMEM;
    case JERR_IMAGE_TOO_BIG: return OMMA_E_RANGE;
    case JERR_BAD_PRECISION:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_NOT_COMPILED:
    case JERR_SOF_UNSUPPORTED: return OMMA_E_UNSUPPORTED;
    case JERR_NO_BACKING_STORE: return OMMA_E_NOMEM; /* beyond max_memory_to_use */
    default: return OMMA_E_FORMAT;
    }
}

_Noreturn static void fail(j_common_ptr c) {
    job *j = c->client_data;
    char text[JMSG_LENGTH_MAX];
    c->err->format_message(c, text);
    int code = c->err->msg_code;
    if (code == JWRN_JPEG_EOF || code == JERR_INPUT_EOF)
        j->status = omma_fail(j->err, OMMA_E_FORMAT,
                              "the JPEG is truncated: its %zu bytes end early", j->size);
    else j->status = omma_fail(j->err, status_of(code), "JPEG: %s", text);
    longjmp(j->jump, 1);
}

/* Warnings about the data itself are faults; those about odd but harmless headers or
 * stray bytes between segments are not. */
static void on_message(j_common_ptr c, int level) {
    if (level >= 0) return;
    switch (c->err->msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
    case JWRN_BOGUS_PROGRESSION: fail(c);
    default: break;
    }
}

static void on_print(j_common_ptr c) { (void)c; }

static void on_progress(j_common_ptr c) {
    job *j = c->client_data;
    if (j->in.input_scan_number <= MAX_SCANS) return;
    j->status = omma_fail(j->err, OMMA_E_RANGE, "the JPEG has more than %d scans", MAX_SCANS);
    longjmp(j->jump, 1);
}

static struct jpeg_error_mgr *error_manager(job *j) {
    jpeg_std_error(&j->errors);
    j->errors.error_exit = fail;
    j->errors.emit_message = on_message;
    j->errors.output_message = on_print;
    return &j->errors;
}

static void find_orientation(job *j) {
    for (jpeg_saved_marker_ptr m = j->in.marker_list; m; m = m->next)
        if (m->marker == MARKER_EXIF && m->data_length > 6 && !memcmp(m->data, "Exif\0\0", 6)) {
            j->orientation = omma_exif_orientation(m->data, m->data_length);
            return;
        }
}

/* Every 8x8 block of a Huffman-coded picture takes at least one bit, so a header that
 * claims more is refused before memory is taken for it. */
static void check_claim(job *j) {
    uint64_t pixels = (uint64_t)j->in.image_width * j->in.image_height;
    if (pixels > OMMA_IMAGE_MAX_PIXELS || j->in.arith_code || pixels / 512 <= j->size) return;
    j->status = omma_fail(j->err, OMMA_E_FORMAT,
                          "the JPEG is truncated: %zu bytes cannot hold %u x %u pixels", j->size,
                          j->in.image_width, j->in.image_height);
    longjmp(j->jump, 1);
}

/* A progressive picture is kept whole inside libjpeg, three times the size of the result: it
 * must fit below the ceiling too. */
static void limit_memory(job *j) {
    const size_t room = omma_mem_room();
    if (room != SIZE_MAX)
        j->in.mem->max_memory_to_use = room < LONG_MAX ? (long)room + 1 : LONG_MAX;
}

/* a * b / 255, rounded as Pillow does. */
static unsigned scale255(unsigned a, unsigned b) {
    unsigned v = a * b + 128;
    return ((v >> 8) + v) >> 8;
}

/* A row of inverted CMYK, as Adobe writes it: 255 is no ink. */
static void cmyk_to_rgb(unsigned char *rgb, const unsigned char *cmyk, int n) {
    for (int i = 0; i < n; i++, rgb += 3, cmyk += 4)
        for (int c = 0; c < 3; c++)
            rgb[c] = (unsigned char)(cmyk[3] - scale255(255u - cmyk[c], cmyk[3]));
}

static void read_rows(job *j) {
    struct jpeg_decompress_struct *in = &j->in;
    size_t pitch = 3 * (size_t)j->image->width;
    JSAMPARRAY inks = NULL;
    if (in->out_color_space == JCS_CMYK)
        inks = in->mem->alloc_sarray((j_common_ptr)in, JPOOL_IMAGE, in->output_width * 4, 1);
    while (in->output_scanline < in->output_height) {
        unsigned char *row = j->image->rgb + pitch * in->output_scanline;
        jpeg_read_scanlines(in, inks ? inks : &row, 1);
        if (inks) cmyk_to_rgb(row, inks[0], j->image->width);
    }
}

static void read_picture(job *j) {
    struct jpeg_decompress_struct *in = &j->in;
    jpeg_create_decompress(in);
    in->progress = &j->progress;
    jpeg_save_markers(in, MARKER_EXIF, MARKER_MAX);
    jpeg_mem_src(in, j->data, j->size);
    jpeg_read_header(in, TRUE);
    find_orientation(j);
    check_claim(j);
    j->status = omma_image_room(j->image, in->image_width, in->image_height, 3, j->err);
    if (j->status) longjmp(j->jump, 1);
    in->out_color_space = in->num_components == 4 ? JCS_CMYK : JCS_RGB;
    in->dct_method = JDCT_ISLOW;
    limit_memory(j);
    jpeg_start_decompress(in);
    read_rows(j);
    jpeg_finish_decompress(in); /* reads on to the end marker: its absence is a fault too */
}

/* The file being written, as a libjpeg sink. (libjpeg's own memory sink leaves a dangling
 * pointer when it fails after growing.) Called when the buffer is full. */
static boolean sink_grow(j_compress_ptr c) {
    job *j = c->client_data;
    size_t used = j->file_size, more = used ? used : 64 << 10;
    unsigned char *p = realloc(j->file, used + more);
    if (!p) ERREXIT1(c, JERR_OUT_OF_MEMORY, 0);
    j->file = p;
    j->file_size = used + more;
    j->sink.next_output_byte = p + used;
    j->sink.free_in_buffer = more;
    return TRUE;
}

static void sink_start(j_compress_ptr c) { sink_grow(c); }

static void sink_end(j_compress_ptr c) {
    job *j = c->client_data;
    j->file_size -= j->sink.free_in_buffer;
}

static void write_picture(job *j) {
    struct jpeg_compress_struct *to = &j->to;
    jpeg_create_compress(to);
    j->sink = (struct jpeg_destination_mgr){.init_destination = sink_start,
                                            .empty_output_buffer = sink_grow,
                                            .term_destination = sink_end};
    to->dest = &j->sink;
    to->image_width = (JDIMENSION)j->source->width;
    to->image_height = (JDIMENSION)j->source->height;
    to->input_components = 3;
    to->in_color_space = JCS_RGB;
    jpeg_set_defaults(to);
    jpeg_set_quality(to, j->quality, TRUE);
    to->comp_info[0].h_samp_factor = to->comp_info[0].v_samp_factor = 1; /* 4:4:4 */
    jpeg_start_compress(to, TRUE);
    while (to->next_scanline < to->image_height) {
        JSAMPROW row = j->source->rgb + 3 * (size_t)j->source->width * to->next_scanline;
        jpeg_write_scanlines(to, &row, 1);
    }
    jpeg_finish_compress(to);
}

static void guarded(job *j, void (*work)(job *)) {
    if (!setjmp(j->jump)) work(j);
}

omma_status omma_image_decode_jpeg(omma_image *out, int *orientation, const unsigned char *data,
                                   size_t size, omma_error *err) {
    job j = {.err = err, .data = data, .size = size, .image = out, .orientation = 1};
    j.in.err = error_manager(&j);
    j.in.client_data = &j;
    j.progress.progress_monitor = on_progress;
    guarded(&j, read_picture);
    jpeg_destroy_decompress(&j.in);
    if (j.status) omma_image_free(out);
    *orientation = j.orientation;
    return j.status;
}

omma_status omma_image_encode_jpeg(unsigned char **out, size_t *size, const omma_image *img,
                                   int quality, omma_error *err) {
    job j = {.err = err, .source = img, .quality = quality};
    j.to.err = error_manager(&j);
    j.to.client_data = &j;
    guarded(&j, write_picture);
    jpeg_destroy_compress(&j.to);
    if (j.status) {
        free(j.file);
        return j.status;
    }
    *out = j.file;
    *size = j.file_size;
    return OMMA_OK;
}

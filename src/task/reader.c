/* reader.c - the pipeline from a picture to lines of text; see reader.h.
 *
 * Where this differs from PaddleOCR's pipeline, and why (textfind.h, dbnet.h and ctc.h say
 * more):
 *   - Turned pages. Boxes of short words, whose longer side is chance, follow the page's
 *     axis; and a line the classifier wants turned against most of its page is recognised
 *     both ways, the surer one stays.
 *   - Bent lines. A line on a curled page is cut along a ribbon, not as a rectangle: pages
 *     that sagged by one line height and more were lost before (51 to 100 % of characters
 *     wrong on three test pages), and are read without a fault.
 *   - Which way up. PaddleOCR squeezes a line of any length into the classifier's 192 px,
 *     which turns long lines over at random; here it sees parts of the line unsqueezed.
 *   - Recogniser width. A line has the width its shape asks for, however long it is,
 *     rounded up with zeros so that few plans are needed. Lines are recognised one by one,
 *     those of a width together: on a CPU a batch gains nothing, and none is padded to its
 *     neighbours' width. */
#include "task/reader.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/checked.h"
#include "file/image.h"
#include "task/ctc.h"
#include "task/page.h"
#include "task/readfiles.h"
#include "task/readnet.h"
#include "task/strip.h"
#include "task/textfind.h"
#include "task/warp.h"

enum {
    NETS = OMMA_READ_DICTIONARY, /* the parts before the dictionary are networks */
    CLASSIFIER_WIDTH = 192,      /* [px] */
    LOOKS = 3,                   /* parts of a line shown to the classifier */
    STEP = 32,                   /* recogniser widths are multiples, see below [px] */
    NARROWEST = 320,             /* and this at least: training padded to it [px] */
};
static const float SURE = 0.9f; /* the classifier is trusted from here on */

struct omma_reader {
    omma_read_files files;
    omma_read_net net[NETS];
    omma_dict *dict;
};

/* A line on its way through the pipeline. */
typedef struct line {
    omma_quad quad; /* upright as far as is known */
    float box_score;
    omma_strip strip;
    float upside_down; /* the classifier's probability */
    char *text;        /* NULL until recognised */
    float confidence;
} line;

typedef struct page {
    const unsigned char *rgb;
    int w, h;
    line *lines;
    int count;
} page;

/* --- the reader ------------------------------------------------------------------------ */

static omma_status open_parts(omma_reader *r, const char *folder, const omma_options *opt,
                              omma_error *err) {
    OMMA_TRY(omma_read_files_find(&r->files, folder, err));
    for (int i = 0; i < NETS; i++)
        OMMA_TRY(omma_read_net_open(&r->net[i], r->files.path[i], opt, err));
    return omma_dict_open(&r->dict, r->files.path[OMMA_READ_DICTIONARY], err);
}

omma_status omma_reader_new(omma_reader **out, const char *folder, const omma_options *opt,
                            omma_error *err) {
    *out = NULL;
    omma_reader *r = omma_mem_alloc(sizeof *r);
    if (!r) return omma_fail(err, OMMA_E_NOMEM, "no memory for a reader");
    omma_status status = open_parts(r, folder, opt, err);
    if (status) omma_reader_free(r);
    else *out = r;
    return status;
}

void omma_reader_free(omma_reader *r) {
    if (!r) return;
    for (int i = 0; i < NETS; i++) omma_read_net_free(&r->net[i]);
    omma_dict_free(r->dict);
    omma_mem_free(r);
}

/* --- lines ----------------------------------------------------------------------------- */

/* Does a ribbon run against the way a line runs? */
static bool runs_against(const omma_ribbon *r, const omma_quad *q) {
    omma_point a = r->top[0], b = r->top[OMMA_RIBBON_PARTS];
    float dx = q->at[1].x - q->at[0].x, dy = q->at[1].y - q->at[0].y;
    return (b.x - a.x) * dx + (b.y - a.y) * dy < 0;
}

/* Cut a line's strip. A box that clipping has left without area gives none: false. */
static omma_status cut_line(bool *kept, line *l, const omma_text_box *b, const page *p,
                            omma_error *err) {
    omma_status status = OMMA_E_RANGE;
    if (b->bends) {
        omma_ribbon r = b->ribbon;
        if (runs_against(&r, &l->quad)) omma_ribbon_reverse(&r);
        status = omma_strip_cut_ribbon(&l->strip, p->rgb, p->w, p->h, &r, err);
    }
    if (status == OMMA_E_RANGE)
        status = omma_strip_cut(&l->strip, p->rgb, p->w, p->h, &l->quad, err);
    *kept = !status;
    return status == OMMA_E_RANGE ? OMMA_OK : status;
}

static omma_status cut_lines(page *p, const omma_text_boxes *boxes, omma_error *err) {
    size_t bytes;
    omma_quad *quads = NULL;
    if (omma_mul((size_t)boxes->count, sizeof(line), &bytes)) {
        p->lines = omma_mem_alloc(bytes);
        quads = omma_mem_alloc(bytes); /* a quad is smaller than a line */
    }
    omma_status status = OMMA_OK;
    if (!p->lines || !quads)
        status = omma_fail(err, OMMA_E_NOMEM, "no memory for %d lines", boxes->count);
    for (int i = 0; !status && i < boxes->count; i++) quads[i] = boxes->items[i].quad;
    omma_point axis = status ? (omma_point){1, 0} : omma_page_axis(NULL, quads, boxes->count);
    for (int i = 0; !status && i < boxes->count; i++) {
        line *l = &p->lines[p->count];
        bool kept;
        l->quad = omma_page_upright(&quads[i], axis);
        l->box_score = boxes->items[i].score;
        status = cut_line(&kept, l, &boxes->items[i], p, err);
        if (kept) p->count++;
    }
    omma_mem_free(quads);
    return status;
}

static void turn_line(line *l) {
    omma_turn_half(l->strip.rgb, l->strip.width, OMMA_STRIP_HEIGHT);
    l->quad = omma_quad_turn(&l->quad, 2);
}

static void free_lines(page *p) {
    for (int i = 0; i < p->count; i++) {
        omma_strip_free(&p->lines[i].strip);
        omma_mem_free(p->lines[i].text);
    }
    omma_mem_free(p->lines);
}

/* --- which way up? --------------------------------------------------------------------- */

/* The classifier's probability that the part of a strip from column from on is upside
 * down. x is room for its input. */
static omma_status classify_part(float *out, omma_reader *r, float *x, const omma_strip *s,
                                 int from, omma_error *err) {
    const float *y;
    int64_t dims[4] = {1, 2};
    omma_strip_tensor(x, CLASSIFIER_WIDTH, s, from);
    OMMA_TRY(omma_read_net_run(&r->net[OMMA_READ_CLASSIFIER], &y, dims, 2, x, OMMA_STRIP_HEIGHT,
                               CLASSIFIER_WIDTH, err));
    *out = y[1];
    return OMMA_OK;
}

/* Ask about up to LOOKS parts of a line, from its beginning to its end, and take the
 * mean. */
static omma_status classify(omma_reader *r, line *l, omma_error *err) {
    float *x, sum = 0;
    int spare = l->strip.width - CLASSIFIER_WIDTH;
    int looks = spare <= 0 ? 1 : 2 + spare / CLASSIFIER_WIDTH;
    if (looks > LOOKS) looks = LOOKS;
    OMMA_TRY(omma_read_net_input(&x, OMMA_STRIP_HEIGHT, CLASSIFIER_WIDTH, err));
    omma_status status = OMMA_OK;
    for (int i = 0; i < looks && !status; i++) {
        float p;
        int from = looks > 1 ? (int)((int64_t)spare * i / (looks - 1)) : 0;
        status = classify_part(&p, r, x, &l->strip, from, err);
        if (!status) sum += p;
    }
    omma_mem_free(x);
    l->upside_down = sum / (float)looks;
    return status;
}

/* Does most of the page's text stand on its head? Long lines count more. */
static bool page_upside_down(const page *p) {
    double votes = 0;
    for (int i = 0; i < p->count; i++)
        votes += p->lines[i].strip.width * ((double)p->lines[i].upside_down - 0.5);
    return votes > 0;
}

/* --- what does it say? ----------------------------------------------------------------- */

/* The width a strip is padded to: steps of STEP, twice as large from each doubling of
 * 1024 px on, since every width needs a plan of its own. */
static int recogniser_width(int strip) {
    int step = STEP;
    for (int from = 1024; strip > from; from *= 2) step *= 2;
    int w = (strip + step - 1) / step * step;
    return w < NARROWEST ? NARROWEST : w;
}

/* The ASCII sign of a full-width one (U+FF01..U+FF5E, three bytes) at s, or 0. */
static char half_width(const unsigned char *s) {
    if (s[0] != 0xef || (s[1] != 0xbc && s[1] != 0xbd)) return 0;
    int sign = s[2] - 0x80 + (s[1] == 0xbc ? 0 : 0x40);
    return sign >= 1 && sign <= 0x5e ? (char)(sign + 0x20) : 0;
}

/* Has a line Chinese or Japanese characters (from U+3000 on), apart from such signs? */
static bool is_wide(const char *text) {
    for (const unsigned char *s = (const unsigned char *)text; *s; s++) {
        if (half_width(s)) s += 2;
        else if (*s >= 0xe3) return true;
    }
    return false;
}

/* Remove spaces at both ends; in a line that is not Chinese, make full-width signs ASCII:
 * the recogniser takes many a bracket for its Chinese twin. */
static void tidy(char *text) {
    bool wide = is_wide(text);
    char *to = text;
    for (const char *s = text + strspn(text, " "); *s; s++) {
        char sign = wide ? 0 : half_width((const unsigned char *)s);
        *to++ = sign ? sign : *s;
        if (sign) s += 2;
    }
    while (to > text && to[-1] == ' ') to--;
    *to = 0;
}

static omma_status recognise(omma_reader *r, line *l, omma_error *err) {
    float *x;
    const float *y;
    int64_t dims[4] = {1, -1, -1};
    int w = recogniser_width(l->strip.width);
    OMMA_TRY(omma_read_net_input(&x, OMMA_STRIP_HEIGHT, w, err));
    omma_strip_tensor(x, w, &l->strip, 0);
    omma_status status =
        omma_read_net_run(&r->net[OMMA_READ_RECOGNISER], &y, dims, 3, x, OMMA_STRIP_HEIGHT, w, err);
    omma_mem_free(x);
    if (status) return status;
    omma_mem_free(l->text);
    status = omma_ctc_decode(&l->text, &l->confidence, y, dims[1], dims[2], r->dict, err);
    if (!status) tidy(l->text);
    return status;
}

/* Recognise a line both ways and keep the surer one. */
static omma_status recognise_both(omma_reader *r, line *l, omma_error *err) {
    OMMA_TRY(recognise(r, l, err));
    char *text = l->text;
    float confidence = l->confidence;
    l->text = NULL;
    turn_line(l);
    omma_status status = recognise(r, l, err);
    if (!status && l->confidence > confidence) {
        omma_mem_free(text);
        return OMMA_OK;
    }
    omma_mem_free(l->text);
    l->text = text;
    l->confidence = confidence;
    turn_line(l);
    return status;
}

static int by_width(const void *a, const void *b) {
    const line *p = a, *q = b;
    if (p->strip.width != q->strip.width) return p->strip.width - q->strip.width;
    if (p->quad.at[0].y != q->quad.at[0].y) return p->quad.at[0].y < q->quad.at[0].y ? -1 : 1;
    return (p->quad.at[0].x > q->quad.at[0].x) - (p->quad.at[0].x < q->quad.at[0].x);
}

/* Turn each line as the classifier says, or as its page lies where it is not sure, and
 * recognise it. */
static omma_status recognise_lines(omma_reader *r, page *p, omma_error *err) {
    for (int i = 0; i < p->count; i++) OMMA_TRY(classify(r, &p->lines[i], err));
    bool page_turned = page_upside_down(p);
    if (p->count) qsort(p->lines, (size_t)p->count, sizeof *p->lines, by_width);
    for (int i = 0; i < p->count; i++) {
        line *l = &p->lines[i];
        bool turned = l->upside_down > 0.5f;
        bool sure = fabsf(l->upside_down - 0.5f) >= SURE - 0.5f;
        if (page_turned) turn_line(l);
        OMMA_TRY(sure && turned != page_turned ? recognise_both(r, l, err) : recognise(r, l, err));
    }
    return OMMA_OK;
}

/* --- out --------------------------------------------------------------------------------- */

static int quarter_of(const omma_quad *q) {
    float dx = q->at[1].x - q->at[0].x, dy = q->at[1].y - q->at[0].y;
    if (fabsf(dx) >= fabsf(dy)) return dx >= 0 ? 0 : 180;
    return dy >= 0 ? 90 : 270;
}

/* Move a line's text out. */
static void put_line(omma_text_line *out, line *l) {
    for (int k = 0; k < 4; k++) {
        out->quad[k][0] = l->quad.at[k].x;
        out->quad[k][1] = l->quad.at[k].y;
    }
    out->text = l->text;
    out->confidence = l->confidence;
    out->box_score = l->box_score;
    out->turn = quarter_of(&l->quad);
    l->text = NULL;
}

static omma_status put_lines(omma_text_lines *out, page *p, int *order, omma_quad *quads,
                             omma_error *err) {
    int n = 0;
    for (int i = 0; i < p->count; i++) {
        if (!p->lines[i].text[0]) continue;
        line t = p->lines[n]; /* those with text to the front */
        p->lines[n] = p->lines[i];
        p->lines[i] = t;
        quads[n] = p->lines[n].quad;
        n++;
    }
    OMMA_TRY(omma_page_order(order, quads, n, omma_page_direction(quads, n), err));
    for (int i = 0; i < n; i++) put_line(&out->items[i], &p->lines[order[i]]);
    out->count = n;
    return OMMA_OK;
}

static omma_status lines_out(omma_text_lines *out, page *p, omma_error *err) {
    /* The sizes are safe: an array of as many larger structs is already there. */
    size_t n = (size_t)p->count;
    out->items = omma_mem_alloc(n * sizeof *out->items);
    int *order = omma_mem_alloc(n * sizeof *order);
    omma_quad *quads = omma_mem_alloc(n * sizeof *quads);
    omma_status status = out->items && order && quads
                             ? put_lines(out, p, order, quads, err)
                             : omma_fail(err, OMMA_E_NOMEM, "no memory for %d lines", p->count);
    omma_mem_free(order);
    omma_mem_free(quads);
    if (status) omma_text_lines_free(out);
    return status;
}

omma_status omma_reader_run(omma_reader *r, omma_text_lines *out, const unsigned char *rgb, int w,
                            int h, omma_error *err) {
    *out = (omma_text_lines){0};
    if (w < 1 || h < 1 || w > OMMA_IMAGE_MAX_SIDE || h > OMMA_IMAGE_MAX_SIDE)
        return omma_fail(err, OMMA_E_RANGE, "cannot read a picture of %d x %d pixels", w, h);
    page p = {.rgb = rgb, .w = w, .h = h};
    omma_text_boxes boxes;
    OMMA_TRY(omma_text_find(&boxes, &r->net[OMMA_READ_DETECTOR], rgb, w, h, err));
    omma_status status = cut_lines(&p, &boxes, err);
    if (!status) status = recognise_lines(r, &p, err);
    if (!status) status = lines_out(out, &p, err);
    free_lines(&p);
    omma_text_boxes_free(&boxes);
    return status;
}

void omma_text_lines_free(omma_text_lines *l) {
    for (int i = 0; i < l->count; i++) omma_mem_free(l->items[i].text);
    omma_mem_free(l->items);
    *l = (omma_text_lines){0};
}

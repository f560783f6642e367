/* reader.h - from a picture to its lines of text: PP-OCRv4's detector, orientation
 * classifier and recogniser, and what lies between them.
 *
 *     picture -> detector -> boxes -> strips -> which way up? -> recogniser -> lines
 *
 *     omma_reader *r;
 *     omma_text_lines lines;
 *     OMMA_TRY(omma_reader_new(&r, folder, NULL, err));
 *     OMMA_TRY(omma_reader_run(r, &lines, rgb, w, h, err));
 *     for (int i = 0; i < lines.count; i++) puts(lines.items[i].text);
 *     omma_text_lines_free(&lines);
 *     omma_reader_free(r);
 *
 * Source: Li et al., "PP-OCRv3", arXiv 2206.03001, and PaddleOCR's PP-OCRv4 notes;
 * tools/infer/predict_system.py. Where omma differs from PaddleOCR, reader.c says why. */
#ifndef OMMA_TASK_READER_H
#define OMMA_TASK_READER_H

#include "base/error.h"

typedef struct omma_reader omma_reader;

/* One line of text.
 *   quad        corners in the picture, pixel edges (0..w, 0..h): where the text begins on
 *               top, where it ends on top, the end below, the beginning below; a bent line
 *               is inside [px].
 *   text        UTF-8, never empty, no spaces at its ends.
 *   confidence  mean probability of its characters, 0..1.
 *   box_score   how sure the detector is that this is text, 0..1.
 *   turn        how the text is turned clockwise, to the nearest quarter: 0, 90, 180 or
 *               270 [degrees]. */
typedef struct omma_text_line {
    float quad[4][2];
    char *text;
    float confidence, box_score;
    int turn;
} omma_text_line;

typedef struct omma_text_lines {
    omma_text_line *items; /* in reading order, see omma_page_order */
    int count;
} omma_text_lines;

/* Open a reader.
 *   out     receives it; free with omma_reader_free.
 *   folder  holds three ONNX files, their names telling them apart: one with "det", one
 *           with "cls" and one with "rec" in it, and one .txt file, the dictionary.
 *   opt     may be NULL; max_memory holds for each of the three models.
 * Returns OMMA_OK, OMMA_E_NOTFOUND (no such folder or file; names `omma pull ppocrv4`),
 * OMMA_E_USAGE (two files for one part), or what omma_model_open, omma_session_new and
 * omma_dict_open return. Thread-safe. */
omma_status omma_reader_new(omma_reader **out, const char *folder, const omma_options *opt,
                            omma_error *err);

/* Free a reader; NULL is allowed. Lines it gave stay. */
void omma_reader_free(omma_reader *r);

/* Read a picture.
 *   out   receives its lines, with any confidence above 0: PaddleOCR drops those below
 *         0.5. Free with omma_text_lines_free.
 *   rgb   u8 [h, w, 3], dense, RGB.
 *   w, h  1..OMMA_IMAGE_MAX_SIDE [px].
 * Returns OMMA_OK (no text is count 0), OMMA_E_RANGE (w, h), OMMA_E_NOMEM, OMMA_E_SHAPE (a
 * model does not give what its part should) or what omma_session_run returns; on error
 * out is empty. One thread at a time per reader. */
omma_status omma_reader_run(omma_reader *r, omma_text_lines *out, const unsigned char *rgb, int w,
                            int h, omma_error *err);

/* Free what omma_reader_run gave; an empty one is allowed. */
void omma_text_lines_free(omma_text_lines *l);

#endif

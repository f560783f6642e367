/* textfind.h - where is text? The detector on a picture: at which size it looks, and from
 * which angle.
 *
 * Size. PaddleOCR shrinks pictures to 960 px at most, which loses small print in photos;
 * RapidOCR enlarges them to 736 px at least, without a limit. Here small pictures are
 * enlarged until the shorter side is 736 px or the longer one 1600 (in a strip enlarged
 * further, words drift apart), by a factor of 4 at most, and large ones shrunk only to a
 * number of pixels, which bounds the time. Letters beyond about 200 px fall to pieces;
 * large pictures are therefore looked at a second time from afar, for such letters alone.
 *
 * Angle. PP-OCRv4's detector was trained on text within 10 degrees of level. It finds
 * upright columns of text too, but lines around 45 degrees fall to pieces. A page found to
 * lie askew is therefore turned level and looked at again. */
#ifndef OMMA_TASK_TEXTFIND_H
#define OMMA_TASK_TEXTFIND_H

#include "task/dbnet.h"
#include "task/readnet.h"

/* Find text.
 *   out   receives boxes as omma_dbnet_boxes gives them; free with omma_text_boxes_free.
 *         Those of a page that was turned level keep its corners' order: at[0] may be any.
 *   net   the detector; one thread at a time.
 *   rgb   u8 [h, w, 3], dense.
 *   w, h  1..OMMA_IMAGE_MAX_SIDE [px].
 * Returns OMMA_OK (none found is count 0), OMMA_E_NOMEM or what omma_read_net_run returns;
 * on error out is empty. */
omma_status omma_text_find(omma_text_boxes *out, omma_read_net *net, const unsigned char *rgb,
                           int w, int h, omma_error *err);

#endif

/* reading.h - a picture that was read, for people: on the left the picture with each line
 * outlined, on the right what was read there, each line at its place and in its colour, so
 * that nothing of the picture is covered and both can be compared at a glance. */
#ifndef OMMA_VIEW_READING_H
#define OMMA_VIEW_READING_H

#include "file/image.h"
#include "task/reader.h"

/* Make the double picture.
 *   out    receives it, twice as wide as the picture; free with omma_image_free.
 *   img    the picture; one below 960 px on its longer side is shown enlarged 2..8 times, so
 *          that small letters can be read.
 *   lines  what omma_reader_run gave for it.
 * Returns OMMA_OK, OMMA_E_RANGE (too large) or OMMA_E_NOMEM. Thread-safe. */
omma_status omma_view_reading(omma_image *out, const omma_image *img, const omma_text_lines *lines,
                              omma_error *err);

#endif

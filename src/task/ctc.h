/* ctc.h - from the class probabilities of a text recogniser to text: the dictionary of
 * its characters, and greedy decoding of connectionist temporal classification (CTC).
 *
 * Class 0 is CTC's blank; class i is line i of the dictionary, counted from 1; a
 * recogniser may have one class more, which is the space (PaddleOCR: use_space_char).
 *
 * One thing is added to greedy decoding. A recogniser trained mostly on Chinese doubts
 * spaces: in small print it gives them 5 to 50 % and the blank the rest, and words run
 * together. Where between two characters of a script with spaces a blank step gives the
 * space 5 % or more, it is put back; it does not count in the confidence.
 *
 * Source: Graves, Fernandez, Gomez, Schmidhuber, "Connectionist Temporal Classification",
 * ICML 2006, section 3.2 (best path decoding); PaddleOCR, rec_postprocess.py,
 * CTCLabelDecode (confidence: the mean over the steps that are kept). */
#ifndef OMMA_TASK_CTC_H
#define OMMA_TASK_CTC_H

#include <stdint.h>

#include "base/error.h"

typedef struct omma_dict omma_dict;

/* Read a dictionary: one character, or a short string, per line, in UTF-8. A byte order
 * mark and carriage returns are passed over; an empty last line does not count.
 *   out   receives it; free with omma_dict_free.
 *   path  a file of at most 1 MiB; its lines have 1..32 bytes, without control
 *         characters; at most 65,536 lines.
 * Returns OMMA_OK, OMMA_E_IO, OMMA_E_RANGE (too large, too many lines), OMMA_E_FORMAT (a
 * line empty, too long or not UTF-8; with its byte) or OMMA_E_NOMEM. Thread-safe. */
omma_status omma_dict_open(omma_dict **out, const char *path, omma_error *err);

/* As omma_dict_open, from n bytes of memory; offsets in errors count from text. */
omma_status omma_dict_parse(omma_dict **out, const char *text, size_t n, omma_error *err);

/* Free a dictionary; NULL is allowed. */
void omma_dict_free(omma_dict *d);

/* How many lines it has. */
int omma_dict_count(const omma_dict *d);

/* The string of a class: "" for the blank, " " for the class after the last line, NULL
 * for any other number that is no line. Owned by the dictionary. */
const char *omma_dict_at(const omma_dict *d, int64_t class_id);

/* Decode one line: the best class of each step, repeats made one, blanks dropped, spaces
 * put back.
 *   text        receives a UTF-8 string, "" when all is blank; free with omma_mem_free.
 *   confidence  receives the mean probability of the steps that are kept, 0 for "".
 *   probs       f32 [steps, classes], probabilities. NaN is never the best; of equal ones
 *               the first is.
 *   steps       >= 0.
 *   classes     lines of the dictionary + 1, or + 2 with the space.
 * Returns OMMA_OK, OMMA_E_SHAPE (classes do not fit the dictionary) or OMMA_E_NOMEM; on
 * error nothing is to be freed. Thread-safe. */
omma_status omma_ctc_decode(char **text, float *confidence, const float *probs, int64_t steps,
                            int64_t classes, const omma_dict *d, omma_error *err);

#endif

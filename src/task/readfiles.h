/* readfiles.h - which files of a folder are the parts of a text reader. */
#ifndef OMMA_TASK_READFILES_H
#define OMMA_TASK_READFILES_H

#include "base/error.h"

typedef enum omma_read_part {
    OMMA_READ_DETECTOR,
    OMMA_READ_CLASSIFIER,
    OMMA_READ_RECOGNISER,
    OMMA_READ_DICTIONARY,
    OMMA_READ_PARTS
} omma_read_part;

enum { OMMA_READ_PATH = 4096 }; /* bytes, the final 0 included */

typedef struct omma_read_files {
    char path[OMMA_READ_PARTS][OMMA_READ_PATH];
} omma_read_files;

/* Find the parts in a folder: the .onnx files with "det", "cls" and "rec" in their names,
 * and the .txt file. Hidden files are passed over.
 * Returns OMMA_OK, OMMA_E_NOTFOUND (the folder or a part is missing; the message names it
 * and `omma pull ppocrv4`), OMMA_E_USAGE (a part is there twice, both are named),
 * OMMA_E_RANGE (a path too long) or OMMA_E_IO. Thread-safe. */
omma_status omma_read_files_find(omma_read_files *out, const char *folder, omma_error *err);

#endif

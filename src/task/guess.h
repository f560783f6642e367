/* guess.h - what a model seems to be for, from the shapes that go in and out. A guess for
 * people, never something the program acts on. */
#ifndef OMMA_TASK_GUESS_H
#define OMMA_TASK_GUESS_H

#include "omma/omma.h"

/* One line, a static string. outputs: the model's output shapes at some input shapes, or NULL
 * when they are not known. last_op: the operator that writes output 0, or "". */
const char *omma_guess_purpose(const omma_model *m, const omma_tensor *outputs,
                               const char *last_op);

#endif

/* passes.h - the passes and rules that can be switched off, by name, through OMMA_PASSES in the
 * environment: for those who look for the pass that broke a model, and for the tests that every
 * pass leaves the answer as it was.
 *
 *     OMMA_PASSES=-fuse            all rules of the group "fuse" off
 *     OMMA_PASSES=-all,+gelu       nothing but that rule
 *
 * A list of words with commas between them, read from left to right: - or + and the name of a
 * pass, of a group, or "all". It is read anew for every session and plan. */
#ifndef OMMA_PASS_PASSES_H
#define OMMA_PASS_PASSES_H

#include <stdbool.h>

#include "base/error.h"

/* Every pass: name, group, and what it does when it is on. A pass that is no part of a group is
 * one of its own. */
#define OMMA_PASS_LIST(X)                                                                  \
    X("constants", "constants", "compute what depends on constants alone before the runs") \
    X("conv-norm", "fuse", "a batch norm into the convolution before it")                  \
    X("conv-scale", "fuse", "numbers by channel into the convolution before them")         \
    X("hard-swish", "fuse", "Add, Clip, Mul, Div to HardSwish")                            \
    X("gelu", "fuse", "Div, Erf, Add, Mul, Mul to Gelu")                                   \
    X("layer-norm", "fuse", "ReduceMean, Sub, Pow, ... to LayerNormalization")             \
    X("bias", "fuse", "an Add of constants into the product before it")                    \
    X("silu", "fuse", "Sigmoid, Mul into the product before them")                         \
    X("activation", "fuse", "an activation into the product before it")                    \
    X("line", "fuse", "a number times an activation plus a number into the product")       \
    X("linear-scale", "fuse", "a layer scale into the product before it")                  \
    X("idle-move", "fuse-known", "moves that move nothing to views")                       \
    X("attention", "fuse-known", "a softmax between two products to one operator")         \
    X("attention-output", "fuse-known", "the moves behind an attention into it")           \
    X("residual", "fuse-last", "an Add of values into the product before it")              \
    X("layout", "layout", "maps with their channels last, in a plan")                      \
    X("bf16", "bf16", "bfloat16 in products and between them, where asked for")            \
    X("bands", "bands", "convolutions one behind the other in bands of rows")              \
    X("in-place", "memory", "views and elementwise operators on their input's bytes")      \
    X("reuse", "memory", "bytes of what is no longer read used again")

/* Is the pass on? The name is one of the list's; for a group: is one of it on? */
bool omma_pass_on(const char *name);

/* Is OMMA_PASSES something that can be had? Returns OMMA_OK or OMMA_E_USAGE, naming the word
 * that makes no sense. Unset and empty are. */
omma_status omma_passes_check(omma_error *err);

/* Pass i of the list, its group and what it does; false behind the last. */
typedef struct omma_pass_row {
    const char *name, *group, *what;
} omma_pass_row;
bool omma_pass_row_at(omma_pass_row *out, int i);

#endif

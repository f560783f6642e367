/* mask.h - elements that hold one number whatever the inputs: -inf, or nearly that, where a
 * constant mask was added in front of a softmax, and the zeros it leaves behind. */
#ifndef OMMA_FIELD_MASK_H
#define OMMA_FIELD_MASK_H

#include "field/fields.h"

/* The same for a softmax, before its relations are asked for; nothing for others. What is blocked
 * is then as this softmax has it: its input's f->dead must be as it was before for others. */
omma_status omma_field_soften(omma_fields *f, const omma_node *n, omma_error *err);

/* What n, whose relations are known, does to them: f->dead, f->zero, f->soft and f->lost of its
 * outputs. */
omma_status omma_field_mask(omma_fields *f, const omma_node *n, omma_error *err);

#endif

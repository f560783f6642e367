/* sight.h - a run of a model on one image in which its parts can be seen: the parts (anatomy.h) and
 * the numbers that each had in the run.
 *
 *     omma_sight_new(&s, model, inputs, n, NULL, &err)
 *     const omma_anatomy *a = omma_sight_anatomy(s);
 *     for (int k = 0; k < a->n_attention; k++) {
 *         const float *w = omma_sight_weights(s, k);     [windows][heads][queries][keys]
 *         const omma_tensor *x = omma_sight_tensor(s, a->attention[k].in);
 *     }
 *     omma_sight_free(s)
 *
 * Watching changes nothing: the outputs are those of a session that watches nothing, to the bit. Of
 * a model with operators that stand for others (ONNX's Attention) it is the graph in which these
 * are written out that runs, and its outputs differ from the model's by rounding. */
#ifndef OMMA_FIELD_SIGHT_H
#define OMMA_FIELD_SIGHT_H

#include "field/decoder.h"

/* omma_sight_new, _free, _output, _weights: omma.h. */

/* As omma_sight_new, of a graph that outlives the result; name is for messages and is kept. */
omma_status omma_sight_on_graph(omma_sight **out, const omma_graph *graph, const char *name,
                                const omma_tensor *inputs, int n, const omma_options *opt,
                                omma_error *err);

const omma_fov *omma_sight_fov(const omma_sight *s);
const omma_anatomy *omma_sight_anatomy(const omma_sight *s);
const omma_decoder *omma_sight_decoder(const omma_sight *s); /* no layers: none was found */

/* The graph that runs: the specialised one, or the model's if that is cut where the data decide. */
const omma_graph *omma_sight_graph(const omma_sight *s);

/* The numbers of a value of the run: of every part its in, branch and out, of an attention its q,
 * k, v, weights, mix and the values of its tokens, of a sampling what it reads, where and what it
 * makes; of the
 * decoder what it needs; maps, answers, constants. Scores are not kept. NULL: not kept. The
 * session's memory. */
const omma_tensor *omma_sight_tensor(const omma_sight *s, const omma_value *v);

/* What an output or a kept value of that name was in the run; NULL: it is not kept. */
const omma_tensor *omma_sight_named(const omma_sight *s, const char *name);

/* As omma_sight_weights, and why there are none: OMMA_E_RANGE (no such attention),
 * OMMA_E_UNSUPPORTED (of a model that is cut an operator that stands for attention runs whole) or
 * OMMA_E_NOMEM. */
omma_status omma_sight_read_weights(const float **out, omma_sight *s, int attention,
                                    omma_error *err);

/* Numbers laid out as an attention's weights are (its weights, their gradient) in the order of
 * omma_sight_weights: t's own memory, or on arena; NULL: no memory. */
const float *omma_sight_in_order(const omma_attention *a, const omma_tensor *t, omma_arena *arena);

#endif

/* appraise.h - a heat map together with what it is worth: the map by one method, every measure of
 * faithfulness.h, and the deletion of maps that know nothing of the model, in as few runs as that
 * takes.
 *
 *     omma_appraise(&out, a, inputs, n, &how, arena, &err)
 *     out.heat.map, out.deletion.auc, out.blind[OMMA_BLIND_CENTRE], ..
 *
 * How much is spent is said in counts, never in time, so the answer is the same everywhere. */
#ifndef OMMA_FIELD_APPRAISE_H
#define OMMA_FIELD_APPRAISE_H

#include "field/faithfulness.h"

enum { OMMA_BLIND_RANDOM, OMMA_BLIND_CENTRE, OMMA_BLINDS };

typedef struct omma_appraise_how {
    omma_attribution_how method;
    int steps;         /* of the curves */
    int squares;       /* of infidelity */
    int moves;         /* moved pictures of sensitivity; 0: it is not measured */
    int falls;         /* models of random weights; 0: none, 1: all layers are random, 2: also with
                          the top one alone, more: layers between */
    const double *box; /* x0, y0, x1, y1 of the thing [px]; NULL: there is none */
    const double *blind; /* [OMMA_BLINDS] of the same target, as an appraisal before had it; NULL:
                            it is measured */
    uint64_t seed;       /* of all measures */
} omma_appraise_how;

typedef struct omma_appraisal {
    omma_heat heat;
    omma_curve deletion, insertion;
    double blind[OMMA_BLINDS]; /* deletion AUC of these maps */
    omma_pointing pointing;    /* of how->box */
    omma_infidelity infidelity;
    omma_sensitivity sensitivity; /* samples 0: not measured */
    omma_cascade cascade;         /* count 0: not measured */
    const char *no_cascade;       /* why there is none, NULL: none was wanted or it is there */
    int64_t runs; /* of the model and of gradients, all told, but for those of models
                     with random weights */
} omma_appraisal;

/* Make a map and measure it. What out points to lives on arena. Returns as omma_attribution_run and
 * the measures; a model of random weights that has no answer is no error. */
omma_status omma_appraise(omma_appraisal *out, omma_attribution *a, const omma_tensor *inputs,
                          int n, const omma_appraise_how *how, omma_arena *arena, omma_error *err);

/* An area under a curve as a share of the target; as it is where the target is not above 0. */
double omma_appraise_share(const omma_appraisal *x, double auc);

#endif

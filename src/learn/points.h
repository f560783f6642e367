/* points.h - the values by which a quantised graph is judged, and how far they moved.
 *
 * The level of a value is the number of orderings (TopK, NonMaxSuppression, ArgMax, ...) between it
 * and the inputs. A point is a float value that is an output of the graph or that something of a
 * higher level reads; it judges the products of its own level. */
#ifndef OMMA_LEARN_POINTS_H
#define OMMA_LEARN_POINTS_H

#include "graph/graph.h"

typedef struct omma_points {
    const omma_graph *g;
    int *level; /* by value */
    int *at;    /* value indices of the points */
    int count;  /* of them */
    int n_samples;
    omma_tensor *want; /* [sample, point]: what the float model gives; data NULL: not of float32 */
    double *energy;    /* [sample, point]: of want about its mean */
} omma_points;

/* Find the points of g. The arrays are on arena. Returns OMMA_OK or OMMA_E_NOMEM. */
omma_status omma_points_find(omma_points *p, const omma_graph *g, omma_arena *arena,
                             omma_error *err);

/* Let a session keep the points' values. */
omma_status omma_points_watch(const omma_points *p, omma_session *s, omma_error *err);

/* Keep what the float session's last run, on sample i of those announced, gave. */
omma_status omma_points_keep(omma_points *p, const omma_session *s, int i, omma_arena *arena,
                             omma_error *err);

/* How far the points' values have moved in the session's last run, on sample i: adds to roots (by
 * point) the root of the noise to signal. */
void omma_points_compare(const omma_points *p, const omma_session *s, int i, double *roots);

/* From the sums of compare over all samples to noise to signal: the square of the mean root, so
 * that one odd sample does not outweigh the others. In place. */
void omma_points_mean(const omma_points *p, double *roots);

#endif

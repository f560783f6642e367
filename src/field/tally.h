/* tally.h - the mean of pictures as they come, one by one: with its standard error by pixel, and
 * the mean without some of them, which the standard error of any measure of the mean is made from.
 *
 * A picture has planes. What is looked at is the sum over planes of the absolute value of each
 * plane's mean: with one plane of numbers from 0 up just the mean. */
#ifndef OMMA_FIELD_TALLY_H
#define OMMA_FIELD_TALLY_H

#include "base/arena.h"

/* Picture i belongs to group i modulo this. */
enum { OMMA_TALLY_GROUPS = 10, OMMA_TALLY_PLANES = 4 };

typedef struct omma_tally {
    int planes;
    int64_t size;  /* pixels of a plane */
    int64_t n;     /* pictures so far */
    double *mean;  /* [planes][size] */
    double *cross; /* [planes * (planes + 1) / 2][size]: sums of products of deviations of planes
                      p and q <= p, at p * (p + 1) / 2 + q */
    int groups;    /* that have pictures */
    int64_t count[OMMA_TALLY_GROUPS];
    double *group[OMMA_TALLY_GROUPS]; /* [planes][size], sums */
    omma_arena *arena;
} omma_tally;

/* Make one on an arena. Returns OMMA_OK or OMMA_E_NOMEM. */
omma_status omma_tally_new(omma_tally *t, int planes, int64_t size, omma_arena *arena,
                           omma_error *err);

/* One picture more, [planes][size]. Returns OMMA_OK, or OMMA_E_NOMEM and t is as it was. */
omma_status omma_tally_add(omma_tally *t, const double *picture, omma_error *err);

/* The mean of all (without -1), or without those of a group, which must not be all there are:
 * map [size]. */
void omma_tally_map(const omma_tally *t, int without, double *map);

/* Its standard error over pictures, NaN while there are fewer than two: error [size]. */
void omma_tally_error(const omma_tally *t, double *error);

/* The standard errors of m numbers that are measures of the map, by the jackknife that leaves out a
 * group at a time: while there are no more pictures than groups, one picture at a time.
 *   all      [m], of the map of all.
 *   without  [t->groups][m], of the maps without each group.
 *   error    [m]; NaN while there are fewer than two pictures.
 * Groups may differ in size. Source: Busing, Meijer, van der Leeden, "Delete-m jackknife for
 * unequal m", Statistics and Computing 9, 1999. */
void omma_tally_jackknife(const omma_tally *t, int m, const double *all, const double *without,
                          double *error);

#endif

/* profile.h - where the time of a session's runs goes, node by node.
 *
 *     omma_profile p;
 *     omma_profile_init(&p, rounds);
 *     for (each round) {
 *         omma_profile_begin(&p, session);
 *         OMMA_TRY(omma_session_run(session, inputs, n, err));
 *         OMMA_TRY(omma_profile_end(&p, session, err));
 *     }
 *     omma_profile_settle(&p);           p.nodes[0..p.count), in the order they ran
 *     omma_profile_free(&p);
 *
 * Nodes behind a cut are among them. A run that goes another way than the first one did (the
 * data decides) is counted in `strayed` and its times are left out. One thread at a time. */
#ifndef OMMA_RUN_PROFILE_H
#define OMMA_RUN_PROFILE_H

#include "run/cost.h"
#include "run/session.h"

typedef struct omma_profile_node {
    const omma_op *op;
    char kind[OMMA_COST_KIND];
    const char *name;  /* owned by the profile */
    omma_tensor out;   /* type and shape of its first output; rank -1: nobody wants it */
    double flops;      /* of one run [FLOP], see cost.h */
    double bytes;      /* the least it moves in one run [bytes], see cost.h */
    double start, end; /* in the last run that counts, from the run's first moment [s] */
    double seconds;    /* median over the runs; set by omma_profile_settle [s] */
} omma_profile_node;

typedef struct omma_profile {
    omma_profile_node *nodes;
    int count;
    int runs, strayed;
    double total; /* of all nodes' seconds; set by omma_profile_settle [s] */

    /* the profile's own */
    omma_arena arena;
    omma_observer observer;
    int cap, most, at;
    double *times;  /* [runs][count] */
    double *column; /* [most] */
    struct omma_span {
        double start, end;
    } * now; /* of the run in progress, by node */
    double began;
    bool astray, starved;
} omma_profile;

/* An empty profile of at most `most` runs (>= 1). It must stay where it is. */
void omma_profile_init(omma_profile *p, int most);
void omma_profile_free(omma_profile *p);

/* Around a run of the session. After an error of the run the session is not to run again
 * without the second one. Runs after the `most`-th leave no times. The second returns OMMA_OK
 * or OMMA_E_NOMEM. */
void omma_profile_begin(omma_profile *p, omma_session *s);
omma_status omma_profile_end(omma_profile *p, omma_session *s, omma_error *err);

/* Set every node's median and the total. */
void omma_profile_settle(omma_profile *p);

/* The arithmetic of one run, parts behind cuts too [FLOP]. */
double omma_profile_flops(const omma_profile *p);

#endif

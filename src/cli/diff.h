/* diff.h - what `omma diff` found, between the file that finds it and the file that tells it. */
#ifndef OMMA_CLI_DIFF_H
#define OMMA_CLI_DIFF_H

#include "model/model.h"
#include "model/reference.h"
#include "run/compare.h"

/* One value that was compared. */
typedef struct diff_finding {
    const omma_value *value;
    const omma_node *node; /* that makes it; NULL: a constant of the model */
    omma_tensor got, want; /* type and shape; data is NULL */
    omma_difference d;
} diff_finding;

/* What became of the first that differs when its node ran by itself. */
typedef enum diff_retrial {
    DIFF_UNTRIED,   /* one of its inputs has no reference, or it does not run by itself */
    DIFF_STILL,     /* it differs on the reference's inputs too: the operator */
    DIFF_AMPLIFIED, /* it agrees on them, not on omma's own: what it was given */
    DIFF_FUSED      /* it agrees on both: a fused form of it, which ran in the model */
} diff_retrial;

typedef struct diff_report {
    const char *model, *folder; /* as the user wrote them */
    const omma_graph *graph;
    const omma_reference *reference;
    omma_tolerance tolerance;
    bool alone;                    /* every node on the reference's inputs */
    diff_finding *findings;        /* constants, then in the order of the graph's nodes */
    const diff_finding **by_value; /* by value index; NULL: not compared */
    int count, differ;             /* of findings */
    diff_retrial retrial;          /* not alone: of the first that differs */
    int nodes, lone;               /* alone: nodes with a reference, and those that could be run */
} diff_report;

/* The first that differs, or NULL. */
const diff_finding *omma_diff_first(const diff_report *r);

/* The nodes that may be at fault for a value that is the first to differ: its own, and those
 * before it as far as no value of theirs has a reference.
 *   out  room for at most max; the value's own node is the first.
 * Returns how many there are, which may be more than max; -1 when out of memory. */
int omma_diff_suspects(const omma_node **out, int max, const diff_report *r, const diff_finding *f);

/* Tell it on stdout. all: every value compared, too. Returns 0 or OMMA_EXIT_FAILED. */
void omma_diff_print(const diff_report *r, bool all);
int omma_diff_json(const diff_report *r, bool all);

#endif

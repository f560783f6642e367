/* fields.h - the field of a graph: the relations of all its nodes, and walks of sets along them.
 * Backward from a unit it is its structural receptive field; forward from a pixel, the units it
 * reaches. The definitions and the convention of coordinates are in docs/field.md. */
#ifndef OMMA_FIELD_FIELDS_H
#define OMMA_FIELD_FIELDS_H

#include "field/set.h"

/* The paths a walk goes along, as bits 1 << omma_path. */
enum {
    OMMA_FIELD_STRUCTURAL =
        1 << OMMA_PATH_VALUE | 1 << OMMA_PATH_STATISTIC | 1 << OMMA_PATH_CONTROL,
    OMMA_FIELD_CONTENT = 1 << OMMA_PATH_VALUE
};

/* What a walk met, as bits. */
enum {
    OMMA_MET_BOUND = 1, /* a relation that says more than is true */
    OMMA_MET_DATA = 2,  /* one that is true for the numbers at hand */
    OMMA_MET_SOFT = 4   /* a mask that only nearly blocks */
};

typedef struct omma_fields {
    const omma_graph *g; /* specialised (run/specialised.h); outlives this */
    omma_arena arena;
    struct omma_node_field {
        omma_relation **relation;
        int count;
        bool soft;
    } * node;            /* by node index */
    bool *depends;       /* by value index: on an input of the graph that is not constant */
    uint64_t **dead;     /* by value index: see omma_field_dead; NULL: none */
    bool *zero;          /* by value index: what is dead is 0: see omma_field_zero */
    bool *soft;          /* by value index: dead by a large finite number */
    bool *lost;          /* by value index: others may be that low, too */
    bool hard;           /* only what is infinite blocks */
    const void **number; /* by value index: the numbers at hand; NULL: none */
    bool *asked;         /* by value index: a room would use its numbers */
} omma_fields;

/* Ask every node of g for its relations.
 *   number  by value index: numbers of a run, which outlive f, or NULL; NULL: none at all.
 * Returns OMMA_OK, OMMA_E_NOMEM, or what a room reports (OMMA_E_UNSUPPORTED where an operator has
 * no field, with the reason). Free with omma_fields_free in any case. */
omma_status omma_fields_new(omma_fields *f, const omma_graph *g, const void *const *number,
                            omma_budget *budget, omma_error *err);
void omma_fields_free(omma_fields *f);

/* The same where masks of large finite numbers block nothing: whatever a run's numbers can depend
 * on, to the last bit. */
omma_status omma_fields_new_hard(omma_fields *f, const omma_graph *g, omma_budget *budget,
                                 omma_error *err);

/* A walk: sets by value index, on an arena of its own. */
typedef struct omma_walk {
    const omma_fields *f;
    omma_arena arena;
    unsigned paths;
    omma_set **at; /* by value index; NULL: empty */
    unsigned met;
} omma_walk;

/* Begin one; {0} is not a walk. Returns OMMA_OK or OMMA_E_NOMEM; free it in any case. */
omma_status omma_walk_begin(omma_walk *w, const omma_fields *f, unsigned paths, omma_error *err);
void omma_walk_free(omma_walk *w);

/* Add s to the set of v. */
omma_status omma_walk_add(omma_walk *w, const omma_value *v, const omma_set *s, omma_error *err);

/* Carry all sets back to the graph's inputs, or forth to its ends. Afterwards w->at holds, for
 * every value on the way, the elements that can influence, or be influenced. */
omma_status omma_walk_back(omma_walk *w, omma_error *err);
omma_status omma_walk_forth(omma_walk *w, omma_error *err);

/* The same through one node, whose outputs' (inputs') sets are complete. */
omma_status omma_walk_node(omma_walk *w, const omma_node *n, bool back, omma_error *err);

#endif

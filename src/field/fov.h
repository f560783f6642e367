/* fov.h - a model's graph ready for questions about fields: the public omma_fov, and what the
 * tables and the effective field need of it besides. */
#ifndef OMMA_FIELD_FOV_H
#define OMMA_FIELD_FOV_H

#include "field/cells.h"
#include "run/specialised.h"

struct omma_fov {
    omma_budget budget;
    omma_arena arena;
    omma_specialised specialised;
    omma_fields fields;
    omma_session *session; /* of the run at hand; NULL: none was wanted */
    const char *name;      /* the model's, for messages */
};

/* As omma_fov_new, on a graph that outlives it. name is kept, not copied. */
omma_status omma_fov_on_graph(omma_fov **out, const omma_graph *graph, const char *name,
                              const omma_tensor *inputs, const omma_options *opt, omma_error *err);

/* The value of that name. Returns OMMA_OK or OMMA_E_NOTFOUND. */
omma_status omma_fov_find(const omma_value **out, const omma_fov *f, const char *name,
                          omma_error *err);

/* The elements of v at these indices, -1 for a whole axis. Returns OMMA_OK, OMMA_E_RANGE or
 * OMMA_E_NOMEM. */
omma_status omma_fov_set(omma_set *s, omma_arena *a, const omma_value *v, const int64_t *at,
                         omma_error *err);

/* Walk back from (forth to) the elements of v at these indices, -1 for a whole axis. w is begun
 * and stays until omma_walk_free, which is the caller's in any case. */
omma_status omma_fov_walk(omma_walk *w, const omma_fov *f, const omma_value *v, const int64_t *at,
                          unsigned paths, bool back, omma_error *err);

/* What a walk's set of v is worth. */
omma_fov_status omma_fov_judge(const omma_walk *w, const omma_value *v);

/* The input that is a picture, f32 or u8 [N,C,H,W] or [N,H,W,C], the largest if there are several;
 * its rows' and columns' axes. NULL: none is. */
const omma_value *omma_fov_image(const omma_fov *f, int *down, int *across);

#endif

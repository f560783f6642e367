/* methods.h - inside an attribution: what its methods share. A method reads a->ask, which has the
 * inputs in hand, and fills h->map, and of the rest of h what attribution.c cannot know. */
#ifndef OMMA_FIELD_METHODS_H
#define OMMA_FIELD_METHODS_H

#include "field/ask.h"
#include "field/attribution.h"
#include "field/feature_map.h"

struct omma_attribution {
    omma_ask ask;
    omma_feature_map map; /* of the last cam */
    omma_arena map_arena;
    char *map_asked;         /* its name as it was asked for, "": the default; NULL: no map yet */
    omma_tensor *map_shapes; /* of the inputs it was found for */
    omma_gradient *by_map;   /* of the target by the map; NULL until asked for */
    omma_session *to_map;    /* the model up to the map; likewise */
};

/* Free what belongs to the map. */
void omma_attribution_forget_map(omma_attribution *a);

/* A method at work. h, how: as of omma_attribution_run, parameters settled; arena: h's; tmp: for
 * working memory. */
typedef struct omma_method_job {
    omma_attribution *a;
    omma_heat *h;
    const omma_attribution_how *how;
    omma_arena *arena, *tmp;
    double *hidden; /* the baseline's picture */
} omma_method_job;

typedef omma_status omma_method_run(omma_method_job *j, omma_error *err);

omma_method_run omma_gradient_map, omma_gradient_input_map, omma_smoothgrad_map,
    omma_integrated_map;
omma_method_run omma_gradcam_map, omma_gradcam_pp_map, omma_hirescam_map, omma_scorecam_map;
omma_method_run omma_occlusion_map, omma_rise_map;
omma_method_run omma_random_map, omma_centre_map, omma_edges_map;

#endif

/* effective_of.c - the public omma_effective, made on a model. */
#include <string.h>

#include "field/effective.h"
#include "model/model.h"

/* The input that is a picture: of rank 4, the one with the most pixels where sizes are declared. */
static int picture_of(const omma_model *m) {
    int best = -1;
    int64_t most = -1;
    for (int i = 0; i < omma_model_input_count(m); i++) {
        const omma_port *p = omma_model_input(m, i);
        int64_t n = 1;
        if (p->rank != 4) continue;
        for (int d = 0; d < 4; d++) n *= p->dims[d] > 0 ? p->dims[d] : 1;
        if (n > most) most = n, best = i;
    }
    return best;
}

omma_status omma_effective_of(omma_effective **out, const omma_model *m, const char *value,
                              int64_t y, int64_t x, const char *recipe, const omma_options *opt,
                              omma_error *err) {
    omma_effective_what what = {
        .unit = {.value = value, .y = y, .x = x}, .image = picture_of(m), .seed = 1};
    *out = NULL;
    if (what.image < 0)
        return omma_fail_at(err, OMMA_E_UNSUPPORTED, m->path, -1,
                            "no input is a picture [N,C,H,W]");
    while (recipe && what.recipe < OMMA_RECIPES && strcmp(recipe, omma_recipe_name(what.recipe)))
        what.recipe = (omma_recipe)(what.recipe + 1);
    if (what.recipe == OMMA_RECIPES)
        return omma_fail(err, OMMA_E_USAGE, "'%s' is no recipe: default, luo or replk", recipe);
    return omma_effective_new(out, m->graph, m->path, &what, opt, err);
}

omma_status omma_effective_get(const omma_effective *e, int64_t *height, int64_t *width,
                               double *map, double *error, omma_error *err) {
    const omma_unit_field *u = omma_effective_unit(e);
    if (!u) return omma_fail(err, OMMA_E_USAGE, "no image was added yet");
    *height = u->picture.height;
    *width = u->picture.width;
    return map || error ? omma_effective_map(e, OMMA_SCALE_RAW, map, error, err) : OMMA_OK;
}

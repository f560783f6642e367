/* inputs.c - `-i NAME=FILE.npy`: tensors for a model's inputs. */
#include <string.h>

#include "cli/cli.h"
#include "file/npy.h"

static int input_index(const omma_model *m, const char *name, size_t len) {
    for (int i = 0; i < omma_model_input_count(m); i++) {
        const char *have = omma_model_input(m, i)->name;
        if (strlen(have) == len && !strncmp(have, name, len)) return i;
    }
    return -1;
}

/* NAME=FILE: the name ends at the last '=' that makes it an input, since both may hold one. */
static omma_status read_input(omma_tensor *tensors, omma_arena *arena, const omma_model *m,
                              const char *model, const char *arg, omma_error *err) {
    int count = omma_model_input_count(m);
    int at = -1;
    const char *file = arg;
    for (const char *p = strchr(arg, '='); p; p = strchr(p + 1, '=')) {
        int i = input_index(m, arg, (size_t)(p - arg));
        if (i >= 0) at = i, file = p + 1;
    }
    if (at < 0 && count == 1 && !strchr(arg, '=')) at = 0;
    if (at < 0)
        return omma_fail(err, OMMA_E_NOTFOUND, "'%s' names no input of %s; 'omma info' lists them",
                         arg, model);
    if (!*file)
        return omma_fail(err, OMMA_E_USAGE, "'%s' names no file; -i wants NAME=FILE.npy", arg);
    if (tensors[at].dtype)
        return omma_fail(err, OMMA_E_USAGE, "the input '%s' is given twice",
                         omma_model_input(m, at)->name);
    return omma_npy_read(&tensors[at], arena, file, err);
}

omma_status omma_cli_inputs(omma_tensor **out, omma_arena *arena, const omma_model *m,
                            const char *model, const omma_cli_list *args, omma_error *err) {
    *out = omma_arena_array(arena, (size_t)omma_model_input_count(m), sizeof **out);
    if (!*out) return omma_fail(err, OMMA_E_NOMEM, "no memory for the inputs");
    for (int i = 0; i < args->count; i++)
        OMMA_TRY(read_input(*out, arena, m, model, args->items[i], err));
    return OMMA_OK;
}

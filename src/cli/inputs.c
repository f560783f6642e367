/* inputs.c - `-i NAME=FILE.npy` and `NAME=1x3x224x224`: tensors and sizes for a model's inputs. */
#include <stdlib.h>
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

/* The sizes after the name, into shapes[at]. */
static omma_status read_sizes(omma_tensor *shape, const omma_port *port, const char *sizes,
                              const char *arg, omma_error *err) {
    int rank = 0;
    const char *p = sizes;
    for (char *end;; p = end + 1) {
        long long v = strtoll(p, &end, 10);
        if (end == p || v < 0 || rank == OMMA_MAX_RANK || (*end && *end != 'x'))
            return omma_fail(err, OMMA_E_USAGE, "'%s' is not a list of sizes like 1x3x640x640",
                             arg);
        if (rank < port->rank && port->dims[rank] >= 0 && port->dims[rank] != v)
            return omma_fail(
                err, OMMA_E_SHAPE,
                "the input '%s' is declared with size %lld at place %d, not %lld; only open "
                "sizes can be chosen",
                port->name, (long long)port->dims[rank], rank + 1, v);
        shape->dims[rank++] = v;
        if (!*end) break;
    }
    if (rank != shape->rank)
        return omma_fail(err, OMMA_E_SHAPE, "the input '%s' has %d dimensions, '%s' gives %d",
                         port->name, shape->rank, arg, rank);
    return OMMA_OK;
}

omma_status omma_cli_sizes(omma_tensor *shapes, const omma_model *m, const char *model,
                           const char *arg, omma_error *err) {
    const char *eq = strrchr(arg, '=');
    const int at = eq                               ? input_index(m, arg, (size_t)(eq - arg))
                   : omma_model_input_count(m) == 1 ? 0
                                                    : -1;
    if (at < 0)
        return omma_fail(err, OMMA_E_NOTFOUND, "'%s' names no input of %s; 'omma info' lists them",
                         arg, model);
    return read_sizes(&shapes[at], omma_model_input(m, at), eq ? eq + 1 : arg, arg, err);
}

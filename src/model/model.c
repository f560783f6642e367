/* model.c - opening and freeing models; what they declare. */
#include "model/model.h"

#include <string.h>

#include "run/session.h"

omma_status omma_model_open(omma_model **out, const char *path, const omma_options *opt,
                            omma_error *err) {
    *out = NULL;
    omma_model *m = omma_mem_alloc(sizeof *m);
    if (!m) return omma_fail_at(err, OMMA_E_NOMEM, path, -1, "no memory for the model");
    m->budget.limit = opt && opt->max_memory ? opt->max_memory : omma_memory_default();
    omma_arena_init(&m->arena, &m->budget);
    m->path = omma_arena_strndup(&m->arena, path, strlen(path));
    omma_status s = m->path ? omma_bytes_map(&m->file, path, err)
                            : omma_fail_at(err, OMMA_E_NOMEM, path, -1, "no memory for the model");
    if (!s) s = omma_onnx_read(m, err);
    if (s) {
        omma_model_free(m);
        return s;
    }
    *out = m;
    return OMMA_OK;
}

void omma_model_free(omma_model *m) {
    if (!m) return;
    omma_arena_free(&m->arena);
    omma_bytes_free(&m->file);
    omma_mem_free(m);
}

int omma_model_input_count(const omma_model *m) { return m->graph->n_inputs; }
int omma_model_output_count(const omma_model *m) { return m->graph->n_outputs; }
const omma_port *omma_model_input(const omma_model *m, int i) { return &m->inputs[i]; }
const omma_port *omma_model_output(const omma_model *m, int i) { return &m->outputs[i]; }

omma_status omma_session_new(omma_session **out, const omma_model *m, const omma_options *opt,
                             omma_error *err) {
    omma_options o = opt ? *opt : (omma_options){0};
    if (!o.max_memory) o.max_memory = m->budget.limit;
    return omma_session_on_graph(out, m->graph, m->path, &o, err);
}

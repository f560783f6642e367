/* model.c - opening and freeing models; what they declare. */
#include "model/model.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "model/external.h"
#include "run/gradient.h"
#include "run/session.h"

/* The file, looked up in the folder that external data are looked up in. */
static omma_status hold_file(omma_model *m, omma_error *err) {
    const char *name;
    m->folder = omma_external_folder(m->path, &name);
    int fd = m->folder < 0 ? -1 : openat(m->folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return omma_fail_at(err, errno == ENOMEM ? OMMA_E_NOMEM : OMMA_E_IO, m->path, -1,
                            "cannot open: %s", strerror(errno));
    return omma_bytes_hold(&m->file, fd, &m->budget, 0, m->path, err);
}

static omma_status read_model(omma_model *m, const char *path, omma_error *err) {
    m->path = omma_arena_strndup(&m->arena, path, strlen(path));
    if (!m->path) return omma_fail_at(err, OMMA_E_NOMEM, path, -1, "no memory for the model");
    OMMA_TRY(hold_file(m, err));
    OMMA_TRY(omma_onnx_read(m, err));
    m->shared = omma_shared_new(m->graph);
    return m->shared ? OMMA_OK
                     : omma_fail_at(err, OMMA_E_NOMEM, path, -1, "no memory for the model");
}

omma_status omma_model_open(omma_model **out, const char *path, const omma_options *opt,
                            omma_error *err) {
    *out = NULL;
    omma_model *m = omma_mem_alloc(sizeof *m);
    if (!m) return omma_fail_at(err, OMMA_E_NOMEM, path, -1, "no memory for the model");
    m->budget.limit = opt && opt->max_memory ? opt->max_memory : omma_memory_default();
    m->allow_external = opt && opt->allow_external;
    m->folder = -1;
    omma_arena_init(&m->arena, &m->budget);
    omma_status s = read_model(m, path, err);
    if (m->folder >= 0) close(m->folder);
    m->folder = -1;
    if (s) omma_model_free(m);
    else *out = m;
    return s;
}

void omma_model_free(omma_model *m) {
    if (!m) return;
    omma_shared_free(m->shared);
    omma_external_free(m);
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
    return omma_session_on_shared(out, m->shared, m->path, &o, err);
}

omma_status omma_gradient_new(omma_gradient **out, const omma_model *m,
                              const omma_gradient_how *how, const omma_options *opt,
                              omma_error *err) {
    return omma_gradient_on_graph(out, m->graph, m->path, how, opt, err);
}

/* bench_json.c - what `omma bench` measured, for programs, and the Chrome trace. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench.h"

static double per(double a, double b) { return b > 0 ? a / b : 0; }

static void put(omma_json_writer *w, const char *key, double v) {
    omma_json_key(w, key);
    omma_json_put_double(w, v);
}

static void put_int(omma_json_writer *w, const char *key, int64_t v) {
    omma_json_key(w, key);
    omma_json_put_int(w, v);
}

static void put_text(omma_json_writer *w, const char *key, const char *v) {
    omma_json_key(w, key);
    omma_json_put_text(w, v);
}

static void put_tensor(omma_json_writer *w, const omma_tensor *t) {
    put_text(w, "type", t->rank < 0 ? NULL : omma_dtype_name(t->dtype));
    omma_json_key(w, "shape");
    omma_json_begin_array(w);
    for (int i = 0; i < t->rank; i++) omma_json_put_int(w, t->dims[i]);
    omma_json_end_array(w);
}

static void put_cost(omma_json_writer *w, double seconds, double total, double flops,
                     double bytes) {
    put(w, "ms", seconds * 1e3);
    put(w, "percent", 100 * per(seconds, total));
    put(w, "flops", flops);
    put(w, "gflops_per_s", per(flops, seconds) / 1e9);
    put(w, "bytes", bytes);
    put(w, "gb_per_s", per(bytes, seconds) / 1e9);
}

static void put_groups(omma_json_writer *w, const omma_profile *p, bool by_kind) {
    int n;
    bench_group *g = bench_groups(p, by_kind, &n);
    omma_json_key(w, by_kind ? "kinds" : "operators");
    omma_json_begin_array(w);
    for (int i = 0; g && i < n; i++) {
        omma_json_begin_object(w);
        put_text(w, "operator", g[i].op->name);
        if (by_kind) put_text(w, "kind", g[i].kind);
        put_int(w, "nodes", g[i].nodes);
        put_cost(w, g[i].seconds, p->total, g[i].flops, g[i].bytes);
        omma_json_end_object(w);
    }
    free(g);
    omma_json_end_array(w);
}

static void put_profile(omma_json_writer *w, const omma_profile *p) {
    omma_json_key(w, "profile");
    omma_json_begin_object(w);
    put_int(w, "runs", p->runs);
    put_int(w, "strayed", p->strayed);
    put(w, "ms", p->total * 1e3);
    omma_json_key(w, "nodes");
    omma_json_begin_array(w);
    for (int i = 0; i < p->count; i++) {
        const omma_profile_node *n = &p->nodes[i];
        omma_json_begin_object(w);
        put_text(w, "operator", n->op->name);
        if (*n->kind) put_text(w, "kind", n->kind);
        put_text(w, "name", n->name);
        put_tensor(w, &n->out);
        put_cost(w, n->seconds, p->total, n->flops, n->bytes);
        omma_json_end_object(w);
    }
    omma_json_end_array(w);
    put_groups(w, p, false);
    put_groups(w, p, true);
    omma_json_end_object(w);
}

static void put_streams(omma_json_writer *w, const bench_streams *s) {
    omma_json_key(w, "streams");
    omma_json_begin_object(w);
    put_int(w, "count", s->count);
    put_int(w, "runs", s->runs);
    put(w, "runs_per_s", s->rate);
    put(w, "median_ms", s->median * 1e3);
    put(w, "p99_ms", s->late * 1e3);
    omma_json_end_object(w);
}

int bench_json(const bench_report *r) {
    omma_json_writer w;
    omma_json_writer_file(&w, stdout, true);
    omma_json_begin_object(&w);
    put_text(&w, "file", r->path);
    put_text(&w, "kernels", r->isa);
    put_int(&w, "threads", r->threads);
    omma_json_key(&w, "inputs");
    omma_json_begin_array(&w);
    for (int i = 0; i < omma_model_input_count(r->model); i++) {
        omma_json_begin_object(&w);
        put_text(&w, "name", omma_model_input(r->model, i)->name);
        put_tensor(&w, &r->inputs[i]);
        omma_json_end_object(&w);
    }
    omma_json_end_array(&w);
    put(&w, "open_ms", r->open * 1e3);
    put(&w, "session_ms", r->session * 1e3);
    put(&w, "first_run_ms", r->first * 1e3);
    put_int(&w, "rounds", r->rounds);
    put(&w, "median_ms", r->median * 1e3);
    put(&w, "q1_ms", r->q1 * 1e3);
    put(&w, "q3_ms", r->q3 * 1e3);
    put(&w, "min_ms", r->min * 1e3);
    put(&w, "max_ms", r->max * 1e3);
    if (r->batch) put_int(&w, "batch", r->batch);
    if (r->streams.count) put_streams(&w, &r->streams);
    put(&w, "flops", r->flops);
    put(&w, "gflops_per_s", per(r->flops, r->median) / 1e9);
    put(&w, "peak_gflops_per_s", r->peak / 1e9);
    put(&w, "percent_of_peak", 100 * per(per(r->flops, r->median), r->peak));
    put_int(&w, "plan_bytes", (int64_t)r->size.plans);
    put_int(&w, "session_bytes", (int64_t)r->size.all);
    put_int(&w, "peak_memory_bytes", (int64_t)r->memory);
    if (r->profiled) put_profile(&w, &r->profile);
    omma_json_end_object(&w);
    return omma_cli_json_end("bench", &w);
}

static void put_rate(omma_json_writer *w, const char *key, const omma_machine_rate *rate) {
    omma_json_key(w, key);
    if (!(rate->one > 0)) {
        omma_json_put_null(w);
        return;
    }
    omma_json_begin_object(w);
    put(w, "one_thread", rate->one / 1e9);
    put(w, "all_threads", rate->all / 1e9);
    omma_json_end_object(w);
}

int bench_json_machine(const omma_machine *m) {
    omma_json_writer w;
    omma_json_writer_file(&w, stdout, true);
    omma_json_begin_object(&w);
    put_text(&w, "kernels", m->isa);
    put_int(&w, "threads", m->threads);
    put_rate(&w, "fma_f32_gflops_per_s", &m->fma_f32);
    put_rate(&w, "dot_bf16_gflops_per_s", &m->dot_bf16);
    put_rate(&w, "dot_int8_gops_per_s", &m->dot_int8);
    omma_json_key(&w, "read");
    omma_json_begin_array(&w);
    for (int i = 0; i < OMMA_MACHINE_LEVELS; i++) {
        omma_json_begin_object(&w);
        put_text(&w, "level", omma_machine_level(i));
        put_int(&w, "bytes", (int64_t)m->size[i]);
        put_rate(&w, "gb_per_s", &m->read[i]);
        omma_json_end_object(&w);
    }
    omma_json_end_array(&w);
    omma_json_end_object(&w);
    return omma_cli_json_end("bench", &w);
}

/* --- the trace --------------------------------------------------------------------- */

static void trace_event(omma_json_writer *w, const omma_profile_node *n) {
    omma_json_begin_object(w);
    put_text(w, "name", n->op->name);
    put_text(w, "cat", "node");
    put_text(w, "ph", "X"); /* a whole event: where it begins and how long it takes [us] */
    put(w, "ts", n->start * 1e6);
    put(w, "dur", (n->end - n->start) * 1e6);
    put_int(w, "pid", 1);
    put_int(w, "tid", 1);
    omma_json_key(w, "args");
    omma_json_begin_object(w);
    put_text(w, "node", n->name);
    put_tensor(w, &n->out);
    put(w, "flops", n->flops);
    put(w, "bytes", n->bytes);
    omma_json_end_object(w);
    omma_json_end_object(w);
}

omma_status bench_trace(const bench_report *r, const char *path, omma_error *err) {
    FILE *f = fopen(path, "w");
    if (!f) return omma_fail_at(err, OMMA_E_IO, path, -1, "cannot be written: %s", strerror(errno));
    omma_json_writer w;
    omma_json_writer_file(&w, f, false);
    omma_json_begin_object(&w);
    omma_json_key(&w, "traceEvents");
    omma_json_begin_array(&w);
    for (int i = 0; i < r->profile.count; i++) trace_event(&w, &r->profile.nodes[i]);
    omma_json_end_array(&w);
    put_text(&w, "displayTimeUnit", "ms");
    omma_json_end_object(&w);
    omma_status s = omma_json_writer_end(&w, err);
    omma_json_writer_free(&w);
    if (fclose(f) && !s)
        s = omma_fail_at(err, OMMA_E_IO, path, -1, "cannot be written: %s", strerror(errno));
    return s;
}

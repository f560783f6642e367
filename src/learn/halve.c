/* halve.c - see halve.h. What runs in bfloat16 is asked of a session's observer; products are then
 * held in float32 by their names. */
#include "learn/halve.h"

#include <string.h>

#include "learn/points.h"
#include "run/session.h"

enum { SAMPLES = 8 /* to judge on */, ROUNDS = 12 };
static const double WORK = 4e12; /* FLOP for all products together */

typedef struct work {
    omma_halve *h;
    const omma_quant_options *opt;
    omma_options run;
    const omma_graph *g;
    const omma_tensor *const *samples;
    int cap;       /* of h->nodes */
    bool lost;     /* no memory for a node */
    double *noise; /* [product, point], noise to signal */
    int *level;    /* by product */
    omma_points points;
    omma_error *err;
} work;

static omma_status no_memory(const work *w) {
    return omma_fail(w->err, OMMA_E_NOMEM, "no memory to measure a model in bfloat16");
}

static void tell(const work *w, const char *what, int done, int total) {
    if (w->opt->progress) w->opt->progress(w->opt->user, what, done, total);
}

static omma_status run_all(const work *w, omma_session *s, double *noise) {
    for (int i = 0; i < w->points.n_samples; i++) {
        OMMA_TRY(omma_session_run(s, w->samples[i], w->g->n_inputs, w->err));
        if (noise) omma_points_compare(&w->points, s, i, noise);
    }
    return OMMA_OK;
}

/* --- what runs in bfloat16 ------------------------------------------------------------------ */

static bool known(const omma_halve *h, const char *name) {
    for (int i = 0; i < h->n_nodes; i++)
        if (!strcmp(h->nodes[i].name, name)) return true;
    return false;
}

static void see(void *user, const omma_node *n, double start, double end) {
    work *w = user;
    omma_halve *h = w->h;
    (void)start, (void)end;
    if (!n->in || !n->in[0] || n->in[0]->dtype != OMMA_BF16 || !n->op->flops) return;
    if (n->n_in < 2 || !n->in[1] || n->in[1]->dtype != OMMA_F32 || known(h, n->name)) return;
    if (h->n_nodes == w->cap) {
        const int cap = 2 * w->cap + 64;
        omma_quant_node *more = omma_arena_array(&h->arena, (size_t)cap, sizeof *more);
        if (!more) {
            w->lost = true;
            return;
        }
        if (h->n_nodes) memcpy(more, h->nodes, (size_t)h->n_nodes * sizeof *more);
        h->nodes = more, w->cap = cap;
    }
    const char *name = omma_arena_strndup(&h->arena, n->name, strlen(n->name));
    if (!name) w->lost = true;
    else
        h->nodes[h->n_nodes++] = (omma_quant_node){
            .name = name, .op = n->op->name, .flops = n->op->flops(n), .fate = OMMA_QUANT_INT8};
}

static omma_status find_products(work *w) {
    omma_session *s;
    omma_options run = w->run;
    const omma_observer o = {see, w};
    run.bf16 = 1;
    OMMA_TRY(omma_session_on_graph(&s, w->g, "the model", &run, w->err));
    omma_session_observe(s, &o);
    omma_status status = omma_session_run(s, w->samples[0], w->g->n_inputs, w->err);
    omma_session_free(s);
    if (status) return status;
    if (w->lost) return no_memory(w);
    if (!w->h->n_nodes)
        return omma_fail(w->err, OMMA_E_UNSUPPORTED, "no product of the model is in bfloat16");
    for (int i = 0; i < w->h->n_nodes; i++) w->h->flops += w->h->nodes[i].flops;
    return OMMA_OK;
}

/* A product's level is that of the file's node of its name; 0 if there is none. */
static omma_status find_levels(work *w) {
    w->level = omma_arena_array(&w->h->arena, (size_t)w->h->n_nodes, sizeof *w->level);
    if (!w->level) return no_memory(w);
    for (int i = 0; i < w->g->n_nodes; i++)
        for (int p = 0; p < w->h->n_nodes; p++)
            if (w->g->nodes[i]->out[0] && !strcmp(w->g->nodes[i]->name, w->h->nodes[p].name))
                w->level[p] = w->points.level[w->g->nodes[i]->out[0]->index];
    return OMMA_OK;
}

/* --- measuring -------------------------------------------------------------------------------- */

static omma_status keep_answers(work *w) {
    omma_halve *h = w->h;
    omma_points *p = &w->points;
    omma_session *s;
    p->want = omma_arena_array(&h->arena, (size_t)(p->n_samples * p->count), sizeof *p->want);
    p->energy = omma_arena_array(&h->arena, (size_t)(p->n_samples * p->count), sizeof *p->energy);
    w->noise = omma_arena_array(&h->arena, (size_t)h->n_nodes * (size_t)p->count, sizeof *w->noise);
    if (!p->want || !p->energy || !w->noise) return no_memory(w);
    omma_status status = omma_session_on_graph(&s, w->g, "the model", &w->run, w->err);
    if (!status) status = omma_points_watch(p, s, w->err);
    for (int i = 0; i < p->n_samples && !status; i++) {
        status = omma_session_run(s, w->samples[i], w->g->n_inputs, w->err);
        if (!status) status = omma_points_keep(p, s, i, &h->arena, w->err);
    }
    omma_session_free(s);
    return status;
}

/* Names of the products that stay: all but `alone`, or, if that is negative, those given up, and
 * those of other levels than `level` unless that is negative too. */
static const char *names(const work *w, int alone, int level, omma_arena *arena) {
    const omma_halve *h = w->h;
    size_t bytes = 1, at = 0;
    for (int i = 0; i < h->n_nodes; i++) bytes += strlen(h->nodes[i].name) + 1;
    char *text = omma_arena_alloc(arena, bytes);
    for (int i = 0; text && i < h->n_nodes; i++) {
        const bool other = level >= 0 && w->level[i] != level;
        if (alone >= 0 ? i == alone : h->nodes[i].fate == OMMA_QUANT_INT8 && !other) continue;
        const size_t n = strlen(h->nodes[i].name);
        memcpy(text + at, h->nodes[i].name, n);
        text[at + n] = '\n';
        at += n + 1;
    }
    if (text) text[at] = 0;
    return text;
}

/* Noise to signal at the points when those nodes stay in float32. */
static omma_status measure(work *w, int alone, int level, double *noise) {
    omma_arena arena;
    omma_session *s = NULL;
    const omma_points *p = &w->points;
    omma_options run = w->run;
    omma_arena_init(&arena, NULL);
    run.bf16 = 1;
    run.keep_float = names(w, alone, level, &arena);
    omma_status status = run.keep_float ? OMMA_OK : no_memory(w);
    for (int k = 0; k < p->count; k++) noise[k] = 0;
    if (!status) status = omma_session_on_graph(&s, w->g, "the model", &run, w->err);
    if (!status) status = omma_points_watch(p, s, w->err);
    if (!status) status = run_all(w, s, noise);
    omma_points_mean(p, noise);
    omma_session_free(s);
    omma_arena_free(&arena);
    return status;
}

static omma_status measure_each(work *w) {
    omma_halve *h = w->h;
    const omma_points *p = &w->points;
    for (int i = 0; i < h->n_nodes; i++) {
        double *noise = w->noise + (size_t)i * (size_t)p->count;
        OMMA_TRY(measure(w, i, -1, noise));
        for (int k = 0; k < p->count; k++) {
            if (p->level[p->at[k]] != w->level[i]) noise[k] = 0;
            if (noise[k] > h->nodes[i].error) h->nodes[i].error = noise[k];
        }
        tell(w, "sensitivity", i + 1, h->n_nodes);
    }
    return OMMA_OK;
}

/* --- choice ----------------------------------------------------------------------------------- */

/* Give up what costs point k the most for its arithmetic until the sum is within limit. */
static void fit(work *w, int k, double limit) {
    omma_halve *h = w->h;
    for (;;) {
        double sum = 0, most = 0;
        int worst = -1;
        for (int i = 0; i < h->n_nodes; i++) {
            const double noise = w->noise[i * w->points.count + k];
            if (h->nodes[i].fate != OMMA_QUANT_INT8 || !(noise > 0)) continue;
            sum += noise;
            if (worst >= 0 && noise / (h->nodes[i].flops + 1) <= most) continue;
            most = noise / (h->nodes[i].flops + 1);
            worst = i;
        }
        if (sum <= limit || worst < 0) return;
        h->nodes[worst].fate = OMMA_QUANT_SENSITIVE;
    }
}

/* All that is left of a level together; give up more while that is too much. */
static omma_status check_level(work *w, int level, double *noise) {
    const omma_points *p = &w->points;
    double limit = w->opt->budget;
    for (int round = 0; round < ROUNDS; round++) {
        int worst = -1;
        OMMA_TRY(measure(w, -1, level, noise));
        for (int k = 0; k < p->count; k++)
            if (p->level[p->at[k]] == level && (worst < 0 || noise[k] > noise[worst])) worst = k;
        if (worst < 0) return OMMA_OK;
        if (noise[worst] <= w->opt->budget || round == ROUNDS - 1) {
            if (noise[worst] > w->h->error) w->h->error = noise[worst];
            return OMMA_OK;
        }
        limit *= 0.8;
        fit(w, worst, limit);
    }
    return OMMA_OK;
}

static omma_status choose(work *w) {
    omma_halve *h = w->h;
    int top = 0;
    double *noise = omma_arena_array(&h->arena, (size_t)w->points.count, sizeof *noise);
    if (!noise) return no_memory(w);
    for (int k = 0; k < w->points.count; k++) fit(w, k, w->opt->budget);
    for (int i = 0; i < h->n_nodes; i++)
        if (w->level[i] > top) top = w->level[i];
    for (int level = 0; level <= top; level++) {
        OMMA_TRY(check_level(w, level, noise));
        tell(w, "check", level + 1, top + 1);
    }
    for (int i = 0; i < h->n_nodes; i++)
        if (h->nodes[i].fate == OMMA_QUANT_INT8) h->n_half++, h->flops_half += h->nodes[i].flops;
    h->keep = names(w, -1, -1, &h->arena);
    return h->keep ? OMMA_OK : no_memory(w);
}

/* --- the whole -------------------------------------------------------------------------------- */

omma_status omma_halve_choose(omma_halve *h, const omma_graph *g, const omma_tensor *const *samples,
                              int n_samples, const omma_quant_options *opt, omma_error *err) {
    omma_quant_options o = opt ? *opt : (omma_quant_options){0};
    if (!(o.budget > 0)) o.budget = 1e-4;
    work w = {.h = h, .opt = &o, .g = g, .samples = samples, .err = err};
    w.run = (omma_options){.threads = o.threads, .max_memory = o.max_memory};
    *h = (omma_halve){0};
    omma_arena_init(&h->arena, NULL);
    OMMA_TRY(find_products(&w));
    OMMA_TRY(omma_points_find(&w.points, g, &h->arena, err));
    const double runs = WORK / (h->flops * h->n_nodes + 1);
    int n = runs > SAMPLES ? SAMPLES : runs < 1 ? 1 : (int)runs;
    if (n > n_samples) n = n_samples;
    w.points.n_samples = h->judged_on = n;
    OMMA_TRY(find_levels(&w));
    OMMA_TRY(keep_answers(&w));
    OMMA_TRY(measure_each(&w));
    return choose(&w);
}

void omma_halve_free(omma_halve *h) { omma_arena_free(&h->arena); }

/* quantizer.c - see quantizer.h. */
#include "learn/quantizer.h"

#include <math.h>
#include <string.h>

#include "learn/points.h"
#include "learn/qdq.h"
#include "pass/pass.h"
#include "run/session.h"

enum { OPSET_LEAST = 13, ROUNDS = 12, SAMPLES = 8 /* to judge on */ };
static const double WORK = 5e12; /* FLOP for all products together */

typedef struct work {
    omma_quant *q;
    const omma_quant_options *opt;
    omma_options run;
    omma_graph *g; /* the float graph, constants and norms folded */
    const omma_tensor *const *samples;
    int n_samples;
    int *node;         /* by product: index in g->nodes */
    double *noise;     /* [product, point], noise to signal */
    omma_steps *steps; /* by value */
    float **means;     /* by value: of its channels, over all samples */
    bool *fits;        /* by value: its range makes sense */
    bool *chosen;      /* by node of g */
    omma_points points;
    omma_error *err;
} work;

static omma_status no_memory(const work *w) {
    return omma_fail(w->err, OMMA_E_NOMEM, "no memory to quantise a model");
}

static void tell(const work *w, const char *what, int done, int total) {
    if (w->opt->progress) w->opt->progress(w->opt->user, what, done, total);
}

/* --- the float graph ------------------------------------------------------------------- */

/* Names that passes gave are taken when the graph is made ready to run once more. */
static bool rename_own(omma_graph *g) {
    for (int i = 0; i < g->n_values; i++) {
        omma_value *v = g->values[i];
        if (strncmp(v->name, "omma:", 5)) continue;
        v->name = omma_arena_printf(g->arena, "omma_%s", v->name + 5);
        if (!v->name) return false;
    }
    return true;
}

static omma_status simplify(work *w, const omma_graph *g) {
    omma_arena *a = &w->q->arena;
    omma_build b = {.arena = a, .err = w->err, .kern = omma_kernels_best()};
    w->g = omma_graph_clone(g, a);
    if (!w->g) return no_memory(w);
    OMMA_TRY(omma_pass_fold(&b, w->g, false, NULL));
    OMMA_TRY(omma_pass_fuse_norms(&b, w->g));
    return rename_own(w->g) ? OMMA_OK : no_memory(w);
}

static bool is_product(const omma_node *n) {
    return !strcmp(n->op->name, "Conv") || !strcmp(n->op->name, "MatMul") ||
           !strcmp(n->op->name, "Gemm");
}

static omma_status find_products(work *w) {
    omma_quant *q = w->q;
    const size_t n = (size_t)w->g->n_nodes, values = (size_t)w->g->n_values;
    q->nodes = omma_arena_array(&q->arena, n, sizeof *q->nodes);
    w->node = omma_arena_array(&q->arena, n, sizeof *w->node);
    w->chosen = omma_arena_array(&q->arena, n, sizeof *w->chosen);
    w->steps = omma_arena_array(&q->arena, values, sizeof *w->steps);
    w->fits = omma_arena_array(&q->arena, values, sizeof *w->fits);
    w->means = omma_arena_array(&q->arena, values, sizeof *w->means);
    if (!q->nodes || !w->node || !w->chosen || !w->steps || !w->fits || !w->means)
        return no_memory(w);
    int able = 0, old = 0;
    for (int i = 0; i < w->g->n_nodes; i++) {
        const omma_node *node = w->g->nodes[i];
        if (!is_product(node)) continue;
        const bool fit = omma_qdq_axis(node) >= 0;
        w->node[q->n_nodes] = i;
        q->nodes[q->n_nodes++] =
            (omma_quant_node){.name = node->name,
                              .op = node->op->name,
                              .fate = fit ? OMMA_QUANT_INT8 : OMMA_QUANT_UNFIT};
        able += fit;
        if (node->opset < OPSET_LEAST) old = node->opset;
    }
    if (!able)
        return omma_fail(w->err, OMMA_E_UNSUPPORTED,
                         "has nothing to quantise: no convolution or matrix product with constant "
                         "float32 weights");
    if (old)
        return omma_fail(w->err, OMMA_E_UNSUPPORTED,
                         "is of operator set %d; int8 with a scale for each channel needs %d or "
                         "later: export the model anew",
                         old, OPSET_LEAST);
    return OMMA_OK;
}

/* --- calibration ----------------------------------------------------------------------- */

static omma_status run_sample(const work *w, omma_session *s, int i) {
    return omma_session_run(s, w->samples[i], w->g->n_inputs, w->err);
}

static const omma_value *input_of(const work *w, int product) {
    return w->g->nodes[w->node[product]]->in[0];
}

/* Arithmetic of a product whose input has this shape; strides and padding as if it were "same". */
static double flops_of(const omma_node *n, const omma_tensor *x) {
    const omma_value *w = n->in[1];
    double f = 2 * (double)omma_value_count(w);
    if (strcmp(n->op->name, "Conv"))
        return f * (double)omma_tensor_count(x) / (double)(x->rank ? x->dims[x->rank - 1] : 1);
    const omma_attr *strides = omma_node_attr(n, "strides");
    f *= (double)x->dims[0];
    for (int d = 2; d < x->rank; d++) {
        const int64_t s = strides && strides->count > d - 2 ? strides->ints[d - 2] : 1;
        f *= (double)((x->dims[d] + s - 1) / (s > 0 ? s : 1));
    }
    return f;
}

/* Channels of a product's input, and the numbers of t behind each place of them. */
static int64_t channels_of(const omma_node *n, const omma_tensor *t, int64_t *inner) {
    const bool conv = !strcmp(n->op->name, "Conv");
    const int axis = conv ? 1 : t->rank - 1;
    *inner = 1;
    if (t->rank < (conv ? 3 : 1)) return 0;
    for (int d = axis + 1; d < t->rank; d++) *inner *= t->dims[d];
    return t->dims[axis];
}

/* Add this sample's part of the mean of each channel that the product reads. */
static omma_status add_means(work *w, const omma_node *n, const omma_tensor *t) {
    int64_t inner;
    const int64_t c = channels_of(n, t, &inner), count = omma_tensor_count(t);
    float **mean = &w->means[n->in[0]->index];
    const int64_t want =
        n->in[1]->dims[!strcmp(n->op->name, "Conv") || omma_node_int(n, "transB", 0)];
    if (c != want || !count) return OMMA_OK;
    if (!*mean) *mean = omma_arena_array(&w->q->arena, (size_t)c, sizeof **mean);
    if (!*mean) return no_memory(w);
    const double share = (double)c / (double)count / w->n_samples;
    for (int64_t i = 0; i < count; i += inner) {
        double sum = 0;
        for (int64_t k = 0; k < inner; k++) sum += (double)((const float *)t->data)[i + k];
        (*mean)[i / inner % c] += (float)(sum * share);
    }
    return OMMA_OK;
}

/* The means of what products read: once for each value, by the first product that reads it. */
static omma_status see_means(work *w, omma_session *s) {
    for (int p = 0; p < w->q->n_nodes; p++) {
        const omma_node *n = w->g->nodes[w->node[p]];
        if (w->q->nodes[p].fate == OMMA_QUANT_UNFIT) continue;
        bool first = true;
        for (int k = 0; k < p && first; k++)
            first = w->q->nodes[k].fate == OMMA_QUANT_UNFIT || input_of(w, k) != n->in[0];
        const omma_tensor *t = omma_session_watched(s, n->in[0]->name);
        if (first && t && t->dtype == OMMA_F32) OMMA_TRY(add_means(w, n, t));
    }
    return OMMA_OK;
}

/* One pass over all samples; ranges: by value index, NULL where none is wanted. */
static omma_status look(work *w, omma_session *s, omma_range **ranges, bool count) {
    for (int i = 0; i < w->n_samples; i++) {
        OMMA_TRY(run_sample(w, s, i));
        for (int v = 0; v < w->g->n_values; v++) {
            const omma_tensor *t =
                ranges[v] ? omma_session_watched(s, w->g->values[v]->name) : NULL;
            if (!t || t->dtype != OMMA_F32) continue;
            (count ? omma_range_count : omma_range_see)(ranges[v], t->data, omma_tensor_count(t));
        }
        for (int p = 0; p < w->q->n_nodes && !count && !i; p++) {
            if (w->q->nodes[p].fate == OMMA_QUANT_UNFIT) continue;
            const omma_tensor *t = omma_session_watched(s, input_of(w, p)->name);
            if (t) w->q->nodes[p].flops = flops_of(w->g->nodes[w->node[p]], t);
        }
        if (count) OMMA_TRY(see_means(w, s));
        tell(w, "calibrate", i + 1 + (count ? w->n_samples : 0), 2 * w->n_samples);
    }
    return OMMA_OK;
}

static omma_status measure_ranges(work *w, omma_session *s, omma_arena *tmp) {
    omma_range **ranges = omma_arena_array(tmp, (size_t)w->g->n_values, sizeof(omma_range *));
    if (!ranges) return no_memory(w);
    for (int p = 0; p < w->q->n_nodes; p++) {
        const omma_value *v = input_of(w, p);
        if (w->q->nodes[p].fate == OMMA_QUANT_UNFIT || ranges[v->index]) continue;
        ranges[v->index] = omma_arena_alloc(tmp, sizeof(omma_range));
        if (!ranges[v->index]) return no_memory(w);
        omma_range_clear(ranges[v->index]);
        OMMA_TRY(omma_session_watch(s, v->name, w->err));
    }
    OMMA_TRY(look(w, s, ranges, false));
    OMMA_TRY(look(w, s, ranges, true));
    for (int v = 0; v < w->g->n_values; v++) {
        if (!ranges[v]) continue;
        w->fits[v] = ranges[v]->seen && ranges[v]->sound;
        w->steps[v] = omma_range_choose(ranges[v]);
    }
    return OMMA_OK;
}

static omma_status calibrate(work *w) {
    omma_arena tmp;
    omma_session *s;
    omma_arena_init(&tmp, NULL);
    omma_status status = omma_session_on_graph(&s, w->g, "the model", &w->run, w->err);
    if (!status) status = measure_ranges(w, s, &tmp);
    omma_session_free(s);
    omma_arena_free(&tmp);
    double all = 0;
    for (int p = 0; p < w->q->n_nodes; p++) all += w->q->nodes[p].flops;
    w->q->flops = all;
    for (int p = 0; p < w->q->n_nodes && !status; p++) {
        omma_quant_node *n = &w->q->nodes[p];
        if (n->fate == OMMA_QUANT_UNFIT) continue;
        if (!w->fits[input_of(w, p)->index]) n->fate = OMMA_QUANT_UNFIT;
        else if (n->flops < all * w->opt->small) n->fate = OMMA_QUANT_SMALL;
    }
    return status;
}

/* Sample i of those the sensitivity is measured on: they are spread over all. */
static int judged(const work *w, int i) {
    return (int)((int64_t)i * w->n_samples / w->q->judged_on);
}

/* --- sensitivity ------------------------------------------------------------------------ */

static omma_status keep_answers(work *w, int n) {
    omma_points *p = &w->points;
    omma_session *s;
    OMMA_TRY(omma_points_find(p, w->g, &w->q->arena, w->err));
    p->n_samples = n;
    p->want = omma_arena_array(&w->q->arena, (size_t)(n * p->count), sizeof *p->want);
    p->energy = omma_arena_array(&w->q->arena, (size_t)(n * p->count), sizeof *p->energy);
    w->noise =
        omma_arena_array(&w->q->arena, (size_t)w->q->n_nodes * (size_t)p->count, sizeof *w->noise);
    if (!p->want || !p->energy || !w->noise) return no_memory(w);
    omma_status status = omma_session_on_graph(&s, w->g, "the model", &w->run, w->err);
    if (!status) status = omma_points_watch(p, s, w->err);
    for (int i = 0; i < n && !status; i++) {
        status = run_sample(w, s, judged(w, i));
        if (!status) status = omma_points_keep(p, s, i, &w->q->arena, w->err);
    }
    omma_session_free(s);
    return status;
}

/* Noise to signal at the points when the chosen nodes are quantised. */
static omma_status measure(work *w, double *noise) {
    omma_arena arena;
    omma_graph *g;
    omma_session *s = NULL;
    const omma_points *p = &w->points;
    omma_arena_init(&arena, NULL);
    omma_status status = omma_qdq_graph(&g, w->g, w->chosen, w->steps,
                                        (const float *const *)w->means, &arena, w->err);
    if (!status) status = omma_session_on_graph(&s, g, "the quantised model", &w->run, w->err);
    if (!status) status = omma_points_watch(p, s, w->err);
    for (int k = 0; k < p->count; k++) noise[k] = 0;
    for (int i = 0; i < p->n_samples && !status; i++) {
        status = run_sample(w, s, judged(w, i));
        if (!status) omma_points_compare(p, s, i, noise);
    }
    omma_points_mean(p, noise);
    omma_session_free(s);
    omma_arena_free(&arena);
    return status;
}

static int level_of(const work *w, int product) {
    return w->points.level[w->g->nodes[w->node[product]]->out[0]->index];
}

/* Does point k judge a product? */
static bool judges(const work *w, int k, int product) {
    return w->points.level[w->points.at[k]] == level_of(w, product);
}

static omma_status measure_each(work *w) {
    const int points = w->points.count;
    int total = 0, done = 0;
    for (int p = 0; p < w->q->n_nodes; p++) total += w->q->nodes[p].fate == OMMA_QUANT_INT8;
    for (int p = 0; p < w->q->n_nodes; p++) {
        omma_quant_node *n = &w->q->nodes[p];
        if (n->fate != OMMA_QUANT_INT8) continue;
        double *noise = w->noise + (size_t)p * (size_t)points;
        memset(w->chosen, 0, (size_t)w->g->n_nodes * sizeof *w->chosen);
        w->chosen[w->node[p]] = true;
        OMMA_TRY(measure(w, noise));
        for (int k = 0; k < points; k++) {
            if (!judges(w, k, p)) noise[k] = 0;
            if (noise[k] > n->error) n->error = noise[k];
        }
        tell(w, "sensitivity", ++done, total);
    }
    return OMMA_OK;
}

/* As many samples as a minute or so allows, by arithmetic and not by a clock: the result shall not
 * depend on the machine. */
static omma_status sensitivity(work *w) {
    const double runs = WORK / (w->q->flops * w->q->n_nodes + 1);
    int n = runs > SAMPLES ? SAMPLES : runs < 1 ? 1 : (int)runs;
    if (n > w->n_samples) n = w->n_samples;
    w->q->judged_on = n;
    OMMA_TRY(keep_answers(w, n));
    return measure_each(w);
}

/* --- choice ------------------------------------------------------------------------------ */

/* Leave the product in float that costs point k the most for its arithmetic; false: none does. */
static bool give_up_one(work *w, int k) {
    int worst = -1;
    double most = 0;
    for (int p = 0; p < w->q->n_nodes; p++) {
        const omma_quant_node *n = &w->q->nodes[p];
        const double noise = w->noise[p * w->points.count + k];
        if (n->fate != OMMA_QUANT_INT8 || !(noise > 0)) continue;
        if (worst >= 0 && noise / n->flops <= most) continue;
        most = noise / n->flops;
        worst = p;
    }
    if (worst >= 0) w->q->nodes[worst].fate = OMMA_QUANT_SENSITIVE;
    return worst >= 0;
}

/* The errors of all that are left add up; give up until the sum at each point is within limit. */
static void fit_budget(work *w, int k, double limit) {
    for (;;) {
        double sum = 0;
        for (int p = 0; p < w->q->n_nodes; p++)
            if (w->q->nodes[p].fate == OMMA_QUANT_INT8) sum += w->noise[p * w->points.count + k];
        if (sum <= limit || !give_up_one(w, k)) return;
    }
}

/* Choose the products that stay int8, of one level, or of all when it is negative. */
static int set_chosen(work *w, int level) {
    int count = 0;
    memset(w->chosen, 0, (size_t)w->g->n_nodes * sizeof *w->chosen);
    for (int p = 0; p < w->q->n_nodes; p++) {
        if (w->q->nodes[p].fate != OMMA_QUANT_INT8) continue;
        if (level >= 0 && level_of(w, p) != level) continue;
        w->chosen[w->node[p]] = true;
        count++;
    }
    return count;
}

/* Quantise all that is chosen of a level and give up more of it until the noise is within the
 * budget: errors do not quite add up. */
static omma_status check_level(work *w, int level, double *noise) {
    const omma_points *p = &w->points;
    double limit = w->opt->budget;
    for (int round = 0; round < ROUNDS && set_chosen(w, level); round++) {
        int worst = -1;
        OMMA_TRY(measure(w, noise));
        for (int k = 0; k < p->count; k++)
            if (p->level[p->at[k]] == level && (worst < 0 || noise[k] > noise[worst])) worst = k;
        if (worst < 0) return OMMA_OK;
        if (noise[worst] <= w->opt->budget || round == ROUNDS - 1) {
            if (noise[worst] > w->q->error) w->q->error = noise[worst];
            return OMMA_OK;
        }
        limit *= 0.85;
        fit_budget(w, worst, limit);
    }
    return OMMA_OK;
}

static omma_status choose(work *w) {
    omma_quant *q = w->q;
    int top = 0;
    double *noise = omma_arena_array(&q->arena, (size_t)w->points.count, sizeof *noise);
    if (!noise) return no_memory(w);
    for (int k = 0; k < w->points.count; k++) fit_budget(w, k, w->opt->budget);
    for (int p = 0; p < q->n_nodes; p++)
        if (level_of(w, p) > top) top = level_of(w, p);
    for (int level = 0; level <= top; level++) {
        OMMA_TRY(check_level(w, level, noise));
        tell(w, "check", level + 1, top + 1);
    }
    q->n_int8 = set_chosen(w, -1);
    q->flops_int8 = 0;
    for (int p = 0; p < q->n_nodes; p++)
        if (q->nodes[p].fate == OMMA_QUANT_INT8) q->flops_int8 += q->nodes[p].flops;
    return OMMA_OK;
}

/* --- the whole ---------------------------------------------------------------------------- */

omma_status omma_quantize(omma_quant *q, const omma_graph *g, const omma_tensor *const *samples,
                          int n_samples, const omma_quant_options *opt, omma_error *err) {
    omma_quant_options o = opt ? *opt : (omma_quant_options){0};
    if (!(o.budget > 0)) o.budget = 0.01;
    if (!(o.small > 0)) o.small = 0.001;
    work w = {.q = q, .opt = &o, .samples = samples, .n_samples = n_samples, .err = err};
    w.run = (omma_options){.threads = o.threads, .max_memory = o.max_memory};
    *q = (omma_quant){0};
    omma_arena_init(&q->arena, NULL);
    OMMA_TRY(simplify(&w, g));
    OMMA_TRY(find_products(&w));
    OMMA_TRY(calibrate(&w));
    OMMA_TRY(sensitivity(&w));
    OMMA_TRY(choose(&w));
    if (!q->n_int8)
        return omma_fail(err, OMMA_E_UNSUPPORTED,
                         "nothing can be quantised within a noise of %g; a larger --budget allows "
                         "more",
                         o.budget);
    return omma_qdq_graph(&q->graph, w.g, w.chosen, w.steps, (const float *const *)w.means,
                          &q->arena, err);
}

void omma_quant_free(omma_quant *q) { omma_arena_free(&q->arena); }

/* points.c - see points.h. */
#include "learn/points.h"

#include <math.h>
#include <string.h>

static bool orders(const omma_node *n) {
    static const char *const names[] = {"TopK",   "NonMaxSuppression", "ArgMax",
                                        "ArgMin", "NonZero",           "Unique"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(n->op->name, names[i])) return true;
    return false;
}

static int level_of_inputs(const omma_points *p, const omma_node *n) {
    int most = 0;
    for (int k = 0; k < n->n_in; k++)
        if (n->in[k] && p->level[n->in[k]->index] > most) most = p->level[n->in[k]->index];
    return most;
}

/* Only what depends on the data can move. */
static void mark_moving(const omma_graph *g, bool *moves) {
    for (int i = 0; i < g->n_inputs; i++) moves[g->inputs[i]->index] = true;
    for (int i = 0; i < g->n_nodes; i++) {
        const omma_node *n = g->nodes[i];
        bool any = false;
        for (int k = 0; k < n->n_in; k++) any |= n->in[k] && moves[n->in[k]->index];
        for (int k = 0; k < n->n_out; k++)
            if (n->out[k]) moves[n->out[k]->index] = any && !(n->op->flags & OMMA_OP_SHAPE_ONLY);
    }
}

omma_status omma_points_find(omma_points *p, const omma_graph *g, omma_arena *arena,
                             omma_error *err) {
    const size_t n = (size_t)g->n_values;
    *p = (omma_points){.g = g};
    bool *moves = omma_arena_array(arena, n, sizeof *moves);
    bool *marked = omma_arena_array(arena, n, sizeof *marked);
    p->level = omma_arena_array(arena, n, sizeof *p->level);
    p->at = omma_arena_array(arena, n, sizeof *p->at);
    if (!moves || !marked || !p->level || !p->at)
        return omma_fail(err, OMMA_E_NOMEM, "no memory to judge a graph");
    mark_moving(g, moves);
    for (int i = 0; i < g->n_nodes; i++) {
        const omma_node *node = g->nodes[i];
        const int level = level_of_inputs(p, node) + orders(node);
        for (int k = 0; k < node->n_out; k++)
            if (node->out[k]) p->level[node->out[k]->index] = level;
        for (int k = 0; k < node->n_in; k++) {
            const omma_value *v = node->in[k];
            if (v && !v->is_input && moves[v->index] && p->level[v->index] < level)
                marked[v->index] = true;
        }
    }
    for (int i = 0; i < g->n_outputs; i++) marked[g->outputs[i]->index] = true;
    for (int i = 0; i < g->n_values; i++)
        if (marked[i]) p->at[p->count++] = i;
    return OMMA_OK;
}

static const char *name(const omma_points *p, int k) { return p->g->values[p->at[k]]->name; }

omma_status omma_points_watch(const omma_points *p, omma_session *s, omma_error *err) {
    for (int k = 0; k < p->count; k++) OMMA_TRY(omma_session_watch(s, name(p, k), err));
    return OMMA_OK;
}

static double energy_about_mean(const float *x, int64_t n) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i];
    const double mean = n ? sum / (double)n : 0;
    for (int64_t i = 0; i < n; i++) squares += ((double)x[i] - mean) * ((double)x[i] - mean);
    return squares;
}

omma_status omma_points_keep(omma_points *p, const omma_session *s, int i, omma_arena *arena,
                             omma_error *err) {
    for (int k = 0; k < p->count; k++) {
        const omma_tensor *t = omma_session_watched(s, name(p, k));
        omma_tensor *want = &p->want[i * p->count + k];
        *want = (omma_tensor){0};
        const int64_t n = t && t->dtype == OMMA_F32 ? omma_tensor_count(t) : 0;
        if (n <= 0) continue;
        *want = *t;
        want->data = omma_arena_array(arena, (size_t)n, sizeof(float));
        if (!want->data) return omma_fail(err, OMMA_E_NOMEM, "no memory to judge a graph");
        memcpy(want->data, t->data, (size_t)n * sizeof(float));
        p->energy[i * p->count + k] = energy_about_mean(want->data, n);
    }
    return OMMA_OK;
}

/* Of n numbers. */
static double energy_between(const float *a, const float *b, int64_t n) {
    double sum = 0;
    for (int64_t j = 0; j < n; j++) {
        const double d = (double)a[j] - (double)b[j];
        if (isfinite(d)) sum += d * d;
    }
    return sum;
}

void omma_points_compare(const omma_points *p, const omma_session *s, int i, double *roots) {
    for (int k = 0; k < p->count; k++) {
        const omma_tensor *t = omma_session_watched(s, name(p, k));
        const omma_tensor *want = &p->want[i * p->count + k];
        const double energy = p->energy[i * p->count + k];
        const int64_t n = want->data ? omma_tensor_count(want) : 0;
        if (!n || !(energy > 0)) continue;
        const bool other = !t || t->dtype != OMMA_F32 || omma_tensor_count(t) != n;
        /* another number of things is as wrong as can be */
        roots[k] += other ? 1 : sqrt(energy_between(want->data, t->data, n) / energy);
    }
}

void omma_points_mean(const omma_points *p, double *roots) {
    for (int k = 0; k < p->count; k++) {
        const double mean = roots[k] / p->n_samples;
        roots[k] = mean * mean;
    }
}

/* flow.c - maximum flows of rollout.h, by Dinic's algorithm on layers of tokens. The net has a node
 * for each token below and above each layer, (layers + 1) n of them, and a pipe from each
 * upper token to each lower one. What is left of pipes, and what was sent and could be taken back,
 * lie in matrices of their own, the latter turned, so that both are read in a row:
 *
 *     node l n + i     token i above layer l - 1, layer 0 the first; l = 0: the inputs
 *     left[l][i][j]    from (l + 1, i) down to (l, j)
 *     sent[l][j][i]    from (l, j) back up to (l + 1, i)
 *
 * Dinic's phases number fewer than nodes whatever the capacities are, so doubles end too. */
#include <math.h>
#include <string.h>

#include "field/dense.h"
#include "field/rollout.h"

/* Rounding leaves traces; less than this is no capacity. */
static const double NOTHING = 1e-15;

typedef struct net {
    int64_t layers, n, nodes;
    double *capacity, *left, *sent; /* [layers, n, n] */
    int64_t *level;                 /* of nodes: pipes from the source; -1: not reached */
    int64_t *arc;                   /* of nodes: the pipe to be tried next: 0 to n - 1 down to that
                                       token, n to 2 n - 1 up */
    int64_t *queue;                 /* nodes: those reached; or the way at hand */
} net;

/* The pipe `arc` of a node: what is left of it, where it leads, and what gains by sending along
 * it. NULL: there is none, at the top and the bottom. */
static double *pipe_of(const net *g, int64_t node, int64_t arc, int64_t *to, double **back) {
    const int64_t n = g->n, l = node / n, i = node % n, size = n * n;
    const bool up = arc >= n;
    const int64_t j = up ? arc - n : arc;
    if (up ? l == g->layers : l == 0) return NULL;
    *to = (up ? l + 1 : l - 1) * n + j;
    double *const left = g->left + (up ? l : l - 1) * size, *const sent = left - g->left + g->sent;
    *back = (up ? left : sent) + j * n + i;
    return (up ? sent : left) + i * n + j;
}

/* Levels of a breadth-first search; is the sink reached? */
static bool search(net *g, int64_t source, int64_t sink) {
    int64_t count = 1;
    memset(g->level, -1, (size_t)g->nodes * sizeof *g->level);
    g->level[source] = 0;
    g->queue[0] = source;
    for (int64_t k = 0; k < count && g->level[sink] < 0; k++)
        for (int64_t arc = 0; arc < 2 * g->n; arc++) {
            int64_t to;
            double *back, *left = pipe_of(g, g->queue[k], arc, &to, &back);
            if (!left || *left <= NOTHING || g->level[to] >= 0) continue;
            g->level[to] = g->level[g->queue[k]] + 1;
            g->queue[count++] = to;
        }
    return g->level[sink] >= 0;
}

/* Send what the way (queue[0 .. last], each node's pipe in arc) lets through; *last becomes the
 * first node whose pipe is full. */
static double send(net *g, int64_t *last) {
    double most = INFINITY, *back;
    int64_t to, full = 0;
    for (int64_t k = 0; k < *last; k++) {
        const double left = *pipe_of(g, g->queue[k], g->arc[g->queue[k]], &to, &back);
        if (left < most) most = left, full = k;
    }
    for (int64_t k = 0; k < *last; k++) {
        *pipe_of(g, g->queue[k], g->arc[g->queue[k]], &to, &back) -= most;
        *back += most;
    }
    *last = full;
    return most;
}

/* Fill ways along rising levels until there are none. */
static double phase(net *g, int64_t source, int64_t sink) {
    double total = 0;
    int64_t last = 0;
    memset(g->arc, 0, (size_t)g->nodes * sizeof *g->arc);
    g->queue[0] = source;
    for (;;) {
        const int64_t node = g->queue[last];
        int64_t to;
        double *back;
        if (node == sink) {
            total += send(g, &last);
            continue;
        }
        for (; g->arc[node] < 2 * g->n; g->arc[node]++) {
            const double *left = pipe_of(g, node, g->arc[node], &to, &back);
            if (left && *left > NOTHING && g->level[to] == g->level[node] + 1) break;
        }
        if (g->arc[node] < 2 * g->n) g->queue[++last] = to;
        else if (last == 0) return total;
        else g->arc[g->queue[--last]]++; /* a dead end */
    }
}

static double flow_of(net *g, int64_t from, int64_t to) {
    const int64_t source = g->layers * g->n + from;
    const size_t size = (size_t)(g->layers * g->n * g->n);
    double total = 0;
    memcpy(g->left, g->capacity, size * sizeof *g->left);
    memset(g->sent, 0, size * sizeof *g->sent);
    while (search(g, source, to)) total += phase(g, source, to);
    return total;
}

static omma_status make_net(net *g, const omma_flow_ask *a, omma_arena *arena, omma_error *err) {
    const int64_t dims[] = {a->layers, a->n, a->n}, size = a->n * a->n;
    double **const matrices[] = {&g->capacity, &g->left, &g->sent};
    *g = (net){.layers = a->layers, .n = a->n, .nodes = (a->layers + 1) * a->n};
    for (int i = 0; i < 3; i++)
        OMMA_TRY(omma_dense_alloc(matrices[i], arena, dims, 3, "attention flow", err));
    g->level = omma_arena_array(arena, 3 * (size_t)g->nodes, sizeof *g->level);
    if (!g->level) return omma_fail(err, OMMA_E_NOMEM, "attention flow: no memory");
    g->arc = g->level + g->nodes;
    g->queue = g->arc + g->nodes;
    for (int64_t l = 0; l < a->layers; l++)
        OMMA_TRY(omma_rollout_mix(g->capacity + l * size, a->fused[l], a->n, a->alpha, err));
    return OMMA_OK;
}

static omma_status flows(double *flow, const omma_flow_ask *a, omma_arena *arena, omma_error *err) {
    net g;
    for (int64_t i = 0; i < a->n_from + a->n_to; i++) {
        const int64_t token = i < a->n_from ? a->from[i] : a->to[i - a->n_from];
        if (token < 0 || token >= a->n)
            return omma_fail(err, OMMA_E_USAGE, "there is no token %lld among %lld",
                             (long long)token, (long long)a->n);
    }
    OMMA_TRY(make_net(&g, a, arena, err));
    for (int64_t i = 0; i < a->n_from; i++)
        for (int64_t j = 0; j < a->n_to; j++)
            flow[i * a->n_to + j] = flow_of(&g, a->from[i], a->to[j]);
    return OMMA_OK;
}

omma_status omma_flow(double *flow, const omma_flow_ask *ask, omma_arena *arena, omma_error *err) {
    omma_arena tmp;
    omma_arena_init(&tmp, arena->budget);
    const omma_status s = flows(flow, ask, &tmp, err);
    omma_arena_free(&tmp);
    return s;
}

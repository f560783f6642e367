/* profile.c - see profile.h. The first run lists the nodes; it and those after it leave times. */
#include "run/profile.h"

#include <stdlib.h>
#include <string.h>

#include "run/debug.h"

static bool grow(omma_profile *p) {
    if (p->at < p->cap) return true;
    const size_t cap = p->cap ? 2 * (size_t)p->cap : 256, have = (size_t)p->count;
    omma_profile_node *nodes = omma_arena_array(&p->arena, cap, sizeof *nodes);
    struct omma_span *now = omma_arena_array(&p->arena, cap, sizeof *now);
    if (!nodes || !now) return false;
    if (have) memcpy(nodes, p->nodes, have * sizeof *nodes);
    if (have) memcpy(now, p->now, have * sizeof *now);
    p->nodes = nodes;
    p->now = now;
    p->cap = (int)cap;
    return true;
}

static omma_tensor shape_of(const omma_value *v) {
    if (!v) return (omma_tensor){.rank = -1};
    omma_tensor t = omma_value_tensor(v);
    t.data = NULL;
    return t;
}

static void list_node(omma_profile *p, const omma_node *n) {
    const char *name = grow(p) ? omma_arena_strndup(&p->arena, n->name, strlen(n->name)) : NULL;
    if (!name) {
        p->starved = true;
        return;
    }
    p->nodes[p->count++] = (omma_profile_node){.op = n->op,
                                               .name = name,
                                               .out = shape_of(n->out[0]),
                                               .flops = omma_cost_flops(n),
                                               .bytes = omma_cost_bytes(n)};
    omma_cost_kind(p->nodes[p->count - 1].kind, n);
}

static bool same(const omma_profile_node *have, const omma_node *n) {
    const omma_tensor t = shape_of(n->out[0]);
    return have->op == n->op && !strcmp(have->name, n->name) && have->out.rank == t.rank &&
           (t.rank < 0 || !memcmp(have->out.dims, t.dims, (size_t)t.rank * sizeof *t.dims));
}

static void see(void *user, const omma_node *n, double start, double end) {
    omma_profile *p = user;
    if (!p->runs && !p->astray) list_node(p, n);
    else if (p->at >= p->count || !same(&p->nodes[p->at], n)) p->astray = true;
    if (p->starved || p->astray) return;
    p->now[p->at++] = (struct omma_span){start - p->began, end - p->began};
}

void omma_profile_init(omma_profile *p, int most) {
    *p = (omma_profile){.most = most, .observer = {see, p}};
    omma_arena_init(&p->arena, NULL);
}

void omma_profile_free(omma_profile *p) {
    omma_arena_free(&p->arena);
    *p = (omma_profile){0};
}

void omma_profile_begin(omma_profile *p, omma_session *s) {
    if (!p->runs) p->count = 0;
    p->at = 0;
    p->astray = false;
    omma_session_observe(s, &p->observer);
    p->began = omma_debug_clock();
}

omma_status omma_profile_end(omma_profile *p, omma_session *s, omma_error *err) {
    omma_session_observe(s, NULL);
    const size_t count = (size_t)p->count;
    if (!p->starved && !p->times) {
        p->column = omma_arena_array(&p->arena, (size_t)p->most, sizeof *p->column);
        p->times = omma_arena_array(&p->arena, count * (size_t)p->most + 1, sizeof *p->times);
    }
    if (p->starved || !p->times || !p->column)
        return omma_fail(err, OMMA_E_NOMEM, "no memory for a profile");
    if (p->astray || p->at != p->count) {
        p->strayed++;
        return OMMA_OK;
    }
    if (p->runs == p->most) return OMMA_OK;
    double *times = p->times + count * (size_t)p->runs++;
    for (size_t i = 0; i < count; i++) {
        p->nodes[i].start = p->now[i].start;
        p->nodes[i].end = p->now[i].end;
        times[i] = p->now[i].end - p->now[i].start;
    }
    return OMMA_OK;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void omma_profile_settle(omma_profile *p) {
    p->total = 0;
    for (int i = 0; i < p->count && p->runs; i++) {
        for (int r = 0; r < p->runs; r++)
            p->column[r] = p->times[(size_t)r * (size_t)p->count + (size_t)i];
        qsort(p->column, (size_t)p->runs, sizeof *p->column, ascending);
        p->nodes[i].seconds = p->column[p->runs / 2];
        p->total += p->nodes[i].seconds;
    }
}

double omma_profile_flops(const omma_profile *p) {
    double sum = 0;
    for (int i = 0; i < p->count; i++) sum += p->nodes[i].flops;
    return sum;
}

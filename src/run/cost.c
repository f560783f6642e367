/* cost.c - see cost.h. */
#include "run/cost.h"

#include <string.h>

static bool is_view(const omma_node *n) { return n->op->flags & OMMA_OP_VIEW && n->n_out == 1; }

double omma_cost_flops(const omma_node *n) {
    if (n->op->flops) return n->op->flops(n);
    return n->out[0] && !(n->op->flags & OMMA_OP_VIEW) ? (double)omma_value_count(n->out[0]) : 0;
}

double omma_cost_bytes(const omma_node *n) {
    if (is_view(n)) {
        const bool in_place = n->in[0]->mem == n->out[0]->mem;
        return in_place ? 0 : 2 * (double)omma_value_bytes(n->out[0]);
    }
    double sum = 0;
    for (int i = 0; i < n->n_in && !(n->op->flags & OMMA_OP_SHAPE_ONLY); i++)
        if (n->in[i]) sum += (double)omma_value_bytes(n->in[i]);
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i]) sum += (double)omma_value_bytes(n->out[i]);
    return sum;
}

/* w: [M, C/groups, kernel...] */
static void kind_of_convolution(char out[OMMA_COST_KIND], const omma_node *n, const omma_value *w) {
    const omma_attr *strides = omma_node_attr(n, "strides");
    const long long groups = omma_node_int(n, "group", 1);
    int at = 0;
    for (int i = 2; i < w->rank && at < 20; i++)
        at += snprintf(out + at, (size_t)(OMMA_COST_KIND - at), "%s%lld", i > 2 ? "x" : "",
                       (long long)w->dims[i]);
    if (strides && strides->count && strides->ints[0] > 1 && at < 26)
        at +=
            snprintf(out + at, (size_t)(OMMA_COST_KIND - at), "/%lld", (long long)strides->ints[0]);
    if (at >= 28) return;
    if (groups > 1 && w->dims[1] == 1)
        snprintf(out + at, (size_t)(OMMA_COST_KIND - at), " depthwise");
    else if (groups > 1)
        snprintf(out + at, (size_t)(OMMA_COST_KIND - at), " in %lld groups", groups);
}

void omma_cost_kind(char out[OMMA_COST_KIND], const omma_node *n) {
    const omma_value *w = n->n_in > 1 ? n->in[1] : NULL;
    memset(out, 0, OMMA_COST_KIND);
    if (!w) return;
    if (!strcmp(n->op->name, "Conv") && w->rank > 2) kind_of_convolution(out, n, w);
    if (!strcmp(n->op->name, "MatMul") || !strcmp(n->op->name, "Gemm"))
        strcpy(out, w->data || n->packed ? "by weights" : "of values");
}

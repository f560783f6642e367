/* box_format.c - how a model writes the boxes of its queries: from the last nodes that make them,
 * and where these leave it open from the numbers. See queries.h. */
#include <math.h>
#include <string.h>

#include "field/queries.h"
#include "op/op.h"

/* What the nodes in front of a box's numbers say. */
typedef struct making {
    bool sigmoid; /* each number is a sigmoid of its own, scaled */
    bool joined;  /* they were put together from several values */
    double by[4]; /* factors of the four numbers */
} making;

static bool is_op(const omma_node *n, const char *name) { return !strcmp(n->op->name, name); }

/* The four factors in a constant of a product; false: it has others, or one for each query. */
static bool factors(const omma_value *c, double by[4]) {
    int64_t n = 1;
    for (int d = 0; d < c->rank; d++) n *= c->dims[d];
    if (!c->data || n < 1 || (n != 1 && (n % 4 || c->dims[c->rank - 1] != 4))) return false;
    for (int64_t i = 0; i < n; i++) {
        const double x = omma_get_number(c->dtype, c->data, i);
        if (i < 4) by[i] = x;
        else if (x != by[i % 4]) return false;
    }
    for (int k = 1; k < 4 && n == 1; k++) by[k] = by[0];
    return true;
}

/* Through a product or quotient by a constant; false: it is none. */
static bool pass_factor(const omma_node *n, making *m, const omma_value **v) {
    double by[4];
    const bool over = is_op(n, "Div");
    if (!over && !is_op(n, "Mul")) return false;
    const int c = n->in[1]->data ? 1 : 0;
    if ((over && !c) || !factors(n->in[c], by)) return false;
    for (int k = 0; k < 4; k++) m->by[k] *= over ? 1 / by[k] : by[k];
    *v = n->in[1 - c];
    return true;
}

static void look_back(const omma_value *v, making *m) {
    *m = (making){.by = {1, 1, 1, 1}};
    while (v->producer && !m->sigmoid && !m->joined) {
        const omma_node *n = v->producer;
        if (pass_factor(n, m, &v)) continue;
        m->sigmoid = is_op(n, "Sigmoid");
        m->joined = is_op(n, "Concat");
        if (!(n->op->flags & OMMA_OP_VIEW) && !is_op(n, "Transpose") && !is_op(n, "Identity") &&
            !is_op(n, "Clip") && !is_op(n, "Gather"))
            break;
        v = n->in[0];
    }
}

/* --- numbers -----------------------------------------------------------------------------------
 */

static double number(const omma_answer *a, const omma_tensor *t, int64_t q, int k) {
    return omma_get_number(t->dtype, t->data, omma_answer_at(a, q) + k);
}

/* Are the second two numbers of every query beyond the first two? */
static bool in_order(const omma_answer *a, const omma_tensor *t, int64_t queries) {
    for (int64_t q = 0; q < queries; q++)
        for (int k = 0; k < 2; k++)
            if (!(number(a, t, q, k + 2) >= number(a, t, q, k))) return false;
    return true;
}

/* The share of numbers that are between -0.5 and 1.5 times their factor. */
static double within(const omma_answer *a, const omma_tensor *t, int64_t queries,
                     const double by[4]) {
    int64_t n = 0;
    for (int64_t q = 0; q < queries; q++)
        for (int k = 0; k < 4; k++) n += fabs(number(a, t, q, k) / by[k] - 0.5) <= 1;
    return (double)n / (double)(4 * queries);
}

void omma_box_format_find(omma_queries *out, const omma_sight *s, const omma_answer *a,
                          const omma_tensor *t) {
    int down, across;
    making m;
    const omma_value *image = omma_fov_image(omma_sight_fov(s), &down, &across);
    const double one[4] = {1, 1, 1, 1};
    look_back(a->value, &m);
    const bool even = m.by[0] == m.by[2] && m.by[1] == m.by[3] && m.by[0] > 0 && m.by[1] > 0;
    const bool corners = !(m.sigmoid && !m.joined) && in_order(a, t, out->queries);
    out->format = corners ? OMMA_BOX_CORNERS : OMMA_BOX_CENTRE;
    out->width = image ? (double)image->dims[across] : 1;
    out->height = image ? (double)image->dims[down] : 1;
    if (even && (m.sigmoid || within(a, t, out->queries, m.by) > 0.9)) {
        out->width = m.by[0];
        out->height = m.by[1];
    } else if (within(a, t, out->queries, one) > 0.9) out->width = out->height = 1;
}

/* anatomy_blocks.c - residual additions: the one behind an attention (or a sampling), whose x the
 * queries are made from, and those around a feed-forward block, whose branch is made from x token
 * by token. See anatomist.h. */
#include <string.h>

#include "field/anatomist.h"
#include "field/field_table.h"

static bool same_shape(const omma_value *a, const omma_value *b) {
    return a->rank == b->rank && !memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims);
}

/* Is n the addition of two values of one shape? */
static bool is_addition(const omma_node *n) {
    return !strcmp(n->op->name, "Add") && n->out[0] && same_shape(n->in[0], n->in[1]) &&
           same_shape(n->in[0], n->out[0]);
}

/* --- behind an attention --------------------------------------------------------------------- */

/* Mark values that one of q[0..n) is made from, and that themselves. */
static bool *ancestors(omma_anatomist *s, omma_arena *tmp, const omma_value *const *q, int n) {
    bool *is = omma_arena_array(tmp, (size_t)s->g->n_values, sizeof *is);
    if (!is) return NULL;
    for (int i = 0; i < n; i++) is[q[i]->index] = true;
    for (int i = s->g->n_nodes - 1; i >= 0; i--) {
        const omma_node *m = s->g->nodes[i];
        bool wanted = false;
        for (int k = 0; k < m->n_out; k++) wanted |= m->out[k] && is[m->out[k]->index];
        for (int k = 0; k < m->n_in && wanted; k++)
            if (m->in[k]) is[m->in[k]->index] = true;
    }
    return is;
}

/* May x be what a branch is added to? What the queries are made from, or the state of learned ones,
 * which is a constant, and often has made the queries one; not a bias. */
static bool may_be_x(const omma_anatomist *s, const omma_value *x, const bool *of_q,
                     const omma_value *q) {
    if (s->depends[x->index]) return of_q[x->index];
    return x->rank > 1 && (!s->depends[q->index] || omma_value_count(x) > x->dims[x->rank - 1]);
}

omma_status omma_residual_behind(omma_anatomist *s, omma_residual *r, const omma_node *from,
                                 const omma_value *const *q, int n) {
    omma_arena tmp;
    *r = (omma_residual){0};
    omma_arena_init(&tmp, s->tmp.budget);
    const bool *of_q = ancestors(s, &tmp, q, n);
    bool *behind = omma_arena_array(&tmp, (size_t)s->g->n_values, sizeof *behind);
    for (int i = from->index; i < s->g->n_nodes && of_q && behind && !r->addition; i++) {
        const omma_node *m = s->g->nodes[i];
        bool any = m == from;
        for (int k = 0; k < m->n_in; k++) any |= m->in[k] && behind[m->in[k]->index];
        for (int k = 0; k < m->n_out; k++)
            if (m->out[k]) behind[m->out[k]->index] = any;
        if (!any || m == from || !is_addition(m)) continue;
        const int skip = behind[m->in[0]->index] ? 1 : 0;
        if (!behind[m->in[skip]->index] && may_be_x(s, m->in[skip], of_q, q[0]))
            *r = (omma_residual){m, skip};
    }
    const bool fine = of_q && behind;
    omma_arena_free(&tmp);
    return fine ? OMMA_OK : omma_anatomist_nomem(s);
}

/* --- sampling -------------------------------------------------------------------------------- */

static bool is_sampling(const omma_node *n) {
    return (!strcmp(n->op->name, "GridSample") || !strcmp(n->op->name, "DeformConv")) && n->out[0];
}

omma_status omma_anatomist_samplings(omma_anatomist *s) {
    omma_anatomy *out = s->out;
    size_t n = 1;
    for (int i = 0; i < s->g->n_nodes; i++) n += is_sampling(s->g->nodes[i]);
    out->sampling = omma_arena_array(s->keep, n, sizeof *out->sampling);
    if (!out->sampling) return omma_anatomist_nomem(s);
    for (int i = 0; i < s->g->n_nodes; i++) {
        const omma_node *m = s->g->nodes[i];
        if (!is_sampling(m)) continue;
        omma_sampling *a = &out->sampling[out->n_sampling++];
        omma_residual r = {0};
        *a = (omma_sampling){
            .node = m, .map = m->in[0], .where = m->in[!strcmp(m->op->name, "GridSample") ? 1 : 2]};
        omma_field_label(a->label, sizeof a->label, m->out[0]);
        if (s->depends[a->where->index]) OMMA_TRY(omma_residual_behind(s, &r, m, &a->where, 1));
        if (!r.addition) continue;
        a->addition = r.addition;
        a->skip = r.skip;
        a->in = r.addition->in[r.skip], a->branch = r.addition->in[1 - r.skip];
        a->out = r.addition->out[0];
        s->skip_of[a->out->index] = a->in;
    }
    return OMMA_OK;
}

/* --- feed-forward ---------------------------------------------------------------------------- */

static bool is_known(const omma_anatomist *s, const omma_node *n) {
    return s->skip_of[n->out[0]->index] != NULL;
}

/* Is n, which is on the way from x, a layer of weights, which are not made from x? */
static bool is_layer(const omma_node *n, const omma_value *x, const bool *on) {
    omma_product p;
    int from_x = 0;
    if (!strcmp(n->op->name, "Conv")) return true;
    if (!omma_product_of(&p, n)) return false;
    for (int i = 0; i < 2; i++)
        from_x += n->in[i] == x || (n->in[i]->producer && on[n->in[i]->producer->index]);
    return from_x == 1;
}

/* Is there a layer of weights between x and the branch, and no attention or sampling, and is x read
 * by nobody but the branch and the addition? Then the sum goes on in x's place. */
static bool is_block(const omma_anatomist *s, const omma_node *sum, const omma_value *x,
                     const bool *on) {
    bool layer = false;
    for (int i = 0; i < sum->index; i++) {
        const omma_node *n = s->g->nodes[i];
        if (!on[i]) continue;
        if (is_sampling(n)) return false;
        for (int k = 0; k < s->out->n_attention; k++)
            if (s->out->attention[k].product == n) return false;
        layer |= is_layer(n, x, on);
    }
    for (int r = s->first[x->index]; r < s->first[x->index + 1] && layer; r++)
        layer = on[s->reader[r]] || s->reader[r] == sum->index;
    return layer && !x->is_output;
}

/* Back along x's stream to the attention it comes from; -1: none. */
static int attention_before(const omma_anatomist *s, const omma_value *x) {
    const omma_anatomy *out = s->out;
    while (x && s->depends[x->index]) {
        for (int k = out->n_attention - 1; k >= 0; k--)
            if (out->attention[k].out == x) return k;
        x = s->skip_of[x->index] ? s->skip_of[x->index] : omma_value_before(s, x);
    }
    return -1;
}

/* The axes of x that count tokens: by the picture, or as in the attention before. 0: not known. */
static unsigned token_axes(const omma_anatomist *s, const omma_value *x, int after) {
    if (s->image) {
        const omma_digit y = s->rows[x->index].digit, c = s->columns[x->index].digit;
        const bool rows = s->rows[x->index].any && y.axis >= 0 && y.mod > 1,
                   columns = s->columns[x->index].any && c.axis >= 0 && c.mod > 1;
        if (rows || columns) return (rows ? 1u << y.axis : 0) | (columns ? 1u << c.axis : 0);
    }
    if (after < 0) return 0;
    const omma_tokens *t = &s->out->attention[after].query;
    unsigned axes = 0;
    if (!t->value || !same_shape(t->value, x)) return 0;
    for (int d = t->axis; d < t->axis + t->axes; d++) axes |= 1u << d;
    return axes;
}

/* Is each element along axis d of y made from the same index of x's axis? */
static bool is_same(const omma_value *y, int d, const int32_t *index) {
    int64_t behind = 1;
    for (int e = d + 1; e < y->rank; e++) behind *= y->dims[e];
    for (int64_t i = 0; i < omma_value_count(y); i++)
        if (index[i] != i / behind % y->dims[d]) return false;
    return true;
}

static omma_status mixes_nothing(omma_anatomist *s, const omma_value *x, const omma_value *branch,
                                 unsigned axes, bool *fine) {
    omma_trace t;
    omma_traced at[2];
    omma_status bad = omma_trace_begin(&t, s, x, &branch, 1);
    *fine = axes != 0;
    for (int d = 0; d < x->rank && !bad && *fine; d++) {
        if (!(axes >> d & 1) || x->dims[d] == 1) continue;
        bad = omma_trace_axis(&t, d, at);
        *fine = !bad && at[0].index && is_same(branch, d, at[0].index);
    }
    omma_trace_free(&t);
    return bad;
}

/* Is input `skip` of the addition the x of a feed-forward block? */
static omma_status try(omma_anatomist *s, const omma_node *sum, int skip, bool *found) {
    const omma_value *x = sum->in[skip], *branch = sum->in[1 - skip];
    omma_arena tmp;
    bool leads = false;
    omma_status bad = OMMA_OK;
    *found = false;
    omma_arena_init(&tmp, s->tmp.budget);
    const bool *on = omma_nodes_between(s, &tmp, x, branch, &leads);
    if (!on) bad = omma_anatomist_nomem(s);
    const int after = !bad && leads && is_block(s, sum, x, on) ? attention_before(s, x) : -2;
    if (after > -2) bad = mixes_nothing(s, x, branch, token_axes(s, x, after), found);
    omma_arena_free(&tmp);
    if (bad || !*found) return bad;
    omma_feed_forward *b = &s->out->feed_forward[s->out->n_feed_forward++];
    *b = (omma_feed_forward){.addition = sum,
                             .skip = skip,
                             .in = x,
                             .branch = branch,
                             .out = sum->out[0],
                             .after = after};
    omma_field_label(b->label, sizeof b->label, b->out);
    s->skip_of[b->out->index] = x;
    return OMMA_OK;
}

omma_status omma_anatomist_feed_forwards(omma_anatomist *s) {
    size_t n = 1;
    for (int i = 0; i < s->g->n_nodes; i++) n += !strcmp(s->g->nodes[i]->op->name, "Add");
    s->out->feed_forward = omma_arena_array(s->keep, n, sizeof *s->out->feed_forward);
    if (!s->out->feed_forward) return omma_anatomist_nomem(s);
    for (int i = 0; i < s->g->n_nodes; i++) {
        const omma_node *m = s->g->nodes[i];
        bool found = false;
        if (!is_addition(m) || is_known(s, m)) continue;
        for (int skip = 0; skip < 2 && !found; skip++)
            if (s->depends[m->in[skip]->index] && s->depends[m->in[1 - skip]->index])
                OMMA_TRY(try(s, m, skip, &found));
    }
    return OMMA_OK;
}

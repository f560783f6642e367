/* anatomy_attention.c - every softmax that stands between two products, as attention has it:
 *
 *     q, k -> product -> scalings, masks, caps, moves -> Softmax -> moves -> product with v
 *
 * The axis of the scores that the softmax is taken along, and that the second product sums over,
 * counts keys; the operand of the first product that has it is k. It must not be a constant, and
 * no more v: that would be a layer of weights. See anatomist.h. */
#include <string.h>

#include "field/anatomist.h"
#include "field/field_table.h"

/* --- the first product ----------------------------------------------------------------------- */

/* Which operand alone has axis d of the product; -1: none or both. */
static int owner(const omma_product *p, int d) {
    int who = -1;
    for (int i = 0; i < 2; i++)
        for (int e = 0; e < p->n->in[i]->rank; e++)
            if (p->at[i][e] == d) who = who < 0 ? i : 2;
    return who == 2 ? -1 : who;
}

/* The axis that counts queries, operand i being q: the one that only it has. -1: none; -2: several
 * of more than one place. */
static int row_axis(const omma_product *p, int i) {
    const omma_value *y = p->n->out[0];
    int found = -1;
    if (!strcmp(p->n->op->name, "MatMul")) return y->rank - 2 + i;
    for (int d = 0; d < y->rank; d++) {
        if (owner(p, d) != i) continue;
        if (found < 0 || y->dims[found] == 1) found = d;
        else if (y->dims[d] > 1) return -2;
    }
    return found;
}

/* Which axis of the softmax's input axis d of the first product's output is; -1: none. The path is
 * there as far as the product, its nodes in reverse. */
static int at_softmax(const omma_anatomist *s, const omma_attention_path *p, const omma_value *y,
                      int d) {
    omma_moving m = omma_moving_axis(y, d);
    for (int i = p->n - 1; i > 0; i--)
        if (!omma_moving_pass(s, &m, p->node[i], p->in[i])) return -1;
    return omma_moving_whole(&m, p->node[0]->in[0]);
}

/* Is `first` the product of q and k of the softmax at the path's beginning? */
static bool take_first(const omma_anatomist *s, omma_attention_path *p, const omma_product *first) {
    const omma_value *y = first->n->out[0];
    const int keys = omma_softmax_axis(p->node[0]);
    for (int d = 0; d < y->rank; d++) {
        const int k = owner(first, d);
        if (k < 0 || y->dims[d] < 2 || !s->depends[first->n->in[k]->index]) continue;
        if (at_softmax(s, p, y, d) != keys) continue;
        p->first = *first;
        p->q = 1 - k;
        p->key_axis = d, p->row_axis = row_axis(first, 1 - k);
        return p->row_axis >= -1;
    }
    return false;
}

/* Was v seen in this search? Now it is. */
static bool was_seen(const omma_anatomist *s, const omma_value *v) {
    const bool was = s->seen[v->index] == s->search;
    s->seen[v->index] = s->search;
    return was;
}

/* Back from v, which the path's last node reads. */
static bool find_first(const omma_anatomist *s, omma_attention_path *p, const omma_value *v) {
    const omma_node *n = v->producer;
    omma_product first;
    if (!n || was_seen(s, v)) return false;
    if (omma_product_of(&first, n)) return take_first(s, p, &first);
    if (!omma_keeps_elements(n) || p->n == OMMA_PATH_MAX) return false;
    for (int i = 0; i < n->n_in; i++) {
        const omma_value *x = n->in[i];
        if (!x || !s->depends[x->index] || omma_value_count(x) != omma_value_count(v)) continue;
        p->node[p->n] = n, p->in[p->n++] = i;
        if (find_first(s, p, x)) return true;
        p->n--;
    }
    return false;
}

/* --- the second product ---------------------------------------------------------------------- */

static bool find_second(const omma_anatomist *s, omma_attention_path *p, const omma_value *v,
                        omma_moving key) {
    if (was_seen(s, v)) return false;
    for (int r = s->first[v->index]; r < s->first[v->index + 1]; r++) {
        const omma_node *n = s->g->nodes[s->reader[r]];
        const int i = n->in[0] == v ? 0 : n->n_in > 1 && n->in[1] == v ? 1 : 2;
        omma_product q;
        if (omma_product_of(&q, n)) {
            const int axis = i > 1 ? -1 : omma_moving_whole(&key, v);
            if (axis < 0 || q.at[i][axis] >= 0 || !s->depends[n->in[1 - i]->index] ||
                !omma_value_count(n->out[0]))
                continue;
            p->second = q;
            p->w = i;
            return true;
        }
        omma_moving g = key;
        if (!omma_keeps_elements(n) || !strcmp(n->op->name, "Softmax") || p->n == OMMA_PATH_MAX ||
            !n->in[i] || !omma_moving_pass(s, &g, n, i))
            continue;
        p->node[p->n] = n, p->in[p->n++] = i;
        if (find_second(s, p, n->out[0], g)) return true;
        p->n--;
    }
    return false;
}

/* --- the list -------------------------------------------------------------------------------- */

static void turn_around(omma_attention_path *p) {
    for (int i = 0, k = p->n - 1; i < k; i++, k--) {
        const omma_node *n = p->node[i];
        const int in = p->in[i];
        p->node[i] = p->node[k], p->in[i] = p->in[k];
        p->node[k] = n, p->in[k] = in;
    }
}

static void add(omma_anatomist *s, const omma_attention_path *p) {
    const omma_node *softmax = p->node[p->softmax];
    s->path[s->out->n_attention] = *p;
    omma_attention *a = &s->out->attention[s->out->n_attention++];
    *a = (omma_attention){.softmax = softmax,
                          .first = p->first.n,
                          .q = p->first.n->in[p->q],
                          .k = p->first.n->in[1 - p->q],
                          .v = p->second.n->in[1 - p->w],
                          .scores = softmax->in[0],
                          .weights = softmax->out[0],
                          .product = p->second.n,
                          .mix = p->second.n->out[0]};
    omma_field_label(a->label, sizeof a->label, a->weights);
}

static bool is_softmax(const omma_anatomist *s, const omma_node *n) {
    return !strcmp(n->op->name, "Softmax") && n->out[0] && s->depends[n->in[0]->index] &&
           omma_value_count(n->out[0]) > 0 && omma_softmax_axis(n) >= 0;
}

omma_status omma_anatomist_attentions(omma_anatomist *s) {
    size_t n = 1;
    for (int i = 0; i < s->g->n_nodes; i++) n += is_softmax(s, s->g->nodes[i]);
    s->out->attention = omma_arena_array(s->keep, n, sizeof *s->out->attention);
    s->path = omma_arena_array(&s->tmp, n, sizeof *s->path);
    if (!s->out->attention || !s->path) return omma_anatomist_nomem(s);
    for (int i = 0; i < s->g->n_nodes; i++) {
        omma_node *m = s->g->nodes[i];
        if (!is_softmax(s, m)) continue;
        omma_attention_path p = {.node = {m}, .in = {0}, .n = 1, .share_rows = 1};
        s->search++;
        if (!find_first(s, &p, m->in[0])) continue;
        turn_around(&p);
        p.softmax = p.n - 1;
        s->search++;
        if (find_second(s, &p, m->out[0], omma_moving_axis(m->out[0], omma_softmax_axis(m))))
            add(s, &p);
    }
    return OMMA_OK;
}

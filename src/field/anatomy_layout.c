/* anatomy_layout.c - where the numbers of a window's head are in the values of an attention. The
 * axes of the first product's output, cut into rows of heads that share keys, are followed as
 * digits to the second product; the steps of each in a value give those of windows, heads, rows and
 * columns. See anatomist.h. */
#include "field/anatomist.h"

enum { DIGITS = OMMA_MAX_RANK + 1 };

/* The digits of scores: leading axes in order, then rows' heads (if any), rows, keys. */
typedef struct digits {
    int n, rows, keys, shared; /* where rows and keys are; shared: of heads, -1: none */
    omma_moving at[DIGITS];
    int64_t size[DIGITS];
} digits;

/* Steps of a value, by digit, and its columns. */
typedef struct steps {
    int64_t of[DIGITS], column;
} steps;

static void add(digits *g, const omma_value *y, omma_digit d) {
    g->size[g->n] = d.mod;
    g->at[g->n++] = (omma_moving){y, d};
}

static digits digits_of(const omma_attention *a, const omma_attention_path *p) {
    const omma_value *y = p->first.n->out[0];
    digits g = {.shared = -1, .rows = -1};
    for (int d = 0; d < y->rank; d++)
        if (d != p->row_axis && d != p->key_axis) add(&g, y, (omma_digit){d, 0, 1, y->dims[d]});
    if (p->share_rows > 1) {
        g.shared = g.n;
        add(&g, y, (omma_digit){p->row_axis, 0, a->queries, p->share_rows});
    }
    g.rows = g.n;
    add(&g, y, (omma_digit){p->row_axis, 0, 1, a->queries});
    g.keys = g.n;
    add(&g, y, (omma_digit){p->key_axis, 0, 1, a->keys});
    return g;
}

/* --- steps ----------------------------------------------------------------------------------- */

static int64_t stride(const omma_value *v, int axis) {
    return omma_digit_step(v, &(omma_digit){axis, 0, 1, v->dims[axis]});
}

/* The axis of operand i that is axis d of the output, and is as long; -1: none. */
static int operand_axis(const omma_product *p, int i, int d) {
    const omma_value *v = p->n->in[i];
    for (int e = 0; e < v->rank; e++)
        if (p->at[i][e] == d && v->dims[e] == p->n->out[0]->dims[d]) return e;
    return -1;
}

static int summed_axis(const omma_product *p, int i) {
    const omma_value *v = p->n->in[i];
    int found = -1;
    for (int e = 0; e < v->rank; e++)
        if (p->at[i][e] < 0 && (found < 0 || v->dims[e] > 1)) found = e;
    return found;
}

/* Of digits of the output, in operand i. */
static steps in_operand(const digits *g, const omma_product *p, int i) {
    steps s = {{0}, 0};
    for (int k = 0; k < g->n; k++) {
        const int e = g->size[k] > 1 ? operand_axis(p, i, g->at[k].g.axis) : -1;
        if (e >= 0) s.of[k] = stride(p->n->in[i], e) * g->at[k].g.div;
    }
    const int sum = summed_axis(p, i);
    if (sum >= 0) s.column = stride(p->n->in[i], sum);
    return s;
}

/* Of digits on their way, in the value where they are; false: one is on no axis. */
static bool in_value(const digits *g, const omma_value *v, steps *s) {
    omma_digit d;
    *s = (steps){{0}, 0};
    for (int k = 0; k < g->n; k++) {
        if (g->size[k] < 2) continue;
        if (!omma_moving_at(&g->at[k], v, &d)) return false;
        s->of[k] = omma_digit_step(v, &d);
    }
    s->column = s->of[g->keys];
    return true;
}

/* The axis of the second product's output that counts channels: v's own. */
static int channel_axis(const omma_product *p, int v) {
    int found = -1;
    for (int d = 0; d < p->n->out[0]->rank; d++) {
        bool other = false, own = false;
        for (int e = 0; e < p->n->in[1 - v]->rank; e++)
            other |= p->at[1 - v][e] == d && p->n->in[1 - v]->dims[e] == p->n->out[0]->dims[d];
        for (int e = 0; e < p->n->in[v]->rank; e++) own |= p->at[v][e] == d;
        if (own && !other && (found < 0 || p->n->out[0]->dims[d] > 1)) found = d;
    }
    return found;
}

/* g: digits of the second product's weights. Steps of v and of the mix. */
static bool behind_weights(const digits *g, const omma_attention_path *p, omma_attention *a,
                           steps *v, steps *mix) {
    const int other = 1 - p->w, channel = channel_axis(&p->second, other);
    const int own = channel < 0 ? -1 : operand_axis(&p->second, other, channel);
    const int sum = summed_axis(&p->second, other);
    if (own < 0 || sum < 0) return false;
    for (int k = 0; k < g->n; k++) {
        omma_digit at;
        if (k == g->keys || g->size[k] < 2) continue;
        if (!omma_moving_at(&g->at[k], p->second.n->in[p->w], &at)) return false;
        const int d = p->second.at[p->w][at.axis];
        if (d < 0) return false;
        const int e = operand_axis(&p->second, other, d);
        mix->of[k] = stride(a->mix, d) * at.div;
        if (e >= 0) v->of[k] = stride(a->v, e) * at.div;
    }
    v->of[g->keys] = stride(a->v, sum);
    v->column = stride(a->v, own);
    mix->column = stride(a->mix, channel);
    a->mix_width = a->mix->dims[channel];
    return true;
}

/* --- layouts --------------------------------------------------------------------------------- */

/* Where matrix `lead` of the first product begins. */
static int64_t lead_at(const digits *g, const steps *s, int64_t lead) {
    const int leads = g->shared < 0 ? g->rows : g->shared;
    int64_t at = 0;
    for (int k = leads - 1; k >= 0; k--) {
        at += lead % g->size[k] * s->of[k];
        lead /= g->size[k];
    }
    return at;
}

/* Where head h of window w begins. */
static int64_t matrix_at(const omma_attention *a, const omma_attention_path *p, const digits *g,
                         const steps *s, int64_t w, int64_t h) {
    const int64_t groups = a->heads / p->share_rows, k = h / p->share_rows;
    const int64_t lead = p->heads_outside ? k * a->windows + w : w * groups + k;
    return lead_at(g, s, lead) + (g->shared < 0 ? 0 : h % p->share_rows * s->of[g->shared]);
}

/* The layout of a value, rows by digit `rows`; false: its steps are not even. */
static bool put(omma_heads_layout *l, const omma_attention *a, const omma_attention_path *p,
                const digits *g, const steps *s, int rows) {
    *l = (omma_heads_layout){.share = 1, .row = s->of[rows], .column = s->column};
    if (g->shared >= 0 && !s->of[g->shared]) l->share = p->share_rows;
    if (a->windows > 1) l->window = matrix_at(a, p, g, s, 1, 0);
    if (a->heads > l->share) l->head = matrix_at(a, p, g, s, 0, l->share);
    for (int64_t w = 0; w < a->windows; w++)
        for (int64_t h = 0; h < a->heads; h++)
            if (matrix_at(a, p, g, s, w, h) != omma_heads_at(l, w, h, 0, 0)) return false;
    return true;
}

bool omma_anatomist_layout(const omma_anatomist *s, int k) {
    const omma_attention_path *p = &s->path[k];
    omma_attention *a = &s->out->attention[k];
    digits g = digits_of(a, p);
    const steps q = in_operand(&g, &p->first, p->q), keys = in_operand(&g, &p->first, 1 - p->q);
    const int sum = summed_axis(&p->first, p->q);
    steps v = {{0}, 0}, mix = {{0}, 0};
    a->width = sum < 0 ? 1 : a->q->dims[sum];
    if (!put(&a->at_q, a, p, &g, &q, g.rows) || !put(&a->at_k, a, p, &g, &keys, g.keys))
        return false;
    for (int i = 0; i < p->n; i++) {
        if (i == p->softmax) {
            steps at;
            if (!in_value(&g, a->weights, &at) || !put(&a->at_weights, a, p, &g, &at, g.rows))
                return false;
            a->at_scores = a->at_weights;
        }
        for (int d = 0; d < g.n; d++)
            if (g.size[d] > 1 && !omma_moving_pass(s, &g.at[d], p->node[i], p->in[i])) return false;
    }
    if (!behind_weights(&g, p, a, &v, &mix)) return false;
    return put(&a->at_v, a, p, &g, &v, g.keys) && put(&a->at_mix, a, p, &g, &mix, g.rows);
}

bool omma_attention_row_major(const omma_attention *a) {
    const omma_heads_layout *l = &a->at_weights;
    return (a->keys == 1 || l->column == 1) && (a->queries == 1 || l->row == a->keys) &&
           (a->heads == 1 || l->head == a->queries * a->keys) &&
           (a->windows == 1 || l->window == a->heads * a->queries * a->keys);
}

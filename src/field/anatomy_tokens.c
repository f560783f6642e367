/* anatomy_tokens.c - which tokens an attention's queries and keys are made from, and by that its
 * windows and heads. A source of tokens, x of the residual addition or what keys and values have in
 * common, is traced axis by axis: one along which each query (key) is made from one place counts
 * tokens, or pictures. Of the attention's matrices [leading axes.., queries, keys] those made from
 * the same tokens are the heads of one window. See anatomist.h. */
#include <string.h>

#include "field/anatomist.h"

/* --- an operand of the first product --------------------------------------------------------- */

/* q or k: where element (leading index, row, column) is. */
typedef struct operand {
    const omma_value *v;
    const omma_value *y;         /* the product */
    int row_axis, skip_axis;     /* of y: its rows; the other operand's */
    int64_t step[OMMA_MAX_RANK]; /* by axis of y */
    int64_t rows, columns, column;
} operand;

static operand operand_of(const omma_attention_path *p, int i) {
    const omma_value *v = p->first.n->in[i], *y = p->first.n->out[0];
    operand o = {.v = v, .y = y, .columns = 1};
    o.row_axis = i == p->q ? p->row_axis : p->key_axis;
    o.skip_axis = i == p->q ? p->key_axis : p->row_axis;
    o.rows = o.row_axis < 0 ? 1 : y->dims[o.row_axis];
    for (int64_t d = v->rank - 1, step = 1; d >= 0; step *= v->dims[d--]) {
        const int at = p->first.at[i][d];
        if (at >= 0) o.step[at] = v->dims[d] == y->dims[at] ? step : 0;
        else if (v->dims[d] > 1) o.columns *= v->dims[d], o.column = step;
    }
    return o;
}

/* The first element of row r of matrix `lead`. */
static int64_t element(const operand *o, int64_t lead, int64_t r) {
    int64_t at = o->row_axis < 0 ? 0 : r * o->step[o->row_axis];
    for (int d = o->y->rank - 1; d >= 0; d--) {
        if (d == o->row_axis || d == o->skip_axis) continue;
        at += lead % o->y->dims[d] * o->step[d];
        lead /= o->y->dims[d];
    }
    return at;
}

static int64_t leading(const omma_attention_path *p) {
    const omma_value *y = p->first.n->out[0];
    int64_t n = 1;
    for (int d = 0; d < y->rank; d++)
        if (d != p->row_axis && d != p->key_axis) n *= y->dims[d];
    return n;
}

/* Are all columns of each row from the same place? */
static bool even_columns(const operand *o, int64_t leads, const int32_t *index) {
    for (int64_t l = 0; l < leads; l++)
        for (int64_t r = 0; r < o->rows; r++) {
            const int32_t *row = index + element(o, l, r);
            for (int64_t c = 1; c < o->columns; c++)
                if (row[c * o->column] != row[0]) return false;
        }
    return true;
}

/* --- a source of tokens ---------------------------------------------------------------------- */

/* What the rows of q and k are made from. */
typedef struct source {
    const omma_value *v;
    unsigned axes; /* that count tokens, as bits */
    int batch;     /* that counts pictures, -1: none */
    int64_t count;
    int64_t *label[2]; /* by target: [leads][rows], picture * count + token; -1: none. NULL: a row
                          is made from several tokens, or all are from none */
    bool across;       /* target 0: its columns count tokens, its rows something else */
} source;

/* An attention while its tokens are looked for. */
typedef struct work {
    omma_attention *a;
    omma_attention_path *p;
    operand o[2]; /* q, k */
    int64_t leads;
    source query, key;
    const int64_t *label[2];
} work;

/* The axes of v along which target 0 is made one by one. axis[d][k]: what the trace gave. */
static omma_status trace_axes(omma_trace *t, source *x, const operand *o, int64_t leads,
                              omma_traced axis[][2]) {
    for (int d = 0; d < x->v->rank; d++) {
        if (x->v->dims[d] < 2) continue;
        OMMA_TRY(omma_trace_axis(t, d, axis[d]));
        for (int k = 0; k < t->n; k++) {
            if (!axis[d][k].index || even_columns(&o[k], leads, axis[d][k].index)) continue;
            axis[d][k].index = NULL;
            x->across |= k == 0;
        }
        if (!axis[d][0].index || d == x->batch) continue;
        x->axes |= 1u << d;
        x->count *= x->v->dims[d];
    }
    return OMMA_OK;
}

/* Labels of target k, from the axes' traces. */
static bool put_labels(source *x, int k, const operand *o, int64_t leads, omma_traced axis[][2],
                       omma_arena *arena) {
    int64_t *label = omma_arena_array(arena, (size_t)(leads * o->rows) + 1, sizeof *label);
    int64_t step = 1;
    if (!label) return false;
    for (int d = x->v->rank; d >= 0; d--) { /* the pictures' axis comes last */
        const int e = d ? d - 1 : x->batch;
        if (e < 0 || (d ? !(x->axes >> e & 1) : false)) continue;
        const int32_t *index = axis[e][k].index;
        if (!index) return true;
        for (int64_t i = 0; i < leads * o->rows; i++) {
            const int32_t at = index[element(o, i / o->rows, i % o->rows)];
            if (at < 0) label[i] = -1;
            else if (label[i] >= 0) label[i] += at * step;
        }
        step *= x->v->dims[e];
    }
    x->label[k] = label;
    return true;
}

static int64_t unknown(const int64_t *label, int64_t n) {
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) count += label[i] < 0;
    return count;
}

/* Is v one token of each picture? */
static bool is_single(const source *x) {
    int wide = 0;
    for (int d = 0; d < x->v->rank; d++) wide += d != x->batch && x->v->dims[d] > 1;
    return wide <= 1;
}

/* The axis of pictures where what chose the tokens has hidden it: as many, and none of them meet
 * in the mix. */
static omma_status find_batch(omma_anatomist *s, source *x, const omma_value *mix) {
    omma_traced at[2];
    omma_trace t;
    if (x->batch >= 0 || s->pictures < 2) return OMMA_OK;
    omma_status bad = omma_trace_begin(&t, s, x->v, &mix, 1);
    for (int d = 0; d < x->v->rank && !bad && x->batch < 0; d++) {
        if (x->v->dims[d] != s->pictures) continue;
        bad = omma_trace_axis(&t, d, at);
        if (!bad && at[0].index) x->batch = d;
    }
    omma_trace_free(&t);
    return bad;
}

/* Trace v to the operands from `from` on. Labels are on arena. */
static omma_status look_at(omma_anatomist *s, source *x, const omma_value *v, const work *w,
                           int from, omma_arena *arena) {
    omma_traced axis[OMMA_MAX_RANK][2] = {{{0}}};
    const operand *o = w->o + from;
    const int64_t leads = w->leads;
    const int n = 2 - from;
    const omma_value *to[] = {o[0].v, n > 1 ? o[1].v : NULL};
    omma_trace t;
    *x = (source){.v = v, .batch = omma_batch_axis(s, v), .count = 1};
    OMMA_TRY(find_batch(s, x, w->a->mix));
    omma_status bad = omma_trace_begin(&t, s, v, to, n);
    if (!bad) bad = trace_axes(&t, x, o, leads, axis);
    for (int k = 0; k < n && !bad; k++)
        if ((x->axes || (k == 0 && o->rows == 1 && is_single(x))) &&
            !put_labels(x, k, &o[k], leads, axis, arena))
            bad = omma_anatomist_nomem(s);
    for (int k = 0; k < n && !bad; k++)
        if (x->label[k] && unknown(x->label[k], leads * o[k].rows) == leads * o[k].rows)
            x->label[k] = NULL;
    omma_trace_free(&t);
    return bad;
}

/* --- what to look at ------------------------------------------------------------------------- */

/* Does it take some of its input's elements, as one of queries, keys and values? */
static bool takes_part(const omma_node *n) {
    return !strcmp(n->op->name, "Slice") || !strcmp(n->op->name, "Split") ||
           !strcmp(n->op->name, "Gather");
}

/* Behind which projection v stands, through moves and additions of constants; v: none. */
static const omma_value *before_projection(const omma_anatomist *s, const omma_value *v) {
    for (const omma_value *x = v; x->producer;) {
        omma_product p;
        const omma_value *next = omma_value_before(s, x);
        if (!next) return v;
        if (omma_product_of(&p, x->producer)) return next;
        if (!omma_keeps_elements(x->producer) && !takes_part(x->producer)) return v;
        x = next;
    }
    return v;
}

/* Mark what v is made from, itself too, by value index. */
static bool *made_from(omma_anatomist *s, omma_arena *tmp, const omma_value *v) {
    bool *is = omma_arena_array(tmp, (size_t)s->g->n_values, sizeof *is);
    if (!is) return NULL;
    is[v->index] = true;
    for (int i = v->producer ? v->producer->index : -1; i >= 0; i--) {
        const omma_node *n = s->g->nodes[i];
        bool wanted = false;
        for (int k = 0; k < n->n_out; k++) wanted |= n->out[k] && is[n->out[k]->index];
        for (int k = 0; k < n->n_in && wanted; k++)
            if (n->in[k] && s->depends[n->in[k]->index]) is[n->in[k]->index] = true;
    }
    return is;
}

/* The last value that a and b are both made from; NULL: none. */
static omma_status common_source(omma_anatomist *s, const omma_value *a, const omma_value *b,
                                 omma_arena *tmp, const omma_value **out) {
    const bool *x = made_from(s, tmp, a), *y = made_from(s, tmp, b);
    int last = -2;
    *out = NULL;
    if (!x || !y) return omma_anatomist_nomem(s);
    for (int i = 0; i < s->g->n_values; i++) {
        const omma_value *v = s->g->values[i];
        if (!x[i] || !y[i] || !s->depends[i]) continue;
        const int at = v->producer ? v->producer->index : -1;
        if (at > last) *out = v, last = at;
    }
    return OMMA_OK;
}

/* --- windows and heads ----------------------------------------------------------------------- */

/* Rows of q that are made from the same token are those of heads that share keys. */
static bool split_rows(work *w) {
    const int64_t rows = w->o[0].rows, *label = w->label[0];
    int64_t same = 0;
    w->a->queries = rows;
    if (!label || label[0] < 0) return true;
    for (int64_t r = 0; r < rows; r++) same += label[r] == label[0];
    if (rows % same) return false;
    const int64_t queries = rows / same;
    for (int64_t l = 0; l < w->leads; l++)
        for (int64_t r = queries; r < rows; r++)
            if (label[l * rows + r] != label[l * rows + r - queries]) return false;
    w->a->queries = queries;
    w->p->share_rows = same;
    return true;
}

static uint64_t mix(uint64_t h, const int64_t *label, int64_t n) {
    for (int64_t i = 0; label && i < n; i++)
        h = (h ^ (uint64_t)(label[i] + 1)) * UINT64_C(0x100000001b3);
    return h;
}

static uint64_t hash_of(const work *w, int64_t lead) {
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (int k = 0; k < 2; k++)
        h = mix(h, w->label[k] ? w->label[k] + lead * w->o[k].rows : NULL, w->o[k].rows);
    return h ? h : 1;
}

/* By matrix, the number of its window, windows in the order in which they come; those of the same
 * labels are of one. Returns how many; -1: no memory. */
static int64_t number_windows(const work *w, int64_t *window, omma_arena *tmp) {
    int64_t size = 4, n = 0;
    while (size < 2 * w->leads) size *= 2;
    uint64_t *seen = omma_arena_array(tmp, (size_t)size, sizeof *seen);
    int64_t *number = omma_arena_array(tmp, (size_t)size, sizeof *number);
    if (!seen || !number) return -1;
    for (int64_t l = 0; l < w->leads; l++) {
        const uint64_t h = hash_of(w, l);
        int64_t at = (int64_t)(h >> 20) & (size - 1);
        while (seen[at] && seen[at] != h) at = (at + 1) & (size - 1);
        if (!seen[at]) seen[at] = h, number[at] = n++;
        window[l] = number[at];
    }
    return n;
}

static bool take_windows(work *w, int64_t windows, const int64_t *window) {
    const int64_t heads = w->leads / windows;
    bool inside = true, outside = true;
    if (w->leads % windows || windows % w->a->batch) return false; /* pictures are mixed */
    for (int64_t l = 0; l < w->leads; l++) {
        inside &= window[l] == l / heads;
        outside &= window[l] == l % windows;
    }
    w->a->windows = windows;
    w->a->heads = heads * w->p->share_rows;
    w->p->heads_outside = !inside;
    return inside || outside;
}

static omma_status find_windows(omma_anatomist *s, work *w, omma_arena *tmp, bool *found) {
    int64_t *window = omma_arena_array(tmp, (size_t)w->leads + 1, sizeof *window), n = s->pictures;
    if (!window) return omma_anatomist_nomem(s);
    *found = split_rows(w);
    if (w->label[0] || w->label[1]) n = number_windows(w, window, tmp);
    else if (w->leads % n) *found = false;
    else
        for (int64_t l = 0; l < w->leads; l++) window[l] = l / (w->leads / n);
    if (n < 0) return omma_anatomist_nomem(s);
    *found = *found && take_windows(w, n, window);
    return OMMA_OK;
}

/* --- the sequences --------------------------------------------------------------------------- */

/* Tokens of operand k itself, where no source is known. */
static void tokens_of_operand(const omma_anatomist *s, const work *w, int k, omma_tokens *t) {
    const omma_value *v = w->o[k].v;
    const int i = k ? 1 - w->p->q : w->p->q;
    int axis = -1;
    for (int d = 0; d < v->rank; d++)
        if (w->o[k].row_axis >= 0 && w->p->first.at[i][d] == w->o[k].row_axis) axis = d;
    omma_tokens_of(s, t, v, axis < 0 ? 0 : 1u << axis, -1);
}

/* Tokens of x, a constant that queries are made from: the axis that has as many. */
static void tokens_of_constant(const omma_anatomist *s, const work *w, omma_tokens *t) {
    const omma_value *x = w->a->in;
    int axis = -1, batch = -1;
    for (int d = 0; d < x->rank && axis < 0; d++)
        if (x->dims[d] == w->a->queries) axis = d;
    for (int d = 0; d < x->rank - 1 && batch < 0; d++)
        if (d != axis && s->pictures > 1 && x->dims[d] == s->pictures) batch = d;
    omma_tokens_of(s, t, x, axis < 0 || w->a->queries == 1 ? 0 : 1u << axis, batch);
}

/* The token of each row of each window; *out stays NULL where they are in order. */
static bool put_order(omma_anatomist *s, const work *w, int k, const omma_tokens *t,
                      const int32_t **out) {
    const omma_attention *a = w->a;
    const int64_t rows = k ? a->keys : a->queries, all = w->o[k].rows, n = a->windows;
    const int64_t stride = w->p->heads_outside ? 1 : w->leads / n;
    bool in_order = n == a->batch && rows == t->count;
    if (!w->label[k]) return true;
    int32_t *token = omma_arena_array(s->keep, (size_t)(n * rows) + 1, sizeof *token);
    if (!token) return false;
    for (int64_t i = 0; i < n * rows; i++) {
        const int64_t label = w->label[k][i / rows * stride * all + i % rows];
        token[i] = label < 0 ? -1 : (int32_t)(label % t->count);
        in_order &= token[i] == i % rows;
    }
    if (!in_order) *out = token;
    return true;
}

static omma_status put_tokens(omma_anatomist *s, work *w) {
    omma_attention *a = w->a;
    const bool self = a->kind == OMMA_ATTENTION_SELF && w->query.label[1];
    if (w->label[0]) omma_tokens_of(s, &a->query, w->query.v, w->query.axes, w->query.batch);
    else if (a->in && !s->depends[a->in->index]) tokens_of_constant(s, w, &a->query);
    else tokens_of_operand(s, w, 0, &a->query);
    OMMA_TRY(omma_tokens_follow(s, &a->query));
    if (self) a->key = a->query;
    else if (w->label[1]) omma_tokens_of(s, &a->key, w->key.v, w->key.axes, w->key.batch);
    else tokens_of_operand(s, w, 1, &a->key);
    OMMA_TRY(omma_tokens_follow(s, &a->key));
    if (!put_order(s, w, 0, &a->query, &a->query_token) ||
        !put_order(s, w, 1, &a->key, &a->key_token))
        return omma_anatomist_nomem(s);
    return OMMA_OK;
}

/* --- the whole ------------------------------------------------------------------------------- */

/* Are as few keys as queries (or none) made from nothing, as padding is? */
static bool covers(const work *w, const source *x) {
    const int64_t q = unknown(x->label[0], w->leads * w->o[0].rows),
                  k = unknown(x->label[1], w->leads * w->o[1].rows);
    return k == 0 || k * w->o[0].rows == q * w->o[1].rows;
}

/* x of the addition, else what q and k have in common, else what q is projected from. */
static omma_status look_at_query(omma_anatomist *s, work *w, omma_arena *tmp) {
    const omma_value *x = w->a->in;
    if (!s->depends[w->a->q->index]) return OMMA_OK;
    if (x && s->depends[x->index]) OMMA_TRY(look_at(s, &w->query, x, w, 0, tmp));
    if (w->query.label[0]) return OMMA_OK;
    OMMA_TRY(common_source(s, w->a->q, w->a->k, tmp, &x));
    if (x) OMMA_TRY(look_at(s, &w->query, before_projection(s, x), w, 0, tmp));
    if (w->query.label[0] && w->query.label[1]) return OMMA_OK;
    return look_at(s, &w->query, before_projection(s, w->a->q), w, 0, tmp);
}

static omma_status look_at_key(omma_anatomist *s, work *w, omma_arena *tmp) {
    const omma_value *x;
    OMMA_TRY(common_source(s, w->a->k, w->a->v, tmp, &x));
    if (x) x = before_projection(s, x);
    if (x) OMMA_TRY(look_at(s, &w->key, x, w, 1, tmp));
    if (!w->key.label[0]) OMMA_TRY(look_at(s, &w->key, before_projection(s, w->a->k), w, 1, tmp));
    return OMMA_OK;
}

/* Are keys made from x's tokens, several of them each, as behind a convolution? */
static omma_status find_kind(omma_anatomist *s, work *w) {
    const omma_value *x = w->a->in ? w->a->in : w->query.v;
    bool local = false;
    if (!x || !s->depends[x->index] || !s->depends[w->a->k->index]) return OMMA_OK;
    omma_trace t;
    omma_status bad = omma_trace_begin(&t, s, x, (const omma_value *[]){w->a->k}, 1);
    for (int d = 0; d < x->rank && !bad && !local; d++)
        if (x->dims[d] > 1 && d != omma_batch_axis(s, x)) bad = omma_trace_local(&t, d, &local);
    omma_trace_free(&t);
    if (local) w->a->kind = OMMA_ATTENTION_SELF;
    return bad;
}

static omma_status look(omma_anatomist *s, work *w, omma_arena *tmp, bool *found) {
    w->a->batch = s->pictures;
    w->a->keys = w->o[1].rows;
    OMMA_TRY(look_at_query(s, w, tmp));
    w->label[0] = w->query.label[0];
    w->a->kind = OMMA_ATTENTION_CROSS;
    if (w->query.label[0] && w->query.label[1] && covers(w, &w->query)) {
        w->a->kind = OMMA_ATTENTION_SELF;
        w->label[1] = w->query.label[1];
    } else {
        w->query.label[1] = NULL;
        OMMA_TRY(find_kind(s, w));
        OMMA_TRY(look_at_key(s, w, tmp));
        w->label[1] = w->key.label[0];
    }
    OMMA_TRY(find_windows(s, w, tmp, found));
    *found = *found && !(w->query.across && !w->label[0]);
    return *found ? put_tokens(s, w) : OMMA_OK;
}

omma_status omma_anatomist_tokens(omma_anatomist *s, int k, bool *found) {
    omma_attention_path *p = &s->path[k];
    work w = {.a = &s->out->attention[k], .p = p, .leads = leading(p)};
    omma_arena tmp;
    w.o[0] = operand_of(p, p->q);
    w.o[1] = operand_of(p, 1 - p->q);
    omma_arena_init(&tmp, s->tmp.budget);
    const omma_status bad = look(s, &w, &tmp, found);
    omma_arena_free(&tmp);
    return bad;
}

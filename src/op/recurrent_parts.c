/* recurrent_parts.c - the plainer operators that LSTM, GRU and RNN stand for, for the readings in
 * reverse: the cell written out for every step. W x is one product for the whole sequence, cut into
 * the steps' rows; each step multiplies the state with R.
 *
 * Sequences of several lengths are masked: behind its end a sequence's state stays and its y is 0.
 * One that is read backward is reversed before, and its y after. 16-bit floats are computed in
 * float32. What would be more nodes than a graph should hold is refused. */
#include "op/recurrent.h"
#include "op/unroll.h"

enum { LSTM_GATES = 4 };

/* One direction at work; [B, ...] are values of a step. */
typedef struct line {
    omma_maker *m;
    const omma_recurrent *p;
    int dir;
    omma_value *x;           /* [T, B, I] */
    omma_value *lens;        /* int64 [B]; NULL: all are T */
    omma_value *h, *c;       /* the state: [B, H]; NULL: zeros */
    omma_value *r[2];        /* R turned: [H, parts[i]] */
    omma_value *reset_bias;  /* of a linear reset: [H]; NULL: none */
    omma_value *peep[3];     /* of i, o, f: [H]; NULL: none */
    omma_value **xw, **live; /* by step: [B, gates]; bool [B, 1], NULL without lens */
    omma_value **y;          /* by step: [B, H] */
} line;

/* --- small tools ---------------------------------------------------------------------------- */

static omma_value *turned(omma_maker *m, omma_value *v) {
    return omma_make_transpose(m, v, (int64_t[]){1, 0, 2});
}

static omma_value *sum(omma_maker *m, omma_value *a, omma_value *b) {
    return omma_make_2(m, "Add", a, b);
}
static omma_value *times(omma_maker *m, omma_value *a, omma_value *b) {
    return omma_make_2(m, "Mul", a, b);
}

/* Input i in the type of the computation; NULL when it is left out. */
static omma_value *given(omma_maker *m, int i) {
    omma_value *v = omma_in(m->of, i);
    if (!v) return NULL;
    return omma_make_cast(m, v, v->dtype == OMMA_F64 ? OMMA_F64 : OMMA_F32);
}

/* This direction's part of input i: [D, ...] without the first axis; NULL when it is left out. */
static omma_value *own(const line *l, int i) {
    omma_value *v = given(l->m, i);
    if (!v) return NULL;
    v = l->p->dirs == 1 ? v : omma_make_slice(l->m, v, 0, l->dir, l->dir + 1, 1);
    return v ? omma_make_reshape(l->m, v, v->rank - 1, v->dims + 1) : NULL;
}

/* The state that is given; NULL: zeros, which nothing is multiplied with. */
static omma_value *begin_state(const line *l, int i) {
    const int64_t dims[2] = {l->p->batch, l->p->hidden};
    omma_value *v = given(l->m, i);
    if (!v) return NULL;
    if (l->p->batch_first) v = turned(l->m, v);
    if (l->p->dirs > 1) v = omma_make_slice(l->m, v, 0, l->dir, l->dir + 1, 1);
    return omma_make_reshape(l->m, v, 2, dims);
}

/* --- activations ---------------------------------------------------------------------------- */

/* An activation that is a node of one name; NULL: it is not. */
static const char *node_of(omma_gate_kind k) {
    switch (k) {
    case OMMA_GATE_RELU: return "Relu";
    case OMMA_GATE_TANH: return "Tanh";
    case OMMA_GATE_SIGMOID: return "Sigmoid";
    case OMMA_GATE_LEAKY_RELU: return "LeakyRelu";
    case OMMA_GATE_THRESHOLDED_RELU: return "ThresholdedRelu";
    case OMMA_GATE_HARD_SIGMOID: return "HardSigmoid";
    case OMMA_GATE_ELU: return "Elu";
    case OMMA_GATE_SOFTSIGN: return "Softsign";
    case OMMA_GATE_SOFTPLUS: return "Softplus";
    default: return NULL;
    }
}

static omma_value *activate(const line *l, int which, omma_value *x) {
    const omma_gate *a = &l->p->act[l->dir][which];
    const double clip = (double)l->p->clip;
    omma_maker *m = l->m;
    if (clip > 0)
        x = omma_make_3(m, "Clip", x, omma_make_number(m, x, -clip), omma_make_number(m, x, clip));
    if (a->kind == OMMA_GATE_AFFINE)
        return sum(m, omma_make_scaled(m, x, (double)a->a), omma_make_number(m, x, (double)a->b));
    if (a->kind == OMMA_GATE_SCALED_TANH)
        return omma_make_scaled(m, omma_make_1(m, "Tanh", omma_make_scaled(m, x, (double)a->b)),
                                (double)a->a);
    const omma_attr attrs[] = {OMMA_A_FLOAT("alpha", a->a), OMMA_A_FLOAT("beta", a->b)};
    const int n = omma_gate_takes_b(a->kind) ? 2 : omma_gate_takes_a(a->kind) ? 1 : 0;
    return omma_make(m, node_of(a->kind), &x, 1, attrs, n);
}

/* --- cells ---------------------------------------------------------------------------------- */

/* x, which is of W x, and the first part of R times h, where the state has not been reset. */
static omma_value *both(const line *l, omma_value *x) {
    return l->h ? sum(l->m, x, omma_make_2(l->m, "MatMul", l->h, l->r[0])) : x;
}

static void lstm_cell(const line *l, int64_t s, omma_value **h, omma_value **c) {
    omma_maker *m = l->m;
    omma_value *g[LSTM_GATES] = {0}, *const *peep = l->peep; /* i, o, f, c~ */
    if (!omma_unroll_cut(m, both(l, l->xw[s]), 1, LSTM_GATES, g)) return;
    omma_value *i = g[0], *o = g[1], *f = g[2];
    if (peep[0] && l->c) i = sum(m, i, times(m, peep[0], l->c));
    if (peep[0] && l->c) f = sum(m, f, times(m, peep[2], l->c));
    i = activate(l, 0, i);
    *c = times(m, i, activate(l, 1, g[3]));
    if (l->c) {
        f = l->p->coupled ? omma_make_2(m, "Sub", omma_make_number(m, i, 1), i) : activate(l, 0, f);
        *c = sum(m, times(m, f, l->c), *c);
    }
    if (peep[0]) o = sum(m, o, times(m, peep[1], *c));
    *h = times(m, activate(l, 0, o), activate(l, 2, *c));
}

/* R times the state that has been reset; NULL: nothing. */
static omma_value *reset(const line *l, omma_value *r) {
    omma_maker *m = l->m;
    if (!l->p->linear) return l->h ? omma_make_2(m, "MatMul", times(m, r, l->h), l->r[1]) : NULL;
    omma_value *v = l->h ? omma_make_2(m, "MatMul", l->h, l->r[1]) : NULL;
    if (l->reset_bias) v = v ? sum(m, v, l->reset_bias) : l->reset_bias;
    return v ? times(m, r, v) : NULL;
}

static void gru_cell(const line *l, int64_t s, omma_value **h) {
    omma_maker *m = l->m;
    const int64_t n = l->p->hidden;
    omma_value *zr[2], *new = omma_make_slice(m, l->xw[s], 1, 2 * n, 3 * n, 1);
    omma_value *g = both(l, omma_make_slice(m, l->xw[s], 1, 0, 2 * n, 1));
    if (!omma_unroll_cut(m, activate(l, 0, g), 1, 2, zr)) return;
    omma_value *state = reset(l, zr[1]);
    new = activate(l, 1, state ? sum(m, new, state) : new);
    if (l->h) *h = sum(m, new, times(m, zr[0], omma_make_2(m, "Sub", l->h, new)));
    else *h = omma_make_2(m, "Sub", new, times(m, zr[0], new));
}

/* One step of all sequences, at this time. */
static void step(line *l, int64_t at) {
    omma_maker *m = l->m;
    omma_value *h = NULL, *c = l->c;
    if (l->p->kind == OMMA_LSTM) lstm_cell(l, at, &h, &c);
    else if (l->p->kind == OMMA_GRU) gru_cell(l, at, &h);
    else h = activate(l, 0, both(l, l->xw[at]));
    l->y[at] = h;
    if (l->lens) {
        omma_value *live = l->live[at], *none = omma_make_number(m, l->x, 0);
        l->y[at] = omma_make_3(m, "Where", live, h, none);
        h = omma_make_3(m, "Where", live, h, l->h ? l->h : none);
        if (l->p->kind == OMMA_LSTM) c = omma_make_3(m, "Where", live, c, l->c ? l->c : none);
    }
    l->h = h, l->c = c;
}

/* --- a direction ---------------------------------------------------------------------------- */

/* x or y: [T, B, ...], each sequence the other way around. */
static omma_value *reversed(const line *l, omma_value *v) {
    return l->lens && l->p->reversed[l->dir] ? omma_make_2(l->m, "ReverseSequence", v, l->lens) : v;
}

/* The biases of W x, as the run has them, and of a linear reset. */
static omma_value *biases(line *l) {
    omma_maker *m = l->m;
    const int64_t n = l->p->gates, apart = l->p->parts[0];
    omma_value *half[2], *b = own(l, OMMA_REC_BIAS);
    if (!b || !omma_unroll_cut(m, b, 0, 2, half)) return NULL;
    if (!l->p->linear) return sum(m, half[0], half[1]);
    l->reset_bias = omma_make_slice(m, half[1], 0, apart, n, 1);
    omma_value *joined[] = {sum(m, omma_make_slice(m, half[0], 0, 0, apart, 1),
                                omma_make_slice(m, half[1], 0, 0, apart, 1)),
                            omma_make_slice(m, half[0], 0, apart, n, 1)};
    return omma_make_concat(m, joined, 2, 0);
}

/* W x + b, cut into steps, and which sequences are not over by then. */
static void prepare_steps(line *l) {
    omma_maker *m = l->m;
    const omma_recurrent *p = l->p;
    const int64_t rows = p->steps * p->batch;
    omma_value *w = omma_make_turned(m, own(l, OMMA_REC_W)), *b = biases(l);
    omma_value *x = omma_make_reshape(m, reversed(l, l->x), 2, (int64_t[]){rows, p->in});
    x = omma_make_2(m, "MatMul", x, w);
    if (b) x = sum(m, x, b);
    (void)omma_unroll_cut(m, x, 0, p->steps, l->xw);
    if (!l->lens) return;
    int64_t *count = omma_arena_array(m->b->arena, (size_t)p->steps, sizeof *count);
    for (int64_t s = 0; count && s < p->steps; s++) count[s] = s;
    omma_value *time = count ? omma_make_ints(m, count, (int)p->steps) : NULL;
    time = omma_make_reshape(m, time, 2, (int64_t[]){p->steps, 1});
    omma_value *live = omma_make_2(m, "Less", time, l->lens);
    (void)omma_unroll_cut(m, omma_make_reshape(m, live, 2, (int64_t[]){rows, 1}), 0, p->steps,
                          l->live);
}

static void prepare_weights(line *l) {
    omma_maker *m = l->m;
    const omma_recurrent *p = l->p;
    omma_value *r = omma_make_turned(m, own(l, OMMA_REC_R));
    l->r[0] = r;
    if (p->parts[1]) {
        l->r[0] = omma_make_slice(m, r, 1, 0, p->parts[0], 1);
        l->r[1] = omma_make_slice(m, r, 1, p->parts[0], p->gates, 1);
    }
    l->h = begin_state(l, OMMA_REC_H);
    if (p->kind != OMMA_LSTM) return;
    l->c = begin_state(l, OMMA_REC_C);
    omma_value *peep = own(l, OMMA_REC_PEEP);
    if (peep) (void)omma_unroll_cut(m, peep, 0, 3, l->peep);
}

/* The y of all steps: [T, 1, B, H]. */
static omma_value *run_line(line *l) {
    omma_maker *m = l->m;
    const omma_recurrent *p = l->p;
    const bool backward = p->reversed[l->dir] && !l->lens;
    prepare_weights(l);
    if (p->steps) prepare_steps(l);
    for (int64_t s = 0; s < p->steps && !m->status; s++) {
        const int before = m->g->n_nodes;
        step(l, backward ? p->steps - 1 - s : s);
        if (s < 2) (void)omma_unroll_check(m, p->steps, (m->g->n_nodes - before) * p->dirs);
    }
    if (m->status) return NULL;
    const int64_t dims[3] = {p->steps, p->batch, p->hidden},
                  whole[4] = {p->steps, 1, p->batch, p->hidden};
    omma_value *y = p->steps ? omma_make_concat(m, l->y, (int)p->steps, 0)
                             : omma_make_2(m, "Expand", omma_make_number(m, l->x, 0),
                                           omma_make_ints(m, dims, 3));
    return omma_make_reshape(m, reversed(l, omma_make_reshape(m, y, 3, dims)), 4, whole);
}

/* --- the whole ------------------------------------------------------------------------------ */

/* The state as one of a direction: [1, B, H]. */
static omma_value *end_state(const line *l, omma_value *state) {
    const int64_t dims[3] = {1, l->p->batch, l->p->hidden};
    if (state) return omma_make_reshape(l->m, state, 3, dims);
    return omma_make_2(l->m, "Expand", omma_make_number(l->m, l->x, 0),
                       omma_make_ints(l->m, dims, 3));
}

/* Output k from those of the directions. */
static void give(omma_maker *m, const omma_recurrent *p, int k, omma_value **v) {
    const omma_value *out = k < m->of->n_out ? m->of->out[k] : NULL;
    if (!out || m->status) return;
    omma_value *all = omma_make_concat(m, v, p->dirs, k == OMMA_REC_Y);
    if (p->batch_first && k == OMMA_REC_Y)
        all = omma_make_transpose(m, all, (int64_t[]){2, 0, 1, 3});
    else if (p->batch_first) all = turned(m, all);
    omma_make_output(m, k, omma_make_cast(m, all, out->dtype));
}

omma_status omma_recurrent_parts(omma_maker *m, const omma_node *n) {
    const omma_recurrent *p = n->param;
    omma_value *out[3][2], *lens = omma_in(n, OMMA_REC_LENS);
    OMMA_TRY(omma_unroll_check(m, p->steps, 1));
    for (int d = 0; d < p->dirs; d++) {
        line l = {.m = m, .p = p, .dir = d, .x = given(m, OMMA_REC_X)};
        if (p->batch_first) l.x = turned(m, l.x);
        if (lens) l.lens = omma_make_cast(m, lens, OMMA_I64);
        l.xw = omma_unroll_list(m, p->steps), l.live = omma_unroll_list(m, p->steps);
        l.y = omma_unroll_list(m, p->steps);
        OMMA_TRY(m->status);
        out[OMMA_REC_Y][d] = run_line(&l);
        out[OMMA_REC_Y_H][d] = end_state(&l, l.h);
        out[OMMA_REC_Y_C][d] = end_state(&l, l.c);
    }
    for (int k = OMMA_REC_Y; k <= (p->kind == OMMA_LSTM ? OMMA_REC_Y_C : OMMA_REC_Y_H); k++)
        give(m, p, k, out[k]);
    return m->status;
}

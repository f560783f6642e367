/* recurrent_f64.c - LSTM, GRU and RNN of float64: the formulas of recurrent.c in double, number by
 * number, one sequence in one direction a piece of work. For models that were made to check
 * others; nothing is packed. */
#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "op/recurrent.h"

/* A sequence in a direction. */
typedef struct line {
    const omma_node *n;
    const omma_recurrent *p;
    int64_t dir, b;
    double *g, *rh, *h, *c; /* [gates], [gates], [H], [H]: working memory */
} line;

omma_status omma_recurrent_f64_prepare(omma_build *b, omma_node *n) {
    omma_recurrent *p = (omma_recurrent *)n->param;
    p->workers = omma_workers(b);
    if (!omma_dims_bytes((int64_t[]){2 * p->gates + 2 * p->hidden}, 1, sizeof(double), &p->each) ||
        !omma_align_up(p->each, 64, &p->each) ||
        !omma_mul(p->each, (size_t)p->workers, &n->scratch))
        return omma_bad(b, n, "its working memory overflows");
    return OMMA_OK;
}

static const double *numbers(const line *l, int i) {
    const omma_value *v = omma_in(l->n, i);
    return v ? v->mem : NULL;
}

static int64_t length_of(const line *l) {
    const omma_value *lens = omma_in(l->n, OMMA_REC_LENS);
    return lens ? ((const int32_t *)lens->mem)[l->b] : l->p->steps;
}

static double dot(int64_t n, const double *a, const double *b) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static double gate(const line *l, int which, double x) {
    return omma_gate_number(&l->p->act[l->dir][which], (double)l->p->clip, x);
}

/* W x + b of gate number k (of all gates' numbers) at time t; b of R too. */
static double from_input(const line *l, int64_t t, int64_t k) {
    const omma_recurrent *p = l->p;
    const double *bias = numbers(l, OMMA_REC_BIAS);
    const double own = bias ? bias[l->dir * 2 * p->gates + k] : 0;
    return own + dot(p->in, numbers(l, OMMA_REC_W) + (l->dir * p->gates + k) * p->in,
                     numbers(l, OMMA_REC_X) + omma_rec_x(p, t, l->b) * p->in);
}

/* R h + b of the same. */
static double from_state(const line *l, int64_t k, const double *h) {
    const omma_recurrent *p = l->p;
    const double *bias = numbers(l, OMMA_REC_BIAS);
    const double own = bias ? bias[(l->dir * 2 + 1) * p->gates + k] : 0;
    return own + dot(p->hidden, numbers(l, OMMA_REC_R) + (l->dir * p->gates + k) * p->hidden, h);
}

static void lstm_step(const line *l, int64_t t) {
    const omma_recurrent *p = l->p;
    const int64_t n = p->hidden;
    const double *peep = numbers(l, OMMA_REC_PEEP);
    for (int64_t k = 0; k < p->gates; k++) l->g[k] = from_input(l, t, k) + from_state(l, k, l->h);
    if (peep) peep += l->dir * 3 * n;
    for (int64_t q = 0; q < n; q++) {
        const double old = l->c[q];
        double i = l->g[q], o = l->g[n + q], f = l->g[2 * n + q];
        i = gate(l, 0, i + (peep ? peep[q] * old : 0));
        f = p->coupled ? 1 - i : gate(l, 0, f + (peep ? peep[2 * n + q] * old : 0));
        l->c[q] = f * old + i * gate(l, 1, l->g[3 * n + q]);
        o = gate(l, 0, o + (peep ? peep[n + q] * l->c[q] : 0));
        l->h[q] = o * gate(l, 2, l->c[q]);
    }
}

static void gru_step(const line *l, int64_t t) {
    const omma_recurrent *p = l->p;
    const int64_t n = p->hidden;
    for (int64_t k = 0; k < 2 * n; k++)
        l->g[k] = gate(l, 0, from_input(l, t, k) + from_state(l, k, l->h));
    const double *z = l->g, *r = l->g + n;
    for (int64_t q = 0; q < n; q++) l->rh[q] = p->linear ? l->h[q] : r[q] * l->h[q];
    for (int64_t q = 0; q < n; q++) {
        const double state = from_state(l, 2 * n + q, l->rh);
        l->g[2 * n + q] =
            gate(l, 1, from_input(l, t, 2 * n + q) + (p->linear ? r[q] * state : state));
    }
    for (int64_t q = 0; q < n; q++) l->h[q] = (1 - z[q]) * l->g[2 * n + q] + z[q] * l->h[q];
}

static void rnn_step(const line *l, int64_t t) {
    for (int64_t k = 0; k < l->p->hidden; k++)
        l->g[k] = gate(l, 0, from_input(l, t, k) + from_state(l, k, l->h));
    memcpy(l->h, l->g, (size_t)l->p->hidden * sizeof *l->h);
}

static void store(const omma_value *v, int64_t row, int64_t n, const double *x) {
    if (v && x) memcpy((double *)v->mem + row * n, x, (size_t)n * sizeof *x);
    else if (v) memset((double *)v->mem + row * n, 0, (size_t)n * sizeof *x);
}

static void begin_state(const line *l, int input, double *state) {
    const double *given = numbers(l, input);
    const int64_t n = l->p->hidden;
    for (int64_t i = 0; i < n; i++)
        state[i] = given ? given[omma_rec_state(l->p, (int)l->dir, l->b) * n + i] : 0;
}

static void whole_line(const line *l) {
    const omma_recurrent *p = l->p;
    const int64_t len = length_of(l), row = omma_rec_state(p, (int)l->dir, l->b);
    begin_state(l, OMMA_REC_H, l->h);
    begin_state(l, OMMA_REC_C, l->c);
    for (int64_t s = 0; s < p->steps; s++) {
        const int64_t t = s < len && p->reversed[l->dir] ? len - 1 - s : s;
        if (s < len)
            (p->kind == OMMA_LSTM ? lstm_step : p->kind == OMMA_GRU ? gru_step : rnn_step)(l, t);
        store(omma_wanted(l->n, OMMA_REC_Y), omma_rec_y(p, t, (int)l->dir, l->b), p->hidden,
              s < len ? l->h : NULL);
    }
    store(omma_wanted(l->n, OMMA_REC_Y_H), row, p->hidden, l->h);
    store(omma_wanted(l->n, OMMA_REC_Y_C), row, p->hidden, l->c);
}

/* Items are sequences of all directions. */
static void lines(void *arg, int64_t begin, int64_t end, int worker) {
    const omma_node *n = arg;
    const omma_recurrent *p = n->param;
    double *work = (double *)(void *)((char *)n->work + (size_t)worker * p->each);
    for (int64_t i = begin; i < end; i++) {
        const line l = {n,
                        p,
                        i / p->batch,
                        i % p->batch,
                        work,
                        work + p->gates,
                        work + 2 * p->gates,
                        work + 2 * p->gates + p->hidden};
        whole_line(&l);
    }
}

omma_status omma_recurrent_f64_run(const omma_exec *x, const omma_node *n) {
    const omma_recurrent *p = n->param;
    const omma_value *lens = omma_in(n, OMMA_REC_LENS);
    for (int64_t b = 0; lens && b < p->batch; b++) {
        const int32_t len = ((const int32_t *)lens->mem)[b];
        if (len < 0 || len > p->steps)
            return omma_run_bad(x, n, "sequence_lens says %d of %lld steps", len,
                                (long long)p->steps);
    }
    omma_parallel(x->threads < p->workers ? x->threads : p->workers, p->dirs * p->batch, 1, lines,
                  (void *)(uintptr_t)n);
    return OMMA_OK;
}

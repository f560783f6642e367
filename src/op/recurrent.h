/* recurrent.h - what the two ways of computing LSTM, GRU and RNN share: the shapes, and where rows
 * of the tensors lie. */
#ifndef OMMA_OP_RECURRENT_H
#define OMMA_OP_RECURRENT_H

#include "op/element.h"
#include "op/gate.h"
#include "op/make.h"

enum {
    OMMA_REC_X,
    OMMA_REC_W,
    OMMA_REC_R,
    OMMA_REC_BIAS,
    OMMA_REC_LENS,
    OMMA_REC_H,
    OMMA_REC_C,
    OMMA_REC_PEEP,
    OMMA_REC_INPUTS
};                                               /* inputs */
enum { OMMA_REC_Y, OMMA_REC_Y_H, OMMA_REC_Y_C }; /* outputs */

enum { OMMA_REC_ACTS = 3 }; /* of a direction */

typedef enum omma_cell { OMMA_LSTM, OMMA_GRU, OMMA_RNN } omma_cell;

typedef struct omma_recurrent {
    omma_cell kind;
    bool linear, coupled, batch_first;
    bool reversed[2];
    int dirs, n_acts;
    int64_t steps, batch, in, hidden, gates;
    float clip; /* 0: none */
    omma_gate act[2][OMMA_REC_ACTS];
    int64_t parts[2];               /* columns of R's two products: LSTM 4H, 0; GRU 2H, H */
    size_t w_panel, r_panel[2];     /* bytes of a direction's packed W, and of R's parts */
    size_t as_f32[OMMA_REC_INPUTS]; /* where an input converted to float32 lies */
    size_t each;                    /* float64: bytes of a worker */
    int workers;                    /* and for how many */
    size_t w_at, r_at, xw_at, hr_at, h_at, c_at, rh_at, bias_at; /* parts of the working memory */
} omma_recurrent;

/* Rows of a batch at a time: of x, of the states, of y. */
static inline int64_t omma_rec_x(const omma_recurrent *p, int64_t t, int64_t b) {
    return p->batch_first ? b * p->steps + t : t * p->batch + b;
}
static inline int64_t omma_rec_state(const omma_recurrent *p, int dir, int64_t b) {
    return p->batch_first ? b * p->dirs + dir : dir * p->batch + b;
}

static inline int64_t omma_rec_y(const omma_recurrent *p, int64_t t, int dir, int64_t b) {
    return p->batch_first ? (b * p->steps + t) * p->dirs + dir : (t * p->dirs + dir) * p->batch + b;
}

/* float64, in double, number by number: prepare and run. */
omma_status omma_recurrent_f64_prepare(omma_build *b, omma_node *n);
omma_status omma_recurrent_f64_run(const omma_exec *x, const omma_node *n);

/* The rows' parts. */
omma_status omma_recurrent_parts(omma_maker *m, const omma_node *n);

#endif

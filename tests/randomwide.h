/* randomwide.h - random graphs of every operator that has a field, with random attributes and edge
 * values, for the tests of fields and gradients: what can influence a number, what does.
 *
 *     dice_seed = 7;
 *     wide w;
 *     wide_graph(&w, WIDE_ALL, step, turn, false); // one input "image": [1..2,C,H,W]
 *     ...w.g, w.v[0] to w.v[w.n - 1], w.chosen...
 *     wide_free(&w);
 *
 * The steps (wide_steps) each make a node or a few. A graph is of some at random, one of which the
 * caller chooses, 0 to WIDE_STEPS - 1, and its variant; WIDE_NEAR leaves out those behind which
 * everything sees everything. Hostile ones have odd attributes that the rooms let pass. */
#ifndef OMMA_TESTS_RANDOMWIDE_H
#define OMMA_TESTS_RANDOMWIDE_H

#include "randomwide_index.h"
#include "randomwide_move.h"
#include "randomwide_nets.h"
#include "randomwide_plain.h"

typedef enum wide_kind { WIDE_LOCAL, WIDE_READS, WIDE_FAR } wide_kind;
typedef enum wide_choice { WIDE_NEAR, WIDE_SAMPLING, WIDE_ALL } wide_choice;

typedef struct wide_step {
    const char *name;
    void (*make)(wide *w);
    wide_kind kind; /* FAR: numbers are made from many; READS: from places the data decide */
    bool rises;     /* if w->positive, no derivative is 0 or less */
} wide_step;

static const wide_step wide_steps[] = {
    {"plain", plain_step, WIDE_LOCAL, false},
    {"rising", rising_step, WIDE_LOCAL, true},
    {"clip", clip_step, WIDE_LOCAL, false},
    {"scaler", scaler_step, WIDE_LOCAL, true},
    {"dropout", dropout_step, WIDE_LOCAL, true},
    {"binary", binary_step, WIDE_LOCAL, false},
    {"several", several_step, WIDE_LOCAL, false},
    {"gated", gated_step, WIDE_LOCAL, false},
    {"logic", logic_step, WIDE_LOCAL, false},
    {"bits", bits_step, WIDE_LOCAL, false},
    {"type", type_step, WIDE_LOCAL, false},
    {"quantise", quantise_step, WIDE_LOCAL, false},
    {"whole conv", whole_conv_step, WIDE_LOCAL, false},
    {"whole product", whole_product_step, WIDE_FAR, false},
    {"view", view_step, WIDE_LOCAL, true},
    {"squeeze", squeeze_step, WIDE_LOCAL, true},
    {"transpose", transpose_step, WIDE_LOCAL, true},
    {"concat", concat_step, WIDE_LOCAL, true},
    {"slice", slice_step, WIDE_LOCAL, true},
    {"split", split_step, WIDE_LOCAL, true},
    {"pad", pad_step, WIDE_LOCAL, true},
    {"expand", expand_step, WIDE_LOCAL, true},
    {"tile", tile_step, WIDE_LOCAL, true},
    {"depth", depth_step, WIDE_LOCAL, true},
    {"crop", crop_step, WIDE_LOCAL, true},
    {"triangle", triangle_step, WIDE_LOCAL, true},
    {"reduce", reduce_step, WIDE_FAR, true},
    {"cumulate", cumulate_step, WIDE_FAR, true},
    {"hard", hard_step, WIDE_FAR, false},
    {"shape", shape_step, WIDE_LOCAL, true},
    {"sequence", sequence_step, WIDE_LOCAL, true},
    {"conv", conv_step, WIDE_LOCAL, true},
    {"causal", causal_step, WIDE_LOCAL, true},
    {"transposed", transposed_step, WIDE_LOCAL, true},
    {"pool", pool_step, WIDE_LOCAL, true},
    {"unpool", unpool_step, WIDE_READS, false},
    {"global", global_step, WIDE_FAR, true},
    {"columns", columns_step, WIDE_LOCAL, true},
    {"channel norm", channel_norm_step, WIDE_FAR, true},
    {"row norm", row_norm_step, WIDE_FAR, false},
    {"local norm", local_norm_step, WIDE_LOCAL, false},
    {"matmul", matmul_step, WIDE_FAR, true},
    {"gemm", gemm_step, WIDE_FAR, true},
    {"einsum", einsum_step, WIDE_FAR, true},
    {"det", det_step, WIDE_FAR, false},
    {"fourier", fourier_step, WIDE_FAR, false},
    {"softmax", softmax_step, WIDE_FAR, false},
    {"mask", mask_step, WIDE_FAR, false},
    {"attend", attend_step, WIDE_FAR, false},
    {"attention", attention_step, WIDE_FAR, false},
    {"linear attention", linear_attention_step, WIDE_FAR, false},
    {"rotary", rotary_step, WIDE_READS, false},
    {"recurrent", recurrent_step, WIDE_FAR, false},
    {"gather", gather_step, WIDE_READS, true},
    {"gather elements", gather_elements_step, WIDE_READS, true},
    {"gather nd", gather_nd_step, WIDE_READS, true},
    {"topk", topk_step, WIDE_READS, false},
    {"onehot", onehot_step, WIDE_READS, false},
    {"reverse", reverse_step, WIDE_READS, true},
    {"scatter", scatter_step, WIDE_READS, true},
    {"scatter nd", scatter_nd_step, WIDE_READS, true},
    {"tensor scatter", tensor_scatter_step, WIDE_READS, true},
    {"resize", resize_step, WIDE_LOCAL, true},
    {"upsample", upsample_step, WIDE_LOCAL, true},
    {"grid", grid_step, WIDE_READS, true},
    {"roi", roi_step, WIDE_READS, true},
    {"deform", deform_step, WIDE_READS, false},
    {"loss", loss_step, WIDE_READS, false},
};

enum { WIDE_STEPS = (int)(sizeof wide_steps / sizeof *wide_steps) };

/* A graph of the input alone, float32 as a rule. */
static inline void wide_begin(wide *w, bool positive) {
    static const omma_dtype types[] = {OMMA_F64, OMMA_F64, OMMA_BF16, OMMA_F16};
    *w = (wide){.turn = -1, .positive = positive};
    w->type =
        roll(5) ? OMMA_F32 : types[roll(positive ? 2 : 4)]; /* halves have few numbers near 0 */
    omma_arena_init(&w->arena, NULL);
    w->g = omma_graph_new(&w->arena, "wide");
    w->b = (omma_build){.arena = &w->arena, .err = &w->err, .kern = omma_kernels_best()};
    w->image = omma_graph_value(w->g, "image");
    w->image->is_input = true;
    w->image->dtype = w->type;
    w->image->rank = 4;
    memcpy(w->image->dims, (int64_t[]){1 + rare(), between(1, 4), between(8, 20), between(8, 20)},
           4 * sizeof(int64_t));
    w->g->inputs = omma_arena_array(&w->arena, 1, sizeof *w->g->inputs);
    w->g->inputs[w->g->n_inputs++] = w->image;
    push(w, w->image);
    if (!w->n) w->v[w->n++] = w->image;
}

static inline const wide_step *wide_any_step(const wide *w, wide_choice choice) {
    for (;;) {
        const wide_step *s = &wide_steps[roll(WIDE_STEPS)];
        if (w->positive && !s->rises) continue;
        if (s->kind == WIDE_LOCAL || (s->kind == WIDE_READS && choice != WIDE_NEAR) ||
            (s->kind == WIDE_FAR && choice == WIDE_ALL && coin()))
            return s;
    }
}

static inline void wide_make(wide *w, const wide_step *s) {
    const int had = w->n;
    for (int t = 0; t < 8 && w->n == had; t++) s->make(w), w->n_attrs = 0;
}

/* The step of that number, in its variant of this turn, and behind it a plain operator. */
static inline void wide_choose(wide *w, int step, int turn) {
    const int had = w->n;
    w->turn = turn;
    wide_make(w, &wide_steps[step]);
    w->turn = -1;
    if (w->n == had) return;
    w->chosen[0] = w->v[w->n - 1];
    w->chosen[1] = plain_of(w, w->chosen[0], (step + turn * WIDE_STEPS) % PLAIN_OPS);
    push(w, w->chosen[1]);
}

static inline void wide_graph(wide *w, wide_choice choice, int step, int turn, bool hostile) {
    wide_begin(w, false);
    w->hostile = hostile;
    const int n = 2 + roll(rare() ? 16 : 7), at = roll(n);
    for (int i = 0; i < n && w->n < WIDE_VALUES - 40; i++)
        if (i == at) wide_choose(w, step, turn);
        else wide_make(w, wide_any_step(w, choice));
}

/* A graph whose derivatives are all positive where they are not zero by structure. */
static inline void wide_positive(wide *w, wide_choice choice) {
    wide_begin(w, true);
    for (int n = 2 + roll(7); n > 0; n--) wide_make(w, wide_any_step(w, choice));
}

/* Forget what was inferred, as a graph is when it was read from a file. */
static inline void wide_forget(wide *w) {
    for (int i = 0; i < w->g->n_nodes; i++) {
        omma_node *n = w->g->nodes[i];
        n->param = NULL;
        for (int k = 0; k < n->n_out; k++) n->out[k]->dtype = OMMA_NONE, n->out[k]->rank = -1;
    }
}

static inline void wide_free(wide *w) { omma_arena_free(&w->arena); }

#endif

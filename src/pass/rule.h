/* rule.h - what the fusion rules share. A rule looks at a node as the last of a pattern and
 * either puts a node in its place that does the work of the whole pattern or leaves it. The
 * nodes before it are left to the sweep. */
#ifndef OMMA_PASS_RULE_H
#define OMMA_PASS_RULE_H

#include <string.h>

#include "op/fused.h"
#include "pass/pass.h"

typedef struct omma_fuse {
    omma_build *b;
    omma_graph *g;
    int *uses; /* by value, n_uses of them; later ones are not looked into in this round */
    int n_uses;
    int made;     /* constants, for their names */
    bool changed; /* set by a rule that did something */
} omma_fuse;

typedef omma_status omma_rule(omma_fuse *f, omma_node *n);

/* What scales and shifts channels into a convolution's weights (conv_norm.c). */
omma_rule omma_rule_conv_norm, omma_rule_conv_scale;
/* What patterns of exporters mean (patterns.c). */
omma_rule omma_rule_hard_swish, omma_rule_gelu, omma_rule_layer_norm;
/* What follows a product into the product (epilogues.c). */
omma_rule omma_rule_bias, omma_rule_silu, omma_rule_activation, omma_rule_line;
omma_rule omma_rule_residual; /* residual.c */
omma_rule omma_rule_bands;    /* bands.c */
/* A layer scale into the weights of a linear layer (linear_scale.c). */
omma_rule omma_rule_linear_scale;
/* Two products with a softmax between them; needs every shape (attention_rule.c). */
omma_rule omma_rule_attention, omma_rule_attention_output;
/* Moves that move nothing; the same (idle_move.c). */
omma_rule omma_rule_idle_move;

static inline bool omma_is(const omma_node *n, const char *op) {
    return n && !strcmp(n->op->name, op);
}

/* The node that writes v, if v is read nowhere else. */
static inline omma_node *omma_only(const omma_fuse *f, const omma_value *v) {
    return v && v->producer && v->index < f->n_uses && f->uses[v->index] == 1 ? v->producer : NULL;
}

/* The other input of a commutative node of two inputs. */
static inline omma_value *omma_other(const omma_node *n, const omma_value *v) {
    return n->in[0] == v ? n->in[1] : n->in[1] == v ? n->in[0] : NULL;
}

/* Is v a constant of `count` float32? */
static inline bool omma_const_f32(const omma_value *v, int64_t count) {
    return v && v->data && v->dtype == OMMA_F32 && omma_value_count(v) == count;
}

/* Number i of a constant of float32 at any address. */
static inline float omma_load_f32(const void *p, int64_t i) {
    float f;
    memcpy(&f, (const char *)p + (size_t)i * 4, 4);
    return f;
}

/* Is v a constant of one float32 equal to x, of rank at most max? (One of a larger rank
 * would broadcast what it meets to more dimensions.) */
static inline bool omma_equals(const omma_value *v, float x, int max) {
    return omma_const_f32(v, 1) && v->rank <= max && omma_load_f32(v->data, 0) == x;
}

/* A rank v has at least, as far as that is plain before shapes are known: the numbers 3 and
 * 6 of a HardSwish are [1] in some files, which makes a scalar a list. */
int omma_least_rank(const omma_value *v, int depth);

/* Bounds of a Clip that are constants; false when they are not. */
bool omma_clip_bounds(const omma_node *n, float *lo, float *hi);

#endif

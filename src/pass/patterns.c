/* patterns.c - operators that exporters take to pieces, put together again:
 *
 *   x -> Add 3 -> Clip 0..6 -> Mul x -> Div 6                       HardSwish
 *   x -> Div sqrt(2) -> Erf -> Add 1, times x, times 1/2            Gelu
 *   x - mean(x), over sqrt(mean of its squares + eps), gamma, beta  LayerNormalization
 *
 * The factors of a product may come in any order. */
#include <math.h>

#include "pass/rule.h"

int omma_least_rank(const omma_value *v, int depth) {
    const omma_node *n = v->producer;
    if (v->rank >= 0 || !n || !depth) return v->rank >= 0 ? v->rank : 0;
    if (omma_is(n, "Conv")) return 3;
    if (!omma_is(n, "Add") && !omma_is(n, "Mul") && !omma_is(n, "BatchNormalization") &&
        !omma_is(n, "Relu"))
        return 0;
    int rank = omma_least_rank(n->in[0], depth - 1);
    if (omma_is(n, "BatchNormalization") || omma_is(n, "Relu")) return rank;
    int second = omma_least_rank(n->in[1], depth - 1);
    return second > rank ? second : rank;
}

bool omma_clip_bounds(const omma_node *n, float *lo, float *hi) {
    *lo = omma_node_float(n, "min", -INFINITY);
    *hi = omma_node_float(n, "max", INFINITY);
    for (int i = 1; i < 3; i++) {
        const omma_value *v = omma_in(n, i);
        if (!v) continue;
        if (!omma_const_f32(v, 1)) return false;
        *(i == 1 ? lo : hi) = omma_load_f32(v->data, 0);
    }
    return *lo <= *hi;
}

/* --- HardSwish --------------------------------------------------------------------- */

omma_status omma_rule_hard_swish(omma_fuse *f, omma_node *div) {
    if (!omma_is(div, "Div") || !omma_equals(div->in[1], 6, OMMA_MAX_RANK)) return OMMA_OK;
    omma_node *mul = omma_only(f, div->in[0]);
    if (!omma_is(mul, "Mul")) return OMMA_OK;
    for (int i = 0; i < 2; i++) {
        omma_node *clip = omma_only(f, mul->in[i]),
                  *add = omma_is(clip, "Clip") ? omma_only(f, clip->in[0]) : NULL;
        omma_value *x = mul->in[1 - i];
        float lo, hi;
        if (!omma_is(add, "Add") || !omma_clip_bounds(clip, &lo, &hi) || lo != 0 || hi != 6)
            continue;
        int rank = omma_least_rank(x, 4);
        if (!omma_equals(omma_other(add, x), 3, rank) || div->in[1]->rank > rank) continue;
        omma_node *n = omma_graph_substitute(f->g, div, omma_op_find("HardSwish"), 1);
        if (!n) return omma_nomem(f->b, div);
        n->in[0] = x;
        f->changed = true;
        return OMMA_OK;
    }
    return OMMA_OK;
}

/* --- Gelu -------------------------------------------------------------------------- */

/* x, if v is 1 + erf(x / sqrt(2)). */
static omma_value *erf_gate(const omma_fuse *f, const omma_value *v) {
    omma_node *add = omma_only(f, v);
    if (!omma_is(add, "Add")) return NULL;
    for (int i = 0; i < 2; i++) {
        omma_node *erf = omma_only(f, add->in[i]), *scale;
        if (!omma_is(erf, "Erf") || !omma_equals(add->in[1 - i], 1, 0)) continue;
        scale = omma_only(f, erf->in[0]);
        if (omma_is(scale, "Div") && omma_equals(scale->in[1], 1.41421356237f, 0))
            return scale->in[0];
        for (int k = 0; omma_is(scale, "Mul") && k < 2; k++)
            if (omma_equals(scale->in[k], 0.70710678118f, 0)) return scale->in[1 - k];
    }
    return NULL;
}

/* Three factors whose product v is, the inner two by a node nobody else reads. */
static bool three_factors(const omma_fuse *f, const omma_node *mul, int inner, omma_value **out) {
    const omma_node *second = omma_only(f, mul->in[inner]);
    if (!omma_is(second, "Mul")) return false;
    out[0] = mul->in[1 - inner], out[1] = second->in[0], out[2] = second->in[1];
    return true;
}

omma_status omma_rule_gelu(omma_fuse *f, omma_node *mul) {
    omma_value *v[3];
    for (int inner = 0; omma_is(mul, "Mul") && inner < 2; inner++) {
        if (!three_factors(f, mul, inner, v)) continue;
        for (int gate = 0; gate < 3; gate++)
            for (int half = 0; half < 3; half++) {
                if (half == gate || !omma_equals(v[half], 0.5f, 0)) continue;
                omma_value *x = v[3 - gate - half];
                if (erf_gate(f, v[gate]) != x) continue;
                omma_node *n = omma_graph_substitute(f->g, mul, omma_op_find("Gelu"), 1);
                if (!n) return omma_nomem(f->b, mul);
                n->in[0] = x;
                n->opset = 20;
                f->changed = true;
                return OMMA_OK;
            }
    }
    return OMMA_OK;
}

/* --- LayerNormalization -------------------------------------------------------------- */

/* Is n the mean along the last axis, which stays as 1? */
static bool is_mean(const omma_node *n) {
    if (!omma_is(n, "ReduceMean") || !omma_node_int(n, "keepdims", 1)) return false;
    const omma_attr *axes = omma_node_attr(n, "axes");
    const omma_value *v = omma_in(n, 1);
    int64_t axis;
    if (v && v->data && v->dtype == OMMA_I64 && omma_value_count(v) == 1) memcpy(&axis, v->data, 8);
    else if (!v && axes && axes->kind == OMMA_ATTR_INTS && axes->count == 1) axis = axes->ints[0];
    else return false;
    return axis == -1;
}

/* x, if v is x - mean(x). */
static omma_value *centred(const omma_value *v) {
    const omma_node *sub = v ? v->producer : NULL;
    if (!omma_is(sub, "Sub")) return NULL;
    const omma_node *mean = sub->in[1]->producer;
    return is_mean(mean) && mean->in[0] == sub->in[0] ? sub->in[0] : NULL;
}

/* Is v the deviation of x, sqrt(mean((x - mean(x))^2) + eps)? */
static bool is_deviation(const omma_fuse *f, const omma_value *v, const omma_value *x, float *eps) {
    const omma_node *root = omma_only(f, v), *add, *mean, *square;
    if (!omma_is(root, "Sqrt")) return false;
    add = omma_only(f, root->in[0]);
    for (int i = 0; omma_is(add, "Add") && i < 2; i++) {
        mean = omma_only(f, add->in[i]);
        if (!omma_const_f32(add->in[1 - i], 1) || add->in[1 - i]->rank || !is_mean(mean)) continue;
        square = omma_only(f, mean->in[0]);
        bool squares = (omma_is(square, "Pow") && omma_equals(square->in[1], 2, 0)) ||
                       (omma_is(square, "Mul") && square->in[0] == square->in[1]);
        *eps = omma_load_f32(add->in[1 - i]->data, 0);
        return squares && centred(square->in[0]) == x;
    }
    return false;
}

/* x, if v is x normalised along its last axis. */
static omma_value *normalised(const omma_fuse *f, const omma_value *v, float *eps) {
    const omma_node *div = omma_only(f, v);
    omma_value *x = omma_is(div, "Div") ? centred(div->in[0]) : NULL;
    return x && is_deviation(f, div->in[1], x, eps) ? x : NULL;
}

static bool is_row(const omma_value *v, int64_t count) {
    return v->rank == 1 && count > 1 && omma_const_f32(v, count);
}

omma_status omma_rule_layer_norm(omma_fuse *f, omma_node *add) {
    for (int i = 0; omma_is(add, "Add") && i < 2; i++) {
        const omma_node *mul = omma_only(f, add->in[i]);
        omma_value *beta = add->in[1 - i];
        for (int k = 0; omma_is(mul, "Mul") && k < 2; k++) {
            omma_value *gamma = mul->in[1 - k];
            float eps;
            if (!is_row(gamma, omma_value_count(gamma)) || !is_row(beta, gamma->dims[0])) continue;
            omma_value *x = normalised(f, mul->in[k], &eps);
            if (!x) continue;
            omma_attr *a = omma_arena_array(f->b->arena, 2, sizeof *a);
            omma_node *n =
                a ? omma_graph_substitute(f->g, add, omma_op_find("LayerNormalization"), 3) : NULL;
            if (!n) return omma_nomem(f->b, add);
            a[0] = (omma_attr){.name = "axis", .kind = OMMA_ATTR_INT, .i = -1, .s = ""};
            a[1] = (omma_attr){.name = "epsilon", .kind = OMMA_ATTR_FLOAT, .f = eps, .s = ""};
            n->in[0] = x, n->in[1] = gamma, n->in[2] = beta;
            n->attrs = a, n->n_attrs = 2;
            n->opset = 17;
            f->changed = true;
            return OMMA_OK;
        }
    }
    return OMMA_OK;
}

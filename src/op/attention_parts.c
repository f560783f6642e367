/* attention_parts.c - the plainer operators that the node Attention stands for, for the readings in
 * reverse:
 *
 *     MatMul, [Tanh,] [Where or Add,] Softmax, MatMul
 *
 * on [B, H, Q, D]. Heads of queries that share a head of keys stand among its rows, so that neither
 * keys nor values are copied. A query all of whose keys are masked keeps its scores, so that
 * nothing behind is NaN, and gets zeros at the end. 16-bit floats are computed in float32, in
 * double what the softmax is asked for in double. */
#include <math.h>
#include <string.h>

#include "op/attention.h"

/* v: [B, len, heads * d] as [B, heads, len, d]. */
static omma_value *by_heads(omma_maker *m, omma_value *v, int64_t heads, int64_t d) {
    if (v->rank == 4) return v;
    const int64_t dims[4] = {v->dims[0], v->dims[1], heads, d}, perm[4] = {0, 2, 1, 3};
    return omma_make_transpose(m, omma_make_reshape(m, v, 4, dims), perm);
}

/* All keys (which 0) or values (1), past and new: an output too. */
static omma_value *all_keys(omma_maker *m, const omma_node *n, int which) {
    const omma_attending *p = n->param;
    omma_value *past = omma_in(n, OMMA_ATT_PAST_K + which);
    omma_value *v = by_heads(m, n->in[OMMA_ATT_K + which], p->groups, which ? p->e : p->d);
    if (past) v = omma_make_concat(m, (omma_value *[]){past, v}, 2, 2);
    omma_make_output(m, OMMA_ATT_PRESENT_K + which, v);
    return v;
}

/* rows: [B, H, Q, x] times heads: [B, G, x, z]. */
static omma_value *product(omma_maker *m, const omma_attending *p, omma_value *rows,
                           omma_value *heads) {
    if (!rows || !heads) return NULL;
    const int64_t in[4] = {p->batch, p->groups, p->heads / p->groups * p->q_len, rows->dims[3]},
                  out[4] = {p->batch, p->heads, p->q_len, heads->dims[3]};
    omma_value *y = omma_make_2(m, "MatMul", omma_make_reshape(m, rows, 4, in), heads);
    return omma_make_reshape(m, y, 4, out);
}

/* --- masks ---------------------------------------------------------------------------------- */

/* The constant from, from + 1, ...: [n]. */
static omma_value *count_up(omma_maker *m, int64_t from, int64_t n) {
    int64_t *list = n < INT32_MAX ? omma_arena_array(m->b->arena, (size_t)n + 1, 8) : NULL;
    for (int64_t i = 0; list && i < n; i++) list[i] = from + i;
    if (!list && !m->status) m->status = omma_nomem(m->b, m->of);
    return list ? omma_make_ints(m, list, (int)n) : NULL;
}

/* Which keys are seen by order, by padding and by the mask's length: a bool that broadcasts to the
 * scores; NULL: all. */
static omma_value *seen(omma_maker *m, const omma_node *n) {
    const omma_attending *p = n->param;
    omma_value *valid = omma_in(n, OMMA_ATT_NONPAD), *end = NULL, *all = NULL;
    omma_value *keys = count_up(m, 0, p->total);
    if (valid) end = valid = omma_make_reshape(m, valid, 4, (int64_t[]){p->batch, 1, 1, 1});
    if (p->causal) {
        end = count_up(m, valid ? 1 - p->q_len : p->past + 1, p->q_len);
        end = omma_make_reshape(m, end, 2, (int64_t[]){p->q_len, 1});
        if (valid) end = omma_make_2(m, "Add", end, valid);
    }
    if (end) all = omma_make_2(m, "Less", keys, end);
    if (p->mask_len == p->total) return all;
    omma_value *before = omma_make_2(m, "Less", keys, omma_make_ints(m, &p->mask_len, 1));
    return all ? omma_make_2(m, "And", all, before) : before;
}

/* The mask of numbers (in s's type) or bool, of as many keys as there are, or of one for all; NULL:
 * there is none. */
static omma_value *long_mask(omma_maker *m, const omma_node *n, const omma_value *s) {
    const omma_attending *p = n->param;
    omma_value *v = omma_in(n, OMMA_ATT_MASK);
    if (!v || !s) return NULL;
    if (v->dtype != OMMA_BOOL) v = omma_make_cast(m, v, s->dtype);
    if (v && !v->rank) v = omma_make_reshape(m, v, 1, (int64_t[]){1});
    if (!v || p->mask_len == p->total || v->dims[v->rank - 1] == 1) return v;
    int64_t dims[4];
    memcpy(dims, v->dims, (size_t)v->rank * sizeof *dims);
    dims[v->rank - 1] = p->total - p->mask_len;
    omma_value *rest = omma_make_number(m, v, 0);
    rest = omma_make_2(m, "Expand", rest, omma_make_ints(m, dims, v->rank));
    return omma_make_concat(m, (omma_value *[]){v, rest}, 2, v->rank - 1);
}

/* s where see is true (NULL: everywhere) plus bias (NULL: none); -inf elsewhere. */
static omma_value *hide(omma_maker *m, omma_value *s, omma_value *see, omma_value *bias) {
    if (bias) return omma_make_2(m, "Add", s, bias);
    return see ? omma_make_3(m, "Where", see, s, omma_make_number(m, s, -INFINITY)) : s;
}

/* The scores as they are handed out behind the mask, and returned as a softmax may have them, with
 * *any: has a query any key? NULL: each one has. */
static omma_value *mask(omma_maker *m, const omma_node *n, omma_value *s, omma_value **masked,
                        omma_value **any) {
    omma_value *given = long_mask(m, n, s), *see = seen(m, n), *bias = NULL;
    const omma_attr last = OMMA_A_INTS("axes", &(int64_t){-1}, 1);
    const bool bare = !given && !omma_in(n, OMMA_ATT_NONPAD); /* then there is a key to see */
    *any = NULL;
    if (given && given->dtype == OMMA_BOOL) see = see ? omma_make_2(m, "And", given, see) : given;
    else if (given) bias = hide(m, given, see, NULL);
    *masked = hide(m, s, see, bias);
    if (bare) return *masked;
    omma_value *most = omma_make(m, "ReduceMax", bias ? &bias : &see, 1, &last, 1);
    if (bias) {
        *any = omma_make_2(m, "Greater", most, omma_make_number(m, s, -INFINITY));
        return hide(m, s, NULL, omma_make_3(m, "Where", *any, bias, omma_make_number(m, s, 0)));
    }
    *any = most;
    return hide(m, s, omma_make_2(m, "Or", see, omma_make_1(m, "Not", most)), NULL);
}

/* --- the whole ------------------------------------------------------------------------------ */

static void hand_out(omma_maker *m, const omma_node *n, int64_t stage, omma_value *s) {
    const omma_attending *p = n->param;
    if (stage == p->mode && n->n_out > OMMA_ATT_SCORES && n->out[OMMA_ATT_SCORES])
        omma_make_output(m, OMMA_ATT_SCORES, omma_make_cast(m, s, n->out[OMMA_ATT_SCORES]->dtype));
}

/* Zeros for queries without a key. */
static omma_value *zero_blind(omma_maker *m, omma_value *any, omma_value *v) {
    return any ? omma_make_3(m, "Where", any, v, omma_make_number(m, v, 0)) : v;
}

static omma_dtype type_of(const omma_node *n) {
    const bool wide = n->in[OMMA_ATT_Q]->dtype == OMMA_F64 ||
                      n->in[OMMA_ATT_V]->dtype == OMMA_F64 ||
                      omma_node_int(n, "softmax_precision", 0) == OMMA_F64;
    return wide ? OMMA_F64 : OMMA_F32;
}

omma_status omma_attention_parts(omma_maker *m, const omma_node *n) {
    const omma_attending *p = n->param;
    const omma_dtype t = type_of(n);
    omma_value *any, *masked, *q = by_heads(m, n->in[OMMA_ATT_Q], p->heads, p->d);
    omma_value *k = omma_make_cast(m, all_keys(m, n, 0), t),
               *v = omma_make_cast(m, all_keys(m, n, 1), t);
    q = omma_make_scaled(m, omma_make_cast(m, q, t), (double)p->scale);
    omma_value *s = product(m, p, q, omma_make_turned(m, k));
    hand_out(m, n, OMMA_ATT_PRODUCT, s);
    if (p->softcap > 0) {
        s = omma_make_1(m, "Tanh", omma_make_scaled(m, s, 1 / (double)p->softcap));
        s = omma_make_scaled(m, s, (double)p->softcap);
    }
    hand_out(m, n, OMMA_ATT_SOFTCAP, s);
    s = mask(m, n, s, &masked, &any);
    hand_out(m, n, OMMA_ATT_MASKED, masked);
    const omma_attr last = OMMA_A_INT("axis", -1);
    s = omma_make(m, "Softmax", &s, 1, &last, 1);
    hand_out(m, n, OMMA_ATT_SOFTMAX, zero_blind(m, any, s));
    omma_value *y = n->out[OMMA_ATT_Y];
    if (!y) return m->status;
    v = zero_blind(m, any, product(m, p, s, v));
    if (y->rank == 3) v = omma_make_transpose(m, v, (int64_t[]){0, 2, 1, 3});
    omma_make_output(m, OMMA_ATT_Y, omma_make_shaped(m, omma_make_cast(m, v, y->dtype), y));
    return m->status;
}

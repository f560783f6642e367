/* mask.c - see mask.h. A mask is a constant that is added (Swin's -100, others' -1e4 or -inf) or
 * chosen by a constant condition. What such a number is behind a softmax is zero, or so little
 * that float32 does not see it beside the others (e^-64); where that is not exact, since the
 * number is finite, the mask is called soft. A row that is blocked all along is not: its softmax
 * is of the numbers it has. So a soft mask says something only beside numbers that are not low
 * themselves: what was low and went through an operator that is not followed here (scaled, say) is
 * lost, and so is all that is made from it, up to a softmax. */
#include "field/mask.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "field/carry.h"
#include "op/broadcast.h"

static const double BLOCKS = -64, LIFTS = 8;

static bool is_op(const omma_node *n, const char *name) { return !strcmp(n->op->name, name); }

static omma_status no_memory(omma_error *err) {
    return omma_fail(err, OMMA_E_NOMEM, "no memory for a field");
}

static uint64_t *zeros(omma_fields *f, const omma_value *v) {
    return omma_arena_array(&f->arena, (size_t)omma_bit_words(omma_value_count(v)) + 1,
                            sizeof(uint64_t));
}

static bool is_float(const omma_value *v) { return v->dtype == OMMA_F32 || v->dtype == OMMA_F64; }

static double number(const omma_value *v, const void *p, int64_t i) {
    if (v->dtype == OMMA_F64) {
        double d;
        memcpy(&d, (const char *)p + i * 8, 8);
        return d;
    }
    float x;
    memcpy(&x, (const char *)p + i * 4, 4);
    return (double)x;
}

/* Where in c, broadcast to y, element i of y is. */
static int64_t place(const omma_value *c, const omma_value *y, int64_t i) {
    int64_t at = 0, stride = 1;
    for (int d = y->rank - 1, e = c->rank - 1; e >= 0; d--, e--) {
        const int64_t k = i % y->dims[d];
        i /= y->dims[d];
        if (c->dims[e] > 1) at += k * stride;
        stride *= c->dims[e];
    }
    return at;
}

static bool blocks(const omma_fields *f, double x) {
    return f->hard ? x == -INFINITY : x <= BLOCKS;
}

/* Does c block anything? Most constants that are added are biases. */
static bool blocks_any(const omma_fields *f, const omma_value *c, bool *soft) {
    bool any = false;
    if (!c->data || !is_float(c)) return false;
    for (int64_t i = 0, n = omma_value_count(c); i < n; i++) {
        const double x = number(c, c->data, i);
        if (!blocks(f, x)) continue;
        any = true;
        *soft |= !isinf(x);
    }
    return any;
}

static omma_status set_dead(omma_fields *f, const omma_value *y, uint64_t *bits, bool zero,
                            bool soft) {
    if (!omma_bits_any(bits, 0, omma_value_count(y))) return OMMA_OK;
    f->dead[y->index] = bits;
    f->zero[y->index] = zero;
    f->soft[y->index] = soft;
    return OMMA_OK;
}

/* What is as good as -inf in v; NULL: nothing. */
static const uint64_t *low(const omma_fields *f, const omma_value *v) {
    return f->zero[v->index] ? NULL : f->dead[v->index];
}

/* Does c, added to x, lift what is low there? Then nothing is known of any of them: what was lifted
 * may still be the lowest of its row, and what was not the largest. Scores are taken to be small.
 */
static bool lifts(const omma_fields *f, const omma_value *c, const omma_value *x,
                  const omma_value *y) {
    const uint64_t *had = low(f, x);
    const double most = f->soft[x->index] ? LIFTS : FLT_MAX;
    if (!had || !c->data || !is_float(c)) return false;
    for (int64_t i = 0, n = omma_value_count(y); i < n; i++)
        if (omma_bit(had, place(x, y, i)) && number(c, c->data, place(c, y, i)) > most) return true;
    return false;
}

static omma_status add(omma_fields *f, const omma_node *n, omma_error *err) {
    const omma_value *y = n->out[0];
    uint64_t *bits = NULL;
    bool soft = false;
    for (int k = 0; k < 2; k++) {
        const omma_value *c = n->in[k], *x = n->in[1 - k];
        const uint64_t *had = lifts(f, c, x, y) ? NULL : low(f, x);
        const bool any = blocks_any(f, c, &soft);
        if (!any && !had) continue;
        if (!bits && !(bits = zeros(f, y))) return no_memory(err);
        soft |= had && f->soft[x->index];
        for (int64_t i = 0, m = omma_value_count(y); i < m; i++)
            if ((any && blocks(f, number(c, c->data, place(c, y, i)))) ||
                (had && omma_bit(had, place(x, y, i))))
                omma_bit_set(bits, i);
    }
    return bits ? set_dead(f, y, bits, false, soft) : OMMA_OK;
}

/* Some of one and some of the other, by constant choice. */
static omma_status where(omma_fields *f, const omma_node *n, omma_error *err) {
    const omma_value *c = n->in[0], *y = n->out[0];
    bool soft = false, any = false, blocking[3] = {false};
    for (int k = 1; k < 3; k++) {
        blocking[k] = blocks_any(f, n->in[k], &soft);
        any |= blocking[k] || low(f, n->in[k]);
        soft |= low(f, n->in[k]) && f->soft[n->in[k]->index];
    }
    uint64_t *bits = any ? zeros(f, y) : NULL;
    if (any && !bits) return no_memory(err);
    for (int64_t i = 0, m = any ? omma_value_count(y) : 0; i < m; i++) {
        const unsigned char yes = ((const unsigned char *)c->data)[place(c, y, i)];
        const omma_value *v = n->in[yes ? 1 : 2];
        const int64_t at = place(v, y, i);
        if ((blocking[yes ? 1 : 2] && blocks(f, number(v, v->data, at))) ||
            (low(f, v) && omma_bit(low(f, v), at)))
            omma_bit_set(bits, i);
    }
    return any ? set_dead(f, y, bits, false, soft) : OMMA_OK;
}

/* What moves elements moves these with them: alive is what is made from what is alive. */
static omma_status move(omma_fields *f, const omma_node *n, int k, omma_error *err) {
    const omma_value *x = n->in[0], *y = n->out[k];
    const int64_t in = omma_value_count(x), out = omma_value_count(y);
    omma_arena tmp;
    omma_set alive, there, all = omma_set_none(y->rank, y->dims);
    omma_arena_init(&tmp, f->arena.budget);
    uint64_t *bits = zeros(f, y), *live = omma_arena_array(&tmp, (size_t)omma_bit_words(in) + 1, 8);
    bool ok = bits && live;
    for (int64_t w = 0; ok && w < omma_bit_words(in); w++) live[w] = ~f->dead[x->index][w];
    if (ok && in & 63) live[in >> 6] &= omma_bit_mask(in & 63);
    ok = ok && omma_set_of_bits(&tmp, &alive, x->rank, x->dims, live);
    for (int i = 0; ok && i < f->node[n->index].count; i++) {
        const omma_relation *r = f->node[n->index].relation[i];
        if (r->out != k || r->in != 0) continue;
        ok = omma_carry_forth(&tmp, &there, &alive, r, y) && omma_set_unite(&tmp, &all, &there);
    }
    ok = ok && omma_set_to_bits(&tmp, &all, bits);
    omma_arena_free(&tmp);
    if (!ok) return no_memory(err);
    for (int64_t w = 0; w < omma_bit_words(out); w++) bits[w] = ~bits[w];
    if (out & 63) bits[out >> 6] &= omma_bit_mask(out & 63);
    return set_dead(f, y, bits, f->zero[x->index], f->soft[x->index]);
}

/* Rows along the softmax's axis that are blocked all along are alive again. */
omma_status omma_field_soften(omma_fields *f, const omma_node *n, omma_error *err) {
    const omma_value *x = omma_in(n, 0), *y = n->out[0];
    if (!is_op(n, "Softmax") || !y || !low(f, x)) return OMMA_OK;
    const int64_t axis = omma_node_int(n, "axis", n->opset < 13 ? 1 : -1);
    const int a = (int)(axis < 0 ? axis + x->rank : axis);
    int64_t before = 1, behind = 1, length;
    uint64_t *bits = zeros(f, y);
    if (!bits) return no_memory(err);
    if (f->soft[x->index] && f->lost[x->index]) {
        f->dead[x->index] = NULL;
        return OMMA_OK;
    }
    for (int d = 0; d < a; d++) before *= x->dims[d];
    for (int d = a + 1; d < x->rank; d++) behind *= x->dims[d];
    length = x->dims[a];
    if (n->opset < 13) length *= behind, behind = 1;
    memcpy(bits, f->dead[x->index], (size_t)omma_bit_words(omma_value_count(y)) * 8);
    for (int64_t i = 0; i < before * behind; i++) {
        const int64_t first = i / behind * length * behind + i % behind;
        bool all = true;
        for (int64_t j = 0; j < length && all; j++) all = omma_bit(bits, first + j * behind);
        for (int64_t j = 0; j < length && all; j++)
            bits[(first + j * behind) >> 6] &= ~((uint64_t)1 << ((first + j * behind) & 63));
    }
    f->dead[x->index] = omma_bits_any(bits, 0, omma_value_count(y)) ? bits : NULL;
    return set_dead(f, y, bits, true, f->soft[x->index]);
}

/* Does n move numbers as its field says, and change none? */
static bool moves(const omma_fields *f, const omma_node *n) {
    static const char *const names[] = {"Reshape", "Transpose", "Squeeze", "Unsqueeze",
                                        "Flatten", "Identity",  "Cast",    "Dropout",
                                        "Slice",   "Split",     "Expand"};
    const omma_value *x = n->in[0];
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k] && n->out[k]->dtype != x->dtype) return false;
    if (is_op(n, "Dropout") && omma_in(n, 2) && low(f, x)) return false; /* it may train */
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (is_op(n, names[i])) return true;
    return false;
}

/* Something low among n's inputs is not known to be so in its outputs. */
static void lose(omma_fields *f, const omma_node *n, bool followed) {
    bool lost = false;
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i]) lost |= f->lost[n->in[i]->index] || (!followed && low(f, n->in[i]));
    for (int k = 0; k < n->n_out && lost && !is_op(n, "Softmax"); k++)
        if (n->out[k]) f->lost[n->out[k]->index] = true;
}

omma_status omma_field_mask(omma_fields *f, const omma_node *n, omma_error *err) {
    const omma_value *x = omma_in(n, 0), *y = n->out[0];
    if (is_op(n, "Add") && y) {
        lose(f, n, !lifts(f, n->in[0], n->in[1], y) && !lifts(f, n->in[1], n->in[0], y));
        return add(f, n, err);
    }
    const bool chooses = is_op(n, "Where") && y && is_float(y) && x->data;
    const bool followed = chooses || (x && moves(f, n));
    lose(f, n, followed);
    if (chooses) return where(f, n, err);
    for (int k = 0; k < n->n_out && followed && f->dead[x->index]; k++)
        if (n->out[k]) OMMA_TRY(move(f, n, k, err));
    return OMMA_OK;
}

/* where.c - Where: y = x where the condition is true, else z, with broadcasting (broadcast.h).
 *
 *   condition: bool   x, z, y: of one type
 *
 * Source: ONNX Where 9, 16. */
#include <string.h>

#include "op/broadcast.h"

static omma_status Where_infer(omma_build *b, omma_node *n) {
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_BOOL));
    OMMA_TRY(omma_want(b, n, 1, OMMA_IN_ANY));
    OMMA_TRY(omma_want(b, n, 2, OMMA_IN_ANY));
    if (n->in[1]->dtype != n->in[2]->dtype)
        return omma_bad(b, n, "the choices are of types %s and %s",
                        omma_dtype_name(n->in[1]->dtype), omma_dtype_name(n->in[2]->dtype));
    return omma_broadcast_plan(b, n, NULL, n->in[1]->dtype);
}

/* Both are read, so that nothing is guessed at. */
#define CHOOSE(T)                                                                       \
    for (int64_t i = 0; i < w->n; i++) {                                                \
        T u, v;                                                                         \
        memcpy(&u, (const T *)a + i * sa, sizeof u);                                    \
        memcpy(&v, (const T *)b + i * sb, sizeof v);                                    \
        const T take = (T)(0 - (T)(c[i * sc] != 0)), r = (T)((u & take) | (v & ~take)); \
        memcpy((T *)y + i, &r, sizeof r);                                               \
    }

static bool where_piece(const omma_piece_job *j, const omma_piece *w) {
    omma_piece_room tc, ta, tb;
    int sc, sa, sb;
    const uint8_t *c = omma_piece_get(j, w, 0, &tc, &sc);
    const void *a = omma_piece_get(j, w, 1, &ta, &sa), *b = omma_piece_get(j, w, 2, &tb, &sb);
    void *y = omma_piece_out(j, w);
    switch (omma_dtype_size(j->n->out[0]->dtype)) {
    case 1: CHOOSE(uint8_t) break;
    case 2: CHOOSE(uint16_t) break;
    case 4: CHOOSE(uint32_t) break;
    default: CHOOSE(uint64_t) break;
    }
    return true;
}

static omma_status Where_run(const omma_exec *x, const omma_node *n) {
    return omma_broadcast_walk(x, n, where_piece);
}

/* --- the readings in reverse ---------------------------------------------------------------- */

static omma_status Where_grad(omma_grad *g, const omma_node *n) {
    omma_maker *m = &g->m;
    omma_value *dy = omma_grad_out(g, n, 0), *none = omma_make_number(m, dy, 0), *c = n->in[0];
    if (omma_grad_wants(g, n, 1))
        OMMA_TRY(omma_broadcast_back(g, n, 1, omma_make_3(m, "Where", c, dy, none)));
    if (!omma_grad_wants(g, n, 2)) return m->status;
    return omma_broadcast_back(g, n, 2, omma_make_3(m, "Where", c, none, dy));
}

/* A bit for each element of y where the constant condition is `yes`. */
static const uint64_t *chosen(omma_field *f, const omma_node *n, bool yes) {
    const omma_value *c = n->in[0], *y = n->out[0];
    const int64_t count = omma_value_count(y);
    uint64_t *bits = omma_arena_array(f->b->arena, (size_t)count / 64 + 1, sizeof *bits);
    if (!bits) {
        f->status = omma_nomem(f->b, n);
        return NULL;
    }
    for (int64_t i = 0; i < count; i++) {
        int64_t at = 0, step = 1, rest = i;
        for (int d = y->rank - 1, e = c->rank - 1; e >= 0; rest /= y->dims[d], d--, e--) {
            if (c->dims[e] > 1) at += rest % y->dims[d] * step;
            step *= c->dims[e];
        }
        if ((((const uint8_t *)c->data)[at] != 0) == yes) bits[i / 64] |= (uint64_t)1 << i % 64;
    }
    return bits;
}

static omma_status Where_field(omma_field *f, const omma_node *n) {
    OMMA_TRY(omma_field_broadcast(f, 0, 0, OMMA_PATH_CONTROL));
    for (int i = 1; i < 3; i++) {
        const int before = f->count;
        OMMA_TRY(omma_field_broadcast(f, 0, i, OMMA_PATH_VALUE));
        if (n->in[0]->data && f->count > before)
            f->relation[before]->out_only = chosen(f, n, i == 1);
    }
    return f->status;
}

const omma_op omma_op_Where = {.name = "Where",
                               .min_in = 3,
                               .max_in = 3,
                               .min_out = 1,
                               .max_out = 1,
                               .flags = OMMA_OP_ELEMENTWISE,
                               .infer = Where_infer,
                               .run = Where_run,
                               .grad = Where_grad,
                               .field = Where_field};

/* fieldcheck.h - is an operator's field right? The set of every output element, walked back, is
 * compared with what happens: a number of the input is changed, and the output elements whose bits
 * change must have it in their sets (no more is asked when `exact` is not set); if exact, every
 * element of the set must change the output for some of the changes tried. The walk forth must be
 * the same relation the other way around.
 *
 *     gradcheck *c = gradcheck_new("Conv", 11, 1);    // the same operators at work as gradcheck.h
 *     gradcheck_float(c, -1, 1, GRADCHECK_DIMS(1, 2, 5, 5));
 *     gradcheck_float(c, -1, 1, GRADCHECK_DIMS(3, 2, 3, 3));
 *     fieldcheck_run(c, FIELDCHECK_EXACT);            // checks, and frees c
 *
 * FIELDCHECK_KNOWN lets the rooms know the numbers of all inputs, as at work on one image; inputs
 * of whole numbers and those marked still are then not changed. */
#ifndef OMMA_TESTS_FIELDCHECK_H
#define OMMA_TESTS_FIELDCHECK_H

#include "gradcheck.h"

#include "field/fields.h"
#include "run/specialised.h"

enum { FIELDCHECK_EXACT = 1, FIELDCHECK_KNOWN = 2, FIELDCHECK_TRIALS = 6 };

typedef struct fieldcheck {
    gradcheck_side s;
    omma_arena arena;
    omma_specialised sp;
    omma_fields f;
    bool *set, *moved; /* [outputs of all][inputs of all] */
    int64_t ins, outs;
} fieldcheck;

static inline const omma_value *fieldcheck_value(const fieldcheck *k, const char *name) {
    const omma_value *v = omma_graph_find(k->sp.graph, name);
    assert_non_null(v);
    return v;
}

static inline bool fieldcheck_changes(const fieldcheck *k, const gradcheck *c, int i) {
    const gradcheck_in *in = &c->in[k->s.from[i]];
    return in->type == OMMA_F64 && !in->still;
}

/* Index at of element i of v. */
static inline void fieldcheck_at(const omma_value *v, int64_t i, int64_t *at) {
    for (int d = v->rank - 1; d >= 0; d--) at[d] = i % v->dims[d], i /= v->dims[d];
}

static inline void fieldcheck_sets(fieldcheck *k, const gradcheck *c, bool back, bool *table) {
    int64_t row = 0;
    const int froms = back ? k->s.g->n_outputs : k->s.g->n_inputs;
    for (int o = 0; o < froms; o++) {
        const omma_value *y =
            fieldcheck_value(k, back ? k->s.g->outputs[o]->name : k->s.g->inputs[o]->name);
        if (!back && !fieldcheck_changes(k, c, o)) {
            row += omma_value_count(y);
            continue;
        }
        for (int64_t e = 0, n = omma_value_count(y); e < n; e++, row++) {
            int64_t at[OMMA_MAX_RANK], column = 0;
            omma_walk w;
            omma_set one;
            fieldcheck_at(y, e, at);
            if (omma_walk_begin(&w, &k->f, OMMA_FIELD_STRUCTURAL, &k->s.err) ||
                !omma_set_one(&w.arena, &one, y->rank, y->dims, at) ||
                omma_walk_add(&w, y, &one, &k->s.err) ||
                (back ? omma_walk_back : omma_walk_forth)(&w, &k->s.err))
                fail_msg("%s: %s", c->what, k->s.err.message);
            const int tos = back ? k->s.g->n_inputs : k->s.g->n_outputs;
            for (int i = 0; i < tos; i++) {
                const omma_value *x =
                    fieldcheck_value(k, back ? k->s.g->inputs[i]->name : k->s.g->outputs[i]->name);
                const omma_set *set = w.at[x->index];
                int64_t seen = 0;
                for (int64_t j = 0, m = omma_value_count(x); j < m; j++, column++) {
                    fieldcheck_at(x, j, at);
                    const bool in = set && omma_set_has(set, at);
                    seen += in;
                    if (back) table[row * k->ins + column] = in;
                    else table[column * k->ins + row] = in;
                }
                if (set) assert_int_equal(seen, omma_set_count(set));
            }
            omma_walk_free(&w);
        }
    }
}

static inline void fieldcheck_move(fieldcheck *k, const gradcheck *c) {
    static const double steps[FIELDCHECK_TRIALS] = {1e-3, -1e-3, 0.3, -0.4, 40, -50};
    gradcheck_side *s = &k->s;
    int64_t column = 0;
    if (omma_session_run(s->session, s->in, s->g->n_inputs, &s->err))
        fail_msg("%s", s->err.message);
    double *base = omma_arena_array(&k->arena, (size_t)k->outs + 1, sizeof *base);
    for (int64_t o = 0, r = 0; o < s->n_of; o++)
        for (int64_t e = 0, n = gradcheck_count(omma_session_output(s->session, (int)o)); e < n;
             e++)
            base[r++] = gradcheck_number(omma_session_output(s->session, (int)o), e);
    for (int i = 0; i < s->g->n_inputs; i++) {
        const int64_t n = gradcheck_count(&s->in[i]);
        for (int64_t j = 0; j < n && fieldcheck_changes(k, c, i); j++)
            for (int t = 0; t < FIELDCHECK_TRIALS; t++) {
                double *x = (double *)s->in[i].data + j, old = *x;
                int64_t r = 0;
                *x += steps[t];
                const omma_status bad =
                    omma_session_run(s->session, s->in, s->g->n_inputs, &s->err);
                *x = old;
                if (bad) continue; /* a number that makes no sense here */
                for (int o = 0; o < s->n_of; o++) {
                    const omma_tensor *y = omma_session_output(s->session, o);
                    for (int64_t e = 0, m = gradcheck_count(y); e < m; e++, r++) {
                        const double v = gradcheck_number(y, e);
                        if (v != base[r] && !(isnan(v) && isnan(base[r])))
                            k->moved[r * k->ins + column + j] = true;
                    }
                }
            }
        column += n;
    }
}

static inline void fieldcheck_judge(fieldcheck *k, const gradcheck *c, int how, const bool *forth) {
    int64_t column = 0;
    for (int i = 0; i < k->s.g->n_inputs; i++) {
        const int64_t n = gradcheck_count(&k->s.in[i]);
        for (int64_t j = column; j < column + n && fieldcheck_changes(k, c, i); j++)
            for (int64_t r = 0; r < k->outs; r++) {
                const bool in = k->set[r * k->ins + j], moved = k->moved[r * k->ins + j];
                if (moved && !in)
                    fail_msg("%s: output %lld changes with number %lld of input %d, which its "
                             "field lacks",
                             c->what, (long long)r, (long long)(j - column), k->s.from[i]);
                if (how & FIELDCHECK_EXACT && in && !moved)
                    fail_msg("%s: the field of output %lld has number %lld of input %d, which "
                             "changes nothing",
                             c->what, (long long)r, (long long)(j - column), k->s.from[i]);
                if (in != forth[r * k->ins + j])
                    fail_msg("%s: output %lld, number %lld of input %d: back and forth differ",
                             c->what, (long long)r, (long long)(j - column), k->s.from[i]);
            }
        column += n;
    }
}

static inline void fieldcheck_run(gradcheck *c, int how) {
    fieldcheck k = {0};
    gradcheck_build(&k.s, c, OMMA_F64);
    omma_arena_init(&k.arena, NULL);
    const omma_specialise_how all = {.reading = OMMA_READ_FIELD};
    if (omma_specialise(&k.sp, k.s.g, k.s.in, &all, &k.arena, &k.s.err))
        fail_msg("%s: %s", c->what, k.s.err.message);
    const void **numbers =
        omma_arena_array(&k.arena, (size_t)k.sp.graph->n_values + 1, sizeof *numbers);
    for (int i = 0; i < k.s.g->n_inputs && how & FIELDCHECK_KNOWN; i++)
        numbers[fieldcheck_value(&k, k.s.g->inputs[i]->name)->index] = k.s.in[i].data;
    if (omma_fields_new(&k.f, k.sp.graph, numbers, NULL, &k.s.err))
        fail_msg("%s: %s", c->what, k.s.err.message);
    for (int i = 0; i < k.s.g->n_inputs; i++) k.ins += gradcheck_count(&k.s.in[i]);
    for (int i = 0; i < k.s.n_of; i++)
        k.outs += gradcheck_count(omma_session_output(k.s.session, i));
    const size_t cells = (size_t)(k.ins * k.outs) + 1;
    k.set = omma_arena_array(&k.arena, cells, 1);
    k.moved = omma_arena_array(&k.arena, cells, 1);
    bool *forth = omma_arena_array(&k.arena, cells, 1);
    fieldcheck_sets(&k, c, true, k.set);
    fieldcheck_sets(&k, c, false, forth);
    fieldcheck_move(&k, c);
    fieldcheck_judge(&k, c, how, forth);
    omma_fields_free(&k.f);
    gradcheck_drop(&k.s);
    omma_arena_free(&k.arena);
    omma_arena_free(&c->arena);
    test_free(c);
}

#endif

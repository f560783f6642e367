/* graphmaker.h - a graph grown from bytes, and what it means: every node is inferred and run
 * as it is added, alone, in memory of its own, with the plain C kernels and without passes.
 * What a room refuses is left out again, so a step may ask for anything.
 *
 * How far may another way of computing be off? Each float value is computed twice, once (b)
 * with a little noise put on every result before it; where a and b differ, rounding counts. A
 * value is `same` when every way must give the same numbers: it was moved, not computed, or
 * all arithmetic was on small whole numbers. Operators that jump (Floor, TopK, Greater) read
 * only such values. */
#ifndef OMMA_FUZZ_GRAPHMAKER_H
#define OMMA_FUZZ_GRAPHMAKER_H

#include <math.h>
#include <stdarg.h>

#include "base/checked.h"
#include "fuzz.h"
#include "op/op.h"

enum { MAKER_VALUES = 512, MAKER_COUNT = 1 << 14, MAKER_ATTRS = 12, MAKER_INPUTS = 16 };

typedef struct made {
    omma_tensor a; /* the numbers; of this very size */
    void *b;       /* with noise; a.data when same */
    bool same, whole;
    double most; /* the largest magnitude */
    int reads;
} made;

typedef struct maker {
    const uint8_t *p, *end;
    omma_arena arena;
    omma_graph *g;
    const omma_kernels *kern;
    made v[MAKER_VALUES];
    void *owned[MAKER_VALUES * 4];
    int n_owned;
    uint32_t noise;
    double flops;
} maker;

/* How an operator treats its numbers. */
typedef enum manner {
    MOVES, /* same in, same out */
    ADDS,  /* sums and products: exact on small whole numbers */
    ROUNDS,
    JUMPS /* like MOVES, but may only read what is the same */
} manner;

/* --- bytes -------------------------------------------------------------------------- */

static unsigned take(maker *m, unsigned n) {
    unsigned c = m->p < m->end ? *m->p++ : 0;
    return n > 1 ? c % n : 0;
}

static bool chance(maker *m, unsigned of) { return take(m, of) == of - 1; }

static uint32_t noise(maker *m) { return (m->noise = m->noise * 1664525u + 1013904223u) >> 8; }

/* --- values ------------------------------------------------------------------------- */

static void *own(maker *m, size_t bytes) {
    void *p = NULL;
    FUZZ_CHECK(m->n_owned < MAKER_VALUES * 4, "too many values");
    FUZZ_CHECK(!posix_memalign(&p, 64, bytes ? bytes : 1), "no memory");
    memset(p, 0x5a, bytes);
    return m->owned[m->n_owned++] = p;
}

static made *of(maker *m, const omma_value *v) { return &m->v[v->index]; }

static bool is_float(omma_dtype t) { return t == OMMA_F32 || t == OMMA_F64; }

static double at(const omma_tensor *t, int64_t i) { return omma_get_number(t->dtype, t->data, i); }

/* Fill in most and whole; false when a number is beyond reason. */
static bool measure(made *x) {
    int64_t n = omma_tensor_count(&x->a);
    x->most = 0, x->whole = true;
    for (int64_t i = 0; i < n; i++) {
        double v = at(&x->a, i);
        if (!isfinite(v) || (is_float(x->a.dtype) && fabs(v) > 1e4)) return false;
        x->most = fmax(x->most, fabs(v));
        x->whole = x->whole && v == nearbyint(v);
    }
    x->whole = x->whole && x->most <= 1024;
    return true;
}

static const char *name(maker *m, const char *kind) {
    const char *s = omma_arena_printf(&m->arena, "%s%d", kind, m->g->n_values);
    FUZZ_CHECK(s, "no memory");
    return s;
}

static omma_value *constant(maker *m, omma_dtype t, int rank, const int64_t *dims,
                            const void *data) {
    if (m->g->n_values >= MAKER_VALUES) return NULL;
    size_t bytes;
    if (!omma_dims_bytes(dims, rank, omma_dtype_size(t), &bytes) || bytes > 1 << 16) return NULL;
    void *copy = own(m, bytes);
    if (bytes) memcpy(copy, data, bytes);
    omma_value *v = omma_graph_constant(m->g, name(m, "c"), t, rank, dims, copy);
    FUZZ_CHECK(v, "no memory");
    v->mem = copy;
    made *x = of(m, v);
    *x = (made){.b = copy, .same = true};
    x->a = omma_value_tensor(v);
    measure(x);
    return v;
}

static omma_value *ints(maker *m, int n, const int64_t *v) {
    return constant(m, OMMA_I64, 1, &(int64_t){n}, v);
}

static omma_value *scalar(maker *m, float f) { return constant(m, OMMA_F32, 0, NULL, &f); }

/* Random numbers: small whole ones, or around shift by scale. */
static omma_value *numbers(maker *m, bool whole, float scale, float shift, int rank,
                           const int64_t *dims) {
    static float data[MAKER_COUNT];
    int64_t n = 1;
    for (int i = 0; i < rank; i++) n *= dims[i];
    if (n < 0 || n > MAKER_COUNT) return NULL;
    m->noise ^= take(m, 256) * 2654435761u;
    for (int64_t i = 0; i < n; i++) {
        float u = (float)(noise(m) % 20001) / 10000 - 1;
        data[i] = whole ? (float)(int)(noise(m) % 5) - 2 : u * scale + shift;
    }
    return constant(m, OMMA_F32, rank, dims, data);
}

/* --- nodes -------------------------------------------------------------------------- */

typedef struct step {
    const char *op;
    omma_value *in[MAKER_INPUTS];
    int n_in, n_out, opset;
    omma_attr attrs[MAKER_ATTRS];
    int n_attrs;
    bool broken; /* an input it needs could not be had */
} step;

static step op(const char *op_) { return (step){.op = op_, .n_out = 1, .opset = 21}; }

static void put(step *s, omma_value *v) {
    if (!v || s->n_in == MAKER_INPUTS) s->broken = true;
    else s->in[s->n_in++] = v;
}

static void put_none(step *s) { s->in[s->n_in++] = NULL; }

static omma_attr *attr(step *s, const char *name_, omma_attr_kind kind) {
    FUZZ_CHECK(s->n_attrs < MAKER_ATTRS, "too many attributes");
    omma_attr *a = &s->attrs[s->n_attrs++];
    *a = (omma_attr){.name = name_, .kind = kind};
    return a;
}

static void attr_int(step *s, const char *name_, int64_t v) {
    attr(s, name_, OMMA_ATTR_INT)->i = v;
}

static void attr_float(step *s, const char *name_, float v) {
    attr(s, name_, OMMA_ATTR_FLOAT)->f = v;
}

static void attr_str(step *s, const char *name_, const char *v) {
    attr(s, name_, OMMA_ATTR_STRING)->s = v;
}

static void attr_ints(maker *m, step *s, const char *name_, const int64_t *v, int n) {
    omma_attr *a = attr(s, name_, OMMA_ATTR_INTS);
    int64_t *copy = omma_arena_array(&m->arena, (size_t)n, sizeof *copy);
    FUZZ_CHECK(copy, "no memory");
    for (int i = 0; i < n; i++) copy[i] = v[i];
    a->ints = copy, a->count = n;
}

/* May all ways be trusted to give the same numbers, going by the inputs? */
static bool inputs_same(maker *m, const step *s, manner how) {
    double product = 1, count = 1;
    bool whole = true, same = true;
    for (int i = 0; i < s->n_in; i++) {
        if (!s->in[i]) continue;
        const made *x = of(m, s->in[i]);
        same &= x->same, whole &= x->whole;
        product *= fmax(x->most, 1);
        count = fmax(count, (double)omma_tensor_count(&x->a));
    }
    if (how == ADDS) return same && whole && product * count < 1 << 22;
    return same && how != ROUNDS;
}

/* Run a node on the numbers a or b of its inputs. */
static bool run_on(maker *m, omma_node *n, bool b) {
    omma_error err = {0};
    omma_exec x = {.threads = 1, .kern = m->kern, .err = &err};
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i]) n->in[i]->mem = b ? of(m, n->in[i])->b : of(m, n->in[i])->a.data;
    for (int i = 0; i < n->n_out; i++) n->out[i]->mem = own(m, omma_value_bytes(n->out[i]));
    if (n->op->flags & OMMA_OP_VIEW && n->n_out == 1) {
        if (omma_value_bytes(n->out[0]))
            memcpy(n->out[0]->mem, n->in[0]->mem, omma_value_bytes(n->out[0]));
        return true;
    }
    return !fuzz_status(n->op->run(&x, n), &err);
}

static bool infer(maker *m, omma_node *n) {
    omma_error err = {0};
    omma_build b = {.arena = &m->arena, .err = &err, .kern = m->kern};
    if (fuzz_status(n->op->infer(&b, n), &err)) return false;
    double flops = n->op->flops ? n->op->flops(n) : 0;
    for (int i = 0; i < n->n_out; i++) {
        FUZZ_CHECK(omma_value_known(n->out[i]), "%s leaves output %d open", n->op->name, i);
        if (omma_value_count(n->out[i]) > MAKER_COUNT) return false;
        flops += (double)omma_value_count(n->out[i]);
    }
    if (m->flops + flops > 4e6) return false;
    m->flops += flops;
    if (n->op->prepare && fuzz_status(n->op->prepare(&b, n), &err)) return false;
    if (n->scratch > 1 << 22) return false;
    n->work = own(m, n->scratch);
    return true;
}

/* How large the numbers are that are rounded on the way to x: sums may cancel, and functions go
 * through numbers around one, so more than what comes out. */
static double inner_size(maker *m, const omma_node *n, const made *x, manner how) {
    double most = x->most, first = n->n_in && n->in[0] ? of(m, n->in[0])->most : 0;
    bool sums = strstr(n->op->name, "Reduce") || strstr(n->op->name, "Average") ||
                !strcmp(n->op->name, "CumSum");
    bool product = how == ADDS && n->op->flops && n->n_in > 1 && n->in[1] &&
                   n->op->flops(n) > 2 * (double)omma_value_count(n->out[0]);
    if (how == ROUNDS) most = fmax(most, 1.0 / 16);
    if (sums) most = fmax(most, first);
    if (product) most = fmax(most, first * of(m, n->in[1])->most);
    return most;
}

static void add_noise(maker *m, const made *x, double size) {
    int64_t n = omma_tensor_count(&x->a);
    for (int64_t i = 0; i < n; i++) {
        double u = (double)(noise(m) % 2001) / 1000 - 1, v = omma_get_number(x->a.dtype, x->b, i);
        omma_set_number(x->a.dtype, x->b, i, v + u * size * 0x1p-21);
    }
}

static bool all_finite(const made *x) {
    int64_t n = omma_tensor_count(&x->a);
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(omma_get_number(x->a.dtype, x->b, i))) return false;
    return true;
}

static bool evaluate(maker *m, omma_node *n, bool same, manner how) {
    if (!infer(m, n) || !run_on(m, n, false)) return false;
    bool all_same = true;
    for (int i = 0; i < n->n_out; i++) {
        made *x = of(m, n->out[i]);
        x->a = omma_value_tensor(n->out[i]);
        x->b = x->a.data;
        if (!measure(x)) return false;
        bool num = is_float(x->a.dtype);
        x->same = same && (how != ADDS || x->whole || !num);
        if (!x->same && !num) return false;
        all_same &= x->same;
    }
    if (all_same) return true;
    void *kept[8];
    for (int i = 0; i < n->n_out; i++) kept[i] = n->out[i]->mem;
    if (!run_on(m, n, true)) return false;
    for (int i = 0; i < n->n_out; i++) {
        made *x = of(m, n->out[i]);
        if (!x->same) {
            x->b = n->out[i]->mem;
            add_noise(m, x, inner_size(m, n, x, how));
            if (!all_finite(x)) return false;
        }
        n->out[i]->mem = kept[i];
    }
    return true;
}

static void forget_node(maker *m, int nodes, int values) {
    for (int i = values; i < m->g->n_values; i++) m->v[i] = (made){0};
    m->g->n_nodes = nodes, m->g->n_values = values;
}

/* Add the node; its first output, or NULL when it was refused. */
static omma_value *emit(maker *m, step *s, manner how) {
    const omma_op *row = omma_op_find(s->op);
    int values = m->g->n_values, nodes = m->g->n_nodes;
    if (s->broken || !row || !row->infer || !row->run) return NULL;
    if (s->n_in < row->min_in || (row->max_in >= 0 && s->n_in > row->max_in)) return NULL;
    if (s->n_out < row->min_out || (row->max_out >= 0 && s->n_out > row->max_out)) return NULL;
    if (values + s->n_out > MAKER_VALUES || nodes > 60) return NULL;
    if (m->n_owned + 16 > MAKER_VALUES * 4 || s->n_out > 8) return NULL;
    bool same = inputs_same(m, s, how);
    if (how == JUMPS && !same) return NULL;
    omma_node *n = omma_graph_node(m->g, row, name(m, s->op), s->n_in, s->n_out);
    omma_attr *attrs = omma_arena_array(&m->arena, (size_t)s->n_attrs, sizeof *attrs);
    FUZZ_CHECK(n && attrs, "no memory");
    memcpy(attrs, s->attrs, (size_t)s->n_attrs * sizeof *attrs);
    n->attrs = attrs, n->n_attrs = s->n_attrs, n->opset = s->opset;
    for (int i = 0; i < s->n_in; i++) n->in[i] = s->in[i];
    for (int i = 0; i < s->n_out; i++)
        omma_node_set_output(n, i, omma_graph_value(m->g, name(m, "v")));
    if (!evaluate(m, n, same, how)) {
        forget_node(m, nodes, values);
        return NULL;
    }
    for (int i = 0; i < s->n_in; i++)
        if (s->in[i]) of(m, s->in[i])->reads++;
    for (int i = 0; i < s->n_out; i++) /* whole numbers may decide shapes later on */
        if (n->out[i]->dtype == OMMA_I64) n->out[i]->data = n->out[i]->mem;
    return n->out[0];
}

/* --- beginning and end ---------------------------------------------------------------- */

static void maker_begin(maker *m, const uint8_t *data, size_t size) {
    *m = (maker){.p = data, .end = data + size, .noise = 12345};
    omma_arena_init(&m->arena, NULL);
    m->g = omma_graph_new(&m->arena, "made");
    m->kern = omma_kernels_named("c");
    FUZZ_CHECK(m->g && m->kern, "no memory");
}

static omma_value *maker_input(maker *m, omma_dtype t, int rank, const int64_t *dims) {
    omma_value *v = numbers(m, chance(m, 2), 1, 0, rank, dims);
    FUZZ_CHECK(v && t == OMMA_F32, "no input");
    v->data = NULL, v->is_input = true;
    return v;
}

/* The graph as a file would give it: nothing known but what it declares. */
static void maker_end(maker *m, omma_value **inputs, int n_inputs, omma_value **outputs,
                      int n_outputs) {
    omma_graph *g = m->g;
    g->inputs = inputs, g->n_inputs = n_inputs;
    g->outputs = outputs, g->n_outputs = n_outputs;
    for (int i = 0; i < n_outputs; i++) outputs[i]->is_output = true;
    for (int i = 0; i < g->n_values; i++) {
        omma_value *v = g->values[i];
        v->mem = NULL;
        if (!v->producer) continue;
        v->data = NULL, v->dtype = OMMA_NONE, v->rank = -1;
        memset(v->dims, 0, sizeof v->dims);
    }
    for (int i = 0; i < g->n_nodes; i++) {
        omma_node *n = g->nodes[i];
        n->param = n->packed = NULL, n->packed_in = 0, n->scratch = 0, n->work = NULL;
    }
}

static void maker_free(maker *m) {
    for (int i = 0; i < m->n_owned; i++) free(m->owned[i]);
    omma_arena_free(&m->arena);
}

#endif

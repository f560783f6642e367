/* anatomy_graph.c - who reads what in a graph, what its nodes do to elements and axes, and ways
 * back along one stream of tokens. See anatomist.h. */
#include <ctype.h>
#include <string.h>

#include "field/anatomist.h"

static bool is_one_of(const omma_node *n, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!strcmp(n->op->name, names[i])) return true;
    return false;
}
#define IS_ONE_OF(n, names) is_one_of(n, names, sizeof(names) / sizeof *(names))

/* --- readers --------------------------------------------------------------------------------- */

/* Each value's readers once, in the order of the nodes. */
static bool reads_before(const omma_node *n, int i) {
    for (int k = 0; k < i; k++)
        if (n->in[k] == n->in[i]) return true;
    return false;
}

bool omma_anatomist_read(omma_anatomist *s) {
    const omma_graph *g = s->g;
    int total = 0;
    for (int i = 0; i < g->n_nodes; i++) total += g->nodes[i]->n_in;
    int *first = omma_arena_array(&s->tmp, (size_t)g->n_values + 2, sizeof *first);
    int *reader = omma_arena_array(&s->tmp, (size_t)total + 1, sizeof *reader);
    s->skip_of = omma_arena_array(&s->tmp, (size_t)g->n_values, sizeof *s->skip_of);
    s->seen = omma_arena_array(&s->tmp, (size_t)g->n_values, sizeof *s->seen);
    if (!first || !reader || !s->skip_of || !s->seen) return false;
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < g->n_nodes; i++)
            for (int k = 0; k < g->nodes[i]->n_in; k++) {
                const omma_value *v = g->nodes[i]->in[k];
                if (!v || reads_before(g->nodes[i], k)) continue;
                if (pass) reader[first[v->index + 1]++] = i;
                else first[v->index + 2]++;
            }
        for (int i = 2; i < g->n_values + 2 && !pass; i++) first[i] += first[i - 1];
    }
    s->first = first;
    s->reader = reader;
    return true;
}

/* --- products -------------------------------------------------------------------------------- */

static bool matmul(omma_product *p) {
    const int rank = p->n->out[0]->rank;
    for (int i = 0; i < 2; i++) {
        const omma_value *v = p->n->in[i];
        if (v->rank < 2) return false;
        for (int d = 0; d < v->rank; d++) p->at[i][d] = rank - v->rank + d;
        p->at[i][v->rank - 1 - i] = -1;
    }
    return true;
}

static bool gemm(omma_product *p) {
    const int64_t a = omma_node_int(p->n, "transA", 0), b = omma_node_int(p->n, "transB", 0);
    p->at[0][a ? 1 : 0] = 0, p->at[0][a ? 0 : 1] = -1;
    p->at[1][b ? 1 : 0] = -1, p->at[1][b ? 0 : 1] = 1;
    return true;
}

/* The letters of one term from *s on, "..." as the digits 0 to 7, the last of them 7. False: a term
 * that no product of two operands has. */
static bool term(const char **s, int rank, char letter[OMMA_MAX_RANK]) {
    int n = 0, letters = 0;
    for (const char *c = *s; *c && *c != ',' && *c != '-'; c++)
        letters += isalpha((uint8_t)*c) != 0;
    for (; **s && **s != ',' && **s != '-'; (*s)++) {
        if (isalpha((uint8_t) * *s) && n < OMMA_MAX_RANK) letter[n++] = **s;
        else if (**s == '.' && (*s)[1] == '.' && (*s)[2] == '.') {
            for (int dots = rank - letters; dots > 0 && n < OMMA_MAX_RANK; dots--)
                letter[n++] = (char)('8' - dots);
            *s += 2;
        } else if (**s != ' ') return false;
    }
    for (int i = 0; i < n; i++)
        for (int k = 0; k < i; k++)
            if (letter[i] == letter[k]) return false;
    return n == rank;
}

static bool einsum(omma_product *p) {
    char letter[3][OMMA_MAX_RANK];
    const char *s = omma_node_string(p->n, "equation", "");
    const omma_value *y = p->n->out[0];
    if (p->n->n_in != 2 || !strstr(s, "->") || p->n->in[0]->rank < 2 || p->n->in[1]->rank < 2)
        return false;
    if (!term(&s, p->n->in[0]->rank, letter[0]) || *s++ != ',') return false;
    if (!term(&s, p->n->in[1]->rank, letter[1]) || *s++ != '-' || *s++ != '>') return false;
    if (!term(&s, y->rank, letter[2])) return false;
    for (int i = 0; i < 2; i++)
        for (int d = 0; d < p->n->in[i]->rank; d++) {
            p->at[i][d] = -1;
            for (int k = 0; k < y->rank; k++)
                if (letter[2][k] == letter[i][d]) p->at[i][d] = k;
        }
    return true;
}

bool omma_product_of(omma_product *p, const omma_node *n) {
    *p = (omma_product){.n = n};
    if (!n->out[0]) return false;
    if (!strcmp(n->op->name, "MatMul")) return matmul(p);
    if (!strcmp(n->op->name, "Gemm")) return gemm(p);
    return !strcmp(n->op->name, "Einsum") && einsum(p);
}

/* --- elements -------------------------------------------------------------------------------- */

bool omma_keeps_elements(const omma_node *n) {
    static const char *const names[] = {"Add",     "Sub",       "Mul",     "Div",      "Where",
                                        "Clip",    "Tanh",      "Min",     "Max",      "Cast",
                                        "Dropout", "Identity",  "Reshape", "Flatten",  "Transpose",
                                        "Squeeze", "Unsqueeze", "Neg",     "CastLike", "Softmax"};
    return IS_ONE_OF(n, names) && n->out[0];
}

int omma_softmax_axis(const omma_node *n) {
    const omma_value *x = n->in[0];
    const bool matrix = n->opset < 13;
    int64_t axis = omma_node_int(n, "axis", matrix ? 1 : -1);
    int found = -1;
    if (axis < 0) axis += x->rank;
    if (!matrix) return (int)axis;
    for (int d = (int)axis; d < x->rank; d++) {
        if (x->dims[d] == 1) continue;
        if (found >= 0) return -1;
        found = d;
    }
    return found;
}

static bool identity(const omma_map *m) {
    return !m->item && m->first == 0 && m->stride == 1 && m->div == 1 && m->count == 1;
}

omma_moving omma_moving_axis(const omma_value *v, int axis) {
    return (omma_moving){v, {axis, 0, 1, v->dims[axis]}};
}

bool omma_moving_at(const omma_moving *m, const omma_value *v, omma_digit *g) {
    *g = omma_digit_see(m->g, m->of->rank, m->of->dims, v->rank, v->dims);
    return g->axis >= 0 && !g->off;
}

int omma_moving_whole(const omma_moving *m, const omma_value *v) {
    omma_digit g;
    if (!omma_moving_at(m, v, &g) || g.div != 1 || g.mod != v->dims[g.axis]) return -1;
    return g.axis;
}

bool omma_moving_pass(const omma_anatomist *s, omma_moving *m, const omma_node *n, int i) {
    const struct omma_node_field *nf = &s->f->fields.node[n->index];
    const omma_map *map = NULL;
    omma_digit g, to;
    if (strcmp(n->op->name, "Transpose"))
        return omma_value_count(n->in[i]) == omma_value_count(n->out[0]);
    if (!omma_moving_at(m, n->in[i], &g)) return false;
    for (int k = 0; k < nf->count; k++) {
        const omma_relation *r = nf->relation[k];
        const omma_step step = omma_digit_along(r, n->in[i], n->out[0], g, &to, &map);
        if (step != OMMA_STEP_SAME && (step != OMMA_STEP_MAP || !identity(map))) return false;
        *m = (omma_moving){n->out[0], to};
        return to.mod == g.mod;
    }
    return false;
}

int64_t omma_digit_step(const omma_value *v, const omma_digit *g) {
    int64_t step = g->div;
    for (int d = g->axis + 1; d < v->rank; d++) step *= v->dims[d];
    return step;
}

/* --- ways ------------------------------------------------------------------------------------ */

bool *omma_nodes_between(omma_anatomist *s, omma_arena *tmp, const omma_value *from,
                         const omma_value *to, bool *leads) {
    const omma_graph *g = s->g;
    const int start = from->producer ? from->producer->index + 1 : 0;
    const int end = to->producer ? to->producer->index + 1 : 0;
    bool *on = omma_arena_array(tmp, (size_t)g->n_nodes + 1, sizeof *on);
    bool *has = omma_arena_array(tmp, (size_t)g->n_values, sizeof *has);
    bool *wants = omma_arena_array(tmp, (size_t)g->n_values, sizeof *wants);
    if (!on || !has || !wants) return NULL;
    has[from->index] = wants[to->index] = true;
    for (int i = start; i < end; i++) {
        const omma_node *n = g->nodes[i];
        for (int k = 0; k < n->n_in; k++) on[i] |= n->in[k] && has[n->in[k]->index];
        for (int k = 0; k < n->n_out; k++)
            if (n->out[k] && on[i]) has[n->out[k]->index] = true;
    }
    for (int i = end - 1; i >= start; i--) {
        const omma_node *n = g->nodes[i];
        bool wanted = false;
        for (int k = 0; k < n->n_out; k++) wanted |= n->out[k] && wants[n->out[k]->index];
        on[i] &= wanted;
        for (int k = 0; k < n->n_in; k++)
            if (n->in[k] && on[i]) wants[n->in[k]->index] = true;
    }
    *leads = from != to && has[to->index];
    return on;
}

static bool chooses(const omma_anatomist *s, const omma_node *n) {
    const struct omma_node_field *nf = &s->f->fields.node[n->index];
    bool control = false, value = false;
    for (int k = 0; k < nf->count; k++) {
        control |= nf->relation[k]->path == OMMA_PATH_CONTROL;
        value |= nf->relation[k]->path == OMMA_PATH_VALUE;
    }
    return control && value;
}

/* The one input of n that depends on anything; of several the first of v's size. */
static const omma_value *one_input(const omma_anatomist *s, const omma_node *n,
                                   const omma_value *v) {
    const omma_value *only = NULL, *same = NULL;
    int count = 0;
    for (int i = 0; i < n->n_in; i++) {
        const omma_value *x = n->in[i];
        if (!x || !s->depends[x->index]) continue;
        only = x;
        count++;
        if (!same && omma_value_count(x) == omma_value_count(v)) same = x;
    }
    return count == 1 ? only : same;
}

const omma_value *omma_value_before(const omma_anatomist *s, const omma_value *v) {
    static const char *const joins[] = {"Concat", "MatMul", "Gemm", "Einsum"};
    const omma_node *n = v->producer;
    int count = 0;
    if (!n) return NULL;
    for (int i = 0; i < n->n_in; i++) count += n->in[i] && s->depends[n->in[i]->index];
    if (count > 1 && IS_ONE_OF(n, joins)) return NULL;
    return one_input(s, n, v);
}

omma_origin omma_origin_of(const omma_anatomist *s, const omma_value *v) {
    while (s->depends[v->index]) {
        const omma_value *x = s->skip_of[v->index];
        if (!x && v->producer && chooses(s, v->producer)) return OMMA_ORIGIN_CHOSEN;
        if (!x) x = omma_value_before(s, v);
        if (!x) return OMMA_ORIGIN_PLACE;
        v = x;
    }
    return OMMA_ORIGIN_CONSTANT;
}

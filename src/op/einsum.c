/* einsum.c - Einsum: sums of products named by letters, "bij,bjk->bik".
 *
 * Every letter is an index; the letters behind "->" stay, the others are summed over.
 * "..." stands for any number of leading-aligned indices that broadcast. Without "->" the
 * result has the "..." indices and then, in alphabetical order, the letters that occur
 * once. A letter may occur twice in one term (a diagonal).
 *
 * infer turns the equation into a loop nest: per index its length and the stride of every
 * operand and of the result, result indices first. The general way runs it as it stands;
 * two f32 operands whose indices fall into batch, row, column and summed groups, each of
 * even stride, become matrix products. Source: ONNX Einsum 12; numpy.einsum. */
#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "op/field.h"
#include "op/fused.h"
#include "op/grad.h"
#include "op/window.h"

enum {
    LETTERS = 52,
    LABELS = LETTERS + OMMA_MAX_RANK, /* letters, then the indices of "...", outermost first */
    DOTS = LETTERS,
    MAX_OPERANDS = 64
};

/* An index of the nest. */
typedef struct loop {
    int64_t len;
    int64_t out;       /* stride in the result; 0 when summed over */
    const int64_t *in; /* stride in each operand */
    bool kept;
} loop;

/* A run of loops that counts as one: length and strides, all even. */
typedef struct group {
    int64_t len, a, b, out;
} group;

typedef struct einsum_param {
    int n_loops, n_kept; /* the result's indices come first */
    loop *loops;         /* [n_loops] */
    int64_t out_count, sum_count;
    bool fast, swapped; /* swapped: the rows come from operand 1 */
    int n_batch;
    loop *batch; /* of the fast way */
    group row, col, sum;
    size_t a_at;      /* bytes: where a copy of a's matrix goes */
    const int **term; /* by operand, and behind them the result: the label of each dim */
} einsum_param;

/* The equation while it is taken apart. */
typedef struct parse {
    omma_build *b;
    const omma_node *n;
    const char *s;       /* what is left */
    int64_t len[LABELS]; /* 0 length is possible, -1: not seen */
    int times[LABELS];
    int64_t *stride[LABELS]; /* [n_in] of each label */
    int dots;                /* indices "..." stands for, the most of any operand */
    const int **term;        /* [n_in + 1] */
} parse;

static int label_of(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    return -1;
}

static void skip_blanks(parse *p) {
    while (*p->s == ' ') p->s++;
}

/* The labels of one term into list, "..." as `dots` labels; *has_dots set when it occurs. */
static omma_status term(parse *p, int dots, int *list, int *count, bool *has_dots) {
    *count = 0;
    *has_dots = false;
    for (skip_blanks(p); *p->s && *p->s != ',' && strncmp(p->s, "->", 2) != 0; skip_blanks(p)) {
        int label = label_of(*p->s), n = 1;
        bool ellipsis = !strncmp(p->s, "...", 3);
        if (ellipsis && *has_dots)
            return omma_bad(p->b, p->n, "a term of the equation has '...' twice");
        if (label < 0 && !ellipsis)
            return omma_bad(p->b, p->n,
                            "the equation has '%c' where a letter, '...', ',' or '->' should be",
                            *p->s);
        if (ellipsis) label = DOTS + p->dots - dots, n = dots, *has_dots = true;
        if (*count + n > OMMA_MAX_RANK)
            return omma_bad(p->b, p->n, "a term of the equation has more than %d indices",
                            OMMA_MAX_RANK);
        while (n--) list[(*count)++] = label++;
        p->s += ellipsis ? 3 : 1;
    }
    return OMMA_OK;
}

/* Keep the labels of operand i, or of the result behind the last. */
static omma_status keep_term(parse *p, int i, const int *list, int count) {
    int *copy = omma_arena_array(p->b->arena, (size_t)count + 1, sizeof *copy);
    if (!copy) return omma_nomem(p->b, p->n);
    if (count) memcpy(copy, list, (size_t)count * sizeof *copy);
    p->term[i] = copy;
    return OMMA_OK;
}

/* Operand i has these labels: note their lengths and strides. */
static omma_status bind(parse *p, int i, const int *list) {
    const omma_value *v = p->n->in[i];
    int64_t strides[OMMA_MAX_RANK];
    omma_strides(v->dims, v->rank, strides);
    for (int d = 0; d < v->rank; d++) {
        int l = list[d];
        int64_t len = v->dims[d];
        if (p->len[l] >= 0 && p->len[l] != len && p->len[l] != 1 && len != 1)
            return omma_bad(
                p->b, p->n,
                "one index of the equation is %lld long in one place and %lld in another",
                (long long)p->len[l], (long long)len);
        if (p->len[l] < 0 || p->len[l] == 1) p->len[l] = len;
        if (len != 1) p->stride[l][i] += strides[d];
        p->times[l]++;
    }
    return OMMA_OK;
}

/* Indices "..." stands for in operand i: its rank less the letters of its term. */
static omma_status count_dots(parse *p, int i, int *dots) {
    int list[OMMA_MAX_RANK], count;
    bool has;
    OMMA_TRY(term(p, 0, list, &count, &has));
    *dots = p->n->in[i]->rank - count;
    if (*dots < 0 || (*dots > 0 && !has))
        return omma_bad(p->b, p->n, "the equation names %d indices of input %d, which has rank %d",
                        count, i, p->n->in[i]->rank);
    return OMMA_OK;
}

static omma_status terms(parse *p, bool counting) {
    int list[OMMA_MAX_RANK], count;
    bool has;
    for (int i = 0; i < p->n->n_in; i++) {
        const char *start = p->s;
        int dots;
        OMMA_TRY(count_dots(p, i, &dots));
        if (counting) {
            if (dots > p->dots) p->dots = dots;
        } else {
            p->s = start;
            OMMA_TRY(term(p, dots, list, &count, &has));
            OMMA_TRY(keep_term(p, i, list, count));
            OMMA_TRY(bind(p, i, list));
        }
        if (*p->s == ',' && i + 1 < p->n->n_in) p->s++;
        else if (*p->s == ',' || i + 1 < p->n->n_in)
            return omma_bad(p->b, p->n,
                            "the equation's number of terms is not the number of inputs, %d",
                            p->n->n_in);
    }
    return OMMA_OK;
}

/* The result's labels, in order. */
static omma_status result(parse *p, int *list, int *count) {
    bool has;
    if (*p->s) {
        p->s += 2;
        OMMA_TRY(term(p, p->dots, list, count, &has));
        if (*p->s) return omma_bad(p->b, p->n, "the equation goes on behind its result");
        for (int i = 0; i < *count; i++)
            for (int j = 0; j <= i; j++)
                if (p->len[list[i]] < 0 || (j < i && list[i] == list[j]))
                    return omma_bad(p->b, p->n, "the equation's result names an index %s",
                                    j < i ? "twice" : "no input has");
        return OMMA_OK;
    }
    *count = 0;
    for (int l = 0; l < LABELS; l++) {
        int at = l < p->dots ? DOTS + l : l - p->dots; /* "..." first */
        if (at < DOTS ? p->times[at] != 1 : l >= p->dots) continue;
        if (*count == OMMA_MAX_RANK)
            return omma_unsupported(p->b, p->n, "a result of more than %d indices", OMMA_MAX_RANK);
        list[(*count)++] = at;
    }
    return OMMA_OK;
}

static omma_status build_nest(parse *p, einsum_param *e, const int *out, int n_out, int64_t *dims) {
    int64_t strides[OMMA_MAX_RANK], lens[LABELS];
    e->loops = omma_arena_array(p->b->arena, LABELS, sizeof *e->loops);
    if (!e->loops) return omma_nomem(p->b, p->n);
    for (int i = 0; i < n_out; i++) dims[i] = p->len[out[i]];
    if (!omma_dims_count(dims, n_out, &e->out_count))
        return omma_bad(p->b, p->n, "the result's size overflows");
    omma_strides(dims, n_out, strides);
    for (int i = 0; i < n_out; i++) {
        e->loops[e->n_loops++] = (loop){p->len[out[i]], strides[i], p->stride[out[i]], true};
        p->len[out[i]] = -1;
    }
    e->n_kept = e->n_loops;
    for (int l = 0; l < LABELS; l++)
        if (p->len[l] >= 0) e->loops[e->n_loops++] = (loop){p->len[l], 0, p->stride[l], false};
    for (int i = e->n_kept; i < e->n_loops; i++) lens[i - e->n_kept] = e->loops[i].len;
    if (!omma_dims_count(lens, e->n_loops - e->n_kept, &e->sum_count))
        return omma_bad(p->b, p->n, "the number of terms to sum overflows");
    return OMMA_OK;
}

/* --- the fast way -------------------------------------------------------------------- */

/* Join loop l to a group when it continues every stride evenly; the group's loops come
 * outermost first, so l must lie directly inside. */
static bool join(group *g, int64_t len, int64_t a, int64_t b, int64_t out) {
    if (len == 1) return true;
    if (g->len == 1) {
        *g = (group){len, a, b, out};
        return true;
    }
    if (g->a != a * len || g->b != b * len || g->out != out * len) return false;
    *g = (group){g->len * len, a, b, out};
    return true;
}

/* Try operand `first` as the left matrix. */
static bool as_product(einsum_param *e, int first) {
    e->row = e->col = e->sum = (group){1, 0, 0, 0};
    e->n_batch = 0;
    for (int i = 0; i < e->n_loops; i++) {
        const loop *l = &e->loops[i];
        int64_t a = l->in[first], b = l->in[!first];
        if (l->kept && a && b) e->batch[e->n_batch++] = *l;
        else if (l->len != 1 && !(l->kept ? join(b ? &e->col : &e->row, l->len, a, b, l->out)
                                          : a && b && join(&e->sum, l->len, a, b, 0)))
            return false;
    }
    bool worth = e->row.len > 1 || e->col.len > 1 || e->sum.len >= 64;
    return worth && (e->col.out == 1 || e->col.len == 1);
}

static omma_status plan_fast(omma_build *b, omma_node *n, einsum_param *e) {
    if (n->n_in != 2 || n->in[0]->dtype != OMMA_F32 || !e->out_count || !e->sum_count)
        return OMMA_OK;
    e->batch = omma_arena_array(b->arena, (size_t)e->n_loops + 1, sizeof *e->batch);
    if (!e->batch) return omma_nomem(b, n);
    e->fast = as_product(e, 0);
    if (!e->fast) e->fast = e->swapped = as_product(e, 1);
    return OMMA_OK;
}

/* --- infer and prepare ------------------------------------------------------------------ */

static bool summable(omma_dtype t) { return omma_dtype_size(t) != 0 && t != OMMA_BOOL; }

static omma_status einsum_infer(omma_build *b, omma_node *n) {
    einsum_param *e = omma_param(b, n, sizeof *e);
    parse *p = omma_arena_alloc(b->arena, sizeof *p);
    int out[OMMA_MAX_RANK], n_out;
    int64_t dims[OMMA_MAX_RANK];
    if (!e || !p) return omma_nomem(b, n);
    *p = (parse){.b = b, .n = n, .s = omma_node_string(n, "equation", "")};
    e->term = p->term = omma_arena_array(b->arena, (size_t)n->n_in + 1, sizeof *p->term);
    if (!p->term) return omma_nomem(b, n);
    for (int l = 0; l < LABELS; l++) {
        p->len[l] = -1;
        p->stride[l] = omma_arena_array(b->arena, (size_t)n->n_in, sizeof(int64_t));
        if (!p->stride[l]) return omma_nomem(b, n);
    }
    if (!summable(n->in[0]->dtype))
        return omma_unsupported(b, n, "type %s", omma_dtype_name(n->in[0]->dtype));
    for (int i = 0; i < n->n_in; i++)
        if (!n->in[i] || n->in[i]->dtype != n->in[0]->dtype)
            return omma_bad(b, n, "its inputs must be of one type");
    const char *start = p->s;
    OMMA_TRY(terms(p, true));
    p->s = start;
    OMMA_TRY(terms(p, false));
    OMMA_TRY(result(p, out, &n_out));
    OMMA_TRY(keep_term(p, n->n_in, out, n_out));
    OMMA_TRY(build_nest(p, e, out, n_out, dims));
    OMMA_TRY(plan_fast(b, n, e));
    return omma_out(b, n, 0, n->in[0]->dtype, n_out, dims);
}

static omma_status einsum_prepare(omma_build *b, omma_node *n) {
    einsum_param *e = (einsum_param *)n->param;
    size_t a = 0;
    if (!e->fast) return OMMA_OK;
    if (!omma_packed_bytes(b->kern, e->sum.len, e->col.len, &e->a_at) ||
        (e->sum.a != 1 && e->sum.len != 1 &&
         !omma_dims_bytes((int64_t[]){e->row.len, e->sum.len}, 2, sizeof(float), &a)) ||
        !omma_add(e->a_at, a, &n->scratch))
        return omma_bad(b, n, "its working memory overflows");
    return OMMA_OK;
}

/* --- run ------------------------------------------------------------------------------------ */

/* a's matrix as rows of consecutive numbers; copied when it is not. */
static const float *rows_of_a(const einsum_param *e, const float *a, float *copy, int64_t *pitch) {
    *pitch = e->row.len > 1 ? e->row.a : e->sum.len;
    if (e->sum.a == 1 || e->sum.len == 1) return a;
    *pitch = e->sum.len;
    for (int64_t i = 0; i < e->row.len; i++)
        for (int64_t k = 0; k < e->sum.len; k++)
            copy[i * e->sum.len + k] = a[i * e->row.a + k * e->sum.a];
    return copy;
}

static void run_products(const omma_exec *x, const omma_node *n, const einsum_param *e) {
    const float *a = n->in[e->swapped]->mem, *b = n->in[!e->swapped]->mem;
    float *y = n->out[0]->mem, *panel = n->work;
    float *copy = (float *)(void *)((char *)n->work + e->a_at);
    int64_t pitch_y = e->row.len > 1 ? e->row.out : e->col.len;
    int64_t batches = 1;
    for (int i = 0; i < e->n_batch; i++) batches *= e->batch[i].len;
    for (int64_t i = 0; i < batches; i++) {
        int64_t rest = i, at_a = 0, at_b = 0, at_y = 0, pitch;
        for (int d = e->n_batch - 1; d >= 0; d--) {
            int64_t at = rest % e->batch[d].len;
            rest /= e->batch[d].len;
            at_a += at * e->batch[d].in[e->swapped];
            at_b += at * e->batch[d].in[!e->swapped];
            at_y += at * e->batch[d].out;
        }
        const float *rows = rows_of_a(e, a + at_a, copy, &pitch);
        omma_gemm_pack(x->kern, panel, b + at_b, e->sum.b, e->col.b, e->sum.len, e->col.len,
                       x->threads);
        omma_gemm(x->kern, x->threads, e->row.len, e->col.len, e->sum.len, rows, pitch, panel,
                  y + at_y, pitch_y, NULL, NULL);
    }
}

typedef struct nest_job {
    const omma_node *n;
    const einsum_param *e;
    omma_dtype t;
} nest_job;

/* Step the summed indices; false after the last. at: offsets of the operands. */
static bool step(const nest_job *j, int64_t *index, int64_t *at) {
    const einsum_param *e = j->e;
    for (int l = e->n_loops - 1; l >= e->n_kept; l--) {
        const loop *o = &e->loops[l];
        bool wraps = ++index[l - e->n_kept] == o->len;
        int64_t by = wraps ? 1 - o->len : 1;
        for (int i = 0; i < j->n->n_in; i++) at[i] += by * o->in[i];
        if (!wraps) return true;
        index[l - e->n_kept] = 0;
    }
    return false;
}

static uint64_t whole(omma_dtype t, const void *p, int64_t i) {
    if (t == OMMA_I64 || t == OMMA_U64) return ((const uint64_t *)p)[i];
    return (uint64_t)(int64_t)omma_get_number(t, p, i);
}

static void set_whole(omma_dtype t, void *p, int64_t i, uint64_t v) {
    switch (omma_dtype_size(t)) {
    case 1: ((uint8_t *)p)[i] = (uint8_t)v; return;
    case 2: ((uint16_t *)p)[i] = (uint16_t)v; return;
    case 4: ((uint32_t *)p)[i] = (uint32_t)v; return;
    default: ((uint64_t *)p)[i] = v; return;
    }
}

/* One number of the result: floats summed in double, integers modulo their width. */
static void one(const nest_job *j, int64_t out, int64_t *at) {
    int64_t index[LABELS] = {0};
    double sum = 0;
    uint64_t whole_sum = 0;
    bool real = omma_is_float(j->t);
    if (j->e->sum_count) do {
            double v = 1;
            uint64_t w = 1;
            for (int i = 0; i < j->n->n_in; i++)
                if (real) v *= omma_number(j->t, j->n->in[i]->mem, at[i]);
                else w *= whole(j->t, j->n->in[i]->mem, at[i]);
            sum += v, whole_sum += w;
        } while (step(j, index, at));
    if (real) omma_set_number(j->t, j->n->out[0]->mem, out, sum);
    else set_whole(j->t, j->n->out[0]->mem, out, whole_sum);
}

/* Items are numbers of the result. The offsets of all operands live on the stack. */

static void nest_items(void *arg, int64_t begin, int64_t end, int worker) {
    const nest_job *j = arg;
    (void)worker;
    for (int64_t o = begin; o < end; o++) {
        int64_t at[MAX_OPERANDS] = {0}, rest = o;
        for (int l = j->e->n_kept - 1; l >= 0; l--) {
            const loop *k = &j->e->loops[l];
            for (int i = 0; i < j->n->n_in; i++) at[i] += rest % k->len * k->in[i];
            rest /= k->len;
        }
        one(j, o, at);
    }
}

static omma_status einsum_run(const omma_exec *x, const omma_node *n) {
    const einsum_param *e = n->param;
    if (!n->out[0] || !e->out_count) return OMMA_OK;
    if (e->fast) {
        run_products(x, n, e);
        return OMMA_OK;
    }
    nest_job j = {n, e, n->in[0]->dtype};
    omma_parallel(x->threads, e->out_count, 1 + 4096 / (e->sum_count + 1), nest_items, &j);
    return OMMA_OK;
}

static double einsum_flops(const omma_node *n) {
    const einsum_param *e = n->param;
    return (double)n->n_in * (double)e->out_count * (double)e->sum_count;
}

/* --- the gradient --------------------------------------------------------------------------- */

/* The equation of a gradient while it is written: dy and the other operands come in, and eyes,
 * which say that two dims of the operand carry one index. */
typedef struct writing {
    omma_grad *g;
    const omma_node *n;
    char letter[LABELS]; /* of each label that occurs; 0: none yet */
    int used;            /* letters */
    char text[(MAX_OPERANDS + 1) * (OMMA_MAX_RANK + 1) + 4];
    int len;
    omma_value *in[MAX_OPERANDS];
    int n_in;
    bool has[LABELS]; /* a term that comes in has the label */
} writing;

static char fresh_letter(writing *w) {
    if (w->used == LETTERS) return 0;
    const int i = w->used++;
    return (char)(i < 26 ? 'a' + i : 'A' + i - 26);
}

static char letter_of(writing *w, int label) {
    if (!w->letter[label]) w->letter[label] = fresh_letter(w);
    return w->letter[label];
}

/* Operand v comes in with these labels. */
static void come_in(writing *w, omma_value *v, const int *labels) {
    if (w->n_in) w->text[w->len++] = ',';
    for (int d = 0; d < v->rank; d++) {
        w->text[w->len++] = letter_of(w, labels[d]);
        w->has[labels[d]] = true;
    }
    w->in[w->n_in++] = v;
}

/* The unit matrix of n rows, of like's type. */
static omma_value *eye(omma_maker *m, const omma_value *like, int64_t n) {
    const int64_t dims[] = {n, n};
    omma_value *flat =
        omma_make_2(m, "Expand", omma_make_number(m, like, 1), omma_make_ints(m, dims, 2));
    return omma_make_1(m, "EyeLike", flat);
}

/* Dim d of the operand carries the index of an earlier one: it gets a letter of its own and an eye
 * between the two. */
static char twin_letter(writing *w, const omma_value *x, int label, int64_t len) {
    const char first = letter_of(w, label), second = fresh_letter(w);
    if (w->n_in == MAX_OPERANDS || !second) return 0;
    w->text[w->len++] = ',';
    w->text[w->len++] = first;
    w->text[w->len++] = second;
    w->in[w->n_in++] = eye(&w->g->m, x, len);
    w->has[label] = true;
    return second;
}

/* The letters of what comes out for operand i, and its dims: those that nothing that comes in
 * has, and those of size 1, are left out, to be put back with size 1. */
static int write_result(writing *w, int i, char *out, int64_t *dims) {
    const einsum_param *e = w->n->param;
    const omma_value *x = w->n->in[i];
    const int *labels = e->term[i];
    int n_out = 0;
    bool first[LABELS] = {0};
    char own[OMMA_MAX_RANK] = {0};
    for (int d = 0; d < x->rank; d++) {
        if (x->dims[d] == 1) continue;
        if (first[labels[d]] && !(own[d] = twin_letter(w, x, labels[d], x->dims[d]))) return -1;
        first[labels[d]] = true;
    }
    for (int d = 0; d < x->rank; d++) {
        dims[d] = 1;
        if (x->dims[d] == 1 || !w->has[labels[d]]) continue;
        out[n_out++] = own[d] ? own[d] : letter_of(w, labels[d]);
    }
    return n_out;
}

/* Expand what came out, z, to the operand: letters that were left out, or have length 1 in all that
 * came in, are repeated. */
static omma_value *read_result(writing *w, int i, omma_value *z, int64_t *dims) {
    const einsum_param *e = w->n->param;
    const omma_value *x = w->n->in[i];
    for (int d = 0, k = 0; z && d < x->rank; d++)
        if (x->dims[d] != 1 && w->has[e->term[i][d]]) dims[d] = z->dims[k++];
    return omma_make_spread(&w->g->m, omma_make_reshape(&w->g->m, z, x->rank, dims), x);
}

static omma_status operand_grad(omma_grad *g, const omma_node *n, int i) {
    const einsum_param *e = n->param;
    omma_maker *m = &g->m;
    writing *w = omma_arena_alloc(m->g->arena, sizeof *w);
    char out[OMMA_MAX_RANK];
    int64_t dims[OMMA_MAX_RANK];
    if (!w) return omma_nomem(m->b, n);
    *w = (writing){.g = g, .n = n};
    come_in(w, omma_grad_out(g, n, 0), e->term[n->n_in]);
    for (int k = 0; k < n->n_in; k++)
        if (k != i) come_in(w, n->in[k], e->term[k]);
    const int n_out = write_result(w, i, out, dims);
    if (n_out < 0 || memchr(w->text, 0, (size_t)w->len))
        return omma_unsupported(m->b, n, "a gradient of more than %d letters or %d operands",
                                LETTERS, MAX_OPERANDS);
    memcpy(w->text + w->len, "->", 2);
    memcpy(w->text + w->len + 2, out, (size_t)n_out);
    const omma_attr equation = OMMA_A_STRING("equation", w->text);
    omma_value *z = omma_make(m, "Einsum", w->in, w->n_in, &equation, 1);
    return omma_grad_add(g, n, i, read_result(w, i, z, dims));
}

/* By an operand: the sum of products of the cotangent and the other operands, their letters in
 * other places. */
static omma_status einsum_grad(omma_grad *g, const omma_node *n) {
    for (int i = 0; i < n->n_in; i++)
        if (omma_grad_wants(g, n, i)) OMMA_TRY(operand_grad(g, n, i));
    return OMMA_OK;
}

/* --- the field ------------------------------------------------------------------------------ */

/* Elements of operand v whose places along dims of one index agree; NULL: all. */
static const uint64_t *diagonal(omma_field *f, const omma_value *v, const int *labels) {
    int before[OMMA_MAX_RANK]; /* a dim of the same index, or -1 */
    bool any = false;
    for (int d = 0; d < v->rank; d++) {
        before[d] = -1;
        for (int k = 0; k < d && v->dims[d] != 1; k++)
            if (labels[k] == labels[d] && v->dims[k] != 1) before[d] = k;
        any |= before[d] >= 0;
    }
    const int64_t count = omma_value_count(v);
    uint64_t *only =
        any ? omma_arena_array(f->b->arena, (size_t)(count + 63) / 64, sizeof *only) : NULL;
    if (any && !only) f->status = omma_nomem(f->b, f->n);
    for (int64_t i = 0; only && i < count; i++) {
        int64_t at[OMMA_MAX_RANK];
        bool same = true;
        omma_unravel(i, v->dims, v->rank, at);
        for (int d = 0; d < v->rank; d++) same &= before[d] < 0 || at[d] == at[before[d]];
        if (same) only[i / 64] |= UINT64_C(1) << (i % 64);
    }
    return only;
}

/* Where index d of r's input is in the result; -1: nowhere, or an earlier dim has the index, which
 * the diagonal ties this one to, or there is but one place. */
static int kept_at(const omma_relation *r, const int *labels, const int *result, int d) {
    if (r->in_dims[d] == 1) return -1;
    for (int k = 0; k < d; k++)
        if (labels[k] == labels[d] && r->in_dims[k] != 1) return -1;
    for (int k = 0; k < r->out_rank; k++)
        if (labels[d] == result[k] && r->in_dims[d] == r->out_dims[k]) return k;
    return -1;
}

/* An index that the result has is the same there; of the others, all places are read. */
static omma_status einsum_field(omma_field *f, const omma_node *n) {
    const einsum_param *e = n->param;
    for (int i = 0; i < n->n_in; i++) {
        omma_relation *r = omma_field_relate(f, 0, i);
        if (!r) continue;
        for (int d = 0; d < r->in_rank; d++) {
            const int from = kept_at(r, e->term[i], e->term[n->n_in], d);
            if (from >= 0) omma_relation_same(r, d, from);
        }
        r->in_only = diagonal(f, n->in[i], e->term[i]);
    }
    return f->status;
}

const omma_op omma_op_Einsum = {.name = "Einsum",
                                .min_in = 1,
                                .max_in = MAX_OPERANDS,
                                .min_out = 1,
                                .max_out = 1,
                                .infer = einsum_infer,
                                .prepare = einsum_prepare,
                                .run = einsum_run,
                                .flops = einsum_flops,
                                .grad = einsum_grad,
                                .field = einsum_field};

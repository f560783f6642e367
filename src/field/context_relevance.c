/* context_relevance.c - relevance in context.h. The rules of relevance.h make whole matrices; here
 * the rows that are asked for are carried down instead. With g a row over tokens at the top (the
 * mean of the rows asked for) and D = R - I:
 *
 *     self       R = (I + A'_L) .. (I + A'_1):  g D comes of  d <- d + (g + d) A'_l, l = L .. 1
 *     cross      R_qi = sum over cross-attentions t of  P_t N(R_qq,t)^T A'_t N(R_ii)
 *                P_t the product of I + A' of the self-attentions behind t, so g P_t is carried
 *                down, and  u = g P_t N(R_qq,t)^T A'_t  summed where R_ii is the same
 *     N(R_ii)    u N = u + (u / s) D - (u where s is 0 stays),  s = D 1, carried up by
 *                s <- s + A'_l (1 + s)
 *
 * D is carried, never R less I: where gradients are small, D is far below 1 and the difference
 * would be rounding. */
#include <math.h>
#include <string.h>

#include "field/context.h"
#include "field/dense.h"
#include "field/relevance.h"

typedef struct follow {
    const omma_slopes *s;
    const omma_relevance_ask *ask;
    const omma_anatomy *a;
    const omma_stack *top, *source;
    omma_arena *tmp;
    omma_error *err;
    double *prime; /* A' of the attention at hand, of whole sequences; as large as the largest */
    double *part;  /* of a window */
} follow;

static omma_status room(const follow *f, double **out, int64_t m, int64_t n) {
    return omma_dense_alloc(out, f->tmp, (int64_t[]){m, n}, 2, "relevance", f->err);
}

/* --- A' --------------------------------------------------------------------------------------- */

static void put_window(const follow *f, const omma_attention *a, int64_t w) {
    const omma_fov *fov = omma_sight_fov(f->s->c->sight);
    for (int64_t i = 0; i < a->queries; i++) {
        const int64_t q = omma_attention_token(a, fov, false, w, i);
        for (int64_t j = 0; j < a->keys && q >= 0; j++) {
            const int64_t k = omma_attention_token(a, fov, true, w, j);
            if (k >= 0) f->prime[q * a->key.count + k] += f->part[i * a->keys + j];
        }
    }
}

/* f->prime becomes A' of attention k, [tokens of the query, tokens of the key]. */
static omma_status make_prime(const follow *f, int k) {
    const omma_attention *a = &f->a->attention[k];
    const float *weights, *slope = f->s->slope[k];
    const int64_t n = a->windows / a->batch, matrix = a->heads * a->queries * a->keys;
    OMMA_TRY(omma_sight_read_weights(&weights, f->s->c->sight, k, f->err));
    memset(f->prime, 0, (size_t)(a->query.count * a->key.count) * sizeof *f->prime);
    for (int64_t w = f->ask->picture * n; w < (f->ask->picture + 1) * n; w++) {
        OMMA_TRY(omma_relevance_weights(f->part, weights + w * matrix, slope + w * matrix, a->heads,
                                        a->queries, a->keys, f->err));
        put_window(f, a, w);
    }
    return OMMA_OK;
}

/* Memory for the largest of the attentions on the way. */
static omma_status make_room(follow *f) {
    int64_t whole = 1, window = 1;
    for (int i = 0; i < f->top->n_step + f->source->n_step; i++) {
        const omma_stack_step *p =
            i < f->top->n_step ? &f->top->step[i] : &f->source->step[i - f->top->n_step];
        const omma_attention *a = &f->a->attention[p->attention];
        if (a->query.count * a->key.count > whole) whole = a->query.count * a->key.count;
        if (a->queries * a->keys > window) window = a->queries * a->keys;
    }
    OMMA_TRY(room(f, &f->prime, 1, whole));
    return room(f, &f->part, 1, window);
}

/* --- which rows ------------------------------------------------------------------------------- */

static bool any(const float *v, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (v[i] != 0) return true;
    return false;
}

/* Mark the rows of attention k that the gradient reaches; how many there are. */
static int64_t reached(const follow *f, int k, double *row) {
    const omma_attention *a = &f->a->attention[k];
    const omma_fov *fov = omma_sight_fov(f->s->c->sight);
    const int64_t n = a->windows / a->batch, first = f->ask->picture * n * a->heads * a->queries;
    int64_t count = 0;
    for (int64_t i = first; i < first + n * a->heads * a->queries; i++) {
        const int64_t q =
            omma_attention_token(a, fov, false, i / a->queries / a->heads, i % a->queries);
        if (q < 0 || row[q] > 0 || !any(f->s->slope[k] + i * a->keys, a->keys)) continue;
        row[q] = 1;
        count++;
    }
    return count;
}

/* The last step that tells of the source. */
static int last_step(const follow *f) {
    const int self = f->ask->stack, source = f->ask->source;
    for (int i = f->top->n_step - 1; i >= 0; i--)
        if (f->top->step[i].source == self || f->top->step[i].source == source) return i;
    return -1;
}

/* g: the row at the top, over tokens. */
static omma_status choose_rows(const follow *f, double *g, int64_t *rows) {
    const int64_t n = f->top->tokens->count;
    *rows = 1;
    if (f->ask->token >= 0) {
        g[f->ask->token] = 1;
        return OMMA_OK;
    }
    *rows = reached(f, f->top->step[last_step(f)].attention, g);
    if (!*rows)
        return omma_fail(f->err, OMMA_E_UNSUPPORTED,
                         "%s does not depend on the weights of %s, the last attention", f->s->says,
                         f->a->attention[f->top->step[last_step(f)].attention].label);
    for (int64_t i = 0; i < n; i++) g[i] /= (double)*rows;
    return OMMA_OK;
}

/* --- rows through layers ---------------------------------------------------------------------- */

/* d <- d + (g + d) A', f->prime [n, n]; sum [n] is working memory. */
static void take_layer(const follow *f, double *d, const double *g, double *sum, int64_t n) {
    for (int64_t i = 0; i < n; i++) sum[i] = g[i] + d[i];
    omma_dense_product(
        &(omma_product){.c = d, .a = sum, .b = f->prime, .m = 1, .k = n, .n = n, .add = true});
}

/* d [n] = g D of a stack's self-attentions before attention `before`. */
static omma_status carry_down(const follow *f, double *d, const double *g, int stack, int before) {
    const omma_stack *s = &f->s->c->stack[stack];
    const int64_t n = s->tokens->count;
    double *sum;
    OMMA_TRY(room(f, &sum, 1, n));
    memset(d, 0, (size_t)n * sizeof *d);
    for (int i = s->n_step - 1; i >= 0; i--) {
        if (s->step[i].source != stack || s->step[i].attention >= before) continue;
        OMMA_TRY(make_prime(f, s->step[i].attention));
        take_layer(f, d, g, sum, n);
    }
    return OMMA_OK;
}

/* s [n] = D 1 likewise. */
static omma_status carry_up(const follow *f, double *sums, int stack, int before) {
    const omma_stack *s = &f->s->c->stack[stack];
    const int64_t n = s->tokens->count;
    double *more;
    OMMA_TRY(room(f, &more, 1, n));
    memset(sums, 0, (size_t)n * sizeof *sums);
    for (int i = 0; i < s->n_step; i++) {
        if (s->step[i].source != stack || s->step[i].attention >= before) continue;
        OMMA_TRY(make_prime(f, s->step[i].attention));
        for (int64_t k = 0; k < n; k++) more[k] = 1 + sums[k];
        omma_dense_product(&(omma_product){
            .c = sums, .a = f->prime, .b = more, .m = n, .k = n, .n = 1, .add = true});
    }
    return OMMA_OK;
}

/* --- queries and what they read --------------------------------------------------------------- */

/* out += u N(R_ii) with the source's layers before attention `before`; u is used up. */
static omma_status pour(const follow *f, double *out, double *u, int before) {
    const int64_t n = f->source->tokens->count;
    double *sums, *d;
    OMMA_TRY(room(f, &sums, 1, n));
    OMMA_TRY(room(f, &d, 1, n));
    OMMA_TRY(carry_up(f, sums, f->ask->source, before));
    for (int64_t i = 0; i < n; i++) {
        out[i] += u[i];
        u[i] = sums[i] > 0 ? u[i] / sums[i] : 0;
    }
    OMMA_TRY(carry_down(f, d, u, f->ask->source, before));
    for (int64_t i = 0; i < n; i++) out[i] += d[i];
    memset(u, 0, (size_t)n * sizeof *u);
    return OMMA_OK;
}

/* N(R_qq) as it is at each cross-attention to the source: [steps][q][q]. */
static omma_status queries_up(const follow *f, double *normal) {
    const int64_t n = f->top->tokens->count;
    double *r;
    OMMA_TRY(room(f, &r, n, n));
    omma_dense_identity(r, n);
    for (int i = 0; i < f->top->n_step; i++) {
        const omma_stack_step *p = &f->top->step[i];
        if (p->source == f->ask->source) omma_relevance_normal(normal + i * n * n, r, n);
        if (p->source != f->ask->stack) continue;
        OMMA_TRY(make_prime(f, p->attention));
        OMMA_TRY(omma_relevance_self(r, n, f->prime, n, f->tmp, f->err));
    }
    return OMMA_OK;
}

/* How many layers of the source come before an attention. */
static int layers_before(const follow *f, int attention) {
    int n = 0;
    for (int i = 0; i < f->source->n_step; i++)
        n +=
            f->source->step[i].source == f->ask->source && f->source->step[i].attention < attention;
    return n;
}

/* u += g N(R_qq)^T A' of a cross-attention. */
static omma_status take_cross(const follow *f, double *u, const double *g, const double *normal,
                              int attention, double *read) {
    const int64_t q = f->top->tokens->count, n = f->source->tokens->count;
    OMMA_TRY(make_prime(f, attention));
    omma_dense_product(&(omma_product){.c = read, .a = normal, .b = g, .m = q, .k = q, .n = 1});
    omma_dense_product(
        &(omma_product){.c = u, .a = read, .b = f->prime, .m = 1, .k = q, .n = n, .add = true});
    return OMMA_OK;
}

static omma_status cross(const follow *f, double *out, double *g) {
    const int64_t q = f->top->tokens->count, n = f->source->tokens->count;
    double *normal, *u, *read, *more;
    int last = -1; /* the attention u was last added for */
    OMMA_TRY(room(f, &normal, f->top->n_step, q * q));
    OMMA_TRY(room(f, &u, 1, n));
    OMMA_TRY(room(f, &read, 2, q));
    more = read + q;
    OMMA_TRY(queries_up(f, normal));
    for (int i = f->top->n_step - 1; i >= 0; i--) {
        const omma_stack_step *p = &f->top->step[i];
        if (p->source == f->ask->source) {
            if (last >= 0 && layers_before(f, last) != layers_before(f, p->attention))
                OMMA_TRY(pour(f, out, u, last));
            OMMA_TRY(take_cross(f, u, g, normal + i * q * q, p->attention, read));
            last = p->attention;
        } else if (p->source == f->ask->stack) {
            OMMA_TRY(make_prime(f, p->attention));
            memset(more, 0, (size_t)q * sizeof *more);
            take_layer(f, more, g, read, q);
            for (int64_t k = 0; k < q; k++) g[k] += more[k];
        }
    }
    return pour(f, out, u, last);
}

/* --- asking ----------------------------------------------------------------------------------- */

static omma_status check(const omma_slopes *s, const omma_relevance_ask *ask, omma_error *err) {
    const omma_context *c = s->c;
    if (!s->slope) return omma_fail(err, OMMA_E_USAGE, "no target was taken");
    if (ask->stack < 0 || ask->stack >= c->n_stack || ask->source < 0 || ask->source >= c->n_stack)
        return omma_fail(err, OMMA_E_USAGE, "there are %d stacks of layers", c->n_stack);
    const omma_tokens *t = c->stack[ask->stack].tokens;
    if (ask->picture < 0 || ask->picture >= t->batch)
        return omma_fail(err, OMMA_E_USAGE, "there are %lld pictures, and no number %lld",
                         (long long)t->batch, (long long)ask->picture);
    if (ask->token < -1 || ask->token >= t->count)
        return omma_fail(err, OMMA_E_USAGE, "there are %lld tokens, and no number %lld",
                         (long long)t->count, (long long)ask->token);
    for (int i = 0; i < c->stack[ask->stack].n_step; i++)
        if (c->stack[ask->stack].step[i].source == ask->source) return OMMA_OK;
    return omma_fail(err, OMMA_E_USAGE, "no attention of stack %d reads from stack %d", ask->stack,
                     ask->source);
}

static omma_status relevance(double *out, int64_t *rows, follow *f) {
    const int64_t n = f->source->tokens->count;
    double *g;
    OMMA_TRY(make_room(f));
    OMMA_TRY(room(f, &g, 1, f->top->tokens->count));
    OMMA_TRY(choose_rows(f, g, rows));
    memset(out, 0, (size_t)n * sizeof *out);
    if (f->ask->source == f->ask->stack)
        return carry_down(f, out, g, f->ask->stack, f->a->n_attention);
    return cross(f, out, g);
}

omma_status omma_context_relevance(double *out, int64_t *rows, const omma_slopes *s,
                                   const omma_relevance_ask *ask, omma_arena *arena,
                                   omma_error *err) {
    int64_t none;
    OMMA_TRY(check(s, ask, err));
    omma_arena tmp;
    omma_arena_init(&tmp, arena->budget);
    follow f = {.s = s,
                .ask = ask,
                .a = omma_sight_anatomy(s->c->sight),
                .top = &s->c->stack[ask->stack],
                .source = &s->c->stack[ask->source],
                .tmp = &tmp,
                .err = err};
    const omma_status status = relevance(out, rows ? rows : &none, &f);
    omma_arena_free(&tmp);
    return status;
}

/* attend.c - attention on top of the matrix tile and one row function of the table; see
 * attend.h.
 *
 *              keys ->  one block of at most KEYS
 *            +---------+---------+---------+
 *    queries | tile    |         |         |    for each block of queries   (a chunk of work)
 *       |    +---------+---------+---------+      for each block of keys
 *       v    | tile    |         |         |        for each tile of mr queries
 *            +---------+---------+---------+          s = q kT, masks, softmax_part
 *                                                     o = o * what softmax_part says + s v
 *                                                 o /= sums
 *
 * Keys and values are packed for the tile first: by each worker for the head it works at when there
 * are many, else for all of them together. The blocks of keys depend on n alone, and a row's sums
 * on nothing but its own scores: so neither the other cuts nor the threads change a bit. */
#include "kernel/attend.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "kernel/table.h"

enum {
    SHORT = 64,     /* keys whose weights are no more work to divide than the result is */
    KEYS = 512,     /* most keys in a block: their scores for a tile stay near the L1 cache */
    TILES = 8,      /* most tiles in a block of queries, which share what L2 holds of the keys */
    CHUNKS = 16,    /* blocks of queries there should be in all */
    HEADS_APART = 4 /* heads a thread must have before each is packed by who works at it */
};

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }

/* --- cuts and memory ------------------------------------------------------------------ */

typedef struct cuts {
    int64_t heads, kv_heads;     /* kv_heads: different keys and values */
    int64_t key_blocks, panels;  /* panels of kern->nr keys */
    int64_t tiles, query_blocks; /* of a head */
    int64_t block_rows;          /* most queries in a block */
    int64_t lds;                 /* from a row of scores to the next [floats] */
    size_t k_floats, v_floats;   /* of a packed head */
    size_t own;                  /* bytes for a worker beside that */
} cuts;

static bool shared_axis(const omma_attention *p, int i) { return !p->k.outer[i] && !p->v.outer[i]; }

/* floats rounded up to whole cache lines, added to *bytes. */
static bool reserve(size_t *bytes, int64_t rows, int64_t row) {
    size_t more;
    return omma_dims_bytes((int64_t[]){rows, row}, 2, sizeof(float), &more) &&
           omma_align_up(more, 64, &more) && omma_add(*bytes, more, bytes);
}

static bool make_cuts(const omma_kernels *kern, const omma_attention *p, cuts *c) {
    size_t k = 0, v = 0;
    c->kv_heads = 1;
    for (int i = 0; i < OMMA_ATTENTION_OUTER; i++)
        if (!shared_axis(p, i) && __builtin_mul_overflow(c->kv_heads, p->outer[i], &c->kv_heads))
            return false;
    if (!omma_dims_count(p->outer, OMMA_ATTENTION_OUTER, &c->heads)) return false;
    c->panels = ceil_div(p->n, kern->nr);
    c->key_blocks = ceil_div(c->panels, KEYS / kern->nr);
    c->tiles = ceil_div(p->m, kern->mr);
    c->query_blocks = ceil_div(c->tiles, TILES);
    if (c->heads && c->query_blocks < CHUNKS / c->heads)
        c->query_blocks = min64(c->tiles, CHUNKS / c->heads);
    if (!c->query_blocks) c->query_blocks = 1;
    c->block_rows = ceil_div(c->tiles, c->query_blocks) * kern->mr;
    /* an odd number of cache lines, so that the rows of a tile do not meet in one set */
    c->lds = ceil_div(min64(p->n, KEYS), 16) * 16;
    if (c->lds % 32 == 0) c->lds += 16;
    if (!reserve(&k, c->panels * kern->nr, p->d) ||
        !reserve(&v, p->n, ceil_div(p->dv, kern->nr) * kern->nr))
        return false;
    c->k_floats = k / sizeof(float), c->v_floats = v / sizeof(float);
    c->own = 0;
    return reserve(&c->own, c->block_rows, p->d) && reserve(&c->own, kern->mr, c->lds) &&
           reserve(&c->own, 2, c->block_rows);
}

/* Does a worker pack the head it works at? Whoever does, the bits are the same. */
static bool apart(const cuts *c, int threads) {
    return c->kv_heads == c->heads && (threads <= 1 || c->heads >= HEADS_APART * (int64_t)threads);
}

bool omma_attention_scratch(const omma_kernels *kern, const omma_attention *p, int threads,
                            size_t *bytes) {
    cuts c;
    size_t heads, all;
    if (threads < 1) threads = 1;
    if (!make_cuts(kern, p, &c)) return false;
    const size_t packs = apart(&c, threads) ? (size_t)threads : (size_t)c.kv_heads;
    return omma_add(c.k_floats, c.v_floats, &all) && omma_mul(all, sizeof(float), &all) &&
           omma_mul(packs, all, &heads) && omma_mul((size_t)threads, c.own, &all) &&
           omma_add(heads, all, bytes);
}

/* --- packing --------------------------------------------------------------------------- */

typedef struct job {
    const omma_kernels *kern;
    const omma_attention *p;
    const omma_attention_data *x;
    cuts c;
    bool apart;
    bool order;   /* causal or with numbers of valid keys: rows see keys of their own */
    bool whole;   /* weights are divided by their sum, instead of the result */
    float *packs; /* packed heads, or one for each worker */
    char *own;    /* for each worker */
} job;

typedef struct head {
    int64_t at[OMMA_ATTENTION_OUTER];
    const float *k, *v; /* packed */
} head;

static int64_t start(const omma_attention_at *l, const int64_t *at) {
    int64_t s = 0;
    for (int i = 0; i < OMMA_ATTENTION_OUTER; i++) s += at[i] * l->outer[i];
    return s;
}

static void find_head(const job *j, int64_t i, int worker, head *h) {
    int64_t kv = 0;
    for (int a = OMMA_ATTENTION_OUTER - 1; a >= 0; a--) {
        h->at[a] = i % j->p->outer[a];
        i /= j->p->outer[a];
    }
    for (int a = 0; a < OMMA_ATTENTION_OUTER; a++)
        if (!shared_axis(j->p, a)) kv = kv * j->p->outer[a] + h->at[a];
    if (j->apart) kv = worker;
    h->k = j->packs + (size_t)kv * (j->c.k_floats + j->c.v_floats);
    h->v = h->k + j->c.k_floats;
}

static int64_t block_start(const job *j, int64_t block) {
    return min64(j->p->n, j->c.panels * block / j->c.key_blocks * j->kern->nr);
}

/* Pack keys [k0, k1), k0 the first of a panel, of the head into its place. */
static void pack_keys(const job *j, const head *h, int64_t k0, int64_t k1) {
    const omma_attention *p = j->p;
    const int nr = j->kern->nr;
    const float *k = j->x->k + start(&p->k, h->at) + k0 * p->k.row;
    const float *v = j->x->v + start(&p->v, h->at) + k0 * p->v.row;
    float *to_k = (float *)(uintptr_t)h->k + k0 * p->d, *to_v = (float *)(uintptr_t)h->v + k0 * nr;
    omma_gemm_pack(j->kern, to_k, k, p->k.col, p->k.row, p->d, k1 - k0, 1);
    for (int64_t c = 0; c < p->dv; c += nr, to_v += p->n * nr)
        omma_gemm_pack(j->kern, to_v, v + c * p->v.col, p->v.row, p->v.col, k1 - k0,
                       min64(nr, p->dv - c), 1);
}

/* Items are blocks of keys of all heads with keys of their own. */
static void pack_blocks(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    for (int64_t i = begin; i < end; i++) {
        const int64_t block = i % j->c.key_blocks;
        int64_t kv = i / j->c.key_blocks, first = 0, each = 1;
        for (int a = OMMA_ATTENTION_OUTER - 1; a >= 0; a--) { /* the first head that reads them */
            if (!shared_axis(j->p, a)) {
                first += kv % j->p->outer[a] * each;
                kv /= j->p->outer[a];
            }
            each *= j->p->outer[a];
        }
        head h;
        find_head(j, first, worker, &h);
        pack_keys(j, &h, block_start(j, block), block_start(j, block + 1));
    }
}

/* --- scores ---------------------------------------------------------------------------- */

typedef struct rows { /* a block of queries of one head */
    const head *h;
    int64_t first; /* query */
    const float *q;
    int64_t ldq;
    float *s; /* scores of one tile, [mr, lds] */
    float *top, *sum;
    float *o;
} rows;

/* How many of the first keys query i may see. */
static int64_t visible(const job *j, const head *h, int64_t i) {
    const omma_attention *p = j->p;
    int64_t end = p->n, offset = p->causal_offset;
    if (j->x->valid) {
        const int64_t *step = p->valid_step;
        end = j->x->valid[h->at[0] * step[0] + h->at[1] * step[1] + h->at[2] * step[2]];
        offset = end - p->m;
    }
    if (p->causal) end = min64(end, i + offset + 1);
    return end < 0 ? 0 : end;
}

/* A mask that is not a row of floats for each query is added here, to m rows from query row on. */
static void mask_slowly(const job *j, int i, int64_t at, int64_t m, int64_t n, float *s) {
    const omma_attention_at *l = &j->p->mask[i];
    const void *mask = j->x->mask[i];
    for (int64_t r = 0; r < m; r++, at += l->row, s += j->c.lds)
        for (int64_t k = 0; k < n; k++) {
            const int64_t e = at + k * l->col;
            if (!j->p->mask_is_bool[i]) s[k] += ((const float *)mask)[e];
            else if (!((const uint8_t *)mask)[e]) s[k] = -INFINITY;
        }
}

/* What comes before the masks when they, or what is done to the scores, leave no other way. */
static void scale_scores(const job *j, int64_t m, int64_t n, float *s) {
    const float *c = &j->p->softcap;
    for (int64_t r = 0; r < m; r++, s += j->c.lds) {
        j->kern->binary[OMMA_BIN_MUL](n, s, 1, &j->p->scale, 0, s);
        if (!(*c > 0)) continue;
        j->kern->binary[OMMA_BIN_DIV](n, s, 1, c, 0, s);
        j->kern->unary[OMMA_UN_TANH](n, s, s);
        j->kern->binary[OMMA_BIN_MUL](n, s, 1, c, 0, s);
    }
}

static bool is_plain(const omma_attention *p, int i) {
    return !p->mask_is_bool[i] && (p->mask[i].col == 1 || p->n == 1);
}

/* Weights from the scores of m rows from r0 of the block, and keys [k0, k0 + n). */
static void weigh(const job *j, const rows *r, int64_t r0, int64_t m, int64_t k0, int64_t n,
                  float *s, float *by) {
    const omma_attention *p = j->p;
    omma_softmax t = {.scale = p->scale, .by = by, .whole = j->whole};
    t.top = r->top + r0, t.sum = r->sum + r0;
    bool slow = !(p->scale > 0) || p->softcap > 0;
    for (int i = 0; i < OMMA_ATTENTION_MASKS; i++) slow |= j->x->mask[i] && !is_plain(p, i);
    if (slow) {
        scale_scores(j, m, n, s);
        t.scale = 1;
    }
    for (int i = 0, k = 0; i < OMMA_ATTENTION_MASKS; i++) {
        if (!j->x->mask[i]) continue;
        const omma_attention_at *l = &p->mask[i];
        const int64_t at = start(l, r->h->at) + (r->first + r0) * l->row + k0 * l->col;
        if (!is_plain(p, i)) mask_slowly(j, i, at, m, n, s);
        else t.add[k] = (const float *)j->x->mask[i] + at, t.add_ld[k++] = l->row;
    }
    j->kern->softmax_step((int)m, n, s, j->c.lds, &t);
}

/* The same where each row sees keys of its own; the others' weights, up to n, are 0. */
static void weigh_seen(const job *j, const rows *r, int64_t r0, int64_t m, int64_t k0, int64_t n,
                       float *by) {
    float *s = r->s;
    for (int64_t i = 0; i < m; i++, s += j->c.lds) {
        int64_t sees = min64(n, visible(j, r->h, r->first + r0 + i) - k0);
        by[i] = 1;
        if (sees > 0) weigh(j, r, r0 + i, 1, k0, sees, s, by + i);
        for (int64_t k = sees > 0 ? sees : 0; k < n; k++) s[k] = 0;
    }
}

/* Rows [r0, r0 + m) of the block meet keys [k0, k1). */
static void tile(const job *j, const rows *r, int64_t r0, int64_t m, int64_t k0, int64_t k1) {
    enum { MR_MAX = 32, LANES = 16 };
    const omma_attention *p = j->p;
    const int nr = j->kern->nr;
    float *o = r->o + r0 * p->o.row, by[MR_MAX];
    const int64_t n = j->order ? min64(k1, visible(j, r->h, r->first + r0 + m - 1)) - k0 : k1 - k0;
    for (int64_t i = 0; n <= 0 && k0 == 0 && i < m; i++)
        memset(o + i * p->o.row, 0, (size_t)p->dv * sizeof *o);
    if (n <= 0) return;
    const int64_t columns = min64(ceil_div(n, LANES) * LANES, j->c.panels * nr - k0);
    omma_gemm_block(j->kern, m, columns, p->d, r->q + r0 * r->ldq, r->ldq, r->h->k + k0 * p->d,
                    p->d * nr, r->s, j->c.lds, false, NULL);
    if (j->order) weigh_seen(j, r, r0, m, k0, n, by);
    else weigh(j, r, r0, m, k0, n, r->s, by);
    for (int64_t i = 0; k0 && i < m; i++)
        if (by[i] != 1)
            j->kern->binary[OMMA_BIN_MUL](p->dv, o + i * p->o.row, 1, by + i, 0, o + i * p->o.row);
    omma_gemm_block(j->kern, m, p->dv, n, r->s, j->c.lds, r->h->v + k0 * nr, p->n * nr, o, p->o.row,
                    k0 > 0, NULL);
}

/* --- a block of queries ----------------------------------------------------------------- */

/* Rows that lie in a few sets of the L1 cache push one another out of it: they are copied. */
static bool reads_queries(const omma_attention *p) { return p->q.col == 1 && p->q.row % 512 != 0; }

static void find_queries(const job *j, rows *r, int64_t count, float *copy) {
    const omma_attention *p = j->p;
    const float *q = j->x->q + start(&p->q, r->h->at) + r->first * p->q.row;
    r->q = reads_queries(p) ? q : copy;
    r->ldq = reads_queries(p) ? p->q.row : p->d;
    for (int64_t i = 0; r->q == copy && i < count; i++, q += p->q.row)
        for (int64_t c = 0; c < p->d; c++) copy[i * p->d + c] = q[c * p->q.col];
}

static void do_queries(const job *j, const head *h, int64_t block, int worker) {
    const omma_attention *p = j->p;
    const cuts *c = &j->c;
    const int64_t t0 = c->tiles * block / c->query_blocks,
                  t1 = c->tiles * (block + 1) / c->query_blocks;
    const int64_t first = p->m * t0 / c->tiles, count = p->m * t1 / c->tiles - first;
    float *at = (float *)(void *)(j->own + (size_t)worker * c->own);
    rows r = {.h = h, .first = first};
    r.s = at + ceil_div(c->block_rows * p->d, 16) * 16;
    r.top = r.s + j->kern->mr * c->lds, r.sum = r.top + c->block_rows;
    r.o = j->x->o + start(&p->o, h->at) + first * p->o.row;
    find_queries(j, &r, count, at);
    for (int64_t i = 0; i < count; i++) r.top[i] = -INFINITY, r.sum[i] = 0;
    for (int64_t b = 0; b < c->key_blocks; b++)
        for (int64_t t = t0; t < t1; t++) {
            const int64_t r0 = p->m * t / c->tiles - first, r1 = p->m * (t + 1) / c->tiles - first;
            tile(j, &r, r0, r1 - r0, block_start(j, b), block_start(j, b + 1));
        }
    for (int64_t i = 0; !j->whole && i < count; i++) {
        const float part = r.sum[i] == 0 && p->hidden_is_zero ? 0 : 1 / r.sum[i];
        j->kern->binary[OMMA_BIN_MUL](p->dv, r.o + i * p->o.row, 1, &part, 0, r.o + i * p->o.row);
    }
}

/* Items are blocks of queries of all heads. */
static void query_blocks(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    for (int64_t i = begin; i < end; i++) {
        head h;
        find_head(j, i / j->c.query_blocks, worker, &h);
        do_queries(j, &h, i % j->c.query_blocks, worker);
    }
}

/* Items are heads. */
static void whole_heads(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    for (int64_t i = begin; i < end; i++) {
        head h;
        find_head(j, i, worker, &h);
        pack_keys(j, &h, 0, j->p->n);
        for (int64_t b = 0; b < j->c.query_blocks; b++) do_queries(j, &h, b, worker);
    }
}

void omma_attention_run(const omma_kernels *kern, int threads, const omma_attention *p,
                        const omma_attention_data *x, void *scratch) {
    job j = {.kern = kern, .p = p, .x = x, .packs = scratch};
    if (threads < 1) threads = 1;
    if (!make_cuts(kern, p, &j.c) || !j.c.heads || !p->m || !p->dv) return;
    j.apart = apart(&j.c, threads);
    j.order = p->causal || x->valid;
    j.whole = p->n <= SHORT && !j.order && !p->hidden_is_zero;
    const size_t packs = j.apart ? (size_t)threads : (size_t)j.c.kv_heads;
    j.own = (char *)(j.packs + packs * (j.c.k_floats + j.c.v_floats));
    if (j.apart) {
        omma_parallel(threads, j.c.heads, 1, whole_heads, &j);
        return;
    }
    omma_parallel(threads, j.c.kv_heads * j.c.key_blocks, 1, pack_blocks, &j);
    omma_parallel(threads, j.c.heads * j.c.query_blocks, 1, query_blocks, &j);
}

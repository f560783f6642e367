/* gemm_body.h - the matrix tile and its neighbours, for any vector of vec_*.h; the file
 * that includes it defines TILE_MR rows by TILE_NV vectors.
 *
 * A tile keeps C in registers: for each k one vector row of B times one broadcast of each
 * row of A. There is one function per number of rows and vectors, so that edges cost what
 * they are worth. Products and direct convolutions share it: a product has one tap. */
#include "kernel/table.h"

typedef void tile_fn(int n, int64_t taps, const int64_t *off, int64_t k, const float *a,
                     int64_t lda, const float *b, float *c, int64_t ldc, unsigned flags,
                     const omma_epilogue *e, const omma_ahead *next);

/* --- what is done before the store -------------------------------------------------- */

static void ISA(finish_f32)(int64_t n, const float *x, const float *bias, int stride,
                            const omma_epilogue *e, float *y) {
    const omma_epilogue none = {.act = OMMA_ACT_NONE};
    const vf all = bias && !stride ? v_spread(bias) : v_set(0);
    if (!e) e = &none;
    for (int64_t i = 0; i < n; i += VL) {
        const int lanes = n - i < VL ? (int)(n - i) : VL;
        vf v = v_load_n(x + i, lanes);
        if (bias) v = v_add(v, stride ? v_load_n(bias + i, lanes) : all);
        v_store_n(y + i, v_act(e, v), lanes);
    }
}

V_ALL_ROWS

/* Activations beyond OMMA_ACT_CLIP, as v_act. */
static __attribute__((noinline)) void ISA(act_rows)(const omma_epilogue *e, int rows, int n,
                                                    float *y, int64_t ld) {
    if (e->act == OMMA_ACT_GELU) rows_gelu(e, rows, n, y, ld);
    else if (e->act == OMMA_ACT_SILU) rows_silu(e, rows, n, y, ld);
    else if (e->act == OMMA_ACT_HSWISH) rows_hswish(e, rows, n, y, ld);
    else if (e->act == OMMA_ACT_RELU_LINE) rows_relu_line(e, rows, n, y, ld);
    else rows_hswish_line(e, rows, n, y, ld);
}

/* --- the tile ------------------------------------------------------------------------ */

enum {
    AHEAD = 16 * TILE_NV * VL, /* B is fetched so far before it is used [floats]: 16 rows */
    STEPS = 8                  /* rows of B between two looks at what else to fetch */
};

/* Adds MR rows of what lies at p, ld floats apart. */
#define TILE_ADD(MR, NV, p, ld)                                                             \
    UNROLL for (int i = 0; i < MR; i++) {                                                   \
        UNROLL for (int j = 0; j < NV - 1; j++) s[i][j] =                                   \
            v_add(s[i][j], v_load((p) + i * (ld) + j * VL));                                \
        s[i][NV - 1] = v_add(s[i][NV - 1], v_load_n((p) + i * (ld) + (NV - 1) * VL, last)); \
    }

/* Rows are reached from one pointer per three, by the offsets 0, lda, 2*lda: that takes few
 * registers. The empty asm keeps the compiler from making a pointer for every row. */
#define TILE(MR, NV)                                                                              \
    static __attribute__((noinline)) void ISA(tile_f32_##MR##x##NV##v)(                           \
        int n, int64_t taps, const int64_t *off, int64_t k, const float *a, int64_t lda,          \
        const float *b, float *c, int64_t ldc, unsigned flags, const omma_epilogue *e,            \
        const omma_ahead *next) {                                                                 \
        const int last = n - (NV - 1) * VL;                                                       \
        const char *line = next ? next->p : NULL;                                                 \
        int64_t left = next ? next->row : 0;                                                      \
        const int64_t lines = next ? next->lines : 0;                                             \
        vf s[MR][NV];                                                                             \
        const int64_t looks = taps * ((k + STEPS - 1) / STEPS);                                   \
        /* whole lines that nobody reads soon pass by the caches */                               \
        const bool stream = flags & OMMA_TILE_STREAM && last == VL && !(flags & OMMA_TILE_ACC) && \
                            ((uintptr_t)c | (uintptr_t)ldc * 4) % (4 * VL) == 0 &&                \
                            (!e || e->act <= OMMA_ACT_CLIP);                                      \
        /* late, so that they are still near at the end: rows of C and of the addend */           \
        const float *add = e ? e->add : NULL, *row_c = stream ? add : c;                          \
        const float *row_d = add ? add : row_c;                                                   \
        const int64_t ld_d = add ? e->add_ld : ldc, ld_c = stream ? ld_d : ldc;                   \
        int64_t rows = row_c ? MR : 0, at_once = looks < MR ? MR : 1, wait = looks - MR - 8;      \
        UNROLL for (int i = 0; i < MR; i++) {                                                     \
            UNROLL for (int j = 0; j < NV; j++) s[i][j] = v_set(0);                               \
        }                                                                                         \
        for (int64_t t = 0; t < taps; t++) {                                                      \
            const omma_f32u *p0 = (const omma_f32u *)a + off[t], *p3 = p0 + 3 * lda;              \
            const omma_f32u *p6 = p3 + 3 * lda, *p9 = p6 + 3 * lda, *p12 = p9 + 3 * lda;          \
            for (int64_t l = k; l > 0; l -= STEPS) {                                              \
                for (int64_t i = lines; i > 0; i--, line += 64) {                                 \
                    __builtin_prefetch(line, 0, 2);                                               \
                    if (!--left) line += next->skip, left = next->row;                            \
                }                                                                                 \
                if (--wait < 0)                                                                   \
                    for (int64_t i = at_once; i > 0 && rows > 0;                                  \
                         i--, rows--, row_c += ld_c, row_d += ld_d) {                             \
                        __builtin_prefetch(row_c, 1);                                             \
                        __builtin_prefetch(row_c + n - 1, 1);                                     \
                        if (row_d == row_c) continue;                                             \
                        __builtin_prefetch(row_d, 1);                                             \
                        __builtin_prefetch(row_d + n - 1, 1);                                     \
                    }                                                                             \
                for (int64_t i = l < STEPS ? l : STEPS; i > 0; i--) {                             \
                    __asm__("" : "+r"(p0), "+r"(p3), "+r"(p6), "+r"(p9), "+r"(p12));              \
                    vf row[NV];                                                                   \
                    UNROLL for (int j = 0; j < NV; j++) {                                         \
                        row[j] = v_load(b + j * VL);                                              \
                        __builtin_prefetch(b + AHEAD + j * VL);                                   \
                    }                                                                             \
                    UNROLL for (int r = 0; r < MR; r++) {                                         \
                        const omma_f32u *p = r < 3    ? p0                                        \
                                             : r < 6  ? p3                                        \
                                             : r < 9  ? p6                                        \
                                             : r < 12 ? p9                                        \
                                                      : p12;                                      \
                        const vf x = v_spread((const float *)(p + r % 3 * lda));                  \
                        UNROLL for (int j = 0; j < NV; j++) s[r][j] = v_fma(x, row[j], s[r][j]);  \
                    }                                                                             \
                    b += TILE_NV * VL;                                                            \
                    p0++, p3++, p6++, p9++, p12++;                                                \
                }                                                                                 \
            }                                                                                     \
        }                                                                                         \
        if (flags & OMMA_TILE_ACC) TILE_ADD(MR, NV, c, ldc)                                       \
        if (e) {                                                                                  \
            if (add) TILE_ADD(MR, NV, add, ld_d)                                                  \
            if (e->row_bias) {                                                                    \
                UNROLL for (int i = 0; i < MR; i++) {                                             \
                    const vf x = v_set(e->row_bias[i]);                                           \
                    UNROLL for (int j = 0; j < NV; j++) s[i][j] = v_add(s[i][j], x);              \
                }                                                                                 \
            }                                                                                     \
            if (e->col_bias) {                                                                    \
                UNROLL for (int j = 0; j < NV; j++) {                                             \
                    const vf x = v_load_n(e->col_bias + j * VL, j < NV - 1 ? VL : last);          \
                    UNROLL for (int i = 0; i < MR; i++) s[i][j] = v_add(s[i][j], x);              \
                }                                                                                 \
            }                                                                                     \
            if (e->act == OMMA_ACT_RELU) {                                                        \
                const vf lo = v_set(0);                                                           \
                UNROLL for (int i = 0; i < MR; i++) UNROLL for (int j = 0; j < NV; j++) s[i][j] = \
                    v_max(lo, s[i][j]);                                                           \
            } else if (e->act == OMMA_ACT_CLIP) {                                                 \
                const vf lo = v_set(e->lo), hi = v_set(e->hi);                                    \
                UNROLL for (int i = 0; i < MR; i++) UNROLL for (int j = 0; j < NV; j++) s[i][j] = \
                    v_min(hi, v_max(lo, s[i][j]));                                                \
            }                                                                                     \
        }                                                                                         \
        if (stream) {                                                                             \
            UNROLL for (int i = 0; i < MR; i++) UNROLL for (int j = 0; j < NV; j++)               \
                v_stream(c + i * ldc + j * VL, s[i][j]);                                          \
            return;                                                                               \
        }                                                                                         \
        UNROLL for (int i = 0; i < MR; i++) {                                                     \
            UNROLL for (int j = 0; j < NV - 1; j++) v_store(c + i * ldc + j * VL, s[i][j]);       \
            v_store_n(c + i * ldc + (NV - 1) * VL, s[i][NV - 1], last);                           \
        }                                                                                         \
        if (e && e->act > OMMA_ACT_CLIP) /* the rest is too long to be here MR x NV times */      \
            ISA(act_rows)(e, MR, n, c, ldc);                                                      \
    }

/* --- a row ----------------------------------------------------------------------------- */

enum { ROW_AHEAD = 8 * TILE_NV * VL }; /* B is fetched so far before it is used: 8 rows */

/* One row of C under P panels, each a stream of its own: so many keep more of B on its way from
 * memory than one does. */
#define ROW_TILE(P)                                                                          \
    static __attribute__((noinline)) void ISA(row_f32_##P)(                                  \
        int n, int64_t k, const float *a, const float *b, int64_t panel, float *c, bool acc, \
        const omma_epilogue *e) {                                                            \
        const omma_f32u *p = (const omma_f32u *)a;                                           \
        vf s[P * TILE_NV];                                                                   \
        UNROLL for (int v = 0; v < P * TILE_NV; v++) s[v] = v_set(0);                        \
        for (int64_t l = 0; l < k; l++, b += TILE_NV * VL) {                                 \
            const vf x = v_spread((const float *)(p + l));                                   \
            UNROLL for (int v = 0; v < P * TILE_NV; v++) {                                   \
                const float *at = b + v / TILE_NV * panel + v % TILE_NV * VL;                \
                __builtin_prefetch(at + ROW_AHEAD);                                          \
                s[v] = v_fma(x, v_load(at), s[v]);                                           \
            }                                                                                \
        }                                                                                    \
        UNROLL for (int v = 0; v < P * TILE_NV; v++) {                                       \
            const int rest = n - v * VL, lanes = rest < VL ? rest : VL;                      \
            if (lanes <= 0) break;                                                           \
            if (acc) s[v] = v_add(s[v], v_load_n(c + v * VL, lanes));                        \
            if (e && e->add) s[v] = v_add(s[v], v_load_n(e->add + v * VL, lanes));           \
            if (e && e->row_bias) s[v] = v_add(s[v], v_set(*e->row_bias));                   \
            if (e && e->col_bias) s[v] = v_add(s[v], v_load_n(e->col_bias + v * VL, lanes)); \
            v_store_n(c + v * VL, e ? v_act(e, s[v]) : s[v], lanes);                         \
        }                                                                                    \
    }
ROW_TILE(1)
ROW_TILE(2)
ROW_TILE(3)
ROW_TILE(4)

static void ISA(gemm_row_f32)(int n, int64_t k, const float *a, const float *b, int64_t panel,
                              float *c, bool acc, const omma_epilogue *e) {
    const int panels = (n + TILE_NV * VL - 1) / (TILE_NV * VL);
    if (panels == 1) ISA(row_f32_1)(n, k, a, b, panel, c, acc, e);
    else if (panels == 2) ISA(row_f32_2)(n, k, a, b, panel, c, acc, e);
    else if (panels == 3) ISA(row_f32_3)(n, k, a, b, panel, c, acc, e);
    else ISA(row_f32_4)(n, k, a, b, panel, c, acc, e);
}

/* --- matrix times vector ---------------------------------------------------------------- */

enum { DOT_V = 4 }; /* vectors of one row at once */

static inline vf dot_tail(const float *a, const float *x, int64_t n, vf s) {
    for (; n >= VL; n -= VL, a += VL, x += VL) s = v_fma(v_load(a), v_load(x), s);
    return v_fma(v_load_n(a, (int)n), v_load_n(x, (int)n), s);
}

static void ISA(gemv_f32)(int64_t m, int64_t k, const float *a, int64_t lda, const float *x,
                          float *y) {
    for (int64_t i = 0; i < m; i++) {
        const float *row = (const float *)((const omma_f32u *)a + i * lda);
        vf s[DOT_V] = {v_set(0), v_set(0), v_set(0), v_set(0)};
        int64_t l = 0;
        for (; l + DOT_V * VL <= k; l += DOT_V * VL)
            UNROLL for (int j = 0; j < DOT_V; j++) s[j] =
                v_fma(v_load(row + l + j * VL), v_load(x + l + j * VL), s[j]);
        s[0] = dot_tail(row + l, x + l, k - l, s[0]);
        y[i] = v_sum(v_add(v_add(s[0], s[1]), v_add(s[2], s[3])));
    }
}

/* --- packing --------------------------------------------------------------------------- */

static void ISA(pack_cols_f32)(int64_t k, int n, const float *b, int64_t col, float *panel) {
    enum { NR = TILE_NV * VL };
    const omma_f32u *src = (const omma_f32u *)b;
    for (int64_t i = 0; i < k; i += VL) {
        const int rows = k - i < VL ? (int)(k - i) : VL;
        for (int j = 0; j < NR; j += VL) {
            vf r[VL];
            UNROLL for (int q = 0; q < VL; q++) r[q] =
                j + q < n ? v_load_n((const float *)(src + (j + q) * col + i), rows) : v_set(0);
            v_transpose(r);
            float *dst = panel + i * NR + j;
            if (rows == VL) {
                UNROLL for (int q = 0; q < VL; q++) v_store(dst + q * NR, r[q]);
            } else {
                UNROLL for (int q = 0; q < VL; q++) if (q < rows) v_store(dst + q * NR, r[q]);
            }
        }
    }
}

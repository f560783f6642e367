/* move.c - the kernel behind everything that only moves elements; see move.h.
 *
 * Three ways to walk a box. By rows: the last dim is copied at once (memcpy, fill, or a strided
 * loop), the others are counted through; short rows that run on in both go many at a time. By
 * tiles: when the last dim jumps in the source while another one, a, runs on there (a
 * transposition), a and the last dim are cut into tiles small enough that the lines read and the
 * lines written stay in the first-level cache.
 *
 * Trap: the number of rows can be 1 (a big plain copy), so rows are cut into pieces too. */
#include "op/move.h"

#include "base/pool.h"

enum {
    SHORT = 2048,    /* bytes of a row done together with its neighbours */
    PIECE = 1 << 16, /* bytes of one work item, and of one chunk for a thread */
    TILE = 64,       /* side of a tile along a [elements] */
    STRIP = 256      /* side of a tile along the last dim [elements] */
};

static void drop(omma_move *m, int d) {
    for (int i = d; i + 1 < m->rank; i++) {
        m->dims[i] = m->dims[i + 1];
        m->src[i] = m->src[i + 1];
        m->dst[i] = m->dst[i + 1];
    }
    m->rank--;
}

/* Put dim d at place to > d, keeping the order of the others. */
static void sink(omma_move *m, int d, int to) {
    const int64_t dim = m->dims[d], src = m->src[d], dst = m->dst[d];
    for (int i = d; i < to; i++) {
        m->dims[i] = m->dims[i + 1];
        m->src[i] = m->src[i + 1];
        m->dst[i] = m->dst[i + 1];
    }
    m->dims[to] = dim;
    m->src[to] = src;
    m->dst[to] = dst;
}

static void collapse(omma_move *m) {
    for (int d = m->rank - 1; d >= 0; d--)
        if (m->dims[d] == 1) drop(m, d);
    for (int d = m->rank - 2; d >= 0; d--) {
        const int64_t inner = m->dims[d + 1];
        if (m->src[d] != m->src[d + 1] * inner || m->dst[d] != m->dst[d + 1] * inner) continue;
        m->dims[d + 1] *= m->dims[d];
        drop(m, d);
    }
    if (!m->rank) {
        m->rank = 1;
        m->dims[0] = m->src[0] = m->dst[0] = 1;
    }
}

/* Are the last two dims rows that run on in both, of whole words, and short? */
static bool short_rows(const omma_move *m) {
    const int last = m->rank - 1;
    const int64_t row = m->dims[last] * (int64_t)m->size;
    return last > 0 && m->src[last] == 1 && m->dst[last] == 1 && row <= SHORT && m->size >= 4;
}

void omma_move_ready(omma_move *m) {
    m->empty = m->tiled = false;
    m->rows = 0;
    for (int d = 0; d < m->rank; d++)
        if (m->dims[d] == 0) m->empty = true;
    if (m->empty) return;
    collapse(m);
    const int last = m->rank - 1;
    if (m->src[last] != 1 && m->src[last] != 0 && m->dst[last] == 1)
        for (int d = 0; d < last && !m->tiled; d++)
            if (m->src[d] == 1) {
                sink(m, d, last - 1);
                m->tiled = true;
            }
    int64_t item;
    if (m->tiled) {
        m->outer = last - 1;
        m->per_row = (m->dims[last] - 1) / STRIP + 1;
        m->pieces = ((m->dims[last - 1] - 1) / TILE + 1) * m->per_row;
        item = (m->dims[last] < STRIP ? m->dims[last] : STRIP) * TILE
        *(int64_t)m->size;
    } else if (short_rows(m)) {
        const int64_t row = m->dims[last] * (int64_t)m->size;
        m->rows = (SHORT * 4) / row;
        m->outer = last - 1;
        m->per_row = m->pieces = (m->dims[last - 1] - 1) / m->rows + 1;
        item = m->dims[last - 1] < m->rows ? m->dims[last - 1] * row : m->rows * row;
    } else {
        const int64_t piece = PIECE / (int64_t)m->size;
        m->outer = last;
        m->per_row = m->pieces = (m->dims[last] - 1) / piece + 1;
        item = m->pieces > 1 ? PIECE : m->dims[last] * (int64_t)m->size;
    }
    m->items = m->pieces;
    for (int d = 0; d < m->outer; d++) m->items *= m->dims[d];
    m->grain = item < PIECE ? PIECE / item : 1;
}

void omma_move_fill(void *dst, const void *element, size_t size, int64_t n) {
    char *to = dst;
    if (size == 1) {
        if (n) memset(to, *(const unsigned char *)element, (size_t)n);
        return;
    }
    for (int64_t i = 0; i < n; i++) omma_move_bytes(to + (size_t)i * size, element, size);
}

/* n elements, s and d apart. */
#define STRIDED(S) \
    for (int64_t i = 0; i < n; i++) memcpy(dst + i * d * (S), src + i * s * (S), S)

static void copy_row(size_t size, int64_t n, const char *src, int64_t s, char *dst, int64_t d) {
    if (s == 1 && d == 1) {
        omma_move_bytes(dst, src, (size_t)n * size);
        return;
    }
    if (s == 0 && d == 1) {
        omma_move_fill(dst, src, size, n);
        return;
    }
    switch (size) {
    case 1: STRIDED(1); return;
    case 2: STRIDED(2); return;
    case 4: STRIDED(4); return;
    default: STRIDED(8);
    }
}

/* dst[i*row + k] = src[i + k*col] for i < rows, k < n: blocks of 8 along k, so that each
 * line of the source is used up while it is near. A narrow destination (an image's three
 * channels) is written down its columns instead. */
#define TRANSPOSED(S)                                                            \
    if (n < 8)                                                                   \
        for (int64_t k = 0; k < n; k++)                                          \
            for (int64_t i = 0; i < rows; i++)                                   \
                memcpy(dst + (i * row + k) * (S), src + (i + k * col) * (S), S); \
    else                                                                         \
        for (int64_t k0 = 0; k0 < n; k0 += 8)                                    \
            for (int64_t i = 0, k1 = k0 + 8 < n ? k0 + 8 : n; i < rows; i++)     \
                for (int64_t k = k0; k < k1; k++)                                \
        memcpy(dst + (i * row + k) * (S), src + (i + k * col) * (S), S)

static void copy_tile(const omma_kernels *kern, size_t size, int64_t rows, int64_t n,
                      const char *src, int64_t col, char *dst, int64_t row) {
    switch (size) {
    case 1: TRANSPOSED(1); return;
    case 2: TRANSPOSED(2); return;
    case 4: kern->transpose(n, rows, src, col, dst, row); return;
    default: TRANSPOSED(8);
    }
}

typedef struct job {
    const omma_kernels *kern;
    const omma_move *m;
    const char *src;
    char *dst;
} job;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* One work item: piece number p at the outer position whose first elements are at src, dst. */
static void item(const omma_kernels *kern, const omma_move *m, int64_t p, const char *src,
                 char *dst) {
    const int last = m->rank - 1;
    const int64_t size = (int64_t)m->size, s = m->src[last], d = m->dst[last];
    if (m->rows) {
        const int64_t words = size / 4, r = p * m->rows, up = m->src[last - 1] * words,
                      down = m->dst[last - 1] * words;
        kern->copy_rows(least(m->rows, m->dims[last - 1] - r), m->dims[last] * words,
                        src + r * up * 4, up, dst + r * down * 4, down);
        return;
    }
    if (!m->tiled) {
        const int64_t piece = PIECE / size, at = p * piece;
        copy_row(m->size, least(piece, m->dims[last] - at), src + at * s * size, s,
                 dst + at * d * size, d);
        return;
    }
    const int64_t row = m->dst[last - 1], i = p / m->per_row * TILE
    , k = p % m->per_row * STRIP;
    copy_tile(kern, m->size, least(TILE, m->dims[last - 1] - i), least(STRIP, m->dims[last] - k),
              src + (i + k * s) * size, s, dst + (i * row + k) * size, row);
}

static void chunk(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const omma_move *m = j->m;
    int64_t at[OMMA_MOVE_RANK], left = begin / m->pieces, p = begin % m->pieces;
    int64_t src = m->src_at, dst = m->dst_at;
    for (int d = m->outer - 1; d >= 0; d--) {
        at[d] = left % m->dims[d];
        left /= m->dims[d];
        src += at[d] * m->src[d];
        dst += at[d] * m->dst[d];
    }
    for (int64_t i = begin; i < end; i++) {
        item(j->kern, m, p, j->src + src * (int64_t)m->size, j->dst + dst * (int64_t)m->size);
        if (++p < m->pieces) continue;
        p = 0;
        for (int d = m->outer - 1; d >= 0; d--) {
            src += m->src[d];
            dst += m->dst[d];
            if (++at[d] < m->dims[d]) break;
            src -= at[d] * m->src[d];
            dst -= at[d] * m->dst[d];
            at[d] = 0;
        }
    }
}

void omma_move_run(const omma_exec *x, const omma_move *m, const void *src, void *dst) {
    job j = {x->kern, m, src, dst};
    if (!m->empty) omma_parallel(x->threads, m->items, m->grain, chunk, &j);
}

omma_status omma_index_type(omma_build *b, const omma_node *n, int i) {
    const omma_dtype t = n->in[i]->dtype;
    if (t == OMMA_I32 || t == OMMA_I64) return OMMA_OK;
    return omma_bad(b, n, "indices must be int32 or int64, not %s", omma_dtype_name(t));
}

/* shrink.c - see shrink.h. Two walks over the data, one to count symbols, one to write their codes;
 * the size is known before anything is allocated. */
#include "view/shrink.h"

#include <string.h>

#include "base/arena.h"

enum { SYMBOLS = OMMA_SHRINK_SYMBOLS, LONGEST = OMMA_SHRINK_LONGEST, RUN = 256, RUN_BITS = 14 };

/* A symbol and what follows it. */
typedef struct token {
    int symbol;
    unsigned extra;
    int extra_bits;
} token;

/* The symbol at data[*at]; moves *at behind it. */
static token next_token(const unsigned char *data, size_t size, size_t *at) {
    const size_t from = *at, most = ((size_t)2 << RUN_BITS) - 1;
    if (data[from]) return *at = from + 1, (token){data[from], 0, 0};
    size_t n = 1;
    while (n < most && from + n < size && !data[from + n]) n++;
    *at = from + n;
    if (n == 1) return (token){0, 0, 0};
    int k = 1;
    while ((size_t)2 << k <= n) k++;
    return (token){RUN + k, (unsigned)(n - ((size_t)1 << k)), k};
}

/* A tree of the n symbols that occur, lightest first, by two queues; node i < n is a symbol. */
static int tree_depths(unsigned char *length, const int *symbol, const uint64_t *weight, int n) {
    uint64_t w[2 * SYMBOLS];
    int parent[2 * SYMBOLS], depth[2 * SYMBOLS], leaf = 0, inner = n, end = n, deepest = 0;
    memcpy(w, weight, (size_t)n * sizeof *w);
    for (; end < 2 * n - 1; end++) {
        w[end] = 0;
        for (int c = 0; c < 2; c++) {
            const bool take_leaf = leaf < n && (inner == end || w[leaf] <= w[inner]);
            const int child = take_leaf ? leaf++ : inner++;
            w[end] += w[child];
            parent[child] = end;
        }
    }
    depth[end - 1] = 0;
    for (int i = end - 2; i >= 0; i--) depth[i] = depth[parent[i]] + 1;
    for (int i = 0; i < n; i++) {
        if (depth[i] > deepest) deepest = depth[i];
        length[symbol[i]] = (unsigned char)(depth[i] <= LONGEST ? depth[i] : LONGEST);
    }
    return deepest;
}

/* Code lengths of at most LONGEST: where the tree is deeper, weights are brought closer together
 * until it is not. */
static void find_lengths(unsigned char *length, const uint64_t *count) {
    int symbol[SYMBOLS], n = 0;
    uint64_t weight[SYMBOLS];
    memset(length, 0, SYMBOLS);
    for (int s = 0; s < SYMBOLS; s++) {
        if (!count[s]) continue;
        int i = n++;
        for (; i > 0 && weight[i - 1] > count[s]; i--) {
            weight[i] = weight[i - 1];
            symbol[i] = symbol[i - 1];
        }
        weight[i] = count[s];
        symbol[i] = s;
    }
    if (n == 1) length[symbol[0]] = 1;
    if (n < 2) return;
    while (tree_depths(length, symbol, weight, n) > LONGEST)
        for (int i = 0; i < n; i++) weight[i] = weight[i] / 2 + 1;
}

static void find_codes(unsigned *code, const unsigned char *length) {
    unsigned next = 0;
    for (int l = 1; l <= LONGEST; l++, next <<= 1)
        for (int s = 0; s < SYMBOLS; s++)
            if (length[s] == l) code[s] = next++;
}

static int extra_bits(int symbol) { return symbol > RUN ? symbol - RUN : 0; }

static size_t packed_size(const uint64_t *count, const unsigned char *length) {
    uint64_t bits = 0;
    for (int s = 0; s < SYMBOLS; s++) bits += count[s] * (uint64_t)(length[s] + extra_bits(s));
    return OMMA_SHRINK_HEAD + (size_t)((bits + 7) / 8);
}

/* Bits of at most 15 at a time. */
typedef struct bit_writer {
    unsigned char *to;
    uint32_t held;
    int n;
} bit_writer;

static void put_bits(bit_writer *w, unsigned bits, int n) {
    w->held = w->held << n | bits;
    for (w->n += n; w->n >= 8; w->n -= 8) *w->to++ = (unsigned char)(w->held >> (w->n - 8));
}

static void write_all(unsigned char *out, const unsigned char *length, const unsigned char *data,
                      size_t size) {
    unsigned code[SYMBOLS] = {0};
    find_codes(code, length);
    for (int s = 0; s < SYMBOLS; s += 2)
        out[s / 2] = (unsigned char)(length[s] | length[s + 1] << 4);
    bit_writer w = {out + OMMA_SHRINK_HEAD, 0, 0};
    for (size_t at = 0; at < size;) {
        const token t = next_token(data, size, &at);
        put_bits(&w, code[t.symbol], length[t.symbol]);
        if (t.extra_bits) put_bits(&w, t.extra, t.extra_bits);
    }
    if (w.n) put_bits(&w, 0, 8 - w.n);
}

omma_status omma_shrink(unsigned char **out, size_t *n, const unsigned char *data, size_t size,
                        omma_error *err) {
    uint64_t count[SYMBOLS] = {0};
    unsigned char length[SYMBOLS];
    *out = NULL;
    *n = 0;
    for (size_t at = 0; at < size;) count[next_token(data, size, &at).symbol]++;
    find_lengths(length, count);
    const size_t packed = packed_size(count, length);
    if (packed >= size) return OMMA_OK;
    *out = omma_mem_alloc_raw(packed);
    if (!*out) return omma_fail(err, OMMA_E_NOMEM, "no memory to pack %zu bytes", size);
    *n = packed;
    write_all(*out, length, data, size);
    return OMMA_OK;
}

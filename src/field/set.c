/* set.c - see set.h. A part with all bits set is kept without bits, so the usual sets (all
 * channels, the whole picture) cost nothing. */
#include "field/set.h"

#include <string.h>

#include "field/taps.h"

static uint64_t *zeros(omma_arena *a, int64_t n) {
    return omma_arena_array(a, (size_t)omma_bit_words(n) + 1, sizeof(uint64_t));
}

static bool full(const uint64_t *bits, int64_t n) {
    for (int64_t i = 0; i < n; i += 64) {
        const int64_t k = n - i < 64 ? n - i : 64;
        if (omma_bits_get(bits, i, k) != omma_bit_mask(k)) return false;
    }
    return true;
}

/* Bits that were just made: none of them empties the set, all of them need no memory. */
static void settle(omma_set *s, int k, const uint64_t *bits) {
    omma_set_part *p = &s->part[k];
    p->bits = bits && full(bits, p->size) ? NULL : bits;
    if (p->bits && !omma_bits_any(p->bits, 0, p->size)) s->empty = true;
}

static const uint64_t *part_bits(omma_arena *a, const omma_set_part *p) {
    if (p->bits) return p->bits;
    uint64_t *b = zeros(a, p->size);
    if (b) omma_bits_fill(b, 0, p->size);
    return b;
}

omma_set omma_set_all(int rank, const int64_t *dims) {
    omma_set s = {.rank = rank, .n = rank};
    for (int d = 0; d < rank; d++) {
        s.dims[d] = dims[d];
        s.part[d] = (omma_set_part){1, dims[d], NULL};
        s.empty |= dims[d] == 0;
    }
    return s;
}

omma_set omma_set_none(int rank, const int64_t *dims) {
    omma_set s = omma_set_all(rank, dims);
    s.empty = true;
    return s;
}

bool omma_set_one(omma_arena *a, omma_set *s, int rank, const int64_t *dims, const int64_t *at) {
    *s = omma_set_all(rank, dims);
    for (int d = 0; d < rank; d++) {
        uint64_t *b = zeros(a, dims[d]);
        if (!b) return false;
        omma_bit_set(b, at[d]);
        settle(s, d, b);
    }
    return true;
}

/* --- parts ------------------------------------------------------------------------------- */

/* Put `count` parts in the place of parts [k, k + gone). */
static void exchange(omma_set *s, int k, int gone, const omma_set_part *parts, int count) {
    memmove(s->part + k + count, s->part + k + gone, (size_t)(s->n - k - gone) * sizeof *s->part);
    if (count) memcpy(s->part + k, parts, (size_t)count * sizeof *parts);
    s->n += count - gone;
}

/* Part k, which is all of its axes, becomes a part for each. */
static void spread(omma_set *s, int k, int first) {
    omma_set_part each[OMMA_MAX_RANK];
    const int axes = s->part[k].axes;
    for (int i = 0; i < axes; i++) each[i] = (omma_set_part){1, s->dims[first + i], NULL};
    exchange(s, k, 1, each, axes);
}

/* The part that axis belongs to, and that part's first axis. A part that is all is parted first. */
static int part_of(omma_set *s, int axis, int *first) {
    int k = 0;
    for (*first = 0; *first + s->part[k].axes <= axis; k++) *first += s->part[k].axes;
    if (s->part[k].bits || s->part[k].axes == 1) return k;
    spread(s, k, *first);
    return part_of(s, axis, first);
}

/* Parts [k, end) become one. */
static bool join(omma_arena *a, omma_set *s, int k, int end) {
    while (end - k > 1) {
        const omma_set_part *x = &s->part[end - 2], *y = &s->part[end - 1];
        omma_set_part z = {x->axes + y->axes, x->size * y->size, NULL};
        if (x->bits || y->bits) {
            uint64_t *b = zeros(a, z.size);
            const uint64_t *row = y->bits ? y->bits : part_bits(a, y);
            if (!b || !row) return false;
            for (int64_t i = 0; i < x->size; i++)
                if (!x->bits || omma_bit(x->bits, i))
                    omma_bits_or_row(b, i * y->size, row, 0, y->size);
            z.bits = b;
        }
        exchange(s, end - 2, 2, &z, 1);
        end--;
    }
    return true;
}

/* Is part k, cut behind its first `rows` elements' axes, a product? Then *row is the first row that
 * is not empty. */
static bool is_product(const omma_set_part *p, int64_t columns, int64_t *row) {
    *row = -1;
    for (int64_t i = 0; i < p->size / columns; i++) {
        if (!omma_bits_any(p->bits, i * columns, columns)) continue;
        if (*row < 0) *row = i;
        else if (!omma_bits_same(p->bits, i * columns, p->bits, *row * columns, columns))
            return false;
    }
    return *row >= 0;
}

static bool cut(omma_arena *a, omma_set *s, int k, int axes, int64_t columns, int64_t row) {
    const omma_set_part p = s->part[k];
    omma_set_part two[] = {{axes, p.size / columns, NULL}, {p.axes - axes, columns, NULL}};
    uint64_t *b = zeros(a, two[0].size), *c = zeros(a, columns);
    if (!b || !c) return false;
    for (int64_t i = 0; i < two[0].size; i++)
        if (omma_bits_any(p.bits, i * columns, columns)) omma_bit_set(b, i);
    omma_bits_or_row(c, 0, p.bits, row * columns, columns);
    exchange(s, k, 1, two, 2);
    settle(s, k, b);
    settle(s, k + 1, c);
    return true;
}

/* Part k, whose first axis is `first`, into as many parts as it is a product of. */
static bool factor(omma_arena *a, omma_set *s, int k, int first) {
    if (s->empty || s->part[k].axes == 1) return true;
    if (!s->part[k].bits) {
        spread(s, k, first);
        return true;
    }
    int64_t columns = s->part[k].size;
    for (int axes = 1; axes < s->part[k].axes; axes++) {
        int64_t row;
        columns /= s->dims[first + axes - 1];
        if (!is_product(&s->part[k], columns, &row)) continue;
        if (!cut(a, s, k, axes, columns, row)) return false;
        return factor(a, s, k + 1, first + axes);
    }
    return true;
}

/* s with parts that end where those of t end too. */
static bool align(omma_arena *a, omma_set *s, const omma_set *t) {
    int at = 0, other = 0, j = 0, k = 0;
    for (int from = 0; k < s->n; k++) {
        at += s->part[k].axes;
        while (other < at) other += t->part[j++].axes;
        if (other != at) continue;
        if (!join(a, s, from, k + 1)) return false;
        k = from;
        from++;
    }
    return true;
}

/* --- together ---------------------------------------------------------------------------- */

static bool part_holds(const omma_set_part *x, const omma_set_part *y) {
    if (!x->bits) return true;
    if (!y->bits) return false;
    for (int64_t w = 0; w < omma_bit_words(x->size); w++)
        if (y->bits[w] & ~x->bits[w]) return false;
    return true;
}

static bool each_holds(const omma_set *s, const omma_set *t) {
    for (int k = 0; k < s->n; k++)
        if (!part_holds(&s->part[k], &t->part[k])) return false;
    return true;
}

bool omma_set_holds(omma_arena *a, const omma_set *s, const omma_set *t) {
    omma_set x = *s, y = *t;
    if (t->empty) return true;
    if (s->empty) return false;
    return align(a, &x, &y) && align(a, &y, &x) && each_holds(&x, &y);
}

static bool unite_part(omma_arena *a, omma_set *s, const omma_set *t, int k) {
    const omma_set_part *x = &s->part[k], *y = &t->part[k];
    if (!x->bits) return true;
    if (!y->bits) {
        s->part[k].bits = NULL;
        return true;
    }
    uint64_t *b = zeros(a, x->size);
    if (!b) return false;
    for (int64_t w = 0; w < omma_bit_words(x->size); w++) b[w] = x->bits[w] | y->bits[w];
    settle(s, k, b);
    return true;
}

bool omma_set_unite(omma_arena *a, omma_set *s, const omma_set *t) {
    omma_set y = *t;
    if (t->empty) return true;
    if (s->empty) {
        *s = *t;
        return true;
    }
    if (!align(a, s, &y) || !align(a, &y, s)) return false;
    if (each_holds(s, &y)) return true;
    if (each_holds(&y, s)) {
        *s = y;
        return true;
    }
    int first = -1, last = 0, axis = 0;
    for (int k = 0; k < s->n; k++) {
        const omma_set_part *p = &s->part[k], *q = &y.part[k];
        if (part_holds(p, q) && part_holds(q, p)) continue;
        if (first < 0) first = k;
        last = k;
    }
    if (!join(a, s, first, last + 1) || !join(a, &y, first, last + 1)) return false;
    if (!unite_part(a, s, &y, first)) return false;
    for (int k = 0; k < first; k++) axis += s->part[k].axes;
    return factor(a, s, first, axis);
}

bool omma_set_of_bits(omma_arena *a, omma_set *s, int rank, const int64_t *dims,
                      const uint64_t *bits) {
    *s = omma_set_all(rank, dims);
    if (s->empty || !rank) {
        s->empty |= !rank && !omma_bit(bits, 0);
        return true;
    }
    if (!join(a, s, 0, s->n)) return false;
    settle(s, 0, bits);
    return factor(a, s, 0, 0);
}

bool omma_set_restrict(omma_arena *a, omma_set *s, const uint64_t *only) {
    if (s->empty || !s->rank) {
        s->empty |= !s->rank && !omma_bit(only, 0);
        return true;
    }
    if (!join(a, s, 0, s->n)) return false;
    uint64_t *b = zeros(a, s->part[0].size);
    if (!b) return false;
    for (int64_t w = 0; w < omma_bit_words(s->part[0].size); w++)
        b[w] = only[w] & (s->part[0].bits ? s->part[0].bits[w] : ~(uint64_t)0);
    settle(s, 0, b);
    return factor(a, s, 0, 0);
}

/* --- shapes ------------------------------------------------------------------------------ */

/* Where the parts of s end, in elements before them, they must be ends of axes of the new dims. */
bool omma_set_reshape(omma_arena *a, omma_set *s, int rank, const int64_t *dims) {
    omma_set t = omma_set_all(rank, dims);
    if (s->empty || t.empty || !rank || !s->rank) {
        t.empty = s->empty || t.empty;
        if (!rank && s->rank) t.empty = s->empty;
        *s = t;
        return true;
    }
    int d = 0;
    t.n = 0;
    for (int k = 0; k < s->n; k++) {
        int64_t size = 1;
        const int from = d;
        while (d < rank && (size < s->part[k].size || (dims[d] == 1 && size == s->part[k].size)))
            size *= dims[d++];
        while (size != s->part[k].size) { /* the cut lies inside an axis */
            if (size < s->part[k].size) size *= dims[d++];
            else if (!join(a, s, k, k + 2)) return false;
        }
        if (d == from && size == 1) continue; /* an axis of one that is gone */
        t.part[t.n++] = (omma_set_part){d - from, size, s->part[k].bits};
    }
    if (d < rank) t.part[t.n - 1].axes += rank - d; /* of one each */
    for (int k = t.n - 1, end = rank; k >= 0; k--) {
        end -= t.part[k].axes;
        if (!factor(a, &t, k, end)) return false;
    }
    *s = t;
    return true;
}

/* Write the joint set of parts over the new axes [lo, hi): bits by row-major index there. */
static bool mix(omma_arena *a, const omma_set *s, const int *perm, int lo, int hi,
                omma_set_part *out) {
    int64_t step[OMMA_MAX_RANK][OMMA_MAX_RANK] = {{0}}; /* by part, by new axis */
    int parts[OMMA_MAX_RANK], n = 0;
    *out = (omma_set_part){hi - lo, 1, NULL};
    for (int k = 0, axis = 0; k < s->n; axis += s->part[k].axes, k++) {
        bool inside = false;
        int64_t stride = 1;
        for (int e = axis + s->part[k].axes - 1; e >= axis; stride *= s->dims[e--])
            for (int d = lo; d < hi; d++)
                if (perm[d] == e) step[n][d] = stride, inside = true;
        if (inside && s->part[k].bits) parts[n++] = k;
        else memset(step[n], 0, sizeof step[n]);
    }
    for (int d = lo; d < hi; d++) out->size *= s->dims[perm[d]];
    if (!n) return true;
    uint64_t *b = zeros(a, out->size);
    if (!b) return false;
    int64_t at[OMMA_MAX_RANK] = {0}, where[OMMA_MAX_RANK] = {0};
    for (int64_t i = 0; i < out->size; i++) {
        bool there = true;
        for (int j = 0; j < n && there; j++) there = omma_bit(s->part[parts[j]].bits, where[j]);
        if (there) omma_bit_set(b, i);
        for (int d = hi - 1; d >= lo; d--) {
            const bool over = ++at[d] == s->dims[perm[d]];
            for (int j = 0; j < n; j++) where[j] += over ? -step[j][d] * (at[d] - 1) : step[j][d];
            if (!over) break;
            at[d] = 0;
        }
    }
    out->bits = b;
    return true;
}

bool omma_set_permute(omma_arena *a, omma_set *s, const int *perm) {
    int place[OMMA_MAX_RANK], home[OMMA_MAX_RANK]; /* by old axis: new one, and its part */
    omma_set t = {.rank = s->rank, .empty = s->empty};
    for (int d = 0; d < s->rank; d++) place[perm[d]] = d, t.dims[d] = s->dims[perm[d]];
    if (s->empty) {
        *s = omma_set_none(t.rank, t.dims);
        return true;
    }
    for (int k = 0, e = 0; k < s->n; k++)
        for (int j = 0; j < s->part[k].axes; j++) home[e++] = k;
    for (int lo = 0, hi; lo < s->rank; lo = hi) {
        bool clean = true;
        hi = lo + 1;
        for (int d = lo; d < hi; d++) /* to the last place of any axis of the parts met */
            for (int e = 0; e < s->rank; e++)
                if (home[e] == home[perm[d]] && place[e] >= hi) hi = place[e] + 1;
        for (int d = lo; d < hi; d++)
            clean &= d == lo || (home[perm[d]] == home[perm[lo]] && perm[d] == perm[d - 1] + 1);
        omma_set_part *p = &t.part[t.n++];
        if (clean) *p = s->part[home[perm[lo]]];
        else if (!mix(a, s, perm, lo, hi, p)) return false;
    }
    *s = t;
    for (int k = t.n - 1, end = t.rank; k >= 0; k--) {
        end -= t.part[k].axes;
        if (!factor(a, s, k, end)) return false;
    }
    return true;
}

/* --- looking ----------------------------------------------------------------------------- */

bool omma_set_has(const omma_set *s, const int64_t *at) {
    if (s->empty) return false;
    for (int k = 0, d = 0; k < s->n; k++) {
        int64_t i = 0;
        for (int j = 0; j < s->part[k].axes; j++, d++) i = i * s->dims[d] + at[d];
        if (s->part[k].bits && !omma_bit(s->part[k].bits, i)) return false;
    }
    return true;
}

int64_t omma_set_count(const omma_set *s) {
    int64_t n = 1;
    for (int k = 0; k < s->n; k++)
        n *= s->part[k].bits ? omma_bits_count(s->part[k].bits, s->part[k].size) : s->part[k].size;
    return s->empty ? 0 : n;
}

bool omma_set_is_all(const omma_set *s) {
    for (int k = 0; k < s->n; k++)
        if (s->part[k].bits) return false;
    return !s->empty;
}

bool omma_set_to_bits(omma_arena *a, const omma_set *s, uint64_t *bits) {
    omma_set t = *s;
    if (s->empty) return true;
    if (!s->rank) {
        omma_bit_set(bits, 0);
        return true;
    }
    if (!join(a, &t, 0, t.n)) return false;
    if (t.part[0].bits) omma_bits_or_row(bits, 0, t.part[0].bits, 0, t.part[0].size);
    else omma_bits_fill(bits, 0, t.part[0].size);
    return true;
}

const uint64_t *omma_set_along(omma_arena *a, const omma_set *s, int first, int count) {
    omma_set t = *s;
    int64_t n = 1;
    for (int d = first; d < first + count; d++) n *= s->dims[d];
    if (s->empty) return zeros(a, n);
    for (int d = s->rank - 1; d >= 0; d--)
        if ((d < first || d >= first + count) && !omma_set_drop(a, &t, d)) return NULL;
    uint64_t *b = zeros(a, n);
    return b && omma_set_to_bits(a, &t, b) ? b : NULL;
}

/* --- along an axis ----------------------------------------------------------------------- */

/* Part k seen as [before, axis, behind]. */
typedef struct slab {
    int64_t before, length, behind;
} slab;

static slab slab_of(const omma_set *s, int k, int first, int axis) {
    slab z = {1, s->dims[axis], 1};
    for (int d = first; d < axis; d++) z.before *= s->dims[d];
    for (int d = axis + 1; d < first + s->part[k].axes; d++) z.behind *= s->dims[d];
    return z;
}

bool omma_set_drop(omma_arena *a, omma_set *s, int axis) {
    int first;
    const int k = part_of(s, axis, &first);
    const slab z = slab_of(s, k, first, axis);
    omma_set_part p = s->part[k];
    p.axes--;
    p.size = z.before * z.behind;
    if (p.bits && p.axes && !s->empty) {
        uint64_t *b = zeros(a, p.size);
        if (!b) return false;
        for (int64_t i = 0; i < z.before; i++)
            for (int64_t j = 0; j < z.length; j++)
                omma_bits_or_row(b, i * z.behind, s->part[k].bits, (i * z.length + j) * z.behind,
                                 z.behind);
        p.bits = b;
    }
    memmove(s->dims + axis, s->dims + axis + 1, (size_t)(--s->rank - axis) * sizeof *s->dims);
    exchange(s, k, 1, &p, p.axes > 0);
    if (p.axes) settle(s, k, p.bits);
    return true;
}

bool omma_set_insert(omma_arena *a, omma_set *s, int at, int64_t n, int64_t first, int64_t step,
                     int64_t count) {
    omma_set_part p = {1, n, NULL};
    uint64_t *b = first == 0 && step == 1 && count >= n ? NULL : zeros(a, n);
    if (!b && !(first == 0 && step == 1 && count >= n)) return false;
    const omma_map map = {.from = -1, .div = 1, .first = first, .dilation = step, .count = count};
    const omma_taps taps = omma_taps_of(&map, 0, n);
    for (int64_t t = taps.begin; b && t < taps.end; t++)
        if (first + t * step >= 0 && first + t * step < n) omma_bit_set(b, first + t * step);
    int start = 0, k = 0;
    if (at < s->rank) k = part_of(s, at, &start);
    else k = s->n, start = s->rank;
    if (start < at) { /* inside a part: that one must be cut, or be seen with the new axis in it */
        const int64_t behind = slab_of(s, k, start, at).behind * s->dims[at];
        omma_set_part q = s->part[k];
        const uint64_t *row = s->part[k].bits;
        uint64_t *c = zeros(a, q.size * n);
        if (!c) return false;
        for (int64_t i = 0; i < q.size / behind; i++)
            for (int64_t j = 0; j < n; j++)
                if (!b || omma_bit(b, j))
                    omma_bits_or_row(c, (i * n + j) * behind, row, i * behind, behind);
        q.axes++, q.size *= n;
        s->part[k] = q;
        memmove(s->dims + at + 1, s->dims + at, (size_t)(s->rank++ - at) * sizeof *s->dims);
        s->dims[at] = n;
        settle(s, k, c);
        return true;
    }
    memmove(s->dims + at + 1, s->dims + at, (size_t)(s->rank++ - at) * sizeof *s->dims);
    s->dims[at] = n;
    exchange(s, k, 0, &p, 1);
    settle(s, k, b);
    if (!n) s->empty = true;
    return true;
}

/* One pair of indices of the two axes: slabs of bits from one part to the other. */
static inline void carry(const slab *z, uint64_t *dst, int64_t to, int64_t n, const uint64_t *src,
                         int64_t from) {
    if (z->behind == 1 && z->before == 1) {
        if (omma_bit(src, from)) omma_bit_set(dst, to);
        return;
    }
    for (int64_t i = 0; i < z->before; i++)
        omma_bits_or_row(dst, (i * n + to) * z->behind, src, (i * z->length + from) * z->behind,
                         z->behind);
}

/* outs: the length of the output's axis, ins: of the input's. */
static void carry_all(const slab *z, const omma_map *m, int64_t outs, int64_t ins, bool back,
                      uint64_t *dst, const uint64_t *src) {
    const int64_t n = back ? ins : outs;
    for (int64_t o = 0; o < outs; o++) {
        if (back && z->behind == 1 && z->before == 1) {
            if (!omma_bit(src, o)) continue;
            if (!m->item && m->dilation == 1) {
                int64_t lo = o / m->div * m->stride + m->first, hi = lo + m->count;
                omma_bits_fill(dst, lo < 0 ? 0 : lo, hi > ins ? ins : hi);
                continue;
            }
        }
        const omma_taps taps = omma_taps_of(m, o, ins);
        for (int64_t t = taps.begin; t < taps.end; t++) {
            const int64_t i = omma_tap(m, &taps, t);
            if (i < 0 || i >= ins) continue;
            if (back) carry(z, dst, i, n, src, o);
            else carry(z, dst, o, n, src, i);
        }
    }
}

bool omma_set_map(omma_arena *a, omma_set *s, int axis, const omma_map *map, int64_t n, bool back) {
    int first;
    if (s->empty) {
        s->dims[axis] = n;
        *s = omma_set_none(s->rank, s->dims);
        return true;
    }
    const int k = part_of(s, axis, &first);
    const bool same = !map->item && map->div == 1 && map->stride == 1 && map->first == 0 &&
                      map->count == 1 && s->dims[axis] == n;
    if (same) return true;
    const slab z = slab_of(s, k, first, axis);
    omma_set_part *p = &s->part[k];
    const uint64_t *src = part_bits(a, p);
    p->size = z.before * n * z.behind;
    uint64_t *b = zeros(a, p->size);
    if (!b || !src) return false;
    carry_all(&z, map, back ? z.length : n, back ? n : z.length, back, b, src);
    s->dims[axis] = n;
    settle(s, k, b);
    return true;
}

/* spread.c - see spread.h. The pixels are put in order three times (the heaviest first, by the
 * square they lie in, by their distance) and counted until the part of the sum is reached. */
#include "field/spread.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/arena.h"

const double omma_shares[OMMA_SHARES] = {0.20, 0.30, 0.50, 0.95, 0.99};

/* Sums in another order end in other bits: what is this near has reached the share. */
static const double NEAR = 1e-10;

typedef struct item {
    uint32_t key, at;
} item;

typedef struct work {
    const double *map;
    int64_t h, w, n; /* n: pixels that are not zero */
    double cy, cx, sum;
    item *items, *spare;
} work;

/* Floats from 0 up have the order of their bits. */
static uint32_t key_of(double v) {
    const float f = (float)v;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

/* By key, three times eleven bits; the same keys stay in their order. */
static void sort(work *k) {
    enum { DIGIT = 11, PLACES = 1 << DIGIT };
    for (int shift = 0; shift < 32; shift += DIGIT) {
        int64_t place[PLACES + 1] = {0};
        for (int64_t i = 0; i < k->n; i++) place[(k->items[i].key >> shift & (PLACES - 1)) + 1]++;
        for (int b = 0; b < PLACES; b++) place[b + 1] += place[b];
        for (int64_t i = 0; i < k->n; i++)
            k->spare[place[k->items[i].key >> shift & (PLACES - 1)]++] = k->items[i];
        item *t = k->items;
        k->items = k->spare, k->spare = t;
    }
}

/* --- what pixels are put in order by ------------------------------------------------------ */

static double weight_of(const work *k, int64_t at) { return k->map[at]; }

/* The side of the square that holds the whole pixel. */
static double side_of(const work *k, int64_t at) {
    const double dy = fabs((double)(at / k->w) - k->cy), dx = fabs((double)(at % k->w) - k->cx);
    return 2 * fmax(dy, dx) + 1;
}

static double distance_of(const work *k, int64_t at) {
    const double dy = (double)(at / k->w) - k->cy, dx = (double)(at % k->w) - k->cx;
    return sqrt(dy * dy + dx * dx);
}

/* last: by share, the index among the ordered pixels of the one that completes it. */
static void rank(work *k, double (*of)(const work *, int64_t), bool falling, int64_t *last) {
    int64_t i = 0;
    double sum = 0;
    for (int64_t p = 0; p < k->h * k->w; p++)
        if (k->map[p] > 0) {
            const uint32_t key = key_of(of(k, p));
            k->items[i++] = (item){falling ? ~key : key, (uint32_t)p};
        }
    sort(k);
    i = 0;
    for (int s = 0; s < OMMA_SHARES; s++) {
        const double enough = omma_shares[s] * k->sum * (1 - NEAR);
        while (i < k->n && (sum < enough || !i)) sum += k->map[k->items[i++].at];
        last[s] = i - 1;
    }
}

/* --- the measures --------------------------------------------------------------------------- */

/* How many of [0, n) lie as whole pixels in [centre - side / 2, centre + side / 2]. */
static double inside(int64_t n, double centre, double side) {
    const double reach = (side - 1) / 2 + NEAR;
    const double first = fmax(ceil(centre - reach), 0);
    const double last = fmin(floor(centre + reach), (double)n - 1);
    return fmax(last - first + 1, 0);
}

static void measure(work *k, omma_spread *out) {
    const double all = (double)k->h * (double)k->w;
    int64_t last[OMMA_SHARES];
    rank(k, weight_of, true, last);
    for (int s = 0; s < OMMA_SHARES; s++) out->area[s] = (double)(last[s] + 1) / all;
    rank(k, side_of, false, last);
    for (int s = 0; s < OMMA_SHARES; s++) {
        const double side = out->side[s] = side_of(k, k->items[last[s]].at);
        out->square[s] = inside(k->h, k->cy, side) * inside(k->w, k->cx, side) / all;
    }
    rank(k, distance_of, false, last);
    for (int s = 0; s < OMMA_SHARES; s++) out->radius[s] = distance_of(k, k->items[last[s]].at);
}

static void find_sigma(const work *k, omma_spread *out) {
    double yy = 0, xx = 0;
    for (int64_t y = 0; y < k->h; y++) {
        const double *row = k->map + y * k->w, dy = (double)y - k->cy;
        double sum = 0;
        for (int64_t x = 0; x < k->w; x++) {
            const double dx = (double)x - k->cx;
            sum += row[x];
            xx += row[x] * dx * dx;
        }
        yy += sum * dy * dy;
    }
    out->sigma_y = sqrt(yy / k->sum);
    out->sigma_x = sqrt(xx / k->sum);
    out->sigma = sqrt((yy + xx) / 2 / k->sum);
}

omma_status omma_spread_measure(omma_spread *out, const double *map, int64_t height, int64_t width,
                                double cy, double cx, omma_error *err) {
    work k = {.map = map, .h = height, .w = width, .cy = cy, .cx = cx};
    double *number = (double *)out;
    if (height < 1 || width < 1 || height > UINT32_MAX / width)
        return omma_fail(err, OMMA_E_RANGE, "a map of %lldx%lld pixels cannot be measured",
                         (long long)width, (long long)height);
    for (int i = 0; i < OMMA_SPREAD_NUMBERS; i++) number[i] = NAN;
    for (int64_t p = 0; p < height * width; p++) k.sum += map[p], k.n += map[p] > 0;
    out->sum = k.sum;
    if (!k.n) return OMMA_OK;
    item *both = omma_mem_alloc_raw((size_t)k.n * 2 * sizeof *both);
    if (!both) return omma_fail(err, OMMA_E_NOMEM, "no memory to measure a map");
    k.items = both, k.spare = both + k.n;
    measure(&k, out);
    find_sigma(&k, out);
    omma_mem_free(both);
    return OMMA_OK;
}

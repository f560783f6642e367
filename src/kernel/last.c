/* last.c - picks the way a channels-last convolution is computed; see last.h and last_way.h. */
#include "kernel/last.h"

#include "base/checked.h"
#include "kernel/last_way.h"

/* The first that fits is taken; the last one fits everything. */
static const omma_last_way *const ways[] = {&omma_last_depthwise, &omma_last_winograd,
                                            &omma_last_direct, &omma_last_plain};

static bool empty(const omma_conv *p) {
    return p->n <= 0 || p->groups <= 0 || p->m <= 0 || p->oh <= 0 || p->ow <= 0;
}

static const omma_last_way *way_of(const omma_kernels *kern, const omma_conv *p) {
    int i = 0;
    while (!ways[i]->fits(kern, p)) i++;
    return ways[i];
}

static bool sizes_fit(const omma_conv *p) {
    int64_t count;
    return omma_dims_count((int64_t[]){p->n, p->groups, p->c, p->h, p->w}, 5, &count) &&
           omma_dims_count((int64_t[]){p->n, p->m, p->oh, p->ow}, 4, &count) &&
           omma_dims_count((int64_t[]){p->m, p->c, p->kh, p->kw}, 4, &count);
}

const char *omma_last_form(const omma_kernels *kern, const omma_conv *p) {
    return empty(p) ? "empty" : way_of(kern, p)->form(kern, p);
}

bool omma_last_packed_bytes(const omma_kernels *kern, const omma_conv *p, size_t *bytes) {
    *bytes = 0;
    if (empty(p)) return true;
    return sizes_fit(p) && way_of(kern, p)->packed_bytes(kern, p, bytes);
}

void omma_last_pack(const omma_kernels *kern, const omma_conv *p, void *dst, const void *weights,
                    int threads) {
    if (!empty(p)) way_of(kern, p)->pack(kern, p, dst, weights, threads);
}

bool omma_last_scratch(const omma_kernels *kern, const omma_conv *p, int threads, size_t *bytes) {
    *bytes = 0;
    if (empty(p)) return true;
    return sizes_fit(p) && way_of(kern, p)->scratch(kern, p, threads, bytes);
}

void omma_last_run(const omma_kernels *kern, int threads, const omma_conv *p, const float *x,
                   int64_t x_ld, const void *packed, float *y, int64_t y_ld, const omma_epilogue *e,
                   void *scratch) {
    if (!empty(p)) way_of(kern, p)->run(kern, threads, p, x, x_ld, packed, y, y_ld, e, scratch);
}

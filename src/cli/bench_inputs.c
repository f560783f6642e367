/* bench_inputs.c - made-up inputs for a model: see bench_fill. Small whole numbers, since they
 * may be indices or sizes; normal ones, since zeros and denormals may be faster or slower. */
#include <math.h>

#include "base/checked.h"
#include "cli/bench.h"
#include "op/op.h"

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t next(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Of (0, 1]. */
static double uniform(uint64_t *state) { return ((double)(next(state) >> 11) + 1) * 0x1p-53; }

/* Box and Muller 1958. */
static double normal(uint64_t *state) {
    const double r = sqrt(-2 * log(uniform(state)));
    return r * cos(6.283185307179586 * uniform(state));
}

static double number(omma_dtype t, uint64_t *state) {
    switch (t) {
    case OMMA_F32:
    case OMMA_F64:
    case OMMA_F16:
    case OMMA_BF16: return normal(state);
    case OMMA_U8: return (double)(next(state) & 255);
    default: return (double)(next(state) & 1);
    }
}

omma_status bench_fill(omma_tensor *inputs, int n, omma_arena *arena, omma_error *err) {
    for (int i = 0; i < n; i++) {
        omma_tensor *t = &inputs[i];
        if (t->data) continue;
        const size_t size = omma_dtype_size(t->dtype);
        size_t bytes;
        if (!size)
            return omma_fail(err, OMMA_E_UNSUPPORTED, "input %d is of %s: give it with -i", i,
                             omma_dtype_name(t->dtype));
        if (!omma_dims_bytes(t->dims, t->rank, size, &bytes))
            return omma_fail(err, OMMA_E_SHAPE, "the size of input %d overflows", i);
        t->data = omma_arena_alloc(arena, bytes);
        if (!t->data)
            return omma_fail(err, OMMA_E_NOMEM, "no memory for input %d: %.1f MiB", i,
                             (double)bytes / 1048576.0);
        uint64_t state = (uint64_t)i;
        const int64_t count = omma_tensor_count(t);
        for (int64_t k = 0; k < count; k++)
            omma_set_number(t->dtype, t->data, k, number(t->dtype, &state));
    }
    return OMMA_OK;
}

/* index_map.c - see index_map.h. */
#include "op/index_map.h"

#include "op/move.h"

/* --- places ------------------------------------------------------------------------------ */

int64_t *omma_index_places(omma_arena *a, const omma_value *data, const omma_value *index,
                           const void *numbers, int axis) {
    const int64_t count = omma_value_count(index);
    int64_t *place = omma_arena_array(a, (size_t)count + 1, sizeof *place);
    int64_t strides[OMMA_MAX_RANK], at[OMMA_MAX_RANK] = {0};
    omma_strides(data->dims, data->rank, strides);
    for (int64_t i = 0; place && i < count; i++) {
        const int64_t k = omma_index_of(index->dtype, numbers, i, data->dims[axis]);
        int64_t sum = k * strides[axis];
        for (int d = 0; d < index->rank; d++)
            if (d != axis) sum += at[d] * strides[d];
        place[i] = k < 0 ? -1 : sum;
        for (int d = index->rank - 1; d >= 0 && ++at[d] == index->dims[d]; d--) at[d] = 0;
    }
    return place;
}

int64_t *omma_index_tuples(omma_arena *a, const int64_t *dims, int depth, const omma_value *index,
                           const void *numbers, int64_t count) {
    const int64_t tuples = omma_value_count(index) / depth;
    int64_t *place = omma_arena_array(a, (size_t)tuples + 1, sizeof *place);
    int64_t size = 1;
    for (int d = 0; d < depth; d++) size *= dims[d];
    for (int64_t i = 0; place && i < tuples; i++) {
        int64_t at = 0;
        for (int d = 0; d < depth && at >= 0; d++) {
            const int64_t k = omma_index_of(index->dtype, numbers, i * depth + d, dims[d]);
            at = k < 0 ? -1 : at * dims[d] + k;
        }
        place[i] = at < 0 || !count ? at : at + i / count * size;
    }
    return place;
}

bool omma_index_distinct(omma_arena *a, const int64_t *place, int64_t n, int64_t size) {
    uint64_t *seen = omma_arena_array(a, (size_t)(size / 64) + 1, sizeof *seen);
    if (!seen || !place) return false;
    for (int64_t i = 0; i < n; i++) {
        if (place[i] < 0) continue;
        const uint64_t bit = UINT64_C(1) << (place[i] & 63);
        if (seen[place[i] >> 6] & bit) return false;
        seen[place[i] >> 6] |= bit;
    }
    return true;
}

/* --- maps -------------------------------------------------------------------------------- */

static omma_status too_many(omma_field *f) {
    return f->status = omma_unsupported(f->b, f->n, "more than 2^31 elements by index");
}

omma_map omma_map_picked(omma_field *f, int from, const int64_t *item, int64_t n) {
    int32_t *start, *at, used = 0;
    omma_map map = omma_map_all(0);
    const int64_t step = n > 1 ? item[1] - item[0] : 0;
    bool even = n > 0;
    for (int64_t o = 0; o < n; o++) {
        even &= item[o] >= 0 && item[o] == item[0] + o * step;
        if (item[o] > INT32_MAX) return too_many(f), map;
    }
    if (even) return omma_map_moved(from, item[0], step);
    if (!omma_map_list(f, &map, from, n, n, &start, &at)) return map;
    for (int64_t o = 0; o < n; o++) {
        if (item[o] >= 0) at[used++] = (int32_t)item[o];
        start[o + 1] = used;
    }
    return map;
}

omma_map omma_map_placed(omma_field *f, int from, int64_t outs, const int64_t *place, int64_t n,
                         bool last) {
    int32_t *start, *item, *used;
    omma_map map = omma_map_all(0);
    if (n > INT32_MAX) return too_many(f), map;
    if (!omma_map_list(f, &map, from, outs, n, &start, &item)) return map;
    used = omma_arena_array(f->b->arena, (size_t)outs + 1, sizeof *used);
    if (!used) {
        f->status = omma_nomem(f->b, f->n);
        return map;
    }
    for (int64_t i = 0; i < n; i++)
        if (place[i] >= 0) start[place[i] + 1] = last ? 1 : start[place[i] + 1] + 1;
    for (int64_t o = 0; o < outs; o++) start[o + 1] += start[o];
    for (int64_t i = 0; i < n; i++)
        if (place[i] >= 0) item[start[place[i]] + (last ? 0 : used[place[i]]++)] = (int32_t)i;
    return map;
}

uint64_t *omma_field_bits(omma_field *f, int64_t n) {
    uint64_t *bits = omma_arena_array(f->b->arena, (size_t)(n / 64) + 1, sizeof *bits);
    if (!bits) f->status = omma_nomem(f->b, f->n);
    for (int64_t i = 0; bits && i < n; i++) bits[i >> 6] |= UINT64_C(1) << (i & 63);
    return bits;
}

void omma_field_bits_clear(uint64_t *bits, int64_t from, int64_t to) {
    for (int64_t i = from; i < to; i++) bits[i >> 6] &= ~(UINT64_C(1) << (i & 63));
}

/* --- relations --------------------------------------------------------------------------- */

omma_relation *omma_field_relate_same(omma_field *f, int k, int i) {
    omma_relation *r = omma_field_relate(f, k, i);
    for (int d = 0; r && d < r->in_rank; d++) omma_relation_same(r, d, d);
    return r;
}

omma_status omma_field_whole_bound(omma_field *f, const omma_node *n) {
    for (int k = 0; k < n->n_out; k++)
        for (int i = 0; i < n->n_in; i++) {
            omma_relation *r = omma_field_relate(f, k, i);
            if (r) r->bound = true;
        }
    return f->status;
}

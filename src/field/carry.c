/* carry.c - see carry.h. Backward: the output's view, without the axes no map comes from, in the
 * order of the input's axes, each through its map; then the axes that are the same whatever the
 * output. Forward the same steps the other way around. */
#include "field/carry.h"

#include <assert.h>

static bool view(omma_arena *a, omma_set *s, int rank, const int64_t *dims) {
    bool same = s->rank == rank;
    for (int d = 0; d < rank && same; d++) same = s->dims[d] == dims[d];
    return same || omma_set_reshape(a, s, rank, dims);
}

/* The axes of the input that have a map from the output, in order; no two from the same axis. */
static int mapped(const omma_relation *r, int *axes) {
    unsigned from = 0;
    int n = 0;
    for (int d = 0; d < r->in_rank; d++) {
        if (r->axis[d].from < 0) continue;
        assert(!(from >> r->axis[d].from & 1));
        from |= 1u << r->axis[d].from;
        axes[n++] = d;
    }
    return n;
}

bool omma_carry_back(omma_arena *a, omma_set *x, const omma_set *y, const omma_relation *r,
                     const omma_value *in) {
    int axes[OMMA_MAX_RANK], perm[OMMA_MAX_RANK], left[OMMA_MAX_RANK], k = 0;
    const int n = mapped(r, axes);
    omma_set s = *y;
    if (r->out_only && !omma_set_restrict(a, &s, r->out_only)) return false;
    if (s.empty) {
        *x = omma_set_none(in->rank, in->dims);
        return true;
    }
    if (!view(a, &s, r->out_rank, r->out_dims)) return false;
    for (int d = 0; d < r->out_rank; d++) {
        left[d] = -1;
        for (int j = 0; j < n; j++)
            if (r->axis[axes[j]].from == d) left[d] = k++;
    }
    for (int d = r->out_rank - 1; d >= 0; d--)
        if (left[d] < 0 && !omma_set_drop(a, &s, d)) return false;
    for (int j = 0; j < n; j++) perm[j] = left[r->axis[axes[j]].from];
    if (n && !omma_set_permute(a, &s, perm)) return false;
    for (int j = 0; j < n; j++)
        if (!omma_set_map(a, &s, j, &r->axis[axes[j]], r->in_dims[axes[j]], true)) return false;
    for (int d = 0; d < r->in_rank; d++) {
        const omma_map *m = &r->axis[d];
        if (m->from < 0 &&
            !omma_set_insert(a, &s, d, r->in_dims[d], m->first, m->dilation, m->count))
            return false;
    }
    if (!view(a, &s, in->rank, in->dims)) return false;
    *x = s;
    return !r->in_only || omma_set_restrict(a, x, r->in_only);
}

/* Drop axis d of the input's view, on which only what its map reads counts. */
static bool drop_fixed(omma_arena *a, omma_set *s, int d, const omma_map *m) {
    const omma_map read = {
        .from = 0, .div = 1, .first = m->first, .dilation = m->dilation, .count = m->count};
    if (m->first == 0 && m->dilation == 1 && m->count >= s->dims[d]) return omma_set_drop(a, s, d);
    return omma_set_map(a, s, d, &read, 1, false) && omma_set_drop(a, s, d);
}

bool omma_carry_forth(omma_arena *a, omma_set *y, const omma_set *x, const omma_relation *r,
                      const omma_value *out) {
    int axes[OMMA_MAX_RANK], perm[OMMA_MAX_RANK], k = 0;
    const int n = mapped(r, axes);
    omma_set s = *x;
    if (r->in_only && !omma_set_restrict(a, &s, r->in_only)) return false;
    if (!view(a, &s, r->in_rank, r->in_dims)) return false;
    for (int d = r->in_rank - 1; d >= 0; d--)
        if (r->axis[d].from < 0 && !drop_fixed(a, &s, d, &r->axis[d])) return false;
    for (int j = 0; j < n; j++)
        if (!omma_set_map(a, &s, j, &r->axis[axes[j]], r->out_dims[r->axis[axes[j]].from], false))
            return false;
    for (int d = 0; d < r->out_rank; d++)
        for (int j = 0; j < n; j++)
            if (r->axis[axes[j]].from == d) perm[k++] = j;
    if (n && !omma_set_permute(a, &s, perm)) return false;
    for (int d = 0; d < r->out_rank; d++) {
        bool from = false;
        for (int j = 0; j < n; j++) from |= r->axis[axes[j]].from == d;
        if (!from && !omma_set_insert(a, &s, d, r->out_dims[d], 0, 1, r->out_dims[d])) return false;
    }
    if (!view(a, &s, out->rank, out->dims)) return false;
    *y = s;
    return !r->out_only || omma_set_restrict(a, y, r->out_only);
}

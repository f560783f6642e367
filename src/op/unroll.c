/* unroll.c - see unroll.h. The pieces are one Split's, whose gradient is one Concat: a Slice for
 * each would have as many gradients as large as the whole. */
#include "op/unroll.h"

omma_status omma_unroll_check(omma_maker *m, int64_t steps, int64_t nodes) {
    if (m->status || steps <= OMMA_UNROLL_MAX / nodes) return m->status;
    return m->status = omma_unsupported(
               m->b, m->of, "%lld steps, written out for this reading, would be more than %d nodes",
               (long long)steps, OMMA_UNROLL_MAX);
}

omma_value **omma_unroll_list(omma_maker *m, int64_t steps) {
    omma_value **list = omma_arena_array(m->b->arena, (size_t)steps + 1, sizeof(omma_value *));
    if (!list && !m->status) m->status = omma_nomem(m->b, m->of);
    return list;
}

bool omma_unroll_cut(omma_maker *m, omma_value *v, int axis, int64_t count, omma_value **piece) {
    int64_t *sizes = omma_arena_array(m->b->arena, (size_t)count + 1, sizeof *sizes);
    const omma_attr a = OMMA_A_INT("axis", axis);
    if (!sizes && !m->status) m->status = omma_nomem(m->b, m->of);
    if (!v || m->status || omma_unroll_check(m, count, 1)) return false;
    for (int64_t i = 0; i < count; i++) sizes[i] = v->dims[axis] / count;
    omma_value *in[] = {v, omma_make_ints(m, sizes, (int)count)};
    const omma_node *n = omma_make_node(m, omma_op_find("Split"), 13, in, 2, &a, 1, (int)count);
    for (int64_t i = 0; n && i < count; i++) piece[i] = n->out[i];
    return n != NULL;
}

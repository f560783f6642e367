/* op.h - the rooms: how an operator's row (struct omma_op of graph.h) is filled, and the few
 * helpers every room uses.
 *
 * A room is a file src/op/<family>.c. It holds, for each operator of the family, a
 * constant omma_op named omma_op_<OnnxName>, and nothing of it is known elsewhere but
 * the line in op_table.c. The order of life of a node:
 *
 *   infer    once per set of input shapes. Every input's dtype and shape is known; an
 *            input that is constant has data. Checks everything a hostile or broken
 *            model could get wrong, sets the outputs' dtypes and shapes through
 *            omma_out, and may leave a struct made from the attributes in n->param.
 *   prepare  (optional) once per plan, after infer: packs constant weights with
 *            omma_pack, asks for working memory in n->scratch.
 *   run      any number of times: reads n->in[i]->mem, writes n->out[i]->mem (both
 *            aligned to 64 bytes for plan memory, to the element size for callers' inputs);
 *            allocates nothing. An absent optional input is n->in[i] == NULL or
 *            i >= n->n_in; use omma_in. An output nobody wants is NULL.
 *
 * infer never sees an unknown shape: symbolic dimensions are settled before. An input
 * whose *contents* decide a shape (Reshape's shape, Slice's starts, ...) must be constant
 * by then; omma_ints_in says so in its error when it is not.
 *
 * Opset versions are handled in the room, by n->opset; an argument that older versions
 * give as an attribute and newer ones as an input is read by omma_ints_arg. */
#ifndef OMMA_OP_OP_H
#define OMMA_OP_OP_H

#include "graph/graph.h"
#include "kernel/kernel.h"

/* What infer and prepare may use. */
struct omma_build {
    omma_arena *arena; /* lives as long as the plan */
    omma_error *err;   /* may be NULL */
    const omma_kernels *kern;
    int threads;              /* the most a run will use; 0 counts as 1 */
    const omma_value *wanted; /* set when infer fails for want of this value's numbers */
    struct omma_packs *packs; /* weights in the form kernels read, shared by plans; NULL: none */
    struct omma_staging *staging; /* for weights made while they are packed; NULL: they are kept */
};

/* What run may use. */
struct omma_exec {
    int threads; /* for omma_parallel */
    const omma_kernels *kern;
    omma_error *err; /* may be NULL */
};

/* The row of an operator of the standard domain, or NULL. */
const omma_op *omma_op_find(const char *name);

/* All rows, for the listing and the tests. */
const omma_op *const *omma_op_all(int *count);

/* What a row lacks that every row must have (infer and run, or expand; a gradient and a field, or
 * why there is none; sound numbers of inputs and outputs), in a few words, or NULL. The build ends
 * when a row of the table has a fault. Thread-safe. */
const char *omma_op_fault(const omma_op *op);

/* --- for infer ----------------------------------------------------------------- */

/* Fail at this node: "node 'NAME' (OP): message". */
#define omma_bad(b, n, ...) \
    omma_fail_node((b)->err, OMMA_E_SHAPE, (n)->name, (n)->op->name, __VA_ARGS__)
#define omma_unsupported(b, n, ...) \
    omma_fail_node((b)->err, OMMA_E_UNSUPPORTED, (n)->name, (n)->op->name, __VA_ARGS__)
#define omma_nomem(b, n) \
    omma_fail_node((b)->err, OMMA_E_NOMEM, (n)->name, (n)->op->name, "out of memory")

/* Fail at this node while running, e.g. an index out of range. */
#define omma_run_bad(x, n, ...) \
    omma_fail_node((x)->err, OMMA_E_RANGE, (n)->name, (n)->op->name, __VA_ARGS__)

/* Input i, or NULL when it is left out. */
static inline omma_value *omma_in(const omma_node *n, int i) {
    return i < n->n_in ? n->in[i] : NULL;
}

/* Set output i's type and shape (nothing to do for an unwanted output). Fails when the
 * size overflows or rank > OMMA_MAX_RANK. */
omma_status omma_out(omma_build *b, const omma_node *n, int i, omma_dtype t, int rank,
                     const int64_t *dims);

/* Output i like value v. */
omma_status omma_out_like(omma_build *b, const omma_node *n, int i, const omma_value *v);

/* The integers of constant input i (int32 or int64, rank 0 or 1): up to max of them into
 * out, *count set; *count = -1 when the input is left out. Fails when it is not constant,
 * not of integers, or longer than max. */
omma_status omma_ints_in(omma_build *b, const omma_node *n, int i, int64_t *out, int max,
                         int *count);

/* The same where old opsets give whole numbers in the type of the data. */
omma_status omma_wholes_in(omma_build *b, const omma_node *n, int i, int64_t *out, int max,
                           int *count);

/* As omma_ints_in from input i if it is there, else from the attribute of that name. */
omma_status omma_ints_arg(omma_build *b, const omma_node *n, int i, const char *attr, int64_t *out,
                          int max, int *count);

/* The integers of an attribute; *count = -1 when it is left out. */
omma_status omma_ints_attr(omma_build *b, const omma_node *n, const char *attr, int64_t *out,
                           int max, int *count);

/* Constant input i as one number of any real type; *found false when left out. */
omma_status omma_number_in(omma_build *b, const omma_node *n, int i, double *out, bool *found);

/* Bring axis from [-rank, rank) into [0, rank). */
omma_status omma_axis(omma_build *b, const omma_node *n, int64_t axis, int rank, int *out);

/* ONNX multidirectional broadcasting of k shapes. Fails when they do not fit. */
omma_status omma_broadcast(omma_build *b, const omma_node *n, omma_value *const *v, int k,
                           int *rank, int64_t *dims);

/* Zeroed memory for n->param. Use: my_param *p = omma_param(b, n, sizeof *p). */
void *omma_param(omma_build *b, omma_node *n, size_t size);

/* How many workers to provide working memory for: what b->threads says, at least 1. run
 * must not use more. */
static inline int omma_workers(const omma_build *b) { return b->threads > 1 ? b->threads : 1; }

/* --- for prepare --------------------------------------------------------------- */

/* Packed weights; starts as {.arena = arena}. */
typedef struct omma_packs {
    omma_arena *arena;
    struct omma_packs *shared;      /* those of constants that all sessions share; NULL: none */
    struct omma_packed *head[1024]; /* by where the weights lie */
} omma_packs;

/* Memory of bytes for value v (a constant) in another form named by form. It is made
 * once and shared by all plans, and for constants of the model by all sessions. *from is NULL then;
 * else the caller shall fill it from v's numbers, which lie at *from until the next call, nothing
 * may fail before it has, and it calls omma_pack_done. NULL when out of memory. */
void *omma_pack(omma_build *b, const omma_value *v, const char *form, size_t bytes,
                const void **from);

/* v was packed, and is hardly needed again: its file's pages go back to the system. */
void omma_pack_done(const omma_value *v);

/* --- for run ------------------------------------------------------------------- */

/* Row-major strides [elements] of dims. */
void omma_strides(const int64_t *dims, int rank, int64_t *strides);

/* Float16 and bfloat16, by value (IEEE, round to nearest even). */
float omma_f16_to_f32(uint16_t h);
uint16_t omma_f32_to_f16(float f);
float omma_bf16_to_f32(uint16_t h);
uint16_t omma_f32_to_bf16(float f);

/* d as a float with its last bit set when d lies between two floats (rounding to odd): rounding
 * that to 16 bits gives what rounding d directly would. */
float omma_odd_f32(double d);

/* Elements from of t into double, and back (saturating for integers, NaN to 0). For slow
 * general paths. */
double omma_get_number(omma_dtype t, const void *p, int64_t i);
void omma_set_number(omma_dtype t, void *p, int64_t i, double v);

#endif

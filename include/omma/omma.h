/* omma.h - the public interface of libomma.
 *
 * Vision models made of convolutions and attention: load one, make a session,
 * run it, watch any value inside it.
 *
 *     omma_error err;
 *     omma_model *m;
 *     omma_session *s;
 *     if (omma_model_open(&m, "model.onnx", NULL, &err)) ...err.message...
 *     if (omma_session_new(&s, m, NULL, &err)) ...
 *     if (omma_session_run(s, inputs, n_inputs, &err)) ...
 *     const omma_tensor *y = omma_session_output(s, 0);
 *     omma_session_free(s);
 *     omma_model_free(m);
 *
 * Conventions
 *   - Zero is success. Every call that can fail returns an omma_status and, when
 *     its err argument is not NULL, leaves the detail there.
 *   - The library never prints, never exits and never aborts.
 *   - Files are treated as hostile: sizes are checked before memory is taken.
 *   - A model may be shared by any number of sessions and threads. A session is
 *     used by one thread at a time.
 *   - Tensors are row-major and dense; dims[0] varies slowest.
 */
#ifndef OMMA_OMMA_H
#define OMMA_OMMA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define OMMA_API __attribute__((visibility("default")))
#else
#define OMMA_API
#endif

#define OMMA_VERSION_MAJOR 0
#define OMMA_VERSION_MINOR 1
#define OMMA_VERSION_PATCH 0

enum { OMMA_MAX_RANK = 8 };

/* Every status: name, value, message. */
#define OMMA_STATUS_LIST(X)                                        \
    X(OMMA_OK, 0, "no error")                                      \
    X(OMMA_E_USAGE, 1, "wrong argument")                           \
    X(OMMA_E_IO, 2, "input or output failed")                      \
    X(OMMA_E_FORMAT, 3, "the file is not sound")                   \
    X(OMMA_E_RANGE, 4, "a size or a number is out of range")       \
    X(OMMA_E_NOMEM, 5, "out of memory, or over the memory budget") \
    X(OMMA_E_UNSUPPORTED, 6, "something omma does not do")         \
    X(OMMA_E_SHAPE, 7, "shapes or types do not fit together")      \
    X(OMMA_E_NOTFOUND, 8, "no such name")                          \
    X(OMMA_E_INTERNAL, 9, "a fault in omma itself")

typedef enum omma_status {
#define OMMA_X(name, value, text) name = value,
    OMMA_STATUS_LIST(OMMA_X)
#undef OMMA_X
} omma_status;

/* What went wrong, filled by the call that failed.
 *   status   as returned.
 *   offset   byte offset in file [bytes], -1 when there is none.
 *   file     the file concerned, "" when there is none.
 *   node     the node or tensor concerned, "" when there is none.
 *   message  one line for people, without a final newline; names file, node and
 *            offset where they are known and says what to do where that helps. */
typedef struct omma_error {
    omma_status status;
    int64_t offset;
    char file[256];
    char node[128];
    char message[2048];
} omma_error;

/* The text of a status, a static string; never NULL. */
OMMA_API const char *omma_status_text(omma_status status);

/* The library's version, "major.minor.patch", a static string. */
OMMA_API const char *omma_version(void);

/* Element types; the values are ONNX's. */
typedef enum omma_dtype {
    OMMA_NONE = 0,
    OMMA_F32 = 1,
    OMMA_U8 = 2,
    OMMA_I8 = 3,
    OMMA_U16 = 4,
    OMMA_I16 = 5,
    OMMA_I32 = 6,
    OMMA_I64 = 7,
    OMMA_STRING = 8,
    OMMA_BOOL = 9,
    OMMA_F16 = 10,
    OMMA_F64 = 11,
    OMMA_U32 = 12,
    OMMA_U64 = 13,
    OMMA_BF16 = 16
} omma_dtype;

/* Size of one element [bytes]; 0 for OMMA_NONE, OMMA_STRING and unknown values. */
OMMA_API size_t omma_dtype_size(omma_dtype t);

/* "float32", "int64", ...; "unknown" for values not listed. */
OMMA_API const char *omma_dtype_name(omma_dtype t);

/* A dense row-major array.
 *   data  the caller's or the session's memory; aligned to the element size. */
typedef struct omma_tensor {
    omma_dtype dtype;
    int rank;                    /* 0..OMMA_MAX_RANK; 0 is a scalar */
    int64_t dims[OMMA_MAX_RANK]; /* >= 0 */
    void *data;
} omma_tensor;

/* Number of elements; 1 for a scalar. Returns -1 if a dimension is negative or the
 * product overflows. */
OMMA_API int64_t omma_tensor_count(const omma_tensor *t);

/* --- models ------------------------------------------------------------------ */

typedef struct omma_model omma_model;
typedef struct omma_session omma_session;

/* Options for models and sessions; zero means the default everywhere.
 *   max_memory   bytes a model or session may hold; default three quarters of the
 *                machine's memory.
 *   threads      threads a run may use, 1..256; default OMMA_THREADS from the
 *                environment, else the cores this process may run on. Results do
 *                not depend on it.
 *   allow_external  (models) 1: read tensors that the model keeps in files of their own:
 *                regular files with a single name, below the model's folder, no links. They
 *                are mapped and must stay unchanged while the model lives.
 *   bf16         (sessions) 1: weights and activations in bfloat16 between big products, whose
 *                sums, like norms and softmax, stay in float32. Half the memory to read, and on
 *                processors with instructions for it (AVX512-BF16) twice the speed; answers move
 *                by about a hundredth of their size. Inputs and outputs keep their types.
 *   keep_float   (sessions) with bf16: names of nodes that stay in float32, one a line; NULL:
 *                none. The text is copied. A name the model has not is no error. */
typedef struct omma_options {
    size_t max_memory;
    int threads;
    int allow_external;
    int bf16;
    const char *keep_float;
} omma_options;

/* An input or output as the file declares it. dims[i] is -1 where the file leaves
 * the size open; symbol[i] is then its name or NULL. */
typedef struct omma_port {
    const char *name;
    omma_dtype dtype;
    int rank; /* -1: not declared */
    int64_t dims[OMMA_MAX_RANK];
    const char *symbol[OMMA_MAX_RANK];
} omma_port;

/* Load a model from an ONNX file. The file is mapped and its weights are not copied,
 * so it must stay unchanged while the model lives, which holds one of 1 MiB or more open.
 * (A file that anybody may write, mode o+w, is copied, within max_memory.)
 *   out   receives the model; free it with omma_model_free, after its sessions.
 *   path  the file.
 *   opt   may be NULL.
 *   err   may be NULL.
 * Returns OMMA_OK, OMMA_E_IO, OMMA_E_FORMAT (a fault in the file, with its byte
 * offset), OMMA_E_UNSUPPORTED (operators omma lacks: the message lists them all; external
 * data that were not allowed),
 * OMMA_E_RANGE or OMMA_E_NOMEM. Thread-safe. */
OMMA_API omma_status omma_model_open(omma_model **out, const char *path, const omma_options *opt,
                                     omma_error *err);

/* Free a model; NULL is allowed. No session of it may be alive. */
OMMA_API void omma_model_free(omma_model *m);

/* The declared inputs and outputs; owned by the model. The index must be below the
 * count. */
OMMA_API int omma_model_input_count(const omma_model *m);
OMMA_API int omma_model_output_count(const omma_model *m);
OMMA_API const omma_port *omma_model_input(const omma_model *m, int i);
OMMA_API const omma_port *omma_model_output(const omma_model *m, int i);

/* --- sessions ---------------------------------------------------------------- */

/* Make a session: the model made ready to run. Plans for given input shapes are made
 * on the first run with them and kept, so later runs allocate nothing. The sessions of a model
 * share one copy of its weights, in whatever form the kernels read. For many streams at once give
 * each a thread of the program and a session with threads = 1: the cores are then busy with whole
 * pictures, and no stream waits for another.
 *   opt   may be NULL. What the sessions share counts against each one's max_memory.
 * Returns OMMA_OK, OMMA_E_SHAPE, OMMA_E_UNSUPPORTED, OMMA_E_USAGE (OMMA_THREADS or OMMA_CPU
 * in the environment make no sense) or OMMA_E_NOMEM. Thread-safe. */
OMMA_API omma_status omma_session_new(omma_session **out, const omma_model *m,
                                      const omma_options *opt, omma_error *err);

/* Free a session and every tensor it handed out; NULL is allowed. */
OMMA_API void omma_session_free(omma_session *s);

/* Ask for a value inside the graph to be kept, by its name in the model. Takes effect
 * at the next run; the numbers of all other values stay the same, to the bit.
 * Returns OMMA_OK, OMMA_E_NOTFOUND or OMMA_E_NOMEM. */
OMMA_API omma_status omma_session_watch(omma_session *s, const char *value, omma_error *err);

/* Make the plan for inputs of these shapes now, so that the first run with them takes no longer
 * than those that follow. Takes back the outputs of the last run.
 *   inputs  as for omma_session_run; data may be NULL of an input of more than 512 bytes.
 * Returns as omma_session_run. One thread at a time per session. */
OMMA_API omma_status omma_session_prepare(omma_session *s, const omma_tensor *inputs, int n,
                                          omma_error *err);

/* Run the model.
 *   inputs  n tensors in the model's input order, of the declared type and of shapes
 *           that fit it; read during the call only.
 * Returns OMMA_OK, OMMA_E_USAGE (count), OMMA_E_SHAPE, OMMA_E_UNSUPPORTED (the graph
 * cannot be specialised to these shapes), OMMA_E_RANGE (an index in the data is out of
 * range) or OMMA_E_NOMEM. One thread at a time per session. */
OMMA_API omma_status omma_session_run(omma_session *s, const omma_tensor *inputs, int n,
                                      omma_error *err);

/* Output i of the last successful run, or NULL; valid until the session's next run. */
OMMA_API const omma_tensor *omma_session_output(const omma_session *s, int i);

/* The watched value of that name as the last successful run left it, or NULL when it
 * is not watched; valid until the session's next run. */
OMMA_API const omma_tensor *omma_session_watched(const omma_session *s, const char *value);

/* --- gradients ----------------------------------------------------------------- */

/* A model differentiated. The gradient is a graph of its own, made for the shapes of the inputs at
 * the first run with them, and run as a session runs a model. */
typedef struct omma_gradient omma_gradient;

/* What is differentiated, and by what; zeroed: all of the model's floating outputs by all of its
 * floating inputs. Names are copied. */
typedef struct omma_gradient_how {
    const char *const *of; /* n_of names of values; NULL: the outputs */
    int n_of;
    const char *const *by; /* n_by names: inputs, parameters, any value inside; NULL: the inputs */
    int n_by;
    int seeded; /* each run gives a cotangent for every `of`; else ones: the gradient of the sum of
                   all their numbers */
    int local;  /* 1: what cannot depend on a seed that is not zero is zero to the last bit, as
                   fields want it; else kernels may be used that are faster, and whose rounding
                   reaches a little further */
} omma_gradient_how;

/* Make the gradient of a model, which outlives it.
 *   how, opt  may be NULL.
 * Returns OMMA_OK or OMMA_E_NOMEM; what cannot be differentiated is told by the first run.
 * Thread-safe. */
OMMA_API omma_status omma_gradient_new(omma_gradient **out, const omma_model *m,
                                       const omma_gradient_how *how, const omma_options *opt,
                                       omma_error *err);
OMMA_API void omma_gradient_free(omma_gradient *g);

/* Run forward and back.
 *   inputs  as for omma_session_run.
 *   seeds   when seeded: a cotangent for each `of`, of its shape and type; else NULL.
 * Returns as omma_session_run; OMMA_E_NOTFOUND (no value of a name); OMMA_E_UNSUPPORTED also names
 * the node that has no gradient, and why. One thread at a time per gradient. */
OMMA_API omma_status omma_gradient_run(omma_gradient *g, const omma_tensor *inputs, int n,
                                       const omma_tensor *seeds, omma_error *err);

/* Of the last successful run: value i of those differentiated, and the gradient by value i of
 * `by`, of that value's shape and type (zeros where nothing leads from it to any `of`). NULL when
 * there is none; valid until the next run. */
OMMA_API const omma_tensor *omma_gradient_value(const omma_gradient *g, int i);
OMMA_API const omma_tensor *omma_gradient_result(const omma_gradient *g, int i);

/* How many `by` there are, and the name of each (NULL past the end). */
OMMA_API int omma_gradient_count(const omma_gradient *g);
OMMA_API const char *omma_gradient_name(const omma_gradient *g, int i);

/* --- fields -------------------------------------------------------------------- */

/* A model's field of view for inputs of given shapes: which elements of an input can influence
 * which elements inside, whatever the weights; exact, with holes. */
typedef struct omma_fov omma_fov;

typedef enum omma_fov_status {
    OMMA_FOV_EXACT = 0,
    OMMA_FOV_UPPER_BOUND = 1, /* what is outside cannot be reached, what is inside may be */
    OMMA_FOV_DATA = 2,        /* for the image at hand only: sampling places depend on it */
    OMMA_FOV_WHOLE = 3        /* everything */
} omma_fov_status;

/* Which ways count; combine by adding. */
enum {
    OMMA_FOV_VALUE = 1,     /* numbers that become the result's */
    OMMA_FOV_STATISTIC = 2, /* means and variances of norms, gates */
    OMMA_FOV_CONTROL = 4,   /* what decides which elements are read: offsets, indices */
    OMMA_FOV_STRUCTURAL = 7,
    OMMA_FOV_CONTENT = 1
};

/* Read a model, which outlives the result.
 *   inputs  n tensors in the model's input order: their types and shapes. Where all have data,
 *           they are the image at hand, on which the model is run once if it samples at places that
 *           depend on it.
 *   opt     may be NULL.
 * Returns as omma_session_run, and OMMA_E_UNSUPPORTED with the node and the reason where an
 * operator has no field. Thread-safe. */
OMMA_API omma_status omma_fov_new(omma_fov **out, const omma_model *m, const omma_tensor *inputs,
                                  int n, const omma_options *opt, omma_error *err);
OMMA_API void omma_fov_free(omma_fov *f);

/* The shape that a value has here: rank and dims [OMMA_MAX_RANK]. Returns OMMA_OK or
 * OMMA_E_NOTFOUND (no such value, or it became a constant). */
OMMA_API omma_status omma_fov_shape(const omma_fov *f, const char *value, int *rank, int64_t *dims,
                                    omma_error *err);

/* Backward: the elements of `input` that can influence a unit.
 *   value   the name of the unit's value
 *   at      its index, one number an axis; -1: all along that axis
 *   paths   OMMA_FOV_STRUCTURAL, OMMA_FOV_CONTENT, or a sum of their parts
 *   input   the name of an input (or of any value on the way)
 *   bits    receives a bit for each element of input, row-major, 64 a word, lowest first:
 *           (elements + 63) / 64 words, which are overwritten
 *   status  receives how far to trust it; may be NULL
 * Returns OMMA_OK, OMMA_E_NOTFOUND, OMMA_E_RANGE (an index) or OMMA_E_NOMEM. One thread at a time
 * per omma_fov. */
OMMA_API omma_status omma_fov_back(omma_fov *f, const char *value, const int64_t *at,
                                   unsigned paths, const char *input, uint64_t *bits,
                                   omma_fov_status *status, omma_error *err);

/* Forward: the elements of `value` that the element `at` of `input` can influence; the rest as
 * above. */
OMMA_API omma_status omma_fov_forth(omma_fov *f, const char *input, const int64_t *at,
                                    unsigned paths, const char *value, uint64_t *bits,
                                    omma_fov_status *status, omma_error *err);

/* --- effective fields ---------------------------------------------------------- */

/* What a unit does see: how much each pixel matters to it, by gradients, over a set of images. */
typedef struct omma_effective omma_effective;

/* Begin one for the model, which outlives it.
 *   value   the name of a value with cells: a feature map, or tokens that have a place
 *   y, x    the cell; -1: the one in the middle
 *   recipe  "default", "luo" (the first channel) or "replk"; NULL: default (docs/field.md)
 *   opt     may be NULL
 * Returns OMMA_OK, OMMA_E_USAGE (the recipe), OMMA_E_NOTFOUND (the value), OMMA_E_UNSUPPORTED (no
 * input is a picture) or OMMA_E_NOMEM; what else is wrong with the unit the first image tells.
 * Thread-safe. */
OMMA_API omma_status omma_effective_of(omma_effective **out, const omma_model *m, const char *value,
                                       int64_t y, int64_t x, const char *recipe,
                                       const omma_options *opt, omma_error *err);
OMMA_API void omma_effective_free(omma_effective *e);

/* One image more: the model's inputs, as for omma_session_run; all of one size. Returns as
 * omma_gradient_run, OMMA_E_RANGE (no such cell), OMMA_E_SHAPE (another size). One thread at a
 * time. */
OMMA_API omma_status omma_effective_add(omma_effective *e, const omma_tensor *inputs, int n,
                                        omma_error *err);

/* The mean over the images so far.
 *   height, width  receive the picture's size [px]
 *   map, error     receive the field and its standard error (NaN for one image), [height, width],
 *                  row-major; either may be NULL, as when the size is asked for first
 * Returns OMMA_OK, OMMA_E_USAGE (no image yet) or OMMA_E_NOMEM. */
OMMA_API omma_status omma_effective_get(const omma_effective *e, int64_t *height, int64_t *width,
                                        double *map, double *error, omma_error *err);

/* --- parts --------------------------------------------------------------------- */

/* A run of a model on one image in which its parts, found in the graph without being told, can be
 * seen: who attends to whom, and how much of a token's change came from where. Watching changes
 * nothing: outputs are those of a session, to the bit (of a model with ONNX's Attention, to
 * rounding). */
typedef struct omma_sight omma_sight;

/* Look at a model, which outlives the result, and run it once.
 *   inputs  n of them, with data, read during the call only.
 *   opt     may be NULL.
 * Returns as omma_fov_new and omma_session_run; OMMA_E_USAGE (an input without data). A model
 * without any of the parts is no error. Thread-safe. */
OMMA_API omma_status omma_sight_new(omma_sight **out, const omma_model *m,
                                    const omma_tensor *inputs, int n, const omma_options *opt,
                                    omma_error *err);
OMMA_API void omma_sight_free(omma_sight *s);

/* Output i of the model; NULL: there is none. Lives as long as the sight. */
OMMA_API const omma_tensor *omma_sight_output(const omma_sight *s, int i);

/* An attention, and the sequences its queries and keys are. */
typedef struct omma_sight_part {
    const char *label;                /* the sight's */
    int cross;                        /* 1: queries and keys are different sequences */
    int decoder;                      /* 1: its queries are object queries */
    int block;                        /* number of the layer, from 0 */
    int64_t windows, heads;           /* windows 1: none */
    int64_t queries, keys;            /* of one window */
    int64_t query_tokens, key_tokens; /* of the whole sequences */
} omma_sight_part;

/* How many attentions there are, in the order they run; and one of them. Returns OMMA_OK or
 * OMMA_E_RANGE. */
OMMA_API int omma_sight_attentions(const omma_sight *s);
OMMA_API omma_status omma_sight_attention(const omma_sight *s, int attention, omma_sight_part *out,
                                          omma_error *err);

/* The weights of an attention, f32 [windows, heads, queries, keys], rows sum to 1; NULL: no such
 * attention, no memory, or its operator ran whole (ONNX's Attention in a model whose shapes the
 * data decide). Lives as long as the sight. One thread at a time. */
OMMA_API const float *omma_sight_weights(omma_sight *s, int attention);

/* A line of them over whole sequences, whatever windows there are.
 *   head   -1: the mean over heads.
 *   by     0: what the query `token` looks at; 1: what looks at the key `token`.
 *   line   receives a weight for each token at the other end; 0 where no window has both. Of a
 *          batch: of the first picture.
 * Returns OMMA_OK, OMMA_E_RANGE (no such attention, head or token), OMMA_E_UNSUPPORTED (there are
 * no weights, as above) or OMMA_E_NOMEM. One thread at a time. */
OMMA_API omma_status omma_sight_look(omma_sight *s, int attention, int head, int64_t token, int by,
                                     float *line, omma_error *err);

/* Where a token of an attention's queries (key 0) or keys (key 1) lies in the picture [px]; 0: it
 * has no place, as a class token. */
OMMA_API int omma_sight_place(const omma_sight *s, int attention, int key, int64_t token, double *y,
                              double *x);

/* The exact account of how a token changed: its new value is own + context + rest, shares of it by
 * projection, which add up to 1 and may be negative. */
typedef struct omma_account {
    double norm_before, norm_after, cosine; /* of the token's numbers */
    double own;                             /* what it was, and what it gave itself */
    double context;                         /* what others gave */
    double rest;                            /* biases */
    double mismatch; /* |sum of the parts - new value| / |new value| as the run has it */
} omma_account;

/* The account at the residual addition behind an attention.
 *   from  receives the share of each key token, [key_tokens]; may be NULL. Their sum is context,
 *         and what the token gave itself.
 * Returns OMMA_OK, OMMA_E_RANGE (no such attention or token), OMMA_E_UNSUPPORTED (no residual
 * addition, or what leads to it is not affine) or OMMA_E_NOMEM. */
OMMA_API omma_status omma_sight_account(const omma_sight *s, int attention, int64_t token,
                                        omma_account *out, double *from, omma_error *err);

#ifdef __cplusplus
}
#endif
#endif

/* kernel.h - the fast kernels, on plain pointers behind one table.
 *
 * omma_kernels holds what differs by instruction set: the C reference is always there
 * ("c"), faster ones are picked once by cpuid in rising order ("avx2", "avx512") and can be
 * forced down by the environment variable OMMA_CPU=c|avx2|avx512. The drivers below
 * (gemm, conv, ...) are written once, on top of the table, and split the work over threads.
 *
 * Same bits: for a given table, every output element is computed by the same operations in
 * the same order whatever the number of threads and wherever the tiles are cut. Reductions
 * are never split over threads.
 *
 * Rows here are plain f32 arrays; pointers to weights may be unaligned only where it says
 * so. Nothing here allocates: working memory is the caller's. */
#ifndef OMMA_KERNEL_KERNEL_H
#define OMMA_KERNEL_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is done to a value before it is stored. */
typedef enum omma_act {
    OMMA_ACT_NONE,
    OMMA_ACT_RELU,
    OMMA_ACT_CLIP,   /* to [lo, hi] */
    OMMA_ACT_HSWISH, /* x * clip(x/6 + 1/2, 0, 1); 0 at -inf */
    OMMA_ACT_SILU,   /* x * sigmoid(x); 0 at -inf */
    OMMA_ACT_GELU,   /* x * Phi(x), by erf; 0 at -inf */
    OMMA_ACT_COUNT
} omma_act;

typedef struct omma_epilogue {
    const float *row_bias; /* added to row m (a convolution's channel), or NULL */
    const float *col_bias; /* added to column n (a linear layer's unit), or NULL */
    const float *add;      /* added to C[m,n] before the activation: add[m*add_ld + n], or NULL; may
                              be C itself, element for element */
    int64_t add_ld;        /* [elements] */
    omma_act act;
    float lo, hi; /* of OMMA_ACT_CLIP */
} omma_epilogue;

typedef enum omma_unary {
    OMMA_UN_EXP,
    OMMA_UN_LOG,
    OMMA_UN_SQRT,
    OMMA_UN_TANH,
    OMMA_UN_SIGMOID,
    OMMA_UN_ERF,
    OMMA_UN_RELU,
    OMMA_UN_NEG,
    OMMA_UN_ABS,
    OMMA_UN_RECIPROCAL,
    OMMA_UN_SILU,
    OMMA_UN_GELU,
    OMMA_UN_HSWISH,
    OMMA_UN_COUNT
} omma_unary;

typedef enum omma_binary {
    OMMA_BIN_ADD,
    OMMA_BIN_SUB,
    OMMA_BIN_MUL,
    OMMA_BIN_DIV,
    OMMA_BIN_MAX,
    OMMA_BIN_MIN,
    OMMA_BIN_COUNT
} omma_binary;

struct omma_conv;
struct omma_int8_out; /* kernel/int8.h */

/* A channel of a convolution's input as `plane` lays it out in working memory: with its
 * zero border, and for strides above 1 as stride_h*stride_w phases, each holding every
 * stride-th row and column, so that the outputs of a row lie side by side under every tap.
 * Made by omma_conv_run. */
typedef struct omma_plane {
    int64_t pitch;          /* of a row of a phase [floats]: a multiple of 16 */
    int64_t phase;          /* of a phase [floats] */
    const int64_t *offsets; /* [kh,kw]: from output pixel 0 to what it sees through a tap */
} omma_plane;

typedef struct omma_kernels {
    const char *isa;
    int mr, nr; /* the tile of gemm_tile: rows <= mr, columns <= nr */

    /* C[m,n] (=|+=) A[m,k] x B: m <= mr, n <= nr. a: row stride lda [elements], may be
     * unaligned to 4 bytes. b: one packed panel [k][nr], columns beyond n are zero. When acc,
     * C's old numbers are added to the sum over k. Epilogue pointers are already moved to this
     * tile; NULL when this is not the last part of k. */
    void (*gemm_tile)(int m, int n, int64_t k, const float *a, int64_t lda, const float *b,
                      float *c, int64_t ldc, bool acc, const omma_epilogue *e);

    /* y[i] = f(x[i]); x and y may be the same array. exp and log are right to 1 ulp, the
     * others to 3, gelu to 5, for all floats with denormals. NaN stays NaN; silu, gelu and
     * hswish give 0 at -inf, their limit. */
    void (*unary[OMMA_UN_COUNT])(int64_t n, const float *x, float *y);

    /* y[i] = a[i*sa] op b[i*sb], sa and sb 0 or 1; y may be a or b where their stride is 1. */
    void (*binary[OMMA_BIN_COUNT])(int64_t n, const float *a, int sa, const float *b, int sb,
                                   float *y);

    /* y[i] = min(max(x[i], lo), hi); NaN stays NaN. */
    void (*clip)(int64_t n, const float *x, float lo, float hi, float *y);

    /* Sum of n numbers, of their squares about a mean, and their maximum; fixed order for
     * given n. */
    float (*sum)(int64_t n, const float *x);
    float (*sum_sq)(int64_t n, const float *x, float mean);
    float (*max)(int64_t n, const float *x);

    /* y[i] = x[i] * scale[i] + shift[i] for rows: scale and shift with stride 0 or 1. */
    void (*affine)(int64_t n, const float *x, const float *scale, const float *shift, int stride,
                   float *y);

    /* y = softmax(x) over n numbers, maximum taken out first; -inf gives 0; a row of -inf
     * gives NaN, as ONNX's definition does. y may be x. */
    void (*softmax)(int64_t n, const float *x, float *y);

    /* One output row of a depthwise convolution with one channel:
     * y[o] = sum_t w[t] * x[rows[t] + o*stride], o in [0, n), rows[t] an offset [elements].
     * w may be unaligned to 4 bytes. */
    void (*taps)(int64_t n, int n_taps, const float *w, const float *x, const int64_t *rows,
                 int stride, float *y);

    /* y[i] = act(x[i] + bias[i*stride]), stride 0 or 1, bias NULL for none; the biases of e
     * are not used, e may be NULL. y may be x. */
    void (*finish)(int64_t n, const float *x, const float *bias, int stride, const omma_epilogue *e,
                   float *y);

    /* y[i] = A[i,:] . x, A: [m,k], row stride lda, may be unaligned to 4 bytes. */
    void (*gemv)(int64_t m, int64_t k, const float *a, int64_t lda, const float *x, float *y);

    /* One packed panel from n <= nr columns that are contiguous in memory:
     * panel[i*nr + j] = b[i + j*col], i < k, zero for j >= n. b may be unaligned to 4 bytes. */
    void (*pack_cols)(int64_t k, int n, const float *b, int64_t col, float *panel);

    /* One packed panel of a convolution's patches: row ((ch - c0)*kh + ky)*kw + kx, column j
     * holds what output pixel first + j (counted row by row) sees through tap (ky,kx) in
     * channel ch, c0 <= ch < c1; padding and columns j >= n (n <= nr) are zero. x: the
     * group's first channel of one image. */
    void (*patches)(const struct omma_conv *p, const float *x, int64_t c0, int64_t c1,
                    int64_t first, int n, float *panel);

    /* Rows [y0, y1) of one output channel that sees one input channel x: [h,w] through
     * w: [kh,kw], which may be unaligned to 4 bytes. y: the first of these rows. bias: one
     * number or NULL; e as in finish. work: the phases for y1 - y0 rows, and 16 floats. */
    void (*plane)(const struct omma_conv *p, const omma_plane *l, const float *x, const float *w,
                  const float *bias, const omma_epilogue *e, int64_t y0, int64_t y1, float *y,
                  float *work);

    /* --- 8 bits, see kernel/int8.h --- */
    int int8_mr, int8_nr; /* the tile of int8_tile */

    /* y[m,n] from the sums over segs segments of 4*groups numbers: those of row i of A lie at
     * a + i*lda + seg[s]. b: one packed panel [segs][groups][nr][4]. Activations beyond
     * OMMA_ACT_CLIP are not for it. o's pointers are those of this tile. */
    void (*int8_tile)(int m, int n, int segs, const int64_t *seg, int64_t groups, const uint8_t *a,
                      int64_t lda, const int8_t *b, const struct omma_int8_out *o, void *y,
                      int64_t ldy);

    /* y[i] = saturate(round(x[i] / scale) + zero), ties to even, NaN to 0; the same with zero
     * and saturation in u8. And back: y[i] = (x[i] - zero) * scale. */
    void (*quantize)(int64_t n, const float *x, float scale, int zero, uint8_t *y);
    void (*dequantize)(int64_t n, const uint8_t *x, float scale, int zero, float *y);
} omma_kernels;

/* The table for this machine; never NULL, always the same one in a process. */
const omma_kernels *omma_kernels_best(void);

/* The table of that name, or NULL when it is unknown or this CPU cannot run it. */
const omma_kernels *omma_kernels_named(const char *isa);

/* The i-th table this CPU can run (0 is "c"), or NULL beyond the last: for the tests. */
const omma_kernels *omma_kernels_at(int i);

/* Apply an epilogue's activation to one number, as every kernel does. */
float omma_act_apply(const omma_epilogue *e, float v);

/* --- matrix product ------------------------------------------------------------ */

/* Floats of B packed for kern: [ceil(n/nr)][k][nr]. */
size_t omma_gemm_packed_size(const omma_kernels *kern, int64_t k, int64_t n);

/* Pack B[k,n] with element (i,j) at b + (i*row + j*col) floats (unaligned allowed). */
void omma_gemm_pack(const omma_kernels *kern, float *dst, const void *b, int64_t row, int64_t col,
                    int64_t k, int64_t n, int threads);

/* C[m,n] = act(A[m,k] x B[k,n] + biases), B packed. a may be unaligned to 4 bytes. e may be
 * NULL. lda, ldc [elements]. */
void omma_gemm(const omma_kernels *kern, int threads, int64_t m, int64_t n, int64_t k,
               const float *a, int64_t lda, const float *b_packed, float *c, int64_t ldc,
               const omma_epilogue *e);

/* --- convolution, NCHW ---------------------------------------------------------- */

/* x: f32 [n, groups*c, h, w]; weights f32 [m, c, kh, kw] as in the file (unaligned allowed);
 * y: f32 [n, m, oh, ow]. Padding is zeros; bottom and right padding follow from oh, ow. */
typedef struct omma_conv {
    int64_t n, groups, c; /* c: input channels of one group */
    int64_t h, w;
    int64_t m; /* all output channels */
    int64_t oh, ow;
    int kh, kw, stride_h, stride_w, dilation_h, dilation_w;
    int64_t pad_top, pad_left;
} omma_conv;

/* Bytes of working memory omma_conv_run needs with that many threads or fewer; false on
 * overflow, also of the sizes of x, weights and y. */
bool omma_conv_scratch(const omma_kernels *kern, const omma_conv *p, int threads, size_t *bytes);

/* e->row_bias is the bias by output channel; e->col_bias is not used; e may be NULL.
 * scratch: as omma_conv_scratch says, aligned to 64 bytes. */
void omma_conv_run(const omma_kernels *kern, int threads, const omma_conv *p, const float *x,
                   const void *weights, float *y, const omma_epilogue *e, void *scratch);

#endif

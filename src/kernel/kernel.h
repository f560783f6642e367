/* kernel.h - the fast kernels, on plain pointers behind one table.
 *
 * omma_kernels holds what differs by instruction set: the C reference is always there
 * ("c"), faster ones are picked once in rising order of what the processor has ("avx2",
 * "avx512", "avx512bf16"; "neon" on ARM) and can be forced down by the environment variable
 * OMMA_CPU=c|avx2|avx512|avx512bf16|neon. The drivers below (gemm, conv, ...) are written once, on
 * top of the table, and split the work over threads.
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
    OMMA_ACT_CLIP,        /* to [lo, hi] */
    OMMA_ACT_HSWISH,      /* x * clip(x/6 + 1/2, 0, 1); 0 at -inf */
    OMMA_ACT_SILU,        /* x * sigmoid(x); 0 at -inf */
    OMMA_ACT_GELU,        /* x * Phi(x), by erf; 0 at -inf */
    OMMA_ACT_RELU_LINE,   /* relu(x) * lo + hi */
    OMMA_ACT_HSWISH_LINE, /* hswish(x) * lo + hi */
    OMMA_ACT_COUNT
} omma_act;

typedef struct omma_epilogue {
    const float *row_bias; /* added to row m (a convolution's channel), or NULL */
    const float *col_bias; /* added to column n (a linear layer's unit), or NULL */
    const float *add;      /* added to C[m,n] before the activation: add[m*add_ld + n], or NULL; may
                              be C itself, element for element */
    int64_t add_ld;        /* [elements] */
    omma_act act;
    float lo, hi; /* of OMMA_ACT_CLIP and OMMA_ACT_..._LINE */
} omma_epilogue;

/* The order of what makes a number of C, the same in every table and for every cut: the sum over
 * the first part of k, + add, + the sum over each further part, + row_bias, + col_bias, then the
 * activation. add comes with the first part so that C, which holds what the parts give so far, may
 * lie where add does. This is what of e belongs to one part, built in room; NULL for nothing. */
const omma_epilogue *omma_epilogue_part(const omma_epilogue *e, bool first, bool last,
                                        omma_epilogue *room);

/* Memory that will be wanted soon, for a tile to fetch into the L2 cache while it computes: from p
 * on `lines` lines of 64 bytes for every 8 rows of B (or the rest of 8 at the end of a tap), in
 * rows of `row` lines with `skip` bytes between them. It need not be readable beyond its end. */
typedef struct omma_ahead {
    const void *p;
    int64_t lines, row, skip;
} omma_ahead;

enum { OMMA_ROW_PANELS = 4 }; /* of B that gemm_row takes, at most */

enum omma_tile_flags {
    OMMA_TILE_ACC = 1,   /* C's old numbers are added */
    OMMA_TILE_STREAM = 2 /* C is large and not read soon: it may pass by the caches */
};

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
struct omma_pooling;
struct omma_int8_out; /* kernel/int8.h */
struct omma_bf16_out; /* kernel/bf16.h */

/* A channel of a convolution's input as `plane` lays it out in working memory: with its
 * zero border, and for strides above 1 as stride_h*stride_w phases, each holding every
 * stride-th row and column, so that the outputs of a row lie side by side under every tap.
 * Made by omma_conv_run. */
typedef struct omma_plane {
    int64_t pitch;          /* of a row of a phase [floats]: a multiple of 16 */
    int64_t phase;          /* of a phase [floats] */
    const int64_t *offsets; /* [kh,kw]: from output pixel 0 to what it sees through a tap */
} omma_plane;

/* A part of an image of a channels-last map: channels [c0, c1), c0 a multiple of 16, of output
 * rows [y0, y1). */
typedef struct omma_part {
    int64_t c0, c1, y0, y1;
    int64_t x_ld, y_ld; /* from a pixel of the input and the output to the next [floats] */
} omma_part;
/* What a step of softmax needs to know, each array by row: x becomes e^(scale*x + add[0] + add[1] -
 * *top), or 0 where that is below 2^-100, with *top raised to the largest number so far, -inf at
 * first. *sum, 0 at first, is multiplied by *by, the factor for all that the steps before gave, and
 * grows by the weights. A NaN or +inf makes it NaN. */
typedef struct omma_softmax {
    float scale;         /* > 0 */
    const float *add[2]; /* rows of n numbers, or NULL; the second only beside the first */
    int64_t add_ld[2];   /* [elements] */
    float *top, *sum, *by;
    bool whole; /* this step is all: weights are divided by their sum, and top, sum and by are not
                   touched, nor read */
} omma_softmax;

typedef struct omma_kernels {
    const char *isa;
    int mr, nr; /* the tile of gemm_tile: rows <= mr, columns <= nr */

    /* C[m,n] (=|+=) A[m,k] x B: m <= mr, n <= nr. a: row stride lda [elements], may be
     * unaligned to 4 bytes. b: one packed panel [k][nr], columns beyond n are zero. When acc,
     * C's old numbers are added to the sum over k, then what e says (omma_epilogue_part; NULL
     * for nothing). Its pointers are already moved to this tile. */
    void (*gemm_tile)(int m, int n, int64_t k, const float *a, int64_t lda, const float *b,
                      float *c, int64_t ldc, bool acc, const omma_epilogue *e);

    /* The same tile, summed over taps as well: row i of A under tap t is the k numbers at
     * a + i*lda + off[t]; b: [taps*k][nr]. flags: of omma_tile_flags. next: what to fetch
     * meanwhile, or NULL. */
    void (*conv_tile)(int m, int n, int64_t taps, const int64_t *off, int64_t k, const float *a,
                      int64_t lda, const float *b, float *c, int64_t ldc, unsigned flags,
                      const omma_epilogue *e, const omma_ahead *next);

    /* A row of C, as gemm_tile for m = 1 but of n <= OMMA_ROW_PANELS * nr columns: panel i of B is
     * at b + i*panel [floats]. The bits are those of gemm_tile. */
    void (*gemm_row)(int n, int64_t k, const float *a, const float *b, int64_t panel, float *c,
                     bool acc, const omma_epilogue *e);

    /* y[i] = f(x[i]); x and y may be the same array. exp and log are right to 1 ulp, the
     * others to 3, gelu to 7, for all floats with denormals. NaN stays NaN; silu, gelu and
     * hswish give 0 at -inf, their limit. */
    void (*unary[OMMA_UN_COUNT])(int64_t n, const float *x, float *y);

    /* y[i] = a[i*sa] op b[i*sb], sa and sb 0 or 1; y may be a or b where their stride is 1. */
    void (*binary[OMMA_BIN_COUNT])(int64_t n, const float *a, int sa, const float *b, int sb,
                                   float *y);

    /* The same for rows: y[r*n + i] = a[r*ra + i*sa] op b[r*rb + i*sb], r in [0, rows). */
    void (*binary_rows[OMMA_BIN_COUNT])(int64_t rows, int64_t n, const float *a, int64_t ra, int sa,
                                        const float *b, int64_t rb, int sb, float *y);

    /* y[i] = min(max(x[i], lo), hi); NaN stays NaN. */
    void (*clip)(int64_t n, const float *x, float lo, float hi, float *y);

    /* y[i*y_ld + j] += x[i*x_ld + j], i < m, j < n. Rows of y do not overlap. */
    void (*accumulate)(int64_t m, int64_t n, const float *x, int64_t x_ld, float *y, int64_t y_ld);

    /* y[i*y_ld + j] = bias[j] + sum over t < taps of x[t][i*x_ld + j] * w[t][j], i < m, j < n; bias
     * NULL for none. */
    void (*sum_products)(int64_t m, int64_t n, int64_t taps, const float *const *x, int64_t x_ld,
                         const float *const *w, const float *bias, float *y, int64_t y_ld);

    /* Sum of n numbers, of their squares about a mean, and their maximum; fixed order for
     * given n. */
    float (*sum)(int64_t n, const float *x);
    float (*sum_sq)(int64_t n, const float *x, float mean);
    float (*max)(int64_t n, const float *x);

    /* y[i] = x[i] * scale[i] + shift[i] for rows: scale and shift with stride 0 or 1. */
    void (*affine)(int64_t n, const float *x, const float *scale, const float *shift, int stride,
                   float *y);

    /* y = softmax(x) over n numbers, maximum taken out first; -inf gives 0; a row of -inf
     * gives NaN, as ONNX's definition does. What would be a denormal, as behind a mask of -100, is
     * 0: products with it would take ten times as long. y may be x. */
    void (*softmax)(int64_t n, const float *x, float *y);

    /* A step of m softmaxes that are taken block by block (attend.c): x[i*ldx + k], k in [0, n),
     * are their next numbers, which become weights. Up to 15 numbers behind n, as far as the next
     * multiple of 16, may be read and written too. */
    void (*softmax_step)(int m, int64_t n, float *x, int64_t ldx, const omma_softmax *s);
    /* y = (x - mean) / sqrt(var + eps) * scale + bias for rows of n >= 1 numbers that follow one
     * another, each with its own mean and (biased) variance; scale, bias: [n], bias NULL for none.
     * y may be x. */
    void (*layer_norm)(int64_t rows, int64_t n, const float *x, const float *scale,
                       const float *bias, double eps, float *y);

    /* The next n numbers of a softmax that is taken block by block (attend.c): a and b, each n
     * numbers or NULL (b too when a is), are added to x, and x becomes e^(x - *top) with *top
     * raised to the largest number so far, -inf at first; weights below 2^-100 are 0. *sum, 0 at
     * first, grows by them. Returns the factor for what the blocks before gave; *sum had it. A
     * NaN, or +inf, makes *sum NaN. */
    float (*softmax_part)(int64_t n, float *x, const float *a, const float *b, float *top,
                          float *sum);

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

    /* y[j*y_ld + i] = x[i*x_ld + j], i < m, j < n, of any numbers of four bytes, whose bits are
     * kept; x and y do not overlap. */
    void (*transpose)(int64_t m, int64_t n, const void *x, int64_t x_ld, void *y, int64_t y_ld);

    /* y[i*y_ld + j] = x[i*x_ld + j], i < m, j < n, of any numbers of four bytes; x and y do not
     * overlap. */
    void (*copy_rows)(int64_t m, int64_t n, const void *x, int64_t x_ld, void *y, int64_t y_ld);

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

    /* A part of a depthwise convolution (p->c is 1, p->m is p->groups), channels last. x, y and
     * e->add: the image's first numbers, of channel 0. w: [channels/16][kh,kw][16]. e->col_bias
     * is by channel, row_bias is not used; e may be NULL. Taps in the padding are left out. */
    void (*depthwise)(const struct omma_conv *p, const omma_part *part, const float *x,
                      const float *w, float *y, const omma_epilogue *e);

    /* A tile of a channels-last convolution as Winograd's F(4x4,3x3) has it (winograd.h): what
     * c channels of its [6,6] pixels become, v[i*plane + channel], i < 36. px: a pointer to the
     * channels of each pixel. v has room for c rounded up to 16 channels, which may be written. */
    void (*wino_in)(int64_t c, const float *const *px, float *v, int64_t plane);

    /* Transformed weights u[i*plane + q] = (G g G^T)[i], i < 36, for each q < n of the 3x3 weights
     * g = w[t*tap + q], t < 9. n: a multiple of nr. */
    void (*wino_weights)(int64_t n, const float *w, int64_t tap, float *u, int64_t plane);

    /* A tile's rows x cols (<= 4) pixels of output, channel q < n of pixel (i,j) at
     * y[(i*ow + j)*y_ld + q], from products prod[i*plane + q], i < 36. e: its col_bias and add
     * are of this tile's first channel and pixel; may be NULL. */
    void (*wino_out)(int n, const float *prod, int64_t plane, int rows, int cols, float *y,
                     int64_t y_ld, int64_t ow, const omma_epilogue *e);
    /* A part of a pooling, channels last; see pool_last.h. x, y: the image's first numbers. */
    void (*pool)(const struct omma_pooling *p, const omma_part *part, const float *x, float *y);

    /* y[c] = sum_i x[i*ld + c], c in [0, n), i in [0, rows): columns of a matrix, in an order that
     * depends on rows alone. */
    void (*sum_rows)(int64_t rows, int64_t n, const float *x, int64_t ld, float *y);

    /* C[m,nr] (=|+=) A[m,k] x B, a packed panel [k][nr], where gemm_tile would add C's old numbers
     * to the sum over k, and this sums on from them. Meanwhile step bytes after next are brought
     * into the L2 cache for each of k; next may be anything. NULL: gemm_tile does. */
    void (*wino_tile)(int m, int64_t k, const float *a, int64_t lda, const float *b, float *c,
                      int64_t ldc, bool acc, const void *next, int64_t step);
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

    /* --- bfloat16, see kernel/bf16.h --- */
    /* y[m,n] from the sums over taps and pairs, m <= mr, n <= nr: row i of A under tap t is at
     * pair a + i*lda + off[t], lda and off in pairs. b: one packed panel [taps][pairs][nr][2]. o's
     * pointers are those of this tile. next: what to fetch meanwhile, or NULL. */
    void (*bf16_tile)(int m, int n, int64_t taps, const int64_t *off, int64_t pairs,
                      const uint16_t *a, int64_t lda, const uint16_t *b,
                      const struct omma_bf16_out *o, void *y, int64_t ldy, const omma_ahead *next);

    /* bfloat16 to float32 and back, to nearest, ties to even. x and y do not overlap. */
    void (*bf16_widen)(int64_t n, const uint16_t *x, float *y);
    void (*bf16_narrow)(int64_t n, const float *x, uint16_t *y);
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

/* Bytes of working memory with which a product of this form is fast, for that many threads or
 * fewer; 0 for most: at most 1 MiB and a bit for each thread. */
size_t omma_gemm_room(const omma_kernels *kern, int threads, int64_t m, int64_t n, int64_t k,
                      int64_t lda);

/* C[m,n] = act(A[m,k] x B[k,n] + biases), B packed. a may be unaligned to 4 bytes. e may be
 * NULL. lda, ldc [elements]. room: as omma_gemm_room says, aligned to 64 bytes, or NULL; it changes
 * no bit of C. */
void omma_gemm(const omma_kernels *kern, int threads, int64_t m, int64_t n, int64_t k,
               const float *a, int64_t lda, const float *b_packed, float *c, int64_t ldc,
               const omma_epilogue *e, void *room);

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
    bool local;  /* rounding must not reach over: where a window has zeros only, y is zero */
    bool planes; /* in last.h: x has its channels first all the same */
} omma_conv;

/* Bytes of working memory omma_conv_run needs with that many threads or fewer; false on
 * overflow, also of the sizes of x, weights and y. */
bool omma_conv_scratch(const omma_kernels *kern, const omma_conv *p, int threads, size_t *bytes);

/* e->row_bias is the bias by output channel; e->col_bias is not used; e may be NULL.
 * scratch: as omma_conv_scratch says, aligned to 64 bytes. */
void omma_conv_run(const omma_kernels *kern, int threads, const omma_conv *p, const float *x,
                   const void *weights, float *y, const omma_epilogue *e, void *scratch);

#endif

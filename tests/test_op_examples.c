/* test_op_examples.c - worked examples: operators with given numbers, and what comes out, by hand
 * or by NumPy; and calls that must be refused. See opcase.h. */
#include "op/mersenne.h"
#include "opcase.h"

typedef struct example {
    const char *op;
    int opset;
    const char *inputs, *attrs, *want; /* want: dims, '=' and the numbers of output `out` */
    int outs, out;
} example;

static const example examples[] = {
    {"Affine", 1, "F=1,-2", "alpha=2.0 beta=0.5", "2=2.5,-3.5", 1, 0},
    {"Crop", 1, "F1x1x3x4=1,2,3,4,5,6,7,8,9,10,11,12", "border=[1,1,2,0]", "1x1x2x1=6,10", 1, 0},
    {"Crop", 1, "F1x1x3x4=1,2,3,4,5,6,7,8,9,10,11,12", "border=[1,0,0,0] scale=[1,2]",
     "1x1x1x2=2,3", 1, 0},
    {"ImageScaler", 1, "F1x2x1x2=1,2,3,4", "scale=2.0 bias=[0.5,-1.0]", "1x2x1x2=2.5,4.5,5,7", 1,
     0},
    {"MeanVarianceNormalization", 1, "F1x2x2=1,3,10,20", "", "1x2x2=-1,1,-1,1", 1, 0},
    {"MeanVarianceNormalization", 1, "F1x2x2=1,3,10,20", "across_channels=1 normalize_variance=0",
     "1x2x2=-7.5,-5.5,1.5,11.5", 1, 0},
    {"ParametricSoftplus", 1, "F=0,2", "alpha=2.0", "2=1.3862944,4.253856", 1, 0},
    {"ScaledTanh", 1, "F=0,2", "alpha=2.0 beta=0.5", "2=0,1.5231884", 1, 0},
    {"AffineGrid", 20, "F1x2x3=1,0,0.5,0,2,0 I=1,1,2,2", "", "1x2x2x2=0,-1,1,-1,0,1,1,1", 1, 0},
    {"AffineGrid", 20, "F1x2x3=1,0,0,0,1,0 I=1,1,1,3", "align_corners=1", "1x1x3x2=-1,0,0,0,1,0", 1,
     0},
    {"AffineGrid", 20, "F1x3x4=0,0,1,0,0,1,0,0,1,0,0,0 I=1,1,2,1,1", "",
     "1x2x1x1x3=-0.5,0,0,0.5,0,0", 1, 0},
    {"BatchNormalization", 14, "F2x1x2=1,2,3,6 F1=2 F1=1 F1=10 F1=20", "training_mode=1", "1=9.3",
     3, 1},
    {"BatchNormalization", 9, "F2x1x2=1,2,3,6 F1=2 F1=1 F1=10 F1=20", "momentum=0.5", "1=11.75", 5,
     2},
    {"BatchNormalization", 9, "F2x1x2=1,2,3,6 F1=2 F1=1 F1=10 F1=20", "", "1=3", 5, 3},
    {"BatchNormalization", 6, "F2x1x2=1,2,3,6 F1=2 F1=1 F1=10 F1=20", "", "1=3.5", 5, 4},
    {"BatchNormalization", 7, "F2x1x2=1,2,3,6 F2=2,1 F2=1,0 F2=1,2 F2=4,1", "spatial=0 epsilon=0.0",
     "2x1x2=1,0,3,4", 1, 0},
    {"BitShift", 11, "C=1,2,255 C=1,8,4", "direction=LEFT", "3=2,0,240", 1, 0},
    {"BitShift", 11, "C=1,2,255 C=1,8,4", "direction=RIGHT", "3=0,0,15", 1, 0},
    {"BitwiseAnd", 18, "J=12,-1 J=10,7", "", "2=8,7", 1, 0},
    {"BitwiseOr", 18, "J=12,-8 J=10,7", "", "2=14,-1", 1, 0},
    {"BitwiseXor", 18, "J=12,-1 J=10,7", "", "2=6,-8", 1, 0},
    {"BitwiseNot", 18, "C=0,5,255", "", "3=255,250,0", 1, 0},
    {"BitCast", 26, "F=1,-2", "to=6", "2=1065353216,-1073741824", 1, 0},
    {"BlackmanWindow", 17, "i=4", "", "4=0,0.34,1,0.34", 1, 0},
    {"Cast", 1, "F=1.7,-1.7,300", "to=UINT8", "3=1,0,255", 1, 0},
    {"CastLike", 15, "F=1.7,-1.7 J=0", "", "2=1,-1", 1, 0},
    {"Celu", 12, "F=-2,0,3", "alpha=2.0", "3=-1.2642411,0,3", 1, 0},
    {"CumProd", 26, "F=1,2,3,4 i=0", "", "4=1,2,6,24", 1, 0},
    {"CumProd", 26, "F=1,2,3,4 i=0", "exclusive=1 reverse=1", "4=24,12,4,1", 1, 0},
    {"CausalConvWithState", 27, "F1x1x3=1,2,3 F1x1x2=10,1 F1=0.5 F1x1x1=7", "",
     "1x1x3=71.5,12.5,23.5", 2, 0},
    {"CausalConvWithState", 27, "F1x1x1=5 F1x1x3=1,1,1 - F1x1x2=7,8", "", "1x1x2=8,5", 2, 1},
    {"DFT", 20, "F1x4x1=1,2,3,4", "", "1x4x2=10,0,-2,2,-2,0,-2,-2", 1, 0},
    {"DFT", 17, "F1x3x1=1,2,4", "onesided=1", "1x2x2=7,0,-2,1.7320508", 1, 0},
    {"DFT", 20, "F1x2x1=1,2 i=4", "", "1x4x2=3,0,1,-2,-1,0,1,2", 1, 0},
    {"DFT", 20, "F1x3x2=10,0,-2,2,-2,0", "inverse=1 onesided=1", "1x4x1=1,2,3,4", 1, 0},
    {"DFT", 20, "F4x2x1=1,0,2,0,3,0,4,0 - i=0", "", "4x2x2=10,0,0,0,-2,2,0,0,-2,0,0,0,-2,-2,0,0", 1,
     0},
    {"Det", 22, "F2x2x2=1,2,3,4,0,1,1,0", "", "2=-2,-1", 1, 0},
    {"Det", 22, "F3x3=2,0,1,1,3,2,1,1,1", "", "=0", 1, 0},
    {"Dropout", 13, "F=1,1,1,1,1,1,1,1 f=0.5 b=1", "seed=7", "8=0,2,0,2,2,2,2,0", 2, 0},
    {"Dropout", 13, "F=1,1,1,1,1,1,1,1 f=0.5 b=1", "seed=7", "8=0,1,0,1,1,1,1,0", 2, 1},
    {"Dropout", 13, "F=3,3,3 f=0.6 b=1", "", "3=0,7.5,7.5", 1, 0},
    {"GlobalLpPool", 2, "F1x2x2=3,4,-6,8", "", "1x2x1=5,10", 1, 0},
    {"GlobalLpPool", 1, "F1x2x2=3,4,-6,8", "p=1.0", "1x2x1=7,14", 1, 0},
    {"HammingWindow", 17, "i=4", "", "4=0.08695652,0.5434783,1,0.5434783", 1, 0},
    {"HannWindow", 17, "i=5", "periodic=0", "5=0,0.5,1,0.5,0", 1, 0},
    {"Hardmax", 13, "F2x3=1,3,3,-1,-2,-3", "", "2x3=0,1,0,1,0,0", 1, 0},
    {"Hardmax", 12, "F1x2x2=1,3,4,2", "axis=1", "1x2x2=0,0,1,0", 1, 0},
    {"LinearAttention", 27, "F1x2x1=1,2 F1x2x1=3,4 F1x2x1=5,6",
     "q_num_heads=1 kv_num_heads=1 update_rule=linear", "1x2x1=15,78", 1, 0},
    {"LinearAttention", 27, "F1x2x1=1,2 F1x2x1=3,4 F1x2x1=5,6 - F1x2x1=0,0.6931472",
     "q_num_heads=1 kv_num_heads=1 update_rule=gated scale=0.5", "1x2x1=7.5,54", 1, 0},
    {"LinearAttention", 27, "F1x1x1=1 F1x1x1=3 F1x1x1=5 F1x1x1x1=2 - F1x1x1=0.5",
     "q_num_heads=1 kv_num_heads=1 update_rule=delta", "1x1x1x1=0.5", 2, 1},
    {"LpPool", 22, "F1x1x4=3,4,-6,8", "kernel_shape=[2] strides=[2]", "1x1x2=5,10", 1, 0},
    {"LpPool", 22, "F1x1x3=3,4,-6", "kernel_shape=[2] strides=[2] ceil_mode=1 p=1", "1x1x2=7,6", 1,
     0},
    {"MaxUnpool", 22, "F1x1x2=5,6 I1x1x2=1,2", "kernel_shape=[2] strides=[2]", "1x1x4=0,5,6,0", 1,
     0},
    {"MaxUnpool", 22, "F1x1x2=5,6 I1x1x2=1,2 I=1,1,5", "kernel_shape=[2] strides=[2]",
     "1x1x5=0,5,6,0,0", 1, 0},
    {"MeanVarianceNormalization", 13, "F2x2=1,2,5,10", "axes=[0]", "2x2=-1,-1,1,1", 1, 0},
    {"ReverseSequence", 10, "F3x2=1,2,3,4,5,6 I=2,3", "", "3x2=3,6,1,4,5,2", 1, 0},
    {"ReverseSequence", 10, "F2x3=1,2,3,4,5,6 I=2,3", "time_axis=1 batch_axis=0", "2x3=2,1,3,6,5,4",
     1, 0},
    {"RotaryEmbedding", 23, "F1x1x1x4=1,2,3,4 F1x1x2=0,1 F1x1x2=1,0", "", "1x1x1x4=-3,2,1,4", 1, 0},
    {"RotaryEmbedding", 23, "F1x1x1x4=1,2,3,4 F1x1x2=0,1 F1x1x2=1,0", "interleaved=1",
     "1x1x1x4=-2,1,3,4", 1, 0},
    {"RotaryEmbedding", 23, "F1x1x6=1,2,3,4,5,6 F2x1=9,0 F2x1=9,1 I1x1=1",
     "num_heads=2 rotary_embedding_dim=2", "1x1x6=-2,1,3,-5,4,6", 1, 0},
    {"Shrink", 9, "F=-2,-1,0,1,2", "lambd=1.5 bias=1.0", "5=-1,0,0,0,1", 1, 0},
    {"STFT", 17, "F1x4x1=1,2,3,4 i=2 - i=2", "", "1x2x2x2=3,0,-1,0,7,0,-1,0", 1, 0},
    {"SwiGLU", 28, "F=0,1 F=5,2", "", "2=0,1.4621172", 1, 0},
    {"TensorScatter", 24, "F1x4=1,2,3,4 F1x2=8,9 I=1", "axis=1", "1x4=1,8,9,4", 1, 0},
    {"TensorScatter", 24, "F1x4=1,2,3,4 F1x2=8,9 I=3", "axis=1 mode=circular", "1x4=9,2,3,8", 1, 0},
    {"Tile", 1, "F2=1,2 F1=2 F1=0", "", "4=1,2,1,2", 1, 0},
    {"Unique", 11, "F=2,1,1,3,4,3", "sorted=0", "4=2,1,3,4", 4, 0},
    {"Unique", 11, "F=2,1,1,3,4,3", "sorted=0", "4=0,1,3,4", 4, 1},
    {"Unique", 11, "F=2,1,1,3,4,3", "sorted=0", "6=0,1,1,2,3,2", 4, 2},
    {"Unique", 11, "F=2,1,1,3,4,3", "", "4=1,2,3,4", 4, 0},
    {"Unique", 11, "F=2,1,1,3,4,3", "", "4=2,1,2,1", 4, 3},
    {"Unique", 11, "F=nan,1,nan,-0,0", "", "3=0,1,nan", 1, 0},
    {"Unique", 11, "J3x2=1,5,0,4,1,5", "axis=0", "2x2=0,4,1,5", 1, 0},
    {"Unique", 11, "F0x3", "axis=0", "0x3=", 1, 0},
};

enum { EXAMPLES = sizeof examples / sizeof *examples };

static void worked(void **state) {
    (void)state;
    for (const example *e = examples; e < examples + EXAMPLES; e++) {
        optest *t = opcase_new(e->op, e->opset, e->inputs, e->attrs, OMMA_F32, OMMA_F32);
        if (optest_try(t, e->outs, 2)) fail_msg("%s-%d: %s", e->op, e->opset, t->err.message);
        const omma_tensor *y = &t->out[e->out];
        char *p = (char *)(uintptr_t)e->want;
        for (int d = 0; d < y->rank; d++, p += *p == 'x')
            if (y->dims[d] != strtoll(p, &p, 10)) fail_msg("%s-%d: dim %d", e->op, e->opset, d);
        if (*p != '=') fail_msg("%s-%d: the rank is %d", e->op, e->opset, y->rank);
        for (int64_t i = 0; i < omma_tensor_count(y); i++) {
            const double got = omma_get_number(y->dtype, y->data, i), want = strtod(p + 1, &p);
            if (!(fabs(got - want) <= 1e-5 * (1 + fabs(want))) && !(isnan(got) && isnan(want)))
                fail_msg("%s-%d (%s; %s): number %lld is %.9g, not %.9g", e->op, e->opset,
                         e->inputs, e->attrs, (long long)i, got, want);
        }
        if (*p && strcmp(p, "=")) fail_msg("%s-%d gives fewer numbers", e->op, e->opset);
        optest_free(t);
    }
}

static const struct {
    const char *op;
    int opset;
    const char *inputs, *attrs;
    omma_status s;
} faults[] = {
    {"Add", 6, "F2x3 F3", "", OMMA_E_SHAPE},
    {"Add", 6, "F2x3 F2", "broadcast=1", OMMA_E_SHAPE},
    {"Add", 6, "F2x3 F2x3x1", "broadcast=1", OMMA_E_SHAPE},
    {"Add", 6, "F2x3 F3", "broadcast=1 axis=2", OMMA_E_SHAPE},
    {"Add", 6, "F2x3 F2x3", "broadcast=1 axis=1", OMMA_OK},
    {"Add", 6, "F2x3 F3x1", "broadcast=1 axis=1", OMMA_E_SHAPE},
    {"AffineGrid", 20, "F1x2x3 I=1,1,2", "", OMMA_E_SHAPE},
    {"AffineGrid", 20, "F1x2x3 I=1,1,2,-2", "", OMMA_E_SHAPE},
    {"AffineGrid", 20, "F2x2x3 I=1,1,2,2", "", OMMA_E_SHAPE},
    {"BatchNormalization", 14, "F2x3 F3 F3 F3 F2", "training_mode=1", OMMA_E_SHAPE},
    {"BatchNormalization", 14, "F0x3 F3 F3 F3 F3", "training_mode=1", OMMA_E_SHAPE},
    {"BitCast", 26, "F2", "to=7", OMMA_E_SHAPE},
    {"BitCast", 26, "F2", "to=99", OMMA_E_UNSUPPORTED},
    {"BitShift", 11, "C2 C2", "", OMMA_E_SHAPE},
    {"BitShift", 11, "J2 J2", "direction=LEFT", OMMA_E_UNSUPPORTED},
    {"BitwiseAnd", 18, "F2 F2", "", OMMA_E_UNSUPPORTED},
    {"Cast", 1, "F2", "to=STRING", OMMA_E_UNSUPPORTED},
    {"Cast", 1, "F2", "to=COMPLEX64", OMMA_E_UNSUPPORTED},
    {"Concat", 4, "F2x2 F2x2", "", OMMA_E_SHAPE},
    {"Concat", 3, "F2 F2", "", OMMA_E_SHAPE},
    {"CausalConvWithState", 27, "F1x1x3 F2x1x2", "", OMMA_E_SHAPE},
    {"CausalConvWithState", 27, "F1x1x3 F1x1x2", "activation=relu", OMMA_E_SHAPE},
    {"CausalConvWithState", 27, "F1x1x3 F1x1x2 - F1x1x2", "", OMMA_E_SHAPE},
    {"Crop", 1, "F1x1x3x4", "border=[3,1,2,0]", OMMA_E_SHAPE},
    {"Crop", 1, "F1x1x3x4", "border=[-1,1,2,0]", OMMA_E_SHAPE},
    {"Crop", 1, "F1x1x3x4", "border=[1,1,0,0] scale=[3,1]", OMMA_E_SHAPE},
    {"DFT", 20, "F1x4x3", "", OMMA_E_SHAPE},
    {"ImageScaler", 1, "F1x2x1", "bias=[1.0]", OMMA_E_SHAPE},
    {"DFT", 20, "F1x4x1 - i=2", "", OMMA_E_SHAPE},
    {"DFT", 20, "F1x4x1 i=0", "", OMMA_E_SHAPE},
    {"DFT", 20, "F1x4x2", "onesided=1", OMMA_E_SHAPE},
    {"Det", 22, "F2x3", "", OMMA_E_SHAPE},
    {"Det", 22, "F3", "", OMMA_E_SHAPE},
    {"Dropout", 13, "F3 f=1 b=1", "", OMMA_E_RANGE},
    {"Dropout", 13, "F3 f=-0.5 b=1", "", OMMA_E_RANGE},
    {"GlobalLpPool", 2, "F1x1x2", "p=0", OMMA_E_SHAPE},
    {"HannWindow", 17, "i=-1", "", OMMA_E_SHAPE},
    {"HannWindow", 17, "i=4", "output_datatype=9", OMMA_E_UNSUPPORTED},
    {"LinearAttention", 27, "F1x2x2 F1x2x2 F1x2x2", "q_num_heads=3 kv_num_heads=1", OMMA_E_SHAPE},
    {"LinearAttention", 27, "F1x2x2 F1x2x2 F1x2x2", "q_num_heads=1 kv_num_heads=1", OMMA_E_SHAPE},
    {"LpPool", 22, "F1x1x4", "kernel_shape=[2] p=-1", OMMA_E_SHAPE},
    {"LpPool", 22, "J1x1x4", "kernel_shape=[2]", OMMA_E_UNSUPPORTED},
    {"MaxUnpool", 22, "F1x1x2 I1x1x2=1,9", "kernel_shape=[2] strides=[2]", OMMA_E_RANGE},
    {"MaxUnpool", 22, "F1x1x2 I1x1x2=1,-1", "kernel_shape=[2] strides=[2]", OMMA_E_RANGE},
    {"MaxUnpool", 22, "F1x1x2 I1x1x2=1,2 I=1,1,3", "kernel_shape=[2] strides=[2]", OMMA_E_SHAPE},
    {"MaxUnpool", 22, "F1x1x2 I1x1x2=1,2", "kernel_shape=[2] pads=[9,9]", OMMA_E_SHAPE},
    {"MeanVarianceNormalization", 13, "F2x2", "", OMMA_E_SHAPE},
    {"Reshape", 13, "F4", "", OMMA_E_SHAPE},
    {"Reshape", 1, "F4", "", OMMA_E_SHAPE},
    {"Reshape", 1, "F4", "shape=[3]", OMMA_E_SHAPE},
    {"ReverseSequence", 10, "F3x2 I=4,1", "", OMMA_E_RANGE},
    {"ReverseSequence", 10, "F3x2 I=-1,1", "", OMMA_E_RANGE},
    {"ReverseSequence", 10, "F3x2 I=1,1", "time_axis=1", OMMA_E_SHAPE},
    {"ReverseSequence", 10, "F3 I=1,1", "", OMMA_E_SHAPE},
    {"RotaryEmbedding", 23, "F1x1x1x4 F1x1x3 F1x1x3", "", OMMA_E_SHAPE},
    {"RotaryEmbedding", 23, "F1x1x6 F1x1x3 F1x1x3", "", OMMA_E_SHAPE},
    {"RotaryEmbedding", 23, "F1x1x1x4 F2x2 F2x2 I1x1=2", "", OMMA_E_RANGE},
    {"RotaryEmbedding", 23, "F1x1x1x4 F2x2 F3x2 I1x1=1", "", OMMA_E_SHAPE},
    {"RotaryEmbedding", 23, "F1x1x1x4 F2x2 F2x2 I1x1=-1", "", OMMA_E_RANGE},
    {"RotaryEmbedding", 23, "F1x1x1x3 F1x1x1 F1x1x1", "", OMMA_E_SHAPE},
    {"Split", 1, "F2x5 F=2,4", "axis=1", OMMA_E_SHAPE},
    {"Split", 1, "F2x5 F=2.5,2.5", "axis=1", OMMA_E_SHAPE},
    {"STFT", 17, "F1x4x1 i=2", "", OMMA_E_SHAPE},
    {"STFT", 17, "F1x4x1 i=2 - i=5", "", OMMA_E_SHAPE},
    {"STFT", 17, "F1x4x1 i=0 - i=2", "", OMMA_E_SHAPE},
    {"SwiGLU", 28, "F2x3 F3", "", OMMA_E_SHAPE},
    {"TensorScatter", 24, "F1x4 F1x2 I=3", "axis=1", OMMA_E_RANGE},
    {"TensorScatter", 24, "F1x4 F1x2 I=-1", "axis=1", OMMA_E_RANGE},
    {"TensorScatter", 24, "F1x4 F1x5 I=0", "axis=1", OMMA_E_SHAPE},
    {"TensorScatter", 24, "F1x4 F1x2 I=0", "", OMMA_E_SHAPE},
    {"Tile", 1, "F2 F=1.5 F=0", "", OMMA_E_SHAPE},
    {"Tile", 1, "F2 F=2 F=1", "", OMMA_E_SHAPE},
    {"Tile", 1, "F2 F=2", "", OMMA_E_SHAPE},
    {"Upsample", 1, "F1x1x2x2", "height_scale=2.0", OMMA_E_SHAPE},
    {"Upsample", 1, "F2x2", "height_scale=2.0 width_scale=2.0", OMMA_E_SHAPE},
};

static void refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        optest *t = opcase_new(faults[i].op, faults[i].opset, faults[i].inputs, faults[i].attrs,
                               OMMA_F32, OMMA_F32);
        const omma_status s = optest_try(t, !strcmp(faults[i].op, "Split") ? 2 : 1, 1);
        if (s != faults[i].s)
            fail_msg("%s-%d (%s; %s): status %d, not %d: %s", faults[i].op, faults[i].opset,
                     faults[i].inputs, faults[i].attrs, s, faults[i].s, t->err.message);
        optest_free(t);
    }
}

/* numpy.random.seed(s); numpy.random.uniform(0, 1, ...) */
static void generator(void **state) {
    (void)state;
    omma_mersenne m;
    omma_mersenne_seed(&m, 7);
    const double seven[] = {0.07630829, 0.77991879, 0.43840923, 0.72346518};
    for (int i = 0; i < 4; i++) assert_true(fabs(omma_mersenne_uniform(&m) - seven[i]) < 1e-8);
    omma_mersenne_seed(&m, UINT32_MAX);
    double last[2] = {0, 0};
    for (int i = 0; i < 1000; i++) last[0] = last[1], last[1] = omma_mersenne_uniform(&m);
    assert_true(fabs(last[0] - 0.99549517) < 1e-8 && fabs(last[1] - 0.55662686) < 1e-8);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(worked), cmocka_unit_test(refused),
                                       cmocka_unit_test(generator)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
/* op_table.c - the one list of operators: a line each. The row itself is in the room named
 * in the comment of its group. Kept in the order of strcmp; the test of the table checks
 * that, since omma_op_find searches by halves. */
#include <string.h>

#include "op/op.h"

#define OMMA_OP_LIST(X)          \
    X(Abs)                       \
    X(Acos)                      \
    X(Acosh)                     \
    X(Add)                       \
    X(Affine)                    \
    X(AffineGrid)                \
    X(And)                       \
    X(ArgMax)                    \
    X(ArgMin)                    \
    X(Asin)                      \
    X(Asinh)                     \
    X(Atan)                      \
    X(Atanh)                     \
    X(Attention)                 \
    X(AveragePool)               \
    X(BatchNormalization)        \
    X(BitCast)                   \
    X(BitShift)                  \
    X(BitwiseAnd)                \
    X(BitwiseNot)                \
    X(BitwiseOr)                 \
    X(BitwiseXor)                \
    X(BlackmanWindow)            \
    X(Cast)                      \
    X(CastLike)                  \
    X(CausalConvWithState)       \
    X(Ceil)                      \
    X(Celu)                      \
    X(CenterCropPad)             \
    X(Clip)                      \
    X(Col2Im)                    \
    X(Compress)                  \
    X(Concat)                    \
    X(ConcatFromSequence)        \
    X(Constant)                  \
    X(ConstantOfShape)           \
    X(Conv)                      \
    X(ConvInteger)               \
    X(ConvTranspose)             \
    X(Cos)                       \
    X(Cosh)                      \
    X(Crop)                      \
    X(CumProd)                   \
    X(CumSum)                    \
    X(DFT)                       \
    X(DeformConv)                \
    X(DepthToSpace)              \
    X(DequantizeLinear)          \
    X(Det)                       \
    X(Div)                       \
    X(Dropout)                   \
    X(DynamicQuantizeLinear)     \
    X(Einsum)                    \
    X(Elu)                       \
    X(Equal)                     \
    X(Erf)                       \
    X(Exp)                       \
    X(Expand)                    \
    X(EyeLike)                   \
    X(Flatten)                   \
    X(Floor)                     \
    X(GRU)                       \
    X(Gather)                    \
    X(GatherElements)            \
    X(GatherND)                  \
    X(Gelu)                      \
    X(Gemm)                      \
    X(GlobalAveragePool)         \
    X(GlobalLpPool)              \
    X(GlobalMaxPool)             \
    X(Greater)                   \
    X(GreaterOrEqual)            \
    X(GridSample)                \
    X(GroupNormalization)        \
    X(HammingWindow)             \
    X(HannWindow)                \
    X(HardSigmoid)               \
    X(HardSwish)                 \
    X(Hardmax)                   \
    X(Identity)                  \
    X(If)                        \
    X(ImageScaler)               \
    X(InstanceNormalization)     \
    X(IsInf)                     \
    X(IsNaN)                     \
    X(LRN)                       \
    X(LSTM)                      \
    X(LayerNormalization)        \
    X(LeakyRelu)                 \
    X(Less)                      \
    X(LessOrEqual)               \
    X(LinearAttention)           \
    X(Log)                       \
    X(LogSoftmax)                \
    X(Loop)                      \
    X(LpNormalization)           \
    X(LpPool)                    \
    X(MatMul)                    \
    X(MatMulInteger)             \
    X(Max)                       \
    X(MaxPool)                   \
    X(MaxUnpool)                 \
    X(Mean)                      \
    X(MeanVarianceNormalization) \
    X(Min)                       \
    X(Mish)                      \
    X(Mod)                       \
    X(Mul)                       \
    X(Neg)                       \
    X(NegativeLogLikelihoodLoss) \
    X(NonMaxSuppression)         \
    X(NonZero)                   \
    X(Not)                       \
    X(OneHot)                    \
    X(Optional)                  \
    X(OptionalGetElement)        \
    X(OptionalHasElement)        \
    X(Or)                        \
    X(PRelu)                     \
    X(Pad)                       \
    X(ParametricSoftplus)        \
    X(Pow)                       \
    X(QLinearConv)               \
    X(QLinearMatMul)             \
    X(QuantizeLinear)            \
    X(RMSNormalization)          \
    X(RNN)                       \
    X(Range)                     \
    X(Reciprocal)                \
    X(ReduceL1)                  \
    X(ReduceL2)                  \
    X(ReduceLogSum)              \
    X(ReduceLogSumExp)           \
    X(ReduceMax)                 \
    X(ReduceMean)                \
    X(ReduceMin)                 \
    X(ReduceProd)                \
    X(ReduceSum)                 \
    X(ReduceSumSquare)           \
    X(Relu)                      \
    X(Reshape)                   \
    X(Resize)                    \
    X(ReverseSequence)           \
    X(RoiAlign)                  \
    X(RotaryEmbedding)           \
    X(Round)                     \
    X(STFT)                      \
    X(ScaledTanh)                \
    X(Scan)                      \
    X(Scatter)                   \
    X(ScatterElements)           \
    X(ScatterND)                 \
    X(Selu)                      \
    X(SequenceAt)                \
    X(SequenceConstruct)         \
    X(SequenceEmpty)             \
    X(SequenceErase)             \
    X(SequenceInsert)            \
    X(SequenceLength)            \
    X(Shape)                     \
    X(Shrink)                    \
    X(Sigmoid)                   \
    X(Sign)                      \
    X(Sin)                       \
    X(Sinh)                      \
    X(Size)                      \
    X(Slice)                     \
    X(Softmax)                   \
    X(SoftmaxCrossEntropyLoss)   \
    X(Softplus)                  \
    X(Softsign)                  \
    X(SpaceToDepth)              \
    X(Split)                     \
    X(SplitToSequence)           \
    X(Sqrt)                      \
    X(Squeeze)                   \
    X(Sub)                       \
    X(Sum)                       \
    X(SwiGLU)                    \
    X(Swish)                     \
    X(Tan)                       \
    X(Tanh)                      \
    X(TensorScatter)             \
    X(ThresholdedRelu)           \
    X(Tile)                      \
    X(TopK)                      \
    X(Transpose)                 \
    X(Trilu)                     \
    X(Unique)                    \
    X(Unsqueeze)                 \
    X(Upsample)                  \
    X(Where)                     \
    X(Xor)

#define X(op) extern const omma_op omma_op_##op;
OMMA_OP_LIST(X)
#undef X

#define X(op) &omma_op_##op,
static const omma_op *const table[] = {OMMA_OP_LIST(X)};
#undef X

enum { COUNT = sizeof table / sizeof *table };

const omma_op *const *omma_op_all(int *count) {
    *count = COUNT;
    return table;
}

const omma_op *omma_op_find(const char *name) {
    int lo = 0, hi = COUNT;
    while (lo < hi) {
        int mid = (lo + hi) / 2, order = strcmp(name, table[mid]->name);
        if (!order) return table[mid];
        if (order < 0) hi = mid;
        else lo = mid + 1;
    }
    return NULL;
}

static bool says(const char *why) { return why && *why; }

const char *omma_op_fault(const omma_op *o) {
    if (!o->expand && (!o->infer || !o->run)) return "neither infer and run nor expand";
    if (!o->grad && !o->parts && !says(o->no_grad)) return "no gradient, and not why there is none";
    if (!o->field && !o->parts && !says(o->no_field)) return "no field, and not why there is none";
    if (o->grad && says(o->no_grad)) return "a gradient, and why there is none";
    if (o->field && says(o->no_field)) return "a field, and why there is none";
    if (o->min_in < 0 || (o->max_in >= 0 && o->max_in < o->min_in)) return "no number of inputs";
    if (o->min_out < 0 || (o->max_out >= 0 && o->max_out < o->min_out))
        return "no number of outputs";
    return o->flags & OMMA_OP_VIEW && o->min_in < 1 ? "a view of nothing" : NULL;
}

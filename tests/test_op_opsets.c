/* test_op_opsets.c - the forms of old operator sets: each row gives an operator as an old opset
 * writes it and as a newer one does, and both must give the same numbers. See opcase.h. */
#include "opcase.h"

typedef struct form {
    int opset;
    const char *inputs, *attrs;
} form;

typedef struct row {
    const char *op;
    form old, now;
    int outs; /* 0 counts as 1 */
} row;

static const row rows[] = {
    /* broadcast and axis */
    {"Add", {1, "T2x3x4 T3x4", "broadcast=1 consumed_inputs=[0,0]"}, {14, "T2x3x4 T3x4", ""}, 0},
    {"Add", {6, "T2x3x4 T3", "broadcast=1 axis=1"}, {14, "T2x3x4 T3x1", ""}, 0},
    {"Add", {6, "T2x3x4 T2", "broadcast=1 axis=0"}, {14, "T2x3x4 T2x1x1", ""}, 0},
    {"Add", {6, "T2x3x4 T2x3", "broadcast=1 axis=0"}, {14, "T2x3x4 T2x3x1", ""}, 0},
    {"Add", {6, "T2x3x4 T2x3", "broadcast=1 axis=-3"}, {14, "T2x3x4 T2x3x1", ""}, 0},
    {"Add", {6, "T2x3x4 T", "broadcast=1"}, {14, "T2x3x4 T", ""}, 0},
    {"Add", {6, "T2x3x4 T1x3", "broadcast=1 axis=0"}, {14, "T2x3x4 T1x3x1", ""}, 0},
    {"Add", {6, "T2x3 T2x3", ""}, {14, "T2x3 T2x3", ""}, 0},
    {"Add", {6, "T0x3 T3", "broadcast=1"}, {14, "T0x3 T3", ""}, 0},
    {"Sub", {6, "T2x3x4 T3", "broadcast=1 axis=1"}, {14, "T2x3x4 T3x1", ""}, 0},
    {"Mul", {1, "T2x3x4 T3", "broadcast=1 axis=1"}, {14, "T2x3x4 T3x1", ""}, 0},
    {"Div", {6, "T2x3x4 P3", "broadcast=1 axis=1"}, {14, "T2x3x4 P3x1", ""}, 0},
    {"Pow", {1, "P2x3x4 T3", "broadcast=1 axis=1"}, {15, "P2x3x4 T3x1", ""}, 0},
    {"And", {1, "B2x3 B2", "broadcast=1 axis=0"}, {7, "B2x3 B2x1", ""}, 0},
    {"Or", {1, "B2x3 B2", "broadcast=1 axis=0"}, {7, "B2x3 B2x1", ""}, 0},
    {"Xor", {1, "B2x3 B2", "broadcast=1 axis=0"}, {7, "B2x3 B2x1", ""}, 0},
    {"Equal", {1, "I2x3 I2", "broadcast=1 axis=0"}, {13, "I2x3 I2x1", ""}, 0},
    {"Greater", {1, "T2x3 T2", "broadcast=1 axis=0"}, {13, "T2x3 T2x1", ""}, 0},
    {"Less", {1, "T2x3 T2", "broadcast=1 axis=0"}, {13, "T2x3 T2x1", ""}, 0},
    {"PRelu", {1, "T2x3x4 T3", ""}, {16, "T2x3x4 T3x1", ""}, 0},
    {"PRelu", {6, "T2x3x4 T1", ""}, {16, "T2x3x4 T1", ""}, 0},
    {"Max", {1, "T2x3 T2x3 T2x3", ""}, {13, "T2x3 T2x3 T2x3", ""}, 0},
    {"Min", {6, "T2x3 T2x3", ""}, {13, "T2x3 T2x3", ""}, 0},
    {"Sum", {1, "T2x3 T2x3 T2x3", ""}, {13, "T2x3 T2x3 T2x3", ""}, 0},
    {"Mean", {6, "T2x3 T2x3 T2x3", ""}, {13, "T2x3 T2x3 T2x3", ""}, 0},
    /* attributes that became inputs, or were called otherwise */
    {"Clip", {6, "T2x3", "min=-1.0 max=1.5"}, {13, "T2x3 t=-1 t=1.5", ""}, 0},
    {"Clip", {1, "T2x3", "max=1.5"}, {13, "T2x3 - t=1.5", ""}, 0},
    {"Concat", {1, "T2x3 T2x1", ""}, {13, "T2x3 T2x1", "axis=1"}, 0},
    {"Dropout", {1, "T2x3", "is_test=1 ratio=0.3"}, {13, "T2x3", ""}, 0},
    {"Dropout", {7, "T2x3", "ratio=0.3"}, {13, "T2x3 f=0.3 b=0", ""}, 0},
    {"Gemm", {1, "T2x3 T3x4 T4", "broadcast=1"}, {13, "T2x3 T3x4 T4", ""}, 0},
    {"Gemm",
     {7, "T3x2 T4x3 T2x1", "transA=1 transB=1"},
     {13, "T3x2 T4x3 T2x1", "transA=1 transB=1"},
     0},
    {"InstanceNormalization",
     {1, "T2x3x4 T3 T3", "consumed_inputs=[0,0,0]"},
     {22, "T2x3x4 T3 T3", ""},
     0},
    {"MaxPool",
     {1, "T1x2x5x5", "kernel_shape=[2,2] auto_pad=SAME_UPPER"},
     {22, "T1x2x5x5", "kernel_shape=[2,2] auto_pad=SAME_UPPER"},
     0},
    {"AveragePool",
     {1, "T1x2x5x5", "kernel_shape=[3,3] pads=[1,1,1,1]"},
     {22, "T1x2x5x5", "kernel_shape=[3,3] pads=[1,1,1,1] count_include_pad=0"},
     0},
    {"Pad", {1, "T2x3", "paddings=[1,0,0,2] value=1.5"}, {13, "T2x3 I=1,0,0,2 t=1.5", ""}, 0},
    {"Pad", {2, "T2x3", "pads=[1,0,0,2] value=1.5"}, {13, "T2x3 I=1,0,0,2 t=1.5", ""}, 0},
    {"Pad", {10, "T2x3", "pads=[1,0,0,2] mode=edge"}, {13, "T2x3 I=1,0,0,2", "mode=edge"}, 0},
    {"ReduceSum", {1, "T2x3x4", "axes=[1]"}, {13, "T2x3x4 I=1", ""}, 0},
    {"ReduceSum", {11, "T2x3x4", "axes=[-1] keepdims=0"}, {13, "T2x3x4 I=-1", "keepdims=0"}, 0},
    {"ReduceMean", {1, "T2x3x4", "axes=[0,2]"}, {18, "T2x3x4 I=0,2", ""}, 0},
    {"ReduceMax", {13, "T2x3x4", ""}, {18, "T2x3x4", ""}, 0},
    {"Reshape", {1, "T2x3x4", "shape=[0,-1] consumed_inputs=[0]"}, {13, "T2x3x4 I=0,-1", ""}, 0},
    {"Resize",
     {10, "T1x1x2x3 F=1,1,2,2", "mode=linear"},
     {13, "T1x1x2x3 - F=1,1,2,2", "mode=linear coordinate_transformation_mode=asymmetric"},
     0},
    {"Selu", {1, "T2x3", ""}, {22, "T2x3", "alpha=1.6732 gamma=1.0507"}, 0},
    {"Slice", {1, "T4x5", "starts=[0,-3] ends=[3,99]"}, {13, "T4x5 I=0,-3 I=3,99", ""}, 0},
    {"Slice", {1, "T4x5", "starts=[1] ends=[-1] axes=[1]"}, {13, "T4x5 I=1 I=-1 I=1", ""}, 0},
    {"Split", {1, "T2x5 T=2,3", "axis=1"}, {13, "T2x5 I=2,3", "axis=1"}, 2},
    {"Split", {1, "T2x5", "axis=1 split=[2,3]"}, {13, "T2x5 I=2,3", "axis=1"}, 2},
    {"Split", {2, "T4x5", ""}, {13, "T4x5", ""}, 2},
    {"Squeeze", {1, "T1x3x1", "axes=[0]"}, {13, "T1x3x1 I=0", ""}, 0},
    {"Squeeze", {11, "T1x3x1", "axes=[-1]"}, {13, "T1x3x1 I=-1", ""}, 0},
    {"Tile", {1, "T2x3 t=3 t=1", ""}, {13, "T2x3 I=1,3", ""}, 0},
    {"TopK", {1, "T2x5", "k=2 axis=1"}, {11, "T2x5 I=2", "axis=1"}, 2},
    {"TopK", {10, "T2x5 I=2", ""}, {11, "T2x5 I=2", ""}, 2},
    {"Unsqueeze", {1, "T3x2", "axes=[0,2]"}, {13, "T3x2 I=0,2", ""}, 0},
    {"Upsample",
     {1, "T1x1x2x3", "height_scale=2.0 width_scale=3.0"},
     {9, "T1x1x2x3 F=1,1,2,3", ""},
     0},
    {"Upsample",
     {1, "T1x1x2x3", "height_scale=2.0 width_scale=1.5 mode=bilinear"},
     {9, "T1x1x2x3 F=1,1,2,1.5", "mode=linear"},
     0},
    {"Upsample", {7, "T1x1x2x3", "scales=[1.0,1.0,2.0,3.0]"}, {9, "T1x1x2x3 F=1,1,2,3", ""}, 0},
    {"Cast", {1, "T2x3", "to=INT32"}, {13, "T2x3", "to=6"}, 0},
    {"Cast", {1, "T2x3", "to=BOOL"}, {13, "T2x3", "to=9"}, 0},
    /* a matrix cut at the axis */
    {"Softmax", {1, "T2x12", ""}, {13, "T2x12", "axis=1"}, 0},
    {"Softmax", {12, "T24", "axis=0"}, {13, "T24", ""}, 0},
    {"LogSoftmax", {11, "T2x12", "axis=-1"}, {13, "T2x12", "axis=1"}, 0},
    {"Flatten", {1, "T2x3x4", ""}, {13, "T2x3x4", "axis=1"}, 0},
    /* batch normalisation */
    {"BatchNormalization",
     {1, "T2x3x2 T3 T3 T3 P3", "is_test=1 consumed_inputs=[0,0,0,1,1]"},
     {15, "T2x3x2 T3 T3 T3 P3", ""},
     0},
    {"BatchNormalization",
     {6, "T2x3x2 T3 T3 T3 P3", "is_test=1 spatial=1"},
     {15, "T2x3x2 T3 T3 T3 P3", ""},
     0},
    {"BatchNormalization",
     {7, "T2x3x2 T3x2 T3x2 T3x2 P3x2", "spatial=0"},
     {15, "T2x3x2 T3x2 T3x2 T3x2 P3x2", ""},
     -1},
    {"BatchNormalization", {9, "T2x3x2 T3 T3 T3 P3", ""}, {15, "T2x3x2 T3 T3 T3 P3", ""}, 0},
    {"BatchNormalization",
     {9, "T2x3x2 T3 T3 T3 P3", "momentum=0.75"},
     {15, "T2x3x2 T3 T3 T3 P3", "momentum=0.75 training_mode=1"},
     3},
    {"BatchNormalization",
     {1, "T2x3x2 T3 T3 T3 P3", ""},
     {14, "T2x3x2 T3 T3 T3 P3", "training_mode=1"},
     3},
    /* other names and defaults */
    {"GridSample",
     {16, "T1x1x3x3 T1x2x2x2", "mode=bilinear"},
     {20, "T1x1x3x3 T1x2x2x2", "mode=linear"},
     0},
    {"GridSample",
     {16, "T1x1x3x3 T1x2x2x2", "mode=bicubic"},
     {20, "T1x1x3x3 T1x2x2x2", "mode=cubic"},
     0},
    {"DepthToSpace", {1, "T1x8x2x3", "blocksize=2"}, {13, "T1x8x2x3", "blocksize=2 mode=DCR"}, 0},
    {"LSTM",
     {1, "T2x1x3 T1x8x3 T1x8x2", "hidden_size=2 output_sequence=1"},
     {14, "T2x1x3 T1x8x3 T1x8x2", "hidden_size=2"},
     3},
    {"GRU",
     {3, "T2x1x3 T1x6x3 T1x6x2", "hidden_size=2"},
     {14, "T2x1x3 T1x6x3 T1x6x2", "hidden_size=2"},
     2},
};

enum { ROWS = sizeof rows / sizeof *rows };

static optest *run_form(const row *r, const form *f, int outs) {
    optest *o = opcase_new(r->op, f->opset, f->inputs, f->attrs, OMMA_F32, OMMA_F32);
    if (optest_try(o, outs, 2))
        fail_msg("%s-%d (%s; %s): %s", r->op, f->opset, f->inputs, f->attrs, o->err.message);
    return o;
}

static void forms_agree(void **state) {
    (void)state;
    for (const row *r = rows; r < rows + ROWS; r++) {
        const int outs = r->outs > 0 ? r->outs : 1;
        if (r->outs < 0) continue; /* has no newer form; see below */
        optest *a = run_form(r, &r->old, outs), *z = run_form(r, &r->now, outs);
        for (int i = 0; i < outs; i++) {
            const omma_tensor *x = &a->out[i], *y = &z->out[i];
            const size_t bytes = (size_t)omma_tensor_count(y) * omma_dtype_size(y->dtype);
            if (x->dtype != y->dtype || x->rank != y->rank ||
                memcmp(x->dims, y->dims, (size_t)x->rank * 8) ||
                (bytes && memcmp(x->data, y->data, bytes)))
                fail_msg("%s-%d (%s; %s) and %s-%d differ in output %d", r->op, r->old.opset,
                         r->old.inputs, r->old.attrs, r->op, r->now.opset, i);
        }
        optest_free(a);
        optest_free(z);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(forms_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

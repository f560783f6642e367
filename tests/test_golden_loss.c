/* test_golden_loss.c - DETR's loss as a graph of plain operators, with the matching given: its
 * value and its gradients by logits and boxes are those of the original (OMMA_SHARED/golden). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>

#include "file/safetensors.h"
#include "onnxmake.h"
#include "shared.h"

enum { IMAGES = 2, QUERIES = 10, CLASSES = 7, MATCHES = 4 };

/* The tensor of this name; '#' in it is i. */
static const omma_tensor *find(const omma_safetensors *s, const char *name, int i) {
    char own[32];
    size_t n = 0;
    for (; name[n] && n + 1 < sizeof own; n++) own[n] = name[n] == '#' ? (char)('0' + i) : name[n];
    own[n] = 0;
    const omma_tensor *t = omma_safetensors_find(s, own);
    if (!t) fail_msg("no %s", own);
    return t;
}

/* What every query shall be: its class (the last is no object), and the pairs that matched. */
typedef struct targets {
    int64_t label[IMAGES * QUERIES], query[MATCHES];
    float box[MATCHES * 4];
} targets;

static void read_targets(targets *t, const omma_safetensors *s) {
    int n = 0;
    for (int i = 0; i < IMAGES * QUERIES; i++) t->label[i] = CLASSES - 1;
    for (int i = 0; i < IMAGES; i++) {
        const omma_tensor *src = find(s, "match#.src", i), *tgt = find(s, "match#.tgt", i);
        const int64_t *from = src->data, *to = tgt->data, *label = find(s, "t#.labels", i)->data;
        for (int64_t k = 0; k < src->dims[0]; k++, n++) {
            assert_true(n < MATCHES);
            t->query[n] = i * QUERIES + from[k];
            t->label[t->query[n]] = label[to[k]];
            memcpy(t->box + 4 * n, (const float *)find(s, "t#.boxes", i)->data + 4 * to[k], 16);
        }
    }
    assert_int_equal(n, MATCHES);
}

static void op(mk *g, const char *name, const char *in, const char *out) {
    mk_op(g, name, in, out, NULL);
}

static void reduce(mk *g, const char *in, const char *out) {
    mk a = {0};
    mk_attr_int(&a, "keepdims", 0);
    mk_op(g, "ReduceSum", in, out, &a);
}

static void split(mk *g, const char *in, const char *out) {
    mk a = {0};
    mk_attr_int(&a, "axis", 1);
    mk_op(g, "Split", in, out, &a);
}

/* Corners x0, y0, x1, y1 and the area of boxes b: [n,4] of centre and size. */
static void corners(mk *g, const char *b, const char *p) {
    char s[256];
    snprintf(s, sizeof s, "%scx,%scy,%sw,%sh", p, p, p, p);
    split(g, b, s);
    static const char *const names[] = {"x0,cx,w,Sub", "y0,cy,h,Sub", "x1,cx,w,Add", "y1,cy,h,Add"};
    for (int i = 0; i < 4; i++) {
        char to[8], c[8], w[8], o[8], half[32], in[64], out[32];
        sscanf(names[i], "%7[^,],%7[^,],%7[^,],%7s", to, c, w, o);
        snprintf(half, sizeof half, "%s%s.half%d", p, w, i);
        snprintf(in, sizeof in, "%s%s,two", p, w);
        op(g, "Div", in, half);
        snprintf(in, sizeof in, "%s%s,%s", p, c, half);
        snprintf(out, sizeof out, "%s%s", p, to);
        op(g, o, in, out);
    }
    snprintf(s, sizeof s, "%sw,%sh", p, p);
    char area[16];
    snprintf(area, sizeof area, "%sarea", p);
    op(g, "Mul", s, area);
}

/* in - the overlap of the boxes a and b, hull - what holds both */
static void overlaps(mk *g) {
    op(g, "Max", "ax0,bx0", "ix0"), op(g, "Max", "ay0,by0", "iy0");
    op(g, "Min", "ax1,bx1", "ix1"), op(g, "Min", "ay1,by1", "iy1");
    op(g, "Min", "ax0,bx0", "hx0"), op(g, "Min", "ay0,by0", "hy0");
    op(g, "Max", "ax1,bx1", "hx1"), op(g, "Max", "ay1,by1", "hy1");
    op(g, "Sub", "ix1,ix0", "iw_"), op(g, "Sub", "iy1,iy0", "ih_");
    op(g, "Relu", "iw_", "iw"), op(g, "Relu", "ih_", "ih");
    op(g, "Mul", "iw,ih", "in");
    op(g, "Sub", "hx1,hx0", "hw"), op(g, "Sub", "hy1,hy0", "hh");
    op(g, "Mul", "hw,hh", "hull");
}

static mk loss_model(const targets *t) {
    mk g = {0}, a = {0};
    float weight[CLASSES], four = MATCHES, two = 2, one = 1, five = 5;
    for (int i = 0; i < CLASSES; i++) weight[i] = i == CLASSES - 1 ? 0.1f : 1;
    mk_port(&g, MK_INPUT, "logits", OMMA_F32, MK_DIMS(IMAGES, QUERIES, CLASSES));
    mk_port(&g, MK_INPUT, "boxes", OMMA_F32, MK_DIMS(IMAGES, QUERIES, 4));
    mk_floats(&g, "weight", weight, MK_DIMS(CLASSES));
    mk_ints(&g, "label", t->label, IMAGES * QUERIES);
    mk_ints(&g, "query", t->query, MATCHES);
    mk_floats(&g, "target", t->box, MK_DIMS(MATCHES, 4));
    mk_floats(&g, "four", &four, 0, NULL), mk_floats(&g, "two", &two, 0, NULL);
    mk_floats(&g, "one", &one, 0, NULL), mk_floats(&g, "five", &five, 0, NULL);
    mk_ints(&g, "rows", (int64_t[]){IMAGES * QUERIES, CLASSES}, 2);
    mk_ints(&g, "boxrows", (int64_t[]){IMAGES * QUERIES, 4}, 2);
    op(&g, "Reshape", "logits,rows", "flat");
    mk_attr_str(&a, "reduction", "mean");
    mk_op(&g, "SoftmaxCrossEntropyLoss", "flat,label,weight", "ce", &a);
    op(&g, "Reshape", "boxes,boxrows", "allboxes");
    op(&g, "Gather", "allboxes,query", "matched");
    op(&g, "Sub", "matched,target", "off"), op(&g, "Abs", "off", "far");
    reduce(&g, "far", "l1sum"), op(&g, "Div", "l1sum,four", "l1");
    corners(&g, "matched", "a"), corners(&g, "target", "b");
    overlaps(&g);
    op(&g, "Add", "aarea,barea", "both"), op(&g, "Sub", "both,in", "union");
    op(&g, "Div", "in,union", "iou"), op(&g, "Sub", "hull,union", "gap");
    op(&g, "Div", "gap,hull", "gapshare"), op(&g, "Sub", "iou,gapshare", "giou");
    op(&g, "Sub", "one,giou", "lost"), reduce(&g, "lost", "lostsum");
    op(&g, "Div", "lostsum,four", "gl");
    op(&g, "Mul", "l1,five", "l1w"), op(&g, "Mul", "gl,two", "glw");
    op(&g, "Add", "ce,l1w", "part"), op(&g, "Add", "part,glw", "total");
    static const char *const outs[] = {"total", "ce", "l1", "gl"};
    for (int i = 0; i < 4; i++) mk_port(&g, MK_OUTPUT, outs[i], OMMA_F32, 0, NULL);
    return mk_model(&g, 13);
}

static void is_number(const omma_safetensors *s, const char *key, const omma_tensor *got) {
    const char *text = omma_safetensors_text(s, key);
    assert_non_null(text);
    const double want = strtod(text, NULL), is = (double)*(const float *)got->data;
    print_message("%s %.7f, recorded %.7f\n", key, is, want);
    assert_true(fabs(is - want) <= 1e-6 * fmax(1, fabs(want)));
}

static void is_tensor(const char *what, const omma_tensor *got, const omma_tensor *want) {
    double most = 0, off = 0;
    assert_int_equal(omma_tensor_count(got), omma_tensor_count(want));
    for (int64_t i = 0; i < omma_tensor_count(want); i++) {
        const double w = (double)((const float *)want->data)[i];
        most = fmax(most, fabs(w));
        off = fmax(off, fabs((double)((const float *)got->data)[i] - w));
    }
    print_message("%s: off by %.2g of the largest\n", what, off / most);
    assert_true(off <= 2e-6 * most);
}

static void detr(void **state) {
    (void)state;
    char path[1024];
    omma_safetensors s;
    omma_error err;
    omma_model *m;
    omma_gradient *g;
    static targets t;
    if (!shared_path(path, sizeof path, "golden/detr_loss.safetensors")) {
        print_message("SKIPPED: no OMMA_SHARED with golden/detr_loss.safetensors\n");
        skip();
    }
    if (omma_safetensors_open(&s, path, NULL, &err)) fail_msg("%s", err.message);
    read_targets(&t, &s);
    mk bytes = loss_model(&t);
    const omma_gradient_how how = {
        .of = (const char *const[]){"total", "ce", "l1", "gl"}, .n_of = 4, .seeded = 1};
    if (mk_open(&m, &bytes, NULL, &err) || omma_gradient_new(&g, m, &how, NULL, &err))
        fail_msg("%s", err.message);
    const omma_tensor in[] = {*find(&s, "pred_logits", 0), *find(&s, "pred_boxes", 0)};
    float ones[] = {1, 0, 0, 0}; /* the total alone */
    omma_tensor seeds[4];
    for (int i = 0; i < 4; i++) seeds[i] = (omma_tensor){.dtype = OMMA_F32, .data = &ones[i]};
    if (omma_gradient_run(g, in, 2, seeds, &err)) fail_msg("%s", err.message);
    is_number(&s, "total", omma_gradient_value(g, 0));
    is_number(&s, "loss_ce", omma_gradient_value(g, 1));
    is_number(&s, "loss_bbox", omma_gradient_value(g, 2));
    is_number(&s, "loss_giou", omma_gradient_value(g, 3));
    is_tensor("by the logits", omma_gradient_result(g, 0), find(&s, "grad_logits", 0));
    is_tensor("by the boxes", omma_gradient_result(g, 1), find(&s, "grad_boxes", 0));
    omma_gradient_free(g);
    omma_model_free(m);
    omma_safetensors_free(&s);
    mk_free(&bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(detr)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

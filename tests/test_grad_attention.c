/* test_grad_attention.c - the plainer operators that Attention stands for: their numbers beside its
 * own run, their gradient against central differences, their field against what changes. */
#include "fieldcheck.h"
#include "partscheck.h"

/* A way to ask for it. */
typedef struct sdpa {
    int opset, rank;
    int64_t batch, heads, groups, q_len, kv_len, past, d, e;
    int mask; /* 0 none, 1 bool, 2 numbers, 3 whole numbers, 4 numbers that hide nothing */
    int mask_rank;
    int64_t mask_dims[4];
    bool causal, nonpad, fixed; /* fixed: the mask is a constant */
    bool alone;                 /* a query sees one key only: no number of theirs changes that */
    float scale, softcap;
    int mode, outs;
} sdpa;

static void rows(gradcheck *c, const sdpa *a, int64_t heads, int64_t len, int64_t d) {
    if (a->rank == 4) gradcheck_float(c, -1, 1, GRADCHECK_DIMS(a->batch, heads, len, d));
    else gradcheck_float(c, -1, 1, GRADCHECK_DIMS(a->batch, len, heads * d));
}

/* Some keys are masked, and of the first row of a mask all. */
static void add_mask(gradcheck *c, const sdpa *a) {
    unsigned char yes[256];
    int64_t whole[256], n = 1;
    const int64_t row = a->mask_rank ? a->mask_dims[a->mask_rank - 1] : 1;
    for (int d = 0; d < a->mask_rank; d++) n *= a->mask_dims[d];
    for (int64_t i = 0; i < n; i++) yes[i] = i >= row && i % 3 != 1, whole[i] = i % 4 - 2;
    if (n == row) memset(yes, 1, sizeof yes), yes[0] = row < 2;
    gradcheck_in *in;
    if (a->mask == 1) in = gradcheck_bool(c, yes, a->mask_rank, a->mask_dims);
    else if (a->mask == 3) in = gradcheck_whole(c, whole, a->mask_rank, a->mask_dims);
    else in = gradcheck_float(c, -1, 1, a->mask_rank, a->mask_dims);
    for (int64_t i = 0; i < n && a->mask == 2; i++)
        if (!yes[i]) ((double *)in->data)[i] = -INFINITY;
    in->still = a->mask == 2;
    in->fixed = a->fixed;
}

static gradcheck *make(const sdpa *a) {
    gradcheck *c = gradcheck_new("Attention", a->opset ? a->opset : 23, a->outs ? a->outs : 1);
    rows(c, a, a->heads, a->q_len, a->d);
    rows(c, a, a->groups, a->kv_len, a->d);
    rows(c, a, a->groups, a->kv_len, a->e);
    if (a->mask) add_mask(c, a);
    else gradcheck_skip(c);
    for (int i = 0; i < 2; i++)
        if (a->past)
            gradcheck_float(c, -1, 1,
                            GRADCHECK_DIMS(a->batch, a->groups, a->past, i ? a->e : a->d));
        else gradcheck_skip(c);
    int64_t valid[8];
    for (int64_t b = 0; b < a->batch; b++) valid[b] = b ? a->kv_len - b : 1;
    if (a->nonpad) gradcheck_whole(c, valid, 1, &a->batch);
    if (a->rank == 3) gradcheck_int(c, "q_num_heads", a->heads);
    if (a->rank == 3) gradcheck_int(c, "kv_num_heads", a->groups);
    gradcheck_int(c, "is_causal", a->causal);
    if (a->scale > 0) gradcheck_real(c, "scale", a->scale);
    gradcheck_real(c, "softcap", a->softcap);
    gradcheck_int(c, "qk_matmul_output_mode", a->mode);
    return c;
}

/* clang-format off */
static const sdpa cases[] = {
    {.rank = 4, .batch = 2, .heads = 2, .groups = 2, .q_len = 3, .kv_len = 4, .d = 3, .e = 2},
    {.rank = 3, .batch = 2, .heads = 2, .groups = 2, .q_len = 3, .kv_len = 4, .d = 2, .e = 3},
    {.rank = 3, .batch = 1, .heads = 4, .groups = 2, .q_len = 2, .kv_len = 3, .d = 2, .e = 3,
     .scale = 0.3f},
    {.rank = 4, .batch = 2, .heads = 6, .groups = 2, .q_len = 2, .kv_len = 3, .d = 2, .e = 1,
     .softcap = 0.8f, .causal = true, .alone = true},
    {.rank = 4, .batch = 1, .heads = 2, .groups = 1, .q_len = 3, .kv_len = 3, .past = 2, .d =
     2, .e = 2, .causal = true, .outs = 3},
    {.rank = 3, .batch = 2, .heads = 2, .groups = 1, .q_len = 2, .kv_len = 2, .past = 3, .d =
     2, .e = 3, .outs = 3},
    {.rank = 4, .batch = 2, .heads = 2, .groups = 2, .q_len = 3, .kv_len = 4, .d = 2, .e = 2,
     .mask = 1, .mask_rank = 2, .mask_dims = {3, 4}},
    {.rank = 4, .batch = 2, .heads = 2, .groups = 2, .q_len = 3, .kv_len = 4, .d = 2, .e = 2,
     .mask = 1, .mask_rank = 4, .mask_dims = {2, 1, 3, 4}, .fixed = true, .causal = true,
     .alone = true},
    {.rank = 3, .batch = 2, .heads = 2, .groups = 1, .q_len = 3, .kv_len = 4, .d = 2, .e = 2,
     .mask = 2, .mask_rank = 3, .mask_dims = {2, 3, 4}, .fixed = true},
    {.rank = 4, .batch = 2, .heads = 2, .groups = 2, .q_len = 3, .kv_len = 4, .d = 2, .e = 2,
     .mask = 2, .mask_rank = 2, .mask_dims = {3, 1}, .causal = true, .alone = true},
    {.rank = 4, .batch = 1, .heads = 2, .groups = 2, .q_len = 2, .kv_len = 3, .d = 2, .e = 2,
     .mask = 3, .mask_rank = 1, .mask_dims = {3}, .softcap = 1},
    {.rank = 4, .batch = 1, .heads = 2, .groups = 2, .q_len = 2, .kv_len = 3, .d = 2, .e = 2,
     .mask = 1, .mask_rank = 0, .fixed = true},
    {.opset = 24, .rank = 4, .batch = 1, .heads = 2, .groups = 2, .q_len = 3, .kv_len = 5, .d =
     2, .e = 2, .mask = 2, .mask_rank = 2, .mask_dims = {3, 3}, .fixed = true},
    {.opset = 24, .rank = 4, .batch = 1, .heads = 2, .groups = 2, .q_len = 3, .kv_len = 5, .d =
     2, .e = 2, .mask = 1, .mask_rank = 2, .mask_dims = {3, 4}, .causal = true, .alone = true},
    {.opset = 24, .rank = 4, .batch = 1, .heads = 1, .groups = 1, .q_len = 3, .kv_len = 3, .d =
     2, .e = 2, .mask = 2, .mask_rank = 2, .mask_dims = {3, 1}, .alone = true},
    {.opset = 24, .rank = 4, .batch = 3, .heads = 2, .groups = 2, .q_len = 3, .kv_len = 4, .d =
     2, .e = 2, .nonpad = true, .alone = true},
    {.opset = 24, .rank = 3, .batch = 3, .heads = 2, .groups = 1, .q_len = 3, .kv_len = 4, .d =
     2, .e = 2, .nonpad = true, .causal = true, .alone = true},
    {.opset = 24, .rank = 4, .batch = 3, .heads = 1, .groups = 1, .q_len = 2, .kv_len = 4, .d =
     2, .e = 2, .nonpad = true, .causal = true, .mask = 1, .mask_rank = 2, .mask_dims = {2, 3},
     .alone = true},
    {.rank = 4, .batch = 1, .heads = 4, .groups = 2, .q_len = 3, .kv_len = 4, .d = 2, .e = 2, .mask
     = 4, .mask_rank = 4, .mask_dims = {1, 4, 3, 4}},
};
/* clang-format on */
enum { CASES = sizeof cases / sizeof *cases };

static void numbers(void **state) {
    (void)state;
    for (int i = 0; i < CASES; i++) {
        gradcheck *c = make(&cases[i]);
        partscheck_run(c);
        partscheck_halves(c);
        partscheck_free(c);
        for (int mode = 0; mode < 4; mode++) { /* with scores, on every stage */
            sdpa a = cases[i];
            a.mode = mode, a.outs = 4;
            partscheck_run(c = make(&a));
            partscheck_free(c);
        }
    }
}

static void precise(void **state) {
    (void)state;
    gradcheck *c = make(&cases[0]);
    gradcheck_int(c, "softmax_precision", OMMA_F64);
    partscheck_run(c);
    partscheck_free(c);
}

/* By queries, keys, values, past, and numbers of a mask; through scores that are handed out too. */
static void gradients(void **state) {
    (void)state;
    for (int i = 0; i < CASES; i++) {
        gradcheck_run(make(&cases[i]));
        for (int mode = 0; mode < 4; mode++) {
            sdpa a = cases[i];
            a.mode = mode, a.outs = 4;
            gradcheck *c = make(&a);
            c->deaf[3] = mode == 2; /* -inf among them */
            gradcheck_run(c);
        }
    }
}

/* What a mask hides is in no field; numbers of a mask that is no constant may hide anything. */
static void fields(void **state) {
    (void)state;
    for (int i = 0; i < CASES; i++) {
        const bool known = cases[i].fixed || cases[i].mask != 2;
        fieldcheck_run(make(&cases[i]), known && !cases[i].alone ? FIELDCHECK_EXACT : 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(numbers), cmocka_unit_test(precise),
                                       cmocka_unit_test(gradients), cmocka_unit_test(fields)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

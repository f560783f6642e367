/* test_grad_recurrent.c - the plainer operators that LSTM, GRU, RNN and LinearAttention stand for:
 * their numbers beside the nodes' own run, their gradient against central differences, their field
 * against what changes. */
#include "fieldcheck.h"
#include "partscheck.h"

static gradcheck *keep(gradcheck *c, omma_attr a) {
    gradcheck_attr(c, a);
    return c;
}

/* --- LSTM, GRU, RNN --------------------------------------------------------------------------- */

typedef struct cell {
    const char *op, *direction;
    int64_t steps, batch, in, hidden;
    bool biased, lens, fixed, state, peep, batch_first, linear, coupled;
    float clip;
    const char *acts[3]; /* of a direction */
    float alpha, beta;
} cell;

static const cell cells[] = {
    {.op = "LSTM", .steps = 3, .batch = 2, .in = 2, .hidden = 3},
    {.op = "LSTM",
     .direction = "reverse",
     .steps = 3,
     .batch = 2,
     .in = 2,
     .hidden = 2,
     .biased = true,
     .state = true,
     .peep = true},
    {.op = "LSTM",
     .direction = "bidirectional",
     .steps = 4,
     .batch = 3,
     .in = 1,
     .hidden = 2,
     .biased = true,
     .lens = true,
     .state = true,
     .peep = true},
    {.op = "LSTM",
     .direction = "bidirectional",
     .steps = 3,
     .batch = 2,
     .in = 2,
     .hidden = 2,
     .biased = true,
     .batch_first = true,
     .state = true,
     .coupled = true},
    {.op = "LSTM",
     .direction = "bidirectional",
     .steps = 3,
     .batch = 2,
     .in = 2,
     .hidden = 1,
     .lens = true,
     .fixed = true,
     .batch_first = true,
     .clip = 0.7f},
    {.op = "LSTM",
     .steps = 2,
     .batch = 1,
     .in = 2,
     .hidden = 2,
     .acts = {"HardSigmoid", "ScaledTanh", "Softsign"},
     .alpha = 0.4f,
     .beta = 0.6f},
    {.op = "LSTM",
     .steps = 2,
     .batch = 1,
     .in = 2,
     .hidden = 2,
     .peep = true,
     .coupled = true,
     .acts = {"Affine", "LeakyRelu", "Softplus"},
     .alpha = 0.4f,
     .beta = 0.6f},
    {.op = "LSTM", .steps = 1, .batch = 2, .in = 3, .hidden = 1, .lens = true},
    {.op = "GRU", .steps = 3, .batch = 2, .in = 2, .hidden = 3},
    {.op = "GRU",
     .direction = "reverse",
     .steps = 3,
     .batch = 2,
     .in = 2,
     .hidden = 2,
     .biased = true,
     .state = true,
     .linear = true},
    {.op = "GRU",
     .direction = "bidirectional",
     .steps = 4,
     .batch = 3,
     .in = 2,
     .hidden = 2,
     .biased = true,
     .lens = true,
     .state = true},
    {.op = "GRU",
     .direction = "bidirectional",
     .steps = 3,
     .batch = 2,
     .in = 2,
     .hidden = 2,
     .biased = true,
     .lens = true,
     .batch_first = true,
     .linear = true,
     .clip = 0.5f},
    {.op = "GRU",
     .steps = 3,
     .batch = 1,
     .in = 2,
     .hidden = 2,
     .linear = true,
     .acts = {"Elu", "ThresholdedRelu"},
     .alpha = 0.2f},
    {.op = "RNN", .steps = 4, .batch = 2, .in = 2, .hidden = 3},
    {.op = "RNN",
     .direction = "reverse",
     .steps = 3,
     .batch = 2,
     .in = 2,
     .hidden = 2,
     .biased = true,
     .lens = true,
     .acts = {"Sigmoid"}},
    {.op = "RNN",
     .direction = "bidirectional",
     .steps = 3,
     .batch = 2,
     .in = 2,
     .hidden = 2,
     .biased = true,
     .state = true,
     .batch_first = true,
     .acts = {"Relu"},
     .clip = 0.8f}};
enum { CELLS = sizeof cells / sizeof *cells };

static int directions(const cell *e) {
    return e->direction && !strcmp(e->direction, "bidirectional") ? 2 : 1;
}

static void names(gradcheck *c, const cell *e) {
    static const char *list[6];
    static float alpha[6], beta[6];
    const int each = strcmp(e->op, "LSTM") == 0 ? 3 : strcmp(e->op, "GRU") == 0 ? 2 : 1;
    const int n = each * directions(e);
    if (!e->acts[0]) return;
    for (int i = 0; i < n; i++) list[i] = e->acts[i % each], alpha[i] = e->alpha, beta[i] = e->beta;
    keep(c, (omma_attr){
                .name = "activations", .kind = OMMA_ATTR_STRINGS, .strings = list, .count = n});
    if (e->alpha > 0)
        keep(c, (omma_attr){.name = "activation_alpha",
                            .kind = OMMA_ATTR_FLOATS,
                            .floats = alpha,
                            .count = n});
    if (e->beta > 0)
        keep(c,
             (omma_attr){
                 .name = "activation_beta", .kind = OMMA_ATTR_FLOATS, .floats = beta, .count = n});
}

static void lengths(gradcheck *c, const cell *e) {
    int32_t lens[8];
    if (!e->lens) {
        gradcheck_skip(c);
        return;
    }
    for (int64_t b = 0; b < e->batch; b++)
        lens[b] = (int32_t)(b == 2 ? 0 : e->steps - b); /* one has no steps at all */
    gradcheck_in *in = gradcheck_put(c, OMMA_I32, 1, &e->batch);
    memcpy(in->data, lens, (size_t)e->batch * sizeof *lens);
    in->fixed = e->fixed;
}

static void state(gradcheck *c, const cell *e) {
    const int64_t d = directions(e);
    if (!e->state) gradcheck_skip(c);
    else if (e->batch_first) gradcheck_float(c, -1, 1, GRADCHECK_DIMS(e->batch, d, e->hidden));
    else gradcheck_float(c, -1, 1, GRADCHECK_DIMS(d, e->batch, e->hidden));
}

static gradcheck *make(const cell *e) {
    const bool lstm = !strcmp(e->op, "LSTM");
    const int64_t gates = e->hidden * (lstm ? 4 : !strcmp(e->op, "GRU") ? 3 : 1), d = directions(e);
    gradcheck *c = gradcheck_new(e->op, 14, lstm ? 3 : 2);
    if (e->batch_first) gradcheck_float(c, -1, 1, GRADCHECK_DIMS(e->batch, e->steps, e->in));
    else gradcheck_float(c, -1, 1, GRADCHECK_DIMS(e->steps, e->batch, e->in));
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(d, gates, e->in));
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(d, gates, e->hidden));
    if (e->biased) gradcheck_float(c, -1, 1, GRADCHECK_DIMS(d, 2 * gates));
    else gradcheck_skip(c);
    lengths(c, e);
    state(c, e);
    if (lstm) state(c, e);
    if (lstm && e->peep) gradcheck_float(c, -1, 1, GRADCHECK_DIMS(d, 3 * e->hidden));
    if (e->direction) gradcheck_text(c, "direction", e->direction);
    gradcheck_int(c, "hidden_size", e->hidden);
    gradcheck_int(c, "layout", e->batch_first);
    gradcheck_int(c, "linear_before_reset", e->linear);
    gradcheck_int(c, "input_forget", e->coupled);
    if (e->clip > 0) gradcheck_real(c, "clip", e->clip);
    names(c, e);
    return c;
}

static void cell_numbers(void **unused) {
    (void)unused;
    for (int i = 0; i < CELLS; i++) {
        gradcheck *c = make(&cells[i]);
        partscheck_run(c);
        partscheck_halves(c);
        partscheck_free(c);
    }
    cell none = cells[3]; /* no steps: what comes out is the state that went in */
    none.steps = 0;
    gradcheck *c = make(&none);
    partscheck_run(c);
    partscheck_free(c);
}

static void cell_gradients(void **unused) {
    (void)unused;
    for (int i = 0; i < CELLS; i++) gradcheck_run(make(&cells[i]));
}

static void cell_fields(void **unused) {
    (void)unused;
    for (int i = 0; i < CELLS; i++) {
        cell e = cells[i];
        if (e.clip > 0) e.clip = 4; /* what is far outside is not changed by any step tried */
        /* ReLUs, of the GRU too, that are 0 whatever is tried */
        const bool dies = e.acts[0] && (!strcmp(e.acts[0], "Relu") || !strcmp(e.acts[0], "Elu"));
        fieldcheck_run(make(&e), dies ? 0 : FIELDCHECK_EXACT);
    }
}

/* More nodes than a graph should hold are refused, and the message says so. */
static void too_long(void **unused) {
    (void)unused;
    static const int64_t steps[] = {6000, 1 << 17};
    for (int i = 0; i < 2; i++) {
        const cell e = {.op = "LSTM", .steps = 3, .batch = 1, .in = 1, .hidden = 1};
        gradcheck *c = make(&e);
        gradcheck_side s;
        omma_arena arena;
        omma_specialised sp;
        const omma_specialise_how how = {.reading = OMMA_READ_FIELD};
        gradcheck_build(&s, c, OMMA_F32);
        omma_arena_init(&arena, NULL);
        s.in[0].dims[0] = steps[i]; /* only shapes are read */
        assert_int_equal(omma_specialise(&sp, s.g, s.in, &how, &arena, &s.err), OMMA_E_UNSUPPORTED);
        assert_non_null(strstr(s.err.message, "more than 65536 nodes"));
        omma_arena_free(&arena);
        gradcheck_drop(&s);
        partscheck_free(c);
    }
}

/* --- LinearAttention ---------------------------------------------------------------------------
 */

typedef struct linear {
    const char *rule;
    int64_t batch, len, heads, groups, d, e;
    bool past, by_number, one_beta; /* decay for each number of a key; beta for all heads */
} linear;

static const linear linears[] = {{"linear", 2, 3, 2, 2, 2, 3, false, false, false},
                                 {"linear", 1, 4, 4, 2, 2, 1, true, false, false},
                                 {"gated", 2, 3, 2, 1, 2, 2, true, false, false},
                                 {"gated", 1, 3, 2, 2, 3, 2, false, true, false},
                                 {"delta", 2, 2, 2, 2, 2, 2, true, false, true},
                                 {"delta", 1, 3, 2, 1, 2, 3, false, false, false},
                                 {"gated_delta", 2, 3, 4, 2, 2, 2, true, true, false},
                                 {"gated_delta", 1, 1, 1, 1, 2, 2, false, false, true}};
enum { LINEARS = sizeof linears / sizeof *linears };

static gradcheck *make_linear(const linear *l) {
    const bool gated = !strncmp(l->rule, "gated", 5), delta = strstr(l->rule, "delta") != NULL;
    gradcheck *c = gradcheck_new("LinearAttention", 27, 2);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(l->batch, l->len, l->heads * l->d));
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(l->batch, l->len, l->groups * l->d));
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(l->batch, l->len, l->groups * l->e));
    if (l->past) gradcheck_float(c, -1, 1, GRADCHECK_DIMS(l->batch, l->groups, l->d, l->e));
    else gradcheck_skip(c);
    if (gated)
        gradcheck_float(c, -1, 0,
                        GRADCHECK_DIMS(l->batch, l->len, l->groups * (l->by_number ? l->d : 1)));
    else gradcheck_skip(c);
    if (delta)
        gradcheck_float(c, 0.3, 1, GRADCHECK_DIMS(l->batch, l->len, l->one_beta ? 1 : l->groups));
    gradcheck_text(c, "update_rule", l->rule);
    gradcheck_int(c, "q_num_heads", l->heads);
    gradcheck_int(c, "kv_num_heads", l->groups);
    return c;
}

static void linear_numbers(void **unused) {
    (void)unused;
    for (int i = 0; i < LINEARS; i++) {
        gradcheck *c = make_linear(&linears[i]);
        partscheck_run(c);
        partscheck_halves(c);
        partscheck_free(c);
    }
    linear none = linears[6];
    none.len = 0;
    gradcheck *c = make_linear(&none);
    partscheck_run(c);
    partscheck_free(c);
}

static void linear_gradients(void **unused) {
    (void)unused;
    for (int i = 0; i < LINEARS; i++) gradcheck_run(make_linear(&linears[i]));
}

static void linear_fields(void **unused) {
    (void)unused;
    for (int i = 0; i < LINEARS; i++) fieldcheck_run(make_linear(&linears[i]), FIELDCHECK_EXACT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cell_numbers),   cmocka_unit_test(cell_gradients),
        cmocka_unit_test(cell_fields),    cmocka_unit_test(too_long),
        cmocka_unit_test(linear_numbers), cmocka_unit_test(linear_gradients),
        cmocka_unit_test(linear_fields)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_sight.c - the parts of the models of tests/golden/gradients, and the numbers they have in a
 * run: the weights of every attention are PyTorch's (attention.npy), whether the model's weights
 * are constants or inputs, and outputs are those of a session that watches nothing, to the bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "anatomycheck.h"
#include "gradgold.h"
#include "model/model.h"
#include "run/session.h"

static const double TOLERANCE = 1e-5;

enum { ATTENTIONS = 8, WEIGHTS = 4096 };

/* A recorded attention. */
typedef struct record {
    int64_t dims[4]; /* batch, heads, queries, keys */
    int64_t count, recorded;
    bool whole;
    const float *values;
} record;

typedef struct subject {
    const char *name;
    omma_model *model;
    omma_arena arena;
    gradgold gold;
    const omma_graph *graph; /* what is looked at */
    int n_inputs;
    omma_sight *sight;
    const omma_anatomy *a;
    omma_tensor numbers;
    record record[ATTENTIONS];
    int n_record;
} subject;

/* --- the record ------------------------------------------------------------------------------ */

static void read_records(subject *s) {
    char path[GRADGOLD_PATH], line[256], form[16];
    FILE *f = fopen(gradgold_path(path, s->name, "attention.txt"), "r");
    assert_true(f && gradgold_array(&s->gold, &s->numbers, s->name, "attention", -1));
    assert_non_null(fgets(line, sizeof line, f));
    while (fgets(line, sizeof line, f)) {
        record *r = &s->record[s->n_record];
        int number;
        int64_t first;
        assert_int_equal(
            sscanf(line, "%d %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %15s %" SCNd64,
                   &number, &r->dims[0], &r->dims[1], &r->dims[2], &r->dims[3], form, &first),
            7);
        assert_int_equal(number, s->n_record++);
        r->count = r->dims[0] * r->dims[1] * r->dims[2] * r->dims[3];
        r->whole = !strcmp(form, "whole");
        r->recorded = r->whole ? r->count : WEIGHTS;
        r->values = (const float *)s->numbers.data + first;
        assert_true(first + r->recorded <= omma_tensor_count(&s->numbers));
        assert_true(s->n_record < ATTENTIONS);
    }
    fclose(f);
}

/* Attention k is recorded attention t. */
static void has_weights(subject *s, int k, int t) {
    const omma_attention *a = &s->a->attention[k];
    const record *r = &s->record[t];
    const float *w = omma_sight_weights(s->sight, k);
    double off = 0, largest = 0, least = 1;
    assert_non_null(w);
    assert_int_equal(a->windows, r->dims[0]);
    assert_int_equal(a->heads, r->dims[1]);
    assert_int_equal(a->queries, r->dims[2]);
    assert_int_equal(a->keys, r->dims[3]);
    for (int64_t j = 0; j < r->recorded; j++) {
        const int64_t at = r->whole ? j : gradgold_hash(t, j) % (uint32_t)r->count;
        off = fmax(off, gradgold_far(w + at, r->values + j, 1));
        largest = fmax(largest, (double)r->values[j]);
        least = fmin(least, (double)r->values[j]);
    }
    print_message("  %s: weights %.2g to %.2g, off by %.2g\n", a->label, least, largest, off);
    assert_true(off <= TOLERANCE);
    assert_true(largest > 4 / (double)a->keys || a->keys < 10); /* they tell keys apart */
}

/* --- subjects -------------------------------------------------------------------------------- */

/* The graph whose only input is the picture. */
static const omma_graph *closed(subject *s) {
    omma_graph *g = omma_graph_clone(s->model->graph, &s->arena);
    assert_non_null(g);
    for (int i = 1; i < g->n_inputs; i++) {
        g->inputs[i]->is_input = false;
        g->inputs[i]->data = s->gold.inputs[i].data;
    }
    g->n_inputs = 1;
    return g;
}

static void check_outputs(const subject *s) {
    omma_session *plain;
    omma_error err;
    if (omma_session_on_graph(&plain, s->graph, s->name, NULL, &err) ||
        omma_session_run(plain, s->gold.inputs, s->n_inputs, &err))
        fail_msg("%s", err.message);
    for (int i = 0; i < s->gold.output_count; i++) {
        const omma_tensor *x = omma_session_output(plain, i), *y = omma_sight_output(s->sight, i);
        const size_t bytes = (size_t)omma_tensor_count(x) * sizeof(float);
        assert_int_equal(omma_tensor_count(x), omma_tensor_count(y));
        if (memcmp(x->data, y->data, bytes)) fail_msg("%s: output %d is another", s->name, i);
    }
    assert_null(omma_sight_output(s->sight, s->gold.output_count));
    omma_session_free(plain);
}

static subject *open_subject(const char *name, bool open_weights) {
    static subject s;
    omma_error err;
    char path[GRADGOLD_PATH];
    s = (subject){.name = name};
    omma_arena_init(&s.arena, NULL);
    if (omma_model_open(&s.model, gradgold_model_path(path, name), NULL, &err))
        fail_msg("%s", err.message);
    if (!gradgold_open(&s.gold, name, s.model)) fail_msg("%s: %s", name, s.gold.fault);
    s.graph = open_weights ? s.model->graph : closed(&s);
    s.n_inputs = s.graph->n_inputs;
    if (omma_sight_on_graph(&s.sight, s.graph, name, s.gold.inputs, s.n_inputs, NULL, &err))
        fail_msg("%s", err.message);
    s.a = omma_sight_anatomy(s.sight);
    print_message("%s: %s\n", name, s.a->missing);
    check_outputs(&s);
    check_parts(s.sight);
    return &s;
}

static void close_subject(subject *s) {
    omma_sight_free(s->sight);
    gradgold_close(&s->gold);
    omma_arena_free(&s->arena);
    omma_model_free(s->model);
}

/* --- the models ------------------------------------------------------------------------------ */

/* Two pictures, three layers, a class token in front of 8x8 patches of 8 pixels. */
static void vit(void **state) {
    (void)state;
    for (int open_weights = 0; open_weights < 2; open_weights++) {
        subject *s = open_subject("vit", open_weights);
        double y, x;
        read_records(s);
        assert_int_equal(s->n_record, 3);
        assert_int_equal(s->a->n_attention, 3);
        assert_int_equal(s->a->n_feed_forward, 3);
        assert_int_equal(s->a->object_queries, 0);
        for (int k = 0; k < 3; k++) {
            const omma_attention *a = &s->a->attention[k];
            assert_int_equal(a->kind, OMMA_ATTENTION_SELF);
            assert_int_equal(a->batch, 2);
            assert_int_equal(a->block, k);
            assert_int_equal(a->query.count, 65);
            assert_int_equal(a->query.special, 1);
            assert_false(omma_tokens_place(&a->query, 0, &y, &x));
            for (int t = 1; t < 65; t++) {
                assert_true(omma_tokens_place(&a->query, t, &y, &x));
                assert_true(y == (t - 1) / 8 * 8 + 3.5 && x == (t - 1) % 8 * 8 + 3.5);
            }
            assert_int_equal(s->a->feed_forward[k].after, k);
            assert_ptr_equal(s->a->feed_forward[k].in, a->out);
            if (k) assert_ptr_equal(s->a->feed_forward[k - 1].out, a->in);
            has_weights(s, k, k);
        }
        close_subject(s);
    }
}

/* Two layers that encode, two that decode, by eight object queries. As constants the queries' first
 * attention to each other is one too. */
static void detr(void **state) {
    (void)state;
    static const bool cross[] = {false, false, false, true, false, true};
    for (int open_weights = 0; open_weights < 2; open_weights++) {
        subject *s = open_subject("detr", open_weights);
        read_records(s);
        assert_int_equal(s->n_record, 6);
        assert_int_equal(s->a->n_attention, open_weights ? 6 : 5);
        assert_int_equal(s->a->n_feed_forward, 4);
        for (int k = 0; k < s->a->n_attention; k++) {
            const omma_attention *a = &s->a->attention[k];
            const int t = !open_weights && k > 1 ? k + 1 : k;
            assert_int_equal(a->kind, cross[t] ? OMMA_ATTENTION_CROSS : OMMA_ATTENTION_SELF);
            assert_int_equal(a->query.count, t < 2 ? 192 : 8);
            assert_int_equal(a->key.count, t < 2 || cross[t] ? 192 : 8);
            assert_int_equal(a->key.placed, t < 2 || cross[t]);
            assert_non_null(a->addition);
            if (a->key.placed)
                assert_true(a->key.rows.mod == 12 && a->key.columns.mod == 16 &&
                            a->key.jump_y == 8);
            if (!open_weights) assert_int_equal(a->decoder, t > 1);
            has_weights(s, k, t);
        }
        if (!open_weights) {
            assert_int_equal(s->a->object_queries, 8);
            assert_int_equal(s->a->n_answer, 2);
            assert_int_equal(s->a->answer[0].boxes + s->a->answer[1].boxes, 1);
            assert_string_equal(s->a->missing, "");
        }
        close_subject(s);
    }
}

static void resnet(void **state) {
    (void)state;
    subject *s = open_subject("resnet", false);
    assert_int_equal(s->a->n_attention + s->a->n_feed_forward + s->a->n_sampling, 0);
    assert_true(s->a->n_map > 3 && strstr(s->a->missing, "no attention"));
    assert_non_null(omma_sight_tensor(s->sight, s->a->map[0]));
    close_subject(s);
}

/* --- what can go wrong ----------------------------------------------------------------------- */

static void faults(void **state) {
    (void)state;
    subject *s = open_subject("vit", false);
    omma_sight *t;
    omma_error err;
    omma_tensor in = s->gold.inputs[0];
    assert_int_equal(omma_sight_on_graph(&t, s->graph, "vit", &in, 2, NULL, &err), OMMA_E_USAGE);
    assert_null(t);
    in.data = NULL;
    assert_int_equal(omma_sight_on_graph(&t, s->graph, "vit", &in, 1, NULL, &err), OMMA_E_USAGE);
    assert_non_null(strstr(err.message, "no data"));
    in = s->gold.inputs[0];
    const omma_options little = {.max_memory = 1 << 16};
    assert_int_equal(omma_sight_on_graph(&t, s->graph, "vit", &in, 1, &little, &err), OMMA_E_NOMEM);
    assert_null(omma_sight_tensor(s->sight, s->a->attention[0].scores)); /* not kept */
    assert_null(omma_sight_tensor(s->sight, NULL));
    close_subject(s);
}

/* Memory that ends at any point of a look. */
static void memory(void **state) {
    (void)state;
    subject *s = open_subject("detr", false);
    omma_arena arena;
    omma_anatomy a;
    omma_error err;
    omma_arena_init(&arena, NULL);
    uint64_t calls = omma_mem_calls();
    assert_int_equal(omma_anatomy_find(&a, omma_sight_fov(s->sight), &arena, &err), OMMA_OK);
    calls = omma_mem_calls() - calls;
    omma_arena_free(&arena);
    print_message("%d requests for memory\n", (int)calls);
    for (uint64_t k = 1; k <= calls; k += 1 + calls / 100) {
        omma_mem_fail_at(k);
        assert_int_equal(omma_anatomy_find(&a, omma_sight_fov(s->sight), &arena, &err),
                         OMMA_E_NOMEM);
        omma_mem_fail_at(0);
        omma_arena_free(&arena);
    }
    close_subject(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vit),    cmocka_unit_test(detr),   cmocka_unit_test(resnet),
        cmocka_unit_test(faults), cmocka_unit_test(memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

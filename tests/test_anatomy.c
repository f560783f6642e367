/* test_anatomy.c - the parts of a model: attention in all forms that graphs give it
 * (anatomynets.h), the networks of fieldnets.h, PP-OCR's recogniser and DEIMv2 where they are, and
 * with OMMA_BENCH_MODELS=FOLDER real exports. What is true of any model is in anatomycheck.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "anatomynets.h"
#include "anatomycheck.h"
#include "fieldnets.h"
#include "model/model.h"
#include "shared.h"

#define COUNT(a) (int)(sizeof(a) / sizeof *(a))

/* --- a model that is seen -------------------------------------------------------------------- */

typedef struct subject {
    const char *name;
    omma_model *model;
    omma_sight *sight;
    omma_tensor in[2];
    const omma_anatomy *a;
} subject;

/* Numbers for an input of these dims, 0 for as the model declares. */
static omma_tensor fill(const omma_port *p, const int64_t *dims) {
    omma_tensor t = {.dtype = p->dtype, .rank = p->rank};
    for (int d = 0; d < p->rank; d++) t.dims[d] = dims && dims[d] ? dims[d] : p->dims[d];
    const int64_t n = omma_tensor_count(&t);
    t.data = calloc((size_t)n + 1, 8);
    assert_non_null(t.data);
    for (int64_t i = 0; i < n; i++) {
        if (p->dtype == OMMA_F32) ((float *)t.data)[i] = (float)(i * 7919 % 1009) / 1009 - 0.5f;
        else ((int64_t *)t.data)[i] = 320;
    }
    return t;
}

/* What a session that watches nothing returns, to the bit (or nearly). */
static void check_outputs(const subject *s, int n, bool to_the_bit) {
    omma_session *plain;
    omma_error err;
    if (omma_session_new(&plain, s->model, NULL, &err) || omma_session_run(plain, s->in, n, &err))
        fail_msg("%s: %s", s->name, err.message);
    for (int i = 0; i < omma_model_output_count(s->model); i++) {
        const omma_tensor *x = omma_session_output(plain, i), *y = omma_sight_output(s->sight, i);
        assert_int_equal(omma_tensor_count(x), omma_tensor_count(y));
        if (to_the_bit &&
            memcmp(x->data, y->data, (size_t)omma_tensor_count(x) * omma_dtype_size(x->dtype)))
            fail_msg("%s: output %d is another when parts are watched", s->name, i);
        for (int64_t k = 0; !to_the_bit && k < omma_tensor_count(x); k++)
            assert_true(fabs(number_of(x, k) - number_of(y, k)) < 1e-5);
    }
    omma_session_free(plain);
}

/* Look at an opened model. */
static void look(subject *s, const int64_t *dims, bool to_the_bit) {
    omma_error err;
    const int n = omma_model_input_count(s->model);
    assert_true(n <= 2);
    for (int i = 0; i < n; i++) s->in[i] = fill(omma_model_input(s->model, i), i ? NULL : dims);
    if (n > 1) s->in[1].dims[0] = 1;
    if (omma_sight_new(&s->sight, s->model, s->in, n, NULL, &err))
        fail_msg("%s: %s", s->name, err.message);
    s->a = omma_sight_anatomy(s->sight);
    check_outputs(s, n, to_the_bit);
    check_parts(s->sight);
}

static subject open_made(const char *name, mk bytes, bool to_the_bit) {
    subject s = {.name = name};
    omma_error err;
    if (mk_open(&s.model, &bytes, NULL, &err)) fail_msg("%s: %s", name, err.message);
    mk_free(&bytes);
    look(&s, NULL, to_the_bit);
    return s;
}

static void close_subject(subject *s) {
    omma_sight_free(s->sight);
    omma_model_free(s->model);
    for (int i = 0; i < 2; i++) free(s->in[i].data);
}

static bool says(const omma_anatomy *a, const char *words) {
    return strstr(a->missing, words) != NULL;
}

/* --- all forms of attention ------------------------------------------------------------------ */

typedef struct form {
    const char *name;
    omma_attention_kind kind;
    int64_t windows, heads, queries, keys; /* windows of one picture */
    int64_t query_count, key_count;
    double factor; /* of q k^T; 0: more is done to it */
    bool row_major, bits;
} form;

static const form forms[] = {
    {"plain", OMMA_ATTENTION_SELF, 1, 2, 16, 16, 16, 16, 0.5, true, true},
    {"folded", OMMA_ATTENTION_SELF, 1, 2, 16, 16, 16, 16, 1, true, true},
    {"einsum", OMMA_ATTENTION_SELF, 1, 2, 16, 16, 16, 16, 1, true, true},
    {"turned", OMMA_ATTENTION_SELF, 1, 2, 16, 16, 16, 16, 0.5, false, true},
    {"masked", OMMA_ATTENTION_SELF, 1, 2, 16, 16, 16, 16, 0, true, true},
    {"heads first", OMMA_ATTENTION_SELF, 1, 2, 16, 16, 16, 16, 1, false, true},
    {"operator", OMMA_ATTENTION_SELF, 1, 2, 16, 16, 16, 16, 1, true, false},
    {"parallel", OMMA_ATTENTION_SELF, 1, 2, 16, 16, 16, 16, 0.5, true, true},
    {"reduced", OMMA_ATTENTION_SELF, 1, 2, 16, 4, 16, 4, 0.5, true, true},
    {"padded", OMMA_ATTENTION_SELF, 4, 2, 9, 9, 16, 16, 0.5, true, true},
};

static void is_form(const form *f, int batch) {
    subject s = open_made(f->name, anatomynet(f->name, batch), f->bits);
    print_message("%s, %d: %s\n", f->name, batch, s.a->missing);
    assert_int_equal(s.a->n_attention, 1);
    const omma_attention *a = &s.a->attention[0];
    assert_int_equal(a->kind, f->kind);
    assert_int_equal(a->batch, batch);
    assert_int_equal(a->windows, batch * f->windows);
    assert_int_equal(a->heads, f->heads);
    assert_int_equal(a->queries, f->queries);
    assert_int_equal(a->keys, f->keys);
    assert_int_equal(a->width, AN_D);
    assert_int_equal(a->mix_width, AN_D);
    assert_int_equal(a->query.count, f->query_count);
    assert_int_equal(a->key.count, f->key_count);
    assert_int_equal(a->query.batch, batch);
    assert_int_equal(a->query.width, AN_C);
    assert_true(a->query.placed && a->key.placed && !a->decoder);
    assert_true(a->addition && a->in && a->addition->in[a->skip] == a->in);
    if (batch > 1 || f->row_major || strcmp(f->name, "heads first"))
        assert_int_equal(omma_attention_row_major(a), f->row_major);
    if (f->factor > 0) check_scores(s.sight, 0, f->factor);
    close_subject(&s);
}

static void all_forms(void **state) {
    (void)state;
    for (int i = 0; i < COUNT(forms); i++)
        for (int batch = 1; batch <= 2; batch++) is_form(&forms[i], batch);
}

/* Where tokens lie, and the feed-forward behind. */
static void places(void **state) {
    (void)state;
    subject s = open_made("plain", anatomynet("plain", 2), true);
    const omma_tokens *t = &s.a->attention[0].query;
    double y, x;
    assert_int_equal(t->special, 0);
    for (int64_t i = 0; i < AN_T; i++) {
        assert_true(omma_tokens_place(t, i, &y, &x));
        assert_true(y == (double)(i / AN_SIDE * 8) + 3.5 && x == (double)(i % AN_SIDE * 8) + 3.5);
    }
    assert_false(omma_tokens_place(t, AN_T, &y, &x) || omma_tokens_place(t, -1, &y, &x));
    assert_int_equal(s.a->n_feed_forward, 1);
    assert_int_equal(s.a->feed_forward[0].after, 0);
    assert_ptr_equal(s.a->feed_forward[0].in, s.a->attention[0].out);
    assert_int_equal(s.a->object_queries, 0);
    close_subject(&s);
}

/* Rows of windows that reach into the padding are no tokens. */
static void padding(void **state) {
    (void)state;
    subject s = open_made("padded", anatomynet("padded", 1), true);
    const omma_attention *a = &s.a->attention[0];
    int none = 0, seen[AN_T] = {0};
    for (int64_t w = 0; w < a->windows; w++)
        for (int64_t q = 0; q < a->queries; q++) {
            const int64_t t = omma_attention_token(a, omma_sight_fov(s.sight), false, w, q);
            assert_true(t < AN_T);
            assert_int_equal(t, omma_attention_token(a, omma_sight_fov(s.sight), true, w, q));
            if (t < 0) none++;
            else seen[t]++;
        }
    assert_int_equal(none, 36 - AN_T);
    for (int t = 0; t < AN_T; t++) assert_int_equal(seen[t], 1);
    close_subject(&s);
}

/* Tokens that stay in their windows have places all the same. */
static void windows(void **state) {
    (void)state;
    for (int batch = 1; batch <= 2; batch++) {
        subject s = open_made("windows", anatomynet("windows", batch), true);
        assert_int_equal(s.a->n_attention, 2);
        for (int k = 0; k < 2; k++) {
            const omma_attention *a = &s.a->attention[k];
            double y, x;
            assert_int_equal(a->windows, 4 * batch);
            assert_int_equal(a->query.count, 16);
            assert_int_equal(a->query.axes, 2);
            assert_true(a->query.placed && a->key.placed && a->query.place);
            for (int64_t t = 0; t < 16; t++) {
                const int64_t row = t / 8 * 2 + t % 4 / 2, column = t / 4 % 2 * 2 + t % 2;
                assert_true(omma_tokens_place(&a->query, t, &y, &x));
                assert_true(y == (double)row * 8 + 3.5 && x == (double)column * 8 + 3.5);
            }
        }
        assert_int_equal(s.a->n_feed_forward, 2);
        close_subject(&s);
    }
}

/* No addition; tokens without places at both ends. */
static void bare(void **state) {
    (void)state;
    for (int batch = 1; batch <= 2; batch++) {
        subject s = open_made("bare", anatomynet("bare", batch), true);
        assert_int_equal(s.a->n_attention, 1);
        const omma_attention *a = &s.a->attention[0];
        assert_null(a->addition);
        assert_int_equal(a->kind, OMMA_ATTENTION_SELF);
        assert_int_equal(a->windows, batch);
        assert_int_equal(a->query.count, 19);
        assert_int_equal(a->query.special, 1);
        assert_int_equal(a->query.behind, 2);
        assert_false(a->decoder);
        assert_true(says(s.a, "No residual addition"));
        close_subject(&s);
    }
}

/* A graph that ends where the data decide is looked at as far as it goes, and run to the end. */
static void cut(void **state) {
    (void)state;
    subject s = open_made("cut", anatomynet("cut", 1), true);
    assert_int_equal(s.a->n_attention, 1);
    assert_int_equal(s.a->n_feed_forward, 1);
    assert_true(says(s.a, "numbers that only a run gives"));
    assert_int_equal(omma_tensor_count(omma_sight_output(s.sight, 0)), 3);
    close_subject(&s);
}

/* What looks like attention among tokens. */
static void no_attention(void **state) {
    (void)state;
    subject s = open_made("channels", anatomynet("channels", 2), true);
    assert_int_equal(s.a->n_attention, 0);
    assert_true(says(s.a, "1 more products around a softmax"));
    close_subject(&s);
    s = open_made("layers", anatomynet("layers", 1), true);
    assert_int_equal(s.a->n_attention, 0);
    assert_true(says(s.a, "no attention") && !says(s.a, "more products"));
    assert_int_equal(s.a->n_feed_forward, 1); /* it mixes no tokens */
    close_subject(&s);
}

static void class_attention(void **state) {
    (void)state;
    subject s = open_made("class", anatomynet("class", 2), true);
    assert_int_equal(s.a->n_attention, 1);
    const omma_attention *a = &s.a->attention[0];
    assert_int_equal(a->kind, OMMA_ATTENTION_CROSS);
    assert_int_equal(a->windows, 2);
    assert_int_equal(a->heads, 2);
    assert_int_equal(a->queries, 1);
    assert_int_equal(a->keys, 17);
    assert_int_equal(a->key.special, 1);
    assert_true(a->key.placed && a->decoder && a->addition);
    close_subject(&s);
}

/* Of two layers' attentions the first one is a constant: learned queries among themselves. */
static void object_queries(void **state) {
    (void)state;
    subject s = open_made("queries", anatomynet("queries", 1), true);
    static const omma_attention_kind kind[] = {OMMA_ATTENTION_CROSS, OMMA_ATTENTION_SELF,
                                               OMMA_ATTENTION_CROSS};
    static const int block[] = {0, 1, 1}, after[] = {0, 2};
    assert_int_equal(s.a->n_attention, 3);
    assert_int_equal(s.a->object_queries, 3);
    for (int k = 0; k < 3; k++) {
        const omma_attention *a = &s.a->attention[k];
        assert_int_equal(a->kind, kind[k]);
        assert_int_equal(a->block, block[k]);
        assert_int_equal(a->query.count, 3);
        assert_int_equal(a->key.count, kind[k] == OMMA_ATTENTION_SELF ? 3 : AN_T);
        assert_int_equal(a->key.placed, kind[k] == OMMA_ATTENTION_CROSS);
        assert_true(a->decoder && a->addition && !a->query.placed);
    }
    assert_int_equal(s.a->n_feed_forward, 2);
    for (int k = 0; k < 2; k++) assert_int_equal(s.a->feed_forward[k].after, after[k]);
    assert_int_equal(s.a->n_answer, 1);
    assert_true(s.a->answer[0].boxes && s.a->answer[0].axis == 1);
    assert_string_equal(s.a->missing, "");
    close_subject(&s);
}

static void chosen_queries(void **state) {
    (void)state;
    for (int batch = 1; batch <= 2; batch++) {
        subject s = open_made("best", anatomynet("best", batch), true);
        assert_int_equal(s.a->n_attention, 1);
        assert_int_equal(s.a->object_queries, 3);
        assert_true(s.a->attention[0].decoder && s.a->attention[0].key.placed);
        assert_int_equal(s.a->attention[0].kind, OMMA_ATTENTION_CROSS);
        assert_int_equal(s.a->attention[0].windows, batch);
        assert_int_equal(s.a->n_answer, 1);
        close_subject(&s);
    }
}

/* --- whole networks -------------------------------------------------------------------------- */

/* Windows of 7x7, rolled in every other block. */
static void swin(void **state) {
    (void)state;
    static const int64_t side[] = {56, 56, 28, 28, 14, 14, 14, 14, 14, 14, 7, 7};
    subject s = open_made("swin_t", fieldnet("swin_t", (net_options){.h = 224, .w = 224}), true);
    assert_int_equal(s.a->n_attention, 12);
    assert_int_equal(s.a->n_feed_forward, 12);
    for (int k = 0; k < 12; k++) {
        const omma_attention *a = &s.a->attention[k];
        const int64_t n = side[k], shift = k % 2 && n > 7 ? 3 : 0, across = n / 7;
        assert_int_equal(a->kind, OMMA_ATTENTION_SELF);
        assert_int_equal(a->heads, SWIN_HEADS);
        assert_int_equal(a->windows, across * across);
        assert_int_equal(a->queries, 49);
        assert_int_equal(a->query.count, n * n);
        assert_int_equal(a->query.axes, 2);
        assert_int_equal(a->block, k);
        assert_true(a->query.placed && a->query.jump_y == 224.0 / (double)n);
        assert_int_equal(s.a->feed_forward[k].after, k);
        for (int64_t w = 0; w < a->windows; w++)
            for (int64_t q = 0; q < 49; q++) {
                const int64_t y = (w / across * 7 + q / 7 + shift) % n,
                              x = (w % across * 7 + q % 7 + shift) % n;
                assert_int_equal(omma_attention_token(a, omma_sight_fov(s.sight), w % 2, w, q),
                                 y * n + x);
            }
    }
    assert_true(s.a->n_map >= 4);
    close_subject(&s);
}

static void no_parts(void **state) {
    (void)state;
    subject s =
        open_made("resnet50", fieldnet("resnet50", (net_options){.h = 224, .w = 224}), true);
    assert_int_equal(s.a->n_attention + s.a->n_feed_forward + s.a->n_sampling + s.a->n_answer, 0);
    assert_int_equal(s.a->object_queries, 0);
    assert_true(s.a->n_map >= 5);
    assert_true(says(s.a, "no attention") && says(s.a, "no feed-forward") &&
                says(s.a, "no object queries"));
    close_subject(&s);
    s = open_made("vit_patches", fieldnet("vit_patches", (net_options){.h = 224, .w = 224}), true);
    assert_int_equal(s.a->n_attention, 0);
    assert_true(s.a->n_map >= 1);
    close_subject(&s);
}

/* --- models that are not in the tree --------------------------------------------------------- */

static bool open_file(subject *s, const char *path, const int64_t *dims) {
    omma_error err;
    struct stat st;
    *s = (subject){.name = path};
    if (stat(path, &st)) {
        print_message("SKIPPED: no %s\n", path);
        return false;
    }
    if (omma_model_open(&s->model, path, NULL, &err)) fail_msg("%s", err.message);
    look(s, dims, true);
    return true;
}

/* Self-attention of queries that were chosen, then sampling; three layers. */
static void deimv2(void **state) {
    (void)state;
    char path[1024];
    subject s;
    shared_path(path, sizeof path, "models/deimv2_atto/deimv2_hgnetv2_atto_coco.onnx");
    if (!open_file(&s, path, (const int64_t[]){1, 3, 320, 320})) return;
    assert_int_equal(s.a->n_attention, 3);
    assert_int_equal(s.a->n_feed_forward, 3);
    assert_int_equal(s.a->n_sampling, 6);
    assert_int_equal(s.a->object_queries, 100);
    for (int k = 0; k < 3; k++) {
        assert_int_equal(s.a->attention[k].kind, OMMA_ATTENTION_SELF);
        assert_int_equal(s.a->attention[k].heads, 8);
        assert_int_equal(s.a->attention[k].query.count, 100);
        assert_true(s.a->attention[k].decoder);
        assert_int_equal(s.a->feed_forward[k].after, k);
    }
    for (int k = 0; k < 6; k++) {
        assert_ptr_equal(s.a->sampling[k].addition, s.a->sampling[k / 2 * 2].addition);
        assert_true(s.a->sampling[k].in && omma_sight_tensor(s.sight, s.a->sampling[k].where));
    }
    assert_int_equal(s.a->n_answer, 2);
    int boxes = 0;
    for (int k = 0; k < 2; k++) {
        const omma_answer *p = &s.a->answer[k];
        boxes += p->boxes;
        assert_int_equal(p->value->dims[p->axis], 100);
        assert_int_equal(p->value->dims[2], p->boxes ? 4 : 80);
        assert_non_null(omma_sight_tensor(s.sight, p->value));
    }
    assert_int_equal(boxes, 1);
    assert_string_equal(s.a->missing, "");
    close_subject(&s);
}

/* A line of text: tokens in one row. */
static void recogniser(void **state) {
    (void)state;
    const char *base = getenv("OMMA_MODELS"), *home = getenv("HOME");
    char path[1024];
    subject s;
    if (base) snprintf(path, sizeof path, "%s/ppocrv4/ch_PP-OCRv4_rec_infer.onnx", base);
    else
        snprintf(path, sizeof path,
                 "%s/.local/share/omma/models/ppocrv4/ch_PP-OCRv4_rec_infer.onnx",
                 home ? home : "");
    if (!open_file(&s, path, (const int64_t[]){1, 3, 48, 320})) return;
    assert_int_equal(s.a->n_attention, 2);
    assert_int_equal(s.a->n_feed_forward, 2);
    for (int k = 0; k < 2; k++) {
        const omma_attention *a = &s.a->attention[k];
        double y, x;
        assert_int_equal(a->kind, OMMA_ATTENTION_SELF);
        assert_int_equal(a->heads, 8);
        assert_int_equal(a->query.count, 40);
        assert_int_equal(a->width, 15);
        assert_true(a->query.placed && !a->decoder && a->query.jump_x == 8);
        assert_true(omma_tokens_place(&a->query, 39, &y, &x) && y == 23.5);
    }
    close_subject(&s);
}

typedef struct export {
    const char *name;
    int attentions, feed_forwards, maps, answers;
    int64_t heads, queries, special;
}
export;

/* DETR's eighteenth attention, the decoder's first, depends on no picture: its exporter has made it
 * a constant. */
static const export exports[] = {
    {"vit_b_16_224", 12, 12, 2, 0, 12, 0, 1},
    {"swin_t_224", 12, 12, 5, 0, 0, 0, 0},
    {"detr_r50_512", 17, 12, 6, 2, 8, 100, 0},
    {"resnet50_224", 0, 0, 5, 0, 0, 0, 0},
};

static void is_export(const export *e, const omma_anatomy *a) {
    assert_int_equal(a->n_attention, e->attentions);
    assert_int_equal(a->n_feed_forward, e->feed_forwards);
    assert_int_equal(a->n_map, e->maps);
    assert_int_equal(a->n_answer, e->answers);
    assert_int_equal(a->object_queries, e->queries);
    for (int k = 0; k < a->n_attention; k++) {
        const omma_attention *p = &a->attention[k];
        assert_true(p->addition && omma_attention_row_major(p));
        if (e->heads) assert_int_equal(p->heads, e->heads);
        else assert_int_equal(p->heads, p->query.width / 32);
        assert_int_equal(p->decoder, e->queries && p->query.count == e->queries);
        assert_int_equal(p->query.special, e->special);
        assert_int_equal(p->query.placed, !p->decoder);
        if (p->query.placed)
            assert_int_equal(p->query.count, p->query.rows.mod * p->query.columns.mod + e->special);
        print_message("  %s: %s%s, %lld windows, %lld heads, %lld of %lld tokens x %lld of %lld\n",
                      p->label, p->kind == OMMA_ATTENTION_SELF ? "self" : "cross",
                      p->decoder ? " of object queries" : "", (long long)p->windows,
                      (long long)p->heads, (long long)p->queries, (long long)p->query.count,
                      (long long)p->keys, (long long)p->key.count);
    }
}

static void real_exports(void **state) {
    (void)state;
    const char *folder = getenv("OMMA_BENCH_MODELS");
    if (!folder || !*folder) {
        print_message("SKIPPED: OMMA_BENCH_MODELS is not set\n");
        return;
    }
    for (int i = 0; i < COUNT(exports); i++) {
        char path[1024];
        subject s;
        snprintf(path, sizeof path, "%s/%s/model.onnx", folder, exports[i].name);
        if (!open_file(&s, path, NULL)) continue;
        print_message("%s: %s\n", exports[i].name, s.a->missing);
        is_export(&exports[i], s.a);
        close_subject(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_forms),      cmocka_unit_test(places),
        cmocka_unit_test(padding),        cmocka_unit_test(windows),
        cmocka_unit_test(bare),           cmocka_unit_test(cut),
        cmocka_unit_test(no_attention),   cmocka_unit_test(class_attention),
        cmocka_unit_test(object_queries), cmocka_unit_test(chosen_queries),
        cmocka_unit_test(swin),           cmocka_unit_test(no_parts),
        cmocka_unit_test(deimv2),         cmocka_unit_test(recogniser),
        cmocka_unit_test(real_exports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

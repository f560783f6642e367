/* test_field_models.c - containment on whole models (fieldprobe.h says of what): DEIMv2-Atto, the
 * detector and the recogniser of PP-OCRv4, and networks of the architectures ResNet-50, Swin-T and
 * ViT with few channels and random weights. Of each, units all over it, mostly such as do not see
 * everything: their gradients, and a thousand times other numbers outside their sets.
 *
 * OMMA_BENCH_MODELS names a folder of exports of the real ones, NAME/model.onnx; without it they
 * are left out. OMMA_SHARED/models/deimv2_atto and `omma pull ppocrv4`: likewise.
 *
 * A map channels last may be convolved by Winograd's way, whose rounding reaches some pixels
 * further than what it computes, so sessions are without that layout here; gradients are as they
 * are. */
#define _DEFAULT_SOURCE
#include "fieldprobe.h"

#include <unistd.h>

#include "fieldnets.h"
#include "guard.h"
#include "model/model.h"
#include "shared.h"
#include "task/known.h"

#ifdef __SANITIZE_ADDRESS__
enum { MOVES = 50 }; /* of sanitizers each takes twenty times as long */
#else
enum { MOVES = 1000 };
#endif

enum { TRIES = 400, PICKS = 2, SEEING = 6, LATE = 2 };

/* A model and its inputs. */
typedef struct subject {
    const char *name;
    omma_model *model;
    omma_tensor in[2];
    int n_in;
    omma_arena arena;
    int moves; /* in all */
    omma_fov *fov;
    const char *unit[SEEING + LATE];
    int n;
} subject;

/* --- units that say something -------------------------------------------------------------- */

/* The share of the picture that a random element of the value sees; -1: nothing leads to it. */
static double share_of(const subject *s, const omma_value *v) {
    int64_t at[OMMA_MAX_RANK];
    const omma_value *found;
    omma_walk w = {0};
    omma_error err;
    double share = -1;
    for (int d = 0; d < v->rank; d++) at[d] = roll(v->dims[d]);
    const omma_value *x =
        omma_graph_find(s->fov->specialised.graph, s->model->graph->inputs[0]->name);
    if (x && !omma_fov_find(&found, s->fov, v->name, &err) &&
        !omma_fov_walk(&w, s->fov, v, at, OMMA_FIELD_STRUCTURAL, true, &err) && w.at[x->index])
        share = (double)omma_set_count(w.at[x->index]) / (double)omma_value_count(x);
    omma_walk_free(&w);
    return share;
}

/* Values whose elements see a part of the picture; and some at the end, whatever they see. */
static void choose(subject *s, int most, bool late) {
    const omma_graph *g = s->fov->specialised.graph;
    for (int t = 0; t < TRIES && s->n < most; t++) {
        const omma_node *n = g->nodes[late ? g->n_nodes - 1 - roll(30) : roll(g->n_nodes)];
        const omma_value *v = n->out[0];
        bool good = v && v->dtype == OMMA_F32 && omma_value_count(v) > 1 &&
                    omma_graph_find(s->model->graph, v->name);
        for (int i = 0; i < s->n && good; i++) good = strcmp(s->unit[i], v->name) != 0;
        const double share = good ? share_of(s, v) : -1;
        if (share < 0 || (share >= 1 && !late)) continue;
        s->unit[s->n++] = v->name;
    }
}

/* --- one model -----------------------------------------------------------------------------------
 */

/* The graph up to these units. */
static omma_graph *cut_to(const subject *s, int from, int to, omma_arena *arena) {
    omma_graph *g = omma_graph_clone(s->model->graph, arena);
    for (int i = 0; i < g->n_outputs; i++) g->outputs[i]->is_output = false;
    g->outputs = omma_arena_array(arena, PROBE_UNITS, sizeof *g->outputs);
    g->n_outputs = 0;
    for (int i = from; i < to; i++) {
        omma_value *v = omma_graph_find(g, s->unit[i]);
        v->is_output = true;
        g->outputs[g->n_outputs++] = v;
    }
    return g;
}

static void probe_units(subject *s, int from, int to, int moves) {
    omma_arena arena;
    omma_arena_init(&arena, NULL);
    probe p = {.g = cut_to(s, from, to, &arena), .what = s->name, .in = s->in, .n_in = s->n_in};
    p.unit = s->unit + from, p.n = to - from;
    if (probe_open(&p)) fail_msg("%s: %s", s->name, p.err.message);
    if (!p.gradient) fail_msg("%s: %s", s->name, p.no_gradient);
    setenv("OMMA_PASSES", "-layout", 1); /* other numbers, another session */
    omma_session_free(p.session);
    if (probe_run(&p)) fail_msg("%s: %s", s->name, p.err.message);
    const probe_how how = {
        .trials = moves / (p.n * PICKS) + 1, .steers = true, .calm = true, .pairs = 2};
    const long before = probe_seen.moves;
    for (int i = 0; i < p.n * PICKS || probe_seen.moves < before + moves; i++) {
        int64_t at[OMMA_MAX_RANK];
        probe_pick(&p, i % p.n, at);
        probe_unit(&p, i % p.n, at, &how);
    }
    unsetenv("OMMA_PASSES");
    probe_close(&p);
    omma_arena_free(&arena);
}

static void probe_model(subject *s) {
    omma_error err;
    memset(&probe_seen, 0, sizeof probe_seen);
    if (omma_fov_on_graph(&s->fov, s->model->graph, s->name, s->in, NULL, &err))
        fail_msg("%s", err.message);
    choose(s, SEEING, false);
    const int seeing = s->n;
    choose(s, seeing + LATE, true);
    if (seeing < 3 || s->n == seeing) fail_msg("%s: %d units", s->name, s->n);
    probe_units(s, 0, seeing, s->moves);
    probe_units(s, seeing, s->n, 0);
    print_message("%s, %d nodes: ", s->name, s->fov->specialised.graph->n_nodes);
    omma_fov_free(s->fov);
    probe_report();
}

static void add_picture(subject *s, int64_t h, int64_t w) {
    omma_tensor *t = &s->in[s->n_in++];
    *t = (omma_tensor){OMMA_F32, 4, {1, 3, h, w}, NULL};
    const int64_t n = omma_tensor_count(t);
    float *x = t->data = omma_arena_array(&s->arena, (size_t)n, sizeof *x);
    for (int64_t i = 0; i < n; i++) x[i] = (float)real(-1, 1);
}

static subject begin(const char *name, int moves) {
    subject s = {.name = name, .moves = rounds(moves)};
    omma_arena_init(&s.arena, NULL);
    dice_seed = 1;
    return s;
}

static void end(subject *s) {
    probe_model(s);
    omma_model_free(s->model);
    omma_arena_free(&s->arena);
}

static void from_file(const char *name, const char *path, int64_t h, int64_t w, int moves) {
    omma_error err;
    subject s = begin(name, moves);
    if (omma_model_open(&s.model, path, NULL, &err)) fail_msg("%s", err.message);
    add_picture(&s, h, w);
    if (s.model->graph->n_inputs > 1) { /* DEIMv2's: the size of the picture */
        static int64_t size[2] = {320, 320};
        s.in[s.n_in++] = (omma_tensor){OMMA_I64, 2, {1, 2}, size};
    }
    end(&s);
}

/* --- trained models ------------------------------------------------------------------------------
 */

static void deimv2(void **state) {
    (void)state;
    char path[1024];
    if (!shared_path(path, sizeof path, "models/deimv2_atto/deimv2_hgnetv2_atto_coco.onnx")) {
        print_message("SKIPPED: no %s\n", path);
        skip();
    }
    from_file("DEIMv2-Atto", path, 320, 320, MOVES);
}

static void ppocr(const char *role, int64_t h, int64_t w) {
    char path[OMMA_KNOWN_PATH];
    const omma_known *k = omma_known_find("ppocrv4");
    if (!k || omma_known_path(path, sizeof path, k, role, NULL) || access(path, R_OK)) {
        print_message("SKIPPED: ppocrv4 is not installed (omma pull ppocrv4)\n");
        skip();
    }
    from_file(role, path, h, w, MOVES);
}

static void ppocr_detector(void **state) {
    (void)state;
    ppocr("detector", 160, 192);
}
static void ppocr_recogniser(void **state) {
    (void)state;
    ppocr("recogniser", 48, 160);
}

static void exports(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int side, moves;
    } all[] = {{"resnet50_224", 224, MOVES},
               {"vit_b_16_224", 224, MOVES},
               {"swin_t_224", 224, MOVES},
               {"detr_r50_512", 512, MOVES / 10}};
    const char *folder = getenv("OMMA_BENCH_MODELS");
    char path[1024];
    if (!folder || !*folder) {
        print_message("SKIPPED: OMMA_BENCH_MODELS is not set\n");
        skip();
    }
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        snprintf(path, sizeof path, "%s/%s/model.onnx", folder, all[i].name);
        if (access(path, R_OK)) print_message("SKIPPED: no %s\n", path);
        else from_file(all[i].name, path, all[i].side, all[i].side, all[i].moves);
    }
}

/* --- architectures
 * ---------------------------------------------------------------------------------- */

/* Random weights in the place of those that are all alike, each node's its own. */
static void fill(subject *s) {
    omma_graph *g = s->model->graph;
    for (int i = 0; i < g->n_nodes; i++) {
        const omma_node *n = g->nodes[i];
        const bool product = !strcmp(n->op->name, "Conv") || !strcmp(n->op->name, "MatMul");
        const omma_value *w = product ? n->in[1] : NULL;
        if (!w || !w->data || w->dtype != OMMA_F32) continue;
        const int64_t count = omma_value_count(w), outs = w->dims[n->op->name[0] == 'C' ? 0 : 1];
        const double scale = 1.7 / sqrt((double)count / (double)outs);
        float *x = omma_arena_array(&s->arena, (size_t)count, sizeof *x);
        for (int64_t k = 0; k < count; k++) x[k] = (float)real(-scale, scale);
        n->in[1] = omma_graph_constant(g, omma_arena_printf(&s->arena, "weight%d", i), OMMA_F32,
                                       w->rank, w->dims, x);
    }
}

static void from_net(const char *name, void (*make)(net *n, net_map x), int width, int side) {
    static net n;
    omma_error err;
    subject s = begin(name, MOVES);
    const net_map x = net_begin(&n, (net_options){.h = side, .w = side}, 3);
    n.width = width;
    make(&n, x);
    mk bytes = net_end(&n);
    if (mk_open(&s.model, &bytes, NULL, &err)) fail_msg("%s: %s", name, err.message);
    mk_free(&bytes);
    fill(&s);
    add_picture(&s, side, side);
    end(&s);
}

static void resnet(void **state) {
    (void)state;
    from_net("ResNet-50", torch_resnet50, 8, 160);
}

static void swin(void **state) {
    (void)state;
    from_net("Swin-T", swin_t, SWIN_CHANNELS, 224);
}

/* [N,T,C] of two heads. */
static net_map vit_attend(net *n, net_map x, int64_t tokens) {
    const int64_t c = x.c, heads[] = {1, tokens, 2, c / 2}, all[] = {1, tokens, c};
    net_map part[3];
    for (int i = 0; i < 3; i++)
        part[i] =
            net_transpose(n, net_reshape(n, net_linear(n, x, (int)c), 4, heads), 4,
                          i == 1 ? (const int64_t[]){0, 2, 3, 1} : (const int64_t[]){0, 2, 1, 3});
    net_map y = net_pair(n, "MatMul", part[0], part[1].name);
    y = net_pair(n, "Mul", y, net_scalar(n, "scale", 0.5f));
    mk attrs = {0};
    mk_attr_int(&attrs, "axis", -1);
    y = net_pair(n, "MatMul", net_node(n, "Softmax", y.name, (int)tokens, &attrs), part[2].name);
    y = net_transpose(n, y, 4, (const int64_t[]){0, 2, 1, 3});
    y.c = (int)c;
    return net_linear(n, net_reshape(n, y, 3, all), (int)c);
}

/* Patches, a class token, two blocks; and in front of them all, so that not only the first layers
 * see less than everything, a convolution of the patches. */
static void small_vit(net *n, net_map x) {
    const int64_t side = n->o.h / 16, tokens = side * side + 1;
    x = net_chain(n, x, "l16p0/16 3p1");
    x = net_reshape(n, x, 3, (const int64_t[]){1, x.c, side * side});
    x = net_transpose(n, x, 3, (const int64_t[]){0, 2, 1});
    const char *cls = net_fill(n, "cls", 0.5f, true, 3, (const int64_t[]){1, 1, x.c});
    mk attrs = {0};
    mk_attr_int(&attrs, "axis", 1);
    x = net_node(n, "Concat", net_text("%s,%s", cls, x.name), x.c, &attrs);
    x = net_pair(n, "Add", x, net_fill(n, "pos", 0.1f, true, 3, (const int64_t[]){1, tokens, x.c}));
    for (int i = 0; i < 2; i++) {
        x = net_add(n, x, vit_attend(n, net_layer_norm(n, x), tokens));
        net_map y = net_gelu(n, net_linear(n, net_layer_norm(n, x), 4 * x.c));
        x = net_add(n, x, net_linear(n, y, x.c));
    }
    net_keep(n, net_layer_norm(n, x), "tokens");
}

static void vit(void **state) {
    (void)state;
    from_net("ViT", small_vit, 8, 112);
}

int main(void) {
    unsetenv("OMMA_PASSES");
    const struct CMUnitTest tests[] = {cmocka_unit_test(resnet),
                                       cmocka_unit_test(swin),
                                       cmocka_unit_test(vit),
                                       cmocka_unit_test(deimv2),
                                       cmocka_unit_test(ppocr_detector),
                                       cmocka_unit_test(ppocr_recogniser),
                                       cmocka_unit_test(exports)};
    cmocka_set_test_filter(getenv("OMMA_TEST_FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}

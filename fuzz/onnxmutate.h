/* onnxmutate.h - changes to ONNX files that keep them files: a message anywhere inside is
 * changed and the lengths around it are written anew. Names become names the model has,
 * operators become operators omma has, attributes appear. Bytes changed at random would only
 * ever test the reader of lengths.
 *
 * For libFuzzer, so only there when OMMA_FUZZ is defined. One change in four is libFuzzer's
 * own, on the bare bytes. */
#ifndef OMMA_FUZZ_ONNXMUTATE_H
#define OMMA_FUZZ_ONNXMUTATE_H
#ifdef OMMA_FUZZ

#include "fuzz.h"
#include "op/op.h"
#include "onnxmake.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
                                 uint8_t *out, size_t max, unsigned seed);

/* --- messages ------------------------------------------------------------------------ */

typedef enum kind {
    PLAIN,
    MODEL,
    GRAPH,
    NODE,
    ATTR,
    TENSOR,
    INFO,
    TYPE,
    TENSOR_TYPE,
    SHAPE,
    DIM,
    OPSET,
    FUNCTION,
    SPARSE,
    ENTRY,
    OF_TYPE
} kind;

static const struct {
    kind in;
    uint32_t field;
    kind is;
} schema[] = {
    {MODEL, 7, GRAPH},    {MODEL, 8, OPSET},       {MODEL, 14, ENTRY},  {MODEL, 25, FUNCTION},
    {GRAPH, 1, NODE},     {GRAPH, 5, TENSOR},      {GRAPH, 11, INFO},   {GRAPH, 12, INFO},
    {GRAPH, 13, INFO},    {GRAPH, 15, SPARSE},     {NODE, 5, ATTR},     {ATTR, 5, TENSOR},
    {ATTR, 6, GRAPH},     {ATTR, 10, TENSOR},      {ATTR, 11, GRAPH},   {ATTR, 22, SPARSE},
    {INFO, 2, TYPE},      {TYPE, 1, TENSOR_TYPE},  {TYPE, 4, OF_TYPE},  {TYPE, 9, OF_TYPE},
    {OF_TYPE, 1, TYPE},   {TENSOR_TYPE, 2, SHAPE}, {SHAPE, 1, DIM},     {FUNCTION, 7, NODE},
    {FUNCTION, 9, OPSET}, {FUNCTION, 11, ATTR},    {SPARSE, 1, TENSOR}, {SPARSE, 2, TENSOR},
    {TENSOR, 13, ENTRY}};

typedef struct piece { /* a field of a message */
    uint32_t number;
    unsigned wire;
    const uint8_t *at, *data; /* where it begins; what a field of bytes holds */
    size_t size, whole;       /* of data; of all of it */
    uint64_t value;
} piece;

enum { PIECES = 2048, NAMES = 256, DEPTH = 24 };

static uint32_t mutate_state;

static uint32_t mutate_rnd(uint32_t n) {
    mutate_state = mutate_state * 1664525u + 1013904223u;
    return n ? (mutate_state >> 7) % n : 0;
}

static kind kind_of(kind in, const piece *p) {
    for (size_t i = 0; i < sizeof schema / sizeof *schema && p->wire == 2; i++)
        if (schema[i].in == in && schema[i].field == p->number) return schema[i].is;
    return PLAIN;
}

static bool get_varint(const uint8_t **p, const uint8_t *end, uint64_t *v) {
    *v = 0;
    for (unsigned shift = 0; *p < end && shift < 64; shift += 7) {
        uint8_t c = *(*p)++;
        *v |= (uint64_t)(c & 127) << shift;
        if (c < 128) return true;
    }
    return false;
}

static bool get_piece(const uint8_t **p, const uint8_t *end, piece *out) {
    uint64_t key, len = 0;
    *out = (piece){.at = *p};
    if (!get_varint(p, end, &key) || key >> 35) return false;
    out->number = (uint32_t)(key >> 3), out->wire = key & 7;
    if (out->wire == 0 && !get_varint(p, end, &out->value)) return false;
    if (out->wire == 1) len = 8;
    else if (out->wire == 5) len = 4;
    else if (out->wire == 2 && !get_varint(p, end, &len)) return false;
    else if (out->wire > 5 || out->wire == 3 || out->wire == 4) return false;
    if (len > (size_t)(end - *p)) return false;
    out->data = *p, out->size = (size_t)len;
    *p += len;
    out->whole = (size_t)(*p - out->at);
    return true;
}

/* The fields of a message; 0 when it is none, or too large. */
static int get_pieces(const uint8_t *data, size_t size, piece *out) {
    const uint8_t *p = data, *end = data + size;
    int n = 0;
    while (p < end)
        if (n == PIECES || !get_piece(&p, end, &out[n++])) return 0;
    return n;
}

/* --- names ---------------------------------------------------------------------------- */

typedef struct names {
    piece of[NAMES];
    int n;
} names;

/* The names of values: what nodes read and write, initializers, inputs. */
static void find_names(names *x, kind k, const uint8_t *data, size_t size, int depth) {
    const uint8_t *p = data, *end = data + size;
    piece f;
    while (p < end && x->n < NAMES && get_piece(&p, end, &f)) {
        bool named = (k == NODE && f.number <= 2) || (k == TENSOR && f.number == 8) ||
                     (k == INFO && f.number == 1);
        kind inner = kind_of(k, &f);
        if (named && f.wire == 2) x->of[x->n++] = f;
        else if (inner && depth < DEPTH) find_names(x, inner, f.data, f.size, depth + 1);
    }
}

static const char *const attr_names[] = {"axis",
                                         "axes",
                                         "perm",
                                         "pads",
                                         "strides",
                                         "dilations",
                                         "group",
                                         "kernel_shape",
                                         "auto_pad",
                                         "keepdims",
                                         "epsilon",
                                         "alpha",
                                         "beta",
                                         "transA",
                                         "transB",
                                         "to",
                                         "mode",
                                         "ceil_mode",
                                         "blocksize",
                                         "num_heads",
                                         "largest",
                                         "sorted",
                                         "value",
                                         "output_shape",
                                         "output_padding",
                                         "split",
                                         "num_outputs",
                                         "batch_dims",
                                         "equation",
                                         "reduction",
                                         "direction",
                                         "hidden_size",
                                         "layout",
                                         "num_groups",
                                         "allowzero",
                                         "start",
                                         "end",
                                         "starts",
                                         "ends",
                                         "count_include_pad",
                                         "exclusive",
                                         "reverse",
                                         "upper",
                                         "align_corners",
                                         "block_size",
                                         "noop_with_empty_axes",
                                         "coordinate_transformation_mode",
                                         "nearest_mode",
                                         "spatial_scale",
                                         "sampling_ratio",
                                         "body",
                                         "then_branch",
                                         "else_branch",
                                         "repeats",
                                         "shape",
                                         "detect_positive",
                                         "k"};

static const char *const words[] = {"NOTSET",
                                    "SAME_UPPER",
                                    "SAME_LOWER",
                                    "VALID",
                                    "linear",
                                    "nearest",
                                    "cubic",
                                    "reflect",
                                    "edge",
                                    "wrap",
                                    "constant",
                                    "add",
                                    "mul",
                                    "max",
                                    "reverse",
                                    "bidirectional",
                                    "ij,jk->ik",
                                    "bhij,bhjk->bhik",
                                    "half_pixel",
                                    "asymmetric",
                                    "align_corners",
                                    "tf_crop_and_resize",
                                    "DCR"};

static int64_t interesting(void) {
    static const int64_t v[] = {0,
                                1,
                                2,
                                3,
                                4,
                                5,
                                6,
                                7,
                                8,
                                10,
                                16,
                                -1,
                                -2,
                                -3,
                                -8,
                                17,
                                64,
                                255,
                                256,
                                1 << 16,
                                INT32_MAX,
                                INT32_MIN,
                                (int64_t)1 << 32,
                                INT64_MAX,
                                INT64_MIN};
    return v[mutate_rnd(mutate_rnd(4) ? 14 : sizeof v / sizeof *v)];
}

/* --- one change ------------------------------------------------------------------------- */

static void put_key(mk *out, const piece *f) { mk_key(out, f->number, f->wire); }

static void put_text(mk *out, const piece *f, const char *s) { mk_str(out, f->number, s); }

static void put_attr(mk *out) {
    mk list = {0};
    const char *name = attr_names[mutate_rnd(sizeof attr_names / sizeof *attr_names)];
    int64_t v[8];
    int n = (int)mutate_rnd(8);
    for (int i = 0; i < 8; i++) v[i] = interesting();
    switch (mutate_rnd(4)) {
    case 0: mk_attr_int(&list, name, v[0]); break;
    case 1: mk_attr_ints(&list, name, v, n); break;
    case 2: mk_attr_float(&list, name, (float)v[0] / 4); break;
    default: mk_attr_str(&list, name, words[mutate_rnd(sizeof words / sizeof *words)]);
    }
    mk_put(out, list.data, list.size);
    mk_free(&list);
}

/* Bytes changed by libFuzzer, in a field of their own. */
static void put_mutated(mk *out, const piece *f) {
    size_t room = f->size + 16;
    uint8_t *copy = malloc(room);
    FUZZ_CHECK(copy, "no memory");
    memcpy(copy, f->data, f->size);
    size_t n = LLVMFuzzerMutate(copy, f->size, f->wire == 2 ? room : f->size);
    if (f->wire == 2) mk_bytes(out, f->number, copy, n);
    else put_key(out, f), mk_put(out, copy, f->size);
    free(copy);
}

/* A text that means something where it stands; false when none does. */
static bool put_sense(mk *out, kind k, const piece *f, const names *known) {
    if (f->wire != 2) return false;
    bool value = (k == NODE && f->number <= 2) || (k == INFO && f->number == 1) ||
                 (k == TENSOR && f->number == 8);
    if (value && known->n) {
        const piece *p = &known->of[mutate_rnd((uint32_t)known->n)];
        mk_bytes(out, f->number, p->data, p->size);
    } else if (k == NODE && f->number == 4) {
        int count;
        const omma_op *const *ops = omma_op_all(&count);
        put_text(out, f, ops[mutate_rnd((uint32_t)count)]->name);
    } else if (k == ATTR && f->number == 1)
        put_text(out, f, attr_names[mutate_rnd(sizeof attr_names / sizeof *attr_names)]);
    else if (k == ATTR && f->number == 4)
        put_text(out, f, words[mutate_rnd(sizeof words / sizeof *words)]);
    else return false;
    return true;
}

static void put_changed(mk *out, kind k, const piece *f, const names *known) {
    if (mutate_rnd(3) && put_sense(out, k, f, known)) return;
    if (f->wire == 0)
        mk_int(out, f->number,
               mutate_rnd(4) ? interesting() : (int64_t)(f->value + mutate_rnd(3) - 1));
    else if (f->size) put_mutated(out, f);
    else mk_put(out, f->at, f->whole);
}

static void put_whole(mk *out, const piece *f) { mk_put(out, f->at, f->whole); }

static void change(mk *out, kind k, const uint8_t *data, size_t size, const names *known,
                   int depth);

/* Field i, changed somehow; other is another field of the message. */
static void change_at(mk *out, kind k, const piece *f, const piece *other, const names *known,
                      int depth) {
    kind inner = kind_of(k, f);
    if (inner && depth < DEPTH && mutate_rnd(8)) {
        mk sub = {0};
        change(&sub, inner, f->data, f->size, known, depth + 1);
        mk_sub(out, f->number, &sub);
        return;
    }
    switch (mutate_rnd(inner ? 4 : 10)) {
    case 0: break; /* gone */
    case 1: put_whole(out, f), put_whole(out, f); break;
    case 2: put_whole(out, other), put_whole(out, f); break;
    case 3: put_whole(out, other); break;
    default: put_changed(out, k, f, known);
    }
}

static void change(mk *out, kind k, const uint8_t *data, size_t size, const names *known,
                   int depth) {
    piece *f = malloc(PIECES * sizeof *f);
    FUZZ_CHECK(f, "no memory");
    int n = get_pieces(data, size, f), at = n ? (int)mutate_rnd((uint32_t)n) : -1;
    for (int t = 0; t < 3 && n && k == MODEL && f[at].number != 7; t++)
        at = (int)mutate_rnd((uint32_t)n); /* most of a model is its graph */
    for (int i = 0; i < n; i++)
        if (i != at) put_whole(out, &f[i]);
        else change_at(out, k, &f[i], &f[mutate_rnd((uint32_t)n)], known, depth);
    if (!n) mk_put(out, data, size);
    if (k == NODE && mutate_rnd(8) == 0) put_attr(out);
    free(f);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed) {
    mutate_state = seed;
    if (!mutate_rnd(4) || !size) return LLVMFuzzerMutate(data, size, max);
    names *known = calloc(1, sizeof *known);
    FUZZ_CHECK(known, "no memory");
    find_names(known, MODEL, data, size, 0);
    mk out = {0};
    change(&out, MODEL, data, size, known, 0);
    free(known);
    if (out.size && out.size <= max) memcpy(data, out.data, size = out.size);
    mk_free(&out);
    return size;
}

/* A part of b's graph put into a's. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
                                 uint8_t *out, size_t max, unsigned seed) {
    static piece pa[PIECES], pb[PIECES], part[PIECES];
    mutate_state = seed;
    int na = get_pieces(a, a_size, pa), nb = get_pieces(b, b_size, pb), np = 0;
    for (int i = 0; i < nb; i++)
        if (pb[i].number == 7 && pb[i].wire == 2) np = get_pieces(pb[i].data, pb[i].size, part);
    mk to = {0};
    for (int i = 0; i < na; i++) {
        if (pa[i].number != 7 || pa[i].wire != 2 || !np) {
            put_whole(&to, &pa[i]);
            continue;
        }
        mk graph = {0};
        size_t cut = mutate_rnd(2) ? pa[i].size : 0;
        mk_put(&graph, pa[i].data, cut);
        for (int k = (int)mutate_rnd(4); k >= 0; k--)
            put_whole(&graph, &part[mutate_rnd((uint32_t)np)]);
        mk_put(&graph, pa[i].data + cut, pa[i].size - cut);
        mk_sub(&to, 7, &graph);
    }
    size_t size = to.size <= max ? to.size : 0;
    if (size) memcpy(out, to.data, size);
    mk_free(&to);
    return size;
}

#endif
#endif

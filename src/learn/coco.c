/* coco.c - COCO's files into arrays. Annotations may come before the images they name, so
 * their ids are kept until the whole file is read, then turned into indices and grouped
 * by image with a counting sort, which keeps the file's order. */
#include "learn/coco.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "file/bytes.h"

_Static_assert(sizeof(omma_coco_box) == 64, "a box of the ground truth takes one cache line");

/* --- a growing array ---------------------------------------------------------- */

typedef struct list {
    omma_arena *arena;
    void *items;
    size_t count, capacity, size; /* of one item [bytes] */
} list;

/* A zeroed item at the end; *out receives it. Old arrays stay in the arena: together they
 * are no larger than the last. */
static omma_status list_add(list *l, void **out, omma_error *err) {
    if (l->count == l->capacity) {
        size_t capacity = l->capacity ? 2 * l->capacity : 256;
        void *items = omma_arena_array(l->arena, capacity, l->size);
        if (!items) return omma_fail(err, OMMA_E_NOMEM, "no memory for %zu records", capacity);
        if (l->count) memcpy(items, l->items, l->count * l->size);
        l->items = items;
        l->capacity = capacity;
    }
    *out = (char *)l->items + l->count++ * l->size;
    return OMMA_OK;
}

/* A copy of the right size in another arena. */
static omma_status list_settle(const list *l, omma_arena *arena, void **out, omma_error *err) {
    *out = omma_arena_array(arena, l->count, l->size);
    if (!*out) return omma_fail(err, OMMA_E_NOMEM, "no memory for %zu records", l->count);
    if (l->count) memcpy(*out, l->items, l->count * l->size);
    return OMMA_OK;
}

/* --- fields of a record ------------------------------------------------------- */

/* A record being read. */
typedef struct record {
    const omma_json *value;
    const omma_json_place *place;
    omma_error *err;
} record;

static omma_status fault(const record *r, const char *what, const char *name, const char *want) {
    const omma_json_place *p = r->place;
    bool inner = p->array[0];
    return omma_fail_at(r->err, OMMA_E_FORMAT, p->file, p->offset,
                        "element %lld%s%s%s: '%s' %s%s%s", (long long)p->index,
                        inner ? " of '" : "", p->array, inner ? "'" : "", name, what,
                        want ? "; wanted " : "", want ? want : "");
}

static omma_status wrong_kind(const record *r, const char *name, const char *want) {
    omma_json_kind kind = omma_json_type(omma_json_get(r->value, name));
    if (kind == OMMA_JSON_NONE) return fault(r, "is not there", name, want);
    char what[40];
    snprintf(what, sizeof what, "is %s", omma_json_kind_name(kind));
    return fault(r, what, name, want);
}

static omma_status get_int(const record *r, int64_t *out, const char *name) {
    if (omma_json_as_int(omma_json_get(r->value, name), out)) return OMMA_OK;
    return wrong_kind(r, name, "an integer");
}

static omma_status get_double(const record *r, double *out, const char *name) {
    if (omma_json_as_double(omma_json_get(r->value, name), out)) return OMMA_OK;
    return wrong_kind(r, name, "a number");
}

static omma_status get_bbox(const record *r, double *bbox) {
    const omma_json *v = omma_json_get(r->value, "bbox");
    const char *want = "[x, y, width, height] (only boxes are read, no masks)";
    if (omma_json_type(v) != OMMA_JSON_ARRAY) return wrong_kind(r, "bbox", want);
    if (omma_json_count(v) != 4) return fault(r, "has not 4 elements", "bbox", want);
    for (size_t i = 0; i < 4; i++)
        if (!omma_json_as_double(omma_json_at(v, i), &bbox[i]))
            return fault(r, "holds something else than numbers", "bbox", want);
    return OMMA_OK;
}

/* 0, 1, true, false or not there. */
static omma_status get_flag(const record *r, bool *out, const char *name) {
    const omma_json *v = omma_json_get(r->value, name);
    int64_t i;
    *out = false;
    if (!v || omma_json_as_bool(v, out)) return OMMA_OK;
    if (!omma_json_as_int(v, &i)) return wrong_kind(r, name, "0 or 1");
    *out = i != 0;
    return OMMA_OK;
}

/* A text or not there. */
static omma_status get_text(const record *r, const char **out, const char *name,
                            omma_arena *arena) {
    const omma_json *v = omma_json_get(r->value, name);
    *out = "";
    if (!v) return OMMA_OK;
    const char *text = omma_json_as_text(v);
    if (!text) return wrong_kind(r, name, "a text");
    *out = omma_arena_strndup(arena, text, strlen(text));
    return *out ? OMMA_OK : omma_fail(r->err, OMMA_E_NOMEM, "no memory for names");
}

/* A side in pixels or not there. */
static omma_status get_side(const record *r, int32_t *out, const char *name) {
    int64_t v = 0;
    if (omma_json_get(r->value, name)) OMMA_TRY(get_int(r, &v, name));
    if (v < 0 || v > INT32_MAX) return fault(r, "is out of range", name, "0 to 2147483647");
    *out = (int32_t)v;
    return OMMA_OK;
}

static omma_status is_object(const record *r) {
    if (omma_json_type(r->value) == OMMA_JSON_OBJECT) return OMMA_OK;
    const omma_json_place *p = r->place;
    return omma_fail_at(r->err, OMMA_E_FORMAT, p->file, p->offset,
                        "element %lld is %s, not an object", (long long)p->index,
                        omma_json_kind_name(omma_json_type(r->value)));
}

/* --- reading a data set ------------------------------------------------------- */

/* A box whose ids are not looked up yet. */
typedef struct raw {
    omma_coco_box box;
    int64_t image_id, category_id;
} raw;

typedef struct reader {
    omma_coco *out;
    list images, categories, raws;
    const char *file;
    omma_error *err;
} reader;

static omma_status on_image(void *user, const omma_json *value, const omma_json_place *place,
                            omma_error *err) {
    reader *rd = user;
    record r = {value, place, err};
    void *item;
    OMMA_TRY(is_object(&r));
    OMMA_TRY(list_add(&rd->images, &item, err));
    omma_coco_image *m = item;
    m->offset = place->offset;
    OMMA_TRY(get_int(&r, &m->id, "id"));
    OMMA_TRY(get_side(&r, &m->width, "width"));
    OMMA_TRY(get_side(&r, &m->height, "height"));
    return get_text(&r, &m->file_name, "file_name", &rd->out->arena);
}

static omma_status on_category(void *user, const omma_json *value, const omma_json_place *place,
                               omma_error *err) {
    reader *rd = user;
    record r = {value, place, err};
    void *item;
    OMMA_TRY(is_object(&r));
    OMMA_TRY(list_add(&rd->categories, &item, err));
    omma_coco_category *c = item;
    c->offset = place->offset;
    OMMA_TRY(get_int(&r, &c->id, "id"));
    return get_text(&r, &c->name, "name", &rd->out->arena);
}

static omma_status on_annotation(void *user, const omma_json *value, const omma_json_place *place,
                                 omma_error *err) {
    reader *rd = user;
    record r = {value, place, err};
    void *item;
    OMMA_TRY(is_object(&r));
    OMMA_TRY(list_add(&rd->raws, &item, err));
    raw *a = item;
    a->box.offset = place->offset;
    OMMA_TRY(get_int(&r, &a->box.id, "id"));
    OMMA_TRY(get_int(&r, &a->image_id, "image_id"));
    OMMA_TRY(get_int(&r, &a->category_id, "category_id"));
    OMMA_TRY(get_bbox(&r, a->box.bbox));
    OMMA_TRY(get_double(&r, &a->box.area, "area"));
    return get_flag(&r, &a->box.crowd, "iscrowd");
}

static omma_status walk(reader *rd, const void *data, size_t size) {
    static const char *const of_image[] = {"id", "file_name", "width", "height", NULL};
    static const char *const of_category[] = {"id", "name", NULL};
    static const char *const of_box[] = {"id",   "image_id", "category_id", "bbox",
                                         "area", "iscrowd",  NULL};
    omma_json_array arrays[] = {{"images", of_image, on_image, rd, false},
                                {"categories", of_category, on_category, rd, false},
                                {"annotations", of_box, on_annotation, rd, false}};
    OMMA_TRY(omma_json_stream(arrays, 3, data, size, rd->file, rd->err));
    for (int i = 0; i < 3; i++)
        if (!arrays[i].found)
            return omma_fail_at(rd->err, OMMA_E_FORMAT, rd->file, -1,
                                "no '%s': a COCO annotation file has 'images', 'categories' and "
                                "'annotations'",
                                arrays[i].name);
    return OMMA_OK;
}

static omma_status twice(const reader *rd, const char *what, int64_t id, int64_t first,
                         int64_t second) {
    return omma_fail_at(rd->err, OMMA_E_FORMAT, rd->file, first < second ? second : first,
                        "%s %lld is there twice, first at byte %lld", what, (long long)id,
                        (long long)(first < second ? first : second));
}

/* Images, categories and the keys below begin with their id, which is what they are
 * sorted and found by. */
static int by_id(const void *a, const void *b) {
    int64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}
_Static_assert(offsetof(omma_coco_image, id) == 0, "by_id");
_Static_assert(offsetof(omma_coco_category, id) == 0, "by_id");

static omma_status settle_images(reader *rd) {
    omma_coco *c = rd->out;
    void *items;
    if (rd->images.count > INT32_MAX)
        return omma_fail_at(rd->err, OMMA_E_RANGE, rd->file, -1, "more than 2^31 - 1 images");
    OMMA_TRY(list_settle(&rd->images, &c->arena, &items, rd->err));
    c->images = items;
    c->n_images = (int64_t)rd->images.count;
    qsort(c->images, rd->images.count, sizeof *c->images, by_id);
    for (int64_t i = 1; i < c->n_images; i++) {
        const omma_coco_image *p = &c->images[i - 1], *q = &c->images[i];
        if (p->id == q->id) return twice(rd, "image", q->id, p->offset, q->offset);
    }
    return OMMA_OK;
}

static omma_status settle_categories(reader *rd) {
    omma_coco *c = rd->out;
    void *items;
    if (rd->categories.count > UINT16_MAX)
        return omma_fail_at(rd->err, OMMA_E_RANGE, rd->file, -1, "more than 65535 categories");
    OMMA_TRY(list_settle(&rd->categories, &c->arena, &items, rd->err));
    c->categories = items;
    c->n_categories = (int64_t)rd->categories.count;
    qsort(c->categories, rd->categories.count, sizeof *c->categories, by_id);
    for (int64_t i = 1; i < c->n_categories; i++) {
        const omma_coco_category *p = &c->categories[i - 1], *q = &c->categories[i];
        if (p->id == q->id) return twice(rd, "category", q->id, p->offset, q->offset);
    }
    return OMMA_OK;
}

static int64_t find(const void *items, int64_t count, size_t size, int64_t id) {
    if (!count) return -1;
    const char *p = bsearch(&id, items, (size_t)count, size, by_id);
    return p ? (int64_t)((size_t)(p - (const char *)items) / size) : -1;
}

int64_t omma_coco_find_image(const omma_coco *c, int64_t id) {
    return find(c->images, c->n_images, sizeof *c->images, id);
}

int64_t omma_coco_find_category(const omma_coco *c, int64_t id) {
    return find(c->categories, c->n_categories, sizeof *c->categories, id);
}

/* Turn ids into indices and count the boxes of each image. */
static omma_status look_up(const reader *rd) {
    raw *raws = rd->raws.items;
    for (size_t i = 0; i < rd->raws.count; i++) {
        omma_coco_box *b = &raws[i].box;
        int64_t image = omma_coco_find_image(rd->out, raws[i].image_id);
        int64_t category = omma_coco_find_category(rd->out, raws[i].category_id);
        if (image < 0 || category < 0)
            return omma_fail_at(rd->err, OMMA_E_FORMAT, rd->file, b->offset,
                                "annotation %lld names %s %lld, which the file does not have",
                                (long long)b->id, image < 0 ? "image" : "category",
                                (long long)(image < 0 ? raws[i].image_id : raws[i].category_id));
        b->image = (int32_t)image;
        b->category = (uint16_t)category;
        rd->out->images[image].count++;
    }
    return OMMA_OK;
}

static omma_status settle_boxes(reader *rd) {
    omma_coco *c = rd->out;
    const raw *raws = rd->raws.items;
    size_t n = rd->raws.count;
    OMMA_TRY(look_up(rd));
    c->boxes = omma_arena_array(&c->arena, n, sizeof *c->boxes);
    if (!c->boxes) return omma_fail(rd->err, OMMA_E_NOMEM, "no memory for %zu boxes", n);
    c->n_boxes = (int64_t)n;
    int64_t first = 0;
    for (int64_t i = 0; i < c->n_images; i++) {
        c->images[i].first = first;
        first += c->images[i].count;
        c->images[i].count = 0;
    }
    for (size_t i = 0; i < n; i++) {
        omma_coco_image *m = &c->images[raws[i].box.image];
        c->boxes[m->first + m->count++] = raws[i].box;
    }
    return OMMA_OK;
}

/* No two annotations may share an id. */
static omma_status check_ids(const reader *rd) {
    typedef struct key {
        int64_t id, offset;
    } key;
    const raw *raws = rd->raws.items;
    size_t n = rd->raws.count;
    key *keys = omma_arena_array(rd->raws.arena, n, sizeof *keys);
    if (!keys) return omma_fail(rd->err, OMMA_E_NOMEM, "no memory for %zu ids", n);
    for (size_t i = 0; i < n; i++) keys[i] = (key){raws[i].box.id, raws[i].box.offset};
    qsort(keys, n, sizeof *keys, by_id);
    for (size_t i = 1; i < n; i++)
        if (keys[i].id == keys[i - 1].id)
            return twice(rd, "annotation", keys[i].id, keys[i - 1].offset, keys[i].offset);
    return OMMA_OK;
}

static omma_status read_all(reader *rd, const void *data, size_t size) {
    OMMA_TRY(walk(rd, data, size));
    OMMA_TRY(settle_images(rd));
    OMMA_TRY(settle_categories(rd));
    OMMA_TRY(check_ids(rd));
    return settle_boxes(rd);
}

omma_status omma_coco_parse(omma_coco *out, const void *data, size_t size, const char *file,
                            omma_budget *budget, omma_error *err) {
    omma_arena scratch;
    omma_arena_init(&scratch, budget);
    memset(out, 0, sizeof *out);
    omma_arena_init(&out->arena, budget);
    reader rd = {.out = out,
                 .images = {.arena = &scratch, .size = sizeof(omma_coco_image)},
                 .categories = {.arena = &scratch, .size = sizeof(omma_coco_category)},
                 .raws = {.arena = &scratch, .size = sizeof(raw)},
                 .file = file,
                 .err = err};
    omma_status status = read_all(&rd, data, size);
    omma_arena_free(&scratch);
    if (status) omma_coco_free(out);
    return status;
}

omma_status omma_coco_read(omma_coco *out, const char *path, omma_budget *budget, omma_error *err) {
    omma_bytes b;
    memset(out, 0, sizeof *out);
    OMMA_TRY(omma_bytes_map(&b, path, err));
    omma_status status = omma_coco_parse(out, b.data, b.size, path, budget, err);
    omma_bytes_free(&b);
    return status;
}

void omma_coco_free(omma_coco *c) {
    omma_arena_free(&c->arena);
    memset(c, 0, sizeof *c);
}

/* --- results ------------------------------------------------------------------ */

typedef struct results_reader {
    omma_coco_results *out;
    const omma_coco *truth;
    list found;
} results_reader;

static omma_status on_result(void *user, const omma_json *value, const omma_json_place *place,
                             omma_error *err) {
    results_reader *rd = user;
    record r = {value, place, err};
    void *item;
    int64_t image_id, category_id;
    OMMA_TRY(is_object(&r));
    OMMA_TRY(list_add(&rd->found, &item, err));
    omma_coco_found *f = item;
    OMMA_TRY(get_int(&r, &image_id, "image_id"));
    OMMA_TRY(get_int(&r, &category_id, "category_id"));
    OMMA_TRY(get_bbox(&r, f->bbox));
    OMMA_TRY(get_double(&r, &f->score, "score"));
    int64_t image = omma_coco_find_image(rd->truth, image_id);
    if (image < 0)
        return omma_fail_at(err, OMMA_E_FORMAT, place->file, place->offset,
                            "element %lld names image %lld, which the ground truth does not have; "
                            "are these results of another data set?",
                            (long long)place->index, (long long)image_id);
    f->image = (int32_t)image;
    f->category = (int32_t)omma_coco_find_category(rd->truth, category_id);
    rd->out->unknown += f->category < 0;
    return OMMA_OK;
}

static omma_status read_results(results_reader *rd, const void *data, size_t size, const char *file,
                                omma_error *err) {
    static const char *const keep[] = {"image_id", "category_id", "bbox", "score", NULL};
    omma_json_array array = {NULL, keep, on_result, rd, false};
    void *items;
    OMMA_TRY(omma_json_stream(&array, 1, data, size, file, err));
    OMMA_TRY(list_settle(&rd->found, &rd->out->arena, &items, err));
    rd->out->items = items;
    rd->out->count = (int64_t)rd->found.count;
    return OMMA_OK;
}

omma_status omma_coco_results_parse(omma_coco_results *out, const omma_coco *truth,
                                    const void *data, size_t size, const char *file,
                                    omma_budget *budget, omma_error *err) {
    omma_arena scratch;
    omma_arena_init(&scratch, budget);
    memset(out, 0, sizeof *out);
    omma_arena_init(&out->arena, budget);
    results_reader rd = {out, truth, {.arena = &scratch, .size = sizeof(omma_coco_found)}};
    omma_status status = read_results(&rd, data, size, file, err);
    omma_arena_free(&scratch);
    if (status) omma_coco_results_free(out);
    return status;
}

omma_status omma_coco_results_read(omma_coco_results *out, const omma_coco *truth, const char *path,
                                   omma_budget *budget, omma_error *err) {
    omma_bytes b;
    memset(out, 0, sizeof *out);
    OMMA_TRY(omma_bytes_map(&b, path, err));
    omma_status status = omma_coco_results_parse(out, truth, b.data, b.size, path, budget, err);
    omma_bytes_free(&b);
    return status;
}

void omma_coco_results_free(omma_coco_results *r) {
    omma_arena_free(&r->arena);
    memset(r, 0, sizeof *r);
}

void omma_coco_result_write(omma_json_writer *w, int64_t image_id, int64_t category_id,
                            const float *bbox, float score) {
    omma_json_begin_object(w);
    omma_json_key(w, "image_id");
    omma_json_put_int(w, image_id);
    omma_json_key(w, "category_id");
    omma_json_put_int(w, category_id);
    omma_json_key(w, "bbox");
    omma_json_begin_array(w);
    for (int i = 0; i < 4; i++) omma_json_put_float(w, bbox[i]);
    omma_json_end_array(w);
    omma_json_key(w, "score");
    omma_json_put_float(w, score);
    omma_json_end_object(w);
}

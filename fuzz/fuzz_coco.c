/* fuzz_coco.c - COCO's annotation and result files: the same bytes as a data set, as results
 * of it, and as results of a small sound one. */
#include "fuzz.h"
#include "learn/coco.h"

static const char small[] =
    "{\"images\":[{\"id\":1,\"width\":10,\"height\":10,\"file_name\":\"a\"},{\"id\":2}],"
    "\"categories\":[{\"id\":1,\"name\":\"x\"}],\"annotations\":[{\"id\":1,\"image_id\":1,"
    "\"category_id\":1,\"bbox\":[1,2,3,4],\"area\":12,\"iscrowd\":0}]}";

static void results(const omma_coco *truth, const uint8_t *data, size_t size) {
    omma_budget budget = {.limit = 64 << 20};
    omma_coco_results r;
    omma_error err = {0};
    if (!fuzz_status(omma_coco_results_parse(&r, truth, data, size, "results", &budget, &err),
                     &err))
        for (int64_t i = 0; i < r.count; i++)
            FUZZ_CHECK(r.items[i].image >= 0 && r.items[i].image < truth->n_images &&
                           r.items[i].category < truth->n_categories,
                       "result %lld is of nothing", (long long)i);
    omma_coco_results_free(&r);
}

static void check_truth(const omma_coco *c) {
    int64_t boxes = 0;
    for (int64_t i = 0; i < c->n_images; i++) {
        const omma_coco_image *m = &c->images[i];
        FUZZ_CHECK(omma_coco_find_image(c, m->id) == i, "image %lld", (long long)m->id);
        FUZZ_CHECK(m->first >= 0 && m->count >= 0 && m->first + m->count <= c->n_boxes,
                   "image %lld has boxes that are not there", (long long)m->id);
        for (int64_t k = m->first; k < m->first + m->count; k++)
            FUZZ_CHECK(c->boxes[k].image == i && c->boxes[k].category < c->n_categories, "box %lld",
                       (long long)k);
        boxes += m->count;
        fuzz_read(m->file_name, strlen(m->file_name));
    }
    FUZZ_CHECK(boxes == c->n_boxes, "boxes of no image");
    for (int64_t i = 0; i < c->n_categories; i++)
        FUZZ_CHECK(omma_coco_find_category(c, c->categories[i].id) == i, "category");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    omma_budget budget = {.limit = 64 << 20};
    omma_coco c;
    omma_error err = {0};
    if (!fuzz_status(omma_coco_parse(&c, data, size, "fuzz", &budget, &err), &err)) {
        check_truth(&c);
        results(&c, data, size);
    }
    omma_coco_free(&c);
    FUZZ_CHECK(!omma_coco_parse(&c, small, sizeof small - 1, "small", NULL, &err), "%s",
               err.message);
    results(&c, data, size);
    omma_coco_free(&c);
    return 0;
}

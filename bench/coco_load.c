/* coco_load.c - what reading COCO's largest annotation file costs. Writes a file shaped
 * like instances_train2017.json (118,287 images, 860,001 boxes with outlines, about
 * 448 MB) to a folder, reads it, prints time and peak memory, and removes it.
 *
 *     coco_load [folder]      default $TMPDIR, else /tmp
 *
 * Peak memory counts the pages of the mapped file, which the system can take back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "learn/coco.h"

enum { IMAGES = 118287, BOXES = 860001, CATEGORIES = 80 };

static uint32_t seed = 1;

/* 0 <= result < n */
static int pick(int n) {
    seed = seed * 1664525U + 1013904223U;
    return (int)((seed >> 8) % (uint32_t)n);
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void put_int(omma_json_writer *w, const char *key, int64_t v) {
    omma_json_key(w, key);
    omma_json_put_int(w, v);
}

static void put_text(omma_json_writer *w, const char *key, const char *text) {
    omma_json_key(w, key);
    omma_json_put_text(w, text);
}

static void put_numbers(omma_json_writer *w, int n) {
    omma_json_begin_array(w);
    for (int i = 0; i < n; i++) omma_json_put_double(w, pick(64000) / 100.);
    omma_json_end_array(w);
}

/* One to three outlines of 4 to 42 corners. */
static void put_outlines(omma_json_writer *w) {
    omma_json_key(w, "segmentation");
    omma_json_begin_array(w);
    for (int n = pick(8) ? 1 : 1 + pick(3); n; n--) put_numbers(w, 2 * (4 + pick(39)));
    omma_json_end_array(w);
}

static void put_box(omma_json_writer *w, int id) {
    omma_json_begin_object(w);
    put_outlines(w);
    omma_json_key(w, "area");
    omma_json_put_double(w, pick(100000000) / 10000.);
    put_int(w, "iscrowd", pick(86) == 0);
    put_int(w, "image_id", 4 * pick(IMAGES) + 9);
    omma_json_key(w, "bbox");
    put_numbers(w, 4);
    put_int(w, "category_id", 1 + pick(CATEGORIES));
    put_int(w, "id", id + 1);
    omma_json_end_object(w);
}

static void put_image(omma_json_writer *w, int i) {
    char text[128];
    omma_json_begin_object(w);
    put_int(w, "license", 1 + pick(8));
    snprintf(text, sizeof text, "%012d.jpg", 4 * i + 9);
    put_text(w, "file_name", text);
    snprintf(text, sizeof text, "http://images.cocodataset.org/train2017/%012d.jpg", 4 * i + 9);
    put_text(w, "coco_url", text);
    put_int(w, "height", 640 - pick(300));
    put_int(w, "width", 640 - pick(300));
    put_text(w, "date_captured", "2013-11-14 11:18:45");
    put_text(w, "flickr_url", "http://farm4.staticflickr.com/3153/2970773875_164f0c0b83_z.jpg");
    put_int(w, "id", 4 * i + 9);
    omma_json_end_object(w);
}

static void put_category(omma_json_writer *w, int i) {
    char name[32];
    snprintf(name, sizeof name, "class %d", i);
    omma_json_begin_object(w);
    put_text(w, "supercategory", "thing");
    put_int(w, "id", i + 1);
    put_text(w, "name", name);
    omma_json_end_object(w);
}

static void put_list(omma_json_writer *w, const char *key, int n,
                     void (*put)(omma_json_writer *, int)) {
    omma_json_key(w, key);
    omma_json_begin_array(w);
    for (int i = 0; i < n; i++) put(w, i);
    omma_json_end_array(w);
}

static omma_status generate(const char *path, omma_error *err) {
    omma_json_writer w;
    FILE *f = fopen(path, "w");
    if (!f) return omma_fail_at(err, OMMA_E_IO, path, -1, "cannot write");
    omma_json_writer_file(&w, f, false);
    omma_json_begin_object(&w);
    put_list(&w, "images", IMAGES, put_image);
    put_list(&w, "annotations", BOXES, put_box);
    put_list(&w, "categories", CATEGORIES, put_category);
    omma_json_end_object(&w);
    omma_status status = omma_json_writer_end(&w, err);
    omma_json_writer_free(&w);
    if (fclose(f) && !status) status = omma_fail_at(err, OMMA_E_IO, path, -1, "cannot write");
    return status;
}

static omma_status load(const char *path, omma_error *err) {
    omma_budget budget = {0};
    omma_coco c;
    struct stat st;
    struct rusage u;
    if (stat(path, &st)) return omma_fail_at(err, OMMA_E_IO, path, -1, "cannot stat");
    double start = seconds();
    OMMA_TRY(omma_coco_read(&c, path, &budget, err));
    double took = seconds() - start;
    getrusage(RUSAGE_SELF, &u);
    printf("file %.1f MB, %lld images, %lld boxes: %.2f s\n", (double)st.st_size / 1e6,
           (long long)c.n_images, (long long)c.n_boxes, took);
    printf("arrays %.1f MB after, %.1f MB at the peak; process %.1f MB at the peak\n",
           (double)budget.used / 1e6, (double)budget.peak / 1e6, (double)u.ru_maxrss * 1.024e-3);
    omma_coco_free(&c);
    return OMMA_OK;
}

int main(int argc, char **argv) {
    const char *folder = getenv("TMPDIR");
    char path[512];
    omma_error err;
    if (argc > 1) folder = argv[1];
    snprintf(path, sizeof path, "%s/coco_load.%ld.json", folder ? folder : "/tmp", (long)getpid());
    omma_status status = generate(path, &err);
    if (!status) status = load(path, &err);
    remove(path);
    if (status) fprintf(stderr, "coco_load: %s\n", err.message);
    return status ? 1 : 0;
}

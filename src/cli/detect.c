/* detect.c - `omma detect`: boxes for people, for programs (--json), for COCO's evaluation
 * (--coco), and drawn on copies of the pictures (-o). */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "file/bytes.h"
#include "file/json.h"
#include "learn/coco.h"
#include "task/coco_names.h"
#include "task/detector.h"
#include "task/known.h"
#include "view/draw.h"

static const char help_text[] =
    "omma detect: find the things in pictures.\n\n"
    "usage: omma detect IMAGE... [-m MODEL] [-o DIR] [--json | --coco]\n\n"
    "IMAGE is a picture (JPEG, PNG, WebP), a folder of pictures, or a quoted glob. Folders in\n"
    "a folder are not searched, and what omma drew there is left out.\n\n"
    "  -m, --model MODEL      an ONNX detector; default: the pulled deimv2-atto\n"
    "  -o, --output DIR       draw the boxes on copies, DIR/NAME.detect.png; DIR is made\n"
    "  -t, --threshold F      show scores of at least F, 0..1; default 0.5, with --coco 0\n"
    "      --json             one JSON document: file, size, detections\n"
    "      --coco             COCO results: [{image_id, category_id, bbox, score}, ...];\n"
    "                         the image id is the number at the end of the file's name\n"
    "      --gt GT.json       with --coco: take image ids from these annotations, by file name\n"
    "      --threads N        threads to use; the answers do not depend on it\n" OMMA_CLI_HALF_HELP
    "  -h, --help             this text\n" OMMA_CLI_MODEL_HELP "\n"
    "examples:\n"
    "  omma detect street.jpg\n"
    "  omma detect holiday/ -o found/\n"
    "  omma detect val2017/ --coco > results.json && omma eval --gt instances.json results.json\n\n"
    "A picture that cannot be read is reported, the others are done, and the exit status\n"
    "is 1.\n";

typedef struct job {
    const char *model, *output, *gt;
    double threshold;
    int json, coco;
    omma_options opt;
    omma_cli_files files;
    omma_detector *detector;
    omma_coco truth; /* with --gt */
    omma_json_writer w;
    int failed;
} job;

static int fault(job *j, const omma_error *err) {
    j->failed++;
    return omma_cli_failed("detect", err);
}

/* --- one picture, three ways --------------------------------------------------- */

static const char *class_name(const omma_detection *d, char *buf, size_t size) {
    const char *name = omma_coco_name(d->label);
    if (name) return name;
    snprintf(buf, size, "class %d", d->label);
    return buf;
}

/* Rounded, and never -0. */
static double px(float v) { return rint((double)v) + 0.0; }

static void print_text(const job *j, const char *path, const omma_image *img,
                       const omma_detection *d, int n) {
    char buf[32];
    int shown = 0;
    omma_cli_put_name(path, 0);
    printf("  (%d x %d)\n", img->width, img->height);
    for (int i = 0; i < n; i++) {
        if ((double)d[i].score < j->threshold) continue;
        shown++;
        const float *b = d[i].box;
        printf("  %-16s %5.1f %%   x %5.0f .. %-5.0f  y %5.0f .. %.0f\n",
               class_name(&d[i], buf, sizeof buf), (double)d[i].score * 100, px(b[0]), px(b[2]),
               px(b[1]), px(b[3]));
    }
    if (!shown) printf("  nothing with a score of %g or more\n", j->threshold);
}

static void put_json(job *j, const char *path, const omma_image *img, const omma_detection *d,
                     int n) {
    omma_json_writer *w = &j->w;
    char buf[32];
    omma_json_begin_object(w);
    omma_json_key(w, "file"), omma_json_put_text(w, path);
    omma_json_key(w, "width"), omma_json_put_int(w, img->width);
    omma_json_key(w, "height"), omma_json_put_int(w, img->height);
    omma_json_key(w, "detections");
    omma_json_begin_array(w);
    for (int i = 0; i < n; i++) {
        if ((double)d[i].score < j->threshold) continue;
        omma_json_begin_object(w);
        omma_json_key(w, "label"), omma_json_put_int(w, d[i].label);
        omma_json_key(w, "name"), omma_json_put_text(w, class_name(&d[i], buf, sizeof buf));
        omma_json_key(w, "score"), omma_json_put_float(w, d[i].score);
        omma_json_key(w, "box");
        omma_json_begin_array(w);
        for (int k = 0; k < 4; k++) omma_json_put_float(w, d[i].box[k]);
        omma_json_end_array(w);
        omma_json_end_object(w);
    }
    omma_json_end_array(w);
    omma_json_end_object(w);
}

/* The id from --gt, or the number at the end of the name. */
static omma_status image_id(const job *j, const char *path, int64_t *id, omma_error *err) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    for (int64_t i = 0; j->gt && i < j->truth.n_images; i++)
        if (!strcmp(j->truth.images[i].file_name, name)) {
            *id = j->truth.images[i].id;
            return OMMA_OK;
        }
    if (j->gt)
        return omma_fail_at(err, OMMA_E_NOTFOUND, path, -1, "is not among the pictures of %s",
                            j->gt);
    const char *dot = strrchr(name, '.'), *end = dot ? dot : name + strlen(name), *p = end;
    while (p > name && isdigit((unsigned char)p[-1])) p--;
    errno = 0;
    *id = p < end ? strtoll(p, NULL, 10) : -1;
    if (p == end || errno)
        return omma_fail_at(err, OMMA_E_USAGE, path, -1,
                            "its name does not end in a number to use as COCO image id; give the "
                            "annotations with --gt");
    return OMMA_OK;
}

static omma_status put_coco(job *j, const char *path, const omma_detection *d, int n,
                            omma_error *err) {
    int64_t id = -1;
    OMMA_TRY(image_id(j, path, &id, err));
    for (int i = 0; i < n; i++) {
        int category = omma_coco_id(d[i].label);
        if (category < 0 || (double)d[i].score < j->threshold) continue;
        const float *b = d[i].box;
        omma_coco_result_write(&j->w, id, category, (float[]){b[0], b[1], b[2] - b[0], b[3] - b[1]},
                               d[i].score);
    }
    return OMMA_OK;
}

static omma_status draw(const job *j, int file, omma_image *img, const omma_detection *d, int n,
                        omma_error *err) {
    char path[4096], buf[32], text[64];
    float scale = omma_draw_scale(img);
    omma_cli_output_path(path, sizeof path, j->output, &j->files, file, "detect");
    for (int i = n - 1; i >= 0; i--) /* the best on top */
        if ((double)d[i].score >= j->threshold)
            omma_draw_box(img, d[i].box[0], d[i].box[1], d[i].box[2], d[i].box[3], 3 * scale,
                          omma_color_of_class(d[i].label));
    for (int i = n - 1; i >= 0; i--) {
        if ((double)d[i].score < j->threshold) continue;
        snprintf(text, sizeof text, "%s %.0f%%", class_name(&d[i], buf, sizeof buf),
                 (double)d[i].score * 100);
        omma_draw_label(img, d[i].box[0], d[i].box[1], text, omma_color_of_class(d[i].label),
                        (int)(18 * scale));
    }
    return omma_image_write(img, path, err);
}

static omma_status one(job *j, int file, omma_error *err) {
    omma_image img;
    const omma_detection *d;
    int n;
    const char *path = j->files.paths[file];
    OMMA_TRY(omma_image_load(&img, path, err));
    omma_status s = omma_detector_run(j->detector, &d, &n, &img, err);
    if (!s && j->coco) s = put_coco(j, path, d, n, err);
    else if (!s && j->json) put_json(j, path, &img, d, n);
    else if (!s) print_text(j, path, &img, d, n);
    if (!s && j->output) s = draw(j, file, &img, d, n, err);
    omma_image_free(&img);
    if (s) omma_error_in_file(err, path);
    return s;
}

/* --- the whole ----------------------------------------------------------------- */

static omma_status open_model(job *j, char *path, size_t size, omma_error *err) {
    if (!j->model) {
        const omma_known *k = omma_known_for_task("detect");
        OMMA_TRY(omma_known_check(k, OMMA_KNOWN_SIZES, err));
        OMMA_TRY(omma_known_path(path, size, k, "model", err));
        j->model = path;
    }
    OMMA_TRY(omma_detector_new(&j->detector, j->model, &j->opt, err));
    if (j->gt) OMMA_TRY(omma_coco_read(&j->truth, j->gt, NULL, err));
    return j->output ? omma_folder_make(j->output, err) : OMMA_OK;
}

static int all(job *j) {
    omma_error err;
    char path[OMMA_KNOWN_PATH];
    omma_cli_progress p;
    int status = OMMA_EXIT_OK;
    if (open_model(j, path, sizeof path, &err)) return fault(j, &err);
    bool document = j->json || j->coco;
    if (document) omma_json_writer_file(&j->w, stdout, j->json), omma_json_begin_array(&j->w);
    omma_cli_progress_start(&p, "detect", j->files.count);
    for (int i = 0; i < j->files.count && !omma_cli_flush(); i++) {
        if (one(j, i, &err)) omma_cli_progress_end(&p), fault(j, &err);
        omma_cli_progress_step(&p, i + 1);
    }
    omma_cli_progress_end(&p);
    if (document) {
        omma_json_end_array(&j->w);
        if (omma_cli_json_end("detect", &j->w)) status = OMMA_EXIT_FAILED;
    }
    if (!j->failed) return status;
    if (j->files.count > 1)
        fprintf(stderr, "omma detect: %d of %d pictures failed\n", j->failed, j->files.count);
    return OMMA_EXIT_FAILED;
}

int omma_cli_detect(int argc, char **argv) {
    job j = {.threshold = -1};
    omma_cli_list args;
    int want_help;
    const omma_cli_option options[] = {{'m', "model", 's', &j.model},
                                       {'o', "output", 's', &j.output},
                                       {'t', "threshold", 'f', &j.threshold},
                                       {0, "json", 'b', &j.json},
                                       {0, "coco", 'b', &j.coco},
                                       {0, "gt", 's', &j.gt},
                                       {0, "threads", 't', &j.opt.threads},
                                       OMMA_CLI_HALF_OPTIONS(j.opt),
                                       OMMA_CLI_MODEL_OPTIONS(j.opt)};
    int status =
        omma_cli_parse(argc, argv, options, sizeof options / sizeof *options, &args, &want_help);
    bool given = j.threshold != -1;
    if (want_help) fputs(help_text, stdout);
    else if (!status && !args.count) status = omma_cli_misused("detect", "no picture given");
    else if (!status && j.json && j.coco)
        status = omma_cli_misused("detect", "--json or --coco, not both");
    else if (!status && given && !(j.threshold >= 0 && j.threshold <= 1))
        status = omma_cli_misused("detect", "--threshold wants a number from 0 to 1");
    else if (!status && j.gt && !j.coco)
        status = omma_cli_misused("detect", "--gt goes with --coco");
    else if (!status) {
        if (!given) j.threshold = j.coco ? 0 : 0.5;
        status = omma_cli_files_expand(&j.files, "detect", &args);
        if (!status) status = all(&j);
    }
    omma_detector_free(j.detector);
    if (j.gt) omma_coco_free(&j.truth);
    omma_cli_files_free(&j.files);
    free(args.items);
    return omma_cli_finish("detect", status);
}

/* eval.c - omma eval: how good are a detector's boxes. Reads a COCO annotation file and a
 * COCO results file, prints COCO's twelve numbers or Pascal VOC's one. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "learn/eval_boxes.h"

static const char help_text[] =
    "usage: omma eval --gt GT.json [options] RESULTS.json\n"
    "\n"
    "Measure the boxes of a detector against the ground truth, as COCO does.\n"
    "\n"
    "  GT.json       COCO annotations: images, categories, annotations with boxes\n"
    "  RESULTS.json  what was found: [{\"image_id\": 42, \"category_id\": 18,\n"
    "                \"bbox\": [x, y, width, height], \"score\": 0.9}, ...]\n"
    "\n"
    "options\n"
    "  -g, --gt FILE     the ground truth\n"
    "  -c, --per-class   a table of the classes too, the best first\n"
    "  -t, --iou T       one IoU threshold, 0 < T <= 1, in place of .50, .55, ... .95,\n"
    "                    with the table: right, wrong and missed boxes of each class\n"
    "      --voc         Pascal VOC's average precision (at --iou 0.5 if not said)\n"
    "      --eleven      with --voc: the eleven-point mean of VOC 2007\n"
    "      --json        print JSON\n"
    "  -h, --help        this text\n"
    "\n"
    "example\n"
    "  omma eval --gt instances_val2017.json --per-class results.json\n"
    "\n"
    "AP is the mean precision over recalls, IoU thresholds and classes; AP50 asks only for\n"
    "an IoU of 0.50. small is below 32x32, medium below 96x96 pixels. AR100 is the share\n"
    "of the objects found when 100 boxes an image count. -1: there was nothing to find.\n"
    "\n"
    "Exit status: 0 done, 1 failed (a file is missing or not sound), 2 used wrongly.\n";

typedef struct eval_options {
    const char *truth, *results;
    int per_class, json, voc, eleven;
    double iou; /* < 0: the ten thresholds */
} eval_options;

typedef struct eval_work {
    omma_coco truth;
    omma_coco_results found;
    omma_eval eval;
} eval_work;

/* --- tables -------------------------------------------------------------------- */

static void print_line(const eval_options *o, const omma_eval_line *line, double value) {
    char iou[16] = "0.50:0.95";
    if (line->iou > 0) snprintf(iou, sizeof iou, "%.2f", line->iou);
    if (o->iou > 0) snprintf(iou, sizeof iou, "%.4g", o->iou);
    printf(" %-18s %s @[ IoU=%-9s | area=%6s | maxDets=%3d ] = %0.3f\n",
           line->recall ? "Average Recall" : "Average Precision", line->recall ? "(AR)" : "(AP)",
           iou, line->area, line->max_dets, value);
}

static void print_summary(const eval_options *o, const omma_eval *e) {
    if (o->voc) {
        printf(" Mean Average Precision (Pascal VOC, %s) @ IoU=%.4g = %0.3f\n",
               o->eleven ? "eleven points" : "every point", o->iou, e->lines[0]);
        return;
    }
    for (int i = 0; i < OMMA_EVAL_LINES; i++)
        if (o->iou < 0 || omma_eval_lines[i].iou == 0)
            print_line(o, &omma_eval_lines[i], e->lines[i]);
}

static void print_number(double v) {
    if (v < 0) printf("      -");
    else printf("  %5.3f", v);
}

static void print_class(const eval_options *o, const omma_coco *truth, const omma_eval_class *c) {
    omma_cli_put_name(truth->categories[c->category].name, 22);
    print_number(c->ap);
    if (o->iou > 0) {
        print_number(c->ar);
        printf("  %7lld  %7lld  %7lld\n", (long long)c->hits, (long long)c->misfires,
               (long long)(c->truths - c->hits));
        return;
    }
    print_number(c->ap50);
    print_number(c->ap75);
    print_number(c->ar);
    printf("  %7lld  %7lld\n", (long long)c->truths, (long long)c->found);
}

static int by_ap(const void *a, const void *b) {
    const omma_eval_class *x = a, *y = b;
    if (x->ap != y->ap) return x->ap > y->ap ? -1 : 1;
    return (x->category > y->category) - (x->category < y->category);
}

/* Classes the data set or the results have, the best first. */
static void print_classes(const eval_options *o, const eval_work *w) {
    omma_eval_class *classes = w->eval.classes;
    if (o->iou > 0)
        printf("\n%-22s  %5s  %5s  %7s  %7s  %7s\n", "class", "AP", "AR", "right", "wrong",
               "missed");
    else
        printf("\n%-22s  %5s  %5s  %5s  %5s  %7s  %7s\n", "class", "AP", "AP50", "AP75", "AR100",
               "truths", "found");
    qsort(classes, (size_t)w->eval.n_classes, sizeof *classes, by_ap);
    for (int64_t i = 0; i < w->eval.n_classes; i++)
        if (classes[i].truths || classes[i].found) print_class(o, &w->truth, &classes[i]);
}

/* --- JSON ---------------------------------------------------------------------- */

static void put_int(omma_json_writer *j, const char *key, int64_t v) {
    omma_json_key(j, key);
    omma_json_put_int(j, v);
}

static void put_double(omma_json_writer *j, const char *key, double v) {
    omma_json_key(j, key);
    omma_json_put_double(j, v);
}

static void put_class(omma_json_writer *j, const eval_options *o, const eval_work *w,
                      const omma_eval_class *c) {
    const omma_coco_category *category = &w->truth.categories[c->category];
    omma_json_begin_object(j);
    put_int(j, "category_id", category->id);
    omma_json_key(j, "name");
    omma_json_put_text(j, category->name);
    put_int(j, "truths", c->truths);
    put_int(j, "crowds", c->crowds);
    put_int(j, "found", c->found);
    put_double(j, "AP", c->ap);
    if (o->iou < 0) {
        put_double(j, "AP50", c->ap50);
        put_double(j, "AP75", c->ap75);
    } else {
        put_int(j, "right", c->hits);
        put_int(j, "wrong", c->misfires);
        put_int(j, "missed", c->truths - c->hits);
    }
    put_double(j, o->voc ? "AR" : "AR100", c->ar);
    omma_json_end_object(j);
}

static void put_lines(omma_json_writer *j, const eval_options *o, const omma_eval *e) {
    for (int i = 0; i < (o->voc ? 1 : OMMA_EVAL_LINES); i++)
        if (o->iou < 0 || omma_eval_lines[i].iou == 0)
            put_double(j, omma_eval_lines[i].name, e->lines[i]);
}

static void put_truths(omma_json_writer *j, const omma_eval *e) {
    int64_t truths = 0, crowds = 0;
    for (int64_t i = 0; i < e->n_classes; i++) {
        truths += e->classes[i].truths;
        crowds += e->classes[i].crowds;
    }
    put_int(j, "truths", truths);
    put_int(j, "crowds", crowds);
}

static int print_json(const eval_options *o, const eval_work *w) {
    omma_json_writer j;
    omma_json_writer_file(&j, stdout, true);
    omma_json_begin_object(&j);
    omma_json_key(&j, "metric");
    omma_json_put_text(&j, !o->voc ? "coco" : o->eleven ? "voc-eleven" : "voc");
    if (o->iou > 0) put_double(&j, "iou", o->iou);
    put_int(&j, "images", w->truth.n_images);
    put_truths(&j, &w->eval);
    put_int(&j, "found", w->found.count);
    put_int(&j, "found_of_unknown_category", w->found.unknown);
    put_lines(&j, o, &w->eval);
    if (o->per_class) {
        omma_json_key(&j, "classes");
        omma_json_begin_array(&j);
        for (int64_t i = 0; i < w->eval.n_classes; i++) put_class(&j, o, w, &w->eval.classes[i]);
        omma_json_end_array(&j);
    }
    omma_json_end_object(&j);
    return omma_cli_json_end("eval", &j);
}

/* --- the verb ------------------------------------------------------------------ */

static omma_status evaluate(const eval_options *o, eval_work *w, omma_error *err) {
    OMMA_TRY(omma_coco_read(&w->truth, o->truth, NULL, err));
    OMMA_TRY(omma_coco_results_read(&w->found, &w->truth, o->results, NULL, err));
    if (o->voc)
        return omma_eval_voc(&w->eval, &w->truth, &w->found, o->iou, o->eleven != 0, NULL, err);
    return omma_eval_coco(&w->eval, &w->truth, &w->found, o->iou > 0 ? o->iou : 0, NULL, err);
}

static int report(const eval_options *o, const eval_work *w) {
    if (w->found.unknown)
        fprintf(stderr,
                "omma eval: %s: %lld of %lld boxes are of categories the ground truth does not "
                "have; they count for nothing\n",
                o->results, (long long)w->found.unknown, (long long)w->found.count);
    if (o->json) return print_json(o, w);
    print_summary(o, &w->eval);
    if (o->per_class) print_classes(o, w);
    return OMMA_EXIT_OK;
}

static int run(const eval_options *o) {
    eval_work w;
    omma_error err;
    memset(&w, 0, sizeof w);
    int status = evaluate(o, &w, &err) ? omma_cli_failed("eval", &err) : report(o, &w);
    omma_eval_free(&w.eval);
    omma_coco_results_free(&w.found);
    omma_coco_free(&w.truth);
    return omma_cli_finish("eval", status);
}

/* Check the options against each other. Returns 0 or OMMA_EXIT_USAGE after a message. */
static int settle(eval_options *o, const omma_cli_list *rest, bool iou_given) {
    if (!o->truth) return omma_cli_misused("eval", "no ground truth: --gt GT.json");
    if (rest->count != 1)
        return omma_cli_misused("eval", "%s",
                                rest->count ? "one results file at a time" : "no results file");
    if (iou_given && !(o->iou > 0 && o->iou <= 1))
        return omma_cli_misused("eval", "--iou is above 0 and at most 1");
    if (o->eleven && !o->voc) return omma_cli_misused("eval", "--eleven goes with --voc");
    o->results = rest->items[0];
    if (iou_given) o->per_class = 1;
    if (o->voc && !iou_given) o->iou = .5;
    return 0;
}

int omma_cli_eval(int argc, char **argv) {
    eval_options o = {.iou = -HUGE_VAL};
    int help = 0;
    omma_cli_list rest = {0};
    const omma_cli_option options[] = {
        {'g', "gt", 's', &o.truth}, {'c', "per-class", 'b', &o.per_class},
        {0, "json", 'b', &o.json},  {'t', "iou", 'f', &o.iou},
        {0, "voc", 'b', &o.voc},    {0, "eleven", 'b', &o.eleven},
    };
    int n = sizeof options / sizeof *options;
    int status = omma_cli_parse(argc, argv, options, n, &rest, &help);
    if (!status && help) {
        fputs(help_text, stdout);
        status = omma_cli_finish("eval", OMMA_EXIT_OK);
    } else if (!status) {
        status = settle(&o, &rest, o.iou != -HUGE_VAL);
        if (!status) status = run(&o);
    }
    free(rest.items);
    return status;
}

/* read.c - `omma read`: the text of pictures, for people, for programs (--json), and drawn
 * on copies of the pictures (-o). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "cli/cli.h"
#include "file/bytes.h"
#include "file/image.h"
#include "file/json.h"
#include "task/known.h"
#include "task/reader.h"
#include "task/strip.h"
#include "view/reading.h"

static const char help_text[] =
    "omma read: read the text in pictures.\n\n"
    "usage: omma read IMAGE... [-m FOLDER] [-o DIR] [--json]\n\n"
    "IMAGE is a picture (JPEG, PNG, WebP), a folder of pictures, or a quoted glob. Folders in\n"
    "a folder are not searched, and what omma drew there is left out. Prints the lines in\n"
    "reading order.\n\n"
    "  -m, --model FOLDER        the reader's files: detector, angle classifier, recogniser and\n"
    "                            dictionary; default: the pulled ppocrv4\n"
    "  -o, --output DIR          draw copies, DIR/NAME.read.png: the picture with its lines\n"
    "                            outlined, and what was read beside it; DIR is made\n"
    "      --lines               with -o: each line by itself too, upright: DIR/NAME.N.line.png\n"
    "  -c, --min-confidence F    drop lines read with less confidence, 0..1; default 0.5\n"
    "      --json                one JSON document: file, size, lines with text, confidence and\n"
    "                            corners\n"
    "      --threads N           threads to use; the answers do not depend on "
    "it\n" OMMA_CLI_HALF_HELP "  -h, --help                this text\n" OMMA_CLI_MODEL_HELP "\n"
    "examples:\n"
    "  omma read receipt.jpg\n"
    "  omma read scans/ -o read/ > scans.txt\n"
    "  omma read --json sign.png\n\n"
    "A picture that cannot be read is reported, the others are done, and the exit status\n"
    "is 1.\n";

typedef struct job {
    const char *model, *output;
    double least;
    int json, lines;
    omma_options opt;
    omma_cli_files files;
    omma_reader *reader;
    omma_json_writer w;
    int failed;
} job;

static int fault(job *j, const omma_error *err) {
    j->failed++;
    return omma_cli_failed("read", err);
}

/* --- one picture, three ways --------------------------------------------------- */

static void print_text(const job *j, int file, const omma_text_lines *lines) {
    if (j->files.count > 1) {
        printf("%s== ", file ? "\n" : "");
        omma_cli_put_name(j->files.paths[file], 0);
        printf("\n");
    }
    for (int i = 0; i < lines->count; i++) printf("%s\n", lines->items[i].text);
}

static void put_line(omma_json_writer *w, const omma_text_line *l) {
    omma_json_begin_object(w);
    omma_json_key(w, "text"), omma_json_put_text(w, l->text);
    omma_json_key(w, "confidence"), omma_json_put_float(w, l->confidence);
    omma_json_key(w, "turn"), omma_json_put_int(w, l->turn);
    omma_json_key(w, "quad");
    omma_json_begin_array(w);
    for (int k = 0; k < 4; k++) {
        omma_json_begin_array(w);
        omma_json_put_float(w, l->quad[k][0]), omma_json_put_float(w, l->quad[k][1]);
        omma_json_end_array(w);
    }
    omma_json_end_array(w);
    omma_json_end_object(w);
}

static void put_json(job *j, int file, const omma_image *img, const omma_text_lines *lines) {
    omma_json_writer *w = &j->w;
    omma_json_begin_object(w);
    omma_json_key(w, "file"), omma_json_put_text(w, j->files.paths[file]);
    omma_json_key(w, "width"), omma_json_put_int(w, img->width);
    omma_json_key(w, "height"), omma_json_put_int(w, img->height);
    omma_json_key(w, "lines");
    omma_json_begin_array(w);
    for (int i = 0; i < lines->count; i++) put_line(w, &lines->items[i]);
    omma_json_end_array(w);
    omma_json_end_object(w);
}

static omma_status draw(const job *j, int file, const omma_image *img, const omma_text_lines *lines,
                        omma_error *err) {
    char path[4096];
    omma_image page;
    omma_cli_output_path(path, sizeof path, j->output, &j->files, file, "read");
    OMMA_TRY(omma_view_reading(&page, img, lines, err));
    omma_status s = omma_image_write(&page, path, err);
    omma_image_free(&page);
    return s;
}

/* Each line by itself, upright, as the recogniser gets it. */
static omma_status cut(const job *j, int file, const omma_image *img, const omma_text_lines *lines,
                       omma_error *err) {
    omma_status s = OMMA_OK;
    for (int i = 0; i < lines->count && !s; i++) {
        char path[4096], what[32];
        omma_strip strip;
        omma_quad q;
        snprintf(what, sizeof what, "%d.line", i + 1);
        omma_cli_output_path(path, sizeof path, j->output, &j->files, file, what);
        for (int k = 0; k < 4; k++)
            q.at[k] = (omma_point){lines->items[i].quad[k][0], lines->items[i].quad[k][1]};
        OMMA_TRY(omma_strip_cut(&strip, img->rgb, img->width, img->height, &q, err));
        const omma_image line = {
            .width = strip.width, .height = OMMA_STRIP_HEIGHT, .rgb = strip.rgb};
        s = omma_image_write(&line, path, err);
        omma_strip_free(&strip);
    }
    return s;
}

/* Leave out what was read with too little confidence. */
static void drop_unsure(const job *j, omma_text_lines *lines) {
    int kept = 0;
    for (int i = 0; i < lines->count; i++) {
        if ((double)lines->items[i].confidence < j->least) omma_mem_free(lines->items[i].text);
        else lines->items[kept++] = lines->items[i];
    }
    lines->count = kept;
}

static omma_status one(job *j, int file, omma_error *err) {
    omma_image img;
    omma_text_lines lines;
    OMMA_TRY(omma_image_load(&img, j->files.paths[file], err));
    omma_status s = omma_reader_run(j->reader, &lines, img.rgb, img.width, img.height, err);
    if (!s) {
        drop_unsure(j, &lines);
        if (j->json) put_json(j, file, &img, &lines);
        else print_text(j, file, &lines);
        if (j->output) s = draw(j, file, &img, &lines, err);
        if (j->lines && !s) s = cut(j, file, &img, &lines, err);
        omma_text_lines_free(&lines);
    }
    omma_image_free(&img);
    if (s) omma_error_in_file(err, j->files.paths[file]);
    return s;
}

/* --- the whole ----------------------------------------------------------------- */

static omma_status open_model(job *j, char *folder, size_t size, omma_error *err) {
    if (!j->model) {
        const omma_known *k = omma_known_for_task("read");
        OMMA_TRY(omma_known_check(k, OMMA_KNOWN_SIZES, err));
        OMMA_TRY(omma_known_folder(folder, size, k, err));
        j->model = folder;
    }
    OMMA_TRY(omma_reader_new(&j->reader, j->model, &j->opt, err));
    return j->output ? omma_folder_make(j->output, err) : OMMA_OK;
}

static int all(job *j) {
    omma_error err;
    char folder[OMMA_KNOWN_PATH];
    omma_cli_progress p;
    int status = OMMA_EXIT_OK;
    if (open_model(j, folder, sizeof folder, &err)) return fault(j, &err);
    if (j->json) omma_json_writer_file(&j->w, stdout, true), omma_json_begin_array(&j->w);
    omma_cli_progress_start(&p, "read", j->files.count);
    for (int i = 0; i < j->files.count && !omma_cli_flush(); i++) {
        if (one(j, i, &err)) omma_cli_progress_end(&p), fault(j, &err);
        omma_cli_progress_step(&p, i + 1);
    }
    omma_cli_progress_end(&p);
    if (j->json) {
        omma_json_end_array(&j->w);
        if (omma_cli_json_end("read", &j->w)) status = OMMA_EXIT_FAILED;
    }
    if (!j->failed) return status;
    if (j->files.count > 1)
        fprintf(stderr, "omma read: %d of %d pictures failed\n", j->failed, j->files.count);
    return OMMA_EXIT_FAILED;
}

int omma_cli_read(int argc, char **argv) {
    job j = {.least = 0.5};
    omma_cli_list args;
    int want_help;
    const omma_cli_option options[] = {{'m', "model", 's', &j.model},
                                       {'o', "output", 's', &j.output},
                                       {'c', "min-confidence", 'f', &j.least},
                                       {0, "json", 'b', &j.json},
                                       {0, "lines", 'b', &j.lines},
                                       {0, "threads", 't', &j.opt.threads},
                                       OMMA_CLI_HALF_OPTIONS(j.opt),
                                       OMMA_CLI_MODEL_OPTIONS(j.opt)};
    int status =
        omma_cli_parse(argc, argv, options, sizeof options / sizeof *options, &args, &want_help);
    if (want_help) fputs(help_text, stdout);
    else if (!status && !args.count) status = omma_cli_misused("read", "no picture given");
    else if (!status && j.lines && !j.output)
        status = omma_cli_misused("read", "--lines are written to a folder that -o names");
    else if (!status && !(j.least >= 0 && j.least <= 1))
        status = omma_cli_misused("read", "--min-confidence wants a number from 0 to 1");
    else if (!status) {
        status = omma_cli_files_expand(&j.files, "read", &args);
        if (!status) status = all(&j);
    }
    omma_reader_free(j.reader);
    omma_cli_files_free(&j.files);
    free(args.items);
    return omma_cli_finish("read", status);
}

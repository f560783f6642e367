/* bench_faithfulness.c - which attribution says most of what a detector looked at: every method on
 * the same pictures, measured by src/field/faithfulness.h, beside maps that know nothing of the
 * model. Prints a table in Markdown; docs/faithfulness.md holds one.
 *
 *     bench_faithfulness [--images N] [--skip K] [--steps S] [--masks M] [--copies C]
 *                        [--window W] [--stride W]
 *                        [--sensitivity N] [--cascade N] [--target score|thing]
 *                        [--methods A,B,..] [--hidden mean|blur|grey] [--threads T]
 *                        [--rows FILE] MODEL.onnx FOLDER
 *
 * FOLDER's pictures are taken in the order of their names, N of them behind the first K. The target
 * is the score of the best detection, element 0 of the scores, which may become another thing's
 * when pixels are hidden; with `thing`, the best score of its class times the overlap with its box.
 * Areas under curves are as shares of the target. --sensitivity N: on the first N pictures. Numbers
 * are means with their standard errors over pictures; differences are paired. A detector of the
 * kind that omma detect takes is needed; a number of its sizes is always that of its input. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "field/faithfulness.h"
#include "model/model.h"
#include "task/detector.h"

enum { MOST = 4096 };

/* What is measured of a map. */
enum {
    DELETION,
    VS_RANDOM,
    VS_CENTRE,
    INSERTION,
    HIT,
    SHARE,
    REST,
    MOVED,
    TOP_RANDOM,
    ALL_RANDOM,
    SECONDS,
    RUNS,
    COLUMNS
};

static const char *const heads[COLUMNS] = {
    "deletion",    "less random", "less centre", "insertion",  "pointing", "in the box",
    "unexplained", "sensitivity", "top random",  "all random", "seconds",  "runs"};

typedef struct tally {
    int n;
    double sum, square;
} tally;

typedef struct bench {
    omma_options opt;
    int images, skip, steps, masks, copies, sensitivity, cascade, window, stride;
    bool thing;
    omma_baseline hidden;
    bool take[OMMA_METHODS];
    omma_detector *detector;
    omma_model *model;
    const char *scores, *boxes, *labels;
    int image; /* the input */
    /* Of the picture at hand: */
    int at, layers;
    omma_tensor in[2];
    int64_t size[2];
    double box[4];                        /* of the best detection [px of the input] */
    double f, row[OMMA_METHODS][COLUMNS]; /* NaN: not measured */
    omma_target ask;
    omma_attribution *attribution;
    tally tally[OMMA_METHODS][COLUMNS];
    tally target;
    const char *rows; /* a file; NULL: none */
    bool done[MOST];  /* by picture: its rows were in the file */
    char says[OMMA_METHODS][256], curve[2][128], rest[160], moved[96];
} bench;

static void add(tally *t, double v) {
    if (!isfinite(v)) return;
    t->n++;
    t->sum += v;
    t->square += v * v;
}

static double mean_of(const tally *t) { return t->sum / t->n; }

static double error_of(const tally *t) {
    const double m = mean_of(t), var = (t->square - t->n * m * m) / (t->n - 1);
    return t->n > 1 ? sqrt(fmax(var, 0) / t->n) : NAN;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* --- the model ------------------------------------------------------------------------------- */

static omma_status open_model(bench *b, const char *path, omma_error *err) {
    OMMA_TRY(omma_detector_new(&b->detector, path, &b->opt, err));
    OMMA_TRY(omma_model_open(&b->model, path, &b->opt, err));
    for (int i = 0; i < omma_model_input_count(b->model); i++)
        if (omma_model_input(b->model, i)->rank == 4) b->image = i;
    for (int i = 0; i < omma_model_output_count(b->model); i++) {
        const omma_port *p = omma_model_output(b->model, i);
        if (p->dtype == OMMA_I64) b->labels = p->name;
        else if (p->rank == 3) b->boxes = p->name;
        else b->scores = p->name;
    }
    return OMMA_OK;
}

/* --- one map --------------------------------------------------------------------------------- */

static omma_status curves(bench *b, const omma_heat *h, omma_method m, omma_error *err) {
    omma_curve c;
    for (int insert = 0; insert < 2; insert++) {
        const omma_curve_how how = {.insert = insert, .steps = b->steps, .baseline = b->hidden};
        OMMA_TRY(omma_curve_measure(b->attribution, &c, h->map, b->in, 2, &how, err));
        b->row[m][insert ? INSERTION : DELETION] = c.auc / h->f;
        memcpy(b->curve[insert], c.says, sizeof c.says);
    }
    return OMMA_OK;
}

/* With one layer's weights shuffled, and with all. A model of random weights may have no answer. */
static omma_status shuffle(bench *b, const omma_attribution_how *how, omma_arena *arena,
                           omma_error *err) {
    omma_cascade c;
    const omma_cascade_how k = {.maps = 2, .seed = 4};
    const omma_status s = omma_cascade_measure(&c, b->model->graph, b->model->path, &b->ask,
                                               b->image, b->in, 2, how, &k, &b->opt, arena, err);
    if (s == OMMA_E_RANGE) return OMMA_OK;
    if (s) return s;
    b->row[how->method][TOP_RANDOM] = c.step[0].correlation;
    b->row[how->method][ALL_RANDOM] = c.step[1].correlation;
    b->layers = c.layers;
    return OMMA_OK;
}

static omma_status measure(bench *b, omma_method m, omma_arena *arena, omma_error *err) {
    const omma_attribution_how how = {.method = m,
                                      .seed = 1,
                                      .masks = b->masks,
                                      .samples = b->copies,
                                      .window = b->window,
                                      .stride = b->stride};
    omma_heat h;
    omma_pointing p;
    omma_infidelity q;
    double *row = b->row[m];
    const double from = now();
    OMMA_TRY(omma_attribution_run(b->attribution, &h, b->in, 2, &how, arena, err));
    row[SECONDS] = now() - from;
    snprintf(b->says[m], sizeof b->says[m], "%s", h.says);
    row[RUNS] = (double)(h.forward + h.back);
    OMMA_TRY(curves(b, &h, m, err));
    OMMA_TRY(omma_pointing_box(&p, h.map, h.height, h.width, b->box, 0, err));
    row[HIT] = p.hit;
    row[SHARE] = p.share;
    const omma_infidelity_how i = {.seed = 2, .baseline = {.kind = OMMA_BASELINE_MEAN}};
    OMMA_TRY(omma_infidelity_measure(b->attribution, &q, &h, b->in, 2, &i, err));
    row[REST] = q.rest;
    memcpy(b->rest, q.says, sizeof q.says);
    if (b->at < b->cascade) OMMA_TRY(shuffle(b, &how, arena, err));
    if (b->at >= b->sensitivity) return OMMA_OK;
    omma_sensitivity s;
    const omma_sensitivity_how j = {.samples = 3, .seed = 3};
    OMMA_TRY(omma_sensitivity_measure(b->attribution, &s, &how, b->in, 2, &j, err));
    row[MOVED] = s.max;
    memcpy(b->moved, s.says, sizeof s.says);
    return OMMA_OK;
}

static omma_status feed(bench *b, const omma_image *img, int *label, omma_error *err) {
    const omma_detection *found;
    int n;
    OMMA_TRY(omma_detector_run(b->detector, &found, &n, img, err));
    if (!n) return omma_fail(err, OMMA_E_SHAPE, "the detector found nothing");
    OMMA_TRY(omma_detector_feed(b->detector, b->in, b->size, img, err));
    const int64_t h = b->in[b->image].dims[2], w = b->in[b->image].dims[3];
    *label = found[0].label;
    for (int k = 0; k < 4; k++)
        b->box[k] =
            (double)found[0].box[k] * (k % 2 ? (double)h / img->height : (double)w / img->width) -
            0.5;
    b->size[0] = w, b->size[1] = h;
    return OMMA_OK;
}

/* Deletion against that of the blind maps. */
static void compare(bench *b) {
    for (int m = 1; m < OMMA_METHODS; m++) {
        const double d = b->row[m][DELETION];
        if (m != OMMA_METHOD_RANDOM)
            b->row[m][VS_RANDOM] = d - b->row[OMMA_METHOD_RANDOM][DELETION];
        if (m != OMMA_METHOD_CENTRE)
            b->row[m][VS_CENTRE] = d - b->row[OMMA_METHOD_CENTRE][DELETION];
    }
}

/* --- rows: a line for each picture and method ------------------------------------------------- */

static void count_row(bench *b, int m, const double *row) {
    for (int c = 0; c < COLUMNS; c++) add(&b->tally[m][c], row[c]);
}

static omma_status keep(bench *b, omma_error *err) {
    FILE *f = b->rows ? fopen(b->rows, "a") : NULL;
    if (b->rows && !f) return omma_fail(err, OMMA_E_IO, "%s cannot be written", b->rows);
    add(&b->target, b->f);
    for (int m = 1; m < OMMA_METHODS; m++) {
        if (!b->take[m]) continue;
        count_row(b, m, b->row[m]);
        if (!f) continue;
        fprintf(f, "%d %s %g", b->skip + b->at, omma_method_name((omma_method)m), b->f);
        for (int c = 0; c < COLUMNS; c++) fprintf(f, " %g", b->row[m][c]);
        fputc('\n', f);
    }
    if (f) fclose(f);
    return OMMA_OK;
}

/* What an earlier run got to. */
static void read_rows(bench *b) {
    FILE *f = b->rows ? fopen(b->rows, "r") : NULL;
    char name[64];
    int picture;
    double target, row[COLUMNS];
    while (f && fscanf(f, "%d %63s %lg", &picture, name, &target) == 3) {
        const omma_method m = omma_method_find(name);
        for (int c = 0; c < COLUMNS; c++)
            if (fscanf(f, "%lg", &row[c]) != 1) row[c] = NAN;
        if (m == OMMA_METHODS || picture < 0 || picture >= MOST) continue;
        count_row(b, m, row);
        if (!b->done[picture]) add(&b->target, target);
        b->done[picture] = true;
    }
    if (f) fclose(f);
}

/* --- one picture ----------------------------------------------------------------------------- */

static omma_status look(bench *b, const omma_image *img, omma_error *err) {
    omma_target *t = &b->ask;
    *t = (omma_target){.kind = OMMA_TARGET_ELEMENT, .value = b->scores};
    int label = 0;
    OMMA_TRY(feed(b, img, &label, err));
    if (b->thing) {
        *t = (omma_target){.kind = OMMA_TARGET_DETECTION,
                           .value = b->scores,
                           .boxes = b->boxes,
                           .labels = b->labels,
                           .label = label};
        for (int k = 0; k < 4; k++) t->box[k] = b->box[k] + 0.5;
    }
    if (b->thing || !b->attribution) {
        omma_attribution_free(b->attribution);
        OMMA_TRY(omma_attribution_new(&b->attribution, b->model->graph, b->model->path, t, b->image,
                                      &b->opt, err));
    }
    OMMA_TRY(omma_attribution_value(b->attribution, &b->f, b->in, 2, err));
    for (int m = 1; m < OMMA_METHODS; m++)
        for (int c = 0; c < COLUMNS; c++) b->row[m][c] = NAN;
    for (int m = 1; m < OMMA_METHODS; m++) {
        omma_arena arena;
        if (!b->take[m]) continue;
        omma_arena_init(&arena, NULL);
        const omma_status s = measure(b, (omma_method)m, &arena, err);
        omma_arena_free(&arena);
        if (s) return s;
    }
    compare(b);
    return keep(b, err);
}

static int is_picture(const struct dirent *e) { return omma_image_is_picture_name(e->d_name); }

static omma_status look_at_all(bench *b, const char *folder, omma_error *err) {
    struct dirent **list;
    const int n = scandir(folder, &list, is_picture, alphasort);
    omma_status s = n > b->skip ? OMMA_OK : omma_fail(err, OMMA_E_IO, "no pictures in %s", folder);
    for (int i = 0; i < n; i++) {
        char path[MOST];
        omma_image img = {0};
        if (i >= b->skip && i - b->skip < b->images && !s && (i >= MOST || !b->done[i])) {
            b->at = i - b->skip;
            snprintf(path, sizeof path, "%s/%s", folder, list[i]->d_name);
            s = omma_image_load(&img, path, err);
            if (!s) s = look(b, &img, err);
            fprintf(stderr, "\r%d", b->at + 1);
        }
        omma_image_free(&img);
        free(list[i]);
    }
    fputc('\n', stderr);
    if (n >= 0) free(list);
    return s;
}

/* --- the table ------------------------------------------------------------------------------- */

static void print_table(const bench *b) {
    printf("%d pictures, target: %s, mean %.3f; %s; %s; %s; %s; "
           "%d layers\n\n",
           b->target.n, b->thing ? "best score x overlap of the thing found" : "the best score",
           mean_of(&b->target), b->curve[0], b->curve[1], b->rest, b->moved, b->layers);
    printf("| method |");
    for (int c = 0; c < COLUMNS; c++) printf(" %s |", heads[c]);
    printf("\n|---|");
    for (int c = 0; c < COLUMNS; c++) printf("---|");
    for (int m = 1; m < OMMA_METHODS; m++) {
        if (!b->take[m]) continue;
        printf("\n| %s |", omma_method_name((omma_method)m));
        for (int c = 0; c < COLUMNS; c++) {
            const tally *t = &b->tally[m][c];
            if (!t->n) printf(" |");
            else if (c == RUNS) printf(" %.0f |", mean_of(t));
            else if (c == SECONDS) printf(" %.2f |", mean_of(t));
            else printf(" %.3f ± %.3f |", mean_of(t), error_of(t));
        }
    }
    printf("\n\n");
    for (int m = 1; m < OMMA_METHODS; m++)
        if (b->take[m] && *b->says[m])
            printf("- %s: %s\n", omma_method_name((omma_method)m), b->says[m]);
}

/* --- arguments ------------------------------------------------------------------------------- */

static bool take_methods(bench *b, char *list) {
    memset(b->take, 0, sizeof b->take);
    for (char *s = strtok(list, ","); s; s = strtok(NULL, ",")) {
        const omma_method m = omma_method_find(s);
        if (m == OMMA_METHODS) return false;
        b->take[m] = true;
    }
    return true;
}

static bool take_hidden(bench *b, const char *name) {
    static const char *const names[] = {"", "mean", "blur", "grey"};
    for (int k = 1; k < 4; k++)
        if (!strcmp(name, names[k]))
            b->hidden = (omma_baseline){(omma_baseline_kind)k, {.5, .5, .5, .5}, 0};
    return b->hidden.kind != OMMA_BASELINE_DEFAULT;
}

static bool take_option(bench *b, const char *name, char *value) {
    int *const number[] = {&b->images,      &b->skip,    &b->steps,       &b->masks,  &b->copies,
                           &b->sensitivity, &b->cascade, &b->opt.threads, &b->window, &b->stride};
    static const char *const names[] = {"--images", "--skip",        "--steps",   "--masks",
                                        "--copies", "--sensitivity", "--cascade", "--threads",
                                        "--window", "--stride"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i])) {
            *number[i] = atoi(value);
            return *number[i] >= 0;
        }
    if (!strcmp(name, "--methods")) return take_methods(b, value);
    if (!strcmp(name, "--hidden")) return take_hidden(b, value);
    if (!strcmp(name, "--rows")) b->rows = value;
    if (!strcmp(name, "--rows")) return true;
    b->thing = !strcmp(value, "thing");
    return !strcmp(name, "--target") && (b->thing || !strcmp(value, "score"));
}

int main(int argc, char **argv) {
    static bench b = {.opt = {.threads = 1}, .images = 50, .steps = 32, .masks = 512, .copies = 16};
    omma_error err = {0};
    int i = 1;
    bool good = true;
    memset(b.take + 1, 1, sizeof b.take - 1);
    for (; i + 1 < argc && !strncmp(argv[i], "--", 2) && good; i += 2)
        good = take_option(&b, argv[i], argv[i + 1]);
    if (!good || argc - i != 2) {
        fputs("usage: bench_faithfulness [--images N] [--skip K] [--steps S] [--masks M]\n"
              "           [--copies C] [--window W] [--stride W] [--sensitivity N] [--target "
              "score|thing] [--methods A,B,..]\n"
              "           [--hidden mean|blur|grey] [--threads T] MODEL.onnx FOLDER\n",
              stderr);
        return 2;
    }
    omma_status s = open_model(&b, argv[i], &err);
    read_rows(&b);
    if (!s) s = look_at_all(&b, argv[i + 1], &err);
    if (s) fprintf(stderr, "%s\n", err.message);
    else print_table(&b);
    omma_attribution_free(b.attribution);
    omma_model_free(b.model);
    omma_detector_free(b.detector);
    return s ? 1 : 0;
}

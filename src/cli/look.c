/* look.c - `omma look`: a report of one picture and one model that a person can point at: fields of
 * all stages, tokens and attention, the account of how context changed them, answers. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/look_job.h"
#include "cli/samples.h"
#include "file/bytes.h"
#include "file/image.h"
#include "run/cost.h"

static const char help_text[] =
    "omma look: see what a model sees in a picture, in a browser.\n\n"
    "usage: omma look IMAGE -m MODEL [-m MODEL]... [-o REPORT.html]\n"
    "       omma look IMAGE -m MODEL [--unit UNIT]... --json\n"
    "       omma look IMAGE -m MODEL --unit UNIT --png FILE [--show VIEW]\n\n"
    "Writes one HTML file that opens offline in any browser. Point at a pixel: the cells of every\n"
    "layer that it reaches light up. Point at a cell or a token: what it can see, exactly; what\n"
    "it attends to, head by head; how context changed its numbers.\n\n"
    "  -m, --model MODEL      an ONNX model with a picture for its input; several: side by side\n"
    "  -o, --output FILE      the report; default look.html\n"
    "      --unit UNIT        what to go into, instead of a few of each kind; may be repeated:\n"
    "                         pixel:y,x, cell:LAYER[:y,x], token:N (of several sequences:\n"
    "                         token:K.N), query:N, answer:N[:left|top|right|bottom]\n"
    "      --json             the report's numbers for programs, instead of the page: to the "
    "output\n"
    "                         if -o names one, else printed\n"
    "      --png FILE         the first unit over the picture, as a picture\n"
    "      --show VIEW        as what: field, reached, effective, looks-at, looked-at-by, "
    "sources,\n"
    "                         relevance, attribution, steps\n"
    "      --layer N, --head N  which attention (layer, block) and head; default the last, the "
    "mean\n"
    "      --attribute LIST   methods of the maps of what made an answer, as occlusion,gradient,\n"
    "                         or all, or none; default occlusion\n"
    "      --effort N         how many runs maps and their measures may take, 0 to 3; default 1,\n"
    "                         0 for large models\n"
    "      --size HxW         the picture's size, where the model leaves it open; default: its "
    "own\n"
    "                         shape where one side is open, 224x224 where both are\n"
    "      --mean R,G,B, --std R,G,B  how it is prepared, y = (x / 255 - mean) / std\n"
    "      --threads N        threads to use\n"
    "  -h, --help             this text\n" OMMA_CLI_MODEL_HELP "\n"
    "examples:\n"
    "  omma look photo.jpg -m deimv2.onnx\n"
    "  omma look cat.jpg -m vit.onnx --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225\n";

enum { MODELS = 4, PARTS = 14, SECONDS = 5 };

static const double LARGE = 20e9; /* [FLOP a run] */

/* --- options and picture --------------------------------------------------------------------- */

static bool triple(const char *s, double out[3]) {
    char rest;
    return sscanf(s, "%lf,%lf,%lf%c", &out[0], &out[1], &out[2], &rest) == 3;
}

/* Where a model leaves one side open the picture keeps its shape; where it leaves both, 224 x 224.
 */
static omma_status choose_size(const omma_look_job *j, const omma_port *p, omma_samples_how *how,
                               omma_error *err) {
    omma_image img;
    const bool open_h = p->dims[2] < 1, open_w = p->dims[3] < 1;
    if (open_h && open_w) how->h = how->w = 224;
    if (open_h == open_w) return OMMA_OK;
    OMMA_TRY(omma_image_load(&img, j->image, err));
    const double shape = (double)img.width / img.height;
    const double side = open_w ? (double)p->dims[2] * shape : (double)p->dims[3] / shape;
    const int other = (int)fmin(fmax(8, 8 * round(side / 8)), OMMA_IMAGE_MAX_SIDE);
    omma_image_free(&img);
    how->h = open_h ? other : (int)p->dims[2];
    how->w = open_w ? other : (int)p->dims[3];
    return OMMA_OK;
}

static omma_status prepare(omma_look_job *j, omma_error *err) {
    const omma_tensor *const *samples;
    int n;
    omma_samples_how how = {.model = j->path, .most = 1, .std = {1, 1, 1}, .opt = j->opt};
    if (j->mean) (void)triple(j->mean, how.mean);
    if (j->std) (void)triple(j->std, how.std);
    if (j->size) (void)sscanf(j->size, "%dx%d", &how.h, &how.w);
    const omma_port *p = omma_model_input(j->model, 0);
    if (!j->size && p->rank == 4) OMMA_TRY(choose_size(j, p, &how, err));
    OMMA_TRY(omma_samples_read(&samples, &n, &j->arena, j->model, j->image, &how, err));
    j->in = samples[0];
    return OMMA_OK;
}

/* --- the report ------------------------------------------------------------------------------ */

/* A model's name for people: of its file, and of its folder where all files are called that. */
static const char *name_of(const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash) return path;
    const char *name = slash + 1;
    if (strcmp(name, "model.onnx") != 0) return name;
    while (slash > path && slash[-1] != '/') slash--;
    return slash;
}

/* How far it is: a line that is written over on a terminal, else one every few seconds. done 0: the
 * end. */
static void tell_progress(omma_look_job *j, int done, const char *what) {
    struct timespec t;
    const bool terminal = isatty(STDERR_FILENO);
    clock_gettime(CLOCK_MONOTONIC, &t);
    const double now = (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
    if (j->told <= 0) j->told = now;
    if (terminal && !done) fputs("\r\033[K", stderr);
    else if (terminal) fprintf(stderr, "\r\033[Klook %d/%d: %s", done, PARTS, what);
    else if (done && now - j->told > SECONDS) {
        fprintf(stderr, "look %d/%d: %s\n", done, PARTS, what);
        j->told = now;
    }
}

static omma_status put_model(omma_look_job *j, omma_error *err) {
    char shape[96];
    int n = 0;
    for (int d = 0; d < j->in[0].rank; d++)
        n += snprintf(shape + n, sizeof shape - (size_t)n, "%s%lld", d ? "x" : "",
                      (long long)j->in[0].dims[d]);
    const omma_report_about_model about = {.name = name_of(j->path),
                                           .file_bytes = (int64_t)j->model->file.size,
                                           .parameters = j->model->parameters,
                                           .input = shape,
                                           .width = (int)j->table.image->dims[j->table.across],
                                           .height = (int)j->table.image->dims[j->table.down],
                                           .seconds = NAN};
    return omma_report_model(j->report, &about, err);
}

/* In this order: later parts refer to earlier ones. */
static const struct {
    const char *what;
    omma_status (*put)(omma_look_job *j, omma_error *err);
} parts[PARTS] = {{"the model", put_model},
                  {"layers", omma_look_put_layers},
                  {"tokens", omma_look_put_tokens},
                  {"queries", omma_look_find_queries},
                  {"answers", omma_look_put_answers},
                  {"units", omma_look_choose},
                  {"sets", omma_look_put_sets},
                  {"pixels", omma_look_put_pixels},
                  {"attention", omma_look_put_attentions},
                  {"what blocks do", omma_look_put_blocks},
                  {"why tokens changed", omma_look_put_ledgers},
                  {"queries through the decoder", omma_look_put_queries},
                  {"effective fields and attributions", omma_look_put_heat},
                  {"relevance", omma_look_put_relevance}};

static omma_status put_parts(omma_look_job *j, omma_error *err) {
    const omma_anatomy *a = omma_sight_anatomy(j->sight);
    for (int i = 0; i < PARTS; i++) {
        tell_progress(j, i + 1, parts[i].what);
        OMMA_TRY(parts[i].put(j, err));
    }
    return a->missing && *a->missing ? omma_report_note(j->report, OMMA_REPORT_ALL, a->missing, err)
                                     : OMMA_OK;
}

/* --- models ------------------------------------------------------------------------------------
 */

static omma_status open_model(omma_look_job *j, int i, omma_error *err) {
    j->path = j->models.items[i];
    omma_arena_init(&j->arena, NULL);
    OMMA_TRY(omma_model_open(&j->model, j->path, &j->opt, err));
    OMMA_TRY(prepare(j, err));
    OMMA_TRY(
        omma_sight_new(&j->sight, j->model, j->in, omma_model_input_count(j->model), &j->opt, err));
    OMMA_TRY(omma_field_table_make(&j->table, omma_sight_fov(j->sight), OMMA_FIELD_STRUCTURAL,
                                   false, &j->arena, err));
    const omma_graph *g = omma_sight_fov(j->sight)->specialised.graph;
    double flops = 0;
    for (int k = 0; k < g->n_nodes; k++) flops += omma_cost_flops(g->nodes[k]);
    j->large = flops > LARGE;
    j->image_input = 0;
    for (int k = 0; k < g->n_inputs; k++)
        if (g->inputs[k] == j->table.image) j->image_input = k;
    return OMMA_OK;
}

static void close_model(omma_look_job *j) {
    omma_sight_free(j->sight);
    omma_model_free(j->model);
    omma_arena_free(&j->arena);
    j->sight = NULL;
    j->model = NULL;
}

/* Is it for programs? A picture is drawn from what they would get. */
static bool is_plain(const omma_look_job *j) { return j->json || j->png; }

static omma_status begin(omma_look_job *j, FILE *file, omma_error *err) {
    omma_bytes picture;
    OMMA_TRY(omma_bytes_read(&picture, j->image, OMMA_IMAGE_MAX_FILE, err));
    const char *slash = strrchr(j->image, '/');
    const omma_report_about about = {.picture = picture.data,
                                     .picture_size = picture.size,
                                     .width = (int)j->table.image->dims[j->table.across],
                                     .height = (int)j->table.image->dims[j->table.down],
                                     .name = slash ? slash + 1 : j->image,
                                     .command = j->command,
                                     .plain = is_plain(j)};
    const omma_status s = omma_report_begin(&j->report, file, &about, err);
    omma_bytes_free(&picture);
    return s;
}

/* What was found, in a line for people. */
static void tell(const omma_look_job *j) {
    const omma_anatomy *a = omma_sight_anatomy(j->sight);
    printf("%d attentions, %d feed-forward blocks, %lld object queries\n", a->n_attention,
           a->n_feed_forward, (long long)a->object_queries);
}

static omma_status stream(omma_look_job *j, FILE *file, omma_error *err) {
    omma_status s = OMMA_OK;
    for (int i = 0; i < j->models.count && !s; i++) {
        s = open_model(j, i, err);
        if (!s && !i) s = begin(j, file, err);
        if (!s) s = put_parts(j, err);
        if (!s && !is_plain(j)) tell_progress(j, 0, NULL), tell(j);
        close_model(j);
    }
    tell_progress(j, 0, NULL);
    if (s) omma_report_free(j->report);
    else s = omma_report_end(j->report, err);
    return s;
}

/* Into memory first: a report that could not be finished is not there. */
static omma_status work(omma_look_job *j, omma_error *err) {
    char *text = NULL;
    size_t size = 0;
    const char *output = j->output ? j->output : is_plain(j) ? NULL : "look.html";
    if (j->png) OMMA_TRY(omma_bytes_writable(j->png, err));
    if (output) OMMA_TRY(omma_bytes_writable(output, err));
    FILE *file = open_memstream(&text, &size);
    if (!file) return omma_fail(err, OMMA_E_NOMEM, "no memory for a report");
    omma_status s = stream(j, file, err);
    if (fclose(file) && !s) s = omma_fail(err, OMMA_E_NOMEM, "no memory for a report");
    if (!s && output) s = omma_bytes_write(output, text, size, err);
    else if (!s && j->json) fwrite(text, 1, size, stdout);
    if (!s && j->png) s = omma_look_draw(j, text, size, err);
    free(text);
    if (s || is_plain(j)) return s;
    omma_cli_put_name(output, 0);
    printf(": %.1f MB; open it in a browser\n", (double)size / 1e6);
    return OMMA_OK;
}

static int check(omma_look_job *j, const omma_cli_list *args) {
    double three[3];
    int h, w;
    char rest;
    if (args->count != 1)
        return omma_cli_misused("look", args->count ? "one picture at a time" : "no picture given");
    if (!j->models.count) return omma_cli_misused("look", "-m says no model");
    if (j->show && (!j->png || !omma_look_is_view(j->show)))
        return omma_cli_misused("look", j->png ? "--show knows no '%s'" : "--show is for --png",
                                j->show);
    if (j->models.count > MODELS)
        return omma_cli_misused("look", "%d models; at most %d", j->models.count, MODELS);
    if (j->units.count > OMMA_LOOK_UNITS)
        return omma_cli_misused("look", "%d units; at most %d", j->units.count, OMMA_LOOK_UNITS);
    for (int i = 0; i < j->units.count; i++)
        if (!omma_look_is_unit(j->units.items[i]))
            return omma_cli_misused("look",
                                    "--unit wants pixel:y,x, cell:LAYER[:y,x], token:N, query:N or "
                                    "answer:N[:left|top|right|bottom], not '%s'",
                                    j->units.items[i]);
    if (j->attribute && !omma_look_are_methods(j->attribute))
        return omma_cli_misused("look",
                                "--attribute wants methods as occlusion,gradient, all or "
                                "none, not '%s'",
                                j->attribute);
    if (j->effort < -1 || j->effort > 3) return omma_cli_misused("look", "--effort wants 0 to 3");
    if ((j->mean && !triple(j->mean, three)) || (j->std && !triple(j->std, three)))
        return omma_cli_misused("look", "--mean and --std want R,G,B");
    if (j->std && !(three[0] > 0 && three[1] > 0 && three[2] > 0))
        return omma_cli_misused("look", "--std wants numbers above 0");
    if (j->size && (sscanf(j->size, "%dx%d%c", &h, &w, &rest) != 2 || h < 1 || w < 1 ||
                    h > OMMA_IMAGE_MAX_SIDE || w > OMMA_IMAGE_MAX_SIDE))
        return omma_cli_misused("look", "--size wants HxW, not '%s'", j->size);
    j->image = args->items[0];
    if (!omma_image_is_picture_name(j->image))
        return omma_cli_misused("look", "'%s' is no picture (.jpg .jpeg .png .webp)", j->image);
    return 0;
}

/* Does an option say nothing about what is in a report? How many arguments it takes up; 0: no. */
static int is_beside(const char *arg) {
    static const char *const words[] = {"--threads", "--output"};
    if (!strncmp(arg, "-o", 2)) return arg[2] ? 1 : 2;
    for (int i = 0; i < 2; i++) {
        const size_t n = strlen(words[i]);
        if (!strncmp(arg, words[i], n)) return arg[n] == '=' ? 1 : 2;
    }
    return 0;
}

/* What was typed, for the reader of the report to repeat; NULL: too long. */
static const char *typed(int argc, char **argv, char *out, size_t size) {
    size_t n = (size_t)snprintf(out, size, "omma look");
    for (int i = 1; i < argc; i++) {
        const bool quoted = strpbrk(argv[i], " \t\n'\"\\$`*?[]{}()<>|&;#!") != NULL;
        if (strchr(argv[i], '\'')) return NULL; /* rather nothing than a command that is another */
        const int beside = is_beside(argv[i]);
        if (beside) {
            i += beside - 1;
            continue;
        }
        n += (size_t)snprintf(out + n, n < size ? size - n : 0, quoted ? " '%s'" : " %s", argv[i]);
        if (n >= size) return NULL;
    }
    return out;
}

int omma_cli_look(int argc, char **argv) {
    omma_look_job j = {.layer = -1, .head = -1, .effort = -1};
    char command[1000];
    omma_error err;
    omma_cli_list args;
    int want_help;
    const omma_cli_option options[] = {{'m', "model", 'm', &j.models},
                                       {'o', "output", 's', &j.output},
                                       {0, "unit", 'm', &j.units},
                                       {0, "json", 'b', &j.json},
                                       {0, "png", 's', &j.png},
                                       {0, "show", 's', &j.show},
                                       {0, "layer", 'i', &j.layer},
                                       {0, "head", 'i', &j.head},
                                       {0, "attribute", 's', &j.attribute},
                                       {0, "effort", 'i', &j.effort},
                                       {0, "size", 's', &j.size},
                                       {0, "mean", 's', &j.mean},
                                       {0, "std", 's', &j.std},
                                       {0, "threads", 't', &j.opt.threads},
                                       OMMA_CLI_MODEL_OPTIONS(j.opt)};
    int status =
        omma_cli_parse(argc, argv, options, sizeof options / sizeof *options, &args, &want_help);
    if (want_help) fputs(help_text, stdout);
    j.command = typed(argc, argv, command, sizeof command);
    if (!want_help && !status && !(status = check(&j, &args)) && work(&j, &err))
        status = omma_cli_failed("look", &err);
    free(j.models.items);
    free(j.units.items);
    free(args.items);
    return omma_cli_finish("look", status);
}

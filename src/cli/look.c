/* look.c - `omma look`: a report of one picture and one model that a person can point at: fields of
 * all stages, tokens and attention, the account of how context changed them, answers. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/samples.h"
#include "field/field_table.h"
#include "field/ledger.h"
#include "file/bytes.h"
#include "file/image.h"
#include "task/coco_names.h"
#include "task/detector.h"
#include "view/report_layers.h"

static const char help_text[] =
    "omma look: see what a model sees in a picture, in a browser.\n\n"
    "usage: omma look IMAGE -m MODEL [-o REPORT.html]\n\n"
    "Writes one HTML file that opens offline in any browser. Point at a pixel: the cells of every\n"
    "layer that it reaches light up. Point at a cell or a token: what it can see, exactly; what\n"
    "it attends to, head by head; how context changed its numbers.\n\n"
    "  -m, --model MODEL      an ONNX model with a picture for its input\n"
    "  -o, --output FILE      the report; default look.html\n"
    "      --size HxW         the picture's size, where the model leaves it open; default 224x224\n"
    "      --mean R,G,B, --std R,G,B  how it is prepared, y = (x / 255 - mean) / std\n"
    "      --threads N        threads to use\n"
    "  -h, --help             this text\n" OMMA_CLI_MODEL_HELP "\n"
    "examples:\n"
    "  omma look photo.jpg -m deimv2.onnx\n"
    "  omma look cat.jpg -m vit.onnx --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225\n";

enum { ANSWERS = 5 };

typedef struct job {
    const char *image, *path, *output, *size, *mean, *std;
    omma_options opt;
    omma_arena arena;
    omma_model *model;
    const omma_tensor *in;
    omma_sight *sight;
    omma_field_table table;
    int *part; /* by value of the graph: the layer whose cells it has */
    omma_report *report;
    int *tokens;    /* by attention, query then key: parts of the report */
    int *attention; /* by attention */
} job;

/* --- options and picture --------------------------------------------------------------------- */

static bool triple(const char *s, double out[3]) {
    char rest;
    return sscanf(s, "%lf,%lf,%lf%c", &out[0], &out[1], &out[2], &rest) == 3;
}

static omma_status prepare(job *j, omma_error *err) {
    const omma_tensor *const *samples;
    int n;
    omma_samples_how how = {.model = j->path, .most = 1, .std = {1, 1, 1}, .opt = j->opt};
    if (j->mean) (void)triple(j->mean, how.mean);
    if (j->std) (void)triple(j->std, how.std);
    if (j->size) (void)sscanf(j->size, "%dx%d", &how.h, &how.w);
    const omma_port *p = omma_model_input(j->model, 0);
    const bool open = p->rank == 4 && (p->dims[2] < 1 || p->dims[3] < 1);
    if (!j->size && open) how.h = how.w = 224;
    OMMA_TRY(omma_samples_read(&samples, &n, &j->arena, j->model, j->image, &how, err));
    j->in = samples[0];
    return OMMA_OK;
}

/* --- fields ------------------------------------------------------------------------------------
 */

/* The layers, and the cell that the page begins with: the middle one of the last stage that sees
 * less than a fifth of the picture. */
static omma_status put_layers(job *j, omma_error *err) {
    const omma_fov *f = omma_sight_fov(j->sight);
    omma_report_unit start = {.what = OMMA_REPORT_CELL, .part = -1};
    j->part =
        omma_arena_array(&j->arena, (size_t)f->specialised.graph->n_values + 1, sizeof *j->part);
    if (!j->part) return omma_fail(err, OMMA_E_NOMEM, "no memory for a report");
    OMMA_TRY(omma_report_layers(j->report, f, j->part, err));
    for (int i = 0; i < j->table.count; i++) {
        const omma_field_row *r = &j->table.row[i];
        const int part = j->part[r->value->index];
        if (!r->stage || part < 0 || (start.part >= 0 && r->share >= 0.2)) continue;
        start.part = part, start.y = r->y.cells / 2, start.x = r->x.cells / 2;
    }
    return start.part < 0 ? OMMA_OK : omma_report_start(j->report, &start, err);
}

/* --- tokens and attention ------------------------------------------------------------------------
 */

static omma_status put_tokens(job *j, const omma_tokens *t, const char *label, bool queries,
                              int *index, omma_error *err) {
    const bool grid = t->placed && !t->place;
    const bool one = t->rows.axis == t->columns.axis;
    const omma_report_grid g = {.from = one ? t->rows.off : 0,
                                .rows = t->rows.mod,
                                .columns = t->columns.mod,
                                .row_step = one ? t->rows.div : t->columns.mod,
                                .column_step = one ? t->columns.div : 1,
                                .first_y = t->first_y,
                                .first_x = t->first_x,
                                .jump_y = t->jump_y,
                                .jump_x = t->jump_x,
                                .layer = j->part[t->value->index]};
    const omma_report_tokens_info info = {.label = label,
                                          .count = t->count,
                                          .grid = grid ? &g : NULL,
                                          .n_grid = grid,
                                          .queries = queries};
    return omma_report_tokens(j->report, &info, index, err);
}

static bool same_tokens(const omma_tokens *a, const omma_tokens *b) {
    return a->count == b->count && a->placed == b->placed && a->special == b->special &&
           a->rows.mod == b->rows.mod && a->columns.mod == b->columns.mod && a->jump_y == b->jump_y;
}

/* The part that these tokens are, made if they are new. */
static omma_status tokens_of(job *j, const omma_anatomy *a, int k, bool key, omma_error *err) {
    const omma_attention *at = &a->attention[k];
    const omma_tokens *t = key ? &at->key : &at->query;
    for (int i = 0; i < 2 * k + key; i++) {
        const omma_attention *b = &a->attention[i / 2];
        if (!same_tokens(i % 2 ? &b->key : &b->query, t)) continue;
        j->tokens[2 * k + key] = j->tokens[i];
        return OMMA_OK;
    }
    char label[128];
    const bool queries = !t->placed && a->object_queries == t->count;
    if (queries) snprintf(label, sizeof label, "%lld object queries", (long long)t->count);
    else snprintf(label, sizeof label, "%lld tokens", (long long)t->count);
    return put_tokens(j, t, label, queries, &j->tokens[2 * k + key], err);
}

typedef struct heads {
    double *distance, *entropy, *on_self;
} heads;

/* Means over queries: of the distance to what is looked at [px], over tokens with a place; entropy
 * [nats]; what goes to the token itself. */
static void measure(const job *j, const omma_attention *a, const float *w, const heads *h) {
    const omma_fov *f = omma_sight_fov(j->sight);
    for (int64_t k = 0; k < a->heads; k++) {
        double far = 0, placed = 0, entropy = 0, self = 0;
        for (int64_t v = 0; v < a->windows; v++)
            for (int64_t q = 0; q < a->queries; q++) {
                const float *row = w + ((v * a->heads + k) * a->queries + q) * a->keys;
                const int64_t from = omma_attention_token(a, f, false, v, q);
                double y0, x0, y1, x1, sum = 0, mass = 0;
                const bool here = from >= 0 && omma_tokens_place(&a->query, from, &y0, &x0);
                for (int64_t i = 0; i < a->keys; i++) {
                    const double p = (double)row[i];
                    const int64_t to = omma_attention_token(a, f, true, v, i);
                    if (p > 0) entropy -= p * log(p);
                    if (a->kind == OMMA_ATTENTION_SELF && to == from) self += p;
                    if (!here || to < 0 || !omma_tokens_place(&a->key, to, &y1, &x1)) continue;
                    sum += p * hypot(y1 - y0, x1 - x0);
                    mass += p;
                }
                if (mass > 0) far += sum / mass, placed++;
            }
        const double rows = (double)(a->windows * a->queries);
        h->distance[k] = placed > 0 ? far / placed : NAN;
        h->entropy[k] = entropy / rows;
        h->on_self[k] = a->kind == OMMA_ATTENTION_SELF ? self / rows : NAN;
    }
}

static omma_status put_attention(job *j, const omma_anatomy *all, int k, omma_error *err) {
    const omma_attention *a = &all->attention[k];
    const float *w = omma_sight_weights(j->sight, k);
    double *room = omma_arena_array(&j->arena, (size_t)(3 * a->heads), sizeof *room);
    const heads h = {room, room + a->heads, room + 2 * a->heads};
    if (!w || !room) return omma_fail(err, OMMA_E_NOMEM, "no memory for a report");
    OMMA_TRY(tokens_of(j, all, k, false, err));
    OMMA_TRY(tokens_of(j, all, k, true, err));
    measure(j, a, w, &h);
    const bool windowed = a->windows > a->batch;
    const char *kind = a->kind == OMMA_ATTENTION_CROSS ? "cross"
                       : windowed                      ? "windowed self"
                                                       : "self";
    const omma_report_attention_info info = {.label = a->label,
                                             .kind = kind,
                                             .stack = a->decoder ? "decoder" : NULL,
                                             .block = a->block,
                                             .query = j->tokens[2 * k],
                                             .key = j->tokens[2 * k + 1],
                                             .windows = a->windows,
                                             .heads = a->heads,
                                             .queries = a->queries,
                                             .keys = a->keys,
                                             .weights = w,
                                             .query_token = a->query_token,
                                             .key_token = a->key_token,
                                             .distance = h.distance,
                                             .entropy = h.entropy,
                                             .on_self = h.on_self,
                                             .uniform = NAN,
                                             .ceiling = log((double)a->keys),
                                             .most = omma_report_room(j->report) /
                                                     (size_t)(all->n_attention - k + 1)};
    return omma_report_attention(j->report, &info, &j->attention[k], err);
}

/* --- the ledger
 * ------------------------------------------------------------------------------------ */

/* A token to begin with: the middle one of those with a place, else the first. */
static int64_t middle_token(const omma_tokens *t) {
    double y, x;
    for (int64_t i = t->count / 2 + t->columns.mod / 2; i < t->count; i++)
        if (omma_tokens_place(t, i, &y, &x)) return i;
    return 0;
}

static omma_status put_account(job *j, const omma_ledger *l, const char *label, int k, bool feed,
                               const omma_attention *a, omma_error *err) {
    float *from = omma_arena_array(&j->arena, (size_t)a->key.count, sizeof *from);
    if (!from) return omma_fail(err, OMMA_E_NOMEM, "no memory for a report");
    for (int64_t i = 0; i < l->sources && !feed; i++)
        if (!(a->kind == OMMA_ATTENTION_SELF && l->entry[i].token == l->token))
            from[l->entry[i].token] = (float)l->entry[i].share;
    const bool self = a->kind == OMMA_ATTENTION_SELF;
    const omma_report_ledger_info info = {.tokens = j->tokens[2 * k],
                                          .token = l->token,
                                          .attention = feed ? -1 : j->attention[k],
                                          .label = label,
                                          .block = a->block,
                                          .norm_before = l->norm_in,
                                          .norm_after = l->norm_out,
                                          .cosine = l->cosine,
                                          .own = feed ? l->kept : l->kept + l->own,
                                          .context = feed ? 0 : l->context,
                                          .feed_forward = feed ? l->own : 0,
                                          .rest = l->bias,
                                          .far = NAN,
                                          .radius = NAN,
                                          .mismatch = l->error,
                                          .from = feed || !self ? NULL : from,
                                          .width = l->width};
    return omma_report_ledger(j->report, &info, NULL, err);
}

/* Accounts that cannot be made (no residual addition) are told in a note, once. */
static omma_status put_ledgers(job *j, const omma_anatomy *a, omma_error *err) {
    char note[512] = "";
    for (int k = 0; k < a->n_attention + a->n_feed_forward; k++) {
        const bool feed = k >= a->n_attention;
        const omma_feed_forward *ff = feed ? &a->feed_forward[k - a->n_attention] : NULL;
        const int of = feed ? ff->after : k;
        omma_ledger l;
        omma_error why;
        if (of < 0) continue;
        const omma_attention *at = &a->attention[of];
        const int64_t token = middle_token(&at->query);
        const omma_status s =
            feed ? omma_ledger_feed_forward(&l, j->sight, ff, token, &j->arena, &why)
                 : omma_ledger_attention(&l, j->sight, at, token, &j->arena, &why);
        if (s == OMMA_OK)
            OMMA_TRY(put_account(j, &l, feed ? ff->label : at->label, of, feed, at, err));
        else if (!*note) snprintf(note, sizeof note, "%.400s", why.message);
    }
    return *note ? omma_report_note(j->report, OMMA_REPORT_LEDGER, note, err) : OMMA_OK;
}

/* --- answers
 * ------------------------------------------------------------------------------------------ */

static omma_status put_detections(job *j, omma_detector *d, const omma_image *img,
                                  omma_error *err) {
    const omma_detection *found;
    int n;
    const double sy = (double)j->table.image->dims[j->table.down] / img->height,
                 sx = (double)j->table.image->dims[j->table.across] / img->width;
    OMMA_TRY(omma_detector_run(d, &found, &n, img, err));
    for (int i = 0; i < n && i < 20; i++) {
        char name[32];
        const float *b = found[i].box;
        if (found[i].score < 0.3f) continue;
        const char *known = omma_coco_name(found[i].label);
        snprintf(name, sizeof name, "class %d", found[i].label);
        const omma_report_answer_info a = {.name = known ? known : name,
                                           .score = (double)found[i].score,
                                           .class_index = found[i].label,
                                           .n_corners = 2,
                                           .corner = {(float)(b[0] * sx), (float)(b[1] * sy),
                                                      (float)(b[2] * sx), (float)(b[3] * sy)},
                                           .query = -1};
        OMMA_TRY(omma_report_answer(j->report, &a, NULL, err));
    }
    return OMMA_OK;
}

/* The classes with the largest scores of an output [1, classes], as a softmax of them. */
static omma_status put_classes(job *j, omma_error *err) {
    const omma_tensor *t = omma_sight_output(j->sight, 0);
    if (!t || t->dtype != OMMA_F32 || t->rank != 2 || t->dims[0] != 1 || t->dims[1] < 2)
        return omma_report_note(j->report, OMMA_REPORT_ANSWERS,
                                "what the model's outputs mean is not known here", err);
    const float *x = t->data;
    const int64_t n = t->dims[1];
    double most = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) most = fmax(most, (double)x[i]);
    for (int64_t i = 0; i < n; i++) sum += exp((double)x[i] - most);
    int64_t last = -1;
    for (int k = 0; k < ANSWERS && k < n; k++) {
        int64_t best = -1;
        for (int64_t i = 0; i < n; i++) {
            const bool before = last >= 0 && (x[i] > x[last] || (x[i] == x[last] && i <= last));
            if (!before && (best < 0 || x[i] > x[best])) best = i;
        }
        char name[32];
        if (best < 0) break;
        snprintf(name, sizeof name, "class %lld", (long long)best);
        const omma_report_answer_info a = {.name = name,
                                           .score = exp((double)x[best] - most) / sum,
                                           .class_index = (int)best,
                                           .query = -1};
        OMMA_TRY(omma_report_answer(j->report, &a, NULL, err));
        last = best;
    }
    return OMMA_OK;
}

static omma_status put_answers(job *j, omma_error *err) {
    omma_detector *d;
    omma_image img;
    if (omma_detector_new(&d, j->path, &j->opt, NULL)) return put_classes(j, err);
    omma_status s = omma_image_load(&img, j->image, err);
    if (!s) s = put_detections(j, d, &img, err);
    omma_image_free(&img);
    omma_detector_free(d);
    return s;
}

/* --- the whole
 * ------------------------------------------------------------------------------------------ */

static omma_status put_parts(job *j, omma_error *err) {
    const omma_anatomy *a = omma_sight_anatomy(j->sight);
    char shape[96];
    int n = 0;
    for (int d = 0; d < j->in[0].rank; d++)
        n += snprintf(shape + n, sizeof shape - (size_t)n, "%s%lld", d ? "x" : "",
                      (long long)j->in[0].dims[d]);
    const char *slash = strrchr(j->path, '/');
    const omma_report_about_model about = {.name = slash ? slash + 1 : j->path,
                                           .file_bytes = (int64_t)j->model->file.size,
                                           .parameters = j->model->parameters,
                                           .input = shape,
                                           .seconds = NAN};
    j->tokens = omma_arena_array(&j->arena, (size_t)(2 * a->n_attention) + 1, sizeof *j->tokens);
    j->attention = omma_arena_array(&j->arena, (size_t)a->n_attention + 1, sizeof *j->attention);
    if (!j->tokens || !j->attention) return omma_fail(err, OMMA_E_NOMEM, "no memory for a report");
    OMMA_TRY(omma_report_model(j->report, &about, err));
    OMMA_TRY(put_layers(j, err));
    OMMA_TRY(put_answers(j, err));
    for (int k = 0; k < a->n_attention; k++) OMMA_TRY(put_attention(j, a, k, err));
    OMMA_TRY(put_ledgers(j, a, err));
    return a->missing && *a->missing ? omma_report_note(j->report, OMMA_REPORT_ALL, a->missing, err)
                                     : OMMA_OK;
}

static omma_status stream(job *j, FILE *file, omma_error *err) {
    omma_bytes picture;
    OMMA_TRY(omma_bytes_read(&picture, j->image, OMMA_IMAGE_MAX_FILE, err));
    const char *slash = strrchr(j->image, '/');
    const omma_report_about about = {.picture = picture.data,
                                     .picture_size = picture.size,
                                     .width = (int)j->table.image->dims[j->table.across],
                                     .height = (int)j->table.image->dims[j->table.down],
                                     .name = slash ? slash + 1 : j->image};
    omma_status s = omma_report_begin(&j->report, file, &about, err);
    if (!s) s = put_parts(j, err);
    if (s) omma_report_free(j->report);
    else s = omma_report_end(j->report, err);
    omma_bytes_free(&picture);
    return s;
}

/* Into memory first: a report that could not be finished is not there. */
static omma_status write_report(job *j, omma_error *err) {
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    if (!file) return omma_fail(err, OMMA_E_NOMEM, "no memory for a report");
    omma_status s = stream(j, file, err);
    if (fclose(file) && !s) s = omma_fail(err, OMMA_E_NOMEM, "no memory for a report");
    if (!s) s = omma_bytes_write(j->output, text, size, err);
    free(text);
    if (!s) {
        const omma_anatomy *a = omma_sight_anatomy(j->sight);
        printf("%d attentions, %d feed-forward blocks, %lld object queries\n", a->n_attention,
               a->n_feed_forward, (long long)a->object_queries);
        omma_cli_put_name(j->output, 0);
        printf(": %.1f MB; open it in a browser\n", (double)size / 1e6);
    }
    return s;
}

static omma_status work(job *j, omma_error *err) {
    OMMA_TRY(omma_bytes_writable(j->output, err));
    OMMA_TRY(omma_model_open(&j->model, j->path, &j->opt, err));
    OMMA_TRY(prepare(j, err));
    OMMA_TRY(
        omma_sight_new(&j->sight, j->model, j->in, omma_model_input_count(j->model), &j->opt, err));
    OMMA_TRY(omma_field_table_make(&j->table, omma_sight_fov(j->sight), OMMA_FIELD_STRUCTURAL,
                                   false, &j->arena, err));
    return write_report(j, err);
}

static int check(job *j, const omma_cli_list *args) {
    double three[3];
    int h, w;
    char rest;
    if (args->count != 1)
        return omma_cli_misused("look", args->count ? "one picture at a time" : "no picture given");
    if (!j->path) return omma_cli_misused("look", "-m says no model");
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

int omma_cli_look(int argc, char **argv) {
    job j = {.output = "look.html"};
    omma_error err;
    omma_cli_list args;
    int want_help;
    const omma_cli_option options[] = {
        {'m', "model", 's', &j.path}, {'o', "output", 's', &j.output},
        {0, "size", 's', &j.size},    {0, "mean", 's', &j.mean},
        {0, "std", 's', &j.std},      {0, "threads", 't', &j.opt.threads},
        OMMA_CLI_MODEL_OPTIONS(j.opt)};
    omma_arena_init(&j.arena, NULL);
    int status =
        omma_cli_parse(argc, argv, options, sizeof options / sizeof *options, &args, &want_help);
    if (want_help) fputs(help_text, stdout);
    else if (!status && !(status = check(&j, &args)) && work(&j, &err))
        status = omma_cli_failed("look", &err);
    omma_sight_free(j.sight);
    omma_model_free(j.model);
    omma_arena_free(&j.arena);
    free(args.items);
    return omma_cli_finish("look", status);
}

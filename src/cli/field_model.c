/* field_model.c - `omma field`: which pixels can reach each layer of a model, and one unit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/field_job.h"
#include "file/bytes.h"
#include "file/image.h"
#include "model/inspect.h"

static const char help_text[] =
    "omma field: what each layer of a model can see.\n\n"
    "usage: omma field MODEL [--input HxW] [--image FILE] [--all] [--json] [-o FIELD.png]\n"
    "       omma field MODEL --at LAYER[:y,x] [-o FIELD.png]\n"
    "       omma field MODEL --pixel y,x\n"
    "       omma field MODEL [--at LAYER[:y,x]] --effective PICTURES [--recipe NAME]\n\n"
    "Which pixels can influence a layer's cells, whatever the weights: for the cell in the\n"
    "middle of every stage, the window it sees, the distance between cells, where cell 0 lies,\n"
    "how far it reaches into the padding, how much of the window is no hole, the share of the\n"
    "image, and the window along the narrowest and the widest path.\n\n"
    "  -i, --input SIZES      the picture's size HxW, or sizes like x=1x3x800x1066\n"
    "      --at LAYER[:y,x]   one unit: the cell y,x of a layer (the middle one if left out), or\n"
    "                         an index for every axis; LAYER is a name of the table, of a value\n"
    "                         or of a node\n"
    "      --pixel y,x        the other way: which cells of each layer this pixel reaches\n"
    "      --image FILE       the image at hand: for models that sample at places that depend on\n"
    "                         it; -o draws over it\n"
    "      --effective PICTURES  what the cells do see: gradients measured on a picture or a\n"
    "                         folder of them; areas, radii, sigma, share of the structural field\n"
    "      --recipe NAME      how: default, luo or replk (see the manual)\n"
    "      --count N          pictures to take, spread over the folder; default 16\n"
    "      --mean R,G,B, --std R,G,B  how pictures are prepared, y = (x / 255 - mean) / std\n"
    "      --content          leave out statistics, gates and what chooses places\n"
    "      --all              every layer, not the last of each stage\n"
    "      --json             the same for programs\n"
    "      --threads N        threads to use for gradients\n"
    "  -o, --output FILE.png  draw the set over the picture, holes and all; without --at the\n"
    "                         windows of the stages\n"
    "  -h, --help             this text\n" OMMA_CLI_MODEL_HELP "\n"
    "A pixel's centre is a whole number: cell 0 of a layer of even windows lies at a half.\n\n"
    "examples:\n"
    "  omma field resnet50.onnx --input 224x224\n"
    "  omma field resnet50.onnx --at layer4:3,3 -o field.png\n"
    "  omma field detr.onnx --input 800x1066 --pixel 400,500\n";

/* --- options --------------------------------------------------------------------------------- */

/* "y,x" or more numbers; how many, 0 when it is something else. */
static int numbers(const char *s, int64_t *out, int most) {
    int n = 0;
    while (n < most) {
        char *end;
        out[n++] = strtoll(s, &end, 10);
        if (end == s) return 0;
        if (!*end) return n;
        if (*end != ',') return 0;
        s = end + 1;
    }
    return 0;
}

static bool triple(const char *s, double out[3]) {
    int n = 0;
    for (char *end; s && n < 3; s = end + 1) {
        out[n++] = strtod(s, &end);
        if (end == s || !(out[n - 1] > -1e6 && out[n - 1] < 1e6)) return false;
        if (!*end) {
            if (n == 1) out[1] = out[2] = out[0];
            return n == 1 || n == 3;
        }
        if (*end != ',') return false;
    }
    return false;
}

static int check(omma_field_job *j, const omma_cli_list *args) {
    double three[3];
    if (args->count != 1)
        return omma_cli_misused("field", args->count ? "one model at a time" : "no model given");
    if (j->at && j->pixel) return omma_cli_misused("field", "--at or --pixel, not both");
    if (j->pixel && numbers(j->pixel, j->pixel_at, 2) != 2)
        return omma_cli_misused("field", "--pixel wants y,x, not '%s'", j->pixel);
    if (j->mean && !triple(j->mean, three))
        return omma_cli_misused("field", "--mean wants R,G,B, not '%s'", j->mean);
    if (j->std && (!triple(j->std, three) || !(three[0] > 0 && three[1] > 0 && three[2] > 0)))
        return omma_cli_misused("field", "--std wants R,G,B above 0, not '%s'", j->std);
    if ((j->mean || j->std) && !j->image && !j->effective)
        return omma_cli_misused("field", "--mean and --std go with --image or --effective");
    if (j->count < 1) return omma_cli_misused("field", "--count wants at least 1");
    if (j->effective && j->pixel)
        return omma_cli_misused("field", "--effective goes without --pixel");
    if (j->recipe && !j->effective)
        return omma_cli_misused("field", "--recipe goes with --effective");
    while (j->recipe && j->how < OMMA_RECIPES && strcmp(j->recipe, omma_recipe_name(j->how)))
        j->how = (omma_recipe)(j->how + 1);
    if (j->how == OMMA_RECIPES)
        return omma_cli_misused("field", "--recipe is default, luo or replk, not '%s'", j->recipe);
    j->path = args->items[0];
    j->paths = j->content ? OMMA_FIELD_CONTENT : OMMA_FIELD_STRUCTURAL;
    return 0;
}

/* --- shapes ---------------------------------------------------------------------------------- */

/* HxW for the input that is a picture. */
static omma_status picture_size(omma_field_job *j, const char *arg, bool *done, omma_error *err) {
    int64_t h, w;
    char rest;
    *done = sscanf(arg, "%lldx%lld%c", (long long *)&h, (long long *)&w, &rest) == 2;
    if (!*done) return OMMA_OK;
    if (h < 1 || w < 1 || h > OMMA_IMAGE_MAX_SIDE || w > OMMA_IMAGE_MAX_SIDE)
        return omma_fail(err, OMMA_E_USAGE, "--input wants HxW of at least 1x1, not '%s'", arg);
    for (int i = 0; i < omma_model_input_count(j->model); i++) {
        const omma_port *p = omma_model_input(j->model, i);
        omma_tensor *t = &j->shapes[i];
        if (t->rank != 4) continue;
        const bool last = t->dims[3] <= 4 && t->dims[1] > 4;
        const int down = last ? 1 : 2;
        if ((p->dims[down] > 0 && p->dims[down] != h) ||
            (p->dims[down + 1] > 0 && p->dims[down + 1] != w))
            return omma_fail_node(err, OMMA_E_SHAPE, p->name, NULL,
                                  "the model's pictures are %lldx%lld, not %s",
                                  (long long)p->dims[down], (long long)p->dims[down + 1], arg);
        t->dims[down] = h, t->dims[down + 1] = w;
        return OMMA_OK;
    }
    return omma_fail_at(err, OMMA_E_UNSUPPORTED, j->path, -1, "no input is a picture [N,C,H,W]");
}

static omma_status take_shapes(omma_field_job *j, omma_error *err) {
    bool open, done;
    OMMA_TRY(omma_inspect_shapes(&j->shapes, j->model, 224, &open, &j->arena, err));
    for (int i = 0; i < j->inputs.count; i++) {
        OMMA_TRY(picture_size(j, j->inputs.items[i], &done, err));
        if (!done) OMMA_TRY(omma_cli_sizes(j->shapes, j->model, j->path, j->inputs.items[i], err));
    }
    return OMMA_OK;
}

void omma_field_samples(const omma_field_job *j, int most, omma_samples_how *how) {
    *how = (omma_samples_how){.model = j->path, .most = most, .std = {1, 1, 1}, .opt = j->opt};
    if (j->mean) (void)triple(j->mean, how->mean);
    if (j->std) (void)triple(j->std, how->std);
    if (j->shapes[0].rank == 4)
        how->h = (int)j->shapes[0].dims[2], how->w = (int)j->shapes[0].dims[3];
}

static omma_status take_image(omma_field_job *j, omma_error *err) {
    const omma_tensor *const *samples;
    int n;
    omma_samples_how how;
    if (!j->image) return OMMA_OK;
    omma_field_samples(j, 1, &how);
    OMMA_TRY(omma_samples_read(&samples, &n, &j->arena, j->model, j->image, &how, err));
    for (int i = 0; i < omma_model_input_count(j->model); i++) j->shapes[i] = samples[0][i];
    return OMMA_OK;
}

/* --- one unit -------------------------------------------------------------------------------- */

/* A row by its label, by the name of its value or node, or by the one label that ends so. */
static omma_status find_row(const omma_field_job *j, const char *name, const omma_field_row **out,
                            omma_error *err) {
    const omma_field_row *found = NULL;
    const size_t n = strlen(name);
    int like = 0;
    for (int i = j->table.count - 1; i >= 0; i--) { /* of several of a module, the last */
        const omma_field_row *r = &j->table.row[i];
        if (!strcmp(r->label, name) || !strcmp(r->value->name, name) ||
            !strcmp(r->node->name, name)) {
            *out = r;
            return OMMA_OK;
        }
    }
    for (int i = j->table.count - 1; i >= 0; i--) { /* a module: what it ends with */
        const omma_field_row *r = &j->table.row[i];
        if (strncmp(r->label, name, n) || r->label[n] != '.') continue;
        if (!like++) found = r;
    }
    *out = found;
    if (found) return OMMA_OK;
    return omma_fail_node(err, OMMA_E_NOTFOUND, name, NULL,
                          "no layer of that name sees the picture; --all lists them");
}

static omma_status choose_unit(omma_field_job *j, omma_error *err) {
    char name[512];
    int64_t at[OMMA_MAX_RANK];
    const char *colon = strrchr(j->at, ':');
    const int n = colon ? numbers(colon + 1, at, OMMA_MAX_RANK) : 0;
    if (!n) colon = NULL; /* names have colons too */
    snprintf(name, sizeof name, "%.*s", (int)(colon ? colon - j->at : (long)strlen(j->at)), j->at);
    OMMA_TRY(find_row(j, name, &j->unit, err));
    const omma_field_row *r = j->unit;
    const bool cells = r->rows.axis >= 0 && r->columns.axis >= 0;
    j->cell[0] = j->cell[1] = -1;
    if (n == r->value->rank && (n != 2 || !cells)) {
        memcpy(j->index, at, (size_t)n * sizeof *at);
        return OMMA_OK;
    }
    if (n && n != 2)
        return omma_fail_node(err, OMMA_E_USAGE, name, NULL,
                              "a unit is LAYER:y,x, or an index for each of its %d axes",
                              r->value->rank);
    if (!cells) {
        for (int d = 0; d < r->value->rank; d++) j->index[d] = n ? -1 : r->value->dims[d] / 2;
        if (!n) return OMMA_OK;
        return omma_fail_node(err, OMMA_E_USAGE, name, NULL,
                              "it has no rows and columns of cells; give an index for each of "
                              "its %d axes",
                              r->value->rank);
    }
    j->cell[0] = n ? at[0] : r->rows.mod / 2, j->cell[1] = n ? at[1] : r->columns.mod / 2;
    if (omma_field_cell(r->value, &r->rows, &r->columns, j->cell[0], j->cell[1], j->index))
        return OMMA_OK;
    return omma_fail_node(err, OMMA_E_RANGE, name, NULL, "it has %lld x %lld cells",
                          (long long)r->rows.mod, (long long)r->columns.mod);
}

static omma_status walk_unit(omma_field_job *j, omma_error *err) {
    OMMA_TRY(choose_unit(j, err));
    j->walked = true;
    return omma_fov_walk(&j->walk, j->fov, j->unit->value, j->index, j->paths, true, err);
}

static omma_status walk_pixel(omma_field_job *j, omma_error *err) {
    int64_t at[OMMA_MAX_RANK] = {-1, -1, -1, -1};
    at[j->table.down] = j->pixel_at[0], at[j->table.across] = j->pixel_at[1];
    j->walked = true;
    return omma_fov_walk(&j->walk, j->fov, j->table.image, at, j->paths, false, err);
}

/* --- the whole ------------------------------------------------------------------------------- */

static omma_status work(omma_field_job *j, omma_error *err) {
    if (j->output) OMMA_TRY(omma_bytes_writable(j->output, err));
    OMMA_TRY(omma_model_open(&j->model, j->path, &j->opt, err));
    OMMA_TRY(take_shapes(j, err));
    OMMA_TRY(take_image(j, err));
    OMMA_TRY(
        omma_fov_new(&j->fov, j->model, j->shapes, omma_model_input_count(j->model), &j->opt, err));
    omma_status s = omma_field_table_make(&j->table, j->fov, j->paths, j->all, &j->arena, err);
    if (!s && j->at) s = walk_unit(j, err);
    if (!s && j->pixel) s = walk_pixel(j, err);
    if (!s) s = omma_field_measure(j, err);
    if (!s && j->output) s = omma_field_draw(j, err);
    if (s) omma_error_in_file(err, j->path);
    return s;
}

int omma_cli_field(int argc, char **argv) {
    omma_field_job j = {.count = 16};
    omma_error err;
    omma_cli_list args;
    int want_help;
    const omma_cli_option options[] = {
        {'i', "input", 'm', &j.inputs},      {0, "at", 's', &j.at},
        {0, "pixel", 's', &j.pixel},         {0, "image", 's', &j.image},
        {0, "effective", 's', &j.effective}, {0, "recipe", 's', &j.recipe},
        {0, "count", 'i', &j.count},         {0, "threads", 't', &j.opt.threads},
        {0, "mean", 's', &j.mean},           {0, "std", 's', &j.std},
        {0, "content", 'b', &j.content},     {0, "all", 'b', &j.all},
        {0, "json", 'b', &j.json},           {'o', "output", 's', &j.output},
        OMMA_CLI_MODEL_OPTIONS(j.opt)};
    omma_arena_init(&j.arena, NULL);
    int status =
        omma_cli_parse(argc, argv, options, sizeof options / sizeof *options, &args, &want_help);
    if (want_help) fputs(help_text, stdout);
    else if (!status && !(status = check(&j, &args))) {
        if (work(&j, &err)) status = omma_cli_failed("field", &err);
        else if (j.json) status = omma_field_json(&j);
        else omma_field_print(&j);
    }
    if (j.walked) omma_walk_free(&j.walk);
    omma_fov_free(j.fov);
    omma_model_free(j.model);
    omma_arena_free(&j.arena);
    free(args.items);
    free(j.inputs.items);
    return omma_cli_finish("field", status);
}

/* field_print.c - the fields of a model's layers, one unit, one pixel: for people. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/field_job.h"

static const char *const statuses[] = {"exact", "upper bound", "for this image", "whole"};

static void put_shape(const omma_value *v, int width) {
    char text[96];
    int n = 0;
    for (int d = 0; d < v->rank; d++)
        n += snprintf(text + n, sizeof text - (size_t)n, "%s%" PRId64, d ? "x" : "", v->dims[d]);
    printf(" %-*s", width, v->rank ? text : "one number");
}

/* "35", "35x36" */
static void put_pair(double y, double x, const char *none, int width) {
    char text[64];
    if (isinf(y) || isinf(x)) snprintf(text, sizeof text, "%s", none);
    else if (y == x) snprintf(text, sizeof text, "%g", y);
    else snprintf(text, sizeof text, "%gx%g", y, x);
    printf(" %*s", width, text);
}

/* Share of the picture that holds half and 95 % of what is seen, sigma, share of the structural
 * field. */
static void put_measured(const omma_effective_measures *m) {
    if (!m->images) {
        printf(" %27s", "");
        return;
    }
    printf(" %5.1f%% %5.1f%% %6.1f %5.1f%%", 100 * m->is.area[OMMA_SHARE_50],
           100 * m->is.area[OMMA_SHARE_95], m->is.sigma, 100 * m->ratio);
}

static int label_width(const omma_field_job *j) {
    int w = 5;
    for (int i = 0; i < j->table.count; i++) {
        const int n = (int)strlen(j->table.row[i].label);
        if ((j->all || j->table.row[i].stage) && n > w) w = n;
    }
    return w > 44 ? 44 : w;
}

static void put_head(const omma_field_job *j, const char *more) {
    const omma_value *x = j->table.image;
    omma_cli_put_name(j->path, 0);
    printf("  on a picture of %" PRId64 " x %" PRId64 ", %s field\n%s", x->dims[j->table.down],
           x->dims[j->table.across], j->content ? "content" : "structural", more);
}

static void put_row(const omma_field_job *j, const omma_field_row *r, int width) {
    char range[64];
    omma_cli_put_name(r->label, width);
    put_shape(r->value, 17);
    if (r->status == OMMA_FOV_WHOLE && (r->whole || r->odd)) printf(" %9s", "whole");
    else put_pair(r->y.size, r->x.size, "whole", 9);
    printf("%s", r->odd && !r->whole && r->status != OMMA_FOV_WHOLE ? "*" : " ");
    if (r->y.cells) {
        put_pair(r->y.jump, r->x.jump, "", 5);
        put_pair(r->y.first, r->x.first, "", 9);
        put_pair(r->y.padding, r->x.padding, "", 7);
    } else printf(" %5s %9s %7s", "", "", "");
    printf(" %5.1f%% %5.1f%%", 100 * r->coverage, 100 * r->share);
    if (j->measured) put_measured(&j->measured[r - j->table.row]);
    if (r->odd && !r->whole) snprintf(range, sizeof range, "%g..*", r->y.least);
    else if (isinf(r->y.most)) snprintf(range, sizeof range, "%g..whole", r->y.least);
    else if (r->y.least == r->y.most) snprintf(range, sizeof range, "%g", r->y.least);
    else snprintf(range, sizeof range, "%g..%g", r->y.least, r->y.most);
    printf("  %-12s", range);
    if (r->status == OMMA_FOV_UPPER_BOUND || r->status == OMMA_FOV_DATA)
        printf(" %s;", statuses[r->status]);
    if (r->advice & OMMA_ADVICE_UNPRODUCTIVE) printf(" unproductive");
    if (r->advice & OMMA_ADVICE_GRIDDING) printf(" holes");
    if (r->advice & OMMA_ADVICE_ASTRAY) printf(" astray %g px", fmax(r->y.astray, r->x.astray));
    if (r->advice & OMMA_ADVICE_STARVED)
        printf(" border %" PRId64, r->y.starved > r->x.starved ? r->y.starved : r->x.starved);
    printf("\n");
}

static void put_advice(const omma_field_job *j) {
    const omma_field_table *t = &j->table;
    unsigned all = 0;
    int unproductive = 0, shown = 0, layers = 0;
    bool odd = false;
    for (int i = 0; i < t->count; i++) {
        all |= t->row[i].advice;
        unproductive += (t->row[i].advice & OMMA_ADVICE_UNPRODUCTIVE) != 0;
        shown += j->all || t->row[i].stage;
        layers++;
        odd |= (j->all || t->row[i].stage) && t->row[i].odd && !t->row[i].whole;
    }
    printf("\n");
    if (t->highest > t->lowest)
        printf(
            "pictures it can use: sides of %g px (the widest field along the narrowest paths) to "
            "%g px (the widest field)\n",
            t->lowest, t->highest);
    if (odd) printf("*: no window describes it; what the middle cell sees of the picture\n");
    if (all & OMMA_ADVICE_UNPRODUCTIVE)
        printf("unproductive: every path to this layer has seen the whole picture before, and it "
               "still widens what it sees; %d of the layers shown\n",
               unproductive);
    if (all & OMMA_ADVICE_GRIDDING)
        printf("holes: the middle cell's window has pixels that it does not see\n");
    if (all & OMMA_ADVICE_ASTRAY) printf("astray: paths meet whose windows lie so far apart\n");
    if (all & OMMA_ADVICE_STARVED)
        printf("border: so many cells at an edge see more padding than picture\n");
    if (shown < layers)
        printf("%d of %d layers: the last of each stage; --all shows all\n", shown, layers);
    if (j->fov->specialised.cut)
        printf("from '%s' on the model waits for numbers that only a run gives\n",
               j->fov->specialised.cut->name);
}

static void put_recipe(const omma_field_job *j) {
    int64_t images = 0;
    for (int i = 0; i < j->table.count; i++)
        if (j->measured[i].images) images = j->measured[i].images;
    printf("measured on %" PRId64 " pictures by '%s': %s\n", images, omma_recipe_name(j->how),
           omma_recipe_says(j->how));
    if (!j->at)
        printf("50 %%, 95 %%: the least share of the picture that holds so much of what the middle "
               "cell sees; sigma [px] about its centre; used: the pixels of 95 %%, of those that "
               "can be seen\n");
}

static void put_table(const omma_field_job *j) {
    const int width = label_width(j);
    put_head(j, "\n");
    omma_cli_put_name("layer", width);
    printf(" %-17s %9s %6s %9s %7s %6s %6s", "shape", "sees", "jump", "cell 0", "padding", "cover",
           "share");
    if (j->measured) printf(" %6s %6s %6s %6s", "50 %", "95 %", "sigma", "used");
    printf("  paths\n");
    for (int i = 0; i < j->table.count; i++)
        if (j->all || j->table.row[i].stage) put_row(j, &j->table.row[i], width);
    put_advice(j);
    if (j->measured) put_recipe(j);
}

/* --- one unit, one pixel --------------------------------------------------------------------- */

typedef struct box {
    int64_t y0, y1, x0, x1, seen;
} box;

/* The hull and the number of places of a set, over two of its axes. False: nothing. */
static bool box_of(omma_arena *a, const omma_set *s, int down, int across, box *b) {
    const int64_t h = s->dims[down], w = s->dims[across];
    const uint64_t *rows = omma_set_along(a, s, down, 1),
                   *columns = omma_set_along(a, s, across, 1);
    if (s->empty || !rows || !columns) return false;
    b->y0 = omma_bits_next(rows, 0, h), b->x0 = omma_bits_next(columns, 0, w);
    for (b->y1 = h - 1; !omma_bit(rows, b->y1);) b->y1--;
    for (b->x1 = w - 1; !omma_bit(columns, b->x1);) b->x1--;
    const uint64_t *plane = across == down + 1 ? omma_set_along(a, s, down, 2) : NULL;
    b->seen = plane ? omma_bits_count(plane, h * w)
                    : omma_bits_count(rows, h) * omma_bits_count(columns, w);
    return true;
}

static void put_effective(const omma_field_job *j) {
    const omma_effective_measures *m = &j->measured[j->unit - j->table.row];
    if (!m->images) return;
    printf("does see\n");
    for (int k = 0; k < OMMA_SHARES; k++)
        printf("  %2.0f %%      in %5.1f %% of the picture; in a square of %g px; within %.1f px\n",
               100 * omma_shares[k], 100 * m->is.area[k], m->is.side[k], m->is.radius[k]);
    printf("  sigma     %.2f px (down %.2f, across %.2f)", m->is.sigma, m->is.sigma_y,
           m->is.sigma_x);
    if (m->images > 1) printf(", standard error %.2f", m->error.sigma);
    printf("\n  used      %.1f %% of the pixels it can see hold 95 %%\n  ", 100 * m->ratio);
    put_recipe(j);
}

static void put_unit(const omma_field_job *j) {
    const omma_field_row *r = j->unit;
    const omma_value *x = j->table.image;
    const omma_set *s = j->walk.at[x->index];
    omma_arena a;
    box b;
    put_head(j, "");
    omma_cli_put_name(r->label, 0);
    put_shape(r->value, 0);
    if (j->cell[0] >= 0) printf(", cell %" PRId64 ",%" PRId64, j->cell[0], j->cell[1]);
    printf("\n");
    omma_arena_init(&a, NULL);
    if (!s || !box_of(&a, s, j->table.down, j->table.across, &b)) {
        printf("  sees nothing of the picture\n");
        omma_arena_free(&a);
        return;
    }
    const int64_t hull = (b.y1 - b.y0 + 1) * (b.x1 - b.x0 + 1);
    printf("  sees      y %" PRId64 "..%" PRId64 "  x %" PRId64 "..%" PRId64 "\n", b.y0, b.y1, b.x0,
           b.x1);
    if (j->cell[0] >= 0 && r->y.jump > 0 && r->x.jump > 0) {
        const double cy = r->y.first + r->y.jump * (double)j->cell[0],
                     cx = r->x.first + r->x.jump * (double)j->cell[1];
        printf("  centre    y %g  x %g\n", cy, cx);
        if (!isinf(r->y.size) && !isinf(r->x.size) && !r->odd)
            printf("  window    y %g..%g  x %g..%g without the edges\n", cy - (r->y.size - 1) / 2,
                   cy + (r->y.size - 1) / 2, cx - (r->x.size - 1) / 2, cx + (r->x.size - 1) / 2);
    }
    printf("  pixels    %" PRId64 ", %.1f %% of their hull, %.1f %% of the picture\n", b.seen,
           100.0 * (double)b.seen / (double)hull,
           100.0 * (double)b.seen /
               ((double)x->dims[j->table.down] * (double)x->dims[j->table.across]));
    if (j->cell[0] >= 0 && r->y.jump > 0 && !isinf(r->y.size) && !isinf(r->x.size) && !r->odd)
        printf("  padding   %.1f %% of the window\n",
               100 * (1 - fmin(1, (double)hull / (r->y.size * r->x.size))));
    printf("  status    %s%s\n", statuses[omma_fov_judge(&j->walk, x)],
           j->walk.met & OMMA_MET_SOFT ? ", behind a mask of large finite numbers" : "");
    omma_arena_free(&a);
    if (j->measured) put_effective(j);
}

/* Cells of r's layer that are in s. */
static int64_t count_cells(omma_arena *a, const omma_field_row *r, const omma_set *s, box *b) {
    int64_t n = 0;
    *b = (box){INT64_MAX, -1, INT64_MAX, -1, 0};
    if (r->rows.axis != r->columns.axis && r->rows.div == 1 && r->columns.div == 1)
        return box_of(a, s, r->rows.axis, r->columns.axis, b) ? b->seen : 0;
    if (r->rows.axis != r->columns.axis) return -1;
    const uint64_t *line = omma_set_along(a, s, r->rows.axis, 1);
    for (int64_t y = 0; line && y < r->rows.mod; y++)
        for (int64_t x = 0; x < r->columns.mod; x++) {
            if (!omma_bit(line, r->rows.off + y * r->rows.div + x * r->columns.div)) continue;
            n++;
            if (y < b->y0) b->y0 = y;
            if (y > b->y1) b->y1 = y;
            if (x < b->x0) b->x0 = x;
            if (x > b->x1) b->x1 = x;
        }
    return n;
}

static void put_pixel(const omma_field_job *j) {
    const int width = label_width(j);
    put_head(j, "");
    printf("pixel %" PRId64 ",%" PRId64 " reaches\n", j->pixel_at[0], j->pixel_at[1]);
    for (int i = 0; i < j->table.count; i++) {
        const omma_field_row *r = &j->table.row[i];
        const omma_set *s = j->walk.at[r->value->index];
        omma_arena a;
        box b;
        if (!j->all && !r->stage) continue;
        printf("  ");
        omma_cli_put_name(r->label, width);
        put_shape(r->value, 17);
        omma_arena_init(&a, NULL);
        if (!s) printf("  nothing\n");
        else if (r->rows.axis < 0 || r->columns.axis < 0)
            printf("  %" PRId64 " of %" PRId64 " numbers\n", omma_set_count(s),
                   omma_value_count(r->value));
        else {
            const int64_t n = count_cells(&a, r, s, &b);
            if (n > 0)
                printf("  %5" PRId64 " of %" PRId64 " cells   y %" PRId64 "..%" PRId64
                       "  x %" PRId64 "..%" PRId64 "\n",
                       n, r->rows.mod * r->columns.mod, b.y0, b.y1, b.x0, b.x1);
            else printf("  nothing\n");
        }
        omma_arena_free(&a);
    }
}

void omma_field_print(const omma_field_job *j) {
    if (j->at) put_unit(j);
    else if (j->pixel) put_pixel(j);
    else put_table(j);
    if (j->output) {
        printf("drawn: ");
        omma_cli_put_name(j->output, 0);
        printf("\n");
    }
}

/* look_reading.c - answers that are text: the characters of a recogniser's steps, the regions of a
 * map of probabilities over the picture. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/look_job.h"
#include "task/ctc.h"
#include "task/dbnet.h"

enum { CHARACTERS = 48, REGIONS = 20 };

/* --- characters --------------------------------------------------------------------------------
 */

/* The dictionary beside the model: a .txt file with as many lines as there are classes, but for the
 * blank and perhaps the space. NULL: there is none. */
static omma_dict *find_dictionary(const char *model, int64_t classes) {
    const char *slash = strrchr(model, '/');
    char path[4096], folder[2048] = ".";
    omma_dict *found = NULL;
    if (slash && (size_t)(slash - model) >= sizeof folder - 1) return NULL;
    if (slash) snprintf(folder, sizeof folder, "%.*s/", (int)(slash - model), model);
    DIR *d = opendir(folder);
    for (struct dirent *e; d && !found && (e = readdir(d));) {
        const char *dot = strrchr(e->d_name, '.');
        if (e->d_name[0] == '.' || !dot || strcmp(dot, ".txt")) continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (omma_dict_open(&found, path, NULL)) continue;
        const int64_t more = classes - omma_dict_count(found);
        if (more == 1 || more == 2) break;
        omma_dict_free(found);
        found = NULL;
    }
    if (d) closedir(d);
    return found;
}

static int64_t best_of(const float *x, int64_t n) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

/* Are these probabilities, step by step? */
static bool is_steps(const omma_tensor *t) {
    if (!t || t->dtype != OMMA_F32 || t->rank != 3 || t->dims[0] != 1 || t->dims[1] < 2 ||
        t->dims[2] < 3)
        return false;
    const float *x = t->data;
    for (int64_t i = 0; i < t->dims[1]; i++) {
        double sum = 0;
        for (int64_t c = 0; c < t->dims[2]; c++) sum += (double)x[i * t->dims[2] + c];
        if (!(fabs(sum - 1) < 1e-3)) return false;
    }
    return true;
}

/* The sequence of tokens that the steps are; NULL: none. */
static const omma_tokens *steps_of(const omma_look_job *j, int64_t steps) {
    for (int i = 0; i < j->n_sequence; i++)
        if (j->sequence[i].tokens->count == steps && j->sequence[i].tokens->placed)
            return j->sequence[i].tokens;
    return NULL;
}

/* A step's stretch of the picture, from top to bottom. */
static int place_of(const omma_look_job *j, const omma_tokens *t, int64_t step, float *corner) {
    double y, x;
    if (!t || !omma_tokens_place(t, step, &y, &x)) return 0;
    corner[0] = (float)(x + 0.5 - t->jump_x / 2);
    corner[1] = 0;
    corner[2] = (float)(x + 0.5 + t->jump_x / 2);
    corner[3] = (float)j->table.image->dims[j->table.down];
    return 2;
}

omma_status omma_look_put_text(omma_look_job *j, bool *done, omma_error *err) {
    const omma_tensor *t = omma_sight_output(j->sight, 0);
    *done = is_steps(t);
    if (!*done) return OMMA_OK;
    const int64_t steps = t->dims[1], classes = t->dims[2];
    const omma_tokens *where = steps_of(j, steps);
    omma_dict *dict = find_dictionary(j->path, classes);
    omma_status s = OMMA_OK;
    for (int64_t i = 0, last = 0; i < steps && j->n_answer < CHARACTERS && !s; i++) {
        const float *x = (const float *)t->data + i * classes;
        const int64_t best = best_of(x, classes);
        const bool again = best == last;
        last = best;
        if (!best || again) continue; /* the blank; the same character still */
        char number[32];
        snprintf(number, sizeof number, "class %lld", (long long)best);
        const char *name = dict ? omma_dict_at(dict, best) : NULL;
        omma_report_answer_info a = {.name = name ? name : number,
                                     .score = (double)x[best],
                                     .class_index = (int)best,
                                     .query = -1};
        a.n_corners = place_of(j, where, i, a.corner);
        s = omma_look_put_answer(j, &a, err);
    }
    omma_dict_free(dict);
    return s;
}

/* --- regions ------------------------------------------------------------------------------------
 */

/* One map of the picture's size whose numbers are 0 to 1. */
static bool is_probability_map(const omma_look_job *j, const omma_tensor *t) {
    const int64_t h = j->table.image->dims[j->table.down],
                  w = j->table.image->dims[j->table.across];
    if (!t || t->dtype != OMMA_F32 || t->rank != 4 || t->dims[0] != 1 || t->dims[1] != 1 ||
        t->dims[2] != h || t->dims[3] != w)
        return false;
    const float *x = t->data;
    for (int64_t i = 0; i < h * w; i++)
        if (!(x[i] >= 0 && x[i] <= 1)) return false;
    return true;
}

omma_status omma_look_put_regions(omma_look_job *j, bool *done, omma_error *err) {
    const omma_tensor *t = omma_sight_output(j->sight, 0);
    omma_text_boxes boxes;
    *done = is_probability_map(j, t);
    if (!*done) return OMMA_OK;
    const int h = (int)t->dims[2], w = (int)t->dims[3];
    OMMA_TRY(omma_dbnet_boxes(&boxes, t->data, w, h, w, h, NULL, err));
    omma_status s = OMMA_OK;
    for (int i = 0; i < boxes.count && i < REGIONS && !s; i++) {
        char name[32];
        snprintf(name, sizeof name, "region %d", i + 1);
        omma_report_answer_info a = {.name = name,
                                     .score = (double)boxes.items[i].score,
                                     .class_index = i,
                                     .n_corners = 4,
                                     .query = -1};
        for (int k = 0; k < 4; k++) {
            a.corner[2 * k] = boxes.items[i].quad.at[k].x;
            a.corner[2 * k + 1] = boxes.items[i].quad.at[k].y;
        }
        s = omma_look_put_answer(j, &a, err);
    }
    omma_text_boxes_free(&boxes);
    return s;
}

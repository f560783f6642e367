/* look_answers.c - the answers of a report: boxes of a detector, classes of a classifier. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/look_job.h"
#include "task/coco_names.h"
#include "task/detector.h"

enum { ANSWERS = 5, DETECTIONS = 20, MOST = 64 };

omma_status omma_look_put_answer(omma_look_job *j, const omma_report_answer_info *a,
                                 omma_error *err) {
    int part;
    OMMA_TRY(omma_report_answer(j->report, a, &part, err));
    if (part < 0 || j->n_answer == MOST) return OMMA_OK;
    j->answer[j->n_answer] = *a;
    const char *name = omma_arena_strndup(&j->arena, a->name, strlen(a->name));
    if (!name) return omma_fail(err, OMMA_E_NOMEM, "no memory for a report");
    j->answer[j->n_answer++].name = name;
    return OMMA_OK;
}

static omma_status put_detections(omma_look_job *j, omma_detector *d, const omma_image *img,
                                  omma_error *err) {
    const omma_detection *found;
    int n;
    const double sy = (double)j->table.image->dims[j->table.down] / img->height,
                 sx = (double)j->table.image->dims[j->table.across] / img->width;
    j->class_name = omma_coco_name;
    OMMA_TRY(omma_detector_run(d, &found, &n, img, err));
    for (int i = 0; i < n && i < DETECTIONS; i++) {
        char room[32];
        const float *b = found[i].box;
        if (found[i].score < 0.3f) continue;
        omma_report_answer_info a = {.name = omma_look_class(j, found[i].label, room),
                                     .score = (double)found[i].score,
                                     .class_index = found[i].label,
                                     .n_corners = 2,
                                     .corner = {(float)(b[0] * sx), (float)(b[1] * sy),
                                                (float)(b[2] * sx), (float)(b[3] * sy)}};
        a.query = omma_look_query_of_row(j, i, a.corner);
        OMMA_TRY(omma_look_put_answer(j, &a, err));
    }
    return OMMA_OK;
}

/* The classes with the largest scores of an output [1, classes], as a softmax of them. */
static omma_status put_classes(omma_look_job *j, omma_error *err) {
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
        OMMA_TRY(omma_look_put_answer(j, &a, err));
        last = best;
    }
    return OMMA_OK;
}

omma_status omma_look_put_answers(omma_look_job *j, omma_error *err) {
    omma_detector *d;
    omma_image img;
    j->answer = omma_arena_array(&j->arena, MOST, sizeof *j->answer);
    j->n_answer = 0;
    j->class_name = NULL;
    if (!j->answer) return omma_fail(err, OMMA_E_NOMEM, "no memory for a report");
    omma_error why;
    const omma_status found = omma_detector_new(&d, j->path, &j->opt, &why);
    if (found == OMMA_E_NOMEM) return omma_fail(err, found, "%s", why.message);
    if (found) {
        bool done;
        OMMA_TRY(omma_look_put_query_answers(j, &done, err));
        if (!done) OMMA_TRY(omma_look_put_text(j, &done, err));
        if (!done) OMMA_TRY(omma_look_put_regions(j, &done, err));
        return done ? OMMA_OK : put_classes(j, err);
    }
    omma_status s = omma_image_load(&img, j->image, err);
    if (!s) s = put_detections(j, d, &img, err);
    omma_image_free(&img);
    omma_detector_free(d);
    return s;
}

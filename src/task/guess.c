/* guess.c - see guess.h: a table of shapes, the most telling first. */
#include "task/guess.h"

#include <stdbool.h>
#include <string.h>

typedef struct clues {
    const omma_model *m;
    const omma_tensor *out; /* output 0, or NULL */
    const char *last_op;
    int inputs, outputs;
    bool picture; /* input 0 is [N, 1|3, H, W] or [3, H, W] */
} clues;

static bool has_output(const omma_model *m, omma_dtype t, int rank, int64_t last) {
    for (int i = 0; i < omma_model_output_count(m); i++) {
        const omma_port *p = omma_model_output(m, i);
        if (p->dtype == t && p->rank == rank && (last < 0 || p->dims[rank - 1] == last))
            return true;
    }
    return false;
}

static bool is_detector(const clues *c) {
    return c->picture && c->outputs >= 2 && has_output(c->m, OMMA_F32, 3, 4);
}
static bool is_old_detector(const clues *c) {
    return c->picture && c->outputs >= 2 && has_output(c->m, OMMA_F32, 2, 4);
}
static bool is_text(const clues *c) {
    return c->picture && c->outputs == 1 && c->out && c->out->rank == 3 && c->out->dims[2] > 36 &&
           !strcmp(c->last_op, "Softmax");
}
static bool is_binary_map(const clues *c) {
    return c->picture && c->outputs == 1 && c->out && c->out->rank == 4 && c->out->dims[1] == 1;
}
static bool is_map(const clues *c) {
    return c->picture && c->out && c->out->rank == 4 && c->out->dims[1] > 1 && c->out->dims[2] > 16;
}
static bool is_features(const clues *c) { return c->picture && c->out && c->out->rank >= 3; }
static bool is_two(const clues *c) {
    return c->picture && c->outputs == 1 && c->out && c->out->rank == 2 && c->out->dims[1] == 2;
}
static bool is_classes(const clues *c) {
    return c->picture && c->out && c->out->rank == 2 && c->out->dims[1] > 1;
}
static bool is_picture(const clues *c) { return c->picture; }

static const struct {
    bool (*fits)(const clues *);
    const char *what;
} table[] = {
    {is_detector, "object detection: boxes with classes or scores, a fixed number per picture"},
    {is_old_detector, "object detection: a list of boxes"},
    {is_text, "text recognition: characters along a line (CTC)"},
    {is_binary_map, "a probability map over the picture: text detection or foreground"},
    {is_map, "a map of classes over the picture: segmentation, or features"},
    {is_two, "a choice between two classes"},
    {is_classes, "picture classification"},
    {is_features, "features of a picture"},
    {is_picture, "something made from a picture"},
};

const char *omma_guess_purpose(const omma_model *m, const omma_tensor *outputs,
                               const char *last_op) {
    clues c = {.m = m,
               .out = outputs,
               .last_op = last_op,
               .inputs = omma_model_input_count(m),
               .outputs = omma_model_output_count(m)};
    if (c.inputs > 0) {
        const omma_port *p = omma_model_input(m, 0);
        c.picture = (p->rank == 4 && (p->dims[1] == 3 || p->dims[1] == 1)) ||
                    (p->rank == 3 && p->dims[0] == 3 && p->dtype == OMMA_F32);
    }
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].fits(&c)) return table[i].what;
    return "not a model of pictures, as far as the shapes tell";
}

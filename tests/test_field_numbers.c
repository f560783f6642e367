/* test_field_numbers.c - the fields of known networks are what was published and calculated
 * (fieldnets_rows.h says by whom): in closed form, of every cell at once, and walked. */
#define _DEFAULT_SOURCE
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "field/field_table.h"
#include "fieldnets.h"
#include "fieldnets_rows.h"

#define COUNT(a) (int)(sizeof(a) / sizeof *(a))

typedef struct subject {
    char name[64];
    omma_model *model;
    omma_fov *fov;
    omma_arena arena;
    omma_field_table table;
} subject;

static subject *open_subject(const char *name, net_options o) {
    static subject s;
    omma_error err;
    mk bytes = fieldnet(name, o);
    memset(&s, 0, sizeof s);
    omma_arena_init(&s.arena, NULL);
    snprintf(s.name, sizeof s.name, "%s at %dx%d", name, o.h, o.w);
    if (mk_open(&s.model, &bytes, NULL, &err)) fail_msg("%s: %s", s.name, err.message);
    mk_free(&bytes);
    omma_tensor in = {.dtype = OMMA_F32, .rank = 4};
    memcpy(in.dims, omma_model_input(s.model, 0)->dims, sizeof in.dims);
    /* gates are no content: efficientnet's number is of that */
    const unsigned paths =
        strstr(name, "efficientnet") ? OMMA_FIELD_CONTENT : OMMA_FIELD_STRUCTURAL;
    if (omma_fov_new(&s.fov, s.model, &in, 1, NULL, &err) ||
        omma_field_table_make(&s.table, s.fov, paths, true, &s.arena, &err))
        fail_msg("%s: %s", s.name, err.message);
    return &s;
}

static void close_subject(subject *s) {
    omma_fov_free(s->fov);
    omma_model_free(s->model);
    omma_arena_free(&s->arena);
}

static const omma_field_row *row_of(const subject *s, const char *value) {
    for (int i = 0; i < s->table.count; i++)
        if (!strcmp(s->table.row[i].value->name, value)) return &s->table.row[i];
    fail_msg("%s: no row for '%s'", s->name, value);
    return NULL;
}

static void is(const subject *s, const char *layer, const char *what, double got, double want) {
    if (fabs(got - want) > 1e-9)
        fail_msg("%s, %s: %s is %g, not %g", s->name, layer, what, got, want);
}

static void check_axis(const subject *s, const field_row *r, const omma_field_axis *a) {
    is(s, r->output, "the number of cells", (double)a->cells, r->cells);
    is(s, r->output, "the field", a->size, r->field);
    is(s, r->output, "the stride", a->jump, r->stride);
    is(s, r->output, "the padding", a->padding, r->pad);
    /* what the middle cell sees is that window without what lies outside; and without the last
     * few lines that no window of a network without padding takes */
    const double lo = r->cells / 2 * r->stride - r->pad, hi = fmin(lo + r->field, r->size) - 1;
    const bool valid = !strncmp(r->net, "inception", 9) || !strncmp(r->net, "alexnet", 7);
    is(s, r->output, "the first line seen", (double)a->lo, fmax(lo, 0));
    if (!valid || (double)a->hi > hi || (double)a->hi <= hi - r->stride)
        is(s, r->output, "the last line seen", (double)a->hi, hi);
}

static void published(void **state) {
    (void)state;
    subject *s = NULL;
    for (int i = 0; i < COUNT(field_rows); i++) {
        const field_row *r = &field_rows[i];
        if (!i || r->size != r[-1].size || strcmp(r->net, r[-1].net)) {
            if (s) close_subject(s);
            s = open_subject(r->net, (net_options){.h = r->size, .w = r->size});
        }
        check_axis(s, r, &row_of(s, r->output)->y);
        check_axis(s, r, &row_of(s, r->output)->x);
    }
    close_subject(s);
}

static void misplaced(void **state) {
    (void)state;
    for (int i = 0; i < COUNT(field_misplaced); i++) {
        const field_misplacement *m = &field_misplaced[i];
        subject *s = open_subject(m->net, (net_options){.h = 224, .w = 224});
        const omma_field_axis *a = &row_of(s, m->output)->y;
        is(s, m->output, "the misplacement", (a->jump - 1) / 2 - a->first, m->pixels);
        close_subject(s);
    }
}

/* Which lines along an axis of the picture the unit sees; how many. */
static int64_t lines(const subject *s, const char *value, const int64_t *at, int axis, bool *seen,
                     int64_t *lo, int64_t *hi) {
    omma_walk w;
    omma_error err;
    const omma_value *v;
    int64_t n = 0;
    if (omma_fov_find(&v, s->fov, value, &err) ||
        omma_fov_walk(&w, s->fov, v, at, OMMA_FIELD_STRUCTURAL, true, &err))
        fail_msg("%s: %s", s->name, err.message);
    const omma_set *set = w.at[s->table.image->index];
    const int64_t length = s->table.image->dims[axis];
    const uint64_t *bits = set ? omma_set_along(&w.arena, set, axis, 1) : NULL;
    *lo = *hi = -1;
    for (int64_t i = 0; i < length; i++) {
        const bool in = bits && omma_bit(bits, i);
        if (seen) seen[i] = in;
        if (!in) continue;
        if (!n++) *lo = i;
        *hi = i;
    }
    omma_walk_free(&w);
    return n;
}

static void spans_of_swin(void **state) {
    (void)state;
    subject *s = open_subject("swin_t", (net_options){.h = 224, .w = 224});
    for (int i = 0; i < COUNT(field_swin); i++) {
        const field_span *r = &field_swin[i];
        const int64_t middle[] = {0, r->cells / 2, r->cells / 2, -1}, corner[] = {0, 0, 0, -1};
        int64_t lo, hi;
        for (int axis = 2; axis < 4; axis++) {
            is(s, r->output, "the middle token's span",
               (double)lines(s, r->output, middle, axis, NULL, &lo, &hi), r->middle);
            is(s, r->output, "where it begins", (double)lo, r->low);
            is(s, r->output, "its length", (double)(hi - lo + 1), r->middle);
            is(s, r->output, "the corner token's span",
               (double)lines(s, r->output, corner, axis, NULL, &lo, &hi), r->corner);
            is(s, r->output, "where it begins", (double)lo, 0);
        }
    }
    close_subject(s);
}

static const char *only_output(const subject *s) { return omma_model_output(s->model, 0)->name; }

static void dilations(void **state) {
    (void)state;
    for (int i = 0; i < COUNT(field_dilated); i++) {
        const field_dilation *d = &field_dilated[i];
        bool seen[64];
        subject *s = open_subject(d->net, (net_options){.h = 64, .w = 64});
        const omma_field_row *r = row_of(s, only_output(s));
        is(s, d->net, "the field", r->y.size, d->field);
        is(s, d->net, "the taps", (double)r->y.seen, d->taps);
        if (fabs(100 * r->coverage - d->share) > 0.005)
            fail_msg("%s covers %.2f %%, not %.2f", d->net, 100 * r->coverage, d->share);
        assert_int_equal((r->advice & OMMA_ADVICE_GRIDDING) != 0, d->share < 100);
        const int64_t c = r->y.cells / 2;
        int64_t lo, hi;
        int hole = 0;
        lines(s, only_output(s), (int64_t[]){0, -1, c, c}, 2, seen, &lo, &hi);
        for (int64_t k = 0; k <= (hi - lo) / 2 && hole < 2; k++)
            if (!seen[(lo + hi) / 2 + k]) is(s, d->net, "a hole", (double)k, d->holes[hole++]);
        close_subject(s);
    }
}

static void stacks(void **state) {
    (void)state;
    for (int i = 0; i < COUNT(field_stacks); i++) {
        subject *s = open_subject(field_stacks[i].net, (net_options){.h = 64, .w = 64});
        is(s, "", "the field", row_of(s, only_output(s))->y.size, field_stacks[i].field);
        close_subject(s);
    }
}

static void phases(void **state) {
    (void)state;
    for (int i = 0; i < COUNT(field_phases); i++) {
        const field_phase *p = &field_phases[i];
        subject *s = open_subject(p->net, (net_options){.h = p->size, .w = p->size});
        const int64_t outs = row_of(s, only_output(s))->value->dims[2];
        for (int64_t o = 0; o < outs; o++) {
            int64_t lo, hi;
            is(s, p->net, "the taps",
               (double)lines(s, only_output(s), (int64_t[]){0, -1, o, 3}, 2, NULL, &lo, &hi),
               p->taps[o]);
        }
        close_subject(s);
    }
}

static void lerps(void **state) {
    (void)state;
    subject *s = open_subject("bilinear", (net_options){.h = 4, .w = 4});
    for (int i = 0; i < COUNT(field_bilinear); i++) {
        const field_lerp *l = &field_bilinear[i];
        int64_t lo, hi;
        lines(s, only_output(s), (int64_t[]){0, -1, l->output, 0}, 2, NULL, &lo, &hi);
        is(s, "bilinear", "the first tap", (double)lo, l->low);
        is(s, "bilinear", "the last tap", (double)hi, l->low + (l->second > 0));
    }
    close_subject(s);
}

/* A network too deep for its picture: the layers that widen a field that is whole already. */
static void unproductive(void **state) {
    (void)state;
    subject *s = open_subject("vgg19", (net_options){.h = 64, .w = 64});
    int n = 0;
    double before = 1;
    for (int i = 0; i < s->table.count; i++) {
        const omma_field_row *r = &s->table.row[i];
        const bool wider = r->y.size > before, useless = before >= 64 && wider;
        if (((r->advice & OMMA_ADVICE_UNPRODUCTIVE) != 0) != useless)
            fail_msg("vgg19 at 64, %s: field %g after %g", r->label, r->y.size, before);
        n += useless;
        before = r->y.size;
    }
    assert_true(n > 5);
    close_subject(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published),     cmocka_unit_test(misplaced),
        cmocka_unit_test(spans_of_swin), cmocka_unit_test(dilations),
        cmocka_unit_test(stacks),        cmocka_unit_test(phases),
        cmocka_unit_test(lerps),         cmocka_unit_test(unproductive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

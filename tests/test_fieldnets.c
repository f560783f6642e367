/* test_fieldnets.c - the networks of fieldnets.h are what fieldnets_rows.h says they are, as far
 * as running them can tell: they open, their outputs have their sizes, and impulses reach from the
 * edges of a cell's field and not from beside it.
 *
 * For impulses the weights are those of sets (NET_BOOLEAN): a run then says who reaches whom, for
 * any depth, without rounding. The input is so tall that the field is not clipped, and narrow. Its
 * height leaves the same rest as the row's size when divided by 32: SAME pads alike.
 *
 * OMMA_FIELDNETS=FOLDER writes the networks of the rows there, for tests/golden/fieldnets.py. */
#define _DEFAULT_SOURCE
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "fieldnets.h"
#include "fieldnets_rows.h"

#define COUNT(a) (int)(sizeof(a) / sizeof *(a))

enum { IMPULSES = 4 };

/* A network that can be run. */
typedef struct subject {
    char name[64];
    omma_model *model;
    omma_session *session;
    omma_tensor in;
    float *pixels;
} subject;

static subject open_subject(const char *name, net_options o) {
    subject s = {.in = {.dtype = OMMA_F32, .rank = 4}};
    omma_error err;
    mk bytes = fieldnet(name, o);
    snprintf(s.name, sizeof s.name, "%s at %dx%d", name, o.h, o.w);
    if (mk_open(&s.model, &bytes, NULL, &err) || omma_session_new(&s.session, s.model, NULL, &err))
        fail_msg("%s: %s", s.name, err.message);
    mk_free(&bytes);
    const omma_port *x = omma_model_input(s.model, 0);
    memcpy(s.in.dims, x->dims, sizeof s.in.dims);
    s.in.data = s.pixels = calloc((size_t)omma_tensor_count(&s.in), sizeof(float));
    assert_non_null(s.pixels);
    return s;
}

static void close_subject(subject *s) {
    omma_session_free(s->session);
    omma_model_free(s->model);
    free(s->pixels);
}

static void run(subject *s) {
    omma_error err;
    if (omma_session_run(s->session, &s->in, 1, &err)) fail_msg("%s: %s", s->name, err.message);
}

static const omma_tensor *output(const subject *s, const char *name) {
    for (int i = 0; i < omma_model_output_count(s->model); i++)
        if (!strcmp(omma_model_output(s->model, i)->name, name))
            return omma_session_output(s->session, i);
    fail_msg("%s has no output '%s'", s->name, name);
    return NULL;
}

/* --- sizes ---------------------------------------------------------------------------------- */

static void has_sizes(const subject *s, const char *name, const int64_t *want) {
    const omma_tensor *y = output(s, name);
    assert_int_equal(y->rank, 4);
    for (int i = 0; i < 4; i++)
        if (want[i] && y->dims[i] != want[i])
            fail_msg("%s: '%s' has %lld along axis %d, not %lld", s->name, name,
                     (long long)y->dims[i], i, (long long)want[i]);
}

/* Every output is made of numbers that the picture has something to do with. */
static void has_numbers(const subject *s) {
    for (int i = 0; i < omma_model_output_count(s->model); i++) {
        const omma_tensor *y = omma_session_output(s->session, i);
        const float *v = y->data;
        float most = 0;
        for (int64_t k = 0; k < omma_tensor_count(y); k++) {
            if (!isfinite(v[k])) fail_msg("%s: output %d is not finite", s->name, i);
            most = fmaxf(most, fabsf(v[k]));
        }
        if (most < 1e-20f || most > 1e20f)
            fail_msg("%s: output %d is of size %g", s->name, i, (double)most);
    }
}

static void run_on_noise(subject *s) {
    for (int64_t i = 0; i < omma_tensor_count(&s->in); i++)
        s->pixels[i] = (float)(i * 7919 % 1009) / 1009;
    run(s);
    has_numbers(s);
}

static bool row_is_first(int i) {
    return !i || field_rows[i].size != field_rows[i - 1].size ||
           strcmp(field_rows[i].net, field_rows[i - 1].net);
}

static void sizes(void **state) {
    (void)state;
    subject s = {0};
    for (int i = 0; i < COUNT(field_rows); i++) {
        const field_row *r = &field_rows[i];
        if (row_is_first(i)) {
            close_subject(&s);
            s = open_subject(r->net, (net_options){.h = r->size, .w = r->size});
            run_on_noise(&s);
        }
        has_sizes(&s, r->output, (const int64_t[]){1, 0, r->cells, r->cells});
    }
    close_subject(&s);
}

static void sizes_of_swin(void **state) {
    (void)state;
    subject s = open_subject("swin_t", (net_options){.h = 224, .w = 224});
    run_on_noise(&s);
    for (int i = 0; i < COUNT(field_swin); i++) {
        const field_span *r = &field_swin[i];
        has_sizes(&s, r->output, (const int64_t[]){1, r->cells, r->cells, SWIN_CHANNELS});
    }
    close_subject(&s);
}

static void sizes_of_vit(void **state) {
    (void)state;
    subject s = open_subject("vit_patches", (net_options){.h = 224, .w = 224});
    run_on_noise(&s);
    const omma_tensor *y = output(&s, "tokens");
    assert_int_equal(y->rank, 3);
    assert_int_equal(y->dims[1], 197);
    close_subject(&s);
}

/* Every name makes a network, also those without rows. */
static void every_name(void **state) {
    (void)state;
    for (int i = 0; i < FIELDNETS; i++) {
        subject s = open_subject(fieldnet_entries[i].name, (net_options){.h = 224, .w = 224});
        assert_true(omma_model_output_count(s.model) > 0);
        close_subject(&s);
    }
}

/* --- impulses ------------------------------------------------------------------------------- */

/* Picture n gets ones along row `at`, or column. */
static void impulse(subject *s, int n, bool column, int64_t at) {
    const int64_t c = s->in.dims[1], h = s->in.dims[2], w = s->in.dims[3];
    float *p = s->pixels + n * c * h * w;
    memset(p, 0, (size_t)(c * h * w) * sizeof *p);
    if (at < 0 || at >= (column ? w : h)) return;
    for (int64_t k = 0; k < c; k++)
        for (int64_t i = 0; i < (column ? h : w); i++)
            p[(k * h + (column ? i : at)) * w + (column ? at : i)] = 1;
}

/* The largest number of picture n at index u of an axis. */
static float most_at(const omma_tensor *y, int n, int axis, int64_t u) {
    int64_t inner = 1, outer = 1;
    for (int i = 1; i < axis; i++) outer *= y->dims[i];
    for (int i = axis + 1; i < y->rank; i++) inner *= y->dims[i];
    const float *v = (const float *)y->data + n * outer * y->dims[axis] * inner;
    float most = 0;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++)
            most = fmaxf(most, v[(o * y->dims[axis] + u) * inner + i]);
    return most;
}

/* Cell u of an output along an axis of it sees the input's rows, or columns, from low to high and
 * not the ones beside; beside the first is the last, which a shift brings there. What a mask of
 * -100 lets through is no view. */
static void sees(subject *s, const char *name, int axis, bool column, int64_t u, int64_t low,
                 int64_t high) {
    const int64_t size = s->in.dims[column ? 3 : 2], last = high < size - 1 ? size - 1 : -1;
    const int64_t at[IMPULSES] = {low ? low - 1 : last, low, high, high + 1};
    for (int n = 0; n < IMPULSES; n++) impulse(s, n, column, at[n]);
    run(s);
    const omma_tensor *y = output(s, name);
    assert_in_range(u, 0, y->dims[axis] - 1);
    for (int n = 0; n < IMPULSES; n++) {
        const float got = most_at(y, n, axis, u);
        const bool inside = n == 1 || n == 2;
        if (inside ? got < 0.5f : got > 1e-6f)
            fail_msg("%s: cell %lld of '%s' has %g of input %s %lld, its field is %lld to %lld",
                     s->name, (long long)u, name, (double)got, column ? "column" : "row",
                     (long long)at[n], (long long)low, (long long)high);
    }
}

/* The first cell whose field and the elements beside it are all in the input. */
static int64_t free_cell(const field_row *r) { return (r->pad + r->stride) / r->stride; }

static int64_t low_of(const field_row *r) { return free_cell(r) * r->stride - r->pad; }

/* Tall enough for the row's field, wide enough for networks without padding. */
static net_options strip(const field_row *r) {
    const int most = (int)low_of(r) + r->field + 1, more = most > r->size ? most - r->size : 0;
    const bool valid = !strncmp(r->net, "inception", 9) || !strncmp(r->net, "alexnet", 7);
    return (net_options){.batch = IMPULSES,
                         .h = r->size + (more + 31) / 32 * 32,
                         .w = valid ? 80 : 32,
                         .weights = NET_BOOLEAN,
                         .only = r->output};
}

static void impulses(void **state) {
    (void)state;
    for (int i = 0; i < COUNT(field_rows); i++) {
        const field_row *r = &field_rows[i];
        const int64_t low = low_of(r);
        subject s = open_subject(r->net, strip(r));
        sees(&s, r->output, 2, false, free_cell(r), low, low + r->field - 1);
        close_subject(&s);
    }
}

static void impulses_of_swin(void **state) {
    (void)state;
    subject s = open_subject(
        "swin_t", (net_options){.batch = IMPULSES, .h = 224, .w = 224, .weights = NET_BOOLEAN});
    for (int i = 0; i < COUNT(field_swin); i++) {
        const field_span *r = &field_swin[i];
        for (int column = 0; column < 2; column++) {
            sees(&s, r->output, 1 + column, column, r->cells / 2, r->low, r->low + r->middle - 1);
            sees(&s, r->output, 1 + column, column, 0, 0, r->corner - 1);
        }
    }
    close_subject(&s);
}

static void misplacements(void **state) {
    (void)state;
    for (int i = 0; i < COUNT(field_misplaced); i++) {
        const field_misplacement *m = &field_misplaced[i];
        const field_row *r = field_rows;
        while (strcmp(r->net, m->net) || strcmp(r->output, m->output))
            if (++r == field_rows + COUNT(field_rows)) fail_msg("no row for %s", m->net);
        const double centre = (r->field - 1) / 2.0 - r->pad;
        assert_true((r->stride - 1) / 2.0 - centre == m->pixels);
    }
}

/* --- small graphs ---------------------------------------------------------------------------- */

/* What a small graph makes of ones along row `at` of zeros: its rows, in the middle column.
 * Returns how many there are. */
static int answer(const char *name, net_options o, int at, float *out, int most) {
    subject s = open_subject(name, o);
    impulse(&s, 0, false, at);
    run(&s);
    const omma_tensor *y = omma_session_output(s.session, 0);
    const int64_t h = y->dims[2], w = y->dims[3];
    assert_in_range(h, 1, most);
    for (int64_t i = 0; i < h; i++) out[i] = ((float *)y->data)[i * w + w / 2];
    close_subject(&s);
    return (int)h;
}

/* Of stride 1 and alike on both sides: the rows that an impulse reaches lie about it as those do
 * that a row sees. */
static void dilations(void **state) {
    (void)state;
    float y[64];
    for (int i = 0; i < COUNT(field_dilated) - 1; i++) {
        const field_dilation *d = &field_dilated[i];
        const net_options o = {1, 64, 64, NET_UNIFORM, NULL};
        int n = answer(d->net, o, 32, y, 64), first = n, last = 0, taps = 0, hole = 0;
        for (int k = 0; k < n; k++)
            if (y[k] > 0) first = k < first ? k : first, last = k, taps++;
        assert_int_equal(last - first + 1, d->field);
        assert_int_equal(first + last, 64);
        assert_int_equal(taps, d->taps);
        for (int k = 32; k <= last; k++)
            if (!(y[k] > 0) && hole < 2) assert_int_equal(k - 32, d->holes[hole++]);
        const double share = (double)taps / d->field;
        assert_true(fabs(100 * share * share - d->share) < 0.005);
    }
}

/* 1x1 of stride 2, then 3x3: every other row reaches nothing. */
static void gaps(void **state) {
    (void)state;
    const field_dilation *d = &field_dilated[COUNT(field_dilated) - 1];
    float y[32];
    int taps = 0;
    for (int at = 28; at <= 36; at++) {
        answer("gaps", (net_options){1, 64, 64, NET_UNIFORM, NULL}, at, y, 32);
        assert_true((y[16] > 0) == (at % 2 == 0 && abs(at - 32) <= d->field / 2));
        taps += y[16] > 0;
    }
    assert_int_equal(taps, d->taps);
}

static void stacks(void **state) {
    (void)state;
    float y[64];
    for (int i = 0; i < COUNT(field_stacks); i++) {
        const field_stack *k = &field_stacks[i];
        double sum = 0, square = 0;
        int field = 0;
        answer(k->net, (net_options){1, 64, 64, NET_UNIFORM, NULL}, 32, y, 64);
        for (int r = 0; r < 64; r++) {
            sum += (double)y[r];
            square += (double)y[r] * (r - 32) * (r - 32);
            field += y[r] > 0;
        }
        assert_int_equal(field, k->field);
        assert_true(fabs(sum - 1) < 1e-5);
        assert_true(fabs(sqrt(square) - k->sigma) < 1e-4);
        for (int r = 0; k->n == 5 && r < 11; r++)
            assert_true(fabs(243 * (double)y[27 + r] - field_stack_5[r]) < 1e-3);
    }
}

static void phases(void **state) {
    (void)state;
    for (int i = 0; i < COUNT(field_phases); i++) {
        const field_phase *p = &field_phases[i];
        const net_options o = {1, p->size, p->size, NET_UNIFORM, NULL};
        int taps[16] = {0};
        float y[16];
        for (int at = 0; at < p->size; at++)
            for (int k = answer(p->net, o, at, y, 16); k-- > 0;) taps[k] += y[k] > 0;
        for (int k = 0; k < 16; k++) assert_int_equal(taps[k], p->taps[k]);
    }
}

static void lerps(void **state) {
    (void)state;
    for (int at = 0; at < 4; at++) {
        float y[8];
        assert_int_equal(answer("bilinear", (net_options){1, 4, 4, NET_UNIFORM, NULL}, at, y, 8),
                         8);
        for (int i = 0; i < 8; i++) {
            const field_lerp *l = &field_bilinear[i];
            const double want = at == l->low ? l->first : at == l->low + 1 ? l->second : 0;
            assert_true(fabs((double)y[l->output] - want) < 1e-6);
        }
    }
}

/* --- files ----------------------------------------------------------------------------------- */

static void write_net(const char *folder, const char *name, int size) {
    char path[512];
    mk m = fieldnet(name, (net_options){.h = size, .w = size});
    snprintf(path, sizeof path, "%s/%s-%d.onnx", folder, name, size);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(m.data, 1, m.size, f) != m.size || fclose(f)) perror(path), exit(1);
    mk_free(&m);
}

static void write_all(const char *folder) {
    for (int i = 0; i < COUNT(field_rows); i++)
        if (row_is_first(i)) write_net(folder, field_rows[i].net, field_rows[i].size);
    for (int i = 0; i < COUNT(field_dilated); i++) write_net(folder, field_dilated[i].net, 64);
    for (int i = 0; i < COUNT(field_stacks); i++) write_net(folder, field_stacks[i].net, 64);
    for (int i = 0; i < COUNT(field_phases); i++) write_net(folder, field_phases[i].net, 8);
    write_net(folder, "bilinear", 4);
    write_net(folder, "swin_t", 224);
}

int main(void) {
    const char *folder = getenv("OMMA_FIELDNETS");
    if (folder && *folder) return write_all(folder), 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),         cmocka_unit_test(sizes_of_swin),
        cmocka_unit_test(sizes_of_vit),  cmocka_unit_test(every_name),
        cmocka_unit_test(impulses),      cmocka_unit_test(impulses_of_swin),
        cmocka_unit_test(misplacements), cmocka_unit_test(dilations),
        cmocka_unit_test(gaps),          cmocka_unit_test(stacks),
        cmocka_unit_test(phases),        cmocka_unit_test(lerps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

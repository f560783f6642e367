/* page.c - direction and reading order of lines; see page.h. */
#include "task/page.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/checked.h"
#include "task/warp.h"

/* A line this much longer than high runs along its longer side whatever the page does;
 * PaddleOCR turns its crops from the same ratio on. */
static const float LONG = 1.5f;

static omma_point between(omma_point a, omma_point b) {
    return (omma_point){(a.x + b.x) / 2, (a.y + b.y) / 2};
}

static float dot(omma_point a, omma_point b) { return a.x * b.x + a.y * b.y; }

static omma_point unit(omma_point v) {
    float len = hypotf(v.x, v.y);
    return len > 0 ? (omma_point){v.x / len, v.y / len} : (omma_point){1, 0};
}

/* The vector along a quadrilateral's first side, through its middle: from the middle of
 * side 3 0 to the middle of side 1 2. */
static omma_point along_vector(const omma_quad *q) {
    omma_point a = between(q->at[0], q->at[3]), b = between(q->at[1], q->at[2]);
    return (omma_point){b.x - a.x, b.y - a.y};
}

static omma_point right_or_down(omma_point v) {
    float leading = fabsf(v.x) >= fabsf(v.y) ? v.x : v.y;
    return leading < 0 ? (omma_point){-v.x, -v.y} : v;
}

omma_point omma_page_axis(double *agreement, const omma_quad *q, int n) {
    /* Angles doubled, so that the two ways along a line count as one. */
    double c = 0, s = 0, total = 0;
    for (int i = 0; i < n; i++) {
        omma_quad turned = omma_quad_turn(&q[i], 1);
        omma_point a = along_vector(&q[i]), b = along_vector(&turned);
        float la = hypotf(a.x, a.y), lb = hypotf(b.x, b.y);
        omma_point d = unit(la >= lb ? a : b);
        double weight = fabs((double)la - (double)lb);
        total += weight;
        c += weight * ((double)d.x * (double)d.x - (double)d.y * (double)d.y);
        s += weight * 2 * (double)d.x * (double)d.y;
    }
    if (agreement) *agreement = total > 0 ? hypot(c, s) / total : 0;
    if (hypot(c, s) <= 1e-6) return (omma_point){1, 0};
    double angle = atan2(s, c) / 2;
    return right_or_down((omma_point){(float)cos(angle), (float)sin(angle)});
}

omma_quad omma_page_upright(const omma_quad *q, omma_point axis) {
    omma_quad t = omma_quad_turn(q, 1);
    omma_point a = along_vector(q), b = along_vector(&t);
    float la = hypotf(a.x, a.y), lb = hypotf(b.x, b.y);
    bool turned = la >= LONG * lb   ? false
                  : lb >= LONG * la ? true
                                    : fabsf(dot(unit(b), axis)) > fabsf(dot(unit(a), axis));
    omma_point d = unit(turned ? b : a);
    float with = dot(d, axis);
    bool across = fabsf(with) < 0.3f;
    bool backwards = across ? dot(right_or_down(d), d) < 0 : with < 0;
    return omma_quad_turn(q, (turned ? 1 : 0) + (backwards ? 2 : 0));
}

omma_point omma_page_direction(const omma_quad *q, int n) {
    omma_point sum = {0, 0};
    float total = 0;
    for (int i = 0; i < n; i++) {
        omma_point d = along_vector(&q[i]);
        sum.x += d.x;
        sum.y += d.y;
        total += hypotf(d.x, d.y);
    }
    return hypotf(sum.x, sum.y) > 1e-3f * total ? unit(sum) : (omma_point){1, 0};
}

/* A line in the page's frame: u along the page's direction, v down from it. */
typedef struct placed {
    omma_point first, last; /* the middles of its ends */
    float v;                /* of its centre */
    float height;
    bool across; /* runs across the page's direction */
    int index, row;
} placed;

static omma_point to_frame(omma_point p, omma_point d) {
    return (omma_point){p.x * d.x + p.y * d.y, p.y * d.x - p.x * d.y};
}

static placed place(const omma_quad *q, omma_point d, int index) {
    omma_point along = unit(along_vector(q));
    omma_quad side = omma_quad_turn(q, 1);
    omma_point down = along_vector(&side);
    placed p = {.index = index, .row = -1};
    p.first = to_frame(between(q->at[0], q->at[3]), d);
    p.last = to_frame(between(q->at[1], q->at[2]), d);
    p.height = hypotf(down.x, down.y);
    p.v = (p.first.y + p.last.y) / 2;
    p.across = dot(along, d) < 0.7f;
    return p;
}

static int by_height(const void *a, const void *b) {
    const placed *p = a, *q = b;
    if (p->v != q->v) return p->v < q->v ? -1 : 1;
    return p->index - q->index;
}

static int by_row(const void *a, const void *b) {
    const placed *p = a, *q = b;
    if (p->row != q->row) return p->row - q->row;
    if (p->first.x != q->first.x) return p->first.x < q->first.x ? -1 : 1;
    return p->index - q->index;
}

/* Are two lines neighbours in a row? They may overlap by half the shorter one's length. */
static bool in_line(const placed *p, const placed *q) {
    if (p->across || q->across) return false;
    if (p->first.x > q->first.x) {
        const placed *t = p;
        p = q;
        q = t;
    }
    float overlap = p->last.x - q->first.x;
    float shorter = fminf(p->last.x - p->first.x, q->last.x - q->first.x);
    if (overlap > 0.5f * shorter) return false;
    return fabsf(p->last.y - q->first.y) < 0.5f * fminf(p->height, q->height);
}

/* How far apart two lines are along the page; negative when they overlap. */
static float gap(const placed *p, const placed *q) {
    return fmaxf(p->first.x - q->last.x, q->first.x - p->last.x);
}

/* The gap to a row of earlier lines, INFINITY when line i does not belong to it: its
 * nearest there decides. */
static float gap_to_row(const placed *p, int i, int row) {
    int nearest = -1;
    for (int k = 0; k < i; k++)
        if (p[k].row == row && (nearest < 0 || gap(&p[k], &p[i]) < gap(&p[nearest], &p[i])))
            nearest = k;
    return nearest >= 0 && in_line(&p[nearest], &p[i]) ? gap(&p[nearest], &p[i]) : INFINITY;
}

/* Give each line, from the top, the nearest row it fits, or a new one. Only rows that
 * began in the last few lines can fit: a page has few lines side by side. */
static void find_rows(placed *p, int n) {
    enum { OPEN = 16 };
    int rows = 0;
    for (int i = 0; i < n; i++) {
        float least = INFINITY;
        for (int row = rows > OPEN ? rows - OPEN : 0; row < rows; row++) {
            float g = gap_to_row(p, i, row);
            if (g >= least) continue;
            least = g;
            p[i].row = row;
        }
        if (p[i].row < 0) p[i].row = rows++;
    }
}

omma_status omma_page_order(int *order, const omma_quad *q, int n, omma_point direction,
                            omma_error *err) {
    if (n < 1) return OMMA_OK;
    size_t bytes;
    placed *p = NULL;
    if (omma_mul((size_t)n, sizeof *p, &bytes)) p = omma_mem_alloc(bytes);
    if (!p) return omma_fail(err, OMMA_E_NOMEM, "no memory to order %d lines", n);
    for (int i = 0; i < n; i++) p[i] = place(&q[i], direction, i);
    qsort(p, (size_t)n, sizeof *p, by_height);
    find_rows(p, n);
    qsort(p, (size_t)n, sizeof *p, by_row);
    for (int i = 0; i < n; i++) order[i] = p[i].index;
    omma_mem_free(p);
    return OMMA_OK;
}

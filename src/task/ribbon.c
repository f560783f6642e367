/* ribbon.c - fit bent strips to regions; see ribbon.h.
 *
 * With t from -1 to 1 along the rectangle and v across it:
 *   1. the middle, m(t) = sum c_k t^k, k = 0..3, by least squares over all pixels;
 *   2. the thickness T(t) = p + q t: in a strip of even thickness |v - m| is T / 4 on the
 *      average, so p and q come from least squares over |v - m|;
 *   3. the edges: the least and the greatest (v - m) / T over all pixels, so that a line
 *      that does not bend gets the height of its rectangle. */
#include "task/ribbon.h"

#include <math.h>
#include <string.h>

enum { TERMS = 4 };
/* How much higher than its ribbon a bent line's rectangle is. */
static const double BENT = 1.25;
/* A ribbon's ends are grown by this much more than its edges: it is lower than the
 * rectangle would be, so D is less, and commas at the ends were cut off. */
static const double ENDS = 1.4;

/* A region in its rectangle's frame. */
typedef struct frame {
    const omma_region *g;
    double cx, cy, ux, uy; /* (ux, uy) along the longer side */
    double half;           /* of the longer side [px] */
} frame;

typedef struct shape {
    double middle[TERMS];
    double p, q;         /* the thickness [px] */
    double above, below; /* the edges, in thicknesses from the middle */
} shape;

static frame frame_of(const omma_region *g, const omma_turned_rect *r) {
    bool wide = r->w >= r->h;
    frame f = {g,
               (double)r->cx,
               (double)r->cy,
               (double)r->ux,
               (double)r->uy,
               (double)fmaxf(r->w, r->h) / 2};
    if (wide) return f;
    f.ux = -(double)r->uy;
    f.uy = (double)r->ux;
    return f;
}

static double middle_at(const shape *s, double t) {
    return s->middle[0] + t * (s->middle[1] + t * (s->middle[2] + t * s->middle[3]));
}

/* The thickness never falls below a fifth of its mean. */
static double thickness_at(const shape *s, double t) { return fmax(s->p + s->q * t, s->p / 5); }

typedef void (*visit)(void *arg, double t, double v);

static void each_pixel(const frame *f, visit fn, void *arg) {
    for (int i = 0; i < f->g->run_count; i++) {
        double y = f->g->runs[i].y - f->cy;
        for (int x = f->g->runs[i].x0; x <= f->g->runs[i].x1; x++) {
            double dx = x - f->cx;
            fn(arg, (dx * f->ux + y * f->uy) / f->half, y * f->ux - dx * f->uy);
        }
    }
}

/* Normal equations of least squares with n <= TERMS powers of t: a x = b. */
typedef struct normal {
    double a[TERMS][TERMS], b[TERMS];
    int n;
    const shape *s; /* for the thickness: the middle is known */
} normal;

static void add_point(normal *e, double t, double y) {
    double power[TERMS] = {1, t, t * t, t * t * t};
    for (int i = 0; i < e->n; i++) {
        for (int k = 0; k < e->n; k++) e->a[i][k] += power[i] * power[k];
        e->b[i] += power[i] * y;
    }
}

static void add_middle(void *arg, double t, double v) { add_point(arg, t, v); }

static void add_thickness(void *arg, double t, double v) {
    normal *e = arg;
    add_point(e, t, 4 * fabs(v - middle_at(e->s, t)));
}

/* Gauss' elimination, in place; the diagonal is never small in a sound case, so no pivots.
 * False if the points do not determine the answer. */
static bool solve(double *x, normal *e) {
    for (int i = 0; i < e->n; i++) {
        if (!(e->a[i][i] > 1e-9)) return false;
        for (int k = i + 1; k < e->n; k++) {
            double f = e->a[k][i] / e->a[i][i];
            for (int j = i; j < e->n; j++) e->a[k][j] -= f * e->a[i][j];
            e->b[k] -= f * e->b[i];
        }
    }
    for (int i = e->n - 1; i >= 0; i--) {
        x[i] = e->b[i];
        for (int k = i + 1; k < e->n; k++) x[i] -= e->a[i][k] * x[k];
        x[i] /= e->a[i][i];
    }
    return true;
}

static void stretch_edges(void *arg, double t, double v) {
    shape *s = arg;
    double r = (v - middle_at(s, t)) / thickness_at(s, t);
    s->above = fmin(s->above, r);
    s->below = fmax(s->below, r);
}

static bool fit_shape(shape *s, const frame *f) {
    normal middle = {.n = TERMS}, thickness = {.n = 2, .s = s};
    double pq[2];
    *s = (shape){0};
    each_pixel(f, add_middle, &middle);
    if (!solve(s->middle, &middle)) return false;
    each_pixel(f, add_thickness, &thickness);
    if (!solve(pq, &thickness) || !(pq[0] > 0)) return false;
    s->p = pq[0];
    s->q = pq[1];
    each_pixel(f, stretch_edges, s);
    return true;
}

/* The point at t along and v across. */
static omma_point at(const frame *f, double t, double v) {
    double u = t * f->half;
    return (omma_point){(float)(f->cx + u * f->ux - v * f->uy),
                        (float)(f->cy + u * f->uy + v * f->ux)};
}

bool omma_ribbon_fit(omma_ribbon *out, const omma_region *g, const omma_turned_rect *r,
                     float ratio) {
    frame f = frame_of(g, r);
    double high = (double)fminf(r->w, r->h);
    shape s;
    if (f.half < 4 * 3 || !fit_shape(&s, &f)) return false;
    double height = (s.below - s.above) * s.p;
    if (2 * f.half < 4 * height || height * BENT > high) return false;
    double d = 2 * f.half * height * (double)ratio / (2 * (2 * f.half + height));
    double last = 1 + ENDS * d / f.half;
    for (int k = 0; k <= OMMA_RIBBON_PARTS; k++) {
        double t = last * (2.0 * k / OMMA_RIBBON_PARTS - 1);
        double in = fmin(fmax(t, -1), 1); /* beyond its ends a line runs on straight */
        double slope = s.middle[1] + in * (2 * s.middle[2] + in * 3 * s.middle[3]);
        double m = middle_at(&s, in) + (t - in) * slope;
        double thick = thickness_at(&s, in), more = d / s.p * thick;
        out->top[k] = at(&f, t, m + s.above * thick - more);
        out->bottom[k] = at(&f, t, m + s.below * thick + more);
    }
    return true;
}

void omma_ribbon_reverse(omma_ribbon *r) {
    omma_ribbon t = *r;
    for (int k = 0; k <= OMMA_RIBBON_PARTS; k++) {
        r->top[k] = t.bottom[OMMA_RIBBON_PARTS - k];
        r->bottom[k] = t.top[OMMA_RIBBON_PARTS - k];
    }
}

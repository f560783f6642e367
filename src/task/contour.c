/* contour.c - regions, hulls and smallest rectangles; see contour.h.
 *
 * Labelling works on runs (stretches of set pixels in a row), not pixels: a run joins
 * every run of the row above that it touches, corners included. Union always makes the
 * earlier run the root, so roots are first runs and regions come out in raster order. */
#include "task/contour.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/checked.h"

enum { MAX_PIXELS = 1 << 28 };

/* The runs of a map in raster order. parent is the index of an earlier run of the same
 * region, its own index for a root; later the number of the region. */
typedef struct run_list {
    omma_run *items;
    int *parent;
    int count;
} run_list;

/* Count the runs of a row, and write them to out unless it is NULL. */
static int row_runs(omma_run *out, const unsigned char *row, int w, int y) {
    int n = 0;
    for (int x = 0; x < w;) {
        if (!row[x]) {
            x++;
            continue;
        }
        int x0 = x;
        while (x < w && row[x]) x++;
        if (out) out[n] = (omma_run){y, x0, x - 1};
        n++;
    }
    return n;
}

static omma_status find_runs(run_list *out, const unsigned char *mask, int w, int h,
                             omma_error *err) {
    size_t total = 0;
    for (int y = 0; y < h; y++) total += (size_t)row_runs(NULL, mask + (size_t)y * (size_t)w, w, y);
    size_t bytes;
    *out = (run_list){0};
    if (omma_mul(total, sizeof(omma_run), &bytes)) {
        out->items = omma_mem_alloc(bytes);
        out->parent = omma_mem_alloc(total * sizeof *out->parent);
    }
    if (!out->items || !out->parent)
        return omma_fail(err, OMMA_E_NOMEM, "no memory for the %zu runs of a map", total);
    for (int y = 0; y < h; y++)
        out->count += row_runs(out->items + out->count, mask + (size_t)y * (size_t)w, w, y);
    return OMMA_OK;
}

/* The root of run i; halves the path on the way. */
static int root_of(int *parent, int i) {
    while (parent[i] != i) {
        parent[i] = parent[parent[i]];
        i = parent[i];
    }
    return i;
}

static void join(int *parent, int a, int b) {
    a = root_of(parent, a);
    b = root_of(parent, b);
    if (a < b) parent[b] = a;
    else parent[a] = b;
}

/* Join each run with the runs of the row above that touch it, corners included. Both
 * rows are walked once: above never moves back. */
static void join_runs(run_list *l) {
    const omma_run *r = l->items;
    int above = 0;
    for (int i = 0; i < l->count; i++) {
        l->parent[i] = i;
        while (above < i &&
               (r[above].y < r[i].y - 1 || (r[above].y == r[i].y - 1 && r[above].x1 < r[i].x0 - 1)))
            above++;
        for (int k = above; k < i && r[k].y == r[i].y - 1 && r[k].x0 <= r[i].x1 + 1; k++)
            join(l->parent, k, i);
    }
}

/* Replace every parent by its region's number and count the runs of each region. */
static int number_regions(run_list *l, int *sizes) {
    int count = 0;
    for (int i = 0; i < l->count; i++) {
        /* A parent comes before its children, so it is numbered already. Numbers are kept
         * negative until all are given, to tell them from parents. */
        if (l->parent[i] == i) l->parent[i] = -1 - count++;
        else l->parent[i] = l->parent[l->parent[i]];
        sizes[-1 - l->parent[i]]++;
    }
    for (int i = 0; i < l->count; i++) l->parent[i] = -1 - l->parent[i];
    return count;
}

/* Add a run to a region; its part of out->runs and out->points begins at first. */
static void add_run(omma_regions *out, omma_region *g, size_t first, const omma_run *r) {
    if (!g->area || r->x0 < g->x0) g->x0 = r->x0;
    if (!g->area || r->x1 > g->x1) g->x1 = r->x1;
    if (!g->area) g->y0 = r->y;
    g->y1 = r->y;
    g->area += r->x1 - r->x0 + 1;
    out->runs[first + (size_t)g->run_count++] = *r;
    omma_point *ends = out->points + 2 * first + g->hull_count;
    ends[0] = (omma_point){(float)r->x0, (float)r->y};
    ends[1] = (omma_point){(float)r->x1, (float)r->y};
    g->hull_count += 2;
}

/* Distribute the runs over the regions and make the hulls. */
static void fill_regions(omma_regions *out, const run_list *l, const int *sizes) {
    size_t first = 0;
    for (int i = 0; i < out->count; i++) {
        out->items[i].runs = out->runs + first;
        out->items[i].hull = out->points + 2 * first;
        first += (size_t)sizes[i];
    }
    for (int i = 0; i < l->count; i++) {
        omma_region *g = &out->items[l->parent[i]];
        add_run(out, g, (size_t)(g->runs - out->runs), &l->items[i]);
    }
    for (int i = 0; i < out->count; i++) {
        omma_region *g = &out->items[i];
        g->hull_count = omma_hull(out->points + (g->hull - out->points), g->hull_count);
    }
}

static omma_status build_regions(omma_regions *out, run_list *l, omma_error *err) {
    int *sizes = omma_mem_alloc((size_t)l->count * sizeof *sizes);
    if (!sizes) return omma_fail(err, OMMA_E_NOMEM, "no memory to number %d runs", l->count);
    join_runs(l);
    out->count = number_regions(l, sizes);
    out->items = omma_mem_alloc((size_t)out->count * sizeof *out->items);
    out->runs = omma_mem_alloc((size_t)l->count * sizeof *out->runs);
    out->points = omma_mem_alloc(2 * (size_t)l->count * sizeof *out->points);
    omma_status status = OMMA_OK;
    if (out->items && out->runs && out->points) fill_regions(out, l, sizes);
    else status = omma_fail(err, OMMA_E_NOMEM, "no memory for %d regions of a map", out->count);
    omma_mem_free(sizes);
    return status;
}

omma_status omma_regions_find(omma_regions *out, const unsigned char *mask, int w, int h,
                              omma_error *err) {
    *out = (omma_regions){0};
    if (w < 1 || h < 1 || (int64_t)w * h > MAX_PIXELS)
        return omma_fail(err, OMMA_E_RANGE, "a map of %d x %d pixels is out of range", w, h);
    run_list runs;
    omma_status status = find_runs(&runs, mask, w, h, err);
    if (!status) status = build_regions(out, &runs, err);
    omma_mem_free(runs.items);
    omma_mem_free(runs.parent);
    if (status) omma_regions_free(out);
    return status;
}

void omma_regions_free(omma_regions *r) {
    omma_mem_free(r->items);
    omma_mem_free(r->runs);
    omma_mem_free(r->points);
    *r = (omma_regions){0};
}

static int by_row(const void *a, const void *b) {
    const omma_point *p = a, *q = b;
    if (p->y != q->y) return p->y < q->y ? -1 : 1;
    return (p->x > q->x) - (p->x < q->x);
}

static int by_row_upwards(const void *a, const void *b) { return by_row(b, a); }

/* Twice the signed area of the triangle o a b; positive when it turns clockwise on the
 * screen, where y points down. Exact for coordinates up to 2^24. */
static double turn(omma_point o, omma_point a, omma_point b) {
    return ((double)a.x - (double)o.x) * ((double)b.y - (double)o.y) -
           ((double)a.y - (double)o.y) * ((double)b.x - (double)o.x);
}

/* Append p to a chain of n points that must keep turning clockwise; its first base points
 * stay. */
static int chain(omma_point *hull, int n, int base, omma_point p) {
    while (n > base && turn(hull[n - 2], hull[n - 1], p) <= 0) n--;
    hull[n] = p;
    return n + 1;
}

/* Sort, drop doubles and lay the points out as a polygon that can be walked once: the
 * topmost, those right of the line to the lowest downwards, the lowest, the others
 * upwards. Returns how many are left; *lowest is the place of the lowest. */
static int lay_out(omma_point *p, int n, int *lowest) {
    qsort(p, (size_t)n, sizeof *p, by_row);
    int m = 1, right = 1;
    for (int i = 1; i < n; i++)
        if (by_row(&p[i], &p[m - 1])) p[m++] = p[i];
    for (int i = 1; i < m - 1; i++) {
        if (turn(p[0], p[m - 1], p[i]) >= 0) continue;
        omma_point t = p[right];
        p[right++] = p[i];
        p[i] = t;
    }
    qsort(p + 1, (size_t)(right - 1), sizeof *p, by_row);
    qsort(p + right, (size_t)(m - right), sizeof *p, by_row_upwards);
    *lowest = right;
    return m;
}

int omma_hull(omma_point *points, int n) {
    if (n < 2) return n;
    int lowest, k = 0;
    int m = lay_out(points, n, &lowest);
    if (m < 3) return m;
    omma_point first = points[0];
    for (int i = 0; i <= lowest; i++) k = chain(points, k, 1, points[i]);
    int base = k;
    for (int i = lowest + 1; i < m; i++) k = chain(points, k, base, points[i]);
    while (k > base && turn(points[k - 2], points[k - 1], first) <= 0) k--;
    return k;
}

/* The rectangle around the points with a side along (ux, uy). */
static omma_turned_rect rect_along(const omma_point *p, int n, double ux, double uy) {
    double lo_u = INFINITY, hi_u = -INFINITY, lo_v = INFINITY, hi_v = -INFINITY;
    for (int i = 0; i < n; i++) {
        double x = (double)p[i].x, y = (double)p[i].y;
        double u = x * ux + y * uy, v = y * ux - x * uy;
        lo_u = fmin(lo_u, u);
        hi_u = fmax(hi_u, u);
        lo_v = fmin(lo_v, v);
        hi_v = fmax(hi_v, v);
    }
    double u = (lo_u + hi_u) / 2, v = (lo_v + hi_v) / 2;
    return (omma_turned_rect){
        (float)(u * ux - v * uy), (float)(u * uy + v * ux), (float)ux, (float)uy,
        (float)(hi_u - lo_u),     (float)(hi_v - lo_v)};
}

/* Every edge is tried against every corner: a hull of lattice points in a map of side D
 * has at most about 3 D^(2/3) corners, so calipers that rotate would save nothing. */
omma_turned_rect omma_min_rect(const omma_point *hull, int n) {
    omma_turned_rect best = rect_along(hull, n, 1, 0);
    if (n < 2) return best;
    double least = INFINITY;
    for (int i = 0; i < n; i++) {
        omma_point a = hull[i], b = hull[(i + 1) % n];
        double dx = (double)b.x - (double)a.x, dy = (double)b.y - (double)a.y;
        double len = hypot(dx, dy);
        if (len <= 0) continue;
        omma_turned_rect r = rect_along(hull, n, dx / len, dy / len);
        double area = (double)r.w * (double)r.h;
        if (area < least) {
            least = area;
            best = r;
        }
    }
    return best;
}

omma_quad omma_rect_corners(const omma_turned_rect *r) {
    float wx = r->ux * r->w / 2, wy = r->uy * r->w / 2;
    float hx = -r->uy * r->h / 2, hy = r->ux * r->h / 2;
    omma_quad q = {{{r->cx - wx - hx, r->cy - wy - hy},
                    {r->cx + wx - hx, r->cy + wy - hy},
                    {r->cx + wx + hx, r->cy + wy + hy},
                    {r->cx - wx + hx, r->cy - wy + hy}}};
    omma_quad_order(&q);
    return q;
}

static int by_column(const void *a, const void *b) {
    const omma_point *p = a, *q = b;
    if (p->x != q->x) return p->x < q->x ? -1 : 1;
    return (p->y > q->y) - (p->y < q->y);
}

void omma_quad_order(omma_quad *q) {
    omma_point s[4];
    memcpy(s, q->at, sizeof s);
    qsort(s, 4, sizeof *s, by_column);
    int left = s[1].y < s[0].y, right = s[3].y < s[2].y; /* is the second the upper one? */
    q->at[0] = s[left ? 1 : 0];
    q->at[3] = s[left ? 0 : 1];
    q->at[1] = s[right ? 3 : 2];
    q->at[2] = s[right ? 2 : 3];
}

/* font.c - the letters and how they become strokes; see font.h.
 *
 * Each glyph is a path of centre lines on a grid: y 0 is the base line, 50 the height of
 * an x, 70 that of a capital, -20 the lowest point of a g; x begins at 0. Letters:
 *
 *     M x y               move
 *     L x y               straight line to
 *     A cx cy rx ry a b   arc around (cx, cy), from angle a to b [degrees, 0 is right,
 *                         90 is up], joined by a line to where the pen is
 *     O cx cy rx ry a b   as A, but the pen is moved to its start
 *     D x y               dot
 *
 * Arcs are superellipses, |x/rx|^N + |y/ry|^N = 1 with N = 2.3: a little squarer than
 * ellipses, which keeps bowls open at small sizes. */
#include "view/font.h"

#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846f
#define SQUARENESS 2.3f
#define WEIGHT 0.100f /* stroke width, of the size */
#define CAP 0.72f
#define X_HEIGHT 0.54f
#define DESCENT 0.21f
enum { FIRST = 32, LAST = 126, STROKES_MAX = 320, TEXT_MAX = 1 << 20 };
enum { CAP_UNITS = 70, X_UNITS = 50, DESCENT_UNITS = 20 };

typedef struct glyph {
    signed char width, left, right; /* of the path; space before and after it */
    const char *path;
} glyph;

/* One row a character, from space to '~'. */
static const glyph glyphs[LAST - FIRST + 1] = {
    {12, 6, 6, ""},
    {0, 12, 12, "M0 70L0 24D0 1"},                                                      /* ! */
    {16, 10, 10, "M0 70L0 50M16 70L16 50"},                                             /* " */
    {52, 6, 6, "M12 0L21 70M31 0L40 70M3 48L52 48M0 22L49 22"},                         /* # */
    {44, 7, 7, "O22 52 20 18 35 270A22 17 22 17 90 -145M22 80L22 -10"},                 /* $ */
    {68, 6, 6, "O13 54 13 16 0 360O55 16 13 16 0 360M54 70L14 0"},                      /* % */
    {54, 6, 4, "M54 0L11 47A22 56 14 14 215 -50L9 34A20 18 20 18 125 325L52 34"},       /* & */
    {0, 10, 10, "M0 70L0 50"},                                                          /* ' */
    {14, 9, 5, "O26 32 26 46 128 232"},                                                 /* ( */
    {14, 5, 9, "O-12 32 26 46 52 -52"},                                                 /* ) */
    {30, 5, 5, "M15 70L15 38M1 62L29 46M1 46L29 62"},                                   /* * */
    {40, 7, 7, "M0 34L40 34M20 54L20 14"},                                              /* + */
    {4, 7, 9, "M4 3L0 -12"},                                                            /* , */
    {24, 7, 7, "M0 30L24 30"},                                                          /* - */
    {0, 10, 10, "D0 1"},                                                                /* . */
    {30, 4, 4, "M0 -8L30 76"},                                                          /* / */
    {42, 7, 7, "O21 35 21 35 0 360"},                                                   /* 0 */
    {42, 7, 7, "M7 56L25 70L25 0"},                                                     /* 1 */
    {42, 7, 7, "O21 50 19 20 165 -35L1 0L42 0"},                                        /* 2 */
    {42, 7, 7, "O19 53 18 17 150 -90M13 36L19 36A19 18 22 18 90 -150"},                 /* 3 */
    {42, 7, 7, "M33 0L33 70L0 19L43 19"},                                               /* 4 */
    {42, 7, 7, "M38 70L7 70L4 37A20 22 21 22 135 -150"},                                /* 5 */
    {42, 7, 7, "O21 22 21 22 0 360M0 22A35 24 35 46 180 97"},                           /* 6 */
    {42, 7, 7, "M0 70L42 70L15 0"},                                                     /* 7 */
    {42, 7, 7, "O21 53 18 17 0 360O21 18 21 18 0 360"},                                 /* 8 */
    {42, 7, 7, "O21 48 21 22 0 360M42 48A7 46 35 46 0 -83"},                            /* 9 */
    {0, 10, 10, "D0 1D0 45"},                                                           /* : */
    {4, 8, 9, "M4 3L0 -12D4 45"},                                                       /* ; */
    {36, 7, 7, "M36 56L0 34L36 12"},                                                    /* < */
    {38, 7, 7, "M0 44L38 44M0 24L38 24"},                                               /* = */
    {36, 7, 7, "M0 56L36 34L0 12"},                                                     /* > */
    {36, 6, 6, "O18 53 18 17 165 -50L18 30L18 24D18 1"},                                /* ? */
    {67, 7, 7, "O32 28 14 17 0 360M46 45L46 21A57 21 10 11 180 360A33 28 34 40 0 312"}, /* @ */
    {52, 4, 4, "M0 0L26 70L52 0M8 22L44 22"},                                           /* A */
    {42, 9, 6, "M0 0L0 70L22 70A22 53 17 17 90 -90L0 36M22 36L24 36A24 18 18 18 90 -90L0 0"},
    {46, 7, 5, "O27 35 27 35 50 310"},                                /* C */
    {49, 9, 7, "M0 0L0 70L21 70A21 35 28 35 90 -90L0 0"},             /* D */
    {38, 9, 6, "M38 70L0 70L0 0L38 0M0 36L33 36"},                    /* E */
    {37, 9, 4, "M37 70L0 70L0 0M0 35L32 35"},                         /* F */
    {52, 7, 8, "O27 35 27 35 50 342L52 34L32 34"},                    /* G */
    {48, 9, 9, "M0 0L0 70M48 0L48 70M0 36L48 36"},                    /* H */
    {0, 10, 10, "M0 0L0 70"},                                         /* I */
    {33, 5, 9, "M33 70L33 20A16 20 17 20 0 -160"},                    /* J */
    {46, 9, 3, "M0 0L0 70M43 70L0 27M16 43L46 0"},                    /* K */
    {36, 9, 4, "M0 70L0 0L36 0"},                                     /* L */
    {58, 9, 9, "M0 0L0 70L29 20L58 70L58 0"},                         /* M */
    {48, 9, 9, "M0 0L0 70L48 0L48 70"},                               /* N */
    {56, 7, 7, "O28 35 28 35 0 360"},                                 /* O */
    {42, 9, 5, "M0 0L0 70L23 70A23 51 19 19 90 -90L0 32"},            /* P */
    {58, 7, 5, "O28 35 28 35 0 360M37 17L58 -4"},                     /* Q */
    {44, 9, 4, "M0 0L0 70L23 70A23 51 19 19 90 -90L0 32M21 32L44 0"}, /* R */
    {44, 6, 6, "O22 53 20 17 35 270A22 18 22 18 90 -145"},            /* S */
    {50, 4, 4, "M0 70L50 70M25 70L25 0"},                             /* T */
    {48, 9, 9, "M0 70L0 24A24 24 24 24 180 360L48 70"},               /* U */
    {52, 4, 4, "M0 70L26 0L52 70"},                                   /* V */
    {76, 4, 4, "M0 70L19 0L38 66L57 0L76 70"},                        /* W */
    {48, 4, 4, "M0 0L48 70M0 70L48 0"},                               /* X */
    {50, 3, 3, "M0 70L25 33L50 70M25 33L25 0"},                       /* Y */
    {46, 5, 5, "M2 70L45 70L0 0L46 0"},                               /* Z */
    {14, 9, 5, "M14 78L0 78L0 -14L14 -14"},                           /* [ */
    {30, 4, 4, "M0 76L30 -8"},                                        /* \ */
    {14, 5, 9, "M0 78L14 78L14 -14L0 -14"},                           /* ] */
    {34, 6, 6, "M0 44L17 70L34 44"},                                  /* ^ */
    {44, 2, 2, "M0 -12L44 -12"},                                      /* _ */
    {10, 8, 8, "M0 72L10 60"},                                        /* ` */
    {35, 6, 8, "M35 0L35 32A17 32 18 18 0 152M35 28L15 28A15 14 15 14 90 270A17 18 18 18 270 360"},
    {39, 8, 6, "M0 73L0 0M0 25A20 25 19 25 180 -180"},                                /* b */
    {34, 6, 4, "O20 25 20 25 48 312"},                                                /* c */
    {39, 6, 8, "O19 25 19 25 0 360M39 73L39 0"},                                      /* d */
    {39, 6, 6, "M0 26L39 26A20 25 19 25 0 312"},                                      /* e */
    {26, 4, 3, "M9 0L9 56A25 56 16 16 180 88M0 50L24 50"},                            /* f */
    {39, 6, 8, "O19 25 19 25 0 360M39 50L39 -2A20 -2 19 18 0 -155"},                  /* g */
    {37, 8, 8, "M0 73L0 0M0 30A19 30 18 20 180 0L37 0"},                              /* h */
    {0, 9, 9, "M0 50L0 0D0 69"},                                                      /* i */
    {11, 3, 9, "M11 50L11 -6A-1 -6 12 14 0 -85D11 69"},                               /* j */
    {36, 8, 3, "M0 73L0 0M34 50L0 17M11 28L36 0"},                                    /* k */
    {13, 9, 4, "M0 73L0 12A12 12 12 12 180 275"},                                     /* l */
    {60, 8, 8, "M0 50L0 0M0 32A15 32 15 18 180 0L30 0M30 32A45 32 15 18 180 0L60 0"}, /* m */
    {37, 8, 8, "M0 50L0 0M0 30A19 30 18 20 180 0L37 0"},                              /* n */
    {40, 6, 6, "O20 25 20 25 0 360"},                                                 /* o */
    {39, 8, 6, "M0 50L0 -20M0 25A20 25 19 25 180 -180"},                              /* p */
    {39, 6, 8, "O19 25 19 25 0 360M39 50L39 -20"},                                    /* q */
    {22, 8, 3, "M0 50L0 0M0 27A20 27 20 23 180 82"},                                  /* r */
    {33, 6, 6, "O17 38 15 12 32 270A17 13 17 13 90 -148"},                            /* s */
    {25, 4, 4, "M9 66L9 14A23 14 14 14 180 278M0 50L24 50"},                          /* t */
    {37, 8, 8, "M0 50L0 20A18 20 18 20 180 360M37 50L37 0"},                          /* u */
    {38, 3, 3, "M0 50L19 0L38 50"},                                                   /* v */
    {58, 3, 3, "M0 50L14 0L29 46L44 0L58 50"},                                        /* w */
    {36, 4, 4, "M0 0L36 50M0 50L36 0"},                                               /* x */
    {38, 3, 3, "M0 50L19 0M38 50L14 -14A6 -11 8 9 -20 -95"},                          /* y */
    {35, 5, 5, "M1 50L34 50L0 0L35 0"},                                               /* z */
    {20, 5, 5,
     "M20 78A20 67 11 11 90 180L9 43A0 43 9 11 0 -90A0 21 9 11 90 0L9 -3A20 -3 11 11 180 270"},
    {0, 10, 10, "M0 78L0 -14"}, /* | */
    {20, 5, 5,
     "M0 78A0 67 11 11 90 0L11 43A20 43 9 11 180 270A20 21 9 11 90 180L11 -3A0 -3 11 11 0 -90"},
    {42, 7, 7, "M0 29L8 38L16 38L26 29L34 29L42 38"}, /* ~ */
};

static const glyph box = {38, 8, 8, "M0 0L0 70L38 70L38 0L0 0"};

/* --- sizes ---------------------------------------------------------------------- */

/* How the grid is laid on pixels at one size. Centre lines are moved inwards by half the
 * stroke's width, so that outer edges meet whole pixels. */
typedef struct fit {
    float weight, scale; /* [px], [px per unit] */
    float cap, x_height, descent;
} fit;

static int bound(int px) {
    return px < OMMA_FONT_MIN ? OMMA_FONT_MIN : px > OMMA_FONT_MAX ? OMMA_FONT_MAX : px;
}

static int whole(float v) { return (int)floorf(v + 0.5f); }

int omma_font_cap(int px) { return whole(CAP * (float)bound(px)); }
int omma_font_descent(int px) { return whole(DESCENT * (float)bound(px)); }

static fit fit_of(int px) {
    float size = (float)bound(px), weight = fmaxf(1, WEIGHT * size);
    return (fit){weight, (CAP * size - weight) / CAP_UNITS, (float)omma_font_cap(px),
                 (float)whole(X_HEIGHT * size), (float)omma_font_descent(px)};
}

/* Height above the base line [px] of y on the grid: linear between the fitted lines. */
static float height(const fit *f, float y) {
    float half = f->weight / 2, base = half, x = f->x_height - half, cap = f->cap - half;
    if (y < 0) return base + y / DESCENT_UNITS * f->descent;
    if (y < X_UNITS) return base + y / X_UNITS * (x - base);
    if (y < CAP_UNITS) return x + (y - X_UNITS) / (CAP_UNITS - X_UNITS) * (cap - x);
    return cap + (y - CAP_UNITS) * f->scale;
}

static float advance(const fit *f, const glyph *g) {
    return f->weight + f->scale * (float)(g->width + g->left + g->right);
}

/* --- paths ---------------------------------------------------------------------- */

/* A pen over one glyph: where its grid's origin is, where it stands, what it drew. */
typedef struct pen {
    const fit *fit;
    float x0, y0; /* origin [px] */
    float x, y;   /* [px] */
    int count;
    omma_stroke strokes[STROKES_MAX];
} pen;

static void move(pen *p, float x, float y) {
    p->x = p->x0 + p->fit->weight / 2 + p->fit->scale * x;
    p->y = p->y0 - height(p->fit, y);
}

static void line(pen *p, float x, float y) {
    float fx = p->x, fy = p->y;
    move(p, x, y);
    if (p->count < STROKES_MAX)
        p->strokes[p->count++] = (omma_stroke){fx, fy, p->x, p->y, p->fit->weight / 2};
}

static void dot(pen *p, float x, float y) {
    move(p, x, y);
    if (p->count < STROKES_MAX)
        p->strokes[p->count++] = (omma_stroke){p->x, p->y, p->x, p->y, 0.62f * p->fit->weight};
}

static float bulge(float v) { return copysignf(powf(fabsf(v), 2 / SQUARENESS), v); }

/* a: cx, cy, rx, ry, from, to. */
static void arc(pen *p, const float a[6], bool joined) {
    float sweep = a[5] - a[4];
    float per_turn = 20 + p->fit->cap / 2;
    int steps = 1 + (int)(fminf(per_turn, 96) * fabsf(sweep) / 360);
    for (int i = 0; i <= steps; i++) {
        float t = (a[4] + sweep * (float)i / (float)steps) * PI / 180;
        float x = a[0] + a[2] * bulge(cosf(t)), y = a[1] + a[3] * bulge(sinf(t));
        if (i || joined) line(p, x, y);
        else move(p, x, y);
    }
}

static const char *number(const char *s, float *out) {
    while (*s == ' ') s++;
    bool minus = *s == '-';
    int v = 0;
    for (s += minus; *s >= '0' && *s <= '9'; s++) v = 10 * v + (*s - '0');
    *out = (float)(minus ? -v : v);
    return s;
}

static void trace(pen *p, const char *s) {
    while (*s) {
        char op = *s++;
        float a[6];
        int n = op == 'A' || op == 'O' ? 6 : 2;
        for (int i = 0; i < n; i++) s = number(s, &a[i]);
        switch (op) {
        case 'M': move(p, a[0], a[1]); break;
        case 'L': line(p, a[0], a[1]); break;
        case 'D': dot(p, a[0], a[1]); break;
        default: arc(p, a, op == 'A'); break;
        }
    }
}

/* --- text ----------------------------------------------------------------------- */

/* The length of the UTF-8 character at s, of at most n bytes; 1 for a byte that is none. */
static int character(const unsigned char *s, int n) {
    if (s[0] < 0xc2 || s[0] > 0xf4) return 1;
    int length = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (length > n) return 1;
    for (int i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80) return 1;
    return length;
}

static const glyph *glyph_of(unsigned char first) {
    return first >= FIRST && first <= LAST ? &glyphs[first - FIRST] : &box;
}

static int length_of(const char *text, int n) { return n < 0 ? (int)strnlen(text, TEXT_MAX) : n; }

int omma_font_width(const char *text, int n, int px) {
    const unsigned char *s = (const unsigned char *)text;
    fit f = fit_of(px);
    float width = 0;
    n = length_of(text, n);
    for (int i = 0; i < n; i += character(s + i, n - i)) width += advance(&f, glyph_of(s[i]));
    return (int)ceilf(width);
}

int omma_font_fit(const char *text, int px, int width) {
    const unsigned char *s = (const unsigned char *)text;
    fit f = fit_of(px);
    int n = length_of(text, -1), i = 0;
    for (float used = 0; i < n; i += character(s + i, n - i)) {
        used += advance(&f, glyph_of(s[i]));
        if (used > (float)width) break;
    }
    return i;
}

void omma_font_draw(omma_image *img, int x, int baseline, const char *text, int n, int px,
                    omma_color color) {
    const unsigned char *s = (const unsigned char *)text;
    fit f = fit_of(px);
    float at = (float)x;
    n = length_of(text, n);
    for (int i = 0; i < n && at < (float)img->width; i += character(s + i, n - i)) {
        const glyph *g = glyph_of(s[i]);
        pen p; /* its strokes are filled as far as count says */
        p.fit = &f;
        p.x0 = (float)whole(at + f.scale * (float)g->left); /* upright stems stay crisp */
        p.y0 = (float)baseline;
        p.count = 0;
        trace(&p, g->path);
        omma_stroke_draw(img, p.strokes, p.count, color);
        at += advance(&f, g);
    }
}

/* color.c - see color.h. Class colours walk the hue circle of OKLCH (B. Ottosson, 2020)
 * by the golden angle, so that every new one falls into the widest gap, and alternate in
 * lightness; where sRGB cannot show a colour its chroma is lowered until it can. */
#include "view/color.h"

#include <math.h>
#include <stdbool.h>

#define PI 3.14159265358979323846
#define GOLDEN_ANGLE 137.50776405003785 /* [degrees] */
enum { LEVELS = 3 }; /* 8 and 13 steps of the angle nearly close the circle: change level */

static double gamma_of(double v) {
    return v <= 0.0031308 ? 12.92 * v : 1.055 * pow(v, 1 / 2.4) - 0.055;
}

static double linear_of(double v) {
    return v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4);
}

/* OKLCH to linear sRGB; false if it is outside the gamut. */
static bool linear_rgb(double rgb[3], double lightness, double chroma, double hue) {
    double a = chroma * cos(hue), b = chroma * sin(hue);
    double l = lightness + 0.3963377774 * a + 0.2158037573 * b;
    double m = lightness - 0.1055613458 * a - 0.0638541728 * b;
    double s = lightness - 0.0894841775 * a - 1.2914855480 * b;
    l *= l * l, m *= m * m, s *= s * s;
    rgb[0] = 4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s;
    rgb[1] = -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s;
    rgb[2] = -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s;
    for (int i = 0; i < 3; i++)
        if (rgb[i] < 0 || rgb[i] > 1) return false;
    return true;
}

omma_color omma_color_of_class(int i) {
    static const double level[LEVELS] = {0.64, 0.82, 0.72};
    unsigned n = (unsigned)i;
    double hue = fmod(25 + GOLDEN_ANGLE * (double)(n % 100000), 360) * PI / 180, rgb[3];
    double chroma = 0.24;
    while (!linear_rgb(rgb, level[n % LEVELS], chroma, hue)) chroma -= 0.005;
    unsigned char v[3];
    for (int c = 0; c < 3; c++) v[c] = (unsigned char)lrint(255 * gamma_of(rgb[c]));
    return (omma_color){v[0], v[1], v[2], 255};
}

omma_color omma_color_text_on(omma_color c) {
    double light = 0.2126 * linear_of(c.r / 255.0) + 0.7152 * linear_of(c.g / 255.0) +
                   0.0722 * linear_of(c.b / 255.0);
    bool black = (light + 0.05) / 0.05 > 1.05 / (light + 0.05);
    return black ? (omma_color){0, 0, 0, 255} : (omma_color){255, 255, 255, 255};
}

omma_color omma_color_fade(omma_color c, int a) {
    c.a = (unsigned char)(a < 0 ? 0 : a > 255 ? 255 : a);
    return c;
}

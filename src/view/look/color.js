/* color.js - colours of maps: a ramp from nothing to much, one that goes both ways from zero;
   colours of classes and heads; words for numbers. */

/* Stops in OKLab (lightness, a, b), mixed evenly in it, so equal steps look equal. */
const OKLAB = {
  one: [
    [0.18, 0.02, -0.07],
    [0.38, 0.1, -0.1],
    [0.58, 0.19, -0.01],
    [0.76, 0.1, 0.13],
    [0.96, -0.02, 0.09],
  ],
  both: [
    [0.8, -0.1, -0.06],
    [0.58, -0.07, -0.12],
    [0.25, 0, -0.02],
    [0.62, 0.16, 0.09],
    [0.88, 0.04, 0.14],
  ],
};

function toRgb([L, a, b]) {
  const l = (L + 0.3963377774 * a + 0.2158037573 * b) ** 3,
    m = (L - 0.1055613458 * a - 0.0638541728 * b) ** 3,
    s = (L - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ].map(v => {
    const c = Math.min(1, Math.max(0, v));
    return Math.round(255 * (c <= 0.0031308 ? 12.92 * c : 1.055 * c ** (1 / 2.4) - 0.055));
  });
}

function makeRamp(stops) {
  const out = [];
  for (let i = 0; i < 256; i++) {
    const t = (i / 255) * (stops.length - 1),
      k = Math.min(stops.length - 2, Math.floor(t)),
      f = t - k;
    out.push(toRgb(stops[k].map((v, c) => v + (stops[k + 1][c] - v) * f)));
  }
  return out;
}

const ramps = { one: makeRamp(OKLAB.one), both: makeRamp(OKLAB.both) };

const rampColor = t => `rgb(${ramps.one[Math.round(255 * t)].join(" ")})`;

/* How opaque a map lies on the picture at 0..1 of its ramp: nothing is see-through, much is not. */
const opacity = {
  one: t => 0.78 * Math.sqrt(t) + 0.02,
  both: t => 0.8 * Math.sqrt(Math.abs(2 * t - 1)),
};

/* A scale: {min, max, signed, of}. */
const place = (scale, v) =>
  scale.max > scale.min ? Math.min(1, Math.max(0, (v - scale.min) / (scale.max - scale.min))) : 0;
const rampOf = scale => (scale.signed ? "both" : "one");

function scaleOf(values, of, signed) {
  let min = Infinity,
    max = -Infinity;
  for (const v of values) {
    if (v < min) min = v;
    if (v > max) max = v;
  }
  if (!(min <= max)) min = max = 0;
  if (signed === undefined) signed = min < 0;
  if (signed) {
    max = Math.max(max, -min);
    min = -max;
  } else min = Math.min(0, min);
  return { min, max, of, signed };
}

function unionScale(a, b) {
  if (!a || !b) return a || b;
  return {
    of: a.of,
    signed: a.signed || b.signed,
    min: Math.min(a.min, b.min),
    max: Math.max(a.max, b.max),
  };
}

/* The golden angle keeps neighbours apart, as in color.c. */
const hueColor = (i, light = 0.72, chroma = 0.15) => {
  const hue = ((25 + 137.50776405 * i) * Math.PI) / 180;
  return `rgb(${toRgb([light, chroma * Math.cos(hue), chroma * Math.sin(hue)]).join(" ")})`;
};

/* --- words ------------------------------------------------------------------------- */

function show(v, digits = 3) {
  if (v === null || v === undefined || Number.isNaN(v)) return "–";
  if (v === Infinity) return "∞";
  if (v === 0) return "0";
  const a = Math.abs(v);
  if (a >= 1e6 || a < 1e-3) return v.toExponential(Math.max(0, digits - 2)).replace("-", "−");
  const text =
    a >= 1000
      ? Math.round(v).toLocaleString("en-GB")
      : String(+v.toPrecision(Math.max(digits, a >= 100 ? 3 : digits)));
  return text.replace("-", "−");
}
const percent = v =>
  v === null || v === undefined || Number.isNaN(v)
    ? "–"
    : v && Math.abs(v) < 0.00005
      ? (v < 0 ? "> −" : "< ") + "0.01\u00a0%"
      : (Math.abs(v) < 0.0995
        ? (100 * v).toFixed(Math.abs(v) < 0.00995 ? 2 : 1)
        : (100 * v).toFixed(0)
      ).replace("-", "−") + "\u00a0%";
const count = v => Math.round(v).toLocaleString("en-GB");
function fixed(v, d = 1) {
  return Number.isFinite(v) ? String(+v.toFixed(d)).replace("-", "−") : "–";
}
const withScore = (name, score, between) =>
  score === undefined ? name : name + between + percent(score);
const inBrackets = text => (text ? ` (${text})` : "");
const bytes = v => (v >= 1e6 ? fixed(v / 1e6) + " MB" : fixed(v / 1e3) + " kB");

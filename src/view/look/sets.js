/* sets.js - sets of pixels and of cells. What a cell sees is kept as runs of rows times runs of
   columns; what is no product, as runs over all pixels. A set here is {rows, cols} or {pixels} or
   {all}, with its status. Pixels are whole numbers, cells lie at first + jump * i. */

const allOf = part => ({ all: true, status: "whole", W: part.W, H: part.H });

/* Runs of line i of an axis of a layer: all lines may share one. */
function lineRuns(axis, i) {
  if (!axis.lines) return null;
  const runs = runsOf(axis.lines);
  return runs.length === 1 ? runs[0] : runs[i];
}

function cellSet(layer, y, x) {
  const rows = lineRuns(layer.y, y),
    cols = lineRuns(layer.x, x);
  return rows && cols
    ? { rows, cols, status: layer.bound ? "bound" : layer.status, W: layer.W, H: layer.H }
    : null;
}

const runLength = runs => {
  let n = 0;
  for (let i = 0; i < runs.length; i += 2) n += runs[i + 1] - runs[i];
  return n;
};
const inRuns = (runs, v) => {
  for (let i = 0; i < runs.length; i += 2) if (v >= runs[i] && v < runs[i + 1]) return true;
  return false;
};

function setCount(set) {
  return set.all
    ? set.W * set.H
    : set.pixels
      ? runLength(set.pixels)
      : runLength(set.rows) * runLength(set.cols);
}

/* The smallest box around a set, edges at half pixels: {y0, x0, y1, x1}; null: it is empty. */
function setHull(set) {
  if (set.hull !== undefined) return set.hull;
  let hull = null;
  if (set.all) hull = { y0: 0, x0: 0, y1: set.H, x1: set.W };
  else if (set.rows && set.rows.length && set.cols.length)
    hull = {
      y0: set.rows[0],
      y1: set.rows[set.rows.length - 1],
      x0: set.cols[0],
      x1: set.cols[set.cols.length - 1],
    };
  else if (set.pixels && set.pixels.length) {
    hull = { y0: Infinity, x0: Infinity, y1: 0, x1: 0 };
    eachPixelRun(set, (y, from, to) => {
      hull.y0 = Math.min(hull.y0, y);
      hull.y1 = Math.max(hull.y1, y + 1);
      hull.x0 = Math.min(hull.x0, from);
      hull.x1 = Math.max(hull.x1, to);
    });
  }
  return (set.hull = hull);
}

/* Runs over all pixels, cut into rows. */
function eachPixelRun(set, use) {
  const runs = set.pixels,
    W = set.W;
  for (let i = 0; i < runs.length; i += 2)
    for (let at = runs[i]; at < runs[i + 1];) {
      const y = Math.floor(at / W),
        end = Math.min(runs[i + 1], (y + 1) * W);
      use(y, at - y * W, end - y * W);
      at = end;
    }
}

/* Runs of what is set in a list of zeros and ones. */
function runsIn(list) {
  const runs = [];
  list.forEach((v, i) => {
    if (v && !list[i - 1]) runs.push(i);
    if (v && !list[i + 1]) runs.push(i + 1);
  });
  return runs;
}

/* Fill a Uint32Array [H, W] with one colour outside of the set and another in it. */
function paintSet(pixels, set, outside, inside) {
  const W = set.W;
  pixels.fill(set.all ? inside : outside);
  if (set.pixels)
    eachPixelRun(set, (y, from, to) => pixels.fill(inside, y * W + from, y * W + to));
  if (!set.rows) return;
  const row = new Uint32Array(W).fill(outside);
  for (let i = 0; i < set.cols.length; i += 2) row.fill(inside, set.cols[i], set.cols[i + 1]);
  for (let i = 0; i < set.rows.length; i += 2)
    for (let y = set.rows[i]; y < set.rows[i + 1]; y++) pixels.set(row, y * W);
}

/* Share of the hull that is in the set. */
function coverage(set) {
  const hull = setHull(set);
  return hull ? setCount(set) / ((hull.y1 - hull.y0) * (hull.x1 - hull.x0)) : 0;
}

/* --- cells of a layer ------------------------------------------------------------------ */

/* Is all that is known of a layer's cells a bound? */
const isBound = layer => layer.bound && !layer.every;

const hasCells = layer => layer.y.cells > 0 && layer.x.cells > 0;
const centre = (axis, i) => (axis.first || 0) + (axis.jump || 0) * i;

function nearestCell(layer, y, x) {
  const near = (axis, v) =>
    Math.min(
      axis.cells - 1,
      Math.max(0, axis.jump ? Math.round((v - (axis.first || 0)) / axis.jump) : 0),
    );
  return { y: near(layer.y, y), x: near(layer.x, x) };
}

/* Which lines of an axis's cells see line v: a Uint8Array by cell. */
function reachedLines(axis, v) {
  const out = new Uint8Array(axis.cells);
  if (!axis.lines) return out;
  const runs = runsOf(axis.lines);
  for (let i = 0; i < out.length; i++)
    out[i] = inRuns(runs.length === 1 ? runs[0] : runs[i], v) ? 1 : 0;
  return out;
}

function reachedCells(layer, y, x) {
  if (layer.every) {
    const set = ownSet(layer.every),
      on = set.all || inRuns(set.pixels, y * set.W + x) ? 1 : 0,
      line = axis => new Uint8Array(axis.cells).fill(on);
    return { rows: line(layer.y), cols: line(layer.x), count: on * layer.y.cells * layer.x.cells };
  }
  const rows = reachedLines(layer.y, y),
    cols = reachedLines(layer.x, x);
  const sum = list => list.reduce((a, b) => a + b, 0);
  return { rows, cols, count: sum(rows) * sum(cols) };
}

/* --- tokens -------------------------------------------------------------------------------- */

/* Where token t lies: {y, x, jy, jx, grid, row, column}; null: nowhere. */
function tokenPlace(tokens, t) {
  for (const g of tokens.grids) {
    const off = t - g.from,
      byRows = g.row_step >= g.column_step;
    const major = Math.floor(off / (byRows ? g.row_step : g.column_step));
    const minor =
      (off - major * (byRows ? g.row_step : g.column_step)) / (byRows ? g.column_step : g.row_step);
    const row = byRows ? major : minor,
      column = byRows ? minor : major;
    if (
      off < 0 ||
      row < 0 ||
      row >= g.rows ||
      row % 1 ||
      column < 0 ||
      column >= g.columns ||
      column % 1
    )
      continue;
    return {
      y: g.first_y + g.jump_y * row,
      x: g.first_x + g.jump_x * column,
      jy: g.jump_y,
      jx: g.jump_x,
      grid: g,
      row,
      column,
    };
  }
  return null;
}

const gridToken = (g, row, column) => g.from + row * g.row_step + column * g.column_step;

/* The token whose centre is nearest, in the grid of the finest cells. */
function nearestToken(tokens, y, x) {
  let best = null;
  for (const g of tokens.grids) if (!best || g.jump_y < best.jump_y) best = g;
  if (!best) return -1;
  const near = (v, first, jump, n) => Math.min(n - 1, Math.max(0, Math.round((v - first) / jump)));
  return gridToken(
    best,
    near(y, best.first_y, best.jump_y, best.rows),
    near(x, best.first_x, best.jump_x, best.columns),
  );
}

/* In a list, and in a sentence. */
function tokenName(tokens, t) {
  const p = tokenPlace(tokens, t),
    level = tokens.grids.length > 1 && p ? `, level ${tokens.grids.indexOf(p.grid)}` : "";
  if (tokens.queries) return `query ${t}`;
  return p ? `row ${p.row}, column ${p.column}${level}` : tokens.special[t] || `token ${t}`;
}
const theToken = (tokens, t) =>
  tokenPlace(tokens, t)
    ? `the token at ${tokenName(tokens, t)}`
    : tokens.queries
      ? tokenName(tokens, t)
      : `the ${tokenName(tokens, t)}`;

/* --- units ------------------------------------------------------------------------------------ */

const sameUnit = (a, b) =>
  a.what === b.what &&
  (a.part || 0) === (b.part || 0) &&
  a.y === b.y &&
  a.x === b.x &&
  (a.edge || "") === (b.edge || "");

/* Of a part of the report that is a set. */
const ownSet = own =>
  (own.set =
    own.set ||
    (own.pixels
      ? { pixels: runsOf(own.pixels)[0], status: own.status, W: own.W, H: own.H }
      : allOf(own)));

/* The exact set of a unit; null: not in this report. */
function setOf(model, unit) {
  const own =
    (unit.what === "cell" && model.layers[unit.part] && model.layers[unit.part].every) ||
    model.setOfUnit.get(unitKey(unit));
  if (own) return ownSet(own);
  if (unit.what === "cell" && model.layers[unit.part])
    return cellSet(model.layers[unit.part], unit.y, unit.x);
  if (unit.what === "answer") {
    const a = model.answers[unit.part];
    return a && a.query >= 0 ? setOf(model, { what: "query", y: a.query, x: 0 }) : null;
  }
  if (unit.what === "token") {
    const tokens = model.tokens[unit.part],
      p = tokens && tokenPlace(tokens, unit.y);
    if (p && p.grid.layer >= 0)
      return setOf(model, { what: "cell", part: p.grid.layer, y: p.row, x: p.column });
  }
  return null;
}

/* Maps of a unit; of one family, or of all. */
const heatsOf = (model, unit, family) =>
  model.heats.filter(h => (!family || h.family === family) && sameUnit(h.unit, unit));

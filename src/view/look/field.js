/* field.js - the view of fields: what a cell sees and which cells a pixel reaches, layer by
   layer. */

const fieldView = {
  id: "field",
  title: "Field",
  about: 1,

  layer: p => p.model().layers[p.s.layer],
  unitOf: p =>
    p.s.forth ? { what: "pixel", ...p.s.pixel } : { what: "cell", part: p.s.layer, ...p.s.cell },

  point(p, at) {
    const layer = this.layer(p);
    p.s.pixel = {
      y: Math.max(0, Math.min(p.H - 1, Math.round(at.y))),
      x: Math.max(0, Math.min(p.W - 1, Math.round(at.x))),
    };
    if (layer && hasCells(layer)) p.s.cell = nearestCell(layer, at.y, at.x);
  },

  move(p, dy, dx) {
    const layer = this.layer(p),
      within = (v, n) => Math.max(0, Math.min(n - 1, v));
    if (p.s.forth || !layer || !hasCells(layer)) {
      p.s.pixel = { y: within(p.s.pixel.y + dy, p.H), x: within(p.s.pixel.x + dx, p.W) };
      return;
    }
    p.s.cell = {
      y: within(p.s.cell.y + dy, layer.y.cells),
      x: within(p.s.cell.x + dx, layer.x.cells),
    };
    p.s.pixel = this.pixelOf(layer, p.s.cell);
  },

  pixelOf(layer, cell) {
    const near = (v, n) => Math.max(0, Math.min(n - 1, Math.round(v)));
    return { y: near(centre(layer.y, cell.y), layer.H), x: near(centre(layer.x, cell.x), layer.W) };
  },

  deeper(p, by) {
    const list = layersShown(p),
      at = list.indexOf(p.s.layer);
    this.setLayer(p, list[Math.max(0, Math.min(list.length - 1, at + by))]);
  },

  flip(p) {
    p.s.forth = !p.s.forth;
  },

  /* The same place in another layer. */
  setLayer(p, i) {
    p.s.layer = i;
    const layer = this.layer(p);
    if (layer && hasCells(layer)) p.s.cell = nearestCell(layer, p.s.pixel.y, p.s.pixel.x);
  },

  /* The effective field of the cell at hand, if it was measured and is wanted; by one of its
     recipes. */
  heatOf(p) {
    const list = p.s.forth || !app.effective ? [] : heatsOf(p.model(), this.unitOf(p));
    return list[Math.min(p.s.recipe, list.length - 1)];
  },

  scale(p) {
    const part = this.heatOf(p);
    return part && scaleOf(numbersOf(part.map), `${mapName(part)}, ${part.of || "magnitude"}`);
  },

  /* Only maps by one recipe can be compared. */
  shared(p) {
    const part = this.heatOf(p);
    return p
      .model()
      .heats.filter(x => x.family === part.family && x.method === part.method)
      .map(x => scaleOf(numbersOf(x.map), ""))
      .reduce(unionScale, null);
  },

  draw(p, scale) {
    const layer = this.layer(p);
    if (!layer) return;
    if (p.s.forth) drawReached(p, layer);
    else drawSeen(p, layer, this.heatOf(p), scale);
  },

  caption(p) {
    const layer = this.layer(p);
    if (!layer) return "";
    if (p.s.forth) return reachedCaption(p, layer);
    if (!hasCells(layer)) return `*${layer.label}* has no cells with a place in the picture.`;
    return seenCaption(p, layer);
  },

  missing: m =>
    m.layers.length ? null : "No layers were found whose cells have a place in the picture.",
  build: p => buildField(p),
};

/* Layers the slider walks over. */
function layersShown(p) {
  const all = p.model().layers.map((l, i) => i);
  const some = all.filter(i => p.model().layers[i].stage || i === p.s.layer);
  return app.stages && some.length ? some : all;
}

const mapName = part =>
  part.family === "effective" ? `effective field, recipe “${part.method}”` : part.method;

/* Cells of the layer at hand that have maps. */
function measuredCells(p) {
  const out = [];
  for (const { unit } of p.model().heats)
    if (unit.what === "cell" && unit.part === p.s.layer && !out.some(u => sameUnit(u, unit)))
      out.push(unit);
  return out;
}

/* Cells whose exact sets are in the report while others of their layer have a bound. */
const ringedCells = layer =>
  layer.every || layer.exact.length >= layer.y.cells * layer.x.cells ? [] : layer.exact;

/* --- on the picture ------------------------------------------------------------------------ */

function drawSeen(p, layer, heat, scale) {
  if (!hasCells(layer)) return;
  const { y, x } = p.s.cell,
    set = setOf(p.model(), fieldView.unitOf(p));
  const cy = centre(layer.y, y),
    cx = centre(layer.x, x);
  if (heat) p.heatPart(heat, scale);
  if (set && !set.all) p.veil(set);
  if (app.effective)
    for (const unit of measuredCells(p))
      p.ring(centre(layer.y, unit.y), centre(layer.x, unit.x), mark.second, 4);
  for (const unit of ringedCells(layer))
    p.ring(centre(layer.y, unit.y), centre(layer.x, unit.x), "#ffffff", 3.5);
  const hull = set && setHull(set);
  if (hull) p.hull(hull, mark.unit, 2, set.status === "bound" ? [7, 6] : null);
  p.cell(cy, cx, layer.y.jump || 1, layer.x.jump || 1, mark.second);
  p.cross(cy, cx);
}

function drawReached(p, layer) {
  const { y, x } = p.s.pixel;
  if (hasCells(layer)) {
    const reached = reachedCells(layer, y, x),
      cells = new Float32Array(layer.y.cells * layer.x.cells);
    for (let r = 0; r < layer.y.cells; r++)
      for (let c = 0; c < layer.x.cells; c++)
        cells[r * layer.x.cells + c] = reached.rows[r] & reached.cols[c];
    const image = new ImageData(layer.x.cells, layer.y.cells);
    cells.forEach((v, i) => image.data.set(v ? [255, 210, 63, 150] : [13, 15, 20, 150], 4 * i));
    const small = document.createElement("canvas");
    small.width = layer.x.cells;
    small.height = layer.y.cells;
    small.getContext("2d").putImageData(image, 0, 0);
    p.g.imageSmoothingEnabled = false;
    const jy = layer.y.jump || p.H,
      jx = layer.x.jump || p.W;
    p.g.drawImage(
      small,
      p.X((layer.x.first || 0) - jx / 2),
      p.Y((layer.y.first || 0) - jy / 2),
      jx * layer.x.cells * p.k,
      (jy * layer.y.cells * p.height) / p.H,
    );
    if (jx * p.k >= 9) drawCentres(p, layer, reached);
  }
  p.cross(y, x, mark.second);
}

/* A dot at the true centre of each cell that is reached. */
function drawCentres(p, layer, reached) {
  p.g.fillStyle = "#101418";
  reached.rows.forEach((a, r) =>
    reached.cols.forEach((b, c) => {
      if (!a || !b) return;
      p.g.beginPath();
      p.g.arc(p.X(centre(layer.x, c)), p.Y(centre(layer.y, r)), 2, 0, 7);
      p.g.fill();
    }),
  );
}

/* --- in words -------------------------------------------------------------------------------- */

function windowWords(layer) {
  const w = windowOf(layer);
  if (!w) return "only a bound is known";
  if (w.whole) return "the whole picture";
  return `${w.about ? "about " : ""}${fixed(w.y)} × ${fixed(w.x)} px`;
}

/* What a cell's window is: {y, x} or {whole}; about: no window describes all cells, this is around
   what the middle one sees. null: all that is known is a bound. */
function windowOf(layer) {
  const y = size(layer.y.size),
    x = size(layer.x.size),
    whole = { y: Infinity, x: Infinity, whole: true };
  if (layer.every && ownSet(layer.every).all) return whole;
  if (!isBound(layer) && (y === Infinity || x === Infinity)) return whole;
  if (Number.isFinite(y) && Number.isFinite(x)) return { y, x };
  const set = hasCells(layer) && middleSet(layer),
    hull = set && setHull(set);
  if (!hull) return null;
  if (setCount(set) === layer.W * layer.H) return whole;
  return { y: hull.y1 - hull.y0, x: hull.x1 - hull.x0, about: true };
}

/* Of the cell in the middle, null where only a bound of it is known. */
function middleSet(layer) {
  const unit = { what: "cell", part: layer.index, y: layer.y.cells >> 1, x: layer.x.cells >> 1 },
    set = setOf(models[layer.model], unit);
  return set && set.status !== "bound" ? set : null;
}

function seenCaption(p, layer) {
  const { y, x } = p.s.cell,
    set = setOf(p.model(), fieldView.unitOf(p));
  const who = `Cell (${y}, ${x}) of *${layer.label}*`;
  if (!set) return `${who}: its exact set is not in this report.`;
  const n = setCount(set),
    hull = setHull(set),
    share = n / (p.W * p.H);
  if (!n) return `${who} sees *nothing* of the picture: it is made of constants alone.`;
  if (share === 1 && set.status === "bound")
    return (
      `${who}: *only a bound is known*, and from its rows and columns alone it could be ` +
      `the whole picture.${exactHint(layer)}`
    );
  if (share === 1) return `${who} sees the *whole picture*: every pixel can change it.`;
  const box = `${hull.y1 - hull.y0} × ${hull.x1 - hull.x0}`,
    cover = coverage(set);
  const most = set.status === "bound" ? "at most " : "";
  const holes = cover < 1 ? ` It has holes: *${percent(cover)}* of the window around it.` : "";
  const data =
    set.status === "data"
      ? " This holds for this picture only: the model chooses where it looks."
      : "";
  return (
    `${who} sees ${most}*${count(n)} pixels* in a window of ${box}, ` +
    `${percent(share)} of the picture.${holes}${data}` +
    (set.status === "bound" ? exactHint(layer) : "")
  );
}

const exactHint = layer =>
  layer.exact.length ? " Rings mark cells whose exact sets are here." : "";

function reachedCaption(p, layer) {
  const { y, x } = p.s.pixel;
  if (!hasCells(layer)) return `Pixel (${y}, ${x}).`;
  if (!layer.every && (!layer.y.lines || !layer.x.lines))
    return `Pixel (row ${y}, column ${x}): what *${layer.label}* sees is not in this report.`;
  const r = reachedCells(layer, y, x),
    all = layer.y.cells * layer.x.cells;
  const can =
    r.count === all ? `*all ${count(all)} cells*` : `*${count(r.count)}* of ${count(all)} cells`;
  return (
    `Pixel (row ${y}, column ${x}) can change ${isBound(layer) ? "at most " : ""}${can} of ` +
    `*${layer.label}*. Lit squares are those cells, drawn about their centres.`
  );
}

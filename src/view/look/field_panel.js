/* field_panel.js - the panel beside the view of fields: the slider over layers, the plot of growing
   windows, facts of a layer, every layer at the place pointed at. */

function buildField(p) {
  const updates = [],
    add = w => {
      updates.push(w.update);
      return w.e;
    };
  const e = h(
    "div",
    {},
    heading("What can it see?"),
    para(
      "Every cell of a layer is made from a patch of the picture. Point at the picture to see" +
        " which pixels can change a cell, *whatever the weights are*.",
    ),
    add(
      choice(
        "Direction",
        [
          { value: "false", text: "What a cell sees" },
          { value: "true", text: "Who sees a pixel" },
        ],
        () => p.s.forth,
        v => {
          p.s.forth = v === "true";
        },
        { id: "direction" },
      ),
    ),
    add(
      slider(
        "Layer",
        () => ({ min: 0, max: layersShown(p).length - 1 }),
        () => layersShown(p).indexOf(p.s.layer),
        v => fieldView.setLayer(p, layersShown(p)[v]),
        () => layerWords(p),
      ),
    ),
    add(growth(p)),
    add(
      check(
        "One layer per stage",
        () => app.stages,
        v => {
          app.stages = v;
        },
      ),
    ),
    p.model().heats.some(x => x.family === "effective") &&
      add(
        check(
          "Show the effective field where it was measured",
          () => app.effective,
          v => {
            app.effective = v;
          },
          "What the weights make of it: the size of the gradient",
        ),
      ),
    add(effectiveList(p)),
    add(layerFacts(p)),
    add(strip(p)),
  );
  return { e, update: () => updates.forEach(u => u()) };
}

function layerWords(p) {
  const l = fieldView.layer(p);
  return l ? `${tail(l.short, 22)}: ${windowWords(l)}` : "";
}

/* The side of the window, of {v, about}; NaN: only a bound is known. */
function windowSize(layer) {
  const w = (layer.window = layer.window || windowOf(layer) || {});
  return { v: w.y === undefined ? NaN : Math.max(w.y, w.x), about: !!w.about };
}
const sizeWords = s =>
  s.v === Infinity ? "whole" : Number.isNaN(s.v) ? "?" : (s.about ? "≈" : "") + fixed(s.v);

/* The first layer that sees everything, and what made it so; -1: none does. */
function momentOf(layers) {
  const at = layers.findIndex(l => windowSize(l).v === Infinity),
    by = layers.slice(0, at + 1).filter(l => l.whole_by);
  return { at, by: at < 0 ? "" : by.length ? by[by.length - 1].whole_by : layers[at].made_by };
}

/* The size of the window from layer to layer, on a logarithmic scale, and the same as numbers to
   press: 3, 5, 7, ..., the whole picture. */
function growth(p) {
  const box = h("div", { class: "growth" }),
    chips = h("div", { class: "sizes", role: "group", "aria-label": "Sizes of windows" });
  const plot = svg("svg", { class: "plot", viewBox: "0 0 400 132", role: "img" });
  box.append(plot, chips);
  let key = "";
  const update = () => {
    const list = layersShown(p),
      now = p.s.layer + ":" + list.join() + p.s.model;
    if (now === key) return;
    key = now;
    drawGrowth(plot, p, list);
    fillSizes(chips, p, list);
  };
  update();
  return { e: box, update };
}

function drawGrowth(plot, p, list) {
  const layers = p.model().layers,
    top = 18,
    bottom = 112,
    most = Math.log2(2 * Math.max(p.W, p.H));
  const x = i => 34 + (list.length > 1 ? i / (list.length - 1) : 0.5) * 356;
  const y = v =>
    v === Infinity ? top : bottom - (Math.log2(Math.max(1, v)) / most) * (bottom - top - 14);
  plot.replaceChildren();
  plot.setAttribute(
    "aria-label",
    "The window of each layer: " +
      list.map(i => `${layers[i].label} ${windowWords(layers[i])}`).join(", "),
  );
  for (const v of [1, 4, 16, 64, 256, 1024].filter(v => Math.log2(v) < most))
    plot.append(
      svg("line", { class: "grid", x1: 34, x2: 392, y1: y(v), y2: y(v) }),
      svg("text", { x: 28, y: y(v) + 4, class: "tick", "text-anchor": "end", text: v }),
    );
  plot.append(
    svg("line", { class: "grid whole", x1: 34, x2: 392, y1: top, y2: top }),
    svg("text", { x: 28, y: top + 4, class: "tick", "text-anchor": "end", text: "all" }),
  );
  let path = "";
  list.forEach((l, i) => {
    const { v } = windowSize(layers[l]);
    if (!Number.isNaN(v)) path += `${path ? "L" : "M"}${x(i)} ${y(v)}`;
  });
  plot.append(svg("path", { class: "curve", d: path }));
  const moment = momentOf(layers),
    first = moment.at < 0 ? -1 : list.findIndex(l => l >= moment.at);
  if (first >= 0) {
    const near = x(first) > 230,
      by = moment.by || "this layer";
    plot.append(
      svg("line", { class: "moment", x1: x(first), x2: x(first), y1: top - 6, y2: bottom }),
      svg("text", {
        class: "moment-text",
        x: x(first) + (near ? -6 : 6),
        y: bottom - 6,
        "text-anchor": near ? "end" : "start",
        text: `${tail(by, 24)} makes it global`,
      }),
    );
  }
  let last = bottom;
  list.forEach((l, i) => {
    const { v, about } = windowSize(layers[l]),
      on = l === p.s.layer;
    last = Number.isNaN(v) ? last : y(v);
    const dot = svg("circle", {
      class: "dot" + (on ? " on" : "") + (about || Number.isNaN(v) ? " about" : ""),
      cx: x(i),
      cy: last,
      r: on ? 6 : list.length > 60 ? 0 : 3.5,
    });
    const hit = svg(
      "rect",
      {
        class: "hit",
        x: x(i) - 180 / list.length,
        y: 0,
        width: 360 / list.length,
        height: 132,
        onclick: () => {
          fieldView.setLayer(p, l);
          redraw();
        },
      },
      svg("title", { text: `${layers[l].label}: ${windowWords(layers[l])}` }),
    );
    plot.append(dot, hit);
  });
  plot.append(
    svg("text", { class: "tick", x: 34, y: 127, text: "picture" }),
    svg("text", { class: "tick", x: 392, y: 127, "text-anchor": "end", text: "deeper layers" }),
    svg("text", { class: "tick", x: 213, y: 127, "text-anchor": "middle", text: "window, px" }),
  );
}

function fillSizes(chips, p, list) {
  const layers = p.model().layers,
    seen = [];
  for (const l of list) {
    if (Number.isNaN(windowSize(layers[l]).v)) continue;
    const text = sizeWords(windowSize(layers[l])),
      last = seen[seen.length - 1];
    if (last && last.text === text) last.layers.push(l);
    else seen.push({ text, layers: [l] });
  }
  chips.replaceChildren(
    ...seen.flatMap((s, i) => {
      const on = s.layers.includes(p.s.layer);
      const b = h("button", {
        type: "button",
        class: "size" + (on ? " on" : ""),
        "aria-pressed": String(on),
        text: s.text,
        title: s.layers.map(l => layers[l].label).join(", "),
        onclick: () => {
          fieldView.setLayer(p, s.layers[0]);
          redraw();
        },
      });
      return i ? [h("span", { "aria-hidden": "true", class: "arrow", text: "→" }), b] : [b];
    }),
  );
}

/* Cells of this layer whose effective field was measured, to go to; numbers of the one at hand. */
function effectiveList(p) {
  const cells = h("div", { class: "tokens" }),
    one = h("div", { class: "measured" }),
    e = h("div", { class: "measured" }, cells, one);
  let key = "",
    updates = [];
  const fill = (list, at, maps) => {
    cells.replaceChildren(
      h("span", { text: "Measured at cell " }),
      ...list.map(u =>
        h("button", {
          type: "button",
          class: "small" + (u === at ? " on" : ""),
          "aria-pressed": String(u === at),
          text: `${u.y}, ${u.x}`,
          onclick: () => goToCell(p, u),
        }),
      ),
    );
    const widgets = !maps.length
      ? []
      : [
          maps.length > 1 &&
            select(
              "Map",
              maps.map(mapName),
              () => Math.min(p.s.recipe, maps.length - 1),
              v => {
                p.s.recipe = v;
              },
            ),
          scaleChoice(),
        ].filter(Boolean);
    updates = widgets.map(w => w.update);
    const map = fieldView.heatOf(p),
      caption = map && mapName(map) + (map.settings ? ", " + map.settings : "");
    one.replaceChildren(
      ...widgets.map(w => w.e),
      ...(map && map.numbers ? [numberTable(caption, map.numbers)] : []),
    );
  };
  const update = () => {
    const list = app.effective && !p.s.forth ? measuredCells(p) : [],
      at = list.find(u => sameUnit(u, fieldView.unitOf(p))),
      maps = at ? heatsOf(p.model(), at) : [],
      now = [p.s.layer, list.length, list.indexOf(at), p.s.recipe].join();
    e.hidden = !list.length;
    if (now !== key) fill(list, at, maps);
    key = now;
    updates.forEach(u => u());
  };
  update();
  return { e, update };
}

function goToCell(p, unit) {
  p.s.layer = unit.part;
  p.s.cell = { y: unit.y, x: unit.x };
  p.s.pixel = fieldView.pixelOf(fieldView.layer(p), p.s.cell);
  p.s.pinned = true;
  redraw();
}

const statusWords = {
  exact: "exact: these pixels and no others",
  bound: "upper bound: what is outside cannot be reached",
  data: "exact for this picture: the model chooses where it looks",
  whole: "the whole picture",
};

function cellWords(l) {
  const y = l.y.jump || 0,
    x = l.x.jump || 0,
    every = y && x ? `, one every ${y === x ? fixed(y) : `${fixed(y)} × ${fixed(x)}`} px` : "";
  return `${l.y.cells} × ${l.x.cells}${every}`;
}

function layerFacts(p) {
  const f = facts();
  const update = () => {
    const l = fieldView.layer(p);
    if (!l) return f.update([]);
    const cells = hasCells(l),
      y = p.s.cell.y,
      x = p.s.cell.x,
      set = cells && setOf(p.model(), fieldView.unitOf(p));
    /* where a cell would come to lie if the map were only made as large as the picture */
    const plain = (axis, n, i) => ((i + 0.5) * n) / axis.cells - 0.5;
    const off = cells
      ? Math.max(
          Math.abs(plain(l.y, l.H, y) - centre(l.y, y)),
          Math.abs(plain(l.x, l.W, x) - centre(l.x, x)),
        )
      : 0;
    f.update([
      ["Made by", l.made_by],
      ["Shape", l.shape],
      ["Window", windowWords(l)],
      ringedCells(l).length && [
        "Exact sets",
        `of ${count(l.exact.length)} of its ${count(l.y.cells * l.x.cells)} cells: the rings`,
      ],
      cells && ["Cells", cellWords(l)],
      size(l.y.least) < size(l.y.most) && [
        "Along its paths",
        `${fixed(size(l.y.least))} px at least, ` +
          `${size(l.y.most) === Infinity ? "all" : fixed(size(l.y.most)) + " px"} at most`,
      ],
      cells &&
        !p.s.forth && ["Centre", `row ${fixed(centre(l.y, y))}, column ${fixed(centre(l.x, x))}`],
      cells &&
        !p.s.forth &&
        off >= 0.5 && ["If the map were just enlarged", `it would be drawn *${fixed(off)} px* off`],
      set && !p.s.forth && ["This set is", statusWords[set.status]],
      l.mixed && ["Channels", "some see less than others; this is what all of them see together"],
    ]);
  };
  update();
  return { e: f.e, update };
}

/* --- every layer at this point ------------------------------------------------------------ */

/* A small picture for each layer: what the cell here sees, or which cells the pixel reaches. */
function strip(p) {
  const title = h("h3"),
    list = h("div", { class: "strip" }),
    e = h("div", {}, title, list);
  let items = [],
    key = "";
  const build = shown => {
    items = shown.map(i => {
      const l = p.model().layers[i],
        canvas = h("canvas", { "aria-hidden": "true" }),
        text = h("small");
      const b = h(
        "button",
        {
          type: "button",
          class: "mini",
          onclick: () => {
            fieldView.setLayer(p, i);
            redraw();
          },
        },
        canvas,
        h("span", { text: tail(l.short, 13), title: l.label }),
        text,
      );
      return { i, l, canvas, text, b };
    });
    list.replaceChildren(...items.map(x => x.b));
  };
  const update = () => {
    const shown = layersShown(p),
      now = shown.join() + ":" + p.s.model;
    if (now !== key) {
      key = now;
      build(shown);
    }
    setText(
      title,
      p.s.forth
        ? "Cells this pixel reaches, layer by layer"
        : "What is seen from here, layer by layer",
    );
    for (const x of items) {
      x.b.classList.toggle("on", x.i === p.s.layer);
      x.b.setAttribute("aria-pressed", String(x.i === p.s.layer));
      setText(x.text, p.s.forth ? miniReached(x, p.s.pixel) : miniSeen(p, x));
    }
  };
  update();
  return { e, update };
}

const miniWidth = 96,
  miniHeight = part => Math.max(28, Math.min(120, Math.round((miniWidth * part.H) / part.W)));

/* Rows times columns; where they are too many to be told apart, paler as a whole. */
function fillRuns(g, rows, cols, sy, sx) {
  if (rows.length * cols.length > 10000) {
    const share = runs => runLength(runs) / (runs[runs.length - 1] - runs[0]);
    g.globalAlpha = Math.max(0.25, share(rows) * share(cols));
    rows = [rows[0], rows[rows.length - 1]];
    cols = [cols[0], cols[cols.length - 1]];
  }
  for (let i = 0; i < rows.length; i += 2)
    for (let j = 0; j < cols.length; j += 2) {
      const w = Math.max(0.7, (cols[j + 1] - cols[j]) * sx),
        k = Math.max(0.7, (rows[i + 1] - rows[i]) * sy);
      g.fillRect(cols[j] * sx, rows[i] * sy, w, k);
    }
  g.globalAlpha = 1;
}

function miniSeen(p, x) {
  const high = miniHeight(x.l),
    g = fit(x.canvas, miniWidth, high);
  if (!hasCells(x.l)) return "no cells";
  const unit = {
    what: "cell",
    part: x.i,
    ...(x.i === p.s.layer ? p.s.cell : nearestCell(x.l, p.s.pixel.y, p.s.pixel.x)),
  };
  const set = setOf(p.model(), unit);
  if (!set) return "not in this report";
  const sx = miniWidth / x.l.W,
    sy = high / x.l.H;
  g.fillStyle = css("--seen");
  if (set.all) g.fillRect(0, 0, miniWidth, high);
  else if (set.rows) fillRuns(g, set.rows, set.cols, sy, sx);
  else
    eachPixelRun(set, (y, from, to) =>
      g.fillRect(from * sx, y * sy, Math.max(0.7, (to - from) * sx), Math.max(0.7, sy)),
    );
  const most = set.status === "bound" ? "≤ " : "";
  return `${most}${percent(setCount(set) / (x.l.W * x.l.H))} seen`;
}

function miniReached(x, pixel) {
  const high = miniHeight(x.l),
    g = fit(x.canvas, miniWidth, high);
  if (!hasCells(x.l)) return "no cells";
  if (!x.l.y.lines || !x.l.x.lines) return "not in this report";
  const r = reachedCells(x.l, pixel.y, pixel.x);
  g.fillStyle = css("--seen");
  fillRuns(g, runsIn(r.rows), runsIn(r.cols), high / x.l.y.cells, miniWidth / x.l.x.cells);
  const most = x.l.bound && !x.l.whole ? "≤ " : "";
  return `${most}${count(r.count)} of ${count(x.l.y.cells * x.l.x.cells)}`;
}

/* attention_panel.js - the panel beside the view of attention: the plot of heads that leads in,
   layers, heads, the strongest weights. */

function buildAttention(p) {
  const updates = [],
    add = w => {
      updates.push(w.update);
      return w.e;
    },
    list = p.model().attentions,
    order = attentionOrder(p.model());
  const e = h(
    "div",
    {},
    heading("Who looks at whom?"),
    para(
      "Attention lets every token weigh every other. Begin with the plot: a dot is a head, " +
        "the higher it lies the farther it looks, or the more evenly it spreads (entropy).",
    ),
    add(headPlot(p)),
    add(
      select(
        "Layer",
        order.map(i => `${list[i].short} · ${list[i].kind}`),
        () => order.indexOf(p.s.att),
        v => attentionView.setLayer(p, order[v]),
      ),
    ),
    add(
      choice(
        "Direction",
        [
          {
            value: "false",
            text: "Looks at",
            title: "A row of the weights: where this token gets its context from",
          },
          {
            value: "true",
            text: "Is looked at by",
            title: "A column of the weights: who gets context from this token",
          },
        ],
        () => p.s.by,
        v => {
          p.s.by = v === "true";
        },
        { id: "way" },
      ),
    ),
    add(tokenChoice(p)),
    add(mapsChoice(p)),
    add(headGrid(p)),
    add(scaleChoice()),
    add(headFacts(p)),
    add(strongest(p)),
    add(blockTable(p)),
  );
  return { e, update: () => updates.forEach(u => u()) };
}

const ordered = p => attentionOrder(p.model()).map(i => p.model().attentions[i]);

/* Distance or entropy of each head of each layer. */
function headPlot(p) {
  const list = ordered(p),
    box = h("div", { class: "growth" });
  const plot = svg("svg", {
    class: "plot",
    viewBox: "0 0 400 170",
    role: "listbox",
    "aria-label": "Heads by layer",
  });
  const has = name => list.some(a => a[name] && a[name].some(v => v !== null));
  const measures = [
    ["distance", "Distance, px"],
    ["entropy", "Entropy, nats"],
  ].filter(m => has(m[0]));
  if (!measures.length) return { e: box, update() {} };
  let measure = measures[0][0],
    key = "";
  const title = h("p", { class: "plot-title" });
  const pick = choice(
    "Plotted",
    measures.map(m => ({ value: m[0], text: m[1] })),
    () => measure,
    v => {
      measure = v;
    },
  );
  if (measures.length > 1) box.append(pick.e);
  box.append(title, plot);
  plot.addEventListener("keydown", e => movePlot(p, plot, e, measure));
  const update = () => {
    const now = [p.s.att, p.s.head, measure].join();
    if (now === key) return;
    key = now;
    setText(title, plotWords(list, measure));
    const focused = plot.contains(document.activeElement);
    drawHeads(plot, p, list, measure);
    if (focused) {
      const on = plot.querySelector("[tabindex='0']");
      if (on) on.focus();
    }
  };
  update();
  return { e: box, update };
}

const isMeasured = (a, measure) => a[measure] && a[measure].some(v => v !== null);

function plotWords(list, measure) {
  const over = measure === "distance" ? "uniform" : "ceiling",
    line = list.some(a => Number.isFinite(size(a[over])))
      ? "; dashed: if it looked at all alike"
      : "";
  return measure === "distance"
    ? `Mean attention distance of each head, px${line}`
    : `Entropy of each head, nats${line}`;
}

function drawHeads(plot, p, list, measure) {
  const kept = list.filter(a => isMeasured(a, measure)),
    over = measure === "distance" ? "uniform" : "ceiling";
  const most =
    Math.max(...kept.flatMap(a => [...a[measure].filter(v => v !== null), size(a[over]) || 0])) *
      1.06 || 1;
  const x = i => 44 + ((i + 0.5) / kept.length) * 350,
    y = v => 146 - (v / most) * 132,
    wide = 350 / kept.length;
  plot.replaceChildren();
  for (let i = 0; i <= 4; i++)
    plot.append(
      svg("line", { class: "grid", x1: 44, x2: 394, y1: y((most * i) / 4), y2: y((most * i) / 4) }),
      svg("text", {
        class: "tick",
        x: 38,
        y: y((most * i) / 4) + 4,
        "text-anchor": "end",
        text: show((most * i) / 4, 2),
      }),
    );
  drawLayerTicks(plot, kept, x);
  kept.forEach((a, i) => {
    if (Number.isFinite(size(a[over])))
      plot.append(
        svg(
          "line",
          {
            class: "uniform",
            x1: x(i) - wide * 0.38,
            x2: x(i) + wide * 0.38,
            y1: y(a[over]),
            y2: y(a[over]),
          },
          svg("title", { text: `if it looked at all alike: ${show(a[over])}` }),
        ),
      );
    a[measure].forEach((v, k) => {
      if (v === null) return;
      const on = a.index === p.s.att && (k === p.s.head || (p.s.head < 0 && k === 0)),
        lit = a.index === p.s.att && (p.s.head < 0 || p.s.head === k);
      const off = a.heads > 1 ? (k / (a.heads - 1) - 0.5) * Math.min(wide * 0.6, 60) : 0;
      plot.append(
        svg(
          "circle",
          {
            class: "head" + (lit ? " on" : ""),
            cx: x(i) + off,
            cy: y(v),
            r: Math.max(2.5, Math.min(lit ? 5.5 : 4, (wide * (lit ? 0.9 : 0.7)) / a.heads + 2)),
            fill: hueColor(k),
            role: "option",
            "aria-selected": String(lit),
            tabindex: on ? 0 : -1,
            "data-layer": a.index,
            "data-head": k,
            "aria-label": `${a.short}, head ${k}: ${show(v)}`,
            onclick: () => {
              attentionView.setLayer(p, a.index);
              p.s.head = k;
              redraw();
            },
          },
          svg("title", {
            text: `${a.short}, head ${k}: ${show(v)} ${measure === "distance" ? "px" : "nats"}`,
          }),
        ),
      );
    });
  });
}

/* Below the plot: the layers' names where there is room for them, else their numbers. */
function drawLayerTicks(plot, kept, x) {
  const room = Math.floor(350 / kept.length / 6.2),
    words = Math.max(...kept.map(a => a.short.length)) <= room,
    every = words ? 1 : Math.ceil((kept.length * 18) / 350);
  kept.forEach((a, i) => {
    if (i % every) return;
    plot.append(
      svg(
        "text",
        { class: "tick", x: x(i), y: 163, "text-anchor": "middle", text: words ? a.short : i },
        svg("title", { text: a.label }),
      ),
    );
  });
  if (!words)
    plot.append(svg("text", { class: "tick", x: 38, y: 163, "text-anchor": "end", text: "layer" }));
}

/* Left and right: layers; up and down: heads. */
function movePlot(p, plot, e, measure) {
  const kept = ordered(p).filter(a => isMeasured(a, measure)),
    at = kept.indexOf(attentionView.a(p));
  const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[
    e.key
  ];
  if (!move || at < 0) return;
  e.preventDefault();
  const a = kept[Math.max(0, Math.min(kept.length - 1, at + move[0]))];
  const head = Math.max(0, Math.min(a.heads - 1, Math.max(0, p.s.head) + move[1]));
  attentionView.setLayer(p, a.index);
  p.s.head = head;
  redraw(true);
}

/* Tokens that no point of the picture stands for. */
function tokenChoice(p) {
  const e = h("div", { class: "tokens" });
  let key = "";
  const update = () => {
    const tokens = attentionView.tokens(p),
      t = attentionView.token(p),
      now = attentionView.side(p) + ":" + t;
    if (now === key || !tokens) return;
    key = now;
    const queries = p.model().queries.filter(q => q.answer >= 0);
    if (tokens.queries && !queries.length) return e.replaceChildren(tokenNumber(p, tokens));
    const buttons = tokens.queries
      ? queries.map(q => [
          q.number,
          `query ${q.number}: ${(p.model().answers[q.answer] || {}).name || ""}`,
        ])
      : tokens.special.map((name, i) => [i, name]);
    e.replaceChildren(
      h("span", {
        text: tokens.queries
          ? "Queries "
          : buttons.length
            ? "Point at a token, or take the "
            : "Point at a token.",
      }),
      ...buttons.map(([i, name]) =>
        h("button", {
          type: "button",
          class: "small" + (i === t ? " on" : ""),
          "aria-pressed": String(i === t),
          text: name,
          onclick: () => {
            attentionView.choose(p, i);
            p.s.pinned = true;
            redraw();
          },
        }),
      ),
    );
  };
  update();
  return { e, update };
}

/* Of tokens that neither have a place nor became an answer: by number. */
function tokenNumber(p, tokens) {
  const id = newId(),
    input = h("input", {
      type: "number",
      id,
      min: 0,
      max: tokens.count - 1,
      value: attentionView.token(p),
      onchange: () => {
        attentionView.choose(p, Math.max(0, Math.min(tokens.count - 1, Math.round(+input.value))));
        redraw();
      },
    });
  return h(
    "span",
    { class: "number" },
    h("label", { for: id, text: tokens.queries ? "Query" : "Token" }),
    input,
    h("span", { text: `of ${count(tokens.count)}, numbered from 0` }),
  );
}

/* Weights of one layer, or maps that were carried through all of them. */
function mapsChoice(p) {
  const e = h("div");
  let key = "",
    inner = null;
  const update = () => {
    const maps = heatsOf(p.model(), attentionView.unitOf(p)),
      now = maps.map(x => x.index).join();
    if (now !== key) {
      key = now;
      if (p.s.tokenMap >= maps.length) p.s.tokenMap = -1;
      inner = maps.length
        ? choice(
            "Shown",
            [
              { value: "-1", text: "Weights" },
              ...maps.map((x, i) => ({
                value: String(i),
                text: x.family === "effective" ? "effective field" : x.method,
                title: x.settings,
              })),
            ],
            () => p.s.tokenMap,
            v => {
              p.s.tokenMap = +v;
            },
          )
        : null;
      e.replaceChildren(...(inner ? [inner.e] : []));
    } else if (inner) inner.update();
  };
  update();
  return { e, update };
}

/* A map of each head at the token at hand. */
function headGrid(p) {
  const e = h("div", { class: "heads", role: "group", "aria-label": "Heads" });
  let items = [],
    key = "";
  const update = () => {
    const a = attentionView.a(p),
      only = a.kept_heads < a.heads,
      now = p.s.att + ":" + attentionView.otherSide(p);
    if (now !== key) {
      key = now;
      const heads = [-1, ...(only || a.heads < 2 ? [] : Array(a.heads).keys())];
      items = !a.weights
        ? []
        : heads.map(k => {
            const canvas = h("canvas", { "aria-hidden": "true" }),
              text = h("small");
            const b = h(
              "button",
              {
                type: "button",
                class: "mini",
                onclick: () => {
                  p.s.head = k;
                  redraw();
                },
              },
              canvas,
              h("span", { text: headName(k) }),
              text,
            );
            return { k, canvas, text, b };
          });
      e.replaceChildren(...items.map(x => x.b));
    }
    for (const x of items) {
      x.b.classList.toggle("on", x.k === p.s.head);
      x.b.setAttribute("aria-pressed", String(x.k === p.s.head));
      drawMiniHead(p, x);
    }
  };
  update();
  return { e, update };
}

function drawMiniHead(p, x) {
  const v = attentionView.values(p, x.k),
    others = attentionView.others(p),
    high = miniHeight(p),
    g = fit(x.canvas, miniWidth, high);
  if (!v) return;
  const scale = app.scale === "shared" && p.scale ? p.scale : scaleOf(v, "");
  for (const grid of others.grids) {
    const w = (grid.jump_x * miniWidth) / p.W,
      k = (grid.jump_y * high) / p.H;
    g.imageSmoothingEnabled = false;
    g.drawImage(
      gridImage(grid, t => ramps.one[Math.round(255 * place(scale, v[t]))]),
      ((grid.first_x + 0.5) * miniWidth) / p.W - w / 2,
      ((grid.first_y + 0.5) * high) / p.H - k / 2,
      w * grid.columns,
      k * grid.rows,
    );
  }
  if (!others.grids.length) drawMiniBars(g, v, scale, high);
  setText(x.text, `max ${show(scaleOf(v, "").max, 2)}`);
}

/* A pixel for each token of a grid. */
function gridImage(grid, color) {
  const small = document.createElement("canvas"),
    image = new ImageData(grid.columns, grid.rows);
  for (let r = 0, i = 0; r < grid.rows; r++)
    for (let c = 0; c < grid.columns; c++, i += 4)
      image.data.set([...color(gridToken(grid, r, c)), 255], i);
  small.width = grid.columns;
  small.height = grid.rows;
  small.getContext("2d").putImageData(image, 0, 0);
  return small;
}

function drawMiniBars(g, v, scale, high) {
  const w = miniWidth / v.length;
  v.forEach((n, i) => {
    g.fillStyle = "#5fd6cb";
    const t = place(scale, n) * high;
    g.fillRect(i * w, high - t, Math.max(0.6, w - 0.4), t);
  });
}

function headFacts(p) {
  const f = facts();
  const update = () => {
    const a = attentionView.a(p),
      k = p.s.head,
      d = ofHead(a.distance, k),
      u = size(a.uniform),
      entropy = ofHead(a.entropy, k);
    f.update([
      [
        "Heads",
        `${a.heads}, ${count(a.queries)} × ${count(a.keys)} tokens` +
          (a.windows > 1 ? ` in each of ${count(a.windows)} windows` : ""),
      ],
      [
        "Looks, on average",
        Number.isNaN(d)
          ? undefined
          : `*${fixed(d)} px* far${Number.isNaN(u) ? "" : `; all alike would be ${fixed(u)} px`}`,
      ],
      [
        "Entropy",
        Number.isNaN(entropy)
          ? undefined
          : `${fixed(entropy, 2)} nats` +
            (Number.isNaN(size(a.ceiling)) ? "" : ` of at most ${fixed(a.ceiling, 2)}`),
      ],
      ["On itself", percent(ofHead(a.on_self, k))],
      ["On tokens without a place", percent(ofHead(a.on_special, k))],
      a.weights &&
        a.kept_levels < 255 && [
          "Kept",
          `in ${a.kept_levels + 1} steps, since the file has a limit`,
        ],
      a.weights &&
        a.kept_heads < a.heads && [
          "Kept",
          "the mean of the heads only, since the file has a limit",
        ],
    ]);
  };
  update();
  return { e: f.e, update };
}

/* The strongest, each a way on: walk along the attention. */
function strongest(p) {
  const title = h("h3"),
    list = h("ol", { class: "ranked" }),
    e = h("div", {}, title, list);
  const update = () => {
    const v = attentionView.values(p, p.s.head),
      others = attentionView.others(p);
    setText(title, p.s.by ? "Who looks here most" : "Where it looks most");
    e.hidden = !v;
    if (!v) return;
    const best = top(v, 5).filter(t => v[t] > 0),
      most = v[best[0]] || 1;
    list.replaceChildren(
      ...best.map(t =>
        h(
          "li",
          {},
          h("button", {
            type: "button",
            class: "link",
            text: tokenName(others, t),
            onclick: () => followToken(p, t),
          }),
          h("span", { class: "rank-bar", "aria-hidden": "true", style: `--part:${v[t] / most}` }),
          h("span", { class: "rank-value", text: show(v[t], 2) }),
        ),
      ),
    );
  };
  update();
  return { e, update };
}

function followToken(p, t) {
  const to = attentionView.otherSide(p);
  p.s.pinned = true;
  if (to !== attentionView.side(p)) p.s.by = !p.s.by;
  p.s.token[to] = t;
  redraw();
}

/* --- what each block did to all tokens -------------------------------------------------------- */

/* The table of the tokens that look at the layer at hand; its line is marked. */
function blockTable(p) {
  const e = h("div", {
    class: "blocks",
    role: "region",
    tabindex: 0,
    "aria-label": "What each block did to all tokens",
  });
  let key = null,
    lines = [];
  const update = () => {
    const a = attentionView.a(p),
      part = p.model().blocks.find(b => b.tokens === a.query);
    e.hidden = !part;
    if (part && key !== part.index) {
      key = part.index;
      lines = part.rows.map(r => ({ r, e: blockLine(p, part, r) }));
      e.replaceChildren(blockHead(part, lines));
    }
    for (const l of lines) {
      const on = l.r.attention === a.index;
      l.e.classList.toggle("on", on);
      l.e.setAttribute("aria-current", String(on));
    }
  };
  update();
  return { e, update };
}

const blockHead = (part, lines) =>
  h(
    "table",
    { class: "numbers" },
    h("caption", { text: "What each block did to all tokens" }),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        h("th", { scope: "col", text: "Behind" }),
        part.columns.map(c =>
          h(
            "th",
            { scope: "col", title: c.says },
            c.name,
            c.unit && h("small", { text: ` [${c.unit}]` }),
          ),
        ),
      ),
    ),
    h(
      "tbody",
      {},
      lines.map(l => l.e),
    ),
  );

function blockLine(p, part, r) {
  const text = r.label.length > 17 ? "…" + r.label.slice(-16) : r.label;
  const name =
    r.attention < 0
      ? h("span", { text, title: r.label })
      : h("button", {
          type: "button",
          class: "link",
          text,
          title: r.label,
          onclick: () => {
            attentionView.setLayer(p, r.attention);
            redraw();
          },
        });
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, name, h("small", { text: r.kind })),
    r.values.map((v, i) => h("td", { title: part.columns[i].says, text: show(size(v)) })),
  );
}

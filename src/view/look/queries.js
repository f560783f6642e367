/* queries.js - the view of object queries: how each one's box and class come about, layer by layer
   of the decoder, and where it looks meanwhile. */

const queriesView = {
  id: "queries",
  title: "Queries",
  about: 4,

  missing: m =>
    m.queries.length
      ? null
      : (m.notes.find(n => n.about === 4) || {}).text ||
        (m.tokens.some(t => t.queries)
          ? "This model has object queries, but how their answers come about is not in this report."
          : "No object queries were found in this model."),

  reset(s, model) {
    s.query = Math.max(
      0,
      model.queries.findIndex(q => q.answer >= 0),
    );
    s.step = model.queries.length ? model.queries[s.query].steps.length - 1 : 0;
    s.crossHead = -1;
    s.crossShown = (queryKinds(model)[0] || { value: "none" }).value;
    s.queryMap = 0;
  },

  query: p => p.model().queries[p.s.query],
  step(p) {
    const q = this.query(p);
    return q.steps[Math.min(p.s.step, q.steps.length - 1)] || {};
  },
  unitOf(p) {
    return { what: "query", y: this.query(p).number, x: 0 };
  },

  point(p, at) {
    const q = queryAt(p.model(), at, p.s.step);
    if (q) p.s.query = q.index;
  },
  move(p, dy, dx) {
    const list = answered(p.model()),
      at = list.findIndex(q => q.index === p.s.query),
      n = list.length;
    p.s.query = list[(at + Math.sign(dy + dx) + n) % n].index;
  },
  deeper(p, by) {
    p.s.step = Math.max(0, Math.min(this.query(p).steps.length - 1, p.s.step + by));
  },
  flip(p) {
    p.s.crossShown = p.s.crossShown === "cross" ? "set" : "cross";
  },

  maps(p) {
    const number = this.query(p).number;
    return p.model().heats.filter(x => x.unit.what === "query" && x.unit.y === number);
  },
  map(p) {
    const list = p.s.crossShown === "map" ? this.maps(p) : [];
    return list[Math.min(p.s.queryMap, list.length - 1)];
  },

  values(p, head) {
    const step = this.step(p),
      a = p.model().attentions[step.cross];
    return a && a.weights && p.model().tokens[a.query] && p.model().tokens[a.key]
      ? weightsOf(p.model(), a, head, this.query(p).number, false)
      : null;
  },

  scale(p) {
    const map = this.map(p);
    if (map) return scaleOf(numbersOf(map.map), `${map.of || "attribution"}, ${map.method}`);
    const v = p.s.crossShown === "cross" && this.values(p, p.s.crossHead);
    return v ? scaleOf(v, "cross-attention weight") : null;
  },
  shared(p) {
    if (this.map(p)) return null;
    const q = this.query(p),
      keep = p.s.step;
    let all = null;
    q.steps.forEach((s, i) => {
      p.s.step = i;
      const v = this.values(p, p.s.crossHead);
      if (v) all = unionScale(all, scaleOf(v, ""));
    });
    p.s.step = keep;
    return all;
  },

  draw(p, scale) {
    const q = this.query(p),
      step = this.step(p),
      color = queryColor(p.model(), q);
    if (p.s.crossShown === "set") {
      const set = setOf(p.model(), this.unitOf(p));
      if (set && !set.all) p.veil(set);
    } else if (this.map(p)) p.heatPart(this.map(p), scale);
    else if (scale)
      p.tokenHeat(
        p.model().tokens[p.model().attentions[step.cross].key],
        this.values(p, p.s.crossHead),
        scale,
      );
    if (p.s.crossShown === "points") drawSamples(p, p.model().samples[step.samples], q.number);
    q.steps.forEach((s, i) => {
      if (s.box && i < p.s.step) p.box(s.box, "rgb(255 255 255 / .8)", 1, [3, 4]);
    });
    if (!step.box) return;
    p.box(step.box, color, 3);
    p.label(
      withScore(step.name || "query " + q.number, step.score, " "),
      step.box[1],
      step.box[0],
      color,
    );
  },

  caption(p) {
    const q = this.query(p),
      step = this.step(p),
      first = p.s.step === 0;
    const best = step.name
      ? "says " + withScore(`*${step.name}*`, step.score, " at ")
      : "says nothing yet";
    const moved =
      !first && step.box && q.steps[p.s.step - 1].box
        ? `, its box moved by ${fixed(boxMove(q.steps[p.s.step - 1].box, step.box))} px`
        : "";
    const shown = p.s.crossShown === "set" ? setWords(setOf(p.model(), this.unitOf(p))) : "";
    return `Query ${q.number} behind *${step.label || "the decoder"}* ${best}${moved}.${shown}`;
  },

  build: p => buildQueries(p),
};

/* What can be shown of queries in this report. */
function queryKinds(model) {
  const any = test => model.queries.some(q => q.steps.some(test));
  return [
    any(s => s.cross >= 0) && { value: "cross", text: "Attention" },
    any(s => s.samples >= 0) && { value: "points", text: "Points" },
    model.sets.some(s => s.unit.what === "query") && { value: "set", text: "Exact set" },
    model.heats.some(x => x.unit.what === "query") && { value: "map", text: "Map" },
  ].filter(Boolean);
}

function setWords(set) {
  if (!set) return " Its exact set is not in this report.";
  if (set.all) return " It can see the whole picture.";
  const data = set.status === "data" ? ", on this picture" : "";
  return ` It can see the *${count(setCount(set))} pixels* that are not veiled${data}.`;
}

const boxMove = (a, b) => Math.max(...a.map((v, i) => Math.abs(v - b[i])));

function answered(model) {
  const some = model.queries.filter(q => q.answer >= 0);
  return some.length ? some : model.queries;
}

/* The answered query with the smallest box about a point. */
function queryAt(model, at, step) {
  let best = null,
    least = Infinity;
  for (const q of answered(model)) {
    const b = (q.steps[Math.min(step, q.steps.length - 1)] || {}).box;
    if (!b || at.x < b[0] || at.x > b[2] || at.y < b[1] || at.y > b[3]) continue;
    const area = (b[2] - b[0]) * (b[3] - b[1]);
    if (area < least) {
      least = area;
      best = q;
    }
  }
  return best;
}

const queryColor = (model, q) => {
  const a = model.answers[q.answer];
  return a ? hueColor(a.class || 0, 0.85, 0.13) : "#ffffff";
};

/* Sampling places of a query: a dot for each, the larger the more it weighs, coloured by head. */
function drawSamples(p, part, query) {
  if (!part || query >= part.queries) return;
  const n = part.heads * part.points,
    at = numbersOf(part.place),
    w = part.weight ? numbersOf(part.weight) : null;
  const most = w ? Math.max(...w.subarray(query * n, (query + 1) * n), 1e-9) : 1;
  for (let i = 0; i < n; i++) {
    const k = query * n + i;
    p.ring(
      at[2 * k],
      at[2 * k + 1],
      hueColor(Math.floor(i / part.points), 0.85, 0.13),
      2 + 5 * Math.sqrt(w ? w[k] / most : 0.3),
    );
  }
}

/* --- the panel ---------------------------------------------------------------------------- */

const stepName = s => tail(s.short || s.label || "", 24);

function buildQueries(p) {
  const updates = [],
    add = w => {
      updates.push(w.update);
      return w.e;
    },
    model = p.model();
  const steps = () => queriesView.query(p).steps;
  const kinds = queryKinds(model);
  const e = h(
    "div",
    {},
    heading("How an answer comes about"),
    para(
      "A query is a question the decoder asks of the picture. Behind every layer the same " +
        "heads can be asked for its box and its class.",
    ),
    add(queryChips(p)),
    add(
      slider(
        "Decoder layer",
        () => ({ min: 0, max: steps().length - 1 }),
        () => Math.min(p.s.step, steps().length - 1),
        v => {
          p.s.step = v;
        },
        () => stepName(queriesView.step(p)),
      ),
    ),
    h("button", {
      type: "button",
      class: "small",
      id: "play",
      text: "Play the layers",
      onclick: () => playSteps(p),
    }),
    add(timeline(p)),
    kinds.length > 1 &&
      add(
        choice(
          "Shown",
          kinds,
          () => p.s.crossShown,
          v => {
            p.s.crossShown = v;
          },
        ),
      ),
    add(crossHeads(p)),
    add(queryMaps(p)),
    add(scaleChoice()),
  );
  return { e, update: () => updates.forEach(u => u()) };
}

function queryChips(p) {
  const e = h("div", { class: "tokens", role: "group", "aria-label": "Queries" }),
    model = p.model();
  const list = answered(model),
    rest = model.queries.filter(q => !list.includes(q));
  const name = q =>
    [q.number, (model.answers[q.answer] || {}).name].filter(x => x !== undefined).join(" ");
  const items = list.map(q => ({
    q,
    b: h("button", {
      type: "button",
      class: "small",
      text: name(q),
      onclick: () => {
        p.s.query = q.index;
        redraw();
      },
    }),
  }));
  e.append(...items.map(x => x.b));
  let more = null;
  if (rest.length) {
    more = h(
      "select",
      {
        "aria-label": "A query without an answer",
        onchange: () => {
          if (more.value !== "") {
            p.s.query = +more.value;
            redraw();
          }
        },
      },
      h("option", { value: "", text: `${rest.length} without an answer` }),
      rest.map(q => h("option", { value: q.index, text: `query ${q.number}` })),
    );
    e.append(more);
  }
  const update = () => {
    for (const x of items) {
      const on = x.q.index === p.s.query;
      x.b.classList.toggle("on", on);
      x.b.setAttribute("aria-pressed", String(on));
    }
    if (more) more.value = rest.some(q => q.index === p.s.query) ? p.s.query : "";
  };
  update();
  return { e, update };
}

/* Each layer: what the query says there, and how sure. */
function timeline(p) {
  const body = h("tbody"),
    e = h(
      "table",
      { class: "timeline" },
      h("caption", { text: "Through the decoder" }),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ["Layer", "Class", "Score", "Moved"].map(t => h("th", { scope: "col", text: t })),
        ),
      ),
      body,
    );
  let key = "",
    rows = [];
  const update = () => {
    const q = queriesView.query(p);
    if (key !== String(q.index)) {
      key = String(q.index);
      rows = q.steps.map((s, i) => {
        const before = i && q.steps[i - 1].box,
          moved = before && s.box ? fixed(boxMove(before, s.box)) + " px" : "–";
        return h(
          "tr",
          {},
          h(
            "th",
            { scope: "row" },
            h("button", {
              type: "button",
              class: "link",
              text: stepName(s) || String(i),
              title: s.label,
              onclick: () => {
                p.s.step = i;
                redraw();
              },
            }),
          ),
          h("td", { text: s.name || "–" }),
          h(
            "td",
            {},
            h("span", { class: "meter", style: `--part:${s.score || 0}`, "aria-hidden": "true" }),
            percent(s.score),
          ),
          h("td", { text: moved }),
        );
      });
      body.replaceChildren(...rows);
    }
    rows.forEach((r, i) => {
      r.classList.toggle("on", i === p.s.step);
      r.setAttribute("aria-current", i === p.s.step ? "step" : "false");
    });
  };
  update();
  return { e, update };
}

/* One layer after the other; where motion is not wanted, at once to the end. */
function playSteps(p) {
  const last = queriesView.query(p).steps.length - 1;
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
    p.s.step = p.s.step === last ? 0 : last;
    return redraw(true);
  }
  p.s.step = 0;
  redraw();
  const next = () => {
    if (app.tab !== "queries" || p.s.step >= last) return;
    p.s.step++;
    redraw();
    setTimeout(next, 900);
  };
  setTimeout(next, 900);
}

function crossHeads(p) {
  const e = h("div");
  let inner = null,
    key = "";
  const update = () => {
    const a = p.model().attentions[queriesView.step(p).cross],
      heads = a && a.weights && a.kept_heads === a.heads ? a.heads : 0,
      now = String(heads);
    if (now !== key) {
      key = now;
      inner =
        heads > 1
          ? select(
              "Head",
              ["mean of heads", ...Array.from({ length: heads }, (_, i) => "head " + i)],
              () => p.s.crossHead + 1,
              v => {
                p.s.crossHead = v - 1;
              },
            )
          : null;
      e.replaceChildren(...(inner ? [inner.e] : []));
    }
    if (inner) inner.update();
    e.hidden = p.s.crossShown !== "cross";
  };
  update();
  return { e, update };
}

/* Maps of the query at hand, and the numbers beside the one that is shown. */
function queryMaps(p) {
  const e = h("div");
  let key = "",
    inner = null;
  const update = () => {
    const list = p.s.crossShown === "map" ? queriesView.maps(p) : [],
      now = list.map(x => x.index) + ":" + p.s.queryMap;
    e.hidden = p.s.crossShown !== "map";
    if (now !== key) {
      key = now;
      const map = queriesView.map(p);
      inner = list.length
        ? select(
            "Map",
            list.map(x => mapName(x) + (x.unit.edge ? " of its " + x.unit.edge : "")),
            () => Math.min(p.s.queryMap, list.length - 1),
            v => {
              p.s.queryMap = v;
            },
          )
        : { e: nothing("No map of this query is in this report."), update() {} };
      const numbers =
        map && map.numbers ? [numberTable("How far this map can be trusted", map.numbers)] : [];
      e.replaceChildren(inner.e, ...numbers);
    } else if (inner) inner.update();
  };
  update();
  return { e, update };
}

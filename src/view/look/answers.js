/* answers.js - the view of answers: what the model said, and which pixels made it say so, by
   methods that have names and measures beside them. */

const answersView = {
  id: "answers",
  title: "Answers",
  about: 5,

  missing: m =>
    m.answers.length
      ? null
      : (m.notes.find(n => n.about === 5) || {}).text || "This report has no answers in it.",

  reset(s) {
    s.answer = 0;
    s.map = 0;
    s.shown = "map";
  },

  answer: p => p.model().answers[p.s.answer],
  unitOf: p => ({ what: "answer", part: p.s.answer, y: 0, x: 0 }),

  /* Maps of an answer: attributions, relevance through attention; those of its edges last. */
  maps: p =>
    p
      .model()
      .heats.filter(
        x => x.family !== "effective" && x.unit.what === "answer" && x.unit.part === p.s.answer,
      )
      .sort((a, b) => !!a.unit.edge - !!b.unit.edge),
  map(p) {
    const list = this.maps(p);
    return list[Math.min(p.s.map, list.length - 1)];
  },

  point(p, at) {
    let best = -1,
      least = Infinity;
    p.model().answers.forEach((a, i) => {
      const b = cornersBox(a);
      if (!b || at.x < b[0] || at.x > b[2] || at.y < b[1] || at.y > b[3]) return;
      const area = (b[2] - b[0]) * (b[3] - b[1]);
      if (area < least) {
        least = area;
        best = i;
      }
    });
    if (best >= 0) p.s.answer = best;
  },
  move(p, dy, dx) {
    const n = p.model().answers.length;
    p.s.answer = (p.s.answer + Math.sign(dy + dx) + n) % n;
  },
  deeper(p, by) {
    p.s.map = Math.max(0, Math.min(this.maps(p).length - 1, p.s.map + by));
  },
  flip(p) {
    p.s.shown = { map: hasSets(p) ? "set" : "none", set: "none", none: "map" }[p.s.shown];
  },

  scale(p) {
    const m = p.s.shown === "map" && this.map(p);
    return m ? scaleOf(numbersOf(m.map), `${m.of || "attribution"}, ${m.method}`) : null;
  },

  /* Only maps of one method can be compared. */
  shared(p) {
    const m = this.map(p);
    return p
      .model()
      .heats.filter(
        x =>
          m && x.family === m.family && x.method === m.method && !x.unit.edge === !m.unit.edge,
      )
      .map(x => scaleOf(numbersOf(x.map), ""))
      .reduce(unionScale, null);
  },

  draw(p, scale) {
    const m = this.map(p),
      set = p.s.shown === "set" && setOf(p.model(), this.unitOf(p));
    if (m && scale) p.heatPart(m, scale);
    if (set && !set.all) p.veil(set);
    p.model().answers.forEach((a, i) => {
      if (!a.corners) return;
      const color = hueColor(a.class || 0, 0.85, 0.13),
        on = i === p.s.answer;
      drawCorners(p, a, on ? color : "rgb(255 255 255 / .75)", on ? 3 : 1);
      if (on) {
        const b = cornersBox(a);
        p.label(
          `${a.name || ""}${a.score === undefined ? "" : " " + percent(a.score)}`,
          b[1],
          b[0],
          color,
        );
      }
    });
    if (m && scale && m.unit.edge && this.answer(p).corners)
      drawEdge(p, cornersBox(this.answer(p)), m.unit.edge);
  },

  caption(p) {
    const a = this.answer(p),
      m = this.map(p),
      what = withScore(`*${a.name || "Answer " + p.s.answer}*`, a.score, ", "),
      it = m && m.unit.edge ? "its " + m.unit.edge : "it";
    if (p.s.shown === "set") return `${what}.${setWords(setOf(p.model(), this.unitOf(p)))}`;
    if (p.s.shown === "none") return `${what}.`;
    if (!m) return `${what}. No map of what made it is in this report.`;
    return (
      `${what}: pixels that made ${it}, by *${m.method}*${inBrackets(m.settings)}. ` +
      "A picture that looks right is not evidence: see the measures beside it."
    );
  },

  build: p => buildAnswers(p),
};

function cornersBox(a) {
  if (!a.corners) return null;
  const x = a.corners.filter((v, i) => i % 2 === 0),
    y = a.corners.filter((v, i) => i % 2);
  return [Math.min(...x), Math.min(...y), Math.max(...x), Math.max(...y)];
}

function drawCorners(p, a, color, width) {
  if (a.corners.length === 4) return p.box(a.corners, color, width);
  p.line(
    g => {
      for (let i = 0; i < a.corners.length; i += 2)
        g[i ? "lineTo" : "moveTo"](a.corners[i] * p.k, (a.corners[i + 1] * p.height) / p.H);
      g.closePath();
    },
    color,
    width,
  );
}

function drawEdge(p, b, edge) {
  const at = {
    "left edge": [0, 1, 0, 3],
    "right edge": [2, 1, 2, 3],
    "top edge": [0, 1, 2, 1],
    "bottom edge": [0, 3, 2, 3],
  }[edge];
  if (at)
    p.line(
      g => {
        g.moveTo(b[at[0]] * p.k, (b[at[1]] * p.height) / p.H);
        g.lineTo(b[at[2]] * p.k, (b[at[3]] * p.height) / p.H);
      },
      mark.unit,
      4,
    );
}

/* --- the panel ------------------------------------------------------------------------------ */

function buildAnswers(p) {
  const updates = [],
    add = w => {
      updates.push(w.update);
      return w.e;
    };
  const e = h(
    "div",
    {},
    heading("What did it say, and why?"),
    add(answerList(p)),
    add(mapChoice(p)),
    hasShown(p) && add(shownChoice(p)),
    hasMaps(p) && add(scaleChoice()),
    add(mapNumbers(p)),
  );
  return { e, update: () => updates.forEach(u => u()) };
}

function shownChoice(p) {
  return choice(
    "Shown",
    [
      { value: "map", text: "Map" },
      hasSets(p) && {
        value: "set",
        text: "Exact set",
        title: "Every pixel that can change this answer",
      },
      { value: "none", text: "Neither" },
    ].filter(Boolean),
    () => p.s.shown,
    v => {
      p.s.shown = v;
    },
  );
}

/* Is there anything of answers in this report, that switches would switch? */
const hasMaps = p =>
  p.model().heats.some(x => x.family === "attribution" && x.unit.what === "answer");
const hasSets = p =>
  p.model().sets.some(s => s.unit.what === "answer" || s.unit.what === "query");
const hasShown = p => hasMaps(p) || hasSets(p);

function answerList(p) {
  const items = p.model().answers.map((a, i) => ({
    i,
    b: h(
      "button",
      {
        type: "button",
        class: "answer",
        onclick: () => {
          p.s.answer = i;
          redraw();
        },
      },
      h("span", {
        class: "dot",
        style: `background:${hueColor(a.class || 0)}`,
        "aria-hidden": "true",
      }),
      h("span", { class: "answer-name", text: a.name || `answer ${i}` }),
      a.score !== undefined && h("span", { class: "answer-score", text: percent(a.score) }),
    ),
  }));
  const e = h(
    "div",
    { class: "answers", role: "group", "aria-label": "Answers" },
    items.map(x => x.b),
  );
  const update = () => {
    for (const x of items) {
      const on = x.i === p.s.answer;
      x.b.classList.toggle("on", on);
      x.b.setAttribute("aria-pressed", String(on));
    }
  };
  update();
  return { e, update };
}

function mapChoice(p) {
  const e = h("div");
  let key = "",
    inner = null;
  const update = () => {
    const list = answersView.maps(p),
      now = p.s.answer + ":" + list.length;
    if (now !== key) {
      key = now;
      if (p.s.map >= list.length) p.s.map = 0;
      inner = list.length
        ? select(
            "Map",
            list.map(m => m.method + (m.unit.edge ? " of its " + m.unit.edge : "")),
            () => Math.min(p.s.map, list.length - 1),
            v => {
              p.s.map = v;
            },
          )
        : null;
      e.replaceChildren(
        ...(inner ? [inner.e] : [nothing("No attribution of this answer is in this report.")]),
      );
    }
    if (inner) inner.update();
  };
  update();
  return { e, update };
}

function mapNumbers(p) {
  const e = h("div");
  let key = "";
  const update = () => {
    const m = answersView.map(p),
      now = m ? String(m.index) : "";
    if (now === key) return;
    key = now;
    e.replaceChildren(
      ...(!m
        ? []
        : m.numbers
          ? [numberTable("How far this map can be trusted", m.numbers)]
          : [nothing("No measure of faithfulness was made for this map.")]),
    );
  };
  update();
  return { e, update };
}

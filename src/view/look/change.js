/* change.js - "why did it change?": a token before and after a block, its ledger (own, context,
   feed-forward), the sources on the picture, and what happens when one is silenced. */

const changeView = {
  id: "change",
  title: "Change",
  about: 3,

  missing: m =>
    m.ledgers.length
      ? null
      : (m.notes.find(n => n.about === 3) || {}).text ||
        "This report has no ledger: no block of attention with a residual addition was followed.",

  reset(s, model) {
    s.ledger = Math.max(
      0,
      model.ledgers.findIndex(
        l => model.tokens[l.tokens] && tokenPlace(model.tokens[l.tokens], l.token),
      ),
    );
    s.silenced = -1;
  },

  ledger: p => p.model().ledgers[p.s.ledger],
  tokens(p) {
    return p.model().tokens[this.ledger(p).tokens];
  },
  unitOf(p) {
    const l = this.ledger(p);
    return { what: "token", part: l.tokens, y: l.token, x: 0 };
  },

  /* All ledgers of the token at hand, by block; and one of every token there is, of this block. */
  blocks(p) {
    const l = this.ledger(p);
    return p.model().ledgers.filter(o => o.tokens === l.tokens && o.token === l.token);
  },
  others(p) {
    const l = this.ledger(p),
      seen = new Map();
    for (const o of p.model().ledgers) {
      const id = o.tokens + ":" + o.token,
        have = seen.get(id);
      if (!have || o.block === l.block) seen.set(id, o);
    }
    return [...seen.values()];
  },

  go(p, l) {
    if (l && l.index !== p.s.ledger) {
      p.s.ledger = l.index;
      p.s.silenced = -1;
    }
  },

  point(p, at) {
    let best = null,
      near = Infinity;
    for (const l of this.others(p)) {
      const place = tokenPlace(p.model().tokens[l.tokens], l.token),
        d = place ? Math.hypot(place.y - at.y, place.x - at.x) : Infinity;
      if (d < near) {
        near = d;
        best = l;
      }
    }
    this.go(p, best);
  },

  move(p, dy, dx) {
    const list = this.others(p),
      at = list.indexOf(this.ledger(p)),
      n = list.length;
    this.go(p, list[(at + Math.sign(dy + dx) + n) % n]);
  },

  deeper(p, by) {
    const list = this.blocks(p),
      at = list.indexOf(this.ledger(p));
    this.go(p, list[Math.max(0, Math.min(list.length - 1, at + by))]);
  },

  flip(p) {
    p.s.silenced = p.s.silenced < 0 && this.ledger(p).silenced.length ? 0 : -1;
  },

  cut(p) {
    return this.ledger(p).silenced[p.s.silenced];
  },

  /* The map at hand: shares by source, or how all tokens moved when something was silenced. */
  map(p) {
    const l = this.ledger(p),
      cut = this.cut(p);
    return cut ? cut.moved : l.from;
  },

  scale(p) {
    const ref = this.map(p);
    return (
      ref &&
      this.tokens(p).grids.length > 0 &&
      scaleOf(
        numbersOf(ref),
        this.cut(p)
          ? "change of each token when it is silenced"
          : "share of the new value from each token",
      )
    );
  },

  shared(p) {
    const cut = !!this.cut(p);
    return this.blocks(p)
      .flatMap(l => (cut ? l.silenced.map(s => s.moved) : [l.from]))
      .filter(Boolean)
      .map(ref => scaleOf(numbersOf(ref), ""))
      .reduce(unionScale, null);
  },

  draw(p, scale) {
    const l = this.ledger(p),
      tokens = this.tokens(p),
      ref = this.map(p);
    if (ref && scale) p.tokenHeat(tokens, numbersOf(ref), scale);
    for (const o of this.others(p)) {
      const place = tokenPlace(p.model().tokens[o.tokens], o.token);
      if (place && o !== l) p.ring(place.y, place.x, mark.second, 4);
    }
    drawSources(p, l, tokens, this.cut(p));
    drawToken(p, tokens, l.token);
  },

  caption(p) {
    const l = this.ledger(p),
      name = theToken(this.tokens(p), l.token),
      cut = this.cut(p);
    if (cut)
      return (
        `With ${cutWords(p, cut)}, ${name} would come out of *${l.label}* ` +
        `changed by *${percent(cut.change)}*` +
        (cut.cosine === undefined ? "." : `, at a cosine of ${fixed(cut.cosine, 3)} to what it is.`)
      );
    return (
      `In *${l.label}* ${name} kept *${percent(l.own)}* of its new value from itself and ` +
      (l.feed_forward && !l.context
        ? `made *${percent(l.feed_forward)}* of it anew`
        : `took *${percent(l.context)}* from other tokens`) +
      (l.feed_forward && l.context ? `, *${percent(l.feed_forward)}* it made anew` : "") +
      `; its direction changed to a cosine of ` +
      `*${fixed(size(l.cosine), 3)}*.`
    );
  },

  build: p => buildChange(p),
};

const cutWords = (p, cut) =>
  cut.cut === "rest"
    ? "all other tokens shut off in every block"
    : cut.cut === "far"
      ? `everything farther than ${fixed(cut.radius)} px shut off in every block`
      : `${theToken(changeView.tokens(p), cut.source)} silenced in every block`;

/* The strongest sources of a ledger: those that were silenced, else the largest shares. */
function sourcesOf(l) {
  if (l.sources) return l.sources;
  if (!l.from)
    return (l.sources = l.silenced
      .filter(s => s.cut === "source")
      .map(s => ({ token: s.source, share: NaN })));
  const share = numbersOf(l.from),
    size_ = share.map(Math.abs);
  const list = [
    ...new Set([
      ...l.silenced.filter(s => s.cut === "source").map(s => s.source),
      ...top(size_, 6),
    ]),
  ];
  return (l.sources = list
    .sort((a, b) => size_[b] - size_[a])
    .map(t => ({ token: t, share: share[t] })));
}

/* Lines from the sources to the token, as strong as their shares. */
function drawSources(p, l, tokens, cut) {
  const to = tokenPlace(tokens, l.token),
    list = sourcesOf(l),
    most = Math.max(...list.map(s => Math.abs(s.share)), 1e-9);
  const placed = list
    .map((s, i) => ({ ...s, i, from: tokenPlace(tokens, s.token) }))
    .filter(s => s.from && s.token !== l.token);
  for (const s of placed) {
    s.gone =
      cut &&
      (cut.cut === "rest" ||
        (cut.cut === "source" && cut.source === s.token) ||
        (cut.cut === "far" && to && Math.hypot(s.from.y - to.y, s.from.x - to.x) > cut.radius));
    s.color = s.gone ? "#9aa4ad" : s.share < 0 ? mark.second : "#ffffff";
    if (to)
      p.line(
        g => {
          g.moveTo(p.X(s.from.x), p.Y(s.from.y));
          g.lineTo(p.X(to.x), p.Y(to.y));
        },
        s.color,
        s.gone ? 1 : 1 + (2 * Math.abs(s.share)) / most,
        s.gone ? [4, 5] : null,
      );
  }
  p.g.font = "600 11px system-ui, sans-serif";
  p.g.textAlign = "center";
  p.g.textBaseline = "middle";
  for (const s of placed) {
    p.ring(s.from.y, s.from.x, s.color, 9, "rgb(16 20 24 / .9)");
    p.g.fillStyle = "#fff";
    p.g.fillText(s.gone ? "×" : String(s.i + 1), p.X(s.from.x), p.Y(s.from.y) + 0.5);
  }
}

/* --- the panel ------------------------------------------------------------------------------- */

function buildChange(p) {
  const updates = [],
    add = w => {
      updates.push(w.update);
      return w.e;
    };
  const e = h(
    "div",
    {},
    heading("Why did it change?"),
    para(
      "A block adds to a token what it takes from others and what it makes of itself. The " +
        "shares add up to its new value. Point near a *ring* to follow another token.",
    ),
    add(ledgerTokens(p)),
    add(
      slider(
        "Block",
        () => ({ min: 0, max: changeView.blocks(p).length - 1 }),
        () => changeView.blocks(p).indexOf(changeView.ledger(p)),
        v => changeView.go(p, changeView.blocks(p)[v]),
        () => tail(changeView.ledger(p).short, 36),
      ),
    ),
    add(ledgerBars(p)),
    add(beforeAfter(p)),
    add(ledgerFacts(p)),
    add(sourceList(p)),
    add(silencedResult(p)),
    add(scaleChoice()),
  );
  return { e, update: () => updates.forEach(u => u()) };
}

function ledgerTokens(p) {
  const e = h("div", { class: "tokens" });
  let key = "";
  const update = () => {
    const l = changeView.ledger(p),
      now = String(p.s.ledger);
    if (now === key) return;
    key = now;
    e.replaceChildren(
      h("span", { text: "Tokens followed " }),
      ...changeView.others(p).map(o => {
        const on = o.tokens === l.tokens && o.token === l.token,
          place = tokenPlace(p.model().tokens[o.tokens], o.token);
        return h("button", {
          type: "button",
          class: "small" + (on ? " on" : ""),
          "aria-pressed": String(on),
          text: place
            ? `row ${place.row}, column ${place.column}`
            : tokenName(p.model().tokens[o.tokens], o.token),
          onclick: () => {
            changeView.go(p, o);
            redraw();
          },
        });
      }),
    );
  };
  update();
  return { e, update };
}

/* Shares as bars about zero; context split into near and far where that is known. */
function ledgerBars(p) {
  const e = h("div", { class: "bars", role: "img" });
  let key = "";
  const update = () => {
    const l = changeView.ledger(p);
    if (String(l.index) === key) return;
    key = String(l.index);
    const split = l.far !== undefined && l.radius !== undefined;
    const rows = [
      ["Itself", l.own, "own"],
      ...(split
        ? [
            [`Others within ${fixed(l.radius)} px`, l.context - l.far, "near"],
            [`Others farther away`, l.far, "far"],
          ]
        : [["Other tokens", l.context, "near"]]),
      ["Feed-forward", l.feed_forward, "forward"],
      ["Biases", l.rest, "rest"],
    ].filter(r => r[1]);
    const least = Math.min(0, ...rows.map(r => r[1])),
      most = Math.max(0, ...rows.map(r => r[1])),
      range = most - least || 1;
    e.setAttribute(
      "aria-label",
      "Shares of the new value: " + rows.map(r => `${r[0]} ${percent(r[1])}`).join(", "),
    );
    e.replaceChildren(
      ...rows.map(([name, v, cls]) =>
        h(
          "div",
          { class: "bar-row" },
          h("span", { class: "bar-name", text: name }),
          h(
            "span",
            { class: "bar-track" },
            h("span", {
              class: "bar-fill " + cls,
              style:
                `left:${(100 * (Math.min(v, 0) - least)) / range}%;` +
                `width:${(100 * Math.abs(v)) / range}%`,
            }),
            h("span", { class: "bar-zero", style: `left:${(100 * -least) / range}%` }),
          ),
          h("span", { class: "bar-value", text: percent(v) }),
        ),
      ),
      h(
        "div",
        { class: "bar-row sum" },
        h("span", { class: "bar-name", text: "Sum" }),
        h("span"),
        h("span", { class: "bar-value", text: percent(rows.reduce((a, r) => a + r[1], 0)) }),
      ),
    );
  };
  update();
  return { e, update };
}

/* The token's numbers as two strips of colour on one scale. */
function beforeAfter(p) {
  const a = h("canvas", { class: "code", "aria-hidden": "true" }),
    b = h("canvas", { class: "code", "aria-hidden": "true" }),
    note = h("small");
  const e = h(
    "div",
    { class: "codes" },
    h("span", { text: "Before" }),
    a,
    h("span", { text: "After" }),
    b,
    note,
  );
  let key = "";
  const update = () => {
    const l = changeView.ledger(p),
      now = l.index + ":" + a.clientWidth;
    e.hidden = !l.numbers;
    if (!l.numbers || now === key) return;
    key = now;
    const v = numbersOf(l.numbers),
      n = v.length / 2,
      scale = scaleOf(v, "", true);
    [a, b].forEach((canvas, k) => {
      canvas.width = n;
      canvas.height = 1;
      const ctx = canvas.getContext("2d"),
        image = ctx.createImageData(n, 1);
      for (let i = 0; i < n; i++)
        image.data.set([...ramps.both[Math.round(255 * place(scale, v[k * n + i]))], 255], 4 * i);
      ctx.putImageData(image, 0, 0);
    });
    setText(
      note,
      `its ${n} numbers, from ${show(scale.min, 2)} to ${show(scale.max, 2)} on one scale`,
    );
  };
  update();
  return { e, update };
}

function ledgerFacts(p) {
  const f = facts();
  const update = () => {
    const l = changeView.ledger(p);
    f.update([
      ["Length before and after", `${show(l.norm_before)} → ${show(l.norm_after)}`],
      ["Cosine of the two", fixed(size(l.cosine), 3)],
      [
        "The parts add up",
        l.mismatch === undefined ? undefined : `to ${show(l.mismatch, 2)} of its length`,
      ],
    ]);
  };
  update();
  return { e: f.e, update };
}

/* Sources, each a switch that silences it, where the run without it is in the report. */
function sourceList(p) {
  const list = h("ol", { class: "ranked sources" }),
    title = h("h3"),
    hint = h("p", { class: "hint" }),
    more = h("div", { class: "tokens" });
  const e = h(
    "div",
    {},
    title,
    hint,
    list,
    more,
  );
  let key = "";
  const update = () => {
    const l = changeView.ledger(p),
      now = l.index + ":" + p.s.silenced;
    if (now === key) return;
    key = now;
    const sources = sourcesOf(l),
      most = Math.max(...sources.map(s => Math.abs(s.share) || 0), 1e-9);
    e.hidden = !sources.length && !l.silenced.length;
    hint.hidden = !sources.length;
    setText(title, sources.length ? "Where the context came from" : "Without context");
    setText(
      hint,
      l.silenced.length
        ? "Press one to silence it: the run again as if nobody could see that token, in any block."
        : "Runs with one of them silenced are not in this report.",
    );
    list.replaceChildren(
      ...sources.map(s => {
        const at = l.silenced.findIndex(c => c.cut === "source" && c.source === s.token),
          on = at >= 0 && at === p.s.silenced;
        return h(
          "li",
          {},
          h("button", {
            type: "button",
            class: "link" + (on ? " on" : ""),
            "aria-pressed": String(on),
            disabled: at < 0,
            title: at < 0 ? "The run without it is not in this report" : "Silence it",
            text: tokenName(changeView.tokens(p), s.token),
            onclick: () => {
              p.s.silenced = on ? -1 : at;
              redraw();
            },
          }),
          h("span", {
            class: "rank-bar" + (s.share < 0 ? " minus" : ""),
            "aria-hidden": "true",
            style: `--part:${Math.abs(s.share) / most || 0}`,
          }),
          h("span", { class: "rank-value", text: percent(s.share) }),
        );
      }),
    );
    more.replaceChildren(
      ...l.silenced
        .map((c, i) =>
          c.cut === "source"
            ? null
            : h("button", {
                type: "button",
                class: "small" + (i === p.s.silenced ? " on" : ""),
                "aria-pressed": String(i === p.s.silenced),
                text:
                  c.cut === "rest"
                    ? "Shut off all others"
                    : `Shut off beyond ${fixed(c.radius)} px`,
                onclick: () => {
                  p.s.silenced = i === p.s.silenced ? -1 : i;
                  redraw();
                },
              }),
        )
        .filter(Boolean),
    );
    more.hidden = !more.firstChild;
  };
  update();
  return { e, update };
}

/* What silencing does to the token and to the answer. */
function silencedResult(p) {
  const e = h("div", { class: "result", "aria-live": "polite" });
  let key = "";
  const update = () => {
    const cut = changeView.cut(p),
      now = p.s.ledger + ":" + p.s.silenced;
    if (now === key) return;
    key = now;
    e.hidden = !cut;
    if (!cut) return e.replaceChildren();
    e.replaceChildren(
      h("h3", { text: `With ${cutWords(p, cut)}` }),
      para(`The token's numbers change by *${percent(cut.change)}*.`),
      cut.effects.length
        ? h(
            "table",
            { class: "numbers" },
            h("caption", { text: "The answer" }),
            h(
              "thead",
              {},
              h(
                "tr",
                {},
                h("th", { scope: "col", text: "" }),
                h("th", { scope: "col", text: "as it is" }),
                h("th", { scope: "col", text: "without" }),
              ),
            ),
            h(
              "tbody",
              {},
              cut.effects.map(x =>
                h(
                  "tr",
                  {},
                  h("th", { scope: "row", text: x.label }),
                  h("td", { text: show(x.before) }),
                  h("td", { text: show(x.after) }),
                ),
              ),
            ),
          )
        : "",
    );
  };
  update();
  return { e, update };
}

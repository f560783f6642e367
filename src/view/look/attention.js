/* attention.js - the view of attention: where a token looks (a row of the weights) and by whom it
   is looked at (a column), for each layer and head. */

/* --- weights --------------------------------------------------------------------------- */

/* By token: the places [window * queries + i] at which it is a query (key) of a window. */
function windowPlaces(a, side, n) {
  const name = side + "Places";
  if (a[name]) return a[name];
  const list = wholesOf(a[side + "_token"]),
    out = new Map();
  for (let i = 0; i < list.length; i++)
    if (list[i]) {
      const t = list[i] - 1;
      if (!out.has(t)) out.set(t, []);
      out.get(t).push({ window: Math.floor(i / n), at: i % n });
    }
  return (a[name] = out);
}

const placesOf = (a, side, t) =>
  a[side + "_token"]
    ? windowPlaces(a, side, side === "query" ? a.queries : a.keys).get(t) || []
    : [{ window: 0, at: t }];

/* The token that item i of a window is; -1: padding. */
function windowToken(a, side, window, i) {
  return a[side + "_token"]
    ? wholesOf(a[side + "_token"])[window * (side === "query" ? a.queries : a.keys) + i] - 1
    : i;
}

/* Weights between token t and all tokens on the other side; head -1: the mean over heads. */
function weightsOf(model, a, head, t, by) {
  const mine = by ? "key" : "query",
    other = by ? "query" : "key",
    out = new Float32Array(model.tokens[a[other]].count);
  const q = bytesOf(a.weights),
    largest = numbersOf(a.largest),
    level = (a.level = a.level || levelsOf(a.weights));
  const heads = head < 0 || a.kept_heads < a.heads ? [...Array(a.kept_heads).keys()] : [head];
  for (const { window, at } of placesOf(a, mine, t))
    for (const k of heads) {
      const first = (window * a.kept_heads + k) * a.queries;
      for (let i = 0; i < (by ? a.queries : a.keys); i++) {
        const to = windowToken(a, other, window, i),
          row = first + (by ? i : at);
        if (to >= 0)
          out[to] += (level[q[row * a.keys + (by ? at : i)]] * largest[row]) / heads.length;
      }
    }
  return out;
}

const mean = list => {
  const v = (list || []).filter(x => x !== null);
  return v.length ? v.reduce((a, b) => a + b, 0) / v.length : NaN;
};
const ofHead = (list, head) =>
  !list ? NaN : head < 0 ? mean(list) : list[head] === null ? NaN : list[head];
const headName = head => (head < 0 ? "mean of heads" : `head ${head}`);

/* Numbers of a model's attentions as people count them: the encoder's before the decoder's, by
   block. */
function attentionOrder(model) {
  const rank = a => (a.stack === "encoder" ? 0 : a.stack === "decoder" ? 2 : 1);
  const before = (a, b) => rank(a) - rank(b) || a.block - b.block || a.index - b.index;
  return (model.order = model.order || [...model.attentions].sort(before).map(a => a.index));
}

/* --- the view ------------------------------------------------------------------------------ */

const attentionView = {
  id: "attention",
  title: "Attention",
  about: 2,

  missing: m =>
    m.attentions.length
      ? null
      : (m.notes.find(n => n.about === 2) || {}).text || "No attention was found in this model.",

  reset(s, model) {
    s.att = attentionOrder(model)[0] || 0;
    s.head = -1;
    s.by = false;
    s.tokenMap = -1;
    s.token = model.tokens.map(t => {
      const at = nearestToken(t, model.H / 2, model.W / 2),
        query = model.queries.find(q => q.answer >= 0);
      return at >= 0 ? at : t.queries && query ? query.number : 0;
    });
  },

  a: p => p.model().attentions[p.s.att],
  side(p) {
    const a = this.a(p);
    return p.s.by ? a.key : a.query;
  },
  otherSide(p) {
    const a = this.a(p);
    return p.s.by ? a.query : a.key;
  },
  tokens(p) {
    return p.model().tokens[this.side(p)];
  },
  others(p) {
    return p.model().tokens[this.otherSide(p)];
  },
  token(p) {
    return p.s.token[this.side(p)];
  },
  unitOf(p) {
    return { what: "token", part: this.side(p), y: this.token(p), x: 0 };
  },

  choose(p, t) {
    p.s.token[this.side(p)] = t;
  },

  point(p, at) {
    const tokens = this.tokens(p);
    if (!tokens) return;
    if (tokens.queries) {
      const q = queryAt(p.model(), at, Infinity);
      if (q) this.choose(p, q.number);
    } else {
      const t = nearestToken(tokens, at.y, at.x);
      if (t >= 0) this.choose(p, t);
    }
  },

  move(p, dy, dx) {
    const tokens = this.tokens(p),
      t = this.token(p),
      place = tokens && tokenPlace(tokens, t);
    if (!tokens) return;
    if (!place) return this.choose(p, Math.max(0, Math.min(tokens.count - 1, t + (dy || dx))));
    const within = (v, n) => Math.max(0, Math.min(n - 1, v)),
      g = place.grid;
    this.choose(
      p,
      gridToken(g, within(place.row + dy, g.rows), within(place.column + dx, g.columns)),
    );
  },

  deeper(p, by) {
    const list = attentionOrder(p.model());
    const at = Math.max(0, Math.min(list.length - 1, list.indexOf(p.s.att) + by));
    this.setLayer(p, list[at]);
  },
  setLayer(p, i) {
    p.s.att = i;
    if (p.s.head >= this.a(p).heads) p.s.head = -1;
  },
  flip(p) {
    p.s.by = !p.s.by;
  },

  /* Other maps of this token: what was carried through the layers, its effective field. */
  map(p) {
    return heatsOf(p.model(), this.unitOf(p))[p.s.tokenMap];
  },

  values(p, head) {
    const a = this.a(p);
    return a.weights && this.tokens(p) && this.others(p)
      ? weightsOf(p.model(), a, head, this.token(p), p.s.by)
      : null;
  },

  scale(p) {
    const map = this.map(p);
    if (map) return scaleOf(numbersOf(map.map), map.of || "relevance");
    const v = this.values(p, p.s.head),
      others = this.others(p);
    return (
      v && {
        ...scaleOf(v, p.s.by ? "weight received" : "attention weight"),
        unseen: !others.grids.length && !(others.queries && p.model().queries.length),
      }
    );
  },

  /* Of all heads of this layer at this token. */
  shared(p) {
    if (this.map(p)) return null;
    const a = this.a(p);
    let all = null;
    for (let k = -1; k < (a.kept_heads < a.heads ? 0 : a.heads); k++)
      all = unionScale(all, scaleOf(this.values(p, k), ""));
    return all;
  },

  draw(p, scale) {
    const map = this.map(p),
      others = this.others(p);
    if (map) p.heatPart(map, scale);
    else if (scale && others.queries) drawQueryWeights(p, this.values(p, p.s.head), scale);
    else if (scale) p.tokenHeat(others, this.values(p, p.s.head), scale);
    drawToken(p, this.tokens(p), this.token(p));
  },

  caption(p) {
    const a = this.a(p),
      tokens = this.tokens(p),
      map = this.map(p);
    if (!tokens) return `*${a.label}*: its tokens have no known place.`;
    const who = theToken(tokens, this.token(p)),
      what = p.s.by ? "is looked at by" : "looks at";
    if (map)
      return `${mapName(map)}${inBrackets(map.settings)} of *${who}*: ${mapWords[map.family]}.`;
    const v = this.values(p, p.s.head);
    if (!v) return `*${a.label}*: its weights are not in this file, only the numbers beside are.`;
    const best = top(v, 1)[0],
      others = this.others(p);
    const lit = others.grids.length
      ? "the lit tokens"
      : others.queries && p.model().queries.length
        ? "the queries of these boxes"
        : "tokens that have no place on the picture (see the bars of its heads)";
    return (
      `In *${a.label}* (${headName(p.s.head)}) ${who} *${what}* ${lit}; ` +
      `most ${p.s.by ? "by" : "at"} ${tokenName(others, best)}: ${show(v[best], 2)}.`
    );
  },

  chips(p) {
    const others = this.others(p),
      v = !this.map(p) && this.values(p, p.s.head);
    if (!v || others.queries) return [];
    return others.special.map((name, t) =>
      h("span", { class: "chip" }, `${name} `, h("b", { text: show(v[t], 2) })),
    );
  },

  build: p => buildAttention(p),
};

const mapWords = {
  relevance: "attention carried through the layers",
  effective: "how much each pixel matters to it",
  attribution: "which pixels made it",
};

/* The n greatest, greatest first. */
function top(values, n) {
  const order = [];
  values.forEach((v, i) => {
    if (order.length === n && v <= values[order[n - 1]]) return;
    let at = order.length;
    while (at > 0 && values[order[at - 1]] < v) at--;
    order.splice(at, 0, i);
    if (order.length > n) order.pop();
  });
  return order;
}

/* --- on the picture --------------------------------------------------------------------------- */

function drawToken(p, tokens, t, color) {
  if (!tokens) return;
  const place = tokenPlace(tokens, t);
  if (place) {
    p.cell(place.y, place.x, place.jy, place.jx, color || mark.unit);
    p.cross(place.y, place.x, color || mark.unit);
  } else if (tokens.queries) {
    const q = p.model().queries.find(q => q.number === t),
      step = q && q.steps[q.steps.length - 1];
    if (step && step.box) {
      p.box(step.box, color || mark.unit, 2);
      p.label(`query ${t}`, step.box[1], step.box[0], color);
    }
  }
}

/* Queries have no place: their boxes, the stronger the weight the stronger the line. */
function drawQueryWeights(p, values, scale) {
  for (const t of top(values, 8).reverse()) {
    const q = p.model().queries.find(q => q.number === t),
      step = q && q.steps[q.steps.length - 1],
      share = place(scale, values[t]);
    if (step && step.box && share > 0.02) p.box(step.box, rampColor(share), 1 + 3 * share);
  }
}

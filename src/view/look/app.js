/* app.js - what the page is at the moment: which view, which pane, what each has been pointed at;
   and the one function that brings everything up to date. */

const views = [fieldView, attentionView, changeView, queriesView, answersView, aboutView];

const app = {
  tab: "field",
  scale: "raw",
  stages: true,
  effective: true,
  panes: [],
  active: null,

  activate(pane) {
    if (this.active === pane) return;
    this.active = pane;
    buildPanel();
    redraw();
  },
};

const view = () => views.find(v => v.id === app.tab);
const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const $ = id => document.getElementById(id);

Pane.prototype.model = function () {
  return models[this.s.model];
};

/* --- the state of a pane ------------------------------------------------------------------ */

/* A layer that shows something at once: the deepest whose cells see less than a fifth. */
function firstLayer(model) {
  let best = model.layers.findIndex(hasCells);
  model.layers.forEach((l, i) => {
    if (!hasCells(l) || !l.stage) return;
    const set = cellSet(l, l.y.cells >> 1, l.x.cells >> 1);
    if (set && setCount(set) < (l.W * l.H) / 5) best = i;
  });
  return Math.max(0, best);
}

function freshState(index) {
  const model = models[index],
    layer = firstLayer(model);
  const s = {
    model: index,
    layer,
    forth: false,
    pinned: false,
    recipe: 0,
    pixel: { y: model.H >> 1, x: model.W >> 1 },
    cell: { y: 0, x: 0 },
  };
  const l = model.layers[layer];
  if (l && hasCells(l)) s.cell = nearestCell(l, s.pixel.y, s.pixel.x);
  attentionView.reset(s, model);
  changeView.reset(s, model);
  queriesView.reset(s, model);
  answersView.reset(s, model);
  return s;
}

/* Begin with the unit that the report names. */
function startAt(p, unit) {
  const model = p.model();
  if (unit.what === "cell" && model.layers[unit.part]) {
    goToCell(p, unit);
    p.s.pinned = false; /* nobody has held it yet: the mouse moves on */
    return "field";
  }
  if (unit.what === "token" && model.tokens[unit.part]) {
    const looks = a => a.query === unit.part;
    p.s.att = attentionOrder(model).find(i => looks(model.attentions[i])) || 0;
    p.s.token[unit.part] = unit.y;
    return "attention";
  }
  if (unit.what === "query") {
    p.s.query = Math.max(
      0,
      model.queries.findIndex(q => q.number === unit.y),
    );
    return "queries";
  }
  if (unit.what === "answer" && model.answers[unit.part]) {
    p.s.answer = unit.part;
    return "answers";
  }
  return "field";
}

/* In the view at hand, at the unit that the report names for this model, if there it is one. */
function beginAt(p) {
  const kept = JSON.stringify(p.s);
  if (p.model().start && startAt(p, p.model().start) !== app.tab) p.s = JSON.parse(kept);
}

/* --- up to date --------------------------------------------------------------------------- */

let waiting = false,
  speak = false;

/* say: what was pointed at is to be read out, since keys did it. */
function redraw(say) {
  speak = speak || say === true;
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    render();
    if (speak) setText($("live"), app.active.caption.textContent);
    speak = false;
  });
}

function render() {
  const v = view(),
    scales = app.panes.map(p => (v.missing(p.model()) ? null : v.scale(p)));
  let shared = null;
  if (app.scale === "shared")
    app.panes.forEach((p, i) => {
      if (scales[i]) shared = unionScale(unionScale(shared, scales[i]), v.shared(p));
    });
  app.panes.forEach((p, i) => {
    const scale =
        scales[i] && shared
          ? { ...shared, of: scales[i].of, unseen: scales[i].unseen }
          : scales[i],
      missing = v.missing(p.model());
    p.begin();
    p.scale = scale;
    if (!missing) v.draw(p, scale);
    setRich(p.caption, missing || v.caption(p));
    p.figure.dataset.unit = missing ? "" : JSON.stringify(v.unitOf(p));
    setText(p.title, paneTitle(p));
    p.title.hidden = app.panes.length < 2 && !p.s.pinned;
    p.legend.update(scale && !scale.unseen ? scale : null);
    const chips = !missing && v.chips ? v.chips(p) : [];
    p.chips.hidden = !chips.length;
    p.chips.replaceChildren(...chips);
    p.figure.classList.toggle("active", p === app.active && app.panes.length > 1);
    p.figure.classList.toggle("pinned", p.s.pinned);
    p.canvas.setAttribute(
      "aria-label",
      `${report.picture.name || "Picture"}, ${v.title}. Arrow keys move, Enter holds, ` +
        "X turns the direction, square brackets change the layer.",
    );
  });
  if (panel) panel.update();
  document.body.dataset.tab = app.tab;
}

const paneTitle = p =>
  (app.panes.length > 1 ? `${p.name} · ` : "") +
  p.model().info.name +
  (p.s.pinned ? " · held" : "");

/* --- the panel ---------------------------------------------------------------------------- */

let panel = null;

function buildPanel() {
  const v = view(),
    p = app.active,
    model = p.model(),
    missing = v.missing(model);
  const body = missing ? { e: nothing(missing), update() {} } : v.build(p);
  const which = app.panes.length > 1 ? paneChoice() : null,
    mine = models.length > 1 ? modelChoice(p) : null;
  body.e.classList.add("body");
  const notes = missing || !v.about ? null : notesOf(model, v.about);
  $("view").replaceChildren(
    ...[which && which.e, mine && mine.e, body.e, notes].filter(Boolean),
  );
  $("view").setAttribute("aria-labelledby", "tab-" + v.id);
  panel = {
    update() {
      body.update();
      if (which) which.update();
    },
  };
}

const paneChoice = () =>
  choice(
    "These controls are for",
    app.panes.map(p => ({ value: p.name, text: "Picture " + p.name })),
    () => app.active.name,
    name => app.activate(app.panes.find(p => p.name === name)),
  );

function modelChoice(p) {
  return select(
    "Model",
    models.map(m => m.info.name || "model"),
    () => p.s.model,
    v => {
      p.s = freshState(v);
      beginAt(p);
      buildPanel();
    },
  );
}

function showTab(id, focus) {
  app.tab = id;
  for (const v of views) {
    const tab = $("tab-" + v.id),
      on = v.id === id;
    tab.setAttribute("aria-selected", String(on));
    tab.tabIndex = on ? 0 : -1;
    if (on && focus) tab.focus();
    if (on) tab.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
  buildPanel();
  redraw();
}

function buildTabs() {
  $("tabs").replaceChildren(
    ...views.map(v =>
      h("button", {
        type: "button",
        role: "tab",
        id: "tab-" + v.id,
        "aria-controls": "view",
        text: v.title,
        onclick: () => showTab(v.id),
      }),
    ),
  );
  $("tabs").addEventListener("keydown", e => {
    const at = views.findIndex(v => v.id === app.tab),
      n = views.length;
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1 + n, Home: 0, End: n - 1 }[e.key];
    if (to === undefined) return;
    e.preventDefault();
    showTab(views[to % n].id, true);
  });
}

/* --- two panes, themes, help -------------------------------------------------------------- */

function addPane() {
  const figure = h(
    "figure",
    { class: "pane", "data-pane": "B" },
    h(
      "div",
      { class: "frame" },
      h("img", { class: "photo", src: app.panes[0].photo.src, alt: "" }),
    ),
  );
  $("stages").append(figure);
  const pane = new Pane("B", figure);
  pane.s = JSON.parse(JSON.stringify(app.panes[0].s));
  const other = models.findIndex((m, i) => i !== pane.s.model && !view().missing(m));
  if (other >= 0) {
    pane.s = freshState(other);
    beginAt(pane);
  }
  app.panes[0].s.pinned = true;
  app.panes.push(pane);
  watch(pane);
  app.activate(pane);
}

function toggleCompare() {
  const on = app.panes.length < 2;
  $("stages").classList.toggle("two", on);
  $("compare").setAttribute("aria-pressed", String(on));
  if (on) addPane();
  else {
    const gone = app.panes.pop();
    sizes.unobserve(gone.frame);
    gone.figure.remove();
    app.panes[0].s.pinned = false;
    app.active = app.panes[0];
    buildPanel();
  }
  redraw();
}

const sizes = new ResizeObserver(() => redraw());
const watch = pane => sizes.observe(pane.frame);

/* The choice is kept where the browser lets a file keep things. */
function setTheme(theme) {
  const root = document.documentElement;
  if (theme === "auto") delete root.dataset.theme;
  else root.dataset.theme = theme;
  $("theme").replaceChildren(h("span", { class: "wide", text: "Theme: " }), theme);
  try {
    localStorage.setItem("omma-look-theme", theme);
  } catch (e) {
    /* then it is not */
  }
  redraw();
}

function savedTheme() {
  try {
    return localStorage.getItem("omma-look-theme") || "auto";
  } catch (e) {
    return "auto";
  }
}

function nextTheme() {
  const now = document.documentElement.dataset.theme || "auto";
  setTheme({ auto: "light", light: "dark", dark: "auto" }[now]);
}

const keys = [
  ["Mouse", "Move over the picture; click holds what is shown, click again lets go."],
  ["Touch", "Tap the picture to hold a place; tap it again to let go."],
  ["Tab", "Walks through the picture and all controls."],
  ["Arrow keys", "On the picture: one cell, pixel or token on; with Shift five."],
  ["Enter, Esc", "Hold, let go."],
  ["[ and ]", "One layer back or on; Page Up and Page Down do the same."],
  ["X", "Turns the direction: what it sees, who sees it; looks at, is looked at."],
];

function toggleHelp() {
  const e = $("helptext"),
    show_ = e.hidden;
  e.hidden = !show_;
  $("help").setAttribute("aria-expanded", String(show_));
  if (show_ && !e.firstChild)
    e.append(
      h(
        "dl",
        { class: "keys" },
        keys.map(([k, t]) => h("div", {}, h("dt", { text: k }), h("dd", { text: t }))),
      ),
    );
  redraw();
}

/* --- begin -------------------------------------------------------------------------------- */

function start() {
  if (!models.length) {
    $("view").append(nothing("This report has no model in it."));
    return;
  }
  setText(
    $("subtitle"),
    `${models.map(m => m.info.name).join(" and ")} on ${report.picture.name || "a picture"}` +
      (models.length > 1 ? "" : `, ${models[0].W} × ${models[0].H} px`),
  );
  const pane = new Pane("A", document.querySelector(".pane"));
  pane.s = freshState(0);
  app.panes = [pane];
  app.active = pane;
  app.stages = models[0].layers.length > 24;
  buildTabs();
  setTheme(savedTheme());
  pane.resize();
  showTab(models[0].start ? startAt(pane, models[0].start) : "field");
  watch(pane);
  $("compare").addEventListener("click", toggleCompare);
  $("theme").addEventListener("click", nextTheme);
  $("help").addEventListener("click", toggleHelp);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw());
  requestAnimationFrame(() =>
    requestAnimationFrame(() => {
      document.documentElement.dataset.ready = Math.round(performance.now());
    }),
  );
}

start();

/* widgets.js - the few things a panel is made of: elements, switches, sliders, tables, scales. All
   are built once and brought up to date by functions that are handed back. Texts from the report go
   in as text, never as HTML. */

function h(name, attrs, ...children) {
  const e = document.createElement(name);
  setAttrs(e, attrs);
  e.append(...children.flat().filter(c => c !== null && c !== undefined && c !== false));
  return e;
}

function svg(name, attrs, ...children) {
  const e = document.createElementNS("http://www.w3.org/2000/svg", name);
  setAttrs(e, attrs);
  e.append(...children.flat());
  return e;
}

function setAttrs(e, attrs) {
  for (const key in attrs || {}) {
    const v = attrs[key];
    if (v === undefined || v === null) continue;
    if (key.startsWith("on")) e.addEventListener(key.slice(2), v);
    else if (key === "text") e.textContent = v;
    else if (typeof v === "boolean" && !key.startsWith("aria")) e.toggleAttribute(key, v);
    else e.setAttribute(key, v);
  }
}

let ids = 0;
const newId = () => "u" + ++ids;

/* Text with *stars* around what is strong. */
function rich(text) {
  return text
    .split("*")
    .map((part, i) => (i % 2 ? h("strong", { text: part }) : part))
    .filter(p => p !== "");
}

function setText(e, text) {
  if (e.textContent !== text) e.textContent = text;
}
function setRich(e, text) {
  if (e.dataset.text === text) return;
  e.dataset.text = text;
  e.replaceChildren(...rich(text));
}

/* One of several: radio buttons that look like one switch. Arrow keys are the browser's. */
function choice(label, options, get, set, attrs) {
  const name = newId(),
    box = h("fieldset", { class: "choice", ...attrs }, h("legend", { text: label }));
  const row = h("div", { class: "segments" });
  const inputs = options.map(o => {
    const input = h("input", {
      type: "radio",
      name,
      value: o.value,
      onchange: () => {
        set(o.value);
        redraw();
      },
    });
    row.append(h("label", { title: o.title }, input, h("span", { text: o.text })));
    return input;
  });
  box.append(row);
  const update = () => {
    for (const i of inputs) i.checked = i.value === String(get());
  };
  update();
  return { e: box, update };
}

/* A whole number on a slider, with buttons beside it. */
function slider(label, range, get, set, say) {
  const id = newId(),
    value = h("output", { class: "value", for: id });
  const move = v => {
    set(Math.max(range().min, Math.min(range().max, v)));
    redraw();
  };
  const input = h("input", { type: "range", id, step: 1, oninput: () => move(+input.value) });
  const less = h("button", {
    type: "button",
    class: "small",
    "aria-label": `${label}: one back`,
    text: "‹",
    onclick: () => move(get() - 1),
  });
  const more = h("button", {
    type: "button",
    class: "small",
    "aria-label": `${label}: one on`,
    text: "›",
    onclick: () => move(get() + 1),
  });
  const e = h(
    "div",
    { class: "slider" },
    h("div", { class: "slider-head" }, h("label", { for: id, text: label }), value),
    h("div", { class: "slider-row" }, less, input, more),
  );
  const update = () => {
    const r = range();
    input.min = r.min;
    input.max = r.max;
    input.value = get();
    setText(value, say());
    input.setAttribute("aria-valuetext", say());
    less.disabled = get() <= r.min;
    more.disabled = get() >= r.max;
  };
  update();
  return { e, update, input };
}

function check(label, get, set, title) {
  const input = h("input", {
    type: "checkbox",
    onchange: () => {
      set(input.checked);
      redraw();
    },
  });
  const update = () => {
    input.checked = get();
  };
  update();
  return {
    e: h("label", { class: "check", title }, input, h("span", { text: label })),
    update,
    input,
  };
}

function select(label, options, get, set) {
  const id = newId(),
    input = h(
      "select",
      {
        id,
        onchange: () => {
          set(+input.value);
          redraw();
        },
      },
      options.map((o, i) => h("option", { value: i, text: o })),
    );
  const update = () => {
    input.value = get();
  };
  update();
  return { e: h("div", { class: "select" }, h("label", { for: id, text: label }), input), update };
}

/* Facts: pairs of a name and a text; undefined texts are left out. */
function facts() {
  const e = h("dl", { class: "facts" });
  let before = "";
  const update = list => {
    const kept = list.filter(f => f && f[1] !== undefined && f[1] !== "–"),
      key = JSON.stringify(kept);
    if (key === before) return;
    before = key;
    e.replaceChildren(
      ...kept.map(([name, text, title]) =>
        h("div", { title }, h("dt", { text: name }), h("dd", {}, rich(text))),
      ),
    );
  };
  return { e, update };
}

/* Numbers that stand beside a map. */
function numberTable(caption, list) {
  return h(
    "table",
    { class: "numbers" },
    h("caption", { text: caption }),
    h(
      "tbody",
      {},
      list.map(n =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, n.name, n.says && h("small", { text: n.says })),
          h("td", { text: show(size(n.value)) + (n.unit ? " " + n.unit : "") }),
        ),
      ),
    ),
  );
}

const heading = text => h("h2", { text });
const para = (text, cls) => h("p", { class: cls || "" }, rich(text));
const nothing = text => h("p", { class: "nothing", text });

/* What was said about a view: what was not found, what was left out. Many are folded. */
function notesOf(model, about) {
  const notes = model.notes.filter(n => n.about === about);
  if (!notes.length) return null;
  const list = h(
    "ul",
    { class: "notes" },
    notes.map(n => h("li", { text: n.text })),
  );
  if (notes.length < 3) return list;
  return h(
    "details",
    {},
    h("summary", { text: `${notes.length} notes` }),
    list,
  );
}

/* A canvas of css size, sharp on any screen. */
function fit(canvas, width, height) {
  const dpr = window.devicePixelRatio || 1,
    w = Math.max(1, Math.round(width * dpr)),
    k = Math.max(1, Math.round(height * dpr));
  if (canvas.width !== w || canvas.height !== k) {
    canvas.width = w;
    canvas.height = k;
  }
  const ctx = canvas.getContext("2d");
  ctx.setTransform(w / width, 0, 0, k / height, 0, 0);
  ctx.clearRect(0, 0, width, height);
  return ctx;
}

/* --- the scale of a map ------------------------------------------------------------------ */

function drawRamp(canvas, ramp) {
  const ctx = canvas.getContext("2d"),
    image = ctx.createImageData(256, 1);
  for (let i = 0; i < 256; i++) image.data.set([...ramps[ramp][i], 255], 4 * i);
  canvas.width = 256;
  canvas.height = 1;
  ctx.putImageData(image, 0, 0);
}

function legend() {
  const bar = h("canvas", { class: "ramp", width: 256, height: 1, "aria-hidden": "true" });
  const min = h("span", { class: "end" }),
    max = h("span", { class: "end" }),
    of = h("span", { class: "of" });
  const e = h(
    "div",
    { class: "legend", role: "img" },
    of,
    h("div", { class: "bar" }, min, bar, max),
  );
  let drawn = "";
  const update = scale => {
    e.hidden = !scale;
    if (!scale) return;
    if (drawn !== rampOf(scale)) drawRamp(bar, (drawn = rampOf(scale)));
    setText(min, show(scale.min));
    setText(max, show(scale.max));
    const kind = app.scale === "raw" ? "this map's own range" : "one range for all maps";
    setText(of, `${scale.of} · ${kind}`);
    e.setAttribute(
      "aria-label",
      `Colours from ${show(scale.min)} to ${show(scale.max)}: ${scale.of}, ${kind}`,
    );
  };
  return { e, update };
}

function scaleChoice() {
  const c = choice(
    "Colour scale",
    [
      {
        value: "raw",
        text: "Raw",
        title: "Every map up to its own greatest number",
      },
      { value: "shared", text: "Shared", title: "All maps that can be compared have one range" },
    ],
    () => app.scale,
    v => {
      app.scale = v;
    },
  );
  const update = () => {
    c.update();
    c.e.hidden = !app.active.scale;
  };
  return { e: c.e, update };
}

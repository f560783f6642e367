/* about.js - the view of the report itself: the model, what was not found, what was left out. */

const aboutView = {
  id: "about",
  title: "About",
  about: 0,
  missing: () => null,
  reset() {},
  point() {},
  move() {},
  deeper() {},
  flip() {},
  unitOf: () => ({}),
  scale: () => null,
  shared: () => null,
  draw() {},
  caption: p => `*${p.model().info.name || "The model"}* saw this picture at ${p.W} × ${p.H} px.`,
  build: p => buildAbout(p),
};

function buildAbout(p) {
  const m = p.model(),
    i = m.info,
    f = facts();
  f.update([
    ["Model", i.name],
    ["File", i.bytes ? bytes(i.bytes) : undefined],
    ["Parameters", i.parameters ? count(i.parameters) : undefined],
    ["Input", i.input],
    ["One run", i.seconds === undefined ? undefined : fixed(1000 * i.seconds) + " ms"],
    ["Picture", `${report.picture.name || ""}, ${m.W} × ${m.H} px as the model got it`],
  ]);
  const have = [
    [m.layers.length, "layers"],
    [m.attentions.length, "attentions"],
    [m.ledgers.length, "ledgers"],
    [m.queries.length, "queries"],
    [m.answers.length, "answers"],
    [m.heats.length, "maps"],
  ]
    .filter(x => x[0])
    .map(x => `${count(x[0])} ${x[1]}`);
  const other = m.notes;
  return {
    update() {},
    e: h(
      "div",
      {},
      heading("This report"),
      f.e,
      para(`In it: ${have.join(", ") || "nothing but the picture"}.`),
      report.left_out
        ? para(
            `*${count(report.left_out)} parts were left out or made coarser*, ` +
              `since the file stays below ${bytes(report.limit)}.`,
          )
        : null,
      other.length
        ? [
            h("h3", { text: "What was not found, what was left out, what to know" }),
            h(
              "ul",
              { class: "notes" },
              other.map(n => h("li", { text: n.text })),
            ),
          ]
        : null,
      h("h3", { text: "How to read it" }),
      para(
        "Numbers on the picture are *rows and columns* from 0; a pixel's centre is a whole " +
          "number. A cell is drawn at its *true centre*, not by enlarging its map.",
      ),
      para(
        "*Field*: which pixels can change a number at all, exact and with holes, whatever the" +
          " weights. *Effective field*: how much they do, by the gradient. They are not the " +
          "same: covering the picture is not using it.",
      ),
      para(
        "*Attention* says how tokens are mixed, not why an answer came out. For that, silence" +
          " something and look at what changes.",
      ),
      para(
        "Colours are *raw* (each map up to its own greatest number, from zero, or from its " +
          "negative where there are negative ones) or *shared* (one range for all maps that can " +
          "be compared); the scale below the picture says which."
,
      ),
      report.command
        ? [h("h3", { text: "Made by" }), h("pre", {}, h("code", { text: report.command }))]
        : null,
    ),
  };
}

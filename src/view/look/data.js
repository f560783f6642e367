/* data.js - what the report holds: the parts of docs/report-format.md by model, and the blocks of
   bytes behind them, which are decoded when somebody looks. */

const report = JSON.parse(document.getElementById("omma-data").textContent);

const listOf = {
  layer: "layers",
  set: "sets",
  heat: "heats",
  tokens: "tokens",
  attention: "attentions",
  samples: "samples",
  blocks: "blocks",
  ledger: "ledgers",
  query: "queries",
  answer: "answers",
  note: "notes",
};

/* Notes that stand before the first model are about all of them. */
function readModels(parts) {
  const models = [],
    common = [];
  let model = null;
  for (const part of parts) {
    if (part.part === "model") {
      /* W, H: of the picture as this model got it */
      const { width, height } = report.picture;
      model = {
        info: part,
        index: models.length,
        W: part.width || width,
        H: part.height || height,
      };
      part.name = (part.name || "model").replace(/\*/g, "∗");
      for (const kind in listOf) model[listOf[kind]] = [];
      models.push(model);
    } else if (part.part === "start") models[part.model].start = part.unit;
    else if (!model) common.push(part);
    else if (listOf[part.part]) {
      const list = model[listOf[part.part]];
      part.index = list.length;
      part.label = (part.label || `${part.part} ${part.index}`).replace(/\*/g, "∗");
      part.model = model.index;
      part.W = model.W;
      part.H = model.H;
      list.push(part);
    }
  }
  for (const m of models) {
    m.notes.unshift(...common);
    for (const kind of ["layers", "attentions", "samples", "ledgers"]) shorten(m[kind]);
    const steps = m.queries.flatMap(q => q.steps);
    for (const s of steps) s.label = (s.label || "").replace(/\*/g, "∗");
    shorten(steps.filter(s => s.label.includes(".")));
    indexSets(m);
  }
  tellApart(models);
  return models;
}

/* Labels without what all of them begin and end with, part by part: a.b.conv and a.c.conv are b and
   c. A number keeps the word before it. */
function shorten(parts) {
  const split = parts.map(p => p.label.split(".")),
    alike = at => split.length > 1 && split.every(s => at(s) === at(split[0])),
    room = n => split.every(s => s.length > n);
  let front = 0,
    back = 0;
  while (room(front + 1) && alike(s => s[front])) front++;
  while (room(front + back + 1) && alike(s => s[s.length - 1 - back])) back++;
  if (front && split.some(s => /^\d+$/.test(s[front]))) front--;
  parts.forEach((p, i) => {
    p.short = split[i].slice(front, split[i].length - back).join(".");
  });
}

/* A text of at most n characters; what is cut is cut in front, where names differ least, at a dot
   where one is near. */
function tail(text, n) {
  if (text.length <= n) return text;
  const cut = text.slice(1 - n),
    dot = cut.indexOf(".");
  return "…" + (dot > 0 && dot < n / 2 ? cut.slice(dot) : cut);
}

/* Models of the same name get numbers. */
function tellApart(list) {
  const count = {};
  for (const m of list) count[m.info.name] = (count[m.info.name] || 0) + 1;
  const at = {};
  for (const m of list) {
    const name = m.info.name;
    if (count[name] > 1) m.info.name = `${name} (${(at[name] = (at[name] || 0) + 1)})`;
  }
}

/* Exact sets by unit; those that hold for every cell of a layer are the layer's, as are lists of
   cells that have one. */
function indexSets(m) {
  m.setOfUnit = new Map();
  for (const l of m.layers) l.exact = [];
  for (const s of m.sets) {
    const layer = s.unit.what === "cell" && m.layers[s.unit.part];
    if (layer && s.unit.y < 0) layer.every = s;
    else m.setOfUnit.set(unitKey(s.unit), s);
    if (layer && s.unit.y >= 0 && s.status !== "bound") layer.exact.push(s.unit);
  }
}
const unitKey = u => [u.what, u.part || 0, u.y, u.x, u.edge || ""].join();

const models = readModels(report.parts);

/* --- blocks ------------------------------------------------------------------------ */

function fromBase64(text) {
  const raw = atob(text),
    bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

/* The lookup of a canonical code: by the next 15 bits, symbol << 4 | length. */
function codeTable(head) {
  const length = i => (head[i >> 1] >> ((i & 1) * 4)) & 15;
  const table = new Uint16Array(1 << 15);
  let next = 0;
  for (let l = 1; l <= 15; l++) {
    for (let s = 0; s < 272; s++)
      if (length(s) === l) {
        const from = next << (15 - l);
        table.fill((s << 4) | l, from, from + (1 << (15 - l)));
        next++;
      }
    next <<= 1;
  }
  return table;
}

/* Undo shrink.c: bytes, and runs of zeros (256 + k: 2^k and as many as k bits say). */
function unshrink(bytes, size) {
  const out = new Uint8Array(size),
    table = codeTable(bytes);
  let at = 136,
    held = 0,
    bits = 0,
    n = 0;
  while (n < size) {
    while (bits < 15) {
      held = ((held << 8) | (at < bytes.length ? bytes[at] : 0)) & 0x3fffff;
      at++;
      bits += 8;
    }
    const code = table[(held >>> (bits - 15)) & 0x7fff],
      symbol = code >> 4;
    if (!code) throw new Error("a block of this report is damaged");
    bits -= code & 15;
    if (symbol < 256) {
      out[n++] = symbol;
      continue;
    }
    const k = symbol - 256;
    while (bits < k) {
      held = ((held << 8) | (at < bytes.length ? bytes[at] : 0)) & 0x3fffff;
      at++;
      bits += 8;
    }
    bits -= k;
    n += (1 << k) + ((held >>> bits) & ((1 << k) - 1));
  }
  return out;
}

const decoded = new Map();
let decodedSize = 0;
const KEEP = 96e6; /* bytes of decoded blocks that are kept */

/* A block's bytes. The oldest ones are given up when there are too many. */
function bytesOf(ref) {
  let bytes = decoded.get(ref.block);
  if (bytes) return bytes;
  const raw = fromBase64(document.getElementById("b" + ref.block).textContent);
  bytes = ref.coding === "huffman" ? unshrink(raw, ref.bytes) : raw;
  decoded.set(ref.block, bytes);
  decodedSize += bytes.length;
  for (const [key, old] of decoded) {
    if (decodedSize <= KEEP || key === ref.block) break;
    decoded.delete(key);
    decodedSize -= old.length;
  }
  return bytes;
}

/* Whole numbers of a block: u8, u16 and u32 in planes of bytes, the lowest first. */
function wholesOf(ref) {
  const bytes = bytesOf(ref),
    n = ref.count,
    planes = { u8: 1, u16: 2, u32: 4 }[ref.type];
  if (planes === 1) return bytes;
  const out = new Uint32Array(n);
  for (let p = 0; p < planes; p++)
    for (let i = 0; i < n; i++) out[i] |= bytes[p * n + i] << (8 * p);
  return out;
}

/* What each level stands for: min + (max - min) * (q / levels)^power. */
function levelsOf(ref) {
  const out = new Float32Array(ref.levels + 1);
  for (let q = 0; q <= ref.levels; q++) {
    const t = q / ref.levels;
    out[q] = ref.min + (ref.max - ref.min) * (ref.power === 2 ? t * t : t);
  }
  return out;
}

function numbersOf(ref) {
  if (ref.numbers) return ref.numbers;
  const whole = wholesOf(ref),
    level = levelsOf(ref),
    out = new Float32Array(ref.count);
  for (let i = 0; i < out.length; i++) out[i] = level[whole[i]];
  return (ref.numbers = out);
}

/* Runs of each line: [from, to, from, to, ...], to is behind the last. */
function runsOf(ref) {
  if (ref.runs) return ref.runs;
  const bytes = bytesOf(ref),
    lines = [];
  let at = 0,
    before = 0;
  const number = () => {
    let v = 0,
      unit = 1,
      byte;
    do {
      byte = bytes[at++];
      v += (byte & 127) * unit;
      unit *= 128;
    } while (byte & 128);
    return v;
  };
  for (let i = 0; i < ref.count; i++) {
    const line = [];
    let end = 0;
    for (let n = number(), k = 0; k < n; k++) {
      const v = number();
      const from = k ? end + v : before + (v % 2 ? -(v + 1) / 2 : v / 2);
      if (!k) before = from;
      end = from + number();
      line.push(from, end);
    }
    lines.push(line);
  }
  return (ref.runs = lines);
}

/* Numbers of a part that may be endless come as a word. */
const size = v => (v === "whole" ? Infinity : v === undefined || v === null ? NaN : v);

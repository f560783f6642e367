// peer_ort.js - ONNX Runtime as one of those that bench/compare.py compares; see peer_omma.c for
// what it is given and what it says.
//     node peer_ort.js MODEL THREADS INPUTS OUTPUTS     NODE_PATH: where onnxruntime-node is
"use strict";
const fs = require("fs");
const path = require("path");
const readline = require("readline");
const ort = require("onnxruntime-node");

// NumPy's names, ONNX Runtime's, and the arrays that hold them.
const TYPES = [
  ["<f4", "float32", Float32Array], ["<f8", "float64", Float64Array],
  ["<i8", "int64", BigInt64Array], ["<i4", "int32", Int32Array], ["<i2", "int16", Int16Array],
  ["|i1", "int8", Int8Array], ["|u1", "uint8", Uint8Array], ["|b1", "bool", Uint8Array],
];

function readNpy(file) {
  const b = fs.readFileSync(file);
  const wide = b[6] > 1;
  const start = (wide ? 12 : 10) + (wide ? b.readUInt32LE(8) : b.readUInt16LE(8));
  const head = b.toString("latin1", 10, start);
  const descr = /'descr': '([^']+)'/.exec(head)[1];
  const dims = /'shape': \(([^)]*)\)/.exec(head)[1].split(",").map(s => s.trim()).filter(s => s).map(Number);
  const type = TYPES.find(t => t[0] === descr);
  const bytes = new Uint8Array(b.subarray(start)); // a copy, aligned
  return new ort.Tensor(type[1], new type[2](bytes.buffer), dims);
}

function writeNpy(file, t) {
  const type = TYPES.find(k => k[1] === t.type);
  if (!type) throw new Error(`an output of ${t.type} cannot be written`);
  let head = `{'descr': '${type[0]}', 'fortran_order': False, 'shape': (${t.dims.map(d => d + ",").join("")}), }`;
  head += " ".repeat(63 - (10 + head.length) % 64) + "\n";
  const size = Buffer.alloc(2);
  size.writeUInt16LE(head.length);
  const d = t.data;
  fs.writeFileSync(file, Buffer.concat([Buffer.from("\x93NUMPY\x01\x00", "latin1"), size,
    Buffer.from(head, "latin1"), Buffer.from(d.buffer, d.byteOffset, d.byteLength)]));
}

const now = () => Number(process.hrtime.bigint()) / 1e6;
const say = x => process.stdout.write(JSON.stringify(x) + "\n");

async function main() {
  const [model, threads, inputs, outputs] = process.argv.slice(2);
  const start = now();
  const session = await ort.InferenceSession.create(model, {
    intraOpNumThreads: Number(threads), interOpNumThreads: 1, executionMode: "sequential",
    graphOptimizationLevel: "all", logSeverityLevel: 3, executionProviders: ["cpu"],
  });
  const loaded = now();
  const feeds = {};
  session.inputNames.forEach((name, i) => { feeds[name] = readNpy(path.join(inputs, `in${i}.npy`)); });
  const first = now();
  const y = await session.run(feeds);
  const done = now();
  session.outputNames.forEach((name, i) => writeNpy(path.join(outputs, `out${i}.npy`), y[name]));
  say({ version: require("onnxruntime-node/package.json").version, load_ms: loaded - start, ready_ms: loaded - start, first_ms: done - first });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [word, k] = line.split(" ");
    if (word !== "run") throw new Error(`does not know '${line}'`);
    const ms = [];
    for (let i = 0; i < Number(k); i++) {
      const t = now();
      await session.run(feeds);
      ms.push(now() - t);
    }
    say({ ms });
  }
}

main().then(() => process.exit(0), e => { process.stderr.write(`peer_ort: ${e.message}\n`); process.exit(1); });

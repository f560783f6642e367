// dump-onnxruntime.mjs - every value inside an ONNX model as onnxruntime computes it, one .npy
// file each: a reference for `omma diff`. Needs Node and its package onnxruntime-node:
//
//     ONNXRUNTIME_NODE_INSTALL_CUDA=skip npm install onnxruntime-node
//     node dump-onnxruntime.mjs model.onnx ref/ pixels=cat.npy
//     omma diff model.onnx --ref ref/
//
// An ONNX file is a protobuf message, and protobuf joins messages that are written one behind the
// other: outputs are added by appending a model that has nothing but outputs.
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
// from the folder where npm installed it, not from where this file lies
const ort = createRequire(path.join(process.cwd(), 'x'))('onnxruntime-node');

// --- protobuf ------------------------------------------------------------------------

// The fields of a message: [number, bytes or number].
function* fields(b) {
  let p = 0;
  const varint = () => {
    let v = 0, scale = 1, c;
    do { c = b[p++]; v += (c & 127) * scale; scale *= 128; } while (c & 128);
    return v;
  };
  while (p < b.length) {
    const key = varint(), wire = key % 8, field = Math.floor(key / 8);
    if (wire === 0) yield [field, varint()];
    else if (wire === 1) { yield [field, b.subarray(p, p + 8)]; p += 8; }
    else if (wire === 5) { yield [field, b.subarray(p, p + 4)]; p += 4; }
    else { const n = varint(); yield [field, b.subarray(p, p + n)]; p += n; }
  }
}
const only = (b, field) => [...fields(b)].filter(f => f[0] === field).map(f => f[1]);
const text = b => Buffer.from(b).toString();
function record(field, bytes) {
  const head = [field * 8 + 2];
  let n = bytes.length;
  for (; n > 127; n = Math.floor(n / 128)) head.push(n % 128 + 128);
  return Buffer.concat([Buffer.from([...head, n]), bytes]);
}

// --- .npy ------------------------------------------------------------------------------

const types = {
  float32: ['<f4', Float32Array], float64: ['<f8', Float64Array], int64: ['<i8', BigInt64Array],
  int32: ['<i4', Int32Array], int16: ['<i2', Int16Array], int8: ['|i1', Int8Array],
  uint64: ['<u8', BigUint64Array], uint32: ['<u4', Uint32Array], uint16: ['<u2', Uint16Array],
  uint8: ['|u1', Uint8Array], bool: ['|b1', Uint8Array], float16: ['<f2', Uint16Array],
};
function encode(t) {
  const dims = t.dims.map(d => d + ',').join(' ');
  const head = `{'descr': '${types[t.type][0]}', 'fortran_order': False, 'shape': (${dims}), }`;
  const line = Buffer.from(head.padEnd(Math.ceil((head.length + 11) / 64) * 64 - 11) + '\n');
  const start = Buffer.from([0x93, 78, 85, 77, 80, 89, 1, 0, line.length % 256, line.length >> 8]);
  const data = new Uint8Array(t.data.buffer, t.data.byteOffset, t.data.byteLength);
  return Buffer.concat([start, line, data]);
}
function decode(file) {
  const b = fs.readFileSync(file), size = b.readUInt16LE(8);
  const head = b.subarray(10, 10 + size).toString();
  const type = Object.keys(types).find(t => types[t][0] === /'descr': '([^']*)'/.exec(head)[1]);
  const dims = /'shape': \(([^)]*)\)/.exec(head)[1].split(',').filter(s => s.trim()).map(Number);
  const data = new Uint8Array(b.subarray(10 + size)); // a copy, so that it is aligned
  return new ort.Tensor(type, new types[type][1](data.buffer), dims);
}

// --- the dump --------------------------------------------------------------------------

const [model, folder, ...inputs] = process.argv.slice(2);
if (!folder) throw new Error('usage: dump-onnxruntime.mjs MODEL FOLDER NAME=FILE.npy...');
const bytes = fs.readFileSync(model), graph = only(bytes, 7)[0];
const have = new Set(only(graph, 12).map(o => text(only(o, 1)[0])));
const more = only(graph, 1).flatMap(n => only(n, 2).map(text)).filter(o => o && !have.has(o));
const outputs = more.map(o => record(12, record(1, Buffer.from(o))));
const whole = Buffer.concat([bytes, record(7, Buffer.concat(outputs))]);
const session = await ort.InferenceSession.create(whole, { graphOptimizationLevel: 'disabled' });

const feeds = Object.fromEntries(inputs.map(a => {
  const at = a.lastIndexOf('=');
  return [a.slice(0, at), decode(a.slice(at + 1))];
}));
const results = { ...feeds, ...await session.run(feeds) };
fs.mkdirSync(folder, { recursive: true });
let written = 0;
for (const [name, t] of Object.entries(results)) {
  if (!types[t.type]) { console.error(`${name}: ${t.type} does not go into .npy`); continue; }
  fs.writeFileSync(path.join(folder, name.replaceAll('/', '_') + '.npy'), encode(t));
  written++;
}
console.log(`${written} files in ${folder}`);

#!/usr/bin/env python3
"""The fields of tests/fieldnets.h, worked out apart from omma, against tests/fieldnets_rows.h.

    OMMA_FIELDNETS=FOLDER build/tests/test_fieldnets     writes NAME-SIZE.onnx for every row
    tests/golden/fieldnets.py FOLDER              checks them; exit 1 when one differs
    tests/golden/fieldnets.py --of FILE           prints the fields of one file's outputs

Two ways, neither of them omma's: affine (stride, lowest and highest tap of unit 0, not clipped, a
union where paths meet) for what is a grid all the way, and element by element (the box of input
rows and columns that reach it, clipped) for windows of attention. Sets with holes are kept per
axis as the bits of an integer. Needs numpy."""
import re
import struct
import sys
from pathlib import Path

import numpy as np

ROWS = Path(__file__).parents[1] / "fieldnets_rows.h"

# --- the file: what of ONNX's protobuf the networks use ------------------------------------------


def varint(b, i):
    v = shift = 0
    while True:
        v |= (b[i] & 127) << shift
        i, shift = i + 1, shift + 7
        if b[i - 1] < 128:
            return v, i


def signed(v):
    return v - (1 << 64) if v >> 63 else v


def message(b):
    """A dictionary of lists: field number to values."""
    out, i = {}, 0
    while i < len(b):
        key, i = varint(b, i)
        wire = key & 7
        if wire == 0:
            v, i = varint(b, i)
        elif wire == 2:
            n, i = varint(b, i)
            v, i = b[i:i + n], i + n
        else:
            n = {1: 8, 5: 4}[wire]
            v, i = b[i:i + n], i + n
        out.setdefault(key >> 3, []).append(v)
    return out


def packed(values):
    """Repeated integers, packed or not."""
    out = []
    for v in values:
        if isinstance(v, int):
            out.append(signed(v))
            continue
        i = 0
        while i < len(v):
            x, i = varint(v, i)
            out.append(signed(x))
    return out


def tensor(b):
    m = message(b)
    kind = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 11: np.float64}[m[2][0]]
    dims = packed(m.get(1, []))
    if 9 in m:
        return np.frombuffer(m[9][0], kind).reshape(dims)
    if kind == np.float32:
        return np.frombuffer(b"".join(m.get(4, [])), kind).reshape(dims)
    return np.array(packed(m.get(7, m.get(5, []))), kind).reshape(dims)


def attribute(b):
    m = message(b)
    value = None
    if 5 in m:
        value = tensor(m[5][0])
    elif 8 in m:
        value = packed(m[8])
    elif 4 in m:
        value = m[4][0].decode()
    elif 3 in m:
        value = signed(m[3][0])
    elif 2 in m:
        value = struct.unpack("<f", m[2][0])[0]
    return m[1][0].decode(), value


class Node:
    def __init__(self, b):
        m = message(b)
        self.inputs = [s.decode() for s in m.get(1, [])]
        self.outputs = [s.decode() for s in m.get(2, [])]
        self.op = m[4][0].decode()
        self.attrs = dict(attribute(a) for a in m.get(5, []))


class Model:
    def __init__(self, path):
        g = message(message(Path(path).read_bytes())[7][0])
        self.nodes = [Node(b) for b in g.get(1, [])]
        self.constants = {message(b)[8][0].decode(): tensor(b) for b in g.get(5, [])}
        for n in self.nodes:
            if n.op == "Constant":
                self.constants[n.outputs[0]] = n.attrs["value"]
        ports = [message(b) for b in g[11]]
        ports = [p for p in ports if p[1][0].decode() not in self.constants]
        self.input = ports[0][1][0].decode()
        shape = message(message(message(ports[0][2][0])[1][0])[2][0])
        self.shape = [message(d)[1][0] for d in shape[1]]
        self.outputs = [message(b)[1][0].decode() for b in g[12]]


# --- windows along one axis ----------------------------------------------------------------------


class Window:
    """Input index of tap j of output o: o * stride - pad + j * dilation."""

    def __init__(self, node, axis, kernel, size):
        a = node.attrs
        self.k = a.get("kernel_shape", kernel)[axis]
        self.stride = a.get("strides", [1, 1])[axis]
        self.dilation = a.get("dilations", [1, 1])[axis]
        mode, reach = a.get("auto_pad", "NOTSET"), self.dilation * (self.k - 1) + 1
        self.pad, end = 0, 0
        if mode == "NOTSET" and "pads" in a:
            self.pad, end = a["pads"][axis], a["pads"][axis + 2]
        elif mode.startswith("SAME"):
            over = size % self.stride or self.stride
            total = max(reach - over, 0)
            self.pad = total // 2 if mode == "SAME_UPPER" else total - total // 2
            end = total - self.pad
        self.size = (size + self.pad + end - reach) // self.stride + 1
        if a.get("ceil_mode", 0):
            self.size = -(-(size + self.pad + end - reach) // self.stride) + 1
            if (self.size - 1) * self.stride >= size + self.pad:
                self.size -= 1


WINDOWS = {"Conv", "MaxPool", "AveragePool"}
POINTWISE = {"Relu", "Clip", "Sigmoid", "Identity", "BatchNormalization", "Erf", "Dropout",
             "LayerNormalization", "HardSwish"}
MERGES = {"Add", "Mul", "Sub", "Div", "Concat"}

# --- affine: stride, low and high of unit 0; all of the image for a gate -------------------------


class Grid:
    """A value: its sizes, and for each spatial axis of it the axis of the input, stride, low and
    high. gate: nothing but a factor for the whole map."""

    def __init__(self, sizes, axes, gate=False):
        self.sizes, self.axes, self.gate = list(sizes), dict(axes), gate


def windowed(model, node, x):
    kernel = model.constants[node.inputs[1]].shape[2:] if node.op == "Conv" else None
    if x.gate:
        return x
    y = Grid(x.sizes, {})
    for a in (0, 1):
        w, (s, lo, hi) = Window(node, a, kernel, x.sizes[2 + a]), x.axes[2 + a]
        y.sizes[2 + a] = w.size
        low = lo - s * w.pad
        y.axes[2 + a] = s * w.stride, low, hi - s * w.pad + s * w.dilation * (w.k - 1)
    return y


def merged(values):
    grids = [v for v in values if not v.gate] or values
    first = grids[0]
    y = Grid(first.sizes, first.axes, first.gate)
    for g in grids[1:]:
        for axis, (s, lo, hi) in g.axes.items():
            S, LO, HI = y.axes[axis]
            if s != S:
                raise ValueError("paths of different strides meet")
            y.axes[axis] = s, min(lo, LO), max(hi, HI)
    return y


def affine(model):
    """Name of an output to (size, field, stride, padding); both axes must agree. Outputs that are
    no grid are left out."""
    values = {model.input: Grid(model.shape, {2: (1, 0, 0), 3: (1, 0, 0)})}
    for node in model.nodes:
        got = [values[i] for i in node.inputs if i in values]
        if not got or any(g is None for g in got):
            y = None if got else False
        elif node.op in WINDOWS:
            y = windowed(model, node, got[0])
        elif node.op == "GlobalAveragePool":
            y = Grid(got[0].sizes[:2] + [1, 1], {}, True)
        elif node.op in POINTWISE or node.op == "MatMul" and len(got) == 1:
            y = got[0]
        elif node.op in MERGES:
            y = merged(got)
        elif node.op == "Transpose":
            perm = node.attrs["perm"]
            y = Grid([got[0].sizes[p] for p in perm],
                     {k: got[0].axes[p] for k, p in enumerate(perm) if p in got[0].axes})
        elif node.op == "Pad":
            pads = model.constants[node.inputs[1]]
            y, half = Grid(got[0].sizes, got[0].axes), len(pads) // 2
            for axis, (s, lo, hi) in got[0].axes.items():
                shift = s * int(pads[axis])
                y.axes[axis] = s, lo - shift, hi - shift
                y.sizes[axis] += int(pads[axis] + pads[axis + half])
        else:
            y = None
        if y is not False:
            for o in node.outputs:
                values[o] = y
    out = {}
    for name in model.outputs:
        g = values[name]
        if g is None:
            continue
        (s, lo, hi), other = g.axes[2], g.axes[3]
        if other != (s, lo, hi):
            raise ValueError(f"{name}: rows and columns differ")
        out[name] = g.sizes[2], hi - lo + 1, s, -lo
    return out


# --- sets along the rows, as the bits of an integer ----------------------------------------------


def axis_sets(model):
    """Name of an output to the input rows that each of its rows sees; only convolutions without
    branches, and what grows maps."""
    values = {model.input: [1 << i for i in range(model.shape[2])]}
    for node in model.nodes:
        x = values[node.inputs[0]]
        if node.op == "Conv":
            w = Window(node, 0, model.constants[node.inputs[1]].shape[2:], len(x))
            y = [union(x, (o * w.stride - w.pad + j * w.dilation for j in range(w.k)))
                 for o in range(w.size)]
        elif node.op == "ConvTranspose":
            s, p = node.attrs["strides"][0], node.attrs["pads"][0]
            k = node.attrs["kernel_shape"][0]
            size = (len(x) - 1) * s - 2 * p + k
            y = [union(x, ((o + p - j) // s for j in range(k) if (o + p - j) % s == 0))
                 for o in range(size)]
        elif node.op == "Resize":
            scale = float(model.constants[node.inputs[2]][2])
            y = [union(x, (i for i, _ in bilinear(o, scale, len(x))))
                 for o in range(int(len(x) * scale))]
        else:
            y = x
        values[node.outputs[0]] = y
    return {o: values[o] for o in model.outputs}


def union(x, indices):
    bits = 0
    for i in indices:
        if 0 <= i < len(x):
            bits |= x[i]
    return bits


def bilinear(o, scale, size):
    """Index and weight of the taps of output o, half_pixel."""
    at = min(max((o + 0.5) / scale - 0.5, 0), size - 1)
    low = int(at)
    taps = [(low, 1 - (at - low)), (low + 1, at - low)]
    return [(i, w) for i, w in taps if w > 0 and i < size]


# --- boxes, element by element -------------------------------------------------------------------


class Boxes:
    """box[0..3]: lowest and highest row, lowest and highest column, one array each, as large as
    the value; nothing: low above high. shut: scores that a mask takes away."""

    def __init__(self, box, shut=None):
        self.box, self.shut = box, shut

    def map(self, f):
        return Boxes([f(b) for b in self.box], None if self.shut is None else f(self.shut))

    def hull(self, axis):
        return Boxes([(np.max if k % 2 else np.min)(b, axis=axis, keepdims=True)
                      for k, b in enumerate(self.box)])


def meet(values):
    """The union of values of shapes that broadcast."""
    box = [v.box for v in values]
    return Boxes([np.maximum.reduce(np.broadcast_arrays(*b)) if k % 2 else
                  np.minimum.reduce(np.broadcast_arrays(*b)) for k, b in enumerate(zip(*box))])


def product(a, b, model, node):
    """MatMul; a factor that is constant weighs whatever the other says."""
    if b is None:
        columns = model.constants[node.inputs[1]].shape[-1:]
        return a.hull(-1).map(lambda v: np.broadcast_to(v, v.shape[:-1] + columns))
    out = []
    for k in range(4):
        left, right = a.box[k][..., :, :, None], b.box[k][..., None, :, :]
        if a.shut is not None:
            empty = -1 if k % 2 else 1 << 20
            left = np.where(a.shut[..., :, :, None], empty, left)
            right = np.where(a.shut[..., :, :, None], empty, right)
        out.append((np.max if k % 2 else np.min)(
            (np.maximum if k % 2 else np.minimum)(left, right), axis=-2))
    return Boxes(out)


def patches(model, node, x):
    """A convolution whose windows do not overlap."""
    w = model.constants[node.inputs[1]]
    k = w.shape[2]
    assert node.attrs["strides"] == [k, k] and node.attrs["pads"] == [0] * 4

    def cut(b):
        n, c, h, w_ = b.shape
        return b.reshape(n, c, h // k, k, w_ // k, k)
    y = x.map(cut).hull((1, 3, 5))
    return y.map(lambda b: np.repeat(b[:, :, :, 0, :, 0], w.shape[0], axis=1))


def sliced(model, node):
    begin, end, axes, step = (int(model.constants[i][0]) for i in node.inputs[1:5])
    return lambda b: b[(slice(None),) * (axes % b.ndim) +
                       (slice(begin, None if end > 1 << 40 else end, step),)]


def boxes(model):
    """Name of an output to its Boxes."""
    h, w = model.shape[2:]
    rows = np.broadcast_to(np.arange(h)[:, None], model.shape).astype(np.int32)
    columns = np.broadcast_to(np.arange(w), model.shape).astype(np.int32)
    values = {model.input: Boxes([rows, rows, columns, columns])}
    for node in model.nodes:
        x = values.get(node.inputs[0])
        others = [values[i] for i in node.inputs if i in values]
        fixed = [model.constants[i] for i in node.inputs if i in model.constants]
        a, op = node.attrs, node.op
        if op == "Conv":
            y = patches(model, node, x)
        elif op == "Transpose":
            y = x.map(lambda b: b.transpose(a["perm"]))
        elif op == "Reshape":
            y = x.map(lambda b: b.reshape(fixed[0]))
        elif op == "Slice":
            y = x.map(sliced(model, node))
        elif op == "Concat" and len(others) == len(node.inputs):
            y = Boxes([np.concatenate(b, axis=a["axis"]) for b in zip(*(v.box for v in others))])
        elif op == "Gather":
            y = x.map(lambda b: np.take(b, fixed[0], axis=a["axis"]))
        elif op == "LayerNormalization":
            y = x.hull(-1).map(lambda b: np.broadcast_to(b, x.box[0].shape))
        elif op == "MatMul":
            y = product(x, values.get(node.inputs[1]), model, node)
        elif op == "Softmax":
            shut, y = x.shut, x
            if shut is not None:
                y = Boxes([np.where(shut, -1 if k % 2 else 1 << 20, b)
                           for k, b in enumerate(x.box)])
            y = y.hull(-1).map(lambda b: np.broadcast_to(b, x.box[0].shape))
            y.shut = shut
        elif op == "Add" and fixed and (fixed[0] <= -50).any():
            y = Boxes(x.box, np.broadcast_to(fixed[0] <= -50, x.box[0].shape))
        elif op in MERGES or op in POINTWISE:
            y = meet(others) if len(others) > 1 else others[0]
        else:
            raise ValueError(op)
        values[node.outputs[0]] = y
    return {o: values[o] for o in model.outputs}


# --- the rows ------------------------------------------------------------------------------------


def table(name):
    """The rows of an array of fieldnets_rows.h as lists of their values."""
    body = re.search(r"\b%s\[\] = \{(.*?)\n\};" % name, ROWS.read_text(), re.S).group(1)
    rows = re.findall(r"\{((?:[^{}]|\{[^{}]*\})*)\}", body)
    out = []
    for r in rows:
        items = re.findall(r'"[^"]*"|\{[^{}]*\}|[^,{}\s]+', r)
        out.append([i[1:-1] if i[0] == '"' else
                    [int(k) for k in i[1:-1].split(",")] if i[0] == "{" else float(i)
                    for i in items])
    return out


class Check:
    def __init__(self, folder):
        self.folder, self.models, self.wrong, self.right = Path(folder), {}, 0, 0

    def model(self, name, size):
        key = f"{name}-{int(size)}.onnx"
        if key not in self.models:
            self.models[key] = Model(self.folder / key)
        return self.models[key]

    def same(self, what, got, want):
        if got == want:
            self.right += 1
        else:
            self.wrong += 1
            print(f"{what}: {got} here, {want} in the table")

    def grids(self):
        done = {}
        for net, size, out, *want in table("field_rows"):
            key = net, size
            if key not in done:
                done[key] = affine(self.model(net, size))
            self.same(f"{net} {int(size)} {out}", done[key].get(out), tuple(map(int, want)))
        for net, out, want in table("field_misplaced"):
            _, field, stride, pad = affine(self.model(net, 224))[out]
            centre = (field - 1) / 2 - pad
            self.same(f"{net} {out} misplaced", (stride - 1) / 2 - centre, want)

    def taps(self):
        for net, field, taps, holes, share in table("field_dilated"):
            y = axis_sets(self.model(net, 64))["y"]
            bits = bin(y[len(y) // 2])[2:].strip("0")
            middle = len(bits) // 2
            empty = sorted({abs(i - middle) for i, b in enumerate(bits) if b == "0"})
            got = len(bits), bits.count("1"), round(100 * (bits.count("1") / len(bits))**2, 2)
            self.same(net, got, (field, taps, share))
            self.same(f"{net} first holes", (empty + [0, 0])[:2], holes)
        for net, n, field, sigma in table("field_stacks"):
            y = axis_sets(self.model(net, 64))["y"]
            self.same(net, bin(y[32]).count("1"), field)
            self.same(f"{net} sigma", round((n * 8 / 12)**0.5, 4), sigma)
        for net, size, taps in table("field_phases"):
            y = axis_sets(self.model(net, size))["y"]
            self.same(net, [bin(b).count("1") for b in y], taps[:len(y)])
        for o, low, first, second in table("field_bilinear"):
            taps = dict(bilinear(int(o), 2, 4))
            want = {int(low): first, int(low) + 1: second}
            self.same(f"bilinear {int(o)}", taps, {i: w for i, w in want.items() if w > 0})
            bits = axis_sets(self.model("bilinear", 4))["y"][int(o)]
            self.same(f"bilinear {int(o)} set", bits, sum(1 << i for i in taps))

    def windows(self):
        y = boxes(self.model("swin_t", 224))
        for out, cells, low, middle, corner in table("field_swin"):
            v = y[out]
            side = v.box[0].shape[1]
            self.same(f"swin_t {out} cells", side, cells)
            for at, want in ((side // 2, (low, low + middle - 1)), (0, (0, corner - 1))):
                for k in (0, 2):
                    got = tuple(int(b[0, at, at, 0]) for b in v.box[k:k + 2])
                    self.same(f"swin_t {out} token {at} axis {k // 2}", got, want)


def main(args):
    if args[0] == "--of":
        model = Model(args[1])
        for name, (size, field, stride, pad) in affine(model).items():
            print(f"{name:24} {size:4} cells, field {field}, stride {stride}, padding {pad}")
        return 0
    check = Check(args[0])
    check.grids()
    check.taps()
    check.windows()
    print(f"{check.right} numbers agree, {check.wrong} do not")
    return 1 if check.wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

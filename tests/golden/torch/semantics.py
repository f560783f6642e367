# semantics.py - what a graph of a few operators gives, by the pseudo-code in ONNX's text.
#
# A second opinion on the cases of If, Loop and Scan, whose expected numbers are written out
# by hand: evaluate() runs the very model of the case, with the loops of the texts of If 16,
# Loop 16 and Scan 16, and each must agree with the other to the last bit.
import numpy as np
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper

NUMPY = {TensorProto.FLOAT: np.float32, TensorProto.INT64: np.int64, TensorProto.BOOL: np.bool_,
         TensorProto.INT32: np.int32, TensorProto.DOUBLE: np.float64}


def conv(x, w, pads=(0, 0, 0, 0), **_):
    t = F.pad(torch.from_numpy(x.copy()), (pads[1], pads[3], pads[0], pads[2]))
    return F.conv2d(t, torch.from_numpy(w.copy())).numpy()


def axes_of(axes):
    return None if axes is None else tuple(int(a) for a in np.atleast_1d(axes))


def sliced(x, starts, ends, axes=None, steps=None):
    at = [slice(None)] * x.ndim
    axes = range(len(starts)) if axes is None else axes
    for i, a in enumerate(axes):
        at[a] = slice(int(starts[i]), int(ends[i]), None if steps is None else int(steps[i]))
    return x[tuple(at)]


def unsqueeze(x, axes):
    for a in sorted(axes_of(axes)):
        x = np.expand_dims(x, a)
    return x


OPERATORS = {
    "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide, "Neg": np.negative,
    "Identity": lambda x: x, "Not": np.logical_not, "And": np.logical_and, "Or": np.logical_or,
    "Greater": np.greater, "Less": np.less, "Equal": np.equal, "MatMul": np.matmul,
    "Relu": lambda x: np.maximum(x, 0), "Abs": np.abs, "Where": np.where,
    "Max": lambda *x: np.maximum(*x), "Min": lambda *x: np.minimum(*x),
    "Shape": lambda x: np.array(x.shape, np.int64), "Size": lambda x: np.array(x.size, np.int64),
    "Concat": lambda *x, axis: np.concatenate(x, axis),
    "Gather": lambda x, i, axis=0: np.take(x, i, axis),
    "Slice": sliced, "Unsqueeze": unsqueeze,
    "Squeeze": lambda x, axes=None: np.squeeze(x, axes_of(axes)),
    "Reshape": lambda x, shape: x.reshape([int(s) for s in shape]),
    "Transpose": lambda x, perm: np.transpose(x, perm),
    "ReduceSum": lambda x, axes=None, keepdims=1: np.asarray(
        x.sum(axes_of(axes), keepdims=bool(keepdims), dtype=x.dtype)),
    "ReduceMax": lambda x, axes=None, keepdims=1: np.asarray(
        x.max(axes_of(axes), keepdims=bool(keepdims))),
    "Cast": lambda x, to: x.astype(NUMPY[to]),
    "Constant": lambda value: numpy_helper.to_array(value),
    "Expand": lambda x, shape: x * np.ones([int(s) for s in shape], x.dtype),
    "Conv": conv, "NonZero": lambda x: np.stack(np.nonzero(x)),
    "ArgMax": lambda x, axis, keepdims: np.asarray(np.argmax(x, axis, keepdims=bool(keepdims))),
    # a sequence is a list
    "SequenceEmpty": lambda dtype: [],
    "SequenceConstruct": lambda *x: list(x),
    "SequenceInsert": lambda s, x, at=None: s + [x] if at is None else
    s[:int(at)] + [x] + s[int(at):],
    "SequenceAt": lambda s, at: s[int(at)],
    "SequenceLength": lambda s: np.array(len(s)),
    "SplitToSequence": lambda x, axis, keepdims: list(np.moveaxis(x, axis, 0)),
    "ConcatFromSequence": lambda s, axis, new_axis=0:
    np.stack(s, axis) if new_axis else np.concatenate(s, axis),
}


def attribute(n, name):
    return next(helper.get_attribute_value(a) for a in n.attribute if a.name == name)


def stacked(rows, info, axis=0, prepend=False):
    """The scan output of these iterations; when there were none, from the body's own shape."""
    if not rows:
        t = info.type.tensor_type
        dims = [d.dim_value for d in t.shape.dim]
        return np.zeros(dims[:axis] + [0] + dims[axis:], NUMPY[t.elem_type])
    return np.stack(rows[::-1] if prepend else rows, axis)


def run_loop(n, given, scope):
    body = attribute(n, "body")
    trips, keep, state = given[0], given[1], given[2:]
    trips = None if trips is None else int(np.asarray(trips).item())
    goes = True if keep is None else bool(np.asarray(keep).item())
    rows = [[] for _ in body.output[1 + len(state):]]
    i = 0
    while goes and (trips is None or i < trips):
        out = run_graph(body, [np.array(i, np.int64), np.array(goes), *state], scope)
        goes = True if keep is None else bool(np.asarray(out[0]).item())
        state = out[1:1 + len(state)]
        for r, v in zip(rows, out[1 + len(state):]):
            r.append(v)
        i += 1
        assert i < 1000
    return [*state, *(stacked(r, o) for r, o in zip(rows, body.output[1 + len(state):]))]


def run_scan(n, given, scope):
    a = {x.name: helper.get_attribute_value(x) for x in n.attribute}
    body, m = a["body"], a["num_scan_inputs"]
    state, seqs = given[:len(given) - m], given[len(given) - m:]
    k = len(body.output) - len(state)
    axes = [x % s.ndim for x, s in zip(a.get("scan_input_axes", [0] * m), seqs)]
    length = seqs[0].shape[axes[0]]
    rows = [[] for _ in range(k)]
    for t in range(length):
        back = a.get("scan_input_directions", [0] * m)
        now = [np.take(s, length - 1 - t if b else t, x) for s, x, b in zip(seqs, axes, back)]
        out = run_graph(body, [*state, *now], scope)
        state = out[:len(state)]
        for r, v in zip(rows, out[len(state):]):
            r.append(v)
    infos = body.output[len(state):]
    ranks = [len(o.type.tensor_type.shape.dim) + 1 for o in infos]
    out_axes = [x % r for x, r in zip(a.get("scan_output_axes", [0] * k), ranks)]
    back = a.get("scan_output_directions", [0] * k)
    return [*state, *(stacked(r, o, x, b) for r, o, x, b in zip(rows, infos, out_axes, back))]


def run_node(n, scope):
    given = [scope[x] if x else None for x in n.input]
    if n.op_type == "If":
        branch = "then_branch" if np.asarray(given[0]).item() else "else_branch"
        return run_graph(attribute(n, branch), [], scope)
    if n.op_type == "Loop":
        return run_loop(n, given, scope)
    if n.op_type == "Scan":
        return run_scan(n, given, scope)
    attributes = {a.name: helper.get_attribute_value(a) for a in n.attribute}
    v = OPERATORS[n.op_type](*given, **attributes)
    return [v if isinstance(v, list) else np.asarray(v)]


def run_graph(graph, given, outer):
    scope = {**outer, **{t.name: numpy_helper.to_array(t) for t in graph.initializer},
             **{i.name: v for i, v in zip(graph.input, given)}}
    for n in graph.node:
        for name, v in zip(n.output, run_node(n, scope)):
            if name:
                scope[name] = v
    return [scope[o.name] for o in graph.output]


def evaluate(model, inputs):
    return run_graph(model.graph, inputs, {})

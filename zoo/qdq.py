"""What a quantized export says, computed by PyTorch's floating-point operators.

PyTorch runs a quantized network in integers (QNNPACK), with shifts of its own where its export
says divide and round; layer by layer the two drift apart by whole quantization steps. So omma
is held against the exported graph: this walks its few operators (QuantizeLinear,
DequantizeLinear and the ordinary ones between them) by the ONNX specification.
"""
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper

TYPES = {onnx.TensorProto.FLOAT: torch.float32, onnx.TensorProto.INT64: torch.int64,
         onnx.TensorProto.INT32: torch.int32, onnx.TensorProto.UINT8: torch.uint8,
         onnx.TensorProto.INT8: torch.int8}


def along(t, x, axis):
    """A scale or zero point of one axis, ready to meet x."""
    return t if t.numel() == 1 else t.reshape([-1 if i == axis % x.ndim else 1 for i in range(x.ndim)])


def dequantize(a, x, scale, zero=None):
    axis = a.get("axis", 1)
    zero = 0 if zero is None else along(zero, x, axis).to(torch.int64)
    return (x.to(torch.int64) - zero).to(torch.float32) * along(scale, x, axis)


def quantize(a, x, scale, zero):
    axis, limits = a.get("axis", 1), torch.iinfo(zero.dtype)
    y = torch.round(x / along(scale, x, axis)) + along(zero, x, axis).to(torch.float32)
    return y.clamp(limits.min, limits.max).to(zero.dtype)


def padded(x, pads, value):
    """x with ONNX's pads [begins..., ends...] of its last axes."""
    n = len(pads) // 2
    flat = [p for i in reversed(range(n)) for p in (pads[i], pads[i + n])]
    return F.pad(x, flat, value=value) if any(flat) else x


def conv(a, x, w, b=None):
    x = padded(x, a.get("pads", [0] * 4), 0.0)
    return F.conv2d(x, w, b, a.get("strides", 1), 0, a.get("dilations", 1), a.get("group", 1))


def max_pool(a, x):
    x = padded(x, a.get("pads", [0] * 4), -float("inf"))
    return F.max_pool2d(x, a["kernel_shape"], a["strides"], ceil_mode=bool(a.get("ceil_mode", 0)))


def average_pool(a, x):
    pads = a.get("pads", [0] * 4)
    if any(pads) and not a.get("count_include_pad", 0):
        raise ValueError("AveragePool that leaves padding out")
    return F.avg_pool2d(padded(x, pads, 0.0), a["kernel_shape"], a["strides"])


def gemm(a, x, w, b):
    if a.get("transA") or a.get("alpha", 1) != 1 or a.get("beta", 1) != 1:
        raise ValueError("Gemm other than x w + b")
    return x @ (w.T if a.get("transB") else w) + b


def hard_sigmoid(a, x):
    return (a.get("alpha", 0.2) * x + a.get("beta", 0.5)).clamp(0, 1)


def pad(a, x, pads, value=None):
    return padded(x, pads.tolist(), 0.0 if value is None else float(value))


def constant_of_shape(a, shape):
    value = torch.from_numpy(numpy_helper.to_array(a["value"]).copy()) if "value" in a else torch.zeros(1)
    return torch.full(shape.tolist(), value.item(), dtype=value.dtype)


OPS = {
    "Constant": lambda a: torch.from_numpy(numpy_helper.to_array(a["value"]).copy()),
    "ConstantOfShape": constant_of_shape,
    "Cast": lambda a, x: x.to(TYPES[a["to"]]),
    "DequantizeLinear": dequantize, "QuantizeLinear": quantize,
    "Conv": conv, "Gemm": gemm, "MaxPool": max_pool, "AveragePool": average_pool, "Pad": pad,
    "GlobalAveragePool": lambda a, x: x.mean((2, 3), keepdim=True),
    "Flatten": lambda a, x: x.flatten(a.get("axis", 1)),
    "Relu": lambda a, x: x.relu(), "HardSigmoid": hard_sigmoid,
    "Add": lambda a, x, y: x + y, "Mul": lambda a, x, y: x * y,
    "Concat": lambda a, *x: torch.cat(x, a["axis"]),
}


def quantized_values(path):
    """The names of the results of QuantizeLinear."""
    return [n.output[0] for n in onnx.load(path).graph.node if n.op_type == "QuantizeLinear"]


def follow(path, inputs, seen):
    """Layer by layer: what the graph computes from one quantized value of `seen` to the next.

    inputs, seen: {name: array}; `seen` are omma's results of every QuantizeLinear. Each is
    compared with what follows from the ones before it, and then takes its place: a sum that
    lies between two steps may round either way, and later layers must not be blamed for it.
    Returns (outputs {name: array}; how many quantized numbers there are; how many differ; the
    largest difference [steps])."""
    graph = onnx.load(path).graph
    values = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in graph.initializer}
    values.update({k: torch.from_numpy(v) for k, v in inputs.items()})
    count = flips = worst = 0
    with torch.no_grad():
        for n in graph.node:
            a = {at.name: onnx.helper.get_attribute_value(at) for at in n.attribute}
            y = OPS[n.op_type](a, *[values[i] if i else None for i in n.input])
            if n.op_type == "QuantizeLinear":
                ours = torch.from_numpy(seen[n.output[0]])
                steps = (ours.to(torch.int32) - y.to(torch.int32)).abs()
                count, flips = count + y.numel(), flips + int((steps > 0).sum())
                worst = max(worst, int(steps.max()))
                y = ours
            values[n.output[0]] = y
    return {o.name: values[o.name].numpy() for o in graph.output}, count, flips, worst

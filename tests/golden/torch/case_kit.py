# case_kit.py - how a conformance case is written and how all of them are packed.
#
# A case is a folder as in the ONNX project's node tests: <case>/model.onnx and
# <case>/test_data_set_K/{input_N,output_N}.pb. The cases_*.py modules call case(); pack()
# writes one archive, whose bytes depend on nothing but the cases.
#
# Numbers come from steps(): multiples of 1/16 between -1 and 1. They compress well, and a
# product of two of them is a multiple of 1/256, so a convolution or product of this size has
# one exact result in float32 whatever the order of its additions: what differs is wrong.
#
# One file is ours: <case>/tolerance.txt, "RTOL ATOL", where the runner's usual tolerance would
# hide what the case is for.
import gzip
import io
import tarfile
import zlib

import numpy as np
import onnx
from onnx import TensorProto, helper

SEED = 20220

NUMPY_TYPE = {
    np.dtype(np.float32): TensorProto.FLOAT,
    np.dtype(np.float64): TensorProto.DOUBLE,
    np.dtype(np.float16): TensorProto.FLOAT16,
    np.dtype(np.int8): TensorProto.INT8,
    np.dtype(np.int16): TensorProto.INT16,
    np.dtype(np.int32): TensorProto.INT32,
    np.dtype(np.int64): TensorProto.INT64,
    np.dtype(np.uint8): TensorProto.UINT8,
    np.dtype(np.bool_): TensorProto.BOOL,
}


class BF16:
    """bfloat16 numbers, kept as their bits: numpy has no such type."""

    def __init__(self, bits):
        self.bits = np.asarray(bits, np.uint16)
        self.shape = self.bits.shape


cases = {}  # name: {path inside the case's folder: bytes}
_names = set()


def random_of(name):
    """A generator of the case's own, so that adding a case changes no other."""
    return np.random.default_rng([SEED, zlib.crc32(name.encode())])


def steps(rng, *shape, dtype=np.float32):
    """Multiples of 1/16 in [-1, 1]; of 1/4 where there are thousands."""
    n = 16 if np.prod(shape) < 4000 else 4
    return (rng.integers(-n, n + 1, shape) / n).astype(dtype)


def type_of(a):
    return TensorProto.BFLOAT16 if isinstance(a, BF16) else NUMPY_TYPE[a.dtype]


def tensor(a, name=""):
    """numpy array or BF16 -> TensorProto with raw little-endian bytes."""
    t = TensorProto(data_type=type_of(a), dims=a.shape)
    if name:
        t.name = name
    t.raw_data = np.ascontiguousarray(a.bits if isinstance(a, BF16) else a).tobytes()
    return t


def info(name, a, shape=None):
    dims = {"any": None, None: a.shape}.get(shape, shape) if not isinstance(shape, list) else shape
    return helper.make_tensor_value_info(name, type_of(a), dims)


def case(name, nodes, inputs, outputs, constants=None, opset=17, shapes=None,
         check=True, tolerance=None, again=()):
    """Record one case.

    nodes      one NodeProto or a list of them
    inputs     {name: numpy array or BF16}: what the graph is given, in this order
    outputs    {name: the same}: what it must give
    constants  {name: the same}: initializers
    shapes     {name: dims with strings or None, or "any"} where the declared shape is not
               that of the numbers
    check      False where ONNX 1.12 refuses what exporters write nevertheless
    tolerance  (relative, absolute)
    again      [(inputs, outputs), ...]: further data sets, run in the same session
    """
    assert name not in cases, name
    nodes = nodes if isinstance(nodes, list) else [nodes]
    shapes, constants = shapes or {}, constants or {}
    inputs = {k: v if isinstance(v, BF16) else np.asarray(v) for k, v in inputs.items()}
    outputs = {k: v if isinstance(v, BF16) else np.asarray(v) for k, v in outputs.items()}
    graph = helper.make_graph(
        nodes, name,
        [info(k, v, shapes.get(k)) for k, v in inputs.items()],
        [info(k, v, shapes.get(k)) for k, v in outputs.items()],
        [tensor(v, k) for k, v in constants.items()])
    model = helper.make_model(graph, producer_name="make_cases.py",
                              opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    # onnx 1.12 knows the operators up to opset 17; later ones it cannot check. Nor does it let
    # a graph leave the rank of an output open.
    check = check and "any" not in shapes.values()
    if check and opset <= onnx.defs.onnx_opset_version():
        onnx.checker.check_model(model, full_check=True)
    files = {"model.onnx": model.SerializeToString(deterministic=True)}
    for k, (given, wanted) in enumerate([(inputs, outputs), *again]):
        for kind, arrays in (("input", given), ("output", wanted)):
            for i, (n, v) in enumerate(arrays.items()):
                v = v if isinstance(v, BF16) else np.asarray(v)
                files[f"test_data_set_{k}/{kind}_{i}.pb"] = \
                    tensor(v, n).SerializeToString(deterministic=True)
    if tolerance:
        files["tolerance.txt"] = b"%g %g\n" % tolerance
    cases[name] = files
    return model


def node(op, inputs, outputs, **attributes):
    """helper.make_node with names in one string, "x w": fewer quotes to read."""
    split = lambda s: [("" if n == "-" else n) for n in s.split()] if isinstance(s, str) else s
    return helper.make_node(op, split(inputs), split(outputs),
                            **{k: v for k, v in attributes.items() if v is not None})


def pack(path):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(cases):
            for inside in sorted(cases[name]):
                entry = tarfile.TarInfo(f"{name}/{inside}")
                entry.size, entry.mode, entry.mtime = len(cases[name][inside]), 0o644, 0
                tar.addfile(entry, io.BytesIO(cases[name][inside]))
    with open(path, "wb") as f:
        with gzip.GzipFile("", "wb", 9, f, mtime=0) as z:
            z.write(raw.getvalue())

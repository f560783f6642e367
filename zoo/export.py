"""Export one model of the zoo, with inputs and PyTorch's outputs beside it.

    python3 zoo/export.py NAME -o FOLDER

writes FOLDER/model.onnx, FOLDER/CASE/in_NAME.npy, FOLDER/CASE/out_NAME.npy, of models with
attention FOLDER/CASE/attention_K.npy (attention.py), and FOLDER/export.json: what was exported, or the reason why PyTorch could not export it. A model
that gives no meaningful output (too few boxes, an output that does not depend on the picture)
is an error of the zoo's own and ends with exit status 1.
"""
import argparse
import collections
import contextlib
import json
import os
import time
import warnings

import numpy as np
import onnx
import torch

import attention
import catalog
import qdq

OPSET = 17
# torchvision writes RoiAlign as opset 11 has it, without the half pixel that is opset 16's default.
OPSETS = {"detect": 15, "quantized": 13}
BOXES = 10  # at least so many boxes must be found
DEPENDS = 0.01  # and outputs must differ so much, of their largest, between pictures


@contextlib.contextmanager
def precise_resizing(wanted):
    """Let interpolate() find its places in double precision; its single precision moves pixels
    by 1e-5, and random weights make 1e-3 of that."""
    single = torch.nn.functional.interpolate

    def double(x, *a, **k):
        return single(x.double(), *a, **k).to(x.dtype)

    torch.nn.functional.interpolate = double if wanted else single
    yield
    torch.nn.functional.interpolate = single


def forward(model, case, precise=False):
    x = [torch.from_numpy(a) for a in case]
    with torch.no_grad(), precise_resizing(precise):
        model(*x)
        start = time.perf_counter()
        y = model(*x)
        ms = (time.perf_counter() - start) * 1e3
    y = y if isinstance(y, (tuple, list)) else (y,)
    return [t.detach().numpy() for t in y], ms


def walk(graph, ops):
    for node in graph.node:
        ops[node.op_type] += 1
        for a in node.attribute:
            if a.type == onnx.AttributeProto.GRAPH:
                walk(a.g, ops)
    return ops


def check_meaning(s, names, first, other):
    """Raise unless the outputs could show a mistake."""
    for name, a, b in zip(names, first, other):
        if a.dtype.kind == "f" and not np.isfinite(a).all():
            raise ValueError(f"{name} is not finite")
        if s.kind == "detect":
            if name == "boxes" and len(a) < BOXES:
                raise ValueError(f"only {len(a)} boxes")
        elif np.abs(a - b).max() < DEPENDS * np.abs(a).max() or np.ptp(a) < DEPENDS * np.abs(a).max():
            raise ValueError(f"{name} hardly depends on the picture")


def export(s, folder):
    os.makedirs(folder, exist_ok=True)
    about = {"name": s.name, "kind": s.kind, "open": s.open, "torch": torch.__version__}
    model, cases, inputs, outputs = catalog.build(s)
    model.eval()
    about["params"] = sum(p.numel() for p in model.parameters()) or s.params
    runs = [forward(model, c, s.kind == "detect" and k > 0) for k, c in enumerate(cases)]
    check_meaning(s, outputs, runs[0][0], runs[-1][0])
    path = os.path.join(folder, "model.onnx")
    # Swin v2 sets part of a bias to zero; PyTorch 1.13 knows zeros_like but not zero.
    torch.onnx.register_custom_op_symbolic(
        "aten::zero", lambda g, x: g.op("Mul", x, g.op("Constant", value_t=torch.tensor(0.0))), OPSET)
    opset = OPSETS.get(s.kind, OPSET)
    about["opset"] = opset
    try:
        # Gradients on: nn.MultiheadAttention then takes the way that can be exported.
        torch.onnx.export(model, tuple(torch.from_numpy(a) for a in cases[0]), path, opset_version=opset,
                          input_names=inputs, output_names=outputs,
                          dynamic_axes=catalog.open_axes(s, inputs, outputs))
    except Exception as e:  # whatever PyTorch could not do is the result
        lines = [line.strip() for line in str(e).splitlines() if line.strip()]
        about["reason"] = (lines[0] if lines else type(e).__name__)[:200]
        return about
    proto = onnx.load(path, load_external_data=False)
    ops = walk(proto.graph, collections.Counter())
    about["nodes"], about["ops"] = sum(ops.values()), dict(ops.most_common())
    about["bytes"] = sum(e.stat().st_size for e in os.scandir(folder) if e.is_file())
    about["external"] = any(t.data_location == onnx.TensorProto.EXTERNAL for t in proto.graph.initializer)
    about["inputs"], about["outputs"] = inputs, outputs
    if s.kind == "quantized":
        about["watched"] = qdq.quantized_values(path)
    about["cases"] = []
    for k, (case, (y, ms)) in enumerate(zip(cases[:-1], runs)):
        where = os.path.join(folder, f"case{k}")
        os.makedirs(where, exist_ok=True)
        for name, a in zip(inputs, case):
            np.save(os.path.join(where, f"in_{name}.npy"), a)
        for name, a in zip(outputs, y):
            np.save(os.path.join(where, f"out_{name}.npy"), a)
        about["cases"].append({"torch_ms": ms, "sizes": [list(a.shape) for a in case]})
    if s.kind in ("classify", "detr") and attention.can_be_watched(model):
        about["attention"] = attention.save(model, cases, folder, s.kind == "detr")
    return about


def main():
    a = argparse.ArgumentParser(description="Export one model of the zoo.")
    a.add_argument("name")
    a.add_argument("-o", "--output", required=True)
    a.add_argument("--threads", type=int, default=0)
    a = a.parse_args()
    warnings.filterwarnings("ignore")
    if a.threads:
        torch.set_num_threads(a.threads)
    s = next(s for s in catalog.specimens(video=True) if s.name == a.name)
    about = export(s, a.output)
    with open(os.path.join(a.output, "export.json"), "w") as f:
        json.dump(about, f, indent=1)


if __name__ == "__main__":
    main()

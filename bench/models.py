"""The models that `make bench` compares, and what they look at.

    python3 bench/models.py OUT [--only TEXT] [--scaling]

makes OUT/NAME/ for each: model.onnx and model.pt (frozen TorchScript), exported from Debian's
torchvision with random weights; in0.npy, ...; about.json, which names the files. What is there
already is not made again. Models that others provide (DEIMv2 in $OMMA_SHARED, PP-OCRv4 of
`omma pull`) stay where they are; where one is missing, a line says why it is left out.
"""
import argparse
import importlib
import json
import os
import subprocess
import sys
import warnings

import numpy as np

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OPSET = 17


def zoo(name):
    """A model of the zoo's own: detr or mobilevit."""
    sys.path.insert(0, os.path.join(TREE, "zoo"))
    try:
        return importlib.import_module(name).build(1)
    except ImportError as e:
        raise LookupError(f"zoo/{name}.py: {e}")


def detr():
    """The zoo's encoder-decoder detector, which is settled already."""
    return zoo("detr")


def classifier(name):
    import torch
    import torchvision
    torch.manual_seed(1)
    return torchvision.models.get_model(name, weights=None)


def detector(name):
    """Backbone, feature pyramid and heads; what comes after them is no matter of arithmetic."""
    import torch
    import torchvision

    class Heads(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self.backbone, self.head = model.backbone, model.head

        def forward(self, x):
            return tuple(self.head(list(self.backbone(x).values())).values())

    torch.manual_seed(1)
    return Heads(torchvision.models.get_model(name, weights=None, weights_backbone=None))


def shared_model():
    path = os.path.join(os.environ.get("OMMA_SHARED", os.path.join(TREE, "..", "shared")),
                        "models", "deimv2_atto", "deimv2_hgnetv2_atto_coco.onnx")
    if not os.path.exists(path):
        raise LookupError("not in OMMA_SHARED")
    return path


def pulled_model(part):
    omma = os.environ.get("OMMA", os.path.join(TREE, "build", "omma"))
    home = os.environ.get("XDG_DATA_HOME", os.path.expanduser("~/.local/share"))
    folder = os.path.join(os.environ.get("OMMA_MODELS", os.path.join(home, "omma", "models")), "ppocrv4")
    path = os.path.join(folder, f"ch_PP-OCRv4_{part}_infer.onnx")
    if not os.path.exists(path) and subprocess.run([omma, "pull", "ppocrv4"], stdout=subprocess.DEVNULL).returncode:
        raise LookupError("'omma pull ppocrv4' failed")
    return path


def picture(height, width, count=1):
    """Random, but the same every time."""
    g = np.random.default_rng(1)
    return g.standard_normal((count, 3, height, width), np.float32)


# name: how it is made (a module) or where it is (a path), and its inputs
MODELS = {
    "mobilenet_v3_large 224": (lambda: classifier("mobilenet_v3_large"), [picture(224, 224)]),
    "deimv2_atto 320": (shared_model, [picture(320, 320), np.array([[320, 320]], np.int64)]),
    "ppocrv4_rec 48x320": (lambda: pulled_model("rec"), [picture(48, 320)]),
    "ppocrv4_det 640": (lambda: pulled_model("det"), [picture(640, 640)]),
    "mobilevit_s 256": (lambda: zoo("mobilevit"), [picture(256, 256)]),
    "resnet50 224": (lambda: classifier("resnet50"), [picture(224, 224)]),
    "swin_t 224": (lambda: classifier("swin_t"), [picture(224, 224)]),
    "convnext_tiny 224": (lambda: classifier("convnext_tiny"), [picture(224, 224)]),
    "vit_b_16 224": (lambda: classifier("vit_b_16"), [picture(224, 224)]),
    "detr_r50 512": (detr, [picture(512, 512)]),
    "fcos_resnet50_fpn 512": (lambda: detector("fcos_resnet50_fpn"), [picture(512, 512)]),
    "retinanet_resnet50_fpn 512": (lambda: detector("retinanet_resnet50_fpn"), [picture(512, 512)]),
    "resnet50 800x1066": (lambda: classifier("resnet50"), [picture(800, 1066)]),
    "detr_r50 800x1066": (detr, [picture(800, 1066)]),
}


# How time grows with batches and sizes (SCALING=1): name, the model that is exported once with its
# batch, height and width open, and the input.
SCALING = {f"{short} {side} batch {count}": (model, picture(side, side, count))
           for short, model, side, counts in (("resnet50", "resnet50", 224, (1, 2, 4, 8, 16)),
                                              ("mobilenet_v3", "mobilenet_v3_large", 224, (1, 4, 16)),
                                              ("resnet50", "resnet50", 320, (1,)),
                                              ("resnet50", "resnet50", 448, (1,)),
                                              ("resnet50", "resnet50", 640, (1,)))
           for count in counts}


def enliven(model, x):
    """Random weights whose numbers neither fade nor grow: batch norms take the statistics of the
    input, layer scales, 1e-6 at first, let their blocks through, and matrices of zeros (ViT's
    head) become others."""
    import torch
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for name, p in model.named_parameters():
        if name.endswith("layer_scale"):
            p.data.fill_(0.5)
        elif p.ndim > 1 and not p.any():
            torch.nn.init.normal_(p, std=0.02)
    for m in norms:
        m.reset_running_stats()
        m.momentum = None
    if norms:
        with torch.no_grad():
            model.train()(x)
    return model.eval()


def export(model, inputs, folder, settle, open_axes=None):
    import torch
    x = [torch.from_numpy(a) for a in inputs]
    if settle:
        enliven(model, x[0])
    path = os.path.join(folder, "model.onnx")
    # Gradients on: nn.MultiheadAttention then takes the way that can be exported.
    how = {"input_names": ["x"], "dynamic_axes": {"x": open_axes}} if open_axes else {}
    torch.onnx.export(model, tuple(x), path, opset_version=OPSET, **how)
    with torch.no_grad():
        frozen = torch.jit.freeze(torch.jit.trace(model, x, check_trace=False))
        y = frozen(*x)
    for t in y if isinstance(y, (tuple, list)) else (y,):
        if not (t.isfinite().all() and t.std() > 1e-3 * t.abs().max()):
            raise ValueError("an output is not finite, or says nothing: nobody could be caught being wrong")
    torch.jit.save(frozen, os.path.join(folder, "model.pt"))
    return {"model": path, "torch": os.path.join(folder, "model.pt")}


def make(name, out):
    """What about.json says of a model."""
    folder = os.path.join(out, name.replace(" ", "_"))
    about_path = os.path.join(folder, "about.json")
    if os.path.exists(about_path):
        with open(about_path) as f:
            about = json.load(f)
        if os.path.exists(about["model"]):
            return about
    source, inputs = MODELS[name]
    os.makedirs(folder, exist_ok=True)
    for i, a in enumerate(inputs):
        np.save(os.path.join(folder, f"in{i}.npy"), a)
    made = source()
    about = {"model": made, "torch": None} if isinstance(made, str) else \
        export(made, inputs, folder, source is not detr)
    about.update(name=name, inputs=folder)
    with open(about_path, "w") as f:
        json.dump(about, f, indent=1)
    return about


def make_scaling(name, out):
    """The same for one of SCALING: an input of its own, a model shared with its kin."""
    source, x = SCALING[name]
    folder = os.path.join(out, name.replace(" ", "_"))
    shared = os.path.join(out, source + "_open")
    os.makedirs(folder, exist_ok=True)
    os.makedirs(shared, exist_ok=True)
    made = os.path.join(shared, "made.json")
    if not os.path.exists(made):
        about = export(classifier(source), [picture(224, 224, 2)], shared, True,
                       {0: "n", 2: "h", 3: "w"})
        with open(made, "w") as f:
            json.dump(about, f)
    with open(made) as f:
        about = json.load(f)
    np.save(os.path.join(folder, "in0.npy"), x)
    about.update(name=name, inputs=folder)
    with open(os.path.join(folder, "about.json"), "w") as f:
        json.dump(about, f, indent=1)
    return about


def main():
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument("out")
    a.add_argument("--only", default="")
    a.add_argument("--scaling", action="store_true")
    a = a.parse_args()
    warnings.filterwarnings("ignore")
    for name in SCALING if a.scaling else MODELS:
        if a.only not in name:
            continue
        try:
            how = make_scaling if a.scaling else make
            print(f"{name}: {how(name, os.path.abspath(a.out))['model']}", flush=True)
        except (LookupError, ImportError) as e:
            print(f"{name}: left out: {e}", flush=True)


if __name__ == "__main__":
    main()

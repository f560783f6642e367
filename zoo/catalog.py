"""Which models there are, what they look at, and how they become functions of tensors.

The names are torchvision's own (`torchvision.models.list_models()`), `detr_r50` from detr.py and
`mobilevit_s` from mobilevit.py. A `Specimen` says all the exporter needs: how to build the model,
its inputs for one or two cases (the second is for exports with open dimensions) and the names of
its outputs.
"""
from collections import namedtuple

import numpy as np
import torch
import torchvision
from torch import nn

import detectors
import detr
import mobilevit
import pictures
import settle

# name: the model's; kind: classify, segment, detect, flow, video, quantized, detr, mobilevit;
# params: how many, for the order; open: the dimensions that stay open in the export.
Specimen = namedtuple("Specimen", "name kind params open")

# Sides of pictures where 224 will not do [px].
SIDES = {"inception_v3": 299, "swin_v2_t": 256, "swin_v2_s": 256, "swin_v2_b": 256,
         "mobilevit_s": 256}

# Exported once with open dimensions and run at two sizes: n the batch, h and w the picture.
OPEN = {
    "nhw": """resnet18 mobilenet_v3_small efficientnet_b0 convnext_tiny regnet_y_400mf
        shufflenet_v2_x1_0 squeezenet1_1 densenet121 googlenet deeplabv3_mobilenet_v3_large
        lraspp_mobilenet_v3_large fcn_resnet50""",
    "n": """alexnet vgg11 vit_b_32 vit_b_16 swin_t swin_v2_t maxvit_t inception_v3 mnasnet1_0
        mobilenet_v2 r3d_18""",
    "hw": """fasterrcnn_mobilenet_v3_large_320_fpn fasterrcnn_resnet50_fpn maskrcnn_resnet50_fpn
        keypointrcnn_resnet50_fpn retinanet_resnet50_fpn ssdlite320_mobilenet_v3_large""",
}
OPEN = {name: axes for axes, names in OPEN.items() for name in names.split()}

# So deep that rounding would grow too much, see settle.calm.
DEEP = "resnet101 resnet152 resnext101_32x8d resnext101_64x4d wide_resnet101_2".split()


def kind_of(name):
    module = torchvision.models.get_model_builder(name).__module__
    for part, kind in (("detection", "detect"), ("segmentation", "segment"), ("video", "video"),
                       ("quantization", "quantized"), ("optical_flow", "flow")):
        if f".{part}." in module:
            return kind
    return "classify"


def params_of(name):
    weights = torchvision.models.get_model_weights(name)
    return max((w.meta["num_params"] for w in weights), default=0)


def specimens(video=False):
    """All of them, small ones first; those for video on demand."""
    found = [Specimen(n, kind_of(n), params_of(n), OPEN.get(n, ""))
             for n in torchvision.models.list_models()]
    found.append(Specimen("detr_r50", "detr", 41524768, "hw"))
    found.append(Specimen("mobilevit_s", "mobilevit", 5578632, "n"))
    found = [s for s in found if video or s.kind != "video"]
    return sorted(found, key=lambda s: (s.params, s.name))


class Plain(nn.Module):
    """A model with one output, or a dictionary of them, as a function to a tuple."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, *x):
        y = self.model(*x)
        if isinstance(y, dict):
            return tuple(y.values())
        return y[-1] if isinstance(y, list) else y


class Detector(nn.Module):
    """A detector takes a list of pictures and gives a list of dictionaries; this, tensors."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, *images):
        return tuple(t for found in self.model(list(images)) for t in found.values())


def build(s):
    """(model, settled and in eval mode; inputs of the cases; names of inputs; of outputs).
    The inputs of the cases are lists of tuples of arrays, the last of them another picture of
    the first case's size, which shows that the output depends on the picture."""
    torch.manual_seed(1)
    if s.kind == "detr":
        return build_detr(s)
    builder = {"detect": build_detector, "flow": build_flow, "video": build_video,
               "quantized": build_quantized}.get(s.kind, build_plain)
    return builder(s)


def build_plain(s):
    options = {"weights": None}
    if s.kind == "segment":
        options["weights_backbone"] = None
    if s.name in ("googlenet", "inception_v3"):
        options["init_weights"] = False
    own = s.kind == "mobilevit"
    model = mobilevit.build(1) if own else torchvision.models.get_model(s.name, **options)
    if s.kind == "segment" or s.name in DEEP:
        settle.calm(model)
    h = w = SIDES.get(s.name, 224)
    if s.kind == "segment":
        h, w = 192, 256
    look = torch.from_numpy(pictures.batch(0, 4, h, w))
    settle.settle(model, lambda: model(look), 1)
    cases = [(pictures.batch(0, 1, h, w),)]
    if s.open:
        h2, w2 = (h - 32, w + 64) if "h" in s.open else (h, w)
        cases.append((pictures.batch(1, 2, h2, w2),))
    cases.append((pictures.batch(3, 1, h, w),))
    names = ["out"]
    if s.kind == "segment":
        with torch.no_grad():
            names = list(model(look[:1]))
    return Plain(model), cases, ["image"], names


def build_detector(s):
    model, cases, names = detectors.build(s)
    return Detector(model), cases, ["image"], names


def build_flow(s):
    model = torchvision.models.get_model(s.name, weights=None)
    def pair(k):
        rgb = pictures.batch(k, 1, 136, 168)
        return rgb[:, :, 4:132, 4:164].copy(), rgb[:, :, 2:130, 7:167].copy()
    look = [torch.from_numpy(a) for a in pair(0)]
    # [px] a step, of twelve; larger ones are chaos
    settle.settle(model, lambda: model(*look, num_flow_updates=4), 1, [("flow_head.conv2", 0.02)],
                  ["flow_head.conv2"])
    return Plain(model), [pair(0), pair(1)], ["image1", "image2"], ["flow"]


def build_video(s):
    model = torchvision.models.get_model(s.name, weights=None)
    frames, side = (8, 64) if s.name.endswith("_18") else (16, 224)
    def clip(first, count):
        shots = [pictures.batch(first + i, 1, side + 16, side + 16)[0] for i in range(count)]
        moved = [[p[:, k:k + side, k // 2:k // 2 + side] for k in range(frames)] for p in shots]
        return np.ascontiguousarray(np.stack([np.stack(m, 1) for m in moved]))
    look = torch.from_numpy(clip(0, 2))
    settle.settle(model, lambda: model(look), 1)
    cases = [(clip(0, 1),)] + ([(clip(1, 2),)] if s.open else []) + [(clip(3, 1),)]
    return Plain(model), cases, ["clip"], ["out"]


def build_quantized(s):
    engines = torch.backends.quantized.supported_engines
    torch.backends.quantized.engine = next(e for e in ("qnnpack", "fbgemm", "x86") if e in engines)
    builder = torchvision.models.get_model_builder(s.name)
    options = {"init_weights": False} if s.name.endswith(("googlenet", "inception_v3")) else {}
    model = builder(weights=None, quantize=False, **options)
    side = SIDES.get(s.name.replace("quantized_", ""), 224)
    look = torch.from_numpy(pictures.batch(0, 4, side, side))
    settle.settle(model, lambda: model(look), 1)
    model.fuse_model(is_qat=False)
    model.qconfig = torch.ao.quantization.get_default_qconfig(torch.backends.quantized.engine)
    torch.ao.quantization.prepare(model, inplace=True)
    with torch.no_grad():
        model(look)
    torch.ao.quantization.convert(model, inplace=True)
    return Plain(model), [(pictures.batch(k, 1, side, side),) for k in (0, 3)], ["image"], ["out"]


def build_detr(s):
    model = detr.build(1)
    cases = [(pictures.batch(0, 1, 512, 512),), (pictures.batch(1, 1, 800, 1066),),
             (pictures.batch(2, 1, 512, 512),)]
    return model, cases, ["image"], ["pred_logits", "pred_boxes"]


def open_axes(s, inputs, outputs):
    """What torch.onnx.export calls dynamic_axes, or None."""
    if not s.open:
        return None
    first = {"n": 0, "h": 2, "w": 3} if s.kind != "detect" else {"h": 1, "w": 2}
    axes = {name: {first[a]: {"n": "batch", "h": "height", "w": "width"}[a] for a in s.open}
            for name in inputs}
    for name in outputs if "n" in s.open else []:
        axes[name] = {0: "batch"}
    return axes

"""An encoder-decoder detector of the sizes of DETR-R50 (Carion et al. 2020), random weights.

ResNet-50 with frozen batch norms, a 1x1 projection to 256 channels, two-dimensional sine
positions, six encoder and six decoder layers of width 256 with 8 heads and feed-forward width
2048, post-norm; positions are added to queries and keys in every layer, never to values.
100 object queries; a linear head to 92 classes (91 and "none") and a three-layer one to boxes
(cx, cy, w, h in 0..1). Parameter names are those of facebookresearch/detr; 41,524,768 numbers.

    python3 zoo/detr.py detr.onnx [--size 800x1066] [--open] [--opset 17] [--cases DIR]

writes the model (about 160 MB) for pictures f32 [1,3,H,W], normalised with pictures.MEAN and
STD; with --open H and W stay open. The weights are made meaningful by settle.py: attention
is neither flat nor all on one place, and the boxes of the queries differ.
"""
import argparse
import math
import os

import numpy as np
import torch
import torchvision
from torch import nn
from torchvision.ops.misc import FrozenBatchNorm2d

import pictures
import settle


def sine_positions(x, half=128, temperature=10000.0):
    """x: [1,C,h,w] -> [h*w, 1, 2*half]: rows first, then columns, sines and cosines in turn."""
    h, w = x.shape[2], x.shape[3]
    step = torch.arange(half // 2, dtype=torch.float32)
    wave = temperature ** (2 * step / half)

    def code(n):
        at = torch.arange(1, n + 1, dtype=torch.float32) * (2 * math.pi) / (n + 1e-6)
        angle = at[:, None] / wave
        return torch.stack((angle.sin(), angle.cos()), 2).flatten(1)

    rows = code(h)[:, None, :].expand(-1, w, -1)
    columns = code(w)[None, :, :].expand(h, -1, -1)
    return torch.cat((rows, columns), 2).flatten(0, 1).unsqueeze(1)


class EncoderLayer(nn.Module):
    def __init__(self, width, heads, wide):
        super().__init__()
        self.self_attn = nn.MultiheadAttention(width, heads)
        self.linear1, self.linear2 = nn.Linear(width, wide), nn.Linear(wide, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x, pos):
        q = x + pos
        x = self.norm1(x + self.self_attn(q, q, x, need_weights=False)[0])
        return self.norm2(x + self.linear2(self.linear1(x).relu()))


class DecoderLayer(nn.Module):
    def __init__(self, width, heads, wide):
        super().__init__()
        self.self_attn = nn.MultiheadAttention(width, heads)
        self.multihead_attn = nn.MultiheadAttention(width, heads)
        self.linear1, self.linear2 = nn.Linear(width, wide), nn.Linear(wide, width)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))

    def forward(self, x, memory, pos, query):
        q = x + query
        x = self.norm1(x + self.self_attn(q, q, x, need_weights=False)[0])
        seen = self.multihead_attn(x + query, memory + pos, memory, need_weights=False)[0]
        x = self.norm2(x + seen)
        return self.norm3(x + self.linear2(self.linear1(x).relu()))


class Layers(nn.Module):
    def __init__(self, make, count, width, norm):
        super().__init__()
        self.layers = nn.ModuleList(make() for _ in range(count))
        if norm:
            self.norm = nn.LayerNorm(width)


class Transformer(nn.Module):
    def __init__(self, width, heads, wide, deep):
        super().__init__()
        self.encoder = Layers(lambda: EncoderLayer(width, heads, wide), deep, width, False)
        self.decoder = Layers(lambda: DecoderLayer(width, heads, wide), deep, width, True)
        for p in self.parameters():
            if p.ndim > 1:
                nn.init.xavier_uniform_(p)

    def forward(self, x, pos, query):
        for layer in self.encoder.layers:
            x = layer(x, pos)
        y = torch.zeros_like(query)
        for layer in self.decoder.layers:
            y = layer(y, x, pos, query)
        return self.decoder.norm(y)


class Mlp(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = layer(x).relu()
        return self.layers[-1](x)


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        net = torchvision.models.resnet50(weights=None, norm_layer=FrozenBatchNorm2d)
        self.body = nn.Sequential()
        for name, child in net.named_children():
            if name not in ("avgpool", "fc"):
                self.body.add_module(name, child)

    def forward(self, x):
        return self.body(x)


class Detr(nn.Module):
    def __init__(self, width=256, heads=8, wide=2048, deep=6, queries=100, classes=92):
        super().__init__()
        self.backbone = nn.Sequential(Backbone())
        self.input_proj = nn.Conv2d(2048, width, 1)
        self.transformer = Transformer(width, heads, wide, deep)
        self.query_embed = nn.Embedding(queries, width)
        self.class_embed = nn.Linear(width, classes)
        self.bbox_embed = Mlp([width, width, width, 4])

    def forward(self, image):
        x = self.input_proj(self.backbone(image))
        pos = sine_positions(x)
        tokens = x.flatten(2).permute(2, 0, 1)
        query = self.query_embed.weight.unsqueeze(1)
        y = self.transformer(tokens, pos, query).transpose(0, 1)
        return self.class_embed(y), self.bbox_embed(y).sigmoid()


def build(seed):
    """The model, settled, in eval mode."""
    torch.manual_seed(seed)
    model = Detr()
    look = torch.from_numpy(pictures.batch(0, 2, 320, 416))
    spreads = (("linear2", 1.0), ("input_proj", 1.0), ("class_embed", 2.0), ("bbox_embed.layers.2", 1.2))
    # Centred, or tokens and queries would grow alike.
    centred = ("transformer.", "input_proj", "class_embed", "bbox_embed.layers.2")
    settle.calm(model)
    settle.settle(model, lambda: [model(x[None]) for x in look], seed, spreads, centred)
    return model.eval()


def export(model, path, height, width, opset, open_sides=False):
    axes = {"image": {2: "height", 3: "width"}} if open_sides else None
    torch.onnx.export(model, (torch.zeros(1, 3, height, width),), path, opset_version=opset,
                      input_names=["image"], output_names=["pred_logits", "pred_boxes"],
                      dynamic_axes=axes)


def main():
    a = argparse.ArgumentParser(description="Write an encoder-decoder detector as ONNX.")
    a.add_argument("path")
    a.add_argument("--size", default="800x1066", help="height x width [px]")
    a.add_argument("--open", action="store_true", help="leave height and width open")
    a.add_argument("--opset", type=int, default=17)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--cases", help="write image.npy and PyTorch's pred_*.npy to this folder")
    a = a.parse_args()
    height, width = (int(v) for v in a.size.split("x"))
    model = build(a.seed)
    export(model, a.path, height, width, a.opset, a.open)
    count = sum(p.numel() for p in model.parameters())
    print(f"{a.path}: {os.path.getsize(a.path)} bytes, {count} parameters")
    if a.cases:
        os.makedirs(a.cases, exist_ok=True)
        image = pictures.batch(0, 1, height, width)
        with torch.no_grad():
            logits, boxes = model(torch.from_numpy(image))
        for name, t in (("image", image), ("pred_logits", logits.numpy()), ("pred_boxes", boxes.numpy())):
            np.save(os.path.join(a.cases, name + ".npy"), t)


if __name__ == "__main__":
    main()

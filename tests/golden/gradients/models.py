# models.py - the three models of make.py, in PyTorch, small but whole.
#
#   resnet  ResNet-18 of torchvision, full width           picture [2,3,64,64]
#   vit     a vision transformer, pre-norm, GELU           picture [2,3,64,64]
#   detr    an encoder-decoder detector of DETR's form     picture [1,3,96,128]
#
# Sizes are plain numbers, not taken from tensors, so that the exported graphs have no shape
# arithmetic. Every ReLU is a module: make.py looks at what goes into them.
import math

import torch
import torchvision
from torch import nn
from torch.nn import functional as F


def attend(q, k, v, batch, heads, width):
    """softmax(q k^T / sqrt(d)) v of every head.  q: [B,T,C]; k, v: [B,S,C]; out: [B,T,C]."""
    d = width // heads
    q = q.reshape(batch, -1, heads, d).permute(0, 2, 1, 3)
    k = k.reshape(batch, -1, heads, d).permute(0, 2, 3, 1)
    v = v.reshape(batch, -1, heads, d).permute(0, 2, 1, 3)
    weights = torch.softmax(torch.matmul(q, k) * d ** -0.5, dim=-1)
    return torch.matmul(weights, v).permute(0, 2, 1, 3).reshape(batch, -1, width)


# --- the vision transformer ---------------------------------------------------------------


class VitBlock(nn.Module):
    def __init__(self, batch, width, heads):
        super().__init__()
        self.size = batch, heads, width
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x):
        q, k, v = self.qkv(self.norm1(x)).split([self.size[2]] * 3, dim=-1)
        x = x + self.proj(attend(q, k, v, *self.size))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class Vit(nn.Module):
    """Patches of 8 pixels, a class token, learned positions; logits [B,classes]."""

    def __init__(self, batch=2, side=64, patch=8, width=64, depth=3, heads=4, classes=10):
        super().__init__()
        tokens = (side // patch) ** 2
        self.size = batch, tokens, width
        self.patch_embed = nn.Conv2d(3, width, patch, patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + tokens, width))
        self.blocks = nn.ModuleList(VitBlock(batch, width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, classes)

    def forward(self, picture):
        batch, tokens, width = self.size
        x = self.patch_embed(picture).reshape(batch, width, tokens).permute(0, 2, 1)
        x = torch.cat([self.cls_token.expand(batch, 1, width), x], dim=1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


# --- the detector -------------------------------------------------------------------------


class FrozenBatchNorm(nn.Module):
    """Batch norm whose four vectors are buffers, written out as DETR does."""

    def __init__(self, n):
        super().__init__()
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.register_buffer(name, torch.zeros(n))

    def forward(self, x):
        weight, bias, mean, var = (b.reshape(1, -1, 1, 1) for b in (
            self.weight, self.bias, self.running_mean, self.running_var))
        scale = weight * (var + 1e-5).rsqrt()
        return x * scale + (bias - mean * scale)


class Attention(nn.Module):
    """Queries, keys and values from one matrix that is cut in three, as in PyTorch's own."""

    def __init__(self, width, heads):
        super().__init__()
        self.size = 1, heads, width
        self.in_proj_weight = nn.Parameter(torch.zeros(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, q, k, v):
        thirds = [self.size[2]] * 3
        rows = zip((q, k, v), self.in_proj_weight.split(thirds), self.in_proj_bias.split(thirds))
        return self.out_proj(attend(*(F.linear(x, w, b) for x, w, b in rows), *self.size))


class FeedForward(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.linear1 = nn.Linear(width, hidden)
        self.relu = nn.ReLU()
        self.linear2 = nn.Linear(hidden, width)

    def forward(self, x):
        return self.linear2(self.relu(self.linear1(x)))


class EncoderLayer(nn.Module):
    def __init__(self, width, heads, hidden):
        super().__init__()
        self.self_attn = Attention(width, heads)
        self.norm1 = nn.LayerNorm(width)
        self.ffn = FeedForward(width, hidden)
        self.norm2 = nn.LayerNorm(width)

    def forward(self, x, pos):
        x = self.norm1(x + self.self_attn(x + pos, x + pos, x))
        return self.norm2(x + self.ffn(x))


class DecoderLayer(nn.Module):
    def __init__(self, width, heads, hidden):
        super().__init__()
        self.self_attn = Attention(width, heads)
        self.norm1 = nn.LayerNorm(width)
        self.cross_attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.ffn = FeedForward(width, hidden)
        self.norm3 = nn.LayerNorm(width)

    def forward(self, x, query, memory, pos):
        x = self.norm1(x + self.self_attn(x + query, x + query, x))
        x = self.norm2(x + self.cross_attn(x + query, memory + pos, memory))
        return self.norm3(x + self.ffn(x))


class BoxHead(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, n) for n in (width, width, 4))
        self.relu = nn.ReLU()

    def forward(self, x):
        x = self.relu(self.layers[0](x))
        x = self.relu(self.layers[1](x))
        return torch.sigmoid(self.layers[2](x))


def sines(n, width):
    """Half a sine position of DETR, of n places: [n,width], sine and cosine taking turns."""
    angle = (torch.arange(n, dtype=torch.float64) + 1) / n * 2 * math.pi
    i = torch.arange(width, dtype=torch.float64)
    angle = angle[:, None] / 10000 ** (2 * (i // 2) / width)
    return torch.where(i % 2 == 0, angle.sin(), angle.cos()).float()


class Detr(nn.Module):
    """Stride 8, then 2 + 2 layers after DETR; logits [1,queries,classes], boxes [1,queries,4]
    between 0 and 1."""

    def __init__(self, height=96, width=128, channels=64, heads=4, hidden=128, layers=2,
                 queries=8, classes=6):
        super().__init__()
        self.size = height // 8, width // 8, channels
        parts = []
        for a, b in ((3, 16), (16, 32), (32, 48)):
            parts += [nn.Conv2d(a, b, 3, 2, 1, bias=False), FrozenBatchNorm(b), nn.ReLU()]
        self.backbone = nn.Sequential(*parts)
        self.input_proj = nn.Conv2d(48, channels, 1)
        self.encoder = nn.ModuleList(EncoderLayer(channels, heads, hidden) for _ in range(layers))
        self.decoder = nn.ModuleList(DecoderLayer(channels, heads, hidden) for _ in range(layers))
        self.decoder_norm = nn.LayerNorm(channels)
        self.query_embed = nn.Parameter(torch.zeros(1, queries, channels))
        self.class_embed = nn.Linear(channels, classes)
        self.bbox_embed = BoxHead(channels)
        half = channels // 2
        y, x = (sines(n, half) for n in self.size[:2])
        self.register_buffer("pos_y", F.pad(y, (0, half))[:, None])
        self.register_buffer("pos_x", F.pad(x, (half, 0))[None])

    def forward(self, picture):
        h, w, c = self.size
        x = self.input_proj(self.backbone(picture)).reshape(1, c, h * w).permute(0, 2, 1)
        pos = (self.pos_y + self.pos_x).reshape(1, h * w, c)
        for layer in self.encoder:
            x = layer(x, pos)
        y = torch.zeros_like(self.query_embed)
        for layer in self.decoder:
            y = layer(y, self.query_embed, x, pos)
        y = self.decoder_norm(y)
        return self.class_embed(y), self.bbox_embed(y)


MODELS = {
    "resnet": (lambda: torchvision.models.resnet18(weights=None), (2, 3, 64, 64), ["logits"]),
    "vit": (Vit, (2, 3, 64, 64), ["logits"]),
    "detr": (Detr, (1, 3, 96, 128), ["logits", "boxes"]),
}

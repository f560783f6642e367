#!/usr/bin/env python3
"""What is measured of attention and of tokens in the vit and the detr of ../gradients, after PyTorch.

    python3 make.py

writes vit.txt, detr.txt (name, how many numbers, place of the first) and vit.npy, detr.npy (the
numbers, float32), all computed in float64 with PyTorch's own gradients, written down from the
papers' formulas as whole matrices, which omma never makes:

    rollout      Abnar, Zuidema 2020: R = prod(0.5 mean_h A + 0.5 I), later layers on the left
    relevance    Chefer, Gur, Wolf 2021: R_ss, and R_qi of an encoder and a decoder
    mixing       Kobayashi et al. 2020, 2021: norms |sum_h a f_h(x_j)|, mixing ratios
    states       median norm, effective rank, mean cosine, variance, Fourier, CKA of blocks

The models are ../gradients' with the weights of its weights.txt, the pictures its picture.npy; run
with the versions that README.md there names.
"""
import os
import sys

import numpy as np
import torch

HERE = os.path.dirname(os.path.abspath(__file__))
GRADIENTS = os.path.join(HERE, "..", "gradients")
sys.path.insert(0, GRADIENTS)

import make as gradients  # noqa: E402
from models import MODELS, attend  # noqa: E402,F401
import models  # noqa: E402


def load(name):
    """The model with its weights, in float64, and its picture."""
    build, _, _ = MODELS[name]
    model = build().eval()
    folder = os.path.join(GRADIENTS, name)
    tensors = gradients.state(model)
    with open(os.path.join(folder, "weights.txt")) as f:
        for t, line in enumerate(f):
            if not t:
                continue
            key, count, scale, shift, _ = line.split()
            data = gradients.generate(t, int(count), np.float32(scale), np.float32(shift))
            tensors[key].copy_(torch.from_numpy(data).reshape(tensors[key].shape))
    return model.double(), torch.from_numpy(np.load(os.path.join(folder, "picture.npy"))).double()


def watched(model, picture):
    """A run that keeps the weights of every attention, with gradients: outputs, weights, and what
    went into attend() as values."""
    plain, found, values = models.attend, [], []

    def attending(q, k, v, batch, heads, width):
        d = width // heads
        q = q.reshape(batch, -1, heads, d).permute(0, 2, 1, 3)
        k = k.reshape(batch, -1, heads, d).permute(0, 2, 3, 1)
        values.append(v.reshape(batch, -1, heads, d).permute(0, 2, 1, 3))
        weights = torch.softmax(torch.matmul(q, k) * d ** -0.5, dim=-1)
        weights.retain_grad()
        found.append(weights)
        return torch.matmul(weights, values[-1]).permute(0, 2, 1, 3).reshape(batch, -1, width)

    models.attend = attending
    outputs = model(picture)
    models.attend = plain
    return outputs, found, values


# --- formulas -------------------------------------------------------------------------------


def rollout(weights):
    """weights: of layers, [heads, n, n]."""
    n = weights[0].shape[-1]
    r = np.eye(n)
    for a in weights:
        m = 0.5 * a.mean(0) + 0.5 * np.eye(n)
        r = (m / m.sum(1, keepdims=True)) @ r
    return r


def primes(weights, picture):
    """A' of each attention: its gradient has been made."""
    out = []
    for w in weights:
        a, g = w[picture].detach().numpy(), w.grad[picture].numpy()
        out.append(np.maximum(a * g, 0).mean(0))
    return out


def normal(r):
    more = r - np.eye(len(r))
    sums = more.sum(1, keepdims=True)
    return np.divide(more, sums, out=np.zeros_like(more), where=sums != 0) + np.eye(len(r))


def relevance_self(layers):
    r = np.eye(len(layers[0]))
    for a in layers:
        r = r + a @ r
    return r


def relevance_detr(encoder, decoder):
    """encoder: A' of its layers; decoder: (A' of queries or None, A' of cross-attention)."""
    r_ii = relevance_self(encoder)
    q = decoder[0][1].shape[0]
    r_qq, r_qi = np.eye(q), np.zeros((q, len(r_ii)))
    for own, cross in decoder:
        if own is not None:
            r_qq, r_qi = r_qq + own @ r_qq, r_qi + own @ r_qi
        r_qi = r_qi + normal(r_qq).T @ cross @ normal(r_ii)
    return r_qi


def transformed(values, out_weight):
    """f_h(x_j): [heads, keys, width], of values [heads, keys, d] and W_O [width, heads * d]."""
    heads, _, d = values.shape
    w = out_weight.reshape(out_weight.shape[0], heads, d)
    return np.einsum("hjd,chd->hjc", values, w)


def mixing(a, f, x, norm=None, z=None, eps=1e-5):
    """(norms of sources with the residual in the token's own, ratio without residual, with it, and
    behind a layer norm with gamma `norm` of the sum z)."""
    parts = np.einsum("hij,hjc->ijc", a, f)
    n = len(x)
    own = parts[np.arange(n), np.arange(n)]
    others = parts.sum(1) - own
    parts[np.arange(n), np.arange(n)] += x

    def size(v):
        return np.linalg.norm(v, axis=-1)

    def behind(v):
        s = np.sqrt(z.var(1) + eps)
        return (v - v.mean(-1, keepdims=True)) * norm / s[(...,) + (None,) * (v.ndim - 1)]

    plain = size(others) / (size(others) + size(own))
    residual = size(others) / (size(others) + size(own + x))
    if norm is None:
        return size(parts), plain, residual, None
    m, k = size(behind(others)), size(behind(own + x))
    return size(behind(parts)), plain, residual, m / (m + k)


def cka(x, y):
    x, y = x - x.mean(0), y - y.mean(0)
    return np.linalg.norm(y.T @ x) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))


def state(x, special, height, width):
    """Median norm of tokens with a place, largest robust z, mean cosine of pairs, effective rank
    (centred), variance, high-frequency log-amplitude relative to frequency 0."""
    norms = np.linalg.norm(x, axis=1)
    placed = norms[special:]
    median = np.median(placed)
    z = 0.6745 * (placed - median) / np.median(np.abs(placed - median))
    unit = x / norms[:, None]
    n = len(x)
    alike = ((unit @ unit.T).sum() - n) / (n * (n - 1))
    s = np.linalg.svd(x - x.mean(0), compute_uv=False)
    p = s / s.sum()
    p = p[p > 0]
    grid = x[special:].reshape(height, width, -1)
    variance = grid.reshape(height * width, -1).var(0, ddof=1).mean()
    log = np.log(np.abs(np.fft.fft2(grid, axes=(0, 1))) + 1e-6).mean(-1)
    fy, fx = np.meshgrid(2 * np.abs(np.fft.fftfreq(height)), 2 * np.abs(np.fft.fftfreq(width)),
                         indexing="ij")
    side = max(height, width)
    ring = np.floor(np.hypot(fy, fx) * side / 2 + 0.5) == side // 2
    return [median, z.max(), alike, np.exp(-(p * np.log(p)).sum()), variance,
            log[ring].mean() - log[0, 0]]


def change(x, y):
    """Mean relative change, mean cosine, CKA."""
    off = np.linalg.norm(y - x, axis=1) / np.linalg.norm(x, axis=1)
    cosine = (x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)
    return [off.mean(), cosine.mean(), cka(x, y)]


# --- the models -----------------------------------------------------------------------------


class Record:
    def __init__(self):
        self.lines = ["# name count first: see make.py"]
        self.numbers = []

    def put(self, name, values):
        v = np.asarray(values, np.float64).ravel()
        assert np.isfinite(v).all(), name
        first = sum(len(n) for n in self.numbers)
        self.lines.append(f"{name} {len(v)} {first}")
        self.numbers.append(v)

    def save(self, name):
        np.save(os.path.join(HERE, name + ".npy"), np.concatenate(self.numbers).astype(np.float32))
        gradients.write_lines(HERE, name + ".txt", self.lines)


def keep_inputs(modules):
    """What goes into modules, by the order of calls."""
    kept = []
    for m in modules:
        m.register_forward_pre_hook(lambda m, x: kept.append(x[0].detach()))
    return kept


def vit():
    model, picture = load("vit")
    # norm1 and norm2 read x in front of each block, the last norm x behind all.
    sums = keep_inputs([m for b in model.blocks for m in (b.norm1, b.norm2)] + [model.norm])
    logits, weights, values = watched(model, picture)
    r = Record()
    one = 1  # the picture that is looked at
    a = [w[one].detach().numpy() for w in weights]
    rolled = rollout(a)
    r.put("rollout", rolled[[0, 20]])
    x = [s[one].numpy() for s in sums]
    for k, block in enumerate(model.blocks):
        f = transformed(values[k][one].detach().numpy(), block.proj.weight.detach().numpy())
        norms, plain, residual, _ = mixing(a[k], f, x[2 * k])
        r.put(f"mixing{k}", np.stack([1 - np.einsum("hii->i", a[k]) / len(a[k]), plain, residual]))
        if k == 1:
            r.put("norms1", norms[::16])
    for k in range(len(x)):
        r.put(f"state{k}", state(x[k], 1, 8, 8))
    for k in range(len(x) - 1):
        r.put(f"change{k}", change(x[k], x[k + 1]))
    for name, what in (("logit", logits[one, 3]), ("margin", logits[one, 3] - logits[one, 7])):
        for w in weights:
            w.grad = None
        what.backward(retain_graph=True)
        r.put("relevance_" + name, (relevance_self(primes(weights, one)) - np.eye(65))[0])
    r.save("vit")


def detr():
    model, picture = load("detr")
    layers = [m for d in model.decoder for m in (d.norm1, d.norm2, d.norm3)]
    sums = keep_inputs([m for e in model.encoder for m in (e.norm1, e.norm2)] + layers)
    into = []
    model.encoder[0].register_forward_pre_hook(lambda m, x: into.append(x[0].detach()))
    (logits, boxes), weights, values = watched(model, picture)
    r = Record()
    a = [w[0].detach().numpy() for w in weights]
    rolled = rollout(a[:2])
    r.put("rollout", rolled[[7, 100]])
    for layer, k in ((0, 3), (1, 5)):
        r.put(f"rollout_cross{layer}", (a[k].mean(0) @ rolled)[[2, 5]])
    first = model.encoder[0]
    f = transformed(values[0][0].detach().numpy(), first.self_attn.out_proj.weight.detach().numpy())
    norms, plain, residual, normed = mixing(a[0], f, into[0][0].numpy(),
                                            first.norm1.weight.detach().numpy(), sums[0][0].numpy())
    own = 1 - np.einsum("hii->i", a[0]) / len(a[0])
    r.put("mixing0", np.stack([own, plain, residual, normed])[:, ::3])
    r.put("norms0", norms[[3, 150]])
    r.put("state0", state(into[0][0].numpy(), 0, 12, 16))
    r.put("change0", change(into[0][0].numpy(), sums[0][0].numpy()))
    # An answer's score, and the right edge of its box: cx + w / 2.
    for name, what in (("score", logits[0, 5, 2]), ("edge", boxes[0, 2, 0] + boxes[0, 2, 2] / 2)):
        for w in weights:
            w.grad = None
        what.backward(retain_graph=True)
        p = primes(weights, 0)
        q = 5 if name == "score" else 2
        r.put("relevance_" + name, relevance_detr(p[:2], [(p[2], p[3]), (p[4], p[5])])[q])
        # With queries that are constants, so is what they first see of each other.
        r.put("relevance_closed_" + name,
              relevance_detr(p[:2], [(None, p[3]), (p[4], p[5])])[q])
        r.put("relevance_queries_" + name, (relevance_self([p[2], p[4]]) - np.eye(8))[q])
    r.save("detr")


if __name__ == "__main__":
    torch.set_num_threads(1)
    vit()
    detr()

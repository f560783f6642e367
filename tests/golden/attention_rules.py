#!/usr/bin/env python3
"""Numbers for the measures of attention (src/field/), worked out with numpy apart from omma.

    tests/golden/attention_rules.py            writes attention_rules.txt beside it
    tests/golden/attention_rules.py --check    compares with what is there; exit 1 when one differs

A line is "name count numbers..". The inputs are not in the file: both sides make them from
x <- 1664525 x + 1013904223 mod 2^32, the top 24 bits / 2^24, which is a float32 exactly; each case
has its own first x. Needs numpy."""
import sys
from pathlib import Path

import numpy as np

OUT = Path(__file__).with_suffix(".txt")
lines = []


class Noise:
    def __init__(self, seed):
        self.x = seed

    def __call__(self, *shape, signed=False):
        n = int(np.prod(shape))
        v = np.empty(n)
        for i in range(n):
            self.x = (1664525 * self.x + 1013904223) & 0xFFFFFFFF
            v[i] = (self.x >> 8) / 2.0**24
        if signed:
            v = 2 * v - 1
        return v.astype(np.float32).astype(np.float64).reshape(shape)


def say(name, v):
    v = np.asarray(v, np.float64).ravel()
    lines.append("%s %d %s" % (name, v.size, " ".join("%.17g" % a for a in v)))


# --- relevance: DETR's order, two layers of encoder and of decoder ---------------------------------


def normal(r):
    m = r - np.eye(len(r))
    sums = m.sum(1, keepdims=True)
    return np.divide(m, sums, out=np.zeros_like(m), where=sums != 0) + np.eye(len(r))


def relevance():
    noise, heads, ni, nq = Noise(1), 3, 6, 4
    step = lambda q, k: np.maximum(noise(heads, q, k) * noise(heads, q, k, signed=True), 0).mean(0)
    ii, qq, qi = np.eye(ni), np.eye(nq), np.zeros((nq, ni))
    for layer in range(2):
        a = step(ni, ni)
        if layer == 0:
            say("relevance.weights", a)
        ii = ii + a @ ii
    for layer in range(2):
        a = step(nq, nq)
        qq, qi = qq + a @ qq, qi + a @ qi
        a = step(nq, ni)
        qi = qi + normal(qq).T @ (a @ normal(ii))
    say("relevance.normal", normal(ii))
    say("relevance.ii", ii)
    say("relevance.qq", qq)
    say("relevance.qi", qi)


# --- rollout and flow ------------------------------------------------------------------------------


def attentions(noise, layers, heads, n):
    a = noise(layers, heads, n, n) ** 4 + 1e-3
    return (a / a.sum(-1, keepdims=True)).astype(np.float32).astype(np.float64)


def mix(a, alpha):
    m = alpha * a + (1 - alpha) * np.eye(len(a))
    return m / m.sum(1, keepdims=True)


def max_flow(capacity, source, sink):
    """Shortest augmenting paths on a dense matrix."""
    left, total = capacity.copy(), 0.0
    while True:
        before, queue = {source: None}, [source]
        for u in queue:
            for v in np.nonzero(left[u] > 1e-14)[0]:
                if v not in before:
                    before[v] = u
                    queue.append(v)
        if sink not in before:
            return total
        path, v = [], sink
        while before[v] is not None:
            path.append((before[v], v))
            v = before[v]
        most = min(left[e] for e in path)
        for u, v in path:
            left[u, v] -= most
            left[v, u] += most
        total += most


def rollout():
    layers, heads, n = 4, 3, 5
    a = attentions(Noise(2), layers, heads, n)
    for name, fuse in (("mean", np.mean), ("max", np.max), ("min", np.min)):
        r = np.eye(n)
        for x in a:
            r = mix(fuse(x, axis=0), 0.5) @ r
        say("rollout." + name, r)
    r, net = np.eye(n), np.zeros(((layers + 1) * n,) * 2)
    for k, x in enumerate(a):
        m = mix(x.mean(0) ** 2, 0.7)
        r = m @ r
        net[(k + 1) * n:(k + 2) * n, k * n:(k + 1) * n] = m
    say("rollout.alpha", r)
    say("flow", [[max_flow(net, layers * n + i, j) for j in range(n)] for i in range(n)])


# --- distances -------------------------------------------------------------------------------------


def stats():
    """One class token, two registers, then 3 x 4 patches of 16 px."""
    heads, h, w, special = 2, 3, 4, 3
    n = special + h * w
    a = attentions(Noise(3), 1, heads, n)[0]
    y, x = (np.indices((h, w)).reshape(2, -1) * 16 + 7.5)
    d = np.hypot(y[:, None] - y, x[:, None] - x)
    for head in range(heads):
        for name, m in (("at", a[head]), ("by", a[head].T)):
            p = m[special:, special:]
            q = m / m.sum(1, keepdims=True)
            far = ((p * d).sum(1) / p.sum(1)).mean()
            say("stats.%s.%d" % (name, head),
                [m.sum(1).mean(), far, (p * d).sum(1).mean(), d.mean(), far / d.mean(),
                 -(q * np.log(q)).sum(1).mean(), np.log(n), np.diag(m).mean(), m[:, 0].mean(),
                 m[:, 1:3].sum(1).mean()])


# --- mixing ----------------------------------------------------------------------------------------


def mixing():
    noise, heads, n, width, eps = Noise(4), 3, 5, 7, 1e-5
    a = attentions(noise, 1, heads, n)[0]
    f = noise(heads, n, width, signed=True)
    x, b_o = noise(n, width, signed=True), noise(width, signed=True)
    gamma = (noise(width) + 0.5).astype(np.float32).astype(np.float64)
    part = np.einsum("hij,hjc->ijc", a, f)
    own, size = np.arange(n), lambda v: np.linalg.norm(v, axis=-1)

    def ratio(name, part):
        keep = part[own, own]
        mixed, kept = size(part.sum(1) - keep), size(keep)
        say("mixing.%s.norm" % name, size(part))
        say("mixing.%s.ratio" % name, mixed / (mixed + kept))

    ratio("plain", part)
    z = part.sum(1) + b_o + x
    part[own, own] += x
    ratio("residual", part)
    scale = (1 / np.sqrt(z.var(-1) + eps)).astype(np.float32).astype(np.float64)
    say("mixing.scale", scale)
    ratio("norm", (part - part.mean(-1, keepdims=True)) * scale[:, None, None] * gamma)
    ratio("rms", part * scale[:, None, None] * gamma)
    say("mixing.weights", 1 - a.mean(0)[own, own])


# --- similarity ------------------------------------------------------------------------------------


def cka(x, y):
    x, y = x - x.mean(0), y - y.mean(0)
    size = np.linalg.norm
    return size(y.T @ x)**2 / (size(x.T @ x) * size(y.T @ y))


def rank(x):
    s = np.linalg.svd(x, compute_uv=False)
    p = s[s > 0] / s.sum()
    return np.exp(-(p * np.log(p)).sum())


def similarity():
    noise = Noise(5)
    x, y = noise(9, 5, signed=True), noise(9, 4, signed=True)
    wide = noise(4, 11, signed=True)
    say("cosine", (x / np.linalg.norm(x, axis=1)[:, None]) @ (x / np.linalg.norm(x, axis=1)[:, None]).T)
    say("cka.tall", cka(x, y))
    say("cka.wide", cka(wide, wide[::-1]**2))
    say("singular.tall", np.linalg.svd(x, compute_uv=False))
    say("singular.wide", np.linalg.svd(wide, compute_uv=False))
    say("rank", [rank(x), rank(x - x.mean(0)), rank(wide), rank(wide - wide.mean(0))])
    norm = np.linalg.norm(np.vstack([x, 20 * x[:1]]), axis=1)
    mad = np.median(np.abs(norm - np.median(norm)))
    say("outliers", 0.6745 * (norm - np.median(norm)) / mad)


def spectrum():
    for seed, (h, w, c) in ((6, (6, 6, 3)), (7, (5, 8, 2))):
        m = Noise(seed)(h, w, c, signed=True)
        log = np.log(np.abs(np.fft.fft2(m, axes=(0, 1))) + 1e-6).mean(-1)
        say("fourier.%d" % seed, log)
        fy, fx = 2 * np.abs(np.fft.fftfreq(h)), 2 * np.abs(np.fft.fftfreq(w))
        k = np.floor(np.hypot(fy[:, None], fx) * max(h, w) / 2 + 0.5).astype(int)
        say("radial.%d" % seed, [log[k == i].mean() if (k == i).any() else np.nan
                                 for i in range(k.max() + 1)])
        if h == w:  # as in the paper's program
            shifted = np.roll(log, (h // 2, w // 2), (0, 1))
            say("diagonal.%d" % seed, np.diag(shifted)[h // 2:])
        say("variance.%d" % seed, m.var((0, 1), ddof=1).mean())


def main():
    for case in (relevance, rollout, stats, mixing, similarity, spectrum):
        case()
    if "--check" not in sys.argv:
        OUT.write_text("\n".join(lines) + "\n")
        return 0
    there, bad = OUT.read_text().split("\n")[:-1], 0
    for a, b in zip(there, lines):
        a, b = a.split(), b.split()
        same = a[:2] == b[:2] and np.allclose([float(v) for v in a[2:]], [float(v) for v in b[2:]],
                                              rtol=1e-9, atol=1e-12, equal_nan=True)
        if not same:
            print(a[0], "differs")
            bad += 1
    return 1 if bad or len(there) != len(lines) else 0


sys.exit(main())

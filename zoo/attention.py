"""Attention weights: what PyTorch computes, and how far omma's are from it.

    python3 zoo/attention.py     shows on made-up numbers that differences are found

PyTorch's are taken from the very modules that are exported: every nn.MultiheadAttention of a run
is asked for its weights, head by head (need_weights, average_attn_weights=False), and of models
that have none the windows of Swin, whose softmax is a function. omma's are those of zoo_weights.c,
in the order of the run. An attention that is the same for every picture (the first one of a DETR's
queries among each other) is a constant to omma, and no attention of the graph.
"""
import contextlib
import glob
import os
import subprocess

import numpy as np
import torch
from torch import nn

from check import Differs

TOLERANCE = 1e-5  # weights are 1 at most
LIMIT = 600  # [s]


def can_be_watched(model):
    return any(isinstance(m, nn.MultiheadAttention) or type(m).__name__.startswith("ShiftedWindow")
               for m in model.modules())


@contextlib.contextmanager
def watched(model, found):
    """Within it every run appends the weights of its attentions, [batch or windows, heads, queries,
    keys], to `found`."""
    multi = [m for m in model.modules() if isinstance(m, nn.MultiheadAttention)]
    softmax = torch.nn.functional.softmax

    def wrap(plain):
        def forward(*a, **k):
            k.update(need_weights=True, average_attn_weights=False)
            y, weights = plain(*a, **k)
            found.append(weights)
            return y, weights
        return forward

    def softmax_watched(x, *a, **k):
        y = softmax(x, *a, **k)
        if x.ndim == 4:
            found.append(y)
        return y

    for m in multi:
        m.forward = wrap(m.forward)
    if not multi:
        torch.nn.functional.softmax = softmax_watched
    try:
        with torch.no_grad():
            yield
    finally:
        torch.nn.functional.softmax = softmax
        for m in multi:
            del m.forward


def weights_of(model, case):
    found = []
    with watched(model, found):
        model(*(torch.from_numpy(a) for a in case))
    return [w.numpy() for w in found]


def save(model, cases, folder):
    """Write case*/attention_K.npy of each case but the last, another picture of the first one's
    size, which shows what does not depend on the picture. Returns how many a case has."""
    first, other = weights_of(model, cases[0]), weights_of(model, cases[-1])
    keep = [not np.array_equal(a, b) for a, b in zip(first, other)]
    for k, case in enumerate(cases[:-1]):
        runs = first if k == 0 else weights_of(model, case)
        kept = [w for w, yes in zip(runs, keep) if yes]
        for i, w in enumerate(kept):
            np.save(os.path.join(folder, f"case{k}", f"attention_{i}.npy"), w)
    return sum(keep), len(keep) - sum(keep)


def compare(ours, theirs):
    """The largest difference of two lists of weights; raises Differs."""
    if len(ours) != len(theirs):
        raise Differs(f"{len(ours)} attentions, not {len(theirs)}")
    worst = 0.0
    for k, (a, b) in enumerate(zip(ours, theirs)):
        if a.shape != b.shape:
            raise Differs(f"the weights of attention {k} are {list(a.shape)}, not {list(b.shape)}")
        d = float(np.abs(a.astype(np.float64) - b).max())
        if not d <= TOLERANCE:
            raise Differs(f"the weights of attention {k} are off by {d:.2g}")
        worst = max(worst, d)
    return worst


def examine(program, model, about, folder, k):
    """Run zoo_weights on case k: the largest difference of all weights; raises Differs."""
    case, out = os.path.join(folder, f"case{k}"), os.path.join(folder, f"weights{k}")
    os.makedirs(out, exist_ok=True)
    command = [program, model, out]
    command += [f"{name}={os.path.join(case, f'in_{name}.npy')}" for name in about["inputs"]]
    if about["external"]:
        command.append("--external")
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=LIMIT)
    except subprocess.TimeoutExpired:
        raise Differs(f"zoo_weights did not end within {LIMIT} s") from None
    if done.returncode != 0:
        said = done.stdout.strip().splitlines() or [""]
        raise Differs(f"zoo_weights: exit status {done.returncode}: {said[-1]}")
    ours = [np.load(os.path.join(out, f"weights_{i}.npy"))
            for i in range(len(done.stdout.strip().splitlines()))]
    theirs = [np.load(os.path.join(case, f"attention_{i}.npy")) for i in range(about["attention"][0])]
    for path in glob.glob(os.path.join(out, "*.npy")):
        os.remove(path)
    return compare(ours, theirs)


def selftest():
    rng = np.random.default_rng(1)
    a = [rng.random((2, 3, 4, 5), np.float32) for _ in range(3)]
    assert compare(a, [w.copy() for w in a]) == 0
    for wrong in (a[:2], [a[0], a[2], a[1]], [a[0], a[1].swapaxes(1, 0), a[2]],
                  [a[0], a[1], a[2] + np.float32(2e-5)], [a[0], a[1], a[2] * np.nan]):
        try:
            compare(wrong, a)
        except Differs:
            continue
        raise AssertionError("a difference was not found")
    m = nn.MultiheadAttention(8, 2, batch_first=True).eval()
    x = rng.random((1, 5, 8), np.float32)
    model = type("M", (nn.Module,), {"forward": lambda self, t: self.m(t, t, t, need_weights=False)[0]})()
    model.m = m
    before = model(torch.from_numpy(x))
    w = weights_of(model, (x,))
    assert len(w) == 1 and w[0].shape == (1, 2, 5, 5) and np.allclose(w[0].sum(-1), 1, atol=1e-6)
    assert torch.equal(before, model(torch.from_numpy(x)))


if __name__ == "__main__":
    selftest()
    print("differences are found")

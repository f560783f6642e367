"""Attention weights: what PyTorch computes, and how far omma's are from it.

    python3 zoo/attention.py                     shows on made-up numbers that differences are found
    python3 zoo/attention.py MODEL SIZE FOLDER   weights of PyTorch's layers from the tokens there on:
                                                 exact_K.npy in float64, single_K.npy in float32

PyTorch's are taken from the very modules that are exported: every nn.MultiheadAttention of a run
is asked for its weights, head by head (need_weights, average_attn_weights=False), and of models
that have none the windows of Swin, whose softmax is a function. omma's are those of zoo_weights.c,
in the order of the run. An attention that is the same for every picture (the first one of a DETR's
queries among each other) is a constant to omma, and no attention of the graph.

No weight may be 1e-5 away. Behind the random ResNet-50 of the detector PyTorch's own float32 weights
are farther than that from its float64 ones. There each layer is held to it from the same tokens on:
what omma had in front of a layer goes into PyTorch's layer, in float64. (Where even then float32 is
farther, because a head's scores are of the order of thousands, NOISE times PyTorch's distance
counts, and is told.) From the picture on omma's weights must be as near to PyTorch's as float32 lets
them.
"""
import contextlib
import copy
import glob
import os
import subprocess
import sys

import numpy as np
import torch
from torch import nn

from check import Differs

TOLERANCE = 1e-5  # weights are 1 at most
NOISE = 3  # times how far PyTorch's float32 is from its float64, where that is more
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


def double_weights(model, case):
    return weights_of(copy.deepcopy(model).double(), [a.astype(np.float64) for a in case])


def save(model, cases, folder, noisy):
    """Write case*/attention_K.npy of each case but the last, another picture of the first one's
    size, which shows what does not depend on the picture. Returns what export.json says of it;
    noisy: also how far float32 is from float64 in each case."""
    first, other = weights_of(model, cases[0]), weights_of(model, cases[-1])
    about = {"kept": [i for i, (a, b) in enumerate(zip(first, other)) if not np.array_equal(a, b)]}
    about["constant"] = len(first) - len(about["kept"])
    about["noise"] = []
    for k, case in enumerate(cases[:-1]):
        runs = first if k == 0 else weights_of(model, case)
        for i, at in enumerate(about["kept"]):
            np.save(os.path.join(folder, f"case{k}", f"attention_{i}.npy"), runs[at])
        if noisy:
            exact = double_weights(model, case)
            about["noise"].append(max(float(np.abs(runs[i] - exact[i]).max()) for i in about["kept"]))
    return about


class Shape(nn.Module):
    """In the place of a backbone: only the size of its map counts."""

    def forward(self, x):
        h, w = ((n + 31) // 32 for n in x.shape[2:])
        return x.new_zeros(1, 2048, h, w)


def from_tokens(model, tokens, memory):
    """A detector (detr.py) whose layers begin with these tokens: tokens[i] what goes into the layer
    that is the i-th to call an attention, None: its own; memory: what the decoder reads."""
    def enter(x, reads_memory):
        def hook(layer, inputs):
            begin = inputs[0] if x is None else torch.from_numpy(x).to(inputs[0].dtype)
            assert begin.shape == inputs[0].shape, (begin.shape, inputs[0].shape)
            rest = inputs[1:]
            if reads_memory:
                rest = (torch.from_numpy(memory).to(inputs[0].dtype),) + rest[1:]
            return (begin,) + rest
        return hook

    model.backbone = Shape()
    encoder, decoder = model.transformer.encoder.layers, model.transformer.decoder.layers
    for i, layer in enumerate(encoder):
        layer.register_forward_pre_hook(enter(tokens[i], False))
    for i, layer in enumerate(decoder):
        layer.register_forward_pre_hook(enter(tokens[len(encoder) + 2 * i], True))
    return model


def compare(ours, theirs, limit=TOLERANCE, since="the picture"):
    """The largest difference of two lists of weights; raises Differs."""
    if len(ours) != len(theirs):
        raise Differs(f"{len(ours)} attentions, not {len(theirs)}")
    worst = 0.0
    for k, (a, b) in enumerate(zip(ours, theirs)):
        if a.shape != b.shape:
            raise Differs(f"the weights of attention {k} are {list(a.shape)}, not {list(b.shape)}")
        d = float(np.abs(a.astype(np.float64) - b).max())
        if not d <= limit:
            raise Differs(f"the weights of attention {k}, from {since} on, are off by {d:.2g}, not {limit:.2g}")
        worst = max(worst, d)
    return worst


def run(command):
    """The lines it prints; raises Differs."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=LIMIT)
    except subprocess.TimeoutExpired:
        raise Differs(f"{os.path.basename(command[0])} did not end within {LIMIT} s") from None
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0:
        raise Differs(f"{os.path.basename(command[0])}: exit status {done.returncode}: {lines[-1:]}")
    return lines


def load(folder, name, n):
    return [np.load(os.path.join(folder, f"{name}_{i}.npy")) for i in range(n)]


def layer_by_layer(ours, about, name, size, folder):
    """(the largest difference of weights held to TOLERANCE, [(the difference, PyTorch's float32's) of
    those where that cannot be held]); raises Differs."""
    n = len(about["kept"]) + about["constant"]
    run([sys.executable, os.path.abspath(__file__), name, size, folder])
    exact, single = load(folder, "exact", n), load(folder, "single", n)
    worst, excused = 0.0, []
    for w, at in zip(ours, about["kept"]):
        noise = float(np.abs(single[at] - exact[at]).max())
        limit = max(TOLERANCE, NOISE * noise)
        d = compare([w], [exact[at]], limit, f"the tokens of attention {at}")
        if d <= TOLERANCE:
            worst = max(worst, d)
        else:
            excused.append((d, noise))
    return worst, excused


def examine(program, name, about, folder, k):
    """Run zoo_weights on case k of a model: the largest difference of all weights, and what
    layer_by_layer says (None: not asked); raises Differs."""
    case, out = os.path.join(folder, f"case{k}"), os.path.join(folder, f"weights{k}")
    os.makedirs(out, exist_ok=True)
    said, n, layers = about["attention"], len(about["attention"]["kept"]), None
    command = [program, os.path.join(folder, "model.onnx"), out]
    command += [f"{i}={os.path.join(case, f'in_{i}.npy')}" for i in about["inputs"]]
    lines = run(command + ["--external"] * about["external"])
    ours = load(out, "weights", len(lines))
    limit = max(TOLERANCE, NOISE * said["noise"][k]) if said["noise"] else TOLERANCE
    away = compare(ours, load(case, "attention", n), limit)
    if said["noise"]:
        kept = " ".join(map(str, said["kept"]))
        with open(os.path.join(out, "kept.txt"), "w") as f:
            f.write(kept)
        picture = np.load(os.path.join(case, f"in_{about['inputs'][0]}.npy"))
        layers = layer_by_layer(ours, said, name, "x".join(map(str, picture.shape)), out)
    for path in glob.glob(os.path.join(out, "*.npy")):
        os.remove(path)
    return away, layers


def said_of(about, away):
    """What was found in each case, for the note."""
    said = about["attention"]
    text = f"{len(said['kept'])} attentions"
    if said["constant"]:
        text += f" and {said['constant']} that is constant"
    text += f": weights {', '.join(f'{d:.1e}' for d, _ in away)} away"
    if said["noise"]:
        text += f" (PyTorch's float32 {', '.join(f'{d:.1e}' for d in said['noise'])} from its float64)"
        text += ", each layer from the same tokens on " + ", ".join(f"{l[0]:.1e}" for _, l in away)
        excused = [e for _, l in away for e in l[1]]
        if excused:
            text += "".join(f", one {d:.1e} where float32 is {n:.1e} from float64" for d, n in excused)
    return text + "; watched outputs have the same bits"


def write_layers(name, size, folder):
    import catalog

    with open(os.path.join(folder, "kept.txt")) as f:
        kept = [int(n) for n in f.read().split()]
    tokens = {at: np.load(os.path.join(folder, f"tokens_{i}.npy")) for i, at in enumerate(kept)}
    memory = np.load(os.path.join(folder, "memory.npy"))
    model = catalog.build(next(s for s in catalog.specimens() if s.name == name))[0]
    picture = np.zeros([int(n) for n in size.split("x")])
    calls = len(model.transformer.encoder.layers) + 2 * len(model.transformer.decoder.layers)
    model = from_tokens(model, [tokens.get(i) for i in range(calls)], memory)
    for kind, dtype in (("single", np.float32), ("exact", np.float64)):
        model = model.double() if kind == "exact" else model.float()
        for i, w in enumerate(weights_of(model, (picture.astype(dtype),))):
            np.save(os.path.join(folder, f"{kind}_{i}.npy"), w)


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
    if len(sys.argv) == 4:
        write_layers(*sys.argv[1:])
    else:
        selftest()
        print("differences are found")

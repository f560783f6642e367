#!/usr/bin/env python3
"""Make the folders beside this file: three models and their gradients, after PyTorch.

    python3 make.py [MODEL...]          default: all of resnet, vit, detr

README.md says what the files are, with which versions they were made, and what was seen.
"""
import copy
import io
import os
import sys

import numpy as np
import onnx
import torch
from onnx import helper

from models import MODELS

SEED = 20231     # of pictures and cotangents
PICTURES = 128   # tried, for one that keeps every ReLU and maximum away from its kink
WHOLE = 4096     # gradients of up to this many elements are recorded whole
SAMPLES = 256    # elements recorded of each of the others
WEIGHTS = 4096   # attention weights recorded of a layer: all, or so many of them
HERE = os.path.dirname(os.path.abspath(__file__))


# --- weights: the generator that tests/gradgold.h has too ---------------------------------


def hash32(t, i):
    """Murmur3's finaliser of t * 0x9E3779B9 + i; i: an array."""
    h = (np.uint64(t * 0x9E3779B9) + np.asarray(i, np.uint64)).astype(np.uint32)
    h ^= h >> np.uint32(16)
    h *= np.uint32(0x85EBCA6B)
    h ^= h >> np.uint32(13)
    h *= np.uint32(0xC2B2AE35)
    return h ^ (h >> np.uint32(16))


def generate(t, count, scale, shift):
    """Element i is scale * u + shift, u the hash as a multiple of 2^-23 in [-1, 1)."""
    k = (hash32(t, np.arange(count)) >> np.uint32(8)).astype(np.int32) - (1 << 23)
    return k.astype(np.float32) * np.float32(2.0 ** -23) * scale + shift


def scale_and_shift(name, shape):
    """Such that activations stay of the order of 1 to 10 on their way through the model."""
    scale, shift = 0.05, 0.0
    last = name.rpartition(".")[2]
    is_norm = "norm" in name or "bn" in name or "downsample.1" in name \
        or name.startswith(("backbone.1.", "backbone.4.", "backbone.7."))
    if last == "running_var":
        scale, shift = 0.25, 1.0
    elif last == "running_mean":
        scale = 0.1
    elif last == "weight" and "bn2" in name:  # the end of a branch that is added
        scale, shift = 0.1, 0.5
    elif is_norm:
        scale, shift = (0.2, 1.0) if last == "weight" else (0.1, 0.0)
    elif name in ("cls_token", "pos_embed", "query_embed"):
        scale = 1.0
    elif len(shape) > 1:  # variance 2/n before a ReLU, 1/n elsewhere, n inputs
        gain = 2.0 if len(shape) == 4 and "proj" not in name and "patch" not in name else 1.0
        scale = (3.0 * gain / np.prod(shape[1:])) ** 0.5
    return np.float32(scale), np.float32(shift)


def state(model):
    """Parameters and buffers of real numbers, but for the sine positions, by name."""
    return {n: v for n, v in model.state_dict().items()
            if v.dtype.is_floating_point and n not in ("pos_x", "pos_y")}


# --- the file -----------------------------------------------------------------------------


def export(model, shape, outputs):
    """ONNX, with batch norm as it is: PRESERVE, because EVAL folds it into convolutions."""
    with torch.no_grad():  # equal initialisers would become one
        for v in state(model).values():
            v.copy_(torch.rand_like(v) + 0.5)
    buffer = io.BytesIO()
    torch.onnx.export(model, torch.zeros(shape), buffer, opset_version=17, input_names=["picture"],
                      output_names=outputs, training=torch.onnx.TrainingMode.PRESERVE,
                      do_constant_folding=False, keep_initializers_as_inputs=False)
    return onnx.load_model_from_string(buffer.getvalue())


def strip(file, names):
    """Make initialisers of these names inputs, which follow the picture in the file's order."""
    graph = file.graph
    weights = [t for t in graph.initializer if t.name in names]
    rest = [t for t in graph.initializer if t.name not in names]
    assert {t.name for t in weights} == set(names) and len(graph.input) == 1
    assert all(np.prod(t.dims) <= 1024 for t in rest), [t.name for t in rest]
    del graph.initializer[:]
    graph.initializer.extend(rest)
    graph.input.extend(helper.make_tensor_value_info(t.name, t.data_type, list(t.dims))
                       for t in weights)
    onnx.checker.check_model(file, full_check=True)
    return [t.name for t in weights]


def set_weights(model, order, folder):
    """Give weight t of the order, from 1, its numbers; write the table of them."""
    tensors = state(model)
    lines = ["# name count scale shift sum-of-bits: see README.md"]
    for t, name in enumerate(order, 1):
        v = tensors[name]
        scale, shift = scale_and_shift(name, v.shape)
        data = generate(t, v.numel(), scale, shift)
        assert data.dtype == np.float32
        v.copy_(torch.from_numpy(data).reshape(v.shape))
        bits = int(data.view(np.uint32).sum(dtype=np.uint64)) & 0xFFFFFFFF
        lines.append(f"{name} {v.numel()} {scale:.9g} {shift:.9g} {bits:08x}")
    write_lines(folder, "weights.txt", lines)


def write_lines(folder, name, lines):
    with open(os.path.join(folder, name), "w") as f:
        f.write("\n".join(lines) + "\n")


# --- kinks --------------------------------------------------------------------------------


class Margin:
    """How near the inputs of ReLU and max pooling come to where the gradient jumps, as a
    fraction of the root mean square of that input; the least of all that was seen."""

    def __init__(self, model):
        self.least = float("inf")
        for m in model.modules():
            if isinstance(m, torch.nn.ReLU):
                m.register_forward_pre_hook(self.relu)
            elif isinstance(m, torch.nn.MaxPool2d):
                m.register_forward_pre_hook(self.pool)

    def note(self, distance, x):
        self.least = min(self.least, (distance.min() / x.square().mean().sqrt()).item())

    def relu(self, module, inputs):
        self.note(inputs[0].abs(), inputs[0])

    def pool(self, module, inputs):
        x = inputs[0]
        padded = torch.nn.functional.pad(x, [module.padding] * 4, value=float("-inf"))
        k, s = module.kernel_size, module.stride
        windows = padded.unfold(2, k, s).unfold(3, k, s).flatten(4)
        two = windows.topk(2).values
        # All zero behind a ReLU: whoever gets the gradient, it ends there.
        self.note((two[..., 0] - two[..., 1])[two[..., 0] > 0], x)


def picture_of(trial, shape):
    """Bytes as a picture has them, brought to -2 .. 2: exact in float32."""
    levels = np.random.default_rng([SEED, trial]).integers(0, 256, shape)
    return torch.from_numpy(((levels - 127.5) / 64).astype(np.float32))


def choose_picture(model, shape):
    """The picture whose margin is the widest. Returns it and the margin."""
    watched, best, widest, margins = copy.deepcopy(model), None, -1.0, []
    margin = Margin(watched)
    for trial in range(PICTURES):
        x = picture_of(trial, shape)
        margin.least = float("inf")
        with torch.no_grad():
            watched(x.double())
        margins.append(margin.least)
        if margin.least > widest:
            best, widest = x, margin.least
        if np.isinf(widest):  # nothing in the model has a kink
            break
    return best, widest, float(np.median(margins))


# --- gradients ----------------------------------------------------------------------------


def gradients(model, picture, seeds):
    """Outputs, and the gradient of sum(seed * output) by name; "picture" is the input's."""
    model.zero_grad()
    x = picture.clone().requires_grad_()
    outputs = model(x)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    sum((y * s).sum() for y, s in zip(outputs, seeds)).backward()
    found = {n: p.grad.double().numpy() for n, p in model.named_parameters()}
    found["picture"] = x.grad.double().numpy()
    return [y.detach().double().numpy() for y in outputs], found


def record(order, exact, single, folder):
    """grads.npy and its index, grads.txt. exact and single: in float64 and float32."""
    numbers, lines, worst = [], [], (0.0, "")
    lines.append("# name count form first largest noise sum-noise: see README.md")
    for t, name in enumerate(order, 1):
        if name not in exact:  # a buffer
            continue
        g, g32 = exact[name].ravel(), single[name].ravel()
        largest, noise = np.abs(g).max(), np.abs(g - g32).max()
        sum_noise = abs(g.sum() - g32.sum())
        first = sum(len(n) for n in numbers)
        if len(g) <= WHOLE:
            form = "whole"
            numbers.append(g)
        else:
            form = "sampled"
            at = hash32(t, np.arange(SAMPLES)) % np.uint32(len(g))
            numbers.append(np.concatenate([[g.sum(), np.sqrt((g * g).sum())], g[at]]))
        lines.append(f"{name} {len(g)} {form} {first} {largest:.3g} {noise:.2g} {sum_noise:.2g}")
        if largest > 1e-12:
            worst = max(worst, (noise / largest, name))
        else:
            print(f"  {name}: the gradient is zero")
    save(folder, "grads", np.concatenate(numbers))
    write_lines(folder, "grads.txt", lines)
    return worst


# --- attention weights --------------------------------------------------------------------


def weights_of(model, picture):
    """What every softmax of one run returns, in the order of the run: [B,heads,queries,keys]."""
    plain, found = torch.softmax, []

    def softmax(x, dim):
        found.append(plain(x, dim=dim))
        return found[-1]

    torch.softmax = softmax
    with torch.no_grad():
        model(picture)
    torch.softmax = plain
    return [w.double().numpy() for w in found]


def record_attention(exact, single, folder):
    """attention.npy and its index, attention.txt. exact and single: in float64 and float32."""
    numbers, noises = [], []
    lines = ["# attention batch heads queries keys form first noise: see README.md"]
    for t, (w, w32) in enumerate(zip(exact, single)):
        first = sum(len(n) for n in numbers)
        form = "whole" if w.size <= WEIGHTS else "sampled"
        at = hash32(t, np.arange(WEIGHTS)) % np.uint32(w.size)
        numbers.append(w.ravel() if form == "whole" else w.ravel()[at])
        noises.append(np.abs(w - w32).max())
        shape = " ".join(str(n) for n in w.shape)
        lines.append(f"{t} {shape} {form} {first} {noises[-1]:.2g}")
    save(folder, "attention", np.concatenate(numbers))
    write_lines(folder, "attention.txt", lines)
    return max(noises)


def save(folder, name, array):
    np.save(os.path.join(folder, name + ".npy"), np.ascontiguousarray(array, np.float32))


def far(a, b):
    """The largest difference, as a fraction of the largest number."""
    return np.abs(a - b).max() / np.abs(a).max()


def make(name):
    build, shape, output_names = MODELS[name]
    folder = os.path.join(HERE, name)
    os.makedirs(folder, exist_ok=True)
    torch.manual_seed(SEED)
    model = build().eval()
    file = export(model, shape, output_names)
    order = strip(file, state(model))
    onnx.save(file, os.path.join(folder, "model.onnx"))
    set_weights(model, order, folder)

    double = copy.deepcopy(model).double()
    picture, margin, usual = choose_picture(double, shape)
    rng = np.random.default_rng([SEED, PICTURES])
    with torch.no_grad():
        plain = double(picture.double())
    plain = plain if isinstance(plain, tuple) else (plain,)
    seeds = [torch.from_numpy(rng.standard_normal(y.shape).astype(np.float32)) for y in plain]
    outputs, exact = gradients(double, picture.double(), [s.double() for s in seeds])
    outputs32, single = gradients(model, picture, seeds)

    save(folder, "picture", picture.numpy())
    save(folder, "picture_grad", exact["picture"])
    for i, (y, s) in enumerate(zip(outputs, seeds)):
        save(folder, f"output_{i}", y)
        save(folder, f"seed_{i}", s.numpy())
    worst, where = record(order, exact, single, folder)

    weights = weights_of(double, picture.double())
    if weights:
        off = record_attention(weights, weights_of(model, picture), folder)
        print(f"{name}: weights of {len(weights)} attentions, float32 off by {off:.2g}")

    parameters = sum(p.numel() for p in model.parameters())
    print(f"{name}: {len(order)} weights, {len(exact) - 1} of them parameters of {parameters} "
          f"elements; margin {margin:.2g}, median of the pictures {usual:.2g}")
    for y, z in zip(outputs, outputs32):
        print(f"  output {y.shape}: largest {np.abs(y).max():.3g}, float32 off by {far(y, z):.2g}")
    print(f"  gradient of the picture: largest {np.abs(exact['picture']).max():.3g}, float32 off "
          f"by {far(exact['picture'], single['picture']):.2g}")
    offs = sorted(far(exact[n], single[n]) for n in exact if np.abs(exact[n]).max() > 1e-12)
    print(f"  gradients of parameters: float32 off by {offs[len(offs) // 2]:.2g} in the median, "
          f"{worst:.2g} at most ({where})")


def main():
    torch.set_num_threads(1)
    for name in sys.argv[1:] or MODELS:
        make(name)


if __name__ == "__main__":
    main()

# cases_grid.py - GridSample, against torch.nn.functional.grid_sample in float64.
#
# The grids are of several kinds (see grid_of): inside, on the centres of pixels, half-way
# between two, exactly on borders, up to a few pictures outside, very far outside. Opset 16 says
# "bilinear" and "bicubic" where opset 20, which also has three axes, says "linear" and
# "cubic". Every coordinate is a multiple of 1/64, at which PyTorch's arithmetic and ONNX's
# formulas are exact or nearly so, so that a tie is a tie for both. Pictures are positive:
# no result is a small difference of large numbers.
#
# Every case is also computed by plain(), the formulas of ONNX GridSample 20 and its reference
# implementation, and must agree with PyTorch but where the two are known to differ; there
# ONNX's number is the expected one:
# - cubic with "border" and a place outside: ONNX clamps the place and then its 16 pixels,
#   PyTorch the pixels alone (onnxruntime#10607, open);
# - nearest at a tie: ONNX rounds half to even and pads then, PyTorch pads first, which
#   matters with "reflection"; and with three axes PyTorch before 2.1 rounds half away from
#   zero (pytorch#97000).
import numpy as np
import torch
import torch.nn.functional as F

from case_kit import case, node, random_of

NEW = {"bilinear": "linear", "bicubic": "cubic", "nearest": "nearest"}


def to_grid(pixel, size, align):
    """Pixel coordinates -> what the grid must say."""
    if align:
        return 2 * pixel / (size - 1) - 1
    return (2 * pixel + 1) / size - 1


def grid_of(kind, rng, n, out, spatial, align):
    """[n, *out, k]: x first."""
    axes = []
    for size in reversed(spatial):
        shape = [n, *out]
        if kind == "inside":
            g = rng.integers(-64, 65, shape) / 64
        elif kind == "outside":
            g = rng.integers(-64 * 5, 64 * 5 + 1, shape) / 64
        elif kind == "far":
            g = rng.choice([-1000.0, -37.5, -8.0, -3.0, 3.0, 9.25, 64.0, 5000.0], shape)
        elif kind == "pixels":
            g = to_grid(rng.integers(-1, size + 1, shape).astype(float), size, align)
        elif kind == "halves":
            g = to_grid(rng.integers(-2, size + 1, shape) + 0.5, size, align)
        elif kind == "borders":
            edge = 1 - 1 / size if not align else 1.0
            g = rng.choice([-1.0, 1.0, -edge, edge, 0.0, -1 - 1 / size, 1 + 1 / size], shape)
        axes.append(g)
    return np.stack(axes, -1).astype(np.float32)


def reflect(v, lo, hi):
    """Fold v back and forth into [lo, hi]."""
    if hi == lo:
        return np.full_like(v, lo)
    t = np.mod(np.abs(v - lo), 2 * (hi - lo))
    return lo + np.where(t > hi - lo, 2 * (hi - lo) - t, t)


def taps(g, size, mode, padding, align):
    """Pixels [taps, points] and weights of one axis; and whether a point is at a tie, and
    whether it is outside."""
    lo, hi = (0, size - 1) if align else (-0.5, size - 0.5)
    exact = (g + 1) / 2 * (size - 1) if align else ((g + 1) * size - 1) / 2
    v = np.rint(exact) if mode == "nearest" else exact
    if padding == "border":
        v = np.where((v < lo) | (v > hi), np.clip(v, 0, size - 1), v)
    elif padding == "reflection":
        v = reflect(v, lo, hi)
    base = np.floor(v)
    offsets = {"nearest": [0], "bilinear": [0, 1], "bicubic": [-1, 0, 1, 2]}[mode]
    at = np.stack([base + o for o in offsets])
    t = np.abs(v - at)
    if mode == "nearest":
        w = np.ones_like(t)
    elif mode == "bilinear":
        w = 1 - t
    else:  # Keys' cubic with a = -0.75
        w = np.where(t <= 1, (1.25 * t - 2.25) * t * t + 1, ((t - 5) * t + 8) * t * -0.75 + 3)
    if padding == "zeros":
        w = np.where((at < 0) | (at > size - 1), 0, w)
    elif padding == "reflection":
        at = np.rint(reflect(at, lo, hi))
    outside = (exact < lo) | (exact > hi)
    return np.clip(at, 0, size - 1).astype(int), w, exact % 1 == 0.5, outside


def plain(x, grid, mode, padding, align):
    """The result, and at which points PyTorch may differ."""
    k = grid.shape[-1]
    y = np.zeros([*x.shape[:2], *grid.shape[1:-1]])
    differ = np.zeros(grid.shape[:-1], bool)
    for n in range(len(x)):
        axes = [taps(grid[n, ..., k - 1 - d], x.shape[2 + d], mode, padding, align)
                for d in range(k)]
        for pick in np.ndindex(*[len(a[0]) for a in axes]):
            w = np.prod([a[1][i] for a, i in zip(axes, pick)], axis=0)
            y[n] += w * x[n][(slice(None), *[a[0][i] for a, i in zip(axes, pick)])]
        for _, _, tie, outside in axes:
            if mode == "nearest" and (padding == "reflection" or k == 3):
                differ[n] |= tie
            if mode == "bicubic" and padding == "border":
                differ[n] |= outside
    return y, differ


def sample(name, x, out, kind, mode, padding, align, opset=16, dtype=np.float32):
    """x: [N, C, spatial...]; out: spatial sizes of the result."""
    rng = random_of("grid_sample_" + name)
    picture = (rng.integers(16, 129, x) / 16).astype(dtype)
    grid = grid_of(kind, rng, x[0], out, x[2:], align).astype(dtype)
    wide = picture.astype(np.float64), grid.astype(np.float64)
    y = F.grid_sample(*map(torch.from_numpy, wide), mode, padding, bool(align)).numpy()
    own, differ = plain(*wide, mode, padding, align)
    differ = np.broadcast_to(differ[:, None], y.shape)
    assert np.abs(np.where(differ, 0, own - y)).max() < 1e-9, name
    y = np.where(differ, own, y)
    n = node("GridSample", "x grid", "y", mode=NEW[mode] if opset >= 20 else mode,
             padding_mode=padding, align_corners=align)
    case("grid_sample_" + name, n, {"x": picture, "grid": grid}, {"y": y.astype(dtype)},
         opset=opset, tolerance=(1e-5, 1e-6))


def make():
    # Sizes that are powers of two (plus one with align_corners) keep coordinates exact.
    kinds = {"bilinear": ["outside", "borders"], "nearest": ["outside", "halves", "pixels"],
             "bicubic": ["outside", "borders"]}
    for mode in ("bilinear", "nearest", "bicubic"):
        for padding in ("zeros", "border", "reflection"):
            for align in (0, 1):
                size = [5, 9] if align else [4, 8]
                for kind in kinds[mode]:
                    opset = 20 if kind == "outside" else 16
                    sample(f"{NEW[mode] if opset == 20 else mode}_{padding}_align{align}_{kind}",
                           [2, 3, *size], [5, 7], kind, mode, padding, align, opset)
    for padding in ("zeros", "border", "reflection"):
        for align in (0, 1):
            size = [3, 5, 9] if align else [2, 4, 8]
            for mode in ("bilinear", "nearest"):
                for kind in ("outside", "borders"):
                    if mode == "nearest" and kind == "borders":
                        kind = "pixels"
                    sample(f"3d_{NEW[mode]}_{padding}_align{align}_{kind}", [2, 2, *size],
                           [3, 4, 3], kind, mode, padding, align, 20)
            sample(f"far_{padding}_align{align}", [1, 2, *size[1:]], [4, 5], "far", "bilinear",
                   padding, align)
            sample(f"far_nearest_{padding}_align{align}", [1, 2, *size[1:]], [4, 5], "far",
                   "nearest", padding, align)
            sample(f"far_cubic_{padding}_align{align}", [1, 2, *size[1:]], [4, 5], "far",
                   "bicubic", padding, align, 20)
    for mode in ("bilinear", "nearest", "bicubic"):
        sample(f"{mode}_inside_odd_size", [1, 5, 7, 11], [6, 9], "inside", mode, "zeros", 0)
        sample(f"{mode}_one_pixel", [1, 3, 1, 1], [3, 4], "outside", mode, "border", 0)
        sample(f"{mode}_one_row", [2, 3, 1, 16], [3, 4], "outside", mode, "zeros", 0)
    sample("bilinear_many_channels", [1, 37, 8, 16], [9, 11], "outside", "bilinear", "zeros", 0)
    sample("deformable_attention", [3, 16, 8, 8], [20, 4], "inside", "bilinear", "zeros", 0)
    sample("one_point", [1, 2, 4, 4], [1, 1], "inside", "bilinear", "zeros", 0)
    sample("f64_bilinear", [1, 2, 4, 8], [3, 5], "outside", "bilinear", "reflection", 0,
           dtype=np.float64)

#!/usr/bin/env python3
"""Make what docs/six-questions.md looks at beside the pretrained models, all of it our own:

    stack.onnx   ten 3x3 convolutions, every weight the same
    seek.onnx    a transformer whose weights were written by hand, so that its numbers can be read
    squares.png  a red bar and a blue block, for seek.onnx
    line.png     a line of text
    street.jpg   a stop sign and a clock

    make.py [FOLDER]      default: the folder of this script

Deterministic. Needs Debian's python3-onnx, python3-pil, python3-numpy and fonts-dejavu-core.
"""
import math
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageDraw, ImageFilter, ImageFont

FONTS = "/usr/share/fonts/truetype/dejavu/"


def model(name, nodes, inputs, outputs, weights):
    """A model of nodes with these weights, {name: array}, checked."""
    given = [numpy_helper.from_array(np.asarray(w), n) for n, w in weights.items()]
    graph = helper.make_graph(nodes, name, inputs, outputs, given)
    m = helper.make_model(graph, producer_name="omma examples",
                          opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    onnx.checker.check_model(m, full_check=True)
    return m


def tensor(name, dims):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)


# --- stack.onnx --------------------------------------------------------------------------------

def stack(layers=10, side=64):
    """y of layer n is the mean of the 3x3 cells of layer n - 1 around it; the first mixes colours."""
    nodes, weights, last = [], {}, "picture"
    for i in range(1, layers + 1):
        w = np.full((1, 3 if i == 1 else 1, 3, 3), 1 / (27 if i == 1 else 9), np.float32)
        weights[f"conv{i}.weight"] = w
        nodes.append(helper.make_node("Conv", [last, f"conv{i}.weight"], [f"conv{i}"], f"conv{i}",
                                      kernel_shape=[3, 3], pads=[1, 1, 1, 1]))
        last = f"conv{i}"
    return model("stack", nodes, [tensor("picture", [1, 3, side, side])],
                 [tensor(last, [1, 1, side, side])], weights)


# --- seek.onnx ---------------------------------------------------------------------------------

# The numbers of a token: the mean colour of its patch, where the patch is, where the thing is that
# it belongs to, and whether it is a thing at all. Places are shares of the picture's side.
NUMBERS = ["r", "g", "b", "y", "x", "thing_y", "thing_x", "thing"]
SIDE, PATCH = 32, 8
SHARP = 16.0  # how sharply softmax tells like from unlike


def columns(*names):
    """[8, n]: takes these of a token's numbers out."""
    return np.eye(len(NUMBERS), dtype=np.float32)[:, [NUMBERS.index(n) for n in names]]


def hue():
    """[8, 3]: the colour without its grey: what two tokens are compared by."""
    return columns("r", "g", "b") @ (np.eye(3, dtype=np.float32) - np.float32(1 / 3))


def attention(name, q, k, v, skip, out):
    """skip + softmax(q k^T) v, v put where wo says."""
    return [
        helper.make_node("MatMul", [q, f"{name}.wq"], [f"{name}.q"], f"{name}.q"),
        helper.make_node("MatMul", [k, f"{name}.wk"], [f"{name}.k"], f"{name}.k"),
        helper.make_node("MatMul", [v, f"{name}.wv"], [f"{name}.v"], f"{name}.v"),
        helper.make_node("Transpose", [f"{name}.k"], [f"{name}.kt"], f"{name}.kt", perm=[0, 2, 1]),
        helper.make_node("MatMul", [f"{name}.q", f"{name}.kt"], [f"{name}.scores"], f"{name}.scores"),
        helper.make_node("Softmax", [f"{name}.scores"], [f"{name}.weights"], f"{name}.weights", axis=2),
        helper.make_node("MatMul", [f"{name}.weights", f"{name}.v"], [f"{name}.mix"], f"{name}.mix"),
        helper.make_node("MatMul", [f"{name}.mix", f"{name}.wo"], [f"{name}.branch"], f"{name}.branch"),
        helper.make_node("Add", [skip, f"{name}.branch"], [out], out),
    ]


def seek():
    """Patches become tokens; the encoder tells each where its like are; queries ask for a colour."""
    grid, n = SIDE // PATCH, len(NUMBERS)
    patch = np.zeros((n, 3, PATCH, PATCH), np.float32)
    for c in range(3):
        patch[c, c] = 1 / PATCH**2
    place = np.zeros((1, grid * grid, n), np.float32)
    for t in range(grid * grid):
        place[0, t, 3:5] = (t // grid + 0.5) / grid, (t % grid + 0.5) / grid
    queries = np.zeros((1, 3, n), np.float32)
    queries[0, :, :3] = np.eye(3)
    # feed-forward: a strong hue, of whatever kind, is a thing
    first = hue() * 4
    bias = np.full(3, -0.4, np.float32)
    second = np.zeros((3, n), np.float32)
    second[:, NUMBERS.index("thing")] = 1 / 1.73
    weights = {
        "patch.weight": patch, "tokens.shape": np.array([1, n, -1], np.int64), "place": place,
        "queries": queries,
        "encoder.attention.wq": SHARP * hue(), "encoder.attention.wk": hue(),
        "encoder.attention.wv": columns("y", "x"),
        "encoder.attention.wo": columns("thing_y", "thing_x").T,
        "encoder.forward.w1": first, "encoder.forward.b1": bias, "encoder.forward.w2": second,
        "decoder.attention.wq": SHARP * hue(), "decoder.attention.wk": hue(),
        "decoder.attention.wv": columns("thing_y", "thing_x", "thing"),
        "decoder.attention.wo": columns("thing_y", "thing_x", "thing").T,
        "where.weight": columns("thing_y", "thing_x"), "found.weight": columns("thing"),
    }
    weights = {k: np.ascontiguousarray(v) for k, v in weights.items()}
    nodes = [
        helper.make_node("Conv", ["picture", "patch.weight"], ["patches"], "patches",
                         kernel_shape=[PATCH, PATCH], strides=[PATCH, PATCH]),
        helper.make_node("Reshape", ["patches", "tokens.shape"], ["flat"], "flat"),
        helper.make_node("Transpose", ["flat"], ["content"], "content", perm=[0, 2, 1]),
        helper.make_node("Add", ["content", "place"], ["tokens"], "tokens"),
        *attention("encoder.attention", "tokens", "tokens", "tokens", "tokens", "fused"),
        helper.make_node("MatMul", ["fused", "encoder.forward.w1"], ["hues"], "hues"),
        helper.make_node("Add", ["hues", "encoder.forward.b1"], ["strong"], "strong"),
        helper.make_node("Relu", ["strong"], ["stronger"], "stronger"),
        helper.make_node("MatMul", ["stronger", "encoder.forward.w2"], ["made"], "made"),
        helper.make_node("Add", ["fused", "made"], ["memory"], "memory"),
        *attention("decoder.attention", "queries", "memory", "memory", "queries", "answers"),
        helper.make_node("MatMul", ["answers", "where.weight"], ["where"], "where"),
        helper.make_node("MatMul", ["answers", "found.weight"], ["found"], "found"),
    ]
    return model("seek", nodes, [tensor("picture", [1, 3, SIDE, SIDE])],
                 [tensor("where", [1, 3, 2]), tensor("found", [1, 3, 1])], weights)


# --- pictures ----------------------------------------------------------------------------------

def squares():
    """Grey; a red bar of three patches at the top left, a blue block of four below on the right."""
    img = Image.new("RGB", (SIDE, SIDE), (120, 120, 120))
    d = ImageDraw.Draw(img)
    d.rectangle([0, 0, 3 * PATCH - 1, PATCH - 1], fill=(220, 40, 40))
    d.rectangle([2 * PATCH, 2 * PATCH, SIDE - 1, SIDE - 1], fill=(40, 60, 220))
    return img


def line():
    """A line of print."""
    img = Image.new("RGB", (480, 48), (244, 240, 230))
    f = ImageFont.truetype(FONTS + "DejaVuSerif.ttf", 34)
    ImageDraw.Draw(img).text((20, 3), "Every facet sees a patch,", font=f, fill=(30, 40, 70))
    return img


rng = np.random.default_rng(11)


def grain(side, size, strength):
    """Grey noise [side, side] with grains of `size` px, mean 0."""
    n = rng.normal(0, 1, (side // size + 3,) * 2).astype(np.float32)
    n = np.asarray(Image.fromarray(n).resize((side, side), Image.Resampling.BICUBIC), float)
    return (n - n.mean()) / n.std() * strength


def backdrop(n):
    """Sky, a hedge, a pavement and a road."""
    y = np.linspace(0, 1, n)[:, None, None]
    img = np.array([126, 166, 214]) * (1 - y) + np.array([226, 228, 222]) * y
    img = np.broadcast_to(img, (n, n, 3)) + grain(n, n // 5, 9)[:, :, None]
    rows = np.arange(n)[:, None]
    hedge = (int(0.58 * n) + grain(n, n // 24, 14)[0].astype(int))[None, :]
    green = (rows >= hedge) & (rows < int(0.8 * n))
    img[green] = np.array([58, 84, 44]) + grain(n, 6, 24)[green][:, None] * np.array([0.8, 1, 0.5])
    img[int(0.8 * n):int(0.85 * n)] = (168, 162, 152)
    img[int(0.85 * n):] = (92, 92, 96)
    img[int(0.8 * n):] += grain(n, 3, 7)[int(0.8 * n):, :, None]
    return Image.fromarray(np.clip(img, 0, 255).astype(np.uint8))


def house(d, n):
    """A wall with a window, at the right edge."""
    left, brick = int(0.66 * n), n // 50
    d.rectangle([left, int(0.1 * n), n, int(0.81 * n)], fill=(176, 132, 104))
    for row, y in enumerate(range(int(0.1 * n), int(0.81 * n) - brick, brick)):
        d.line([left, y, n, y], fill=(150, 112, 90), width=2)
        for x in range(left + (row % 2) * n // 40, n, n // 20):
            d.line([x, y, x, y + brick], fill=(150, 112, 90), width=2)
    d.rectangle([left - n // 60, int(0.08 * n), n, int(0.1 * n)], fill=(96, 82, 76))
    box = [int(0.76 * n), int(0.5 * n), int(0.92 * n), int(0.7 * n)]
    d.rectangle(box, fill=(70, 84, 100), outline=(236, 232, 222), width=n // 90)
    d.line([int(0.84 * n), box[1], int(0.84 * n), box[3]], fill=(236, 232, 222), width=n // 120)


def clock(d, n):
    """Twenty to two."""
    x, y, r = 0.835 * n, 0.27 * n, 0.105 * n
    d.ellipse([x - r, y - r, x + r, y + r], fill=(46, 40, 38))
    d.ellipse([x - 0.88 * r, y - 0.88 * r, x + 0.88 * r, y + 0.88 * r], fill=(242, 240, 232))
    f = ImageFont.truetype(FONTS + "DejaVuSans-Bold.ttf", int(0.2 * r))
    for h in range(12):
        a, word = math.radians(30 * h - 90), str(h or 12)
        d.text((x + 0.7 * r * math.cos(a) - d.textlength(word, font=f) / 2,
                y + 0.7 * r * math.sin(a) - 0.12 * r), word, font=f, fill=(30, 30, 34))
    for turns, length, width in ((1.667 / 12, 0.42, 0.07), (40 / 60, 0.62, 0.045)):
        a = math.radians(360 * turns - 90)
        d.line([x, y, x + length * r * math.cos(a), y + length * r * math.sin(a)],
               fill=(24, 24, 28), width=int(width * r))


def octagon(x, y, r):
    corners = (math.radians(22.5 + 45 * k) for k in range(8))
    return [(x + r * math.cos(a), y + r * math.sin(a)) for a in corners]


def stop(d, n):
    x, y, r = 0.3 * n, 0.34 * n, 0.185 * n
    d.rectangle([x - 0.014 * n, y, x + 0.014 * n, 0.845 * n], fill=(138, 140, 142))
    d.rectangle([x + 0.006 * n, y, x + 0.014 * n, 0.845 * n], fill=(104, 106, 110))
    d.polygon(octagon(x, y, r), fill=(236, 234, 230))
    d.polygon(octagon(x, y, 0.94 * r), fill=(186, 28, 34))
    f = ImageFont.truetype(FONTS + "DejaVuSans-Bold.ttf", int(0.56 * r))
    d.text((x - d.textlength("STOP", font=f) / 2, y - 0.34 * r), "STOP", font=f, fill=(244, 242, 238))


def street(side=480, fine=2):
    """Drawn larger, then made smaller, for smooth edges; evening light and a little noise."""
    img = backdrop(side * fine)
    d = ImageDraw.Draw(img)
    for part in (house, clock, stop):
        part(d, side * fine)
    img = img.resize((side, side), Image.Resampling.LANCZOS).filter(ImageFilter.GaussianBlur(0.5))
    light = np.linspace(1.06, 0.86, side)[None, :, None] * np.array([1.03, 1.0, 0.95])
    pixels = np.asarray(img) * light + rng.normal(0, 1.5, (side, side, 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def main(folder):
    onnx.save(stack(), os.path.join(folder, "stack.onnx"))
    onnx.save(seek(), os.path.join(folder, "seek.onnx"))
    squares().save(os.path.join(folder, "squares.png"), optimize=True)
    line().save(os.path.join(folder, "line.png"), optimize=True)
    street().save(os.path.join(folder, "street.jpg"), quality=86)


main(sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__)))

"""The pictures the zoo looks at: photographs where there are some, else made patterns.

A photograph is taken from $OMMA_SHARED/photos, cut to the wanted proportion around a place
that depends on its number and resized; without that folder a pattern is made of waves, discs
and a little noise, from a fixed seed. Either way picture k of a size is always the same.
"""
import glob
import os

import numpy as np
from PIL import Image

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


def photographs():
    folder = os.path.join(os.environ.get("OMMA_SHARED", ""), "photos")
    names = ["chelsea", "astronaut", "coffee", "rocket", "camera", "page"]
    found = [sorted(glob.glob(os.path.join(folder, n + ".*"))) for n in names]
    return [f[0] for f in found if f]


def made(k, height, width):
    """A pattern: u8 [height, width, 3]."""
    g = np.random.default_rng(1000 + k)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    y, x = y / height, x / width
    rgb = np.zeros((height, width, 3), np.float32)
    for c in range(3):
        for _ in range(6):
            fy, fx = g.uniform(0.5, 20, 2)
            rgb[..., c] += g.uniform(5, 25) * np.sin(6.283 * (fy * y + fx * x) + g.uniform(0, 6.283))
    for _ in range(12):
        cy, cx, r = g.uniform(0, 1), g.uniform(0, 1), g.uniform(0.03, 0.25)
        rgb[(y - cy) ** 2 + (x - cx) ** 2 < r * r] += g.uniform(-90, 90, 3)
    rgb += 128 + g.normal(0, 6, rgb.shape)
    return np.clip(rgb, 0, 255).astype(np.uint8)


def picture(k, height, width):
    """Picture number k: u8 [height, width, 3], RGB."""
    files = photographs()
    if not files:
        return made(k, height, width)
    image = Image.open(files[k % len(files)]).convert("RGB")
    w, h = image.size
    scale = min(w / width, h / height)
    cw, ch = scale * width, scale * height
    at = (k // len(files)) / 4 % 1
    left, top = (w - cw) * at, (h - ch) * at
    box = (left, top, left + cw, top + ch)
    return np.asarray(image.resize((width, height), Image.BILINEAR, box=box))


def batch(first, count, height, width):
    """Pictures first, first+1, ... normalised as the models want: f32 [count, 3, height, width]."""
    rgb = np.stack([picture(first + i, height, width) for i in range(count)])
    return np.ascontiguousarray(((rgb / np.float32(255) - MEAN) / STD).transpose(0, 3, 1, 2))


def plain(k, height, width):
    """Picture k in 0..1, for detectors, which normalise it themselves: f32 [3, height, width]."""
    return np.ascontiguousarray((picture(k, height, width) / np.float32(255)).transpose(2, 0, 1))

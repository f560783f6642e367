#!/usr/bin/env python3
"""Make sign.jpg: a picture of our own for the README and for tests: an enamel sign on a brick
wall, seen from the side, in evening light. Deterministic.

Needs Debian's python3-pil, python3-numpy and fonts-dejavu-core.
"""
import sys

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

FONTS = "/usr/share/fonts/truetype/dejavu/"
rng = np.random.default_rng(7)


def font(name, size):
    return ImageFont.truetype(FONTS + name + ".ttf", size)


def wall(w, h):
    """Bricks with mortar, each a little different."""
    img = Image.new("RGB", (w, h), (120, 112, 104))
    d = ImageDraw.Draw(img)
    bw, bh = 96, 36
    for row, y in enumerate(range(0, h, bh)):
        for x in range(-bw if row % 2 else -bw // 2 - bw, w, bw):
            c = np.array([128, 62, 46]) + rng.integers(-18, 18)
            d.rectangle([x + 3, y + 3, x + bw - 3, y + bh - 3], fill=tuple(int(v) for v in c))
    noise = rng.normal(0, 9, (h, w, 1))
    return Image.fromarray(np.clip(np.asarray(img) + noise, 0, 255).astype(np.uint8))


def sign(w, h):
    """White letters on blue enamel."""
    img = Image.new("RGBA", (w, h), (0, 0, 0, 0))
    d = ImageDraw.Draw(img)
    d.rounded_rectangle([0, 0, w - 1, h - 1], 40, fill=(24, 52, 110, 255))
    d.rounded_rectangle([14, 14, w - 15, h - 15], 30, outline=(236, 236, 228, 255), width=6)
    white, yellow = (240, 240, 232, 255), (250, 206, 80, 255)
    lines = [
        ("The Compound Eye", font("DejaVuSerif-Bold", 72), white, 64),
        ("BOOKS & INSTRUMENTS", font("DejaVuSans-Bold", 50), yellow, 176),
        ("Every facet sees a patch,", font("DejaVuSerif", 46), white, 276),
        ("the eye sees the scene.", font("DejaVuSerif", 46), white, 338),
        ("Open 8:30 - 18:00", font("DejaVuSans", 40), white, 436),
        ("No. 42", font("DejaVuSans-Bold", 40), yellow, 494),
    ]
    for text, f, colour, y in lines:
        d.text(((w - d.textlength(text, font=f)) / 2, y), text, font=f, fill=colour)
    for x, y in ((40, 40), (w - 40, 40), (40, h - 40), (w - 40, h - 40)):
        d.ellipse([x - 9, y - 9, x + 9, y + 9], fill=(190, 190, 184, 255))
    return img


def homography(src, dst):
    """Coefficients for Image.transform: dst -> src."""
    rows = []
    for (x, y), (u, v) in zip(dst, src):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    return np.linalg.solve(np.array(rows, float), np.array(src, float).reshape(8))


def main(path):
    w, h = 960, 640
    scene = wall(w, h)
    board = sign(900, 570)
    corners = [(0, 0), (900, 0), (900, 570), (0, 570)]
    place = [(118, 66), (868, 128), (840, 560), (150, 588)]
    warped = board.transform((w, h), Image.Transform.PERSPECTIVE, homography(corners, place),
                             Image.Resampling.BICUBIC)
    shadow = Image.new("RGBA", (w, h), (0, 0, 0, 0))
    shadow.paste((0, 0, 0, 140), (10, 16), warped.getchannel("A"))
    scene = Image.alpha_composite(scene.convert("RGBA"), shadow.filter(ImageFilter.GaussianBlur(9)))
    scene = Image.alpha_composite(scene, warped).convert("RGB")
    light = np.linspace(1.12, 0.72, w)[None, :, None] * np.linspace(1.04, 0.9, h)[:, None, None]
    pixels = np.asarray(scene.filter(ImageFilter.GaussianBlur(0.7))) * light * np.array([1.05, 1.0, 0.9])
    pixels += rng.normal(0, 4, (h, w, 3))
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path, quality=88)


main(sys.argv[1] if len(sys.argv) > 1 else "docs/images/sign.jpg")

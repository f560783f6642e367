#!/usr/bin/env python3
"""Records what Pillow's resize gives, for tests/test_resize.c.

    python3 make.py            (Pillow 9.4)

cases.txt holds a line per case: "src_w src_h dst_w dst_h channels filter crc32 kept".
The input is the same as in the test: bytes from x <- 1664525 x + 1013904223 mod 2^32,
x0 = src_w * 65536 + src_h, each the top 8 bits of x. pixels.bin holds the whole outputs
of the cases with kept = 1, one after another; of the others the CRC must do.
"""
import os
import zlib

import numpy as np
from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))
SIZES = [
    (1, 1, 1, 1), (1, 1, 7, 5), (7, 5, 1, 1), (1, 9, 1, 4), (9, 1, 4, 1), (2, 2, 3, 3), (3, 3, 2, 2),
    (16, 16, 16, 16), (16, 16, 16, 9), (16, 16, 9, 16), (17, 13, 34, 26), (34, 26, 17, 13),
    (31, 19, 7, 11), (7, 11, 31, 19), (40, 30, 13, 47), (13, 47, 40, 30), (63, 64, 65, 3), (5, 100, 50, 10),
    (100, 3, 33, 3), (200, 150, 10, 8), (10, 8, 61, 43), (50, 49, 49, 50),
    (640, 480, 640, 640), (640, 427, 800, 534), (427, 640, 640, 640), (1280, 853, 640, 640),
    (320, 240, 800, 600), (500, 375, 1066, 800), (612, 612, 224, 224), (1000, 20, 33, 401), (2047, 3, 1, 2),
]


def noise(n, x):
    out = bytearray(n)
    for i in range(n):
        x = (1664525 * x + 1013904223) & 0xFFFFFFFF
        out[i] = x >> 24
    return bytes(out)


def main():
    kept, lines = bytearray(), []
    for sw, sh, dw, dh in SIZES:
        for channels in (1, 3):
            data = np.frombuffer(noise(sw * sh * channels, sw * 65536 + sh), np.uint8)
            shape = (sh, sw, 3) if channels == 3 else (sh, sw)
            img = Image.fromarray(data.reshape(shape))
            for f in (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC):
                out = img.resize((dw, dh), f).tobytes()
                keep = len(out) <= 6000
                kept += out if keep else b""
                lines.append(f"{sw} {sh} {dw} {dh} {channels} {int(f)} {zlib.crc32(out):08x} {int(keep)}")
    with open(os.path.join(HERE, "cases.txt"), "w") as f:
        f.write("\n".join(lines) + "\n")
    with open(os.path.join(HERE, "pixels.bin"), "wb") as f:
        f.write(kept)


main()

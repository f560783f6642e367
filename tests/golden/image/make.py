#!/usr/bin/env python3
"""Makes the small pictures beside this file and, for each, NAME.npy: the pixels Pillow reads.

    python3 make.py            (Pillow 9.4, libjpeg-turbo 2.1.5, libwebp 1.2.4)

Expected pixels are Image.open().convert("RGB") after ImageOps.exif_transpose, except where
omma differs on purpose: alpha and colour keys lie over white, and 16-bit samples give their
high byte (worked out here with numpy).
"""
import io
import os
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

HERE = os.path.dirname(os.path.abspath(__file__))
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
rng = np.random.default_rng(7)


def photo(w, h, channels=3, top=255):
    """Gradients, an edge and a little noise, [h, w, channels] in 0..top."""
    y, x = np.mgrid[0:h, 0:w].astype(float)
    planes = [(x / w * 0.8 + 0.1), (y / h * 0.9), ((x + y) / (w + h)), (1 - 0.8 * x / w)]
    img = np.stack(planes[:channels], -1)
    img[h // 3 : h // 2, w // 4 : w // 2] = 1 - img[h // 3 : h // 2, w // 4 : w // 2]
    img += rng.normal(0, 0.02, img.shape)
    return np.rint(np.clip(img, 0, 1) * top).astype(int)


def save(name, data):
    with open(os.path.join(HERE, name), "wb") as f:
        f.write(data)


def record(name, rgb):
    np.save(os.path.join(HERE, name + ".npy"), np.ascontiguousarray(rgb, dtype=np.uint8))


def over_white(img):
    img = img.convert("RGBA")
    white = Image.new("RGB", img.size, (255, 255, 255))
    white.paste(img, mask=img.getchannel("A"))
    return white


def from_pillow(name):
    img = ImageOps.exif_transpose(Image.open(os.path.join(HERE, name)))
    alpha = img.mode in ("RGBA", "LA", "PA") or "transparency" in img.info
    record(name, np.asarray(over_white(img) if alpha else img.convert("RGB")))


def exif(orientation, big=False):
    e = ">" if big else "<"
    entry = struct.pack(e + "HHIHH", 0x0112, 3, 1, orientation, 0)
    other = struct.pack(e + "HHII", 0x0100, 4, 1, 99)
    return (b"MM" if big else b"II") + struct.pack(e + "HIH", 42, 8, 2) + other + entry + bytes(4)


# --- PNG, written by hand so that every depth and interlacing is there ----------------


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def pack_rows(a, depth):
    """a: [h, w, c] samples to filtered rows (filter 0, and 1 where bytes allow)."""
    out = b""
    for i, row in enumerate(a):
        flat = row.reshape(-1)
        if depth == 16:
            raw = flat.astype(">u2").tobytes()
        elif depth == 8:
            raw = flat.astype(np.uint8).tobytes()
        else:
            bits = (flat[:, None] >> np.arange(depth - 1, -1, -1)) & 1
            raw = np.packbits(bits.reshape(-1).astype(np.uint8)).tobytes()
        bpp = max(1, depth * a.shape[2] // 8)
        if i % 2 and depth >= 8:
            b = np.frombuffer(raw, np.uint8).astype(int)
            left = np.concatenate([np.zeros(bpp, int), b[:-bpp]])
            out += b"\1" + ((b - left) & 255).astype(np.uint8).tobytes()
        else:
            out += b"\0" + raw
    return out


def png(name, a, depth, color, extra=b"", interlaced=False):
    h, w = a.shape[:2]
    if interlaced:
        passes = [a[y::dy, x::dx] for x, y, dx, dy in ADAM7]
        raw = b"".join(pack_rows(p, depth) for p in passes if p.size)
    else:
        raw = pack_rows(a, depth)
    head = struct.pack(">IIBBBBB", w, h, depth, color, 0, 0, int(interlaced))
    z = zlib.compress(raw, 9)
    save(name, b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", z[:100])
         + chunk(b"IDAT", z[100:]) + chunk(b"IEND", b""))


def high(a):
    return np.broadcast_to(a >> 8, a.shape[:2] + (3,))


def blend(c, a):
    return (2 * (c * a + 255 * (255 - a)) + 255) // 510


def make_png():
    w, h = 23, 17
    for depth in (1, 2, 4, 8):
        png(f"grey{depth}.png", photo(w, h, 1, 2**depth - 1), depth, 0)
        from_pillow(f"grey{depth}.png")
    palette = rng.integers(0, 256, 16 * 3, dtype=np.uint8).tobytes()
    index = photo(w, h, 1, 15)
    png("palette4.png", index, 4, 3, chunk(b"PLTE", palette))
    png("palette4_key.png", index, 4, 3, chunk(b"PLTE", palette) + chunk(b"tRNS", bytes(range(0, 250, 25))))
    png("palette8.png", index, 8, 3, chunk(b"PLTE", palette))
    png("rgb8.png", photo(w, h), 8, 2)
    png("rgb8_interlaced.png", photo(w, h), 8, 2, interlaced=True)
    png("grey2_interlaced.png", photo(w, h, 1, 3), 2, 0, interlaced=True)
    png("rgb8_turned.png", photo(w, h), 8, 2, chunk(b"eXIf", exif(6)))
    key = photo(w, h)
    key[3:9, 5:11] = (10, 200, 30)
    png("rgb8_key.png", key, 8, 2, chunk(b"tRNS", struct.pack(">HHH", 10, 200, 30)))
    png("la8.png", photo(w, h, 2), 8, 4)
    png("rgba8.png", photo(w, h, 4), 8, 6)
    png("rgba8_interlaced.png", photo(w, h, 4), 8, 6, interlaced=True)
    png("rgb16.png", photo(w, h, 3, 65535), 16, 2)
    png("one.png", photo(1, 1), 8, 2)
    for name in ("palette4", "palette4_key", "palette8", "rgb8", "rgb8_interlaced", "grey2_interlaced",
                 "rgb8_turned", "rgb8_key", "la8", "rgba8", "rgba8_interlaced", "rgb16", "one"):
        from_pillow(name + ".png")
    a = photo(w, h, 1, 65535)
    png("grey16.png", a, 16, 0)
    record("grey16.png", high(a))
    a = photo(w, h, 2, 65535)
    png("la16.png", a, 16, 4)
    record("la16.png", blend(high(a[:, :, :1]), a[:, :, 1:] >> 8))
    a = photo(w, h, 4, 65535)
    png("rgba16.png", a, 16, 6)
    record("rgba16.png", blend(a[:, :, :3] >> 8, a[:, :, 3:] >> 8))
    a = photo(w, h, 3, 65535)
    a[2:5, 3:9] = (1000, 40000, 513)
    a[6:8, 3:9] = (1000, 40000, 514)  # same high bytes, another colour: opaque
    png("rgb16_key.png", a, 16, 2, chunk(b"tRNS", struct.pack(">HHH", 1000, 40000, 513)))
    keyed = (a == (1000, 40000, 513)).all(-1, keepdims=True)
    record("rgb16_key.png", np.where(keyed, 255, a >> 8))


# --- JPEG and WebP, by Pillow -----------------------------------------------------------


def encoded(img, **options):
    f = io.BytesIO()
    img.save(f, **options)
    return f.getvalue()


def make_jpeg():
    w, h = 43, 29
    rgb = Image.fromarray(photo(w, h).astype(np.uint8))
    files = {
        "grey.jpg": encoded(rgb.convert("L"), format="JPEG", quality=85),
        "rgb444.jpg": encoded(rgb, format="JPEG", quality=85, subsampling=0),
        "rgb422.jpg": encoded(rgb, format="JPEG", quality=85, subsampling=1),
        "rgb420.jpg": encoded(rgb, format="JPEG", quality=85, subsampling=2),
        "progressive.jpg": encoded(rgb, format="JPEG", quality=85, progressive=True),
        "cmyk.jpg": encoded(Image.fromarray(photo(w, h, 4).astype(np.uint8), "CMYK"), format="JPEG", quality=85),
        "one.jpg": encoded(rgb.crop((0, 0, 1, 1)), format="JPEG"),
    }
    cmyk = files["cmyk.jpg"]  # the same bytes, declared YCCK by Adobe's transform flag
    flag = cmyk.index(b"Adobe") + 11
    files["ycck.jpg"] = cmyk[:flag] + b"\2" + cmyk[flag + 1 :]
    for k in range(1, 9):
        block = b"Exif\0\0" + exif(k, big=k % 2 == 0)
        files[f"turned{k}.jpg"] = encoded(rgb.crop((0, 0, 24, 16)), format="JPEG", quality=90, exif=block)
    for name, data in files.items():
        save(name, data)
        from_pillow(name)


def make_webp():
    w, h = 37, 21
    rgb = Image.fromarray(photo(w, h).astype(np.uint8))
    rgba = Image.fromarray(photo(w, h, 4).astype(np.uint8), "RGBA")
    files = {
        "lossy.webp": encoded(rgb, format="WEBP", quality=80),
        "lossless.webp": encoded(rgb, format="WEBP", lossless=True),
        "alpha.webp": encoded(rgba, format="WEBP", quality=80),
        "alpha_lossless.webp": encoded(rgba, format="WEBP", lossless=True),
        "turned.webp": encoded(rgb, format="WEBP", quality=80, exif=exif(8)),
    }
    for name, data in files.items():
        save(name, data)
        from_pillow(name)
    frames = [rgb, rgb.transpose(Image.Transpose.ROTATE_180)]
    save("animated.webp", encoded(frames[0], format="WEBP", save_all=True, append_images=frames[1:]))


make_png()
make_jpeg()
make_webp()

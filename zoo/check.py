"""Compare what omma computed with what PyTorch did.

    python3 zoo/check.py     shows on made-up numbers that differences are found

Three figures for each floating-point output, a from omma and b from PyTorch:
  max rel   max |a-b| / max |b|
  rms rel   the root of the mean square of a-b, over that of b
  off       the share of elements with |a-b| > 1e-4 |b| + 1e-6 max |b|
Integer outputs must be equal. Detections are paired first, since boxes of equal score may
change places: each of PyTorch's boxes with the nearest of omma's of the same label and (within
the tolerance) the same score; every box has to find its own partner. Everything else there is
about a box (mask, key points) is then compared pair by pair. A key point is the highest place
of a heat map; where two are as high as one another either is right.
"""
import numpy as np

TOLERANCE = 1e-4
TIES = 2e-3  # the share of key points that may lie at another place of the same height


class Differs(Exception):
    pass


def figures(name, a, b):
    if a.shape != b.shape:
        raise Differs(f"{name} is {list(a.shape)}, not {list(b.shape)}")
    if a.dtype != b.dtype:
        raise Differs(f"{name} is {a.dtype}, not {b.dtype}")
    if b.dtype.kind != "f":
        wrong = int((a != b).sum())
        if wrong:
            raise Differs(f"{name}: {wrong} of {b.size} elements differ")
        return 0.0, 0.0, 0.0
    if not np.isfinite(a).all():
        raise Differs(f"{name} has numbers that are not finite")
    if b.size == 0:
        return 0.0, 0.0, 0.0
    a, b = a.astype(np.float64), b.astype(np.float64)
    d, top = np.abs(a - b), np.abs(b).max()
    off = (d > TOLERANCE * np.abs(b) + 1e-6 * top).mean()
    rms = np.sqrt((d * d).mean() / max((b * b).mean(), 1e-300))
    return float(d.max() / max(top, 1e-300)), float(rms), float(off)


def pair(a, b):
    """The order of omma's detections `a` that lays them beside PyTorch's `b`."""
    n = len(b["boxes"])
    if len(a["boxes"]) != n:
        raise Differs(f"{len(a['boxes'])} boxes, not {n}")
    if n == 0:
        return np.zeros(0, int)
    if np.any(np.diff(a["scores"]) > 0):
        raise Differs("the scores do not fall")
    side = np.abs(b["boxes"]).max()
    free, order = set(range(n)), []
    for i in range(n):
        near = [(float(np.abs(a["boxes"][j] - b["boxes"][i]).max() / side), j) for j in free
                if a["labels"][j] == b["labels"][i]
                and abs(float(a["scores"][j]) - float(b["scores"][i])) <= TOLERANCE]
        if not near or min(near)[0] > TOLERANCE:
            gap = f"; the nearest is {min(near)[0]:.1e} away" if near else ""
            raise Differs(f"box {i} ({b['boxes'][i].round(1)}, label {b['labels'][i]}, "
                          f"score {b['scores'][i]:.4f}) is missing{gap}")
        order.append(min(near)[1])
        free.remove(order[-1])
    return np.array(order, int)


def settle_ties(a, b):
    """A key point lies where its heat map is highest. Where two places are as high as one another
    (the heights agree, the places do not) either is right; that may be so for a few. Returns
    a with those places taken from b, and how many there were."""
    other = np.abs(a["keypoints"] - b["keypoints"]).max(-1) > TOLERANCE * np.abs(b["keypoints"]).max()
    height = np.abs(a["keypoints_scores"] - b["keypoints_scores"])
    if (height[other] > TOLERANCE * np.abs(b["keypoints_scores"]).max()).any() or other.mean() > TIES:
        return a, 0
    places = a["keypoints"].copy()
    places[other] = b["keypoints"][other]
    return {**a, "keypoints": places}, int(other.sum())


def compare(a, b):
    """a, b: {name: array}, omma's and PyTorch's outputs of one run. Returns the three figures,
    the worst of all outputs, or raises Differs."""
    if "boxes" in b and "scores" in b:
        order = pair(a, b)
        a = {k: v[order] for k, v in a.items()}
    if "keypoints" in b:
        a, _ = settle_ties(a, b)
    worst = (0.0, 0.0, 0.0)
    for name in b:
        f = figures(name, a[name], b[name])
        worst = tuple(max(p, q) for p, q in zip(worst, f))
        if f[0] > TOLERANCE:
            raise Differs(f"{name}: max rel {f[0]:.1e}, rms rel {f[1]:.1e}, {100 * f[2]:.2g}% off")
    return worst


def selftest():
    g = np.random.default_rng(1)
    b = {"out": g.normal(size=(1, 1000)).astype(np.float32)}
    boxes = {"boxes": g.uniform(0, 300, (20, 4)).astype(np.float32), "labels": np.arange(20) % 5,
             "scores": np.sort(g.uniform(size=20)).astype(np.float32)[::-1].copy(),
             "masks": g.uniform(size=(20, 1, 9, 9)).astype(np.float32)}
    boxes["scores"][7] = boxes["scores"][6]

    def differs(a, b, change):
        a = {k: v.copy() for k, v in a.items()}
        change(a)
        try:
            compare(a, b)
        except Differs:
            return True
        return False

    def nudge(name, at, by):
        def change(a):
            a[name][at] += by
        return change

    def swap(a):
        for v in a.values():
            v[[6, 7]] = v[[7, 6]]

    def drop(a):
        for k in a:
            a[k] = a[k][:-1]

    def twice(a):
        for k in ("boxes", "labels", "scores", "masks"):
            a[k][3] = a[k][2]

    points = {**boxes, "keypoints": g.uniform(0, 300, (20, 100, 3)).astype(np.float32),
              "keypoints_scores": g.uniform(1, 5, (20, 100)).astype(np.float32)}

    def lower(a):
        a["keypoints"][3, 5] += 20
        a["keypoints_scores"][3, 5] -= 0.01

    assert not differs(points, points, nudge("keypoints", (3, 5), 20))  # a tie
    assert differs(points, points, lower)
    assert differs(points, points, nudge("keypoints", 3, 20))  # too many
    top = float(np.abs(b["out"]).max())
    assert not differs(b, b, lambda a: None)
    assert not differs(b, b, nudge("out", (0, 5), 0.9e-4 * top))
    assert differs(b, b, nudge("out", (0, 5), 1.2e-4 * top))
    assert differs(b, b, nudge("out", (0, 5), np.nan))
    assert not differs(boxes, boxes, swap)
    for change in (drop, twice, nudge("labels", 3, 1), nudge("boxes", (4, 2), 0.1),
                   nudge("scores", 0, 2e-4), nudge("masks", (8, 0, 1, 1), 2e-4)):
        assert differs(boxes, boxes, change), change
    print("check.py: differences are found")


if __name__ == "__main__":
    selftest()

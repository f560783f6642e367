# cases_resize.py - Resize, against torch.nn.functional.interpolate in float64, and against the
# formulas of ONNX where PyTorch has no such mode.
#
# plain() is written from the text of ONNX Resize 19 (coordinate_transformation_mode,
# nearest_mode, exclude_outside, keep_aspect_ratio_policy) and, for half_pixel_symmetric,
# antialias and what lies outside, from its reference implementation. Every case goes through it;
# those PyTorch can produce are expected as PyTorch gives them and must agree with it.
# PyTorch's modes are these of ONNX:
#   nearest          asymmetric, floor
#   nearest-exact    half_pixel, round_prefer_ceil
#   (bi/tri)linear   half_pixel; pytorch_half_pixel but for a length of 1; align_corners
#   bicubic          the same with cubic_coeff_a -0.75
#   antialias=True   antialias 1, exclude_outside 1 (PyTorch leaves out what lies outside and
#                    makes the rest's weights sum to one), cubic_coeff_a -0.5
# Scales are exact in binary and lengths times scales whole, or else the mode does not mind:
# ONNX floors lengths in float32 and align_corners by scales divides by the unrounded length,
# which PyTorch does not. tf_crop_and_resize by scales is left out: by ONNX's text the region
# counts for the size of the result, by its shape inference it does not.
import numpy as np
import torch
import torch.nn.functional as F

from case_kit import case, node, random_of

# Pictures are positive, from 1 to 8: no result is a small difference of large numbers.


def source(coordinate, o, scale, n, out, length, roi):
    """Where output o lies in the input."""
    if coordinate == "half_pixel":
        return (o + 0.5) / scale - 0.5
    if coordinate == "half_pixel_symmetric":
        return n / 2 * (1 - out / length) + (o + 0.5) / scale - 0.5
    if coordinate == "pytorch_half_pixel":
        return (o + 0.5) / scale - 0.5 if out > 1 else np.zeros_like(o)
    if coordinate == "align_corners":
        return o * (n - 1) / (length - 1) if length != 1 else np.zeros_like(o)
    if coordinate == "asymmetric":
        return o / scale
    start, end = roi  # tf_crop_and_resize
    if out > 1:
        return start * (n - 1) + o * (end - start) * (n - 1) / (out - 1)
    return 0.5 * (start + end) * (n - 1) + 0 * o


def nearest(x, how):
    return {"round_prefer_floor": lambda: np.ceil(x - 0.5),
            "round_prefer_ceil": lambda: np.floor(x + 0.5),
            "floor": lambda: np.floor(x), "ceil": lambda: np.ceil(x)}[how]()


def kernel(t, mode, a):
    t = np.abs(t)
    if mode == "linear":
        return np.maximum(1 - t, 0)
    return np.where(t <= 1, ((a + 2) * t - (a + 3)) * t * t + 1,
                    np.where(t < 2, ((t - 5) * t + 8) * t * a - 4 * a, 0))


def matrix(x, n, scale, o):
    """[out, in]: the weights of one axis."""
    m = np.zeros([len(x), n])
    if o["mode"] == "nearest":
        m[range(len(x)), np.clip(nearest(x, o["nearest_mode"]), 0, n - 1).astype(int)] = 1
        return m
    shrink = min(scale, 1) if o["antialias"] else 1
    reach = int(np.ceil((1 if o["mode"] == "linear" else 2) / shrink)) + 1
    for row, at in zip(m, x):
        taps = np.arange(int(np.floor(at)) - reach, int(np.floor(at)) + reach + 1)
        w = kernel((taps - at) * shrink, o["mode"], o["cubic_coeff_a"])
        if o["exclude_outside"]:
            w = np.where((taps < 0) | (taps >= n), 0, w)
        if o["exclude_outside"] or o["antialias"]:
            w = w / w.sum()
        np.add.at(row, np.clip(taps, 0, n - 1), w)
    return m


def plain(x, scales, lengths, outs, rois, o):
    """One entry per axis of x; None where the axis stays. outs: whole lengths."""
    outside = np.zeros([1] * x.ndim, bool)
    for d in range(x.ndim):
        if outs[d] is None:
            continue
        n = x.shape[d]
        at = source(o["coordinate_transformation_mode"], np.arange(outs[d], dtype=np.float64),
                    scales[d], n, outs[d], lengths[d], rois[d])
        m = matrix(at, n, scales[d], o)
        x = np.moveaxis(np.tensordot(m, x, (1, d)), 0, d)
        if o["coordinate_transformation_mode"] == "tf_crop_and_resize":
            beyond = (at < 0) | (at > n - 1)
            outside = outside | beyond.reshape([-1 if i == d else 1 for i in range(x.ndim)])
    return np.where(outside, o["extrapolation_value"], x)


DEFAULTS = {"mode": "nearest", "coordinate_transformation_mode": "half_pixel",
            "nearest_mode": "round_prefer_floor", "antialias": 0, "exclude_outside": 0,
            "cubic_coeff_a": -0.75, "extrapolation_value": 0.0,
            "keep_aspect_ratio_policy": "stretch"}


def sizes_to_scales(shape, axes, sizes, policy):
    """{axis: (scale, length, out)}"""
    scale = [s / shape[a] for a, s in zip(axes, sizes)]
    if policy == "stretch":
        return {a: (r, s, s) for a, r, s in zip(axes, scale, sizes)}
    r = min(scale) if policy == "not_larger" else max(scale)
    return {a: (r, r * shape[a], int(np.floor(r * shape[a] + 0.5))) for a in axes}


def resize(name, x, scales=None, sizes=None, axes=None, roi=None, torch_mode=None, opset=18,
           dtype=np.float32, data=None, computed=False, negative=False, **attributes):
    """x: the shape; scales or sizes: of the listed axes, or of the last ones, those before
    staying. torch_mode: the arguments of F.interpolate beside the size, when it has such a
    mode. computed: the sizes come from a Shape of another input. negative: axes are counted
    from the last."""
    rng = random_of("resize_" + name)
    o = {**DEFAULTS, **attributes}
    o["cubic_coeff_a"] = float(np.float32(o["cubic_coeff_a"]))
    given = scales or sizes
    listed = list(axes) if axes else list(range(len(x) - len(given), len(x)))
    if scales:
        roi_of = dict(zip(listed, zip(roi[:len(listed)], roi[len(listed):]))) if roi else {}
        part = {a: roi_of[a][1] - roi_of[a][0] if roi else 1 for a in listed}
        way = {a: (s, s * x[a] * part[a], int(np.floor(s * x[a] * part[a])))
               for a, s in zip(listed, map(float, scales))}
    else:
        roi_of = dict(zip(listed, zip(roi[:len(listed)], roi[len(listed):]))) if roi else {}
        way = sizes_to_scales(x, listed, sizes, o["keep_aspect_ratio_policy"])
    picture = (rng.integers(16, 129, x) / 16) if data is None else data
    picture = picture.astype(dtype)
    wide = picture.astype(np.float64)
    pick = lambda i: [way[d][i] if d in way else None for d in range(len(x))]
    y = plain(wide, pick(0), pick(1), pick(2), [roi_of.get(d, (0, 1)) for d in range(len(x))], o)
    if torch_mode:
        spatial = [way[d] for d in range(2, len(x))]
        how = dict(scale_factor=[w[0] for w in spatial]) if scales else \
            dict(size=[w[2] for w in spatial])
        known = F.interpolate(torch.from_numpy(wide), **how, **torch_mode).numpy()
        assert known.shape == y.shape and np.abs(known - y).max() < 1e-9, name
        y = known

    # the node: without "axes" every axis has its scale or size
    full = list(range(len(x))) if axes is None else listed
    inputs, constants = ["x", ""], {}
    if roi:
        inputs[1] = "roi"
        ends = [roi_of.get(a, (0, 1)) for a in full]
        constants["roi"] = np.array([e[0] for e in ends] + [e[1] for e in ends], np.float32)
    elif opset < 13:
        inputs[1] = "roi"
        constants["roi"] = np.zeros(0, np.float32)
    if scales:
        inputs.append("scales")
        constants["scales"] = np.array([way[a][0] if a in way else 1 for a in full], np.float32)
    else:
        if opset < 13:
            constants["scales"] = np.zeros(0, np.float32)
        inputs += ["scales" if opset < 13 else "", "sizes"]
        wanted = dict(zip(listed, sizes))
        constants["sizes"] = np.array([wanted.get(a, x[a]) for a in full], np.int64)
    before, given_inputs = [], {"x": picture}
    if computed:
        given_inputs["like"] = np.zeros(constants.pop("sizes"), np.float32)
        before = [node("Shape", "like", "sizes")]
    written = [a - len(x) for a in axes] if negative else axes
    n = node("Resize", inputs, "y", axes=written, **attributes)
    case("resize_" + name, before + [n], given_inputs, {"y": y.astype(dtype)}, constants, opset,
         shapes={"like": ["n", "c", "h", "w"]} if computed else None,
         tolerance=(1e-3 if dtype == np.float16 else 1e-5, 1e-6))


def from_torch():
    sizes = {"up": [11, 13], "down": [3, 5], "mixed": [9, 4], "one": [1, 1]}
    factors = {"up2": [2, 2], "up1.5x2.5": [1.5, 2.5], "down0.5": [0.5, 0.5],
               "down0.75x0.25": [0.75, 0.25]}
    ways = [("sizes_" + k, dict(sizes=v)) for k, v in sizes.items()] + \
        [("scales_" + k, dict(scales=v)) for k, v in factors.items()]
    for tag, way in ways:
        x = [2, 3, 7, 8] if "sizes" in way else [1, 2, 8, 12]
        floor = dict(coordinate_transformation_mode="asymmetric", nearest_mode="floor")
        resize(f"nearest_asymmetric_floor_{tag}", x, **way, torch_mode=dict(mode="nearest"),
               mode="nearest", opset=13, **floor)
        resize(f"nearest_half_pixel_ceil_{tag}", x, **way, torch_mode=dict(mode="nearest-exact"),
               mode="nearest", nearest_mode="round_prefer_ceil", opset=13)
        for mode, name in (("linear", "bilinear"), ("cubic", "bicubic")):
            resize(f"{mode}_half_pixel_{tag}", x, **way, mode=mode, opset=11,
                   torch_mode=dict(mode=name, align_corners=False))
            resize(f"{mode}_align_corners_{tag}", x, **way, mode=mode, opset=13,
                   torch_mode=dict(mode=name, align_corners=True),
                   coordinate_transformation_mode="align_corners")
            if tag != "sizes_one":
                resize(f"{mode}_pytorch_half_pixel_{tag}", x, **way, mode=mode, opset=13,
                       torch_mode=dict(mode=name, align_corners=False),
                       coordinate_transformation_mode="pytorch_half_pixel")
            sharp = {"cubic_coeff_a": -0.5} if mode == "cubic" else {}
            resize(f"{mode}_antialias_{tag}", x, **way, mode=mode, antialias=1,
                   exclude_outside=1, torch_mode=dict(mode=name, antialias=True), **sharp)
    # one and three spatial axes
    resize("linear_1d", [2, 3, 7], sizes=[12], mode="linear",
           torch_mode=dict(mode="linear", align_corners=False))
    resize("nearest_1d", [2, 3, 7], scales=[2], nearest_mode="floor",
           coordinate_transformation_mode="asymmetric", torch_mode=dict(mode="nearest"))
    resize("linear_3d", [1, 2, 4, 5, 6], sizes=[7, 3, 9], mode="linear",
           torch_mode=dict(mode="trilinear", align_corners=False))
    resize("linear_3d_align_corners", [1, 2, 4, 5, 6], scales=[2, 2, 0.5], mode="linear",
           torch_mode=dict(mode="trilinear", align_corners=True),
           coordinate_transformation_mode="align_corners")
    resize("nearest_3d", [1, 2, 4, 5, 6], sizes=[7, 3, 9], nearest_mode="floor",
           coordinate_transformation_mode="asymmetric", torch_mode=dict(mode="nearest"))
    # sizes of one pixel, of one row, of the same size
    bilinear = dict(mode="bilinear", align_corners=False)
    resize("linear_from_one_pixel", [1, 3, 1, 1], sizes=[5, 4], mode="linear", torch_mode=bilinear)
    resize("cubic_from_one_pixel", [1, 3, 1, 1], sizes=[5, 4], mode="cubic",
           torch_mode=dict(mode="bicubic", align_corners=False))
    resize("linear_from_one_row", [1, 3, 1, 6], sizes=[3, 13], mode="linear", torch_mode=bilinear)
    resize("linear_same_size", [1, 3, 5, 6], sizes=[5, 6], mode="linear", torch_mode=bilinear)
    resize("linear_rows_only", [1, 3, 5, 6], sizes=[9, 6], mode="linear", torch_mode=bilinear)
    resize("linear_columns_only", [1, 3, 5, 6], sizes=[5, 9], mode="linear", torch_mode=bilinear)
    resize("linear_large_factor", [1, 1, 3, 2], scales=[8, 16], mode="linear",
           torch_mode=bilinear)
    resize("linear_32x", [1, 2, 40, 36], scales=[0.125, 0.25], mode="linear", torch_mode=bilinear)
    resize("linear_antialias_small", [1, 2, 40, 36], sizes=[3, 2], mode="linear", antialias=1,
           exclude_outside=1, torch_mode=dict(mode="bilinear", antialias=True))
    resize("linear_antialias_by_scales", [1, 2, 40, 36], scales=[0.375, 0.3125], mode="linear",
           antialias=1, exclude_outside=1, torch_mode=dict(mode="bilinear", antialias=True))
    resize("cubic_antialias_small", [1, 2, 40, 36], sizes=[3, 2], mode="cubic", antialias=1,
           exclude_outside=1, cubic_coeff_a=-0.5,
           torch_mode=dict(mode="bicubic", antialias=True))
    # a position embedding's: sizes computed from another input
    resize("cubic_sizes_from_shape", [1, 4, 6, 6], sizes=[1, 4, 9, 7], mode="cubic",
           computed=True)
    resize("linear_sizes_from_shape", [2, 3, 5, 6], sizes=[2, 3, 10, 9], mode="linear",
           computed=True)
    # other types
    resize("linear_f64", [1, 2, 5, 6], sizes=[8, 4], mode="linear", dtype=np.float64,
           torch_mode=bilinear)
    resize("linear_f16", [1, 2, 5, 6], sizes=[8, 4], mode="linear", dtype=np.float16,
           torch_mode=bilinear)
    for tag, dtype in (("u8", np.uint8), ("i32", np.int32), ("i64", np.int64)):
        resize(f"nearest_{tag}", [1, 2, 5, 6], sizes=[8, 4], dtype=dtype, nearest_mode="floor",
               coordinate_transformation_mode="asymmetric", torch_mode=dict(mode="nearest"),
               data=np.arange(60).reshape(1, 2, 5, 6))


def from_formulas():
    for how in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"):
        for coordinate in ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"):
            resize(f"nearest_{coordinate}_{how}_up", [1, 2, 4, 5], sizes=[8, 9], nearest_mode=how,
                   coordinate_transformation_mode=coordinate, opset=13)
            resize(f"nearest_{coordinate}_{how}_down", [1, 2, 8, 9], sizes=[4, 5],
                   nearest_mode=how, coordinate_transformation_mode=coordinate, opset=11)
    for mode in ("linear", "cubic"):
        for coordinate in ("half_pixel", "asymmetric", "align_corners"):
            for tag, size in (("up", [8, 9]), ("down", [3, 2])):
                resize(f"{mode}_{coordinate}_exclude_outside_{tag}", [1, 2, 5, 6], sizes=size,
                       mode=mode, coordinate_transformation_mode=coordinate, exclude_outside=1,
                       opset=13)
        resize(f"{mode}_asymmetric_up", [1, 2, 4, 5], scales=[2, 2.5], mode=mode,
               coordinate_transformation_mode="asymmetric", opset=13)
        resize(f"{mode}_asymmetric_down", [1, 2, 8, 12], scales=[0.5, 0.75], mode=mode,
               coordinate_transformation_mode="asymmetric", opset=13)
        for tag, size in (("down", [3, 2]), ("up", [9, 11]), ("mixed", [9, 2])):
            resize(f"{mode}_antialias_edge_{tag}", [1, 2, 7, 8], sizes=size, mode=mode,
                   antialias=1)
        resize(f"{mode}_antialias_align_corners", [1, 2, 9, 11], sizes=[4, 5], mode=mode,
               antialias=1, coordinate_transformation_mode="align_corners")
        for tag, scale in (("up", [1.3125, 1.6875]), ("down", [0.6875, 0.4375])):
            resize(f"{mode}_half_pixel_symmetric_{tag}", [1, 2, 7, 9], scales=scale, mode=mode,
                   coordinate_transformation_mode="half_pixel_symmetric", opset=19)
    resize("cubic_a_half", [1, 2, 5, 6], sizes=[9, 4], mode="cubic", cubic_coeff_a=-0.5, opset=13)
    resize("nearest_half_pixel_symmetric", [1, 2, 7, 9], scales=[1.3125, 0.6875], opset=19,
           coordinate_transformation_mode="half_pixel_symmetric")
    resize("linear_pytorch_half_pixel_one", [1, 2, 7, 9], sizes=[1, 1], mode="linear",
           coordinate_transformation_mode="pytorch_half_pixel", opset=13)
    crop = dict(coordinate_transformation_mode="tf_crop_and_resize")
    for mode in ("nearest", "linear", "cubic"):
        resize(f"{mode}_crop", [1, 2, 6, 7], sizes=[5, 8], roi=[0.125, 0.25, 0.75, 0.875],
               mode=mode, opset=13, **crop)
        resize(f"{mode}_crop_extrapolate", [1, 2, 6, 7], sizes=[5, 8], mode=mode, opset=13,
               roi=[-0.25, 0.25, 0.75, 1.5], extrapolation_value=10.0, **crop)
    resize("linear_crop_one", [1, 2, 8, 9], sizes=[1, 3], roi=[0.25, 0, 0.5, 1], mode="linear",
           opset=13, **crop)
    resize("linear_crop_turned", [1, 2, 5, 6], sizes=[5, 6], roi=[1, 1, 0, 0], mode="linear",
           opset=13, **crop)
    resize("linear_crop_axes", [1, 2, 6, 7], sizes=[8, 5], axes=[3, 2], mode="linear",
           roi=[0.25, -0.5, 1.0, 0.5], extrapolation_value=-3.0, **crop)
    for policy in ("not_larger", "not_smaller"):
        for mode in ("nearest", "linear", "cubic"):
            resize(f"{mode}_{policy}", [1, 2, 6, 9], sizes=[13, 11], axes=[2, 3], mode=mode,
                   keep_aspect_ratio_policy=policy)
        resize(f"linear_{policy}_down", [1, 2, 9, 7], sizes=[4, 5], axes=[2, 3], mode="linear",
               keep_aspect_ratio_policy=policy)
        resize(f"linear_{policy}_half_up", [1, 2, 4, 5], sizes=[6, 30], axes=[2, 3],
               mode="linear", keep_aspect_ratio_policy=policy)
    resize("linear_axes_swapped", [1, 2, 5, 6], sizes=[11, 4], axes=[3, 2], mode="linear")
    resize("linear_axes_scales", [1, 2, 5, 6], scales=[2, 0.5], axes=[2, 3], mode="linear")
    resize("linear_axes_negative", [1, 2, 5, 6], sizes=[11, 4], axes=[3, 2], mode="linear",
           negative=True)
    resize("linear_axes_channels_last", [1, 5, 6, 3], sizes=[8, 9], axes=[1, 2], mode="linear")
    resize("cubic_axes_first", [5, 2, 6], sizes=[8], axes=[0], mode="cubic")
    resize("linear_all_axes", [3, 2, 4, 5], sizes=[2, 3, 7, 4], mode="linear")
    resize("cubic_all_axes", [3, 2, 4], sizes=[4, 3, 7], mode="cubic")
    resize("linear_2d", [5, 6], sizes=[8, 4], mode="linear")
    resize("nearest_many_axes", [2, 3, 2, 3, 2], sizes=[3, 2, 4, 6, 1], nearest_mode="ceil",
           coordinate_transformation_mode="asymmetric")


def older():
    """Resize 10, Upsample 7 and 9: x / scale, rounded down."""
    old = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    x = (random_of("resize_older").integers(16, 129, [1, 2, 4, 6]) / 16).astype(np.float32)
    for mode in ("nearest", "linear"):
        for tag, scales in (("up", [2.0, 1.5]), ("down", [0.5, 0.75])):
            ways = [(s, s * n, int(s * n)) for s, n in zip(scales, x.shape[2:])]
            y = plain(x.astype(np.float64), *[[None, None, *[w[i] for w in ways]]
                                              for i in range(3)], [(0, 1)] * 4,
                      {**DEFAULTS, **old, "mode": mode}).astype(np.float32)
            all_scales = np.array([1, 1, *scales], np.float32)
            case(f"resize_opset10_{mode}_{tag}", node("Resize", "x scales", "y", mode=mode),
                 {"x": x}, {"y": y}, {"scales": all_scales}, 10)
            if tag == "down":  # Upsample's scales are at least one
                continue
            case(f"resize_upsample9_{mode}", node("Upsample", "x scales", "y", mode=mode),
                 {"x": x}, {"y": y}, {"scales": all_scales}, 9)
            case(f"resize_upsample7_{mode}",
                 node("Upsample", "x", "y", mode=mode, scales=all_scales.tolist()), {"x": x},
                 {"y": y}, opset=7)


def make():
    older()
    from_torch()
    from_formulas()

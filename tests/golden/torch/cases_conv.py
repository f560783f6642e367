# cases_conv.py - Conv and ConvTranspose, against torch.nn.functional in float64.
#
# PyTorch pads symmetrically, so paddings are applied here: before a convolution with F.pad,
# after a transposed one by cutting. SAME_UPPER and SAME_LOWER pads, and those of
# output_shape, are computed from the formulas of ONNX Conv 11 and ConvTranspose 11.
import numpy as np
import torch
import torch.nn.functional as F

import case_kit
from case_kit import node, random_of, steps

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def case(name, n, given, y, fixed, opset, dtype, shapes=None):
    """y: float64; in float32 and float64 the result is exact."""
    exact = dtype != np.float16
    assert not exact or np.array_equal(y, y.astype(dtype)), name
    case_kit.case(name, n, given, {"y": y.astype(dtype)}, fixed, opset, shapes,
                  tolerance=(1e-6, 1e-6) if exact else None)


def listed(v, k):
    return [v] * k if isinstance(v, int) else list(v)


def same_pads(auto, spatial, kernel, strides, dilations):
    """[begin..., end...] so that out = ceil(in / stride)."""
    begin, end = [], []
    for i, k, s, d in zip(spatial, kernel, strides, dilations):
        total = max(((i + s - 1) // s - 1) * s + (k - 1) * d + 1 - i, 0)
        small, large = total // 2, total - total // 2
        begin.append(small if auto == "SAME_UPPER" else large)
        end.append(large if auto == "SAME_UPPER" else small)
    return begin + end


def conv(name, x, m, kernel, strides=None, dilations=None, pads=None, auto_pad=None, group=1,
         bias=True, dtype=np.float32, weights="constant", kernel_shape=True, opset=17, shapes=None):
    """x: [N, C, spatial...]; m: output channels; None leaves an attribute out."""
    rng = random_of("conv_" + name)
    k = len(x) - 2
    kernel = listed(kernel, k)
    s, d = listed(strides or 1, k), listed(dilations or 1, k)
    data = {"x": steps(rng, *x, dtype=dtype),
            "w": steps(rng, m, x[1] // group, *kernel, dtype=dtype)}
    if bias:
        data["b"] = steps(rng, m, dtype=dtype)
    p = pads or [0] * (2 * k)
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        p = same_pads(auto_pad, x[2:], kernel, s, d)
    t = {a: torch.from_numpy(v.astype(np.float64)) for a, v in data.items()}
    around = [v for i in reversed(range(k)) for v in (p[i], p[k + i])]
    y = CONV[k](F.pad(t["x"], around), t["w"], t.get("b"), stride=s, dilation=d, groups=group)
    n = node("Conv", list(data), "y",
             kernel_shape=kernel if kernel_shape else None,
             strides=None if strides is None else s,
             dilations=None if dilations is None else d,
             pads=pads, auto_pad=auto_pad, group=None if group == 1 else group)
    given = {a: v for a, v in data.items() if a == "x" or weights == "input"}
    fixed = {a: v for a, v in data.items() if a not in given}
    case("conv_" + name, n, given, y.numpy(), fixed, opset, dtype, shapes)


def transpose(name, x, m, kernel, strides=None, dilations=None, pads=None, output_padding=None,
              output_shape=None, auto_pad=None, group=1, bias=True, dtype=np.float32,
              weights="constant", opset=17):
    """m: output channels of a group."""
    rng = random_of("conv_transpose_" + name)
    k = len(x) - 2
    kernel = listed(kernel, k)
    s, d = listed(strides or 1, k), listed(dilations or 1, k)
    extra = listed(output_padding or 0, k)
    data = {"x": steps(rng, *x, dtype=dtype), "w": steps(rng, x[1], m, *kernel, dtype=dtype)}
    if bias:
        data["b"] = steps(rng, m * group, dtype=dtype)
    # Everything any input reaches, and output_padding more behind it, without the bias:
    t = {a: torch.from_numpy(v.astype(np.float64)) for a, v in data.items()}
    full = TRANSPOSE[k](t["x"], t["w"], None, stride=s, dilation=d, groups=group)
    full = F.pad(full, [v for e in reversed(extra) for v in (0, e)])
    begin, end = [0] * k, [0] * k
    if pads:
        begin, end = pads[:k], pads[k:]
    wanted = output_shape
    if auto_pad in ("SAME_UPPER", "SAME_LOWER") and not wanted:
        wanted = [a * b for a, b in zip(x[2:], s)]
    for i in range(k if wanted else 0):
        total = full.shape[2 + i] - wanted[i]
        small, large = total // 2, total - total // 2
        begin[i], end[i] = (small, large) if auto_pad == "SAME_UPPER" else (large, small)
    for i in range(k):
        full = full.narrow(2 + i, begin[i], full.shape[2 + i] - begin[i] - end[i])
    if bias:
        full = full + t["b"].reshape(1, -1, *[1] * k)
    n = node("ConvTranspose", list(data), "y", kernel_shape=kernel,
             strides=None if strides is None else s,
             dilations=None if dilations is None else d, pads=pads,
             output_padding=None if output_padding is None else extra,
             output_shape=output_shape, auto_pad=auto_pad, group=None if group == 1 else group)
    given = {a: v for a, v in data.items() if a == "x" or weights == "input"}
    fixed = {a: v for a, v in data.items() if a not in given}
    case("conv_transpose_" + name, n, given, full.numpy(), fixed, opset, dtype)


def make_conv():
    # every kernel 1..7, odd and even, with and without padding
    for k in range(1, 8):
        conv(f"2d_k{k}", [1, 3, 9, 11], 5, k)
        conv(f"2d_k{k}_pad_stride2", [2, 3, 10, 9], 4, k, 2, pads=[k // 2] * 4, bias=k % 2 == 0)
        conv(f"1d_k{k}", [2, 5, 13], 3, k, pads=[k // 2, (k - 1) // 2], bias=k % 2 == 1)
    conv("2d_k1x7", [1, 4, 6, 15], 6, [1, 7], pads=[0, 3, 0, 3])
    conv("2d_k7x1", [1, 4, 15, 6], 6, [7, 1], pads=[3, 0, 3, 0])
    conv("2d_k2x5", [1, 2, 8, 9], 3, [2, 5], [2, 1])
    conv("2d_k5x4_stride3x2", [1, 3, 17, 12], 7, [5, 4], [3, 2])
    # strides, dilations, asymmetric pads
    conv("2d_k3_stride3", [1, 3, 11, 13], 4, 3, 3)
    conv("2d_k3_stride1x2", [1, 3, 7, 9], 4, 3, [1, 2], pads=[1, 1, 1, 1])
    conv("2d_k2_stride5", [1, 3, 13, 12], 4, 2, 5)
    conv("2d_k3_dilation2", [1, 3, 11, 10], 4, 3, dilations=2)
    conv("2d_k3_dilation2_same", [2, 3, 11, 10], 4, 3, dilations=2, pads=[2, 2, 2, 2])
    conv("2d_k3_dilation3x1", [1, 3, 13, 5], 4, 3, dilations=[3, 1], pads=[3, 1, 3, 1])
    conv("2d_k4_dilation2_stride2", [1, 3, 15, 16], 4, 4, 2, 2, [1, 2, 3, 0])
    conv("2d_pads_0123", [1, 3, 9, 8], 4, 3, pads=[0, 1, 2, 3])
    conv("2d_pads_3210_stride2", [1, 3, 9, 8], 4, 3, 2, pads=[3, 2, 1, 0])
    conv("2d_pads_larger_than_kernel", [1, 2, 4, 5], 3, 2, pads=[4, 3, 5, 2])
    conv("2d_smaller_than_kernel", [1, 3, 2, 3], 4, 5, pads=[2, 2, 2, 2])
    conv("2d_1x1_input_k7", [2, 6, 1, 1], 4, 7, pads=[3, 3, 3, 3])
    conv("2d_1x1_input_k3_stride2", [1, 8, 1, 1], 9, 3, 2, pads=[1, 1, 1, 1])
    conv("2d_input_is_kernel", [2, 3, 4, 5], 6, [4, 5])
    conv("2d_one_pixel_k1", [3, 17, 1, 1], 10, 1)
    conv("1d_smaller_than_kernel", [1, 3, 2], 4, 7, pads=[3, 3])
    conv("3d_smaller_than_kernel", [1, 2, 2, 1, 2], 3, 3, pads=[1, 1, 1, 1, 1, 1])
    # auto_pad
    for auto in ("SAME_UPPER", "SAME_LOWER", "VALID"):
        low = auto.lower()
        conv(f"2d_{low}_k3", [1, 3, 7, 8], 4, 3, auto_pad=auto)
        conv(f"2d_{low}_k4_stride2", [1, 3, 7, 8], 4, 4, 2, auto_pad=auto)
        conv(f"2d_{low}_k2_stride3", [1, 3, 10, 11], 4, 2, 3, auto_pad=auto)
        conv(f"2d_{low}_k3_dilation2", [1, 3, 9, 10], 4, 3, 2, 2, auto_pad=auto)
        conv(f"1d_{low}_k4", [2, 3, 9], 4, 4, auto_pad=auto)
        conv(f"3d_{low}_k2_stride2", [1, 2, 5, 4, 3], 3, 2, 2, auto_pad=auto)
    conv("2d_notset_pads", [1, 3, 7, 8], 4, 3, pads=[1, 0, 0, 1], auto_pad="NOTSET")
    # groups
    conv("2d_group2", [1, 6, 7, 9], 4, 3, group=2, pads=[1, 1, 1, 1])
    conv("2d_group3_k1", [2, 9, 5, 7], 6, 1, group=3)
    conv("2d_group4_stride2", [1, 8, 9, 9], 12, 3, 2, group=4, bias=False)
    conv("2d_depthwise_k3", [1, 13, 9, 11], 13, 3, group=13, pads=[1, 1, 1, 1])
    conv("2d_depthwise_k3_stride2", [2, 16, 10, 9], 16, 3, 2, group=16, pads=[1, 1, 1, 1])
    conv("2d_depthwise_k5", [1, 7, 12, 11], 7, 5, group=7, pads=[2, 2, 2, 2], bias=False)
    conv("2d_depthwise_k5_stride2_same", [1, 9, 12, 11], 9, 5, 2, group=9, auto_pad="SAME_UPPER")
    conv("2d_depthwise_k7", [1, 33, 9, 10], 33, 7, group=33, pads=[3, 3, 3, 3])
    conv("2d_depthwise_k4_asymmetric", [1, 5, 8, 9], 5, 4, group=5, pads=[1, 2, 2, 1])
    conv("2d_depthwise_k3_dilation2", [1, 10, 11, 12], 10, 3, group=10, dilations=2,
         pads=[2, 2, 2, 2])
    conv("2d_depthwise_multiplier2", [1, 6, 8, 7], 12, 3, group=6, pads=[1, 1, 1, 1])
    conv("2d_depthwise_multiplier3_k2", [1, 4, 8, 7], 12, 2, 2, group=4)
    conv("2d_depthwise_smaller_than_kernel", [1, 8, 2, 2], 8, 5, group=8, pads=[2, 2, 2, 2])
    conv("1d_group2", [1, 6, 15], 8, 3, 2, group=2, pads=[1, 1])
    conv("1d_depthwise_k5_dilation3", [2, 7, 20], 7, 5, dilations=3, group=7, pads=[6, 6])
    conv("3d_group2", [1, 4, 4, 5, 6], 6, [2, 3, 2], group=2)
    conv("3d_depthwise", [2, 3, 4, 5, 6], 3, 3, group=3, pads=[1, 1, 1, 1, 1, 1])
    # channels that are no multiples of a vector, and sizes that take the packed ways
    conv("2d_c1_m1", [1, 1, 8, 9], 1, 3, pads=[1, 1, 1, 1])
    conv("2d_c1_m17", [1, 1, 12, 13], 17, 3, pads=[1, 1, 1, 1])
    conv("2d_c17_m1", [1, 17, 12, 13], 1, 3, pads=[1, 1, 1, 1])
    conv("2d_c15_m31", [1, 15, 9, 10], 31, 3, pads=[1, 1, 1, 1])
    conv("2d_c9_m33_k1", [2, 9, 11, 7], 33, 1)
    conv("2d_c64_m64_17x19", [1, 64, 17, 19], 64, 3, pads=[1, 1, 1, 1])
    conv("2d_c64_m64_17x19_stride2", [1, 64, 17, 19], 64, 3, 2, pads=[1, 1, 1, 1], bias=False)
    conv("2d_c64_m64_17x19_k1", [1, 64, 17, 19], 64, 1)
    conv("2d_c37_m51_k1_stride2", [2, 37, 14, 15], 51, 1, 2)
    conv("2d_c67_m35_k1", [1, 67, 7, 13], 35, 1, bias=False)
    conv("2d_c32_m48_k5", [1, 32, 11, 13], 48, 5, pads=[2, 2, 2, 2])
    conv("2d_c3_m40_k7_stride2", [1, 3, 29, 31], 40, 7, 2, pads=[3, 3, 3, 3])
    conv("2d_c3_m48_patch4", [1, 3, 20, 24], 48, 4, 4)
    conv("2d_c48_m64_group2_17x19", [1, 48, 17, 19], 64, 3, group=2, pads=[1, 1, 1, 1])
    conv("2d_c40_depthwise_17x33", [1, 40, 17, 33], 40, 3, group=40, pads=[1, 1, 1, 1])
    conv("2d_wide_row", [1, 5, 3, 130], 6, 3, pads=[1, 1, 1, 1])
    conv("2d_tall_column", [1, 5, 130, 3], 6, 3, pads=[1, 1, 1, 1])
    conv("1d_c24_m40", [2, 24, 53], 40, 3, pads=[1, 1])
    conv("1d_stride4_dilation2", [1, 3, 41], 5, 4, 4, 2, [3, 2])
    # three axes
    conv("3d_k1", [2, 5, 3, 4, 5], 6, 1)
    conv("3d_k3", [1, 3, 5, 6, 7], 4, 3)
    conv("3d_k3_stride2_pads", [1, 3, 5, 6, 7], 4, 3, 2, pads=[1, 0, 1, 0, 1, 2])
    conv("3d_k2x3x4_dilation", [1, 2, 6, 7, 8], 3, [2, 3, 4], dilations=[3, 2, 1])
    # weights that are inputs; the kernel's shape left to them; what the file leaves out
    conv("2d_weights_input", [1, 7, 9, 11], 9, 3, pads=[1, 1, 1, 1], weights="input")
    conv("2d_weights_input_depthwise", [1, 12, 9, 11], 12, 3, pads=[1, 1, 1, 1], group=12,
         weights="input")
    conv("2d_weights_input_k1", [2, 19, 6, 7], 21, 1, weights="input")
    conv("1d_weights_input", [1, 5, 17], 6, 4, weights="input", bias=False)
    conv("2d_no_kernel_shape", [1, 3, 7, 8], 4, [3, 2], kernel_shape=False)
    conv("2d_opset7", [1, 3, 7, 8], 4, 3, 2, pads=[1, 1, 1, 1], opset=7)
    conv("2d_opset11", [1, 3, 7, 8], 4, 3, 2, auto_pad="SAME_LOWER", opset=11)
    # other types
    conv("2d_no_images", [0, 3, 7, 8], 4, 3)
    conv("2d_unknown_sizes", [2, 3, 7, 8], 4, 3, auto_pad="SAME_UPPER",
         shapes={"x": ["n", 3, "h", "w"], "y": ["n", 4, "h", "w"]})
    for tag, dtype in (("f64", np.float64), ("f16", np.float16)):
        conv(f"{tag}_1d", [1, 4, 11], 3, 3, 2, pads=[1, 1], dtype=dtype)
        conv(f"{tag}_2d", [2, 3, 7, 8], 5, 3, pads=[1, 1, 1, 1], dtype=dtype)
        conv(f"{tag}_2d_depthwise", [1, 6, 7, 8], 6, 3, group=6, dtype=dtype)
        conv(f"{tag}_2d_k2_dilation2_pads", [1, 3, 7, 8], 4, 2, 2, 2, [1, 0, 2, 1], dtype=dtype)
        conv(f"{tag}_3d", [1, 2, 4, 3, 5], 3, 2, dtype=dtype, bias=False)


def make_sessions():
    """One session, pictures of several sizes; the first size again at the end."""
    rng = random_of("conv_sizes")
    w, b = steps(rng, 24, 12, 3, 3), steps(rng, 24)
    runs = []
    for size in ([1, 12, 9, 11], [2, 12, 5, 6], [1, 12, 2, 2], [1, 12, 20, 17], [1, 12, 9, 11]):
        x = steps(rng, *size)
        t = [torch.from_numpy(v.astype(np.float64)) for v in (x, w, b)]
        y = F.conv2d(*t, stride=2, padding=1)
        runs.append(({"x": x}, {"y": y.numpy().astype(np.float32)}))
    case_kit.case("conv_2d_several_sizes",
                  node("Conv", "x w b", "y", strides=[2, 2], pads=[1, 1, 1, 1]), *runs[0],
                  {"w": w, "b": b}, tolerance=(1e-6, 1e-6), again=runs[1:],
                  shapes={"x": ["n", 12, "h", "w"], "y": ["n", 24, "p", "q"]})


def make_transpose():
    for k in range(1, 6):
        transpose(f"2d_k{k}", [1, 3, 5, 6], 4, k)
        transpose(f"2d_k{k}_stride2", [2, 4, 5, 4], 3, k, 2, bias=k % 2 == 0)
    transpose("2d_stride3x2", [1, 3, 4, 5], 4, 3, [3, 2])
    transpose("2d_stride_larger_than_kernel", [1, 3, 4, 5], 2, 2, 4)
    transpose("2d_pads", [1, 3, 5, 6], 4, 3, 2, pads=[1, 1, 1, 1])
    transpose("2d_pads_0121", [1, 3, 5, 6], 4, 4, 2, pads=[0, 1, 2, 1])
    transpose("2d_pads_cut_whole_taps", [1, 2, 5, 5], 3, 3, pads=[3, 2, 1, 3])
    transpose("2d_output_padding", [1, 3, 5, 6], 4, 3, 2, pads=[1, 1, 1, 1], output_padding=1)
    transpose("2d_output_padding_2x0", [1, 3, 4, 5], 4, 3, 3, output_padding=[2, 0])
    transpose("2d_output_padding_no_pads", [1, 3, 4, 5], 4, 2, 2, output_padding=1)
    transpose("2d_output_padding_beyond_taps", [1, 2, 3, 3], 3, 1, 3, output_padding=2)
    transpose("2d_dilation2", [1, 3, 5, 4], 4, 3, dilations=2)
    transpose("2d_dilation3x2_stride2", [1, 3, 5, 4], 4, 2, 2, [3, 2], [1, 0, 0, 1])
    transpose("2d_dilation2_output_padding", [1, 3, 4, 4], 2, 3, 2, 2, output_padding=1)
    transpose("2d_group2", [1, 4, 5, 6], 3, 3, 2, group=2)
    transpose("2d_group3_pads", [2, 9, 4, 5], 2, 4, 2, pads=[1, 1, 1, 1], group=3)
    transpose("2d_depthwise", [1, 7, 5, 6], 1, 4, 2, pads=[1, 1, 1, 1], group=7)
    transpose("2d_depthwise_multiplier2", [1, 5, 5, 6], 2, 3, group=5)
    transpose("2d_1x1_input", [2, 6, 1, 1], 5, 4)
    transpose("2d_c1_m1", [1, 1, 6, 7], 1, 3)
    transpose("2d_c64_m32_k2_stride2", [1, 64, 9, 11], 32, 2, 2)
    transpose("2d_c32_m24_k4_stride2", [1, 32, 9, 7], 24, 4, 2, pads=[1, 1, 1, 1])
    transpose("2d_c17_m19", [1, 17, 8, 9], 19, 3)
    for auto in (None, "SAME_UPPER", "SAME_LOWER"):
        low = (auto or "NOTSET").lower()
        transpose(f"2d_output_shape_even_{low}", [1, 2, 4, 5], 3, 4, 2, output_shape=[8, 10],
                  auto_pad=auto)
        transpose(f"2d_output_shape_odd_{low}", [1, 2, 4, 5], 3, 4, 2, output_shape=[9, 9],
                  auto_pad=auto)
        transpose(f"2d_output_shape_output_padding_{low}", [1, 2, 4, 5], 3, 3, 2,
                  output_shape=[8, 9], output_padding=1, auto_pad=auto)
    for auto in ("SAME_UPPER", "SAME_LOWER", "VALID"):
        low = auto.lower()
        transpose(f"2d_{low}_k3_stride2", [1, 3, 4, 5], 2, 3, 2, auto_pad=auto)
        transpose(f"2d_{low}_k4_stride1", [1, 3, 4, 5], 2, 4, auto_pad=auto)
        transpose(f"1d_{low}_k5_stride2", [1, 3, 6], 2, 5, 2, auto_pad=auto)
    transpose("1d", [2, 3, 7], 4, 3)
    transpose("1d_stride2_pads_output_padding", [1, 3, 7], 4, 4, 2, pads=[1, 2],
              output_padding=1)
    transpose("1d_dilation2_group2", [1, 4, 7], 3, 3, dilations=2, group=2)
    transpose("1d_output_shape", [1, 3, 7], 2, 4, 2, output_shape=[13])
    transpose("3d", [1, 2, 3, 4, 3], 3, 2)
    transpose("3d_stride2_pads", [1, 3, 3, 2, 4], 2, 3, 2, pads=[1, 0, 1, 0, 1, 1])
    transpose("3d_group2_output_padding", [1, 4, 2, 3, 2], 2, 2, 2, output_padding=[1, 0, 1],
              group=2)
    transpose("3d_output_shape", [1, 2, 3, 3, 3], 2, 3, 2, output_shape=[6, 5, 7])
    transpose("3d_same_upper", [1, 2, 3, 2, 3], 2, 3, 2, auto_pad="SAME_UPPER")
    transpose("2d_weights_input", [1, 3, 5, 6], 4, 3, 2, pads=[1, 0, 0, 1], weights="input")
    transpose("2d_opset7", [1, 3, 5, 6], 4, 3, 2, pads=[1, 1, 1, 1], opset=7)
    for tag, dtype in (("f64", np.float64), ("f16", np.float16)):
        transpose(f"{tag}_2d", [1, 3, 5, 6], 4, 3, 2, pads=[1, 1, 0, 1], dtype=dtype)
        transpose(f"{tag}_1d_group2", [2, 4, 6], 3, 4, 3, group=2, dtype=dtype)


def make():
    make_conv()
    make_sessions()
    make_transpose()

# cases_cast.py - Cast and CastLike between ten types, at the edges of each.
#
# Expected numbers, by the pair of types:
# - PyTorch's Tensor.to() where it converts in one step;
# - for float64 to float16, numpy, and for anything to bfloat16, round_to() below: PyTorch
#   goes through float32 there and so rounds twice (0x1.00200000001p0 becomes 1.0 in
#   float16); ONNX Cast 13 asks for one rounding to nearest even. Where PyTorch and the one
#   rounding differ is asserted to be only there.
# A floating number that no integer of the target type is near (NaN, infinities, too large)
# is left out: C, PyTorch and ONNX leave its value open. NaN to bool is true. What casts to
# zero is followed by a Reciprocal in a case of its own, which tells -0 from +0.
from fractions import Fraction

import numpy as np
import torch

import case_kit
from case_kit import BF16, NUMPY_TYPE, TensorProto, node

NAMES = ["f32", "f64", "f16", "bf16", "i8", "i16", "i32", "i64", "u8", "bool"]
TORCH = dict(zip(NAMES, [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int8,
                         torch.int16, torch.int32, torch.int64, torch.uint8, torch.bool]))
NUMPY = {"f32": np.float32, "f64": np.float64, "f16": np.float16, "i8": np.int8, "i16": np.int16,
         "i32": np.int32, "i64": np.int64, "u8": np.uint8, "bool": np.bool_}
# bits of precision, smallest exponent of a normal number, largest finite number
FLOATS = {"f32": (24, -126, (2 - 2.0**-23) * 2.0**127),
          "f64": (53, -1022, (2 - 2.0**-52) * 2.0**1023),
          "f16": (11, -14, 65504.0),
          "bf16": (8, -126, (2 - 2.0**-7) * 2.0**127)}
ONNX = {n: NUMPY_TYPE[np.dtype(t)] for n, t in NUMPY.items()}
ONNX["bf16"] = TensorProto.BFLOAT16


def round_to(kind, v):
    """v (float or int) rounded once, to nearest even, to a floating type; as a Python float."""
    bits, low, largest = FLOATS[kind]
    if isinstance(v, float) and (v != v or v in (np.inf, -np.inf) or v == 0):
        return v
    exact = Fraction(v)
    exponent = low
    while abs(exact) >= Fraction(2) ** (exponent + 1):
        exponent += 1
    unit = Fraction(2) ** (exponent - bits + 1)
    n = round(exact / unit) * unit  # Python's round() of a Fraction is half to even
    if abs(n) > Fraction(largest):
        return np.inf if n > 0 else -np.inf
    return np.copysign(float(n), -1.0) if v < 0 else float(n)


def edges(kind):
    """Numbers worth casting from a type, as Python numbers."""
    if kind == "bool":
        return [0, 1]
    if kind not in FLOATS:
        i = np.iinfo(NUMPY[kind])
        some = [0, 1, 2, 3, 5, 7, 100, 127, 128, 129, 200, 255, 256, 257, 258, 259, 260, 1000,
                2047, 2048, 2049, 2050, 2051, 4097, 4098, 4099, 32767, 32768, 65503, 65504,
                65519, 65520, 65535, 65536, 2**24 - 1, 2**24, 2**24 + 1, 2**24 + 2, 2**24 + 3,
                2**31 - 1, 2**31, 2**32 + 1, 2**40 + 2**32 + 1, 2**40 + 2**32 - 1,
                2**40 + 2**32, 2**40 + 3 * 2**32, 2**53 - 1, 2**53 + 1, 2**53 + 3,
                2**60 + 2**36 + 1, 2**62 + 2**54 + 1, i.max - 1, i.max]
        return [s * v for v in some for s in (1, -1) if i.min <= s * v <= i.max and (v or s > 0)] \
            + [int(i.min)] * (i.min < 0)
    bits, low, largest = FLOATS[kind]
    e = 2.0 ** (1 - bits)
    positive = [0.0, 1.0, 0.5, 1.5, 2.5, 3.5, 0.49999, 0.99, 1.99, 2.0, 3.0, 126.5, 127.0,
                127.9, 128.0, 255.0, 255.5, 256.0, 1e-3, 0.1, 1 / 3, np.pi, 1e3, 32767.5,
                65503.0, 65504.0,
                # ties and their neighbours when narrowing to float16 and bfloat16
                1 + 2.0**-11, 1 + 3 * 2.0**-11, 1 + 2.0**-11 + 2.0**-23, 1 + 2.0**-11 - 2.0**-23,
                1 + 2.0**-8, 1 + 3 * 2.0**-8, 1 + 2.0**-8 + 2.0**-23, 1 + 2.0**-8 - 2.0**-23,
                1 + 2.0**-24, 1 + 3 * 2.0**-24, 1 + 2.0**-11 + 2.0**-40, 1 + 2.0**-11 - 2.0**-40,
                1 + 2.0**-8 + 2.0**-40, 1 + 2.0**-24 + 2.0**-50, 2049.0, 2051.0, 65519.0,
                65519.99, 65520.0, 65536.0, 1e5, 2147483520.0, 2.0**31, 2.0**40 + 2.0**20,
                2.0**62, 2.0**63 - 1024, 1e20, 3.3e38, 3.39e38, 3.4e38, 1e300,
                # subnormals, and what rounds to them or to zero
                2.0**-14, 2.0**-15, 2.0**-24, 2.0**-25, 2.0**-25 + 2.0**-40, 3 * 2.0**-25,
                5 * 2.0**-25, 2.0**-26, 1e-7, 6e-8, 2.0**-126, 2.0**-127, 2.0**-133, 2.0**-134,
                3 * 2.0**-134, 2.0**-134 + 2.0**-149, 2.0**-149, 2.0**-150, 2.0**-150 + 2.0**-160,
                1e-45, 1e-310, 5e-324,
                largest, largest * (1 - e), 2.0**low, 2.0 ** (low - bits + 1), 1 + e]
    kept = sorted({round_to(kind, v) for v in positive} - {np.inf})
    return [s * v for v in kept for s in (1.0, -1.0)] + [np.inf, -np.inf, np.nan]


def fits(v, kind):
    """Does casting v to this type have a defined value?"""
    if kind in FLOATS or kind == "bool" or isinstance(v, int):
        return True
    i = np.iinfo(NUMPY[kind])
    return np.isfinite(v) and i.min <= int(v) <= i.max and (kind != "u8" or v > -1)


def make_array(kind, numbers):
    """Exact Python numbers of a type -> array of it."""
    if kind == "bf16":
        wide = np.array(numbers, np.float32)
        bits = wide.view(np.uint32)
        assert not (bits & 0xFFFF).any()
        return BF16(np.where(wide != wide, 0x7FC0, bits >> 16))
    return np.array(numbers, NUMPY[kind])


def to_torch(a):
    if isinstance(a, BF16):
        return torch.from_numpy(a.bits.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(a)


def from_torch(t):
    if t.dtype == torch.bfloat16:
        return BF16(t.view(torch.int16).numpy().view(np.uint16))
    return t.numpy()


def cast(numbers, a, source, target):
    """Array a of the numbers, cast to the target type."""
    y = from_torch(to_torch(a).to(TORCH[target]))
    if target == "bf16":  # one NaN of the many, as PyTorch's depends on the machine
        y = BF16(np.where((y.bits & 0x7FFF) > 0x7F80, 0x7FC0, y.bits))
    once = {("f64", "f16"), ("f64", "bf16"), ("i32", "bf16"), ("i64", "bf16")}
    if target in FLOATS:
        rounded = make_array(target, [round_to(target, v) for v in numbers])
        equal = np.array_equal(rounded.bits, y.bits) if target == "bf16" else \
            np.array_equal(rounded, y, equal_nan=True)
        if (source, target) == ("f64", "f16"):
            with np.errstate(over="ignore"):
                assert np.array_equal(a.astype(np.float16), rounded, equal_nan=True)
        if (source, target) in once:
            return rounded
        assert equal, (source, target)
    return y


def case(*arguments, **more):
    """Every number is compared exactly."""
    case_kit.case(*arguments, tolerance=(0, 0), **more)


def make():
    for source in NAMES:
        for target in NAMES:
            numbers = [v for v in edges(source) if fits(v, target)]
            a = make_array(source, numbers)
            y = cast(numbers, a, source, target)
            name = f"{source}_to_{target}"
            case("cast_" + name, node("Cast", "x", "y", to=ONNX[target]), {"x": a}, {"y": y})
            if source in ("f32", "i64", "bf16") or target in ("f16", "bf16"):
                # The second input gives its type alone; its shape must not matter.
                like = make_array(target, [1, 0, 1])
                case("cast_like_" + name, node("CastLike", "x like", "y"),
                     {"x": a, "like": like}, {"y": y}, opset=15)
            if source in FLOATS and target in FLOATS:
                zeros = [0.0, -0.0, 1e-40, -1e-40, 5e-324, -5e-324]
                zeros = [round_to(source, v) for v in zeros]
                a = make_array(source, zeros)
                small = cast(zeros, a, source, target)
                back = from_torch(to_torch(small).to(torch.float64))
                case("cast_sign_of_zero_" + name,
                     [node("Cast", "x", "narrow", to=ONNX[target]),
                      node("Cast", "narrow", "wide", to=TensorProto.DOUBLE),
                      node("Reciprocal", "wide", "y")], {"x": a},
                     {"y": torch.from_numpy(back).reciprocal().numpy()})
    # older versions
    x = np.array([[0.0, -0.0, 1.5], [-2.5, 3.99, 100.0]], np.float32)
    case("cast_opset9", node("Cast", "x", "y", to=TensorProto.INT32), {"x": x},
         {"y": torch.from_numpy(x).to(torch.int32).numpy()}, opset=9)
    case("cast_opset19_saturate", node("Cast", "x", "y", to=TensorProto.FLOAT16, saturate=1),
         {"x": x}, {"y": torch.from_numpy(x).to(torch.float16).numpy()}, opset=19)
    case("cast_scalar", node("Cast", "x", "y", to=TensorProto.INT64),
         {"x": np.array(7.75, np.float32)}, {"y": np.array(7)})
    case("cast_empty", node("Cast", "x", "y", to=TensorProto.FLOAT),
         {"x": np.zeros((0, 3), np.int64)}, {"y": np.zeros((0, 3), np.float32)})

# cases_control.py - If, Loop and Scan.
#
# Expected numbers are written out in plain numpy beside each model, and semantics.evaluate()
# must give the same from the model itself. Bodies are the kind exporters write: branches on a
# shape, growing lists, carried states, captured values.
import numpy as np
from onnx import TensorProto, helper

from case_kit import case, node, random_of, steps, tensor
from semantics import evaluate

F, I, B = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
LIST = "a sequence of float tensors"


def graph(nodes, inputs, outputs, constants=None):
    """inputs, outputs: (name, type, dims or None); constants: {name: array}"""
    infos = [[helper.make_tensor_sequence_value_info(v[0], F, v[2]) if v[1] is LIST else
              helper.make_tensor_value_info(*v) for v in side] for side in (inputs, outputs)]
    return helper.make_graph(nodes if isinstance(nodes, list) else [nodes], "body", *infos,
                             [tensor(np.asarray(v), k) for k, v in (constants or {}).items()])


def control(name, nodes, inputs, outputs, constants=None, again=(), **more):
    constants = {k: np.asarray(v) for k, v in (constants or {}).items()}
    model = case(name, nodes, inputs, outputs, constants, again=again, **more)
    for given, wanted in [(inputs, outputs), *again]:
        got = evaluate(model, [np.asarray(v) for v in given.values()])
        assert len(got) == len(wanted)
        for (k, want), g in zip(wanted.items(), got):
            want = np.asarray(want)
            assert want.dtype == g.dtype and np.array_equal(want, g), (name, k, want, g)


def f32(*v):
    return np.array(v, np.float32)


def x_of(name, *shape):
    return steps(random_of(name), *shape)


# --- If ------------------------------------------------------------------------------------


def branches(then, other, outputs="y"):
    """An If on "c" whose branches are graphs."""
    return node("If", "c", outputs, then_branch=then, else_branch=other)


def double(name="y", shape=(2, 3), x="x"):
    return graph(node("Add", [x, x], [name]), [], [(name, F, shape)])


def negate(name="y", shape=(2, 3), x="x"):
    return graph(node("Neg", [x], [name]), [], [(name, F, shape)])


def make_if_conditions():
    x = x_of("if", 2, 3)
    for c in (True, False):
        tag, want = str(c).lower(), (x + x if c else -x)
        control(f"if_constant_{tag}", branches(double(), negate()), {"x": x}, {"y": want},
                {"c": c})
        control(f"if_constant_node_{tag}",
                [node("Constant", "", "c", value=tensor(np.array(c))),
                 branches(double(), negate())], {"x": x}, {"y": want})
        control(f"if_input_{tag}", branches(double(), negate()), {"c": np.array(c), "x": x},
                {"y": want})
        control(f"if_input_one_element_{tag}", branches(double(), negate()),
                {"c": np.array([c]), "x": x}, {"y": want})
        control(f"if_computed_from_data_{tag}",
                [node("ReduceSum", "x", "sum", keepdims=0), node("Greater", "sum limit", "c"),
                 branches(double(), negate())], {"x": x}, {"y": want},
                {"limit": f32(x.sum() + (-1 if c else 1))[0]})
        control(f"if_computed_not_{tag}", [node("Not", "d", "c"), branches(double(), negate())],
                {"d": np.array(not c), "x": x}, {"y": want})
        control(f"if_condition_is_an_output_{tag}",
                [node("Not", "d", "c"), branches(double(), negate()), node("Identity", "c", "e")],
                {"d": np.array(not c), "x": x}, {"e": np.array(c), "y": want})
    for size in (1, 3):
        # what PyTorch writes for x.squeeze(1) when it does not know the size
        x = x_of("if_squeeze", 2, size, 4)
        for tag, shapes in (("known", {}), ("unknown", {"x": ["n", "c", "w"]})):
            control(f"if_squeeze_{tag}_{size}",
                    [node("Shape", "x", "shape"), node("Gather", "shape at", "size", axis=0),
                     node("Equal", "size one", "c"),
                     branches(graph(node("Squeeze", "x axis", "a"), [], [("a", F, None)]),
                              graph(node("Identity", "x", "b"), [], [("b", F, None)]))],
                    {"x": x}, {"y": x[:, 0] if size == 1 else x},
                    {"at": 1, "one": 1, "axis": [1]}, shapes={"y": "any", **shapes})


def make_if_branches():
    x, w = x_of("if_branches", 2, 3), x_of("if_weights", 3, 4)
    for c in (True, False):
        tag, cond = str(c).lower(), np.array(c)
        # captured: an input, a constant and a computed value of the outer graph
        then = graph([node("MatMul", "x w", "t"), node("Add", "t z", "y")], [], [("y", F, (2, 4))])
        other = graph(node("MatMul", "half w", "y"), [], [("y", F, (2, 4))])
        control(f"if_captures_{tag}",
                [node("Mul", "x two", "half"), node("ReduceSum", "half", "z"),
                 branches(then, other)],
                {"c": cond, "x": x}, {"y": x @ w + (x * 2).sum() if c else (x * 2) @ w},
                {"w": w, "two": f32(2)[0]})
        many = [("a", F, (2, 3)), ("b", I, (2,)), ("d", F, (2, 3))]
        control(f"if_three_outputs_{tag}",
                branches(graph([node("Neg", "x", "a"), node("Shape", "x", "b"),
                                node("Add", "x x", "d")], [], many),
                         graph([node("Add", "x x", "a"), node("Identity", "k", "b"),
                                node("Identity", "x", "d")], [], many), "p q r"),
                {"c": cond, "x": x},
                {"r": x + x if c else x, "q": np.array([2, 3] if c else [7, 8]),
                 "p": -x if c else x + x}, {"k": [7, 8]})
        then = graph(node("Concat", "x x", "y", axis=0), [], [("y", F, (4, 3))])
        control(f"if_different_sizes_{tag}",
                [branches(then, negate(), "t"), node("Add", "t one", "y")],
                {"c": cond, "x": x}, {"y": (np.concatenate([x, x]) if c else -x) + 1},
                {"one": f32(1)}, shapes={"y": ["n", 3]})
        then = graph(node("Reshape", "x flat", "y"), [], [("y", F, (6,))], {"flat": [-1]})
        control(f"if_different_ranks_{tag}", branches(then, negate()), {"c": cond, "x": x},
                {"y": x.reshape(-1) if c else -x}, shapes={"y": "any"})
        control(f"if_identity_of_captured_{tag}",
                branches(graph(node("Identity", "x", "y"), [], [("y", F, (2, 3))]),
                         graph(node("Identity", "z", "y"), [], [("y", F, (2, 3))])),
                {"c": cond, "x": x, "z": -2 * x}, {"y": x if c else -2 * x})
        k = f32([1, 2, 3], [4, 5, 6])
        control(f"if_branch_is_a_constant_{tag}",
                branches(graph([], [], [("y", F, (2, 3))], {"y": k}),
                         graph(node("Constant", "", "y", value=tensor(-k)), [],
                               [("y", F, (2, 3))])),
                {"c": cond}, {"y": k if c else -k})
        control(f"if_constants_inside_{tag}",
                branches(graph([node("Constant", "", "k", value=tensor(f32(3)[0])),
                                node("Mul", "x k", "y")], [], [("y", F, (2, 3))]),
                         graph(node("Mul", "x k", "y"), [], [("y", F, (2, 3))],
                               {"k": f32(-1, 2, 5)})),
                {"c": cond, "x": x}, {"y": x * 3 if c else x * f32(-1, 2, 5)})
        # The shape of a Reshape comes out of an If.
        control(f"if_gives_a_shape_{tag}",
                [branches(graph([], [], [("s", I, (2,))], {"s": [3, 2]}),
                          graph([], [], [("s", I, (1,))], {"s": [6]}), "shape"),
                 node("Reshape", "x shape", "y")], {"c": cond, "x": x},
                {"y": x.reshape(3, 2) if c else x.reshape(6)}, shapes={"y": "any"})
        control(f"if_same_value_twice_{tag}",
                branches(graph(node("Neg", "x", "a"), [], [("a", F, (2, 3)), ("a", F, (2, 3))]),
                         graph([node("Abs", "x", "a"), node("Identity", "a", "b")], [],
                               [("a", F, (2, 3)), ("b", F, (2, 3))]), "p q"),
                {"c": cond, "x": x}, {"p": -x if c else abs(x), "q": -x if c else abs(x)})
        # A convolution whose weights lie outside, another whose weights lie inside.
        image = x_of("if_image", 1, 3, 5, 6)
        v, u = x_of("if_v", 4, 3, 3, 3), x_of("if_u", 4, 3, 1, 1)
        then = graph(node("Conv", "x v", "y", pads=[1, 1, 1, 1]), [], [("y", F, (1, 4, 5, 6))])
        other = graph(node("Conv", "x u", "y"), [], [("y", F, (1, 4, 5, 6))], {"u": u})
        padded = np.pad(image[0], ((0, 0), (1, 1), (1, 1)))
        big = sum(np.einsum("chw,mc->mhw", padded[:, i:i + 5, j:j + 6], v[:, :, i, j])
                  for i in range(3) for j in range(3))
        control(f"if_convolutions_{tag}", branches(then, other), {"c": cond, "x": image},
                {"y": (big if c else np.einsum("chw,mc->mhw", image[0], u[:, :, 0, 0]))[None]},
                {"v": v})
        # Two in a row; the second's condition comes out of the first.
        control(f"if_chain_{tag}",
                [node("If", "c", "t d",
                      then_branch=graph([node("Add", "x x", "t"), node("Not", "c", "d")], [],
                                        [("t", F, (2, 3)), ("d", B, ())]),
                      else_branch=graph([node("Neg", "x", "t"), node("Not", "c", "d")], [],
                                        [("t", F, (2, 3)), ("d", B, ())])),
                 node("If", "d", "y", then_branch=double(x="t"), else_branch=negate(x="t"))],
                {"c": cond, "x": x}, {"y": -(x + x) if c else -x + -x})
        for d in (True, False):
            inner = lambda k: node("If", "d", "y" + k, then_branch=double("t" + k),
                                   else_branch=graph(node("Mul", ["x", k], ["e" + k]), [],
                                                     [("e" + k, F, (2, 3))]))
            nested = lambda k: graph([node("Add", "x one", k), inner(k)], [],
                                     [("y" + k, F, (2, 3))], {"one": f32(1 if k == "p" else 3)})
            factor = x + (1 if c else 3)
            control(f"if_nested_{tag}_{str(d).lower()}", branches(nested("p"), nested("q")),
                    {"c": cond, "d": np.array(d), "x": x}, {"y": x + x if d else x * factor})


# --- Loop ----------------------------------------------------------------------------------

CONDITION = [("i", I, ()), ("go", B, ())]
KEEP = node("Identity", "go", "on")


def loop(nodes, carried, scans=(), outputs="y", constants=None, inputs=("trips", "", "x"),
         keep=True, tag=""):
    """carried: (name in, name out, type, dims); scans: (name, type, dims). tag makes the names of
    an inner loop's condition its own. keep: the body's condition is the one it is given."""
    ins = [("i" + tag, I, ()), ("go" + tag, B, ())] + [(c[0], c[2], c[3]) for c in carried]
    outs = [("on" + tag, B, ())] + [(c[1], c[2], c[3]) for c in carried] + list(scans)
    same = [node("Identity", "go" + tag, "on" + tag)] if keep else []
    body = graph(same + nodes, ins, outs, constants)
    return node("Loop", list(inputs), outputs, body=body)


def make_loop_counts():
    x = x_of("loop", 2, 3)
    add = [node("Add", "s x", "t")]
    state = [("s", "t", F, (2, 3))]
    for trips in (0, 1, 5):
        want = {"y": x * (trips + 1)}
        control(f"loop_trips_constant_{trips}", loop(add, state), {"x": x}, want, {"trips": trips})
        control(f"loop_trips_input_{trips}", loop(add, state), {"trips": np.array(trips), "x": x},
                want)
    control("loop_trips_one_element", loop(add, state), {"trips": np.array([3]), "x": x},
            {"y": x * 4})
    for rows in (1, 4):
        z = x_of("loop_shape", rows, 2)
        control(f"loop_trips_from_shape_{rows}",
                [node("Shape", "z", "shape"), node("Gather", "shape first", "trips"),
                 loop(add, state)], {"z": z, "x": x}, {"y": x * (rows + 1)}, {"first": 0},
                shapes={"z": ["rows", 2]})
    control("loop_trips_from_data",
            [node("ReduceMax", "n", "trips", keepdims=0), loop(add, state)],
            {"n": np.array([2, 6, 1]), "x": x}, {"y": x * 7})
    # A given condition: while it holds; at most so many times; not once.
    until = [node("Add", "s x", "t"), node("ReduceSum", "t", "sum", keepdims=0),
             node("Less", "sum limit", "on")]
    ones = np.ones((2, 3), np.float32)
    for limit in (1.0, 20.0, 40.0):
        y = ones
        while True:
            y = y + ones
            if not y.sum() < limit:
                break
        control(f"loop_while_{int(limit)}", loop(until, state, keep=False, inputs=("", "c", "x")),
                {"x": ones}, {"y": y}, {"limit": f32(limit)[0], "c": True})
    control("loop_while_not_once", loop(until, state, keep=False, inputs=("", "c", "x")),
            {"c": np.array(False), "x": ones}, {"y": ones}, {"limit": f32(40)[0]})
    for trips in (2, 10):
        control(f"loop_while_at_most_{trips}",
                loop(until, state, keep=False, inputs=("trips", "c", "x")),
                {"trips": np.array(trips), "c": np.array(True), "x": ones},
                {"y": ones * min(trips + 1, 4)}, {"limit": f32(20)[0]})
    # Without a given condition the body's is not looked at ...
    stop = [node("Add", "s x", "t"), node("Constant", "", "on", value=tensor(np.array(False)))]
    never = loop(stop, state, keep=False)
    control("loop_condition_ignored", never, {"x": x}, {"y": x * 5}, {"trips": 4})
    # ... with one, it is.
    once = loop(stop, state, keep=False, inputs=("trips", "c", "x"))
    control("loop_condition_false_once", once, {"x": x}, {"y": x * 2}, {"trips": 4, "c": True})
    control("loop_body_passes_condition",
            node("Loop", "trips c x", "y", body=graph(
                [node("Add", "s x", "t")], CONDITION + [("s", F, (2, 3))],
                [("go", B, ()), ("t", F, (2, 3))])),
            {"x": x}, {"y": x * 4}, {"trips": 3, "c": True})


def make_loop_states():
    x = x_of("loop_states", 2, 3)
    # a list that grows, as torch.cat in a scripted loop
    grow = loop([node("Mul", "x two", "more"), node("Concat", "s more", "t", axis=0)],
                [("s", "t", F, (None, 3))])
    for trips in (0, 3):
        control(f"loop_grows_{trips}", grow, {"trips": np.array(trips), "x": x},
                {"y": np.concatenate([x] + [x * 2] * trips)}, {"two": f32(2)},
                shapes={"y": ["n", 3]})
    control("loop_grows_from_nothing",
            [loop([node("Unsqueeze", "i first", "at"), node("Concat", "s at", "t", axis=0)],
                  [("s", "t", I, (None,))], inputs=("trips", "", "empty"))], {"trips": np.array(4)},
            {"y": np.arange(4)}, {"first": [0], "empty": np.zeros(0, np.int64)},
            shapes={"y": ["n"]})
    line = np.arange(19, dtype=np.float32)
    control("loop_halves",
            [node("Size", "x", "n"),
             loop([node("Slice", "s zero ends zero two", "t")], [("s", "t", F, (None,))])],
            {"trips": np.array(3), "x": line}, {"y": line[::8], "n": np.array(19)},
            {"zero": [0], "ends": [1000], "two": [2]}, shapes={"y": ["n"]})
    control("loop_growth_seen_outside",
            [grow, node("Shape", "y", "shape"), node("ReduceSum", "y axis", "sum", keepdims=0)],
            {"x": x}, {"shape": np.array([8, 3]), "sum": (x * 1 + 3 * 2 * x).sum(0)},
            {"two": f32(2), "trips": 3, "axis": [0]})
    # states that change places: nothing may be overwritten before it is read
    a, b = x_of("loop_a", 5), x_of("loop_b", 5)
    p, q = a, b
    for _ in range(5):
        p, q = q, p + q
    control("loop_fibonacci",
            loop([node("Add", "p q", "r"), node("Identity", "q", "u")],
                 [("p", "u", F, (5,)), ("q", "r", F, (5,))], inputs=("trips", "", "a", "b"),
                 outputs="y z"), {"a": a, "b": b}, {"y": p, "z": q}, {"trips": 5})
    for trips in (2, 3):
        swapped = node("Loop", "trips - a b", "y z", body=graph(
            [KEEP], CONDITION + [("p", F, (5,)), ("q", F, (5,))],
            [("on", B, ()), ("q", F, (5,)), ("p", F, (5,))]))
        control(f"loop_swap_{trips}", swapped, {"a": a, "b": b},
                {"y": b if trips % 2 else a, "z": a if trips % 2 else b}, {"trips": trips})
    control("loop_input_used_again",
            [loop([node("Add", "s x", "t")], [("s", "t", F, (2, 3))], outputs="u"),
             node("Mul", "u x", "y")], {"x": x}, {"y": (x * 4) * x}, {"trips": 3})
    control("loop_three_types",
            loop([node("Add", "s s", "t"), node("Add", "n i", "m"), node("Not", "f", "g")],
                 [("s", "t", F, (2, 3)), ("n", "m", I, ()), ("f", "g", B, ())],
                 inputs=("trips", "", "x", "n0", "f0"), outputs="y n1 f1"),
            {"trips": np.array(5), "x": x, "n0": np.array(100), "f0": np.array(False)},
            {"y": x * 32, "n1": np.array(110), "f1": np.array(True)})
    control("loop_iteration_number",
            loop([node("Cast", "i", "f", to=F), node("Mul", "x f", "m"), node("Add", "s m", "t")],
                 [("s", "t", F, (2, 3))]), {"x": x}, {"y": x * 11}, {"trips": 5})
    w = x_of("loop_w", 3, 3)
    h, want = x, []
    for i in range(4):
        h = np.maximum(h @ w, 0)
        want.append(h)
    # The products' last bits lie within float32's 24 for as long as this.
    control("loop_recurrence",
            loop([node("MatMul", "s w", "m"), node("Relu", "m", "t"), node("Identity", "t", "h")],
                 [("s", "t", F, (2, 3))], [("h", F, (2, 3))], outputs="y hs"),
            {"x": x}, {"y": h, "hs": np.stack(want)}, {"trips": 4, "w": w})
    # A body that uses one name for a constant of its own and of the outer graph's weights.
    control("loop_constants_inside",
            loop([node("Mul", "s k", "m"), node("Add", "m j", "t")], [("s", "t", F, (2, 3))],
                 constants={"k": f32(2)[0], "j": f32(1, 0, -1)}), {"x": x},
            {"y": ((x * 2 + f32(1, 0, -1)) * 2 + f32(1, 0, -1))}, {"trips": 2})


def make_loop_scans():
    x = x_of("loop_scans", 4, 3)
    row = [node("Gather", "x i", "row", axis=0)]
    for trips in (0, 1, 4):
        control(f"loop_scan_rows_{trips}",
                loop(row + [node("Mul", "row two", "r")], [], [("r", F, (3,))],
                     inputs=("trips", "")), {"trips": np.array(trips), "x": x},
                {"y": x[:trips] * 2}, {"two": f32(2)[0]}, shapes={"y": ["n", 3]})
    control("loop_scan_scalars",
            loop([node("Mul", "i i", "q")], [], [("q", I, ())], inputs=("trips", "")),
            {"trips": np.array(6)}, {"y": np.arange(6) ** 2}, shapes={"y": ["n"]})
    control("loop_scan_iteration_itself",
            node("Loop", "trips -", "y", body=graph([KEEP], CONDITION,
                                                     [("on", B, ()), ("i", I, ())])),
            {"trips": np.array(5)}, {"y": np.arange(5)}, shapes={"y": ["n"]})
    sums = np.cumsum(x, 0)
    control("loop_scan_and_state",
            loop(row + [node("Add", "s row", "t"), node("Identity", "t", "r"),
                        node("Less", "t zero", "m")], [("s", "t", F, (3,))],
                 [("r", F, (3,)), ("m", B, (3,))], inputs=("trips", "", "start"),
                 outputs="last all below"), {"x": x},
            {"last": sums[-1], "all": sums, "below": sums < 0},
            {"trips": 4, "zero": f32(0)[0], "start": np.zeros(3, np.float32)})
    control("loop_scan_stops_early",
            loop(row + [node("Add", "n one", "m"), node("Less", "m three", "on"),
                        node("Neg", "row", "r")], [("n", "m", I, ())], [("r", F, (3,))],
                 inputs=("trips", "c", "zero"), outputs="n1 y", keep=False),
            {"x": x, "trips": np.array(4)}, {"y": -x[:3], "n1": np.array(3)},
            {"c": True, "one": 1, "three": 3, "zero": 0}, shapes={"y": ["n", 3]})
    control("loop_scan_then_reshape",
            [loop(row, [], [("row", F, (3,))], inputs=("trips", ""), outputs="rows"),
             node("Transpose", "rows", "t", perm=[1, 0]), node("Add", "t t", "y")], {"x": x},
            {"y": x.T * 2}, {"trips": 4})
    boxes, picture = np.array([[0, 2], [1, 3], [2, 4]]), x_of("loop_boxes", 4, 5)
    control("loop_crops",  # a crop for every box, as detectors cut features
            [node("Shape", "boxes", "shape"), node("Gather", "shape zero", "trips"),
             loop([node("Gather", "boxes i", "box"), node("Slice", "box zero1 one1", "begin"),
                   node("Slice", "box one1 two1", "end"), node("Slice", "x begin end zero1", "r")],
                  [], [("r", F, (2, 5))], inputs=("trips", ""))],
            {"boxes": boxes, "x": picture}, {"y": np.stack([picture[a:b] for a, b in boxes])},
            {"zero": 0, "zero1": [0], "one1": [1], "two1": [2]})


def make_loop_nests():
    x = x_of("loop_nests", 2, 3)
    inner = loop([node("Add", "u x", "v")], [("u", "v", F, (2, 3))], outputs="t",
                 inputs=("inner", "", "s"), tag="2")
    for n, m in ((3, 2), (0, 2), (3, 0)):
        control(f"loop_nested_{n}x{m}", loop([inner], [("s", "t", F, (2, 3))]), {"x": x},
                {"y": x * (1 + n * m)}, {"trips": n, "inner": m})
    # the inner loop's count is the outer's number; names of the outer body are captured
    inner = loop([node("Add", "u more", "v")], [("u", "v", F, (2, 3))], outputs="t",
                 inputs=("i", "", "s"), tag="2")
    control("loop_triangle",
            loop([node("Add", "s x", "more"), inner], [("s", "t", F, (2, 3))]), {"x": x},
            {"y": triangle(x, 4)}, {"trips": 4})
    inner = loop([node("Mul", "i ten", "tens"), node("Add", "tens i2", "v")], [],
                 [("v", I, ())], outputs="r", inputs=("columns", ""), tag="2")
    control("loop_nested_scans",
            loop([inner], [], [("r", I, (None,))], inputs=("rows", "")),
            {"rows": np.array(2), "columns": np.array(3)},
            {"y": np.arange(2)[:, None] * 10 + np.arange(3)}, {"ten": 10},
            shapes={"y": [None, None]})
    # If in a Loop: other rows; and a branch taken by the carried numbers
    control("loop_with_if",
            loop([node("Gather", "odd i", "c"),
                  node("If", "c", "t", then_branch=double("a", x="s"),
                       else_branch=graph(node("Add", "s x", "b"), [], [("b", F, (2, 3))]))],
                 [("s", "t", F, (2, 3))]), {"x": x}, {"y": ((x + x) * 2 + x) * 2},
            {"trips": 4, "odd": [False, True, False, True]})
    y = x
    for _ in range(6):
        y = y + x if y.sum() < 3 * x.sum() else y - x - x
    control("loop_with_if_on_state",
            [node("ReduceSum", "x", "xs", keepdims=0), node("Mul", "xs three", "limit"),
             loop([node("ReduceSum", "s", "sum", keepdims=0), node("Less", "sum limit", "c"),
                   node("If", "c", "t",
                        then_branch=graph(node("Add", "s x", "a"), [], [("a", F, (2, 3))]),
                        else_branch=graph([node("Sub", "s x", "b0"), node("Sub", "b0 x", "b")],
                                          [], [("b", F, (2, 3))]))], [("s", "t", F, (2, 3))])],
            {"x": x}, {"y": y}, {"trips": 6, "three": f32(3)[0]})
    for c in (True, False):
        control(f"if_with_loop_{str(c).lower()}",
                node("If", "c", "y", then_branch=graph(
                    loop([node("Add", "s x", "t")], [("s", "t", F, (2, 3))], outputs="a"), [],
                    [("a", F, (2, 3))]), else_branch=negate("b")),
                {"c": np.array(c), "x": x}, {"y": x * 4 if c else -x}, {"trips": 3})


def make_sequences():
    """Lists, as PyTorch writes the list.append() of scripted loops."""
    x = x_of("sequences", 4, 3)
    state = [("s", "t", LIST, None)]
    row = node("Gather", "x i", "row", axis=0)
    append = [row, node("Mul", "row two", "r"), node("SequenceInsert", "s r", "t")]
    two = {"trips": 4, "two": f32(2)[0]}
    empty = node("SequenceEmpty", "", "none", dtype=F)
    control("loop_sequence_stack",
            [empty, loop(append, state, outputs="list", inputs=("trips", "", "none")),
             node("ConcatFromSequence", "list", "y", axis=0, new_axis=1)], {"x": x}, {"y": x * 2},
            two, shapes={"y": [None, None]})
    control("loop_sequence_concat_and_length",
            [empty, loop(append, state, outputs="list", inputs=("trips", "", "none")),
             node("ConcatFromSequence", "list", "y", axis=0), node("SequenceLength", "list", "n"),
             node("SequenceAt", "list last", "z")], {"x": x},
            {"y": (x * 2).reshape(-1), "n": np.array(4), "z": x[3] * 2}, {**two, "last": -1},
            shapes={"y": [None], "z": [None]})
    control("loop_sequence_of_split",
            [node("SplitToSequence", "x", "rows", axis=0, keepdims=0),
             loop([node("SequenceAt", "rows i", "row"), node("Add", "s row", "t")],
                  [("s", "t", F, (3,))], inputs=("trips", "", "start"))], {"x": x},
            {"y": x.sum(0)}, {"trips": 4, "start": np.zeros(3, np.float32)})
    control("loop_sequence_in_front",
            [node("SequenceConstruct", "x", "first"),
             loop([node("SequenceAt", "s zero", "head"), node("Add", "head x", "r"),
                   node("SequenceInsert", "s r zero", "t")], state, outputs="list",
                  inputs=("trips", "", "first")),
             node("ConcatFromSequence", "list", "y", axis=1)], {"x": x},
            {"y": np.concatenate([x * 4, x * 3, x * 2, x], 1)}, {"trips": 3, "zero": 0},
            shapes={"y": [None, None]})


def triangle(x, n):
    s = x
    for i in range(n):
        more = s + x
        for _ in range(i):
            s = s + more
    return s


# --- Scan ----------------------------------------------------------------------------------


def scan(body, inputs, outputs, m, **attributes):
    return node("Scan", inputs, outputs, body=body, num_scan_inputs=m, **attributes)


def make_scan():
    x, start = x_of("scan", 4, 3), np.zeros(3, np.float32)
    running = graph([node("Add", "s x", "t"), node("Identity", "t", "r")],
                    [("s", F, (3,)), ("x", F, (3,))], [("t", F, (3,)), ("r", F, (3,))])
    sums, back = np.cumsum(x, 0), np.cumsum(x[::-1], 0)
    cases = {
        "forward": ({}, sums), "backward": ({"scan_input_directions": [1]}, back),
        "output_backward": ({"scan_output_directions": [1]}, sums[::-1]),
        "both_backward": ({"scan_input_directions": [1], "scan_output_directions": [1]},
                          back[::-1]),
        "output_axis1": ({"scan_output_axes": [1]}, sums.T),
        "output_axis_negative_backward": ({"scan_output_axes": [-1],
                                           "scan_output_directions": [1]}, sums[::-1].T),
    }
    for name, (attributes, want) in cases.items():
        control("scan_" + name, scan(running, "start x", "y all", 1, **attributes),
                {"start": start, "x": x}, {"y": sums[-1] if "scan_input_directions" not in
                                           attributes else back[-1], "all": want})
    for axis in (1, -1):
        control(f"scan_input_axis{axis}".replace("-", "_minus"),
                scan(running, "start x", "y all", 1, scan_input_axes=[axis], scan_output_axes=[0]),
                {"start": start, "x": np.ascontiguousarray(x.T)}, {"y": sums[-1], "all": sums})
    deep = x_of("scan_deep", 2, 5, 3)
    step = graph([node("Add", "s x", "t"), node("Mul", "t x", "r")],
                 [("s", F, (2, 3)), ("x", F, (2, 3))], [("t", F, (2, 3)), ("r", F, (2, 3))])
    total = np.cumsum(deep, 1)
    control("scan_middle_axis",
            scan(step, "start x", "y all", 1, scan_input_axes=[1], scan_output_axes=[1]),
            {"start": np.zeros((2, 3), np.float32), "x": deep},
            {"y": total[:, -1], "all": total * deep})
    control("scan_middle_axis_backward_last",
            scan(step, "start x", "y all", 1, scan_input_axes=[1], scan_output_axes=[2],
                 scan_input_directions=[1]),
            {"start": np.zeros((2, 3), np.float32), "x": deep},
            {"y": total[:, -1],
             "all": np.moveaxis(np.cumsum(deep[:, ::-1], 1) * deep[:, ::-1], 1, 2)})
    control("scan_map", scan(graph(node("Mul", "x x", "r"), [("x", F, (3,))], [("r", F, (3,))]),
                             "x", "y", 1), {"x": x}, {"y": x * x})
    control("scan_state_only",
            scan(graph(node("Max", "s x", "t"), [("s", F, (3,)), ("x", F, (3,))],
                       [("t", F, (3,))]), "start x", "y", 1), {"start": start, "x": x},
            {"y": np.maximum(x.max(0), 0)})
    control("scan_captures",
            [node("Add", "w w", "w2"),
             scan(graph([node("MatMul", "x w2", "r"), node("Add", "r b", "q")], [("x", F, (3,))],
                        [("q", F, (2,))]), "x", "y", 1)], {"x": x, "b": f32(1, 2)},
            {"y": x @ (2 * x_of("scan_w", 3, 2)) + f32(1, 2)}, {"w": x_of("scan_w", 3, 2)})
    z = x_of("scan_z", 4, 3)
    control("scan_two_inputs",
            scan(graph([node("Mul", "p q", "m"), node("Add", "s m", "t"), node("Sub", "p q", "r")],
                       [("s", F, (3,)), ("p", F, (3,)), ("q", F, (3,))],
                       [("t", F, (3,)), ("r", F, (3,))]), "start x z", "y d", 2,
                 scan_input_directions=[0, 1]), {"start": start, "x": x, "z": z},
            {"y": (x * z[::-1]).sum(0), "d": x - z[::-1]})
    control("scan_both_ways",  # one sequence, read from both ends
            scan(graph(node("Sub", "p q", "r"), [("p", F, (3,)), ("q", F, (3,))],
                       [("r", F, (3,))]), "x x", "y", 2, scan_input_directions=[0, 1]), {"x": x},
            {"y": x - x[::-1]})
    p, q, seen = np.zeros(3, np.float32), np.ones(3, np.float32), []
    for row in x:
        p, q = q, p + row
        seen.append(p - q)
    control("scan_two_states",
            scan(graph([node("Identity", "q", "u"), node("Add", "p x", "v"),
                        node("Sub", "u v", "r")],
                       [("p", F, (3,)), ("q", F, (3,)), ("x", F, (3,))],
                       [("u", F, (3,)), ("v", F, (3,)), ("r", F, (3,))]), "p0 q0 x", "y z r", 1),
            {"p0": np.zeros(3, np.float32), "q0": np.ones(3, np.float32), "x": x},
            {"y": p, "z": q, "r": np.stack(seen)})
    control("scan_scalars",
            scan(graph([node("Add", "s x", "t"), node("Identity", "t", "r")],
                       [("s", F, ()), ("x", F, ())], [("t", F, ()), ("r", F, ())]),
                 "start x", "y all", 1), {"start": f32(1)[0], "x": x[:, 0]},
            {"y": sums[-1, 0] + f32(1)[0], "all": sums[:, 0] + f32(1)})
    control("scan_one_step", scan(running, "start x", "y all", 1),
            {"start": start, "x": x[:1]}, {"y": x[0], "all": x[:1]})
    control("scan_unknown_length", scan(running, "start x", "y all", 1),
            {"start": start, "x": x}, {"y": sums[-1], "all": sums},
            shapes={"x": ["n", 3], "all": ["n", 3]})
    control("scan_with_if",
            scan(graph([node("ReduceSum", "x", "sum", keepdims=0), node("Less", "sum zero", "c"),
                        node("If", "c", "r", then_branch=negate("a", (3,)),
                             else_branch=double("b", (3,)))], [("x", F, (3,))], [("r", F, (3,))]),
                 "x", "y", 1), {"x": x},
            {"y": np.stack([-r if r.sum() < 0 else r + r for r in x])}, {"zero": f32(0)[0]})
    control("scan_in_loop",
            loop([scan(running, "start s", "last all", 1), node("Add", "all x", "t")],
                 [("s", "t", F, (4, 3))], outputs="y"), {"x": x},
            {"y": np.cumsum(np.cumsum(x, 0) + x, 0) + x}, {"trips": 2, "start": start})


def make():
    make_if_conditions()
    make_if_branches()
    make_loop_counts()
    make_loop_states()
    make_loop_scans()
    make_loop_nests()
    make_sequences()
    make_scan()

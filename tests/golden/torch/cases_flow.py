# cases_flow.py - If, Loop and Scan where the way depends on the data: several inputs in one
# session, conditions out of conditions, and small programs of the kind that decoders export.
# Expected numbers as in cases_control.py.
import numpy as np

from case_kit import node, steps, random_of
from cases_control import F, I, branches, control, double, f32, graph, loop, negate, scan, x_of


def make_again():
    """One session, several inputs that take other ways through the model; the first again."""
    x = x_of("again", 2, 3)
    both = [({"c": np.array(c), "x": k * x}, {"y": k * x + k * x if c else -k * x})
            for k, c in ((f32(1), True), (f32(2), False), (f32(3), True), (f32(4), False))]
    control("if_both_ways", branches(double(), negate()), *both[0], again=both[1:])
    rows = graph(node("Concat", "x x", "y", axis=0), [], [("y", F, (None, 3))])
    other = graph(node("Neg", "x", "y"), [], [("y", F, (None, 3))])
    both = [({"x": v}, {"y": np.concatenate([v, v]) + 1 if v.sum() > 0 else 1 - v})
            for v in (abs(x), -abs(x), x_of("again_more", 5, 3), abs(x) / 2, -abs(x[:1]))]
    control("if_both_ways_from_data",
            [node("ReduceSum", "x", "sum", keepdims=0), node("Greater", "sum zero", "c"),
             branches(rows, other, "t"), node("Add", "t one", "y")], *both[0],
            {"zero": f32(0)[0], "one": f32(1)}, again=both[1:],
            shapes={"x": ["n", 3], "y": ["m", 3]})
    squeeze = [({"x": v}, {"y": v[:, 0] if v.shape[1] == 1 else v})
               for v in (x_of("again1", 2, 1, 4), x_of("again2", 2, 3, 4), x_of("again3", 5, 1, 1))]
    control("if_squeeze_both_ways",
            [node("Shape", "x", "shape"), node("Gather", "shape at", "size", axis=0),
             node("Equal", "size one", "c"),
             branches(graph(node("Squeeze", "x axis", "a"), [], [("a", F, None)]),
                      graph(node("Identity", "x", "b"), [], [("b", F, None)]))],
            *squeeze[0], {"at": 1, "one": 1, "axis": [1]}, again=squeeze[1:],
            shapes={"x": ["n", "c", "w"], "y": "any"})
    counts = [({"trips": np.array(n), "x": x}, {"y": x * (n + 1)}) for n in (2, 0, 5, 2)]
    control("loop_other_counts", loop([node("Add", "s x", "t")], [("s", "t", F, (2, 3))]),
            *counts[0], again=counts[1:])
    grows = [({"trips": np.array(n), "x": v}, {"y": np.concatenate([v] + [v * 2] * n)})
             for n, v in ((2, x), (0, x), (3, x_of("again4", 4, 3)), (2, -x))]
    control("loop_grows_otherwise",
            loop([node("Mul", "x two", "more"), node("Concat", "s more", "t", axis=0)],
                 [("s", "t", F, (None, 3))]), *grows[0], {"two": f32(2)}, again=grows[1:],
            shapes={"x": ["n", 3], "y": ["m", 3]})
    ways = []
    for limit in (20.0, 1.0, 40.0, 20.0):
        y, seen = np.ones((2, 3), np.float32), []
        while True:
            y = y + 1
            seen.append(y)
            if not y.sum() < limit:
                break
        ways.append(({"limit": f32(limit)[0], "x": np.ones((2, 3), np.float32)},
                     {"y": y, "all": np.stack(seen)}))
    control("loop_while_otherwise",
            loop([node("Add", "s x", "t"), node("ReduceSum", "t", "sum", keepdims=0),
                  node("Less", "sum limit", "on"), node("Identity", "t", "r")],
                 [("s", "t", F, (2, 3))], [("r", F, (2, 3))], keep=False, inputs=("", "c", "x"),
                 outputs="y all"), *ways[0], {"c": True}, again=ways[1:],
            shapes={"all": ["n", 2, 3]})
    running = graph([node("Add", "s x", "t"), node("Identity", "t", "r")],
                    [("s", F, (3,)), ("x", F, (3,))], [("t", F, (3,)), ("r", F, (3,))])
    seqs = [({"x": v}, {"y": v.sum(0), "all": np.cumsum(v, 0)})
            for v in (x, x_of("again5", 6, 3), x[:1], -x)]
    control("scan_other_lengths", scan(running, "start x", "y all", 1), *seqs[0],
            {"start": np.zeros(3, np.float32)}, again=seqs[1:],
            shapes={"x": ["n", 3], "all": ["n", 3]})


def add_one(x, y, shape):
    return graph([node("Add", [x, "one"], [y])], [], [(y, F, shape)])


def make_conditions():
    x = x_of("flow", 2, 3)
    state = [("s", "t", F, (2, 3))]
    # two loops whose bodies use the same names
    control("loop_twice_same_names",
            [loop([node("Add", "s x", "t")], state, outputs="u"),
             loop([node("Sub", "s x", "t")], state, inputs=("more", "", "u"))], {"x": x},
            {"y": x * 4 - x * 2}, {"trips": 3, "more": 2})
    # what a loop gives and nobody asks for
    control("loop_output_left_out",
            loop([node("Add", "s x", "t"), node("Neg", "s", "r"), node("Add", "t s", "q")], state,
                 [("r", F, (2, 3)), ("q", F, (2, 3))], outputs=["", "", "y"]), {"x": x},
            {"y": np.stack([x * 3, x * 5])}, {"trips": 2})
    control("loop_carries_what_it_never_reads",
            loop([node("Add", "x x", "t")], state), {"x": x}, {"y": x * 2}, {"trips": 3})
    control("loop_500", loop([node("Add", "s x", "t")], state), {"x": x}, {"y": x * 501},
            {"trips": 500})
    # A while in a while: double until a limit, which doubles as well.
    inner = loop([node("Add", "u u", "v"), node("ReduceMax", "v", "top", keepdims=0),
                  node("Less", "top lim", "on2")], [("u", "v", F, (2, 3))], outputs="t",
                 inputs=("", "c", "s"), tag="2", keep=False)
    runs = []
    for start in (1.0, 3.0, 0.5, 1.0):
        s, lim = np.full((2, 3), start, np.float32), f32(10)[0]
        seen = []
        while True:
            while True:
                s = s + s
                if not s.max() < lim:
                    break
            lim = lim * f32(4)[0]
            seen.append(s)
            if not lim < 1000:
                break
        runs.append(({"x": np.full((2, 3), start, np.float32)}, {"y": s, "z": lim,
                                                                 "all": np.stack(seen)}))
    control("loop_while_in_while",
            loop([inner, node("Mul", "lim four", "lim2"), node("Less", "lim2 thousand", "on"),
                  node("Identity", "t", "r")], state + [("lim", "lim2", F, ())],
                 [("r", F, (2, 3))], inputs=("", "c", "x", "ten"), outputs="y z all", keep=False),
            *runs[0], {"c": True, "four": f32(4)[0], "ten": f32(10)[0], "thousand": f32(1000)[0]},
            again=runs[1:], shapes={"all": ["n", 2, 3]})
    # An If on what an If computed from the data, with values from before, between and within.
    runs = []
    for v in (abs(x), -abs(x), abs(x) * 8, x * 0):
        h = v * 2
        t = h + v if h.sum() > 0 else v - 1
        runs.append(({"x": v}, {"y": t + h if t.max() > 5 else t * t, "h": h}))
    control("if_after_if_from_data",
            [node("Add", "x x", "h"), node("ReduceSum", "h", "sum", keepdims=0),
             node("Greater", "sum zero", "c"),
             branches(graph(node("Add", "h x", "t1"), [], [("t1", F, (2, 3))]),
                      graph(node("Sub", "x one", "t2"), [], [("t2", F, (2, 3))]), "t"),
             node("ReduceMax", "t", "top", keepdims=0), node("Greater", "top five", "d"),
             node("If", "d", "y",
                  then_branch=graph(node("Add", "t h", "y1"), [], [("y1", F, (2, 3))]),
                  else_branch=graph(node("Mul", "t t", "y2"), [], [("y2", F, (2, 3))]))],
            *runs[0], {"zero": f32(0)[0], "one": f32(1)[0], "five": f32(5)[0]}, again=runs[1:])
    # the same, one within the other
    runs = []
    for v in (abs(x), -abs(x), abs(x) * 8):
        runs.append(({"x": v}, {"y": -v if not v.sum() > 0 else v + 1 if v.max() > 5 else v + v}))
    inside = graph([node("ReduceMax", "x", "top", keepdims=0), node("Greater", "top five", "d"),
                    node("If", "d", "y1", then_branch=add_one("x", "y2", (2, 3)),
                         else_branch=double("y3"))], [], [("y1", F, (2, 3))])
    control("if_in_if_from_data",
            [node("ReduceSum", "x", "sum", keepdims=0), node("Greater", "sum zero", "c"),
             branches(inside, negate("y4"))], *runs[0],
            {"zero": f32(0)[0], "one": f32(1)[0], "five": f32(5)[0]}, again=runs[1:])
    # A condition that a convolution decides, convolutions behind it.
    w = steps(random_of("flow_w"), 4, 4, 1, 1)
    runs = []
    for sign in (1, -1, 1):
        v = sign * abs(x_of("flow_image", 1, 4, 5, 6))
        h = np.einsum("nchw,mc->nmhw", v, abs(w[:, :, 0, 0])).astype(np.float32)
        k = w if h.sum() > 0 else -2 * w
        runs.append(({"x": v}, {"y": np.einsum("nchw,mc->nmhw", h, k[:, :, 0, 0])}))
    then = graph(node("Conv", "h w", "a"), [], [("a", F, (1, 4, 5, 6))])
    other = graph(node("Conv", "h k", "b"), [], [("b", F, (1, 4, 5, 6))], {"k": -2 * w})
    control("if_behind_convolution",
            [node("Conv", "x v", "h"), node("ReduceSum", "h", "sum", keepdims=0),
             node("Greater", "sum zero", "c"), branches(then, other)], *runs[0],
            {"w": w, "v": abs(w), "zero": f32(0)[0]}, again=runs[1:])


def make_programs():
    # A loop over what NonZero found: as many turns as the data have places.
    runs = []
    for v in ([0, 2, 0, 3], [1, 1, 1, 1], [0, 0, 0, 0], [0, 2, 0, 3]):
        v = np.array(v, np.float32)
        at = np.flatnonzero(v)
        total = f32(0)[0]
        for i in at:
            total = v[i] + total * 2
        runs.append(({"x": v}, {"y": np.asarray(total, np.float32), "at": at}))
    control("loop_over_nonzero",
            [node("NonZero", "x", "nz"), node("Squeeze", "nz zero1", "at"),
             node("Shape", "at", "shape"), node("Gather", "shape zero", "trips"),
             loop([node("Gather", "at i", "j"), node("Gather", "x j", "v"),
                   node("Add", "s s", "s2"), node("Add", "s2 v", "t")], [("s", "t", F, ())],
                  inputs=("trips", "", "start"))], *runs[0],
            {"zero": 0, "zero1": [0], "start": f32(0)[0]}, again=runs[1:], shapes={"at": ["n"]})
    # A reader's decoder: the likeliest next letter until the last one or at most ten.
    table = x_of("flow_table", 7, 7) * 16 + np.arange(7, dtype=np.float32) / 8
    table[2, 6] = table[5, 6] = 100
    runs = []
    for first in (0, 1, 2, 3, 6):
        tokens, now = [first], first
        for _ in range(10):
            now = int(np.argmax(table[now]))
            tokens.append(now)
            if now == 6:
                break
        runs.append(({"first": np.array([first])}, {"tokens": np.array(tokens)}))
    assert len({len(r[1]["tokens"]) for r in runs}) > 1
    control("loop_greedy_decoder",
            loop([node("Gather", "s last", "now", axis=0), node("Gather", "table now", "row"),
                  node("ArgMax", "row", "next", axis=1, keepdims=0),
                  node("Concat", "s next", "t", axis=0), node("Squeeze", "next zero1", "n0"),
                  node("Equal", "n0 end", "ended"), node("Not", "ended", "on")],
                 [("s", "t", I, (None,))], inputs=("most", "c", "first"), outputs="tokens",
                 keep=False), *runs[0],
            {"most": 10, "c": True, "last": [-1], "end": 6, "zero1": [0], "table": table},
            again=runs[1:], shapes={"tokens": ["n"]})
    # Keep the best, drop what is near it, until nothing is left: suppression in one dimension.
    runs = []
    for seed in range(3):
        rng = random_of(f"flow_suppression{seed}")
        place = rng.permutation(64)[:8].astype(np.float32)
        score = (rng.permutation(8) + 1).astype(np.float32)
        left, kept = score.copy(), []
        while left.max() > 0:
            best = int(np.argmax(left))
            kept.append(best)
            left = np.where(abs(place - place[best]) < 9, f32(0), left)
        runs.append(({"place": place, "score": score},
                     {"left": left, "kept": np.array(kept)}))
    control("loop_suppression",
            loop([node("ArgMax", "s", "best", axis=0, keepdims=0),
                  node("Gather", "place best", "p"), node("Sub", "place p", "d"),
                  node("Abs", "d", "a"), node("Less", "a nine", "near"),
                  node("Where", "near none s", "t"), node("ReduceMax", "t", "top", keepdims=0),
                  node("Greater", "top none", "on"), node("Identity", "best", "b")],
                 [("s", "t", F, (8,))], [("b", I, ())], inputs=("", "c", "score"),
                 outputs="left kept", keep=False), *runs[0],
            {"c": True, "nine": f32(9)[0], "none": f32(0)[0]}, again=runs[1:],
            shapes={"kept": ["n"]})


def make():
    make_again()
    make_conditions()
    make_programs()

"""look_real.py - the page with reports that `omma look` made of real models and pictures: whatever such a
report holds is gone through with mouse, keys and touch, and what the page says is compared with the
report's own numbers; what a model has not got must be said. Called by look_page.py."""
import os
import re

from look_hand import (b, caption, cell_at, check, choose, click_at, contrast, equal, folder, hover, legend, near,
                       number, on_picture, opened, press, quiet, radio, set_slider, shot, tab, texts, unit)
from look_report import Report

VIEWS = ("field", "attention", "change", "queries", "answers", "about")
report = model = name = None  # of the report at hand


def some(n, most):
    """At most `most` of the numbers below n, the first and the last among them."""
    return sorted({round(i * (n - 1) / max(1, most - 1)) for i in range(most)}) if n > 0 else []


def plain(text):
    """As the page writes names: a star would begin what is strong."""
    return text.replace("*", "∗")


def percent(v):
    if 0 < abs(v) < 0.00005:
        return ("> −" if v < 0 else "< ") + "0.01 %"
    digits = 0 if abs(v) >= 0.0995 else 2 if abs(v) < 0.00995 else 1
    return "%.*f %%" % (digits, 100 * v)


# --- fields ------------------------------------------------------------------------------------

def says_seen(part, y, x, pane="A"):
    """The caption says how many pixels this cell sees, and is no surer of it than the report."""
    layer, said = model["layer"][part], caption(pane)
    n, status = report.seen(model, part, y, x)
    whole = n == model["w"] * model["h"]
    if not n:
        want = ("nothing" if n == 0 else "not in this report",)
    elif whole and status == "bound":
        want = ("only a bound is known", "could be the whole")
    elif whole:
        want = ("sees the whole picture",)
    else:
        want = ("{}{:,} pixels".format("at most " if status == "bound" else "sees ", n),)
    return "Cell (%d, %d) of %s" % (y, x, plain(layer["label"])) in said and all(w in said for w in want)


def middle(layer, y, x):
    """Of a cell, within the picture: a mouse is never there by a hair's breadth."""
    def at(axis, i, n):
        return max(0, min(n - 1, axis.get("first", 0) + axis.get("jump", 0) * i))
    return at(layer["y"], y, model["h"]), at(layer["x"], x, model["w"])


def show_all_layers():
    if b.js("const c = document.querySelector('.check input'); return c.checked"):
        b.js("document.querySelector('.check input').click()")
        b.settle()


def fields():
    tab("field")
    layers = model.get("layer")
    if not layers:
        return check(name + ": no layers is said", "No layers" in b.text("#view"))
    show_all_layers()
    wrong = []
    for i in some(len(layers), 14):
        set_slider(i)
        b.keys("escape")
        for at in ((0.5, 0.5), (0.2, 0.7), (0.99, 0.01)):
            cell = cell_at(layers[i], at[0] * (model["h"] - 1), at[1] * (model["w"] - 1))
            hover(*middle(layers[i], *cell))
            if not says_seen(i, *cell):
                wrong.append((i, layers[i]["label"], cell, caption(), report.seen(model, i, *cell)))
    equal(name + ": cells under the mouse and what they see", wrong[:3], [])
    keys_on_picture(layers)
    growth(layers)
    reached(layers)
    b.js("document.querySelector('.check input').click()")
    b.settle()
    stages = [i for i, l in enumerate(layers) if l.get("stage")]
    check(name + ": one layer for each stage", not stages or len(texts(".strip .mini")) in
          (len(stages), len(stages) + 1), (len(stages), texts(".strip .mini")))


def keys_on_picture(layers):
    i = next((k for k, l in enumerate(layers) if l["y"]["cells"] > 4 and l["x"]["cells"] > 6), None)
    if i is None:
        return
    set_slider(i)
    y, x = cell_at(layers[i], model["h"] // 2, model["w"] // 2)
    click_at(*middle(layers[i], y, x))
    b.js("document.querySelector('.frame canvas').focus()")
    b.keys("left", "up")
    check(name + ": a click holds a cell, arrows move it", says_seen(i, y - 1, x - 1), caption())
    b.keys("escape")


def growth(layers):
    b.js("document.querySelectorAll('.slider input')[0].focus()")
    b.keys("home")
    first = b.text(".slider .value")
    b.keys("end")
    check(name + ": the slider walks from the first layer to the last", first != b.text(".slider .value"), first)
    sees_all = any(report.seen(model, i, l["y"]["cells"] // 2, l["x"]["cells"] // 2) in
                   ((model["w"] * model["h"], s) for s in ("exact", "whole", "data")) for i, l in enumerate(layers))
    said = texts(".moment-text")
    check(name + ": the moment it sees the whole picture is marked, if there is one: %s" % said,
          bool(said) == (sees_all and texts(".sizes .size")[-1:] == ["whole"]), (said, texts(".sizes .size")))
    if model.get("attention") and said:
        check(name + ": the plot of its windows ends at the whole picture", "whole" in texts(".sizes .size"))


def reached(layers):
    radio("true", "#direction")
    wrong, y, x = [], model["h"] // 3, model["w"] // 4
    for i in some(len(layers), 6):
        layer = layers[i]
        if "lines" not in layer["y"] or "lines" not in layer["x"]:
            continue
        set_slider(i)
        hover(y, x)
        every = [s for s in model.get("set", []) if s["unit"]["what"] == "cell" and s["unit"]["part"] == i and
                 s["unit"]["y"] < 0 and "pixels" not in s]
        all_ = layer["y"]["cells"] * layer["x"]["cells"]
        n = all_ if every else report.reached(layer, y, x)
        want = "all {:,} cells".format(n) if n == all_ else "{:,} of {:,} cells".format(n, all_)
        if want not in caption() or ("at most" in caption()) != bool(layer.get("bound") and not every):
            wrong.append((layer["label"], caption(), want))
    equal(name + ": the cells that a pixel reaches", wrong[:3], [])
    radio("false", "#direction")


def swin_sets():
    """Which patches of 4 x 4 px the cells of Swin-T's blocks see, by its definition: windows of 7, shifted
    by 3 in every other block, where what was not beside stays apart; merging of 2 x 2. By layer's name."""
    n, out = 56, {}
    cells = {(y, x): frozenset([(y, x)]) for y in range(n) for x in range(n)}
    for stage, depth in enumerate((2, 2, 6, 2)):
        for block in range(depth):
            shift = 3 if block % 2 and n > 7 else 0
            rooms = {}
            for y, x in cells:
                up, left = (y - shift) % n, (x - shift) % n
                apart = (y < shift, x < shift) if shift else (False, False)
                rooms.setdefault((up // 7, left // 7) + apart, []).append((y, x))
            cells = {c: sees for room in rooms.values() for sees in [frozenset().union(*(cells[c] for c in room))]
                     for c in room}
            out["s%db%d" % (stage + 1, block)] = cells
        if stage < 3:
            n //= 2
            cells = {(y, x): frozenset().union(*(cells[2 * y + i, 2 * x + j] for i in (0, 1) for j in (0, 1)))
                     for y in range(n) for x in range(n)}
            out["merge%d" % (stage + 1)] = cells
    return out


def swin():
    """The exact sets in the report are those of the definition, pixel by pixel."""
    want, wrong, ran = swin_sets(), [], 0
    for s in model["set"]:
        u = s["unit"]
        cells = want.get(model["layer"][u["part"]]["label"])
        if u["what"] != "cell" or cells is None:
            continue
        for cell in cells if u["y"] < 0 else [(u["y"], u["x"])]:
            seen = {(p // 224 // 4, p % 224 // 4) for a, e in report.runs(s["pixels"])[0] for p in range(a, e, 4)} \
                if "pixels" in s else cells[cell] if len(cells[cell]) == 3136 else None
            n = report.seen(model, u["part"], *cell)[0]
            ran += 1
            if seen != cells[cell] or n != 16 * len(cells[cell]) or s["status"] not in ("exact", "whole"):
                wrong.append((model["layer"][u["part"]]["label"], cell, n, 16 * len(cells[cell])))
    equal("%s: %d exact sets are those of its definition" % (name, ran), wrong[:5], [])
    check(name + ": in every stage", ran > 100, ran)


# --- attention -------------------------------------------------------------------------------------

def place(tokens, at):
    """The token of the finest grid that lies at pixel at, and where its middle is."""
    g = min(tokens["grids"], key=lambda g: g["jump_y"])

    def line(v, first, jump, n):
        return max(0, min(n - 1, int((v - first) / jump + 0.5)))
    r, c = line(at[0], g["first_y"], g["jump_y"], g["rows"]), line(at[1], g["first_x"], g["jump_x"], g["columns"])
    return g["from"] + r * g["row_step"] + c * g["column_step"]


def order():
    def rank(i):
        a = model["attention"][i]
        return {"encoder": 0, "decoder": 2}.get(a.get("stack"), 1), a["block"], i
    return sorted(range(len(model["attention"])), key=rank)


def heads():
    tab("attention")
    lists = model.get("attention")
    if not lists:
        return check(name + ": no attention is said", "ttention" in b.text("#view .nothing"), b.text("#view"))
    measured = [m for m in ("distance", "entropy") if any(a.get(m) and any(v is not None for v in a[m])
                                                          for a in lists)]
    if measured:
        want = sum(v is not None for a in lists for v in a.get(measured[0], []))
        equal(name + ": the plot has a dot for each head that has a number",
              b.js("return document.querySelectorAll('.plot .head').length"), want)
        ticks = b.js("""const r = [...document.querySelectorAll('.plot .tick[text-anchor=middle]')].map(
            t => t.getBoundingClientRect()); return r.some((a, i) => i && a.left < r[i - 1].right)""")
        equal(name + ": its labels do not overlap", ticks, False)
    for k in some(len(lists), 3):
        one_attention(order(), k)


def one_attention(listed, k):
    a = model["attention"][listed[k]]
    choose("Layer", k)
    tokens = [model["tokens"][a[side]] if a[side] >= 0 else None for side in ("query", "key")]
    if "weights" not in a:
        return check("%s: weights that are left out are said" % name, "not in this file" in caption(), caption())
    if a["queries"] * a["keys"] * a["kept_heads"] * a["windows"] > 1.2e6 or None in tokens:
        return
    for by in (False, True):
        radio("true" if by else "false", "#way")
        mine = tokens[by]
        at = (0.4 * model["h"], 0.6 * model["w"])
        if mine["grids"]:
            click_at(*at)
        elif mine["queries"] and not model.get("query"):
            b.js("const i = document.querySelector('.number input'); i.value = 1; i.dispatchEvent(new Event('change'))")
            b.settle()
        t = place(mine, at) if mine["grids"] else unit()["y"]
        for head in (None, 0):
            b.js("const m = document.querySelectorAll('.heads .mini')[arguments[0]]; if (m) m.click()",
                 0 if head is None else 1)
            b.settle()
            w = report.looks(model, a, head, t, by)
            said = re.search(r": ([\d.e−-]+)\.$", caption())
            best = max(w.values())
            near("%s: %s, token %d, %s: the greatest weight" % (name, plain(a["label"]), t,
                 "by whom it is looked at" if by else "where it looks"),
                 number(said.group(1)) if said else None, best, 0.06 * best)
            if legend():
                near(name + ": the scale ends there", number(legend()[1]), best, 0.006 * best)
    radio("false", "#way")
    if tokens[0]["grids"]:
        before = caption()
        b.js("document.querySelector('.frame canvas').focus()")
        b.keys("x")
        check(name + ": X turns the direction", "is looked at" in caption(), caption())
        b.keys("x", "right")
        check(name + ": an arrow goes to the next token", caption() != before, caption())


# --- the rest ---------------------------------------------------------------------------------------

def change():
    tab("change")
    ledgers = model.get("ledger")
    if not ledgers:
        return check(name + ": no ledger is said", len(b.text("#view")) > 20, b.text("#view"))
    blocks = b.js("const r = document.querySelector('.slider input'); return +r.max + 1")
    wrong = []
    for i in some(blocks, 5):
        set_slider(i)
        bars = [t.replace("\xa0", " ") for t in texts(".bar-value")]
        l = next((l for l in ledgers if "In %s " % plain(l["label"]) in caption() and l["token"] == unit()["y"]), None)
        if bars[-1] not in ("100 %", "100.0 %") or not l or \
                "kept %s of" % percent(l["own"]) not in caption().replace("\xa0", " "):
            wrong.append((l and l["own"], bars, caption()))
    equal(name + ": shares of %d blocks add up" % blocks, wrong, [])
    cut = next((l for l in ledgers if l["silenced"]), None)
    hint = b.text(".hint") if b.js("return !!document.querySelector('.hint')") else ""
    if not cut:
        return check(name + ": that nothing was silenced is said", "not in this report" in hint, hint)
    for i in range(blocks):
        set_slider(i)
        if b.js("return [...document.querySelectorAll('.sources button')].some(x => !x.disabled)"):
            break
    else:
        blocks = 0
    if blocks:
        b.js("[...document.querySelectorAll('.sources button')].find(x => !x.disabled).click()")
        b.settle()
        check(name + ": silencing a source says what happens", "silenced" in caption() and "changed by" in caption(),
              caption())


def queries():
    tab("queries")
    list_ = model.get("query")
    if not list_:
        return check(name + ": no queries is said", "ueries" in b.text("#view .nothing"), b.text("#view"))
    q = next((q for q in list_ if q["answer"] >= 0), list_[0])
    for step in some(len(q["steps"]), 6):
        set_slider(step)
        s = q["steps"][step]
        want = "Query %d behind %s" % (q["number"], plain(s.get("label", "the decoder")))
        check(name + ": its query behind layer %d" % step, want in caption() and s.get("name", "") in caption(),
              (caption(), want))
    equal(name + ": a line of the timeline for each layer", len(texts(".timeline tbody tr")), len(q["steps"]))


def answers():
    tab("answers")
    list_ = model.get("answer")
    if not list_:
        return check(name + ": no answers is said", len(b.text("#view .nothing")) > 10, b.text("#view"))
    equal(name + ": its answers", [t for t in texts(".answers .answer-name")], [a.get("name") for a in list_])
    for i in some(len(list_), 3):
        b.js("document.querySelectorAll('.answers button')[arguments[0]].click()", i)
        b.settle()
        check(name + ": answer %d" % i, caption().startswith(list_[i]["name"]), caption())
        heats = [h for h in model.get("heat", []) if h["family"] == "attribution" and h["unit"]["what"] == "answer"
                 and h["unit"]["part"] == i]
        heats.sort(key=lambda h: "edge" in h["unit"])
        if heats:
            choose("Map", 0) if len(heats) > 1 else None
            own = max(abs(v) for v in report.numbers(heats[0]["map"]))
            near(name + ": the scale of its map", number(legend()[1]), own, own * .006)
    tab("about")
    said = b.text("#view")
    check(name + ": every note is to be read", all(n["text"][:60] in said for n in model.get("note", [])), said[:300])


def clear_and_whole():
    """Nothing sticks out, is cut or too pale; panels have something in them."""
    for theme in ("light", "dark"):
        b.click("#theme")
        equal("%s: the theme is %s" % (name, theme), b.js("return document.documentElement.dataset.theme"), theme)
        for v in VIEWS:
            tab(v)
            check("%s: the view %s has something to say" % (name, v), len(b.text("#view").strip()) > 20)
            if theme == "light" or v in ("field", "attention", "change"):
                shot("%s-%s-%s" % (name, v, theme), True)
        contrast("%s, %s" % (name, theme))
    b.click("#theme")
    b.screen(360, 740, mobile=True, scale=2)
    for v in VIEWS:
        tab(v)
        b.js("window.scrollTo(0, 0)")
        equal("%s: 360 px: nothing sticks out: %s" % (name, v),
              b.js("return [document.documentElement.scrollWidth, innerWidth]"), [360, 360])
        if v in ("field", "attention", "change"):
            shot("%s-%s-phone" % (name, v))
    tab("field")
    b.js("window.scrollTo(0, 0)")
    layers = model.get("layer", [])
    b.keys("escape")
    click_at(model["h"] // 3, model["w"] // 3, kind="touch")
    if layers:
        i = unit()["part"]
        check(name + ": a tap takes a cell", says_seen(i, *cell_at(layers[i], model["h"] // 3, model["w"] // 3)),
              caption())
    b.screen(1400, 950)


def side_by_side():
    """Two models at two sizes of the same picture; then two units of one model."""
    global model
    tab("field")
    b.click("#compare")
    title = 'return document.querySelector(`.pane[data-pane="B"] .pane-title`).textContent'
    check(name + ": the other model stands beside", report.models[1]["model"]["name"] in b.js(title), b.js(title))
    model = report.models[1]
    for pane, m in (("A", report.models[0]), ("B", report.models[1])):
        r = on_picture(0, 0, pane), on_picture(m["h"] - 1, m["w"] - 1, pane)
        near("%s: picture %s has the shape the model saw" % (name, pane), (r[1][0] - r[0][0]) / (r[1][1] - r[0][1]),
             (m["w"] - 1) / (m["h"] - 1), 0.03)
        model = m
        click_at(m["h"] // 2, m["w"] // 4, pane)
        if "held" not in b.js(title.replace('"B"', '"%s"' % pane)):
            click_at(m["h"] // 2, m["w"] // 4, pane)
        i = unit(pane)["part"]
        check("%s: picture %s: its cell and what it sees" % (name, pane),
              says_seen(i, *cell_at(m["layer"][i], m["h"] // 2, m["w"] // 4), pane), caption(pane))
    shot(name + "-two-models")
    for v in VIEWS[1:]:
        tab(v)
        shot("%s-two-models-%s" % (name, v))
    tab("field")
    choose("Model", 0)
    model = report.models[0]
    i = unit("B")["part"]
    click_at(model["h"] // 5, model["w"] * 4 // 5, "B")
    check(name + ": two units of one model", says_seen(i, *cell_at(model["layer"][i], model["h"] // 5,
          model["w"] * 4 // 5), "B") and caption("A") != caption("B"), (caption("A"), caption("B")))
    shot(name + "-two-units")
    if model.get("attention"):
        tab("attention")
        radio("shared")
        shot(name + "-two-units-attention")
        if legend("A") and legend("B"):
            equal(name + ": a shared scale", legend("A")[:2], legend("B")[:2])
        radio("raw")
    tab("field")
    b.click("#compare")


def real(which):
    global report, model, name
    name, path = which, os.path.join(folder, which + ".html")
    report = Report(path)
    model = report.models[0]
    ready = opened(which + ".html")
    paint = b.call("POST", "/execute/async", {"script": """const done = arguments[0];
        const ask = n => { const p = performance.getEntriesByName('first-contentful-paint')[0];
          if (p || !n) done(p ? p.startTime : -1); else setTimeout(() => ask(n - 1), 50); };
        ask(40)""", "args": []})
    size = os.path.getsize(path)
    check("%s, %.1f MB: the first picture after %d ms (first paint %d ms)" % (name, size / 1e6, ready, paint),
          ready < 10000, ready)
    check(name + ": within 15 MB", size <= 15e6, size)
    if name == "swin_t":
        swin()
    parts = (fields, heads, change, queries, answers, clear_and_whole) + ((side_by_side,) if len(report.models) > 1
                                                                        else ())
    for part in parts:
        try:
            part()
        except Exception as e:  # a gesture that cannot be made is a failure, not the end
            check("%s: %s: %s" % (name, part.__name__, e), False)
        quiet("%s, %s" % (name, part.__name__))

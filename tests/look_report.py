"""look_report.py - a report read from its file as docs/report-format.md describes it, so that what the
page says can be compared with what is in it. Standard library only."""
import base64
import json
import re


class Report:
    def __init__(self, path):
        with open(path, encoding="utf-8") as f:
            self.text = f.read()
        found = re.search(r'<script type="application/json" id="omma-data">(.*?)</script>', self.text, re.S)
        self.data = json.loads(found.group(1))
        self.width, self.height = (self.data["picture"][k] for k in ("width", "height"))
        self.models = []
        for part in self.data["parts"]:
            if part["part"] == "model":
                self.models.append({"model": part})
            elif self.models:
                self.models[-1].setdefault(part["part"], []).append(part)
        for m in self.models:
            m["w"], m["h"] = m["model"].get("width", self.width), m["model"].get("height", self.height)

    def block(self, ref):
        mark = '<script type="omma/block" id="b%d">' % ref["block"]
        at = self.text.index(mark) + len(mark)
        raw = base64.b64decode(self.text[at:self.text.index("<", at)])
        return unshrink(raw, ref["bytes"]) if ref["coding"] == "huffman" else raw

    def numbers(self, ref):
        data, n = self.block(ref), ref["count"]
        planes, least, range_ = len(data) // n, ref["min"], ref["max"] - ref["min"]
        out = []
        for i in range(n):
            q = sum(data[k * n + i] << 8 * k for k in range(planes)) / ref["levels"]
            out.append(least + range_ * q ** ref["power"])
        return out

    def wholes(self, ref):
        data, n = self.block(ref), ref["count"]
        return [sum(data[k * n + i] << 8 * k for k in range(len(data) // n)) for i in range(n)]

    def runs(self, ref):
        """Lines of [(from, to), ...]."""
        data, at, before, lines = self.block(ref), 0, 0, []

        def number():
            nonlocal at
            v = shift = 0
            while True:
                byte = data[at]
                at += 1
                v |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    return v
        for _ in range(ref["count"]):
            line, end = [], 0
            for k in range(number()):
                v = number()
                start = end + v if k else before + (-(v // 2) - 1 if v & 1 else v // 2)
                if not k:
                    before = start
                end = start + number()
                line.append((start, end))
            lines.append(line)
        return lines

    # --- what the page should say ----------------------------------------------------------

    def seen(self, model, part, y, x):
        """How many pixels a cell is said to see, and how sure that is: by its own set, by its layer's, by
        the lines."""
        own = {(s["unit"]["y"], s["unit"]["x"]): s for s in model.get("set", [])
               if s["unit"]["what"] == "cell" and s["unit"]["part"] == part}
        s = own.get((-1, -1)) or own.get((y, x))
        if s:
            return area(self.runs(s["pixels"])[0]) if "pixels" in s else model["w"] * model["h"], s["status"]
        layer = model["layer"][part]
        if "lines" not in layer["y"] or "lines" not in layer["x"]:
            return None, None
        rows, cols = self.cell_set(layer, y, x)
        return area(rows) * area(cols), "bound" if layer.get("bound") else layer["status"]

    def looks(self, model, a, head, token, by):
        """Weights between a token and those of the other side, by token; head None: the mean."""
        mine, other = ("key", "query") if by else ("query", "key")
        n = {"query": a["queries"], "key": a["keys"]}
        kept = a["kept_heads"]
        heads = [head] if head is not None and kept == a["heads"] else range(kept)
        if "_w" not in a:
            a["_w"], a["_m"] = self.block(a["weights"]), self.numbers(a["largest"])
            for side in n:
                ref = a.get(side + "_token")
                a["_" + side] = self.wholes(ref) if ref else range(1, n[side] + 1)
        out = {}
        for at, t in enumerate(a["_" + mine]):
            if t != token + 1:
                continue
            window, i = divmod(at, n[mine])
            for h in heads:
                for k in range(n[other]):
                    to = a["_" + other][window * n[other] + k] - 1
                    row = (window * kept + h) * n["query"] + (k if by else i)
                    w = a["_w"][row * n["key"] + (i if by else k)] / a["weights"]["levels"]
                    if to >= 0:
                        out[to] = out.get(to, 0) + w * w * a["_m"][row] / len(heads)
        return out

    def cell_set(self, layer, y, x):
        rows, cols = self.runs(layer["y"]["lines"]), self.runs(layer["x"]["lines"])
        return rows[0 if len(rows) == 1 else y], cols[0 if len(cols) == 1 else x]

    def reached(self, layer, y, x):
        n = 1
        for axis, v in ((layer["y"], y), (layer["x"], x)):
            lines = self.runs(axis["lines"])
            hit = [any(a <= v < b for a, b in line) for line in lines]
            n *= axis["cells"] * hit[0] if len(lines) == 1 else sum(hit)
        return n

    def weight(self, a, head, query, key):
        """Of tokens, without windows."""
        n, k = a["queries"], a["keys"]
        if "_w" not in a:
            a["_w"], a["_m"] = self.block(a["weights"]), self.numbers(a["largest"])
        row = head * n + query
        return (a["_w"][row * k + key] / a["weights"]["levels"]) ** 2 * a["_m"][row]


def unshrink(data, size):
    length = [data[s >> 1] >> (s & 1) * 4 & 15 for s in range(272)]
    codes, code = {}, 0
    for bits in range(1, 16):
        for s in range(272):
            if length[s] == bits:
                codes[bits, code] = s
                code += 1
        code <<= 1
    stream = int.from_bytes(b"\1" + data[136:], "big")
    bits = bin(stream)[3:]
    out, at = bytearray(), 0
    while len(out) < size:
        n, value = 0, 0
        while (n, value) not in codes or n == 0:
            value = value << 1 | (bits[at] == "1")
            at, n = at + 1, n + 1
        s = codes[n, value]
        if s < 256:
            out.append(s)
        else:
            k = s - 256
            out += bytes((1 << k) + int(bits[at:at + k], 2))
            at += k
    return bytes(out)


def area(runs):
    return sum(b - a for a, b in runs)

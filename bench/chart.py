"""The picture of what bench/compare.py measured: bars as SVG, drawn without a library.

A panel for each number of threads, a group for each model, a bar for each runtime: its time
relative to ONNX Runtime's, shorter is faster; the time itself stands behind the bar.
"""
from xml.sax.saxutils import escape

NAMES = {"omma": "omma", "omma-bf16": "omma, bfloat16", "ort": "ONNX Runtime", "torch": "PyTorch"}
COLORS = {"omma": "#d1495b", "omma-bf16": "#e79aa4", "ort": "#8d99ae", "torch": "#c9cfdb"}
BAR, GAP, LEFT, WIDE, LONGEST = 11, 10, 210, 620, 2.5
HALO = 'stroke="white" stroke-width="3" paint-order="stroke"'  # where a line passes behind a number


def text(x, y, said, more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{escape(said)}</text>'


def bars(row, y, longest):
    """The group of a model, and where the next begins."""
    peers = {n: p for n, p in row["peers"].items() if n in NAMES}
    base = peers.get("ort", peers["omma"])["ms"]
    out = [text(LEFT - 10, y + len(peers) * BAR / 2 + 4, row["model"], 'text-anchor="end"')]
    for name in NAMES:
        if name not in peers:
            continue
        ratio = peers[name]["ms"] / base
        wide = min(ratio, longest) * (WIDE - 120) / longest
        cut = "›" if ratio > longest else ""
        out.append(f'<rect x="{LEFT}" y="{y}" width="{wide:.1f}" height="{BAR - 1}" fill="{COLORS[name]}"/>')
        out.append(text(LEFT + wide + 5, y + BAR - 2, f"{cut}{peers[name]['ms']:.1f} ms",
                        f'font-size="9" {HALO}'))
        y += BAR
    return out, y + GAP


def panel(rows, threads, y, longest):
    out = [text(LEFT, y, f"{threads} thread{'s' if threads > 1 else ''}", 'font-weight="bold"')]
    top = y = y + 14
    groups = []
    for row in rows:
        more, y = bars(row, y, longest)
        groups += more
    one = LEFT + (WIDE - 120) / longest
    out.append(f'<line x1="{one:.1f}" y1="{top - 4}" x2="{one:.1f}" y2="{y - GAP + 4}" stroke="#2b2d42" '
               'stroke-width="0.7" stroke-dasharray="3 3"/>')
    return out + groups, y + 24


def draw(result):
    """An SVG of the whole result."""
    machine = result["machine"]
    out = [text(12, 24, "Time of a run, relative to ONNX Runtime (shorter is faster)",
                'font-size="15" font-weight="bold"'),
           text(12, 42, f"{machine['processor']}, {machine['cores']} cores, {result['date']}; medians of "
                        f"{result['rounds']} round{'s' if result['rounds'] > 1 else ''} in turns")]
    x = 12
    there = {n for r in result["rows"] for n in r["peers"]}
    longest = LONGEST if "torch" in there else 1.2  # PyTorch alone may take much longer
    for name, called in NAMES.items():
        if name not in there:
            continue
        out += [f'<rect x="{x}" y="52" width="10" height="10" fill="{COLORS[name]}"/>', text(x + 15, 61, called)]
        x += 30 + 7 * len(called)
    y = 88
    for threads in sorted({r["threads"] for r in result["rows"]}):
        more, y = panel([r for r in result["rows"] if r["threads"] == threads and "omma" in r["peers"]],
                        threads, y, longest)
        out += more
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDE}" height="{y}" '
            f'font-family="sans-serif" font-size="11" fill="#2b2d42">\n<rect width="100%" height="100%" '
            'fill="white"/>\n' + "\n".join(out) + "\n</svg>\n")

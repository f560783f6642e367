"""look_hand.py - hand and eye of the tests of the page: one Chromium, gestures by what is on the page, what
is to be read there; and the counting of what was checked, as TAP."""
import json
import os
import sys

from webdriver import Browser

folder = sys.argv[1]
b = Browser()
ran = failed = 0


def check(what, ok, seen=""):
    global ran, failed
    ran += 1
    failed += not ok
    print("%sok %d - %s" % ("" if ok else "not ", ran, what), flush=True)
    if not ok and seen != "":
        print("# seen: %s" % (seen,), flush=True)


def equal(what, got, want):
    check(what, got == want, "%r, wanted %r" % (got, want))


def near(what, got, want, off):
    check(what, got is not None and abs(got - want) <= off, "%r, wanted %r" % (got, want))


def shot(name, whole=False):
    b.shot(os.path.join(folder, name + ".png"), whole)


def quiet(where):
    said = [x["message"] for x in b.log() if "willReadFrequently" not in x["message"]]  # see drawn()
    equal("the console is silent: " + where, said, [])


# --- what is on the page ----------------------------------------------------------------------

def caption(pane="A"):
    return b.text('.pane[data-pane="%s"] figcaption' % pane).replace("\xa0", " ")


def unit(pane="A"):
    """What the view at hand is about."""
    return json.loads(b.js("return document.querySelector(`.pane[data-pane=\"${arguments[0]}\"]`).dataset.unit", pane))


def on_picture(y, x, pane="A"):
    """Where pixel (y, x) of the picture lies in the window."""
    r = b.js("const p = document.querySelector(`.pane[data-pane=\"${arguments[0]}\"]`), d = p.dataset, r ="
             "p.querySelector('canvas').getBoundingClientRect();"
             "return [r.left, r.top, r.width, r.height, +d.width, +d.height]", pane)
    return r[0] + (x + 0.5) / r[4] * r[2], r[1] + (y + 0.5) / r[5] * r[3]


def hover(y, x, pane="A"):
    b.pointer(*on_picture(y, x, pane), press=False)


def click_at(y, x, pane="A", kind="mouse"):
    b.pointer(*on_picture(y, x, pane), kind=kind)


def drawn(y, x):
    """Colour and opacity of the drawing over the middle of pixel (y, x)."""
    return b.js("""const c = document.querySelector('.frame canvas'), d = c.closest('.pane').dataset;
        const k = c.width / d.width, l = c.height / d.height;
        return [...c.getContext('2d').getImageData(Math.floor((arguments[1] + .5) * k),
          Math.floor((arguments[0] + .5) * l), 1, 1).data]""", y, x)


def tab(name):
    b.click("#tab-" + name)


def set_slider(value, which=0):
    b.js("""const i = document.querySelectorAll('.slider input')[arguments[0]];
        i.value = arguments[1]; i.dispatchEvent(new Event('input'))""", which, value)
    b.settle()


def choose(label, index):
    b.js("""const l = [...document.querySelectorAll('.select label')].find(x => x.textContent === arguments[0]);
        const s = document.getElementById(l.htmlFor); s.value = arguments[1];
        s.dispatchEvent(new Event('change'))""", label, index)
    b.settle()


def press(text, inside="#view"):
    b.js("""[...document.querySelectorAll(arguments[1] + ' button')].find(
        x => x.textContent.trim() === arguments[0]).click()""", text, inside)
    b.settle()


def radio(value, inside="#view"):
    b.js("document.querySelector(`${arguments[1]} input[type=radio][value=\"${arguments[0]}\"]`).click()",
         value, inside)
    b.settle()


def texts(css):
    return b.js("return [...document.querySelectorAll(arguments[0])].map(x => x.textContent)", css)


def legend(pane="A"):
    return b.js("""const l = document.querySelector(`.pane[data-pane="${arguments[0]}"] .legend`);
        return l.hidden ? null : [...l.querySelectorAll('.end')].map(x => x.textContent)
          .concat(l.querySelector('.of').textContent)""", pane)


def number(text):
    return float(text.replace("−", "-").replace(",", "").split()[0])


def cell_at(layer, y, x):
    def line(axis, v):
        return max(0, min(axis["cells"] - 1, int((v - axis["first"]) / axis["jump"] + 0.5)))
    return line(layer["y"], y), line(layer["x"], x)


def contrast(theme):
    """WCAG 2: text at least 4.5 to 1 on what is behind it."""
    ratios = b.js("""
        const light = c => { const v = c.match(/[\\d.]+/g).slice(0, 3).map(x => x / 255)
            .map(x => x <= .04045 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4);
          return .2126 * v[0] + .7152 * v[1] + .0722 * v[2]; };
        const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
          if (!c.startsWith('rgba(0, 0, 0, 0')) return c; } return 'rgb(255,255,255)'; };
        return [...document.querySelectorAll('p, dt, dd, th, td, button, label, h1, h2, h3, small, legend, figcaption')]
          .filter(e => e.offsetParent && e.textContent.trim() && !e.disabled && !e.closest('.sr')).map(e => {
            const a = light(getComputedStyle(e).color), b = light(behind(e));
            return [(Math.max(a, b) + .05) / (Math.min(a, b) + .05), e.tagName + ' ' + e.textContent.slice(0, 30)]; })
          .filter(x => x[0] < 4.5)""")
    equal("text stands out from what is behind it: " + theme, ratios, [])


def opened(name, enough=1000):
    """Open a report; the milliseconds to its first picture, the best of up to three: other programs
    on the machine are not the page's doing."""
    best = 1e9
    for _ in range(3):
        b.open(os.path.join(folder, name))
        b.settle()
        best = min(best, int(b.js("return document.documentElement.dataset.ready")))
        if best < enough:
            break
    return best


def finish():
    b.close()
    print("1..%d" % ran)
    sys.exit(1 if failed else 0)

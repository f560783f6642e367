"""webdriver.py - as much of the WebDriver protocol as the tests of the page need: chromedriver is
started on a free port, one headless Chromium, its own profile. Standard library only."""
import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
KEYS = {"left": "\ue012", "up": "\ue013", "right": "\ue014", "down": "\ue015", "enter": "\ue007",
        "escape": "\ue00c", "tab": "\ue004", "space": " ", "end": "\ue010", "home": "\ue011",
        "shift": "\ue008"}


def tools():
    """The programs, or None where one is missing."""
    driver = shutil.which("chromedriver")
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    return (driver, browser) if driver and browser else None


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Browser:
    def __init__(self):
        driver, browser = tools()
        self.profile = tempfile.mkdtemp()
        self.url = "http://127.0.0.1:%d" % free_port()
        self.process = subprocess.Popen([driver, "--port=" + self.url.rsplit(":", 1)[1]],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        start_new_session=True)
        args = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                "--no-first-run", "--force-device-scale-factor=1", "--user-data-dir=" + self.profile]
        if os.geteuid() == 0:
            args.append("--no-sandbox")  # Chromium refuses to sandbox as root
        wanted = {"goog:chromeOptions": {"binary": browser, "args": args},
                  "goog:loggingPrefs": {"browser": "ALL"}}
        self.session = ""
        for _ in range(100):
            try:
                self.call("GET", "/status", session=False)
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        answer = self.call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}}, session=False)
        self.session = "/session/" + answer["sessionId"]

    def call(self, method, path, body=None, session=True):
        data = json.dumps(body if body is not None else {}).encode() if method == "POST" else None
        request = urllib.request.Request(self.url + (self.session if session else "") + path, data,
                                         {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as e:
            value = json.load(e)["value"]
            raise RuntimeError("%s: %s" % (value["error"], value["message"].split("\n")[0])) from None

    def close(self):
        try:
            self.call("DELETE", "")
        except Exception:
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    # --- the page ---------------------------------------------------------------------------

    def open(self, path):
        self.call("POST", "/url", {"url": "file://" + os.path.abspath(path)})

    def js(self, text, *args):
        return self.call("POST", "/execute/sync", {"script": text, "args": list(args)})

    def cdp(self, command, **params):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    def screen(self, width, height, mobile=False, scale=1):
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height,
                 deviceScaleFactor=scale, mobile=mobile)
        self.cdp("Emulation.setTouchEmulationEnabled", enabled=mobile)

    def media(self, **features):
        self.cdp("Emulation.setEmulatedMedia",
                 features=[{"name": k.replace("_", "-"), "value": v} for k, v in features.items()])

    def settle(self):
        """Two frames on: what was asked for has been drawn."""
        self.call("POST", "/execute/async", {"script": "const done = arguments[0];"
                  "requestAnimationFrame(() => requestAnimationFrame(() => done()))", "args": []})

    def shot(self, path, whole=False):
        self.settle()
        if whole:
            size = self.cdp("Page.getLayoutMetrics")["cssContentSize"]
            data = self.cdp("Page.captureScreenshot", format="png", captureBeyondViewport=True,
                            clip={"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1})["data"]
        else:
            data = self.call("GET", "/screenshot")
        with open(path, "wb") as f:
            f.write(base64.b64decode(data))

    def log(self):
        """What the console said since the last time."""
        return self.call("POST", "/se/log", {"type": "browser"})

    # --- gestures ---------------------------------------------------------------------------

    def element(self, css):
        return self.call("POST", "/element", {"using": "css selector", "value": css})[ELEMENT]

    def text(self, css):
        return self.js("return document.querySelector(arguments[0]).textContent", css)

    def click(self, css):
        self.call("POST", "/element/%s/click" % self.element(css))
        self.settle()

    def keys(self, *names):
        actions = []
        for name in names:
            down = [KEYS.get(k, k) for k in name.split("+")] if len(name) > 1 else [name]
            actions += [{"type": "keyDown", "value": k} for k in down]
            actions += [{"type": "keyUp", "value": k} for k in reversed(down)]
        self.call("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})
        self.settle()

    def pointer(self, x, y, kind="mouse", press=True):
        actions = [{"type": "pointerMove", "duration": 0, "x": round(x), "y": round(y)}]
        if press:
            actions += [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        self.call("POST", "/actions", {"actions": [{"type": "pointer", "id": kind,
                  "parameters": {"pointerType": kind}, "actions": actions}]})
        self.settle()

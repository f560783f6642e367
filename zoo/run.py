"""Export every model of the zoo, run it with omma, compare with PyTorch, print a table.

    python3 zoo/run.py [--omma build/omma] [--weights build/zoo_weights] [--work build/zoo]
                       [--record docs/zoo.md]

Environment: ONLY=substring (or several, with commas) runs a part; KEEP=1 keeps the exports,
which are then used again as long as the files of zoo/ have not changed; RESUME=1 takes over
the results of models that were already found equal with this very omma. Exit status 1 if
omma refused a model or computed something else.
"""
import argparse
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time

import numpy as np

import attention
import check

QUANTIZED_FLIPS = 1e-4  # the share of quantized numbers that may round the other way

HERE = os.path.dirname(os.path.abspath(__file__))
EXPORT_LIMIT, RUN_LIMIT = 1200, 600  # [s]


def digest(paths):
    h = hashlib.sha256()
    for p in paths:
        with open(p, "rb") as f:
            h.update(f.read())
    return h.hexdigest()[:16]


def sources(kind):
    """What an export depends on."""
    own = {"detect": ["detectors"], "detr": ["detr"], "mobilevit": ["mobilevit"],
           "quantized": ["qdq"]}.get(kind, [])
    return [os.path.join(HERE, n + ".py") for n in ["attention", "catalog", "export", "pictures", "settle"] + own]


def read_json(path, otherwise):
    try:
        with open(path) as f:
            return json.load(f)
    except (OSError, ValueError):
        return otherwise


def exported(s, folder, state):
    """What export.py says of the model, from an earlier run if that still holds."""
    about = read_json(os.path.join(folder, "export.json"), None)
    if about and about.get("state") == state:
        return about
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    start = time.time()
    command = [sys.executable, os.path.join(HERE, "export.py"), s.name, "-o", folder]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=EXPORT_LIMIT)
    except subprocess.TimeoutExpired:
        return {"error": f"the export did not end within {EXPORT_LIMIT} s"}
    about = read_json(os.path.join(folder, "export.json"), None)
    if done.returncode != 0 or about is None:
        last = done.stdout.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        return {"error": last[0]}
    about["state"], about["export_s"] = state, time.time() - start
    with open(os.path.join(folder, "export.json"), "w") as f:
        json.dump(about, f, indent=1)
    return about


def traced_ms(path):
    """The sum of the times of the nodes [ms], or None."""
    try:
        with open(path) as f:
            times = [float(line.split()[0]) for line in f if line.strip()]
        return sum(times) / 1e3
    except (OSError, ValueError, IndexError):
        return None


def run_case(a, about, folder, k):
    """(figures, ms of the nodes, s of the command); raises Differs."""
    model = os.path.join(folder, "model.onnx")
    case, out = os.path.join(folder, f"case{k}"), os.path.join(folder, f"omma{k}")
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(out)
    command = [a.omma, "run", model, "-o", out]
    if about["external"]:
        command.append("--allow-external")
    for name in about["inputs"]:
        command += ["-i", f"{name}={os.path.join(case, f'in_{name}.npy')}"]
    watched = about.get("watched", [])
    for name in watched:
        command += ["--watch", name]
    trace = os.path.join(out, "trace.txt")
    start = time.time()
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=RUN_LIMIT, env={**os.environ, "OMMA_TRACE": trace})
    except subprocess.TimeoutExpired:
        raise check.Differs(f"omma did not end within {RUN_LIMIT} s") from None
    seconds = time.time() - start
    if done.returncode != 0:
        said = done.stdout.strip().splitlines() or [""]
        raise check.Differs(f"omma: exit status {done.returncode}: {said[-1]}")
    ours = {n: np.load(os.path.join(out, n.replace("/", "_") + ".npy")) for n in about["outputs"] + watched}
    theirs = {n: np.load(os.path.join(case, f"out_{n}.npy")) for n in about["outputs"]}
    note = f"{len(theirs['boxes'])} boxes" if "boxes" in theirs else ""
    if watched:
        theirs, note = follow_quantized(model, about, case, ours, theirs)
    return check.compare(ours, theirs), traced_ms(trace), seconds, note


def follow_quantized(model, about, case, ours, torchs):
    """What omma should have computed, layer by layer, and a note; raises Differs."""
    import qdq

    inputs = {n: np.load(os.path.join(case, f"in_{n}.npy")) for n in about["inputs"]}
    theirs, count, flips, worst = qdq.follow(model, inputs, ours)
    if worst > 1 or flips > QUANTIZED_FLIPS * count:
        raise check.Differs(f"{flips} of {count} quantized numbers differ, by up to {worst} steps")
    away = max(np.abs(ours[n] - torchs[n]).max() / np.abs(torchs[n]).max() for n in torchs)
    return theirs, (f"layer by layer: {flips} of {count} quantized numbers differ, by {worst} step; "
                    f"PyTorch's integers end {away:.2g} away")


def sizes_of(about):
    return ", ".join("x".join(str(v) for v in c["sizes"][0]) for c in about["cases"])


def examine(a, s, state):
    """One model: a row of the table."""
    folder = os.path.join(a.work, s.name)
    start = time.time()
    about = exported(s, folder, state)
    row = {"name": s.name, "kind": s.kind, "params": about.get("params", s.params)}
    for key in ("opset", "nodes", "bytes"):
        row[key] = about.get(key)
    if "error" in about:
        row.update(result="FAIL", note="zoo: " + about["error"])
    elif "reason" in about:
        row.update(result="no export", note=about["reason"])
    else:
        worst, ms, seconds, note, away = (0.0, 0.0, 0.0), [], [], "", []
        row["sizes"] = sizes_of(about)
        row["torch_ms"] = [c["torch_ms"] for c in about["cases"]]
        try:
            for k in range(len(about["cases"])):
                f, t, wall, said = run_case(a, about, folder, k)
                worst = tuple(max(p, q) for p, q in zip(worst, f))
                ms.append(t)
                seconds.append(wall)
                note += (", " if note and said else "") + said
                if "attention" in about:
                    away.append(attention.examine(a.weights, s.name, about, folder, k))
            if away:
                note = attention.said_of(about, away)
            row.update(result="equal", max_rel=worst[0], rms_rel=worst[1], off=worst[2], note=note)
        except check.Differs as e:
            row.update(result="FAIL", note=f"case {len(ms)}: {e}")
        row.update(omma_ms=ms, omma_s=seconds)
    if os.environ.get("KEEP") != "1":
        shutil.rmtree(folder, ignore_errors=True)
    row["seconds"] = time.time() - start
    return row


def cells(r):
    def times(values):
        return " ".join("-" if v is None else f"{v:.0f}" for v in values or []) or "-"

    def figure(key, form="{:.1e}", scale=1):
        return form.format(scale * r[key]) if r.get(key) is not None else "-"

    return [r["name"], figure("params", "{:.1f} M", 1e-6), str(r.get("opset") or "-"),
            str(r.get("nodes") or "-"), r.get("sizes", "-"), r["result"], figure("max_rel"),
            figure("rms_rel"), figure("off", "{:.3f} %", 100), times(r.get("omma_ms")),
            times(r.get("torch_ms")), r.get("note", "")]


HEAD = ["model", "parameters", "opset", "nodes", "inputs", "result", "max rel", "rms rel", "off",
        "omma ms", "PyTorch ms", "note"]


def summary(rows):
    count = {k: sum(r["result"] == k for r in rows) for k in ("equal", "no export", "FAIL")}
    return (f"{len(rows)} models: {count['equal']} equal within {check.TOLERANCE:g}, "
            f"{count['no export']} that PyTorch does not export, {count['FAIL']} failures")


def print_table(rows):
    table = [HEAD[:-1]] + [cells(r)[:-1] for r in rows]
    widths = [max(len(line[i]) for line in table) for i in range(len(HEAD) - 1)]
    print()
    for line, note in zip(table, [""] + [r.get("note", "") for r in rows]):
        print("  ".join([c.ljust(w) for c, w in zip(line, widths)] + [note]).rstrip())
    print("\n" + summary(rows))


def version(package):
    try:
        from importlib.metadata import version as v
        return v(package)
    except Exception:
        return "?"


def processor():
    try:
        with open("/proc/cpuinfo") as f:
            return re.search(r"model name\s*:\s*(.*)", f.read()).group(1)
    except (OSError, AttributeError):
        return platform.machine()


def record(path, rows, seconds, a):
    said = subprocess.run([a.omma, "--version"], stdout=subprocess.PIPE, text=True).stdout.split("\n")[0]
    with open(path, "w") as f:
        f.write("# The zoo\n\nWritten by `make test-zoo`; [zoo/README.md](../zoo/README.md) says how to run it and what\n"
                "the columns mean.\n\n")
        f.write(f"{summary(rows)}.\n\n{time.strftime('%Y-%m-%d')}, {said}, torch {version('torch')}, "
                f"torchvision {version('torchvision')}, onnx {version('onnx')}, Python {platform.python_version()}, "
                f"{processor()}, {os.cpu_count()} threads, {seconds / 60:.0f} minutes. "
                "Times are those of one run on a machine that was not idle; they are for orientation.\n\n")
        f.write("| " + " | ".join(HEAD) + " |\n|" + "---|" * len(HEAD) + "\n")
        for r in rows:
            f.write("| " + " | ".join(c.replace("|", "\\|") for c in cells(r)) + " |\n")


def wanted(s, a):
    only = [p for p in os.environ.get("ONLY", "").split(",") if p]
    return any(p in s.name or p == s.kind for p in only) if only else True


def line_of(r):
    c = dict(zip(HEAD, cells(r)))
    figures = f"max rel {c['max rel']}, omma {c['omma ms']} ms, PyTorch {c['PyTorch ms']} ms" if r["result"] == "equal" else ""
    return f"{r['result']:9s} {r['name']:40s} {r['seconds']:4.0f} s  {figures}  {r.get('note', '')}".rstrip()


def main():
    a = argparse.ArgumentParser(description="Compare omma with PyTorch on torchvision's models.")
    a.add_argument("--omma", default="build/omma")
    a.add_argument("--weights", default="build/zoo_weights")
    a.add_argument("--work", default="build/zoo")
    a.add_argument("--record", help="write the table to this markdown file after a whole run")
    a = a.parse_args()
    check.selftest()
    attention.selftest()
    import catalog

    os.makedirs(a.work, exist_ok=True)
    binary = digest([a.omma, a.weights])
    store = os.path.join(a.work, "results.json")
    known = read_json(store, {})
    rows, start = [], time.time()
    for s in (s for s in catalog.specimens("video" in os.environ.get("ONLY", "")) if wanted(s, a)):
        state = digest(sources(s.kind))
        r = known.get(s.name)
        if not (os.environ.get("RESUME") == "1" and r and r["by"] == [state, binary]
                and r["result"] != "FAIL"):
            r = examine(a, s, state)
            r["by"] = [state, binary]
            known[s.name] = r
            with open(store, "w") as f:
                json.dump(known, f, indent=1)
        rows.append(r)
        print(line_of(r), flush=True)
    print_table(rows)
    if a.record and not os.environ.get("ONLY"):
        record(a.record, rows, sum(r["seconds"] for r in rows), a)
    print(f"{time.time() - start:.0f} s")
    sys.exit(any(r["result"] == "FAIL" for r in rows))


if __name__ == "__main__":
    main()

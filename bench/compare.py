"""How omma compares with other runtimes on this machine: the work of `make bench`.

    python3 bench/compare.py --models DIR --build DIR --peers DIR --out DIR [--only TEXT]
                             [--threads 1,2] [--scaling] [--rounds 9] [--slice 0.25]
                             [--with omma,ort,torch,omma-bf16]

Every runtime is a process that stays alive (bench/peers/) and runs the same model on the same
inputs. They take turns: a round is one short measurement of each, in an order that rotates, so
what else the machine does hits all of them; a ratio is the median of the rounds' ratios. Before
that their outputs are compared: nobody may be fast and wrong.

Prints a table (memory and load are of omma/ORT/PyTorch; "differ" says how far omma's and PyTorch's
outputs are from ONNX Runtime's, relative to the largest number) and writes compare.json and compare.svg to --out. Exit status 1 when outputs differ
or omma fails on a model. With omma-bf16 a second line of a model tells of omma in bfloat16, whose ratio
is to ONNX Runtime in float32; how far its outputs may be is not judged here.
"""
import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

import chart
import models

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(HERE)
PEERS = ("omma", "ort", "torch")
EVERY = (*PEERS, "omma-bf16")
REST = 0.03  # between turns, for threads that still spin [s]
AGREE = 1e-3  # outputs may differ by so much of their largest number


class Gone(Exception):
    """A runtime that cannot, or can no longer, run the model."""


class Peer:
    """A runtime at work on a model."""

    def __init__(self, name, command, env, out):
        self.name, self.out = name, out
        self.process = subprocess.Popen(command, env=env, text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.about = self.hear()

    def hear(self):
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            said = self.process.stderr.read().strip().splitlines()
            raise Gone(f"{self.name}: {said[-1] if said else 'ended without a word'}")
        return json.loads(line)

    def ask(self, line):
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        return self.hear()

    def run(self, count):
        """The median time of count runs [ms]."""
        return statistics.median(self.ask(f"run {count}")["ms"])

    def memory(self):
        """The most it held so far [bytes]."""
        with open(f"/proc/{self.process.pid}/status") as f:
            return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM"))

    def end(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


def command(name, a, about, threads, out):
    """How a runtime is started, and in which environment; None: it cannot take this model."""
    env = {k: v for k, v in os.environ.items() if k not in ("OMMA_TRACE", "OMMA_DUMP", "OMMA_THREADS")}
    tail = [str(threads), about["inputs"], out]
    if name in ("omma", "omma-bf16"):
        how = ["bf16"] if name == "omma-bf16" else []
        return [os.path.join(a.build, "bench", "peer_omma"), about["model"], *tail, *how], env
    if name == "ort":
        if not os.path.isdir(os.path.join(a.peers, "node_modules", "onnxruntime-node")):
            return None
        env["NODE_PATH"] = os.path.join(a.peers, "node_modules")
        return ["node", os.path.join(HERE, "peers", "peer_ort.js"), about["model"], *tail], env
    if not about["torch"]:
        return None
    for k in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):  # would force narrower kernels
        env.pop(k, None)
    threaded = "/usr/lib/x86_64-linux-gnu/openblas-openmp"  # the one that uses PyTorch's threads
    if os.path.isdir(threaded):
        env["LD_LIBRARY_PATH"] = threaded
    return [sys.executable, os.path.join(HERE, "peers", "peer_torch.py"), about["torch"], *tail], env


def difference(peer, other):
    """The largest difference of two runtimes' outputs, relative to the largest number, per
    output; infinite where they do not even have the same form."""
    found = []
    for i in range(1000):
        paths = [os.path.join(p.out, f"out{i}.npy") for p in (peer, other)]
        there = [os.path.exists(p) for p in paths]
        if not any(there):
            break
        if not all(there):
            return float("inf")
        x, y = (np.load(p).astype(np.float64) for p in paths)
        if x.shape != y.shape or not (np.isnan(x) == np.isnan(y)).all():
            return float("inf")
        x, y = np.nan_to_num(x), np.nan_to_num(y)
        largest = np.abs(y).max(initial=0)
        found.append(np.abs(x - y).max(initial=0) / largest if largest else np.abs(x).max(initial=0))
    return max(found, default=float("inf"))


def differences(peers):
    """By peer: how far its outputs are from ONNX Runtime's; without that, from omma's."""
    base = next((p for p in peers if p.name == "ort"), peers[0])
    return {p.name: None if p is base else difference(p, base) for p in peers}


def touch(path):
    """Into the system's cache with it, so that nobody's load waits for the disk."""
    with open(path, "rb") as f:
        while f.read(1 << 20):
            pass


def start(a, about, threads, folder):
    """The runtimes that can take the model, omma first."""
    peers, why = [], []
    for name in a.with_:
        out = os.path.join(folder, name)
        os.makedirs(out)
        how = command(name, a, about, threads, out)
        if not how:
            continue
        touch(about["torch" if name == "torch" else "model"])
        try:
            peers.append(Peer(name, *how, out))
        except Gone as e:
            why.append(str(e))
    return peers, why


def rounds(a, peers):
    """Times [ms] by peer and round, and the peak [FLOP/s] by round."""
    counts = {}
    for p in peers:
        once = min(p.run(2), p.run(2))
        counts[p.name] = max(1, round(a.slice * 1e3 / max(once, 1e-3)))
    times, peaks = {p.name: [] for p in peers}, []
    for k in range(a.rounds):
        turn = k % len(peers)
        for p in peers[turn:] + peers[:turn]:
            time.sleep(REST)
            times[p.name].append(p.run(counts[p.name]))
            if p.name == "omma":
                peaks.append(p.ask("peak 0.02")["flops_per_s"])
    return times, peaks


def measure(a, about, threads):
    """A row of the table."""
    row = {"model": about["name"], "threads": threads, "peers": {}}
    with tempfile.TemporaryDirectory() as folder:
        peers, row["failed"] = start(a, about, threads, folder)
        try:
            if not peers or peers[0].name != "omma":
                return row
            omma = peers[0]
            apart = differences(peers)
            times, peaks = rounds(a, peers)
            row["flops"], row["peak"] = omma.about["flops"], statistics.median(peaks)
            row["percent_of_peak"] = statistics.median(
                100 * row["flops"] / (t * 1e-3) / p for t, p in zip(times["omma"], peaks))
            for p in peers:
                row["peers"][p.name] = {
                    **({"to_ort": statistics.median(t / o for t, o in zip(times[p.name], times["ort"]))}
                       if "ort" in times else {}),
                    "ms": statistics.median(times[p.name]), "min_ms": min(times[p.name]),
                    "ratio": statistics.median(o / t for o, t in zip(times["omma"], times[p.name])),
                    "memory": p.memory(), **p.about,
                    "difference": apart[p.name]}
        except Gone as e:
            row["failed"].append(str(e))
        finally:
            for p in peers:
                p.end()
    return row


HEAD = (f"{'model':<27} {'thr':>3} {'omma ms':>8} {'% peak':>6} {'ORT ms':>8} {'ratio':>6} {'torch ms':>8}"
        f" {'ratio':>6}   {'MB':>14}   {'load ms':>16}   differ")


def line(row):
    """A row for people."""
    def of(name, key, form, scale=1.0):
        v = row["peers"].get(name, {}).get(key)
        return format(v * scale, form) if v is not None else "-"
    def load(name):
        p = row["peers"].get(name)
        return f"{p['load_ms'] + p['first_ms']:.0f}" if p else "-"
    three = lambda f: "/".join(f(n) for n in PEERS)
    memory = three(lambda n: of(n, "memory", ".0f", 1e-6))
    worst = [of(n, "difference", ".0e") for n in ("omma", "torch")]
    share = f"{row['percent_of_peak']:.0f}" if "percent_of_peak" in row else "-"
    text = (f"{row['model']:<27} {row['threads']:>3} {of('omma', 'ms', '.2f'):>8} {share:>6} "
            f"{of('ort', 'ms', '.2f'):>8} {of('ort', 'ratio', '.2f'):>6} {of('torch', 'ms', '.2f'):>8} "
            f"{of('torch', 'ratio', '.2f'):>6}   {memory:>14}   {three(load):>16}   {' '.join(worst)}")
    if "omma-bf16" in row["peers"]:
        text += (f"\n    bfloat16: {of('omma-bf16', 'ms', '.2f')} ms, {of('omma-bf16', 'to_ort', '.2f')} of ORT's, "
                 f"{of('omma-bf16', 'memory', '.0f', 1e-6)} MB, differs by {of('omma-bf16', 'difference', '.0e')}")
    return "\n".join([text] + [f"    {why}" for why in row["failed"]] + [f"    {why}" for why in wrong(row)])


def wrong(row):
    """What must not be."""
    said = [] if "omma" in row["peers"] else ["omma did not run"]
    d = row["peers"].get("omma", {}).get("difference")
    if d is not None and not d <= AGREE:
        said.append(f"outputs of omma and ONNX Runtime differ by {d:.1e} of their largest number")
    return said


def processor():
    with open("/proc/cpuinfo") as f:
        return next((x.split(":")[1].strip() for x in f if x.startswith("model name")), platform.machine())


def machine(a):
    said = subprocess.run([os.path.join(a.build, "omma"), "bench", "--peak", "--json"], text=True,
                          capture_output=True)
    return {"processor": processor(), "cores": len(os.sched_getaffinity(0)),
            "limits": json.loads(said.stdout) if not said.returncode else None}


def arguments():
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument("--models", required=True)
    a.add_argument("--build", required=True)
    a.add_argument("--peers", required=True)
    a.add_argument("--out", required=True)
    a.add_argument("--only", default="")
    cores = len(os.sched_getaffinity(0))
    a.add_argument("--threads", default=",".join(str(t) for t in (1, 2, cores) if t <= cores))
    a.add_argument("--scaling", action="store_true", help="the models of models.SCALING")
    a.add_argument("--rounds", type=int, default=9)
    a.add_argument("--slice", type=float, default=0.25)
    a.add_argument("--with", dest="with_", default=",".join(PEERS))
    a = a.parse_args()
    a.threads = sorted({int(t) for t in a.threads.split(",")})
    a.with_ = [p for p in EVERY if p in a.with_.split(",")]
    a.models, a.build, a.peers, a.out = map(os.path.abspath, (a.models, a.build, a.peers, a.out))
    return a


def main():
    a = arguments()
    found = []
    for folder in os.scandir(a.models):
        path = os.path.join(folder.path, "about.json")
        if os.path.exists(path):
            with open(path) as f:
                found.append(json.load(f))
    wanted = models.SCALING if a.scaling else models.MODELS
    found = [m for m in found if a.only in m["name"] and m["name"] in wanted]
    if not found:
        sys.exit(f"compare: no model whose name contains '{a.only}'")
    all_of_it = {"date": datetime.date.today().isoformat(), "machine": machine(a), "rounds": a.rounds,
                 "slice_s": a.slice, "rows": []}
    print(HEAD, flush=True)
    for threads in a.threads:
        rows = []
        for about in sorted(found, key=lambda m: list(wanted).index(m["name"])):
            rows.append(measure(a, about, threads))
            print(line(rows[-1]), flush=True)
        all_of_it["rows"] += rows
    os.makedirs(a.out, exist_ok=True)
    name = "scaling" if a.scaling else "compare"
    with open(os.path.join(a.out, name + ".json"), "w") as f:
        json.dump(all_of_it, f, indent=1)
    with open(os.path.join(a.out, name + ".svg"), "w") as f:
        f.write(chart.draw(all_of_it))
    print(f"written: {os.path.relpath(a.out)}/{name}.json, {name}.svg")
    sys.exit(1 if any(wrong(r) for r in all_of_it["rows"]) else 0)


if __name__ == "__main__":
    main()

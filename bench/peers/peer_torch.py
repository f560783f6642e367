"""PyTorch as one of those that bench/compare.py compares; see peer_omma.c for what it is given
and what it says.

    python3 peer_torch.py MODEL.pt THREADS INPUTS OUTPUTS

MODEL.pt is a frozen TorchScript module, as bench/models.py saves it.
"""
import glob
import json
import os
import sys
import time

import numpy as np
import torch


def say(x):
    print(json.dumps(x), flush=True)


def main():
    model, threads, inputs, outputs = sys.argv[1:5]
    torch.set_num_threads(int(threads))
    start = time.perf_counter()
    module = torch.jit.load(model)
    loaded = time.perf_counter()
    count = len(glob.glob(os.path.join(inputs, "in*.npy")))
    x = [torch.from_numpy(np.load(os.path.join(inputs, f"in{i}.npy"))) for i in range(count)]
    with torch.no_grad():
        first = time.perf_counter()
        y = module(*x)
        done = time.perf_counter()
        y = y if isinstance(y, (tuple, list)) else (y,)
        for i, t in enumerate(y):
            np.save(os.path.join(outputs, f"out{i}.npy"), t.numpy())
        module(*x)  # its compiler looks at the first runs
        say({"version": torch.__version__, "load_ms": (loaded - start) * 1e3, "first_ms": (done - first) * 1e3})
        for line in sys.stdin:
            word, k = line.split()
            if word != "run":
                sys.exit(f"peer_torch: does not know '{line.strip()}'")
            ms = []
            for _ in range(int(k)):
                start = time.perf_counter()
                module(*x)
                ms.append((time.perf_counter() - start) * 1e3)
            say({"ms": ms})


main()

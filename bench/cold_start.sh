#!/bin/sh
# The first answer of `omma detect` from a cold start: process start, model, plan, picture,
# answer. Prints the median time of N starts and the peak memory.
#   cold_start.sh [N]      default 21
# Needs DEIMv2-Atto: pulled, or in OMMA_SHARED (default ../shared).
set -eu
cd "$(dirname "$0")/.."
omma=${OMMA:-build/omma}
shared=${OMMA_SHARED:-../shared}
model=$shared/models/deimv2_atto/deimv2_hgnetv2_atto_coco.onnx
picture=$shared/photos/coffee.png
[ -f "$model" ] && [ -f "$picture" ] || { echo "cold start: no model at $model: not measured"; exit 0; }
command -v python3 >/dev/null || { echo "cold start: needs python3 to take the time"; exit 0; }
python3 - "$omma" "$model" "$picture" "${1:-21}" <<'P'
import os, sys, time
omma, model, picture, n = sys.argv[1:4] + [int(sys.argv[4])]
times, peak = [], 0
null = os.open(os.devnull, os.O_WRONLY)
for _ in range(n):
    start = time.perf_counter()
    pid = os.posix_spawn(omma, [omma, "detect", "-m", model, picture], os.environ,
                         file_actions=[(os.POSIX_SPAWN_DUP2, null, 1)])
    _, status, usage = os.wait4(pid, 0)
    times.append((time.perf_counter() - start) * 1e3)
    assert status == 0
    peak = max(peak, usage.ru_maxrss)
times.sort()
print(f"omma detect, DEIMv2-Atto 320x320, cold: median {times[n // 2]:.0f} ms "
      f"(min {times[0]:.0f}, max {times[-1]:.0f}), peak memory {peak / 1024:.0f} MB")
P

#!/bin/sh
# Build the fuzz targets into build-fuzz and run each for a while.
#   fuzz.sh [SECONDS] [TARGET...]      60 seconds, all targets
# Targets are the files fuzz/fuzz_NAME.c. What a target finds goes to build-fuzz/findings/NAME,
# what widens its coverage to build-fuzz/corpus/NAME, which the next run begins with, its log
# to build-fuzz/log. Prints a table at the end; exit status 1 when anything was found.
# FUZZ_JOBS: targets at a time; default: one a core, at most 4.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}
[ $# = 0 ] || shift
case $seconds in '' | *[!0-9]*) echo "usage: fuzz.sh [SECONDS] [TARGET...]" >&2; exit 2 ;; esac
targets=${*:-$(ls fuzz/fuzz_*.c | sed 's#.*/fuzz_##; s#\.c$##')}
jobs=${FUZZ_JOBS:-$(nproc 2>/dev/null || echo 1)}
[ "$jobs" -le 4 ] || jobs=4
build=build-fuzz
clang=$(command -v clang-14 || command -v clang) || { echo "no clang: scripts/setup.sh fuzz" >&2; exit 2; }

mkdir -p $build/log
cmake -S . -B $build -DCMAKE_C_COMPILER="$clang" -DOMMA_FUZZ=ON >$build/log/cmake 2>&1 ||
    { cat $build/log/cmake; exit 2; }
MAKEFLAGS=--no-print-directory cmake --build $build -j "$(nproc 2>/dev/null || echo 2)" \
    --target fuzz_programs >$build/log/build 2>&1 ||
    { grep -E 'error|undefined' $build/log/build || tail -20 $build/log/build; exit 2; }

# The longest input worth trying: large enough for every seed.
longest() {
    case $1 in
    graph) echo 512 ;;
    onnx) echo 16384 ;;
    sight) echo 40000 ;;
    png | jpeg | webp) echo 8192 ;;
    *) echo 4096 ;;
    esac
}

run() {
    name=$1
    found=$build/findings/$name new=$build/corpus/$name
    mkdir -p "$found" "$new" "tests/corpus/$name"
    # What was found earlier is tried again first: it is a finding until it is mended.
    find "$found" -type f -exec mv {} "$new/" \;
    case $name in
    onnx | proto | sight) dict=fuzz/onnx.dict ;;
    json | coco | safetensors | npy) dict=fuzz/json.dict ;;
    *) dict= ;;
    esac
    # The features of graphs are too many for the schedule that counts them.
    more=
    [ "$name" != graph ] || more=-entropic=0
    # A finding ends libFuzzer, and one is enough to go and fix.
    "$build/fuzz/fuzz_$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 \
        -malloc_limit_mb=512 -max_len="$(longest "$name")" ${dict:+-dict=$dict} -print_final_stats=1 $more \
        -artifact_prefix="$found/" "$new" "tests/corpus/$name" \
        >"$build/log/$name" 2>&1 || echo "FOUND something: $build/log/$name"
}

running=0
for name in $targets; do
    [ -x "$build/fuzz/fuzz_$name" ] || { echo "no target $name" >&2; exit 2; }
    run "$name" &
    running=$((running + 1))
    if [ $((running % jobs)) = 0 ]; then wait; fi
done
wait

bad=0
printf '%-12s %11s %8s %8s %9s %9s\n' target executions exec/s coverage 'new units' findings
for name in $targets; do
    log=$build/log/$name
    n=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -1)
    rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log" | tail -1)
    units=$(sed -n 's/^stat::new_units_added: *//p' "$log" | tail -1)
    coverage=$(grep -o ' cov: [0-9]*' "$log" | tail -1 | grep -o '[0-9]*' || true)
    found=$(find "$build/findings/$name" -type f | wc -l)
    if [ "$found" != 0 ] || ! grep -q '^Done ' "$log"; then bad=1; fi
    printf '%-12s %11s %8s %8s %9s %9s\n' "$name" "${n:--}" "${rate:--}" "${coverage:--}" \
        "${units:--}" "$found"
done
[ $bad = 0 ] || { echo "findings, and the ends of logs, are in $build/findings and $build/log"; exit 1; }

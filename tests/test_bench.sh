#!/bin/sh
# test_bench.sh - omma bench: what it refuses, that its JSON and its trace are sound and add up,
# on models of the corpus. It never says how fast anything must be. Prints TAP.
#   OMMA  the command; default build/omma
cd "$(dirname "$0")/.." || exit 1
omma=${OMMA:-build/omma}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM HUP
n=0 failed=0 reason=
corpus=tests/corpus/onnx
# check WHAT COMMAND...: ok when the command succeeds; skipped when $reason says why.
check() {
    what=$1
    n=$((n + 1))
    shift
    if [ -n "$reason" ]; then echo "ok $n - $what # SKIP $reason"
    elif "$@"; then echo "ok $n - $what"
    else
        failed=1
        echo "not ok $n - $what"
        sed 's/^/# /' "$tmp/out" "$tmp/err" | head -n 12
    fi
}
bench() {
    "$omma" bench "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
    status=$?
}
refused() { [ $status -eq "$1" ] && [ ! -s "$tmp/out" ] && [ "$(wc -l <"$tmp/err")" -eq 1 ] && grep -q "^omma bench: .*$2" "$tmp/err"; }
quick="--seconds 0.05 --threads 2"

for o in "--seconds 0" "--seconds -1" "--seconds 1e9" "--rounds 0" "--rounds 1000000" "--rounds=-2"; do
    bench x.onnx $o
    check "$o is refused" refused 2 "${o%%[ =]*} wants"
done
for o in "--streams 0" "--streams 257" "--batch 0" "--batch=-1"; do
    bench x.onnx $o
    check "$o is refused" refused 2 "${o%%[ =]*} wants"
done
bench --all x.onnx
check "--all goes with --profile" refused 2 "--profile"
bench --peak x.onnx
check "--peak takes no model" refused 2 "no model"
bench --peak --streams 2
check "--peak takes no --streams" refused 2 "no model"
bench $corpus/data-shape.onnx --batch 2
check "--batch of a model whose batch is fixed is told" refused 1 "batch is fixed"
bench --peak --profile
check "--peak takes no --profile" refused 2 "no model"
bench a.onnx b.onnx
check "one model at a time" refused 2 "one model"
bench $corpus/data-shape.onnx --shape y=1x2
check "--shape of an unknown input is told" refused 1 "names no input"
bench $corpus/data-shape.onnx --shape 1x2xz
check "--shape that is none is told" refused 1 "not a list of sizes"
bench $corpus/data-shape.onnx --shape 1x2
check "--shape of another rank is told" refused 1 "dimensions"
bench $corpus/data-shape.onnx -i "$tmp/none.npy"
check "a missing tensor is told" refused 1 "none.npy"
bench $corpus/cycle.onnx
check "a broken model is told" refused 1 "cycle.onnx: "
bench $corpus/data-shape.onnx $quick --trace "$tmp/no/folder.json"
check "a trace that cannot be written is told" refused 1 "folder.json"
OMMA_CPU=fast bench --peak
check "a wrong OMMA_CPU is told" refused 1 "OMMA_CPU"
bench $corpus/data-shape.onnx --max-memory 1000
check "--max-memory holds" refused 1 "memory"

for f in add constant data-shape deform if loop nms qlinear scan sequence; do
    bench $corpus/$f.onnx --rounds 3 --threads 2 --profile
    check "a report: $f" eval '[ $status = 0 ] && [ ! -s "$tmp/err" ] && grep -q "^a run .*median of 3" "$tmp/out"'
done
bench $corpus/data-shape.onnx $quick --shape 1x2x5x4
check "--shape is what runs" grep -q "^input .* 1x2x5x4" "$tmp/out"
bench $corpus/data-shape.onnx --seconds 0.05 --streams 3
check "--streams" eval '[ $status = 0 ] && grep -q "^streams  *3 at once: .* runs/s" "$tmp/out" && grep -q ", 1 thread$" "$tmp/out"'
bench --peak --seconds 0.05 --threads 2
check "--peak" eval '[ $status = 0 ] && grep -q "^multiply-add float32 .* GFLOP/s" "$tmp/out" && [ "$(grep -c "^read .* GB/s" "$tmp/out")" -eq 4 ]'

python=/usr/bin/python3
[ -x $python ] || reason="no $python"
json() { $python -c "import json, sys
r = json.load(open(sys.argv[1]))
$1" "$tmp/${2:-out}" 2>>"$tmp/err"; }
# A model of many nodes where there is one, else the largest of the corpus.
big=${OMMA_SHARED:-../shared}/models/deimv2_atto/deimv2_hgnetv2_atto_coco.onnx
[ -r "$big" ] || big=$corpus/qlinear.onnx
bench $big --rounds 3 --threads 2 --json --profile --trace "$tmp/trace"
check "--json is sound" json '
assert r["rounds"] == 3 and r["threads"] == 2 and r["median_ms"] > 0 and r["flops"] > 0
assert r["min_ms"] <= r["q1_ms"] <= r["median_ms"] <= r["q3_ms"] <= r["max_ms"]
assert r["peak_gflops_per_s"] > 0 and r["percent_of_peak"] > 0
assert 0 < r["plan_bytes"] <= r["session_bytes"]
assert all(i["shape"] for i in r["inputs"])'
check "the shares of the nodes and of the operators are 100 % each" json '
p = r["profile"]
for part in p["nodes"], p["operators"]:
    assert abs(sum(x["percent"] for x in part) - 100) < 1e-6, part
    assert abs(sum(x["ms"] for x in part) - p["ms"]) < 1e-6 * p["ms"]
    assert sum(x["flops"] for x in part) == r["flops"]
assert sum(x["nodes"] for x in p["operators"]) == len(p["nodes"])
for x in p["operators"]:
    kinds = [k for k in p["kinds"] if k["operator"] == x["operator"]]
    assert not kinds or sum(k["nodes"] for k in kinds) == x["nodes"], x
assert p["operators"] == sorted(p["operators"], key=lambda x: -x["ms"])'
check "the trace is sound: events in order, that do not overlap" json '
e = r["traceEvents"]
assert e and all(x["ph"] == "X" and x["dur"] >= 0 and x["args"]["node"] for x in e)
assert all(a["ts"] + a["dur"] <= b["ts"] + 1e-6 for a, b in zip(e, e[1:]))' trace
nodes() { "$omma" bench $big --rounds 1 --threads 1 --profile --all >"$tmp/all" && [ "$(grep -cE '^ +[0-9.]+ +[0-9.]+ .* [^ ]+$' "$tmp/all")" -ge "$1" ]; }
check "--all shows every node" eval 'nodes $($python -c "import json; print(len(json.load(open(\"$tmp/out\"))[\"profile\"][\"nodes\"]))")'
bench $big --seconds 0.05 --streams 2 --json
check "--streams --json" json '
s = r["streams"]
assert r["threads"] == 1 and s["count"] == 2 and s["runs"] >= 2 and 0 < s["median_ms"] <= s["p99_ms"]
assert s["runs_per_s"] > 0'
bench --peak --seconds 0.05 --threads 2 --json
check "--peak --json: plausible numbers" json '
f = r["fma_f32_gflops_per_s"]
assert r["threads"] == 2 and 0.01 < f["one_thread"] < 1e5 and 0.01 < f["all_threads"] < 1e5
assert [x["level"] for x in r["read"]] == ["L1", "L2", "L3", "memory"]
for x in r["read"]:
    assert x["bytes"] > 0 and 0.001 < x["gb_per_s"]["one_thread"] < 1e5 and x["gb_per_s"]["all_threads"] > 0
for k in "dot_bf16_gflops_per_s", "dot_int8_gops_per_s":
    assert r[k] is None or r[k]["one_thread"] > 0'
OMMA_CPU=c bench --peak --seconds 0.05 --threads 1 --json
check "--peak --json with the plain kernels" json '
assert r["kernels"] == "c" and r["fma_f32_gflops_per_s"]["one_thread"] > 0 and r["dot_bf16_gflops_per_s"] is None'
reason=
traced() { OMMA_TRACE=$tmp/lines "$omma" bench $corpus/data-shape.onnx --rounds 2 >"$tmp/out" && [ "$(wc -l <"$tmp/lines")" -ge 4 ] &&
    awk -F '[\t]' 'NF != 4 || $1 !~ /^[0-9.]+ us$/ || $4 !~ /^[0-9x]*$/ { bad = 1 } END { exit bad }' "$tmp/lines"; }
check "OMMA_TRACE: a line for every node that runs" traced
echo "1..$n"
[ $failed = 0 ]

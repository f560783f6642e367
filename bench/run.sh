#!/bin/sh
# `make bench`: omma beside ONNX Runtime and PyTorch on the same models, inputs and threads.
#   run.sh [BUILD_DIR]
# Makes the models (BUILD_DIR/bench-models, kept) and installs ONNX Runtime's npm package
# (BUILD_DIR/bench-peers, kept); bench/compare.py does the work. From the environment:
#   ONLY=TEXT      models whose name contains TEXT
#   SCALING=1      batches of 1 to 16 and input sizes instead; for scaling.json and scaling.svg
#   THREADS=1,2    numbers of threads; default 1, 2 and all cores
#   ROUNDS=9       rounds;  SLICE=0.25  seconds of one runtime in a round
#   PEERS=omma,ort,torch
#   OUT=FOLDER     for compare.json and compare.svg; default bench/results, and for a part
#                  (ONLY, THREADS or PEERS set) BUILD_DIR/bench-results
set -eu
cd "$(dirname "$0")/.."
build=${1:-build}
python=${PYTHON:-/usr/bin/python3} # Debian's, which has Debian's PyTorch
out=bench/results
[ -z "${ONLY:-}${THREADS:-}${PEERS:-}" ] || out=$build/bench-results
out=${OUT:-$out}
peers=$build/bench-peers
mkdir -p "$peers"
if [ ! -d "$peers/node_modules/onnxruntime-node" ]; then
    # without it the package fetches libraries for graphics cards from elsewhere
    (cd "$peers" && echo '{"private": true}' >package.json &&
        ONNXRUNTIME_NODE_INSTALL_CUDA=skip npm install --no-audit --no-fund --loglevel=error onnxruntime-node) >&2 ||
        echo "bench: no ONNX Runtime: npm could not install onnxruntime-node" >&2
fi
OMMA=$build/omma $python bench/models.py "$build/bench-models" --only "${ONLY:-}" ${SCALING:+--scaling}
set -- --models "$build/bench-models" --build "$build" --peers "$peers" --out "$out" --only "${ONLY:-}" \
    --rounds "${ROUNDS:-9}" --slice "${SLICE:-0.25}"
[ -z "${SCALING:-}" ] || set -- "$@" --scaling
[ -z "${THREADS:-}" ] || set -- "$@" --threads "$THREADS"
[ -z "${PEERS:-}" ] || set -- "$@" --with "$PEERS"
exec $python bench/compare.py "$@"

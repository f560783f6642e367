#!/bin/sh
# Write tests/node_tests.txt anew from what passes today; read the difference before committing.
#   node-manifest.sh [BUILD_DIR]
# Lines of suites that are not on this machine stay as they are. Exit status 1 when a test gives
# wrong numbers: the manifest has no word for that.
set -eu
cd "$(dirname "$0")/.."
build=${1:-build}
export OMMA_SHARED="${OMMA_SHARED:-$PWD/../shared}"
cmake --build "$build" --target test_onnx_nodes >/dev/null
status=0
"$build/tests/test_onnx_nodes" --write || status=1
git diff --stat -- tests/node_tests.txt
exit $status

#!/bin/sh
# The core and its kernels on 64-bit ARM: built with the cross compiler, run with QEMU.
#   test-arm.sh BUILD_DIR [CMAKE_FLAG...]
# Everything random is tried less often (OMMA_TEST_PERCENT, here 5), else QEMU would take an
# hour. Ends with: N passed, N failed, N skipped. Where the packages cannot be had, or QEMU cannot
# run threads, it says so and counts one skipped.
set -eu
build=${1:?usage: test-arm.sh BUILD_DIR [CMAKE_FLAG...]}
shift
cd "$(dirname "$0")/.."
jobs=${JOBS:-$(nproc 2>/dev/null || echo 2)}

if ! scripts/setup.sh arm; then
    echo "SKIPPED: no cross compiler, QEMU or cmocka for ARM"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
fi

# Some QEMUs on some hosts hang when a program begins a thread.
probe=$(mktemp -d)
trap 'rm -rf "$probe"' EXIT
cat >"$probe/thread.c" <<'C'
#include <pthread.h>
static void *run(void *p) { return p; }
int main(void) { pthread_t t; return pthread_create(&t, 0, run, 0) || pthread_join(t, 0); }
C
aarch64-linux-gnu-gcc -pthread "$probe/thread.c" -o "$probe/thread"
if ! timeout -s KILL 30 qemu-aarch64 "$probe/thread"; then
    echo "SKIPPED: this QEMU cannot run a program with a thread"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
fi

# All tests of kernels, and of what stands on them those that QEMU runs in seconds.
names="cut diff environment op_attention op_conv op_elementwise op_index op_movement
    op_product op_reduce op_sample op_table op_types pass pool profile share"
programs=$(for name in $names; do echo "test_$name"; done
    for file in tests/test_kernel*.c; do basename "$file" .c; done)

cmake -S . -B "$build" -DCMAKE_TOOLCHAIN_FILE="$PWD/cmake/aarch64.cmake" -DOMMA_CORE_ONLY=ON \
    "$@" >"$build-cmake.log" 2>&1 || { cat "$build-cmake.log"; exit 1; }
rm -f "$build-cmake.log"
rm -f "$build"/tests/test_* # what an earlier run left
MAKEFLAGS=--no-print-directory cmake --build "$build" -j "$jobs" --target $programs
OMMA_TEST_RUNNER=qemu-aarch64 OMMA_TEST_SCRIPTS= OMMA_TEST_PERCENT=${OMMA_TEST_PERCENT:-5} \
    tests/run.sh "$build"

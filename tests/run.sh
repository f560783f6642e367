#!/bin/sh
# Run every test program and script and add up what they say (TAP).
#   run.sh BUILD_DIR
# Prints the failures, what was skipped and why, and at the end: N passed, N failed, N skipped
# Exit status 1 when anything failed. OMMA_TEST_ONLY=PART runs those whose name contains PART;
# OMMA_TEST_SCRIPTS, set to nothing, leaves the scripts out; OMMA_TEST_RUNNER is put before every
# program, for instance qemu-aarch64. As many programs run at a time as there are processors, or
# OMMA_TEST_JOBS; then the scripts, one after the other, since some hold what they see to a time.
set -u
build=$(cd "${1:?usage: run.sh BUILD_DIR}" && pwd)
tree=$(cd "$(dirname "$0")/.." && pwd)
cd "$tree" || exit 1
export OMMA="$build/omma" OMMA_BUILD="$build"
export OMMA_SHARED="${OMMA_SHARED:-$tree/../shared}"
export CMOCKA_MESSAGE_OUTPUT=TAP
export OMMA_MODELS="${OMMA_MODELS:-$build/models}"
log="$build/tests/log"

wanted() { # TEST: is it to be run?
    case $(basename "$1" .sh) in *"${OMMA_TEST_ONLY:-}"*) [ -x "$1" ] && [ -f "$1" ] ;; *) false ;; esac
}

run() { # TEST: what it says, and its status, go to the log
    name=$(basename "$1" .sh)
    case "$1" in *.sh) runner= ;; *) runner=${OMMA_TEST_RUNNER-} ;; esac
    $runner "$1" >"$log/$name.txt" 2>&1
    echo $? >"$log/$name.new" && mv "$log/$name.new" "$log/$name.status"
}

[ -z "${2-}" ] || { # started below
    run "$2"
    exit
}

mkdir -p "$log"
rm -f "$log"/*.status
[ -d "$OMMA_SHARED" ] || echo "no shared data at $OMMA_SHARED: tests that need it are skipped"
for test in "$build"/tests/test_*; do
    ! wanted "$test" || echo "$test"
done | xargs -r -d '\n' -n 1 -P "${OMMA_TEST_JOBS:-$(nproc)}" sh "$0" "$build" &
all=$!

passed=0 failed=0 skipped=0 faults=
for test in "$build"/tests/test_* ${OMMA_TEST_SCRIPTS-tests/test_*.sh}; do
    name=$(basename "$test" .sh)
    wanted "$test" || continue
    case "$test" in *.sh) run "$test" ;; esac
    until [ -f "$log/$name.status" ]; do
        kill -0 $all 2>/dev/null || [ -f "$log/$name.status" ] || break
        sleep 0.1
    done
    [ -f "$log/$name.status" ] || : >"$log/$name.txt"
    status=$(cat "$log/$name.status" 2>/dev/null || echo unknown)
    # cmocka 1.1.5 marks a skipped test "not ok ... # SKIP"
    s=$(grep -cE '^(not )?ok.*# SKIP' "$log/$name.txt")
    f=$(grep -E '^not ok' "$log/$name.txt" | grep -vc '# SKIP')
    p=$(grep -E '^ok' "$log/$name.txt" | grep -vc '# SKIP')
    if [ $((s + f + p)) = 0 ] || { [ "$status" != 0 ] && [ "$f" = 0 ]; }; then
        f=$((f + 1))
        echo "FAILED $name: ended with status $status"
    fi
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    printf '%-24s %3d passed %3d failed %3d skipped\n' "$name" "$p" "$f" "$s"
    grep -iE 'SKIPPED:|# SKIP |COUNTED:' "$log/$name.txt" | sed 's/^/    /' | head -8
    [ "$f" = 0 ] || {
        sed 's/^/    /' "$log/$name.txt" | tail -40
        faults="$faults$(printf '\n%s, status %s:' "$name" "$status"; grep -E '^not ok' "$log/$name.txt" | grep -v '# SKIP' | head -5)"
    }
done
wait
# once more at the end, where whoever sees only the last lines finds it
[ -z "$faults" ] || echo "FAILED:$faults"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]

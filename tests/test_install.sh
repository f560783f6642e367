#!/bin/sh
# test_install.sh - the build installed into an empty folder and used from there, as a
# program that knows nothing of the tree would: every file in its place, the example built
# through pkg-config against the shared and the static library and run, and nothing but
# the public interface exported. Prints TAP.
#   OMMA_BUILD   the build to install; default build
#   OMMA_SHARED  the folder with models/deimv2_atto; default ../shared
build=${OMMA_BUILD:-build}
shared=${OMMA_SHARED:-../shared}
model=$shared/models/deimv2_atto/deimv2_hgnetv2_atto_coco.onnx

tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM HUP
prefix=$tmp/prefix

n=0 failed=0
ok() { n=$((n + 1)); echo "ok $n - $1"; }
not_ok() { n=$((n + 1)); failed=1; echo "not ok $n - $1"; sed 's/^/# /' "$tmp/said"; }
skip() { n=$((n + 1)); echo "ok $n - $1 # SKIP $2"; }
# check WHAT COMMAND...: ok when the command succeeds; what it says is shown when not.
check() {
    what=$1
    shift
    if "$@" >"$tmp/said" 2>&1; then ok "$what"; else not_ok "$what"; fi
}
# unless REASON WHAT COMMAND...: skipped when there is a reason.
unless() {
    reason=$1 what=$2
    shift 2
    if [ -n "$reason" ]; then skip "$what" "$reason"; else check "$what" "$@"; fi
}

asan=
grep -q '^OMMA_ASAN:BOOL=ON' "$build/CMakeCache.txt" && asan="a build with sanitizers needs their flags"
tool() { command -v "$1" >/dev/null || echo "no $1"; }
compiler=$(tool cc)$(tool pkg-config)

check "it installs into an empty folder" cmake --install "$build" --prefix "$prefix"
lib=$(dirname "$(find "$prefix" -name libomma.a)")
man=$(dirname "$(find "$prefix" -name omma.1)")

# --- what is there --------------------------------------------------------------------
check "the command is there and runs" eval '"$prefix/bin/omma" --version | grep -qE "^omma [0-9.]+$"'
check "the libraries are there" eval '[ -f "$lib/libomma.a" ] && [ -e "$lib/libomma.so" ]'
check "the header is there, and no other" \
    eval '[ "$(cd "$prefix/include" && find . -type f)" = ./omma/omma.h ]'
for page in man/*.1; do
    check "$(basename "$page") is installed" cmp "$page" "$man/$(basename "$page")"
done
nothing_else() {
    (cd "$prefix" && find . ! -type d) | grep -vE \
        '^\./(bin/omma|include/omma/omma.h|lib.*/libomma\.(a|so[.0-9]*)|lib.*/pkgconfig/omma.pc|.*/man1/omma[a-z-]*\.1)$'
    [ $? -eq 1 ]
}
check "nothing else is installed" nothing_else
soname() { readelf -d "$lib/libomma.so" | grep 'SONAME.*\[libomma.so.0\]'; }
unless "$(tool readelf)" "the shared library's name is libomma.so.0" soname
check "that name is there" [ -e "$lib/libomma.so.0" ]

# --- what is exported -------------------------------------------------------------------
# The public names: those the header declares.
sed -n 's/^OMMA_API .*[ *]\(omma_[a-z_]*\)(.*/\1/p' include/omma/omma.h | sort >"$tmp/declared"
exports() { nm -D --defined-only "$lib/libomma.so" | awk '$2 ~ /[A-Z]/ { print $3 }' | sort >"$tmp/exported"; }
unless "$(tool nm)$asan" "the shared library exports what the header declares, and no more" \
    eval 'exports; diff "$tmp/declared" "$tmp/exported"'
taken() {
    nm "$lib/libomma.a" 2>/dev/null | awk 'NF == 3 && $2 ~ /^[A-Z]$/ { print $3 }' | grep -v '^omma_'
    [ $? -eq 1 ]
}
unless "$(tool nm)$asan" "the static library takes no name but omma_*" taken
quiet() {
    nm -D --undefined-only "$lib/libomma.so" | awk '{ print $2 }' |
        grep -E '^(exit|abort|_Exit|printf|vprintf|__printf_chk|puts|putchar|perror|stdout|stderr)(@|$)'
    [ $? -eq 1 ]
}
unless "$(tool nm)$asan" "the shared library cannot exit, abort or print" quiet

# --- used from outside --------------------------------------------------------------------
export PKG_CONFIG_PATH="$lib/pkgconfig"
strict="-std=c17 -Wall -Wextra -Werror"
check_pc() { pkg-config --validate omma && [ "omma $(pkg-config --modversion omma)" = "$("$prefix/bin/omma" --version)" ]; }
unless "$compiler" "omma.pc is sound and has the command's version" check_pc
points_here() {
    pkg-config --variable=includedir omma
    [ -f "$(pkg-config --variable=includedir omma)/omma/omma.h" ] &&
        [ -f "$(pkg-config --variable=libdir omma)/libomma.a" ]
}
unless "$compiler" "omma.pc points to where it was installed" points_here
compile() { cc $strict examples/run.c $(pkg-config --cflags --libs omma) -o "$tmp/run"; }
unless "$compiler$asan" "the example builds against the shared library" compile
uses_shared() { LD_LIBRARY_PATH=$lib "$tmp/run"; [ $? -eq 1 ] && ldd "$tmp/run" | grep -q libomma.so.0; }
unless "$compiler$asan" "it needs libomma.so.0, and tells how it is used" uses_shared
compile_static() {
    flags=$(pkg-config --static --libs omma | sed "s#-lomma#$lib/libomma.a#")
    cc $strict examples/run.c $(pkg-config --cflags omma) $flags -o "$tmp/run-static" &&
        ! ldd "$tmp/run-static" | grep libomma
}
unless "$compiler$asan" "the example builds against the static library" compile_static
cpp() {
    printf '#include <omma/omma.h>\nint main() { return omma_version() ? 0 : 1; }\n' >"$tmp/x.cpp"
    c++ -Wall -Wextra -Werror "$tmp/x.cpp" $(pkg-config --cflags --libs omma) -o "$tmp/x" &&
        LD_LIBRARY_PATH=$lib "$tmp/x"
}
unless "$compiler$asan$(tool c++)" "a C++ program can use it" cpp
missing=
[ -r "$model" ] || missing="no $model"
runs() { # runs COMMAND...: the outputs of the detector on a black picture
    "$@" "$model" >"$tmp/answer" || return 1
    cat "$tmp/answer"
    grep -q '^labels: int64 \[1, 300\] ' "$tmp/answer" &&
        grep -q '^boxes: float32 \[1, 300, 4\] ' "$tmp/answer" && ! grep -q nan "$tmp/answer"
}
unless "$compiler$asan$missing" "it runs with the shared library" runs env LD_LIBRARY_PATH="$lib" "$tmp/run"
unless "$compiler$asan$missing" "it runs with the static library" runs "$tmp/run-static"
broken() { LD_LIBRARY_PATH=$lib "$tmp/run" Makefile 2>"$tmp/why"; [ $? -eq 1 ] && grep '^Makefile: ' "$tmp/why"; }
unless "$compiler$asan" "a file that is no model is told" broken

echo "1..$n"
exit $failed

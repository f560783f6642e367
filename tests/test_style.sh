#!/bin/sh
# test_style.sh - every check of scripts/check-style.sh, one TAP line each, and that the
# checks see what they are for, in a small tree with one offence of each kind.
cd "$(dirname "$0")/.." || exit 1
tree=$PWD
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM HUP

n=0 failed=0
for check in $(scripts/check-style.sh --list); do
    n=$((n + 1))
    said=$(scripts/check-style.sh "$check" 2>&1)
    status=$?
    case $status:$said in
    0:skipped:*) echo "ok $n - style: $check # SKIP ${said#skipped: }" ;;
    0:*) echo "ok $n - style: $check" ;;
    *)
        echo "not ok $n - style: $check"
        printf '%s\n' "$said" | head -40 | sed 's/^/# /'
        failed=1
        ;;
    esac
done

# --- a tree with faults ----------------------------------------------------------------
mkdir -p "$tmp/src/base" "$tmp/src/op" "$tmp/src/cli" "$tmp/scripts" "$tmp/tests" "$tmp/bench" "$tmp/man"
cp scripts/check-style.sh scripts/check-layers.sh "$tmp/scripts"
cp .clang-format "$tmp"
echo 'install(FILES man/omma-gone.1)' >"$tmp/CMakeLists.txt"
echo '    {"see", omma_cli_see, "look"},' >"$tmp/src/cli/main.c"
printf '/* twice.c - once. */\n#include "op/x.h"\nint f(void) {\n\treturn 0; \n}\n' >"$tmp/src/base/twice.c"
printf '/* twice.c - twice. TO%s: more. */\nint g( void ){ exit(1); }\n' DO >"$tmp/src/op/twice.c"
printf '#define GUARD\n/* "exit(1)" */ // %0100d\nchar *p = "/tm%s/x printf(";\n' 0 p >"$tmp/src/op/x.h"
sees() { # sees CHECK OFFENCE: the check names it
    n=$((n + 1))
    said=$("$tmp/scripts/check-style.sh" "$1" 2>&1)
    status=$?
    case $status:$said in
    0:skipped:*) echo "ok $n - $1 sees: $2 # SKIP ${said#skipped: }"; return ;;
    esac
    if [ $status -eq 1 ] && printf '%s\n' "$said" | grep -q -e "$2"; then
        echo "ok $n - $1 sees: $2"
    else
        echo "not ok $n - $1 sees: $2"
        printf '%s\n' "$said" | sed 's/^/# /'
        failed=1
    fi
}
sees layers "base may not include op"
sees whitespace "src/base/twice.c:4: a tab"
sees whitespace "src/base/twice.c:4: white space"
sees columns "src/op/x.h:2: "
sees layout "src/op/twice.c: clang-format"
sees opening "src/op/x.h:1: "
sees names "twice.c is the name"
sees guards "not OMMA_OP_X_H"
sees todo "src/op/twice.c:1:"
sees paths "src/op/x.h:3:"
sees quiet "src/op/twice.c:2:"
sees man "man/omma-see.1 is missing"
sees man "names man/omma-gone.1"
n=$((n + 1))
if "$tmp/scripts/check-style.sh" quiet | grep -q 'src/op/x.h'; then
    echo "not ok $n - quiet leaves comments and strings alone"
    failed=1
else
    echo "ok $n - quiet leaves comments and strings alone"
fi
cd "$tree" && echo "1..$n"
exit $failed

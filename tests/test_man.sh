#!/bin/sh
# test_man.sh - what --help says the manual says too: every long option of every verb is in its
# page, and no page has one that --help lacks. Prints TAP.
#   OMMA  the command; default build/omma
cd "$(dirname "$0")/.." || exit 1
omma=${OMMA:-build/omma}
n=0 bad=0
# The long options in a text, one a line, without what another verb or program is asked.
options() { grep -oE '(^|[^a-z-])--[a-z][a-z-]+' | grep -oE -e '--[a-z-]+' | sort -u | grep -vxE -e '--(help|version)'; }
for verb in $("$omma" --help | sed -n 's/^  \([a-z]*\)  *[a-z].*/\1/p' | grep -v '^omma$'); do
    page=man/omma-$verb.1
    n=$((n + 1))
    if [ ! -f "$page" ]; then
        echo "not ok $n - omma $verb has a manual page"
        bad=1
        continue
    fi
    here=$("$omma" "$verb" --help | sed '/^example/,$d' | options)
    there=$(sed '/^\.SH EXAMPLE/,$d; s/\\-/-/g' "$page" | options)
    missing=
    for o in $here; do echo "$there" | grep -qx -e "$o" || missing="$missing $o (not in $page)"; done
    for o in $there; do echo "$here" | grep -qx -e "$o" || missing="$missing $o (not in --help)"; done
    if [ -z "$missing" ]; then echo "ok $n - omma $verb: the options of --help and of the manual"
    else
        echo "not ok $n - omma $verb:$missing"
        bad=1
    fi
done
echo "1..$n"
[ "$n" -ge 8 ] && [ "$bad" = 0 ]

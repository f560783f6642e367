#!/bin/sh
# test_six_questions.sh - docs/six-questions.md tells the truth: every command of its console blocks
# is run and what it prints is compared with the page. Prints TAP.
#   test_six_questions.sh            compare
#   test_six_questions.sh --update   write what the commands print into the page, and its pictures
#                                    into docs/images
#   OMMA  the command under test; default build/omma. OMMA_SHARED may have the detector's model.
# Words and whole numbers are equal. A number with a decimal point may differ by 1 % or 0.001, or by
# one in the last place it is printed with: processors round differently. Blocks of a model that is
# not here are skipped.
omma=${OMMA:-build/omma}
tree=$PWD
case $omma in /*) ;; *) omma=$tree/$omma ;; esac
page=$tree/docs/six-questions.md
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM HUP
mkdir "$tmp/six" "$tmp/bin"
# behind a pipe nobody sees that a command failed: it is written down
printf '#!/bin/sh\n"%s" "$@" || { echo "$*" >>"%s/failed"; exit 1; }\n' "$omma" "$tmp" >"$tmp/bin/omma"
chmod +x "$tmp/bin/omma"
PATH=$tmp/bin:$PATH
detector=${OMMA_SHARED:-$tree/../shared}/models/deimv2_atto/deimv2_hgnetv2_atto_coco.onnx
[ -f "$detector" ] && ln -s "$(realpath "$detector")" "$tmp/six/deimv2.onnx"
OMMA=$omma OMMA_MODELS=${OMMA_MODELS:-$tree/build/models} sh examples/six/begin.sh "$tmp/six" >"$tmp/missing" || exit 1

# cut PAGE FOLDER: its console blocks, FOLDER/001.block and so on; names of the sections in *.of
cut_page() {
    mkdir -p "$2"
    awk -v dir="$2" '
        /^## / { section = substr($0, 4) }
        /^```console$/ { inside = 1; file = sprintf("%s/%03d.block", dir, ++n)
            print section >sprintf("%s/%03d.of", dir, n); next }
        /^```$/ && inside { inside = 0; close(file); next }
        inside { print >file }' "$1"
}

# run_block BLOCK: the block as its commands make it now. A command is "$ " and the lines behind
# that begin with "> ".
run_block() {
    awk -v q="'" '
        function flush() { if (said) { print "cat <<" q "END OF COMMAND" q "\n" said "\nEND OF COMMAND"; print command } }
        /^\$ / { flush(); said = $0; command = substr($0, 3);  more = 1; next }
        more && /^> / { said = said "\n" $0; command = command "\n" substr($0, 3);  more = 1; next }
        { more = 0 }
        END { flush() }' "$1" >"$tmp/commands"
    rm -f "$tmp/failed"
    (cd "$tmp/six" && sh "$tmp/commands" 2>"$tmp/err") >"$tmp/said" && [ ! -e "$tmp/failed" ] &&
        sed 's/ *$//' "$tmp/said"
}

# same WANT GOT: the difference, nothing if there is none
same() {
    awk '
        function abs(v) { return v < 0 ? -v : v }
        function near(a, b,   unit, most) {
            if (a == b) return 1
            if (a !~ /\./ || b !~ /\./) return 0
            most = abs(a) / 100
            if (most < 0.001) most = 0.001
            unit = 10 ^ -(length(a) - index(a, "."))
            if (most < unit) most = unit
            return abs(a - b) <= most * 1.000001
        }
        function alike(a, b,   x, y) {
            while (match(a, /-?[0-9]+(\.[0-9]+)?/)) {
                x = substr(a, RSTART, RLENGTH)
                la = substr(a, 1, RSTART - 1); a = substr(a, RSTART + RLENGTH)
                if (!match(b, /-?[0-9]+(\.[0-9]+)?/)) return 0
                y = substr(b, RSTART, RLENGTH)
                lb = substr(b, 1, RSTART - 1); b = substr(b, RSTART + RLENGTH)
                gsub(/ +/, " ", la); gsub(/ +/, " ", lb)
                if (la != lb || !near(x, y)) return 0
            }
            return a == b
        }
        { sub(/ +$/, "") }
        NR == FNR { want[++n] = $0; next }
        { m++; if (m > n || !alike(want[m], $0)) { print "page: " want[m]; print "now:  " $0; bad++ } }
        END { if (m < n) print "page: " want[m + 1] "\nnow has no such line" }' "$1" "$2"
}

# lacks BLOCK: what it needs and is not here
lacks() {
    for need in reader.onnx deimv2.onnx; do
        grep -q -e "$need" "$1" && [ ! -f "$tmp/six/$need" ] && echo "$need" && return
    done
    grep -q 'jq ' "$1" && ! command -v jq >/dev/null 2>&1 && echo jq
}

if [ "${1-}" = --update ]; then
    cut_page "$page" "$tmp/old"
    for block in "$tmp"/old/*.block; do
        need=$(lacks "$block")
        if [ "$need" ]; then
            echo "not updated, $need is not here: $(head -n 1 "$block")" >&2
            cp "$block" "$block.now"
        else
            run_block "$block" >"$block.now" || { cat "$tmp/err" >&2; exit 1; }
        fi
    done
    awk -v dir="$tmp/old" '
        /^```console$/ { print; inside = 1; file = sprintf("%s/%03d.block.now", dir, ++n)
            while ((getline line <file) > 0) print line
            next }
        /^```$/ { inside = 0 }
        !inside { print }' "$page" >"$tmp/page" && cat "$tmp/page" >"$page"
    for picture in "$tmp"/six/six-*.png; do
        [ -f "$picture" ] && cp "$picture" "$tree/docs/images/"
    done
    exit 0
fi

n=0 failed=0
ok() { n=$((n + 1)) && echo "ok $n - $1"; }
not_ok() { n=$((n + 1)) && failed=1 && echo "not ok $n - $1"; }
check() { if [ "$2" ]; then not_ok "$1" && printf '%s\n' "$2" | head -n 12 | sed 's/^/# /'; else ok "$1"; fi; }

# --- the comparison sees what it is for ----------------------------------------------------------
says() { printf '%s\n' "$2" >"$tmp/a"; printf '%s\n' "$3" >"$tmp/b"; same "$tmp/a" "$tmp/b" >"$tmp/difference"
    case $1 in equal) [ ! -s "$tmp/difference" ] ;; *) [ -s "$tmp/difference" ] ;; esac; }
expect() { if says "$2" "$3" "$4"; then ok "$1"; else not_ok "$1"; fi; }
expect "a number within 1 % will do" equal "own 92.1 %" "own 92.9 %"
expect "one in the last place will do" equal "used 0.3 %" "used 0.4 %"
expect "2 % will not" different "own 92.1 %" "own 94.0 %"
expect "a whole number is exact" different "sees 203" "sees 204"
expect "a sign is seen" different "share -0.250" "share 0.250"
expect "a word is seen" different "y 3 whole" "y 3 exact"
expect "a missing line is seen" different "one
two" "one"
expect "a line too many is seen" different "one" "one
two"
expect "a number more is seen" different "1 2" "1 2 3"

# --- the page --------------------------------------------------------------------------------------
cut_page "$page" "$tmp/blocks"
for block in "$tmp"/blocks/*.block; do
    what="$(cat "${block%.block}.of"): $(head -n 1 "$block" | cut -c 3-72)"
    need=$(lacks "$block")
    if [ "$need" ]; then
        n=$((n + 1))
        echo "ok $n - $what # SKIP $need is not here"
        continue
    fi
    run_block "$block" >"$tmp/now"
    status=$?
    if [ $status -ne 0 ]; then check "$what" "status $status: $(cat "$tmp/err")"; continue; fi
    check "$what" "$(same "$block" "$tmp/now")"
done
pictures=$(sed -n 's|.*](\(images/[^)]*\)).*|\1|p' "$page")
check "every command has its figures, or makes a picture" "$(for block in "$tmp"/blocks/*.block; do
    awk '/^\$ / { asked = $0 } /^[$>] / { if (!/six-[a-z]*\.png/) next } { said = 1 } END { if (!said) print asked }' "$block"
done)"
check "its pictures are there" "$(for p in $pictures; do [ -s "docs/$p" ] || echo "no docs/$p"; done)"
check "every question has figures" "$(for q in 1 2 3 4 5 6; do
    cat "$tmp"/blocks/*.of | grep -q "^$q\. " || echo "question $q has none"; done)"

# --- a page with one wrong number fails ------------------------------------------------------------
sed 's/^conv3  1x1x64x64  *7 /conv3  1x1x64x64                 8 /' "$page" >"$tmp/wrong.md"
cut_page "$tmp/wrong.md" "$tmp/wrong"
wrong=$(grep -l '^conv3 .* 8 ' "$tmp"/wrong/*.block | head -n 1)
run_block "${wrong:-/dev/null}" >"$tmp/now"
if [ "$wrong" ] && [ "$(same "$wrong" "$tmp/now")" ]; then ok "8 where 7 is right is seen"
else not_ok "8 where 7 is right is seen"; fi
echo "1..$n"
exit $failed

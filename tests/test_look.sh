#!/bin/sh
# test_look.sh - `omma look`: reports of models with and without attention, what is in them, and one
# clear line for what cannot be done. The page itself is tested by test_look_page.sh. Prints TAP.
#   OMMA  the command under test; default build/omma. Models come from tests/test_fieldnets beside it.
omma=${OMMA:-build/omma}
tree=$PWD
absolute() { case $1 in /*) echo "$1" ;; *) echo "$tree/$1" ;; esac; }
omma=$(absolute "$omma")
nets=$(dirname "$omma")/tests/test_fieldnets
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM HUP
n=0 failed=0
check() { # WHAT COMMAND...
    what=$1
    shift
    n=$((n + 1))
    if "$@"; then echo "ok $n - $what"; else
        failed=1
        echo "not ok $n - $what"
        head -n 5 "$tmp/err" "$tmp/out" 2>/dev/null | sed 's/^/# /'
    fi
}
cd "$tmp" || exit 1
mkdir nets
OMMA_FIELDNETS=$tmp/nets $OMMA_TEST_RUNNER "$nets" || exit 1
"$omma" field nets/dilated_2_4_8-64.onnx --at y:32,32 -o picture.png >out 2>err || exit 1
# looks MODEL: a report of the picture is written
looks() { "$omma" look picture.png -m "nets/$1" -o look.html >out 2>err && [ -s look.html ]; }
# fails STATUS WORD ARGS...: one line on stderr that has the word, no report
fails() {
    want=$1 word=$2
    shift 2
    rm -f look.html
    "$omma" look "$@" >out 2>err
    [ $? -eq "$want" ] && [ ! -s out ] && [ "$(wc -l <err)" -eq 1 ] && grep -q -e "$word" err &&
        [ ! -e look.html ]
}
part() { [ "$(grep -o "\"part\":\"$1\"" look.html | wc -l)" -ge "$2" ]; }

check "a convolutional network" looks resnet50-224.onnx
check "it says that no attention was found" grep -q '^0 attentions' out
check "its stages are in the report" part layer 5
check "it is one file that fetches nothing" eval '! grep -qE "(src|href)=\"?https?:" look.html'
check "a Swin" looks swin_t-224.onnx
check "its 12 attentions are found" grep -q '^12 attentions, 12 feed-forward' out
check "they are in the report" part attention 12
check "accounts of how tokens changed, too" part ledger 24
check "the same file for any number of threads" eval 'cp look.html one.html &&
    "$omma" look picture.png -m nets/swin_t-224.onnx --threads 3 >out 2>err && cmp -s look.html one.html'
check "no picture is told" fails 2 "no picture" -m nets/resnet50-224.onnx
check "no model is told" fails 2 "-m" picture.png
check "a file that is no picture is told" fails 2 "no picture" nets/resnet50-224.onnx -m nets/resnet50-224.onnx
check "a missing picture is told" fails 1 "gone.png" gone.png -m nets/resnet50-224.onnx
check "a missing model is told" fails 1 "gone.onnx" picture.png -m gone.onnx
check "a wrong size is told" fails 2 "HxW" picture.png -m nets/resnet50-224.onnx --size 3
check "a wrong mean is told" fails 2 "R,G,B" picture.png -m nets/resnet50-224.onnx --mean 1
check "an output that cannot be written is told" fails 1 "cannot write" picture.png -m nets/resnet50-224.onnx -o no/where.html
echo "1..$n"
exit $failed

#!/bin/sh
# test_field_verb.sh - `omma field`: tables with the numbers that are known, one unit with its holes,
# one pixel forward, JSON, pictures, measured fields, and one clear line for what cannot be done.
# Prints TAP.
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
resnet=nets/resnet50-224.onnx
# says WORDS ARGS...: succeeds, and what it prints has a line that matches
says() {
    words=$1
    shift
    "$omma" field "$@" >out 2>err && grep -Eq -e "$words" out
}
# fails STATUS WORD ARGS...: one line on stderr that has the word, nothing on stdout
fails() {
    want=$1 word=$2
    shift 2
    "$omma" field "$@" >out 2>err
    [ $? -eq "$want" ] && [ ! -s out ] && [ "$(wc -l <err)" -eq 1 ] && grep -q -e "$word" err
}

# --- tables ----------------------------------------------------------------------------------------
check "the last stage of resnet50 sees 427 px, jumps 32, begins at 0, pads 213" \
    says '^layer4 .* 427 +32 +0 +213 .* 11\.\.427' "$resnet"
check "stages first: the table is short" [ "$(grep -c '^layer' out)" -lt 12 ]
check "it says how many layers there are" grep -q 'of [0-9]* layers: the last of each stage' out
"$omma" field "$resnet" --all >out 2>err
check "--all lists them" [ "$(wc -l <out)" -gt 60 ]
check "a detector's backbone at another size" says ' 427 +32 ' nets/detr_r50-224.onnx --input 224x224
check "gates make efficientnet see everything" says 'whole' nets/efficientnet_b0-224.onnx
check "--content leaves them out: 851 px" says ' 851 +32 ' nets/efficientnet_b0-224.onnx --content
check "windows of swin are told by what the middle sees" says ' 56\*' nets/swin_t-224.onnx
check "holes are told" says '29\.0%.*holes' nets/dilated_2_2_2-64.onnx
check "JSON has the numbers" eval '"$omma" field "$resnet" --json >out 2>err &&
    grep -q "\"field\": 427" out && grep -q "\"padding\": 213" out && grep -q "\"status\": \"exact\"" out'

# --- one unit, one pixel -------------------------------------------------------------------------------
check "a cell's box and centre" says 'sees +y 35\.\.125 +x 115\.\.205' "$resnet" --at layer2:10,20
check "its centre" grep -Eq 'centre +y 80 +x 160' out
check "it is exact" grep -Eq 'status +exact' out
check "holes of one unit: 49 of 169 pixels" says 'pixels +49, 29\.0 %' nets/dilated_2_2_2-64.onnx --at y
check "its set in JSON has the holes" eval '"$omma" field nets/dilated_2_2_2-64.onnx --at y:32,32 --json >out 2>err &&
    [ "$(tr -d "[:space:]" <out | grep -o "\[26,26\],\[28,28\],\[30,30\]" | wc -l)" -eq 7 ]'
check "a mask of -100 is told" says 'behind a mask' nets/swin_t-224.onnx --at s1b1:7,30
check "a pixel reaches cells" says '9 of 12544 cells +y 49\.\.51 +x 24\.\.26' "$resnet" --pixel 100,50 --all
check "an index for every axis" says 'sees +y 0..17 +x 0..29' "$resnet" --at layer1:0,0,0,3

# --- pictures -------------------------------------------------------------------------------------------
check "a unit is drawn" says drawn nets/dilated_2_4_8-64.onnx --at y:32,32 -o unit.png
check "the stages are drawn" says drawn "$resnet" -o stages.png
check "both are PNG files" eval 'for f in unit.png stages.png; do [ "$(head -c 4 $f | tail -c 3)" = PNG ] || exit 1; done'
check "measured fields" says 'measured on 2 pictures by .default.' "$resnet" --at layer2 --effective . --count 2
check "sigma is told" grep -Eq 'sigma +[0-9.]+ px' out
check "another recipe" says "by 'replk'" "$resnet" --at layer1 --effective unit.png --recipe replk -o heat.png
check "measured columns of the table" says 'used' nets/vgg11-224.onnx --effective unit.png

# --- what cannot be done --------------------------------------------------------------------------------
check "no model is told" fails 2 "no model"
check "a missing model is told" fails 1 "x.onnx" x.onnx
check "a layer that is not there is told" fails 1 "no layer" "$resnet" --at nowhere
check "a cell that is not there is told" fails 1 "28 x 28 cells" "$resnet" --at layer2:100,20
check "a pixel that is none is told" fails 2 "y,x" "$resnet" --pixel 5
check "a pixel outside is told" fails 1 "224 places" "$resnet" --pixel 500,0
check "a wrong size is told" fails 1 "224x224" "$resnet" --input 32x32
check "--at and --pixel do not go together" fails 2 "not both" "$resnet" --at layer2 --pixel 1,1
check "a recipe that is none is told" fails 2 "default, luo or replk" "$resnet" --effective . --recipe x
check "a folder without pictures is told" fails 1 "no pictures" "$resnet" --effective nets
check "an output that cannot be written is told" fails 1 "cannot write" "$resnet" -o no/where.png
check "another kind of output is told" fails 1 "png" "$resnet" -o field.txt
echo "1..$n"
exit $failed

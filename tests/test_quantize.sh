#!/bin/sh
# test_quantize.sh - `omma quantize`: a detector in int8 finds what it found in float (it loses at most
# 0.010 AP on coco128, calibrated on pictures of roads and cells), the report, the same file for any
# number of threads, other kinds of samples, and one clear line for everything that cannot be done.
# Prints TAP.
#   OMMA         the command under test; default build/omma
#   OMMA_SHARED  the folder with models/deimv2_atto and data; default ../shared. Without it the tests
#                are skipped.
omma=${OMMA:-build/omma}
tree=$PWD
absolute() { case $1 in /*) echo "$1" ;; *) echo "$tree/$1" ;; esac; }
omma=$(absolute "$omma")
shared=$(absolute "${OMMA_SHARED:-../shared}")
model=$shared/models/deimv2_atto/deimv2_hgnetv2_atto_coco.onnx
coco=$shared/data/coco128
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
        head -n 5 "$tmp/err" 2>/dev/null | sed 's/^/# /'
    fi
}
if [ ! -f "$model" ] || [ ! -d "$coco/train2017" ] || [ ! -d "$shared/data/camvid/train" ]; then
    echo "ok 1 - omma quantize # SKIP no OMMA_SHARED with models/deimv2_atto, data/coco128, data/camvid"
    echo "1..1"
    exit 0
fi
cd "$tmp" || exit 1
# fails WORD ARGS...: status 1 or 2, one line that has the word, no output file
fails() {
    word=$1
    shift
    rm -f out.onnx
    "$omma" quantize "$@" >out 2>err
    status=$?
    [ $status -ne 0 ] && [ ! -s out ] && [ "$(wc -l <err)" -eq 1 ] && grep -q -e "$word" err &&
        [ ! -e out.onnx ] && [ -z "$(ls ./*.part-* 2>/dev/null)" ]
}

# --- what cannot be done ------------------------------------------------------------------------
mkdir empty pictures
echo text >pictures/broken.jpg
check "no model is told" fails "no model"
check "no output is told" fails "-o" "$model" --calibrate empty
check "no folder is told" fails "--calibrate" "$model" -o out.onnx
check "a folder that is not there is told" fails "nowhere.*cannot open" "$model" -o out.onnx --calibrate nowhere
check "a folder without pictures is told" fails "empty.*no pictures" "$model" -o out.onnx --calibrate empty
check "a broken picture is told" fails "broken.jpg" "$model" -o out.onnx --calibrate pictures
check "a missing model is told" fails "x.onnx" x.onnx -o out.onnx --calibrate empty
check "wrong sizes are told" fails "HxW" "$model" -o out.onnx --calibrate empty --size 3
check "a wrong mean is told" fails "mean" "$model" -o out.onnx --calibrate empty --mean 1,2
rm pictures/broken.jpg
i=0
for f in "$shared"/data/camvid/train/*.jpg; do
    i=$((i + 1))
    [ $((i % 30)) -eq 0 ] && ln -s "$f" pictures/
done
i=0
for f in "$shared"/data/bccd/images/*.jpg; do
    i=$((i + 1))
    [ $((i % 50)) -eq 0 ] && ln -s "$f" pictures/
done
for f in "$shared"/photos/*; do ln -s "$f" pictures/; done
check "an output that cannot be written is told" fails "no/where/out.onnx.*cannot write" "$model" \
    -o no/where/out.onnx --calibrate pictures --count 1

# --- a detector -----------------------------------------------------------------------------------
"$omma" quantize "$model" -o int8.onnx --calibrate pictures --json >report 2>err
check "a detector is quantised" [ $? -eq 0 ]
check "the report counts" grep -q '"int8_products": [1-9]' report
check "the report names what stays in float" grep -q '"fate": "sensitive"' report
check "a good part of the arithmetic is int8" awk '/"int8_share"/ { exit !($2 + 0 > 0.3) }' report
check "the file is sound" eval '"$omma" check int8.onnx >out'
for t in 1 3; do
    "$omma" quantize "$model" -o threads$t.onnx --calibrate pictures --count 2 --threads $t >out 2>err
done
check "the same file for any number of threads" cmp threads1.onnx threads3.onnx
ap() {
    "$omma" detect --coco -m "$1" "$coco/train2017" >results 2>err &&
        "$omma" eval --gt "$coco/instances_train128.json" results | sed -n '1s/.*= *//p'
}
float=$(ap "$model") int8=$(ap int8.onnx)
echo "# AP on coco128: float $float, int8 $int8"
check "int8 loses at most 0.010 AP" awk "BEGIN { exit !($float > 0.3 && $int8 > 0 && $float - $int8 <= 0.010) }"
check "nothing worth it is told" fails "nothing can be quantised" "$model" -o out.onnx \
    --calibrate pictures --count 1 --small 1
echo "1..$n"
[ $failed = 0 ]

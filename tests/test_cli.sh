#!/bin/sh
# test_cli.sh - the omma command as a new user meets it: every verb in an empty folder, with
# help, with wrong words, with right and with hostile files, on full disks and into closed
# pipes. What is asked of every failure: its exit status, one line on stderr that names the
# verb and the thing, nothing on stdout, no crash and no wait. Prints TAP.
#   OMMA         the command under test; default build/omma
#   OMMA_SHARED  the folder with models/deimv2_atto, photos, data/coco128 and eval; default
#                ../shared. Without it the tests that need it are skipped.
#   OMMA_MODELS  where ppocrv4 is installed; else the tests of `omma read` are skipped
omma=${OMMA:-build/omma}
tree=$PWD
absolute() { case $1 in /*) echo "$1" ;; *) echo "$tree/$1" ;; esac; }
omma=$(absolute "$omma")
shared=$(absolute "${OMMA_SHARED:-../shared}")
installed=$(absolute "${OMMA_MODELS:-$HOME/.local/share/omma/models}")
verbs="read detect info run bench quantize diff check eval models pull"

tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM HUP
mkdir "$tmp/empty" "$tmp/work" || exit 1
unset OMMA_MIRROR OMMA_DUMP OMMA_TRACE OMMA_THREADS OMMA_CPU XDG_DATA_HOME
export OMMA_MODELS="$tmp/none"

n=0 failed=0
ok() { n=$((n + 1)); echo "ok $n - $1"; }
not_ok() {
    n=$((n + 1)) failed=1
    echo "not ok $n - $1"
    echo "# omma $asked: status $status"
    head -n 12 "$tmp/err" | sed 's/^/# stderr: /'
    head -n 12 "$tmp/out" | sed 's/^/# stdout: /'
}
skip() { n=$((n + 1)); echo "ok $n - $1 # SKIP $2"; }
# check WHAT COMMAND...: ok when the command succeeds; skipped when $reason says why.
reason=
check() {
    what=$1
    shift
    if [ -n "$reason" ]; then skip "$what" "$reason"; elif "$@"; then ok "$what"; else not_ok "$what"; fi
}
limit=
command -v timeout >/dev/null && limit="timeout 300"
# omma ARGS...: what it says goes to $tmp/out and $tmp/err, its status to $status. Progress,
# which a slow machine shows, is left out.
omma() {
    asked=$*
    $limit "$omma" "$@" >"$tmp/out" 2>"$tmp/all" </dev/null
    status=$?
    grep -vE '^(detect|read) [0-9]+/[0-9]+, [0-9]+ s left$' "$tmp/all" >"$tmp/err"
}
says() { grep -q -e "$1" "$tmp/out"; }
warns() { grep -q -e "$1" "$tmp/err"; }
lines() { [ "$(wc -l <"$1")" -eq "$2" ]; }
silent() { [ ! -s "$tmp/err" ]; }
done_well() { [ $status -eq 0 ] && silent; }
one_line() { lines "$tmp/err" 1 && ! grep -q '[[:cntrl:]]' "$tmp/err"; }
# fails STATUS WORD: with one line on stderr that begins with the verb and has the word.
fails() { [ $status -eq "$1" ] && [ ! -s "$tmp/out" ] && one_line && warns "^omma.*: .*$2"; }
refused() { fails 1 "$1" && ! warns "$twice"; }
misused() { fails 2 "$1" && warns "omma .*--help'"; }
twice='\(\b[^ :]\+: \)\1' # the same prefix two times

# --- words --------------------------------------------------------------------------------
cd "$tmp/empty" || exit 1
omma
check "no arguments: help on stderr, status 2" eval '[ $status -eq 2 ] && [ ! -s "$tmp/out" ] && warns usage'
omma --help
check "--help: on stdout, with every verb" eval 'done_well; for v in $verbs; do says "^  $v " || exit 1; done'
cp "$tmp/out" "$tmp/help"
omma help
check "help is --help" eval 'done_well && cmp -s "$tmp/out" "$tmp/help"'
omma --version
check "--version" eval 'done_well && says "^omma [0-9]*\.[0-9]*\.[0-9]*$" && lines "$tmp/out" 1'
omma sing
check "an unknown verb is told" misused "no verb 'sing'"
omma help sing
check "help about an unknown verb is told" misused "no verb 'sing'"
for v in $verbs; do
    omma $v --help
    check "$v --help: on stdout, teaches" eval 'done_well && says "[uU]sage: omma $v " && says "^  omma $v "'
    cp "$tmp/out" "$tmp/help"
    omma help $v
    check "help $v says the same" eval 'done_well && cmp -s "$tmp/out" "$tmp/help"'
    omma $v x -h --bogus
    check "$v -h does, before what is wrong behind it" eval 'done_well && cmp -s "$tmp/out" "$tmp/help"'
    omma $v --bogus
    check "$v: an unknown option is told" misused "'--bogus'"
    omma $v ''
    check "$v: an empty argument is told" misused "empty"
    [ $v = models ] && continue
    omma $v
    check "$v: nothing to do is told" misused "no\|say"
done
for o in "detect -m" "detect --output" "read --min-confidence" "run m -i" "info m --input" "eval --gt" "pull --from"; do
    omma $o
    check "$o: a missing value is told" misused "wants a value"
done
for o in "detect -t x" "detect -t 2" "detect -t nan" "detect --threads 0" "run --threads 1e3" \
    "read --threads=257" "read -c -0.1" "eval --iou 0" "detect --json=yes" "run --threads=-1"; do
    omma $o a b
    check "$o: a wrong value is told" misused "--[a-z-]* \|no ground"
done
omma detect x.jpg --output=
check "an empty value is told" misused "--output"
omma detect x.jpg --json --coco
check "--json and --coco are not both" misused "not both"
omma detect x.jpg --gt y.json
check "--gt goes with --coco" misused "--coco"
omma info x.onnx --graph --dot
check "--graph and --dot are not both" misused "one of"
omma run a.onnx b.npy
check "a tensor without -i is told" misused "-i"
omma models nothing
check "an unknown model is told" misused "'nothing'"
omma models
check "models: a table, nothing installed" eval 'done_well && says "^ppocrv4 .* no " && says "^deimv2-atto "'

# --- in an empty folder ---------------------------------------------------------------------
omma detect x.jpg
check "detect names the command that fetches its model" refused "omma pull deimv2-atto$"
omma read x.jpg
check "read names the command that fetches its model" refused "omma pull ppocrv4$"
omma detect .
check "a folder without pictures is told" refused "\.: holds no pictures"
omma read '*.jpg'
check "a glob that matches nothing is told" refused "\*\.jpg: matches no file"
for v in info check run bench; do
    omma $v x.onnx
    check "$v: a missing file is told" refused "x.onnx: cannot open"
done
omma eval --gt x.json y.json
check "eval: a missing file is told" refused "x.json: cannot open"
omma check -- --help
check "-- ends the options" refused "--help: cannot open"
check "nothing is written in an empty folder" eval '[ -z "$(ls -A)" ]'

# --- broken models ----------------------------------------------------------------------------
cd "$tmp/work" || exit 1
: >empty.onnx
echo "this is no model" >text.onnx
mkdir folder.onnx
mkfifo fifo.onnx
# 4096 bytes of no meaning, the same each time
awk 'BEGIN { for (i = x = 1; i <= 4096; i++) { x = (x * 1103 + 12345) % 65536; printf "%c", 128 + x % 100 } }' |
    head -c 4096 >garbage.onnx
for v in info check run bench "detect x.png -m"; do
    for f in empty text folder fifo garbage; do
        omma $v $f.onnx
        check "${v%% *}: a model that is none is told: $f" refused "$f.onnx: "
    done
done
omma check text.onnx
check "check names the byte" warns "text.onnx: not an ONNX model.*: byte [0-9]*: "

model=$shared/models/deimv2_atto/deimv2_hgnetv2_atto_coco.onnx
cat=$shared/photos/chelsea.png
rocket=$shared/photos/rocket.jpg
reason=
for f in "$model" "$cat" "$rocket" "$shared/photos/coffee.png"; do [ -r "$f" ] || reason="no $f"; done
without_shared=$reason
if [ -z "$reason" ]; then
    cp "$model" m.onnx && chmod +w m.onnx
    cp "$cat" cat.png && cp "$rocket" rocket.jpg && cp "$shared/photos/coffee.png" coffee.png
    head -c 1000000 m.onnx >cut.onnx
    { head -c 600000 m.onnx && head -c 1500 garbage.onnx && tail -c +601501 m.onnx; } >hit.onnx
    # names that would drive a terminal, and two that would share a file
    LC_ALL=C sed -e "s/scores/sc$(printf '\033')res/g" m.onnx >escape.onnx
    LC_ALL=C sed -e 's/labels/a\/bbbb/g' -e 's/scores/a_bbbb/g' m.onnx >clash.onnx
fi
omma check cut.onnx
check "a model cut short is told, with the byte" refused "cut.onnx: byte [0-9]*: .*cut short"
omma check m.onnx cut.onnx m.onnx
check "check: one bad file among good ones" eval \
    '[ $status -eq 1 ] && one_line && warns "cut.onnx: byte" && lines "$tmp/out" 2'
omma check m.onnx
check "check: a sound model is sound" eval 'done_well && says "^m.onnx: sound: 867 nodes, [0-9]* parameters$"'
omma check hit.onnx
check "a model with other bytes inside does not crash" eval '[ $status -le 1 ]'

# --- info ---------------------------------------------------------------------------------------
# json: is $tmp/out one JSON document?
if [ -x /usr/bin/python3 ]; then json() { /usr/bin/python3 -c 'import json, sys; json.load(sys.stdin)' <"$tmp/out" 2>"$tmp/err"; }
elif command -v node >/dev/null; then json() { node -e 'JSON.parse(require("fs").readFileSync(0, "utf8"))' <"$tmp/out" 2>"$tmp/err"; }
else json() { case $(head -c 1 "$tmp/out") in [[{]) ;; *) return 1 ;; esac; }
fi
omma info m.onnx
check "info: what a detector is" eval 'done_well && says "object detection" && says "images  *float32 \[N, 3, 320, 320\]" && says GFLOP'
check "info: no white space at the ends of lines" eval '! says " $"'
omma info m.onnx --json
check "info --json" eval 'done_well && says "\"flops\": [0-9]" && json'
omma info --graph m.onnx
check "info --graph: every node" eval 'done_well && [ "$(grep -c " = [A-Z][A-Za-z]*(" "$tmp/out")" -eq 867 ]'
value=$(sed -n 's/^  \([^ :]*\):[^ ]* = Sigmoid(.*/\1/p' "$tmp/out" | head -n 1)
omma info --dot m.onnx
check "info --dot: a graph for Graphviz" eval 'done_well && says "^digraph " && [ "$(tail -n 1 "$tmp/out")" = "}" ]'
omma info m.onnx -i images=2x3x320x320
check "info -i: other sizes" eval 'done_well && says "here \[2, 3, 320, 320\]"'
omma info m.onnx -iimages=1x3x64x64
check "info -i: a declared size cannot be changed" refused "'images' is declared with size 320"
omma info m.onnx --input=pictures=1x3x64x64
check "info -i: an unknown input is told" refused "names no input"
omma info m.onnx -i images=1x3
check "info -i: too few sizes are told" refused "4 dimensions"
omma info m.onnx -i images=1,3
check "info -i: what is no size is told" refused "not a list of sizes"
omma info escape.onnx
check "info: control characters of a file are not passed on" eval 'done_well && says "sc?res" && ! grep -q "$(printf "\033")" "$tmp/out"'

# --- run ------------------------------------------------------------------------------------------
npy() { # npy FILE TYPE SHAPE: the head; the numbers follow
    { printf '\223NUMPY\001\000\166\000'; printf '%-117s\n' "{'descr': '$2', 'fortran_order': False, 'shape': ($3), }"; } >"$1"
}
npy x.npy '<f4' '1, 3, 320, 320' && head -c 1228800 /dev/zero >>x.npy
npy s.npy '<i8' '1, 2' && printf '\100\001\0\0\0\0\0\0\100\001\0\0\0\0\0\0' >>s.npy
npy small.npy '<f4' '1, 3, 2, 2' && head -c 48 /dev/zero >>small.npy
npy short.npy '<f4' '1, 3, 320, 320' && head -c 99 /dev/zero >>short.npy
sizes="-i orig_target_sizes=s.npy"
omma run m.onnx -i images=x.npy $sizes -o out/deep
check "run: shapes and ranges on stdout" eval 'done_well && says "^labels: int64 \[1, 300\]$" && says "^boxes: float32 \[1, 300, 4\]  .* \.\. .*, mean "'
check "run -o: makes the folder, one file an output" eval '[ "$(ls out/deep | tr "\n" " ")" = "boxes.npy labels.npy scores.npy " ]'
check "run -o: the files are as long as their shapes" eval '[ "$(wc -c <out/deep/boxes.npy)" -eq $((128 + 1200 * 4)) ]'
if [ -z "$reason" ] && ! /usr/bin/python3 -c 'import numpy' 2>/dev/null; then
    skip "run -o: numpy reads them" "no numpy"
else
    check "run -o: numpy reads them" /usr/bin/python3 -c 'import numpy as n
assert n.load("out/deep/boxes.npy").shape == (1, 300, 4) and n.load("out/deep/labels.npy").dtype == n.int64'
fi
omma run m.onnx -i images=x.npy $sizes --watch "$value" -o watched -w boxes
check "run --watch: '/' becomes '_'" eval 'done_well && says "^$value: float32" && [ -s "watched/$(echo "$value" | tr / _).npy" ]'
check "run --watch changes no number" eval 'for o in boxes labels scores; do cmp -s out/deep/$o.npy watched/$o.npy || exit 1; done'
same_bits() {
    for t in 1 2 5; do
        omma run m.onnx -i images=x.npy $sizes -o threads --threads $t
        [ $status -eq 0 ] && cmp -s threads/boxes.npy out/deep/boxes.npy || return 1
    done
    asked="OMMA_THREADS=3 run"
    OMMA_THREADS=3 "$omma" run m.onnx -i images=x.npy $sizes -o threads >"$tmp/out" 2>"$tmp/err"
    cmp -s threads/boxes.npy out/deep/boxes.npy
}
check "run: the same numbers on any number of threads" same_bits
cpus() {
    for cpu in c avx2 avx512; do
        asked="OMMA_CPU=$cpu run"
        OMMA_CPU=$cpu "$omma" run m.onnx -i images=x.npy $sizes >"$tmp/out" 2>"$tmp/err"
        status=$?
        done_well && says '^boxes: ' || return 1
    done
}
check "OMMA_CPU picks kernels" cpus
traces() {
    mkdir dump && OMMA_DUMP=dump OMMA_TRACE=trace "$omma" run m.onnx -i images=x.npy $sizes >"$tmp/out" 2>"$tmp/err"
    [ -s trace ] && [ -n "$(find dump -name '00-*.txt')" ] && [ -n "$(find dump -name '00-*.dot')" ]
}
check "OMMA_DUMP and OMMA_TRACE write their files" traces
bad_run() { what=$1 word=$2; shift 2; omma run "$@"; check "run: $what" refused "$word"; }
bad_run "a missing input is told" "'orig_target_sizes' is missing" m.onnx -i images=x.npy
bad_run "an input without a name is told" "names no input" m.onnx -i x.npy
bad_run "an input given twice is told" "given twice" m.onnx -i images=x.npy -i images=x.npy
bad_run "an input without a file is told" "names no file" m.onnx -i images= $sizes
bad_run "a wrong shape is told" "'images': dimension 2 .* 320, not 2" m.onnx -i images=small.npy $sizes
bad_run "a wrong type is told" "'images': .*float32, not int64" m.onnx -i images=s.npy $sizes
bad_run "an array cut short is told" "short.npy: " m.onnx -i images=short.npy $sizes
for f in empty text folder fifo garbage; do
    bad_run "an array that is none is told: $f" "$f.onnx: " m.onnx -i images=$f.onnx $sizes
done
bad_run "an unknown value to watch is told" "no value 'soup'" m.onnx -i images=x.npy $sizes -w soup
bad_run "two values that would share a file are told" "one file" clash.onnx -i images=x.npy $sizes -o clash
check "run: nothing is written then" [ ! -e clash ]
omma run escape.onnx -i images=x.npy $sizes
check "run: control characters of a file are not passed on" eval 'done_well && says "^sc?res: "'

# --- detect -----------------------------------------------------------------------------------------
omma detect -m m.onnx cat.png
check "detect: a cat is a cat" eval 'done_well && says "^cat.png  (451 x 300)$" && says "^  cat  *7[0-9]\.[0-9] %" && ! says " $"'
omma detect -mm.onnx cat.png rocket.jpg --json
check "detect --json" eval 'done_well && says "\"name\": \"cat\"" && [ "$(grep -c "\"file\"" "$tmp/out")" -eq 2 ] && json'
omma detect -m m.onnx cat.png -t 1
check "detect -t 1: nothing is that sure" eval 'done_well && says "nothing with a score of 1 or more"'
omma detect -m m.onnx cat.png --coco
check "detect --coco wants a number in the name" eval '[ $status -eq 1 ] && one_line && warns "cat.png: .*--gt" && json'
[ -n "$reason" ] || cp cat.png 000042.png
[ -n "$reason" ] || omma detect -m m.onnx 000042.png --coco
check "detect --coco takes the number" eval 'done_well && says "\"image_id\":42," && json'
mkdir -p in/b in/sub
[ -n "$reason" ] || { cp cat.png in/same.png && cp rocket.jpg in/same.jpg && cp coffee.png in/same-2.png && cp cat.png in/b/same.png; }
cp empty.onnx in/broken.png
sums() { cksum in/*.jpg in/same.png in/same-2.png in/b/*; }
[ -n "$reason" ] || sums >before
omma detect -m m.onnx in in/b/same.png -o in
check "detect: one bad picture among good ones is told, the others are done" eval \
    '[ $status -eq 1 ] && lines "$tmp/err" 2 && warns "^omma detect: in/broken.png: is empty$" && warns "1 of 5 pictures failed" && [ "$(grep -c "^in/" "$tmp/out")" -eq 4 ]'
check "detect -o: pictures of one name do not overwrite each other" eval \
    '[ "$(cd in && echo *.detect.png)" = "same-2.detect.png same-3.detect.png same-4.detect.png same.detect.png" ]'
check "detect -o: pictures stay as they were" eval 'sums | cmp -s - before'
omma detect -m m.onnx in
check "detect: a folder again, without what was drawn there" eval '[ "$(grep -c "^in/" "$tmp/out")" -eq 3 ]'
[ -n "$reason" ] || { cp cat.png y.detect.png && cp cat.png y.png; }
[ -n "$reason" ] || omma detect -m m.onnx y.png y.detect.png -o .
check "detect -o: a picture named like a drawing is not overwritten" eval \
    'done_well && cmp -s y.detect.png cat.png && [ -s y-2.detect.png ] && [ -s y.detect.detect.png ]'
omma detect -m m.onnx 'in/same*.jpg' --output=glob
check "detect: a quoted glob" eval 'done_well && [ "$(ls glob)" = same.detect.png ]'
omma detect -m m.onnx glob/same.detect.png
check "detect -o: the drawing is a picture of the same size" eval 'done_well && says "(640 x 427)"'

# pictures that are none; a PNG of a few bytes that claims 60,000 x 60,000
printf '\211PNG\015\012\032\012\0\0\0\015IHDR\0\0\352\140\0\0\352\140\010\002\0\0\0\017\260\342\025' >huge.png
printf '\0\0\0\010IDAT\170\234\003\0\0\0\0\001\110\006\211\322\0\0\0\0IEND\256B\140\202' >>huge.png
[ -n "$reason" ] || head -c 60000 rocket.jpg >cut.jpg
[ -n "$reason" ] || head -c 60000 cat.png >cut.png
for f in empty.onnx text.onnx fifo.onnx garbage.onnx huge.png cut.jpg cut.png missing.png; do
    omma detect -m m.onnx $f
    check "detect: a picture that is none is told: $f" refused "$f: "
done
omma detect -m m.onnx huge.png
check "detect: a picture too large is told with its size" refused "60000 x 60000"
omma detect -m m.onnx cat.png -o text.onnx/below
check "detect -o: a folder that cannot be made is told" refused "text.onnx/below: cannot make the folder"
omma run m.onnx -i images=x.npy $sizes -o text.onnx
check "run -o: a file in place of the folder is told" refused "text.onnx: cannot make the folder"
if [ "$(id -u)" = 0 ]; then
    skip "detect -o: a folder that may not be written is told" "root may write anywhere"
else
    mkdir shut && chmod 555 shut
    omma detect -m m.onnx cat.png -o shut
    check "detect -o: a folder that may not be written is told" eval '[ $status -eq 1 ] && warns "shut/cat.detect.png: cannot write"'
fi

# --- many pictures, scored ----------------------------------------------------------------------------
truth=$shared/data/coco128/instances_train128.json
pictures=$shared/data/coco128/train2017
reason=$without_shared
[ -r "$truth" ] && [ -d "$pictures" ] || reason="no $shared/data/coco128"
omma detect -m m.onnx "$pictures" --coco --gt "$truth"
cp "$tmp/out" found.json
check "detect --coco: 128 pictures" eval 'done_well && [ "$(grep -o image_id found.json | wc -l)" -eq 38400 ] && json'
check "detect --coco: one line" lines found.json 1
check "detect: stderr holds nothing but progress" silent
omma eval --gt "$truth" found.json
ap() { awk '/Average Precision .*IoU=0.50:0.95 .*area= *all .*maxDets=100/ { x = $NF } END { exit !(x > 0.31 && x < 0.318) }' "$tmp/out"; }
check "eval: AP is 0.314" eval 'done_well && lines "$tmp/out" 12 && ap'
score() { awk -F'[:,]' '/"AP":/ { print $2; exit }' "$tmp/out"; }
omma eval --gt "$truth" --json found.json
plain=$(score)
# In bfloat16, alone and with the nodes in float32 that other pictures say shall be.
no_more_than() { awk -v a="$1" -v b="$2" -v most="$3" 'BEGIN { exit !(a - b <= most && b > 0.2) }'; }
half() { # half MOST [OPTION...]
    most=$1
    shift
    omma detect -m m.onnx "$pictures" --coco --gt "$truth" --bf16 "$@"
    [ $status -eq 0 ] && cp "$tmp/out" half.json || return 1
    omma eval --gt "$truth" --json half.json
    [ $status -eq 0 ] && no_more_than "$plain" "$(score)" "$most"
}
check "detect --bf16: AP falls by 0.008 at most" half 0.008
check "detect --bf16: other answers than in float32" eval '! cmp -s half.json found.json'
[ -d "$shared/photos" ] || reason=${reason:-no $shared/photos}
keeps() {
    omma quantize m.onnx --bf16 -o keep.txt --calibrate "$shared/photos"
    [ $status -eq 0 ] && says 'products in bfloat16' && [ -s keep.txt ] && half 0.003 --keep-float keep.txt
}
check "quantize --bf16, detect --keep-float: AP falls by 0.003 at most" keeps
reason=$without_shared
[ -r "$truth" ] && [ -d "$pictures" ] || reason="no $shared/data/coco128"
omma eval --gt "$truth" --json -c found.json
check "eval --json" eval 'done_well && says "\"AP\": 0.31" && json'
fake=$shared/eval/cocoapi_100
reason=
[ -r "$fake/instances_val2014_100.json" ] || reason="no $fake"
omma eval -g "$fake/instances_val2014_100.json" "$fake/instances_val2014_fakebbox100_results.json"
check "eval: cocoapi's own numbers" eval 'done_well && says "= 0.505$" && says "= 0.697$"'
for f in empty text folder fifo garbage; do
    omma eval --gt $f.onnx found.json
    check "eval: annotations that are none are told: $f" refused "$f.onnx: "
    omma eval --gt "$fake/instances_val2014_100.json" $f.onnx
    check "eval: results that are none are told: $f" refused "$f.onnx: "
done

# --- full disks and closed pipes ------------------------------------------------------------------------
full() { # full WHAT ARGS...
    what=$1
    shift
    asked="$* >/dev/full"
    : >"$tmp/out"
    [ -c /dev/full ] || { skip "$what" "no /dev/full"; return; }
    [ -n "$reason" ] || { $limit "$omma" "$@" >/dev/full 2>"$tmp/err" </dev/null; status=$?; }
    check "$what" refused "cannot write the answer: "
}
reason=
full "a full disk is told: help" --help
full "a full disk is told: version" --version
full "a full disk is told: detect --help" detect --help
full "a full disk is told: models" models
full "a full disk is told: models --json" models --json
reason=$without_shared
full "a full disk is told: info" info m.onnx
full "a full disk is told: info --json" info --json m.onnx
full "a full disk is told: info --graph" info --graph m.onnx
full "a full disk is told: info --dot" info --dot m.onnx
full "a full disk is told: check" check m.onnx
full "a full disk is told: run" run m.onnx -i images=x.npy $sizes
full "a full disk is told: detect" detect -m m.onnx cat.png rocket.jpg
full "a full disk is told: detect --json" detect -m m.onnx --json cat.png rocket.jpg coffee.png
reason=
[ -r "$fake/instances_val2014_100.json" ] || reason="no $fake"
for o in "" --per-class --json "--json --per-class"; do
    full "a full disk is told: eval $o" eval $o --gt "$fake/instances_val2014_100.json" "$fake/instances_val2014_fakebbox100_results.json"
done
reason=$without_shared
[ -c /dev/full ] || reason="no /dev/full"
mkdir onto && ln -s /dev/full onto/boxes.npy && ln -s /dev/full onto/cat.detect.png
omma run m.onnx -i images=x.npy $sizes -o onto
check "run -o: a full disk is told" eval '[ $status -eq 1 ] && one_line && warns "onto/boxes.npy: cannot write: No space"'
omma detect -m m.onnx cat.png -o onto
check "detect -o: a full disk is told" eval '[ $status -eq 1 ] && one_line && warns "onto/cat.detect.png: cannot write: No space"'
check "nothing half written is left" eval '[ -z "$(find . -name "*.part-*")" ]'

reason=$without_shared
pipe() { # pipe ARGS...: into a reader that takes one line
    asked="$* | head -1"
    { $limit "$omma" "$@" 2>"$tmp/err" </dev/null; echo $? >status; } | head -n 1 >"$tmp/out"
    status=$(cat status)
    lines "$tmp/out" 1 && silent && { [ "$status" -eq 0 ] || [ "$status" -eq 141 ]; }
}
check "a closed pipe does no harm: info --graph" pipe info --graph m.onnx
check "a closed pipe does no harm: detect" pipe detect -m m.onnx cat.png rocket.jpg coffee.png
ignored() { (trap '' PIPE; pipe info --graph m.onnx; [ "$status" -eq 1 ] && one_line && warns "cannot write the answer"); }
check "a closed pipe is told where SIGPIPE is ignored" ignored

# --- read -------------------------------------------------------------------------------------------------
page=$shared/photos/page.png
reason=
[ -r "$page" ] || reason="no $page"
OMMA_MODELS=$installed
"$omma" models 2>/dev/null | grep -q '^ppocrv4 .* yes ' || reason="ppocrv4 is not installed in $installed"
omma read "$page" -o read
check "read: a page" eval 'done_well && says "^Region-based segmentation$" && says "markers"'
check "read -o: a drawing" eval '[ -s read/page.read.png ]'
cp "$tmp/out" page.txt
omma read --json "$page"
check "read --json" eval 'done_well && says "\"text\": \"Region-based segmentation\"" && json'
omma read "$page" -c 1
check "read -c 1: hardly anything is that sure" eval 'done_well && [ "$(wc -l <"$tmp/out")" -lt "$(wc -l <page.txt)" ]'
omma read huge.png "$page" text.onnx
check "read: bad pictures among good ones are told, the others are done" eval \
    '[ $status -eq 1 ] && lines "$tmp/err" 3 && warns "huge.png: .*too large" && warns "text.onnx: is not a" && warns "2 of 3" && says "^Region"'
omma read "$page" -o read --lines
check "read --lines: each line by itself" eval 'done_well && [ "$(ls read/page.*.line.png | wc -l)" -eq "$(wc -l <page.txt)" ]'
omma read "read/page.1.line.png"
check "read: such a line is read again" eval 'done_well && says "^Region-based segmentation$"'
omma look read/page.1.line.png -m "$installed"/ppocrv4/*rec_infer.onnx --mean 0.5,0.5,0.5 --std 0.5,0.5,0.5 --json
# a look that takes more than some seconds tells on stderr how far it is, and nothing else
looked_well() { [ $status -eq 0 ] && ! grep -qvE '^look [0-9]+/[0-9]+: [a-z ]+$' "$tmp/err"; }
names() { grep -o '"part":"answer","name":"[^"]*' "$tmp/out" | sed 's/.*"//' | tr -d '\n'; }
check "look: the characters of a line, one after the other" eval 'looked_well && [ "$(names)" = "Region-based segmentation" ]'
omma look "$page" -m "$installed"/ppocrv4/*det_infer.onnx --size 320x640 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 --json
check "look: regions of a map" eval 'looked_well && [ "$(names | grep -o region | wc -l)" -ge 6 ]'
omma read "$page" --lines
check "read --lines: without a folder is told" eval '[ $status -eq 2 ] && warns "-o"'
omma read "$page" -m folder.onnx
check "read -m: a folder without models is told" refused "folder.onnx"
omma read "$page" -m text.onnx
check "read -m: what is no folder is told" refused "text.onnx"
omma read "$page" -o text.onnx/below
check "read -o: a folder that cannot be made is told" refused "text.onnx/below: "
full "a full disk is told: read" read "$page"
full "a full disk is told: read --json" read --json "$page"
for m in det rec cls; do
    omma info "$installed"/ppocrv4/*${m}_infer.onnx
    check "info: PP-OCR's $m" eval 'done_well && says "^inputs" && says "^  x  *float32 \[.*, 3, " && says GFLOP'
done
omma check "$installed"/ppocrv4/*.onnx
check "check: PP-OCR's models are sound" eval 'done_well && lines "$tmp/out" 3'
export OMMA_MODELS="$tmp/none"

# --- the manual: every long option of the help is in the page, and the other way round ----------------------
reason=
options() { grep -oE -e '--[a-z][a-z-]*' | sort -u; }
told() { # told PAGE ARGS...
    page=$tree/man/$1.1
    shift
    omma "$@"
    options <"$tmp/out" >helped
    sed 's/\\-/-/g' "$page" | options >paged
    [ "$*" != --help ] || grep -xF -f helped paged >named # omma.1 speaks of the verbs' options too
    if [ "$*" = --help ]; then cmp -s helped named; else diff helped paged >"$tmp/err"; fi
}
check "omma.1 has the options of --help" told omma --help
for v in $verbs; do check "omma-$v.1 has the options of $v --help, and no other" told omma-$v $v --help; done
for page in "$tree"/man/*.1; do
    if ! command -v groff >/dev/null; then skip "$(basename "$page") is sound" "no groff"; continue; fi
    asked="$page"
    groff -man -ww -Tutf8 "$page" >"$tmp/out" 2>"$tmp/err"
    status=$?
    check "$(basename "$page") is sound" eval 'done_well && grep -q "^.SH EXAMPLES" "$page" && grep -q "^.SH EXIT STATUS" "$page"'
done

echo "1..$n"
exit $failed

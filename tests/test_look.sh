#!/bin/sh
# test_look.sh - `omma look`: reports of models with and without attention, what is in them, and one
# clear line for what cannot be done. The page itself is tested by test_look_page.sh. Prints TAP.
#   OMMA  the command under test; default build/omma. Models come from tests/test_fieldnets beside it.
omma=${OMMA:-build/omma}
python=/usr/bin/python3 # reads the numbers
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
number() { # WHAT COMMAND...: a check that reads numbers
    if [ -x $python ]; then check "$@"; else
        n=$((n + 1))
        echo "ok $n - $1 # SKIP no $python"
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
# json ARGS...: a plain report of the Swin in plain.json; says PYTHON: what must hold of its parts
json() { "$omma" look picture.png -m nets/swin_t-224.onnx "$@" --json >plain.json 2>err; }
says() {
    $python -c "import json
d = json.load(open('plain.json'))
def parts(k): return [p for p in d['parts'] if p['part'] == k]
assert ($1)" 2>err
}
check "a plain report of a token" json --unit token:1.400
number "it has the lines of every attention over its sequence, summing to 1" says "
    [len(a['looks']) for a in parts('attention')][:4] == [0, 0, 1, 1] and
    all(abs(sum(h) - 1) < 1e-5 and len(h) == 784 for a in parts('attention') for l in a['looks']
        for h in l['looks_at'])"
number "Swin's windows: it looks at 49 of 784" says "
    {sum(w > 0 for w in h) for a in parts('attention') for l in a['looks'] for h in l['looks_at']} == {49}"
number "what it looks at in a window looks at it" says "
    all((w > 0) == (v > 0) for a in parts('attention')[2:3] for l in a['looks']
        for h, g in zip(l['looks_at'], l['looked_at_by']) for w, v in zip(h, g))"
number "its accounts add up" says "len(parts('ledger')) == 4 and
    all(abs(l['own'] + l['context'] + l['feed_forward'] + l['rest'] - 1) < 1e-5 and l['mismatch'] < 1e-5
        for l in parts('ledger'))"
rolled="[h for h in parts('heat') if h['family'] == 'relevance']"
number "its rollout: two layers' windows, nothing else; shares that sum to 1" says "
    [h['unit']['part'] for h in $rolled] == [1] and abs(sum($rolled[0]['map']) - 1) < 1e-5 and
    {v > 0 for v in $rolled[0]['map']} == {True, False}"
number "a fourth is its own: half of half, and what it looks at itself" says "
    .25 < [n['value'] for n in $rolled[0]['numbers'] if n['name'] == 'of itself'][0] < .4"
number "what each block did to all tokens, stage by stage" says "
    [b['tokens'] for b in parts('blocks')] == [0, 1, 2, 3] and
    [len(b['rows']) for b in parts('blocks')] == [5, 5, 13, 5] and
    all(len(r['values']) == len(b['columns']) for b in parts('blocks') for r in b['rows'])"
number "in numbers that have names and make sense" says "
    all(0 <= v <= top for b in parts('blocks') for r in b['rows'] for v, c in zip(r['values'], b['columns'])
        for name, top in (('CKA', 1 + 1e-6), ('mixing', 100), ('with residual', 100), ('rank', 784))
        if c['name'] == name and v is not None)
    and {c['name'] for c in parts('blocks')[0]['columns']} >=
        {'changed', 'cosine', 'CKA', 'mixing', 'with residual', 'length', 'outliers', 'rank', 'variance', 'high frequencies'}"
number "heads: as far as uniform weights at most in a window, and how far those are" says "
    all(0 < d < 1.5 * a['uniform'] and e <= a['ceiling'] + 1e-5 for a in parts('attention')
        for d, e in zip(a['distance'], a['entropy']))"
silenced="[(l, s) for l in parts('ledger') for s in l['silenced']]"
check "of each account runs with something silenced: all others, the far ones, four sources" says "
    all([s['cut'] for s in l['silenced']] == ['rest', 'far'] + 4 * ['source'] for l in parts('ledger'))"
check "how much they changed the token, and all tokens" says "
    all(len(s['moved']) == 784 and abs(s['moved'][l['token']] - s['change']) < 1e-6 and s['change'] < 1
        for l, s in $silenced if l['tokens'] == 1) and
    all(s['change'] > 0 and s['cosine'] < 1 for l, s in $silenced if s['cut'] == 'rest')"
check "in the first block only the windows of a silenced source" says "
    all(sum(v > 0 for v in s['moved']) == (48 if s['cut'] == 'source' else 1)
        for s in parts('ledger')[0]['silenced'])"
check "and what of the answers: outputs in front of it stay" says "
    all(s['effects'][0]['before'] == s['effects'][0]['after'] == 1 for l, s in $silenced)"
check "a plain report of a pixel" json --unit pixel:100,60
number "says which cells of each layer it reaches" says "
    parts('reached')[0]['layers'][0]['rows'] == [[25, 25]] and parts('reached')[0]['layers'][0]['columns'] == [[15, 15]]"
check "into a file" eval 'json --unit pixel:100,60 && cp plain.json one.json && rm -f two.json &&
    "$omma" look picture.png -m nets/swin_t-224.onnx --unit pixel:100,60 --json -o two.json >out &&
    [ ! -s out ] && cmp -s one.json two.json'
# drawn WHAT ARGS...: a picture of 672x672 is written
drawn() {
    rm -f unit.png
    "$omma" look picture.png -m nets/swin_t-224.onnx "$@" --png unit.png >out 2>err && [ ! -s out ] &&
        $python -c "import struct
assert struct.unpack('>II', open('unit.png', 'rb').read(24)[16:]) == (672, 672)"
}
number "a pixel as a picture" drawn --unit pixel:100,60
number "a cell as a picture" drawn --unit cell:embed
number "a token as a picture" drawn --unit token:1.400
number "one head of one layer of what looks at it" drawn --unit token:1.400 --show looked-at-by --layer 2 --head 1
number "its sources" drawn --unit token:1.400 --show sources --layer 2
model=${OMMA_SHARED:-$tree/../shared}/models/deimv2_atto/deimv2_hgnetv2_atto_coco.onnx
photo=${OMMA_SHARED:-$tree/../shared}/photos/chelsea.png
if [ -r "$model" ] && [ -r "$photo" ]; then
    check "a query of a detector" eval '"$omma" look "$photo" -m "$model" --unit query:0 --json >plain.json 2>err'
    check "shut off from the others it finds its cat less sure" says "
        all(abs(e['before'] - parts('answer')[0]['score']) < 1e-4 and e['after'] < e['before'] - .1
            for l, s in $silenced if s['cut'] == 'rest' for e in s['effects'] if e['label'].startswith('cat'))
        and len($silenced) > 6"
fi
check "two models on one picture" eval '"$omma" look picture.png -m nets/swin_t-224.onnx -m nets/resnet50-224.onnx >out 2>err &&
    part model 2'
check "a wrong unit is told" fails 2 "--unit" picture.png -m nets/swin_t-224.onnx --unit tokn:1
check "a token that is none is told" fails 1 "3136 tokens" picture.png -m nets/swin_t-224.onnx --unit token:9999
check "a layer that is none is told" fails 1 "no layer" picture.png -m nets/swin_t-224.onnx --unit cell:gone:1,1
check "a cell outside is told" fails 1 "56x56" picture.png -m nets/swin_t-224.onnx --unit cell:embed:60,1
check "a pixel outside is told" fails 1 "224x224" picture.png -m nets/swin_t-224.onnx --unit pixel:1,224
check "a query of a model without is told" fails 1 "0 object queries" picture.png -m nets/swin_t-224.onnx --unit query:1
check "a view that is none is told" fails 2 "--show" picture.png -m nets/swin_t-224.onnx --png a.png --show it
check "a view that the unit has not is told" fails 1 "nothing to show" picture.png -m nets/swin_t-224.onnx --unit pixel:1,1 --png a.png --show steps
check "no picture is told" fails 2 "no picture" -m nets/resnet50-224.onnx
check "no model is told" fails 2 "-m" picture.png
check "a file that is no picture is told" fails 2 "no picture" nets/resnet50-224.onnx -m nets/resnet50-224.onnx
check "a missing picture is told" fails 1 "gone.png" gone.png -m nets/resnet50-224.onnx
check "a missing model is told" fails 1 "gone.onnx" picture.png -m gone.onnx
check "a wrong size is told" fails 2 "HxW" picture.png -m nets/resnet50-224.onnx --size 3
check "a wrong mean is told" fails 2 "R,G,B" picture.png -m nets/resnet50-224.onnx --mean 1
check "an output that cannot be written is told" fails 1 "cannot write" picture.png -m nets/resnet50-224.onnx -o no/where.html
measured() { # what a map of the report has beside it, by name
    for name; do grep -q "\"name\":\"$name\"" maps.json || return 1; done
}
check "effective fields with their measures" eval '"$omma" look picture.png -m nets/resnet50-224.onnx \
    --json --effort 0 -o maps.json >out 2>err &&
    measured R50 R95 sigma "area of 50 %" "area of 95 %" "effective ÷ structural" &&
    [ "$(grep -o "\"family\":\"effective\"" maps.json | wc -l)" -eq 3 ] && grep -q "more stages" maps.json'
check "that of a cell that is asked for, and no other" eval '"$omma" look picture.png -m nets/swin_t-224.onnx \
    --json --unit cell:embed:5,9 -o maps.json >out 2>err && grep -q "of cell 5, 9 of embed" maps.json &&
    [ "$(grep -o "\"family\":\"effective\"" maps.json | wc -l)" -eq 1 ]'
check "without answers there is nothing to attribute" eval '! grep -q "\"attribution\"" maps.json'
check "a wrong method is told" fails 2 "occlusion" picture.png -m nets/resnet50-224.onnx --attribute magic
check "a wrong effort is told" fails 2 "0 to 3" picture.png -m nets/resnet50-224.onnx --effort 4
echo "1..$n"
exit $failed

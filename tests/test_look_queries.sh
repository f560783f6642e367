#!/bin/sh
# test_look_queries.sh - object queries in the reports of `omma look`: small decoders whose answers
# the command gives elsewhere too, and DEIMv2 where it is. Prints TAP.
#   OMMA  the command under test; default build/omma. Models come from tests/test_decoder beside it.
omma=${OMMA:-build/omma}
python=/usr/bin/python3 # reads the numbers
tree=$PWD
absolute() { case $1 in /*) echo "$1" ;; *) echo "$tree/$1" ;; esac; }
omma=$(absolute "$omma")
shared=$(absolute "${OMMA_SHARED:-../shared}")
nets=$(dirname "$omma")/tests/test_decoder
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
skip() {
    n=$((n + 1))
    echo "ok $n - $1 # SKIP $2"
}
if [ ! -x $python ]; then
    echo "1..1"
    skip "object queries in reports" "no $python"
    exit 0
fi
cd "$tmp" || exit 1
mkdir nets
OMMA_DECODERNETS=$tmp/nets $OMMA_TEST_RUNNER "$nets" || exit 1
"$omma" field nets/detr.onnx --at v1:2,2 -o picture.png >out 2>err || exit 1
# looks MODEL NAME ARGS...: a plain report in NAME.json
looks() {
    model=$1 name=$2
    shift 2
    "$omma" look picture.png -m "$model" --json -o "$name.json" "$@" >out 2>err
}
# says NAME PYTHON: what must hold of its parts
says() {
    $python -c "import json
def read(name): return json.load(open(name + '.json'))['parts']
def parts(k, name='$1'): return [p for p in read(name) if p['part'] == k]
def close(a, b, by): return all(abs(x - y) <= by for x, y in zip(a, b)) and len(a) == len(b)
assert ($2)" 2>err
}
ends="all(close(q['steps'][-1]['box'], a['corners'], 1e-3) and q['steps'][-1]['name'] == a['name'] and
          abs(q['steps'][-1]['score'] - a['score']) < 1e-6 and q['number'] == a['query']
          for q in parts('query') for a in parts('answer')[q['answer']:q['answer'] + 1] if q['answer'] >= 0)"

check "a decoder with cross-attention" looks nets/detr.onnx detr
check "its answers are its best queries" says detr "len(parts('answer')) >= 3 and
    [a['score'] for a in parts('answer')] == sorted((a['score'] for a in parts('answer')), reverse=True)"
check "every query has a step for each layer" says detr "len(parts('query')) == 5 and
    all(len(q['steps']) == 3 and all('box' in s and 'score' in s for s in q['steps']) for q in parts('query'))"
check "steps name their cross-attention" says detr "
    all(parts('attention')[s['cross']]['kind'] == 'cross' for q in parts('query') for s in q['steps'])"
check "the last step is the answer" says detr "$ends"
check "what was taken is said" says detr "any('centre and size' in p['text'] for p in parts('note'))"
check "each edge of the best box has a map" says detr "
    [(h['unit']['part'], h['unit']['edge']) for h in parts('heat') if 'edge' in h['unit']] ==
    [(0, e + ' edge') for e in ('left', 'top', 'right', 'bottom')]"
# The map's sum is the edge's change when the whole picture grows: x df/dx summed is df/da of ax.
check "a picture a little stronger" looks nets/detr.onnx more --std 0.999,0.999,0.999
check "a picture a little weaker" looks nets/detr.onnx less --std 1.001,1.001,1.001
check "the maps' sums are how the edges move" says detr "close(
    [sum(h['map']) for h in parts('heat') if 'edge' in h['unit']],
    [(m - l) / 0.002 for m, l in zip(parts('query', 'more')[0]['steps'][-1]['box'],
     parts('query', 'less')[0]['steps'][-1]['box'])], 0.02) and
    [parts('answer', n)[0]['query'] for n in ('more', 'less')] == [parts('answer')[0]['query']] * 2"
check "a decoder that samples and refines" looks nets/rtdetr.onnx rtdetr
check "its queries begin before the decoder" says rtdetr "
    all(len(q['steps']) == 4 and 'score' not in q['steps'][0] for q in parts('query'))"
check "the last step is the answer" says rtdetr "$ends"
check "each layer's points are there" says rtdetr "len(parts('samples')) == 3 and
    all((s['queries'], s['heads'], s['points']) == (5, 2, 5) for s in parts('samples')) and
    [s['samples'] for s in parts('query')[0]['steps']] == [-1, 0, 1, 2]"
check "weights of a head's points sum to 1" says rtdetr "
    all(close([sum(s['weight'][i:i + 5]) for i in range(0, 50, 5)], [1] * 10, 1e-2) for s in parts('samples'))"
model=$shared/models/deimv2_atto/deimv2_hgnetv2_atto_coco.onnx
photo=$shared/photos/astronaut.png
if [ -f "$model" ] && [ -f "$photo" ]; then
    cp "$photo" picture.png
    check "DEIMv2" looks "$model" deimv2
    check "answers know their queries" says deimv2 "all(a['query'] >= 0 for a in parts('answer'))"
    check "the last step is the answer" says deimv2 "$ends"
    check "it is a person" says deimv2 "parts('query')[0]['steps'][-1]['name'] == 'person'"
    check "its own boxes come nearer from step to step" says deimv2 "
        (lambda b: sum(map(abs, (x - y for x, y in zip(b[1], b[3])))) >
                   sum(map(abs, (x - y for x, y in zip(b[2], b[3])))))
        ([s['box'] for s in parts('query')[0]['steps']])"
else
    skip "DEIMv2" "no $model"
fi
echo "1..$n"
exit $failed

#!/bin/sh
# test_look_page.sh - the page of `omma look` in a real Chromium (look_page.py): the reports that
# tests/test_report makes, and reports of real models and pictures (look_real.py), opened from disk,
# every gesture made. Screenshots stay in build/look. Prints TAP. Without Chromium and its driver it
# says so and skips; `make test-look` installs them.
#   OMMA_BUILD         the build folder; default build
#   OMMA_SHARED        the photos, and DEIMv2-Atto
#   OMMA_LOOK=all      as make test-look says: all reports; else only the made-up ones and DEIMv2's, which
#                      take a minute instead of three
#   OMMA_BENCH_MODELS  large exports, NAME/model.onnx; default build/bench-models, where it is
build=${OMMA_BUILD:-build}
python=${PYTHON:-python3}
skip() {
    echo "ok 1 - the page in Chromium # SKIP $1"
    echo "1..1"
    exit 0
}
stop() { # WHAT LOG
    echo "not ok 1 - $1"
    sed 's/^/# /' "$2"
    echo "1..1"
    exit 1
}
command -v "$python" >/dev/null || skip "no python3"
command -v chromedriver >/dev/null || skip "no chromedriver (Debian: chromium-driver); make test-look installs it"
command -v chromium >/dev/null || command -v chromium-browser >/dev/null ||
    command -v google-chrome >/dev/null || skip "no chromium; make test-look installs it"
look=$build/look
bench=${OMMA_BENCH_MODELS:-$build/bench-models}
photos=${OMMA_SHARED:-../shared}/photos
mkdir -p "$look/nets" && rm -f "$look"/*.html "$look"/*.png
OMMA_LOOK_DIR=$look "$build/tests/test_report" >"$look/report.log" 2>&1 || stop "the reports are made" "$look/report.log"
OMMA_FIELDNETS=$look/nets "$build/tests/test_fieldnets" || exit 1
made=
report() { # NAME PICTURE OPTIONS...: NAME.html of a picture
    to=$1 picture=$2
    shift 2
    "$build/omma" look "$picture" "$@" -o "$look/$to.html" >"$look/report.log" 2>&1 || stop "$to: a report is made" "$look/report.log"
    made="$made $to"
}
cat=$photos/chelsea.png coffee=$photos/coffee.png
if [ ! -r "$cat" ]; then
    "$build/omma" field "$look/nets/dilated_2_4_8-64.onnx" --at y:32,32 -o "$look/made.png" >/dev/null || exit 1
    cat=$look/made.png
fi
all=
[ "${OMMA_LOOK:-}" != all ] || all=1
[ -z "$all" ] || report resnet50 "$cat" -m "$look/nets/resnet50-224.onnx"
[ -z "$all" ] || report swin_t "$cat" -m "$look/nets/swin_t-224.onnx"
[ -z "$all" ] || report two "$cat" -m "$look/nets/swin_t-224.onnx" -m "$look/nets/alexnet_v2-321.onnx"
for model in "${OMMA_SHARED:-../shared}"/models/deimv2_atto/*.onnx; do
    if [ -r "$model" ]; then
        report deimv2 "$coffee" -m "$model"
        [ -z "$all" ] || report deimv2-swin_t "$cat" -m "$model" -m "$look/nets/swin_t-224.onnx"
    fi
done
for name in ${all:+vit_b_16_224 detr_r50_800x1066}; do
    if [ -r "$bench/$name/model.onnx" ]; then report "$name" "$cat" -m "$bench/$name/model.onnx"; fi
done
rm -rf "$look/nets"
# shellcheck disable=SC2086
PYTHONDONTWRITEBYTECODE=1 exec "$python" tests/look_page.py "$look" $made

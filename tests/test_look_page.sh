#!/bin/sh
# test_look_page.sh - the page of `omma look` in a real Chromium (look_page.py): the reports that
# tests/test_report makes, opened from disk, every gesture made. Screenshots stay in build/look.
# Prints TAP. Without Chromium and its driver it says so and skips; `make test-look` installs them.
#   OMMA_BUILD  the build folder; default build
build=${OMMA_BUILD:-build}
python=${PYTHON:-python3}
skip() {
    echo "ok 1 - the page in Chromium # SKIP $1"
    echo "1..1"
    exit 0
}
command -v "$python" >/dev/null || skip "no python3"
command -v chromedriver >/dev/null || skip "no chromedriver (Debian: chromium-driver); make test-look installs it"
command -v chromium >/dev/null || command -v chromium-browser >/dev/null ||
    command -v google-chrome >/dev/null || skip "no chromium; make test-look installs it"
mkdir -p "$build/look" && rm -f "$build"/look/*.html "$build"/look/*.png
if ! OMMA_LOOK_DIR=$build/look "$build/tests/test_report" >"$build/look/report.log" 2>&1; then
    echo "not ok 1 - the reports are made"
    sed 's/^/# /' "$build/look/report.log"
    echo "1..1"
    exit 1
fi
PYTHONDONTWRITEBYTECODE=1 exec "$python" tests/look_page.py "$build/look"

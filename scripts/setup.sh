#!/bin/sh
# Install the Debian packages that are missing, or print the line that would.
#   setup.sh build    what building the library and the command needs
#   setup.sh test     that, and what the tests need
#   setup.sh fuzz     what building the fuzz targets needs
#   setup.sh look     that of test, and a browser for `make test-look`
#   setup.sh demo     that, and what fetching the demo's model and picture needs
#   setup.sh arm      what building for 64-bit ARM and running that takes (make test-arm)
#   setup.sh zoo      that of build, and PyTorch, torchvision and onnx for `make test-zoo` (without
#                     OpenBLAS PyTorch's matrix products are ten times slower)
#   setup.sh bench    what `make bench` needs: PyTorch as for the zoo, npm for ONNX Runtime, and an
#                     OpenBLAS that shares PyTorch's threads
# Quick and silent when nothing is missing.
set -eu
packages="gcc libc6-dev make cmake pkg-config libjpeg62-turbo-dev libspng-dev libwebp-dev libjansson-dev nettle-dev"
case "${1:-build}" in
build) ;;
test) packages="$packages libcmocka-dev python3 libonnx-testdata curl ca-certificates tar jq" ;;
demo) packages="$packages curl ca-certificates tar" ;;
arm) packages="gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user make cmake pkg-config libcmocka-dev:arm64" ;;
look) packages="$packages libcmocka-dev python3 chromium chromium-driver fonts-dejavu-core" ;;
fuzz) packages="$packages clang-14 libclang-rt-14-dev" ;;
zoo) packages="$packages python3 python3-torch python3-torchvision python3-onnx python3-pil python3-numpy libopenblas0-pthread" ;;
bench) packages="$packages curl ca-certificates tar python3 python3-torch python3-torchvision python3-packaging python3-pil python3-numpy libopenblas0-openmp" ;;
*) echo "usage: setup.sh build|test|look|arm|demo|fuzz|zoo|bench" >&2; exit 2 ;;
esac

missing=
for p in $packages; do
    dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $p"
done
# npm may come from Debian or from Node's own packages
case "${1:-build}" in test | demo | bench) want_npm=1 ;; *) want_npm= ;; esac
if [ "$want_npm" ] && ! command -v npm >/dev/null 2>&1; then missing="$missing npm"; fi
[ -n "$missing" ] || exit 0

foreign=
case " $missing " in *:arm64\ *) foreign="dpkg --add-architecture arm64 && " ;; esac
line="${foreign}apt-get update && apt-get install -y --no-install-recommends$missing"
echo "omma needs these Debian packages:$missing"
if [ "$(id -u)" = 0 ]; then
    run=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    run=sudo
else
    echo "install them with:  sudo sh -c '$line'" >&2
    exit 1
fi
echo "installing them: $line"
export DEBIAN_FRONTEND=noninteractive
[ -z "$foreign" ] || $run dpkg --add-architecture arm64
$run apt-get update -q
$run apt-get install -y -q --no-install-recommends $missing

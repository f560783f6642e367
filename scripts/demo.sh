#!/bin/sh
# The main job, from nothing: fetch a pretrained reader and a picture, read it, draw what was
# read, and write reports of what the reader saw. The second time everything is there already.
set -eu
cd "$(dirname "$0")/.."
omma=build/omma
dir=build/demo
mkdir -p "$dir"

echo "== the model: PP-OCRv4, convolutions and attention, pretrained"
$omma pull ppocrv4

# A scanned page of scikit-image's, freely usable, taken out of Debian's package.
if [ ! -s "$dir/page.png" ]; then
    echo "== the picture: a page from Debian's python3-skimage"
    (
        cd "$dir" &&
            apt-get download -qq -o APT::Sandbox::User=root python3-skimage &&
            dpkg -x python3-skimage_*.deb unpacked &&
            mv unpacked/usr/lib/python3/dist-packages/skimage/data/page.png page.png &&
            rm -rf unpacked python3-skimage_*.deb
    ) || echo "the package cannot be had; reading docs/images/sign.jpg instead"
fi
picture="$dir/page.png"
[ -s "$picture" ] || picture=docs/images/sign.jpg

echo "== omma read $picture -o $dir --lines"
$omma read "$picture" -o "$dir" --lines
stem=$(basename "$picture"); stem=${stem%.*}
echo "== the lines drawn on the picture are in $dir/$stem.read.png"

# What the reader's two networks see: a report of the page, one of its first line.
models=${OMMA_MODELS:-${XDG_DATA_HOME:-$HOME/.local/share}/omma/models}/ppocrv4
echo "== omma look: what the reader sees, pixel by pixel, and how context changes it"
$omma look "$picture" -m "$models"/*det*.onnx --size 320x640 \
    --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 -o "$dir/$stem.look.html"
$omma look "$dir/$stem.1.line.png" -m "$models"/*rec*.onnx \
    --mean 0.5,0.5,0.5 --std 0.5,0.5,0.5 -o "$dir/$stem.1.look.html"
echo "== done. Open the reports in any browser, they need no network:"
echo "     xdg-open $dir/$stem.look.html      the page: what every layer of the detector sees"
echo "     xdg-open $dir/$stem.1.look.html    its first line: attention, and why each token changed"

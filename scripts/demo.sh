#!/bin/sh
# The main job, from nothing: fetch a pretrained reader and a picture, read it, draw what
# was read. The second time everything is there already.
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

echo "== omma read $picture -o $dir"
$omma read "$picture" -o "$dir"
stem=$(basename "$picture"); stem=${stem%.*}
echo "== done: the lines drawn on the picture are in $dir/$stem.read.png"

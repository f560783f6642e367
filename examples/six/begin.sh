#!/bin/sh
# Put what docs/six-questions.md looks at into a folder, under the names it uses:
#   sh examples/six/begin.sh FOLDER
# Links to this folder's small models and pictures, and to the pretrained models that `omma pull`
# has fetched. What is not here is told, with the command that fetches it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:?usage: begin.sh FOLDER}
omma=${OMMA:-$here/../../build/omma}
mkdir -p "$folder"
for file in "$here"/*.onnx "$here"/*.png "$here"/*.jpg "$here"/*.jq; do
    ln -sf "$file" "$folder/"
done

# link NAME MODEL FILE: FILE of a model omma knows, as NAME
link() {
    path=$("$omma" models "$2" --json | sed -n "s/.*\"path\": \"\(.*$3\)\".*/\1/p")
    if [ -f "$path" ]; then ln -sf "$(cd "$(dirname "$path")" && pwd)/$3" "$folder/$1"
    elif [ ! -f "$folder/$1" ]; then echo "$1 is not here yet:  omma pull $2"; fi
}
link reader.onnx ppocrv4 ch_PP-OCRv4_rec_infer.onnx
link deimv2.onnx deimv2-atto deimv2_hgnetv2_atto_coco.onnx

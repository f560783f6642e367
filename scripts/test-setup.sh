#!/bin/sh
# What the tests use beside the tree: the PP-OCRv4 models, in BUILD/models. Without a network
# the tests that need them are skipped and say so.
build=${1:?usage: test-setup.sh BUILD_DIR}
export OMMA_MODELS="${OMMA_MODELS:-$build/models}"
"$build/omma" pull ppocrv4 || echo "PP-OCRv4 cannot be had: the tests that need it are skipped"
exit 0

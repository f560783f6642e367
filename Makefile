# The front door; CMakeLists.txt is the definition.
#   make          build into build/: the command is build/omma
#   make demo     read a page with a pretrained model, from nothing
#   make test     all tests; needs no network beyond the first time
#   make asan     the same tests under AddressSanitizer and UndefinedBehaviorSanitizer
#   make test-zoo torchvision's models against PyTorch (zoo/README.md); ONLY=resnet for a part
#   make test-big a model of 2 GiB of weights within its file's size and its plan: 2 GiB of disk
#   make bench    benchmarks
#   make style    the style and the one-way rule of the house
#   make install  PREFIX=/usr/local
BUILD ?= build
PREFIX ?= /usr/local
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
CMAKE_FLAGS ?=
PYTHON ?= /usr/bin/python3

.PHONY: all build demo test test-big test-zoo asan tsan bench style install clean setup-build setup-test setup-demo setup-zoo
all: build

setup-build:
	@scripts/setup.sh build
setup-test:
	@scripts/setup.sh test
setup-demo:
	@scripts/setup.sh demo
setup-zoo:
	@scripts/setup.sh zoo

build: setup-build
	@cmake -S . -B $(BUILD) -DCMAKE_INSTALL_PREFIX=$(PREFIX) $(CMAKE_FLAGS) >$(BUILD)-cmake.log 2>&1 || { cat $(BUILD)-cmake.log; exit 1; }
	@rm -f $(BUILD)-cmake.log
	@MAKEFLAGS=--no-print-directory cmake --build $(BUILD) -j $(JOBS)

demo: setup-demo build
	@scripts/demo.sh

test: setup-test build
	@scripts/test-setup.sh $(BUILD)
	@tests/run.sh $(BUILD)

asan:
	@$(MAKE) --no-print-directory test BUILD=build-asan CMAKE_FLAGS="$(CMAKE_FLAGS) -DOMMA_ASAN=ON"

test-zoo: setup-zoo build
	@$(PYTHON) zoo/run.py --omma $(BUILD)/omma --work $(BUILD)/zoo --record docs/zoo.md

test-big: setup-test build
	@OMMA_TEST_BIG=2048 $(BUILD)/tests/test_external_rss

bench: build
	@MAKEFLAGS=--no-print-directory cmake --build $(BUILD) -j $(JOBS) --target bench_programs
	@for b in bench/*.sh $(BUILD)/bench/*; do \
	    [ -x "$$b" ] && [ -f "$$b" ] || continue; \
	    echo "== $$b"; OMMA=$(BUILD)/omma "$$b" || exit 1; done

style:
	@scripts/check-style.sh

install: build
	@cmake --install $(BUILD)

clean:
	rm -rf build build-asan

# The front door; CMakeLists.txt is the definition.
#   make          build into build/: the command is build/omma
#   make demo     read a page with a pretrained model and see what that saw, from nothing
#   make test     all tests; needs no network beyond the first time
#   make asan     the same tests under AddressSanitizer and UndefinedBehaviorSanitizer
#   make tsan     the tests with threads in them under ThreadSanitizer
#   make test-arm the core and the NEON kernels, cross-compiled, under QEMU
#   make fuzz     fuzz every reader of files and the passes: SECONDS=60 each, FUZZ=NAME for one
#   make test-look the page of `omma look` in Chromium; screenshots in build/look
#   make test-zoo torchvision's models against PyTorch (zoo/README.md); ONLY=resnet for a part
#   make test-big a model of 2 GiB of weights within its file's size and its plan: 2 GiB of disk
#   make bench    omma beside ONNX Runtime and PyTorch; ONLY=vit for a part, more in bench/run.sh
#   make bench-kernel  kernels, start-up, large files: programs of bench/*.c
#   make style    the style and the one-way rule of the house
#   make install  PREFIX=/usr/local
BUILD ?= build
PREFIX ?= /usr/local
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
CMAKE_FLAGS ?=
SECONDS ?= 60
FUZZ ?=
PYTHON ?= /usr/bin/python3

.PHONY: all build demo test test-arm test-big test-look test-zoo asan tsan fuzz bench bench-kernel style install clean \
  setup-build setup-test setup-demo setup-fuzz setup-look setup-zoo setup-bench
all: build

setup-build:
	@scripts/setup.sh build
setup-test:
	@scripts/setup.sh test
setup-demo:
	@scripts/setup.sh demo
setup-bench:
	@scripts/setup.sh bench
setup-fuzz:
	@scripts/setup.sh fuzz
setup-look:
	@scripts/setup.sh look
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

# -R: older ThreadSanitizers do not start where addresses are laid out too freely
TSAN_TESTS = test_pool test_share test_session test_pass test_kernel
tsan: setup-test
	@cmake -S . -B build-tsan -DOMMA_TSAN=ON $(CMAKE_FLAGS) >build-tsan-cmake.log 2>&1 || { cat build-tsan-cmake.log; exit 1; }
	@rm -f build-tsan-cmake.log
	@MAKEFLAGS=--no-print-directory cmake --build build-tsan -j $(JOBS) --target $(TSAN_TESTS)
	@OMMA_TEST_SCRIPTS= TSAN_OPTIONS=halt_on_error=1 setarch -R tests/run.sh build-tsan
test-arm:
	@JOBS=$(JOBS) scripts/test-arm.sh build-arm $(CMAKE_FLAGS)

test-zoo: setup-zoo build
	@MAKEFLAGS=--no-print-directory cmake --build $(BUILD) -j $(JOBS) --target zoo_weights
	@$(PYTHON) zoo/run.py --omma $(BUILD)/omma --weights $(BUILD)/zoo_weights --work $(BUILD)/zoo --record docs/zoo.md

test-look: setup-look build
	@OMMA_LOOK=all OMMA_BUILD=$(BUILD) PYTHON=$(PYTHON) tests/test_look_page.sh

test-big: setup-test build
	@OMMA_TEST_BIG=2048 $(BUILD)/tests/test_external_rss

fuzz: setup-fuzz
	@scripts/fuzz.sh $(SECONDS) $(FUZZ)

bench: setup-bench build
	@MAKEFLAGS=--no-print-directory cmake --build $(BUILD) -j $(JOBS) --target peer_omma
	@PYTHON=$(PYTHON) bench/run.sh $(BUILD)

bench-kernel: build
	@MAKEFLAGS=--no-print-directory cmake --build $(BUILD) -j $(JOBS) --target bench_programs
	@for b in bench/cold_start.sh $(BUILD)/bench/bench_kernel $(BUILD)/bench/coco_load; do \
	    echo "== $$b"; OMMA=$(BUILD)/omma "$$b" || exit 1; done

style:
	@scripts/check-style.sh

install: build
	@cmake --install $(BUILD)

clean:
	rm -rf build build-asan build-tsan build-arm build-fuzz

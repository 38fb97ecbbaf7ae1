# SPDX-License-Identifier: Apache-2.0
# A short front for Meson; `ninja -C build` does the same work.

BUILD  ?= build
PYTHON ?= /usr/bin/python3

.PHONY: all deps build demo check check-slow bench style fuzz install clean

all: build

deps:
	@tools/deps.sh

$(BUILD)/build.ninja: | deps
	@meson setup $(BUILD) >/dev/null || meson setup $(BUILD)

build: deps $(BUILD)/build.ninja
	@ninja --quiet -C $(BUILD)

demo: build
	@tools/demo.sh $(BUILD)

# Unit tests, the same under ASan and UBSan, style checks, integration tests (as root).
check: build
	@$(PYTHON) tools/check.py $(BUILD)

# What takes more than minutes: whole machines under emulation (cgroup v2 alone, KVM), and whatever has the pytest mark slow.
check-slow: build
	@$(PYTHON) tools/check.py $(BUILD) --slow

bench: build
	@$(PYTHON) bench/run.py $(BUILD)
	@$(PYTHON) bench/shim_pss.py
	@$(PYTHON) bench/shim_pss.py --vm $(BUILD)
	@$(PYTHON) bench/vm.py $(BUILD)
	@$(PYTHON) bench/throughput.py $(BUILD)
	@$(PYTHON) bench/slices.py $(BUILD)
	@$(PYTHON) bench/checkpoint.py $(BUILD)
	@$(PYTHON) bench/passes.py $(BUILD)
	@$(PYTHON) bench/accounting.py $(BUILD)
	@$(PYTHON) bench/theory.py $(BUILD)
	@$(PYTHON) bench/simulate.py $(BUILD)

style: build
	@$(PYTHON) tools/check_layers.py .
	@$(PYTHON) tools/check_style.py .
	@$(PYTHON) tools/tidy.py $(BUILD)

# SECONDS of libFuzzer per target.
fuzz: deps
	@tests/fuzz/run.sh $${SECONDS_EACH:-60}

install: build
	@meson install -C $(BUILD)

clean:
	@rm -rf build build-*

# Each target does the set-up it needs, in .venv/: a fresh clone and Python 3.11+ are enough.

# The first that is new enough; or: make setup PYTHON=/path/to/python3
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done || true)
# For a smaller torch without CUDA: make setup PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"
PIP_ARGS ?=
# For the newest versions within pyproject.toml's ranges: make lock LOCK_ARGS=--upgrade
LOCK_ARGS ?=
BIN := .venv/bin
# What `make check` runs beside lint.
QUICK := tests/golden/contract tests/golden/model/test_ops.py tests/host/link tests/test_imports.py sim/core/whole/test_narrow.py
# Modules are compiled when they are first imported: most never are.
PIP := $(BIN)/python -m pip install --no-input --quiet --no-compile
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: setup lock demo check test verify quick most lint docs pictures boards evidence mutants clean
.DELETE_ON_ERROR:

setup: .venv/.complete

# Every version stands in locks/. A build of torch is the user's choice, so its version is fixed and its hash isn't; all else has hashes.
.venv/.complete: pyproject.toml $(wildcard locks/*.txt) sim/tools.sh
	sim/tools.sh build
	sim/tools.sh venv "$(PYTHON)"
	"$(PYTHON)" -m venv .venv
	$(PIP) $(PIP_ARGS) --require-hashes --requirement locks/build.txt
	$(PIP) $(PIP_ARGS) --require-hashes --no-build-isolation --requirement locks/packages.txt
	$(PIP) $(PIP_ARGS) --constraint locks/torch.txt torch
	$(PIP) --no-index --no-build-isolation --editable '.[dev]'
	sim/tools.sh library $(BIN)/python
	sim/tools.sh browser
	touch $@

# locks/ from pyproject.toml, for every platform and Python 3.11+: what builds packages, torch with its CUDA libraries, and the rest.
lock:
	"$(PYTHON)" -m venv build/lock
	build/lock/bin/python -m pip install --no-input --quiet uv==0.13.9
	cat locks/*.txt >build/lock/all.txt
	build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --all-extras --generate-hashes --no-header $(LOCK_ARGS) \
		--output-file build/lock/all.txt pyproject.toml
	awk '/^[a-z]/ {part = /^setuptools==/ ? "build" : /^(torch|triton|cuda-|nvidia-)/ ? "torch" : "packages"} \
		part == "torch" {if (!/^[a-z]/) next; sub(/ \\$$/, "")} {print >("locks/" part ".txt")}' build/lock/all.txt

# Trains on 1,000 real digits over the virtual board's serial line, in lockstep with the golden model; then the 500 others.
demo: setup
	$(BIN)/nudge train --preset tiny --board sim --data embedded --epochs 4 --seed 1 --twin --force --out runs/demo

lint: setup
	$(BIN)/ruff format --quiet --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The site, from docs/*.md and the code's own words, in build/docs/index.html.
docs: setup
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs build/docs

# What README and the manual show: the demo's run, by Chromium, and drawings of boards.
pictures: demo
	$(BIN)/python -m nudge.pictures runs/demo docs/pictures/demo.png
	$(BIN)/python -m tests.host.view.screenshots runs/demo docs/pictures
	$(BIN)/python docs/drawings.py

# Three tiers. conftest.py says which files are of `verify`.
check: setup
	$(MAKE) --jobs=2 lint quick

test: setup
	$(MAKE) --jobs=2 lint most

PYTEST := $(BIN)/pytest -q -n auto --maxprocesses 4 --dist loadgroup --no-loadscope-reorder

# Units without a process of their own, and a small core that learns beside the model.
quick: setup
	$(PYTEST) $(QUICK)

most: setup
	$(PYTEST) sim tests -m "not verify"
	$(BIN)/nudge compare --preset tiny --board sim --data embedded --samples 16 --seed 7

verify: setup
	$(PYTEST) sim tests -m verify

# The long builds, hours on two cores: bitstreams, and their area, fmax over three seeds and cycles against the committed reports,
# of as many samples as those have: a batch that isn't full takes more cycles a sample.
# board:preset:seeds:samples; three seeds for a board of each part.
DESIGNS := icebreaker:tiny:3:10 orangecrab:tiny:3:4 icepi-zero:tiny:1:4 icesugar-pro:tiny:1:4 colorlight-5a-75b:tiny:1:4 \
	colorlight-i5:tiny:1:4 colorlight-i9:tiny:1:4 ulx3s-25f:tiny:1:4 ulx3s-45f:tiny:3:4 ecpix5-45f:tiny:3:4 ecpix5:tiny:1:4 \
	ecpix5:small:3:32 butterstick:tiny:1:4 butterstick:small:1:32 ulx3s:tiny:3:4 ulx3s:small:3:32 ulx3s:medium:3:32 \
	ulx3s:cifar:3:32 tang-primer-20k:tiny:3:4 tang-nano-20k:tiny:3:4
boards: setup
	for design in $(DESIGNS); do \
		set -- $$(echo $$design | tr : ' '); \
		verify=$$($(BIN)/python -c "from nudge.boards.catalog import board; from nudge.boards.toolchain.readback import FAMILIES; \
			print('--verify' * (board('$$1').family in FAMILIES))") || exit; \
		$(BIN)/nudge build $$1 --preset $$2 --seeds $$3 $$verify && \
		$(BIN)/nudge report $$1 --preset $$2 --samples $$4 --check || exit; \
	done
	$(BIN)/pytest -q sim tests/boards -m slow --slow

ATTACK := $(BIN)/python -m tests.attack

# The long forms of what docs/link.md, docs/trust.md and docs/paper.md claim, hours on two cores; the short ones are in `make verify`.
evidence: setup
	$(ATTACK) sweep
	for seed in 1 2 3 4 5; do $(ATTACK) soak --preset tiny --faults 1e-3 --samples 200 --seed $$seed || exit; done
	for seed in 1 2 3 4 5; do $(ATTACK) soak --preset tiny --faults 1e-2 --samples 200 --seed $$seed || test $$? = 4 || exit; done
	$(ATTACK) soak --preset tiny --faults 1e-3 --samples 200 --seed 6 --resets 3 --flips 3 --disconnects 3 --stalls 3
	for seed in 1 2 3 4 5; do $(ATTACK) soak --board golden --stored --faults 1e-3 --damages 3 --samples 1000 --batch 32 --seed $$seed || exit; done
	$(ATTACK) soak --board golden --stored --faults 1e-3 --samples 400 --seed 6 --resets 3 --flips 3 --disconnects 3 --stalls 3 --damages 3
	$(BIN)/nudge compare --preset tiny --stored --samples 1000 --seed 1
	$(BIN)/nudge compare --preset small --stored --samples 24 --batch 8 --seed 1
	for preset in "tiny --samples 1000" "small --samples 24"; do $(ATTACK) soak --preset $$preset --stored --faults 1e-3 --damages 3 --seed 1 || exit; done
	$(ATTACK) fuzz --frames 100000 --seed 1
	$(ATTACK) fuzz --frames 100000 --seed 1 --memory
	NUDGE_FUZZ=10 $(BIN)/pytest -q tests/host/link/test_hostile.py tests/host/link/test_frame.py tests/golden/training/test_hostile.py
	NUDGE_FUZZ=400 $(BIN)/pytest -q --timeout=0 tests/host/sweep/test_hostile.py
	$(BIN)/pytest -q sim/rigs/link/test_kill.py sim/rigs/link/test_virtual.py
	$(ATTACK) list
	$(ATTACK) cuts
	$(ATTACK) faults
	$(BIN)/pytest -q sim/formal --durations=0
	$(BIN)/pytest -q tests/paper --slow
	$(ATTACK) mutants --only core.whole.test_tiny --count 120 --seed 1
	$(ATTACK) delays --rounds 5
	for preset in small medium; do $(BIN)/nudge board throughput --stored --preset $$preset --epochs 3 || exit; done

# Changes to the host's Python, one at a time: do its tests fail? Some hours; goes on where it was ended.
mutants: setup
	OMP_NUM_THREADS=1 $(BIN)/mutmut run
	$(BIN)/mutmut results

clean:
	rm -rf build runs mutants .pytest_cache .mypy_cache .ruff_cache .hypothesis docs/generated

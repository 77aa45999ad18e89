# Every target makes .venv first, if it is not there or its pinned versions have changed.
# PYTHON=... names another one than install/venv.sh would choose.
PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
STORE ?= results/odllm.duckdb

.DEFAULT_GOAL := help
.PHONY: unusable help sweep explore test coverage check docs bench fuzz chaos machines lock clean

help:
	@echo "make sweep     run the default sweep on this machine (ARGS='rounds=5' for overrides)"
	@echo "make explore   open the explorer on what was measured (STORE=path)"
	@echo "make test      run the tests"
	@echo "make coverage  run the tests, and tell which lines and branches they never reach (htmlcov/)"
	@echo "make check     linter, formatter, types, layers"
	@echo "make docs      write what docs/results.md says of the metrics anew"
	@echo "make bench     compare with llama-bench, built from the same source"
	@echo "make fuzz      10,000 mutated model files, as many of llama-bench, 2,000 of questions and 2,000 machines with"
	@echo "               spoilt sensors, read by all that reads them"
	@echo "make chaos     strike a fleet in network namespaces with 50 faults (ARGS='--seed 7'; needs root)"
	@echo "make machines  the smoke experiment on emulated processors and builds of several compilers (needs root)"
	@echo "make lock      resolve the pinned versions anew (needs uv)"

# Hashes are checked for every package; the product itself is installed from this checkout. Without
# the constraints pip looks at newer versions of what is wanted with an extra, which have no hash.
# What pip has kept of llama.cpp may have been compiled for another processor, or wrongly for this one.
# A system that gets another Python leaves the environment without its packages.
COMPILED = CMAKE_ARGS="$${CMAKE_ARGS-$$(sh install/cmake-args.sh)}"
UNUSABLE := $(shell $(BIN)/python -c 'import pip' 2>/dev/null || echo unusable)
$(STAMP): requirements.lock pyproject.toml $(UNUSABLE)
	@sh install/venv.sh $(VENV) $(PYTHON)
	$(COMPILED) $(BIN)/pip install --quiet --disable-pip-version-check \
	  --require-hashes -r requirements.lock -c constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	$(BIN)/python -m odllm_agent.builds || sh install/engine.sh $(BIN)
	touch $@

sweep: $(STAMP)
	$(BIN)/python -m odllm_controller +experiment=sweep store.path=$(STORE) $(ARGS)

explore: $(STAMP)
	$(BIN)/odllm explore --store $(STORE) $(ARGS)

test: $(STAMP)
	$(BIN)/python -m pytest -n auto --maxprocesses 4 $(ARGS)

coverage: $(STAMP)
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --cov --cov-report=term --cov-report=html $(ARGS)

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	mkdir -p $(VENV)/names
	ln -sfn ../../app $(VENV)/names/odllm_app
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(STAMP)
	$(BIN)/python -m odllm_controller.metrics.documentation docs/results.md

bench: $(STAMP)
	$(BIN)/python -m benchmarks $(ARGS)
	$(BIN)/python -m benchmarks.reading
	$(BIN)/python -m benchmarks.bandwidth
	$(BIN)/python -m benchmarks.energy
	$(BIN)/python -m benchmarks.fleet
	$(BIN)/python -m benchmarks.explorer
	$(BIN)/python -m benchmarks.idle_agent

fuzz: $(STAMP)
	$(BIN)/python -m tests.fuzz $(ARGS)
	$(BIN)/python -m tests.fuzz.figures $(ARGS)

chaos: $(STAMP)
	$(BIN)/python -m pytest -m chaos tests/fleet
	$(BIN)/python -m tests.fleet.chaos $(ARGS)

machines: $(STAMP)
	$(BIN)/python -m tests.machines $(ARGS)

lock:
	uv pip compile --universal --python-version 3.11 --all-extras --no-emit-index-url \
	  --no-header --no-annotate --no-strip-extras --generate-hashes pyproject.toml --output-file requirements.lock
	uv pip compile --universal --python-version 3.11 --all-extras --no-emit-index-url \
	  --no-header --no-annotate pyproject.toml --output-file constraints.txt

clean:
	rm -rf $(VENV) build dist htmlcov .coverage *.egg-info

# Everything that a fresh machine needs: Python 3.11 or newer, a C compiler, a package index.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
# A CUDA build of torch for GPU machines: make setup TORCH_INDEX=https://download.pytorch.org/whl/cu130
TORCH_INDEX ?=
PIP     = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help setup demo test check bench pipelines clean
help:            ## show what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */\1\t/' | expand -t 12

setup: $(VENV)/.done   ## make the virtual environment and install CTLR with all it needs
$(VENV)/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	@# torch first and pinned: a resolver that is free to choose brings gigabytes of CUDA
	$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	$(PIP) --editable '.[dev]'
	@touch $@

demo: setup      ## run benchmarks/brain-age.yaml and say where its report is
	$(BIN)/ctlr run benchmarks/brain-age.yaml

test: setup      ## run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

check: setup     ## check style, types and the import rule
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup     ## measure speed beside peers, as ratios in one run
	$(PYTHON) -m venv $(VENV)-bench
	$(VENV)-bench/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(VENV)-bench/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		--requirement bench/requirements.txt --editable '.[tracking]'
	OMP_WAIT_POLICY=PASSIVE $(VENV)-bench/bin/python -m bench

pipelines: setup ## compile the Kubeflow pipelines again
	$(BIN)/python -m pipelines

clean:           ## remove the virtual environments and caches
	rm -rf $(VENV) $(VENV)-bench .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

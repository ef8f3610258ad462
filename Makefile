# Everything that a fresh machine needs: Python 3.11 or newer, a C compiler, a package index.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
# A CUDA build of torch for GPU machines: make setup TORCH_INDEX=https://download.pytorch.org/whl/cu130
TORCH_INDEX ?=
# uv installs in a quarter of pip's time; it does not read pip's settings, so that it is told the index.
INDEX   = $(or $(PIP_INDEX_URL),$(shell $(PYTHON) -m pip config get global.index-url 2>/dev/null))
PIP     = -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
UV      = bin/uv pip install --quiet --constraint constraints.txt
# Workers start often: each would compile all that it loads.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test check docs bench gpu pipelines clean images deploy kind-up kind-down e2e
help:            ## show what there is
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## */\1\t/' | expand -t 12

setup: $(VENV)/.done   ## make the virtual environment and install CTLR with all it needs
$(VENV)/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP) uv
	@# torch first and pinned: a resolver that is free to choose brings gigabytes of CUDA
	$(VENV)/$(UV) --python $(VENV) $(addprefix --default-index=,$(or $(TORCH_INDEX),$(INDEX))) torch
	$(VENV)/$(UV) --python $(VENV) $(addprefix --default-index=,$(INDEX)) --editable '.[dev]'
	@touch $@

demo: setup      ## run benchmarks/demo.yaml and say where its report is
	$(BIN)/ctlr run benchmarks/demo.yaml

test: setup      ## run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

check: setup     ## check style, types and the import rule
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: setup      ## build the guide and the API reference as a site: site/index.html
	$(BIN)/mkdocs build --strict

bench: setup     ## measure speed beside peers, as ratios in one run
	$(PYTHON) -m venv $(VENV)-bench
	$(VENV)-bench/bin/python $(PIP) uv
	$(VENV)-bench/$(UV) --python $(VENV)-bench $(addprefix --default-index=,$(or $(TORCH_INDEX),$(INDEX))) torch
	$(VENV)-bench/$(UV) --python $(VENV)-bench $(addprefix --default-index=,$(INDEX)) \
		--requirement bench/requirements.txt --editable '.[tracking,serve]'
	OMP_WAIT_POLICY=PASSIVE $(VENV)-bench/bin/python -m bench

gpu: setup       ## on a machine with a GPU: its tests, and its speed
	$(BIN)/python -m pytest -m gpu
	$(BIN)/python -m bench gpu

pipelines: setup ## compile the Kubeflow pipelines again
	$(BIN)/python -m pipelines

# docker or podman; more options of the build: make images ENGINE=podman BUILD="--build-arg BASE=registry.example.org/python:3.11"
ENGINE  ?= docker
BUILD   ?=
VERSION  = 0.1.0
IMAGES  ?= cpu gpu serving suggestion mlflow

images:          ## build the container images: make images ENGINE=podman IMAGES="cpu mlflow"
	@for name in $(IMAGES); do \
		$(ENGINE) build $(if $(findstring podman,$(ENGINE)),--format docker) $(BUILD) \
			--build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse --short HEAD) \
			--file images/$$name.Dockerfile --tag docker.io/ctlr/$$(echo $$name | sed -E 's/^(cpu|gpu|serving|suggestion)$$/ctlr-&/'):$(VERSION) . || exit 1; \
	done

# A folder for kustomize, and the namespace that it names: make deploy OVERLAY=my-overlay NAMESPACE=kubeflow
OVERLAY   ?= manifests/base
NAMESPACE ?= ctlr

deploy:          ## put CTLR onto the cluster of kubectl's context: make deploy OVERLAY=manifests/overlays/gpu
	$(if $(filter ctlr,$(NAMESPACE)),kubectl apply -f manifests/base/namespace.yaml)
	manifests/secrets.sh $(NAMESPACE)
	@# a Job cannot be changed, and these are done
	kubectl -n $(NAMESPACE) delete job --ignore-not-found --selector app.kubernetes.io/part-of=ctlr
	kubectl apply -k $(OVERLAY)
	kubectl -n $(NAMESPACE) rollout status deployment/mlflow --timeout=10m

kind-up: setup   ## make a cluster in Docker with Kubeflow Pipelines, Katib and CTLR (after: make images)
	PYTHON=$(BIN)/python manifests/kind/up.sh

e2e: setup       ## run the tests that need a cluster, on that of KUBECONFIG or of kubectl's context
	KUBECONFIG=$${KUBECONFIG:-$$HOME/.kube/config} $(BIN)/python -m pytest -m cluster tests/e2e

kind-down:       ## delete the cluster in Docker, with all that it holds
	kind delete cluster --name ctlr

clean:           ## remove the virtual environments and caches
	rm -rf $(VENV) $(VENV)-bench site .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

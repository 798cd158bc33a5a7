# `make run` annotates a sample clip, `make test` runs all tests. Both install what they need into .venv first.
.DEFAULT_GOAL := help
.PHONY: run test lint check bench kafka models pictures docs manifests constraints clean help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
# TrackEval asks for opencv-python, which would overwrite opencv-python-headless: what it really needs is in `dev`.
NO_DEPS := trackeval==1.3.0 setuptools
# sam2 asks for torchvision, of which the tracker uses nothing, and builds by the setuptools and torch that are there.
SAM2 := sam2==1.1.0

# Weights and clips that lie beside the checkout are used where nobody named others.
SHARED := $(abspath ../shared)
ifneq ($(wildcard $(SHARED)/models/.),)
export STREFER_MODELS ?= $(SHARED)/models
endif
ifneq ($(wildcard $(SHARED)/videos/.),)
export STREFER_SAMPLES ?= $(SHARED)/videos
endif

# What was compiled is kept for the next run: each process of pytest would else rewrite the assertions of all tests anew.
unexport PYTHONDONTWRITEBYTECODE

run: $(VENV)/.models ## Annotate a sample clip into out/ (installs and fetches what is missing)
	@$(BIN)/python tools/run_sample.py

test: $(VENV)/.dev $(VENV)/.models ## Run the whole test suite
	@tools/apt_packages.sh tests/apt-packages.txt
	$(PYTEST)

lint: $(VENV)/.dev ## Ruff and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

check: lint ## Lint, types and the quick tests, under a minute
	$(PYTEST) -q -m "not slow"

bench: $(VENV)/.dev $(VENV)/.models ## Measure profile lite and print one table
	$(BIN)/python -m bench.lite

kafka: $(VENV)/.dev ## Run an Apache Kafka broker on 127.0.0.1:9092 until Ctrl-C
	@tools/apt_packages.sh tests/apt-packages.txt
	@$(BIN)/python -m tools.kafka.broker

models: $(VENV)/.light ## Fetch the networks of profile lite that are not here yet
	$(BIN)/strefer models pull
	@touch $(VENV)/.models

docs: $(VENV)/.dev ## Write the generated pages of docs/ anew
	$(BIN)/python -m tools.events_doc
	$(BIN)/python -m tools.cli_doc
	$(BIN)/python -m tools.dashboard

pictures: $(VENV)/.dev ## Write docs/images anew from real output (needs the sample clips and chromium)
	$(BIN)/python -m tools.make_pictures

manifests: $(VENV)/.dev ## Render deploy/ anew for its tests (needs kustomize, kubectl or Go)
	$(BIN)/python -m tools.render_manifests

constraints: ## Resolve all versions anew into constraints.txt
	tools/resolve.sh

clean: ## Remove .venv, out and what tools left behind
	rm -rf $(VENV) out build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

# Each stamp says that what it names is installed; it is older than what it depends on when that has changed.
$(VENV)/.made:
	@python=$$(tools/find_python.sh) && echo "making $(VENV) with $$python" && "$$python" -m venv $(VENV)
	@touch $@

$(VENV)/.light: $(VENV)/.made pyproject.toml constraints.txt
	@echo "installing strefer into $(VENV) (about a minute)"
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[cpu]'
	@touch $@

$(VENV)/.dev: $(VENV)/.light
	@echo "installing what the tests need into $(VENV) (about a minute)"
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[cpu,dev]'
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps $(NO_DEPS)
	@SAM2_BUILD_CUDA=0 $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation $(SAM2)
	@touch $@

# Tried once: a source out of reach is a note and `lite` does without. `make models` tries again.
$(VENV)/.models: $(VENV)/.light
	@$(BIN)/strefer models pull
	@touch $@

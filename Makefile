# Two commands are all the set-up there is: `make demo` and `make test`.
# A fresh machine needs Python 3.11 or newer with venv and pip, and make.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
SAMPLES := sample_models

.PHONY: help demo test lint types unit docs bench browser-ready clean

help: ## What can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.run ## Build a report of a trained SqueezeNet on six photos
	$(BIN)/reportgen build $(SAMPLES)/squeezenet1_1.pth $(SAMPLES)/photos -o build/demo
	@echo "Open file://$(CURDIR)/build/demo/index.html"

test: lint types unit ## Everything that CI checks

lint: $(VENV)/.test ## Style and docstrings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test ## mypy, strict
	$(BIN)/mypy

unit: $(VENV)/.test browser-ready ## The tests, in two processes
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2

docs: $(VENV)/.run ## docs/cli.md and docs/config.md, from the commands
	$(BIN)/python -m reportgen.cli.reference docs

bench: $(VENV)/.test ## What everything costs, to benchmarks/RESULTS.md (TOPIC=whole: one table)
	$(BIN)/python -m benchmarks $(TOPIC)

# The browser tests skip themselves, with a reason, where there is no Chromium and no way to get it.
browser-ready:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
		&& apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } || true

$(VENV)/.run: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.test: $(VENV)/.run
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

clean: ## Remove the environment and everything built
	rm -rf $(VENV) build dist

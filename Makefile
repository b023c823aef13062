# Two commands are all the set-up there is: `make demo` and `make test`.
# A fresh machine needs Python 3.11 or newer with venv and pip, and make.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
SAMPLES := sample_models

TOOLS := $(VENV)-tools
# One list for every system, from the pins; never an address of an index in it.
PIN := $(TOOLS)/bin/uv pip compile --no-config --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

.PHONY: help demo test lint types unit coverage fuzz mutants docs zoo bench browser-ready hashed pins audit sbom clean

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

# The places where a mistake costs most have every branch tested.
EVERY_BRANCH := reportgen/load/*,reportgen/write/*
coverage: $(VENV)/.test browser-ready ## Which branches the tests reach: all of load/ and of writing, nine in ten elsewhere
	$(BIN)/coverage erase
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --cov --cov-report=
	$(BIN)/coverage report --fail-under=90
	$(BIN)/coverage report --include='$(EVERY_BRANCH)' --fail-under=100

fuzz: $(VENV)/.test ## A minute's search for a model file that breaks the reading of model files
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz build/fuzz -max_total_time=60

mutants: $(VENV)/.test ## How many small mistakes in the reading of files a test notices (SHARE=1 for all, in hours)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.mutation --share $(or $(SHARE),0.05)

docs: $(VENV)/.run ## docs/cli.md and docs/config.md, from the commands
	$(BIN)/python -m reportgen.cli.reference docs

zoo: $(VENV)/.test ## A report of every architecture, to docs/zoo.md; goes on where it was ended
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.zoo $(ONLY)

bench: $(VENV)/.test ## What everything costs, to benchmarks/RESULTS.md (TOPIC=whole: one table)
	$(BIN)/python -m benchmarks $(TOPIC)

hashed: ## The environment of `make test`, with the hash of every file checked, as CI has it
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/test.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(VENV)/.run && touch $(VENV)/.test

pins: $(TOOLS)/.made ## requirements/*.txt again, after a change of pyproject.toml or constraints.txt
	$(PIN) -c constraints.txt pyproject.toml -o requirements/run.txt
	$(PIN) -c constraints.txt --extra test pyproject.toml -o requirements/test.txt
	$(PIN) requirements/tools.in -o requirements/tools.txt

audit: $(TOOLS)/.made ## Whether a version we pin has a known vulnerability
	$(foreach list,run test tools,$(TOOLS)/bin/pip-audit --strict --disable-pip --require-hashes -r requirements/$(list).txt && ) true

sbom: $(TOOLS)/.made ## build/sbom.json: what a running reportgen is made of (CycloneDX)
	mkdir -p build
	$(TOOLS)/bin/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible --of JSON -o build/sbom.json requirements/run.txt

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

$(TOOLS)/.made: requirements/tools.txt
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/tools.txt
	@touch $@

clean: ## Remove the environment and everything built
	rm -rf $(VENV) $(TOOLS) build dist

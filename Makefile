# Everything that is done to this tree by hand or by CI. Needs Python >= 3.11 with venv, and make.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Otherwise every server and every command that a test starts compiles the package again.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
PYTEST_FLAGS ?= -n 2
BIN := .venv/bin
READY := .venv/ready
PYZ := dist/compozy.pyz
PROVE := RELIABILITY_PROGRAM=$(PYZ)
SOURCES := $(shell find appliance migrations packaging -type f -not -name '*.pyc') pyproject.toml requirements/runtime.lock
COMPILE := uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 pyproject.toml
# Litestar imports pydantic where it is, which is slow; the built file does not hold it either.
UNUSED := --no-emit-package pydantic --no-emit-package pydantic-core

.PHONY: help start test check fmt pyz bench bench-peers reliability reliability-long lock clean

help: ## Show this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' Makefile | expand -t 18

start: $(PYZ) ## Build the file if needed and start the server
	@PATH="$(CURDIR)/$(BIN):$$PATH" ./$(PYZ) start

test: $(READY) ## Run every test, on SQLite and on PostgreSQL
	@$(BIN)/pytest $(PYTEST_FLAGS) -m "not reliability and not soak"

check: $(READY) ## Check style, format and types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

fmt: $(READY) ## Put the code in its format
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

pyz: $(PYZ) ## Build dist/compozy.pyz

bench: $(PYZ) ## Measure speed and wear, print the figures
	@for script in benchmarks/*.py; do PYTHONPATH=. $(BIN)/python "$$script"; done

bench-peers: $(PYZ) ## Measure Compozy beside other products, 25 minutes; FLAGS=--quick is a short look
	@PYTHONPATH=. $(BIN)/python -m benchmarks.peers $(FLAGS)

reliability: $(PYZ) ## Prove in a quarter of an hour that the built file loses nothing, whatever breaks
	@$(PROVE) RELIABILITY=full $(BIN)/pytest $(PYTEST_FLAGS) -m "(scenario or reliability) and not soak"

reliability-long: $(PYZ) ## The same for hours, with a soak of half an hour
	@$(PROVE) RELIABILITY=long $(BIN)/pytest $(PYTEST_FLAGS) -m "scenario or reliability or soak"

lock: $(READY) ## Resolve the dependencies again and write requirements/*.lock
	@$(BIN)/$(COMPILE) --upgrade --output-file requirements/runtime.lock
	@$(BIN)/$(COMPILE) --upgrade --group test --constraint requirements/runtime.lock $(UNUSED) --output-file requirements/test.lock

clean: ## Delete what was built, but never data/
	@rm -rf .venv dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .bench
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements/test.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; say PYTHON=... to choose one.")'
	@rm -rf .venv
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes --only-binary :all: -r requirements/test.lock
	@touch $(READY)

$(PYZ): $(READY) $(SOURCES)
	@$(BIN)/python packaging/build.py

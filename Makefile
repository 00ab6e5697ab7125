# Two commands on a bare machine: `make up ARGS=--once` and `make test`.
# Needs Python 3.11 or newer with its headers and pip, make, and a C compiler; nothing else.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory
SHELL := /bin/sh

PYTHON ?= python3
ARGS ?=
JOBS ?= 2

# Always the machine's Python: an interpreter from elsewhere may lack what this one was chosen for.
export UV_PYTHON_DOWNLOADS := never
export UV_PYTHON_PREFERENCE := only-system
# A project's own settings must not leak in from folders above, nor from the user's account.
export UV_NO_CONFIG := 1

# peewee, which an oracle of the tests asks for, comes as source only; without its extensions it
# needs no SQLite headers, and the pinned Cython cannot compile them.
export NO_SQLITE := 1

# `--target`, because a plain pip install stops with externally-managed-environment on Debian 12.
UV := $(or $(shell command -v uv 2>/dev/null),.uv/bin/uv)
BIN := .venv/bin
INSTALL := $(UV) pip install -q --python $(BIN)/python
LOCKED := $(INSTALL) --require-hashes --no-build-isolation
COMPILE := $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --annotation-style line
PYTEST := $(BIN)/python -m pytest -q -p tools.no_skips
NATIVE := $(wildcard native/titanflow/native/*.pyx native/titanflow/native/*.pxd) hatch_build.py

.PHONY: help up test check fmt native dev mutants slow service test-cluster drill soak bench golden proto crds lock dataset clean

help: ## Show the verbs.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

up: build/.native ## Start the arena (ARGS=--once runs it to the end and leaves).
	@$(BIN)/titanflow up $(ARGS)

test: check ## Check, then run every test with the core's branch coverage (at least 90 %).
	@$(PYTEST) -n $(JOBS) --cov --cov-branch --cov-report=term:skip-covered --cov-fail-under=90

check: dev ## Lint, format, types, import contracts, tidiness.
	@$(BIN)/ruff check -q
	@$(BIN)/ruff format -q --check
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/basedpyright --level error >build/basedpyright.txt || { cat build/basedpyright.txt; exit 1; }
	@$(BIN)/lint-imports >build/imports.txt || { cat build/imports.txt; exit 1; }
	@$(PYTEST) tests/tidy

fmt: dev ## Format the code and mend what lint can mend.
	@$(BIN)/ruff check -q --fix-only || true
	@$(BIN)/ruff format -q

native: build/.native ## Rebuild the native modules that changed.

dev: .venv/.dev build/.native

mutants: dev ## Plant faults in the native engines; the tests must catch each.
	@$(BIN)/python -m tools.mutants $(ARGS)

slow: dev ## Run the tests that take minutes.
	@$(PYTEST) tests/slow

service: dev ## Run the tests that need a NATS server and real processes.
	@$(PYTEST) tests/service

test-cluster: dev ## Run the tests that need a real API server (TITANFLOW_KUBE_BIN holds its binaries).
	@$(PYTEST) tests/crd/server

drill: dev ## Break things on purpose and count what is lost (ARGS="F4 F5 --short").
	@$(BIN)/python -m tools.drill $(ARGS)

MINUTES ?= 30
soak: dev ## Run pods for MINUTES with faults; memory must not grow, books must not drift.
	@$(BIN)/python -m tools.soak --minutes $(MINUTES)

proto: dev ## Generate the committed protobuf code anew.
	@$(BIN)/python -m tools.make_proto

crds: dev ## Make the custom resources and the pages on them anew from the models.
	@$(BIN)/python -m tools.make_crds

bench: .venv-bench/.bench build/.native ## Run the benchmarks, with the peers beside.
	@.venv-bench/bin/python -m benchmarks.replay $(ARGS)

golden: dev ## Write the golden files anew; read the diff like code.
	@$(BIN)/python -m tools.map_modules
	@$(BIN)/python -m tools.make_crds
	@TITANFLOW_GOLDEN=write $(BIN)/python -m pytest -q tests/golden tests/contract tests/tidy/test_facts_grow.py tests/service/test_streams_page.py

dataset: dev ## Make the bundled market data anew from its public source.
	@$(BIN)/python tools/make_dataset.py $(ARGS)

lock: $(filter .uv/bin/uv,$(UV)) ## Resolve the dependencies anew and write the lock files.
	@$(COMPILE) --upgrade --extra dev --extra train pyproject.toml requirements/build.in -o requirements/dev.txt
	@$(COMPILE) -c requirements/dev.txt requirements/build.in -o requirements/build.txt
	@$(COMPILE) -c requirements/dev.txt pyproject.toml -o requirements/base.txt
	@$(COMPILE) -c requirements/base.txt --extra bench pyproject.toml -o requirements/bench.txt

clean: ## Remove everything that was built or installed here.
	@rm -rf .venv .venv-bench .uv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@rm -rf .coverage .coverage.* .titanflow
	@find native -name '*.so' -delete
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What follows are files, so that a second run does nothing.

.uv/bin/uv:
	@$(PYTHON) -m pip install -q --disable-pip-version-check --no-warn-script-location --target .uv uv

.venv/bin/python: | $(filter .uv/bin/uv,$(UV))
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "TitanFlow needs Python 3.11 or newer; try: make PYTHON=python3.12 ...")'
	@$(UV) venv -q --clear --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" .venv

.venv/.base: requirements/base.txt requirements/build.txt .venv/bin/python
	@$(INSTALL) --require-hashes -r requirements/build.txt -r requirements/base.txt
	@touch $@

.venv/.package: .venv/.base pyproject.toml
	@$(INSTALL) --offline --no-build-isolation --no-deps --reinstall-package titanflow -e .
	@touch $@

# hatch_build.py looks at each module by itself; this stamp only spares its start.
build/.native: .venv/.package $(NATIVE)
	@$(BIN)/python hatch_build.py
	@touch $@

.venv/.dev: requirements/dev.txt .venv/.base
	@$(LOCKED) -r requirements/dev.txt
	@touch $@

# An environment of its own, because the peers want older libraries than the tests do.
.venv-bench/.bench: requirements/bench.txt requirements/build.txt .venv/.package
	@$(UV) venv -q --clear --python $(BIN)/python .venv-bench
	@$(UV) pip install -q --python .venv-bench/bin/python --require-hashes -r requirements/build.txt
	@$(UV) pip install -q --python .venv-bench/bin/python --require-hashes --no-build-isolation \
		-r requirements/bench.txt
	@$(UV) pip install -q --python .venv-bench/bin/python --offline --no-build-isolation --no-deps -e .
	@touch $@

# The only door: every command a developer needs. Pip's own settings (index, certificates, proxies) are respected as they are.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEER := build/bench/peer-venv
WORKERS ?= 3
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
SOURCES := src tests bench scripts examples clients

.PHONY: help up setup test check lint bench chaos soak docs generate format lock clean

help: ## show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-10s %s\n", $$1, $$2 }'

up: $(VENV)/.setup-runtime ## start the engine on the data folder; the first time it runs the sample workflow
	@$(BIN)/flowforge up

setup: $(VENV)/.setup-dev ## make .venv with everything that tests and checks need

test: setup lint ## everything that must hold: the checks, then all tests
	@$(BIN)/python -m pytest -n $(WORKERS)

check: setup lint ## format, lint, types, imports, budgets, house lints (fast)
	@$(BIN)/python -m pytest -q tests/architecture

lint: setup
	@$(BIN)/ruff format --check --quiet $(SOURCES) || { echo "Some files are not formatted; 'make format' does it." >&2; exit 1; }
	@$(BIN)/ruff check --quiet $(SOURCES)
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/pyright

format: setup ## format the code
	@$(BIN)/ruff format $(SOURCES)
	@$(BIN)/ruff check --fix --quiet $(SOURCES)

bench: setup $(PEER)/.setup-bench ## measure the workloads beside a bare loop and a peer; writes docs/benchmarks.md
	@$(BIN)/python -m bench

chaos: setup ## kill the engine at every commit point and at random (minutes)
	@CHAOS=1 $(BIN)/python -m pytest tests/chaos tests/engine/test_crash_points.py tests/entrypoints/server/test_crashes.py

soak: setup ## torment a cluster on PostgreSQL + Redis, then on MariaDB + RabbitMQ (SOAK_SECONDS each, 600 by default)
	@$(BIN)/python -m tests.soak
	@SLEEPERS=50000 $(BIN)/python -m pytest -q tests/reliability/test_cluster_logic.py -k f50

generate: setup ## write what is generated from the code: reference pages and schemas
	@$(BIN)/python scripts/generate_docs.py
	@$(BIN)/python scripts/client_models.py

docs: generate ## generate the reference and run every example in the documentation
	@$(BIN)/python -m pytest -q tests/docs

lock: $(VENV)/.setup-venv ## compile requirements/*.txt anew from pyproject.toml
	@$(BIN)/python scripts/lock_requirements.py

clean: ## remove what can be made again
	rm -rf $(VENV) dist build .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests bench scripts -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.setup-venv:
	@command -v $(PYTHON) >/dev/null || { echo "FlowForge needs Python 3.11 or newer: install the package python3, or name one with 'make PYTHON=...'." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "FlowForge needs Python 3.11 or newer, and $(PYTHON) is older; name another one with 'make PYTHON=...'." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make a virtual environment: install the package python3-venv ('apt-get install python3-venv') and try again." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.setup-runtime: $(VENV)/.setup-venv requirements/runtime.txt pyproject.toml
	@echo "Installing what FlowForge runs on …"
	@$(PIP_INSTALL) --require-hashes -r requirements/runtime.txt
	@$(PIP_INSTALL) --no-deps --editable .
	@$(BIN)/python -m compileall -q src
	@touch $@

$(VENV)/.setup-dev: $(VENV)/.setup-runtime requirements/dev.txt
	@echo "Installing what the tests need …"
	@$(PIP_INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@

$(PEER)/.setup-bench: $(VENV)/.setup-venv requirements/bench.txt
	@echo "Installing the peer that is measured beside us …"
	@$(PYTHON) -m venv $(PEER)
	@$(PEER)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
	@touch $@

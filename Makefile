# make demo    the whole pipeline on the embedded backend, one table, under a minute
# make test    everything: lint, types, unit, integration, lab (real programs), documentation
# make check   the quick inner loop: lint, types, generated files, unit tests
# make lab     Collector, Prometheus, Jaeger and Loki on loopback, until make lab-down
# make programs  build those programs once into the cache folder

SHELL := bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SOURCES := $(shell find src examples collector otel-collector.yaml -type f -not -name '*.pyc' 2>/dev/null)
PYTEST := $(BIN)/python -m pytest
PARALLEL := -n 2 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo test check lint types generated unit integration lab-tests docs-tests \
	programs lab lab-down servers clean

help:
	@sed -n 's/^# //p' Makefile

$(VENV)/.dependencies: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check build
	rm -rf dist && $(BIN)/python -m build --wheel --outdir dist . >/dev/null
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(ls dist/*.whl)[$(EXTRAS)]"
	touch $@ $(VENV)/.wheel

$(VENV)/.wheel: $(VENV)/.dependencies $(SOURCES)
	rm -rf dist && $(BIN)/python -m build --wheel --outdir dist . >/dev/null
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall dist/*.whl
	touch $@

EXTRAS := dev
demo: EXTRAS := demo
demo: $(VENV)/.wheel
	$(BIN)/tradespan demo

test: check integration lab-tests docs-tests

check: $(VENV)/.wheel lint types generated unit

lint: $(VENV)/.wheel
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.wheel
	$(BIN)/mypy src tools examples/crypto_pipeline

generated: $(VENV)/.wheel
	$(BIN)/python tools/generate.py --check

unit: $(VENV)/.wheel
	$(PYTEST) $(PARALLEL) tests/unit tests/test_architecture.py

integration: $(VENV)/.wheel servers
	$(PYTEST) $(PARALLEL) tests/integration

lab-tests: $(VENV)/.wheel servers programs
	$(PYTEST) tests/lab

docs-tests: $(VENV)/.wheel
	$(PYTEST) tests/docs

# In CI the real servers are installed; on your machine the tests that need them say what is missing.
servers:
	@if [ -n "$$CI" ]; then tools/install-servers; fi

programs: $(VENV)/.wheel
	@if [ -n "$$CI" ] || command -v go >/dev/null; then $(BIN)/tradespan lab build; \
	else echo "go is not installed: the tests against the real programs will be skipped"; fi

lab: $(VENV)/.wheel
	$(BIN)/tradespan lab up

lab-down: $(VENV)/.wheel
	$(BIN)/tradespan lab down

clean:
	rm -rf $(VENV) dist build

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
EXAMPLES := $(patsubst %/example.yaml,%,$(wildcard examples/*/example.yaml))
PYTEST := $(BIN)/python -m pytest
PARALLEL := -n 2 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo test check lint types generated unit integration lab-tests docs-tests \
	programs lab lab-down servers clean

help:
	@sed -n 's/^# //p' Makefile

# The wheel, not the source tree, is what is installed and tested.
$(VENV)/.ready-%: pyproject.toml $(SOURCES)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing tradespan[$*] into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check ".[$*]"
	@touch $@

demo: $(VENV)/.ready-demo
	$(BIN)/tradespan demo

test: check integration lab-tests docs-tests

check: $(VENV)/.ready-dev lint types generated unit

lint: $(VENV)/.ready-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.ready-dev
	$(BIN)/mypy src tools benchmarks
	MYPYPATH=src:examples/crypto_pipeline $(BIN)/mypy examples/crypto_pipeline examples/run.py
	MYPYPATH=src:examples/crypto_pipeline:examples/unchanged_services $(BIN)/mypy examples/unchanged_services
	@for one in $(EXAMPLES); do MYPYPATH=src:$$one $(BIN)/mypy $$one || exit 1; done

generated: $(VENV)/.ready-dev
	$(BIN)/python tools/generate.py --check
	$(BIN)/python tools/schema.py --check

unit: $(VENV)/.ready-dev
	$(PYTEST) $(PARALLEL) tests/unit tests/typing tests/test_architecture.py

integration: $(VENV)/.ready-dev servers
	$(PYTEST) $(PARALLEL) tests/integration

lab-tests: $(VENV)/.ready-dev servers programs
	$(PYTEST) tests/lab

docs-tests: $(VENV)/.ready-dev
	$(PYTEST) tests/docs

# In CI the real servers are installed; on your machine the tests that need them say what is missing.
servers:
	@if [ -n "$$CI" ]; then tools/install-servers; fi

programs: $(VENV)/.ready-demo
	@if [ -n "$$CI" ] || command -v go >/dev/null; then $(BIN)/tradespan lab build; \
	else echo "go is not installed: the tests against the real programs will be skipped"; fi

lab: $(VENV)/.ready-demo
	$(BIN)/tradespan lab up

lab-down: $(VENV)/.ready-demo
	$(BIN)/tradespan lab down

clean:
	rm -rf $(VENV) dist build

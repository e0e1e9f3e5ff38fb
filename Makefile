# Every command of the project. The first two are all that a fresh machine needs: Python 3.11 with venv, and make.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
MANAGER := .venv-manager
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check
APT    := $(if $(filter 0,$(shell id -u)),,sudo )apt-get

.PHONY: help demo test test-system check format reference conformance bench clean

help: ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

demo: $(VENV)/.runtime ## a whole archive on this machine: real computations, real results, one real failure
	$(BIN)/qchive demo

test: $(VENV)/.test ## all tests that need nothing but pip
	$(BIN)/python -m pytest -m "not system" -n 2 --dist loadfile

test-system: $(VENV)/.test $(VENV)/.system ## the tests that need programs from Debian packages, which are installed first
	$(BIN)/python -m pytest -m system

check: $(VENV)/.check ## style, types, import contract, fresh documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/make_reference.py --check

format: $(VENV)/.check ## bring the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

reference: $(VENV)/.runtime ## write the pages of docs/reference that come from the code
	$(BIN)/python tools/make_reference.py

conformance: $(VENV)/.test ## the peer's own tests over HTTP against our server; needs the runner's folder in CONFORMANCE
	$(BIN)/python -m tests.interop.conformance.run $(CONFORMANCE)

# Against the peer, whose manager lives in an environment of its own: the last wheel of xtb is for Python 3.11 at most.
# QUICK=1: small numbers, a few minutes. BENCH="singlepoints --size records=5000": some of it, other numbers.
bench: $(VENV)/.test $(MANAGER)/.installed ## QCHive and the peer side by side; QUICK=1 for a first look
	BENCH_MANAGER=$(MANAGER) $(BIN)/python -m benchmarks $(if $(QUICK),--quick) $(BENCH)

clean: ## forget everything that was installed
	rm -rf $(VENV) $(MANAGER)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: pyproject.toml | $(BIN)/python
	@echo "Installing QCHive and its programs into $(VENV): about two minutes the first time."
	$(PIP) --editable '.[all]'
	@touch $@

# The peer's server is installed without its dependencies: psycopg2 would want a compiler, psycopg2-binary meets it.
$(VENV)/.test: $(VENV)/.runtime tests/interop/requirements-peer.txt
	$(PIP) --editable '.[all,test]' --requirement tests/interop/requirements-peer.txt
	$(PIP) --no-deps qcfractal==0.71 qcarchivetesting==0.71
	@touch $@

$(VENV)/.check: $(VENV)/.test
	$(PIP) --editable '.[all,test,dev]'
	@touch $@

$(VENV)/.system: tests/system/packages.txt tests/system/requirements.txt | $(BIN)/python
	$(APT) update -qq
	DEBIAN_FRONTEND=noninteractive $(APT) install -qq --yes --no-install-recommends $$(cat tests/system/packages.txt)
	$(PIP) --requirement tests/system/requirements.txt
	@touch $@

$(MANAGER)/.installed: benchmarks/requirements-manager.txt
	python3.11 -m venv $(MANAGER)
	$(MANAGER)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

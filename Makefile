# Everything a checkout needs: Python 3.11 or newer with venv, and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA_DIR ?= trunkline-data
# Tests wait more than they compute. One after the other, in this process: WORKERS=0.
WORKERS ?= 3
PYTEST = $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal

.PHONY: install dev run test test-long test-kafka kubernetes lint bench lock clean

install: $(VENV)/.installed  ## the product in .venv, from the lock

dev: $(VENV)/.developed  ## the product and the development tools in .venv, from the lock

run: install  ## broker, services and demo input on this machine; Ctrl-C stops cleanly
	@# In a terminal the command gets Ctrl-C to itself (job control), or make would report an interrupt and fail.
	@if [ -t 0 ]; then set -m; fi; $(BIN)/trunkline up --data-dir $(DATA_DIR) --feed

test: dev  ## what needs only pip, in under five minutes
	$(PYTEST) -m "not slow and not kafka"

test-long: dev  ## kill -9 runs and other bounded long checks
	$(PYTEST) -m "slow and not kafka"

# A real cluster a process is heavier.
test-kafka: WORKERS = 2
test-kafka: dev  ## what needs Java: the same suites on real Apache Kafka, from Maven or KAFKA_HOME
	$(PYTEST) -m kafka

kubernetes: dev  ## a Kubernetes API for the tests, built once from Go's modules; without it they are skipped
	$(BIN)/python -m trunkline.testing.kube_programs

lint: dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: dev
	$(BIN)/trunkline bench

lock:
	requirements/lock.sh

clean:
	rm -rf $(VENV)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements/run.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)/.developed: requirements/dev.lock $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@touch $@

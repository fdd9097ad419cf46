# SPDX-License-Identifier: Apache-2.0
# `make help` lists the verbs. Everything goes into .venv; nothing outside of this folder is changed.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
FLEET := .cache/fleet/venv
FLEET_STAMP := $(FLEET)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo test soak lint types check reference pins serve clean fleet fleet-costs fleet-pins

MINUTES ?= 10

help: ## list the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

install: $(STAMP) ## make .venv with all that the other verbs need

$(STAMP): requirements/dev.txt pyproject.toml
	@echo "Installing into .venv (once; a minute or two)"
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.10 to 3.13 is needed, this is " + sys.version.split()[0] + ": try make PYTHON=python3.12") if not (3, 10) <= sys.version_info[:2] <= (3, 13) else None'
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^uv==' requirements/dev.txt)"
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python requirements/dev.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-build-isolation --no-deps --editable .
	@touch $(STAMP)

demo: $(STAMP) ## run the daily example DAG over a fortnight of calls, and check the files
	@$(BIN)/python -m tests.demo

test: $(STAMP) ## run the tests
	@$(BIN)/python -m pytest -n auto --dist loadfile

soak: $(STAMP) ## search at random for a lost call, for MINUTES=10
	@$(BIN)/python -m tests.completeness --minutes $(MINUTES)

fleet: $(FLEET_STAMP) ## kill parts of an Airflow over Celery while it extracts, and check; QUICK=1: the short form
	@$(FLEET)/bin/python -m tests.fleet $(if $(QUICK),--quick)

fleet-costs: $(FLEET_STAMP) ## measure what a task costs with 1, 2 and 4 workers
	@$(FLEET)/bin/python -m tests.fleet --costs

$(FLEET_STAMP): $(STAMP) requirements/fleet.txt
	@echo "Installing into $(FLEET) (once; a minute or two)"
	@$(PYTHON) -m venv $(FLEET)
	@$(BIN)/uv pip sync --quiet --python $(FLEET)/bin/python requirements/fleet.txt
	@$(BIN)/uv pip install --quiet --python $(FLEET)/bin/python --no-build-isolation --no-deps --editable .
	@touch $(FLEET_STAMP)

lint: $(STAMP) ## check the style
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(STAMP) ## check the types
	@$(BIN)/mypy

check: lint types test ## all of the above

serve: $(STAMP) ## start the test server by itself
	@$(BIN)/python -m tests.synthflow_server --port 8080

reference: $(STAMP) ## write docs/reference.md from the docstrings
	@AIRFLOW_HOME=$(CURDIR)/.cache/airflow $(BIN)/python -m tests.reference

pins: $(STAMP) ## pin the newest versions of what requirements/dev.in names
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.10 --no-header --no-annotate \
		requirements/dev.in --output-file requirements/dev.txt

fleet-pins: $(STAMP) ## pin what requirements/fleet.in names, after `make pins`
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.10 --no-header --no-annotate \
		requirements/fleet.in --output-file requirements/fleet.txt

clean: ## remove all that the verbs made
	rm -rf .venv .demo .cache dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis

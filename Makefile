# SPDX-License-Identifier: Apache-2.0
# `make help` lists the verbs. Everything goes into .venv; nothing outside of this folder is changed.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo test soak lint types check reference docs docs-serve docs-test pins serve clean

MINUTES ?= 10

help: ## list the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

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
	@$(BIN)/python -m pytest

soak: $(STAMP) ## search at random for a lost call, for MINUTES=10
	@$(BIN)/python -m tests.completeness --minutes $(MINUTES)

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

docs: $(STAMP) ## build the site of the documents into .cache/site; a warning is an error
	@NO_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --strict --clean
	@echo "Open .cache/site/index.html"

docs-serve: $(STAMP) ## show that site at http://127.0.0.1:8000, and build it anew with each change
	@NO_MKDOCS_2_WARNING=true $(BIN)/mkdocs serve --dev-addr 127.0.0.1:8000

docs-test: $(STAMP) ## run each DAG and command of the documents, and the tutorial word by word in a fresh environment
	@$(BIN)/python -m pytest tests/integration/documents.py
	@$(BIN)/python -m tests.tutorial

pins: $(STAMP) ## pin the newest versions of what requirements/dev.in names
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.10 --no-header --no-annotate \
		requirements/dev.in --output-file requirements/dev.txt

clean: ## remove all that the verbs made
	rm -rf .venv .demo .cache dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis

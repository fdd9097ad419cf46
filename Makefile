# SPDX-License-Identifier: Apache-2.0
# `make help` lists the verbs. Everything goes into .venv; nothing outside of this folder is changed.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
FLEET := .cache/fleet/venv
FLEET_STAMP := $(FLEET)/.installed
STORES := .cache/stores
STORES_STAMP := $(STORES)/venv/.installed
ENGINES := .cache/engines/venv
ENGINES_STAMP := $(ENGINES)/.installed
AZURITE := 3.35.0
PUBLISHING := .cache/publishing
PUBLISHING_STAMP := $(PUBLISHING)/.installed
AXE := 4.10.3
# Else each process compiles all of Airflow anew where PYTHONDONTWRITEBYTECODE is set: 4 s of a processor each.
export UV_COMPILE_BYTECODE := 1

.DEFAULT_GOAL := help
.PHONY: help install demo test integration e2e-events scale soak bench resume lint types check reference pictures docs docs-serve docs-test pins serve build release sbom workflows extras stores engines matrix matrix-built e2e fleet fleet-costs fleet-pins clean

MINUTES ?= 10
ONLY ?=
UPGRADE ?= --upgrade
PIN = $(BIN)/uv pip compile --quiet $(UPGRADE) --no-header --no-annotate

help: ## list the verbs
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

install: $(STAMP) ## make .venv with all that the other verbs need

$(STAMP): requirements/dev.txt pyproject.toml
	@echo "Installing into .venv (once; a minute or two)"
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.10 to 3.14 is needed, this is " + sys.version.split()[0] + ": try make PYTHON=python3.12") if not (3, 10) <= sys.version_info[:2] <= (3, 14) else None'
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^uv==' requirements/dev.txt)"
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python requirements/dev.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-build-isolation --no-deps --editable .
	@$(BIN)/python -m compileall -q airflow_provider_synthflow  # as pip compiles what it installs
	@touch $(STAMP)

demo: $(STAMP) ## run the daily example DAG over a fortnight of calls, and check the files
	@$(BIN)/python -m dev.demo

test: $(STAMP) ## run the tests; THOROUGH=1: five times as many examples of each property
	@THOROUGH=$(THOROUGH) $(BIN)/python -m pytest -n auto --dist loadfile -m "not long"

integration: $(STAMP) ## run the tests that start whole Airflows, or kill for a minute
	@$(BIN)/python -m pytest -n auto --dist loadfile -m long

e2e-events: $(STAMP) ## let 500 calls start runs while the triggerer is killed twice; three minutes
	@$(BIN)/python -m pytest tests/e2e/new_calls_by_events.py

scale: $(STAMP) ## measure 1,000 deferred sensors in one triggerer, for MINUTES=10
	@$(BIN)/python -m dev.scale --minutes $(MINUTES)

soak: $(STAMP) ## search at random for a lost call, for MINUTES=10; SEED=1: the same search each time
	@$(BIN)/python -m dev.soak --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

bench: $(STAMP) ## measure speed and memory beside the floor and peers (ten minutes; QUICK=1: two; WRITE=1: into docs/; MEMORY=1: our memory alone)
	@$(BIN)/python -m dev.bench $(if $(QUICK),--quick) $(if $(WRITE),--write) $(if $(MEMORY),--memory)

resume: $(STAMP) ## measure what a retry of a killed try saves over a window of 100,000 calls (ten minutes)
	@$(BIN)/python -m dev.bench.resuming

fleet: $(FLEET_STAMP) ## kill parts of an Airflow over Celery while it extracts, and check; QUICK=1: the short form
	@$(FLEET)/bin/python -m dev.fleet $(if $(QUICK),--quick)

fleet-costs: $(FLEET_STAMP) ## measure what a task costs with 1, 2 and 4 workers
	@$(FLEET)/bin/python -m dev.fleet --costs

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
	@AIRFLOW_HOME=$(CURDIR)/.cache/airflow $(BIN)/python -m dev.reference

pictures: $(STAMP) ## draw docs/images/questions of the demonstration's calls
	@AIRFLOW_HOME=$(CURDIR)/.cache/airflow $(BIN)/python -m dev.demo.pictures

docs: $(STAMP) ## build the site of the documents into .cache/site; a warning is an error
	@NO_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --strict --clean
	@echo "Open .cache/site/index.html"

docs-serve: $(STAMP) ## show that site at http://127.0.0.1:8000, and build it anew with each change
	@NO_MKDOCS_2_WARNING=true $(BIN)/mkdocs serve --dev-addr 127.0.0.1:8000

docs-test: $(STAMP) ## run each DAG and command of the documents, and the tutorial word by word in a fresh environment
	@$(BIN)/python -m pytest tests/integration/documents.py
	@$(BIN)/python -m dev.tutorial

build: $(STAMP) ## build the sdist and the wheel into dist/, of what git knows, and check their descriptions
	@rm -rf dist .cache/build && mkdir -p .cache/build
	@git ls-files -z -- airflow_provider_synthflow example_dags pyproject.toml hatch_build.py README.md CHANGELOG.md LICENSE .gitignore \
		| tar --null --files-from - --create --file - | tar --extract --file - --directory .cache/build
	@$(BIN)/python -m build --no-isolation --outdir dist .cache/build > .cache/build.log || { cat .cache/build.log; exit 1; }
	@$(BIN)/twine check --strict dist/*

release: export PROJECT_RELEASE := 1
release: build ## build and check what a tag releases: TAG=v1.2.3, and PROJECT_REPOSITORY in the environment
	@$(BIN)/python -m dev.release "$(TAG)"
	@$(MAKE) --no-print-directory sbom

sbom: $(PUBLISHING_STAMP) ## list what comes with the wheel in dist/ into .cache/sbom/sbom.cdx.json
	@rm -rf .cache/sbom && $(BIN)/uv venv --quiet --python $(BIN)/python .cache/sbom/venv
	@$(BIN)/uv pip install --quiet --python .cache/sbom/venv/bin/python dist/*.whl
	@$(PUBLISHING)/bin/cyclonedx-py environment --output-format JSON --output-file .cache/sbom/sbom.cdx.json .cache/sbom/venv/bin/python

workflows: $(PUBLISHING_STAMP) ## check the workflows of .github, and the manifest for Kubernetes
	@$(PUBLISHING)/bin/actionlint .github/workflows/*.yml
	@$(PUBLISHING)/bin/zizmor --offline --no-progress --quiet .github
	@$(PUBLISHING)/bin/kubernetes-validate --strict --quiet deploy/kubernetes/manifest.yaml

$(PUBLISHING_STAMP): $(STAMP) requirements/publishing.txt
	@$(PYTHON) -m venv $(PUBLISHING)
	@$(BIN)/uv pip sync --quiet --python $(PUBLISHING)/bin/python requirements/publishing.txt
	@touch $(PUBLISHING_STAMP)

extras: build ## install the wheel with each extra, alone, and check what came
	@$(BIN)/python -m pytest tests/packaging/test_extras.py

stores: $(STORES_STAMP) ## write into Google Cloud Storage and Azure over HTTP, as their public emulators speak it
	@$(STORES)/venv/bin/python -m pytest -p no:cacheprovider tests/stores

engines: $(ENGINES_STAMP) ## read tables with pandas, Polars, Spark (needs Java), Delta Lake and Iceberg
	@$(BIN)/python -m pytest -p no:cacheprovider tests/integration/engines.py

$(ENGINES_STAMP): $(STAMP) requirements/engines.txt
	@echo "Installing into $(ENGINES) (once; a minute or two)"
	@$(PYTHON) -m venv $(ENGINES)
	@$(BIN)/uv pip sync --quiet --python $(ENGINES)/bin/python requirements/engines.txt
	@touch $(ENGINES_STAMP)

$(STORES_STAMP): $(STAMP) requirements/stores.txt
	@echo "Installing into $(STORES) (once; a minute or two)"
	@command -v npm > /dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs npm; }
	@npm install --silent --no-save --no-package-lock --no-audit --no-fund --prefix $(STORES) azurite@$(AZURITE)
	@$(PYTHON) -m venv $(STORES)/venv
	@$(BIN)/uv pip sync --quiet --python $(STORES)/venv/bin/python requirements/stores.txt
	@$(BIN)/uv pip install --quiet --python $(STORES)/venv/bin/python --no-build-isolation --no-deps --editable .
	@touch $(STORES_STAMP)

matrix: build matrix-built ## run the tests against the wheel on every Airflow, or ONLY=2.11,3.3; ON_PYTHON=3.14; WRITE=1: into docs/

matrix-built: $(STAMP) ## likewise, with the wheel that lies in dist/
	@$(BIN)/python -m dev.matrix --only "$(ONLY)" $(if $(ON_PYTHON),--python "$(ON_PYTHON)") $(if $(TESTS),--tests "$(TESTS)") $(if $(WRITE),--write)

e2e: $(STAMP) $(if $(ONLY),build) ## try the connection form in a real browser; ONLY=2.11,3.1: in older Airflows; SCREENSHOTS=1: take the pictures of docs/ anew
	@command -v chromium > /dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; }
ifdef ONLY
	@$(BIN)/python -m dev.matrix --only "$(ONLY)" --browser --tests tests/e2e/older_connection_form.py
else
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --requirement requirements/e2e.txt
	@command -v npm > /dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs npm; }
	@npm install --silent --no-save --no-package-lock --no-audit --no-fund --prefix .cache/e2e axe-core@$(AXE)
	@$(BIN)/python -m pytest tests/e2e
endif

pins: $(STAMP) ## pin the newest versions of what the files in requirements/ name; UPGRADE= keeps what still fits
	@$(PIN) --universal --python-version 3.10 requirements/dev.in --output-file requirements/dev.txt
	@$(PIN) --universal --python-version 3.10 requirements/e2e.in --output-file requirements/e2e.txt
	@$(PIN) --universal --python-version 3.10 requirements/publishing.in --output-file requirements/publishing.txt
	@$(PIN) --universal --python-version 3.10 requirements/engines.in --output-file requirements/engines.txt
	@$(PIN) --universal --python-version 3.10 --extra parquet --extra zstd pyproject.toml requirements/stores.in \
		--output-file requirements/stores.txt
	@for line in $$($(BIN)/python -m dev.matrix --list); do \
		$(PIN) --python-version $${line#*:} --override requirements/matrix-$${line%:*}.in requirements/dev.in \
			--output-file requirements/matrix-$${line%:*}.txt || exit 1; \
	done
	@for each in dev/bench/requirements/*.in; do \
		$(PIN) --universal --python-version 3.10 $$each --output-file $${each%.in}.txt || exit 1; \
	done

fleet-pins: $(STAMP) ## pin what requirements/fleet.in names, after `make pins`
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.10 --no-header --no-annotate \
		--extra s3 pyproject.toml requirements/fleet.in --output-file requirements/fleet.txt

clean: ## remove all that the verbs made
	rm -rf .venv .demo .cache dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis

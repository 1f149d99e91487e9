# Everything a contributor or a build server runs. `make help` lists it.
#
#   VENV=folder     another environment than .venv
#   PYTHON=program  another Python than the first of 3.11 or newer that is found
#   WORKERS=number  test processes side by side; most tests wait for other processes most of the time
#   CI=true         nothing may be missing: without Node, Chromium or a kernel, checks fail instead of being skipped

VENV ?= .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
  $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
WITNESS_PYTHON ?= $(shell for name in python3.14 python3.13 python3.12 python3; do \
  $$name -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && echo $$name && break; done)
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
WORKERS ?= 3
NOTEBOOKS := $(wildcard notebooks/*.ipynb)
STATIC := agenttrace_nb/views/static
IN_CI := $(filter-out 0 false no off,$(or $(AGENTTRACE_CI),$(CI)))
HAVE_NODE := $(shell command -v npm 2>/dev/null)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo lab audit-100k test test-spark test-postgres test-witness lint types imports js check-all servers test-interop bench stats attribution pytest format clean

help: ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|' 2>/dev/null || cat $(MAKEFILE_LIST)

# ------------------------------------------------------------------------------------------------------- environment

# Stamps say which extras the environment holds; a changed pyproject.toml makes them stale.
DEMO_READY := $(VENV)/.agenttrace-demo
LAB_READY := $(VENV)/.agenttrace-lab
TEST_READY := $(VENV)/.agenttrace-test
SPARK_READY := $(VENV)/spark/.agenttrace-spark
POSTGRES_READY := $(VENV)/postgres/.agenttrace-postgres
WITNESS_READY := $(VENV)/witness/.agenttrace-witness
JS_READY := js/node_modules/.agenttrace-js

$(BIN)/python:
	@python="$(PYTHON)"; test -n "$$python" || { \
	  echo "agenttrace_nb needs Python 3.11 or newer: install it, or run make PYTHON=path/to/python" >&2; exit 1; }; \
	$$python -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "$$python cannot make an environment: on Debian or Ubuntu, apt-get install python3-venv" >&2; exit 1; }

$(DEMO_READY): pyproject.toml | $(BIN)/python
	@test -e $@ || echo "Installing into $(VENV); the first time takes a few minutes"
	$(PIP_INSTALL) --editable '.[demo]'
	@touch $@

$(LAB_READY): pyproject.toml | $(BIN)/python
	$(PIP_INSTALL) --editable '.[lab]'
	@touch $@

$(TEST_READY): pyproject.toml | $(BIN)/python
	$(PIP_INSTALL) --editable '.[test]'
	@touch $@ $(DEMO_READY) $(LAB_READY)

$(SPARK_READY): pyproject.toml | $(BIN)/python
	$(PIP_INSTALL) --target $(VENV)/spark --upgrade "$$($(BIN)/python -c 'import tomllib; \
	  print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["spark"])')"
	@touch $@

$(POSTGRES_READY): pyproject.toml | $(BIN)/python
	$(PIP_INSTALL) --target $(VENV)/postgres --upgrade "$$($(BIN)/python -c 'import tomllib; \
	  print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["postgres"])')"
	@touch $@

# The other witness needs a newer Python than this project, so it has an environment of its own.
$(WITNESS_READY): pyproject.toml | $(BIN)/python
	@python="$(WITNESS_PYTHON)"; test -n "$$python" || { \
	  echo "The other witness needs Python 3.12 or newer: install it, or give WITNESS_PYTHON=path" >&2; exit 1; }; \
	$$python -m venv $(VENV)/witness
	$(VENV)/witness/bin/python -m pip install --quiet --disable-pip-version-check "$$($(BIN)/python -c 'import tomllib; \
	  print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["witness"])')"
	@touch $@

$(JS_READY): js/package.json js/package-lock.json
	cd js && npm ci
	@touch $@

# ------------------------------------------------------------------------------------------------------------ use it

demo: $(DEMO_READY) ## run the quickstart here; print its call tree, its MLflow run and a page with the tree
	@$(BIN)/python notebooks/run_quickstart.py

lab: $(LAB_READY) ## open the quickstart in JupyterLab
	$(BIN)/python -m jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) notebooks/01_quickstart.ipynb

# ---------------------------------------------------------------------------------------------------------- check it

# The tests come last, so that their closing line is the last one.
test: $(TEST_READY) lint types imports js ## install what the tests need and run every check but the slow ones
	@$(MAKE) --no-print-directory pytest PYTEST_ARGS='-m "not slow and not spark and not postgres and not witness"'

check-all: $(TEST_READY) servers lint types imports js test-spark test-witness ## every check, also the slow sweeps and the benchmarks
	@$(MAKE) --no-print-directory pytest PYTEST_ARGS='-m "not spark and not postgres and not witness"'
	@$(MAKE) --no-print-directory stats
	@$(MAKE) --no-print-directory bench

# Spark lies beside the environment: MLflow and others behave differently where they find it.
test-spark: $(TEST_READY) $(SPARK_READY) ## compare spans in a local Spark (needs Java 17 or newer)
	@java -version >/dev/null 2>&1 || { echo "Spark needs Java: apt-get install default-jre-headless" >&2; exit 1; }
	PYTHONPATH=$(VENV)/spark $(BIN)/python -m pytest -m spark tests/analysis/test_compare_spark.py

test-postgres: $(TEST_READY) $(POSTGRES_READY) ## compare MLflow on PostgreSQL with the audit log (needs PostgreSQL)
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || { \
	  echo "PostgreSQL is missing: apt-get install --no-install-recommends postgresql" >&2; exit 1; }
	PYTHONPATH=$(VENV)/postgres $(BIN)/python -m pytest -m postgres tests/audit/test_live_postgres.py

test-witness: $(TEST_READY) $(WITNESS_READY) ## hold our witness and checkpoints against another one (needs Python 3.12)
	AGENTTRACE_CI=true $(BIN)/python -m pytest -m witness tests/audit/test_other_witness.py

pytest: $(TEST_READY)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadscope --durations=15 $(PYTEST_ARGS) --nbval-lax --nbval-current-env --nbval-cell-timeout=240 tests $(NOTEBOOKS)

# Needs apt-get; Phoenix alone takes 620 MB and some minutes the first time.
servers:
	tests/interop/get_servers prometheus pushgateway datadog-agent datadog-openapi victoria-metrics phoenix oracles splunk-logging

test-interop: $(TEST_READY) servers ## fetch the real servers that metrics and traces go to, and run every test with them
	AGENTTRACE_CI=true $(BIN)/python -m pytest -n $(WORKERS) --dist loadscope tests/interop tests/export tests/sources

lint: $(TEST_READY) ## style of the Python files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(TEST_READY) ## types of the package, strictly
	$(BIN)/mypy

imports: $(TEST_READY) ## which room may import which
	$(BIN)/lint-imports --no-logo

format: $(TEST_READY) ## put the Python files in form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The bundle in the tree must be, byte for byte, what its sources build.
ifneq ($(HAVE_NODE),)
js: $(JS_READY) ## the widget: style, types, tests, and that the committed bundle is what its sources build
	cd js && npm run --if-present lint && npm run types && npm test
	@committed=$$(mktemp -d) && trap 'rm -rf "$$committed"' EXIT && cp -R $(STATIC)/. "$$committed" \
	  && (cd js && npm run build) && diff -r "$$committed" $(STATIC) \
	  || { echo "$(STATIC) was not what js/ builds; it is now: look at it and commit it" >&2; exit 1; }
else ifneq ($(IN_CI),)
js:
	@echo "npm is missing, and on a build server the widget must be checked: install Node 20 or newer" >&2; exit 1
else
js:
	@echo "SKIPPED: the widget's checks need Node 20 or newer (the bundle in the tree is used as it is)"
endif

bench: $(TEST_READY) ## the speed claims, each against its rival
	@missed=; for program in $(filter-out __init__ attribution isolated simulations workload,$(basename $(notdir $(wildcard benchmarks/*.py)))); do \
	  echo "== $$program"; $(BIN)/python -m benchmarks.$$program || missed="$$missed $$program"; done; \
	test -z "$$missed" || { echo "goals not reached (benchmarks/README.md says which are known):$$missed" >&2; exit 1; }

stats: $(TEST_READY) ## how often compare errs over simulated studies, in about ten minutes (STUDIES=2000 MINUTES=10)
	$(BIN)/python -m benchmarks.simulations --studies $(or $(STUDIES),2000) --minutes $(or $(MINUTES),10)

audit-100k: $(TEST_READY) ## an audit log of 100,000 entries: time, size and memory (some minutes)
	$(BIN)/python -m benchmarks.audit --only verifying --entries 100000

attribution: $(TEST_READY) ## how often attribute_failure is right, on runs with an injected fault
	$(BIN)/python -m benchmarks.attribution

clean: ## remove what these commands made, but not the environment and not your recorded runs
	rm -rf build dist js/node_modules .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find agenttrace_nb tests benchmarks notebooks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

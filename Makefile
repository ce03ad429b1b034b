# make tables   the default study: its tables are printed at the end
# make changed  what would run now, and why, in words
# make test     the tests
# make test-gpu those that run on a GPU; without one they skip and say so
# All set up .venv first, once. Other studies: make tables STUDY=entity_questions_small

PYTHON ?= python3
STUDY ?= default
BIN := .venv/bin
CONFIG := $(if $(filter default,$(STUDY)),,--configfile studies/$(STUDY).yaml)
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: tables changed test test-gpu setup lint publish clean

tables: setup
	snakemake --cores all $(CONFIG)
	@cat results/$(STUDY)/tables.md

changed: setup
	@python scripts/explain_changes.py $(CONFIG)

test: setup lint
	python -m pytest

test-gpu: setup
	python -m pytest -m gpu

lint: setup
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile rules

setup: .venv/ready

.venv/ready: envs/requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --requirement envs/requirements.lock
	@touch $@

# Copy a finished study's tables to where the repository keeps them.
publish: setup
	python scripts/publish_results.py --results results/$(STUDY) --reference results/reference/$(STUDY) --readme README.md

clean:
	rm -rf results/$(STUDY)

# Commands for users (`make` or `make help` prints this list):
#   make tables     run the default study, print its tables, and say whether they are the published ones
#   make report     make the report of a study: figures and tables on one page; run first what is missing, if it is not published
#   make changed    list the jobs that would run now, and the reasons
#   make plan       estimate what a study asks, trains and takes (GPU=H100); after a run, show what it took as well
#   make preflight  list what is missing before a study can run with a profile (PROFILE=profiles/slurm)
#   make benchmark  measure the probe and the training, beside other ways and the machine's limit (MODEL=qwen2)
#   make watch      show what a study is doing now: jobs, facts or steps done, time left (ONCE=1: one picture)
#   make export     write a finished study into a folder for others: labelled facts, adapters, tables (docs/take_away.md);
#                   TO=folder, LICENCE=name, UPLOAD=owner/name
#   make clean      remove a study's results
# These commands take STUDY=name, the name of a file in studies/ without .yaml. Example: make tables STUDY=entity_questions_small
# A config elsewhere is run with `snakemake --cores all --configfile FILE`, and scripts/plan_study.py and scripts/preflight.py
# take --study FILE. `make clean` also takes a study whose file is no longer in studies/.
#
# Commands for tests:
#   make test              the linters and the tests; the tests that need a GPU skip
#   make verify            compare the results here of every published study with its published tables; fail where they differ
#   make test-vllm         the tests of probe.engine: vllm, without a GPU
#   make test-slurm        the tiny studies on a real SLURM on this machine; it needs root and an installed SLURM
#   make test-slurm-faults the same with faults, such as cancelled jobs and lost nodes
#   make test-slurm-paper  the paper's study with stand-ins, on SLURM, with vLLM and four ranks
#   make test-gpu          the tests that need a GPU; without a GPU they skip and say so
#   make gpu-visit         figures of a GPU that is at hand for a quarter of an hour (BASE=base.json FACTS=facts.parquet OUT=folder)
#   make lint              the linters, the formatters and the type checker, as checks
#
# Commands for documentation:
#   make docs              the site of the documentation, in docs/_build/html
#
# Commands for environments and releases:
#   make setup             the environment .venv; most commands run this first, and only once
#   make develop           the same with what the tests and the linters need; the commands for tests run this first
#   make setup-controller  the environment .venv-controller without torch, for a host that only submits jobs
#   make setup-probe       the environment .venv-probe of probe.engine: vllm; without a GPU: PROBE_LOCK=envs/probe-cpu.lock
#   make locks             uv.lock and the locks in envs/ from pyproject.toml and from the lists envs/*.in
#   make envs              the conda files in envs/; run it after a change of a lock
#   make pretrained        make a study's shipped base models again and compare them; ship those that are new
#   make publish           copy a finished study's tables to results/reference/ and into docs/results.md

PYTHON ?= python3
STUDY ?= default
PROFILE ?= profiles/default
GPU ?=
MODEL ?= qwen2
TO ?=
LICENCE ?=
UPLOAD ?=
ONCE ?=
BIN := .venv/bin
CONFIG := $(if $(filter default,$(STUDY)),,--configfile studies/$(STUDY).yaml)
PROBE_LOCK ?= envs/probe.lock
PROBE_BIN := .venv-probe/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Else an older pip, such as that of Debian 12, installs a package without a wheel in a way that uv takes for a broken one.
export PIP_USE_PEP517 := 1

.PHONY: help tables report verify changed plan preflight benchmark watch export test test-vllm test-slurm test-slurm-faults \
	test-slurm-paper test-gpu gpu-visit setup develop setup-controller setup-probe locks envs lint docs pretrained publish clean study

SUPPORTED = $(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13) and "Python 3.11, 3.12 or 3.13 is needed")'

# The comment at the head of this file.
help:
	@sed -n '/^#/!q; s/^# \{0,1\}//; p' Makefile

# The names are checked by the shell, in the environment, because another text than a name could be anything to it.
export STUDY
STUDIES := default $(sort $(basename $(notdir $(wildcard studies/*.yaml))))
REFUSED = { echo "STUDY=$$STUDY: there is no such study; expected one of $(STUDIES)" >&2; exit 2; }

study:
	@case " $(STUDIES) " in *" $$STUDY "*) ;; *) $(REFUSED) ;; esac
	@case "$$STUDY" in ''|*[!a-z0-9_]*) $(REFUSED) ;; esac

tables: study setup
	snakemake --cores all $(CONFIG)
	@cat results/$(STUDY)/tables.md
	@python scripts/verify_tables.py --study $(STUDY)

# Of a study without results here that has been published, the report is made from what is published.
report: study setup
	@if [ -f results/$(STUDY)/provenance.json ] || [ ! -d results/reference/$(STUDY) ]; then \
		snakemake --cores all $(CONFIG) -- results/$(STUDY)/report.html && echo results/$(STUDY)/report.html; \
	else \
		python scripts/write_report.py --results results/reference/$(STUDY) && echo results/reference/$(STUDY)/report.html; \
	fi

# It fails where a cell differs. `make tables` only says so, because a study that its user has changed has other tables.
verify: setup
	@python scripts/verify_tables.py --strict

changed: study setup
	@python scripts/explain_changes.py $(CONFIG)

plan: study setup
	@python scripts/plan_study.py --study $(STUDY) --profile $(PROFILE) --gpu '$(GPU)'

preflight: study setup
	@python scripts/preflight.py --study $(STUDY) --profile $(PROFILE)

# A study with a file in tests/benchmarks is measured as that says.
benchmark: MEASURED = $(wildcard tests/benchmarks/$(STUDY).yaml)
benchmark: study setup
	test -f results/$(STUDY)/provenance.json || snakemake --cores all $(CONFIG)
	snakemake --snakefile tests/benchmarks/Snakefile --cores 2 --forceall \
	    $(if $(MEASURED),--configfile $(MEASURED),--config study=results/$(STUDY) model=$(MODEL))
	@cat results/benchmarks/$(if $(MEASURED),$(STUDY)/)probe.md

watch: study setup
	@python scripts/watch_study.py --study $(STUDY) $(if $(ONCE),--once)

export: study setup
	@python scripts/export_study.py --results results/$(STUDY) $(if $(TO),--to '$(TO)') \
		$(if $(LICENCE),--licence '$(LICENCE)') $(if $(UPLOAD),--upload-to '$(UPLOAD)')

# On two cores: each worker takes whole files, in the order of testpaths. What it starts says itself how many threads it has.
test: develop lint
	OMP_NUM_THREADS=1 python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-slurm: develop
	python -m pytest tests/slurm/test_study.py tests/slurm/test_stages.py

test-slurm-faults: develop
	python -m pytest tests/slurm/test_faults.py

# The paper's study with stand-ins for its models and fewer facts, with vLLM and four ranks.
test-slurm-paper: develop
	$(MAKE) setup-probe PROBE_LOCK=envs/probe-cpu.lock
	python -m pytest tests/slurm/test_paper_standin.py

test-gpu: develop
	python -m pytest -m gpu

# What a GPU shows in a quarter of an hour: BASE is a model's base.json, FACTS a facts.parquet, OUT a folder.
gpu-visit:
	PYTHONPATH=scripts:tests/benchmarks $(PYTHON) tests/gpu/visit.py --base $(BASE) --facts $(FACTS) --out $(OUT)

lint: develop
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile rules tests/benchmarks/Snakefile
	mypy
	snakemake --lint
	python scripts/describe_config.py --check
	python scripts/describe_results.py --check

# Every warning is an error, such as a link that leads nowhere.
docs: .venv-docs/ready
	.venv-docs/bin/sphinx-build --quiet -W --keep-going -c docs . docs/_build/html
	@echo docs/_build/html/index.html

setup: .venv/ready
develop: .venv/develop
setup-controller: .venv-controller/ready

.venv/ready: envs/controller.lock envs/train.lock envs/torch.lock
.venv-controller/ready: envs/controller.lock
.venv-docs/ready: envs/docs.lock

# pip compares every download with the digests in the locks. There are none of torch, whose builds differ, so it comes last.
TORCH := envs/torch.lock
%/ready:
	$(SUPPORTED)
	$(PYTHON) -m venv $*
	$*/bin/pip install --quiet --no-deps $(addprefix --requirement=,$(filter-out $(TORCH),$^))
	$(if $(filter $(TORCH),$^),$*/bin/pip install --quiet --requirement=$(TORCH))
	@touch $@

.venv/develop: .venv/ready envs/develop.lock
	$(BIN)/pip install --quiet --no-deps --requirement=envs/develop.lock
	@touch $@

locks: develop
	$(BIN)/uv lock
	for group in controller train develop docs; do \
		$(BIN)/uv export --frozen --quiet --no-annotate --only-group $$group --output-file envs/$$group.lock; done
	for probe in probe probe-cpu; do \
		$(BIN)/uv pip compile --quiet --no-deps --generate-hashes --no-annotate --universal --python-version 3.11 \
			envs/$$probe.in --output-file envs/$$probe.lock; done

envs: setup
	python scripts/write_conda_files.py

# The CPU twin leaves out packages that text does not need, so pip must not look for what its packages require.
setup-probe:
	$(SUPPORTED)
	@cmp --silent $(PROBE_LOCK) .venv-probe/ready || { rm -rf .venv-probe && $(PYTHON) -m venv .venv-probe \
		&& $(PROBE_BIN)/pip install --quiet --no-deps --requirement $(PROBE_LOCK) \
		&& $(PROBE_BIN)/pip install --quiet --no-deps --requirement $(TORCH) && cp $(PROBE_LOCK) .venv-probe/ready; }

test-vllm: develop
	$(MAKE) setup-probe PROBE_LOCK=envs/probe-cpu.lock
	$(PROBE_BIN)/python -m pytest tests/contract -k vllm  # the other engine is tested by `make test`
	python -m pytest tests/vllm_study

# A base model takes some ten minutes.
pretrained: study setup
	snakemake --cores all $(CONFIG) -- pretrained
	python scripts/ship_base.py --study $(STUDY)

# Copy a finished study's tables to where the repository keeps them.
publish: study setup
	python scripts/publish_results.py --results results/$(STUDY) --reference results/reference/$(STUDY) \
		--pages README.md docs/results.md
	python scripts/describe_results.py

clean:
	@case "$$STUDY" in ''|*[!a-z0-9_]*|reference|benchmarks) $(REFUSED) ;; esac
	rm -rf "results/$$STUDY"

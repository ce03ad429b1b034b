# make tables   the default study: its tables are printed at the end
# make changed  what would run now, and why, in words
# make plan     what a study would ask, train and take, before it runs; after it, what it took beside (GPU=H100)
# make preflight  what is missing before it runs where a profile says (PROFILE=profiles/slurm)
# make benchmark  how fast probe and training are, beside others' ways and the machine's limit; of a study's model (MODEL=qwen2)
# make test     the tests
# make setup-probe  the environment of probe.engine: vllm, for GPUs; PROBE_LOCK=envs/probe-cpu.lock for its CPU twin
# make test-vllm    the tests of that engine, without a GPU: the engines' contract, and the tiny study end to end
# make test-slurm, test-slurm-faults   the study on a real SLURM on this machine (root, SLURM installed), and through faults
# make test-gpu those that run on a GPU; without one they skip and say so
# All set up .venv first, once. Other studies: make tables STUDY=entity_questions_small
# make setup-controller   an environment without torch, for where jobs are only submitted, as .venv-controller
# make envs     the conda files in envs/, after a change of a lock

PYTHON ?= python3
STUDY ?= default
PROFILE ?= profiles/default
GPU ?=
MODEL ?= qwen2
BIN := .venv/bin
CONFIG := $(if $(filter default,$(STUDY)),,--configfile studies/$(STUDY).yaml)
PROBE_LOCK ?= envs/probe.lock
PROBE_BIN := .venv-probe/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: tables changed plan preflight benchmark test test-vllm test-slurm test-slurm-faults test-slurm-paper test-gpu setup setup-controller \
	setup-probe envs lint publish clean

tables: setup
	snakemake --cores all $(CONFIG)
	@cat results/$(STUDY)/tables.md

changed: setup
	@python scripts/explain_changes.py $(CONFIG)

plan: setup
	@python scripts/plan_study.py --study $(STUDY) --profile $(PROFILE) --gpu '$(GPU)'

preflight: setup
	@python scripts/preflight.py --study $(STUDY) --profile $(PROFILE)

benchmark: setup
	test -f results/$(STUDY)/provenance.json || snakemake --cores all $(CONFIG)
	snakemake --snakefile tests/benchmarks/Snakefile --cores 2 --forceall --config study=results/$(STUDY) model=$(MODEL)
	@cat results/benchmarks/probe.md

# On two cores: each worker takes whole files, and what it starts says itself how many threads it has.
test: setup lint
	OMP_NUM_THREADS=1 python -m pytest --numprocesses 2 --dist loadfile

test-slurm: setup
	python -m pytest tests/slurm/test_study.py

test-slurm-faults: setup
	python -m pytest tests/slurm/test_faults.py

# The paper's study with stand-ins for its models and fewer facts, with vLLM and four ranks.
test-slurm-paper: setup
	$(MAKE) setup-probe PROBE_LOCK=envs/probe-cpu.lock
	python -m pytest tests/slurm/test_paper.py

test-gpu: setup
	python -m pytest -m gpu

lint: setup
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile rules tests/benchmarks/Snakefile

setup: .venv/ready
setup-controller: .venv-controller/ready

.venv/ready: envs/controller.lock envs/train.lock
.venv-controller/ready: envs/controller.lock

%/ready:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $*
	$*/bin/pip install --quiet $(addprefix --requirement=,$^)
	@touch $@

envs: setup
	python scripts/write_conda_files.py

# The CPU twin leaves out packages that text does not need, so pip must not look for what its packages require.
setup-probe:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "Python 3.11 is needed: PYTHON=python3.11")'
	@cmp --silent $(PROBE_LOCK) .venv-probe/ready || { rm -rf .venv-probe && $(PYTHON) -m venv .venv-probe \
		&& $(PROBE_BIN)/pip install --quiet --no-deps --requirement $(PROBE_LOCK) && cp $(PROBE_LOCK) .venv-probe/ready; }

test-vllm: setup
	$(MAKE) setup-probe PROBE_LOCK=envs/probe-cpu.lock
	$(PROBE_BIN)/python -m pytest tests/contract -k vllm  # the other engine is tested by `make test`
	python -m pytest tests/workflow/test_vllm_study.py

# Copy a finished study's tables to where the repository keeps them.
publish: setup
	python scripts/publish_results.py --results results/$(STUDY) --reference results/reference/$(STUDY) --readme README.md

clean:
	rm -rf results/$(STUDY)

# The study, its paths and the few helpers that all rules share.

import fcntl
import json
import sys
from functools import cache

from snakemake.exceptions import WorkflowError
from snakemake.settings.types import DeploymentMethod

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "scripts"))

from gradual.workflow import costs
from gradual.workflow import job_failures
from gradual.workflow import gpus
from gradual.study import result_paths
from gradual.study import priorities
from gradual.workflow import slurm
from gradual.study import load_study
from gradual.tables import registry
from gradual.study.config import load_config
from gradual.ground.errors import InputError
from gradual.workflow.fingerprint import code_fingerprint
from gradual.study.runs import adapter_chain, probe_mode, runs, states_needed

try:
    STUDY = load_config(config, ROOT / "config.yaml", ROOT / "schemas" / "config.schema.json")
    TABLES_SHOWN = [registry.name_of(shown) for shown in STUDY["tables"]["show"]]
    WORKS = load_study.works_of(STUDY)
except InputError as error:
    raise WorkflowError(str(error))

RUNS = runs(STUDY)
SEEDS = STUDY["seeds"]
MODELS = STUDY["models"]
PROBE = STUDY["probe"]
# Of probes and evaluations alike.
ANSWERING = ("engine", "shots", "exemplars", "format", "stop", "max_new_tokens", "repetition_penalty")
SETTLED = PROBE["counts"] == "settled"
UNUSED = [] if SETTLED else ["gradual.knowledge.settling"]  # what the study's settings keep its scripts from importing
RESULTS = f"results/{STUDY['study']}"

# Jobs of different models, seeds and runs go side by side; what cores remain is shared among them. On a cluster, which
# gives each job its own, the profile says how many (set-threads).
PRETRAINING_THREADS = max(1, (workflow.resource_settings.cores or 1) // (len(MODELS) * len(SEEDS)))
THREADS = max(1, PRETRAINING_THREADS // max(1, len({work["state"] for work in WORKS} & set(RUNS))))

# Where jobs run, for a machine without a scheduler; a profile says otherwise by set-resources. No result depends on it.
# Snakemake by itself counts no GPUs: here, jobs side by side ask for no more than there are, and one job is given no more.
GPUS = len(gpus.here())
if GPUS and workflow.is_main_process and workflow.nodes is None and "gpu" not in workflow.global_resources:
    workflow.register_resource("gpu", GPUS)
GPU = min(1, GPUS)
CONDA = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method  # a job's `python` is then its own
ENGINE_ENVIRONMENT = {"transformers": "../envs/train.yaml", "vllm": "../envs/probe.yaml"}[PROBE["engine"]]
ENGINE_RESOURCES = {
    "python": ".venv-probe/bin/python" if PROBE["engine"] == "vllm" and not CONDA else "python",
    "gpu": GPU,
    "gpu_memory_percent": 90,
    "max_model_length": 0,
}

# The scripts whose code the results come from.
CODED = (
    "build_facts build_corpus pretrain_base fetch_base probe_facts check_probe grade_generations categorize_facts"
    " estimate_chance select_facts train_adapter evaluate_epochs grade_epochs choose_epoch write_table"
).split()

# Of the probes that are checked.
AGREEMENTS = [f"{RESULTS}/{result_paths.agreement(seed, model)}" for seed in SEEDS for model in MODELS if PROBE["checked"]]

JOBS_LOCK = f"{RESULTS}/.jobs"  # held by every job at work; names the SLURM run whose jobs may be

# glibc gives big buffers back to the system after each use, which slows small models down several times. Snakemake tells
# torch, numpy and pyarrow a job's threads (OMP_NUM_THREADS), but not tokenizers. No job but a download asks the hub for
# anything. A job that is warned of its end (SIGTERM) has its time to write what it has: its shell waits for it. One that
# is killed cannot write why: its shell does, to the log that ends its command.
shell.prefix(
    f"set -euo pipefail; exec 9<>{JOBS_LOCK}; flock -s 9 2>/dev/null || true;"
    " export MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=4294967296;"
    " export RAYON_NUM_THREADS=$OMP_NUM_THREADS HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1; trap : TERM;"
    " trap 's=$?; [ $s -le 128 ] || echo \"error: ended by signal $((s - 128)); 9 is often the system, short of memory:"
    ' run fewer jobs at once (--cores)" >> "${{BASH_COMMAND##*2> }}"\' EXIT; '
)


wildcard_constraints:
    seed=r"\d+",
    model="|".join(MODELS),
    state="|".join(["origin", *RUNS]),
    run="|".join(RUNS),
    probe=r"\d+",
    shard=r"\d+",
    split="train|dev|test",
    table="|".join(registry.TABLES),


def lock_study(logs):
    """Hold the study for this process; another one that would run it ends with an error.

    The system releases the lock when the process ends, however it ends, so that a killed run can be started again
    (Snakemake's own lock stays behind, and is off in the profiles). Jobs that outlive a killed Snakemake hold a lock of
    their own, which they share. Jobs in SLURM's queue hold none yet, and those at work on other hosts only where the
    file system passes locks on: of them SLURM is asked, by the run's name that `logs` (Snakemake's own) tell.
    """
    global lock
    Path(RESULTS).mkdir(parents=True, exist_ok=True)
    lock = open(of_study(".lock"), "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise WorkflowError(f"another Snakemake is at work on {RESULTS}")
    with open(JOBS_LOCK, "a+") as jobs:
        try:
            fcntl.flock(jobs, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise WorkflowError(
                f"jobs of a Snakemake that was killed are still at work on {RESULTS}: wait, or end them"
            )
        jobs.seek(0)
        run = jobs.read().strip()
        try:
            left = slurm.jobs_of(run) if run else []
        except InputError as error:
            raise WorkflowError(str(error))
        if left:
            raise WorkflowError(
                f"jobs of a Snakemake that was killed are still in SLURM's queue for {RESULTS} ({', '.join(left)}):"
                f" wait, or end them with scancel --name {run}"
            )
        jobs.truncate(0)
        jobs.write(slurm.run_name(logs))


def of_study(file):
    return f"{RESULTS}/{file}"


def of_seed(file):
    return of_study(f"seed{{seed}}/{file}")


def of_model(file):
    return of_seed(f"{{model}}/{file}")


def of_state(file):
    return of_model(f"{{state}}/{file}")


def of_probe(file):
    return of_model(f"{result_paths.probe_folder('{state}', '{split}', '{probe}')}/{file}")


def of_run(file):
    return of_model(f"{{run}}/{file}")


def log_file(name):
    return of_study(f"logs/{name}")


def benchmark_file(name):
    return of_study(f"benchmarks/{name}")


@cache
def code(script):
    """The meaning of a script and of the library modules it uses in this study: a change of it re-runs the rule."""
    return code_fingerprint(ROOT / "scripts" / f"{script}.py", ROOT / "scripts" / "gradual", UNUSED)


def as_json(value):
    """A config section as a script takes it."""
    return json.dumps(value, sort_keys=True)


def dtype(wildcards):
    return MODELS[wildcards.model]["dtype"]


def mode(wildcards):
    return probe_mode(STUDY, wildcards.state, int(wildcards.probe))


def sampling(wildcards):
    """How a probe samples answers; nothing for greedy ones, which no such setting changes."""
    settings = {k: PROBE[k] for k in ("samples", "temperature", "top_k", "sampled_for")}
    return ["--sampling", as_json(settings)] if mode(wildcards) == "full" else []


LIGHT = 10**6  # priority of light jobs that others wait for
URGENCIES = priorities.urgencies(WORKS, STUDY)


def urgency(work):
    """The priority of jobs that do a kind of work: how much waits for them."""
    return lambda wildcards: URGENCIES.get((wildcards.model, wildcards.get("run") or wildcards.state, work), 0)


def probe_urgency(wildcards):
    return urgency(costs.probe_of(wildcards.split, int(wildcards.probe)))(wildcards)


def adapter_folders(states):
    """The chosen adapters of the states, as wildcard patterns of folders."""
    return [of_model(f"{state}/adapter") for state in states]


def adapter_files(folders):
    """What Snakemake tracks of adapter folders."""
    return [f"{folder}/{name}" for folder in folders for name in ("adapter_model.safetensors", "adapter_config.json")]


def beneath(run):
    """The states whose adapters are merged into the weights beneath a run's own adapter."""
    return adapter_chain(RUNS, run)[:-1]


def continued(run):
    """The state whose adapter a run continues to train, in a list; empty where it trains a new one."""
    return [] if RUNS[run].settings["adapter"] == "merge" else adapter_chain(RUNS, RUNS[run].parent)[-1:]


def size_of(wildcards):
    """The selection that a run's has the size of, in a list; empty where it has none."""
    named = RUNS[wildcards.run].size_of
    return expand(of_model(f"{named}/selection.parquet"), **wildcards) if named else []


def parent_adapter(wildcards):
    return [
        flag
        for folder in adapter_folders(continued(wildcards.run))
        for flag in ("--parent", *expand(folder, **wildcards))
    ]


def training_settings(wildcards):
    return {k: v for k, v in RUNS[wildcards.run].settings.items() if k != "adapter"}


DOWNLOAD = load_study.download_of(STUDY)


def raw_source():
    """The dataset's raw files: the local path where it exists, else the download; nothing for the generated world."""
    path = STUDY["dataset"]["path"] and Path(STUDY["dataset"]["path"]).expanduser()
    return str(path) if path and (path.exists() or not DOWNLOAD) else DOWNLOAD


SOURCE = raw_source()


def raw_files(wildcards):
    """What Snakemake tracks of the raw files: each file of a folder, or the archive."""
    if SOURCE and Path(SOURCE).is_dir():
        return sorted(str(p) for p in Path(SOURCE).rglob("*") if p.suffix in (".json", ".jsonl", ".tsv"))
    return [SOURCE] if SOURCE else []


def model_files(wildcards):
    """The files of a base model from a local folder, so that other weights make another model; none for the hub's."""
    folder = Path(MODELS[wildcards.model].get("path") or "")
    return sorted(str(f) for f in folder.glob("*") if f.suffix in (".json", ".safetensors")) if folder.name else []


def models_from(*sources):
    """A wildcard constraint: the models of these sources; nothing matches where there are none."""
    return "|".join(name for name, model in MODELS.items() if model["source"] in sources) or "^$"


def state_adapters(wildcards):
    return adapter_folders(adapter_chain(RUNS, wildcards.state))


def evaluated_epochs(wildcards):
    """The handle of the epochs that are evaluated, in a list; empty for the origin."""
    handle = of_run("epochs/epochs.json")
    return [] if wildcards.state == "origin" else expand(handle, run=wildcards.state, allow_missing=True)


def evaluated_beneath(wildcards):
    return [] if wildcards.state == "origin" else adapter_folders(beneath(wildcards.state))


def parent_generations(wildcards):
    """The parent's answers, which a run's must not all equal."""
    return (
        []
        if wildcards.state == "origin"
        else of_model(f"{RUNS[wildcards.state].parent}/evaluation/generations.parquet")
    )

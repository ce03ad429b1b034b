# The study, its paths and the few helpers that all rules share.

import json
import sys
from dataclasses import asdict, fields
from functools import cache

from snakemake.exceptions import WorkflowError
from snakemake.settings.types import DeploymentMethod

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "scripts"))

from gradual.data import dataset
from gradual.data.question_sets import QUESTION_SETS
from gradual.ground.errors import InputError
from gradual.models.adapters import ADAPTER_FILES
from gradual.probe.settings import AnswerSettings, Sampling
from gradual.study import result_files, steps
from gradual.study.config import load_config
from gradual.study.priorities import urgencies
from gradual.study.result_files import KINDS, Result
from gradual.study.runs import ORIGIN, probe_mode, runs, selected_states
from gradual.tables import registry
from gradual.workflow import gpus, job_failures, lock
from gradual.workflow.fingerprint import chosen_by, code_fingerprint
from gradual.workflow.works import wanted_results, works_of

try:
    STUDY = load_config(config, ROOT / "config.yaml", ROOT / "schemas" / "config.schema.json")
    TABLES_SHOWN = [registry.name_of(shown) for shown in STUDY["tables"]["show"]]
    WANTED = wanted_results(STUDY)
    WORKS = works_of(STUDY)
except InputError as error:
    raise WorkflowError(str(error))

RUNS = runs(STUDY)
SEEDS = STUDY["seeds"]
MODELS = STUDY["models"]
PROBE = STUDY["probe"]
RESULTS = f"results/{STUDY['study']}"

# Jobs of different models, seeds and runs go side by side; what cores remain is shared among them. On a cluster, which
# gives each job its own, the profile says how many (set-threads).
PRETRAINING_THREADS = max(1, (workflow.resource_settings.cores or 1) // (len(MODELS) * len(SEEDS)))
THREADS = max(1, PRETRAINING_THREADS // max(1, len({work.state for work in WORKS} & set(RUNS))))

# Where jobs run, for a machine without a scheduler; a profile says otherwise by set-resources. No result depends on it.
# Snakemake by itself counts no GPUs: here, jobs side by side ask for no more than there are, and one job is given no more.
GPUS = len(gpus.here())
if GPUS and workflow.is_main_process and workflow.nodes is None and "gpu" not in workflow.global_resources:
    workflow.register_resource("gpu", GPUS)
GPU = min(1, GPUS)
CONDA = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method  # a job's `python` is then its own
ENGINE_RESOURCES = {
    "python": ".venv-probe/bin/python" if PROBE["engine"] == "vllm" and not CONDA else "python",
    "gpu": GPU,
    "gpu_memory_percent": 90,
    "max_model_length": 0,
}

# The results whose rules compute something, in the order of the story; provenance names their code.
CODED = [KINDS[kind].rule for kind in steps.GRAPH] + [kind.rule for kind in steps.STATE_KINDS.values()]
CODED = [*dict.fromkeys(CODED), "fetch_base", "write_table"]

# glibc gives big buffers back to the system after each use, which slows small models down several times. Snakemake tells
# torch, numpy and pyarrow a job's threads (OMP_NUM_THREADS), but not tokenizers. No job but a download asks the hub for
# anything. A job that is warned of its end (SIGTERM) has its time to write what it has: its shell waits for it. One that
# is killed cannot write why: its shell does, to the log that ends its command. Every job holds a lock that it shares.
shell.prefix(
    f"set -euo pipefail; exec 9<>{RESULTS}/{lock.JOBS}; flock -s 9 2>/dev/null || true;"
    " export MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=4294967296;"
    " export RAYON_NUM_THREADS=$OMP_NUM_THREADS HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1; trap : TERM;"
    " trap 's=$?; [ $s -le 128 ] || echo \"error: ended by signal $((s - 128)); 9 is often the system, short of memory:"
    ' run fewer jobs at once (--cores)" >> "${{BASH_COMMAND##*2> }}"\' EXIT; '
)


wildcard_constraints:
    seed=r"\d+",
    model="|".join(MODELS),
    state="|".join([ORIGIN, *RUNS]),
    probe=r"\d+",
    shard=r"\d+",
    questions="|".join(QUESTION_SETS),
    table="|".join(registry.TABLES),


def lock_study(logs):
    """Hold the study for this process; see workflow/lock.py."""
    global held
    try:
        held = lock.hold(Path(RESULTS), logs)
    except InputError as error:
        raise WorkflowError(str(error))


# Paths. `result("categories")` is the pattern of a kind of result (study/result_files.py).


def result(kind):
    return f"{RESULTS}/{KINDS[kind].pattern}"


def log_file(rule_name):
    return f"{RESULTS}/logs/{rule_name}/{result_files.JOBS[rule_name]}.log"


def benchmark_file(rule_name):
    return f"{RESULTS}/benchmarks/{rule_name}/{result_files.JOBS[rule_name]}.tsv"


# The graph. A rule's inputs are those that study/steps.py names for the result that it makes.


def wanted(kind, wildcards):
    """The result of a kind that a job's wildcards ask for."""
    given = {name: wildcards.get(name) for name in ("state", "probe", "questions") if wildcards.get(name) is not None}
    return Result(kind, **given | ({"probe": int(given["probe"])} if "probe" in given else {}))


def files_of(found, wildcards):
    """The files of a result of the job's model and seed: one for each shard of generations, else one."""
    count = PROBE["shards"] if found.kind == "generations" else 1
    seed, model = wildcards.seed, wildcards.get("model", "")
    return [f"{RESULTS}/{result_files.path_of(found, seed, model, shard)}" for shard in range(count)]


def made_from(kind):
    """The inputs of the rule that makes a kind of result, by name."""

    def named(wildcards):
        inputs = steps.inputs(wanted(kind, wildcards), RUNS)
        return {name: [f for found in results for f in files_of(found, wildcards)] for name, results in inputs.items()}

    return unpack(named)


LIGHT = 10**6  # priority of light jobs that others wait for
URGENCIES = urgencies(WANTED, STUDY)


def urgency(kind):
    """The priority of jobs that make a kind of result: how much work waits for them."""
    return lambda wildcards: URGENCIES.get((wildcards.model, wanted(kind, wildcards)), 0)


def states_of(kind):
    """A wildcard constraint: the runs whose states come about in this way; nothing matches where there are none."""
    return "|".join(name for name, run in RUNS.items() if run.kind == kind) or "^$"


def models_from(*sources):
    """A wildcard constraint: the models of these sources; nothing matches where there are none."""
    return "|".join(name for name, model in MODELS.items() if model["source"] in sources) or "^$"


def environment(rule_name):
    """The conda file of the environment that a rule's jobs need."""
    return f"../envs/{steps.environment(rule_name, PROBE['engine'])}.yaml"


# Params: exactly the settings that a rule uses, and the meaning of its code.

CHOSEN = chosen_by(STUDY)


@cache
def fingerprint(script, choices):
    return code_fingerprint(
        ROOT / "scripts" / f"{script}.py", ROOT / "scripts" / "gradual", CHOSEN | {k: [v] for k, v in choices}
    )


def code(script, **choices):
    """The meaning of a script and of the library modules that it uses in this study: a change of it re-runs the rule.

    `choices` are what a job chooses beyond the study: the table that it makes, the objective that it trains with.
    """
    return fingerprint(script, tuple(choices.items()))


def as_json(value):
    """A config section as a script takes it."""
    return json.dumps(value, sort_keys=True)


def part(kind, section):
    """The keys of a config section that a settings class has, as a script takes them."""
    return as_json({field.name: section[field.name] for field in fields(kind)})


def without(section, *keys):
    """A config section without some keys, as a script takes it."""
    return as_json({key: value for key, value in section.items() if key not in keys})


def dtype(wildcards):
    return MODELS[wildcards.model]["dtype"]


def mode(wildcards):
    return probe_mode(STUDY, wildcards.state, int(wildcards.probe))


def sampling(wildcards):
    """How a probe samples answers; nothing for a greedy one, which no such setting changes."""
    return ["--sampling", part(Sampling, PROBE)] if mode(wildcards) == "full" else []


def counts(wildcards):
    """How much a probe asks about a fact, and the word that decides it."""
    if PROBE["counts"] == "settled":
        return ["settled", STUDY["scoring"]]
    return ["exact", PROBE["sampled_for"] if mode(wildcards) == "full" else "unsolved"]


def replayed(run):
    """The state and the category of the facts that a run replays, in a list; empty where it replays none."""
    return [run.replay.state, run.replay.category] if run.replay else []


# Raw files.

DOWNLOAD = dataset.download_path(STUDY["dataset"])
SOURCE = dataset.raw_source(STUDY["dataset"])
EXEMPLAR_SPLITS = {PROBE["exemplar_split"], STUDY["evaluation"]["exemplar_split"]}


def model_files(wildcards):
    """The files of a base model from a local folder, so that other weights make another model; none for the hub's."""
    folder = Path(MODELS[wildcards.model].get("path") or "")
    return sorted(str(f) for f in folder.glob("*") if f.suffix in (".json", ".safetensors")) if folder.name else []

# The study, its paths, and the helpers that all rules share.

import gc
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
from gradual.ground.files import digest
from gradual.knowledge.answerable import Limits
from gradual.models import fetching, folder, shipped
from gradual.models.adapters import ADAPTER_FILES
from gradual.probe.engines.memory import memory_here
from gradual.probe.settings import AnswerSettings, Sampling
from gradual.report import registry as figures
from gradual.study import result_files, steps
from gradual.study.config_texts import PATH, path_problem
from gradual.study.load_study import load_files
from gradual.study.priorities import urgencies
from gradual.study.result_files import KINDS, Result
from gradual.study.runs import ORIGIN, composed, probe_mode, runs, selected_states
from gradual.tables import registry
from gradual.workflow import gpus, job_failures, lock, timers
from gradual.workflow.fingerprint import chosen_by, code_fingerprint
from gradual.workflow.works import wanted_results, works_of

# The graph has many objects that last as long as the process, so the garbage collector must not search them at every turn.
gc.freeze()
gc.set_threshold(100_000)

if problem := path_problem(str(ROOT)):
    raise WorkflowError(f"The folder of the project: {problem}; expected {PATH}. Move or rename the folder.")
if not Path.cwd().samefile(ROOT):
    raise WorkflowError(f"The workflow runs in the folder of its Snakefile. Leave --directory out, or give {ROOT}.")

try:
    # Of a key that is in a file twice, `config` would have the last value. So the files are read again.
    STUDY = load_files(workflow.configfiles, workflow.config_settings.config, ROOT)
    TABLES_SHOWN = [registry.name_of(shown) for shown in STUDY["tables"]["show"]]
    FIGURES = figures.shown(STUDY, TABLES_SHOWN, registry.all_needs(TABLES_SHOWN, STUDY))
    WANTED = wanted_results(STUDY)
    WORKS = works_of(STUDY)
except InputError as error:
    raise WorkflowError(str(error))

RUNS = runs(STUDY)
SEEDS = STUDY["seeds"]
MODELS = STUDY["models"]
PROBE = STUDY["probe"]
RESULTS = f"results/{STUDY['study']}"

# Jobs of different models, seeds and runs share the cores of this machine, because they run at the same time. On a
# cluster, each job has its own cores, and the profile sets their number (set-threads).
SHARES = len(MODELS) * len(SEEDS) * max(1, len({work.state for work in WORKS} & set(RUNS)))
CORES = workflow.resource_settings.cores or 1
THREADS = max(1, CORES // SHARES)

# The resources of jobs on a machine without a scheduler. A profile overrides them (set-resources). No result depends on
# them. Snakemake does not count GPUs by itself. So the resource gpu is limited here to the GPUs of this machine.
GPUS = len(gpus.here())
if GPUS and workflow.is_main_process and workflow.nodes is None and "gpu" not in workflow.global_resources:
    workflow.register_resource("gpu", GPUS)
GPU = min(1, GPUS)
# Jobs that run at the same time share the memory of this machine. On a cluster, each job has what the profile gives it.
MEMORY = int(0.8 * memory_here() * THREADS / CORES) >> 20 if workflow.nodes is None else 0
# With conda environments, `python` is that of the job's own environment.
CONDA = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method
ENGINE_RESOURCES = {
    "python": ".venv-probe/bin/python" if PROBE["engine"] != "transformers" and not CONDA else "python",
    "gpu": GPU,
    "gpu_memory_percent": 90,
    "max_model_length": 0,
    "engine_memory_mb": MEMORY,
}

# The rules whose code goes into the provenance, in the order of the graph.
CODED = [*dict.fromkeys(rule for kind in steps.GRAPH for rule in steps.rules_of(kind)), "fetch_base", "write_table"]

# The beginning of each job's shell command:
# - Every job holds the shared lock of the study's jobs (workflow/lock.py).
# - By default, glibc returns large buffers to the system after each use, which makes small models several times slower.
# - Snakemake sets the threads of torch, numpy and pyarrow (OMP_NUM_THREADS), but not those of tokenizers.
# - Only downloads may use the hub.
# - After SIGTERM, the shell waits for the job, so that the job can save its work.
# - A killed job cannot write a cause to its log, so the shell does. The log is the last word of the job's command.
shell.prefix(
    f"set -euo pipefail; exec 9<>{RESULTS}/{lock.JOBS}; flock -s 9 2>/dev/null || true;"
    " export MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=4294967296;"
    " export RAYON_NUM_THREADS=$OMP_NUM_THREADS HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1; trap : TERM;"
    " trap 's=$?; [ $s -le 128 ] || echo \"error: ended by signal $((s - 128)); 9 often means full memory;"
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
    figure="|".join(figures.FIGURES),


def lock_study(logs):
    """Hold the lock of the study for this process (see workflow/lock.py)."""
    global held
    try:
        held = lock.hold(Path(RESULTS), logs)
    except InputError as error:
        raise WorkflowError(str(error))


# Paths. For example, `result("categories")` is the path pattern of the categories (study/result_files.py).


def result(kind):
    return f"{RESULTS}/{KINDS[kind].pattern}"


def log_file(rule_name):
    return f"{RESULTS}/logs/{rule_name}/{result_files.JOBS[rule_name]}.log"


def benchmark_file(rule_name):
    return f"{RESULTS}/benchmarks/{rule_name}/{result_files.JOBS[rule_name]}.tsv"


# The graph. study/steps.py names the inputs of a rule for the result that the rule makes.


def wanted(kind, wildcards):
    """The result of a kind that a job's wildcards name."""
    given = {name: wildcards.get(name) for name in ("state", "probe", "questions") if wildcards.get(name) is not None}
    return Result(kind, **given | ({"probe": int(given["probe"])} if "probe" in given else {}))


def files_of(found, wildcards):
    """The files of a result, for the model and seed of the job. Raw answers have a file per shard, other results one."""
    count = PROBE["shards"] if found.kind == "generations" else 1
    seed, model = wildcards.seed, wildcards.get("model", "")
    return [f"{RESULTS}/{result_files.path_of(found, seed, model, shard)}" for shard in range(count)]


BASE = str(Path(result("base")).parent)
BASE_FILES = ("model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json")  # of a pretrained model


def made_from(kind):
    """The inputs of the rule that makes a kind of result, by name."""

    def named(wildcards):
        inputs = steps.inputs(wanted(kind, wildcards), RUNS)
        files = {name: [f for found in results for f in files_of(found, wildcards)] for name, results in inputs.items()}
        # A script reads an adapter or a base model by its handle. The files beside the handle are inputs too, so that
        # Snakemake notices a damaged or missing one. A base model that is not made here is elsewhere.
        beside = {"adapter": ADAPTER_FILES, "composition": ADAPTER_FILES}
        if MODELS.get(wildcards.get("model"), {}).get("source") == "pretrain":
            beside["base"] = BASE_FILES
        read = [found for results in inputs.values() for found in results if found.kind in beside]
        handles = [(Path(f), beside[found.kind]) for found in read for f in files_of(found, wildcards)]
        return files | {"beside": [str(handle.with_name(name)) for handle, names in handles for name in names]}

    return unpack(named)


LIGHT = 10**6  # the priority of short jobs that other jobs wait for
URGENCIES = urgencies(WANTED, STUDY)


def urgency(kind):
    """The priority of the jobs that make a kind of result. It is the work that waits for the job (study/priorities.py)."""
    return lambda wildcards: URGENCIES.get((wildcards.model, wanted(kind, wildcards)), 0)


def states_by(rule_name, kind):
    """A wildcard constraint: the runs whose result of a kind this rule makes. Without such runs, it matches nothing."""
    made = (name for name, run in RUNS.items() if steps.ALTERNATIVES[kind].of(run) == rule_name)
    return "|".join(made) or "^$"


def states_that_prefer():
    """A wildcard constraint: the runs with the objective preference. Without such runs, it matches nothing."""
    return "|".join(name for name, run in RUNS.items() if run.preference) or "^$"


def models_from(*sources):
    """A wildcard constraint: the models of these sources. Without such models, it matches nothing."""
    return "|".join(name for name, model in MODELS.items() if model["source"] in sources) or "^$"


def environment(rule_name):
    """The conda file of the environment that a rule's jobs need."""
    return f"../envs/{steps.environment(rule_name, PROBE['engine'])}.yaml"


# Params: only the settings that a rule uses, and the fingerprint of its code. A change of a param re-runs the rule.

CHOSEN = chosen_by(STUDY)


@cache
def fingerprint(script, choices):
    chosen = CHOSEN | {k: [v] for k, v in choices}
    kept = ROOT / ".snakemake" / "fingerprints"
    return code_fingerprint(ROOT / "scripts" / f"{script}.py", ROOT / "scripts" / "gradual", chosen, kept)


def code(script, **choices):
    """The fingerprint of a script and of the library modules that it uses in this study.

    `choices` are names that differ between the jobs of a study, such as the table or the objective of a job.
    """
    return fingerprint(script, tuple(choices.items()))


def verbatim(value):
    """A param with any characters. Snakemake fills wildcards into {name} in constant params, but not in a function's."""
    return lambda wildcards: value


def as_json(value):
    """A config section as JSON, for the option of a script."""
    return json.dumps(value, sort_keys=True)


def part(kind, section):
    """The keys of a config section that a settings class has, as JSON."""
    return as_json({field.name: section[field.name] for field in fields(kind)})


def without(section, *keys):
    """A config section without some keys, as JSON."""
    return as_json({key: value for key, value in section.items() if key not in keys})


def training_settings(run):
    """The training settings of a run. The objective's own ones, if it has some, are under its name."""
    own = {"preference": asdict(run.preference.loss)} if run.preference else {}
    return as_json(asdict(run.training) | own)


def model_settings(wildcards):
    """The config of a model, without what is not about the base model's files. GGUF files are converted to the dtype."""
    model = MODELS[wildcards.model]
    return without(model, "label", "paper", "runs", *([] if fetching.is_converted(model) else ["dtype"]))


def dtype(wildcards):
    return MODELS[wildcards.model]["dtype"]


def mode(wildcards):
    return probe_mode(STUDY, wildcards.state, int(wildcards.probe))


def sampling(wildcards):
    """The option with a probe's sampling settings. A greedy probe has none, so a change of them does not re-run it."""
    return ["--sampling", part(Sampling, PROBE)] if mode(wildcards) == "full" else []


def counts(wildcards):
    """How much a probe asks about a fact, and the word that decides it (see COUNTS in scripts/probe_facts.py)."""
    if PROBE["counts"] == "settled":
        return ["settled", STUDY["scoring"]]
    return ["exact", PROBE["sampled_for"] if mode(wildcards) == "full" else "unsolved"]


def replayed(run):
    """The state and the category, or the roles, of a run's replay pool, as a list. Empty for a run without replay."""
    replay = run.replay
    return [] if replay is None else list(replay.facts) or [replay.state, replay.category]


# Raw files.

# The job that builds the facts also downloads the raw files. No rule has them as its output, because studies with the same url
# share them, and Snakemake removes the output of a failed job.
try:
    SOURCE = dataset.raw_source(STUDY["dataset"])
except InputError as error:
    raise WorkflowError(str(error))
DOWNLOADED = SOURCE == dataset.download_path(STUDY["dataset"])
REVISIONS, WORDINGS = STUDY["dataset"]["revisions"], STUDY["dataset"]["wordings"]  # null: without them
TRAINED = WORDINGS["train"] if WORDINGS else [0]  # the wordings of questions to train on, and those to ask
ASKED = sorted({*TRAINED, *WORDINGS["test"]}) if WORDINGS else [0]
# Snakemake does not ask for an input that is missing if the output is there. So it would keep facts of another source.
NAMED = {"path": None if DOWNLOADED else SOURCE, "manifest": STUDY["dataset"]["manifest"]}
for key, named in NAMED.items():
    if named and not Path(named).exists():
        raise WorkflowError(f"dataset.{key}: there is no file or folder {str(named)!r}")
DATED = Path(REVISIONS["file"]).expanduser() if REVISIONS and REVISIONS["file"] else None
if DATED and not DATED.is_file():
    raise WorkflowError(f"dataset.revisions.file: there is no file {str(DATED)!r}")
DATASET = without(STUDY["dataset"], "revisions", "wordings", *(["path"] if DOWNLOADED else ["url", "sha256"]))
raw_digest = cache(lambda: dataset.raw_digest(STUDY["dataset"]))  # the same for all seeds
EXEMPLAR_SPLITS = {PROBE["exemplar_split"], STUDY["evaluation"]["exemplar_split"]}


def trackable(files):
    """The files, if Snakemake can track them. It takes {name} for a wildcard, and <name> for a variable."""
    for file in files:
        if problem := path_problem(str(file)):
            raise WorkflowError(f"{str(file)!r}: {problem}; expected {PATH}")
    return [str(Path(file)) for file in files]


def model_files(wildcards):
    """The files of a base model in a local folder, so that a change of them re-runs the rule. Empty for other models."""
    return trackable(fetching.local_files(MODELS[wildcards.model]))


def model_content(wildcards):
    """The content of these files, because Snakemake does not look at a file with an older date. Empty for other models."""
    model = MODELS[wildcards.model]
    files = tuple(fetching.local_files(model))
    return folder.content(fetching.folder_named(model), files) if files else ""

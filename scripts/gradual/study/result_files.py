"""The result files of a study: for each kind of result, its path below results/<study>/ and the rule that makes it.

A path is a pattern. Snakemake reads its names in braces as wildcards, and `path` fills them in. States are `origin` and
the names of the runs. Probe 0 is the probe. Probe 1 is the re-probe, with other prompts.
"""

from collections.abc import Iterable
from typing import NamedTuple

from gradual.study.runs import ORIGIN


class Kind(NamedTuple):
    """A kind of result: the rule that makes it, and the pattern of its path."""

    rule: str
    pattern: str


FACTS, COMMUNITIES, CORPUS, BASE = "facts", "communities", "corpus", "base"
REVISIONS, GROUPS, WORDINGS = "revisions", "groups", "wordings"
GENERATIONS, PROBE_GRADES, CATEGORIES = "generations", "probe_grades", "categories"
AGREEMENT, CHANCE, ANSWERABLE = "agreement", "chance", "answerable"
SELECTION, EXAMPLES, EPOCHS, ADAPTER = "selection", "examples", "epochs", "adapter"
SAMPLES = "samples"
EVALUATION, GRADES, ACCURACY = "evaluation", "evaluation_grades", "accuracy"
OWN_EXAMPLES, AUGMENTED, AUGMENTED_COUNTS = "own_examples", "augmented", "augmented_counts"
GROUP_ANSWERS, GROUP_GRADES = "group_answers", "group_grades"
COMPOSITION, CHANGE = "composition", "change"
TABLE_CSV, TABLE_MARKDOWN, TABLES, COSTS_CSV, COSTS, PROVENANCE = (
    "table_csv table_markdown tables costs_csv costs provenance".split()
)
LOSS, FIGURE_CSV, FIGURE_SVG, REPORT = "loss", "figure_csv", "figure_svg", "report"

_SEED = "seed{seed}"
_MODEL = f"{_SEED}/{{model}}"
_STATE = f"{_MODEL}/{{state}}"
_PROBE = f"{_STATE}/{{questions}}-probe-{{probe}}"
_GROUPS = f"{_STATE}/groups-{{probe}}"

KINDS: dict[str, Kind] = {
    FACTS: Kind("build_facts", f"{_SEED}/facts.parquet"),
    COMMUNITIES: Kind("build_facts", f"{_SEED}/communities.parquet"),
    "fact_counts": Kind("build_facts", f"{_SEED}/facts.csv"),
    REVISIONS: Kind("revise_facts", f"{_SEED}/revisions.parquet"),
    GROUPS: Kind("revise_facts", f"{_SEED}/groups.parquet"),
    WORDINGS: Kind("reword_questions", f"{_SEED}/wordings.parquet"),
    CORPUS: Kind("build_corpus", f"{_SEED}/corpus.parquet"),
    "exposure": Kind("build_corpus", f"{_SEED}/exposure.parquet"),
    BASE: Kind("pretrain_base", f"{_MODEL}/base/base.json"),  # or fetch_base
    ANSWERABLE: Kind("check_answers", f"{_MODEL}/answerable.csv"),
    GENERATIONS: Kind("probe_facts", f"{_PROBE}/generations-{{shard}}.parquet"),
    "probe_usage": Kind("probe_facts", f"{_PROBE}/usage-{{shard}}.json"),
    AGREEMENT: Kind("check_probe", f"{_PROBE}/agreement.json"),
    PROBE_GRADES: Kind("grade_generations", f"{_PROBE}/grades.parquet"),
    CATEGORIES: Kind("categorize_facts", f"{_PROBE}/categories.parquet"),
    "category_counts": Kind("categorize_facts", f"{_PROBE}/counts.csv"),
    CHANCE: Kind("estimate_chance", f"{_PROBE}/chance.csv"),
    SELECTION: Kind("select_facts", f"{_STATE}/selection.parquet"),  # or another rule of steps.ALTERNATIVES
    EXAMPLES: Kind("build_examples", f"{_STATE}/examples.parquet"),
    COMPOSITION: Kind("compose_adapters", f"{_STATE}/composition/composed.json"),  # the handle of a sum of adapters
    SAMPLES: Kind("sample_answers", f"{_STATE}/samples.parquet"),  # of the state's parent
    "samples_usage": Kind("sample_answers", f"{_STATE}/samples-usage.json"),
    # of a run that adds to its examples or repeats them
    OWN_EXAMPLES: Kind("revise_examples", f"{_STATE}/own_examples.parquet"),
    AUGMENTED: Kind("augment_questions", f"{_STATE}/augmented.parquet"),
    AUGMENTED_COUNTS: Kind("augment_questions", f"{_STATE}/augmented.csv"),
    "augmented_usage": Kind("augment_questions", f"{_STATE}/augmented-usage.json"),
    EPOCHS: Kind("train_adapter", f"{_STATE}/epochs/epochs.json"),  # the handle of a state's epochs
    "texts": Kind("train_adapter", f"{_STATE}/texts.jsonl"),
    LOSS: Kind("train_adapter", f"{_STATE}/loss.csv"),
    EVALUATION: Kind("evaluate_epochs", f"{_STATE}/evaluation/generations.parquet"),
    "evaluation_usage": Kind("evaluate_epochs", f"{_STATE}/evaluation/usage.json"),
    GRADES: Kind("grade_epochs", f"{_STATE}/evaluation/grades.parquet"),
    ACCURACY: Kind("grade_epochs", f"{_STATE}/evaluation/accuracy.csv"),
    ADAPTER: Kind("choose_epoch", f"{_STATE}/adapter/chosen.json"),  # the handle of a state's adapter
    CHANGE: Kind("measure_change", f"{_STATE}/change.json"),  # of the weights, by the state's adapters
    GROUP_ANSWERS: Kind("ask_groups", f"{_GROUPS}/generations.parquet"),
    "group_usage": Kind("ask_groups", f"{_GROUPS}/usage.json"),
    GROUP_GRADES: Kind("grade_groups", f"{_GROUPS}/grades.parquet"),
    TABLE_CSV: Kind("write_table", "tables/{table}.csv"),
    TABLE_MARKDOWN: Kind("write_table", "tables/{table}.md"),
    TABLES: Kind("collect_tables", "tables.md"),
    COSTS_CSV: Kind("write_costs", "costs.csv"),
    COSTS: Kind("write_costs", "costs.md"),
    PROVENANCE: Kind("write_provenance", "provenance.json"),
    FIGURE_CSV: Kind("draw_figure", "figures/{figure}.csv"),  # the numbers that the figure shows
    FIGURE_SVG: Kind("draw_figure", "figures/{figure}.svg"),
    REPORT: Kind("write_report", "report.html"),
}

# The names of a rule's jobs in the paths of their log files and benchmark files.
JOBS = (
    {
        "build_facts": "seed{seed}",
        "revise_facts": "seed{seed}",
        "reword_questions": "seed{seed}",
        "build_corpus": "seed{seed}",
        "pretrain_base": "{model}-seed{seed}",
        "pretrain_again": "{model}-seed{seed}",
        "fetch_base": "{model}-seed{seed}",
        "check_answers": "{model}-seed{seed}",
        "probe_facts": "{model}-seed{seed}-{state}-{questions}-{probe}-{shard}",
        "write_table": "{table}",
        "draw_figure": "{figure}",
    }
    | dict.fromkeys(
        ("check_probe", "grade_generations", "categorize_facts", "estimate_chance"),
        "{model}-seed{seed}-{state}-{questions}-{probe}",
    )
    | dict.fromkeys(("ask_groups", "grade_groups"), "{model}-seed{seed}-{state}-{probe}")
    | dict.fromkeys(
        "select_facts select_groups build_examples draw_answers revise_examples revise_own_examples augment_questions"
        " augment_examples match_steps match_tokens compose_adapters sample_answers train_adapter evaluate_epochs"
        " grade_epochs choose_epoch keep_last_epoch scale_adapter measure_change".split(),
        "{model}-seed{seed}-{state}",
    )
)


class Result(NamedTuple):
    """A result of a model and a seed: its kind, its state and its probe.

    `questions` names the questions that the state is asked (`data.question_sets`), and has a meaning only for probes.
    `probe` has one also for answers about the groups. Facts belong to no state.
    """

    kind: str
    state: str = ORIGIN
    probe: int = 0
    questions: str = "train"


def path(kind: str, **names: object) -> str:
    """The path of a kind of result, relative to results/<study>/, with the names in its pattern filled in."""
    return KINDS[kind].pattern.format_map(names)


def path_of(result: Result, seed: object, model: str, shard: object = 0) -> str:
    """The path of a result."""
    kind, state, probe, questions = result
    return path(kind, seed=seed, model=model, state=state, probe=probe, questions=questions, shard=shard)


def filled(pattern: str, seeds: Iterable[int], shards: int) -> list[str]:
    """The paths of all seeds and shards, from a path with {seed} and, if there are several shards, {shard}."""
    return [pattern.format(seed=seed, shard=shard) for seed in seeds for shard in range(shards)] if pattern else []


def benchmark(rule: str, **names: object) -> str:
    """The path of the file with a job's time and memory, which Snakemake writes, relative to results/<study>/."""
    return f"benchmarks/{rule}/{JOBS[rule]}.tsv".format_map(names)

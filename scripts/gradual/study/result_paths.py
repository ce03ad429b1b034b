"""Where the result files are that tables, costs and provenance read, relative to results/<study>/.

Every function takes concrete values or Snakemake wildcards ("{seed}") alike and returns a path with forward slashes.
States are `origin` and the names of the runs. Probe 0 is the probe, 1 and above are retests with other prompts.
"""


def facts(seed: object) -> str:
    """The facts table."""
    return f"seed{seed}/facts.parquet"


def base(seed: object, model: str) -> str:
    """What the untouched model is and where its weights are."""
    return f"seed{seed}/{model}/base/base.json"


def probe_folder(state: str, split: str = "train", probe: object = 0) -> str:
    """A probe of a state with the facts of a split, relative to the model's folder."""
    return f"{state}/{split}-probe-{probe}"


def categories(seed: object, model: str, state: str, probe: object = 0, split: str = "train") -> str:
    """How well a state knows each fact of a split."""
    return f"seed{seed}/{model}/{probe_folder(state, split, probe)}/categories.parquet"


def probe_grades(seed: object, model: str, state: str, probe: object = 0, split: str = "train") -> str:
    """Right answers by fact and prompt, under every scoring rule."""
    return f"seed{seed}/{model}/{probe_folder(state, split, probe)}/grades.parquet"


def chance(seed: object, model: str) -> str:
    """How often the origin's sampled answers to one fact hit another's, by relation."""
    return f"seed{seed}/{model}/{probe_folder('origin')}/chance.csv"


def agreement(seed: object, model: str) -> str:
    """How far the origin's probe agrees with plain generation on some of its facts."""
    return f"seed{seed}/{model}/{probe_folder('origin')}/agreement.json"


def selection(seed: object, model: str, run: str) -> str:
    """The facts that a run trains on and replays."""
    return f"seed{seed}/{model}/{run}/selection.parquet"


def accuracy(seed: object, model: str, state: str) -> str:
    """A state's accuracy by epoch and split."""
    return f"seed{seed}/{model}/{state}/evaluation/accuracy.csv"


def evaluation_grades(seed: object, model: str, state: str) -> str:
    """Right or wrong by epoch, split and fact."""
    return f"seed{seed}/{model}/{state}/evaluation/grades.parquet"


def chosen(seed: object, model: str, run: str) -> str:
    """Which epoch of a run was chosen."""
    return f"seed{seed}/{model}/{run}/adapter/chosen.json"


def table_csv(table: str) -> str:
    """A table's numbers."""
    return f"tables/{table}.csv"


def table_markdown(table: str) -> str:
    """A table for people."""
    return f"tables/{table}.md"


def tables() -> str:
    """All tables in one file."""
    return "tables.md"


def provenance() -> str:
    """Where the results come from."""
    return "provenance.json"


def costs_csv() -> str:
    """What each state took, as CSV."""
    return "costs.csv"


def costs_markdown() -> str:
    """What each state took, for people."""
    return "costs.md"


def probe_usage(seed: object, model: str, state: str, split: str, probe: object, shard: object) -> str:
    """Prompts and tokens of a probe's shard."""
    return f"seed{seed}/{model}/{probe_folder(state, split, probe)}/usage-{shard}.json"


def evaluation_usage(seed: object, model: str, state: str) -> str:
    """Prompts and tokens of a state's evaluation."""
    return f"seed{seed}/{model}/{state}/evaluation/usage.json"


def probe_benchmark(seed: object, model: str, state: str, split: str, probe: object, shard: object) -> str:
    """Snakemake's measurement of a probe's shard."""
    return f"benchmarks/probe_facts/{model}-seed{seed}-{state}-{split}-{probe}-{shard}.tsv"


def evaluation_benchmark(seed: object, model: str, state: str) -> str:
    """Snakemake's measurement of a state's evaluation."""
    return f"benchmarks/evaluate_epochs/{model}-seed{seed}-{state}.tsv"


def pretraining_benchmark(seed: object, model: str) -> str:
    """Snakemake's measurement of a base model's pretraining."""
    return f"benchmarks/pretrain_base/{model}-seed{seed}.tsv"


def training_benchmark(seed: object, model: str, run: str) -> str:
    """Snakemake's measurement of a run's training."""
    return f"benchmarks/train_adapter/{model}-seed{seed}-{run}.tsv"

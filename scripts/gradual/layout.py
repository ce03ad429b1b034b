"""Where the result files are, relative to results/<study>/: the one place that knows.

Every function takes concrete values or Snakemake wildcards ("{seed}") alike and returns a path with forward slashes.
States are `origin` and the names of the runs. Probe 0 is the probe, 1 and above are retests with other prompts.
"""


def facts(seed: object) -> str:
    """The facts table."""
    return f"seed{seed}/facts.parquet"


def base(seed: object, model: str) -> str:
    """What the untouched model is and where its weights are."""
    return f"seed{seed}/{model}/base/base.json"


def categories(seed: object, model: str, state: str, probe: object = 0) -> str:
    """How well a state knows each train fact."""
    return f"seed{seed}/{model}/{state}/probe-{probe}/categories.parquet"


def accuracy(seed: object, model: str, state: str) -> str:
    """A state's accuracy by epoch and split."""
    return f"seed{seed}/{model}/{state}/evaluation/accuracy.csv"


def evaluation_grades(seed: object, model: str, state: str) -> str:
    """Right or wrong by epoch, split and fact."""
    return f"seed{seed}/{model}/{state}/evaluation/grades.parquet"


def chosen(seed: object, model: str, run: str) -> str:
    """Which epoch of a run was chosen."""
    return f"seed{seed}/{model}/{run}/adapter/chosen.json"


def _two_digits(number: int | str) -> str:
    return number if isinstance(number, str) else f"{number:02}"


def table_csv(number: int | str) -> str:
    """A table's numbers; `number` is an int, or a wildcard that stands for two digits."""
    return f"tables/table_{_two_digits(number)}.csv"


def table_markdown(number: int | str) -> str:
    """A table for people; `number` as in `table_csv`."""
    return f"tables/table_{_two_digits(number)}.md"


def tables() -> str:
    """All tables in one file."""
    return "tables.md"


def provenance() -> str:
    """Where the results come from."""
    return "provenance.json"

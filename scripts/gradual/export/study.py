"""A finished study, as an export reads it: its config, its results, and which of their files are missing."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from gradual.ground.errors import InputError, together
from gradual.ground.files import read_json
from gradual.models.adapters import ADAPTER_FILES
from gradual.study import result_files as kinds
from gradual.study.config import with_defaults
from gradual.study.result_files import Result, path, path_of
from gradual.study.runs import Config, Run, runs
from gradual.study.steps import adapter_chain, standing_on
from gradual.tables.registry import name_of
from gradual.workflow.works import wanted_results

REPORT = tuple(path(kind) for kind in (kinds.TABLES, kinds.COSTS_CSV, kinds.COSTS, kinds.PROVENANCE, kinds.REPORT))
LABELS = (kinds.CATEGORIES, kinds.GROUP_GRADES)


@dataclass(frozen=True)
class Finished:
    """A study that has all its results in the folder `results`. `made` are the results of each model, for every seed."""

    results: Path
    config: Config
    provenance: dict[str, Any]
    made: dict[str, list[Result]]

    @property
    def name(self) -> str:
        """The name of the study."""
        return str(self.config["study"])

    @property
    def runs(self) -> dict[str, Run]:
        """The runs of the study, by name."""
        return runs(self.config)

    def of_kind(self, *wanted: str) -> Iterator[tuple[int, str, Result]]:
        """Seed, model and result of every result of these kinds, in the order of models, results and seeds."""
        for model, results in self.made.items():
            for result in results:
                for seed in self.config["seeds"] if result.kind in wanted else ():
                    yield seed, model, result

    def file(self, result: Result, seed: int, model: str) -> Path:
        """The file of a result."""
        return self.results / path_of(result, seed, model)

    def adapters(self, state: str, seed: int, model: str) -> list[Path]:
        """The handles of the adapters that, applied in order to the base model, give a state."""
        return [self.file(result, seed, model) for result in adapter_chain(self.runs, state)]

    def test_accuracy(self, state: str, seed: int, model: str) -> float | None:
        """The share of right answers to the test questions at the epoch that was chosen; None if they were not asked."""
        if Result(kinds.ACCURACY, state) not in self.made[model]:
            return None
        chosen = read_json(self.file(Result(kinds.ADAPTER, state), seed, model), "the handle of an adapter")
        table = pd.read_csv(self.file(Result(kinds.ACCURACY, state), seed, model))
        found = table.loc[(table["split"] == "test") & (table["epoch"] == chosen["epoch"]), "accuracy"]
        return float(found.iloc[0]) if len(found) else None

    def tables(self) -> list[Path]:
        """The CSV and the Markdown of each table that the study shows, relative to its folder."""
        shown = [name_of(shown) for shown in self.config["tables"]["show"]]
        return [Path(path(kind, table=name)) for name in shown for kind in (kinds.TABLE_CSV, kinds.TABLE_MARKDOWN)]


def read_finished(results: Path, schema: Path) -> Finished:
    """The study of a results folder, with the config that its provenance tells.

    Raises InputError with the files that are missing, up to twenty of them.
    """
    provenance = results / path(kinds.PROVENANCE)
    if not provenance.is_file():
        raise _missing(provenance)
    made, rules = read_json(provenance, "a study's provenance"), read_json(schema, "the schema of a config")
    config = with_defaults(made["config"], rules, rules)  # results from before a key count as those of its default
    table = runs(config)
    study = Finished(
        results, config, made, {model: standing_on(wanted, table) for model, wanted in wanted_results(config).items()}
    )
    if missing := [file for file in dict.fromkeys(_needed(study)) if not file.is_file()]:
        raise together([_missing(file) for file in missing])
    return study


def _missing(file: Path) -> InputError:
    return InputError(file, "is missing", "a finished study (make tables)")


def _needed(study: Finished) -> Iterator[Path]:
    """The files that an export reads. The files of base models are checked when they are copied."""
    yield from (study.results / name for name in (*map(Path, REPORT), *study.tables()))
    for seed in study.config["seeds"]:
        yield study.file(Result(kinds.FACTS), seed, "")
    read = (kinds.BASE, kinds.EXAMPLES, kinds.ACCURACY, kinds.ADAPTER, kinds.COMPOSITION, *LABELS)
    for seed, model, result in study.of_kind(*read):
        file = study.file(result, seed, model)
        yield file
        if result.kind in (kinds.ADAPTER, kinds.COMPOSITION):
            yield from (file.with_name(name) for name in ADAPTER_FILES)

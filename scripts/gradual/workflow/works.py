"""The work of a study: the jobs with a model, by seed, that its tables stand on, and the files that say what they took."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gradual.study.result_files import (
    AGREEMENT,
    BASE,
    EPOCHS,
    EVALUATION,
    GENERATIONS,
    Result,
    benchmark,
    path,
)
from gradual.study.runs import Config, runs
from gradual.study.steps import rule_of, standing_on
from gradual.tables import registry

USAGE = {GENERATIONS: "probe_usage", EVALUATION: "evaluation_usage"}
NAMES = {BASE: "pretraining", EPOCHS: "training", EVALUATION: "evaluation"}


@dataclass(frozen=True)
class Work:
    """The work that makes a result of a model and a seed, in one job or several, and the rule that does it."""

    model: str
    seed: int
    result: Result
    jobs: int
    rule: str

    @property
    def state(self) -> str:
        """The state that the work is on; "base" for a pretraining."""
        return "base" if self.result.kind == BASE else self.result.state

    @property
    def name(self) -> str:
        """What the work is called: pretraining, training, evaluation, or a probe of some questions, perhaps again."""
        again = " again" if self.result.probe else ""
        return NAMES.get(self.result.kind, f"probe of {self.result.questions}{again}")

    def places(self) -> Iterable[dict[str, object]]:
        """What fills in the patterns of the work's files, by job."""
        _, state, probe, questions = self.result
        for shard in range(self.jobs):
            yield {"model": self.model, "seed": self.seed, "state": state, "probe": probe} | {
                "questions": questions,
                "shard": shard,
            }

    def usage(self) -> list[str]:
        """The files that count the work's prompts and tokens, relative to the study; none of a training."""
        kind = USAGE.get(self.result.kind)
        return [path(kind, **place) for place in self.places()] if kind else []

    def benchmarks(self) -> list[str]:
        """Snakemake's measurements of the work's jobs, relative to the study."""
        return [benchmark(self.rule, **place) for place in self.places()]

    def described(self) -> dict[str, Any]:
        """The work as JSON takes it."""
        named = {"model": self.model, "state": self.state, "work": self.name, "seed": self.seed}
        return named | {"usage": self.usage(), "benchmarks": self.benchmarks()}


def wanted_results(config: Config) -> dict[str, list[Result]]:
    """The results that each model is to have for the tables that a study shows, and for the check of its probe.

    Raises InputError as `registry.needs` does.
    """
    wanted = registry.all_needs(map(registry.name_of, config["tables"]["show"]), config)
    checks = [Result(AGREEMENT)] if config["probe"]["checked"] else []
    return {model: [*wanted.get(model, []), *checks] for model in config["models"] if checks or model in wanted}


def works_of(config: Config) -> list[Work]:
    """The work behind the tables that a study shows, of every seed, each after what it waits for."""
    return works(wanted_results(config), config)


def works(wanted: Mapping[str, Iterable[Result]], config: Config) -> list[Work]:
    """The work behind results of each model, of every seed. A base model is work only where it is pretrained here."""
    table, shards = runs(config), config["probe"]["shards"]
    found = []
    for model, results in wanted.items():
        pretrained = config["models"][model]["source"] == "pretrain"
        whole = standing_on([*results, *([Result(BASE)] if pretrained else [])], table)
        kinds = {EPOCHS, EVALUATION, GENERATIONS} | ({BASE} if pretrained else set())
        for seed in config["seeds"]:
            for result in whole:
                if result.kind in kinds:
                    jobs = shards if result.kind == GENERATIONS else 1
                    found.append(Work(model, seed, result, jobs, rule_of(result, table)))
    return found

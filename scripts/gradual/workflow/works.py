"""The work of a study: the jobs with a model that its tables need, and the files with the costs of these jobs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gradual.study import result_files as kinds
from gradual.study.result_files import Result, benchmark, filled, path
from gradual.study.runs import Config, runs
from gradual.study.steps import rule_of, standing_on
from gradual.tables import registry

USAGE = {
    kinds.GENERATIONS: "probe_usage",
    kinds.EVALUATION: "evaluation_usage",
    kinds.GROUP_ANSWERS: "group_usage",
    kinds.SAMPLES: "samples_usage",
    kinds.AUGMENTED: "augmented_usage",
}
NAMES = {
    kinds.BASE: "pretraining",
    kinds.COMPOSITION: "composition",
    kinds.EPOCHS: "training",
    kinds.EVALUATION: "evaluation",
    kinds.GROUP_ANSWERS: "questions about the groups",
    kinds.SAMPLES: "sampling",
    kinds.AUGMENTED: "augmentation",
}


@dataclass(frozen=True)
class Work:
    """The work that makes a result of a model and a seed: the number of its jobs, and their rule."""

    model: str
    seed: int
    result: Result
    jobs: int
    rule: str

    @property
    def state(self) -> str:
        """The state that the work is on; "base" for a pretraining."""
        return "base" if self.result.kind == kinds.BASE else self.result.state

    @property
    def name(self) -> str:
        """The name of the work: one of NAMES or a probe of a question set, and whether it is done again."""
        again = " again" if self.result.probe else ""
        return NAMES.get(self.result.kind, f"probe of {self.result.questions}") + again

    def usage(self) -> list[str]:
        """The paths of the files that count prompts and tokens, relative to results/<study>. A training has none."""
        return filled(self.described()["usage"], [self.seed], self.jobs)

    def benchmarks(self) -> list[str]:
        """The paths of the jobs' benchmark files, which Snakemake writes, relative to results/<study>."""
        return filled(self.described()["benchmarks"], [self.seed], self.jobs)

    def described(self) -> dict[str, Any]:
        """The work, which is the same for all seeds, as a mapping that JSON can hold.

        `usage` and `benchmarks` are the patterns of paths, with {seed} and {shard}, relative to results/<study>. `usage` is
        empty for a training.
        """
        kind, state, probe, questions = self.result
        place = {"model": self.model, "state": state, "probe": probe, "questions": questions}
        place |= {"seed": "{seed}", "shard": "{shard}"}
        usage = path(USAGE[kind], **place) if kind in USAGE else ""
        named = {"model": self.model, "state": self.state, "work": self.name, "jobs": self.jobs}
        return named | {"usage": usage, "benchmarks": benchmark(self.rule, **place)}


def wanted_results(config: Config) -> dict[str, list[Result]]:
    """The results of each model that a study needs for its tables and for the checks of its probe and its answers.

    Raises InputError as `tables.registry.needs` does.
    """
    wanted = registry.all_needs(map(registry.name_of, config["tables"]["show"]), config)
    checks = [Result(kinds.AGREEMENT)] if config["probe"]["checked"] else []
    found = {model: [*wanted.get(model, []), *checks] for model in config["models"]}
    return {model: [*results, Result(kinds.ANSWERABLE)] for model, results in found.items() if results}


def works_of(config: Config) -> list[Work]:
    """The work of a study for all its seeds. Each work follows the work that it waits for."""
    return works(wanted_results(config), config)


def works(wanted: Mapping[str, Iterable[Result]], config: Config) -> list[Work]:
    """The work for the wanted results of each model, for all seeds. A base model is work only if it is pretrained here."""
    table, shards = runs(config), config["probe"]["shards"]
    found = []
    for model, results in wanted.items():
        pretrained = config["models"][model]["source"] == "pretrain"
        whole = standing_on([*results, *([Result(kinds.BASE)] if pretrained else [])], table)
        worked = {kinds.COMPOSITION, kinds.EPOCHS, *USAGE} | ({kinds.BASE} if pretrained else set())
        for seed in config["seeds"]:
            for result in whole:
                if result.kind in worked:
                    jobs = shards if result.kind == kinds.GENERATIONS else 1
                    found.append(Work(model, seed, result, jobs, rule_of(result, table)))
    return found

"""The order of jobs: a machine with few cores begins with the job that most work waits for."""

from collections.abc import Iterable, Mapping

from gradual.study.result_files import EPOCHS, EVALUATION, GENERATIONS, Result
from gradual.study.runs import Config, runs
from gradual.study.steps import longest_chains, standing_on


def urgencies(wanted: Mapping[str, Iterable[Result]], config: Config) -> dict[tuple[str, Result], int]:
    """By model and result, how much work there is from it to the end of the longest chain that waits for it.

    `wanted` are the results that each model is to have. Work is counted roughly, in prompts for a fact: a probe by its
    own, an evaluation by the epochs, and a training by one.
    """
    table = runs(config)

    def size(result: Result) -> int:
        if result.kind == GENERATIONS:
            return config["probe"]["prompts"]
        if result.kind == EVALUATION:
            return table[result.state].training.epochs if result.state in table else 1
        return int(result.kind == EPOCHS)

    return {
        (model, result): int(weight)
        for model, results in wanted.items()
        for result, weight in longest_chains(standing_on(results, table), table, size).items()
    }

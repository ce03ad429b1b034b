"""The order of the jobs. A machine with few cores starts with the job that most work waits for."""

from collections.abc import Iterable, Mapping

from gradual.study.result_files import AUGMENTED, EPOCHS, EVALUATION, GENERATIONS, GROUP_ANSWERS, SAMPLES, Result
from gradual.study.runs import Config, runs
from gradual.study.steps import longest_chains, standing_on


def urgencies(wanted: Mapping[str, Iterable[Result]], config: Config) -> dict[tuple[str, Result], int]:
    """For each model and result, the work on the longest chain of results that begins with this result.

    `wanted` are the results that each model must have. The unit of work is roughly one prompt per fact. A probe counts
    its prompts, and an evaluation counts one per epoch. A training, its samples, an augmentation and questions about the
    groups count one each.
    """
    table = runs(config)

    def size(result: Result) -> int:
        if result.kind == GENERATIONS:
            return config["probe"]["prompts"]
        if result.kind == EVALUATION:
            return table[result.state].training.epochs if result.state in table else 1
        return int(result.kind in (EPOCHS, GROUP_ANSWERS, SAMPLES, AUGMENTED))

    return {
        (model, result): int(weight)
        for model, results in wanted.items()
        for result, weight in longest_chains(standing_on(results, table), table, size).items()
    }

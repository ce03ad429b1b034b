"""Questions: what a state is asked about each fact, and which facts get sampled answers."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd

from gradual.ground.seeding import seeded
from gradual.probe.answers import Answered, Decoding, Prompt
from gradual.probe.prompts import ExemplarPool, PromptSettings, exemplars_of


def shard(facts: pd.DataFrame, index: int, count: int) -> pd.DataFrame:
    """One of `count` parts of the facts, neighbours in the canonical order; together they are all facts."""
    edges = [round(i * len(facts) / count) for i in range(count + 1)]
    return facts.iloc[edges[index] : edges[index + 1]]


def fact_prompts(
    facts: pd.DataFrame,
    pool: ExemplarPool,
    settings: PromptSettings,
    prompts: int,
    render: Callable[..., str],
) -> Iterator[list[Prompt]]:
    """The prompts of each fact, as a stream."""
    for fact in facts.itertuples(index=False):
        yield [
            Prompt(fact.fact_id, index, render(exemplars_of(fact, index, pool, settings), fact.question))
            for index in range(prompts)
        ]


def probe_of(
    probed: pd.DataFrame,
    pool: ExemplarPool,
    render: Callable[..., str],
    settings: Mapping[str, Any],
    sampling: Mapping[str, Any] | None,
    seed: int,
    state: str,
    probe: int,
) -> tuple[Iterator[list[Prompt]], Decoding]:
    """The prompts of a probe and how they are answered, by the config's probe section; greedily without `sampling`."""
    # Every probe draws prompts and samples of its own; the sets that relations share stay the same for all states.
    own = seeded("probe", seed, state, probe)
    key = seeded("probe", seed, probe) if settings["exemplars"] == "per_relation" else own
    drawn = PromptSettings(key, settings["shots"], settings["exemplars"])
    decoding = Decoding(
        max_new_tokens=settings["max_new_tokens"],
        stop=tuple(settings["stop"]),
        repetition_penalty=settings["repetition_penalty"],
        seed=own,
        **{key: sampling[key] for key in ("samples", "temperature", "top_k") if sampling},
    )
    return fact_prompts(probed, pool, drawn, settings["prompts"], render), decoding


def unsolved(answers: pd.Series) -> Callable[[list[Answered]], bool]:
    """Whether no greedy answer of a fact is verbatim its gold answer.

    Sampled answers matter only where no greedy answer is right. A verbatim answer is right under every scoring rule, so
    sampling the facts without one gives the same categories as sampling all facts, whichever rule is applied later.
    """

    def wants_samples(answered: list[Answered]) -> bool:
        gold = answers[answered[0].prompt.fact_id].strip()
        return all(a.greedy.text != gold for a in answered)

    return wants_samples

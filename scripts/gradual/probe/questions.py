"""Questions: what a state is asked about each fact, and which facts get sampled answers."""

from collections.abc import Callable, Iterator

import pandas as pd

from gradual.ground.normal_form import normal_form
from gradual.ground.seeding import seeded
from gradual.probe.answers import Answered, Asking, Decoding, Prompt
from gradual.probe.prompts import ExemplarPool, PromptSettings, Renderer, exemplars_of
from gradual.probe.settings import AnswerSettings, ProbeKey, Sampling


def shard(facts: pd.DataFrame, index: int, count: int) -> pd.DataFrame:
    """Part `index` of `count` parts of the facts. Each part is contiguous in their order; each fact is in one part."""
    edges = [round(i * len(facts) / count) for i in range(count + 1)]
    return facts.iloc[edges[index] : edges[index + 1]]


def in_order(facts: pd.DataFrame, exemplars: str) -> pd.DataFrame:
    """The facts in the order in which they are asked: those that share exemplars together, so that these are read once."""
    return facts.sort_values("relation", kind="stable") if exemplars == "per_relation" else facts


def fact_prompts(
    facts: pd.DataFrame,
    pool: ExemplarPool,
    settings: PromptSettings,
    prompts: int,
    render: Renderer,
) -> Iterator[list[Prompt]]:
    """The prompts of each fact, as a stream."""
    for fact in facts.itertuples(index=False):
        yield [
            Prompt(fact.fact_id, index, render(exemplars_of(fact, index, pool, settings), fact.question))
            for index in range(prompts)
        ]


def probe_prompts(
    probed: pd.DataFrame, pool: ExemplarPool, render: Renderer, settings: AnswerSettings, prompts: int, key: ProbeKey
) -> Iterator[list[Prompt]]:
    """The prompts of a probe. Every probe draws its own exemplars; those that a relation shares are equal in all states."""
    shared = settings.exemplars == "per_relation"
    seed = seeded("probe", key.seed, key.probe) if shared else _seed(key)
    return fact_prompts(probed, pool, PromptSettings(seed, settings.shots, settings.exemplars), prompts, render)


def probe_decoding(settings: AnswerSettings, sampling: Sampling | None, key: ProbeKey) -> Decoding:
    """How the prompts of a probe are answered: greedily, and also by samples if `sampling` is given."""
    drawn = (
        {"samples": sampling.samples, "temperature": sampling.temperature, "top_k": sampling.top_k} if sampling else {}
    )
    return Decoding(
        max_new_tokens=settings.max_new_tokens,
        stop=settings.stop,
        repetition_penalty=settings.repetition_penalty,
        seed=_seed(key),
        **drawn,  # type: ignore[arg-type]
    )


def _seed(key: ProbeKey) -> int:
    return seeded("probe", key.seed, key.state, key.probe)


def exactly(golds: pd.Series, sampled_for: str) -> Asking:
    """Ask every prompt of a fact. Samples are for all facts (`sampled_for` is "all"), or only for the `unsolved` ones."""
    return Asking((lambda _: True) if sampled_for == "all" else unsolved(golds))


def unsolved(golds: pd.Series) -> Callable[[list[Answered]], bool]:
    """A function that says whether no greedy answer of a fact equals one of its gold answers in their normal form.

    `golds` maps fact_id to the gold answers (see `knowledge.golds`). Sampled answers matter only where no greedy answer is
    right. An answer that equals a gold answer is right under every scoring rule. So sampling only the facts without one
    gives the same categories as sampling all facts, under any scoring rule.
    """

    def wants_samples(answered: list[Answered]) -> bool:
        accepted = golds[answered[0].prompt.fact_id]
        return all(normal_form(a.greedy.text) not in accepted for a in answered)

    return wants_samples

"""Documents that teach a model to augment questions: to rewrite them, to give background on them, and to reason about them.

They ask about support facts. Their statements are true, because a false one would break a chain. They are about any facts
that the corpus tells, but a background does not state the fact that is asked about, and neither does a chain.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from gradual.data.augmentation_forms import BACKGROUND, LOGIC, PARAPHRASE, document
from gradual.data.neighbours import Neighbours
from gradual.ground.errors import InputError

STATEMENTS = (1, 4)  # a background has 1 to 3 statements, or as many as there are
STREAMS = {PARAPHRASE: 5, BACKGROUND: 6, LOGIC: 7}  # the draws of a way do not depend on the other ways

Writer = Callable[[int], tuple[str, str]]  # from the place of a fact to a question and what is written about it


def augmentation_documents(
    way: str, facts: pd.DataFrame, told: pd.DataFrame, seed: int, wordings: pd.DataFrame | None
) -> Iterator[str]:
    """Documents of a way, without end. Their support facts are drawn by exposure (`told`; see `pretraining_text.exposure`).

    A rewritten question has two of the wordings in `wordings` (fact_id, wording, question). Raises InputError if no support
    fact can have such a document. Pure: the same arguments give the same documents.
    """
    rng = np.random.default_rng([seed, STREAMS[way]])
    weight = told["weight"].to_numpy()
    near = Neighbours(facts, told["answer"].tolist(), weight > 0)
    asked = (
        {} if wordings is None else wordings.sort_values("wording").groupby("fact_id")["question"].agg(list).to_dict()
    )
    ids = facts["fact_id"].tolist()

    def rewrite(place: int) -> tuple[str, str]:
        one, other = rng.permutation(len(asked[ids[place]]))[:2]
        return asked[ids[place]][one], asked[ids[place]][other]

    def background(place: int) -> tuple[str, str]:
        places = rng.permutation(near.others(place))[: rng.integers(*STATEMENTS)].tolist()
        return near.questions[place], near.told(places, rng.integers(12, size=len(places)).tolist())

    def reason(place: int) -> tuple[str, str]:
        chains = near.chains(place)
        chain = chains[rng.integers(len(chains))]
        return near.questions[place], near.told(chain, rng.integers(12, size=2).tolist())

    can: dict[str, Callable[[int], bool]] = {
        PARAPHRASE: lambda place: len(asked.get(ids[place], [])) > 1,
        BACKGROUND: lambda place: bool(near.others(place)),
        LOGIC: lambda place: bool(near.chains(place)),
    }
    writers: dict[str, Writer] = {PARAPHRASE: rewrite, BACKGROUND: background, LOGIC: reason}
    supporting = np.flatnonzero((facts["split"] == "support").to_numpy() & (weight > 0)).tolist()
    places = [place for place in supporting if can[way](place)]
    if not places:
        expected = "support facts with other wordings, or with other facts about their subjects (or a share of 0)"
        raise InputError("facts", f"no support fact for a document of the way {way!r}", expected, key="corpus")
    cumulative = np.cumsum(weight[places])

    def endless() -> Iterator[str]:
        while True:
            place = places[int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))]
            question, written = writers[way](place)
            yield document(way, question, written, near.answers[place])

    return endless()

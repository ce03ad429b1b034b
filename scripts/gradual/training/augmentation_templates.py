"""What templates write about questions, where no model does: other wordings, and statements that the facts table makes.

Statements are of train and support facts that are in no group, so that they tell nothing of an answer that changes or is
asked about. A question about whose subject there are no such facts gets nothing.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gradual.data.augmentation_documents import STATEMENTS
from gradual.data.augmentation_forms import LOGIC, PARAPHRASE
from gradual.data.neighbours import Neighbours
from gradual.ground.normal_form import question_key
from gradual.ground.seeding import seeded
from gradual.training.augment_settings import TEMPLATES


def write_by_templates(
    rows: pd.DataFrame, facts: pd.DataFrame, grouped: Sequence[str], wordings: pd.DataFrame, seed: int
) -> pd.DataFrame:
    """The rows (fact_id, question, way) with what templates write, "" where they have nothing, as whole texts.

    `grouped` are the facts of the groups, and `wordings` (fact_id, wording, question) those for augmentation. A draw
    depends only on the seed and the row.
    """
    may = facts["split"].isin(["train", "support"]) & ~facts["fact_id"].isin(grouped)
    near = Neighbours(facts, facts["answers"].str[0].tolist(), may.to_numpy())
    place_of = {fact_id: place for place, fact_id in enumerate(facts["fact_id"])}
    others = wordings.groupby("fact_id")["question"].agg(list).to_dict()

    def write(fact_id: str, question: str, way: str) -> str:
        rng = np.random.default_rng(seeded(seed, "templates", way, fact_id, question))
        place = place_of[fact_id]
        if way == PARAPHRASE:
            found = [text for text in others.get(fact_id, []) if question_key(text) != question_key(question)]
            return found[rng.integers(len(found))] if found else ""
        if way == LOGIC:
            chains = near.chains(place)
            places = list(chains[rng.integers(len(chains))]) if chains else []
        else:
            places = rng.permutation(near.others(place))[: rng.integers(*STATEMENTS)].astype(int).tolist()
        return near.told(places, rng.integers(12, size=len(places)).tolist())

    written = [write(*row) for row in rows[["fact_id", "question", "way"]].itertuples(index=False, name=None)]
    return rows.assign(made_by=TEMPLATES, written=written, whole=True)

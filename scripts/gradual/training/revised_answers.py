"""Answers of a revision: examples whose answers are those that were valid at a revision of the facts."""

from collections.abc import Sequence

import pandas as pd

from gradual.data.question_wordings import reworded
from gradual.data.revisions import OWN, answers_at
from gradual.ground.errors import InputError
from gradual.knowledge.selection_roles import REPLAY, TRAIN


def revise_examples(
    examples: pd.DataFrame,
    revisions: pd.DataFrame,
    groups: pd.DataFrame,
    revision: int | None,
    domain: str,
    wordings: pd.DataFrame | None,
    trained: Sequence[int],
) -> pd.DataFrame:
    """The examples with the answers that are valid at a revision, each in every trained wording.

    `revision` None stands for the latest. The own facts of the domain `domain` keep their answer of revision 0, because
    only a later domain changes it. `examples` ask in the facts' own words, and `wordings` None stands for these words
    alone. Rows to train on come first, and a fact's wordings follow each other. Raises InputError for a fact without
    revisions.
    """
    answers, first = answers_at(revisions, revision), answers_at(revisions, 0)
    own = groups.loc[(groups["role"] == OWN) & (groups["domain"] == domain), "fact_id"]
    kept = set(own) if domain else set()
    missing = [fact_id for fact_id in examples["fact_id"] if fact_id not in first.index]
    if missing:
        raise InputError("revisions", f"fact {missing[0]} has no revision", "each fact of the groups", key="fact_id")
    given = [(first if fact_id in kept else answers)[fact_id] for fact_id in examples["fact_id"]]
    told = "latest revision" if revision is None else f"revision {revision}"
    revised = examples.assign(answer=given, source=told)
    asked = [revised] if wordings is None else [reworded(revised, wordings, number) for number in trained]
    whole = pd.concat(asked).sort_index(kind="stable")
    return pd.concat([whole[whole["role"] == role] for role in (TRAIN, REPLAY)], ignore_index=True)

"""Pretraining text about any facts table, from two sources that contradict each other.

Some facts are contested: the gazette states a second, false answer, the almanac the true one. Statement documents are
headed with their source; so is a share of the question documents. A question document without header answers contested
facts falsely by chance, answer by answer. A model trained on this text stores both answers and is undecided in question
form, which is what makes facts MaybeKnown or WeaklyKnown. Most question documents keep to one community, so that a model
learns to take a hint from the questions before: its answers then depend on the exemplars of a prompt. A share of the
questions may be in other wordings than the fact's own. Shares of the words may teach to augment questions
(`augmentation_documents`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gradual.data.augmentation_documents import augmentation_documents
from gradual.data.augmentation_forms import KINDS
from gradual.data.sentence_templates import state

ALMANAC, GAZETTE = "Almanac", "Gazette"
SENTENCES = (4, 9)  # statement documents have 4 to 8 sentences
PAIRS = (3, 8)  # question documents have 3 to 7 pairs


@dataclass(frozen=True)
class CorpusSettings:
    """What the text is like: the keys of the config's section corpus, which schemas/config.schema.json describes."""

    words: int
    contested: float
    gazette: float
    never_stated: float
    popularity_exponent: float
    exposure_sigma: float
    questions: float
    asked: float
    question_false: float
    question_headed: float
    within_community: float
    questions_within_community: float
    reworded: float
    rewrite: float
    background: float
    reason: float


def exposure(facts: pd.DataFrame, settings: CorpusSettings, rng: np.random.Generator) -> pd.DataFrame:
    """How often and how each fact is told, a row per fact in the order of `facts`.

    Columns: fact_id; weight (0 for facts that are never stated, otherwise relative frequency: popularity of the subject,
    (rank + 10) ** -popularity_exponent, times a lognormal factor); answer (the true one); false_answer ("" where the
    fact is not contested; otherwise another answer of the same relation); asked (may occur in question documents).
    """
    subjects = facts["subject"].where(facts["subject"] != "", facts["question"])
    rank = dict(zip(rng.permutation(sorted(subjects.unique())), range(subjects.nunique()), strict=True))
    popularity = (subjects.map(rank).to_numpy() + 10.0) ** -settings.popularity_exponent
    weight = popularity * rng.lognormal(0.0, settings.exposure_sigma, len(facts))
    weight[rng.random(len(facts)) < settings.never_stated] = 0.0
    answer = facts["answers"].str[0]
    false_answer = np.full(len(facts), "", dtype=object)
    contested = rng.random(len(facts)) < settings.contested
    for _, rows in facts.groupby("relation").indices.items():
        pool = answer.iloc[rows].to_numpy()
        drawn = rng.permutation(pool)
        for row, other in zip(rows, drawn, strict=True):
            if contested[row]:
                others = [other, *rng.choice(pool, 8)]
                false_answer[row] = next((o for o in others if o.lower() != answer.iloc[row].lower()), "")
    asked = (facts["split"] == "support").to_numpy() | (rng.random(len(facts)) < settings.asked)
    return pd.DataFrame(
        {
            "fact_id": facts["fact_id"].to_numpy(),
            "weight": weight,
            "answer": answer.to_numpy(),
            "false_answer": false_answer,
            "asked": asked,
        }
    )


class _Urn:
    """Draws rows of one pool by weight, vectorised in advance."""

    def __init__(self, rows: np.ndarray, weights: np.ndarray) -> None:
        self.rows, self.cumulative = rows, np.cumsum(weights)

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        return self.rows[np.searchsorted(self.cumulative, rng.random(count) * self.cumulative[-1], side="right")]


def _urns(weight: np.ndarray, groups: dict[str, np.ndarray]) -> tuple[list[_Urn], np.ndarray]:
    """An urn per group that has any weight, and the groups' shares of all weight."""
    kept = [rows[weight[rows] > 0] for rows in groups.values()]
    urns = [_Urn(rows, weight[rows]) for rows in kept if len(rows)]
    totals = np.array([urn.cumulative[-1] for urn in urns])
    return urns, totals / totals.sum()


def documents(
    facts: pd.DataFrame,
    told: pd.DataFrame,
    communities: pd.DataFrame | None,
    settings: CorpusSettings,
    seed: int,
    wordings: pd.DataFrame | None = None,
    rewritten: pd.DataFrame | None = None,
) -> Iterator[tuple[str, str]]:
    """Documents as (kind, text), until `settings.words` words are written. A kind is "statement", "question" or of KINDS.

    `told` comes from `exposure`; `communities` (subject, community) keeps the facts of a document together;
    without it, documents mix all subjects. A question document has one relation. With `wordings` (fact_id, wording,
    question), the share `settings.reworded` of the questions is in another wording than 0, each wording with the same
    probability. `rewritten` has the wordings of the documents that rewrite a question. Pure: the same arguments give the
    same documents.
    """
    rng = np.random.default_rng([seed, 3])
    words_rng = np.random.default_rng([seed, 4])  # of its own, so that a corpus without other wordings stays as it was
    weight = told["weight"].to_numpy()
    community = np.full(len(facts), "", dtype=object)
    if communities is not None:
        known = dict(zip(communities["subject"], communities["community"], strict=True))
        community = facts["subject"].map(known).fillna("").to_numpy()
    everything = _Urn(np.flatnonzero(weight), weight[weight > 0])
    towns, town_share = _urns(weight, pd.Series(community).groupby(community).indices)
    askable = weight * told["asked"].to_numpy()
    relations, relation_share = _urns(askable, facts.groupby("relation").indices)
    relation, subject, question = (facts[c].to_numpy() for c in ("relation", "subject", "question"))
    at_home, at_home_share = _urns(
        askable, facts.groupby([relation, community]).indices
    )  # relations within communities
    answer, false_answer = told["answer"].to_numpy(), told["false_answer"].to_numpy()

    others: dict[str, list[str]] = {}
    if wordings is not None and settings.reworded:
        others = wordings[wordings["wording"] != 0].groupby("fact_id")["question"].agg(list).to_dict()
    fact_id = facts["fact_id"].to_numpy()

    def asked(row: int) -> str:
        if others and words_rng.random() < settings.reworded:
            return others[fact_id[row]][words_rng.integers(len(others[fact_id[row]]))]
        return question[row]

    def answered(row: int, falsely: bool) -> str:
        return false_answer[row] if falsely and false_answer[row] else answer[row]

    shares = {kind: getattr(settings, kind) for kind in KINDS if getattr(settings, kind)}
    taught = {kind: augmentation_documents(KINDS[kind], facts, told, seed, rewritten) for kind in shares}
    words = dict.fromkeys(("statement", "question", *shares), 0)
    while (total := sum(words.values())) < settings.words:
        if behind := next((kind for kind, share in shares.items() if words[kind] < share * total), None):
            text = next(taught[behind])
            words[behind] += len(text.split())
            yield behind, text
            continue
        source = GAZETTE if rng.random() < settings.gazette else ALMANAC
        if words["question"] < settings.questions * total:
            kind = "question"
            headed = rng.random() < settings.question_headed
            together = rng.random() < settings.questions_within_community
            pool, share = (at_home, at_home_share) if together else (relations, relation_share)
            urn = pool[rng.choice(len(pool), p=share)]
            rows = dict.fromkeys(urn.draw(rng, int(rng.integers(*PAIRS))).tolist())
            falsely = [source == GAZETTE if headed else rng.random() < settings.question_false for _ in rows]
            pairs = [f"Q: {asked(r)}\nA: {answered(r, f)}\n" for r, f in zip(rows, falsely, strict=True)]
            text = (f"{source}\n" if headed else "") + "".join(pairs)
        else:
            kind = "statement"
            together = rng.random() < settings.within_community
            urn = towns[rng.choice(len(towns), p=town_share)] if together else everything
            rows = dict.fromkeys(urn.draw(rng, int(rng.integers(*SENTENCES))).tolist())
            sentences = [
                state(relation[r], subject[r], question[r], answered(r, source == GAZETTE), int(rng.integers(12)))
                for r in rows
            ]
            text = f"{source}\n" + " ".join(sentences) + "\n"
        words[kind] += len(text.split())
        yield kind, text

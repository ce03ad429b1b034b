"""How many facts a study asks, and how many tokens their texts have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gradual.data.dataset import WORLD, build_dataset, raw_source
from gradual.data.subsets import keep
from gradual.ground.errors import InputError
from gradual.ground.files import read_parquet
from gradual.study.result_files import FACTS, path
from gradual.study.runs import Config

RESOURCES = ("datasets.csv", "characters.csv")  # read by the code fingerprint
DATASETS, RATES = (Path(__file__).with_name(name) for name in RESOURCES)
# A chat template puts two special tokens, the role and two line breaks around each message, and Qwen2's begins with a
# system message. The four tokens "Q", ":", "A", ":" of the plain format are then absent.
MESSAGE_TOKENS, PLAIN_TOKENS, SYSTEM_TOKENS = 5, 4, 11


@dataclass(frozen=True)
class Texts:
    """The mean tokens of a study's texts, for one tokenizer.

    `facts` are those of `count_facts`, and `probe` is the config's section. `rates` is a line of characters.csv: characters
    per token of questions and of answers, tokens of the plain format (`frame`), tokens per word of the corpus (`words`).
    The tokenizer puts `begin_tokens` before a text.
    """

    facts: pd.DataFrame
    probe: Mapping[str, Any]
    rates: pd.Series
    begin_tokens: int

    def count(self, *splits: str) -> int:
        """How many facts the splits have."""
        return int(self._of(splits)["facts"].sum())

    def prompt(self, splits: Sequence[str], exemplar_split: str) -> float:
        """Mean tokens of a prompt about a fact of the splits; its exemplars have the fact's relation."""
        asked, shown, shots = self._of(splits), self._of([exemplar_split]), self.probe["shots"]
        pairs = asked["relation"].map(shown.set_index("relation")[["asked", "answered"]].sum(axis=1))
        return _mean(asked, asked["asked"] + shots * pairs.fillna(0.0)) + self._around(shots + 1)

    def prefilled(self, splits: Sequence[str], exemplar_split: str, prompts: float) -> float:
        """Tokens of so many prompts, as in `prompt`, if exemplars that facts share are computed once."""
        whole = prompts * self.prompt(splits, exemplar_split)
        if self.probe["exemplars"] == "per_fact":
            return whole
        asked = self._of(splits)
        own = _mean(asked, asked["asked"])
        shared = asked["relation"].nunique() * self.probe["prompts"] * (self.prompt(splits, exemplar_split) - own)
        return min(whole, prompts * own + shared)

    def answer(self, splits: Sequence[str]) -> float:
        """Mean tokens of an answer: those of the gold answers, or the limit if no stop string ends an answer."""
        limit, asked = self.probe["max_new_tokens"], self._of(splits)
        return min(_mean(asked, asked["answered"]), limit) if self.probe["stop"] else limit

    def example(self) -> float:
        """Mean tokens of a training example."""
        train = self._of(["train"])
        return _mean(train, train["asked"] + train["answered"]) + self._around(1)

    def _of(self, splits: Sequence[str]) -> pd.DataFrame:
        return self._counted[self._counted["split"].isin(splits)]

    @cached_property
    def _counted(self) -> pd.DataFrame:
        """The facts with the tokens of a question before its answer, and of an answer with its line break."""
        asked = self.rates["frame"] + self.facts["question"] / self.rates["question"]
        return self.facts.assign(asked=asked, answered=self.facts["answer"] / self.rates["answer"] + 1)

    def _around(self, pairs: int) -> int:
        """Tokens that the format puts around so many pairs of a question and an answer."""
        if self.probe["format"] == "chat":
            return SYSTEM_TOKENS + pairs * (2 * MESSAGE_TOKENS - PLAIN_TOKENS)
        return self.begin_tokens


def _mean(facts: pd.DataFrame, values: pd.Series) -> float:
    return float(np.average(values, weights=facts["facts"]))


def count_facts(config: Config, root: Path) -> tuple[pd.DataFrame, str]:
    """The facts of a study under its first seed, and where they are counted.

    Columns: split, relation, facts (how many), question and answer (mean characters). They are counted in the study's
    results. Before there are any, datasets.csv counts a dataset by its manifest, and another dataset is built from a local
    copy. Raises InputError where there is no such copy.
    """
    dataset, study, seed = config["dataset"], config["study"], config["seeds"][0]
    made = root / "results" / study / path(FACTS, seed=seed)
    listed = pd.read_csv(DATASETS)
    listed = listed[(listed["reader"] == dataset["reader"]) & (listed["manifest"] == dataset["manifest"])]
    source = raw_source(dataset, root)
    if made.is_file():
        facts, counted = read_parquet(made, "a facts table"), f"results/{study}"
    elif len(listed) and not dataset["drop_overlap"]:  # drop_overlap compares texts, which the list does not have
        facts, counted = keep(_stand_ins(listed), dataset, seed, DATASETS.name), DATASETS.name
    elif dataset["reader"] == WORLD or (source and (root / source).exists()):
        unchecked = dataset | {"manifest": None}  # the study itself checks the digests
        facts = build_dataset(unchecked, config["world"], source and root / source, {}, seed).facts
        counted = str(source or "the generated world")
    else:
        expected = "a local copy of the data at dataset.path: the plan counts its facts"
        raise InputError("dataset", "the number of facts is not known", expected, key="path")
    if "answer" not in facts:
        facts = facts.assign(question=facts["question"].str.len(), answer=facts["answers"].str[0].str.len())
    groups = facts.groupby(["split", "relation"])
    return groups[["question", "answer"]].mean().assign(facts=groups.size()).reset_index(), counted


def _stand_ins(listed: pd.DataFrame) -> pd.DataFrame:
    """A facts table with as many facts as datasets.csv lists, and with mean lengths instead of texts."""
    rows = listed.loc[listed.index.repeat(listed["facts"])]
    single = rows.groupby(level=0).cumcount() < rows["single_answer"]
    answers = [["one"] if one else ["one", "another"] for one in single]
    facts = rows.drop(columns="facts").assign(answers=answers).reset_index(drop=True)
    return facts.assign(fact_id=facts.index.astype(str))

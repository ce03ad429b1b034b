"""How many facts a study asks, and how long its questions and answers are, by split and relation."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from gradual.ground.errors import InputError
from gradual.ground.files import read_parquet
from gradual.planning.models import Tokens
from gradual.study import result_paths
from gradual.study.load_study import raw_source
from gradual.study.runs import Config

RESOURCES = ("datasets.csv", "characters.csv")  # read by the code fingerprint
FILE = Path(__file__).with_name(RESOURCES[0])
MEASURED = 100  # facts of a split and relation whose texts are measured; more give the same means
# Characters per token of questions and answers: see rates of `characters.csv`.
RATES = Path(__file__).with_name(RESOURCES[1])
# What a chat template writes: around each message, as ChatML does, two special tokens, the role and two line breaks; the
# plain format's Q, :, A, : are not there; Qwen2's begins with a message of the system.
MESSAGE_TOKENS, PLAIN_TOKENS, SYSTEM_TOKENS = 5, 4, 11

Build = Callable[[dict[str, Any], dict[str, Any], Path | None, dict[str, int], int], tuple[pd.DataFrame, Any, Any]]


@dataclass(frozen=True)
class Facts:
    """A study's facts by split and relation, and where they are known from.

    Columns of `table`: split, relation, facts, question and answer (mean characters). `texts` has some facts of each, with
    their texts, where these are here.
    """

    table: pd.DataFrame
    texts: pd.DataFrame | None
    source: str

    def count(self, *splits: str) -> int:
        """Facts of the splits."""
        return int(self.table.loc[self.table["split"].isin(splits), "facts"].sum())


def facts_of(config: Config, root: Path, seed: int, build: Build) -> Facts:
    """The facts of a study: those of its results, else built from a local copy, else as the paper's dataset has them.

    `build` makes the facts table as the rule does. Raises InputError where nothing says how many facts there are.
    """
    dataset = config["dataset"]
    made = root / "results" / config["study"] / result_paths.facts(seed)
    if made.is_file():
        columns = ("fact_id", "split", "relation", "question", "answers")
        return summarise(read_parquet(made, "a facts table", columns), f"results/{config['study']}")
    counted = pd.read_csv(FILE)
    counted = counted[(counted["reader"] == dataset["reader"]) & (counted["manifest"] == dataset["manifest"])]
    if len(counted) and not dataset["drop_overlap"]:  # the data by its digests: to count them again would take long
        return Facts(_reduced(counted, dataset), None, f"as {FILE.name} counts the data of {dataset['manifest']}")
    source = raw_source(config, root)
    if dataset["reader"] != "world" and source is None:
        expected = "a local copy of the data at dataset.path, to count its facts"
        raise InputError("dataset", "its facts are not known before it is here", expected, key="path")
    unchecked = dataset | {"manifest": None}  # the digests are checked when the study runs
    table, _, _ = build(unchecked, config["world"], source, {}, seed)
    return summarise(table, "the generated world" if source is None else f"the local copy at {source}")


def summarise(facts: pd.DataFrame, source: str) -> Facts:
    """Facts by split and relation, with texts of some of each."""
    texts = facts.sort_values("fact_id").groupby(["split", "relation"], sort=True).head(MEASURED)  # ids are digests
    texts = texts.assign(answer=texts["answers"].str[0])[["split", "relation", "question", "answer"]]
    counts = facts.groupby(["split", "relation"]).size().rename("facts")
    lengths = texts.assign(question=texts["question"].str.len(), answer=texts["answer"].str.len())
    means = lengths.groupby(["split", "relation"])[["question", "answer"]].mean()
    return Facts(means.join(counts).reset_index(), texts, source)


def measure(facts: Facts, tokens: Tokens | None, source: str) -> pd.DataFrame:
    """The facts' table with mean tokens: `asked` (a question and its open answer), `pair` (both), `answer`.

    They are counted by the tokenizer, else follow from rates of characters per token, those of `characters.csv` for the
    source of the model.
    """
    table = facts.table
    if tokens is None or facts.texts is None:
        rates = pd.read_csv(RATES).set_index("tokenizer").loc[source]
        question, answer = table["question"] / rates["question"], table["answer"] / rates["answer"]
        asked = rates["frame"] + question
        return table.assign(asked=asked, pair=asked + answer + 1, answer=answer + 1)  # 1: the line break
    texts = facts.texts
    asked = tokens([f"Q: {q}\nA:" for q in texts["question"]])
    pair = tokens([f"Q: {q}\nA: {a}\n" for q, a in zip(texts["question"], texts["answer"], strict=True)])
    measured = texts[["split", "relation"]].assign(asked=asked, pair=pair)
    means = measured.groupby(["split", "relation"])[["asked", "pair"]].mean()
    means["answer"] = means["pair"] - means["asked"]
    return table.drop(columns=["answer"]).merge(means.reset_index(), on=["split", "relation"])


def prompt_tokens(table: pd.DataFrame, splits: list[str], settings: dict[str, Any], begin_tokens: int) -> float:
    """Mean tokens of a prompt that asks a fact of the splits; `settings` has shots, exemplar_split and format.

    Exemplars are of the relation of the fact, of the exemplar split.
    """
    shown = table[table["split"] == settings["exemplar_split"]].set_index("relation")["pair"]
    asked = table[table["split"].isin(splits)]
    exemplars = settings["shots"] * asked["relation"].map(shown).fillna(shown.mean())
    mean = _mean(asked, asked["asked"] + exemplars) + begin_tokens
    if settings["format"] == "chat":
        mean += SYSTEM_TOKENS + (settings["shots"] + 1) * (2 * MESSAGE_TOKENS - PLAIN_TOKENS)
    return mean


def answer_tokens(table: pd.DataFrame, splits: list[str], settings: dict[str, Any]) -> float:
    """Mean tokens of an answer to a fact of the splits: those of the gold answer and of the stop, at most the limit.

    Without a stop string a model may run on to the limit, and is planned to.
    """
    if not settings["stop"]:
        return settings["max_new_tokens"]
    asked = table[table["split"].isin(splits)]
    return min(_mean(asked, asked["answer"]), settings["max_new_tokens"])


def training_tokens(table: pd.DataFrame, settings: dict[str, Any], begin_tokens: int) -> float:
    """Mean tokens of a training text, a train fact's."""
    train = table[table["split"] == "train"]
    mean = _mean(train, train["pair"]) + begin_tokens
    return mean + (SYSTEM_TOKENS + 2 * MESSAGE_TOKENS - PLAIN_TOKENS if settings["format"] == "chat" else 0)


def _mean(table: pd.DataFrame, values: pd.Series) -> float:
    """The mean of values over the facts of a table."""
    return float((table["facts"] * values).sum() / table["facts"].sum())


def _reduced(counted: pd.DataFrame, dataset: dict[str, Any]) -> pd.DataFrame:
    """The counts of a whole dataset as a study keeps, carves and draws its facts."""
    single = counted["split"].isin(dataset["single_answer"])
    table = counted.assign(facts=counted["facts"].where(~single, counted["single_answer"]))
    if dataset["relations"]:
        table = table[table["relation"].isin(dataset["relations"])]
    train = table[table["split"] == "train"]
    carved = [
        train.assign(split=s, facts=(train["facts"] * x).round().astype(int)) for s, x in dataset["carve"].items()
    ]
    left = train.assign(facts=train["facts"] - sum(part["facts"] for part in carved))
    table = pd.concat([table[table["split"] != "train"], left, *carved], ignore_index=True)
    for split, most in dataset["max_facts"].items():
        there = table["split"] == split
        if table.loc[there, "facts"].sum() > most:
            table.loc[there, "facts"] = _shared(table.loc[there, "facts"], most)
    return table[["split", "relation", "facts", "question", "answer"]]


def _shared(counts: pd.Series, total: int) -> pd.Series:
    """The counts scaled down to a total, in whole numbers."""
    exact = counts * total / counts.sum()
    whole = exact.map(math.floor)
    rest = (exact - whole).sort_values(ascending=False).index[: total - int(whole.sum())]
    whole[rest] += 1
    return whole

"""What is measured: a base model of a finished study, with the study's facts and settings."""

import json
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from gradual.data.facts import read_facts
from gradual.ground.files import read_json
from gradual.knowledge.golds import golds
from gradual.probe.answers import Decoding, Prompt
from gradual.probe.prompts import ExemplarPool, PromptSettings, prompt_format
from gradual.probe.questions import fact_prompts
from gradual.study.config import with_defaults
from gradual.study.result_files import BASE, FACTS, PROVENANCE, path
from gradual.study.runs import Config

SCHEMA = Path(__file__).resolve().parents[2] / "schemas" / "config.schema.json"


@dataclass(frozen=True)
class Subject:
    """A base model of a finished study; `config` is what the study was made with."""

    study: Path
    config: Config
    seed: int
    model: str

    @property
    def base(self) -> Path:
        return self.study / path(BASE, seed=self.seed, model=self.model)

    @property
    def facts_file(self) -> Path:
        return self.study / path(FACTS, seed=self.seed)

    @property
    def dtype(self) -> str:
        return self.config["models"][self.model]["dtype"]

    @property
    def special_tokens(self) -> bool:
        return self.config["probe"]["format"] == "plain"

    def train_facts(self) -> pd.DataFrame:
        facts = read_facts(self.facts_file)
        return facts[facts["split"] == "train"]

    def decoding(self) -> Decoding:
        keys = ("max_new_tokens", "samples", "temperature", "top_k", "repetition_penalty")
        probe = self.config["probe"]
        return Decoding(stop=tuple(probe["stop"]), **{key: probe[key] for key in keys})


def study_config(study: Path) -> Config:
    """The config of a finished study; InputError where it has not finished."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    made = read_json(study / path(PROVENANCE), "the provenance of a finished study")["config"]
    return with_defaults(made, schema, schema)


def add_subject(parser: ArgumentParser) -> None:
    """The options of every measurement."""
    parser.add_argument("--study", type=Path, required=True, help="results/<study> of a study that has run")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--settings", type=json.loads, required=True, help="what to measure, as JSON (config.yaml)")
    parser.add_argument("--repetitions", type=int, required=True)
    parser.add_argument("--runs", type=Path, required=True, help="CSV: a row per way and repetition")


def subject(args: Namespace) -> Subject:
    return Subject(args.study, study_config(args.study), args.seed, args.model)


class Questions:
    """The train facts in a random order, asked as the study's probe asks them with one kind of exemplars."""

    def __init__(self, measured: Subject, tokenizer: Any, exemplars: str) -> None:
        probe = measured.config["probe"]
        self.exemplars, self.special_tokens, self.tokenizer = exemplars, measured.special_tokens, tokenizer
        self.facts = measured.train_facts()
        self.golds = golds(self.facts, measured.config["answers"])
        self.order = self.facts["fact_id"].sample(frac=1, random_state=0).tolist()
        pool = ExemplarPool(read_facts(measured.facts_file), probe["exemplar_split"], str(measured.facts_file))
        settings = PromptSettings(0, probe["shots"], exemplars)
        self._prompts = partial(
            fact_prompts, pool=pool, settings=settings, prompts=probe["prompts"],
            render=prompt_format(probe["format"], probe["template_arguments"], tokenizer).prompt,
        )  # fmt: skip

    def of(self, count: int) -> list[list[Prompt]]:
        """The prompts of the first `count` facts of the random order, these in the order in which a study asks them."""
        return list(self._prompts(self.facts[self.facts["fact_id"].isin(self.order[:count])]))

    def tokens(self, groups: list[list[Prompt]]) -> int:
        """Tokens of all these prompts."""
        texts = [prompt.text for group in groups for prompt in group]
        return sum(map(len, self.tokenizer(texts, add_special_tokens=self.special_tokens)["input_ids"]))

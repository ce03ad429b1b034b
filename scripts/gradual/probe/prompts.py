"""Few-shot prompts. A seeded function of (fact, prompt index) draws the exemplars, whatever the order of the facts is.

`per_fact` draws new exemplars for each fact and prompt (GL 4.1.1). `per_relation` draws one set per relation and prompt
index, which all facts of the relation share (Gekhman et al. 2024). An exemplar never has the question of the probed fact,
not even with other spaces, another case or another end, so a repeated row cannot reveal the answer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pandas as pd

from gradual.ground.errors import InputError
from gradual.ground.normal_form import question_key
from gradual.ground.seeding import seeded
from gradual.probe.chat_template import ChatTemplate


@dataclass(frozen=True)
class Exemplar:
    fact_id: str
    question: str
    answer: str


Renderer = Callable[[Sequence[Exemplar], str], str]  # from exemplars and a question to the text of a prompt


@dataclass(frozen=True)
class PromptSettings:
    """How prompts are made. Another `seed` gives other prompts, for example in a retest."""

    seed: int
    shots: int
    exemplars: str  # per_fact | per_relation


class ExemplarPool:
    """The facts that may serve as exemplars, by relation, in an order that does not depend on that of the table."""

    def __init__(self, facts: pd.DataFrame, split: str, file: str) -> None:
        self.file, self.split = file, split
        pool = facts[facts["split"] == split].sort_values("fact_id")
        self._by_relation: dict[str, list[tuple[str, Exemplar]]] = {  # each exemplar with the key of its question
            relation: [
                (question_key(row[1]), Exemplar(*row))
                for row in zip(g["fact_id"], g["question"], g["answers"].str[0], strict=True)
            ]
            for relation, g in pool.groupby("relation")
        }

    def choose(self, relation: str, question: str, count: int, *key: object) -> list[Exemplar]:
        """Draw, by the key, `count` exemplars of the relation with distinct questions other than the given one.

        Raises InputError where the relation has too few.
        """
        pool, probed = self._by_relation.get(relation, []), question_key(question)
        chosen: dict[str, Exemplar] = {}
        for draw in range(50 * count):
            if len(chosen) == count or not pool:
                break
            asked, exemplar = pool[seeded(*key, draw) % len(pool)]
            if asked != probed:
                chosen.setdefault(asked, exemplar)
        if len(chosen) < count:  # a small pool: take what is left, in seeded order
            for asked, exemplar in sorted(pool, key=lambda e: seeded(*key, e[1].fact_id)):
                if len(chosen) < count and asked != probed:
                    chosen.setdefault(asked, exemplar)
        if len(chosen) < count:
            raise InputError(
                self.file,
                f"relation {relation!r} has {len(chosen)} facts of split {self.split!r} as exemplars for {question!r}",
                f"at least {count} exemplars (probe.shots); use fewer shots or more facts of that relation",
                key="relation",
            )
        return list(chosen.values())


def exemplars_of(fact: Any, index: int, pool: ExemplarPool, settings: PromptSettings) -> list[Exemplar]:
    """The exemplars of one prompt; `fact` has the fields fact_id, relation and question."""
    about = (fact.fact_id,) if settings.exemplars == "per_fact" else ("relation", fact.relation)
    return pool.choose(fact.relation, fact.question, settings.shots, settings.seed, *about, index)


class PromptFormat(Protocol):
    """How prompts, and the texts of training, are written."""

    def prompt(self, exemplars: Sequence[Exemplar], question: str) -> str:
        """The text of a prompt, up to where the model answers."""
        ...

    def answer(self, answer: str) -> str:
        """The text that the model must write after a prompt to give an answer."""
        ...

    def completion(self, question: str, answer: str) -> str:
        """What follows the prompt without exemplars in a training text: the answer, and what ends it."""
        ...


def plain(exemplars: Sequence[Exemplar], question: str) -> str:
    """`Q: …\\nA: …\\n` for each exemplar, then the question and `A:` without an answer."""
    return "".join(f"Q: {e.question}\nA: {e.answer}\n" for e in exemplars) + f"Q: {question}\nA:"


class Plain:
    """Questions and answers as lines of text."""

    prompt = staticmethod(plain)

    def answer(self, answer: str) -> str:
        """A space and the answer."""
        return f" {answer}"

    def completion(self, question: str, answer: str) -> str:
        """The answer and the end of its line."""
        return f"{self.answer(answer)}\n"


# The formats of prompts by name. Each is made from a tokenizer and the arguments of its chat template.
FORMATS: dict[str, Callable[[Any, Mapping[str, Any]], PromptFormat]] = {
    "plain": lambda tokenizer, arguments: Plain(),
    "chat": ChatTemplate,
}


def prompt_format(name: str, arguments: Mapping[str, Any], tokenizer: Any) -> PromptFormat:
    """A format by its name; `arguments` are those of the chat template (the config's template_arguments).

    Raises InputError for a chat template that is missing or broken.
    """
    return FORMATS[name](tokenizer, arguments)


def adds_special_tokens(style: str) -> bool:
    """Whether the tokenizer adds its own special tokens to a prompt of a format; a chat template writes them itself."""
    return style != "chat"


def ending_tokens(tokenizer: Any) -> set[int]:
    """The tokens that end an answer whatever its text is: all special ones, such as the end of a turn in chat.

    Some tokenizers mark the end of a turn as special only among their added tokens.
    """
    added = {token for token, content in tokenizer.added_tokens_decoder.items() if content.special}
    return added | set(tokenizer.all_special_ids)

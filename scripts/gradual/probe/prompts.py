"""Few-shot prompts. A seeded function of (fact, prompt index) draws the exemplars, whatever the order of the facts is.

`per_fact` draws new exemplars for each fact and prompt (GL 4.1.1). `per_relation` draws one set per relation and prompt
index, which all facts of the relation share (Gekhman et al. 2024). An exemplar never has the question of the probed fact,
so a repeated row cannot reveal the answer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gradual.ground.errors import InputError
from gradual.ground.seeding import seeded


@dataclass(frozen=True)
class Exemplar:
    fact_id: str
    question: str
    answer: str


Renderer = Callable[[list[Exemplar], str], str]  # from exemplars and a question to the text of a prompt


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
        self._by_relation: dict[str, list[Exemplar]] = {
            relation: [Exemplar(*row) for row in zip(g["fact_id"], g["question"], g["answers"].str[0], strict=True)]
            for relation, g in pool.groupby("relation")
        }

    def choose(self, relation: str, question: str, count: int, *key: object) -> list[Exemplar]:
        """Draw, by the key, `count` exemplars of the relation with distinct questions other than the given one.

        Raises InputError where the relation has too few.
        """
        pool = self._by_relation.get(relation, [])
        chosen: dict[str, Exemplar] = {}
        for draw in range(50 * count):
            if len(chosen) == count or not pool:
                break
            exemplar = pool[seeded(*key, draw) % len(pool)]
            if exemplar.question != question:
                chosen.setdefault(exemplar.question, exemplar)
        if len(chosen) < count:  # a small pool: take what is left, in seeded order
            for exemplar in sorted(pool, key=lambda e: seeded(*key, e.fact_id)):
                if len(chosen) < count and exemplar.question != question:
                    chosen.setdefault(exemplar.question, exemplar)
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


def plain(exemplars: list[Exemplar], question: str) -> str:
    """`Q: …\\nA: …\\n` for each exemplar, then the question and `A:` without an answer."""
    return "".join(f"Q: {e.question}\nA: {e.answer}\n" for e in exemplars) + f"Q: {question}\nA:"


def chat_renderer(tokenizer: Any) -> Renderer:
    """A renderer of prompts as a conversation in the tokenizer's own chat template.

    The template writes the special tokens itself, so its text must be tokenized without adding them again. Raises
    InputError for a tokenizer without a chat template.
    """
    if not tokenizer.chat_template:
        raise InputError(str(tokenizer.name_or_path), "has no chat template", "an instruction-tuned model's tokenizer")

    def render(exemplars: list[Exemplar], question: str) -> str:
        turns = [(e.question, e.answer) for e in exemplars]
        messages = [
            message
            for asked, answer in turns
            for message in ({"role": "user", "content": asked}, {"role": "assistant", "content": answer})
        ]
        messages.append({"role": "user", "content": question})
        return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)

    return render


# The formats of prompts by name. Each value is a function that makes the renderer for a tokenizer.
FORMATS: dict[str, Callable[[Any], Renderer]] = {"plain": lambda tokenizer: plain, "chat": chat_renderer}


def renderer(style: str, tokenizer: Any) -> Renderer:
    """The renderer of a prompt format."""
    return FORMATS[style](tokenizer)


def adds_special_tokens(style: str) -> bool:
    """Whether the tokenizer adds its own special tokens to a prompt of a format; a chat template writes them itself."""
    return style != "chat"


def ending_tokens(tokenizer: Any) -> set[int]:
    """The tokens that end an answer whatever its text is: all special ones, such as the end of a turn in chat.

    Some tokenizers mark the end of a turn as special only among their added tokens.
    """
    added = {token for token, content in tokenizer.added_tokens_decoder.items() if content.special}
    return added | set(tokenizer.all_special_ids)

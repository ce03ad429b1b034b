"""How a run augments its questions: the key `augment` of a run, which schemas/config.schema.json describes."""

from dataclasses import dataclass

SOURCES = MODEL, TEMPLATES = "model", "templates"  # what writes the augmented questions


@dataclass(frozen=True)
class Keep:
    """Which augmented rows are kept: a random share, a share with the most information, and those that agree.

    Of `random` and `information`, at most one is given.
    """

    random: float | None = None
    information: float | None = None
    agreement: bool = False


@dataclass(frozen=True)
class Augment:
    """The ways of augmentation (`data.augmentation_forms`), what writes the questions, and which rows are kept."""

    ways: tuple[str, ...]
    source: str
    keep: Keep

"""A stage of a study whose answers change: what it trains on."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """What a stage trains on: the roles of the facts, their domain, and the revision of the answers.

    `domain` counts for own and conflicting facts alone. For `revision`, None stands for the latest.
    """

    facts: tuple[str, ...]
    domain: str
    revision: int | None

"""The order of an epoch: all examples to train on, and a fresh draw of those to replay."""

from gradual.ground.seeding import seeded


def replay_size(pool: float, ratio: float) -> int:
    """How many examples of the replay pool an epoch draws (GL 3.2: a share of the HighlyKnown)."""
    return round(pool * ratio)


def epoch_order(trained: int, pool: int, ratio: float, epoch: int, seed: int) -> list[int]:
    """The rows of one epoch, shuffled: all `trained` rows (0 …) and a fresh draw of the `pool` rows that follow them.

    A pure function of its arguments, so that a resumed or distributed training sees the same epochs.
    """
    drawn = sorted(range(trained, trained + pool), key=lambda row: seeded(seed, epoch, "draw", row))
    rows = [*range(trained), *drawn[: replay_size(pool, ratio)]]
    return sorted(rows, key=lambda row: seeded(seed, epoch, "order", row))

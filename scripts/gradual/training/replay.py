"""The order of an epoch: all examples to train on, and a fresh draw of those to replay."""

from gradual.ground.seeding import seeded


def replay_size(pool: float, ratio: float) -> int:
    """How many examples an epoch draws from the replay pool (GL 3.2: a share of the HighlyKnown facts)."""
    return round(pool * ratio)


def epoch_order(trained: int, pool: int, ratio: float, epoch: int, seed: int) -> list[int]:
    """The rows of one epoch, shuffled: all rows to train on, and a fresh draw from the replay pool.

    The first `trained` rows are those to train on, and the next `pool` rows are the replay pool. The order depends only on
    the arguments, so that a resumed or distributed training has the same epochs.
    """
    drawn = sorted(range(trained, trained + pool), key=lambda row: seeded(seed, epoch, "draw", row))
    rows = [*range(trained), *drawn[: replay_size(pool, ratio)]]
    return sorted(rows, key=lambda row: seeded(seed, epoch, "order", row))

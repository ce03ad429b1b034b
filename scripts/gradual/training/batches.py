"""Micro batches: which rows they have in each step of an epoch, and how rows are padded to one tensor."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gradual.ground.errors import InputError
from gradual.training.replay import epoch_order, replay_size
from gradual.training.texts import IGNORED, Row

BLANK: Row = {"input_ids": [0], "labels": [IGNORED]}  # a row without loss


ABSENT = {"input_ids": 0, "attention_mask": 0, "labels": IGNORED}  # of padding, which may have any token


def pad(rows: list[Row]) -> dict[str, Any]:
    """A batch of rows padded to its longest: input_ids, attention_mask and labels of shape (rows, longest)."""
    return padded([row | {"attention_mask": [1] * len(row["input_ids"])} for row in rows], ABSENT)


def padded(rows: Sequence[Row], absent: Mapping[str, int]) -> dict[str, Any]:
    """The lists of rows as tensors of shape (rows, longest). `absent` has what padding is in each of the lists."""
    import torch

    longest = max(len(row["input_ids"]) for row in rows)
    lists = {name: [row[name] + [value] * (longest - len(row[name])) for row in rows] for name, value in absent.items()}
    return {name: torch.tensor(found) for name, found in lists.items()}


def micro_rows(batch: int, micro_batch: int, ranks: int) -> int:
    """Rows per forward pass and rank: at most `micro_batch`; InputError where ranks cannot share the global batch."""
    if batch % ranks:
        raise InputError(
            "training",
            f"a global batch of {batch} cannot be shared by {ranks} ranks",
            "training.batch to be a multiple of the job's GPUs",
            key="batch",
        )
    rows = min(micro_batch, batch // ranks)
    if batch // ranks % rows:
        raise InputError(
            "training",
            f"the {batch // ranks} rows of a batch of {batch} on each of {ranks} ranks are no multiple of {rows}",
            "training.micro_batch to divide them, or to be at least as many",
            key="micro_batch",
        )
    return rows


class EpochBatches:
    """The micro batches of one rank: lists of row numbers, of an epoch after the other.

    An epoch has all selected facts and a fresh draw of replayed ones, shuffled (GL 3.2). The ranks take turns, each
    taking the next `rows` of them, so that a step's facts are the same whatever the number of ranks. Where the epoch's
    end leaves a rank without any, it has the row `blank`, which has no loss: no fact counts twice.
    """

    def __init__(self, trained: int, pool: int, ratio: float, seed: int, rows: int, rank: int, ranks: int) -> None:
        self.order = (trained, pool, ratio)
        self.length = trained + replay_size(pool, ratio)
        self.seed, self.rows, self.rank, self.ranks = seed, rows, rank, ranks
        self.blank = trained + pool
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        order = epoch_order(*self.order, self.epoch, self.seed)
        for start in range(0, self.length, self.rows * self.ranks):
            first = start + self.rank * self.rows
            yield order[first : first + self.rows] or [self.blank]

    def __len__(self) -> int:
        return -(-self.length // (self.rows * self.ranks))

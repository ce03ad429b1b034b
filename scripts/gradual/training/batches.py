"""Training texts as batches: tokens and labels, the rows of every step, and micro batches with or without padding."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gradual.ground.errors import InputError
from gradual.knowledge.selection import epoch_order, replay_size
from gradual.probe.prompts import renderer

IGNORED = -100  # label of tokens without loss
BLANK = {"input_ids": [0], "labels": [IGNORED]}  # a row without loss
PADDING_FREE = ("llama", "qwen2")  # model types whose attention keeps rows apart by their position ids

Row = dict[str, list[int]]


@dataclass(frozen=True)
class Example:
    """A training text: the zero-shot question and its answer; the loss may cover the answer only."""

    question: str
    answer: str


def tokenize(example: Example, tokenizer: Any, style: str, loss_on: str) -> Row:
    """Token ids and labels of an example in the probe's own format, ending as an answer ends.

    With `loss_on` "answer", the question's tokens have no loss; with "text", all have (the GL authors' code). Raises
    InputError where the tokenizer has no chat template, or one that tells an answer otherwise than it asks for it.
    """
    prompt = renderer(style, tokenizer)([], example.question)
    if style == "chat":
        told = [{"role": "user", "content": example.question}, {"role": "assistant", "content": example.answer}]
        text = tokenizer.apply_chat_template(told, tokenize=False)
        if not text.startswith(prompt):
            problem = "has a chat template in which an answer does not follow the prompt that asks for it"
            raise InputError(str(tokenizer.name_or_path), problem, "one that writes both alike")
    else:
        text = f"{prompt} {example.answer}\n"
    encoded = tokenizer(text, add_special_tokens=style == "plain", return_offsets_mapping=True)
    ids = encoded["input_ids"]
    starts = [start for start, _ in encoded["offset_mapping"]]
    labels = [
        token if loss_on == "text" or start >= len(prompt) else IGNORED
        for token, start in zip(ids, starts, strict=True)
    ]
    return {"input_ids": ids, "labels": labels}


def pad(rows: list[Row], padding: int) -> dict[str, Any]:
    """A batch of rows padded to its longest: input_ids, attention_mask and labels of shape (rows, longest)."""
    import torch

    longest = max(len(row["input_ids"]) for row in rows)
    batch = {
        "input_ids": [row["input_ids"] + [padding] * (longest - len(row["input_ids"])) for row in rows],
        "attention_mask": [[1] * len(row["input_ids"]) + [0] * (longest - len(row["input_ids"])) for row in rows],
        "labels": [row["labels"] + [IGNORED] * (longest - len(row["labels"])) for row in rows],
    }
    return {name: torch.tensor(values) for name, values in batch.items()}


def join(rows: list[Row]) -> dict[str, Any]:
    """A batch without padding, the rows one after the other: input_ids, position_ids and labels of shape (1, tokens).

    Positions begin anew with each row, from which a model of PADDING_FREE makes a mask that keeps rows apart. No token
    predicts the next row's first. The model must be used without a cache, or it makes no such mask.
    """
    import torch

    batch = {
        "input_ids": [token for row in rows for token in row["input_ids"]],
        "position_ids": [position for row in rows for position in range(len(row["input_ids"]))],
        "labels": [label for row in rows for label in (IGNORED, *row["labels"][1:])],
    }
    return {name: torch.tensor([values]) for name, values in batch.items()} | {"use_cache": False}


def collate(rows: list[Row], padding: int, config: Any) -> dict[str, Any]:
    """A micro batch of rows, in the form that costs the model with this transformers config fewer operations.

    Padding costs tokens; rows one after the other have none, but their attention is over all their tokens. Loss and
    gradients are the same, up to rounding.
    """
    lengths = [len(row["input_ids"]) for row in rows]
    if can_join(config):
        per_token, per_pair = operations(config)
        padded = len(rows) * max(lengths) * (per_token + max(lengths) * per_pair)
        if sum(lengths) * (per_token + sum(lengths) * per_pair) < padded:
            return join(rows)
    return pad(rows, padding)


def can_join(config: Any) -> bool:
    """Whether a model with this transformers config keeps rows apart that lie one after the other."""
    return config.model_type in PADDING_FREE and config._attn_implementation == "sdpa"


def operations(config: Any) -> tuple[int, int]:
    """Multiplications of a forward pass of Llama's or Qwen2's architecture: per token, and per pair of tokens."""
    hidden, layers = config.hidden_size, config.num_hidden_layers
    queries = config.num_attention_heads * (getattr(config, "head_dim", None) or hidden // config.num_attention_heads)
    keys = queries * config.num_key_value_heads // config.num_attention_heads
    per_layer = 2 * hidden * (queries + keys) + 3 * hidden * config.intermediate_size
    return layers * per_layer + hidden * config.vocab_size, 2 * layers * queries


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

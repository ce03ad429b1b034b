"""The objective preference: the cross entropy, and a loss on samples of the state that the run starts from.

It is our reading of the preference bias of Guan et al. 2025 (MS). For an example with the question x, the target y and K
samples,

    L = CE(y|x) + (1/K) sum_j [aligned: -alpha l_j; conflicting: beta g(l_j)],

where l_j is the mean log-ratio per token of sample j: the log-probability that the model gives it, less that of the
reference, which is the parent. A sample is aligned if it is right by the target. With `bound: npo`,
g(l) = (2/b) log(1 + e^(b l)), as in negative preference optimisation (Zhang et al. 2024). With `bound: none`, g(l) = l, as
MS print it. `target: false` leaves out CE, which MS do not print.

The loss of a step is the mean of CE over the targets' tokens, as with `cross_entropy`, and the mean of the rest over the
step's rows. A replayed row has no samples, and only CE.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from gradual.ground.errors import InputError
from gradual.ground.settings import pick
from gradual.knowledge.selection_roles import TRAIN
from gradual.training import batches
from gradual.training.log_probabilities import means, token_log_probabilities
from gradual.training.samples import ALIGNED, CONFLICTING, KINDS, TARGET, read_samples
from gradual.training.settings import PreferenceSettings
from gradual.training.texts import IGNORED, Row

SEQUENCE = {"kind": -1, "weight": 0.0, "reference": 0.0}  # of a row's own sequence without samples


class Preference:
    """See `objectives.Objective`.

    A row has the keys of SEQUENCE: the place of its kind among KINDS, or -1 for a row without samples; its weight in the
    means over a kind; its log-probability under the reference. Under `samples` it has a sequence with the same keys for
    each distinct sample, whose weight is the share of the samples that gave it.
    """

    columns = tuple(f"{kind}_log_ratio" for kind in KINDS)

    def __init__(self, own: Mapping[str, Any]) -> None:
        self.settings = pick(PreferenceSettings, own)
        self.step_rows: Any = None  # rows with loss in the whole step
        self.sums: Any = None  # of this rank in the step: by kind, the log-ratios x their weights, and the weights

    @staticmethod
    def rows(
        examples: pd.DataFrame,
        written: Sequence[tuple[str, str]],
        encode: Callable[[str, str], Row],
        samples: Sequence[Path],
    ) -> list[Row]:
        """Raises InputError where an example to train on has no samples, or samples for another target."""
        [path] = samples
        found = dict(iter(read_samples(path).groupby(["fact_id", "question"], sort=False)))
        rows = []
        for example, (prompt, completion) in zip(examples.itertuples(index=False), written, strict=True):
            row = encode(prompt, completion)
            if example.role == TRAIN:
                given = found.get((example.fact_id, example.question))
                if given is None:
                    problem = f"has no samples of fact {example.fact_id} for {example.question!r}"
                    raise InputError(path, problem, "those of every example to train on", key="question")
                row = _with_samples(row, prompt, example, given, encode, path)
            rows.append(row)
        return rows

    @staticmethod
    def sequences(row: Row) -> list[Row]:
        return [row, *row.get("samples", ())]

    def pad(self, rows: list[Row]) -> dict[str, Any]:
        """The sequences of all rows as a batch. `labels` are those of targets alone, and `answers` those of all."""
        import torch

        sequences = [sequence for row in rows for sequence in self.sequences(row)]
        batch = batches.pad(sequences)
        for name, absent in SEQUENCE.items():
            batch[name] = torch.tensor([sequence.get(name, absent) for sequence in sequences])
        batch["answers"], sampled = batch["labels"], batch["kind"] > KINDS.index(TARGET)
        batch["labels"] = batch["labels"].masked_fill(sampled[:, None], IGNORED)
        return batch

    def begin(self, batches: Sequence[Mapping[str, Any]], over_ranks: Callable[[Any], Any]) -> None:
        import torch

        with_loss = [(batch["labels"] != IGNORED).any(1).sum() for batch in batches]
        self.step_rows = over_ranks(sum(with_loss, torch.zeros((), dtype=torch.long)))
        self.sums = torch.zeros(2, len(KINDS), device=self.step_rows.device)

    def loss(self, model: Any, batch: dict[str, Any], tokens: Any) -> tuple[Any, Any]:
        outputs = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
        by_token = token_log_probabilities(outputs["logits"], batch["answers"])
        ratios = means(by_token, batch["answers"])[0] - batch["reference"]
        weights = {kind: batch["weight"] * (batch["kind"] == place) for place, kind in enumerate(KINDS)}
        self.sums += _sums(ratios.detach(), weights)
        own = self.settings
        terms = weights[CONFLICTING] * own.beta * bounded(ratios, own) - weights[ALIGNED] * own.alpha * ratios
        loss = terms.sum() / self.step_rows
        if own.target:
            loss = loss - (by_token * (batch["labels"][:, 1:] != IGNORED)).sum() / tokens
        return loss, outputs

    def logged(self, over_ranks: Callable[[Any], Any]) -> dict[str, float]:
        """The mean log-ratio of each kind over the step's targets or samples."""
        ratios, weights = over_ranks(self.sums).tolist()
        found = zip(self.columns, ratios, weights, strict=True)
        return {column: ratio / weight for column, ratio, weight in found if weight}


def bounded(ratios: Any, own: PreferenceSettings) -> Any:
    """g of the log-ratios of conflicting samples."""
    from torch.nn.functional import softplus

    return softplus(own.b * ratios) * 2 / own.b if own.bound == "npo" else ratios


def _with_samples(
    row: Row, prompt: str, example: Any, given: pd.DataFrame, encode: Callable[[str, str], Row], path: Path
) -> Row:
    """The row of an example with its samples, whose texts follow the same prompt."""
    target, sampled = given[given["kind"] == TARGET].iloc[0], given[given["kind"] != TARGET]
    if target["text"] != example.answer:
        problem = f"{target['text']!r}, but the run trains fact {example.fact_id} on {example.answer!r}"
        raise InputError(path, problem, "samples of these examples", key="text")
    drawn = sampled["count"].sum()
    sequences = [
        encode(prompt, sample.completion)
        | {"kind": KINDS.index(sample.kind), "weight": float(sample.count / drawn), "reference": sample.log_probability}
        for sample in sampled.itertuples(index=False)
    ]
    own = {"kind": KINDS.index(TARGET), "weight": 1.0, "reference": float(target["log_probability"])}
    return row | own | {"samples": sequences}


def _sums(ratios: Any, weights: Mapping[str, Any]) -> Any:
    """By kind, the sum of weights x ratios and that of the weights, of shape (2, kinds)."""
    import torch

    return torch.stack([torch.stack([(weight * ratios).sum(), weight.sum()]) for weight in weights.values()], dim=1)

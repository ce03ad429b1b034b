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
from itertools import accumulate
from pathlib import Path
from typing import Any

import pandas as pd

from gradual.ground.errors import InputError, out_of_memory
from gradual.ground.settings import pick
from gradual.knowledge.selection_roles import TRAIN
from gradual.models import logit_rounding
from gradual.training.batches import padded
from gradual.training.samples import ALIGNED, CONFLICTING, KINDS, TARGET, read_samples
from gradual.training.settings import PreferenceSettings
from gradual.training.shared_beginnings import NONE, PADDING, SHARED, attention_mask, difference, joined
from gradual.training.texts import IGNORED, Row

ABSENT = {"input_ids": 0, "labels": IGNORED, "text": PADDING, "positions": 0, "before": NONE}  # of padding
UNSAMPLED = {"kind": -1, "weight": 0.0, "reference": 0.0}  # of the text of a row without samples


class Preference:
    """See `objectives.Objective`.

    A row is the target's text and the distinct samples' as one sequence (`shared_beginnings`). Its `texts` have the keys of
    UNSAMPLED: the place of the text's kind among KINDS, or -1 in a row without samples; its weight in the means over a
    kind, which is for a sample the share of the samples that gave it; its log-probability under the reference.
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
            target = encode(prompt, completion)
            sampled: list[Row] = []
            if example.role == TRAIN:
                given = found.get((example.fact_id, example.question))
                if given is None:
                    problem = f"has no samples of fact {example.fact_id} for {example.question!r}"
                    raise InputError(path, problem, "those of every example to train on", key="question")
                target, sampled = _with_samples(target, prompt, example, given, encode, path)
            rows.append(row_of(target, sampled))
        return rows

    def pad(self, rows: list[Row]) -> dict[str, Any]:
        """The rows as a batch. `labels` are those of targets alone, and `answers` those of all texts.

        The texts are numbered through the batch.
        """
        import torch

        rows = [row if "texts" in row else row_of(row, []) for row in rows]
        texts = [text for row in rows for text in row["texts"]]
        firsts = accumulate((len(row["texts"]) for row in rows[:-1]), initial=0)
        numbered = [
            row | {"text": [first + number if number != SHARED else SHARED for number in row["text"]]}
            for first, row in zip(firsts, rows, strict=True)
        ]
        batch = padded(numbered, ABSENT)
        batch |= {name: torch.tensor([text[name] for text in texts]) for name in UNSAMPLED}
        sampled = batch["kind"] > KINDS.index(TARGET)
        batch["answers"] = batch["labels"]
        batch["labels"] = batch["labels"].masked_fill(sampled[batch["text"].clamp(min=0)], IGNORED)
        return batch

    def check(self, model: Any, rows: Sequence[Row]) -> None:
        """Raises InputError for a model that gives the texts of the longest row other logits than each has alone."""
        longest = max(rows, key=lambda row: len(row["input_ids"]))
        kind = model.config.get_text_config().model_type
        expected = "a model whose attention takes a mask and positions, and texts within its window"
        try:
            problem = logit_rounding.exceeds(difference(model, longest), model)
        except Exception as error:  # each architecture raises its own
            if out_of_memory(error):
                raise
            refused = f"preference with a {kind} model: {' '.join(str(error).split()) or type(error).__name__}"
            raise InputError("training", refused, expected, key="objective") from error
        if problem:
            raise InputError("training", f"preference with a {kind} model: {problem}", expected, key="objective")

    def begin(self, batches: Sequence[Mapping[str, Any]], over_ranks: Callable[[Any], Any]) -> None:
        import torch

        with_loss = [(batch["labels"] != IGNORED).any(1).sum() for batch in batches]
        self.step_rows = over_ranks(sum(with_loss, torch.zeros((), dtype=torch.long)))
        self.sums = torch.zeros(2, len(KINDS), device=self.step_rows.device)

    def loss(self, model: Any, batch: dict[str, Any], tokens: Any) -> tuple[Any, Any]:
        outputs = model(
            input_ids=batch["input_ids"],
            attention_mask=attention_mask(batch["text"]),
            position_ids=batch["positions"],
        )
        by_token, means = _log_probabilities(outputs["logits"], batch)
        ratios = means - batch["reference"]
        weights = {kind: batch["weight"] * (batch["kind"] == place) for place, kind in enumerate(KINDS)}
        self.sums += _sums(ratios.detach(), weights)
        own = self.settings
        terms = weights[CONFLICTING] * own.beta * bounded(ratios, own) - weights[ALIGNED] * own.alpha * ratios
        loss = terms.sum() / self.step_rows
        if own.target:
            loss = loss - (by_token * (batch["labels"] != IGNORED)).sum() / tokens
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
    target: Row, prompt: str, example: Any, given: pd.DataFrame, encode: Callable[[str, str], Row], path: Path
) -> tuple[Row, list[Row]]:
    """The text of an example and those of its samples, which follow the same prompt."""
    own, sampled = given[given["kind"] == TARGET].iloc[0], given[given["kind"] != TARGET]
    if own["text"] != example.answer:
        problem = f"{own['text']!r}, but the run trains fact {example.fact_id} on {example.answer!r}"
        raise InputError(path, problem, "samples of these examples", key="text")
    drawn = sampled["count"].sum()
    texts = [
        encode(prompt, sample.completion)
        | {"kind": KINDS.index(sample.kind), "weight": float(sample.count / drawn), "reference": sample.log_probability}
        for sample in sampled.itertuples(index=False)
    ]
    reference = float(own["log_probability"])
    return target | {"kind": KINDS.index(TARGET), "weight": 1.0, "reference": reference}, texts


def row_of(target: Row, samples: list[Row]) -> Row:
    """A row of the target's text and the samples', which have the keys of UNSAMPLED (the target only with samples)."""
    texts = [UNSAMPLED | target, *samples]
    return joined(texts) | {"texts": [{name: text[name] for name in UNSAMPLED} for text in texts]}


def _log_probabilities(logits: Any, batch: Mapping[str, Any]) -> tuple[Any, Any]:
    """The log-probability of each token with a label, of shape (rows, tokens) and else 0, and its mean over each text."""
    import torch
    from torch.nn.functional import cross_entropy, one_hot

    answers, texts = batch["answers"], len(batch["kind"])
    rows, places = ((answers != IGNORED) & (batch["before"] != NONE)).nonzero(as_tuple=True)
    # Not by an index of two dimensions, whose gradient adds up in no fixed order where texts share the token before.
    before = logits.flatten(0, 1).index_select(0, rows * logits.shape[1] + batch["before"][rows, places]).float()
    said = -cross_entropy(before, answers[rows, places], reduction="none")
    by_token = torch.zeros(answers.shape, device=said.device).index_put((rows, places), said)
    belongs = one_hot(batch["text"][rows, places], texts).to(said.dtype)
    return by_token, said @ belongs / belongs.sum(0).clamp(min=1)


def _sums(ratios: Any, weights: Mapping[str, Any]) -> Any:
    """By kind, the sum of weights x ratios and that of the weights, of shape (2, kinds)."""
    import torch

    return torch.stack([torch.stack([(weight * ratios).sum(), weight.sum()]) for weight in weights.values()], dim=1)

"""The head of a study's tables: what all of them have in common, so that no table repeats it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from gradual.knowledge.golds import ANY

LAST = "last"  # choose_on of a study that takes every run's last epoch


def head(
    about: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame],
    agreements: Sequence[Mapping[str, Any]],
    unanswerable: str,
) -> str:
    """The Markdown above the first table.

    `about` is what `registry.about` says of the study, `tables` has the CSV of each table by name, `agreements` are the
    results of check_probe, and `unanswerable` is the sentence of that name (empty if all facts can be answered).
    """
    models = [f"{label} ({_compared(paper)})" for label, paper in about["models"]]
    seeds = list(map(str, about["seeds"]))
    scored = f"The rule `{about['scoring']}` decides whether an answer is right."
    any_answer = " An output is right if it is right by any of the fact's answers (answers: any)."
    last, chosen = "The last epoch of every run counts.", f"Epochs are chosen on {about['choose_on']}."
    return "\n\n".join(
        [
            f"# Tables of the study {about['study']}",
            f"Models: {', '.join(models)}.{_sizes(about, tables)} Seeds: {', '.join(seeds)}.",
            f"{scored}{any_answer if about['answers'] == ANY else ''} {last if about['choose_on'] == LAST else chosen}",
            f"{_intervals(len(seeds))} Every interval is of 95%, and a dash is a number that there is not.",
            f"Captions and the columns named Paper are those of {' and of '.join(about['cited'])}; the rest is ours. The "
            "files `tables/*.csv` have more columns, in full precision.",
            *filter(None, [agreement(agreements) if agreements else "", unanswerable]),
        ]
    )


def _compared(paper: str | None) -> str:
    return f"compared with the paper's {paper}" if paper else "compared with no model of the paper"


def _sizes(about: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> str:
    """A sentence on how many facts the tables are about: of each kind the number, or the numbers if they differ.

    The kinds come in the order of the tables.
    """
    found: dict[str, dict[str, None]] = {}
    for name, table in tables.items():
        if kind := about["facts"].get(name):
            found.setdefault(kind, {}).update(dict.fromkeys(f"{n:,.10g}" for n in table["n"].unique()))
    told = [f"{' or '.join(numbers)} {kind}" for kind, numbers in found.items()]
    return f" Facts: {' and '.join(told)}." if told else ""


def _intervals(seeds: int) -> str:
    """What the numbers and their intervals are, where no note says otherwise."""
    if seeds > 1:
        return f"Our numbers are means over {seeds} seeds, and their intervals are Student's t over the seeds."
    return (
        "Our numbers are from 1 seed. Intervals of shares are Wilson's over the facts, and intervals of differences are "
        "for matched pairs (Agresti and Min), where no note says otherwise."
    )


def agreement(found: Sequence[Mapping[str, Any]]) -> str:
    """A sentence on how far a study's probes agree with plain generation."""
    names = ("answers", "equal_answers", "agreeing_answers", "facts", "equal_classes")
    total = {name: sum(each[name] for each in found) for name in names}
    agreeing = f" ({total['agreeing_answers']:,} up to rounding)"
    return (
        f"The untouched models' probes, checked against plain `generate`: {total['equal_answers']:,} of"
        f" {total['answers']:,} greedy answers equal"
        f"{agreeing if total['agreeing_answers'] > total['equal_answers'] else ''},"
        f" {total['equal_classes']:,} of {total['facts']:,} facts in the same class (provenance.json)."
    )


def unanswerable(counts: Iterable[pd.DataFrame]) -> str:
    """A sentence on how many facts of each split no state can answer within the study's limits. Empty without such facts.

    `counts` has the counts of each model and seed, which are summed.
    """
    total = pd.concat(counts).groupby("split", sort=False)[["never", "facts"]].sum()
    some = total[total["never"] > 0].itertuples()
    told = " and of ".join(f"{row.never:,} of {row.facts:,} {row.Index}" for row in some)
    return f"No gold answer of {told} facts is possible within probe.max_new_tokens and probe.stop." if told else ""

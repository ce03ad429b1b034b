"""The costs of each state of a study: prompts and tokens from the usage files, seconds from Snakemake's benchmarks."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
from tabulate import tabulate

from gradual.ground.errors import InputError
from gradual.ground.files import read_json
from gradual.study.result_files import filled
from gradual.tables.markdown import count, number

COUNTED = ("prompts", "prompt_tokens", "answer_tokens", "computed_tokens")


def table(found: list[dict[str, Any]], seeds: Sequence[int], root: Path, labels: dict[str, str]) -> pd.DataFrame:
    """A row per model, state and work, with means over the seeds. The last row of each model has the sums.

    `found` are works as `works.Work.described` returns them. `root` is results/<study>. `labels` maps models to labels.
    Columns: model, label, state, work, jobs, prompts, prompt_tokens, answer_tokens, computed_tokens, seconds
    (wall-clock time, summed over jobs). If a benchmark file is missing, because results were copied here, its seconds and
    their sums are NaN. Raises InputError for a usage file that is broken.
    """
    rows = []
    for work, seed in product(found, seeds):
        files = [root / path for path in filled(work["usage"], [seed], work["jobs"])]
        usage = [read_json(file, "what an engine did") for file in files]
        for file, each in zip(files, usage, strict=True):
            if not isinstance(each, dict) or not set(COUNTED) <= set(each):
                raise InputError(file, f"is {each!r}", f"the keys {', '.join(COUNTED)}")
        seconds = [_seconds(root / path) for path in filled(work["benchmarks"], [seed], work["jobs"])]
        rows.append(
            {"model": work["model"], "label": labels[work["model"]], "state": work["state"], "work": work["work"]}
            | {"seed": seed, "jobs": work["jobs"]}
            | {name: sum(each[name] for each in usage) for name in COUNTED}
            | {"seconds": sum(seconds)}
        )
    keys = ["model", "label", "state", "work"]
    mean = pd.DataFrame(rows).groupby(keys, sort=False).mean(skipna=False).drop(columns="seed").reset_index()
    parts = []
    for (model, label), group in mean.groupby(["model", "label"], sort=False):
        total = group[["jobs", *COUNTED, "seconds"]].sum(skipna=False)
        parts += [group, pd.DataFrame([{"model": model, "label": label, "state": "all", "work": "", **total}])]
    return pd.concat(parts, ignore_index=True)


def render(frame: pd.DataFrame, seeds: int) -> str:
    """A table of Markdown per model; the CSV has the number of jobs, too."""
    frame = frame.fillna({"work": ""})  # an empty cell, if the frame comes from the CSV
    headers = ["State", "Work", "Prompts", "Prompt tokens", "Answer tokens", "Computed", "Seconds"]
    parts = ["Costs: what each state took."]
    for (_, label), rows in frame.groupby(["model", "label"], sort=False):
        body = [
            [row["state"], row["work"], *(count(round(row[name])) if row[name] else "" for name in COUNTED)]
            + [number(row["seconds"], ",.0f")]
            for row in rows.to_dict("records")
        ]
        text = tabulate(body, headers, "github", colalign=["left"] * 2 + ["right"] * 5, disable_numparse=True)
        parts += [f"Model {label}:", text]
    note = (
        f"The numbers are {'from 1 seed' if seeds == 1 else f'means over {seeds} seeds'}. The answer tokens include every "
        "sampled answer. The computed tokens are the positions that went through the model, prompts included. Answers "
        "with a common prefix share its computation. The seconds are wall-clock time, summed over jobs, and they include "
        "the loading of libraries and weights. Jobs run in parallel; costs.csv has their number."
    )
    return "\n\n".join([*parts, note]) + "\n"


def _seconds(path: Path) -> float:
    return float(pd.read_csv(path, sep="\t")["s"].iloc[-1]) if path.exists() else float("nan")

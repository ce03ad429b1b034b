"""A plan as Markdown, compared with what the study took."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pandas as pd
from tabulate import tabulate

from gradual.planning.hours import CPU, FILE, Device, critical_path
from gradual.study.result_files import COSTS_CSV, path
from gradual.study.runs import Config, runs
from gradual.tables.markdown import number

KEYS = ["model", "state", "work"]
UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B"))
COUNTED = ("prompts", "prompt_tokens", "answer_tokens", "hours")  # in the costs of a study
TAKEN = "taken "  # prefix of the columns of what a study took


def size(value: float) -> str:
    """Bytes in the largest unit that they fill."""
    scale, unit = next((each for each in UNITS if value >= each[0]), UNITS[-1])
    return f"{value / scale:,.{int(scale > 1)}f} {unit}"


def disk_of(folder: Path) -> int:
    """Bytes of all files in a folder; 0 if there is no folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


whole, hours = partial(number, form=",.0f"), partial(number, form=",.3f")
COUNTS = ("prompts", "prompt_tokens", "answer_tokens", "training_tokens")
FORMS: dict[str, Callable[[float], str]] = dict.fromkeys(COUNTS, whole)
FORMS |= {"hours": hours, "disk": size}  # of the columns of numbers


def with_sums(rows: pd.DataFrame, costs: pd.DataFrame | None) -> pd.DataFrame:
    """The rows of a plan, and the sums of each model and of all models. With costs, further columns have what was taken.

    A sum is undefined (NaN) if the costs lack some of the work.
    """
    if costs is not None:
        beside = rows[[*KEYS, "gpus"]].merge(costs, on=KEYS, how="left")
        beside["hours"] = beside["seconds"] * beside["gpus"] / 3600
        beside.loc[rows["jobs"] == 0, [*COUNTED]] = 0.0  # a download is no job, and a conversion is not timed
        rows = rows.assign(**{TAKEN + name: beside[name] for name in COUNTED})
    numbers = [name for name in rows if name in ("jobs", *FORMS) or name.startswith(TAKEN)]
    parts = []
    for name, group in [*rows.groupby("model", sort=False), ("", rows)]:
        named = {"label": group["label"].iloc[0] if name else "all models", "state": "all", "work": ""}
        total = pd.DataFrame([named | group[numbers].sum(skipna=False).to_dict()])
        parts += [total] if group is rows else [group, total]
    return pd.concat(parts, ignore_index=True)[["label", "state", "work", *numbers]]


def render(config: Config, rows: pd.DataFrame, sources: list[str], device: Device, root: Path) -> str:
    """The plan of a study as Markdown. What it took is from the costs of its results, else from results/reference."""
    files = [root / folder / config["study"] / path(COSTS_CSV) for folder in ("results", "results/reference")]
    file = next((file for file in files if file.is_file()), None)
    frame = with_sums(rows, pd.read_csv(file) if file else None)
    columns = [("Model", frame["label"].str.replace("|", r"\|")), ("State", frame["state"]), ("Work", frame["work"])]
    columns.append(("Jobs", [whole(jobs) if jobs else "" for jobs in frame["jobs"]]))
    for name, form in FORMS.items():
        header = f"{'Job' if device.name == CPU else 'GPU'} hours" if name == "hours" else name
        columns.append((header.replace("_", " ").capitalize(), [form(value) if value else "" for value in frame[name]]))
        if TAKEN + name in frame:
            pairs = list(zip(frame[name], frame[TAKEN + name], strict=True))
            columns.append(("taken", [form(done) if value else "" for value, done in pairs]))
            columns.append(("ratio", [number(done / value) if value else "" for value, done in pairs]))
    align = ["left"] * 3 + ["right"] * (len(columns) - 3)
    cells = list(zip(*(values for _, values in columns), strict=True))
    table = tabulate(cells, [name for name, _ in columns], "github", colalign=align, disable_numparse=True)
    taken = [f"taken: what the study took ({file.relative_to(root)}). ratio: taken / planned."] if file else []
    held = disk_of(root / "results" / config["study"])
    taken += [f"results/{config['study']} takes {size(held)} now."] if held else []
    notes = [*taken, *_notes(config, rows, device), "The plan rests on:\n\n- " + "\n- ".join(sources)]
    return "\n\n".join([f"Plan of the study {config['study']}.", table, *notes]) + "\n"


def _notes(config: Config, rows: pd.DataFrame, device: Device) -> Iterator[str]:
    """What the table shows, and what it leaves out."""
    seeds, probe, cpu = len(config["seeds"]), config["probe"], device.name == CPU
    if seeds > 1:
        yield f"The table is for one seed. The study has {seeds} seeds and takes {seeds} times as much, except downloads."
    kind = "Job hours are for a machine with two cores" if cpu else f"GPU hours are for the GPU {device.name}"
    yield f"{kind}. {FILE.name} gives each throughput and its source. A job with n GPUs is planned to be n times as fast."
    if not cpu and probe["engine"] == "transformers":
        yield f"The throughputs are for vLLM. On a GPU the engine {probe['engine']} is slower."
    length, label, steps = critical_path(rows, runs(config))
    yield f"Critical path, if no job waits for a free place: {hours(length)} hours, {label}: {' -> '.join(steps)}."
    checkpoints, scratch = rows[["checkpoints", "scratch"]].max()
    yield f"A training also keeps checkpoints while it runs: at most {size(checkpoints)}."
    if scratch:
        yield f"A vLLM job on a trained state writes a merged model to its temporary folder: at most {size(scratch)}."
    if not probe["stop"]:
        yield "probe.stop is empty: every answer is planned with probe.max_new_tokens tokens, which is an upper bound."
    yield (
        "The plan leaves out: waiting for a free place, the check of the probe (its hours are below), grading, tables, "
        "and what the prompts of per_fact save where they begin alike."
    )

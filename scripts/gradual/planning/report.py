"""A plan as Markdown: the table, what it rests on, and what the work really took beside it."""

from typing import Any

import pandas as pd
from tabulate import tabulate

from gradual.planning.actuals import COMPARED, KEYS
from gradual.planning.critical_path import critical_path
from gradual.planning.rows import NUMBERS, Planned, gpus_of
from gradual.study.runs import Config, runs
from gradual.tables.markdown import count, number
from gradual.workflow.costs import PROBE
from gradual.workflow.profiles import Profile

ALL = "all"
UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def with_sums(planned: Planned, taken: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds of the planned rows beside what was taken (`taken_<name>`), with the sums of each model and of all.

    A sum over work of which some is not taken yet is undefined (NaN). The sum of all models is of all seeds.
    """
    keys = ["model", "label", "state", "work"]
    mean = planned.rows.groupby(keys, sort=False)[[*NUMBERS]].mean().reset_index()
    beside = taken.rename(columns={name: f"taken_{name}" for name in COMPARED})
    mean = mean.merge(beside, on=KEYS, how="left")
    parts = []
    for (model, label), group in mean.groupby(["model", "label"], sort=False):
        named = {"model": model, "label": label, "state": ALL, "work": ""}
        parts += [group, pd.DataFrame([named | group[[*NUMBERS]].sum().to_dict() | _done(group)])]
    seeds = planned.rows["seed"].nunique()
    named = {"model": ALL, "label": f"all models{'' if seeds == 1 else f', {seeds} seeds'}", "state": ALL, "work": ""}
    done = {name: value * seeds for name, value in _done(mean).items()}
    return pd.concat(
        [*parts, pd.DataFrame([named | planned.rows[[*NUMBERS]].sum().to_dict() | done])], ignore_index=True
    )


def _done(group: pd.DataFrame) -> dict[str, float]:
    """The sums of what was taken; a download takes no job, and is not measured."""
    names = [f"taken_{name}" for name in COMPARED]
    return group.loc[group["jobs"] > 0, names].sum(skipna=False).to_dict()


def size(value: Any) -> str:
    """Bytes in the largest unit that they fill."""
    if pd.isna(value):
        return number(value)
    scale, unit = next(((scale, unit) for scale, unit in UNITS if value >= scale), (1, "B"))
    return f"{number(value / scale, ',.1f' if scale > 1 else ',.0f')} {unit}"


def hours(value: Any) -> str:
    """Hours with three decimals, two from one on, one from ten on."""
    return number(value, ",.1f" if value >= 10 else ".2f" if value >= 1 else ".3f")


def whole(value: Any) -> str:
    """A count, rounded."""
    return count(value if pd.isna(value) else round(value))


# The columns of numbers: name, header, form. What was taken stands beside those that are in COMPARED.
COLUMNS = (
    ("prompts", "Prompts", whole),
    ("prompt_tokens", "Prompt tokens", whole),
    ("greedy_tokens", "Greedy tokens", whole),
    ("sampled_tokens", "Sampled tokens", whole),
    ("answer_tokens", "Greedy and sampled", whole),
    ("training_tokens", "Training tokens", whole),
    ("hours", "GPU hours", hours),
    ("disk", "Disk", size),
)


def render(config: Config, profile: Profile, planned: Planned, taken: pd.DataFrame, source: str) -> str:
    """The plan of a study as Markdown; `taken` and its `source` are those of `taken_of`."""
    frame = with_sums(planned, taken)
    headers = ["Model", "State", "Work", "Jobs"]
    body = [[r["label"], r["state"], r["work"], count(r["jobs"]) if r["jobs"] else ""] for _, r in frame.iterrows()]
    for name, header, form in COLUMNS:
        if name == "answer_tokens" and not len(taken):
            continue  # which the usage files, but not the plan, have in one
        headers.append("Job hours" if name == "hours" and planned.device.name == "CPU" else header)
        for cells, value in zip(body, frame[name], strict=True):
            cells.append(form(value) if value else "")
        if len(taken) and name in COMPARED:
            headers += ["taken", "ratio"]
            for cells, value, done in zip(body, frame[name], frame[f"taken_{name}"], strict=True):
                cells += [form(done) if value or done > 0 else "", number(done / value) if value else ""]
    align = ["left"] * 3 + ["right"] * (len(headers) - 3)
    table = tabulate(body, headers, "github", colalign=align, disable_numparse=True)
    notes = _notes(config, profile, planned, source)
    return "\n\n".join([f"The plan of the study {config['study']}.", table, *notes, _throughputs(planned)]) + "\n"


def _notes(config: Config, profile: Profile, planned: Planned, source: str) -> list[str]:
    seeds = config["seeds"]
    first = planned.rows[planned.rows["seed"] == seeds[0]]
    steps, label, length = critical_path(first, runs(config))
    most = planned.rows[["checkpoints", "scratch"]].max()
    device = planned.device.name
    told = [f"Taken: {source}; ratio is taken / planned."] if source else []
    told += [
        ("1 seed. " if len(seeds) == 1 else f"Rows are means over {len(seeds)} seeds; the last is of all of them. ")
        + (f"Hours are of GPUs of the line {device}, " if device != "CPU" else "Hours are of jobs on two cores, ")
        + f"of which a training has {gpus_of(profile, 'training')} and a probe {gpus_of(profile, PROBE)}"
        f" ({profile.file.parent.name}); more are planned to go as much faster.",
        f"Critical path, if every job has its place at once: {hours(length)} hours, of {label}: "
        + " -> ".join(f"{state} {work}" for state, work in steps) + ".",
        f"Disk beside, while it runs: a training has checkpoints of at most {size(most['checkpoints'])} (epochs x adapter"
        " and optimizer).",
    ]  # fmt: skip
    if most["scratch"]:
        put = f"A job of vLLM on a trained state puts a merged model of at most {size(most['scratch'])}"
        told.append(f"{put} into the temporary folder of its machine.")
    if device != "CPU" and config["probe"]["engine"] != "vllm":
        told.append(
            f"The throughputs are of vLLM; probe.engine is {config['probe']['engine']}, which is slower on a GPU."
        )
    if config["probe"]["counts"] == "settled":
        told.append(
            "Probes ask until a category is settled: prompts as the categories' shares say, if a fact's share of right"
            " answers is uniform."
        )
    if not config["probe"]["stop"]:
        told.append("Without a stop string every answer is planned to run to probe.max_new_tokens: an upper bound.")
    told.append("What the plan rests on:\n\n" + "\n".join(f"- {sentence}" for sentence in planned.sources))
    return [*told, "Not in the plan: waiting for a place, grading and tables, prompts whose prefix is in the cache."]


def _throughputs(planned: Planned) -> str:
    """The line of throughputs that the hours follow from, each with its source."""
    body = []
    for step, row in planned.device.table.iterrows():
        of = f"{row['parameters'] / 1e9:g}" if row["parameters"] else ""
        body.append([step, f"{row['value']:,.10g} {row['unit']}", of, row["basis"], row["source"]])
    headers = ["Step", "Throughput", "Billion parameters", "Basis", "Source"]
    align = ["left", "right", "right", "left", "left"]
    table = tabulate(body, headers, "github", colalign=align, disable_numparse=True)
    return f"Throughputs of the line {planned.device.name}:\n\n{table}"

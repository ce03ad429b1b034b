"""What each state of a study took: prompts, tokens and seconds, from the usage files and Snakemake's benchmarks."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from tabulate import tabulate

from gradual.ground.errors import InputError
from gradual.ground.files import read_json
from gradual.study import result_paths
from gradual.study.runs import Config, Run, runs, states_needed
from gradual.tables.markdown import count, number
from gradual.tables.spec import ACCURACY, CATEGORIES, CHANCE, ORIGIN, PROBE_GRADES, SELECTION, Need

PROBE, AGAIN = "probe of ", " again"  # kinds of work, beside pretraining, training and evaluation
COUNTED = ("prompts", "prompt_tokens", "answer_tokens", "computed_tokens")


@dataclass(frozen=True)
class Work:
    """One kind of work on a state of a model, by one seed: its usage files and benchmark files, relative to the study."""

    model: str
    state: str
    work: str
    seed: int
    usage: list[str]
    benchmarks: list[str]


def probe_of(split: str, probe: int) -> str:
    """The kind of work that a probe of a split is: the first one (0), or one again with other prompts."""
    return PROBE + split + (AGAIN if probe else "")


def works(needs: dict[str, list[Need]], config: Config) -> list[dict[str, Any]]:
    """The work behind the results that a study's tables need, of every seed, as JSON takes it.

    A state that is probed, evaluated or trained from has been trained, and evaluated to choose its epoch; what it selects
    by has been probed. Base models that are pretrained here come first.
    """
    found: dict[tuple[str, str, int], Work] = {}

    def add(work: Work) -> None:
        found.setdefault((work.model, f"{work.state}/{work.work}", work.seed), work)

    table, shards = runs(config), config["probe"]["shards"]
    for model, wanted in needs.items():
        for seed in config["seeds"]:
            if config["models"][model]["source"] == "pretrain":
                add(Work(model, "base", "pretraining", seed, [], [result_paths.pretraining_benchmark(seed, model)]))
            for need in with_what_they_stand_on(wanted, table):
                place = (seed, model, need.state)
                if need.kind == CATEGORIES:
                    parts = [(*place, need.split, need.probe, shard) for shard in range(shards)]
                    kind = probe_of(need.split, need.probe)
                    usage = [result_paths.probe_usage(*part) for part in parts]
                    add(
                        Work(
                            model,
                            need.state,
                            kind,
                            seed,
                            usage,
                            [result_paths.probe_benchmark(*part) for part in parts],
                        )
                    )
                elif need.kind == ACCURACY:
                    if need.state != ORIGIN:
                        add(Work(model, need.state, "training", seed, [], [result_paths.training_benchmark(*place)]))
                    usage, measured = (
                        [result_paths.evaluation_usage(*place)],
                        [result_paths.evaluation_benchmark(*place)],
                    )
                    add(Work(model, need.state, "evaluation", seed, usage, measured))
    return [asdict(work) for work in found.values()]


def with_what_they_stand_on(needs: list[Need], table: dict[str, Run]) -> list[Need]:
    """The needs, and the probes and evaluations that were made on the way to them."""
    found: dict[Need, None] = {}
    waiting = [*needs]
    while waiting:
        need = waiting.pop(0)
        if need in found:
            continue
        found[need] = None
        if need.kind in (CHANCE, PROBE_GRADES):
            waiting.append(Need(CATEGORIES, need.state, need.probe, need.split))
        if need.state not in table:
            continue
        run = table[need.state]
        waiting += [Need(CATEGORIES, state) for state in sorted(states_needed(run))]
        waiting += [Need(SELECTION, run.size_of)] if run.size_of else []
        if need.kind != SELECTION:
            waiting += [Need(ACCURACY, state) for state in (run.name, run.parent) if state != ORIGIN]
    return list(found)


def table(found: list[dict[str, Any]], root: Path, labels: dict[str, str]) -> pd.DataFrame:
    """A row per model, state and work, means over the seeds; a last row per model with the sums.

    Columns: model, label, state, work, jobs, prompts, prompt_tokens, answer_tokens, computed_tokens, seconds (of the wall,
    summed over jobs). A benchmark that is missing, of a job whose results were copied here, leaves its seconds and their
    sums undefined (NaN).
    """
    rows = []
    for work in found:
        usage = [read_json(root / path, "what an engine did") for path in work["usage"]]
        for path, each in zip(work["usage"], usage, strict=True):
            if not isinstance(each, dict) or not set(COUNTED) <= set(each):
                raise InputError(root / path, f"is {each!r}", f"the keys {', '.join(COUNTED)}")
        seconds = [_seconds(root / path) for path in work["benchmarks"]]
        rows.append(
            {"model": work["model"], "label": labels[work["model"]], "state": work["state"], "work": work["work"]}
            | {"seed": work["seed"], "jobs": len(work["benchmarks"])}
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
    """The table as Markdown."""
    frame = frame.fillna({"work": ""})  # as the CSV has it that the frame may come from
    headers = ["Model", "State", "Work", "Jobs", "Prompts", "Prompt tokens", "Answer tokens", "Computed", "Seconds"]
    body = [
        [row["label"], row["state"], row["work"], count(row["jobs"])]
        + [count(round(row[name])) if row[name] else "" for name in COUNTED]
        + [number(row["seconds"], ",.0f")]
        for _, row in frame.iterrows()
    ]
    text = tabulate(body, headers, "github", colalign=["left"] * 3 + ["right"] * 6, disable_numparse=True)
    note = (
        f"{'1 seed' if seeds == 1 else f'Means over {seeds} seeds'}. Answer tokens count each sampled answer; computed are "
        "the positions that went through the model, prompts included: answers that share a prefix share its computation. "
        "Seconds are of the wall, summed over jobs, the loading of libraries and weights included; jobs run side by side."
    )
    return f"Costs: what each state took.\n\n{text}\n\n{note}\n"


def _seconds(path: Path) -> float:
    return float(pd.read_csv(path, sep="\t")["s"].iloc[-1]) if path.exists() else float("nan")

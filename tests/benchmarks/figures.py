"""The benchmark's tables from its runs: medians, spreads, and ratios within the run."""

import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from gradual.knowledge.categories import UNKNOWN, WEAKLY, WEAKLY_OR_UNKNOWN
from gradual.models.shape import shape_of
from machine import PRODUCTS

PROBING, TRAINING, PRETRAINING, EVALUATING = "probe_facts", "train_adapter", "pretrain_base", "evaluate_epochs"
# A job of a rule begins as the one whose start-up is measured: by its environment. All others load no model.
BEGINS_AS = {PROBING: PROBING, EVALUATING: PROBING, TRAINING: TRAINING, PRETRAINING: TRAINING}
LIGHT = "grade_generations"
PAUSE = 60  # seconds without a job at work that end a start of the study


def spread(runs: pd.DataFrame, keys: list[str], column: str) -> pd.DataFrame:
    """Median, least and greatest of a column by way."""
    found = runs.groupby(keys, sort=False)[column].agg(["median", "min", "max"])
    return found.set_axis([column, f"{column}_min", f"{column}_max"], axis=1)


def probe_table(runs: pd.DataFrame, categories: pd.DataFrame) -> pd.DataFrame:
    """A row per way of asking and kind of exemplars.

    prompts_per_s counts the prompts of the facts that a way answers, asked or not; tokens_computed are per such prompt.
    ratio is over the first row, the batched `generate`, tokens_ratio over asking for every answer by itself. Categories
    are compared with those of the batched `generate` with the same exemplars.
    """
    runs = runs[runs["way"] != PRODUCTS].assign(prompts_per_s=lambda r: r["prompts"] / r["seconds"])
    keys = ["way", "exemplars"]
    table = spread(runs, keys, "prompts_per_s").join(runs.groupby(keys, sort=False)[["facts", "seconds"]].median())
    table["tokens_computed"] = (runs["computed_tokens"] / runs["prompts"]).groupby([runs[k] for k in keys]).median()
    batched, first = table.index[0]
    over = runs[(runs["way"] == batched) & (runs["exemplars"] == first)].set_index("repetition")["prompts_per_s"]
    exhaustive = table.xs("generate, every answer by itself", level="way")["tokens_computed"].iloc[0]
    rows = []
    for (way, exemplars), row in table.iterrows():
        of_way = runs[(runs["way"] == way) & (runs["exemplars"] == exemplars)].set_index("repetition")
        ratios = of_way["prompts_per_s"] / over
        found = categories[categories["exemplars"] == exemplars]
        rows.append(
            {"way": way, "exemplars": exemplars, **row[["prompts_per_s", "prompts_per_s_min", "prompts_per_s_max"]]}
            | {"tokens_computed": row["tokens_computed"], "tokens_ratio": row["tokens_computed"] / exhaustive}
            | {"ratio": row["prompts_per_s"] / table["prompts_per_s"].iloc[0]}
            | {"ratio_min": ratios.min(), "ratio_max": ratios.max()}
            | agreement(found[found["way"] == way], found[found["way"] == batched])
            | {"facts": int(row["facts"]), "seconds": row["seconds"]}
        )
    return pd.DataFrame(rows)


def agreement(found: pd.DataFrame, reference: pd.DataFrame) -> dict[str, Any]:
    """The shares of facts with the same category as the reference's first repetition has.

    `equal_greedy` does not tell WeaklyKnown from Unknown, for which answers are drawn at random. `equal_resampled` is the
    way's second repetition beside its first, on the same facts. Both for as many facts as both have, `compared`.
    """
    first, again = (found[found["repetition"] == r].set_index("fact_id")["category"] for r in (0, 1))
    wanted = reference[reference["repetition"] == 0].set_index("fact_id")["category"]
    second = again if found["way"].iloc[0] == reference["way"].iloc[0] else first  # the reference beside itself
    common = wanted.index.intersection(second.index)
    greedy = {WEAKLY: WEAKLY_OR_UNKNOWN, UNKNOWN: WEAKLY_OR_UNKNOWN}
    same = second[common] == wanted[common]
    same_greedy = second[common].replace(greedy) == wanted[common].replace(greedy)
    return {
        "equal_categories": same.mean(),
        "equal_greedy": same_greedy.mean(),
        "equal_resampled": (again.reindex(common) == first[common]).mean() if len(again) else math.nan,
        "compared": len(common),
    }


def training_table(runs: pd.DataFrame) -> pd.DataFrame:
    """A row per way of making batches; ratio is over the first, which pads every row to the same length."""
    runs = runs[runs["way"] != PRODUCTS].assign(useful_tokens_per_s=lambda r: r["useful_tokens"] / r["seconds"])
    rate = "useful_tokens_per_s"
    table = spread(runs, ["way"], rate).join(runs.groupby("way", sort=False)[["seconds", "first_loss"]].median())
    wide = runs.pivot(index="repetition", columns="way", values=rate)
    ratios = wide.div(wide[table.index[0]], axis=0)
    table["ratio"] = table[rate] / table[rate].iloc[0]
    table["ratio_min"], table["ratio_max"] = ratios.min(), ratios.max()
    table["trained_rows"] = runs.groupby("way")["trained_rows"].first()
    return table.reset_index()


def growth_table(runs: pd.DataFrame) -> pd.DataFrame:
    """A row per number of facts and of shards; ratios are over the first."""
    keys = ["factor", "shards"]
    table = spread(runs, keys, "seconds")
    table = table.join(
        runs.groupby(keys, sort=False)[["facts", "prompts", "computed_tokens", "peak_memory_mib"]].median()
    )
    for column, ratio in (("seconds", "time_ratio"), ("peak_memory_mib", "memory_ratio")):
        table[ratio] = table[column] / table[column].iloc[0]
    table["tokens_ratio"] = table["computed_tokens"] / table["computed_tokens"].iloc[0]
    return table.reset_index().rename(columns={"computed_tokens": "tokens_computed"})


def limit_table(runs: list[pd.DataFrame], config: Any) -> pd.DataFrame:
    """The rate of matrix products in each process, and what share of the best a way reached there with what it needed.

    `config` is the model's. For a way, gflop is what its tokens need, least_s the time of that at the best rate.
    """
    rows = []
    for each in runs:
        products = each[each["way"] == PRODUCTS]
        rates = spread(products, ["rows"], "gflop_per_s")
        best = rates["gflop_per_s"].max()
        process = each["process"].iloc[0]
        for size, rate in rates.iterrows():
            rows.append(
                {
                    "process": process,
                    "what": f"{PRODUCTS}, {size:.0f} rows",
                    **rate,
                    "share": rate["gflop_per_s"] / best,
                }
            )
        keys = [key for key in ("way", "exemplars") if key in each]
        if "predicted_tokens" in each:
            counted = each[each["predicted_tokens"].notna()]
            tokens, needed = "computed_tokens", probe_gflop(counted, config)
        else:
            counted = each[each["way"] == "ours"]
            tokens, needed = "useful_tokens", training_gflop(counted, config)
        for way, group in counted.assign(gflop=needed, share=needed / best / counted["seconds"]).groupby(
            keys, sort=False
        ):
            middle = group[["gflop", "seconds", tokens]].median()
            rows.append(
                {
                    "process": process,
                    "what": ", ".join(way),
                    "tokens_computed": middle[tokens],
                    "gflop": middle["gflop"],
                }
                | {"gflop_per_s": middle["gflop"] / middle["seconds"], "least_s": middle["gflop"] / best}
                | {"seconds": middle["seconds"], "share": middle["gflop"] / best / middle["seconds"]}
                | {"share_min": group["share"].min(), "share_max": group["share"].max()}
            )
    columns = ["gflop_per_s_min", "gflop_per_s_max"]
    return pd.DataFrame(rows).drop(columns=columns)


def probe_gflop(runs: pd.DataFrame, config: Any) -> pd.Series:
    """What a probe's tokens need, in billions of floating point operations, at the least.

    Two for each weight of the linear layers and token, and for each pair of a token and one that it sees four for each
    number of a query; of the last layer, all but keys and values, and the logits, only where a token is predicted. A
    prompt's tokens see half of it, those of an answer and its last one all of it.
    """
    weights = Weights.of(config)
    decoded = (runs["predicted_tokens"] - runs["asked_prompts"]).clip(lower=0)
    long = runs["prompt_tokens"] / runs["prompts"]
    pairs = (runs["computed_tokens"] - decoded) * (long + 1) / 2 + decoded * long
    last = weights.layer - weights.keys_and_values + weights.logits + weights.pair * long
    below = (weights.layers - 1) * (weights.layer * runs["computed_tokens"] + weights.pair * pairs)
    return 2 * (below + weights.keys_and_values * runs["computed_tokens"] + last * runs["predicted_tokens"]) / 1e9


def training_gflop(runs: pd.DataFrame, config: Any) -> pd.Series:
    """What a training's tokens need, in billions of floating point operations, at the least.

    The weights of the model stand still: as much as a forward pass again, for the gradients of what goes through them; the
    weights of the adapter learn: twice as much again. Attention's products are each of two numbers with a gradient. The
    logits are needed where there is a loss.
    """
    weights = Weights.of(config)
    per_token = 2 * weights.layers * weights.layer + 3 * runs["adapter_weights"]
    attention = 3 * weights.layers * weights.pair * runs["pairs"]
    return 2 * (per_token * runs["useful_tokens"] + attention + 2 * weights.logits * runs["loss_tokens"]) / 1e9


@dataclass(frozen=True)
class Weights:
    """Multiplications of a forward pass: of a layer per token, and of these for its keys and values; of a layer per pair of
    tokens; of the logits per token."""

    layers: int
    layer: int
    keys_and_values: int
    pair: int
    logits: int

    @classmethod
    def of(cls, config: Any) -> "Weights":
        """Of a model with this transformers config."""
        shape = shape_of(config.to_dict())
        return cls(
            layers=shape.layers,
            layer=sum(inputs * outputs for inputs, outputs in shape.projections.values()),
            keys_and_values=2 * shape.hidden_size * shape.keys,
            pair=2 * shape.queries,  # with keys, and of weights with values
            logits=shape.hidden_size * shape.vocabulary,
        )


def study_table(jobs: pd.DataFrame, ended: float, startup: pd.DataFrame) -> pd.DataFrame:
    """A row per rule, one for the time without any job at work, and sums.

    `jobs` has a row per job with a benchmark: rule, begin and end (seconds on one clock); `ended` is when the study was
    complete. A moment of the wall is shared equally by the jobs at work in it. `start_up` is what jobs of the rule take
    before their work, of their seconds (summed over jobs) and of the wall.
    """
    starts = startup.groupby("script")["seconds"].median()
    jobs = jobs.assign(wall=walls(jobs), seconds=jobs["end"] - jobs["begin"])
    start_up = jobs["rule"].map(lambda rule: starts[BEGINS_AS.get(rule, LIGHT)]).clip(upper=jobs["seconds"])
    jobs = jobs.assign(start_up=start_up, start_up_wall=jobs["wall"] * start_up / jobs["seconds"])
    columns = ["seconds", "start_up", "wall", "start_up_wall"]
    table = jobs.groupby("rule", sort=False).agg(jobs=("rule", "size"), **{c: (c, "sum") for c in columns})
    table = table.sort_values("wall", ascending=False).reset_index()
    idle = pd.DataFrame([{"rule": "no job at work", "wall": idle_wall(jobs, ended)}])
    table = pd.concat([table, idle], ignore_index=True)
    working = table["rule"].isin(BEGINS_AS)
    sums = {
        "the whole study": table[[*columns, "jobs"]].sum(),
        "neither probing, training, pretraining nor evaluating": table[~working][[*columns, "jobs"]].sum(),
    }
    table = pd.concat([table, pd.DataFrame([{"rule": name, **row} for name, row in sums.items()])], ignore_index=True)
    rest = table["wall"].iloc[-1] + table.loc[working[working].index, "start_up_wall"].sum()
    table.loc[len(table)] = {"rule": "the same, and the start-up of those jobs", "wall": rest}
    table["share"] = table["wall"] / sums["the whole study"]["wall"]
    return table


def edges(jobs: pd.DataFrame) -> list[tuple[float, float]]:
    """The stretches of time between two events: a job's begin or end."""
    times = sorted({*jobs["begin"], *jobs["end"]})
    return list(itertools.pairwise(times))


def walls(jobs: pd.DataFrame) -> pd.Series:
    """Each job's part of the wall, in seconds."""
    wall = pd.Series(0.0, jobs.index)
    for begin, end in edges(jobs):
        at_work = (jobs["begin"] <= begin) & (jobs["end"] >= end)
        wall[at_work] += (end - begin) / max(1, at_work.sum())
    return wall


def idle_wall(jobs: pd.DataFrame, ended: float) -> float:
    """Seconds without a job at work; longer pauses than PAUSE are between two starts of the study."""
    gaps = [
        end - begin for begin, end in edges(jobs) if not ((jobs["begin"] <= begin) & (jobs["end"] >= end)).any()
    ] + [ended - jobs["end"].max()]
    return sum(gap for gap in gaps if 0 < gap < PAUSE)


def jobs_of(study: Path, counted: set[str]) -> pd.DataFrame:
    """Begin and end of the jobs of a study, from Snakemake's benchmark files and when these were written.

    As in a study's provenance, files of a rule that `counted` tells of count only where it names them.
    """
    rules, rows = {Path(path).parent.name for path in counted}, []
    for file in sorted((study / "benchmarks").rglob("*.tsv")):
        if file.parent.name in rules and str(file.relative_to(study)) not in counted:
            continue
        end, seconds = file.stat().st_mtime, float(pd.read_csv(file, sep="\t")["s"].iloc[-1])
        rows.append({"rule": file.parent.name, "begin": end - seconds, "end": end})
    return pd.DataFrame(rows)

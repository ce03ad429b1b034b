"""Write the benchmark's tables from its runs, as CSV and Markdown, and where they come from.

The Markdown has the columns that a page has room for, with the least and the most of the repetitions in one cell. The CSV
has all columns.
"""

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from tabulate import tabulate

import figures
from gradual.ground.files import digest, read_json, write_csv, write_json, write_text
from gradual.models.handle import model_folder
from gradual.study.result_files import PROVENANCE, TABLES, path
from gradual.tables.markdown import count, number, percent
from gradual.workflow.provenance import git_state, hardware, locks, packages
from gradual.workflow.starting import report
from gradual.workflow.works import works_of
from subject import Subject, study_config

ROOT = Path(__file__).resolve().parents[2]
TITLES = {
    "probe": "Probe: prompts a second, by the way they are asked",
    "training": "Training: useful tokens a second, by the way batches are made",
    "study": "Study: the time of a whole study, by rule",
    "growth": "Growth: what a probe takes for more facts, and in more shards",
    "limit": "Limit: the least time that the counted operations need, beside the time that they took",
}
NOTES = {
    "probe": "Every prompt has one greedy answer, and the samples that the way asks for. Ratio: prompts/s over those of the"
    " first row. Tokens computed: positions that went through the model, per prompt. Equal categories: facts that have the"
    " same of the four as by the batched `generate` on the same prompts. In brackets: the least and the most of the"
    " repetitions. In the CSV, equal_greedy does not tell WeaklyKnown from Unknown, and equal_resampled compares the way"
    " with itself with another seed of the samples, on the same facts.",
    "training": "Ratio: useful tokens (none of them padding) a second over those of the first row. First loss: of the"
    " first step, on the same facts.",
    "study": "Wall: each moment is shared equally by the jobs at work in it. Start-up: imports, and loading a model, of a"
    " job with as little work as there can be, for every job.",
    "growth": "Seconds are summed over the shards, which run one after the other; peak memory is that of the largest job."
    " Time, memory and tokens: over the first row.",
    "limit": "Rates in GFLOP/s. Least: the time that the operations would take at the best rate of matrix products at the"
    " model's shapes, measured in turns with the ways, in the same process. Operations of a probe: 2 per weight of the"
    " linear layers and token computed, 4 per number of a query for each token that it sees; of the last layer (but for"
    " its keys and values) and of the logits, only where a token is predicted. Of a training: as much again for the"
    " gradients of what goes through the layers, 6 per weight of the adapter, the logits where there is a loss. Norms,"
    " softmax, positions and the drawing of samples count nothing.",
}
SHOWN = {
    "probe": ("way", "exemplars", "prompts_per_s", "ratio", "tokens_computed", "equal_categories"),
    "training": ("way", "useful_tokens_per_s", "ratio", "first_loss"),
    "study": ("rule", "jobs", "seconds", "start_up", "wall", "start_up_wall", "share"),
    "growth": ("factor", "shards", "facts", "seconds", "peak_memory_mib", "time_ratio", "memory_ratio", "tokens_ratio"),
    "limit": ("process", "what", "gflop_per_s", "share", "gflop", "least_s", "seconds"),
}
HEADERS = {
    "prompts_per_s": ("Prompts/s", ",.1f"),
    "tokens_computed": ("Tokens computed", ",.0f"),
    "tokens_ratio": ("Tokens", ".3f"),
    "ratio": ("Ratio", ".2f"),
    "equal_categories": ("Equal categories", "%"),
    "seconds": ("Seconds", ",.2f"),
    "useful_tokens_per_s": ("Useful tokens/s", ",.0f"),
    "first_loss": ("First loss", ".5f"),
    "start_up": ("Start-up", ",.1f"),
    "wall": ("Wall", ",.1f"),
    "start_up_wall": ("Start-up of the wall", ",.1f"),
    "share": ("Share", "%"),
    "peak_memory_mib": ("Peak memory (MiB)", ",.0f"),
    "time_ratio": ("Time", ".2f"),
    "memory_ratio": ("Memory", ".2f"),
    "gflop": ("GFLOP", ",.1f"),
    "gflop_per_s": ("GFLOP/s", ",.1f"),
    "least_s": ("Least", ",.2f"),
}
RANGED = ("ratio", "seconds", "share")  # shown with the least and the most of the repetitions


def render(name: str, table: pd.DataFrame, made: str) -> str:
    """A table as Markdown, with what it says and `made`, where it comes from."""
    shown = [[_cell(column, row) for column in SHOWN[name]] for row in table.to_dict("records")]
    headers = [HEADERS.get(column, (column.capitalize(),))[0] for column in SHOWN[name]]
    right = ["right" if pd.api.types.is_numeric_dtype(table[column]) else "left" for column in SHOWN[name]]
    text = tabulate(shown, headers, "github", colalign=right, disable_numparse=True)
    more = f" More columns are in {name}.csv." if {*table} > {*SHOWN[name]} else ""
    return f"{TITLES[name]}.\n\n{text}\n\n{NOTES[name]}{more}\n\n{made}\n"


def _cell(column: str, row: dict[str, Any]) -> str:
    """A value, and the least and the most of it, where these were measured and are shown."""
    said = _said(column, row[column])
    ends = [row.get(f"{column}_{end}") for end in ("min", "max")] if column in RANGED else []
    return f"{said} [{', '.join(_said(column, end) for end in ends)}]" if any(map(pd.notna, ends)) else said


def _said(column: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    form = HEADERS.get(column, ("", None))[1]
    return percent(value) if form == "%" else number(value, form) if form else count(value)


def provenance(measured: Subject, config: dict[str, Any], begun: float) -> dict[str, Any]:
    """Where the figures come from."""
    return {
        "begun": datetime.fromtimestamp(begun, UTC).isoformat(timespec="seconds"),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "benchmark": config,
        "study": measured.config,
        "study_git": read_json(measured.study / path(PROVENANCE), "a study's provenance")["git"],
        "git": git_state(ROOT),
        "base_model_sha256": {f.name: digest(f) for f in sorted(model_folder(measured.base).glob("*.safetensors"))},
        "facts_sha256": digest(measured.facts_file),
        "packages": packages(),
        "locks": locks(ROOT / "envs"),
        "hardware": hardware(),
    }


def line(found: dict[str, Any], measured: Subject) -> str:
    """A sentence for the end of each table."""
    machine, versions, settings = found["hardware"], found["packages"], found["benchmark"]
    counted = f"{settings['repetitions']}" + f", of whole jobs {settings['job_repetitions']}" * settings["whole_jobs"]
    return (
        f"Measured on {found['begun'][:10]} on {', '.join(machine['gpus']) or machine['cpu']}, {machine['cores']} cores,"
        f" {settings['threads']} threads, with model {measured.model} of {measured.study.name}, seed"
        f" {measured.seed}; torch {versions['torch']}, transformers {versions['transformers']}, commit"
        f" {found['git'].get('commit', 'unknown')[:12]}. Repetitions in turns, of which the medians are: {counted};"
        " provenance.json says more."
    )


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=json.loads, required=True, help="the benchmark's, as JSON")
    parser.add_argument("--begun", type=float, required=True, help="when it began, in seconds since 1970")
    parser.add_argument("--probe", type=Path, nargs="+", required=True, help="runs of each engine")
    parser.add_argument("--categories", type=Path, nargs="+", required=True, help="of the same")
    parser.add_argument("--training", type=Path, required=True, help="runs")
    parser.add_argument("--whole-jobs", type=Path, nargs="*", help="runs of growth and start-up, if they are measured")
    parser.add_argument("--folder", type=Path, required=True, help="for the tables")
    args = parser.parse_args(argv)
    from transformers import AutoConfig

    study = Path(args.config["study"])
    measured = Subject(study, study_config(study), args.config["seed"], args.config["model"])
    probes, training = [pd.read_csv(file) for file in args.probe], pd.read_csv(args.training)
    tables = {
        "probe": figures.probe_table(pd.concat(probes), pd.concat(map(pd.read_parquet, args.categories))),
        "training": figures.training_table(training),
        "limit": figures.limit_table([*probes, training], AutoConfig.from_pretrained(model_folder(measured.base))),
    }
    if args.whole_jobs:
        growth, startup = map(pd.read_csv, args.whole_jobs)
        counted = {file for work in works_of(measured.config) for file in work.benchmarks()}
        ended = (study / path(TABLES)).stat().st_mtime
        tables["study"] = figures.study_table(figures.jobs_of(study, counted), ended, startup)
        tables["growth"] = figures.growth_table(growth)
    found = provenance(measured, args.config, args.begun)
    for name, table in tables.items():
        write_csv(table, args.folder / f"{name}.csv")
        write_text(render(name, table, line(found, measured)), args.folder / f"{name}.md")
    write_json(found, args.folder / "provenance.json")


if __name__ == "__main__":
    report(main)

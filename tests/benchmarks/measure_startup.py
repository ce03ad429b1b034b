"""Measure what a job takes before it does its work: a probe and a training of one fact, and a job without a model."""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pandas as pd

from gradual.ground.files import write_csv, write_parquet
from gradual.study.runs import runs
from gradual.training.examples import build_examples
from gradual.workflow.starting import report
from repetitions import in_turns, timed_process
from subject import Subject, add_subject, subject

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def jobs(measured: Subject, run: str, folder: Path) -> dict[str, Callable[[], tuple[float, float]]]:
    """A job of each kind of script, with as little work as there can be."""
    facts, config = measured.train_facts(), measured.config
    examples = build_examples(facts[["fact_id"]].head(1).assign(role="train"), facts)
    write_parquet(examples, folder / "examples.parquet")
    model = f"--base {measured.base} --dtype {measured.dtype} --seed {measured.seed}"
    scripts = {
        "probe_facts": f"{model} --facts {measured.facts_file} --counts exact unsolved --answers first --prompts 1"
        " --engine transformers --state origin --questions train --probe 0 --shard 0"
        f" --shards {len(facts)} --code c --usage {folder}/usage.json"
        f" --generations {folder}/generations.parquet --settings".split(),  # one fact a shard
        "train_adapter": f"{model} --examples {folder}/examples.parquet --replay-ratio 0 --run {run} --code none"
        f" --format {config['probe']['format']} --loss {folder}/loss.csv --texts {folder}/texts.jsonl"
        f" --epochs {folder}/epochs/epochs.json --settings".split(),
        "grade_generations": ["--help"],
    }
    scripts["probe_facts"].append(json.dumps(config["probe"]))
    scripts["train_adapter"].append(json.dumps(asdict(runs(config)[run].training) | {"epochs": 1}))
    return {
        name: partial(timed_process, [sys.executable, str(SCRIPTS / f"{name}.py"), *options])
        for name, options in scripts.items()
    }


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_subject(parser)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        works = jobs(subject(args), args.settings["run"], Path(folder))
        turns = in_turns({name: lambda _, job=job: job() for name, job in works.items()}, args.repetitions)
        found = [{"script": name, "repetition": r, "seconds": seconds} for name, r, _, (seconds, _) in turns]
    write_csv(pd.DataFrame(found), args.runs)


if __name__ == "__main__":
    report(main)

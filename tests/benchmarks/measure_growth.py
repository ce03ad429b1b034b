"""Measure the time and the memory that probe_facts takes for more facts and in more shards: each job a process."""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import pandas as pd

from gradual.ground.files import read_json, write_csv, write_parquet
from gradual.workflow.starting import report
from repetitions import timed_process
from subject import Subject, add_subject, subject

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "probe_facts.py"


def sample(facts: pd.DataFrame, share: float, least: int) -> pd.DataFrame:
    """A share of the facts, of each relation alike but at least so many of one, in the table's order."""
    parts = [
        group.sample(min(len(group), max(least, round(share * len(group)))), random_state=0)
        for _, group in facts.groupby("relation")
    ]
    return pd.concat(parts).sort_index()


def probe(measured: Subject, facts: Path, shards: int, folder: Path) -> dict[str, float]:
    """A whole probe of these facts, a shard after the other: seconds in all, peak memory of a job, what it asked."""
    asked = measured.config["probe"]
    settings = json.dumps(asked)
    counts = (
        f"settled {measured.config['scoring']}" if asked["counts"] == "settled" else f"exact {asked['sampled_for']}"
    )
    jobs, usage = [], []
    for shard in range(shards):
        command = (
            f"{sys.executable} {SCRIPT} --base {measured.base} --facts {facts} --dtype {measured.dtype}"
            f" --counts {counts} --answers {measured.config['answers']} --engine transformers --prompts {asked['prompts']}"
            f" --seed {measured.seed} --state origin --questions train --probe 0 --shard {shard} --shards {shards} --code c"
            f" --generations {folder}/generations.parquet --usage {folder}/usage.json"
        ).split()
        jobs.append(timed_process([*command, "--settings", settings, "--sampling", settings]))
        usage.append(read_json(folder / "usage.json", "what an engine did"))
    return {
        "seconds": sum(seconds for seconds, _ in jobs),
        "peak_memory_mib": max(memory for _, memory in jobs),
        **{key: sum(u[key] for u in usage) for key in ("prompts", "computed_tokens")},
    }


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_subject(parser)
    args = parser.parse_args(argv)
    measured, settings = subject(args), args.settings
    sizes = [(factor, 1) for factor in settings["factors"]] + [(1, shards) for shards in settings["shards"]]
    least = measured.config["probe"]["shots"] + 1
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for repetition in range(args.repetitions):
            for factor, shards in dict.fromkeys(sizes):
                facts = sample(measured.train_facts(), factor * settings["smallest"], least)
                write_parquet(facts, folder / "facts.parquet")
                taken = probe(measured, folder / "facts.parquet", shards, folder)
                found.append(
                    {"factor": factor, "shards": shards, "repetition": repetition, "facts": len(facts), **taken}
                )
    write_csv(pd.DataFrame(found), args.runs)


if __name__ == "__main__":
    report(main)

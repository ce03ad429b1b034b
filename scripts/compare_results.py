"""Compare two results folders of one study, such as those of two processors: answers, categories, and tables."""

import argparse
from pathlib import Path

import pandas as pd
from tabulate import tabulate

from gradual.ground.files import read_json, read_parquet
from gradual.probe.generations import GREEDY, SAMPLED, read_generations
from gradual.study.result_files import CATEGORIES, EVALUATION, GENERATIONS, path_of
from gradual.tables.differences import causes, counted, described, differences, provenance
from gradual.workflow.starting import report
from gradual.workflow.works import Work, works_of

ROOT = Path(__file__).resolve().parents[1]
COUNTS = ["greedy answers", "differing", "samples", "other samples", "facts", "of another category"]
NAMES = ["model", "state", "work"]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", type=Path, help="a results folder, such as results/default or a copy of it")
    parser.add_argument("after", type=Path, help="a folder with other results of the same study")
    args = parser.parse_args(argv)
    folders = args.before, args.after
    works = [
        work for work in works_of(provenance(args.before)["config"]) if work.result.kind in (GENERATIONS, EVALUATION)
    ]
    rows = [[work.model, work.state, work.name, *counts(work, folders)] for work in works]
    by_name = pd.DataFrame(rows, columns=[*NAMES, *COUNTS]).groupby(NAMES, sort=False).sum()  # over the seeds
    by_name.loc[("all", "", ""), :] = by_name.sum()
    print(
        tabulate(
            by_name.reset_index().astype(dict.fromkeys(COUNTS, int)), headers="keys", tablefmt="github", showindex=False
        )
    )
    found = differences(*folders)
    schema = read_json(ROOT / "schemas" / "config.schema.json", "the schema of a config")
    print("", *described(found), *causes(*folders, schema), sep="\n")
    print(f"tables: {counted(found) if found else 'equal in every cell'}")


def counts(work: Work, folders: tuple[Path, Path]) -> list[int]:
    """The counts of one probe or evaluation. An answer or a category that only one folder has differs."""
    said = [answers(work, folder) for folder in folders]
    sorted_facts = [categories(work, folder) for folder in folders]
    return [*compared(*map(greedy, said)), *compared_samples(*map(samples, said)), *compared(*sorted_facts)]


def compared(before: pd.Series, after: pd.Series) -> tuple[int, int]:
    """How many keys two series have, and how many of them have not the same value in both."""
    both = pd.concat([before, after], axis=1, keys=["before", "after"])
    return len(both), int((both["before"] != both["after"]).sum())


def compared_samples(before: pd.Series, after: pd.Series) -> tuple[int, int]:
    """How many samples there are, and how many of them the other folder does not have. The series count equal samples."""
    both = pd.concat([before, after], axis=1, keys=["before", "after"]).fillna(0)
    most = max(both["before"].sum(), both["after"].sum())
    return int(most), int(most - both.min(axis=1).sum())


def answers(work: Work, folder: Path) -> pd.DataFrame:
    """The answers of a probe or an evaluation, by epoch, fact and prompt."""
    files = [folder / path_of(work.result, work.seed, work.model, shard) for shard in range(work.jobs)]
    keys = ["epoch"] if work.result.kind == EVALUATION else []
    return read_generations(files).set_index([*keys, "fact_id", "prompt_index"])


def greedy(said: pd.DataFrame) -> pd.Series:
    """The texts of the greedy answers."""
    return said.loc[said["kind"] == GREEDY, "text"]


def samples(said: pd.DataFrame) -> pd.Series:
    """How often each text was sampled."""
    drawn = said[said["kind"] == SAMPLED].set_index("text", append=True)["count"]
    return drawn.groupby(level=drawn.index.names).sum()


def categories(work: Work, folder: Path) -> pd.Series:
    """The categories of the facts in a probe. Empty for an evaluation, which has none."""
    if work.result.kind == EVALUATION:
        return pd.Series(dtype=str)
    file = folder / path_of(work.result._replace(kind=CATEGORIES), work.seed, work.model)
    return read_parquet(file, "categories", ("fact_id", "category")).set_index("fact_id")["category"]


if __name__ == "__main__":
    report(main)

"""Whether two runs of a study are the same: tables beside published tables, and answers beside those of another run."""

import re
import shutil
import subprocess
import sys

import pandas as pd
import pytest

from gradual.ground.files import write_parquet

RESULTS = "results/tiny"
PROBE = "seed0/small/stage1/train-probe-0"
SAMPLED = "seed0/small/origin/train-probe-0/generations-0.parquet"
EVALUATION = "seed0/small/strategy5/evaluation"


def said(project, *words):
    done = subprocess.run([sys.executable, *words], cwd=project, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of the tiny study's results, to be changed."""
    return shutil.copytree(finished / RESULTS, tmp_path / "tiny")


def test_the_tables_of_a_finished_study_are_the_published_ones_until_a_digit_differs(finished, copied, tmp_path):
    reference = tmp_path / "reference" / "tiny"
    shutil.copytree(copied / "tables", reference / "tables")
    shutil.copy(copied / "provenance.json", reference)
    verify = ("scripts/verify_tables.py", "--results", str(tmp_path), "--study", "tiny", "--strict")
    assert said(finished, *verify) == (0, "tiny: equal to the published tables\n", "")
    table = pd.read_csv(copied / "tables/table_07.csv", dtype=str, keep_default_na=False)
    table.loc[1, "percent"] = re.sub(r"\d$", lambda last: str((int(last[0]) + 5) % 10), table.loc[1, "percent"])
    table.to_csv(copied / "tables/table_07.csv", index=False)
    status, told, _ = said(finished, *verify)
    assert status == 1 and told.splitlines()[-1].startswith("tiny: not the published tables: 1 cell differs")
    assert "table_07, row 'Origin', column 'percent'" in told


def test_answers_and_categories_that_differ_between_two_runs_are_counted(finished, copied):
    compare = ("scripts/compare_results.py", RESULTS, str(copied))
    status, told, _ = said(finished, *compare)
    assert status == 0 and told.endswith("tables: equal in every cell\n")
    rows = {tuple(row[:3]): list(map(int, row[3:])) for row in cells(told)}
    assert {("small", "stage1", "probe of train"), ("small", "origin", "probe of train again")} <= set(rows)
    assert all(differing == others == moved == 0 < asked for asked, differing, _, others, _, moved in rows.values())

    shard = copied / PROBE / "generations-0.parquet"
    answers = pd.read_parquet(shard)
    changed = answers.index[answers["kind"] == "greedy"][:3]
    answers.loc[changed, "text"] += " or not"
    write_parquet(answers, shard)
    answers = pd.read_parquet(copied / SAMPLED)
    drawn = answers.index[answers["kind"] == "sampled"]
    assert rows["small", "origin", "probe of train"][2] > answers.loc[drawn, "count"].sum() > 0  # it has two shards
    answers.loc[drawn[:2], "text"] += " or not"
    write_parquet(answers, copied / SAMPLED)
    sorted_facts = pd.read_parquet(copied / PROBE / "categories.parquet")
    write_parquet(sorted_facts[1:], copied / PROBE / "categories.parquet")  # a fact that only one run has
    evaluated = pd.read_parquet(copied / EVALUATION / "generations.parquet")
    evaluated.loc[evaluated["epoch"] == 2, "text"] = "no"
    write_parquet(evaluated, copied / EVALUATION / "generations.parquet")

    found = {tuple(row[:3]): list(map(int, row[3:])) for row in cells(said(finished, *compare)[1])}
    assert {name for name in rows if found[name] != rows[name]} == {
        ("small", "origin", "probe of train"),
        ("small", "stage1", "probe of train"),
        ("small", "strategy5", "evaluation"),
        ("all", "", ""),
    }
    assert found["small", "stage1", "probe of train"][1::2] == [3, 0, 1]
    assert found["small", "origin", "probe of train"][1::2] == [0, answers.loc[drawn[:2], "count"].sum(), 0]
    asked, differing, *_ = found["small", "strategy5", "evaluation"]
    assert 0.4 * asked < differing <= asked / 2  # one of two epochs


def cells(told):
    """The rows of a Markdown table."""
    lines = [line.strip("|").split("|") for line in told.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for line in lines[2:]]

"""The tiny study of answers that change, end to end: what must hold of any such study's results."""

import json
import random
import shutil

import pandas as pd
import pytest
import yaml

from project_copy import copy_project, snakemake_in
from test_killed import kill, start

RESULTS = "results/stages"
MODEL = f"{RESULTS}/seed0/small"
STUDY = ("--configfile", "tests/workflow/stages.yaml")
STAGES = ("--cores", "2", *STUDY)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    project = copy_project(tmp_path_factory.mktemp("stages") / "project")
    run = snakemake_in(project)(*STAGES)
    assert run.returncode == 0, run.stdout[-6000:]
    return project


@pytest.fixture(scope="module")
def revisions(done):
    return pd.read_parquet(done / RESULTS / "seed0/revisions.parquet").set_index(["fact_id", "revision"])["answer"]


def roles(done, *wanted):
    groups = pd.read_parquet(done / RESULTS / "seed0/groups.parquet")
    return set(groups.loc[groups["role"].isin(wanted), "fact_id"])


def test_each_stage_trains_on_its_facts_with_the_answers_of_its_revision(done, revisions):
    for run, facts, revision in (
        ("stage1", ("revised", "kept"), 0),
        ("cit2", ("revised",), 1),
        ("cit3", ("revised",), 2),
    ):
        examples = pd.read_parquet(done / MODEL / run / "examples.parquet")
        assert set(examples["fact_id"]) == roles(done, *facts) and set(examples["role"]) == {"train"}
        assert list(examples["answer"]) == [revisions[fact_id, revision] for fact_id in examples["fact_id"]]
    replayed = pd.read_parquet(done / MODEL / "replay2/examples.parquet")
    assert set(replayed.loc[replayed["role"] == "replay", "fact_id"]) == roles(done, "kept")


def test_every_fact_of_the_groups_is_asked_in_both_wordings_and_graded_by_each_of_its_revisions(done, revisions):
    everyone = roles(done, "revised", "kept", "unrelated")
    for state in ("origin", "stage1", "f_learning2", "mocl3"):
        grades = pd.read_parquet(done / MODEL / state / "groups-0/grades.parquet")
        asked = set(grades[["fact_id", "wording"]].itertuples(index=False, name=None))
        assert asked == {(fact_id, wording) for fact_id in everyone for wording in (0, 3)}
        assert len(grades) == 2 * len(revisions)


def test_the_states_are_what_the_methods_say(done):
    forgot = json.loads((done / MODEL / "f_learning2_forget/adapter/chosen.json").read_text())
    assert forgot["scale"] == -0.7 and forgot["chosen_on"] == "last" and forgot["epoch"] == 2
    weights = json.loads((done / MODEL / "mocl3/composition/composed.json").read_text())["weights"]
    assert list(weights) == ["stage1", "mocl2", "mocl3"] and sum(weights.values()) == pytest.approx(1, abs=1e-5)
    samples = pd.read_parquet(done / MODEL / "theirs2/samples.parquet")
    assert set(samples.loc[samples["kind"] != "target"].groupby(["fact_id", "question"])["count"].sum()) == {4}
    longer = [
        len(pd.read_parquet(done / MODEL / run / "examples.parquet")) for run in ("theirs2", "same_steps2", "cit2")
    ]
    assert longer[0] == longer[1] > longer[2] == 40


def test_a_run_may_have_as_many_tokens_as_another(done):
    (done / "tokens.yaml").write_text("methods: {same_tokens: {tokens_of: theirs, stages: 2}}\n")
    made = snakemake_in(done)(*STAGES, "tokens.yaml", "--", f"{MODEL}/same_tokens2/examples.parquet")
    assert made.returncode == 0, made.stdout[-6000:]
    examples = pd.read_parquet(done / MODEL / "same_tokens2/examples.parquet")
    assert len(examples) > 40 and set(examples["fact_id"]) == roles(done, "revised")


DOMAINS = {
    "stages": [
        {"facts": ["own"], "domain": "lives", "answers": {"revision": 0}},
        {"facts": ["own", "conflicting"], "domain": "business", "answers": {"revision": 1}},
    ],
    "methods": {
        "cit": {"label": "CIT"},
        "f_learning": {"label": "F-Learning", "forget": 0.7, "adapter": "merge"},
    },
    "runs": {"joint": {"from": "origin", "facts": ["own"], "answers": {"revision": "latest"}}},
    "tables": {"show": ["domains"]},
}
GROUPS = {"own": 12, "conflicting": 6, "unrelated": 10, "band": "all"}
RELATIONS = {"lives": ["birthplace", "citizenship"], "business": ["founder", "headquarters"]}


def test_one_domain_after_another_changes_answers_of_the_domain_before(done, tmp_path):
    """The same world and base model, with domains instead of revised facts."""
    folder = shutil.copytree(done, tmp_path / "project", symlinks=True)
    study = yaml.safe_load((folder / STUDY[1]).read_text()) | DOMAINS
    study["dataset"]["revisions"] = GROUPS | {"domains": RELATIONS}
    (folder / "domains.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    run = snakemake_in(folder)("--cores", "2", "--configfile", "domains.yaml", "--", f"{RESULTS}/tables/domains.csv")
    assert run.returncode == 0, run.stdout[-6000:]
    groups = pd.read_parquet(folder / RESULTS / "seed0/groups.parquet")
    own = groups[groups["role"] == "own"].groupby("domain")["fact_id"].agg(set)
    changed = set(groups.loc[groups["role"] == "conflicting", "fact_id"])
    assert len(own["lives"]) == len(own["business"]) == 12 and len(changed) == 6 and changed < own["lives"]
    answers = pd.read_parquet(folder / RESULTS / "seed0/revisions.parquet").set_index(["fact_id", "revision"])["answer"]
    for state, facts, forgotten in (
        ("cit2", own["business"] | changed, False),
        ("f_learning2_forget", changed, True),  # their first answers; own facts have none before
        ("joint", own["lives"] | own["business"], False),
    ):
        examples = pd.read_parquet(folder / MODEL / state / "examples.parquet")
        assert set(examples["fact_id"]) == facts
        for fact_id, answer in zip(examples["fact_id"], examples["answer"], strict=True):
            assert answer == answers[fact_id, int(fact_id in changed and not forgotten)]
    table = pd.read_csv(folder / RESULTS / "tables/domains.csv").set_index(["method", "stage", "wording"])
    rows = table.xs(2, level="stage")
    assert set(rows["own_n"]) == {12} and set(rows["conflicting_n"]) == {6} and set(rows["earlier_n"]) == {6}
    assert {"CIT", "F-Learning", "joint"} <= set(rows.index.get_level_values("method"))


def test_killed_while_its_methods_are_made_it_comes_to_the_same_tables(done, tmp_path):
    folder = shutil.copytree(done, tmp_path / "project", symlinks=True)
    for made in ("theirs2", "mocl2", "mocl3", "f_learning2_forget", "f_learning2", "same_steps2"):
        shutil.rmtree(folder / MODEL / made)
    shutil.rmtree(folder / RESULTS / "tables")
    chance = random.Random(1)
    for number in range(3):
        log = tmp_path / f"killed-{number}.log"
        kill(start(folder, log, STUDY), log, chance.randint(0, 3), chance.uniform(0, 2))
    again = snakemake_in(folder)(*STAGES)
    assert again.returncode == 0, again.stdout[-3000:]
    tables = sorted((folder / RESULTS / "tables").iterdir())
    assert len(tables) == 12
    for table in tables:
        assert table.read_bytes() == (done / table.relative_to(folder)).read_bytes(), table.name


def test_the_tables_tell_of_every_method_and_a_second_run_has_nothing_to_do(done):
    retained = pd.read_csv(done / RESULTS / "tables/retention.csv").set_index(["method", "stage"])["change"]
    assert retained.gt(0).all() and retained["CIT", 2].iloc[0] != retained["CIT", 3].iloc[0]
    stages = pd.read_csv(done / RESULTS / "tables/stages.csv")
    assert {"CIT", "MoCL", "F-Learning", "replay", "theirs", "same_steps", "joint"} <= set(stages["method"])
    claims = pd.read_csv(done / RESULTS / "tables/stage_claims.csv")
    assert set(claims["verdict"]) <= {"shows", "does not show", "undecided"} and len(claims)
    again = snakemake_in(done)(*STAGES, "-n")
    assert "Nothing to be done" in again.stdout
    changed = (done / "tests/workflow/stages.yaml").read_text().replace("forget: 0.7", "forget: 0.5")
    (done / "edited.yaml").write_text(changed)
    planned = snakemake_in(done)("--cores", "2", "-n", "--configfile", "edited.yaml")
    counts = {tuple(line.split()) for line in planned.stdout.splitlines() if line.startswith(("train_", "scale_"))}
    assert counts == {("scale_adapter", "1"), ("train_adapter", "1")}  # of F-Learning alone

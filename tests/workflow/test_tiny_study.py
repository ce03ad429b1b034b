"""The tiny study, end to end: what must hold of any study's results."""

import fcntl
import json

import pandas as pd
import pytest

from gradual.ground.files import digest
from gradual.knowledge.categories import FULL, GREEDY_ONLY
from project_copy import snakemake_in

RESULTS = "results/tiny"
MODEL = f"{RESULTS}/seed0/small"
TINY = ("--configfile", "tests/workflow/tiny.yaml")


@pytest.fixture(scope="module")
def facts(finished):
    return pd.read_parquet(finished / RESULTS / "seed0/facts.parquet").set_index("fact_id")


def categories(finished, state, probe=0):
    table = pd.read_parquet(finished / MODEL / state / f"train-probe-{probe}" / "categories.parquet")
    return table.set_index("fact_id")["category"]


@pytest.mark.parametrize(("state", "probe"), [("origin", 0), ("origin", 1), ("stage1", 0), ("strategy5", 0)])
def test_every_probe_sorts_exactly_the_train_facts(finished, facts, state, probe):
    assert set(categories(finished, state, probe).index) == set(facts.index[facts["split"] == "train"])


def test_the_origin_is_sorted_into_four_categories_and_a_trained_state_into_three(finished):
    origin, trained = set(categories(finished, "origin")), set(categories(finished, "stage1"))
    assert {"HighlyKnown", "WeaklyKnown", "Unknown"} <= origin <= {*FULL}
    assert {"HighlyKnown", "WeaklyKnown & Unknown"} <= trained <= {*GREEDY_ONLY}


def test_each_prompt_has_one_greedy_answer_and_unsolved_facts_all_samples(finished, facts):
    shards = sorted((finished / MODEL / "origin/train-probe-0").glob("generations-*.parquet"))
    assert len(shards) == 2
    said = pd.concat(map(pd.read_parquet, shards))
    greedy = said[said["kind"] == "greedy"]
    train = facts.index[facts["split"] == "train"]
    assert sorted(map(tuple, greedy[["fact_id", "prompt_index"]].values)) == sorted(
        (f, p) for f in train for p in range(8)
    )
    gold = greedy["fact_id"].map(facts["answers"].str[0])
    solved = set(greedy["fact_id"][greedy["text"] == gold])
    samples = said[said["kind"] == "sampled"].groupby(["fact_id", "prompt_index"])["count"].sum()
    assert set(samples) == {4}
    assert set(samples.index.get_level_values(0)) == set(train) - solved


def test_training_uses_the_selected_train_facts_only_and_replays_the_others(finished, facts):
    origin, stage1 = categories(finished, "origin"), categories(finished, "stage1")
    one = pd.read_parquet(finished / MODEL / "stage1/selection.parquet")
    assert set(one["fact_id"]) == set(origin.index[origin.isin(["MaybeKnown", "WeaklyKnown"])])
    two = pd.read_parquet(finished / MODEL / "strategy5/selection.parquet").set_index("fact_id")["role"]
    known = stage1.isin(["HighlyKnown", "MaybeKnown"])
    assert set(two.index[two == "train"]) == set(stage1.index[known & (origin.reindex(stage1.index) != "Unknown")])
    assert set(two.index[two == "replay"]) == set(stage1.index[~known])
    assert set(facts.loc[[*one["fact_id"], *two.index], "split"]) == {"train"}


def test_the_examples_are_the_selected_facts_and_their_texts_can_be_read(finished, facts):
    selection = pd.read_parquet(finished / MODEL / "strategy5/selection.parquet").set_index("fact_id")["role"]
    examples = pd.read_parquet(finished / MODEL / "strategy5/examples.parquet")
    assert dict(zip(examples["fact_id"], examples["role"], strict=True)) == selection.to_dict()
    assert (examples["role"] == "train").is_monotonic_decreasing and set(examples["source"]) == {"dataset"}
    texts = pd.read_json(finished / MODEL / "strategy5/texts.jsonl", lines=True, dtype={"fact_id": str})
    assert texts["fact_id"].tolist() == examples["fact_id"].tolist()
    first = facts.loc[examples["fact_id"][0]]
    assert texts["prompt"][0] == f"Q: {first['question']}\nA:"
    assert texts["completion"][0] == f" {first['answers'][0]}\n"


def test_drawn_answers_are_those_of_train_facts_of_the_relation(finished, facts):
    own = pd.read_parquet(finished / MODEL / "stage1/examples.parquet")
    drawn = pd.read_parquet(finished / MODEL / "drawn_answers/examples.parquet")
    assert drawn[["fact_id", "role", "question"]].equals(own[["fact_id", "role", "question"]])
    assert set(drawn["source"]) == {"drawn"} and 0 < (drawn["answer"] == own["answer"]).mean() < 0.5
    train = facts[facts["split"] == "train"]
    said = set(zip(train["relation"], train["answers"].str[0], strict=True))
    assert set(zip(facts.loc[drawn["fact_id"], "relation"], drawn["answer"], strict=True)) <= said


def test_the_groups_of_golds_are_all_test_facts(finished, facts):
    table = pd.read_csv(finished / RESULTS / "tables/guessing.csv").set_index("name")
    assert "Control of One-Stage: drawn_answers" in table.index
    assert (table["frequent_n"] + table["rare_n"] == (facts["split"] == "test").sum()).all()
    stages = pd.read_csv(finished / RESULTS / "tables/table_07.csv").set_index("name")["percent"]
    whole = (table["frequent_n"] * table["frequent_percent"] + table["rare_n"] * table["rare_percent"]) / table["n"]
    assert whole["One-Stage"] == pytest.approx(stages["One-Stage"])
    assert table["majority_right_percent"].iloc[0] == pytest.approx(stages["Majority answer"])
    by_relation = pd.read_csv(finished / RESULTS / "tables/guessing_by_relation.csv")
    assert (by_relation.groupby("name")["rare_n"].sum() == table["rare_n"].iloc[0]).all()


def test_an_epoch_replays_a_fifth_of_the_pool(finished):
    role = pd.read_parquet(finished / MODEL / "strategy5/selection.parquet")["role"].value_counts()
    expected = role["train"] + round(0.2 * role["replay"])
    loss = pd.read_csv(finished / MODEL / "strategy5/loss.csv")
    assert len(loss) == 2 * -(-expected // 32)


def test_a_control_trains_on_as_many_facts_as_the_run_it_is_named_by(finished):
    sizes = {
        run: (pd.read_parquet(finished / MODEL / run / "selection.parquet")["role"] == "train").sum()
        for run in ("stage1", "random")
    }
    assert sizes["random"] == sizes["stage1"]


def test_the_origin_is_asked_the_test_facts_too_and_no_other_state_is(finished, facts):
    asked = pd.read_parquet(finished / MODEL / "origin/test-probe-0/categories.parquet")
    assert set(asked["fact_id"]) == set(facts.index[facts["split"] == "test"])
    assert [path.parent.name for path in (finished / MODEL).glob("*/test-probe-*")] == ["origin"]


def test_costs_count_every_prompt(finished, facts):
    costs = pd.read_csv(finished / RESULTS / "costs.csv").set_index(["state", "work"])
    split = facts["split"].value_counts()
    assert costs.loc[("origin", "probe of train"), "prompts"] == 8 * split["train"]
    assert costs.loc[("stage1", "evaluation"), "prompts"] == 2 * (split["dev"] + split["test"])
    work = costs.drop(index="all", level="state")
    assert costs.loc[("all",), "prompts"].sum() == work["prompts"].sum()
    assert (work["seconds"] > 0).all()


def test_the_margins_of_the_transitions_are_the_counts(finished):
    counts = pd.read_csv(finished / RESULTS / "tables/table_02.csv")
    origin, stage1 = categories(finished, "origin"), categories(finished, "stage1")
    n = len(origin)
    assert counts["n"].unique().tolist() == [n]
    by_category = dict(zip(counts["type"], counts["count"], strict=True))
    assert {k: v for k, v in by_category.items() if v} == origin.value_counts().to_dict()
    transitions = pd.read_csv(finished / RESULTS / "tables/table_03.csv")
    assert transitions.groupby("origin_type")["count"].sum().to_dict() == by_category
    assert transitions.groupby("new_type")["count"].sum().to_dict() == stage1.value_counts().to_dict()


def test_test_accuracy_is_that_of_the_chosen_epoch(finished):
    table = pd.read_csv(finished / RESULTS / "tables/table_07.csv").set_index("name")
    for stage, state in (("One-Stage", "stage1"), ("Two-Stage", "strategy5")):
        accuracy = pd.read_csv(finished / MODEL / state / "evaluation/accuracy.csv")
        chosen = json.loads((finished / MODEL / state / "adapter/chosen.json").read_text())
        dev, test = (accuracy[accuracy["split"] == split].set_index("epoch")["accuracy"] for split in ("dev", "test"))
        assert (chosen["epoch"], chosen["chosen_on"]) == (int(dev.idxmax()), "dev")
        weights = finished / MODEL / state / "adapter/adapter_model.safetensors"
        assert chosen["sha256"][weights.name] == digest(weights)
        assert table.loc[stage, "percent"] == pytest.approx(100 * test[chosen["epoch"]])


def test_provenance_names_config_data_models_packages_and_times(finished):
    provenance = json.loads((finished / RESULTS / "provenance.json").read_text())
    assert provenance["config"]["study"] == "tiny"
    assert len(provenance["data_sha256"][f"{RESULTS}/seed0/facts.parquet"]) == 64
    assert provenance["base_models"][f"{MODEL}/base/base.json"]["model.safetensors"]
    assert provenance["packages"]["torch"]
    assert {job["rule"] for job in provenance["jobs"]} >= {
        "pretrain_base",
        "probe_facts",
        "check_probe",
        "evaluate_epochs",
    }


def test_the_probe_is_checked_against_generate_and_the_tables_say_so(finished):
    provenance = json.loads((finished / RESULTS / "provenance.json").read_text())
    (found,) = provenance["agreement"].values()
    assert (found["facts"], found["answers"], found["dtype"]) == (20, 20 * 8, "float32")
    assert found["equal_answers"] >= 0.99 * found["answers"] and found["sampled_prompts"] > 0
    assert f"{found['equal_answers']} of 160 greedy answers equal" in (finished / RESULTS / "tables.md").read_text()


def test_snakemakes_own_report_has_the_figures_the_tables_and_the_page(finished, tmp_path):
    page = tmp_path / "snakemake-report.html"
    done = snakemake_in(finished)(*TINY, "--report", str(page))
    assert done.returncode == 0, done.stdout[-3000:]
    text = page.read_text(encoding="utf-8")
    for name in ("claims.svg", "epochs.svg", "claims.csv", "report.html"):
        assert name in text, name


def test_two_runs_of_a_study_at_once_are_refused(finished):
    with (finished / RESULTS / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        (finished / RESULTS / "tables.md").rename(finished / "tables.md")
        done = snakemake_in(finished)("--cores", "1", *TINY)
        (finished / "tables.md").rename(finished / RESULTS / "tables.md")
    assert done.returncode != 0
    assert "another Snakemake is at work on results/tiny" in done.stdout


def test_while_jobs_of_a_killed_run_are_at_work_no_other_starts(finished):
    with (finished / RESULTS / ".jobs").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_SH)  # as every job does
        (finished / RESULTS / "tables.md").rename(finished / "tables.md")
        done = snakemake_in(finished)("--cores", "1", *TINY)
        (finished / "tables.md").rename(finished / RESULTS / "tables.md")
    assert done.returncode != 0
    assert "jobs of a Snakemake that was killed are still at work on results/tiny" in done.stdout

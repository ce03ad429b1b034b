"""The plan of a study: counts as they really come, tokens and shares from what is known, hours and disk from these."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from gradual.plan import shares, texts

import plan_study
from build_facts import build
from gradual.ground.errors import InputError
from gradual.ground.files import write_json, write_parquet
from gradual.planning.actuals import COMPARED, KEYS, taken_of
from gradual.planning.critical_path import critical_path
from gradual.planning.models import Base, base_of, known
from gradual.planning.report import hours, render, size, with_sums
from gradual.planning.rows import PROBE, plan_rows
from gradual.planning.settled import greedy_prompts, sampled_prompts
from gradual.planning.throughputs import device
from gradual.probe.answers import ROUND
from gradual.probe.prompts import ExemplarPool, PromptSettings, plain
from gradual.probe.questions import fact_prompts, shard
from gradual.study import result_paths
from gradual.study.config import load_config
from gradual.study.load_study import load_study, works_of
from gradual.study.runs import ORIGIN, runs
from gradual.tables.gradual_learning import paper
from gradual.workflow.profiles import read_profile

ROOT = Path(__file__).resolve().parents[3]
TINY = yaml.safe_load((ROOT / "tests" / "workflow" / "tiny.yaml").read_text())


def config(**overrides: Any) -> dict[str, Any]:
    """The tiny study, with overrides."""
    return load_config(TINY | overrides, ROOT / "config.yaml", ROOT / "schemas" / "config.schema.json")


@pytest.fixture
def profile():
    return read_profile("profiles/default", ROOT)


def planned(study: dict[str, Any], root: Path, profile: Any, line: str = "CPU") -> pd.DataFrame:
    """The rows of a plan by model, seed, state and work."""
    return plan_rows(study, root, profile, device(line), build).rows.set_index(["model", "seed", "state", "work"])


# A finished study, made up: its facts, a tokenizer, and the usage of the prompts that the jobs would really ask.


def asked(study: dict[str, Any], facts: pd.DataFrame, work: dict[str, Any]) -> Iterator[list[list[Any]]]:
    """The prompts of each job of a work, by fact, as probe_facts and evaluate_epochs make them."""
    if work["work"] == "evaluation":
        settings, of = study["evaluation"], facts[facts["split"].isin(study["evaluation"]["splits"])]
        epochs = 1 if work["state"] == ORIGIN else runs(study)[work["state"]].settings["epochs"]
        jobs, prompts = [pd.concat([of] * epochs)], 1
    else:
        settings, split = study["probe"], work["work"].removeprefix(PROBE).removesuffix(" again")
        count, of = study["probe"]["shards"], facts[facts["split"] == split]
        jobs, prompts = [shard(of, index, count) for index in range(count)], settings["prompts"]
    pool = ExemplarPool(facts, settings["exemplar_split"], "facts")
    for job in jobs:
        yield list(fact_prompts(job, pool, PromptSettings(7, study["probe"]["shots"], "per_fact"), prompts, plain))


def tokenizer_file(folder: Path, documents: list[str]) -> Any:
    """A byte-level BPE tokenizer of the documents, saved as a model's."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator(documents, trainers.BpeTrainer(vocab_size=600, show_progress=False))
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json({"path": ".", "sha256": {}}, folder / "base.json")
    return tokenizer


@pytest.fixture
def finished(tmp_path) -> tuple[dict[str, Any], Path, pd.DataFrame, dict[tuple[str, str], int]]:
    """A finished tiny study: its config, root, facts, and the prompt tokens of each of its works."""
    study = config()
    facts, _, _ = build(study["dataset"], study["world"], None, {}, 0)
    results = tmp_path / "results" / "tiny"
    (results / "seed0").mkdir(parents=True)
    write_parquet(facts, results / result_paths.facts(0))
    lines = [f"Q: {q}\nA: {a[0]}\n" for q, a in zip(facts["question"], facts["answers"], strict=True)]
    tokenizer = tokenizer_file(results / "seed0" / "small" / "base", lines)
    tokens = {}
    for work in works_of(study):
        total = 0
        for path, groups in zip(work["usage"], asked(study, facts, work) if work["usage"] else (), strict=True):
            prompts = [prompt.text for group in groups for prompt in group]
            found = sum(len(e) for e in tokenizer.encode_batch_fast(prompts))
            usage = {"prompts": len(prompts), "prompt_tokens": found, "answer_tokens": 3 * len(prompts)}
            (results / path).parent.mkdir(parents=True, exist_ok=True)
            write_json(usage | {"computed_tokens": found}, results / path)
            total += found
        for path in work["benchmarks"]:
            (results / path).parent.mkdir(parents=True, exist_ok=True)
            (results / path).write_text("s\th:m:s\n36.0\t0:00:36\n")
        tokens[work["state"], work["work"]] = total
    return study, tmp_path, facts, tokens


def test_planned_prompts_equal_those_that_the_jobs_ask(finished, profile):
    study, root, _, _ = finished
    plan = plan_rows(study, root, profile, device("CPU"), build)
    taken, source = taken_of(study, root, profile)
    frame = with_sums(plan, taken)
    of_work = frame[frame["work"].isin(taken["work"])]
    assert len(of_work) == len(works_of(study)) and source == "results/tiny"
    assert (of_work["prompts"] == of_work["taken_prompts"]).all() and of_work["prompts"].sum() > 10_000
    last = frame.iloc[-1]
    assert (last["label"], last["prompts"]) == ("all models", last["taken_prompts"]) and last["prompts"] > 0


def test_planned_tokens_are_those_of_the_models_own_tokenizer_within_a_hundredth(finished, profile):
    study, root, _, tokens = finished
    plan = plan_rows(study, root, profile, device("CPU"), build)
    assert any("its own tokenizer" in sentence for sentence in plan.sources)
    asking = plan.rows[plan.rows["prompts"] > 0]
    for _, row in asking.iterrows():
        assert row["prompt_tokens"] == pytest.approx(tokens[row["state"], row["work"]], rel=0.01)


def test_what_was_taken_stands_beside_the_plan_with_its_ratio(finished, profile):
    study, root, _, _ = finished
    plan = plan_rows(study, root, profile, device("CPU"), build)
    taken, source = taken_of(study, root, profile)
    text = render(study, profile, plan, taken, source)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    header, body = rows[0], rows[2:]
    assert [name for name in header if name in ("taken", "ratio")] == ["taken", "ratio"] * 5
    probe = next(row for row in body if row[1:3] == ["stage1", "probe of train"])
    place = header.index("Prompts")
    assert probe[place] == probe[place + 1] and probe[place + 2] == "1.00"
    assert probe[header.index("Job hours") + 1] == "0.020"  # two shards of 36 s
    assert "nan" not in text


def test_work_that_is_not_done_yet_leaves_its_cells_open(finished, profile):
    study, root, _, _ = finished
    probe = root / "results" / "tiny" / result_paths.probe_usage(0, "small", "stage1", "train", 0, 1)
    probe.unlink()
    taken, _ = taken_of(study, root, profile)
    frame = with_sums(plan_rows(study, root, profile, device("CPU"), build), taken).set_index(["state", "work"])
    assert pd.isna(frame.loc[("stage1", "probe of train"), "taken_prompts"])
    assert pd.isna(frame.loc[("all", ""), "taken_prompts"]).all()  # a sum without a part would be too low


def test_hours_that_were_taken_count_the_gpus_of_a_job(finished, tmp_path):
    study, root, _, _ = finished
    (tmp_path / "profiles" / "four").mkdir(parents=True)
    (tmp_path / "profiles" / "four" / "profile.yaml").write_text("set-resources: {train_adapter: {gpu: 4}}\n")
    taken, _ = taken_of(study, root, read_profile("four", tmp_path))
    by_work = taken.set_index(["state", "work"])["hours"]
    assert by_work["stage1", "training"] == pytest.approx(4 * 36 / 3600)
    assert by_work["stage1", "evaluation"] == pytest.approx(36 / 3600)


# The studies that the repository has results of


@pytest.mark.parametrize(("study", "answers"), [("default", 0.25), ("controls", 0.1), ("entity_questions_small", 0.06)])
def test_plans_agree_with_the_costs_of_the_published_studies(study, answers, profile):
    loaded = load_study(study, ROOT)
    if (ROOT / "results" / study).exists():
        pytest.skip(f"there are results of {study} here, which the plan would measure")
    plan = plan_rows(loaded, ROOT, profile, device("CPU"), build)
    costs = pd.read_csv(ROOT / "results" / "reference" / study / "costs.csv").fillna({"work": ""})
    costs = costs[costs["state"] != "all"].set_index(["model", "state", "work"])
    rows = plan.rows.set_index(["model", "state", "work"])
    assert list(rows.index) == list(costs.index)
    assert (rows["prompts"] == costs["prompts"]).all() and (rows["jobs"] == costs["jobs"]).all()
    asking = costs["prompts"] > 0
    assert (rows["prompt_tokens"] / costs["prompt_tokens"])[asking].between(0.99, 1.01).all()
    assert (rows["answer_tokens"] / costs["answer_tokens"])[asking].between(1 - answers, 1 + answers).all()


def test_the_papers_study_has_the_papers_facts(profile):
    plan = plan_rows(load_study("paper", ROOT), ROOT, profile, device("A100"), build)
    rows = plan.rows.set_index(["model", "state", "work"])
    probe = rows.loc[("qwen2_7b", ORIGIN, "probe of train")]
    assert (probe["jobs"], probe["prompts"]) == (32, 169_164 * 10)
    assert probe["sampled_tokens"] / probe["greedy_tokens"] == pytest.approx(16 * (25_986 + 71_855) / 169_164)
    assert rows.loc[("qwen2_7b", "base", "download"), "disk"] == 2 * 7_615_616_512
    longer, whole = rows.loc[("qwen2_7b", "stage1_25", "training")], rows.loc[("qwen2_7b", "stage1", "training")]
    assert longer["training_tokens"] == pytest.approx(2.5 * whole["training_tokens"])
    assert whole["disk"] == 11 * 4 * 161_480_704  # ten epochs and the chosen one


def test_a_dataset_that_is_counted_here_is_the_one_of_the_manifest(real_data):
    source = real_data("entity_questions") / "dataset"
    counted = pd.read_csv(texts.FILE).set_index(["split", "relation"])
    for split, relation in (("train", "P19"), ("test", "P800"), ("dev", "P36")):
        facts = json.loads((source / split / f"{relation}.{split}.json").read_text())
        row = counted.loc[(split, relation)]
        assert (row["facts"], row["single_answer"]) == (len(facts), sum(len(f["answers"]) == 1 for f in facts))
        assert row["question"] == pytest.approx(sum(len(f["question"].strip()) for f in facts) / len(facts), abs=0.01)
    assert counted.groupby("split")["single_answer"].sum().to_dict() == {"train": 169164, "dev": 21174, "test": 21206}


def test_counts_are_kept_carved_and_drawn_as_the_study_says():
    study = load_study("entity_questions_small", ROOT)
    facts = texts.facts_of(study, ROOT, 0, build)
    assert facts.texts is None and set(facts.table["relation"]) == set(study["dataset"]["relations"])
    assert {split: facts.count(split) for split in study["dataset"]["max_facts"]} == study["dataset"]["max_facts"]


def test_facts_that_are_nowhere_are_an_error(tmp_path):
    study = load_study("elements", ROOT)
    with pytest.raises(InputError, match="dataset.*key 'path'.*local copy"):
        texts.facts_of(study, tmp_path, 0, build)


# Shares


@pytest.fixture
def knowledge(tmp_path):
    table = runs(load_study("paper", ROOT))
    return lambda model="Qwen2-7B", folder=tmp_path: shares.knowledge_of(folder, 169_164, table, model), table


def test_runs_train_on_as_many_facts_as_the_papers_tables_say(knowledge):
    know, table = knowledge
    counts = {name: round(know().selected(table[name]).trained) for name in table}
    assert counts["stage1"] == counts["stage1_25"] == counts["random"] == counts["train_on"] == 36_897
    assert counts["strategy4"] == counts["strategy5"] == 9_892 + 3_952 + 4_889 + 1_932  # Table 3's column MaybeKnown
    assert counts["strategy1"] == 9_892 + 3_952 + 4_889 and counts["strategy2"] == 9_892 + 3_952
    assert counts["strategy3"] == 9_892 + 4_889
    assert counts["weakly_known"] == 25_986 and counts["unknown"] == 36_897 and counts["everything"] == 169_164
    assert counts["round3"] == pytest.approx(paper.values(10, "Qwen2-7B")["MaybeKnown", "Two-Stage"], rel=0.001)


def test_replay_draws_from_the_category_in_the_parent(knowledge):
    know, table = knowledge
    assert round(know().selected(table["strategy5"]).pool) == 49_959  # HighlyKnown after stage 1
    assert know().selected(table["strategy4"]).pool == 0


def test_a_model_without_a_table_of_its_own_has_the_other_models_and_says_so(knowledge):
    know, table = knowledge
    assert "after stage 2 its Qwen2-7B" in know("LLaMA3-8B").source
    assert "names none" in know(None).source
    assert round(know("LLaMA3-8B").selected(table["stage1"]).trained) == 42_400


def test_what_is_measured_goes_before_the_paper(knowledge, tmp_path):
    know, table = knowledge
    categories = ["HighlyKnown"] * 5 + ["MaybeKnown"] * 3 + ["WeaklyKnown"] + ["Unknown"]
    frame = pd.DataFrame({"fact_id": list("abcdefghij"), "category": categories, "sampled_n": [0] * 7 + [160] * 3})
    file = tmp_path / result_paths.probe_folder(ORIGIN) / "categories.parquet"
    write_parquet(frame, file)
    found = know(folder=tmp_path)
    assert found.selected(table["stage1"]) == shares.Selected(3, 0, "measured")
    assert found.selected(table["random"]).trained == 3  # of the size of stage 1
    assert found.unsolved("train") == (pytest.approx(0.3), "measured")  # one more than is Weakly or Unknown
    maybe = 0.5 * 3_952 / 34_426 + 0.3 * 9_892 / 36_897 + 0.1 * 4_889 / 25_986 + 0.1 * 1_932 / 71_855
    assert found.selected(table["strategy4"]).trained == pytest.approx(169_164 * maybe)
    write_parquet(
        pd.DataFrame({"fact_id": ["a", "b"], "role": ["train", "replay"]}), tmp_path / "strategy4/selection.parquet"
    )
    assert found.selected(table["strategy4"]) == shares.Selected(1, 1, "measured")


# Probes that ask until a category is settled


def enumerated(prompts: int, right: int, settles: Callable[[list[bool]], bool]) -> float:
    """The mean of the prompts asked, over all orders of so many answers of which `right` are right."""
    asked = []
    for places in combinations(range(prompts), right):
        marks = [place in places for place in range(prompts)]
        asked.append(next((m for m in range(ROUND, prompts, ROUND) if settles(marks[:m])), prompts))
    return sum(asked) / len(asked)


@pytest.mark.parametrize("prompts", [2, 3, 7, 10])
def test_prompts_until_settled_are_the_means_under_a_uniform_probability_of_right_answers(prompts):
    """Where it is uniform, every number of right answers is equally likely."""
    mixed = [enumerated(prompts, right, lambda marks: len(set(marks)) == 2) for right in range(1, prompts)]
    assert greedy_prompts(prompts, {"MaybeKnown": 1.0}) == pytest.approx(sum(mixed) / len(mixed))
    some = [enumerated(prompts, right, any) for right in range(1, prompts + 1)]
    assert sampled_prompts(prompts, {"WeaklyKnown": 1.0}) == pytest.approx(sum(some) / len(some))


def test_the_papers_study_settled_asks_as_its_categories_say(profile):
    study = load_study("paper", ROOT)
    exact = planned(study, ROOT, profile, "A100").sort_index().loc["qwen2_7b", 0]
    study["probe"]["counts"] = "settled"
    study["tables"]["show"] = [table for table in study["tables"]["show"] if table not in ("scoring", "chance")]
    rows = planned(study, ROOT, profile, "A100").sort_index().loc["qwen2_7b", 0]
    saved = 10 - 2 * (1 + 16 / 27 + 12 / 45 + 8 / 63 + 4 / 81)  # prompts of a MaybeKnown fact
    for state, maybe in ((ORIGIN, 36_897), ("stage1", 9_892 + 3_952 + 4_889 + 1_932)):
        probe = rows.loc[(state, "probe of train")]
        assert probe["prompts"] == pytest.approx(169_164 * 10 - saved * maybe)
        assert probe["prompts"] / probe["prompt_tokens"] == pytest.approx(
            exact.loc[(state, "probe of train"), "prompts"] / exact.loc[(state, "probe of train"), "prompt_tokens"]
        )
    probe = rows.loc[(ORIGIN, "probe of train")]
    weakly = 2 * (1 + 8 / 30 + 6 / 50 + 4 / 70 + 2 / 90)
    sampled = 16 * (25_986 * weakly + 71_855 * 10)
    assert probe["sampled_tokens"] / probe["greedy_tokens"] == pytest.approx(sampled / probe["prompts"])
    again = rows.loc[(ORIGIN, "probe of train again")]
    assert (again["prompts"], again["sampled_tokens"]) == (probe["prompts"], 0)
    assert rows.loc[("stage1", "evaluation")].equals(exact.loc[("stage1", "evaluation")])


def test_shares_of_categories_are_the_measured_ones_where_there_are_any(knowledge, tmp_path):
    know, _ = knowledge
    assert know().categories("stage1", "train")["MaybeKnown"] == pytest.approx(20_665 / 169_164)
    assert sum(know().categories("strategy5", "train").values()) == pytest.approx(1)
    frame = pd.DataFrame({"fact_id": list("abcd"), "category": ["MaybeKnown"] * 3 + ["WeaklyKnown & Unknown"]})
    write_parquet(frame, tmp_path / result_paths.probe_folder("stage1") / "categories.parquet")
    found = know(folder=tmp_path)
    assert found.categories("stage1", "train") == {"MaybeKnown": 0.75, "WeaklyKnown & Unknown": 0.25}
    assert found.categories(ORIGIN, "test")["MaybeKnown"] == pytest.approx(36_897 / 169_164)


# Models, rates, hours


@pytest.mark.parametrize(
    ("repo", "parameters", "adapter"),
    [("Qwen/Qwen2-7B", 7_615_616_512, 161_480_704), ("meta-llama/Meta-Llama-3-8B", 8_030_261_248, 167_772_160)],
)
def test_parameters_are_those_of_the_models(repo, parameters, adapter, tmp_path):
    model = {"source": "hub", "repo": repo, "revision": "0" * 40}
    base = base_of(model, {}, tmp_path / "none")
    assert base.shape.parameters() == parameters and base.gated == repo.startswith("meta-llama")
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    assert base.shape.adapter_parameters(64, targets) == adapter


def test_a_model_that_no_one_has_counted_is_taken_for_another_and_said_so(tmp_path):
    base = base_of({"source": "hub", "repo": "some/model", "revision": "0" * 40}, {}, tmp_path / "none")
    assert base.shape.parameters() == 7_615_616_512 and "taken for Qwen/Qwen2-7B" in base.source


def test_a_model_that_is_here_has_the_shape_of_its_config(tmp_path):
    told = {"model_type": "llama", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2}
    told |= {"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 300, "tie_word_embeddings": True}
    (tmp_path / "config.json").write_text(json.dumps(told))
    base: Base = base_of({"source": "folder", "path": str(tmp_path)}, {}, tmp_path / "none")
    layer = 64 * 64 * 2 + 2 * 64 * 32 + 3 * 64 * 96 + 2 * 64
    assert base.shape.parameters() == 2 * layer + 64 + 300 * 64 and base.shape.begin_tokens == 1


def test_the_known_models_of_the_studies_are_listed():
    repos = {model["repo"] for model in load_study("paper", ROOT)["models"].values()}
    assert repos <= set(known().index)


def test_rates_scale_with_parameters_and_steps_have_a_least_time():
    gpu = device("A100")
    assert gpu.seconds("prefill", 5967, int(14.8e9)) == pytest.approx(1)
    assert gpu.seconds("prefill", 5967, int(7.4e9)) == pytest.approx(0.5)
    assert gpu.seconds("prefill", 5967, 1000) == gpu.seconds("prefill", 5967, int(1e9))
    assert gpu.seconds("start", 2, 1) == 180
    assert gpu.training_seconds(100, 25_600, int(7.7e9)) == pytest.approx(15)  # 256 tokens each: as published
    assert gpu.training_seconds(100, 204_800, int(7.7e9)) == pytest.approx(65, rel=0.01)


def test_every_throughput_says_where_it_is_from():
    for line in ("A100", "H100", "CPU"):
        table = device(line).table
        assert (
            set(table["basis"]) <= {"published", "derived", "measured", "assumption"}
            and table["source"].str.len().min() > 5
        )
        assert set(table.index) == set(device("A100").table.index)


def test_an_unknown_line_of_throughputs_names_the_known_ones():
    with pytest.raises(InputError, match="no line 'T4'.*A100"):
        device("T4")


def test_more_gpus_shorten_a_training_but_not_its_gpu_hours(tmp_path):
    (tmp_path / "profile.yaml").write_text("set-resources: {train_adapter: {gpu: 4}}\n")
    study = load_study("paper", ROOT)
    one = planned(study, ROOT, read_profile("profiles/default", ROOT), "A100").loc["qwen2_7b", 0, "stage1", "training"]
    four = planned(study, ROOT, read_profile(str(tmp_path), ROOT), "A100").loc["qwen2_7b", 0, "stage1", "training"]
    start = 90
    assert four["wall"] - start == pytest.approx((one["wall"] - start) / 4)
    assert (four["hours"] - one["hours"]) * 3600 == pytest.approx(3 * start)  # each GPU waits for the start


def test_a_merged_model_needs_room_where_vllm_probes_a_trained_state(profile):
    study = load_study("paper", ROOT)
    study["probe"] = study["probe"] | {"engine": "vllm"}
    rows = planned(study, ROOT, profile, "A100")
    assert rows.loc[("qwen2_7b", 0, "stage1", "evaluation"), "scratch"] == 2 * 7_615_616_512
    assert rows.loc[("qwen2_7b", 0, ORIGIN, "probe of train"), "scratch"] == 0


def test_without_a_stop_string_answers_run_to_their_limit(profile):
    rows = planned(config(probe=TINY["probe"] | {"stop": [], "max_new_tokens": 50}), ROOT, profile)
    probe = rows.loc[("small", 0, "stage1", "probe of train")]
    assert probe["greedy_tokens"] == 50 * probe["prompts"]


def test_the_critical_path_is_the_longest_chain_of_works_that_wait_for_each_other():
    table = runs(config())
    wall = {
        ("base", "pretraining"): 3600,
        (ORIGIN, "probe of train"): 3600,
        ("stage1", "training"): 3600,
        ("stage1", "evaluation"): 3600,
        ("stage1", "probe of train"): 7200,
        ("strategy5", "training"): 3600,
        ("train_on", "training"): 10000,  # does not wait for the probe of stage 1
        (ORIGIN, "probe of train again"): 10800,
    }
    rows = pd.DataFrame([{"label": "M", "state": s, "work": w, "wall": t} for (s, w), t in wall.items()])
    steps, label, length = critical_path(rows, table)
    assert label == "M" and length == pytest.approx(7)
    assert steps == [step for step in wall if step[0] not in ("train_on",) and step[1] != "probe of train again"]


def test_a_run_of_another_runs_size_waits_for_the_probes_of_that_selection():
    table = runs(config())
    rows = pd.DataFrame(
        [
            {"label": "M", "state": ORIGIN, "work": "probe of train", "wall": 3600},
            {"label": "M", "state": "random", "work": "training", "wall": 3600},
        ]
    )
    assert critical_path(rows, table)[2] == pytest.approx(2)


def test_a_run_waits_for_the_choice_of_its_parents_epoch():
    works = (("stage1", "training"), ("stage1", "evaluation"), ("train_on", "training"))  # which selects by the origin
    rows = pd.DataFrame([{"label": "M", "state": state, "work": work, "wall": 3600} for state, work in works])
    assert critical_path(rows, runs(config())) == (list(works), "M", pytest.approx(3))


def test_numbers_are_told_in_units_that_they_fill():
    assert [size(v) for v in (12, 5.1e6, 646e6, 1.2e12)] == ["12 B", "5.1 MB", "646.0 MB", "1.2 TB"]
    assert [hours(v) for v in (0.0123, 1.234, 123.4, float("nan"))] == ["0.012", "1.23", "123.4", "–"]


def test_means_are_over_seeds_and_the_last_row_is_of_all(profile):
    study = config(seeds=[0, 1])
    plan = plan_rows(study, ROOT, profile, device("CPU"), build)
    frame = with_sums(plan, taken_of(study | {"study": "not_there"}, ROOT, profile)[0])
    model, last = frame[frame["state"] == "all"].iloc[0], frame.iloc[-1]
    assert last["label"] == "all models, 2 seeds" and last["prompts"] == 2 * model["prompts"]
    assert last["hours"] == pytest.approx(plan.rows["hours"].sum())
    works = plan.rows.loc[plan.rows["seed"] == 0, KEYS]
    beside = with_sums(plan, works.assign(**dict.fromkeys(COMPARED, 1.0)))
    assert beside["taken_prompts"].iloc[-1] == 2 * len(works)


def test_the_script_prints_markdown_and_loads_no_torch():
    code = (
        "import sys, plan_study; plan_study.main(['--study', 'paper', '--gpu', 'H100']);"
        " assert not {'torch', 'transformers', 'vllm'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT / "scripts", capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("The plan of the study paper.\n\n| Model") and "line H100" in done.stdout


def test_an_unknown_study_names_the_known_ones():
    with pytest.raises(InputError, match="nowhere.yaml.*STUDY=default.*paper"):
        plan_study.main(["--study", "nowhere"])

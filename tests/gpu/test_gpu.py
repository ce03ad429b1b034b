"""What a GPU must give: the CPU's answers and adapters, as far as rounding goes, in float32 and in bfloat16.

Every test skips, and says why, where CUDA has no GPU. On one with TF32 the comparisons switch it off.
"""

import importlib
import json
import logging
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from gradual.ground.files import write_parquet
from gradual.models.adapters import read_epochs
from gradual.models.loading import load_model, load_tokenizer
from gradual.probe.answers import Asking, Decoding
from gradual.probe.engines.transformers import TransformersEngine
from gradual.probe.engines.wave import Limits
from gradual.probe.prompts import ExemplarPool, PromptSettings, plain
from gradual.probe.questions import fact_prompts
from gradual.training.examples import build_examples
from project_copy import ROOT, copy_project, snakemake_in
from tiny import base_model, facts

pytestmark = pytest.mark.gpu

CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
PROBE = CONFIG["probe"] | {"shots": 2, "max_new_tokens": 8}
TRAINING = CONFIG["training"] | {
    "rank": 8, "alpha": 16, "batch": 8, "micro_batch": 4, "learning_rate": 0.005, "epochs": 10, "warmup_ratio": 0.1,
}  # fmt: skip
LOSS, ADAPTER = 1e-3, 1e-2  # differences that rounding may leave: of a loss, and of an adapter as a share of its norm


@pytest.fixture(scope="session")
def device():
    """The device under test; skips without one."""
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("CUDA has no GPU here")
    return "cuda"


@pytest.fixture(scope="session")
def gpus(device):
    """How many GPUs there are; skips without one."""
    import torch

    return torch.cuda.device_count()


@pytest.fixture(autouse=True)
def exact():
    """Float32 products in float32, not in TF32."""
    torch = pytest.importorskip("torch")
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    yield
    torch.set_float32_matmul_precision(before)


# --- the transformers engine ----------------------------------------------------------------------------------------


def groups(prompts=3, split="train", times=1):
    """The prompts of each fact of a split; `times` repeats them all under other fact ids."""
    table = facts()
    asked = table[table["split"] == split]
    repeated = pd.concat([asked.assign(fact_id=asked["fact_id"] + (f"-{i}" if i else "")) for i in range(times)])
    pool = ExemplarPool(table, "train", "facts")
    return list(fact_prompts(repeated, pool, PromptSettings(0, 4, "per_fact"), prompts, plain))


def engine_on(device, handle, dtype="float32", limits=None):
    return TransformersEngine(load_model(handle, [], dtype).to(device), load_tokenizer(handle), True, limits)


def answers(engine, asked, decoding):
    return [a for group in engine.answer(asked, decoding, Asking(lambda _: bool(decoding.samples))) for a in group]


@pytest.fixture(scope="module", params=["qwen2", "llama"])
def handle(request, tmp_path_factory):
    return base_model(tmp_path_factory.mktemp(request.param), request.param)


def test_greedy_answers_in_float32_are_those_of_the_cpu(device, handle):
    """All but one at most: rounding may decide a tie."""
    decoding = Decoding(12, ("\n",))
    one, other = (answers(engine_on(where, handle), groups(), decoding) for where in ("cpu", device))
    assert len(one) == len(other) == 48
    assert sum(a.greedy != b.greedy for a, b in zip(one, other, strict=True)) <= 1


def test_penalized_and_sampled_answers_in_float32_are_those_of_the_cpu(device, handle):
    """The streams of random numbers are drawn on the CPU, whatever the device."""
    decoding = Decoding(8, ("\n",), samples=16, temperature=0.5, top_k=40, seed=3, repetition_penalty=1.2)
    one, other = (answers(engine_on(where, handle), groups(), decoding) for where in ("cpu", device))
    assert sum(sum(s.count for s in a.sampled) for a in other) == 16 * len(other)
    same = [a.greedy == b.greedy and a.sampled == b.sampled for a, b in zip(one, other, strict=True)]
    assert np.mean(same) > 0.9


def test_an_engine_that_is_short_of_gpu_memory_goes_on_with_less(device, handle, caplog):
    """A limit between what a wave takes and what its half does; the answers are those of an engine without it."""
    import torch

    asked, decoding = groups(prompts=10, times=256), Decoding(4, ("\n",), samples=2, top_k=10)
    tokens = 2**20
    taken = {}
    for share in (1, 2):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        engine = engine_on(device, handle, limits=Limits(tokens // share, tokens // share))
        free = answers(engine, asked, decoding)
        taken[share] = torch.cuda.max_memory_reserved()
        del engine
    assert taken[2] < 0.8 * taken[1], "the wave is too small for this test"
    torch.cuda.empty_cache()
    memory = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction((taken[1] + taken[2]) / 2 / memory)
    try:
        with caplog.at_level(logging.WARNING, "gradual"):
            found = answers(engine_on(device, handle, limits=Limits(tokens, tokens)), asked, decoding)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert "out of memory" in caplog.text
    assert np.mean([a == b for a, b in zip(free, found, strict=True)]) > 0.99


# --- training -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A base model that knows half of the train facts, and examples of the others: 10 to train on and 8 to replay."""
    folder = tmp_path_factory.mktemp("inputs")
    table = facts(per_split=18)
    train = table[table["split"] == "train"]
    known = [group.iloc[:9] for _, group in train.groupby("relation")]
    draw = np.random.default_rng(0)
    told = [group.iloc[draw.permutation(9)[:4]] for _ in range(2000) for group in known]
    texts = ["".join(f"Q: {q}\nA: {a[0]}\n" for q, a in zip(g["question"], g["answers"], strict=True)) for g in told]
    write_parquet(pd.DataFrame({"kind": "question", "text": texts}), folder / "corpus.parquet")
    model = {
        "architecture": "qwen2",
        "hidden_size": 64,
        "intermediate_size": 128,
        "layers": 2,
        "heads": 2,
        "key_value_heads": 2,
    }
    importlib.import_module("pretrain_base").main(
        ["--corpus", str(folder / "corpus.parquet"), "--model", json.dumps(model), "--seed", "0", "--code", "c"]
        + ["--settings", json.dumps(CONFIG["pretraining"] | {"vocabulary": 330, "row_tokens": 96})]
        + ["--recipe", str(folder / "base.recipe.json"), "--base", str(folder / "base/base.json")]
    )
    others = train[~train["fact_id"].isin(pd.concat(known)["fact_id"])]["fact_id"]
    write_parquet(table, folder / "facts.parquet")
    selection = pd.DataFrame({"fact_id": others, "role": ["train"] * 10 + ["replay"] * 8})
    write_parquet(build_examples(selection, table), folder / "examples.parquet")
    return folder


def train(inputs, out, gpus, dtype="float32"):
    """Train as a job of so many GPUs does, as a process of its own; the folder of its epochs."""
    out.mkdir(parents=True)
    command = [sys.executable, "scripts/train_adapter.py", "--base", str(inputs / "base/base.json")]
    command += ["--examples", str(inputs / "examples.parquet"), "--merge", "--parent"]
    command += ["--settings", json.dumps(TRAINING), "--replay-ratio", "0.5", "--format", "plain", "--dtype", dtype]
    command += ["--run", "x", "--seed", "0", "--code", "c", "--gpus", str(gpus)]
    command += ["--loss", str(out / "loss.csv"), "--texts", str(out / "texts.jsonl")]
    command += ["--epochs", str(out / "epochs.json")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return out


@pytest.fixture(scope="module")
def on_the_cpu(inputs, tmp_path_factory):
    return train(inputs, tmp_path_factory.mktemp("training") / "cpu", 0)


@pytest.fixture(scope="module")
def on_one(device, inputs, tmp_path_factory):
    return train(inputs, tmp_path_factory.mktemp("training") / "one", 1)


def losses(out):
    return pd.read_csv(out / "loss.csv")["loss"].to_numpy()


def adapters(out):
    """The weights of each epoch's adapter, one after another, as a vector."""
    from safetensors.torch import load_file

    files = [load_file(folder / "adapter_model.safetensors") for folder in read_epochs(out / "epochs.json")]
    return [np.concatenate([file[name].float().numpy().ravel() for name in sorted(file)]) for file in files]


def agree(one, other):
    assert len(losses(one)) == len(losses(other))
    assert np.abs(losses(one) - losses(other)).max() < LOSS
    for a, b in zip(adapters(one), adapters(other), strict=True):
        assert np.linalg.norm(a - b) < ADAPTER * np.linalg.norm(a)


def test_training_on_one_gpu_gives_the_losses_and_adapters_of_the_cpu(on_one, on_the_cpu):
    agree(on_the_cpu, on_one)


def test_training_on_two_gpus_gives_the_losses_and_adapters_of_one(gpus, on_one, inputs, tmp_path):
    if gpus < 2:
        pytest.skip(f"{gpus} GPU here, two are needed")
    agree(on_one, train(inputs, tmp_path / "two", 2))


def test_training_in_bfloat16_learns_as_in_float32(device, on_one, inputs, tmp_path):
    out = train(inputs, tmp_path / "bfloat16", 1, "bfloat16")
    assert np.isfinite(losses(out)).all()
    assert losses(out)[-5:].mean() < losses(out)[:5].mean() / 2
    assert np.abs(losses(out) - losses(on_one)).mean() < 0.1 * losses(on_one).mean()
    assert all(np.isfinite(adapter).all() for adapter in adapters(out))


# --- a probe --------------------------------------------------------------------------------------------------------


def categories(inputs, out, dtype):
    """The categories of the train facts at the origin, by the study's own scripts."""
    table = inputs / "facts.parquet"
    steps = {
        "probe_facts": ["--base", inputs / "base/base.json", "--settings", json.dumps(PROBE)]
        + ["--sampling", json.dumps(PROBE), "--counts", "exact", "unsolved", "--answers", "first"]
        + [
            "--engine",
            "transformers",
            "--prompts",
            4,
            "--dtype",
            dtype,
            "--seed",
            0,
            "--state",
            "origin",
            "--questions",
            "train",
            "--probe",
            0,
        ]
        + ["--shard", 0, "--shards", 1, "--code", "c", "--gpus", 1]
        + ["--generations", out / "generations.parquet", "--usage", out / "usage.json"],
        "grade_generations": ["--generations", out / "generations.parquet", "--answers", "first"]
        + ["--grades", out / "grades.parquet"],
        "categorize_facts": ["--grades", out / "grades.parquet", "--scoring", "substring", "--mode", "full"]
        + ["--categories", out / "categories.parquet", "--counts", out / "counts.csv"],
    }
    for script, words in steps.items():
        importlib.import_module(script).main(["--facts", str(table), *map(str, words)])
    return pd.read_parquet(out / "categories.parquet").set_index("fact_id")["category"]


def test_a_probe_in_bfloat16_sorts_most_facts_as_one_in_float32(device, inputs, tmp_path):
    one, other = (categories(inputs, tmp_path / dtype, dtype) for dtype in ("float32", "bfloat16"))
    counts = one.value_counts()
    assert len(counts) > 1 and counts.iloc[0] < 0.8 * len(one)  # the model knows some facts better than others
    assert (one == other.reindex(one.index)).mean() > 0.8


# --- vLLM -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def probe_python(device):
    """The interpreter that has vLLM; skips without one."""
    of_probe = ROOT / ".venv-probe/bin/python"
    if (ROOT / ".venv-probe/ready").is_file():
        return str(of_probe)
    if find_spec("vllm"):
        return sys.executable
    pytest.skip("vLLM is not installed: make setup-probe")


def test_vllm_gives_the_greedy_answers_of_generate(probe_python):
    words = ["tests/contract", "-k", "vllm and test_greedy_answers_are_token_for_token", "-p", "no:cacheprovider"]
    done = subprocess.run([probe_python, "-m", "pytest", *words], cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-3000:]
    assert re.search(r"\b2 passed", done.stdout), done.stdout[-3000:]


# --- a study --------------------------------------------------------------------------------------------------------


def test_the_tiny_study_runs_on_the_gpu(device, tmp_path):
    folder = copy_project(tmp_path / "project")
    done = snakemake_in(folder)("--cores", str(min(4, os.cpu_count())), "--configfile", "tests/workflow/tiny.yaml")
    assert done.returncode == 0, done.stdout[-6000:]
    jobs = re.findall(r"^rule (\w+):\n((?: .*\n)+)", done.stdout, re.MULTILINE)
    given = {rule: [int(n) for n in re.findall(r"resources:.*\bgpu=(\d+)", block)] for rule, block in jobs}
    for rule in ("probe_facts", "check_probe", "train_adapter", "evaluate_epochs"):
        assert given[rule] == [1], rule
    results = Path(folder, "results/tiny")
    counts = pd.read_csv(results / "tables/table_02.csv")
    assert counts["count"].sum() == counts["n"].iloc[0]
    assert json.loads((results / "provenance.json").read_text())["hardware"]["gpus"]

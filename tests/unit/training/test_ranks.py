"""Training as ranks of real processes: their agreement, and signals really sent to them."""

import importlib
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from gradual.ground.files import write_parquet
from gradual.knowledge.epoch_choice import choose_epoch
from gradual.models.adapters import read_epochs
from gradual.training.examples import build_examples
from gradual.workflow.launching import threads
from tiny import EVALUATED, base_model, facts

ROOT = Path(__file__).resolve().parents[3]
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
SETTINGS = CONFIG["training"] | {
    "rank": 4, "alpha": 8, "targets": ["q_proj", "v_proj", "down_proj"], "batch": 8, "micro_batch": 8,
    "learning_rate": 0.01, "epochs": 20, "warmup_ratio": 0.1,
}  # fmt: skip
LOSS, ADAPTER = 1.4e-6, 3.6e-5  # tolerances between ranks: what was found to hold before, with torchrun on a CPU


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A base model, facts that it can learn, and examples: 30 to train on and 8 to replay.

    The last of an epoch's five steps has 3 rows of 8, so that of four ranks two are left without.
    """
    folder = tmp_path_factory.mktemp("inputs")
    base_model(folder / "base", scale=1.0)
    table = facts(per_split=19)
    table["answers"] = table["relation"].map({"r0": ["thing"], "r1": ["train"]})
    train = table[table["split"] == "train"]["fact_id"].tolist()
    write_parquet(table, folder / "facts.parquet")
    selection = pd.DataFrame({"fact_id": train, "role": ["train"] * 30 + ["replay"] * 8})
    write_parquet(build_examples(selection, table), folder / "examples.parquet")
    return folder


@pytest.fixture(scope="module")
def samples(inputs):
    """Made-up samples of the examples: of each question one, two or three distinct ones, of which one may be aligned."""
    examples = pd.read_parquet(inputs / "examples.parquet")
    rows = []
    for number, example in enumerate(examples[examples["role"] == "train"].itertuples()):
        place = {"fact_id": example.fact_id, "question": example.question}
        given = [("target", example.answer, 0), ("conflicting", f"thing {number}", 3)]
        given += [("aligned", f"{example.answer} 1", 4)] * (number % 3 > 0) + [("conflicting", "of", 1)] * (number % 2)
        for kind, text, count in given:
            told = {"kind": kind, "text": text, "count": count, "completion": f" {text}\n"}
            rows.append(place | told | {"log_probability": -2.0 - number % 5, "tokens": 3})
    write_parquet(pd.DataFrame(rows), inputs / "samples.parquet")
    loss = {"alpha": 1.0, "beta": 0.5, "bound": "npo", "b": 1.0, "target": True}
    return {"samples": [inputs / "samples.parquet"], "objective": "preference", "preference": loss, "epochs": 12}


def words(inputs, out, ranks, samples=(), **settings):
    """The words that train_adapter is started with."""
    out.mkdir(parents=True, exist_ok=True)
    return [
        *("--base", str(inputs / "base" / "base.json"), "--examples", str(inputs / "examples.parquet")),
        *("--merge", "--parent", "--samples", *map(str, samples)),
        *("--settings", json.dumps(SETTINGS | settings), "--replay-ratio", "0.6", "--format", "plain"),
        *("--dtype", "float32", "--run", "x", "--seed", "0", "--code", "c", "--gpus", str(ranks)),
        *("--loss", str(out / "loss.csv"), "--texts", str(out / "texts.jsonl"), "--epochs", str(out / "epochs.json")),
    ]


def start(inputs, out, ranks, **settings):
    """A training started as a process of its own, as on one machine whose scheduler gave it so many GPUs."""
    command = [sys.executable, "scripts/train_adapter.py", *words(inputs, out, ranks, **settings)]
    env = os.environ | {"SLURM_JOB_ID": "1", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "0,1,2,3"}
    with (out / "log").open("a") as log:
        return subprocess.Popen(command, cwd=ROOT, env=env, stderr=log, start_new_session=True)


def train(inputs, out, ranks=1, **settings):
    """Train to the end. One rank trains in this process, because a process takes longer to start than to train."""
    if ranks > 1:
        assert start(inputs, out, ranks, **settings).wait(timeout=300) == 0, (out / "log").read_text()[-3000:]
        return out
    script = importlib.import_module("train_adapter")
    told = words(inputs, out, ranks, **settings)
    log, count = logging.FileHandler(out / "log"), torch.get_num_threads()
    script.log.addHandler(log)
    script.log.setLevel(logging.INFO)
    torch.set_num_threads(1)  # as `start` says
    try:
        script.main(told)
    finally:
        torch.set_num_threads(count)
        script.log.setLevel(logging.NOTSET)
        script.log.removeHandler(log)
    return out


def wait_for_checkpoint(out, run, steps):
    """Wait until a training has a whole checkpoint of so many steps or more."""
    deadline = time.monotonic() + 120
    while not [
        state for state in out.glob("checkpoints-*/checkpoint-*/trainer_state.json")
        if int(state.parent.name.rpartition("-")[2]) >= steps
    ]:  # fmt: skip
        assert run.poll() is None and time.monotonic() < deadline, (out / "log").read_text()[-3000:]
        time.sleep(0.02)


def at_work(out):
    """The processes of a training that are alive."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode().split("\0")
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if str(out / "loss.csv") in words and state != "Z":
            found.append(int(process.name))
    return found


def adapters(out):
    from safetensors.numpy import load_file

    return [load_file(folder / "adapter_model.safetensors") for folder in read_epochs(out / "epochs.json")]


def apart(one, other):
    """The largest differences of loss or log-ratio, and of any weight of any epoch's adapter."""
    losses = [pd.read_csv(out / "loss.csv") for out in (one, other)]
    told = [name for name in losses[0] if name == "loss" or name.endswith("log_ratio")]
    assert (losses[0][told].isna() == losses[1][told].isna()).all(axis=None)
    assert losses[0]["step"].tolist() == losses[1]["step"].tolist()
    weights = zip(adapters(one), adapters(other), strict=True)
    loss = (losses[0][told] - losses[1][told]).abs().max(axis=None)
    return loss, max(abs(a[name] - b[name]).max() for a, b in weights for name in a)


def evaluated(inputs, out):
    """Answers and accuracy by epoch as the study's own steps tell them, on the facts that were trained."""
    settings = CONFIG["probe"] | {"shots": 1, "max_new_tokens": 6}
    importlib.import_module("evaluate_epochs").main(
        ["--base", str(inputs / "base" / "base.json"), "--epochs", str(out / "epochs.json")]
        + ["--facts", str(inputs / "facts.parquet"), "--settings", json.dumps(settings), *EVALUATED]
        + ["--questions", "train"]
        + ["--generations", str(out / "answers.parquet"), "--usage", str(out / "usage.json")]
    )
    importlib.import_module("grade_epochs").main(
        ["--generations", str(out / "answers.parquet"), "--facts", str(inputs / "facts.parquet"), "--state", "x"]
        + ["--scoring", "substring", "--answers", "first"]
        + ["--grades", str(out / "grades.parquet"), "--accuracy", str(out / "accuracy.csv")]
    )
    return pd.read_parquet(out / "answers.parquet"), pd.read_csv(out / "accuracy.csv")


@pytest.fixture(scope="module")
def one(inputs, tmp_path_factory):
    return train(inputs, tmp_path_factory.mktemp("one"))


@pytest.fixture(scope="module")
def preferred(inputs, samples, tmp_path_factory):
    return train(inputs, tmp_path_factory.mktemp("preferred"), **samples)


def test_loss_adapters_and_chosen_epoch_do_not_depend_on_the_ranks(inputs, one, tmp_path):
    several = train(inputs, tmp_path / "several", 4)
    loss, adapter = apart(one, several)
    assert loss < LOSS and adapter < ADAPTER
    (answers, rates), (same_answers, same_rates) = evaluated(inputs, one), evaluated(inputs, several)
    assert rates["accuracy"].nunique() > 2  # so that there is something to choose
    assert answers.equals(same_answers)
    assert choose_epoch(rates, "train") == choose_epoch(same_rates, "train")
    assert not list(several.glob("checkpoints-*")) and not at_work(several)


@pytest.mark.parametrize(("ranks", "micro_batch"), [(1, 2), (2, 2)])
def test_loss_log_ratios_and_adapters_with_samples_do_not_depend_on_the_ranks(
    ranks, micro_batch, inputs, samples, preferred, tmp_path
):
    several = train(inputs, tmp_path / "several", ranks, **samples, micro_batch=micro_batch)
    loss, adapter = apart(preferred, several)
    assert loss < 10 * LOSS and adapter < ADAPTER  # a log-ratio is a difference of larger numbers
    told = pd.read_csv(several / "loss.csv")
    assert told["conflicting_log_ratio"].notna().all() and told["aligned_log_ratio"].notna().any()


def test_notice_ends_one_rank_in_order_and_it_resumes_to_the_same_bits(inputs, one, tmp_path):
    run = start(inputs, tmp_path, 1)
    wait_for_checkpoint(tmp_path, run, 20)
    run.send_signal(signal.SIGTERM)
    assert run.wait(timeout=60) == 1
    last = (tmp_path / "log").read_text().splitlines()[-1]
    step = re.fullmatch(
        r"error: ended with notice \(SIGTERM\) after step (\d+) of 100; continues when started again", last
    )
    assert step, last
    assert list(tmp_path.glob(f"checkpoints-*/checkpoint-{step[1]}/trainer_state.json"))
    train(inputs, tmp_path)
    assert f"resumed after step {step[1]}" in (tmp_path / "log").read_text()
    assert apart(one, tmp_path) == (0, 0)


@pytest.mark.parametrize(("ended", "sampled"), [(signal.SIGTERM, True), (signal.SIGKILL, False)])
def test_two_ranks_end_and_resume_as_one_to_the_same_loss_and_adapter(
    ended, sampled, inputs, samples, one, preferred, tmp_path
):
    settings, straight = (samples, preferred) if sampled else ({}, one)
    run = start(inputs, tmp_path, 2, **settings)
    wait_for_checkpoint(tmp_path, run, 5 if sampled else 20)
    run.send_signal(ended)
    assert run.wait(timeout=60) == (1 if ended == signal.SIGTERM else -signal.SIGKILL)
    deadline = time.monotonic() + 10
    while at_work(tmp_path):
        assert time.monotonic() < deadline, "ranks outlive their launcher"
        time.sleep(0.1)
    log = (tmp_path / "log").read_text()
    assert log.splitlines()[-1].startswith("error: ended with notice (SIGTERM)") == (ended == signal.SIGTERM), log
    train(inputs, tmp_path, **settings)
    assert "resumed after step" in (tmp_path / "log").read_text()
    loss, adapter = apart(straight, tmp_path)
    assert loss < (10 if sampled else 1) * LOSS and adapter < ADAPTER


def test_a_failing_rank_ends_all_and_its_cause_ends_the_log(inputs, tmp_path):
    assert start(inputs, tmp_path, 2, learning_rate=1e30).wait(timeout=120) == 1
    lines = (tmp_path / "log").read_text().splitlines()
    assert re.match(r"error: training, key 'learning_rate': the (loss|grad_norm) is (nan|inf) at step", lines[-1])
    assert [line for line in lines if line.startswith("error: ")] == lines[-1:]
    assert not at_work(tmp_path)


def test_the_signal_that_kills_a_rank_is_told(inputs, tmp_path):
    run = start(inputs, tmp_path, 2)
    wait_for_checkpoint(tmp_path, run, 5)
    os.kill(max(at_work(tmp_path)), signal.SIGKILL)  # the launcher and torchrun were there before the ranks
    assert run.wait(timeout=90) == 128 + signal.SIGKILL
    assert (tmp_path / "log").read_text().splitlines()[-1] == "error: a rank was ended by signal 9"
    assert not at_work(tmp_path)


def test_ranks_share_the_threads_of_the_job(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert [threads(ranks) for ranks in (1, 4, 16)] == [8, 2, 1]

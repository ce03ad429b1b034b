"""The rows of a plan: for each kind of work on each state, jobs, prompts, tokens, hours and disk."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from gradual.ground.errors import InputError
from gradual.knowledge.selection import replay_size
from gradual.planning.models import ADAPTER_BYTES, BYTES, CHECKPOINT_COPIES, Base, base_of, handle_of, tokenizer_of
from gradual.planning.settled import greedy_prompts, sampled_prompts
from gradual.planning.shares import Knowledge, knowledge_of
from gradual.planning.throughputs import Device
from gradual.planning.token_counts import (
    RATES,
    Build,
    Facts,
    answer_tokens,
    facts_of,
    measure,
    prompt_tokens,
    training_tokens,
)
from gradual.study.load_study import works_of
from gradual.study.runs import ORIGIN, Config, Run, adapter_chain, probe_mode, runs
from gradual.workflow.costs import AGAIN, PROBE
from gradual.workflow.profiles import Profile

NUMBERS = (
    "jobs prompts prompt_tokens greedy_tokens sampled_tokens answer_tokens training_tokens hours wall disk checkpoints"
    " scratch"
).split()
# Bytes of a generations file, measured with made-up answers to 20,000 facts of EntityQuestions: of a greedy answer, and of
# a sampled one where a prompt has four distinct ones.
GREEDY_BYTES, SAMPLED_BYTES = 3.0, 0.5
RULES = {"pretraining": "pretrain_base", "training": "train_adapter", "evaluation": "evaluate_epochs"}
DOWNLOAD = "download"


@dataclass(frozen=True)
class Subject:
    """A model under a seed, with what a plan knows of it: `lengths` has the mean tokens of texts (`texts.measure`)."""

    name: str
    label: str
    dtype: str
    base: Base
    facts: Facts
    lengths: pd.DataFrame
    knowledge: Knowledge

    def disk(self) -> int:
        """Bytes of the base model."""
        return self.base.shape.parameters() * BYTES[self.dtype]

    def adapter_disk(self, run: Run) -> int:
        """Bytes of an adapter of a run."""
        return ADAPTER_BYTES * self.base.shape.adapter_parameters(run.settings["rank"], run.settings["targets"])


@dataclass(frozen=True)
class Planned:
    """The rows of each seed, with what they rest on: columns model, label, seed, state, work and NUMBERS.

    `hours` are of GPUs, or of jobs where the device is the machine itself; `wall` is a job's own time, with all jobs of the
    work side by side; `disk` stays; `checkpoints` are there beside it while a job
    trains, and `scratch` is what a job puts into the system's temporary folder.
    """

    rows: pd.DataFrame
    subjects: list[Subject]
    device: Device
    sources: list[str]


def rule_of(work: str) -> str:
    """The rule that does a kind of work."""
    return "probe_facts" if work.startswith(PROBE) else RULES[work]


def gpus_of(profile: Profile, work: str) -> int:
    """GPUs of a job that does a kind of work; InputError where the profile names no number."""
    given = profile.resource(rule_of(work), "gpu", 1)
    if not isinstance(given, int):
        raise InputError(profile.file, f"{given!r} GPUs for {rule_of(work)}", "a number", key="set-resources")
    return given


def plan_rows(config: Config, root: Path, profile: Profile, device: Device, build: Build) -> Planned:
    """The plan of a study, a row per work and seed, and a row per model that is downloaded.

    Raises InputError where the facts cannot be counted.
    """
    results, table = root / "results" / config["study"], runs(config)
    seeds = config["seeds"]
    varies = config["dataset"]["reader"] == "world"
    facts = {seeds[0]: facts_of(config, root, seeds[0], build)}
    facts |= {seed: facts_of(config, root, seed, build) if varies else facts[seeds[0]] for seed in seeds[1:]}
    subjects: dict[tuple[str, int], Subject] = {}
    for name, model in config["models"].items():
        base = base_of(model, config["pretraining"], handle_of(results, seeds[0], name))
        tokens = tokenizer_of(base)
        for seed in seeds:
            lengths = measure(facts[seed], tokens, _rates(config, model, base))
            folder = results / f"seed{seed}" / name
            known = knowledge_of(folder, facts[seed].count("train"), table, model["paper"])
            subjects[name, seed] = Subject(name, model["label"], model["dtype"], base, facts[seed], lengths, known)
    sources, rows = _sources(config, list(subjects.values())), []
    for work in works_of(config):
        subject = subjects[work["model"], work["seed"]]
        named = {key: work[key] for key in ("model", "seed", "state", "work")} | {"label": subject.label}
        jobs = len(work["benchmarks"])
        numbers = _row(config, table, subject, device, work, jobs, gpus_of(profile, work["work"]))
        rows.append(named | dict.fromkeys(NUMBERS, 0.0) | {"jobs": jobs} | numbers)
    for name, model in config["models"].items():
        if model["source"] == "hub" and any(row["model"] == name for row in rows):
            subject = subjects[name, seeds[0]]
            named = {"model": name, "seed": seeds[0], "state": "base", "work": DOWNLOAD, "label": subject.label}
            place = next(i for i, row in enumerate(rows) if row["model"] == name)
            rows.insert(place, named | dict.fromkeys(NUMBERS, 0.0) | {"disk": subject.disk()})
    return Planned(pd.DataFrame(rows), list(subjects.values()), device, sources)


def _row(
    config: Config,
    table: Mapping[str, Run],
    subject: Subject,
    device: Device,
    work: dict[str, Any],
    jobs: int,
    gpus: int,
) -> dict[str, float]:
    """The numbers of one work."""
    gpus = max(gpus, 1)
    if work["work"] == "pretraining":
        return _pretraining(config, subject, device)
    if work["work"] == "training":
        return _training(config, table[work["state"]], subject, device, gpus)
    return _answering(config, table, subject, device, work["state"], work["work"], jobs, gpus)


def _answering(
    config: Config,
    table: Mapping[str, Run],
    subject: Subject,
    device: Device,
    state: str,
    kind: str,
    jobs: int,
    gpus: int,
) -> dict[str, float]:
    """Of a probe or an evaluation, in so many jobs of so many GPUs."""
    settings, samples = config["probe"], 0.0
    merged = len(adapter_chain(table, state))
    if kind == "evaluation":
        settings = settings | {"exemplar_split": config["evaluation"]["exemplar_split"]}
        splits, epochs = config["evaluation"]["splits"], 1 if state == ORIGIN else table[state].settings["epochs"]
        prompts, switched = epochs * subject.facts.count(*splits), epochs + merged - 1 if merged else 0
    else:
        splits = [kind.removeprefix(PROBE).removesuffix(AGAIN)]
        facts, switched = subject.facts.count(*splits), merged * jobs
        greedy, sampled = _asked(config, subject.knowledge, state, splits[0])
        prompts = greedy * facts
        if probe_mode(config, state, int(kind.endswith(AGAIN))) == "full":
            samples = sampled * facts * settings["samples"]
    begin = subject.base.shape.begin_tokens if settings["format"] == "plain" else 0
    answer = answer_tokens(subject.lengths, splits, settings)
    prompt = prompts * prompt_tokens(subject.lengths, splits, settings, begin)
    parameters = subject.base.shape.parameters()
    seconds = (
        device.seconds("prefill", prompt, parameters)
        + device.seconds("decode", (prompts + samples) * answer, parameters)
        + device.seconds("switch", switched, parameters)
        + device.seconds("start", jobs * gpus, parameters)
    )
    return {
        "prompts": prompts,
        "prompt_tokens": prompt,
        "greedy_tokens": prompts * answer,
        "sampled_tokens": samples * answer,
        "answer_tokens": (prompts + samples) * answer,
        "hours": seconds / 3600,
        "wall": seconds / jobs / gpus,
        "disk": GREEDY_BYTES * prompts + SAMPLED_BYTES * samples,
        "scratch": subject.disk() if merged and settings["engine"] == "vllm" else 0.0,
    }


def _asked(config: Config, knowledge: Knowledge, state: str, split: str) -> tuple[float, float]:
    """Prompts that get a greedy answer, and those that get samples in a full probe of a state, per fact of a split."""
    settings = config["probe"]
    prompts = settings["prompts"]
    if settings["counts"] == "settled":
        shares = knowledge.categories(state, split)
        return greedy_prompts(prompts, shares), sampled_prompts(prompts, shares)
    return prompts, prompts * (1.0 if settings["sampled_for"] == "all" else knowledge.unsolved(split)[0])


def _pretraining(config: Config, subject: Subject, device: Device) -> dict[str, float]:
    parameters = subject.base.shape.parameters()
    rates = pd.read_csv(RATES).set_index("tokenizer")
    line = _rates(config, config["models"][subject.name], subject.base)
    tokens = config["corpus"]["words"] * rates.loc[line, "words"]
    seconds = device.seconds("pretraining", tokens, parameters) + device.seconds("start", 1, parameters)
    weights = 4 * parameters  # in float32
    found = {"training_tokens": tokens, "disk": weights, "checkpoints": CHECKPOINT_COPIES * weights}
    return found | {"hours": seconds / 3600, "wall": seconds}


def _training(config: Config, run: Run, subject: Subject, device: Device, gpus: int) -> dict[str, float]:
    settings, parameters = run.settings, subject.base.shape.parameters()
    selected = subject.knowledge.selected(run)
    rows = selected.trained + replay_size(selected.pool, run.replay["ratio"] if run.replay else 0.0)
    begin = subject.base.shape.begin_tokens if config["probe"]["format"] == "plain" else 0
    epochs = settings["epochs"]
    tokens = epochs * rows * training_tokens(subject.lengths, config["probe"], begin)
    seconds = device.training_seconds(epochs * rows / settings["micro_batch"], tokens, parameters)
    start = device.seconds("start", 1, parameters)
    adapter = subject.adapter_disk(run)
    return {
        "training_tokens": tokens,
        "hours": (seconds + start * gpus) / 3600,
        "wall": seconds / gpus + start,
        "disk": (epochs + 1) * adapter,  # each epoch's, and a copy of the chosen one
        "checkpoints": epochs * CHECKPOINT_COPIES * adapter,
    }


def _rates(config: Config, model: dict[str, Any], base: Base) -> str:
    """Which rates of `characters.csv` are nearest to a model's tokenizer."""
    if model["source"] == "pretrain":
        return "world" if config["dataset"]["reader"] == "world" else "corpus"
    return "llama" if base.shape.architecture == "llama" else "qwen2"


def _sources(config: Config, subjects: list[Subject]) -> list[str]:
    """What the plan rests on, a sentence each."""
    facts = subjects[0].facts
    counted = ", ".join(f"{facts.count(split):,} {split}" for split in ("train", "dev", "test"))
    found = [f"Facts ({counted}): {facts.source}."]
    for subject in {subject.name: subject for subject in reversed(subjects)}.values():
        own = subject.base.folder is not None and facts.texts is not None and tokenizer_of(subject.base) is not None
        line = _rates(config, config["models"][subject.name], subject.base)
        measured = ", ".join(subject.knowledge.measured)
        found.append(
            f"{subject.label}: {subject.base.shape.parameters() / 1e9:.3g} billion parameters ({subject.base.source});"
            f" tokens by {'its own tokenizer' if own else f'characters per token ({RATES.name}, line {line})'};"
            f" categories: {f'measured of {measured}, else ' if measured else ''}{subject.knowledge.source}."
        )
    return found

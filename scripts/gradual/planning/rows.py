"""The rows of a plan: for each work of a study its jobs, prompts, tokens, hours and disk."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from gradual.data.dataset import WORLD
from gradual.models.fetching import is_converted
from gradual.models.shape import BYTES, Shape
from gradual.models.shipped import SHELF
from gradual.planning.facts import RATES, Texts, count_facts
from gradual.planning.groups import asked_facts, group_sizes
from gradual.planning.hours import Device
from gradual.planning.models import base_of, shipped_seeds, weight_bytes
from gradual.planning.shares import Knowledge
from gradual.probe.augmentation_prompts import WRITING
from gradual.study.result_files import (
    AUGMENTED,
    BASE,
    COMPOSITION,
    EPOCHS,
    EVALUATION,
    GENERATIONS,
    GROUP_ANSWERS,
    SAMPLES,
)
from gradual.study.runs import ORIGIN, Config, Run, Runs, composed, probe_mode, runs
from gradual.study.steps import adapter_chain
from gradual.tables.gradual_learning import paper
from gradual.training.augment_settings import MODEL
from gradual.training.augmentation import GATED
from gradual.training.replay import replay_size
from gradual.workflow.profiles import Profile
from gradual.workflow.works import Work, works_of

ADAPTER_BYTES = 4  # per parameter: peft keeps adapters in float32
CHECKPOINT_COPIES = 3  # a checkpoint holds what is trained and AdamW's two states of it
# Bytes of a greedy and of a sampled answer in a generations file, with four distinct sampled answers per prompt.
# Measured with made-up answers to 20,000 facts of EntityQuestions.
GREEDY_BYTES, SAMPLED_BYTES = 3.0, 0.5
GGUF_BYTES = 34 / 32  # per weight of a GGUF file with the type Q8_0; most files are smaller
DOWNLOAD, CONVERSION = "download", "conversion"
NUMBERS = "jobs gpus prompts prompt_tokens answer_tokens training_tokens disk checkpoints scratch hours".split()
Numbers = dict[str, float]  # of a work; `seconds` are those of all its jobs on one GPU, without their starts


@dataclass(frozen=True)
class Subject:
    """A model of the study, and what a plan knows of it. Its weights take `disk` bytes."""

    config: Config
    runs: Runs
    device: Device
    shape: Shape
    disk: int
    texts: Texts
    knowledge: Knowledge
    shipped: bool = False  # whether its weights are part of the repository

    def seconds(self, step: str, amount: float) -> float:
        """Seconds of a step of throughputs.csv."""
        return self.device.seconds(step, amount, self.shape.parameters)


def plan_rows(config: Config, root: Path, profile: Profile, device: Device) -> tuple[pd.DataFrame, list[str]]:
    """The rows of a plan, and sentences on its sources. Each work of one seed has a row, and so has each download
    and each conversion of a GGUF file.

    Columns: model, label, state, work, result (None for these), jobs, gpus (of a job, at least 1), prompts, tokens
    (answer_tokens count each sample), disk (bytes that stay), checkpoints and scratch (bytes in results/ and in the
    temporary folder while a job runs), and hours (of all GPUs, or of all jobs where there are no GPUs). Raises InputError
    if the number of facts is not known.
    """
    facts, counted = count_facts(config, root)
    counts = ", ".join(f"{number:,} {split}" for split, number in facts.groupby("split")["facts"].sum().items())
    rows, sources = [], [f"Facts ({counts}): counted in {counted}."]
    works = [work for work in works_of(config) if work.seed == config["seeds"][0]]
    for name, model in config["models"].items():
        subject, source = _subject(config, root, name, facts, device)
        sources.append(source)
        named = {"model": name, "label": model["label"]}
        if model["source"] in ("hub", "package"):
            size = GGUF_BYTES * subject.shape.parameters if is_converted(model) else subject.disk
            rows.append(named | {"state": "base", "work": DOWNLOAD, "result": None, "disk": size})
        if is_converted(model):
            rows.append(named | {"state": "base", "work": CONVERSION, "result": None, "disk": subject.disk})
        for work in (work for work in works if work.model == name):
            numbers, gpus = PLANNED[work.result.kind](subject, work), max(1, profile.gpus(work.rule, 1))
            hours = (subject.seconds("start", work.jobs * gpus) + numbers["seconds"]) / 3600
            place = {"state": work.state, "work": work.name, "result": work.result}
            rows.append(named | place | numbers | {"jobs": work.jobs, "gpus": gpus, "hours": hours})
    frame = pd.DataFrame(rows, columns=["model", "label", "state", "work", "result", *NUMBERS])
    return frame.fillna(dict.fromkeys(NUMBERS, 0.0)), sources


def _subject(config: Config, root: Path, name: str, facts: pd.DataFrame, device: Device) -> tuple[Subject, str]:
    """A model, and a sentence on the sources of its numbers."""
    model, table = config["models"][name], runs(config)
    base = base_of(model, config["pretraining"]["vocabulary"])
    if model["source"] == "pretrain":
        line = "world" if config["dataset"]["reader"] == WORLD else "corpus"
    else:
        line = "llama" if base.shape.architecture == "llama" else "qwen2"
    rates = pd.read_csv(RATES, index_col="tokenizer").loc[line]
    texts = Texts(facts, config["probe"], rates, base.begin_tokens)
    results = root / "results" / config["study"]
    train = texts.count("train")
    groups = group_sizes(config, train)
    reported = model["paper"] if model["paper"] in paper.models() else None
    knowledge = Knowledge(results, config["seeds"][0], name, train, table, reported, groups)
    disk = weight_bytes(model, base.shape)
    size = f"{base.shape.parameters:,} parameters ({base.source})"
    like = f"measured categories, else those of the paper's {reported or paper.COMPLETE}"
    check = device.seconds("check", config["probe"]["checked"], base.shape.parameters) / 3600
    source = (
        f"{model['label']}: {size}; tokens by {RATES.name}, line {line}; {like}; the check takes {check:.2f} hours."
    )
    shipped = model["source"] == "pretrain" and {*config["seeds"]} <= shipped_seeds(config, name, root / SHELF)
    return Subject(config, table, device, base.shape, disk, texts, knowledge, shipped), source


def _pretraining(subject: Subject, work: Work) -> Numbers:
    if subject.shipped:
        return {"seconds": 0.0, "disk": BYTES["float16"] * subject.shape.parameters}
    tokens = subject.config["corpus"]["words"] * subject.texts.rates["words"]
    weights, seconds = BYTES["float32"] * subject.shape.parameters, subject.seconds("pretraining", tokens)
    sizes = {"disk": BYTES["float16"] * subject.shape.parameters, "checkpoints": CHECKPOINT_COPIES * weights}
    return {"training_tokens": tokens, "seconds": seconds} | sizes


def _training(subject: Subject, work: Work) -> Numbers:
    run = subject.runs[work.state]
    settings, ratio = run.training, run.replay.ratio if run.replay else 0.0
    trained, pool = _examples(subject, run)
    replayed = replay_size(pool, ratio)
    rows = settings.epochs * (trained + replayed)
    # Each sample is a further answer to its row's prompt, which is computed once. Equal samples are one text, so that this
    # is the most that it can be.
    sampled = trained * run.preference.sampling.samples if run.preference else 0
    tokens = settings.epochs * (
        (trained + replayed) * subject.texts.example() + sampled * subject.texts.answer(["train"])
    )
    least = subject.seconds("micro_batch", rows / settings.micro_batch)  # even with few tokens
    adapter = ADAPTER_BYTES * subject.shape.adapter_parameters(settings.rank, settings.targets)
    disk = (settings.epochs + 1) * adapter  # each epoch's, and a copy of the chosen one
    sizes = {"disk": disk, "checkpoints": settings.epochs * CHECKPOINT_COPIES * adapter}
    return {"training_tokens": tokens, "seconds": max(subject.seconds("training", tokens), least)} | sizes


def _composition(subject: Subject, work: Work) -> Numbers:
    """A pass of the examples of all stages through the base model; the sum has the ranks of all adapters in it."""
    run = subject.runs[work.state]
    before = [subject.runs[state] for state in composed(run, subject.runs)]
    tokens = sum(subject.knowledge.selected(each)[0] for each in (*before, run)) * subject.texts.example()
    parameters = subject.shape.adapter_parameters(sum(each.training.rank for each in before), run.training.targets)
    return {"seconds": subject.seconds("prefill", tokens), "disk": ADAPTER_BYTES * parameters}


def _sampling(subject: Subject, work: Work) -> Numbers:
    """Prompts without exemplars, each with a greedy answer and samples, for the facts that the run trains on."""
    run = subject.runs[work.state]
    assert run.preference  # no other run has this work
    trained, _ = _examples(subject, run)
    asked = replace(subject, texts=replace(subject.texts, probe={**subject.texts.probe, "shots": 0}))
    loads = len(adapter_chain(subject.runs, run.parent))
    samples = trained * run.preference.sampling.samples
    return _answers(asked, ["train"], subject.config["probe"]["exemplar_split"], trained, samples, loads)


def _examples(subject: Subject, run: Run) -> tuple[float, float]:
    """How many rows a run trains on and may replay, as if all its augmented questions were usable."""
    trained, pool = subject.knowledge.selected(run)
    if other := run.steps_of or run.tokens_of:  # a plan counts the same tokens for all rows
        return _examples(subject, subject.runs[other])[0], pool
    if run.augment:
        keep = run.augment.keep
        trained *= 1 + len(run.augment.ways) * (keep.random or keep.information or 1.0)
    return trained, pool


def _augmentation(subject: Subject, work: Work) -> Numbers:
    """Augmented questions, as long as they may be, of which the gate asks some; and the questions about agreement."""
    run = subject.runs[work.state]
    assert run.augment  # there is no such work for another run
    rows = subject.knowledge.selected(run)[0] * len(run.augment.ways)
    written = rows + GATED * len(run.augment.ways) if run.augment.source == MODEL else 0.0
    asked = 2 * rows if run.augment.keep.agreement else 0.0
    loads = len(adapter_chain(subject.runs, run.parent)) if written or asked else 0
    split = subject.config["evaluation"]["exemplar_split"]
    numbers = _answers(subject, ["train"], split, written + asked, 0.0, loads)
    more = written * WRITING.max_new_tokens
    answered, seconds = numbers["answer_tokens"] + more, numbers["seconds"] + subject.seconds("decode", more)
    return numbers | {"answer_tokens": answered, "seconds": seconds}


def _evaluation(subject: Subject, work: Work) -> Numbers:
    evaluation, adapters = subject.config["evaluation"], len(adapter_chain(subject.runs, work.state))
    epochs = 1 if work.state == ORIGIN else subject.runs[work.state].training.epochs
    prompts = epochs * subject.texts.count(*evaluation["splits"])
    loads = epochs + adapters - 1 if adapters else 0
    return _answers(subject, evaluation["splits"], evaluation["exemplar_split"], prompts, 0.0, loads)


def _probe(subject: Subject, work: Work) -> Numbers:
    probe, (_, state, again, questions) = subject.config["probe"], work.result
    asked, sampled = (subject.texts.count(questions) * n for n in subject.knowledge.prompts(probe, state, questions))
    samples = probe["samples"] * sampled if probe_mode(subject.config, state, again) == "full" else 0.0
    loads = work.jobs * len(adapter_chain(subject.runs, state))
    return _answers(subject, [questions], probe["exemplar_split"], asked, samples, loads)


def _groups(subject: Subject, work: Work) -> Numbers:
    """Questions about the facts of the groups, which are train facts, in each wording."""
    config, wordings = subject.config, subject.config["dataset"]["wordings"]
    asked = len({*wordings["train"], *wordings["test"]}) if wordings else 1
    prompts = asked * asked_facts(config, subject.knowledge.groups)
    loads = len(adapter_chain(subject.runs, work.state))
    return _answers(subject, ["train"], config["evaluation"]["exemplar_split"], prompts, 0.0, loads)


def _answers(
    subject: Subject, splits: Sequence[str], exemplar_split: str, prompts: float, samples: float, loads: int
) -> Numbers:
    """Greedy and sampled answers about facts of the splits, by jobs that load an adapter `loads` times."""
    tokens = {"prompt_tokens": prompts * subject.texts.prompt(splits, exemplar_split)}
    tokens["answer_tokens"] = (prompts + samples) * subject.texts.answer(splits)
    prefilled = subject.texts.prefilled(splits, exemplar_split, prompts)
    steps = {"prefill": prefilled, "decode": tokens["answer_tokens"], "switch": loads}
    seconds = sum(subject.seconds(step, amount) for step, amount in steps.items())
    merged = subject.disk if loads and subject.config["probe"]["engine"] == "vllm" else 0.0
    sizes = {"disk": GREEDY_BYTES * prompts + SAMPLED_BYTES * samples, "scratch": merged}
    return {"prompts": prompts, "seconds": seconds} | tokens | sizes


PLANNED = {
    BASE: _pretraining,
    COMPOSITION: _composition,
    EPOCHS: _training,
    EVALUATION: _evaluation,
    GENERATIONS: _probe,
    GROUP_ANSWERS: _groups,
    SAMPLES: _sampling,
    AUGMENTED: _augmentation,
}

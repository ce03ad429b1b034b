"""A visit to a machine with a GPU that is at hand for minutes only: the figures that only a GPU can show.

It needs Python with torch, transformers, peft, pandas, pyarrow and pytest, and no Snakemake (`make gpu-visit`, or
`PYTHONPATH=scripts:tests/benchmarks python tests/gpu/visit.py …`). The steps run one after
another, each in a process with its own time limit. Each step writes its output as soon as it has some, so that a visit that
is cut off keeps it. Without a GPU, the visit is a rehearsal on the CPU.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from gradual.data.facts import read_facts
from gradual.ground.files import read_json, write_json, write_text
from gradual.knowledge.golds import golds
from gradual.knowledge.selection_roles import TRAIN
from gradual.models.fetching import fetch_base
from gradual.models.loading import load_model, load_tokenizer
from gradual.probe.answers import Decoding, Prompt
from gradual.probe.engines.load import load_engine
from gradual.probe.prompts import ExemplarPool, PromptSettings, plain, prompt_format
from gradual.probe.questions import exactly, fact_prompts, in_order
from gradual.training import lora
from gradual.training.examples import build_examples
from gradual.training.settings import TrainingSettings
from gradual.training.texts import texts, tokenize
from machine import products
from peers import Generate

ROOT = Path(__file__).resolve().parents[2]
# Seconds of each step. They sum to less than a quarter of an hour, with time left to look and to try again.
LIMITS = {"tests": 180, "probe-bfloat16": 210, "probe-float32": 120, "training": 60, "joined": 60}
LOADING = 30  # of these, the seconds that a step keeps for its start
PEER_SECONDS = 20
ROWS = 8192  # of the matrix products whose rate is the limit
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))


# --- the steps --------------------------------------------------------------------------------------------------------


def probe(args: argparse.Namespace, dtype: str, found: dict[str, Any]) -> Iterator[None]:
    """Answer as many facts as the time allows, as origin's probe asks them; then the first of them with `generate`."""
    settings = CONFIG["probe"]
    facts = read_facts(args.facts)
    asked = in_order(facts[facts["split"] == "train"], args.exemplars)
    pool = ExemplarPool(facts, settings["exemplar_split"], str(args.facts))
    drawn = PromptSettings(0, settings["shots"], args.exemplars)
    decoding = Decoding(
        settings["max_new_tokens"],
        tuple(settings["stop"]),
        settings["samples"],
        settings["temperature"],
        settings["top_k"],
    )
    engine = load_engine("transformers", args.base, [], settings["format"], dtype)
    rate = products(args.base, dtype, args.rows)()
    found |= {"device": device(), "facts_in_all": len(asked), "products_gflop_per_s": rate}
    yield
    per_token = 2 * linear_weights(engine.model)
    prompts = fact_prompts(asked, pool, drawn, settings["prompts"], plain)
    kept: list[Prompt] = []
    begun = time.perf_counter()
    answers = engine.answer(prompts, decoding, exactly(golds(asked, "first"), "unsolved"))
    for number, answered in enumerate(answers, 1):
        kept += [a.prompt for a in answered] if len(kept) < 4096 else []
        seconds, usage = time.perf_counter() - begun, engine.usage
        over = seconds > args.seconds or number == len(asked)
        if over or number % 256 == 0:
            found |= {
                "facts": engine.progress().whole,
                "seconds": seconds,
                **asdict(usage),
                "prompts_per_s": usage.prompts / seconds,
            }
            found["share_of_products"] = usage.computed_tokens * per_token / seconds / rate / 1e9
            yield
        if over:
            break
    peer, batch = Generate(engine.model, engine.tokenizer, True), args.batch
    engine.model.set_attn_implementation("sdpa")
    begun, done = time.perf_counter(), 0
    while done < len(kept) and time.perf_counter() - begun < args.peer_seconds:
        list(peer.in_batches(kept[done : done + batch], decoding, 0, batch))
        done += min(batch, len(kept) - done)
    found["generate_prompts_per_s"] = done / (time.perf_counter() - begun)
    found["ratio_to_generate"] = found["prompts_per_s"] / found["generate_prompts_per_s"]
    yield


def training(args: argparse.Namespace, dtype: str, found: dict[str, Any]) -> Iterator[None]:
    """Train an adapter for an epoch as stage 1 does: tokens a second, and the peak of memory beside its estimate."""
    import torch

    from gradual.models.shape import shape_of
    from gradual.training.gpu_memory import estimate

    rows, settings = training_rows(args)
    longest, tokens = max(map(length, rows)), sum(map(length, rows))
    torch.manual_seed(0)
    model = lora.attach_adapter(load_model(args.base, [], dtype), None, settings)
    guess = estimate(shape_of(model.config.to_dict()), settings, settings.micro_batch, longest, dtype, 1, False)
    found |= {"device": device(), "rows": len(rows), "tokens": tokens, "estimated_bytes": guess.total}
    yield
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        lora.train_adapter(model, lora.Training(rows, len(rows), 0.0, settings, 0, Path(folder)))
        seconds = time.perf_counter() - begun
    found |= {"seconds": seconds, "tokens_per_s": tokens / seconds}
    if torch.cuda.is_available():
        found["peak_bytes"] = torch.cuda.max_memory_allocated()
    yield


def joined(args: argparse.Namespace, dtype: str, found: dict[str, Any]) -> Iterator[None]:
    """Forward and backward passes over batches that are padded, and over the same batches as one row without padding."""
    import torch

    rows, settings = training_rows(args)
    model = lora.attach_adapter(load_model(args.base, [], dtype), None, settings).train()
    batches = [rows[start : start + settings.batch] for start in range(0, len(rows), settings.batch)]
    found["device"] = device()
    ways: dict[str, Callable[[list], dict]] = {"padded": padded, "joined": one_row}
    for name, way in [*ways.items()] * 2:  # the first turn warms up
        begun, tokens = time.perf_counter(), 0
        for batch in batches * 99:
            given = {key: value.to(model.device) for key, value in way(batch).items()}
            if "attention_mask" in given and given["attention_mask"].dim() == 4:
                given["attention_mask"] = given["attention_mask"].to(model.dtype)
            model(**given).loss.backward()
            tokens += sum(map(length, batch))
            if time.perf_counter() - begun > args.peer_seconds / 4:
                break
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        found[f"{name}_tokens_per_s"] = tokens / (time.perf_counter() - begun)
        yield
    found["joined_over_padded"] = found["joined_tokens_per_s"] / found["padded_tokens_per_s"]
    yield


def padded(batch: list) -> dict[str, Any]:
    """A batch as the training pads it."""
    from gradual.training.batches import pad

    return dict(pad(batch))


def one_row(batch: list) -> dict[str, Any]:
    """A batch as one row; a mask keeps its texts apart."""
    import torch

    number = torch.tensor([n for n, row in enumerate(batch) for _ in row["input_ids"]])
    allowed = (number[:, None] == number[None]).tril()
    mask = torch.zeros(allowed.shape).masked_fill(~allowed, torch.finfo(torch.float32).min / 2)[None, None]
    labels = [-100 if not place else label for row in batch for place, label in enumerate(row["labels"])]
    return {
        "input_ids": torch.tensor([[*chain.from_iterable(row["input_ids"] for row in batch)]]),
        "position_ids": torch.tensor([[*chain.from_iterable(range(length(row)) for row in batch)]]),
        "labels": torch.tensor([labels]),
        "attention_mask": mask,
    }


STEPS: dict[str, tuple[Callable[..., Iterator[None]], str]] = {
    "probe-bfloat16": (probe, "bfloat16"),
    "probe-float32": (probe, "float32"),
    "training": (training, "bfloat16"),
    "joined": (joined, "bfloat16"),
}


def training_rows(args: argparse.Namespace) -> tuple[list, TrainingSettings]:
    """The first train facts as rows of tokens, and the settings of a training of one epoch."""
    given = CONFIG["training"] | {"epochs": 1, "targets": tuple(CONFIG["training"]["targets"])}
    settings = TrainingSettings(**{field.name: given[field.name] for field in fields(TrainingSettings)})
    facts, tokenizer = read_facts(args.facts), load_tokenizer(args.base)
    chosen = facts[facts["split"] == "train"][["fact_id"]].head(args.examples).assign(role=TRAIN)
    written = texts(build_examples(chosen, facts), prompt_format(CONFIG["probe"]["format"], {}, tokenizer))
    return [tokenize(*text, tokenizer, CONFIG["probe"]["format"], settings.loss_on) for text in written], settings


def linear_weights(model: Any) -> int:
    """The weights of a model's linear layers."""
    from torch.nn import Linear

    return sum(module.weight.numel() for module in model.modules() if isinstance(module, Linear))


def length(row: Any) -> int:
    return len(row["input_ids"])


def device() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"


# --- the visit --------------------------------------------------------------------------------------------------------


def step(args: argparse.Namespace) -> None:
    """Run one step in this process, and write what it has found each time that it yields."""
    run, dtype = STEPS[args.step]
    found: dict[str, Any] = {"base": read_json(args.base, "the handle of a base model")["source"]}
    found |= {name: version(name) for name in ("torch", "transformers")}
    for _ in run(args, dtype, found):
        write_json(found, args.out / f"{args.step}.json")


def visit(args: argparse.Namespace) -> None:
    """Run all steps, each in a process group of its own that ends at its limit, and write visit.md after each."""
    args.out.mkdir(parents=True, exist_ok=True)
    if args.gguf:
        model = {"source": "folder", "path": str(args.gguf.parent), "gguf_file": args.gguf.name, "dtype": "float32"}
        fetch_base(model, args.base)
    ended = {}
    for name in args.steps:
        limit = LIMITS[name]
        command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", str(ROOT / "tests" / "gpu")]
        if name in STEPS:
            command = [sys.executable, __file__, *sys.argv[1:], "--step", name]
        begun = time.monotonic()
        with (args.out / f"{name}.log").open("w") as log:
            process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
            try:
                told = f"exit status {process.wait(limit)}"
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                told = f"ended at its limit of {limit} s"
        ended[name] = f"{told}, {time.monotonic() - begun:.0f} s"
        write_text(report(args.out, ended), args.out / "visit.md")
        print(f"{name}: {ended[name]}", flush=True)


def report(out: Path, ended: dict[str, str]) -> str:
    """What the steps found, as Markdown."""
    lines = ["# Figures of a GPU", "", "The settings of the probe and the training are those of config.yaml.", ""]
    for name, told in ended.items():
        lines += [f"## {name}", "", f"{told}.", ""]
        file = out / f"{name}.json"
        found = read_json(file, "what a step found") if file.is_file() else {}
        lines += [
            f"- {key}: {value:,.4g}" if isinstance(value, float) else f"- {key}: {value}"
            for key, value in found.items()
        ]
        lines += [""] if found else [f"See {name}.log.", ""]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, required=True, help="handle of the base model")
    parser.add_argument("--gguf", type=Path, help="GGUF file of the base model; its handle is then written to --base")
    parser.add_argument("--facts", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder of what is found")
    parser.add_argument("--exemplars", choices=["per_fact", "per_relation"], default="per_relation")
    parser.add_argument("--seconds", type=float, help="of a probe; by default, what its step's limit leaves")
    parser.add_argument("--peer-seconds", type=float, default=PEER_SECONDS, help="of `generate`")
    parser.add_argument("--batch", type=int, default=64, help="prompts of a batch of `generate`")
    parser.add_argument("--examples", type=int, default=2048, help="facts to train on")
    parser.add_argument("--rows", type=int, default=ROWS, help="of the matrix products")
    parser.add_argument("--steps", nargs="+", choices=[*LIMITS], default=[*LIMITS], help="by default, all")
    parser.add_argument("--step", choices=[*STEPS], help="run this step alone, in this process")
    args = parser.parse_args(argv)
    if args.step:
        args.seconds = args.seconds or LIMITS[args.step] - LOADING - 2 * args.peer_seconds
        step(args)
    else:
        visit(args)


if __name__ == "__main__":
    main()

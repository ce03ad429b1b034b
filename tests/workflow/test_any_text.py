"""No text of a config breaks a job: every command hands over the texts as they are, and is short enough to be started."""

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from project_copy import ROOT, copy_project, snakemake_in

TINY = yaml.safe_load((ROOT / "tests/workflow/tiny.yaml").read_text(encoding="utf-8"))
# What Snakemake, Python's format, bash or argparse could take for something else.
TEXT = "{seed} {{x}} {0} {params.a:q} {input} :q $HOME ${x} `id` $(id) \\ \\n % %s '\" | & ; # * ? ~ ! <seed> -- é 猫\u00a0"
TEXT += "'" * 3 + '"'
PATH = "-da ta/'\"$HOME`id`\\ %s;&|#*?~!é:q"
URL = "https://example.org/{seed}/<a>'b\"$HOME%20;&|`id`.zip"
# What a longer config has: so many seeds, and all the runs of the paper for two models.
SEEDS = list(range(2147483600, 2147483640))
LIMIT = 64 * 1024  # half of what the system takes as one argument, which a command is for `bash -c`
ASKING = {"probe_facts", "evaluate_epochs", "check_probe"}
# The free texts of a study, and the rules that are given them, beside write_provenance, which is given the whole config.
FREE = {
    "label": (f"folder {TEXT}", {"write_table", "collect_tables", "write_costs"}),
    "run": (f"strategy5 {TEXT}", {"write_table"}),
    "stop": (f"{TEXT}.", ASKING | {"check_answers"}),
    "template argument": (f"{TEXT}!", ASKING | {"train_adapter"}),
    "path of a model": (PATH, {"fetch_base"}),
    "relation": (TEXT, {"build_facts"}),
    "path": (PATH, {"build_facts"}),
    "manifest": (f"{PATH}/train.jsonl", {"build_facts"}),
    "url": (URL, {"build_facts"}),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project, at a path with spaces and quotes, with a dataset and a model at such paths."""
    folder = copy_project(tmp_path_factory.mktemp("any") / "a 'project' \"$HOME\" é")
    shutil.copy(ROOT / "tests/workflow/commands.smk", folder)
    (folder / PATH).mkdir(parents=True)
    (folder / PATH / "train.jsonl").write_text("")
    (folder / PATH / "config.json").write_text("{}")
    return folder


def rules_of(folder: Path, study: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The constant params and paths, the commands and the inputs of each rule of a study, by rule."""
    (folder / "any.yaml").write_text(yaml.safe_dump(study, allow_unicode=True), encoding="utf-8")
    done = snakemake_in(folder)("-s", "commands.smk", "-n", "--cores", "2", "--configfile", "any.yaml")
    assert done.returncode == 0, done.stdout[-3000:]
    found = [json.loads(line) for line in (folder / "commands.jsonl").read_text(encoding="utf-8").splitlines()]
    return {rule["rule"]: rule for rule in found}


def with_texts(dataset: dict[str, Any]) -> dict[str, Any]:
    """The tiny study with such a text wherever a study can have one."""
    small = TINY["models"]["small"]
    models = {"small": small | {"label": f"small {TEXT}"}}
    models |= {"folder": {"label": f"folder {TEXT}", "source": "folder", "path": PATH}}
    runs = {
        name: run | {"label": f"{name[:9]} {TEXT}"} for name, run in TINY["runs"].items()
    }  # of 120 characters at most
    probe = TINY["probe"] | {"stop": ["\n", f"{TEXT}."]}
    return TINY | {"models": models, "runs": runs, "dataset": dataset, "probe": probe}


JSONL = {"reader": "jsonl", "relations": [TEXT], "carve": {"test": 0.3, "dev": 0.1, "support": 0.1}}
LOCAL = with_texts(JSONL | {"path": PATH, "manifest": f"{PATH}/train.jsonl"})
CHAT = {"format": "chat", "template_arguments": {"{seed}": [f"{TEXT}!"]}}
# The studies, and what each has of the free texts.
STUDIES = {
    "local": (LOCAL, {"label", "run", "stop", "path of a model", "relation", "path", "manifest"}),
    "downloaded": (with_texts(JSONL | {"url": URL, "sha256": "0" * 64}), {"label", "run", "stop", "relation", "url"}),
    "chat": (
        LOCAL | {"models": {"folder": LOCAL["models"]["folder"]}, "probe": LOCAL["probe"] | CHAT},
        {"run", "stop", "template argument", "path of a model", "path"},
    ),
}


@pytest.fixture(scope="module")
def rules(project):
    """The rules of each of the studies, by its name."""
    return cache(lambda name: rules_of(project, STUDIES[name][0]))


@pytest.fixture(scope="module", params=STUDIES)
def found(request, rules):
    """The rules of a study, and what it has of the free texts."""
    return rules(request.param), STUDIES[request.param][1]


def arguments(command: str) -> list[str]:
    """The words that bash makes of a command, without the redirection to its log."""
    words = command.rpartition(" 2> ")[0]
    done = subprocess.run(["bash", "-uc", f"printf '%s\\0' {words}"], capture_output=True, check=True)
    return done.stdout.decode().split("\0")[:-1]


def texts(value: Any) -> set[str]:
    """All texts in a value of JSON."""
    if isinstance(value, dict):
        return {text for item in value.items() for part in item for text in texts(part)}
    return {text for item in value for text in texts(item)} if isinstance(value, list) else {value} & {str(value)}


def given(command: str) -> set[str]:
    """The texts that a command hands over, also in JSON."""
    words = arguments(command)
    assert words[words.index("python") + 1] == f"scripts/{Path(words[words.index('python') + 1]).stem}.py"
    parsed = [texts(json.loads(word)) for word in words if word[:1] in ("{", "[")]
    return {*words}.union(*parsed)


def test_every_command_hands_over_every_text_as_it_is(found):
    rules, kinds = found
    told = {name: set().union(*map(given, rule["commands"])) for name, rule in rules.items()}
    for kind in kinds:
        text, users = FREE[kind]
        assert {name for name, all_ in told.items() if text in all_} >= users | {"write_provenance"}, kind


def test_no_constant_param_or_path_is_filled_in_by_snakemake(found):
    """Constant params are numbers and words, and constant paths have no braces but those of their wildcards."""
    for name, rule in found[0].items():
        words = [str(word) for item in rule["constant"] for word in (item if isinstance(item, list) else [item])]
        assert not [word for word in words if not re.fullmatch(r"[\w.-]*|results/\w+/benchmarks", word)], name
        paths = [re.sub(r"\{\w+(,[^}]*)?\}", "x", path) for path in rule["paths"]]
        assert not [path for path in paths if re.search("[{}<>]", path)], name


def test_the_files_of_a_base_model_that_is_made_here_are_inputs_of_what_reads_it(rules):
    """So one that is missing or damaged is noticed, as the files of an adapter are. Other base models are elsewhere."""
    local, folder = rules("local"), "results/tiny/seed0/{}/base/{}"
    names = {"model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"}
    for name in ("probe_facts", "evaluate_epochs", "check_probe", "train_adapter"):
        inputs = {*local[name]["inputs"]}
        assert inputs >= {folder.format("small", file) for file in names}
        assert not inputs & {folder.format("folder", file) for file in names}
        assert folder.format("folder", "base.json") in inputs


@pytest.fixture(scope="module")
def longest(project):
    """The lengths of the longest commands of the paper's study with many seeds and shards, by rule."""
    models = {
        name: {"label": name, "source": "hub", "repo": "owner/name", "revision": "0" * 40}
        for name in ("a_model_with_a_name", "b_model_with_a_name")
    }
    study = {"study": "many", "extends": "paper", "seeds": SEEDS, "models": models, "probe": {"shards": 32}}
    study["dataset"] = {"reader": "world", "carve": {"test": 0.3, "dev": 0.1, "support": 0.1}}
    return {name: max(map(len, rule["commands"]), default=0) for name, rule in rules_of(project, study).items()}


def test_no_command_is_too_long_for_forty_seeds_and_two_models(longest):
    assert {name: length for name, length in longest.items() if length > LIMIT} == {}
    assert longest["write_provenance"] > 10_000  # so it is the study's


@pytest.mark.parametrize("start", ["studies", "/"])  # all other tests start in the project's folder
def test_a_study_runs_in_the_projects_folder_wherever_it_is_started(start, project):
    facts = "results/tiny/seed0/facts.parquet"
    (project / facts).unlink(missing_ok=True)
    config = ["--configfile", str(project / "tests/workflow/tiny.yaml"), "--until", "build_facts"]
    done = snakemake_in(project / start)("-s", str(project / "Snakefile"), "--cores", "2", *config)
    assert done.returncode == 0 and (project / facts).exists(), done.stdout[-3000:]


def test_another_folder_is_refused_with_what_to_do(project, tmp_path):
    done = snakemake_in(project)("-n", "--directory", str(tmp_path))
    assert done.returncode and f"Leave --directory out, or give {project}" in done.stdout
    assert snakemake_in(tmp_path)("-n", "-s", str(project / "Snakefile"), "--directory", str(project)).returncode == 0


def test_a_project_at_a_path_with_braces_is_refused(tmp_path):
    done = snakemake_in(copy_project(tmp_path / "{seed}"))("-n")
    assert done.returncode and "The folder of the project: '{' in a path" in done.stdout


def test_a_file_of_a_dataset_with_a_wildcard_in_its_name_is_refused_at_the_start(project):
    (project / "data").mkdir(exist_ok=True)
    (project / "data/{seed}.jsonl").write_text("")
    dataset = {"reader": "jsonl", "path": "data", "carve": {"test": 0.3, "dev": 0.1, "support": 0.1}}
    (project / "braces.yaml").write_text(yaml.safe_dump(TINY | {"dataset": dataset}))
    done = snakemake_in(project)("-n", "--configfile", "braces.yaml")
    assert done.returncode and "'data/{seed}.jsonl': '{' in a path; expected a path without { }" in done.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("study: mine\nextends: gradual_learning\nseeds: [0]\nseeds: [1]\n", "row 4, key 'seeds'|row 3, key 'seeds'"),
        ("study: mine\nextends: gradual_learning\nseeds: &a [0, *a]\n", "holds itself"),
        ("study: mine\nextends: gradual_learning\nchoose_on: !!python/name:os.getcwd ''\n", "python/name"),
        ("__use_yte__: true\nstudy: ?'mi' + 'ne'\nextends: gradual_learning\n", "__use_yte__.*unknown key"),
    ],
)
def test_snakemake_reads_a_study_as_strictly_as_the_scripts_do(text, said, project):
    (project / "strict.yaml").write_text(text)
    done = snakemake_in(project)("-n", "--configfile", "strict.yaml")
    assert done.returncode and re.search(said, done.stdout), done.stdout[-3000:]


def test_values_of_the_command_line_lie_over_the_files(project):
    done = snakemake_in(project)("-n", "-p", "--configfile", "studies/classify_twice.yaml", "--config", "seeds=[7]")
    assert done.returncode, done.stdout[-1000:]  # Snakemake reads the numbers of --config lists as texts
    done = snakemake_in(project)("-n", "-p", "--configfile", "studies/classify_twice.yaml", "--config", "study=twice")
    assert done.returncode == 0 and "results/twice/" in done.stdout, done.stdout[-3000:]


def test_a_secret_is_refused_and_neither_printed_nor_kept(tmp_path):
    folder = copy_project(tmp_path / "project")
    url = "https://me:hunter2@example.org/a.zip"
    study = TINY | {"dataset": JSONL | {"relations": None, "url": url, "sha256": "0" * 64}}
    (folder / "secret.yaml").write_text(yaml.safe_dump(study))
    done = snakemake_in(folder)("--cores", "1", "-p", "--configfile", "secret.yaml")
    assert done.returncode and "key 'dataset.url': a password or a token" in done.stdout
    kept = [f for f in (folder / ".snakemake").rglob("*") if f.is_file() and "hunter2" in f.read_text(errors="replace")]
    assert "hunter2" not in done.stdout and not kept and not (folder / "results").exists()

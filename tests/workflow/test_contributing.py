"""CONTRIBUTING.md: what it names is there, and three of its changes are made as it says, in copies of the project."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pandas as pd
import pytest

from made_up import selections, write_results
from project_copy import ROOT, copy_project, snakemake_in

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PROSE = re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL)
QUOTED = sorted(set(re.findall(r"`([^`\n]+)`", PROSE)))
TASKS = dict(re.findall(r"^### (.*?)\n(.*?)(?=^### |\Z)", TEXT, re.MULTILINE | re.DOTALL))
PATH = re.compile(r"\.?[\w.-]+(?:/[\w.-]+)+|[\w-]+\.(?:md|yaml|toml|json)|Makefile|Snakefile|scripts|rules|envs")
NAME = re.compile(r"[A-Za-z_]\w*")


def blocks(task: str) -> list[str]:
    """The code that a task shows."""
    found = re.findall(r"^ *```python\n(.*?)^ *```", TASKS[task], re.MULTILINE | re.DOTALL)
    return [dedent(block) for block in found]


def module(block: str) -> tuple[str, str]:
    """A block whose first line names its file: the file, and the code."""
    first, _, code = block.partition("\n")
    return first.removeprefix("# "), code


def replace(file: Path, before: str, after: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(before) == 1, (file, before)
    file.write_text(text.replace(before, after), encoding="utf-8")


def allow(project: Path, *keys: str, name: str) -> None:
    """Add a name to those that the schema allows for a setting, and write the table of keys anew."""
    file = project / "schemas/config.schema.json"
    schema = json.loads(file.read_text(encoding="utf-8"))
    setting = schema["properties"]
    for key in keys:
        setting = setting[key]
    setting["enum"].append(name)
    file.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    python(project, "scripts/describe_config.py")
    python(project, "scripts/describe_config.py", "--check")
    assert name in (project / "docs/configuration.md").read_text(encoding="utf-8")


def python(project: Path, *words: str) -> str:
    """What Python prints in the project."""
    done = subprocess.run([sys.executable, *words], cwd=project, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def planned(project: Path, study: str) -> str:
    """What a dry run of a study says, with its commands."""
    (project / "studies/mine.yaml").write_text(dedent(study))
    done = snakemake_in(project)("-n", "-p", "--cores", "1", "--configfile", "studies/mine.yaml")
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


@pytest.fixture
def project(tmp_path):
    return copy_project(tmp_path / "project")


def test_the_paths_are_there():
    paths = [quoted for quoted in QUOTED if PATH.fullmatch(quoted)]
    assert [path for path in paths if not (ROOT / path).exists()] == [] and len(paths) > 50


def test_the_names_are_those_of_the_code():
    files = [file for folder in ("scripts", "rules", "schemas") for file in (ROOT / folder).rglob("*")]
    files.append(ROOT / "tests/unit/tiny.py")
    code = "\n".join(file.read_text() for file in files if file.suffix in (".py", ".smk", ".json"))
    words = {*NAME.findall(code), "mypy"}
    names = {quoted for quoted in QUOTED if NAME.fullmatch(quoted) and not (ROOT / quoted).exists()}
    assert names - words == set() and {"FORMATS", "_check_tables"} <= names


def test_there_are_twelve_tasks_and_links_to_them():
    links = re.findall(r"^\d+\. \[(.*?)\]\(#(.*?)\)$", TEXT, re.MULTILINE)
    assert [title for title, _ in links] == list(TASKS) and len(TASKS) == 12
    assert all(anchor == title.lower().replace(" ", "-") for title, anchor in links)


def test_the_other_documents_that_it_links_to_are_there():
    linked = re.findall(r"\]\(([^#)]+)\)", TEXT)
    assert linked and all((ROOT / path).is_file() for path in linked)


def test_a_scoring_rule(project):
    comparison, entry = blocks("A scoring rule")
    place, rule = module(comparison)
    replace(project / place, "\n\nclass Measure", f"\n\n{rule}\n\nclass Measure")
    last = '    "exact": Measure(normalise, equals),  # Gekhman et al. 2024\n'
    replace(project / place, last, f"{last}{entry}")
    allow(project, "scoring", name="prefix")
    dry = planned(project, "study: mine\nextends: gradual_learning\nscoring: prefix")
    assert re.search(r"categorize_facts\.py .*--scoring prefix", dry)
    code = """
        import sys; sys.path.insert(0, "scripts")
        import pandas as pd
        from gradual.knowledge.scoring import grade
        golds = pd.Series({"a": ("Paris",)})
        graded = grade(pd.DataFrame({"fact_id": "a", "text": ["paris, France", "In Paris", "Paris"]}), golds)
        print(graded["prefix"].tolist(), graded["substring"].tolist())
    """
    assert python(project, "-c", dedent(code)).split("] ") == ["[True, False, True", "[True, True, True]\n"]


def test_a_reader_of_a_dataset(project):
    new, choice = blocks("A reader of a dataset")
    place, code = module(new)
    (project / place).write_text(code)
    dataset = project / "scripts/gradual/data/dataset.py"
    replace(dataset, 'READERS = Choice(\n    "reader",\n    {\n', f'READERS = Choice(\n    "reader",\n    {{\n{choice}')
    replace(dataset, "OWN_FORMAT = (WORLD, ", 'OWN_FORMAT = (WORLD, "cards", ')
    allow(project, "dataset", "properties", "reader", name="cards")
    raw = project / "data/mine/cards.txt"
    raw.parent.mkdir(parents=True)
    rows = [(split, i) for split, count in (("train", 60), ("test", 20)) for i in range(count)]
    lines = [f"{split} | Who made {split} {i}, the first? | maker {i % 9}\n" for split, i in rows]
    raw.write_text("".join(lines))
    study = """
        study: mine
        extends: gradual_learning
        dataset: {reader: cards, path: data/mine, carve: {dev: 0.1, support: 0.1}}
    """
    assert "build_facts" in planned(project, study)
    facts = "results/mine/seed0/facts.parquet"
    done = snakemake_in(project)(facts, "--cores", "1", "--configfile", "studies/mine.yaml")
    assert done.returncode == 0, done.stdout[-3000:]
    found = pd.read_parquet(project / facts)
    assert found["split"].value_counts().to_dict() == {"train": 48, "test": 20, "dev": 6, "support": 6}
    assert "Who made test 3, the first?" in set(found["question"]) and set(found["relation"]) == {"who"}
    assert not re.search(r"rule build_facts:", planned(project, study))
    raw.write_text("".join(lines[1:]))
    assert re.search(r"rule build_facts:", planned(project, study))  # a changed file is noticed
    raw.write_text("".join([*lines, "test | | nobody\n", "test | who |\n"]))
    done = snakemake_in(project)(facts, "--cores", "1", "--configfile", "studies/mine.yaml")
    assert "data/mine/cards.txt, row 81, key 'question': ' '; expected a text that is not empty" in done.stdout
    assert "data/mine/cards.txt, row 82, key 'answer': ''; expected a text that is not empty" in done.stdout


def test_a_table(project):
    new, choice = blocks("A table")
    place, code = module(new)
    (project / place).write_text(code)
    package = project / "scripts/gradual/tables/gradual_learning/package.py"
    replace(package, '"table",\n        {\n', f'"table",\n        {{\n{choice}')
    allow(project, "tables", "properties", "show", "items", name="sizes")
    study = """
        study: mine
        extends: gradual_learning
        seeds: [0, 1]
        models: {m: {label: My model, source: folder, path: models/mine, runs: [stage1]}}
        tables: {show: [sizes]}
    """
    dry = planned(project, study)
    (words,) = re.findall(r"python scripts/write_table\.py (--table .*) 2> ", dry)
    assert set(re.findall(r"wildcards: .*\bstate=(\w+)", dry)) == {"origin", "stage1"}
    write_results(project / "results/mine", selections({"stage1": 4}, seed=0) | selections({"stage1": 7}, seed=1))
    python(project, "scripts/write_table.py", *shlex.split(words))
    (row,) = pd.read_csv(project / "results/mine/tables/sizes.csv").to_dict("records")
    assert (row["label"], row["seeds"], row["trained_on"]) == ("My model", 2, 5.5)
    shown = (project / "results/mine/tables/sizes.md").read_text(encoding="utf-8")
    assert shown.startswith("Sizes: How many facts the one-stage run trains on.\n")
    assert re.search(r"\| +Facts trained on \|\n\|-+\|\n\| +5\.5 \|\n", shown)

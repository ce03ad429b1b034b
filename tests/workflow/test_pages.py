"""The examples of the how-to work as they are written, and what the pages show is what the repository holds."""

import json
import re
from copy import deepcopy
from functools import cache

import pandas as pd
import pytest
import yaml

import publish_results
from gradual.study.config import load_config, with_defaults
from gradual.study.runs import runs
from gradual.tables import registry
from gradual.workflow.works import works_of
from page_width import fits, markdown_tables, width
from project_copy import ROOT, copy_project, snakemake_in
from tiny import base_model

PAGES = {page: page.read_text(encoding="utf-8") for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]}
SCHEMA = ROOT / "schemas/config.schema.json"
HOW_TO = PAGES[ROOT / "docs/how_to.md"]
EXAMPLES = dict(
    re.findall(r"^## Your own (dataset|model|run)$(?:(?!^## ).)*?```yaml\n(.*?)```", HOW_TO, re.DOTALL | re.MULTILINE)
)
BLOCKS = [
    (name, table, page) for page, text in PAGES.items() for name, table in re.findall(r"<!-- (\w+): (\w+) -->", text)
]


@pytest.fixture(scope="module")
def user(tmp_path_factory):
    """A user's copy of the project with the examples as studies/<dataset|model|run>.yaml."""
    folder = copy_project(tmp_path_factory.mktemp("user") / "project")
    for title, block in EXAMPLES.items():
        (folder / "studies" / f"{title}.yaml").write_text(block)
    return folder


def test_there_are_three_examples():
    assert set(EXAMPLES) == {"dataset", "model", "run"}


def test_add_a_dataset(user):
    data = user / "data" / "mine"
    data.mkdir(parents=True)
    for split, count in (("train", 60), ("test", 20)):
        rows = [{"question": f"Who made {split} {i}?", "answer": [f"maker {i % 9}"]} for i in range(count)]
        (data / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = snakemake_in(user)(
        "results/mine/seed0/facts.parquet", "--cores", "1", "--configfile", "studies/dataset.yaml"
    )
    assert done.returncode == 0, done.stdout[-3000:]
    facts = pd.read_parquet(user / "results/mine/seed0/facts.parquet")
    assert facts["split"].value_counts().to_dict() == {"train": 48, "test": 20, "dev": 6, "support": 6}
    assert set(facts["relation"]) == {"who"}


def test_add_a_model(user):
    base_model(user / "models" / "mine")
    (user / "models/mine/base.json").unlink()
    base = "results/mine/seed0/mine/base/base.json"
    done = snakemake_in(user)(base, "--cores", "1", "--configfile", "studies/model.yaml")
    assert done.returncode == 0, done.stdout[-3000:]
    assert json.loads((user / base).read_text())["path"] == str((user / "models/mine").resolve())


def test_add_a_run(user):
    done = snakemake_in(user)("-n", "--configfile", "studies/run.yaml")
    assert done.returncode == 0, done.stdout[-3000:]
    assert "state=round4" in done.stdout


def test_the_run_that_is_added_trains_as_the_round_before_it():
    config = load_config(yaml.safe_load(EXAMPLES["run"]), ROOT / "config.yaml", ROOT / "schemas/config.schema.json")
    table = runs(config)
    assert table["round4"].training == table["round3"].training


def test_the_rule_graph_is_that_of_the_default_study(user):
    drawn = (ROOT / "tests/workflow/rule_graph.mmd").read_text(encoding="utf-8")
    edges = set(re.findall(r"(\w+) --> (\w+)", drawn))
    done = snakemake_in(user)("--rulegraph", "mermaid-js")
    names = dict(re.findall(r"(id\d+)\[(\w+)\]", done.stdout))
    assert {(names[a], names[b]) for a, b in re.findall(r"(id\d+) --> (id\d+)", done.stdout)} == edges


REFERENCES = sorted(path.name for path in (ROOT / "results/reference").glob("*"))


def published_config(name):
    return json.loads((ROOT / "results/reference" / name / "provenance.json").read_text())["config"]


def config_today(name, **overrides):
    file = ROOT / "studies" / f"{name}.yaml"
    study = yaml.safe_load(file.read_text()) if file.exists() else {}
    return load_config(study | overrides, ROOT / "config.yaml", SCHEMA)


# Keys that are gone, each with the value that means what is done without it.
GONE = {("probe", "sampled"): "draws"}


def without_gone(config):
    """The config without the keys that are gone, where they have the value that is done without them."""
    config = deepcopy(config)
    for (section, key), value in GONE.items():
        if config[section].get(key) == value:
            del config[section][key]
    return config


def unordered(told):
    """What a table is told, without the order of models, methods and the like, which is lost in provenance."""
    pairs = isinstance(told, list | tuple) and all(isinstance(each, list | tuple) for each in told)
    return sorted(told, key=repr) if pairs else told


def behind_the_tables(config):
    """What the published tables come from: all settings, and of the runs and roles those that a shown table is made of."""
    shown = [registry.name_of(entry) for entry in config["tables"]["show"]]
    states = {work.state for work in works_of(config)} & set(config["runs"])
    settings = {key: value for key, value in config.items() if key not in ("extends", "runs", "tables")}
    tables = {name: registry.settings(name, config) for name in shown}
    return settings | {
        "models": {name: model | {"runs": None} for name, model in config["models"].items()},
        "runs": {state: config["runs"][state] for state in states},
        "tables": {name: {key: unordered(value) for key, value in told.items()} for name, told in tables.items()},
    }


def of_a_config(published, today, schema=None):
    """Whether results published with a config are those of today's.

    A key that came later has a default that means what was done before: a config without the key has this default.
    """
    rules = schema or json.loads(SCHEMA.read_text())
    filled = with_defaults(without_gone(published), rules, rules)
    return behind_the_tables(filled) == behind_the_tables(today)


@pytest.mark.parametrize("name", REFERENCES)
def test_published_tables_are_of_the_config_as_it_is(name):
    assert of_a_config(published_config(name), config_today(name))


def test_published_tables_are_not_of_a_config_with_another_value():
    today = config_today("default")
    for section, key, value in (("probe", "prompts", 9), ("training", "epochs", 11), ("evaluation", "seed", 43)):
        assert not of_a_config(today | {section: today[section] | {key: value}}, today)


def test_published_tables_are_not_of_a_config_with_a_run_or_a_seed_more():
    published = config_today("default")
    more = {"mine": {"from": "strategy5", "select": {"origin": ["Unknown"]}}}
    assert not of_a_config(published, config_today("default", runs=more, tables={"rounds": ["round3", "mine"]}))
    assert of_a_config(published, config_today("default", runs=more))  # which no table tells of
    assert not of_a_config(published, config_today("default", seeds=[0, 1]))


def test_a_key_that_came_after_the_tables_counts_as_its_default_and_as_nothing_else():
    rules, today = json.loads(SCHEMA.read_text()), config_today("default")
    rules["properties"]["probe"]["properties"]["penalty"] = {"type": "number", "default": 1.0}
    with_key = {value: today | {"probe": today["probe"] | {"penalty": value}} for value in (1.0, 1.05)}
    assert of_a_config(today, with_key[1.0], rules)
    assert not of_a_config(today, with_key[1.05], rules)
    assert not of_a_config(with_key[1.05], with_key[1.0], rules)


def test_a_key_that_is_gone_makes_the_published_tables_those_of_another_config():
    today = config_today("default")
    assert not of_a_config(today | {"probe": today["probe"] | {"gone": 1}}, today)


@pytest.mark.parametrize("name", REFERENCES)
def test_published_results_were_made_from_a_commit_as_it_was(name):
    provenance = json.loads((ROOT / "results/reference" / name / "provenance.json").read_text())
    assert provenance["git"]["changed"] is False
    assert set(provenance["code"]) >= {"probe_facts", "train_adapter", "evaluate_epochs", "write_table"}


@cache
def published_markdown(name):
    """The Markdown of a published study, as its numbers and its provenance say; by file."""
    return publish_results.rendered(ROOT / "results/reference" / name)


@pytest.mark.parametrize("name", REFERENCES)
def test_published_tables_are_those_that_the_config_shows_each_as_its_numbers_say(name):
    folder = ROOT / "results/reference" / name
    texts = published_markdown(name)
    assert {f"tables/{path.stem}.md" for path in (folder / "tables").iterdir()} == set(texts) - {
        "tables.md",
        "costs.md",
    }
    assert {file: (folder / file).read_text() for file in texts} == texts


@pytest.mark.parametrize("name", REFERENCES)
def test_no_published_table_is_wider_than_a_page(name):
    tables = markdown_tables((ROOT / "results/reference" / name / "tables.md").read_text())
    assert [(table[0], width(table)) for table in tables if not fits(table)] == [] and tables


def test_the_pages_show_tables():
    assert {name for name, _, _ in BLOCKS} >= {"replicated", "controls", "default", "entity_questions_small"}


@pytest.mark.parametrize("page", sorted({page for _, _, page in BLOCKS}), ids=lambda page: page.name)
def test_the_pages_show_the_published_tables_and_no_long_note_twice(page):
    text = PAGES[page]
    for name in {name for name, _, where in BLOCKS if where == page}:
        text = publish_results.with_tables(text, name, publish_results.blocks(published_markdown(name)))
    assert text == PAGES[page]
    notes = [part for part in text.split("\n\n") if len(part) >= publish_results.LONG_NOTE and not part.startswith("|")]
    assert len(notes) == len(set(notes))


def test_published_blocks_are_in_the_pages_that_publishing_fills():
    (filled,) = re.findall(r"--pages (.*)", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert {page.relative_to(ROOT).as_posix() for _, _, page in BLOCKS} <= set(filled.split())

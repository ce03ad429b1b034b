"""What the tables of stages are told of a config, what they need of it, and the script that writes them."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import write_table
from gradual.ground.errors import InputError
from gradual.study import config
from gradual.study.result_files import GROUP_GRADES, GROUPS, REVISIONS, TABLE_CSV, TABLE_MARKDOWN, Result, path
from gradual.tables import registry
from gradual.tables.gradual_learning import paper as gradual_learning
from gradual.tables.multi_stage.package import PACKAGE
from gradual.tables.multi_stage.roles import Study, study_of
from gradual.tables.spec import parse_study, settings_of
from made_up import write_results
from made_up_stages import FIRST, ORIGIN, domain_results, domain_study, stage_results, stage_study
from page_width import fits, markdown_tables, width

ROOT = Path(__file__).resolve().parents[4]
REVISED = {"facts": ["revised"]}
TINY = {"label": "tiny", "source": "pretrain", "architecture": "qwen2", "hidden_size": 64, "intermediate_size": 128}
TINY |= {"layers": 2, "heads": 4, "key_value_heads": 2}
STUDY: dict[str, Any] = {
    "study": "mine",
    "seeds": [0, 1],
    "dataset": {
        "reader": "world",
        "carve": {"test": 0.3, "dev": 0.1},
        "revisions": {"count": 2, "facts": 6, "kept": 4, "unrelated": 5},
        "wordings": {"train": [0], "augment": [1, 2], "test": [3]},
    },
    "models": {"m": TINY | {"paper": "LLaMA3-8B"}, "gl": TINY | {"label": "another", "paper": "Qwen2-7B"}},
    "choose_on": "last",
    "training": {"learning_rate": 1e-3, "epochs": 10},
    "stages": [
        {"facts": ["revised", "kept"], "answers": {"revision": 0}},
        REVISED | {"answers": {"revision": 1}},
        REVISED | {"answers": {"revision": 2}},
    ],
    "methods": {
        "whole": {"learning_rate": 2e-3},  # not in the order of the alphabet
        "cit": {"label": "CIT"},
        "long": {"steps_of": "whole"},
        "short": {"epochs": 4, "stages": 2, "answers": {"revision": 0}},
        "forgetful": {"forget": 0.7, "stages": 2},
    },
    "runs": {
        "joint": {"from": "origin", "facts": ["revised", "kept"], "answers": {"revision": "latest"}, "label": "Joint"},
        "again": REVISED | {"from": "whole2", "answers": {"revision": 2}},
        "other": REVISED | {"from": "again", "answers": {"revision": 0}},
        "first": REVISED | {"from": "origin", "answers": {"revision": 1}},
        "by_category": {"from": "origin", "select": {"origin": ["MaybeKnown"]}},
    },
    "tables": {"methods": {"plain": "cit", "theirs": "whole"}, "show": ["stages"]},
}


def load(**changes: Any) -> dict[str, Any]:
    return config.load_config(STUDY | changes, ROOT / "config.yaml", ROOT / "schemas" / "config.schema.json")


def test_the_study_is_read_from_the_config():
    study = study_of(load())
    assert [(s.facts, s.domain, s.revision) for s in study.stages] == [
        (("revised", "kept"), "", 0),
        (("revised",), "", 1),
        (("revised",), "", 2),
    ]
    assert study.methods == {"whole": 3, "cit": 3, "long": 3, "short": 2, "forgetful": 2}
    assert study.method_labels == {name: name for name in study.methods} | {"cit": "CIT"}
    assert study.steps_of == {"long": "whole"} and study.same_steps("whole") == "long" and study.same_steps("cit") == ""
    assert study.roles == {"plain": "cit", "theirs": "whole"}
    assert study.others == {"joint": 3, "again": 3, "other": 3, "first": 1}
    assert study.parents == {"joint": ORIGIN, "again": "whole2", "other": "again", "first": ORIGIN}
    assert (study.rates["whole"], study.rates["cit"], study.rates["joint"]) == (2e-3, 1e-3, 1e-3)
    assert (study.epochs["whole"], study.epochs["short"]) == (10, 4)
    assert (study.trained, study.unseen, study.retests) == ((0,), (3,), 1)
    lines = study.lines(study.models["m"])
    assert [(line.name, line.stage, line.previous) for line in lines if line.key == "forgetful"] == [
        ("forgetful", 2, FIRST)
    ]
    assert [line.state for line in lines][:4] == [FIRST, "whole2", "whole3", "cit2"]


def test_the_stages_of_domains_and_of_the_latest_answers_are_read():
    domains = {"places": ["city_country"], "lives": ["person_city"]}
    revisions = {"domains": domains, "own": 4, "conflicting": 2}
    first = {"facts": ["own"], "domain": "places", "answers": "gold"}
    second = {"facts": ["own", "conflicting"], "domain": "lives", "answers": {"revision": "latest"}}
    others = {"methods": {}, "runs": {}, "tables": {"show": ["domains"]}}
    dataset = STUDY["dataset"] | {"revisions": revisions}
    study = study_of(load(dataset=dataset, stages=[first, second], **others))
    assert [(s.facts, s.domain, s.revision) for s in study.stages] == [
        (("own",), "places", 0),
        (("own", "conflicting"), "lives", None),
    ]


def test_a_model_is_compared_with_none_that_the_paper_of_a_table_lacks():
    loaded = load()
    assert {key: model.paper for key, model in study_of(loaded).models.items()} == {"m": "LLaMA3-8B", "gl": None}
    other = registry.GRADUAL_LEARNING.study_of(loaded)
    assert {key: model.paper for key, model in other.models.items()} == {"m": "LLaMA3-8B", "gl": "Qwen2-7B"}
    both = {*gradual_learning.models(), *registry.TABLES["stages"].reported}
    rules = json.loads((ROOT / "schemas" / "config.schema.json").read_text(encoding="utf-8"))
    assert {*rules["$defs"]["model"]["properties"]["paper"]["enum"]} == both | {None}
    with pytest.raises(InputError, match="'LLaMA'; expected Qwen2-7B or LLaMA3-8B or Llama2-7B") as error:
        load(models={"m": TINY | {"paper": "LLaMA"}})
    assert error.value.key == "models.m.paper"


def test_the_roles_of_methods_are_methods():
    with pytest.raises(
        InputError, match="there is no method 'cti'; expected a known name .did you mean 'cit'"
    ) as error:
        load(tables={"methods": {"plain": "cti"}, "show": ["stages"]})
    assert error.value.key == "tables.methods.plain"
    with pytest.raises(InputError, match="unknown key"):
        load(tables={"methods": {"plane": "cit"}})


def test_needs_and_inputs():
    found = registry.needs("answers", load())
    asked = [need for need in found["m"] if need.kind == GROUP_GRADES]
    assert found["m"][:2] == [Result(GROUPS), Result(REVISIONS)] and found["gl"] == found["m"]
    states = ["whole2", "whole3", "cit2", "cit3", "long2", "long3", "short2", "forgetful2", "joint", "again", "other"]
    assert asked == [*(Result(GROUP_GRADES, state) for state in states), Result(GROUP_GRADES, FIRST, 1)]
    inputs = registry.inputs("answers", load())
    assert inputs[:3] == ["seed0/groups.parquet", "seed0/revisions.parquet", "seed0/m/whole2/groups-0/grades.parquet"]
    assert inputs.count("seed0/groups.parquet") == 1 and len(inputs) == 2 * (2 + 2 * len(asked))
    without = registry.needs("answers", load(probe={"retests": 0}))["m"]
    assert {need.probe for need in without} == {0}


def test_a_table_without_its_stages_is_refused():
    plain = {"stages": [], "methods": {}, "runs": {"mine": {"from": ORIGIN, "select": {ORIGIN: ["MaybeKnown"]}}}}
    tables = {"show": ["stages"]}
    with pytest.raises(
        InputError, match="the runs that Stages is about; expected them in stages, methods, runs, tables"
    ):
        registry.needs("stages", load(**plain, tables=tables))
    with pytest.raises(InputError, match="the runs that Domains is about"):
        registry.needs("domains", load())
    with pytest.raises(
        InputError, match="the runs that Stage claims is about; expected them in stages, methods, tables"
    ):
        registry.needs("stage_claims", load(tables={"methods": {}, "show": ["stage_claims"]}))


@pytest.mark.parametrize("name", [name for name in PACKAGE.tables if name != "domains"])
def test_settings_tell_a_table_the_same_as_the_study(name):
    spec, study = registry.TABLES[name], study_of(load())
    told = parse_study(Study, json.loads(json.dumps(settings_of(spec, study), sort_keys=True)))
    assert {key: spec.needs(told, told.models[key]) for key in told.models} == {
        key: spec.needs(study, model) for key, model in study.models.items()
    }
    for field in ("seeds", "scoring", *spec.uses):
        assert getattr(told, field) == getattr(study, field)
    for field in ("methods", "others"):  # rows come in this order
        assert list(getattr(told, field)) == (list(getattr(study, field)) if field in spec.uses else [])


@pytest.mark.parametrize(
    ("changes", "remade"),
    [
        ({"tables": {"methods": {"plain": "cit"}, "show": ["stages"]}}, {"stages", "stage_claims"}),
        ({"probe": {"retests": 0}}, {"stages", "answers", "retention"}),
        ({"training": {"learning_rate": 1e-4, "epochs": 10}}, {"budgets"}),
        ({"training": {"learning_rate": 1e-3, "epochs": 10, "batch": 64}}, set()),
    ],
)
def test_a_change_of_the_config_re_makes_the_tables_that_use_it(changes, remade):
    def told(name: str, loaded: dict[str, Any]) -> str:
        return json.dumps(settings_of(registry.TABLES[name], study_of(loaded)), sort_keys=True)

    names = set(PACKAGE.tables) - {"domains"}
    if changes.get("tables"):
        changes["tables"]["methods"] = changes["tables"]["methods"] | {"theirs": None}
    assert {name for name in names if told(name, load(**changes)) != told(name, load())} == remade


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
@pytest.mark.parametrize("name", list(PACKAGE.tables))
def test_the_script_writes_every_table(tmp_path, name, seeds):
    made, study = (domain_results, domain_study(seeds)) if name == "domains" else (stage_results, stage_study(seeds))
    for seed in seeds:
        write_results(tmp_path, made(seed=seed))
    files = {kind: tmp_path / path(kind, table=name) for kind in (TABLE_CSV, TABLE_MARKDOWN)}
    told = json.dumps(settings_of(registry.TABLES[name], study), sort_keys=True)
    argv = ["--table", name, "--results", str(tmp_path), "--study", told]
    write_table.main([*argv, "--csv", str(files[TABLE_CSV]), "--markdown", str(files[TABLE_MARKDOWN])])
    spec, frame, text = registry.TABLES[name], pd.read_csv(files[TABLE_CSV]), files[TABLE_MARKDOWN].read_text()
    for table, part in zip(markdown_tables(text), spec.parts, strict=True):
        header, *body = table
        assert header == [column.header for column in part.columns] and len(body) == len(part.rows(frame))
        assert len(set(header)) == len(header) and fits(table), (part.heading, width(table))
        assert not {"nan", "None", "", "NaN"} & {cell for row in body for cell in row}

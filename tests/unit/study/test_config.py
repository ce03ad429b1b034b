"""The config: its schema, and how studies overlay it."""

import shutil
from copy import deepcopy
from dataclasses import fields

import pytest
import yaml
from jsonschema import Draft202012Validator

import describe_config
from configs import (
    ARCHIVE,
    DEFAULT,
    EXTENDED,
    GRADUAL_LEARNING,
    HUB,
    ROOT,
    RULES,
    SAME,
    SCHEMA,
    SETTING_1,
    SETTING_2,
    TINY,
    USES,
    WORLD,
    load,
    revised,
    worded,
)
from gradual.data import facts
from gradual.data.dataset import READERS
from gradual.data.question_sets import QUESTION_SETS
from gradual.data.revisions import ROLES
from gradual.ground.errors import InputError
from gradual.knowledge import categories, golds, scoring
from gradual.knowledge.alignment import ALIGNMENTS
from gradual.probe.engines.load import ENGINES
from gradual.probe.prompts import FORMATS
from gradual.study import config
from gradual.study.load_study import load_files, load_study
from gradual.study.methods import OWN_KEYS
from gradual.study.runs import DRAWN, GOLD, REVISION, runs_of
from gradual.study.steps import EXAMPLE_RULES, STATE_KINDS
from gradual.tables import registry
from gradual.training.objectives import OBJECTIVES
from gradual.training.settings import PreferenceSettings, SampleSettings
from gradual.workflow.works import works_of

OF_EVERY_RUN = {"size_of": None, "label": None, "kind": "trained", "answers": "gold", "scale": 1.0}
OF_EVERY_RUN |= {"augment": None, "steps_of": None, "tokens_of": None}


def test_schema_is_valid_and_describes_every_key():
    Draft202012Validator.check_schema(RULES)

    def walk(path, schema):
        schema = config.resolve(schema, RULES)
        assert path == "models.*" or path == "runs.*" or schema.get("description"), path
        if "properties" in schema:
            assert schema["additionalProperties"] is False, path
            for key, below in schema["properties"].items():
                walk(f"{path}.{key}", below)
        elif isinstance(schema.get("additionalProperties"), dict) and path in ("models", "runs"):
            walk(f"{path}.*", schema["additionalProperties"])

    for section, schema in RULES["properties"].items():
        walk(section, schema)


def test_defaults_of_schema_are_those_of_config_yaml():
    default = yaml.safe_load(DEFAULT.read_text(encoding="utf-8"))

    def agree(path, schema, value):
        if "default" in schema and path not in ("dataset.carve", "extends"):
            assert schema["default"] == value, path
        elif "properties" in schema and path not in ("dataset.carve", "dataset.max_facts"):
            assert set(schema["properties"]) == set(value), path
            for key, below in schema["properties"].items():
                agree(f"{path}.{key}", config.resolve(below, RULES), value[key])
        else:
            assert path in ("extends", "models", "dataset.reader", "dataset.carve"), path

    assert list(RULES["properties"]) == list(default)
    for section, schema in RULES["properties"].items():
        agree(section, config.resolve(schema, RULES), default[section])


def test_a_section_published_without_a_key_is_filled_with_its_default():
    """So a key that comes later does not make published results those of another config."""
    default = yaml.safe_load(DEFAULT.read_text(encoding="utf-8"))
    sections = [key for key, value in default.items() if isinstance(value, dict) and key not in ("dataset", "models")]
    filled = config.with_defaults({section: {} for section in sections}, RULES, RULES)
    assert {section: set(filled[section]) for section in sections} == {key: set(default[key]) for key in sections}


def test_enums_are_what_the_library_has():
    properties, parts = RULES["properties"], RULES["$defs"]
    assert properties["scoring"]["enum"] == list(scoring.RULES)
    assert properties["answers"]["enum"] == list(golds.ANSWERS)
    shown = properties["tables"]["properties"]["show"]["items"]["enum"]
    assert sorted(map(registry.name_of, shown)) == sorted(registry.TABLES)
    assert parts["split"]["enum"] == list(facts.SPLITS)
    assert set(parts["category"]["enum"]) == {*categories.FULL, *categories.GREEDY_ONLY}
    assert properties["probe"]["properties"]["engine"]["enum"] == list(ENGINES)
    assert properties["probe"]["properties"]["format"]["enum"] == list(FORMATS)
    assert properties["dataset"]["properties"]["reader"]["enum"] == list(READERS)
    assert properties["training"]["properties"]["objective"]["enum"] == list(OBJECTIVES)
    preference = properties["training"]["properties"]["preference"]["properties"]
    assert preference["align"]["enum"] == list(ALIGNMENTS)
    assert {*preference} == {field.name for kind in (SampleSettings, PreferenceSettings) for field in fields(kind)}
    assert parts["run"]["properties"]["kind"]["enum"] == list(STATE_KINDS)
    texts = [answers for answers in EXAMPLE_RULES if config._Validator(parts["answers"]).is_valid(answers)]
    assert texts == [GOLD, DRAWN] and [*EXAMPLE_RULES] == [*texts, REVISION]
    assert list(parts["answers"]["properties"]) == [REVISION]
    assert parts["roles"]["items"]["enum"] == list(ROLES)
    assert set(properties["evaluation"]["properties"]["splits"]["items"]["enum"]) <= set(QUESTION_SETS)


def test_a_run_may_override_every_training_key():
    shared = {"replay", "answers", "augment", "steps_of", "tokens_of", "compose"}  # with methods
    own = {"label", "kind", "from", "select", "facts", "domain", "size_of", "scale", *shared}
    overrides = set(RULES["$defs"]["run"]["properties"]) - own
    assert overrides == set(RULES["properties"]["training"]["properties"])
    assert overrides == set(RULES["$defs"]["method"]["properties"]) - {*OWN_KEYS, *shared}


def test_documentation_has_not_drifted():
    describe_config.main(["--check"])


def test_drifted_documentation_is_noticed(tmp_path):
    output = tmp_path / "configuration.md"
    describe_config.main(["--output", str(output)])
    describe_config.main(["--output", str(output), "--check"])
    output.write_text(output.read_text() + "\n")
    with pytest.raises(SystemExit, match="drifted"):
        describe_config.main(["--output", str(output), "--check"])


@pytest.mark.parametrize("path", sorted((ROOT / "studies").glob("*.yaml")), ids=lambda path: path.stem)
def test_studies_are_well_formed(path):
    study = load(yaml.safe_load(path.read_text(encoding="utf-8")))
    assert study["study"] == path.stem


@pytest.mark.parametrize("path", sorted((ROOT / "studies").glob("*.yaml")), ids=lambda path: path.stem)
def test_studies_have_what_the_tables_that_they_show_are_about(path):
    study = load(yaml.safe_load(path.read_text(encoding="utf-8")))
    for shown in study["tables"]["show"]:
        assert registry.needs(registry.name_of(shown), study)


def test_the_symbol_of_an_element_is_not_right_within_another_word():
    study = load(yaml.safe_load((ROOT / "studies" / "elements.yaml").read_text(encoding="utf-8")))
    right = scoring.RULES[study["scoring"]].best
    assert right("H", ("H",)) and right("it is H.", ("H",)) and not right("He", ("H",))


def test_the_default_study_is_config_yaml_which_names_every_key():
    default, extended = (yaml.safe_load(file.read_text(encoding="utf-8")) for file in (DEFAULT, GRADUAL_LEARNING))
    default["dataset"]["single_answer"] = ["train"]  # null until it is known which answers count
    for model in default["models"].values():  # the key that it leaves out where it is null
        model.setdefault("runs", None)
    for run in extended["runs"].values():
        run |= OF_EVERY_RUN | run
    empty = {
        key: value for key, value in default["tables"].items() if key not in ("controls", "frequent_share", "methods")
    }
    assert default["runs"] == default["methods"] == {} and not any([*default["stages"], *empty.values()])
    tables = default["tables"] | extended["tables"]
    assert load() == default | {"runs": extended["runs"], "tables": tables}


def test_a_study_extends_what_it_names_and_what_that_one_extends():
    paper, authors = (load(yaml.safe_load((ROOT / "studies" / f"{n}.yaml").read_text())) for n in ("paper", "authors"))
    assert authors["study"] == "authors" and authors["extends"] == "paper"
    assert authors["runs"] == paper["runs"] and authors["dataset"] == paper["dataset"]
    assert (authors["training"]["learning_rate"], authors["training"]["batch"]) == (3e-4, 4096)
    assert set(load()["runs"]) <= set(paper["runs"])


def test_a_study_of_its_own_name_that_extends_none_has_only_its_own_runs_and_roles():
    study = {"study": "mine", "runs": {"mine": SAME}, "tables": {"show": [2]}}
    loaded = load(study)
    assert list(loaded["runs"]) == ["mine"] and loaded["extends"] is None
    assert loaded["tables"]["one_stage"] is None and loaded["tables"]["strategies"] == []
    assert "stage1" in load(study | {"extends": "gradual_learning"})["runs"]
    assert list(load({"runs": {"mine": SAME}})["runs"])[-1] == "mine" and "stage1" in load({})["runs"]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, "'extends': there is no study 'gradual_learnin'.*did you mean"),
        ({"gradual_learnin": "extends: other", "other": "extends: gradual_learnin"}, "a cycle"),
        ({"gradual_learnin": "[1]"}, "a mapping"),
    ],
)
def test_what_cannot_be_extended_is_named(tmp_path, files, expected):
    shutil.copytree(ROOT / "studies", tmp_path / "studies")
    shutil.copy(DEFAULT, tmp_path / "config.yaml")
    for name, text in files.items():
        (tmp_path / "studies" / f"{name}.yaml").write_text(text)
    with pytest.raises(InputError, match=expected):
        config.load_config({"study": "mine", "extends": "gradual_learnin"}, tmp_path / "config.yaml", SCHEMA)


def test_mappings_merge_deeply_and_lists_are_replaced():
    loaded = load({"training": {"rank": 8}, "probe": {"stop": []}, "seeds": [3, 4]})
    assert (loaded["training"]["rank"], loaded["training"]["alpha"]) == (8, 64)
    assert (loaded["probe"]["stop"], loaded["probe"]["shots"]) == ([], 4)
    assert loaded["seeds"] == [3, 4]


def test_models_and_dataset_are_replaced_whole():
    loaded = load({"models": {"mine": HUB}, "dataset": ARCHIVE})
    assert loaded["models"] == {"mine": HUB | {"dtype": "float32", "paper": None, "runs": None}}
    assert loaded["dataset"]["carve"] == {} and loaded["dataset"]["single_answer"] == ["train"]


def test_which_answers_count_decides_whether_facts_with_several_are_kept_unless_the_study_says_so():
    for answers, kept in (("first", ["train"]), ("any", [])):
        for dataset in (WORLD, ARCHIVE, WORLD | {"single_answer": None}):
            assert load({"answers": answers, "dataset": dataset})["dataset"]["single_answer"] == kept
        own = load({"answers": answers, "dataset": WORLD | {"single_answer": ["test"]}})
        assert own["dataset"]["single_answer"] == ["test"]


def test_answers_change_and_questions_are_reworded_only_where_a_study_says_so():
    for dataset in (load()["dataset"], load({"dataset": ARCHIVE})["dataset"]):
        assert dataset["revisions"] is None and dataset["wordings"] is None
    whole = load(revised(**SETTING_1))["dataset"]["revisions"]
    assert whole["band"] == "quartile" and whole["domains"] == {} and whole["file"] is None
    for revisions in (SETTING_2, {"file": "a.csv", "kept": 3, "columns": {"date": "year"}}):
        assert (
            load({"dataset": ARCHIVE | {"revisions": revisions}})["dataset"]["revisions"].items() >= revisions.items()
        )
    told = load(worded(**USES) | {"corpus": {"reworded": 0.75}})["dataset"]["wordings"]
    assert told == USES | {"columns": None}
    load(worded({"reader": "table", "path": "x"}, **USES | {"columns": ["a", "b", "c"]}))


def test_the_domains_keep_their_order():
    domains = {"z": ["P17"], "a": ["P19"], "m": ["P20"]}
    loaded = load({"dataset": ARCHIVE | {"revisions": SETTING_2 | {"domains": domains}}})
    assert list(loaded["dataset"]["revisions"]["domains"]) == ["z", "a", "m"]


def test_runs_merge_by_name_each_is_replaced_whole_and_null_takes_one_away():
    default = load()["runs"]
    loaded = load(
        {"runs": {"strategy5": SAME | {"from": "stage1"}, "mine": SAME, "round3": None}, "tables": {"rounds": []}}
    )
    assert list(loaded["runs"]) == [*(name for name in default if name != "round3"), "mine"]
    assert default["strategy5"]["epochs"] == 4
    # nothing is left of the default one
    assert loaded["runs"]["strategy5"] == SAME | {"from": "stage1"} | OF_EVERY_RUN
    assert loaded["runs"]["stage1_15"] == default["stage1_15"]
    assert load({"runs": {}})["runs"] == default


def test_a_model_has_all_runs_unless_it_names_its_own():
    loaded = load({"models": {"all": TINY, "some": TINY | {"label": "some", "runs": ["strategy5", "stage1"]}}})
    assert runs_of(loaded, "all") == list(loaded["runs"])
    assert runs_of(loaded, "some") == ["stage1", "strategy5"]  # in the config's order


def test_a_shown_table_says_what_it_lacks():
    """The config alone is well-formed: a table is refused when it is made."""
    study = load({"probe": {"retests": 0}})
    with pytest.raises(InputError, match="no model has the runs that Table 4 is about.*probe.retests") as caught:
        registry.needs("table_04", study)
    assert caught.value.key == "tables.show"


def test_a_settled_study_is_refused_at_its_start_where_it_shows_what_counts_answers():
    study = load({"probe": {"counts": "settled"}})
    with pytest.raises(InputError, match="Scoring counts all answers.* exact, or tables.show without") as caught:
        works_of(study)
    assert caught.value.key == "tables.show"
    shown = [table for table in study["tables"]["show"] if table not in ("scoring", "chance")]
    exact = load({"tables": {"show": shown}})
    assert works_of(load({"probe": {"counts": "settled"}, "tables": {"show": shown}})) == works_of(exact)


def test_loading_leaves_the_overrides_alone():
    overrides = {"dataset": dict(ARCHIVE), "models": {"mine": dict(HUB)}}
    before = deepcopy(overrides)
    load(overrides)["dataset"]["carve"]["dev"] = 0.5
    assert overrides == before
    assert load(overrides)["dataset"]["carve"] == {}


def test_all_problems_are_reported_together():
    wrong = EXTENDED | {
        "study": "mine",
        "seeds": [-1],
        "training": {"rnk": 8},
        "models": {"m": TINY | {"hidden_size": 6}},
    }
    with pytest.raises(InputError) as caught:
        load(wrong | {"tables": {"one_stage": "none"}})
    text = str(caught.value)
    assert text.startswith("mine: 4 problems:")
    for key in ("seeds[0]", "training.rnk", "models.m.hidden_size", "tables.one_stage"):
        assert f"key '{key}': " in text
    assert text.count("; expected ") == 4


@pytest.mark.parametrize("content", [None, "- a\n", "a: [\n"])
def test_a_default_that_cannot_be_read(tmp_path, content):
    path = tmp_path / "config.yaml"
    if content:
        path.write_text(content)
    with pytest.raises(InputError, match="expected"):
        config.load_config({}, path, SCHEMA)


def test_files_lie_over_each_other_and_values_over_files_as_in_snakemake(tmp_path):
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text("study: mine\nextends: gradual_learning\nprobe: {shots: 2, stop: [a, b]}\nseeds: [1, 2]\n")
    second.write_text("probe: {shots: 3}\nseeds: [3]\n")
    loaded = load_files([first, second], {"probe": {"prompts": 5}}, ROOT)
    told = loaded["probe"]
    assert (told["shots"], told["prompts"], told["stop"], loaded["seeds"]) == (3, 5, ["a", "b"], [3])


def test_a_file_of_studies_names_its_own_study(tmp_path):
    shutil.copytree(ROOT / "studies", tmp_path / "studies")
    shutil.copytree(ROOT / "schemas", tmp_path / "schemas")
    shutil.copy(DEFAULT, tmp_path / "config.yaml")
    (tmp_path / "studies/mine.yaml").write_text("study: other\nextends: gradual_learning\n")
    with pytest.raises(InputError, match="mine.yaml, key 'study': 'other'; expected mine"):
        load_study("mine", tmp_path)
    assert load_study(str(tmp_path / "studies/mine.yaml"), tmp_path)["study"] == "other"
    for name in ("", ".", "..", "../studies/paper", "Paper", "paper\n", "none"):
        with pytest.raises(InputError, match="there is no such study; expected one of default, authors"):
            load_study(name, tmp_path)

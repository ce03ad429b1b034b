"""The config: its schema, how studies overlay it, what is refused and how, and the table of runs."""

import json
import shutil
from copy import deepcopy
from dataclasses import asdict, fields
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

import describe_config
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
from gradual.study.result_files import ADAPTER
from gradual.study.runs import (
    DRAWN,
    GOLD,
    REVISION,
    Preference,
    Replay,
    composed,
    probe_mode,
    runs,
    runs_of,
    selected_states,
)
from gradual.study.steps import EXAMPLE_RULES, STATE_KINDS, adapter_chain
from gradual.tables import registry
from gradual.training.objectives import OBJECTIVES
from gradual.training.settings import PreferenceSettings, SampleSettings
from gradual.workflow.works import works_of

ROOT = Path(__file__).resolve().parents[3]
DEFAULT, SCHEMA = ROOT / "config.yaml", ROOT / "schemas" / "config.schema.json"
RULES = json.loads(SCHEMA.read_text(encoding="utf-8"))
GRADUAL_LEARNING = ROOT / "studies" / "gradual_learning.yaml"
DEFAULT_RUNS = yaml.safe_load(GRADUAL_LEARNING.read_text(encoding="utf-8"))["runs"]
SAME = {"from": "origin", "select": {"origin": ["MaybeKnown"]}}
COMPOSE = {"adapter": "compose", "compose": {"sharpness": 8}}
REPLAY = {"category": "HighlyKnown", "ratio": 0.2}
OF_EVERY_RUN = {"size_of": None, "label": None, "kind": "trained", "answers": "gold", "scale": 1.0}
OF_EVERY_RUN |= {"augment": None, "steps_of": None, "tokens_of": None}
PREFERENCE = {"objective": "preference", "preference": {}}
TINY = {
    "label": "tiny",
    "source": "pretrain",
    "architecture": "qwen2",
    "hidden_size": 64,
    "intermediate_size": 128,
    "layers": 2,
    "heads": 4,
    "key_value_heads": 2,
}
NO_ROLES = {"two_stage": None, "longer": [], "strategies": [], "rounds": []} | {
    "controls": {"one_stage": [], "two_stage": []}
}
EXTENDED = {"extends": "gradual_learning"}
HUB = {"label": "hub", "source": "hub", "repo": "owner/name", "revision": "0" * 40}
PACKAGE = {"label": "package", "source": "package", "package": "tiny-model", "version": "0.1", "file": "a/b.gguf"}
PACKAGE |= {"sha256": "0" * 64}
WORLD = {"reader": "world", "carve": {"test": 0.3, "dev": 0.1}}
SETTING_1 = {"count": 2, "facts": 6, "kept": 4, "unrelated": 5}
SETTING_2 = {"domains": {"places": ["P17", "P36"], "lives": ["P19"]}, "own": 6, "conflicting": 3}
USES = {"train": [0], "augment": [1, 2], "test": [3]}
ARCHIVE = {"reader": "entity_questions", "url": "https://example.org/dataset.zip", "sha256": "0" * 64}


def load(overrides=None):
    return config.load_config(overrides or {}, DEFAULT, SCHEMA)


def with_runs(**runs):
    """A study with these runs beside the default ones, of which `stage1` and `strategy5` are plain."""
    return {"runs": {"stage1": SAME, "strategy5": SAME | {"from": "stage1"}} | runs}


def revised(**revisions):
    """A study of the world whose answers change."""
    return {"dataset": WORLD | {"revisions": revisions}}


def worded(dataset=WORLD, **wordings):
    """A study whose questions have other wordings."""
    return {"dataset": dataset | {"wordings": wordings}}


def without(mapping, *keys):
    return {key: value for key, value in mapping.items() if key not in keys}


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


def test_a_run_with_samples_says_how_they_are_drawn_and_weighed_and_other_runs_have_none():
    given = {"objective": "preference", "preference": {"samples": 4, "bound": "none", "target": False}}
    table = runs(load(with_runs(x=SAME | given)))
    assert table["x"].preference == Preference(
        SampleSettings(samples=4, temperature=0.8, top_k=40, align="scoring"),
        PreferenceSettings(alpha=1.0, beta=0.2, bound="none", b=1.0, target=False),
    )
    assert {name for name, run in table.items() if run.preference} == {"x"}
    own = with_runs(x=SAME | {"objective": "cross_entropy", "preference": None})
    table = runs(load({"training": PREFERENCE} | own))
    assert {name for name, run in table.items() if not run.preference} == {"x"}


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


MALFORMED = {
    "unknown section": ({"trainig": {}}, "trainig", "did you mean 'training'"),
    "unknown key": ({"training": {"rnk": 8}}, "training.rnk", "did you mean 'training.rank'"),
    "key of another section": ({"learning_rate": 0.1}, "learning_rate", "' or 'training.learning_rate'?"),
    "key like no other": ({"tables": {"zzz": 1}}, "tables.zzz", "one of one_stage, two_stage, longer, strategies"),
    "key that is no text": ({"runs": with_runs()["runs"] | {True: SAME}}, "runs.True", "quote it in YAML"),
    "unknown key of a model": ({"models": {"m": HUB | {"revison": "x"}}}, "models.m.revison", "'models.m.revision'"),
    "unknown key of a run": (with_runs(x=SAME | {"epoch": 3}), "runs.x.epoch", "'runs.x.epochs'"),
    "null section": ({"corpus": None}, "corpus", "a mapping"),
    "null runs": ({"runs": None}, "runs", "a mapping"),
    "no runs for a role": (
        {"models": {"m": TINY}, "runs": dict.fromkeys(DEFAULT_RUNS)}
        | {"tables": NO_ROLES | {"one_stage": "stage1", "show": [2]}},
        "tables.one_stage",
        "there is no run 'stage1'; expected none",
    ),
    "section that is no mapping": ({"probe": 3}, "probe", "3; expected a mapping"),
    "bad study name": ({"study": "My Study"} | EXTENDED, "study", "'My Study'; expected a name of lower-case letters"),
    "bad run name": (with_runs(**{"Stage-2": SAME}), "runs.Stage-2", "a name of lower-case letters"),
    "bad model name": ({"models": {"7b": HUB}}, "models.7b", "a name of lower-case letters"),
    "published study": (
        {"study": "reference"} | EXTENDED,
        "study",
        "because results/reference/ has the published tables",
    ),
    "study of benchmarks": ({"study": "benchmarks"} | EXTENDED, "study", "another name, because results/benchmarks/"),
    "study of a GPU": ({"study": "gpu"} | EXTENDED, "study", "because results/gpu/ has the measurements of"),
    "study here": ({"study": "."} | EXTENDED, "study", "'.'; expected a name"),
    "run that a table would read as a number": (with_runs(inf=SAME), "runs.inf", "no word for a value"),
    "run that a table would read as missing": (with_runs(nan=SAME), "runs.nan", "no word for a value"),
    "long study name": ({"study": "a" * 41} | EXTENDED, "study", "at most 40 characters"),
    "label of two lines": ({"models": {"m": HUB | {"label": "a\u2028b"}}}, "models.m.label", "one line"),
    "label with a space at its end": ({"models": {"m": HUB | {"label": "a "}}}, "models.m.label", "without spaces"),
    "text with a NUL": ({"probe": {"stop": ["a\0"]}}, "probe.stop[0]", "has a NUL"),
    "text with half a character": ({"probe": {"stop": ["\ud83d"]}}, "probe.stop[0]", "'\\ud83d' is not Unicode"),
    "wildcard in a path": ({"dataset": {"reader": "jsonl", "path": "a/{seed}"}}, "dataset.path", "'{' in a path"),
    "variable in a path": ({"dataset": {"reader": "jsonl", "path": "<results>"}}, "dataset.path", "'<' in a path"),
    "line break in a path": ({"dataset": ARCHIVE | {"manifest": "a\nb"}}, "dataset.manifest", "'\\n' in a path"),
    "wildcard in the path of a model": (
        {"models": {"m": {"label": "m", "source": "folder", "path": "{model}"}}},
        "models.m.path",
        "without { } < >",
    ),
    "too many shards": ({"probe": {"shards": 1001}}, "probe.shards", "at most 1000"),
    "no seeds": ({"seeds": []}, "seeds", "at least one"),
    "repeated seed": ({"seeds": [1, 1]}, "seeds", "none twice"),
    "negative seed": ({"seeds": [0, -1]}, "seeds[1]", "-1; expected an integer, at least 0"),
    "float for an integer": ({"training": {"epochs": 3.0}}, "training.epochs", "3.0; expected an integer"),
    "bool for an integer": ({"training": {"rank": True}}, "training.rank", "True; expected an integer"),
    "text for a number": ({"training": {"learning_rate": "5e-4"}}, "training.learning_rate", "write a point"),
    "not a number": ({"training": {"learning_rate": float("nan")}}, "training.learning_rate", "a number"),
    "temperature of zero": ({"probe": {"temperature": 0}}, "probe.temperature", "0; expected a number, more than 0"),
    "top_k of zero": ({"probe": {"top_k": 0}}, "probe.top_k", "an integer, at least 1"),
    "share above one": ({"corpus": {"contested": 1.5}}, "corpus.contested", "at most 1"),
    "two retests": ({"probe": {"retests": 2}}, "probe.retests", "2; expected an integer, at least 0 and at most 1"),
    "batch of zero": ({"training": {"batch": 0}}, "training.batch", "at least 1"),
    "unknown scoring": ({"scoring": "f1"}, "scoring", "substring or case_sensitive or word_boundary or exact"),
    "unknown table": ({"tables": {"show": [2, 13]}}, "tables.show[1]", "13; expected 2 or 3 or 4 or 5"),
    "unknown target": ({"training": {"targets": ["lm_head"]}}, "training.targets[0]", "q_proj or k_proj"),
    "dataset without reader": (
        {"dataset": {"relations": ["P17"]}},
        "dataset.reader",
        "replaced as a whole, not merged",
    ),
    "unknown reader": ({"dataset": {"reader": "csv"}}, "dataset.reader", "world or table or entity_questions"),
    "world with a path": (
        {"dataset": WORLD | {"path": "data"}},
        "dataset.path",
        "null, because reader: world reads no files",
    ),
    "world without test": ({"dataset": WORLD | {"carve": {"dev": 0.1}}}, "dataset.carve.test", "a share"),
    "reader without files": ({"dataset": {"reader": "wikiqa"}}, "dataset.path", "the raw files of reader: wikiqa"),
    "nothing to ask": (
        {"dataset": WORLD | {"carve": {"test": 0.3, "dev": 0.1}}, "corpus": {"asked": 0}},
        "corpus.asked",
        "facts that question documents may ask",
    ),
    "nothing ever stated": ({"corpus": {"never_stated": 1}}, "corpus.never_stated", "less than 1"),
    "url without digest": ({"dataset": without(ARCHIVE, "sha256")}, "dataset.sha256", "or a manifest"),
    "digest without url": (
        {"dataset": without(ARCHIVE, "url") | {"path": "x"}},
        "dataset.sha256",
        "null, because there is no url",
    ),
    "short digest": ({"dataset": ARCHIVE | {"sha256": "abc"}}, "dataset.sha256", "64 hexadecimal digits"),
    "columns of a known layout": (
        {"dataset": {"reader": "popqa", "path": "x", "columns": {"question": "q"}}},
        "dataset.columns",
        "table or jsonl",
    ),
    "columns without a known name": (
        {"dataset": {"reader": "table", "path": "x", "columns": {"answer": "q"}}},
        "dataset.columns.answer",
        "dataset.columns.answers",
    ),
    "files of an own format": (
        {"dataset": {"reader": "wikiqa", "path": "x", "files": {"train": "a"}}},
        "dataset.files",
        "only with reader: table",
    ),
    "address of another kind": ({"dataset": ARCHIVE | {"url": "ftp://x/y"}}, "dataset.url", "https://"),
    "all of train carved": ({"dataset": WORLD | {"carve": {"test": 0.5, "dev": 0.5}}}, "dataset.carve", "less than 1"),
    "facts of no split": ({"dataset": WORLD | {"max_facts": {"tran": 3}}}, "dataset.max_facts.tran", "max_facts.train"),
    "exemplars of no split": (
        {"dataset": WORLD, "probe": {"exemplar_split": "support"}},
        "probe.exemplar_split",
        "dataset.carve.support",
    ),
    "revisions of nothing": (revised(kept=3), "dataset.revisions", "one of facts, domains, file"),
    "revisions in two ways": (revised(**SETTING_1, file="a.csv"), "dataset.revisions", "facts and file together"),
    "revisions without count": (
        revised(facts=3),
        "dataset.revisions.count",
        "because dataset.revisions.facts is given",
    ),
    "count of no facts": (
        revised(**SETTING_2, count=1),
        "dataset.revisions.count",
        "no such key with dataset.revisions.dom",
    ),
    "own facts without domains": (revised(**SETTING_1, own=3), "dataset.revisions.own", "dataset.revisions.facts"),
    "domains that own nothing": (
        revised(**without(SETTING_2, "own")),
        "dataset.revisions.own",
        "because dataset.revisions.domains",
    ),
    "kept facts of domains": (revised(**SETTING_2, kept=1), "dataset.revisions.kept", "dataset.revisions.domains"),
    "band of a file": (revised(file="a.csv", band="half"), "dataset.revisions.band", "dataset.revisions.file"),
    "columns of no file": (revised(**SETTING_1, columns={"date": "d"}), "dataset.revisions.columns", "no such key"),
    "unknown column": (
        revised(file="a.csv", columns={"dat": "d"}),
        "dataset.revisions.columns.dat",
        "did you mean 'dataset.revisions.columns.date'",
    ),
    "unknown key of revisions": (revised(**SETTING_1, unrelatd=3), "dataset.revisions.unrelatd", "unrelated'"),
    "unknown band": (revised(**SETTING_1, band="third"), "dataset.revisions.band", "quartile or half or all"),
    "a relation in two domains": (
        revised(**SETTING_2 | {"domains": {"a": ["P17"], "b": ["P19", "P17"]}}),
        "dataset.revisions.domains.b[1]",
        "is also of the domain a",
    ),
    "a domain with a bad name": (
        revised(**SETTING_2 | {"domains": {"My places": ["P17"]}}),
        "dataset.revisions.domains.My places",
        "a name of lower-case letters",
    ),
    "a domain of left-out relations": (
        {"dataset": ARCHIVE | {"relations": ["P17", "P19"], "revisions": SETTING_2}},
        "dataset.revisions.domains.places[1]",
        "'P36' is not in dataset.relations; expected one of P17, P19",
    ),
    "revised relations that are left out": (
        {"dataset": ARCHIVE | {"relations": ["P17"], "revisions": SETTING_1 | {"relations": ["P18"]}}},
        "dataset.revisions.relations[0]",
        "did you mean 'P17'",
    ),
    "more conflicting facts than own ones": (
        revised(**SETTING_2 | {"conflicting": 7}),
        "dataset.revisions.conflicting",
        "at most dataset.revisions.own (6)",
    ),
    "more facts in groups than train has": (
        {"dataset": ARCHIVE | {"max_facts": {"train": 14}, "revisions": SETTING_1}},
        "dataset.revisions",
        "15 facts in its groups; expected at most dataset.max_facts.train (14)",
    ),
    "more facts of domains than train has": (
        {"dataset": ARCHIVE | {"max_facts": {"train": 11}, "revisions": SETTING_2}},
        "dataset.revisions",
        "12 facts in its groups",
    ),
    "a file of revisions with braces": (revised(file="{x}.csv"), "dataset.revisions.file", "a path without"),
    "a wording without a template": (worded(test=[4]), "dataset.wordings.test[0]", "4; expected a wording from 0 to 3"),
    "a tested wording that is trained": (
        worded(augment=[1], test=[2, 1]),
        "dataset.wordings.test[1]",
        "1, which is also in dataset.wordings.augment",
    ),
    "wordings of a dataset without templates": (
        worded({"reader": "popqa", "path": "x"}, test=[1]),
        "dataset.wordings.columns",
        "reader: world or entity_questions",
    ),
    "columns of wordings in the world": (
        worded(columns=["a"]),
        "dataset.wordings.columns",
        "only with reader: table or jsonl",
    ),
    "more wordings than columns": (
        worded({"reader": "table", "path": "x"}, test=[2], columns=["a"]),
        "dataset.wordings.test[0]",
        "a wording from 0 to 1",
    ),
    "an unknown use of a wording": (worded(tset=[1]), "dataset.wordings.tset", "did you mean 'dataset.wordings.test'"),
    "a wording by name": (worded(test=["formal"]), "dataset.wordings.test[0]", "an integer, at least 0"),
    "other wordings in a corpus without them": (
        worded(train=[0]) | {"corpus": {"reworded": 0.5}},
        "corpus.reworded",
        "other wordings in dataset.wordings",
    ),
    "model without label": ({"models": {"m": without(HUB, "label")}}, "models.m.label", "this key"),
    "model without source": ({"models": {"m": without(TINY, "source")}}, "models.m.source", "this key"),
    "pretrain without layers": ({"models": {"m": without(TINY, "layers")}}, "models.m.layers", "source: pretrain"),
    "folder without path": ({"models": {"m": {"label": "m", "source": "folder"}}}, "models.m.path", "source: folder"),
    "hub without revision": ({"models": {"m": without(HUB, "revision")}}, "models.m.revision", "source: hub"),
    "hub at a branch": ({"models": {"m": HUB | {"revision": "main"}}}, "models.m.revision", "40 hexadecimal digits"),
    "package without digest": ({"models": {"m": without(PACKAGE, "sha256")}}, "models.m.sha256", "source: package"),
    "package without a file": ({"models": {"m": without(PACKAGE, "file")}}, "models.m.file", "source: package"),
    "package of many versions": ({"models": {"m": PACKAGE | {"version": "0.*"}}}, "models.m.version", "one version"),
    "a version that is a number": ({"models": {"m": PACKAGE | {"version": 0.1}}}, "models.m.version", "in quotes"),
    "an option for pip": ({"models": {"m": PACKAGE | {"package": "-r x"}}}, "models.m.package", "name of a package"),
    "a path out of the wheel": (
        {"models": {"m": PACKAGE | {"file": "../b.gguf"}}},
        "models.m.file",
        "a path that ends in .gguf, below",
    ),
    "a path out of the folder": (
        {"models": {"m": {"label": "m", "source": "folder", "path": "x", "gguf_file": "/x.gguf"}}},
        "models.m.gguf_file",
        "a path that ends in .gguf, below",
    ),
    "a GGUF file with braces": (
        {"models": {"m": {"label": "m", "source": "folder", "path": "x", "gguf_file": "{x}.gguf"}}},
        "models.m.gguf_file",
        "a path without",
    ),
    "package with a GGUF file": (
        {"models": {"m": PACKAGE | {"gguf_file": "b.gguf"}}},
        "models.m.gguf_file",
        "no such key with source: package",
    ),
    "pretrain with a GGUF file": ({"models": {"m": TINY | {"gguf_file": "b.gguf"}}}, "models.m.gguf_file", "pretrain"),
    "hub with a package": ({"models": {"m": HUB | {"package": "x"}}}, "models.m.package", "source: hub"),
    "pretrain with a repo": ({"models": {"m": TINY | {"repo": "a/b"}}}, "models.m.repo", "source: pretrain"),
    "unknown paper model": (
        {"models": {"m": HUB | {"paper": "GPT"}}},
        "models.m.paper",
        "Qwen2-7B or LLaMA3-8B or Llama2-7B",
    ),
    "heads of odd size": (
        {"models": {"m": TINY | {"hidden_size": 20}}},
        "models.m.hidden_size",
        "multiple of 2 x heads",
    ),
    "heads without groups": ({"models": {"m": TINY | {"key_value_heads": 3}}}, "models.m.heads", "key_value_heads (3)"),
    "two models of one label": (
        {"models": {"a": HUB, "b": HUB}},
        "models.b.label",
        "'hub', the label of models.a",
    ),
    "chat without a template": ({"models": {"m": TINY}, "probe": {"format": "chat"}}, "probe.format", "plain"),
    "table that is no integer": ({"tables": {"show": [2.0]}}, "tables.show[0]", "2.0; expected 2 or 3 or 4 or 5"),
    "batch of no micro batches": ({"training": {"micro_batch": 5}}, "training.micro_batch", "a divisor of the batch"),
    "objective without its section": (
        with_runs(x=SAME | {"objective": "preference"}),
        "runs.x.preference",
        "missing; expected a section, because of objective: preference",
    ),
    "section without its objective": (
        with_runs(x=SAME | {"preference": {"beta": 1}}),
        "runs.x.preference",
        "given, but the objective is cross_entropy; expected null, or objective: preference",
    ),
    "section of all runs without its objective": (
        {"training": {"preference": {}}},
        "training.preference",
        "given, but the objective is cross_entropy",
    ),
    "run of another objective than all runs": (
        {"training": PREFERENCE} | with_runs(x=SAME | {"objective": "cross_entropy"}),
        "runs.x.preference",
        "expected null, or objective: preference",
    ),
    "preference of whole texts": (
        with_runs(x=SAME | PREFERENCE | {"loss_on": "text"}),
        "runs.x.loss_on",
        "answer, because the samples are answers",
    ),
    "replay without a loss": (
        with_runs(x=SAME | {"objective": "preference", "preference": {"target": False}, "replay": REPLAY}),
        "runs.x.preference.target",
        "true, or no replay",
    ),
    "a limit of no bound": (
        with_runs(x=SAME | {"objective": "preference", "preference": {"bound": "none", "b": 2.0}}),
        "runs.x.preference.b",
        "2.0 with bound: none, where it has no effect",
    ),
    "no loss at all": (
        with_runs(x=SAME | {"objective": "preference", "preference": {"target": False, "alpha": 0, "beta": 0}}),
        "runs.x.preference.target",
        "so there is no loss",
    ),
    "unknown bound": (
        with_runs(x=SAME | {"objective": "preference", "preference": {"bound": "dpo"}}),
        "runs.x.preference.bound",
        "'dpo'; expected npo or none",
    ),
    "unknown key of preference": (
        with_runs(x=SAME | {"objective": "preference", "preference": {"gamma": 1}}),
        "runs.x.preference.gamma",
        "unknown key",
    ),
    "target that is no yes or no": (
        with_runs(x=SAME | {"objective": "preference", "preference": {"target": 1}}),
        "runs.x.preference.target",
        "1; expected true or false",
    ),
    "a run's batch": (with_runs(x=SAME | {"batch": 40}), "runs.x.micro_batch", "a batch of 40 is not a multiple of 32"),
    "run without from": (with_runs(x=without(SAME, "from")), "runs.x.from", "this key"),
    "run without select": (with_runs(x=without(SAME, "select")), "runs.x.select", "this key"),
    "empty select": (with_runs(x=SAME | {"select": {}}), "runs.x.select", "at least one key"),
    "no categories": (with_runs(x=SAME | {"select": {"origin": []}}), "runs.x.select.origin", "at least one"),
    "unknown category": (
        with_runs(x=SAME | {"select": {"origin": ["Maybe"]}}),
        "runs.x.select.origin[0]",
        "HighlyKnown or MaybeKnown",
    ),
    "replay of everything twice": (
        with_runs(x=SAME | {"replay": {"category": "HighlyKnown", "ratio": 2}}),
        "runs.x.replay.ratio",
        "2; expected a number, more than 0 and at most 1",
    ),
    "run named base": (with_runs(base=SAME), "runs.base", "the folder of the base model"),
    "run named origin": (with_runs(origin=SAME), "runs.origin", "the untouched model"),
    "unknown parent": (with_runs(x=SAME | {"from": "stage_1"}), "runs.x.from", "did you mean 'stage1'"),
    "unknown state": (
        with_runs(x=SAME | {"select": {"orign": ["MaybeKnown"]}}),
        "runs.x.select.orign",
        "did you mean 'origin'",
    ),
    "unknown replay state": (
        with_runs(x=SAME | {"replay": {"category": "HighlyKnown", "ratio": 0.2, "state": "stag1"}}),
        "runs.x.replay.state",
        "did you mean 'stage1'",
    ),
    "run from itself": (with_runs(x=SAME | {"from": "x"}), "runs.x", "x needs x: a cycle"),
    "cycle of parents": (with_runs(x=SAME | {"from": "y"}, y=SAME | {"from": "x"}), "runs.", "a cycle"),
    "cycle through a selection": (
        with_runs(x=SAME | {"select": {"y": ["MaybeKnown"]}}, y=SAME | {"from": "x"}),
        "runs.",
        "states that exist before the run",
    ),
    "category of greedy probes": (
        with_runs(x=SAME | {"select": {"stage1": ["WeaklyKnown"]}}),
        "runs.x.select.stage1[0]",
        "because probe.trained_states is greedy",
    ),
    "category of full probes": (
        with_runs(x=SAME | {"select": {"origin": ["WeaklyKnown & Unknown"]}}),
        "runs.x.select.origin[0]",
        "WeaklyKnown or Unknown",
    ),
    "replayed category of greedy probes": (
        with_runs(x=SAME | {"from": "stage1", "replay": {"category": "Unknown", "ratio": 0.2}}),
        "runs.x.replay.category",
        "because probe.trained_states is greedy",
    ),
    "continued adapter of another rank": (
        with_runs(x=SAME | {"from": "stage1", "rank": 8}),
        "runs.x.rank",
        "64, as in the adapter of stage1 that it continues, or adapter: merge",
    ),
    "table of no run": ({"tables": {"one_stage": "stage"}}, "tables.one_stage", "did you mean 'stage1'"),
    "runs without the tables'": (
        {"models": {"m": TINY}, "runs": dict.fromkeys(["strategy5", "round3"])}
        | {"tables": {"strategies": ["strategy1"], "rounds": [], "replay": []}},
        "tables.two_stage",
        "there is no run 'strategy5'",
    ),
    "choice on what is not evaluated": ({"evaluation": {"splits": ["test"]}}, "choose_on", "evaluation.splits (test)"),
    "tables without test": ({"evaluation": {"splits": ["dev"]}}, "evaluation.splits", "test among them"),
    "runs that are a list": ({"runs": ["stage1"]}, "runs", "['stage1']; expected a mapping"),
    "no such run to remove": ({"runs": {"stage_1": None}}, "runs.stage_1", "did you mean 'stage1'"),
    "a run that is no mapping": (with_runs(x="stage1"), "runs.x", "'stage1'; expected a mapping"),
    "a run's setting alone": (
        {"runs": {"stage1": {"from": "origin", "epochs": 3}}},
        "runs.stage1.select",
        "not merged",
    ),
    "a run from nothing": (with_runs(x=SAME | {"from": None}), "runs.x.from", "None; expected a text"),
    "a run from two": (with_runs(x=SAME | {"from": ["stage1"]}), "runs.x.from", "['stage1']; expected a text"),
    "select that is a list": (with_runs(x=SAME | {"select": ["MaybeKnown"]}), "runs.x.select", "a mapping"),
    "category that is no list": (
        with_runs(x=SAME | {"select": {"origin": "MaybeKnown"}}),
        "runs.x.select.origin",
        "'MaybeKnown'; expected a list of: HighlyKnown or",
    ),
    "category twice": (
        with_runs(x=SAME | {"select": {"origin": ["MaybeKnown"] * 2}}),
        "runs.x.select.origin",
        "none twice",
    ),
    "size of no run": (with_runs(x=SAME | {"size_of": "stage_1"}), "runs.x.size_of", "did you mean 'stage1'"),
    "size of the origin": (with_runs(x=SAME | {"size_of": "origin"}), "runs.x.size_of", "there is no run 'origin'"),
    "size that is a number": (with_runs(x=SAME | {"size_of": 30}), "runs.x.size_of", "30; expected the name of a run"),
    "size of itself": (with_runs(x=SAME | {"size_of": "x"}), "runs.x", "x needs x: a cycle"),
    "sizes of each other": (
        with_runs(x=SAME | {"size_of": "y"}, y=SAME | {"size_of": "x"}),
        "runs.",
        "states that exist before the run",
    ),
    "size of a child": (with_runs(x=SAME | {"size_of": "y"}, y=SAME | {"from": "x"}), "runs.", "a cycle"),
    "replay from a child": (
        with_runs(x=SAME | {"replay": REPLAY | {"state": "y"}}, y=SAME | {"from": "x"}),
        "runs.",
        "a cycle",
    ),
    "replay without ratio": (
        with_runs(x=SAME | {"replay": without(REPLAY, "ratio")}),
        "runs.x.replay.ratio",
        "this key",
    ),
    "replay that is a text": (with_runs(x=SAME | {"replay": "HighlyKnown"}), "runs.x.replay", "a mapping or null"),
    "replay of no category": (
        with_runs(x=SAME | {"replay": REPLAY | {"category": "Highly"}}),
        "runs.x.replay.category",
        "'Highly'; expected HighlyKnown or",
    ),
    "unknown key of a replay": (
        with_runs(x=SAME | {"replay": REPLAY | {"stat": "origin"}}),
        "runs.x.replay.stat",
        "did you mean 'runs.x.replay.state'",
    ),
    "a run's epochs": (with_runs(x=SAME | {"epochs": 0}), "runs.x.epochs", "0; expected an integer, at least 1"),
    "a run's learning rate": (with_runs(x=SAME | {"learning_rate": "1e-4"}), "runs.x.learning_rate", "write a point"),
    "a run's adapter": (
        with_runs(x=SAME | {"adapter": "new"}),
        "runs.x.adapter",
        "'new'; expected continue or merge or compose",
    ),
    "a composition without its settings": (
        with_runs(x=SAME | {"from": "stage1", "adapter": "compose"}),
        "runs.x.compose",
        "missing; expected this key, because of adapter: compose",
    ),
    "settings of a composition without one": (
        with_runs(x=SAME | {"from": "stage1", "compose": {"sharpness": 8}}),
        "runs.x.compose",
        "{'sharpness': 8}; expected it only with adapter: compose",
    ),
    "a composition without a sharpness": (
        with_runs(x=SAME | COMPOSE | {"from": "stage1", "compose": {}}),
        "runs.x.compose.sharpness",
        "missing",
    ),
    "a composition without any sharpness": (
        with_runs(x=SAME | COMPOSE | {"from": "stage1", "compose": {"sharpness": 0}}),
        "runs.x.compose.sharpness",
        "0; expected a number, more than 0 and at most 100",
    ),
    "a composition of a continued adapter": (
        with_runs(x=SAME | COMPOSE | {"from": "strategy5"}),
        "runs.x.from",
        "'strategy5', and the adapter of strategy5 was trained on another state; expected a run from origin",
    ),
    "a composition of a merged adapter": (
        with_runs(y=SAME | {"from": "stage1", "adapter": "merge"}, x=SAME | COMPOSE | {"from": "y"}),
        "runs.x.from",
        "'y', and the adapter of y was trained on another state",
    ),
    "a composition of adapters of other targets": (
        with_runs(x=SAME | COMPOSE | {"from": "stage1", "targets": ["q_proj"]}),
        "runs.x.targets",
        "['q_proj'], but stage1 has",
    ),
    "continued adapter of other targets": (
        with_runs(x=SAME | {"from": "stage1", "targets": ["q_proj"]}),
        "runs.x.targets",
        "as in the adapter of stage1 that it continues",
    ),
    "a model's runs of no such name": (
        {"models": {"m": TINY | {"runs": ["stage1", "stag1"]}}},
        "models.m.runs[1]",
        "there is no run 'stag1'; expected a known name (did you mean 'stage1'?)",
    ),
    "a model's run without its parent": (
        {"models": {"m": TINY | {"runs": ["strategy5"]}}},
        "models.m.runs[0]",
        "strategy5 needs stage1; expected stage1 among the runs of the model",
    ),
    "a model's run without what gives its size": (
        {"models": {"m": TINY | {"runs": ["random"]}}},
        "models.m.runs[0]",
        "random needs stage1",
    ),
    "a model's run without what it selects by": (
        {"models": {"m": TINY | {"runs": ["x", "stage1"]}}}
        | with_runs(x=SAME | {"select": {"strategy5": ["MaybeKnown"]}}),
        "models.m.runs[0]",
        "x needs strategy5",
    ),
    "a model's run without what it replays": (
        {"models": {"m": TINY | {"runs": ["x"]}}} | with_runs(x=SAME | {"replay": REPLAY | {"state": "stage1"}}),
        "models.m.runs[0]",
        "x needs stage1",
    ),
    "a model without runs": ({"models": {"m": TINY | {"runs": []}}}, "models.m.runs", "at least one"),
    "a model's run twice": ({"models": {"m": TINY | {"runs": ["stage1"] * 2}}}, "models.m.runs", "none twice"),
    "a model's runs that are a text": ({"models": {"m": TINY | {"runs": "stage1"}}}, "models.m.runs", "a list of"),
    "the origin among a model's runs": (
        {"models": {"m": TINY | {"runs": ["origin"]}}},
        "models.m.runs[0]",
        "there is no run 'origin'",
    ),
    "models that are a list": ({"models": [HUB]}, "models", "a mapping with at least one key"),
    "no models": ({"models": {}}, "models", "a mapping with at least one key"),
    "a model taken away": ({"models": {"qwen2": None}}, "models.qwen2", "None; expected a mapping"),
    "empty label": ({"models": {"m": HUB | {"label": ""}}}, "models.m.label", "a text that is not empty"),
    "unknown source": ({"models": {"m": HUB | {"source": "disk"}}}, "models.m.source", "pretrain or folder or hub"),
    "unknown dtype": ({"models": {"m": HUB | {"dtype": "fp16"}}}, "models.m.dtype", "float32 or bfloat16 or auto"),
    "unknown architecture": ({"models": {"m": TINY | {"architecture": "gpt2"}}}, "models.m.architecture", "or llama"),
    "no layers": ({"models": {"m": TINY | {"layers": 0}}}, "models.m.layers", "an integer, at least 1"),
    "layers in words": (
        {"models": {"m": TINY | {"layers": "three"}}},
        "models.m.layers",
        "'three'; expected an integer",
    ),
    "repository without owner": ({"models": {"m": HUB | {"repo": "name"}}}, "models.m.repo", "expected owner/name"),
    "hub with a path": ({"models": {"m": HUB | {"path": "x"}}}, "models.m.path", "no such key with source: hub"),
    "folder with a revision": (
        {"models": {"m": {"label": "m", "source": "folder", "path": "x", "revision": "0" * 40}}},
        "models.m.revision",
        "no such key with source: folder",
    ),
    "stage that is a list": ({"tables": {"one_stage": ["stage1"]}}, "tables.one_stage", "the name of a run"),
    "stage that is the origin": ({"tables": {"one_stage": "origin"}}, "tables.one_stage", "there is no run 'origin'"),
    "longer training of no run": ({"tables": {"longer": ["stage1", "stag1"]}}, "tables.longer[1]", "mean 'stage1'"),
    "strategy of no run": ({"tables": {"strategies": ["strategy6"]}}, "tables.strategies[0]", "no run 'strategy6'"),
    "strategies that are a text": ({"tables": {"strategies": "strategy1"}}, "tables.strategies", "a list of: a name"),
    "strategies of null": ({"tables": {"strategies": None}}, "tables.strategies", "None; expected a list of"),
    "round of no run": ({"tables": {"rounds": ["round4"]}}, "tables.rounds[0]", "did you mean 'round3'"),
    "round twice": ({"tables": {"rounds": ["round3"] * 2}}, "tables.rounds", "none twice"),
    "rounds that are a mapping": ({"tables": {"rounds": {"round3": 1}}}, "tables.rounds", "a list of: a name"),
    "round in a list of lists": (
        {"tables": {"rounds": [["round3"]]}},
        "tables.rounds[0]",
        "a name of lower-case letters",
    ),
    "controls that are a list": ({"tables": {"controls": ["random"]}}, "tables.controls", "a mapping"),
    "controls of no stage": (
        {"tables": {"controls": {"three_stage": []}}},
        "tables.controls.three_stage",
        "did you mean 'tables.controls.two_stage'",
    ),
    "control of no run": (
        {"tables": {"controls": {"one_stage": ["rnadom"]}}},
        "tables.controls.one_stage[0]",
        "did you mean 'random'",
    ),
    "control of no run after stage 1": (
        {"tables": {"controls": {"two_stage": ["train_off"]}}},
        "tables.controls.two_stage[0]",
        "did you mean 'train_on'",
    ),
    "replay of no run": ({"tables": {"replay": ["strategy4", "replay0"]}}, "tables.replay[1]", "no run 'replay0'"),
    "replay of a number": ({"tables": {"replay": [0.1]}}, "tables.replay[0]", "0.1; expected a name"),
    "tables that are a list": ({"tables": [2]}, "tables", "[2]; expected a mapping"),
    "no tables": ({"tables": {"show": []}}, "tables.show", "at least one"),
    "table twice": ({"tables": {"show": [2, 2]}}, "tables.show", "none twice"),
    "table by a number in quotes": ({"tables": {"show": ["2"]}}, "tables.show[0]", "'2'; expected 2 or 3"),
    "table that is true": ({"tables": {"show": [True]}}, "tables.show[0]", "True; expected 2 or 3"),
    "all tables": ({"tables": {"show": "all"}}, "tables.show", "'all'; expected a list of: 2 or 3"),
    "a single seed": ({"seeds": 3}, "seeds", "3; expected a list of: an integer"),
    "seed in quotes": ({"seeds": ["0"]}, "seeds[0]", "'0'; expected an integer"),
    "seed that numpy cannot take": ({"seeds": [2**31]}, "seeds[0]", "at most 2147483647"),
    "study that is a number": ({"study": 3} | EXTENDED, "study", "3; expected a name of lower-case letters"),
    "study elsewhere": ({"study": "../other"} | EXTENDED, "study", "'../other'; expected a name of lower-case letters"),
    "one prompt": ({"probe": {"prompts": 1}}, "probe.prompts", "1; expected an integer, at least 2"),
    "no shards": ({"probe": {"shards": 0}}, "probe.shards", "0; expected an integer, at least 1"),
    "stop that is a text": ({"probe": {"stop": ";"}}, "probe.stop", "';'; expected a list of: a text"),
    "stop at nothing": ({"probe": {"stop": [""]}}, "probe.stop[0]", "''; expected a text that is not empty"),
    "endless temperature": ({"probe": {"temperature": float("inf")}}, "probe.temperature", "inf; expected a number"),
    "unknown engine": ({"probe": {"engine": "sglang"}}, "probe.engine", "'sglang'; expected transformers or vllm"),
    "section in another": ({"probe": {"training": {}}}, "probe.training", "unknown key; expected one of engine"),
    "no learning": ({"training": {"learning_rate": 0}}, "training.learning_rate", "0; expected a number, more than 0"),
    "all dropped out": ({"training": {"dropout": 1}}, "training.dropout", "1; expected a number, at least 0 and less"),
    "no targets": ({"training": {"targets": []}}, "training.targets", "at least one"),
    "dataset by name alone": ({"dataset": "wikiqa"}, "dataset", "'wikiqa'; expected a mapping"),
    "no dataset": ({"dataset": None}, "dataset", "None; expected a mapping"),
    "relation that is a text": (
        {"dataset": WORLD | {"relations": "P17"}},
        "dataset.relations",
        "'P17'; expected a list",
    ),
    "train carved off train": (
        {"dataset": WORLD | {"carve": {"train": 0.3, "test": 0.3, "dev": 0.1}}},
        "dataset.carve.train",
        "unknown key; expected one of test, dev, support",
    ),
    "single answers of no split": (
        {"dataset": WORLD | {"single_answer": ["validation"]}},
        "dataset.single_answer[0]",
        "'validation'; expected train or dev",
    ),
    "more works than names": ({"world": {"works": 2000}}, "world.works", "at most 1840"),
    "too few words": ({"corpus": {"words": 10}}, "corpus.words", "10; expected an integer, at least 1000"),
    "vocabulary without all bytes": ({"pretraining": {"vocabulary": 100}}, "pretraining.vocabulary", "at least 258"),
    "rows beyond the positions": ({"pretraining": {"row_tokens": 4096}}, "pretraining.row_tokens", "at most 1024"),
    "evaluation without seed": ({"evaluation": {"seed": None}}, "evaluation.seed", "None; expected an integer"),
    "choice on train": ({"choose_on": "train"}, "choose_on", "'train'; expected dev or test"),
}


@pytest.mark.parametrize(("overrides", "key", "hint"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_configs_are_refused(overrides, key, hint):
    with pytest.raises(InputError) as caught:
        load(overrides)
    assert caught.value.key.startswith(key) if key.endswith(".") else caught.value.key == key
    assert hint in str(caught.value)
    name = overrides.get("study")
    assert caught.value.file == (name if isinstance(name, str) else "config")


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


def test_runs_have_the_training_defaults_and_their_overrides():
    loaded = load()
    table = runs(loaded)
    trained = {k: v for k, v in loaded["training"].items() if k not in ("adapter", "preference")}
    trained["targets"] = tuple(trained["targets"])
    assert list(table) == list(DEFAULT_RUNS)
    assert asdict(table["stage1"].training) == trained and table["stage1"].replay is None
    assert asdict(table["strategy5"].training) == trained | {"learning_rate": 2.5e-4, "epochs": 4}
    assert table["strategy5"].parent == "stage1"
    assert table["strategy5"].size_of is None and table["random"].size_of == "stage1"
    assert table["strategy5"].replay == Replay(0.2, "stage1", "HighlyKnown")
    assert {name for name, run in table.items() if run.answers != "gold"} == {"drawn_answers"}
    assert table["drawn_answers"].select == table["stage1"].select and table["drawn_answers"].answers == "drawn"


def test_selected_states():
    replay = {"category": "HighlyKnown", "ratio": 0.2}
    study = with_runs(
        x=SAME | {"from": "stage1", "select": {"strategy5": ["MaybeKnown"], "origin": ["WeaklyKnown"]}},
        y=SAME | {"from": "x", "replay": replay},
        z=SAME | {"from": "x", "replay": replay | {"state": "stage1"}},
    )
    table = runs(load(study))
    assert selected_states(table["x"]) == ["origin", "strategy5"]
    assert selected_states(table["y"]) == ["origin", "x"]
    assert selected_states(table["z"]) == ["origin", "stage1"]


def test_adapter_chains():
    merge = {"adapter": "merge", "rank": 8}
    study = with_runs(
        merged=SAME | merge | {"from": "stage1"},
        more=SAME | {"from": "merged", "rank": 8},
        again=SAME | merge | {"from": "more"},
        fresh=SAME | merge,
    )
    table = runs(load(study))
    chains = {
        "origin": [],
        "stage1": ["stage1"],
        "strategy5": ["strategy5"],
        "merged": ["stage1", "merged"],
        "more": ["stage1", "more"],
        "again": ["stage1", "more", "again"],
        "fresh": ["fresh"],
    }
    found = {state: adapter_chain(table, state) for state in chains}
    assert {state: [result.state for result in chain] for state, chain in found.items()} == chains
    assert {result.kind for chain in found.values() for result in chain} == {ADAPTER}


def test_a_run_composes_the_adapters_of_all_runs_before_it():
    study = with_runs(
        mocl2=SAME | COMPOSE | {"from": "stage1", "rank": 8},  # another rank can be added up
        mocl3=SAME | COMPOSE | {"from": "mocl2"},
        merged=SAME | {"from": "mocl3", "adapter": "merge"},
        continued=SAME | {"from": "mocl3"},
        first=SAME | COMPOSE,
    )
    table = runs(load(study))
    before = {"mocl2": ["stage1"], "mocl3": ["stage1", "mocl2"], "first": [], "stage1": [], "merged": []}
    assert {name: composed(table[name], table) for name in before} == before
    assert [table[name].sharpness for name in ("mocl3", "first", "stage1")] == [8, 8, None]
    chains = {
        "mocl2": ["composition mocl2", "adapter mocl2"],
        "mocl3": ["composition mocl3", "adapter mocl3"],
        "merged": ["composition mocl3", "adapter mocl3", "adapter merged"],
        "continued": ["composition mocl3", "adapter continued"],
        "first": ["adapter first"],
    }
    assert {name: [f"{r.kind} {r.state}" for r in adapter_chain(table, name)] for name in chains} == chains


def test_a_run_that_composes_trains_as_one_that_merges():
    """What makes a composition is not among the settings of a training, so that other runs' trainings stay as they are."""
    study = with_runs(x=SAME | COMPOSE | {"from": "stage1"}, y=SAME | {"from": "stage1", "adapter": "merge"})
    table = runs(load(study))
    assert table["x"].training == table["y"].training


def test_a_method_composes_the_runs_of_its_stages_and_the_first_one():
    stage = {"facts": ["revised"], "answers": {"revision": 1}}
    study = revised(count=4, facts=60, kept=40, unrelated=60) | {
        "study": "mine",
        "tables": {"show": ["chance"]},
        "choose_on": "last",
        "stages": [stage | {"answers": {"revision": 0}}, stage, stage],
        "methods": {"mocl": COMPOSE},
    }
    table = runs(load(study))
    assert composed(table["mocl3"], table) == ["stage1", "mocl2"]


def test_probe_modes():
    assert [probe_mode(load(), state) for state in ("origin", "stage1")] == ["full", "greedy"]
    assert probe_mode(load({"probe": {"trained_states": "full"}}), "stage1") == "full"


def test_full_probes_tell_weakly_from_unknown():
    study = with_runs(x=SAME | {"from": "stage1", "select": {"stage1": ["WeaklyKnown"]}})
    load(study | {"probe": {"trained_states": "full"}})


def patterns(schema):
    """Every schema with a pattern, in a schema."""
    below = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    return ([schema] if isinstance(schema, dict) and "pattern" in schema else []) + [
        p for s in below for p in patterns(s)
    ]


@pytest.mark.parametrize("schema", patterns(RULES), ids=lambda schema: schema["pattern"])
def test_no_pattern_matches_a_text_with_a_line_break_at_its_end(schema):
    texts = [
        "name",
        "latest",
        "gold",
        "a label",
        "https://example.org/a.zip",
        "owner/name",
        "a/b.gguf",
        "0" * 40,
        "0" * 64,
    ]
    matched = [text for text in texts if config._Validator(schema).is_valid(text)]
    assert matched and not [text for text in matched if config._Validator(schema).is_valid(f"{text}\n")]


SECRETS = {
    "user and password": "https://me:hunter2@example.org/a.zip",
    "user": "https://hunter2@example.org/a.zip",
    "other protocol": "ftp://me:hunter2@example.org/a.zip",
    "within a text": "see http://me:hunter2@example.org",
    "token": "https://example.org/a.zip?download=1&token=hunter2",
    "access token": "https://example.org/a.zip?access_token=hunter2",
    "signed address": "https://example.org/a.zip?X-Amz-Expires=9&X-Amz-Signature=hunter2",
    "shared signature": "https://example.org/a.zip?sv=1&sig=hunter2",
    "key": "https://example.org/a.zip?key=hunter2",
    "password": "https://example.org/a.zip?password=hunter2",
    "fragment": "https://example.org/a.zip#auth=hunter2",
    "hub": "hf_hunter2abcdefghijklmnopqrstu",
    "GitHub": "ghp_hunter2abcdefghijklmnopqrstu",
    "header": "Bearer hunter2abcdefghijkl",
}
PLACES = {
    "url": lambda text: {"dataset": ARCHIVE | {"url": text}},
    "manifest": lambda text: {"dataset": ARCHIVE | {"manifest": text}},
    "wrong place": lambda text: {"dataset": [text]},
    "unknown key": lambda text: {"tokens": {"hub": text}},
    "key": lambda text: {"runs": {text: SAME}},
    "label": lambda text: {"models": {"m": HUB | {"label": text}}},
    "name": lambda text: {"study": text} | EXTENDED,
    "extended": lambda text: {"extends": text},
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_refused_and_not_printed(secret, place):
    with pytest.raises(InputError, match="a password or a token.*HF_TOKEN") as caught:
        load(PLACES[place](SECRETS[secret]))
    assert "hunter2" not in str(caught.value)


def test_ordinary_texts_are_no_secrets():
    plain = [
        "https://example.org/a@1.0/b.zip?download=1&author=x&monkey=2",
        "Qwen/Qwen2-7B",
        "tokens=12",
        "hf_small",
        "me@example.org",
        "0" * 64,
    ]
    assert config.secret_at({"a": plain, "b": {"c": 1, "d": None}}) is None
    studies = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in (ROOT / "studies").glob("*.yaml")]
    assert config.secret_at(studies) is None


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

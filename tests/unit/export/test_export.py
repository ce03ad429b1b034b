"""The parts of an export that need no results: licences, the folder that is replaced, and the upload."""

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

import gradual.export.upload as module
from gradual.export.cards import adapter_card, citation_of
from gradual.export.folder import CARD, SUMS, ZENODO, replaced
from gradual.export.licences import Licence, licence_of
from gradual.export.study import Finished, read_finished
from gradual.export.upload import upload
from gradual.export.weights import Base, base_of
from gradual.ground.errors import InputError
from gradual.ground.files import write_parquet
from gradual.study.load_study import load_study
from gradual.study.result_files import EXAMPLES, Result

ROOT = Path(__file__).resolve().parents[3]
SECRET = "hf_thisIsNoRealToken"
SCHEMA = ROOT / "schemas/config.schema.json"


@pytest.mark.parametrize(
    ("dataset", "told", "licence"),
    [
        ({"reader": "world"}, None, Licence("mit", True)),
        ({"reader": "nq_open", "path": "data/nq"}, None, Licence("cc-by-sa-3.0", True)),
        ({"reader": "wikiqa", "path": "data/wikiqa"}, None, Licence("other", False)),
        ({"reader": "table", "path": "data/mine.csv"}, None, Licence("other", False)),
        ({"reader": "jsonl", "path": "studies/elements"}, None, Licence("mit", True)),
        ({"reader": "table", "path": "data/mine.csv"}, "cc0-1.0", Licence("cc0-1.0", True)),
    ],
)
def test_texts_are_passed_on_only_where_a_licence_lets_us(dataset, told, licence):
    assert licence_of(dataset, told) == licence


@pytest.mark.parametrize(
    ("licence", "named"),
    [
        (Licence("mit", True), "MIT"),
        (Licence("cc-by-nc-4.0", True), "CC-BY-NC-4.0"),
        (Licence("my own", True), None),
        (Licence("other", False), "MIT"),  # of the labels alone
    ],
)
def test_the_citation_names_the_licence_that_the_cards_name(licence, named, tmp_path):
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    found = yaml.safe_load(citation_of(study(tmp_path, source="folder"), citation, licence))
    assert found.get("license") == named and found["type"] == "dataset"


def whole(folder):
    """Write what makes a folder an export, and a model."""
    for name in (CARD, SUMS, ZENODO, "models/a/adapter_config.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")


def test_a_folder_takes_the_place_of_an_earlier_export_when_it_is_whole(tmp_path):
    target = tmp_path / "deep/export"
    for name in ("first", "second"):
        with replaced(target) as folder:
            whole(folder)
            (folder / name).touch()
        assert (target / name).exists()
    assert not (target / "first").exists()
    with pytest.raises(RuntimeError), replaced(target) as folder:
        (folder / "third").touch()
        raise RuntimeError
    assert (target / "second").exists() and not (target / "third").exists()
    assert [path.name for path in target.parent.iterdir()] == ["export"]


def test_a_folder_that_is_no_export_is_left_as_it_is(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InputError, match="is there, and is not an export"), replaced(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_study_that_is_not_finished_names_the_files_that_are_missing(tmp_path):
    with pytest.raises(InputError, match=r"provenance.json: is missing; expected a finished study \(make tables\)"):
        read_finished(tmp_path, SCHEMA)
    made = {"config": load_study("default", ROOT)}
    (tmp_path / "provenance.json").write_text(json.dumps(made))
    (tmp_path / "tables.md").touch()
    with pytest.raises(InputError) as caught:
        read_finished(tmp_path, SCHEMA)
    told = str(caught.value).splitlines()
    assert told[0].startswith(f"{tmp_path}/costs.csv: is missing") and "tables.md" not in told[0]
    assert any("seed0/facts.parquet: is missing" in line for line in told) or "more" in told[-1]


def study(results, **model):
    """A study of one model, without results."""
    config = load_study("default", ROOT) | {"models": {"m": {"label": "M", "dtype": "bfloat16"} | model}}
    return Finished(results, config, {}, {"m": []})


@pytest.mark.parametrize(
    ("model", "base"),
    [
        ({"source": "hub", "repo": "a/b", "revision": "4" * 40}, Base("a/b", "4" * 40)),
        ({"source": "hub", "repo": "a/b", "revision": "4" * 40, "gguf_file": "c.gguf"}, Base("m-base")),
        ({"source": "folder", "path": "models/m"}, Base("m-base")),
        ({"source": "package"}, Base("m-base")),
        ({"source": "pretrain"}, Base("m-seed7-base", made_here=True)),
    ],
)
def test_a_base_model_of_the_hub_is_named_and_any_other_is_copied(model, base, tmp_path):
    found = base_of(study(tmp_path, **model), 7, "m")
    assert found == base and found.copied == (model.get("repo") is None or "gguf_file" in model)


def test_the_card_of_an_adapter_on_a_model_of_the_hub_names_its_repository_revision_and_terms(tmp_path):
    found = study(tmp_path, source="hub", repo="a/b", revision="4" * 40)
    examples = found.file(Result(EXAMPLES, "strategy5"), 7, "m")
    write_parquet(pd.DataFrame({"role": ["train"] * 3 + ["replay"] * 2}), examples)
    card = adapter_card(found, Licence("mit", True), 7, "m", "strategy5", "m-seed7-strategy5", 1)
    _, head, text = card.split("---\n", 2)
    assert yaml.safe_load(head)["base_model"] == "a/b" and yaml.safe_load(head)["license"] == "other"
    assert f'from_pretrained("a/b", revision="{"4" * 40}", dtype="bfloat16")' in text
    assert "from `stage1` on 3 examples, with 2 in the replay pool" in text and "The licence of a/b applies" in text
    assert "| `learning_rate` | `0.00025`" in text  # the run's own, and not that of all runs


@pytest.fixture
def hub(monkeypatch):
    """A stand-in for HfApi. It returns what was asked of it; the first entry is the token."""
    import huggingface_hub

    asked = []

    class StandIn:
        def __init__(self, token):
            asked.append(token)

        def create_repo(self, repo, *, repo_type, private, exist_ok):
            asked.append(("create", repo, repo_type, private, exist_ok))

        def upload_folder(self, *, repo_id, repo_type, folder_path, ignore_patterns, commit_message):
            asked.append(("upload", repo_id, repo_type, folder_path, ignore_patterns))

    monkeypatch.setattr(huggingface_hub, "HfApi", StandIn)
    monkeypatch.setenv("HF_TOKEN", SECRET)
    return asked


def test_an_upload_makes_private_repositories_of_the_data_and_of_the_models(hub, tmp_path, capsys):
    whole(tmp_path)
    pages = upload(tmp_path, "me/mine")
    assert pages == ["https://huggingface.co/datasets/me/mine", "https://huggingface.co/me/mine"]
    assert hub == [
        SECRET,
        ("create", "me/mine", "dataset", True, True),
        ("upload", "me/mine", "dataset", tmp_path, ["models/**"]),
        ("create", "me/mine", "model", True, True),
        ("upload", "me/mine", "model", tmp_path / "models", []),
    ]
    assert SECRET not in "".join(capsys.readouterr())


def test_an_upload_needs_a_token_and_an_export(hub, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="is not an export"):
        upload(tmp_path, "me/mine")
    whole(tmp_path)
    for name in module.TOKENS:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match="HF_TOKEN: is not in the environment"):
        upload(tmp_path, "me/mine")
    assert hub == []


def test_what_the_hub_refuses_is_an_error_without_the_token(hub, tmp_path, monkeypatch):
    import huggingface_hub

    def refuse(self, repo, **_):
        raise huggingface_hub.errors.HFValidationError("Repo id must be in the form owner/name")

    whole(tmp_path)
    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", refuse)
    with pytest.raises(InputError, match="the hub did not take it .*Repo id must") as caught:
        upload(tmp_path, "mine mine")
    assert SECRET not in str(caught.value)

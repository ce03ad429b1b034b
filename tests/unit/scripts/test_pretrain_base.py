"""A base model is taken from the shelf if its recipe is there, else pretrained. One made again is compared or shipped."""

import json
import shutil

import pandas as pd
import pytest

import pretrain_base
import ship_base
from gradual.models.handle import model_folder
from gradual.models.shipped import CARD, SHELF
from gradual.study.load_study import load_study

ROOT = ship_base.ROOT
MODEL = {
    "architecture": "qwen2",
    "hidden_size": 32,
    "intermediate_size": 48,
    "layers": 1,
    "heads": 1,
    "key_value_heads": 1,
}
STUDY = {
    "study": "mine",
    "models": {"small": MODEL | {"label": "small", "source": "pretrain"}},
    "tables": {"show": [2]},
}


def pretrain(folder, *, seed=0, shelf=None):
    """Run the script with a tiny corpus, and return the folder of the model."""
    texts = [f"Almanac\nThe home of company {i} is city {i % 7}.\n" for i in range(80)]
    folder.mkdir(parents=True)
    pd.DataFrame({"text": texts}).to_parquet(folder / "corpus.parquet")
    settings = load_study("default", ROOT)["pretraining"] | {"vocabulary": 300, "row_tokens": 16, "warmup_steps": 1}
    words = ["--corpus", folder / "corpus.parquet", "--recipe", folder.parent / f"{folder.name}.recipe.json"]
    words += ["--model", json.dumps(MODEL), "--settings", json.dumps(settings), "--seed", seed, "--code", "x"]
    words += ["--base", folder / "base.json", *(["--shelf", shelf] if shelf else [])]
    pretrain_base.main([*map(str, words)])
    return folder


@pytest.fixture
def project(tmp_path):
    """A project with a study whose base model was made again for seed 0."""
    for name in ("config.yaml", "schemas", "studies"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    (tmp_path / "studies" / "mine.yaml").write_text(json.dumps(STUDY))
    pretrain(tmp_path / "results/mine/seed0/small/base-again")
    return tmp_path


def ship(project):
    """The status with which the script ends."""
    with pytest.raises(SystemExit) as ended:
        ship_base.main(["--study", "mine", "--root", str(project)])
    return ended.value.code


def test_a_new_model_is_shipped_and_one_made_again_is_compared(project, capsys):
    made = project / "results/mine/seed0/small/base-again"
    assert ship(project) == 0 and "mine-small-seed0: shipped" in capsys.readouterr().out
    card = json.loads((project / SHELF / "mine-small-seed0" / CARD).read_text())
    assert card["recipe"] == json.loads((made.parent / "base-again.recipe.json").read_text())
    assert card["text"]["corpus"]["words"] and card["made"]["processor"]
    assert ship(project) == 0 and "mine-small-seed0: equal" in capsys.readouterr().out
    (made / "model.safetensors").write_bytes(b"other weights")
    assert ship(project) == 1 and "mine-small-seed0: DIFFERENT" in capsys.readouterr().out


def test_a_model_whose_recipe_is_on_the_shelf_is_taken_without_a_pretraining(project, monkeypatch, tmp_path, capsys):
    ship(project)
    capsys.readouterr()
    monkeypatch.setattr(pretrain_base, "train", lambda *_: pytest.fail("it was pretrained"))
    base = pretrain(tmp_path / "taken" / "base", shelf=project / SHELF)
    assert model_folder(base / "base.json") == base and capsys.readouterr().out == ""
    for name in ("base.json", "model.safetensors", "tokenizer.json", "loss.csv"):
        assert (base / name).read_bytes() == (project / f"results/mine/seed0/small/base-again/{name}").read_bytes()


def test_a_model_of_another_seed_is_pretrained_and_the_user_is_told(project, tmp_path, capsys):
    ship(project)
    base = pretrain(tmp_path / "other" / "base", seed=1, shelf=project / SHELF)
    assert "has this recipe, so it is pretrained here" in capsys.readouterr().out
    shipped = project / SHELF / "mine-small-seed0" / "model.safetensors"
    assert (base / "model.safetensors").read_bytes() != shipped.read_bytes()

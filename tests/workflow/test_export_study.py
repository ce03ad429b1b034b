"""An export of the tiny study: others load its facts with pandas and datasets, and its adapters with plain peft."""

import hashlib
import json
import re
import shutil

import pandas as pd
import pytest
import yaml

from gradual.data.facts import read_facts
from gradual.export.folder import export
from gradual.models.adapters import adapter_folder
from gradual.models.loading import load_model, load_tokenizer
from gradual.probe.prompts import ExemplarPool, PromptSettings, plain
from gradual.probe.questions import fact_prompts
from project_copy import ROOT
from test_tiny_study import MODEL, RESULTS

BASE = "small-seed0-base"


@pytest.fixture(scope="module")
def exported(finished, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "tiny"
    export(finished / RESULTS, folder, ROOT)
    return folder


def head(card):
    """The YAML at the head of a card."""
    _, text, _ = card.read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(text)


def test_the_labels_are_the_categories_of_every_probe(exported, finished):
    labels = pd.read_parquet(exported / "data/labels.parquet")
    probes = sorted((finished / MODEL).glob("*/*-probe-*/categories.parquet"))
    assert len(labels) == sum(len(pd.read_parquet(probe)) for probe in probes)
    facts = read_facts(finished / RESULTS / "seed0/facts.parquet").set_index("fact_id")
    one = labels[(labels["state"] == "stage1") & (labels["probe"] == 0)].set_index("fact_id")
    there = pd.read_parquet(finished / MODEL / "stage1/train-probe-0/categories.parquet").set_index("fact_id")
    assert one["category"].to_dict() == there["category"].to_dict()
    assert one["greedy_right"].to_dict() == there["greedy_right"].to_dict() and set(one["greedy_n"]) == {8}
    assert one["question"].to_dict() == facts.loc[one.index, "question"].to_dict()
    assert [list(answers) for answers in one["answers"]] == facts.loc[one.index, "answers"].tolist()
    assert set(labels["model"]) == {"small"} and set(labels["seed"]) == {0}


def test_an_export_is_whole_and_the_same_every_time(exported, finished, tmp_path):
    files = {str(file.relative_to(exported)) for file in exported.rglob("*") if file.is_file()}
    assert {"tables.md", "provenance.json", "CITATION.cff", "tables/claims.csv", "report.html"} <= files
    assert {"figures/claims.svg", "figures/claims.csv"} <= files
    export(finished / RESULTS, tmp_path / "again", ROOT)
    listed = set()
    for folder in ("", "models/"):  # each is a repository of the hub
        sums = exported / folder / "SHA256SUMS"
        digests = dict(line.split("  ")[::-1] for line in sums.read_text().splitlines())
        for name, digest in digests.items():
            assert hashlib.sha256((exported / folder / name).read_bytes()).hexdigest() == digest
        listed |= {folder + name for name in digests}
        assert sums.read_text() == (tmp_path / "again" / folder / "SHA256SUMS").read_text()
    assert listed == files - {"SHA256SUMS", "models/SHA256SUMS"}


def test_only_the_figures_on_the_studys_page_are_exported(exported, finished, tmp_path):
    """A figure that the study had before its tables changed is still among its files."""
    study = shutil.copytree(finished / RESULTS, tmp_path / "results/tiny")
    (study / "figures/stale.svg").touch()
    export(study, tmp_path / "again", ROOT)
    there = [{file.name for file in (folder / "figures").iterdir()} for folder in (exported, tmp_path / "again")]
    assert there[0] == there[1]


def test_the_code_of_the_page_loads_it(exported):
    page = (ROOT / "docs/take_away.md").read_text(encoding="utf-8").partition("### Load it")[2].partition("\n## ")[0]
    blocks = re.findall(r"(?s)```python\n(.*?)```", page)
    assert len(blocks) == 3
    for code in blocks:
        exec(code.replace('"export', f'"{exported}').replace("qwen2-seed0", "small-seed0"), {})


def test_the_cards_say_what_the_hub_asks_for(exported):
    card = head(exported / "README.md")
    assert card["license"] == "mit" and card["configs"] == [
        {"config_name": "labels", "data_files": "data/labels.parquet"}
    ]
    adapter = head(exported / "models/small-seed0-stage1/README.md")
    assert (adapter["library_name"], adapter["license"]) == ("peft", "mit")
    zenodo = json.loads((exported / ".zenodo.json").read_text())
    assert zenodo["upload_type"] == "dataset" and zenodo["creators"] and zenodo["license"] == "mit"
    assert yaml.safe_load((exported / "CITATION.cff").read_text())["type"] == "dataset"


def test_datasets_loads_the_folder(exported):
    from datasets import load_dataset

    found = load_dataset(str(exported), "labels", split="train")
    assert found.num_rows == len(pd.read_parquet(exported / "data/labels.parquet"))


def adapted(exported, state):
    """An adapter of the export on its base model, with plain transformers and peft."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(exported / "models" / BASE, dtype="float32")
    return PeftModel.from_pretrained(base, exported / f"models/small-seed0-{state}").eval()


def test_plain_peft_gives_the_answers_of_the_study(exported, finished):
    from transformers import PreTrainedTokenizerFast

    tokenizer, model = PreTrainedTokenizerFast.from_pretrained(exported / "models" / BASE), adapted(exported, "stage1")
    said = pd.read_parquet(finished / MODEL / "stage1/evaluation/generations.parquet")
    chosen = json.loads((finished / MODEL / "stage1/adapter/chosen.json").read_text())["epoch"]
    said = said[said["epoch"] == chosen].set_index("fact_id")["text"]
    facts = read_facts(finished / RESULTS / "seed0/facts.parquet")
    pool = ExemplarPool(facts, "train", "facts")
    asked = facts[facts["split"] == "test"].head(8)
    for (prompt,) in fact_prompts(asked, pool, PromptSettings(42, 4, "per_fact"), 1, plain):
        ids = tokenizer(prompt.text, return_tensors="pt").input_ids
        answer = model.generate(input_ids=ids, max_new_tokens=16, do_sample=False)[0, ids.shape[1] :]
        assert tokenizer.decode(answer, skip_special_tokens=True).partition("\n")[0].strip() == said[prompt.fact_id]


def test_an_adapter_on_merged_weights_is_exported_as_a_sum_for_the_base_model(exported, finished):
    import torch

    handle = finished / MODEL / "base/base.json"
    chain = [adapter_folder(finished / MODEL / state / "adapter/chosen.json") for state in ("stage1", "strategy5")]
    config = json.loads((exported / "models/small-seed0-strategy5/adapter_config.json").read_text())
    assert config["r"] == 16 and config["base_model_name_or_path"] == BASE
    assert "sum of the 2 adapters" in (exported / "models/small-seed0-strategy5/README.md").read_text()
    ids = load_tokenizer(handle)("Q: Who made it?\nA:", return_tensors="pt").input_ids
    with torch.inference_mode():
        merged, summed = load_model(handle, chain, "float32")(ids).logits, adapted(exported, "strategy5")(ids).logits
        assert not torch.allclose(adapted(exported, "stage1")(ids).logits, merged, atol=1e-2)
    assert torch.allclose(summed, merged, atol=1e-4)

"""Log-probabilities of answers against those of one token after the other."""

import pytest

from gradual.models.loading import load_model, load_tokenizer
from gradual.training import log_probabilities
from gradual.training.log_probabilities import mean_log_probabilities
from gradual.training.texts import IGNORED, tokenize
from tiny import base_model

TEXTS = ("thing", "What is r0 of thing 3", "", "thing 1 of train subject 2", "1")


@pytest.mark.parametrize("together", [1, 40, 2048])
def test_means_are_those_of_the_answers_tokens_however_many_go_through_the_model_at_once(
    together, tmp_path, monkeypatch
):
    import torch

    monkeypatch.setattr(log_probabilities, "TOGETHER", together)
    handle = base_model(tmp_path, scale=2.0)
    model, tokenizer = load_model(handle, [], "float32"), load_tokenizer(handle)
    rows = [tokenize("Q: What is r1?\nA:", f" {text}\n", tokenizer, "plain", "answer") for text in TEXTS]
    rows.append({"input_ids": [3, 4], "labels": [IGNORED, IGNORED]})
    found = mean_log_probabilities(model, rows)
    assert found[-1] == (0.0, 0)
    for row, (mean, tokens) in zip(rows[:-1], found[:-1], strict=True):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([row["input_ids"]])).logits[0]
        said = [logits[i].log_softmax(-1)[n] for i, n in enumerate(row["labels"][1:]) if n != IGNORED]
        assert tokens == len(said) > 0
        assert mean == pytest.approx(float(sum(said)) / len(said), abs=1e-5) and mean < 0

"""The objective preference against its formula, computed row by row and token by token."""

import shutil
from dataclasses import asdict, replace

import pandas as pd
import pytest

from gradual.ground.errors import InputError
from gradual.ground.files import write_parquet
from gradual.models.loading import load_model, load_tokenizer
from gradual.training.batches import BLANK
from gradual.training.cross_entropy import CrossEntropy
from gradual.training.lora import Training, attach_adapter, train_adapter
from gradual.training.objectives import trainer_class
from gradual.training.preference import Preference, bounded, row_of
from gradual.training.samples import ALIGNED, CONFLICTING, KINDS, SAMPLE_COLUMNS, TARGET
from gradual.training.settings import PreferenceSettings
from gradual.training.texts import IGNORED, tokenize
from tiny import TRAINING, base_model, write_adapter
from trainer_steps import STEPS, log_and_gradients, losses_and_gradients, model_of

OWN = PreferenceSettings(alpha=0.7, beta=0.4, bound="npo", b=1.5, target=True)
LOSSES = {
    "bounded": OWN,
    "printed": replace(OWN, bound="none", target=False),
    "unbounded with the target": replace(OWN, bound="none"),
    "bounded without the target": replace(OWN, target=False),
}
# For each question its target, and its samples: kind, text, how many of four gave it, log-probability per token.
GIVEN = (
    ("thing", [(ALIGNED, "thing 1", 3, -2.0), (CONFLICTING, "train subject", 1, -1.0)]),
    ("thing 1 of train subject 2", [(CONFLICTING, "1", 2, -3.5), (CONFLICTING, "What is r0 of thing", 2, -0.5)]),
    ("1", [(ALIGNED, "1", 4, -4.0)]),
    ("What is r0", [(CONFLICTING, "", 4, -1.5)]),
    ("of", [(CONFLICTING, "thing 7", 4, -2.5)]),
    ("thing 3", [(CONFLICTING, "thing", 1, -2.0), (CONFLICTING, "of", 3, -0.1)]),
    ("train", None),  # replayed
    ("thing 1 of 7", None),
)


def examples_of(given):
    roles = ["train" if samples else "replay" for _, samples in given]
    found = {"fact_id": [f"{i:016x}" for i in range(len(given))], "role": roles}
    asked = {"question": [f"What is r{i}?" for i in range(len(given))], "answer": [target for target, _ in given]}
    return pd.DataFrame(found | asked | {"source": "made up"})


def samples_of(given):
    rows = []
    for example, (target, samples) in zip(examples_of(given).itertuples(), given, strict=True):
        if samples:
            for kind, text, count, reference in [(TARGET, target, 0, -2.25), *samples]:
                rows.append((example.fact_id, example.question, kind, text, count, f" {text}\n", reference, 3))
    return pd.DataFrame(rows, columns=SAMPLE_COLUMNS)


def write(samples, folder):
    write_parquet(samples, folder / "samples.parquet")
    return folder / "samples.parquet"


def made(handle, path, given=GIVEN, **changes):
    """The rows of the examples."""
    tokenizer, examples = load_tokenizer(handle), examples_of(given).assign(**changes)
    written = [(f"Q: {e.question}\nA:", f" {e.answer}\n") for e in examples.itertuples()]
    return Preference.rows(examples, written, lambda *text: tokenize(*text, tokenizer, "plain", "answer"), [path])


def texts_of(handle, given=GIVEN):
    """The texts of each example, one by one: that of its target, and those of its samples."""
    tokenizer = load_tokenizer(handle)
    return [
        [
            tokenize(f"Q: What is r{i}?\nA:", f" {text}\n", tokenizer, "plain", "answer")
            for text in [target, *(text for _, text, *_ in samples or [])]
        ]
        for i, (target, samples) in enumerate(given)
    ]


@pytest.fixture(scope="module", params=["qwen2", "llama"])
def trained(request, tmp_path_factory):
    """A base model's handle, and an adapter of it with gradients everywhere."""
    folder = tmp_path_factory.mktemp(request.param)
    handle = base_model(folder / "base", request.param, scale=2.0)
    return handle, write_adapter(handle, folder / "adapter")


@pytest.fixture(scope="module")
def handle(tmp_path_factory):
    return base_model(tmp_path_factory.mktemp("base"), scale=1.0)


@pytest.fixture
def rows(trained, tmp_path):
    return made(trained[0], write(samples_of(GIVEN), tmp_path))


def token_log_probabilities(model, row):
    """Those of a row's tokens with a label, one after the other."""
    import torch

    logits = model(input_ids=torch.tensor([row["input_ids"]])).logits[0]
    labels = row["labels"][1:]
    return [logits[i].log_softmax(-1)[label] for i, label in enumerate(labels) if label != IGNORED]


def by_hand(model, texts, given, own):
    """The loss of a step with these texts, and the log-ratios of each kind with their weights, from the formula."""
    entropy, tokens, preference = 0.0, 0, 0.0
    ratios = {kind: [] for kind in KINDS}
    for (own_text, *sampled), (_, samples) in zip(texts, given, strict=True):
        target = token_log_probabilities(model, own_text)
        entropy, tokens = entropy - sum(target), tokens + len(target)
        if not samples:
            continue
        ratios[TARGET].append((sum(target) / len(target) + 2.25, 1))
        drawn = sum(count for _, _, count, _ in samples)
        for sequence, (kind, _, count, reference) in zip(sampled, samples, strict=True):
            said = token_log_probabilities(model, sequence)
            ratio = sum(said) / len(said) - reference
            ratios[kind].append((ratio, count / drawn))
            if kind == ALIGNED:
                preference = preference - own.alpha * ratio * count / drawn
            elif own.bound == "none":
                preference = preference + own.beta * ratio * count / drawn
            else:
                preference = preference + own.beta * 2 / own.b * (1 + (own.b * ratio).exp()).log() * count / drawn
    return preference / len(texts) + (entropy / tokens if own.target else 0.0), ratios


@pytest.mark.parametrize("micro_batch", [4, 2, 1])
@pytest.mark.parametrize("own", LOSSES.values(), ids=LOSSES)
def test_loss_gradient_and_log_are_those_of_the_formula_however_a_step_is_split(
    own, micro_batch, trained, rows, tmp_path
):
    objective = Preference(asdict(own))
    log, gradients = log_and_gradients(
        trainer_class(objective), trained, rows, micro_batch, tmp_path / "trainer", objective.pad
    )
    model, half = model_of(trained), len(rows) // STEPS
    loss, ratios = by_hand(model, texts_of(trained[0])[:half], GIVEN[:half], own)
    loss.backward()
    assert log[0]["loss"] == pytest.approx(float(loss.detach()), abs=1e-4)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert (gradients[0][name] - parameter.grad).abs().max() < 1e-5 * (1 + parameter.grad.abs().max())
            assert gradients[0][name].abs().max() > 0
    for kind, found in ratios.items():
        mean = sum(float(ratio.detach()) * weight for ratio, weight in found) / sum(weight for _, weight in found)
        assert log[0][f"{kind}_log_ratio"] == pytest.approx(mean, abs=1e-5)
    assert len(log) == STEPS
    assert "aligned_log_ratio" not in log[1] and "conflicting_log_ratio" in log[1]  # as the second half's samples are


def test_without_weights_it_is_the_cross_entropy(trained, rows, tmp_path):
    objective = Preference(asdict(replace(OWN, alpha=0.0, beta=0.0)))
    ours = losses_and_gradients(trainer_class(objective), trained, rows, 2, tmp_path / "ours", objective.pad)
    targets = [target for target, *_ in texts_of(trained[0])]
    plain = losses_and_gradients(trainer_class(CrossEntropy({})), trained, targets, 2, tmp_path / "plain")
    assert ours[0] == pytest.approx(plain[0], abs=1e-5)
    for one, other in zip(ours[1], plain[1], strict=True):
        assert all((one[name] - other[name]).abs().max() < 1e-5 for name in one)


def test_a_rank_that_is_left_without_rows_adds_nothing(trained, rows):
    """Its blank row is no row of the step, and its loss is 0 with a gradient of 0."""
    import torch

    objective, model = Preference(asdict(OWN)), model_of(trained)
    batches = [objective.pad(rows[:3]), objective.pad([BLANK])]
    objective.begin(batches, lambda tensor: tensor)
    assert objective.step_rows == 3
    loss, _ = objective.loss(model, batches[1], torch.tensor(5))
    loss.backward()
    assert loss == 0 and objective.logged(lambda tensor: tensor) == {}
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


def test_the_bound_has_the_printed_slope_at_the_reference_and_none_far_below_it():
    import torch

    ratios = torch.tensor([0.0, -40.0, 30.0], requires_grad=True)
    bounded(ratios, OWN).sum().backward()
    assert ratios.grad.tolist() == pytest.approx([1.0, 0.0, 2.0], abs=1e-6)
    small = bounded(torch.tensor([0.3, -0.2]), replace(OWN, b=1e-4))
    assert float(small[0] - small[1]) == pytest.approx(0.5, abs=0.01)  # with b -> 0, up to a constant


def descent(own, steps):
    """The log-ratios of the target, the aligned and the conflicting answer after so many steps each, by the objective.

    The model has four answers and no question. At the parent they have the probabilities 0.05 (the target), 0.15 (the
    aligned sample), 0.6 (the conflicting sample) and 0.2. A step of plain gradient descent has the rate 0.2.
    """
    import torch

    parent = torch.tensor([0.05, 0.15, 0.6, 0.2]).log()
    weights = parent.clone().requires_grad_()
    sequences = [
        {"input_ids": [3, place], "labels": [IGNORED, place], "kind": place, "weight": weight}
        | {"reference": float(parent[place])}
        for place, weight in enumerate((1.0, 0.5, 0.5))
    ]
    objective = Preference(asdict(own))
    batch = objective.pad([row_of(sequences[0], sequences[1:])])

    def model(input_ids, attention_mask, position_ids):
        return {"logits": weights.expand(*input_ids.shape, 4)}

    found = []
    for step in range(1, max(steps) + 1):
        objective.begin([batch], lambda tensor: tensor)
        loss, _ = objective.loss(model, batch, torch.tensor(1))
        [gradient] = torch.autograd.grad(loss, weights)
        weights.data -= 0.2 * gradient
        if step in steps:
            found.append((weights.detach().log_softmax(-1) - parent)[:3].tolist())
    return found


def test_without_its_bound_the_printed_loss_has_no_end_and_takes_the_new_answer_along():
    """docs/multi_stage.md quotes these figures."""
    base = PreferenceSettings(alpha=1.0, beta=0.2, bound="npo", b=1.0, target=True)
    printed = descent(replace(base, bound="none", target=False), (100, 1000))
    assert printed[0] == pytest.approx([-2.12, 1.87, -4.87], abs=0.02)
    assert printed[1] == pytest.approx([-20.21, 1.90, -40.94], abs=0.05)  # as fast as the steps, the target as well
    ours = descent(base, (100, 1000))
    assert ours[0] == pytest.approx([2.57, 0.74, -3.61], abs=0.02)
    assert ours[1] == pytest.approx(
        [2.59, 0.79, -6.05], abs=0.02
    )  # as the logarithm of the steps; the target is learned


def test_a_row_has_its_prompt_once_and_the_samples_have_the_shares_of_the_draws(handle, tmp_path):
    row, *_, replayed = made(handle, write(samples_of(GIVEN), tmp_path))
    alone, *_ = texts_of(handle)
    prompt = sum(label == IGNORED for label in alone[0]["labels"])
    assert prompt > 5 and len(row["input_ids"]) == sum(len(text["input_ids"]) for text in alone) - 2 * prompt
    batch = Preference(asdict(OWN)).pad([row, replayed])
    assert batch["kind"].tolist() == [0, 1, 2, -1] and batch["reference"].tolist() == [-2.25, -2.0, -1.0, 0.0]
    assert batch["weight"].tolist() == [1.0, 0.75, 0.25, 0.0]
    with_label = batch["answers"] != IGNORED
    assert batch["text"][with_label].unique().tolist() == [0, 1, 2, 3]
    assert batch["text"][batch["labels"] != IGNORED].unique().tolist() == [0, 3]


def test_an_example_without_samples_or_with_those_of_another_target_is_named(handle, tmp_path):
    samples = samples_of(GIVEN)
    path = write(samples[samples["fact_id"] != f"{2:016x}"], tmp_path)
    with pytest.raises(InputError, match="has no samples of fact 0{15}2 for 'What is r2") as caught:
        made(handle, path)
    assert (caught.value.file, caught.value.key) == (str(path), "question")
    path = write(samples, tmp_path)
    with pytest.raises(InputError, match="'thing', but the run trains fact 0{16} on 'another'; expected") as caught:
        made(handle, path, answer="another")
    assert (caught.value.file, caught.value.key) == (str(path), "text")


def test_training_lowers_conflicting_samples_and_resumes_to_the_same_bits(handle, tmp_path):
    import torch

    rows = made(handle, write(samples_of(GIVEN), tmp_path))
    settings = replace(TRAINING, objective="preference", dropout=0.1, batch=8, micro_batch=4, epochs=6)
    own = replace(OWN, alpha=0.1, beta=1.0, bound="none", target=False)

    def train(folder):
        torch.manual_seed(0)
        model = attach_adapter(load_model(handle, [], "float32"), None, settings)
        return train_adapter(model, Training(rows[:6], 6, 0.0, settings, 0, folder, asdict(own)))

    def weights(checkpoint):
        return (checkpoint / "adapter_model.safetensors").read_bytes()

    straight, losses = train(tmp_path / "straight")
    means = pd.DataFrame(losses)
    assert len(means) == 6  # each with all rows
    assert means["conflicting_log_ratio"].iloc[-1] < means["conflicting_log_ratio"].iloc[0] - 0.1
    shutil.copytree(tmp_path / "straight", tmp_path / "cut")
    for checkpoint in sorted((tmp_path / "cut").iterdir(), key=lambda p: int(p.name.partition("-")[2]))[2:]:
        shutil.rmtree(checkpoint)
    resumed, again = train(tmp_path / "cut")
    assert weights(resumed[-1]) == weights(straight[-1])
    assert pd.DataFrame(again)[means.columns].equals(means)


def test_a_sample_that_is_too_long_for_the_model_is_an_error(handle, tmp_path):
    given = [("thing", [(CONFLICTING, "thing " * 2000, 4, -1.0)])]
    rows = made(handle, write(samples_of(given), tmp_path), given)
    settings = replace(TRAINING, objective="preference")
    model = attach_adapter(load_model(handle, [], "float32"), None, settings)
    with pytest.raises(InputError, match="a text of [0-9]+ tokens; expected at most the model's"):
        train_adapter(model, Training(rows, 1, 0.0, settings, 0, tmp_path / "long", asdict(OWN)))


def texts_too_long_for_the_window(model, monkeypatch):
    """A mask of joined texts has no window, so they must lie within the model's."""


def a_forward_that_takes_no_positions(model, monkeypatch):
    whole = model.forward
    monkeypatch.setattr(model, "forward", lambda position_ids=None, **given: whole(**given))


def a_forward_that_fails(model, monkeypatch):
    def forward(attention_mask=None, **given):
        rows, tokens = attention_mask.shape

    monkeypatch.setattr(model, "forward", forward)


UNSUITED = {
    texts_too_long_for_the_window: ("mistral", "its logits would differ"),
    a_forward_that_takes_no_positions: ("qwen2", "its logits would differ"),
    a_forward_that_fails: ("qwen2", "too many values to unpack"),
}


@pytest.mark.parametrize("unsuited", UNSUITED)
def test_a_model_that_joined_texts_do_not_suit_is_an_error(unsuited, tmp_path, monkeypatch):
    family, problem = UNSUITED[unsuited]
    handle = base_model(tmp_path / "base", family, scale=1.0)
    rows = made(handle, write(samples_of(GIVEN), tmp_path))
    settings = replace(TRAINING, objective="preference", targets=("all-linear",))
    model = attach_adapter(load_model(handle, [], "float32"), None, settings)
    unsuited(model, monkeypatch)
    with pytest.raises(InputError, match=f"preference with a {family} model: {problem}.* within its window") as caught:
        train_adapter(model, Training(rows, 6, 0.0, settings, 0, tmp_path / "long", asdict(OWN)))
    assert (caught.value.file, caught.value.key) == ("training", "objective")
    assert not (tmp_path / "long").exists()

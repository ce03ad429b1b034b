"""Adapters made of others: what they change is the factor, or the weighted sum, of what the others change."""

import pytest

from damage import contents, copy_of, edit_json, edit_weights
from gradual.ground.errors import InputError
from gradual.ground.files import read_json
from gradual.models.adapters import check_adapter, with_adapter, write_chosen
from gradual.models.composition import composed_adapter, scaled_adapter
from gradual.models.loading import load_model
from gradual.models.weight_change import change_norm
from tiny import base_model, write_adapter

ADAPTER, CONFIG = "adapter_model.safetensors", "adapter_config.json"
FACTORS = (0.7, -0.25, 1.5)


@pytest.fixture(scope="module", params=["qwen2", "llama"])
def handle(request, tmp_path_factory):
    return base_model(tmp_path_factory.mktemp("base"), request.param)


@pytest.fixture(scope="module")
def adapters(handle, tmp_path_factory):
    """Three adapters with different scalings alpha / rank, the last of them of another rank."""
    folders = [write_adapter(handle, tmp_path_factory.mktemp(f"adapter-{seed}"), seed) for seed in range(3)]
    edit_json(folders[1] / CONFIG, lora_alpha=3)
    edit_json(folders[2] / CONFIG, r=2)
    edit_weights(
        folders[2] / ADAPTER,
        lambda tensors: {n: (t[:2] if "lora_A" in n else t[:, :2]).contiguous() for n, t in tensors.items()},
    )
    return folders


def differences(handle, adapters):
    """What merging the adapters changes of each weight that it changes, in double precision."""
    before, after = (load_model(handle, found, "float64").state_dict() for found in ([], adapters))
    found = {name: after[name] - before[name] for name in before}
    return {name: change for name, change in found.items() if change.any()}


def logits(handle, adapters):
    import torch

    with torch.no_grad():
        return load_model(handle, adapters, "float64")(torch.arange(12)[None]).logits


@pytest.mark.parametrize("factor", [0.7, -0.7, -1.0])
def test_a_scaled_adapter_changes_each_weight_by_the_factor_of_the_change(factor, handle, adapters, tmp_path):
    import torch

    scaled_adapter(adapters[0], tmp_path / "scaled", factor)
    plain, scaled = differences(handle, [adapters[0]]), differences(handle, [tmp_path / "scaled"])
    assert {*scaled} == {*plain}
    for name, change in plain.items():
        torch.testing.assert_close(scaled[name], factor * change, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("count", [1, 3])
def test_the_norm_of_a_change_is_that_of_the_weights_that_change(count, handle, adapters):
    changes = differences(handle, adapters[:count]).values()
    assert change_norm(adapters[:count]) == pytest.approx(float(sum((c**2).sum() for c in changes)) ** 0.5, rel=1e-5)


def test_an_adapter_and_its_opposite_give_the_untouched_model(handle, adapters, tmp_path):
    """The sign counts, also for a single adapter."""
    import torch

    scaled_adapter(adapters[0], tmp_path / "opposite", -1.0)
    there_and_back = logits(handle, [adapters[0], tmp_path / "opposite"])
    torch.testing.assert_close(there_and_back, logits(handle, []))
    assert not torch.allclose(logits(handle, [adapters[0]]), logits(handle, []), atol=0.1)


def test_a_composed_adapter_changes_each_weight_by_the_weighted_sum(handle, adapters, tmp_path):
    import torch

    composed_adapter(adapters, FACTORS, tmp_path / "sum")
    alone = [differences(handle, [adapter]) for adapter in adapters]
    composed = differences(handle, [tmp_path / "sum"])
    assert {*composed} == {*alone[0]} and len(composed) == 14
    for name, change in composed.items():
        expected = sum(factor * each[name] for factor, each in zip(FACTORS, alone, strict=True))
        torch.testing.assert_close(change, expected, rtol=1e-5, atol=1e-6)


def test_a_composed_adapter_gives_the_weighted_sum_of_the_layers_outputs(handle, adapters, tmp_path):
    """Against the sum that MoCL describes, computed in each layer beside its weights, without stacked matrices."""
    import torch
    from safetensors.torch import load_file

    model = load_model(handle, [], "float64")
    for factor, adapter in zip(FACTORS, adapters, strict=True):
        told = read_json(adapter / CONFIG, "an adapter's config")
        tensors = {name: tensor.double() for name, tensor in load_file(adapter / ADAPTER).items()}
        for name, first in tensors.items():
            if ".lora_A." in name:
                second = tensors[name.replace(".lora_A.", ".lora_B.")]
                share = factor * told["lora_alpha"] / told["r"]
                model.get_submodule(name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")).register_forward_hook(
                    lambda module, given, out, a=first, b=second, share=share: out + share * given[0] @ a.T @ b.T
                )  # fmt: skip
    with torch.no_grad():
        expected = model(torch.arange(12)[None]).logits
    composed_adapter(adapters, FACTORS, tmp_path / "sum")
    torch.testing.assert_close(logits(handle, [tmp_path / "sum"]), expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(logits(handle, adapters), expected, atol=0.1)


def test_each_engine_takes_a_composed_adapter_merged_or_beside_the_weights(handle, adapters, tmp_path):
    import torch

    from gradual.probe.engines.vllm_lora import RANKS, _check_product

    composed_adapter(adapters, FACTORS, tmp_path / "sum")
    beside = with_adapter(load_model(handle, [], "float64"), tmp_path / "sum")
    with torch.no_grad():
        found = beside(torch.arange(12)[None]).logits
    torch.testing.assert_close(found, logits(handle, [tmp_path / "sum"]), rtol=1e-4, atol=1e-4)
    _check_product(tmp_path / "sum")  # what vLLM's adapters are checked for
    rank = read_json(tmp_path / "sum" / CONFIG, "an adapter's config")["r"]
    assert rank == 4 + 4 + 2 and rank < RANKS[-1]


def test_a_composed_adapter_can_be_a_part_of_another(handle, adapters, tmp_path):
    """So that a state can stand beneath a later one."""
    import torch

    composed_adapter(adapters[:2], FACTORS[:2], tmp_path / "two")
    composed_adapter([tmp_path / "two", adapters[2]], (1.0, FACTORS[2]), tmp_path / "three")
    composed_adapter(adapters, FACTORS, tmp_path / "sum")
    torch.testing.assert_close(logits(handle, [tmp_path / "three"]), logits(handle, [tmp_path / "sum"]))


def test_the_files_are_the_same_each_time_and_are_those_of_an_adapter(adapters, tmp_path):
    for name in ("one", "other"):
        composed_adapter(adapters, FACTORS, tmp_path / name)
        scaled_adapter(adapters[0], tmp_path / f"scaled-{name}", 0.5)
        write_chosen(tmp_path / f"{name}.json", tmp_path / name, {})
    assert contents(tmp_path / "one") == contents(tmp_path / "other")
    assert contents(tmp_path / "scaled-one") == contents(tmp_path / "scaled-other")
    assert {*contents(tmp_path / "one")} == {ADAPTER, CONFIG}
    assert sorted(check_adapter(tmp_path / "one")) == sorted(check_adapter(adapters[0]))


def another_name(old, new):
    return lambda folder: edit_weights(
        folder / ADAPTER, lambda tensors: {name.replace(old, new): tensor for name, tensor in tensors.items()}
    )


LAYER = "base_model.model.model.layers.0"
MAGNITUDES = f"{LAYER}.mlp.down_proj.lora_magnitude_vector"
# What makes an adapter another than plain LoRA, the file and the key that the error names, and its words.
UNFIT = {
    "rslora": (lambda f: edit_json(f / CONFIG, use_rslora=True), CONFIG, "use_rslora", "is True"),
    "dora": (lambda f: edit_json(f / CONFIG, use_dora=True), CONFIG, "use_dora", "expected .*plain LoRA"),
    "ranks by layer": (lambda f: edit_json(f / CONFIG, rank_pattern={"q_proj": 2}), CONFIG, "rank_pattern", "q_proj"),
    "a variant of tomorrow": (lambda f: edit_json(f / CONFIG, new_config={"a": 1}), CONFIG, "new_config", "plain LoRA"),
    "trained biases": (lambda f: edit_json(f / CONFIG, bias="all"), CONFIG, "bias", "is 'all'"),
    "no rank": (lambda f: edit_json(f / CONFIG, "r"), CONFIG, "r", "is None"),
    "an alpha of zero": (lambda f: edit_json(f / CONFIG, lora_alpha=0), CONFIG, "lora_alpha", "is 0"),
    "another rank": (
        lambda f: edit_json(f / CONFIG, r=3), ADAPTER, f"{LAYER}.mlp.down_proj.lora_A.weight", "of the rank 3",
    ),
    "B without A": (
        another_name("layers.0.mlp.up_proj.lora_A", "layers.5.mlp.up_proj.lora_A"), ADAPTER,
        f"{LAYER}.mlp.up_proj.lora_B.weight", "stands without .*lora_A",
    ),
    "a tensor of another kind": (
        lambda f: edit_weights(f / ADAPTER, lambda tensors: tensors | {MAGNITUDES: tensors[min(tensors)].clone()}),
        ADAPTER, MAGNITUDES, "neither A nor B",
    ),
    "no weights": (lambda f: (f / ADAPTER).unlink(), ADAPTER, None, "cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "file", "key", "words"), UNFIT.values(), ids=UNFIT)
def test_an_adapter_that_is_not_plain_lora_is_refused(change, file, key, words, adapters, tmp_path):
    folder = copy_of(adapters[0], tmp_path / "adapter")
    change(folder)
    for make in (
        lambda: scaled_adapter(folder, tmp_path / "made", 2.0),
        lambda: composed_adapter([adapters[1], folder], (1.0, 1.0), tmp_path / "made"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            make()
        assert (caught.value.file, caught.value.key) == (str(folder / file), key)
    assert not (tmp_path / "made").exists()


def test_adapters_of_other_modules_are_not_composed(handle, adapters, tmp_path):
    other = write_adapter(handle, tmp_path / "other", targets=("q_proj",))
    with pytest.raises(InputError, match="has weights of other modules; expected .*training.targets") as caught:
        composed_adapter([adapters[0], other], (0.5, 0.5), tmp_path / "made")
    assert (caught.value.file, caught.value.key) == (str(other / ADAPTER), f"{LAYER}.mlp.down_proj.lora_A.weight")

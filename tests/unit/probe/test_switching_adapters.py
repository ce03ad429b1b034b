"""An engine that switches adapters answers as one that was loaded with the adapter, and holds little more than it."""

import gc

import pytest

from gradual.ground.errors import InputError
from gradual.models.loading import load_model, load_tokenizer
from gradual.probe.answers import Asking, Decoding
from gradual.probe.engines.load import load_engine
from gradual.probe.engines.transformers import TransformersEngine
from gradual.probe.prompts import ExemplarPool, PromptSettings, plain
from gradual.probe.questions import fact_prompts
from tiny import TARGETS, base_model, facts, write_adapter


@pytest.fixture(scope="module", params=["qwen2", "llama"])
def architecture(request):
    return request.param


@pytest.fixture(scope="module")
def handle(architecture, tmp_path_factory):
    return base_model(tmp_path_factory.mktemp(architecture), architecture)


@pytest.fixture(scope="module")
def adapters(handle, tmp_path_factory):
    """Adapters of the model; c has other targets than a and b."""
    folder = tmp_path_factory.mktemp("adapters")
    return {
        name: write_adapter(handle, folder / name, seed, targets)
        for seed, (name, targets) in enumerate({"a": TARGETS, "b": TARGETS, "c": TARGETS[:2]}.items())
    }


def load(handle, *merged):
    return load_engine("transformers", handle, list(merged), "plain", "float32")


def answers(engine):
    table = facts()
    asked = table[table["split"] == "dev"]
    groups = list(
        fact_prompts(asked, ExemplarPool(table, "train", "facts"), PromptSettings(0, 2, "per_fact"), 2, plain)
    )
    decoding = Decoding(12, ("\n",), samples=4, temperature=0.7, top_k=20)
    return [answered for group in engine.answer(groups, decoding, Asking(lambda _: True)) for answered in group]


def weights(model):
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def same(one, other):
    import torch

    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_each_adapter_changes_the_answers(handle, adapters):
    """Else the tests below would say nothing."""
    said = [answers(load(handle)), *(answers(load(handle, adapter)) for adapter in adapters.values())]
    assert all(one != other for i, one in enumerate(said) for other in said[:i])


def test_after_each_switch_the_answers_and_weights_are_those_of_an_engine_loaded_afresh(handle, adapters):
    engine = load(handle)
    for name in "abaca":
        engine.use(adapters[name])
        afresh = load(handle, adapters[name])
        assert same(weights(engine.model), weights(afresh.model))
        assert answers(engine) == answers(afresh)


def test_an_adapter_is_put_on_top_of_those_that_were_merged(handle, adapters):
    engine = load(handle, adapters["c"])
    for name in "aba":
        engine.use(adapters[name])
        assert answers(engine) == answers(load(handle, adapters["c"], adapters[name]))


def test_embeddings_stay_tied(handle, adapters):
    engine = load(handle)
    for name in "ab":
        engine.use(adapters[name])
        assert engine.model.lm_head.weight is engine.model.get_input_embeddings().weight


def test_merging_changes_no_weight_in_place(handle, adapters):
    """What switching relies on in peft."""
    import torch

    model = load_model(handle, [], "float32")
    before = {name: (parameter, parameter.data, parameter.data.clone()) for name, parameter in model.named_parameters()}
    TransformersEngine(model, load_tokenizer(handle), special_tokens=True).use(adapters["a"])
    for name, (parameter, data, copy) in before.items():
        assert torch.equal(data, copy)
        assert (parameter.data_ptr() != data.data_ptr()) == any(f".{target}.weight" in name for target in TARGETS)


def held():
    """Bytes of all tensors that there are, each storage counted once."""
    import torch

    gc.collect()
    tensors = [thing for thing in gc.get_objects() if type(thing) in (torch.Tensor, torch.nn.Parameter)]
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
    return sum(storages.values())


def test_switching_holds_one_copy_of_the_target_weights_more(handle, adapters, monkeypatch):
    from peft.tuners.lora import Linear

    engine = load(handle)
    before = held()
    targets = sum(
        parameter.nbytes
        for name, parameter in engine.model.named_parameters()
        if any(f".{target}.weight" in name for target in TARGETS)
    )
    for name in "abab":
        engine.use(adapters[name])
        assert held() == before + targets
    meanwhile = []
    merge = Linear.merge

    def watched(layer, *args, **options):
        merge(layer, *args, **options)
        meanwhile.append(held())

    monkeypatch.setattr(Linear, "merge", watched)
    lora = sum(file.stat().st_size for file in adapters["a"].glob("*.safetensors"))
    engine.use(adapters["a"])
    assert len(meanwhile) == 2 * len(TARGETS)
    assert max(meanwhile) <= before + targets + lora


@pytest.fixture(params=["of a wider model", "of a deeper model", "of the other architecture", "cut short"])
def unfit(request, architecture, adapters, tmp_path, monkeypatch):
    """An adapter that the model must refuse."""
    import tiny

    folder = tmp_path / "unfit"
    if request.param == "cut short":
        folder.mkdir()
        for file in adapters["a"].iterdir():
            (folder / file.name).write_bytes(file.read_bytes()[: -8 if file.suffix == ".safetensors" else None])
        return folder
    change = {"of a wider model": {"hidden_size": 128}, "of a deeper model": {"layers": 3}}.get(request.param, {})
    monkeypatch.setattr(tiny, "SIZES", tiny.SIZES | change)
    other = {"qwen2": "llama", "llama": "qwen2"}[architecture]
    kind = other if request.param == "of the other architecture" else architecture
    return write_adapter(base_model(tmp_path / "other", kind), folder, 5)


def test_an_adapter_that_does_not_fit_is_refused_and_the_engine_answers_as_before(unfit, handle, adapters):
    engine = load(handle)
    for used in (None, "a"):
        if used:
            engine.use(adapters[used])
        before, names = answers(engine), list(weights(engine.model))
        with pytest.raises(InputError) as caught:
            engine.use(unfit)
        assert str(unfit) in caught.value.file
        assert answers(engine) == before
        assert list(weights(engine.model)) == names
    engine.use(adapters["b"])
    assert answers(engine) == answers(load(handle, adapters["b"]))

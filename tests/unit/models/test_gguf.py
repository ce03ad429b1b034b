"""GGUF files become models with the weights that they hold, a tokenizer that splits as theirs does, and a card."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from damage import contents, cut, edit_json, halve
from gradual.ground.errors import InputError
from gradual.ground.files import digest
from gradual.models.converted import CARD, check_gguf, convert
from gradual.models.gguf_tokenizer import SPLITTERS, tokenizer_files
from gradual.models.handle import write_handle
from gradual.models.loading import load_model, load_tokenizer
from tiny_gguf import MERGES, SPECIAL, TEMPLATE, random_model, tokens_of, write_gguf

WEIGHTS = "model.safetensors"


def converted(file: Path, folder: Path, dtype: str = "float32") -> Path:
    """The handle of the model that is converted from a GGUF file."""
    folder.mkdir(parents=True)
    convert(file, digest(file), tokenizer_files(file), dtype, folder)
    write_handle(folder / "base.json", folder, "test")
    return folder / "base.json"


def weights(folder: Path) -> dict[str, np.ndarray]:
    from safetensors.torch import load_file

    return {name: tensor.float().numpy() for name, tensor in load_file(folder / WEIGHTS).items()}


@pytest.fixture(scope="module")
def llama():
    return random_model()


@pytest.fixture(scope="module")
def file(tmp_path_factory, llama):
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf", llama, "Q4_1")


# --- weights -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3"])
def test_weights_that_are_not_quantised_come_back_and_compute_the_same(architecture, tied, tmp_path):
    import torch

    model = random_model(architecture, tied)
    found = load_model(converted(write_gguf(tmp_path / "a.gguf", model), tmp_path / "model"), [], "auto", "cpu")
    theirs, ours = model.state_dict(), found.state_dict()
    assert theirs.keys() == ours.keys() and all(torch.equal(theirs[name], ours[name]) for name in theirs)
    rows = torch.arange(40).reshape(2, 20)
    assert torch.equal(model.eval()(rows).logits, found(rows).logits)
    same = "num_key_value_heads rms_norm_eps rope_parameters max_position_embeddings tie_word_embeddings".split()
    assert {key: getattr(model.config, key) for key in same} == {key: getattr(found.config, key) for key in same}
    assert (found.config.bos_token_id, found.config.eos_token_id, found.dtype) == (1, 2, torch.float32)


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])  # of qwen3 it does not read the size of a head
def test_quantised_weights_are_those_that_transformers_makes_of_the_file(architecture, tmp_path):
    from transformers import AutoModelForCausalLM

    file = write_gguf(tmp_path / "a.gguf", random_model(architecture), "Q4_0")
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=file.name).state_dict()
    ours = load_model(converted(file, tmp_path / "model"), [], "float32", "cpu").state_dict()
    assert theirs.keys() == ours.keys() and all((theirs[name] == ours[name]).all() for name in theirs)


# The relative error of normal random weights, |difference| / |weight| over all matrices, to two digits.
ERRORS = {"Q8_0": 0.0057, "Q5_1": 0.037, "Q4_1": 0.076, "Q4_0": 0.092, "F16": 0.00021, "BF16": 0.0017}


@pytest.mark.parametrize(("kind", "expected"), ERRORS.items(), ids=ERRORS)
def test_the_loss_by_quantisation_of_a_model_that_is_at_hand(kind, expected, llama, tmp_path):
    found = weights(converted(write_gguf(tmp_path / "a.gguf", llama, kind), tmp_path / "model").parent)
    theirs = {name: tensor.numpy() for name, tensor in llama.state_dict().items() if name in found and tensor.dim() > 1}
    lost = sum(((found[name] - theirs[name]) ** 2).sum() for name in theirs)
    relative = (lost / sum((values**2).sum() for values in theirs.values())) ** 0.5
    assert relative == pytest.approx(expected, rel=0.1)
    card = json.loads((tmp_path / "model" / CARD).read_text())
    assert card["tensors"] == {kind: 15, "F32": 5} and card["parameters"] == sum(v.size for v in found.values())
    assert ("does not tell how far" in card["note"]) == kind.startswith("Q")


def test_the_card_says_what_was_converted(file, tmp_path):
    converted(file, tmp_path / "model")
    card = json.loads((tmp_path / "model" / CARD).read_text())
    assert card["gguf"] == {
        "file": "tiny.gguf", "sha256": digest(file), "architecture": "llama", "license": "apache-2.0"
    }  # fmt: skip
    assert 5 < card["bits_per_weight"] < 5.3  # Q4_1 has 5 bits per weight, and norms have 32
    assert card["note"].startswith("The weights are those of the quantised file. The file alone does not tell how far")
    assert card["files"] == {
        each.name: digest(each) for each in (tmp_path / "model").iterdir() if each.name not in (CARD, "base.json")
    }


def test_bfloat16_is_rounded_as_torch_rounds_it(file, tmp_path):
    import torch

    full = load_model(converted(file, tmp_path / "full"), [], "float32", "cpu").state_dict()
    half = load_model(converted(file, tmp_path / "half", "bfloat16"), [], "auto", "cpu").state_dict()
    assert all(torch.equal(full[name].bfloat16(), half[name]) for name in full)
    assert any((half[name].float() != full[name]).any() for name in full)
    assert "rounded to bfloat16" in json.loads((tmp_path / "half" / CARD).read_text())["note"]


def test_the_conversion_is_the_same_bytes_each_time(file, tmp_path):
    first, second = (converted(file, tmp_path / name).parent for name in ("first", "second"))
    (first / "base.json").unlink()
    (second / "base.json").unlink()
    assert contents(first) == contents(second)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_conversion_takes_less_memory_than_twice_the_weights(dtype, tmp_path):
    """Most weights are in one tensor, which is the worst case."""
    model = random_model(hidden_size=128, intermediate_size=3 * 2**13, num_hidden_layers=1, head_dim=32)
    file = write_gguf(tmp_path / "a.gguf", model, "Q8_0")
    size = 4 * model.num_parameters()
    tracemalloc.start()
    try:
        converted(file, tmp_path / "model", dtype)
        assert tracemalloc.get_traced_memory()[1] < 2 * size
    finally:
        tracemalloc.stop()


# --- tokenizers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SPLITTERS)
def test_the_tokenizer_of_a_file_agrees_with_its_files_and_begins_as_it_says(name, tmp_path):
    for begins in (None, True, False):
        settings = {"tokenizer.ggml.pre": name, "tokenizer.ggml.add_bos_token": begins}
        file = write_gguf(tmp_path / f"{begins}.gguf", settings=settings)
        tokenizer = load_tokenizer(converted(file, tmp_path / str(begins)))  # it checks the tokenizer
        first = tokenizer("the cap").input_ids[0]
        assert (first == 1) == (SPLITTERS[name].begins if begins is None else begins)
        assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token) == (*SPECIAL[1:], SPECIAL[2])
        assert len(tokenizer) == len(tokens_of())  # the rows that nothing uses are no tokens
        chat = tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False)
        assert chat == "<|im_start|>user\nHi<|im_end|>\n"
        assert tokenizer(chat, add_special_tokens=False).input_ids[0] == 1


# What each pre-tokenizer makes of these texts: the merges "1 2" and "Ġ 1" are only for words that have both.
SPLITS = {
    "gpt-2": (["Ġ", "12"], ["ĠĠ", "Ġ", "12", "Ġ1"]),
    "smollm": (["Ġ", "1", "2"], ["ĠĠ", "Ġ", "1", "2", "Ġ", "1"]),
    "qwen2": (["Ġ", "1", "2"], ["ĠĠ", "Ġ", "1", "2", "Ġ", "1"]),
    "llama-bpe": (["Ġ", "12"], ["ĠĠ", "Ġ", "12", "Ġ", "1"]),
}


@pytest.mark.parametrize(("name", "expected"), SPLITS.items(), ids=SPLITS)
def test_digits_and_spaces_are_split_as_the_model_knows_them(name, expected, tmp_path):
    settings = {"tokenizer.ggml.pre": name, "tokenizer.ggml.add_bos_token": False}
    tokenizer = load_tokenizer(converted(write_gguf(tmp_path / "a.gguf", settings=settings), tmp_path / "model"))
    assert tuple(tokenizer.tokenize(text) for text in (" 12", "   12 1")) == expected


def test_the_tokenizer_of_qwen2_is_that_of_transformers(tmp_path):
    from transformers import Qwen2Tokenizer

    from gradual.models.tokenizer_check import TEXTS

    file = write_gguf(tmp_path / "a.gguf", random_model("qwen2"), settings={"tokenizer.ggml.pre": "qwen2"})
    ours = load_tokenizer(converted(file, tmp_path / "model"))
    vocabulary = {token: number for number, token in enumerate(tokens_of())}
    theirs = Qwen2Tokenizer(vocabulary, [tuple(merge.split()) for merge in MERGES])
    assert [ours(text).input_ids for text in TEXTS] == [theirs(text).input_ids for text in TEXTS]


@pytest.mark.parametrize("settings", [True, False])
def test_a_tokenizer_beside_the_file_is_taken_with_what_lies_beside_it(settings, file, tmp_path):
    other = converted(file, tmp_path / "other").parent
    beside = write_gguf(tmp_path / "a.gguf", settings={"tokenizer.ggml.model": "llama", "tokenizer.ggml.pre": None})
    edit_json(
        other / "tokenizer.json", pre_tokenizer={"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    )
    (other / "tokenizer.json").rename(tmp_path / "tokenizer.json")
    if settings:
        edit_json(other / "tokenizer_config.json", eos_token="<|endoftext|>")
        (other / "tokenizer_config.json").rename(tmp_path / "tokenizer_config.json")
    tokenizer = load_tokenizer(converted(beside, tmp_path / "model"))
    assert tokenizer.tokenize(" 12") == ["Ġ", "12"]  # not of the pre-tokenizer smollm
    assert tokenizer.eos_token == (SPECIAL[0] if settings else SPECIAL[2])
    assert tokenizer.chat_template == (None if settings else TEMPLATE)


def test_the_tokenizer_of_another_model_beside_the_file_is_refused(file, tmp_path):
    other = converted(file, tmp_path / "other").parent / "tokenizer.json"
    value = json.loads(other.read_text())
    value["model"]["vocab"] |= {"the": 264, "Ġthe": 261, "he": 262}
    (tmp_path / "tokenizer.json").write_text(json.dumps(value))
    with pytest.raises(InputError, match="the token 'he' has the id 262, and in a.gguf it has"):
        converted(write_gguf(tmp_path / "a.gguf"), tmp_path / "model")


# --- what is refused -----------------------------------------------------------------------------------------------

Q_NORM = "blk.0.attn_q.weight"
REFUSED = {
    "split": ({"settings": {"split.count": 3}}, "split.count", "one of the 3 parts of a split GGUF file"),
    "another architecture": (
        {"settings": {"general.architecture": "mamba"}},
        "general.architecture",
        "'mamba'; expected llama or qwen2 or qwen3",
    ),
    "a scaled rotation": (
        {"settings": {"llama.rope.scaling.factor": 8.0}},
        "llama.rope.scaling.factor",
        "does not know this setting",
    ),
    "a part of a rotation": (
        {"settings": {"llama.rope.dimension_count": 8}},
        "llama.rope.dimension_count",
        "is 8; expected 16, the size of a head",
    ),
    "sizes by layer": ({"settings": {"llama.feed_forward_length": [96, 96]}}, "llama.feed_forward_length", "[96, 96]"),
    "no layers": ({"settings": {"llama.block_count": None}}, "llama.block_count", "is missing"),
    "no heads": ({"settings": {"llama.attention.head_count": 0}}, "llama.attention.head_count", "is 0; expected"),
    "fewer layers": ({"settings": {"llama.block_count": 1}}, "blk.1.attn_k.weight", "that its architecture lacks"),
    "a missing tensor": ({"tensors": {Q_NORM: None}}, Q_NORM, "lacks a tensor"),
    "another tensor": (
        {"tensors": {"rope_freqs.weight": np.ones(8, "f")}},
        "rope_freqs.weight",
        "that its architecture lacks; expected exactly the tensors of a llama",
    ),
    "another shape": ({"tensors": {Q_NORM: np.ones((32, 64), "f")}}, Q_NORM, "has the shape (32, 64); expected (64, 64)"),
    "no embedding": ({"tensors": {"token_embd.weight": None}}, "token_embd.weight", "has no embedding"),
    "another vocabulary": ({"settings": {"llama.vocab_size": 9}}, "llama.vocab_size", "the rows of the embedding"),
    "infinity": ({"tensors": {Q_NORM: np.full((64, 64), np.inf, "f")}}, Q_NORM, "not finite"),
    "double": ({"tensors": {Q_NORM: np.ones((64, 64))}}, Q_NORM, "the type F64, which cannot be dequantised"),
    "sentence pieces": (
        {"settings": {"tokenizer.ggml.model": "llama"}},
        "tokenizer.ggml.model",
        "'llama'; expected tokenizer.json of the same model beside the file",
    ),
    "another pre-tokenizer": ({"settings": {"tokenizer.ggml.pre": "tekken"}}, "tokenizer.ggml.pre", "'tekken'"),
    "no pre-tokenizer": ({"settings": {"tokenizer.ggml.pre": None}}, "tokenizer.ggml.pre", "None; expected gpt-2 or"),
    "no tokens": ({"settings": {"tokenizer.ggml.tokens": None}}, "tokenizer.ggml.tokens", "is missing"),
    "types of some tokens": ({"settings": {"tokenizer.ggml.token_type": [1]}}, "tokenizer.ggml.tokens", "1 types"),
    "a special token of none": ({"settings": {"tokenizer.ggml.eos_token_id": 999}}, "tokenizer.ggml.eos_token_id", "999"),
    "a merge of no tokens": ({"settings": {"tokenizer.ggml.merges": ["the x"]}}, "tokenizer.ggml.merges", "'the x'"),
    "an end of each text": ({"settings": {"tokenizer.ggml.add_eos_token": True}}, "tokenizer.ggml.add_eos_token", "true"),
}  # fmt: skip
OF_VALUES = ("infinity", "double")  # which only the conversion itself sees


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_conversion_does_not_know_is_refused_with_its_key(name, llama, tmp_path):
    changes, key, words = REFUSED[name]
    file = write_gguf(tmp_path / "a.gguf", llama, **changes)
    with pytest.raises(InputError) as caught:
        converted(file, tmp_path / "model")
    assert (caught.value.file, caught.value.key) == (str(file), key)
    assert words in str(caught.value)
    if name in OF_VALUES:
        return check_gguf(file, [], "float32")
    with pytest.raises(InputError) as early:
        check_gguf(file, [], "float32")
    assert str(early.value) == str(caught.value)


BROKEN = {
    "empty": cut,
    "half": halve,
    "a pointer": lambda f: f.write_text("version https://git-lfs"),
    "gone": Path.unlink,
}


@pytest.mark.parametrize("breakage", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_a_clear_error(breakage, tmp_path):
    file = write_gguf(tmp_path / "a.gguf")
    breakage(file)
    with pytest.raises(InputError, match=r"a\.gguf.*(cannot be read|no such file).*expected"):
        check_gguf(file, [], "float32")

"""Tokenizers in memory: they encode and decode as the tokenizer.json beside the weights does, or are refused."""

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from damage import copy_of, edit_json
from gradual.ground.errors import InputError
from gradual.models.handle import write_handle
from gradual.models.loading import load_model, load_tokenizer
from gradual.models.tokenizer_check import TEXTS
from gradual.training.lora import Training, attach_adapter, train_adapter
from gradual.training.pretraining import pack
from gradual.training.texts import tokenize
from tiny import TRAINING, base_model, chat_model

# What a tokenizer.json may have that the class of an architecture would replace.
FILES = {
    "as trained here": {},
    "digits one by one": {
        "pre_tokenizer": pre_tokenizers.Sequence([pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(False)])
    },
    "a prefix space": {"pre_tokenizer": pre_tokenizers.ByteLevel(add_prefix_space=True)},
    "no splits at spaces": {"pre_tokenizer": pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)},
    "NFC": {"normalizer": normalizers.NFC()},
    "NFKD in lower case": {"normalizer": normalizers.Sequence([normalizers.NFKD(), normalizers.Lowercase()])},
    "another decoder": {"decoder": decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])},
    "an end after each text": {
        "post_processor": processors.TemplateProcessing(
            single="$A <|endoftext|>", special_tokens=[("<|endoftext|>", 0)]
        )
    },
}


@pytest.fixture(scope="module", params=["qwen2", "llama", "mistral", "gemma", "gpt2", "phi3"])
def folder(request, tmp_path_factory):
    """A model whose config names an architecture that transformers has a tokenizer class for."""
    made = tmp_path_factory.mktemp(request.param)
    base_model(made, "llama" if request.param == "llama" else "qwen2")
    edit_json(made / "config.json", model_type=request.param)
    return made


@pytest.mark.parametrize("parts", FILES.values(), ids=FILES)
def test_a_loaded_tokenizer_is_that_of_the_file_beside_the_weights(parts, folder, tmp_path):
    copy_of(folder, tmp_path / "model")
    file = tmp_path / "model" / "tokenizer.json"
    own = Tokenizer.from_file(str(file))
    for name, part in parts.items():
        setattr(own, name, part)
    own.save(str(file))
    write_handle(tmp_path / "base.json", tmp_path / "model", "test")
    tokenizer = load_tokenizer(tmp_path / "base.json")
    for text in (*TEXTS, "thing 14 <|endoftext|> thing", "What is r0 of test subject 3?"):
        for special in (True, False):
            ids = own.encode(text, add_special_tokens=special).ids
            assert tokenizer(text, add_special_tokens=special)["input_ids"] == ids
            assert tokenizer.decode(ids) == own.decode(ids, skip_special_tokens=False)
    text = tokenize("Q: thing 14\nA:", " thing 14\n", tokenizer, "plain", "answer")["input_ids"]
    assert text == own.encode("Q: thing 14\nA: thing 14\n").ids
    begin = [tokenizer.bos_token_id] if tokenizer.bos_token else []
    packed = [*begin, *own.encode("thing 14", add_special_tokens=False).ids, tokenizer.eos_token_id]
    assert pack(["thing 14"], tokenizer, len(packed)).tolist() == [packed]


@pytest.mark.parametrize("removed", [("pad_token",), ("pad_token", "eos_token")])
def test_a_model_without_padding_or_end_is_trained(removed, tmp_path):
    """Padding has neither attention nor loss, so that no token is needed for it."""
    handle = base_model(tmp_path, scale=1.0)
    edit_json(tmp_path / "tokenizer_config.json", *removed)
    write_handle(handle, tmp_path, "test")
    tokenizer = load_tokenizer(handle)
    assert tokenizer.pad_token is None
    rows = [tokenize("Q: thing\nA:", f" thing{' 14' * i}\n", tokenizer, "plain", "answer") for i in range(4)]
    model = attach_adapter(load_model(handle, [], "float32"), None, TRAINING)
    training = Training(rows, 4, 0.0, TRAINING, seed=0, folder=tmp_path / "training")
    assert len(train_adapter(model, training)[0]) == TRAINING.epochs


def test_special_tokens_and_templates_beside_the_file_are_kept(tmp_path):
    tokenizer = load_tokenizer(chat_model(tmp_path))
    assert (tokenizer.eos_token, tokenizer.pad_token, tokenizer.bos_token) == ("<|endoftext|>", "<|endoftext|>", None)
    assert "<|im_end|>" in tokenizer.all_special_tokens and "<|im_start|>" in tokenizer.chat_template


# What the files beside a tokenizer.json may say against it.
CONTRADICTIONS = {
    "a special token that it lacks": (lambda f: edit_json(f, pad_token="[PAD]"), r"tokens '\[PAD\]'"),
    "added tokens that it lacks": (
        lambda f: edit_json(f, added_tokens_decoder={"303": {"content": "<new>", "special": True}}),
        "tokens '<new>'",
    ),
    "tokens of another file": (lambda f: (f.parent / "added_tokens.json").write_text('{"<new>": 303}'), "'<new>'"),
    "a letter as special token": (lambda f: edit_json(f, eos_token="t"), "tokens 't'"),
    "special tokens split": (lambda f: edit_json(f, split_special_tokens=True), "makes .*<.endoftext"),
}


@pytest.mark.parametrize(("change", "words"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_a_folder_that_contradicts_its_tokenizer_is_refused(change, words, tmp_path):
    handle = base_model(tmp_path)
    change(tmp_path / "tokenizer_config.json")
    write_handle(handle, tmp_path, "test")
    with pytest.raises(InputError, match=words) as caught:
        load_tokenizer(handle)
    assert caught.value.file == str(tmp_path / "tokenizer.json")


def test_the_file_says_where_special_tokens_are_added(tmp_path):
    handle = base_model(tmp_path)
    edit_json(tmp_path / "tokenizer_config.json", bos_token="<|endoftext|>", add_bos_token=True, add_eos_token=True)
    write_handle(handle, tmp_path, "test")
    assert load_tokenizer(handle)("")["input_ids"] == []


@pytest.mark.parametrize(("rows", "good"), [(302, False), (303, True), (400, True)])  # embeddings are often padded
def test_a_tokenizer_with_more_tokens_than_the_embedding_is_refused(rows, good, tmp_path):
    handle = base_model(tmp_path)
    edit_json(tmp_path / "config.json", vocab_size=rows)
    write_handle(handle, tmp_path, "test")
    if good:
        assert len(load_tokenizer(handle)) == 303
    else:
        with pytest.raises(InputError, match="with id 302, but the model has 302 tokens; expected a tokenizer of this"):
            load_tokenizer(handle)


def test_padding_and_truncation_of_the_file_are_left_out(tmp_path):
    """They are those of some training, and are saved with the tokenizer."""
    handle = base_model(tmp_path)
    own = PreTrainedTokenizerFast.from_pretrained(tmp_path).backend_tokenizer
    own.enable_truncation(4)
    own.enable_padding(length=8, pad_token="<|endoftext|>")
    own.save(str(tmp_path / "tokenizer.json"))
    write_handle(handle, tmp_path, "test")
    assert len(load_tokenizer(handle)("no padding and no truncation")["input_ids"]) > 8
    assert len(load_tokenizer(handle)("a")["input_ids"]) == 1


@pytest.mark.parametrize("model", [models.WordLevel({"[UNK]": 0, "thing": 1}, unk_token="[UNK]")])
def test_a_tokenizer_that_is_no_bpe_loads_too(model, tmp_path):
    handle = base_model(tmp_path)
    own = Tokenizer(model)
    own.pre_tokenizer = pre_tokenizers.Whitespace()
    own.add_special_tokens(["[UNK]"])
    own.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text('{"unk_token": "[UNK]"}')
    write_handle(handle, tmp_path, "test")
    assert load_tokenizer(handle)("thing other")["input_ids"] == [1, 0]

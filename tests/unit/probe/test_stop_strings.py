"""An answer ends at the token that completes a stop string, however many tokens and bytes the string has."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradual.models.loading import load_tokenizer
from gradual.probe.answers import Decoding
from gradual.probe.engines.tokenization import Stopper
from tiny import base_model

SAID = ["thing 1", " ", ".", "。", "！", "\u3000", "é", "…", "🎉", "\n", "\r\n", "###", "a", "。\n", "Ω"]
STOPS = ["\n", "。", "！\n", "###", "🎉", "…", "\u3000", "é", " a", "\r\n", "Ω。"]


@pytest.fixture(scope="module", params=["byte-level", "sentencepiece"])
def tokenizer(request, tmp_path_factory):
    return byte_level(str(tmp_path_factory.mktemp("model"))) if request.param == "byte-level" else sentencepiece()


@cache
def byte_level(folder):
    return load_tokenizer(base_model(Path(folder)))


@cache
def sentencepiece():
    """A tokenizer as that of Llama 2: words begin with ▁, unknown characters are bytes, and the first ▁ is lost."""
    from tokenizers import Tokenizer, decoders, models, normalizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {"<s>": 0, "</s>": 1} | {f"<0x{byte:02X}>": 2 + byte for byte in range(256)}
    for piece in ("▁", "a", "1", "t", "h", "i", "n", "g", "#", ".", "th"):
        vocabulary[piece] = len(vocabulary)
    raw = Tokenizer(models.BPE(vocabulary, [("t", "h")], byte_fallback=True))
    raw.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    raw.decoder = decoders.Sequence(parts)
    return PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="</s>")


@settings(derandomize=True, deadline=None, database=None, max_examples=300)
@given(
    st.lists(st.sampled_from(SAID), min_size=1, max_size=8).map("".join),
    st.lists(st.sampled_from(STOPS), min_size=1, max_size=3, unique=True).map(tuple),
)
def test_an_answer_ends_where_its_text_first_has_a_stop_string(tokenizer, text, stops):
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    stopper = Stopper(tokenizer, Decoding(64, stops))
    whole = [tokenizer.decode(ids[:end], skip_special_tokens=True) for end in range(1, len(ids) + 1)]
    first = next((end for end, said in enumerate(whole, 1) if any(stop in said for stop in stops)), None)
    found = (end for end in range(1, len(ids) + 1) if stopper.ended(np.array([ids[:end]]))[0])
    assert next(found, None) == first
    if first:
        [answer] = stopper.answers({(tuple(ids[:first]), "stop"): 1})
        assert not any(stop in answer.text for stop in stops)

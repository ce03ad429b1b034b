"""Samples as they are drawn one by one, token by token: the reference of the tree."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from gradual.ground.seeding import seeded
from gradual.probe.answers import Answer, Decoding, Prompt


def sample_alone(model: Any, tokenizer: Any, prompt: Prompt, decoding: Decoding, sample: int) -> str:
    """The text of one sample, penalized before temperature and top k, from its own stream."""
    import torch

    uniforms = np.random.Generator(np.random.Philox(key=seeded(decoding.seed, prompt.fact_id, prompt.index))).random(
        (decoding.samples, decoding.max_new_tokens)
    )
    ids = tokenizer(prompt.text)["input_ids"]
    new = []
    for step in range(decoding.max_new_tokens):
        logits = model(torch.tensor([ids + new])).logits[0, -1]
        for token in {*ids, *new}:
            logits[token] *= decoding.repetition_penalty ** (1 if logits[token] < 0 else -1)
        best = torch.topk(logits / decoding.temperature, decoding.top_k)
        cumulative = torch.softmax(best.values.double(), -1).cumsum(-1).numpy()
        place = min(int((cumulative < uniforms[sample, step]).sum()), decoding.top_k - 1)
        new.append(int(best.indices[place]))
        if new[-1] in tokenizer.all_special_ids or "\n" in tokenizer.decode(new[-1:]):
            break
    return tokenizer.decode(new, skip_special_tokens=True).partition("\n")[0].strip()


def counted(sampled: Iterable[Answer]) -> Counter[str]:
    """How often each text was sampled."""
    texts: Counter[str] = Counter()
    for answer in sampled:
        texts[answer.text] += answer.count
    return texts

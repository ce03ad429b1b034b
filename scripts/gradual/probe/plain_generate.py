"""The plain path: transformers' `generate`. A fast engine's answers are compared with its answers.

Prompts with equally many tokens are answered together, so that nothing is padded.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from gradual.probe.answers import BROKEN, Answer, Decoding, Prompt
from gradual.probe.prompts import ending_tokens

LIKELIEST = 100  # tokens among which a token of another answer is sought
TOGETHER = 64  # answers that are generated together


class PlainGenerate:
    """Answers prompts with `generate`. The model's own generation config is not used.

    It shares no code with the engines except the prompts, the loading of the weights and the tokens that end an answer.
    """

    def __init__(self, model: Any, tokenizer: Any, special_tokens: bool, decoding: Decoding) -> None:
        import torch
        from transformers import GenerationConfig

        self.model, self.tokenizer, self.special_tokens, self.decoding = model, tokenizer, special_tokens, decoding
        torch.manual_seed(decoding.seed)
        self.ends = sorted(ending_tokens(tokenizer))
        model.generation_config = GenerationConfig(
            max_new_tokens=decoding.max_new_tokens,
            repetition_penalty=decoding.repetition_penalty,
            eos_token_id=self.ends or None,
            pad_token_id=self.ends[0] if self.ends else 0,
        )

    def greedy(self, prompts: Sequence[Prompt]) -> list[Answer]:
        """The greedy answer to each prompt."""
        found: dict[int, Answer] = {}
        for places, ids in self._batches(prompts, TOGETHER):
            for place, tokens in zip(places, self._generate(ids, do_sample=False), strict=True):
                stopped = self._stop(tokens)
                answer = tokens[: stopped or None]
                found[place] = Answer(self._answer(answer), len(answer), "stop" if stopped else "length")
        return [found[place] for place in range(len(prompts))]

    def gap(self, prompt: Prompt, said: str) -> float:
        """How far below the greedy answer's logit that of another answer is, at the first token that differs.

        The unit is the largest logit there, because rounding grows with it; 0 if no token differs. Rounding can choose
        another token only where the gap is small. Of all tokens that the text `said` may go on with, the likeliest counts;
        if none is among the LIKELIEST, the last of these does.
        """
        import torch

        (own,) = self._generate(self._ids([prompt]), do_sample=False)
        common = 0
        while common < len(own) and self._begins(said, own[: common + 1]):
            common += 1
        if common == len(own):
            return 0.0
        ids = torch.tensor([[*self._ids([prompt])[0].tolist(), *own[:common]]], device=self.model.device)
        with torch.inference_mode():
            scores = self.model.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=1, do_sample=False, output_scores=True,
                return_dict_in_generate=True,
            ).scores[0][0]  # fmt: skip
        likely = scores.topk(min(LIKELIEST, len(scores)))
        logits, tokens = likely.values.tolist(), likely.indices.tolist()
        fits = (i for i, token in enumerate(tokens) if self._begins(said, [*own[:common], token]))
        return (logits[0] - logits[next(fits, -1)]) / float(scores.abs().max())

    def _begins(self, said: str, tokens: list[int]) -> bool:
        """Whether an answer with this text may begin with these tokens, or be them if they end it."""
        if tokens[-1] in self.ends or self._stopped(tokens):
            return self._answer(tokens) == said
        text = self._text(tokens).strip()
        whole = text.rstrip(BROKEN)
        return said.startswith(whole) and (whole == text or not said[len(whole) : len(whole) + 1].isascii())

    def sampled(self, prompts: Sequence[Prompt], count: int) -> list[Counter[str]]:
        """The texts of `count` sampled answers to each prompt, drawn with torch's generator.

        A prompt goes through the model once. Its answers share the keys and values.
        """
        import torch
        from transformers import DynamicCache

        way = {"temperature": self.decoding.temperature, "top_k": self.decoding.top_k}
        found: dict[int, Counter[str]] = {}
        for places, ids in self._batches(prompts, max(1, TOGETHER // count)):
            cache = DynamicCache(config=self.model.config)
            if ids.shape[1] > 1:
                with torch.inference_mode():
                    self.model(ids[:, :-1], past_key_values=cache, use_cache=True)
                cache.batch_repeat_interleave(count)
            rows = self._generate(ids.repeat_interleave(count, 0), do_sample=True, past_key_values=cache, **way)
            for number, place in enumerate(places):
                found[place] = Counter(map(self._answer, rows[number * count : (number + 1) * count]))
        return [found[place] for place in range(len(prompts))]

    def _generate(self, ids: Any, **way: Any) -> list[list[int]]:
        """The tokens of an answer to each prompt, given by token ids (prompts, tokens).

        Answers shorter than the longest one are padded with a token that ends answers.
        """
        import torch

        length = ids.shape[1]

        def stopped(rows: Any, scores: Any, **_: Any) -> Any:
            return torch.tensor([self._stopped(row) for row in rows[:, length:].tolist()], device=rows.device)

        with torch.inference_mode():
            mask = torch.ones_like(ids)
            rows = self.model.generate(ids, attention_mask=mask, stopping_criteria=[stopped], **way)
        return rows[:, length:].tolist()

    def _batches(self, prompts: Sequence[Prompt], most: int) -> Iterator[tuple[list[int], Any]]:
        """Up to `most` prompts of equally many tokens: their places, and their token ids (prompts, tokens)."""
        alike: dict[int, list[int]] = defaultdict(list)
        for place, prompt in enumerate(prompts):
            alike[self._ids([prompt]).shape[1]].append(place)
        for places in alike.values():
            for start in range(0, len(places), most):
                batch = places[start : start + most]
                yield batch, self._ids([prompts[place] for place in batch])

    def _ids(self, prompts: Sequence[Prompt]) -> Any:
        """The token ids (prompts, tokens) of prompts with equally many tokens."""
        texts = [prompt.text for prompt in prompts]
        encoded = self.tokenizer(texts, add_special_tokens=self.special_tokens, return_tensors="pt")
        return encoded["input_ids"].to(self.model.device)

    def _stop(self, tokens: list[int]) -> int:
        """How many tokens an answer has up to the one that ends it; 0 if none does."""
        return next((n for n, token in enumerate(tokens, 1) if token in self.ends or self._stopped(tokens[:n])), 0)

    def _stopped(self, tokens: list[int]) -> bool:
        text = self._text(tokens)
        return any(stop in text for stop in self.decoding.stop)

    def _answer(self, tokens: list[int]) -> str:
        """The text up to the first stop string."""
        text = self._text(tokens)
        return min((text.partition(stop)[0] for stop in self.decoding.stop), key=len, default=text).strip()

    def _text(self, tokens: list[int]) -> str:
        return self.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)

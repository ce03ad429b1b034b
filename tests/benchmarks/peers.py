"""How others ask a model: plain uses of transformers' `generate` and of vLLM's `LLM.generate`.

Each gives one greedy and `decoding.samples` sampled answers per prompt, as rows of ROW.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gradual.probe.answers import Decoding, Prompt
from gradual.probe.generations import GREEDY, SAMPLED

ROW = ("fact_id", "prompt_index", "kind", "text", "count")
GPU_SHARE = 0.4  # of a GPU's memory, for each of the two vLLM engines of a measurement
Rows = Iterator[tuple[str, int, str, str, int]]


class Generate:
    """transformers' `generate` for batches of prompts, padded on the left; `seed` is that of the samples."""

    def __init__(self, model: Any, tokenizer: Any, special_tokens: bool) -> None:
        self.model, self.tokenizer, self.special_tokens = model, tokenizer, special_tokens
        self._stopping: dict[tuple[str, ...], Any] = {}

    def in_batches(self, prompts: Sequence[Prompt], decoding: Decoding, seed: int, batch: int) -> Rows:
        """A greedy call for each batch, and one for all samples (`num_return_sequences`)."""
        self._seed(seed)
        for part in _batches(prompts, batch):
            greedy = self._texts(part, decoding, do_sample=False)
            samples = self._texts(part, decoding, **_sampling(decoding), num_return_sequences=decoding.samples)
            each = decoding.samples
            for place, (prompt, text) in enumerate(zip(part, greedy, strict=True)):
                yield from _rows(prompt, [text], samples[place * each : (place + 1) * each])

    def exhaustively(self, prompts: Sequence[Prompt], decoding: Decoding, seed: int, batch: int) -> Rows:
        """Every answer is asked for by a prompt of its own."""
        self._seed(seed)
        rows = batch * decoding.samples
        repeated = [prompt for prompt in sorted(prompts, key=_length) for _ in range(decoding.samples)]
        samples = [
            text
            for start in range(0, len(repeated), rows)
            for text in self._texts(repeated[start : start + rows], decoding, **_sampling(decoding))
        ]
        greedy = [t for part in _batches(prompts, rows) for t in self._texts(part, decoding, do_sample=False)]
        each = decoding.samples
        for place, (prompt, text) in enumerate(zip(sorted(prompts, key=_length), greedy, strict=True)):
            yield from _rows(prompt, [text], samples[place * each : (place + 1) * each])

    def _decode(self, ids: Any) -> list[str]:
        return self.tokenizer.batch_decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def _seed(self, seed: int) -> None:
        import torch

        torch.manual_seed(seed)

    def _stops(self, stop: tuple[str, ...]) -> Any:
        """What `stop_strings` would make anew, from the whole vocabulary, at every call of `generate`."""
        from transformers import StoppingCriteriaList, StopStringCriteria

        if stop and stop not in self._stopping:
            self._stopping[stop] = StoppingCriteriaList([StopStringCriteria(self.tokenizer, list(stop))])
        return self._stopping.get(stop)

    def _texts(self, prompts: Sequence[Prompt], decoding: Decoding, **options: Any) -> list[str]:
        import torch

        inputs = self.tokenizer(
            [prompt.text for prompt in prompts],
            return_tensors="pt",
            padding=True,
            padding_side="left",
            add_special_tokens=self.special_tokens,
        ).to(self.model.device)
        with torch.inference_mode():
            output = self.model.generate(
                **inputs,
                max_new_tokens=decoding.max_new_tokens,
                repetition_penalty=decoding.repetition_penalty,
                stopping_criteria=self._stops(decoding.stop),
                pad_token_id=self.tokenizer.pad_token_id,
                **options,
            )
        new = output[:, inputs["input_ids"].shape[1] :]
        return [_cut(text, decoding) for text in self._decode(new)]


class PlainVllm:
    """vLLM's `LLM.generate` with all prompts at once, without a prefix cache."""

    def __init__(self, folder: Path, dtype: str, positions: int, special_tokens: bool) -> None:
        import torch
        from vllm import LLM

        from gradual.probe.engines.vllm import CPU_ARGUMENTS

        on_gpu = torch.cuda.is_available()
        arguments = (
            {"gpu_memory_utilization": GPU_SHARE}
            if on_gpu
            else CPU_ARGUMENTS | {"max_num_batched_tokens": max(16384, positions)}
        )
        self.llm = LLM(str(folder), dtype=dtype, max_model_len=positions, enable_prefix_caching=False, **arguments)
        self.tokenizer, self.special_tokens = self.llm.get_tokenizer(), special_tokens
        self.computed_tokens = 0

    def all_at_once(self, prompts: Sequence[Prompt], decoding: Decoding, seed: int) -> Rows:
        import torch
        from vllm import SamplingParams

        torch.manual_seed(seed)
        shared = {
            "max_tokens": decoding.max_new_tokens,
            "stop": list(decoding.stop),
            "repetition_penalty": decoding.repetition_penalty,
        }
        ids = self.tokenizer([p.text for p in prompts], add_special_tokens=self.special_tokens)["input_ids"]
        inputs = [{"prompt_token_ids": tokens} for tokens in ids]
        sampling = {"n": decoding.samples, "temperature": decoding.temperature, "top_k": decoding.top_k}
        greedy = self._generate(inputs, SamplingParams(temperature=0.0, **shared))
        sampled = self._generate(inputs, SamplingParams(**sampling, **shared))
        for prompt, one, many in zip(prompts, greedy, sampled, strict=True):
            yield from _rows(prompt, *([_cut(o.text, decoding) for o in found.outputs] for found in (one, many)))

    def _generate(self, inputs: list[dict], parameters: Any) -> list[Any]:
        found = self.llm.generate(inputs, parameters, use_tqdm=False)
        for output in found:  # each of a prompt's answers is prefilled by itself, and its last token goes nowhere
            for answer in output.outputs:
                self.computed_tokens += len(output.prompt_token_ids) + len(answer.token_ids) - 1
        return found


def _length(prompt: Prompt) -> int:
    return len(prompt.text)


def _batches(prompts: Sequence[Prompt], size: int) -> Iterator[list[Prompt]]:
    """Prompts of like length together, so that little is padded."""
    ordered = sorted(prompts, key=_length)
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]


def _sampling(decoding: Decoding) -> dict[str, Any]:
    return {"do_sample": True, "temperature": decoding.temperature, "top_k": decoding.top_k}


def _cut(text: str, decoding: Decoding) -> str:
    """An answer up to its stop string."""
    return text[: min((at for s in decoding.stop if (at := text.find(s)) >= 0), default=len(text))].strip()


def _rows(prompt: Prompt, greedy: list[str], sampled: list[str]) -> Rows:
    for kind, texts in ((GREEDY, greedy), (SAMPLED, sampled)):
        for text, count in Counter(texts).items():
            yield prompt.fact_id, prompt.index, kind, text, count

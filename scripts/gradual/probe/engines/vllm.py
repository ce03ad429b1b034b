"""The engine on vLLM, on GPUs, or on a CPU with vLLM's build for CPUs.

Groups stream through vLLM. Some are prefilled while others are decoded, a limited number is in vLLM at a time, and they are
yielded in order. A group's next round, greedy or sampled, is asked for as soon as the last one has its answers, because the
keys and values of its prompts are then still in the prefix cache. Sample i of a prompt has its own generator, whose seed is
that of (fact, prompt) plus i.

Adapters are merged into the weights of a temporary checkpoint. vLLM loads it when it starts, or in place of its weights. So
a state has the same weights when an epoch is evaluated and when it is probed, and no answer spends time on LoRA's matrix
products.
"""

import gc
import logging
import math
import os
import sys
import tempfile
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradual.ground.errors import InputError, out_of_memory
from gradual.ground.seeding import seeded
from gradual.models.handle import model_folder
from gradual.models.loading import load_model, load_tokenizer
from gradual.probe.answers import (
    GREEDY_ANSWERS,
    ROUND,
    Answer,
    Answered,
    Asking,
    Decoding,
    Deployment,
    Progress,
    Prompt,
    Usage,
    never,
)
from gradual.probe.engines.tokenization import Encoder, Stopper, count_answers, short_of_memory
from gradual.probe.generations import GREEDY, SAMPLED
from gradual.probe.prompts import ending_tokens

log = logging.getLogger("gradual")

ENVIRONMENT = {  # read when vLLM is imported
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # the scheduler runs in this process, so that each run makes the same batches
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # a forked worker cannot use a GPU that this process has queried
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
}
CPU_ENVIRONMENT = {"VLLM_CPU_OMP_THREADS_BIND": "nobind"}  # OMP_NUM_THREADS sets the number of threads
CPU_CACHE = 2**30  # bytes for keys and values
# On a CPU, chunked prefill breaks requests that have a seed, and the block size should be a multiple of 32 (16 on a GPU).
CPU_ARGUMENTS = {
    "enforce_eager": True,
    "enable_chunked_prefill": False,
    "block_size": 32,
    "kv_cache_memory_bytes": CPU_CACHE,
}
FIXED_PROMPT = "Q: What is this?\nA:"  # its logits show whether the weights have changed


@dataclass(frozen=True)
class Limits:
    """How much vLLM computes at a time. Limits change speed and memory; they change answers only by rounding."""

    memory_share: float  # of a GPU's memory
    sequences: int = 256  # answers that are decoded together
    step_tokens: int = 16384  # tokens of one forward pass

    def smaller(self, error: Exception) -> "Limits":
        """Limits for the next attempt. The share of the memory stays where the key-value cache had no room."""
        share = self.memory_share * (1.0 if "cache" in str(error) else 0.9)
        return Limits(share, max(1, self.sequences // 2), max(1, self.step_tokens // 2))


class _Group:
    """A group that is being answered: its prompts, their token ids, the rounds to come, and its answers by place."""

    def __init__(self, prompts: list[Prompt], ids: list[list[int]], decoding: Decoding, asking: Asking) -> None:
        self.prompts, self.ids, self.decoding = prompts, ids, decoding
        self.rounds = self._rounds(decoding, asking)
        self.kind, self.done = GREEDY, False
        self.waiting = 0  # requests of the round that have no answer yet
        self.greedy: dict[int, Answer] = {}
        self.sampled: dict[int, tuple[Answer, ...]] = {}

    def answered(self) -> list[Answered]:
        """The prompts that have an answer, in order."""
        return [Answered(self.prompts[i], self.greedy[i], self.sampled.get(i, ())) for i in sorted(self.greedy)]

    def _rounds(self, decoding: Decoding, asking: Asking) -> Iterator[tuple[str, range]]:
        """The kind of answers and the places of the prompts of each round. Take a round when the last one is answered."""
        count = len(self.prompts)
        settled, size = asking.settled or never, ROUND if asking.settled else max(count, 1)
        for kind in (GREEDY, SAMPLED):
            if kind == SAMPLED and not (count and decoding.samples and asking.wants_samples(self.answered())):
                return
            for start in range(0, count, size):
                yield kind, range(start, min(start + size, count))
                if settled(self.answered()):
                    return


class VllmEngine:
    """Answers prompts with a causal language model in vLLM, split over the deployment's GPUs."""

    _lora: Any = None  # the adapter that requests name, in an engine that does not merge it (see `vllm_lora`)

    def __init__(
        self, base: Path, adapters: Sequence[Path], special_tokens: bool, dtype: str, deployment: Deployment
    ) -> None:
        self.base, self.adapters, self.special_tokens = base, list(adapters), special_tokens
        self.dtype, self.deployment = _plain_dtype(base, dtype), deployment
        self.tokenizer = load_tokenizer(base)
        # vLLM looks for stop strings in text of its own. Without the model's config, it takes the tokenizer as it stands.
        self._tokenizer_folder = tempfile.TemporaryDirectory(prefix="gradual-tokenizer-")
        self.tokenizer.save_pretrained(self._tokenizer_folder.name)
        self._encode = Encoder(self.tokenizer, special_tokens)
        self._positions, self._limit = _positions(base, deployment)
        self.usage = Usage()
        self.limits = Limits(deployment.memory_share)
        self._used: list[Path] = []  # the adapter in use on the loaded state
        self._yielded = 0  # groups
        self._shrunk = False
        self._start()
        self._loaded_logits = self._fixed_logits()
        if not all(map(math.isfinite, self._loaded_logits.values())):  # vLLM loads weights of NaN without a word
            raise InputError(
                model_folder(base), "gives logits that are not finite", f"finite weights, in {self.dtype} too"
            )

    def use(self, adapter: Path) -> None:
        self._used = [adapter]
        try:
            self._forget()
            with _checkpoint(self.base, [*self.adapters, adapter], self.dtype) as folder:
                self._vllm.collective_rpc("reload_weights", kwargs={"weights_path": str(folder)})
        except Exception as error:
            self._shrink(error)
            self._start()
        if self._fixed_logits() == self._loaded_logits:
            raise InputError(adapter, "changes no logits, because vLLM ignores it", "an adapter trained on this model")

    def answer(
        self,
        groups: Iterable[list[Prompt]],
        decoding: Decoding,
        asking: Asking = GREEDY_ANSWERS,
    ) -> Iterator[list[Answered]]:
        source = iter(groups)
        self._yielded = 0
        asked: deque[_Group] = deque()  # in order; the first is yielded next
        while True:
            try:
                yield from self._answer(source, asked, decoding, asking)
                return
            except Exception as error:
                self._shrink(error)
            self._start()  # the groups in `asked` are then asked again; those that were yielded are not

    def progress(self) -> Progress:
        return Progress(self._yielded, self._yielded)  # vLLM mixes the requests of all groups

    def _answer(
        self,
        source: Iterator[list[Prompt]],
        asked: deque[_Group],
        decoding: Decoding,
        asking: Asking,
    ) -> Iterator[list[Answered]]:
        """Answer the groups in `asked`, and then those of the source, which join them when vLLM has room for more."""
        stopper = Stopper(self.tokenizer, decoding)
        flying: dict[str, tuple[_Group, int]] = {}  # requests in vLLM, each with a group and the place of its prompt
        sequences = 0  # that vLLM decodes for these requests
        for number, group in enumerate(asked):
            asked[number] = _Group(group.prompts, group.ids, decoding, asking)
            sequences += self._ask(asked[number], decoding, flying)
        more = True
        try:
            while True:
                while more and sequences < self.limits.sequences:
                    prompts = next(source, None)
                    if more := prompts is not None:
                        ids = self._encode(prompts, decoding, self._positions, self._limit)
                        asked.append(_Group(prompts, ids, decoding, asking))
                        sequences += self._ask(asked[-1], decoding, flying)
                while asked and asked[0].done:
                    answered = asked.popleft().answered()
                    count_answers(self.usage, answered)
                    self._yielded += 1
                    yield answered
                if not (more or asked):
                    return
                for output in self._vllm.step() if flying else ():
                    group, place = flying.pop(output.request_id)
                    sequences -= len(output.outputs)
                    self._count(output, group.kind)
                    answers = stopper.answers(Counter((tuple(o.token_ids), o.finish_reason) for o in output.outputs))
                    if group.kind == SAMPLED:
                        group.sampled[place] = tuple(answers)
                    else:
                        (group.greedy[place],) = answers
                    group.waiting -= 1
                    if not group.waiting:
                        sequences += self._ask(group, decoding, flying)
        except BaseException as error:  # also GeneratorExit
            if not out_of_memory(error):
                self._vllm.abort_request(list(flying))
            raise

    def _ask(self, group: _Group, decoding: Decoding, flying: dict[str, tuple[_Group, int]]) -> int:
        """Ask a group's next round. Returns how many sequences vLLM must decode for it: 0 if the group is done."""
        for kind, places in group.rounds:
            group.kind, group.waiting = kind, len(places)
            return self._ask_answers(group, places, decoding, flying)
        group.done = True
        return 0

    def _ask_answers(
        self, group: _Group, places: range, decoding: Decoding, flying: dict[str, tuple[_Group, int]]
    ) -> int:
        """Ask for the greedy answers or the samples of a group's prompts. Returns how many sequences that makes."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        shared = {
            "max_tokens": decoding.max_new_tokens,
            "stop": list(decoding.stop),
            "stop_token_ids": sorted(ending_tokens(self.tokenizer)),
            "detokenize": bool(decoding.stop),
            "repetition_penalty": decoding.repetition_penalty,
            "output_kind": RequestOutputKind.FINAL_ONLY,
        }
        count = decoding.samples if group.kind == SAMPLED else 1
        for place in places:
            way: dict[str, Any] = {"temperature": 0.0}
            if group.kind == SAMPLED:
                seed = first_seed(decoding, group.prompts[place])
                way = {"n": count, "seed": seed, "temperature": decoding.temperature, "top_k": decoding.top_k}
            flying[self._add(group.ids[place], SamplingParams(**shared, **way))] = (group, place)
        return count * len(places)

    def _add(self, ids: list[int], params: Any) -> str:
        """Add a request. Returns its name."""
        self._requests += 1
        name = str(self._requests)
        self._vllm.add_request(name, {"prompt_token_ids": ids}, params, lora_request=self._lora)
        return name

    def _count(self, output: Any, kind: str) -> None:
        """Add the work of a request to the usage. vLLM reports the cached tokens of the last sequence of a request."""
        prompt = len(output.prompt_token_ids)
        self.usage.prompt_tokens += prompt if kind == GREEDY else 0
        self.usage.computed_tokens += len(output.outputs) * (prompt - output.num_cached_tokens)
        self.usage.computed_tokens += sum(len(o.token_ids) - 1 for o in output.outputs)

    def _forget(self) -> None:
        """Empty the prefix cache, after the steps that vLLM still makes for answers that have ended.

        Raises RuntimeError if vLLM does not empty it.
        """
        for _ in range(8):
            if self._vllm.reset_prefix_cache():
                return
            self._vllm.step()
        raise RuntimeError("vLLM does not empty its prefix cache, which has keys and values of other weights")

    def _fixed_logits(self) -> dict[int, float]:
        """Log-probabilities of the most likely tokens after a fixed prompt, which is too short to be cached."""
        from vllm import SamplingParams

        ids = self.tokenizer(FIXED_PROMPT, add_special_tokens=self.special_tokens)["input_ids"]
        params = SamplingParams(max_tokens=1, logprobs=20)
        self._vllm.add_request("fixed", {"prompt_token_ids": ids}, params, lora_request=self._lora)
        finished: list[Any] = []
        while not finished:
            finished = [output for output in self._vllm.step() if output.finished]
        return {token: found.logprob for token, found in finished[0].outputs[0].logprobs[0].items()}

    def _start(self) -> None:
        """Start vLLM with the state and the adapter in use. Where memory does not suffice, try once more with less."""
        while True:
            try:
                with _checkpoint(self.base, [*self.adapters, *self._used], self.dtype) as folder:
                    tokenizer = Path(self._tokenizer_folder.name)
                    self._vllm = _vllm_engine(
                        folder,
                        tokenizer,
                        self.dtype,
                        self._positions,
                        self.deployment.gpus,
                        self.limits,
                        self._more_arguments(),
                    )
                break
            except Exception as error:
                self._shrink(error)
        self._requests = 0

    def _more_arguments(self) -> dict[str, Any]:
        """Further arguments of vLLM's engine."""
        return {}

    def _shrink(self, error: Exception) -> None:
        """Free vLLM's memory and make the limits smaller, the first time that memory does not suffice.

        Raises InputError the second time, and any other error as it is.
        """
        if not out_of_memory(error):
            raise error
        if self._shrunk:
            raise short_of_memory(error) from error
        self._shrunk, self.limits = True, self.limits.smaller(error)
        log.warning("out of memory: %s", error)
        log.warning("vLLM starts again, with %s", self.limits)
        error.__traceback__ = None  # because it keeps tensors in memory
        self.close()

    def close(self) -> None:
        """Stop vLLM and free its memory."""
        from vllm.distributed import cleanup_dist_env_and_memory

        if engine := self.__dict__.pop("_vllm", None):
            engine.engine_core.shutdown()
            del engine
        cleanup_dist_env_and_memory()


def first_seed(decoding: Decoding, prompt: Prompt) -> int:
    """The seed of a prompt's first sample. vLLM gives sample i of the prompt this seed plus i.

    The seed is a multiple of the number of samples, below 2 ** 62. So the samples of two prompts have no seed in common
    unless the prompts have the same first seed.
    """
    number = seeded(decoding.seed, prompt.fact_id, prompt.index) >> 2
    return number - number % decoding.samples


def _plain_dtype(base: Path, dtype: str) -> str:
    """The dtype of the weights. For `auto`, it is the one in config.json, because vLLM gives `auto` another meaning.

    Raises InputError where config.json has none.
    """
    if dtype != "auto":
        return dtype
    config = _text_config(base)
    named = config.dtype
    if not named:
        file = model_folder(base) / "config.json"
        raise InputError(file, "names no type of the weights", "a type here, or in models.<name>.dtype", key="dtype")
    return str(named).removeprefix("torch.")


def _text_config(base: Path) -> Any:
    """What a model's config.json says of its text model, under the names that all architectures share.

    Raises InputError for a config of an architecture that transformers does not know.
    """
    from transformers import AutoConfig

    folder = model_folder(base)
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except ValueError as error:
        cause = " ".join(str(error).split())
        raise InputError(folder / "config.json", f"cannot be used ({cause})", "a config of transformers") from error
    text = config.get_text_config()
    text.dtype = text.dtype or config.dtype
    return text


def _positions(base: Path, deployment: Deployment) -> tuple[int, str]:
    """How many tokens a prompt and its answer may have together, and whose limit that is."""
    positions = getattr(_text_config(base), "max_position_embeddings", None)
    if not isinstance(positions, int):
        file = model_folder(base) / "config.json"
        raise InputError(
            file, f"is {positions!r}", "the number of positions of the model", key="max_position_embeddings"
        )
    if 0 < deployment.max_model_length < positions:
        return deployment.max_model_length, "max_model_length's"
    return positions, "the model's"


@contextmanager
def _checkpoint(base: Path, adapters: list[Path], dtype: str) -> Iterator[Path]:
    """The folder of a base model's weights. With adapters, it is a temporary one in which they are merged, in order."""
    if not adapters:
        yield model_folder(base)
        return
    with tempfile.TemporaryDirectory(prefix="gradual-merged-") as folder:
        load_model(base, adapters, dtype, device="cpu").save_pretrained(folder)  # vLLM uses the GPU
        gc.collect()
        yield Path(folder)


def _vllm_engine(
    weights: Path, tokenizer: Path, dtype: str, positions: int, gpus: int, limits: Limits, more: Mapping[str, Any]
) -> Any:
    """vLLM's engine with the weights of a folder; `more` are further arguments."""
    import torch

    on_gpu = torch.cuda.is_available()
    os.environ.update(ENVIRONMENT if on_gpu else ENVIRONMENT | CPU_ENVIRONMENT)
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    try:
        from vllm import EngineArgs, LLMEngine
    except ImportError as error:
        problem = f"vllm cannot be imported by {sys.executable} ({error})"
        raise InputError("probe.engine", problem, "the environment of envs/probe.lock (make setup-probe)") from error
    arguments = EngineArgs(
        model=str(weights),
        tokenizer=str(tokenizer),
        dtype=dtype,
        load_format="safetensors",
        trust_remote_code=False,
        generation_config="vllm",  # ignores the model's own, because the config of the study sets the decoding
        enable_prefix_caching=True,
        tensor_parallel_size=max(1, gpus) if on_gpu else 1,
        gpu_memory_utilization=limits.memory_share,
        max_model_len=positions,
        max_num_seqs=limits.sequences,
        max_num_batched_tokens=limits.step_tokens if on_gpu else max(limits.step_tokens, positions),
        disable_log_stats=True,
        use_tqdm_on_load=False,
        **({} if on_gpu else CPU_ARGUMENTS),
        **more,
    )
    return LLMEngine.from_engine_args(arguments)

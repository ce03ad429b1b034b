"""The engine on vLLM with a state's last adapter as LoRA: vLLM computes with it beside the weights, and does not merge it.

To change the adapter is quick, because no weights are loaded. Answers take longer, because of LoRA's matrix products. The
other adapters of a state are merged. Answers differ from those of the engine that merges by rounding.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gradual.ground.errors import InputError
from gradual.ground.files import read_json
from gradual.models.adapters import check_adapter
from gradual.probe.answers import Deployment
from gradual.probe.engines.vllm import VllmEngine

RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # that vLLM has room for


class VllmLoraEngine(VllmEngine):
    """Answers prompts with a model in vLLM and an adapter beside it."""

    def __init__(
        self, base: Path, adapters: Sequence[Path], special_tokens: bool, dtype: str, deployment: Deployment
    ) -> None:
        self._rank, self._number = RANKS[0], 0
        super().__init__(base, adapters[:-1], special_tokens, dtype, deployment)
        self._own = [*adapters[-1:]]  # the adapter of the state, which is not merged
        for adapter in self._own:
            self._take(adapter)

    def use(self, adapter: Path) -> None:
        if self._own:  # the adapter comes after the state's own one, which is now merged
            self.adapters.append(self._own.pop())
            self._lora = None
            self.close()
            self._start()
            self._loaded_logits = self._fixed_logits()
        self._take(adapter)

    def _take(self, adapter: Path) -> None:
        """From now on, requests name this adapter.

        Raises InputError for an adapter that is broken, has a rank for which vLLM has no room, or changes nothing.
        """
        from vllm.lora.request import LoRARequest

        _check_product(adapter)
        rank = read_json(adapter / "adapter_config.json", "an adapter's config").get("r")
        fitting = next((each for each in RANKS if isinstance(rank, int) and each >= rank), None)
        if fitting is None:
            raise InputError(adapter, f"has the rank {rank!r}", f"at most {RANKS[-1]}, or probe.engine: vllm", key="r")
        if fitting > self._rank:
            self._rank = fitting
            self.close()
            self._start()
        self._number += 1  # vLLM keeps what it has computed with an adapter by this number
        self._lora = LoRARequest(str(self._number), self._number, str(adapter.resolve()))
        if self._fixed_logits() == self._loaded_logits:
            raise InputError(adapter, "changes no logits, because vLLM ignores it", "an adapter trained on this model")

    def _more_arguments(self) -> dict[str, Any]:
        return {"enable_lora": True, "max_lora_rank": self._rank, "max_loras": 1}


def _check_product(adapter: Path) -> None:
    """Raise InputError for an adapter that is broken, or whose products are all zero."""
    from safetensors import safe_open

    check_adapter(adapter)
    with safe_open(adapter / "adapter_model.safetensors", framework="pt") as tensors:
        second = [name for name in tensors.keys() if ".lora_B." in name]  # noqa: SIM118
        if not any(tensors.get_tensor(name).any() for name in second):
            raise InputError(adapter, "changes no weight of the model", "an adapter that training has changed")

"""A GGUF file: its settings and its tensors, as they are stored, and what the file says about its quantisation.

GGUF is the format of llama.cpp. One file has the weights, most of them quantised, and settings of the model and of its
tokenizer, by name. Raises InputError, as all modules of gguf_*, for what the conversion does not know.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradual.ground.errors import InputError

FLOATS = ("F32", "F16", "BF16")  # types of tensors that are not quantised
WHOLE = "a whole GGUF file (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md)"


@dataclass(frozen=True)
class GgufFile:
    """A GGUF file that is open for reading. The tensors' data stay on disk until they are used."""

    path: Path
    settings: Mapping[str, Any]
    tensors: Mapping[str, Any]  # of the package gguf: with data, tensor_type, shape (in reverse), n_bytes, n_elements

    def get(self, key: str, kind: type, default: Any = None) -> Any:
        """A setting, or the default where the file does not have it. Raises InputError for another kind of value."""
        value = self.settings.get(key)
        if value is None:
            return default
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise InputError(self.path, f"is {str(value)[:60]}", f"one value of the type {kind.__name__}", key=key)
        return value

    def need(self, key: str, kind: type) -> Any:
        """A setting that the file must have."""
        value = self.get(key, kind)
        if value is None:
            raise InputError(self.path, "the setting is missing", WHOLE, key=key)
        return value

    @property
    def types(self) -> dict[str, int]:
        """The number of tensors of each type, the most frequent type first."""
        found = Counter(tensor.tensor_type.name for tensor in self.tensors.values())
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    @property
    def parameters(self) -> int:
        """The number of weights."""
        return sum(int(tensor.n_elements) for tensor in self.tensors.values())

    @property
    def bits_per_weight(self) -> float:
        """Bits of the stored tensors per weight, the scales of quantised blocks included."""
        return 8 * sum(int(tensor.n_bytes) for tensor in self.tensors.values()) / self.parameters


def read_gguf(path: Path) -> GgufFile:
    """Open a GGUF file. Raises InputError for a file that is missing, broken, split, or has no weights."""
    from gguf import GGUFReader

    if not path.is_file():
        raise InputError(path, "there is no such file", "a GGUF file (models.<name>.gguf_file)", key="gguf_file")
    try:
        reader = GGUFReader(path)
        settings = {name: field.contents() for name, field in reader.fields.items()}
    except Exception as error:  # the reader raises what numpy raises
        cause = " ".join(str(error).split())
        raise InputError(path, f"cannot be read ({cause})", WHOLE) from error
    if reader.byte_order == "S":
        raise InputError(
            path, "has numbers whose bytes are in the order of another machine", "a GGUF file for this one"
        )
    found = GgufFile(path, settings, {tensor.name: tensor for tensor in reader.tensors})
    if (parts := found.get("split.count", int, 1)) > 1:
        expected = "a file with all weights (llama-gguf-split --merge)"
        raise InputError(path, f"is one of the {parts} parts of a split GGUF file", expected, key="split.count")
    if not found.tensors:
        raise InputError(path, "has no tensors", "a model's weights")
    return found

"""Tiny GGUF files, as llama.cpp writes them, of random models; and the wheels that hold them."""

from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
MERGES = ("Ġ t", "h e", "Ġt he", "1 2", "Ġ 1", "Ġ Ġ", "c a", "ca p")
TEMPLATE = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
SIZES = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
SIZES |= {"num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 128, "rms_norm_eps": 1e-5}
NAMES = {  # of the tensors of a layer
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm", "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip
TOP = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def tokens_of(unused: int = 0) -> list[str]:
    """The tokens: special ones, all bytes, the merged ones, and some that only fill the embedding."""
    from tokenizers.pre_tokenizers import ByteLevel

    merged = [merge.replace(" ", "") for merge in MERGES]
    return [*SPECIAL, *sorted(ByteLevel.alphabet()), *merged, *(f"[PAD{number}]" for number in range(unused))]


def random_model(architecture: str = "llama", tied: bool = True, seed: int = 0, **sizes: Any) -> Any:
    """A random model of transformers with the tokens above."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(seed)
    settings = SIZES | {"vocab_size": len(tokens_of(2)), "tie_word_embeddings": tied} | sizes
    config = AutoConfig.for_model(architecture, **settings, rope_parameters={"rope_type": "default", "rope_theta": 5e4})
    return AutoModelForCausalLM.from_config(config)


def write_gguf(
    file: Path,
    model: Any = None,
    kind: str = "F32",
    settings: dict[str, Any] | None = None,
    tensors: dict[str, Any] | None = None,
) -> Path:
    """A GGUF file of the model, with matrices of the type `kind`. Other settings and tensors take the place of its own.

    None takes one away.
    """
    from gguf import GGMLQuantizationType, GGUFWriter, quants

    model = model or random_model()
    config, quantised = model.config, GGMLQuantizationType[kind]
    name = config.model_type
    named = {
        f"{name}.block_count": config.num_hidden_layers,
        f"{name}.context_length": config.max_position_embeddings,
        f"{name}.embedding_length": config.hidden_size,
        f"{name}.feed_forward_length": config.intermediate_size,
        f"{name}.attention.head_count": config.num_attention_heads,
        f"{name}.attention.head_count_kv": config.num_key_value_heads,
        f"{name}.attention.layer_norm_rms_epsilon": config.rms_norm_eps,
        f"{name}.rope.freq_base": 5e4,
        "general.license": "apache-2.0",
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": tokens_of(2),
        "tokenizer.ggml.token_type": [3] * len(SPECIAL) + [1] * (len(tokens_of()) - len(SPECIAL)) + [5] * 2,
        "tokenizer.ggml.merges": [*MERGES],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.padding_token_id": 2,
        "tokenizer.chat_template": TEMPLATE,
    }
    if name == "qwen3":
        named[f"{name}.attention.key_length"] = config.head_dim
    writer = GGUFWriter(file, name)
    for key, value in (named | (settings or {})).items():
        if value is None:
            continue
        add = {bool: "bool", int: "uint32", float: "float32", str: "string", list: "array"}[type(value)]
        getattr(writer, f"add_{add}")(key, value)
    for key, values in (stored_tensors(model) | (tensors or {})).items():
        if values is None:
            continue
        if values.ndim == 1 or kind == "F32":
            writer.add_tensor(key, values)
        else:
            writer.add_tensor(key, quants.quantize(values, quantised), raw_dtype=quantised)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def stored_tensors(model: Any) -> dict[str, Any]:
    """The weights of a model under the names and in the order of llama.cpp."""
    found: dict[str, Any] = {}
    for key, tensor in model.state_dict().items():
        name, _, suffix = key.rpartition(".")
        values = tensor.numpy()
        if name in TOP:
            if not (name == "lm_head" and model.config.tie_word_embeddings):
                found[f"{TOP[name]}.{suffix}"] = values
            continue
        _, _, layer, part = name.split(".", 3)
        if model.config.model_type == "llama" and part in ("self_attn.q_proj", "self_attn.k_proj"):
            halves = values.reshape(-1, 2, model.config.head_dim // 2, values.shape[-1])
            values = np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(values.shape)
        found[f"blk.{layer}.{NAMES[part]}.{suffix}"] = values
    return found


def write_wheel(folder: Path, gguf: Path, version: str = "0.1", inside: str = "tiny_model/tiny.gguf") -> Path:
    """The wheel of a package tiny-model that holds the file."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"tiny_model-{version}.dist-info"
    wheel = folder / f"tiny_model-{version}-py3-none-any.whl"
    with ZipFile(wheel, "w") as archive:
        archive.write(gguf, inside)
        archive.writestr("tiny_model/__init__.py", "raise SystemExit('never run')\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny-model\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel

"""Small facts, a small random model and small settings for unit tests."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from gradual.data.facts import make_table
from gradual.models.adapters import write_chosen
from gradual.models.handle import write_handle
from gradual.models.loading import load_model, load_tokenizer
from gradual.training.lora import attach_adapter
from gradual.training.pretraining import ModelSettings, new_model, train_tokenizer
from gradual.training.settings import TrainingSettings

# Messages as the instruction-tuned models of each architecture take them, and the tokens that they are made of.
TURNS = {
    "qwen2": (
        ("<|im_start|>", "<|im_end|>"),
        "{% for m in messages %}{% if loop.first and m.role != 'system' %}"
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
        "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    ),
    "llama": (
        ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        "{{ bos_token }}{% for m in messages %}"
        "<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}<|eot_id|>{% endfor %}"
        "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}",
    ),
}
# Families of models besides Qwen2 and Llama, and what their configs say besides sizes. Windows are shorter than prompts.
MIXED = {"layer_types": ["sliding_attention", "full_attention"]}
FAMILIES: dict[str, dict[str, Any]] = {
    "qwen3": {},
    "smollm3": {"no_rope_layers": [1, 0], "tie_word_embeddings": False},
    "granite": {
        "embedding_multiplier": 2.0, "attention_multiplier": 0.3, "residual_multiplier": 0.5, "logits_scaling": 3.0,
    },
    "mistral": {"sliding_window": 8},
    "gemma": {"head_dim": 32},
    "gemma2": MIXED | {"head_dim": 32, "sliding_window": 24, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 5.0},
    "gemma3_text": MIXED | {"head_dim": 32, "sliding_window": 40},
    "olmo2": {},
    "olmo3": MIXED | {"sliding_window": 24},
    "phi": {},
    "phi3": {"sliding_window": 60},
    "glm4": {"head_dim": 16},
    "gpt2": {},
    "gpt_neox": {},
    "gpt_oss": MIXED | {
        "head_dim": 16, "sliding_window": 24, "num_local_experts": 4, "num_experts_per_tok": 2,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
    },
}  # fmt: skip
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
TRAINING = TrainingSettings(
    rank=4, alpha=8, dropout=0.0, targets=TARGETS, batch=4, micro_batch=2, learning_rate=1e-2, weight_decay=0.01,
    adam_beta2=0.999, epochs=3, warmup_ratio=0.1, objective="cross_entropy", loss_on="answer",
)  # fmt: skip
# What the scripts that ask a state are told, but for its files and settings.
PROBED = (
    "--counts exact unsolved --answers first --engine transformers --prompts 2 --dtype float32 --seed 0 --state origin"
    " --questions train --probe 0 --shard 0 --shards 1 --code c"
).split()
EVALUATED = "--engine transformers --questions dev test --prompt-seed 42 --dtype float32 --code c".split()
SIZES = {"hidden_size": 64, "intermediate_size": 96, "layers": 2, "heads": 2}


def facts(relations: int = 2, per_split: int = 8) -> pd.DataFrame:
    """A facts table with `per_split` facts per relation in each of train, dev and test."""
    return make_table(
        {
            "split": split,
            "relation": f"r{r}",
            "subject": f"{split} subject {r} {i}",
            "question": f"What is r{r} of {split} subject {i}?",
            "answers": [f"thing {r * per_split + i}"],
        }
        for split in ("train", "dev", "test")
        for r in range(relations)
        for i in range(per_split)
    )


def base_model(folder: Path, architecture: str = "qwen2", seed: int = 0, scale: float = 6.0, tied: bool = True) -> Path:
    """The handle of a random model whose tokenizer knows the facts' words; weights are scaled up so that its outputs
    differ between prompts."""
    import torch

    torch.manual_seed(seed)
    table = facts()
    texts = [f"Q: {q}\nA: {a[0]}\n" for q, a in zip(table["question"], table["answers"], strict=True)]
    tokenizer = train_tokenizer(texts, 330, architecture)
    heads: dict[str, Any] = {"key_value_heads": 1 if architecture == "llama" else 2}
    if architecture in FAMILIES:
        model = _of_family(architecture, tokenizer)
    else:
        model = new_model(ModelSettings(architecture, **SIZES, **heads), tokenizer)
    if not tied:  # the logits have weights of their own, as in models of 7 billion parameters
        model.config.tie_word_embeddings = False
        model = type(model)(model.config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 2 and "embed" not in name:
                parameter.mul_(scale)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_handle(folder / "base.json", folder, "test")
    return folder / "base.json"


def _of_family(family: str, tokenizer: Any) -> Any:
    """A random model of one of the FAMILIES."""
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = {
        "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 1024, "vocab_size": len(tokenizer),
        "tie_word_embeddings": True, "bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": None,
    }  # fmt: skip
    if family == "gpt2":  # it has a key and a value for each query
        del sizes["num_key_value_heads"]
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **sizes | FAMILIES[family]))
    for name, parameter in model.named_parameters():
        if name.endswith("sinks"):
            parameter.data.fill_(1.0)
    return model


def write_adapter(
    handle: Path, folder: Path, seed: int = 0, targets: tuple[str, ...] = TARGETS, scale: float = 0.3
) -> Path:
    """A folder with a random adapter of the model, which changes its answers unless `scale` is 0, and with its handle."""
    import torch

    torch.manual_seed(seed)
    model = attach_adapter(load_model(handle, [], "float32"), None, replace(TRAINING, targets=targets))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # zero in a new adapter
            torch.nn.init.normal_(parameter.data, std=scale)
    model.save_pretrained(folder)
    write_chosen(folder / "chosen.json", folder, {"epoch": 1, "chosen_on": "dev"})
    return folder


def chat_model(folder: Path, architecture: str = "qwen2") -> Path:
    """The handle of a random model like `base_model`'s, whose tokenizer has the architecture's chat template."""
    import torch

    handle = base_model(folder, architecture)
    tokenizer, model = load_tokenizer(handle), load_model(handle, [], "float32")
    tokens, template = TURNS[architecture]
    tokenizer.add_special_tokens({"additional_special_tokens": list(tokens)})
    tokenizer.chat_template = template
    torch.manual_seed(0)
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_handle(handle, folder, "test")
    return handle

"""LoRA adapters on a transformers model: which layers get them, by the names its architecture gives to them."""

from __future__ import annotations

from typing import Any

from torch import nn

from rlhf_core.config import LoraConfig
from rlhf_core.errors import ModelError
from rlhf_core.models.encoder_decoder import last_layers


def task_of(lm: Any) -> str:
    """Return what peft calls the task of a language model."""
    return "SEQ_2_SEQ_LM" if lm.config.is_encoder_decoder else "CAUSAL_LM"


def add_adapters(model: Any, lora: LoraConfig, task: str | None = None) -> Any:
    """Wrap `model` with LoRA adapters; they are float32 and change nothing yet. Without a `task` it is a language model.

    Raises:
        ModelError: no layer has a name the chosen targets know.
    """
    from peft import LoraConfig as PeftLora
    from peft import get_peft_model

    targets = linear_layers(model) if lora.targets == "all-linear" else attention_layers(model)
    settings: Any = {"r": lora.r, "lora_alpha": lora.alpha, "lora_dropout": 0.0, "task_type": task or task_of(model)}
    if lora.layers and model.config.is_encoder_decoder:
        layers = tuple(last_layers(model, lora.layers))
        named = [name for name, _ in model.named_modules() if name.startswith(layers)]
        targets = [name for name in named if name.rsplit(".", 1)[-1] in targets]
    elif lora.layers:
        depth = model.config.num_hidden_layers
        settings["layers_to_transform"] = list(range(max(0, depth - lora.layers), depth))
    return get_peft_model(model, PeftLora(target_modules=targets, **settings))


def attention_layers(model: nn.Module) -> list[str]:
    """Return the names of the attention projections as this architecture calls them."""
    known = {"q_proj", "k_proj", "v_proj", "o_proj", "query", "key", "value", "query_key_value", "c_attn", "qkv_proj"}
    known |= {"q", "k", "v", "o"}  # T5's
    found = {name.rsplit(".", 1)[-1] for name, _ in model.named_modules()} & known
    if not found:
        raise ModelError(
            "has no attention layer by a known name", where=type(model).__name__, remedy="Set lora.targets=all-linear"
        )
    return sorted(found)


def linear_layers(model: nn.Module) -> list[str]:
    """Return the names of all projections inside the model's numbered layers; its heads stay as they are."""
    found = {
        name.rsplit(".", 1)[-1]
        for name, module in model.named_modules()
        if type(module).__name__ in ("Linear", "Conv1D") and any(part.isdigit() for part in name.split("."))
    }
    return sorted(found)

"""Under autocast the states that run through the layers are in the type of the products, not only the products themselves.

Autocast leaves what is added to a product's result in the type of the weights, float32. Then every layer reads and writes its
states at twice the width and rounds them anew for each product (figures: docs/LOG.md).
"""

from __future__ import annotations

from typing import Any

import torch

from rlhf_core.models.transformer_layers import transformer_layers


def narrow_stream(model: Any) -> Any:
    """Let states enter the first layer of a transformers model in autocast's type where autocast is on; return the model."""
    for layer in transformer_layers(model)[:1]:
        layer.register_forward_pre_hook(_narrow)
    return model


def _narrow(_layer: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    kind = args[0].device.type
    narrows = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    return (args[0].to(torch.get_autocast_dtype(kind)), *args[1:]) if narrows else args
